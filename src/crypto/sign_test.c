/* sign_test.c - Ed25519, its key blinding, and ML-DSA-65 against published values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/hash.h"
#include "crypto/sign.h"
#include "crypto/sign_vectors.h"
#include "crypto/unhex_test.h"

static void zeros(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    memset(dst, 0, len);
}

static void ed25519_gives_the_values_of_rfc_8032(void **state)
{
    struct secret_ed25519 sk;
    uint8_t pk[32], sig[64], msg[64];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(ed_rows); i++) {
        unhex(sk.seed, 32, ed_rows[i].seed);
        struct slice m = unhex_any(msg, sizeof msg, ed_rows[i].msg);
        assert_int_equal(ed25519_public(pk, &sk), QUDAG_OK);
        assert_hex_equal(pk, 32, ed_rows[i].pk);
        assert_int_equal(ed25519_sign(sig, &sk, m), QUDAG_OK);
        assert_hex_equal(sig, 64, ed_rows[i].sig);
        assert_int_equal(ed25519_verify(pk, sig, m), QUDAG_OK);
    }
}

static void ed25519_refuses_published_forgeries(void **state)
{
    uint8_t pk[32], sig[64], msg[128];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(ed_refused_rows); i++) {
        unhex(pk, 32, ed_refused_rows[i].pk);
        unhex(sig, 64, ed_refused_rows[i].sig);
        struct slice m = unhex_any(msg, sizeof msg, ed_refused_rows[i].msg);
        assert_int_equal(ed25519_verify(pk, sig, m), QUDAG_EAUTH);
    }
}

static void ed25519_refuses_every_flipped_bit(void **state)
{
    struct secret_ed25519 sk;
    struct rng rng = {zeros, NULL};
    uint8_t pk[32], sig[64], msg[3] = {1, 2, 3};
    struct slice m = {msg, sizeof msg};
    (void)state;

    assert_int_equal(ed25519_keygen(&sk, pk, &rng), QUDAG_OK);
    assert_int_equal(ed25519_sign(sig, &sk, m), QUDAG_OK);
    for (size_t bit = 0; bit < 512; bit++) {
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(ed25519_verify(pk, sig, m), QUDAG_EAUTH);
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    msg[1] ^= 1;
    assert_int_equal(ed25519_verify(pk, sig, m), QUDAG_EAUTH);
}

/* R = A = a point of small order and S = 0 fit any message under a verifier that does not look. */
static void ed25519_refuses_keys_of_small_order_in_every_spelling(void **state)
{
    static const char *const rows[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    static const uint8_t param[32] = {9};
    uint8_t pk[32], sig[64], msg[1], out[32];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned sign = 0; sign < 2; sign++) {
            unhex(pk, 32, rows[i]);
            pk[31] = (uint8_t)(pk[31] | sign << 7);
            memset(sig, 0, sizeof sig);
            for (unsigned m = 0; m < 64; m++) { /* identity as R; the cofactor divides 1 in 8 */
                msg[0] = (uint8_t)m;
                sig[0] = 1;
                assert_int_equal(ed25519_verify(pk, sig, (struct slice){msg, 1}), QUDAG_EAUTH);
            }
            assert_int_equal(ed25519_blind_public(out, pk, param), QUDAG_EMALFORMED);
        }
    }
}

static void blinding_gives_the_values_of_tor(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(blind_rows); i++) {
        struct secret_ed25519 sk;
        struct secret_ed25519_blinded b;
        uint8_t pk[32], param[32], blinded[32], both[64];
        unhex(sk.seed, 32, blind_rows[i].seed);
        unhex(param, 32, blind_rows[i].param);
        assert_int_equal(ed25519_public(pk, &sk), QUDAG_OK);
        assert_hex_equal(pk, 32, blind_rows[i].pk);
        assert_int_equal(ed25519_blind_public(blinded, pk, param), QUDAG_OK);
        assert_hex_equal(blinded, 32, blind_rows[i].blinded_pk);
        assert_int_equal(ed25519_blind_secret(&b, &sk, param), QUDAG_OK);
        memcpy(both, b.scalar, 32);
        memcpy(both + 32, b.prefix, 32);
        assert_hex_equal(both, 64, blind_rows[i].blinded_sk);
    }
}

