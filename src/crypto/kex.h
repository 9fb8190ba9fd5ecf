/*
 * kex.h - X25519 (RFC 7748) and ML-KEM-768 (FIPS 203).
 *
 * Every secret is derived from seeds the caller drew, so that a run can be repeated.  All functions
 * return QUDAG_ENOMEM or QUDAG_EINTERNAL when the crypto library fails, beside what is stated.
 */
#ifndef QUDAG_SRC_CRYPTO_KEX_H
#define QUDAG_SRC_CRYPTO_KEX_H

#include "base/rng.h"
#include "base/types.h"

#define X25519_LEN 32
#define MLKEM768_EK_LEN 1184
#define MLKEM768_CT_LEN 1088
#define MLKEM768_SS_LEN 32
#define MLKEM768_SEED_LEN 64 /* d || z, FIPS 203 7.1 */

struct secret_x25519 {
    uint8_t b[X25519_LEN];
};

/* The seed form: the expanded key is recomputed, or cached in an opaque handle, see mlkem_key. */
struct secret_mlkem768 {
    uint8_t seed[MLKEM768_SEED_LEN];
};

/* Draws a secret from |rng| and computes its public key; |sk| is wiped on error. */
QUDAG_MUST_USE qudag_err x25519_keypair(struct secret_x25519 *sk, uint8_t pk[X25519_LEN],
                                        const struct rng *rng);

/* The public key of |sk|. */
QUDAG_MUST_USE qudag_err x25519_public(uint8_t pk[X25519_LEN], const struct secret_x25519 *sk);

/* QUDAG_EAUTH when the result is all zero (RFC 7748 6.1); out is zeroed then. */
QUDAG_MUST_USE qudag_err x25519_shared(uint8_t out[X25519_LEN], const struct secret_x25519 *sk,
                                       const uint8_t peer[X25519_LEN]);

/* A loaded ML-KEM-768 decapsulation key (heap object of the crypto library); wiped when freed. */
struct mlkem_key;

/* Draws a seed from |rng| and loads the key; |seed| is wiped on error.  Free |*out| with mlkem768_free(). */
QUDAG_MUST_USE qudag_err mlkem768_keygen(struct mlkem_key **out, uint8_t ek[MLKEM768_EK_LEN],
                                         struct secret_mlkem768 *seed, const struct rng *rng);

/* The decapsulation key of |seed| and its encapsulation key |ek|; |*out| is NULL on error. */
QUDAG_MUST_USE qudag_err mlkem768_load(struct mlkem_key **out, uint8_t ek[MLKEM768_EK_LEN],
                                       const struct secret_mlkem768 *seed);

/* Wipes and frees |k| (NULL allowed). */
void mlkem768_free(struct mlkem_key *k);

/* QUDAG_EMALFORMED when |ek|, which is public, fails the modulus check of FIPS 203 7.2. */
QUDAG_MUST_USE qudag_err mlkem768_check(const uint8_t ek[MLKEM768_EK_LEN]);

/* QUDAG_EMALFORMED when |ek| fails mlkem768_check(). */
QUDAG_MUST_USE qudag_err mlkem768_encaps(uint8_t ct[MLKEM768_CT_LEN], uint8_t ss[MLKEM768_SS_LEN],
                                         const uint8_t ek[MLKEM768_EK_LEN], const struct rng *rng);

/* A wrong ciphertext yields a pseudo-random secret (implicit rejection), not an error. */
QUDAG_MUST_USE qudag_err mlkem768_decaps(uint8_t ss[MLKEM768_SS_LEN], const struct mlkem_key *k,
                                         const uint8_t ct[MLKEM768_CT_LEN]);

#endif
