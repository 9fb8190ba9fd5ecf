/* persist_test.c - what outlives the core: handed out once, taken back after checks, within the quotas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wr.h"
#include "core/kad/kad_int.h"

#include <stdio.h>
#include <stdlib.h>

#define DISK_MAX 4096
#define BEGIN 1700000000
#define NOW (100 * NS_PER_S) /* the clock reads BEGIN + 100 then */

struct thing {
    enum kad_persist_kind kind;
    uint8_t hash[SHA256_LEN];
    size_t len;
    uint8_t *bytes;
};

static struct {
    size_t n, handed;
    struct thing v[DISK_MAX];
} disk;

static struct mem mem;
static struct rng_stream stream;

static qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)now;
    (void)expires;
    return value.len > 0 && value.base[0] != '!' ? QUDAG_OK : QUDAG_EAUTH;
}

static struct kad *core(uint32_t records, uint64_t bytes, walltime clock)
{
    struct kad *k;
    struct kad_config c = {.mem = &mem,
                           .rng = rng_of_stream(&stream),
                           .clock = {clock, 0},
                           .protocol = KAD_PROTOCOL,
                           .server = true,
                           .lab = true,
                           .report_store = true,
                           .records_max = records,
                           .record_bytes_max = bytes,
                           .n_validators = 1};
    struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = 4000};
    struct multiaddr ma;

    c.validator[0] = (struct kad_validator){.ns = "v", .value_max = KAD_VALUE_MAX, .check = check};
    peer_id_from_ed25519(&c.self, (const uint8_t[32]){99});
    assert_int_equal(kad_new(&k, &c, 0), QUDAG_OK);
    multiaddr_quic(&ma, &a, NULL);
    kad_set_addrs(k, &ma, 1);
    return k;
}

static int begin(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, (const uint8_t[32]){7});
    memset(&disk, 0, sizeof(disk));
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < disk.n; i++) {
        free(disk.v[i].bytes);
    }
    return mem.used == 0 ? 0 : -1;
}

static struct thing *on_disk(enum kad_persist_kind kind, const uint8_t hash[SHA256_LEN])
{
    for (size_t i = 0; i < disk.n; i++) {
        if (disk.v[i].kind == kind && memcmp(disk.v[i].hash, hash, SHA256_LEN) == 0) {
            return &disk.v[i];
        }
    }
    return NULL;
}

/* As a host does. */
static void save(struct kad *k, tstamp now)
{
    struct kad_change c;

    while (kad_change_next(k, &c, now)) {
        struct thing *t = on_disk(c.kind, c.hash);
        disk.handed++;
        if (c.bytes.len == 0) {
            if (t == NULL) {
                fail_msg("told of the end of what was never handed out");
            } else {
                free(t->bytes);
                *t = disk.v[--disk.n];
            }
            continue;
        }
        if (t == NULL) {
            t = &disk.v[disk.n++];
            *t = (struct thing){.kind = c.kind};
            memcpy(t->hash, c.hash, SHA256_LEN);
        }
        free(t->bytes);
        t->bytes = malloc(c.bytes.len);
        assert_non_null(t->bytes);
        memcpy(t->bytes, c.bytes.base, c.bytes.len);
        t->len = c.bytes.len;
    }
}

static qudag_err give(struct kad *k, const struct thing *t, tstamp now)
{
    return kad_restore(k, t->kind, t->hash, (struct slice){t->bytes, t->len}, now);
}

static qudag_err put(struct kad *k, unsigned i, size_t len, tstamp now)
{
    uint8_t value[KAD_VALUE_MAX];
    char key[32];

    memset(value, 'a' + (int)(i % 26), len);
    int n = snprintf(key, sizeof(key), "/v/%u", i);
    struct slice k_ = {(const uint8_t *)key, (size_t)n};
    return kad_store_accept(&k->storage.store, kad_rules_find(&k->rules, k_), k_,
                            (struct slice){value, len}, kad_env_wall(&k->env, now));
}

