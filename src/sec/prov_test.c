/*
 * prov_test.c - TLS that computes with src/crypto against TLS that computes with OpenSSL.
 *
 * One end of each connection lives in sec_lib(), the other in the program's own context, both ways
 * round.  Without the fast primitives both are the same, and the handshakes still have to work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/types.h"
#include "crypto/init.h"
#include "crypto/sign.h"
#include "sec/lib.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#define HYBRID_SHARE 1216
#define HYBRID_CT 1120

static int accept_all(X509_STORE_CTX *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 1;
}

/* A key and a self-signed certificate, made in |lib|. */
static void use_certificate(SSL_CTX *ctx, OSSL_LIB_CTX *lib)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(lib, NULL, "ML-DSA-65");
    X509 *crt = X509_new_ex(lib, NULL);

    assert_non_null(key);
    assert_non_null(crt);
    assert_int_equal(X509_set_version(crt, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(crt), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(crt), -60));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(crt), 3600));
    assert_int_equal(X509_set_pubkey(crt, key), 1);
    assert_true(X509_sign(crt, key, NULL) > 0);
    assert_int_equal(SSL_CTX_use_cert_and_key(ctx, crt, key, NULL, 1), 1);
    X509_free(crt);
    EVP_PKEY_free(key);
}

/* The library's macros cast const away; it only reads. */
static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text;
}

static SSL_CTX *tls_context(OSSL_LIB_CTX *lib, const char *groups)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(lib, NULL, TLS_method());

    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION), 1);
    assert_int_equal(SSL_CTX_set1_groups_list(ctx, unconst(groups)), 1);
    assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, unconst("mldsa65")), 1);
    assert_int_equal(SSL_CTX_set1_client_sigalgs_list(ctx, unconst("mldsa65")), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, accept_all, NULL);
    use_certificate(ctx, lib);
    return ctx;
}

static void handshake(OSSL_LIB_CTX *client_lib, OSSL_LIB_CTX *server_lib, const char *groups)
{
    SSL_CTX *cc = tls_context(client_lib, groups), *sc = tls_context(server_lib, groups);
    SSL *c = SSL_new(cc), *s = SSL_new(sc);
    BIO *a, *b;
    char byte = 0;

    assert_int_equal(BIO_new_bio_pair(&a, 1 << 16, &b, 1 << 16), 1);
    SSL_set_bio(c, a, a);
    SSL_set_bio(s, b, b);
    SSL_set_connect_state(c);
    SSL_set_accept_state(s);
    for (int i = 0; i < 10; i++) {
        (void)SSL_do_handshake(c);
        (void)SSL_do_handshake(s);
    }
    if (!SSL_is_init_finished(c) || !SSL_is_init_finished(s)) {
        ERR_print_errors_fp(stderr);
        fail_msg("no handshake with %s", groups);
    }
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(SSL_write(c, "x", 1), 1); /* under keys of the secret both agreed on */
    assert_int_equal(SSL_read(s, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_non_null(SSL_get0_peer_certificate(c));
    assert_non_null(SSL_get0_peer_certificate(s));
    SSL_free(c);
    SSL_free(s);
    SSL_CTX_free(cc);
    SSL_CTX_free(sc);
}

static void both_sides_understand_each_other(void **state)
{
    static const char *const groups[] = {"X25519MLKEM768", "X25519", "X25519:X25519MLKEM768",
                                         "SecP384r1MLKEM1024", "secp256r1"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        handshake(sec_lib(), sec_lib(), groups[i]);
        handshake(sec_lib(), NULL, groups[i]);
        handshake(NULL, sec_lib(), groups[i]);
    }
}

/* The program's own context keeps OpenSSL's; ours has ours, and OpenSSL's for all else. */
static void only_the_own_context_has_the_provider(void **state)
{
    static const char *const ours[] = {"X25519MLKEM768", "X25519", "ML-DSA-65"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        EVP_KEYMGMT *m = EVP_KEYMGMT_fetch(NULL, ours[i], NULL);

        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(m)), "default");
        EVP_KEYMGMT_free(m);
#ifdef QUDAG_FASTCRYPTO
        m = EVP_KEYMGMT_fetch(sec_lib(), ours[i], NULL);
        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(m)), "qudag");
        EVP_KEYMGMT_free(m);
