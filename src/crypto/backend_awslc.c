/*
 * backend_awslc.c - the primitives of AWS-LC: mlkem-native, mldsa-native and s2n-bignum, chosen by the
 * processor at run time.
 *
 * <openssl/...> here are AWS-LC's headers; every name in them carries a prefix, so that OpenSSL's can
 * stand beside.  The functions below take all their randomness from the caller and keep no state.
 */
#include "base/wipe.h"
#include "crypto/backend.h"

#if !defined(__x86_64__)
#error "tools/deps.sh builds AWS-LC for x86-64 only"
#endif

#include <ml_dsa.h>
#include <ml_kem.h>
#include <openssl/base.h>
#include <openssl/curve25519.h>
#include <stdlib.h>
#include <string.h>

#define MLDSA_PRE_MAX (2 + MLDSA_CTX_MAX) /* 0, length of the context, context: FIPS 204 5.2 */

_Static_assert(MLKEM768_EK_LEN == MLKEM768_PUBLIC_KEY_BYTES, "FIPS 203");
_Static_assert(MLKEM768_CT_LEN == MLKEM768_CIPHERTEXT_BYTES, "FIPS 203");
_Static_assert(MLDSA65_PK_LEN == MLDSA65_PUBLIC_KEY_BYTES, "FIPS 204");
_Static_assert(MLDSA65_SIG_LEN == MLDSA65_SIGNATURE_BYTES, "FIPS 204");

/* The expanded private keys. */
struct awslc_mlkem {
    uint8_t dk[MLKEM768_SECRET_KEY_BYTES];
};
struct awslc_mldsa {
    uint8_t sk[MLDSA65_PRIVATE_KEY_BYTES];
};

/*
 * AWS-LC's AVX2 assembler leaves the upper halves of the vector registers in use, and until somebody
 * cleans them all legacy SSE code of the thread, OpenSSL's SHA-256 among it, is a sixth slower.
 */
static void clean_upper_halves(void)
{
    if (__builtin_cpu_supports("avx")) {
        __asm__ volatile("vzeroupper");
    }
}

static qudag_err awslc_x25519_public(uint8_t pk[X25519_LEN], const struct secret_x25519 *sk)
{
    X25519_public_from_private(pk, sk->b);
    return QUDAG_OK;
}

static qudag_err awslc_x25519_shared(uint8_t out[X25519_LEN], const struct secret_x25519 *sk,
                                     const uint8_t peer[X25519_LEN])
{
    return X25519(out, sk->b, peer) == 1 ? QUDAG_OK : QUDAG_EAUTH;
}

static void awslc_mlkem768_free(void *key)
{
    if (key != NULL) {
        wipe(key, sizeof(struct awslc_mlkem));
        free(key);
    }
}

static qudag_err awslc_mlkem768_load(void **key, uint8_t ek[MLKEM768_EK_LEN],
                                     const struct secret_mlkem768 *seed)
{
    size_t ek_len = MLKEM768_EK_LEN, dk_len = sizeof(struct awslc_mlkem);
    struct awslc_mlkem *k = malloc(sizeof *k);

    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    int rc = ml_kem_768_keypair_deterministic(ek, &ek_len, k->dk, &dk_len, seed->seed);
    clean_upper_halves();
    if (rc != 0) {
        awslc_mlkem768_free(k);
        return QUDAG_EINTERNAL;
    }
    *key = k;
    return QUDAG_OK;
}

