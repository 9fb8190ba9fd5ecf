/* publish_test.c - rounds of own addresses: saved, stored, read back, renewed, withdrawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"

static struct dark_place_state place_of(const struct world *w, uint64_t period, uint8_t replica)
{
    const struct dark_place at = {period, replica};

    return dark_own_get(w->svc, &w->addr)->place[dark_slot(&at)];
}

static void one_place_is_served_at_once_and_the_others_later(void **state)
{
    struct world *w = world_new();
    uint64_t p = dark_period(START);

    (void)state;
    publish(w);
    const struct up *u = last_up(w);
    assert_int_equal(u->kind, DARK_UP_PUBLISHED);
    assert_int_equal(u->cookie, 11);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->n, 20);
    assert_int_equal(w->n_stored, 1);
    assert_int_equal(w->saves, 1);
    assert_int_equal(w->reads, 1);
    run_to(w, 6 * HOUR);
    assert_non_null(store_at(w, p, 0));
    assert_non_null(store_at(w, p, 1));
    run_to(w, 16 * HOUR); /* midnight */
    assert_non_null(store_at(w, p + 1, 0));
    assert_non_null(store_at(w, p + 1, 1));
    world_free(w);
}

/* A number that is not on disk could be given twice: no record with it may exist. */
static void no_record_is_made_before_its_number_is_saved(void **state)
{
    struct world *w = world_new();

    (void)state;
    assert_int_equal(publish_how(w, 11, &w->addr, DARK_PUBLISH_NOW), QUDAG_OK);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].kind, DARK_UP_SAVE);
    uint64_t cookie = w->act_v[0].cookie;
    acts_reset_list(w);
    dark_saved(w->svc, cookie + 1, QUDAG_OK, w->now, &w->acts); /* not the answer to that */
    dark_saved(w->svc, 0, QUDAG_OK, w->now, &w->acts);
    assert_int_equal(w->acts.n, 0);
    dark_saved(w->svc, cookie, QUDAG_OK, w->now, &w->acts);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].kind, DARK_UP_PUT);
    acts_reset_list(w);
    dark_saved(w->svc, cookie, QUDAG_OK, w->now, &w->acts); /* answered twice */
    assert_int_equal(w->acts.n, 0);
    world_free(w);
}

static void a_save_that_failed_ends_the_round_and_is_tried_again(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->save_err = QUDAG_ESYSTEM;
    publish(w);
    assert_int_equal(last_up(w)->kind, DARK_UP_PUBLISHED);
    assert_int_equal(last_up(w)->err, QUDAG_ESYSTEM);
    assert_int_equal(w->puts, 0);
    assert_true(dark_deadline(w->svc) < 60 * NS_PER_S);
    w->save_err = QUDAG_OK;
    run_to(w, 60 * NS_PER_S);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(w->puts, 1);
    assert_int_equal(w->saves, 2);
    world_free(w);
}

static void an_owner_that_never_answers_is_a_timeout(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->silent = true;
    publish(w);
    run_to(w, DARK_ASK_TIMEOUT - 1);
    assert_int_equal(w->n_up, 0);
    run_to(w, DARK_ASK_TIMEOUT + 1);
    assert_int_equal(w->n_up, 1);
    assert_int_equal(last_up(w)->err, QUDAG_ETIMEOUT);
    world_free(w);
}

/* M11: a relay that says "stored by 20" and stores nothing. */
static void stored_is_believed_when_another_relay_finds_it(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->liar = 0;
    publish(w);
    assert_int_equal(w->n_stored, 0);
    assert_int_equal(last_up(w)->err, QUDAG_EUNREACHABLE);
    assert_int_equal(last_up(w)->n, 0);
    assert_true(dark_deadline(w->svc) < 60 * NS_PER_S);
    run_to(w, 60 * NS_PER_S); /* the next try keeps away from it, and is read back through it */
    assert_int_equal(w->n_stored, 1);
    assert_int_equal(last_up(w)->err, QUDAG_EUNREACHABLE);
    w->liar = -1;
    run_to(w, 300 * NS_PER_S);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(last_up(w)->n, 20);
    world_free(w);
}

