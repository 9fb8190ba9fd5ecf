/*
 * store_bench.c - the store on disk: latency of a commit at several rates, stalls under load, size, memory, opening.
 *
 * Each figure is taken in a process of its own, in a folder of its own.
 *
 *   --dir D       where; default /tmp (a real disk makes the figures meaningful)
 *   --seconds N   for each rate; default 20
 *   --value N     bytes of a value; default 1000
 */
#include "crypto/hash.h"
#include "io/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (UINT64_C(4) << 30)
#define LOADED 10000 /* records there before latency is taken */
#define BURST 20000

static char dir[256], path[320];
static size_t value_len = 1000;

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void row(const char *name, double value, const char *unit)
{
    (void)printf("{\"bench\":\"store\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"}\n", name,
                 value, unit);
    must(fflush(stdout) == 0, "stdout");
}

static void clear_dir(void)
{
    char file[600];
    struct dirent *e;
    DIR *d = opendir(path);

    while (d != NULL && (e = readdir(d)) != NULL) {
        (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        (void)unlink(file);
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    (void)rmdir(path);
}

static struct store *open_store(void)
{
    struct store_config c = {.dir = path, .size_max = SIZE_MAX_BYTES};
    char why[STORE_WHY_LEN];
    struct store *s;

    if (store_open(&s, &c, why) != QUDAG_OK) {
        (void)fprintf(stderr, "%s\n", why);
        exit(1);
    }
    return s;
}

static void put(struct store *s, unsigned i)
{
    static uint8_t value[STORE_VALUE_MAX];
    uint8_t hash[BLAKE3_LEN];

    blake3(hash, (struct slice){(const uint8_t *)&i, sizeof i});
    memcpy(value, hash, sizeof hash);
    must(store_put(s, 1, hash, (struct slice){value, value_len}) == QUDAG_OK, "put");
}

static void fill(struct store *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put(s, i);
        if (i % 32 == 31) {
            must(store_commit(s) == QUDAG_OK, "commit");
        }
    }
    must(store_commit(s) == QUDAG_OK, "commit");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* |v| is sorted. */
static double share(const double *v, size_t n, double q)
{
    size_t ix = (size_t)(q * (double)n);

    return v[ix < n ? ix : n - 1];
}

static void latency(const char *what, double *v, size_t n)
{
    char name[64];
    static const struct {
        const char *name;
        double q;
    } shares[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};

    qsort(v, n, sizeof *v, compare);
    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        (void)snprintf(name, sizeof name, "put and commit, %s, %s", what, shares[i].name);
        row(name, 1e6 * share(v, n, shares[i].q), "us");
    }
}

/* |rate| puts a second, each committed; 0: as fast as it goes. */
static void at_rate(unsigned rate, unsigned n)
{
    double *v = calloc(n, sizeof *v);
    char what[32];

    must(v != NULL, "memory");
    struct store *s = open_store();
    fill(s, LOADED);
    double began = now_s();
    for (unsigned i = 0; i < n; i++) {
        double due = rate == 0 ? 0 : began + (double)i / rate, wait = due - now_s();
        if (wait > 0) {
            struct timespec t = {(time_t)wait, (long)(1e9 * (wait - (double)(time_t)wait))};
            (void)nanosleep(&t, NULL);
        }
        double t = now_s();
        put(s, LOADED + i);
        must(store_commit(s) == QUDAG_OK, "commit");
        v[i] = now_s() - t;
    }
    double took = now_s() - began;
    (void)snprintf(what, sizeof what, rate == 0 ? "at once" : "%u a second", rate);
    latency(what, v, n);
    if (rate == 0) {
        row("puts with a commit each", n / took, "1/s");
    }
    store_close(s);
    free(v);
}

static double status_kib(const char *key)
{
    char line[256];
    double v = 0;
    FILE *f = fopen("/proc/self/status", "r");

    must(f != NULL, "status");
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            v = strtod(line + strlen(key) + 1, NULL);
        }
    }
    (void)fclose(f);
    return v;
}

static qudag_err take(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value)
{
    unsigned *n = ctx;

    (void)kind;
    (void)hash;
    *n += value.len == value_len ? 1 : 0;
    return QUDAG_OK;
}

static double dir_bytes(void)
{
    char file[600];
    struct dirent *e;
    struct stat st;
    double sum = 0;
    DIR *d = opendir(path);

    while (d != NULL && (e = readdir(d)) != NULL) {
        (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && stat(file, &st) == 0) {
            sum += 512.0 * (double)st.st_blocks;
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return sum;
}

static void fill_only(unsigned n, unsigned unused)
{
    (void)unused;
    struct store *s = open_store();
    double t = now_s();
    fill(s, n);
    double took = now_s() - t;
    store_close(s);
    char name[64];
    (void)snprintf(name, sizeof name, "%u records, filled, 32 a commit", n);
    row(name, n / took, "1/s");
    (void)snprintf(name, sizeof name, "%u records, on disk", n);
    row(name, dir_bytes() / 1048576, "MiB");
}

static void open_only(unsigned n, unsigned unused)
{
    double before = status_kib("VmRSS:"), anon = status_kib("RssAnon:");
    unsigned seen = 0;
    char name[64];

    (void)unused;
    double t = now_s();
    struct store *s = open_store();
    must(store_each(s, take, &seen) == QUDAG_OK && seen == n, "records");
    double took = now_s() - t;
    (void)snprintf(name, sizeof name, "%u records, opened and read", n);
    row(name, 1e3 * took, "ms");
    (void)snprintf(name, sizeof name, "%u records, resident memory more", n);
    row(name, status_kib("VmRSS:") - before, "KiB");
    (void)snprintf(name, sizeof name, "%u records, of it anonymous", n);
    row(name, status_kib("RssAnon:") - anon, "KiB");
    store_close(s);
}

static void apart(void (*fn)(unsigned a, unsigned b), unsigned a, unsigned b)
{
    int status;
    pid_t pid = fork();

    must(pid >= 0, "fork");
    if (pid == 0) {
        fn(a, b);
        exit(0);
    }
    must(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
         "a part of the benchmark");
}

int main(int argc, char **argv)
{
    static const unsigned rates[] = {1, 10, 100}, sizes[] = {1000, 10000, 100000};
    unsigned seconds = 20;

    (void)snprintf(dir, sizeof dir, "/tmp");
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0) {
            (void)snprintf(dir, sizeof dir, "%s", argv[i + 1]);
        } else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = (unsigned)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--value") == 0) {
            value_len = (size_t)strtoul(argv[i + 1], NULL, 10);
        }
    }
    must(value_len >= BLAKE3_LEN && value_len <= STORE_VALUE_MAX && seconds > 0, "arguments");
    (void)snprintf(path, sizeof path, "%s/qudag-store-bench-%ld", dir, (long)getpid());
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        apart(at_rate, rates[i], rates[i] * seconds);
        clear_dir();
    }
    apart(at_rate, 0, BURST);
    clear_dir();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        apart(fill_only, sizes[i], 0);
        apart(open_only, sizes[i], 0);
        clear_dir();
    }
    return 0;
}