static qudag_err awslc_mlkem768_encaps(uint8_t ct[MLKEM768_CT_LEN], uint8_t ss[MLKEM768_SS_LEN],
                                       const uint8_t ek[MLKEM768_EK_LEN], uint8_t m[MLKEM_M_LEN])
{
    size_t ct_len = MLKEM768_CT_LEN, ss_len = MLKEM768_SS_LEN;
    int rc = ml_kem_768_encapsulate_deterministic(ct, &ct_len, ss, &ss_len, ek, m);

    clean_upper_halves();
    return rc == 0 ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err awslc_mlkem768_decaps(uint8_t ss[MLKEM768_SS_LEN], const void *key,
                                       const uint8_t ct[MLKEM768_CT_LEN])
{
    const struct awslc_mlkem *k = key;
    size_t ss_len = MLKEM768_SS_LEN;
    int rc = ml_kem_768_decapsulate(ss, &ss_len, ct, k->dk);

    clean_upper_halves();
    return rc == 0 ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err awslc_ed25519_public(uint8_t pk[ED25519_PK_LEN], const struct secret_ed25519 *sk)
{
    uint8_t both[ED25519_PRIVATE_KEY_LEN];

    ED25519_keypair_from_seed(pk, both, sk->seed);
    wipe(both, sizeof both);
    return QUDAG_OK;
}

static qudag_err awslc_ed25519_sign(uint8_t sig[ED25519_SIG_LEN], const struct secret_ed25519 *sk,
                                    struct slice msg)
{
    uint8_t pk[ED25519_PK_LEN], both[ED25519_PRIVATE_KEY_LEN]; /* seed, public key */

    ED25519_keypair_from_seed(pk, both, sk->seed);
    int rc = ED25519_sign(sig, msg.base, msg.len, both);
    wipe(both, sizeof both);
    return rc == 1 ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err awslc_ed25519_verify(const uint8_t pk[ED25519_PK_LEN],
                                      const uint8_t sig[ED25519_SIG_LEN], struct slice msg)
{
    return ED25519_verify(msg.base, msg.len, sig, pk) == 1 ? QUDAG_OK : QUDAG_EAUTH;
}

static void awslc_mldsa65_free(void *key)
{
    if (key != NULL) {
        wipe(key, sizeof(struct awslc_mldsa));
        free(key);
    }
}

static qudag_err awslc_mldsa65_load(void **key, uint8_t pk[MLDSA65_PK_LEN],
                                    const struct secret_mldsa65 *seed)
{
    struct awslc_mldsa *k = malloc(sizeof *k);

    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    int rc = ml_dsa_65_keypair_internal(pk, k->sk, seed->seed);
    clean_upper_halves();
    if (rc != 1) {
        awslc_mldsa65_free(k);
        return QUDAG_EINTERNAL;
    }
    *key = k;
    return QUDAG_OK;
}

/* What stands before the message in the pure variant. */
static size_t mldsa_prefix(uint8_t pre[MLDSA_PRE_MAX], struct slice ctx)
{
    pre[0] = 0;
    pre[1] = (uint8_t)ctx.len;
    if (ctx.len > 0) {
        memcpy(pre + 2, ctx.base, ctx.len);
    }
    return 2 + ctx.len;
}

static qudag_err awslc_mldsa65_sign(uint8_t sig[MLDSA65_SIG_LEN], const void *key, struct slice ctx,
                                    struct slice msg, uint8_t rnd[MLDSA_RND_LEN])
{
    const struct awslc_mldsa *k = key;
    uint8_t pre[MLDSA_PRE_MAX];
    size_t pre_len = mldsa_prefix(pre, ctx), len = MLDSA65_SIG_LEN;
    int rc = ml_dsa_65_sign_internal(k->sk, sig, &len, msg.base, msg.len, pre, pre_len, rnd);

    clean_upper_halves();
    return rc == 1 && len == MLDSA65_SIG_LEN ? QUDAG_OK : QUDAG_EINTERNAL;
}

static qudag_err awslc_mldsa65_verify(const uint8_t pk[MLDSA65_PK_LEN],
                                      const uint8_t sig[MLDSA65_SIG_LEN], struct slice ctx,
                                      struct slice msg)
{
    uint8_t pre[MLDSA_PRE_MAX];
    size_t pre_len = mldsa_prefix(pre, ctx);
    int rc = ml_dsa_65_verify_internal(pk, sig, MLDSA65_SIG_LEN, msg.base, msg.len, pre, pre_len);

    clean_upper_halves();
    return rc == 1 ? QUDAG_OK : QUDAG_EAUTH;
}

const struct crypto_backend crypto_awslc = {
    .name = "AWS-LC " AWSLC_VERSION_NUMBER_STRING,
    .x25519_public = awslc_x25519_public,
    .x25519_shared = awslc_x25519_shared,
    .mlkem768_load = awslc_mlkem768_load,
    .mlkem768_free = awslc_mlkem768_free,
    .mlkem768_encaps = awslc_mlkem768_encaps,
    .mlkem768_decaps = awslc_mlkem768_decaps,
    .ed25519_public = awslc_ed25519_public,
    .ed25519_sign = awslc_ed25519_sign,
    .ed25519_verify = awslc_ed25519_verify,
    .mldsa65_load = awslc_mldsa65_load,
    .mldsa65_free = awslc_mldsa65_free,
    .mldsa65_sign = awslc_mldsa65_sign,
    .mldsa65_verify = awslc_mldsa65_verify,
};
