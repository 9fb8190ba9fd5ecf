/* relays_test.c - rules, guards, statistics and bounds of the relay pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

static const struct onion_hop service; /* of which only its being there counts */

static void hops_are_distinct_and_never_the_excluded_or_ourselves(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[ONION_HOPS_MAX];
    struct peer_id out = peer_of(3), self = peer_of(200);

    (void)state;
    world_add(w);
    for (int i = 0; i < 2000; i++) {
        size_t n = 1 + (size_t)i % ONION_HOPS_MAX;
        assert_int_equal(
            path_of(w->r, &(struct relays_path_want){.n = n, .exclude = &out, .n_exclude = 1}, 0,
                    h),
            QUDAG_OK);
        for (size_t a = 0; a < n; a++) {
            assert_false(peer_id_eq(&h[a].peer, &out));
            assert_false(peer_id_eq(&h[a].peer, &self));
            for (size_t b = 0; b < a; b++) {
                assert_false(peer_id_eq(&h[a].peer, &h[b].peer));
            }
        }
    }
    world_free(w);
}

static void one_relay_per_family_and_per_network(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3];

    (void)state;
    for (uint8_t i = 0; i < N; i++) {
        desc_set(&w->d[i], i, i / 4); /* five networks of four */
        memset(w->d[i].family, 1 + i % 5, 32);
    }
    world_add(w);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 0, h), QUDAG_OK);
        for (size_t a = 0; a < 3; a++) {
            for (size_t b = 0; b < a; b++) {
                assert_int_not_equal(ix_of(&h[a]) / 4, ix_of(&h[b]) / 4);
                assert_int_not_equal(ix_of(&h[a]) % 5, ix_of(&h[b]) % 5);
            }
        }
    }
    world_free(w);
}

static void ipv6_networks_count_by_32_bits(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[2];

    (void)state;
    for (uint8_t i = 0; i < 2; i++) {
        struct netaddr a = {.family = 6, .ip = {0x2a, 1, 0xd, 0xb8, i, 0, 1}, .port = 1};
        multiaddr_quic(&w->d[i].addr[0], &a, NULL);
        assert_int_equal(relays_add(w->r, &w->d[i]), QUDAG_OK);
    }
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 2}, 0, h), QUDAG_ENORELAYS);
    struct netaddr a = {.family = 6, .ip = {0x2a, 1, 0xd, 0xb9}, .port = 1};
    multiaddr_quic(&w->d[1].addr[0], &a, NULL);
    w->d[1].seq++;
    assert_int_equal(relays_add(w->r, &w->d[1]), QUDAG_OK);
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 2}, 0, h), QUDAG_OK);
    world_free(w);
}

static void a_lab_drops_the_network_rule_only(void **state)
{
    struct world *w = world_new(true);
    struct onion_hop h[3];

    (void)state;
    for (uint8_t i = 0; i < 3; i++) {
        desc_set(&w->d[i], i, 9);
        w->d[i].flags |= RELAY_FLAG_LAB;
        assert_int_equal(relays_add(w->r, &w->d[i]), QUDAG_OK);
    }
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 0, h), QUDAG_OK);
    memset(w->d[0].family, 7, 32);
    memset(w->d[1].family, 7, 32);
    w->d[0].seq = w->d[1].seq = 2;
    assert_int_equal(relays_add(w->r, &w->d[0]), QUDAG_OK);
    assert_int_equal(relays_add(w->r, &w->d[1]), QUDAG_OK);
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 0, h), QUDAG_ENORELAYS);
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 2}, 0, h), QUDAG_OK);
    world_free(w);
}

static void lab_relays_and_relays_without_address_are_not_used_outside(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[1];

    (void)state;
    w->d[0].flags |= RELAY_FLAG_LAB;
    w->d[1].n_addrs = 0;
    assert_int_equal(relays_add(w->r, &w->d[0]), QUDAG_OK);
    assert_int_equal(relays_add(w->r, &w->d[1]), QUDAG_OK);
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 1, .service = &service}, 0, h),
                     QUDAG_ENORELAYS);
    world_free(w);
}

static void addr_add(struct relay_desc *d, const char *text)
{
    assert_int_equal(multiaddr_parse(&d->addr[d->n_addrs++], text), QUDAG_OK);
}

