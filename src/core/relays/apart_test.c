/* apart_test.c - a last hop that is independent of another relay: what both say was said by two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"

#include <stdlib.h>
#include <string.h>

#define N 24
#define NETS 6     /* relay i lies in network i % NETS */
#define FAMILIES 8 /* and belongs to family i % FAMILIES */

static struct mem mem;
static struct rng_stream stream;

static struct peer_id peer_of(uint8_t i)
{
    uint8_t pk[32] = {i, 3};
    struct peer_id p;

    peer_id_from_ed25519(&p, pk);
    return p;
}

static struct relays *pool(bool lab)
{
    static const uint8_t seed[32] = {19};
    struct relays *r;

    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct relays_config cfg = {
        .mem = &mem, .rng = rng_of_stream(&stream), .self = peer_of(200), .lab = lab};
    assert_int_equal(relays_new(&r, &cfg), QUDAG_OK);
    for (uint8_t i = 0; i < N; i++) {
        struct netaddr a = {.family = 4, .ip = {100, i % NETS, i, 1}, .port = 4001};
        struct relay_desc d = {.peer = peer_of(i), .n_addrs = 1, .seq = 1, .expires = 86400};
        multiaddr_quic(&d.addr[0], &a, NULL);
        memset(d.family, 1 + i % FAMILIES, sizeof d.family);
        d.onion_x[0] = i;
        d.flags = RELAY_FLAG_GUARD | RELAY_FLAG_GATEWAY;
        assert_int_equal(relays_add(r, &d), QUDAG_OK);
    }
    relays_settled(r, 1000);
    return r;
}

static void the_last_hop_shares_nothing_with_the_other_relay(void **state)
{
    struct onion_hop h[3];
    unsigned same[2] = {0, 0}; /* without the demand: network, family */

    (void)state;
    struct relays *r = pool(false);
    const struct relays_path_want want = {.n = 3};
    for (int i = 0; i < 1000; i++) {
        uint8_t k = (uint8_t)(i % N);
        struct peer_id other = peer_of(k);
        assert_int_equal(relays_path_apart(r, &want, &other, 0, h), QUDAG_OK);
        assert_int_not_equal(h[2].x[0], k);
        assert_int_not_equal(h[2].x[0] % NETS, k % NETS);
        assert_int_not_equal(h[2].x[0] % FAMILIES, k % FAMILIES);
        assert_int_equal(relays_path(r, &want, 0, h), QUDAG_OK);
        same[0] += h[2].x[0] % NETS == k % NETS ? 1 : 0;
        same[1] += h[2].x[0] % FAMILIES == k % FAMILIES ? 1 : 0;
    }
    assert_true(same[0] > 50 && same[1] > 50);
    relays_free(r);
}

/* In a lab all may be in one network; families are told apart there too. */
static void in_a_lab_another_relay_of_another_family_will_do(void **state)
{
    struct onion_hop h[3];

    (void)state;
    struct relays *r = pool(true);
    const struct relays_path_want want = {.n = 3};
    unsigned same = 0;
    for (int i = 0; i < 500; i++) {
        struct peer_id other = peer_of(5);
        assert_int_equal(relays_path_apart(r, &want, &other, 0, h), QUDAG_OK);
        assert_int_not_equal(h[2].x[0] % FAMILIES, 5);
        same += h[2].x[0] % NETS == 5 ? 1 : 0;
    }
    assert_true(same > 10);
    relays_free(r);
}

/* One whose descriptor is gone meanwhile is still not asked twice. */
static void a_relay_that_is_not_known_is_kept_away_from_by_name(void **state)
{
    struct onion_hop h[3];

    (void)state;
    struct relays *r = pool(false);
    const struct relays_path_want want = {.n = 3};
    struct peer_id other = peer_of(100), nobody = {.len = 0};
    assert_int_equal(relays_path_apart(r, &want, &other, 0, h), QUDAG_OK);
    assert_int_equal(relays_path_apart(r, &want, &nobody, 0, h), QUDAG_OK);
    relays_free(r);
}

/* Else whoever names relays to a caller would choose among the caller's guards. */
static void what_the_last_hop_is_not_to_be_may_be_another(void **state)
{
    struct peer_id not_last[N - 4];
    struct onion_hop h[3];
    unsigned before = 0;

    (void)state;
    struct relays *r = pool(true);
    for (uint8_t i = 0; i < ARRAY_LEN(not_last); i++) {
        not_last[i] = peer_of(i);
    }
    const struct relays_path_want want = {
        .n = 3, .not_last = not_last, .n_not_last = ARRAY_LEN(not_last)};
    for (int i = 0; i < 500; i++) {
        assert_int_equal(relays_path(r, &want, 0, h), QUDAG_OK);
        assert_true(h[2].x[0] >= ARRAY_LEN(not_last));
        before += h[0].x[0] < ARRAY_LEN(not_last) || h[1].x[0] < ARRAY_LEN(not_last) ? 1 : 0;
    }
    assert_true(before > 100);
    relays_free(r);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_hop_shares_nothing_with_the_other_relay),
        cmocka_unit_test(in_a_lab_another_relay_of_another_family_will_do),
        cmocka_unit_test(a_relay_that_is_not_known_is_kept_away_from_by_name),
        cmocka_unit_test(what_the_last_hop_is_not_to_be_may_be_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
