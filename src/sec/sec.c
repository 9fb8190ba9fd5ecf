/*
 * sec.c - the TLS context shared by all links of a node: certificates, groups, signatures, ciphers.
 *
 *   require:  ML-DSA certificate only, one hybrid group by level
 *   prefer:   both certificates; the peer's signature algorithms choose; hybrid group first
 *   off:      what every libp2p implementation speaks
 */
#include "sec/lib.h"
#include "sec/sec_int.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

/* Half the life of a certificate: a restart of the clock or a late timer does no harm. */
#define RENEW_AFTER_NS (UINT64_C(12) * 3600 * NS_PER_S)

#define RETRY_AFTER_NS (60 * NS_PER_S)

#define CLASSICAL_SIGALGS                                                                          \
    "ecdsa_secp256r1_sha256:ed25519:ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256:"                   \
    "rsa_pss_rsae_sha384:rsa_pss_rsae_sha512"

static bool cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("pclmul") != 0;
#elif defined(__ARM_FEATURE_AES) || defined(__ARM_FEATURE_CRYPTO)
    return true;
#else
    return false;
#endif
}

static const char *groups_of(enum pq_policy pq, uint16_t level, bool channel)
{
    static const struct {
        uint16_t level;
        const char *require, *prefer;
    } table[] = {
        {768, "X25519MLKEM768", "*X25519MLKEM768 / *X25519:secp256r1:secp384r1"},
        /* A share of X25519MLKEM768 would not fit; a peer of the other level asks for it. */
        {1024, "SecP384r1MLKEM1024", "*SecP384r1MLKEM1024 / X25519MLKEM768 / *X25519:secp384r1"},
    };

    if (pq == PQ_OFF) {
        return "X25519:secp256r1:secp384r1";
    }
    if (channel && level == 512 && pq == PQ_REQUIRE) {
        return "X25519MLKEM512";
    }
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].level == level) {
            return pq == PQ_REQUIRE ? table[i].require : table[i].prefer;
        }
    }
    return NULL;
}

static const char *ciphers_of(enum sec_cipher cipher, enum pq_policy pq)
{
    bool plain = pq != PQ_REQUIRE;

    switch (cipher) {
    case SEC_CIPHER_CHACHA20:
        return "TLS_CHACHA20_POLY1305_SHA256";
    case SEC_CIPHER_AES256:
        return "TLS_AES_256_GCM_SHA384";
    case SEC_CIPHER_AUTO:
        break;
    }
    if (cpu_has_aes()) {
        return plain ? "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
                     : "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
    }
    return plain ? "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
                 : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
}

static const char *sigalgs_of(enum pq_policy pq)
{
    switch (pq) {
    case PQ_REQUIRE:
        return "mldsa65";
    case PQ_PREFER:
        return "mldsa65:" CLASSICAL_SIGALGS;
    case PQ_OFF:
        break;
    }
    return CLASSICAL_SIGALGS;
}

/* Where |want| is in the list of a client; base NULL: it is not. */
static struct slice find_alpn(struct slice list, const char *want)
{
    struct rd r = rd_init(list);

    while (rd_ok(&r) && r.left > 0) {
        struct slice name = rd_bytes(&r, rd_u8(&r));

        if (rd_ok(&r) && name.len == strlen(want) && memcmp(name.base, want, name.len) == 0) {
            return name;
        }
    }
    return (struct slice){NULL, 0};
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg)
{
    static const char only[] = SEC_ALPN "\0"; /* a list of one, as sec_hs.protos is */
    const struct sec_hs *hs = sec_hs_find(arg, ssl);

    for (const char *p = hs == NULL || hs->protos == NULL ? only : hs->protos; *p != '\0';
         p += strlen(p) + 1) {
        struct slice name = find_alpn((struct slice){in, in_len}, p);

        if (name.base != NULL) {
            *out = name.base;
            *out_len = (unsigned char)name.len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static const unsigned char alpn_wire[1 + SEC_ALPN_LEN] = {SEC_ALPN_LEN, 'l', 'i', 'b',
                                                          'p',          '2', 'p'};

/* The library's macros cast const away; it only reads. */
static char *unconst(const char *s)
{
    return (char *)(uintptr_t)s;
}

static qudag_err set_algorithms(SSL_CTX *ctx, const struct sec_config *cfg)
{
    const char *groups = groups_of(cfg->pq, cfg->level == 0 ? 768 : cfg->level, cfg->channel);
    const char *sigalgs = sigalgs_of(cfg->pq);

    if (groups == NULL) {
        return QUDAG_EINVAL;
    }
    if (SSL_CTX_set1_groups_list(ctx, unconst(groups)) != 1 ||
        SSL_CTX_set1_sigalgs_list(ctx, unconst(sigalgs)) != 1 ||
        SSL_CTX_set1_client_sigalgs_list(ctx, unconst(sigalgs)) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, ciphers_of(cfg->cipher, cfg->pq)) != 1 ||
        SSL_CTX_set_alpn_protos(ctx, alpn_wire, sizeof alpn_wire) != 0) {
        return QUDAG_EUNSUPPORTED;
    }
    return QUDAG_OK;
}

static qudag_err set_context(struct sec *s, const struct sec_config *cfg)
{
    SSL_CTX *ctx = s->ctx;

    if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 0) != 1) {
        return QUDAG_EUNSUPPORTED;
    }
    SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION |
                                 SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ctx, CERT_DER_MAX);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, sec_verify_cb, s);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, s);
    return set_algorithms(ctx, cfg);
}

