/*
 * arrow_names.c - addresses with names in them: resolved by the host, dialled in turn, the first that answers is it.
 *
 *   CONNECT, BOOT_DIAL ─ a name ─▶ names ─ questions ─▶ hooks.resolve ─▶ node_resolved() ─▶ names
 *     ─ addresses ─▶ NODE_OP_NAME_DIAL for one, the next 250 ms later or when it fails (swarm_rule_next_dial)
 *     ─ one is up ─▶ the others are stopped, the request ends
 *   a kept peer whose address failed ─▶ names ─ addresses ─▶ swarm, keep
 *
 * Nothing is remembered: each attempt asks anew, and attempts are as rare as joining, keep and the program make them.
 */
#include "node/request_table.h"

#include <string.h>

/* An address with a name, from the first question on. */
struct node_named {
    struct list node; /* in node.named */
    uint64_t id;      /* of the questions, with their number below it */
    uint64_t op;      /* cookie of the request; 0: for |kept| */
    struct peer_id kept;
    bool looking; /* questions are open */
    bool over;    /* nobody waits for it; told in the next tick */
    tstamp at;    /* looking: when the rest is given up; else when the next address is due */
    uint32_t under_way;
    uint64_t dial[NAMES_ADDRS_MAX]; /* cookies of the NODE_OP_NAME_DIALs */
    bool tried[NAMES_ADDRS_MAX];
    struct names_lookup lookup;
};

bool node_rule_resolves(enum node_addr_from from)
{
    return from == NODE_ADDR_OPERATOR;
}

static struct node_named *find(struct node *n, uint64_t id)
{
    LIST_EACH(it, &n->named)
    {
        struct node_named *d = LIST_ENTRY(it, struct node_named, node);
        if (d->id == id) {
            return d;
        }
    }
    return NULL;
}

static struct node_named *of_op(struct node *n, uint64_t cookie)
{
    LIST_EACH(it, &n->named)
    {
        struct node_named *d = LIST_ENTRY(it, struct node_named, node);
        if (d->op == cookie) {
            return d;
        }
    }
    return NULL;
}

static uint64_t question_id(const struct node_named *d, unsigned ix)
{
    return d->id * NAMES_QUESTIONS_MAX + ix;
}

/* Ends what goes on for it, and frees it.  Whoever waits has been told. */
static void drop(struct node *n, struct node_named *d)
{
    for (unsigned i = 0; i < d->lookup.n_questions; i++) {
        const struct names_asked *q = &d->lookup.q[i];
        if (q->told && !q->answered && n->hooks.unresolve != NULL) {
            n->hooks_called++;
            n->hooks.unresolve(n->hooks.ctx, question_id(d, i));
        }
    }
    for (size_t i = 0; i < d->lookup.n_addrs; i++) {
        if (d->dial[i] != 0) {
            swarm_dial_stop(n->swarm, n->core[n->ix.links].swarm_ix, d->dial[i], n->now);
        }
    }
    list_del(&d->node);
    n->n_named--;
    mem_free(n->mem, d);
}

void node_names_free(struct node *n)
{
    LIST_EACH_SAFE(it, tmp, &n->named)
    {
        drop(n, LIST_ENTRY(it, struct node_named, node));
    }
}

/* |err|: what the last dial ended with, or there was none. */
static void end(struct node *n, struct node_named *d, qudag_err err)
{
    struct node_op *op = node_op_get(n, d->op);

    drop(n, d);
    if (op != NULL) {
        node_op_end(n, op, err, NULL);
    }
}

/* ------------------------------------------------------------------ dials */

static size_t next_addr(const struct node *n, const struct node_named *d)
{
    struct swarm_candidate c[NAMES_ADDRS_MAX] = {{0}};

    for (size_t i = 0; i < d->lookup.n_addrs; i++) {
        struct netaddr a = {0};
        (void)multiaddr_endpoint(&d->lookup.addr[i], &a);
        c[i].family = a.family;
        c[i].tried = d->tried[i] || !swarm_dials(n->swarm, &d->lookup.addr[i], &c[i].cost);
    }
    return swarm_rule_next_dial(c, d->lookup.n_addrs);
}

