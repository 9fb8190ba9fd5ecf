/* rules_test.c - the table of answers of rules.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/rules.h"

/* What the first of eight relays passes on is all that any relay passes on. */
static void a_relay_passes_on_what_eight_hops_need(void **state)
{
    (void)state;
    assert_int_equal(ONION_EARLY_MAX, 18);
    assert_true(onion_rule_early(0));
    assert_true(onion_rule_early(17));
    assert_false(onion_rule_early(18));
    assert_false(onion_rule_early(UINT32_MAX));
}

static void extend_comes_in_early_cells_and_nothing_else_does(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < 255; type++) {
        assert_int_equal(onion_rule_class(type), type == ONION_RELAY_EXTEND ? 6 : 3);
    }
}

static void one_cell_of_a_hundred_and_twenty_may_say_nothing(void **state)
{
    static const struct {
        uint64_t explained, most;
    } rows[] = {{0, 20}, {99, 20}, {100, 21}, {1999, 39}, {2000, 40}, {1000000, 10020}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct onion_tally t = {.explained = rows[i].explained, .unexplained = rows[i].most};
        assert_true(onion_rule_unexplained(&t));
        t.unexplained++;
        assert_false(onion_rule_unexplained(&t));
    }
}

static void padding_is_explained_as_far_as_it_was_agreed_upon(void **state)
{
    struct onion_tally t = {.explained = 0};

    (void)state;
    onion_tally_allow(&t, 5);
    for (int i = 0; i < 5 + 20; i++) {
        assert_true(onion_tally_padding(&t));
    }
    assert_int_equal(t.unexplained, 20);
    assert_false(onion_tally_padding(&t));
    onion_tally_allow(&t, UINT32_MAX);
    onion_tally_allow(&t, UINT32_MAX);
    assert_int_equal(t.padding, UINT32_MAX);
    assert_true(onion_tally_padding(&t));
    assert_false(onion_tally_cell(&t, false)); /* what was too much before stays so */
    assert_true(onion_tally_cell(&t, true));
}

/* The audit's Low 2: DESTROY carried the client's cause (canceled, no memory, timeout) from end to end. */
static void neighbours_learn_why_a_create_is_refused_and_nothing_else(void **state)
{
    (void)state;
    for (qudag_err err = QUDAG_OK; err > -200; err--) {
        uint8_t told = onion_rule_destroy(true, err);
        assert_int_equal(told, err == QUDAG_ELIMIT || err == QUDAG_ENOMEM ? 4 : 3);
        assert_int_equal(onion_rule_destroy(false, err), 1);
    }
    assert_int_equal(onion_rule_truncated(true), 6);
    assert_int_equal(onion_rule_truncated(false), 1);
}

static void the_client_of_a_stream_gives_no_reason_and_its_end_none_of_its_own(void **state)
{
    static const struct {
        qudag_err err;
        uint8_t from_end;
    } rows[] = {
        {QUDAG_EREFUSED, 8},   {QUDAG_ENOTFOUND, 15}, {QUDAG_ELIMIT, 4},
        {QUDAG_ETIMEOUT, 5},   {QUDAG_ENOMEM, 4},     {QUDAG_ECANCELED, 12},
        {QUDAG_EINTERNAL, 12}, {QUDAG_ESYSTEM, 12},   {QUDAG_EINVAL, 12},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(onion_rule_reset(true, rows[i].err), 12);
        assert_int_equal(onion_rule_reset(false, rows[i].err), rows[i].from_end);
    }
    assert_int_equal(onion_rule_reset(true, QUDAG_EAPP(5)),
                     197); /* what its program says on purpose */
    assert_int_equal(onion_rule_reset(false, QUDAG_EAPP(63)), 255);
}

/* Between nodes that may carry cells, and away from whoever dialled the link. */
static void cells_go_along_the_direction_in_which_the_link_was_dialled(void **state)
{
    (void)state;
    for (unsigned props = 0; props < 256; props++) {
        bool need = (props & (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG)) ==
                    (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG);
        bool theirs = (props & LINK_INBOUND) != 0;
        assert_int_equal(onion_rule_leg((uint8_t)props, true), need && theirs);
        assert_int_equal(onion_rule_leg((uint8_t)props, false), need && !theirs);
    }
}

static void an_extend_fails_one_to_three_seconds_after_it_came(void **state)
{
    const tstamp start = 77 * NS_PER_S;

    (void)state;
    assert_int_equal(onion_rule_extend_fails_at(start, 0), start + NS_PER_S);
    assert_in_range(onion_rule_extend_fails_at(start, UINT32_C(1) << 31), start + 2 * NS_PER_S - 10,
                    start + 2 * NS_PER_S + 10);
    assert_in_range(onion_rule_extend_fails_at(start, UINT32_MAX), start + 3 * NS_PER_S - 10,
                    start + 3 * NS_PER_S);
}

static bool path_holds(const char *letters, bool service)
{
    static const struct peer_id me = {.len = 1, .b = {'S'}};
    struct peer_id path[ONION_HOPS_MAX + 1] = {{0}};
    size_t n = 0;

    for (; letters[n] != 0; n++) {
        path[n] = (struct peer_id){.len = 1, .b = {(uint8_t)letters[n]}};
    }
    return onion_rule_path(path, n, service, &me);
}

static void only_the_last_hop_may_be_one_again_or_ourselves_and_not_too_soon(void **state)
{
    static const char *const good[] = {"A",    "AB",    "ABC", "ABCDEFGH",
                                       "ABCA", "ABCDB", "ABS", "ABCS"};
    static const char *const bad[] = {"",  "ABCDEFGHI", "AA", "ABA", "ABCC", "ABCB",  "ABAC",
                                      "S", "AS",        "SA", "ASB", "ABSC", "ABCAD", "SABC"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(path_holds(good[i], false));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(path_holds(bad[i], false));
        assert_false(path_holds(bad[i], true));
    }
    assert_true(path_holds("ABC", true));
    assert_false(path_holds("ABCA", true)); /* a service that says it is one of the path */
    assert_false(path_holds("ABCS", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_passes_on_what_eight_hops_need),
        cmocka_unit_test(one_cell_of_a_hundred_and_twenty_may_say_nothing),
        cmocka_unit_test(padding_is_explained_as_far_as_it_was_agreed_upon),
        cmocka_unit_test(neighbours_learn_why_a_create_is_refused_and_nothing_else),
        cmocka_unit_test(the_client_of_a_stream_gives_no_reason_and_its_end_none_of_its_own),
        cmocka_unit_test(cells_go_along_the_direction_in_which_the_link_was_dialled),
        cmocka_unit_test(an_extend_fails_one_to_three_seconds_after_it_came),
        cmocka_unit_test(only_the_last_hop_may_be_one_again_or_ourselves_and_not_too_soon),
        cmocka_unit_test(extend_comes_in_early_cells_and_nothing_else_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
