/* sec_int.h - what sec.c and session.c share. */
#ifndef QUDAG_SRC_SEC_SEC_INT_H
#define QUDAG_SRC_SEC_SEC_INT_H

#include "base/assert.h"
#include "base/rd.h"
#include "sec/cert.h"
#include "sec/session.h"

#include <openssl/ssl.h>

#define SEC_ALPN "libp2p"
#define SEC_ALPN_LEN 6

struct sec {
    struct mem *mem;
    const struct rng *rng;
    const struct identity *identity;
    enum pq_policy pq;
    struct wallclock clock;
    SSL_CTX *ctx;
    struct cert_pair plain; /* under PQ_PREFER, for peers that do not know the other; else NULLs */
    X509 *short_crt;     /* short form of the post-quantum certificate in |ctx|; NULL without one */
    struct list running; /* struct sec_hs, by its link */
    struct list streams; /* the same, of those that are up over a byte stream (tls_stream.h) */
    BIO_METHOD *bio;     /* how these read and write */
    EVP_PKEY *small;     /* takes the place of a peer's key that is needed no more */
    tstamp renew_at;
};

/* The handshake of |ssl| that is under way, or NULL. */
struct sec_hs *sec_hs_find(const struct sec *s, const SSL *ssl);

/* Extension number of TLS, of those for private use (IANA, TLS ExtensionType Values): spec/link.md 2.9. */
#define SEC_PROFILE_EXT 65313

/* Says in each handshake which certificates we know, and hears it of the peer.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err sec_profile_init(struct sec *s);

/* How a stream reads and writes: NULL without memory. */
BIO_METHOD *sec_stream_bio_new(void);

/* SSL_CTX_set_cert_verify_callback's function; |arg| is the struct sec. */
int sec_verify_cb(X509_STORE_CTX *ctx, void *arg);

#endif
