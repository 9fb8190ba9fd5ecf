/* closeness_test.c - there is a path to each relay that others name, and none tells by its guard which that was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"

#include <string.h>

#define N 24
#define SELF 200

static struct mem mem;
static struct rng_stream stream;

static struct peer_id peer_of(uint8_t i)
{
    uint8_t pk[32] = {i, 3};
    struct peer_id p;

    peer_id_from_ed25519(&p, pk);
    return p;
}

/* Each relay a network of its own, relay i of family i / 2; |self| is one as well. */
static struct relays *pool(uint8_t n)
{
    static const uint8_t seed[32] = {23};
    struct relays *r;

    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct relays_config cfg = {.mem = &mem, .rng = rng_of_stream(&stream), .self = peer_of(SELF)};
    assert_int_equal(relays_new(&r, &cfg), QUDAG_OK);
    for (uint8_t i = 0; i < n; i++) {
        struct netaddr a = {.family = 4, .ip = {100, i, i, 1}, .port = 4001};
        struct relay_desc d = {.peer = peer_of(i), .n_addrs = 1, .seq = 1, .expires = 86400};
        multiaddr_quic(&d.addr[0], &a, NULL);
        memset(d.family, 1 + i / 2, sizeof d.family);
        d.onion_x[0] = i;
        d.flags = RELAY_FLAG_GUARD | RELAY_FLAG_GATEWAY;
        assert_int_equal(relays_add(r, &d), QUDAG_OK);
    }
    relays_settled(r, 1000);
    return r;
}

static struct onion_hop hop_of(const struct relays *r, const struct peer_id *peer)
{
    struct onion_hop hop = {.peer = *peer};

    (void)relays_get(r, peer, &hop);
    return hop;
}

/* A path of three relays to |last|; how many of them are |last|, or of its networks or family. */
static unsigned path_to(struct relays *r, const struct peer_id *last, bool named,
                        struct onion_hop out[3], unsigned *near)
{
    struct onion_hop to = hop_of(r, last);
    const struct relays_path_want want = {.n = 3, .service = &to, .named = named};
    const struct relays_entry *other = relays_find(r, last);
    unsigned same = 0;

    *near = 0;
    if (relays_path(r, &want, 0, out) != QUDAG_OK) {
        return UINT32_MAX;
    }
    for (size_t i = 0; i < 3; i++) {
        const struct relays_entry *x = relays_find(r, &out[i].peer);
        bool is = peer_id_eq(&out[i].peer, last);
        same += is ? 1 : 0;
        *near += !is && other != NULL && !relays_compatible(r, other, x) ? 1 : 0;
    }
    return same;
}

/* All relays, one after the other, and ourselves: as who tries them would.  The guard is the same for each. */
static void there_is_a_path_to_every_relay_and_the_guard_stays(void **state)
{
    struct onion_hop h[3];
    unsigned near;

    (void)state;
    struct relays *r = pool(N);
    for (int round = 0; round < 20; round++) {
        for (uint8_t i = 0; i < N; i++) {
            struct peer_id last = peer_of(i);
            bool guard = peer_id_eq(&last, &r->guard[0]->x.hop.peer);
            assert_int_equal(path_to(r, &last, true, h, &near), guard ? 1 : 0);
            bool friends = !guard && !relays_compatible(r, &r->guard[0]->x, relays_find(r, &last));
            assert_int_equal(near, friends ? 1 : 0);
            assert_true(relays_second_find(r, &h[1].peer) != NULL);
            assert_true(peer_id_eq(&h[0].peer, &r->guard[0]->x.hop.peer));
        }
        struct peer_id self = peer_of(SELF);
        assert_int_equal(path_to(r, &self, true, h, &near), 0);
    }
    relays_free(r);
}

static void what_nobody_named_a_relay_has_nothing_of_its_path(void **state)
{
    struct onion_hop h[3];
    unsigned near;

    (void)state;
    struct relays *r = pool(N);
    for (uint8_t i = 0; i < N; i++) {
        struct peer_id last = peer_of(i);
        assert_int_equal(path_to(r, &last, false, h, &near), 0);
        assert_int_equal(near, 0);
    }
    r->guard[1]->x.usable = 1000 * NS_PER_S; /* silent just now, and not away */
    struct peer_id last = r->guard[0]->x.hop.peer;
    assert_int_equal(path_to(r, &last, false, h, &near), UINT32_MAX);
    assert_int_equal(path_to(r, &last, true, h, &near), 1);
    relays_free(r);
}

/* All of the second layer are of its family: the path comes close, and is never next to the relay itself. */
static void where_all_are_near_it_another_of_them_will_do(void **state)
{
    struct onion_hop h[3];
    unsigned near;

    (void)state;
    struct relays *r = pool(N);
    struct peer_id last = r->second[0]->x.hop.peer;
    for (uint32_t i = 0; i < r->n_second; i++) {
        memcpy(r->second[i]->x.family, relays_find(r, &last)->family,
               sizeof r->second[i]->x.family);
    }
    for (int k = 0; k < 50; k++) {
        assert_int_equal(path_to(r, &last, true, h, &near), 0);
    }
    assert_int_equal(path_to(r, &last, false, h, &near), UINT32_MAX);
    relays_free(r);
    assert_int_equal(mem.used, 0);
}

static void the_rule_says_how_close(void **state)
{
    struct relays_entry a = {.hop.peer = peer_of(1)}, near = {.hop.peer = peer_of(2)};
    enum relays_close how[RELAYS_CLOSE_TRIES];

    (void)state;
    struct relays *r = pool(0);
    memset(a.family, 7, sizeof a.family);
    memset(near.family, 7, sizeof near.family);
    assert_int_equal(relays_rule_close(false, how), 1);
    assert_int_equal(how[0], RELAYS_CLOSE_NOT);
    assert_int_equal(relays_rule_close(true, how), 2);
    assert_int_equal(how[0], RELAYS_CLOSE_GUARD);
    assert_int_equal(how[1], RELAYS_CLOSE_NET);
    for (size_t at = 0; at < 3; at++) {
        struct relays_closeness c = {RELAYS_CLOSE_NOT, 3, &a};
        assert_false(relays_close_fits(r, &c, &near, at));
        c.how = RELAYS_CLOSE_GUARD;
        assert_int_equal(relays_close_fits(r, &c, &near, at), at == 0);
        assert_int_equal(relays_close_fits(r, &c, &a, at), at == 0);
        c.how = RELAYS_CLOSE_NET;
        assert_true(relays_close_fits(r, &c, &near, at));
        assert_int_equal(relays_close_fits(r, &c, &a, at), at == 0);
        c.n = 2;
        assert_false(relays_close_fits(r, &c, &a, at));
    }
    relays_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_a_path_to_every_relay_and_the_guard_stays),
        cmocka_unit_test(what_nobody_named_a_relay_has_nothing_of_its_path),
        cmocka_unit_test(where_all_are_near_it_another_of_them_will_do),
        cmocka_unit_test(the_rule_says_how_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
