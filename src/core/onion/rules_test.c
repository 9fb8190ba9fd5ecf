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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_passes_on_what_eight_hops_need),
        cmocka_unit_test(one_cell_of_a_hundred_and_twenty_may_say_nothing),
        cmocka_unit_test(padding_is_explained_as_far_as_it_was_agreed_upon),
        cmocka_unit_test(extend_comes_in_early_cells_and_nothing_else_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
