/*
 * channel_bench.c - channels over memory: handshakes of each level beside the sum of their primitives, and the rate of
 * one channel beside bare TLS of OpenSSL.  One JSON object per line.
 *
 *   --times N    handshakes of each level (default 200)    --parts N    of 32 MB each way of sending (default 8)
 *   --level N    this one only
 *
 * Times are of the processor, by this thread's clock: other load of the machine lengthens them little.  Both sides
 * share their certificates with earlier channels, as a server of many does.
 */
#include "common.h"

#include "base/types.h"
#include "crypto/init.h"
#include "crypto/sign.h"
#include "io/io.h"
#include "sec/lib.h"

#include <openssl/core_names.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMES_MAX 5000
#define PARTS_MAX 64
#define PART_BYTES (32u << 20)
#define PIECE 16384

static double cpu_us(void)
{
    struct timespec ts;

    must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == 0, "clock");
    return 1e6 * (double)ts.tv_sec + 1e-3 * (double)ts.tv_nsec;
}

static double percentile(double *v, size_t n, size_t percent)
{
    qsort(v, n, sizeof *v, by_size);
    return v[n * percent / 100];
}

/* ------------------------------------------------------------------ channels */

struct side {
    qudag_identity *id;
    qudag_channel *like, *c;
    double us;   /* of the handshake under way */
    size_t sent; /* bytes */
    uint64_t got;
};

static void feed(struct side *s, const uint8_t *bytes, size_t len)
{
    qudag_slice in = {bytes, len}, plain;
    size_t used;

    do {
        must(qudag_channel_receive(s->c, in, &used, &plain) == QUDAG_OK, "receive");
        in = used > 0 ? (qudag_slice){in.base + used, in.len - used} : in;
        s->got += plain.len;
    } while (in.len > 0 || plain.len > 0);
}

/* Moves what |from| has; each side is charged for its part. */
static bool pass(struct side *from, struct side *to)
{
    qudag_slice out = qudag_channel_output(from->c);
    double t0 = cpu_us();

    if (out.len > 0) {
        feed(to, out.base, out.len);
        to->us += cpu_us() - t0;
        qudag_channel_output_sent(from->c, out.len);
        from->sent += out.len;
    }
    return out.len > 0;
}

static void begin(struct side *s, qudag_channel_role role, uint16_t level)
{
    qudag_channel_config cfg = QUDAG_INIT(qudag_channel_config);
    double t0;

    cfg.level = level;
    cfg.like = s->like;
    t0 = cpu_us();
    must(qudag_channel_new(&s->c, role, s->id, &cfg) == QUDAG_OK, "channel");
    s->us = cpu_us() - t0;
    s->sent = 0;
    s->got = 0;
}

static void handshake(struct side *a, struct side *b, uint16_t level)
{
    bool more = true;

    begin(a, QUDAG_CHANNEL_CLIENT, level);
    begin(b, QUDAG_CHANNEL_SERVER, level);
    while (more) {
        more = pass(a, b);
        more = pass(b, a) || more;
    }
    must(qudag_channel_get_state(a->c) == QUDAG_CHANNEL_READY &&
             qudag_channel_get_state(b->c) == QUDAG_CHANNEL_READY,
         "handshake");
}

static void end(struct side *s)
{
    qudag_channel_free(s->c);
    s->c = NULL;
}

/* ------------------------------------------------------------------ primitives */

/* What a handshake computes, once: the shares, two signatures, the verification of six. */
struct primitives {
    const char *group;
    struct secret_mldsa65 seed;
    struct mldsa_key *dsa;
    struct secret_ed25519 ed;
    uint8_t dsa_pk[MLDSA65_PK_LEN], dsa_sig[MLDSA65_SIG_LEN];
    uint8_t ed_pk[ED25519_PK_LEN], ed_sig[ED25519_SIG_LEN];
    uint8_t msg[130];
};

static struct slice message(const struct primitives *p)
{
    return (struct slice){p->msg, sizeof p->msg};
}

static void primitives_init(struct primitives *p)
{
    struct rng rng = io_rng();

    must(mldsa65_keygen(&p->dsa, p->dsa_pk, &p->seed, &rng) == QUDAG_OK, "ML-DSA");
    must(ed25519_keygen(&p->ed, p->ed_pk, &rng) == QUDAG_OK, "Ed25519");
    must(ed25519_sign(p->ed_sig, &p->ed, message(p)) == QUDAG_OK, "Ed25519");
}

