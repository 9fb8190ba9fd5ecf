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
 */
#ifndef QUDAG_SRC_CORE_REACH_REACH_H
#define QUDAG_SRC_CORE_REACH_REACH_H

#include "core/link.h"
#include "wire/multiaddr.h"

#define REACH_ADDRS_MAX 24    /* candidates that are kept */
#define REACH_ANNOUNCED_MAX 8 /* told to others */
/* More than three servers, each of a network of its own (/16, /32), agree (go-libp2p asks for as many). */
#define REACH_AGREE 4

enum reach_source {
    REACH_SET,      /* by the operator: announced whatever is known of it */
    REACH_BOUND,    /* a socket's, or an interface's */
    REACH_MAPPED,   /* the router opened it (core/portmap) */
    REACH_OBSERVED, /* others see us there */
    REACH_SOURCES,
};

enum reach_verdict { REACH_UNTRIED, REACH_CONFIRMED, REACH_REFUTED };

struct reach_addr {
    struct multiaddr addr;
    enum reach_source source;
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
    int32_t
        step; /* between the ports of mappings made one after the other, where it is constant; 0: not */
};

struct reach_view {
    struct reach_family ip4, ip6;
    bool announces; /* there is an address to tell */
    bool
        serves; /* others can dial this node: it may be DHT server, onion relay and circuit relay */
    bool
        needs_places; /* wanted by peers and not reachable: places at circuit relays are to be had */
    bool double_nat;  /* the router's external address is private, or another than others see */
    bool udp_blocked; /* nothing came by UDP although something was sent, and TCP works */
};

#endif
