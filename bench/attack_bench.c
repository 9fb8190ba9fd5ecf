/*
 * attack_bench.c - honest work beside attacks that cost relays, or a client, work: what is left of its rate.
 *
 * Whole nodes in one process (node/testkit.h), datagrams in memory, 5 ms one way.  Time is a variable, but each node
 * has a processor: what its code takes in CPU time here, it is at work in that time, and its datagrams wait.  So the
 * attacker's own work slows nobody down, and what an attack costs others does; what programs do themselves costs
 * nothing.  Wants a quiet machine.
 *
 *   honest   a client that builds circuits of three hops, four at a time, without a pause
 *   H4       another builds circuits of eight hops round and round three relays, many at a time, and sends what it may
 *   M3       another builds circuits and sends cells that mean nothing until they are ended, many at a time
 *   H6       the client also opens stream after stream to a dark address whose service ends each at once
 *
 *   --rounds N   pairs of phases, without and with the attack, of each; the median counts; default 9
 *   --ms N       virtual length of a phase; default 2000
 *   --attacks N  circuits of the attacker at a time; default 64
 *   --parts N    sum of 1 H4, 2 M3, 4 H6
 */
#include "common.h"
#include "core/onion/circuit.h"
#include "node/internal.h"
#include "node/testkit_net.h"

#include <time.h>

#define RELAYS 4
#define CLIENT 4
#define ATTACKER 5
#define SERVICE 6
#define NODES 7
#define AT_ONCE 4
#define ATTACKS_MAX 512
#define EMPTY_CELLS 30 /* a few more than are let pass */
#define PROTO "/bench/attack/1.0.0"
#define ROUNDS_MAX 101

struct bench {
    struct nt net;
    tstamp busy[NT_NODES]; /* until then the node is at work */
    struct ref attack[ATTACKS_MAX];
    size_t at_once;
    struct dark_addr addr;
    bool dialling; /* H6: a stream is open, or being opened */
    uint64_t honest, attacks;
};

static struct bench b;

/* ---- nodes with a processor each ---- */

static uint64_t cpu_ns(void)
{
    struct timespec t;

    must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0, "clock");
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static size_t owner(const struct nt_pkt *p)
{
    size_t i = 0;

    while (i < NODES && !netaddr_eq(&b.net.node[i].addr, &p->to)) {
        i++;
    }
    return i;
}

/* What has arrived at node |ix|, and all that follows from it. */
static void work(size_t ix)
{
    struct nt_node *t = &b.net.node[ix];
    uint64_t from = cpu_ns();

    LIST_EACH_SAFE(it, tmp, &b.net.wire)
    {
        struct nt_pkt *p = LIST_ENTRY(it, struct nt_pkt, node);
        if (p->at > b.net.now) {
            break;
        }
        if (owner(p) == ix) {
            struct quic_dgram d = {.local = p->to, .remote = p->from, .data = {p->data, p->len}};
            list_del(&p->node);
            node_recv(t->node, &d, b.net.now);
            free(p);
        }
    }
    node_drain(t->node, b.net.now);
    if (node_deadline(t->node) <= b.net.now) {
        node_tick(t->node, b.net.now);
    }
    nt_flush(&b.net, t);
    b.busy[ix] = b.net.now + (cpu_ns() - from);
}

/* When there is something to do, each node not before it is free. */
static tstamp next(tstamp at[NODES])
{
    tstamp first = TSTAMP_NEVER;

    for (size_t i = 0; i < NODES; i++) {
        at[i] = node_deadline(b.net.node[i].node);
    }
    LIST_EACH(it, &b.net.wire)
    {
        const struct nt_pkt *p = LIST_ENTRY(it, struct nt_pkt, node);
        size_t i = owner(p);
        must(i < NODES, "a datagram to nobody");
        at[i] = tstamp_min(at[i], p->at);
    }
    for (size_t i = 0; i < NODES; i++) {
        at[i] = at[i] < b.busy[i] ? b.busy[i] : at[i];
        first = tstamp_min(first, at[i]);
    }
    return first;
}

static void run(uint64_t ns, void (*each)(void))
{
    tstamp until = b.net.now + ns, at[NODES], first;

    for (;;) {
        if (each != NULL) {
            each();
        }
        first = next(at);
        if (first > until) {
            b.net.now = until;
            return;
        }
        b.net.now = first > b.net.now ? first : b.net.now;
        for (size_t i = 0; i < NODES; i++) {
            if (at[i] <= b.net.now) {
                work(i);
            }
        }
    }
}

