/* One lookup: whom it asks next, when it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/lookup/lookup.h"

#include <stdlib.h>

#define MS NS_PER_MS

static struct mem mem;
static struct kad_candidates *q;

/* The target has the hash 0: a peer's hash is its distance. */
static void begin(unsigned alpha)
{
    static const uint8_t target[SHA256_LEN] = {0};
    uint8_t self[SHA256_LEN];

    memset(self, 0xff, sizeof(self));
    mem_init(&mem, NULL, 0);
    q = calloc(1, sizeof(*q));
    assert_non_null(q);
    kad_candidates_init(q, &mem, target, self, alpha);
}

static void end(void)
{
    kad_candidates_fini(q);
    free(q);
    assert_int_equal(mem.used, 0);
}

static struct kad_contact *peer(uint64_t dist, unsigned net24)
{
    struct kad_peer_info info = {.n_addrs = 1};
    struct netaddr a = {.family = 4, .port = 4001};
    uint8_t hash[SHA256_LEN] = {0};

    for (unsigned i = 0; i < 8; i++) {
        hash[i] = (uint8_t)(dist >> (56 - 8 * i));
    }
    peer_id_from_ed25519(&info.id, hash);
    a.ip[0] = 30;
    a.ip[1] = (uint8_t)(net24 >> 8);
    a.ip[2] = (uint8_t)net24;
    a.ip[3] = 1;
    multiaddr_quic(&info.addr[0], &a, NULL);
    struct kad_contact *p = kad_contact_new(&mem, &info, hash, false);
    assert_non_null(p);
    return p;
}

/* NULL: the lookup does not take it. */
static struct kad_contact *add_of(uint64_t dist, unsigned net24, unsigned path)
{
    struct kad_contact *p = peer(dist, net24);
    bool taken = kad_candidates_add(q, p, 1, path);

    kad_contact_unref(p);
    return taken ? p : NULL;
}

static struct kad_contact *add(uint64_t dist, unsigned path)
{
    static unsigned net24;

    return add_of(dist, ++net24, path);
}

static uint64_t far(unsigned i) /* the i-th of peers spread evenly */
{
    return (uint64_t)(i + 1) << 48;
}

static bool knows(const struct kad_contact *p)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->cand[i].peer == p) {
            return true;
        }
    }
    return false;
}

static enum kad_cand_state state_of(const struct kad_contact *p)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->cand[i].peer == p) {
            return q->cand[i].state;
        }
    }
    fail();
    return KAD_CAND_NEW;
}

static void in_order(void)
{
    for (size_t i = 1; i < q->n; i++) {
        assert_true(q->cand[i - 1].dist < q->cand[i].dist);
    }
}

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

/* ---- crowds ---- */

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

/* ---- paths ---- */

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
        cmocka_unit_test(of_peers_packed_together_two_are_asked_and_none_where_two_failed),
        cmocka_unit_test(a_nearer_one_of_a_crowd_that_comes_later_does_not_add_to_the_two),
        cmocka_unit_test(crowds_in_different_places_have_two_each),
        cmocka_unit_test(
            four_of_one_network_are_candidates_and_nearer_ones_replace_those_not_asked),
        cmocka_unit_test(in_a_lab_one_network_may_have_all_candidates),
        cmocka_unit_test(better_repute_goes_first_among_the_equally_far_only),
        cmocka_unit_test(the_quicker_goes_first_among_the_equally_far_and_good),
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
