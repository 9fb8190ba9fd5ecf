/*
 * datagrams.h - datagrams beside QUIC on the node's own sockets (STUN, checks of a meeting, requests to the gateway),
 * and sockets beside the ones it listens on.  Included by internal.h.
 *
 *   node_recv ─▶ node_rule_datagram: QUIC | STUN | gateway | nobody's ─▶ the arrow that takes it (node_datagrams_take)
 *   node_datagram ─▶ a queue with a limit ─▶ node_send, before QUIC's
 *
 * A socket of one's own is for a fresh mapping in a NAT, for a dial-back from another port, and for prediction.
 * It lives as long as its owner keeps it, or a link runs over it.  Nobody can begin a connection at one, but for the
 * peer that is expected there (node_socket_expect): else whoever finds its port could keep it open, and all others.
 */
#ifndef QUDAG_SRC_NODE_DATAGRAMS_H
#define QUDAG_SRC_NODE_DATAGRAMS_H

#include "base/list.h"
#include "base/map.h"
#include "base/netaddr.h"
#include "quic/quic.h"
#include "wire/stun.h"

#define NODE_DATAGRAMS_MAX 512 /* that wait; a quarter of it for one host */
#define NODE_DATAGRAM_LEN 1200 /* bytes of one */
#define NODE_SOCKETS_MAX 448 /* beside those that are listened on: 400 of one meeting, and others */
#define NODE_DATAGRAM_TAKERS 6        /* arrows that take datagrams */
#define NODE_SOCKETS_LOOK_NS NS_PER_S /* between looks whether links still run over released ones */

struct node;

enum node_datagram_kind {
    NODE_DATAGRAM_QUIC,
    NODE_DATAGRAM_STUN,
    NODE_DATAGRAM_GATEWAY,
    NODE_DATAGRAM_NONE, /* nobody's: QUIC drops and counts it */
};
/*
 * What |d| is, that came from |from|; |gateway|: where requests were sent, family 0: none.  RFC 7983 and 9443: the
 * first byte decides, as long as no end of a connection agrees to QUIC packets without the fixed bit (RFC 9287), which
 * this node never offers.
 */
enum node_datagram_kind node_rule_datagram(struct slice d, const struct netaddr *from,
                                           const struct netaddr *gateway);
/* Whether one more datagram for a host may wait, when |waiting| do and |of_host| of these are for it. */
bool node_rule_datagram_waits(size_t waiting, size_t of_host);

/* A datagram that came, as an arrow sees it; borrowed for the call. */
struct node_datagram_in {
    enum node_datagram_kind kind; /* STUN or GATEWAY */
    struct netaddr local, remote; /* local: see node_socket_open(); the port names the socket */
    struct slice data;
    const struct stun_msg *stun; /* of STUN: parsed; its integrity is not checked yet */
};
/* Whether it was this arrow's; if not, the next one is asked. */
typedef bool (*node_datagram_taker)(struct node *n, const struct node_datagram_in *d, tstamp now);

/* For |n|'s life, in the order of the calls; from the init function of an arrow.  QUDAG_ELIMIT. */
QUDAG_MUST_USE qudag_err node_datagrams_take(struct node *n, enum node_datagram_kind kind,
                                             node_datagram_taker take);
/* Datagrams from there are the gateway's from now on, one of each IP version; |port| 0: of that version none. */
void node_datagrams_gateway(struct node *n, const struct netaddr *gateway);

/*
 * |p| (copied, at most NODE_DATAGRAM_LEN bytes) leaves from |local| (family 0: the socket of that IP version) for |to|.
 * False: too many wait, or no memory.
 */
bool node_datagram(struct node *n, const struct netaddr *local, const struct netaddr *to,
                   struct slice p);
/* An answer to somebody who may be anybody: it leaves half of the queue to what we do by ourselves. */
bool node_datagram_answer(struct node *n, const struct netaddr *local, const struct netaddr *to,
                          struct slice p);

/*
 * One more UDP socket of that IP version, on a port of the system's choice: hooks.socket_open.  *local is what names it
 * (by IP version and port): struct transport_target and node_datagram() take it.  Its owner holds it until
 * node_socket_release().  QUDAG_ELIMIT, QUDAG_EUNSUPPORTED (the host has no more), QUDAG_ESYSTEM, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_socket_open(struct node *n, uint8_t family, struct netaddr *local);
/* The peer at |remote| may begin a connection there, and nobody else; family 0: nobody, as at first. */
void node_socket_expect(struct node *n, const struct netaddr *local, const struct netaddr *remote);
/* Its owner needs it no more: closed once no link runs over it.  Nobody is expected any more. */
void node_socket_release(struct node *n, const struct netaddr *local);
/* Whether |local| is the port of such a socket. */
bool node_socket_is(const struct node *n, const struct netaddr *local);

/* For node.c. */
struct node_datagrams {
    struct list queue; /* struct datagram_out */
    size_t waiting;
    struct map hosts; /* u64: netaddr_host() -> how many wait for it */
    struct map socks; /* u64: IP version and port -> struct node_sock */
    struct netaddr gateway[2];
    struct {
        enum node_datagram_kind kind;
        node_datagram_taker take;
    } taker[NODE_DATAGRAM_TAKERS];
    size_t takers;
    tstamp look_at; /* TSTAMP_NEVER: no released socket has a link */
    uint64_t stun_in, stun_bad, gateway_in, unclaimed, out, refused; /* counters */
};
/* First of all; then, among the cores, node_datagrams_init(). */
void node_datagrams_begin(struct node *n, const uint8_t seed[16]);
QUDAG_MUST_USE qudag_err node_datagrams_init(struct node *n);
/* Calls no hook: sockets that are open with a node that is freed are its host's to close. */
void node_datagrams_free(struct node *n);
/* Takes what is not QUIC's; true: done.  Else *d is told what QUIC must know of the socket. */
bool node_datagrams_recv(struct node *n, struct quic_dgram *d, tstamp now);
/* The next that waits into |tx|; false: none does. */
bool node_datagrams_send(struct node *n, struct quic_tx *tx);

#endif
