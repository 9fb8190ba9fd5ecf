/*
 * flow_test.c - bulk data over circuits: order, windows, back-pressure, memory, fairness.
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_run.h"

#include <stdio.h>

#define MIB (UINT64_C(1) << 20)

static struct testnet *net_new(size_t nodes)
{
    struct testnet *n = malloc(sizeof *n);

    assert_non_null(n);
    net_init(n, nodes);
    return n;
}

static void net_del(struct testnet *n)
{
    net_fini(n);
    free(n);
}

static struct ref built(struct testnet *n, size_t hops)
{
    struct ref c;

    assert_int_equal(net_build(n, 1, hops, &c), QUDAG_OK);
    net_run(n);
    assert_non_null(net_last_up(&n->nodes[0], ONION_UP_BUILT));
    return c;
}

/* Writes |total| bytes as fast as the stream takes them. */
static void pour(struct testnet *n, const struct testnet_flow *f, uint64_t total, size_t piece)
{
    for (uint64_t at = 0; at < total;) {
        size_t len = total - at < piece ? (size_t)(total - at) : piece;
        qudag_err err = net_write(n, f, at, len);
        if (err == QUDAG_OK) {
            at += len;
        } else {
            assert_int_equal(err, QUDAG_ETOOBIG);
            assert_true(net_round(n)); /* it moves, or it would never end */
        }
    }
}

static struct testnet_flow *far_flow(struct testnet *n, size_t node)
{
    for (size_t i = 0; i < NET_FLOWS; i++) {
        if (n->nodes[node].flows[i].used) {
            return &n->nodes[node].flows[i];
        }
    }
    ASSERT(false);
    return NULL;
}

/* However the bytes are cut on the links: cells in one piece, cells cut, many at once, a few bytes at a time. */
static void ten_mebibytes_go_each_way_unchanged(void **state)
{
    static const struct {
        size_t chunk;
        uint64_t total; /* all pass the windows several times */
    } rows[] = {{1200, 10 * MIB}, {1120, 2 * MIB}, {65536, 2 * MIB}, {333, 2 * MIB}};

    _Static_assert(2 * MIB >= 3 * ONION_STREAM_WINDOW, "SENDMEs open each window again");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const uint64_t total = rows[i].total;
        struct testnet *n = net_new(4);
        n->chunk = rows[i].chunk;
        n->nodes[3].app = APP_ECHO;
        struct ref c = built(n, 3);
        struct testnet_flow *f = net_open(n, c, 17);
        ASSERT(f != NULL);
        pour(n, f, total, 200000);
        onion_stream_fin(n->nodes[0].o, c, f->sid, n->now, &n->out);
        net_drain(n, 0);
        net_run(n);
        assert_int_equal(f->received, total);
        assert_int_equal(f->wrong, 0);
        assert_int_equal(f->sent, total);
        assert_true(f->fin);
        assert_int_equal(n->units_odd, 0);
        struct onion_info info;
        assert_int_equal(onion_info_get(n->nodes[0].o, c, &info), QUDAG_OK);
        assert_int_equal(info.streams, 0); /* both directions ended: nothing is kept */
        assert_true(info.cells_fwd < total / 1098 + 600);
        for (size_t node = 1; node <= 2; node++) { /* a relay holds keys, not data */
            assert_true(n->nodes[node].mem.peak < 64 * 1024);
        }
        net_del(n);
    }
}

