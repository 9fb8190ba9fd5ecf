/* autorelay_test.c - which relays are asked for a place, event by event: who is drawn, who is left, who is avoided. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/autorelay/autorelay.h"

#include <string.h>

#define RELAYS 120
#define NO_LIMIT (&(const struct circuit_limit){0, 0})

static struct autorelay a;
static struct rng_stream stream;
static struct act v[64];
static uint8_t bytes[4096];
static struct acts out;
static tstamp now;
static unsigned taken[RELAYS], dropped[RELAYS], seeks; /* told since clear_counts() */
static bool refuses[RELAYS];                           /* what carry_out() answers with */

static struct peer_id relay_no(unsigned n)
{
    struct peer_id p;
    uint8_t pk[32] = {(uint8_t)n, 7};

    peer_id_from_ed25519(&p, pk);
    return p;
}

static unsigned number_of(const struct peer_id *p)
{
    for (unsigned i = 0; i < RELAYS; i++) {
        struct peer_id q = relay_no(i);
        if (peer_id_eq(p, &q)) {
            return i;
        }
    }
    fail_msg("a relay that nobody told of");
    return 0;
}

static void begin(uint8_t draw, bool lab)
{
    const uint8_t seed[32] = {8, draw};

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    now = 1000 * NS_PER_S;
    autorelay_init(&a, &rng, lab, now);
    out = (struct acts){.v = v, .cap = ARRAY_LEN(v), .bytes = bytes, .bytes_cap = sizeof bytes};
    memset(taken, 0, sizeof taken);
    memset(dropped, 0, sizeof dropped);
    memset(refuses, 0, sizeof refuses);
    seeks = 0;
}

static int setup(void **state)
{
    (void)state;
    begin(1, false);
    return 0;
}

/* Relay |n| of network |net|, |ms| away. */
static void heard(unsigned n, uint64_t net, uint64_t ms)
{
    struct peer_id p = relay_no(n);

    autorelay_heard(&a, &(struct autorelay_found){.peer = p, .net = net, .rtt_ns = ms * NS_PER_MS},
                    now);
}

/* What was said is counted; |answer|: relays say at once whether there is a place. */
static void carry_out(bool answer)
{
    while (out.n > 0) {
        struct act said[ARRAY_LEN(v)];
        size_t n = out.n;
        memcpy(said, v, n * sizeof(*v));
        out.n = 0;
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(said[i].type, ACT_UP);
            if (said[i].kind == AUTORELAY_UP_SEEK) {
                seeks++;
                continue;
            }
            unsigned k = number_of(&said[i].peer);
            taken[k] += said[i].kind == AUTORELAY_UP_TAKE ? 1 : 0;
            dropped[k] += said[i].kind == AUTORELAY_UP_DROP ? 1 : 0;
            if (said[i].kind != AUTORELAY_UP_TAKE || !answer) {
                continue;
            }
            if (refuses[k]) {
                autorelay_refused(&a, &said[i].peer, true, now, &out);
            } else {
                autorelay_held(&a, &said[i].peer, NO_LIMIT, now, &out);
            }
        }
    }
}

static void until(tstamp at, bool answer)
{
    for (unsigned n = 0; autorelay_ops.deadline(&a) <= at; n++) {
        tstamp due = autorelay_ops.deadline(&a);
        assert_true(n < 100000);
        now = due > now ? due : now;
        autorelay_ops.tick(&a, now, &out);
        carry_out(answer);
    }
    now = at;
}

static void wanted(bool want)
{
    autorelay_want(&a, want, now, &out);
    carry_out(true);
}

static enum autorelay_state state_of(unsigned n)
{
    struct peer_id p = relay_no(n);
    const struct autorelay_relay *r = autorelay_get(&a, &p);

    return r == NULL ? AUTORELAY_IDLE : r->state;
}

static uint32_t held(void)
{
    struct autorelay_stats s;

    autorelay_stats_get(&a, &s);
    return s.held;
}

