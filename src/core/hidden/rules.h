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
#define HIDDEN_TRY_NEXT (4 * NS_PER_S) /* SPEC: rendezvous R-26: after an introduction */
#define HIDDEN_BUILD_NEXT                                                                          \
    (1500 * NS_PER_MS) /* SPEC: rendezvous R-26: a circuit to a point takes longer than that */
#define HIDDEN_CALL_LIFE (12 * NS_PER_S) /* SPEC: rendezvous R-26: after the first */
#define HIDDEN_MEETING_LIFE (60 * NS_PER_S)
#define HIDDEN_WAIT_MAX (8 * NS_PER_S) /* SPEC: rendezvous R-28 */
#define HIDDEN_BUILDS_MAX                                                                          \
    128 /* SPEC: rendezvous R-28: circuits to relays R at a time, of a service */
/* SPEC: rendezvous R-28: begun at once, and a second while no first hop answers; each that does lets one more begin */
#define HIDDEN_BUILDS_RATE 32
#define HIDDEN_ALL_BUILDS_MAX 256 /* SPEC: rendezvous R-28: of all services of a node */
#define HIDDEN_ALL_BUILDS_RATE 64
#define HIDDEN_ALL_OPENS_RATE                                                                      \
    600 /* SPEC: rendezvous R-28: handshakes a second, of a node: so many by share, and so many beside */
#define HIDDEN_EXCESS_BURST 800 /* SPEC: rendezvous R-42: twice what a relay may pass on at once */
/* SPEC: rendezvous R-43: who waits longest has waited that long; points are told again as often */
#define HIDDEN_BUSY_AFTER (2 * NS_PER_S)
#define HIDDEN_BUSY_AGAIN (15 * NS_PER_S)
#define HIDDEN_CARRIED_MAX 1024 /* SPEC: rendezvous R-24: carried circuits of a service */
/* SPEC: rendezvous R-24: of all services of a node; their guard's link has 1280 circuits (core/onion/admission.h) */
#define HIDDEN_ALL_CARRIED_MAX 1152
#define HIDDEN_CARRIED_KEPT                                                                        \
    32 /* SPEC: rendezvous R-24: of these are kept for each service, half of all at the most */
#define HIDDEN_COLLECT (10 * NS_PER_S) /* for the points a record is to name */

/* --- caller ------------------------------------------------------------------------------------ */

/* A random order of |n| <= HIDDEN_POINTS points, each with the same chance of each place. */
void hidden_order_draw(uint8_t order[HIDDEN_POINTS], size_t n, const struct rng *rng);

/* What became of a call's introduction points. */
struct hidden_tries {
    uint32_t n;       /* points there are */
    uint32_t passed;  /* passed it on: so the service heard of it, or its link is dead */
    uint32_t unknown; /* say that there is no such point */
    uint32_t full;    /* say that it is at its rate */
    uint32_t effort;  /* that the record asks for; above 1: more called than the service met */
    bool busy;        /* a point that passed it on says the same of now */
};

/*
 * Why a call that brought nothing failed: ETIMEOUT, the service does not answer; ESTALE, no point is there: the record
 * is out of date; ELIMIT, it has too many callers, by its points or
 * by its record or itself while no point says that it is gone; EUNREACHABLE, no point was reached.
 */
qudag_err hidden_call_verdict(const struct hidden_tries *t);

/*
 * Whether there is nothing more to wait for once the last introduction had its time: of the points some are gone, so
 * that those which passed it on are of a service that is gone as well, or has others by now.
 */
bool hidden_call_is_vain(const struct hidden_tries *t);

/* --- proof of work ----------------------------------------------------------------------------- */

#define HIDDEN_EFFORT_FIRST 64 /* SPEC: rendezvous: tries, where none were asked for */
#define HIDDEN_EFFORT_MAX (1u << 20)       /* that a record asks for: two minutes of one core */
#define HIDDEN_EFFORT_TURN (10 * NS_PER_S) /* SPEC: rendezvous R-36 */
#define HIDDEN_WORK_MAX                                                                            \
    (1u << 15) /* SPEC: rendezvous R-37: of a caller, unless it is told otherwise */

