/* Certificates: ours, the published test vectors, and every way to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/text.h"
#include "sec/cert.h"
#include "sec/cert_ext.h"
#include "sec/cert_vectors.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>

#define NOW 1800000000

static struct rng_stream stream;
static struct rng rng;
static struct identity alice, bob;
static uint8_t der[CERT_DER_MAX + 1];

static int setup(void **state)
{
    static const uint8_t seed[32] = {9};

    (void)state;
    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    return identity_generate(&alice, &rng) != QUDAG_OK || identity_generate(&bob, &rng) != QUDAG_OK;
}

static int teardown(void **state)
{
    (void)state;
    identity_fini(&alice);
    identity_fini(&bob);
    return 0;
}

static struct slice encode(X509 *crt)
{
    unsigned char *p = der;
    int len = i2d_X509(crt, NULL);

    assert_in_range(len, 1, CERT_DER_MAX);
    assert_int_equal(i2d_X509(crt, &p), len);
    return (struct slice){der, (size_t)len};
}

static struct cert_pair make(enum cert_kind kind, const struct identity *id)
{
    struct cert_pair p = {NULL, NULL};

    assert_int_equal(cert_make(&p, kind, id, &rng, NOW), QUDAG_OK);
    return p;
}

/* Checks as somebody who remembers the ML-DSA key of |known| (NULL: of nobody). */
static qudag_err check(struct sec_peer *peer, struct slice s, const struct identity *known,
                       walltime now)
{
    struct sec_known k = {.has = known != NULL};

    if (known != NULL) {
        memcpy(k.pq_pk, known->pq_pk, sizeof k.pq_pk);
    }
    return sec_check_cert(peer, s, PQ_PREFER, now, &k);
}

static void test_our_certificates_prove_what_they_should(void **state)
{
    static const struct {
        enum cert_kind kind;
        const char *sig;
        size_t max;
    } row[] = {{CERT_CLASSICAL, "ecdsa", 600}, {CERT_PQ, "mldsa65", 7700}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct cert_pair p = make(row[i].kind, &alice);
        struct slice s = encode(p.crt);
        struct sec_peer peer;
        struct peer_id id;

        memset(&peer, 0xee, sizeof peer);
        peer_id_from_ed25519(&id, alice.ed_pk);
        assert_true(s.len < row[i].max);
        assert_int_equal(sec_check_cert(&peer, s, PQ_PREFER, NOW, NULL), QUDAG_OK);
        assert_true(peer_id_eq(&peer.id, &id));
        assert_string_equal(peer.sig, row[i].sig);
        assert_int_equal(peer.has_pq, row[i].kind == CERT_PQ);
        if (peer.has_pq) {
            assert_memory_equal(peer.pq_hash, alice.pq_hash, 32);
        }
        cert_pair_fini(&p);
    }
}

static void test_policy_decides_on_the_second_extension(void **state)
{
    static const struct {
        enum cert_kind kind;
        enum pq_policy pq;
        qudag_err err;
    } row[] = {
        {CERT_CLASSICAL, PQ_REQUIRE, QUDAG_EPOLICY},
        {CERT_CLASSICAL, PQ_PREFER, QUDAG_OK},
        {CERT_CLASSICAL, PQ_OFF, QUDAG_OK},
        {CERT_PQ, PQ_REQUIRE, QUDAG_OK},
        {CERT_PQ, PQ_PREFER, QUDAG_OK},
        {CERT_PQ, PQ_OFF, QUDAG_OK},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct cert_pair p = make(row[i].kind, &alice);
        struct sec_peer peer;

        assert_int_equal(sec_check_cert(&peer, encode(p.crt), row[i].pq, NOW, NULL), row[i].err);
        cert_pair_fini(&p);
    }
}

