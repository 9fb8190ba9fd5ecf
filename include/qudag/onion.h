/* onion.h - circuits: who uses them is hidden from their end, and their end from the entry. */
#ifndef QUDAG_ONION_H
#define QUDAG_ONION_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Builds a circuit of |hops| (0: the setting) relays chosen at random; result: circuit, took, relays_drawn,
 * networks_drawn.  op_done: QUDAG_ENORELAYS, QUDAG_ESMALLNET (see qudag_node_diversity), QUDAG_ECIRCUIT,
 * QUDAG_ETIMEOUT, QUDAG_ELIMIT, QUDAG_EINVAL (one relay, outside a lab: it would see who asks and what for).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_circuit_build(qudag_node *n, uint8_t hops, qudag_op *op);
/*
 * Closes |c|, which begins or ends at this node, and with it its streams (QUDAG_ECANCELED); circuit_closed
 * follows.  QUDAG_ESTALE: it is gone, or this node only relays it.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_circuit_close(qudag_node *n, qudag_circuit c);

/*
 * Opens a stream to the last relay of |c|, for a protocol that relays serve.  QUDAG_ESTALE, QUDAG_ESTATE (the
 * circuit is not open), QUDAG_EINVAL, QUDAG_ELIMIT, QUDAG_EEXPIRED: ten minutes after its first stream a circuit takes
 * no other.  It is closed once it has none then (circuit_closed with QUDAG_EEXPIRED), and in any case after a day.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_circuit_stream(qudag_node *n, qudag_circuit c,
                                                        const char *proto, qudag_stream *out);

/* What this node is to a circuit. */
typedef enum qudag_circuit_role {
    QUDAG_CIRCUIT_CLIENT,
    QUDAG_CIRCUIT_RELAY,
    QUDAG_CIRCUIT_END,
} qudag_circuit_role;

/* What this node knows of a circuit: a client its path, a relay its neighbours only. */
typedef struct qudag_circuit_info {
    uint32_t size; /* set by the caller, see types.h */
    qudag_circuit_role role;
    qudag_circuit circuit;
    const char *state; /* "building", "open", "closing", "closed"; static */
    /* client: "general", "lookup", "spent" (a lookup's, answered), "dark"; "hidden" (a
       service; carried by a "rendezvous" one), "introduce"; of own services
       "service-introduce", "service-rendezvous"; "clean" (it waits for a use); else ""; static */
    const char *purpose;
    qudag_ns age, build_time;
    uint64_t cells_forward, cells_backward;
    uint32_t streams;
    uint8_t hops, hops_wanted;          /* hops built; hops the path has */
    qudag_peer_id path[QUDAG_HOPS_MAX]; /* client: hops_wanted of them */
    qudag_peer_id prev, next;           /* relay and end; len 0: none */
    /* Of one between a caller and a hidden service, at either: the own circuit that carries it, and whose last relay
     * is where both meet; id 0: none. */
    qudag_circuit carrier;
} qudag_circuit_info;
/* The circuits of this node, one after the other; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_circuit_next(const qudag_node *n, size_t *it, qudag_circuit_info *out);

/* Relays whose descriptors this node has; *guard: it is our entry guard.  False at the end. */
QUDAG_API bool qudag_relay_next(const qudag_node *n, size_t *it, qudag_peer_id *peer, bool *guard);

/* An onion key of this relay: two live, the one that its descriptor names and for a while the one before. */
typedef struct qudag_onion_key {
    uint32_t size; /* set by the caller, see types.h */
    bool current;  /* it is the one that the descriptor names */
    uint8_t pad[3];
    uint8_t id[8]; /* as others name it in circuits; public */
    int64_t made;  /* seconds since 1970, as the clock was; 0: not known */
    int64_t until; /* when it is replaced (the current one) or wiped */
} qudag_onion_key;
/* The onion keys of this relay; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_onion_key_next(const qudag_node *n, size_t *it, qudag_onion_key *out);
/*
 * Replaces the current onion key before its week is over.  QUDAG_ESTATE: the one before it is still in use;
 * |at_once|: all go at once, and circuits of those who know an older descriptor fail until they get the new one: for
 * keys that somebody may have seen.  QUDAG_EUNSUPPORTED: this node is no relay; what the callback |save| said.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_onion_key_rotate(qudag_node *n, bool at_once);

/* Whether circuits hide who uses them, as far as the node can know; where several are missing, the first of these. */
typedef enum qudag_anonymity_state {
    QUDAG_ANONYMITY_YES,
    QUDAG_ANONYMITY_LAB,           /* never in a test network */
    QUDAG_ANONYMITY_NOT_YET,       /* too little of the network was seen to choose guards from */
    QUDAG_ANONYMITY_SMALL_NETWORK, /* accepted or not; see qudag_node_diversity */
    QUDAG_ANONYMITY_GUARDS_SPENT,  /* no guard answers, and all new ones of this month are used */
    QUDAG_ANONYMITY_GUARDS_SILENT, /* no guard answers just now */
} qudag_anonymity_state;

typedef struct qudag_anonymity {
    uint32_t size; /* set by the caller, see types.h */
    qudag_anonymity_state state;
    uint32_t
        lookups; /* of random keys, by which the node gets to know the network: ended so far ... */
    uint32_t lookups_min; /* ... and that takes at least */
} qudag_anonymity;
/* False: out->size is not set. */
QUDAG_API bool qudag_node_anonymity(const qudag_node *n, qudag_anonymity *out);

/*
 * Of how many relays and networks (a /16 of IPv4, a /32 of IPv6, or all relays of one family) the paths of circuits
 * are drawn now.  In a network with fewer than |relays_min| or |networks_min| anonymity is an empty word: who runs a
 * few of the relays, or watches their networks, sees who talks to whom.  There circuits end with QUDAG_ESMALLNET
 * unless that is accepted.  Descriptors are free to make: the numbers do not show that a network is honest.
 */
typedef struct qudag_diversity {
    uint32_t size; /* set by the caller, see types.h */
    uint32_t relays, networks;
    uint32_t relays_min, networks_min;
    bool small;    /* there are fewer of either */
    bool accepted; /* it is used all the same: small_network, or lab */
    uint8_t pad[2];
} qudag_diversity;
/* False: out->size is not set. */
QUDAG_API bool qudag_node_diversity(const qudag_node *n, qudag_diversity *out);
/* The setting |small_network| from now on. */
QUDAG_API void qudag_node_accept_small_network(qudag_node *n, bool accepted);

#ifdef __cplusplus
}
#endif
#endif
