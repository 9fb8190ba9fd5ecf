/* guards_test.c - the sample of entry guards: who may be used, who is waited for, what outlives a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

#define DAY 86400
#define HOUR (3600 * NS_PER_S)
#define EPOCH 1800000000 /* the calendar of these tests */

static const struct relays_path_want three = {.n = 3};

/* Relays whose descriptors are valid for as long as a test may last. */
static struct world *forever(bool lab)
{
    struct world *w = world_new(lab);

    for (uint8_t i = 0; i < N; i++) {
        w->d[i].not_before = EPOCH;
        w->d[i].expires = EPOCH + INT64_C(1000) * DAY;
    }
    world_add(w);
    relays_expire(w->r, EPOCH, true);
    relays_settled(w->r, EPOCH);
    w->r->large = true; /* as one of many relays would be */
    return w;
}

static unsigned entry(struct world *w, tstamp now)
{
    struct onion_hop h[3];

    assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_OK);
    return ix_of(&h[0]);
}

/* |ix| is denied for |hours| while others answer; |now| moves on. */
static void deny(struct world *w, unsigned ix, unsigned hours, tstamp *now)
{
    struct peer_id peer = peer_of((uint8_t)ix), other = peer_of(150);

    for (unsigned i = 0; i <= hours * 6; i++) {
        relays_heard(w->r, &other, *now);
        relays_failed(w->r, &peer, *now);
        relays_heard(w->r, &other, *now + 1);
        *now += i < hours * 6 ? 600 * NS_PER_S : 2;
    }
}

/* ---- the rules ---- */

static void the_first_two_are_waited_for_and_no_other_takes_their_place(void **state)
{
    enum {
        FIT = 1,
        USED = 2,
        ANSWERS = 4,
        AWAY = 8,
        DOUBT = 16,
        OK = FIT | USED | ANSWERS,
        NEW = FIT | ANSWERS
    };
    static const struct {
        uint8_t v[5];
        uint32_t left;
        const char *allowed;
        bool spent;
    } row[] = {
        {{OK, OK, OK, NEW, NEW}, 4, "01", false},
        {{FIT | USED, OK, OK, NEW}, 4, "1", false},
        {{FIT | USED, FIT | USED, OK, NEW}, 4, "", false}, /* silent: waited for */
        {{FIT | USED | AWAY, FIT | USED, OK, NEW}, 4, "", false},
        {{FIT | USED | AWAY, OK, OK, NEW}, 4, "1", false},
        {{FIT | USED | AWAY, FIT | USED | AWAY, OK, NEW}, 4, "2", false},
        {{OK | AWAY, FIT | USED | AWAY, OK, NEW}, 4, "02", false}, /* tried again first */
        {{FIT | USED | AWAY, FIT | USED | AWAY, NEW, NEW}, 1, "2", false},
        {{FIT | USED | AWAY, FIT | USED | AWAY, NEW, NEW}, 0, "", true},
        {{FIT | USED | AWAY, FIT | USED | AWAY, FIT | USED, NEW}, 1, "", false},
        {{USED | ANSWERS, OK, OK, NEW}, 4, "12", false}, /* unfit ones hold no place */
        {{NEW, NEW, NEW, NEW}, 4, "01", false},
        {{NEW, NEW, NEW, NEW}, 0, "", true},
        {{OK, NEW, NEW, NEW}, 0, "0", true},
        {{0, 0, 0, 0}, 4, "", false},
        {{OK | DOUBT, OK, OK, NEW}, 4, "10", false}, /* it did not answer, the next one does */
        {{OK | DOUBT, OK | DOUBT, OK, NEW}, 4, "01", false}, /* no other takes their place */
        {{OK | AWAY | DOUBT, OK | AWAY | DOUBT, OK, NEW}, 4, "201", false},
    };
    uint8_t ix[5];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct relays_guard_view v[5];
        bool spent;
        for (size_t k = 0; k < 5; k++) {
            uint8_t b = row[i].v[k];
            v[k] = (struct relays_guard_view){.fit = (b & FIT) != 0,
                                              .used = (b & USED) != 0,
                                              .answers = (b & ANSWERS) != 0,
                                              .away = (b & AWAY) != 0,
                                              .doubtful = (b & DOUBT) != 0};
        }
        size_t n = relays_guards_allowed(v, 5, row[i].left, ix, &spent);
        assert_int_equal(n, strlen(row[i].allowed));
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(ix[k], row[i].allowed[k] - '0');
        }
        assert_int_equal(spent, row[i].spent);
    }
}

