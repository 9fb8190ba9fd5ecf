/* rules.c - see rules.h. */
#include "core/hidden/rules.h"

#define HOUR (3600 * NS_PER_S)
#define LIFE_MIN (12 * HOUR)
#define LIFE_VAR (12 * HOUR)
#define INTRODUCTIONS_MIN 16384u
#define RETRY_MIN NS_PER_S
#define RETRY_MAX (300 * NS_PER_S)
#define DOUBLINGS_MAX 9
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

qudag_err hidden_call_verdict(const struct hidden_tries *t)
{
    if (t->passed > 0) {
        return QUDAG_ETIMEOUT;
    }
    if (t->unknown == t->n) {
        return QUDAG_ESTALE;
    }
    return t->full > 0 ? QUDAG_EREFUSED : QUDAG_EUNREACHABLE;
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
