/*
 * arrow_extend_relays.c - whom a relay extends circuits to: relays of its pool or of the DHT, and services that say so.
 *
 *   onion ─ EXTEND ─▶ descriptor in the pool, or fetched; or the service's own statement ─▶ signed addresses
 *         ◀─ go ───── a link that we dialled stands, or one is made: an address at a time, two at most
 *         ◀─ refuse ─ unknown, unreachable, too many: the onion core makes all of it look alike
 *
 * Others decide that we dial, so everything is bounded and shared by the neighbour that asks (node_rule_extend_*).
 * What was dialled for an EXTEND is never noted as an address of the peer.
 */
#include "node/request_table.h"

#include "wire/onion_ends.h"

#include <string.h>

#define TRIES_MAX 2
#define TRY_FOR (3 * NS_PER_S)
#define FORGIVE_EVERY (15 * NS_PER_S) /* of a target's failures, one */

/* A circuit that waits for a peer. */
struct waiting {
    struct list node; /* in job.waiting */
    struct ref circuit;
    struct peer_id prev;
};

/* A peer that circuits are to be extended to. */
struct job {
    struct list node; /* in node_extends.jobs */
    struct list waiting;
    struct onion_hop to; /* once known: pq_hash and addresses */
    struct peer_id by;   /* the neighbour that made us look */
    uint64_t cookie;     /* of its dial; 0: its descriptor is being fetched */
    size_t next;         /* address to be tried */
    unsigned tries;
    struct netaddr target; /* being dialled */
    tstamp due;
};

/* ---- what there is of a neighbour ---- */

static struct node_extend_load load_of(const struct node *n, const struct peer_id *prev)
{
    struct node_extend_load load = {.jobs = 0};

    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        load.jobs++;
        load.jobs_prev += peer_id_eq(&j->by, prev) ? 1 : 0;
        LIST_EACH(w, &j->waiting)
        {
            load.waiting++;
            load.waiting_prev += peer_id_eq(&LIST_ENTRY(w, struct waiting, node)->prev, prev);
        }
    }
    return load;
}

static struct job *job_of(const struct node *n, const struct peer_id *peer)
{
    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (peer_id_eq(&j->to.peer, peer)) {
            return j;
        }
    }
    return NULL;
}

/* ---- answers ---- */

static void answer(struct node *n, struct ref circuit, bool go)
{
    struct acts *out = node_begin(n);

    if (go) {
        onion_extend_go(n->onion, circuit, n->now, out);
    } else {
        onion_extend_refuse(n->onion, circuit, n->now, out);
    }
    node_end(n, n->ix.onion);
}

static void job_free(struct node *n, struct job *j)
{
    LIST_EACH_SAFE(it, tmp, &j->waiting)
    {
        list_del(it);
        mem_free(n->mem, LIST_ENTRY(it, struct waiting, node));
    }
    list_del(&j->node);
    mem_free(n->mem, j);
}

static void job_end(struct node *n, struct job *j, bool go)
{
    LIST_EACH(it, &j->waiting)
    {
        answer(n, LIST_ENTRY(it, struct waiting, node)->circuit, go);
    }
    job_free(n, j);
}

/* ---- dialling ---- */

/* Whether a link stands that we dialled and that may carry cells. */
static bool linked(const struct node *n, const struct peer_id *peer)
{
    struct link_info info;
    size_t it = 0;

    while (swarm_peer_link_next(n->swarm, peer, &it, &info)) {
        if (node_rule_extend_link(info.props)) {
            return true;
        }
    }
    return false;
}

static struct node_extend_target *target_of(struct node *n, const struct netaddr *host)
{
    struct node_extend_target *old = &n->extends.target[0];

    for (size_t i = 0; i < ARRAY_LEN(n->extends.target); i++) {
        struct node_extend_target *t = &n->extends.target[i];
        if (netaddr_eq(&t->host, host)) {
            return t;
        }
        old = t->at < old->at ? t : old;
    }
    *old = (struct node_extend_target){.host = *host};
    return old;
}

