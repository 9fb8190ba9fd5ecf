/*
 * early_test.c - how long a circuit becomes, and what it can make relays send, when its client does not keep the rules.
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

/* A build round and round the relays 1 to |relays|, of |hops| hops, that onion_build() would refuse. */
static struct ref build_loop(struct testnet *n, size_t relays, size_t hops)
{
    struct mem *mem = &n->nodes[0].mem;
    struct ref ref;

    assert_int_equal(net_build(n, 1, 1, &ref), QUDAG_OK);
    struct onion_circuit *c = inner(n, 0);
    mem_free_wiped(mem, c->client->plan);
    c->client->plan = mem_alloc_n(mem, hops, sizeof *c->client->plan);
    assert_non_null(c->client->plan);
    for (size_t i = 0; i < hops; i++) {
        c->client->plan[i] = n->nodes[1 + i % relays].hop;
    }
    c->client->n_wanted = (uint8_t)hops;
    onion_hops_fini(&c->hops);
    assert_int_equal(onion_hops_init(&c->hops, mem, hops), QUDAG_OK);
    return ref;
}

/* Bytes that node 0 wrote, and that the others wrote to each other. */
struct traffic {
    uint64_t client, relays;
};

static void count(struct testnet *n, struct pipe *p, size_t side, uint8_t *bytes, size_t len)
{
    struct traffic *t = n->tap_ctx;
    (void)bytes;

    if (p->node[side] == 0) {
        t->client += len;
    } else if (p->node[1 - side] != 0) {
        t->relays += len;
    }
}

static size_t most_hops(const struct testnet *n)
{
    size_t most = 0;

    for (size_t i = 0; i < n->nodes[0].ups_n; i++) {
        const struct up *up = &n->nodes[0].ups[i];
        most = up->kind == ONION_UP_HOP && up->n > most ? (size_t)up->n : most;
        assert_int_not_equal(up->kind, ONION_UP_BUILT);
    }
    return most;
}

/* The audit's loop: 100 hops round three relays made each byte of the client a hundred of theirs. */
static void a_circuit_round_and_round_three_relays_ends_at_eight_hops(void **state)
{
    struct testnet *n = net_new(4);
    struct traffic t = {0, 0};

    (void)state;
    n->tap = count;
    n->tap_ctx = &t;
    (void)build_loop(n, 3, 100);
    net_run(n);
    assert_int_equal(most_hops(n), ONION_HOPS_MAX);
    assert_int_equal(all_circuits(n), 0);
    print_message("relays sent %.2f bytes per byte of the client while it built\n",
                  (double)t.relays / (double)t.client);
    assert_true(t.relays < ONION_HOPS_MAX * t.client);
    net_del(n);
}

/* What the client sends to its last hop is sent once on each of the links between eight relays. */
static void cells_are_multiplied_by_the_links_of_the_longest_path_at_most(void **state)
{
    struct testnet *n = net_new(4);
    struct traffic t = {0, 0};

    (void)state;
    struct ref ref = build_loop(n, 3, ONION_HOPS_MAX);
    net_run(n);
    (void)net_up_of(&n->nodes[0], ONION_UP_BUILT);
    n->tap = count;
    n->tap_ctx = &t;
    struct testnet_flow *f = net_open(n, ref, 1);
    ASSERT(f != NULL);
    assert_int_equal(net_write(n, f, 0, 400000), QUDAG_OK);
    net_run(n);
    double factor = (double)t.relays / (double)t.client;
    print_message("relays sent %.2f bytes per byte of the client on eight hops\n", factor);
    assert_true(factor > ONION_HOPS_MAX - 1.0);
    assert_true(factor < ONION_HOPS_MAX - 0.5); /* answers included */
    net_del(n);
}

/* The longest path that a client may want works, and uses up exactly what the first relay passes on. */
static void eight_hops_are_built_with_the_early_cells_there_are(void **state)
{
    struct testnet *n = net_new(9);
    struct onion_circuit *first;

    (void)state;
    (void)built(n, ONION_HOPS_MAX);
    first = inner(n, 1);
    assert_int_equal(first->early, ONION_EARLY_MAX);
    assert_int_equal(inner(n, 6)->early, ONION_EXTEND_CELLS);
    assert_int_equal(inner(n, 7)->early, 0);
    assert_int_equal(n->classes[ONION_CELL_EARLY] % ONION_EXTEND_CELLS, 0);
    net_del(n);
}

/* An EARLY cell to hop |to|, with whatever is in |payload|. */
static void send_early(struct testnet *n, size_t to, struct slice payload)
{
    struct onion_circuit *c = inner(n, 0);
    size_t all = c->hops.n;
    uint8_t ack[CGO_TAG_LEN];
    struct wr w;

    uint8_t *cell = onion_circuit_cell_open(&w, &n->out);
    ASSERT(cell != NULL);
    cell[0] = ONION_CELL_EARLY;
    wr_slice(&w, payload);
    c->hops.n = to;
    onion_circuit_cell_seal(c, cell, &w, ack, &n->out);
    c->hops.n = all;
    net_drain(n, 0);
}

