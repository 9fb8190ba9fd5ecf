/*
 * reach.h - what this node knows about how it can be reached: its own addresses and the evidence for each, the NAT
 * before it, and what follows from that.
 *
 *   sockets, operator, router (portmap), observers (identify), STUN ─▶ candidate addresses
 *   dial-backs (core/autonat)                                       ─▶ confirmed, refuted
 *   then: which addresses are announced; DHT server or client; onion relay and circuit relay or not; whether places at
 *   circuit relays are needed; which addresses a peer that we meet is told (reach_candidates)
 *
 * Which of these the node does is decided here and nowhere else.  Nothing here reads a clock, logs or allocates: a
 * struct reach is a value.  The kind of NAT is for people and for the order of attempts, never a gate.
 *
 * Announced are: the operator's addresses, and then nothing else; a socket's that are on the Internet, until
 * REACH_AGREE networks could not dial them and none could within an hour; and what the router mapped or others see, of
 * a transport and IP version of which no socket's is announced, once REACH_AGREE networks have dialled it.  An untried
 * address of TCP, a socket's or mapped, goes with that of QUIC beside it.
 */
#ifndef QUDAG_SRC_CORE_REACH_REACH_H
#define QUDAG_SRC_CORE_REACH_REACH_H

#include "core/link.h"
#include "wire/multiaddr.h"

#define REACH_ADDRS_MAX 24    /* candidates that are kept */
#define REACH_ANNOUNCED_MAX 8 /* told to others, and of each source but the observers */
/* More than three servers, each of a network of its own (/16, /32), agree (go-libp2p asks for as many). */
#define REACH_AGREE 4
#define REACH_VOICES                                                                               \
    8 /* networks whose latest word is kept, for each address and for each kind of observation */
#define REACH_KINDS 4 /* QUIC and TCP, IPv4 and IPv6 */
/* Between two changes that others bring about: each costs puts. */
#define REACH_HOLD (60 * NS_PER_S)
#define REACH_HOUR (3600 * NS_PER_S)
#define REACH_LIFE (24 * REACH_HOUR) /* of what a server said */
#define REACH_SEEN_MIN 2 /* networks that see us at an address before it is worth a dial-back */

enum reach_source {
    REACH_SET,      /* by the operator: announced whatever is known of it */
    REACH_BOUND,    /* a socket's, or an interface's */
    REACH_MAPPED,   /* the router opened it (core/portmap) */
    REACH_OBSERVED, /* others see us there */
    REACH_SOURCES,
};

enum reach_verdict { REACH_UNTRIED, REACH_CONFIRMED, REACH_REFUTED };

/* As it is shown. */
struct reach_addr {
    struct multiaddr addr;
    enum reach_source source; /* the first of those that name it */
    enum reach_verdict verdict;
    uint8_t confirmed, refuted; /* networks that said so */
    tstamp checked;             /* the last time that one did; 0: never */
    bool announced;
};

enum reach_state { REACH_UNKNOWN, REACH_PUBLIC, REACH_PRIVATE };

/* As far as seen (RFC 4787 4.1, 5). */
enum reach_nat { REACH_NAT_UNKNOWN, REACH_NAT_NONE, REACH_NAT_INDEPENDENT, REACH_NAT_DEPENDENT };

/* What follows from all of it, for one IP version. */
struct reach_family {
    enum reach_state state;
    enum reach_nat mapping, filter;
    /* between the ports of mappings made one after the other, where it is constant; 0: not */
    int32_t step;
};

/*
 * |serves|: others can dial this node, so it may be an onion relay and a circuit relay.  |all_private|: nobody can: no
 * address is announced, and those of each IP version were tried in vain.  |needs_places|: peers that have nothing but
 * its addresses may not get through; where it is wanted by peers (node_wants.places) it needs circuit relays.
 */
struct reach_view {
    struct reach_family ip4, ip6;
    bool announces; /* there is an address to tell */
    bool serves, all_private, needs_places;
    bool double_nat;  /* the router's external address is private, or another than others see */
    bool udp_blocked; /* nothing came by UDP although something was sent, and TCP works */
};

/* What a network said of an address: a dial-back came from there, or could not be had. */
struct reach_word {
    uint64_t net; /* 0: an empty place */
    tstamp at;
    bool yes;
};

/* Where a network sees us. */
struct reach_voice {
    uint64_t net; /* 0: an empty place */
    struct multiaddr addr;
};

struct reach_cand {
    struct reach_addr look;
    uint8_t sources;                      /* a bit for each enum reach_source */
    struct reach_word word[REACH_VOICES]; /* the latest first */
    tstamp asked;                         /* a server is being asked, or was, since; 0: never */
};