static void test_published_certificates(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cert_vectors); i++) {
        const char *hex = cert_vectors[i].hex;
        char text[PEER_ID_TEXT_MAX];
        struct sec_peer peer;
        size_t len = 0;

        assert_int_equal(
            hex_decode(der, sizeof der, &len, (struct slice){(const uint8_t *)hex, strlen(hex)}),
            QUDAG_OK);
        assert_int_equal(sec_check_cert(&peer, (struct slice){der, len}, PQ_PREFER, NOW, NULL),
                         cert_vectors[i].err);
        if (cert_vectors[i].err == QUDAG_OK) {
            assert_true(peer_id_text(text, &peer.id) > 0);
            assert_string_equal(text, cert_vectors[i].peer);
        }
        assert_int_equal(sec_check_cert(&peer, (struct slice){der, len}, PQ_REQUIRE, NOW, NULL),
                         QUDAG_EPOLICY);
    }
}

static void test_validity_has_ten_minutes_of_tolerance(void **state)
{
    static const struct {
        int64_t off;
        qudag_err err;
    } row[] = {
        {-3600 - 599, QUDAG_OK},
        {-3600 - 601, QUDAG_ECLOCK},
        {CERT_LIFE_S + 599, QUDAG_OK},
        {CERT_LIFE_S + 601, QUDAG_EEXPIRED},
        {0, QUDAG_OK},
        {INT64_C(100000000000), QUDAG_EEXPIRED},
    };

    (void)state;
    for (int kind = CERT_CLASSICAL; kind <= CERT_PQ_SHORT; kind++) {
        struct cert_pair p = make((enum cert_kind)kind, &alice);
        struct slice s = encode(p.crt);

        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
            struct sec_peer peer;

            assert_int_equal(check(&peer, s, &alice, NOW + row[i].off), row[i].err);
        }
        cert_pair_fini(&p);
    }
}

static void test_the_short_form_needs_the_key_it_names(void **state)
{
    static const struct {
        const struct identity *known;
        qudag_err err;
    } row[] = {{NULL, QUDAG_ENOTFOUND}, {&bob, QUDAG_ENOTFOUND}, {&alice, QUDAG_OK}};
    struct cert_pair full = make(CERT_PQ, &alice);
    X509 *crt = NULL;
    struct slice s;
    size_t full_len;
    struct sec_peer peer;

    (void)state;
    full_len = encode(full.crt).len;
    assert_int_equal(cert_make_for(&crt, CERT_PQ_SHORT, &alice, full.key, &rng, NOW), QUDAG_OK);
    s = encode(crt);
    assert_in_range(full_len - s.len, MLDSA65_PK_LEN - 32, MLDSA65_PK_LEN - 32 + 12);
    assert_int_equal(X509_check_private_key(crt, full.key), 1);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        memset(&peer, 0, sizeof peer);
        assert_int_equal(check(&peer, s, row[i].known, NOW), row[i].err);
        assert_int_equal(peer.has_pq, row[i].err == QUDAG_OK);
        if (row[i].err == QUDAG_OK) {
            struct peer_id id;

            peer_id_from_ed25519(&id, alice.ed_pk);
            assert_true(peer_id_eq(&peer.id, &id));
            assert_memory_equal(peer.pq_hash, alice.pq_hash, 32);
        }
    }
    assert_int_equal(sec_check_cert(&peer, s, PQ_PREFER, NOW, NULL), QUDAG_ENOTFOUND);
    assert_int_equal(sec_check_cert(&peer, s, PQ_REQUIRE, NOW, NULL), QUDAG_ENOTFOUND);
    X509_free(crt);
    cert_pair_fini(&full);
}

