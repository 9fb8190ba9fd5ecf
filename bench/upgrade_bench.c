/*
 * upgrade_bench.c - links over byte streams, in memory: one stream over TLS and over Noise against bare TLS of the same
 * run, handshakes, and what an idle link keeps.
 *
 *   --mib N      megabytes (2^20) each measurement moves; default 512
 *   --rounds N   of which the median counts; default 5
 *   --only 1     one stream over TLS and nothing else
 */
#include "base/rng.h"
#include "common.h"
#include "crypto/init.h"
#include "sec/session.h"
#include "upgrade/upgrade_int.h"

#include <malloc.h>
#include <openssl/bio.h>
#include <string.h>

#define WALL 1800000000
#define START (1000 * NS_PER_S)
#define PIECE 65536 /* a carrier's read and write */
#define WRITE 16384
#define LINKS 200
#define ROUNDS_MAX 32

struct end {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct sec *sec;
    struct upgrade *u;
    struct ref link;
    unsigned ups;
    uint64_t got, queued;
};

static struct end node[2];
static tstamp at = START;
static uint8_t carry[PIECE], payload[WRITE];

static void row(const char *name, double value, const char *unit, const char *goal, double wanted)
{
    (void)printf("{\"bench\":\"upgrade\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", name,
                 value, unit);
    if (goal != NULL) {
        (void)printf(",\"%s\":%.4g", goal, wanted);
    }
    (void)printf("}\n");
    must(fflush(stdout) == 0, "stdout");
}

static void make(struct end *e, uint8_t seed)
{
    uint8_t bytes[32] = {seed};

    mem_init(&e->mem, NULL, 0);
    rng_stream_init(&e->stream, bytes);
    e->rng = rng_of_stream(&e->stream);
    must(identity_generate(&e->id, &e->rng) == QUDAG_OK, "identity");
    const struct sec_config sec = {.mem = &e->mem,
                                   .rng = &e->rng,
                                   .identity = &e->id,
                                   .pq = PQ_PREFER,
                                   .level = 768,
                                   .clock = {.base = WALL, .at = START}};
    must(sec_new(&e->sec, &sec) == QUDAG_OK, "sec");
    const struct upgrade_config cfg = {.mem = &e->mem,
                                       .rng = e->rng,
                                       .sec = e->sec,
                                       .identity = &e->id,
                                       .pq = PQ_PREFER,
                                       .links_max = 4096};
    must(upgrade_new(&e->u, &cfg, START) == QUDAG_OK, "upgrade");
}

static void unmake(struct end *e)
{
    upgrade_free(e->u);
    sec_free(e->sec);
    identity_fini(&e->id);
    must(e->mem.used == 0, "memory");
}

static void events(struct end *e)
{
    struct link_ev ev;

    while (upgrade_next_event(e->u, &ev)) {
        if (ev.type == LINK_UP) {
            e->ups++;
        } else if (ev.type == LINK_DATA) {
            e->got += ev.data.len;
            upgrade_link_ops.consume(e->u, ev.link, ev.sid, ev.data.len);
        } else if (ev.type == LINK_SENT) {
            e->queued -= ev.n;
        }
    }
}

/* One turn of the carriers of a pair of links; false: nothing moved. */
static bool turn(struct end *from, struct end *to, tstamp now)
{
    size_t n = upgrade_output(from->u, from->link, carry, sizeof carry, now);

    if (n > 0) {
        upgrade_receive(to->u, to->link, (struct slice){carry, n}, now);
        events(to);
    }
    events(from);
    return n > 0;
}

/* Until nothing moves. */
static void exchange(void)
{
    for (bool any = true; any;) {
        any = turn(&node[0], &node[1], at);
        any = turn(&node[1], &node[0], at) || any;
    }
}

/* A pair of links; |proto|: instead of what would be proposed. */
static void connect_pair(enum upgrade_proto proto)
{
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none};
    struct upgrade_stream a = {.dialer = true, .target = &t}, b = {.props = LINK_INBOUND};
    unsigned before = node[0].ups + node[1].ups;

    must(upgrade_begin(node[0].u, &a, at, &node[0].link) == QUDAG_OK &&
             upgrade_begin(node[1].u, &b, at, &node[1].link) == QUDAG_OK,
         "begin");
    struct upgrade_link *l = upgrade_find(node[1].u, node[1].link);
    l->protos[0] = upgrade_proto_id(proto); /* the listener takes but this one */
    l->proto[0] = proto;
    mss_listen(&l->mss, l->protos, 1);
    exchange();
    must(node[0].ups + node[1].ups == before + 2, "links");
}

