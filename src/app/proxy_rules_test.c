#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/proxy_rules.h"

#include <string.h>

#define A56 "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx"
#define A55 "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvw"
#define ADDRESS A56 "." A55 ".dark"

static struct slice of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static void a_host_is_an_address_a_petname_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        enum proxy_host kind;
        const char *out;
    } cases[] = {
        {ADDRESS, PROXY_ADDRESS, ADDRESS},
        {"ABC." A55 ".DARK", PROXY_ADDRESS, "abc." A55 ".dark"},
        {ADDRESS ".", PROXY_ADDRESS, ADDRESS},
        {"www." ADDRESS, PROXY_ADDRESS, ADDRESS},
        {"a.b.www." ADDRESS, PROXY_ADDRESS, ADDRESS},
        {"x.y.dark", PROXY_ADDRESS, "x.y.dark"},
        {"blog.dark", PROXY_PETNAME, "blog"},
        {"My-Blog2.Dark", PROXY_PETNAME, "my-blog2"},
        {"blog.dark.", PROXY_PETNAME, "blog"},
        {"-blog.dark", PROXY_NO_NAME, ""},
        {"xn--bcher-kva.dark", PROXY_NO_NAME, ""},
        {"b_log.dark", PROXY_NO_NAME, ""},
        {".dark", PROXY_NO_NAME, ""},
        {"a..dark", PROXY_NO_NAME, ""},
        {"", PROXY_NO_NAME, ""},
        {".", PROXY_NO_NAME, ""},
        {"b\xc3\xbc"
         "cher.dark",
         PROXY_NO_NAME, ""},
        {"a b.dark", PROXY_NO_NAME, ""},
        {"a/b.dark", PROXY_NO_NAME, ""},
        {"dark", PROXY_OUTSIDE, ""},
        {"notdark", PROXY_OUTSIDE, ""},
        {"a.notdark", PROXY_OUTSIDE, ""},
        {"example.org", PROXY_OUTSIDE, ""},
        {"blog.dark.example.org", PROXY_OUTSIDE, ""},
        {"localhost", PROXY_OUTSIDE, ""},
        {"abc.onion", PROXY_OUTSIDE, ""},
        {"192.0.2.7", PROXY_IP, ""},
        {"127.1", PROXY_IP, ""},
        {"2130706433", PROXY_IP, ""},
        {"0x7f000001", PROXY_IP, ""},
        {"1.2.0x3", PROXY_IP, ""},
        {"::1", PROXY_IP, ""},
        {"::ffff:192.0.2.7", PROXY_IP, ""},
    };
    char out[PROXY_HOST_MAX + 1];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum proxy_host kind = proxy_host_read(of(cases[i].host), out);
        if (kind != cases[i].kind) {
            print_message("%s: %d\n", cases[i].host, (int)kind);
        }
        assert_int_equal(kind, cases[i].kind);
        assert_string_equal(out, cases[i].out);
    }
}

static void a_host_with_a_zero_byte_or_too_long_is_no_name(void **state)
{
    (void)state;
    char out[PROXY_HOST_MAX + 1], longest[300];

    assert_int_equal(proxy_host_read((struct slice){(const uint8_t *)"a.dark\0.com", 11}, out),
                     PROXY_NO_NAME);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(proxy_host_read((struct slice){(const uint8_t *)longest, 255}, out),
                     PROXY_OUTSIDE);
    assert_int_equal(proxy_host_read((struct slice){(const uint8_t *)longest, 256}, out),
                     PROXY_NO_NAME);
}

static void petnames_have_ascii_letters_digits_and_hyphens(void **state)
{
    (void)state;
    char name[QUDAG_PETNAME_MAX + 2];

    assert_true(qudag_petname_valid("blog") && qudag_petname_valid("B2") &&
                qudag_petname_valid("a-b"));
    assert_true(qudag_petname_valid("a") && qudag_petname_valid("ab-") == false);
    assert_false(qudag_petname_valid(NULL) || qudag_petname_valid("") || qudag_petname_valid("-a"));
    assert_false(qudag_petname_valid("a.b") || qudag_petname_valid("a_b") ||
                 qudag_petname_valid("a b"));
    assert_false(qudag_petname_valid("xn--a") || qudag_petname_valid("XN--a") ||
                 qudag_petname_valid("ab--c"));
    assert_false(qudag_petname_valid("\xd0\xb0pple")); /* a letter that only looks like an a */
    memset(name, 'a', sizeof(name));
    name[QUDAG_PETNAME_MAX] = 0;
    assert_true(qudag_petname_valid(name));
    name[QUDAG_PETNAME_MAX] = 'a';
    name[QUDAG_PETNAME_MAX + 1] = 0;
    assert_false(qudag_petname_valid(name));
}

