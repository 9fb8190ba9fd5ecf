/* resolve_test.c - from an address to its target: who is asked what, what is believed and remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"

static void what_is_published_is_resolved(void **state)
{
    struct world *w = world_new();
    const struct dark_keys *k = dark_own_get(w->svc, &w->addr);

    (void)state;
    publish(w);
    const struct up *u = resolve(w);
    assert_int_equal(u->kind, DARK_UP_RESOLVED);
    assert_int_equal(u->cookie, 22);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->n, 0);
    assert_true(u->has_target);
    assert_true(peer_id_eq(&u->target.hop.peer, &w->self.peer));
    assert_memory_equal(u->target.hop.x, k->onion_x, 32);
    assert_memory_equal(u->target.hop.key_id, k->key_id, 8);
    assert_true(u->target.hop.service);
    assert_int_equal(u->target.seq, k->seq);
    world_free(w);
}

/* The host answers a save of the same list before it comes to what was resolved. */
static void what_was_resolved_stays_until_the_list_is_carried_out(void **state)
{
    struct world *w = world_new();
    struct dark_answer ans = {.exit = w->exit[0]};

    (void)state;
    publish_all(w);
    assert_int_equal(
        dark_resolve(w->cli, &(struct dark_question){22, &w->addr, 0}, w->now, &w->acts), QUDAG_OK);
    assert_int_equal(w->acts.n, 1);
    const struct dark_wanted *wanted = w->act_v[0].ptr;
    struct stored *s = store_get(w, wanted->key);
    assert_non_null(s);
    ans.cookie = w->act_v[0].cookie;
    ans.record = (struct slice){s->rec, DARK_RECORD_LEN};
    acts_reset_list(w);
    dark_get_done(w->cli, &ans, w->now, &w->acts);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].kind, DARK_UP_RESOLVED);
    size_t used = w->mem.used;
    dark_get_done(w->cli, &ans, w->now, &w->acts); /* answered twice */
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->mem.used, used);
    const struct dark_target *t = w->act_v[0].ptr;
    assert_true(peer_id_eq(&t->hop.peer, &w->self.peer));
    acts_reset_list(w);
    dark_tick(w->cli, w->now, &w->acts);
    assert_true(w->mem.used < used);
    world_free(w);
}

/* Which place the question in the list is for: 0 and 1 of the current period, 2 and 3 of the other. */
static int place_asked(const struct world *w, const struct act *a)
{
    uint8_t key[DARK_KEY_LEN];
    uint64_t live[2];
    const struct dark_wanted *wanted = a->ptr;

    assert_int_equal(a->kind, DARK_UP_GET);
    dark_live(live, wall(w));
    for (int i = 0; i < 4; i++) {
        const struct dark_place at = {live[i / 2], (uint8_t)(i % 2)};
        assert_int_equal(dark_dht_key(key, &w->addr, &at), QUDAG_OK);
        if (memcmp(wanted->key.base, key, sizeof key) == 0) {
            return i;
        }
    }
    fail();
    return -1;
}

/* H7: what one lookup shows to storers is one index of the current period, and no other. */
static void one_place_is_asked_at_a_time_after_a_failure_the_other(void **state)
{
    struct world *w = world_new();
    int before = -1;

    (void)state;
    publish_all(w);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(
            dark_resolve(w->cli, &(struct dark_question){1, &w->addr, 0}, w->now, &w->acts),
            QUDAG_OK);
        assert_int_equal(w->acts.n, 1);
        int at = place_asked(w, &w->act_v[0]);
        assert_in_range(at, 0, 1);
        assert_int_not_equal(at, before); /* where the target was from that led nowhere */
        before = at;
        settle(w, w->cli);
        assert_int_equal(last_up(w)->err, QUDAG_OK);
        assert_int_equal(w->gets, i + 1);
        dark_target_failed(w->cli, &w->addr, 0);
        w->n_up = 0;
    }
    world_free(w);
}

