/* Ids and addresses: held once for all, found again, gone with the last that knows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/routing/table.h"

#define MANY 1000

static struct mem mem;
static struct kad_addrinfo_pool all;

static int begin(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    kad_addrinfo_pool_init(&all, &mem);
    kad_addrinfo_pool_seed(&all, (const uint64_t[2]){UINT64_C(0x1234567890abcdef), 42});
    return 0;
}

static int end(void **state)
{
    (void)state;
    kad_addrinfo_pool_fini(&all);
    return mem.used == 0 ? 0 : -1;
}

static struct kad_peer_info info_of(unsigned n, uint8_t net, uint8_t last)
{
    struct kad_peer_info info = {.n_addrs = 1};
    struct netaddr a = {.family = 4, .ip = {net, 7, 7, last}, .port = 4001};

    peer_id_from_ed25519(&info.id, (const uint8_t[32]){(uint8_t)n, (uint8_t)(n >> 8), 9});
    multiaddr_quic(&info.addr[0], &a, NULL);
    return info;
}

static struct kad_addrinfo *know(const struct kad_peer_info *info, bool lab)
{
    uint8_t hash[SHA256_LEN];

    sha256(hash, peer_id_slice(&info->id));
    return kad_addrinfo_new(&mem, &all, info, hash, lab);
}

static struct kad_peer_raw raw_of(const struct kad_addrinfo *w)
{
    return (struct kad_peer_raw){kad_addrinfo_id(w), kad_addrinfo_raw(w)};
}

static struct kad_addrinfo *find(const struct kad_peer_raw *raw, bool lab)
{
    return kad_addrinfo_pool_find(&all, kad_addrinfo_name(&all, raw->id), raw, lab);
}

static void the_same_of_a_peer_is_held_once_and_until_the_last_lets_go(void **state)
{
    (void)state;
    struct kad_peer_info info = info_of(1, 30, 1), elsewhere = info_of(1, 31, 1);
    struct kad_addrinfo *a = know(&info, false);
    size_t used = mem.used;
    struct kad_addrinfo *b = know(&info, false);

    assert_non_null(a);
    assert_ptr_equal(a, b);
    assert_int_equal(mem.used, used);
    struct kad_addrinfo *c = know(&elsewhere, false);
    assert_ptr_not_equal(a, c);
    assert_memory_equal(a->hash, c->hash, SHA256_LEN);
    assert_int_equal(all.n, 2);
    kad_addrinfo_unref(a);
    assert_int_equal(all.n, 2);
    kad_addrinfo_unref(b);
    assert_int_equal(all.n, 1);
    assert_memory_equal(kad_addrinfo_pool_hash(&all, peer_id_slice(&info.id)), c->hash, SHA256_LEN);
    kad_addrinfo_unref(c);
    assert_null(kad_addrinfo_pool_hash(&all, peer_id_slice(&info.id)));
    assert_int_equal(all.n, 0);
}

static void a_message_is_known_to_the_byte_or_not_at_all(void **state)
{
    (void)state;
    struct kad_peer_info info = info_of(1, 30, 1), other = info_of(2, 30, 1);
    struct kad_addrinfo *w = know(&info, false), *o = know(&other, false);
    struct kad_peer_raw raw = raw_of(w);
    uint8_t copy[KAD_PEER_RAW_MAX];

    memcpy(copy, raw.body.base, raw.body.len);
    struct kad_peer_raw same = {{copy + 2, raw.id.len}, {copy, raw.body.len}};
    assert_ptr_equal(find(&same, false), w);
    for (size_t i = 0; i < raw.body.len; i++) {
        copy[i] ^= 1;
        assert_null(find(&same, false));
        copy[i] ^= 1;
        struct kad_peer_raw cut = {raw.id, {raw.body.base, i}};
        assert_null(find(&cut, false));
    }
    same.id = kad_addrinfo_id(o); /* of somebody else, with this message */
    assert_ptr_not_equal(find(&same, false), o);
    kad_addrinfo_unref(w);
    kad_addrinfo_unref(o);
}

static void what_only_a_lab_allows_is_no_answer_to_others(void **state)
{
    (void)state;
    struct kad_peer_info home = info_of(1, 10, 1), open = info_of(2, 30, 1);
    struct kad_addrinfo *h = know(&home, true), *o = know(&open, true);
    struct kad_peer_raw at_home = raw_of(h), in_open = raw_of(o);

    assert_ptr_equal(find(&at_home, true), h);
    assert_null(find(&at_home, false));
    assert_null(find(&in_open, false)); /* not looked at that way yet */
    assert_ptr_equal(know(&open, false), o);
    assert_ptr_equal(find(&in_open, false), o);
    struct kad_addrinfo *bare = know(&home, false);
    assert_ptr_not_equal(bare, h);
    assert_int_equal(bare->n_addrs, 0);
    assert_null(find(&at_home, false));
    kad_addrinfo_unref(bare);
    kad_addrinfo_unref(h);
    kad_addrinfo_unref(o);
    kad_addrinfo_unref(o);
}

