/* rules.c - see rules.h. */
#include "core/hidden/rules.h"

#define HOUR (3600 * NS_PER_S)
#define LIFE_MIN (12 * HOUR)
#define LIFE_VAR (12 * HOUR)
#define INTRODUCTIONS_MIN 16384u
#define RETRY_MIN NS_PER_S
#define RETRY_MAX (300 * NS_PER_S)
#define DOUBLINGS_MAX 9
#define RAISES_MAX 8
#define TELL_MORE (60 * NS_PER_S) /* between records that ask for more */
#define TELL_LESS (1800 * NS_PER_S)
#define SEED_LEAST (2 * HOUR)
#define SEED_MOST (12 * HOUR)
/* s after its end: records of it are made for half a period more, and live; and an hour */
#define OVER (HIDDEN_PERIOD / 2 + HIDDEN_RECORD_LIFE + 3600)

void hidden_order_draw(uint8_t order[HIDDEN_POINTS], size_t n, const struct rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint8_t)i;
    }
    for (size_t i = n; i > 1; i--) {
        size_t other = rng_below(rng, (uint32_t)i);
        uint8_t was = order[i - 1];
        order[i - 1] = order[other];
        order[other] = was;
    }
}

bool hidden_call_is_vain(const struct hidden_tries *t)
{
    return t->unknown > 0 && t->passed + t->unknown == t->n;
}

qudag_err hidden_call_verdict(const struct hidden_tries *t)
{
    if (t->passed > 0 || t->busy) {
        return t->unknown == 0 && (t->busy || t->effort > 1) ? QUDAG_ELIMIT : QUDAG_ETIMEOUT;
    }
    if (t->unknown == t->n) {
        return QUDAG_ESTALE;
    }
    return t->full > 0 ? QUDAG_ELIMIT : QUDAG_EUNREACHABLE;
}

uint32_t hidden_work_effort(uint32_t asked, uint32_t in_vain, uint32_t most)
{
    uint64_t effort = asked;

    if (asked == 0 || (asked == 1 && in_vain == 0)) {
        return 0;
    }
    if (in_vain > 0) {
        effort = asked < HIDDEN_EFFORT_FIRST ? HIDDEN_EFFORT_FIRST : asked;
        effort <<= 3 * (in_vain > RAISES_MAX ? RAISES_MAX : in_vain); /* eight times, each time */
    }
    return effort > most ? most : (uint32_t)effort;
}

/* Between the highest that was not met and the lowest that was; what nobody was met for has no price. */
static uint32_t price_at(const struct hidden_turn *t)
{
    uint32_t lost = t->lost_effort < t->begun_effort ? t->lost_effort : t->begun_effort;

    if (!t->begun) {
        return 0;
    }
    return lost > t->least_effort ? lost : t->least_effort;
}

bool hidden_effort_price(const struct hidden_turn *turn, size_t n, uint32_t *price)
{
    bool came = false;

    *price = HIDDEN_EFFORT_MAX;
    for (size_t i = 0; i < n; i++) {
        uint32_t here = price_at(&turn[i]);
        if (turn[i].came && !turn[i].lost) {
            return false;
        }
        *price = turn[i].came && here < *price ? here : *price;
        came = came || turn[i].came;
    }
    return came;
}

uint32_t hidden_effort_next(uint32_t effort, bool lost, uint32_t price)
{
    uint64_t less = effort < 8 ? 1 : effort - effort / 8;
    uint64_t enough = lost ? (uint64_t)price + price / 4 + HIDDEN_EFFORT_FIRST : 1;
    uint64_t next = enough > less ? enough : less; /* up at once, down by an eighth */

    return next > HIDDEN_EFFORT_MAX ? HIDDEN_EFFORT_MAX : (uint32_t)next;
}

uint64_t hidden_effort_tell_after(uint32_t told, uint32_t effort)
{
    if (effort / 2 >= told) {
        return TELL_MORE;
    }
    return effort <= told / 4 || (effort == 1 && told > 1) ? TELL_LESS : UINT64_MAX;
}

uint64_t hidden_seed_age(bool under_load, bool telling)
{
    return under_load || telling ? SEED_LEAST : SEED_MOST;
}

