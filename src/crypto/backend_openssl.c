/*
 * backend_openssl.c - the primitives of OpenSSL's EVP; of libsodium where EVP costs twice as much.
 *
 * Ed25519 public keys are computed with libsodium's group operation, which cannot fail.
 * ERR_set_mark / ERR_pop_to_mark keep our failures out of the thread's error queue, which the QUIC
 * stack reads too.
 */
#include "base/wipe.h"
#include "crypto/backend.h"
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

static qudag_err ossl_x25519_public(uint8_t pk[X25519_LEN], const struct secret_x25519 *sk)
{
    size_t len = X25519_LEN;

    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, sk->b, sizeof sk->b);
    bool ok = key != NULL && EVP_PKEY_get_raw_public_key(key, pk, &len) == 1 && len == X25519_LEN;
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return ok ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err ossl_x25519_shared(uint8_t out[X25519_LEN], const struct secret_x25519 *sk,
                                    const uint8_t peer[X25519_LEN])
{
    /* libsodium: EVP would compute our public key again on every import, at twice the cost. */
    if (crypto_scalarmult(out, sk->b, peer) != 0 || ct_is_zero(out, X25519_LEN)) {
        return QUDAG_EAUTH;
    }
    return QUDAG_OK;
}

static void ossl_pkey_free(void *key)
{
    EVP_PKEY_free(key);
}

/* EVP_PKEY_up_ref and its kind want no const; the operations do not change the key. */
static EVP_PKEY *ossl_pkey(const void *key)
{
    return (EVP_PKEY *)(uintptr_t)key;
}

/* The key pair that |type| makes of the |len| bytes of |seed| under the parameter |name|, or NULL. */
static EVP_PKEY *ossl_from_seed(const char *type, const char *name, uint8_t *seed, size_t len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(name, seed, len),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (c != NULL && EVP_PKEY_keygen_init(c) == 1 && EVP_PKEY_CTX_set_params(c, params) == 1 &&
        EVP_PKEY_generate(c, &key) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(c);
    return key;
}

/* |key| (owned; NULL: it failed) becomes *|out|, its public key of |pk_len| bytes goes to |pk|. */
static qudag_err ossl_load(void **out, uint8_t *pk, size_t pk_len, EVP_PKEY *key)
{
    size_t len = 0;

    if (key == NULL ||
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, pk, pk_len, &len) != 1 ||
        len != pk_len) {
        EVP_PKEY_free(key);
        return QUDAG_EINTERNAL;
    }
    *out = key;
    return QUDAG_OK;
}

static qudag_err ossl_mlkem768_load(void **key, uint8_t ek[MLKEM768_EK_LEN],
                                    const struct secret_mlkem768 *seed)
{
    struct secret_mlkem768 copy = *seed; /* parameters are not const */

    ERR_set_mark();
    qudag_err err = ossl_load(
        key, ek, MLKEM768_EK_LEN,
        ossl_from_seed("ML-KEM-768", OSSL_PKEY_PARAM_ML_KEM_SEED, copy.seed, sizeof copy.seed));
    ERR_pop_to_mark();
    wipe(&copy, sizeof copy);
    return err;
}

static qudag_err ossl_mlkem768_encaps(uint8_t ct[MLKEM768_CT_LEN], uint8_t ss[MLKEM768_SS_LEN],
                                      const uint8_t ek[MLKEM768_EK_LEN], uint8_t m[MLKEM_M_LEN])
{
    size_t ct_len = MLKEM768_CT_LEN, ss_len = MLKEM768_SS_LEN;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KEM_PARAM_IKME, m, MLKEM_M_LEN),
        OSSL_PARAM_construct_end(),
    };

    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, "ML-KEM-768", NULL, ek, MLKEM768_EK_LEN);
    EVP_PKEY_CTX *c = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool ok = c != NULL && EVP_PKEY_encapsulate_init(c, params) == 1 &&
              EVP_PKEY_encapsulate(c, ct, &ct_len, ss, &ss_len) == 1 && ct_len == MLKEM768_CT_LEN &&
              ss_len == MLKEM768_SS_LEN;
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return ok ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err ossl_mlkem768_decaps(uint8_t ss[MLKEM768_SS_LEN], const void *key,
                                      const uint8_t ct[MLKEM768_CT_LEN])
{
    size_t len = MLKEM768_SS_LEN;

    ERR_set_mark();
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, ossl_pkey(key), NULL);
    bool ok = c != NULL && EVP_PKEY_decapsulate_init(c, NULL) == 1 &&
              EVP_PKEY_decapsulate(c, ss, &len, ct, MLKEM768_CT_LEN) == 1 && len == MLKEM768_SS_LEN;
    /* Without memory it yields the secret of a wrong ciphertext, and success; that it notes is the only sign. */
    ok = ok && ERR_count_to_mark() == 0;
    EVP_PKEY_CTX_free(c);
    ERR_pop_to_mark();
    return ok ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err ossl_ed25519_public(uint8_t pk[ED25519_PK_LEN], const struct secret_ed25519 *sk)
{
    uint8_t h[SHA512_LEN];

    sha512(h, (struct slice){sk->seed, sizeof sk->seed});
    /* Clamps; the result is never the identity, for no clamped scalar is a multiple of the order. */
    int rc = crypto_scalarmult_ed25519_base(pk, h);
    wipe(h, sizeof h);
    return rc == 0 ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err ossl_ed25519_sign(uint8_t sig[ED25519_SIG_LEN], const struct secret_ed25519 *sk,
                                   struct slice msg)
{
    size_t len = ED25519_SIG_LEN;

    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, sk->seed, sizeof sk->seed);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = key != NULL && c != NULL && EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(c, sig, &len, msg.base, msg.len) == 1 && len == ED25519_SIG_LEN;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return ok ? QUDAG_OK : QUDAG_EINTERNAL;
}

