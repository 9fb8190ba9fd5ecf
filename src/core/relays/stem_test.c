/* stem_test.c - paths whose last hop is chosen later: it fits to all before, which would still be chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"

#include <string.h>

#define N 24
#define NETS 8
#define ROUNDS 400

static struct mem mem;
static struct rng_stream stream;
static const struct peer_id nobody;

static struct peer_id peer_of(uint8_t i)
{
    uint8_t pk[32] = {i, 3};
    struct peer_id p;

    peer_id_from_ed25519(&p, pk);
    return p;
}

/* Relay i lies in network i % NETS; the odd ones are no gateways. */
static struct relays *pool(void)
{
    static const uint8_t seed[32] = {29};
    struct relays *r;

    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct relays_config cfg = {.mem = &mem, .rng = rng_of_stream(&stream), .self = peer_of(200)};
    assert_int_equal(relays_new(&r, &cfg), QUDAG_OK);
    for (uint8_t i = 0; i < N; i++) {
        struct netaddr a = {.family = 4, .ip = {100, i % NETS, i, 1}, .port = 4001};
        struct relay_desc d = {.peer = peer_of(i), .n_addrs = 1, .seq = 1, .expires = 86400};
        multiaddr_quic(&d.addr[0], &a, NULL);
        d.onion_x[0] = i;
        d.flags = (uint16_t)(RELAY_FLAG_GUARD | (i % 2 == 0 ? RELAY_FLAG_GATEWAY : 0));
        assert_int_equal(relays_add(r, &d), QUDAG_OK);
    }
    relays_settled(r, 1000);
    return r;
}

static void stem_of(struct relays *r, size_t n, struct onion_hop hop[ONION_HOPS_MAX])
{
    const struct relays_path_want want = {.n = n + 1, .stem = true};

    memset(hop, 0, ONION_HOPS_MAX * sizeof *hop);
    assert_int_equal(relays_path(r, &want, 0, hop), QUDAG_OK);
    assert_int_equal(hop[n].peer.len, 0); /* no more than that */
    assert_true(relays_second_find(r, &hop[1].peer) != NULL);
}

static void the_last_hop_is_a_gateway_of_another_network(void **state)
{
    struct onion_hop hop[ONION_HOPS_MAX], last;
    const struct relays_path_want want = {.n = 3};
    unsigned ends[N] = {0}, seen = 0;

    (void)state;
    struct relays *r = pool();
    for (int i = 0; i < ROUNDS; i++) {
        stem_of(r, 2, hop);
        const struct relays_stem stem = {hop, 2};
        struct peer_id other = peer_of((uint8_t)(i % N));
        assert_true(relays_stem_holds(r, &stem, 0));
        assert_int_equal(relays_path_last(r, &want, &other, &stem, 0, &last), QUDAG_OK);
        assert_int_equal(last.x[0] % 2, 0);
        assert_int_not_equal(last.x[0] % NETS, hop[0].x[0] % NETS);
        assert_int_not_equal(last.x[0] % NETS, hop[1].x[0] % NETS);
        assert_int_not_equal(last.x[0] % NETS, i % N % NETS); /* apart from that one */
        ends[last.x[0]]++;
    }
    for (size_t i = 0; i < N; i++) {
        seen += ends[i] > 0 ? 1 : 0;
    }
    assert_true(seen >= 6); /* uniform among what is left, not one and the same */
    relays_free(r);
}

static struct onion_hop hop_of(const struct relays *r, uint8_t i)
{
    struct peer_id peer = peer_of(i);
    struct onion_hop hop;

    assert_true(relays_get(r, &peer, &hop));
    return hop;
}

static void a_named_last_hop_fits_or_another_stem_is_needed(void **state)
{
    struct onion_hop hop[ONION_HOPS_MAX], last;
    unsigned fits = 0, guards = 0;

    (void)state;
    struct relays *r = pool();
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t k = (uint8_t)(i % N);
        struct onion_hop to = hop_of(r, k);
        const struct relays_path_want want = {.n = 3, .service = &to, .named = true},
                                      service = {.n = 3, .service = &to},
                                      near = {.n = 3, .service = &to, .named = true, .near = true};
        stem_of(r, 3, hop);
        const struct relays_stem stem = {hop, 3};
        bool clear = k % NETS != hop[1].x[0] % NETS && k % NETS != hop[2].x[0] % NETS;
        bool apart = clear && k % NETS != hop[0].x[0] % NETS;
        qudag_err err = relays_path_last(r, &want, &nobody, &stem, 0, &last);
        assert_int_equal(err, clear ? QUDAG_OK : QUDAG_ENORELAYS);
        assert_true(err != QUDAG_OK || peer_id_eq(&last.peer, &to.peer));
        bool itself = k == hop[1].x[0] || k == hop[2].x[0];
        err = relays_path_last(r, &near, &nobody, &stem, 0, &last);
        assert_int_equal(err, itself ? QUDAG_ENORELAYS : QUDAG_OK);
        err = relays_path_last(r, &service, &nobody, &stem, 0, &last);
        assert_int_equal(err, apart ? QUDAG_OK : QUDAG_ENORELAYS);
        fits += clear ? 1 : 0;
        guards += clear && !apart ? 1 : 0;
    }
    assert_true(fits > ROUNDS / 2 && guards > 0);
    relays_free(r);
}

