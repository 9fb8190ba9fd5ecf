/* hidden_publish_test.c - records of a hidden service follow its points; storers see little of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"
#include "wire/relay_desc.h"

#define MINUTE (60 * NS_PER_S)

static const struct dark_clients nobody;
static const uint8_t anybody[32];

/* Point |n| of the service: relay and introduction key follow from the number. */
static void point_set(struct dark_intro *p, uint8_t n)
{
    uint8_t pk[32] = {40, n};

    memset(p, 0, sizeof *p);
    peer_id_from_ed25519(&p->relay, pk);
    memset(p->pq_hash, n, sizeof p->pq_hash);
    memset(p->x, n, sizeof p->x);
    memset(p->k, n, sizeof p->k);
    onion_key_id(p->key_id, p->x, p->k);
    memset(p->key, n, sizeof p->key);
}

static void keys_set(struct dark_period_keys *k, uint64_t period)
{
    memset(k, 0, sizeof *k);
    k->period = period;
    memset(k->x, (int)(period % 251), sizeof k->x);
    memset(k->k, 7, sizeof k->k);
}

/* Points a, b, c (0: none), and keys of the live periods at |wall|. */
static struct dark_service service_of(walltime wall, uint8_t a, uint8_t b, uint8_t c)
{
    const uint8_t n[] = {a, b, c};
    struct dark_service s;

    memset(&s, 0, sizeof s);
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        if (n[i] != 0) {
            point_set(&s.intro[s.n_intros++], n[i]);
        }
    }
    for (uint64_t i = 0; i < 3; i++) {
        keys_set(&s.keys[s.n_keys++], dark_period(wall) + 1 - i);
    }
    return s;
}

static void old_add(struct dark_service *s, uint8_t n)
{
    memset(s->old[s->n_old++], n, sizeof s->old[0]);
}

static struct world *world_hidden(void)
{
    struct world *w = world_empty(8);

    assert_int_equal(dark_keys_create(&w->keys, DARK_NET_LAB, "s", START, &w->rng), QUDAG_OK);
    w->keys.kind = DARK_HIDDEN;
    w->addr = w->keys.addr;
    assert_int_equal(dark_own(w->svc, &w->keys), QUDAG_OK);
    return w;
}

static qudag_err say(struct world *w, const struct dark_service *s, enum dark_publish_how how)
{
    const struct dark_publish_want want = {11, &w->addr, NULL, s, how};
    qudag_err err = dark_publish(w->svc, &want, w->now, &w->acts);

    settle(w, w->svc);
    return err;
}

/* What changed is said, and what is due at once is done. */
static void say_points(struct world *w, const struct dark_service *s)
{
    assert_int_equal(say(w, s, DARK_PUBLISH_RESUME), QUDAG_OK);
    run_to(w, w->now);
}

static struct dark_place_state place_of(const struct world *w, uint64_t period, uint8_t replica)
{
    const struct dark_place at = {period, replica};

    return dark_own_get(w->svc, &w->addr)->place[dark_slot(&at)];
}

/* What the record in a place says. */
static struct dark_hidden record_at(struct world *w, uint64_t period, uint8_t replica)
{
    const struct stored *s = store_must(w, period, replica);
    struct dark_target t;

    assert_int_equal(
        dark_record_open(&t, &w->addr, NULL, (struct slice){s->rec, sizeof s->rec}, wall(w)),
        QUDAG_OK);
    assert_int_equal(t.kind, DARK_HIDDEN);
    return t.hidden;
}

/* Which of the points of |h| is number |n|; -1: none. */
static int names(const struct dark_hidden *h, uint8_t n)
{
    for (uint8_t i = 0; i < h->n_intros; i++) {
        if (h->intro[i].key[0] == n) {
            return i;
        }
    }
    return -1;
}

static uint8_t hurried(const struct world *w, uint64_t period)
{
    return dark_hurried(w->svc->own[0], period);
}

static uint8_t calm(const struct world *w, uint64_t period)
{
    return (uint8_t)(1 - hurried(w, period));
}

/* Three points, told in both places of the current period. */
static struct world *world_published(void)
{
    struct world *w = world_hidden();
    struct dark_service s = service_of(START, 1, 2, 3);

    assert_int_equal(say(w, &s, DARK_PUBLISH_NOW), QUDAG_OK);
    run_to(w, 6 * HOUR);
    assert_int_equal(names(&(struct dark_hidden){0}, 1), -1);
    assert_int_equal(record_at(w, dark_period(START), 0).n_intros, 3);
    assert_int_equal(record_at(w, dark_period(START), 1).n_intros, 3);
    return w;
}

