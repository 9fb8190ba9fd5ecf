/* rng.c - numbers from a source of random bytes, and ChaCha20 as such a source. */
#include "base/rng.h"

#include "base/assert.h"

#include <string.h>

static uint64_t little(const uint8_t *p, size_t len)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

/* Byte order is fixed, so that a seeded run is the same on every machine. */
uint32_t rng_u32(const struct rng *r)
{
    uint8_t b[4];

    rng_fill(r, b, sizeof b);
    return (uint32_t)little(b, sizeof b);
}

uint64_t rng_u64(const struct rng *r)
{
    uint8_t b[8];

    rng_fill(r, b, sizeof b);
    return little(b, sizeof b);
}

/* Values under 2^64 mod n are drawn again: what remains is a whole number of ranges of |n|. */
static uint64_t below_u64(const struct rng *r, uint64_t n)
{
    uint64_t skip = (UINT64_MAX - n + 1) % n, v;

    do {
        v = rng_u64(r);
    } while (v < skip);
    return v % n;
}

uint32_t rng_below(const struct rng *r, uint32_t n)
{
    ASSERT(n > 0);
    uint32_t skip = (UINT32_MAX - n + 1) % n, v;
    do {
        v = rng_u32(r);
    } while (v < skip);
    return v % n;
}

uint64_t rng_jitter(const struct rng *r, uint64_t base_ns, uint32_t permille)
{
    uint32_t p = permille < 1000 ? permille : 1000;
    uint64_t span = base_ns / 1000 * p + base_ns % 1000 * p / 1000;

    if (span == 0 || span > (UINT64_MAX - base_ns) / 2) {
        return base_ns; /* nothing to vary, or so far away that it does not matter */
    }
    return base_ns - span + below_u64(r, 2 * span + 1);
}

void rng_stream_init(struct rng_stream *s, const uint8_t seed[32])
{
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memset(s, 0, sizeof *s);
    memcpy(s->state, constants, sizeof constants);
    for (size_t i = 0; i < 8; i++) {
        s->state[4 + i] = (uint32_t)little(seed + 4 * i, 4);
    }
    s->used = sizeof s->block;
}

static uint32_t rotl(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotl(*d ^ *a, 16);
    *c += *d;
    *b = rotl(*b ^ *c, 12);
    *a += *b;
    *d = rotl(*d ^ *a, 8);
    *c += *d;
    *b = rotl(*b ^ *c, 7);
}

static void next_block(struct rng_stream *s)
{
    uint32_t x[16];

    memcpy(x, s->state, sizeof x);
    for (int i = 0; i < 10; i++) {
        for (size_t j = 0; j < 4; j++) { /* columns */
            quarter_round(&x[j], &x[4 + j], &x[8 + j], &x[12 + j]);
        }
        for (size_t j = 0; j < 4; j++) { /* diagonals */
            quarter_round(&x[j], &x[4 + (j + 1) % 4], &x[8 + (j + 2) % 4], &x[12 + (j + 3) % 4]);
        }
    }
    for (size_t i = 0; i < 16; i++) {
        uint32_t v = x[i] + s->state[i];
        for (size_t j = 0; j < 4; j++) {
            s->block[4 * i + j] = (uint8_t)(v >> (8 * j));
        }
    }
    s->state[12]++;
    if (s->state[12] == 0) { /* carry into the nonce, so that the stream does not repeat */
        s->state[13]++;
    }
    s->used = 0;
}

void rng_stream_fill(void *ctx, uint8_t *dst, size_t len)
{
    struct rng_stream *s = ctx;

    while (len > 0) {
        if (s->used == sizeof s->block) {
            next_block(s);
        }
        size_t room = sizeof s->block - s->used;
        size_t n = len < room ? len : room;
        memcpy(dst, s->block + s->used, n);
        memset(s->block + s->used, 0, n); /* what was handed out is not kept */
        s->used += n;
        dst += n;
        len -= n;
    }
}
