/* json_test.c - JSON strings: what is written for each kind of byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json.h"

static void expect(const char *text, size_t len, const char *json)
{
    char *got = NULL;
    size_t got_len = 0;
    FILE *f = open_memstream(&got, &got_len);
    assert_non_null(f);
    json_text_len(f, text, len);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(got, json);
    free(got);
}

static void a_string_is_valid_json_whatever_the_bytes(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } row[] = {
#define ROW(text, json) {text, sizeof(text) - 1, json}
        ROW("", "\"\""),
        ROW("plain", "\"plain\""),
        ROW("a\"b\\c/", "\"a\\\"b\\\\c/\""),
        ROW("\n\t\r\x01\x7f", "\"\\n\\t\\u000d\\u0001\\u007f\""),
        ROW("a\0b", "\"a\\u0000b\""),
        ROW("caf\xc3\xa9 \xf0\x9f\x98\x80", "\"caf\xc3\xa9 \xf0\x9f\x98\x80\""),
        ROW("\xc2\x85", "\"\\u0085\""),                                  /* C1 control */
        ROW("\xe2\x80\xae", "\"\\u202e\""),                              /* turns the direction */
        ROW("\xe2\x80\xa8", "\"\\u2028\""),                              /* line separator */
        ROW("lat\xe9in", "\"lat\xef\xbf\xbdin\""),                       /* Latin-1 */
        ROW("\xe0\x80\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""), /* overlong '/' */
        ROW("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""), /* surrogate */
        ROW("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
        ROW("a\xe2\x82", "\"a\xef\xbf\xbd\""), /* cut short */
#undef ROW
    };
    (void)state;
    for (size_t ix = 0; ix < sizeof(row) / sizeof(row[0]); ix++) {
        expect(row[ix].text, row[ix].len, row[ix].json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_valid_json_whatever_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
