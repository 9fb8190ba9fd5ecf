/*
 * retry.h - the token of a Retry: made and checked without keeping or deriving anything, for a tenth of what sealing
 * costs, since under a flood that is all that is done for each Initial.
 *
 *   magic u8 | second u32 | length u8 | the client's first id, 0..20 | tag 16
 *
 * The tag is SipHash-2-4 under two independent keys of this endpoint over all before it, our id in the Retry, and the
 * address.  Nothing in it is secret: the client knows its id, and seconds count from a random one.
 */
#ifndef QUDAG_SRC_QUIC_RETRY_H
#define QUDAG_SRC_QUIC_RETRY_H

#include "base/netaddr.h"
#include "base/rng.h"
#include "base/types.h"

#define QUIC_RETRY_MAGIC 0x51
#define QUIC_RETRY_ID_MAX 20
#define QUIC_RETRY_TOKEN_MAX (6 + QUIC_RETRY_ID_MAX + 16)
#define QUIC_RETRY_LIFE_S 10

struct quic_retry_keys {
    uint64_t k[4];
    uint32_t second; /* what the token calls second 0 */
};

void quic_retry_keys_make(struct quic_retry_keys *keys, const struct rng *rng);

/*
 * Writes a token for the client at |to| whose first id is |odcid| and that is told to use |scid|; returns its length,
 * or 0 when an id is longer than QUIC_RETRY_ID_MAX.
 */
size_t quic_retry_seal(const struct quic_retry_keys *keys, uint8_t out[QUIC_RETRY_TOKEN_MAX],
                       const struct netaddr *to, struct slice odcid, struct slice scid, tstamp now);

/* Whether |token| was made for |from| and |scid| within QUIC_RETRY_LIFE_S; then |*odcid| lies in it. */
bool quic_retry_open(const struct quic_retry_keys *keys, struct slice token,
                     const struct netaddr *from, struct slice scid, tstamp now,
                     struct slice *odcid);

#endif
