/* gate_test.c - how many connections of others are taken, and whose. */
#include "upgrade/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const uint64_t key[2] = {7, 8};

static uint32_t taken(struct tcp_gate *g, uint64_t net, uint32_t n, tstamp now)
{
    uint32_t yes = 0;

    while (n-- > 0) {
        yes += tcp_gate_take(g, net, now) ? 1 : 0;
    }
    return yes;
}

static void few_are_all_taken_whoever_they_are(void **state)
{
    struct tcp_gate g;
    (void)state;

    tcp_gate_init(&g, key);
    for (tstamp now = NS_PER_S; now < 10 * NS_PER_S; now += TCP_GATE_WINDOW) {
        assert_int_equal(taken(&g, 1, TCP_GATE_FREE, now), TCP_GATE_FREE);
    }
}

static void a_flood_leaves_room_for_other_networks(void **state)
{
    struct tcp_gate g;
    uint32_t others = 0;
    tstamp now = 5 * NS_PER_S;
    (void)state;

    tcp_gate_init(&g, key);
    assert_int_equal(taken(&g, 1, 10000, now), TCP_GATE_FREE);
    for (uint64_t net = 2; net < 12; net++) {
        others += taken(&g, net, TCP_GATE_FAIR + 5, now);
    }
    assert_true(others >= 8 * TCP_GATE_FAIR && others <= 10 * TCP_GATE_FAIR);
    assert_int_equal(taken(&g, 1, 1, now + TCP_GATE_WINDOW), 1);
}

static void all_networks_together_are_bounded(void **state)
{
    struct tcp_gate g;
    uint32_t all = 0;
    (void)state;

    tcp_gate_init(&g, key);
    for (uint64_t net = 0; net < 5000; net++) {
        all += taken(&g, net, 1, NS_PER_S);
    }
    assert_int_equal(all, TCP_GATE_MOST);
}

/* In which cell |net| was counted; it is the only one that came. */
static size_t cell_of(const struct tcp_gate *g)
{
    size_t at = 0;

    while (at < TCP_GATE_CELLS && g->cell[at] == 0) {
        at++;
    }
    return at;
}

static void what_was_counted_before_is_forgotten(void **state)
{
    struct tcp_gate g;
    uint64_t net = 0;
    (void)state;

    tcp_gate_init(&g, key);
    for (tstamp now = NS_PER_S; now < 100 * NS_PER_S; now += TCP_GATE_WINDOW) {
        uint32_t all = 0;
        for (unsigned i = 0; i < 2 * TCP_GATE_MOST; i++) {
            all += taken(&g, ++net, 1, now);
        }
        assert_int_equal(all, TCP_GATE_MOST); /* all cells would be full after the 32nd */
    }
}

/* Nobody can find out whose share another network has, nor have it for long. */
static void who_shares_a_cell_is_drawn_by_window_and_key(void **state)
{
    struct tcp_gate g;
    size_t window[16], by_window = 0, by_key = 0;
    (void)state;

    tcp_gate_init(&g, key);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(taken(&g, 1, 1, (i + 1) * TCP_GATE_WINDOW), 1);
        window[i] = cell_of(&g);
        by_window += window[i] != window[0] ? 1 : 0;
    }
    for (size_t i = 0; i < 16; i++) {
        tcp_gate_init(&g, (const uint64_t[2]){i, i});
        assert_int_equal(taken(&g, 1, 1, TCP_GATE_WINDOW), 1);
        by_key += cell_of(&g) != window[0] ? 1 : 0;
    }
    assert_true(by_window > 10 && by_key > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_all_taken_whoever_they_are),
        cmocka_unit_test(a_flood_leaves_room_for_other_networks),
        cmocka_unit_test(all_networks_together_are_bounded),
        cmocka_unit_test(what_was_counted_before_is_forgotten),
        cmocka_unit_test(who_shares_a_cell_is_drawn_by_window_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
