/* histogram_test.c - buckets and quantiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/histogram.h"

static void bounds_ascend_and_a_bucket_lies_behind_the_last(void **state)
{
    (void)state;
    for (unsigned s = 0; s < HISTOGRAM_SCALES; s++) {
        size_t n;
        const uint64_t *b = histogram_bounds((enum histogram_scale)s, &n);
        assert_in_range(n, 2, HISTOGRAM_BUCKETS - 1);
        for (size_t i = 1; i < n; i++) {
            assert_true(b[i] > b[i - 1]);
        }
    }
}

static void a_value_on_a_bound_belongs_below_it(void **state)
{
    struct histogram h = {.sum_ns = 0};
    (void)state;

    histogram_add(&h, HISTOGRAM_RTT, 0);
    histogram_add(&h, HISTOGRAM_RTT, NS_PER_MS);
    histogram_add(&h, HISTOGRAM_RTT, NS_PER_MS + 1);
    histogram_add(&h, HISTOGRAM_RTT, 2 * NS_PER_MS);
    assert_int_equal(h.count[0], 2);
    assert_int_equal(h.count[1], 2);
    assert_int_equal(h.sum_ns, 4 * NS_PER_MS + 1);
    assert_int_equal(histogram_total(&h), 4);
}

static void what_is_above_all_bounds_is_counted_too(void **state)
{
    struct histogram h = {.sum_ns = 0};
    size_t n;
    (void)state;

    (void)histogram_bounds(HISTOGRAM_SETUP, &n);
    histogram_add(&h, HISTOGRAM_SETUP, 31 * NS_PER_S);
    histogram_add(&h, HISTOGRAM_SETUP, UINT64_MAX);
    histogram_add(&h, HISTOGRAM_SETUP, 1);
    assert_int_equal(h.count[n], 2);
    assert_int_equal(h.sum_ns, UINT64_MAX); /* and does not begin anew */
    assert_int_equal(histogram_total(&h), 3);
    assert_int_equal(histogram_quantile(&h, HISTOGRAM_SETUP, 950), 30 * NS_PER_S);
}

static void quantiles_are_linear_within_a_bucket(void **state)
{
    struct histogram h = {.sum_ns = 0};
    (void)state;

    assert_int_equal(histogram_quantile(&h, HISTOGRAM_RTT, 500), 0);
    for (int i = 0; i < 100; i++) { /* half of them in (2, 4] ms, half in (16, 32] ms */
        histogram_add(&h, HISTOGRAM_RTT, (i % 2 == 0 ? 3 : 20) * NS_PER_MS);
    }
    assert_int_equal(histogram_quantile(&h, HISTOGRAM_RTT, 250), 3 * NS_PER_MS);
    assert_int_equal(histogram_quantile(&h, HISTOGRAM_RTT, 500), 4 * NS_PER_MS);
    assert_int_equal(histogram_quantile(&h, HISTOGRAM_RTT, 750), 24 * NS_PER_MS);
    assert_int_equal(histogram_quantile(&h, HISTOGRAM_RTT, 1000), 32 * NS_PER_MS);
    assert_int_equal(histogram_quantile(&h, HISTOGRAM_RTT, 0), 2 * NS_PER_MS + 2 * NS_PER_MS / 50);
}

static void large_counts_do_not_overflow(void **state)
{
    struct histogram h = {.sum_ns = 0};
    (void)state;

    h.count[10] = UINT64_MAX / 4; /* (262144, 1048576] s */
    assert_in_range(histogram_quantile(&h, HISTOGRAM_LIFE, 990), 262144 * NS_PER_S,
                    1048576 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_ascend_and_a_bucket_lies_behind_the_last),
        cmocka_unit_test(a_value_on_a_bound_belongs_below_it),
        cmocka_unit_test(what_is_above_all_bounds_is_counted_too),
        cmocka_unit_test(quantiles_are_linear_within_a_bucket),
        cmocka_unit_test(large_counts_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