static void a_stalled_reader_stops_the_sender_and_bounds_memory_at_every_hop(void **state)
{
    struct testnet *n = net_new(5);

    (void)state;
    n->nodes[4].app = APP_STALL;
    struct ref c = built(n, 4);
    struct testnet_flow *f = net_open(n, c, 1);
    ASSERT(f != NULL);
    uint64_t at = 0;
    while (net_write(n, f, at, 65536) == QUDAG_OK) {
        at += 65536;
        net_run(n);
        assert_true(at < 4 * MIB);
    }
    struct testnet_flow *far = far_flow(n, 4);
    assert_non_null(far);
    assert_int_equal(far->received, ONION_STREAM_WINDOW);
    assert_true(at <= ONION_STREAM_WINDOW + ONION_STREAM_QUEUE_MAX + 65536);
    assert_true(n->nodes[0].mem.used < ONION_STREAM_QUEUE_MAX + 128 * 1024);
    for (size_t node = 1; node <= 4; node++) {
        assert_true(n->nodes[node].mem.peak < 64 * 1024);
    }
    n->nodes[4].app = APP_SINK; /* it reads again: everything arrives */
    far->seed = 1;
    far->wrong = 0;
    net_run(n);
    assert_int_equal(far->received, at);
    assert_int_equal(f->sent, at);
    net_del(n);
}

static void a_link_that_takes_nothing_is_held_back_hop_by_hop(void **state)
{
    struct testnet *n = net_new(5);

    (void)state;
    n->nodes[4].app = APP_SINK;
    struct ref c = built(n, 4);
    struct testnet_flow *f = net_open(n, c, 1);
    ASSERT(f != NULL);
    net_run(n);
    for (size_t i = 0; i < NET_PIPES; i++) { /* hop 4 takes no bytes from hop 3 */
        struct pipe *p = &n->pipes[i];
        if (p->used && p->node[0] == 3 && p->node[1] == 4) {
            p->stalled[1] = true;
        }
    }
    uint64_t at = 0;
    while (net_write(n, f, at, 65536) == QUDAG_OK) {
        at += 65536;
        net_run(n);
        assert_true(at < 8 * MIB);
    }
    size_t bound = ONION_LEG_PAUSE_AT + NET_PIPE_WINDOW + ONION_CELL_LEN;
    for (size_t i = 0; i < NET_PIPES; i++) {
        struct pipe *p = &n->pipes[i];
        if (p->used) {
            assert_true(p->way[0].peak <= (p->node[0] == 0 ? ONION_LEG_QUEUE_MAX + 65536 : bound));
        }
    }
    for (size_t node = 1; node <= 4; node++) {
        assert_true(n->nodes[node].mem.peak < 64 * 1024);
    }
    for (size_t i = 0; i < NET_PIPES; i++) {
        n->pipes[i].stalled[1] = false;
    }
    net_run(n);
    assert_int_equal(f->sent, at);
    assert_int_equal(far_flow(n, 4)->received, at);
    net_del(n);
}

/* What the client makes waits for its first link, and no more of it is made than that has room for. */
static void a_first_link_that_takes_nothing_holds_back_the_client(void **state)
{
    struct testnet *n = net_new(4);

    (void)state;
    n->nodes[3].app = APP_SINK;
    struct ref c = built(n, 3);
    struct testnet_flow *f[4];
    struct pipe *first = NULL;
    for (size_t i = 0; i < NET_PIPES; i++) {
        struct pipe *p = &n->pipes[i];
        first = p->used && p->node[0] == 0 && p->node[1] == 1 ? p : first;
    }
    ASSERT(first != NULL);
    first->stalled[1] = true;
    for (size_t i = 0; i < ARRAY_LEN(f); i++) { /* of one stream the window alone would hold it */
        f[i] = net_open(n, c, i);
        ASSERT(f[i] != NULL);
        assert_int_equal(net_write(n, f[i], 0, 300000), QUDAG_OK);
        net_run(n);
    }
    assert_true(first->way[0].len >= ONION_LEG_QUEUE_MAX);
    assert_true(first->way[0].len < ONION_LEG_QUEUE_MAX + ONION_CELL_LEN);
    first->stalled[1] = false;
    net_run(n);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        assert_int_equal(f[i]->sent, 300000);
    }
    net_del(n);
}

