/* Unproven Initials: few begin a handshake, many are told to prove themselves, a flood is not answered in full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/gate.h"

#define T0 (1000 * NS_PER_S)

struct count {
    unsigned pass, prove, drop;
};

static struct count flood(struct quic_gate *g, tstamp *now, uint64_t per_s, uint64_t ns,
                          bool spread)
{
    static uint64_t i;
    struct count n = {0};

    for (tstamp end = *now + ns; *now < end; *now += NS_PER_S / per_s) {
        enum quic_gate_way w = quic_gate_take(g, spread ? i++ : 1, *now);
        n.pass += w == QUIC_GATE_PASS;
        n.prove += w == QUIC_GATE_PROVE;
        n.drop += w == QUIC_GATE_DROP;
    }
    return n;
}

static void a_few_begin_at_once(void **state)
{
    struct quic_gate g = {0};
    tstamp now = T0;

    (void)state;
    struct count n = flood(&g, &now, 100, 10 * NS_PER_S, true);
    assert_int_equal(n.pass, 1000);
}

static void a_flood_has_to_prove_itself_however_few_handshakes_are_half_open(void **state)
{
    struct quic_gate g = {0};
    tstamp now = T0;

    (void)state;
    struct count n = flood(&g, &now, 10000, 10 * NS_PER_S, true);
    assert_int_equal(n.pass, QUIC_GATE_BEGIN);
    assert_true(n.drop < 1000); /* shares are drawn: now and then one is asked for too often */
    n = flood(&g, &now, 100, QUIC_GATE_CALM - 20 * NS_PER_MS, true);
    assert_int_equal(n.pass, 0); /* between two waves nothing begins */
    n = flood(&g, &now, 100, 3 * NS_PER_S, true);
    assert_true(n.pass > 280);
}

static void answers_are_bounded(void **state)
{
    struct quic_gate g = {0};
    tstamp now = T0;

    (void)state;
    struct count n = flood(&g, &now, 1000000, 2 * NS_PER_S, true);
    assert_true(n.prove <= 20 * QUIC_GATE_MOST);
    assert_int_equal(n.pass, QUIC_GATE_BEGIN);
    assert_true(n.drop > 1000000);
}

static void a_flood_from_one_network_leaves_the_others_their_answers(void **state)
{
    struct quic_gate g = {0};
    tstamp now = T0;

    (void)state;
    struct count n = flood(&g, &now, 1000000, NS_PER_S, false);
    assert_true(n.prove <= 10 * QUIC_GATE_RETRY);
    for (unsigned i = 0; i < 50; i++) { /* alone, but for 1 in 8,192 */
        (void)flood(&g, &now, 1000000, 7 * NS_PER_MS, false);
        assert_int_equal(quic_gate_take(&g, 2 + i, now), QUIC_GATE_PROVE);
    }
}

/* Which of the first 64 networks, as bits, find no answer left when 8,192 others had theirs. */
static uint64_t sharers(const uint64_t key[2], tstamp now)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < 64; i++) {
        struct quic_gate g;
        quic_gate_init(&g, key);
        g.window = now;
        g.busy = now + 1;
        g.answered = QUIC_GATE_RETRY;
        for (unsigned k = 0; k < QUIC_GATE_CELLS; k++) { /* those of many others are full */
            (void)quic_gate_take(&g, 1000 + k, now);
            (void)quic_gate_take(&g, 1000 + k, now);
        }
        g.answered = QUIC_GATE_RETRY;
        mask |= quic_gate_take(&g, i, now) == QUIC_GATE_DROP ? UINT64_C(1) << i : 0;
    }
    return mask;
}

/* Who shares with whom depends on a key that nobody knows, and is drawn again in each window. */
static void nobody_knows_whom_he_shares_answers_with(void **state)
{
    static const uint64_t key[2] = {1, 2}, other[2] = {3, 4};

    (void)state;
    assert_int_equal(sharers(key, T0), sharers(key, T0));
    assert_int_not_equal(sharers(key, T0), sharers(other, T0));
    assert_int_not_equal(sharers(key, T0), sharers(key, T0 + QUIC_GATE_WINDOW));
}

/* One network in a flood of another's: what it was answered in the last window does not count in this one. */
static void each_window_begins_afresh(void **state)
{
    struct quic_gate g = {0};
    tstamp now = T0;

    (void)state;
    (void)flood(&g, &now, 1000000, QUIC_GATE_WINDOW / 2, false);
    for (unsigned i = 0; i < 20; i++) {
        (void)flood(&g, &now, 1000000, QUIC_GATE_WINDOW, false);
        assert_int_equal(quic_gate_take(&g, 2, now), QUIC_GATE_PROVE);
        assert_int_equal(quic_gate_take(&g, 2, now), QUIC_GATE_PROVE);
        assert_int_equal(quic_gate_take(&g, 2, now), QUIC_GATE_DROP);
    }
}

static void the_log_hears_of_it_once_a_minute(void **state)
{
    struct quic_gate g = {0};

    (void)state;
    assert_true(quic_gate_tell(&g, 1)); /* a clock that has just begun */
    g.told = 0;
    assert_true(quic_gate_tell(&g, T0));
    assert_false(quic_gate_tell(&g, T0 + QUIC_GATE_TELL - 1));
    assert_true(quic_gate_tell(&g, T0 + QUIC_GATE_TELL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_begin_at_once),
        cmocka_unit_test(a_flood_has_to_prove_itself_however_few_handshakes_are_half_open),
        cmocka_unit_test(answers_are_bounded),
        cmocka_unit_test(a_flood_from_one_network_leaves_the_others_their_answers),
        cmocka_unit_test(nobody_knows_whom_he_shares_answers_with),
        cmocka_unit_test(each_window_begins_afresh),
        cmocka_unit_test(the_log_hears_of_it_once_a_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
