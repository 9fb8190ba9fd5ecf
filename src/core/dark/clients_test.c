/* clients_test.c - clients of an own address come and go, and secrets for those of others are used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"
#include "wire/relay_desc.h"

#define MINUTE (60 * NS_PER_S)
#define CLIENT DARK_CLIENT_SECRET_LEN

static void say(struct world *w)
{
    struct dark_service s;
    const struct dark_publish_want want = {11, &w->addr, NULL, &s, DARK_PUBLISH_NOW};

    memset(&s, 0, sizeof s);
    s.n_intros = 1;
    s.intro[0].relay = w->exit[2];
    s.intro[0].key[0] = 9;
    for (uint64_t i = 0; i < 3; i++) {
        s.keys[s.n_keys++].period = dark_period(START) + 1 - i;
    }
    assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
}

/* A hidden service that both places of the day know. */
static struct world *world_hidden(void)
{
    struct world *w = world_empty(8);

    assert_int_equal(dark_keys_create(&w->keys, DARK_NET_LAB, "s", START, &w->rng), QUDAG_OK);
    w->keys.kind = DARK_HIDDEN;
    w->addr = w->keys.addr;
    assert_int_equal(dark_own(w->svc, &w->keys), QUDAG_OK);
    say(w);
    run_to(w, 6 * HOUR);
    return w;
}

static qudag_err ask(struct world *w)
{
    return resolve(w)->err;
}

static void only_clients_find_it_from_now_on(void **state)
{
    struct world *w = world_hidden();
    uint8_t anne[CLIENT], ben[CLIENT], wrong[CLIENT] = {1};

    (void)state;
    assert_int_equal(ask(w), QUDAG_OK);
    assert_int_equal(dark_client_add(w->svc, &w->addr, "anne", anne, w->now), QUDAG_OK);
    assert_int_equal(dark_client_add(w->svc, &w->addr, "ben", ben, w->now), QUDAG_OK);
    assert_memory_not_equal(anne, ben, CLIENT);
    run_to(w, w->now + 95 * MINUTE); /* both places say so */
    assert_int_equal(ask(w), QUDAG_ENEEDAUTH);
    assert_int_equal(ask(w), QUDAG_ENEEDAUTH); /* it is not remembered */
    assert_int_equal(last_up(w)->n, 0);
    assert_int_equal(dark_authorize(w->cli, &w->addr, wrong), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_ENEEDAUTH);
    assert_int_equal(dark_authorize(w->cli, &w->addr, ben), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_OK);
    assert_int_equal(last_up(w)->target.hidden.intro[0].key[0], 9);
    assert_int_equal(dark_authorize(w->cli, &w->addr, anne), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_OK);
    assert_int_equal(dark_authorize(w->cli, &w->addr, NULL), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_ENEEDAUTH); /* nor what was opened with it */
    assert_int_equal(dark_authorize(w->cli, &w->addr, NULL), QUDAG_ENOTFOUND);
    world_free(w);
}

