/*
 * prefix_key.h - keys whose hash begins with given bits.
 *
 * Others hash the key we send (SHA-256): to look at a part of the key space a key is needed whose hash lies there.
 * Hashes of the numbers 1, 2, ... are tried, and each is remembered for the 16 bits it begins with.
 */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_PREFIX_KEY_H
#define QUDAG_SRC_CORE_KAD_ROUTING_PREFIX_KEY_H

#include "base/mem.h"
#include "base/rng.h"

#define KAD_PREFIX_BITS 16 /* of a hash that a key can be found for */
#define KAD_PREFIX_KEY 34  /* bytes of such a key */

/* By the first 16 bits of the hash: the number a key with it is made of. */
struct kad_prefix_keys {
    uint32_t tried, number[1u << KAD_PREFIX_BITS];
};

/* A key whose hash shares its first |bits| <= KAD_PREFIX_BITS with |prefix|; false: none found in bounded time. */
bool kad_prefix_key(struct kad_prefix_keys *t, struct rng *rng, uint32_t prefix, unsigned bits,
                    uint8_t key[KAD_PREFIX_KEY]);

#endif
