/*
 * link_bench.c - our QUIC links over real loopback sockets, against what the parts cost.
 *
 *   handshakes   per second, and CPU of each side; limit: the summed cost of its bare primitives
 *   bulk         one stream, MB/s; limit: bare ngtcp2 (rawquic.c) with the same cipher, same run
 *   memory       resident bytes of an idle connection's end
 *   dial         first and second dial of one server, in virtual time; limit: the round trips that
 *                QUIC needs at least
 *
 *   --parts N    sum of 1 memory, 2 dial, 4 handshakes, 8 bulk, 16 handshakes of the default level only
 *   --times N    handshakes of each kind; default 200
 *
 * The server has a thread of its own; both sides are the code the node runs.
 */
#include "rawquic.h"
#include "udp_kit.h"

#include "quic/quic.h"
#include "quic/testkit_net.h"
#include "sec/lib.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define OPS quic_link_ops
#define IN_FLIGHT 8
#define CHUNK 65536
#define BACKLOG (UINT64_C(1) << 20)
#define BULK (UINT64_C(256) << 20)

struct side {
    int fd;
    struct netaddr addr;
    struct mem mem;
    struct rng rng;
    struct identity id;
    struct sec *sec;
    struct quic *q;
    atomic_bool stop;
    _Atomic uint64_t ups, downs, received, cpu;
    tstamp first, last; /* of received bytes */
    /* client only */
    uint64_t want_ups, dialled;
    bool close_at_up;
    struct ref link;
    int64_t sid;
    uint64_t total, written, sent;
};

static uint8_t payload[CHUNK];

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "link_bench: %s\n", what);
        exit(1);
    }
}

static void fill(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(dst, len < 256 ? len : 256, 0);

        must(n > 0, "getrandom");
        dst += n;
        len -= (size_t)n;
    }
}

static void side_make(struct side *s, enum pq_policy pq, uint16_t level, enum sec_cipher cipher,
                      const struct quic_config *base)
{
    struct quic_config qc = *base;
    struct sec_config sc;

    memset(s, 0, sizeof *s);
    mem_init(&s->mem, NULL, 0);
    s->rng = (struct rng){fill, NULL};
    s->fd = udp_kit_open(&s->addr);
    must(identity_generate(&s->id, &s->rng) == QUDAG_OK, "identity");
    sc = (struct sec_config){.mem = &s->mem,
                             .rng = &s->rng,
                             .identity = &s->id,
                             .pq = pq,
                             .level = level,
                             .cipher = cipher,
                             .clock = {(walltime)time(NULL), udp_kit_now()}};
    must(sec_new(&s->sec, &sc) == QUDAG_OK, "sec");
    qc.mem = &s->mem;
    qc.rng = s->rng;
    qc.sec = s->sec;
    qc.pq = pq;
    qc.conns_max = 4096;
    qc.half_open_max = 512;
    qc.retry_above = 512;
    qc.per_ip_half_open = 512;
    must(quic_new(&s->q, &qc, udp_kit_now()) == QUDAG_OK, "quic");
}

static void side_drop(struct side *s)
{
    quic_free(s->q);
    sec_free(s->sec);
    identity_fini(&s->id);
    must(s->mem.used == 0, "memory left");
    must(close(s->fd) == 0, "close");
}

static void take(void *ctx, const struct netaddr *from, struct slice data)
{
    struct side *s = ctx;
    struct quic_dgram d = {.local = s->addr, .remote = *from, .data = data};

    quic_recv(s->q, &d, udp_kit_now());
}

static void feed(struct side *s)
{
    while (s->total > 0 && s->written < s->total && s->written - s->sent < BACKLOG) {
        uint64_t left = s->total - s->written;
        size_t n = left < CHUNK ? (size_t)left : CHUNK;

        must(OPS.write(s->q, s->link, s->sid, (struct slice){payload, n}) == QUDAG_OK, "write");
        s->written += n;
        if (s->written == s->total) {
            OPS.fin(s->q, s->link, s->sid);
        }
    }
}

