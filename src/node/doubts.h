/* doubts.h - links in doubt that are asked about (arrow_succession_swarm.c). */
#ifndef QUDAG_SRC_NODE_DOUBTS_H
#define QUDAG_SRC_NODE_DOUBTS_H

#include "node/node.h"
#include "swarm/swarm.h"

#define NODE_DOUBTS_MAX 16 /* as many as the swarm lets stand */

struct node_doubt {
    bool used, former; /* former: it is who followed the former key that was asked last */
    uint64_t id;       /* the cookie of its questions */
    struct swarm_doubt what;
    uint8_t asked[32];
    unsigned steps; /* statements that were followed */
};

struct node_doubts {
    struct node_doubt at[NODE_DOUBTS_MAX];
    uint64_t last_id;
};

/* Asks about the links that came to be in doubt since. */
void node_succession_doubts(struct node *n);

/*
 * Whether a peer is asked once more: its link proved the key |now|, |pin| was reached by |steps| statements.  A chain
 * is followed for as many as a node keeps, and no longer.
 */
bool node_rule_doubt_goes_on(const uint8_t pin[32], const uint8_t now[32], unsigned steps);
/* Whether asking ended with |err| for what this node lacks, so that it says nothing of the peer. */
bool node_rule_doubt_ours(qudag_err err);

#endif
