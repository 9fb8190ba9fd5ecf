/*
 * relay_desc.h - signed relay descriptor (spec/relay-descriptor.md).
 *
 * Published under "/qudag/relay/" followed by the peer id bytes; signed by both identity keys.
 */
#ifndef QUDAG_SRC_WIRE_RELAY_DESC_H
#define QUDAG_SRC_WIRE_RELAY_DESC_H

#include "crypto/identity.h"
#include "crypto/kex.h"
#include "wire/multiaddr.h"

#define RELAY_DESC_MAX 7680 /* bytes encoded */
#define RELAY_DESC_ADDRS_MAX 4
#define RELAY_DESC_LIFE_MAX (24 * 3600) /* s between not_before and expiry */
#define RELAY_DESC_SKEW 600             /* s of clock difference tolerated */

enum relay_flag {
    RELAY_FLAG_GUARD = 1,   /* willing to be an entry */
    RELAY_FLAG_GATEWAY = 2, /* willing to end circuits: DHT reads and writes for clients */
    RELAY_FLAG_LAB = 4,     /* test network: address diversity rules do not apply */
};

struct relay_desc {
    struct peer_id peer; /* Ed25519, inlined */
    uint8_t pq_pk[MLDSA65_PK_LEN];
    uint8_t pq_hash[32];
    uint8_t n_addrs;
    struct multiaddr addr[RELAY_DESC_ADDRS_MAX];
    uint8_t onion_x[X25519_LEN];
    uint8_t onion_k[MLKEM768_EK_LEN];
    uint8_t key_id[8]; /* of the onion keys */
    uint16_t flags;
    uint8_t family[32]; /* zero: none */
    uint64_t seq;
    walltime not_before, expires;
};

/* blake3_derive("qudag onion key id v1", onion_x | onion_k), first 8 bytes. */
void onion_key_id(uint8_t out[8], const uint8_t x[X25519_LEN], const uint8_t k[MLKEM768_EK_LEN]);

/*
 * Encodes and signs; peer, pq_pk, pq_hash are taken from |id|, key_id is derived.  QUDAG_EINVAL for
 * what relay_desc_decode() would refuse, QUDAG_ETOOBIG when |cap| is too small.
 */
QUDAG_MUST_USE qudag_err relay_desc_encode(uint8_t *dst, size_t cap, size_t *len,
                                           const struct relay_desc *d, const struct identity *id,
                                           const struct rng *rng);

/*
 * Decodes and checks the time and both signatures.  QUDAG_EMALFORMED, QUDAG_EEXPIRED, QUDAG_EAUTH,
 * QUDAG_ECLOCK (rightly signed, not valid yet by more than RELAY_DESC_SKEW); |d| is zeroed then.  Accepts one
 * encoding of a descriptor only.
 */
QUDAG_MUST_USE qudag_err relay_desc_decode(struct relay_desc *d, struct slice in, walltime now);

/* Cheap look without verification: sequence and peer, for storers to compare. */
QUDAG_MUST_USE qudag_err relay_desc_peek(struct slice in, struct peer_id *peer, uint64_t *seq);

#endif
