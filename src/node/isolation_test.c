/* isolation_test.c - which streams may share a circuit, and for how long. */
#include "node/isolation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void only_the_same_address_and_key_share_a_circuit(void **state)
{
    const struct dark_addr to = {.network = 2, .ed_pk = {1}, .commit = {2}};
    const struct node_isolation none = {.len = 0}, key = {.len = 2, .key = {7, 8}};
    const struct node_isolation longer = {.len = 3, .key = {7, 8, 0}};
    const struct node_isolation other = {.len = 2, .key = {7, 9}};
    const struct node_carrier good = {.to_service = true, .to = to, .key = key};
    struct node_carrier c = good;
    (void)state;
    assert_true(node_isolation_may_carry(&c, &to, &key));
    assert_false(node_isolation_may_carry(&c, &to, &none));
    assert_false(node_isolation_may_carry(&c, &to, &longer));
    assert_false(node_isolation_may_carry(&c, &to, &other));
    struct dark_addr elsewhere = to;
    elsewhere.commit[31] = 1;
    assert_false(node_isolation_may_carry(&c, &elsewhere, &key));
    c.key = none;
    assert_true(node_isolation_may_carry(&c, &to, &none));
    assert_false(node_isolation_may_carry(&c, &to, &key));
    c = good;
    c.to_service = false; /* ends at a relay, for whom its address is not filled in */
    assert_false(node_isolation_may_carry(&c, &to, &key));
    c = good;
    c.given_up = true;
    assert_false(node_isolation_may_carry(&c, &to, &key));
    for (int life = NODE_LIFE_DIRTY; life <= NODE_LIFE_OVER; life++) {
        c = good;
        c.life = (enum node_life)life;
        assert_false(node_isolation_may_carry(&c, &to, &key));
    }
}

static void a_circuit_ages_from_its_first_use(void **state)
{
    static const uint8_t seed[32] = {5};
    const uint64_t bound[] = {NODE_LIFE_DIRTY_AT, NODE_LIFE_OLD_AT, NODE_LIFE_OVER_AT};
    const tstamp now = 1000 * NS_PER_S;
    struct rng_stream stream;
    tstamp least[3] = {TSTAMP_NEVER, TSTAMP_NEVER, TSTAMP_NEVER}, most[3] = {0};
    (void)state;
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    struct node_life_times t = node_life_unused();
    assert_int_equal(node_life_at(&t, UINT64_MAX - 1), NODE_LIFE_CLEAN);
    assert_true(node_life_next(&t, now) == TSTAMP_NEVER);
    for (int i = 0; i < 500; i++) {
        t = node_life_begin(now, &rng);
        const tstamp at[] = {t.dirty, t.old, t.over};
        tstamp next = now;
        assert_int_equal(node_life_at(&t, now), NODE_LIFE_CLEAN);
        for (int k = 0; k < 3; k++) {
            assert_true(at[k] <= now + bound[k] && at[k] >= now + bound[k] - bound[k] / 8);
            least[k] = tstamp_min(least[k], at[k]);
            most[k] = at[k] > most[k] ? at[k] : most[k];
            assert_true((next = node_life_next(&t, next)) == at[k]);
            assert_int_equal(node_life_at(&t, next - 1), (enum node_life)k);
            assert_int_equal(node_life_at(&t, next), (enum node_life)(k + 1));
        }
        assert_true(node_life_next(&t, next) == TSTAMP_NEVER);
    }
    for (int k = 0; k < 3; k++) { /* the random part is used */
        assert_true(most[k] - least[k] > bound[k] / 10);
    }
}

/* SPEC: onion 9.7: in time for relays, which end what is silent for ten minutes. */
static void a_silent_circuit_with_streams_needs_a_sign_of_life(void **state)
{
    static const uint8_t seed[32] = {6};
    const tstamp now = 1000 * NS_PER_S;
    uint64_t least = UINT64_MAX, most = 0;
    struct rng_stream stream;
    (void)state;
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    struct node_life_times t = node_life_unused();
    assert_true(node_life_sign_at(&t, 1, now) == TSTAMP_NEVER);
    for (int i = 0; i < 500; i++) {
        t = node_life_begin(now, &rng);
        assert_true(node_life_sign_at(&t, 0, now) == TSTAMP_NEVER);
        assert_true(node_life_sign_at(&t, 1, now) == now + t.quiet);
        least = t.quiet < least ? t.quiet : least;
        most = t.quiet > most ? t.quiet : most;
    }
    assert_true(least >= 300 * NS_PER_S && least < 310 * NS_PER_S);
    assert_true(most <= 480 * NS_PER_S && most > 470 * NS_PER_S);
}

/* What a cache calls a user: the same for the same key, also one that was given as a name. */
static void a_key_is_a_user(void **state)
{
    const uint8_t key[2] = {1, 2};
    (void)state;
    assert_int_equal(node_isolation_user(NULL, 0), 0);
    assert_int_equal(node_isolation_user(key, 0), 0);
    assert_true(node_isolation_user(key, 1) != 0);
    assert_true(node_isolation_user(key, 1) == node_isolation_user(key, 1));
    assert_true(node_isolation_user(key, 1) != node_isolation_user(key, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_same_address_and_key_share_a_circuit),
        cmocka_unit_test(a_circuit_ages_from_its_first_use),
        cmocka_unit_test(a_silent_circuit_with_streams_needs_a_sign_of_life),
        cmocka_unit_test(a_key_is_a_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
