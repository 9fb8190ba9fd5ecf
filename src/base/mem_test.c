/* mem_test.c - the allocator: accounting, the cap, failures on demand, zeroing, alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define HEAD 16 /* bytes of bookkeeping per allocation */

static void allocations_are_zeroed_aligned_and_accounted(void **state)
{
    struct mem m;
    (void)state;

    mem_init(&m, NULL, 0);
    for (size_t size = 0; size < 100; size++) {
        uint8_t *p = mem_alloc(&m, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p & 15, 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(p[i], 0);
        }
        assert_int_equal(m.used, size + HEAD);
        memset(p, 0xaa, size);
        mem_free(&m, p);
        assert_int_equal(m.used, 0);
    }
    assert_int_equal(m.peak, 99 + HEAD);
    mem_free(&m, NULL);
    mem_free_wiped(&m, NULL);
}

static void empty_allocations_are_distinct(void **state)
{
    struct mem m;
    (void)state;

    mem_init(&m, NULL, 0);
    void *a = mem_alloc(&m, 0), *b = mem_alloc(&m, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    mem_free(&m, a);
    mem_free(&m, b);
}

static void the_cap_refuses_to_the_byte(void **state)
{
    struct mem m;
    (void)state;

    mem_init(&m, NULL, 100 + HEAD);
    assert_null(mem_alloc(&m, 101));
    assert_int_equal(m.refused, 1);
    void *p = mem_alloc(&m, 100);
    assert_non_null(p);
    assert_null(mem_alloc(&m, 0));
    assert_int_equal(m.refused, 2);
    mem_free(&m, p);
    p = mem_alloc(&m, 100);
    assert_non_null(p);
    mem_free(&m, p);
}

static void impossible_sizes_are_refused(void **state)
{
    struct mem m;
    (void)state;

    mem_init(&m, NULL, 0);
    assert_null(mem_alloc(&m, SIZE_MAX));
    assert_null(mem_alloc(&m, SIZE_MAX - HEAD + 1));
    assert_null(mem_alloc_n(&m, SIZE_MAX / 2, 3));
    assert_null(mem_resize_n(&m, NULL, SIZE_MAX / 2, 3));
    assert_int_equal(m.refused, 4);
    /* Products that wrap around to a small one. */
    assert_null(mem_alloc_n(&m, SIZE_MAX / 16 + 2, 16));
    assert_null(mem_resize_n(&m, NULL, SIZE_MAX / 16 + 2, 16));
    assert_int_equal(m.refused, 6);
    void *p = mem_alloc_n(&m, SIZE_MAX, 0);
    assert_non_null(p);
    mem_free(&m, p);
    assert_int_equal(m.used, 0);
}

static void resizing_keeps_what_fits_and_zeroes_the_rest(void **state)
{
    struct mem m;
    (void)state;

    mem_init(&m, NULL, 0);
    uint8_t *p = mem_resize(&m, NULL, 8);
    assert_non_null(p);
    memcpy(p, "abcdefgh", 8);
    p = mem_resize(&m, p, 64);
    assert_non_null(p);
    assert_memory_equal(p, "abcdefgh\0\0\0\0", 12);
    assert_int_equal(p[63], 0);
    p = mem_resize(&m, p, 3);
    assert_non_null(p);
    assert_memory_equal(p, "abc", 3);
    assert_int_equal(m.used, 3 + HEAD);
    m.fail_at = 1;
    assert_null(mem_resize(&m, p, 1000));
    assert_memory_equal(p, "abc", 3);
    mem_free(&m, p);
    assert_int_equal(m.used, 0);
}

static void the_chosen_allocation_fails_and_no_other(void **state)
{
    struct mem m;
    (void)state;

    for (uint64_t n = 1; n <= 5; n++) {
        mem_init(&m, NULL, 0);
        m.fail_at = n;
        for (uint64_t i = 1; i <= 5; i++) {
            void *p = mem_alloc(&m, 10);
            assert_int_equal(p == NULL, i == n);
            mem_free(&m, p);
        }
        assert_int_equal(m.refused, 1);
        assert_int_equal(m.used, 0);
    }
}

struct arena {
    int live;
    size_t last_size;
    uint8_t seen[64]; /* what stood in the memory when it came back */
};

static void *arena_alloc(void *ctx, size_t size)
{
    struct arena *a = ctx;
    void *p = size > 4096 ? NULL : malloc(size);

    if (p != NULL) {
        memset(p, 0x55, size);
        a->live++;
        a->last_size = size;
    }
    return p;
}

static void arena_free(void *ctx, void *ptr)
{
    struct arena *a = ctx;

    a->live--;
    if (a->last_size >= HEAD && a->last_size - HEAD <= sizeof a->seen) {
        memcpy(a->seen, (uint8_t *)ptr + HEAD, a->last_size - HEAD);
    }
    free(ptr);
}

static void hooks_serve_every_request_and_get_it_back(void **state)
{
    struct arena a = {0};
    struct mem_hooks hooks = {&a, arena_alloc, arena_free};
    struct mem m;
    (void)state;

    mem_init(&m, &hooks, 0);
    uint8_t *p = mem_alloc(&m, 20);
    assert_non_null(p);
    assert_int_equal(a.live, 1);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(p[i], 0); /* although the hook handed out dirty memory */
    }
    assert_null(mem_alloc(&m, 5000));
    assert_int_equal(m.refused, 1);
    memset(p, 0x77, 20);
    mem_free(&m, p);
    assert_int_equal(a.live, 0);
    assert_int_equal(a.seen[19], 0x77);
}

static void wiped_memory_goes_back_empty(void **state)
{
    struct arena a = {0};
    struct mem_hooks hooks = {&a, arena_alloc, arena_free};
    struct mem m;
    (void)state;

    mem_init(&m, &hooks, 0);
    uint8_t *p = mem_alloc(&m, 20);
    assert_non_null(p);
    memset(p, 0x77, 20);
    memset(a.seen, 0xee, sizeof a.seen);
    mem_free_wiped(&m, p);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(a.seen[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_zeroed_aligned_and_accounted),
        cmocka_unit_test(empty_allocations_are_distinct),
        cmocka_unit_test(the_cap_refuses_to_the_byte),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(resizing_keeps_what_fits_and_zeroes_the_rest),
        cmocka_unit_test(the_chosen_allocation_fails_and_no_other),
        cmocka_unit_test(hooks_serve_every_request_and_get_it_back),
        cmocka_unit_test(wiped_memory_goes_back_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
