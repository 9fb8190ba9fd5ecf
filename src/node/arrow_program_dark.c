/*
 * arrow_program_dark.c - dark addresses of the program: made, published, resolved, forgotten.
 *
 *   NODE_OP_DARK_* ─▶ dark ─ PUBLISHED, RESOLVED ─▶ the request ends; what is on disk follows
 *   NODE_OP_DARK_UNPUBLISH ─▶ dark; circuits of callers end
 *   dark ─ SAVE ─▶ saved.c, PUT and GET ─▶ arrow_dark_gateway.c
 */
#include "node/request_table.h"

#include <string.h>

#define STATEMENT_LIFE (14 * 3600) /* s; a record lives 12 h from the hour on */

/* The limit of onion keys first: what is on disk is taken back at every start, so it must fit. */
static qudag_err take_keys(struct node *n, struct dark_keys *k)
{
    qudag_err err = k->kind == DARK_DIRECT ? node_keys_listen(n, k) : QUDAG_OK;

    if (err != QUDAG_OK) {
        return err;
    }
    if ((err = node_saved_dark_keys(n, k)) == QUDAG_OK &&
        (err = dark_own(n->dark, k)) != QUDAG_OK) {
        node_saved_forget_dark_keys(n, &k->addr);
    }
    if (err != QUDAG_OK) {
        onion_key_del(n->onion, k->key_id);
    }
    return err;
}

enum dark_network node_dark_network(const struct node *n)
{
    return n->cfg.lab ? DARK_NET_LAB : DARK_NET_MAIN;
}

qudag_err node_dark_create(struct node *n, const struct node_dark_of *of, const char *label,
                           tstamp now, struct dark_addr *out)
{
    struct dark_keys k;
    qudag_err err = dark_keys_create(&k, of->network, label, node_wall(n, now), &n->cfg.rng);

    if (err == QUDAG_OK) {
        struct dark_addr addr = k.addr;
        k.kind = of->kind;
        err = take_keys(n, &k);
        dark_keys_fini(&k);
        *out = err == QUDAG_OK ? addr : *out;
    }
    return err;
}

bool node_dark_takes(const struct node *n, const struct dark_addr *a)
{
    return dark_network_takes(node_dark_network(n), (enum dark_network)a->network);
}

static bool waits_for_republish(const struct node *n, const struct dark_addr *a)
{
    for (size_t i = 0; i < n->n_republish; i++) {
        if (memcmp(&n->republish[i], a, sizeof(*a)) == 0) {
            return true;
        }
    }
    return false;
}

static void republish_later(struct node *n, const struct dark_addr *a)
{
    if (!waits_for_republish(n, a) && n->n_republish < DARK_ADDRS_MAX) {
        n->republish[n->n_republish++] = *a;
    }
}

/* What ends at us, by the address's own onion key. */
static qudag_err publish_direct(struct node *n, struct node_op *op, tstamp now)
{
    struct onion_hop self;

    if (reach_for_cells(&n->reach, NULL, 1) == 0) { /* the record would lead nowhere yet */
        republish_later(n, &op->req.dark);
        return QUDAG_EUNREACHABLE;
    }
    qudag_err listens = node_keys_listen(n, dark_own_get(n->dark, &op->req.dark));
    if (listens != QUDAG_OK && listens != QUDAG_EEXISTS) { /* not since it was unpublished */
        return listens;
    }
    memset(&self, 0, sizeof(self));
    peer_id_from_ed25519(&self.peer, n->cfg.identity->ed_pk);
    memcpy(self.pq_hash, n->cfg.identity->pq_hash, sizeof(self.pq_hash));
    self.n_addrs = (uint8_t)reach_for_cells(&n->reach, self.addr, ONION_ADDRS_MAX);
    struct acts *out = node_begin(n);
    struct dark_publish_want want = {.cookie = node_op_cookie(op),
                                     .addr = &op->req.dark,
                                     .self = &self,
                                     .how = op->notified ? DARK_PUBLISH_RESUME : DARK_PUBLISH_NOW};
    qudag_err err = dark_publish(n->dark, &want, now, out);
    node_end(n, n->ix.dark);
    return err;
}