struct reach {
    bool
        lab; /* private and loopback addresses are as good as global ones, each peer is a network of its own */
    bool silent; /* nothing is announced but what the operator set */
    struct multiaddr bound[REACH_ANNOUNCED_MAX]; /* of our sockets, best first */
    size_t n_bound;
    size_t n_cand;
    struct reach_cand cand[REACH_ADDRS_MAX];
    struct reach_voice seen[REACH_KINDS][REACH_VOICES];
    struct multiaddr announced[REACH_ANNOUNCED_MAX];
    size_t n_announced;
    uint32_t told;      /* how often it has changed */
    tstamp hold_until;  /* others change nothing before */
    bool held;          /* ... and something waits for it */
    bool mapped_inside; /* the router's external address is no global one, as the router says */
    struct reach_view view;
};

void reach_init(struct reach *r, bool lab);

/*
 * Each of the following returns whether what is announced or the view has changed; the caller then acts on it.  Lists
 * are cut to REACH_ANNOUNCED_MAX.
 */

/* What our sockets are bound to, best first.  Where it changes, what was observed and said is forgotten. */
bool reach_set_bound(struct reach *r, const struct multiaddr *addr, size_t n, tstamp now);
/* What the operator wants announced, instead of anything else; n == 0: nothing is wanted. */
bool reach_set_operator(struct reach *r, const struct multiaddr *addr, size_t n, tstamp now);
/* Whether nothing is announced beside that. */
bool reach_set_silent(struct reach *r, bool silent, tstamp now);
/* The router opened |addr|, or does no longer. |double_nat|: its external address is no global one. */
bool reach_mapped(struct reach *r, const struct multiaddr *addr, bool double_nat, tstamp now);
bool reach_unmapped(struct reach *r, const struct multiaddr *addr, tstamp now);
/*
 * The peer at the other end of |link| says that it sees us at |addr|.  Ignored: what comes over a relay or a circuit,
 * from an observer that is not on the Internet itself, what nobody could dial, and an address of the transport or IP
 * version that the link does not use: there the observer can have seen none.
 */
bool reach_observed(struct reach *r, const struct link_info *link, const struct multiaddr *addr,
                    tstamp now);
/* The NAT as STUN shows it; |family| 4 or 6. |seen| NULL: nothing is known any more. */
bool reach_nat_seen(struct reach *r, uint8_t family, const struct reach_family *seen, tstamp now);
/* Who dials back, at which address we are linked with it. */
struct reach_server {
    struct multiaddr addr;
    struct peer_id peer;
};
/* |by| dialled us at |addr|, or says that it could not.  Its network has one voice. */
bool reach_answered(struct reach *r, const struct multiaddr *addr, const struct reach_server *by,
                    bool yes, tstamp now);
/* Datagrams came, or none although some were sent and TCP works. */
bool reach_udp_seen(struct reach *r, bool came, tstamp now);
/* At reach_deadline(), or later: what was held back, and what has grown old. */
bool reach_tick(struct reach *r, tstamp now);
tstamp reach_deadline(const struct reach *r);

/*
 * Whether an address may be announced, or dialled because others name it: QUIC over UDP, or TCP, to a port, and on the
 * Internet (|lab|: loopback and private networks too).
 */
bool reach_rule_addr(const struct multiaddr *addr, bool lab);
/* Whether the peer at the other end of |link| can see us at |addr|: see reach_observed(). */
bool reach_may_see(const struct link_info *link, const struct multiaddr *addr);
/* Those that cells may be sent to (QUIC), at most |max|, into |out| (NULL: only counted); how many. */
size_t reach_for_cells(const struct reach *r, struct multiaddr *out, size_t max);
/* A name for the network of an address: the first 16 bits of IPv4 or 32 of IPv6; in a lab of |peer|.  Never 0. */
uint64_t reach_network(const struct netaddr *a, const struct peer_id *peer, bool lab);

/* ---- checks ---- */

/*
 * The addresses for which a server is to be asked now, the most pressing first, never private ones outside a lab; at
 * most |max| into |out|, how many.  *at: when to look again.
 */
size_t reach_to_check(const struct reach *r, struct multiaddr *out, size_t max, tstamp now,
                      tstamp *at);
/* A server is asked about |addr|: from |at| on, now or a little later by chance, the time to the next one runs. */
void reach_asked(struct reach *r, const struct multiaddr *addr, tstamp at);
/* Whether that network said something of |addr| within the time in which it is not asked again. */
bool reach_has_said(const struct reach *r, const struct multiaddr *addr, uint64_t net, tstamp now);

/* ---- looking in ---- */

/* Every candidate with its evidence, |*it| from 0 on; false at the end. */
bool reach_addr_next(const struct reach *r, size_t *it, struct reach_addr *out);
/*
 * For a meeting: bound addresses (of a LAN too, loopback in a lab only), mapped ones and those that others see, in that
 * order, QUIC only; at most |max|, how many.
 */
size_t reach_candidates(const struct reach *r, struct reach_addr *out, size_t max);

#endif