/*
 * What it means that a verification said no: a wrong signature, which leaves no error behind, unless the library
 * notes since ERR_set_mark() that it had no memory.
 */
static qudag_err ossl_refused(void)
{
    qudag_err err = QUDAG_EAUTH;

    while (ERR_count_to_mark() > 0) {
        if (ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE) {
            err = QUDAG_ENOMEM;
        }
        (void)ERR_pop();
    }
    return err;
}

static qudag_err ossl_ed25519_verify(const uint8_t pk[ED25519_PK_LEN],
                                     const uint8_t sig[ED25519_SIG_LEN], struct slice msg)
{
    qudag_err err = QUDAG_EINTERNAL;

    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pk, ED25519_PK_LEN);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (key != NULL && c != NULL && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1) {
        /* Checks S < L (RFC 8032 5.1.7) as well. */
        int rc = EVP_DigestVerify(c, sig, ED25519_SIG_LEN, msg.base, msg.len);
        err = rc == 1 ? QUDAG_OK : ossl_refused();
    }
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return err;
}

static qudag_err ossl_mldsa65_load(void **key, uint8_t pk[MLDSA65_PK_LEN],
                                   const struct secret_mldsa65 *seed)
{
    struct secret_mldsa65 copy = *seed; /* parameters are not const */

    ERR_set_mark();
    qudag_err err = ossl_load(
        key, pk, MLDSA65_PK_LEN,
        ossl_from_seed("ML-DSA-65", OSSL_PKEY_PARAM_ML_DSA_SEED, copy.seed, sizeof copy.seed));
    ERR_pop_to_mark();
    wipe(&copy, sizeof copy);
    return err;
}

/* A copy of the context string, for parameters are not const. */
static OSSL_PARAM ossl_context(uint8_t copy[MLDSA_CTX_MAX], struct slice ctx)
{
    if (ctx.len > 0) {
        memcpy(copy, ctx.base, ctx.len);
    }
    return OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING, copy, ctx.len);
}

static qudag_err ossl_mldsa65_sign(uint8_t sig[MLDSA65_SIG_LEN], const void *key, struct slice ctx,
                                   struct slice msg, uint8_t rnd[MLDSA_RND_LEN])
{
    uint8_t label[MLDSA_CTX_MAX];
    size_t len = MLDSA65_SIG_LEN;
    /* "test-entropy" is how OpenSSL names the rnd of FIPS 204 when the caller brings it. */
    OSSL_PARAM params[] = {
        ossl_context(label, ctx),
        OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_TEST_ENTROPY, rnd, MLDSA_RND_LEN),
        OSSL_PARAM_construct_end(),
    };

    ERR_set_mark();
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = c != NULL &&
              EVP_DigestSignInit_ex(c, NULL, NULL, NULL, NULL, ossl_pkey(key), params) == 1 &&
              EVP_DigestSign(c, sig, &len, msg.base, msg.len) == 1 && len == MLDSA65_SIG_LEN;
    EVP_MD_CTX_free(c);
    ERR_pop_to_mark();
    return ok ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err ossl_mldsa65_verify(const uint8_t pk[MLDSA65_PK_LEN],
                                     const uint8_t sig[MLDSA65_SIG_LEN], struct slice ctx,
                                     struct slice msg)
{
    qudag_err err = QUDAG_EINTERNAL;
    uint8_t label[MLDSA_CTX_MAX];
    OSSL_PARAM params[] = {ossl_context(label, ctx), OSSL_PARAM_construct_end()};

    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, "ML-DSA-65", NULL, pk, MLDSA65_PK_LEN);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (key != NULL && c != NULL &&
        EVP_DigestVerifyInit_ex(c, NULL, NULL, NULL, NULL, key, params) == 1) {
        int rc = EVP_DigestVerify(c, sig, MLDSA65_SIG_LEN, msg.base, msg.len);
        err = rc == 1 ? QUDAG_OK : ossl_refused();
    }
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return err;
}

const struct crypto_backend crypto_openssl = {
    .name = "OpenSSL " OPENSSL_VERSION_STR,
    .x25519_public = ossl_x25519_public,
    .x25519_shared = ossl_x25519_shared,
    .mlkem768_load = ossl_mlkem768_load,
    .mlkem768_free = ossl_pkey_free,
    .mlkem768_encaps = ossl_mlkem768_encaps,
    .mlkem768_decaps = ossl_mlkem768_decaps,
    .ed25519_public = ossl_ed25519_public,
    .ed25519_sign = ossl_ed25519_sign,
    .ed25519_verify = ossl_ed25519_verify,
    .mldsa65_load = ossl_mldsa65_load,
    .mldsa65_free = ossl_pkey_free,
    .mldsa65_sign = ossl_mldsa65_sign,
    .mldsa65_verify = ossl_mldsa65_verify,
};
