/*
 * limits_test.c - circuits: what is bounded in number, rate and time, and who is to blame when one fails.
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

static void creates_beyond_the_rate_wait_and_are_refused_in_the_end(void **state)
{
    struct testnet *n = net_new(1);
    struct onion_config few = {.create_rate = 4, .relay = true};
    struct onion_stats st;
    struct ref c;

    (void)state;
    net_add(n, &few);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(net_build(n, 1, 1, &c), QUDAG_OK);
    }
    net_run(n);
    onion_stats_get(n->nodes[1].o, &st);
    assert_int_equal(st.created, 2);
    for (int i = 0; i < 7; i++) {
        net_sleep(n, NS_PER_S / 4);
    }
    onion_stats_get(n->nodes[1].o, &st);
    assert_int_equal(st.created, 9);
    assert_int_equal(st.refused_rate, 0);
    net_sleep(n,
              NS_PER_S / 4); /* ONION_CREATE_WAIT: who asked has given up, and is not served late */
    onion_stats_get(n->nodes[1].o, &st);
    assert_int_equal(st.created, 9);
    assert_int_equal(st.refused_rate, 3);
    assert_int_equal(net_build(n, 1, 1, &c), QUDAG_OK);
    net_run(n);
    onion_stats_get(n->nodes[1].o, &st);
    assert_int_equal(st.created, 10);
    net_del(n);
}

static void unfinished_creates_are_few_and_short_lived(void **state)
{
    struct testnet *n = net_new(2);
    struct onion_stats st;
    size_t used = n->nodes[1].mem.used;

    (void)state;
    n->pipes_high = 40;
    for (uint32_t i = 0; i < 40; i++) {
        struct ref r = {1000 + i, 1};
        uint8_t cell[ONION_CELL_LEN] = {ONION_CELL_CREATE, ONION_HS_CREATE_MIN >> 8,
                                        ONION_HS_CREATE_MIN & 0xff, 0, 0};
        n->pipes[i] = (struct pipe){.used = true, .node = {0, 1}, .ref = {{5000 + i, 1}, r}};
        n->pipes[i].way[0].credit = NET_PIPE_WINDOW;
        net_event(n, 1,
                  &(struct ev){.type = EV_STREAM_OPEN,
                               .inbound = true,
                               .props = ONION_NEED | LINK_INBOUND,
                               .peer = &n->nodes[0].id,
                               .strm = r});
        if (!n->pipes[i].cut[1]) {
            n->pipes[i].way[0].credit -= sizeof cell;
            net_event(n, 1, &(struct ev){.type = EV_DATA, .strm = r, .data = {cell, sizeof cell}});
        }
    }
    onion_stats_get(n->nodes[1].o, &st);
    assert_int_equal(st.circuits_end, ONION_LINK_CREATES_MAX);
    assert_int_equal(st.refused_limit, 8);
    net_sleep(n, ONION_CREATE_TIMEOUT);
    net_sleep(n, ONION_CLOSE_TIMEOUT);
    assert_int_equal(circuits(n, 1), 0);
    assert_true(n->nodes[1].mem.used < used + 32 * 1024); /* tables stay, circuits do not */
    net_del(n);
}

/* Which hop is blamed for a circuit that ends while it is built: by |ev| on the stream to the first hop. */
static void blamed(struct ev ev, qudag_err err, unsigned hop)
{
    struct testnet *n = net_new(4);
    struct ref c;

    assert_int_equal(net_build(n, 1, 3, &c), QUDAG_OK);
    ev.strm = n->pipes[0].ref[0];
    n->pipes[0].way[1].credit -= ev.data.len;
    net_event(n, 0, &ev);
    const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
    assert_int_equal(up->err, err);
    assert_int_equal(up->n, hop);
    net_del(n);
}

static void what_this_node_does_or_lacks_is_blamed_on_no_hop(void **state)
{
    uint8_t destroy[ONION_CELL_LEN] = {ONION_CELL_DESTROY, 10 /* canceled */};

    (void)state;
    blamed((struct ev){.type = EV_RESET, .err = QUDAG_ECANCELED}, QUDAG_ECANCELED, 0);
    blamed((struct ev){.type = EV_RESET, .err = QUDAG_ENOMEM}, QUDAG_ENOMEM, 0);
    blamed((struct ev){.type = EV_RESET, .err = QUDAG_ERESET}, QUDAG_ERESET, 1);
    blamed((struct ev){.type = EV_RESET, .err = QUDAG_ETIMEOUT}, QUDAG_ETIMEOUT, 1);
    blamed((struct ev){.type = EV_DATA, .data = {destroy, sizeof destroy}}, QUDAG_ERESET, 1);
}

static void a_build_is_given_up_after_the_time_that_is_set(void **state)
{
    struct testnet *n = net_new(4);
    struct ref c;

    (void)state;
    onion_set_build_time(n->nodes[0].o, 7 * NS_PER_S);
    assert_int_equal(net_build(n, 1, 3, &c), QUDAG_OK);
    for (size_t i = 0; i < NET_PIPES; i++) {
        n->pipes[i].stalled[0] = n->pipes[i].stalled[1] = true;
    }
    net_sleep(n, 7 * NS_PER_S - 1);
    assert_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
    net_sleep(n, 1);
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->err, QUDAG_ETIMEOUT);
    net_del(n);
}

