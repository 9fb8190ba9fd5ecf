/* caller_test.c - calls against a node that is driven by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit_case.h"

static void a_call_meets_its_service(void **state)
{
    struct bed *b = bed_new(1);
    uint8_t created[REND_CREATED_LEN];
    struct onion_hs_keys theirs, ours;

    (void)state;
    assert_int_equal(call_it(b, 5, 3), QUDAG_OK);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_R), 1); /* side by side */
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 1);
    struct ref i = build_i(b);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 0);
    struct ref r = build_r(b);
    struct up wait = call_up(b, HIDDEN_CALL_WAIT);
    assert_true(ref_eq(wait.obj, r));
    assert_true(wait.told && !ct_is_zero(wait.is.cookie, REND_COOKIE_LEN));
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE),
                     1); /* R was asked, and has not answered */
    hidden_call_waiting(b->calls, wait.id, QUDAG_OK, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 1);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    assert_true(ref_eq(intro.obj, i));
    assert_int_equal(intro.cookie, 5);
    hidden_call_introduced(b->calls, intro.id, QUDAG_OK, REND_DONE, b->now, &b->acts);
    assert_true(ref_eq(call_up(b, HIDDEN_CALL_CLOSE).obj, i));
    assert_int_equal(answer_it(b, &intro, created, &theirs), QUDAG_OK);
    hidden_call_created(b->calls, wait.id, (struct slice){created, sizeof created}, b->now,
                        &b->acts);
    struct up met = call_up(b, HIDDEN_CALL_MET);
    assert_true(ref_eq(met.obj, r));
    assert_int_equal(hidden_call_take(b->calls, met.id, &ours), QUDAG_OK);
    assert_memory_equal(ours.fwd, theirs.fwd, sizeof ours.fwd);
    assert_memory_equal(ours.back, theirs.back, sizeof ours.back);
    assert_int_equal(hidden_call_take(b->calls, met.id, &ours), QUDAG_ESTALE);
    assert_true(ct_is_zero(&ours, sizeof ours));
    assert_int_equal(hidden_calls_count(b->calls), 0);
    assert_int_equal(hidden_calls_deadline(b->calls), TSTAMP_NEVER);
    assert_int_equal(n_calls(b, HIDDEN_CALL_END), 0);
    assert_int_equal(n_calls(b, HIDDEN_CALL_CLOSE), 1);
    bed_free(b);
}

static void calls_are_bounded_and_named_once(void **state)
{
    struct bed *b = bed_new(2);

    (void)state;
    assert_int_equal(call_it(b, 1, 0), QUDAG_EINVAL);
    assert_int_equal(call_it(b, 1, 4), QUDAG_EINVAL);
    for (uint64_t i = 0; i < HIDDEN_CALLS_MAX; i++) {
        assert_int_equal(call_it(b, i, 3), QUDAG_OK);
    }
    assert_int_equal(call_it(b, 3, 3), QUDAG_EEXISTS);
    assert_int_equal(call_it(b, 1000, 3), QUDAG_ELIMIT);
    hidden_call_cancel(b->calls, 3, &b->acts);
    hidden_call_cancel(b->calls, 3, &b->acts);
    assert_int_equal(call_it(b, 1000, 3), QUDAG_OK);
    run_to(b, b->now + 60 * SECOND);
    assert_int_equal(n_calls(b, HIDDEN_CALL_END), HIDDEN_CALLS_MAX); /* each once */
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ECIRCUIT);
    assert_int_equal(hidden_calls_count(b->calls), 0);
    bed_free(b);
}

