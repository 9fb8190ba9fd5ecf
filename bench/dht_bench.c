/*
 * dht_bench.c - lookups among real nodes, each a process of its own on loopback, all connected.
 *
 *   --nodes N     processes; default 50
 *   --finds N     lookups of each node; default 8
 *   --settle S    seconds between the last link and the first measurement; default 4
 *   --js N        lookups of each node of js-libp2p beside it; default 2 in the first round, else 0
 *
 * Every node looks up the 20 closest to random keys, one lookup at a time in the whole network.  "cpu"
 * is that of all processes together, with what they do beside it.  js-libp2p does the same
 * work in one process (tests/interop/js_bench.py), where its packages are installed.
 */
#include "base/types.h"
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODES_MAX 200
#define IDLE_S 3

struct lab {
    size_t n;
    struct child node[NODES_MAX];
};

/* Figures both implementations have. */
struct figures {
    double p50_ms, p95_ms, cpu_ms, requests, ok, rss, peers;
};

static void row(const char *impl, const char *name, double value, const char *unit, double target)
{
    (void)printf(
        "{\"bench\":\"dht\",\"name\":\"%s\",\"impl\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", name,
        impl, value, unit);
    if (target > 0) {
        (void)printf(",\"target\":%.4g", target);
    }
    (void)printf("}\n");
    must(fflush(stdout) == 0, "stdout");
}

static void wait_s(unsigned s)
{
    (void)usleep(s * 1000 * 1000);
}

static void known(struct child *c, unsigned *links, unsigned *peers)
{
    child_order(c, "known");
    must(fscanf(c->from, "known %u %u", links, peers) == 2 && fgetc(c->from) == '\n', "known");
}

/* Everybody has a link to everybody; the routing tables come of themselves. */
static double lab_start(struct lab *lab, unsigned settle)
{
    struct actor_opts o = {.relay = true, .relays_min = 1};
    unsigned links, peers;
    double sum = 0;

    for (size_t i = 0; i < lab->n; i++) {
        child_start(&lab->node[i], &o);
        o.bootstrap = lab->node[0].addr;
    }
    for (size_t i = 1; i < lab->n; i++) {
        for (size_t j = 0; j < i; j++) {
            char text[QUDAG_ADDR_TEXT_MAX + 8];
            (void)snprintf(text, sizeof text, "meet %s", lab->node[j].addr);
            child_order(&lab->node[i], text);
            (void)child_answer(&lab->node[i], "met");
        }
    }
    wait_s(settle);
    for (size_t i = 0; i < lab->n; i++) {
        known(&lab->node[i], &links, &peers);
        must(links + 1 >= lab->n, "not everybody is connected");
        sum += peers;
    }
    return sum / (double)lab->n;
}

static double cpu_of_all(const struct lab *lab)
{
    double sum = 0;

    for (size_t i = 0; i < lab->n; i++) {
        sum += child_cpu_s(&lab->node[i]);
    }
    return sum;
}

static void find_all(struct lab *lab, unsigned each, struct figures *f)
{
    static double ms[NODES_MAX * BENCH_FINDS_MAX];
    static struct finds one;
    size_t n = 0;
    double begin = now_s(), idle = cpu_of_all(lab);

    wait_s(IDLE_S);
    idle = (cpu_of_all(lab) - idle) / (now_s() - begin);
    row("qudag", "idle: cpu of a node per second", idle / (double)lab->n * 1e3, "ms", 0);

    double cpu = cpu_of_all(lab);
    for (size_t i = 0; i < lab->n; i++) {
        child_find(&lab->node[i], (unsigned)i * each, each, &one);
        f->ok += (double)one.ok;
        f->requests += (double)one.requests;
        for (unsigned k = 0; k < each; k++) {
            ms[n++] = one.ns[k] / 1e6;
        }
    }
    cpu = cpu_of_all(lab) - cpu;
    f->p50_ms = median(ms, n);
    f->p95_ms = ms[n * 95 / 100];
    f->cpu_ms = cpu / (double)n * 1e3;
    f->requests /= (double)n;
    f->ok /= (double)n;
}

