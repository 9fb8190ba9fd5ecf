/*
 * dark_test.c - publishing and resolving against a DHT that is an array.
 *
 * The array checks records as storers do and keeps the highest number; answers come at once, late,
 * wrong or never, as each test wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/dark_impl.h"

#include "base/wipe.h"
#include "crypto/init.h"

#include <stdlib.h>
#include <string.h>

#define START INT64_C(1800000000)
#define STORE_MAX 64
#define UPS_MAX 512

struct stored {
    uint8_t key[DARK_KEY_LEN];
    uint8_t rec[DARK_RECORD_LEN];
    uint64_t seq;
};

/* A report, copied out of the action list. */
struct up {
    uint16_t kind;
    uint64_t cookie;
    qudag_err err;
    uint64_t n;
    struct dark_target target;
    bool has_target;
};

struct world {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct dark *svc, *cli;
    struct dark_keys keys; /* taken over by svc */
    struct dark_addr addr;
    struct onion_hop self;
    struct stored store[STORE_MAX];
    size_t n_stored;
    qudag_err put_err[2], get_err; /* instead of storing and finding */
    qudag_err save_err;
    unsigned put_n; /* puts seen */
    bool silent;    /* never answer */
    uint64_t saved_seq;
    unsigned saves, gets;
    struct up up[UPS_MAX];
    size_t n_up;
    tstamp now;
    struct acts acts;
    struct act act_v[ACTS_ROOM];
    uint8_t *act_bytes;
};

static walltime wall(const struct world *w)
{
    return START + (walltime)(w->now / NS_PER_S);
}

static void store_put(struct world *w, struct slice key, struct slice rec)
{
    uint64_t seq;
    walltime expires;

    assert_int_equal(dark_record_check(key, rec, wall(w), &seq, &expires), QUDAG_OK);
    for (size_t i = 0; i < w->n_stored; i++) {
        if (memcmp(w->store[i].key, key.base, key.len) == 0) {
            assert_true(seq > w->store[i].seq); /* or storers would keep the old one */
            memcpy(w->store[i].rec, rec.base, rec.len);
            w->store[i].seq = seq;
            return;
        }
    }
    assert_true(w->n_stored < STORE_MAX);
    struct stored *s = &w->store[w->n_stored++];
    memcpy(s->key, key.base, key.len);
    memcpy(s->rec, rec.base, rec.len);
    s->seq = seq;
}

static struct stored *store_get(struct world *w, struct slice key)
{
    for (size_t i = 0; i < w->n_stored; i++) {
        if (memcmp(w->store[i].key, key.base, key.len) == 0) {
            return &w->store[i];
        }
    }
    return NULL;
}

static void acts_reset_list(struct world *w)
{
    w->acts.n = 0;
    w->acts.bytes_n = 0;
}

static void note_up(struct world *w, const struct act *a)
{
    assert_true(w->n_up < UPS_MAX);
    struct up *u = &w->up[w->n_up++];
    *u = (struct up){.kind = a->kind, .cookie = a->cookie, .err = a->err, .n = a->n};
    if (a->kind == DARK_UP_RESOLVED && a->ptr != NULL) {
        u->target = *(const struct dark_target *)a->ptr;
        u->has_target = true;
    }
}

