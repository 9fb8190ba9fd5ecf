/* rules_time_test.c - rules of node/rules.h: how long keys and padding live, what the end of a circuit says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/rules.h"

static void onion_keys_live_a_week_and_a_day(void **state)
{
    enum { WEEK = NODE_ONION_KEY_LIFE, MORE = NODE_ONION_KEY_OVERLAP };
    static const struct {
        int64_t age;
        bool old;
        enum node_keys_due due;
    } row[] = {
        {0, false, NODE_KEYS_FINE},        {0, true, NODE_KEYS_FINE},
        {MORE - 1, true, NODE_KEYS_FINE},  {MORE, true, NODE_KEYS_DROP_OLD},
        {MORE, false, NODE_KEYS_FINE},     {WEEK - 1, true, NODE_KEYS_DROP_OLD},
        {WEEK - 1, false, NODE_KEYS_FINE}, {WEEK, false, NODE_KEYS_REPLACE},
        {WEEK, true, NODE_KEYS_REPLACE},   {WEEK + MORE - 1, false, NODE_KEYS_REPLACE},
    };
    const struct node_key_age old = {.wall = WEEK + MORE - 1, .lived = 9};

    (void)state;
    assert_true(MORE > RELAY_DESC_LIFE_MAX + 600); /* as long as a descriptor that names it */
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        /* Read from disk, with a calendar to be trusted; made here, with and without; kept so long, without. */
        struct node_key_age read = {.wall = row[i].age},
                            here = {.lived = (uint64_t)row[i].age, .made_here = true},
                            kept = {.lived = (uint64_t)row[i].age};
        const struct node_key_age *before = row[i].old ? &old : NULL;
        assert_int_equal(node_rule_keys_due(&read, before, true), row[i].due);
        assert_int_equal(node_rule_keys_due(&here, before, true), row[i].due);
        assert_int_equal(node_rule_keys_due(&here, before, false), row[i].due);
        assert_int_equal(node_rule_keys_due(&kept, before, false), row[i].due);
    }
}

/* Whatever the calendar says: of days in a jump nothing dies that descriptors may name. */
static void a_calendar_alone_ends_no_onion_key(void **state)
{
    enum { WEEK = NODE_ONION_KEY_LIFE, MORE = NODE_ONION_KEY_OVERLAP, SKEW = NODE_ONION_KEY_SKEW };
    static const struct {
        int64_t wall;
        bool made_here, old, trusted;
        enum node_keys_due due;
    } row[] = {
        {WEEK, false, true, false, NODE_KEYS_FINE},
        {WEEK + MORE, false, true, false, NODE_KEYS_FINE},
        {WEEK + MORE, false, false, false, NODE_KEYS_REPLACE}, /* and it stays */
        {WEEK + MORE - 1, false, false, false, NODE_KEYS_FINE},
        {WEEK + MORE, false, true, true, NODE_KEYS_REPLACE_ALL}, /* it slept for so long */
        {WEEK + MORE, false, false, true, NODE_KEYS_REPLACE_ALL},
        {100 * WEEK, true, true, true, NODE_KEYS_FINE}, /* 1970 until the calendar was set */
        {100 * WEEK, true, false, false, NODE_KEYS_FINE},
        {-SKEW, false, true, true, NODE_KEYS_FINE}, /* set back a little */
        {-SKEW - 1, false, true, true, NODE_KEYS_REPLACE_ALL},
        {-SKEW - 1, false, true, false, NODE_KEYS_FINE},
        {-SKEW - 1, false, false, false, NODE_KEYS_REPLACE},
        {-100 * WEEK, true, true, true, NODE_KEYS_FINE},
    };
    const struct node_key_age young = {.wall = WEEK, .lived = 9},
                              over = {.wall = WEEK + MORE, .lived = 9},
                              current = {.wall = 0, .lived = 9, .made_here = true};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct node_key_age k = {.wall = row[i].wall, .lived = 60, .made_here = row[i].made_here};
        assert_int_equal(node_rule_keys_due(&k, row[i].old ? &young : NULL, row[i].trusted),
                         row[i].due);
    }
    assert_int_equal(node_rule_keys_due(&current, &over, false), NODE_KEYS_FINE);
    assert_int_equal(node_rule_keys_due(&current, &over, true), NODE_KEYS_DROP_OLD);
    assert_int_equal(node_rule_keys_due(&current, &young, true), NODE_KEYS_FINE);
}

