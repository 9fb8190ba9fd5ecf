/*
 * kex.c - X25519 through OpenSSL and libsodium, ML-KEM-768 through OpenSSL's EVP.
 *
 * ERR_set_mark / ERR_pop_to_mark keep our failures out of the thread's error queue, which the QUIC
 * stack reads too.
 */
#include "crypto/kex.h"

#include "base/wipe.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#define MLKEM_Q 3329
#define MLKEM768_T_LEN 1152 /* ek = t (768 coefficients of 12 bits) || rho */
#define MLKEM_M_LEN 32      /* randomness of one encapsulation */

struct mlkem_key {
    EVP_PKEY *pkey;
};

qudag_err x25519_keypair(struct secret_x25519 *sk, uint8_t pk[X25519_LEN], const struct rng *rng)
{
    rng_fill(rng, sk->b, sizeof sk->b);
    qudag_err err = x25519_public(pk, sk);
    if (err != QUDAG_OK) {
        wipe(sk, sizeof *sk);
    }
    return err;
}

qudag_err x25519_public(uint8_t pk[X25519_LEN], const struct secret_x25519 *sk)
{
    size_t len = X25519_LEN;

    ERR_set_mark();
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, sk->b, sizeof sk->b);
    bool ok = key != NULL && EVP_PKEY_get_raw_public_key(key, pk, &len) == 1 && len == X25519_LEN;
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return ok ? QUDAG_OK : QUDAG_EINTERNAL;
}

qudag_err x25519_shared(uint8_t out[X25519_LEN], const struct secret_x25519 *sk,
                        const uint8_t peer[X25519_LEN])
{
    /* libsodium: EVP would compute our public key again on every import, at twice the cost. */
    if (crypto_scalarmult(out, sk->b, peer) != 0 || ct_is_zero(out, X25519_LEN)) {
        wipe(out, X25519_LEN);
        return QUDAG_EAUTH;
    }
    return QUDAG_OK;
}

/* The key pair of |seed|, or NULL. */
static EVP_PKEY *mlkem_generate(const struct secret_mlkem768 *seed)
{
    struct secret_mlkem768 copy = *seed; /* parameters are not const */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ML_KEM_SEED, copy.seed, sizeof copy.seed),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "ML-KEM-768", NULL);

    if (c != NULL && EVP_PKEY_keygen_init(c) == 1 && EVP_PKEY_CTX_set_params(c, params) == 1 &&
        EVP_PKEY_generate(c, &key) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(c);
    wipe(&copy, sizeof copy);
    return key;
}

qudag_err mlkem768_load(struct mlkem_key **out, uint8_t ek[MLKEM768_EK_LEN],
                        const struct secret_mlkem768 *seed)
{
    size_t len = 0;

    *out = NULL;
    ERR_set_mark();
    EVP_PKEY *key = mlkem_generate(seed);
    struct mlkem_key *k = OPENSSL_malloc(sizeof *k);
    bool ok = key != NULL && k != NULL &&
              EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, ek, MLKEM768_EK_LEN,
                                              &len) == 1 &&
              len == MLKEM768_EK_LEN;
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

qudag_err mlkem768_keygen(struct mlkem_key **out, uint8_t ek[MLKEM768_EK_LEN],
                          struct secret_mlkem768 *seed, const struct rng *rng)
{
    rng_fill(rng, seed->seed, sizeof seed->seed);
    qudag_err err = mlkem768_load(out, ek, seed);
    if (err != QUDAG_OK) {
        wipe(seed, sizeof *seed);
    }
    return err;
}

void mlkem768_free(struct mlkem_key *k)
{
    if (k != NULL) {
        EVP_PKEY_free(k->pkey);
        OPENSSL_free(k);
    }
}

/* FIPS 203 7.2: every coefficient of t is reduced.  |ek| is public. */
static bool ek_is_reduced(const uint8_t ek[MLKEM768_EK_LEN])
{
    for (size_t i = 0; i < MLKEM768_T_LEN; i += 3) {
        unsigned low = ek[i] | (ek[i + 1] & 15u) << 8;
        unsigned high = (unsigned)ek[i + 1] >> 4 | (unsigned)ek[i + 2] << 4;
        if (low >= MLKEM_Q || high >= MLKEM_Q) {
            return false;
        }
    }
    return true;
}

qudag_err mlkem768_encaps(uint8_t ct[MLKEM768_CT_LEN], uint8_t ss[MLKEM768_SS_LEN],
                          const uint8_t ek[MLKEM768_EK_LEN], const struct rng *rng)
{
    uint8_t m[MLKEM_M_LEN];
    size_t ct_len = MLKEM768_CT_LEN, ss_len = MLKEM768_SS_LEN;

    if (!ek_is_reduced(ek)) {
        return QUDAG_EMALFORMED;
    }
    rng_fill(rng, m, sizeof m);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KEM_PARAM_IKME, m, sizeof m),
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
    wipe(m, sizeof m);
    if (!ok) {
        wipe(ct, MLKEM768_CT_LEN);
        wipe(ss, MLKEM768_SS_LEN);
        return QUDAG_EINTERNAL;
    }
    return QUDAG_OK;
}

qudag_err mlkem768_decaps(uint8_t ss[MLKEM768_SS_LEN], const struct mlkem_key *k,
                          const uint8_t ct[MLKEM768_CT_LEN])
{
    size_t len = MLKEM768_SS_LEN;

    ERR_set_mark();
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    bool ok = c != NULL && EVP_PKEY_decapsulate_init(c, NULL) == 1 &&
              EVP_PKEY_decapsulate(c, ss, &len, ct, MLKEM768_CT_LEN) == 1 && len == MLKEM768_SS_LEN;
    EVP_PKEY_CTX_free(c);
    ERR_pop_to_mark();
    if (!ok) {
        wipe(ss, MLKEM768_SS_LEN);
        return QUDAG_EINTERNAL;
    }
    return QUDAG_OK;
}
