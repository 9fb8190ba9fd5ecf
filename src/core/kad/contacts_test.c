/* Reputation: what filters, what breaks ties, and what must not change anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/serve_bed.h"

#define MIN (60 * NS_PER_S)

static struct kad_contact *make(struct bed *b, unsigned n)
{
    struct kad_peer_info info = peer(n);
    uint8_t hash[SHA256_LEN];

    sha256(hash, peer_id_slice(&info.id));
    struct kad_contact *p = kad_contact_new(&b->mem, &info, hash, false);
    assert_non_null(p);
    return p;
}

static bool in_table(const struct bed *b, const struct kad_contact *p)
{
    return kad_table_find(&b->k->routing.table, p->hash) != NULL;
}

static void answers(struct bed *b, struct kad_contact *p)
{
    kad_contacts_answered(&b->k->routing, p, 50 * NS_PER_MS, b->now, fresh(b));
}

static void a_score_follows_conduct_and_decays_by_halves(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *p = make(b, 1);

    assert_int_equal(kad_contact_score(p, b->now), 0);
    for (int i = 0; i < 100; i++) {
        kad_contact_report(p, KAD_CONDUCT_ANSWERED, b->now);
    }
    assert_int_equal(kad_contact_score(p, b->now), 100);
    assert_int_equal(kad_contact_score(p, b->now + 5 * MIN), 75);
    assert_int_equal(kad_contact_score(p, b->now + 10 * MIN), 50);
    assert_int_equal(kad_contact_score(p, b->now + 20 * MIN), 25);
    assert_int_equal(kad_contact_score(p, b->now + 1000 * MIN), 0);
    kad_contact_report(p, KAD_CONDUCT_MISBEHAVED,
                       b->now); /* what was good before is no credit to lie upon */
    assert_int_equal(kad_contact_score(p, b->now), -40);
    int last = -100;
    for (tstamp t = 0; t < 100 * MIN; t += 7 * NS_PER_S) {
        int s = kad_contact_score(p, b->now + t);
        assert_true(s >= last && s <= 0);
        last = s;
    }
    assert_int_equal(last, 0);
    for (int i = 0; i < 100; i++) {
        kad_contact_report(p, KAD_CONDUCT_MISBEHAVED, b->now);
    }
    assert_int_equal(kad_contact_score(p, b->now), -100);
    kad_contact_unref(p);
    bed_free(b);
}

static void silence_alone_never_leads_to_refusal(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *p = make(b, 1);

    for (int i = 0; i < 1000; i++) {
        kad_contact_report(p, KAD_CONDUCT_SILENT, b->now);
    }
    assert_int_equal(kad_contact_score(p, b->now), -40);
    assert_false(kad_contact_score(p, b->now) <= KAD_SCORE_REFUSED);
    kad_contact_report(p, KAD_CONDUCT_MISBEHAVED, b->now);
    assert_true(kad_contact_score(p, b->now) <= KAD_SCORE_REFUSED);
    int before = kad_contact_score(p, b->now);
    kad_contact_report(p, KAD_CONDUCT_SILENT, b->now); /* nor does it improve anything */
    assert_int_equal(kad_contact_score(p, b->now), before);
    kad_contact_unref(p);
    bed_free(b);
}

static void a_misbehaving_peer_leaves_the_table_is_not_asked_and_comes_back_in_time(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *p = make(b, 1), *again;
    struct kad_peer_info info = peer(1);

    answers(b, p);
    assert_true(in_table(b, p));
    kad_contacts_misbehaved(&b->k->routing, p, b->now); /* once may be a mistake */
    assert_true(in_table(b, p));
    assert_false(kad_contacts_failed_lately(&b->k->routing, p, b->now));
    kad_contacts_misbehaved(&b->k->routing, p, b->now + NS_PER_S);
    b->now += 2 * NS_PER_S;
    assert_false(in_table(b, p));
    assert_true(kad_contacts_failed_lately(&b->k->routing, p, b->now));

    /* Neither a new object of it, nor being told of it again, nor an answer helps. */
    again = make(b, 1);
    answers(b, again);
    assert_false(in_table(b, again));
    kad_add_peer(b->k, &info, b->now, fresh(b));
    assert_int_equal(b->k->routing.n_seeds, 0);
    assert_int_equal(acts_of(b, ACT_OPEN), 0);

    b->now += 20 * MIN;
    assert_false(kad_contacts_failed_lately(&b->k->routing, p, b->now));
    answers(b, again);
    assert_true(in_table(b, again));
    kad_contact_unref(p);
    kad_contact_unref(again);
    bed_free(b);
}