static void a_blinded_key_signs_what_its_public_key_verifies(void **state)
{
    struct secret_ed25519 sk;
    struct secret_ed25519_blinded b;
    static const uint8_t param[32] = {1, 2}, other[32] = {1, 3, 77};
    uint8_t pk[32], blinded[32], wrong[32], sig[64], msg[4] = {4, 3, 2, 1};
    struct slice m = {msg, sizeof msg};
    struct rng rng = {zeros, NULL};
    (void)state;

    assert_int_equal(ed25519_keygen(&sk, pk, &rng), QUDAG_OK);
    assert_int_equal(ed25519_blind_secret(&b, &sk, param), QUDAG_OK);
    assert_int_equal(ed25519_blind_public(blinded, pk, param), QUDAG_OK);
    assert_int_equal(ed25519_blind_public(wrong, pk, other), QUDAG_OK);
    assert_int_equal(ed25519_sign_blinded(sig, &b, blinded, m, param), QUDAG_OK);
    assert_int_equal(ed25519_verify(blinded, sig, m), QUDAG_OK);
    assert_int_equal(ed25519_verify(pk, sig, m), QUDAG_EAUTH);
    assert_int_equal(ed25519_verify(wrong, sig, m), QUDAG_EAUTH);
    sig[40] ^= 1;
    assert_int_equal(ed25519_verify(blinded, sig, m), QUDAG_EAUTH);
    assert_int_equal(ed25519_sign_blinded(sig, &b, wrong, m, param), QUDAG_EINVAL);
    assert_int_equal(ed25519_sign_blinded(sig, &b, blinded, (struct slice){NULL, 0}, param),
                     QUDAG_OK);
    assert_int_equal(ed25519_verify(blinded, sig, (struct slice){NULL, 0}), QUDAG_OK);
}

/* The audit's Low 14: one fault in one of two equal signatures gave the key away. */
static void blinded_signatures_of_one_message_differ_and_verify_whatever_the_noise(void **state)
{
    static const uint8_t param[32] = {1, 2}, msg[4] = {4, 3, 2, 1};
    static const struct slice m = {msg, sizeof msg}, other = {msg, 3};
    static const uint8_t noise[3][ED25519_NOISE_LEN] = {{0}, {1}, {[31] = 0x80}};
    struct secret_ed25519_blinded b;
    struct secret_ed25519 sk;
    uint8_t pk[32], blinded[32], sig[3][64], again[64];
    struct rng rng = {zeros, NULL};
    (void)state;

    assert_int_equal(ed25519_keygen(&sk, pk, &rng), QUDAG_OK);
    assert_int_equal(ed25519_blind_secret(&b, &sk, param), QUDAG_OK);
    assert_int_equal(ed25519_blind_public(blinded, pk, param), QUDAG_OK);
    for (size_t i = 0; i < ARRAY_LEN(noise); i++) {
        assert_int_equal(ed25519_sign_blinded(sig[i], &b, blinded, m, noise[i]), QUDAG_OK);
        assert_int_equal(ed25519_verify(blinded, sig[i], m), QUDAG_OK);
        for (size_t k = 0; k < i; k++) { /* another R, so another nonce */
            assert_memory_not_equal(sig[i], sig[k], 32);
            assert_memory_not_equal(sig[i] + 32, sig[k] + 32, 32);
        }
        /* Noise that repeats is no nonce that repeats. */
        assert_int_equal(ed25519_sign_blinded(again, &b, blinded, other, noise[i]), QUDAG_OK);
        assert_memory_not_equal(again, sig[i], 32);
        b.prefix[0] ^= 1; /* nor does the noise alone decide */
        assert_int_equal(ed25519_sign_blinded(again, &b, blinded, m, noise[i]), QUDAG_OK);
        assert_memory_not_equal(again, sig[i], 32);
        b.prefix[0] ^= 1;
    }
}

