/* Identity keys of hosts: each type proves itself, and nothing that was changed does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/types.h"
#include "base/wr.h"
#include "crypto/init.h"
#include "crypto/sign.h"
#include "sec/host_key.h"
#include "sec/lib.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <string.h>

#define KEYS 4

static const uint8_t words[] = "noise-libp2p-static-key:and what follows it";
static const struct slice msg = {words, sizeof words - 1};

static struct proof {
    uint8_t key[4096], sig[1024];
    size_t key_len, sig_len;
} proof[KEYS];

/* An encoded PublicKey message. */
static size_t message(uint8_t *dst, size_t cap, uint64_t type, struct slice data)
{
    struct wr w = wr_init(dst, cap);

    wr_u8(&w, 0x08);
    wr_uvarint(&w, type);
    wr_u8(&w, 0x12);
    wr_lp(&w, data);
    assert_true(wr_ok(&w));
    return wr_done(&w).len;
}

static void put_key(struct proof *p, uint64_t type, struct slice data)
{
    p->key_len = message(p->key, sizeof p->key, type, data);
}

static void put_spki(struct proof *p, uint64_t type, EVP_PKEY *key)
{
    uint8_t der[4096], *at = der;
    int len = i2d_PUBKEY(key, NULL);

    assert_in_range(len, 1, sizeof der);
    assert_int_equal(i2d_PUBKEY(key, &at), len);
    put_key(p, type, (struct slice){der, (size_t)len});
}

static void put_sig(struct proof *p, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    p->sig_len = sizeof p->sig;
    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", sec_lib(), NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(ctx, p->sig, &p->sig_len, msg.base, msg.len), 1);
    EVP_MD_CTX_free(ctx);
}

static void make_ed25519(struct proof *p)
{
    static const struct secret_ed25519 sk = {{7}};
    uint8_t pk[ED25519_PK_LEN];

    assert_int_equal(ed25519_public(pk, &sk), QUDAG_OK);
    put_key(p, PEER_KEY_ED25519, (struct slice){pk, sizeof pk});
    p->sig_len = ED25519_SIG_LEN;
    assert_int_equal(ed25519_sign(p->sig, &sk, msg), QUDAG_OK);
}

static int setup(void **state)
{
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(sec_lib(), NULL, "RSA", (size_t)2048);
    EVP_PKEY *ec = EVP_PKEY_Q_keygen(sec_lib(), NULL, "EC", "P-256");
    EVP_PKEY *k1 = EVP_PKEY_Q_keygen(sec_lib(), NULL, "EC", "secp256k1");
    uint8_t point[65];
    size_t len = 0;

    (void)state;
    make_ed25519(&proof[PEER_KEY_ED25519]);
    put_spki(&proof[PEER_KEY_RSA], PEER_KEY_RSA, rsa);
    put_sig(&proof[PEER_KEY_RSA], rsa);
    put_spki(&proof[PEER_KEY_ECDSA], PEER_KEY_ECDSA, ec);
    put_sig(&proof[PEER_KEY_ECDSA], ec);
    if (EVP_PKEY_get_octet_string_param(k1, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len) !=
            1 ||
        len != sizeof point) {
        return 1;
    }
    point[0] = (uint8_t)(2 | (point[64] & 1)); /* compressed */
    put_key(&proof[PEER_KEY_SECP256K1], PEER_KEY_SECP256K1, (struct slice){point, 33});
    put_sig(&proof[PEER_KEY_SECP256K1], k1);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(k1);
    return 0;
}

static struct slice key_of(const struct proof *p)
{
    return (struct slice){p->key, p->key_len};
}

static struct slice sig_of(const struct proof *p)
{
    return (struct slice){p->sig, p->sig_len};
}

static void test_each_type_proves_its_peer_id(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        struct peer_id id = {0}, want;

        assert_int_equal(peer_id_from_key_proto(&want, key_of(&proof[i])), QUDAG_OK);
        assert_int_equal(host_key_verify(&id, key_of(&proof[i]), sig_of(&proof[i]), msg), QUDAG_OK);
        assert_true(peer_id_eq(&id, &want));
    }
}