static void at_most_four_are_new_within_thirty_days(void **state)
{
    const walltime now = EPOCH, old = now - INT64_C(36) * DAY, lately = now - INT64_C(29) * DAY;
    const walltime used[] = {lately, old, 0, lately, now, lately, lately};

    (void)state;
    assert_int_equal(relays_guards_new_left(used, 0, now), 4);
    assert_int_equal(relays_guards_new_left(used, 3, now), 3);
    assert_int_equal(relays_guards_new_left(used, 5, now), 1);
    assert_int_equal(relays_guards_new_left(used, 6, now), 0);
    assert_int_equal(relays_guards_new_left(used, 7, now), 0);
    assert_int_equal(relays_guards_new_left(used, 7, now + INT64_C(36) * DAY), 4);
}

static void only_time_in_which_others_answered_counts_as_denial(void **state)
{
    (void)state;
    assert_int_equal(relays_denied_more(600, true), 600);
    assert_int_equal(relays_denied_more(600, false), 0);
    assert_int_equal(relays_denied_more(1200, true), 1200);
    assert_int_equal(relays_denied_more(100000, true), 1200); /* we slept */
}

static void path_bias_warns_below_70_percent_and_stops_below_50(void **state)
{
    static const struct {
        uint32_t tried, built, used, intact;
        enum relays_bias_verdict want;
    } row[] = {
        {99, 0, 99, 0, RELAYS_BIAS_FINE},         {100, 70, 100, 70, RELAYS_BIAS_FINE},
        {100, 69, 100, 100, RELAYS_BIAS_SUSPECT}, {100, 100, 100, 69, RELAYS_BIAS_SUSPECT},
        {100, 50, 0, 0, RELAYS_BIAS_SUSPECT},     {100, 49, 0, 0, RELAYS_BIAS_BAD},
        {0, 0, 100, 49, RELAYS_BIAS_BAD},         {400, 199, 300, 300, RELAYS_BIAS_BAD},
    };
    struct relays_bias b = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct relays_bias x = {row[i].tried, row[i].built, row[i].used, row[i].intact};
        assert_int_equal(relays_bias_judge(&x), row[i].want);
    }
    for (unsigned i = 0; i < 2000; i++) { /* good for long, then never: it shows soon */
        relays_bias_built(&b, true);
    }
    unsigned more = 0;
    while (relays_bias_judge(&b) != RELAYS_BIAS_BAD) {
        relays_bias_built(&b, false);
        more++;
    }
    assert_true(b.tried <= RELAYS_BIAS_MAX && b.built <= b.tried);
    assert_in_range(more, 100, 400);
}

/* ---- the sample ---- */

static void nothing_is_drawn_before_the_view_has_settled(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3];
    struct relays_view v;

    (void)state;
    world_add(w);
    relays_expire(w->r, WALL, true);
    assert_int_equal(w->r->n_guards + w->r->n_second, 0);
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_ENORELAYS);
    relays_view_get(w->r, &v);
    assert_int_equal(v.known.relays, N);
    assert_int_equal(v.known.networks, N);
    assert_int_equal(v.waiting, 0);
    struct peer_id p = peer_of(90);
    relays_candidate(w->r, &p);
    relays_view_get(w->r, &v);
    assert_int_equal(v.waiting, 1);
    assert_true(relays_next_fetch(w->r, 0, &p));
    relays_fetch_failed(w->r, &p, QUDAG_ETIMEOUT, 0);
    relays_view_get(w->r, &v);
    assert_int_equal(v.waiting, 0);
    relays_settled(w->r, WALL);
    assert_int_equal(w->r->n_guards, RELAYS_SAMPLE_MAX);
    assert_int_equal(w->r->n_second, RELAYS_SECOND_MAX);
    assert_int_equal(relays_guards_dirty(w->r), RELAYS_DIRTY_NOW);
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_OK);
    world_free(w);
}

