/* chance_test.c - the dice: distributions as stated, the same on every machine. */
#include "sim/chance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N 20001

static uint64_t got[N];

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void assert_near(uint64_t v, uint64_t want, uint64_t permille)
{
    assert_in_range(v, want - want * permille / 1000, want + want * permille / 1000);
}

static void logarithms_and_powers_are_exact_to_sixteen_bits(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 64; b++) {
        assert_int_equal(chance_log2(UINT64_C(1) << b), (int64_t)b << 16);
    }
    assert_int_equal(chance_log2(10), 217705); /* 3.321928 */
    assert_int_equal(chance_log2(1000000), 1306235);
    assert_near(chance_exp2(1000000, 65536), 2000000, 0);
    assert_near(chance_exp2(1000000000, 32768), 1414213561, 0); /* rounded down */
    assert_near(chance_exp2(1000000000, -32768), 707106781, 1);
    assert_near(chance_exp2(1000000000, -3 * 65536), 125000000, 0);
    for (int64_t x = -10 * 65536; x < 10 * 65536; x += 4321) {
        uint64_t v = chance_exp2(UINT64_C(1) << 30, x);
        assert_in_range(chance_log2(v) - (INT64_C(30) << 16) - x + 4, 0, 8);
    }
}

static void times_have_the_median_asked_for(void **state)
{
    (void)state;
    struct dice d;

    dice_init(&d, 3);
    for (size_t i = 0; i < N; i++) {
        got[i] = dice_wait(&d, DICE_FAULTS, 600 * NS_PER_S);
    }
    qsort(got, N, sizeof(got[0]), by_value);
    assert_near(got[N / 2], 600 * NS_PER_S, 40);
    assert_near(got[N * 3 / 4], 1200 * NS_PER_S, 40);
    for (size_t i = 0; i < N; i++) {
        got[i] = dice_lognormal(&d, DICE_FAULTS, 80 * NS_PER_MS, 500);
    }
    qsort(got, N, sizeof(got[0]), by_value);
    assert_near(got[N / 2], 80 * NS_PER_MS, 20);
    assert_near(got[N * 841 / 1000], 131897702, 30); /* e^0.5 times as much */
    assert_near(got[N * 159 / 1000], 48522453, 30);
    uint64_t sum = 0;
    for (size_t i = 0; i < N; i++) {
        sum += dice_gap(&d, DICE_WORK, NS_PER_S);
    }
    assert_near(sum / N, NS_PER_S, 30);
}

static void a_pair_has_one_delay_in_either_order(void **state)
{
    (void)state;
    struct dice d;
    uint64_t sum = 0;

    dice_init(&d, 3);
    for (uint32_t i = 0; i < N; i++) {
        got[i] = dice_pair(&d, i, i * 7 + 1, 80 * NS_PER_MS, 500);
        assert_int_equal(got[i], dice_pair(&d, i * 7 + 1, i, 80 * NS_PER_MS, 500));
        sum += got[i];
    }
    assert_near(sum / N, 90651876, 20); /* the mean of a log-normal: median times e^(sigma^2 / 2) */
    qsort(got, N, sizeof(got[0]), by_value);
    assert_near(got[N / 2], 80 * NS_PER_MS, 20);
    assert_int_equal(dice_pair(&d, 1, 2, 80 * NS_PER_MS, 0), 80 * NS_PER_MS);
}

static void one_purpose_does_not_disturb_another(void **state)
{
    (void)state;
    struct dice a, b, c;
    uint8_t x[32], y[32];

    dice_init(&a, 7);
    dice_init(&b, 7);
    dice_init(&c, 8);
    (void)dice_u32(&a, DICE_WORK);
    uint32_t v = dice_u32(&a, DICE_LINKS);
    assert_int_equal(v, dice_u32(&b, DICE_LINKS));
    assert_int_not_equal(v, dice_u32(&c, DICE_LINKS));
    dice_node(&a, "use", 1, 1, x);
    dice_node(&b, "use", 1, 1, y);
    assert_memory_equal(x, y, 32);
    dice_node(&b, "use", 1, 2, y);
    assert_memory_not_equal(x, y, 32);
    dice_node(&b, "other", 1, 1, y);
    assert_memory_not_equal(x, y, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_and_powers_are_exact_to_sixteen_bits),
        cmocka_unit_test(times_have_the_median_asked_for),
        cmocka_unit_test(a_pair_has_one_delay_in_either_order),
        cmocka_unit_test(one_purpose_does_not_disturb_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