/* Every relay has 127.0.0.1, and half of them the network of a common home router. */
static void addresses_that_every_machine_has_keep_no_relay_out_of_a_path(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        addr_add(&w->d[i], "/ip4/127.0.0.1/udp/4433/quic-v1");
        addr_add(&w->d[i], i % 2 == 0 ? "/ip4/192.168.1.2/udp/4433/quic-v1"
                                      : "/ip6/fe80::1/udp/4433/quic-v1");
    }
    world_add(w);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 0, h), QUDAG_OK);
        for (size_t k = 0; k < 3; k++) { /* nobody is asked to dial the others */
            assert_int_equal(h[k].n_addrs, 1);
            assert_true(multiaddr_eq(&h[k].addr[0], &w->d[ix_of(&h[k])].addr[0]));
        }
    }
    world_free(w);
}

static void a_relay_with_addresses_nobody_reaches_is_used_in_a_lab_alone(void **state)
{
    static const char *const near[] = {
        "/ip4/127.0.0.1/udp/1/quic-v1",  "/ip4/10.0.0.1/udp/1/quic-v1",
        "/ip4/100.64.0.1/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1",
        "/ip6/fd00::1/udp/1/quic-v1",    "/ip6/fe80::1/udp/1/quic-v1",
    };
    struct onion_hop h[1];

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(near); i++) {
        struct world *w = world_new(i % 2 == 0);
        w->d[0].n_addrs = 0;
        addr_add(&w->d[0], near[i / 2]);
        assert_int_equal(relays_add(w->r, &w->d[0]), QUDAG_OK);
        assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 1}, 0, h),
                         i % 2 == 0 ? QUDAG_OK : QUDAG_ENORELAYS);
        world_free(w);
    }
}

static void flags_decide_who_is_first_and_last(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3];
    unsigned last_no_gateway = 0;

    (void)state;
    for (uint8_t i = 0; i < N; i++) {
        w->d[i].flags = i < 5 ? RELAY_FLAG_GUARD : i < 10 ? RELAY_FLAG_GATEWAY : 0;
    }
    world_add(w);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 0, h), QUDAG_OK);
        assert_true(ix_of(&h[0]) < 5);
        assert_true(ix_of(&h[2]) >= 5 && ix_of(&h[2]) < 10);
        assert_int_equal(
            path_of(w->r, &(struct relays_path_want){.n = 3, .service = &service}, 0, h), QUDAG_OK);
        last_no_gateway += ix_of(&h[2]) >= 10 || ix_of(&h[2]) < 5;
    }
    assert_true(last_no_gateway > 100);
    world_free(w);
}

/* Sum of (observed - expected)^2 / expected, times 1000. */
static uint64_t chi_square_milli(const uint32_t *seen, size_t n, size_t skip, uint32_t draws)
{
    uint64_t bins = n - (skip < n ? 1 : 0), sum = 0;

    for (size_t i = 0; i < n; i++) {
        if (i != skip) {
            int64_t diff = (int64_t)(seen[i] * bins) - (int64_t)draws;
            sum += (uint64_t)(diff * diff) * 1000 / (bins * draws);
        }
    }
    return sum;
}

/* Over many clients; each of them has guards and second-layer guards of its own. */
static void every_relay_is_as_likely_in_every_place(void **state)
{
    struct world *w = world_new(false);
    uint32_t seen[3][N] = {{0}};
    struct onion_hop h[3];
    enum { DRAWS = 4000 };

    (void)state;
    struct relays_config cfg = {.mem = &w->mem, .rng = rng_of_stream(&w->stream)};
    for (int i = 0; i < DRAWS; i++) {
        relays_free(w->r);
        assert_int_equal(relays_new(&w->r, &cfg), QUDAG_OK);
        world_add(w);
        assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 0, h), QUDAG_OK);
        for (size_t k = 0; k < 3; k++) {
            seen[k][ix_of(&h[k])]++;
        }
    }
    for (size_t k = 0; k < 3; k++) { /* 19 degrees of freedom: 43.8 is exceeded once in 1000 */
        assert_true(chi_square_milli(seen[k], N, N, DRAWS) < 43800);
    }
    world_free(w);
}

