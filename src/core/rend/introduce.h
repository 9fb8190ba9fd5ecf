/*
 * introduce.h - introduction points: a relay passes handshakes on to a service that neither it nor the caller can name.
 *
 *   service ── circuit ──▶ relay: ESTABLISH, signed for that circuit; the stream stays open; KEEP, BUSY now and then
 *   caller ─── circuit ──▶ relay: INTRODUCE1, FIN ──▶ status, FIN
 *                          relay ── INTRODUCE2: the handshake, unread ──▶ service
 *
 * All three parts: the relay answers others where |serve| is set; introduce_establish() is the service's, and
 * introduce_send() the caller's.  Messages: wire/rend_msg.h.  Rules: spec/rendezvous.md section 1.
 */
#ifndef QUDAG_SRC_CORE_REND_INTRODUCE_H
#define QUDAG_SRC_CORE_REND_INTRODUCE_H

#include "core/core.h"
#include "wire/rend_msg.h"

#define INTRODUCE_PROTOCOL REND_INTRODUCE_PROTO
#define INTRODUCE_POINTS_MAX 1024 /* SPEC: rendezvous R-6 */
#define INTRODUCE_KEEP 0          /* SPEC: rendezvous R-3: the byte of a sign of life */
#define INTRODUCE_BUSY 1          /* SPEC: rendezvous R-43: and of "more call than I meet" */
#define INTRODUCE_BUSY_LIFE (30 * NS_PER_S) /* SPEC: rendezvous R-43: how long that counts */
#define INTRODUCE_KEEP_MIN                                                                         \
    (120 * NS_PER_S) /* SPEC: rendezvous R-3: between two signs of life of a service */
#define INTRODUCE_KEEP_MAX (240 * NS_PER_S)
#define INTRODUCE_QUEUE_MAX (16 * 1024u) /* SPEC: rendezvous R-4: bytes that wait for one service */

struct introduce_config {
    struct mem *mem;
    struct rng rng;
    bool serve;            /* be a relay for others */
    uint32_t asking_max;   /* streams of our own: points and introductions; default 256 */
    uint32_t points_max;   /* introduction points of others; default INTRODUCE_POINTS_MAX */
    uint32_t requests_max; /* requests of others that are not complete; default 256 */
};

enum introduce_up {
    /*
     * cookie, n: ref_to_u64() of a circuit that ends at us, over which somebody wants to establish a point.  To be
     * answered with introduce_bound().
     */
    INTRODUCE_UP_BINDING = 1,
    INTRODUCE_UP_ESTABLISHED, /* cookie of introduce_establish(): the relay passes introductions on */
    INTRODUCE_UP_REQUEST,     /* the same; data: REND_HS_LEN bytes of a handshake, not checked */
    INTRODUCE_UP_ENDED,       /* the same; err: the point is no more, or never was */
    INTRODUCE_UP_DONE, /* cookie of introduce_send(); err; if OK, n: what the relay says, enum rend_status */
};

/* A point we want at the end of a circuit of ours; borrowed for the call. */
struct introduce_point {
    struct ref circuit;
    uint64_t cookie;                 /* comes back in reports */
    const struct secret_ed25519 *sk; /* of its introduction key, which is of no other point */
    const uint8_t *binding;          /* onion_binding() of the circuit */
    uint16_t rate,
        burst; /* what the relay is to pass on a second, and at once; 0: as much as it does */
};

/* A handshake for the service behind a point at the end of a circuit of ours; borrowed for the call. */
struct introduce_call {
    struct ref circuit;
    uint64_t cookie;
    const uint8_t *intro_key; /* ED25519_PK_LEN bytes */
    const uint8_t *handshake; /* REND_HS_LEN bytes */
};

struct introduce;
extern const struct core_ops introduce_ops;

/* Without points; to be freed with introduce_free.  ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err introduce_new(struct introduce **out, const struct introduce_config *cfg,
                                       tstamp now);
/* Frees it and all that it has under way, without reports; NULL is allowed. */
void introduce_free(struct introduce *i);

/*
 * Establishes a point; ends in exactly one INTRODUCE_UP_ENDED: its owner ends it by closing the circuit.  EINVAL (no
 * circuit), ELIMIT, ENOMEM, EINTERNAL: no report follows.
 */
QUDAG_MUST_USE qudag_err introduce_establish(struct introduce *i, const struct introduce_point *p,
                                             tstamp now, struct acts *out);
/*
 * The service behind the point of that cookie meets fewer than call: its relay tells callers so, INTRODUCE_BUSY_LIFE
 * long.  Nothing happens when there is no such point, or not yet.
 */
void introduce_busy(struct introduce *i, uint64_t cookie, tstamp now, struct acts *out);
/*
 * Sends one introduction; ends in exactly one INTRODUCE_UP_DONE, after REND_ANSWER_TIMEOUT at the latest.  The circuit
 * is of no use for another one.  EINVAL (no circuit), ELIMIT, ENOMEM: no report follows.
 */
QUDAG_MUST_USE qudag_err introduce_send(struct introduce *i, const struct introduce_call *c,
                                        tstamp now, struct acts *out);
/*
 * The answer to INTRODUCE_UP_BINDING: what both ends of the circuit share; NULL: it is gone.  Nothing happens when its
 * stream is gone.
 */
void introduce_bound(struct introduce *i, uint64_t cookie, const uint8_t *binding, tstamp now,
                     struct acts *out);

/* Counted since the beginning; the last line as of now. */
struct introduce_stats {
    uint64_t established, passed, unknown, over; /* over: at its rate, or its queue full */
    uint64_t busy; /* of the passed: to services that say that more call than they meet */
    uint64_t gave_way, refused_limit;
    uint32_t points, requests;
};
/* A copy of what was counted. */
void introduce_stats_get(const struct introduce *i, struct introduce_stats *out);

#endif