/*
 * The effort of an introduction after others of the call that were passed on |in_vain|, where the record asks for
 * |asked| (0: it has no seed, 1: nothing for now), by a caller who spends no more than |most| (SPEC: rendezvous R-37,
 * 0: no proof.
 */
uint32_t hidden_work_effort(uint32_t asked, uint32_t in_vain, uint32_t most);

/* What became of those who came by one introduction point, in one turn. */
struct hidden_turn {
    bool came;             /* somebody came */
    bool lost;             /* somebody waited in vain, or was displaced */
    bool begun;            /* a circuit was begun for somebody */
    uint32_t lost_effort;  /* the highest of those who were lost */
    uint32_t least_effort; /* the lowest and the highest of those whom a circuit was begun for */
    uint32_t begun_effort;
};

/*
 * What it took to get in by the cheapest of those of |n| points by which somebody came (SPEC: rendezvous R-36): false,
 * one of them lost nobody.  Who wants it higher must pay that much, at every point that others use, for as many as the
 * service meets: no claim, no single proof and no flood of one point raises it.
 */
bool hidden_effort_price(const struct hidden_turn *turn, size_t n, uint32_t *price);

/* What is asked for after a turn in which it was |effort|; |lost| and |price| are those of hidden_effort_price(). */
uint32_t hidden_effort_next(uint32_t effort, bool lost, uint32_t price);

/* After how many ns records that said |told| are to say |effort| (SPEC: rendezvous R-39); UINT64_MAX: never. */
uint64_t hidden_effort_tell_after(uint32_t told, uint32_t effort);

/* The age, ns, at which a seed is replaced; |telling|: records are told anyway (SPEC: rendezvous R-35). */
uint64_t hidden_seed_age(bool under_load, bool telling);

/*
 * How long a circuit to R may take, ns: less when all |most| are |building| and somebody is |queued|, or 64 callers
 * who name relays that never answer would keep all others out for a minute.
 */
uint64_t hidden_meeting_life(uint32_t building, uint32_t most, uint32_t queued);

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

/*
 * How many handshakes a second each of |services| of a node looks at whatever comes to the others, at least 1
 * (SPEC: rendezvous R-28).
 */
uint32_t hidden_opens_share(uint32_t services);

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

/*
 * Whether a service meets fewer than call: who is served next has |waited| ns, or somebody was |lost|.  Callers hear it
 * before they come by another point, so that none who is not met takes the service for gone (SPEC: rendezvous R-43).
 */
bool hidden_is_busy(uint64_t waited, bool lost);

/* Which of |n| introduction points loses its oldest when the queue is full: the one of which most waits. */
size_t hidden_queue_largest(const uint32_t *waiting, size_t n);

/* Of which something is served next: in turn, from the one after |last|; |n| when nothing waits. */
size_t hidden_queue_next(const uint32_t *waiting, size_t n, size_t last);

/*
 * Whether a service that builds |mine| circuits to relays R may begin one more while all services of the node build
 * |all|: it takes no more than it leaves free, so that one whose callers name dead relays does not shut out the others.
 */
bool hidden_may_build(uint32_t mine, uint32_t all);

/* How many places for carried circuits are kept for each of |services|, whatever the others hold. */
uint32_t hidden_carried_kept(uint32_t services);

/*
 * Whether a service that holds |mine| carried circuits, those to come with them, may have one more where all of the
 * node hold |all|, |kept| are kept for each, and the others lack |lacking| of theirs.
 */
bool hidden_may_carry(uint32_t mine, uint32_t all, uint32_t kept, uint32_t lacking);

/* Whether the service that holds |most| gives way to one that holds |mine|: it has no less than that one then. */
bool hidden_sheds_for(uint32_t most, uint32_t mine);

#endif
