/* outcome_test.c - which errors count as what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/outcome.h"

static void every_error_is_one_outcome_and_only_success_is_ok(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(QUDAG_OK), OUTCOME_OK);
#define XX(name, value, cat, text)                                                                 \
    assert_true(outcome_of(QUDAG_E##name) != OUTCOME_OK);                                          \
    assert_true(outcome_of(QUDAG_E##name) < OUTCOMES);
    QUDAG_ERR_MAP(XX)
#undef XX
    assert_int_equal(outcome_of(QUDAG_ETIMEOUT), OUTCOME_TIMEOUT);
    assert_int_equal(outcome_of(QUDAG_EAUTH), OUTCOME_AUTHENTICATION);
    assert_int_equal(outcome_of(QUDAG_EPOLICY), OUTCOME_POLICY);
    assert_int_equal(outcome_of(QUDAG_ECANCELED), OUTCOME_CANCELED);
    assert_int_equal(outcome_of(QUDAG_EPROTO), OUTCOME_FAILED);
}

static void names_are_words_for_labels_and_unique(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OUTCOMES; i++) {
        const char *name = outcome_name((enum outcome)i);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(name, outcome_name((enum outcome)k));
        }
    }
}

static void a_family_counts_what_it_lacks_as_failed(void **state)
{
    unsigned set = OUTCOME_BIT(OUTCOME_OK) | OUTCOME_BIT(OUTCOME_TIMEOUT);
    (void)state;

    assert_int_equal(outcome_in(set, QUDAG_OK), OUTCOME_OK);
    assert_int_equal(outcome_in(set, QUDAG_ETIMEOUT), OUTCOME_TIMEOUT);
    assert_int_equal(outcome_in(set, QUDAG_ELIMIT), OUTCOME_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_is_one_outcome_and_only_success_is_ok),
        cmocka_unit_test(names_are_words_for_labels_and_unique),
        cmocka_unit_test(a_family_counts_what_it_lacks_as_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