static void failures_filter_for_a_doubling_time(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3];
    tstamp now = 0;

    (void)state;
    world_add(w);
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, now, h), QUDAG_OK);
    uint8_t bad_ix = 0; /* neither the guard nor of the second layer */
    while (peer_id_eq(&h[0].peer, &w->d[bad_ix].peer) ||
           relays_second_find(w->r, &w->d[bad_ix].peer) != NULL) {
        bad_ix++;
    }
    struct peer_id bad = peer_of(bad_ix);
    static const uint32_t wait_s[] = {60, 120, 240, 480, 960, 1920, 3600, 3600};
    for (size_t k = 0; k < ARRAY_LEN(wait_s); k++) {
        unsigned before = 0, after = 0;
        relays_failed(w->r, &bad, now);
        now += wait_s[k] * NS_PER_S;
        for (int i = 0; i < 300; i++) {
            assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, now - 1, h),
                             QUDAG_OK);
            before += ix_of(&h[2]) == bad_ix;
            assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, now, h), QUDAG_OK);
            after += ix_of(&h[2]) == bad_ix;
        }
        assert_int_equal(before, 0);
        assert_true(after > 5);
    }
    relays_failed(w->r, &bad, now);
    relays_worked(w->r, &bad, now);
    unsigned again = 0;
    for (int i = 0; i < 300; i++) {
        assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, now, h), QUDAG_OK);
        again += ix_of(&h[2]) == bad_ix;
    }
    assert_true(again > 5);
    world_free(w);
}

static void failed_relays_are_used_when_nothing_else_is_left(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[3];

    (void)state;
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(relays_add(w->r, &w->d[i]), QUDAG_OK);
        relays_failed(w->r, &w->d[i].peer, 5);
    }
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 6, h), QUDAG_OK);
    assert_int_equal(
        path_of(w->r, &(struct relays_path_want){.n = 3, .exclude = &w->d[0].peer, .n_exclude = 1},
                6, h),
        QUDAG_ENORELAYS);
    world_free(w);
}

static void only_an_answer_says_that_there_is_no_descriptor(void **state)
{
    static const struct {
        qudag_err err;
        bool answered;
    } row[] = {
        {QUDAG_ENOTFOUND, true},   {QUDAG_EAUTH, true},     {QUDAG_EMALFORMED, true},
        {QUDAG_EEXPIRED, true},    {QUDAG_ESTALE, true},    {QUDAG_ECLOCK, true},
        {QUDAG_ELIMIT, true},      {QUDAG_EPOLICY, true},   {QUDAG_ENOMEM, false},
        {QUDAG_ECANCELED, false},  {QUDAG_ETIMEOUT, false}, {QUDAG_EUNREACHABLE, false},
        {QUDAG_EBOOTSTRAP, false}, {QUDAG_ESTATE, false},   {QUDAG_EINTERNAL, false},
        {QUDAG_EAGAIN, false},     {QUDAG_OK, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(relays_fetch_answered(row[i].err), row[i].answered);
    }
}

static void older_descriptors_are_refused_and_expired_ones_dropped(void **state)
{
    struct world *w = world_new(false);
    struct peer_id p;

    (void)state;
    w->d[0].seq = 5;
    assert_int_equal(relays_add(w->r, &w->d[0]), QUDAG_OK);
    assert_int_equal(relays_add(w->r, &w->d[0]), QUDAG_OK);
    w->d[0].seq = 4;
    assert_int_equal(relays_add(w->r, &w->d[0]), QUDAG_ESTALE);
    assert_int_equal(relays_count(w->r), 1);
    relays_expire(w->r, 1000 + 86399, true);
    assert_int_equal(relays_count(w->r), 1);
    /* in its last quarter a newer one is looked for, though it is known */
    assert_true(relays_next_fetch(w->r, 0, &p));
    assert_true(peer_id_eq(&p, &w->d[0].peer));
    assert_false(relays_next_fetch(w->r, 0, &p));
    relays_expire(w->r, 1000 + 86400, true);
    assert_int_equal(relays_count(w->r), 0);
    assert_false(relays_has(w->r, &w->d[0].peer));
    struct relay_desc self = w->d[0];
    self.peer = peer_of(200);
    assert_int_equal(relays_add(w->r, &self), QUDAG_EINVAL);
    world_free(w);
}

static struct peer_id stranger(uint32_t i)
{
    uint8_t pk[32] = {(uint8_t)i, (uint8_t)(i >> 8), 1};
    struct peer_id p;

    peer_id_from_ed25519(&p, pk);
    return p;
}

/* Of |n| from stranger |first| on, how many are candidates. */
static unsigned candidates_of(const struct relays *r, uint32_t first, uint32_t n)
{
    unsigned found = 0;

    for (uint32_t i = first; i < first + n; i++) {
        struct peer_id p = stranger(i);
        found += map_get(&r->cand_by_peer, peer_id_slice(&p)) != NULL;
    }
    return found;
}

/* A flood pushes out those of the flood as well as others: neither who came first nor who came last has all places. */
static void a_flood_of_candidates_leaves_some_of_all(void **state)
{
    struct world *w = world_new(false);

    (void)state;
    for (uint32_t i = 0; i < 3 * RELAYS_CANDIDATES_MAX; i++) {
        struct peer_id p = stranger(i);
        relays_candidate(w->r, &p);
    }
    assert_int_equal(w->r->n_cand, RELAYS_CANDIDATES_MAX);
    unsigned first = candidates_of(w->r, 0, RELAYS_CANDIDATES_MAX),
             second = candidates_of(w->r, RELAYS_CANDIDATES_MAX, RELAYS_CANDIDATES_MAX),
             third = candidates_of(w->r, 2 * RELAYS_CANDIDATES_MAX, RELAYS_CANDIDATES_MAX);
    assert_int_equal(first + second + third, RELAYS_CANDIDATES_MAX);
    /* each newcomer takes the place of any: of 1024 are left, after so many others, 1024 (1 - 1/1024)^others */
    assert_in_range(first, 100, 180);  /* 139 */
    assert_in_range(second, 190, 290); /* 238 */
    world_free(w);
}

static void candidates_are_bounded_and_retried_with_backoff(void **state)
{
    struct world *w = world_new(false);
    struct peer_id p, q;
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        p = stranger(i);
        relays_candidate(w->r, &p);
        relays_candidate(w->r, &p);
    }
    while (relays_next_fetch(w->r, 0, &p)) {
        n++;
    }
    assert_int_equal(n, 1024);
    relays_free(w->r);
    pool_new(w, false, 2);
    p = peer_of(9);
    relays_candidate(w->r, &p);
    tstamp now = 0;
    tstamp last = 0;
    uint64_t pause = 0;
    unsigned fetched = 0;
    for (; now < 24 * 3600 * NS_PER_S; now += NS_PER_S / 5) {
        if (relays_next_fetch(w->r, now, &q)) {
            assert_true(now - last >= pause / 5 * 4);
            assert_true(now - last <= pause / 5 * 6 + NS_PER_S / 5);
            pause = pause == 0 ? 2 * NS_PER_S : 2 * pause; /* each a fifth more or less */
            pause = pause < 3600 * NS_PER_S ? pause : 3600 * NS_PER_S;
            last = now;
            fetched++;
            relays_fetch_failed(w->r, &q, QUDAG_ENOTFOUND, now);
        }
    }
    assert_int_equal(fetched, 12);
    world_free(w);
}