/* What is left of the failures at |host|, which count against whoever sends us there next. */
static struct node_extend_target *target_now(struct node *n, const struct netaddr *host)
{
    struct node_extend_target *t = target_of(n, host);
    uint64_t forgiven = t->at == 0 ? 0 : (n->now - t->at) / FORGIVE_EVERY;

    t->fails -= forgiven < t->fails ? (uint32_t)forgiven : t->fails;
    t->at = t->fails == 0 || t->at == 0 ? n->now : t->at + forgiven * FORGIVE_EVERY;
    return t;
}

static bool busy_with(const struct node *n, const struct netaddr *host)
{
    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->cookie != 0 && netaddr_eq(&j->target, host)) {
            return true;
        }
    }
    return false;
}

/* Begins a dial to |addr|; false: that address is not dialled. */
static bool try_address(struct node *n, struct job *j, const struct multiaddr *addr)
{
    struct transport_target to = {.addr = addr,
                                  .peer = &j->to.peer,
                                  .pq_hash = j->to.pq_hash,
                                  .need = LINK_PQ_KEX | LINK_PQ_AUTH};
    struct netaddr a;
    uint8_t ip = node_rule_own_ip(n->own.local, n->own.n_local);

    if (!node_rule_addr(addr, n->cfg.lab) || !multiaddr_to_netaddr(addr, &a) ||
        (ip != 0 && (ip & (a.family == 4 ? RELAYS_IP4 : RELAYS_IP6)) == 0)) {
        return false;
    }
    struct netaddr host = node_rule_extend_target(&a);
    if (busy_with(n, &host) || !node_rule_extend_may_dial(target_now(n, &host)->fails)) {
        return false;
    }
    uint64_t cookie = ++n->extends.cookies;
    if (swarm_dial_out(n->swarm, n->core[n->ix.extends].swarm_ix, cookie, &to, n->now) !=
        QUDAG_OK) {
        return false;
    }
    j->cookie = cookie;
    j->target = host;
    j->due = tstamp_after(n->now, TRY_FOR);
    return true;
}

/* Goes on with |j|, which may end. */
static void job_step(struct node *n, struct job *j)
{
    if (linked(n, &j->to.peer)) {
        job_end(n, j, true);
        return;
    }
    j->cookie = 0;
    while (j->tries < TRIES_MAX && j->next < j->to.n_addrs) {
        if (try_address(n, j, &j->to.addr[j->next++])) {
            j->tries++;
            return;
        }
    }
    job_end(n, j, false);
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = core;
    (void)now;
    (void)out;

    if (ev->type != EV_STREAM_FAIL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->cookie == ev->cookie) {
            target_now(n, &j->target)->fails += ev->err == QUDAG_OK ? 0 : 1;
            job_step(n, j);
            return;
        }
    }
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct node *n = core;
    (void)out;

    LIST_EACH_SAFE(it, tmp, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->due <= now) { /* given up: its end comes as an event, or it has ended */
            j->due = TSTAMP_NEVER;
            swarm_dial_stop(n->swarm, n->core[n->ix.extends].swarm_ix, j->cookie, now);
        }
    }
}

static tstamp deadline(const void *core)
{
    const struct node *n = core;
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &n->extends.jobs)
    {
        at = tstamp_min(at, LIST_ENTRY(it, struct job, node)->due);
    }
    return at;
}

/* ---- asked ---- */

qudag_err node_begin_extend_fetch(struct node *n, struct node_op *op, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err = kad_get(n->kad, node_op_cookie(op), op->req.key, NULL, now, out);

    node_end(n, n->ix.dht);
    return err;
}

static void learn(struct onion_hop *to, const struct relay_desc *d)
{
    memcpy(to->pq_hash, d->pq_hash, sizeof(to->pq_hash));
    for (size_t i = 0; i < d->n_addrs && i < ONION_ADDRS_MAX; i++) {
        to->addr[to->n_addrs++] = d->addr[i];
    }
}

