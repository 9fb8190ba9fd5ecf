/*
 * paths.c - which relays a circuit of ours leads over, and what its end says of them.
 *
 * The rules of the choice are core/relays'; here it learns what the circuit is for, and how it ended.  No hop is
 * blamed for what this node did or lacks (onion_reason_ours).
 */
#include "node/internal.h"

qudag_err node_path_choose(struct node *n, struct node_circuit *c)
{
    const struct onion_hop *service = c->use->to_service ? &c->target : NULL;
    struct relays_path_want want = {.n = c->relays, .service = service};

    if (service != NULL) {
        want.exclude = &service->peer;
        want.n_exclude = 1;
    }
    qudag_err err = relays_path_apart(n->relays, &want, &c->apart, n->now, c->path);
    if (err != QUDAG_OK) {
        return err;
    }
    c->n_hops = c->relays;
    if (service != NULL) {
        c->path[c->n_hops++] = c->target;
    }
    node_saved_guard(n);
    return QUDAG_OK;
}

void node_path_built(struct node *n, const struct node_circuit *c)
{
    for (size_t i = 0; i < c->n_hops; i++) {
        relays_worked(n->relays, &c->path[i].peer);
    }
}

void node_path_broke(struct node *n, const struct node_circuit *c, uint64_t hop, qudag_err err,
                     tstamp now)
{
    (void)err;
    if (hop >= 1 && hop <= c->n_hops) { /* to blame is the first hop that was not reached */
        relays_failed(n->relays, &c->path[hop - 1].peer, now);
    }
}
