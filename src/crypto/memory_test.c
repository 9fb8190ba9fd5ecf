/*
 * memory_test.c - OpenSSL without memory: what it could not verify is not called a wrong signature, what it could not
 * open no wrong ciphertext, or somebody would be blamed for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "crypto/backend.h"
#include "crypto/init.h"
#include "crypto/testkit_memory.h"

#include <string.h>

static const struct crypto_backend *const b = &crypto_openssl;
static const struct slice msg = {(const uint8_t *)"message", 7}, label = {(const uint8_t *)"x", 1};

/* Verifies |sig| with one allocation after another failing; how often one did. */
static unsigned verify_short(qudag_err (*verify)(const uint8_t *pk, const uint8_t *sig),
                             const uint8_t *pk, const uint8_t *sig)
{
    unsigned before = failed;

    for (uint64_t n = 0;; n++) {
        unsigned so_far = failed;
        allowed = n;
        qudag_err err = verify(pk, sig);
        allowed = NEVER;
        if (failed == so_far) {
            assert_int_equal(err, QUDAG_OK);
            return failed - before;
        }
        assert_int_not_equal(err, QUDAG_EAUTH);
    }
}

static qudag_err verify_ed25519(const uint8_t *pk, const uint8_t *sig)
{
    return b->ed25519_verify(pk, sig, msg);
}

static qudag_err verify_mldsa65(const uint8_t *pk, const uint8_t *sig)
{
    return b->mldsa65_verify(pk, sig, label, msg);
}

static void without_memory_no_ed25519_signature_is_wrong(void **state)
{
    struct secret_ed25519 sk = {.seed = {1}};
    uint8_t pk[ED25519_PK_LEN], sig[ED25519_SIG_LEN];

    (void)state;
    assert_int_equal(b->ed25519_public(pk, &sk), QUDAG_OK);
    assert_int_equal(b->ed25519_sign(sig, &sk, msg), QUDAG_OK);
    assert_true(verify_short(verify_ed25519, pk, sig) > 0);
    sig[0] ^= 1;
    assert_int_equal(verify_ed25519(pk, sig), QUDAG_EAUTH);
}

static void without_memory_no_mldsa65_signature_is_wrong(void **state)
{
    static uint8_t pk[MLDSA65_PK_LEN], sig[MLDSA65_SIG_LEN];
    uint8_t rnd[MLDSA_RND_LEN] = {3};
    struct secret_mldsa65 seed = {.seed = {2}};
    void *key = NULL;

    (void)state;
    assert_int_equal(b->mldsa65_load(&key, pk, &seed), QUDAG_OK);
    assert_int_equal(b->mldsa65_sign(sig, key, label, msg, rnd), QUDAG_OK);
    b->mldsa65_free(key);
    assert_true(verify_short(verify_mldsa65, pk, sig) > 0);
    sig[40] ^= 1;
    assert_int_equal(verify_mldsa65(pk, sig), QUDAG_EAUTH);
}

/* A ciphertext would look wrong: ML-KEM rejects implicitly, and OpenSSL does the same where it cannot compute. */
static void without_memory_no_ciphertext_is_wrong(void **state)
{
    const struct secret_mlkem768 seed = {.seed = {4}};
    uint8_t ek[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN], want[MLKEM768_SS_LEN], ss[MLKEM768_SS_LEN];
    uint8_t m[MLKEM_M_LEN] = {5};
    unsigned before = failed;
    void *key = NULL;

    (void)state;
    assert_int_equal(b->mlkem768_load(&key, ek, &seed), QUDAG_OK);
    assert_int_equal(b->mlkem768_encaps(ct, want, ek, m), QUDAG_OK);
    for (uint64_t n = 0;; n++) {
        unsigned so_far = failed;
        allowed = n;
        qudag_err err = b->mlkem768_decaps(ss, key, ct);
        allowed = NEVER;
        assert_true(err != QUDAG_OK || memcmp(ss, want, sizeof ss) == 0);
        if (failed == so_far) {
            assert_int_equal(err, QUDAG_OK);
            break;
        }
    }
    assert_true(failed > before);
    ct[0] ^= 1; /* this one is */
    assert_int_equal(b->mlkem768_decaps(ss, key, ct), QUDAG_OK);
    assert_memory_not_equal(ss, want, sizeof ss);
    b->mlkem768_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_no_ed25519_signature_is_wrong),
        cmocka_unit_test(without_memory_no_mldsa65_signature_is_wrong),
        cmocka_unit_test(without_memory_no_ciphertext_is_wrong),
    };

    if (!memory_install() || crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
