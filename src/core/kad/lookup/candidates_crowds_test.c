/* One lookup: peers packed together or of one network, and which of the equally far goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/lookup/candidates_testkit.h"

#define PACKED(i) (UINT64_C(0x0034560000000000) + (i)) /* 48 bits and more in common */

static void of_peers_packed_together_two_are_asked_and_none_where_two_failed(void **state)
{
    (void)state;
    struct kad_contact *p;
    unsigned packed = 0, all = 0;

    begin(10);
    q->crowd_bits = 16;
    for (unsigned i = 0; i < 30; i++) {
        assert_non_null(add(PACKED(i), 0));
        assert_non_null(add((uint64_t)(i + 1) << 56, 0));
    }
    while ((p = kad_candidates_next(q, 0)) != NULL) {
        all++;
        if (kad_candidates_reply(q, p)->dist >> 48 == 0x0034) {
            packed++;
        }
    }
    assert_int_equal(packed, KAD_CROWD_MAX);
    assert_int_equal(all, KAD_K);
    assert_true(kad_candidates_done(q));
    assert_int_equal(kad_candidates_crowded(q), 28);
    end();

    begin(10); /* without the limit they take all places */
    for (unsigned i = 0; i < 30; i++) {
        (void)add(PACKED(i), 0);
        (void)add((uint64_t)(i + 0x20) << 56, 0);
    }
    while ((p = kad_candidates_next(q, 0)) != NULL) {
        assert_int_equal(kad_candidates_reply(q, p)->dist >> 48, 0x0034);
    }
    assert_int_equal(kad_candidates_crowded(q), 0);
    end();

    begin(10); /* who fails has had its turn */
    q->crowd_bits = 16;
    for (unsigned i = 0; i < 5; i++) {
        (void)add(PACKED(i), 0);
    }
    for (all = 0; (p = kad_candidates_next(q, 0)) != NULL; all++) {
        assert_non_null(kad_candidates_fail(q, p));
    }
    assert_int_equal(all, KAD_CROWD_MAX);
    end();
}

static void a_nearer_one_of_a_crowd_that_comes_later_does_not_add_to_the_two(void **state)
{
    (void)state;
    struct kad_contact *p[4];

    begin(10);
    q->crowd_bits = 16;
    p[0] = add(PACKED(100), 0);
    assert_ptr_equal(kad_candidates_next(q, 0), p[0]);
    p[1] = add(PACKED(50), 0); /* nearer than one that is asked */
    p[2] = add(PACKED(40), 0);
    p[3] = add(PACKED(200), 0);
    assert_ptr_equal(kad_candidates_next(q, 0), p[2]); /* the nearest has the second place */
    assert_null(kad_candidates_next(q, 0));
    assert_int_equal(kad_candidates_crowded(q), 2);
    assert_non_null(kad_candidates_reply(q, p[2]));
    assert_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_reply(q, p[0]));
    assert_true(kad_candidates_done(q));
    end();
}

static void crowds_in_different_places_have_two_each(void **state)
{
    (void)state;
    struct kad_contact *p;
    unsigned n = 0;

    begin(10);
    q->crowd_bits = 8;
    for (unsigned crowd = 1; crowd <= 3; crowd++) {
        for (unsigned i = 0; i < 5; i++) {
            assert_non_null(add((uint64_t)crowd << 56 | i, 0));
        }
    }
    while ((p = kad_candidates_next(q, 0)) != NULL) {
        n++;
        (void)kad_candidates_reply(q, p);
    }
    assert_int_equal(n, 3 * KAD_CROWD_MAX);
    end();
}

static void four_of_one_network_are_candidates_and_nearer_ones_replace_those_not_asked(void **state)
{
    (void)state;
    struct kad_contact *p[6];

    begin(3);
    for (unsigned i = 0; i < 4; i++) {
        p[i] = add_of(far(10 + i), 5, 0);
        assert_non_null(p[i]);
    }
    assert_null(add_of(far(20), 5, 0));
    assert_non_null(add_of(far(20), 6, 0));
    p[4] = add_of(far(1), 5, 0);
    assert_non_null(p[4]);
    assert_false(knows(p[3])); /* the farthest of them gave way */
    assert_int_equal(q->n, 5);
    for (unsigned i = 0; i < 5; i++) {
        kad_candidates_late(q, kad_candidates_next(q, 0));
    }
    assert_null(add_of(far(0), 5, 0)); /* all four were asked: none gives way */
    end();
}

static void in_a_lab_one_network_may_have_all_candidates(void **state)
{
    (void)state;
    begin(3);
    q->lab = true;
    for (unsigned i = 0; i < 30; i++) {
        assert_non_null(add_of(far(i), 5, 0));
    }
    assert_int_equal(q->n, 30);
    end();
}

/* ---- repute ---- */

static void better_repute_goes_first_among_the_equally_far_only(void **state)
{
    (void)state;
    const uint64_t class = UINT64_C(1) << 60;
    struct kad_contact *near, *good, *mean, *best;

    begin(10);
    near = add(class - 1, 0);
    mean = add(class, 0);
    good = add(class + 5, 0);
    best = add(2 * class, 0); /* the next distance class */
    for (unsigned i = 0; i < 10; i++) {
        kad_contact_report(good, KAD_CONDUCT_ANSWERED, NS_PER_S);
        kad_contact_report(best, KAD_CONDUCT_ANSWERED, NS_PER_S);
    }
    for (unsigned i = 0; i < 3; i++) {
        kad_contact_report(near, KAD_CONDUCT_SILENT, NS_PER_S);
    }
    assert_ptr_equal(kad_candidates_next(q, NS_PER_S), near);
    assert_ptr_equal(kad_candidates_next(q, NS_PER_S), good);
    assert_ptr_equal(kad_candidates_next(q, NS_PER_S), mean);
    assert_ptr_equal(kad_candidates_next(q, NS_PER_S), best);
    end();
}

static void the_quicker_goes_first_among_the_equally_far_and_good(void **state)
{
    (void)state;
    const uint64_t class = UINT64_C(1) << 60;

    begin(10);
    struct kad_contact *slow = add(class, 0), *quick = add(class + 5, 0);
    kad_contact_rtt(slow, 300 * MS);
    kad_contact_rtt(quick, 10 * MS);
    assert_ptr_equal(kad_candidates_next(q, 0), quick);
    assert_ptr_equal(kad_candidates_next(q, 0), slow);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_peers_packed_together_two_are_asked_and_none_where_two_failed),
        cmocka_unit_test(a_nearer_one_of_a_crowd_that_comes_later_does_not_add_to_the_two),
        cmocka_unit_test(crowds_in_different_places_have_two_each),
        cmocka_unit_test(
            four_of_one_network_are_candidates_and_nearer_ones_replace_those_not_asked),
        cmocka_unit_test(in_a_lab_one_network_may_have_all_candidates),
        cmocka_unit_test(better_repute_goes_first_among_the_equally_far_only),
        cmocka_unit_test(the_quicker_goes_first_among_the_equally_far_and_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
