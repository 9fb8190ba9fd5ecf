/* wipe_test.c - wiping and comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wipe.h"

#include <string.h>

static void wiping_touches_exactly_what_it_was_given(void **state)
{
    uint8_t b[40];
    (void)state;

    for (size_t len = 0; len <= 32; len++) {
        memset(b, 0xcc, sizeof b);
        wipe(b + 4, len);
        for (size_t i = 0; i < sizeof b; i++) {
            assert_int_equal(b[i], i >= 4 && i < 4 + len ? 0 : 0xcc);
        }
    }
    wipe(NULL, 0);
}

static void every_single_bit_makes_a_difference(void **state)
{
    uint8_t a[33], b[33];
    (void)state;

    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(ct_equal(a, b, sizeof a));
    for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(ct_equal(a, b, sizeof a));
        assert_true(ct_equal(a, b, bit / 8)); /* only what lies before */
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(ct_equal(a, a + 1, 0));
}

static void zero_is_told_from_everything_else(void **state)
{
    uint8_t a[32] = {0};
    (void)state;

    assert_true(ct_is_zero(a, sizeof a));
    assert_true(ct_is_zero(a, 0));
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        a[bit / 8] = (uint8_t)(1u << bit % 8);
        assert_false(ct_is_zero(a, sizeof a));
        a[bit / 8] = 0;
    }
    memset(a, 0xff, sizeof a);
    assert_false(ct_is_zero(a, sizeof a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wiping_touches_exactly_what_it_was_given),
        cmocka_unit_test(every_single_bit_makes_a_difference),
        cmocka_unit_test(zero_is_told_from_everything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
