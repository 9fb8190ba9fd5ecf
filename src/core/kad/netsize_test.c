/* How large the network is thought to be, and keys that lead to a place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/kad_int.h"

#include <stdlib.h>

static struct mem mem;
static struct rng_stream stream;
static struct kad *k;

static qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)value;
    (void)now;
    (void)expires;
    return QUDAG_OK;
}

static void begin(void)
{
    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, (const uint8_t[32]){5});
    struct kad_config c = {.mem = &mem,
                           .rng = rng_of_stream(&stream),
                           .protocol = KAD_PROTOCOL,
                           .lab = true,
                           .n_validators = 1};
    c.validator[0] = (struct kad_validator){.ns = "v", .value_max = 10, .check = check};
    peer_id_from_ed25519(&c.self, (const uint8_t[32]){1});
    assert_int_equal(kad_new(&k, &c, NS_PER_S), QUDAG_OK);
}

static void end(void)
{
    kad_free(k);
    assert_int_equal(mem.used, 0);
}

static uint64_t anywhere(void)
{
    return (uint64_t)rng_u32(&k->env.rng) << 32 | rng_u32(&k->env.rng);
}

/* Servers in the network, as far as can be told. */
static uint64_t nodes(void)
{
    uint64_t space = k->routing.size.space;

    return space == 0 ? k->routing.table.n + 1 : UINT64_MAX / space;
}

/* A lookup of a random key in a network of |n|, |crowd| of which were made to lie within 2^-30 of it. */
static void looked_up(unsigned n, unsigned crowd)
{
    struct kad_lookup *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    struct kad_candidates *q = &l->q;
    for (unsigned i = 0; i < n + crowd; i++) {
        uint64_t d = i < n ? anywhere() : anywhere() >> 30;
        size_t at = q->n;
        if (q->n == KAD_K && d >= q->cand[KAD_K - 1].dist) {
            continue;
        }
        if (q->n == KAD_K) {
            at--;
        } else {
            q->n++;
        }
        for (; at > 0 && q->cand[at - 1].dist > d; at--) {
            q->cand[at] = q->cand[at - 1];
        }
        q->cand[at] = (struct kad_cand){.dist = d, .state = KAD_CAND_ANSWERED};
    }
    kad_lookup_measure(&k->rpcs, l, NS_PER_S);
    free(l);
}

static void the_size_follows_from_lookups_within_a_quarter(void **state)
{
    (void)state;
    static const unsigned sizes[] = {30, 100, 1000, 10000};

    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        begin();
        assert_int_equal(nodes(), 1); /* nothing is known */
        assert_int_equal(kad_netsize_radius(&k->routing.size, 1), 0);
        assert_int_equal(kad_netsize_near_bits(&k->routing.size), 0);
        assert_int_equal(kad_netsize_bits(&k->routing.size), 0);
        for (unsigned i = 0; i < KAD_NETSIZE_SAMPLES; i++) {
            looked_up(sizes[s], 0);
        }
        print_message("%u: %u\n", sizes[s], (unsigned)nodes());
        assert_in_range(nodes(), sizes[s] * 3 / 4, sizes[s] * 5 / 4);
        if (sizes[s] >= 100) {
            uint64_t expected = UINT64_MAX / sizes[s] * KAD_K;
            assert_in_range(kad_netsize_radius(&k->routing.size, KAD_K), expected / 4 * 3,
                            expected / 3 * 4);
            assert_true(kad_netsize_radius(&k->routing.size, KAD_K) >>
                            (63 - kad_netsize_near_bits(&k->routing.size)) ==
                        1);
        } else {
            assert_int_equal(kad_netsize_radius(&k->routing.size, KAD_K),
                             0); /* more than half the network */
        }
        end();
    }
}

static void a_minority_of_crowded_keys_does_not_move_the_size(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < KAD_NETSIZE_SAMPLES; i++) {
        looked_up(1000, i % 3 == 0 ? KAD_K : 0);
    }
    print_message("%u\n", (unsigned)nodes());
    assert_in_range(nodes(), 700, 1500);
    end();
}

static void a_network_that_grew_is_known_to_have_grown(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < KAD_NETSIZE_SAMPLES; i++) {
        looked_up(100, 0);
    }
    for (unsigned i = 0; i < KAD_NETSIZE_SAMPLES; i++) {
        looked_up(3000, 0);
    }
    assert_in_range(nodes(), 2250, 3750);
    end();
}

static void a_lookup_with_fewer_than_k_answers_says_nothing(void **state)
{
    (void)state;
    begin();
    looked_up(KAD_K - 1, 0);
    assert_int_equal(k->routing.size.n, 0);
    looked_up(KAD_K, 0);
    assert_int_equal(k->routing.size.n, 1);
    end();
}

