/*
 * guards.h - the entry guards: a sample of relays that lasts for months, and who of them begins a path.
 *
 *   pool ─ drawn uniformly once the view has settled ─▶ sample of 20, in order
 *   sample ─ the first two that are fit ─▶ primaries: used in order, waited for
 *   all of those before away for long ─▶ the next, while this month's new ones are not spent
 *   of those before, one may not be in this path, for its end, and the others are gone ─▶ the same, for this path
 *
 * The order never changes but that one used for the first time moves to the end of those used before it.  Whoever
 * can only make guards fail gains little: a guard is dropped at its date and at no other time.
 * SPEC: path-selection 3.
 */
#ifndef QUDAG_SRC_CORE_RELAYS_GUARDS_H
#define QUDAG_SRC_CORE_RELAYS_GUARDS_H

#include "core/relays/bias.h"
#include "core/relays/relays.h"

#define RELAYS_SAMPLE_MAX 20
#define RELAYS_PRIMARIES 2
#define RELAYS_NEW_GUARDS 4       /* used for the first time within RELAYS_NEW_DAYS */
#define RELAYS_NEW_DAYS 35        /* dates on disk are blurred by up to five: never less than 30 */
#define RELAYS_AWAY_S (12 * 3600) /* a guard away so long while others answered is not waited for */
#define RELAYS_AWAY_SMALL_S 120   /* the same in a network that was never seen large */
#define RELAYS_GONE_S (72 * 3600) /* beside an excluded one, a guard away so long is passed over */
#define RELAYS_GONE_SMALL_S 4     /* there: it failed twice, and others answered between */
#define RELAYS_SECOND_AWAY_S (24 * 3600) /* a second-layer relay away so long is replaced */

/* What decides whether a guard may be used. */
struct relays_guard_view {
    bool fit;      /* as a guard at all: its flags, and what it did with our circuits */
    bool used;     /* before */
    bool answers;  /* as far as we know, and it is not too soon to try again */
    bool doubtful; /* it did not answer when it was asked last, and nobody has met it since */
    bool away;     /* it did not answer for RELAYS_AWAY_S, while others did */
    bool gone;     /* the same for RELAYS_GONE_S */
    bool excluded; /* from this path, by what the path leads to */
};

/*
 * Which of |n| guards, in their order, may begin a path: their indices go into |ix|.  The first RELAYS_PRIMARIES
 * that are fit may; each later one only when all fit ones before it are away, or when some of these are excluded and
 * the others, one at least, are gone.  One that was never used counts against |new_left|.  *spent: one was left out
 * for that reason alone.  The doubtful come behind the others: a path does not wait for one that is most likely dead.
 */
size_t relays_guards_allowed(const struct relays_guard_view *v, size_t n, uint32_t new_left,
                             uint8_t *ix, bool *spent);
/* How many may be used for the first time at |now|, when |n| were so at |used| (0: never). */
uint32_t relays_guards_new_left(const walltime *used, size_t n, walltime now);
/*
 * What a failure after |gap_s| seconds of failing adds to the time a guard counts as denied, in seconds: nothing
 * unless others answered meanwhile, and at most twenty minutes, so that a machine asleep does not count.
 */
uint32_t relays_denied_more(uint64_t gap_s, bool others_answered);

#endif