static void three_places_are_taken_on_as_many_networks_among_the_best(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 12; i++) { /* two of each network; the later networks are far away */
        heard(i, 1 + i / 2, i < 8 ? 20 + i : 400 + i);
    }
    until(now + 10 * NS_PER_S, true);
    assert_int_equal(held(), 0); /* nobody wants any */
    wanted(true);
    until(now + 10 * NS_PER_S, true);
    assert_int_equal(held(), AUTORELAY_PLACES);
    for (unsigned net = 0; net < 6; net++) {
        unsigned n = taken[2 * net] + taken[2 * net + 1];
        assert_true(n <= 1 && taken[2 * net + 1] == 0); /* the nearer one of each */
    }
    assert_int_equal(taken[10], 0); /* the best four, then the best four of the rest */
    assert_int_equal(seeks, 0);
    wanted(false);
    assert_int_equal(held(), 0);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(dropped[i], taken[i]);
    }
    assert_true(autorelay_ops.deadline(&a) == TSTAMP_NEVER);
}

static void in_a_lab_one_network_is_enough(void **state)
{
    (void)state;

    for (uint8_t draw = 0; draw < 16; draw++) {
        begin(draw, true);
        for (unsigned i = 0; i < 8; i++) {
            heard(i, 1, 1);
        }
        wanted(true);
        until(now + 10 * NS_PER_S, true);
        assert_int_equal(held(), AUTORELAY_PLACES);
        for (unsigned i = 0; i < 8; i++) {
            assert_true(taken[i] <= 1); /* who has a place for us is not asked for another */
        }
    }
    begin(3, false);
    for (unsigned i = 0; i < 8; i++) {
        heard(i, 1, 1);
    }
    wanted(true);
    until(now + 60 * NS_PER_S, true);
    assert_int_equal(held(), 1);
    assert_true(seeks >= 1); /* others are looked for */
}

static void no_relay_attracts_everybody(void **state)
{
    unsigned of[RELAYS] = {0};
    (void)state;

    for (unsigned draw = 0; draw < 250; draw++) {
        begin((uint8_t)draw, false);
        for (unsigned i = 0; i < 4; i++) {
            heard(i, 1, 1); /* of one who wants everybody: near, and many names */
        }
        for (unsigned i = 4; i < 12; i++) {
            heard(i, i, 30);
        }
        wanted(true);
        now += AUTORELAY_GATHER;
        autorelay_ops.tick(&a, now, &out);
        assert_true(out.n == AUTORELAY_PLACES);
        of[number_of(&out.v[0].peer)]++; /* the first choice */
        out.n = 0;
    }
    unsigned hostile = of[0] + of[1] + of[2] + of[3];
    if (hostile > 250 * 2 / AUTORELAY_BEST) {
        fail_msg("%u of 250 choose it first", hostile);
    }
}

static void who_refuses_is_not_asked_without_end(void **state)
{
    unsigned all = 0;
    (void)state;

    for (unsigned i = 0; i < 60; i++) {
        heard(i, 1 + i, 10);
        refuses[i] = true;
    }
    wanted(true);
    tstamp begun = now;
    until(begun + 10 * NS_PER_S, true);
    for (unsigned i = 0; i < 60; i++) {
        all += taken[i];
    }
    assert_true(all >= AUTORELAY_PLACES && all <= AUTORELAY_ASKS + 1);
    until(begun + 3600 * NS_PER_S, true);
    all = 0;
    for (unsigned i = 0; i < 60; i++) {
        assert_true(taken[i] <= 8);
        all += taken[i];
    }
    assert_true(all <= AUTORELAY_ASKS + 3600 / AUTORELAY_ASKS_S);
    heard(100, 900, 50); /* one that does not */
    until(now + 20 * NS_PER_S, true);
    assert_int_equal(held(),
                     0); /* it is not the best yet, but those that refused cost more each time */
    until(now + 600 * NS_PER_S, true);
    assert_int_equal(state_of(100), AUTORELAY_HELD);
}