static void test_the_key_of_a_checked_certificate_is_handed_out(void **state)
{
    static const struct {
        enum cert_kind kind;
        bool has;
    } row[] = {{CERT_CLASSICAL, false}, {CERT_PQ, true}, {CERT_PQ_SHORT, true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct cert_pair p = make(row[i].kind, &alice);
        struct sec_known k = {.has = true};
        struct sec_peer peer;
        struct slice s = encode(p.crt);

        /* Known before is the right key for the short form, another for the full one. */
        memcpy(k.pq_pk, row[i].kind == CERT_PQ ? bob.pq_pk : alice.pq_pk, sizeof k.pq_pk);
        assert_int_equal(sec_check_cert(&peer, s, PQ_PREFER, NOW + CERT_LIFE_S * 3, &k),
                         QUDAG_EEXPIRED);
        assert_true(k.has);
        assert_int_equal(sec_check_cert(&peer, s, PQ_PREFER, NOW, &k), QUDAG_OK);
        assert_int_equal(k.has, row[i].has);
        if (row[i].has) {
            assert_memory_equal(k.pq_pk, alice.pq_pk, sizeof k.pq_pk);
        }
        cert_pair_fini(&p);
    }
}

static void test_a_certificate_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    for (int kind = CERT_CLASSICAL; kind <= CERT_PQ_SHORT; kind++) {
        struct cert_pair p = make((enum cert_kind)kind, &alice);
        struct slice s = encode(p.crt);
        struct sec_peer peer;

        for (size_t len = 0; len < s.len; len++) {
            assert_int_equal(check(&peer, (struct slice){der, len}, &alice, NOW), QUDAG_EMALFORMED);
        }
        der[s.len] = 0;
        assert_int_equal(check(&peer, (struct slice){der, s.len + 1}, &alice, NOW),
                         QUDAG_EMALFORMED);
        cert_pair_fini(&p);
    }
}

static void test_a_certificate_changed_anywhere_is_refused(void **state)
{
    (void)state;
    for (int kind = CERT_CLASSICAL; kind <= CERT_PQ_SHORT; kind++) {
        struct cert_pair p = make((enum cert_kind)kind, &alice);
        struct slice s = encode(p.crt);
        size_t step = kind == CERT_CLASSICAL ? 1 : 5;
        struct sec_peer peer;

        for (size_t i = 0; i < s.len; i += step) {
            uint8_t bit = (uint8_t)(1u << (i / step % 8));

            der[i] ^= bit;
            assert_int_not_equal(check(&peer, s, &alice, NOW), QUDAG_OK);
            der[i] ^= bit;
        }
        assert_int_equal(check(&peer, s, &alice, NOW), QUDAG_OK);
        cert_pair_fini(&p);
    }
}

static EVP_PKEY *identity_key(const struct identity *id)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "ML-DSA-65", NULL);
    uint8_t seed[32];
    EVP_PKEY *key = NULL;
    OSSL_PARAM params[2];

    memcpy(seed, id->pq_seed.seed, sizeof seed);
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ML_DSA_SEED, seed, sizeof seed);
    params[1] = OSSL_PARAM_construct_end();
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void drop_ext(X509 *crt, const char *oid)
{
    ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
    int at = X509_get_ext_by_OBJ(crt, obj, -1);

    assert_true(at >= 0);
    X509_EXTENSION_free(X509_delete_ext(crt, at));
    ASN1_OBJECT_free(obj);
}

static void add_ext(X509 *crt, const char *oid, int critical, const uint8_t *p, size_t len)
{
    ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext;

    assert_int_equal(ASN1_OCTET_STRING_set(data, p, (int)len), 1);
    ext = X509_EXTENSION_create_by_OBJ(NULL, obj, critical, data);
    assert_int_equal(X509_add_ext(crt, ext, -1), 1);
    X509_EXTENSION_free(ext);
    ASN1_OCTET_STRING_free(data);
    ASN1_OBJECT_free(obj);
}

static void copy_ext(X509 *crt, const X509 *from, const char *oid)
{
    ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
    int at = X509_get_ext_by_OBJ(from, obj, -1);

    assert_true(at >= 0);
    assert_int_equal(X509_add_ext(crt, X509_get_ext(from, at), -1), 1);
    ASN1_OBJECT_free(obj);
}

