/* edges_test.c - what each condition of the choice of relays and guards is there for, one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

#include <stdio.h>

#define DAY 86400
#define EPOCH 1800000000 /* the calendar of these tests */

static const struct relays_path_want three = {.n = 3}, one = {.n = 1};

/* |w|'s relays are known, and guards drawn from them. */
static void draw(struct world *w)
{
    for (uint8_t i = 0; i < N; i++) {
        w->d[i].not_before = EPOCH;
        w->d[i].expires = EPOCH + INT64_C(1000) * DAY;
    }
    world_add(w);
    relays_expire(w->r, EPOCH, true);
    relays_settled(w->r, EPOCH);
}

static struct world *drawn(bool lab)
{
    struct world *w = world_new(lab);

    draw(w);
    w->r->large = true;
    return w;
}

static unsigned entry(struct world *w, tstamp now)
{
    struct onion_hop h[3];

    assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_OK);
    return ix_of(&h[0]);
}

static struct relays_entry with_net(uint8_t i, uint8_t family, uint8_t a, uint8_t b)
{
    struct relays_entry x = {.n_nets = 1, .net = {{.family = family, .b = {a, b}}}};

    x.hop.peer = peer_of(i);
    return x;
}

/* ---- relays ---- */

static void what_is_no_ip_address_stays_and_counts_for_nothing(void **state)
{
    struct world *w = world_new(false);
    struct multiaddr name;
    struct onion_hop hop = {.n_addrs = 0};

    (void)state;
    assert_int_equal(multiaddr_parse(&name, "/dns4/relay.example/udp/4001/quic-v1"), QUDAG_OK);
    assert_true(relays_addr_usable(&name, false));
    hop.addr[hop.n_addrs++] = name;
    assert_int_equal(relays_ip_of(&hop), 0);
    /* we may have a socket for it, for all we know */
    struct relays_entry x = {.ip = 0};
    relays_set_own_ip(w->r, RELAYS_IP4);
    assert_true(relays_entry_dialable(w->r, &x));
    x.ip = RELAYS_IP6;
    assert_false(relays_entry_dialable(w->r, &x));
    world_free(w);
}

static void the_same_bytes_of_two_ip_versions_are_two_networks(void **state)
{
    struct world *w = world_new(false);
    struct relays_entry a = with_net(1, 4, 0x20, 0x01), b = with_net(2, 6, 0x20, 0x01);

    (void)state;
    assert_true(relays_compatible(w->r, &a, &b));
    b.net[0].family = 4;
    assert_false(relays_compatible(w->r, &a, &b));
    world_free(w);
}

static void relays_with_ipv6_alone_lie_in_networks(void **state)
{
    struct relays_entry x[] = {with_net(1, 6, 0x2a, 1), with_net(2, 6, 0x2a, 1),
                               with_net(3, 6, 0x2a, 2)};
    const struct relays_entry *v[] = {&x[0], &x[1], &x[2]};

    (void)state;
    assert_int_equal(relays_diversity_of(v, 3, false).networks, 2);
}

/* ---- guards ---- */

static void the_fate_of_built_circuits_is_counted_apart_from_building(void **state)
{
    struct relays_bias b = {0};

    (void)state;
    relays_bias_used(&b, false);
    assert_true(b.used == 1 && b.intact == 0 && b.tried == 0 && b.built == 0);
    relays_bias_built(&b, true);
    assert_true(b.used == 1 && b.intact == 0 && b.tried == 1 && b.built == 1);
}

/* A file of another node, whose guard we are. */
static void we_are_never_our_own_guard(void **state)
{
    static uint8_t file[RELAYS_GUARDS_FILE_MAX];
    struct world *w = drawn(false), *v = world_new(false);

    (void)state;
    unsigned first = entry(w, 0);
    size_t len = relays_guards_save(w->r, file, sizeof file);
    v->r->cfg.self = peer_of((uint8_t)first);
    assert_int_equal(relays_guards_load(v->r, (struct slice){file, len}), QUDAG_OK);
    relays_settled(v->r, EPOCH);
    assert_int_not_equal(entry(v, 0), first);
    world_free(w);
    world_free(v);
}

