/* histogram.c - see histogram.h. */
#include "base/histogram.h"

#include "base/assert.h"

#define MS(n) ((n)*NS_PER_MS)
#define S(n) ((n)*NS_PER_S)

static const uint64_t setup[] = {MS(1),    MS(2) + NS_PER_MS / 2,
                                 MS(5),    MS(10),
                                 MS(25),   MS(50),
                                 MS(100),  MS(250),
                                 MS(500),  S(1),
                                 MS(2500), S(5),
                                 S(10),    S(30)};
static const uint64_t rtt[] = {MS(1),  MS(2),   MS(4),   MS(8),   MS(16),   MS(32),
                               MS(64), MS(128), MS(256), MS(512), MS(1024), MS(2048)};
static const uint64_t work[] = {MS(10),   MS(50), MS(100), MS(250), MS(500), S(1),
                                MS(2500), S(5),   S(10),   S(30),   S(60)};
static const uint64_t life[] = {S(1),    S(4),     S(16),    S(64),     S(256),    S(1024),
                                S(4096), S(16384), S(65536), S(262144), S(1048576)};
static const uint64_t lag[] = {
    NS_PER_MS / 10, NS_PER_MS / 4, NS_PER_MS / 2, MS(1),  MS(2) + NS_PER_MS / 2,
    MS(5),          MS(10),        MS(25),        MS(50), MS(100),
    MS(250),        MS(500),       S(1),          S(5)};

static const uint64_t crypto[] = {500,    1000,   2000,   5000,      10000, 20000, 50000,
                                  100000, 200000, 500000, NS_PER_MS, MS(2), MS(5), MS(20)};

_Static_assert(ARRAY_LEN(setup) < HISTOGRAM_BUCKETS && ARRAY_LEN(rtt) < HISTOGRAM_BUCKETS &&
                   ARRAY_LEN(work) < HISTOGRAM_BUCKETS && ARRAY_LEN(life) < HISTOGRAM_BUCKETS &&
                   ARRAY_LEN(lag) < HISTOGRAM_BUCKETS && ARRAY_LEN(crypto) < HISTOGRAM_BUCKETS,
               "there is a bucket behind the last bound");

static const struct {
    const uint64_t *bounds;
    size_t n;
} scales[HISTOGRAM_SCALES] = {
    [HISTOGRAM_SETUP] = {setup, ARRAY_LEN(setup)}, [HISTOGRAM_RTT] = {rtt, ARRAY_LEN(rtt)},
    [HISTOGRAM_WORK] = {work, ARRAY_LEN(work)},    [HISTOGRAM_LIFE] = {life, ARRAY_LEN(life)},
    [HISTOGRAM_LAG] = {lag, ARRAY_LEN(lag)},       [HISTOGRAM_CRYPTO] = {crypto, ARRAY_LEN(crypto)},
};

const uint64_t *histogram_bounds(enum histogram_scale scale, size_t *n)
{
    ASSERT(scale < HISTOGRAM_SCALES);
    *n = scales[scale].n;
    return scales[scale].bounds;
}

void histogram_add(struct histogram *h, enum histogram_scale scale, uint64_t ns)
{
    size_t n, ix = 0;
    const uint64_t *bounds = histogram_bounds(scale, &n);

    while (ix < n && ns > bounds[ix]) {
        ix++;
    }
    h->count[ix]++;
    h->sum_ns = ns < UINT64_MAX - h->sum_ns ? h->sum_ns + ns : UINT64_MAX;
}

uint64_t histogram_total(const struct histogram *h)
{
    uint64_t total = 0;

    for (size_t ix = 0; ix < HISTOGRAM_BUCKETS; ix++) {
        total += h->count[ix];
    }
    return total;
}

/* |part| of |whole| of |width|, 0 < part <= whole; without overflow for any width. */
static uint64_t share(uint64_t width, uint64_t part, uint64_t whole)
{
    uint64_t rest = width % whole;

    return width / whole * part + (rest <= UINT64_MAX / part ? rest * part / whole : rest);
}

uint64_t histogram_quantile(const struct histogram *h, enum histogram_scale scale,
                            unsigned permille)
{
    size_t n, ix = 0;
    const uint64_t *bounds = histogram_bounds(scale, &n);
    uint64_t total = histogram_total(h), below = 0;
    uint64_t rank = total / 1000 * permille + (total % 1000 * permille + 999) / 1000;

    if (total == 0) {
        return 0;
    }
    rank = rank == 0 ? 1 : rank;
    while (ix < n && below + h->count[ix] < rank) {
        below += h->count[ix++];
    }
    if (ix == n) {
        return bounds[n - 1];
    }
    uint64_t from = ix == 0 ? 0 : bounds[ix - 1];
    return from + share(bounds[ix] - from, rank - below, h->count[ix]);
}