/* The read back asks for the very key, kept away from the relay that took the record. */
static void the_read_back_goes_through_another_relay(void **state)
{
    struct world *w = world_new();
    struct dark_answer ans = {.stored = 7, .exit = w->exit[2]};
    uint8_t key[DARK_KEY_LEN];

    (void)state;
    assert_int_equal(publish_how(w, 11, &w->addr, DARK_PUBLISH_NOW), QUDAG_OK);
    uint64_t cookie = w->act_v[0].cookie;
    acts_reset_list(w);
    dark_saved(w->svc, cookie, QUDAG_OK, w->now, &w->acts);
    const struct dark_wanted *put = w->act_v[0].ptr;
    assert_int_equal(put->apart.len, 0);
    memcpy(key, put->key.base, sizeof key);
    ans.cookie = w->act_v[0].cookie;
    acts_reset_list(w);
    dark_put_done(w->svc, &ans, w->now, &w->acts);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].kind, DARK_UP_GET);
    const struct dark_wanted *get = w->act_v[0].ptr;
    assert_memory_equal(get->key.base, key, sizeof key);
    assert_true(peer_id_eq(&get->apart, &w->exit[2]));
    /* another record than ours is not ours */
    uint8_t other[DARK_RECORD_LEN] = {1};
    ans = (struct dark_answer){
        .cookie = w->act_v[0].cookie, .record = {other, sizeof other}, .exit = w->exit[1]};
    acts_reset_list(w);
    dark_get_done(w->svc, &ans, w->now, &w->acts);
    assert_int_equal(w->act_v[0].kind, DARK_UP_PUBLISHED);
    assert_int_equal(w->act_v[0].err, QUDAG_EUNREACHABLE);
    world_free(w);
}

static void a_service_can_be_found_at_every_moment_of_five_days(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    unsigned rounds = w->saves;
    for (int i = 0; i < 5 * 24 * 2; i++) {
        run_to(w, w->now + 1800 * NS_PER_S);
        const struct up *u = resolve(w);
        assert_int_equal(u->err, QUDAG_OK);
        assert_true(u->target.expires > wall(w));
        const struct dark_keys *k;
        size_t it = 0;
        bool published;
        walltime until;
        assert_true(dark_own_next(w->svc, &it, &k, &published, &until));
        assert_true(published);
        assert_true(until - wall(w) >= DARK_LIFE / 4 - 1800);
        dark_target_failed(w->cli, &w->addr, 0);
    }
    rounds = w->saves - rounds;
    /* two places, each renewed every 6 to 8 h and made once or twice before its period begins */
    assert_in_range(rounds, 5 * 2 * 4 - 4, 5 * 2 * 6 + 4);
    world_free(w);
}

static void failed_rounds_come_again_with_growing_pauses(void **state)
{
    struct world *w = world_new();
    tstamp last = 0;

    (void)state;
    w->put_err = QUDAG_ETIMEOUT;
    publish(w);
    assert_int_equal(last_up(w)->err, QUDAG_ETIMEOUT);
    for (int i = 0; i < 6; i++) {
        uint64_t base = 30u << i;
        unsigned puts = w->puts;
        while (w->puts == puts || last_up(w)->cookie != 11) {
            run_to(w, dark_deadline(w->svc));
        }
        if (w->puts == puts + 1) { /* the other place may have come in between */
            assert_true(w->now - last >= base * NS_PER_S * 4 / 5 || i > 3);
            assert_true(w->now - last <= base * NS_PER_S * 6 / 5);
        }
        last = w->now;
    }
    w->put_err = QUDAG_OK;
    run_to(w, w->now + 4400 * NS_PER_S);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    world_free(w);
}

static void waits_after_failures_are_bounded(void **state)
{
    struct world *w = world_new();

    (void)state;
    for (uint32_t i = 1; i < 100; i++) {
        uint64_t base = 30u << (i > 8 ? 7 : i - 1);
        base = base > 3600 ? 3600 : base;
        assert_in_range(dark_retry_wait(i, true, &w->rng), base * NS_PER_S * 4 / 5,
                        base * NS_PER_S * 6 / 5);
        assert_in_range(dark_retry_wait(i, false, &w->rng), HOUR / 2, HOUR * 3 / 2);
    }
    world_free(w);
}

