/* limiter_test.c - the token bucket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limiter.h"

static void a_burst_passes_and_then_the_rate_rules(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, 10, 5, 1000);
    for (int i = 0; i < 5; i++) {
        assert_true(limiter_take(&l, 1, 1000));
    }
    assert_false(limiter_take(&l, 1, 1000));
    assert_false(limiter_take(&l, 1, 1000 + 100 * NS_PER_MS - 1));
    assert_true(limiter_take(&l, 1, 1000 + 100 * NS_PER_MS));
    assert_false(limiter_take(&l, 1, 1000 + 100 * NS_PER_MS));
}

static void a_long_pause_fills_no_more_than_the_burst(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, 1000000000, 1000000000, 0);
    assert_true(limiter_take(&l, 1000000000, 0));
    assert_false(limiter_take(&l, 1, 0));
    assert_false(limiter_take(&l, 1000000001, TSTAMP_NEVER - 1));
    assert_true(limiter_take(&l, 1000000000, TSTAMP_NEVER - 1));
    assert_false(limiter_take(&l, 1, TSTAMP_NEVER - 1));
}

static void many_small_steps_lose_nothing(void **state)
{
    struct limiter l;
    uint64_t taken = 0;
    (void)state;

    limiter_init(&l, 3, 1, 0);
    assert_true(limiter_take(&l, 1, 0));
    for (tstamp now = 0; now <= 10 * NS_PER_S; now += 7 * NS_PER_MS + 1) {
        taken += limiter_take(&l, 1, now) ? 1 : 0;
    }
    assert_in_range(taken, 29, 30);
}

static void time_that_goes_backwards_gives_nothing(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, 1, 1, 10 * NS_PER_S);
    assert_true(limiter_take(&l, 1, 10 * NS_PER_S));
    assert_false(limiter_take(&l, 1, 5 * NS_PER_S));
    assert_false(limiter_take(&l, 1, 10 * NS_PER_S));
    assert_true(limiter_take(&l, 1, 11 * NS_PER_S));
}

static void more_than_the_burst_never_passes(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, 1, 4, 0);
    assert_false(limiter_take(&l, 5, 100 * NS_PER_S));
    assert_false(limiter_take(&l, UINT64_MAX, 100 * NS_PER_S));
    assert_true(limiter_take(&l, 4, 100 * NS_PER_S));
    assert_true(limiter_take(&l, 0, 100 * NS_PER_S));
}

static void a_rate_of_zero_never_refills(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, 0, 1, 0);
    assert_true(limiter_take(&l, 1, 0));
    assert_false(limiter_take(&l, 1, TSTAMP_NEVER - 1));
}

static void rates_over_the_limit_are_cut(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, UINT64_MAX, UINT64_MAX, 0);
    assert_true(limiter_take(&l, 1000000000, 0));
    assert_false(limiter_take(&l, 1, 0));
    assert_true(limiter_take(&l, 1, 1));
}

static void it_says_when_tokens_will_be_there(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, 3, 2, 1000);
    assert_int_equal(limiter_ready(&l, 2, 1000), 1000);
    assert_int_equal(limiter_ready(&l, 3, 1000), TSTAMP_NEVER);
    assert_true(limiter_take(&l, 2, 1000));
    for (uint64_t n = 1; n <= 2; n++) {
        tstamp at = limiter_ready(&l, n, 1000);
        struct limiter copy = l;
        assert_false(limiter_take(&copy, n, at - 1));
        copy = l;
        assert_true(limiter_take(&copy, n, at));
    }
    assert_int_equal(limiter_ready(&l, 1, 5 * NS_PER_S), 5 * NS_PER_S);
    limiter_init(&l, 0, 1, 0);
    assert_true(limiter_take(&l, 1, 0));
    assert_int_equal(limiter_ready(&l, 1, 9), TSTAMP_NEVER);
}

static void what_is_given_back_fills_no_more_than_the_burst(void **state)
{
    struct limiter l;
    (void)state;

    limiter_init(&l, 0, 3, 0);
    assert_true(limiter_take(&l, 2, 0));
    limiter_refund(&l, 1);
    assert_true(limiter_take(&l, 2, 0));
    assert_false(limiter_take(&l, 1, 0));
    limiter_refund(&l, UINT64_MAX);
    assert_true(limiter_take(&l, 3, 0));
    assert_false(limiter_take(&l, 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_the_rate_rules),
        cmocka_unit_test(a_long_pause_fills_no_more_than_the_burst),
        cmocka_unit_test(many_small_steps_lose_nothing),
        cmocka_unit_test(time_that_goes_backwards_gives_nothing),
        cmocka_unit_test(more_than_the_burst_never_passes),
        cmocka_unit_test(a_rate_of_zero_never_refills),
        cmocka_unit_test(rates_over_the_limit_are_cut),
        cmocka_unit_test(it_says_when_tokens_will_be_there),
        cmocka_unit_test(what_is_given_back_fills_no_more_than_the_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
