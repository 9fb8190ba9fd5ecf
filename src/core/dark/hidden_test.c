/* hidden_test.c - what a lookup shows by its time, and what users of one cache see of each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"

#define ALICE 1
#define BOB 2
#define LOOKUP (700 * NS_PER_MS) /* what the network needs here */

/* A client whose lookups take LOOKUP. */
static struct world *world_slow(uint64_t delay, bool show_cache)
{
    struct world *w = world_new();

    publish_all(w);
    dark_free(w->cli);
    struct dark_config cfg = {.mem = &w->mem,
                              .rng = w->rng,
                              .clock = {.base = START},
                              .network = DARK_NET_LAB,
                              .delay_max_ns = delay,
                              .show_cache = show_cache};
    assert_int_equal(dark_new(&w->cli, &cfg), QUDAG_OK);
    return w;
}

/* Asks for |user|; whether a question left at once. */
static bool begin(struct world *w, uint64_t user)
{
    const struct dark_question q = {user, &w->addr, user};

    assert_int_equal(dark_resolve(w->cli, &q, w->now, &w->acts), QUDAG_OK);
    return w->acts.n > 0 && w->act_v[0].kind == DARK_UP_GET;
}

/* Lets |user| have the answer; how long that took, and whether it was called cached.  The network is slow. */
static uint64_t ask_slowly(struct world *w, uint64_t user, bool *cached)
{
    tstamp since = w->now;
    size_t before = w->n_up;

    if (begin(w, user)) {
        w->now += LOOKUP;
    }
    settle(w, w->cli);
    while (w->n_up == before) {
        w->now = dark_deadline(w->cli);
        dark_tick(w->cli, w->now, &w->acts);
        if (w->acts.n > 0 && w->act_v[0].kind == DARK_UP_GET) {
            w->now += LOOKUP;
        }
        settle(w, w->cli);
    }
    assert_int_equal(last_up(w)->cookie, user);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_true(last_up(w)->has_target);
    *cached = last_up(w)->n == 1;
    return w->now - since;
}

/* The attack: Bob asks for an address and takes the time, to find out whether Alice did. */
static void another_user_cannot_tell_the_cache_from_a_lookup(void **state)
{
    struct world *w = world_slow(0, false);
    bool cached;

    (void)state;
    uint64_t fresh = ask_slowly(w, ALICE, &cached);
    assert_false(cached);
    assert_int_equal(w->gets, 1);
    uint64_t took = ask_slowly(w, BOB, &cached);
    assert_int_equal(w->gets, 1); /* from the cache ... */
    assert_false(cached);         /* ... and he sees nothing of it */
    assert_int_equal(took, fresh);
    /* what he was told before he may have at once */
    assert_int_equal(ask_slowly(w, BOB, &cached), 0);
    assert_true(cached);
    assert_int_equal(ask_slowly(w, ALICE, &cached), 0);
    world_free(w);
}

/* She had bad luck with relays: he is better off with a lookup of his own, and it looks like one, as it is. */
static void what_took_long_is_looked_up_anew(void **state)
{
    struct world *w = world_slow(0, false);
    bool cached;

    (void)state;
    assert_true(begin(w, ALICE));
    w->now += DARK_MEMO_TOOK_MAX + NS_PER_MS;
    settle(w, w->cli);
    assert_int_equal(last_up(w)->cookie, ALICE);
    assert_int_equal(w->gets, 1);
    assert_int_equal(ask_slowly(w, BOB, &cached), LOOKUP);
    assert_false(cached);
    assert_int_equal(w->gets, 2);
    assert_int_equal(ask_slowly(w, ALICE, &cached), 0);   /* she was told before */
    assert_int_equal(ask_slowly(w, 77, &cached), LOOKUP); /* of what his lookup brought */
    assert_int_equal(w->gets, 2);
    assert_true(dark_memo_serves(DARK_MEMO_TOOK_MAX));
    assert_false(dark_memo_serves(DARK_MEMO_TOOK_MAX + 1));
    world_free(w);
}