/* Takes the actions, then answers what was asked; again until nothing is asked. */
static void settle(struct world *w, struct dark *d)
{
    while (w->acts.n > 0) {
        struct act list[ACTS_ROOM];
        size_t n = w->acts.n;
        uint8_t *bytes = w->act_bytes, *fresh = malloc(ACTS_BYTES_ROOM);
        assert_non_null(fresh);
        assert_false(w->acts.overflow);
        memcpy(list, w->act_v, n * sizeof list[0]);
        w->act_bytes = w->acts.bytes = fresh;
        for (size_t i = 0; i < n; i++) {
            if (list[i].kind == DARK_UP_SAVE) {
                const struct dark_keys *k = list[i].ptr;
                assert_true(k->seq > w->saved_seq);
                w->saved_seq = k->seq;
                w->saves++;
            } else if (list[i].kind == DARK_UP_RESOLVED || list[i].kind == DARK_UP_PUBLISHED) {
                note_up(w, &list[i]);
            }
        }
        acts_reset_list(w);
        for (size_t i = 0; i < n && !w->silent; i++) {
            struct slice none = {NULL, 0};
            if (list[i].kind == DARK_UP_SAVE) {
                dark_saved(d, list[i].cookie, w->save_err, w->now, &w->acts);
            } else if (list[i].kind == DARK_UP_PUT) {
                const struct dark_wanted *wanted = list[i].ptr;
                assert_int_equal(wanted->key.len, DARK_KEY_LEN);
                assert_int_equal(wanted->record.len, DARK_RECORD_LEN);
                qudag_err err = w->put_err[w->put_n++ % 2];
                if (err == QUDAG_OK) {
                    store_put(w, wanted->key, wanted->record);
                }
                dark_put_done(d, list[i].cookie, err, err == QUDAG_OK ? 20 : 0, w->now, &w->acts);
            } else if (list[i].kind == DARK_UP_GET) {
                assert_int_equal(list[i].data.len, DARK_KEY_LEN);
                const struct stored *s = store_get(w, list[i].data);
                struct slice rec = {s == NULL ? NULL : s->rec, s == NULL ? 0 : DARK_RECORD_LEN};
                qudag_err err = w->get_err != QUDAG_OK ? w->get_err
                                : s == NULL            ? QUDAG_ENOTFOUND
                                                       : QUDAG_OK;
                w->gets++;
                dark_get_done(d, list[i].cookie, err, err == QUDAG_OK ? rec : none, w->now,
                              &w->acts);
            }
        }
        free(bytes);
    }
}

static struct dark *core_new(struct world *w)
{
    struct dark_config cfg = {
        .mem = &w->mem, .rng = w->rng, .clock = {.base = START, .at = 0}, .network = DARK_NET_LAB};
    struct dark *d;

    assert_int_equal(dark_new(&d, &cfg), QUDAG_OK);
    return d;
}

static void self_set(struct onion_hop *h)
{
    uint8_t pk[32] = {5};
    struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = 9};

    memset(h, 0, sizeof *h);
    peer_id_from_ed25519(&h->peer, pk);
    multiaddr_quic(&h->addr[0], &a, NULL);
    h->n_addrs = 1;
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    uint8_t seed[32] = {8};

    assert_non_null(w);
    mem_init(&w->mem, NULL, 0);
    rng_stream_init(&w->stream, seed);
    w->rng = rng_of_stream(&w->stream);
    w->act_bytes = malloc(ACTS_BYTES_ROOM);
    assert_non_null(w->act_bytes);
    w->acts = (struct acts){
        .v = w->act_v, .cap = ACTS_ROOM, .bytes = w->act_bytes, .bytes_cap = ACTS_BYTES_ROOM};
    w->svc = core_new(w);
    w->cli = core_new(w);
    assert_int_equal(dark_keys_create(&w->keys, DARK_NET_LAB, "s", START, &w->rng), QUDAG_OK);
    w->addr = w->keys.addr;
    self_set(&w->self);
    assert_int_equal(dark_own(w->svc, &w->keys), QUDAG_OK);
    assert_true(ct_is_zero(&w->keys, sizeof w->keys));
    return w;
}

static void world_free(struct world *w)
{
    dark_free(w->svc);
    dark_free(w->cli);
    assert_int_equal(w->mem.used, 0);
    free(w->act_bytes);
    free(w);
}

