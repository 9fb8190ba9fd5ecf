/* distance.c - distances between hashes. */
#include "core/kad/common/distance.h"

unsigned kad_cpl(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN])
{
    for (unsigned i = 0; i < SHA256_LEN; i++) {
        unsigned x = (unsigned)(a[i] ^ b[i]), bit = 0;
        if (x == 0) {
            continue;
        }
        while ((x & 0x80u) == 0) {
            x <<= 1;
            bit++;
        }
        return i * 8 + bit;
    }
    return SHA256_LEN * 8;
}

int kad_dist_cmp(const uint8_t t[SHA256_LEN], const uint8_t a[SHA256_LEN],
                 const uint8_t b[SHA256_LEN])
{
    for (size_t i = 0; i < SHA256_LEN; i++) {
        if (a[i] != b[i]) {
            return (a[i] ^ t[i]) < (b[i] ^ t[i]) ? -1 : 1;
        }
    }
    return 0;
}