static void the_next_point_is_tried_after_each_kind_of_failure(void **state)
{
    struct bed *b = bed_new(3);

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    hidden_call_failed(b->calls, call_up(b, HIDDEN_CALL_NEED_I).id, b->now, &b->acts); /* at once */
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 2);
    struct ref r = have_r(b);
    build_i(b);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    hidden_call_introduced(b->calls, intro.id, QUDAG_ERESET, 0, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 3);
    build_i(b);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 2);
    hidden_call_introduced(b->calls, call_up(b, HIDDEN_CALL_INTRODUCE).id, QUDAG_OK, REND_FULL,
                           b->now, &b->acts);
    struct up end = call_up(b, HIDDEN_CALL_END);
    assert_int_equal(end.err, QUDAG_ELIMIT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_END), 1);
    assert_true(ref_eq(b->up[b->n_up - 2].obj, r)); /* R's circuit comes back before the end */
    assert_int_equal(n_calls(b, HIDDEN_CALL_CLOSE), 3);
    bed_free(b);
}

static void an_old_record_is_told_from_a_dead_service(void **state)
{
    struct bed *b = bed_new(4);

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    have_r(b);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(n_calls(b, HIDDEN_CALL_END), 0);
        build_i(b);
        hidden_call_introduced(b->calls, call_up(b, HIDDEN_CALL_INTRODUCE).id, QUDAG_OK,
                               REND_UNKNOWN, b->now, &b->acts);
    }
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ESTALE);
    forget(b);
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    for (unsigned i = 0; i < 3; i++) {
        hidden_call_failed(b->calls, call_up(b, HIDDEN_CALL_NEED_I).id, b->now, &b->acts);
    }
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_EUNREACHABLE);
    bed_free(b);
}

/* A relay that is gone costs a second and a half, not what several tries to reach it take. */
static void a_point_that_is_slow_to_reach_has_the_next_one_beside_it(void **state)
{
    struct bed *b = bed_new(5);

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    run_to(b, b->now + 3 * HIDDEN_BUILD_NEXT); /* while R does not wait either, one is enough */
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 1);
    struct up slow = call_up(b, HIDDEN_CALL_NEED_I);
    have_r(b);
    tstamp waits = b->now;
    run_to(b, waits + HIDDEN_BUILD_NEXT - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 1);
    run_to(b, waits + HIDDEN_BUILD_NEXT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 2);
    build_i(b);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 1);
    hidden_call_i_built(b->calls, slow.id, new_circuit(b), b->now, &b->acts); /* there after all */
    run_to(b, waits + HIDDEN_BUILD_NEXT + HIDDEN_TRY_NEXT - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 1); /* it waits for its turn */
    run_to(b, waits + HIDDEN_BUILD_NEXT + HIDDEN_TRY_NEXT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 2);
    bed_free(b);
}

/* The status 3 of a point: 8 s from the last one on, and no word of a service that is gone. */
static void a_busy_service_is_waited_for_and_named_so(void **state)
{
    struct bed *b = bed_new(5);
    tstamp told = 0;

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    have_r(b);
    for (uint32_t i = 0; i < 3; i++) {
        build_i(b);
        told = b->now;
        hidden_call_introduced(b->calls, call_up(b, HIDDEN_CALL_INTRODUCE).id, QUDAG_OK,
                               i == 1 ? REND_DONE : REND_BUSY, b->now, &b->acts);
        run_to(b, told + HIDDEN_TRY_NEXT);
    }
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 3);
    run_to(b, told + HIDDEN_WAIT_MAX - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_END), 0);
    run_to(b, told + HIDDEN_WAIT_MAX);
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ELIMIT);
    bed_free(b);
}

static void silence_brings_the_next_point_and_then_the_end(void **state)
{
    struct bed *b = bed_new(5);

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    have_r(b);
    build_i(b);
    tstamp first = b->now;
    hidden_call_introduced(b->calls, call_up(b, HIDDEN_CALL_INTRODUCE).id, QUDAG_OK, REND_DONE,
                           b->now, &b->acts);
    run_to(b, first + HIDDEN_TRY_NEXT - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 1);
    run_to(b, first + HIDDEN_TRY_NEXT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 2);
    struct up slow = call_up(b, HIDDEN_CALL_NEED_I);
    run_to(b, first + HIDDEN_TRY_NEXT + HIDDEN_BUILD_NEXT - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 2);
    run_to(b, first + 2 * HIDDEN_TRY_NEXT); /* the second is slow: the third */
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 3);
    build_i(b);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 2); /* at once: the first had its 4 s */
    hidden_call_i_built(b->calls, slow.id, new_circuit(b), b->now, &b->acts);
    run_to(b, first + HIDDEN_CALL_LIFE - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 2); /* the second has not */
    assert_int_equal(n_calls(b, HIDDEN_CALL_END), 0);
    run_to(b, first + HIDDEN_CALL_LIFE);
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ETIMEOUT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_CLOSE), 4); /* all that were built */
    bed_free(b);
}

