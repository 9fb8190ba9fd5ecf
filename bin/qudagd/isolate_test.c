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
    const struct {
        uid_t uid;
        const char *text;
    } row[] = {{1000, "work"}, {1001, "work"}, {1000, "home"},
               {0, "work"},    {1000, "worK"}, {1000, "work1"}};
    uint8_t key[6][QUDAG_ISOLATION_MAX], again[QUDAG_ISOLATION_MAX];
    (void)state;
    for (size_t a = 0; a < 6; a++) {
        isolate_key(key[a], row[a].uid, row[a].text);
        for (size_t b = 0; b < a; b++) {
            assert_memory_not_equal(key[a], key[b], QUDAG_ISOLATION_MAX);
        }
    }
    isolate_key(again, 1000, "work");
    assert_memory_equal(again, key[0], QUDAG_ISOLATION_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_one_user_and_one_name_share_a_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
