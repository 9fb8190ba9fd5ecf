/*
 * flood_bench.c - what is left to honest peers while others make a node work for nothing.
 *
 * Processes on loopback: a relay with the default configuration; a peer that has it echo as much as goes; one that
 * sends a byte every 10 ms and waits for it; one that makes an identity and a link with it again and again; and the
 * attackers, on addresses of other networks.  Beside each row the reference of the same run: for each attacker a twin
 * that sends as many datagrams of that size to a socket which nobody reads and takes as much of the processors, so
 * that what is compared is what the attack does to the node.
 *
 *   --rows N     sum of 1 << row; default all
 *   --seconds N  of each measurement; default 4
 *
 * Wants a quiet machine.  Targets: doc/performance.md.
 */
#include "flood_kit.h"

#include "api/internal.h"
#include "common.h"
#include "core/onion/circuit.h"
#include "node/internal.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOES_MAX 8
#define SAMPLES 65536
#define ECHOES 4               /* streams */
#define IN_FLIGHT (128u << 10) /* bytes of each, less than its queue takes */

struct samples {
    _Atomic unsigned n;
    double s[SAMPLES]; /* seconds; negative: it failed */
};

struct shared {
    atomic_bool stop;
    _Atomic uint64_t echoed, reopened;
    struct samples ping, link;
    struct flood_done foe[FOES_MAX], twin[FOES_MAX];
};

static struct shared *sh;
static struct child target;
static struct netaddr target_addr;
static qudag_peer_id target_id;

static void nap(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};

    (void)nanosleep(&t, NULL);
}

static void sample(struct samples *v, double s)
{
    unsigned n = v->n;

    v->s[n % SAMPLES] = s;
    v->n = n + 1;
}

/* ---- honest peers */

static struct flow *open_echo(struct actor *a)
{
    qudag_stream s;

    if (qudag_stream_open(a->node, &target_id, BENCH_ECHO, &s) != QUDAG_OK) {
        return NULL;
    }
    struct flow *f = &a->flow[s.id % BENCH_STREAMS_MAX];
    *f = (struct flow){.id = s.id, .first = true};
    return f;
}

static void stream_write(struct actor *a, const struct flow *f, size_t len, uint64_t *sent)
{
    static const uint8_t zeros[65536];
    size_t taken = 0;

    qudag_err err =
        qudag_stream_write(a->node, (qudag_stream){f->id}, (qudag_slice){zeros, len}, &taken);
    must(err == QUDAG_OK || err == QUDAG_EAGAIN || err == QUDAG_ESTALE || err == QUDAG_ESTATE,
         "write");
    *sent += taken;
}

static void connect_target(struct actor *a)
{
    must(qudag_connect(a->node, target.addr, &a->op) == QUDAG_OK, "connect");
}

struct echo {
    struct flow *f;
    uint64_t sent, seen;
};

/* As much as may be on its way; false: nothing more can be written now. */
static bool echo_more(struct actor *a, struct echo *e)
{
    uint64_t before = e->sent;

    if (e->f == NULL || e->f->closed) {
        sh->reopened += e->f != NULL ? 1 : 0;
        connect_target(a);
        *e = (struct echo){.f = open_echo(a)};
        before = 0;
    }
    while (e->f != NULL && !e->f->closed && e->sent - e->f->got < IN_FLIGHT) {
        uint64_t had = e->sent;
        stream_write(a, e->f, 65536, &e->sent);
        if (e->sent == had) {
            break;
        }
    }
    return e->sent != before;
}

static void echo(void)
{
    static struct actor a;
    static struct echo e[ECHOES];
    struct actor_opts o = {.bootstrap = target.addr, .relays_min = 1};

    actor_start(&a, &o);
    actor_wait_ready(&a);
    while (!sh->stop) {
        bool more = false;
        for (size_t i = 0; i < ECHOES; i++) {
            more = echo_more(&a, &e[i]) || more;
        }
        must(qudag_node_step(a.node, more ? 0 : 10 * QUDAG_MS) == QUDAG_OK, "step");
        for (size_t i = 0; i < ECHOES; i++) {
            sh->echoed += e[i].f != NULL ? e[i].f->got - e[i].seen : 0;
            e[i].seen = e[i].f != NULL ? e[i].f->got : 0;
        }
    }
}

