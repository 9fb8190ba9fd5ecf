/*
 * small_network.c - no path is drawn from a small network unless its user has accepted that.
 *
 * The setting small_network, or a word at run time, accepts it; a lab always is.
 */
#include "node/internal.h"

qudag_err node_small_network_check(const struct node *n)
{
    struct relays_diversity d = relays_diversity(n->relays);

    if (relays_diversity_enough(&d, n->cfg.lab, n->cfg.small_network)) {
        return QUDAG_OK;
    }
    return n->boot.phase == NODE_READY ? QUDAG_ESMALLNET : QUDAG_ENORELAYS; /* or not known yet */
}

bool node_small_network_accepted(const struct node *n)
{
    return n->cfg.lab || n->cfg.small_network;
}

/* Records that waited for it can be published now. */
void node_set_small_network(struct node *n, bool accepted)
{
    n->cfg.small_network = accepted;
    n->news |= NODE_NEWS_RELAYS;
}
