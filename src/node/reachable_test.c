/* reachable_test.c - what is wanted of being reachable, by what the node does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/reachable.h"

#define A NODE_REACHABLE_AUTO
#define Y NODE_REACHABLE_YES
#define N NODE_REACHABLE_NO

static void what_is_wanted_follows_from_what_is_served(void **state)
{
    static const struct {
        struct node_wants_of of; /* setting, relay, DHT, circuit relay, peers, lab */
        struct node_wants wants; /* announce, probe, map, places, publish */
    } row[] = {
        {{A, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}}, /* only uses circuits */
        {{A, 1, 0, 0, 0, 0}, {1, 1, 1, 0, 0}}, /* serves, but nobody looks for it by name */
        {{A, 0, 1, 0, 0, 0}, {1, 1, 1, 0, 0}}, {{A, 0, 0, 1, 0, 0}, {1, 1, 1, 0, 0}},
        {{A, 0, 0, 0, 1, 0}, {1, 1, 1, 1, 1}}, {{A, 1, 1, 1, 1, 0}, {1, 1, 1, 1, 1}},
        {{A, 0, 0, 0, 0, 1}, {1, 0, 0, 0, 0}}, {{A, 1, 1, 1, 1, 1}, {1, 0, 0, 0, 0}},
        {{Y, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1}}, {{Y, 0, 0, 0, 0, 1}, {1, 1, 1, 1, 1}},
        {{N, 1, 1, 1, 1, 0}, {0, 0, 0, 0, 0}}, {{N, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct node_wants w = node_rule_wants(&row[i].of);
        assert_int_equal(w.announce, row[i].wants.announce);
        assert_int_equal(w.probe, row[i].wants.probe);
        assert_int_equal(w.map, row[i].wants.map);
        assert_int_equal(w.places, row[i].wants.places);
        assert_int_equal(w.publish, row[i].wants.publish);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wanted_follows_from_what_is_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
