/* argon2_test.c - Argon2id against values that the model of tests/reference computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/argon2.h"
#include "crypto/init.h"

#include <string.h>

static void it_is_the_function_of_the_model(void **state)
{
    /* rend_work.py: argon2id(b'password', bytes(range(16)), kib, 16), which passes RFC 9106's own test */
    static const struct {
        uint32_t kib;
        uint8_t out[16];
    } want[] = {
        {8,
         {0x6d, 0xeb, 0x08, 0xeb, 0x7c, 0xaa, 0xfe, 0x36, 0x6f, 0x2f, 0x9e, 0xc0, 0x6d, 0x8d, 0xbe,
          0xbd}},
        {64,
         {0x0a, 0xf5, 0x28, 0x51, 0x50, 0xf5, 0xcd, 0xc7, 0x47, 0x82, 0x68, 0xa9, 0x16, 0x65, 0x02,
          0x19}},
        {128,
         {0x82, 0xd2, 0xf2, 0x24, 0x61, 0x2b, 0x75, 0xe3, 0x24, 0x08, 0xeb, 0xec, 0x4b, 0xb0, 0xcf,
          0x09}},
    };
    uint8_t salt[ARGON2_SALT_LEN], out[16];

    (void)state;
    for (size_t i = 0; i < sizeof salt; i++) {
        salt[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct slice pw = {(const uint8_t *)"password", 8};
        assert_int_equal(argon2_id(out, sizeof out, pw, salt, want[i].kib), QUDAG_OK);
        assert_memory_equal(out, want[i].out, sizeof out);
    }
}

static void what_it_cannot_do_is_an_error(void **state)
{
    uint8_t salt[ARGON2_SALT_LEN] = {0}, out[16], zero[16] = {0};

    (void)state;
    memset(out, 1, sizeof out);
    assert_int_equal(argon2_id(out, 8, (struct slice){NULL, 0}, salt, 64), QUDAG_EINTERNAL);
    assert_memory_equal(out, zero, 8);
    assert_int_equal(argon2_id(out, sizeof out, (struct slice){NULL, 0}, salt, 1), QUDAG_EINTERNAL);
    assert_memory_equal(out, zero, sizeof out);
    assert_int_equal(argon2_id(out, sizeof out, (struct slice){NULL, 0}, salt, 8), QUDAG_OK);
    assert_memory_not_equal(out, zero, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_function_of_the_model),
        cmocka_unit_test(what_it_cannot_do_is_an_error),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
