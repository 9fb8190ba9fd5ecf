/* reach_stats.c - what is counted of how this node and its peers are reached. */
#include "node/reach_stats.h"

#include "node/internal.h"

#include <string.h>

static void count_links(const struct node *n, struct node_reach_stats *out)
{
    struct swarm_look look;

    for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, n->now);) {
        bool up = look.state == SWARM_LINK_UP;
        bool relayed = (look.info.props & LINK_RELAYED) != 0;
        out->relayed += up && relayed;
        out->direct += up && !relayed;
    }
}

void node_reach_stats_part(struct node_reach_stats *s)
{
    s->asks.nothing -= s->asks.lies;
    s->dcutr.failed -= s->dcutr.refused;
}

void node_reach_stats_get(const struct node *n, struct node_reach_stats *out)
{
    const struct reach_view *v = node_reach(n);
    const struct meet_stats *meet = node_meet_stats(n);

    memset(out, 0, sizeof(*out));
    out->state[0][v->ip4.state] = 1;
    out->state[1][v->ip6.state] = 1;
    count_links(n, out);
    out->portmap = *node_portmap_stats(n);
    if (n->autonat != NULL) {
        out->asks = n->autonat->client.stats;
        out->dials = n->autonat->server.stats;
    }
    if (n->stun.core != NULL) {
        out->stun = *stun_statistics(n->stun.core);
    }
    if (meet != NULL) {
        out->meet = *meet;
    }
    if (n->direct.core != NULL) {
        out->dcutr = *dcutr_stats(n->direct.core);
    }
    node_reach_stats_part(out);
}