/* --- rules ----------------------------------------------------------------------------------- */

static void the_rule_of_what_a_record_still_leads_to(void **state)
{
    static const struct {
        uint8_t record[3], now[3], old[2];
        enum dark_leads want;
    } rows[] = {
        {{1, 2, 3}, {1, 2, 3}, {0}, DARK_LEADS},
        {{1, 2, 3}, {3, 1, 2}, {0}, DARK_LEADS},
        {{1, 2, 3}, {1, 2, 4}, {0}, DARK_LEADS}, /* two are enough */
        {{1, 2, 3}, {1, 4, 5}, {2}, DARK_LEADS}, /* an old one counts */
        {{1, 2, 3}, {4, 5, 6}, {1, 2}, DARK_LEADS},
        {{1, 2, 3}, {1, 4, 5}, {0}, DARK_LEADS_THINLY},
        {{1, 2, 3}, {4, 5, 6}, {3}, DARK_LEADS_THINLY},
        {{1, 2, 3}, {4, 5, 6}, {0}, DARK_LEADS_NOWHERE},
        {{1, 2, 3}, {4, 0, 0}, {0}, DARK_LEADS_NOWHERE},
        {{1, 0, 0}, {1, 0, 0}, {0}, DARK_LEADS}, /* all that there are */
        {{1, 2, 3}, {1, 0, 0}, {0}, DARK_LEADS},
        {{1, 0, 0}, {1, 2, 0}, {0}, DARK_LEADS_THINLY},
        {{1, 2, 0}, {1, 2, 3}, {0}, DARK_LEADS},
        {{0, 0, 0}, {1, 0, 0}, {0}, DARK_LEADS_NOWHERE},
    };
    uint64_t p = dark_period(START);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dark_service was =
            service_of(START, rows[i].record[0], rows[i].record[1], rows[i].record[2]);
        struct dark_service is = service_of(START, rows[i].now[0], rows[i].now[1], rows[i].now[2]);
        struct dark_hidden h;
        struct dark_named n;
        for (size_t j = 0; j < 2 && rows[i].old[j] != 0; j++) {
            old_add(&is, rows[i].old[j]);
        }
        assert_int_equal(dark_service_at(&h, &was, p), QUDAG_OK);
        dark_named_set(&n, &h, &nobody);
        assert_int_equal(dark_leads(&n, &is, anybody, p), rows[i].want);
        is.keys[1].x[0] ^= 1; /* other keys: handshakes made with the record open no more */
        assert_int_equal(is.keys[1].period, p);
        assert_int_equal(dark_leads(&n, &is, anybody, p), DARK_LEADS_NOWHERE);
        is.keys[1].period = p + 9; /* none at all: nothing better could be made */
        assert_int_equal(dark_leads(&n, &is, anybody, p), DARK_LEADS);
    }
}

static void other_work_is_told_like_lost_points(void **state)
{
    uint64_t p = dark_period(START);
    struct dark_service s = service_of(START, 1, 2, 3);
    struct dark_hidden h;
    struct dark_named n;

    (void)state;
    s.pow.seed[0] = 9; /* without effort nothing of it counts */
    assert_int_equal(dark_service_at(&h, &s, p), QUDAG_OK);
    assert_int_equal(h.pow.seed[0], 0);
    dark_named_set(&n, &h, &nobody);
    assert_int_equal(dark_leads(&n, &s, anybody, p), DARK_LEADS);
    s.pow.effort = 5;
    s.pow.expires = START + 7200;
    assert_int_equal(dark_leads(&n, &s, anybody, p), DARK_LEADS_THINLY);
    assert_int_equal(dark_service_at(&h, &s, p), QUDAG_OK);
    assert_int_equal(h.pow.effort, 5);
    assert_int_equal(h.pow.seed[0], 9);
    dark_named_set(&n, &h, &nobody);
    assert_int_equal(dark_leads(&n, &s, anybody, p), DARK_LEADS);
    s.pow.seed[31] ^= 1;
    assert_int_equal(dark_leads(&n, &s, anybody, p), DARK_LEADS_THINLY);
    s.pow.seed[31] ^= 1;
    s.pow.expires++;
    assert_int_equal(dark_leads(&n, &s, anybody, p), DARK_LEADS_THINLY);
}