static qudag_err try_to_provide(struct kad *k, uint8_t hash_of, uint8_t who, walltime expires)
{
    uint8_t hash[SHA256_LEN] = {hash_of}, id_hash[SHA256_LEN];
    struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(5000 + who)};
    struct kad_peer_info info = {.n_addrs = 1};

    peer_id_from_ed25519(&info.id, (const uint8_t[32]){who});
    multiaddr_quic(&info.addr[0], &a, NULL);
    kad_contacts_hash(&k->routing, id_hash, peer_id_slice(&info.id));
    struct kad_contact *p = kad_contact_new(&mem, &info, id_hash, true);
    assert_non_null(p);
    qudag_err err = kad_store_provide(&k->storage.store, hash, p, BEGIN + 100, expires);
    kad_contact_unref(p);
    return err;
}

static void provide(struct kad *k, uint8_t hash_of, uint8_t who, walltime expires)
{
    assert_int_equal(try_to_provide(k, hash_of, who, expires), QUDAG_OK);
}

static void what_changed_often_is_handed_out_once_and_what_ended_unseen_not_at_all(void **state)
{
    struct kad *k = core(0, 0, BEGIN);
    (void)state;

    for (unsigned round = 0; round < 5; round++) {
        assert_int_equal(put(k, 1, 10 + round, NOW), QUDAG_OK);
    }
    assert_int_equal(put(k, 2, 10, NOW), QUDAG_OK);
    save(k, NOW);
    assert_int_equal(disk.handed, 2);
    save(k, NOW);
    assert_int_equal(disk.handed, 2);
    assert_int_equal(put(k, 3, 10, NOW), QUDAG_OK);
    kad_store_expire(&k->storage.store,
                     BEGIN + 200 + KAD_RECORD_LIFE); /* all run out; 3 was never seen */
    save(k, NOW);
    assert_int_equal(disk.handed, 4);
    assert_int_equal(disk.n, 0);
    kad_free(k);
}

static void everything_is_there_after_a_restart(void **state)
{
    struct kad *k = core(0, 0, BEGIN), *again = core(0, 0, BEGIN);
    struct kad_contact *p[KAD_KEY_PROVIDERS];
    struct slice key, value;
    (void)state;

    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(put(k, i, 1 + i * 80, NOW), QUDAG_OK);
    }
    provide(k, 5, 1, BEGIN + 5000);
    provide(k, 5, 2, BEGIN + 500);
    provide(k, 6, 3, BEGIN + 5000);
    assert_int_equal(kad_publication_add(&k->storage.pubs,
                                         (struct slice){(const uint8_t *)"/v/own", 6},
                                         (struct slice){(const uint8_t *)"mine", 4}, false, NOW),
                     QUDAG_OK);
    assert_int_equal(kad_publication_add(&k->storage.pubs,
                                         (struct slice){(const uint8_t *)"content", 7},
                                         (struct slice){NULL, 0}, true, NOW),
                     QUDAG_OK);
    save(k, NOW);
    assert_int_equal(disk.n, 104);
    tstamp later = NOW + 600 * NS_PER_S; /* one provider has run out meanwhile */
    for (size_t i = 0; i < disk.n; i++) {
        assert_int_equal(give(again, &disk.v[i], later), QUDAG_OK);
    }
    assert_int_equal(again->storage.store.n_records, 100);
    assert_int_equal(again->storage.store.n_providers, 2);
    for (size_t it = 0, n = 0; kad_record_next(k, &it, &key, &value, &(walltime){0}); n++) {
        struct slice got;
        assert_true(kad_record_local(again, key, later, &got));
        assert_true(kad_slice_eq(got, value));
    }
    assert_int_equal(kad_store_providers(&again->storage.store, (const uint8_t[SHA256_LEN]){5},
                                         BEGIN + 700, 20, p),
                     1);
    assert_int_equal(kad_store_providers(&again->storage.store, (const uint8_t[SHA256_LEN]){6},
                                         BEGIN + 700, 20, p),
                     1);
    bool provides;
    walltime due, due_again;
    for (size_t it = 0, o = 0; kad_published_next(k, &it, NOW, &key, &provides, &due);) {
        assert_true(kad_published_next(again, &o, later, &key, &provides, &due_again));
        assert_in_range(due_again, due - 1, due + 1);
    }
    disk.handed = 0;
    save(again, later);
    assert_int_equal(disk.handed, 0); /* the disk has all that already */
    kad_change_all(again);
    save(again, later);
    assert_int_equal(disk.handed, 104);
    kad_free(k);
    kad_free(again);
}