static void a_place_that_is_lost_is_replaced_at_once(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 5; i++) {
        heard(i, 1 + i, 10);
    }
    wanted(true);
    until(now + 2 * AUTORELAY_STEADY, true);
    for (unsigned i = 0; i < 5; i++) {
        struct peer_id p = relay_no(i);
        if (state_of(i) == AUTORELAY_HELD) {
            autorelay_lost(&a, &p, now, &out);
            assert_true(autorelay_ops.deadline(&a) <= now);
            until(now + NS_PER_MS, true);
            assert_int_equal(held(), AUTORELAY_PLACES);
            assert_int_equal(state_of(i), AUTORELAY_IDLE);
            break;
        }
    }
    for (unsigned i = 0; i < 5; i++) { /* all at once, as our network is another */
        struct peer_id p = relay_no(i);
        if (i == 0) {
            autorelay_moved(&a, now);
        }
        autorelay_lost(&a, &p, now, &out);
    }
    assert_int_equal(held(), 0);
    until(now + NS_PER_S, true);
    assert_int_equal(held(), AUTORELAY_PLACES);
}

static void the_only_relay_is_asked_again_soon_after_it_was_lost(void **state)
{
    struct peer_id p = relay_no(0);
    (void)state;

    heard(0, 1, 10);
    wanted(true);
    until(now + 2 * AUTORELAY_STEADY, true);
    assert_int_equal(held(), 1);
    autorelay_lost(&a, &p, now, &out);
    until(now + AUTORELAY_PAUSE_LOST - NS_PER_MS, true);
    assert_int_equal(held(), 0);
    until(now + AUTORELAY_PAUSE_LOST, true);
    assert_int_equal(held(), 1);
    autorelay_lost(&a, &p, now, &out); /* one that comes and goes is asked less and less */
    until(now + AUTORELAY_PAUSE - NS_PER_S, true);
    assert_int_equal(held(), 0);
}

static void only_a_clearly_better_one_takes_over(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        heard(i, 1 + i, 100);
    }
    wanted(true);
    until(now + 10 * NS_PER_S, true);
    assert_int_equal(held(), 3);
    heard(9, 20, 900); /* no place of ours is there: it is nothing to compare with */
    heard(3, 10, 90);  /* better, not clearly */
    until(now + 3 * AUTORELAY_REVIEW, true);
    assert_int_equal(taken[3], 0);
    heard(4, 11, 20);
    until(now + 2 * AUTORELAY_REVIEW, true);
    assert_int_equal(state_of(4), AUTORELAY_HELD);
    assert_int_equal(held(), 3);
    assert_int_equal(dropped[0] + dropped[1] + dropped[2], 1);
    until(now + 20 * AUTORELAY_REVIEW, true); /* and then it stays so */
    assert_int_equal(dropped[0] + dropped[1] + dropped[2] + dropped[4], 1);
}

static void a_relay_that_breaks_what_it_promised_loses_its_place(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        heard(i, 1 + i, 50);
    }
    wanted(true);
    until(now + 10 * NS_PER_S, true);
    heard(5, 9, 60);
    for (unsigned i = 0; i < 10; i++) {
        struct peer_id liar = relay_no(1), other = relay_no(2);
        autorelay_circuit(&a, &liar, i % 2 == 0);
        autorelay_circuit(&a, &other, false);
    }
    until(now + 2 * AUTORELAY_REVIEW, true);
    assert_int_equal(state_of(1), AUTORELAY_IDLE);
    assert_int_equal(state_of(2), AUTORELAY_HELD);
    assert_int_equal(state_of(5), AUTORELAY_HELD);
}

static void one_network_cannot_fill_the_table(void **state)
{
    struct autorelay_stats s;
    (void)state;

    for (unsigned i = 0; i < 40; i++) {
        heard(i, 1, 5);
    }
    autorelay_stats_get(&a, &s);
    assert_int_equal(s.candidates, AUTORELAY_NET_MAX);
    for (unsigned i = 40; i < 110; i++) {
        heard(i, 10 + i / 4, 5);
    }
    autorelay_stats_get(&a, &s);
    assert_int_equal(s.candidates, AUTORELAY_CANDIDATES_MAX);
    heard(110, 900, 5); /* of a new network: one of a larger one gives way */
    struct peer_id p = relay_no(110);
    assert_non_null(autorelay_get(&a, &p));
    autorelay_unheard(&a, &p);
    assert_null(autorelay_get(&a, &p));
}

static uint32_t failures(unsigned n)
{
    struct peer_id p = relay_no(n);
    const struct autorelay_relay *r = autorelay_get(&a, &p);

    return r == NULL ? 0 : r->failures;
}

