/*
 * schedule.c - numbers and times of records: what a storer sees of when and how often they are made.
 *
 * A storer that holds records of two places (two periods, or two replicas) must find nothing in them that
 * two places of one address have in common, and that those of two addresses have not:
 *
 *   periods     begin at the same moment for every address
 *   first put   uniform in the half period before the period begins
 *   renewals    after 6 to 8 h, drawn for each record of each place; never shifted to avoid another place:
 *               who saw that two series never meet would know that they belong together
 *   a change    of what the records lead to is told at once in one place of a period, drawn; in the other one with
 *               its next renewal.  Changes soon after each other are told in the same place, or the other would show
 *               that soon after, too; later ones in one drawn anew, or one place of each address would stand out
 *   number      a walk with random steps, its start and its course from the owner's secret and the place
 *   not before  dated back by a random time before it is rounded to the hour: no clock shows in it
 *   expires     a constant later, also at the end of a period
 *
 * No function here keeps anything; the draws are the caller's.
 */
#include "core/dark/dark_impl.h"

#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/hash.h"

#include <string.h>

#define START_BITS 48 /* of the first number of a place */
#define STEPS_MAX                                                                                  \
    48 /* hours in which records of a place are made: half a period, one, half a one */
#define STEP_MIN (UINT64_C(1) << 32) /* a walk's growth in an hour, and as much more at most */
#define BUMP_BITS 24 /* growth of a number when the walk is not above the last one */
#define DATED_BACK_MIN DARK_SKEW
#define DATED_BACK_VAR DARK_STEP
#define RENEW_MIN (6 * 3600)
#define RENEW_VAR (2 * 3600)
#define SLOW_RETRY_MIN (1800 * NS_PER_S) /* for a period that has not begun nothing is urgent */
#define SLOW_RETRY_VAR (3600 * NS_PER_S)

/* A record is dated back by up to two steps and more; it must still be renewed in good time. */
_Static_assert(RENEW_MIN + RENEW_VAR + DATED_BACK_MIN + DATED_BACK_VAR + DARK_STEP <=
                   DARK_LIFE / 4 * 3,
               "renewal before three quarters of the life");
_Static_assert(STEPS_MAX * 3600 == 2 * DARK_PERIOD, "steps are hours");

uint64_t dark_number_walk(const struct dark_keys *k, const struct dark_place *at, walltime now)
{
    uint8_t m[32 + DARK_MATERIAL_LEN], out[8 + 4 * STEPS_MAX];
    walltime begin = dark_period_start(at->period) - DARK_PERIOD / 2;
    walltime hours = now < begin ? 0 : (now - begin) / 3600;

    memcpy(m, k->ed_sk.seed, 32);
    dark_material(m + 32, &k->addr, at);
    blake3_derive(out, sizeof out, "qudag dark numbers v1", (struct slice){m, sizeof m});
    struct rd r = rd_init((struct slice){out, sizeof out});
    uint64_t n = rd_u64(&r) >> (64 - START_BITS);
    for (walltime i = 0; i < hours && i < STEPS_MAX; i++) {
        n += STEP_MIN + rd_u32(&r);
    }
    wipe(m, sizeof m);
    wipe(out, sizeof out);
    return n;
}

uint64_t dark_number_next(const struct dark_keys *k, const struct dark_place *at, uint64_t last,
                          walltime now, const struct rng *rng)
{
    uint64_t n = dark_number_walk(k, at, now);
    uint64_t least = n > last ? n : last;

    return least + 1 + (rng_u64(rng) >> (64 - BUMP_BITS));
}

walltime dark_not_before(walltime now, const struct rng *rng)
{
    walltime t = now - DATED_BACK_MIN - (walltime)(rng_u64(rng) % DATED_BACK_VAR);

    return t < 0 ? 0 : t - t % DARK_STEP;
}

uint64_t dark_first_wait(uint64_t period, walltime now, const struct rng *rng)
{
    walltime begin = dark_period_start(period);
    walltime lead = begin - DARK_PERIOD / 2;

    if (begin <= now) { /* SPEC: dark D-43: beside a place that is served at once */
        return dark_retry_wait(0, false, rng) / NS_PER_S;
    }
    walltime from = lead > now ? lead : now;
    return (uint64_t)(from - now) + rng_u64(rng) % (uint64_t)(begin - from);
}

uint64_t dark_renewal_wait(const struct rng *rng)
{
    return RENEW_MIN * NS_PER_S + rng_u64(rng) % (RENEW_VAR * NS_PER_S);
}

uint64_t dark_retry_wait(uint32_t failures, bool urgent, const struct rng *rng)
{
    uint32_t doublings = failures > 8 ? 8 : failures - (failures > 0);
    uint64_t wait = DARK_RETRY_MIN << doublings;

    if (!urgent) {
        return SLOW_RETRY_MIN + rng_u64(rng) % SLOW_RETRY_VAR;
    }
    return rng_jitter(rng, wait > DARK_RETRY_MAX ? DARK_RETRY_MAX : wait, 200);
}