static void what_comes_back_is_validated_again(void **state)
{
    struct kad *k = core(0, 0, BEGIN), *again = core(0, 0, BEGIN);
    (void)state;

    assert_int_equal(put(k, 1, 10, NOW), QUDAG_OK);
    save(k, NOW);
    struct thing *t = &disk.v[0];
    tstamp day = NOW + (tstamp)KAD_RECORD_LIFE * NS_PER_S;
    assert_int_equal(give(again, t, day), QUDAG_EEXPIRED);
    for (size_t len = 0; len < t->len - 10; len++) { /* cut before its value: never taken */
        struct thing cut = *t;
        cut.len = len;
        assert_int_not_equal(give(again, &cut, NOW), QUDAG_OK);
    }
    t->bytes[t->len - 10] = '!';
    assert_int_equal(give(again, t, NOW), QUDAG_EAUTH);
    t->bytes[t->len - 10] = 'b';
    t->hash[3] ^= 1; /* under another key */
    assert_int_equal(give(again, t, NOW), QUDAG_EMALFORMED);
    t->hash[3] ^= 1;
    t->bytes[19 + 1] = 'w'; /* "/w/1": nobody's namespace */
    struct slice key = {t->bytes + 19, 4};
    sha256(t->hash, key);
    assert_int_equal(give(again, t, NOW), QUDAG_EINVAL);
    t->bytes[0] = 2; /* a version to come */
    assert_int_equal(give(again, t, NOW), QUDAG_EMALFORMED);
    struct kad_stats st;
    kad_stats_get(again, &st);
    assert_int_equal(st.records, 0);
    assert_true(st.restore_refused >= 6);
    assert_int_equal(st.restored, 0);
    kad_free(k);
    kad_free(again);
}

/* Gives |k| an item of |version| with two times and a key, as "/v/k" and "v" or a provider's. */
static qudag_err give_times(struct kad *k, enum kad_persist_kind kind, uint8_t version,
                            uint64_t first, uint64_t second)
{
    uint8_t buf[64], hash[SHA256_LEN];
    struct slice key = {(const uint8_t *)"/v/k", 4};
    struct wr w = wr_init(buf, sizeof(buf));

    wr_u8(&w, version);
    wr_u64(&w, first);
    if (kind == KAD_PERSIST_RECORD) {
        wr_u64(&w, second);
    }
    wr_lp16(&w, key);
    wr_u8(&w, 'v');
    sha256(hash, key);
    return kad_restore(k, kind, hash, wr_done(&w), NOW);
}

static void times_in_a_file_reach_no_farther_than_the_network_allows(void **state)
{
    struct kad *k = core(0, 0, BEGIN);
    const walltime wall = BEGIN + 100, most = wall + KAD_RECORD_LIFE;
    struct kad_provider_set *set;
    uint8_t hash[SHA256_LEN];
    (void)state;

    assert_int_equal(give_times(k, KAD_PERSIST_RECORD, 0, 1, (uint64_t)wall + 50),
                     QUDAG_EMALFORMED); /* a version that never was */
    assert_int_equal(give_times(k, KAD_PERSIST_RECORD, 1, (uint64_t)wall + 9, (uint64_t)most + 9),
                     QUDAG_OK);
    sha256(hash, (struct slice){(const uint8_t *)"/v/k", 4});
    const struct kad_record *r = kad_store_get(&k->storage.store, hash, wall);
    assert_non_null(r);
    assert_int_equal(r->received, wall);
    assert_int_equal(r->expires, most);

    provide(k, 5, 1, most + 99); /* as nobody but a file says */
    save(k, NOW);
    struct kad *again = core(0, 0, BEGIN);
    struct thing *t = on_disk(KAD_PERSIST_PROVIDERS, (const uint8_t[SHA256_LEN]){5});
    if (t == NULL) {
        fail_msg("the provider was not handed out");
        return;
    }
    assert_int_equal(give(again, t, NOW), QUDAG_OK);
    set = LIST_ENTRY(again->storage.store.provided_list.next, struct kad_provider_set, node);
    assert_int_equal(set->v[0].expires, most);
    kad_free(k);
    kad_free(again);
}

