#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/polyval.h"

#include <string.h>

/* RFC 8452, appendix A */
static const uint8_t key[16] = {0x25, 0x62, 0x93, 0x47, 0x58, 0x92, 0x42, 0x76,
                                0x1d, 0x31, 0xf8, 0x26, 0xba, 0x4b, 0x75, 0x7b};
static const uint8_t data[32] = {0x4f, 0x4f, 0x95, 0x66, 0x8c, 0x83, 0xdf, 0xb6, 0x40, 0x17, 0x62,
                                 0xbb, 0x2d, 0x01, 0xa2, 0x62, 0xd1, 0xa2, 0x4d, 0xdd, 0x27, 0x21,
                                 0xd0, 0x06, 0xbb, 0xe4, 0x5f, 0x20, 0xd3, 0xc9, 0xf3, 0x62};
static const uint8_t expected[16] = {0xf7, 0xa3, 0xb4, 0x7b, 0x84, 0x61, 0x19, 0xfa,
                                     0xe5, 0xb7, 0x86, 0x6c, 0xf5, 0xe5, 0xb7, 0x7e};

static void value_of_the_rfc_is_reproduced(void **state)
{
    (void)state;
    struct polyval p;
    uint8_t out[16];
    polyval_init(&p, key);
    polyval_add(&p, (struct slice){data, sizeof(data)});
    polyval_take(&p, out);
    assert_memory_equal(out, expected, sizeof(out));
}

static void taking_the_value_resets_the_sum(void **state)
{
    (void)state;
    struct polyval p;
    uint8_t out[16];
    polyval_init(&p, key);
    for (unsigned round = 0; round < 3; round++) {
        polyval_add(&p, (struct slice){data, 16});
        polyval_add(&p, (struct slice){data + 16, 16});
        polyval_take(&p, out);
        assert_memory_equal(out, expected, sizeof(out));
    }
}

static void short_last_block_is_filled_with_zero_bytes(void **state)
{
    (void)state;
    for (size_t len = 0; len <= sizeof(data); len++) {
        struct polyval a, b;
        uint8_t padded[sizeof(data)] = {0}, out_a[16], out_b[16];
        memcpy(padded, data, len);
        polyval_init(&a, key);
        polyval_init(&b, key);
        polyval_add(&a, (struct slice){data, len});
        polyval_add(&b, (struct slice){padded, (len + 15) / 16 * 16});
        polyval_take(&a, out_a);
        polyval_take(&b, out_b);
        assert_memory_equal(out_a, out_b, sizeof(out_a));
    }
}

/* a carry lost or kept at any place of the masked products would show as a missing bit */
static void sum_of_values_is_the_value_of_the_sum(void **state)
{
    (void)state;
    uint8_t ones[16], k[16];
    memset(ones, 0xff, sizeof(ones));
    for (unsigned bit = 0; bit < 128; bit++) {
        struct polyval p;
        uint8_t sum[16] = {0}, out[16];
        memset(k, 0xff, sizeof(k));
        k[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        polyval_init(&p, k);
        for (unsigned one = 0; one < 128; one++) {
            uint8_t block[16] = {0};
            block[one / 8] = (uint8_t)(1u << (one % 8));
            polyval_add(&p, (struct slice){block, sizeof(block)});
            polyval_take(&p, out);
            for (unsigned i = 0; i < 16; i++) {
                sum[i] ^= out[i];
            }
        }
        polyval_add(&p, (struct slice){ones, sizeof(ones)});
        polyval_take(&p, out);
        assert_memory_equal(out, sum, sizeof(out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_of_the_rfc_is_reproduced),
        cmocka_unit_test(taking_the_value_resets_the_sum),
        cmocka_unit_test(short_last_block_is_filled_with_zero_bytes),
        cmocka_unit_test(sum_of_values_is_the_value_of_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