static void what_no_record_may_say_is_refused(void **state)
{
    struct world *w = world_hidden();
    const struct dark_service good = service_of(START, 1, 2, 3);
    struct dark_publish_want want = {11, &w->addr, NULL, &good, DARK_PUBLISH_NOW};

    (void)state;
    for (int i = 0; i < 11; i++) {
        struct dark_service s = good;
        s.n_intros = i == 0 ? 0 : i == 1 ? DARK_INTROS_MAX + 1 : s.n_intros;
        s.intro[1] = i == 2 ? s.intro[0] : s.intro[1];
        memcpy(s.intro[2].key, s.intro[i == 3 ? 0 : 2].key, sizeof s.intro[2].key);
        s.intro[0].relay.len = i == 4 ? 0 : s.intro[0].relay.len;
        s.n_keys = i == 5 ? 0 : i == 6 ? DARK_KEYS_MAX + 1 : s.n_keys;
        s.n_old = i == 7 ? DARK_OLD_MAX + 1 : 0;
        s.pow = (struct dark_pow){.effort = i == 8 ? 1 : 0, .expires = -1};
        want.hidden = i == 9 ? NULL : &s;
        want.self = i == 10 ? &w->self : NULL;
        assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_EINVAL);
    }
    want = (struct dark_publish_want){11, &w->addr, &w->self, NULL, DARK_PUBLISH_NOW};
    assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_EINVAL);
    assert_int_equal(w->acts.n, 0);
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    world_free(w);
    w = world_new(); /* nor are the points of a hidden one those of a direct one */
    want = (struct dark_publish_want){11, &w->addr, NULL, &good, DARK_PUBLISH_NOW};
    assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_EINVAL);
    want.self = &w->self;
    assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_EINVAL);
    world_free(w);
}

/* A statement that names the node is for records that do. */
static void no_statement_of_the_node_is_made_for_a_hidden_service(void **state)
{
    struct world *w = world_published();
    struct identity id;

    (void)state;
    assert_int_equal(identity_generate(&id, &w->rng), QUDAG_OK);
    struct dark_service before = w->svc->own[0]->hidden;
    assert_int_equal(dark_sign_target(w->svc, &w->addr, &id, START + 3600), QUDAG_EINVAL);
    assert_memory_equal(&before, &w->svc->own[0]->hidden, sizeof before);
    identity_fini(&id);
    world_free(w);
}

/* --- publishing ------------------------------------------------------------------------------ */

static void each_record_names_all_points_and_the_keys_of_its_period(void **state)
{
    struct world *w = world_published();
    uint64_t p = dark_period(START);

    (void)state;
    run_to(w, 15 * HOUR + 50 * MINUTE); /* ten to midnight */
    for (int i = 0; i < 4; i++) {
        struct dark_hidden h = record_at(w, p + (uint64_t)i / 2, (uint8_t)(i % 2));
        struct dark_period_keys want;
        keys_set(&want, p + (uint64_t)i / 2);
        assert_memory_equal(h.x, want.x, sizeof h.x);
        assert_memory_equal(h.k, want.k, sizeof h.k);
        assert_true(names(&h, 1) >= 0 && names(&h, 2) >= 0 && names(&h, 3) >= 0);
    }
    const struct up *u = resolve(w);
    assert_int_equal(u->err, QUDAG_OK);
    assert_int_equal(u->target.kind, DARK_HIDDEN);
    assert_int_equal(u->target.hidden.intro[0].relay.len,
                     w->svc->own[0]->hidden.intro[0].relay.len);
    world_free(w);
}

/* SPEC: dark D-43: not together with the first, and no later than any other place that leads nowhere. */
static void both_places_of_a_new_address_lead_there_after_90_minutes(void **state)
{
    (void)state;
    unsigned late = 0;
    for (unsigned i = 0; i < 12; i++) {
        struct world *w = world_hidden();
        for (unsigned skip = 0; skip < i; skip++) {
            (void)rng_u64(&w->rng);
        }
        struct dark_service s = service_of(START, 1, 2, 3);
        uint64_t p = dark_period(START);
        say_points(w, &s);
        uint8_t second = (uint8_t)(1 - hurried(w, p));
        assert_true(place_of(w, p, hurried(w, p)).number > 0);
        run_to(w, 29 * MINUTE);
        assert_true(place_of(w, p, second).number == 0);
        run_to(w, 60 * MINUTE);
        late += place_of(w, p, second).number == 0 ? 1 : 0;
        run_to(w, 91 * MINUTE);
        struct dark_hidden h = record_at(w, p, second);
        assert_int_equal(h.n_intros, 3);
        world_free(w);
    }
    assert_in_range(late, 1, 11); /* the time is drawn */
}