/* Each relay is in one network, whatever addresses others name: P-31. */
static void who_names_networks_of_others_does_not_make_a_network_small(void **state)
{
    struct world *w = world_new(false);
    struct relays_view v;

    (void)state;
    for (uint8_t i = 0; i < RELAYS_VIEW_RELAYS; i++) {
        struct relay_desc d;
        desc_set(&d, i, i % RELAYS_VIEW_NETWORKS);
        for (uint8_t k = 1; i < 4 && k < RELAY_DESC_ADDRS_MAX; k++) {
            struct netaddr a = {
                .family = 4, .ip = {100, (uint8_t)(4 + i * 4 + k % 4), 1, 1}, .port = 4001};
            multiaddr_quic(&d.addr[d.n_addrs++], &a, NULL);
        }
        assert_int_equal(relays_add(w->r, &d), QUDAG_OK);
    }
    relays_view_get(w->r, &v);
    assert_int_equal(v.known.networks, RELAYS_VIEW_NETWORKS);
    assert_false(w->r->large);
    relays_expire(w->r, WALL, true);
    assert_true(w->r->large);
    world_free(w);
}

static void only_relays_that_say_they_are_guards_are_drawn(void **state)
{
    struct world *w = world_new(false);

    (void)state;
    for (size_t i = 0; i < N; i += 2) {
        w->d[i].flags &= (uint16_t)~RELAY_FLAG_GUARD;
    }
    world_add(w);
    relays_settled(w->r, WALL);
    assert_true(w->r->n_guards > 0);
    for (uint32_t i = 0; i < w->r->n_guards; i++) {
        assert_int_equal(ix_of(&w->r->guard[i]->x.hop) % 2, 1);
    }
    world_free(w);
}

static void a_guard_that_fails_is_replaced_by_the_other_primary_and_comes_back(void **state)
{
    struct world *w = forever(false);
    tstamp now = HOUR;
    unsigned first = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)first);
    struct onion_hop h[3];

    (void)state;
    relays_failed(w->r, &peer, now);
    unsigned second = entry(w, now);
    assert_int_not_equal(first, second);
    assert_int_equal(entry(w, now + 7 * NS_PER_S), second);
    relays_guard_linked(w->r, &peer);
    assert_int_equal(entry(w, now + 3 * NS_PER_S), second);
    assert_int_equal(entry(w, now + 7 * NS_PER_S), first);
    struct peer_id other = peer_of((uint8_t)second);
    relays_failed(w->r, &peer, now);
    relays_failed(w->r, &other, now);
    assert_int_equal(relays_guards_state(w->r, now), RELAYS_GUARDS_SILENT);
    assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_ENOGUARD);
    assert_false(relays_guards_spent(w->r));
    relays_worked(w->r, &other, now);
    assert_int_equal(relays_guards_state(w->r, now), RELAYS_GUARDS_ANSWER);
    assert_int_equal(entry(w, now), second);
    relays_worked(w->r, &peer, now);
    assert_int_equal(entry(w, now), first);
    world_free(w);
}

static void circuits_that_fail_together_are_one_failure(void **state)
{
    struct world *w = forever(false);
    tstamp now = HOUR;
    unsigned first = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)first);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        relays_failed(w->r, &peer, now + i * NS_PER_MS);
    }
    relays_guard_linked(w->r, &peer);
    assert_int_not_equal(entry(w, now + 3 * NS_PER_S), first);
    assert_int_equal(entry(w, now + 7 * NS_PER_S), first); /* and not in ten minutes */
    world_free(w);
}

static void eleven_hours_of_denial_change_nothing_twelve_cost_one_guard(void **state)
{
    struct world *w = forever(false);
    tstamp now = HOUR;
    unsigned first = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)first), peer2;
    struct onion_hop h[3];

    (void)state;
    deny(w, first, 30, &now);
    unsigned second = entry(w, now);
    peer2 = peer_of((uint8_t)second);
    deny(w, second, 11, &now);
    relays_failed(w->r, &peer, now);
    assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_ENOGUARD);
    deny(w, second, 1, &now);
    relays_failed(w->r, &peer, now);
    unsigned third = entry(w, now);
    assert_true(third != first && third != second);
    relays_worked(w->r, &peer2, now); /* back: the third is no longer used */
    assert_int_equal(entry(w, now), second);
    world_free(w);
}

