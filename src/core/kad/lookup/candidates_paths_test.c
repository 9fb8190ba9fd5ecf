/* One lookup on several paths that have no node in common. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/lookup/candidates_testkit.h"

static void begin_paths(unsigned n)
{
    begin(1);
    q->n_paths = (uint8_t)n;
    q->width = KAD_PATH_ANSWERS;
}

static void a_peer_named_on_two_paths_is_asked_once(void **state)
{
    (void)state;
    begin_paths(2);
    struct kad_contact *a = add(far(0), 0);
    assert_null(add(far(0), 1));
    struct kad_contact *b = add(far(1), 1);
    assert_ptr_equal(kad_candidates_next(q, 0), a); /* by the first path */
    assert_ptr_equal(kad_candidates_next(q, 0), b); /* by the second */
    assert_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_reply(q, a));
    assert_null(kad_candidates_next(q, 0)); /* |b| was named on the second only */
    assert_false(kad_candidates_done(q));
    assert_non_null(kad_candidates_reply(q, b));
    assert_null(kad_candidates_next(q, 0)); /* |a| has been asked */
    assert_true(kad_candidates_done(q));
    assert_int_equal(q->rpcs, 2);
    end();
}

static void each_path_ends_after_three_answers(void **state)
{
    (void)state;
    unsigned asked[KAD_PATHS] = {0};
    struct kad_contact *p;

    begin_paths(KAD_PATHS);
    for (unsigned i = 0; i < 8 * KAD_PATHS; i++) {
        assert_non_null(add(far(i), i % KAD_PATHS));
    }
    while ((p = kad_candidates_next(q, 0)) != NULL) {
        const struct kad_cand *c = kad_candidates_reply(q, p);
        assert_int_equal(c->paths, 1u << c->by);
        asked[c->by]++;
    }
    assert_true(kad_candidates_done(q));
    for (unsigned i = 0; i < KAD_PATHS; i++) {
        assert_int_equal(asked[i], KAD_PATH_ANSWERS);
    }
    end();
}

static void a_path_waits_for_its_own_and_asks_on_where_one_fails(void **state)
{
    (void)state;
    begin_paths(2);
    struct kad_contact *p[4], *other;
    for (unsigned i = 0; i < 4; i++) {
        p[i] = add(far(i), 0);
    }
    other = add(far(9), 1);
    assert_ptr_equal(kad_candidates_next(q, 0), p[0]);
    assert_ptr_equal(kad_candidates_next(q, 0), other);
    assert_null(kad_candidates_next(q, 0)); /* each asks one at a time */
    kad_candidates_soft(q, p[0]);
    assert_ptr_equal(kad_candidates_next(q, 0), p[1]); /* room on the path of the slow one only */
    assert_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_fail(q, p[0]));
    assert_non_null(kad_candidates_reply(q, p[1]));
    assert_ptr_equal(kad_candidates_next(q, 0), p[2]);
    assert_non_null(kad_candidates_reply(q, p[2]));
    assert_ptr_equal(kad_candidates_next(q, 0), p[3]);
    assert_non_null(kad_candidates_reply(q, p[3]));
    assert_null(kad_candidates_next(q, 0));
    assert_false(kad_candidates_done(q)); /* the other path waits */
    assert_non_null(kad_candidates_fail(q, other));
    assert_true(kad_candidates_done(q));
    end();
}

static void a_path_pushes_out_its_own_farthest_and_nothing_of_another(void **state)
{
    (void)state;
    struct kad_contact *others[KAD_PATH_CANDS], *both;

    begin_paths(2);
    for (unsigned i = 0; i < KAD_PATH_CANDS - 1; i++) {
        others[i] = add(far(1000 + i), 1);
        assert_non_null(others[i]);
    }
    both = add(far(2000), 1);
    assert_null(add(far(2000), 0)); /* on both paths */
    for (unsigned i = 0; i < 200; i++) {
        assert_non_null(add(far(900 - i), 0));
    }
    assert_int_equal(q->known[0], KAD_PATH_CANDS);
    assert_int_equal(q->known[1], KAD_PATH_CANDS);
    for (unsigned i = 0; i < KAD_PATH_CANDS - 1; i++) {
        assert_true(knows(others[i]));
    }
    assert_true(knows(both)); /* the second path still has it */
    assert_int_equal(q->n, 2 * KAD_PATH_CANDS);
    assert_null(add(far(950), 0)); /* farther than all the path has */
    in_order();
    end();
}