static void publish(struct world *w)
{
    assert_int_equal(dark_publish(w->svc, 11, &w->addr, &w->self, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
}

static const struct up *last_up(const struct world *w)
{
    assert_true(w->n_up > 0);
    return &w->up[w->n_up - 1];
}

static const struct up *resolve(struct world *w)
{
    assert_int_equal(dark_resolve(w->cli, 22, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->cli);
    return last_up(w);
}

/* Runs both cores to |end|; ticks come when they want them. */
static void run_to(struct world *w, tstamp end)
{
    for (unsigned steps = 0; steps < 10000; steps++) {
        tstamp a = dark_deadline(w->svc), b = dark_deadline(w->cli);
        tstamp at = tstamp_min(a, b);
        if (at > end) {
            w->now = end;
            return;
        }
        w->now = at > w->now ? at : w->now;
        struct dark *d = a <= b ? w->svc : w->cli;
        dark_tick(d, w->now, &w->acts);
        settle(w, d);
    }
    fail_msg("it never rests");
}

static void what_is_published_is_resolved(void **state)
{
    struct world *w = world_new();
    const struct dark_keys *k = dark_own_get(w->svc, &w->addr);

    (void)state;
    publish(w);
    const struct up *u = last_up(w);
    assert_int_equal(u->kind, DARK_UP_PUBLISHED);
    assert_int_equal(u->cookie, 11);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->n, 40);
    assert_int_equal(w->n_stored, 2);
    assert_int_equal(w->saves, 1);
    u = resolve(w);
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

    (void)state;
    publish(w);
    assert_int_equal(dark_resolve(w->cli, 22, &w->addr, w->now, &w->acts), QUDAG_OK);
    assert_int_equal(w->acts.n, 2);
    struct stored *s = store_get(w, w->act_v[0].data);
    assert_non_null(s);
    uint64_t cookie = w->act_v[0].cookie;
    acts_reset_list(w);
    dark_get_done(w->cli, cookie, QUDAG_OK, (struct slice){s->rec, DARK_RECORD_LEN}, w->now,
                  &w->acts);
    w->now += DARK_ASK_TIMEOUT; /* the other period is not answered */
    dark_tick(w->cli, w->now, &w->acts);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].kind, DARK_UP_RESOLVED);
    size_t used = w->mem.used;
    dark_put_done(w->cli, 12345, QUDAG_OK, 1, w->now, &w->acts);
    assert_int_equal(w->mem.used, used);
    const struct dark_target *t = w->act_v[0].ptr;
    assert_true(peer_id_eq(&t->hop.peer, &w->self.peer));
    acts_reset_list(w);
    dark_tick(w->cli, w->now, &w->acts);
    assert_true(w->mem.used < used);
    world_free(w);
}

static void both_live_periods_are_asked_the_current_first(void **state)
{
    struct world *w = world_new();
    uint8_t key[2][DARK_KEY_LEN];
    uint64_t live[2];

    (void)state;
    dark_live(live, &w->addr, wall(w));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dark_dht_key(key[i], &w->addr, live[i]), QUDAG_OK);
    }
    assert_int_equal(dark_resolve(w->cli, 1, &w->addr, 0, &w->acts), QUDAG_OK);
    assert_int_equal(w->acts.n, 2);
    assert_memory_equal(w->act_v[0].data.base, key[0], DARK_KEY_LEN);
    assert_memory_equal(w->act_v[1].data.base, key[1], DARK_KEY_LEN);
    world_free(w);
}

static void the_cache_answers_for_an_hour_and_not_longer(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    (void)resolve(w);
    assert_int_equal(w->gets, 2);
    w->now += 3150 * NS_PER_S; /* less than 7/8 of an hour */
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->n, 1);
    assert_true(u->has_target);
    assert_int_equal(w->gets, 2);
    w->now += 451 * NS_PER_S;
    u = resolve(w);
    assert_int_equal(u->n, 0);
    assert_int_equal(w->gets, 4);
    /* the target did not answer: asked for again at once */
    dark_target_failed(w->cli, &w->addr);
    u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(w->gets, 6);
    world_free(w);
}

static void the_cache_never_outlives_the_record(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    w->now = (DARK_LIFE - 600) * NS_PER_S;
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    w->now = (uint64_t)(u->target.expires - START) * NS_PER_S;
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

static void what_is_not_there_is_remembered_for_a_minute(void **state)
{
    struct world *w = world_new();

    (void)state;
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_ENOTFOUND);
    w->now += 52 * NS_PER_S;
    u = resolve(w);
    assert_int_equal(u->err, QUDAG_ENOTFOUND);
    assert_int_equal(u->n, 1);
    assert_int_equal(w->gets, 2);
    publish(w);
    w->now += 8 * NS_PER_S + 1;
    u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(w->gets, 4);
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

static void older_records_are_refused_once_newer_were_seen(void **state)
{
    struct world *w = world_new();
    struct stored old[2];

    (void)state;
    publish(w);
    memcpy(old, w->store, sizeof old);
    publish(w); /* higher number */
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    memcpy(w->store, old, sizeof old); /* storers roll back */
    dark_target_failed(w->cli, &w->addr);
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_ESTALE);
    assert_false(u->has_target);
    /* also after the cached one is long gone */
    w->now += 2 * 3600 * NS_PER_S;
    assert_int_equal(resolve(w)->err, QUDAG_ESTALE);
    publish(w);
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    world_free(w);
}