static void who_is_removed_finds_it_no_longer(void **state)
{
    struct world *w = world_hidden();
    uint8_t anne[CLIENT], ben[CLIENT];
    uint64_t p = dark_period(START);

    (void)state;
    assert_int_equal(dark_client_add(w->svc, &w->addr, "anne", anne, w->now), QUDAG_OK);
    assert_int_equal(dark_client_add(w->svc, &w->addr, "ben", ben, w->now), QUDAG_OK);
    run_to(w, w->now + 95 * MINUTE);
    struct dark_place_state before[2];
    memcpy(before, &dark_own_get(w->svc, &w->addr)->place[dark_slot(&(struct dark_place){p, 0})],
           sizeof before);
    assert_int_equal(dark_client_remove(w->svc, &w->addr, "anne", w->now), QUDAG_OK);
    run_to(w, w->now + MINUTE); /* at once in one place */
    const struct dark_keys *k = dark_own_get(w->svc, &w->addr);
    unsigned told = 0;
    for (uint8_t i = 0; i < 2; i++) {
        told += k->place[dark_slot(&(struct dark_place){p, i})].number > before[i].number ? 1 : 0;
    }
    assert_int_equal(told, 1);
    run_to(w, w->now + 95 * MINUTE); /* soon in the other */
    assert_int_equal(dark_authorize(w->cli, &w->addr, anne), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_ENEEDAUTH);
    assert_int_equal(dark_authorize(w->cli, &w->addr, ben), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_OK);
    /* the last one as well: nobody can, which is not anybody */
    assert_int_equal(dark_client_remove(w->svc, &w->addr, "ben", w->now), QUDAG_OK);
    run_to(w, w->now + 95 * MINUTE);
    assert_int_equal(dark_authorize(w->cli, &w->addr, ben), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_ENEEDAUTH);
    assert_int_equal(dark_client_remove(w->svc, &w->addr, NULL, w->now), QUDAG_OK);
    run_to(w, w->now + 95 * MINUTE);
    assert_int_equal(dark_authorize(w->cli, &w->addr, NULL), QUDAG_OK);
    assert_int_equal(ask(w), QUDAG_OK);
    world_free(w);
}

/* SPEC: dark D-41: what the service was is in no record from then on, whatever changes meanwhile. */
static void a_service_that_begins_anew_is_waited_for(void **state)
{
    struct world *w = world_hidden();
    uint8_t anne[CLIENT];

    (void)state;
    dark_service_await(w->svc, &w->addr);
    unsigned puts = w->puts;
    assert_int_equal(dark_client_add(w->svc, &w->addr, "anne", anne, w->now), QUDAG_OK);
    run_to(w, w->now + 30 * HOUR);
    assert_int_equal(w->puts, puts);
    assert_int_equal(ask(w), QUDAG_ENOTFOUND); /* the last of the old ones has expired */
    say(w);
    run_to(w, w->now + 95 * MINUTE);
    assert_true(w->puts > puts);
    dark_service_await(w->cli, &w->addr); /* not its own: nothing happens */
    world_free(w);
}

/* Who may find it changes nothing of that it is not to be found. */
static void a_client_of_what_is_unpublished_publishes_nothing(void **state)
{
    struct world *w = world_hidden();
    uint8_t anne[CLIENT];

    (void)state;
    dark_unpublish(w->svc, &w->addr);
    unsigned puts = w->puts;
    assert_int_equal(dark_client_add(w->svc, &w->addr, "anne", anne, w->now), QUDAG_OK);
    run_to(w, w->now + 95 * MINUTE);
    assert_int_equal(w->puts, puts);
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    world_free(w);
}

/* One place knows a new client at once, the other later: he finds the one that does. */
static void a_new_client_need_not_wait(void **state)
{
    struct world *w = world_hidden();
    uint8_t anne[CLIENT], ben[CLIENT];

    (void)state;
    assert_int_equal(dark_client_add(w->svc, &w->addr, "anne", anne, w->now), QUDAG_OK);
    run_to(w, w->now + 95 * MINUTE);
    assert_int_equal(dark_client_add(w->svc, &w->addr, "ben", ben, w->now), QUDAG_OK);
    run_to(w, w->now + MINUTE);
    for (int i = 0; i < 20; i++) { /* whichever is asked first */
        assert_int_equal(dark_authorize(w->cli, &w->addr, ben), QUDAG_OK);
        assert_int_equal(ask(w), QUDAG_OK);
    }
    assert_int_equal(dark_authorize(w->cli, &w->addr, NULL), QUDAG_OK);
    unsigned gets = w->gets;
    assert_int_equal(ask(w), QUDAG_ENEEDAUTH); /* without a secret one place is enough */
    assert_int_equal(w->gets, gets + 1);
    world_free(w);
}

