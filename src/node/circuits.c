/*
 * circuits.c - circuits we are client of: relays chosen, built, tried again, given up.
 *
 *   start ─ path ─▶ onion_build ─ BUILT ─▶ open ─ use.built ─▶ ... ─ CLOSED ─▶ use.failed
 *                        ▲          └ CLOSED: the hop is blamed, another path, NODE_CIRCUIT_TRIES times ┘
 *
 * While relays are still being met, or the guards do not answer just now, start waits for a bounded time instead of
 * failing.
 *
 * Which relays, and who is to blame: paths.c.
 *
 * What a circuit is for is its node_circuit_use; this file knows none of them.
 *
 * Where a clean circuit waits that will do (clean.h), it is taken, and its last hop added, instead of building one.
 */
#include "node/internal.h"

#include <string.h>

#define PATH_RETRY (250 * NS_PER_MS) /* while relays are awaited */

/* |c|, which was not open, is built (QUDAG_OK), or it never will be. */
static void measure(struct node *n, const struct node_circuit *c, qudag_err err)
{
    if (c->use->carried) {
        node_meter_hidden(&n->meters, err, n->now - c->since);
    } else {
        node_meter_circuit(&n->meters, c->use->meter, err, n->now - c->since);
    }
}

/* Takes it out of the list and off its request; the onion core may still know it. */
static void detach(struct node *n, struct node_circuit *c)
{
    struct node_op *op = slots_get(&n->optab, c->op);

    if (op != NULL && op->circuit == c) {
        op->circuit = NULL;
    }
    list_del(&c->node);
}

static void circuit_free(struct node *n, struct node_circuit *c)
{
    LIST_EACH_SAFE(it, tmp, &c->waiting)
    {
        LIST_ENTRY(it, struct node_stream, wait)->via = NULL;
        list_del(it);
    }
    mem_free(n->mem, c);
}

static bool may_take(const struct node_circuit *c, const struct node_circuit *stem, tstamp now)
{
    struct node_clean_one one = {
        .built = stem->open && !stem->canceled, .hops = stem->n_hops, .leaves = stem->leave_at};

    return node_circuit_waits_for(stem, c) && node_clean_may_take(&one, node_path_hops(c), now);
}

/* Makes |stem|, which waits, the beginning of |c|; |near|: see struct relays_path_want.  false: it will not do. */
static bool complete(struct node *n, struct node_circuit *c, struct node_circuit *stem, bool near,
                     tstamp now)
{
    if (!may_take(c, stem, now) || node_path_complete(n, c, stem, near) != QUDAG_OK) {
        return false;
    }
    struct acts *out = node_begin(n);
    qudag_err err = onion_complete(n->onion, stem->onion, &c->path[c->n_hops - 1], now, out);
    node_end(n, n->ix.onion);
    if (err != QUDAG_OK) {
        return false;
    }
    c->onion = stem->onion;
    c->reached = stem->n_hops;
    detach(n, stem);
    circuit_free(n, stem);
    return true;
}

/* SPEC: path-selection P-35: whether what waits for the service of |c| can be completed to whatever relay. */
static bool covers_all(struct node *n, const struct node_circuit *c)
{
    struct node_clean_path path[NODE_CLEAN_MAX];
    size_t k = 0;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *stem = LIST_ENTRY(it, struct node_circuit, node);
        if (k < NODE_CLEAN_MAX && may_take(c, stem, n->now) && node_path_holds(n, stem)) {
            path[k++] = (struct node_clean_path){stem->path, stem->n_hops};
        }
    }
    return node_clean_cover_all(path, k);
}

/* Takes what has waited longest of all that will do, if they may be |near| to the last hop; false: none does. */
static bool take_one(struct node *n, struct node_circuit *c, bool near)
{
    LIST_EACH(it, &n->circuits)
    {
        if (complete(n, c, LIST_ENTRY(it, struct node_circuit, node), near, n->now)) {
            return true;
        }
    }
    return false;
}

