/* rng.h - randomness as a parameter. */
#ifndef QUDAG_SRC_BASE_RNG_H
#define QUDAG_SRC_BASE_RNG_H

#include "base/types.h"

/* Fills from a source the host chose: the kernel, or a seeded stream in tests and simulations. */
struct rng {
    void (*fill)(void *ctx, uint8_t *dst, size_t len);
    void *ctx;
};

static inline void rng_fill(const struct rng *r, void *dst, size_t len)
{
    r->fill(r->ctx, dst, len);
}

/* Four bytes of |r| as a number, little-endian on every machine, so that seeded runs agree. */
uint32_t rng_u32(const struct rng *r);

/* The same with eight bytes. */
uint64_t rng_u64(const struct rng *r);

/* Uniform in 0 .. n-1 without bias; n > 0. */
uint32_t rng_below(const struct rng *r, uint32_t n);

/* |base_ns| varied by up to |permille| to either side. */
uint64_t rng_jitter(const struct rng *r, uint64_t base_ns, uint32_t permille);

/* ChaCha20 key stream (RFC 8439) as a generator, for seeds in tests and simulations. */
struct rng_stream {
    uint32_t state[16];
    uint8_t block[64];
    size_t used;
};

/* Starts the stream of |seed| from its first byte, with nonce 0. */
void rng_stream_init(struct rng_stream *s, const uint8_t seed[32]);

/* The next |len| bytes of the stream |ctx| (struct rng_stream), which are erased from it; fits struct rng. */
void rng_stream_fill(void *ctx, uint8_t *dst, size_t len);

static inline struct rng rng_of_stream(struct rng_stream *s)
{
    return (struct rng){rng_stream_fill, s};
}

#endif
