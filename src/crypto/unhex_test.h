/* unhex_test.h - hex of published values into bytes, for the tests of this folder. */
#ifndef QUDAG_SRC_CRYPTO_UNHEX_TEST_H
#define QUDAG_SRC_CRYPTO_UNHEX_TEST_H

#include "base/text.h"

#include <string.h>

/* Exactly |len| bytes into |dst|. */
static inline void unhex(uint8_t *dst, size_t len, const char *text)
{
    size_t n = 0;

    assert_int_equal(strlen(text), 2 * len);
    assert_int_equal(hex_decode(dst, len, &n, (struct slice){(const uint8_t *)text, 2 * len}),
                     QUDAG_OK);
}

/* However many bytes |text| has; they are kept in |dst| of |cap| bytes. */
static inline struct slice unhex_any(uint8_t *dst, size_t cap, const char *text)
{
    size_t n = 0;

    assert_int_equal(hex_decode(dst, cap, &n, (struct slice){(const uint8_t *)text, strlen(text)}),
                     QUDAG_OK);
    return (struct slice){dst, n};
}

#define assert_hex_equal(bytes, len, text)                                                         \
    do {                                                                                           \
        uint8_t expect_[4096];                                                                     \
        assert_true((len) <= sizeof expect_);                                                      \
        unhex(expect_, (len), (text));                                                             \
        assert_memory_equal((bytes), expect_, (len));                                              \
    } while (0)

#endif
