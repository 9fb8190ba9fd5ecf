/* One lookup: whom it asks next, when it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/lookup/candidates_testkit.h"

/* ---- one path ---- */

static void a_lookup_knows_contacts_by_their_id_until_its_table_is_full(void **state)
{
    (void)state;
    begin(10);
    for (unsigned i = 0; i < 300; i++) {
        struct kad_contact *p = peer(far(i), i);
        uint64_t name = p->info->name = i + 1u;
        assert_null(kad_candidates_seen(q, name, kad_contact_id(p)));
        kad_candidates_see(q, p);
        kad_candidates_see(q, p); /* once */
        assert_ptr_equal(kad_candidates_seen(q, name, kad_contact_id(p)),
                         i < KAD_SEEN_MAX ? p : NULL);
        assert_null(kad_candidates_seen(q, name, (struct slice){(const uint8_t *)"other", 5}));
        kad_contact_unref(p);
    }
    assert_int_equal(q->seen.n, KAD_SEEN_MAX);
    end();
}

static void without_memory_a_contact_is_only_seen_anew(void **state)
{
    (void)state;
    begin(10);
    struct kad_contact *p = peer(far(1), 1);
    p->info->name = 7;
    mem.fail_at = 1;
    kad_candidates_see(q, p);
    assert_null(kad_candidates_seen(q, 7, kad_contact_id(p)));
    kad_candidates_see(q, p);
    assert_ptr_equal(kad_candidates_seen(q, 7, kad_contact_id(p)), p);
    kad_contact_unref(p);
    end();
}

static void lookup_asks_no_more_than_alpha_and_hedges_up_to_twice(void **state)
{
    (void)state;
    struct kad_contact *a[8];

    begin(3);
    for (unsigned i = 0; i < 30; i++) {
        assert_non_null(add(far(i), 0));
        assert_null(add(far(i), 0)); /* known */
    }
    for (int i = 0; i < 3; i++) {
        a[i] = kad_candidates_next(q, 0);
        assert_ptr_equal(a[i], q->cand[i].peer);
    }
    assert_null(kad_candidates_next(q, 0));
    for (int i = 0; i < 3; i++) {
        kad_candidates_soft(q, a[i]);
        kad_candidates_soft(q, a[i]); /* counts once */
        a[3 + i] = kad_candidates_next(q, 0);
        assert_non_null(a[3 + i]);
        assert_null(kad_candidates_next(q, 0));
    }
    for (int i = 0; i < 3; i++) {
        kad_candidates_soft(q, a[3 + i]);
    }
    assert_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_reply(q, a[0]));
    assert_null(kad_candidates_reply(q, a[0])); /* a second answer is none */
    assert_null(kad_candidates_fail(q, a[0]));
    assert_non_null(kad_candidates_fail(q, a[1]));
    assert_int_equal(q->active[0], 4);
    end();
}

static void lookup_ends_when_the_k_closest_that_live_have_answered(void **state)
{
    (void)state;
    struct kad_contact *p, *got[KAD_K];
    unsigned n = 0;

    begin(10);
    assert_true(kad_candidates_done(q));
    for (unsigned i = 0; i < 300; i++) {
        (void)add(far((i * 37) % 300), 0);
    }
    assert_int_equal(q->n, KAD_CANDS_ONE);
    in_order();
    assert_int_equal(q->cand[KAD_CANDS_ONE - 1].dist, far(KAD_CANDS_ONE - 1));
    while ((p = kad_candidates_next(q, 0)) != NULL) {
        assert_false(kad_candidates_done(q));
        if (n++ % 3 == 0) {
            (void)kad_candidates_fail(q, p);
        } else {
            (void)kad_candidates_reply(q, p);
        }
    }
    assert_true(kad_candidates_done(q));
    assert_int_equal(n, KAD_K + q->failures);
    assert_int_equal(kad_candidates_result(q, KAD_K, got), KAD_K);
    assert_int_equal(kad_candidates_near(q), KAD_K);
    end();
}