enum forgery {
    NO_LIBP2P,
    LIBP2P_TWICE,
    LIBP2P_OF_ANOTHER_KEY,
    UNKNOWN_CRITICAL,
    UNKNOWN_PLAIN,
    KEY_USAGE_CRITICAL,
    STOLEN_PQ_EXTENSION, /* bob's key in alice's certificate, signed by alice */
    PQ_ON_A_CLASSICAL_KEY,
    PQ_SIGNED_BY_ITSELF,
    PQ_EXTENSION_CUT,
    PQ_EXTENSION_OTHER_ROLE,
    PQ_TWICE,
    SHORT_NAMES_ANOTHER,      /* bob's certificate names alice's key, the one known */
    SHORT_VERSION_OF_THE_KEY, /* version 2 with a key */
    KEY_VERSION_OF_THE_SHORT, /* version 1 with a hash */
    SHORT_CUT,
};

/* Spoils |crt|, a certificate of alice; |other| is one of bob. */
static void forge(enum forgery what, X509 *crt, const X509 *other)
{
    uint8_t ext[CERT_EXT_PQ_LEN];
    uint8_t name[CERT_EXT_PQ_NAME_LEN];
    struct wr w = wr_init(ext, sizeof ext), n = wr_init(name, sizeof name);

    cert_ext_pq_write(&w, alice.pq_pk);
    assert_int_equal(wr_done(&w).len, CERT_EXT_PQ_LEN);
    cert_ext_pq_name_write(&n, alice.pq_hash);
    assert_int_equal(wr_done(&n).len, CERT_EXT_PQ_NAME_LEN);
    switch (what) {
    case NO_LIBP2P:
        drop_ext(crt, CERT_OID_LIBP2P);
        break;
    case LIBP2P_OF_ANOTHER_KEY:
        drop_ext(crt, CERT_OID_LIBP2P);
        copy_ext(crt, other, CERT_OID_LIBP2P);
        break;
    case LIBP2P_TWICE:
        copy_ext(crt, other, CERT_OID_LIBP2P);
        break;
    case UNKNOWN_CRITICAL:
    case UNKNOWN_PLAIN:
        add_ext(crt, "1.3.6.1.4.1.53594.98.7", what == UNKNOWN_CRITICAL, (const uint8_t *)"\5\0",
                2);
        break;
    case KEY_USAGE_CRITICAL:
        add_ext(crt, "2.5.29.15", 1, (const uint8_t *)"\3\2\7\x80", 4);
        break;
    case STOLEN_PQ_EXTENSION:
        drop_ext(crt, CERT_OID_PQ);
        copy_ext(crt, other, CERT_OID_PQ);
        break;
    case PQ_ON_A_CLASSICAL_KEY:
    case PQ_TWICE:
        copy_ext(crt, other, CERT_OID_PQ);
        break;
    case PQ_SIGNED_BY_ITSELF:
        break;
    case PQ_EXTENSION_CUT:
    case PQ_EXTENSION_OTHER_ROLE:
        drop_ext(crt, CERT_OID_PQ);
        ext[20] ^= what == PQ_EXTENSION_OTHER_ROLE ? 1 : 0;
        add_ext(crt, CERT_OID_PQ, 0, ext, sizeof ext - (what == PQ_EXTENSION_CUT ? 1 : 0));
        break;
    case SHORT_VERSION_OF_THE_KEY:
        drop_ext(crt, CERT_OID_PQ);
        ext[6] = 2;
        add_ext(crt, CERT_OID_PQ, 0, ext, sizeof ext);
        break;
    case SHORT_NAMES_ANOTHER:
    case KEY_VERSION_OF_THE_SHORT:
    case SHORT_CUT:
        drop_ext(crt, CERT_OID_PQ);
        name[4] = what == KEY_VERSION_OF_THE_SHORT ? 1 : 2;
        add_ext(crt, CERT_OID_PQ, 0, name, sizeof name - (what == SHORT_CUT ? 1 : 0));
        break;
    }
}