static void who_is_a_guard_no_longer_is_used_no_longer(void **state)
{
    struct world *w = drawn(false);
    unsigned first = entry(w, 0);
    struct relay_desc *d = &w->d[first];

    (void)state;
    d->seq++;
    d->flags = RELAY_FLAG_GATEWAY; /* it says itself that it is none */
    assert_int_equal(relays_add(w->r, d), QUDAG_OK);
    unsigned second = entry(w, 0);
    assert_int_not_equal(second, first);
    d = &w->d[second];
    d->seq++;
    d->n_addrs = 0; /* of which nobody knows where it is */
    assert_int_equal(relays_add(w->r, d), QUDAG_OK);
    unsigned third = entry(w, 0);
    assert_true(third != first && third != second);
    d = &w->d[third];
    d->seq++;
    d->n_addrs = 0;
    assert_int_equal(relays_add(w->r, d), QUDAG_OK);
    unsigned fourth =
        entry(w, 0); /* those before it take no place of the two that are waited for */
    assert_true(fourth != first && fourth != second && fourth != third);
    world_free(w);
}

static void dates_are_blurred_by_up_to_five_days(void **state)
{
    struct world *w = drawn(false);
    walltime least = EPOCH, most = 0;

    (void)state;
    (void)entry(w, 0);
    for (uint32_t i = 0; i < w->r->n_guards; i++) {
        walltime t = w->r->guard[i]->added;
        assert_true(t <= EPOCH && t >= EPOCH - 5 * DAY);
        least = t < least ? t : least;
        most = t > most ? t : most;
    }
    assert_true(most - least > DAY); /* and not by the same for all */
    assert_true(w->r->guard[0]->used < EPOCH);
    world_free(w);
}

static void a_clock_near_its_beginning_makes_dates_that_can_be_read_again(void **state)
{
    static uint8_t file[RELAYS_GUARDS_FILE_MAX];
    struct world *w = world_new(false), *v = world_new(false);

    (void)state;
    world_add(w);
    relays_settled(w->r, WALL);
    (void)entry(w, 0);
    assert_true(w->r->guard[0]->used > 0);
    size_t len = relays_guards_save(w->r, file, sizeof file);
    assert_int_equal(relays_guards_load(v->r, (struct slice){file, len}), QUDAG_OK);
    world_free(w);
    world_free(v);
}

static void what_must_be_saved_now_does_not_become_less_urgent(void **state)
{
    struct world *w = drawn(false);

    (void)state;
    relays_guards_saved(w->r);
    relays_guards_note(w->r, RELAYS_DIRTY_NOW);
    relays_guards_note(w->r, RELAYS_DIRTY_LATER);
    assert_int_equal(relays_guards_dirty(w->r), RELAYS_DIRTY_NOW);
    world_free(w);
}

static void a_sample_is_drawn_again_once_only(void **state)
{
    struct world *w = world_new(false);

    (void)state;
    draw(w);
    (void)entry(w, 0);
    relays_guards_large(w->r);
    relays_expire(w->r, EPOCH, true);
    assert_int_equal(w->r->n_guards, RELAYS_SAMPLE_MAX);
    relays_guards_large(w->r);
    assert_int_equal(w->r->n_guards, RELAYS_SAMPLE_MAX);
    world_free(w);
}