/* All of it, or nothing. */
static qudag_err install(struct sec *s, enum cert_kind kind, const struct identity *id,
                         walltime now)
{
    struct cert_pair p = {NULL, NULL};
    X509 *short_crt = NULL;
    qudag_err err = cert_make(&p, kind, id, s->rng, now);

    if (err == QUDAG_OK && kind == CERT_PQ) {
        err = cert_make_for(&short_crt, CERT_PQ_SHORT, id, p.key, s->rng, now);
    }
    if (err == QUDAG_OK && SSL_CTX_use_cert_and_key(s->ctx, p.crt, p.key, NULL, 1) != 1) {
        err = QUDAG_EINTERNAL;
    }
    if (err == QUDAG_OK && kind == CERT_PQ) {
        X509_free(s->short_crt);
        s->short_crt = short_crt;
        short_crt = NULL;
    }
    X509_free(short_crt);
    if (err == QUDAG_OK && kind == CERT_CLASSICAL && s->pq == PQ_PREFER) {
        cert_pair_fini(&s->plain);
        s->plain = p;
        return QUDAG_OK;
    }
    cert_pair_fini(&p);
    return err;
}

qudag_err sec_renew(struct sec *s, tstamp now)
{
    walltime wall = wall_now(&s->clock, now);
    qudag_err err = QUDAG_OK;

    if (s->pq != PQ_OFF) {
        err = install(s, CERT_PQ, s->identity, wall);
    }
    if (err == QUDAG_OK && s->pq != PQ_REQUIRE) {
        err = install(s, CERT_CLASSICAL, s->identity, wall);
    }
    ERR_clear_error();
    s->renew_at = tstamp_after(now, err == QUDAG_OK ? RENEW_AFTER_NS : RETRY_AFTER_NS);
    return err;
}

qudag_err sec_set_identity(struct sec *s, const struct identity *identity, tstamp now)
{
    qudag_err err = QUDAG_OK;

    ASSERT(memcmp(identity->ed_pk, s->identity->ed_pk, sizeof(identity->ed_pk)) == 0);
    if (s->pq != PQ_OFF) { /* the classical certificate does not name the key */
        err = install(s, CERT_PQ, identity, wall_now(&s->clock, now));
    }
    ERR_clear_error();
    s->identity = err == QUDAG_OK ? identity : s->identity;
    return err;
}

const uint8_t *sec_own_pq_hash(const struct sec *s)
{
    return s->pq == PQ_OFF ? NULL : s->identity->pq_hash;
}

tstamp sec_renew_at(const struct sec *s)
{
    return s->renew_at;
}

void sec_set_clock(struct sec *s, struct wallclock clock)
{
    s->clock = clock;
}

qudag_err sec_new(struct sec **out, const struct sec_config *cfg)
{
    struct sec *s;
    qudag_err err;

    /* The host's openssl.cnf belongs to another version of the library. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1) {
        return QUDAG_EINTERNAL;
    }
    s = mem_alloc(cfg->mem, sizeof *s);
    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    s->mem = cfg->mem;
    s->rng = cfg->rng;
    s->identity = cfg->identity;
    s->pq = cfg->pq;
    s->clock = cfg->clock;
    list_init(&s->running);
    list_init(&s->streams);
    s->ctx = SSL_CTX_new_ex(sec_lib(), NULL, TLS_method());
    s->bio = sec_stream_bio_new();
    s->small = EVP_PKEY_new_raw_public_key_ex(sec_lib(), "ED25519", NULL, cfg->identity->ed_pk,
                                              ED25519_PK_LEN);
    err = s->ctx == NULL || s->bio == NULL || s->small == NULL ? QUDAG_ENOMEM : set_context(s, cfg);
    if (err == QUDAG_OK) {
        err = sec_profile_init(s);
    }
    if (err == QUDAG_OK) {
        err = sec_renew(s, cfg->clock.at);
    }
    ERR_clear_error();
    if (err != QUDAG_OK) {
        sec_free(s);
        return err;
    }
    *out = s;
    return QUDAG_OK;
}

void sec_free(struct sec *s)
{
    if (s == NULL) {
        return;
    }
    ASSERT(list_empty(&s->running) && list_empty(&s->streams));
    cert_pair_fini(&s->plain);
    BIO_meth_free(s->bio);
    EVP_PKEY_free(s->small);
    X509_free(s->short_crt);
    SSL_CTX_free(s->ctx);
    mem_free(s->mem, s);
}