static void a_calendar_is_trusted_once_others_could_contradict(void **state)
{
    (void)state;
    assert_true(node_rule_clock_trusted(false, 1, NODE_CLOCK_TRUST));
    assert_false(node_rule_clock_trusted(true, 1, NODE_CLOCK_TRUST));
    assert_false(node_rule_clock_trusted(false, 0, NODE_CLOCK_TRUST));
    assert_false(node_rule_clock_trusted(false, 1, NODE_CLOCK_TRUST - 1));
}

static void one_relay_is_a_circuit_in_a_lab_only(void **state)
{
    (void)state;
    assert_false(node_rule_hops(0, true));
    assert_true(node_rule_hops(1, true));
    assert_false(node_rule_hops(1, false));
    assert_true(node_rule_hops(2, false));
    assert_true(node_rule_hops(7, false));
}

static void links_to_first_relays_are_padded_for_a_bounded_time(void **state)
{
    static const struct {
        enum node_padding how;
        bool relay;
        uint64_t least_s10, most_s10, keep_least_s, keep_most_s;
    } row[] = {{NODE_PADDING_FULL, false, 15, 95, 900, 1800},
               {NODE_PADDING_REDUCED, false, 90, 140, 300, 600},
               {NODE_PADDING_NONE, false, 0, 0, 0, 0},
               {NODE_PADDING_FULL, true, 0, 0, 900, 1800}};
    tstamp used = 5000 * NS_PER_S;

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        uint64_t half = row[i].keep_least_s * NS_PER_S;
        assert_int_equal(node_rule_padding_keep(row[i].how, 0), half);
        assert_int_equal(node_rule_padding_keep(row[i].how, half), row[i].keep_most_s * NS_PER_S);
        assert_in_range(node_rule_padding_keep(row[i].how, UINT64_MAX), half, 2 * half);
        struct transport_padding p =
            node_rule_link_padding(row[i].how, row[i].relay, used, 60 * NS_PER_S);
        assert_int_equal(p.least_ns, row[i].least_s10 * 100 * NS_PER_MS);
        assert_int_equal(p.most_ns, row[i].most_s10 * 100 * NS_PER_MS);
        if (p.most_ns != 0) {
            assert_int_equal(p.until, used + 60 * NS_PER_S);
        }
    }
}