static void without_keys_of_its_period_no_record_is_made(void **state)
{
    struct world *w = world_hidden();
    struct dark_service s = service_of(START, 1, 2, 3), late = s;

    (void)state;
    late.n_keys = 1; /* of the next period only */
    assert_int_equal(say(w, &late, DARK_PUBLISH_NOW), QUDAG_OK);
    assert_int_equal(w->puts, 0);
    assert_int_equal(last_up(w)->kind, DARK_UP_PUBLISHED);
    assert_int_equal(last_up(w)->err, QUDAG_ENOTFOUND);
    assert_int_equal(say(w, &s, DARK_PUBLISH_RESUME), QUDAG_OK);
    run_to(w, w->now + MINUTE);
    assert_int_equal(w->puts, 1);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    world_free(w);
}

/* Points that are replaced in their time go on, so that the records that name them need not be hurried. */
static void replaced_points_do_not_show(void **state)
{
    struct world *w = world_published();
    struct dark_service s = service_of(START, 4, 5, 6);
    uint64_t p = dark_period(START);
    struct dark_place_state before[2] = {place_of(w, p, 0), place_of(w, p, 1)};
    unsigned puts = w->puts;
    tstamp began = w->now;

    (void)state;
    old_add(&s, 1);
    old_add(&s, 2);
    old_add(&s, 3);
    for (int i = 0; i < 30; i++) { /* said again and again */
        say_points(w, &s);
        assert_int_equal(last_up(w)->err, QUDAG_OK); /* it can be found as before */
        assert_int_equal(last_up(w)->n, 0);
        w->now += NS_PER_S;
    }
    walltime first = before[0].due < before[1].due ? before[0].due : before[1].due;
    assert_true(first > wall(w));
    run_to(w, (tstamp)(first - START - 1) * NS_PER_S);
    assert_int_equal(w->puts, puts);
    assert_int_equal(place_of(w, p, 0).due, before[0].due);
    assert_int_equal(place_of(w, p, 1).due, before[1].due);
    run_to(w, began + 8 * HOUR);
    for (uint8_t i = 0; i < 2; i++) { /* each told it with its next renewal */
        struct dark_hidden h = record_at(w, p, i);
        assert_true(names(&h, 4) >= 0 && names(&h, 1) < 0);
    }
    world_free(w);
}

static void one_point_left_is_told_at_once_in_one_place(void **state)
{
    struct world *w = world_published();
    struct dark_service s = service_of(START, 1, 5, 6);
    uint64_t p = dark_period(START);

    (void)state;
    unsigned puts = w->puts;
    struct dark_place_state before[2] = {place_of(w, p, 0), place_of(w, p, 1)};
    w->now += 20 * MINUTE;
    say_points(w, &s);
    assert_int_equal(w->puts, puts + 1);
    uint8_t other = calm(w, p);
    struct dark_hidden h = record_at(w, p, hurried(w, p));
    assert_true(names(&h, 5) >= 0);
    assert_int_equal(place_of(w, p, other).due, before[other].due);
    h = record_at(w, p, other);
    assert_true(names(&h, 5) < 0);
    say_points(w, &s); /* it is not told twice */
    assert_int_equal(w->puts, puts + 1);
    world_free(w);
}

/* As after a restart: both places would send callers nowhere, one after the other. */
static void no_point_left_is_told_at_once_and_soon_everywhere(void **state)
{
    struct world *w = world_published();
    struct dark_service s = service_of(START, 4, 5, 6);
    uint64_t p = dark_period(START);
    tstamp soonest = UINT64_MAX, latest = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        run_to(w, w->now + 20 * MINUTE + DARK_HURRY_HOLD);
        tstamp began = w->now;
        p = dark_period(wall(w));
        s = service_of(wall(w), (uint8_t)(7 + 3 * i), (uint8_t)(8 + 3 * i), (uint8_t)(9 + 3 * i));
        struct dark_place_state before = place_of(w, p, 0);
        if (before.number == 0 || place_of(w, p, 1).number == 0 ||
            dark_period(wall(w) + 5400) != p) {
            continue; /* the first hours of a period, and its last */
        }
        say_points(w, &s);
        struct dark_hidden h = record_at(w, p, hurried(w, p));
        assert_true(names(&h, s.intro[0].key[0]) >= 0);
        uint8_t other = calm(w, p);
        for (h = record_at(w, p, other); names(&h, s.intro[0].key[0]) < 0;
             h = record_at(w, p, other)) {
            assert_true(w->now <= began + 90 * MINUTE);
            run_to(w, dark_deadline(w->svc));
        }
        soonest = w->now - began < soonest ? w->now - began : soonest;
        latest = w->now - began > latest ? w->now - began : latest;
    }
    assert_true(latest > 70 * MINUTE); /* drawn, not a constant */
    assert_true(soonest < 50 * MINUTE);
    world_free(w);
}