/* Whoever comes early or often gains nothing: of those met, the pool holds the ones of the lowest rank. */
static void a_full_pool_is_a_sample_of_all_that_were_met(void **state)
{
    struct world *w = world_new(false);
    struct relays_config cfg = {.mem = &w->mem, .rng = rng_of_stream(&w->stream), .max = 5};
    unsigned late = 0;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct relays *r;
        assert_int_equal(relays_new(&r, &cfg), QUDAG_OK);
        for (int again = 0; again < 3; again++) {
            for (uint8_t i = 0; i < N; i++) {
                size_t ix = again > 0 ? i % (N / 2) : i; /* the first half, renewed */
                w->d[ix].seq++;
                qudag_err err = relays_add(r, &w->d[ix]);
                assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
            }
        }
        assert_int_equal(relays_count(r), 5);
        uint64_t worst = 0;
        for (uint8_t i = 0; i < N; i++) {
            uint64_t rank = relays_rank(r, &w->d[i].peer);
            bool has = relays_has(r, &w->d[i].peer);
            worst = has && rank > worst ? rank : worst;
            late += has && i >= N / 2 ? 1 : 0;
        }
        for (uint8_t i = 0; i < N; i++) {
            assert_true(relays_has(r, &w->d[i].peer) || relays_rank(r, &w->d[i].peer) > worst);
        }
        relays_free(r);
    }
    assert_in_range(late, 650, 850); /* half of 1500 */
    world_free(w);
}

static void impossible_wishes_are_refused(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[ONION_HOPS_MAX];

    (void)state;
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, 0, h), QUDAG_ENORELAYS);
    world_add(w);
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 0}, 0, h), QUDAG_EINVAL);
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = ONION_HOPS_MAX + 1}, 0, h),
                     QUDAG_EINVAL);
    world_free(w);
}