static void the_highest_valid_number_wins(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    uint64_t first = dark_own_get(w->svc, &w->addr)->seq;
    struct stored one = w->store[0];
    publish(w);
    w->store[0] = one; /* the current period's storers missed the second record */
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->target.seq, first + 1);
    struct stored both[2];
    memcpy(both, w->store, sizeof(both));
    publish(w);
    w->store[1] = both[1]; /* and now those of the other one */
    dark_target_failed(w->cli, &w->addr);
    assert_int_equal(resolve(w)->target.seq, first + 2);
    publish(w);
    /* a forged one in one place does not matter when the other place has a valid one */
    w->store[0].rec[4000] ^= 1;
    dark_target_failed(w->cli, &w->addr);
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    w->store[1].rec[4000] ^= 1;
    dark_target_failed(w->cli, &w->addr);
    assert_int_equal(resolve(w)->err, QUDAG_EAUTH);
    w->store[0].key[20] ^=
        1; /* one wrong and none in the other place: it is the wrong one that is told */
    assert_int_equal(resolve(w)->err, QUDAG_EAUTH);
    world_free(w);
}

static void a_forgotten_address_is_withdrawn(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    assert_int_equal(resolve(w)->err, QUDAG_OK);
    w->now += 7200 * NS_PER_S;
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->svc);
    const struct up *u = last_up(w);
    assert_int_equal(u->kind, DARK_UP_PUBLISHED);
    assert_int_equal(u->cookie, 33);
    assert_int_equal(u->err, QUDAG_OK);
    assert_null(dark_own_get(w->svc, &w->addr));
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    u = resolve(w);
    assert_int_equal(u->err, QUDAG_ENOTFOUND);
    assert_int_equal(u->n, 0);
    assert_int_equal(resolve(w)->n, 1); /* remembered */
    world_free(w);
}

static void forgetting_gives_up_after_three_failures(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    w->put_err[0] = w->put_err[1] = QUDAG_EUNREACHABLE;
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
    assert_int_equal(w->put_n, 2 + 6);
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
    k.seq = 5;
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
    assert_int_equal(w->put_n, 0);
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
        /* renewed before 3/4 of its life: never less than a quarter is left of the newest */
        const struct dark_keys *k;
        size_t it = 0;
        bool published;
        walltime until;
        assert_true(dark_own_next(w->svc, &it, &k, &published, &until));
        assert_true(published);
        assert_true(until - wall(w) >= DARK_LIFE / 4 - 1800);
        dark_target_failed(w->cli, &w->addr);
    }
    rounds = w->saves - rounds;
    assert_true(rounds >= 5 * 3 && rounds <= 5 * 5 + 2);
    world_free(w);
}

static void failed_rounds_come_again_with_growing_pauses(void **state)
{
    struct world *w = world_new();
    tstamp last = 0;

    (void)state;
    w->put_err[0] = w->put_err[1] = QUDAG_ETIMEOUT;
    publish(w);
    assert_int_equal(last_up(w)->err, QUDAG_ETIMEOUT);
    for (int i = 0; i < 10; i++) {
        tstamp at = dark_deadline(w->svc);
        uint64_t base = 30u << (i > 7 ? 7 : i);
        base = base > 3600 ? 3600 : base;
        assert_in_range(at - last, base * NS_PER_S * 4 / 5, base * NS_PER_S * 6 / 5);
        run_to(w, at);
        last = at;
    }
    assert_true(w->saves == 11);
    w->put_err[0] = w->put_err[1] = QUDAG_OK;
    run_to(w, w->now + 4400 * NS_PER_S);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    world_free(w);
}

static void the_current_period_decides_and_the_other_is_tried_again(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->put_err[1] = QUDAG_ETIMEOUT;
    publish(w);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(last_up(w)->n, 20);
    assert_true(dark_deadline(w->svc) < 60 * NS_PER_S);
    w->put_err[1] = QUDAG_OK;
    w->put_err[0] = QUDAG_ETIMEOUT;
    publish(w);
    assert_int_equal(last_up(w)->err, QUDAG_ETIMEOUT);
    world_free(w);
}

static void an_owner_that_never_answers_is_a_timeout(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->silent = true;
    publish(w);
    assert_int_equal(dark_resolve(w->cli, 22, &w->addr, w->now, &w->acts), QUDAG_OK);
    settle(w, w->cli);
    assert_int_equal(w->n_up, 0);
    run_to(w, 121 * NS_PER_S);
    assert_int_equal(w->n_up, 2);
    assert_int_equal(w->up[0].err, QUDAG_ETIMEOUT);
    assert_int_equal(w->up[1].err, QUDAG_ETIMEOUT);
    world_free(w);
}

