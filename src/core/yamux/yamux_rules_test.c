#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/load/load.h"
#include "core/yamux/yamux.h"
#include "core/yamux/yamux_rules.h"

static void a_window_doubles_only_when_it_holds_the_sender_up(void **state)
{
    (void)state;
    static const struct {
        uint32_t window;
        uint64_t took, rtt;
        uint32_t most;
        size_t room;
        uint32_t next;
    } rows[] = {
        {100, 399, 100, 1000, 1000, 200}, /* within four round trips */
        {100, 400, 100, 1000, 1000, 100}, /* the reader is what is slow */
        {100, 0, 0, 1000, 1000, 100},     /* nothing is known */
        {100, 0, 100, 200, 1000, 200},    /* up to the most */
        {100, 0, 100, 199, 1000, 100},
        {100, 0, 100, 1000, 100, 200}, /* as far as there is room */
        {100, 0, 100, 1000, 99, 100},
        {1u << 31, 0, 100, UINT32_MAX, SIZE_MAX, 1u << 31},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(yamux_window_next(rows[i].window, rows[i].took, rows[i].rtt, rows[i].most,
                                           rows[i].room),
                         rows[i].next);
    }
}

static void names_are_shared_by_parity(void **state)
{
    (void)state;
    assert_false(yamux_id_is_theirs(0, true));
    assert_false(yamux_id_is_theirs(0, false));
    assert_false(yamux_id_is_theirs(1, true));
    assert_true(yamux_id_is_theirs(2, true));
    assert_true(yamux_id_is_theirs(1, false));
    assert_false(yamux_id_is_theirs(UINT32_MAX - 1, false));
}

static void bytes_of_streams_pay_for_frames(void **state)
{
    (void)state;
    assert_int_equal(yamux_cost(0, 0), 0);
    assert_int_equal(yamux_cost(2, 0), 2 * YAMUX_FRAME_COST);
    assert_int_equal(yamux_cost(2, 10), 2 * YAMUX_FRAME_COST - 10 * LOAD_BYTE);
    assert_int_equal(yamux_cost(1, 83), YAMUX_FRAME_COST - 83 * LOAD_BYTE);
    assert_int_equal(yamux_cost(1, 84), 0);
    assert_int_equal(yamux_cost(1, UINT32_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_doubles_only_when_it_holds_the_sender_up),
        cmocka_unit_test(bytes_of_streams_pay_for_frames),
        cmocka_unit_test(names_are_shared_by_parity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
