/* keepalive_test.c - how many packets an idle link costs whose host is behind a NAT, and what the other side adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"

static struct tk tk;
static struct ref to;
static tstamp last_out;
static uint64_t longest, asked;

/* How long the longest silence of endpoint 0 is. */
static bool watch(struct tk *t, struct tk_pkt *p)
{
    if (netaddr_eq(&p->from, &t->ep[0].addr)) {
        longest = last_out != 0 && t->now - last_out > longest ? t->now - last_out : longest;
        last_out = t->now;
        asked += p->len >= 1000 ? 1 : 0; /* PINGs are padded; acknowledgements are short */
    }
    return true;
}

static void make(void)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    tk_init(&tk);
    for (int i = 0; i <= 1; i++) {
        assert_true(tk_make(&tk, i, &o));
    }
    const struct quic_dial d = {.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer};
    assert_int_equal(quic_dial(tk.ep[0].q, &d, tk.now, &to), QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    tk.pass = watch;
}

static void down(void)
{
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    for (int i = 0; i <= 1; i++) {
        assert_int_equal(tk_unmake(&tk, i), 0);
    }
    tk_fini(&tk);
}

/* PINGs that endpoint 0 sends in ten minutes; every second answer asks for an acknowledgement in turn. */
static uint64_t ten_minutes(const char *what)
{
    struct quic_stats before, after;

    longest = last_out = asked = 0;
    quic_stats_get(tk.ep[0].q, &before);
    (void)tk_run(&tk, 600 * NS_PER_S, NULL);
    quic_stats_get(tk.ep[0].q, &after);
    print_message("%s: %llu PINGs, %llu packets in all, longest silence %llu ms\n", what,
                  (unsigned long long)asked,
                  (unsigned long long)(after.dgrams_out - before.dgrams_out),
                  (unsigned long long)(longest / NS_PER_MS));
    return asked;
}

static void ten_idle_minutes_behind_a_nat_of_thirty_seconds(void **state)
{
    (void)state;
    make();
    quic_set_plain_keepalive(tk.ep[0].q, 4, 15 * NS_PER_S);
    uint64_t n = ten_minutes("15 s");
    assert_true(n <= 41);
    assert_true(longest < 20 * NS_PER_S);
    down();
}

static void where_states_live_long_there_are_few_and_the_other_side_adds_none(void **state)
{
    (void)state;
    make();
    quic_set_plain_keepalive(tk.ep[0].q, 4, 15 * NS_PER_S);
    (void)tk_run(&tk, 120 * NS_PER_S, NULL); /* until the life is measured */
    quic_set_plain_keepalive(tk.ep[0].q, 4, 84 * NS_PER_S);
    uint64_t n = ten_minutes("84 s");
    assert_true(n <= 12);
    assert_true(longest < 110 * NS_PER_S);
    down();
}

static void links_of_cells_are_kept_alive_as_everywhere(void **state)
{
    int64_t sid;
    (void)state;

    make();
    quic_set_plain_keepalive(tk.ep[0].q, 4, 84 * NS_PER_S);
    assert_int_equal(quic_link_ops.open(tk.ep[0].q, to, 1, NULL, &sid), QUDAG_OK);
    quic_link_ops.set_unit(tk.ep[0].q, to, sid, 509);
    (void)ten_minutes("cells");
    assert_true(longest < 30 * NS_PER_S);
    down();
}

static void the_rule(void **state)
{
    (void)state;
    assert_int_equal(quic_rule_keepalive(25, 15, true, 0), 15);
    assert_int_equal(quic_rule_keepalive(25, 15, false, 9), 25);
    assert_int_equal(quic_rule_keepalive(25, 0, true, QUIC_KEPT_TIMES - 1), 25);
    assert_int_equal(quic_rule_keepalive(25, 0, true, QUIC_KEPT_TIMES), 100);
    assert_int_equal(quic_rule_keepalive(25, 84, true, QUIC_KEPT_TIMES), 84);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_idle_minutes_behind_a_nat_of_thirty_seconds),
        cmocka_unit_test(where_states_live_long_there_are_few_and_the_other_side_adds_none),
        cmocka_unit_test(links_of_cells_are_kept_alive_as_everywhere),
        cmocka_unit_test(the_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