static void says(struct bed *b, enum rend_status status)
{
    hidden_call_introduced(b->calls, call_up(b, HIDDEN_CALL_INTRODUCE).id, QUDAG_OK, status, b->now,
                           &b->acts);
    take(b);
}

/* SPEC: rendezvous R-26: 4 s after the last that was passed on it is over, when the other points are gone. */
static void what_was_passed_on_has_four_seconds_when_no_other_point_is_left(void **state)
{
    (void)state;
    for (unsigned passed = 0; passed < 3; passed += 2) { /* by the first, or by the last */
        struct bed *b = bed_new((uint8_t)(8 + passed));
        tstamp asked = 0;
        assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
        have_r(b);
        for (unsigned i = 0; i < 3; i++) {
            if (i > 0 && n_calls(b, HIDDEN_CALL_NEED_I) == i) { /* the one before has its time */
                run_to(b, b->now + HIDDEN_TRY_NEXT);
            }
            build_i(b);
            asked = i == passed ? b->now : asked;
            says(b, i == passed ? REND_DONE : REND_UNKNOWN);
        }
        if (b->now < asked + HIDDEN_TRY_NEXT) { /* it was the last */
            run_to(b, asked + HIDDEN_TRY_NEXT - 1);
            assert_int_equal(n_calls(b, HIDDEN_CALL_END), 0);
            run_to(b, asked + HIDDEN_TRY_NEXT);
        }
        assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ETIMEOUT);
        bed_free(b);
    }
}

/* SPEC: rendezvous R-27: of a service that asks for work it is said that it is called too often; of no other. */
static void silence_of_a_service_that_asks_for_work_is_a_limit(void **state)
{
    (void)state;
    for (uint32_t effort = 1; effort <= 2; effort++) {
        struct bed *b = bed_new((uint8_t)(12 + effort));
        b->effort = effort;
        assert_int_equal(call_it(b, 1, 1), QUDAG_OK);
        if (effort > 1) {
            hidden_call_solved(b->calls, call_up(b, HIDDEN_CALL_SOLVE).id, QUDAG_ETIMEOUT, 0,
                               b->now, &b->acts);
        }
        have_r(b);
        build_i(b);
        says(b, REND_DONE);
        run_to(b, b->now + HIDDEN_CALL_LIFE);
        assert_int_equal(call_up(b, HIDDEN_CALL_END).err,
                         effort > 1 ? QUDAG_ELIMIT : QUDAG_ETIMEOUT);
        bed_free(b);
    }
}

/* What answers any of the handshakes under way is taken. */
static void a_late_answer_to_the_first_handshake_counts(void **state)
{
    struct bed *b = bed_new(6);
    uint8_t created[REND_CREATED_LEN];
    struct onion_hs_keys theirs, ours;

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    have_r(b);
    build_i(b);
    struct up first = call_up(b, HIDDEN_CALL_INTRODUCE);
    hidden_call_introduced(b->calls, first.id, QUDAG_ERESET, 0, b->now,
                           &b->acts); /* perhaps passed on */
    build_i(b);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 2);
    assert_int_equal(answer_it(b, &first, created, &theirs), QUDAG_OK);
    uint64_t r = call_up(b, HIDDEN_CALL_WAIT).id;
    hidden_call_created(b->calls, r, (struct slice){created, sizeof created}, b->now, &b->acts);
    assert_int_equal(hidden_call_take(b->calls, r, &ours), QUDAG_OK);
    assert_memory_equal(ours.fwd, theirs.fwd, sizeof ours.fwd);
    bed_free(b);
}

