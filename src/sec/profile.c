/*
 * profile.c - which certificate a peer is shown: that of spec/link.md only to those who say that they know it.
 *
 * TLS libraries offer ML-DSA of their own accord (OpenSSL since 3.5), also where the peer is a plain libp2p node, which
 * takes nothing but certificates that sign themselves.  So the algorithms of a peer do not tell: a node of this kind
 * says what it is by an empty extension in ClientHello and CertificateRequest (spec/link.md 2.9).
 */
#include "sec/sec_int.h"

#include <openssl/err.h>

#define WHERE (SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_3_CERTIFICATE_REQUEST | SSL_EXT_TLS1_3_ONLY)

static int say(SSL *ssl, unsigned int type, unsigned int context, const unsigned char **out,
               size_t *out_len, X509 *x, size_t chain_ix, int *alert, void *arg)
{
    (void)ssl, (void)type, (void)context, (void)x, (void)chain_ix, (void)alert, (void)arg;
    *out = NULL;
    *out_len = 0;
    return 1;
}

static int hear(SSL *ssl, unsigned int type, unsigned int context, const unsigned char *in,
                size_t in_len, X509 *x, size_t chain_ix, int *alert, void *arg)
{
    struct sec_hs *hs = sec_hs_find(arg, ssl);

    (void)type, (void)context, (void)in, (void)in_len, (void)x, (void)chain_ix, (void)alert;
    if (hs != NULL) {
        hs->knows_profile = true; /* what a later version may write in it does not matter */
    }
    return 1;
}

/* SSL_CTX_set_cert_cb's function: the peer has been heard, and our certificate is about to be chosen. */
static int choose(SSL *ssl, void *arg)
{
    const struct sec *s = arg;
    struct sec_hs *hs = sec_hs_find(s, ssl);

    if (hs == NULL || hs->knows_profile || s->plain.crt == NULL) {
        return 1;
    }
    SSL_certs_clear(ssl);
    if (SSL_use_cert_and_key(ssl, s->plain.crt, s->plain.key, NULL, 1) != 1) {
        hs->err = QUDAG_ENOMEM;
        hs->err_text = "out of memory";
        ERR_clear_error();
        return 0;
    }
    return 1;
}

qudag_err sec_profile_init(struct sec *s)
{
    if (s->pq == PQ_OFF) {
        return QUDAG_OK;
    }
    if (SSL_CTX_add_custom_ext(s->ctx, SEC_PROFILE_EXT, WHERE, say, NULL, NULL, hear, s) != 1) {
        return QUDAG_ENOMEM;
    }
    SSL_CTX_set_cert_cb(s->ctx, choose, s);
    return QUDAG_OK;
}