/* The places of the next period need not be right before it begins. */
static void places_of_the_next_period_are_told_before_it_begins(void **state)
{
    struct world *w = world_published();
    struct dark_service s = service_of(START, 4, 5, 6);
    uint64_t p = dark_period(START);

    (void)state;
    run_to(w, 15 * HOUR); /* an hour before midnight: most likely all four are out there */
    while (store_at(w, p + 1, 0) == NULL || store_at(w, p + 1, 1) == NULL) {
        run_to(w, dark_deadline(w->svc));
    }
    tstamp began = w->now;
    say_points(w, &s);
    struct dark_hidden a = record_at(w, p + 1, 0), b = record_at(w, p + 1, 1);
    assert_true(names(&a, 4) < 0 && names(&b, 4) < 0);
    run_to(w, 16 * HOUR);
    a = record_at(w, p + 1, 0);
    b = record_at(w, p + 1, 1);
    assert_true(began < 16 * HOUR);
    assert_true(names(&a, 4) >= 0 && names(&b, 4) >= 0);
    world_free(w);
}

static void restart(struct world *w)
{
    struct dark_keys k;

    dark_free(w->svc);
    w->svc = core_new(w);
    assert_int_equal(dark_keys_load(&k, (struct slice){w->saved, sizeof w->saved}), QUDAG_OK);
    assert_int_equal(k.kind, DARK_HIDDEN);
    assert_int_equal(dark_own(w->svc, &k), QUDAG_OK);
}

static void a_restart_with_new_points_is_told_everywhere(void **state)
{
    struct world *w = world_published();
    struct dark_service s = service_of(START, 4, 5, 6);
    uint64_t p = dark_period(START);
    unsigned puts = w->puts;

    (void)state;
    restart(w);
    w->now += MINUTE;
    size_t ups = w->n_up;
    assert_int_equal(say(w, &s, DARK_PUBLISH_RESUME), QUDAG_OK);
    assert_int_equal(w->n_up, ups); /* it cannot be reached before a record was stored */
    run_to(w, w->now);
    assert_int_equal(w->puts, puts + 1);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(last_up(w)->n, 20);
    run_to(w, w->now + 90 * MINUTE);
    struct dark_hidden a = record_at(w, p, 0), b = record_at(w, p, 1);
    assert_true(names(&a, 4) >= 0 && names(&b, 4) >= 0);
    assert_int_equal(w->puts, puts + 2);
    world_free(w);
}

static void a_restart_with_the_same_points_shows_nowhere(void **state)
{
    struct world *w = world_published();
    struct dark_service s = service_of(START, 1, 2, 3);
    uint64_t p = dark_period(START);
    struct dark_place_state before[2] = {place_of(w, p, 0), place_of(w, p, 1)};
    unsigned puts = w->puts;

    (void)state;
    restart(w);
    w->now += MINUTE;
    assert_int_equal(say(w, &s, DARK_PUBLISH_RESUME), QUDAG_OK);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    assert_int_equal(last_up(w)->n, 0);
    walltime first = before[0].due < before[1].due ? before[0].due : before[1].due;
    run_to(w, (tstamp)(first - START - 1) * NS_PER_S);
    assert_int_equal(w->puts, puts);
    world_free(w);
}

