/* full_routers.h - routers before the nodes of the second host, of the kinds of sim/nat.h, and the way through them. */
#ifndef QUDAG_SIM_FULL_ROUTERS_H
#define QUDAG_SIM_FULL_ROUTERS_H

#include "base/netaddr.h"
#include "base/rng.h"
#include "sim/nat.h"

#define FULL_NONE UINT32_MAX /* no node, no router */

struct full;
struct full_node;

/* Of a datagram, changed by each router that it passes. */
struct full_way {
    struct netaddr from, to;
};

/* A router; of a carrier those of homes are behind it. */
struct full_router {
    struct nat *nat;
    struct rng_stream stream;
    struct netaddr external;
    uint32_t owner;  /* the node whose public address it has */
    uint32_t parent; /* the router it is behind itself; FULL_NONE: none */
    uint32_t hosts;  /* behind it */
    bool carrier;
};

void full_nat_init(struct full *f);
void full_nat_fini(struct full *f);

/*
 * A router of kind |cfg| (mem, rng, external are filled in) with the public address of |owner|, a node behind it, or
 * behind |parent| with one of its inside; then full_place() its hosts, before they join.
 */
uint32_t full_router_add(struct full *f, const struct nat_config *cfg, uint32_t owner,
                         uint32_t parent);
/* |node| is behind |router|, or with FULL_NONE on the Internet, whatever the scenario says. */
void full_place(struct full *f, uint32_t node, uint32_t router);
/* As the scenario says, unless it was placed. */
void full_place_by_scenario(struct full *f, uint32_t node);

enum full_outcome {
    FULL_DROPPED,
    FULL_INSIDE, /* it stays behind a router of the sender: |*there| gets it */
    FULL_OUT,    /* it goes to way->to on the Internet, from way->from */
};
/* What |node| sends by |way| passes its routers. */
enum full_outcome full_outwards(struct full *f, uint32_t node, struct full_way *way,
                                uint32_t *there);
/* It arrives at way->to: who gets it there, which becomes an inside address; FULL_NONE: nobody. */
uint32_t full_arrives(struct full *f, struct full_way *way);
/* The node whose public address, or whose router's, |to| is; FULL_NONE: nobody's. */
uint32_t full_owner(const struct full *f, const struct netaddr *to);
/* Whether |a| is of a network behind a router. */
bool full_is_inside(const struct netaddr *a);
/* Whether |port| is one of a socket of its. */
bool full_has_socket(const struct full_node *fn, uint16_t port);

#endif
