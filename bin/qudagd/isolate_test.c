/* isolate_test.c - whose requests share an isolation key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "isolate.h"

static void only_one_user_and_one_name_share_a_key(void **state)
{
    const uint8_t one[QUDAG_ISOLATION_MAX] = {1}, two[QUDAG_ISOLATION_MAX] = {2};
    const struct {
        uid_t uid;
        const char *text;
        const uint8_t *random;
    } row[] = {
        {1000, "work", one}, {1001, "work", one}, {1000, "home", one}, {0, "work", one},
        {1000, NULL, one},   {1000, NULL, two},   {1000, "worK", one}, {1000, "work1", one},
    };
    qudag_dark_options o[8], again;
    (void)state;
    for (size_t a = 0; a < 8; a++) {
        isolate_key(&o[a], row[a].uid, row[a].text, row[a].random);
        assert_int_equal(o[a].size, sizeof(o[a]));
        assert_int_equal(o[a].isolation_len, QUDAG_ISOLATION_MAX);
        for (size_t b = 0; b < a; b++) {
            assert_memory_not_equal(o[a].isolation, o[b].isolation, QUDAG_ISOLATION_MAX);
        }
    }
    isolate_key(&again, 1000, "work", two);
    assert_memory_equal(again.isolation, o[0].isolation, QUDAG_ISOLATION_MAX);
    isolate_key(&again, 1, "", two);
    assert_memory_equal(again.isolation, two, QUDAG_ISOLATION_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_one_user_and_one_name_share_a_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