/* SPEC: dark D-36: of a record that still leads there by one point, or asks for other work, one place tells at once. */
static void what_still_leads_there_is_told_in_one_place(void **state)
{
    (void)state;
    for (int work = 0; work < 2; work++) {
        struct world *w = world_published();
        struct dark_service s = work != 0 ? service_of(START, 1, 2, 3) : service_of(START, 1, 4, 5);
        uint64_t p = dark_period(START);
        unsigned puts = w->puts;
        const struct dark_series *series = w->svc->own[0]->s;
        tstamp before[2];

        for (uint8_t i = 0; i < 2; i++) {
            const struct dark_place at = {p, i};
            before[i] = series[dark_slot(&at)].round_at;
        }
        if (work != 0) {
            s.pow = (struct dark_pow){.effort = 5, .expires = START + 10 * 3600};
        }
        say_points(w, &s);
        const struct dark_place other = {p, calm(w, p)};
        assert_int_equal(w->puts, puts + 1);
        assert_true(series[dark_slot(&other)].round_at == before[calm(w, p)]);
        struct dark_hidden told = record_at(w, p, hurried(w, p));
        assert_true(work != 0 ? told.pow.effort == 5 : names(&told, 4) >= 0);
        world_free(w);
    }
}

/* Whoever holds all introduction relays could make the service write to the DHT as often as it finds new ones. */
static void relays_that_drop_points_do_not_set_the_pace(void **state)
{
    struct world *w = world_published();

    (void)state;
    for (int thinly = 0; thinly < 2; thinly++) {
        unsigned puts = w->puts;
        for (unsigned i = 0; i < 360; i++) { /* an hour, every ten seconds */
            uint8_t n = (uint8_t)(10 + 2 * (i % 100));
            struct dark_service s = service_of(START, thinly != 0 ? 5 : 250, n, (uint8_t)(n + 1));
            s.intro[0].key[1] = thinly != 0 ? 5 : (uint8_t)i;
            run_to(w, w->now + 10 * NS_PER_S);
            say_points(w, &s);
        }
        /* once in a minute, once in ten, and the other place once */
        assert_in_range(w->puts - puts, thinly != 0 ? 4 : 50, thinly != 0 ? 14 : 62);
        run_to(w, w->now + 8 * HOUR); /* the hour before midnight: those of the next day as well */
    }
    world_free(w);
}

/* What is read back was made before the last point of it broke. */
static void points_that_broke_meanwhile_are_noticed(void **state)
{
    struct world *w = world_hidden();
    struct dark_service s = service_of(START, 1, 2, 3), later = service_of(START, 4, 5, 6);
    struct dark_publish_want want = {11, &w->addr, NULL, &s, DARK_PUBLISH_NOW};
    uint64_t p = dark_period(START);

    (void)state;
    assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_OK);
    uint64_t cookie = w->act_v[0].cookie;
    acts_reset_list(w);
    dark_saved(w->svc, cookie, QUDAG_OK, w->now, &w->acts);
    assert_int_equal(w->act_v[0].kind, DARK_UP_PUT); /* the record is made */
    struct act put = w->act_v[0];
    const struct dark_wanted wanted = *(const struct dark_wanted *)put.ptr;
    store_put(w, wanted.key, wanted.record);
    acts_reset_list(w);
    want.hidden = &later;
    want.how = DARK_PUBLISH_RESUME;
    assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_OK);
    assert_int_equal(w->acts.n, 0);
    const struct dark_answer ans = {.cookie = put.cookie, .stored = 20, .exit = w->exit[0]};
    dark_put_done(w->svc, &ans, w->now, &w->acts);
    settle(w, w->svc);
    run_to(w, w->now + 61 * NS_PER_S);
    struct dark_hidden h = record_at(w, p, hurried(w, p));
    assert_true(names(&h, 4) >= 0);
    world_free(w);
}

static void a_hidden_service_is_withdrawn_as_any_other(void **state)
{
    struct world *w = world_published();
    static const struct dark_service none;
    uint64_t p = dark_period(START);

    (void)state;
    unsigned puts = w->puts;
    assert_int_equal(dark_forget(w->svc, 33, &w->addr, w->now, &w->acts), QUDAG_OK);
    assert_memory_equal(&w->svc->own[0]->hidden, &none, sizeof none);
    settle(w, w->svc);
    assert_int_equal(last_up(w)->cookie, 33);
    assert_int_equal(last_up(w)->err, QUDAG_OK);
    struct dark_service s = service_of(START, 4, 5, 6);
    assert_int_equal(say(w, &s, DARK_PUBLISH_NOW), QUDAG_ENOTFOUND);
    run_to(w, w->now + 90 * MINUTE);
    assert_int_equal(w->puts, puts + 2);
    for (uint8_t i = 0; i < 2; i++) {
        const struct stored *r = store_must(w, p, i);
        struct dark_target t;
        assert_int_equal(
            dark_record_open(&t, &w->addr, NULL, (struct slice){r->rec, sizeof r->rec}, wall(w)),
            QUDAG_OK);
        assert_int_equal(t.kind, DARK_WITHDRAWN);
    }
    assert_int_equal(dark_deadline(w->svc), TSTAMP_NEVER);
    world_free(w);
}