qudag_err node_begin_dark_publish(struct node *n, struct node_op *op, tstamp now)
{
    const struct dark_keys *k = dark_own_get(n->dark, &op->req.dark);

    if (k == NULL) {
        return QUDAG_ENOTFOUND;
    }
    op->asked = true;
    return k->kind == DARK_HIDDEN ? node_service_publish(n, op, now) : publish_direct(n, op, now);
}

/* SPEC: rendezvous R-41, TU-10: nobody is let in at |k| from now on, and who came by it before is sent away. */
static void turn_away(struct node *n, const struct dark_keys *k, tstamp now)
{
    const uint64_t tag = node_keys_tag(&k->addr);
    struct onion_info info;

    onion_key_del(n->onion, k->key_id);
    node_service_end(n, &k->addr, now);
    for (size_t it = 0; onion_next(n->onion, &it, &info);) {
        if (node_service_brought(&info, tag)) {
            (void)!node_circuit_cancel(n, info.circuit);
        }
    }
}

/* It is not to be published again at the next chance either. */
static void no_republish(struct node *n, const struct dark_addr *a)
{
    for (size_t i = n->n_republish; i-- > 0;) {
        if (memcmp(&n->republish[i], a, sizeof(*a)) == 0) {
            n->republish[i] = n->republish[--n->n_republish];
        }
    }
}

qudag_err node_begin_dark_forget(struct node *n, struct node_op *op, tstamp now)
{
    const struct dark_keys *k = dark_own_get(n->dark, &op->req.dark);

    if (k != NULL) {
        turn_away(n, k, now);
    }
    struct acts *out = node_begin(n);
    qudag_err err = dark_forget(n->dark, node_op_cookie(op), &op->req.dark, now, out);
    node_end(n, n->ix.dark);
    return err;
}

qudag_err node_begin_dark_resolve(struct node *n, struct node_op *op, tstamp now)
{
    const struct dark_question q = {node_op_cookie(op), &op->req.dark, op->req.dark_user};
    struct acts *out = node_begin(n);
    qudag_err err = dark_resolve(n->dark, &q, now, out);

    node_end(n, n->ix.dark);
    return err;
}

/* It goes on, so that what lies on disk follows. */
void node_cancel_dark(struct node *n, struct node_op *op, tstamp now)
{
    (void)now;
    node_op_notify(n, op, QUDAG_ECANCELED);
}

static void on_save(struct node *n, const struct act *a, tstamp now)
{
    const struct dark_keys *k = a->ptr;
    qudag_err err = node_saved_dark_keys(n, k);
    walltime hour = node_wall(n, now) / 3600 * 3600;

    if (err == QUDAG_OK) { /* a record is about to be made */
        err = dark_sign_target(n->dark, &k->addr, n->cfg.identity, hour + STATEMENT_LIFE);
        err = err == QUDAG_EINVAL ? QUDAG_OK : err; /* it is being forgotten: it leads nowhere */
    }
    dark_saved(n->dark, a->cookie, err, now, node_begin(n));
    node_end(n, n->ix.dark);
}

/* The next request like |op| that waits for the dark core, which knows one of them. */
static struct node_op *another(struct node *n, const struct node_request *like)
{
    LIST_EACH(it, &n->running)
    {
        struct node_op *op = LIST_ENTRY(it, struct node_op, node);
        if (op->req.kind == like->kind && op->asked &&
            memcmp(&op->req.dark, &like->dark, sizeof(like->dark)) == 0) {
            return op;
        }
    }
    return NULL;
}

qudag_err node_begin_dark_unpublish(struct node *n, struct node_op *op, tstamp now)
{
    const struct dark_addr addr = op->req.dark;
    const struct node_request like = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    const struct dark_keys *k = dark_own_get(n->dark, &addr);
    struct node_op *waits;

    if (k == NULL) {
        return QUDAG_ENOTFOUND;
    }
    turn_away(n, k, now);
    no_republish(n, &addr);
    while ((waits = another(n, &like)) !=
           NULL) { /* what the dark core still says of it is for nobody */
        node_op_end(n, waits, QUDAG_ECANCELED, NULL);
    }
    dark_unpublish(n->dark, &addr);
    node_saved_published(n, &addr, false);
    (void)!node_saved_service_keys(n, &addr, (struct slice){NULL, 0});
    node_op_end(n, op, QUDAG_OK, NULL);
    return QUDAG_OK;
}