static void a_full_list_still_takes_a_nearer_one_while_its_farthest_is_asked(void **state)
{
    (void)state;
    begin(10);
    for (unsigned i = 0; i < KAD_CANDS_ONE; i++) {
        assert_non_null(add(far(i), 0));
    }
    q->cand[KAD_CANDS_ONE - 1].state = KAD_CAND_ASKED;
    struct kad_contact *last = q->cand[KAD_CANDS_ONE - 1].peer;
    struct kad_contact *before_last = q->cand[KAD_CANDS_ONE - 2].peer;
    assert_null(add(far(400), 0)); /* farther than all */
    assert_non_null(add(1, 0));
    assert_int_equal(q->n, KAD_CANDS_ONE);
    assert_true(knows(last));
    assert_false(knows(before_last));
    in_order();
    end();
}

static void a_lookup_sends_no_more_requests_than_its_bound(void **state)
{
    (void)state;
    struct kad_contact *p;
    unsigned n = 0;

    begin(10);
    assert_int_equal(q->rpcs_max, 160);
    q->rpcs_max = 12;
    for (unsigned i = 0; i < 60; i++) {
        assert_non_null(add(far(i), 0));
    }
    while ((p = kad_candidates_next(q, 0)) != NULL) {
        n++;
        assert_non_null(kad_candidates_reply(q, p));
    }
    assert_int_equal(n, 12);
    assert_true(kad_candidates_done(q)); /* though nearer ones are left */
    end();
}

static void ourselves_are_never_a_candidate(void **state)
{
    (void)state;
    begin(3);
    memset(q->self, 0, sizeof(q->self));
    q->self[7] = 77;
    assert_null(add(77, 0));
    assert_int_equal(q->n, 0);
    end();
}

static void hops_are_the_least_depth_among_the_k_closest_that_answered(void **state)
{
    (void)state;
    begin(10);
    assert_int_equal(kad_candidates_hops(q), 0);
    for (unsigned i = 0; i < 30; i++) {
        struct kad_contact *p = peer(far(i), i);
        assert_true(kad_candidates_add(q, p, i < KAD_K ? 9 - i / 4 : 1, 0));
        kad_contact_unref(p);
    }
    for (struct kad_contact *p; (p = kad_candidates_next(q, 0)) != NULL;) {
        (void)kad_candidates_reply(q, p);
    }
    assert_int_equal(kad_candidates_hops(q), 5);
    end();
}

static void a_part_is_filled_by_answers_within_it_only(void **state)
{
    (void)state;
    begin(3);
    struct kad_contact *in = add(UINT64_C(1) << 59, 0), *out = add(UINT64_C(1) << 60, 0);
    assert_non_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_reply(q, out));
    assert_false(kad_candidates_filled(q, 4, 1));
    assert_non_null(kad_candidates_reply(q, in));
    assert_true(kad_candidates_filled(q, 4, 1));
    assert_false(kad_candidates_filled(q, 4, 2));
    assert_true(kad_candidates_filled(q, 3, 2));
    end();
}

/* ---- events ---- */

enum what { REPLY, FAIL, LATE, SOFT };

static bool happen(enum what what, const struct kad_contact *p)
{
    switch (what) {
    case REPLY:
        return kad_candidates_reply(q, p) != NULL;
    case FAIL:
        return kad_candidates_fail(q, p) != NULL;
    case LATE:
        kad_candidates_late(q, p);
        break;
    case SOFT:
        kad_candidates_soft(q, p);
        break;
    }
    return false;
}

