/* heap_test.c - deadlines in order, checked against a plain search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/heap.h"
#include "base/rng.h"

#include <string.h>

#define N 200

static void deadlines_leave_in_order_and_equal_ones_as_they_came(void **state)
{
    static const tstamp at[] = {5, 3, 5, 1, 3, 5, 0, 1};
    static const size_t order[] = {6, 3, 7, 1, 4, 0, 2, 5};
    struct heap_node n[ARRAY_LEN(at)] = {0};
    struct mem m;
    struct heap h;
    (void)state;

    mem_init(&m, NULL, 0);
    heap_init(&h, &m, 100);
    assert_null(heap_top(&h));
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        assert_int_equal(heap_set(&h, &n[i], at[i]), QUDAG_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_ptr_equal(heap_top(&h), &n[order[i]]);
        heap_del(&h, heap_top(&h));
    }
    assert_null(heap_top(&h));
    heap_fini(&h);
    assert_int_equal(m.used, 0);
}

static void never_takes_a_node_out(void **state)
{
    struct heap_node n = {0};
    struct mem m;
    struct heap h;
    (void)state;

    mem_init(&m, NULL, 0);
    heap_init(&h, &m, 1);
    assert_int_equal(heap_set(&h, &n, TSTAMP_NEVER), QUDAG_OK);
    assert_null(heap_top(&h));
    assert_int_equal(heap_set(&h, &n, 1), QUDAG_OK);
    assert_ptr_equal(heap_top(&h), &n);
    assert_int_equal(heap_set(&h, &n, TSTAMP_NEVER), QUDAG_OK);
    assert_null(heap_top(&h));
    heap_del(&h, &n); /* in no heap: harmless */
    heap_fini(&h);
}

static void limits_and_lack_of_memory_are_told_apart(void **state)
{
    struct heap_node n[18];
    struct mem m;
    struct heap h;
    (void)state;

    memset(n, 0, sizeof n);
    mem_init(&m, NULL, 0);
    heap_init(&h, &m, 17);
    m.fail_at = 1;
    assert_int_equal(heap_set(&h, &n[0], 1), QUDAG_ENOMEM);
    assert_null(heap_top(&h));
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(heap_set(&h, &n[i], i), QUDAG_OK);
    }
    m.fail_at = 1;
    assert_int_equal(heap_set(&h, &n[16], 0), QUDAG_ENOMEM);
    assert_int_equal(n[16].ix, 0);
    assert_int_equal(heap_set(&h, &n[16], 0), QUDAG_OK);
    assert_int_equal(heap_set(&h, &n[17], 0), QUDAG_ELIMIT);
    assert_int_equal(heap_set(&h, &n[16], 99), QUDAG_OK); /* one that is in may always move */
    heap_fini(&h);
    assert_int_equal(n[3].ix, 0);
    assert_int_equal(m.used, 0);
}

/* The node a plain search finds. */
static struct heap_node *earliest(struct heap_node *n)
{
    struct heap_node *best = NULL;

    for (size_t i = 0; i < N; i++) {
        bool in = n[i].ix != 0;
        if (in &&
            (best == NULL || n[i].at < best->at || (n[i].at == best->at && n[i].seq < best->seq))) {
            best = &n[i];
        }
    }
    return best;
}

static void it_agrees_with_a_plain_search_through_random_changes(void **state)
{
    static struct heap_node n[N];
    struct mem m;
    struct heap h;
    struct rng_stream stream;
    uint8_t seed[32] = {3};
    (void)state;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    mem_init(&m, NULL, 0);
    heap_init(&h, &m, N);
    memset(n, 0, sizeof n);
    for (int step = 0; step < 5000; step++) {
        struct heap_node *it = &n[rng_below(&rng, N)];
        if (rng_below(&rng, 3) == 0) {
            heap_del(&h, it);
            assert_int_equal(it->ix, 0);
        } else {
            assert_int_equal(heap_set(&h, it, rng_below(&rng, 50)), QUDAG_OK);
        }
        assert_ptr_equal(heap_top(&h), earliest(n));
    }
    heap_fini(&h);
    assert_int_equal(m.used, 0);
}

static void memory_of_a_busy_time_goes_back_with_the_last(void **state)
{
    static struct heap_node n[N];
    struct mem m;
    struct heap h;
    (void)state;

    memset(n, 0, sizeof n);
    mem_init(&m, NULL, 0);
    heap_init(&h, &m, N);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(heap_set(&h, &n[i], N - i), QUDAG_OK);
        }
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(heap_set(&h, &n[i], TSTAMP_NEVER), QUDAG_OK);
        }
        assert_null(heap_top(&h));
        assert_int_equal(m.used, 0);
    }
    heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_leave_in_order_and_equal_ones_as_they_came),
        cmocka_unit_test(never_takes_a_node_out),
        cmocka_unit_test(limits_and_lack_of_memory_are_told_apart),
        cmocka_unit_test(memory_of_a_busy_time_goes_back_with_the_last),
        cmocka_unit_test(it_agrees_with_a_plain_search_through_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
