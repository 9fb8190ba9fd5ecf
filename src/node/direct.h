/*
 * direct.h - relayed links that are to become direct ones by DCUtR (arrow_dcutr.c).  Included by node.h.
 */
#ifndef QUDAG_SRC_NODE_DIRECT_H
#define QUDAG_SRC_NODE_DIRECT_H

#include "core/dcutr/dcutr.h"

#define NODE_DIRECT_WAIT 32 /* peers that came through a relay lately */
#define NODE_DIRECT_WAIT_NS                                                                        \
    (30 * NS_PER_S) /* for what identify says, and for a stream of the program */
#define NODE_DIRECT_LOOK_NS (100 * NS_PER_MS)

struct node_direct {
    struct dcutr *core;
    unsigned ix, reverse_ix;
    struct {
        struct peer_id peer; /* len 0: a free place */
        tstamp until;
    } wait[NODE_DIRECT_WAIT];
    size_t n_wait;
    tstamp look_at;
    struct node_direct_dials {
        struct peer_id peer; /* len 0: a free place */
        uint64_t first;      /* cookies of them */
        size_t n;
    } dials[DCUTR_PEERS_MAX];
    uint64_t cookies;
};

struct node;
/* The last try with |peer| to replace a relayed link; false: there was none. */
bool node_dcutr_look(const struct node *n, const struct peer_id *peer, struct dcutr_look *out);
/* Counters of all tries; valid until the node is freed. */
const struct dcutr_stats *node_dcutr_stats(const struct node *n);

#endif