static void a_build_that_hangs_times_out_and_an_idle_circuit_lives_ten_minutes(void **state)
{
    struct testnet *n = net_new(4);
    struct ref c;

    (void)state;
    assert_int_equal(net_build(n, 1, 3, &c), QUDAG_OK);
    for (size_t i = 0; i < NET_PIPES; i++) {
        n->pipes[i].stalled[0] = n->pipes[i].stalled[1] = true;
    }
    net_sleep(n, ONION_BUILD_TIMEOUT - 1);
    assert_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
    net_sleep(n, 1);
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->err, QUDAG_ETIMEOUT);
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->n, 1);
    net_del(n);

    n = net_new(4);
    c = built(n, 3);
    net_sleep(n, ONION_IDLE_LIFE / 2);
    assert_non_null(net_open(n, c, 0)); /* a sign of life for all hops */
    net_run(n);
    net_sleep(n, ONION_IDLE_LIFE - 1);
    assert_int_equal(all_circuits(n), 4);
    net_sleep(n, 1);
    net_sleep(n, ONION_CLOSE_TIMEOUT);
    assert_int_equal(all_circuits(n), 0);
    assert_int_equal(onion_ops.deadline(n->nodes[1].o), TSTAMP_NEVER);
    net_del(n);
}

static void circuits_end_from_either_side_and_leave_nothing(void **state)
{
    (void)state;
    for (size_t by = 0; by < 4; by++) {
        struct testnet *n = net_new(4);
        struct ref c = built(n, 3);
        assert_non_null(net_open(n, c, 0));
        net_run(n);
        onion_close(n->nodes[by].o, inner(n, by)->ref, n->now, &n->out);
        net_drain(n, by);
        net_run(n);
        assert_int_equal(all_circuits(n), 0);
        const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
        assert_int_equal(up->err, by == 0 ? QUDAG_ECANCELED : QUDAG_ECLOSED);
        up = net_last_up(&n->nodes[3], ONION_UP_CLOSED);
        assert_non_null(up);
        assert_int_equal(up->err, by == 3 ? QUDAG_ECANCELED : QUDAG_ECLOSED);
        assert_null(net_last_up(&n->nodes[1], ONION_UP_CLOSED)); /* relays do not report */
        net_del(n);
    }
}

/* DESTROY cells that passed, by the node that sent them and whether towards the end. */
struct destroyed {
    unsigned fwd[4], back[4];
};

static void count_destroys(struct testnet *n, struct pipe *p, size_t side, uint8_t *bytes,
                           size_t len)
{
    struct destroyed *d = n->tap_ctx;

    if (len == ONION_CELL_LEN && bytes[0] == ONION_CELL_DESTROY) {
        (side == 0 ? d->fwd : d->back)[p->node[side]]++;
    }
}

/* SPEC: onion 7.2: who ends a circuit says so on each link once, and nobody answers that. */
static void an_end_is_told_once_on_each_link(void **state)
{
    (void)state;
    for (size_t closer = 0; closer < 4; closer += 3) {
        struct testnet *n = net_new(4);
        struct destroyed d = {{0}, {0}};
        n->chunk = ONION_CELL_LEN;
        struct ref c = built(n, 3);
        n->tap = count_destroys;
        n->tap_ctx = &d;
        if (closer == 3) {
            c = inner(n, 3)->ref;
        }
        onion_close(n->nodes[closer].o, c, n->now, &n->out);
        net_drain(n, closer);
        net_run(n);
        for (size_t node = 0; node < 4; node++) {
            /* a client that reads TRUNCATED ends its circuit before the DESTROY behind it has come */
            assert_int_equal(d.fwd[node], closer == 0 ? node < 3 : node == 0);
            assert_int_equal(d.back[node], closer == 3 && node > 0);
        }
        assert_int_equal(all_circuits(n), 0);
        net_del(n);
    }
}

static void one_neighbour_cannot_take_the_share_kept_for_our_own_circuits(void **state)
{
    struct testnet *n = net_new(1);
    struct onion_config few = {.circuits_max = 16, .relay = true};
    struct ref c;

    (void)state;
    net_add(n, &few);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(net_build(n, 1, 1, &c), QUDAG_OK);
    }
    net_run(n);
    assert_int_equal(circuits(n, 1), 15);
    net_del(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creates_beyond_the_rate_wait_and_are_refused_in_the_end),
        cmocka_unit_test(unfinished_creates_are_few_and_short_lived),
        cmocka_unit_test(what_this_node_does_or_lacks_is_blamed_on_no_hop),
        cmocka_unit_test(a_build_is_given_up_after_the_time_that_is_set),
        cmocka_unit_test(a_build_that_hangs_times_out_and_an_idle_circuit_lives_ten_minutes),
        cmocka_unit_test(circuits_end_from_either_side_and_leave_nothing),
        cmocka_unit_test(an_end_is_told_once_on_each_link),
        cmocka_unit_test(one_neighbour_cannot_take_the_share_kept_for_our_own_circuits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
