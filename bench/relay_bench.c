/*
 * relay_bench.c - bytes through a circuit relay over loopback: three processes, the relay in one of its own.
 *
 *   callers (this process) ── relay ── called          a circuit for each pair of a caller and a called node
 *
 *   --seconds N   of each measurement; default 5
 *   --settle N    seconds before the second: the windows that circuits begin with are no matter of the rate; default 20
 *   --side N      nodes on each side for the fair shares: N * N circuits; default 10
 *   --rate N      bytes a second of all circuits together in the second measurement; default 16 MiB
 *
 * First one circuit as fast as it goes, with no rate: what passed, by the clock and by the processor time of the relay
 * (which counts on a machine with fewer free processors than processes); then many circuits under one rate: the
 * spread of what each got.
 */
#include "base/types.h"
#include "common.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BULK "/bench/relayed/1.0.0"
#define NOWHERE                                                                                    \
    "/ip4/127.0.0.9/udp/9/quic-v1" /* what the ends say of themselves: nobody is there */
#define SIDE_MAX 16
#define CHUNK 65536

/* What the processes tell each other. */
struct shared {
    volatile bool relay_ready, quit;
    volatile unsigned called_ready;
    volatile uint64_t got[SIDE_MAX][SIDE_MAX]; /* by called node, then caller */
    volatile double relay_cpu;
    char relay[QUDAG_ADDR_TEXT_MAX];
    char called[SIDE_MAX][QUDAG_ADDR_TEXT_MAX];
    qudag_peer_id caller[SIDE_MAX];
    qudag_peer_id called_id[SIDE_MAX];
};

struct end {
    qudag_identity *id;
    qudag_node *node;
    qudag_stream out[SIDE_MAX], in[SIDE_MAX]; /* by the other's number */
    bool open[SIDE_MAX], done;
    qudag_op op;
    qudag_err err;
};

static struct shared *all;
static struct end end[SIDE_MAX];
static unsigned n_ends;

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct end *e = user;
    (void)n;
    (void)res;
    if (op.id == e->op.id) {
        e->done = true;
        e->err = err;
    }
}

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    struct end *e = user;
    (void)n;
    (void)dark;
    (void)proto;
    for (unsigned i = 0; from != NULL && i < SIDE_MAX; i++) {
        if (memcmp(&all->caller[i], from, sizeof(*from)) == 0) {
            e->in[i] = s;
        }
    }
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct end *e = user;
    (void)fin;
    for (unsigned i = 0; i < SIDE_MAX; i++) {
        if (e->in[i].id == s.id) {
            all->got[e - end][i] = all->got[e - end][i] + data.len;
        }
    }
    qudag_stream_consume(n, s, data.len);
}

static void push(struct end *e, unsigned i)
{
    static uint8_t chunk[CHUNK];
    size_t taken = CHUNK;

    while (e->open[i] && taken == CHUNK) {
        if (qudag_stream_write(e->node, e->out[i], (qudag_slice){chunk, CHUNK}, &taken) !=
            QUDAG_OK) {
            return;
        }
    }
}

static void on_opened(qudag_node *n, qudag_stream s, void *user)
{
    struct end *e = user;
    (void)n;
    for (unsigned i = 0; i < SIDE_MAX; i++) {
        if (e->out[i].id == s.id) {
            e->open[i] = true;
            push(e, i);
        }
    }
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    struct end *e = user;
    (void)n;
    for (unsigned i = 0; i < SIDE_MAX; i++) {
        if (e->out[i].id == s.id) {
            push(e, i);
        }
    }
}

static void make(struct end *e, const char *relay, uint64_t rate, bool serves)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"}, *const nowhere = NOWHERE;
    qudag_callbacks cb = {.size = sizeof(cb),
                          .op_done = on_done,
                          .stream_in = on_in,
                          .stream_data = on_data,
                          .stream_opened = on_opened,
                          .stream_writable = on_writable};
    qudag_settings s;

    QUDAG_SETTINGS_INIT(&s);
    must(qudag_identity_generate(&e->id) == QUDAG_OK, "identity");
    s.identity = e->id;
    s.listen = listen;
    s.listen_n = 1;
    s.lab = true;
    s.relay = s.dht_server = false;
    s.circuit_relay = serves ? QUDAG_SERVE_YES : QUDAG_SERVE_NO;
    s.circuit_relay_rate = rate;
    s.circuit_relay_rate_peer = s.circuit_relay_rate_circuit = 0;
    if (relay != NULL) {
        s.bootstrap = &relay;
        s.bootstrap_n = 1;
        s.announce = &nowhere;
        s.announce_n = 1;
    }
    must(qudag_node_new(&e->node, &s, &cb, e) == QUDAG_OK, "node");
    must(qudag_protocol_serve(e->node, BULK) == QUDAG_OK, "serve");
    must(qudag_node_start(e->node) == QUDAG_OK, "start");
}

static void turn(void)
{
    struct pollfd fd[SIDE_MAX];
    qudag_ns wait = 10 * QUDAG_MS;

    for (unsigned i = 0; i < n_ends; i++) {
        qudag_ns t = qudag_node_timeout(end[i].node);
        wait = t < wait ? t : wait;
        fd[i] = (struct pollfd){.fd = qudag_node_fd(end[i].node), .events = POLLIN};
    }
    struct timespec ts = {.tv_nsec = (long)wait};
    (void)ppoll(fd, n_ends, &ts, NULL);
    for (unsigned i = 0; i < n_ends; i++) {
        must(qudag_node_step(end[i].node, 0) == QUDAG_OK, "step");
    }
}