static void show(const char *impl, const struct figures *f, bool ours)
{
    row(impl, "find-20, p50", f->p50_ms, "ms", ours ? 3 : 0);
    row(impl, "find-20, p95", f->p95_ms, "ms", 0);
    row(impl, "find-20, cpu of all nodes", f->cpu_ms, "ms", ours ? 3 : 0);
    row(impl, "find-20, requests", f->requests, "requests", 0);
    row(impl, "find-20, found 20", f->ok * 100, "%", 0);
    row(impl, "routing table, peers", f->peers, "peers", 0);
    row(impl, "node, resident", f->rss / 1048576, "MiB", ours ? 4 : 0);
}

static void memory(struct lab *lab, struct figures *f)
{
    double rss[NODES_MAX], anon[NODES_MAX], pss[NODES_MAX];

    for (size_t i = 0; i < lab->n; i++) {
        struct usage u = child_usage(&lab->node[i]);
        rss[i] = u.rss;
        anon[i] = u.anon;
        pss[i] = child_pss(&lab->node[i]);
    }
    f->rss = median(rss, lab->n);
    row("qudag", "node, private", median(anon, lab->n) / 1048576, "MiB", 0);
    row("qudag", "node, its share (PSS)", median(pss, lab->n) / 1048576, "MiB", 4);
}

/* False: not there; it has said why. */
static bool js(size_t nodes, unsigned finds, struct figures *f)
{
    char command[256], line[256];

    (void)snprintf(command, sizeof command,
                   "timeout 240 python3 tests/interop/js_bench.py --nodes %zu --finds %u", nodes,
                   finds);
    FILE *p = popen(command, "r");
    must(p != NULL, "js");
    bool got = false;
    while (fgets(line, sizeof line, p) != NULL) {
        got |= sscanf(line, "js %lf %lf %lf %lf %lf %lf %lf", &f->p50_ms, &f->p95_ms, &f->cpu_ms,
                      &f->requests, &f->ok, &f->rss, &f->peers) == 7;
    }
    return pclose(p) == 0 && got;
}

static void ratios(const struct figures *us, const struct figures *them)
{
    row("js over qudag", "find-20, p50", them->p50_ms / us->p50_ms, "times", 0);
    row("js over qudag", "find-20, cpu of all nodes", them->cpu_ms / us->cpu_ms, "times", 0);
    row("js over qudag", "node, resident", them->rss / us->rss, "times", 0);
}

int main(int argc, char **argv)
{
    static struct lab lab;
    struct figures us = {.ok = 0}, them = {.ok = 0};

    if (child_main(argc, argv)) {
        return 0;
    }
    lab.n = (size_t)option(argc, argv, "--nodes", 50);
    unsigned finds = (unsigned)option(argc, argv, "--finds", 8);
    const char *round = getenv("BENCH_ROUND"); /* set by tools/bench.py; js takes a minute */
    unsigned usual = round == NULL || strtoul(round, NULL, 10) == 1 ? 2 : 0;
    unsigned js_finds = (unsigned)option(argc, argv, "--js", usual);
    must(lab.n >= 2 && lab.n <= NODES_MAX && finds >= 1 && finds <= BENCH_FINDS_MAX, "arguments");
    us.peers = lab_start(&lab, (unsigned)option(argc, argv, "--settle", 4));
    memory(&lab, &us);
    find_all(&lab, finds, &us);
    show("qudag", &us, true);
    for (size_t i = 0; i < lab.n; i++) {
        child_stop(&lab.node[i]);
    }
    if (js_finds > 0 && js(lab.n, js_finds, &them)) {
        show("js-libp2p", &them, false);
        ratios(&us, &them);
    }
    return 0;
}
