/* Table, names and store, each alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/kad_int.h"

#include <stdlib.h>

static struct mem mem;

static struct kad_peer *peer(unsigned n, unsigned net24)
{
    struct kad_peer_info info = {.n_addrs = 1};
    uint8_t pk[32] = {(uint8_t)n, (uint8_t)(n >> 8), 7};
    struct netaddr a = {.family = 4, .port = 4001};

    peer_id_from_ed25519(&info.id, pk);
    a.ip[0] = 30;
    a.ip[1] = (uint8_t)(net24 >> 8);
    a.ip[2] = (uint8_t)net24;
    a.ip[3] = (uint8_t)n;
    multiaddr_quic(&info.addr[0], &a, NULL);
    uint8_t hash[SHA256_LEN];
    sha256(hash, peer_id_slice(&info.id));
    struct kad_peer *p = kad_peer_new(&mem, &info, hash, false);
    assert_non_null(p);
    return p;
}

static void table(struct kad_table *t, bool lab)
{
    struct peer_id self;

    mem_init(&mem, NULL, 0);
    peer_id_from_ed25519(&self, (const uint8_t[32]){1, 2, 3});
    kad_table_init(t, &mem, &self, lab);
}

static enum kad_seen see(struct kad_table *t, struct kad_peer *p, tstamp now)
{
    struct kad_peer *oldest;

    return kad_table_seen(t, p, now, &oldest);
}

static void closest_agree_with_sorting_everything(void **state)
{
    (void)state;
    struct kad_table t;
    struct kad_peer *all[2000], *got[KAD_K];
    size_t n = 0;

    table(&t, true);
    for (unsigned i = 0; i < 2000; i++) {
        struct kad_peer *p = peer(i, i);
        if (see(&t, p, i) == KAD_SEEN_ADDED) {
            all[n++] = kad_peer_ref(p);
        }
        kad_peer_unref(p);
    }
    for (size_t i = 0; i < n;) { /* a few had to go again for others of a part without entries */
        if (kad_table_find(&t, all[i]->hash) != all[i]) {
            kad_peer_unref(all[i]);
            all[i] = all[--n];
        } else {
            i++;
        }
    }
    assert_int_equal(n, t.n);
    for (unsigned round = 0; round < 300; round++) {
        uint8_t target[SHA256_LEN];
        sha256(target, (struct slice){(const uint8_t *)&round, sizeof(round)});
        if (round == 0) {
            memcpy(target, t.self, sizeof(target));
        }
        size_t k = kad_table_closest(&t, target, NULL, KAD_K, got);
        assert_int_equal(k, KAD_K);
        for (size_t i = 1; i < k; i++) {
            assert_true(kad_dist_cmp(target, got[i - 1]->hash, got[i]->hash) < 0);
        }
        size_t nearer = 0;
        for (size_t i = 0; i < n; i++) {
            nearer += kad_dist_cmp(target, all[i]->hash, got[k - 1]->hash) < 0 ? 1 : 0;
        }
        assert_int_equal(nearer, k - 1);
    }
    /* The asker is left out. */
    (void)kad_table_closest(&t, t.self, NULL, 1, got);
    uint8_t skip[SHA256_LEN];
    memcpy(skip, got[0]->hash, sizeof(skip));
    size_t k = kad_table_closest(&t, t.self, skip, KAD_K, got);
    for (size_t i = 0; i < k; i++) {
        assert_memory_not_equal(got[i]->hash, skip, sizeof(skip));
    }
    for (size_t i = 0; i < n; i++) {
        kad_peer_unref(all[i]);
    }
    kad_table_fini(&t);
    assert_int_equal(mem.used, 0);
}

static unsigned part_of(const struct kad_peer *p)
{
    return p->hash[0] >> (7 - KAD_PART_BITS) & (KAD_PARTS - 1); /* in bucket 0 */
}