/* Gives |k| a publication of "/v/k", due at |due|, under its name or another. */
static qudag_err give_own(struct kad *k, uint64_t due, bool other_name)
{
    uint8_t buf[64], hash[SHA256_LEN], named[1 + 4] = {0, '/', 'v', '/', 'k'};
    struct wr w = wr_init(buf, sizeof(buf));

    wr_u8(&w, 1);
    wr_u8(&w, 0);
    wr_u64(&w, due);
    wr_lp16(&w, (struct slice){named + 1, 4});
    wr_u8(&w, 'v');
    sha256(hash, (struct slice){named, sizeof(named)});
    hash[0] ^= other_name ? 1 : 0;
    return kad_restore(k, KAD_PERSIST_OWN, hash, wr_done(&w), NOW);
}

static void a_publication_from_a_file_has_its_own_name_and_is_due_within_its_interval(void **state)
{
    struct kad *k = core(0, 0, BEGIN);
    struct slice key;
    bool provides;
    walltime due;
    (void)state;

    assert_int_equal(give_own(k, BEGIN + 200, true), QUDAG_EMALFORMED);
    assert_int_equal(give_own(k, UINT64_MAX, false), QUDAG_EMALFORMED); /* before 1970 */
    assert_int_equal(k->storage.pubs.n, 0);
    assert_int_equal(give_own(k, UINT32_MAX, false), QUDAG_OK); /* some decades on */
    assert_true(kad_published_next(k, &(size_t){0}, NOW, &key, &provides, &due));
    assert_int_equal(due, BEGIN + 100 + KAD_REPUBLISH + KAD_REPUBLISH / 10);
    kad_free(k);
}

static void there_are_so_many_publications(void **state)
{
    struct kad *k = core(0, 0, BEGIN);
    (void)state;

    for (unsigned i = 0; i <= KAD_PUBLICATIONS_MAX; i++) {
        struct slice key = {(const uint8_t *)&i, sizeof(i)};
        assert_int_equal(
            kad_publication_add(&k->storage.pubs, key, (struct slice){NULL, 0}, true, NOW),
            i < KAD_PUBLICATIONS_MAX ? QUDAG_OK : QUDAG_ELIMIT);
    }
    kad_free(k);
}

static void a_smaller_quota_retains_the_closest_and_reports_what_was_dropped(void **state)
{
    struct kad *k = core(0, 0, BEGIN), *again = core(10, 0, BEGIN);
    size_t refused = 0, gone;
    (void)state;

    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(put(k, i, 10, NOW), QUDAG_OK);
    }
    save(k, NOW);
    for (size_t i = 0; i < disk.n; i++) {
        qudag_err err = give(again, &disk.v[i], NOW);
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
        refused += err != QUDAG_OK;
    }
    assert_int_equal(again->storage.store.n_records, 10);
    disk.handed = 0;
    save(again, NOW);
    gone = disk.handed;
    assert_int_equal(refused + gone, 30); /* each is dropped by the host, or told to be gone */
    for (size_t i = 0; i < 40 - gone; i++) {
        unsigned nearer = 0;
        for (unsigned o = 0; o < 40; o++) {
            uint8_t h[SHA256_LEN];
            char key[32];
            int n = snprintf(key, sizeof(key), "/v/%u", o);
            sha256(h, (struct slice){(const uint8_t *)key, (size_t)n});
            nearer += kad_dist_cmp(k->env.hash, h, disk.v[i].hash) < 0;
        }
        assert_int_equal(kad_store_get(&again->storage.store, disk.v[i].hash, BEGIN + 100) != NULL,
                         nearer < 10);
    }
    kad_free(k);
    kad_free(again);
}