static void paths_join_with_all_they_have_and_go_on_as_one(void **state)
{
    (void)state;
    struct kad_contact *p, *late, *asked;
    unsigned n = 0;

    begin_paths(4);
    for (unsigned i = 0; i < 40; i++) {
        (void)add(far(i), i % 4);
    }
    late = kad_candidates_next(q, 0);
    asked = kad_candidates_next(q, 0);
    kad_candidates_soft(q, asked);
    kad_candidates_late(q, late);
    kad_candidates_join(q, KAD_K);
    assert_int_equal(q->n_paths, 1);
    assert_int_equal(q->width, KAD_K);
    assert_int_equal(q->active[0], 1);
    assert_int_equal(q->soft[0], 1);
    assert_false(kad_candidates_done(q));
    while ((p = kad_candidates_next(q, 0)) != NULL) {
        n++;
        assert_non_null(kad_candidates_reply(q, p));
    }
    assert_int_equal(n, KAD_K); /* the slow one may be dead: one in its place */
    assert_non_null(kad_candidates_fail(q, asked));
    assert_non_null(kad_candidates_reply(q, late));
    assert_int_equal(q->active[0], 0);
    assert_int_equal(q->soft[0], 0);
    assert_int_equal(q->late, 0);
    assert_true(kad_candidates_done(q));
    assert_non_null(add(1, 0)); /* a nearer one comes */
    assert_false(kad_candidates_done(q));
    end();
}

static void what_eight_full_paths_brought_is_one_list_that_takes_nearer_ones(void **state)
{
    (void)state;
    begin_paths(KAD_PATHS);
    for (unsigned i = 0; i < KAD_PATHS * KAD_PATH_CANDS; i++) {
        assert_non_null(add(far(100 + i), i % KAD_PATHS));
    }
    assert_int_equal(q->n, KAD_CANDS_MAX);
    assert_null(add(far(5000), 0));
    kad_candidates_join(q, KAD_WIDE_WIDTH);
    assert_null(add(far(5000), 0));
    for (unsigned i = 0; i < 90; i++) {
        assert_non_null(add(far(i), 0));
    }
    assert_int_equal(q->n, KAD_CANDS_MAX);
    in_order();
    end();
}

static void within_and_answered_count_what_is_no_farther_than_asked_for(void **state)
{
    (void)state;
    struct kad_contact *p[5];

    begin(10);
    for (unsigned i = 0; i < 5; i++) {
        p[i] = add(far(i), 0);
        assert_non_null(kad_candidates_next(q, 0));
    }
    assert_int_equal(kad_candidates_within(q, far(3)), 4);
    assert_non_null(kad_candidates_fail(q, p[0]));
    assert_non_null(kad_candidates_reply(q, p[1]));
    assert_non_null(kad_candidates_reply(q, p[4]));
    assert_int_equal(kad_candidates_within(q, far(3)), 3);
    assert_int_equal(kad_candidates_within(q, far(3) - 1), 2);
    assert_int_equal(kad_candidates_answered(q, far(3)), 1);
    assert_int_equal(kad_candidates_answered(q, far(4)), 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_named_on_two_paths_is_asked_once),
        cmocka_unit_test(each_path_ends_after_three_answers),
        cmocka_unit_test(a_path_waits_for_its_own_and_asks_on_where_one_fails),
        cmocka_unit_test(a_path_pushes_out_its_own_farthest_and_nothing_of_another),
        cmocka_unit_test(paths_join_with_all_they_have_and_go_on_as_one),
        cmocka_unit_test(what_eight_full_paths_brought_is_one_list_that_takes_nearer_ones),
        cmocka_unit_test(within_and_answered_count_what_is_no_farther_than_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
