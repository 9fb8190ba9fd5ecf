/* prefix_key.c - keys whose hash begins with given bits. */
#include "core/kad/routing/prefix_key.h"

#include "crypto/hash.h"

#include <string.h>

#define TRIES_MAX (UINT32_C(1) << 20)
#define TRIES_MORE                                                                                 \
    256 /* each time, though a key is known: the same one again would ask the same nodes */
#define TRIED_ENOUGH (UINT32_C(1) << KAD_PREFIX_BITS)

static void key_of(uint32_t number, uint8_t key[KAD_PREFIX_KEY])
{
    memset(key, 0, KAD_PREFIX_KEY);
    key[0] = 0x12; /* a well-formed multihash: some peers insist */
    key[1] = 0x20;
    for (unsigned b = 0; b < 4; b++) {
        key[KAD_PREFIX_KEY - 1 - b] = (uint8_t)(number >> (8 * b));
    }
}

/* A number known among those that begin with |bits| bits of |prefix|, from |first| on. */
static uint32_t known(const struct kad_prefix_keys *t, uint32_t prefix, unsigned bits,
                      uint32_t first)
{
    uint32_t span = UINT32_C(1) << (KAD_PREFIX_BITS - bits), from = prefix & ~(span - 1);

    for (uint32_t i = 0; i < span; i++) {
        uint32_t number = t->number[from + (first + i) % span];
        if (number != 0) {
            return number;
        }
    }
    return 0;
}

/* The 16 bits that the hash of the next number begins with; it is remembered. */
static uint32_t try_next(struct kad_prefix_keys *t)
{
    uint8_t key[KAD_PREFIX_KEY], hash[SHA256_LEN];

    key_of(++t->tried, key);
    sha256(hash, (struct slice){key, KAD_PREFIX_KEY});
    uint32_t at = (uint32_t)hash[0] << 8 | hash[1];
    if (t->number[at] == 0) {
        t->number[at] = t->tried;
    }
    return at;
}

bool kad_prefix_key(struct kad_prefix_keys *t, struct rng *rng, uint32_t prefix, unsigned bits,
                    uint8_t key[KAD_PREFIX_KEY])
{
    if (bits > KAD_PREFIX_BITS) {
        return false;
    }
    uint32_t first = bits == KAD_PREFIX_BITS ? 0 : rng_below(rng, UINT32_C(1) << (16 - bits));
    for (uint32_t i = 0; i < TRIES_MORE && t->tried < TRIED_ENOUGH; i++) {
        (void)try_next(t);
    }
    uint32_t number = known(t, prefix, bits, first);
    for (uint32_t i = 0; number == 0 && i < TRIES_MAX && t->tried < UINT32_MAX; i++) {
        uint32_t at = try_next(t);
        if (at >> (KAD_PREFIX_BITS - bits) == prefix >> (KAD_PREFIX_BITS - bits)) {
            number = t->number[at];
        }
    }
    key_of(number, key);
    return number != 0;
}
