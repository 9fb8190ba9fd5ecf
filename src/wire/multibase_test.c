#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/multibase.h"

#include <string.h>

static struct slice text_slice(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

/* multiformats/multibase, tests/basic.csv, leading_zero.csv and two_leading_zeros.csv: "yes mani !" */
static void published_examples_decode(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"f796573206d616e692021", "yes mani !", 10},   {"bpfsxgidnmfxgsibb", "yes mani !", 10},
        {"k2lcpzo5yikidynfl", "yes mani !", 10},       {"z7paNL19xttacUY", "yes mani !", 10},
        {"ueWVzIG1hbmkgIQ", "yes mani !", 10},         {"k02lcpzo5yikidynfl", "\0yes mani !", 11},
        {"uAHllcyBtYW5pICE", "\0yes mani !", 11},      {"z17paNL19xttacUY", "\0yes mani !", 11},
        {"k002lcpzo5yikidynfl", "\0\0yes mani !", 12}, {"uAAB5ZXMgbWFuaSAh", "\0\0yes mani !", 12},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[16];
        size_t len = 0;
        struct slice text = text_slice(cases[i].text);
        assert_int_equal(multibase_decode(out, sizeof(out), &len, text), QUDAG_OK);
        assert_int_equal(len, cases[i].len);
        assert_memory_equal(out, cases[i].bytes, len);
        for (size_t cap = 0; cap < len; cap++) {
            assert_int_equal(multibase_decode(out, cap, &len, text), QUDAG_ETOOBIG);
        }
    }
}

static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        qudag_err err;
    } cases[] = {
        {"", QUDAG_EMALFORMED},    {"u", QUDAG_EMALFORMED},   {"mAA", QUDAG_EUNSUPPORTED},
        {"uA", QUDAG_EMALFORMED},  {"uAB", QUDAG_EMALFORMED}, {"uAA=", QUDAG_EMALFORMED},
        {"uA+", QUDAG_EMALFORMED}, {"kA", QUDAG_EMALFORMED},  {"k-", QUDAG_EMALFORMED},
        {"f0", QUDAG_EMALFORMED},  {"b1", QUDAG_EMALFORMED},  {"z0", QUDAG_EMALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[16];
        size_t len;
        assert_int_equal(multibase_decode(out, sizeof(out), &len, text_slice(cases[i].text)),
                         cases[i].err);
    }
}

static void base64url_comes_back_at_every_length(void **state)
{
    (void)state;
    uint8_t in[64], out[64];
    char text[128];

    for (size_t n = 1; n <= sizeof(in); n++) {
        size_t len = 0, want = 1 + (n * 8 + 5) / 6;
        for (size_t i = 0; i < n; i++) {
            in[i] = (uint8_t)(i * 37 + n);
        }
        assert_int_equal(multibase_url_encode(text, want, (struct slice){in, n}), 0);
        assert_int_equal(multibase_url_encode(text, want + 1, (struct slice){in, n}), want);
        assert_int_equal(multibase_decode(out, sizeof(out), &len, text_slice(text)), QUDAG_OK);
        assert_int_equal(len, n);
        assert_memory_equal(in, out, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples_decode),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(base64url_comes_back_at_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
