/*
 * circuit_bench.c - circuits of three hops over loopback, each node a process of its own.
 *
 *   this process (client) ── relay ── relay ── relay (the end, which serves)
 *
 *   --mib N      megabytes (2^20) of a bulk transfer; default 192
 *   --rounds N   transfers of each kind, of which the median counts; default 3
 *   --parts N    sum of 1 build, 2 echo, 4 first byte, 8 bulk, 16 four streams, 32 to the end
 *
 * Limits, measured first: the handshakes' primitives, bare datagrams through as many processes, bare
 * ngtcp2 over one link.  "limit" of a rate is what the sum of the bare parts would give on all
 * processors of the machine; the relay's is one bare link (it receives once and sends once) and its
 * share of the cell cipher.
 */
#include "base/types.h"
#include "baselines.h"
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RELAYS 3
#define BUILDS 150
#define BURST 300
#define ECHOES 2000
#define OPENS 200

struct lab {
    struct child relay[RELAYS];
    struct actor me;
};

struct limits {
    struct hs_cost hs;
    struct cell_cost cell;
    struct rawquic_result quic;
    double rtt_us, rtt_cell_us[RELAYS + 1]; /* through 1..3 processes */
    double cpus;
};

static void row(const char *name, double value, const char *unit, double limit, double target)
{
    (void)printf("{\"bench\":\"circuit\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", name,
                 value, unit);
    if (limit > 0) {
        (void)printf(",\"limit\":%.4g", limit);
    }
    if (target > 0) {
        (void)printf(",\"target\":%.4g", target);
    }
    (void)printf("}\n");
    must(fflush(stdout) == 0, "stdout");
}

static void measure_limits(struct limits *l)
{
    limit_handshake(&l->hs);
    limit_cells(&l->cell);
    limit_link(&l->quic);
    l->rtt_us = limit_udp_rtt(3, 64);
    for (unsigned i = 1; i <= RELAYS; i++) {
        l->rtt_cell_us[i] = limit_udp_rtt(i, 1200);
    }
    l->cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
}

static void lab_start(struct lab *lab)
{
    struct actor_opts o = {.relay = true, .relays_min = 1};

    for (size_t i = 0; i < RELAYS; i++) {
        child_start(&lab->relay[i], &o);
        o.bootstrap = lab->relay[0].addr;
    }
    children_ready(lab->relay, RELAYS);
    o.relay = false;
    o.relays_min = RELAYS;
    actor_start(&lab->me, &o);
    actor_wait_ready(&lab->me);
}

static void bench_build(struct lab *lab, const struct limits *l)
{
    static double ms[BUILDS];
    double begin, limit = 0, work = 3 * (l->hs.client + l->hs.relay);

    for (size_t i = 0; i < 10; i++) {
        must(qudag_circuit_close(lab->me.node, actor_build(&lab->me)) == QUDAG_OK, "close");
    }
    for (size_t i = 0; i < BUILDS; i++) {
        double t = now_s();
        qudag_circuit c = actor_build(&lab->me);
        ms[i] = (now_s() - t) * 1e3;
        must(qudag_circuit_close(lab->me.node, c) == QUDAG_OK, "close");
    }
    for (unsigned i = 1; i <= RELAYS; i++) {
        limit += l->rtt_cell_us[i];
    }
    row("handshake of a hop, client's part", l->hs.client, "us", 0, 0);
    row("handshake of a hop, relay's part", l->hs.relay, "us", 0, 0);
    row("build, 3 hops, one after the other", median(ms, BUILDS), "ms", (limit + work) / 1e3, 3);
    begin = now_s();
    actor_build_many(&lab->me, BURST, 24, false);
    row("build, 3 hops, many at once", BURST / (now_s() - begin), "ops/s", l->cpus * 1e6 / work,
        600);
}