static void as_long_as_nobody_answers_no_guard_is_to_blame(void **state)
{
    struct world *w = forever(false);
    tstamp now = HOUR;
    struct onion_hop h[3];
    unsigned first = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)first), other = peer_of(150);

    (void)state;
    relays_heard(w->r, &other, now);
    relays_failed(w->r, &peer, now);
    struct peer_id peer2 = peer_of((uint8_t)entry(w, now));
    for (unsigned i = 0; i < 24 * 6 * 3; i++) { /* three days without a network */
        now += 600 * NS_PER_S;
        relays_failed(w->r, &peer, now);
        relays_failed(w->r, &peer2, now);
    }
    assert_int_equal(relays_guards_find(w->r, &peer)->denied_s, 0);
    assert_int_equal(relays_guards_find(w->r, &peer2)->denied_s, 0);
    assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_ENOGUARD);
    relays_heard(w->r, &peer2, now); /* a guard's link says nothing of the network */
    assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_ENOGUARD);
    relays_heard(w->r, &other, now); /* it is back: the guards are tried at once */
    assert_int_equal(entry(w, now), first);
    world_free(w);
}

static void who_denies_guards_one_after_the_other_stops_us_after_four(void **state)
{
    struct world *w = forever(false);
    bool used[N] = {false};
    tstamp now = HOUR;
    struct onion_hop h[3];
    unsigned n = 0;
    qudag_err err;

    (void)state;
    for (unsigned step = 0; step < 60; step++) { /* thirty days, each of them denied all day */
        relays_expire(w->r, EPOCH + (walltime)(now / NS_PER_S), true);
        while ((err = relays_path(w->r, &three, now, h)) == QUDAG_OK) {
            n += used[ix_of(&h[0])] ? 0 : 1;
            used[ix_of(&h[0])] = true;
            struct peer_id peer = h[0].peer, other = peer_of(150);
            relays_failed(w->r, &peer, now);
            relays_heard(w->r, &other, now + 1);
        }
        assert_int_equal(err, QUDAG_ENOGUARD);
        bool spent = relays_guards_spent(w->r);
        assert_int_equal(relays_guards_state(w->r, now),
                         spent ? RELAYS_GUARDS_SPENT : RELAYS_GUARDS_SILENT);
        now += 600 * NS_PER_S;
        for (unsigned i = 0; i < N; i++) {
            if (used[i]) {
                tstamp t = now;
                deny(w, i, 12, &t);
            }
        }
        now += 12 * HOUR;
    }
    assert_int_equal(n, RELAYS_NEW_GUARDS);
    assert_true(relays_guards_spent(w->r));
    world_free(w);
}

static void a_withheld_descriptor_or_a_failed_fetch_changes_no_guard(void **state)
{
    struct world *w = forever(false);
    unsigned first = entry(w, 0);
    struct peer_id peer = peer_of((uint8_t)first);
    struct relay_desc d = w->d[first];

    (void)state;
    d.seq = 2;
    d.expires = EPOCH + DAY;
    assert_int_equal(relays_add(w->r, &d), QUDAG_OK);
    relays_fetch_failed(w->r, &peer, QUDAG_ENOTFOUND, 0);
    relays_expire(w->r, EPOCH + (1 + RELAYS_STALE_DAYS) * DAY - 1, true);
    assert_true(relays_has(w->r, &peer)); /* its keys are answered so long */
    assert_int_equal(entry(w, 0), first);
    relays_expire(w->r, EPOCH + (1 + RELAYS_STALE_DAYS) * DAY, true);
    assert_false(relays_has(w->r, &peer));
    assert_int_equal(entry(w, 0), first);
    relays_candidate(w->r, &peer); /* as everybody else, after days away */
    struct peer_id p;
    assert_true(relays_next_fetch(w->r, 0, &p));
    world_free(w);
}