static void misbehaviour_is_remembered_beyond_the_contact(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);

    for (int i = 0; i < 2; i++) {
        struct kad_contact *p = make(b, 1);
        kad_contacts_misbehaved(&b->k->routing, p, b->now);
        assert_int_equal(kad_contacts_failed_lately(&b->k->routing, p, b->now), i == 1);
        kad_contact_unref(p);
    }
    bed_free(b);
}

static void misbehaving_peers_are_remembered_in_bounded_memory(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    size_t used = 0;

    for (unsigned n = 0; n < 10 * KAD_MISBEHAVING_MAX; n++) {
        struct kad_contact *p = make(b, n);
        kad_contacts_misbehaved(&b->k->routing, p, b->now);
        kad_contacts_misbehaved(&b->k->routing, p, b->now);
        assert_true(kad_contacts_failed_lately(&b->k->routing, p, b->now));
        kad_contact_unref(p);
        used = n == 0 ? b->mem.used : used;
        assert_int_equal(b->mem.used, used);
    }
    bed_free(b);
}

static void misbehaving_peers_are_not_handed_to_others(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info from = peer(50);
    struct kad_msg find = {.type = KAD_FIND_NODE, .key = S("anything")}, got;

    for (unsigned n = 1; n <= 3; n++) {
        struct kad_contact *p = make(b, n);
        answers(b, p);
        kad_contact_unref(p);
    }
    come(b, 1, &from.id);
    ask(b, 1, &find);
    got = answer(b);
    assert_int_equal(got.n_closer, 3);
    struct kad_contact *misbehaving = make(b, 2);
    kad_contacts_misbehaved(&b->k->routing, misbehaving, b->now);
    kad_contacts_misbehaved(&b->k->routing, misbehaving, b->now);
    ask(b, 1, &find);
    got = answer(b);
    assert_int_equal(got.n_closer, 2);
    struct kad_peer_info info = peer(2);
    for (size_t i = 0; i < got.n_closer; i++) {
        assert_false(peer_id_eq(&b->closer[i].id, &info.id));
    }
    kad_contact_unref(misbehaving);
    bed_free(b);
}

static void a_well_behaved_sybil_gains_nothing_in_order(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *near[KAD_K], *after[KAD_K];
    uint8_t target[SHA256_LEN];

    for (unsigned n = 1; n <= 60; n++) {
        struct kad_contact *p = make(b, n);
        answers(b, p);
        kad_contact_unref(p);
    }
    sha256(target, S("/v/a"));
    size_t n = kad_table_closest(&b->k->routing.table, target, NULL, KAD_K, near);
    assert_int_equal(n, KAD_K);
    for (int i = 0; i < 1000; i++) { /* the farthest behaves, the nearest is slow to answer */
        kad_contact_report(near[n - 1], KAD_CONDUCT_ANSWERED, b->now);
        kad_contact_rtt(near[n - 1], NS_PER_MS);
        kad_contact_report(near[0], KAD_CONDUCT_SILENT, b->now);
        kad_contact_rtt(near[0], NS_PER_S);
    }
    assert_int_equal(kad_contact_score(near[n - 1], b->now), 100);
    assert_int_equal(kad_table_closest(&b->k->routing.table, target, NULL, KAD_K, after), n);
    assert_memory_equal(near, after, sizeof(near));
    bed_free(b);
}

static void the_weight_prefers_peers_that_answer_and_are_fast(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *fast = make(b, 1), *slow = make(b, 2), *bad = make(b, 3),
                       *fresh_one = make(b, 4);

    for (int i = 0; i < 10; i++) {
        kad_contact_rtt(fast, 20 * NS_PER_MS);
        kad_contact_rtt(slow, 500 * NS_PER_MS);
        kad_contact_rtt(bad, 20 * NS_PER_MS);
        kad_contact_report(fast, KAD_CONDUCT_ANSWERED, b->now);
        kad_contact_report(slow, KAD_CONDUCT_ANSWERED, b->now);
        kad_contact_report(bad, KAD_CONDUCT_MISBEHAVED, b->now);
    }
    assert_true(kad_contact_weight(fast, b->now) > kad_contact_weight(slow, b->now));
    assert_true(kad_contact_weight(fast, b->now) > kad_contact_weight(fresh_one, b->now));
    assert_true(kad_contact_weight(fresh_one, b->now) > kad_contact_weight(bad, b->now));
    assert_int_equal(kad_contact_weight(bad, b->now), 0);
    kad_contact_unref(fast);
    kad_contact_unref(slow);
    kad_contact_unref(bad);
    kad_contact_unref(fresh_one);
    bed_free(b);
}

