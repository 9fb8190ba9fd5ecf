/* auth_test.c - whose key is demanded, and which of two did not match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/types.h"
#include "node/auth.h"

static void hashes_of_keys_are_demanded_when_learnt_from_who_may_say_so(void **state)
{
    (void)state;
    assert_int_equal(node_rule_pin(NODE_PIN_OPERATOR), NODE_PIN_TOLD); /* he may have mistyped it */
    assert_int_equal(node_rule_pin(NODE_PIN_DESCRIPTOR), NODE_PIN_HOLDS);
    /* else anybody could lock a peer out */
    assert_int_equal(node_rule_pin(NODE_PIN_HEARSAY), NODE_PIN_IGNORED);
}

static void of_two_keys_that_differ_it_is_said_which(void **state)
{
    static const uint8_t a[32] = {1}, b[32] = {2};
    static const struct {
        struct node_auth_view v;
        enum node_auth want;
    } row[] = {
        {{true, NULL, NULL}, NODE_AUTH_PEER},
        {{true, a, b}, NODE_AUTH_PEER},
        {{false, a, NULL}, NODE_AUTH_NAMED},
        {{false, a, a}, NODE_AUTH_NAMED}, /* and before it was another */
        {{false, a, b}, NODE_AUTH_NAMED_PROVEN},
        {{false, NULL, b}, NODE_AUTH_PROVEN},
        {{false, NULL, NULL}, NODE_AUTH_EXPECTED}, /* it has proved none before */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(node_rule_auth(&row[i].v), row[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_of_keys_are_demanded_when_learnt_from_who_may_say_so),
        cmocka_unit_test(of_two_keys_that_differ_it_is_said_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