/* A number that is not on disk could be given twice: no record with it may exist. */
static void no_record_is_made_before_its_number_is_saved(void **state)
{
    struct world *w = world_new();

    (void)state;
    assert_int_equal(dark_publish(w->svc, 11, &w->addr, &w->self, w->now, &w->acts), QUDAG_OK);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].kind, DARK_UP_SAVE);
    uint64_t cookie = w->act_v[0].cookie;
    acts_reset_list(w);
    dark_saved(w->svc, cookie + 1, QUDAG_OK, w->now, &w->acts); /* not the answer to that */
    dark_saved(w->svc, 0, QUDAG_OK, w->now, &w->acts);
    assert_int_equal(w->acts.n, 0);
    dark_saved(w->svc, cookie, QUDAG_OK, w->now, &w->acts);
    assert_int_equal(w->acts.n, 2);
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
    assert_int_equal(w->put_n, 0);
    assert_true(dark_deadline(w->svc) < 60 * NS_PER_S);
    w->save_err = QUDAG_OK;
    run_to(w, 60 * NS_PER_S);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(w->put_n, 2);
    assert_int_equal(w->saves, 2);
    world_free(w);
}

static void a_save_that_is_never_answered_is_a_timeout(void **state)
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

static void a_record_that_came_counts_when_the_other_never_comes(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    assert_int_equal(dark_resolve(w->cli, 22, &w->addr, w->now, &w->acts), QUDAG_OK);
    uint64_t cookie = w->act_v[0].cookie;
    const struct stored *s = store_get(w, w->act_v[0].data);
    acts_reset_list(w);
    dark_get_done(w->cli, cookie, QUDAG_OK, (struct slice){s->rec, DARK_RECORD_LEN}, w->now,
                  &w->acts);
    dark_get_done(w->cli, cookie, QUDAG_ENOTFOUND, (struct slice){NULL, 0}, w->now, &w->acts);
    assert_int_equal(w->acts.n, 0); /* the second answer to one question is none */
    run_to(w, 120 * NS_PER_S);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_true(last_up(w)->has_target);
    world_free(w);
}

static void requests_for_one_address_share_one_lookup(void **state)
{
    struct world *w = world_new();

    (void)state;
    publish(w);
    size_t before = w->n_up;
    for (uint64_t c = 0; c < DARK_WAITERS_MAX; c++) {
        assert_int_equal(dark_resolve(w->cli, c, &w->addr, w->now, &w->acts), QUDAG_OK);
    }
    assert_int_equal(dark_resolve(w->cli, 999, &w->addr, w->now, &w->acts), QUDAG_ELIMIT);
    settle(w, w->cli);
    assert_int_equal(w->gets, 2);
    assert_int_equal(w->n_up, before + DARK_WAITERS_MAX);
    for (size_t i = before; i < w->n_up; i++) {
        assert_int_equal(w->up[i].err, QUDAG_OK);
    }
    world_free(w);
}

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
        assert_int_equal(dark_resolve(w->cli, i, &a, w->now, &w->acts), QUDAG_OK);
    }
    other_address(&a, &w->addr, DARK_JOBS_MAX);
    assert_int_equal(dark_resolve(w->cli, 99, &a, w->now, &w->acts), QUDAG_ELIMIT);
    settle(w, w->cli);
    run_to(w, 121 * NS_PER_S);
    assert_int_equal(w->n_up, DARK_JOBS_MAX);
    w->silent = false;
    size_t used = 0;
    for (uint32_t i = 0; i < DARK_CACHE_MAX + 200; i++) {
        other_address(&a, &w->addr, i);
        w->n_up = 0;
        assert_int_equal(dark_resolve(w->cli, i, &a, w->now, &w->acts), QUDAG_OK);
        settle(w, w->cli);
        assert_int_equal(last_up(w)->err, QUDAG_ENOTFOUND);
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
        assert_int_equal(dark_publish(w->svc, n++, &a, &w->self, w->now, &w->acts), QUDAG_OK);
        settle(w, w->svc);
    }
    assert_int_equal(n, DARK_ADDRS_MAX);
    w->now = 24 * 3600 * NS_PER_S;
    unsigned puts = 0;
    while (dark_deadline(w->svc) <= w->now) {
        dark_tick(w->svc, w->now, &w->acts);
        assert_false(w->acts.overflow);
        for (size_t i = 0; i < w->acts.n; i++) { /* puts are added behind */
            puts += w->act_v[i].kind == DARK_UP_PUT;
            if (w->act_v[i].kind == DARK_UP_SAVE) {
                dark_saved(w->svc, w->act_v[i].cookie, QUDAG_OK, w->now, &w->acts);
            }
        }
        assert_false(w->acts.overflow);
        acts_reset_list(w);
    }
    assert_int_equal(puts, 2 * DARK_ADDRS_MAX);
    world_free(w);
}