/* ---- honest work ---- */

static void honest(void)
{
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    struct nt_node *t = &b.net.node[CLIENT];

    for (size_t i = 0; i < AT_ONCE; i++) {
        struct nt_ask *a = &t->ask[i];
        if (i < t->n_asks && a->ends == 0) {
            continue;
        }
        if (i < t->n_asks && a->err == QUDAG_OK) {
            b.honest++;
            qudag_err err = node_circuit_close(t->node, a->res.circuit);
            must(err == QUDAG_OK || err == QUDAG_ESTALE, "close"); /* it may have ended since */
        }
        *a = (struct nt_ask){.ends = 0};
        must(node_request(t->node, &r, &a->op) == QUDAG_OK, "a request is refused");
        t->n_asks = t->n_asks > i ? t->n_asks : i + 1;
    }
}

/* ---- attacks ---- */

static struct onion *evil(void)
{
    return b.net.node[ATTACKER].node->onion;
}

/* A circuit of |hops| hops round and round relays 0 to 2, which onion_build() would refuse. */
static struct ref build(size_t hops)
{
    struct node *n = b.net.node[ATTACKER].node;
    struct onion_hop hop[3];
    struct ref ref;

    for (size_t i = 0; i < ARRAY_LEN(hop); i++) {
        must(relays_get(n->relays, &b.net.node[i].peer, &hop[i]), "a relay is unknown");
    }
    struct acts *out = node_begin(n);
    qudag_err err = onion_build(n->onion, hop, 3, b.net.now, out, &ref);
    if (err != QUDAG_OK) {
        node_end(n, n->ix.onion);
        return (struct ref){0};
    }
    struct onion_circuit *c = slots_get(&n->onion->circuits, ref);
    struct mem *mem = n->onion->cfg.mem;
    mem_free_wiped(mem, c->client->plan);
    c->client->plan = mem_alloc_n(mem, hops, sizeof *c->client->plan);
    must(c->client->plan != NULL, "memory");
    for (size_t i = 0; i < hops; i++) {
        c->client->plan[i] = hop[i % ARRAY_LEN(hop)];
    }
    c->client->n_wanted = (uint8_t)hops;
    onion_hops_fini(&c->hops);
    must(onion_hops_init(&c->hops, mem, hops) == QUDAG_OK, "memory");
    node_end(n, n->ix.onion);
    return ref;
}

/* A cell without a message to the last hop. */
static void send_nothing(struct onion_circuit *c)
{
    struct node *n = b.net.node[ATTACKER].node;
    uint8_t ack[CGO_TAG_LEN];
    struct wr w;

    if (node_acts_room(&n->acts)) {
        struct acts *out = node_begin(n);
        uint8_t *cell = onion_circuit_cell_open(&w, out);
        must(cell != NULL, "no room for a cell");
        onion_circuit_cell_seal(c, cell, &w, ack, out);
        node_end(n, n->ix.onion);
        node_drain(n, b.net.now);
    }
}

/* The circuit is built: cells go through it, as many as are let pass or more, and another is begun. */
static void attack_with(size_t hops, int cells)
{
    for (size_t i = 0; i < b.at_once; i++) {
        struct onion_circuit *c = slots_get(&evil()->circuits, b.attack[i]);
        if (c == NULL || c->phase == ONION_PH_CLOSING) {
            b.attack[i] = build(hops);
            continue;
        }
        if (c->phase != ONION_PH_READY) {
            continue;
        }
        for (int k = 0; k < cells; k++) {
            c = slots_get(&evil()->circuits, b.attack[i]);
            if (c != NULL && c->phase == ONION_PH_READY) {
                send_nothing(c);
            }
        }
        b.attacks++;
        struct node *n = b.net.node[ATTACKER].node;
        onion_close(n->onion, b.attack[i], b.net.now, node_begin(n));
        node_end(n, n->ix.onion);
    }
}

static void loops(void)
{
    honest();
    attack_with(ONION_HOPS_MAX, 20);
}

static void nothings(void)
{
    honest();
    attack_with(3, EMPTY_CELLS);
}

