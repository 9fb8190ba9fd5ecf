/* map_test.c - the keyed table against a plain array, and SipHash-2-4 against its authors' values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/map.h"
#include "base/rng.h"

#include <string.h>

static const uint8_t seed[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* veorq/SipHash vectors.h, vectors_sip64: key 00..0f, inputs 00, 01, .. of growing length. */
static void siphash_gives_its_authors_values(void **state)
{
    static const uint8_t expect[][8] = {
        {0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72},
        {0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74},
        {0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d},
        {0x2d, 0x7e, 0xfb, 0xd7, 0x96, 0x66, 0x67, 0x85},
        {0xb7, 0x87, 0x71, 0x27, 0xe0, 0x94, 0x27, 0xcf},
        {0x8d, 0xa6, 0x99, 0xcd, 0x64, 0x55, 0x76, 0x18},
        {0xce, 0xe3, 0xfe, 0x58, 0x6e, 0x46, 0xc9, 0xcb},
        {0x37, 0xd1, 0x01, 0x8b, 0xf5, 0x00, 0x02, 0xab},
        {0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93},
        {0xb0, 0xe4, 0xa9, 0x0b, 0xdf, 0x82, 0x00, 0x9e},
        {0xf3, 0xb9, 0xdd, 0x94, 0xc5, 0xbb, 0x5d, 0x7a},
        {0xa7, 0xad, 0x6b, 0x22, 0x46, 0x2f, 0xb3, 0xf4},
        {0xfb, 0xe5, 0x0e, 0x86, 0xbc, 0x8f, 0x1e, 0x75},
        {0x90, 0x3d, 0x84, 0xc0, 0x27, 0x56, 0xea, 0x14},
        {0xee, 0xf2, 0x7a, 0x8e, 0x90, 0xca, 0x23, 0xf7},
        {0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1},
        {0xdb, 0x9b, 0xc2, 0x57, 0x7f, 0xcc, 0x2a, 0x3f},
    };
    uint8_t in[ARRAY_LEN(expect)];
    uint64_t k0 = UINT64_C(0x0706050403020100), k1 = UINT64_C(0x0f0e0d0c0b0a0908);
    (void)state;

    for (size_t n = 0; n < ARRAY_LEN(expect); n++) {
        in[n] = (uint8_t)n;
        uint64_t h = siphash24(k0, k1, (struct slice){in, n});
        for (size_t i = 0; i < 8; i++) {
            assert_int_equal((uint8_t)(h >> (8 * i)), expect[n][i]);
        }
    }
}

#define KEYS 64

/* Key |i|: |i| bytes long, so that every length up to the maximum is met. */
static struct slice key_of(size_t i)
{
    static const uint8_t bytes[MAP_KEY_MAX] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    return (struct slice){bytes, i};
}

static void it_agrees_with_a_plain_array_through_random_changes(void **state)
{
    static int value[KEYS + 1][2];
    void *model[KEYS + 1] = {0};
    size_t n = 0;
    struct mem m;
    struct map map;
    struct rng_stream stream;
    uint8_t rng_seed[32] = {7};
    (void)state;

    rng_stream_init(&stream, rng_seed);
    struct rng rng = rng_of_stream(&stream);
    mem_init(&m, NULL, 0);
    map_init(&map, &m, seed, KEYS + 1);
    for (int step = 0; step < 20000; step++) {
        size_t k = rng_below(&rng, KEYS + 1);
        if (rng_below(&rng, 2) == 0) {
            void *v = &value[k][rng_below(&rng, 2)];
            assert_int_equal(map_put(&map, key_of(k), v), QUDAG_OK);
            n += model[k] == NULL ? 1 : 0;
            model[k] = v;
        } else {
            assert_ptr_equal(map_del(&map, key_of(k)), model[k]);
            n -= model[k] == NULL ? 0 : 1;
            model[k] = NULL;
        }
        assert_int_equal(map.n, n);
        size_t probe = rng_below(&rng, KEYS + 1);
        assert_ptr_equal(map_get(&map, key_of(probe)), model[probe]);
    }
    for (size_t k = 0; k <= KEYS; k++) {
        assert_ptr_equal(map_get(&map, key_of(k)), model[k]);
    }
    size_t it = 0, seen = 0;
    while (map_next(&map, &it) != NULL) {
        seen++;
    }
    assert_int_equal(seen, n);
    map_fini(&map);
    assert_int_equal(m.used, 0);
}