static void wrong_calls_are_refused(void **state)
{
    struct world *w = world_new();
    struct dark_addr a = w->addr;
    struct onion_hop nobody = {.n_addrs = 0};

    (void)state;
    a.network = DARK_NET_MAIN;
    assert_int_equal(dark_resolve(w->cli, 1, &a, 0, &w->acts), QUDAG_EUNSUPPORTED);
    a = w->addr;
    memset(a.ed_pk, 0, 32);
    assert_int_equal(dark_resolve(w->cli, 1, &a, 0, &w->acts), QUDAG_EMALFORMED);
    assert_int_equal(dark_publish(w->svc, 1, &a, &w->self, 0, &w->acts), QUDAG_ENOTFOUND);
    assert_int_equal(dark_forget(w->svc, 1, &a, 0, &w->acts), QUDAG_ENOTFOUND);
    assert_int_equal(dark_publish(w->svc, 1, &w->addr, &nobody, 0, &w->acts), QUDAG_EINVAL);
    dark_put_done(w->svc, 0, QUDAG_OK, 1, 0, &w->acts);
    dark_put_done(w->svc, 77, QUDAG_OK, 1, 0, &w->acts);
    dark_get_done(w->cli, 0, QUDAG_OK, (struct slice){NULL, 0}, 0, &w->acts);
    dark_target_failed(w->cli, &w->addr);
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
        for (int call = 0; call < 4; call++) {
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
                assert_int_equal(dark_publish(w->svc, 4, &w->addr, &w->self, w->now, &w->acts),
                                 want[s].publish);
            } else if (call == 1) {
                assert_int_equal(dark_forget(w->svc, 5, &w->addr, w->now, &w->acts),
                                 want[s].forget);
            } else if (call == 2) {
                assert_int_equal(dark_own_get(w->svc, &w->addr) != NULL, want[s].visible);
            } else {
                w->now += DARK_ASK_TIMEOUT;
                dark_tick(w->svc, w->now, &w->acts);
            }
            settle(w, w->svc);
            if ((call == 0 && want[s].publish == QUDAG_OK) ||
                (call == 1 && want[s].forget == QUDAG_OK) || (call == 3 && s == ASKING)) {
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
        assert_int_equal(dark_publish(d, 1, &a, &w->self, 0, &w->acts), QUDAG_OK);
        settle(w, d);
        for (int i = 0; i < 3; i++) {
            qudag_err err = dark_resolve(d, 2, &a, 0, &w->acts);
            assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
            settle(w, d);
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
        cmocka_unit_test(what_is_published_is_resolved),
        cmocka_unit_test(what_was_resolved_stays_until_the_list_is_carried_out),
        cmocka_unit_test(both_live_periods_are_asked_the_current_first),
        cmocka_unit_test(the_cache_answers_for_an_hour_and_not_longer),
        cmocka_unit_test(the_cache_never_outlives_the_record),
        cmocka_unit_test(what_is_not_there_is_remembered_for_a_minute),
        cmocka_unit_test(errors_of_the_way_are_not_remembered),
        cmocka_unit_test(older_records_are_refused_once_newer_were_seen),
        cmocka_unit_test(the_highest_valid_number_wins),
        cmocka_unit_test(a_forgotten_address_is_withdrawn),
        cmocka_unit_test(forgetting_gives_up_after_three_failures),
        cmocka_unit_test(forgetting_ends_when_no_tombstone_can_be_made),
        cmocka_unit_test(an_address_never_published_is_forgotten_in_silence),
        cmocka_unit_test(a_service_can_be_found_at_every_moment_of_five_days),
        cmocka_unit_test(failed_rounds_come_again_with_growing_pauses),
        cmocka_unit_test(the_current_period_decides_and_the_other_is_tried_again),
        cmocka_unit_test(an_owner_that_never_answers_is_a_timeout),
        cmocka_unit_test(no_record_is_made_before_its_number_is_saved),
        cmocka_unit_test(a_save_that_failed_ends_the_round_and_is_tried_again),
        cmocka_unit_test(a_save_that_is_never_answered_is_a_timeout),
        cmocka_unit_test(a_record_that_came_counts_when_the_other_never_comes),
        cmocka_unit_test(requests_for_one_address_share_one_lookup),
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
