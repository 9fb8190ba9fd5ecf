/* text_test.c - UTF-8 as a program reads it through the public interface. */
#include <qudag/text.h>

#include <string.h>

#include <cmocka.h>

/* What a program does with text of a peer: everything malformed or unprintable becomes a question mark. */
static void shown(char *out, const char *bytes)
{
    size_t len = strlen(bytes);

    while (len > 0) {
        uint32_t cp;
        size_t n = qudag_utf8_next((const uint8_t *)bytes, len, &cp);
        assert_in_range(n, 1, len);
        if (qudag_utf8_printable(cp)) {
            memcpy(out, bytes, n);
            out += n;
        } else {
            *out++ = '?';
        }
        bytes += n;
        len -= n;
    }
    *out = '\0';
}

static void text_of_a_peer_is_made_harmless(void **state)
{
    static const struct {
        const char *from, *to;
        bool valid;
    } cases[] = {
        {"", "", true},
        {"agent/1.0 \xe2\x82\xac \xf0\x9f\x98\x80", "agent/1.0 \xe2\x82\xac \xf0\x9f\x98\x80",
         true},
        {"\x1b[2J", "?[2J", true},
        {"a\xe2\x80\xae"
         "b",
         "a?b", true},
        {"cut \xf0\x9f\x98", "cut ?", false},
        {"\xc0\xaf"
         "etc",
         "??etc", false},
        {"\xed\xa0\x80.", "???.", false},
        {"\xf4\x90\x80\x80", "????", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        qudag_slice s = {(const uint8_t *)cases[i].from, strlen(cases[i].from)};
        assert_int_equal(qudag_utf8_valid(s), cases[i].valid);
        shown(out, cases[i].from);
        assert_string_equal(out, cases[i].to);
    }
}

static void the_end_of_text_is_no_code_point(void **state)
{
    uint32_t cp = 1;
    (void)state;

    assert_int_equal(qudag_utf8_next(NULL, 0, &cp), 0);
    assert_int_equal(cp, QUDAG_UTF8_MALFORMED);
    assert_false(qudag_utf8_printable(cp));
    assert_true(qudag_utf8_valid((qudag_slice){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_a_peer_is_made_harmless),
        cmocka_unit_test(the_end_of_text_is_no_code_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