static bool is_known(unsigned n)
{
    struct peer_id p = relay_no(n);

    return autorelay_get(&a, &p) != NULL;
}

/* A full table, of as many networks: whoever failed gives way, who failed most first; the others stay. */
static void of_equal_networks_those_that_fail_give_way(void **state)
{
    (void)state;

    heard(0, 1, 10);
    wanted(true);
    until(now + 2 * AUTORELAY_STEADY, true);
    heard(1, 2, 10);
    refuses[1] = true;
    until(now + 300 * NS_PER_S, true);
    struct peer_id p = relay_no(0);
    autorelay_lost(&a, &p, now, &out);
    carry_out(false);
    wanted(false);
    assert_true(failures(0) > 0 && failures(1) > failures(0));
    for (unsigned i = 2; i < AUTORELAY_CANDIDATES_MAX; i++) {
        heard(i, 1 + i, 10);
    }
    heard(100, 900, 10);
    assert_true(is_known(100) && !is_known(1) && is_known(0));
    heard(101, 901, 10);
    assert_true(is_known(101) && !is_known(0));
    heard(102, 902, 10);
    assert_false(is_known(102));
    p = relay_no(103); /* the operator's finds room all the same */
    autorelay_fix(&a, &p, 903, true, now);
    assert_true(is_known(103));
}

static void in_another_network_nothing_is_held_against_a_relay(void **state)
{
    struct peer_id p = relay_no(0);
    (void)state;

    heard(0, 1, 10);
    refuses[0] = true;
    wanted(true);
    until(now + 3600 * NS_PER_S, true);
    assert_true(failures(0) > 2);
    unsigned before = taken[0];
    autorelay_moved(&a, now);
    assert_int_equal(autorelay_get(&a, &p)->rtt_ns, 0);
    until(now + NS_PER_S, true);
    assert_int_equal(taken[0], before + 1);
    assert_int_equal(failures(0), 1);
}

static void what_was_long_ago_counts_less(void **state)
{
    struct peer_id p = relay_no(0);
    (void)state;

    heard(0, 1, 10);
    uint64_t plain = autorelay_rule_cost(autorelay_get(&a, &p));
    for (unsigned i = 0; i < 1000; i++) {
        autorelay_circuit(&a, &p, false);
    }
    for (unsigned i = 0; i < 40; i++) {
        autorelay_circuit(&a, &p, true);
    }
    assert_true(autorelay_rule_cost(autorelay_get(&a, &p)) > 2 * plain);
}

static void those_of_the_operator_count_and_stay(void **state)
{
    struct peer_id p = relay_no(0);
    (void)state;

    for (unsigned i = 0; i < 6; i++) {
        heard(i, 1 + i, i == 0 ? 900 : 10);
    }
    autorelay_fix(&a, &p, 1, true, now);
    autorelay_held(&a, &p, NO_LIMIT, now, &out);
    wanted(true);
    until(now + 10 * NS_PER_S, true);
    assert_int_equal(held(), AUTORELAY_PLACES);
    assert_int_equal(taken[0], 0);
    until(now + 5 * AUTORELAY_REVIEW, true);
    assert_int_equal(dropped[0], 0);
    assert_int_equal(taken[1] + taken[2] + taken[3] + taken[4] + taken[5],
                     2); /* nor is it replaced */
    wanted(false);
    assert_int_equal(state_of(0), AUTORELAY_HELD);
    assert_int_equal(held(), 1);
    autorelay_lost(&a, &p, now, &out);
    carry_out(true);
    assert_int_equal(held(), 0);
    assert_int_equal(dropped[0], 0);
}

