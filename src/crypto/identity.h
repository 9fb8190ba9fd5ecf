/*
 * identity.h - the two keys of a node and what their holder can do: sign.
 *
 * Ed25519 is the libp2p identity (the peer id), ML-DSA-65 its post-quantum companion.
 */
#ifndef QUDAG_SRC_CRYPTO_IDENTITY_H
#define QUDAG_SRC_CRYPTO_IDENTITY_H

#include "crypto/sign.h"

#define IDENTITY_FILE_LEN 108 /* bytes of identity_save */

struct identity {
    struct secret_ed25519 ed_sk;
    struct secret_mldsa65 pq_seed;
    struct mldsa_key *pq_sk;
    uint8_t ed_pk[ED25519_PK_LEN];
    uint8_t pq_pk[MLDSA65_PK_LEN];
    uint8_t pq_hash[32]; /* blake3_derive("qudag identity ML-DSA-65 v1", pq_pk) */
};

/*
 * Draws both keys from |rng|.  QUDAG_ENOMEM or QUDAG_EINTERNAL when the crypto library fails; |id| is then
 * zeroed. To be freed with identity_fini().
 */
QUDAG_MUST_USE qudag_err identity_generate(struct identity *id, const struct rng *rng);

/*
 * The keys of |id| with another ML-DSA key, drawn from |rng|: one peer id, another pq_hash.  Errors as above.
 */
QUDAG_MUST_USE qudag_err identity_successor(struct identity *out, const struct identity *id,
                                            const struct rng *rng);

/*
 * "QUDAGID1" | Ed25519 seed (32) | ML-DSA-65 seed (32) | flags (4, zero) | BLAKE3 over all before
 * and both public keys (32).  QUDAG_EMALFORMED for another length, magic or flags, QUDAG_ECHECKSUM
 * for a damaged file; |id| is zeroed on any error.
 */
QUDAG_MUST_USE qudag_err identity_load(struct identity *id, struct slice bytes);

/* Writes the file that identity_load() reads.  It holds both secret seeds: the caller wipes |out|. */
void identity_save(const struct identity *id, uint8_t out[IDENTITY_FILE_LEN]);

void identity_fini(struct identity *id); /* wipes */

/* The hash by which an ML-DSA-65 key is named: in pins, in certificates, in records. */
void identity_pq_hash(uint8_t out[32], const uint8_t pq_pk[MLDSA65_PK_LEN]);

#endif
