/* times.c - times that change while the node runs. */
#include "node/times.h"

#include "node/internal.h"

void node_set_times(struct node *n, const struct node_times *t)
{
    quic_set_times(n->quic, t->handshake, t->idle, t->keepalive);
    if (n->tcp != NULL) {
        tcp_set_times(n->tcp, t->handshake, t->keepalive);
    }
    relay_links_set_times(n->through.links, t->handshake * NODE_RELAYED_SLOWER, t->keepalive);
    swarm_set_times(n->swarm, t->idle, t->dial, t->negotiate);
    if (t->query != 0) {
        kad_set_request_time(n->kad, t->query);
    }
    if (t->build != 0) {
        onion_set_build_time(n->onion, t->build);
    }
}