static void silence_ends_and_searches_grow_rare(void **state)
{
    (void)state;

    heard(0, 1, 10);
    wanted(true);
    until(now + AUTORELAY_GATHER + NS_PER_S, false);
    assert_int_equal(state_of(0), AUTORELAY_ASKED);
    until(now + AUTORELAY_ASK_TIMEOUT, false);
    assert_int_equal(state_of(0), AUTORELAY_IDLE);
    assert_int_equal(dropped[0], 1);
    seeks = 0;
    until(now + 3600 * NS_PER_S, false);
    assert_true(seeks >= 8 && seeks <= 24);
    struct peer_id p = relay_no(0);
    autorelay_held(&a, &p, NO_LIMIT, now, &out); /* too late, or of nobody: nothing happens */
    autorelay_refused(&a, &p, true, now, &out);
    autorelay_lost(&a, &p, now, &out);
    p = relay_no(77);
    autorelay_held(&a, &p, NO_LIMIT, now, &out);
    autorelay_refused(&a, &p, true, now, &out);
    autorelay_lost(&a, &p, now, &out);
    autorelay_circuit(&a, &p, true);
    assert_int_equal(held(), 0);
    assert_int_equal(out.n, 0);
}

static void the_rules(void **state)
{
    struct autorelay_relay r = {.rtt_ns = 100 * NS_PER_MS};
    (void)state;

    uint64_t plain = autorelay_rule_cost(&r);
    assert_int_equal(plain, 100 * NS_PER_MS);
    r.refusals = 2;
    assert_int_equal(autorelay_rule_cost(&r), 2 * plain);
    r = (struct autorelay_relay){.rtt_ns = plain, .limit = {.data = 131072, .duration_s = 120}};
    assert_int_equal(autorelay_rule_cost(&r), 2 * plain);
    r.limit = (struct circuit_limit){.data = 131072};
    assert_int_equal(autorelay_rule_cost(&r), 2 * plain);
    r.limit = (struct circuit_limit){.duration_s = 3600};
    assert_int_equal(autorelay_rule_cost(&r), plain);
    r = (struct autorelay_relay){.rtt_ns = plain, .circuits = 3, .broken = 3};
    assert_int_equal(autorelay_rule_cost(&r), plain); /* too few to say */
    r.circuits = r.broken = 4;
    assert_int_equal(autorelay_rule_cost(&r), 4 * plain);
    r = (struct autorelay_relay){.rtt_ns = 0};
    assert_int_equal(autorelay_rule_cost(&r), 300 * NS_PER_MS);
    r.rtt_ns = UINT64_MAX;
    r.refusals = UINT32_MAX;
    r.circuits = r.broken = 100;
    assert_true(autorelay_rule_cost(&r) < 1000 * NS_PER_S);
    assert_true(autorelay_rule_better(70 * NS_PER_MS, 100 * NS_PER_MS));
    assert_false(autorelay_rule_better(80 * NS_PER_MS, 100 * NS_PER_MS));
    assert_false(autorelay_rule_better(NS_PER_MS, 6 * NS_PER_MS));
    assert_int_equal(autorelay_rule_pause(1, false), AUTORELAY_PAUSE);
    assert_int_equal(autorelay_rule_pause(3, false), 4 * AUTORELAY_PAUSE);
    assert_int_equal(autorelay_rule_pause(1, true), AUTORELAY_PAUSE_LOST);
    assert_int_equal(autorelay_rule_pause(60000, true), AUTORELAY_PAUSE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(three_places_are_taken_on_as_many_networks_among_the_best, setup),
        cmocka_unit_test_setup(in_a_lab_one_network_is_enough, setup),
        cmocka_unit_test_setup(no_relay_attracts_everybody, setup),
        cmocka_unit_test_setup(who_refuses_is_not_asked_without_end, setup),
        cmocka_unit_test_setup(a_place_that_is_lost_is_replaced_at_once, setup),
        cmocka_unit_test_setup(the_only_relay_is_asked_again_soon_after_it_was_lost, setup),
        cmocka_unit_test_setup(only_a_clearly_better_one_takes_over, setup),
        cmocka_unit_test_setup(a_relay_that_breaks_what_it_promised_loses_its_place, setup),
        cmocka_unit_test_setup(one_network_cannot_fill_the_table, setup),
        cmocka_unit_test_setup(of_equal_networks_those_that_fail_give_way, setup),
        cmocka_unit_test_setup(in_another_network_nothing_is_held_against_a_relay, setup),
        cmocka_unit_test_setup(what_was_long_ago_counts_less, setup),
        cmocka_unit_test_setup(those_of_the_operator_count_and_stay, setup),
        cmocka_unit_test_setup(silence_ends_and_searches_grow_rare, setup),
        cmocka_unit_test_setup(the_rules, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
