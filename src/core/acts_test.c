/* acts_test.c - the list of actions: what fits, what does not, where the payload of a report lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/core.h"

#include <string.h>

struct payload {
    uint64_t number;
    const char *text;
};

static void the_copy_behind_a_report_is_aligned_wherever_the_list_stands(void **state)
{
    _Alignas(max_align_t) uint8_t bytes[256];
    struct act v[2];
    struct payload p = {77, "text"};

    (void)state;
    for (size_t odd = 0; odd < 2 * _Alignof(max_align_t); odd++) {
        struct acts out = {.v = v, .cap = 2, .bytes = bytes, .bytes_cap = sizeof bytes};
        out.bytes_n = odd;
        const struct act *a = acts_up_copy(&out, 9, &p, sizeof p);
        assert_non_null(a);
        assert_int_equal((uintptr_t)a->ptr % _Alignof(max_align_t), 0);
        assert_true((const uint8_t *)a->ptr >= bytes + odd);
        assert_true((const uint8_t *)a->ptr + sizeof p <= bytes + out.bytes_n);
        assert_memory_equal(a->ptr, &p, sizeof p);
        assert_int_equal(a->type, ACT_UP);
        assert_int_equal(a->kind, 9);
        assert_int_equal(out.n, 1);
    }
}

static void a_report_without_room_for_its_copy_is_not_made(void **state)
{
    _Alignas(max_align_t) uint8_t bytes[64];
    struct act v[1];
    struct payload p = {0};

    (void)state;
    for (size_t left = 0; left < sizeof bytes; left++) {
        struct acts out = {.v = v, .cap = 1, .bytes = bytes, .bytes_cap = sizeof bytes};
        out.bytes_n = sizeof bytes - left;
        size_t at = (out.bytes_n + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
        bool fits = at + sizeof p <= sizeof bytes;
        assert_int_equal(acts_up_copy(&out, 9, &p, sizeof p) != NULL, fits);
        assert_int_equal(out.overflow, !fits);
        assert_int_equal(out.n, fits ? 1 : 0);
        assert_true(out.bytes_n <= sizeof bytes);
    }
    struct acts full = {.v = v, .n = 1, .cap = 1, .bytes = bytes, .bytes_cap = sizeof bytes};
    assert_null(acts_up_copy(&full, 9, &p, sizeof p));
    assert_true(full.overflow);
    assert_int_equal(full.bytes_n, 0);
}

static void a_list_is_settled_while_it_is_empty(void **state)
{
    struct act v[1];
    struct acts out = {.v = v, .cap = 1};

    (void)state;
    assert_true(acts_settled(&out));
    (void)acts_up(&out, 1);
    assert_false(acts_settled(&out));
    out.n = 0;
    assert_true(acts_settled(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_behind_a_report_is_aligned_wherever_the_list_stands),
        cmocka_unit_test(a_report_without_room_for_its_copy_is_not_made),
        cmocka_unit_test(a_list_is_settled_while_it_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