static void backoff_can_be_reset_before_and_after_a_failure(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *p = make(b, 1);

    kad_backoff_reset(b->k);
    answers(b, p);
    kad_contacts_unanswered(&b->k->routing, p, b->now, b->now);
    assert_true(kad_contacts_failed_lately(&b->k->routing, p, b->now));
    kad_backoff_reset(b->k);
    assert_false(kad_contacts_failed_lately(&b->k->routing, p, b->now));
    kad_contact_unref(p);
    bed_free(b);
}

/* One outside the table failed us, and then asks us: the next lookup asks it again (field trial F1). */
static void a_peer_set_aside_that_asks_us_is_asked_again(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *p = make(b, 1);
    struct kad_routing *r = &b->k->routing;

    r->last_answer = b->now;
    kad_contacts_unanswered(r, p, b->now, b->now);
    assert_false(in_table(b, p));
    assert_true(kad_contacts_failed_lately(r, p, b->now));
    assert_null(kad_contacts_heard(r, p->hash, b->now));
    assert_false(kad_contacts_failed_lately(r, p, b->now));
    kad_contact_unref(p);
    bed_free(b);
}

/* Field trial F2: our own network was silent for a few seconds, and nobody was asked for a minute. */
static void when_all_fall_silent_at_once_it_is_not_held_against_them(void **state)
{
    enum { N = 8 };
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_routing *r = &b->k->routing;
    struct kad_contact *p[N], *failing[N];

    for (unsigned i = 0; i < N; i++) {
        p[i] = make(b, i);
        answers(b, p[i]);
    }
    tstamp asked = b->now + NS_PER_S;
    b->now += 5 * NS_PER_S;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < N; i++) {
            kad_contacts_unanswered(r, p[i], asked, b->now);
            assert_true(in_table(b, p[i]));
            assert_int_equal(kad_contacts_failed_lately(r, p[i], b->now), i < KAD_SILENT_RUN);
        }
    }
    assert_int_equal(kad_table_failing(&r->table, N, failing), KAD_SILENT_RUN);
    answers(b, p[N - 1]); /* it is over: those that fell silent first are not passed over either */
    for (unsigned i = 0; i < N; i++) {
        assert_false(kad_contacts_failed_lately(r, p[i], b->now));
    }
    /* Others answered while it was asked: now it is the peer. */
    kad_contacts_unanswered(r, p[5], b->now, b->now);
    kad_contacts_unanswered(r, p[5], b->now, b->now);
    assert_false(in_table(b, p[5]));
    assert_int_equal(r->departed.n, 1);
    /* With the answer the count began again: the first that stays silent after it is set aside. */
    kad_contacts_unanswered(r, p[6], b->now + 1, b->now + 1);
    assert_true(kad_contacts_failed_lately(r, p[6], b->now + 1));
    for (unsigned i = 0; i < N; i++) {
        kad_contact_unref(p[i]);
    }
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_all_fall_silent_at_once_it_is_not_held_against_them),
        cmocka_unit_test(a_peer_set_aside_that_asks_us_is_asked_again),
        cmocka_unit_test(a_score_follows_conduct_and_decays_by_halves),
        cmocka_unit_test(silence_alone_never_leads_to_refusal),
        cmocka_unit_test(a_misbehaving_peer_leaves_the_table_is_not_asked_and_comes_back_in_time),
        cmocka_unit_test(misbehaviour_is_remembered_beyond_the_contact),
        cmocka_unit_test(misbehaving_peers_are_remembered_in_bounded_memory),
        cmocka_unit_test(misbehaving_peers_are_not_handed_to_others),
        cmocka_unit_test(a_well_behaved_sybil_gains_nothing_in_order),
        cmocka_unit_test(the_weight_prefers_peers_that_answer_and_are_fast),
        cmocka_unit_test(backoff_can_be_reset_before_and_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
