/* session.c - see session.h. */
#include "base/wipe.h"
#include "sec/sec_int.h"

#include <openssl/err.h>
#include <openssl/tls1.h>
#include <string.h>

static SSL *new_ssl(SSL_CTX *ctx, bool server)
{
    SSL *ssl;

    ERR_clear_error();
    ssl = SSL_new(ctx);
    if (ssl != NULL && server) {
        SSL_set_accept_state(ssl);
    } else if (ssl != NULL) {
        SSL_set_connect_state(ssl);
    }
    /* These two say nothing when they had no memory, and leave an object without a record layer. */
    if (ERR_peek_error() != 0) {
        SSL_free(ssl);
        ssl = NULL;
        ERR_clear_error();
    }
    return ssl;
}

qudag_err sec_hs_start(struct sec_hs *hs, struct sec *sec, bool server,
                       const struct sec_expect *expect)
{
    *hs = (struct sec_hs){.sec = sec};
    list_init(&hs->link);
    if (!server && sec->pq != PQ_OFF) {
        hs->known = mem_alloc(sec->mem, sizeof *hs->known);
        if (hs->known == NULL) {
            return QUDAG_ENOMEM;
        }
    }
    hs->ssl = new_ssl(sec->ctx, server);
    if (hs->ssl == NULL) {
        mem_free(sec->mem, hs->known);
        hs->known = NULL;
        return QUDAG_ENOMEM;
    }
    if (expect != NULL) {
        hs->expect = *expect;
    }
    list_push_back(&sec->running, &hs->link);
    return QUDAG_OK;
}

void sec_hs_stop(struct sec_hs *hs)
{
    if (hs->ssl != NULL) {
        list_del(&hs->link);
        SSL_set_app_data(hs->ssl, NULL);
        SSL_free(hs->ssl);
        hs->ssl = NULL;
        mem_free(hs->sec->mem, hs->known);
        hs->known = NULL;
    }
    wipe(&hs->expect, sizeof hs->expect);
}

void sec_hs_present_short(struct sec_hs *hs)
{
    /* It has the key of the full one; should the library refuse it, that stays. */
    if (hs->sec->short_crt != NULL && SSL_use_certificate(hs->ssl, hs->sec->short_crt) != 1) {
        ERR_clear_error();
    }
}

static const char *own_key_name(const struct sec_hs *hs)
{
    const X509 *mine = SSL_get_certificate(hs->ssl);

    return mine == NULL ? NULL : cert_key_name(X509_get0_pubkey(mine));
}

bool sec_hs_pq_both(const struct sec_hs *hs)
{
    const char *mine = own_key_name(hs);

    return hs->peer.has_pq && mine != NULL && strcmp(mine, "mldsa65") == 0;
}

bool sec_hs_early_refused(const struct sec_hs *hs)
{
    return SSL_get_early_data_status(hs->ssl) == SSL_EARLY_DATA_REJECTED;
}

static bool group_is_pq(const SSL *ssl)
{
    /* The library takes a pointer without const for reading only. */
    return sec_rule_group(SSL_get0_group_name((SSL *)(uintptr_t)ssl));
}

/* Refuses the peer: the reason for people, the X.509 code that becomes the alert on the wire. */
static int refuse(struct sec_hs *hs, X509_STORE_CTX *ctx, qudag_err err, const char *text)
{
    int code = X509_V_ERR_CERT_REJECTED; /* alert bad_certificate */

    switch (err) {
    case QUDAG_EPOLICY:
        code = X509_V_ERR_APPLICATION_VERIFICATION; /* alert handshake_failure */
        break;
    case QUDAG_EEXPIRED:
    case QUDAG_ECLOCK:
        code = X509_V_ERR_CERT_HAS_EXPIRED; /* alert certificate_expired */
        break;
    case QUDAG_EAUTH:
        code = X509_V_ERR_CERT_SIGNATURE_FAILURE; /* alert decrypt_error */
        break;
    case QUDAG_ENOMEM:
        code = X509_V_ERR_OUT_OF_MEM; /* alert internal_error */
        break;
    default:
        break;
    }
    hs->err = err;
    hs->err_text = text;
    X509_STORE_CTX_set_error(ctx, code);
    return 0;
}

static const char *cert_text(qudag_err err)
{
    switch (err) {
    case QUDAG_EPOLICY:
        return "peer has no ML-DSA certificate; policy is require";
    case QUDAG_EEXPIRED:
        return "peer's certificate has expired; check the clocks";
    case QUDAG_ECLOCK:
        return "peer's certificate is not valid yet; check the clocks";
    case QUDAG_EAUTH:
        return "a signature in the peer's certificate is invalid";
    case QUDAG_EUNSUPPORTED:
        return "peer's identity key is of an unknown type";
    case QUDAG_ENOMEM:
        return "out of memory";
    default:
        return "peer's certificate is malformed";
    }
}