static void test_no_key_proves_for_another(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        for (int j = 0; j < KEYS; j++) {
            struct peer_id id = {.len = 9}, before = id;
            qudag_err err = host_key_verify(&id, key_of(&proof[i]), sig_of(&proof[j]), msg);

            assert_true((err == QUDAG_OK) == (i == j));
            assert_true(i == j || memcmp(&id, &before, sizeof id) == 0);
        }
    }
}

/* A changed key may still be that key, written in another way: then it is another peer. */
static void test_a_flipped_bit_anywhere_is_noticed(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        struct proof *p = &proof[i];
        struct peer_id want, id;

        assert_int_equal(peer_id_from_key_proto(&want, key_of(p)), QUDAG_OK);
        for (size_t at = 0; at < 8 * p->sig_len; at++) {
            p->sig[at / 8] ^= (uint8_t)(1u << (at % 8));
            assert_int_not_equal(host_key_verify(&id, key_of(p), sig_of(p), msg), QUDAG_OK);
            p->sig[at / 8] ^= (uint8_t)(1u << (at % 8));
        }
        for (size_t at = 0; at < 8 * p->key_len; at++) {
            p->key[at / 8] ^= (uint8_t)(1u << (at % 8));
            if (host_key_verify(&id, key_of(p), sig_of(p), msg) == QUDAG_OK) {
                assert_false(peer_id_eq(&id, &want));
            }
            p->key[at / 8] ^= (uint8_t)(1u << (at % 8));
        }
        for (size_t at = 0; at < msg.len; at++) {
            uint8_t copy[sizeof words];

            memcpy(copy, words, sizeof copy);
            copy[at] ^= 1;
            assert_int_equal(
                host_key_verify(&id, key_of(p), sig_of(p), (struct slice){copy, msg.len}),
                QUDAG_EAUTH);
        }
    }
}

static void test_what_is_cut_or_lengthened_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        const struct proof *p = &proof[i];
        struct peer_id id;

        for (size_t n = 0; n < p->sig_len; n++) {
            struct slice cut = {p->sig, n};
            assert_int_not_equal(host_key_verify(&id, key_of(p), cut, msg), QUDAG_OK);
        }
        for (size_t n = 0; n < p->key_len; n++) {
            struct slice cut = {p->key, n};
            assert_int_equal(host_key_verify(&id, cut, sig_of(p), msg), QUDAG_EMALFORMED);
        }
        struct slice longer = {p->sig, p->sig_len + 1};
        assert_int_not_equal(host_key_verify(&id, key_of(p), longer, msg), QUDAG_OK);
        longer = (struct slice){p->key, p->key_len + 1};
        assert_int_equal(host_key_verify(&id, longer, sig_of(p), msg), QUDAG_EMALFORMED);
    }
}

/* The key of |p| under another type, with |more| bytes behind it. */
static qudag_err retyped(const struct proof *p, uint64_t type, size_t more)
{
    struct peer_id id;
    struct proof q = *p;
    uint64_t old;
    struct slice data;
    uint8_t copy[4096] = {0};

    assert_int_equal(key_proto_read(key_of(p), &old, &data), QUDAG_OK);
    memcpy(copy, data.base, data.len);
    put_key(&q, type, (struct slice){copy, data.len + more});
    return host_key_verify(&id, key_of(&q), sig_of(&q), msg);
}

static void test_types_that_are_not_defined_are_refused_in_words(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(retyped(&proof[i], 4, 0), QUDAG_EUNSUPPORTED);
        assert_int_equal(retyped(&proof[i], 100000, 0), QUDAG_EUNSUPPORTED);
        for (uint64_t type = 0; type < KEYS; type++) {
            qudag_err err = retyped(&proof[i], type, 0);
            assert_int_equal(err, type == (uint64_t)i ? QUDAG_OK : QUDAG_EMALFORMED);
            assert_int_equal(retyped(&proof[i], type, 1), QUDAG_EMALFORMED);
        }
    }
    assert_string_equal(host_key_text(QUDAG_EUNSUPPORTED),
                        "peer's identity key is of an unknown type");
    assert_string_equal(host_key_text(QUDAG_EMALFORMED), "peer's identity key is malformed");
    assert_string_equal(host_key_text(QUDAG_EAUTH),
                        "the signature of the peer's identity key is invalid");
    assert_string_equal(host_key_text(QUDAG_ENOMEM), "out of memory");
}

