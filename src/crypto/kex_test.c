/* kex_test.c - X25519 and ML-KEM-768 against published values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/hash.h"
#include "crypto/kex.h"
#include "crypto/kex_vectors.h"
#include "crypto/unhex_test.h"

/* Deals out |p| again and again: randomness a test chose. */
struct deck {
    uint8_t p[64];
    size_t len;
};

static void deal(void *ctx, uint8_t *dst, size_t len)
{
    const struct deck *d = ctx;

    assert_int_equal(len, d->len);
    memcpy(dst, d->p, len);
}

/* RFC 7748 5.2 and 6.1. */
static void x25519_gives_the_values_of_rfc_7748(void **state)
{
    static const struct {
        const char *scalar, *point, *out;
    } rows[] = {
        {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    };
    struct secret_x25519 sk;
    uint8_t point[32], out[32];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unhex(sk.b, 32, rows[i].scalar);
        unhex(point, 32, rows[i].point);
        assert_int_equal(x25519_shared(out, &sk, point), QUDAG_OK);
        assert_hex_equal(out, 32, rows[i].out);
    }
}

/* RFC 7748 6.1. */
static void x25519_makes_the_key_pairs_of_rfc_7748_agree(void **state)
{
    struct deck alice = {.len = 32}, bob = {.len = 32};
    struct rng ra = {deal, &alice}, rb = {deal, &bob};
    struct secret_x25519 a, b;
    uint8_t pa[32], pb[32], out[32];
    (void)state;

    unhex(alice.p, 32, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    unhex(bob.p, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    assert_int_equal(x25519_keypair(&a, pa, &ra), QUDAG_OK);
    assert_int_equal(x25519_keypair(&b, pb, &rb), QUDAG_OK);
    assert_hex_equal(pa, 32, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_hex_equal(pb, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    assert_int_equal(x25519_shared(out, &a, pb), QUDAG_OK);
    assert_hex_equal(out, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_int_equal(x25519_shared(out, &b, pa), QUDAG_OK);
    assert_hex_equal(out, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* RFC 7748 5.2, after 1,000 rounds. */
static void x25519_survives_a_thousand_rounds(void **state)
{
    struct secret_x25519 k = {{9}};
    uint8_t u[32] = {9}, r[32];
    (void)state;

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(x25519_shared(r, &k, u), QUDAG_OK);
        memcpy(u, k.b, 32);
        memcpy(k.b, r, 32);
    }
    assert_hex_equal(k.b, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* The points of small order, as libsodium and Wycheproof list them. */
static void x25519_refuses_points_that_give_zero(void **state)
{
    static const char *const rows[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct secret_x25519 sk = {{1, 2, 3}};
    uint8_t point[32], out[32];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unhex(point, 32, rows[i]);
        memset(out, 0xcc, sizeof out);
        assert_int_equal(x25519_shared(out, &sk, point), QUDAG_EAUTH);
        for (size_t j = 0; j < 32; j++) {
            assert_int_equal(out[j], 0);
        }
    }
}

static void mlkem_keys_follow_from_their_seeds(void **state)
{
    uint8_t ek[MLKEM768_EK_LEN], h[32];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(keygen_rows); i++) {
        struct deck d = {.len = 64};
        struct rng rng = {deal, &d};
        struct secret_mlkem768 seed;
        struct mlkem_key *k;
        unhex(d.p, 64, keygen_rows[i].seed);
        assert_int_equal(mlkem768_keygen(&k, ek, &seed, &rng), QUDAG_OK);
        assert_memory_equal(seed.seed, d.p, 64);
        sha256(h, (struct slice){ek, sizeof ek});
        assert_hex_equal(h, 32, keygen_rows[i].ek_sha256);
        mlkem768_free(k);
    }
}

static void mlkem_decapsulates_published_ciphertexts(void **state)
{
    uint8_t ek[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN], ss[32];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(decaps_rows); i++) {
        struct secret_mlkem768 seed;
        struct mlkem_key *k;
        unhex(seed.seed, 64, decaps_rows[i].seed);
        assert_int_equal(mlkem768_load(&k, ek, &seed), QUDAG_OK);
        unhex(ct, sizeof ct, decaps_rows[i].ct);
        assert_int_equal(mlkem768_decaps(ss, k, ct), QUDAG_OK);
        assert_hex_equal(ss, 32, decaps_rows[i].ss);
        mlkem768_free(k);
    }
}

static void mlkem_encapsulates_with_published_randomness(void **state)
{
    uint8_t ek[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN], ss[32], h[32];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(encaps_rows); i++) {
        struct deck d = {.len = 32};
        struct rng rng = {deal, &d};
        unhex(ek, sizeof ek, encaps_rows[i].ek);
        unhex(d.p, 32, encaps_rows[i].m);
        qudag_err err = mlkem768_encaps(ct, ss, ek, &rng);
        if (encaps_rows[i].ss == NULL) {
            assert_int_equal(err, QUDAG_EMALFORMED);
            continue;
        }
        assert_int_equal(err, QUDAG_OK);
        sha256(h, (struct slice){ct, sizeof ct});
        assert_hex_equal(h, 32, encaps_rows[i].ct_sha256);
        assert_hex_equal(ss, 32, encaps_rows[i].ss);
    }
}

static void mlkem_refuses_a_coefficient_over_the_modulus_at_every_place(void **state)
{
    struct rng_stream stream;
    static const uint8_t seed[32] = {4};
    struct secret_mlkem768 sk;
    struct mlkem_key *k;
    uint8_t ek[MLKEM768_EK_LEN], bad[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN], ss[32];
    (void)state;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    assert_int_equal(mlkem768_keygen(&k, ek, &sk, &rng), QUDAG_OK);
    for (size_t i = 0; i < 768; i++) {
        memcpy(bad, ek, sizeof bad);
        uint8_t *p = bad + i / 2 * 3; /* 3329 = 0xd01, the least value that is too large */
        if (i % 2 == 0) {
            p[0] = 0x01;
            p[1] = (uint8_t)((p[1] & 0xf0) | 0x0d);
        } else {
            p[1] = (uint8_t)((p[1] & 0x0f) | 0x10);
            p[2] = 0xd0;
        }
        assert_int_equal(mlkem768_encaps(ct, ss, bad, &rng), QUDAG_EMALFORMED);
    }
    mlkem768_free(k);
    mlkem768_free(NULL);
}

static void mlkem_agrees_and_a_touched_ciphertext_gives_another_secret(void **state)
{
    struct rng_stream stream;
    static const uint8_t seed[32] = {5};
    struct secret_mlkem768 sk;
    struct mlkem_key *k;
    uint8_t ek[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN], ss[32], got[32], again[32];
    (void)state;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    assert_int_equal(mlkem768_keygen(&k, ek, &sk, &rng), QUDAG_OK);
    assert_int_equal(mlkem768_encaps(ct, ss, ek, &rng), QUDAG_OK);
    assert_int_equal(mlkem768_decaps(got, k, ct), QUDAG_OK);
    assert_memory_equal(got, ss, 32);
    for (size_t i = 0; i < sizeof ct; i += 37) {
        ct[i] ^= 1;
        assert_int_equal(mlkem768_decaps(got, k, ct), QUDAG_OK);
        assert_memory_not_equal(got, ss, 32);
        assert_int_equal(mlkem768_decaps(again, k, ct), QUDAG_OK);
        assert_memory_equal(got, again, 32);
        ct[i] ^= 1;
    }
    mlkem768_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x25519_gives_the_values_of_rfc_7748),
        cmocka_unit_test(x25519_makes_the_key_pairs_of_rfc_7748_agree),
        cmocka_unit_test(x25519_survives_a_thousand_rounds),
        cmocka_unit_test(x25519_refuses_points_that_give_zero),
        cmocka_unit_test(mlkem_keys_follow_from_their_seeds),
        cmocka_unit_test(mlkem_decapsulates_published_ciphertexts),
        cmocka_unit_test(mlkem_encapsulates_with_published_randomness),
        cmocka_unit_test(mlkem_refuses_a_coefficient_over_the_modulus_at_every_place),
        cmocka_unit_test(mlkem_agrees_and_a_touched_ciphertext_gives_another_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