static void a_relay_that_failed_as_a_hop_becomes_a_guard_with_a_clean_slate(void **state)
{
    struct world *w = world_new(false);

    (void)state;
    for (uint8_t i = 0; i < N; i++) {
        w->d[i].expires = EPOCH + DAY;
    }
    world_add(w);
    for (uint8_t i = 0; i < N; i++) {
        struct peer_id p = peer_of(i);
        relays_failed(w->r, &p, 0);
    }
    relays_settled(w->r, EPOCH);
    assert_true(w->r->n_guards > 0 && w->r->n_second > 0);
    for (uint32_t i = 0; i < w->r->n_guards; i++) {
        assert_true(w->r->guard[i]->x.failures == 0 && w->r->guard[i]->x.usable == 0);
    }
    for (uint32_t i = 0; i < w->r->n_second; i++) {
        assert_true(w->r->second[i]->x.failures == 0 && w->r->second[i]->x.usable == 0);
    }
    world_free(w);
}

/* Where relays come and go all the time, guards that fail are replaced at once, however many. */
static void a_lab_goes_through_all_guards(void **state)
{
    struct world *w = drawn(true);
    bool was[N] = {false};
    struct onion_hop h[1];

    (void)state;
    for (unsigned i = 0; i < RELAYS_NEW_GUARDS + 3; i++) {
        assert_int_equal(relays_path(w->r, &one, 0, h), QUDAG_OK);
        assert_false(was[ix_of(&h[0])]);
        was[ix_of(&h[0])] = true;
        struct peer_id p = h[0].peer;
        relays_failed(w->r, &p, 0);
    }
    world_free(w);
}

/* The other network we are in now has no IPv4: that may pass, and until then the time counts as denial. */
static void a_guard_of_an_ip_version_we_have_not_counts_as_failing(void **state)
{
    struct world *w = drawn(false);
    uint8_t ix[RELAYS_SAMPLE_MAX];

    (void)state;
    (void)entry(w, 0);
    relays_set_own_ip(w->r, RELAYS_IP6);
    assert_int_equal(relays_guards_usable(w->r, NULL, 0, ix), 0);
    assert_true(w->r->guard[0]->failing);
    for (uint32_t i = 1; i < w->r->n_guards; i++) { /* those never used have denied nothing */
        assert_false(w->r->guard[i]->failing);
    }
    world_free(w);
}

static void guards_are_not_spent_while_one_answers(void **state)
{
    struct world *w = drawn(false);
    uint8_t ix[RELAYS_SAMPLE_MAX];

    (void)state;
    for (uint32_t i = 0; i < RELAYS_NEW_GUARDS; i++) {
        relays_guards_use(w->r, i);
    }
    for (uint32_t i = 0; i < RELAYS_NEW_GUARDS - 1; i++) {
        w->r->guard[i]->denied_s = RELAYS_AWAY_S;
    }
    w->r->guard[RELAYS_NEW_GUARDS - 1]->denied_s = RELAYS_AWAY_S; /* away, and yet it answers */
    assert_true(relays_guards_usable(w->r, NULL, 0, ix) > 0);
    assert_false(relays_guards_spent(w->r));
    world_free(w);
}

/* Whoever was used, with however much bad luck of those before it, is before all that were not. */
static void a_guard_that_is_used_moves_up_behind_those_used_before(void **state)
{
    struct world *w = drawn(false);
    const struct relays_guard *a = w->r->guard[5], *b = w->r->guard[7], *c = w->r->guard[0];

    (void)state;
    relays_guards_use(w->r, 5);
    assert_ptr_equal(w->r->guard[0], a);
    assert_ptr_equal(w->r->guard[1], c);
    relays_guards_use(w->r, 7);
    assert_ptr_equal(w->r->guard[0], a);
    assert_ptr_equal(w->r->guard[1], b);
    assert_ptr_equal(w->r->guard[2], c);
    world_free(w);
}

/* Its life begins when it is used, however long it was in the sample before. */
static void a_guard_lives_from_its_first_use(void **state)
{
    struct world *w = drawn(false);

    (void)state;
    w->r->wall = EPOCH + INT64_C(59) * DAY;
    w->r->guard[0]->until = EPOCH + INT64_C(60) * DAY;
    relays_guards_use(w->r, 0);
    assert_true(w->r->guard[0]->until >= EPOCH + INT64_C(59 - 5 + 60) * DAY);
    world_free(w);
}

