/* dyn_test.c - the growable buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/dyn.h"

#include <string.h>

static void bytes_come_out_as_they_went_in(void **state)
{
    struct mem m;
    struct dyn d;
    uint8_t next_in = 0, next_out = 0, chunk[37];
    (void)state;

    mem_init(&m, NULL, 0);
    dyn_init(&d, &m, 5000);
    for (size_t round = 0; round < 300; round++) {
        size_t len = round % sizeof chunk;
        for (size_t i = 0; i < len; i++) {
            chunk[i] = next_in++;
        }
        assert_int_equal(dyn_append(&d, chunk, len), QUDAG_OK);
        size_t drop = round % 23 < d.len ? round % 23 : d.len;
        for (size_t i = 0; i < drop; i++) {
            assert_int_equal(dyn_slice(&d).base[i], next_out++);
        }
        dyn_drop(&d, drop);
    }
    for (size_t i = 0; i < d.len; i++) {
        assert_int_equal(d.p[i], next_out++);
    }
    dyn_fini(&d);
    assert_int_equal(m.used, 0);
}

static void the_maximum_is_exact(void **state)
{
    static const uint8_t bytes[1001] = {1};
    struct mem m;
    struct dyn d;
    (void)state;

    mem_init(&m, NULL, 0);
    dyn_init(&d, &m, 1000);
    assert_int_equal(dyn_append(&d, bytes, 1001), QUDAG_ETOOBIG);
    assert_int_equal(dyn_append(&d, bytes, 999), QUDAG_OK);
    assert_int_equal(dyn_append(&d, bytes, 2), QUDAG_ETOOBIG);
    assert_int_equal(d.len, 999);
    assert_int_equal(dyn_append(&d, bytes, 1), QUDAG_OK);
    assert_int_equal(dyn_append(&d, bytes, 0), QUDAG_OK);
    assert_int_equal(dyn_append(&d, bytes, SIZE_MAX), QUDAG_ETOOBIG);
    assert_true(d.cap <= 1000);
    dyn_fini(&d);
}

static void an_emptied_buffer_gives_its_memory_back(void **state)
{
    struct mem m;
    struct dyn d;
    (void)state;

    mem_init(&m, NULL, 0);
    dyn_init(&d, &m, 100);
    assert_int_equal(dyn_append(&d, "abc", 3), QUDAG_OK);
    dyn_drop(&d, 2);
    assert_memory_equal(d.p, "c", 1);
    dyn_drop(&d, 50);
    assert_int_equal(m.used, 0);
    assert_int_equal(dyn_slice(&d).len, 0);
    assert_int_equal(dyn_append(&d, "d", 1), QUDAG_OK); /* and is usable again */
    dyn_fini(&d);
}

static void running_out_of_memory_changes_nothing(void **state)
{
    static const uint8_t bytes[300] = {1};
    struct mem m;
    struct dyn d;
    (void)state;

    mem_init(&m, NULL, 0);
    dyn_init(&d, &m, 1000);
    m.fail_at = 1;
    assert_int_equal(dyn_append(&d, "abc", 3), QUDAG_ENOMEM);
    assert_int_equal(d.len, 0);
    assert_int_equal(dyn_append(&d, "abc", 3), QUDAG_OK);
    m.fail_at = 1;
    assert_int_equal(dyn_append(&d, bytes, sizeof bytes), QUDAG_ENOMEM);
    assert_int_equal(d.len, 3);
    assert_memory_equal(d.p, "abc", 3);
    dyn_fini(&d);
    assert_int_equal(m.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(the_maximum_is_exact),
        cmocka_unit_test(an_emptied_buffer_gives_its_memory_back),
        cmocka_unit_test(running_out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