static void bytes_are_a_quota_too(void **state)
{
    const uint64_t most = 20000;
    struct kad *k = core(0, most, BEGIN);
    unsigned taken = 0;
    (void)state;

    for (unsigned i = 0; i < 300; i++) {
        qudag_err err = put(k, i, 1 + i * 37 % 8000, NOW);
        taken += err == QUDAG_OK;
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
        assert_true(k->storage.store.bytes <= most);
        uint64_t sum = 0;
        LIST_EACH(it, &k->storage.store.record_list)
        {
            const struct kad_record *r = LIST_ENTRY(it, struct kad_record, node);
            sum += (uint64_t)r->key_len + r->value_len + KAD_RECORD_COST;
        }
        assert_int_equal(sum, k->storage.store.bytes);
    }
    assert_true(taken > k->storage.store.n_records); /* some have made room */
    struct kad_stats st;
    kad_stats_get(k, &st);
    assert_true(st.evicted > 0);
    /* what is held may grow as far as the quota goes, at the cost of others and not of itself */
    const struct kad_record *r =
        LIST_ENTRY(k->storage.store.record_list.next, struct kad_record, node);
    struct slice key = {r->key, r->key_len};
    uint8_t hash[SHA256_LEN], big[KAD_VALUE_MAX];
    memset(big, 'x', sizeof(big));
    sha256(hash, key);
    qudag_err err = kad_store_accept(&k->storage.store, kad_rules_find(&k->rules, key), key,
                                     (struct slice){big, sizeof(big)}, kad_env_wall(&k->env, NOW));
    assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
    assert_non_null(kad_store_get(&k->storage.store, hash, BEGIN + 100));
    assert_true(k->storage.store.bytes <= most);
    kad_free(k);
}

static void on_hold_nothing_new_is_taken_and_what_is_there_stays(void **state)
{
    struct kad *k = core(0, 0, BEGIN);
    struct slice got;
    (void)state;

    assert_int_equal(put(k, 1, 10, NOW), QUDAG_OK);
    kad_read_only(k, true);
    assert_int_equal(put(k, 1, 20, NOW), QUDAG_ELIMIT);
    assert_int_equal(put(k, 2, 10, NOW), QUDAG_ELIMIT);
    assert_int_equal(try_to_provide(k, 5, 1, BEGIN + 5000), QUDAG_ELIMIT);
    assert_true(kad_record_local(k, (struct slice){(const uint8_t *)"/v/1", 4}, NOW, &got));
    assert_int_equal(got.len, 10);
    kad_read_only(k, false);
    assert_int_equal(put(k, 2, 10, NOW), QUDAG_OK);
    kad_free(k);
}

/* How many of what |k| publishes are due in the fullest of |slots| parts of [from, from + len). */
static unsigned fullest(const struct kad *k, tstamp now, walltime from, walltime len,
                        unsigned slots, unsigned *all)
{
    unsigned in[64] = {0}, most = 0;
    struct slice key;
    bool provides;
    walltime due;

    assert_true(slots <= 64);
    *all = 0;
    for (size_t it = 0; kad_published_next(k, &it, now, &key, &provides, &due); (*all)++) {
        assert_in_range(due, from, from + len);
        unsigned slot = (unsigned)((due - from) * slots / (len + 1));
        in[slot]++;
        most = in[slot] > most ? in[slot] : most;
    }
    return most;
}