static void without_acknowledgements_the_window_of_the_circuit_closes(void **state)
{
    struct testnet *n = net_new(3);

    (void)state;
    struct ref c = built(n, 2);
    struct testnet_flow *flows[4];
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        flows[i] = net_open(n, c, i);
        ASSERT(flows[i] != NULL);
    }
    net_run(n);
    for (size_t i = 0; i < NET_PIPES; i++) { /* nothing comes back to the client */
        n->pipes[i].stalled[0] = true;
    }
    struct onion_info before, after;
    assert_int_equal(onion_info_get(n->nodes[0].o, c, &before), QUDAG_OK);
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        assert_int_equal(net_write(n, flows[i], 0, 512 * 1024), QUDAG_OK);
        net_run(n);
    }
    assert_int_equal(onion_info_get(n->nodes[0].o, c, &after), QUDAG_OK);
    uint64_t cells = after.cells_fwd - before.cells_fwd;
    assert_true(cells <= ONION_MUX_WINDOW);
    assert_true(cells + before.cells_fwd >= ONION_MUX_WINDOW);
    for (size_t i = 0; i < NET_PIPES; i++) {
        n->pipes[i].stalled[0] = false;
    }
    net_run(n);
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        assert_int_equal(flows[i]->sent, 512 * 1024);
    }
    net_del(n);
}

static void a_keystroke_overtakes_a_bulk_transfer(void **state)
{
    struct testnet *n = net_new(4);

    (void)state;
    n->nodes[3].app = APP_ECHO;
    struct ref c = built(n, 3);
    struct testnet_flow *bulk = net_open(n, c, 1), *key = net_open(n, c, 2);
    ASSERT(bulk != NULL && key != NULL);
    assert_int_equal(net_write(n, bulk, 0, 900000), QUDAG_OK);
    assert_int_equal(net_write(n, key, 0, 1), QUDAG_OK);
    for (int i = 0; i < 20000 && key->received == 0; i++) {
        assert_true(net_round(n));
    }
    assert_int_equal(key->received, 1);
    assert_true(bulk->sent < 900000);
    net_run(n);
    assert_int_equal(bulk->received, 900000);
    assert_int_equal(bulk->wrong + key->wrong, 0);
    net_del(n);
}

static void
two_hundred_and_seventy_two_streams_share_a_circuit_and_the_next_is_refused(void **state)
{
    struct testnet *n = net_new(4);
    struct testnet_flow *f[ONION_STREAMS_MAX];
    int64_t sid;

    (void)state;
    n->nodes[3].app = APP_ECHO;
    struct ref c = built(n, 3);
    const struct onion_stream_want x = {.circuit = c, .proto = "/x"};
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        f[i] = net_open(n, c, i);
        ASSERT(f[i] != NULL);
    }
    assert_int_equal(onion_stream_open(n->nodes[0].o, &x, n->now, &n->out, &sid), QUDAG_ELIMIT);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        assert_int_equal(net_write(n, f[i], 0, 8000 + i), QUDAG_OK);
        onion_stream_fin(n->nodes[0].o, c, f[i]->sid, n->now, &n->out);
        net_drain(n, 0);
    }
    net_run(n);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        assert_int_equal(f[i]->received, 8000 + i);
        assert_int_equal(f[i]->wrong, 0);
        assert_true(f[i]->fin);
    }
    assert_int_equal(onion_stream_open(n->nodes[0].o, &x, n->now, &n->out, &sid), QUDAG_OK);
    assert_int_equal(sid, ONION_STREAMS_MAX + 1); /* ids are not used twice */
    net_drain(n, 0);
    net_del(n);
}

static void an_end_with_fewer_streams_refuses_the_rest_and_goes_on(void **state)
{
    struct testnet *n = net_new(3);
    struct onion_config few = {.streams_max = 2, .relay = true};
    struct testnet_flow *f[4];

    (void)state;
    net_add(n, &few);
    n->nodes[3].app = APP_ECHO;
    struct ref c = built(n, 3);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        f[i] = net_open(n, c, i);
        ASSERT(f[i] != NULL);
        assert_int_equal(net_write(n, f[i], 0, 100), QUDAG_OK);
    }
    net_run(n);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        assert_int_equal(f[i]->reset, i >= 2);
        assert_int_equal(f[i]->received, i < 2 ? 100 : 0);
        assert_int_equal(f[i]->err, i < 2 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    net_del(n);
}