static void a_stem_that_would_not_be_chosen_any_more_holds_no_longer(void **state)
{
    struct onion_hop hop[ONION_HOPS_MAX], last;
    const struct relays_path_want want = {.n = 4};

    (void)state;
    struct relays *r = pool();
    stem_of(r, 3, hop);
    const struct relays_stem stem = {hop, 3};
    assert_true(relays_stem_holds(r, &stem, 0));
    assert_int_equal(relays_path_last(r, &want, &nobody, &stem, 0, &last), QUDAG_OK);

    r->guard[0]->x.usable = 1000; /* it does not answer just now */
    assert_false(relays_stem_holds(r, &stem, 0));
    assert_int_equal(relays_path_last(r, &want, &nobody, &stem, 0, &last), QUDAG_ENORELAYS);
    assert_true(relays_stem_holds(r, &stem, 1000));

    relays_failed(r, &hop[2].peer, 1000);
    assert_false(relays_stem_holds(r, &stem, 1000));
    relays_worked(r, &hop[2].peer, 1000);
    assert_true(relays_stem_holds(r, &stem, 1000));

    relays_second_find(r, &hop[1].peer)->until = r->wall; /* its time is over */
    relays_expire(r, r->wall + 1, true);
    bool drawn_again = relays_second_find(r, &hop[1].peer) != NULL;
    assert_int_equal(relays_stem_holds(r, &stem, 1000), drawn_again);
    relays_expire(r, 86401, true); /* all descriptors are */
    assert_false(relays_stem_holds(r, &stem, 1000));
    relays_free(r);
    assert_int_equal(mem.used, 0);
}

/* Its guard began it when two before it were away: it is not to be used once they answer. */
static void a_stem_at_a_guard_whose_turn_is_over_holds_no_longer(void **state)
{
    struct onion_hop hop[ONION_HOPS_MAX];

    (void)state;
    struct relays *r = pool();
    stem_of(r, 3, hop);
    const struct relays_stem stem = {hop, 3};
    for (uint32_t i = 0; i < 3; i++) {
        r->guard[i]->used = 1;
    }
    struct relays_guard *its = r->guard[0];
    assert_true(peer_id_eq(&hop[0].peer, &its->x.hop.peer));
    r->guard[0] = r->guard[2];
    r->guard[2] = its;
    r->guard[0]->denied_s = r->guard[1]->denied_s = RELAYS_AWAY_S;
    assert_true(relays_stem_holds(r, &stem, 0));
    r->guard[0]->denied_s = r->guard[1]->denied_s = 0;
    assert_false(relays_stem_holds(r, &stem, 0));
    relays_free(r);
}

static void lengths_that_do_not_match_are_refused(void **state)
{
    struct onion_hop hop[ONION_HOPS_MAX], last;

    (void)state;
    struct relays *r = pool();
    stem_of(r, 2, hop);
    struct relays_stem stem = {hop, 2};
    struct relays_path_want want = {.n = 4};
    assert_int_equal(relays_path_last(r, &want, &nobody, &stem, 0, &last), QUDAG_EINVAL);
    want.n = 2;
    assert_int_equal(relays_path_last(r, &want, &nobody, &stem, 0, &last), QUDAG_EINVAL);
    stem.n = 1;
    assert_int_equal(relays_path_last(r, &want, &nobody, &stem, 0, &last), QUDAG_EINVAL);
    assert_false(relays_stem_holds(r, &stem, 0));
    want = (struct relays_path_want){.n = 2, .stem = true};
    assert_int_equal(relays_path(r, &want, 0, hop), QUDAG_EINVAL);
    relays_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_hop_is_a_gateway_of_another_network),
        cmocka_unit_test(a_named_last_hop_fits_or_another_stem_is_needed),
        cmocka_unit_test(a_stem_that_would_not_be_chosen_any_more_holds_no_longer),
        cmocka_unit_test(a_stem_at_a_guard_whose_turn_is_over_holds_no_longer),
        cmocka_unit_test(lengths_that_do_not_match_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
