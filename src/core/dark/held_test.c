/* held_test.c - a hidden address whose record is remembered, and many users who wait to be told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"

/* A record of kind hidden, as large as there are, in both places of the current period. */
static void store_hidden(struct world *w)
{
    const struct dark_keys *k = dark_own_get(w->svc, &w->addr);
    struct dark_target t = {.kind = DARK_HIDDEN, .seq = 9, .number = 1};
    uint8_t key[DARK_KEY_LEN], rec[DARK_RECORD_LEN];

    t.hidden.pow.effort = 3;
    t.hidden.n_intros = DARK_INTROS_MAX;
    for (uint8_t i = 0; i < DARK_INTROS_MAX; i++) {
        t.hidden.intro[i].relay = w->exit[i];
        t.hidden.intro[i].key[0] = i;
    }
    t.at.period = dark_period(wall(w));
    t.not_before = wall(w) - wall(w) % DARK_STEP;
    t.expires = t.not_before + DARK_LIFE;
    for (t.at.replica = 0; t.at.replica < DARK_REPLICAS; t.at.replica++) {
        assert_int_equal(dark_record_make(rec, k, &t, &w->rng), QUDAG_OK);
        assert_int_equal(dark_dht_key(key, &w->addr, &t.at), QUDAG_OK);
        store_put(w, (struct slice){key, sizeof key}, (struct slice){rec, sizeof rec});
    }
}

static void a_hidden_address_is_resolved_and_remembered(void **state)
{
    struct world *w = world_new();

    (void)state;
    store_hidden(w);
    for (uint64_t cached = 0; cached < 2; cached++) {
        const struct up *up = resolve(w);
        assert_int_equal(up->err, QUDAG_OK);
        assert_int_equal(up->n, cached);
        assert_int_equal(up->target.kind, DARK_HIDDEN);
        assert_int_equal(up->target.hidden.n_intros, DARK_INTROS_MAX);
        assert_true(peer_id_eq(&up->target.hidden.intro[2].relay, &w->exit[2]));
    }
    world_free(w);
}

/* What they are told is copied for each: more than one call of the core has room for. */
static void all_who_wait_for_one_address_are_told(void **state)
{
    struct world *w = world_new();
    uint8_t told[DARK_WAITERS_MAX] = {0};

    (void)state;
    store_hidden(w);
    (void)resolve(w);
    size_t before = w->n_up;
    for (uint64_t user = 0; user < DARK_WAITERS_MAX; user++) {
        const struct dark_question q = {1000 + user, &w->addr, 1 + user};
        assert_int_equal(dark_resolve(w->cli, &q, w->now, &w->acts), QUDAG_OK);
    }
    settle(w, w->cli);
    assert_int_equal(w->n_up, before); /* none at once */
    w->now += 10 * NS_PER_S;           /* the machine slept: all of them are due */
    while (dark_deadline(w->cli) <= w->now) {
        dark_tick(w->cli, w->now, &w->acts);
        settle(w, w->cli);
    }
    assert_int_equal(w->n_up, before + DARK_WAITERS_MAX);
    for (size_t i = before; i < w->n_up; i++) {
        assert_int_equal(w->up[i].err, QUDAG_OK);
        assert_int_equal(w->up[i].target.kind, DARK_HIDDEN);
        assert_int_equal(told[w->up[i].cookie - 1000]++, 0);
    }
    world_free(w);
}

/* Who joins a lookup of somebody else hears of it later, and the core says when. */
static void whoever_joins_a_lookup_is_told_when_it_is_time(void **state)
{
    struct world *w = world_new();

    (void)state;
    store_hidden(w);
    size_t before = w->n_up;
    for (uint64_t user = 1; user <= 2; user++) {
        const struct dark_question q = {1000 + user, &w->addr, user};
        assert_int_equal(dark_resolve(w->cli, &q, w->now, &w->acts), QUDAG_OK);
        w->now += NS_PER_S;
    }
    settle(w, w->cli);
    assert_int_equal(w->n_up, before + 1); /* who began it */
    tstamp due = dark_deadline(w->cli);
    assert_true(due > w->now && due <= w->now + 10 * NS_PER_S);
    w->now = due;
    dark_tick(w->cli, w->now, &w->acts);
    settle(w, w->cli);
    assert_int_equal(w->n_up, before + 2);
    assert_int_equal(last_up(w)->cookie, 1002);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hidden_address_is_resolved_and_remembered),
        cmocka_unit_test(all_who_wait_for_one_address_are_told),
        cmocka_unit_test(whoever_joins_a_lookup_is_told_when_it_is_time),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