/* Each forgery is signed correctly by whoever would make it. */
static void test_forged_certificates_are_refused(void **state)
{
    static const struct {
        enum forgery what;
        enum cert_kind kind;
        qudag_err err;
    } row[] = {
        {NO_LIBP2P, CERT_CLASSICAL, QUDAG_EMALFORMED},
        {LIBP2P_TWICE, CERT_CLASSICAL, QUDAG_EMALFORMED},
        {LIBP2P_OF_ANOTHER_KEY, CERT_CLASSICAL, QUDAG_EAUTH},
        {LIBP2P_OF_ANOTHER_KEY, CERT_PQ, QUDAG_EAUTH},
        {UNKNOWN_CRITICAL, CERT_CLASSICAL, QUDAG_EMALFORMED},
        {UNKNOWN_PLAIN, CERT_CLASSICAL, QUDAG_OK},
        {KEY_USAGE_CRITICAL, CERT_CLASSICAL, QUDAG_OK},
        {STOLEN_PQ_EXTENSION, CERT_PQ, QUDAG_EAUTH},
        {PQ_ON_A_CLASSICAL_KEY, CERT_CLASSICAL, QUDAG_EMALFORMED},
        {PQ_SIGNED_BY_ITSELF, CERT_PQ, QUDAG_EAUTH},
        {PQ_EXTENSION_CUT, CERT_PQ, QUDAG_EMALFORMED},
        {PQ_EXTENSION_OTHER_ROLE, CERT_PQ, QUDAG_EMALFORMED},
        {PQ_TWICE, CERT_PQ, QUDAG_EMALFORMED},
        {PQ_TWICE, CERT_PQ_SHORT, QUDAG_EMALFORMED},
        {STOLEN_PQ_EXTENSION, CERT_PQ_SHORT, QUDAG_EAUTH},
        {PQ_SIGNED_BY_ITSELF, CERT_PQ_SHORT, QUDAG_EAUTH},
        {LIBP2P_OF_ANOTHER_KEY, CERT_PQ_SHORT, QUDAG_EAUTH},
        {SHORT_NAMES_ANOTHER, CERT_PQ_SHORT, QUDAG_EAUTH},
        {SHORT_VERSION_OF_THE_KEY, CERT_PQ, QUDAG_EMALFORMED},
        {KEY_VERSION_OF_THE_SHORT, CERT_PQ_SHORT, QUDAG_EMALFORMED},
        {SHORT_CUT, CERT_PQ_SHORT, QUDAG_EMALFORMED},
    };
    EVP_PKEY *alice_key = identity_key(&alice), *bob_key = identity_key(&bob);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        bool of_bob = row[i].what == SHORT_NAMES_ANOTHER;
        struct cert_pair p = make(row[i].kind, of_bob ? &bob : &alice);
        struct cert_pair other = make(CERT_PQ, &bob);
        bool pq = row[i].kind != CERT_CLASSICAL;
        EVP_PKEY *signer = of_bob ? bob_key : alice_key;
        struct sec_peer peer;

        signer = pq && row[i].what != PQ_SIGNED_BY_ITSELF ? signer : p.key;
        forge(row[i].what, p.crt, other.crt);
        assert_true(X509_sign(p.crt, signer, pq ? NULL : EVP_sha256()) > 0);
        assert_int_equal(check(&peer, encode(p.crt), &alice, NOW), row[i].err);
        cert_pair_fini(&p);
        cert_pair_fini(&other);
    }
    EVP_PKEY_free(alice_key);
    EVP_PKEY_free(bob_key);
}

/* A certificate of |kind| that is valid for |life| seconds, signed by whoever signs such ones. */
static struct cert_pair lasting(enum cert_kind kind, EVP_PKEY *identity, int64_t life)
{
    struct cert_pair p = make(kind, &alice);
    bool pq = kind != CERT_CLASSICAL;

    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(p.crt), NOW - 3600 + life));
    assert_true(X509_sign(p.crt, pq ? identity : p.key, pq ? NULL : EVP_sha256()) > 0);
    return p;
}

