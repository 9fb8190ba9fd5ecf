/*
 * datagrams.h - datagrams beside QUIC on the node's own sockets (STUN, checks of a meeting, requests to the gateway),
 * and sockets beside the ones it listens on.  Included by internal.h.
 *
 *   node_recv ─▶ node_rule_datagram: QUIC | STUN | gateway | nobody's ─▶ the arrow that takes it
 *   node_datagram ─▶ a queue with a limit ─▶ node_send, before QUIC's
 *
 * A socket of one's own is for a fresh mapping in a NAT, for a dial-back from another port, and for prediction.
 * It lives as long as its owner keeps it, or a link runs over it.
 */
#ifndef QUDAG_SRC_NODE_DATAGRAMS_H
#define QUDAG_SRC_NODE_DATAGRAMS_H

#include "base/netaddr.h"
#include "base/types.h"

#define NODE_DATAGRAMS_MAX 512 /* that wait */
#define NODE_DATAGRAM_LEN 1200
#define NODE_SOCKETS_MAX 320 /* beside those that are listened on: 256 of one meeting, and others */

struct node;

enum node_datagram_kind {
    NODE_DATAGRAM_QUIC,
    NODE_DATAGRAM_STUN,
    NODE_DATAGRAM_GATEWAY,
    NODE_DATAGRAM_NONE
};
/* What |d| is, that came from |from|; |gateway|: where requests were sent, family 0: none. */
enum node_datagram_kind node_rule_datagram(struct slice d, const struct netaddr *from,
                                           const struct netaddr *gateway);

/* |p| (copied) leaves from |local| (family 0: the socket of that IP version) for |to|.  False: too many wait. */
bool node_datagram(struct node *n, const struct netaddr *local, const struct netaddr *to,
                   struct slice p);

/*
 * One more UDP socket of that IP version, on a port of the system's choice: hooks.socket_open.  *local is what names it:
 * struct quic_dial and node_datagram() take it.  QUDAG_ELIMIT, QUDAG_EUNSUPPORTED (the host has no more), QUDAG_ESYSTEM.
 */
QUDAG_MUST_USE qudag_err node_socket_open(struct node *n, uint8_t family, struct netaddr *local);
/* Its owner needs it no more: closed once no link runs over it. */
void node_socket_release(struct node *n, const struct netaddr *local);

#endif