/* Everything that allocates, with the |fail_at|th allocation failing; true when none was left. */
static bool scenario(struct world *w, uint64_t fail_at)
{
    struct rng_stream s;
    uint8_t seed[32] = {3};
    struct relays *r;
    struct onion_hop h[3];

    rng_stream_init(&s, seed);
    struct relays_config cfg = {.mem = &w->mem, .rng = rng_of_stream(&s)};
    w->mem.fail_at = fail_at;
    if (relays_new(&r, &cfg) != QUDAG_OK) {
        assert_null(r);
        return false;
    }
    size_t added = 0;
    for (uint8_t i = 0; i < N; i++) {
        struct peer_id p = peer_of(i);
        relays_candidate(r, &p);
        qudag_err err = relays_add(r, &w->d[i]);
        assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
        added += err == QUDAG_OK;
    }
    assert_int_equal(added, relays_count(r));
    qudag_err err = path_of(r, &(struct relays_path_want){.n = 3}, 0, h);
    assert_true(err == QUDAG_OK || err == QUDAG_ENORELAYS);
    err = path_of(r, &(struct relays_path_want){.n = 3}, 0, h);
    assert_int_equal(err, QUDAG_OK); /* what was not drawn for lack of memory is drawn now */
    relays_free(r);
    bool all = w->mem.fail_at != 0;
    w->mem.fail_at = 0;
    return all;
}

static void every_failed_allocation_is_survived(void **state)
{
    struct world *w = world_new(false);
    uint64_t i = 1;

    (void)state;
    size_t used = w->mem.used;
    while (!scenario(w, i)) {
        assert_int_equal(w->mem.used, used);
        i++;
        assert_true(i < 1000);
    }
    assert_true(i > N);
    world_free(w);
}

/* The versions a relay or a service has: its addresses are of these. */
static void addrs_set(struct multiaddr *addr, uint8_t *n, uint8_t ip, uint8_t net)
{
    struct netaddr v4 = {.family = 4, .ip = {100, net, 1, 1}, .port = 4001};
    struct netaddr v6 = {.family = 6, .ip = {0x2a, 1, 0x0d, net}, .port = 4001};

    *n = 0;
    if ((ip & RELAYS_IP4) != 0) {
        multiaddr_quic(&addr[(*n)++], &v4, NULL);
    }
    if ((ip & RELAYS_IP6) != 0) {
        multiaddr_quic(&addr[(*n)++], &v6, NULL);
    }
}

static void which_ip_versions_count_and_who_reaches_whom(void **state)
{
    enum { V4 = RELAYS_IP4, V6 = RELAYS_IP6, BOTH = V4 | V6 };
    static const struct {
        uint32_t n4, n6, n;
        uint8_t counted;
    } count[] = {
        {0, 0, 0, BOTH},  {10, 0, 10, V4}, {0, 10, 10, V6}, {10, 10, 10, BOTH}, {7, 3, 10, V4},
        {6, 4, 10, BOTH}, {9, 3, 9, BOTH}, {9, 2, 9, V4},   {2, 2, 10, 0},
    };
    static const struct {
        uint8_t a, b, counted;
        bool reaches;
    } reach[] = {
        {V4, V4, BOTH, true},   {V6, V6, BOTH, true},
        {V4, V6, BOTH, false},  {V6, V4, BOTH, false},
        {BOTH, V4, BOTH, true}, {V6, BOTH, BOTH, true},
        {0, V6, BOTH, true},    {V4, 0, BOTH, true},
        {V4, V6, V4, true}, /* a rare one narrows nothing */
        {V6, V4, V4, true},     {BOTH, V6, V4, true},
        {V4, V6, 0, true},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(count); i++) {
        assert_int_equal(relays_ip_counted(count[i].n4, count[i].n6, count[i].n), count[i].counted);
    }
    for (size_t i = 0; i < ARRAY_LEN(reach); i++) {
        assert_int_equal(relays_ip_reaches(reach[i].a, reach[i].b, reach[i].counted),
                         reach[i].reaches);
    }
}

