/* reach.h - how this node can be reached: its addresses, the NAT before it, and the paths to peers. */
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

/* A NAT as far as it was seen (RFC 4787 4.1 and 5); "dependent" is what is called symmetric, or port-restricted. */
typedef enum qudag_nat_kind {
    QUDAG_NAT_UNKNOWN,
    QUDAG_NAT_NONE,
    QUDAG_NAT_INDEPENDENT,
    QUDAG_NAT_DEPENDENT,
} qudag_nat_kind;

/* Who opened a port of the router. */
typedef enum qudag_portmap {
    QUDAG_PORTMAP_NONE,
    QUDAG_PORTMAP_PCP,
    QUDAG_PORTMAP_NATPMP,
    QUDAG_PORTMAP_UPNP
} qudag_portmap;

typedef struct qudag_reach {
    uint32_t size; /* set by the caller, see types.h */
    qudag_reach_state ip4, ip6;
    qudag_nat_kind mapping4, mapping6, filter4, filter6;
    qudag_portmap port_mapping;
    uint32_t places; /* held at circuit relays */
    bool
        wanted; /* it is to be reached by peers, or to serve others; else none of this is looked after */
    bool needs_places;
    bool double_nat;
    bool udp_blocked;
    uint8_t pad[4];
} qudag_reach;
/* What is known now.  QUDAG_EINVAL: out->size. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_reach_get(const qudag_node *n, qudag_reach *out);

typedef enum qudag_addr_source {
    QUDAG_ADDR_SET,
    QUDAG_ADDR_BOUND,
    QUDAG_ADDR_MAPPED,
    QUDAG_ADDR_OBSERVED
} qudag_addr_source;

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

/* How a peer is reached now. */
typedef enum qudag_path_kind {
    QUDAG_PATH_NONE,
    QUDAG_PATH_DIRECT,
    QUDAG_PATH_RELAYED
} qudag_path_kind;

#define QUDAG_PATH_WHY_MAX 256
typedef struct qudag_path {
    uint32_t size; /* set by the caller, see types.h */
    qudag_path_kind kind;
    bool meeting;            /* a direct path is being looked for */
    bool found;              /* the direct one was found by meeting */
    bool initiator;          /* this side began the last meeting */
    uint8_t round;           /* of it: 0 plain, 1 fresh port, 2 prediction, 3 birthday */
    uint32_t sent, received; /* packets of its checks */
    uint32_t ours, theirs;   /* candidate addresses */
    qudag_ns took;           /* from its beginning to a direct link; 0: none */
    qudag_ns next_try;       /* from now; 0: under way, or none is planned */
    qudag_peer_id relay;     /* len 0: none */
    uint8_t pad[7];
    char remote[QUDAG_ADDR_TEXT_MAX]; /* of the link that is used */
    char why[QUDAG_PATH_WHY_MAX];     /* why it is relayed still, for people; or "" */
} qudag_path;
/* QUDAG_ENOTFOUND: there is no link with |peer|, and there was no meeting. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_path_get(const qudag_node *n, const qudag_peer_id *peer,
                                                  qudag_path *out);

#ifdef __cplusplus
}
#endif
#endif