static void ping(void)
{
    static struct actor a;
    struct actor_opts o = {.bootstrap = target.addr, .relays_min = 1};
    struct flow *f = NULL;
    uint64_t sent = 0, want;

    actor_start(&a, &o);
    actor_wait_ready(&a);
    while (!sh->stop) {
        if (f == NULL || f->closed) {
            connect_target(&a);
            f = open_echo(&a);
            sent = 0;
            nap(0.05);
        }
        want = f != NULL ? f->got + 1 : 1;
        double begin = now_s();
        if (f != NULL && sent < want) {
            stream_write(&a, f, 1, &sent);
        }
        while (f != NULL && !f->closed && f->got < want && now_s() - begin < 5) {
            must(qudag_node_step(a.node, 100 * QUDAG_MS) == QUDAG_OK, "step");
        }
        sample(&sh->ping, f != NULL && f->got >= want ? now_s() - begin : -1);
        double rest = begin + 0.01;
        while (now_s() < rest) {
            must(qudag_node_step(a.node, 2 * QUDAG_MS) == QUDAG_OK, "step");
        }
    }
}

static void newcomers(void)
{
    struct netaddr from = {.family = 4, .ip = {127, 1, 3, 1}};

    while (!sh->stop) {
        double begin = now_s();
        sample(&sh->link, flood_newcomer(&from, &target_addr, 5));
        from.ip[2] = (uint8_t)(from.ip[2] % 90 + 3);
        if (now_s() - begin < 0.4) {
            nap(0.4);
        }
    }
}

/* ---- attackers that are nodes */

static void creates(const struct flood_order *o, struct flood_done *d)
{
    static struct actor a;
    static struct ref c[64];
    char listen[64];
    struct actor_opts opts = {.bootstrap = o->addr, .relays_min = 1, .listen = listen};
    struct onion_hop hop;

    (void)snprintf(listen, sizeof listen, "/ip4/%u.%u.%u.%u/udp/0/quic-v1", o->from.ip[0],
                   o->from.ip[1], o->from.ip[2], o->from.ip[3]);
    actor_start(&a, &opts);
    actor_wait_ready(&a);
    struct node *n = a.node->node;
    struct peer_id id;
    struct multiaddr m;
    must(multiaddr_parse(&m, o->addr) == QUDAG_OK && multiaddr_peer(&m, &id), "address");
    while (!d->stop && !relays_get(n->relays, &id, &hop)) {
        must(qudag_node_step(a.node, 10 * QUDAG_MS) == QUDAG_OK, "step");
    }
    n->core[n->ix.onion].report = NULL; /* it would close circuits that nobody asked for */
    d->links++;
    while (!d->stop) {
        for (size_t i = 0; i < ARRAY_LEN(c); i++) {
            const struct onion_circuit *x = slots_get(&n->onion->circuits, c[i]);
            if (x != NULL && x->phase == ONION_PH_READY) {
                onion_close(n->onion, c[i], n->now, node_begin(n));
                node_end(n, n->ix.onion);
                d->acts++;
            }
            if (x == NULL || x->phase == ONION_PH_CLOSING) {
                qudag_err err = onion_build(n->onion, &hop, 1, n->now, node_begin(n), &c[i]);
                node_end(n, n->ix.onion);
                c[i] = err == QUDAG_OK ? c[i] : (struct ref){0};
            }
        }
        must(qudag_node_step(a.node, QUDAG_MS) == QUDAG_OK, "step");
        d->cpu_ns = (uint64_t)(usage_now().cpu_s * 1e9);
    }
}

/* ---- rows */

struct row {
    const char *name;
    enum flood_kind kind;
    unsigned foes;
    double per_s;
    unsigned identities, hosts; /* FLOOD_IDENTITIES */
};

static const struct row rows[] = {
    {"garbage", FLOOD_GARBAGE, 1, 0, 0, 0},
    {"forged initials 10,000/s", FLOOD_INITIALS, 1, 10000, 0, 0},
    {"forged initials 25,000/s", FLOOD_INITIALS, 1, 25000, 0, 0},
    {"forged initials 50,000/s", FLOOD_INITIALS, 1, 50000, 0, 0},
    {"true initials 10,000/s", FLOOD_HELLOS, 1, 10000, 0, 0},
    {"streams reset, 1 link", FLOOD_STREAMS, 1, 0, 0, 0},
    {"streams reset, 8 links", FLOOD_STREAMS, 8, 0, 0, 0},
    {"garbage requests, 4 links", FLOOD_REQUESTS, 4, 0, 0, 0},
    {"ping frames, 1 link", FLOOD_PINGS, 1, 0, 0, 0},
    {"path challenges, 1 link", FLOOD_CHALLENGES, 1, 0, 0, 0},
    {"creates, 2 peers", FLOOD_CREATES, 2, 0, 0, 0},
    {"1,100 identities", FLOOD_IDENTITIES, 1, 0, 1100, 1},
    {"1,000 identities of one /24", FLOOD_IDENTITIES, 1, 0, 1000, 250},
};