enum { OTHERS = 1, CLOSED = 2, UNANSWERED = 4 };
static const struct {
    bool open;
    uint64_t reached, hop, relays;
    qudag_err err;
    unsigned how;
    enum node_path_verdict want;
} path_end[] = {
    {false, 0, 1, 3, QUDAG_EUNREACHABLE, 0, NODE_PATH_NOTHING}, /* it was not reached at all */
    {false, 0, 1, 3, QUDAG_EAUTH, 0, NODE_PATH_NOTHING},
    {false, 0, 0, 3, QUDAG_ERESET, 0, NODE_PATH_NOTHING},
    {false, 1, 2, 3, QUDAG_EUNREACHABLE, 0,
     NODE_PATH_NOT_BUILT}, /* though a far hop seems to fail */
    {false, 2, 3, 3, QUDAG_ETIMEOUT, 0, NODE_PATH_NOT_BUILT},
    {false, 2, 0, 3, QUDAG_EPROTO, 0, NODE_PATH_NOT_BUILT}, /* garbled, nobody knows where */
    {false, 3, 4, 3, QUDAG_EREFUSED, 0, NODE_PATH_BUILT},   /* the service's doing */
    {false, 3, 0, 3, QUDAG_ERESET, 0, NODE_PATH_BUILT},
    {false, 2, 0, 3, QUDAG_ECANCELED, 0, NODE_PATH_NOTHING},
    {false, 2, 0, 3, QUDAG_ENOMEM, 0, NODE_PATH_NOTHING},
    {false, 2, 0, 3, QUDAG_EINTERNAL, 0, NODE_PATH_NOTHING},
    {false, 2, 0, 3, QUDAG_ELIMIT, 0, NODE_PATH_NOTHING}, /* our own: of others it has a hop */
    {false, 2, 3, 3, QUDAG_ELIMIT, 0, NODE_PATH_NOT_BUILT},
    {false, 2, 0, 3, QUDAG_ERESET, CLOSED, NODE_PATH_NOTHING},
    /* open, of relays that we chose alone: all that happens on the way counts */
    {true, 2, 0, 3, QUDAG_EPROTO, 0, NODE_PATH_BROKE},
    {true, 2, 0, 3, QUDAG_EMALFORMED, 0, NODE_PATH_BROKE},
    {true, 2, 1, 3, QUDAG_ECLOSED, 0, NODE_PATH_BROKE}, /* DESTROY */
    {true, 2, 1, 3, QUDAG_ERESET, 0, NODE_PATH_BROKE},
    {true, 2, 2, 3, QUDAG_ECLOSED, 0, NODE_PATH_BROKE}, /* TRUNCATED */
    {true, 2, 3, 3, QUDAG_EPROTO, 0, NODE_PATH_BROKE},
    {true, 2, 4, 3, QUDAG_ECLOSED, 0, NODE_PATH_BROKE},    /* a last hop that names one behind it */
    {true, 2, 1, 3, QUDAG_ETIMEOUT, 0, NODE_PATH_NOTHING}, /* our own network, perhaps */
    {true, 2, 0, 3, QUDAG_ENOMEM, 0, NODE_PATH_NOTHING},
    {true, 2, 0, 3, QUDAG_ELIMIT, 0, NODE_PATH_NOTHING},
    {true, 2, 0, 3, QUDAG_ECANCELED, 0, NODE_PATH_NOTHING}, /* our link to the guard was closed */
    {true, 2, 0, 3, QUDAG_ETIMEOUT, 0, NODE_PATH_INTACT},   /* idle */
    {true, 2, 0, 3, QUDAG_ECANCELED, CLOSED, NODE_PATH_INTACT},
    /* it was asked something */
    {true, 2, 0, 3, QUDAG_OK, CLOSED, NODE_PATH_INTACT},
    {true, 2, 0, 3, QUDAG_ENOTFOUND, CLOSED, NODE_PATH_INTACT},
    {true, 2, 0, 3, QUDAG_EPROTO, CLOSED, NODE_PATH_INTACT}, /* its far end's answer */
    {true, 2, 0, 3, QUDAG_ETIMEOUT, CLOSED | UNANSWERED, NODE_PATH_BROKE},
    {true, 2, 0, 3, QUDAG_ECANCELED, CLOSED | UNANSWERED, NODE_PATH_NOTHING},
    {true, 2, 0, 3, QUDAG_EPROTO, UNANSWERED, NODE_PATH_BROKE},
    /* others chose who follows: what those do, or may have done, does not count */
    {true, 3, 4, 3, QUDAG_EPROTO, OTHERS, NODE_PATH_NOTHING},
    {true, 3, 4, 3, QUDAG_EMALFORMED, OTHERS, NODE_PATH_NOTHING},
    {true, 3, 4, 3, QUDAG_ECLOSED, OTHERS, NODE_PATH_NOTHING},
    {true, 3, 4, 3, QUDAG_EEXPIRED, OTHERS, NODE_PATH_NOTHING},
    {true, 3, 0, 3, QUDAG_EPROTO, OTHERS, NODE_PATH_NOTHING}, /* not recognised */
    {true, 3, 0, 3, QUDAG_ERESET, OTHERS, NODE_PATH_NOTHING},
    {true, 3, 3, 3, QUDAG_ECLOSED, OTHERS, NODE_PATH_BROKE},
    {true, 3, 1, 3, QUDAG_ECLOSED, OTHERS, NODE_PATH_BROKE},
    {true, 3, 0, 3, QUDAG_EEXPIRED, OTHERS | CLOSED, NODE_PATH_INTACT},
    {true, 3, 0, 3, QUDAG_ECANCELED, OTHERS | CLOSED, NODE_PATH_INTACT},
};

