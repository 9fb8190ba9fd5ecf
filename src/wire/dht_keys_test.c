/* dht_keys_test.c - what lies under a prefix. */
#include "wire/dht_keys.h"

#include <cmocka.h>

static void a_key_under_a_prefix_has_something_behind_it(void **state)
{
    static const struct {
        const char *key, *prefix, *rest; /* rest NULL: not under it */
    } cases[] = {
        {"/qudag/relay/x", DHT_RELAY_PREFIX, "x"},   {"/qudag/relay//", DHT_RELAY_PREFIX, "/"},
        {"/qudag/dark/abc", DHT_DARK_PREFIX, "abc"}, {"/qudag/relay/", DHT_RELAY_PREFIX, NULL},
        {"/qudag/relay", DHT_RELAY_PREFIX, NULL},    {"", DHT_RELAY_PREFIX, NULL},
        {"/qudag/dark/x", DHT_RELAY_PREFIX, NULL},   {"/qudag/relay/x", DHT_DARK_PREFIX, NULL},
        {"/qudag/darkx/y", DHT_DARK_PREFIX, NULL},   {"qudag/dark/x", DHT_DARK_PREFIX, NULL},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice key = {(const uint8_t *)cases[i].key, strlen(cases[i].key)};
        struct slice rest = {NULL, 0};
        assert_int_equal(dht_key_under(key, cases[i].prefix, &rest), cases[i].rest != NULL);
        assert_int_equal(dht_key_under(key, cases[i].prefix, NULL), cases[i].rest != NULL);
        assert_int_equal(rest.len, cases[i].rest != NULL ? strlen(cases[i].rest) : 0);
        assert_true(rest.len == 0 || memcmp(rest.base, cases[i].rest, rest.len) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_under_a_prefix_has_something_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