/* ---- what happens to guards ---- */

/* It is denied for |hours| while others answer; |now| moves on. */
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

static void denial_ends_with_the_first_answer_and_goes_to_disk(void **state)
{
    struct world *w = drawn(false);
    tstamp now = NS_PER_S;
    unsigned first = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)first);

    (void)state;
    relays_guards_saved(w->r);
    deny(w, first, 11, &now);
    assert_int_equal(relays_guards_dirty(w->r), RELAYS_DIRTY_LATER);
    relays_guards_saved(w->r);
    relays_worked(w->r, &peer, now);
    assert_int_equal(relays_guards_dirty(w->r), RELAYS_DIRTY_LATER);
    assert_int_equal(w->r->guard[0]->denied_s, 0);
    now += NS_PER_S;
    deny(w, first, 2, &now);
    assert_true(w->r->guard[0]->denied_s < RELAYS_AWAY_S);
    world_free(w);
}

/* Ten minutes at the most, by up to a fifth more or less, and not the same for all who wait. */
static void a_silent_guard_is_tried_again_within_minutes(void **state)
{
    struct world *w = drawn(false);
    struct peer_id peer = peer_of((uint8_t)entry(w, 0));
    struct relays_guard *g = w->r->guard[0];
    tstamp now = NS_PER_S;
    uint64_t most = 0, least = UINT64_MAX;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        relays_failed(w->r, &peer, now);
        uint64_t wait = g->x.usable - now;
        least = i > 9 && wait < least ? wait : least;
        most = wait > most ? wait : most;
        now = g->x.usable;
    }
    assert_true(most <= 720 * NS_PER_S && most > 610 * NS_PER_S);
    assert_true(least >= 480 * NS_PER_S && least < 590 * NS_PER_S);
    world_free(w);
}

/* Only of those that failed while nobody answered our own network may have been the cause. */
static void who_failed_while_others_answered_is_not_forgiven_by_silence(void **state)
{
    struct world *w = drawn(false);
    struct peer_id peer = peer_of((uint8_t)entry(w, 0)), other = peer_of(150);
    struct relays_guard *g = w->r->guard[0];

    (void)state;
    tstamp failed = 0;
    for (unsigned i = 1; i < 9; i++) {
        failed = g->x.usable + NS_PER_S;
        relays_heard(w->r, &other, failed - 1);
        relays_failed(w->r, &peer, failed);
        relays_heard(w->r, &other, failed + 1);
    }
    relays_heard(w->r, &other, failed + 100 * NS_PER_S);
    assert_true(g->x.usable > failed + 100 * NS_PER_S && g->x.failures > 1);
    relays_failed(w->r, &peer, failed + 101 * NS_PER_S);
    relays_heard(w->r, &other, failed + 200 * NS_PER_S);
    assert_int_equal(g->x.usable, failed + 200 * NS_PER_S);
    assert_int_equal(g->x.failures, 0);
    world_free(w);
}

static void the_counters_of_path_bias_go_to_disk_now_and_then(void **state)
{
    struct world *w = drawn(false);
    struct peer_id peer = peer_of((uint8_t)entry(w, 0));

    (void)state;
    relays_guards_saved(w->r);
    for (unsigned i = 0; i < 31; i++) {
        relays_circuit_built(w->r, &peer, true);
        assert_int_equal(relays_guards_dirty(w->r), RELAYS_CLEAN);
    }
    relays_circuit_built(w->r, &peer, true);
    assert_int_equal(relays_guards_dirty(w->r), RELAYS_DIRTY_LATER);
    world_free(w);
}

