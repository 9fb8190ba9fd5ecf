/* distance.h - distances between hashes: XOR of SHA-256, read as a big-endian number. */
#ifndef QUDAG_SRC_CORE_KAD_COMMON_DISTANCE_H
#define QUDAG_SRC_CORE_KAD_COMMON_DISTANCE_H

#include "base/types.h"
#include "crypto/hash.h"

/* The first 64 bits.  One load and a swap of bytes, as compilers see it. */
static inline uint64_t kad_hash_prefix(const uint8_t h[SHA256_LEN])
{
    return (uint64_t)h[0] << 56 | (uint64_t)h[1] << 48 | (uint64_t)h[2] << 40 |
           (uint64_t)h[3] << 32 | (uint64_t)h[4] << 24 | (uint64_t)h[5] << 16 |
           (uint64_t)h[6] << 8 | (uint64_t)h[7];
}

/* Length of the common prefix in bits, 0 .. 256. */
unsigned kad_cpl(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN]);

/* < 0: |a| is closer to |t| than |b|; > 0: farther; 0: they are equal. */
int kad_dist_cmp(const uint8_t t[SHA256_LEN], const uint8_t a[SHA256_LEN],
                 const uint8_t b[SHA256_LEN]);

#endif