#endif
    }
#ifdef QUDAG_FASTCRYPTO
    assert_non_null(sec_lib());
    EVP_KEYMGMT *rsa = EVP_KEYMGMT_fetch(sec_lib(), "RSA", NULL);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(rsa)), "default");
    EVP_KEYMGMT_free(rsa);
    assert_int_equal(OSSL_PROVIDER_available(NULL, "qudag"), 0);
#endif
}

/* The peer whose share this is, in |lib|; NULL when the share is refused at once. */
static EVP_PKEY *peer_of(OSSL_LIB_CTX *lib, const uint8_t *share, size_t len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(lib, "X25519MLKEM768", NULL);
    EVP_PKEY *peer = NULL;

    assert_int_equal(EVP_PKEY_paramgen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_group_name(ctx, "X25519MLKEM768"), 1);
    assert_int_equal(EVP_PKEY_paramgen(ctx, &peer), 1);
    if (EVP_PKEY_set1_encoded_public_key(peer, share, len) != 1) {
        EVP_PKEY_free(peer);
        peer = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return peer;
}

static int encapsulate(OSSL_LIB_CTX *lib, EVP_PKEY *peer, uint8_t ct[HYBRID_CT], uint8_t ss[64])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(lib, peer, NULL);
    size_t ct_len = 0, ss_len = 0;

    assert_int_equal(EVP_PKEY_encapsulate_init(ctx, NULL), 1);
    assert_int_equal(EVP_PKEY_encapsulate(ctx, NULL, &ct_len, NULL, &ss_len), 1);
    assert_int_equal(ct_len, HYBRID_CT);
    assert_int_equal(ss_len, 64);
    int rc = EVP_PKEY_encapsulate(ctx, ct, &ct_len, ss, &ss_len);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

static int decapsulate(OSSL_LIB_CTX *lib, EVP_PKEY *own, uint8_t ss[64], const uint8_t *ct,
                       size_t len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(lib, own, NULL);
    size_t ss_len = 64;

    assert_int_equal(EVP_PKEY_decapsulate_init(ctx, NULL), 1);
    int rc = EVP_PKEY_decapsulate(ctx, ss, &ss_len, ct, len);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

/* FIPS 203 7.2: a coefficient of 4095.  OpenSSL refuses it with the share, we with its use. */
static void unreduced_is_refused(uint8_t share[HYBRID_SHARE])
{
    uint8_t ct[HYBRID_CT], ss[64];

    share[HYBRID_SHARE - 32] = 9; /* a good point again */
    EVP_PKEY *peer = peer_of(sec_lib(), share, HYBRID_SHARE);
    assert_int_equal(encapsulate(sec_lib(), peer, ct, ss), 1);
    EVP_PKEY_free(peer);
    memset(share, 0xff, 3);
    peer = peer_of(sec_lib(), share, HYBRID_SHARE);
    assert_true(peer == NULL || encapsulate(sec_lib(), peer, ct, ss) <= 0);
    EVP_PKEY_free(peer);
}

static void the_hybrid_agrees_and_refuses(void **state)
{
    EVP_PKEY *own = EVP_PKEY_Q_keygen(sec_lib(), NULL, "X25519MLKEM768");
    uint8_t ct[HYBRID_CT], a[64], b[64], share[HYBRID_SHARE];
    size_t len = 0;
    (void)state;

    assert_int_equal(EVP_PKEY_get_octet_string_param(own, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, share,
                                                     sizeof share, &len),
                     1);
    assert_int_equal(len, HYBRID_SHARE);
    EVP_PKEY *there = peer_of(NULL, share, len), *here = peer_of(sec_lib(), share, len);
    assert_int_equal(encapsulate(NULL, there, ct, a), 1);
    assert_int_equal(decapsulate(sec_lib(), own, b, ct, sizeof ct), 1);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(encapsulate(sec_lib(), here, ct, a), 1);
    assert_int_equal(decapsulate(sec_lib(), own, b, ct, sizeof ct), 1);
    assert_memory_equal(a, b, sizeof a);
    ct[3] ^= 1; /* implicit rejection: another secret, no error; the other half is untouched */
    assert_int_equal(decapsulate(sec_lib(), own, b, ct, sizeof ct), 1);
    assert_memory_not_equal(a, b, 32);
    assert_memory_equal(a + 32, b + 32, 32);
    assert_true(decapsulate(sec_lib(), own, b, ct, sizeof ct - 1) <= 0);
    memset(ct + HYBRID_CT - 32, 0, 32); /* a point of order 4 */
    assert_true(decapsulate(sec_lib(), own, b, ct, sizeof ct) <= 0);

    EVP_PKEY_free(own);
    EVP_PKEY_free(here);
    EVP_PKEY_free(there);

    assert_null(peer_of(sec_lib(), share, len - 1));
    memset(share + HYBRID_SHARE - 32, 0, 32);
    here = peer_of(sec_lib(), share, len);
    assert_true(encapsulate(sec_lib(), here, ct, a) <= 0);
    EVP_PKEY_free(here);
    unreduced_is_refused(share);
    ERR_clear_error();
}

#define LOW_EK 800
#define LOW_CT 768

/* What is inside of the 512 share, by OpenSSL's own context: ML-KEM first, then X25519 (spec/channel.md). */
static void encapsulate_by_hand(const uint8_t *share, uint8_t *ct, uint8_t ss[64])
{
    EVP_PKEY *kem = EVP_PKEY_new_raw_public_key_ex(NULL, "ML-KEM-512", NULL, share, LOW_EK);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share + LOW_EK, 32);
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    size_t ct_len = LOW_CT, ss_len = 32, pk_len = 32;

    assert_non_null(kem);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, kem, NULL);
    assert_int_equal(EVP_PKEY_encapsulate_init(c, NULL), 1);
    assert_int_equal(EVP_PKEY_encapsulate(c, ct, &ct_len, ss, &ss_len), 1);
    EVP_PKEY_CTX_free(c);
    assert_int_equal(EVP_PKEY_get_raw_public_key(own, ct + LOW_CT, &pk_len), 1);
    c = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    assert_int_equal(EVP_PKEY_derive_init(c), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(c, peer), 1);
    assert_int_equal(EVP_PKEY_derive(c, ss + 32, &ss_len), 1);
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(kem);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
}