static void each_event_in_each_state_of_a_candidate_has_its_outcome(void **state)
{
    (void)state;
    /* then: the state; taken: it was waited for; active, late: what is counted afterwards */
    static const struct {
        enum kad_cand_state from;
        enum what what;
        enum kad_cand_state then;
        bool taken;
        uint32_t active, late;
    } cases[] = {
        {KAD_CAND_NEW, REPLY, KAD_CAND_NEW, false, 0, 0},
        {KAD_CAND_NEW, FAIL, KAD_CAND_NEW, false, 0, 0},
        {KAD_CAND_NEW, LATE, KAD_CAND_NEW, false, 0, 0},
        {KAD_CAND_NEW, SOFT, KAD_CAND_NEW, false, 0, 0},
        {KAD_CAND_ASKED, REPLY, KAD_CAND_ANSWERED, true, 0, 0},
        {KAD_CAND_ASKED, FAIL, KAD_CAND_FAILED, true, 0, 0},
        {KAD_CAND_ASKED, LATE, KAD_CAND_LATE, false, 0, 1},
        {KAD_CAND_ASKED, SOFT, KAD_CAND_ASKED, false, 1, 0},
        {KAD_CAND_LATE, REPLY, KAD_CAND_ANSWERED, true, 0, 0},
        {KAD_CAND_LATE, FAIL, KAD_CAND_FAILED, true, 0, 0},
        {KAD_CAND_LATE, LATE, KAD_CAND_LATE, false, 0, 1},
        {KAD_CAND_LATE, SOFT, KAD_CAND_LATE, false, 0, 1},
        {KAD_CAND_ANSWERED, REPLY, KAD_CAND_ANSWERED, false, 0, 0},
        {KAD_CAND_ANSWERED, FAIL, KAD_CAND_ANSWERED, false, 0, 0},
        {KAD_CAND_ANSWERED, LATE, KAD_CAND_ANSWERED, false, 0, 0},
        {KAD_CAND_ANSWERED, SOFT, KAD_CAND_ANSWERED, false, 0, 0},
        {KAD_CAND_FAILED, REPLY, KAD_CAND_FAILED, false, 0, 0},
        {KAD_CAND_FAILED, FAIL, KAD_CAND_FAILED, false, 0, 0},
        {KAD_CAND_FAILED, LATE, KAD_CAND_FAILED, false, 0, 0},
        {KAD_CAND_FAILED, SOFT, KAD_CAND_FAILED, false, 0, 0},
    };
    static const enum what reach[] = {
        [KAD_CAND_LATE] = LATE, [KAD_CAND_ANSWERED] = REPLY, [KAD_CAND_FAILED] = FAIL};

    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) { /* before and after the soft time */
        const size_t c = i / 2;
        begin(3);
        struct kad_contact *p = add(far(0), 0);
        if (cases[c].from != KAD_CAND_NEW) {
            assert_ptr_equal(kad_candidates_next(q, 0), p);
            if (i % 2 == 1) {
                kad_candidates_soft(q, p);
            }
        }
        if (cases[c].from > KAD_CAND_ASKED) {
            (void)happen(reach[cases[c].from], p);
        }
        assert_int_equal(happen(cases[c].what, p), cases[c].taken);
        assert_int_equal(state_of(p), cases[c].then);
        assert_int_equal(q->active[0], cases[c].active);
        assert_int_equal(q->late, cases[c].late);
        assert_true(q->soft[0] == 0 || cases[c].then == KAD_CAND_ASKED);
        end();
    }
}

static void events_of_a_peer_that_is_no_candidate_change_nothing(void **state)
{
    (void)state;
    begin(3);
    (void)add(far(0), 0);
    assert_non_null(kad_candidates_next(q, 0));
    struct kad_contact *other = peer(far(1), 1);
    for (enum what w = REPLY; w <= SOFT; w++) {
        assert_false(happen(w, other));
    }
    assert_int_equal(q->active[0], 1);
    assert_int_equal(q->answered + q->failures + q->late + q->soft[0], 0);
    kad_contact_unref(other);
    end();
}

static void one_asked_again_is_waited_for_and_counted_again(void **state)
{
    (void)state;
    begin(3);
    struct kad_contact *p = add(far(0), 0);
    assert_non_null(kad_candidates_next(q, 0));
    struct kad_cand *c = kad_candidates_reply(q, p);
    assert_non_null(c);
    assert_true(kad_candidates_done(q));
    kad_candidates_again(q, c);
    assert_false(kad_candidates_done(q));
    assert_int_equal(q->rpcs, 2);
    assert_int_equal(q->answered, 0);
    assert_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_reply(q, p));
    assert_true(kad_candidates_done(q));
    assert_int_equal(q->answered, 1);
    end();
}

/* ---- the late ---- */

