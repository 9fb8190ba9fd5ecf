/* times.h - how long a node waits: settings, which may change while it runs. */
#ifndef QUDAG_SRC_NODE_TIMES_H
#define QUDAG_SRC_NODE_TIMES_H

#include "base/types.h"

/* Nanoseconds; 0: the default of the part that waits. */
struct node_times {
    uint64_t idle;      /* a link without traffic ends */
    uint64_t dial;      /* a request waits for a link with its peer */
    uint64_t handshake; /* of a link */
    uint64_t negotiate; /* of the protocol of a stream */
    uint64_t keepalive; /* a silent link shows that it lives */
    uint64_t query;     /* a request of the DHT, in all */
    uint64_t build;     /* of a circuit */
};

struct node;
/* These from now on: for what begins, and where it says so (swarm.h, quic.h) for what waits.  A 0 changes nothing. */
void node_set_times(struct node *n, const struct node_times *t);

#endif