/* It does not enter the pool: whoever sends us EXTENDs must not choose whom we know. */
void node_finish_extend_fetch(struct node *n, struct node_op *op, qudag_err err,
                              const struct node_result *res)
{
    struct job *j = job_of(n, &op->req.peer);
    struct relay_desc *d = mem_alloc(n->mem, sizeof(*d));

    if (j != NULL && j->cookie == 0) {
        bool known =
            err == QUDAG_OK && d != NULL &&
            node_rule_fetched(d, &j->to.peer, res->value, node_wall(n, n->now)) == QUDAG_OK;
        if (known) {
            learn(&j->to, d);
            job_step(n, j);
        } else {
            job_end(n, j, false);
        }
    }
    mem_free(n->mem, d);
    node_op_free(n, op);
}

static bool fetch(struct node *n, const struct peer_id *peer)
{
    struct node_request r = {.kind = NODE_OP_EXTEND_FETCH, .peer = *peer};
    uint8_t key[NODE_RELAY_KEY_MAX];

    r.key = (struct slice){key, node_rule_relay_key(key, peer)};
    return node_op_new(n, &r) != NULL;
}

static bool job_wait(struct node *n, struct job *j, struct ref circuit, const struct peer_id *prev)
{
    struct waiting *w = mem_alloc(n->mem, sizeof(*w));

    if (w != NULL) {
        w->circuit = circuit;
        w->prev = *prev;
        list_push_back(&j->waiting, &w->node);
    }
    return w != NULL;
}

static struct job *job_new(struct node *n, const struct onion_ask *ask)
{
    struct job *j = mem_alloc(n->mem, sizeof(*j));

    if (j != NULL) {
        j->to = ask->to;
        j->by = ask->prev;
        j->due = TSTAMP_NEVER;
        list_init(&j->waiting);
        list_push_back(&n->extends.jobs, &j->node);
    }
    return j;
}

/* Whether |ask| names somebody we may extend to, as far as can be said at once: then ask->to says where it is. */
static enum node_extend_known who(struct node *n, struct onion_ask *ask)
{
    if (ask->ends) {
        bool holds = onion_ends_check(&ask->to, node_wall(n, n->now)) == QUDAG_OK;
        return holds ? NODE_EXTEND_KNOWN : NODE_EXTEND_REFUSED;
    }
    return relays_get(n->relays, &ask->to.peer, &ask->to) ? NODE_EXTEND_KNOWN : NODE_EXTEND_FETCH;
}

void node_extend(struct node *n, const struct act *a)
{
    struct onion_ask ask = *(const struct onion_ask *)a->ptr;
    enum node_extend_known known = who(n, &ask);
    struct node_extend_load load = load_of(n, &ask.prev);
    struct job *j = known == NODE_EXTEND_REFUSED ? NULL : job_of(n, &ask.to.peer);

    if (known == NODE_EXTEND_KNOWN && linked(n, &ask.to.peer)) {
        answer(n, a->obj, true);
        return;
    }
    if (j != NULL) { /* a dial to it, or a search for it, is under way */
        if (!node_rule_extend_wait(&load) || !job_wait(n, j, a->obj, &ask.prev)) {
            answer(n, a->obj, false);
        }
        return;
    }
    bool may = known != NODE_EXTEND_REFUSED && node_rule_extend_job(&load);
    j = may ? job_new(n, &ask) : NULL;
    if (j == NULL || !job_wait(n, j, a->obj, &ask.prev)) {
        if (j != NULL) {
            job_free(n, j);
        }
        answer(n, a->obj, false);
    } else if (known == NODE_EXTEND_KNOWN) {
        job_step(n, j);
    } else if (!fetch(n, &ask.to.peer)) {
        job_end(n, j, false);
    }
}

static void release(void *core)
{
    struct node *n = core;

    while (!list_empty(&n->extends.jobs)) {
        job_free(n, LIST_ENTRY(n->extends.jobs.next, struct job, node));
    }
}

qudag_err node_extends_init(struct node *n)
{
    static const struct core_ops ops = {.event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {.name = "extends", .instance = n, .ops = &ops, .free = release};

    list_init(&n->extends.jobs);
    return node_core_add(n, &core, NULL, &n->ix.extends);
}
