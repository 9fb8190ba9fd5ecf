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
                     QUDAG_ELIMIT);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .unknown = 2, .passed = 1}),
                     QUDAG_ETIMEOUT);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 1}), QUDAG_EUNREACHABLE);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .passed = 3, .effort = 1}),
                     QUDAG_ETIMEOUT);
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .passed = 1, .effort = 2}),
                     QUDAG_ELIMIT); /* busy, as its record says */
    assert_int_equal(hidden_call_verdict(
                         &(struct hidden_tries){.n = 3, .passed = 2, .unknown = 1, .effort = 64}),
                     QUDAG_ETIMEOUT); /* it was, and may be gone since */
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .passed = 1, .busy = true}),
                     QUDAG_ELIMIT); /* busy, as it says */
    assert_int_equal(hidden_call_verdict(&(struct hidden_tries){.n = 3, .busy = true}),
                     QUDAG_ELIMIT); /* said before R was lost */
    assert_int_equal(hidden_call_verdict(
                         &(struct hidden_tries){.n = 3, .passed = 2, .unknown = 1, .busy = true}),
                     QUDAG_ETIMEOUT);
}

static void who_waits_long_or_was_lost_makes_a_service_busy(void **state)
{
    (void)state;
    assert_false(hidden_is_busy(0, false));
    assert_false(hidden_is_busy(HIDDEN_BUSY_AFTER - 1, false));
    assert_true(hidden_is_busy(HIDDEN_BUSY_AFTER, false));
    assert_true(hidden_is_busy(0, true));
    assert_true(HIDDEN_BUSY_AFTER < HIDDEN_TRY_NEXT); /* before callers come by the next point */
}

/* whatever one service holds, each other finds a place; alone it has all that a service may. */
static void services_share_the_places_for_callers(void **state)
{
    (void)state;
    assert_int_equal(hidden_carried_kept(1), HIDDEN_CARRIED_KEPT);
    for (uint32_t n = 1; n <= 64; n++) {
        uint32_t kept = hidden_carried_kept(n), first = 0, all = 0;
        assert_true(n * kept <= HIDDEN_ALL_CARRIED_MAX / 2 || kept == HIDDEN_CARRIED_KEPT);
        while (hidden_may_carry(first, first, kept, (n - 1) * kept)) {
            first++;
        }
        assert_true(n > 5 ? first >= HIDDEN_ALL_CARRIED_MAX / 2 : first == HIDDEN_CARRIED_MAX);
        all = first;
        for (uint32_t other = 1; other < n; other++) { /* each in turn takes what is kept for it */
            for (uint32_t mine = 0; mine < kept; mine++) {
                assert_true(hidden_may_carry(mine, all++, kept, (n - other - 1) * kept));
            }
        }
        assert_true(all <= HIDDEN_ALL_CARRIED_MAX);
    }
    assert_false(hidden_may_carry(0, HIDDEN_ALL_CARRIED_MAX, 32, 0));
    assert_true(hidden_may_carry(31, 1000, 32, HIDDEN_ALL_CARRIED_MAX - 1000));
    assert_false(hidden_may_carry(32, 1000, 32, HIDDEN_ALL_CARRIED_MAX - 1000));
    assert_true(hidden_sheds_for(2, 0));
    assert_false(
        hidden_sheds_for(1, 0)); /* two of equal size do not take from each other in turn */
    assert_false(hidden_sheds_for(5, 5));
}

static void a_call_is_vain_when_points_are_gone_and_the_others_silent(void **state)
{
    (void)state;
    assert_true(hidden_call_is_vain(&(struct hidden_tries){.n = 3, .unknown = 2, .passed = 1}));
    assert_true(hidden_call_is_vain(&(struct hidden_tries){.n = 3, .unknown = 1, .passed = 2}));
    assert_false(hidden_call_is_vain(&(struct hidden_tries){.n = 3, .passed = 3}));
    assert_false(hidden_call_is_vain(&(struct hidden_tries){.n = 3, .unknown = 1, .passed = 1}));
    assert_false(
        hidden_call_is_vain(&(struct hidden_tries){.n = 3, .unknown = 1, .full = 1, .passed = 1}));
}

