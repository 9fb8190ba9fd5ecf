/*
 * sign.c - Ed25519 and ML-DSA-65 signatures through OpenSSL's EVP.
 *
 * Ed25519 public keys are computed with libsodium's group operation, which cannot fail; signing and
 * verifying are OpenSSL's.  ERR_set_mark / ERR_pop_to_mark keep our failures out of the thread's
 * error queue, which the QUIC stack reads too.
 */
#include "crypto/sign.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

#define MLDSA_RND_LEN 32
#define MLDSA_CTX_MAX 255

struct mldsa_key {
    EVP_PKEY *pkey;
};

void ed25519_keygen(struct secret_ed25519 *sk, uint8_t pk[ED25519_PK_LEN], const struct rng *rng)
{
    rng_fill(rng, sk->seed, sizeof sk->seed);
    qudag_err err = ed25519_public(pk, sk);
    ASSERT(err == QUDAG_OK);
}

qudag_err ed25519_public(uint8_t pk[ED25519_PK_LEN], const struct secret_ed25519 *sk)
{
    uint8_t h[SHA512_LEN];

    sha512(h, (struct slice){sk->seed, sizeof sk->seed});
    /* Clamps; the result is never the identity, for no clamped scalar is a multiple of the order. */
    int rc = crypto_scalarmult_ed25519_base(pk, h);
    wipe(h, sizeof h);
    return rc == 0 ? QUDAG_OK : QUDAG_EINTERNAL;
}

qudag_err ed25519_sign(uint8_t sig[ED25519_SIG_LEN], const struct secret_ed25519 *sk,
                       struct slice msg)
{
    static const uint8_t none[1] = {0};
    size_t len = ED25519_SIG_LEN;

    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, sk->seed, sizeof sk->seed);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = key != NULL && c != NULL && EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(c, sig, &len, msg.len > 0 ? msg.base : none, msg.len) == 1 &&
              len == ED25519_SIG_LEN;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    if (!ok) {
        wipe(sig, ED25519_SIG_LEN);
        return QUDAG_EINTERNAL;
    }
    return QUDAG_OK;
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
    static const uint8_t none[1] = {0};
    qudag_err err = QUDAG_EINTERNAL;

    if (pk_is_weak(pk)) {
        return QUDAG_EAUTH;
    }
    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pk, ED25519_PK_LEN);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (key != NULL && c != NULL && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1) {
        /* Checks S < L (RFC 8032 5.1.7) as well. */
        const uint8_t *base = msg.len > 0 ? msg.base : none;
        int rc = EVP_DigestVerify(c, sig, ED25519_SIG_LEN, base, msg.len);
        err = rc == 1 ? QUDAG_OK : QUDAG_EAUTH;
    }
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return err;
}

/* The key pair of |seed|, or NULL. */
static EVP_PKEY *mldsa_generate(const struct secret_mldsa65 *seed)
{
    struct secret_mldsa65 copy = *seed; /* parameters are not const */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ML_DSA_SEED, copy.seed, sizeof copy.seed),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "ML-DSA-65", NULL);

    if (c != NULL && EVP_PKEY_keygen_init(c) == 1 && EVP_PKEY_CTX_set_params(c, params) == 1 &&
        EVP_PKEY_generate(c, &key) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(c);
    wipe(&copy, sizeof copy);
    return key;
}

qudag_err mldsa65_load(struct mldsa_key **out, uint8_t pk[MLDSA65_PK_LEN],
                       const struct secret_mldsa65 *seed)
{
    size_t len = 0;

    *out = NULL;
    ERR_set_mark();
    EVP_PKEY *key = mldsa_generate(seed);
    struct mldsa_key *k = OPENSSL_malloc(sizeof *k);
    bool ok = key != NULL && k != NULL &&
              EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, pk, MLDSA65_PK_LEN,
                                              &len) == 1 &&
              len == MLDSA65_PK_LEN;
    ERR_pop_to_mark();
    if (!ok) {
        EVP_PKEY_free(key);
        OPENSSL_free(k);
        return k == NULL ? QUDAG_ENOMEM : QUDAG_EINTERNAL;
    }
    k->pkey = key;
    *out = k;
    return QUDAG_OK;
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
    if (k != NULL) {
        EVP_PKEY_free(k->pkey);
        OPENSSL_free(k);
    }
}

/* A copy of the context string, for parameters are not const.  False when it is too long. */
static bool ctx_copy(uint8_t dst[MLDSA_CTX_MAX], struct slice ctx)
{
    if (ctx.len > MLDSA_CTX_MAX) {
        return false;
    }
    if (ctx.len > 0) {
        memcpy(dst, ctx.base, ctx.len);
    }
    return true;
}

qudag_err mldsa65_sign(uint8_t sig[MLDSA65_SIG_LEN], const struct mldsa_key *k, struct slice ctx,
                       struct slice msg, const struct rng *rng)
{
    static const uint8_t none[1] = {0};
    uint8_t label[MLDSA_CTX_MAX], rnd[MLDSA_RND_LEN];
    size_t len = MLDSA65_SIG_LEN;

    if (!ctx_copy(label, ctx)) {
        return QUDAG_EINVAL;
    }
    rng_fill(rng, rnd, sizeof rnd);
    /* "test-entropy" is how OpenSSL names the rnd of FIPS 204 when the caller brings it. */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING, label, ctx.len),
        OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_TEST_ENTROPY, rnd, sizeof rnd),
        OSSL_PARAM_construct_end(),
    };
    ERR_set_mark();
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = c != NULL && EVP_DigestSignInit_ex(c, NULL, NULL, NULL, NULL, k->pkey, params) == 1 &&
              EVP_DigestSign(c, sig, &len, msg.len > 0 ? msg.base : none, msg.len) == 1 &&
              len == MLDSA65_SIG_LEN;
    EVP_MD_CTX_free(c);
    ERR_pop_to_mark();
    wipe(rnd, sizeof rnd);
    if (!ok) {
        wipe(sig, MLDSA65_SIG_LEN);
        return QUDAG_EINTERNAL;
    }
    return QUDAG_OK;
}

qudag_err mldsa65_verify(const uint8_t pk[MLDSA65_PK_LEN], const uint8_t sig[MLDSA65_SIG_LEN],
                         struct slice ctx, struct slice msg)
{
    static const uint8_t none[1] = {0};
    qudag_err err = QUDAG_EINTERNAL;
    uint8_t label[MLDSA_CTX_MAX];

    if (!ctx_copy(label, ctx)) {
        return QUDAG_EINVAL;
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING, label, ctx.len),
        OSSL_PARAM_construct_end(),
    };
    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, "ML-DSA-65", NULL, pk, MLDSA65_PK_LEN);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (key != NULL && c != NULL &&
        EVP_DigestVerifyInit_ex(c, NULL, NULL, NULL, NULL, key, params) == 1) {
        const uint8_t *base = msg.len > 0 ? msg.base : none;
        int rc = EVP_DigestVerify(c, sig, MLDSA65_SIG_LEN, base, msg.len);
        err = rc == 1 ? QUDAG_OK : QUDAG_EAUTH;
    }
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return err;
}
