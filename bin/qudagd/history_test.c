/* history_test.c - the ring of the last hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "history.h"

#define LINKS 0
#define BYTES_IN 2
#define EVERY HISTORY_EVERY_NS

static void add(struct history *h, uint64_t links, uint64_t bytes, uint64_t now)
{
    const uint64_t value[HISTORY_SERIES] = {[LINKS] = links, [BYTES_IN] = bytes};

    assert_true(history_due(h, now));
    history_add(h, value, now);
    assert_false(history_due(h, now));
}

static void the_oldest_goes_for_the_newest(void **state)
{
    struct history h = {.n = 0};
    (void)state;

    assert_true(history_value(&h, LINKS, 0) == HISTORY_NONE);
    for (uint64_t ix = 0; ix < HISTORY_VALUES + 5; ix++) {
        add(&h, ix, 0, 77 + ix * EVERY);
    }
    assert_int_equal(h.n, HISTORY_VALUES);
    assert_int_equal(history_value(&h, LINKS, 0), 5);
    assert_int_equal(history_value(&h, LINKS, HISTORY_VALUES - 1), HISTORY_VALUES + 4);
    assert_true(history_value(&h, LINKS, HISTORY_VALUES) == HISTORY_NONE);
    assert_true(history_value(&h, HISTORY_SERIES, 0) == HISTORY_NONE);
}

static void what_was_missed_is_a_gap(void **state)
{
    struct history h = {.n = 0};
    (void)state;

    add(&h, 1, 0, 1000);
    assert_false(history_due(&h, 1000 + EVERY - 1));
    add(&h, 2, 0, 1000 + EVERY + 5);     /* late, but in its turn: the next is not later */
    add(&h, 3, 0, 1000 + 5 * EVERY + 6); /* three are missing */
    assert_int_equal(h.n, 6);
    assert_int_equal(history_value(&h, LINKS, 1), 2);
    for (size_t ix = 2; ix < 5; ix++) {
        assert_true(history_value(&h, LINKS, ix) == HISTORY_NONE);
    }
    assert_int_equal(history_value(&h, LINKS, 5), 3);
    assert_true(history_due(&h, 1000 + 6 * EVERY));
    add(&h, 4, 0, UINT64_MAX - EVERY); /* it slept longer than the ring is */
    assert_int_equal(h.n, HISTORY_VALUES);
    assert_true(history_value(&h, LINKS, 0) == HISTORY_NONE);
    assert_int_equal(history_value(&h, LINKS, HISTORY_VALUES - 1), 4);
}

static void of_a_counter_what_it_grew_by_is_shown(void **state)
{
    struct history h = {.n = 0};
    (void)state;

    add(&h, 7, 1000, 1);
    add(&h, 8, 6000, 1 + EVERY);
    add(&h, 9, 9000, 1 + 3 * EVERY);
    add(&h, 9, 10, 1 + 4 * EVERY); /* it began anew */
    assert_int_equal(history_shown(&h, LINKS, 0), 7);
    assert_true(history_shown(&h, BYTES_IN, 0) == HISTORY_NONE);
    assert_int_equal(history_shown(&h, BYTES_IN, 1), 500);
    assert_true(history_shown(&h, BYTES_IN, 2) == HISTORY_NONE);
    assert_true(history_shown(&h, BYTES_IN, 3) == HISTORY_NONE);
    assert_true(history_shown(&h, BYTES_IN, 4) == HISTORY_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_goes_for_the_newest),
        cmocka_unit_test(what_was_missed_is_a_gap),
        cmocka_unit_test(of_a_counter_what_it_grew_by_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