/* Asks until the end, everything missing; the places in their order. */
static size_t places_of_a_miss(struct world *w, int place[8], tstamp gap[8])
{
    struct dark_answer none = {.err = QUDAG_ENOTFOUND};
    size_t n = 0;

    assert_int_equal(
        dark_resolve(w->cli, &(struct dark_question){1, &w->addr, 0}, w->now, &w->acts), QUDAG_OK);
    while (w->acts.n == 1 && w->act_v[0].kind == DARK_UP_GET) {
        const struct dark_wanted *wanted = w->act_v[0].ptr;
        assert_true(n < 8);
        assert_int_equal(wanted->apart.len > 0, n > 0);
        assert_true(n == 0 || peer_id_eq(&wanted->apart, &none.exit));
        place[n++] = place_asked(w, &w->act_v[0]);
        none.cookie = w->act_v[0].cookie;
        none.exit = w->exit[n % 2];
        acts_reset_list(w);
        dark_get_done(w->cli, &none, w->now, &w->acts);
        if (dark_deadline(w->cli) != TSTAMP_NEVER) {
            assert_int_equal(w->acts.n, 0); /* a pause */
            gap[n] = dark_deadline(w->cli) - w->now;
            w->now = dark_deadline(w->cli);
            dark_tick(w->cli, w->now, &w->acts);
        }
    }
    settle(w, w->cli);
    return n;
}

static void the_other_place_is_asked_after_a_miss_and_a_pause(void **state)
{
    struct world *w = world_new();
    int place[8] = {0};
    tstamp gap[8];

    (void)state;
    assert_int_equal(places_of_a_miss(w, place, gap), 2);
    assert_int_equal(place[0] + place[1], 1);
    assert_in_range(gap[1], DARK_PAUSE_MIN, DARK_PAUSE_MIN + DARK_PAUSE_VAR);
    assert_int_equal(last_up(w)->err, QUDAG_ENOTFOUND);
    unsigned first[2] = {0, 0};
    for (int i = 0; i < 200; i++) {
        assert_int_equal(places_of_a_miss(w, place, gap), 2);
        first[place[0]]++;
    }
    assert_in_range(first[0], 60, 140); /* 100 expected, deviation 7 */
    world_free(w);
}

static void the_other_period_is_asked_only_around_a_change(void **state)
{
    struct world *w = world_new();
    int place[8] = {0};
    tstamp gap[8];

    (void)state;
    w->now = 14 * HOUR; /* ten in the evening */
    assert_int_equal(places_of_a_miss(w, place, gap), 2);
    w->now = 15 * HOUR + HOUR / 2;
    assert_int_equal(places_of_a_miss(w, place, gap), 4);
    assert_int_equal(place[0] + place[1], 1);
    assert_int_equal(place[2] + place[3], 5);
    w->now = 16 * HOUR + HOUR / 2;
    assert_int_equal(places_of_a_miss(w, place, gap), 4);
    w->now = 17 * HOUR + 1;
    assert_int_equal(places_of_a_miss(w, place, gap), 2);
    world_free(w);
}

/* M11: one relay hides the record. */
static void one_relay_cannot_make_an_address_vanish(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    w->liar = 0;
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    assert_int_equal(w->gets, 2);
    world_free(w);
}

