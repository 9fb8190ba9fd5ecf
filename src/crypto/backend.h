/*
 * backend.h - the implementations behind kex.h and sign.h: one table each.
 *
 *   OpenSSL (with libsodium)    always there, and the reference
 *   AWS-LC                      where it was built in (tools/deps.sh); three times as fast
 *
 * Both compute the same functions of the same bytes; backend_test.c exchanges keys, ciphertexts and
 * signatures between them.  What does not depend on the implementation is not in here: drawing
 * randomness, the checks of what a peer sent, and wiping what a failed call left.
 */
#ifndef QUDAG_SRC_CRYPTO_BACKEND_H
#define QUDAG_SRC_CRYPTO_BACKEND_H

#include "crypto/kex.h"
#include "crypto/sign.h"

#define MLKEM_M_LEN 32    /* bytes of randomness of one encapsulation, FIPS 203 7.2 */
#define MLDSA_RND_LEN 32  /* of one hedged signature, FIPS 204 algorithm 2 */
#define MLDSA_CTX_MAX 255 /* of a context string, FIPS 204 algorithm 2 */

/*
 * Every function returns QUDAG_OK; QUDAG_ENOMEM or QUDAG_EINTERNAL when the library fails; and what is
 * stated.  Outputs are undefined after an error.  |key| handles are heap objects of the implementation,
 * which wipes them when they are freed; NULL may be freed.
 */
struct crypto_backend {
    const char *name; /* "AWS-LC 5.1.0"; static */

    qudag_err (*x25519_public)(uint8_t pk[X25519_LEN], const struct secret_x25519 *sk);
    /* QUDAG_EAUTH when the result is all zero. */
    qudag_err (*x25519_shared)(uint8_t out[X25519_LEN], const struct secret_x25519 *sk,
                               const uint8_t peer[X25519_LEN]);

    qudag_err (*mlkem768_load)(void **key, uint8_t ek[MLKEM768_EK_LEN],
                               const struct secret_mlkem768 *seed);
    void (*mlkem768_free)(void *key);
    /* |ek| has passed the modulus check; |m| is MLKEM_M_LEN bytes. */
    qudag_err (*mlkem768_encaps)(uint8_t ct[MLKEM768_CT_LEN], uint8_t ss[MLKEM768_SS_LEN],
                                 const uint8_t ek[MLKEM768_EK_LEN], uint8_t m[MLKEM_M_LEN]);
    qudag_err (*mlkem768_decaps)(uint8_t ss[MLKEM768_SS_LEN], const void *key,
                                 const uint8_t ct[MLKEM768_CT_LEN]);

    qudag_err (*ed25519_public)(uint8_t pk[ED25519_PK_LEN], const struct secret_ed25519 *sk);
    /* |msg.base| is not NULL, here and below. */
    qudag_err (*ed25519_sign)(uint8_t sig[ED25519_SIG_LEN], const struct secret_ed25519 *sk,
                              struct slice msg);
    /* QUDAG_EAUTH for a wrong signature or S not reduced; |pk| has passed the check for weak keys. */
    qudag_err (*ed25519_verify)(const uint8_t pk[ED25519_PK_LEN],
                                const uint8_t sig[ED25519_SIG_LEN], struct slice msg);

    qudag_err (*mldsa65_load)(void **key, uint8_t pk[MLDSA65_PK_LEN],
                              const struct secret_mldsa65 *seed);
    void (*mldsa65_free)(void *key);
    /* |ctx| at most MLDSA_CTX_MAX bytes, |rnd| is MLDSA_RND_LEN. */
    qudag_err (*mldsa65_sign)(uint8_t sig[MLDSA65_SIG_LEN], const void *key, struct slice ctx,
                              struct slice msg, uint8_t rnd[MLDSA_RND_LEN]);
    /* QUDAG_EAUTH for a wrong signature. */
    qudag_err (*mldsa65_verify)(const uint8_t pk[MLDSA65_PK_LEN],
                                const uint8_t sig[MLDSA65_SIG_LEN], struct slice ctx,
                                struct slice msg);
};

extern const struct crypto_backend crypto_openssl;
#ifdef QUDAG_FASTCRYPTO
extern const struct crypto_backend crypto_awslc;
#define CRYPTO_BACKEND (&crypto_awslc)
#else
#define CRYPTO_BACKEND (&crypto_openssl)
#endif

#endif
