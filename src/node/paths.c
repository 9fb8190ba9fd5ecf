/*
 * paths.c - which relays a circuit of ours leads over, and what its end says of them.
 *
 * The rules of the choice are core/relays'; here it learns what the circuit is for, and how it ended
 * (node_rule_path_end).  No hop is blamed for what this node did or lacks (err_is_ours).
 */
#include "base/err.h"
#include "node/arrows.h"
#include "node/internal.h"

#define WAIT (20 * NS_PER_S)

qudag_err node_path_choose(struct node *n, struct node_circuit *c)
{
    const struct onion_hop *last = c->use->to_service || c->use->to_relay ? &c->target : NULL;
    struct relays_path_want want = {.n = c->relays,
                                    .service = last,
                                    .named = c->use->to_relay,
                                    .not_last = c->avoid,
                                    .n_not_last = c->n_avoid};

    c->reached = 0;
    qudag_err err = node_small_network_check(n);
    if (err == QUDAG_OK) {
        err = relays_path_apart(n->relays, &want, &c->apart, n->now, c->path);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    c->n_hops = c->relays;
    if (last != NULL) {
        c->path[c->n_hops++] = c->target;
    }
    node_saved_guards(n, false);
    return QUDAG_OK;
}

static bool joining(const struct node *n)
{
    const struct node_boot_state *b = &n->boot;

    return b->started && b->phase != NODE_FAILED &&
           (b->phase != NODE_READY || n->now < b->settled_at ||
            (n->survey.lookups > 0 && !relays_is_settled(n->relays)));
}

bool node_path_awaited(const struct node *n, const struct node_circuit *c, qudag_err err)
{
    if (n->now >= tstamp_after(c->since, WAIT)) {
        return false;
    }
    if (err == QUDAG_ENOGUARD) {
        return !relays_guards_spent(n->relays);
    }
    return node_rule_awaits_relays(err) && joining(n);
}

void node_path_built(struct node *n, const struct node_circuit *c, tstamp now)
{
    relays_hops_worked(n->relays, c->path, c->n_hops, now);
    relays_circuit_built(n->relays, &c->path[0].peer, true);
}

static void judge(struct node *n, struct node_circuit *c, const struct node_path_end *end)
{
    const struct peer_id *guard = &c->path[0].peer;
    enum node_path_verdict v = c->judged ? NODE_PATH_NOTHING : node_rule_path_end(end);

    switch (v) {
    case NODE_PATH_NOTHING:
        break;
    case NODE_PATH_NOT_BUILT:
    case NODE_PATH_BUILT:
        relays_circuit_built(n->relays, guard, v == NODE_PATH_BUILT);
        break;
    case NODE_PATH_BROKE:
    case NODE_PATH_INTACT:
        c->judged = true;
        relays_circuit_ended(n->relays, guard, v == NODE_PATH_INTACT);
        break;
    }
}

static struct node_path_end end_of(const struct node_circuit *c, uint64_t hop, qudag_err err)
{
    return (struct node_path_end){.open = c->open,
                                  .reached = c->reached,
                                  .hop = hop,
                                  .relays = c->relays,
                                  .err = err,
                                  .to_service = c->use->to_service,
                                  .closed = c->canceled || c->expired,
                                  .unanswered = c->unanswered};
}

void node_path_served(struct node *n, struct node_circuit *c, qudag_err err)
{
    struct node_path_end end;

    c->unanswered = c->unanswered && (err == QUDAG_ETIMEOUT || err_is_ours(err));
    end = end_of(c, 0, err);
    end.closed = true; /* of no more use */
    judge(n, c, &end);
}

void node_path_ended(struct node *n, struct node_circuit *c, uint64_t hop, qudag_err err,
                     tstamp now)
{
    struct node_path_end end = end_of(c, hop, err);

    judge(n, c, &end);
    if (hop >= 1 && hop <= c->relays) { /* to blame is the first hop that was not reached */
        relays_hop_failed(n->relays, c->path, hop, now);
        if (hop == 1 && !err_is_ours(err)) {
            n->guards.ask_others = true;
        }
    }
}
