/*
 * full_meet_test.c - complete nodes behind each pair of routers: data over a relay at once, then the direct link, with
 * one packet in twenty lost.
 *
 *   5 nodes on the Internet: DHT, STUN, AutoNAT, circuit relays
 *   A0..A3 and B0..B3: each behind a router of its own: full cone, restricted, port-restricted, symmetric
 *   all find out what their routers do, and relays that keep places for them; then each A writes to each B, whose relay
 *   it is told of: four pairs at a time, each home in one
 *
 * A seed is one such network with all 16 pairs.  QUDAG_FULL_MEET_SEEDS=1000: so many, from QUDAG_FULL_MEET_FROM; those
 * that are not as they should be are named by pair and seed, and QUDAG_FULL_MEET_FROM=17 QUDAG_FULL_MEET_SEEDS=1 runs
 * that one again; QUDAG_FULL_MEET_LOG=1 adds what nodes log.
 *
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/internal.h"
#include "sim/full_int.h"

#define PUBLIC 5
#define A PUBLIC /* A + kind, B + kind */
#define B (PUBLIC + KINDS)
#define PROTO "/sim/meet/1"
#define STEP (5 * NS_PER_MS)
#define SETTLED (25 * NS_PER_S) /* all know their routers by then */
#define PLACE_LIMIT (60 * NS_PER_S)
#define MEET_WAIT (40 * NS_PER_S) /* for all that can come of a pair; four rounds take 12 s */

static const char kind_name[] = "FRPS";

static const struct nat_config kinds[] = {
    {.mapping = NAT_INDEPENDENT, .filter = NAT_INDEPENDENT, .ports = NAT_RANDOM},
    {.mapping = NAT_INDEPENDENT, .filter = NAT_ADDRESS, .ports = NAT_RANDOM},
    {.mapping = NAT_INDEPENDENT, .filter = NAT_ADDRESS_PORT, .ports = NAT_RANDOM},
    {.mapping = NAT_ADDRESS_PORT, .filter = NAT_ADDRESS_PORT, .ports = NAT_RANDOM},
};
#define KINDS ARRAY_LEN(kinds)

/* What became of one pair; times in ns from when A's program asked. */
struct pair {
    bool connected, direct, settled;
    tstamp begun;
    uint64_t first, took; /* the first bytes are there; the direct link is, on both sides */
    struct meet_look look;
};

static struct scenario sc;
static struct sim *s;
static struct full *f;

static struct node *node_of(size_t i)
{
    return f->node[i].node;
}

static void log_line(void *ctx, const struct log_record *rec)
{
    const struct full_node *fn = ctx;
    uint32_t home = fn->ix - PUBLIC;

    if (fn->ix < PUBLIC) {
        printf("%9.3f  %u  %s", (double)sim_now(s) / 1e9, fn->ix, rec->event);
    } else {
        printf("%9.3f %c%c  %s", (double)sim_now(s) / 1e9, home < KINDS ? 'A' : 'B',
               kind_name[home % KINDS], rec->event);
    }
    for (size_t i = 0; i < rec->n; i++) {
        const struct log_field *l = &rec->field[i];
        printf(" %s=", l->name);
        l->text != NULL ? (void)printf("%s", l->text) : (void)printf("%lld", (long long)l->num);
    }
    printf("\n");
}

static void differs(const struct full_node *fn, struct node_config *c)
{
    if (getenv("QUDAG_FULL_MEET_LOG") != NULL) {
        c->log =
            (struct logger){.emit = log_line, .ctx = (void *)(uintptr_t)fn, .level = LOG_DEBUG};
    }
    c->circuit_relay.serve = fn->router == FULL_NONE ? NODE_SERVES_YES : NODE_SERVES_NO;
    c->circuit_relay.finds = fn->router != FULL_NONE;
}

static void make(uint64_t seed)
{
    static const char text[] = "[network]\nnodes = 13\nbootstrap = 5\njoin_over = 1 s\n"
                               "[links]\nrtt = 80 ms\nloss = 5 %\n[run]\nuntil = 600 s\n";
    const struct sim_options opt = {.seed = seed, .host = full_host()};
    struct scenario_error e;

    assert_int_equal(
        scenario_parse(&sc, (struct slice){(const uint8_t *)text, sizeof text - 1}, &e), QUDAG_OK);
    s = sim_new(&sc, &opt);
    f = full_inside(s);
    f->differs = differs;
    for (uint32_t i = PUBLIC; i < PUBLIC + 2 * KINDS; i++) {
        full_place(f, i, full_router_add(f, &kinds[(i - PUBLIC) % KINDS], i, FULL_NONE));
    }
}

