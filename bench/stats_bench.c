/*
 * stats_bench.c - reading everything that a node counts and measures: how long, and whether it allocates.
 *
 * It is what the loop of the daemon does for each scrape of its metrics; the text is written on another thread, and is
 * measured, with HTTP, by tests/system/metrics_test.py.
 *
 *   --walks N   default 20000
 */
#include <qudag/qudag.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t allocations;

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "stats_bench: %s\n", what);
        exit(1);
    }
}

static void *count_alloc(void *ctx, size_t size)
{
    (void)ctx;
    allocations++;
    return malloc(size);
}

static void count_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void row(const char *name, double value, const char *unit, const char *more)
{
    (void)printf("{\"bench\":\"stats\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"%s}\n", name,
                 value, unit, more);
    must(fflush(stdout) == 0, "stdout");
}

/* What the page for browsers shows besides: links, circuits, and how the node is. */
static size_t rows(const qudag_node *n)
{
    qudag_link_info link = QUDAG_INIT(qudag_link_info);
    qudag_circuit_info circuit = QUDAG_INIT(qudag_circuit_info);
    qudag_diversity diversity = QUDAG_INIT(qudag_diversity);
    qudag_anonymity anonymity = QUDAG_INIT(qudag_anonymity);
    char text[QUDAG_JOIN_TEXT_MAX];
    size_t count = 0;

    for (size_t it = 0; qudag_link_next(n, &it, &link);) {
        count++;
    }
    for (size_t it = 0; qudag_circuit_next(n, &it, &circuit);) {
        count++;
    }
    count += qudag_node_diversity(n, &diversity);
    count += qudag_node_anonymity(n, &anonymity);
    qudag_node_join_text(n, text, sizeof(text));
    return count;
}

/* All values, copied as the daemon does; how many. */
static size_t walk(const qudag_node *n)
{
    static qudag_stat stat[512];
    static qudag_histogram histogram[256];
    size_t stats = 0, histograms = 0;

    for (size_t it = 0; stats < 512; stats++) {
        stat[stats] = (qudag_stat)QUDAG_INIT(qudag_stat);
        if (!qudag_node_stat_next(n, &it, &stat[stats])) {
            break;
        }
    }
    for (size_t it = 0; histograms < 256; histograms++) {
        histogram[histograms] = (qudag_histogram)QUDAG_INIT(qudag_histogram);
        if (!qudag_node_histogram_next(n, &it, &histogram[histograms])) {
            break;
        }
    }
    return stats + histograms + rows(n);
}

int main(int argc, char **argv)
{
    static const qudag_mem mem = {.alloc = count_alloc, .free = count_free};
    const char *listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    long walks = argc == 3 && strcmp(argv[1], "--walks") == 0 ? strtol(argv[2], NULL, 10) : 20000;
    qudag_settings s;
    qudag_callbacks cb = {.size = sizeof(cb)};
    qudag_identity *id = NULL;
    qudag_node *n = NULL;

    must(walks > 0 && walks < 100000000, "--walks is a number above 0");
    must(qudag_identity_generate(&id) == QUDAG_OK, "no identity");
    QUDAG_SETTINGS_INIT(&s);
    s.identity = id;
    s.mem = &mem;
    s.lab = true;
    s.listen = listen;
    s.listen_n = 1;
    must(qudag_node_new(&n, &s, &cb, NULL) == QUDAG_OK, "no node");
    size_t values = walk(n);
    uint64_t before = allocations;
    double begin = now_s();
    for (long i = 0; i < walks; i++) {
        must(walk(n) == values, "another number of values");
    }
    row("values", (double)values, "values", "");
    row("read all", (now_s() - begin) / (double)walks * 1e6, "us", ",\"target\":2000");
    row("allocations of a reading", (double)(allocations - before) / (double)walks, "allocations",
        "");
    must(allocations == before, "reading allocates");
    qudag_node_free(n);
    qudag_identity_free(id);
    return 0;
}