/* How many of what a record names still stand. */
static unsigned standing(const struct dark_hidden *h, const struct dark_service *s)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < s->n_intros; i++) {
        n += names(h, s->intro[i].key[0]) >= 0 ? 1 : 0;
    }
    for (uint32_t i = 0; i < s->n_old; i++) {
        n += names(h, s->old[i][0]) >= 0 ? 1 : 0;
    }
    return n;
}

/*
 * Three days in which a point is replaced every three hours and kept for 14 h, and one in five breaks instead: who asks
 * both places finds a point that stands, and keys that are those of the record's period, at every moment.
 */
static void points_can_be_found_while_they_come_and_go(void **state)
{
    struct world *w = world_hidden();
    struct dark_service s = service_of(START, 1, 2, 3);
    uint8_t next = 4;
    tstamp old_until[DARK_OLD_MAX] = {0};

    (void)state;
    assert_int_equal(say(w, &s, DARK_PUBLISH_NOW), QUDAG_OK);
    for (unsigned i = 0; i < 3 * 24 * 4; i++) {
        run_to(w, w->now + 15 * MINUTE);
        struct dark_service n = service_of(wall(w), 1, 2, 3);
        memcpy(n.intro, s.intro, sizeof n.intro);
        for (uint32_t j = 0; j < s.n_old; j++) {
            if (old_until[j] > w->now) {
                old_until[n.n_old] = old_until[j];
                memcpy(n.old[n.n_old++], s.old[j], sizeof s.old[j]);
            }
        }
        s = n;
        if (i % 12 == 11) {
            uint32_t ix = (i / 12) % 3;
            if (i / 12 % 5 != 4) {
                old_until[s.n_old] = w->now + 14 * HOUR;
                memcpy(s.old[s.n_old++], s.intro[ix].key, 32);
            }
            point_set(&s.intro[ix], next++);
        }
        say_points(w, &s);
        unsigned best = 0;
        for (uint8_t r = 0; r < 2; r++) {
            const struct stored *at = store_at(w, dark_period(wall(w)), r);
            struct dark_target t;
            struct slice rec = {at == NULL ? NULL : at->rec, at == NULL ? 0 : sizeof at->rec};
            if (rec.len > 0 && dark_record_open(&t, &w->addr, NULL, rec, wall(w)) == QUDAG_OK) {
                unsigned here = standing(&t.hidden, &s);
                best = here > best ? here : best;
                assert_int_equal(t.hidden.x[0], dark_period(wall(w)) % 251);
            }
        }
        assert_true(best >= 2);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_of_what_a_record_still_leads_to),
        cmocka_unit_test(other_work_is_told_like_lost_points),
        cmocka_unit_test(what_no_record_may_say_is_refused),
        cmocka_unit_test(no_statement_of_the_node_is_made_for_a_hidden_service),
        cmocka_unit_test(each_record_names_all_points_and_the_keys_of_its_period),
        cmocka_unit_test(both_places_of_a_new_address_lead_there_after_90_minutes),
        cmocka_unit_test(without_keys_of_its_period_no_record_is_made),
        cmocka_unit_test(replaced_points_do_not_show),
        cmocka_unit_test(one_point_left_is_told_at_once_in_one_place),
        cmocka_unit_test(no_point_left_is_told_at_once_and_soon_everywhere),
        cmocka_unit_test(places_of_the_next_period_are_told_before_it_begins),
        cmocka_unit_test(a_restart_with_new_points_is_told_everywhere),
        cmocka_unit_test(a_restart_with_the_same_points_shows_nowhere),
        cmocka_unit_test(relays_that_drop_points_do_not_set_the_pace),
        cmocka_unit_test(what_still_leads_there_is_told_in_one_place),
        cmocka_unit_test(points_that_broke_meanwhile_are_noticed),
        cmocka_unit_test(a_hidden_service_is_withdrawn_as_any_other),
        cmocka_unit_test(points_can_be_found_while_they_come_and_go),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