static void event(struct side *s, const struct link_ev *ev)
{
    switch (ev->type) {
    case LINK_UP:
        s->ups++;
        s->link = ev->link;
        if (s->close_at_up) {
            OPS.close(s->q, ev->link, QUDAG_OK);
        }
        break;
    case LINK_DOWN:
        s->downs++;
        break;
    case LINK_DATA:
        s->last = udp_kit_now();
        if (s->received == 0) {
            s->first = s->last;
            s->cpu = udp_kit_cpu_ns();
        }
        s->received += ev->data.len;
        OPS.consume(s->q, ev->link, ev->sid, ev->data.len);
        break;
    case LINK_SENT:
        s->sent += ev->n;
        feed(s);
        break;
    default:
        break;
    }
}

static void turn(struct side *s)
{
    static _Thread_local uint8_t buf[QUIC_TX_MAX];
    struct quic_tx tx = {.buf = buf};
    struct link_ev ev;
    tstamp now, at;

    if (udp_kit_recv(s->fd, s, take) == 0) {
        now = udp_kit_now();
        at = quic_deadline(s->q);
        if (at > now) {
            udp_kit_wait(s->fd, at - now < 5 * NS_PER_MS ? at - now : 5 * NS_PER_MS);
        }
    }
    quic_tick(s->q, udp_kit_now());
    while (quic_next_event(s->q, &ev)) {
        event(s, &ev);
    }
    while (quic_send(s->q, udp_kit_now(), &tx)) {
        udp_kit_send(s->fd, &tx.remote, tx.buf, tx.len, tx.segment);
        while (quic_next_event(s->q, &ev)) {
            event(s, &ev);
        }
    }
}

static void *serve(void *arg)
{
    struct side *s = arg;

    while (!s->stop) {
        turn(s);
    }
    s->cpu = udp_kit_cpu_ns() - s->cpu;
    return NULL;
}

/* ---- what the primitives cost */

typedef void (*op_fn)(void *ctx);

static double time_us(op_fn fn, void *ctx, int n)
{
    double best = 1e18, sum = 0;

    /* Signing time varies by rejection: its mean over many is the honest figure, so no minimum. */
    for (int i = 0; i < 5; i++) {
        uint64_t t = udp_kit_cpu_ns();

        for (int k = 0; k < n; k++) {
            fn(ctx);
        }
        sum = (double)(udp_kit_cpu_ns() - t) / 1e3 / n;
        best = sum < best ? sum : best;
    }
    return best;
}

struct prim {
    const char *alg;
    EVP_PKEY *key, *peer;
    uint8_t msg[130], sig[4096], ct[2048], ss[128];
    size_t sig_len, ct_len;
};

static void do_keygen(void *ctx)
{
    struct prim *p = ctx;

    EVP_PKEY_free(strcmp(p->alg, "EC") == 0 ? EVP_PKEY_Q_keygen(sec_lib(), NULL, "EC", "P-256")
                                            : EVP_PKEY_Q_keygen(sec_lib(), NULL, p->alg));
}

static void do_encaps(void *ctx)
{
    struct prim *p = ctx;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(sec_lib(), p->key, NULL);
    size_t ss_len = sizeof p->ss;

    p->ct_len = sizeof p->ct;
    must(EVP_PKEY_encapsulate_init(c, NULL) == 1 &&
             EVP_PKEY_encapsulate(c, p->ct, &p->ct_len, p->ss, &ss_len) == 1,
         "encaps");
    EVP_PKEY_CTX_free(c);
}

static void do_decaps(void *ctx)
{
    struct prim *p = ctx;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(sec_lib(), p->key, NULL);
    size_t ss_len = sizeof p->ss;

    must(EVP_PKEY_decapsulate_init(c, NULL) == 1 &&
             EVP_PKEY_decapsulate(c, p->ss, &ss_len, p->ct, p->ct_len) == 1,
         "decaps");
    EVP_PKEY_CTX_free(c);
}

static void do_derive(void *ctx)
{
    struct prim *p = ctx;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(sec_lib(), p->key, NULL);
    size_t ss_len = sizeof p->ss;

    must(EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, p->peer) == 1 &&
             EVP_PKEY_derive(c, p->ss, &ss_len) == 1,
         "derive");
    EVP_PKEY_CTX_free(c);
}