static void what_is_wrong_with_a_client_is_said(void **state)
{
    struct world *w = world_hidden();
    struct dark_addr other = w->addr;
    uint8_t s[CLIENT];
    static const uint8_t zero[CLIENT];

    (void)state;
    other.commit[0] ^= 1;
    assert_int_equal(dark_client_add(w->svc, &other, "a", s, w->now), QUDAG_ENOTFOUND);
    assert_int_equal(dark_client_remove(w->svc, &other, "a", w->now), QUDAG_ENOTFOUND);
    assert_int_equal(dark_client_remove(w->svc, &w->addr, "a", w->now), QUDAG_ENOTFOUND);
    assert_int_equal(dark_client_add(w->svc, &w->addr, "", s, w->now), QUDAG_EINVAL);
    assert_int_equal(dark_client_add(w->svc, &w->addr, "a\n", s, w->now), QUDAG_EINVAL);
    assert_int_equal(
        dark_client_add(w->svc, &w->addr, "123456789012345678901234567890123", s, w->now),
        QUDAG_EINVAL);
    assert_false(dark_own_get(w->svc, &w->addr)->clients.only); /* nothing happened */
    for (int i = 0; i < DARK_CLIENTS_MAX; i++) {
        char name[2] = {(char)('A' + i), 0};
        assert_int_equal(dark_client_add(w->svc, &w->addr, name, s, w->now), QUDAG_OK);
        assert_int_equal(dark_client_add(w->svc, &w->addr, name, s, w->now), QUDAG_EEXISTS);
        assert_memory_equal(s, zero, sizeof s);
    }
    assert_int_equal(dark_client_add(w->svc, &w->addr, "one more", s, w->now), QUDAG_ELIMIT);
    size_t it = 0, n = 0;
    for (const struct dark_client *c; (c = dark_client_next(w->svc, &w->addr, &it)) != NULL; n++) {
        assert_int_equal(c->name[0], 'A' + (int)n);
    }
    assert_int_equal(n, DARK_CLIENTS_MAX);
    assert_int_equal(dark_client_remove(w->svc, &w->addr, "B", w->now), QUDAG_OK);
    it = 1;
    assert_string_equal(dark_client_next(w->svc, &w->addr, &it)->name, "C");
    assert_true(dark_clients_sound(&dark_own_get(w->svc, &w->addr)->clients));
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    assert_int_equal(dark_client_add(w->svc, &w->addr, "late", s, w->now), QUDAG_ENOTFOUND);
    settle(w, w->svc);
    world_free(w);
    w = world_new(); /* the record of a direct one names its node to everybody */
    assert_int_equal(dark_client_add(w->svc, &w->addr, "a", s, w->now), QUDAG_EUNSUPPORTED);
    world_free(w);
}

static void secrets_of_others_have_a_limit(void **state)
{
    struct world *w = world_empty(8);
    struct dark_addr a = {.network = DARK_NET_LAB};
    uint8_t s[CLIENT] = {1};

    (void)state;
    for (int i = 0; i < DARK_AUTHS_MAX; i++) {
        a.ed_pk[0] = (uint8_t)i;
        assert_int_equal(dark_authorize(w->cli, &a, s), QUDAG_OK);
    }
    assert_int_equal(dark_authorize(w->cli, &a, s), QUDAG_OK); /* the same address */
    a.ed_pk[1] = 1;
    assert_int_equal(dark_authorize(w->cli, &a, s), QUDAG_ELIMIT);
    a.ed_pk[1] = 0;
    assert_int_equal(dark_authorize(w->cli, &a, NULL), QUDAG_OK);
    a.ed_pk[1] = 1;
    assert_int_equal(dark_authorize(w->cli, &a, s), QUDAG_OK);
    a.network = DARK_NET_MAIN;
    assert_int_equal(dark_authorize(w->cli, &a, s), QUDAG_EUNSUPPORTED);
    world_free(w);
}

