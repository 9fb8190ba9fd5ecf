/* meter_test.c - what the swarm measures; links of testkit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/meter_int.h"
#include "swarm/testkit.h"

static const uint8_t hello_a[] = "\x13/multistream/1.0.0\n\x05/a/1\n";
#define PROPS (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG)

static const struct swarm_meters *m(void)
{
    return swarm_meters(w.s);
}

/* That only |o| was counted for setups in |dir|, once, and how long it took. */
static void one_setup(enum swarm_direction dir, enum outcome o, uint64_t took)
{
    for (unsigned i = 0; i < OUTCOMES; i++) {
        const struct histogram *h = &m()->setup[w.tp][dir][i];
        assert_int_equal(histogram_total(h), i == (unsigned)o ? 1 : 0);
        assert_int_equal(h->sum_ns, i == (unsigned)o ? took : 0);
    }
}

static void a_dial_is_timed_until_its_link_stands_and_the_link_until_it_ends(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    w.now += 30 * NS_PER_MS;
    up(0, PROPS);
    one_setup(SWARM_OUT, OUTCOME_OK, 30 * NS_PER_MS);
    assert_int_equal(histogram_total(&m()->open[OUTCOME_OK]), 1);
    assert_int_equal(m()->open[OUTCOME_OK].sum_ns, 30 * NS_PER_MS);
    assert_int_equal(m()->opened[SWARM_OUT], 1);
    assert_int_equal(histogram_total(&m()->life[SWARM_OUT]), 0);
    w.now += 7 * NS_PER_S;
    event(LINK_DOWN, 0, 0, NULL, 0); /* of silence */
    settle();
    assert_int_equal(m()->life[SWARM_OUT].sum_ns, 7 * NS_PER_S);
    assert_int_equal(m()->closed[OUTCOME_TIMEOUT], 1);
    one_setup(SWARM_OUT, OUTCOME_OK, 30 * NS_PER_MS); /* its end is no second setup */
}

static void a_dial_nobody_answers_is_a_timeout_and_so_is_no_link(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    w.now += 10 * NS_PER_S;
    event(LINK_DOWN, 0, 0, NULL, 0);
    settle();
    one_setup(SWARM_OUT, OUTCOME_TIMEOUT, 10 * NS_PER_S);
    assert_int_equal(m()->opened[SWARM_OUT], 0);
    assert_int_equal(m()->closed[OUTCOME_TIMEOUT], 0);
    assert_int_equal(histogram_total(&m()->open[OUTCOME_UNREACHABLE]), 1);
}

static void inbound_links_are_counted_apart_and_refused_ones_once(void **state)
{
    (void)state;
    (void)inbound_with_key(1, PROPS, 1);
    assert_int_equal(m()->opened[SWARM_IN], 1);
    assert_int_equal(m()->opened[SWARM_OUT], 0);
    one_setup(SWARM_IN, OUTCOME_OK, 0);
    uint32_t other = inbound_with_key(1, PROPS, 2); /* another key than that it has proven */
    assert_true(w.link[other].closed);
    event(LINK_DOWN, other, 0, NULL, 0);
    settle();
    assert_int_equal(histogram_total(&m()->setup[w.tp][SWARM_IN][OUTCOME_AUTHENTICATION]), 1);
    assert_int_equal(histogram_total(&m()->setup[w.tp][SWARM_OUT][OUTCOME_TIMEOUT]), 0);
    assert_int_equal(m()->opened[SWARM_IN], 1);
}

static void bytes_are_counted_by_core_and_without_negotiation(void **state)
{
    struct act a = {.type = ACT_WRITE, .data = {hello_a, 5}};
    const struct swarm_traffic *t = &m()->traffic[w.core[0]][SWARM_POST_QUANTUM];
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    up(0, PROPS);
    event(LINK_DATA, 0, 0, hello_a, sizeof(hello_a) - 1);
    settle();
    assert_int_equal(t->bytes[SWARM_IN], 0);
    assert_int_equal(t->bytes[SWARM_OUT], 0);
    a.strm = last(EV_STREAM_OPEN)->ev.strm;
    swarm_act(w.s, w.core[0], &a, NULL, w.now);
    swarm_act(w.s, w.core[0], &a, NULL, w.now);
    event(LINK_DATA, 0, 0, hello_a, 3);
    settle();
    assert_int_equal(t->bytes[SWARM_OUT], 10);
    assert_int_equal(t->messages[SWARM_OUT], 2);
    assert_int_equal(t->bytes[SWARM_IN], 3);
    assert_int_equal(t->messages[SWARM_IN], 1);
    assert_int_equal(m()->traffic[w.core[0]][SWARM_CLASSICAL].bytes[SWARM_OUT], 0);
    assert_int_equal(m()->traffic[w.core[1]][SWARM_POST_QUANTUM].bytes[SWARM_OUT], 0);
    a.type = ACT_FIN;
    swarm_act(w.s, w.core[0], &a, NULL, w.now);
    a.type = ACT_WRITE; /* behind the end: it goes nowhere */
    swarm_act(w.s, w.core[0], &a, NULL, w.now);
    assert_int_equal(t->bytes[SWARM_OUT], 10);
}

static void protection_needs_both_halves_or_a_circuit(void **state)
{
    (void)state;
    assert_int_equal(swarm_protection_of(0, false), SWARM_CLASSICAL);
    assert_int_equal(swarm_protection_of(LINK_PQ_KEX, false), SWARM_CLASSICAL);
    assert_int_equal(swarm_protection_of(LINK_PQ_AUTH | LINK_QUDAG, false), SWARM_CLASSICAL);
    assert_int_equal(swarm_protection_of(LINK_PQ_KEX | LINK_PQ_AUTH, false), SWARM_POST_QUANTUM);
    assert_int_equal(swarm_protection_of(LINK_ANON | LINK_PQ_KEX, false), SWARM_CIRCUIT);
    assert_int_equal(swarm_protection_of(LINK_ANON | LINK_PQ_KEX, true), SWARM_HIDDEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_dial_is_timed_until_its_link_stands_and_the_link_until_it_ends),
        T(a_dial_nobody_answers_is_a_timeout_and_so_is_no_link),
        T(inbound_links_are_counted_apart_and_refused_ones_once),
        T(bytes_are_counted_by_core_and_without_negotiation),
        cmocka_unit_test(protection_needs_both_halves_or_a_circuit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
