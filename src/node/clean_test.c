/* clean_test.c - how many clean circuits wait, when one more is built, which is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/clean.h"

#define NOW (10000 * NS_PER_S)

static struct rng_stream stream;

static struct rng rng(void)
{
    static const uint8_t seed[32] = {3};

    rng_stream_init(&stream, seed);
    return rng_of_stream(&stream);
}

/* A node that uses both kinds of circuits, and has none waiting. */
static struct node_clean_view active(void)
{
    return (struct node_clean_view){
        .wanted = 2, .possible = true, .used_at = {NOW - 1, NOW - 1}, .circuits_max = 1000};
}

static void as_many_wait_as_were_asked_for_of_each_length(void **state)
{
    struct node_clean_view v = active();
    (void)state;

    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_SHORT, NOW), 2);
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_LONG, NOW), 2);
    v.wanted = 200;
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_LONG, NOW), NODE_CLEAN_MAX);
    v.wanted = 0;
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_SHORT, NOW), 0);
}

static void none_wait_for_who_asks_for_nothing(void **state)
{
    struct node_clean_view v = active();
    (void)state;

    v.used_at[NODE_CLEAN_LONG] = TSTAMP_NEVER;
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_SHORT, NOW), 2);
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_LONG, NOW), 0);
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_SHORT, NOW + NODE_CLEAN_IDLE_AT - 2), 2);
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_SHORT, NOW + NODE_CLEAN_IDLE_AT - 1), 0);
    v.possible = false;
    assert_int_equal(node_clean_wanted(&v, NODE_CLEAN_SHORT, NOW), 0);
}

static void one_is_built_at_a_time_of_what_lacks_most(void **state)
{
    struct node_clean_view v = active();
    (void)state;

    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_SHORT);
    v.waiting[NODE_CLEAN_SHORT] = 1;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_LONG);
    v.waiting[NODE_CLEAN_LONG] = 2;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_SHORT);
    v.waiting[NODE_CLEAN_SHORT] = 2;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_NONE);
    v = active();
    v.building = true;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_NONE);
    v = active();
    v.not_before = NOW + 1;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_NONE);
    assert_int_equal(node_clean_next(&v, NOW + 1), NODE_CLEAN_SHORT);
}

static void a_quarter_of_all_circuits_is_the_limit(void **state)
{
    struct node_clean_view v = active();
    (void)state;

    v.circuits_max = 40;
    v.circuits = 9;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_SHORT);
    v.circuits = 10;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_NONE);
    v.circuits_max = 3;
    v.circuits = 0;
    assert_int_equal(node_clean_next(&v, NOW), NODE_CLEAN_NONE);
}

static void pauses_are_random_and_grow_with_failures(void **state)
{
    struct rng r = rng();
    uint64_t least = UINT64_MAX, most = 0, before = 0;
    (void)state;

    for (int i = 0; i < 1000; i++) {
        uint64_t p = node_clean_pause(0, &r);
        least = p < least ? p : least;
        most = p > most ? p : most;
    }
    assert_in_range(least, 300 * NS_PER_MS, 310 * NS_PER_MS);
    assert_in_range(most, 1180 * NS_PER_MS, 1200 * NS_PER_MS);
    for (uint32_t f = 1; f < 30; f++) {
        uint64_t p = node_clean_pause(f, &r);
        assert_true(f > 8 || p > before);
        assert_in_range(p, 4 * NS_PER_S, 770 * NS_PER_S);
        before = p;
    }
    assert_true(before > 500 * NS_PER_S);
}

/* Relays end what is idle for 600 s, and look at it first when it was for 60 s. */
static void none_is_as_old_as_what_relays_end(void **state)
{
    struct rng r = rng();
    (void)state;

    for (int i = 0; i < 1000; i++) {
        assert_in_range(node_clean_life(&r), 300 * NS_PER_S, 540 * NS_PER_S);
    }
}