static void bench_echo(struct lab *lab, const struct limits *l)
{
    static double ms[ECHOES];
    qudag_circuit c = actor_build(&lab->me);
    struct flow *f = actor_open(&lab->me, c, BENCH_ECHO);
    uint8_t msg[64] = {1};

    for (size_t i = 0; i < 100 + ECHOES; i++) {
        double t = now_s();
        uint64_t want = f->got + sizeof msg;
        actor_write(&lab->me, f, msg, sizeof msg);
        ACTOR_WAIT(&lab->me, f->got >= want, 5);
        ms[i < 100 ? 0 : i - 100] = (now_s() - t) * 1e3;
    }
    actor_drop(&lab->me, f);
    row("echo of 64 bytes over 3 hops", median(ms, ECHOES), "ms", l->rtt_us / 1e3, 0.5);
    must(qudag_circuit_close(lab->me.node, c) == QUDAG_OK, "close");
}

static void bench_first_byte(struct lab *lab, const struct limits *l)
{
    static double ms[OPENS], cold[OPENS];
    const uint64_t one = 1;
    qudag_circuit c = actor_build(&lab->me);
    double build = 0;

    for (size_t i = 0; i < OPENS; i++) {
        double t = now_s();
        struct flow *f = actor_open(&lab->me, c, BENCH_SOURCE);
        actor_write(&lab->me, f, &one, sizeof one);
        ACTOR_WAIT(&lab->me, f->got == 1, 5);
        ms[i] = (now_s() - t) * 1e3;
        actor_drop(&lab->me, f);
    }
    must(qudag_circuit_close(lab->me.node, c) == QUDAG_OK, "close");
    for (size_t i = 0; i < OPENS / 4; i++) {
        double t = now_s();
        c = actor_build(&lab->me);
        struct flow *f = actor_open(&lab->me, c, BENCH_SOURCE);
        actor_write(&lab->me, f, &one, sizeof one);
        ACTOR_WAIT(&lab->me, f->got == 1, 5);
        cold[i] = (now_s() - t) * 1e3;
        actor_drop(&lab->me, f);
        must(qudag_circuit_close(lab->me.node, c) == QUDAG_OK, "close");
    }
    for (unsigned i = 1; i <= RELAYS; i++) {
        build += l->rtt_cell_us[i];
    }
    row("first byte, circuit there", median(ms, OPENS), "ms", l->rtt_us / 1e3, 0);
    row("first byte, circuit built first", median(cold, OPENS / 4), "ms",
        (l->rtt_us + build + 3 * (l->hs.client + l->hs.relay)) / 1e3, 0);
}

struct spent {
    double client, relay, end; /* CPU seconds; relay: the busier of the two on the way */
};

static void usages(struct lab *lab, struct usage u[RELAYS + 1])
{
    for (size_t i = 0; i < RELAYS; i++) {
        u[i] = child_usage(&lab->relay[i]);
    }
    u[RELAYS] = usage_now();
}

/* Which relay is where on the path of |c|. */
static void path_of(struct lab *lab, qudag_circuit c, size_t at[RELAYS])
{
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    char text[QUDAG_PEER_ID_TEXT_MAX];

    for (size_t it = 0; qudag_circuit_next(lab->me.node, &it, &info);) {
        for (size_t hop = 0; info.circuit.id == c.id && hop < RELAYS; hop++) {
            qudag_peer_id_text(&info.path[hop], text);
            for (size_t i = 0; i < RELAYS; i++) {
                if (strstr(lab->relay[i].addr, text) != NULL) {
                    at[hop] = i;
                }
            }
        }
    }
}

static uint64_t wire_bytes(struct lab *lab)
{
    qudag_link_info l = QUDAG_INIT(qudag_link_info);
    uint64_t n = 0;

    for (size_t it = 0; qudag_link_next(lab->me.node, &it, &l);) {
        n += l.bytes_in + l.bytes_out;
    }
    return n;
}

typedef double (*transfer_fn)(struct actor *a, qudag_circuit c, uint64_t bytes);

static double fetch_1(struct actor *a, qudag_circuit c, uint64_t bytes)
{
    return actor_fetch(a, c, bytes, 1);
}