static void disconnect_pair(void)
{
    struct ref link;
    uint64_t cookie;
    bool ended;

    upgrade_link_ops.close(node[0].u, node[0].link, QUDAG_OK);
    exchange();
    for (int i = 0; i < 2; i++) {
        while (upgrade_next_work(node[i].u, &link, &cookie, &ended)) {
            while (upgrade_output(node[i].u, link, carry, sizeof carry, at) > 0) {
            }
        }
        events(&node[i]);
    }
}

/* Bytes per second of one stream. */
static double bulk(enum upgrade_proto proto, uint64_t bytes)
{
    int64_t sid;

    connect_pair(proto);
    must(upgrade_link_ops.open(node[0].u, node[0].link, 1, "x", &sid) == QUDAG_OK, "open");
    node[1].got = 0;
    double begun = now_s();
    for (uint64_t left = bytes; node[1].got < bytes;) {
        while (left > 0 && node[0].queued < 4 * PIECE) {
            must(upgrade_link_ops.write(node[0].u, node[0].link, sid,
                                        (struct slice){payload, WRITE}) == QUDAG_OK,
                 "write");
            node[0].queued += WRITE;
            left -= WRITE;
        }
        (void)turn(&node[0], &node[1], at);
        (void)turn(&node[1], &node[0], at);
    }
    double took = now_s() - begun;
    disconnect_pair();
    return (double)bytes / took;
}

/* ------------------------------------------------------------------ bare TLS */

struct bare {
    struct sec_hs hs[2];
};

static void bare_connect(struct bare *b)
{
    BIO *end[2];

    must(BIO_new_bio_pair(&end[0], 4 * PIECE, &end[1], 4 * PIECE) == 1, "bio");
    for (int i = 0; i < 2; i++) {
        must(sec_hs_start(&b->hs[i], node[i].sec, i == 1, NULL) == QUDAG_OK, "session");
        b->hs[i].now = START;
        SSL_set_bio(b->hs[i].ssl, end[i], end[i]);
        if (i == 0) {
            static const uint8_t alpn[] = "\x06libp2p";
            must(SSL_set_alpn_protos(b->hs[i].ssl, alpn, sizeof alpn - 1) == 0, "alpn");
        }
    }
    for (int i = 0;
         i < 10 && !(SSL_is_init_finished(b->hs[0].ssl) && SSL_is_init_finished(b->hs[1].ssl));
         i++) {
        (void)SSL_do_handshake(b->hs[0].ssl);
        (void)SSL_do_handshake(b->hs[1].ssl);
    }
    must(SSL_is_init_finished(b->hs[0].ssl) && SSL_is_init_finished(b->hs[1].ssl), "bare TLS");
}

static void bare_disconnect(struct bare *b)
{
    sec_hs_stop(&b->hs[0]);
    sec_hs_stop(&b->hs[1]);
}

static double bare_bulk(uint64_t bytes)
{
    static uint8_t got[WRITE];
    struct bare b;
    size_t n;

    bare_connect(&b);
    double begun = now_s();
    for (uint64_t left = bytes; left > 0; left -= 4 * WRITE) {
        for (int i = 0; i < 4; i++) {
            must(SSL_write_ex(b.hs[0].ssl, payload, WRITE, &n) == 1 && n == WRITE, "write");
        }
        for (size_t have = 0; have < 4 * (size_t)WRITE; have += n) {
            must(SSL_read_ex(b.hs[1].ssl, got, sizeof got, &n) == 1, "read");
        }
    }
    double took = now_s() - begun;
    bare_disconnect(&b);
    return (double)bytes / took;
}

/* ------------------------------------------------------------------ what is measured */