static void three_relays_at_most_are_r(void **state)
{
    struct bed *b = bed_new(7);
    uint8_t cookie[3][REND_COOKIE_LEN], created[REND_CREATED_LEN];
    struct onion_hs_keys keys;

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    build_i(b);
    struct ref r = have_r(b);
    memcpy(cookie[0], call_up(b, HIDDEN_CALL_WAIT).is.cookie, sizeof cookie[0]);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    hidden_call_introduced(b->calls, intro.id, QUDAG_OK, REND_DONE, b->now, &b->acts);
    assert_int_equal(answer_it(b, &intro, created, &keys), QUDAG_OK);
    uint64_t id = call_up(b, HIDDEN_CALL_WAIT).id;
    hidden_call_failed(b->calls, id, b->now, &b->acts);
    assert_true(ref_eq(call_up(b, HIDDEN_CALL_CLOSE).obj, r));
    hidden_call_failed(b->calls, id, b->now, &b->acts); /* twice: the old id is no more */
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_R), 2);
    struct onion_hop first;
    relay_set(b, &first, 50);
    struct up need = call_up(b, HIDDEN_CALL_NEED_R);
    assert_int_equal(need.is.avoid.n, 4); /* the points' relays, and that R */
    assert_true(peer_id_eq(&need.is.avoid.peer[3], &first.peer));
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I),
                     2); /* its introduction is of no use any more */
    have_r(b);
    build_i(b);
    memcpy(cookie[1], call_up(b, HIDDEN_CALL_WAIT).is.cookie, sizeof cookie[1]);
    assert_memory_not_equal(cookie[0], cookie[1], REND_COOKIE_LEN);
    /* an answer that was made for the first R fits nothing: that R is left too */
    hidden_call_created(b->calls, call_up(b, HIDDEN_CALL_WAIT).id,
                        (struct slice){created, sizeof created}, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_MET), 0);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_R), 3);
    build_r(b);
    hidden_call_waiting(b->calls, call_up(b, HIDDEN_CALL_WAIT).id, QUDAG_ELIMIT, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_R), HIDDEN_CALL_R_MAX);
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ECIRCUIT);
    assert_int_equal(hidden_calls_count(b->calls), 0);
    bed_free(b);
}

/* The introduction left before R said that it has no room: the service is asked again, to come to another R. */
static void r_may_refuse_when_the_introduction_is_under_way(void **state)
{
    (void)state;
    for (unsigned passed = 0; passed < 2; passed++) {
        struct bed *b = bed_new((uint8_t)(9 + passed));
        assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
        struct ref i = build_i(b), r = build_r(b);
        struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
        if (passed > 0) {
            hidden_call_introduced(b->calls, intro.id, QUDAG_OK, REND_DONE, b->now, &b->acts);
        }
        hidden_call_waiting(b->calls, call_up(b, HIDDEN_CALL_WAIT).id, QUDAG_ELIMIT, b->now,
                            &b->acts);
        assert_int_equal(n_calls(b, HIDDEN_CALL_CLOSE), 2); /* of both circuits */
        assert_false(ref_eq(i, r));
        assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_R), 2);
        assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 2);
        build_i(b);
        assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 1); /* the other R was not asked yet */
        build_r(b);
        assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 2);
        bed_free(b);
    }
}

/* An introduction under way has its time, however late R says that it waits. */
static void an_answer_of_r_does_not_hurry_the_next_point(void **state)
{
    struct bed *b = bed_new(14);

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    build_i(b);
    build_r(b);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 1);
    tstamp asked = b->now;
    says(b, REND_DONE);
    hidden_call_waiting(b->calls, call_up(b, HIDDEN_CALL_WAIT).id, QUDAG_OK, b->now, &b->acts);
    run_to(b, asked + HIDDEN_TRY_NEXT - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 1);
    run_to(b, asked + HIDDEN_TRY_NEXT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 2);
    bed_free(b);
}

