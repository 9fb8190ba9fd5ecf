/*
 * sign.c - Ed25519 and ML-DSA-65: randomness, checks and wiping; the arithmetic is the backend's.
 */
#include "crypto/sign.h"

#include "base/wipe.h"
#include "crypto/backend.h"

#include <string.h>

/* Libraries disagree about NULL with a length of 0. */
static struct slice not_null(struct slice s)
{
    static const uint8_t none[1] = {0};

    return s.len > 0 ? s : (struct slice){none, 0};
}

qudag_err ed25519_keygen(struct secret_ed25519 *sk, uint8_t pk[ED25519_PK_LEN],
                         const struct rng *rng)
{
    rng_fill(rng, sk->seed, sizeof sk->seed);
    qudag_err err = ed25519_public(pk, sk);
    if (err != QUDAG_OK) {
        wipe(sk, sizeof *sk);
        wipe(pk, ED25519_PK_LEN);
    }
    return err;
}

qudag_err ed25519_public(uint8_t pk[ED25519_PK_LEN], const struct secret_ed25519 *sk)
{
    return CRYPTO_BACKEND->ed25519_public(pk, sk);
}

qudag_err ed25519_sign(uint8_t sig[ED25519_SIG_LEN], const struct secret_ed25519 *sk,
                       struct slice msg)
{
    qudag_err err = CRYPTO_BACKEND->ed25519_sign(sig, sk, not_null(msg));

    if (err != QUDAG_OK) {
        wipe(sig, ED25519_SIG_LEN);
    }
    return err;
}

/* y = 2^255 - 19 or more: another spelling of a smaller one. */
static bool y_is_not_reduced(const uint8_t pk[ED25519_PK_LEN])
{
    if (pk[0] < 0xed || (pk[31] & 0x7f) != 0x7f) {
        return false;
    }
    for (size_t i = 1; i < 31; i++) {
        if (pk[i] != 0xff) {
            return false;
        }
    }
    return true;
}

/*
 * Whether |pk| is one of the eight points whose order divides 8 (any signature could be made to fit
 * such a key), or is spelled in a way no encoder produces.  The sign bit does not matter: a point
 * and its negative have the same order.
 */
static bool pk_is_weak(const uint8_t pk[ED25519_PK_LEN])
{
    static const uint8_t small[5][ED25519_PK_LEN] = {
        {0}, /* order 4 */
        {1}, /* order 1 */
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, /* order 2 */
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}, /* order 8 */
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}, /* order 8 */
    };
    uint8_t y[ED25519_PK_LEN];

    memcpy(y, pk, sizeof y);
    y[31] &= 0x7f;
    for (size_t i = 0; i < ARRAY_LEN(small); i++) {
        if (memcmp(y, small[i], sizeof y) == 0) {
            return true;
        }
    }
    return y_is_not_reduced(pk);
}

qudag_err ed25519_verify(const uint8_t pk[ED25519_PK_LEN], const uint8_t sig[ED25519_SIG_LEN],
                         struct slice msg)
{
    if (pk_is_weak(pk)) {
        return QUDAG_EAUTH;
    }
    return CRYPTO_BACKEND->ed25519_verify(pk, sig, not_null(msg));
}

qudag_err mldsa65_load(struct mldsa_key **out, uint8_t pk[MLDSA65_PK_LEN],
                       const struct secret_mldsa65 *seed)
{
    void *key = NULL;
    qudag_err err = CRYPTO_BACKEND->mldsa65_load(&key, pk, seed);

    *out = err == QUDAG_OK ? key : NULL;
    return err;
}

qudag_err mldsa65_keygen(struct mldsa_key **out, uint8_t pk[MLDSA65_PK_LEN],
                         struct secret_mldsa65 *seed, const struct rng *rng)
{
    rng_fill(rng, seed->seed, sizeof seed->seed);
    qudag_err err = mldsa65_load(out, pk, seed);
    if (err != QUDAG_OK) {
        wipe(seed, sizeof *seed);
    }
    return err;
}

void mldsa65_free(struct mldsa_key *k)
{
    CRYPTO_BACKEND->mldsa65_free(k);
}

qudag_err mldsa65_sign(uint8_t sig[MLDSA65_SIG_LEN], const struct mldsa_key *k, struct slice ctx,
                       struct slice msg, const struct rng *rng)
{
    uint8_t rnd[MLDSA_RND_LEN];

    if (ctx.len > MLDSA_CTX_MAX) {
        return QUDAG_EINVAL;
    }
    rng_fill(rng, rnd, sizeof rnd);
    qudag_err err = CRYPTO_BACKEND->mldsa65_sign(sig, k, ctx, not_null(msg), rnd);
    wipe(rnd, sizeof rnd);
    if (err != QUDAG_OK) {
        wipe(sig, MLDSA65_SIG_LEN);
    }
    return err;
}

qudag_err mldsa65_verify(const uint8_t pk[MLDSA65_PK_LEN], const uint8_t sig[MLDSA65_SIG_LEN],
                         struct slice ctx, struct slice msg)
{
    if (ctx.len > MLDSA_CTX_MAX) {
        return QUDAG_EINVAL;
    }
    return CRYPTO_BACKEND->mldsa65_verify(pk, sig, ctx, not_null(msg));
}