static pid_t begin(void (*fn)(void))
{
    pid_t pid = fork();

    must(pid >= 0, "fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn();
        _exit(0);
    }
    return pid;
}

static pid_t begin_foe(const struct flood_order *o, struct flood_done *d)
{
    memset(d, 0, sizeof *d);
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (o->kind == FLOOD_CREATES) {
            creates(o, d);
        } else {
            flood_run(o, d);
        }
        _exit(0);
    }
    return pid;
}

static void end_foes(pid_t *pid, struct flood_done *d, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        d[i].stop = true;
    }
    for (unsigned i = 0; i < n; i++) {
        for (int k = 0; k < 100 && waitpid(pid[i], NULL, WNOHANG) == 0; k++) {
            nap(0.02);
            if (k == 99) {
                (void)kill(pid[i], SIGKILL);
                (void)waitpid(pid[i], NULL, 0);
            }
        }
    }
}

struct seen {
    double mb_s, ping50, ping99, link_max;
    unsigned pings, pings_lost, links, links_lost;
};

static double quantile(const struct samples *v, unsigned from, double q, unsigned *n,
                       unsigned *lost)
{
    static double s[SAMPLES];

    *n = *lost = 0;
    for (unsigned i = from; i < v->n; i++) {
        if (v->s[i % SAMPLES] < 0) {
            ++*lost;
        } else {
            s[(*n)++] = v->s[i % SAMPLES];
        }
    }
    qsort(s, *n, sizeof *s, by_size);
    return *n == 0 ? -1 : s[(size_t)(q * (*n - 1))];
}

static struct seen look(double seconds)
{
    struct seen r;
    uint64_t bytes = sh->echoed;
    unsigned pings = sh->ping.n, links = sh->link.n, n, lost;
    double begin_at = now_s();

    nap(seconds);
    r.mb_s = (double)(sh->echoed - bytes) / 1e6 / (now_s() - begin_at);
    r.ping50 = quantile(&sh->ping, pings, 0.5, &n, &lost);
    r.ping99 = quantile(&sh->ping, pings, 0.99, &r.pings, &r.pings_lost);
    r.link_max = quantile(&sh->link, links, 1, &r.links, &r.links_lost);
    return r;
}

static struct seen reference(const struct row *row, double seconds)
{
    struct flood_order o[FOES_MAX];
    pid_t pid[FOES_MAX];
    struct netaddr sink = {.family = 4, .ip = {127, 0, 0, 1}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof sa;