/* Half of the relays have IPv4, half have IPv6, a quarter have both. */
static void neighbours_in_a_path_share_an_ip_version(void **state)
{
    static const uint8_t ip[4] = {RELAYS_IP4, RELAYS_IP6, RELAYS_IP4, RELAYS_IP4 | RELAYS_IP6};
    static struct onion_hop v6_service;
    (void)state;

    addrs_set(v6_service.addr, &v6_service.n_addrs, RELAYS_IP6, 77);
    for (uint8_t own = 0; own <= (RELAYS_IP4 | RELAYS_IP6); own++) {
        struct world *w = world_new(false);
        struct onion_hop h[ONION_HOPS_MAX];
        bool met[4] = {false};

        for (uint8_t i = 0; i < N; i++) {
            addrs_set(w->d[i].addr, &w->d[i].n_addrs, ip[i % 4], i);
        }
        world_add(w);
        relays_set_own_ip(w->r, own);
        for (int i = 0; i < 2000; i++) {
            size_t n = 2 + (size_t)i % 3; /* guards are not chosen to suit a service */
            const struct onion_hop *to = i % 2 == 0 ? &v6_service : NULL;
            assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = n, .service = to}, 0, h),
                             QUDAG_OK);
            for (size_t k = 0; k < n; k++) {
                uint8_t mine = ip[ix_of(&h[k]) % 4], next = RELAYS_IP4 | RELAYS_IP6;
                met[ix_of(&h[k]) % 4] = true;
                if (k + 1 < n) {
                    next = ip[ix_of(&h[k + 1]) % 4];
                } else if (to != NULL) {
                    next = RELAYS_IP6;
                }
                assert_int_not_equal(mine & next, 0);
                assert_true(k > 0 || own == 0 || (own & mine) != 0);
            }
        }
        assert_true(met[0] && met[1] && met[2] && met[3]);
        world_free(w);
    }
}

/* Two relays of twenty have IPv6, and nobody else: who follows them may be anybody. */
static void a_rare_ip_version_draws_no_neighbours_to_those_who_have_it(void **state)
{
    struct world *w = world_new(false);
    struct onion_hop h[2];
    unsigned before = 0, v6 = 0;
    static struct onion_hop v6_service;
    (void)state;

    addrs_set(v6_service.addr, &v6_service.n_addrs, RELAYS_IP6, 77);
    for (uint8_t i = 0; i < N; i++) {
        addrs_set(w->d[i].addr, &w->d[i].n_addrs, i < 2 ? RELAYS_IP6 : RELAYS_IP4, i);
    }
    world_add(w);
    for (int i = 0; i < 1900; i++) {
        assert_int_equal(
            path_of(w->r, &(struct relays_path_want){.n = 2, .service = &v6_service}, 0, h),
            QUDAG_OK);
        v6 += ix_of(&h[1]) < 2 ? 1 : 0;
        before += ix_of(&h[1]) >= 2 ? 1 : 0;
    }
    assert_true(v6 > 50 && v6 < 350); /* about 2 of 19 */
    assert_true(before > 1500);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hops_are_distinct_and_never_the_excluded_or_ourselves),
        cmocka_unit_test(one_relay_per_family_and_per_network),
        cmocka_unit_test(ipv6_networks_count_by_32_bits),
        cmocka_unit_test(a_lab_drops_the_network_rule_only),
        cmocka_unit_test(lab_relays_and_relays_without_address_are_not_used_outside),
        cmocka_unit_test(addresses_that_every_machine_has_keep_no_relay_out_of_a_path),
        cmocka_unit_test(a_relay_with_addresses_nobody_reaches_is_used_in_a_lab_alone),
        cmocka_unit_test(flags_decide_who_is_first_and_last),
        cmocka_unit_test(every_relay_is_as_likely_in_every_place),
        cmocka_unit_test(failures_filter_for_a_doubling_time),
        cmocka_unit_test(failed_relays_are_used_when_nothing_else_is_left),
        cmocka_unit_test(which_ip_versions_count_and_who_reaches_whom),
        cmocka_unit_test(neighbours_in_a_path_share_an_ip_version),
        cmocka_unit_test(a_rare_ip_version_draws_no_neighbours_to_those_who_have_it),
        cmocka_unit_test(only_an_answer_says_that_there_is_no_descriptor),
        cmocka_unit_test(older_descriptors_are_refused_and_expired_ones_dropped),
        cmocka_unit_test(a_flood_of_candidates_leaves_some_of_all),
        cmocka_unit_test(candidates_are_bounded_and_retried_with_backoff),
        cmocka_unit_test(a_full_pool_is_a_sample_of_all_that_were_met),
        cmocka_unit_test(impossible_wishes_are_refused),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
