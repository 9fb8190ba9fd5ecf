/*
 * caller.h - calls of a node to hidden services, from a record to the keys of a carried circuit (spec/rendezvous.md).
 *
 *   hidden_call ─▶ NEED_R ───▶ r_built ─▶ WAIT ─▶ waiting ─┐
 *              ├▶ NEED_I ─────▶ i_built ───────────────────┼▶ INTRODUCE ─▶ introduced ... created ─▶ MET ─▶ take
 *              └▶ SOLVE ──────▶ solved ────────────────────┘   where work is asked for
 *
 * It decides and remembers; its owner builds the circuits and speaks with the relays at their ends.  A circuit that it
 * was given and does not want any more comes back with HIDDEN_CALL_CLOSE, also one that was built too late.
 * Every call ends once: with hidden_call_take(), HIDDEN_CALL_END or hidden_call_cancel().
 */
#ifndef QUDAG_SRC_CORE_HIDDEN_CALLER_H
#define QUDAG_SRC_CORE_HIDDEN_CALLER_H

#include "core/core.h"
#include "core/hidden/rules.h"
#include "wire/rend_work.h"

#define HIDDEN_CALLS_MAX 64
#define HIDDEN_SOLVE_LIFE (20 * NS_PER_S) /* SPEC: rendezvous R-37 */
#define HIDDEN_CALL_R_MAX 3               /* relays R for one call, one after the other */

/* An introduction point, as a record names it. */
struct hidden_point {
    struct onion_hop relay;
    uint8_t intro_key[ED25519_PK_LEN];
};

/* Whom to call; borrowed for the call. */
struct hidden_call_want {
    uint64_t cookie;     /* comes back in reports; of no other call that is under way */
    const uint8_t *addr; /* REND_ADDR_LEN bytes */
    const uint8_t *x;    /* the keys of the record: X25519_LEN */
    const uint8_t *k;    /* and MLKEM768_EK_LEN bytes */
    const struct hidden_point *points;
    size_t n_points; /* 1 .. HIDDEN_POINTS */
    const uint8_t
        *seed;       /* of the record, REND_WORK_SEED_LEN bytes, if it has not expired; else NULL */
    uint32_t effort; /* with |seed|: what the record asks for; 1: nothing for now */
};

enum hidden_call_up {
    /* n: id, ptr: const struct hidden_avoid *.  Build a circuit to an R; then hidden_call_r_built() or _failed(). */
    HIDDEN_CALL_NEED_R = 1,
    /* n: id, ptr: const struct hidden_point *.  Build one to its relay; then hidden_call_i_built() or _failed(). */
    HIDDEN_CALL_NEED_I,
    /* n: id of R, obj: its circuit, data: REND_COOKIE_LEN bytes to place there; then hidden_call_waiting(). */
    HIDDEN_CALL_WAIT,
    /* n: id of the point, obj: its circuit, ptr: const struct hidden_introduction *; then hidden_call_introduced(). */
    HIDDEN_CALL_INTRODUCE,
    HIDDEN_CALL_MET, /* n: id of R, obj: its circuit: hidden_call_take(), then onion_carry() */
    HIDDEN_CALL_END, /* err: see hidden_call_verdict(); ECIRCUIT: no R; EAUTH: R answers for the service */
    HIDDEN_CALL_CLOSE, /* obj: a circuit that is not needed any more */
    /* n: id of the point, ptr: const struct rend_work_task *.  Solve it elsewhere; then hidden_call_solved(). */
    HIDDEN_CALL_SOLVE,
    HIDDEN_CALL_UNSOLVE, /* n: that id; the solution is not needed any more, hidden_call_solved() may be left out */
};

/* Relays that R is not to be: those of introduction points, and those that failed as R.  In the action list. */
struct hidden_avoid {
    struct peer_id peer[HIDDEN_POINTS + HIDDEN_CALL_R_MAX];
    uint32_t n;
};

/* All reports but CLOSE have the cookie of their call.  Lies in the action list. */
struct hidden_introduction {
    uint8_t intro_key[ED25519_PK_LEN];
    uint8_t handshake[REND_HS_LEN];
};

struct hidden_calls_config {
    struct mem *mem;
    struct rng rng;
    uint32_t work_max; /* tries of one introduction, on average; 0: no work is done */
};

struct hidden_calls;

/* Without calls; to be freed with hidden_calls_free().  ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err hidden_calls_new(struct hidden_calls **out,
                                          const struct hidden_calls_config *cfg);
/* Frees it and wipes what it has under way, without reports; NULL is allowed. */
void hidden_calls_free(struct hidden_calls *h);

/* Begins a call.  EINVAL (points), EEXISTS (cookie), ELIMIT, ENOMEM: no report follows. */
QUDAG_MUST_USE qudag_err hidden_call(struct hidden_calls *h, const struct hidden_call_want *want,
                                     tstamp now, struct acts *out);
/* Ends a call with no other reports than HIDDEN_CALL_CLOSE; nothing for one that there is not. */
void hidden_call_cancel(struct hidden_calls *h, uint64_t cookie, struct acts *out);

/* |circuit| ends at |r|, of which peer, pq_hash, x and k count. */
void hidden_call_r_built(struct hidden_calls *h, uint64_t id, struct ref circuit,
                         const struct onion_hop *r, tstamp now, struct acts *out);
/* What R said: OK, the cookie waits there.  The time for answers of introduction points begins. */
void hidden_call_waiting(struct hidden_calls *h, uint64_t id, qudag_err err, tstamp now,
                         struct acts *out);
/* |circuit| ends at the relay of the point. */
void hidden_call_i_built(struct hidden_calls *h, uint64_t id, struct ref circuit, tstamp now,
                         struct acts *out);
/*
 * The nonce that solves what HIDDEN_CALL_SOLVE asked for, within HIDDEN_SOLVE_LIFE.  Another |err| than OK: none was
 * found, and the introduction is made without.
 */
void hidden_call_solved(struct hidden_calls *h, uint64_t id, qudag_err err, uint64_t nonce,
                        tstamp now, struct acts *out);
/* What the point's relay said: |status| (enum rend_status) if |err| is OK. */
void hidden_call_introduced(struct hidden_calls *h, uint64_t id, qudag_err err, uint64_t status,
                            tstamp now, struct acts *out);
/* What came from R as CREATED; |created| of another length than REND_CREATED_LEN fits nothing. */
void hidden_call_created(struct hidden_calls *h, uint64_t id, struct slice created, tstamp now,
                         struct acts *out);
/* A circuit could not be built, broke, or its request to R ended: whichever |id| names. */
void hidden_call_failed(struct hidden_calls *h, uint64_t id, tstamp now, struct acts *out);
/*
 * The answer to HIDDEN_CALL_MET, within 5 s: the keys of the carried circuit, whose client we are; |keys| are to be
 * wiped.  The call has ended, R's circuit is the owner's.  ESTALE: no such call, |keys| are wiped.
 */
QUDAG_MUST_USE qudag_err hidden_call_take(struct hidden_calls *h, uint64_t id,
                                          struct onion_hs_keys *keys);

/* Does what is due, of some calls at a time. */
void hidden_calls_tick(struct hidden_calls *h, tstamp now, struct acts *out);
/* When hidden_calls_tick() is to be called next; TSTAMP_NEVER: not at all. */
tstamp hidden_calls_deadline(const struct hidden_calls *h);

/* Calls that have not ended. */
uint32_t hidden_calls_count(const struct hidden_calls *h);

#endif
