/* links.c - delay of a pair. */
#include "sim/links.h"

uint64_t links_rtt(const struct dice *d, const struct scenario *sc, uint32_t a, uint32_t b)
{
    return dice_pair(d, a, b, sc->rtt, sc->spread);
}

uint64_t links_one_way(struct dice *d, const struct scenario *sc, uint64_t rtt)
{
    uint64_t one = rtt / 2;

    if (sc->jitter > 0) {
        uint64_t most = one / 1000 * sc->jitter / 1000;
        one += most * (dice_u32(d, DICE_LINKS) >> 16) >> 16;
    }
    return one;
}
