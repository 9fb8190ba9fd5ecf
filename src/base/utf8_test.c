/* utf8_test.c - every code point, every short string, and what must not be taken for UTF-8. */
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct slice text_of(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

/* The encoder of RFC 3629, section 3. */
static size_t encode(uint8_t out[4], uint32_t cp)
{
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    out[0] = (uint8_t)(n == 1 ? cp : ((0xf0 << (4 - n)) & 0xf0) | cp);
    return n;
}

static void every_code_point_is_read_back_and_not_when_cut_short(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        uint8_t b[4];
        uint32_t got;
        size_t n = encode(b, cp), len;
        bool surrogate = cp >= 0xd800 && cp <= 0xdfff;
        len = utf8_next(b, n, &got);
        if (surrogate ? got != UTF8_MALFORMED || len != 1 : got != cp || len != n) {
            fail_msg("U+%04X: %x, %zu bytes", cp, got, len);
        }
        for (size_t cut = 1; cut < n; cut++) {
            len = utf8_next(b, cut, &got);
            if (got != UTF8_MALFORMED || len != (surrogate ? 1 : cut)) {
                fail_msg("U+%04X cut to %zu: %x, %zu bytes", cp, cut, got, len);
            }
        }
    }
    uint32_t none = 7;
    assert_int_equal(utf8_next(NULL, 0, &none), 0);
    assert_int_equal(none, UTF8_MALFORMED);
}

/* How many strings of two and three bytes are well-formed follows from the sizes of the ranges alone. */
static void as_many_short_strings_are_valid_as_there_must_be(void **state)
{
    unsigned one = 128, two = 0x800 - 0x80, three = 0x10000 - 0x800 - 0x800, n = 0;
    (void)state;

    for (unsigned v = 0; v < 1u << 16; v++) {
        uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
        n += utf8_valid((struct slice){b, 2}) ? 1 : 0;
    }
    assert_int_equal(n, one * one + two);
    n = 0;
    for (unsigned v = 0; v < 1u << 24; v++) {
        uint8_t b[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        n += utf8_valid((struct slice){b, 3}) ? 1 : 0;
    }
    assert_int_equal(n, one * one * one + 2 * one * two + three);
}

static void malformed_text_is_refused_and_skipped_as_unicode_says(void **state)
{
    static const struct {
        const char *bytes;
        size_t skip; /* of the first sequence */
    } bad[] = {
        {"\x80", 1}, /* continuation alone */
        {"\xbf"
         "a",
         1},
        {"\xc0\x80", 1}, /* overlong NUL */
        {"\xc0\xaf", 1}, /* overlong slash */
        {"\xc1\xbf", 1},
        {"\xe0\x80\xaf", 1},
        {"\xe0\x9f\xbf", 1},
        {"\xf0\x80\x80\xaf", 1},
        {"\xf0\x8f\xbf\xbf", 1},
        {"\xed\xa0\x80", 1}, /* surrogates */
        {"\xed\xbf\xbf", 1},
        {"\xf4\x90\x80\x80", 1}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 1},
        {"\xf8\x88\x80\x80\x80", 1},
        {"\xfe", 1},
        {"\xff", 1},
        {"\xc3", 1}, /* cut short */
        {"\xe2\x82", 2},
        {"\xf0\x9f\x98", 3},
        {"\xc3(", 1}, /* broken off by another character */
        {"\xe2\x82"
         "a",
         2},
        {"\xf0\x9f\x98"
         "a",
         3},
        {"\xf1\xc3\xa4", 1},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct slice s = text_of(bad[i].bytes);
        uint32_t cp;
        assert_false(utf8_valid(s));
        assert_false(utf8_printable(s));
        assert_int_equal(utf8_next(s.base, s.len, &cp), bad[i].skip);
        assert_int_equal(cp, UTF8_MALFORMED);
    }
    assert_false(utf8_valid(text_of("good \xc3\xa4, then not \xc3")));
    assert_true(utf8_valid(text_of("")));
}

static void only_harmless_text_is_printable(void **state)
{
    static const char *const good[] = {"",
                                       "plain text",
                                       "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "~",
                                       "\xc2\xa0",
                                       "\xe2\x80\xa7",
                                       "\xe2\x80\xaf"};
    static const char *const bad[] = {
        "a\n",          "\x1b[31m",     "\x7f",         "\xc2\x80",     "\xc2\x9f",
        "\xd8\x9c",     "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9",
        "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(utf8_printable(text_of(good[i])));
        assert_true(utf8_valid(text_of(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(utf8_printable(text_of(bad[i])));
        assert_true(utf8_valid(text_of(bad[i])));
    }
    assert_false(utf8_printable((struct slice){(const uint8_t *)"a\0b", 3}));
    assert_true(utf8_valid((struct slice){(const uint8_t *)"a\0b", 3}));
    assert_false(utf8_codepoint_printable(UTF8_MALFORMED));
    assert_false(utf8_codepoint_printable(0x110000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_read_back_and_not_when_cut_short),
        cmocka_unit_test(as_many_short_strings_are_valid_as_there_must_be),
        cmocka_unit_test(malformed_text_is_refused_and_skipped_as_unicode_says),
        cmocka_unit_test(only_harmless_text_is_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