/* A relay that keeps a place for |i|. */
static const struct relayed_place *place_of(size_t i)
{
    const struct relayed_place *p;

    for (size_t it = 0; (p = node_place_next(node_of(i), &it)) != NULL;) {
        if (p->held) {
            return p;
        }
    }
    return NULL;
}

static bool are_placed(void)
{
    size_t n = 0;

    while (n < KINDS && place_of(B + n) != NULL) {
        n++;
    }
    return n == KINDS;
}

/* All want to be reached, and each B names all A, as people do who send each other files. */
static bool prepare(void)
{
    (void)sim_run(s, 8 * NS_PER_S);
    for (uint32_t i = A; i < B + KINDS; i++) {
        assert_int_equal(node_serve(node_of(i), PROTO), QUDAG_OK);
        for (size_t a = 0; i >= B && a < KINDS; a++) {
            node_meets_name(node_of(i), &f->node[A + a].peer);
        }
        full_apply(f, i);
    }
    (void)sim_run(s, SETTLED);
    while (!are_placed() && sim_now(s) < PLACE_LIMIT) {
        (void)sim_run(s, sim_now(s) + NS_PER_S);
    }
    return are_placed();
}

/* A is told of B's relay, and writes to B. */
static void speak(size_t a, size_t b)
{
    static const uint8_t head[16] = {1}; /* what full_work.c's other end answers nothing to */
    const struct relayed_place *p = place_of(b);
    struct multiaddr at, via;
    struct ref strm;
    size_t taken = 0;

    for (size_t i = 0; p != NULL && i < PUBLIC; i++) {
        if (peer_id_eq(&f->node[i].peer, &p->relay)) {
            multiaddr_quic(&at, &f->node[i].addr, &f->node[i].peer);
            assert_true(multiaddr_circuit(&via, &at));
            node_add_addr(node_of(a), &f->node[b].peer, &via);
        }
    }
    assert_int_equal(node_stream_open_peer(node_of(a), &f->node[b].peer, PROTO, &strm), QUDAG_OK);
    (void)!node_stream_write(node_of(a), strm, (struct slice){head, sizeof(head)}, &taken);
    assert_int_equal(taken, sizeof(head));
    full_apply(f, (uint32_t)a);
}

static bool has_direct(size_t from, size_t to)
{
    struct link_info info;

    for (size_t it = 0;
         swarm_peer_link_next(node_of(from)->swarm, &f->node[to].peer, &it, &info);) {
        if ((info.props & LINK_RELAYED) == 0) {
            return true;
        }
    }
    return false;
}

/* |heard|: streams that B had before. */
static void look(struct pair *p, size_t a, size_t b, size_t heard)
{
    const struct full_node *fn = &f->node[b];
    uint64_t since = sim_now(s) - p->begun;

    if (!p->connected && fn->serveds > heard && fn->served[heard].got > 0) {
        p->connected = true;
        p->first = since;
    }
    bool met = node_meet_look(node_of(a), &fn->peer, &p->look);
    if (!p->direct && has_direct(a, b) && has_direct(b, a)) {
        p->direct = true;
        p->took = since;
    }
    bool over = met && (p->look.state == MEET_FAILED || p->look.state == MEET_DIRECT);
    p->settled = p->connected && over && (p->direct || p->look.state == MEET_FAILED);
}

/* Each A with the B that is |by| further; their outcomes go to |p|, by the kind of A. */
static void round_of(unsigned by, struct pair p[KINDS])
{
    size_t heard[KINDS], settled = 0;
    tstamp begun = sim_now(s);

    for (size_t a = 0; a < KINDS; a++) {
        size_t b = (a + by) % KINDS;
        heard[a] = f->node[B + b].serveds;
        p[a] = (struct pair){.begun = begun};
        speak(A + a, B + b);
    }
    while (settled < KINDS && sim_now(s) < begun + MEET_WAIT) {
        (void)sim_run(s, sim_now(s) + STEP);
        settled = 0;
        for (size_t a = 0; a < KINDS; a++) {
            look(&p[a], A + a, B + (a + by) % KINDS, heard[a]);
            settled += p[a].settled ? 1 : 0;
        }
    }
}

