/* name_test.c - what others chose as the name of a file becomes harmless, and stays itself where it can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <qudag/text.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void names_become_harmless_and_stay_valid(void **state)
{
    char out[QUDAG_NAME_MAX + 1], longest[600];
    (void)state;
    static const char *const row[][2] = {
        {"plain.txt", "plain.txt"},
        {"../../etc/passwd", "_._.._etc_passwd"},
        {".hidden", "_hidden"},
        {"..", "_."},
        {"", "file"},
        {"   ", "file"},
        {"a\tb\n\x1b[31mc", "a_b__[31mc"},
        {"caf\xc3\xa9 \xe6\x97\xa5", "caf\xc3\xa9 \xe6\x97\xa5"},
        {"lat\xe9in", "lat_in"},
        {"\xe0\x80\xaf", "___"},             /* overlong '/' */
        {"\xf0\x80\x80\xaf", "____"},        /* and longer */
        {"\xc0\xae", "__"},                  /* overlong '.' */
        {"\xed\xa0\x80", "___"},             /* a surrogate */
        {"\xf4\x90\x80\x80", "____"},        /* above U+10FFFF */
        {"\xe2\x80\xaegnp.exe", "_gnp.exe"}, /* turns the direction */
        {"a\xe2\x80\x8b"
         "b",
         "a_b"}, /* zero width */
        {"a\xc2\xad"
         "b\xef\xbb\xbf",
         "a_b_"},
        {"\xc2\x85x", "_x"}, /* C1 */
        {"a\xe2\x82", "a_"}, /* cut short */
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        qudag_name_harmless(out, row[ix][0]);
        assert_string_equal(out, row[ix][1]);
    }
    for (size_t lead = 0; lead < 4; lead++) { /* cut between characters only */
        memset(longest, 'n', sizeof(longest));
        for (size_t at = lead; at + 4 < sizeof(longest) - 1; at += 4) {
            memcpy(longest + at, "\xf0\x9f\x98\x80", 4);
        }
        longest[sizeof(longest) - 1] = 0;
        qudag_name_harmless(out, longest);
        assert_true(strlen(out) <= QUDAG_NAME_MAX && strlen(out) > QUDAG_NAME_MAX - 4);
        assert_true(qudag_utf8_valid((qudag_slice){(const uint8_t *)out, strlen(out)}));
    }
}

static void a_name_of_one_byte_too_many_loses_it(void **state)
{
    char name[QUDAG_NAME_MAX + 2] = {0}, out[QUDAG_NAME_MAX + 2];
    (void)state;
    for (size_t len = QUDAG_NAME_MAX - 1; len <= QUDAG_NAME_MAX + 1; len++) {
        memset(name, 'a', len);
        out[QUDAG_NAME_MAX + 1] = 'x'; /* not its own */
        qudag_name_harmless(out, name);
        assert_int_equal(strlen(out), len < QUDAG_NAME_MAX ? len : QUDAG_NAME_MAX);
        assert_int_equal(out[QUDAG_NAME_MAX + 1], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_harmless_and_stay_valid),
        cmocka_unit_test(a_name_of_one_byte_too_many_loses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