static void an_empty_table_finds_nothing(void **state)
{
    struct mem m;
    struct map map;
    size_t it = 0;
    (void)state;

    mem_init(&m, NULL, 0);
    map_init(&map, &m, seed, 10);
    assert_null(map_get(&map, key_of(3)));
    assert_null(map_del(&map, key_of(3)));
    assert_null(map_next(&map, &it));
    map_fini(&map);
}

static void limits_are_kept_but_replacing_is_always_possible(void **state)
{
    int v = 0, w = 0;
    uint8_t long_key[MAP_KEY_MAX + 1] = {0};
    struct mem m;
    struct map map;
    (void)state;

    mem_init(&m, NULL, 0);
    map_init(&map, &m, seed, 2);
    assert_int_equal(map_put(&map, key_of(0), &v), QUDAG_OK);
    assert_int_equal(map_put(&map, key_of(1), &v), QUDAG_OK);
    assert_int_equal(map_put(&map, key_of(2), &v), QUDAG_ELIMIT);
    assert_int_equal(map_put(&map, key_of(1), &w), QUDAG_OK);
    assert_ptr_equal(map_get(&map, key_of(1)), &w);
    assert_int_equal(map_put(&map, (struct slice){long_key, sizeof long_key}, &v), QUDAG_EINVAL);
    assert_null(map_get(&map, (struct slice){long_key, sizeof long_key}));
    assert_null(map_del(&map, (struct slice){long_key, sizeof long_key}));
    assert_int_equal(map_put(&map, key_of(1), NULL), QUDAG_EINVAL);
    map_fini(&map);
}

static void running_out_of_memory_changes_nothing(void **state)
{
    int v = 0;
    struct mem m;
    struct map map;
    (void)state;

    mem_init(&m, NULL, 0);
    map_init(&map, &m, seed, 100);
    m.fail_at = 1;
    assert_int_equal(map_put(&map, key_of(0), &v), QUDAG_ENOMEM);
    for (size_t k = 0; k < 12; k++) {
        assert_int_equal(map_put(&map, key_of(k), &v), QUDAG_OK);
    }
    m.fail_at = 1;
    assert_int_equal(map_put(&map, key_of(12), &v), QUDAG_ENOMEM); /* must grow now */
    assert_int_equal(map.n, 12);
    for (size_t k = 0; k < 12; k++) {
        assert_ptr_equal(map_get(&map, key_of(k)), &v);
    }
    assert_int_equal(map_put(&map, key_of(12), &v), QUDAG_OK);
    map_fini(&map);
    assert_int_equal(m.used, 0);
}

/* Against an array, with handles of our own and with keys that others choose. */
static void numbers(bool keyed)
{
    enum { MOST = 300 };
    struct map t;
    struct mem mem;
    bool in[MOST] = {false};
    uint32_t x = 1, n = 0;

    mem_init(&mem, NULL, 0);
    map_init_u64(&t, &mem, keyed ? seed : NULL, 0, 200);
    for (unsigned step = 0; step < 20000; step++) {
        x = x * 1664525u + 1013904223u;
        uint32_t i = x >> 8 & 0x1ffu;
        if (i >= MOST) {
            continue;
        }
        if (in[i]) {
            map_u64_del(&t, (uint64_t)i << 32 | 7);
            in[i] = false;
            n--;
        } else {
            qudag_err err = map_u64_put(&t, (uint64_t)i << 32 | 7, &in[i]);
            assert_int_equal(err, n < 200 ? QUDAG_OK : QUDAG_ELIMIT);
            in[i] = err == QUDAG_OK;
            n += in[i] ? 1 : 0;
        }
        assert_int_equal(t.n, n);
        for (uint32_t o = 0; o < MOST; o += 7) {
            assert_ptr_equal(map_u64_get(&t, (uint64_t)o << 32 | 7), in[o] ? &in[o] : NULL);
        }
    }
    for (uint32_t i = 0; i < MOST; i++) {
        map_u64_del(&t, (uint64_t)i << 32 | 7); /* those not there change nothing */
    }
    assert_int_equal(t.n, 0);
    assert_int_equal(mem.used, 0);
}

