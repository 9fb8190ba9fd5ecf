/*
 * reach.h - how this node can be reached: its addresses, the NAT before it, and the paths to peers.
 *
 * A node that wants to be reached (the setting |reachable|, and what it serves) finds out by itself whether others can
 * dial it, asks the router for a port, takes places at circuit relays where nobody can, and looks for a direct path
 * with peers that it was linked with through such a relay.  What it knows of all that is read here; nothing is asked
 * for.
 */
#ifndef QUDAG_REACH_H
#define QUDAG_REACH_H

#include <qudag/limits.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether others can dial this node. */
typedef enum qudag_reach_state {
    QUDAG_REACH_UNKNOWN, /* not enough others have tried */
    QUDAG_REACH_PUBLIC,
    QUDAG_REACH_PRIVATE, /* only through circuit relays, or by meeting (below) */
} qudag_reach_state;
/* "unknown", "public", "private"; never NULL, static. */
QUDAG_API const char *qudag_reach_state_name(qudag_reach_state s);

/* A NAT as far as it was seen (RFC 4787 4.1 and 5); "dependent" is what is called symmetric, or port-restricted. */
typedef enum qudag_nat_kind {
    QUDAG_NAT_UNKNOWN,
    QUDAG_NAT_NONE,
    QUDAG_NAT_INDEPENDENT,
    QUDAG_NAT_DEPENDENT,
} qudag_nat_kind;
/* "unknown", "none", "independent", "dependent"; never NULL, static. */
QUDAG_API const char *qudag_nat_kind_name(qudag_nat_kind k);

/* Who opened a port of the router. */
typedef enum qudag_portmap {
    QUDAG_PORTMAP_NONE,
    QUDAG_PORTMAP_PCP,
    QUDAG_PORTMAP_NATPMP,
    QUDAG_PORTMAP_UPNP
} qudag_portmap;
/* "none", "pcp", "nat-pmp", "upnp"; never NULL, static. */
QUDAG_API const char *qudag_portmap_name(qudag_portmap m);

typedef struct qudag_reach {
    uint32_t size; /* set by the caller, see types.h */
    qudag_reach_state ip4, ip6;
    qudag_nat_kind mapping4, mapping6, filter4, filter6;
    qudag_portmap port_mapping; /* of the first port that is mapped; qudag_port_next() has all */
    uint32_t announced;         /* addresses that others are told */
    uint32_t places;            /* held at circuit relays */
    bool wanted; /* others are to reach it; else its NAT and ports are not looked after */
    bool named;  /* ... peers that look for it by its peer id, too */
    bool needs_places;
    bool double_nat;
    bool udp_blocked;
    uint8_t pad[3];
} qudag_reach;
/* What is known now.  QUDAG_EINVAL: out->size. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_reach_get(const qudag_node *n, qudag_reach *out);

typedef enum qudag_addr_source {
    QUDAG_ADDR_SET,     /* by the configuration */
    QUDAG_ADDR_BOUND,   /* of this machine */
    QUDAG_ADDR_MAPPED,  /* the router opened it */
    QUDAG_ADDR_OBSERVED /* peers see this node there */
} qudag_addr_source;
/* "set", "bound", "mapped", "observed"; never NULL, static. */
QUDAG_API const char *qudag_addr_source_name(qudag_addr_source s);

/* An address of this node, and the evidence for it. */
typedef struct qudag_reach_addr {
    uint32_t size; /* set by the caller, see types.h */
    qudag_addr_source source;
    qudag_reach_state state;
    uint32_t confirmed, refuted; /* networks whose nodes dialled back, or could not */
    bool announced;
    uint8_t pad[3];
    char addr[QUDAG_ADDR_TEXT_MAX];
} qudag_reach_addr;
/* One after the other; *it starts at 0; false at the end. */
QUDAG_API bool qudag_reach_addr_next(const qudag_node *n, size_t *it, qudag_reach_addr *out);

#define QUDAG_PORT_WHY_MAX 200
/* A port that the router is asked for. */
typedef struct qudag_port {
    uint32_t size;        /* set by the caller, see types.h */
    qudag_portmap method; /* NONE: it is not mapped */
    qudag_ns left;        /* of the mapping; it is renewed before */
    uint32_t failures;    /* in a row */
    bool tcp;             /* else UDP */
    bool double_nat;      /* the router has no address on the Internet itself */
    uint8_t pad[2];
    char internal[56], external[56]; /* "192.168.1.2:4433"; external "": not mapped */
    char why[QUDAG_PORT_WHY_MAX];    /* of the last failure, for people; or "" */
} qudag_port;
/* One after the other; *it starts at 0; false at the end, at once where no router is asked. */
QUDAG_API bool qudag_port_next(const qudag_node *n, size_t *it, qudag_port *out);

/* How a peer is reached now. */
typedef enum qudag_path_kind {
    QUDAG_PATH_NONE,
    QUDAG_PATH_DIRECT,
    QUDAG_PATH_RELAYED
} qudag_path_kind;
/* "none", "direct", "relayed"; never NULL, static. */
QUDAG_API const char *qudag_path_kind_name(qudag_path_kind k);

/* How a direct path was looked for. */
typedef enum qudag_path_by {
    QUDAG_PATH_BY_NOTHING,
    QUDAG_PATH_BY_MEETING, /* spec/meet.md, with QuDAG peers */
    QUDAG_PATH_BY_DCUTR    /* libp2p's, with others */
} qudag_path_by;

#define QUDAG_PATH_WHY_MAX 256
typedef struct qudag_path {
    uint32_t size; /* set by the caller, see types.h */
    qudag_path_kind kind;
    qudag_path_by by;
    bool meeting;            /* a direct path is being looked for */
    bool found;              /* the direct one was found by meeting */
    bool initiator;          /* this side began the last meeting */
    uint8_t round;           /* of it: 0 plain, 1 fresh port, 2 prediction, 3 birthday */
    uint32_t sent, received; /* packets of its checks */
    uint32_t ours, theirs;   /* candidate addresses */
    qudag_ns took;           /* from its beginning to a direct link; 0: none */
    qudag_ns next_try;       /* from now; 0: under way, or none is planned */
    qudag_peer_id relay;     /* len 0: none */
    uint8_t pad[3];
    char remote[QUDAG_ADDR_TEXT_MAX]; /* of the link that is used */
    char why[QUDAG_PATH_WHY_MAX];     /* why it is relayed still, for people; or "" */
} qudag_path;
/* QUDAG_ENOTFOUND: there is no link with |peer|, and there was no meeting; QUDAG_EINVAL. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_path_get(const qudag_node *n, const qudag_peer_id *peer,
                                                  qudag_path *out);

#ifdef __cplusplus
}
#endif
#endif
