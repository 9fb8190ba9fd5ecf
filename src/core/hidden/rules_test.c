/* rules_test.c - what callers and services decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit.h"

static void orders_are_drawn_evenly(void **state)
{
    struct bed *b = bed_new(1);
    unsigned seen[3][3] = {{0}};

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t order[HIDDEN_POINTS];
        hidden_order_draw(order, 3, &b->rng);
        assert_int_equal((1 << order[0]) + (1 << order[1]) + (1 << order[2]), 7);
        for (unsigned at = 0; at < 3; at++) {
            seen[at][order[at]]++;
        }
    }
    for (unsigned at = 0; at < 3; at++) {
        for (unsigned which = 0; which < 3; which++) {
            assert_in_range(seen[at][which], 850, 1150);
        }
    }
    bed_free(b);
}

static void a_call_fails_for_what_its_points_said(void **state)
{
    (void)state;
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .unknown = 3}),
                     QUDAG_ESTALE);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .unknown = 2}),
                     QUDAG_EUNREACHABLE);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .unknown = 2, .full = 1}),
                     QUDAG_EREFUSED);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .unknown = 2, .passed = 1}),
                     QUDAG_ETIMEOUT);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 1}), QUDAG_EUNREACHABLE);
}

static void points_live_as_long_as_they_may(void **state)
{
    struct bed *b = bed_new(2);
    uint64_t least = UINT64_MAX, most = 0;
    uint32_t few = UINT32_MAX, many = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t life = hidden_point_life(&b->rng);
        uint32_t n = hidden_point_introductions(&b->rng);
        least = life < least ? life : least;
        most = life > most ? life : most;
        few = n < few ? n : few;
        many = n > many ? n : many;
    }
    assert_in_range(least, 12 * HOUR, 12 * HOUR + HOUR / 4);
    assert_in_range(most, 24 * HOUR - HOUR / 4, 24 * HOUR);
    assert_in_range(few, 16384, 16600);
    assert_in_range(many, 32500, 32768);
    assert_false(hidden_point_is_over(10, 4, 5, 9));
    assert_true(hidden_point_is_over(10, 4, 5, 10));
    assert_true(hidden_point_is_over(10, 5, 5, 9));
    bed_free(b);
}

static void points_are_restored_three_times_an_hour(void **state)
{
    tstamp when[HIDDEN_RESTORES] = {0, 5, 6};

    (void)state;
    assert_true(hidden_may_restore(when, 10));
    when[0] = 4;
    assert_false(hidden_may_restore(when, 10));
    assert_false(hidden_may_restore(when, 3 + HOUR));
    assert_true(hidden_may_restore(when, 4 + HOUR));
}

static void retries_back_off(void **state)
{
    struct bed *b = bed_new(3);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_in_range(hidden_retry_wait(0, &b->rng), SECOND * 8 / 10, SECOND * 12 / 10);
        assert_in_range(hidden_retry_wait(1, &b->rng), SECOND * 8 / 10, SECOND * 12 / 10);
        assert_in_range(hidden_retry_wait(3, &b->rng), SECOND * 32 / 10, SECOND * 48 / 10);
        assert_in_range(hidden_retry_wait(1000, &b->rng), SECOND * 240, SECOND * 360);
    }
    bed_free(b);
}

static void records_are_told_together(void **state)
{
    (void)state;
    assert_true(hidden_target_is_due(3, 100, 100));
    assert_false(hidden_target_is_due(2, 100, 99 + HIDDEN_COLLECT));
    assert_true(hidden_target_is_due(1, 100, 100 + HIDDEN_COLLECT));
    assert_false(hidden_target_is_due(0, 100, 100 + HIDDEN_COLLECT));
}

static void keys_outlive_their_records_by_an_hour(void **state)
{
    const walltime end = 101 * 86400;

    (void)state;
    assert_int_equal(hidden_period(end - 1), 100);
    assert_int_equal(hidden_period(end), 101);
    assert_int_equal(hidden_period(-5), 0);
    assert_int_equal(hidden_period_over_at(100), end + 27 * 3600);
    assert_int_equal(hidden_period_over_at(101), end + (24 + 27) * 3600);
    assert_int_equal(hidden_period_over_at(UINT64_MAX), INT64_MAX);
    assert_int_equal(hidden_period_over_at(INT64_MAX / 86400), INT64_MAX);
}

static void two_periods_are_live_and_the_next_is_ready(void **state)
{
    const walltime noon = 100 * 86400 + 43200;

    (void)state;
    assert_false(hidden_period_is_live(98, noon - 1));
    assert_true(hidden_period_is_live(99, noon - 1));
    assert_false(hidden_period_is_live(99, noon));
    assert_true(hidden_period_is_live(100, noon));
    assert_true(hidden_period_is_live(101, noon));
    assert_false(hidden_period_is_live(102, noon));
    assert_false(hidden_period_is_live(UINT64_MAX, 5));
    assert_true(hidden_period_is_live(0, -5));
}

static void points_take_turns_and_the_fullest_gives_way(void **state)
{
    const uint32_t waiting[4] = {0, 2, 0, 5}, none[4] = {0};

    (void)state;
    assert_int_equal(hidden_queue_largest(waiting, 4), 3);
    assert_int_equal(hidden_queue_next(waiting, 4, 0), 1);
    assert_int_equal(hidden_queue_next(waiting, 4, 1), 3);
    assert_int_equal(hidden_queue_next(waiting, 4, 3), 1);
    assert_int_equal(hidden_queue_next(none, 4, 3), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_drawn_evenly),
        cmocka_unit_test(a_call_fails_for_what_its_points_said),
        cmocka_unit_test(points_live_as_long_as_they_may),
        cmocka_unit_test(points_are_restored_three_times_an_hour),
        cmocka_unit_test(retries_back_off),
        cmocka_unit_test(records_are_told_together),
        cmocka_unit_test(keys_outlive_their_records_by_an_hour),
        cmocka_unit_test(two_periods_are_live_and_the_next_is_ready),
        cmocka_unit_test(points_take_turns_and_the_fullest_gives_way),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
