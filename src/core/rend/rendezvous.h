/*
 * rendezvous.h - rendezvous points: a relay where the circuits of a caller and of a hidden service meet.
 *
 *   caller ─── circuit ──▶ relay: WAIT with a cookie, FIN ──▶ status
 *   service ── circuit ──▶ relay: MEET with the cookie and CREATED, FIN
 *                          relay: CREATED to the caller; when it has left the circuits are joined; status, FIN to both
 *
 * All three parts: the relay answers others where |serve| is set; rendezvous_wait() is the caller's, and
 * rendezvous_meet() the service's.  Messages: wire/rend_msg.h.  Rules: spec/rendezvous.md section 2.
 */
#ifndef QUDAG_SRC_CORE_REND_RENDEZVOUS_H
#define QUDAG_SRC_CORE_REND_RENDEZVOUS_H

#include "core/core.h"
#include "wire/rend_msg.h"

#define RENDEZVOUS_PROTOCOL REND_MEET_PROTO
#define RENDEZVOUS_WAITING_MAX 2048                /* SPEC: rendezvous R-11 */
#define RENDEZVOUS_COOKIE_LIFE (60 * NS_PER_S)     /* SPEC: rendezvous R-8 */
#define RENDEZVOUS_HANDOVER_TIMEOUT (5 * NS_PER_S) /* for CREATED to leave the relay */

struct rendezvous_config {
    struct mem *mem;
    struct rng rng;
    bool serve;            /* be a relay for others */
    uint32_t asking_max;   /* streams of our own; default 256 */
    uint32_t waiting_max;  /* cookies of others; default RENDEZVOUS_WAITING_MAX */
    uint32_t requests_max; /* requests of others that are not complete; default 256 */
};

enum rendezvous_up {
    /*
     * ptr: struct rendezvous_pair.  The owner joins the circuits (onion_join) before it carries out anything that
     * follows in the list; when it cannot, it closes both.
     */
    RENDEZVOUS_UP_JOIN = 1,
    RENDEZVOUS_UP_WAITING, /* cookie of rendezvous_wait(): the relay knows the cookie */
    RENDEZVOUS_UP_CREATED, /* the same; err; if OK, data: CREATED, REND_CREATED_LEN bytes not checked */
    RENDEZVOUS_UP_MET, /* cookie of rendezvous_meet(); err; if OK, n: what the relay says, enum rend_status */
};

/* Two circuits that end at us; it lies in the action list. */
struct rendezvous_pair {
    struct ref caller, service;
};

/* What we ask the relay at the end of a circuit of ours; borrowed for the call. */
struct rendezvous_request {
    struct ref circuit;
    uint64_t cookie;        /* comes back in reports */
    const uint8_t *meeting; /* REND_COOKIE_LEN bytes */
    const uint8_t *created; /* rendezvous_meet(): REND_CREATED_LEN bytes */
};

struct rendezvous;
extern const struct core_ops rendezvous_ops;

/* Where nobody waits; to be freed with rendezvous_free.  ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err rendezvous_new(struct rendezvous **out,
                                        const struct rendezvous_config *cfg, tstamp now);
/* Frees it and all that it has under way, without reports; NULL is allowed. */
void rendezvous_free(struct rendezvous *r);

/*
 * Places a cookie; ends in exactly one RENDEZVOUS_UP_CREATED, after REND_ANSWER_TIMEOUT and RENDEZVOUS_COOKIE_LIFE at
 * the latest.  When it was OK the circuit may be joined: it is to carry another one (onion_carry) or to be closed.
 * EINVAL (no circuit), ELIMIT, ENOMEM: no report follows.
 */
QUDAG_MUST_USE qudag_err rendezvous_wait(struct rendezvous *r, const struct rendezvous_request *q,
                                         tstamp now, struct acts *out);
/*
 * Comes to a caller that waits; ends in exactly one RENDEZVOUS_UP_MET.  The caller's first cells may be there before
 * it: the circuit is to carry another one from now on.  EINVAL (no circuit), ELIMIT, ENOMEM: no report follows.
 */
QUDAG_MUST_USE qudag_err rendezvous_meet(struct rendezvous *r, const struct rendezvous_request *q,
                                         tstamp now, struct acts *out);

/* Counted since the beginning; the last line as of now. */
struct rendezvous_stats {
    uint64_t joined, unknown, expired;
    uint64_t gave_way, refused_limit;
    uint32_t waiting, requests;
};
/* A copy of what was counted. */
void rendezvous_stats_get(const struct rendezvous *r, struct rendezvous_stats *out);

#endif