/* The same while Alice's lookup is under way: his answer does not come early. */
static void who_joins_a_lookup_waits_as_for_his_own(void **state)
{
    struct world *w = world_slow(0, false);
    bool cached;

    (void)state;
    (void)ask_slowly(w, ALICE, &cached);
    dark_target_failed(w->cli, &w->addr, ALICE);
    assert_true(begin(w, ALICE));
    w->now += LOOKUP - NS_PER_MS;
    tstamp since = w->now;
    (void)begin(w, BOB);
    w->now += NS_PER_MS;
    size_t before = w->n_up;
    settle(w, w->cli);
    assert_int_equal(w->n_up, before + 1); /* Alice */
    assert_int_equal(last_up(w)->cookie, ALICE);
    run_to(w, since + LOOKUP - 1);
    assert_int_equal(w->n_up, before + 1);
    run_to(w, since + LOOKUP);
    assert_int_equal(w->n_up, before + 2);
    assert_int_equal(last_up(w)->cookie, BOB);
    assert_true(last_up(w)->has_target);
    assert_int_equal(w->gets, 2);
    world_free(w);
}

/* What is held for him is gone meanwhile: he gets a lookup of his own, and one answer. */
static void what_is_forgotten_while_it_is_held_is_looked_up(void **state)
{
    struct world *w = world_slow(0, false);
    bool cached;

    (void)state;
    (void)ask_slowly(w, ALICE, &cached);
    size_t before = w->n_up;
    uint8_t secret[DARK_CLIENT_SECRET_LEN] = {1};
    assert_false(begin(w, BOB));
    assert_int_equal(dark_authorize(w->cli, &w->addr, secret), QUDAG_OK);
    run_to(w, w->now + 2 * LOOKUP);
    assert_int_equal(w->n_up, before + 1);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(w->gets, 2);
    world_free(w);
}

/* The attack: Bob watches when he is no longer answered at once, which Alice's older lookup would make earlier. */
static void what_he_is_told_lasts_as_if_he_had_looked_it_up(void **state)
{
    struct world *w = world_slow(0, false);
    bool cached;

    (void)state;
    (void)ask_slowly(w, ALICE, &cached);
    tstamp hers = w->now;
    run_to(w, w->now + HOUR / 2);
    assert_int_equal(ask_slowly(w, BOB, &cached), LOOKUP);
    tstamp his = w->now;
    assert_int_equal(w->gets, 1);
    run_to(w, hers + HOUR + NS_PER_S); /* hers has ended, and nobody else is told what she found */
    assert_int_equal(ask_slowly(w, BOB, &cached), 0);
    assert_int_equal(w->gets, 1);
    run_to(w, his + HOUR / 8 * 7 - NS_PER_S);
    assert_int_equal(ask_slowly(w, BOB, &cached), 0);
    assert_int_equal(ask_slowly(w, ALICE, &cached), LOOKUP);
    assert_int_equal(w->gets, 2);
    w->now = his + HOUR + NS_PER_S; /* his, too, though what she found now has not */
    assert_int_equal(ask_slowly(w, BOB, &cached), LOOKUP);
    assert_int_equal(w->gets, 2);
    world_free(w);
}

/* A record is remembered until shortly before its end, when readers would all ask again; not beyond, for nobody. */
static void near_its_end_a_record_is_remembered_for_less(void **state)
{
    struct world *w = world_slow(0, false);
    uint64_t left = UINT64_MAX;
    bool cached;

    (void)state;
    (void)ask_slowly(w, ALICE, &cached);
    w->now = (tstamp)(last_up(w)->target.expires - START - 600) * NS_PER_S;
    for (int i = 0; i < 8 && left > 600; i++) { /* the other place's record lasts longer */
        dark_target_failed(w->cli, &w->addr, ALICE);
        (void)ask_slowly(w, ALICE, &cached);
        left = (uint64_t)(last_up(w)->target.expires - wall(w));
    }
    assert_in_range(left, 500, 600);
    unsigned gets = w->gets;
    tstamp end = w->now + left * NS_PER_S, early = w->now + left * NS_PER_S / 8 * 7;
    assert_in_range(dark_memo_want(w->cli, &w->addr)->until, early, end);
    w->now = early - NS_PER_S;
    assert_int_equal(ask_slowly(w, ALICE, &cached), 0);
    (void)ask_slowly(w, BOB, &cached);
    w->now = end + NS_PER_S;
    assert_int_equal(w->gets, gets);
    (void)ask_slowly(w, BOB, &cached);
    assert_true(w->gets > gets);
    world_free(w);
}