static const char *md_of(const struct prim *p)
{
    return strcmp(p->alg, "EC") == 0 ? "SHA256" : NULL;
}

static void do_sign(void *ctx)
{
    struct prim *p = ctx;
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    p->sig_len = sizeof p->sig;
    must(EVP_DigestSignInit_ex(c, NULL, md_of(p), sec_lib(), NULL, p->key, NULL) == 1 &&
             EVP_DigestSign(c, p->sig, &p->sig_len, p->msg, sizeof p->msg) == 1,
         "sign");
    EVP_MD_CTX_free(c);
}

static void do_verify(void *ctx)
{
    struct prim *p = ctx;
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    must(EVP_DigestVerifyInit_ex(c, NULL, md_of(p), sec_lib(), NULL, p->key, NULL) == 1 &&
             EVP_DigestVerify(c, p->sig, p->sig_len, p->msg, sizeof p->msg) == 1,
         "verify");
    EVP_MD_CTX_free(c);
}

struct costs {
    double client, server;
};

static EVP_PKEY *keygen(const char *alg)
{
    EVP_PKEY *key = strcmp(alg, "EC") == 0 ? EVP_PKEY_Q_keygen(sec_lib(), NULL, "EC", "P-256")
                                           : EVP_PKEY_Q_keygen(sec_lib(), NULL, alg);

    must(key != NULL, alg);
    return key;
}

/* Key exchange, own CertificateVerify, and three verifications of the peer on each side. */
static struct costs primitives(const char *kex, const char *cert)
{
    struct prim k = {.alg = kex, .key = keygen(kex), .peer = keygen(kex)};
    struct prim c = {.alg = cert, .key = keygen(cert)};
    struct prim ed = {.alg = "ED25519", .key = keygen("ED25519")};
    double sign, verify, both;
    struct costs out;

    sign = time_us(do_sign, &c, strcmp(cert, "EC") == 0 ? 200 : 100);
    verify = time_us(do_verify, &c, 50);
    do_sign(&ed);
    both = sign + 2 * verify + time_us(do_verify, &ed, 50);
    if (strcmp(kex, "X25519") == 0) {
        out.client = time_us(do_keygen, &k, 50) + time_us(do_derive, &k, 50);
        out.server = out.client;
    } else {
        out.server = time_us(do_encaps, &k, 50);
        out.client = time_us(do_keygen, &k, 50) + time_us(do_decaps, &k, 50);
    }
    out.client += both;
    out.server += both;
    EVP_PKEY_free(k.key);
    EVP_PKEY_free(k.peer);
    EVP_PKEY_free(c.key);
    EVP_PKEY_free(ed.key);
    return out;
}

static void row(const char *name, const char *impl, double value, const char *unit, double limit,
                double ratio)
{
    (void)printf("{\"bench\":\"link\",\"name\":\"%s\",\"impl\":\"%s\",\"value\":%.2f,\"unit\":"
                 "\"%s\"",
                 name, impl, value, unit);
    if (limit > 0) {
        (void)printf(",\"limit\":%.2f,\"ratio\":%.3f", limit, ratio);
    }
    (void)printf("}\n");
    must(fflush(stdout) == 0, "stdout");
}

static void dial_some(struct side *c, const struct side *s)
{
    while (c->dialled < c->want_ups && c->dialled - c->ups < IN_FLIGHT) {
        struct quic_dial d = {.remote = s->addr};
        struct ref link;

        must(quic_dial(c->q, &d, udp_kit_now(), &link) == QUDAG_OK, "dial");
        c->dialled++;
    }
}

