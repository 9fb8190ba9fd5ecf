/* quiet_test.c - paths that may have died: how soon that is told, and what is no sign of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/quiet.h"
#include "quic/testkit_net.h"

static struct tk tk;
static struct ref to;
static int64_t sid;

static bool nothing_passes(struct tk *t, struct tk_pkt *p)
{
    (void)t;
    (void)p;
    return false;
}

static void make(uint64_t delay_ns)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    tk_init(&tk);
    tk.delay_ns = delay_ns;
    for (int i = 0; i <= 1; i++) {
        assert_true(tk_make(&tk, i, &o));
    }
    const struct quic_dial d = {.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer};
    assert_int_equal(quic_dial(tk.ep[0].q, &d, tk.now, &to), QUDAG_OK);
    (void)tk_run(&tk, 3 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(quic_link_ops.open(tk.ep[0].q, to, 1, NULL, &sid), QUDAG_OK);
}

static void down(void)
{
    for (int i = 0; i <= 1; i++) {
        assert_int_equal(tk_unmake(&tk, i), 0);
    }
    tk_fini(&tk);
}

static void say(void)
{
    static const uint8_t text[1000];

    assert_int_equal(quic_link_ops.write(tk.ep[0].q, to, sid, (struct slice){text, sizeof text}),
                     QUDAG_OK);
}

static bool is_quiet(struct tk *t)
{
    return t->ep[0].quiet;
}

static bool is_heard(struct tk *t)
{
    return !t->ep[0].quiet;
}

/* Bytes every 20 ms, as a program does that transfers; how long until the path counts as quiet, at most |most|. */
static uint64_t until_quiet(uint64_t most)
{
    tstamp begun = tk.now;

    while (tk.now - begun < most && !tk.ep[0].quiet) {
        say();
        (void)tk_run(&tk, 20 * NS_PER_MS, is_quiet);
    }
    return tk.now - begun;
}

static void a_dead_path_is_quiet_within_a_second_and_heard_soon_after_it_heals(void **state)
{
    static const uint64_t delay_ms[] = {1, 20, 80};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(delay_ms); i++) {
        make(delay_ms[i] * NS_PER_MS);
        assert_true(until_quiet(3 * NS_PER_S) >= 3 * NS_PER_S); /* not while it lives */
        tk.pass = nothing_passes;
        uint64_t took = until_quiet(3 * NS_PER_S);
        assert_true(took <= NS_PER_S);
        assert_true(took >= QUIC_QUIET_LEAST);
        print_message("quiet after %llu ms with a delay of %llu ms\n",
                      (unsigned long long)(took / NS_PER_MS), (unsigned long long)delay_ms[i]);
        (void)tk_run(&tk, 4 * NS_PER_S, NULL);
        assert_int_equal(tk.ep[0].downs, 0);
        tk.pass = NULL;
        tstamp healed = tk.now;
        assert_true(tk_run(&tk, 5 * NS_PER_S, is_heard));
        /* what is lost fills the congestion window: only probes leave, the next of them after twice the time */
        assert_true(tk.now - healed <= 4500 * NS_PER_MS);
        assert_int_equal(tk.ep[0].quiets, 1);
        down();
    }
}

static void a_quiet_path_with_little_outstanding_is_asked_twice_a_second(void **state)
{
    (void)state;
    make(20 * NS_PER_MS);
    tk.pass = nothing_passes;
    say();
    assert_true(tk_run(&tk, NS_PER_S, is_quiet));
    (void)tk_run(&tk, 20 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 0);
    tk.pass = NULL;
    tstamp healed = tk.now;
    assert_true(tk_run(&tk, 20 * NS_PER_S, is_heard));
    print_message("heard after %llu ms\n", (unsigned long long)((tk.now - healed) / NS_PER_MS));
    assert_true(tk.now - healed <= 2 * NS_PER_S);
    down();
}

/* The tenth of the packets lost, for a minute: no sign. */
static void losses_alone_do_not_make_a_path_quiet(void **state)
{
    (void)state;
    make(20 * NS_PER_MS);
    tk.loss_permille = 100;
    assert_true(until_quiet(60 * NS_PER_S) >= 60 * NS_PER_S);
    assert_int_equal(tk.ep[0].quiets, 0);
    tk.loss_permille = 0;
    down();
}

/* Nothing is outstanding: nothing is known of the path, whoever is gone. */
static void a_link_that_says_nothing_is_not_quiet(void **state)
{
    (void)state;
    make(20 * NS_PER_MS);
    say();
    (void)tk_run(&tk, NS_PER_S, NULL);
    tk.pass = nothing_passes;
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].quiets, 0);
    tk.pass = NULL;
    down();
}

static void the_limit_follows_the_probe_timeout_between_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(quic_rule_quiet(0), QUIC_QUIET_LEAST);
    assert_int_equal(quic_rule_quiet(50 * NS_PER_MS), QUIC_QUIET_LEAST);
    assert_int_equal(quic_rule_quiet(200 * NS_PER_MS), 600 * NS_PER_MS);
    assert_int_equal(quic_rule_quiet(NS_PER_S), QUIC_QUIET_MOST);
    assert_int_equal(quic_rule_quiet(UINT64_MAX), QUIC_QUIET_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_path_is_quiet_within_a_second_and_heard_soon_after_it_heals),
        cmocka_unit_test(a_quiet_path_with_little_outstanding_is_asked_twice_a_second),
        cmocka_unit_test(losses_alone_do_not_make_a_path_quiet),
        cmocka_unit_test(a_link_that_says_nothing_is_not_quiet),
        cmocka_unit_test(the_limit_follows_the_probe_timeout_between_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