static double cpu_s(void)
{
    struct rusage u;

    must(getrusage(RUSAGE_SELF, &u) == 0, "getrusage");
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void relay_main(uint64_t rate)
{
    size_t it = 0;

    n_ends = 1;
    make(&end[0], NULL, rate, true);
    must(qudag_node_addr_next(end[0].node, &it, all->relay), "address");
    all->relay_ready = true;
    while (!all->quit) {
        turn();
        all->relay_cpu = cpu_s();
    }
    _exit(0);
}

static void called_main(unsigned n)
{
    n_ends = n;
    for (unsigned i = 0; i < n; i++) {
        make(&end[i], all->relay, 0, false);
        qudag_node_peer_id(end[i].node, &all->called_id[i]);
        must(qudag_relay_reserve(end[i].node, all->relay) == QUDAG_OK, "reserve");
    }
    while (!all->quit) {
        unsigned ready = 0;
        turn();
        for (unsigned i = 0; i < n && all->called_ready < n; i++) {
            qudag_place p = QUDAG_INIT(qudag_place);
            size_t it = 0;
            if (qudag_place_next(end[i].node, &it, &p) && p.addr[0] != 0) {
                memcpy(all->called[i], p.addr, sizeof(p.addr));
                ready++;
            }
        }
        all->called_ready = all->called_ready < n ? ready : n;
    }
    _exit(0);
}

static void connect_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < n; k++) {
            double until = now_s() + 20;
            end[i].done = false;
            must(qudag_connect(end[i].node, all->called[k], &end[i].op) == QUDAG_OK, "connect");
            while (!end[i].done) {
                turn();
                must(now_s() < until, "a connection in time");
            }
            must(end[i].err == QUDAG_OK, "a connection");
        }
    }
}

static uint64_t sum(unsigned n, uint64_t *least, uint64_t *most)
{
    uint64_t s = 0;

    *least = UINT64_MAX;
    *most = 0;
    for (unsigned k = 0; k < n; k++) {
        for (unsigned i = 0; i < n; i++) {
            uint64_t got = all->got[k][i];
            s += got;
            *least = got < *least ? got : *least;
            *most = got > *most ? got : *most;
        }
    }
    return s;
}

static void run_for(double seconds)
{
    for (double until = now_s() + seconds; now_s() < until;) {
        turn();
    }
}

static void measure(unsigned n, uint64_t rate, double settle, double seconds)
{
    uint64_t least, most;
    pid_t relay, called;

    memset(all, 0, sizeof(*all));
    if ((relay = fork()) == 0) {
        relay_main(rate);
    }
    while (!all->relay_ready) {
        (void)usleep(1000);
    }
    if ((called = fork()) == 0) {
        called_main(n);
    }
    n_ends = n;
    for (unsigned i = 0; i < n; i++) {
        make(&end[i], all->relay, 0, false);
        qudag_node_peer_id(end[i].node, &all->caller[i]);
    }
    while (all->called_ready < n) {
        turn();
    }
    connect_all(n);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < n; k++) {
            must(qudag_stream_open(end[i].node, &all->called_id[k], BULK, &end[i].out[k]) ==
                     QUDAG_OK,
                 "stream");
        }
    }
    run_for(settle);
    uint64_t before = sum(n, &least, &most), first[SIDE_MAX][SIDE_MAX];
    memcpy(first, (const void *)(uintptr_t)all->got, sizeof(first));
    double cpu = all->relay_cpu, begun = now_s();
    run_for(seconds);
    double took = now_s() - begun, used = all->relay_cpu - cpu;
    uint64_t passed = sum(n, &least, &most) - before;
    least = UINT64_MAX;
    most = 0;
    for (unsigned k = 0; k < n; k++) {
        for (unsigned i = 0; i < n; i++) {
            uint64_t got = all->got[k][i] - first[k][i];
            least = got < least ? got : least;
            most = got > most ? got : most;
        }
    }
    double mean = (double)passed / (double)(n * n);
    (void)printf("{\"bench\":\"relay\",\"circuits\":%u,\"rate\":%llu,\"gbit_s\":%.3f,"
                 "\"gbit_per_relay_cpu_s\":%.3f,\"relay_cpu\":%.2f,\"least\":%.3f,\"most\":%.3f}\n",
                 n * n, (unsigned long long)rate, (double)passed * 8 / 1e9 / took,
                 (double)passed * 8 / 1e9 / used, used / took, (double)least / mean,
                 (double)most / mean);
    (void)fflush(stdout);
    all->quit = true;
    (void)waitpid(relay, NULL, 0);
    (void)waitpid(called, NULL, 0);
    for (unsigned i = 0; i < n; i++) {
        qudag_node_free(end[i].node);
        qudag_identity_free(end[i].id);
    }
    memset(end, 0, sizeof(end));
}

int main(int argc, char **argv)
{
    uint64_t seconds = option(argc, argv, "--seconds", 5), side = option(argc, argv, "--side", 10);
    uint64_t settle = option(argc, argv, "--settle", 20);
    uint64_t rate = option(argc, argv, "--rate", 16 << 20);

    must(seconds > 0 && side > 0 && side <= SIDE_MAX, "--seconds, --side");
    all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(all != MAP_FAILED, "mmap");
    measure(1, 0, 2, (double)seconds);
    measure((unsigned)side, rate, (double)settle, (double)seconds);
    return 0;
}
