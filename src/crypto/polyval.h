/*
 * polyval.h - POLYVAL (RFC 8452, section 3) for any machine, in constant time.
 *
 * Assumes that the machine multiplies 64-bit words in a time that does not depend on them.
 */
#ifndef QUDAG_SRC_CRYPTO_POLYVAL_H
#define QUDAG_SRC_CRYPTO_POLYVAL_H

#include "base/types.h"

#define POLYVAL_LEN 16

struct polyval {
    uint64_t h[3], h_rev[3]; /* key: low, high, low ^ high; and the same with bits reversed */
    uint64_t acc[2];         /* low, high */
};

/* Starts an empty sum under |key|.  The struct holds the key: the caller wipes it. */
void polyval_init(struct polyval *p, const uint8_t key[POLYVAL_LEN]);

/* Adds |data|, its last block filled up with zero bytes. */
void polyval_add(struct polyval *p, struct slice data);

/* Yields the value and starts again under the same key. */
void polyval_take(struct polyval *p, uint8_t out[POLYVAL_LEN]);

#endif
