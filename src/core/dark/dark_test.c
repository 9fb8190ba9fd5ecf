/* dark_test.c - the core as a whole: limits, wrong calls, calls in every state, failed allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"

/* An address whose key is a valid point: |n| times the blinding of another one. */
static void other_address(struct dark_addr *a, const struct dark_addr *from, uint32_t n)
{
    uint8_t param[32] = {8};

    memcpy(param + 8, &n, sizeof n);
    *a = *from;
    assert_int_equal(ed25519_blind_public(a->ed_pk, from->ed_pk, param), QUDAG_OK);
}

static void lookups_and_memory_are_bounded(void **state)
{
    struct world *w = world_new();
    struct dark_addr a;

    (void)state;
    w->silent = true;
    for (uint32_t i = 0; i < DARK_JOBS_MAX; i++) {
        other_address(&a, &w->addr, i);
        assert_int_equal(dark_resolve(w->cli, &(struct dark_question){i, &a, 0}, w->now, &w->acts),
                         QUDAG_OK);
    }
    other_address(&a, &w->addr, DARK_JOBS_MAX);
    assert_int_equal(dark_resolve(w->cli, &(struct dark_question){99, &a, 0}, w->now, &w->acts),
                     QUDAG_ELIMIT);
    settle(w, w->cli);
    run_to(w, 2 * DARK_ASK_TIMEOUT + DARK_PAUSE_MIN + DARK_PAUSE_VAR);
    assert_int_equal(w->n_up, DARK_JOBS_MAX);
    w->silent = false;
    size_t used = 0;
    for (uint32_t i = 0; i < DARK_CACHE_MAX + 200; i++) {
        other_address(&a, &w->addr, i);
        struct dark_memo *m = dark_memo_want(w->cli, &a);
        assert_non_null(m);
        assert_true(dark_addr_eq(&m->addr, &a));
        if (i == DARK_CACHE_MAX) {
            used = w->mem.used;
        }
    }
    assert_int_equal(w->mem.used, used);
    world_free(w);
}

static void addresses_are_owned_once_and_up_to_the_limit(void **state)
{
    struct world *w = world_new();
    struct dark_keys first, k;

    (void)state;
    assert_int_equal(dark_keys_create(&first, DARK_NET_LAB, "", START, &w->rng), QUDAG_OK);
    uint8_t file[DARK_SECRET_LEN];
    dark_keys_save(&first, file);
    assert_int_equal(dark_own(w->svc, &first), QUDAG_OK);
    assert_int_equal(dark_keys_load(&k, (struct slice){file, sizeof file}), QUDAG_OK);
    assert_int_equal(dark_own(w->svc, &k), QUDAG_EEXISTS);
    k.addr.network = DARK_NET_MAIN;
    assert_int_equal(dark_own(w->svc, &k), QUDAG_EINVAL);
    dark_keys_fini(&k);
    for (int i = 2; i < DARK_ADDRS_MAX; i++) {
        assert_int_equal(dark_keys_create(&k, DARK_NET_LAB, "", START, &w->rng), QUDAG_OK);
        assert_int_equal(dark_own(w->svc, &k), QUDAG_OK);
    }
    assert_int_equal(dark_keys_create(&k, DARK_NET_LAB, "", START, &w->rng), QUDAG_OK);
    assert_int_equal(dark_own(w->svc, &k), QUDAG_ELIMIT);
    dark_keys_fini(&k);
    /* all due at once: no call adds more than the list has room for (settle looks) */
    const struct dark_keys *p;
    size_t it = 0, n = 0;
    bool published;
    walltime until;
    while (dark_own_next(w->svc, &it, &p, &published, &until)) {
        struct dark_addr a = p->addr;
        w->saved_seq = 0;
        w->n_up = 0;
        w->n_stored = 0;
        assert_false(published);
        assert_int_equal(publish_how(w, n++, &a, DARK_PUBLISH_NOW), QUDAG_OK);
        settle(w, w->svc);
    }
    assert_int_equal(n, DARK_ADDRS_MAX);
    /* 24 h later; what was slept over is begun, at most DARK_ROUNDS_MAX in one call */
    w->now = 24 * HOUR;
    w->silent = true;
    while (dark_deadline(w->svc) <= w->now) {
        dark_tick(w->svc, w->now, &w->acts);
        assert_false(w->acts.overflow);
        assert_in_range(w->acts.n, 1, DARK_ROUNDS_MAX);
        acts_reset_list(w);
    }
    world_free(w);
}

static void wrong_calls_are_refused(void **state)
{
    struct world *w = world_new();
    struct dark_addr a = w->addr;

    (void)state;
    a.network = DARK_NET_MAIN;
    assert_int_equal(dark_resolve(w->cli, &(struct dark_question){1, &a, 0}, 0, &w->acts),
                     QUDAG_EUNSUPPORTED);
    a = w->addr;
    memset(a.ed_pk, 0, 32);
    assert_int_equal(dark_resolve(w->cli, &(struct dark_question){1, &a, 0}, 0, &w->acts),
                     QUDAG_EMALFORMED);
    assert_int_equal(publish_how(w, 1, &a, DARK_PUBLISH_NOW), QUDAG_ENOTFOUND);
    assert_int_equal(dark_forget(w->svc, 1, &a, 0, &w->acts), QUDAG_ENOTFOUND);
    w->self = (struct onion_hop){.n_addrs = 0};
    assert_int_equal(publish_how(w, 1, &w->addr, DARK_PUBLISH_NOW), QUDAG_EINVAL);
    for (uint64_t cookie = 0; cookie < 3; cookie++) {
        struct dark_answer ans = {.cookie = cookie, .stored = 1, .exit = w->exit[0]};
        dark_put_done(w->svc, &ans, 0, &w->acts);
        dark_get_done(w->svc, &ans, 0, &w->acts);
        dark_get_done(w->cli, &ans, 0, &w->acts);
    }
    dark_target_failed(w->cli, &w->addr, 0);
    assert_int_equal(w->acts.n, 0);
    world_free(w);
}

