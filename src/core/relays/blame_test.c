/* blame_test.c - what follows when a hop is said to have failed, and by whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

static const struct relays_path_want three = {.n = 3};

static void a_relay_is_left_out_behind_who_says_so_or_when_two_do(void **state)
{
    (void)state;
    assert_true(relays_rule_left_out(true, 0));
    assert_false(relays_rule_left_out(false, 0));
    assert_false(relays_rule_left_out(false, 1));
    assert_true(relays_rule_left_out(false, 2));
}

static struct world *begun(void)
{
    struct world *w = world_new(false);

    world_add(w);
    relays_settled(w->r, WALL);
    assert_int_equal(w->r->n_second, RELAYS_SECOND_MAX);
    return w;
}

/* A path as circuits have it, of which only the second and third hop matter. */
static void path_over(const struct world *w, uint32_t second, uint8_t third, struct onion_hop h[3])
{
    memset(h, 0, 3 * sizeof *h);
    h[0].peer = w->r->guard[0]->x.hop.peer;
    h[1].peer = w->r->second[second]->x.hop.peer;
    h[2].peer = peer_of(third);
}

/* One that is neither a second-layer guard nor the first guard. */
static uint8_t third_of(const struct world *w, unsigned which)
{
    for (uint8_t i = 0;; i++) {
        struct peer_id p = peer_of(i);
        if (relays_second_find(w->r, &p) == NULL && !peer_id_eq(&p, &w->r->guard[0]->x.hop.peer) &&
            which-- == 0) {
            return i;
        }
    }
}

/* How often |third| is the last of 3,000 paths behind second-layer guard |second|. */
static unsigned drawn(struct world *w, uint32_t second, uint8_t third, tstamp now)
{
    struct onion_hop h[3];
    unsigned n = 0;

    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(relays_path(w->r, &three, now, h), QUDAG_OK);
        n += ix_of(&h[2]) == third && peer_id_eq(&h[1].peer, &w->r->second[second]->x.hop.peer);
    }
    return n;
}

static void what_one_second_layer_guard_says_reaches_no_farther_than_its_place(void **state)
{
    struct world *w = begun();
    uint8_t third = third_of(w, 0);
    struct onion_hop h[3];

    (void)state;
    path_over(w, 0, third, h);
    relays_hop_failed(w->r, h, 3, 0);
    assert_int_equal(drawn(w, 0, third, 0), 0);
    for (uint32_t i = 1; i < RELAYS_SECOND_MAX; i++) {
        assert_in_range(drawn(w, i, third, 0), 15, 100);
    }
    assert_in_range(drawn(w, 0, third, 61 * NS_PER_S), 15, 100); /* a minute later */
    relays_hop_failed(w->r, h, 3, 0);
    path_over(w, 1, third, h);
    relays_hop_failed(w->r, h, 3, 0); /* another says the same */
    for (uint32_t i = 0; i < RELAYS_SECOND_MAX; i++) {
        assert_int_equal(drawn(w, i, third, 0) == 0, true);
    }
    relays_hops_worked(w->r, h, 3, 0);
    for (uint32_t i = 0; i < RELAYS_SECOND_MAX; i++) {
        assert_in_range(drawn(w, i, third, 0), 15, 100);
    }
    world_free(w);
}

/* The attack: a hostile second-layer guard says of every relay but its friends that it fails. */
static void a_second_layer_guard_does_not_thin_out_who_comes_behind(void **state)
{
    struct world *w = begun();
    uint8_t friend = third_of(w, 0);
    struct onion_hop h[3];
    unsigned friends = 0, others = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(relays_path(w->r, &three, i * NS_PER_S, h), QUDAG_OK);
        bool hostile = peer_id_eq(&h[1].peer, &w->r->second[0]->x.hop.peer);
        if (hostile && ix_of(&h[2]) != friend) {
            relays_hop_failed(w->r, h, 3, i * NS_PER_S);
            continue;
        }
        relays_hops_worked(w->r, h, 3, i * NS_PER_S);
        friends += !hostile && ix_of(&h[2]) == friend ? 1 : 0;
        others += hostile ? 0 : 1;
    }
    assert_in_range(others, 1300, 1700);
    assert_in_range(friends, others / 40, others / 10); /* one of 14 or so, as by chance */
    world_free(w);
}

static void it_is_believed_of_few_at_a_time(void **state)
{
    struct world *w = begun();
    struct onion_hop h[3];
    unsigned out = 0;

    (void)state;
    for (unsigned k = 0; k < 12; k++) {
        path_over(w, 0, third_of(w, k), h);
        relays_hop_failed(w->r, h, 3, k);
    }
    for (unsigned k = 0; k < 12; k++) {
        struct peer_id p = peer_of(third_of(w, k));
        out += relays_left_out(w->r, w->r->second[0], &p, 20) ? 1 : 0;
    }
    assert_int_equal(out, RELAYS_WORDS_MAX);
    struct peer_id last = peer_of(third_of(w, 11));
    assert_true(relays_left_out(w->r, w->r->second[0], &last, 20)); /* the latest are believed */
    world_free(w);
}

/* Whoever says that a relay fails says nothing of it as a guard, and hops behind the third are others each time. */
static void guards_are_judged_by_our_own_links_alone(void **state)
{
    struct world *w = begun();
    struct relays_guard *g = w->r->guard[1];
    struct onion_hop h[4];
    struct peer_id fourth = peer_of(third_of(w, 2));

    (void)state;
    path_over(w, 0, 0, h);
    h[2].peer = g->x.hop.peer;
    relays_hop_failed(w->r, h, 3, 0);
    h[1].peer = g->x.hop.peer;
    relays_hop_failed(w->r, h, 2, 0);
    assert_false(g->failing);
    h[3].peer = fourth;
    relays_hop_failed(w->r, h, 4, 0);
    assert_int_equal(relays_find(w->r, &fourth)->failures, 0);
    relays_failed(w->r, &g->x.hop.peer, 0);
    assert_true(g->failing);
    path_over(w, 0, 0, h);
    h[2].peer = g->x.hop.peer;
    relays_hops_worked(w->r, h, 3, 0);
    assert_true(g->failing); /* others reach it, which is no answer to us */
    h[0].peer = g->x.hop.peer;
    relays_hops_worked(w->r, h, 1, 0);
    assert_false(g->failing);
    relays_hop_failed(w->r, h, 1, 0);
    assert_true(g->failing);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_is_left_out_behind_who_says_so_or_when_two_do),
        cmocka_unit_test(what_one_second_layer_guard_says_reaches_no_farther_than_its_place),
        cmocka_unit_test(a_second_layer_guard_does_not_thin_out_who_comes_behind),
        cmocka_unit_test(it_is_believed_of_few_at_a_time),
        cmocka_unit_test(guards_are_judged_by_our_own_links_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
