/* crowd_test.c - how the places of both relays are shared by circuits, previous hops and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rend/introduce_bed.h"
#include "core/rend/rendezvous_bed.h"

/* Silent streams by the hundred, from few previous hops or from many; an honest caller in between. */
static void silent_streams_shut_nobody_out(void **state)
{
    (void)state;
    for (unsigned spread = 1; spread <= 512;
         spread *= 8) { /* sources; eight of them to a network */
        struct meeting *m = meeting_new();
        unsigned served = 0;
        for (uint32_t i = 0; i < 1200; i++) {
            struct from silent = {2 + i % spread / 8, 2000 + i % spread, 10000 + i};
            struct from honest = {1, 1000, 1 + i};
            m->b.now = i * NS_PER_MS;
            acts_clear(&m->b);
            open_in(&m->b, m->relay, (struct ref){i, 1}, &silent);
            if (i % 20 == 19) {
                introduce_at(m, m->key, (struct ref){i, 2}, &honest);
                served += answered(&m->b, (struct ref){i, 2}, REND_UNKNOWN, true);
            }
        }
        assert_int_equal(served, 60);
        assert_true(stats_of(m->relay).requests <= REND_REQUESTS_MAX);
        acts_clear(&m->b);
        meeting_free(m);
    }
}

/* The flooder's own neighbours: whoever is complete at once is served though his previous hop holds all places. */
static void silent_streams_of_one_hop_do_not_shut_out_its_others(void **state)
{
    struct fixture *t = fixture_new();

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        struct from silent = {1, 1, 10000 + i}, honest = {1, 1, 1 + i};
        struct ref strm = {i, 2};
        acts_clear(&t->b);
        open_in(&t->b, t->relay, (struct ref){i, 1}, &silent);
        acts_clear(&t->b);
        meet_at(t, t->cookie, strm, &honest);
        assert_true(answered(&t->b, strm, REND_UNKNOWN, true));
        acts_clear(&t->b);
    }
    assert_true(met_stats(t->relay).requests <= REND_REQUESTS_MAX);
    fixture_free(t);
}

static void of_requests_the_oldest_of_the_largest_goes(void **state)
{
    struct fixture *t = fixture_new();
    struct from few = {2, 2, 1}, newcomer = {3, 3, 9999};

    (void)state;
    open_in(&t->b, t->relay, (struct ref){0, 1}, &few); /* the oldest of all */
    for (uint32_t i = 1; i < REND_REQUESTS_MAX; i++) {
        struct from many = {1, 1, 100 + i};
        t->b.now = i;
        open_in(&t->b, t->relay, (struct ref){i, 1}, &many);
    }
    assert_int_equal(t->b.acts.n, 0);
    open_in(&t->b, t->relay, (struct ref){0, 2}, &newcomer);
    assert_int_equal(t->b.acts.n, 1);
    assert_true(was_reset(&t->b, (struct ref){1, 1}, QUDAG_ELIMIT));
    assert_int_equal(met_stats(t->relay).gave_way, 1);
    acts_clear(&t->b);
    fixture_free(t);
}

/* Nobody is pushed below what others get: all hold one, and who comes last has no claim. */
static void where_all_hold_the_same_a_newcomer_is_refused(void **state)
{
    struct fixture *t = fixture_new();

    (void)state;
    for (uint32_t i = 0; i <= REND_REQUESTS_MAX; i++) {
        struct from one = {1 + i, 1, 1 + i};
        open_in(&t->b, t->relay, (struct ref){i, 1}, &one);
    }
    assert_int_equal(t->b.acts.n, 1);
    assert_true(was_reset(&t->b, (struct ref){REND_REQUESTS_MAX, 1}, QUDAG_ELIMIT));
    assert_int_equal(met_stats(t->relay).refused_limit, 1);
    acts_clear(&t->b);
    rendezvous_ops.tick(t->relay, REND_REQUEST_TIMEOUT, &t->b.acts); /* they go by and by */
    acts_clear(&t->b);
    struct from late = {7777, 1, 7777};
    open_in(&t->b, t->relay, (struct ref){1, 2}, &late);
    assert_int_equal(t->b.acts.n, 0);
    fixture_free(t);
}