static void a_full_bucket_makes_room_for_a_part_without_entries_and_for_no_other(void **state)
{
    (void)state;
    struct kad_table t;
    unsigned swaps = 0;

    table(&t, true);
    for (unsigned i = 0; i < 400; i++) {
        struct kad_peer *p = peer(i, i), *oldest;
        bool full = t.bucket[0] != NULL && t.bucket[0]->n == KAD_K;
        if (kad_bucket_ix(&t, p->hash) == 0 && full) {
            const struct kad_peer *first = t.bucket[0]->peer[0];
            bool lacks = kad_table_lacks(&t, 0, part_of(p));
            assert_int_equal(kad_table_wants(&t, p), lacks);
            assert_int_equal(kad_table_seen(&t, p, i, &oldest),
                             lacks ? KAD_SEEN_ADDED : KAD_SEEN_SPARE);
            assert_int_equal(t.bucket[0]->n, KAD_K);
            assert_ptr_equal(t.bucket[0]->peer[0], first); /* the youngest went */
            swaps += lacks ? 1 : 0;
        } else {
            (void)see(&t, p, i);
        }
        kad_peer_unref(p);
    }
    assert_in_range(swaps, 1, KAD_PARTS);
    for (unsigned i = 0; i < KAD_PARTS; i++) {
        assert_false(kad_table_lacks(&t, 0, i));
    }
    kad_table_fini(&t);
    assert_int_equal(mem.used, 0);
}

static void live_old_entries_stay_and_spares_follow_dead_ones(void **state)
{
    (void)state;
    struct kad_table t;
    struct kad_peer *in[KAD_K], *late = NULL, *oldest;
    size_t n = 0;

    table(&t, true);
    for (unsigned i = 0; i < 200 && late == NULL; i++) {
        struct kad_peer *p = peer(i, i);
        bool full = t.bucket[0] != NULL && t.bucket[0]->n == KAD_K;
        if (kad_bucket_ix(&t, p->hash) != 0 || (full && kad_table_lacks(&t, 0, part_of(p)))) {
            kad_peer_unref(p);
            continue;
        }
        enum kad_seen s = kad_table_seen(&t, p, i, &oldest);
        if (s == KAD_SEEN_ADDED) {
            in[n++] = p;
        } else {
            assert_int_equal(s, KAD_SEEN_SPARE);
            assert_ptr_equal(oldest, in[0]);
            late = p;
        }
        kad_peer_unref(p);
    }
    assert_int_equal(n, KAD_K);
    assert_null(kad_table_find(&t, late->hash));
    /* Whoever answers again becomes the youngest. */
    assert_int_equal(see(&t, in[0], 500), KAD_SEEN_KNOWN);
    assert_ptr_equal(t.bucket[0]->peer[0], in[1]);
    /* While we are offline failures remove nobody. */
    for (int i = 0; i < 5; i++) {
        assert_false(kad_table_failed(&t, in[2]->hash, false));
    }
    uint8_t gone[SHA256_LEN];
    memcpy(gone, in[1]->hash, sizeof(gone));
    assert_false(kad_table_failed(&t, gone, true));
    assert_true(kad_table_failed(&t, gone, true));
    assert_null(kad_table_find(&t, gone));
    assert_ptr_equal(kad_table_find(&t, late->hash), late);
    kad_table_fini(&t);
    assert_int_equal(mem.used, 0);
}

static void one_network_has_two_in_a_bucket_and_ten_in_the_table(void **state)
{
    (void)state;
    struct kad_table t;

    table(&t, false);
    for (unsigned i = 0; i < 5000; i++) {
        struct kad_peer *p = peer(i, 1);
        (void)see(&t, p, i);
        kad_peer_unref(p);
    }
    for (size_t b = 0; b < KAD_BUCKETS; b++) {
        assert_true(t.bucket[b] == NULL || t.bucket[b]->n <= KAD_GROUP_BUCKET);
    }
    assert_int_equal(t.n, KAD_GROUP_TABLE);
    struct kad_peer *other = peer(9000, 2);
    assert_int_equal(see(&t, other, 1), KAD_SEEN_ADDED);
    kad_peer_unref(other);
    kad_table_fini(&t);
    assert_int_equal(mem.used, 0);
}