static void mldsa_gives_published_signatures(void **state)
{
    static uint8_t pk[MLDSA65_PK_LEN], sig[MLDSA65_SIG_LEN], msg[512], ctx[256];
    struct rng rng = {zeros, NULL}; /* without randomness: FIPS 204's deterministic variant */
    uint8_t h[32];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(mldsa_rows); i++) {
        struct secret_mldsa65 seed;
        struct mldsa_key *k;
        unhex(seed.seed, 32, mldsa_rows[i].seed);
        struct slice m = unhex_any(msg, sizeof msg, mldsa_rows[i].msg);
        struct slice c = unhex_any(ctx, sizeof ctx, mldsa_rows[i].ctx);
        assert_int_equal(mldsa65_load(&k, pk, &seed), QUDAG_OK);
        sha256(h, (struct slice){pk, sizeof pk});
        assert_hex_equal(h, 32, mldsa_rows[i].pk_sha256);
        assert_int_equal(mldsa65_sign(sig, k, c, m, &rng), QUDAG_OK);
        sha256(h, (struct slice){sig, sizeof sig});
        assert_hex_equal(h, 32, mldsa_rows[i].sig_sha256);
        assert_int_equal(mldsa65_verify(pk, sig, c, m), QUDAG_OK);
        mldsa65_free(k);
    }
}

static void mldsa_signatures_hold_for_one_key_context_and_message(void **state)
{
    static uint8_t pk[MLDSA65_PK_LEN], sig[MLDSA65_SIG_LEN], second[MLDSA65_SIG_LEN], ctx[256];
    static const uint8_t seed_bytes[32] = {6};
    struct rng_stream stream;
    struct secret_mldsa65 seed;
    struct mldsa_key *k;
    struct slice m = {seed_bytes, 32}, c = {ctx, 255};
    (void)state;

    rng_stream_init(&stream, seed_bytes);
    struct rng rng = rng_of_stream(&stream);
    assert_int_equal(mldsa65_keygen(&k, pk, &seed, &rng), QUDAG_OK);
    assert_int_equal(mldsa65_sign(sig, k, c, m, &rng), QUDAG_OK);
    assert_int_equal(mldsa65_sign(second, k, c, m, &rng), QUDAG_OK);
    assert_memory_not_equal(sig, second, sizeof sig); /* hedged */
    assert_int_equal(mldsa65_verify(pk, sig, c, m), QUDAG_OK);
    assert_int_equal(mldsa65_verify(pk, second, c, m), QUDAG_OK);
    assert_int_equal(mldsa65_verify(pk, sig, (struct slice){ctx, 254}, m), QUDAG_EAUTH);
    assert_int_equal(mldsa65_verify(pk, sig, c, (struct slice){seed_bytes, 31}), QUDAG_EAUTH);
    for (size_t i = 0; i < sizeof sig; i += 61) {
        sig[i] ^= 0x10;
        assert_int_equal(mldsa65_verify(pk, sig, c, m), QUDAG_EAUTH);
        sig[i] ^= 0x10;
    }
    pk[100] ^= 1;
    assert_int_equal(mldsa65_verify(pk, sig, c, m), QUDAG_EAUTH);
    c.len = 256;
    assert_int_equal(mldsa65_sign(sig, k, c, m, &rng), QUDAG_EINVAL);
    assert_int_equal(mldsa65_verify(pk, sig, c, m), QUDAG_EINVAL);
    mldsa65_free(k);
    mldsa65_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_gives_the_values_of_rfc_8032),
        cmocka_unit_test(ed25519_refuses_published_forgeries),
        cmocka_unit_test(ed25519_refuses_every_flipped_bit),
        cmocka_unit_test(ed25519_refuses_keys_of_small_order_in_every_spelling),
        cmocka_unit_test(blinding_gives_the_values_of_tor),
        cmocka_unit_test(a_blinded_key_signs_what_its_public_key_verifies),
        cmocka_unit_test(blinded_signatures_of_one_message_differ_and_verify_whatever_the_noise),
        cmocka_unit_test(mldsa_gives_published_signatures),
        cmocka_unit_test(mldsa_signatures_hold_for_one_key_context_and_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
