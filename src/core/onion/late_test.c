/* late_test.c - what is under way to streams that are gone: as much as could be sent, and no longer than it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/streams.h"

#define T0 (7 * NS_PER_S)

static bool takes(struct onion_late *l, uint8_t type, size_t len)
{
    static const uint8_t bytes[1000];

    return onion_late_takes(l, &(struct onion_relay_msg){type, 1, {bytes, len}});
}

static bool takes_credit(struct onion_late *l, uint32_t n)
{
    const uint8_t be[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

    return onion_late_takes(l, &(struct onion_relay_msg){ONION_RELAY_CREDIT, 1, {be, sizeof(be)}});
}

static void nothing_is_late_where_nothing_ended(void **state)
{
    struct onion_late l = {.data = 0};

    (void)state;
    onion_late_at(&l, T0);
    onion_late_cell(&l);
    assert_false(takes(&l, ONION_RELAY_DATA, 0));
    assert_false(takes(&l, ONION_RELAY_FIN, 0));
    assert_false(takes_credit(&l, ONION_STREAM_CREDIT_STEP));
}

static void as_much_is_late_as_could_be_sent(void **state)
{
    struct onion_late l = {.data = 0};

    (void)state;
    for (int i = 0; i < 2; i++) { /* of two streams */
        onion_late_expect(&l,
                          &(struct onion_late){
                              .data = 1100, .credit = ONION_STREAM_CREDIT_STEP + 5, .control = 1},
                          50);
    }
    assert_true(takes(&l, ONION_RELAY_DATA, 1000));
    assert_true(takes(&l, ONION_RELAY_DATA, 1000));
    assert_false(takes(&l, ONION_RELAY_DATA, 201));
    assert_true(takes(&l, ONION_RELAY_DATA, 200));
    assert_false(takes(&l, ONION_RELAY_DATA, 1));
    assert_false(takes_credit(&l, ONION_STREAM_CREDIT_STEP - 1)); /* no honest side sends that */
    assert_true(takes_credit(&l, ONION_STREAM_CREDIT_STEP + 10));
    assert_false(takes_credit(&l, ONION_STREAM_CREDIT_STEP + 1));
    assert_true(takes_credit(&l, ONION_STREAM_CREDIT_STEP));
}

static void the_others_are_late_once_each(void **state)
{
    struct onion_late l = {.data = 0};

    (void)state;
    onion_late_expect(&l, &(struct onion_late){.control = 3}, 1);
    assert_true(takes(&l, ONION_RELAY_CONNECTED, 0));
    assert_true(takes(&l, ONION_RELAY_FIN, 0));
    assert_true(takes(&l, ONION_RELAY_RESET, 1));
    assert_false(takes(&l, ONION_RELAY_RESET, 1));
}

static void it_ends_with_the_cells_that_can_be_under_way(void **state)
{
    struct onion_late l = {.data = 0};

    (void)state;
    onion_late_expect(&l, &(struct onion_late){.data = 5000}, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(takes(&l, ONION_RELAY_DATA, 1));
        onion_late_cell(&l);
    }
    assert_false(takes(&l, ONION_RELAY_DATA, 1));
    onion_late_expect(&l, &(struct onion_late){.control = 1}, 0); /* its window is full */
    assert_false(takes(&l, ONION_RELAY_FIN, 0));
    onion_late_expect(&l, &(struct onion_late){.control = 1}, 1);
    assert_false(takes(&l, ONION_RELAY_DATA, 1)); /* what was expected before is over */
}

static void it_ends_with_a_silence_however_slow_the_path(void **state)
{
    struct onion_late l = {.data = 0};
    tstamp now = T0;

    (void)state;
    onion_late_expect(&l, &(struct onion_late){.data = 5000}, 300);
    onion_late_at(&l, now);
    for (int i = 0; i < 100; i++) { /* 50 minutes */
        now += ONION_LATE_SILENCE - 1;
        onion_late_at(&l, now);
        assert_int_equal(takes(&l, ONION_RELAY_DATA, 1), true);
        onion_late_cell(&l);
        onion_late_at(&l, now);
    }
    onion_late_at(&l, now + ONION_LATE_SILENCE - 1);
    assert_true(takes(&l, ONION_RELAY_DATA, 1));
    onion_late_at(&l, now + ONION_LATE_SILENCE);
    assert_false(takes(&l, ONION_RELAY_DATA, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_late_where_nothing_ended),
        cmocka_unit_test(as_much_is_late_as_could_be_sent),
        cmocka_unit_test(the_others_are_late_once_each),
        cmocka_unit_test(it_ends_with_the_cells_that_can_be_under_way),
        cmocka_unit_test(it_ends_with_a_silence_however_slow_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