static void a_guard_s_descriptor_is_looked_for_in_the_second_half_of_its_life(void **state)
{
    struct world *w = drawn(false);
    struct peer_id peer;

    (void)state;
    w->r->wall = EPOCH + INT64_C(500) * DAY;
    assert_false(relays_guard_stale(w->r, NS_PER_S, &peer));
    w->r->wall++;
    assert_true(relays_guard_stale(w->r, NS_PER_S, &peer));
    world_free(w);
}

static void only_a_primary_that_was_used_and_fails_is_dialled_and_when_it_is_due(void **state)
{
    struct world *w = drawn(false);
    struct peer_id peer = peer_of((uint8_t)entry(w, 0));
    struct onion_hop hop;

    (void)state;
    assert_false(relays_guard_probe(w->r, 0, &hop));
    relays_failed(w->r, &peer, NS_PER_S);
    assert_false(relays_guard_probe(w->r, NS_PER_S, &hop)); /* it failed just now */
    tstamp due = w->r->guard[0]->x.usable;
    assert_true(relays_guard_probe(w->r, due, &hop));
    assert_true(peer_id_eq(&hop.peer, &peer));
    w->r->guard[0]->failing = false;
    w->r->guard[1]->failing =
        true; /* never used: it is none of the guard's business that we exist */
    assert_false(relays_guard_probe(w->r, due, &hop));
    relays_guards_use(w->r, 1);
    assert_true(relays_guard_probe(w->r, due, &hop));
    w->r->guard[1]->failing = false;
    relays_guards_use(w->r, 2);
    w->r->guard[2]->failing = true; /* behind the primaries */
    assert_false(relays_guard_probe(w->r, due, &hop));
    world_free(w);
}

/* ---- paths ---- */

static void a_relay_of_a_lab_is_no_end_of_a_path_either(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3];

    (void)state;
    for (uint8_t i = 0; i < N; i++) {
        w->d[i].flags = i == 3 ? RELAY_FLAG_GATEWAY | RELAY_FLAG_LAB : RELAY_FLAG_GUARD;
    }
    draw(w);
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_ENORELAYS);
    w->d[3].flags = RELAY_FLAG_GATEWAY;
    w->d[3].seq++;
    assert_int_equal(relays_add(w->r, &w->d[3]), QUDAG_OK);
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_OK);
    world_free(w);
}

/* Alone on the second layer: one of four, each as likely. */
static void each_of_the_second_layer_is_drawn(void **state)
{
    struct world *w = drawn(false);
    unsigned was[N] = {0}, drawn_n = 0;
    struct onion_hop h[3];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_OK);
        was[ix_of(&h[1])]++;
    }
    for (unsigned i = 0; i < N; i++) {
        drawn_n += was[i] > 0;
    }
    assert_true(drawn_n >= 3); /* one may be of the guard's network */
    world_free(w);
}

/* The service is a relay: its record does not say of which family, its descriptor does. */
static void the_family_of_a_service_that_is_a_relay_is_known_from_the_pool(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3], service;

    (void)state;
    for (uint8_t i = 0; i < N; i++) {
        memset(w->d[i].family, i < 3 ? 7 : 0, sizeof w->d[i].family);
    }
    draw(w);
    struct peer_id peer = peer_of(0);
    assert_true(relays_get(w->r, &peer, &service));
    struct relays_path_want want = {.n = 3, .service = &service, .exclude = &peer, .n_exclude = 1};
    for (unsigned i = 0; i < 200; i++) {
        qudag_err err = relays_path(w->r, &want, 0, h);
        for (unsigned at = 0; err == QUDAG_OK && at < 3; at++) {
            assert_true(ix_of(&h[at]) > 2);
        }
    }
    world_free(w);
}