static const char *short_text(const struct sec_hs *hs)
{
    return hs->known != NULL && hs->known->has
               ? "peer's short certificate names another ML-DSA key than the one remembered"
               : "peer's certificate is the short form, and its ML-DSA key is not known here";
}

/* What the certificate proved against what was asked for. */
static const char *unmet(const struct sec_hs *hs, const struct sec_peer *peer, qudag_err *err)
{
    const struct sec_expect *x = &hs->expect;
    bool pq_kex = group_is_pq(hs->ssl);

    *err = QUDAG_EPOLICY;
    if (hs->sec->pq == PQ_REQUIRE && !pq_kex) {
        return "key exchange is not post-quantum; policy is require";
    }
    if ((x->need & LINK_PQ_KEX) != 0 && !pq_kex) {
        return "peer was post-quantum before and is not now (key exchange)";
    }
    if ((x->need & LINK_PQ_AUTH) != 0 && !peer->has_pq) {
        return "peer was post-quantum before and is not now (key)";
    }
    *err = QUDAG_EAUTH;
    if (x->has_peer && !peer_id_eq(&x->peer, &peer->id)) {
        return "peer id mismatch";
    }
    if (x->has_pq_hash && !peer->has_pq) {
        return "peer did not prove the expected ML-DSA key";
    }
    if (x->has_pq_hash && !x->lax && !ct_equal(x->pq_hash, peer->pq_hash, sizeof x->pq_hash)) {
        return "peer's ML-DSA key is not the expected one";
    }
    *err = QUDAG_OK;
    return NULL;
}

struct sec_hs *sec_hs_find(const struct sec *s, const SSL *ssl)
{
    LIST_EACH(it, &s->running)
    {
        struct sec_hs *hs = LIST_ENTRY(it, struct sec_hs, link);

        if (hs->ssl == ssl) {
            return hs;
        }
    }
    return NULL;
}

static struct slice alpn_of(const SSL *ssl)
{
    const unsigned char *name = NULL;
    unsigned int len = 0;

    SSL_get0_alpn_selected(ssl, &name, &len);
    return (struct slice){name, len};
}

const char *sec_hs_proto(const struct sec_hs *hs)
{
    struct slice name = alpn_of(hs->ssl);

    for (const char *p = hs->protos; p != NULL && *p != '\0'; p += strlen(p) + 1) {
        if (name.len == strlen(p) && memcmp(name.base, p, name.len) == 0) {
            return p;
        }
    }
    return NULL;
}

static bool alpn_ok(const struct sec_hs *hs)
{
    struct slice name = alpn_of(hs->ssl);

    if (hs->protos == NULL) {
        return name.len == SEC_ALPN_LEN && memcmp(name.base, SEC_ALPN, SEC_ALPN_LEN) == 0;
    }
    return name.len == 0 ? hs->proto_optional : sec_hs_proto(hs) != NULL;
}

int sec_verify_cb(X509_STORE_CTX *ctx, void *arg)
{
    const struct sec *s = arg;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct sec_hs *hs = sec_hs_find(s, ssl);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(ctx);
    X509 *crt = X509_STORE_CTX_get0_cert(ctx);
    struct sec_peer peer;
    qudag_err err;
    const char *text;

    if (hs == NULL) {
        return 0;
    }
    if (crt == NULL || sk_X509_num(chain) != 1) {
        return refuse(hs, ctx, QUDAG_EMALFORMED, "peer must present exactly one certificate");
    }
    if (!alpn_ok(hs)) {
        return refuse(hs, ctx, QUDAG_EUNSUPPORTED, "peer does not speak our protocol (ALPN)");
    }
    err = cert_check(&peer, crt, s->pq, wall_now(&s->clock, hs->now), hs->known);
    if (err == QUDAG_ENOTFOUND) {
        return refuse(hs, ctx, QUDAG_EAUTH, short_text(hs));
    }
    if (err == QUDAG_ETOOBIG) {
        return refuse(hs, ctx, QUDAG_EMALFORMED, "peer's certificate is valid for over 26 hours");
    }
    if (err != QUDAG_OK) {
        return refuse(hs, ctx, err, cert_text(err));
    }
    hs->peer = peer;
    hs->other_peer = hs->expect.has_peer && !peer_id_eq(&hs->expect.peer, &peer.id);
    text = unmet(hs, &peer, &err);
    if (err != QUDAG_OK) {
        return refuse(hs, ctx, err, text);
    }
    hs->verified = true;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

static void copy_text(char *dst, size_t cap, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);

    len = len < cap ? len : cap - 1;
    if (len > 0) {
        memcpy(dst, text, len);
    }
    dst[len] = '\0';
}