static void bench_bulk(uint64_t bytes, size_t rounds)
{
    double bare[ROUNDS_MAX], tls[ROUNDS_MAX], noise[ROUNDS_MAX], part[ROUNDS_MAX];

    for (size_t i = 0; i < rounds; i++) { /* in turn, so that a busy machine is so for all */
        bare[i] = bare_bulk(bytes);
        tls[i] = bulk(UPGRADE_TLS, bytes);
        noise[i] = bulk(UPGRADE_NOISE, bytes);
        part[i] = tls[i] / bare[i];
    }
    double b = median(bare, rounds), t = median(tls, rounds), n = median(noise, rounds);
    row("bare TLS, memory", b / 1e9, "GB/s", NULL, 0);
    row("TLS and yamux, memory", t / 1e9, "GB/s", NULL, 0);
    row("Noise and yamux, memory", n / 1e9, "GB/s", NULL, 0);
    row("TLS and yamux over bare TLS", median(part, rounds), "", "target", 0.8);
}

static void bench_handshakes(size_t rounds)
{
    static const char *const names[] = {"TLS (ML-DSA-65, X25519MLKEM768)", "hybrid Noise", "Noise"};
    double v[ROUNDS_MAX], bare[ROUNDS_MAX], one = 0, alone;
    char text[80];
    struct bare b;

    for (enum upgrade_proto p = 0; p < UPGRADE_PROTOS; p++) {
        for (size_t i = 0; i < rounds; i++) {
            double begun = now_s();
            for (int k = 0; k < 50; k++) {
                connect_pair(p);
                disconnect_pair();
            }
            v[i] = (now_s() - begun) / 50;
            begun = now_s();
            for (int k = 0; p == UPGRADE_TLS && k < 50; k++) {
                bare_connect(&b);
                bare_disconnect(&b);
            }
            bare[i] = (now_s() - begun) / 50;
        }
        double took = median(v, rounds);
        one = p == UPGRADE_TLS ? took : one;
        (void)snprintf(text, sizeof text, "handshakes, both sides, %s", names[p]);
        row(text, 1 / took, "1/s", NULL, 0);
        if (p == UPGRADE_TLS) {
            alone = median(bare, rounds);
            row("handshake over that of bare TLS", one / alone, "", "limit", 1.3);
        }
    }
}

static size_t heap(void)
{
    return mallinfo2().uordblks;
}

/* Links of one protocol at rest, after some traffic: all memory, the TLS library's too. */
static void bench_memory(void)
{
    static const char *const names[] = {"TLS", "hybrid Noise", "Noise"};
    static struct ref link[2][LINKS];
    char text[80];

    for (enum upgrade_proto p = 0; p < UPGRADE_PROTOS; p++) {
        size_t before = heap();
        for (size_t i = 0; i < LINKS; i++) {
            int64_t sid;
            connect_pair(p);
            must(upgrade_link_ops.open(node[0].u, node[0].link, 1, "x", &sid) == QUDAG_OK &&
                     upgrade_link_ops.write(node[0].u, node[0].link, sid,
                                            (struct slice){payload, WRITE}) == QUDAG_OK,
                 "write");
            node[0].queued += WRITE;
            exchange();
            upgrade_link_ops.reset(node[0].u, node[0].link, sid, QUDAG_OK);
            exchange();
            link[0][i] = node[0].link;
            link[1][i] = node[1].link;
        }
        at += 30 * NS_PER_S; /* pings, with which TLS gives up what the handshake needed */
        upgrade_tick(node[0].u, at);
        upgrade_tick(node[1].u, at);
        for (size_t i = 0; i < LINKS; i++) {
            node[0].link = link[0][i];
            node[1].link = link[1][i];
            exchange();
        }
        (void)snprintf(text, sizeof text, "memory of an idle link, %s", names[p]);
        row(text, (double)(heap() - before) / LINKS / 2 / 1024, "KiB", "limit", 40);
        for (size_t i = 0; i < LINKS; i++) {
            node[0].link = link[0][i];
            node[1].link = link[1][i];
            disconnect_pair();
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t bytes = option(argc, argv, "--mib", 512) << 20;
    size_t rounds = option(argc, argv, "--rounds", 5);

    must(rounds > 0 && rounds <= ROUNDS_MAX, "rounds");
    must(crypto_init() == QUDAG_OK, "crypto");
    make(&node[0], 1);
    make(&node[1], 2);
    if (option(argc, argv, "--only", 0) == 1) { /* for a profile */
        row("TLS and yamux, memory", bulk(UPGRADE_TLS, bytes) / 1e9, "GB/s", NULL, 0);
    } else {
        bench_memory();
        bench_handshakes(rounds);
        bench_bulk(bytes, rounds);
    }
    unmake(&node[0]);
    unmake(&node[1]);
    return 0;
}
