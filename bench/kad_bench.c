/*
 * kad_bench.c - lookups among many kad objects of one process in virtual time.
 *
 * Counts requests and hops, takes the CPU of everything both sides do (no sockets, no cryptography but
 * SHA-256), and the latency at a constant round trip of 50 ms.  Raw limit: the same work needs at least
 * k + h - 1 requests (find) or h (get), and (h + 1) or h round trips.
 *
 *   kad_bench [NODES]
 */
#include "../tests/kad/kad_net.h"
#include "core/kad/kad_int.h"

#include <inttypes.h>
#include <time.h>

#define LOOKUPS 400
#define IDLE_S 600

static struct net net;

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void line(const char *name, double value, const char *unit)
{
    printf("{\"bench\":\"kad\",\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value,
           unit);
}

struct tally {
    double cpu, rpcs, hops, messages, bytes, took[LOOKUPS];
    size_t n, failed;
};

static void one(struct tally *t, enum kad_op op, size_t node, const char *key, struct slice value)
{
    uint64_t messages = net.messages, bytes = net.bytes;
    double start = cpu_us();
    qudag_err err = net_ask(&net, node, op, key, strlen(key), value);

    t->cpu += cpu_us() - start;
    t->failed += err != QUDAG_OK;
    t->rpcs += net.done.rpcs;
    t->hops += net.done.hops;
    t->messages += (double)(net.messages - messages);
    t->bytes += (double)(net.bytes - bytes);
    t->took[t->n++] = (double)net.done.took / 1e6;
    net_run(&net, net.now + NS_PER_S); /* streams close, corrections end: not part of the lookup */
}

static void show(const char *what, size_t nodes, struct tally *t)
{
    static const struct {
        const char *name, *unit;
    } rows[] = {{"cpu", "us"},  {"rpcs", "1"}, {"hops", "1"}, {"messages", "1"},
                {"bytes", "B"}, {"p50", "ms"}, {"p95", "ms"}, {"failed", "permille"}};
    double n = (double)t->n;

    qsort(t->took, t->n, sizeof(t->took[0]), by_size);
    const double value[] = {t->cpu / n,
                            t->rpcs / n,
                            t->hops / n,
                            t->messages / n,
                            t->bytes / n,
                            t->took[t->n / 2],
                            t->took[t->n * 95 / 100],
                            1000.0 * (double)t->failed / n};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s_n%zu_%s", what, nodes, rows[i].name);
        line(name, value[i], rows[i].unit);
    }
}

int main(int argc, char **argv)
{
    static struct tally find, get, put;
    size_t nodes = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 1000;
    char key[32];

    if (nodes < 2 || nodes > 20000) {
        fprintf(stderr, "usage: kad_bench [NODES], 2 to 20000\n");
        return 2;
    }
    double start = cpu_us();
    net_init(&net, nodes, 0);
    size_t bad = net_join(&net);
    net_run(&net, net.now + 60 * NS_PER_S);
    line("join_cpu_per_node", (cpu_us() - start) / (double)nodes, "us");
    line("join_failed", (double)bad, "1");
    line("memory_per_node", (double)net.mem.used / (double)nodes, "B");
    memset(net.linked, 1, nodes * nodes); /* from here on nobody is new to anybody */
    uint64_t messages = net.messages, bytes = net.bytes;
    start = cpu_us();
    net_run(&net, net.now + IDLE_S * NS_PER_S);
    double node_s = (double)nodes * IDLE_S;
    line("idle_cpu_per_node_second", (cpu_us() - start) / node_s, "us");
    line("idle_messages_per_node_second", (double)(net.messages - messages) / node_s, "1");
    line("idle_bytes_per_node_hour", (double)(net.bytes - bytes) * 3600 / node_s, "B");
    double entries = 0;
    for (size_t i = 0; i < nodes; i++) {
        struct kad_stats s;
        kad_stats_get(net.node[i].kad, &s);
        entries += s.table;
        net.node[i].kad->next_maintain = TSTAMP_NEVER; /* measured above, not below */
    }
    line("table_entries_per_node", entries / (double)nodes, "1");
    for (size_t i = 0; i < LOOKUPS; i++) {
        size_t node = i * 7919 % nodes;
        (void)snprintf(key, sizeof(key), "/v/find%zu", i);
        one(&find, KAD_OP_FIND, node, key, (struct slice){NULL, 0});
        (void)snprintf(key, sizeof(key), "/v/key%zu", i);
        one(&put, KAD_OP_PUT, node, key, (struct slice){(const uint8_t *)"value", 5});
        one(&get, KAD_OP_GET, (node + nodes / 2) % nodes, key, (struct slice){NULL, 0});
    }
    show("find", nodes, &find);
    show("put", nodes, &put);
    show("get", nodes, &get);
    line("action_list_overflows", (double)net.overflows, "1");
    net_fini(&net);
    return 0;
}