static void absence_needs_two_relays(void **state)
{
    static const struct {
        struct dark_heard heard;
        qudag_err want;
    } rows[] = {
        {{0}, QUDAG_EUNREACHABLE},
        {{.absent = 1}, QUDAG_EUNREACHABLE},
        {{.absent = 1, .lost = QUDAG_ENORELAYS}, QUDAG_ENORELAYS},
        {{.absent = 1, .lost = QUDAG_ECIRCUIT}, QUDAG_ECIRCUIT},
        {{.absent = 2}, QUDAG_ENOTFOUND},
        {{.absent = 2, .lost = QUDAG_ECIRCUIT}, QUDAG_ENOTFOUND},
        {{.wrong = 1, .bad = QUDAG_EAUTH}, QUDAG_EUNREACHABLE},
        {{.wrong = 1, .bad = QUDAG_EAUTH, .absent = 1}, QUDAG_EUNREACHABLE},
        {{.wrong = 1, .bad = QUDAG_EAUTH, .absent = 1, .lost = QUDAG_ECIRCUIT}, QUDAG_ECIRCUIT},
        {{.wrong = 1, .bad = QUDAG_EAUTH, .absent = 2}, QUDAG_ENOTFOUND},
        {{.wrong = 2, .bad = QUDAG_EAUTH, .absent = 1}, QUDAG_EAUTH},
        {{.wrong = 2, .bad = QUDAG_ESTALE, .absent = 2}, QUDAG_ESTALE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(dark_no_target(&rows[i].heard), rows[i].want);
    }
}

/* Of three answers the first and the third may be of one network. */
static void witnesses_are_neighbours(void **state)
{
    struct dark_heard h = {0};

    (void)state;
    dark_hear(&h, true, false);
    dark_hear(&h, false, false);
    dark_hear(&h, true, false);
    assert_int_equal(dark_no_target(&h), QUDAG_EUNREACHABLE);
    dark_hear(&h, false, false);
    dark_hear(&h, false, true);
    assert_int_equal(dark_no_target(&h), QUDAG_EUNREACHABLE);
    dark_hear(&h, false, false);
    dark_hear(&h, true, false); /* what two said stays said */
    assert_int_equal(dark_no_target(&h), QUDAG_ENOTFOUND);
}

static void another_relay_is_asked_what_one_answered_wrongly(void **state)
{
    (void)state;
    assert_true(dark_ask_another(QUDAG_EAUTH, 0));
    assert_true(dark_ask_another(QUDAG_EMALFORMED, DARK_REPEATS_MAX - 1));
    assert_true(dark_ask_another(QUDAG_ESTALE, 0));
    assert_false(dark_ask_another(QUDAG_EAUTH, DARK_REPEATS_MAX));
    assert_false(dark_ask_another(QUDAG_OK, 0));
    assert_false(dark_ask_another(QUDAG_ENOTFOUND, 0));
    assert_false(dark_ask_another(QUDAG_ENOMEM, 0));
}

/* One relay answers with a record that is none, the other place is empty: the delivery must not end by that. */
static void one_relay_with_a_wrong_record_ends_nothing(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w); /* one place only */
    w->forger = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(resolve(w)->err, QUDAG_OK);
        dark_target_failed(w->cli, &w->addr, 0);
    }
    assert_true(w->gets > 10);
    w->n_stored =
        0; /* nothing is anywhere, and one of those asked lies: that is no word on the address */
    size_t finals = 0;
    for (int i = 0; i < 10; i++) {
        qudag_err err = resolve(w)->err;
        finals += err == QUDAG_EAUTH || err == QUDAG_EMALFORMED ? 1 : 0;
    }
    assert_int_equal(finals, 0);
    world_free(w);
}

/* The same relay twice is one witness, whatever the host does with what it was asked. */
static void the_same_relay_twice_is_one(void **state)
{
    struct world *w = world_new();
    struct dark_answer none = {.err = QUDAG_ENOTFOUND, .exit = w->exit[0]};

    (void)state;
    assert_int_equal(
        dark_resolve(w->cli, &(struct dark_question){1, &w->addr, 0}, w->now, &w->acts), QUDAG_OK);
    for (int i = 0; i < 2; i++) {
        none.cookie = w->act_v[0].cookie;
        acts_reset_list(w);
        dark_get_done(w->cli, &none, w->now, &w->acts);
        if (i == 0) {
            w->now = dark_deadline(w->cli);
            dark_tick(w->cli, w->now, &w->acts);
        }
    }
    assert_int_equal(w->act_v[0].kind, DARK_UP_RESOLVED);
    assert_int_equal(w->act_v[0].err, QUDAG_EUNREACHABLE);
    world_free(w);
}

static void the_cache_answers_for_an_hour_and_not_longer(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    (void)resolve(w);
    assert_int_equal(w->gets, 1);
    w->now += 3150 * NS_PER_S; /* less than 7/8 of an hour */
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->n, 1);
    assert_true(u->has_target);
    assert_int_equal(w->gets, 1);
    w->now += 451 * NS_PER_S;
    u = resolve(w);
    assert_int_equal(u->n, 0);
    assert_int_equal(w->gets, 2);
    /* the target did not answer: asked for again at once */
    dark_target_failed(w->cli, &w->addr, 0);
    u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(w->gets, 3);
    world_free(w);
}

