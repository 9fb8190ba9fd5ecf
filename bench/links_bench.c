/*
 * links_bench.c - one node with very many links: what each takes of its memory, what all take of a processor while
 * nothing happens, how long a ping takes while a hundredth of them is at work, and how fast links are made.
 *
 * Processes on loopback: the node, with the default configuration but for links_max and memory_max, and guests, light
 * nodes of the same library, many to a process, sixteen to a /24 of 127.0.0.0/8.
 *
 *   --links N    in the end; default 2000; 10000 for the figure of the goal (7 GB for the guests)
 *   --idle N     links of the measurement at rest; default 1000
 *   --rest N     seconds of it; default 20
 *   --settle N   seconds before each measurement; default 5
 *   --procs N    processes of guests; default 4
 *   --active N   percent of the guests that ping, ten times a second each; default 1
 *   --counted 1  counts what the node takes from its allocator
 */
#include "common.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCS_MAX 64
#define PER_NETWORK 16
#define AT_ONCE 4 /* handshakes of one process */
#define PINGS_S 10
#define SAMPLES 65536
#define EVENTS 256

struct shared {
    atomic_bool pinging, over;
    _Atomic unsigned want; /* links of each process */
    _Atomic unsigned up;   /* as the node sees it */
    _Atomic unsigned lost, failed;
    _Atomic uint64_t bytes; /* that the node has from its allocator */
    _Atomic unsigned pings, pings_failed;
    double ping[SAMPLES], setup[SAMPLES]; /* s */
    _Atomic unsigned setups;
    char addr[QUDAG_ADDR_TEXT_MAX];
    qudag_peer_id id;
    _Atomic bool ready;
};

static struct shared *sh;
static unsigned procs, links, active;

static void nap(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};

    (void)nanosleep(&t, NULL);
}

static void sample(double *v, _Atomic unsigned *n, double s)
{
    v[atomic_fetch_add(n, 1) % SAMPLES] = s;
}

/* ---- the node */

#define HEAD 16 /* bytes before each block: its size; keeps what follows aligned */

static void *count_alloc(void *ctx, size_t size)
{
    size_t *p = malloc(size + HEAD);

    (void)ctx;
    if (p == NULL) {
        return NULL;
    }
    *p = size;
    sh->bytes += size;
    return (char *)p + HEAD;
}

static void count_free(void *ctx, void *ptr)
{
    (void)ctx;
    if (ptr != NULL) {
        size_t *p = (size_t *)(void *)((char *)ptr - HEAD);
        sh->bytes -= *p;
        free(p);
    }
}

static void on_peer(qudag_node *n, const qudag_peer_id *peer, bool up, void *user)
{
    (void)n;
    (void)peer;
    (void)user;
    if (up) {
        sh->up++;
    } else {
        sh->up--;
        sh->lost += sh->over ? 0 : 1;
    }
}

static void serve(unsigned counted)
{
    static const qudag_mem counting = {NULL, count_alloc, count_free};
    static const qudag_callbacks cb = {.size = sizeof(cb), .peer_changed = on_peer};
    const char *listen = "/ip4/127.0.0.1/udp/0/quic-v1";
    qudag_settings s;
    qudag_identity *id;
    qudag_node *node;
    size_t it = 0;

    QUDAG_SETTINGS_INIT(&s);
    must(qudag_identity_generate(&id) == QUDAG_OK, "identity");
    s.identity = id;
    s.listen = &listen;
    s.listen_n = 1;
    s.lab = true;
    s.links_max = links * 2 < 1024 ? 1024 : links * 2; /* three quarters stay: links_high */
    s.memory_max = UINT64_C(4) << 30;
    s.mem = counted != 0 ? &counting : NULL;
    must(qudag_node_new(&node, &s, &cb, NULL) == QUDAG_OK, "node");
    must(qudag_node_start(node) == QUDAG_OK, "start");
    must(qudag_node_addr_next(node, &it, sh->addr), "address");
    qudag_node_peer_id(node, &sh->id);
    for (double end = now_s() + 2; now_s() < end;) { /* begins: keys, tables, its descriptor */
        must(qudag_node_step(node, QUDAG_S / 10) == QUDAG_OK, "step");
    }
    sh->ready = true;
    must(qudag_node_run(node) == QUDAG_OK, "run");
}

