/*
 * exchange_test.c - what the link to a guard shows of what a circuit is for: packets, sizes, directions and times,
 * taken on the wire of whole nodes, and two classifiers that try to tell a circuit that was only built from one that
 * was built for a lookup.
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"
#include "quic/testkit_classify.h"
#include "wire/exchange.h"

#define CLIENT 7
#define TRIALS 200
#define WATCHED (12 * NS_PER_S) /* of each trial; a spent circuit is closed later */
#define BINS 13
#define NETWORKS 10
/* Of 56 features one differs by four standard errors once in 300 draws of networks that hide all. */
#define APART (4.0 * 4.0)

/* What is seen of one trial: per direction and size, how many packets in which time since the first. */
static struct capture {
    struct netaddr guard;
    struct cls_sample *into; /* NULL: nobody looks */
    tstamp first;
} cap;

static size_t bin_of(tstamp since)
{
    size_t bin = 0;

    for (tstamp edge = 8 * NS_PER_MS; since >= edge && bin + 1 < BINS; edge *= 2) {
        bin++;
    }
    return bin;
}

static void watch(struct nt *nt, const struct nt_pkt *p)
{
    bool out = netaddr_eq(&p->from, &nt->node[CLIENT].addr) && netaddr_eq(&p->to, &cap.guard);
    bool in = netaddr_eq(&p->to, &nt->node[CLIENT].addr) && netaddr_eq(&p->from, &cap.guard);

    if (cap.into == NULL || !(out || in)) {
        return;
    }
    cap.first = cap.first == 0 ? nt->now : cap.first;
    size_t kind = (out ? 0u : 1u) + (p->len < 600 ? 2u : 0u);
    cap.into->f[kind * BINS + bin_of(nt->now - cap.first)] += 1;
    cap.into->f[4 * BINS + kind] += 1;
}

static struct node_op *lookup(uint32_t number)
{
    uint8_t key[DARK_KEY_LEN] = DHT_DARK_PREFIX;
    struct node_request r = {.kind = NODE_OP_LOOKUP_GET, .key = {key, sizeof key}};

    memset(key + sizeof DHT_DARK_PREFIX - 1, 0, DHT_DARK_INDEX_LEN);
    memcpy(key + sizeof DHT_DARK_PREFIX - 1, &number, sizeof number);
    key[DARK_KEY_LEN - 1] = (uint8_t)(number * 41); /* all over the key space */
    return node_op_new(net.node[CLIENT].node, &r);
}

static void relay_key(uint32_t number, uint8_t key[64], struct slice *out)
{
    const struct peer_id *p = &net.node[1 + number % 6].peer;
    size_t n = sizeof DHT_RELAY_PREFIX - 1;

    memcpy(key, DHT_RELAY_PREFIX, n);
    memcpy(key + n, p->b, p->len);
    *out = (struct slice){key, n + p->len};
}

/* One that finds something. */
static struct node_op *lookup_found(uint32_t number)
{
    uint8_t key[64 + sizeof DHT_RELAY_PREFIX];
    struct node_request r = {.kind = NODE_OP_LOOKUP_GET};

    relay_key(number, key, &r.key);
    return node_op_new(net.node[CLIENT].node, &r);
}

static struct ref only_built(void)
{
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    struct nt_node *t = &net.node[CLIENT];

    t->n_asks = 0;
    assert_int_equal(nt_ask(t, &r), 0);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    assert_int_equal(t->ask[0].err, QUDAG_OK);
    return t->ask[0].res.circuit;
}

static void meet_guard(void)
{
    struct onion_info info;
    struct ref c = only_built();

    assert_int_equal(onion_info_get(node_onion(net.node[CLIENT].node), c, &info), QUDAG_OK);
    for (size_t i = 0; i < NT_NODES; i++) {
        if (peer_id_eq(&net.node[i].peer, &info.path[0])) {
            cap.guard = net.node[i].addr;
        }
    }
    assert_int_not_equal(cap.guard.family, 0);
    assert_int_equal(node_circuit_close(net.node[CLIENT].node, c), QUDAG_OK);
    for (uint32_t i = 0; i < 24; i++) { /* what padding imitates must have been seen */
        assert_non_null(i % 2 == 0 ? lookup(1000 + i) : lookup_found(i));
        (void)nt_run(&net, 10 * NS_PER_S, NULL);
    }
}

static void one_trial(struct cls_sample *s, uint32_t number, struct rng *rng)
{
    struct ref c = {0, 0};

    s->label = (unsigned)rng_below(rng, 2);
    cap.first = 0;
    cap.into = s;
    tstamp end = net.now + WATCHED;
    if (s->label == 0) {
        c = only_built();
    } else {
        assert_non_null(rng_below(rng, 2) == 0 ? lookup(number) : lookup_found(number));
    }
    (void)nt_run(&net, end - net.now, NULL);
    cap.into = NULL;
    if (s->label == 0) {
        assert_int_equal(node_circuit_close(net.node[CLIENT].node, c), QUDAG_OK);
    }
    (void)nt_run(&net, (2000 + rng_below(rng, 3000)) * NS_PER_MS, NULL);
}