static void each_user_has_a_key_of_its_own(void **state)
{
    (void)state;
    const struct proxy_user users[] = {
        {1000, PROXY_NOBODY, {0}, {0}},
        {1001, PROXY_NOBODY, {0}, {0}},
        {PROXY_UID_UNKNOWN, PROXY_NOBODY, {0}, {0}},
        {1000, PROXY_SOCKS_LOGIN, {0}, {0}},
        {1000, PROXY_SOCKS_LOGIN, of("a"), of("b")},
        {1000, PROXY_SOCKS_LOGIN, of("ab"), {0}},
        {1000, PROXY_SOCKS_LOGIN, {0}, of("ab")},
        {1000, PROXY_SOCKS_LOGIN, of("a"), of("c")},
        {1000, PROXY_HTTP_LOGIN, of("a"), of("b")},
        {1001, PROXY_SOCKS_LOGIN, of("a"), of("b")},
    };
    uint8_t key[ARRAY_LEN(users)][QUDAG_ISOLATION_MAX], again[QUDAG_ISOLATION_MAX];

    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        proxy_isolation(key[i], &users[i]);
        proxy_isolation(again, &users[i]);
        assert_memory_equal(key[i], again, sizeof(again));
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(key[i], key[j], sizeof(key[i]));
        }
    }
}

static void nobody_takes_the_places_of_others(void **state)
{
    (void)state;
    uint32_t one = 0, two = 0;

    assert_false(proxy_may_begin(0, 512, 1, 512));
    assert_true(proxy_may_begin(0, 511, 9, 512));
    assert_true(proxy_may_begin(0, 0, 1, 1));
    while (proxy_may_begin(one, one, 1, 512)) {
        one++;
    }
    assert_in_range(one, 256, 300); /* what is left is another's */
    while (proxy_may_begin(two, one + two, 2, 512)) {
        two++;
    }
    assert_in_range(two, 128, 256);
    assert_true(proxy_may_begin(0, one + two, 3, 512));
}

static void every_failure_has_codes_a_title_and_advice(void **state)
{
    (void)state;
    for (int why = PROXY_FINE + 1; why < PROXY_WHYS; why++) {
        const struct proxy_answer *a = proxy_answer_of((enum proxy_why)why);
        assert_int_not_equal(a->socks, SOCKS_OK);
        assert_in_range(a->http, 400, 504);
        assert_true(a->title[0] != 0 && a->advice[0] != 0 && a->error[0] != 0);
    }
}

static void failures_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        qudag_err err;
        enum proxy_why why;
        int code;
    } cases[] = {
        {QUDAG_ENOTFOUND, PROXY_NOT_FOUND, 0xf0},  {QUDAG_ECHECKSUM, PROXY_TYPO, 0xf6},
        {QUDAG_EMALFORMED, PROXY_BAD_NAME, 0xf6},  {QUDAG_EUNREACHABLE, PROXY_OFFLINE, 0xf2},
        {QUDAG_ECIRCUIT, PROXY_TIMED_OUT, 0xf7},   {QUDAG_EAUTH, PROXY_TIMED_OUT, 0xf7},
        {QUDAG_ENEEDAUTH, PROXY_NEEDS_AUTH, 0xf4}, {QUDAG_ETIMEOUT, PROXY_TIMED_OUT, 0xf7},
        {QUDAG_ENORELAYS, PROXY_NOT_READY, 3},     {QUDAG_ESMALLNET, PROXY_SMALL_NETWORK, 2},
        {QUDAG_EUNSUPPORTED, PROXY_NO_TUNNEL, 5},  {QUDAG_ELIMIT, PROXY_BUSY, 1},
        {QUDAG_ENOMEM, PROXY_FAILED, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(proxy_why_of(cases[i].err), cases[i].why);
        assert_int_equal(proxy_answer_of(cases[i].why)->socks, cases[i].code);
    }
    assert_int_equal(proxy_why_of_status(0), PROXY_FINE);
    assert_int_equal(proxy_why_of_status(1), PROXY_NO_PORT);
    assert_int_equal(proxy_why_of_status(2), PROXY_TARGET_REFUSED);
    assert_int_equal(proxy_why_of_status(3), PROXY_TARGET_FAILED);
    assert_int_equal(proxy_why_of_status(4), PROXY_SERVICE_FULL);
    assert_int_equal(proxy_why_of_status(5), PROXY_BROKEN);
    assert_int_equal(proxy_why_of_status(255), PROXY_BROKEN);
    assert_true(proxy_is_refusal(PROXY_IS_IP) && proxy_is_refusal(PROXY_BAD_REQUEST));
    assert_false(proxy_is_refusal(PROXY_NOT_FOUND) || proxy_is_refusal(PROXY_FINE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_an_address_a_petname_or_refused),
        cmocka_unit_test(a_host_with_a_zero_byte_or_too_long_is_no_name),
        cmocka_unit_test(petnames_have_ascii_letters_digits_and_hyphens),
        cmocka_unit_test(each_user_has_a_key_of_its_own),
        cmocka_unit_test(nobody_takes_the_places_of_others),
        cmocka_unit_test(every_failure_has_codes_a_title_and_advice),
        cmocka_unit_test(failures_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
