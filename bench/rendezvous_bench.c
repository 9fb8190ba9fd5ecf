/*
 * rendezvous_bench.c - hidden services over loopback, each node a process of its own.
 *
 *   this process (caller) ── guard ── L2 ── R ══ R's other circuit ── middle ── L2 ── guard ── service
 *
 *   --relays N     default 6
 *   --clean N      clean circuits that wait at the caller and the service; default 2
 *   --services N   addresses, each of which is called once for its record; default 16
 *   --calls N      further calls, of which the record is known; default 40
 *   --pause MS     before each call, in which clean circuits are built; default 3000
 *   --mib N        megabytes (2^20) of a bulk transfer; default 64
 *   --held N       rendezvous that one service holds, of callers with 48 each; default 480
 *   --parts N      sum of 1 calls, 2 streams and echo, 4 bulk, 8 memory and processor time of a service
 *
 * From a call to the first byte of an answer that comes back.  No waits on purpose: dark.delay_ms 0, hide_cache off.  A
 * new address is not at both its places in the DHT for an hour or so; calls that had to ask for the other one, which a
 * pause of 0.2 s or more precedes (spec/dark.md D-15), are counted apart.
 */
#include "base/types.h"
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RELAYS_MAX 16
#define SERVICES_MAX 64
#define CALLS_MAX 512
#define CIRCUITS_MAX 256
#define PLACES 6 /* relays between caller and service, R among them */
#define OPENS 200
#define ECHOES 2000
#define HELD_MAX 1000
#define HELD_EACH 48 /* rendezvous of one caller at one address: its budget is 64 */
#define AT_ONCE 8    /* callers; one call of each at a time */

struct lab {
    struct child relay[RELAYS_MAX], service;
    size_t relays;
    struct actor me;
    char addr[SERVICES_MAX][QUDAG_DARK_TEXT_MAX];
    size_t services;
    uint32_t keys; /* used so far */
};

static void row(const char *name, double value, const char *unit, double target)
{
    (void)printf("{\"bench\":\"rendezvous\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", name,
                 value, unit);
    if (target > 0) {
        (void)printf(",\"target\":%.4g", target);
    }
    (void)printf("}\n");
    must(fflush(stdout) == 0, "stdout");
}

static void lab_start(struct lab *lab, uint8_t clean)
{
    struct actor_opts o = {.relay = true, .relays_min = 1};

    for (size_t i = 0; i < lab->relays; i++) {
        child_start(&lab->relay[i], &o);
        o.bootstrap = lab->relay[0].addr;
    }
    children_ready(lab->relay, lab->relays);
    o.relay = false;
    o.relays_min = (uint32_t)lab->relays;
    o.clean = clean;
    child_start(&lab->service, &o);
    children_ready(&lab->service, 1);
    char order[32];
    (void)snprintf(order, sizeof order, "host %zu", lab->services);
    child_order(&lab->service, order);
    for (size_t i = 0; i < lab->services; i++) {
        char line[QUDAG_DARK_TEXT_MAX + 16];
        must(fgets(line, sizeof line, lab->service.from) != NULL &&
                 sscanf(line, "hosted %127s", lab->addr[i]) == 1,
             "hosted");
    }
    actor_start(&lab->me, &o);
    actor_wait_ready(&lab->me);
}

/* Lets the node do what it does by itself for a while. */
static void rest(struct lab *lab, double seconds)
{
    for (double end = now_s() + seconds; now_s() < end;) {
        must(qudag_node_step(lab->me.node, 10 * QUDAG_MS) == QUDAG_OK, "step");
    }
}

/* Calls |addr| and waits for a byte that comes back; ms.  The stream stays open, in |*out| unless that is NULL. */
static double call(struct lab *lab, const char *addr, struct flow **out)
{
    double t = now_s();
    struct flow *f = actor_call(&lab->me, addr, ++lab->keys, BENCH_ECHO);

    actor_write(&lab->me, f, "x", 1);
    ACTOR_WAIT(&lab->me, f->got == 1 || f->closed, 30);
    must(f->got == 1, "a call failed");
    double ms = (now_s() - t) * 1e3;
    if (out != NULL) {
        *out = f;
    } else {
        actor_drop(&lab->me, f);
    }
    return ms;
}