static void guards_leave_at_their_date_and_not_before(void **state)
{
    struct world *w = forever(false);
    unsigned first = entry(w, 0);
    struct peer_id peer = peer_of((uint8_t)first);
    walltime until = relays_guards_find(w->r, &peer)->until;

    (void)state;
    assert_in_range(until, EPOCH + INT64_C(54) * DAY, EPOCH + INT64_C(120) * DAY);
    relays_expire(w->r, until - 1, true);
    assert_int_equal(entry(w, 0), first);
    relays_expire(w->r, until, false); /* others say that our clock is wrong */
    assert_int_equal(entry(w, 0), first);
    relays_expire(w->r, until, true);
    struct relays_guard *g = relays_guards_find(w->r, &peer);
    assert_true(g == NULL || g->used == 0); /* it may be drawn again, as any other */
    world_free(w);
}

static void dates_made_by_a_clock_ahead_are_made_again(void **state)
{
    struct world *w = forever(false);
    struct relays_guard *g = w->r->guard[3];

    (void)state;
    g->added = EPOCH + INT64_C(4000) * DAY;
    g->until = g->added + INT64_C(60) * DAY;
    relays_expire(w->r, EPOCH, true);
    assert_true(g->added <= EPOCH && g->until <= EPOCH + INT64_C(120) * DAY);
    world_free(w);
}

static void guards_are_never_asked_for_in_the_open(void **state)
{
    struct world *w = forever(false);
    struct peer_id p;

    (void)state;
    for (uint8_t i = 0; i < N; i++) {
        w->d[i].seq++;
        w->d[i].expires = EPOCH + DAY;
        assert_int_equal(relays_add(w->r, &w->d[i]), QUDAG_OK);
    }
    relays_expire(w->r, EPOCH + INT64_C(20) * 3600,
                  true); /* all are to be renewed; all are in the sample */
    for (uint8_t i = 0; i < N; i++) {
        relays_candidate(w->r, &w->d[i].peer);
    }
    assert_false(relays_next_fetch(w->r, 0, &p));
    unsigned n = 0;
    while (relays_guard_stale(w->r, 0, &p)) {
        n++;
    }
    assert_int_equal(n, N);
    assert_false(relays_guard_stale(w->r, 400 * NS_PER_S, &p));
    assert_true(relays_guard_stale(w->r, 1400 * NS_PER_S, &p));
    world_free(w);
}

static void a_guard_that_loses_circuits_is_suspect_and_stays(void **state)
{
    struct world *w = forever(false);
    unsigned first = entry(w, 0);
    struct peer_id peer = peer_of((uint8_t)first);
    struct relays_guard_info info;
    size_t it = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        relays_circuit_built(w->r, &peer, i % 10 < 6);
    }
    assert_true(relays_guard_next(w->r, &it, &info));
    assert_true(info.suspect);
    assert_int_equal(entry(w, 0), first);
    for (unsigned i = 0; i < 50; i++) {
        relays_circuit_built(w->r, &peer, false);
    }
    it = 0;
    assert_true(relays_guard_next(w->r, &it, &info));
    assert_true(info.suspect);
    assert_int_equal(entry(w, 0), first); /* others could drive it out otherwise */
    world_free(w);
}

static void what_was_drawn_from_few_is_drawn_again_once_the_network_is_large(void **state)
{
    struct world *w = world_new(false);
    unsigned first;

    (void)state;
    w->r->cfg.max = 100;
    relays_free(w->r);
    struct relays_config cfg = {.mem = &w->mem, .rng = rng_of_stream(&w->stream), .max = 200};
    assert_int_equal(relays_new(&w->r, &cfg), QUDAG_OK);
    world_add(w);
    relays_settled(w->r, WALL);
    first = entry(w, 0);
    for (uint8_t i = N; i < 150; i++) {
        struct relay_desc d;
        desc_set(&d, i, i);
        assert_int_equal(relays_add(w->r, &d), QUDAG_OK);
    }
    relays_expire(w->r, WALL, true);
    assert_true(w->r->large);
    assert_int_equal(w->r->n_guards, RELAYS_SAMPLE_MAX);
    assert_int_equal(entry(w, 0), first);
    unsigned later = 0;
    for (uint32_t i = 1; i < RELAYS_SAMPLE_MAX; i++) {
        later += ix_of(&w->r->guard[i]->x.hop) >= N ? 1 : 0;
    }
    assert_true(later >= 10); /* of 19, 130/149 are expected */
    world_free(w);
}