static void what_the_end_of_a_circuit_says_of_its_guard(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(path_end); i++) {
        struct node_path_end end = {path_end[i].open,
                                    path_end[i].reached,
                                    path_end[i].hop,
                                    path_end[i].relays,
                                    path_end[i].err,
                                    (path_end[i].how & OTHERS) != 0,
                                    (path_end[i].how & CLOSED) != 0,
                                    (path_end[i].how & UNANSWERED) != 0};
        assert_int_equal(node_rule_path_end(&end), path_end[i].want);
    }
}

static void more_relays_are_waited_for_where_they_may_come(void **state)
{
    (void)state;
    assert_true(node_rule_awaits_relays(QUDAG_ENORELAYS));
    assert_true(node_rule_awaits_relays(QUDAG_ESMALLNET));
    assert_false(node_rule_awaits_relays(QUDAG_ENOGUARD));
    assert_false(node_rule_awaits_relays(QUDAG_ENOMEM));
    assert_false(node_rule_awaits_relays(QUDAG_OK));
}

/* What we did wrong ourselves, or gave up, says nothing of a guard. */
static void our_own_errors_are_no_failure_of_a_path(void **state)
{
    static const qudag_err ours[] = {QUDAG_EINVAL, QUDAG_EINTERNAL, QUDAG_ECANCELED,
                                     QUDAG_ENOMEM, QUDAG_ESTALE,    QUDAG_EAGAIN};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        struct node_path_end e = {.reached = 1, .hop = 2, .relays = 3, .err = ours[i]};
        assert_int_equal(node_rule_path_end(&e), NODE_PATH_NOTHING);
    }
    struct node_path_end e = {.reached = 1, .hop = 2, .relays = 3, .err = QUDAG_EUNREACHABLE};
    assert_int_equal(node_rule_path_end(&e), NODE_PATH_NOT_BUILT);
}

static void only_answers_to_our_own_requests_say_that_others_answer(void **state)
{
    (void)state;
    for (unsigned k = 0; k < NODE_OP_KINDS; k++) {
        enum node_op_kind kind = (enum node_op_kind)k;
        bool ours =
            kind != NODE_OP_SERVE_GET && kind != NODE_OP_SERVE_PUT && kind != NODE_OP_EXTEND_FETCH;
        assert_int_equal(node_rule_heard(kind, QUDAG_OK, 5, 4), ours);
        assert_false(node_rule_heard(kind, QUDAG_OK, 5, 5));
        assert_false(node_rule_heard(kind, QUDAG_OK, 0, 0)); /* found at home */
        assert_false(node_rule_heard(kind, QUDAG_ETIMEOUT, 5, 4));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(onion_keys_live_a_week_and_a_day),
        cmocka_unit_test(a_calendar_alone_ends_no_onion_key),
        cmocka_unit_test(a_calendar_is_trusted_once_others_could_contradict),
        cmocka_unit_test(one_relay_is_a_circuit_in_a_lab_only),
        cmocka_unit_test(links_to_first_relays_are_padded_for_a_bounded_time),
        cmocka_unit_test(what_the_end_of_a_circuit_says_of_its_guard),
        cmocka_unit_test(more_relays_are_waited_for_where_they_may_come),
        cmocka_unit_test(our_own_errors_are_no_failure_of_a_path),
        cmocka_unit_test(only_answers_to_our_own_requests_say_that_others_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