static void on_published(struct node *n, const struct act *a)
{
    struct node_op *op = node_op_get(n, a->cookie);
    struct node_result res = {.count = (uint32_t)a->n};

    if (a->err == QUDAG_OK && a->n > 0) {
        node_clock_agreed(n, NODE_CLOCK_PUTS, (uint32_t)a->n);
    }
    if (op == NULL) {
        return; /* a repeat, or one of ours at start */
    }
    if (op->req.kind == NODE_OP_DARK_FORGET) {
        node_saved_forget_dark_keys(n, &op->req.dark);
    } else if (a->err == QUDAG_OK) {
        node_saved_published(n, &op->req.dark, true);
    }
    const struct node_request like = {.kind = op->req.kind, .dark = op->req.dark};
    do {
        node_op_end(n, op, a->err, &res);
    } while ((op = another(n, &like)) != NULL);
}

static void on_resolved(struct node *n, const struct act *a)
{
    struct node_op *op = node_op_get(n, a->cookie);
    struct node_result res = {.cached = a->n == 1};
    qudag_err err = a->err == QUDAG_OK ? node_rule_reachable(a->ptr) : a->err;

    res.target = err == QUDAG_OK ? a->ptr : NULL;
    if (op != NULL) {
        node_op_end(n, op, err, &res);
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    switch (a->kind) {
    case DARK_UP_SAVE:
        on_save(n, a, now);
        break;
    case DARK_UP_PUT:
    case DARK_UP_GET:
        node_dark_wanted(n, a, now);
        break;
    case DARK_UP_RESOLVED:
        on_resolved(n, a);
        break;
    case DARK_UP_PUBLISHED:
        on_published(n, a);
        break;
    default:
        break;
    }
}

/* A direct one would lead nowhere while nobody is told an address of ours. */
static bool may_republish(const struct node *n, const struct dark_addr *a)
{
    const struct dark_keys *k = dark_own_get(n->dark, a);

    return reach_for_cells(&n->reach, NULL, 1) > 0 || (k != NULL && k->kind == DARK_HIDDEN);
}

void node_dark_republish(struct node *n)
{
    if (node_small_network_check(n) != QUDAG_OK) {
        return;
    }
    for (size_t i = n->n_republish; i-- > 0;) {
        struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = n->republish[i]};
        struct node_op *op = may_republish(n, &r.dark) ? node_op_new(n, &r) : NULL;
        if (op != NULL) {        /* else with the next relay */
            op->notified = true; /* the program did not ask */
            n->republish[i] = n->republish[--n->n_republish];
        }
    }
}

void node_dark_republish_later(struct node *n)
{
    const struct dark_keys *k;
    bool published;
    walltime until;

    for (size_t it = 0; dark_own_next(n->dark, &it, &k, &published, &until);) {
        if (published) {
            republish_later(n, &k->addr);
        }
    }
}

void node_dark_rekeyed(struct node *n)
{
    const struct dark_keys *k;
    bool published;
    walltime until;

    for (size_t it = 0; dark_own_next(n->dark, &it, &k, &published, &until);) {
        if (published && k->kind == DARK_DIRECT) { /* what others call hides who serves it */
            republish_later(n, &k->addr);
        }
    }
}

static void dark_release(void *dark)
{
    dark_free(dark);
}

static void tick(void *dark, tstamp now, struct acts *out)
{
    dark_tick(dark, now, out);
}

static tstamp deadline(const void *dark)
{
    return dark_deadline(dark);
}

qudag_err node_dark_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct dark_config c = {.mem = n->mem,
                            .rng = n->cfg.rng,
                            .log = n->cfg.log,
                            .clock = n->cfg.clock,
                            .network = node_dark_network(n),
                            .delay_max_ns = n->cfg.dark_delay_max_ns,
                            .cover_per_hour = n->cfg.dark_dummies,
                            .show_cache = n->cfg.dark_show_cache};
    qudag_err err = dark_new(&n->dark, &c);

    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {
        .name = "dark", .instance = n->dark, .ops = &ops, .report = report, .free = dark_release};
    return node_core_add(n, &core, NULL, &n->ix.dark);
}