static void client_begin(enum node_padding padding)
{
    struct node_config c = nt_config(&net, CLIENT);

    nt_join(CLIENT);
    nt_boot(&net, &c, 0);
    c.relay = false;
    c.padding = padding;
    nt_begin(CLIENT, &c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
}

/* What the newest circuit of the client has sent and received. */
static struct onion_info newest_circuit(void)
{
    struct onion_info info, last = {.since = 0};
    size_t it = 0;

    while (onion_next(node_onion(net.node[CLIENT].node), &it, &info)) {
        last = info.since >= last.since ? info : last;
    }
    return last;
}

/* The price of a circuit: exchanges take exactly so many, whatever they are for (spec/onion.md 9.2). */
static void an_exchange_takes_thirteen_cells_each_way(void **state)
{
    const uint64_t extend = 2 * 3, extended = 2 * 2; /* to the second hop and the third */

    (void)state;
    client_begin(NODE_PADDING_FULL);
    for (uint32_t i = 0; i < 3; i++) {
        if (i == 0) {
            (void)only_built();
        } else {
            assert_non_null(i == 1 ? lookup(i) : lookup_found(i));
        }
        (void)nt_run(&net, 12 * NS_PER_S, NULL);
        struct onion_info info = newest_circuit();
        assert_int_equal(info.hops, 3);
        assert_int_equal(info.cells_fwd, extend + EXCHANGE_CELLS);
        assert_int_equal(info.cells_back, extended + 1 + EXCHANGE_CELLS); /* 1: CONNECTED */
    }
}

/*
 * Relays that are not linked yet dial each other while a circuit is built, so that it takes longer, up to twice as long
 * here.  Its round trip is what it is: what padding takes beyond that is the same on all circuits.
 */
static void what_a_build_takes_is_not_taken_for_its_round_trip(void **state)
{
    const struct node_padding_state *p;
    uint64_t least = UINT64_MAX, most = 0, quickest = UINT64_MAX, slowest = 0;

    (void)state;
    client_begin(NODE_PADDING_FULL);
    p = &net.node[CLIENT].node->padded;
    for (uint32_t i = 0; i < NODE_PADDING_LOOKUPS; i++) {
        (void)only_built();
        (void)nt_run(&net, 12 * NS_PER_S, NULL);
        uint64_t built = newest_circuit().build_ns;
        quickest = built < quickest ? built : quickest;
        slowest = built > slowest ? built : slowest;
        assert_int_equal(p->extras, i + 1);
        least = p->extra[i] < least ? p->extra[i] : least;
        most = p->extra[i] > most ? p->extra[i] : most;
    }
    assert_true(slowest - quickest >= 20 * NS_PER_MS);
    assert_true(most - least < 3 * NS_PER_MS);
}

/* Into |s|, of TRIALS.  How many of TRIALS / 2 each classifier names rightly; it scales a copy. */
static void classify(enum node_padding padding, struct cls_sample *s, size_t *centroid,
                     size_t *nearest)
{
    static struct cls_sample scaled[TRIALS];
    struct rng rng = rng_of_stream(&net.stream);

    memset(s, 0, TRIALS * sizeof *s);
    memset(&cap, 0, sizeof cap);
    client_begin(padding);
    meet_guard();
    net.watch = watch;
    for (uint32_t i = 0; i < TRIALS; i++) {
        one_trial(&s[i], i, &rng);
    }
    memcpy(scaled, s, sizeof scaled);
    *centroid = cls_centroid(scaled, TRIALS);
    *nearest = cls_nearest(scaled, TRIALS);
    print_message("%zu and %zu of %d\n", *centroid, *nearest, TRIALS / 2);
}

/* In networks of different draws, so that it is not one of them that decides. */
static void a_build_and_a_lookup_look_alike_on_the_guards_link(void **state)
{
    static struct cls_sample s[NETWORKS][TRIALS];
    size_t centroid = 0, nearest = 0;

    (void)state;
    for (uint8_t i = 0; i < NETWORKS; i++) {
        uint8_t seed[32] = {9, i};
        size_t c, n;
        nt_fini(&net);
        nt_init(&net);
        rng_stream_init(&net.stream, seed);
        classify(NODE_PADDING_FULL, s[i], &c, &n);
        centroid += c;
        nearest += n;
    }
    double apart = cls_apart(s[0], NETWORKS * TRIALS);
    print_message("%zu and %zu of %d, squares of standard errors %.1f\n", centroid, nearest,
                  NETWORKS * TRIALS / 2, apart);
    assert_in_range(centroid, 0, cls_chance(NETWORKS * TRIALS / 2, 2));
    assert_in_range(nearest, 0, cls_chance(NETWORKS * TRIALS / 2, 2));
    assert_true(apart < APART);
}

static void without_padding_the_same_classifiers_tell_them_apart(void **state)
{
    static struct cls_sample s[TRIALS];
    size_t centroid, nearest;

    (void)state;
    classify(NODE_PADDING_NONE, s, &centroid, &nearest);
    assert_true(cls_apart(s, TRIALS) >= APART);
    assert_in_range(centroid, 95, 100);
    assert_in_range(nearest, 85, 100); /* acknowledgements that go with cells blur it a little */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(an_exchange_takes_thirteen_cells_each_way),
        NT_TEST(what_a_build_takes_is_not_taken_for_its_round_trip),
        NT_TEST(a_build_and_a_lookup_look_alike_on_the_guards_link),
        NT_TEST(without_padding_the_same_classifiers_tell_them_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