    must(fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0 &&
             getsockname(fd, (struct sockaddr *)&sa, &len) == 0,
         "sink");
    sink.port = ntohs(sa.sin_port);
    for (unsigned i = 0; i < row->foes; i++) {
        const struct flood_done *d = &sh->foe[i];
        double n = (double)d->dgrams;
        o[i] = (struct flood_order){.kind = FLOOD_DOUBLE,
                                    .target = sink,
                                    .from = {.family = 4, .ip = {127, 2, 0, 1}},
                                    .per_s = n / seconds,
                                    .bytes = n > 0 ? (double)d->bytes / n : 0,
                                    .cpu = (double)d->cpu_ns / 1e9 / seconds};
        pid[i] = begin_foe(&o[i], &sh->twin[i]);
    }
    nap(0.5);
    struct seen r = look(seconds);
    end_foes(pid, sh->twin, row->foes);
    must(close(fd) == 0, "close");
    return r;
}

static void measure(unsigned ix, double seconds)
{
    const struct row *row = &rows[ix];
    struct flood_order o[FOES_MAX];
    pid_t pid[FOES_MAX];
    double dgrams = 0, acts = 0, links = 0, cpu = 0, rss = child_usage(&target).rss;

    for (unsigned i = 0; i < row->foes; i++) {
        o[i] = (struct flood_order){.kind = row->kind,
                                    .target = target_addr,
                                    .from = {.family = 4, .ip = {127, (uint8_t)(20 + ix), 7, 1}},
                                    .per_s = row->per_s / row->foes,
                                    .identities = row->identities,
                                    .hosts = row->hosts,
                                    .addr = target.addr};
        pid[i] = begin_foe(&o[i], &sh->foe[i]);
    }
    for (int i = 0; i < 200 && (sh->foe[row->foes - 1].dgrams | sh->foe[row->foes - 1].acts) == 0;
         i++) {
        nap(0.05);
    }
    nap(0.5);
    struct flood_done before[FOES_MAX];
    memcpy(before, sh->foe, sizeof before);
    double target_cpu = child_cpu_s(&target);
    struct seen with = look(seconds);
    target_cpu = (child_cpu_s(&target) - target_cpu) / seconds;
    for (unsigned i = 0; i < row->foes; i++) {
        sh->foe[i].dgrams -= before[i].dgrams;
        sh->foe[i].bytes -= before[i].bytes;
        sh->foe[i].cpu_ns -= before[i].cpu_ns;
        dgrams += (double)sh->foe[i].dgrams / seconds;
        acts += (double)(sh->foe[i].acts - before[i].acts) / seconds;
        cpu += (double)sh->foe[i].cpu_ns / 1e9 / seconds;
        links += (double)sh->foe[i].links;
    }
    struct flood_done did[FOES_MAX];
    memcpy(did, sh->foe, sizeof did);
    end_foes(pid, sh->foe, row->foes);
    memcpy(sh->foe, did, sizeof did);
    struct usage u = child_usage(&target);
    nap(1);
    struct seen ref = reference(row, seconds);
    (void)printf("{\"bench\":\"flood\",\"name\":\"%s\",\"value\":%.3f,\"unit\":\"of the "
                 "reference\",\"target\":0.7,\"echo_mb_s\":%.1f,\"reference_mb_s\":%.1f,"
                 "\"ping_p50_ms\":%.2f,\"ping_p99_ms\":%.2f,\"reference_ping_p99_ms\":%.2f,"
                 "\"pings_lost\":%u,\"new_link_max_s\":%.3f,\"new_links\":%u,"
                 "\"new_links_failed\":%u,\"dgrams_per_s\":%.0f,\"acts_per_s\":%.0f,"
                 "\"attack_links\":%.0f,\"attack_cpu\":%.2f,\"target_cpu\":%.2f,\"rss_mib\":%.1f,"
                 "\"rss_grown_mib\":%.1f}\n",
                 row->name, with.mb_s / ref.mb_s, with.mb_s, ref.mb_s, with.ping50 * 1e3,
                 with.ping99 * 1e3, ref.ping99 * 1e3, with.pings_lost, with.link_max, with.links,
                 with.links_lost, dgrams, acts, links, cpu, target_cpu, u.rss / 1048576,
                 (u.rss - rss) / 1048576);
    must(fflush(stdout) == 0, "stdout");
    nap(1);
}

int main(int argc, char **argv)
{
    struct actor_opts o = {.relay = true, .relays_min = 1};
    unsigned a, b, c, d, port;

    if (child_main(argc, argv)) {
        return 0;
    }
    uint64_t which = option(argc, argv, "--rows", (1u << ARRAY_LEN(rows)) - 1);
    double seconds = (double)option(argc, argv, "--seconds", 4);
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(sh != MAP_FAILED, "mmap");
    child_start(&target, &o);
    must(sscanf(target.addr, "/ip4/%u.%u.%u.%u/udp/%u/", &a, &b, &c, &d, &port) == 5 &&
             qudag_peer_id_parse(&target_id, strstr(target.addr, "/p2p/") + 5) == QUDAG_OK,
         "address of the target");
    target_addr = (struct netaddr){.family = 4,
                                   .ip = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d},
                                   .port = (uint16_t)port};
    pid_t honest[] = {begin(echo), begin(ping), begin(newcomers)};
    for (int i = 0; i < 400 && (sh->echoed == 0 || sh->ping.n == 0); i++) {
        nap(0.05);
    }
    nap(1);
    struct seen alone = look(seconds);
    (void)printf("{\"bench\":\"flood\",\"name\":\"no attack\",\"value\":%.1f,\"unit\":\"MB/s\","
                 "\"ping_p50_ms\":%.2f,\"ping_p99_ms\":%.2f,\"new_link_max_s\":%.3f}\n",
                 alone.mb_s, alone.ping50 * 1e3, alone.ping99 * 1e3, alone.link_max);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if ((which & (1u << i)) != 0) {
            measure(i, seconds);
        }
    }
    sh->stop = true;
    for (size_t i = 0; i < ARRAY_LEN(honest); i++) {
        (void)kill(honest[i], SIGKILL);
        (void)waitpid(honest[i], NULL, 0);
    }
    child_stop(&target);
    return 0;
}