/* How many circuits served a lookup that did not when this was called last. */
static size_t new_lookups(struct lab *lab)
{
    static uint64_t before[CIRCUITS_MAX];
    static size_t n_before;
    uint64_t now[CIRCUITS_MAX];
    qudag_circuit_info c = QUDAG_INIT(qudag_circuit_info);
    size_t n = 0, fresh = 0;

    for (size_t it = 0; n < CIRCUITS_MAX && qudag_circuit_next(lab->me.node, &it, &c);) {
        if (strcmp(c.purpose, "lookup") != 0 && strcmp(c.purpose, "spent") != 0) {
            continue;
        }
        bool known = false;
        for (size_t i = 0; i < n_before; i++) {
            known = known || before[i] == c.circuit.id;
        }
        fresh += known ? 0 : 1;
        now[n++] = c.circuit.id;
    }
    memcpy(before, now, sizeof now);
    n_before = n;
    return fresh;
}

static void bench_calls(struct lab *lab, size_t calls, double pause)
{
    static double cold[SERVICES_MAX], cached[CALLS_MAX];
    size_t n = 0;
    char text[96];

    for (size_t i = 0; i < lab->services; i++) {
        rest(lab, pause);
        (void)new_lookups(lab);
        cold[n] = call(lab, lab->addr[i], NULL);
        n += new_lookups(lab) == 1 ? 1 : 0;
    }
    for (size_t i = 0; i < calls; i++) {
        rest(lab, pause);
        cached[i] = call(lab, lab->addr[i % lab->services], NULL);
    }
    row("calls whose first place had no record", (double)(lab->services - n), "", 0);
    if (n > 0) {
        (void)snprintf(text, sizeof text, "connect, record not cached (%zu calls)", n);
        row(text, median(cold, n), "ms", 10);
        row("connect, record not cached: the slowest", cold[n - 1], "ms", 0);
    }
    (void)snprintf(text, sizeof text, "connect, record cached (%zu calls)", calls);
    row(text, median(cached, calls), "ms", 8);
    row("connect, record cached: p95", cached[calls * 95 / 100], "ms", 0);
}

/* Processor time of all relays so far, s. */
static double relays_cpu_s(const struct lab *lab)
{
    double sum = 0;

    for (size_t i = 0; i < lab->relays; i++) {
        sum += child_cpu_s(&lab->relay[i]);
    }
    return sum;
}

static void bench_streams(struct lab *lab)
{
    static double opens[OPENS], echoes[ECHOES];
    uint8_t msg[64] = {1};
    struct flow *first;

    (void)call(lab, lab->addr[0], &first);
    for (size_t i = 0; i < OPENS; i++) {
        double t = now_s();
        struct flow *f = actor_call(&lab->me, lab->addr[0], lab->keys, BENCH_ECHO);
        actor_write(&lab->me, f, "x", 1);
        ACTOR_WAIT(&lab->me, f->got == 1, 5);
        opens[i] = (now_s() - t) * 1e3;
        actor_drop(&lab->me, f);
    }
    double cpu = relays_cpu_s(lab);
    for (size_t i = 0; i < 100 + ECHOES; i++) {
        double t = now_s();
        uint64_t want = first->got + sizeof msg;
        actor_write(&lab->me, first, msg, sizeof msg);
        ACTOR_WAIT(&lab->me, first->got >= want, 5);
        echoes[i < 100 ? 0 : i - 100] = (now_s() - t) * 1e3;
    }
    cpu = relays_cpu_s(lab) - cpu;
    actor_drop(&lab->me, first);
    row("new stream on an open rendezvous", median(opens, OPENS), "ms", 1);
    row("echo of 64 bytes", median(echoes, ECHOES), "ms", 0.6);
    row("echo of 64 bytes: processor time of all relays", cpu * 1e6 / (100 + ECHOES), "us", 0);
}

