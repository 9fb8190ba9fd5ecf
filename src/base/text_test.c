/* text_test.c - hex, base32, base58btc and the check for printable UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

#include <string.h>

typedef size_t encoder(char *dst, size_t cap, struct slice src);
typedef qudag_err decoder(uint8_t *dst, size_t cap, size_t *len, struct slice text);

struct row {
    const char *bytes;
    size_t len;
    const char *text;
};

static struct slice text_of(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

/* Both ways, at every capacity. */
static void check_row(const struct row *row, encoder *encode, decoder *decode)
{
    char text[256];
    uint8_t bytes[128];
    size_t n = strlen(row->text), len;

    for (size_t cap = 0; cap <= n + 1; cap++) {
        memset(text, 0x55, sizeof text);
        size_t got = encode(text, cap, (struct slice){(const uint8_t *)row->bytes, row->len});
        assert_int_equal(got, cap == n + 1 ? n : 0);
        assert_int_equal(text[cap], 0x55);
    }
    assert_string_equal(text, row->text);
    for (size_t cap = 0; cap <= row->len; cap++) {
        memset(bytes, 0x55, sizeof bytes);
        qudag_err err = decode(bytes, cap, &len, text_of(row->text));
        assert_int_equal(err, cap == row->len ? QUDAG_OK : QUDAG_ETOOBIG);
        assert_int_equal(len, cap == row->len ? row->len : 0);
        assert_int_equal(bytes[cap], 0x55);
    }
    assert_memory_equal(bytes, row->bytes, row->len);
}

static void check_refused(const char *const *rows, size_t n, decoder *decode)
{
    uint8_t bytes[128];
    size_t len = 1;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(decode(bytes, sizeof bytes, &len, text_of(rows[i])), QUDAG_EMALFORMED);
        assert_int_equal(len, 0);
    }
}

static void hex_goes_both_ways(void **state)
{
    static const struct row rows[] = {
        {"", 0, ""}, {"\x00", 1, "00"}, {"\x01\xab\xff", 3, "01abff"}};
    static const char *const bad[] = {"0", "0g", "g0", "0x", "00 0", " 00a", "0\xc3"};
    uint8_t b[4];
    size_t len;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_row(&rows[i], hex_encode, hex_decode);
    }
    check_refused(bad, ARRAY_LEN(bad), hex_decode);
    assert_int_equal(hex_decode(b, sizeof b, &len, text_of("ABcdEF")), QUDAG_OK);
    assert_memory_equal(b, "\xab\xcd\xef", 3);
    assert_int_equal(hex_decode(b, sizeof b, &len, (struct slice){(const uint8_t *)"a\0", 2}),
                     QUDAG_EMALFORMED);
}

/* RFC 4648 10, without padding and in lower case. */
static void base32_follows_rfc_4648(void **state)
{
    static const struct row rows[] = {{"", 0, ""},
                                      {"f", 1, "my"},
                                      {"fo", 2, "mzxq"},
                                      {"foo", 3, "mzxw6"},
                                      {"foob", 4, "mzxw6yq"},
                                      {"fooba", 5, "mzxw6ytb"},
                                      {"foobar", 6, "mzxw6ytboi"}};
    /* impossible lengths, bits left over, upper case, padding, foreign characters */
    static const char *const bad[] = {"a",    "aaa", "aaaaaa", "mz", "mzxr",    "mzxw7", "MY",
                                      "my==", "m1",  "m8",     "m0", "mzxw6yr", "m ",    "b\xc3"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_row(&rows[i], base32_encode, base32_decode);
    }
    check_refused(bad, ARRAY_LEN(bad), base32_decode);
}

/* The first rows: draft-msporny-base58, section 5. */
static void base58_follows_the_draft(void **state)
{
    static const struct row rows[] = {
        {"Hello World!", 12, "2NEpo7TZRRrLZSi2U"},
        {"The quick brown fox jumps over the lazy dog.", 44,
         "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z"},
        {"\x00\x00\x28\x7f\xb4\xcd", 6, "11233QC4"},
        {"", 0, ""},
        {"\x00", 1, "1"},
        {"\x00\x00\x00", 3, "111"},
        {"\x39", 1, "z"},
        {"\x3a", 1, "21"},
        {"\xff", 1, "5Q"},
    };
    static const char *const bad[] = {"0", "O", "I", "l", "2NEpo7TZRRrLZSi2U ", "a+", "\xff"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_row(&rows[i], base58_encode, base58_decode);
    }
    check_refused(bad, ARRAY_LEN(bad), base58_decode);
}

static void base58_is_bounded(void **state)
{
    static uint8_t ones[257], back[512];
    static char text[512], long_text[258];
    size_t len;
    (void)state;

    memset(ones, 0xff, sizeof ones);
    size_t n = base58_encode(text, sizeof text, (struct slice){ones, 187});
    assert_int_equal(n, 256);
    assert_int_equal(base58_decode(back, sizeof back, &len, text_of(text)), QUDAG_OK);
    assert_int_equal(len, 187);
    assert_memory_equal(back, ones, 187);
    assert_int_equal(base58_encode(text, sizeof text, (struct slice){ones, 256}), 350);
    assert_int_equal(base58_encode(text, sizeof text, (struct slice){ones, 257}), 0);
    memset(long_text, 'z', 257);
    assert_int_equal(base58_decode(back, sizeof back, &len, text_of(long_text)), QUDAG_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(base32_follows_rfc_4648),
        cmocka_unit_test(base58_follows_the_draft),
        cmocka_unit_test(base58_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
