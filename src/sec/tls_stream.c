/*
 * tls_stream.c - TLS 1.3 over one byte stream; see tls_stream.h.
 *
 *   HANDSHAKE ──▶ READY ──close_notify──▶ ENDED
 *       └──────────┴───────────────────────┴──▶ FAILED
 *
 * The TLS library reads from the bytes of the current call, as many as the record needs, and writes behind the output
 * that waits: nothing is kept between, but for a record that has not come whole, and buffers while there is much to do.
 */
#include "sec/tls_stream.h"

#include "base/limiter.h"
#include "sec/host_key.h"
#include "sec/sec_int.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <string.h>

#define OUTPUT_LEAST 512         /* bytes */
#define BUSY 4096                /* bytes at once from which on buffers are kept for more */
#define KEPT_MAX (48 * 1024)     /* of output, at most */
#define SHRINK_NS (5 * NS_PER_S) /* after the handshake, which it would lengthen */
#define OVERHEAD_MAX (64 * 1024) /* bytes of a peer in a row without data */
#define KEY_UPDATES_MAX 32       /* of a peer, each with an answer of ours, while output waits */
#define KEY_UPDATES_RATE 1       /* of a peer in a second, for ever: two HKDFs each, and a record */
#define REKEY_RETRY_NS (10 * NS_PER_S) /* the last update is not on its way yet */
#define NO_ALERT 0xffff
#define UNEXPECTED_MESSAGE 10 /* RFC 8446 6 */

/* Bytes to be sent: those from |at| to |len|. */
struct output {
    uint8_t *p;
    size_t at, len, cap, last; /* last: how many came at once */
};

struct tls_stream {
    struct mem *mem;
    struct sec_hs hs;
    bool server;
    bool confirm;
    bool done; /* the handshake is, for us */
    bool
        confirmed; /* the peer has sent a KeyUpdate, for which it needs the keys that follow the handshake */
    bool closed; /* our direction, by us */
    bool no_mem; /* where the library cannot say so */
    enum tls_stream_state state;
    struct slice in; /* what is left of the bytes of this call */
    struct output out;
    uint8_t *plain; /* TLS_STREAM_PLAIN_MAX bytes, while there are some to hand out, or many came */
    size_t plain_last; /* how many were handed out last */
    uint8_t *lent;     /* in tls_stream_receive_to(), tls_stream_send_to(): the caller's, instead */
    size_t lent_cap, lent_len;
    size_t handshake_in;        /* bytes of the peer */
    size_t overhead_in;         /* since data came last */
    unsigned updates;           /* KeyUpdates of the peer since there was no output */
    struct limiter update_rate; /* the same, whatever we send */
    bool updates_over;          /* there were more */
    uint64_t records;           /* of data, both ways, under these keys */
    tstamp rekey_at;
    tstamp shrink_at; /* TSTAMP_NEVER: done, or not yet */
    uint16_t alert;   /* NO_ALERT: there was none */
    bool alert_by_peer;
    qudag_err err;        /* FAILED: why */
    const char *err_text; /* static */
    char *protos;         /* as sec_hs.protos; owned */
};

/* ------------------------------------------------------------------ output */

/* Room for |more| bytes behind those there are: by moving them to the front while they are few, or by growing. */
static bool output_room(struct tls_stream *t, size_t more)
{
    struct output *o = &t->out;
    size_t left = o->len - o->at, cap = o->cap < OUTPUT_LEAST ? OUTPUT_LEAST : o->cap;
    uint8_t *p;

    if (o->cap - o->len >= more) {
        return true;
    }
    if (o->at > 0 && left <= o->cap / 2 && o->cap - left >= more) {
        memmove(o->p, o->p + o->at, left);
        o->at = 0;
        o->len = left;
        return true;
    }
    while (cap - o->len < more) {
        cap *= 2;
    }
    p = mem_resize(t->mem, o->p, cap);
    if (p == NULL) {
        return false;
    }
    o->p = p;
    o->cap = cap;
    return true;
}

static bool output_append(struct tls_stream *t, const void *src, size_t len)
{
    if (!output_room(t, len)) {
        return false;
    }
    memcpy(t->out.p + t->out.len, src, len);
    t->out.len += len;
    t->out.last = len;
    return true;
}

/* Once nothing waits, the memory goes back, unless much was sent and more may follow. */
static void output_drop(struct tls_stream *t, size_t n)
{
    struct output *o = &t->out;

    o->at += n < o->len - o->at ? n : o->len - o->at;
    if (o->at < o->len) {
        return;
    }
    o->at = o->len = 0;
    if (o->last < BUSY || o->cap > KEPT_MAX) {
        mem_free(t->mem, o->p);
        *o = (struct output){.p = NULL};
    }
}