static void a_reset_in_either_direction_ends_the_stream_and_not_the_circuit(void **state)
{
    struct testnet *n = net_new(3);

    (void)state;
    n->nodes[2].app = APP_ECHO;
    struct ref c = built(n, 2);
    struct testnet_flow *a = net_open(n, c, 1), *b = net_open(n, c, 2);
    ASSERT(a != NULL && b != NULL);
    assert_int_equal(net_write(n, a, 0, 300000), QUDAG_OK);
    assert_int_equal(net_write(n, b, 0, 300000), QUDAG_OK);
    for (int i = 0; i < 50; i++) {
        net_round(n);
    }
    onion_stream_reset(n->nodes[0].o, c, a->sid, QUDAG_ECANCELED, n->now, &n->out);
    net_drain(n, 0);
    a->reset = true; /* nothing may be reported any more */
    net_run(n);
    assert_int_equal(b->received, 300000);
    struct testnet_flow *far = net_flow(&n->nodes[2], far_flow(n, 2)->circuit, a->sid, false);
    ASSERT(far != NULL);
    assert_true(far->reset);
    assert_int_equal(far->err, QUDAG_ERESET); /* why is the client's affair */

    struct testnet_flow *far_b = net_flow(&n->nodes[2], far->circuit, b->sid, false);

    ASSERT(far_b != NULL);
    onion_stream_reset(n->nodes[2].o, far->circuit, b->sid, QUDAG_EUNSUPPORTED, n->now, &n->out);
    net_drain(n, 2);
    far_b->reset = true;
    net_run(n);
    assert_true(b->reset);
    assert_int_equal(b->err, QUDAG_EUNSUPPORTED);
    struct onion_info info;
    assert_int_equal(onion_info_get(n->nodes[0].o, c, &info), QUDAG_OK);
    assert_int_equal(info.state, ONION_OPEN);
    assert_int_equal(info.streams, 0);
    net_del(n);
}

static void the_first_data_shares_a_cell_with_begin(void **state)
{
    struct testnet *n = net_new(3);
    struct onion_info before, after;

    (void)state;
    struct ref c = built(n, 2);
    assert_int_equal(onion_info_get(n->nodes[0].o, c, &before), QUDAG_OK);
    struct testnet_flow *f = net_open(n, c, 1);
    ASSERT(f != NULL);
    assert_int_equal(net_write(n, f, 0, 900), QUDAG_OK);
    net_run(n);
    assert_int_equal(onion_info_get(n->nodes[0].o, c, &after), QUDAG_OK);
    assert_int_equal(after.cells_fwd - before.cells_fwd, 1);
    assert_string_equal(far_flow(n, 2)->proto, "/test/1.0.0");
    net_del(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_mebibytes_go_each_way_unchanged),
        cmocka_unit_test(a_stalled_reader_stops_the_sender_and_bounds_memory_at_every_hop),
        cmocka_unit_test(a_link_that_takes_nothing_is_held_back_hop_by_hop),
        cmocka_unit_test(a_first_link_that_takes_nothing_holds_back_the_client),
        cmocka_unit_test(without_acknowledgements_the_window_of_the_circuit_closes),
        cmocka_unit_test(a_keystroke_overtakes_a_bulk_transfer),
        cmocka_unit_test(
            two_hundred_and_seventy_two_streams_share_a_circuit_and_the_next_is_refused),
        cmocka_unit_test(an_end_with_fewer_streams_refuses_the_rest_and_goes_on),
        cmocka_unit_test(a_reset_in_either_direction_ends_the_stream_and_not_the_circuit),
        cmocka_unit_test(the_first_data_shares_a_cell_with_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