/* Two networks hold half each: who comes to the second finds a place, his neighbour's who has many. */
static void a_neighbour_who_has_many_makes_room(void **state)
{
    struct fixture *t = fixture_new();

    (void)state;
    for (uint32_t i = 0; i < REND_REQUESTS_MAX; i++) {
        struct from half = {1 + i % 2, i % 2 == 0 ? 100 + i : 1, 1 + i};
        open_in(&t->b, t->relay, (struct ref){i, 1}, &half);
    }
    open_in(&t->b, t->relay, (struct ref){0, 2}, &(struct from){2, 2, 9999});
    assert_int_equal(t->b.acts.n, 1);
    assert_true(was_reset(&t->b, (struct ref){1, 1}, QUDAG_ELIMIT)); /* its oldest */
    assert_int_equal(met_stats(t->relay).refused_limit, 0);
    fixture_free(t);
}

/* of points the newest goes, to others only; a point that stands long is worth most. */
static void of_points_the_newest_of_the_largest_goes(void **state)
{
    struct meeting *m = meeting_new();
    struct from few = {2, 2, 1}, newcomer = {3, 3, 9999}, own = {1, 1, 9998};

    (void)state;
    another_point(m, (struct ref){0, 1}, &few);
    for (uint32_t i = 1; i < INTRODUCE_POINTS_MAX; i++) {
        struct from many = {1, 1, 100 + i};
        another_point(m, (struct ref){i, 1}, &many);
        assert_true(answered(&m->b, (struct ref){i, 1}, REND_DONE, false));
    }
    another_point(m, (struct ref){0, 2}, &own); /* no claim */
    assert_int_equal(m->b.acts.n, 2);
    assert_true(answered(&m->b, (struct ref){0, 2}, REND_FULL, true));
    event_in(&m->b, m->relay, EV_RESET, (struct ref){0, 2});
    another_point(m, (struct ref){0, 3}, &newcomer);
    assert_int_equal(m->b.acts.n, 2);
    assert_true(was_reset(&m->b, (struct ref){INTRODUCE_POINTS_MAX - 1, 1}, QUDAG_ELIMIT));
    assert_true(answered(&m->b, (struct ref){0, 3}, REND_DONE, false));
    assert_int_equal(stats_of(m->relay).points, INTRODUCE_POINTS_MAX);
    assert_int_equal(stats_of(m->relay).requests, 0);
    acts_clear(&m->b);
    meeting_free(m);
}

/* The i-th of many cookies. */
static const uint8_t *cookie_no(uint32_t i)
{
    static uint8_t cookie[REND_COOKIE_LEN];

    memcpy(cookie, &i, sizeof i);
    return cookie;
}

/* 2048 wait; the oldest of whoever holds most goes; one that is about to be joined stays. */
static void of_cookies_the_oldest_of_the_largest_goes(void **state)
{
    struct fixture *t = fixture_new();
    struct from few = {2, 2, 1}, newcomer = {3, 3, 99999}, other = {4, 4, 99998};

    (void)state;
    wait_at(t, cookie_no(0), (struct ref){0, 1}, &few);
    for (uint32_t i = 1; i < RENDEZVOUS_WAITING_MAX; i++) {
        struct from many = {1, 1, 100 + i};
        acts_clear(&t->b);
        wait_at(t, cookie_no(i), (struct ref){i, 1}, &many);
        assert_true(answered(&t->b, (struct ref){i, 1}, REND_DONE, false));
    }
    acts_clear(&t->b);
    meet_at(t, cookie_no(1), meet_strm, &other); /* the oldest of the largest */
    acts_clear(&t->b);
    wait_at(t, t->cookie, wait_strm, &newcomer);
    assert_int_equal(t->b.acts.n, 2);
    assert_true(was_reset(&t->b, (struct ref){2, 1}, QUDAG_ELIMIT));
    assert_true(answered(&t->b, wait_strm, REND_DONE, false));
    assert_int_equal(met_stats(t->relay).waiting, RENDEZVOUS_WAITING_MAX);
    acts_clear(&t->b);
    meet_at(t, cookie_no(2), (struct ref){7, 7}, &(struct from){5, 5, 55555});
    assert_true(answered(&t->b, (struct ref){7, 7}, REND_UNKNOWN, true));
    acts_clear(&t->b);
    sent(&t->b, t->relay, (struct ref){1, 1}, REND_CREATED_LEN + 1);
    assert_int_equal(report_of(&t->b, RENDEZVOUS_UP_JOIN)->kind, RENDEZVOUS_UP_JOIN);
    acts_clear(&t->b);
    fixture_free(t);
}

