/* rng_test.c - the seeded stream against RFC 8439, and the numbers made from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

#include <string.h>

/* RFC 8439 A.1, test vectors 1 and 2: key and nonce zero, blocks 0 and 1. */
static void the_stream_is_chacha20(void **state)
{
    static const uint8_t expect[128] = {
        0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd,
        0x28, 0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77,
        0x0d, 0xc7, 0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8,
        0xd8, 0x4a, 0x37, 0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69,
        0xb2, 0xee, 0x65, 0x86, 0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98, 0xba, 0x97,
        0x7c, 0x73, 0x2d, 0x08, 0x0d, 0xcb, 0x0f, 0x29, 0xa0, 0x48, 0xe3, 0x65, 0x69, 0x12, 0xc6,
        0x53, 0x3e, 0x32, 0xee, 0x7a, 0xed, 0x29, 0xb7, 0x21, 0x76, 0x9c, 0xe6, 0x4e, 0x43, 0xd5,
        0x71, 0x33, 0xb0, 0x74, 0xd8, 0x39, 0xd5, 0x31, 0xed, 0x1f, 0x28, 0x51, 0x0a, 0xfb, 0x45,
        0xac, 0xe1, 0x0a, 0x1f, 0x4b, 0x79, 0x4d, 0x6f};
    static const uint8_t seed[32] = {0};
    struct rng_stream s;
    uint8_t got[128];
    (void)state;

    for (size_t step = 1; step <= sizeof got; step++) { /* in pieces of every size */
        rng_stream_init(&s, seed);
        for (size_t at = 0; at < sizeof got; at += step) {
            size_t n = sizeof got - at < step ? sizeof got - at : step;
            rng_stream_fill(&s, got + at, n);
        }
        assert_memory_equal(got, expect, sizeof got);
    }
}

static void the_stream_does_not_repeat_when_its_counter_wraps(void **state)
{
    static const uint8_t seed[32] = {0};
    struct rng_stream s;
    uint8_t first[64], b[64];
    (void)state;

    rng_stream_init(&s, seed);
    rng_stream_fill(&s, first, sizeof first);
    s.state[12] = UINT32_MAX;
    rng_stream_fill(&s, b, sizeof b);
    assert_int_equal(s.state[12], 0);
    rng_stream_fill(&s, b, sizeof b);
    assert_memory_not_equal(b, first, sizeof b);
}

/* A source that deals out prepared bytes. */
struct deck {
    const uint8_t *p;
    size_t left;
};

static void deal(void *ctx, uint8_t *dst, size_t len)
{
    struct deck *d = ctx;

    assert_true(len <= d->left);
    memcpy(dst, d->p, len);
    d->p += len;
    d->left -= len;
}

static void numbers_are_little_endian_everywhere(void **state)
{
    static const uint8_t bytes[12] = {1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8};
    struct deck d = {bytes, sizeof bytes};
    struct rng r = {deal, &d};
    (void)state;

    assert_int_equal(rng_u32(&r), 0x04030201);
    assert_int_equal(rng_u64(&r), UINT64_C(0x0807060504030201));
}

static void draws_that_would_favour_some_values_are_repeated(void **state)
{
    /* 2^32 mod 3 = 1: only the draw 0 is over the last whole range. */
    static const uint8_t bytes[8] = {0, 0, 0, 0, 5, 0, 0, 0};
    struct deck d = {bytes, sizeof bytes};
    struct rng r = {deal, &d};
    (void)state;

    assert_int_equal(rng_below(&r, 3), 2);
    assert_int_equal(d.left, 0);
}

static void every_value_below_the_bound_comes_up(void **state)
{
    static const uint8_t seed[32] = {9};
    struct rng_stream s;
    unsigned count[10] = {0};
    (void)state;

    rng_stream_init(&s, seed);
    struct rng r = rng_of_stream(&s);
    for (int i = 0; i < 10000; i++) {
        uint32_t v = rng_below(&r, 10);
        assert_in_range(v, 0, 9);
        count[v]++;
    }
    for (size_t i = 0; i < 10; i++) {
        assert_in_range(count[i], 850, 1150); /* five standard deviations */
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rng_below(&r, 1), 0);
        assert_true(rng_below(&r, UINT32_MAX) < UINT32_MAX);
    }
}

static void jitter_stays_within_its_span_on_both_sides(void **state)
{
    static const uint8_t seed[32] = {9};
    struct rng_stream s;
    uint64_t low = UINT64_MAX, high = 0;
    (void)state;

    rng_stream_init(&s, seed);
    struct rng r = rng_of_stream(&s);
    for (int i = 0; i < 2000; i++) {
        uint64_t v = rng_jitter(&r, 1000000, 100);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    assert_in_range(low, 900000, 902000);
    assert_in_range(high, 1098000, 1100000);
    assert_int_equal(rng_jitter(&r, 12345, 0), 12345);
    assert_int_equal(rng_jitter(&r, 0, 500), 0);
    assert_int_equal(rng_jitter(&r, UINT64_MAX, 1000), UINT64_MAX);
    for (int i = 0; i < 100; i++) {
        assert_in_range(rng_jitter(&r, 1000, 5000), 0, 2000); /* more than all is all */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_chacha20),
        cmocka_unit_test(the_stream_does_not_repeat_when_its_counter_wraps),
        cmocka_unit_test(numbers_are_little_endian_everywhere),
        cmocka_unit_test(draws_that_would_favour_some_values_are_repeated),
        cmocka_unit_test(every_value_below_the_bound_comes_up),
        cmocka_unit_test(jitter_stays_within_its_span_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