/* The program tries again and again, each time over another circuit. */
static void to_hostile(void)
{
    static uint8_t key;
    struct ref s;

    honest();
    if (!b.dialling) {
        const struct node_isolation iso = {.len = 1, .key = {key++}};
        b.dialling =
            node_stream_open_dark(b.net.node[CLIENT].node, &b.addr, PROTO, &iso, &s) == QUDAG_OK;
    }
}

static void hostile_service(struct nt_node *t, const char *what, struct ref r)
{
    if (strcmp(what, "stream_in") == 0) {
        node_stream_reset(t->node, r, QUDAG_ERESET);
        b.attacks++;
    }
}

static void client_hears(struct nt_node *t, const char *what, struct ref r)
{
    (void)t;
    (void)r;
    if (strcmp(what, "stream_closed") == 0) {
        b.dialling = false;
    }
}

/* ---- the network ---- */

static void make(size_t ix)
{
    struct node_config c = nt_config(&b.net, ix);

    c.circuits_max = 4096;
    c.relay = c.dht_server = ix < RELAYS;
    if (ix > 0) {
        nt_boot(&b.net, &c, 0);
    }
    must(nt_make(&b.net, ix, &c) == QUDAG_OK, "node");
    node_start(b.net.node[ix].node);
}

static void begin(void)
{
    nt_init(&b.net);
    for (size_t i = 0; i < NODES; i++) {
        make(i);
    }
    must(nt_run(&b.net, 60 * NS_PER_S, nt_all_ready), "not ready");
    (void)nt_run(&b.net, 30 * NS_PER_S, NULL);
    struct nt_node *s = &b.net.node[SERVICE];
    must(node_serve(s->node, PROTO) == QUDAG_OK &&
             node_dark_create(s->node, &nt_direct, "shop", b.net.now, &b.addr) == QUDAG_OK,
         "service");
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = b.addr};
    size_t at = nt_ask(s, &r);
    must(nt_run(&b.net, 120 * NS_PER_S, nt_asked_ended) && s->ask[at].err == QUDAG_OK, "publish");
    struct node *n = b.net.node[ATTACKER].node;
    n->core[n->ix.onion].report = NULL; /* it would close circuits that nobody asked for */
    s->hook = hostile_service;
    b.net.node[CLIENT].hook = client_hears;
}

static double rate(void (*each)(void), uint64_t ms)
{
    uint64_t before = b.honest;

    run(ms * NS_PER_MS, each);
    return (double)(b.honest - before) * 1000.0 / (double)ms;
}

static void measure(const char *name, void (*attack)(void), uint64_t rounds, uint64_t ms)
{
    double ratio[ROUNDS_MAX], without[ROUNDS_MAX], with[ROUNDS_MAX];
    uint64_t attacks = 0;

    (void)rate(honest, ms);
    for (uint64_t i = 0; i < rounds; i++) {
        without[i] = rate(honest, ms);
        b.attacks = 0;
        with[i] = rate(attack, ms);
        attacks += b.attacks;
        must(without[i] > 0, "no honest work is done");
        ratio[i] = with[i] / without[i];
        run(2 * NS_PER_S, NULL); /* what the attack left over */
    }
    (void)printf("{\"bench\":\"attack\",\"name\":\"%s\",\"value\":%.3f,\"unit\":\"of the rate "
                 "without\",\"without_per_s\":%.4g,\"with_per_s\":%.4g,\"attacks_per_s\":%.4g,"
                 "\"target\":0.8}\n",
                 name, median(ratio, rounds), median(without, rounds), median(with, rounds),
                 (double)attacks * 1000.0 / (double)(ms * rounds));
    must(fflush(stdout) == 0, "stdout");
}

int main(int argc, char **argv)
{
    uint64_t rounds = option(argc, argv, "--rounds", 9), ms = option(argc, argv, "--ms", 2000),
             parts = option(argc, argv, "--parts", 7);

    must(rounds > 0 && rounds <= ROUNDS_MAX && ms > 0, "usage: --rounds 1..101 --ms N --parts N");
    b.at_once = option(argc, argv, "--attacks", 64);
    must(b.at_once > 0 && b.at_once <= ATTACKS_MAX, "usage: --attacks 1..512");
    begin();
    if ((parts & 1) != 0) {
        measure("H4", loops, rounds, ms);
    }
    if ((parts & 2) != 0) {
        measure("M3", nothings, rounds, ms);
    }
    if ((parts & 4) != 0) {
        measure("H6", to_hostile, rounds, ms);
    }
    nt_fini(&b.net);
    return 0;
}