static void bench_handshakes(enum pq_policy pq, uint16_t level, const char *kex, const char *cert,
                             unsigned n)
{
    static struct side server, client;
    const struct quic_config cfg = {0};
    struct costs limit = primitives(kex, cert);
    uint64_t cpu;
    double seconds, us_c, us_s;
    pthread_t thread;
    char impl[64];
    tstamp t;

    side_make(&server, pq, level, SEC_CIPHER_AUTO, &cfg);
    side_make(&client, pq, level, SEC_CIPHER_AUTO, &cfg);
    client.want_ups = n;
    client.close_at_up = true;
    must(pthread_create(&thread, NULL, serve, &server) == 0, "thread");
    t = udp_kit_now();
    cpu = udp_kit_cpu_ns();
    while (client.ups < n) {
        dial_some(&client, &server);
        turn(&client);
        must(client.downs == client.ups || client.downs < client.ups + 1, "a handshake failed");
        must(udp_kit_now() - t < 20 * NS_PER_S, "handshakes take too long");
    }
    seconds = (double)(udp_kit_now() - t) / 1e9;
    us_c = (double)(udp_kit_cpu_ns() - cpu) / 1e3 / n;
    server.stop = true;
    must(pthread_join(thread, NULL) == 0, "join");
    must(server.ups == n, "links of the server");
    us_s = (double)server.cpu / 1e3 / n;
    (void)snprintf(impl, sizeof impl, "%s, %s", kex, strcmp(cert, "EC") == 0 ? "P-256" : cert);
    row("handshakes", impl, n / seconds, "ops/s",
        1e6 / (limit.client > limit.server ? limit.client : limit.server),
        n / seconds / (1e6 / (limit.client > limit.server ? limit.client : limit.server)));
    row("handshake cpu client", impl, us_c, "us", limit.client, limit.client / us_c);
    row("handshake cpu server", impl, us_s, "us", limit.server, limit.server / us_s);
    side_drop(&client);
    side_drop(&server);
}

static void bench_bulk(const char *impl, enum sec_cipher cipher, const struct quic_config *cfg,
                       const struct rawquic_result *raw)
{
    static struct side server, client;
    pthread_t thread;
    uint64_t cpu;
    double mb, cpu_gb;
    tstamp begin;

    side_make(&server, PQ_REQUIRE, 768, cipher, cfg);
    side_make(&client, PQ_REQUIRE, 768, cipher, cfg);
    client.want_ups = 1;
    must(pthread_create(&thread, NULL, serve, &server) == 0, "thread");
    while (client.ups < 1) {
        dial_some(&client, &server);
        turn(&client);
    }
    must(OPS.open(client.q, client.link, 1, NULL, &client.sid) == QUDAG_OK, "open");
    client.total = BULK;
    begin = udp_kit_now();
    cpu = udp_kit_cpu_ns();
    feed(&client);
    while (server.received < BULK) {
        turn(&client);
        must(udp_kit_now() - begin < 20 * NS_PER_S, "transfer takes too long");
    }
    cpu = udp_kit_cpu_ns() - cpu;
    server.stop = true;
    must(pthread_join(thread, NULL) == 0, "join");
    mb = (double)BULK / 1e6 / ((double)(server.last - begin) / 1e9);
    cpu_gb = (double)(cpu + server.cpu) / (double)BULK;
    row("bulk", impl, mb, "MB/s", raw->mb_per_s, mb / raw->mb_per_s);
    row("bulk cpu per GB", impl, cpu_gb, "s", raw->cpu_s_per_gb, raw->cpu_s_per_gb / cpu_gb);
    side_drop(&client);
    side_drop(&server);
}

static double resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;

    must(f != NULL && fscanf(f, "%ld %ld", &size, &pages) == 2, "statm");
    must(fclose(f) == 0, "statm");
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void bench_memory(unsigned n)
{
    static struct side server, client;
    const struct quic_config cfg = {0};
    double before, counted;
    pthread_t thread;
    tstamp t;

    side_make(&server, PQ_REQUIRE, 768, SEC_CIPHER_AUTO, &cfg);
    side_make(&client, PQ_REQUIRE, 768, SEC_CIPHER_AUTO, &cfg);
    before = resident();
    client.want_ups = n;
    must(pthread_create(&thread, NULL, serve, &server) == 0, "thread");
    while (client.ups < n) {
        dial_some(&client, &server);
        turn(&client);
    }
    for (t = udp_kit_now(); udp_kit_now() - t < NS_PER_S;) {
        turn(&client); /* acknowledgements, confirmations, path MTU probes */
    }
    server.stop = true;
    must(pthread_join(thread, NULL) == 0, "join");
    counted = (double)(client.mem.used + server.mem.used);
    row("memory of an idle end", "resident", (resident() - before) / (2.0 * n), "B", 0, 0);
    row("memory of an idle end", "our allocator", counted / (2.0 * n), "B", 0, 0);
    side_drop(&client);
    side_drop(&server);
}

