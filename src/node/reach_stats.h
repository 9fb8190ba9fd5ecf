/* reach_stats.h - what is counted of how this node and its peers are reached.  Included by node.h. */
#ifndef QUDAG_SRC_NODE_REACH_STATS_H
#define QUDAG_SRC_NODE_REACH_STATS_H

#include "core/autonat/client.h"
#include "core/autonat/server.h"
#include "core/dcutr/dcutr.h"
#include "core/meet/meet.h"
#include "core/stun/stun.h"
#include "node/portmap.h"

struct node;

struct node_reach_stats {
    uint64_t state[2][3];     /* IPv4, IPv6; by enum reach_state: 1 for the one that it is */
    uint64_t direct, relayed; /* links now */
    struct node_portmap_stats portmap;
    struct autonat_client_stats asks;
    struct autonat_server_stats dials;
    struct stun_stats stun;
    struct meet_stats meet;
    struct dcutr_stats dcutr;
};
/*
 * Takes out of each number those that another one has, too: what is shown of one thing adds up to it.  The cores count
 * a lie as no answer, and a refused DCUtR as one that failed, in one step: what is shown never falls.
 */
void node_reach_stats_part(struct node_reach_stats *s);
/* Zero where a part is not there; after node_reach_stats_part(). */
void node_reach_stats_get(const struct node *n, struct node_reach_stats *out);

#endif