/* ---- guests */

struct guest {
    qudag_identity *id;
    qudag_node *node;
    qudag_op op;
    double since, next; /* of the dial; of the next ping */
    bool busy, up, active;
};

static struct guest *guests;
static unsigned made, there, dialling; /* of this process */

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct guest *g = user;

    (void)n;
    (void)op;
    g->busy = false;
    if (res->kind == QUDAG_OP_PING) {
        sh->pings_failed += err == QUDAG_OK ? 0 : 1;
        if (err == QUDAG_OK) {
            sample(sh->ping, &sh->pings, (double)res->rtt / 1e9);
        }
        return;
    }
    dialling--;
    g->up = err == QUDAG_OK;
    there += g->up ? 1 : 0;
    sh->failed += g->up ? 0 : 1;
    if (g->up) {
        sample(sh->setup, &sh->setups, now_s() - g->since);
    }
}

static void guest_make(struct guest *g, unsigned proc, unsigned i)
{
    static const qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
    char listen[64];
    const char *one = listen;
    qudag_settings s;

    (void)snprintf(listen, sizeof listen, "/ip4/127.%u.%u.1/udp/0/quic-v1", 1 + proc,
                   i / PER_NETWORK % 256);
    QUDAG_SETTINGS_INIT(&s);
    must(qudag_identity_generate(&g->id) == QUDAG_OK, "identity");
    s.identity = g->id;
    s.listen = &one;
    s.listen_n = 1;
    s.lab = true;
    s.relay = false;
    s.dht_server = false;
    s.clean_circuits = 0;
    s.links_max = 8;
    s.dial_timeout = 60 * QUDAG_S;
    must(qudag_node_new(&g->node, &s, &cb, g) == QUDAG_OK, "guest");
}

static void guest_step(struct guest *g)
{
    must(qudag_node_step(g->node, 0) == QUDAG_OK, "step");
}

static void more_links(int ep, unsigned proc)
{
    while (made < sh->want && dialling < AT_ONCE) {
        struct guest *g = &guests[made];
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = g};

        guest_make(g, proc, made);
        must(epoll_ctl(ep, EPOLL_CTL_ADD, qudag_node_fd(g->node), &e) == 0, "epoll");
        g->active = made % 100 < active;
        g->since = now_s();
        g->busy = true;
        must(qudag_connect(g->node, sh->addr, &g->op) == QUDAG_OK, "connect");
        guest_step(g);
        made++;
        dialling++;
    }
}

static void more_pings(double now)
{
    for (unsigned i = 0; sh->pinging && i < made; i++) {
        struct guest *g = &guests[i];
        if (!g->active || g->busy || now < g->next) {
            continue;
        }
        g->next = now + 1.0 / PINGS_S;
        g->busy = true;
        must(qudag_ping(g->node, &sh->id, &g->op) == QUDAG_OK, "ping");
        guest_step(g);
    }
}

static void be_guests(unsigned proc)
{
    struct epoll_event ready[EVENTS];
    double scan = 0;
    int ep = epoll_create1(EPOLL_CLOEXEC);

    must(ep >= 0, "epoll");
    guests = calloc(links / procs + 1, sizeof *guests);
    must(guests != NULL, "memory");
    while (!sh->over) {
        int n = epoll_wait(ep, ready, EVENTS, sh->pinging || dialling > 0 ? 5 : 50);
        must(n >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < n; i++) {
            guest_step(ready[i].data.ptr);
        }
        more_links(ep, proc);
        double now = now_s();
        more_pings(now);
        for (unsigned i = 0; now >= scan && i < made; i++) {
            if (qudag_node_timeout(guests[i].node) == 0) {
                guest_step(&guests[i]);
            }
        }
        scan = now >= scan ? now + 0.1 : scan;
    }
}

/* ---- the benchmark */

static struct child node;
static pid_t crew[PROCS_MAX];

static void begin(pid_t *pid, void (*fn)(unsigned arg), unsigned arg)
{
    *pid = fork();
    must(*pid >= 0, "fork");
    if (*pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn(arg);
        _exit(0);
    }
}

static void row(const char *name, double value, const char *unit, double target)
{
    (void)printf("{\"bench\":\"links\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", name, value,
                 unit);
    if (target > 0) {
        (void)printf(",\"target\":%.4g", target);
    }
    (void)printf("}\n");
    must(fflush(stdout) == 0, "stdout");
}