/* The next start finds everything as it was: storers see nothing of it. */
static void a_restart_changes_no_schedule(void **state)
{
    struct world *w = world_new();
    struct dark_keys k;
    uint64_t p = dark_period(START);

    (void)state;
    publish_all(w);
    struct dark_place_state before[2] = {place_of(w, p, 0), place_of(w, p, 1)};
    assert_true(before[0].due > wall(w) && before[1].due > wall(w));
    dark_free(w->svc);
    w->svc = core_new(w);
    assert_int_equal(dark_keys_load(&k, (struct slice){w->saved, sizeof w->saved}), QUDAG_OK);
    assert_int_equal(dark_own(w->svc, &k), QUDAG_OK);
    unsigned puts = w->puts;
    size_t ups = w->n_up;
    w->now += 60 * NS_PER_S;
    assert_int_equal(publish_how(w, 12, &w->addr, DARK_PUBLISH_RESUME), QUDAG_OK);
    settle(w, w->svc);
    assert_int_equal(w->puts, puts);
    assert_int_equal(w->n_up, ups + 1); /* the caller need not wait */
    assert_int_equal(last_up(w)->cookie, 12);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    walltime first = before[0].due < before[1].due ? before[0].due : before[1].due;
    run_to(w, (uint64_t)(first - START - 1) * NS_PER_S);
    assert_int_equal(place_of(w, p, 0).number, before[0].number);
    assert_int_equal(place_of(w, p, 1).number, before[1].number);
    run_to(w, (uint64_t)(first - START + 1) * NS_PER_S);
    assert_true((place_of(w, p, 0).number > before[0].number) !=
                (place_of(w, p, 1).number > before[1].number));
    world_free(w);
}

/* The others tell it with their next renewal, so that who stores both sees no two jumps. */
static void another_target_is_told_at_once_in_one_place_of_each_period(void **state)
{
    struct world *w = world_new();
    uint64_t p = dark_period(START);

    (void)state;
    publish(w);
    run_to(w, 15 * HOUR + HOUR / 2); /* half past eleven in the evening */
    struct dark_place_state old[] = {place_of(w, p, 0), place_of(w, p + 1, 0), place_of(w, p, 1),
                                     place_of(w, p + 1, 1)};
    unsigned puts = w->puts;
    w->self.addr[0].b[w->self.addr[0].len - 3] ^= 1; /* another port */
    assert_int_equal(publish_how(w, 12, &w->addr, DARK_PUBLISH_RESUME), QUDAG_OK);
    settle(w, w->svc);
    assert_int_equal(w->puts, puts + 1); /* one at once */
    const uint8_t *hurried = w->svc->own[0]->hurried;
    uint8_t now = hurried[p % 3], next = hurried[(p + 1) % 3];
    uint8_t other = now == 0 ? 1 : 0, last = next == 0 ? 1 : 0;
    struct dark_place_state calm = old[2 * other], soon = old[2 * next + 1],
                            later = old[2 * last + 1];
    assert_true(place_of(w, p, now).number > old[2 * now].number);
    assert_int_equal(place_of(w, p, other).due, calm.due);
    assert_int_equal(place_of(w, p + 1, last).due, later.due);
    run_to(w, 16 * HOUR); /* one of the next day before midnight, the other when it is due */
    assert_true(place_of(w, p + 1, next).number > soon.number);
    if (later.due > wall(w)) {
        assert_int_equal(place_of(w, p + 1, last).number, later.number);
    }
    run_to(w, 24 * HOUR);
    assert_true(place_of(w, p + 1, last).number > later.number);
    world_free(w);
}

/* Who changes its address twice in an hour shows both in one place; later ones are drawn anew. */
static void changes_close_together_are_told_in_one_place(void **state)
{
    struct world *w = world_new();
    unsigned other_place = 0;

    (void)state;
    publish(w);
    for (int i = 0; i < 60; i++) {
        w->now += i % 2 == 0 ? DARK_HURRY_HOLD : HOUR;
        uint64_t p = dark_period(wall(w));
        uint8_t before = w->svc->own[0]->hurried[p % 3];
        w->self.addr[0].b[w->self.addr[0].len - 3] ^= 1; /* another port */
        assert_int_equal(publish_how(w, 12, &w->addr, DARK_PUBLISH_RESUME), QUDAG_OK);
        settle(w, w->svc);
        uint8_t after = w->svc->own[0]->hurried[p % 3];
        assert_true(i % 2 == 0 || after == before);
        other_place += after != before ? 1 : 0;
    }
    assert_in_range(other_place, 6, 24); /* 15 expected */
    world_free(w);
}

/* Asleep for ten hours: what was missed is not made up for in one moment. */
static void rounds_slept_over_come_one_by_one(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    unsigned puts = w->puts;
    w->now = 15 * HOUR;
    dark_tick(w->svc, w->now, &w->acts);
    settle(w, w->svc);
    assert_int_equal(w->puts, puts + 1);
    run_to(w, w->now + 59 * NS_PER_S);
    assert_int_equal(w->puts, puts + 1);
    run_to(w, w->now + 6 * HOUR);
    assert_true(w->puts >= puts + 2);
    world_free(w);
}