static void the_cache_never_outlives_the_record(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    walltime expires;
    const struct dark_keys *k;
    size_t it = 0;
    bool published;
    assert_true(dark_own_next(w->svc, &it, &k, &published, &expires));
    w->now = (uint64_t)(expires - START - 600) * NS_PER_S; /* in the same period, not renewed */
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->target.expires, expires);
    w->now = (uint64_t)(expires - START) * NS_PER_S;
    u = resolve(w);
    assert_int_equal(u->n, 0);
    w->now += 10 * NS_PER_S; /* expired, and valid by the tolerance for clocks only: not cached */
    for (int i = 0; i < 2; i++) {
        u = resolve(w);
        assert_int_equal(u->err, QUDAG_OK);
        assert_int_equal(u->n, 0);
    }
    w->now += 591 * NS_PER_S;
    u = resolve(w);
    assert_int_equal(u->err, QUDAG_EEXPIRED);
    assert_false(u->has_target);
    world_free(w);
}

/* M11: what two relays say now is no reason not to ask others in a second. */
static void that_there_is_none_is_not_remembered(void **state)
{
    struct world *w = world_new();

    (void)state;
    assert_int_equal(resolve(w)->err, QUDAG_ENOTFOUND);
    assert_int_equal(w->gets, 2);
    assert_int_equal(resolve(w)->err, QUDAG_ENOTFOUND);
    assert_int_equal(last_up(w)->n, 0);
    assert_int_equal(w->gets, 4);
    publish(w);
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    world_free(w);
}

static void errors_of_the_way_are_not_remembered(void **state)
{
    static const qudag_err errs[] = {QUDAG_ETIMEOUT, QUDAG_ENORELAYS, QUDAG_ECIRCUIT};
    struct world *w = world_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(errs); i++) {
        w->get_err = errs[i];
        const struct up *u = resolve(w);
        assert_int_equal(u->err, errs[i]);
        assert_int_equal(u->n, 0);
    }
    assert_int_equal(w->gets, 2 * ARRAY_LEN(errs));
    world_free(w);
}

/* Rolls the place that is there back; with the other place empty nothing else can answer. */
static void older_records_are_refused_once_newer_were_seen(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    struct stored old = w->store[0];
    w->now = HOUR; /* the same place again */
    while (w->store[0].number == old.number) {
        w->n_stored = 1;
        publish(w);
    }
    w->n_stored = 1;
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    struct stored newer = w->store[0];
    w->store[0] = old; /* storers roll back */
    dark_target_failed(w->cli, &w->addr, 0);
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_ESTALE);
    assert_false(u->has_target);
    /* also after the cached one is long gone */
    w->now += 2 * HOUR;
    assert_int_equal(resolve(w)->err, QUDAG_ESTALE);
    w->store[0] = newer;
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    world_free(w);
}

/* Each place counts for itself: a record made earlier in the other place is no roll-back. */
static void places_have_numbers_of_their_own(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    for (int i = 0; i < 20; i++) {
        dark_target_failed(w->cli, &w->addr, 0);
        assert_int_equal(resolve(w)->err, QUDAG_OK);
    }
    assert_int_equal(w->gets, 20);
    world_free(w);
}

static void a_wrong_record_is_not_the_last_word(void **state)
{
    struct world *w = world_new();
    uint64_t p = dark_period(START);

    (void)state;
    publish_all(w);
    store_must(w, p, 0)->rec[4000] ^= 1;
    for (int i = 0; i < 8; i++) {
        dark_target_failed(w->cli, &w->addr, 0);
        assert_int_equal(resolve(w)->err, QUDAG_OK);
    }
    assert_true(w->gets > 8);
    store_must(w, p, 1)->rec[4000] ^= 1;
    dark_target_failed(w->cli, &w->addr, 0);
    assert_int_equal(resolve(w)->err, QUDAG_EAUTH);
    store_must(w, p, 0)->key[20] ^= 1; /* a wrong one and none: it is the wrong one that is told */
    assert_int_equal(resolve(w)->err, QUDAG_EAUTH);
    world_free(w);
}

/* Who holds both records cannot answer with the one for the other. */
static void the_record_of_another_place_is_refused(void **state)
{
    struct world *w = world_new();
    uint64_t p = dark_period(START);

    (void)state;
    publish_all(w);
    struct stored *a = store_must(w, p, 0), *b = store_must(w, p, 1);
    memcpy(a->rec, b->rec, sizeof a->rec);
    b->key[20] ^= 1;
    assert_int_equal(resolve(w)->err, QUDAG_EAUTH);
    world_free(w);
}