static void a_second_layer_guard_fails_and_works_as_relays_do(void **state)
{
    struct world *w = drawn(false);
    struct relays_second *s = w->r->second[0];
    struct peer_id peer = s->x.hop.peer, other = peer_of(150);
    tstamp now = NS_PER_S;

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        relays_failed(w->r, &peer, now);
        assert_true(s->x.usable > now && s->x.usable <= now + 3600 * NS_PER_S);
        relays_worked(w->r, &other, now + 1); /* others do: it is not our own network */
        now += 600 * NS_PER_S;
    }
    assert_true(s->x.usable > now && s->denied_s > 6000);
    assert_int_equal(w->r->heard_at, now - 600 * NS_PER_S + 1);
    relays_worked(w->r, &peer, now);
    assert_true(s->x.usable == 0 && s->x.failures == 0);
    assert_true(s->denied_s == 0 && s->failures == 0 && !s->failing);
    relays_failed(w->r, &peer, now); /* while nobody works it is nobody's doing */
    relays_failed(w->r, &peer, now + 600 * NS_PER_S);
    assert_int_equal(s->denied_s, 0);
    world_free(w);
}

static void why_there_is_no_path(void **state)
{
    struct world *w = drawn(false);
    struct onion_hop h[3];

    (void)state;
    /* none was used: there is nobody to wait for */
    for (uint32_t i = 0; i < w->r->n_guards; i++) {
        w->r->guard[i]->x.usable = NS_PER_S;
    }
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_ENORELAYS);
    for (uint32_t i = 0; i < RELAYS_NEW_GUARDS; i++) {
        relays_guards_use(w->r, i);
    }
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_ENOGUARD);
    /* all of this month's are away for good, and answer no path: the others may not be used yet */
    for (uint32_t i = 0; i < RELAYS_NEW_GUARDS; i++) {
        w->r->guard[i]->denied_s = RELAYS_AWAY_S;
        w->r->guard[i]->x.flags = RELAY_FLAG_GUARD;
        w->r->guard[i]->x.usable = i < RELAYS_PRIMARIES ? 0 : NS_PER_S;
    }
    for (uint32_t i = 0; i < RELAYS_PRIMARIES; i++) {
        w->r->guard[i]->x.flags = 0;
    }
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_ENOGUARD);
    assert_true(relays_guards_spent(w->r));
    world_free(w);
}

/* ---- the second layer ---- */

/* Whether one is held until |until|: who is drawn anew may lie where the former one did. */
static bool is_held(const struct relays *r, walltime until)
{
    for (uint32_t i = 0; i < r->n_second; i++) {
        if (r->second[i]->until == until) {
            return true;
        }
    }
    return false;
}

static void dates_of_the_second_layer_count_when_the_clock_is_sure(void **state)
{
    struct world *w = drawn(false);
    walltime ahead = EPOCH + INT64_C(100) * DAY; /* made by a clock that was wrong */

    (void)state;
    w->r->second[0]->until = ahead;
    relays_expire(w->r, EPOCH, false);
    assert_true(is_held(w->r, ahead));
    relays_expire(w->r, EPOCH, true);
    assert_false(is_held(w->r, ahead));
    world_free(w);
}

/* Few relays: one that stays silent is missed sooner. */
static void in_a_small_network_the_second_layer_is_left_sooner(void **state)
{
    struct world *w = drawn(false);
    walltime until = w->r->second[0]->until;

    (void)state;
    assert_true(RELAYS_AWAY_SMALL_S < RELAYS_SECOND_AWAY_S);
    w->r->second[0]->denied_s = RELAYS_AWAY_SMALL_S;
    relays_expire(w->r, EPOCH, true);
    assert_true(is_held(w->r, until));
    w->r->large = false;
    relays_expire(w->r, EPOCH, true);
    assert_false(is_held(w->r, until));
    world_free(w);
}