/* Both shares and both secrets, as TLS asks the library for them. */
static void exchange(const char *group)
{
    static uint8_t share[2048], ct[2048], ss[2][128];
    size_t share_len = 0, ct_len = sizeof ct, a = sizeof ss[0], b = sizeof ss[1];
    EVP_PKEY *own = EVP_PKEY_Q_keygen(sec_lib(), NULL, group), *peer = EVP_PKEY_new();
    EVP_PKEY_CTX *c;

    must(own != NULL && EVP_PKEY_get_octet_string_param(own, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
                                                        share, sizeof share, &share_len) == 1,
         "key of the group");
    must(EVP_PKEY_copy_parameters(peer, own) == 1 &&
             EVP_PKEY_set1_encoded_public_key(peer, share, share_len) == 1,
         "share");
    c = EVP_PKEY_CTX_new_from_pkey(sec_lib(), peer, NULL);
    must(EVP_PKEY_encapsulate_init(c, NULL) == 1 &&
             EVP_PKEY_encapsulate(c, ct, &ct_len, ss[0], &a) == 1,
         "encapsulate");
    EVP_PKEY_CTX_free(c);
    c = EVP_PKEY_CTX_new_from_pkey(sec_lib(), own, NULL);
    must(EVP_PKEY_decapsulate_init(c, NULL) == 1 &&
             EVP_PKEY_decapsulate(c, ss[1], &b, ct, ct_len) == 1 && a == b &&
             memcmp(ss[0], ss[1], a) == 0,
         "decapsulate");
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
}

static double primitives_us(struct primitives *p)
{
    struct rng rng = io_rng();
    double t0 = cpu_us();

    exchange(p->group);
    for (int side = 0; side < 2; side++) {
        must(mldsa65_sign(p->dsa_sig, p->dsa, message(p), (struct slice){NULL, 0}, &rng) ==
                 QUDAG_OK,
             "sign");
        for (int i = 0; i < 2; i++) { /* the certificate, the handshake */
            must(mldsa65_verify(p->dsa_pk, p->dsa_sig, message(p), (struct slice){NULL, 0}) ==
                     QUDAG_OK,
                 "verify");
        }
        must(ed25519_verify(p->ed_pk, p->ed_sig, message(p)) == QUDAG_OK, "verify");
    }
    return cpu_us() - t0;
}

/* The transcript, as each side hashes it; of |len| bytes. */
static double transcript_us(size_t len)
{
    static uint8_t bytes[65536], md[64];
    double t0 = cpu_us();

    for (int side = 0; side < 2; side++) {
        must(EVP_Q_digest(sec_lib(), "SHA384", NULL, bytes, len, md, NULL) == 1, "hash");
    }
    return cpu_us() - t0;
}

static void level(struct side *a, struct side *b, struct primitives *p, uint16_t n, size_t times)
{
    static double us[2][TIMES_MAX], both[TIMES_MAX], sum[TIMES_MAX], hash[TIMES_MAX];
    size_t sent[2] = {0, 0};

    for (size_t i = 0; i < times + 5; i++) {
        handshake(a, b, n);
        size_t at = i < 5 ? 0 : i - 5; /* the first five warm up */
        us[0][at] = a->us;
        us[1][at] = b->us;
        both[at] = a->us + b->us;
        sent[0] = a->sent;
        sent[1] = b->sent;
        end(a);
        end(b);
        sum[at] = primitives_us(p);
        hash[at] = transcript_us(sent[0] + sent[1]);
    }
    double whole = median(both, times), parts = median(sum, times), hashed = median(hash, times);
    printf(
        "{\"bench\":\"channel_handshake\",\"level\":%u,\"group\":\"%s\",\"bytes_client\":%zu,"
        "\"bytes_server\":%zu,\"client_us_p50\":%.0f,\"client_us_p95\":%.0f,\"server_us_p50\":%.0f,"
        "\"server_us_p95\":%.0f,\"both_us_p50\":%.0f,\"both_us_p95\":%.0f,\"primitives_us\":%.0f,"
        "\"ratio\":%.2f,\"transcript_us\":%.0f,\"ratio_with_it\":%.2f}\n",
        n, p->group, sent[0], sent[1], median(us[0], times), percentile(us[0], times, 95),
        median(us[1], times), percentile(us[1], times, 95), whole, percentile(both, times, 95),
        parts, whole / parts, hashed, whole / (parts + hashed));
    fflush(stdout);
}

/* ------------------------------------------------------------------ rates */

static double channel_part(struct side *a, struct side *b)
{
    static uint8_t piece[PIECE];
    double t0 = cpu_us();

    b->got = 0;
    for (unsigned sent = 0; sent < PART_BYTES; sent += PIECE) {
        must(qudag_channel_send(a->c, (qudag_slice){piece, PIECE}) == QUDAG_OK, "send");
        qudag_slice out = qudag_channel_output(a->c);
        feed(b, out.base, out.len);
        qudag_channel_output_sent(a->c, out.len);
    }
    must(b->got == PART_BYTES, "all arrived");
    return cpu_us() - t0;
}