/* ------------------------------------------------------------------ how the library reads and writes */

static int bio_read(BIO *b, char *dst, size_t cap, size_t *n)
{
    struct tls_stream *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    *n = cap < t->in.len ? cap : t->in.len;
    if (*n == 0) {
        BIO_set_retry_read(b);
        return 0;
    }
    memcpy(dst, t->in.base, *n);
    t->in = slice_rest(t->in, *n);
    return 1;
}

static int bio_write(BIO *b, const char *src, size_t len, size_t *n)
{
    struct tls_stream *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (t->lent != NULL && t->out.at == t->out.len && len <= t->lent_cap - t->lent_len) {
        memcpy(t->lent + t->lent_len, src, len);
        t->lent_len += len;
        *n = len;
        return 1;
    }
    if (!output_append(t, src, len)) {
        t->no_mem = true;
        return 0;
    }
    *n = len;
    return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *sec_stream_bio_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "byte stream");

    if (m == NULL || BIO_meth_set_read_ex(m, bio_read) != 1 ||
        BIO_meth_set_write_ex(m, bio_write) != 1 || BIO_meth_set_ctrl(m, bio_ctrl) != 1) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

/* ------------------------------------------------------------------ keys that have been used enough */

bool tls_stream_rule_rekey(uint64_t records, tstamp at, tstamp now)
{
    return records >= TLS_STREAM_REKEY_RECORDS || now >= at;
}

/* As on other links, the client asks first. */
static void set_rekey(struct tls_stream *t)
{
    uint64_t life = t->server ? TLS_STREAM_REKEY_NS / 4 * 5 : TLS_STREAM_REKEY_NS;

    t->records = 0;
    t->rekey_at = tstamp_after(t->hs.now, rng_jitter(t->hs.sec->rng, life, 100));
}

/* Asks for new keys in both directions where they are due; true: the library has something to write. */
static bool rekey(struct tls_stream *t)
{
    if (t->closed || !tls_stream_rule_rekey(t->records, t->rekey_at, t->hs.now)) {
        return false;
    }
    if (SSL_key_update(t->hs.ssl, SSL_KEY_UPDATE_REQUESTED) != 1) {
        t->records = 0;
        t->rekey_at = tstamp_after(t->hs.now, REKEY_RETRY_NS);
        ERR_clear_error();
        return false;
    }
    set_rekey(t);
    return true;
}

/* RFC 8446 4.6.3 and 6: a KeyUpdate of the peer, which may ask for ours, and alerts of both sides. */
static void on_message(int write, int version, int type, const void *buf, size_t len, SSL *ssl,
                       void *arg)
{
    struct tls_stream *t = arg;
    const uint8_t *b = buf;

    (void)version;
    (void)ssl;
    if (type == SSL3_RT_ALERT && len == 2 && t->alert == NO_ALERT && b[1] != SSL3_AD_CLOSE_NOTIFY) {
        t->alert = b[1];
        t->alert_by_peer = write == 0;
    }
    if (type == SSL3_RT_HANDSHAKE && write == 0 && len == 5 && b[0] == SSL3_MT_KEY_UPDATE) {
        t->confirmed = true;
        t->updates++;
        t->updates_over = t->updates_over || !limiter_take(&t->update_rate, 1, t->hs.now);
        if (b[4] == SSL_KEY_UPDATE_REQUESTED) {
            set_rekey(t);
        }
    }
}

/* ------------------------------------------------------------------ making and freeing */

/* The names, one behind another, and in the form of TLS. */
static qudag_err set_protos(struct tls_stream *t, const struct tls_stream_config *cfg)
{
    uint8_t wire[TLS_STREAM_PROTOS_MAX * (1 + TLS_STREAM_PROTO_LEN_MAX)];
    size_t len = 0, n = 0;

    for (; cfg->protos[n] != NULL; n++) {
        size_t one = strlen(cfg->protos[n]);

        ASSERT(n < TLS_STREAM_PROTOS_MAX && one > 0 && one <= TLS_STREAM_PROTO_LEN_MAX);
        wire[len] = (uint8_t)one;
        memcpy(wire + len + 1, cfg->protos[n], one);
        len += 1 + one;
    }
    t->protos = mem_alloc(t->mem, len + 1);
    if (t->protos == NULL || SSL_set_alpn_protos(t->hs.ssl, wire, (unsigned int)len) != 0) {
        return QUDAG_ENOMEM;
    }
    /* Each length becomes the NUL of the name before it; the last NUL is there. */
    memcpy(t->protos, wire + 1, len - 1);
    for (size_t i = wire[0]; i + 1 < len; i += 1 + (size_t)wire[i + 1]) {
        t->protos[i] = '\0';
    }
    t->hs.protos = t->protos;
    t->hs.proto_optional = !cfg->proto_needed;
    return QUDAG_OK;
}