/* Takes a clean circuit for |c|; false: none will do. */
static bool take_clean(struct node *n, struct node_circuit *c)
{
    if (c->use->stem || c->tries > 0) {
        return false;
    }
    bool may = !c->use->meets || covers_all(n, c);
    node_clean_use(n, c);
    if (!may || !(take_one(n, c, false) || take_one(n, c, true))) {
        return false;
    }
    if (c->use->begun != NULL) {
        c->use->begun(n, c, n->now); /* its first hop answered long ago */
    }
    return true;
}

static qudag_err build(struct node *n, struct node_circuit *c)
{
    if (take_clean(n, c)) {
        c->unspent = false;
        return QUDAG_OK;
    }
    qudag_err err = node_path_choose(n, c);
    if (err != QUDAG_OK) {
        return err;
    }
    struct acts *out = node_begin(n);
    err = c->use->stem ? onion_build_stem(n->onion, c->path, c->n_hops, n->now, out, &c->onion)
                       : onion_build(n->onion, c->path, c->n_hops, n->now, out, &c->onion);
    node_end(n, n->ix.onion);
    c->unspent = c->unspent && err != QUDAG_OK;
    return err;
}

/*
 * |c| ends with |err|: the budget has back what was taken for a circuit that was not begun, or that got no farther than
 * our own relays (our own network was away, or relays are dead).
 */
static void give_back(struct node *n, struct node_circuit *c, qudag_err err)
{
    bool begun = !c->unspent || !node_budget_ours(err);

    if (c->use->to_service && !c->open && node_budget_untouched(begun, c->reached, c->relays)) {
        c->unspent = false;
        node_budget_back(&n->budget, &c->dark, &c->key);
    }
}

static qudag_err build_or_wait(struct node *n, struct node_circuit *c)
{
    qudag_err err = build(n, c);

    if (node_path_awaited(n, c, err)) {
        c->no_path = true;
        n->path_retry_at = tstamp_min(n->path_retry_at, tstamp_after(n->now, PATH_RETRY));
        err = QUDAG_OK;
    }
    return err;
}

/* Without path, in no list; NULL: no memory. */
static struct node_circuit *circuit_new(struct node *n, const struct node_circuit_use *use)
{
    struct node_circuit *c = mem_alloc(n->mem, sizeof(*c));

    if (c != NULL) {
        list_init(&c->waiting);
        c->times = node_life_unused();
        c->use = use;
        c->since = n->now;
        c->relays = n->cfg.hops;
    }
    return c;
}

qudag_err node_circuit_start(struct node *n, const struct node_circuit_use *use, struct node_op *op,
                             const struct dark_addr *dark, const struct onion_hop *target,
                             struct node_circuit **out)
{
    struct node_circuit *c = circuit_new(n, use);

    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    if (op != NULL) {
        c->relays = op->req.hops != 0 ? op->req.hops : c->relays;
        c->op = op->ref;
        c->apart = op->req.peer;
    }
    if (use->to_service) {
        c->dark = *dark;
        c->target = *target;
        c->unspent = true;
    }
    qudag_err err = build_or_wait(n, c);
    if (err != QUDAG_OK) {
        measure(n, c, err);
        mem_free(n->mem, c);
        return err;
    }
    if (op != NULL) {
        op->circuit = c;
    }
    list_push_back(&n->circuits, &c->node);
    *out = c;
    return QUDAG_OK;
}

qudag_err node_circuit_start_end(struct node *n, const struct node_circuit_use *use,
                                 const struct node_circuit_end *end, struct node_circuit **out)
{
    struct node_circuit *c = circuit_new(n, use);

    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    c->id = end->id;
    c->call = end->call;
    if (use->to_relay) {
        c->target = *end->relay;
    }
    while (c->n_avoid < end->n_avoid && c->n_avoid < NODE_CIRCUIT_AVOID) {
        c->avoid[c->n_avoid] = end->avoid[c->n_avoid];
        c->n_avoid++;
    }
    qudag_err err = build_or_wait(n, c);
    if (err != QUDAG_OK) {
        measure(n, c, err);
        mem_free(n->mem, c);
        return err;
    }
    list_push_back(&n->circuits, &c->node);
    *out = c;
    return QUDAG_OK;
}