uint64_t hidden_meeting_life(uint32_t building, uint32_t most, uint32_t queued)
{
    return building >= most && queued > 0 ? HIDDEN_WAIT_MAX : HIDDEN_MEETING_LIFE;
}

uint64_t hidden_point_life(const struct rng *rng)
{
    return LIFE_MIN + rng_u64(rng) % (LIFE_VAR + 1);
}

uint32_t hidden_point_introductions(const struct rng *rng)
{
    return INTRODUCTIONS_MIN + rng_below(rng, INTRODUCTIONS_MIN + 1);
}

bool hidden_point_is_over(tstamp until, uint32_t served, uint32_t most, tstamp now)
{
    return now >= until || served >= most;
}

bool hidden_may_restore(const tstamp when[HIDDEN_RESTORES], tstamp now)
{
    for (size_t i = 0; i < HIDDEN_RESTORES; i++) {
        if (when[i] == 0 || now - when[i] >= HIDDEN_RESTORE_SPAN) {
            return true;
        }
    }
    return false;
}

uint32_t hidden_opens_share(uint32_t services)
{
    uint32_t share = HIDDEN_ALL_OPENS_RATE / (services > 0 ? services : 1);

    return share > 0 ? share : 1;
}

uint64_t hidden_retry_wait(uint32_t failures, const struct rng *rng)
{
    uint32_t doublings = failures > DOUBLINGS_MAX ? DOUBLINGS_MAX : failures - (failures > 0);
    uint64_t wait = RETRY_MIN << doublings;

    return rng_jitter(rng, wait > RETRY_MAX ? RETRY_MAX : wait, 200);
}

bool hidden_target_is_due(uint32_t named, tstamp since, tstamp now)
{
    return named >= HIDDEN_POINTS || (named > 0 && now >= tstamp_after(since, HIDDEN_COLLECT));
}

uint64_t hidden_period(walltime now)
{
    return now < 0 ? 0 : (uint64_t)now / HIDDEN_PERIOD;
}

bool hidden_period_is_live(uint64_t period, walltime now)
{
    uint64_t this = hidden_period(now);
    bool first_half = now < (walltime)(this * HIDDEN_PERIOD + HIDDEN_PERIOD / 2);

    return period == this || period == this + 1 || (first_half && this > 0 && period == this - 1);
}

walltime hidden_period_over_at(uint64_t period)
{
    if (period >= (uint64_t)INT64_MAX / HIDDEN_PERIOD - 3) {
        return INT64_MAX;
    }
    return (walltime)((period + 1) * HIDDEN_PERIOD) + OVER;
}

bool hidden_is_busy(uint64_t waited, bool lost)
{
    return lost || waited >= HIDDEN_BUSY_AFTER;
}

size_t hidden_queue_largest(const uint32_t *waiting, size_t n)
{
    size_t most = 0;

    for (size_t i = 1; i < n; i++) {
        most = waiting[i] > waiting[most] ? i : most;
    }
    return most;
}

size_t hidden_queue_next(const uint32_t *waiting, size_t n, size_t last)
{
    for (size_t i = 1; i <= n; i++) {
        if (waiting[(last + i) % n] > 0) {
            return (last + i) % n;
        }
    }
    return n;
}

bool hidden_may_build(uint32_t mine, uint32_t all)
{
    return all < HIDDEN_ALL_BUILDS_MAX && mine < HIDDEN_ALL_BUILDS_MAX - all &&
           mine < HIDDEN_BUILDS_MAX;
}

uint32_t hidden_carried_kept(uint32_t services)
{
    uint32_t half = HIDDEN_ALL_CARRIED_MAX / 2 / (services > 0 ? services : 1);

    return half < HIDDEN_CARRIED_KEPT ? half : HIDDEN_CARRIED_KEPT;
}

bool hidden_may_carry(uint32_t mine, uint32_t all, uint32_t kept, uint32_t lacking)
{
    if (mine >= HIDDEN_CARRIED_MAX || all >= HIDDEN_ALL_CARRIED_MAX) {
        return false;
    }
    return mine < kept || lacking < HIDDEN_ALL_CARRIED_MAX - all;
}

bool hidden_sheds_for(uint32_t most, uint32_t mine)
{
    return most > mine + 1;
}