/* Dials what is due; false: all have been tried, and |d| is gone with |err|. */
static bool dial_more(struct node *n, struct node_named *d, bool due, qudag_err err)
{
    const struct node_op *op = node_op_get(n, d->op);
    size_t next;

    while (op != NULL && (next = next_addr(n, d)) < d->lookup.n_addrs &&
           swarm_rule_attempt(d->under_way, due)) {
        struct node_request r = {
            .kind = NODE_OP_NAME_DIAL, .addr = d->lookup.addr[next], .has_pq = op->req.has_pq};
        memcpy(r.pq_hash, op->req.pq_hash, sizeof(r.pq_hash));
        d->tried[next] = true;
        struct node_op *one = node_op_new(n, &r);
        if (one == NULL) {
            err = QUDAG_ENOMEM;
            continue;
        }
        one->cookie = d->id;
        d->dial[next] = node_op_cookie(one);
        d->under_way++;
        due = false;
    }
    if (d->under_way == 0) {
        end(n, d, err);
        return false;
    }
    d->at = next_addr(n, d) < d->lookup.n_addrs ? tstamp_after(n->now, SWARM_ATTEMPT_DELAY)
                                                : TSTAMP_NEVER;
    return true;
}

qudag_err node_begin_name_dial(struct node *n, struct node_op *op, tstamp now)
{
    return find(n, op->cookie) != NULL ? node_begin_connect(n, op, now) : QUDAG_ECANCELED;
}

void node_finish_name_dial(struct node *n, struct node_op *op, qudag_err err,
                           const struct node_result *res)
{
    struct node_named *d = find(n, op->cookie);
    struct node_op *whole = d != NULL ? node_op_get(n, d->op) : NULL;
    struct node_request was = op->req;
    (void)res;

    for (size_t i = 0; d != NULL && i < d->lookup.n_addrs; i++) {
        if (d->dial[i] == node_op_cookie(op)) {
            d->dial[i] = 0;
            d->under_way--;
        }
    }
    node_op_free(n, op);
    if (whole == NULL || d->over) {
        return;
    }
    whole->req.peer = was.peer;
    whole->req.auth = was.auth;
    whole->req.refused = was.refused;
    if (err == QUDAG_OK) {
        whole->req.addr = was.addr;
        end(n, d, QUDAG_OK);
        return;
    }
    (void)dial_more(n, d, true, err);
}

/* ------------------------------------------------------------------ questions */

/* What a kept peer may be dialled at from now on. */
static void found_kept(struct node *n, struct node_named *d)
{
    struct peer_id kept = d->kept;

    for (size_t i = 0; i < d->lookup.n_addrs; i++) {
        swarm_addr_add(n->swarm, &kept, &d->lookup.addr[i]);
    }
    bool any = d->lookup.n_addrs > 0;
    drop(n, d);
    if (any) {
        keep_found(&n->keep, &kept, n->now);
    }
}

/* Every question is answered. */
static void looked_up(struct node *n, struct node_named *d)
{
    struct node_op *op = node_op_get(n, d->op);
    uint8_t cost;
    bool any = false;

    d->looking = false;
    d->at = TSTAMP_NEVER;
    if (d->op == 0) {
        found_kept(n, d);
        return;
    }
    for (size_t i = 0; i < d->lookup.n_addrs; i++) {
        any = any || swarm_dials(n->swarm, &d->lookup.addr[i], &cost);
    }
    if (any) {
        (void)dial_more(n, d, false, QUDAG_OK);
        return;
    }
    if (op != NULL) {
        op->req.name_why = d->lookup.why;
    }
    bool silent = d->lookup.why == NAMES_SILENT || d->lookup.why == NAMES_BAD;
    end(n, d,
        d->lookup.n_addrs > 0 || d->lookup.why == NAMES_NOT_HERE ? QUDAG_EUNSUPPORTED
        : silent                                                 ? QUDAG_EUNREACHABLE
                                                                 : QUDAG_ENOTFOUND);
}

/* Asks what is to be asked; |d| may be gone afterwards. */
static void ask_more(struct node *n, struct node_named *d)
{
    struct names_question q;
    unsigned ix;

    while (names_next(&d->lookup, &ix, &q)) {
        qudag_err err = QUDAG_EUNSUPPORTED;
        if (n->hooks.resolve != NULL) {
            n->hooks_called++;
            err = n->hooks.resolve(n->hooks.ctx, question_id(d, ix), q.kind, q.name);
        }
        if (err != QUDAG_OK) {
            names_answered(&d->lookup, ix, err, NULL, 0);
        }
    }
    if (names_done(&d->lookup)) {
        looked_up(n, d);
    }
}