static bool is_published(const struct world *w)
{
    const struct dark_keys *k;
    bool published = false;
    walltime until;
    size_t it = 0;

    assert_true(dark_own_next(w->svc, &it, &k, &published, &until));
    return published;
}

/* It is not withdrawn, and no more records are made of it until somebody publishes it again. */
static void what_is_unpublished_rests_until_it_is_published_again(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    w->now += 2 * HOUR;
    assert_true(is_published(w));
    dark_unpublish(w->svc, &w->addr);
    assert_false(is_published(w));
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    unsigned puts = w->puts;
    size_t ups = w->n_up;
    const struct wallclock clock = w->svc->cfg.clock;
    dark_set_clock(w->svc, clock); /* all schedules are looked at again */
    run_to(w, w->now + 30 * HOUR);
    assert_int_equal(w->puts, puts);
    assert_int_equal(w->n_up, ups);
    publish(w);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_true(w->puts > puts);
    world_free(w);
}

/* A round under way ends without a report, and what is said of it later changes nothing. */
static void a_round_of_what_is_unpublished_is_over(void **state)
{
    struct world *w = world_new();

    (void)state;
    assert_int_equal(publish_how(w, 11, &w->addr, DARK_PUBLISH_NOW), QUDAG_OK);
    assert_int_equal(w->act_v[0].kind, DARK_UP_SAVE);
    dark_unpublish(w->svc, &w->addr);
    settle(w, w->svc);
    assert_int_equal(w->n_up, 0);
    assert_int_equal(w->puts, 0);
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    world_free(w);
}

/* A withdrawal goes on. */
static void what_is_being_forgotten_is_not_unpublished(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    w->now += 2 * HOUR;
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    dark_unpublish(w->svc, &w->addr);
    settle(w, w->svc);
    run_to(w, w->now + 2 * HOUR);
    assert_int_equal(last_up(w)->cookie, 33);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_null(dark_own_get(w->svc, &w->addr));
    world_free(w);
}

static void a_forgotten_address_is_withdrawn(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish_all(w);
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    w->now += 2 * HOUR;
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
    const struct up *u = last_up(w);
    unsigned saves = w->saves;
    assert_int_equal(u->kind, DARK_UP_PUBLISHED);
    assert_int_equal(u->cookie, 33);
    assert_int_equal(u->err, QUDAG_OK);
    assert_null(dark_own_get(w->svc, &w->addr));
    size_t ups = w->n_up;
    run_to(w,
           w->now +
               2 * HOUR); /* the other place follows; the file, gone by now, does not come back */
    assert_int_equal(w->saves, saves);
    assert_int_equal(w->n_up, ups);
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    u = resolve(w);
    assert_int_equal(u->err, QUDAG_ENOTFOUND);
    assert_int_equal(u->n, 0);
    assert_int_equal(resolve(w)->n, 1); /* remembered: it is signed */
    world_free(w);
}

/* One place says withdrawn, the other still has the record from before. */
static void a_withdrawal_outdoes_older_records_of_the_other_place(void **state)
{
    struct world *w = world_new();
    uint64_t p = dark_period(START);

    (void)state;
    publish_all(w);
    struct stored old[2] = {*store_must(w, p, 0), *store_must(w, p, 1)};
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
    assert_true((store_must(w, p, 0)->number > old[0].number) !=
                (store_must(w, p, 1)->number > old[1].number));
    while (resolve(w)->err != QUDAG_ENOTFOUND) { /* until that one is asked */
        dark_target_failed(w->cli, &w->addr, 0);
    }
    for (int i = 0; i < 20; i++) {
        w->now += 61 * NS_PER_S;
        const struct up *u = resolve(w);
        assert_false(u->has_target);
        assert_true(u->err == QUDAG_ENOTFOUND || u->err == QUDAG_ESTALE);
    }
    world_free(w);
}

