/*
 * memory_bench.c - resident memory of a node: idle, with links, with circuits, after traffic.
 *
 * Six relays and eight clients, each a process of its own, over loopback.
 *
 *   --mib N   megabytes (2^20) fetched through the circuits in all; default 2048 (10240 for the
 *             figure of the goal, which takes five times as long)
 */
#include "base/types.h"
#include "common.h"
#include "crypto/cgo.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RELAYS 6
#define CLIENTS 8
#define CIRCUITS 250 /* of each client; a neighbour may have 256 through a relay */
#define CROWD 64     /* nodes that have an idle link to one relay */
#define KIB 1024.0
#define MIB (1024.0 * 1024)

static void row(const char *name, double value, const char *unit, double limit, double target)
{
    (void)printf("{\"bench\":\"memory\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", name,
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

/* The same program without a node: what its libraries alone take. */
static double bare_process(void)
{
    int fd[2];
    double rss = 0;
    pid_t pid;

    must(pipe(fd) == 0, "pipe");
    pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        must(dup2(fd[1], 1) == 1, "dup2");
        (void)execl("/proc/self/exe", "node", "--bare", (char *)NULL);
        _exit(127);
    }
    must(close(fd[1]) == 0 && read(fd[0], &rss, sizeof rss) == sizeof rss && close(fd[0]) == 0 &&
             waitpid(pid, NULL, 0) == pid,
         "bare process");
    return rss;
}

static void step_all(struct actor *a, size_t n, double seconds)
{
    for (double end = now_s() + seconds; now_s() < end;) {
        for (size_t i = 0; i < n; i++) {
            must(qudag_node_step(a[i].node, 0) == QUDAG_OK, "step");
        }
        (void)usleep(1000);
    }
}

static double bench_links(struct child *relay)
{
    static struct actor crowd[CROWD];
    const struct actor_opts o = {.bootstrap = NULL, .relay = false, .relays_min = 1};
    double before = child_usage(relay).rss;

    for (size_t i = 0; i < CROWD; i++) {
        actor_make(&crowd[i], &o);
        must(qudag_connect(crowd[i].node, relay->addr, &crowd[i].op) == QUDAG_OK, "connect");
        for (double end = now_s() + 10; !crowd[i].op_over;) {
            must(now_s() < end, "links: too slow");
            must(qudag_node_step(crowd[i].node, QUDAG_S / 10) == QUDAG_OK, "step");
        }
        must(crowd[i].op_err == QUDAG_OK, "connect");
    }
    step_all(crowd, CROWD, 1);
    before = child_usage(relay).rss - before;
    for (size_t i = 0; i < CROWD; i++) {
        actor_stop(&crowd[i]);
    }
    return before / CROWD;
}

static double most(struct child *relay, double (*of)(const struct usage *u))
{
    double max = 0;

    for (size_t i = 0; i < RELAYS; i++) {
        struct usage u = child_usage(&relay[i]);
        max = of(&u) > max ? of(&u) : max;
    }
    return max;
}

static double rss_of(const struct usage *u)
{
    return u->rss;
}

static double anon_of(const struct usage *u)
{
    return u->anon;
}

/* Resident bytes per circuit, and how many the busiest relay has. */
static double bench_circuits(struct child *relay, struct child *client, double *busiest)
{
    double before[RELAYS], bytes = 0, circuits = 0;
    char text[32];

    for (size_t i = 0; i < RELAYS; i++) {
        before[i] = child_usage(&relay[i]).rss;
    }
    (void)snprintf(text, sizeof text, "build %d", CIRCUITS);
    for (size_t i = 0; i < CLIENTS; i++) { /* in turn: all at once would only be slower */
        child_order(&client[i], text);
        must(child_answer(&client[i], "built") == CIRCUITS, "circuits");
    }
    *busiest = 0;
    for (size_t i = 0; i < RELAYS; i++) {
        child_order(&relay[i], "circuits");
        double n = (double)child_answer(&relay[i], "circuits");
        *busiest = n > *busiest ? n : *busiest;
        circuits += n;
        bytes += child_usage(&relay[i]).rss - before[i];
    }
    return bytes / circuits;
}

static void bench_traffic(struct child *client, uint64_t bytes)
{
    char text[64];

    (void)snprintf(text, sizeof text, "fetch %llu 1", (unsigned long long)(bytes / CLIENTS));
    for (size_t i = 0; i < CLIENTS; i++) {
        child_order(&client[i], text);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)child_answer(&client[i], "fetched");
    }
}

static void start_all(struct child *relay, struct child *client)
{
    struct actor_opts o = {.relay = true, .relays_min = 1};

    for (size_t i = 0; i < RELAYS; i++) {
        child_start(&relay[i], &o);
        o.bootstrap = relay[0].addr;
    }
    children_ready(relay, RELAYS);
    row("relay, idle: resident", most(relay, rss_of) / MIB, "MiB", bare_process() / MIB, 10);
    row("relay, idle: of it private", most(relay, anon_of) / MIB, "MiB", 0, 0);
    row("link, idle, at the one who was dialled", bench_links(&relay[1]) / KIB, "KiB", 0, 0);
    o.relay = false;
    o.relays_min = RELAYS;
    for (size_t i = 0; i < CLIENTS; i++) {
        child_start(&client[i], &o);
    }
}

int main(int argc, char **argv)
{
    static struct child relay[RELAYS], client[CLIENTS];
    uint64_t bytes = option(argc, argv, "--mib", 2048) << 20;
    double busiest, each;

    if (argc == 2 && strcmp(argv[1], "--bare") == 0) {
        struct usage u = usage_now();
        return write(1, &u.rss, sizeof u.rss) != sizeof u.rss;
    }
    if (child_main(argc, argv)) {
        return 0;
    }
    start_all(relay, client);
    each = bench_circuits(relay, client, &busiest);
    row("circuit, at a relay", each / KIB, "KiB", 2 * sizeof(struct cgo) / KIB, 0);
    row("circuits at the busiest relay", busiest, "circuits", 0, 0);
    row("relay with these circuits: resident", most(relay, rss_of) / MIB, "MiB", 0, 24);
    bench_traffic(client, bytes);
    row("relay after the traffic: resident", most(relay, rss_of) / MIB, "MiB", 0, 24);
    row("relay after the traffic: of it private", most(relay, anon_of) / MIB, "MiB", 0, 0);
    row("traffic fetched in all", (double)bytes / 1e9, "GB", 0, 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        child_stop(&client[i]);
    }
    for (size_t i = 0; i < RELAYS; i++) {
        child_stop(&relay[i]);
    }
    return 0;
}