/* One use of the identity key must not stand for it for years. */
static void test_no_identity_signs_for_more_than_26_hours(void **state)
{
    static const struct {
        int64_t life;
        qudag_err pq;
    } row[] = {{26 * 3600, QUDAG_OK}, {26 * 3600 + 1, QUDAG_ETOOBIG}, {315360000, QUDAG_ETOOBIG}};
    EVP_PKEY *key = identity_key(&alice);

    (void)state;
    for (int kind = CERT_CLASSICAL; kind <= CERT_PQ_SHORT; kind++) {
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
            struct cert_pair p = lasting((enum cert_kind)kind, key, row[i].life);
            struct sec_peer peer = {.valid_until = 0};

            assert_int_equal(check(&peer, encode(p.crt), &alice, NOW),
                             kind == CERT_CLASSICAL ? QUDAG_OK : row[i].pq);
            if (kind == CERT_CLASSICAL || row[i].pq == QUDAG_OK) {
                assert_int_equal(peer.valid_until, NOW - 3600 + row[i].life);
            }
            cert_pair_fini(&p);
        }
    }
    EVP_PKEY_free(key);
}

static void test_extensions_are_strict_der(void **state)
{
    static const struct {
        size_t len;
        uint8_t bytes[12];
        bool ok;
    } row[] = {
        {8, {0x30, 6, 4, 1, 0xaa, 4, 1, 0xbb}, true},
        {6, {0x30, 4, 4, 0, 4, 0}, true},
        {7, {0x30, 6, 4, 1, 0xaa, 4, 1}, false},
        {9, {0x30, 6, 4, 1, 0xaa, 4, 1, 0xbb, 0}, false},
        {9, {0x30, 0x81, 6, 4, 1, 0xaa, 4, 1, 0xbb}, false}, /* length not minimal */
        {10, {0x30, 0x82, 0, 6, 4, 1, 0xaa, 4, 1, 0xbb}, false},
        {8, {0x31, 6, 4, 1, 0xaa, 4, 1, 0xbb}, false},
        {8, {0x30, 6, 4, 1, 0xaa, 3, 1, 0xbb}, false},
        {9, {0x30, 7, 4, 1, 0xaa, 4, 1, 0xbb, 0}, false}, /* inside the sequence */
        {8, {0x30, 0x80, 4, 1, 0xaa, 4, 1, 0xbb}, false}, /* indefinite length */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct slice key, sig;
        qudag_err err = cert_ext_libp2p_read((struct slice){row[i].bytes, row[i].len}, &key, &sig);

        assert_int_equal(err, row[i].ok ? QUDAG_OK : QUDAG_EMALFORMED);
    }
}

static void test_every_certificate_is_fresh(void **state)
{
    struct cert_pair a = make(CERT_PQ, &alice), b = make(CERT_PQ, &alice);

    (void)state;
    assert_int_not_equal(EVP_PKEY_eq(a.key, b.key), 1);
    assert_int_not_equal(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(a.crt), X509_get0_serialNumber(b.crt)), 0);
    cert_pair_fini(&a);
    cert_pair_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_certificates_prove_what_they_should),
        cmocka_unit_test(test_policy_decides_on_the_second_extension),
        cmocka_unit_test(test_published_certificates),
        cmocka_unit_test(test_validity_has_ten_minutes_of_tolerance),
        cmocka_unit_test(test_the_short_form_needs_the_key_it_names),
        cmocka_unit_test(test_the_key_of_a_checked_certificate_is_handed_out),
        cmocka_unit_test(test_a_certificate_cut_anywhere_is_malformed),
        cmocka_unit_test(test_a_certificate_changed_anywhere_is_refused),
        cmocka_unit_test(test_forged_certificates_are_refused),
        cmocka_unit_test(test_no_identity_signs_for_more_than_26_hours),
        cmocka_unit_test(test_extensions_are_strict_der),
        cmocka_unit_test(test_every_certificate_is_fresh),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
