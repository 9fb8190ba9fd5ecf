/*
 * reachable.h - whether this node is to be reached, and what is done for it.  Included by node.h.
 *
 *   settings, what the program serves ─ node_rule_wants ─▶ node.wants ─▶ AutoNAT and STUN, port mapping, places, DHT
 *   portmap, STUN, identify, AutoNAT ─▶ node.reach (core/reach) ─▶ what is announced, and served
 */
#ifndef QUDAG_SRC_NODE_REACHABLE_H
#define QUDAG_SRC_NODE_REACHABLE_H

#include "core/reach/reach.h"

struct node;

enum node_reachable { NODE_REACHABLE_AUTO, NODE_REACHABLE_YES, NODE_REACHABLE_NO };

/* What is asked of node_rule_wants(). */
struct node_wants_of {
    enum node_reachable setting;
    bool relay, dht_server, circuit_relay; /* by the configuration */
    bool serves_peers; /* the program takes streams that peers open, not only those over circuits */
    bool lab;
};

struct node_wants {
    bool announce; /* its addresses, to everybody */
    bool probe;    /* AutoNAT and STUN are asked about them */
    bool map;      /* the router is asked for a port */
    bool places;   /* circuit relays keep places for it where it cannot be dialled */
    bool publish;  /* where it is, in the DHT */
};

/*
 * A node that only uses circuits wants nothing of it.  One that serves others wants its addresses known and tried; one
 * that peers are to find wants places and its record in the DHT, too.  A lab needs none of it but announcing.
 */
struct node_wants node_rule_wants(const struct node_wants_of *of);

/*
 * Whether it answers in the DHT: where it |may| by the configuration, is not known to be private, and,
 * where it is to be reached by nobody, only at the operator's addresses.
 */
bool node_rule_dht_server(const struct reach_view *v, bool may, bool announce);

/* How this node can be reached, as it is known now; valid until the node is freed. */
const struct reach_view *node_reach(const struct node *n);
/* Its addresses, and what is known of each, |*it| from 0 on; false at the end. */
bool node_reach_addr_next(const struct node *n, size_t *it, struct reach_addr *out);
const struct node_wants *node_wants(const struct node *n);

/* See reach_mapped(), reach_unmapped(), reach_nat_seen(), reach_udp_seen(): the same, and what follows is done. */
void node_reach_mapped(struct node *n, const struct multiaddr *addr, bool double_nat);
void node_reach_unmapped(struct node *n, const struct multiaddr *addr);
void node_reach_nat_seen(struct node *n, uint8_t family, const struct reach_family *seen);
void node_reach_udp_seen(struct node *n, bool came);
/* What the program serves has changed: n->wants is made anew. */
void node_wants_review(struct node *n);

/* |changed|, as reach_X() returned: what follows from it is done, and logged with the reason. */
void node_reach_changed(struct node *n, bool changed, const char *why);
/* Whether this node dials others back: it can be dialled itself, and its host has sockets for it. */
bool node_dials_back(const struct node *n);
/*
 * How many of the announced addresses all peers are told: a node that only uses circuits tells none, though its records
 * of direct dark addresses do.
 */
size_t node_addrs_told(const struct node *n);
/* By node_rule_dht_server(). */
bool node_serves_dht(const struct node *n);
/* Registers the clock of core/reach. */
QUDAG_MUST_USE qudag_err node_reach_init(struct node *n);

#endif