static void thousands_are_found_and_leave_in_any_order(void **state)
{
    (void)state;
    static struct kad_addrinfo *w[MANY];

    for (unsigned i = 0; i < MANY; i++) {
        struct kad_peer_info info = info_of(i, 30, (uint8_t)i);
        w[i] = know(&info, false);
        assert_non_null(w[i]);
    }
    assert_in_range(map_bytes(&all.by_name), 16 * MANY, 16 * 3 * MANY);
    for (unsigned i = 0; i < MANY; i++) {
        unsigned at = i * 387 % MANY;
        struct kad_peer_raw raw = raw_of(w[at]);
        assert_ptr_equal(find(&raw, false), w[at]);
        kad_addrinfo_unref(w[at]);
        struct kad_peer_info info = info_of(at, 30, (uint8_t)at);
        assert_null(kad_addrinfo_pool_hash(&all, peer_id_slice(&info.id)));
        assert_int_equal(all.n, MANY - i - 1);
    }
}

/*
 * Names of ids that collide for one key do not for another.  The hash used before, v = (v ^ word) * key; v ^= v >> 29,
 * had pairs that collide under every key: those that differ in bit 63 of one word and bits 63 and 34 of the next.
 */
static void ids_that_collide_under_one_key_do_not_under_another(void **state)
{
    (void)state;
    static const uint64_t keys[] = {1, 3, UINT64_C(0x9e3779b97f4a7c15), UINT64_MAX};

    for (unsigned word = 0; word < 4; word++) {
        uint8_t a[42] = {0x12, 0x20, 7, 7}, b[42];
        memcpy(b, a, sizeof(b));
        b[8 * word + 7] ^= 0x80;
        b[8 * word + 15] ^= 0x80;
        b[8 * word + 12] ^= 0x04;
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            struct kad_addrinfo_pool pool = {.key = {keys[k], ~keys[k]}};
            uint64_t x = kad_addrinfo_name(&pool, (struct slice){a, sizeof(a)});
            uint64_t y = kad_addrinfo_name(&pool, (struct slice){b, sizeof(b)});
            assert_true(x != y && (uint32_t)x != (uint32_t)y);
        }
    }
    /* The key counts in every bit of the name that chooses the place. */
    struct kad_addrinfo_pool one = {.key = {1, 2}}, two = {.key = {1, 3}}, three = {.key = {2, 2}};
    unsigned same = 0;
    for (unsigned i = 0; i < 256; i++) {
        struct slice id = {(const uint8_t[4]){(uint8_t)i, 1, 2, 3}, 4};
        uint64_t x = kad_addrinfo_name(&one, id), y = kad_addrinfo_name(&two, id);
        uint64_t z = kad_addrinfo_name(&three, id);
        same += (x & 0xff) == (y & 0xff) || (x & 0xff) == (z & 0xff) ? 1 : 0;
    }
    assert_true(same < 20);
}

static void a_peer_that_finds_no_memory_leaves_no_entry(void **state)
{
    (void)state;
    struct kad_peer_info info = info_of(1, 30, 1);

    for (unsigned i = 1; i <= 2; i++) {
        mem.fail_at = i;
        assert_null(know(&info, false));
        assert_int_equal(all.n, 0);
        kad_addrinfo_pool_fini(&all);
        assert_int_equal(mem.used, 0);
        (void)begin(NULL);
    }
}

static void an_entry_that_moved_is_named_at_its_new_address(void **state)
{
    (void)state;
    struct kad_peer_info info = info_of(1, 30, 1), moved = info_of(1, 31, 2), got;
    struct kad_table t;
    struct kad_contact *oldest;
    struct kad_addrinfo *near[KAD_K];

    kad_table_init(&t, &mem, &(struct peer_id){.len = 1}, false);
    struct kad_contact *p = kad_contact_of(&mem, know(&info, false));
    assert_int_equal(kad_table_answered(&t, p, 1, &oldest), KAD_TABLE_ADDED);
    kad_table_set_addrs(&t, p, &moved);
    assert_int_equal(all.n, 1); /* the old address is forgotten */
    assert_int_equal(kad_table_addrinfos(&t, p->hash, NULL, near), 1);
    kad_addrinfo_decode(&got, near[0]);
    assert_int_equal(got.addr[0].len, moved.addr[0].len);
    assert_memory_equal(got.addr[0].b, moved.addr[0].b, moved.addr[0].len);
    kad_contact_unref(p);
    kad_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_of_a_peer_is_held_once_and_until_the_last_lets_go,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_message_is_known_to_the_byte_or_not_at_all, begin, end),
        cmocka_unit_test_setup_teardown(what_only_a_lab_allows_is_no_answer_to_others, begin, end),
        cmocka_unit_test_setup_teardown(thousands_are_found_and_leave_in_any_order, begin, end),
        cmocka_unit_test(ids_that_collide_under_one_key_do_not_under_another),
        cmocka_unit_test_setup_teardown(a_peer_that_finds_no_memory_leaves_no_entry, begin, end),
        cmocka_unit_test_setup_teardown(an_entry_that_moved_is_named_at_its_new_address, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
