/* reach_stats_test.c - what is shown of one thing adds up to it: no event is in two numbers of a family. */
#include "node/reach_stats.h"

#include <cmocka.h>

static void what_is_part_of_a_number_is_not_shown_twice(void **state)
{
    struct node_reach_stats s = {
        .asks = {.asked = 20, .yes = 7, .no = 5, .nothing = 8, .lies = 3},
        .meet = {.allowed = 7, .refused = 4, .direct = {1, 2, 3, 4}, .failed = {5, 6, 7, 8}},
        .dcutr = {.begun = 6, .asked = 9, .direct = 5, .failed = 10, .refused = 2},
    };
    (void)state;

    node_reach_stats_part(&s);
    /* as the families of api/stats_reach.h have them */
    assert_int_equal(s.asks.yes + s.asks.no + s.asks.nothing + s.asks.lies, 20);
    assert_int_equal(s.asks.lies, 3);
    assert_int_equal(s.meet.allowed + s.meet.refused, 11);
    assert_int_equal(s.meet.refused, 4);
    assert_int_equal(s.dcutr.direct + s.dcutr.failed + s.dcutr.refused, 15);
    assert_int_equal(s.dcutr.begun + s.dcutr.asked, 15);
    assert_int_equal(s.meet.direct[3] + s.meet.failed[3], 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_part_of_a_number_is_not_shown_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