static void a_service_has_no_relay_of_its_network_or_family_before_it(void **state)
{
    struct world *w = forever(false);
    struct onion_hop h[3], service = {.n_addrs = 1};
    unsigned first = entry(w, 0);

    (void)state;
    service.peer = peer_of(99);
    service.addr[0] = w->d[first].addr[0]; /* the service is in the guard's network */
    struct relays_path_want want = {.n = 3, .service = &service};
    assert_int_equal(relays_path(w->r, &want, 0, h), QUDAG_OK);
    unsigned other = ix_of(&h[0]);
    assert_int_not_equal(other, first);
    for (unsigned i = 0; i < N; i++) { /* wherever it is, and whose family it is of */
        service.addr[0] = w->d[i].addr[0];
        for (int k = 0; k < 30; k++) {
            qudag_err err = relays_path(w->r, &want, 0, h);
            assert_true(err == QUDAG_OK);
            assert_true(ix_of(&h[0]) == first || ix_of(&h[0]) == other);
            assert_true(ix_of(&h[0]) != i && ix_of(&h[1]) != i && ix_of(&h[2]) != i);
        }
    }
    world_free(w);
}

/* Whoever makes paths through the first impossible is given the other primary, and no third guard. */
static void a_primary_that_no_path_begins_with_is_passed_over_for_the_other_alone(void **state)
{
    struct world *w = forever(false);
    struct onion_hop h[3];
    unsigned both[2] = {entry(w, 0), 0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct relay_desc d = w->d[both[i]];
        d.seq += 5;
        d.n_addrs = RELAYS_SECOND_MAX; /* an address in the network of each second-layer guard */
        for (unsigned k = 0; k < RELAYS_SECOND_MAX; k++) {
            d.addr[k] = w->r->second[k]->x.hop.addr[0];
        }
        assert_int_equal(relays_add(w->r, &d), QUDAG_OK);
        if (i == 0) {
            both[1] = entry(w, 0);
            assert_int_not_equal(both[0], both[1]);
            assert_int_equal(entry(w, 0), both[1]);
        }
    }
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_ENORELAYS);
    unsigned used = 0;
    for (uint32_t i = 0; i < w->r->n_guards; i++) {
        used += w->r->guard[i]->used != 0 ? 1 : 0;
    }
    assert_int_equal(used, RELAYS_PRIMARIES);
    world_free(w);
}

/* ---- second-layer guards ---- */

static void four_relays_are_second_and_stay_so(void **state)
{
    struct world *w = forever(false);
    bool second[N] = {false};
    unsigned n = 0;

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        struct relays_path_want want = {.n = 3 + i % 4};
        struct onion_hop h[ONION_HOPS_MAX];
        assert_int_equal(relays_path(w->r, &want, i, h), QUDAG_OK);
        n += second[ix_of(&h[1])] ? 0 : 1;
        second[ix_of(&h[1])] = true;
        struct peer_id p = h[1].peer;
        if (i % 7 == 0) { /* its guard says that it fails */
            relays_failed(w->r, &p, i);
        }
    }
    assert_int_equal(n, RELAYS_SECOND_MAX);
    world_free(w);
}

static void second_layer_guards_live_for_one_to_twelve_days_mostly_long(void **state)
{
    struct rng_stream s;
    uint8_t seed[32] = {4};
    walltime sum = 0;
    enum { DRAWS = 4000 };

    (void)state;
    rng_stream_init(&s, seed);
    struct rng rng = rng_of_stream(&s);
    for (int i = 0; i < DRAWS; i++) {
        walltime t = relays_second_life(rng_u32(&rng), rng_u32(&rng));
        assert_in_range(t, DAY, 12 * DAY);
        sum += t;
    }
    assert_in_range(sum / DRAWS, 8 * DAY,
                    INT64_C(9) * DAY - DAY / 4); /* 1 + 11 * 2/3 = 8.33 days */
    struct world *w = forever(false);
    struct peer_id one = w->r->second[0]->x.hop.peer;
    walltime until = w->r->second[0]->until;
    relays_expire(w->r, until - 1, true);
    struct relays_second *found = relays_second_find(w->r, &one);
    assert_true(found != NULL && found->until == until);
    relays_expire(w->r, until, true);
    found = relays_second_find(w->r, &one);
    assert_true(found == NULL || found->until > until);
    assert_int_equal(w->r->n_second, RELAYS_SECOND_MAX);
    world_free(w);
}