static void the_hybrid_of_level_512_is_its_two_halves(void **state)
{
    EVP_PKEY *own = EVP_PKEY_Q_keygen(sec_lib(), NULL, "X25519MLKEM512");
    uint8_t ct[LOW_CT + 32], a[64], b[64], share[LOW_EK + 32];
    size_t len = 0;
    (void)state;

    assert_non_null(own);
    assert_int_equal(EVP_PKEY_get_octet_string_param(own, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, share,
                                                     sizeof share, &len),
                     1);
    assert_int_equal(len, sizeof share);
    encapsulate_by_hand(share, ct, a);
    assert_int_equal(decapsulate(sec_lib(), own, b, ct, sizeof ct), 1);
    assert_memory_equal(a, b, sizeof a);
    ct[3] ^= 1;
    assert_int_equal(decapsulate(sec_lib(), own, b, ct, sizeof ct), 1);
    assert_memory_not_equal(a, b, 32);
    assert_memory_equal(a + 32, b + 32, 32);
    assert_true(decapsulate(sec_lib(), own, b, ct, sizeof ct - 1) <= 0);
    memset(ct + LOW_CT, 0, 32);
    assert_true(decapsulate(sec_lib(), own, b, ct, sizeof ct) <= 0);
    EVP_PKEY_free(own);
    handshake(sec_lib(), sec_lib(), "X25519MLKEM512");
    /* outside of our own context there is no such group */
    EVP_KEYMGMT *m = EVP_KEYMGMT_fetch(NULL, "X25519MLKEM512", NULL);
    assert_null(m);
    ERR_clear_error();
}

