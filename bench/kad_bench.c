/*
 * kad_bench.c - lookups among many kad objects of one process in virtual time.
 *
 *   kad_bench [NODES ...]      default 1000 10000, and 100000 in the first round; more than 1000 do not
 *                              join but get their tables
 *
 * Counts requests and hops, takes the time of everything both sides do (no sockets, no cryptography but
 * SHA-256) and the latency at a constant round trip.  "cpu" is the whole process, "core" what is spent
 * inside the cores: the rest is this program's queue of events.
 *
 * Limits: with h hops a find needs at least k + h - 1 requests and h + 1 round trips, a get h of each;
 * h = (ln N - 2.07) / 3.84 with one request at a time, (ln N - 1.1) / 4.67 with ten (Cai and Devroye,
 * arXiv 1309.5866; the constants are fitted to simulated networks of 1,000 to 1,000,000 nodes).
 */
#include "../tests/kad/kad_net_fill.h"

#include <math.h>
#include <time.h>

#define LOOKUPS 1000
#define JOIN_MAX 1000 /* nodes that join one after the other in a few seconds */
#define NODES_MAX 1000000
#define IDLE_S 600
#define BYTES_PER_NODE 100000 /* of memory, more than a filled node of the largest network takes */

static struct net net;

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t wall_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* What timing one call of a core adds to its time. */
static double clock_cost_ns(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < 100000; i++) {
        uint64_t began = wall_ns();
        sum += wall_ns() - began;
    }
    return (double)sum / 100000;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* |limit|, |target|: 0 when there is none. */
static void line(const char *name, double value, const char *unit, double limit, double target)
{
    printf("{\"bench\":\"kad\",\"name\":\"%s\",\"nodes\":%zu,\"value\":%.4g,\"unit\":\"%s\"", name,
           net.n, value, unit);
    if (limit > 0) {
        printf(",\"limit\":%.4g", limit);
    }
    if (target > 0) {
        printf(",\"target\":%.4g", target);
    }
    printf("}\n");
    (void)fflush(stdout);
}

struct tally {
    double cpu, core, rpcs, hops, bytes, sum, took[LOOKUPS];
    size_t n, failed;
};

/* Every other lookup is timed inside the cores: the clock would slow down the others. */
static void one(struct tally *t, double clock_cost, enum kad_op op, size_t node, const char *key,
                struct slice value)
{
    uint64_t bytes = net.bytes;
    bool inside = t->n % 2 == 1;

    net.clock = inside ? wall_ns : NULL;
    net.core_time = 0;
    net.core_calls = 0;
    double start = cpu_us();
    qudag_err err = net_ask(&net, node, op, key, strlen(key), value);
    if (inside) {
        t->core += (double)net.core_time - clock_cost * (double)net.core_calls;
    } else {
        t->cpu += cpu_us() - start;
    }
    net.clock = NULL;
    t->failed += err != QUDAG_OK;
    t->rpcs += net.done.rpcs;
    t->hops += net.done.hops;
    t->bytes += (double)(net.bytes - bytes);
    t->sum += (double)net.done.took / 1e6;
    t->took[t->n++] = (double)net.done.took / 1e6;
    net_run(&net, net.now + NS_PER_S); /* streams close, corrections end: not part of the lookup */
}

struct wanted {
    double limit, target;
};

/* What |op| costs at least, and what is aimed at among 1,000. */
static void wanted(enum kad_op op, struct wanted *rpcs, struct wanted *hops, struct wanted *round,
                   struct wanted *cpu)
{
    double h1 = (log((double)net.n) - 2.07) / 3.84, h10 = (log((double)net.n) - 1.1) / 4.67;
    bool small = net.n == 1000;

    h1 = h1 < 1 ? 1 : h1;
    h10 = h10 < 1 ? 1 : h10;
    *rpcs = *hops = *round = *cpu = (struct wanted){0, 0};
    switch (op) {
    case KAD_OP_FIND:
        *rpcs = (struct wanted){KAD_K + h1 - 1, small ? 28 : 0};
        *hops = (struct wanted){h10, 0};
        *round = (struct wanted){h10 + 1, 0};
        *cpu = (struct wanted){0, small ? 60 : 0};
        break;
    case KAD_OP_PUT:
        *rpcs = (struct wanted){2 * KAD_K + h1 - 1, 0};
        *round = (struct wanted){h10 + 2, 0};
        break;
    default:
        *rpcs = (struct wanted){h1, small ? 4 : 0};
        *hops = (struct wanted){h1, 0};
        *round = (struct wanted){h1, small ? 1.3 : 0};
        break;
    }
}