/* What a busy service said stays true of it when R is lost afterwards, and no other is found in time. */
static void a_service_that_was_busy_is_named_so_though_r_was_lost(void **state)
{
    struct bed *b = bed_new(15);

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    build_i(b);
    build_r(b);
    says(b, REND_BUSY);
    hidden_call_waiting(b->calls, call_up(b, HIDDEN_CALL_WAIT).id, QUDAG_ELIMIT, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_R), 2);
    b->now += HIDDEN_CALL_LIFE + HIDDEN_WAIT_MAX;
    hidden_calls_tick(b->calls, b->now, &b->acts);
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ELIMIT);
    bed_free(b);
}

/* While R has not answered nothing is due but the end. */
static void r_that_does_not_answer_ends_the_call_in_time(void **state)
{
    struct bed *b = bed_new(12);

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    build_i(b);
    build_r(b);
    b->now += HIDDEN_CALL_LIFE;
    assert_true(hidden_calls_deadline(b->calls) <= b->now);
    hidden_calls_tick(b->calls, b->now, &b->acts);
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ETIMEOUT);
    assert_int_equal(hidden_calls_count(b->calls), 0);
    bed_free(b);
}

static void what_r_forges_is_not_taken(void **state)
{
    struct bed *b = bed_new(8);
    uint8_t created[REND_CREATED_LEN] = {9};

    (void)state;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    for (unsigned i = 0; i < HIDDEN_CALL_R_MAX; i++) {
        have_r(b);
        if (n_calls(b, HIDDEN_CALL_NEED_I) > i) {
            build_i(b);
        }
        hidden_call_created(b->calls, call_up(b, HIDDEN_CALL_WAIT).id,
                            (struct slice){created, i == 0 ? sizeof created - 1 : sizeof created},
                            b->now, &b->acts);
    }
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_EAUTH);
    bed_free(b);
}

static void what_comes_late_is_given_back(void **state)
{
    struct bed *b = bed_new(9);
    struct onion_hop r;

    (void)state;
    relay_set(b, &r, 50);
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    uint64_t r_id = call_up(b, HIDDEN_CALL_NEED_R).id, i_id = call_up(b, HIDDEN_CALL_NEED_I).id;
    hidden_call_cancel(b->calls, 1, &b->acts);
    forget(b);
    struct ref c = new_circuit(b);
    hidden_call_r_built(b->calls, r_id, c, &r, b->now, &b->acts);
    assert_true(ref_eq(call_up(b, HIDDEN_CALL_CLOSE).obj, c));
    c = new_circuit(b);
    hidden_call_i_built(b->calls, i_id, c, b->now, &b->acts);
    assert_true(ref_eq(call_up(b, HIDDEN_CALL_CLOSE).obj, c));
    assert_int_equal(b->n_up, 2);
    bed_free(b);
}

static void keys_that_nobody_takes_are_wiped(void **state)
{
    struct bed *b = bed_new(10);
    uint8_t created[REND_CREATED_LEN];
    struct onion_hs_keys keys;

    (void)state;
    assert_int_equal(call_it(b, 1, 1), QUDAG_OK);
    struct ref r = have_r(b);
    build_i(b);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    assert_int_equal(answer_it(b, &intro, created, &keys), QUDAG_OK);
    uint64_t id = call_up(b, HIDDEN_CALL_WAIT).id;
    hidden_call_created(b->calls, id, (struct slice){created, sizeof created}, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_MET), 1);
    run_to(b, b->now + 10 * SECOND);
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ETIMEOUT);
    assert_true(ref_eq(call_up(b, HIDDEN_CALL_CLOSE).obj, r));
    assert_int_equal(hidden_call_take(b->calls, id, &keys), QUDAG_ESTALE);
    bed_free(b);
}