static void unusable_addresses_are_left_out(void **state)
{
    (void)state;
    static const struct {
        uint8_t ip[4];
        uint16_t port;
        bool usable;
    } cases[] = {
        {{127, 0, 0, 1}, 1, false}, {{10, 0, 0, 1}, 1, false}, {{192, 168, 1, 1}, 1, false},
        {{0, 0, 0, 0}, 1, false},   {{8, 8, 8, 8}, 0, false},  {{8, 8, 8, 8}, 1, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct netaddr a = {.family = 4, .port = cases[i].port};
        struct multiaddr m;
        memcpy(a.ip, cases[i].ip, 4);
        multiaddr_quic(&m, &a, NULL);
        assert_int_equal(kad_addr_usable(&m, false), cases[i].usable);
        assert_true(kad_addr_usable(&m, true));
    }
}

static void round_trips_set_how_long_is_waited(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    struct kad *k = calloc(1, sizeof(*k));
    struct kad_peer *p = peer(1, 1);

    assert_non_null(k);
    k->failing = KAD_FAILING_MANY;
    struct kad_waits w = kad_waits_answer(k, p);
    assert_true(w.soft < w.late && w.late == 900 * NS_PER_MS && w.late < w.hard);
    for (int i = 0; i < 50; i++) {
        kad_guess_note(&k->answers, 80 * NS_PER_MS);
        kad_guess_note(&k->dials, 160 * NS_PER_MS);
    }
    w = kad_waits_answer(k, p); /* a stranger: as the others */
    assert_in_range(w.soft / NS_PER_MS, 155, 165);
    assert_in_range(w.late / NS_PER_MS, 245, 255); /* one packet may be lost */
    assert_in_range(kad_waits_dial(k).late / NS_PER_MS, 440, 460);
    for (int i = 0; i < 500; i++) {
        kad_failing_note(k, false);
    }
    w = kad_waits_answer(k, p); /* hardly anybody fails: three times as long */
    assert_in_range(w.late / NS_PER_MS, 730, 760);
    kad_failing_note(k, true);
    assert_in_range(kad_waits_answer(k, p).late / NS_PER_MS, 245, 255);
    kad_peer_rtt(p, 0);
    w = kad_waits_answer(k, p);
    assert_int_equal(w.soft, 20 * NS_PER_MS);
    assert_int_equal(w.late, 100 * NS_PER_MS);
    for (int i = 0; i < 50; i++) {
        kad_peer_rtt(p, 300 * NS_PER_MS);
    }
    w = kad_waits_answer(k, p);
    assert_in_range(w.soft / NS_PER_MS, 590, 610);
    assert_in_range(w.late / NS_PER_MS, 790, 810);
    kad_peer_rtt(p, TSTAMP_NEVER - 1);
    w = kad_waits_answer(k, p);
    assert_true(w.late <= 2 * NS_PER_S && w.late < w.hard);
    kad_peer_unref(p);
    free(k);
    assert_int_equal(mem.used, 0);
}

/* ---- names ---- */

static void names_are_found_until_deleted_and_leave_no_memory(void **state)
{
    (void)state;
    enum { MOST = 300 };
    struct kad_names t;
    static bool in[MOST];
    uint32_t x = 1, n = 0;

    mem_init(&mem, NULL, 0);
    kad_names_init(&t, &mem, 200);
    for (unsigned step = 0; step < 20000; step++) {
        x = x * 1664525u + 1013904223u;
        uint32_t i = x >> 8 & 0x1ffu;
        if (i >= MOST) {
            continue;
        }
        if (in[i]) {
            kad_names_del(&t, (uint64_t)i << 32 | 7);
            in[i] = false;
            n--;
        } else {
            qudag_err err = kad_names_add(&t, (uint64_t)i << 32 | 7, &in[i]);
            assert_int_equal(err, n < 200 ? QUDAG_OK : QUDAG_ELIMIT);
            in[i] = err == QUDAG_OK;
            n += in[i] ? 1 : 0;
        }
        assert_int_equal(t.n, n);
        for (uint32_t o = 0; o < MOST; o += 7) {
            assert_ptr_equal(kad_names_get(&t, (uint64_t)o << 32 | 7), in[o] ? &in[o] : NULL);
        }
    }
    for (uint32_t i = 0; i < MOST; i++) {
        kad_names_del(&t, (uint64_t)i << 32 | 7); /* those not there change nothing */
    }
    assert_int_equal(t.n, 0);
    assert_int_equal(mem.used, 0);
}

/* ---- store ---- */

static void store(struct kad_store *s, uint32_t records, uint32_t providers)
{
    struct kad_config c = {.records_max = records, .providers_max = providers};
    static const uint8_t seed[32] = {4};

    mem_init(&mem, NULL, 0);
    peer_id_from_ed25519(&c.self, (const uint8_t[32]){1});
    kad_store_init(s, &mem, &c, seed);
}

static void full_store_keeps_what_is_closest_to_itself(void **state)
{
    (void)state;
    struct kad_store s;
    uint8_t all[200][SHA256_LEN];

    store(&s, 50, 10);
    for (unsigned i = 0; i < 200; i++) {
        struct slice key = {(const uint8_t *)&i, sizeof(i)};
        sha256(all[i], key);
        qudag_err err = kad_store_put(&s, key, key, 100, 200);
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
    }
    assert_int_equal(s.n_records, 50);
    for (unsigned i = 0; i < 200; i++) {
        unsigned nearer = 0;
        for (unsigned o = 0; o < 200; o++) {
            nearer += kad_dist_cmp(s.self, all[o], all[i]) < 0 ? 1 : 0;
        }
        assert_int_equal(kad_store_get(&s, all[i], 150) != NULL, nearer < 50);
        assert_null(kad_store_get(&s, all[i], 200)); /* expired, not yet swept */
    }
    kad_store_sweep(&s, 200);
    assert_int_equal(s.n_records, 0);
    kad_store_fini(&s);
    assert_int_equal(mem.used, 0);
}

static void a_key_has_a_bounded_number_of_providers(void **state)
{
    (void)state;
    struct kad_store s;
    struct kad_peer *got[KAD_KEY_PROVIDERS];
    uint8_t hash[SHA256_LEN] = {3};

    store(&s, 10, 100);
    for (unsigned i = 0; i < 30; i++) {
        struct kad_peer *p = peer(i, i);
        qudag_err err = kad_store_provide(&s, hash, p, 100, i < 5 ? 150 : 200);
        assert_int_equal(err, i < KAD_KEY_PROVIDERS ? QUDAG_OK : QUDAG_ELIMIT);
        if (err == QUDAG_OK) { /* again is no second entry */
            assert_int_equal(kad_store_provide(&s, hash, p, 100, i < 5 ? 150 : 200), QUDAG_OK);
        }
        kad_peer_unref(p);
    }
    assert_int_equal(kad_store_providers(&s, hash, 120, KAD_KEY_PROVIDERS, got), KAD_KEY_PROVIDERS);
    assert_int_equal(kad_store_providers(&s, hash, 150, KAD_KEY_PROVIDERS, got), 15);
    struct kad_peer *p = peer(99, 99); /* in the place of an expired one */
    assert_int_equal(kad_store_provide(&s, hash, p, 160, 300), QUDAG_OK);
    kad_peer_unref(p);
    kad_store_sweep(&s, 250);
    assert_int_equal(s.n_providers, 1);
    kad_store_fini(&s);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closest_agree_with_sorting_everything),
        cmocka_unit_test(a_full_bucket_makes_room_for_a_part_without_entries_and_for_no_other),
        cmocka_unit_test(live_old_entries_stay_and_spares_follow_dead_ones),
        cmocka_unit_test(one_network_has_two_in_a_bucket_and_ten_in_the_table),
        cmocka_unit_test(unusable_addresses_are_left_out),
        cmocka_unit_test(round_trips_set_how_long_is_waited),
        cmocka_unit_test(names_are_found_until_deleted_and_leave_no_memory),
        cmocka_unit_test(full_store_keeps_what_is_closest_to_itself),
        cmocka_unit_test(a_key_has_a_bounded_number_of_providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