/* When one of the two certificates ends; unreadable ones never come so far. */
static tstamp valid_until(const struct sec_hs *hs)
{
    walltime now = wall_now(&hs->sec->clock, hs->now);
    const X509 *mine = SSL_get_certificate(hs->ssl);
    struct sec_validity own = {now, now};
    int64_t life = 0;

    if (mine != NULL && cert_validity(&own, mine)) {
        life = sec_rule_link_life(own.end, hs->peer.valid_until, now);
    }
    return tstamp_after(hs->now, (uint64_t)life * NS_PER_S);
}

void sec_hs_report(const struct sec_hs *hs, struct link_info *out)
{
    SSL *ssl = hs->ssl;

    out->security = "tls";
    out->until = valid_until(hs);
    copy_text(out->group, sizeof out->group, SSL_get0_group_name(ssl));
    copy_text(out->cipher, sizeof out->cipher, SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)));
    copy_text(out->sig_local, sizeof out->sig_local, own_key_name(hs));
    copy_text(out->sig_remote, sizeof out->sig_remote, hs->peer.sig);
    out->peer = hs->peer.id;
    out->has_pq_hash = hs->peer.has_pq;
    memcpy(out->pq_hash, hs->peer.pq_hash, sizeof out->pq_hash);
    if (group_is_pq(ssl)) {
        out->props |= LINK_PQ_KEX;
    }
    if (hs->peer.has_pq) {
        out->props |= LINK_PQ_AUTH | LINK_QUDAG;
    }
}

/* RFC 8446 6.2. */
static const struct {
    uint8_t alert;
    qudag_err err;
    const char *ours, *theirs;
} alert_table[] = {
    {40, QUDAG_EPOLICY, "TLS alert 40: no common group, signature or cipher under our policy",
     "TLS alert 40: the peer's policy and ours have no group or signature in common"},
    {42, QUDAG_EAUTH, "TLS alert 42: peer's certificate is bad",
     "TLS alert 42: the peer refused our certificate"},
    {43, QUDAG_EPOLICY, "TLS alert 43: peer's certificate is of a kind our policy refuses",
     "TLS alert 43: the peer refuses certificates of our kind"},
    {45, QUDAG_EEXPIRED, "TLS alert 45: peer's certificate has expired",
     "TLS alert 45: the peer says our certificate is not valid now; check the clocks"},
    {46, QUDAG_EAUTH, "TLS alert 46: peer's certificate was refused",
     "TLS alert 46: the peer refused our certificate"},
    {48, QUDAG_EAUTH, "TLS alert 48: peer's certificate was refused",
     "TLS alert 48: the peer refused our certificate"},
    {47, QUDAG_EPROTO, "TLS alert 47: the peer sent an illegal parameter",
     "TLS alert 47: the peer says we sent an illegal parameter"},
    {50, QUDAG_EPROTO, "TLS alert 50: a handshake message could not be decoded",
     "TLS alert 50: the peer could not decode a handshake message"},
    {51, QUDAG_EAUTH, "TLS alert 51: a handshake signature is invalid",
     "TLS alert 51: the peer says our handshake signature is invalid"},
    {70, QUDAG_EUNSUPPORTED, "TLS alert 70: the peer does not speak TLS 1.3",
     "TLS alert 70: the peer does not speak TLS 1.3"},
    {71, QUDAG_EPOLICY, "TLS alert 71: peer's algorithms are too weak",
     "TLS alert 71: the peer considers our algorithms too weak"},
    {80, QUDAG_EINTERNAL, "TLS alert 80: internal error",
     "TLS alert 80: internal error of the peer"},
    {109, QUDAG_EPROTO, "TLS alert 109: missing extension", "TLS alert 109: missing extension"},
    {116, QUDAG_EAUTH, "TLS alert 116: the peer presented no certificate",
     "TLS alert 116: the peer requires a certificate"},
    {120, QUDAG_EUNSUPPORTED, "TLS alert 120: the peer does not speak libp2p",
     "TLS alert 120: the peer does not speak libp2p"},
};

qudag_err sec_hs_why(const struct sec_hs *hs, uint8_t alert, bool by_peer, const char **text)
{
    if (hs->err != QUDAG_OK) {
        *text = hs->err_text;
        return hs->err;
    }
    for (size_t i = 0; i < ARRAY_LEN(alert_table); i++) {
        if (alert_table[i].alert == alert) {
            *text = by_peer ? alert_table[i].theirs : alert_table[i].ours;
            return by_peer && alert_table[i].err == QUDAG_EINTERNAL ? QUDAG_EPROTO
                                                                    : alert_table[i].err;
        }
    }
    if (!by_peer && alert == 0) { /* whatever is the peer's fault is answered with an alert */
        *text = "the TLS handshake failed here";
        return QUDAG_EINTERNAL;
    }
    *text = by_peer ? "the peer sent a TLS alert" : "the TLS handshake failed";
    return QUDAG_EPROTO;
}