/* Where no four are apart from each other and from both primaries, they are apart from the first at least. */
static void the_second_layer_is_apart_from_the_first_guard_if_it_can_be(void **state)
{
    struct world *w = world_new(false);

    (void)state;
    for (uint8_t i = 0; i < N; i++) { /* two networks, and one guard in the first */
        desc_set(&w->d[i], i, i % 2);
        w->d[i].flags = i == 0 ? ALL : RELAY_FLAG_GATEWAY;
    }
    draw(w);
    assert_int_equal(w->r->n_guards, 1);
    assert_int_equal(w->r->n_second, RELAYS_SECOND_MAX);
    for (uint32_t i = 0; i < w->r->n_second; i++) {
        assert_int_equal(ix_of(&w->r->second[i]->x.hop) % 2, 1);
    }
    world_free(w);
}

static void the_second_layer_is_chosen_as_paths_are(void **state)
{
    struct world *w = world_new(false);

    (void)state;
    for (uint8_t i = 0; i < N; i++) { /* seven networks, of two IP versions; half are of a lab */
        desc_set(&w->d[i], i, i / 3);
        w->d[i].flags = i < 2 ? ALL : i % 3 == 2 ? RELAY_FLAG_GATEWAY | RELAY_FLAG_LAB : 0;
        char six[64];
        (void)snprintf(six, sizeof six, "/ip6/2a00:%x::1/udp/4001/quic-v1", 16 + i / 3);
        if (i >= 12) {
            assert_int_equal(multiaddr_parse(&w->d[i].addr[0], six), QUDAG_OK);
        }
    }
    draw(w);
    assert_int_equal(w->r->n_guards, 2);
    assert_int_equal(relays_pool_ip(w->r), RELAYS_IP4 | RELAYS_IP6);
    for (uint32_t i = 0; i < w->r->n_second; i++) {
        const struct relays_entry *x = &w->r->second[i]->x;
        assert_int_equal(x->flags & RELAY_FLAG_LAB, 0);
        for (uint32_t k = 0; k < i && i < 3; k++) { /* three networks have what may be one */
            assert_true(relays_compatible(w->r, x, &w->r->second[k]->x));
        }
        assert_true(i >= 3 ||
                    (x->ip == RELAYS_IP4 && relays_compatible(w->r, x, &w->r->guard[0]->x) &&
                     relays_compatible(w->r, x, &w->r->guard[1]->x)));
    }
    world_free(w);
}

/* ---- who is waited for ---- */

static void the_unknown_are_waited_for_and_renewals_are_not(void **state)
{
    struct world *w = world_new(false);
    struct peer_id known = peer_of(0), unknown = peer_of(90), got;
    struct relays_view v;

    (void)state;
    world_add(w);
    relays_candidate(w->r, &unknown);
    relays_candidate(w->r, &unknown);
    relays_find(w->r, &known)->ageing = true;
    relays_candidate(w->r, &known);
    assert_int_equal(w->r->n_cand, 2);
    relays_view_get(w->r, &v);
    assert_int_equal(v.waiting, 1); /* nobody waits for a newer descriptor */
    assert_int_equal(v.known.relays, N);
    assert_int_equal(v.known.networks, N);
    for (tstamp now = 0; now < 100 * NS_PER_S && w->r->n_cand == 2; now += NS_PER_S) {
        if (relays_next_fetch(w->r, now, &got) && peer_id_eq(&got, &unknown)) {
            relays_fetch_failed(w->r, &unknown, QUDAG_ENOTFOUND, now);
            break;
        }
    }
    relays_view_get(w->r, &v);
    assert_int_equal(v.waiting, 0); /* it was looked for once */
    world_free(w);
}

/* One that is renewed while it is young may age, and be looked for, again. */
static void a_renewed_descriptor_is_young(void **state)
{
    struct world *w = world_new(false);
    struct peer_id peer = peer_of(3);

    (void)state;
    world_add(w);
    relays_find(w->r, &peer)->ageing = true;
    w->d[3].seq++;
    assert_int_equal(relays_add(w->r, &w->d[3]), QUDAG_OK);
    assert_false(relays_find(w->r, &peer)->ageing);
    world_free(w);
}