static void a_service_builds_no_more_than_it_leaves_free(void **state)
{
    uint32_t mine = 0;

    (void)state;
    while (hidden_may_build(mine, mine)) {
        mine++;
    }
    assert_int_equal(mine, HIDDEN_BUILDS_MAX); /* alone */
    assert_false(hidden_may_build(0, HIDDEN_ALL_BUILDS_MAX));
    assert_true(hidden_may_build(0, HIDDEN_ALL_BUILDS_MAX - 1));
    assert_false(hidden_may_build(1, HIDDEN_ALL_BUILDS_MAX - 1));
    assert_true(hidden_may_build(85, 170));
    assert_false(hidden_may_build(86, 170));
    assert_false(hidden_may_build(0, UINT32_MAX));
}

static void each_service_looks_at_its_share(void **state)
{
    (void)state;
    assert_int_equal(hidden_opens_share(0), HIDDEN_ALL_OPENS_RATE);
    assert_int_equal(hidden_opens_share(1), HIDDEN_ALL_OPENS_RATE);
    assert_int_equal(hidden_opens_share(64), 9);
    assert_int_equal(hidden_opens_share(HIDDEN_ALL_OPENS_RATE + 1), 1);
    for (uint32_t n = 1; n <= HIDDEN_SERVICES_MAX; n++) {
        assert_true(n * hidden_opens_share(n) <= HIDDEN_ALL_OPENS_RATE);
    }
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

static void callers_prove_what_is_asked_within_their_limit(void **state)
{
    (void)state;
    assert_int_equal(hidden_work_effort(0, 0, 1000), 0); /* the record has no seed */
    assert_int_equal(hidden_work_effort(0, 2, 1000), 0);
    assert_int_equal(hidden_work_effort(1, 0, 1000), 0); /* nothing for now */
    assert_int_equal(hidden_work_effort(1, 1, 9000), 512);
    assert_int_equal(hidden_work_effort(1, 2, 9000), 4096);
    assert_int_equal(hidden_work_effort(2, 0, 9000), 2);
    assert_int_equal(hidden_work_effort(300, 1, 9000), 2400);
    assert_int_equal(hidden_work_effort(300, 2, 9000), 9000);
    assert_int_equal(hidden_work_effort(300, 2, 0), 0);
    assert_int_equal(hidden_work_effort(UINT32_MAX, UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

static void the_price_is_what_the_cheapest_point_took(void **state)
{
    struct hidden_turn t[3] = {{.came = true,
                                .lost = true,
                                .begun = true,
                                .lost_effort = 9,
                                .least_effort = 3,
                                .begun_effort = 20},
                               {.came = true,
                                .lost = true,
                                .begun = true,
                                .lost_effort = 70,
                                .least_effort = 3,
                                .begun_effort = 30},
                               {.came = false}};
    uint32_t price;

    (void)state;
    assert_true(hidden_effort_price(t, 3, &price));
    assert_int_equal(price, 9);
    assert_true(hidden_effort_price(t + 1, 2, &price));
    assert_int_equal(price, 30); /* 70 was lost, but nobody was met for that much */
    t[0].least_effort = 15;      /* 9 was not enough, 15 was */
    assert_true(hidden_effort_price(t, 3, &price));
    assert_int_equal(price, 15);
    t[0].begun = false; /* whom there was no room for says nothing of work */
    assert_true(hidden_effort_price(t, 1, &price));
    assert_int_equal(price, 0);
    t[2] = (struct hidden_turn){.came = true, .begun = true, .begun_effort = 5};
    assert_false(hidden_effort_price(t, 3, &price)); /* who goes there gets in */
    assert_false(hidden_effort_price(t, 0, &price));
    t[2] = (struct hidden_turn){.came = false};
    assert_false(hidden_effort_price(t + 2, 1, &price));
}

static void effort_rises_at_once_and_falls_by_eighths(void **state)
{
    uint32_t turns = 0;

    (void)state;
    assert_int_equal(hidden_effort_next(1, true, 0), HIDDEN_EFFORT_FIRST);
    assert_int_equal(hidden_effort_next(64, true, 1000), 1314);
    assert_int_equal(hidden_effort_next(4000, true, 1000),
                     3500); /* what was paid once does not last */
    assert_int_equal(hidden_effort_next(1400, true, 1000), 1314);
    assert_int_equal(hidden_effort_next(1, true, UINT32_MAX), HIDDEN_EFFORT_MAX);
    assert_int_equal(hidden_effort_next(1, false, 0), 1);
    assert_int_equal(hidden_effort_next(0, false, 0), 1);
    for (uint32_t effort = HIDDEN_EFFORT_MAX; effort > 1; turns++) {
        effort = hidden_effort_next(effort, false, 0);
    }
    assert_in_range(turns, 85, 105); /* a quarter of an hour from the top */
}

static void records_are_made_anew_for_a_factor(void **state)
{
    (void)state;
    assert_int_equal(hidden_effort_tell_after(1, 1), UINT64_MAX);
    assert_int_equal(hidden_effort_tell_after(1, 2), 60 * SECOND);
    assert_int_equal(hidden_effort_tell_after(100, 199), UINT64_MAX);
    assert_int_equal(hidden_effort_tell_after(100, 200), 60 * SECOND);
    assert_int_equal(hidden_effort_tell_after(100, 26), UINT64_MAX);
    assert_int_equal(hidden_effort_tell_after(100, 25), 1800 * SECOND);
    assert_int_equal(hidden_effort_tell_after(3, 1), 1800 * SECOND);
    assert_int_equal(hidden_effort_tell_after(HIDDEN_EFFORT_MAX, UINT32_MAX), 60 * SECOND);
    assert_int_equal(hidden_seed_age(false, false), 12 * HOUR);
    assert_int_equal(hidden_seed_age(true, false), 2 * HOUR);
    assert_int_equal(hidden_seed_age(false, true), 2 * HOUR);
}

static void circuits_hurry_when_somebody_waits_for_them(void **state)
{
    (void)state;
    assert_int_equal(hidden_meeting_life(63, 64, 9), 60 * SECOND);
    assert_int_equal(hidden_meeting_life(64, 64, 0), 60 * SECOND);
    assert_int_equal(hidden_meeting_life(64, 64, 1), 8 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_drawn_evenly),
        cmocka_unit_test(a_call_fails_for_what_its_points_said),
        cmocka_unit_test(who_waits_long_or_was_lost_makes_a_service_busy),
        cmocka_unit_test(services_share_the_places_for_callers),
        cmocka_unit_test(a_call_is_vain_when_points_are_gone_and_the_others_silent),
        cmocka_unit_test(a_service_builds_no_more_than_it_leaves_free),
        cmocka_unit_test(each_service_looks_at_its_share),
        cmocka_unit_test(points_live_as_long_as_they_may),
        cmocka_unit_test(points_are_restored_three_times_an_hour),
        cmocka_unit_test(retries_back_off),
        cmocka_unit_test(records_are_told_together),
        cmocka_unit_test(keys_outlive_their_records_by_an_hour),
        cmocka_unit_test(two_periods_are_live_and_the_next_is_ready),
        cmocka_unit_test(callers_prove_what_is_asked_within_their_limit),
        cmocka_unit_test(the_price_is_what_the_cheapest_point_took),
        cmocka_unit_test(effort_rises_at_once_and_falls_by_eighths),
        cmocka_unit_test(records_are_made_anew_for_a_factor),
        cmocka_unit_test(circuits_hurry_when_somebody_waits_for_them),
        cmocka_unit_test(points_take_turns_and_the_fullest_gives_way),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