static void a_second_layer_guard_that_is_gone_for_days_is_replaced(void **state)
{
    struct world *w = forever(false);
    struct peer_id one = w->r->second[1]->x.hop.peer;
    tstamp now = HOUR;

    (void)state;
    w->r->second[1]->until = EPOCH + INT64_C(12) * DAY;
    w->r->second[1]->x.expires = EPOCH + DAY;
    relays_expire(w->r, EPOCH + INT64_C(3) * DAY - 1, true);
    struct relays_second *s = relays_second_find(w->r, &one);
    assert_true(s == NULL || s->x.expires == EPOCH + DAY || s->until > EPOCH + INT64_C(13) * DAY);
    relays_expire(w->r, EPOCH + INT64_C(3) * DAY, true);
    s = relays_second_find(w->r, &one);
    assert_true(s == NULL || s->x.expires != EPOCH + DAY);
    one = w->r->second[0]->x.hop.peer;
    w->r->second[0]->until = EPOCH + INT64_C(15) * DAY;
    struct peer_id other = peer_of(150);
    for (unsigned i = 0; i <= 24 * 6; i++, now += 600 * NS_PER_S) { /* a day of failures */
        assert_non_null(relays_second_find(w->r, &one));
        relays_failed(w->r, &one, now);
        relays_worked(w->r, &other, now + 1);
        relays_expire(w->r, EPOCH + INT64_C(3) * DAY, true);
    }
    s = relays_second_find(w->r, &one);
    assert_true(s == NULL || s->denied_s == 0);
    world_free(w);
}

/* ---- over a restart ---- */

static uint8_t file[RELAYS_GUARDS_FILE_MAX];

static void a_restart_changes_neither_guards_nor_second_layer(void **state)
{
    struct world *w = forever(false), *v = world_new(false);
    tstamp now = HOUR;
    unsigned first = entry(w, now);
    struct onion_hop h[3];

    (void)state;
    deny(w, first, 3, &now);
    unsigned second = entry(w, now);
    for (unsigned i = 0; i < 10; i++) {
        struct peer_id p = peer_of((uint8_t)second);
        relays_circuit_built(w->r, &p, i != 4);
        relays_circuit_ended(w->r, &p, i != 7);
    }
    size_t len = relays_guards_save(w->r, file, sizeof file);
    assert_true(len > 0);
    relays_guards_saved(w->r);
    assert_int_equal(relays_guards_load(v->r, (struct slice){file, len}), QUDAG_OK);
    assert_int_equal(relays_guards_dirty(v->r), RELAYS_CLEAN);
    assert_true(v->r->large);
    assert_int_equal(v->r->n_guards, w->r->n_guards);
    assert_int_equal(v->r->n_second, w->r->n_second);
    for (uint32_t i = 0; i < w->r->n_guards; i++) {
        const struct relays_guard *a = w->r->guard[i], *b = v->r->guard[i];
        assert_memory_equal(&a->x.hop, &b->x.hop, sizeof a->x.hop.peer);
        assert_memory_equal(a->x.hop.k, b->x.hop.k, sizeof a->x.hop.k);
        assert_true(multiaddr_eq(&a->x.hop.addr[0], &b->x.hop.addr[0]));
        assert_true(a->added == b->added && a->used == b->used && a->until == b->until);
        assert_int_equal(a->denied_s, b->denied_s);
        assert_memory_equal(&a->bias, &b->bias, sizeof a->bias);
        assert_true(a->x.flags == b->x.flags && a->x.seq == b->x.seq && a->x.ip == b->x.ip);
    }
    /* with nothing else known there are paths once the view has settled, without asking anybody */
    assert_int_equal(relays_path(v->r, &three, 0, h), QUDAG_ENORELAYS);
    relays_settled(v->r, EPOCH);
    assert_int_equal(relays_path(v->r, &three, 0, h), QUDAG_OK);
    assert_int_equal(ix_of(&h[0]), first);
    world_free(w);
    world_free(v);
}