static int accept_all(X509_STORE_CTX *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 1;
}

/* Two bare TLS objects with queues in memory between them. */
static void bare_make(SSL **client, SSL **server)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(sec_lib(), NULL, TLS_method());
    EVP_PKEY *key = EVP_PKEY_Q_keygen(sec_lib(), NULL, "EC", "P-256");
    X509 *crt = X509_new_ex(sec_lib(), NULL);
    BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());

    must(X509_set_version(crt, X509_VERSION_3) == 1 && X509_set_pubkey(crt, key) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(crt), 0) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(crt), 3600) != NULL &&
             X509_sign(crt, key, EVP_sha256()) > 0 &&
             SSL_CTX_use_cert_and_key(ctx, crt, key, NULL, 1) == 1,
         "certificate");
    SSL_CTX_set_cert_verify_callback(ctx, accept_all, NULL);
    must(SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384") == 1, "cipher");
    SSL_CTX_set_num_tickets(ctx, 0);
    *client = SSL_new(ctx);
    *server = SSL_new(ctx);
    must(BIO_up_ref(up) == 1 && BIO_up_ref(down) == 1, "queue");
    SSL_set_bio(*client, down, up);
    SSL_set_bio(*server, up, down);
    SSL_set_connect_state(*client);
    SSL_set_accept_state(*server);
    for (int i = 0; i < 6; i++) {
        (void)SSL_do_handshake(*client);
        (void)SSL_do_handshake(*server);
    }
    must(SSL_is_init_finished(*client) && SSL_is_init_finished(*server), "bare handshake");
    SSL_CTX_free(ctx);
    EVP_PKEY_free(key);
    X509_free(crt);
}

static double bare_part(SSL *from, SSL *to)
{
    static uint8_t piece[PIECE];
    double t0 = cpu_us();

    for (unsigned sent = 0; sent < PART_BYTES; sent += PIECE) {
        must(SSL_write(from, piece, PIECE) == PIECE, "write");
        must(SSL_read(to, piece, PIECE) == PIECE, "read");
    }
    return cpu_us() - t0;
}

static void rates(struct side *a, struct side *b, size_t parts)
{
    static double ours[PARTS_MAX], theirs[PARTS_MAX];
    SSL *client, *server;

    handshake(a, b, 768);
    bare_make(&client, &server);
    (void)channel_part(a, b);
    (void)bare_part(client, server);
    for (size_t i = 0; i < parts; i++) {
        ours[i] = PART_BYTES / channel_part(a, b);
        theirs[i] = PART_BYTES / bare_part(client, server);
    }
    double x = median(ours, parts), y = median(theirs, parts);
    printf("{\"bench\":\"channel_rate\",\"mb_per_cpu_s\":%.0f,\"bare_mb_per_cpu_s\":%.0f,"
           "\"ratio\":%.2f}\n",
           x, y, x / y);
    SSL_free(client);
    SSL_free(server);
    end(a);
    end(b);
}

int main(int argc, char **argv)
{
    static const struct {
        uint16_t level;
        const char *group;
    } row[] = {{512, "X25519MLKEM512"}, {768, "X25519MLKEM768"}, {1024, "SecP384r1MLKEM1024"}};
    uint64_t times = option(argc, argv, "--times", 200), parts = option(argc, argv, "--parts", 8);
    uint64_t only = option(argc, argv, "--level", 0);
    static struct primitives p;
    struct side a = {0}, b = {0};

    must(crypto_init() == QUDAG_OK && times >= 1 && times <= TIMES_MAX - 5 && parts <= PARTS_MAX,
         "arguments");
    must(qudag_identity_generate(&a.id) == QUDAG_OK && qudag_identity_generate(&b.id) == QUDAG_OK,
         "identity");
    primitives_init(&p);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        if (only != 0 && only != row[i].level) {
            continue;
        }
        a.like = b.like = NULL;
        begin(&a, QUDAG_CHANNEL_CLIENT, row[i].level);
        begin(&b, QUDAG_CHANNEL_SERVER, row[i].level);
        a.like = a.c;
        b.like = b.c;
        p.group = row[i].group;
        level(&a, &b, &p, row[i].level, times);
        if (row[i].level == 768 && parts > 0) {
            rates(&a, &b, parts);
        }
        qudag_channel_free(a.like);
        qudag_channel_free(b.like);
    }
    mldsa65_free(p.dsa);
    qudag_identity_free(a.id);
    qudag_identity_free(b.id);
    return 0;
}