static void forgetting_gives_up_after_three_failures(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    unsigned puts = w->puts;
    w->put_err = QUDAG_EUNREACHABLE;
    size_t before = w->n_up;
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
    assert_int_equal(w->n_up, before); /* no word yet */
    assert_null(dark_own_get(w->svc, &w->addr));
    assert_int_equal(dark_forget(w->svc, 34, &w->addr, w->now, &w->acts), QUDAG_ENOTFOUND);
    run_to(w, w->now + 600 * NS_PER_S);
    assert_int_equal(w->n_up, before + 1);
    assert_int_equal(last_up(w)->cookie, 33);
    assert_int_equal(last_up(w)->err, QUDAG_EUNREACHABLE);
    assert_int_equal(w->puts, puts + 3);
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    world_free(w);
}

/* With a clock before the first period no record can be made; what is reported stays readable. */
static void forgetting_ends_when_no_tombstone_can_be_made(void **state)
{
    struct world *w = world_new();
    struct dark_config cfg = {
        .mem = &w->mem, .rng = w->rng, .clock = {.base = 1000}, .network = DARK_NET_LAB};
    struct dark_keys k;

    (void)state;
    assert_int_equal(dark_keys_create(&k, DARK_NET_LAB, "", START, &w->rng), QUDAG_OK);
    k.place[0].number = 5;
    struct dark_addr a = k.addr;
    dark_free(w->svc);
    assert_int_equal(dark_new(&w->svc, &cfg), QUDAG_OK);
    assert_int_equal(dark_own(w->svc, &k), QUDAG_OK);
    assert_int_equal(dark_forget(w->svc, 33, &a, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
    run_to(w, w->now + 600 * NS_PER_S);
    assert_int_equal(w->n_up, 1);
    assert_int_equal(last_up(w)->cookie, 33);
    assert_int_equal(last_up(w)->err, QUDAG_EINVAL);
    assert_int_equal(w->saves, 3);
    world_free(w);
}

static void an_address_never_published_is_forgotten_in_silence(void **state)
{
    struct world *w = world_new();

    (void)state;
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(w->puts, 0);
    world_free(w);
}

static void callers_and_lookups_are_counted_for_the_owner(void **state)
{
    struct world *w = world_new();

    (void)state;
    assert_int_equal(dark_own_get(w->svc, &w->addr)->use.last, 0);
    w->now = 100 * NS_PER_S;
    dark_called(w->svc, &w->addr, w->now);
    dark_called(w->svc, &w->addr, w->now);
    publish(w); /* and saved with the next record */
    const struct dark_use *u = &dark_own_get(w->svc, &w->addr)->use;
    assert_int_equal(u->callers, 2);
    assert_int_equal(u->last, START - START % 3600);
    struct dark_keys k;
    assert_int_equal(dark_keys_load(&k, (struct slice){w->saved, sizeof w->saved}), QUDAG_OK);
    assert_int_equal(k.use.callers, 2);
    dark_keys_fini(&k);
    struct dark_addr other = w->addr;
    other.commit[0] ^= 1;
    dark_called(w->svc, &other, w->now); /* nobody's */
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_place_is_served_at_once_and_the_others_later),
        cmocka_unit_test(no_record_is_made_before_its_number_is_saved),
        cmocka_unit_test(a_save_that_failed_ends_the_round_and_is_tried_again),
        cmocka_unit_test(an_owner_that_never_answers_is_a_timeout),
        cmocka_unit_test(stored_is_believed_when_another_relay_finds_it),
        cmocka_unit_test(the_read_back_goes_through_another_relay),
        cmocka_unit_test(a_service_can_be_found_at_every_moment_of_five_days),
        cmocka_unit_test(failed_rounds_come_again_with_growing_pauses),
        cmocka_unit_test(waits_after_failures_are_bounded),
        cmocka_unit_test(a_restart_changes_no_schedule),
        cmocka_unit_test(another_target_is_told_at_once_in_one_place_of_each_period),
        cmocka_unit_test(changes_close_together_are_told_in_one_place),
        cmocka_unit_test(rounds_slept_over_come_one_by_one),
        cmocka_unit_test(what_is_unpublished_rests_until_it_is_published_again),
        cmocka_unit_test(a_round_of_what_is_unpublished_is_over),
        cmocka_unit_test(what_is_being_forgotten_is_not_unpublished),
        cmocka_unit_test(a_forgotten_address_is_withdrawn),
        cmocka_unit_test(a_withdrawal_outdoes_older_records_of_the_other_place),
        cmocka_unit_test(forgetting_gives_up_after_three_failures),
        cmocka_unit_test(forgetting_ends_when_no_tombstone_can_be_made),
        cmocka_unit_test(an_address_never_published_is_forgotten_in_silence),
        cmocka_unit_test(callers_and_lookups_are_counted_for_the_owner),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