static void the_text_of_a_secret_comes_back(void **state)
{
    uint8_t s[CLIENT], back[CLIENT];
    char text[DARK_CLIENT_TEXT_MAX], bad[DARK_CLIENT_TEXT_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof s; i++) {
        s[i] = (uint8_t)(i * 7 + 1);
    }
    assert_int_equal(dark_client_text(text, s), 56);
    assert_int_equal(strlen(text), 56);
    assert_int_equal(dark_client_parse(back, text), QUDAG_OK);
    assert_memory_equal(s, back, sizeof s);
    for (size_t i = 0; i < 56; i++) { /* every letter mistyped, and cut there */
        memcpy(bad, text, sizeof text);
        bad[i] = bad[i] == 'q' ? 'r' : 'q';
        assert_int_equal(dark_client_parse(back, bad), QUDAG_ECHECKSUM);
        bad[i] = '1';
        assert_int_equal(dark_client_parse(back, bad), QUDAG_ECHECKSUM);
        bad[i] = '-';
        assert_int_equal(dark_client_parse(back, bad), QUDAG_EMALFORMED);
        bad[i] = '\0';
        assert_int_equal(dark_client_parse(back, bad), QUDAG_EMALFORMED);
        assert_int_equal(back[5], 0);
    }
    memcpy(bad, text, sizeof text);
    bad[56] = 'a';
    bad[57] = '\0';
    assert_int_equal(dark_client_parse(back, bad), QUDAG_EMALFORMED);
    for (size_t i = 0; i < 56; i++) {
        text[i] = text[i] >= 'a' ? (char)(text[i] - 'a' + 'A') : text[i];
    }
    assert_int_equal(dark_client_parse(back, text), QUDAG_OK);
}

/* What failed one user is no news to another: he would see that somebody called. */
static void a_target_that_failed_one_user_stands_for_the_others(void **state)
{
    struct world *w = world_hidden();

    (void)state;
    for (uint64_t user = 1; user <= 2; user++) {
        const struct dark_question q = {user, &w->addr, user};
        size_t ups = w->n_up;
        assert_int_equal(dark_resolve(w->cli, &q, w->now, &w->acts), QUDAG_OK);
        settle(w, w->cli);
        run_to(w, w->now + 2 * NS_PER_S);
        assert_int_equal(w->n_up, ups + 1);
        assert_int_equal(last_up(w)->err, QUDAG_OK);
    }
    dark_target_failed(w->cli, &w->addr, 1);
    dark_target_failed(w->cli, &w->addr, 7); /* who was told nothing */
    unsigned gets = w->gets;
    const struct dark_question two = {2, &w->addr, 2}, one = {1, &w->addr, 1};
    assert_int_equal(dark_resolve(w->cli, &two, w->now, &w->acts), QUDAG_OK);
    settle(w, w->cli);
    assert_int_equal(w->gets, gets);
    assert_int_equal(last_up(w)->cookie, 2);
    assert_int_equal(last_up(w)->n, 1);
    assert_int_equal(dark_resolve(w->cli, &one, w->now, &w->acts), QUDAG_OK);
    settle(w, w->cli);
    run_to(w, w->now + 2 * NS_PER_S);
    assert_int_equal(w->gets, gets + 1);
    assert_int_equal(last_up(w)->cookie, 1);
    assert_int_equal(last_up(w)->n, 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_clients_find_it_from_now_on),
        cmocka_unit_test(who_is_removed_finds_it_no_longer),
        cmocka_unit_test(a_service_that_begins_anew_is_waited_for),
        cmocka_unit_test(a_client_of_what_is_unpublished_publishes_nothing),
        cmocka_unit_test(a_new_client_need_not_wait),
        cmocka_unit_test(what_is_wrong_with_a_client_is_said),
        cmocka_unit_test(secrets_of_others_have_a_limit),
        cmocka_unit_test(the_text_of_a_secret_comes_back),
        cmocka_unit_test(a_target_that_failed_one_user_stands_for_the_others),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
