/*
 * tcp.h - the host's side of a node for TCP: what upgrade/tcp.h says, with all that follows from it in the node.
 *
 * Without node_config.tcp there is nothing to do.  Whoever has called one of these goes on with node_send().
 */
#ifndef QUDAG_SRC_NODE_TCP_H
#define QUDAG_SRC_NODE_TCP_H

#include "node/node.h"
#include "upgrade/tcp.h"

/* What the host is to do next; false: nothing more. */
bool node_tcp_next(struct node *n, struct tcp_action *out, tstamp now);
void node_tcp_connected(struct node *n, uint64_t id, const struct netaddr *local, tstamp now);
void node_tcp_failed(struct node *n, uint64_t id, qudag_err err, tstamp now);
/* QUDAG_ELIMIT, QUDAG_ENOMEM; QUDAG_EUNSUPPORTED without TCP. */
QUDAG_MUST_USE qudag_err node_tcp_accepted(struct node *n, const struct netaddr *local,
                                           const struct netaddr *remote, tstamp now, uint64_t *id);
void node_tcp_received(struct node *n, uint64_t id, struct slice in, tstamp now);
void node_tcp_ended(struct node *n, uint64_t id, qudag_err err, tstamp now);
/* Fills |dst|; 0: nothing for now.  What follows from having sent is done. */
size_t node_tcp_output(struct node *n, uint64_t id, uint8_t *dst, size_t cap, tstamp now);
/* Nobody can connect for a while: this process has no descriptors left.  Goes to the log, once a minute. */
void node_tcp_no_room(struct node *n, tstamp now);

/*
 * Where UDP is blocked (udp.c).  Nodes listen at one number of UDP and of TCP by default, and lists of bootstrap peers
 * have the address of QUIC: the same one of TCP is tried, too, where nothing came for NODE_TCP_TWIN_AFTER.  False: it
 * is no address of QUIC.
 */
#define NODE_TCP_TWIN_AFTER (600 * NS_PER_MS)
bool node_rule_tcp_twin(const struct multiaddr *quic, struct multiaddr *twin);

/* What says whether datagrams pass. */
struct node_udp_view {
    uint64_t sent, came; /* datagrams, since the start or the last change of network */
    bool tcp_works;      /* a direct link over TCP is up */
};
enum node_udp { NODE_UDP_UNKNOWN, NODE_UDP_PASSES, NODE_UDP_BLOCKED };
#define NODE_UDP_ENOUGH 3 /* datagrams without an answer: two retransmissions of a dial */
enum node_udp node_rule_udp(const struct node_udp_view *v);
/* Looks at it again; core/reach learns what it is.  By itself: some seconds after a peer has come up. */
void node_udp_review(struct node *n, tstamp now);
/* Another network, maybe: what passed before says nothing. */
void node_udp_anew(struct node *n, tstamp now);
QUDAG_MUST_USE qudag_err node_udp_init(struct node *n);

/* Of struct node. */
struct node_udp_watch {
    uint64_t sent, came; /* as they were at the last change of network */
    tstamp due;          /* when it is looked at again */
    uint32_t looks;      /* in vain, since a peer came up */
};

/* The connections, for statistics; NULL: there are none. */
struct tcp *node_tcp(const struct node *n);

#endif
