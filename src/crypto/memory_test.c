/*
 * memory_test.c - OpenSSL without memory: what it could not verify is not called a wrong signature, or somebody would
 * be blamed for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "crypto/backend.h"
#include "crypto/init.h"

#include <openssl/crypto.h>

#define NEVER UINT64_MAX

static uint64_t allowed = NEVER; /* allocations until one fails */
static unsigned failed;

static bool fails(void)
{
    if (allowed == NEVER || allowed-- > 0) {
        return false;
    }
    allowed = NEVER; /* one only */
    failed++;
    return true;
}

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : malloc(size);
}

static void *grow(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : realloc(p, size);
}

static void give(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_no_ed25519_signature_is_wrong),
        cmocka_unit_test(without_memory_no_mldsa65_signature_is_wrong),
    };

    if (CRYPTO_set_mem_functions(take, grow, give) != 1 || crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