/* Bob may be answered at once, but the record of the other place, found since, has ended; or it was withdrawn. */
static void what_has_ended_is_given_to_nobody(void **state)
{
    struct world *w = world_slow(0, false);
    bool cached;

    (void)state;
    (void)ask_slowly(w, ALICE, &cached);
    (void)ask_slowly(w, BOB, &cached);
    struct dark_memo *m = dark_memo_want(w->cli, &w->addr);
    m->target->expires = wall(w);
    assert_int_equal(w->gets, 1);
    (void)ask_slowly(w, BOB, &cached);
    assert_int_equal(w->gets, 2);
    mem_free_wiped(&w->mem, m->target);
    m->target = NULL;
    m->until = w->now;
    w->now += 61 * NS_PER_S;
    (void)ask_slowly(w, BOB, &cached);
    assert_int_equal(w->gets, 3);
    world_free(w);
}

/* The attack: as many of Bob's users ask as are remembered, so that the next one, Alice's, makes one forgotten. */
static void who_was_told_is_remembered_among_all_addresses(void **state)
{
    struct world *w = world_slow(0, false);
    bool cached;

    (void)state;
    for (uint64_t user = BOB; user < BOB + DARK_TOLD_MAX; user++) {
        w->n_up = 0;
        (void)ask_slowly(w, user, &cached);
        (void)ask_slowly(w, BOB, &cached); /* that he asks again does not keep him */
        assert_true(cached);
    }
    assert_int_equal(w->cli->n_told, DARK_TOLD_MAX);
    (void)ask_slowly(w, 10000, &cached);
    (void)ask_slowly(w, BOB, &cached);
    assert_false(cached);
    world_free(w);
}

static void with_show_cache_all_are_one_user(void **state)
{
    struct world *w = world_slow(0, true);
    bool cached;

    (void)state;
    (void)ask_slowly(w, ALICE, &cached);
    assert_int_equal(ask_slowly(w, BOB, &cached), 0);
    assert_true(cached);
    world_free(w);
}

/* The attack: a page makes the user look something up, and a storer waits for the moment. */
static void lookups_begin_after_a_random_time(void **state)
{
    struct world *w = world_slow(100 * NS_PER_MS, false);
    uint64_t sum = 0, least = UINT64_MAX, most = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        tstamp since = w->now;
        assert_false(begin(w, ALICE));
        w->now = dark_deadline(w->cli);
        uint64_t wait = w->now - since;
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
        sum += wait;
        dark_tick(w->cli, w->now, &w->acts);
        settle(w, w->cli);
        assert_int_equal(last_up(w)->err, QUDAG_OK);
        dark_target_failed(w->cli, &w->addr, ALICE);
        w->n_up = 0;
    }
    assert_true(least < 10 * NS_PER_MS && most > 90 * NS_PER_MS && most <= 100 * NS_PER_MS);
    assert_in_range(sum / 200, 40 * NS_PER_MS, 60 * NS_PER_MS);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_user_cannot_tell_the_cache_from_a_lookup),
        cmocka_unit_test(what_took_long_is_looked_up_anew),
        cmocka_unit_test(who_joins_a_lookup_waits_as_for_his_own),
        cmocka_unit_test(what_is_forgotten_while_it_is_held_is_looked_up),
        cmocka_unit_test(what_he_is_told_lasts_as_if_he_had_looked_it_up),
        cmocka_unit_test(near_its_end_a_record_is_remembered_for_less),
        cmocka_unit_test(what_has_ended_is_given_to_nobody),
        cmocka_unit_test(who_was_told_is_remembered_among_all_addresses),
        cmocka_unit_test(with_show_cache_all_are_one_user),
        cmocka_unit_test(lookups_begin_after_a_random_time),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