static void a_thousand_publications_are_spread_over_time_also_after_a_restart(void **state)
{
    struct kad *k = core(0, 0, BEGIN);
    struct kad *soon = core(0, 0, BEGIN), *late = core(0, 0, BEGIN + 3 * 24 * 3600);
    unsigned all;
    (void)state;

    for (unsigned i = 0; i < 1000; i++) {
        char key[32];
        int n = snprintf(key, sizeof(key), "/v/%u", i);
        assert_int_equal(kad_publication_add(&k->storage.pubs,
                                             (struct slice){(const uint8_t *)key, (size_t)n},
                                             (struct slice){(const uint8_t *)"v", 1}, false, NOW),
                         QUDAG_OK);
    }
    /* 12 h, give or take a tenth: put at one moment, they are not published again at one moment */
    walltime from = BEGIN + 100 + KAD_REPUBLISH * 9 / 10;
    unsigned most = fullest(k, NOW, from, KAD_REPUBLISH / 5, 24, &all);
    assert_int_equal(all, 1000);
    assert_true(most < 2 * 1000 / 24);
    save(k, NOW);
    for (size_t i = 0; i < disk.n; i++) {
        assert_int_equal(give(soon, &disk.v[i], NOW), QUDAG_OK);
        assert_int_equal(give(late, &disk.v[i], NOW), QUDAG_OK);
    }
    assert_true(fullest(soon, NOW, from - 1, KAD_REPUBLISH / 5 + 1, 24, &all) < 2 * 1000 / 24);
    /* all of them are overdue after three days: over ten minutes, not at once */
    most = fullest(late, NOW, BEGIN + 3 * 24 * 3600 + 100, 600, 20, &all);
    assert_int_equal(all, 1000);
    assert_true(most < 2 * 1000 / 20);
    kad_free(k);
    kad_free(soon);
    kad_free(late);
}

static void peers_to_begin_with_are_read_back_and_nonsense_ends_the_list(void **state)
{
    struct kad *k = core(0, 0, BEGIN);
    static uint8_t buf[KAD_ANCHORS_BYTES];
    struct kad_peer_info got;
    struct kad_contact *oldest;
    unsigned n = 0;
    (void)state;

    for (uint8_t i = 1; i <= 200; i++) {
        struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(6000 + i)};
        struct kad_peer_info info = {.n_addrs = 1};
        uint8_t hash[SHA256_LEN];
        peer_id_from_ed25519(&info.id, (const uint8_t[32]){i});
        multiaddr_quic(&info.addr[0], &a, NULL);
        kad_contacts_hash(&k->routing, hash, peer_id_slice(&info.id));
        struct kad_contact *p = kad_contact_new(&mem, &info, hash, true);
        (void)kad_table_answered(&k->routing.table, p, NOW, &oldest);
        kad_contact_unref(p);
    }
    size_t len = kad_anchors(k, buf, sizeof(buf));
    for (size_t at = 0; kad_anchor_next((struct slice){buf, len}, &at, &got); n++) {
        assert_int_equal(got.n_addrs, 1);
    }
    assert_true(n > 20 && n <= KAD_ANCHORS_MAX);
    for (size_t cut = 0; cut < len; cut++) {
        unsigned some = 0;
        for (size_t at = 0; kad_anchor_next((struct slice){buf, cut}, &at, &got); some++) {
        }
        assert_true(some <= n);
    }
    assert_true(kad_anchors(k, buf, 300) <= 300);
    kad_free(k);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(what_changed_often_is_handed_out_once_and_what_ended_unseen_not_at_all),
        T(everything_is_there_after_a_restart),
        T(what_comes_back_is_validated_again),
        T(times_in_a_file_reach_no_farther_than_the_network_allows),
        T(a_publication_from_a_file_has_its_own_name_and_is_due_within_its_interval),
        T(there_are_so_many_publications),
        T(a_smaller_quota_retains_the_closest_and_reports_what_was_dropped),
        T(bytes_are_a_quota_too),
        T(on_hold_nothing_new_is_taken_and_what_is_there_stays),
        T(a_thousand_publications_are_spread_over_time_also_after_a_restart),
        T(peers_to_begin_with_are_read_back_and_nonsense_ends_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
