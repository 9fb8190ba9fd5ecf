/* rules_test.c - the rules of the two relays, without their tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rend/rules.h"

/* Of each request: every length up to two more than its own, with FIN and without. */
static void a_request_is_whole_at_its_length_and_nowhere_else(void **state)
{
    static const enum rend_request all[] = {REND_ESTABLISH, REND_INTRODUCE1, REND_WAIT, REND_MEET};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        size_t len = rend_request_len(all[i]);
        bool stays = all[i] == REND_ESTABLISH;
        for (size_t got = 0; got <= len + 2; got++) {
            enum rend_form open = got > len             ? REND_BAD
                                  : got == len && stays ? REND_WHOLE
                                                        : REND_MORE;
            enum rend_form ended = got == len && !stays ? REND_WHOLE : REND_BAD;
            assert_int_equal(rend_request_form(all[i], got, false), open);
            assert_int_equal(rend_request_form(all[i], got, true), ended);
        }
    }
    assert_int_equal(rend_request_form(REND_NO_REQUEST, 0, false),
                     REND_MORE); /* nothing came yet */
    assert_int_equal(rend_request_form(REND_NO_REQUEST, 0, true), REND_BAD);
    assert_int_equal(rend_request_form(REND_NO_REQUEST, 1, false), REND_BAD);
}

static void a_queue_has_room_up_to_its_bound(void **state)
{
    (void)state;
    assert_true(rend_has_room(0, 10, 10));
    assert_false(rend_has_room(0, 11, 10));
    assert_true(rend_has_room(7, 3, 10));
    assert_false(rend_has_room(8, 3, 10));
    assert_false(rend_has_room(11, 0, 10));
    assert_false(rend_has_room(SIZE_MAX, 1, 10));
}

static void whoever_holds_most_gives_way_to_others(void **state)
{
    struct fair_claim holder = {.net = 1, .source = 1, .net_n = 5, .source_n = 5};
    struct fair_claim newcomer = {.net = 2, .source = 2};

    (void)state;
    for (newcomer.net_n = 0; newcomer.net_n < 8; newcomer.net_n++) {
        bool yields = newcomer.net_n < 4;
        assert_int_equal(rend_gives_way(&holder, &newcomer, REND_OLDEST), yields);
        assert_int_equal(rend_gives_way(&holder, &newcomer, REND_NEWEST), yields);
    }
    newcomer.net = 1; /* another source of its network */
    for (newcomer.source_n = 0; newcomer.source_n < 8; newcomer.source_n++) {
        bool yields = newcomer.source_n < 4;
        assert_int_equal(rend_gives_way(&holder, &newcomer, REND_OLDEST), yields);
        assert_int_equal(rend_gives_way(&holder, &newcomer, REND_NEWEST), yields);
    }
    newcomer = holder; /* itself */
    assert_true(rend_gives_way(&holder, &newcomer, REND_OLDEST));
    assert_false(rend_gives_way(&holder, &newcomer, REND_NEWEST));
    newcomer.net = 2; /* the same name in another network is somebody else */
    assert_false(rend_gives_way(&holder, &newcomer, REND_OLDEST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_whole_at_its_length_and_nowhere_else),
        cmocka_unit_test(a_queue_has_room_up_to_its_bound),
        cmocka_unit_test(whoever_holds_most_gives_way_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