qudag_err node_circuit_start_stem(struct node *n, const struct node_circuit_use *use,
                                  uint8_t relays, uint64_t call)
{
    struct node_circuit *c = circuit_new(n, use);

    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    c->relays = relays;
    c->call = call;
    qudag_err err = build(n, c);
    if (err != QUDAG_OK) {
        measure(n, c, err);
        mem_free(n->mem, c);
        return err;
    }
    list_push_back(&n->circuits, &c->node);
    return QUDAG_OK;
}

qudag_err node_circuit_hold(struct node *n, const struct node_circuit_use *use,
                            const struct dark_addr *dark, struct node_circuit **out)
{
    struct node_circuit *c = circuit_new(n, use);

    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    c->dark = *dark;
    c->unspent = true;
    list_push_back(&n->circuits, &c->node);
    *out = c;
    return QUDAG_OK;
}

void node_circuit_carried(struct node *n, struct node_circuit *c, struct ref onion, tstamp now)
{
    c->onion = onion;
    c->open = true;
    c->unspent = false;
    measure(n, c, QUDAG_OK);
    c->use->built(n, c, now); /* |c| may be gone */
}

/* The newest first: most of what happens to circuits is that they are built. */
static struct node_circuit *by_ref(const struct node *n, struct ref onion)
{
    for (struct list *it = n->circuits.prev; it != &n->circuits; it = it->prev) {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (ref_eq(c->onion, onion)) {
            return c;
        }
    }
    return NULL;
}

struct node_circuit *node_circuit_get(struct node *n, struct ref circuit)
{
    return by_ref(n, circuit);
}

struct node_circuit *node_circuit_for(struct node *n, const struct dark_addr *dark,
                                      const struct node_isolation *key)
{
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        struct node_carrier carrier = {.to_service = c->use->to_service,
                                       .given_up = c->canceled || c->expired || c->ended,
                                       .life = node_life_at(&c->times, n->now),
                                       .to = c->dark,
                                       .key = c->key};
        if (node_isolation_may_carry(&carrier, dark, key)) {
            return c;
        }
    }
    return NULL;
}

void node_circuit_used(struct node *n, struct node_circuit *c)
{
    if (c->times.dirty == TSTAMP_NEVER) {
        c->times = node_life_begin(n->now, &n->cfg.rng);
        n->life_at = tstamp_min(n->life_at, tstamp_after(n->now, c->times.quiet));
    }
}

void node_circuits_free(struct node *n)
{
    LIST_EACH_SAFE(it, tmp, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        detach(n, c);
        circuit_free(n, c);
    }
}

static void close_onion(struct node *n, struct ref onion, tstamp now)
{
    onion_close(n->onion, onion, now, node_begin(n));
    node_end(n, n->ix.onion);
}

static void path_ended(struct node *n, struct node_circuit *c, uint64_t hop, qudag_err err,
                       tstamp now)
{
    if (!c->use->carried) { /* else that of its carrier is judged */
        node_path_ended(n, c, hop, err, now);
    }
}

void node_circuit_end(struct node *n, struct node_circuit *c, tstamp now)
{
    struct ref onion = c->onion;

    c->canceled = true;
    if (!c->open) {
        measure(n, c, QUDAG_ECANCELED);
    }
    path_ended(n, c, 0, QUDAG_ECANCELED, now);
    detach(n, c);
    circuit_free(n, c);
    close_onion(n, onion, now);
}

void node_circuit_close_of(struct node *n, struct node_op *op, tstamp now)
{
    if (op->circuit != NULL) {
        node_circuit_end(n, op->circuit, now);
    }
}