static void ids_all_at_one_place_do_no_harm(void **state)
{
    (void)state;
    struct kad_lookup *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    struct kad_candidates *q = &l->q;
    begin();
    for (q->n = 0; q->n < KAD_K; q->n++) {
        q->cand[q->n].state = KAD_CAND_ANSWERED;
    }
    kad_lookup_measure(&k->rpcs, l, NS_PER_S);
    assert_int_equal(nodes(), UINT64_MAX);
    assert_int_equal(kad_netsize_bits(&k->routing.size), 63);
    assert_int_equal(kad_netsize_radius(&k->routing.size, KAD_K), KAD_K);
    for (size_t i = 0; i < KAD_K; i++) {
        q->cand[i].dist = UINT64_MAX;
    }
    kad_lookup_measure(&k->rpcs, l, NS_PER_S);
    kad_lookup_measure(&k->rpcs, l, NS_PER_S);
    assert_in_range(nodes(), 1, 20);
    end();
    free(l);
}

/* ---- keys ---- */

static uint32_t place_of(const uint8_t key[KAD_PREFIX_KEY])
{
    uint8_t hash[SHA256_LEN];

    sha256(hash, (struct slice){key, KAD_PREFIX_KEY});
    return (uint32_t)hash[0] << 8 | hash[1];
}

static void a_key_is_found_for_every_place_and_begins_with_its_bits(void **state)
{
    (void)state;
    uint8_t key[KAD_PREFIX_KEY];

    begin();
    for (unsigned bits = 0; bits <= KAD_PREFIX_BITS; bits++) {
        for (unsigned i = 0; i < 200; i++) {
            uint32_t place = rng_below(&k->env.rng, UINT32_C(1) << KAD_PREFIX_BITS);
            assert_true(kad_contacts_prefix_key(&k->routing, place, bits, key));
            assert_int_equal(place_of(key) >> (KAD_PREFIX_BITS - bits),
                             place >> (KAD_PREFIX_BITS - bits));
            assert_true(key[0] == 0x12 && key[1] == 0x20); /* a multihash */
        }
    }
    assert_false(kad_contacts_prefix_key(&k->routing, 0, KAD_PREFIX_BITS + 1, key));
    for (uint32_t place = 0; place < UINT32_C(1) << KAD_PREFIX_BITS; place += 97) {
        assert_true(kad_contacts_prefix_key(&k->routing, place, KAD_PREFIX_BITS, key));
        assert_int_equal(place_of(key), place);
    }
    end();
}

static void asked_again_for_few_bits_it_gives_other_keys(void **state)
{
    (void)state;
    static bool seen[1u << KAD_PREFIX_BITS];
    uint8_t key[KAD_PREFIX_KEY];
    unsigned different = 0;

    begin();
    for (unsigned i = 0; i < 64; i++) {
        assert_true(kad_contacts_prefix_key(&k->routing, 0x5000, 4, key));
        uint32_t place = place_of(key);
        assert_int_equal(place >> 12, 5);
        different += seen[place] ? 0 : 1;
        seen[place] = true;
    }
    print_message("%u of 64\n", different);
    assert_true(different >= 16);
    end();
}

static void parts_of_our_buckets_have_keys_that_lead_there(void **state)
{
    (void)state;
    uint8_t key[KAD_PREFIX_KEY], hash[SHA256_LEN];

    begin();
    for (unsigned cpl = 0; cpl <= KAD_REFRESH_BITS; cpl++) {
        for (unsigned part = 0; part < KAD_PARTS; part++) {
            assert_true(kad_contacts_part_key(&k->routing, cpl, part, key));
            sha256(hash, (struct slice){key, sizeof(key)});
            assert_int_equal(kad_cpl(k->env.hash, hash), cpl);
            uint64_t rest = kad_hash_prefix(hash) << (cpl + 1);
            assert_int_equal(rest >> (64 - KAD_PART_BITS), part);
        }
    }
    end();
}

static void without_memory_no_key_is_found_and_later_one_is(void **state)
{
    (void)state;
    uint8_t key[KAD_PREFIX_KEY];

    begin();
    mem.fail_at = 1;
    assert_false(kad_contacts_prefix_key(&k->routing, 7, KAD_PREFIX_BITS, key));
    mem.fail_at = 0;
    assert_true(kad_contacts_prefix_key(&k->routing, 7, KAD_PREFIX_BITS, key));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_follows_from_lookups_within_a_quarter),
        cmocka_unit_test(a_minority_of_crowded_keys_does_not_move_the_size),
        cmocka_unit_test(a_network_that_grew_is_known_to_have_grown),
        cmocka_unit_test(a_lookup_with_fewer_than_k_answers_says_nothing),
        cmocka_unit_test(ids_all_at_one_place_do_no_harm),
        cmocka_unit_test(a_key_is_found_for_every_place_and_begins_with_its_bits),
        cmocka_unit_test(asked_again_for_few_bits_it_gives_other_keys),
        cmocka_unit_test(parts_of_our_buckets_have_keys_that_lead_there),
        cmocka_unit_test(without_memory_no_key_is_found_and_later_one_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
