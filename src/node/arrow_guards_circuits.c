/*
 * arrow_guards_circuits.c - guards: their descriptors come through circuits, and those that are silent are dialled.
 *
 *   relays ─ a guard's descriptor ages ─▶ NODE_OP_GUARD_FETCH ─ a circuit ─▶ gateway at its end ─▶ DHT ─▶ relays
 *   relays ─ the guard in use, before it is needed ─▶ NODE_OP_GUARD_DIAL ─▶ swarm, and its link is held
 *   relays ─ a guard does not answer ─▶ NODE_OP_GUARD_DIAL ─▶ swarm ─▶ relays
 *                                          └ in vain ─▶ NODE_OP_GUARD_WITNESS ─▶ DHT ─▶ relays: others answer
 *
 * To ask the DHT in the open for the descriptor of one relay again and again says who the guard is.
 */
#include "node/request_table.h"

#include <string.h>

#define LOOK_EVERY (2 * NS_PER_S)
#define SAVE_EVERY (600 * NS_PER_S) /* of what may wait */

/* ---- descriptors ---- */

/* One that failed is tried again when relays_guard_stale() says so: what we have stays good for days. */
void node_finish_guard_fetch(struct node *n, struct node_op *op, qudag_err err,
                             const struct node_result *res)
{
    n->guards.fetching = false;
    if (op->asked && (err == QUDAG_OK || err == QUDAG_ENOTFOUND)) {
        node_padding_answered(n, op->circuit, n->now);
    }
    op->asked = false;
    node_circuit_spent(n, op, err, n->now);
    struct peer_id guard;
    if (err == QUDAG_OK) {
        err = node_rule_relay_key_owner(op->req.key, &guard);
    }
    if (err == QUDAG_OK) {
        err = node_descs_take(n, &guard, err, res->value);
    }
    if (err != QUDAG_OK) {
        log_event(&n->cfg.log, LOG_DEBUG, "guard.descriptor_not_fetched", LOG_ERR(err));
    }
    node_op_free(n, op);
}

static void fetch(struct node *n)
{
    struct node_request r = {.kind = NODE_OP_GUARD_FETCH}; /* the key alone names the guard */
    uint8_t key[NODE_RELAY_KEY_MAX];
    struct peer_id guard;

    if (!n->guards.fetching && relays_guard_stale(n->relays, n->now, &guard)) {
        r.key = (struct slice){key, node_rule_relay_key(key, &guard)};
        n->guards.fetching = node_op_new(n, &r) != NULL;
    }
}

/* ---- whether they are there ---- */

void node_finish_guard_witness(struct node *n, struct node_op *op, qudag_err err,
                               const struct node_result *res)
{
    (void)err;
    (void)res;
    n->guards.asking = false;
    node_op_free(n, op);
}

static void ask_others(struct node *n)
{
    uint8_t key[32];
    struct node_request r = {.kind = NODE_OP_GUARD_WITNESS, .key = {key, sizeof(key)}};

    n->guards.ask_others = false;
    if (!n->guards.asking) {
        rng_fill(&n->cfg.rng, key, sizeof(key));
        n->guards.asking = node_op_new(n, &r) != NULL;
    }
}

void node_finish_guard_dial(struct node *n, struct node_op *op, qudag_err err,
                            const struct node_result *res)
{
    (void)res;
    n->guards.dialling = false;
    if (err == QUDAG_OK) {
        relays_guard_linked(n->relays, &op->req.peer);
    } else if (qudag_err_category(err) == QUDAG_CAT_RETRY) {
        relays_failed(n->relays, &op->req.peer, n->now);
        n->guards.ask_others = true;
    }
    node_op_free(n, op);
}

static void dial_one(struct node *n, const struct onion_hop *hop)
{
    struct node_request r = {.kind = NODE_OP_GUARD_DIAL, .has_pq = true, .peer = hop->peer};
    struct netaddr a;
    uint32_t ix = rng_below(&n->cfg.rng, hop->n_addrs);

    if (multiaddr_to_netaddr(&hop->addr[ix], &a)) {
        multiaddr_quic(&r.addr, &a, &hop->peer);
        memcpy(r.pq_hash, hop->pq_hash, sizeof(r.pq_hash));
        n->guards.dialling = node_op_new(n, &r) != NULL;
    }
}

static void dial(struct node *n)
{
    struct onion_hop hop;

    if (n->guards.dialling || !relays_guard_probe(n->relays, n->now, &hop)) {
        return;
    }
    if (swarm_carries_cells(n->swarm, &hop.peer)) {
        relays_guard_linked(n->relays, &hop.peer);
        return;
    }
    dial_one(n, &hop);
}

/*
 * The link with the guard in use stands before a request needs it: while circuits were used lately, and for as long
 * after the start.  One that does not answer is dial()'s, as the rules of guards say.
 */
static void warm(struct node *n)
{
    struct node_guards *g = &n->guards;
    struct onion_hop hop;

    g->begun_at = g->begun_at == 0 ? n->now : g->begun_at;
    bool wanted = node_clean_guard_warm(g->begun_at, n->clean.used_at, n->now) &&
                  relays_guard_warm(n->relays, n->now, &hop);
    node_keep_guard(n, wanted ? &hop.peer : NULL);
    if (!wanted || g->dialling || swarm_carries_cells(n->swarm, &hop.peer)) {
        return;
    }
    dial_one(n, &hop);
}

/* What the operator should know. */
static void tell(struct node *n)
{
    bool spent = relays_guards_spent(n->relays);

    if (spent && !n->guards.reported) {
        log_plain(&n->cfg.log, LOG_ERROR, "guards.spent");
    }
    n->guards.reported = spent;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    if (n->guards.ask_others) {
        ask_others(n);
    }
    if (now < n->guards.look_at) {
        return;
    }
    n->guards.look_at = tstamp_after(now, LOOK_EVERY);
    if (n->boot.started && relays_is_usable(n->relays)) {
        fetch(n);
        dial(n);
        warm(n);
        tell(n);
    }
    if (n->guards.save_at <= now) {
        n->guards.save_at = tstamp_after(now, SAVE_EVERY);
        node_saved_guards(n, true);
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;

    return n->guards.ask_others ? n->now : n->guards.look_at;
}

qudag_err node_guards_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "guards", .instance = n, .ops = &ops};
    unsigned ix;

    n->guards.look_at = tstamp_after(n->now, LOOK_EVERY);
    n->guards.save_at = tstamp_after(n->now, SAVE_EVERY);
    return node_core_add(n, &core, NULL, &ix);
}
