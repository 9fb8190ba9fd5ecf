/* bias.c - path bias: what becomes of circuits through one guard. */
#include "core/relays/bias.h"

static void count(uint32_t *all, uint32_t *good, bool is_good)
{
    if (*all >= RELAYS_BIAS_MAX) {
        *all /= 2;
        *good /= 2;
    }
    ++*all;
    *good += is_good ? 1 : 0;
}

void relays_bias_built(struct relays_bias *b, bool good)
{
    count(&b->tried, &b->built, good);
}

void relays_bias_used(struct relays_bias *b, bool good)
{
    count(&b->used, &b->intact, good);
}

static bool below(uint32_t good, uint32_t all, uint32_t percent)
{
    return all >= RELAYS_BIAS_MIN && (uint64_t)good * 100 < (uint64_t)all * percent;
}

enum relays_bias_verdict relays_bias_judge(const struct relays_bias *b)
{
    if (below(b->built, b->tried, RELAYS_BIAS_STOP) ||
        below(b->intact, b->used, RELAYS_BIAS_STOP)) {
        return RELAYS_BIAS_BAD;
    }
    return below(b->built, b->tried, RELAYS_BIAS_WARN) ||
                   below(b->intact, b->used, RELAYS_BIAS_WARN)
               ? RELAYS_BIAS_SUSPECT
               : RELAYS_BIAS_FINE;
}