/* One callback of each kind, for R's id, the point's and one of nobody. */
static void call_back(struct bed *b, unsigned which, uint64_t id)
{
    uint8_t created[REND_CREATED_LEN] = {1};
    struct onion_hs_keys keys;
    struct onion_hop r;

    relay_set(b, &r, 51);
    switch (which) {
    case 0:
        hidden_call_r_built(b->calls, id, new_circuit(b), &r, b->now, &b->acts);
        break;
    case 1:
        hidden_call_waiting(b->calls, id, QUDAG_OK, b->now, &b->acts);
        break;
    case 2:
        hidden_call_i_built(b->calls, id, new_circuit(b), b->now, &b->acts);
        break;
    case 3:
        hidden_call_introduced(b->calls, id, QUDAG_OK, REND_DONE, b->now, &b->acts);
        break;
    case 4:
        hidden_call_created(b->calls, id, (struct slice){created, sizeof created}, b->now,
                            &b->acts);
        break;
    case 5:
        hidden_call_failed(b->calls, id, b->now, &b->acts);
        break;
    default:
        (void)!hidden_call_take(b->calls, id, &keys);
        break;
    }
    take(b);
}

/* A call that went |steps| of its way: asked, R built, R waits, point built, passed on. */
static void go(struct bed *b, unsigned steps)
{
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    if (steps > 0) {
        build_r(b);
    }
    if (steps > 1) {
        hidden_call_waiting(b->calls, call_up(b, HIDDEN_CALL_WAIT).id, QUDAG_OK, b->now, &b->acts);
    }
    if (steps > 2) {
        build_i(b);
    }
    if (steps > 3) {
        hidden_call_introduced(b->calls, call_up(b, HIDDEN_CALL_INTRODUCE).id, QUDAG_OK, REND_DONE,
                               b->now, &b->acts);
    }
    take(b);
}

/* Every two callbacks in every state: the call ends once, and every circuit it was given comes back. */
static void every_callback_in_every_state(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 5 * 7 * 7 * 4; n++) {
        struct bed *b = bed_new((uint8_t)n);
        go(b, n % 5);
        uint64_t r = call_up(b, HIDDEN_CALL_NEED_R).id, i = call_up(b, HIDDEN_CALL_NEED_I).id;
        const uint64_t ids[4][2] = {{r, r}, {r, i}, {i, r}, {i, i}};
        call_back(b, n / 5 % 7, ids[n / 245][0]);
        call_back(b, n / 35 % 7, ids[n / 245][1]);
        call_back(b, n / 5 % 7, 0);
        call_back(b, n / 5 % 7, 9999);
        run_to(b, b->now + 60 * SECOND);
        assert_int_equal(n_calls(b, HIDDEN_CALL_END), 1);
        assert_int_equal(n_calls(b, HIDDEN_CALL_CLOSE), b->refs);
        assert_int_equal(hidden_calls_count(b->calls), 0);
        bed_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_meets_its_service),
        cmocka_unit_test(calls_are_bounded_and_named_once),
        cmocka_unit_test(the_next_point_is_tried_after_each_kind_of_failure),
        cmocka_unit_test(an_old_record_is_told_from_a_dead_service),
        cmocka_unit_test(a_point_that_is_slow_to_reach_has_the_next_one_beside_it),
        cmocka_unit_test(a_busy_service_is_waited_for_and_named_so),
        cmocka_unit_test(silence_brings_the_next_point_and_then_the_end),
        cmocka_unit_test(what_was_passed_on_has_four_seconds_when_no_other_point_is_left),
        cmocka_unit_test(silence_of_a_service_that_asks_for_work_is_a_limit),
        cmocka_unit_test(a_late_answer_to_the_first_handshake_counts),
        cmocka_unit_test(three_relays_at_most_are_r),
        cmocka_unit_test(r_may_refuse_when_the_introduction_is_under_way),
        cmocka_unit_test(an_answer_of_r_does_not_hurry_the_next_point),
        cmocka_unit_test(a_service_that_was_busy_is_named_so_though_r_was_lost),
        cmocka_unit_test(r_that_does_not_answer_ends_the_call_in_time),
        cmocka_unit_test(what_r_forges_is_not_taken),
        cmocka_unit_test(what_comes_late_is_given_back),
        cmocka_unit_test(keys_that_nobody_takes_are_wiped),
        cmocka_unit_test(every_callback_in_every_state),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