static void numbers_are_found_until_deleted_and_leave_no_memory(void **state)
{
    (void)state;
    numbers(false);
    numbers(true);
}

/* Values in the table move with their keys when it grows and when others leave. */
static void values_in_the_table_stay_with_their_numbers(void **state)
{
    (void)state;
    struct value {
        uint64_t stamp; /* never 0 */
        uint32_t a, b;
    };
    struct mem mem;
    struct map t;
    size_t it = 0, seen = 0;

    mem_init(&mem, NULL, 0);
    map_init_u64(&t, &mem, NULL, sizeof(struct value), 1000);
    for (uint32_t i = 0; i < 500; i++) {
        struct value v = {i + 1u, i, ~i};
        assert_int_equal(map_u64_set(&t, (uint64_t)i << 16, &v), QUDAG_OK);
        v.a = i + 7;
        assert_int_equal(map_u64_set(&t, (uint64_t)i << 16, &v), QUDAG_OK); /* replaced */
    }
    for (uint32_t i = 0; i < 500; i += 2) {
        assert_non_null(map_u64_del(&t, (uint64_t)i << 16));
    }
    for (uint32_t i = 0; i < 500; i++) {
        const struct value *v = map_u64_at(&t, (uint64_t)i << 16);
        assert_int_equal(v != NULL, i % 2);
        assert_true(v == NULL || (v->stamp == i + 1u && v->a == i + 7 && v->b == ~i));
    }
    for (const struct value *v; (v = map_next_at(&t, &it)) != NULL; seen++) {
        assert_int_equal(map_u64_key(&t, v), (v->stamp - 1) << 16);
    }
    assert_int_equal(seen, 250);
    assert_int_equal(map_bytes(&t), t.cap * 24);
    map_fini(&t);
    assert_int_equal(mem.used, 0);
}

/* An entry takes what its key needs, not what the longest would. */
static void entries_are_as_small_as_their_keys(void **state)
{
    (void)state;
    struct mem mem;
    struct map m;

    mem_init(&mem, NULL, 0);
    map_init(&m, &mem, seed, 10);
    assert_int_equal(m.entry, 80);
    map_init_sized(&m, &mem, seed, 32, 10);
    assert_int_equal(m.entry, 48);
    assert_int_equal(map_put(&m, (struct slice){(const uint8_t[33]){1}, 33}, &m), QUDAG_EINVAL);
    assert_int_equal(map_put(&m, (struct slice){(const uint8_t[33]){1}, 32}, &m), QUDAG_OK);
    assert_ptr_equal(map_get(&m, (struct slice){(const uint8_t[33]){1}, 32}), &m);
    assert_null(map_get(&m, (struct slice){(const uint8_t[33]){1}, 31}));
    map_fini(&m);
    map_init_u64(&m, &mem, NULL, 0, 100);
    assert_int_equal(m.entry, 16);
    mem.fail_at = 1;
    assert_int_equal(map_reserve(&m, 64), QUDAG_ENOMEM);
    assert_int_equal(m.cap, 0);
    assert_int_equal(map_reserve(&m, 64), QUDAG_OK);
    size_t cap = m.cap;
    for (uint64_t i = 0; i < 64; i++) { /* no more memory is asked for */
        assert_int_equal(map_u64_put(&m, i, &mem), QUDAG_OK);
        assert_int_equal(m.cap, cap);
    }
    assert_int_equal(map_reserve(&m, 60), QUDAG_OK);
    assert_int_equal(m.cap, cap);
    assert_int_equal(map_reserve(&m, SIZE_MAX), QUDAG_ENOMEM);
    assert_int_equal(map_reserve(&m, 97), QUDAG_OK);
    assert_int_equal(m.cap, 2 * cap);
    assert_ptr_equal(map_u64_get(&m, 63), &mem);
    map_fini(&m);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_found_until_deleted_and_leave_no_memory),
        cmocka_unit_test(values_in_the_table_stay_with_their_numbers),
        cmocka_unit_test(entries_are_as_small_as_their_keys),
        cmocka_unit_test(siphash_gives_its_authors_values),
        cmocka_unit_test(it_agrees_with_a_plain_array_through_random_changes),
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(limits_are_kept_but_replacing_is_always_possible),
        cmocka_unit_test(running_out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