/* One more than the longest path needs ends the circuit at the first relay that would have to pass it on. */
static void one_early_cell_too_many_ends_the_circuit(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct testnet *n = net_new(4);
        (void)built(n, 3);
        uint32_t passed = inner(n, 1)->early;
        assert_int_equal(passed, ONION_EXTEND_CELLS);
        inner(n, 1)->early = (uint32_t)(ONION_EARLY_MAX - 1 + more);
        uint64_t before = n->nodes[2].o->stats.cells_recognised;
        send_early(
            n, 2,
            (struct slice){NULL, 0}); /* without an EXTEND: hop 2 ends it, if it comes so far */
        net_run(n);
        assert_int_equal(n->nodes[2].o->stats.cells_recognised - before, more == 0);
        assert_int_equal(all_circuits(n), 0);
        net_del(n);
    }
}

/* At whatever hop and in whatever state: an EARLY cell with something else, or an EXTEND in another cell. */
static void the_class_and_the_message_belong_together(void **state)
{
    static const uint8_t begin[] = {ONION_RELAY_BEGIN, 0, 2, 0, 1, '/', 'x'};
    static const uint8_t zero[1] = {0};
    static const struct slice in_early[] = {{zero, 0}, {begin, sizeof begin}};
    uint8_t frag[ONION_RELAY_FRAG_HEAD + ONION_RELAY_FRAG_MAX] = {ONION_EXTEND_LEN >> 8,
                                                                  ONION_EXTEND_LEN & 0xff};

    (void)state;
    for (size_t hop = 1; hop <= 3; hop++) {
        for (size_t i = 0; i < 3; i++) {
            struct testnet *n = net_new(4);
            (void)built(n, 3);
            if (i < ARRAY_LEN(in_early)) {
                send_early(n, hop, in_early[i]);
            } else {
                struct onion_circuit *c = inner(n, 0);
                uint8_t ack[CGO_TAG_LEN];
                struct wr w;
                uint8_t *cell = onion_circuit_cell_open(&w, &n->out); /* of class RELAY */
                ASSERT(cell != NULL);
                onion_relay_msg_put(&w, ONION_RELAY_EXTEND, 0, (struct slice){frag, sizeof frag});
                c->hops.n = hop;
                onion_circuit_cell_seal(c, cell, &w, ack, &n->out);
                c->hops.n = 3;
                net_drain(n, 0);
            }
            net_run(n);
            assert_int_equal(all_circuits(n), 0);
            net_del(n);
        }
    }
}

/* From a relay towards the client, at each hop, in the cell's clear class byte: never passed on. */
static void early_cells_never_travel_backward(void **state)
{
    (void)state;
    for (size_t from = 1; from <= 3; from++) {
        struct testnet *n = net_new(4);
        (void)built(n, 3);
        struct onion_circuit *c = inner(n, from);
        uint64_t before = inner(n, 0)->cells_back;
        uint8_t ack[CGO_TAG_LEN];
        struct wr w;
        uint8_t *cell = onion_circuit_cell_open(&w, &n->out);
        ASSERT(cell != NULL);
        cell[0] = ONION_CELL_EARLY;
        onion_circuit_cell_seal(c, cell, &w, ack, &n->out);
        net_drain(n, from);
        net_round(n);
        assert_int_equal(inner(n, 0)->cells_back, before);
        net_run(n);
        assert_int_equal(all_circuits(n), 0);
        net_del(n);
    }
}

/* The class is part of what the cipher authenticates: a relay cannot make one of the other. */
static void a_class_changed_on_the_way_breaks_the_circuit(void **state)
{
    (void)state;
    struct testnet *n = net_new(4);
    struct ref c = built(n, 3);
    struct testnet_flow *f = net_open(n, c, 0);
    ASSERT(f != NULL);
    assert_int_equal(net_write(n, f, 0, 10), QUDAG_OK);
    struct pipe *p = NULL;
    for (int i = 0; i < 100 && (p == NULL || p->way[0].len == 0); i++) {
        onion_ops.tick(n->nodes[0].o, n->now, &n->out);
        net_drain(n, 0);
        p = pipe_between(n, 0, 1);
        ASSERT(p != NULL);
    }
    assert_int_equal(p->way[0].queue[0], ONION_CELL_RELAY);
    p->way[0].queue[0] = ONION_CELL_EARLY;
    net_run(n);
    assert_int_equal(n->nodes[3].flows[0].received, 0);
    assert_int_equal(all_circuits(n), 0);
    net_del(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_circuit_round_and_round_three_relays_ends_at_eight_hops),
        cmocka_unit_test(cells_are_multiplied_by_the_links_of_the_longest_path_at_most),
        cmocka_unit_test(eight_hops_are_built_with_the_early_cells_there_are),
        cmocka_unit_test(one_early_cell_too_many_ends_the_circuit),
        cmocka_unit_test(the_class_and_the_message_belong_together),
        cmocka_unit_test(early_cells_never_travel_backward),
        cmocka_unit_test(a_class_changed_on_the_way_breaks_the_circuit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