/* Who never reads CREATED keeps all places, and others in: then what is on its way gives way, both of a pair. */
static void pairs_that_never_join_shut_nobody_out(void **state)
{
    struct fixture *t = fixture_new();
    struct from slow = {1, 1, 0}, own = {1, 1, 99997}, newcomer = {2, 2, 99998};

    (void)state;
    for (uint32_t i = 0; i < REND_REQUESTS_MAX; i++) {
        acts_clear(&t->b);
        slow.link = 1000 + i;
        wait_at(t, cookie_no(i), (struct ref){i, 1}, &slow);
        slow.link = 2000 + i;
        meet_at(t, cookie_no(i), (struct ref){i, 2}, &slow);
    }
    assert_int_equal(met_stats(t->relay).requests, REND_REQUESTS_MAX);
    acts_clear(&t->b);
    open_in(&t->b, t->relay, (struct ref){0, 3}, &own); /* no claim */
    assert_int_equal(t->b.acts.n, 1);
    assert_true(was_reset(&t->b, (struct ref){0, 3}, QUDAG_ELIMIT));
    acts_clear(&t->b);
    wait_at(t, t->cookie, wait_strm, &newcomer);
    assert_int_equal(t->b.acts.n, 3);
    assert_true(answered(&t->b, wait_strm, REND_DONE, false));
    assert_true(was_reset(&t->b, (struct ref){0, 1}, QUDAG_ELIMIT));
    assert_true(was_reset(&t->b, (struct ref){0, 2}, QUDAG_ELIMIT));
    acts_clear(&t->b);
    sent(&t->b, t->relay, (struct ref){0, 1}, REND_CREATED_LEN + 1); /* too late */
    assert_int_equal(t->b.acts.n, 0);
    sent(&t->b, t->relay, (struct ref){1, 1}, REND_CREATED_LEN + 1);
    assert_int_equal(report_of(&t->b, RENDEZVOUS_UP_JOIN)->kind, RENDEZVOUS_UP_JOIN);
    acts_clear(&t->b);
    fixture_free(t);
}

/* A caller gets and keeps its cookie for as long as it needs while another floods from one place. */
static void a_flood_of_cookies_takes_nobody_elses(void **state)
{
    struct fixture *t = fixture_new();
    struct from honest = {1, 1, 1}, flood = {2, 2, 0}, service = {3, 3, 3};

    (void)state;
    wait_at(t, t->cookie, wait_strm, &honest);
    for (uint32_t i = 0; i < 3 * RENDEZVOUS_WAITING_MAX; i++) {
        flood.link = 100 + i;
        acts_clear(&t->b);
        wait_at(t, cookie_no(i), (struct ref){100 + i, 1}, &flood);
        assert_false(has_act(&t->b, ACT_RESET, wait_strm));
    }
    acts_clear(&t->b);
    meet_at(t, t->cookie, meet_strm, &service);
    assert_int_equal(act_of(&t->b, ACT_WRITE, wait_strm)->data.len, REND_CREATED_LEN);
    acts_clear(&t->b);
    fixture_free(t);
}

/* Where everybody waits for one cookie, whoever comes last hears that there is no room. */
static void a_caller_hears_that_there_is_no_room(void **state)
{
    struct fixture *t = fixture_new();
    struct ref last = {RENDEZVOUS_WAITING_MAX, 1};

    (void)state;
    for (uint32_t i = 0; i <= RENDEZVOUS_WAITING_MAX; i++) {
        struct from one = {1 + i, 1, 1 + i};
        acts_clear(&t->b);
        wait_at(t, cookie_no(i), (struct ref){i, 1}, &one);
    }
    assert_int_equal(t->b.acts.n, 2);
    assert_true(answered(&t->b, last, REND_FULL, true));
    assert_int_equal(met_stats(t->relay).waiting, RENDEZVOUS_WAITING_MAX);
    assert_int_equal(met_stats(t->relay).requests, 0);
    acts_clear(&t->b);
    meet_at(t, cookie_no(RENDEZVOUS_WAITING_MAX), meet_strm, NULL); /* nor is it known */
    assert_true(answered(&t->b, meet_strm, REND_UNKNOWN, true));
    acts_clear(&t->b);
    fixture_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_streams_shut_nobody_out),
        cmocka_unit_test(silent_streams_of_one_hop_do_not_shut_out_its_others),
        cmocka_unit_test(of_requests_the_oldest_of_the_largest_goes),
        cmocka_unit_test(where_all_hold_the_same_a_newcomer_is_refused),
        cmocka_unit_test(a_neighbour_who_has_many_makes_room),
        cmocka_unit_test(of_points_the_newest_of_the_largest_goes),
        cmocka_unit_test(of_cookies_the_oldest_of_the_largest_goes),
        cmocka_unit_test(pairs_that_never_join_shut_nobody_out),
        cmocka_unit_test(a_flood_of_cookies_takes_nobody_elses),
        cmocka_unit_test(a_caller_hears_that_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
