/* optext_test.c - the sentence about a refused dial says whose limit it met, and at this node which, and how full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/internal.h"

static void a_refused_dial_says_scope_use_and_limit(void **state)
{
    static const struct {
        struct res_refusal why;
        const char *text;
    } rows[] = {
        {{RES_NODE, RES_LINKS, 8, 8},
         "a limit of this node: 8 of 8 links of this node (links_max) are used"},
        {{RES_INBOUND, RES_LINKS, 6, 6},
         "a limit of this node: 6 of 6 places for links (links_max) are used"},
        {{RES_OUTBOUND, RES_LINKS, 7, 6},
         "a limit of this node: 7 of 6 places for dials of this node (links_max) are used"},
        {{RES_WIDE, RES_LINKS, 10, 10},
         "a limit of this node: 10 of 10 places for links of one wide network (network_share) are "
         "used"},
        {{RES_NETWORK, RES_LINKS, 5, 5},
         "a limit of this node: 5 of 5 places for links of one network (network_share) are used"},
        {{RES_OUTBOUND, RES_DIALS, 30, 30},
         "a limit of this node: 30 of 30 dials at once that others may cause are used"},
        {{RES_PEER, RES_LINKS, 4, 4}, "a limit of this node: 4 of 4 links with this peer are used"},
    };
    struct node_request r = {.kind = NODE_OP_CONNECT};
    char text[200];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        r.refused = resources_pack(&rows[i].why);
        api_op_text(NULL, &r, QUDAG_ELIMIT, 0, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
    r.refused = 0;
    api_op_text(NULL, &r, QUDAG_ELIMIT, 0, text, sizeof(text));
    assert_string_equal(text, "the peer accepts no more links now: a limit of its own");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_dial_says_scope_use_and_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