static void one_is_taken_for_a_circuit_of_one_hop_more(void **state)
{
    const struct node_clean_one one = {.built = true, .hops = 2, .leaves = NOW + 10};
    struct node_clean_one other = one;
    (void)state;

    assert_true(node_clean_may_take(&one, 3, NOW));
    assert_false(node_clean_may_take(&one, 2, NOW));
    assert_false(node_clean_may_take(&one, 4, NOW));
    assert_true(node_clean_may_take(&one, 3, NOW + 9));
    assert_false(node_clean_may_take(&one, 3, NOW + 10));
    other.built = false;
    assert_false(node_clean_may_take(&other, 3, NOW));
}

static void a_use_puts_the_next_one_off(void **state)
{
    struct rng r = rng();
    struct node_clean c = {.used_at = {TSTAMP_NEVER, TSTAMP_NEVER}, .look_at = TSTAMP_NEVER};
    (void)state;

    node_clean_used(&c, NODE_CLEAN_LONG, NOW, &r);
    assert_int_equal(c.used_at[NODE_CLEAN_LONG], NOW);
    assert_int_equal(c.used_at[NODE_CLEAN_SHORT], TSTAMP_NEVER);
    assert_in_range(c.not_before, NOW + 300 * NS_PER_MS, NOW + 1200 * NS_PER_MS);
    assert_int_equal(c.look_at, c.not_before);
    c.not_before = NOW + 100 * NS_PER_S; /* after failures */
    node_clean_used(&c, NODE_CLEAN_SHORT, NOW, &r);
    assert_int_equal(c.not_before, NOW + 100 * NS_PER_S);
}

/* Relays of one that waits: its guard, and two behind it. */
static struct node_clean_path path(struct onion_hop hop[3], uint8_t guard, uint8_t second,
                                   uint8_t third)
{
    const uint8_t who[3] = {guard, second, third};

    for (size_t i = 0; i < 3; i++) {
        const uint8_t pk[32] = {who[i], 7};
        peer_id_from_ed25519(&hop[i].peer, pk);
    }
    return (struct node_clean_path){hop, 3};
}

/* SPEC: path-selection P-35 */
static void two_with_nothing_in_common_can_be_completed_to_any_relay(void **state)
{
    struct onion_hop hop[4][3];
    struct node_clean_path p[4] = {path(hop[0], 1, 2, 3), path(hop[1], 1, 4, 2),
                                   path(hop[2], 1, 3, 5), path(hop[3], 1, 6, 5)};
    (void)state;

    assert_false(node_clean_cover_all(p, 0));
    assert_false(node_clean_cover_all(p, 1));
    assert_false(node_clean_cover_all(p, 2)); /* nobody comes to relay 2 */
    assert_true(node_clean_cover_all(p, 3));
    assert_true(node_clean_cover_all(p, 4));
    p[1] = path(hop[1], 1, 3, 4);
    p[2] = path(hop[2], 1, 4, 2);
    assert_false(
        node_clean_cover_all(p, 3)); /* each two have one in common, though no relay is in all */
    p[1] = path(hop[1], 3, 4, 6);
    assert_true(node_clean_cover_all(p, 2)); /* a guard may be an end as well */
}

static void a_service_has_two_or_none(void **state)
{
    (void)state;
    assert_int_equal(node_clean_of_service(0), 0);
    assert_int_equal(node_clean_of_service(1), 0);
    assert_int_equal(node_clean_of_service(2), 2);
    assert_int_equal(node_clean_of_service(200), NODE_CLEAN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_wait_as_were_asked_for_of_each_length),
        cmocka_unit_test(none_wait_for_who_asks_for_nothing),
        cmocka_unit_test(one_is_built_at_a_time_of_what_lacks_most),
        cmocka_unit_test(a_quarter_of_all_circuits_is_the_limit),
        cmocka_unit_test(pauses_are_random_and_grow_with_failures),
        cmocka_unit_test(none_is_as_old_as_what_relays_end),
        cmocka_unit_test(one_is_taken_for_a_circuit_of_one_hop_more),
        cmocka_unit_test(a_use_puts_the_next_one_off),
        cmocka_unit_test(two_with_nothing_in_common_can_be_completed_to_any_relay),
        cmocka_unit_test(a_service_has_two_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
