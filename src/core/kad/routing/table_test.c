/* The routing table alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/routing/contact_kit.h"
#include "core/kad/routing/table.h"

#include <stdlib.h>

static void table(struct kad_table *t, bool lab)
{
    struct peer_id self;

    mem_init(&mem, NULL, 0);
    peer_id_from_ed25519(&self, (const uint8_t[32]){1, 2, 3});
    kad_table_init(t, &mem, &self, lab);
}

static enum kad_table_verdict see(struct kad_table *t, struct kad_contact *p, tstamp now)
{
    struct kad_contact *oldest;

    return kad_table_answered(t, p, now, &oldest);
}

static void closest_agree_with_sorting_everything(void **state)
{
    (void)state;
    struct kad_table t;
    struct kad_contact *all[2000], *got[KAD_K];
    size_t n = 0;

    table(&t, true);
    for (unsigned i = 0; i < 2000; i++) {
        struct kad_contact *p = peer(i, i);
        if (see(&t, p, i) == KAD_TABLE_ADDED) {
            all[n++] = kad_contact_ref(p);
        }
        kad_contact_unref(p);
    }
    for (size_t i = 0; i < n;) { /* a few had to go again for others of a part without entries */
        if (kad_table_find(&t, all[i]->hash) != all[i]) {
            kad_contact_unref(all[i]);
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
        kad_contact_unref(all[i]);
    }
    kad_table_fini(&t);
    assert_int_equal(mem.used, 0);
}

static unsigned part_of(const struct kad_contact *p)
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
        struct kad_contact *p = peer(i, i), *oldest;
        bool full = t.bucket[0] != NULL && t.bucket[0]->n == KAD_K;
        if (kad_bucket_ix(&t, p->hash) == 0 && full) {
            const struct kad_contact *first = t.bucket[0]->peer[0];
            bool lacks = kad_table_lacks(&t, 0, part_of(p));
            assert_int_equal(kad_table_wants(&t, p), lacks);
            assert_int_equal(kad_table_answered(&t, p, i, &oldest),
                             lacks ? KAD_TABLE_ADDED : KAD_TABLE_REPLACEMENT);
            assert_int_equal(t.bucket[0]->n, KAD_K);
            assert_ptr_equal(t.bucket[0]->peer[0], first); /* the youngest went */
            swaps += lacks ? 1 : 0;
        } else {
            (void)see(&t, p, i);
        }
        kad_contact_unref(p);
    }
    assert_in_range(swaps, 1, KAD_PARTS);
    for (unsigned i = 0; i < KAD_PARTS; i++) {
        assert_false(kad_table_lacks(&t, 0, i));
    }
    kad_table_fini(&t);
    assert_int_equal(mem.used, 0);
}

static void live_old_entries_stay_and_replacements_follow_dead_ones(void **state)
{
    (void)state;
    struct kad_table t;
    struct kad_contact *in[KAD_K], *late = NULL, *oldest;
    size_t n = 0;

    table(&t, true);
    for (unsigned i = 0; i < 200 && late == NULL; i++) {
        struct kad_contact *p = peer(i, i);
        bool full = t.bucket[0] != NULL && t.bucket[0]->n == KAD_K;
        if (kad_bucket_ix(&t, p->hash) != 0 || (full && kad_table_lacks(&t, 0, part_of(p)))) {
            kad_contact_unref(p);
            continue;
        }
        enum kad_table_verdict s = kad_table_answered(&t, p, i, &oldest);
        if (s == KAD_TABLE_ADDED) {
            in[n++] = p;
        } else {
            assert_int_equal(s, KAD_TABLE_REPLACEMENT);
            assert_ptr_equal(oldest, in[0]);
            late = p;
        }
        kad_contact_unref(p);
    }
    assert_int_equal(n, KAD_K);
    assert_null(kad_table_find(&t, late->hash));
    /* Whoever answers again becomes the youngest. */
    assert_int_equal(see(&t, in[0], 500), KAD_TABLE_KNOWN);
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
        struct kad_contact *p = peer(i, 1);
        (void)see(&t, p, i);
        kad_contact_unref(p);
    }
    for (size_t b = 0; b < KAD_BUCKETS; b++) {
        assert_true(t.bucket[b] == NULL || t.bucket[b]->n <= KAD_GROUP_BUCKET);
    }
    assert_int_equal(t.n, KAD_GROUP_TABLE);
    struct kad_contact *other = peer(9000, 2);
    assert_int_equal(see(&t, other, 1), KAD_TABLE_ADDED);
    kad_contact_unref(other);
    kad_table_fini(&t);
    assert_int_equal(mem.used, 0);
}

static void unusable_addresses_are_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        bool usable;
    } cases[] = {
        {"/ip4/127.0.0.1/udp/1/quic-v1", false},
        {"/ip4/10.0.0.1/udp/1/quic-v1", false},
        {"/ip4/192.168.1.1/udp/1/quic-v1", false},
        {"/ip4/0.0.0.0/udp/1/quic-v1", false},
        {"/ip4/8.8.8.8/udp/0/quic-v1", false},
        {"/ip4/8.8.8.8/udp/1/quic-v1", true},
        {"/ip6/2002:7f00:1::/udp/1/quic-v1", false},
        {"/ip6/2600::1/udp/1/quic-v1", true},
        {"/ip4/127.0.0.1/tcp/22", false}, /* we may not dial it, others may */
        {"/ip4/10.0.0.1/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA/"
         "p2p-circuit",
         false},
        {"/ip4/8.8.8.8/tcp/4001", true},
        {"/dns4/example.org/udp/4001/quic-v1", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct multiaddr m;
        assert_int_equal(multiaddr_parse(&m, cases[i].addr), QUDAG_OK);
        assert_int_equal(kad_addr_usable(&m, false), cases[i].usable);
        assert_true(kad_addr_usable(&m, true));
    }
    assert_false(kad_addr_usable(&(struct multiaddr){0}, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closest_agree_with_sorting_everything),
        cmocka_unit_test(a_full_bucket_makes_room_for_a_part_without_entries_and_for_no_other),
        cmocka_unit_test(live_old_entries_stay_and_replacements_follow_dead_ones),
        cmocka_unit_test(one_network_has_two_in_a_bucket_and_ten_in_the_table),
        cmocka_unit_test(unusable_addresses_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