static void one_that_is_late_is_not_waited_for_and_its_answer_still_counts(void **state)
{
    (void)state;
    struct kad_contact *got[KAD_K], *late;

    begin(3);
    for (unsigned i = 0; i < 4; i++) {
        (void)add(far(i), 0);
    }
    late = kad_candidates_next(q, 0);
    for (unsigned i = 0; i < 3; i++) {
        struct kad_contact *p = kad_candidates_next(q, 0);
        assert_non_null(p);
        (void)kad_candidates_reply(q, p);
    }
    assert_false(kad_candidates_done(q));
    kad_candidates_late(q, late);
    assert_true(kad_candidates_done(q));
    assert_int_equal(kad_candidates_result(q, KAD_K, got), 3);
    assert_non_null(kad_candidates_reply(q, late));
    assert_int_equal(kad_candidates_result(q, KAD_K, got), 4);
    assert_ptr_equal(got[0], late);
    assert_int_equal(q->late, 0);
    end();
}

static void a_lookup_where_nearly_all_are_late_waits_for_them(void **state)
{
    (void)state;
    struct kad_contact *p[6];

    begin(10);
    for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = add(far(i), 0);
        assert_non_null(kad_candidates_next(q, 0));
    }
    for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
        kad_candidates_late(q, p[i]);
    }
    assert_false(kad_candidates_done(q)); /* six late, none answered */
    assert_non_null(kad_candidates_reply(q, p[5]));
    assert_false(kad_candidates_done(q)); /* five to one */
    assert_non_null(kad_candidates_fail(q, p[0]));
    assert_true(kad_candidates_done(q)); /* four to one */
    end();
}

static void late_answers_make_a_narrow_lookup_wide_but_no_short_one(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        begin(KAD_ALPHA_GET);
        if (i == 1) {
            q->rpcs_max = KAD_PART_RPCS;
        } else if (i == 2) {
            q->n_paths = 2;
        }
        struct kad_contact *p = add(far(0), 0);
        assert_non_null(kad_candidates_next(q, 0));
        kad_candidates_late(q, p);
        assert_int_equal(q->alpha, i == 0 ? KAD_ALPHA_FIND : KAD_ALPHA_GET);
        end();
    }
}

static void one_past_its_soft_time_has_another_asked_beyond_the_width(void **state)
{
    (void)state;
    struct kad_contact *last = NULL;

    begin(10);
    for (unsigned i = 0; i < KAD_K + 2; i++) {
        (void)add(far(i), 0);
    }
    for (unsigned i = 0; i < KAD_K; i++) {
        last = kad_candidates_next(q, 0);
        assert_non_null(last);
        if (i < KAD_K - 1) {
            assert_non_null(kad_candidates_reply(q, last));
        }
    }
    assert_null(kad_candidates_next(q, 0)); /* the k closest are asked */
    kad_candidates_soft(q, last);
    struct kad_contact *more = kad_candidates_next(q, 0);
    assert_int_equal(state_of(more), KAD_CAND_ASKED);
    assert_null(kad_candidates_next(q, 0));
    assert_non_null(kad_candidates_reply(q, more));
    assert_false(kad_candidates_done(q)); /* it is still waited for */
    assert_non_null(kad_candidates_reply(q, last));
    assert_true(kad_candidates_done(q));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lookup_knows_contacts_by_their_id_until_its_table_is_full),
        cmocka_unit_test(without_memory_a_contact_is_only_seen_anew),
        cmocka_unit_test(lookup_asks_no_more_than_alpha_and_hedges_up_to_twice),
        cmocka_unit_test(lookup_ends_when_the_k_closest_that_live_have_answered),
        cmocka_unit_test(a_full_list_still_takes_a_nearer_one_while_its_farthest_is_asked),
        cmocka_unit_test(a_lookup_sends_no_more_requests_than_its_bound),
        cmocka_unit_test(ourselves_are_never_a_candidate),
        cmocka_unit_test(hops_are_the_least_depth_among_the_k_closest_that_answered),
        cmocka_unit_test(a_part_is_filled_by_answers_within_it_only),
        cmocka_unit_test(each_event_in_each_state_of_a_candidate_has_its_outcome),
        cmocka_unit_test(events_of_a_peer_that_is_no_candidate_change_nothing),
        cmocka_unit_test(one_asked_again_is_waited_for_and_counted_again),
        cmocka_unit_test(one_that_is_late_is_not_waited_for_and_its_answer_still_counts),
        cmocka_unit_test(a_lookup_where_nearly_all_are_late_waits_for_them),
        cmocka_unit_test(late_answers_make_a_narrow_lookup_wide_but_no_short_one),
        cmocka_unit_test(one_past_its_soft_time_has_another_asked_beyond_the_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