/* The pool's copy and the guard's: a descriptor that is older, or the same again, changes neither. */
static void copies_of_guards_follow_newer_descriptors_alone(void **state)
{
    struct world *w = drawn(false);
    struct relays_guard *g = w->r->guard[0];
    unsigned ix = ix_of(&g->x.hop);
    struct relay_desc d = w->d[ix];

    (void)state;
    relays_guards_saved(w->r);
    d.seq = 5;
    d.expires++;
    assert_int_equal(relays_add(w->r, &d), QUDAG_OK);
    assert_int_equal(g->x.seq, 5);
    assert_int_equal(g->x.expires, d.expires);
    assert_int_equal(relays_guards_dirty(w->r), RELAYS_DIRTY_LATER);
    /* it left the pool, and comes back older */
    relays_find(w->r, &d.peer)->seq = 1;
    d.seq = 4;
    d.expires += 7;
    assert_int_equal(relays_add(w->r, &d), QUDAG_OK);
    assert_int_equal(g->x.seq, 5);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_ip_address_stays_and_counts_for_nothing),
        cmocka_unit_test(the_same_bytes_of_two_ip_versions_are_two_networks),
        cmocka_unit_test(relays_with_ipv6_alone_lie_in_networks),
        cmocka_unit_test(the_fate_of_built_circuits_is_counted_apart_from_building),
        cmocka_unit_test(we_are_never_our_own_guard),
        cmocka_unit_test(who_is_a_guard_no_longer_is_used_no_longer),
        cmocka_unit_test(dates_are_blurred_by_up_to_five_days),
        cmocka_unit_test(a_clock_near_its_beginning_makes_dates_that_can_be_read_again),
        cmocka_unit_test(what_must_be_saved_now_does_not_become_less_urgent),
        cmocka_unit_test(a_sample_is_drawn_again_once_only),
        cmocka_unit_test(a_relay_that_failed_as_a_hop_becomes_a_guard_with_a_clean_slate),
        cmocka_unit_test(a_lab_goes_through_all_guards),
        cmocka_unit_test(a_guard_of_an_ip_version_we_have_not_counts_as_failing),
        cmocka_unit_test(guards_are_not_spent_while_one_answers),
        cmocka_unit_test(a_guard_that_is_used_moves_up_behind_those_used_before),
        cmocka_unit_test(a_guard_lives_from_its_first_use),
        cmocka_unit_test(denial_ends_with_the_first_answer_and_goes_to_disk),
        cmocka_unit_test(a_silent_guard_is_tried_again_within_minutes),
        cmocka_unit_test(who_failed_while_others_answered_is_not_forgiven_by_silence),
        cmocka_unit_test(the_counters_of_path_bias_go_to_disk_now_and_then),
        cmocka_unit_test(a_guard_s_descriptor_is_looked_for_in_the_second_half_of_its_life),
        cmocka_unit_test(only_a_primary_that_was_used_and_fails_is_dialled_and_when_it_is_due),
        cmocka_unit_test(a_relay_of_a_lab_is_no_end_of_a_path_either),
        cmocka_unit_test(each_of_the_second_layer_is_drawn),
        cmocka_unit_test(the_family_of_a_service_that_is_a_relay_is_known_from_the_pool),
        cmocka_unit_test(a_second_layer_guard_fails_and_works_as_relays_do),
        cmocka_unit_test(why_there_is_no_path),
        cmocka_unit_test(dates_of_the_second_layer_count_when_the_clock_is_sure),
        cmocka_unit_test(in_a_small_network_the_second_layer_is_left_sooner),
        cmocka_unit_test(the_second_layer_is_apart_from_the_first_guard_if_it_can_be),
        cmocka_unit_test(the_second_layer_is_chosen_as_paths_are),
        cmocka_unit_test(the_unknown_are_waited_for_and_renewals_are_not),
        cmocka_unit_test(a_renewed_descriptor_is_young),
        cmocka_unit_test(copies_of_guards_follow_newer_descriptors_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