static double fetch_4(struct actor *a, qudag_circuit c, uint64_t bytes)
{
    return actor_fetch(a, c, bytes, 4);
}

static void bench_bulk(struct lab *lab, const struct limits *l, const char *name, transfer_fn fn,
                       uint64_t bytes, size_t rounds)
{
    double mb[16], relay[16], end[16], client[16], wire[16];
    double gb = (double)bytes / 1e9;
    double bare = 3 * l->quic.cpu_s_per_gb + 2 * l->cell.pass + l->cell.end + l->cell.client;
    char text[96];

    for (size_t i = 0; i < rounds; i++) {
        struct usage u[RELAYS + 1], v[RELAYS + 1];
        size_t at[RELAYS] = {0, 0, 0};
        double way[2];
        qudag_circuit c = actor_build(&lab->me);
        path_of(lab, c, at);
        usages(lab, u);
        uint64_t w = wire_bytes(lab);
        mb[i] = (double)bytes / 1e6 / fn(&lab->me, c, bytes);
        wire[i] = (double)(wire_bytes(lab) - w) / (double)bytes;
        usages(lab, v);
        way[0] = v[at[0]].cpu_s - u[at[0]].cpu_s;
        way[1] = v[at[1]].cpu_s - u[at[1]].cpu_s;
        relay[i] = (way[0] > way[1] ? way[0] : way[1]) / gb;
        end[i] = (v[at[2]].cpu_s - u[at[2]].cpu_s) / gb;
        client[i] = (v[RELAYS].cpu_s - u[RELAYS].cpu_s) / gb;
        must(qudag_circuit_close(lab->me.node, c) == QUDAG_OK, "close");
    }
    row(name, median(mb, rounds), "MB/s", l->cpus * 1e3 / bare, 100);
    (void)snprintf(text, sizeof text, "%s: cpu per GB, busier relay", name);
    row(text, median(relay, rounds), "s", l->quic.cpu_s_per_gb + l->cell.pass, 3);
    (void)snprintf(text, sizeof text, "%s: cpu per GB, end", name);
    row(text, median(end, rounds), "s", l->quic.cpu_s_per_gb / 2 + l->cell.end, 0);
    (void)snprintf(text, sizeof text, "%s: cpu per GB, client", name);
    row(text, median(client, rounds), "s", l->quic.cpu_s_per_gb / 2 + l->cell.client, 0);
    (void)snprintf(text, sizeof text, "%s: bytes on the client's link per byte", name);
    row(text, median(wire, rounds), "B", 1, 0);
}

int main(int argc, char **argv)
{
    static void (*const parts[])(struct lab * lab, const struct limits *l) = {
        bench_build, bench_echo, bench_first_byte};
    static const struct {
        const char *name;
        transfer_fn fn;
    } bulks[] = {{"bulk, 1 stream", fetch_1},
                 {"bulk, 4 streams", fetch_4},
                 {"bulk to the end, 1 stream", actor_push}};
    static struct lab lab;
    struct limits l;
    uint64_t which = option(argc, argv, "--parts", 63);
    uint64_t bytes = option(argc, argv, "--mib", 192) << 20;
    size_t rounds = (size_t)option(argc, argv, "--rounds", 3);

    if (child_main(argc, argv)) {
        return 0;
    }
    must(rounds >= 1 && rounds <= 16 && bytes > 0, "arguments");
    measure_limits(&l);
    lab_start(&lab);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if ((which >> i & 1) != 0) {
            parts[i](&lab, &l);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bulks); i++) {
        if ((which >> (i + ARRAY_LEN(parts)) & 1) != 0) {
            bench_bulk(&lab, &l, bulks[i].name, bulks[i].fn, bytes, rounds);
        }
    }
    actor_stop(&lab.me);
    for (size_t i = 0; i < RELAYS; i++) {
        child_stop(&lab.relay[i]);
    }
    return 0;
}
