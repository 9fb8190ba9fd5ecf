/*
 * sign.h - Ed25519 (RFC 8032), Ed25519 with key blinding, and ML-DSA-65 (FIPS 204, pure, with
 * context string).
 */
#ifndef QUDAG_SRC_CRYPTO_SIGN_H
#define QUDAG_SRC_CRYPTO_SIGN_H

#include "base/rng.h"
#include "base/types.h"

#define ED25519_PK_LEN 32
#define ED25519_SEED_LEN 32
#define ED25519_SIG_LEN 64
#define ED25519_NOISE_LEN 32
#define MLDSA65_PK_LEN 1952
#define MLDSA65_SIG_LEN 3309
#define MLDSA65_SEED_LEN 32

struct secret_ed25519 {
    uint8_t seed[ED25519_SEED_LEN];
};

/* A blinded signing key: scalar and the prefix its nonces are derived from. */
struct secret_ed25519_blinded {
    uint8_t scalar[32];
    uint8_t prefix[32];
};

/*
 * Draws a seed from |rng| and computes its public key.  QUDAG_ENOMEM, QUDAG_EINTERNAL: the crypto library failed;
 * |sk| and |pk| are wiped.
 */
QUDAG_MUST_USE qudag_err ed25519_keygen(struct secret_ed25519 *sk, uint8_t pk[ED25519_PK_LEN],
                                        const struct rng *rng);

/* The public key of |sk|.  QUDAG_ENOMEM, QUDAG_EINTERNAL. */
QUDAG_MUST_USE qudag_err ed25519_public(uint8_t pk[ED25519_PK_LEN],
                                        const struct secret_ed25519 *sk);

/* Signs |msg|; |sig| is wiped on error.  QUDAG_ENOMEM, QUDAG_EINTERNAL. */
QUDAG_MUST_USE qudag_err ed25519_sign(uint8_t sig[ED25519_SIG_LEN], const struct secret_ed25519 *sk,
                                      struct slice msg);

/* QUDAG_EAUTH, also for keys of small order or not reduced, and for S not reduced (RFC 8032 5.1.7). */
QUDAG_MUST_USE qudag_err ed25519_verify(const uint8_t pk[ED25519_PK_LEN],
                                        const uint8_t sig[ED25519_SIG_LEN], struct slice msg);

/*
 * Key blinding as in Tor rend-spec-v3 appendix A.2: A' = h A with h clamped from |param|.  The
 * caller computes |param| (32 bytes).  QUDAG_EMALFORMED when |pk| is no valid point, or has a part of
 * small order.  The blinded private key signs with ed25519_sign_blinded, which returns QUDAG_EINVAL
 * for a |blinded_pk| that is not its own; A' verifies with ed25519_verify.
 */
QUDAG_MUST_USE qudag_err ed25519_blind_public(uint8_t out[ED25519_PK_LEN],
                                              const uint8_t pk[ED25519_PK_LEN],
                                              const uint8_t param[32]);

/* The private key of A' (it holds secrets: the caller wipes |out|). */
QUDAG_MUST_USE qudag_err ed25519_blind_secret(struct secret_ed25519_blinded *out,
                                              const struct secret_ed25519 *sk,
                                              const uint8_t param[32]);

/*
 * Signs |msg| with a blinded key; QUDAG_EINVAL when |blinded_pk| is not its public key.  |z| is random and secret, and
 * new for each signature; where it is not, the signature is as good as one of RFC 8032
 * (draft-irtf-cfrg-det-sigs-with-noise-01).
 */
QUDAG_MUST_USE qudag_err ed25519_sign_blinded(uint8_t sig[ED25519_SIG_LEN],
                                              const struct secret_ed25519_blinded *sk,
                                              const uint8_t blinded_pk[ED25519_PK_LEN],
                                              struct slice msg, const uint8_t z[ED25519_NOISE_LEN]);

/* A loaded ML-DSA-65 private key; wiped when freed. */
struct mldsa_key;
struct secret_mldsa65 {
    uint8_t seed[MLDSA65_SEED_LEN];
};

/*
 * Draws a seed from |rng| and loads the key; |seed| is wiped on error.  Free |*out| with mldsa65_free().
 * QUDAG_ENOMEM, QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE qudag_err mldsa65_keygen(struct mldsa_key **out, uint8_t pk[MLDSA65_PK_LEN],
                                        struct secret_mldsa65 *seed, const struct rng *rng);

/*
 * The private key of |seed| and its public key |pk|; |*out| is NULL on error.  QUDAG_ENOMEM, QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE qudag_err mldsa65_load(struct mldsa_key **out, uint8_t pk[MLDSA65_PK_LEN],
                                      const struct secret_mldsa65 *seed);

/* Wipes and frees |k| (NULL allowed). */
void mldsa65_free(struct mldsa_key *k);

/* |ctx| at most 255 bytes; hedged with 32 bytes from |rng|. */
QUDAG_MUST_USE qudag_err mldsa65_sign(uint8_t sig[MLDSA65_SIG_LEN], const struct mldsa_key *k,
                                      struct slice ctx, struct slice msg, const struct rng *rng);

/* QUDAG_EAUTH for a signature that does not fit, QUDAG_EINVAL for a |ctx| over 255 bytes. */
QUDAG_MUST_USE qudag_err mldsa65_verify(const uint8_t pk[MLDSA65_PK_LEN],
                                        const uint8_t sig[MLDSA65_SIG_LEN], struct slice ctx,
                                        struct slice msg);

#endif
