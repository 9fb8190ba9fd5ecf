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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_passes_on_what_eight_hops_need),
        cmocka_unit_test(extend_comes_in_early_cells_and_nothing_else_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