static void show(const char *what, enum kad_op op, struct tally *t)
{
    double n = (double)t->n, half = n / 2, rtt = (double)net.rtt / 1e6;
    struct wanted rpcs, hops, round, cpu;
    char name[64];

    wanted(op, &rpcs, &hops, &round, &cpu);
    qsort(t->took, t->n, sizeof(t->took[0]), by_size);
    const struct {
        const char *name, *unit;
        double value;
        struct wanted w;
    } rows[] = {
        {"requests", "requests", t->rpcs / n, rpcs},
        {"hops", "hops", t->hops / n, hops},
        {"round trips, mean", "RTT", t->sum / n / rtt, round},
        {"p50 at 50 ms", "ms", t->took[t->n / 2], {0, 0}},
        {"p95 at 50 ms", "ms", t->took[t->n * 95 / 100], {0, 0}},
        {"bytes, both ways", "B", t->bytes / n, {0, 0}},
        {"core, both sides", "us", t->core / half / 1e3, cpu},
        {"cpu, both sides", "us", t->cpu / half, {0, 0}},
        {"failed", "permille", 1000.0 * (double)t->failed / n, {0, 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)snprintf(name, sizeof(name), "%s: %s", what, rows[i].name);
        line(name, rows[i].value, rows[i].unit, rows[i].w.limit, rows[i].w.target);
    }
}

static void lookups(double clock_cost, const char *what, enum kad_op op, const char *key_form,
                    struct slice value)
{
    static struct tally t;
    char key[64];

    t = (struct tally){.n = 0};
    for (size_t i = 0; i < LOOKUPS; i++) {
        (void)snprintf(key, sizeof(key), "/v/%s%zu", key_form, i);
        size_t node = i * 7919 % net.n;
        one(&t, clock_cost, op, op == KAD_OP_GET ? (node + net.n / 2) % net.n : node, key, value);
    }
    show(what, op, &t);
}

/* What a network costs in which nothing is asked. */
static void idle(void)
{
    uint64_t messages = net.messages, bytes = net.bytes;
    double start = cpu_us(), node_s = (double)net.n * IDLE_S;

    net_run(&net, net.now + IDLE_S * NS_PER_S);
    line("idle: cpu per node and second", (cpu_us() - start) / node_s, "us", 0, 0);
    line("idle: messages per node and second", (double)(net.messages - messages) / node_s, "1", 0,
         0.25);
    line("idle: bytes per node and hour", (double)(net.bytes - bytes) * 3600 / node_s, "B", 0, 0);
}

/* Tables as after joining; upkeep, measured before, stays out of the lookups. */
static void make_tables(void)
{
    double start = cpu_us(), entries = 0;

    if (net.n <= JOIN_MAX) {
        size_t bad = net_join(&net);
        net_run(&net, net.now + 60 * NS_PER_S);
        line("join: cpu per node", (cpu_us() - start) / (double)net.n, "us", 0, 0);
        line("join: failed", (double)bad, "1", 0, 0);
        net.all_met = true;
        idle();
    } else {
        net.all_met = true;
        net_fill(&net);
        line("fill: cpu per node", (cpu_us() - start) / (double)net.n, "us", 0, 0);
    }
    for (size_t i = 0; i < net.n; i++) {
        struct kad_stats s;
        kad_stats_get(net.node[i].kad, &s);
        entries += s.table;
        net.node[i].kad->care.next = TSTAMP_NEVER;
        net.node[i].kad->care.next_check = TSTAMP_NEVER;
    }
    line("table: entries per node", entries / (double)net.n, "1", 0, 0);
    line("memory shared by all", (double)kad_scratch_size(net.scratch), "B", 0, 0);
    line("memory per node, its share included", (double)net.mem.used / (double)net.n, "B", 0,
         net.n <= 1000 ? 24 * 1024 : 0);
}

static bool fits(size_t nodes)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char text[128];
    double kib = 0;

    while (f != NULL && fgets(text, sizeof(text), f) != NULL) {
        if (strncmp(text, "MemAvailable:", 13) == 0) {
            kib = strtod(text + 13, NULL);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return kib * 1024 > (double)nodes * BYTES_PER_NODE;
}

static void measure(size_t nodes, double clock_cost)
{
    if (!fits(nodes)) {
        fprintf(stderr, "kad_bench: %zu nodes left out: they need up to %zu MB of free memory\n",
                nodes, nodes * BYTES_PER_NODE / 1000000);
        return;
    }
    net_init(&net, nodes, 0);
    make_tables();
    struct slice none = {NULL, 0}, value = {(const uint8_t *)"value", 5};
    lookups(clock_cost, "find-20", KAD_OP_FIND, "find", none);
    lookups(clock_cost, "put", KAD_OP_PUT, "key", value);
    lookups(clock_cost, "get", KAD_OP_GET, "key", none);
    line("action list: overflows", (double)net.overflows, "1", 0, 0);
    net_fini(&net);
}

int main(int argc, char **argv)
{
    static const size_t usual[] = {1000, 10000, 100000};
    double clock_cost = clock_cost_ns();

    for (int i = 1; i < argc; i++) {
        size_t nodes = (size_t)strtoul(argv[i], NULL, 10);
        if (nodes < 2 || nodes > NODES_MAX) {
            fprintf(stderr, "usage: kad_bench [NODES ...], each 2 to %d\n", NODES_MAX);
            return 2;
        }
    }
    const char *round = getenv("BENCH_ROUND"); /* set by tools/bench.py */
    bool again = round != NULL && strtoul(round, NULL, 10) > 1;
    for (size_t i = 0; argc == 1 && i < ARRAY_LEN(usual) - (again ? 1 : 0); i++) {
        measure(usual[i], clock_cost);
    }
    for (int i = 1; i < argc; i++) {
        measure((size_t)strtoul(argv[i], NULL, 10), clock_cost);
    }
    return 0;
}
