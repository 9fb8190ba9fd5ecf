/* Peers that offer ML-DSA without knowing our certificates, as every libp2p on OpenSSL 3.5 and newer does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sec/cert.h"
#include "sec/lib.h"
#include "sec/testkit_stream.h"

#include <openssl/ssl.h>

static struct ts_end ours;
static char shown[16]; /* the key of the certificate that the stranger was shown */
static bool self_signed;

static int look(X509_STORE_CTX *ctx, void *arg)
{
    X509 *crt = X509_STORE_CTX_get0_cert(ctx);

    (void)arg;
    (void)snprintf(shown, sizeof shown, "%s", cert_key_name(X509_get0_pubkey(crt)));
    self_signed = X509_verify(crt, X509_get0_pubkey(crt)) == 1;
    return 1;
}

/* A libp2p node with what its TLS library offers by itself. */
static SSL_CTX *stranger(bool server)
{
    static const unsigned char alpn[] = "\x06libp2p";
    struct rng_stream stream;
    struct identity id;
    struct cert_pair p;
    uint8_t seed[32] = {9};

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    assert_int_equal(identity_generate(&id, &rng), QUDAG_OK);
    assert_int_equal(cert_make(&p, CERT_CLASSICAL, &id, &rng, TS_WALL), QUDAG_OK);
    SSL_CTX *ctx = SSL_CTX_new_ex(sec_lib(), NULL, TLS_method());
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_cert_and_key(ctx, p.crt, p.key, NULL, 1), 1);
    cert_pair_fini(&p);
    identity_fini(&id);
    if (!server) {
        assert_int_equal(SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1), 0);
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, look, NULL);
    return ctx;
}

static int first_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                      const unsigned char *in, unsigned int len, void *arg)
{
    (void)ssl, (void)len, (void)arg;
    *out = in + 1;
    *n = in[0];
    return SSL_TLSEXT_ERR_OK;
}

/* Bytes go to and fro until both are done; false: they never are. */
static bool shake(SSL *ssl, BIO *in, BIO *out)
{
    ts_feed(&ours, (struct slice){NULL, 0}, TS_START); /* a client begins */
    for (int i = 0; i < 20; i++) {
        uint8_t b[8192];
        int n;

        (void)SSL_do_handshake(ssl);
        while ((n = BIO_read(out, b, sizeof b)) > 0) {
            struct slice left = {b, (size_t)n}, plain;
            size_t used = 0;

            while (left.len > 0) {
                if (tls_stream_receive(ours.t, left, &used, &plain, TS_START) != QUDAG_OK) {
                    return false;
                }
                left = slice_rest(left, used);
            }
        }
        for (;;) {
            struct slice o = tls_stream_output(ours.t);

            if (o.len == 0) {
                break;
            }
            assert_int_equal(BIO_write(in, o.base, (int)o.len), (int)o.len);
            tls_stream_output_sent(ours.t, o.len);
        }
        if (SSL_is_init_finished(ssl) && tls_stream_state(ours.t) == TLS_STREAM_READY) {
            return true;
        }
    }
    return false;
}

static bool meet(enum pq_policy pq, bool stranger_serves)
{
    const struct ts_opt opt = {.pq = pq};
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_CTX *ctx = stranger(stranger_serves);
    SSL *ssl = SSL_new(ctx);

    shown[0] = '\0';
    self_signed = false;
    SSL_CTX_set_alpn_select_cb(ctx, first_alpn, NULL);
    SSL_set_bio(ssl, in, out);
    if (stranger_serves) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    ts_make(&ours, 1, &opt);
    assert_int_equal(ts_start(&ours, !stranger_serves, NULL, NULL), QUDAG_OK);
    bool up = shake(ssl, in, out);
    ts_unmake(&ours);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return up;
}

static void strangers_are_shown_certificates_that_sign_themselves(void **state)
{
    (void)state;
    for (int serves = 0; serves < 2; serves++) {
        assert_true(meet(PQ_PREFER, serves == 1));
        assert_string_equal(shown, "ecdsa");
        assert_true(self_signed);
    }
}

static void under_require_they_are_shown_the_only_one_there_is(void **state)
{
    (void)state;
    assert_false(meet(PQ_REQUIRE, false));
    assert_string_equal(shown, "mldsa65");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_shown_certificates_that_sign_themselves),
        cmocka_unit_test(under_require_they_are_shown_the_only_one_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
