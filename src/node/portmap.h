/*
 * portmap.h - ports of the router's, opened for this node where it is to be reached.  Included by node.h.
 *
 *   host ─ node_set_gateways ─▶ node_rule_maps ─▶ core/portmap ─ datagrams, hooks.upnp ─▶ gateway
 *   answers ─▶ core/portmap ─ what is mapped ─▶ core/reach: a candidate, until others have confirmed it
 */
#ifndef QUDAG_SRC_NODE_PORTMAP_H
#define QUDAG_SRC_NODE_PORTMAP_H

#include "core/portmap/portmap.h"

struct node;

/* The way to the Internet of one IP version. */
struct node_gateway {
    struct netaddr gateway; /* family 0: there is none; of IPv6 with the zone of its link */
    struct netaddr source;  /* ours towards it, without a port */
};

/* What is asked of node_rule_maps(). */
struct node_maps_of {
    bool wanted;  /* node_wants.map */
    bool setting; /* [nat] port_mapping */
    bool lab;
    struct node_gateway way;
};
/*
 * Whether that gateway is asked for ports: never in a lab, nor where it or our address is this host; for IPv4 not where
 * our address is on the Internet already; for IPv6 only where it is, as a pinhole opens nothing else.
 */
bool node_rule_maps(const struct node_maps_of *of);

/* [0]: IPv4, [1]: IPv6.  To be called again when they change.  Nothing is asked before node_start(). */
void node_set_gateways(struct node *n, const struct node_gateway way[2], tstamp now);
/*
 * What hooks.upnp was asked for; nothing for what nobody waits for.  False: this node wants no ports open any more,
 * also not the one that was just opened.
 */
bool node_upnp_done(struct node *n, uint64_t id, const struct portmap_upnp_answer *a, tstamp now);
/* The network may be another than before, or the router have started again: links died, something was announced. */
void node_portmap_doubt(struct node *n, tstamp now);
/* See portmap_next(). */
bool node_portmap_next(const struct node *n, size_t *it, struct portmap_look *out);

/* Counters since the node was made. */
struct node_portmap_stats {
    uint64_t mapped[PORTMAP_METHODS]; /* times that a port was, by method */
    uint64_t lost, failed;            /* times that it was no more; that no method worked */
    uint64_t sent, received;          /* datagrams; received: those that were of use */
    uint64_t upnp;                    /* jobs */
};
const struct node_portmap_stats *node_portmap_stats(const struct node *n);

/* For node.c: registers it with the cores; removes all mappings, without waiting. */
QUDAG_MUST_USE qudag_err node_portmap_init(struct node *n);
void node_portmap_shutdown(struct node *n, tstamp now);

/* Of struct node. */
struct node_portmap {
    struct portmap *core;
    unsigned ix;
    struct node_gateway way[2]; /* as the host found it */
    bool dirty;                 /* it, or our addresses, are others than were acted on */
    unsigned conditions;        /* that were acted on */
    struct node_portmap_stats stats;
};

#endif