void node_resolved(struct node *n, uint64_t id, qudag_err err, const struct slice *records,
                   size_t count, tstamp now)
{
    struct node_named *d = find(n, id / NAMES_QUESTIONS_MAX);

    n->now = now;
    if (d != NULL && d->looking) {
        names_answered(&d->lookup, (unsigned)(id % NAMES_QUESTIONS_MAX), err, records, count);
        ask_more(n, d);
    }
}

static void give_up(struct node *n, struct node_named *d)
{
    for (unsigned i = 0; i < d->lookup.n_questions; i++) {
        const struct names_asked *q = &d->lookup.q[i];
        if (q->answered || !q->told) {
            continue;
        }
        if (n->hooks.unresolve != NULL) {
            n->hooks_called++;
            n->hooks.unresolve(n->hooks.ctx, question_id(d, i));
        }
        names_answered(&d->lookup, i, QUDAG_ETIMEOUT, NULL, 0);
    }
    looked_up(n, d);
}

static qudag_err begin(struct node *n, const struct multiaddr *addr, uint64_t op,
                       const struct peer_id *kept)
{
    if (n->closing || n->n_named >= NODE_NAMES_MAX) {
        return QUDAG_ELIMIT;
    }
    struct node_named *d = mem_alloc(n->mem, sizeof(*d));
    qudag_err err = d == NULL ? QUDAG_ENOMEM : names_begin(&d->lookup, addr);
    if (err != QUDAG_OK) {
        mem_free(n->mem, d);
        return err;
    }
    d->id = ++n->named_ids;
    d->op = op;
    d->kept = kept != NULL ? *kept : (struct peer_id){.len = 0};
    d->looking = true;
    d->at = tstamp_after(n->now, NODE_NAMES_TIMEOUT);
    list_init(&d->node);
    list_push_back(&n->named, &d->node);
    n->n_named++;
    ask_more(n, d);
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ who asks */

static bool has_name(const struct multiaddr *addr)
{
    struct slice name, rest;

    return multiaddr_name(addr, &name, &rest) != MULTIADDR_NO_NAME;
}

qudag_err node_begin_dial(struct node *n, struct node_op *op, tstamp now)
{
    struct peer_id id;

    if (op->req.kind == NODE_OP_CONNECT && multiaddr_peer(&op->req.addr, &id)) {
        node_meets_name(n, &id);
    }
    if (!has_name(&op->req.addr)) {
        return node_begin_connect(n, op, now);
    }
    if (!node_rule_resolves(NODE_ADDR_OPERATOR)) {
        return QUDAG_EUNSUPPORTED;
    }
    return begin(n, &op->req.addr, node_op_cookie(op), NULL);
}

void node_cancel_dial(struct node *n, struct node_op *op, tstamp now)
{
    struct node_named *d = of_op(n, node_op_cookie(op));
    (void)now;

    if (d != NULL) {
        drop(n, d);
    }
    node_op_end(n, op, QUDAG_ECANCELED, NULL);
}

void node_names_stop(struct node *n, uint64_t cookie)
{
    struct node_named *d = of_op(n, cookie);

    if (d != NULL) {
        d->over = true;
    } else {
        swarm_dial_stop(n->swarm, n->core[n->ix.links].swarm_ix, cookie, n->now);
    }
}

void node_names_keep(struct node *n, const struct peer_id *peer, const struct multiaddr *addr)
{
    LIST_EACH(it, &n->named)
    {
        if (peer_id_eq(&LIST_ENTRY(it, struct node_named, node)->kept, peer)) {
            return;
        }
    }
    if (has_name(addr) && node_rule_resolves(NODE_ADDR_OPERATOR)) {
        (void)!begin(n, addr, 0, peer); /* without memory the next attempt asks */
    }
}

/* ------------------------------------------------------------------ time */

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    LIST_EACH_SAFE(it, tmp, &n->named)
    {
        struct node_named *d = LIST_ENTRY(it, struct node_named, node);
        if (d->over) {
            end(n, d, QUDAG_ECANCELED);
        } else if (d->at <= now && d->looking) {
            give_up(n, d);
        } else if (d->at <= now) {
            (void)dial_more(n, d, true, QUDAG_OK);
        }
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &n->named)
    {
        const struct node_named *d = LIST_ENTRY(it, struct node_named, node);
        at = tstamp_min(at, d->over ? 0 : d->at);
    }
    return at;
}

qudag_err node_names_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "names", .instance = n, .ops = &ops};
    unsigned ix;

    return node_core_add(n, &core, NULL, &ix);
}
