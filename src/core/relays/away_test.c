/* away_test.c - guards that are away, and our own network that was: who is tried again when, who takes their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

#define HOUR (3600 * NS_PER_S)
#define EPOCH 1800000000 /* the calendar of these tests */

static const struct relays_path_want three = {.n = 3};

static struct world *settled(bool large)
{
    struct world *w = world_new(false);

    for (uint8_t i = 0; i < N; i++) {
        w->d[i].not_before = EPOCH;
        w->d[i].expires = EPOCH + INT64_C(86400000);
    }
    world_add(w);
    relays_expire(w->r, EPOCH, true);
    relays_settled(w->r, EPOCH);
    w->r->large = large;
    return w;
}

static unsigned entry(struct world *w, tstamp now)
{
    struct onion_hop h[3];

    assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_OK);
    return ix_of(&h[0]);
}

/* A node whose links were all gone knows that it was its own network, however short it was. */
static void when_our_own_network_is_back_guards_are_tried_at_once(void **state)
{
    struct world *w = settled(true);
    tstamp now = HOUR;
    struct onion_hop h[3];
    struct peer_id other = peer_of(150);
    unsigned first = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)first);
    (void)state;
    relays_heard(w->r, &other, now);
    relays_failed(w->r, &peer, now + 2 * NS_PER_S);
    struct peer_id peer2 = peer_of((uint8_t)entry(w, now + 2 * NS_PER_S));
    relays_failed(w->r, &peer2, now + 2 * NS_PER_S);
    relays_failed(w->r, &peer2, now + 9 * NS_PER_S);
    relays_heard(w->r, &other, now + 10 * NS_PER_S);
    assert_int_equal(relays_path(w->r, &three, now + 10 * NS_PER_S, h), QUDAG_OK);
    relays_failed(w->r, &peer, now + 10 * NS_PER_S);
    assert_int_equal(relays_path(w->r, &three, now + 11 * NS_PER_S, h), QUDAG_ENOGUARD);
    relays_network_back(w->r, now + 10 * NS_PER_S + 1,
                        now + 11 * NS_PER_S); /* they failed before */
    assert_int_equal(relays_path(w->r, &three, now + 11 * NS_PER_S, h), QUDAG_ENOGUARD);
    relays_network_back(w->r, now + NS_PER_S, now + 11 * NS_PER_S);
    assert_int_equal(entry(w, now + 11 * NS_PER_S), first);
    assert_int_equal(relays_guards_find(w->r, &peer)->x.failures, 0);
    world_free(w);
}

/* Both primaries are dead for good: a delivery outlives no more than a few minutes of that. */
static void in_a_small_network_dead_primaries_are_replaced_within_150_s(void **state)
{
    struct world *w = settled(false);
    tstamp now = HOUR, begun = now;
    struct onion_hop h[3];
    struct peer_id dead[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        dead[i] = peer_of((uint8_t)entry(w, now));
        relays_failed(w->r, &dead[i], now);
    }
    while (relays_path(w->r, &three, now, h) != QUDAG_OK && now - begun < HOUR) {
        now += NS_PER_S;
        for (size_t i = 0; i < 2; i++) { /* dialled again when it is time, and then others asked */
            if (relays_guards_find(w->r, &dead[i])->x.usable <= now) {
                relays_failed(w->r, &dead[i], now);
                relays_heard(w->r, NULL, now + 1);
            }
        }
    }
    print_message("after %u s\n", (unsigned)((now - begun) / NS_PER_S));
    assert_true(now - begun >= RELAYS_AWAY_SMALL_S * NS_PER_S);
    assert_true(now - begun < 150 * NS_PER_S);
    world_free(w);
}

/* Paths do not wait for it again before somebody has met it; then they begin with it as before. */
static void a_guard_that_failed_is_met_before_paths_begin_with_it(void **state)
{
    struct world *w = settled(true);
    tstamp now = HOUR;
    unsigned first = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)first);
    struct onion_hop hop;
    (void)state;

    relays_failed(w->r, &peer, now);
    unsigned second = entry(w, now);
    assert_int_not_equal(second, first);
    now += 60 * NS_PER_S;
    assert_int_equal(entry(w, now), second);
    assert_true(relays_guard_probe(w->r, now, &hop));
    assert_int_equal(ix_of(&hop), first);
    relays_guard_linked(w->r, &peer);
    assert_false(relays_guard_probe(w->r, now, &hop));
    assert_int_equal(entry(w, now), first);
    relays_failed(w->r, &peer, now); /* the link is of no use */
    now += 60 * NS_PER_S;
    assert_int_equal(entry(w, now), second);

    struct peer_id other =
        peer_of((uint8_t)second); /* both: the one that waits longest is dialled */
    relays_failed(w->r, &other, now);
    now += 60 * NS_PER_S;
    assert_true(relays_guard_probe(w->r, now, &hop));
    assert_int_equal(ix_of(&hop), first);
    relays_failed(w->r, &peer, now);
    now += 60 * NS_PER_S;
    assert_true(relays_guard_probe(w->r, now, &hop));
    assert_int_equal(ix_of(&hop), second);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guard_that_failed_is_met_before_paths_begin_with_it),
        cmocka_unit_test(when_our_own_network_is_back_guards_are_tried_at_once),
        cmocka_unit_test(in_a_small_network_dead_primaries_are_replaced_within_150_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