static double part(double *v, unsigned n, double share)
{
    n = n < SAMPLES ? n : SAMPLES;
    must(n > 0, "no samples");
    qsort(v, n, sizeof *v, by_size);
    return v[(size_t)((double)(n - 1) * share)];
}

/* Until |n| links stand; seconds it took. */
static double grow(unsigned n)
{
    double from = now_s(), seen = from;
    unsigned last = sh->up;

    sh->want = n / procs;
    while (sh->up < n) {
        nap(0.01);
        if (sh->up != last) {
            last = sh->up;
            seen = now_s();
        }
        if (now_s() - seen > 60) {
            (void)fprintf(stderr, "links_bench: %u of %u links, %u lost, %u dials failed\n", last,
                          n, sh->lost, sh->failed);
            exit(1);
        }
    }
    return now_s() - from;
}

static void at_rest(double seconds)
{
    double cpu = child_cpu_s(&node), from = now_s();

    (void)fprintf(stderr, "links_bench: %u links at rest with process %d\n", sh->up, (int)node.pid);
    nap(seconds);
    cpu = (child_cpu_s(&node) - cpu) / (now_s() - from);
    row("processor at rest, per 1000 links", cpu * 100 * 1000 / sh->up, "%", 0.5);
}

static void ping_some(double seconds)
{
    double cpu = child_cpu_s(&node), from = now_s();

    sh->pinging = true;
    nap(seconds);
    sh->pinging = false;
    row("processor while they ping", (child_cpu_s(&node) - cpu) / (now_s() - from) * 100, "%", 0);
    row("pings a second", sh->pings / (now_s() - from), "1/s", 0);
    must(sh->pings_failed == 0, "pings failed");
    row("ping, p50", part(sh->ping, sh->pings, 0.5) * 1e3, "ms", 0);
    row("ping, p99", part(sh->ping, sh->pings, 0.99) * 1e3, "ms", 5);
}

int main(int argc, char **argv)
{
    double rest = (double)option(argc, argv, "--rest", 20);
    double settle = (double)option(argc, argv, "--settle", 5);
    unsigned idle = (unsigned)option(argc, argv, "--idle", 1000);
    bool counted = option(argc, argv, "--counted", 0) != 0;

    links = (unsigned)option(argc, argv, "--links", 2000);
    procs = (unsigned)option(argc, argv, "--procs", 4);
    active = (unsigned)option(argc, argv, "--active", 1);
    must(procs > 0 && procs <= PROCS_MAX && idle <= links, "options");
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(sh != MAP_FAILED, "memory");
    begin(&node.pid, serve, counted);
    while (!sh->ready) {
        nap(0.01);
    }
    double before = child_rss(&node);
    uint64_t bytes = sh->bytes;
    for (unsigned i = 0; i < procs; i++) {
        begin(&crew[i], be_guests, i);
    }
    idle = idle / procs * procs;
    if (idle > 0) {
        (void)grow(idle);
        nap(settle);
        at_rest(rest);
    }
    unsigned more = links / procs * procs - sh->up;
    if (more > 0) {
        double s = grow(links / procs * procs);
        row("links made a second", more / s, "1/s", 0);
        nap(settle);
    }
    row("links", sh->up, "links", 0);
    row("a link made, p50", part(sh->setup, sh->setups, 0.5) * 1e3, "ms", 0);
    row("a link made, p95", part(sh->setup, sh->setups, 0.95) * 1e3, "ms", 0);
    row("memory of a link", (child_rss(&node) - before) / sh->up / 1024, "KiB", 40);
    if (counted) {
        row("... from the node's allocator", (double)(sh->bytes - bytes) / sh->up / 1024, "KiB", 0);
    }
    ping_some(10);
    row("links lost", sh->lost, "links", 0);
    sh->over = true;
    for (unsigned i = 0; i < procs; i++) {
        must(kill(crew[i], SIGKILL) == 0 && waitpid(crew[i], NULL, 0) == crew[i], "guests");
    }
    must(kill(node.pid, SIGTERM) == 0 && waitpid(node.pid, NULL, 0) == node.pid, "node");
    return 0;
}