static void on_built(struct node *n, const struct act *a, tstamp now)
{
    struct node_circuit *c = by_ref(n, a->obj);

    if (c == NULL) { /* given up meanwhile */
        close_onion(n, a->obj, now);
        return;
    }
    c->open = true;
    measure(n, c, QUDAG_OK);
    node_path_built(n, c, now);
    if (!c->use->stem) {
        node_padding_built(n, c);
    }
    node_padding_link(n, c);
    c->use->built(n, c, now); /* |c| may be gone */
}

/*
 * What a relay failed in is not the service's doing; what may be costs the budget of its address.  One that was not
 * reached from the last relay may have moved: not the same way again, a newer record is asked for.  A relay that two
 * others could not reach is gone, and whoever named it has more.
 */
static bool may_try_again(struct node *n, struct node_circuit *c, uint64_t hop, tstamp now)
{
    bool by_relay = hop >= 1 && hop <= c->relays;

    if (c->use->to_relay && c->target_failed) {
        return ++c->misses < NODE_CIRCUIT_MISSES;
    }
    if (by_relay || !c->use->to_service) {
        return true;
    }
    c->unspent =
        !c->target_failed && node_budget_take(&n->budget, &c->dark, &c->key, now) == QUDAG_OK;
    return c->unspent;
}

/* What broke in use at a relay that the far end did not choose is not held against its address. */
static void spare(struct node *n, const struct node_circuit *c, uint64_t hop, tstamp now)
{
    bool beyond = c->use->to_service && !c->use->carried;

    if (c->open && !c->canceled && !c->expired && (beyond || c->carries_to) &&
        node_budget_by_relays(hop, c->relays, beyond)) {
        node_budget_spare(&n->budget, &c->dark, &c->key, now);
    }
}

static void on_closed(struct node *n, const struct act *a, tstamp now)
{
    struct node_circuit *c = by_ref(n, a->obj);
    qudag_err err = c != NULL && c->expired ? QUDAG_EEXPIRED : a->err;
    struct link_ev down = {.type = LINK_DOWN, .link = a->obj, .err = err};

    if (c != NULL) {
        c->ended = c->open; /* whoever opens a stream again in a hook needs another */
    }
    swarm_link_event(n->swarm, n->circuit_tp, &down, now);
    if (c == NULL) {
        return;
    }
    path_ended(n, c, a->n, a->err, now);
    spare(n, c, a->n, now);
    c->target_failed =
        (c->use->to_service || c->use->to_relay) && !c->open && c->reached >= c->relays;
    if (!c->open && !c->canceled && !c->use->stem && ++c->tries < NODE_CIRCUIT_TRIES &&
        may_try_again(n, c, a->n, now)) {
        qudag_err next = build_or_wait(n, c);
        if (next == QUDAG_OK) {
            return;
        }
        give_back(n, c, next);
        err = next == QUDAG_ENOGUARD ? next : err;
    } else {
        give_back(n, c, err);
    }
    err = !c->open && err == QUDAG_OK ? QUDAG_ECIRCUIT : err;
    if (!c->open) {
        measure(n, c, c->canceled ? QUDAG_ECANCELED : err);
    }
    detach(n, c);
    c->use->failed(n, c, err, now);
    circuit_free(n, c);
}

void node_circuit_lost(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    c->target_failed = err == QUDAG_ESTALE || err == QUDAG_ETIMEOUT ||
                       (err == QUDAG_EUNREACHABLE && c->misses > 0);
    give_back(n, c, err);
    measure(n, c, err);
    detach(n, c);
    c->use->failed(n, c, err, now);
    circuit_free(n, c);
}

/* Another try for |c|, which had no path; false: it waits on. */
static bool try_path(struct node *n, struct node_circuit *c, tstamp now)
{
    qudag_err err = build(n, c);

    if (node_path_awaited(n, c, err)) {
        return false;
    }
    c->no_path = false;
    if (err != QUDAG_OK) {
        give_back(n, c, err);
        measure(n, c, err);
        detach(n, c);
        c->use->failed(n, c, err, now);
        circuit_free(n, c);
    }
    return true;
}