/* ---- many seeds ---- */

struct sums {
    unsigned n, connected, direct, of[MEET_ROUNDS];
    uint64_t first, took, longest;
};

static struct sums sums[KINDS][KINDS];

static void add(struct sums *t, const struct pair *p)
{
    t->n++;
    t->connected += p->connected ? 1 : 0;
    t->first += p->connected ? p->first : 0;
    if (p->direct) {
        t->direct++;
        t->of[p->look.round]++;
        t->took += p->took;
        t->longest = p->took > t->longest ? p->took : t->longest;
    }
}

/* Whether a direct link can be had: two that give each destination another port have a relay only. */
static bool is_punchable(size_t a, size_t b)
{
    return a < 3 || b < 3;
}

static void tell(size_t a, size_t b, unsigned seed, const struct pair *p)
{
    const struct meet_look *l = &p->look;

    printf("  %c-%c seed %u: %s, %s; round %d, state %d, NATs %d %d, candidates %u %u, sent %u, "
           "received %u, sockets "
           "%u: %s\n",
           kind_name[a], kind_name[b], seed, p->connected ? "connected" : "not connected",
           p->direct ? "direct" : "not direct", (int)l->round, (int)l->state, (int)l->our_nat,
           (int)l->their_nat, (unsigned)l->n_ours, (unsigned)l->n_theirs, (unsigned)l->sent,
           (unsigned)l->received, (unsigned)l->sockets, l->why == NULL ? "" : l->why);
    (void)fflush(stdout);
}

static void run(unsigned seed)
{
    struct pair p[KINDS];

    make(seed);
    if (!prepare()) {
        printf("  seed %u: not all have places\n", seed);
    }
    for (unsigned by = 0; by < KINDS; by++) {
        round_of(by, p);
        for (size_t a = 0; a < KINDS; a++) {
            size_t b = (a + by) % KINDS;
            add(&sums[a][b], &p[a]);
            if (!p[a].connected || p[a].direct != is_punchable(a, b)) {
                tell(a, b, seed, &p[a]);
            }
        }
    }
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
}

static void print_sums(size_t a, size_t b)
{
    const struct sums *t = &sums[a][b];
    uint64_t connected = t->connected == 0 ? 1 : t->connected,
             direct = t->direct == 0 ? 1 : t->direct;

    printf("%c-%c: %u of %u connected, first bytes after %d ms; %u direct (first round %u, fresh "
           "ports %u, prediction "
           "%u, birthday %u) after %d ms, longest %d ms\n",
           kind_name[a], kind_name[b], t->connected, t->n, (int)(t->first / connected / NS_PER_MS),
           t->direct, t->of[MEET_PLAIN], t->of[MEET_FRESH_PORT], t->of[MEET_PREDICT],
           t->of[MEET_BIRTHDAY], (int)(t->took / direct / NS_PER_MS),
           (int)(t->longest / NS_PER_MS));
}

static unsigned number(const char *name, unsigned otherwise)
{
    const char *said = getenv(name);

    return said == NULL ? otherwise : (unsigned)strtoul(said, NULL, 10);
}

static void of_each_pair_99_of_100_seeds_are_direct(void **state)
{
    unsigned seeds = number("QUDAG_FULL_MEET_SEEDS", 20), from = number("QUDAG_FULL_MEET_FROM", 0);
    unsigned n = 0, direct = 0;
    (void)state;

    for (unsigned i = 0; i < seeds; i++) {
        run(from + i);
    }
    for (size_t a = 0; a < KINDS; a++) {
        for (size_t b = 0; b < KINDS; b++) {
            print_sums(a, b);
            n += is_punchable(a, b) ? sums[a][b].n : 0;
            direct += is_punchable(a, b) ? sums[a][b].direct : 0;
            assert_int_equal(sums[a][b].connected, sums[a][b].n);
        }
    }
    printf("%u of %u direct that can be\n", direct, n);
    assert_true(direct * 100 >= n * 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_each_pair_99_of_100_seeds_are_direct),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
