/* meets_test.c - which peers may learn where this node is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/types.h"
#include "node/meets.h"

static void only_peers_that_the_program_named_or_speaks_with_learn_where_we_are(void **state)
{
    static const struct {
        struct node_meets_view v;
        bool may;
    } t[] = {
        {{NODE_MEET_NAMED, false, false}, false}, {{NODE_MEET_NAMED, true, false}, true},
        {{NODE_MEET_NAMED, false, true}, true},   {{NODE_MEET_NAMED, true, true}, true},
        {{NODE_MEET_ANYONE, false, false}, true}, {{NODE_MEET_NO, true, true}, false},
        {{NODE_MEET_NO, false, false}, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(node_rule_meets(&t[i].v), t[i].may);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_peers_that_the_program_named_or_speaks_with_learn_where_we_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