/* Every call in every state of an own address: what it answers. */
static void calls_by_state(void **state)
{
    enum { IDLE, ASKING, WAITING, FORGETTING, STATES };
    static const struct {
        qudag_err publish, forget;
        bool visible;
    } want[STATES] = {
        [IDLE] = {QUDAG_OK, QUDAG_OK, true},
        [ASKING] = {QUDAG_OK, QUDAG_OK, true},
        [WAITING] = {QUDAG_OK, QUDAG_OK, true},
        [FORGETTING] = {QUDAG_ENOTFOUND, QUDAG_ENOTFOUND, false},
    };

    (void)state;
    for (int s = 0; s < STATES; s++) {
        for (int call = 0; call < 5; call++) {
            struct world *w = world_new();
            if (s != IDLE) {
                publish(w);
            }
            w->silent = s == ASKING || s == FORGETTING;
            if (s == ASKING) {
                publish(w);
            } else if (s == FORGETTING) {
                assert_int_equal(dark_forget(w->svc, 3, &w->addr, w->now, &w->acts), QUDAG_OK);
                settle(w, w->svc);
            }
            w->silent = false;
            size_t reports = w->n_up;
            if (call == 0) {
                assert_int_equal(publish_how(w, 4, &w->addr, DARK_PUBLISH_NOW), want[s].publish);
            } else if (call == 1) {
                assert_int_equal(dark_forget(w->svc, 5, &w->addr, w->now, &w->acts),
                                 want[s].forget);
            } else if (call == 2) {
                assert_int_equal(dark_own_get(w->svc, &w->addr) != NULL, want[s].visible);
            } else if (call == 3) {
                dark_unpublish(w->svc, &w->addr);
                w->now += DARK_ASK_TIMEOUT;
                dark_tick(w->svc, w->now, &w->acts);
            } else {
                w->now += DARK_ASK_TIMEOUT;
                dark_tick(w->svc, w->now, &w->acts);
            }
            settle(w, w->svc);
            if ((call == 0 && want[s].publish == QUDAG_OK) ||
                (call == 1 && want[s].forget == QUDAG_OK) || (call == 4 && s == ASKING)) {
                assert_int_equal(w->n_up, reports + 1);
            } else {
                assert_int_equal(w->n_up, reports);
            }
            world_free(w);
        }
    }
}

/* Publish, resolve twice, forget; the |fail_at|th allocation fails.  True when none was left. */
static bool scenario(struct world *w, uint64_t fail_at)
{
    struct dark_config cfg = {
        .mem = &w->mem, .rng = w->rng, .clock = {.base = START}, .network = DARK_NET_LAB};
    struct dark_keys k;
    struct dark *d;

    assert_int_equal(dark_keys_create(&k, DARK_NET_LAB, "", START, &w->rng), QUDAG_OK);
    struct dark_addr a = k.addr;
    w->saved_seq = 0;
    w->n_stored = 0;
    w->mem.fail_at = fail_at;
    bool ok = dark_new(&d, &cfg) == QUDAG_OK;
    ok = ok && dark_own(d, &k) == QUDAG_OK;
    if (ok) {
        const struct dark_publish_want want = {1, &a, &w->self, NULL, DARK_PUBLISH_NOW};
        assert_int_equal(dark_publish(d, &want, 0, &w->acts), QUDAG_OK);
        settle(w, d);
        for (int i = 0; i < 3; i++) {
            size_t before = w->n_up;
            qudag_err err = dark_resolve(d, &(struct dark_question){2, &a, 0}, 0, &w->acts);
            assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
            settle(w, d);
            while (err == QUDAG_OK && w->n_up == before) { /* the other place */
                dark_tick(d, dark_deadline(d), &w->acts);
                settle(w, d);
            }
            if (err == QUDAG_OK) { /* whether it could be remembered or not */
                assert_int_equal(last_up(w)->err, QUDAG_OK);
                assert_true(last_up(w)->has_target);
            }
        }
        assert_int_equal(dark_forget(d, 3, &a, 0, &w->acts), QUDAG_OK);
        settle(w, d);
        assert_int_equal(last_up(w)->err, QUDAG_OK);
    }
    bool all = w->mem.fail_at != 0;
    w->mem.fail_at = 0;
    dark_keys_fini(&k);
    dark_free(d);
    return all;
}

static void every_failed_allocation_is_survived(void **state)
{
    struct world *w = world_new();
    size_t used = w->mem.used;
    uint64_t i = 1;

    (void)state;
    while (!scenario(w, i)) {
        assert_int_equal(w->mem.used, used);
        w->n_up = 0;
        i++;
        assert_true(i < 100);
    }
    assert_true(i > 4);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups_and_memory_are_bounded),
        cmocka_unit_test(addresses_are_owned_once_and_up_to_the_limit),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(calls_by_state),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
