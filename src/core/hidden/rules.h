/* rules.h - what callers and services of the hidden kind decide, as functions of nothing but their arguments. */
#ifndef QUDAG_SRC_CORE_HIDDEN_RULES_H
#define QUDAG_SRC_CORE_HIDDEN_RULES_H

#include "base/rng.h"
#include "base/types.h"

#define HIDDEN_POINTS 3                /* SPEC: rendezvous R-25 */
#define HIDDEN_RECORD_LIFE (14 * 3600) /* s that a record may be read (spec/dark.md 3) */
#define HIDDEN_PERIOD 86400            /* s: the periods of records */
#define HIDDEN_RESTORES 3              /* SPEC: rendezvous R-25: in HIDDEN_RESTORE_SPAN */
#define HIDDEN_RESTORE_SPAN (3600 * NS_PER_S)
#define HIDDEN_TRY_NEXT (4 * NS_PER_S)   /* SPEC: rendezvous R-26: after an introduction */
#define HIDDEN_CALL_LIFE (20 * NS_PER_S) /* SPEC: rendezvous R-26: after the first */
#define HIDDEN_COLLECT (10 * NS_PER_S)   /* for the points a record is to name */

/* --- caller ------------------------------------------------------------------------------------ */

/* A random order of |n| <= HIDDEN_POINTS points, each with the same chance of each place. */
void hidden_order_draw(uint8_t order[HIDDEN_POINTS], size_t n, const struct rng *rng);

/* What became of a call's introduction points. */
struct hidden_tries {
    uint32_t n;       /* points there are */
    uint32_t passed;  /* passed it on: so the service heard of it, or its link is dead */
    uint32_t unknown; /* say that there is no such point */
    uint32_t full;    /* say that it is at its rate */
};

/*
 * Why a call that brought nothing failed: ETIMEOUT, the service does not answer; ESTALE, no point is there: the record
 * is out of date; EREFUSED, it has too many callers; EUNREACHABLE, no point was reached.
 */
qudag_err hidden_call_verdict(const struct hidden_tries *t);

/* --- introduction points ----------------------------------------------------------------------- */

/* How long a point is in use, ns: uniform in 12 .. 24 h; and for how many introductions: 16384 .. 32768. */
uint64_t hidden_point_life(const struct rng *rng);
uint32_t hidden_point_introductions(const struct rng *rng);

/* Whether a fresh point takes its place: its time has come, or |served| of |most| introductions came. */
bool hidden_point_is_over(tstamp until, uint32_t served, uint32_t most, tstamp now);

/*
 * Whether a point whose circuit broke is established again at its relay: |when| has the last HIDDEN_RESTORES times that
 * this was done, 0 for never.
 */
bool hidden_may_restore(const tstamp when[HIDDEN_RESTORES], tstamp now);

/* How long to wait after |failures| in a row: 1 s doubled up to 5 min, varied by a fifth. */
uint64_t hidden_retry_wait(uint32_t failures, const struct rng *rng);

/* Whether what the record must say, changed |since|, is to be told now: |named| of HIDDEN_POINTS points are there. */
bool hidden_target_is_due(uint32_t named, tstamp since, tstamp now);

/* --- keys of periods --------------------------------------------------------------------------- */

/* The period at |now|; they begin at midnight UTC. */
uint64_t hidden_period(walltime now);

/*
 * Whether records of |period| may be made at |now| or soon: the current one, the next one and, in the first half of a
 * period, the one before (SPEC: dark D-4).
 */
bool hidden_period_is_live(uint64_t period, walltime now);

/* From when on no record that names the keys of |period| can be read, and an hour. */
walltime hidden_period_over_at(uint64_t period);

/* --- who waits for a rendezvous ---------------------------------------------------------------- */

/* Which of |n| introduction points loses its oldest when the queue is full: the one of which most waits. */
size_t hidden_queue_largest(const uint32_t *waiting, size_t n);

/* Of which something is served next: in turn, from the one after |last|; |n| when nothing waits. */
size_t hidden_queue_next(const uint32_t *waiting, size_t n, size_t last);

#endif