static qudag_err set_bio(struct tls_stream *t)
{
    BIO *b = BIO_new_ex(NULL, t->hs.sec->bio);

    if (b == NULL) {
        return QUDAG_ENOMEM;
    }
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    SSL_set_bio(t->hs.ssl, b, b); /* takes it */
    return QUDAG_OK;
}

qudag_err tls_stream_new(struct tls_stream **out, const struct tls_stream_config *cfg, tstamp now)
{
    struct tls_stream *t = mem_alloc(cfg->mem, sizeof *t);
    qudag_err err;

    if (t == NULL) {
        return QUDAG_ENOMEM;
    }
    t->mem = cfg->mem;
    t->server = cfg->server;
    t->confirm = cfg->confirm;
    t->alert = NO_ALERT;
    err = sec_hs_start(&t->hs, cfg->sec, cfg->server, cfg->expect);
    if (err != QUDAG_OK) {
        mem_free(t->mem, t);
        return err;
    }
    t->hs.now = now;
    t->rekey_at = t->shrink_at = TSTAMP_NEVER;
    err = set_bio(t);
    if (err == QUDAG_OK) {
        err = set_protos(t, cfg);
    }
    if (err != QUDAG_OK) {
        ERR_clear_error();
        tls_stream_free(t);
        return err;
    }
    limiter_init(&t->update_rate, KEY_UPDATES_RATE, KEY_UPDATES_MAX, now);
    SSL_set_mode(t->hs.ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_set_msg_callback(t->hs.ssl, on_message);
    SSL_set_msg_callback_arg(t->hs.ssl, t);
    *out = t;
    return QUDAG_OK;
}

void tls_stream_free(struct tls_stream *t)
{
    if (t == NULL) {
        return;
    }
    sec_hs_stop(&t->hs);
    mem_free(t->mem, t->out.p);
    mem_free_wiped(t->mem, t->plain);
    mem_free(t->mem, t->protos);
    mem_free_wiped(t->mem, t);
}

/* ------------------------------------------------------------------ failing */

static qudag_err fail_with(struct tls_stream *t, qudag_err err, const char *text)
{
    t->state = TLS_STREAM_FAILED;
    t->err = err;
    t->err_text = text;
    return err;
}

/* What the library has refused. */
static qudag_err fail(struct tls_stream *t)
{
    const char *text = NULL;
    qudag_err err;

    if (sec_cause(QUDAG_EPROTO) == QUDAG_ENOMEM || t->no_mem) {
        return fail_with(t, QUDAG_ENOMEM, "out of memory");
    }
    /* What is no TLS at all is not answered with an alert; what fails here is. */
    err = sec_hs_why(&t->hs, (uint8_t)(t->alert == NO_ALERT ? UNEXPECTED_MESSAGE : t->alert),
                     t->alert_by_peer, &text);
    return fail_with(t, err, text);
}

/* ------------------------------------------------------------------ the handshake */

/*
 * The library keeps the peer's certificate, and its key in three forms, as long as it lives.  What was to be verified
 * with it is verified: its largest parts, 15 KB, go as soon as the session is no short one, since that takes time, too.
 * Should it fail, they stay.
 */
static void shrink_certificate(struct tls_stream *t)
{
    X509 *crt = SSL_get0_peer_certificate(t->hs.ssl);

    t->shrink_at = TSTAMP_NEVER;
    if (crt != NULL) {
        (void)X509_set_pubkey(crt, t->hs.sec->small);
        while (X509_get_ext_count(crt) > 0) {
            X509_EXTENSION_free(X509_delete_ext(crt, 0));
        }
        ERR_clear_error();
    }
}

static void proven(struct tls_stream *t)
{
    t->done = true;
    set_rekey(t);
    t->shrink_at = tstamp_after(t->hs.now, SHRINK_NS);
    /* No certificate is asked for any more: out of the list that the answers are looked up in. */
    list_del(&t->hs.link);
    list_push_back(&t->hs.sec->streams, &t->hs.link);
    mem_free(t->hs.sec->mem, t->hs.known);
    t->hs.known = NULL;
}

static void ready(struct tls_stream *t)
{
    t->state = TLS_STREAM_READY;
    if (t->closed) {
        t->closed = false;
        tls_stream_close(t);
    }
}

static qudag_err handshake(struct tls_stream *t)
{
    int ret;

    ERR_clear_error();
    ret = SSL_do_handshake(t->hs.ssl);
    if (ret != 1) {
        return SSL_get_error(t->hs.ssl, ret) == SSL_ERROR_WANT_READ ? QUDAG_OK : fail(t);
    }
    proven(t);
    if (t->confirm && !t->server) {
        return QUDAG_OK;
    }
    if (t->confirm && (SSL_key_update(t->hs.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
                       SSL_do_handshake(t->hs.ssl) != 1)) {
        return fail(t);
    }
    ready(t);
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ data */

/* As ERR_clear_error(), which writes all of the queue even where it is empty. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

/* Where plain bytes go; NULL without memory. */
static uint8_t *plain_room(struct tls_stream *t, size_t *cap)
{
    uint8_t *lent = t->lent;

    t->lent = NULL; /* what is written meanwhile goes to the output */
    *cap = lent != NULL ? t->lent_cap : TLS_STREAM_PLAIN_MAX;
    if (lent != NULL) {
        return lent;
    }
    if (t->plain == NULL) {
        t->plain = mem_alloc(t->mem, TLS_STREAM_PLAIN_MAX);
    }
    return t->plain;
}

static qudag_err read_plain(struct tls_stream *t, struct slice *plain)
{
    size_t n = 0, cap;
    uint8_t *dst = plain_room(t, &cap);
    int ret;

    if (dst == NULL) {
        return fail_with(t, QUDAG_ENOMEM, "out of memory");
    }
    forget_errors();
    ret = SSL_read_ex(t->hs.ssl, dst, cap, &n);
    if (ret == 1) {
        *plain = (struct slice){dst, n};
        t->plain_last = dst == t->plain ? n : t->plain_last;
        t->records++;
        return QUDAG_OK;
    }
    if (t->plain_last < BUSY) {
        mem_free(t->mem, t->plain);
        t->plain = NULL;
    }
    switch (SSL_get_error(t->hs.ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return QUDAG_OK;
    case SSL_ERROR_ZERO_RETURN:
        t->state = TLS_STREAM_ENDED;
        return QUDAG_OK;
    default:
        return fail(t);
    }
}

/* New keys, where they are due and nothing is sent that would take the wish along. */
static qudag_err rekey_alone(struct tls_stream *t)
{
    if (rekey(t) && SSL_do_handshake(t->hs.ssl) != 1) {
        return fail(t);
    }
    return QUDAG_OK;
}

static qudag_err receive_ready(struct tls_stream *t, struct slice *plain)
{
    size_t before = t->in.len;
    qudag_err err;

    t->updates = tls_stream_output_len(t) == 0 ? 0 : t->updates;
    if (t->hs.now >= t->shrink_at) {
        shrink_certificate(t);
    }
    err = read_plain(t, plain);
    t->overhead_in = plain->len > 0 ? 0 : t->overhead_in + before - t->in.len;
    if (err == QUDAG_OK && t->overhead_in > OVERHEAD_MAX) {
        err = fail_with(t, QUDAG_ELIMIT, "the peer sends records without data");
    }
    if (err == QUDAG_OK && (t->updates > KEY_UPDATES_MAX || t->updates_over)) {
        err = fail_with(t, QUDAG_ELIMIT, "the peer changes its keys without end");
    }
    return err == QUDAG_OK ? rekey_alone(t) : err;
}

/* The handshake is over for us, and the server has still to say that it is for it. */
static qudag_err receive_confirm(struct tls_stream *t, struct slice *plain)
{
    qudag_err err = read_plain(t, plain);

    if (err != QUDAG_OK) {
        return err;
    }
    if (t->confirmed) {
        enum tls_stream_state state = t->state; /* also ENDED */
        ready(t);
        t->state = state == TLS_STREAM_ENDED ? state : t->state;
        return QUDAG_OK;
    }
    if (plain->len > 0 || t->state == TLS_STREAM_ENDED) {
        *plain = (struct slice){NULL, 0};
        return fail_with(t, QUDAG_EPROTO, "the server has not said that it accepts us");
    }
    return QUDAG_OK;
}

static qudag_err receive_handshake(struct tls_stream *t, struct slice *plain)
{
    size_t before, room = TLS_STREAM_HANDSHAKE_MAX - t->handshake_in;
    size_t kept = t->in.len > room ? t->in.len - room : 0;
    qudag_err err;

    t->in.len -= kept;
    before = t->in.len;
    err = t->done ? QUDAG_OK : handshake(t);
    if (err == QUDAG_OK && t->done && t->state == TLS_STREAM_HANDSHAKE) {
        err = receive_confirm(t, plain);
    }
    t->handshake_in += before - t->in.len;
    t->in.len += kept;
    if (err == QUDAG_OK && t->state == TLS_STREAM_HANDSHAKE &&
        t->handshake_in == TLS_STREAM_HANDSHAKE_MAX) {
        err = fail_with(t, QUDAG_ELIMIT, "the peer's handshake is too long");
    }
    return err;
}

qudag_err tls_stream_receive(struct tls_stream *t, struct slice in, size_t *used,
                             struct slice *plain, tstamp now)
{
    qudag_err err = QUDAG_OK;

    *used = 0;
    *plain = (struct slice){NULL, 0};
    if (t->state == TLS_STREAM_FAILED) {
        return t->err;
    }
    t->hs.now = now;
    t->in = in;
    if (t->state == TLS_STREAM_HANDSHAKE) {
        err = receive_handshake(t, plain);
    }
    if (err == QUDAG_OK && t->state == TLS_STREAM_READY && plain->len == 0) {
        err = receive_ready(t, plain);
    }
    /* RFC 8446 6.1: what comes behind a close_notify is ignored. */
    *used = t->state == TLS_STREAM_ENDED ? in.len : in.len - t->in.len;
    t->in = (struct slice){NULL, 0};
    return err;
}

qudag_err tls_stream_send(struct tls_stream *t, struct slice plain, tstamp now)
{
    size_t n = 0;

    if (t->closed || (t->state != TLS_STREAM_READY && t->state != TLS_STREAM_ENDED)) {
        return QUDAG_ESTATE;
    }
    if (plain.len == 0) {
        return QUDAG_OK;
    }
    t->hs.now = now;
    forget_errors();
    (void)rekey(t); /* goes before the data */
    if (SSL_write_ex(t->hs.ssl, plain.base, plain.len, &n) != 1 || n != plain.len) {
        return fail(t);
    }
    t->records += (plain.len + TLS_STREAM_PLAIN_MAX - 1) / TLS_STREAM_PLAIN_MAX;
    return QUDAG_OK;
}

qudag_err tls_stream_receive_to(struct tls_stream *t, struct slice in, size_t *used,
                                struct tls_stream_room dst, size_t *len, tstamp now)
{
    struct slice plain;

    ASSERT(dst.cap > 0 && t->state != TLS_STREAM_HANDSHAKE);
    t->lent = dst.base;
    t->lent_cap = dst.cap;
    qudag_err err = tls_stream_receive(t, in, used, &plain, now);
    t->lent = NULL;
    *len = plain.len;
    return err;
}

qudag_err tls_stream_send_to(struct tls_stream *t, struct slice plain, struct tls_stream_room dst,
                             size_t *len, tstamp now)
{
    t->lent = dst.base;
    t->lent_cap = dst.cap;
    t->lent_len = 0;
    qudag_err err = tls_stream_send(t, plain, now);
    t->lent = NULL;
    *len = t->lent_len;
    return err;
}

void tls_stream_close(struct tls_stream *t)
{
    bool now = !t->closed && (t->state == TLS_STREAM_READY || t->state == TLS_STREAM_ENDED);

    t->closed = true;
    if (now) {
        ERR_clear_error();
        if (SSL_shutdown(t->hs.ssl) < 0 && t->no_mem) {
            (void)fail(t);
        }
        ERR_clear_error();
    }
}

/* ------------------------------------------------------------------ what there is to know */

enum tls_stream_state tls_stream_state(const struct tls_stream *t)
{
    return t->state;
}

struct slice tls_stream_output(const struct tls_stream *t)
{
    const struct output *o = &t->out;

    return (struct slice){o->p == NULL ? NULL : o->p + o->at, o->len - o->at};
}

size_t tls_stream_output_len(const struct tls_stream *t)
{
    return t->out.len - t->out.at;
}

void tls_stream_output_sent(struct tls_stream *t, size_t n)
{
    output_drop(t, n);
}

const char *tls_stream_proto(const struct tls_stream *t)
{
    return sec_hs_proto(&t->hs);
}

void tls_stream_report(const struct tls_stream *t, struct link_info *out)
{
    sec_hs_report(&t->hs, out);
}

qudag_err tls_stream_why(const struct tls_stream *t, const char **text,
                         const struct peer_id **found)
{
    *text = t->err_text;
    *found = t->hs.other_peer ? &t->hs.peer.id : NULL;
    return t->err;
}
