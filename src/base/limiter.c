/* limiter.c - token bucket; tokens are counted in 1e-9, so that rate x ns needs no division. */
#include "base/limiter.h"

#define UNIT UINT64_C(1000000000) /* one token */

static uint64_t at_most(uint64_t v, uint64_t max)
{
    return v < max ? v : max;
}

void limiter_init(struct limiter *l, uint64_t rate_per_s, uint64_t burst, tstamp now)
{
    l->rate = at_most(rate_per_s, UNIT);
    l->burst = at_most(burst, UNIT);
    l->level = l->burst * UNIT;
    l->last = now;
}

bool limiter_take(struct limiter *l, uint64_t n, tstamp now)
{
    if (now > l->last) {
        uint64_t passed = now - l->last, room = l->burst * UNIT - l->level;
        bool fills = l->rate != 0 && passed > room / l->rate;
        l->level += fills ? room : passed * l->rate;
        l->last = now;
    }
    if (n > l->level / UNIT) {
        return false;
    }
    l->level -= n * UNIT;
    return true;
}

tstamp limiter_ready(const struct limiter *l, uint64_t n, tstamp now)
{
    uint64_t missing = n * UNIT > l->level ? n * UNIT - l->level : 0;

    if (missing == 0) {
        return now;
    }
    if (n > l->burst || l->rate == 0) {
        return TSTAMP_NEVER;
    }
    tstamp at = tstamp_after(l->last, (missing + l->rate - 1) / l->rate);
    return at > now ? at : now;
}

void limiter_refund(struct limiter *l, uint64_t n)
{
    uint64_t room = l->burst * UNIT - l->level;

    l->level += n > room / UNIT ? room : n * UNIT;
}