static int derive(EVP_PKEY *own, const uint8_t point[32], uint8_t out[32])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(sec_lib(), own, NULL);
    EVP_PKEY *there = EVP_PKEY_new();
    size_t len = 32;
    int rc = 0;

    assert_int_equal(EVP_PKEY_copy_parameters(there, own), 1);
    assert_int_equal(EVP_PKEY_set1_encoded_public_key(there, point, 32), 1);
    if (EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, there) == 1) {
        rc = EVP_PKEY_derive(ctx, out, &len);
    }
    EVP_PKEY_free(there);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

static void x25519_alone_refuses_a_result_of_zero(void **state)
{
    EVP_PKEY *own = EVP_PKEY_Q_keygen(sec_lib(), NULL, "X25519");
    uint8_t point[32] = {9}, out[32];
    (void)state;

    assert_int_equal(derive(own, point, out), 1);
    point[0] = 1; /* order 1 */
    assert_true(derive(own, point, out) <= 0);
    EVP_PKEY_free(own);
}

static void sign_here(EVP_PKEY *key, uint8_t *sig, const char *msg)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = MLDSA65_SIG_LEN;

    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, NULL, sec_lib(), NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)msg, strlen(msg)), 1);
    assert_int_equal(len, MLDSA65_SIG_LEN);
    EVP_MD_CTX_free(ctx);
}

static int verify_in(OSSL_LIB_CTX *lib, EVP_PKEY *key, const uint8_t *sig, size_t len,
                     const char *msg)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, NULL, lib, NULL, key, NULL), 1);
    int rc = EVP_DigestVerify(ctx, sig, len, (const uint8_t *)msg, strlen(msg));
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

static void signatures_of_ml_dsa_agree_and_are_hedged(void **state)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(sec_lib(), NULL, "ML-DSA-65");
    uint8_t sig[MLDSA65_SIG_LEN], other[MLDSA65_SIG_LEN], pk[MLDSA65_PK_LEN];
    size_t len = 0;
    (void)state;

    assert_int_equal(
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, pk, sizeof pk, &len), 1);
    EVP_PKEY *there = EVP_PKEY_new_raw_public_key_ex(NULL, "ML-DSA-65", NULL, pk, sizeof pk);
    EVP_PKEY *here = EVP_PKEY_new_raw_public_key_ex(sec_lib(), "ML-DSA-65", NULL, pk, sizeof pk);
    assert_non_null(there);
    assert_non_null(here);
    assert_int_equal(EVP_PKEY_eq(key, here), 1);
    sign_here(key, sig, "message");
    sign_here(key, other, "message");
    assert_memory_not_equal(sig, other, sizeof sig);
    assert_int_equal(verify_in(NULL, there, sig, sizeof sig, "message"), 1);
    assert_int_equal(verify_in(sec_lib(), here, sig, sizeof sig, "message"), 1);
    assert_int_not_equal(verify_in(sec_lib(), here, sig, sizeof sig, "massage"), 1);
    assert_int_not_equal(verify_in(sec_lib(), here, sig, sizeof sig - 1, "message"), 1);
    sig[100] ^= 4;
    assert_int_not_equal(verify_in(sec_lib(), here, sig, sizeof sig, "message"), 1);
    EVP_PKEY_free(key);
    EVP_PKEY_free(here);
    EVP_PKEY_free(there);
}

static int start(void **state)
{
    (void)state;
    return crypto_init() == QUDAG_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_own_context_has_the_provider),
        cmocka_unit_test(the_hybrid_agrees_and_refuses),
        cmocka_unit_test(the_hybrid_of_level_512_is_its_two_halves),
        cmocka_unit_test(x25519_alone_refuses_a_result_of_zero),
        cmocka_unit_test(signatures_of_ml_dsa_agree_and_are_hedged),
        cmocka_unit_test(both_sides_understand_each_other),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
