/* chance.c - dice; normal variates are sums of twelve uniform ones, logarithms are found bit by bit. */
#include "sim/chance.h"

#include "crypto/hash.h"

#include <string.h>

#define LOG2_E 94548 /* 16 bits behind the point */
#define LN2_PERMILLION 693147

void dice_init(struct dice *d, uint64_t seed)
{
    uint8_t in[8], all[32 * (DICE_PURPOSES + 2)];

    for (unsigned i = 0; i < 8; i++) {
        in[i] = (uint8_t)(seed >> (8 * i));
    }
    blake3_derive(all, sizeof(all), "qudag sim 2026 dice", (struct slice){in, sizeof(in)});
    for (unsigned i = 0; i < DICE_PURPOSES; i++) {
        rng_stream_init(&d->stream[i], all + (size_t)32 * i);
    }
    memcpy(d->root, all + sizeof(all) - 64, 32);
    d->pairs = 0;
    for (unsigned i = 0; i < 8; i++) {
        d->pairs = d->pairs << 8 | all[sizeof(all) - 8 + i];
    }
}

void dice_node(const struct dice *d, const char *use, uint32_t node, uint32_t epoch,
               uint8_t out[32])
{
    uint8_t in[40];

    memcpy(in, d->root, 32);
    for (unsigned i = 0; i < 4; i++) {
        in[32 + i] = (uint8_t)(node >> (8 * i));
        in[36 + i] = (uint8_t)(epoch >> (8 * i));
    }
    blake3_derive(out, 32, use, (struct slice){in, sizeof(in)});
}

static struct rng rng_for(struct dice *d, enum sim_purpose p)
{
    return rng_of_stream(&d->stream[p]);
}

uint32_t dice_u32(struct dice *d, enum sim_purpose p)
{
    struct rng r = rng_for(d, p);

    return rng_u32(&r);
}

uint32_t dice_below(struct dice *d, enum sim_purpose p, uint32_t n)
{
    struct rng r = rng_for(d, p);

    return rng_below(&r, n);
}

bool dice_hit(struct dice *d, enum sim_purpose p, uint64_t ppm)
{
    return ppm > 0 && dice_below(d, p, 1000000) < ppm;
}

int64_t chance_log2(uint64_t v)
{
    unsigned whole = 63;
    int64_t out;

    while ((v >> whole) == 0) {
        whole--;
    }
    out = (int64_t)whole << 16;
    /* 1 <= m < 2 with 31 bits behind the point; squaring it yields one bit of the logarithm */
    uint64_t m = whole >= 31 ? v >> (whole - 31) : v << (31 - whole);
    for (unsigned bit = 16; bit-- > 0;) {
        m = m * m >> 31;
        if (m >> 32 != 0) {
            m >>= 1;
            out |= INT64_C(1) << bit;
        }
    }
    return out;
}

uint64_t chance_exp2(uint64_t v, int64_t x)
{
    /* 2^(2^-1), 2^(2^-2), ... with 31 bits behind the point */
    static const uint32_t root[16] = {3037000500u, 2553802834u, 2341847524u, 2242560872u,
                                      2194507417u, 2170868212u, 2159144272u, 2153306067u,
                                      2150392887u, 2148937775u, 2148210589u, 2147847087u,
                                      2147665360u, 2147574502u, 2147529075u, 2147506361u};
    bool minus = x < 0;
    uint64_t a = (uint64_t)(minus ? -x : x), f = UINT64_C(1) << 31;
    unsigned whole = (unsigned)(a >> 16 > 24 ? 24 : a >> 16);

    for (unsigned i = 0; i < 16; i++) {
        if ((a >> (15 - i) & 1u) != 0) {
            f = f * root[i] >> 31;
        }
    }
    /* |v| below 2^40 ns: a quarter of an hour */
    v = v >> 40 == 0 ? v : (UINT64_C(1) << 40) - 1;
    uint64_t hi = v >> 20, lo = v & 0xfffff;
    if (minus) {
        /* v / f: f < 2^32, so v is shifted as far as fits */
        return ((v << 23) / f << 8) >> whole;
    }
    return ((hi * f >> 11) + (lo * f >> 31)) << whole;
}

uint64_t dice_wait(struct dice *d, enum sim_purpose p, uint64_t median)
{
    uint64_t u = (uint64_t)dice_u32(d, p) + 1; /* 1 .. 2^32 */
    uint64_t halvings = (UINT64_C(32) << 16) - (uint64_t)chance_log2(u);

    return (median >> 8) * halvings >> 8;
}

uint64_t dice_gap(struct dice *d, enum sim_purpose p, uint64_t mean)
{
    return dice_wait(d, p,
                     mean / 1000000 * LN2_PERMILLION + mean % 1000000 * LN2_PERMILLION / 1000000);
}

/* Mean 0, deviation 1, 16 bits behind the point, from twelve 16-bit numbers. */
static int64_t normal(const uint64_t w[3])
{
    int64_t sum = 0;

    for (unsigned i = 0; i < 12; i++) {
        sum += (int64_t)(w[i / 4] >> (16 * (i % 4)) & 0xffff);
    }
    return sum - 6 * 65536;
}

static uint64_t lognormal(const uint64_t w[3], uint64_t median, uint64_t spread)
{
    int64_t x = normal(w) * (int64_t)spread / 1000 * LOG2_E / 65536;

    return spread == 0 ? median : chance_exp2(median, x);
}

uint64_t dice_lognormal(struct dice *d, enum sim_purpose p, uint64_t median, uint64_t spread)
{
    struct rng r = rng_for(d, p);
    uint64_t w[3];

    for (unsigned i = 0; i < 3; i++) {
        w[i] = rng_u64(&r);
    }
    return lognormal(w, median, spread);
}

/* The finaliser of SplitMix64. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t dice_pair(const struct dice *d, uint32_t a, uint32_t b, uint64_t median, uint64_t spread)
{
    uint64_t pair = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a, w[3];
    uint64_t z = mix(pair ^ d->pairs);

    for (unsigned i = 0; i < 3; i++) {
        z += UINT64_C(0x9e3779b97f4a7c15);
        w[i] = mix(z);
    }
    return lognormal(w, median, spread);
}

uint64_t dice_fixed(const struct dice *d, uint64_t a, uint64_t b)
{
    return mix(mix(a ^ d->pairs) + mix(b ^ ~d->pairs));
}
