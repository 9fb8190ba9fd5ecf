/* relay.h - circuit relays: being reached through other nodes, and letting others be reached through this one. */
#ifndef QUDAG_RELAY_H
#define QUDAG_RELAY_H

#include <qudag/limits.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Has a place kept at a circuit relay (circuit relay v2 of libp2p) from now on, so that peers who cannot dial this node
 * reach it at RELAY/p2p-circuit/p2p/ID; the relay is a kept peer (qudag_peer_keep()) meanwhile.  The place is renewed
 * before it expires and tried again after failures, until qudag_relay_release() or the end of the node; the setting
 * |reserve_at| does it from the start.  |relay|: as for qudag_peer_keep().  Links through a relay are secured end to
 * end like all others, by the same policy; the relay learns who talks to whom, when and how much.
 * Errors as of qudag_peer_keep(); QUDAG_ELIMIT also: QUDAG_RESERVE_MAX relays.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_relay_reserve(qudag_node *n, const char *relay);
/* Not any more; the relay forgets the place when it expires.  QUDAG_ENOTFOUND: none is wanted there. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_relay_release(qudag_node *n, const qudag_peer_id *relay);

/* A place that is wanted at a relay. */
typedef struct qudag_place {
    uint32_t size;        /* set by the caller, see types.h */
    uint32_t failures;    /* in a row */
    qudag_ns left;        /* for which it is held still; 0: it is not held */
    qudag_ns next_try;    /* from now, to have or to renew it; 0: under way */
    uint64_t limit_bytes; /* of each link through it, each way, as the relay says; 0: none */
    qudag_ns limit_time;  /* likewise */
    qudag_err err;        /* of the last try */
    char addr[QUDAG_ADDR_TEXT_MAX]; /* where others reach this node; "": not held, or not told */
    qudag_peer_id relay;
    uint8_t pad[6];
    bool chosen;                  /* by this node itself, not by qudag_relay_reserve() */
    qudag_ns rtt;                 /* to the relay; 0: not measured */
    uint64_t circuits;            /* through it that have ended ... */
    uint64_t broken;              /* ... of these broken off, by it or the peer, before its limit */
    uint64_t bytes_in, bytes_out; /* of these */
} qudag_place;
/* One after the other; *it starts at 0; false at the end. */
QUDAG_API bool qudag_place_next(const qudag_node *n, size_t *it, qudag_place *out);

/* A circuit between two peers that passes through this node. */
typedef struct qudag_relay_circuit {
    uint32_t size; /* set by the caller, see types.h */
    bool paced;    /* it waits for a rate just now */
    uint8_t pad[3];
    qudag_ns age;
    uint64_t sent, got;     /* bytes passed on from |from|, and to it */
    uint64_t limit_bytes;   /* each way; 0: none */
    qudag_ns limit_time;    /* likewise */
    qudag_peer_id from, to; /* who asked for it, and for whom */
    uint8_t tail[6];
} qudag_relay_circuit;
/* One after the other; *it starts at 0; false at the end. */
QUDAG_API bool qudag_relay_circuit_next(const qudag_node *n, size_t *it, qudag_relay_circuit *out);

/*
 * Streams of |proto| may run over links that a relay limits in bytes and time (limited in qudag_link_info), in either
 * direction; those of other protocols wait for a direct link, or fail with QUDAG_EPOLICY.  QUDAG_EINVAL: not a
 * protocol name; QUDAG_ELIMIT: 8 protocols have it.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_protocol_allow_limited(qudag_node *n, const char *proto);

#ifdef __cplusplus
}
#endif

#endif