/* Over the in-memory network of the tests, as loopback has no distance. */
static void bench_dials(void)
{
    static const char *const names[] = {"first", "second, token and remembered key"};
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    static struct tk tk;

    tk_init(&tk);
    tk.delay_ns = 50 * NS_PER_MS;
    must(tk_make(&tk, 0, &opt) && tk_make(&tk, 1, &opt), "endpoints");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        tstamp begin = tk.now, confirmed;
        struct ref link;
        double ms;

        tk.ep[0].ups = tk.ep[1].ups = 0;
        must(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link) == QUDAG_OK, "dial");
        must(tk_run(&tk, 5 * NS_PER_S, tk_both_up), "no link");
        confirmed = tk.now;
        (void)tk_run(&tk, NS_PER_S, NULL); /* its NEW_TOKEN arrives */
        quic_link_ops.close(tk.ep[0].q, link, QUDAG_OK);
        (void)tk_run(&tk, 10 * NS_PER_S, NULL);
        ms = (double)(confirmed - begin) / 1e6;
        row("dial to confirmed link, round trip 100 ms", names[i], ms, "ms", 200, 200 / ms);
    }
    tk_fini(&tk);
}

static void bench_all_bulk(void)
{
    static const struct {
        enum sec_cipher cipher;
        const char *suite, *name;
    } suites[] = {{SEC_CIPHER_AES256, "TLS_AES_256_GCM_SHA384", "AES-256-GCM"},
                  {SEC_CIPHER_CHACHA20, "TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305"}};

    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        struct rawquic_result raw;
        struct quic_config cfg = {0};
        char name[64];

        rawquic_bulk(&raw, suites[i].suite, BULK);
        bench_bulk(suites[i].name, suites[i].cipher, &cfg, &raw);
        cfg.stream_window = cfg.conn_window = UINT64_C(16) << 20;
        (void)snprintf(name, sizeof name, "%s, windows 16 MiB", suites[i].name);
        bench_bulk(name, suites[i].cipher, &cfg, &raw);
        cfg.bbr = true;
        (void)snprintf(name, sizeof name, "%s, windows 16 MiB, BBR", suites[i].name);
        bench_bulk(name, suites[i].cipher, &cfg, &raw);
    }
}

enum {
    PART_MEMORY = 1,
    PART_DIAL = 2,
    PART_HANDSHAKES = 4,
    PART_BULK = 8,
    PART_DEFAULT_LEVEL = 16
};

static void read_args(int argc, char **argv, unsigned *parts, unsigned *times)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;

        if (more && strcmp(argv[i], "--parts") == 0) {
            *parts = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--times") == 0) {
            *times = (unsigned)strtoul(argv[++i], NULL, 10);
        } else {
            must(false, "arguments: --parts N, --times N");
        }
    }
    must(*times > 0, "--times");
}

int main(int argc, char **argv)
{
    unsigned parts = PART_MEMORY | PART_DIAL | PART_HANDSHAKES | PART_BULK, times = 200;

    read_args(argc, argv, &parts, &times);
    if ((parts & PART_MEMORY) != 0) {
        bench_memory(1000);
    }
    if ((parts & PART_DIAL) != 0) {
        bench_dials();
    }
    if ((parts & PART_HANDSHAKES) != 0) {
        bench_handshakes(PQ_OFF, 768, "X25519", "EC", times);
        bench_handshakes(PQ_REQUIRE, 512, "ML-KEM-512", "ML-DSA-65", times);
        bench_handshakes(PQ_REQUIRE, 1024, "SecP384r1MLKEM1024", "ML-DSA-65", times);
    }
    if ((parts & (PART_HANDSHAKES | PART_DEFAULT_LEVEL)) != 0) {
        bench_handshakes(PQ_REQUIRE, 768, "X25519MLKEM768", "ML-DSA-65", times);
    }
    if ((parts & PART_BULK) != 0) {
        bench_all_bulk();
    }
    return 0;
}