static void a_damaged_file_is_refused_at_every_byte_and_length(void **state)
{
    struct world *w = forever(false), *v = world_new(false);
    static uint8_t bad[RELAYS_GUARDS_FILE_MAX];

    (void)state;
    (void)entry(w, 0);
    size_t len = relays_guards_save(w->r, file, sizeof file);
    for (size_t i = 0; i < len; i += i < 400 ? 1 : 61) {
        memcpy(bad, file, len);
        bad[i] ^= 0x10;
        assert_int_equal(relays_guards_load(v->r, (struct slice){bad, len}), QUDAG_EMALFORMED);
        assert_int_equal(relays_guards_load(v->r, (struct slice){file, i}), QUDAG_EMALFORMED);
        assert_int_equal(v->r->n_guards + v->r->n_second, 0);
    }
    /* rightly summed, and still not to be believed */
    for (size_t i = 0; i < 200; i++) {
        memcpy(bad, file, len);
        bad[i] = 0xff;
        relays_guards_sum(bad + len - RELAYS_SUM_LEN, (struct slice){bad, len - RELAYS_SUM_LEN});
        qudag_err err = relays_guards_load(v->r, (struct slice){bad, len});
        assert_true(err == QUDAG_OK || err == QUDAG_EMALFORMED);
        assert_true(i >= 5 || err == QUDAG_EMALFORMED); /* magic, version */
    }
    assert_int_equal(relays_guards_save(w->r, file, 100), 0);
    world_free(w);
    world_free(v);
}

static void the_longest_file_fits(void **state)
{
    struct world *w = forever(false);

    (void)state;
    for (uint32_t i = 0; i < w->r->n_guards; i++) {
        struct relays_entry *x = &w->r->guard[i]->x;
        x->hop.n_addrs = ONION_ADDRS_MAX;
        for (unsigned k = 0; k < ONION_ADDRS_MAX; k++) {
            x->hop.addr[k].len = MULTIADDR_MAX;
        }
        if (i < w->r->n_second) {
            w->r->second[i]->x = *x;
        }
    }
    assert_int_equal(w->r->n_guards, RELAYS_SAMPLE_MAX);
    assert_true(relays_guards_save(w->r, file, sizeof file) > 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_two_are_waited_for_and_no_other_takes_their_place),
        cmocka_unit_test(at_most_four_are_new_within_thirty_days),
        cmocka_unit_test(only_time_in_which_others_answered_counts_as_denial),
        cmocka_unit_test(path_bias_warns_below_70_percent_and_stops_below_50),
        cmocka_unit_test(nothing_is_drawn_before_the_view_has_settled),
        cmocka_unit_test(who_names_networks_of_others_does_not_make_a_network_small),
        cmocka_unit_test(only_relays_that_say_they_are_guards_are_drawn),
        cmocka_unit_test(a_guard_that_fails_is_replaced_by_the_other_primary_and_comes_back),
        cmocka_unit_test(circuits_that_fail_together_are_one_failure),
        cmocka_unit_test(eleven_hours_of_denial_change_nothing_twelve_cost_one_guard),
        cmocka_unit_test(as_long_as_nobody_answers_no_guard_is_to_blame),
        cmocka_unit_test(who_denies_guards_one_after_the_other_stops_us_after_four),
        cmocka_unit_test(a_withheld_descriptor_or_a_failed_fetch_changes_no_guard),
        cmocka_unit_test(guards_leave_at_their_date_and_not_before),
        cmocka_unit_test(dates_made_by_a_clock_ahead_are_made_again),
        cmocka_unit_test(guards_are_never_asked_for_in_the_open),
        cmocka_unit_test(a_guard_that_loses_circuits_is_suspect_and_stays),
        cmocka_unit_test(what_was_drawn_from_few_is_drawn_again_once_the_network_is_large),
        cmocka_unit_test(a_service_has_no_relay_of_its_network_or_family_before_it),
        cmocka_unit_test(a_primary_that_no_path_begins_with_is_passed_over_for_the_other_alone),
        cmocka_unit_test(four_relays_are_second_and_stay_so),
        cmocka_unit_test(second_layer_guards_live_for_one_to_twelve_days_mostly_long),
        cmocka_unit_test(a_second_layer_guard_that_is_gone_for_days_is_replaced),
        cmocka_unit_test(a_restart_changes_neither_guards_nor_second_layer),
        cmocka_unit_test(a_damaged_file_is_refused_at_every_byte_and_length),
        cmocka_unit_test(the_longest_file_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