static struct node_circuit *without_path(struct node *n, const struct node_circuit *after)
{
    bool seen = after == NULL;

    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (seen && c->no_path) {
            return c;
        }
        seen = seen || c == after;
    }
    return NULL;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out; /* is node.acts, to which build() adds */

    if (now < n->path_retry_at) {
        return;
    }
    n->path_retry_at = TSTAMP_NEVER;
    for (struct node_circuit *c = without_path(n, NULL); c != NULL; c = without_path(n, c)) {
        if (try_path(n, c,
                     now)) { /* hooks ran: the list may be another, so the rest comes next time */
            n->path_retry_at = now;
            return;
        }
        n->path_retry_at = tstamp_after(now, PATH_RETRY);
    }
}

static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->path_retry_at;
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_circuit *c = a->kind == ONION_UP_HOP ? by_ref(n, a->obj) : NULL;

    if (c != NULL) {
        c->reached = a->n;
        if (a->n == 1 && c->use->begun != NULL) {
            c->use->begun(n, c, now);
        }
    } else if (a->kind == ONION_UP_BUILT) {
        on_built(n, a, now);
    } else if (a->kind == ONION_UP_CLOSED) {
        on_closed(n, a, now);
    } else if (a->kind == ONION_UP_INBOUND) {
        node_keys_called(n, a->cookie, now);
    } else if (a->kind == ONION_UP_EXTEND) {
        node_extend(n, a);
    } else if (a->kind == ONION_UP_EVENT) {
        swarm_link_event(n->swarm, n->circuit_tp, a->ptr, now);
    }
}

static void onion_release(void *onion)
{
    onion_free(onion);
}

static void relays_release(void *node)
{
    relays_free(((struct node *)node)->relays);
}

static qudag_err make_relays(struct node *n, const struct peer_id *self)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct relays_config r = {.mem = n->mem, .rng = n->cfg.rng, .self = *self, .lab = n->cfg.lab};
    qudag_err err = relays_new(&n->relays, &r);
    unsigned ix;

    n->path_retry_at = TSTAMP_NEVER;
    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {.name = "relays", .instance = n, .ops = &ops, .free = relays_release};
    return node_core_add(n, &core, NULL, &ix);
}

qudag_err node_circuits_init(struct node *n, tstamp now)
{
    struct onion_config o = {.mem = n->mem,
                             .rng = n->cfg.rng,
                             .log = n->cfg.log,
                             .relay = n->cfg.relay,
                             .circuits_max = n->cfg.circuits_max,
                             .build_ns = n->cfg.times.build};

    peer_id_from_ed25519(&o.self, n->cfg.identity->ed_pk);
    memcpy(o.self_pq_hash, n->cfg.identity->pq_hash, sizeof(o.self_pq_hash));
    qudag_err err = onion_new(&n->onion, &o, now);
    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {.name = "onion",
                             .instance = n->onion,
                             .ops = &onion_ops,
                             .report = report,
                             .free = onion_release};
    err = node_core_add(n, &core, ONION_PROTOCOL, &n->ix.onion);
    return err == QUDAG_OK ? make_relays(n, &o.self) : err;
}

qudag_err node_circuit_cancel(struct node *n, struct ref circuit)
{
    struct node_circuit *c = by_ref(n, circuit);
    struct onion_info info;

    if (onion_info_get(n->onion, circuit, &info) != QUDAG_OK || info.role == ONION_RELAY) {
        return QUDAG_ESTALE; /* what only passes through is its client's to close */
    }
    if (c != NULL) {
        c->canceled = true;
    }
    close_onion(n, circuit, n->now);
    return QUDAG_OK;
}

void node_circuit_expire(struct node *n, struct node_circuit *c)
{
    c->expired = true;
    close_onion(n, c->onion, n->now);
}

const char *node_circuit_purpose(const struct node *n, struct ref circuit)
{
    const struct node_circuit *c = by_ref(n, circuit);

    return c != NULL ? c->use->name : "";
}