static void an_owner_that_never_answers_is_a_timeout(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->silent = true;
    assert_int_equal(
        dark_resolve(w->cli, &(struct dark_question){22, &w->addr, 0}, w->now, &w->acts), QUDAG_OK);
    settle(w, w->cli);
    run_to(w, DARK_ASK_TIMEOUT + DARK_PAUSE_MIN);
    assert_int_equal(w->n_up, 0);
    run_to(w, 2 * DARK_ASK_TIMEOUT + DARK_PAUSE_MIN + DARK_PAUSE_VAR);
    assert_int_equal(w->n_up, 1);
    assert_int_equal(w->up[0].err, QUDAG_ETIMEOUT);
    world_free(w);
}

static void requests_for_one_address_share_one_lookup(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    size_t before = w->n_up;
    for (uint64_t c = 0; c < DARK_WAITERS_MAX; c++) {
        assert_int_equal(
            dark_resolve(w->cli, &(struct dark_question){c, &w->addr, 0}, w->now, &w->acts),
            QUDAG_OK);
    }
    assert_int_equal(
        dark_resolve(w->cli, &(struct dark_question){999, &w->addr, 0}, w->now, &w->acts),
        QUDAG_ELIMIT);
    settle(w, w->cli);
    assert_int_equal(w->gets, 1);
    assert_int_equal(w->n_up, before + DARK_WAITERS_MAX);
    for (size_t i = before; i < w->n_up; i++) {
        assert_int_equal(w->up[i].err, QUDAG_OK);
    }
    world_free(w);
}

/* Whoever stored a record that was withdrawn since gives it out again: at a place of which no tombstone was seen. */
static void what_was_withdrawn_stays_so_in_every_place(void **state)
{
    struct world *w = world_new();
    static uint8_t old[DARK_REPLICAS][DARK_RECORD_LEN];
    uint64_t p = dark_period(wall(w));

    (void)state;
    publish_all(w);
    for (uint8_t r = 0; r < DARK_REPLICAS; r++) {
        memcpy(old[r], store_must(w, p, r)->rec, DARK_RECORD_LEN);
    }
    assert_int_equal(dark_forget(w->svc, 5, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
    run_to(w, w->now + HOUR);
    w->n_up = 0;
    assert_int_equal(resolve(w)->err, QUDAG_ENOTFOUND);
    w->now += 2 * HOUR; /* that it is gone is not remembered so long */
    for (uint8_t r = 0; r < DARK_REPLICAS; r++) {
        memcpy(store_must(w, p, r)->rec, old[r], DARK_RECORD_LEN);
    }
    w->n_up = 0;
    assert_int_equal(resolve(w)->err, QUDAG_ESTALE);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_published_is_resolved),
        cmocka_unit_test(what_was_resolved_stays_until_the_list_is_carried_out),
        cmocka_unit_test(one_place_is_asked_at_a_time_after_a_failure_the_other),
        cmocka_unit_test(the_other_place_is_asked_after_a_miss_and_a_pause),
        cmocka_unit_test(the_other_period_is_asked_only_around_a_change),
        cmocka_unit_test(one_relay_cannot_make_an_address_vanish),
        cmocka_unit_test(absence_needs_two_relays),
        cmocka_unit_test(witnesses_are_neighbours),
        cmocka_unit_test(another_relay_is_asked_what_one_answered_wrongly),
        cmocka_unit_test(one_relay_with_a_wrong_record_ends_nothing),
        cmocka_unit_test(the_same_relay_twice_is_one),
        cmocka_unit_test(the_cache_answers_for_an_hour_and_not_longer),
        cmocka_unit_test(the_cache_never_outlives_the_record),
        cmocka_unit_test(that_there_is_none_is_not_remembered),
        cmocka_unit_test(errors_of_the_way_are_not_remembered),
        cmocka_unit_test(older_records_are_refused_once_newer_were_seen),
        cmocka_unit_test(places_have_numbers_of_their_own),
        cmocka_unit_test(a_wrong_record_is_not_the_last_word),
        cmocka_unit_test(the_record_of_another_place_is_refused),
        cmocka_unit_test(an_owner_that_never_answers_is_a_timeout),
        cmocka_unit_test(requests_for_one_address_share_one_lookup),
        cmocka_unit_test(what_was_withdrawn_stays_so_in_every_place),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