/* An RSA key that nobody has: a modulus of |bits|, an exponent of |e_bits|. */
static EVP_PKEY *fake_rsa(size_t bits, size_t e_bits)
{
    static uint8_t n[2048], e[64];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(sec_lib(), "RSA", NULL);
    EVP_PKEY *key = NULL;
    OSSL_PARAM params[3];

    /* little-endian, as the processor is; elsewhere read the other way round, and as long */
    memset(n, 0xff, bits / 8);
    memset(e, 0, sizeof e);
    e[0] = 1;
    e[(e_bits - 1) / 8] |= (uint8_t)(1u << ((e_bits - 1) % 8));
    params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, bits / 8);
    params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, (e_bits + 7) / 8);
    params[2] = OSSL_PARAM_construct_end();
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static qudag_err verdict(uint64_t type, EVP_PKEY *key)
{
    static const uint8_t sig[64] = {1};
    struct proof p;
    struct peer_id id;

    put_spki(&p, type, key);
    EVP_PKEY_free(key);
    return host_key_verify(&id, key_of(&p), (struct slice){sig, sizeof sig}, msg);
}

static void test_keys_out_of_bounds_are_refused(void **state)
{
    static const struct {
        size_t bits, e_bits;
        qudag_err err;
    } row[] = {
        {1024, 17, QUDAG_EUNSUPPORTED}, {2040, 17, QUDAG_EUNSUPPORTED},  {2048, 17, QUDAG_EAUTH},
        {8192, 17, QUDAG_EAUTH},        {8200, 17, QUDAG_EUNSUPPORTED},  {2048, 32, QUDAG_EAUTH},
        {2048, 33, QUDAG_EUNSUPPORTED}, {2048, 500, QUDAG_EUNSUPPORTED},
    };
    static const char *const curve[] = {"P-384", "P-521", "P-224", "secp256k1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(verdict(PEER_KEY_RSA, fake_rsa(row[i].bits, row[i].e_bits)), row[i].err);
    }
    for (size_t i = 0; i < ARRAY_LEN(curve); i++) {
        EVP_PKEY *key = EVP_PKEY_Q_keygen(sec_lib(), NULL, "EC", curve[i]);
        assert_int_equal(verdict(PEER_KEY_ECDSA, key), QUDAG_EUNSUPPORTED);
    }
}

static void test_points_that_are_none_are_refused(void **state)
{
    static const uint8_t sig[70] = {1};
    uint8_t point[33];
    struct proof p;
    struct peer_id id;

    (void)state;
    /* the compressed form and no other, and nothing behind it */
    for (size_t len = 32; len <= 34; len += 2) {
        uint8_t longer[34] = {2, [32] = 1};
        put_key(&p, PEER_KEY_SECP256K1, (struct slice){longer, len});
        assert_int_equal(host_key_verify(&id, key_of(&p), (struct slice){sig, sizeof sig}, msg),
                         QUDAG_EMALFORMED);
    }
    memset(point, 0xff, sizeof point);
    for (int head = 0; head < 8; head++) {
        point[0] = (uint8_t)head;
        put_key(&p, PEER_KEY_SECP256K1, (struct slice){point, sizeof point});
        assert_int_equal(host_key_verify(&id, key_of(&p), (struct slice){sig, sizeof sig}, msg),
                         QUDAG_EMALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type_proves_its_peer_id),
        cmocka_unit_test(test_no_key_proves_for_another),
        cmocka_unit_test(test_a_flipped_bit_anywhere_is_noticed),
        cmocka_unit_test(test_what_is_cut_or_lengthened_is_refused),
        cmocka_unit_test(test_types_that_are_not_defined_are_refused_in_words),
        cmocka_unit_test(test_keys_out_of_bounds_are_refused),
        cmocka_unit_test(test_points_that_are_none_are_refused),
    };

    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, setup, NULL);
}