static void bench_bulk(struct lab *lab, uint64_t bytes)
{
    double before[RELAYS_MAX], busiest = 0, all = relays_cpu_s(lab);
    struct flow *f = actor_call(&lab->me, lab->addr[0], ++lab->keys, BENCH_SOURCE);

    for (size_t i = 0; i < lab->relays; i++) {
        before[i] = child_cpu_s(&lab->relay[i]);
    }
    double t = now_s();
    actor_write(&lab->me, f, &bytes, sizeof bytes);
    ACTOR_WAIT(&lab->me, f->got >= bytes || f->closed, 60);
    t = now_s() - t;
    must(f->got == bytes, "a transfer failed");
    actor_drop(&lab->me, f);
    all = relays_cpu_s(lab) - all;
    for (size_t i = 0; i < lab->relays; i++) {
        double cpu = child_cpu_s(&lab->relay[i]) - before[i];
        busiest = cpu > busiest ? cpu : busiest;
    }
    row("one stream", (double)bytes / 1e6 / t, "MB/s", 60);
    /* A relay may be in two or three of the six places of a path: then it carries two or three times the bytes. */
    row("one stream: cpu per GB, busiest relay", busiest * 1e9 / (double)bytes, "s", 4);
    row("one stream: cpu per GB, relay, for each of six places", all / PLACES * 1e9 / (double)bytes,
        "s", 0);
}

/* Callers, a few at a time, each as many calls as one may have at an address; how many rendezvous there are then. */
static size_t call_from(struct lab *lab, struct child *from, size_t callers, size_t held)
{
    char order[QUDAG_DARK_TEXT_MAX + 32];
    size_t there = 0;

    for (size_t i = 0; i < callers; i += AT_ONCE) {
        size_t n = callers - i < AT_ONCE ? callers - i : AT_ONCE;
        for (size_t j = i; j < i + n; j++) {
            size_t calls = held - j * HELD_EACH < HELD_EACH ? held - j * HELD_EACH : HELD_EACH;
            (void)snprintf(order, sizeof order, "call %zu %s", calls, lab->addr[lab->services - 1]);
            child_order(&from[j], order);
        }
        for (size_t j = i; j < i + n; j++) {
            there += child_answer(&from[j], "called");
        }
    }
    return there;
}

static void bench_service(struct lab *lab, size_t held)
{
    static struct child from[HELD_MAX / HELD_EACH + 1];
    struct actor_opts o = {
        .relays_min = (uint32_t)lab->relays, .clean = 2, .bootstrap = lab->relay[0].addr};
    size_t callers = (held + HELD_EACH - 1) / HELD_EACH;

    for (size_t i = 0; i < callers; i++) {
        child_start(&from[i], &o);
    }
    children_ready(from, callers);
    struct usage before = child_usage(&lab->service);
    size_t there = call_from(lab, from, callers, held);
    struct usage after = child_usage(&lab->service);
    row("rendezvous asked for", (double)held, "", 0);
    row("rendezvous held by one service", (double)there, "", (double)held);
    must(there > 0, "no rendezvous");
    row("memory of a service for each rendezvous",
        (after.anon - before.anon) / (double)there / 1024, "KiB", 49);
    row("introductions a service answers, by its processor time",
        (double)there / (after.cpu_s - before.cpu_s), "ops/s", 800);
    for (size_t i = 0; i < callers; i++) {
        child_stop(&from[i]);
    }
}

int main(int argc, char **argv)
{
    static struct lab lab;
    uint64_t which = option(argc, argv, "--parts", 15);
    size_t calls = (size_t)option(argc, argv, "--calls", 40);
    double pause = (double)option(argc, argv, "--pause", 3000) / 1e3;

    if (child_main(argc, argv)) {
        return 0;
    }
    lab.relays = (size_t)option(argc, argv, "--relays", 6);
    lab.services = (size_t)option(argc, argv, "--services", 16);
    must(lab.relays >= 5 && lab.relays <= RELAYS_MAX && lab.services >= 1 &&
             lab.services <= SERVICES_MAX && calls >= 1 && calls <= CALLS_MAX,
         "arguments");
    lab_start(&lab, (uint8_t)option(argc, argv, "--clean", 2));
    if ((which & 1) != 0) {
        bench_calls(&lab, calls, pause);
    }
    if ((which & 2) != 0) {
        bench_streams(&lab);
    }
    if ((which & 4) != 0) {
        bench_bulk(&lab, option(argc, argv, "--mib", 64) << 20);
    }
    if ((which & 8) != 0) {
        bench_service(&lab, (size_t)option(argc, argv, "--held", 480));
    }
    actor_stop(&lab.me);
    child_stop(&lab.service);
    for (size_t i = 0; i < lab.relays; i++) {
        child_stop(&lab.relay[i]);
    }
    return 0;
}
