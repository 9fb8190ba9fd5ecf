/* allowed_test.c - peers that the program allows to send to it over links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

static struct peer_id somebody(size_t k)
{
    uint8_t key[32] = {(uint8_t)k, (uint8_t)(k >> 8), 7};
    struct peer_id p;

    peer_id_from_ed25519(&p, key);
    return p;
}

static void peers_are_allowed_until_they_are_not(void **state)
{
    struct node_config c = nt_config(&net, 0);
    struct peer_id a = somebody(1), b = somebody(2), nobody = {.len = 0};
    (void)state;

    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    struct node *n = net.node[0].node;
    assert_false(node_allows(n, &a));
    assert_int_equal(node_disallow(n, &a), QUDAG_ENOTFOUND);
    assert_int_equal(node_allow(n, &nobody), QUDAG_EINVAL);
    assert_int_equal(node_allow(n, &net.node[0].peer), QUDAG_EINVAL);
    assert_int_equal(node_allow(n, &a), QUDAG_OK);
    assert_int_equal(node_allow(n, &a), QUDAG_OK);
    assert_int_equal(node_allow(n, &b), QUDAG_OK);
    assert_int_equal(node_allowed_n(n), 2);
    assert_true(node_allows(n, &a) && node_allows(n, &b));
    assert_true(node_meets_named(n, &a) && node_may_meet(n, &a)); /* a birthday in full */
    assert_int_equal(node_disallow(n, &a), QUDAG_OK);
    assert_false(node_allows(n, &a));
    assert_true(node_allows(n, &b));
    assert_non_null(node_allowed_at(n, 0));
    assert_null(node_allowed_at(n, 1));
    for (size_t k = 1; k < NODE_ALLOWED_MAX; k++) {
        struct peer_id p = somebody(100 + k);
        assert_int_equal(node_allow(n, &p), QUDAG_OK);
    }
    assert_int_equal(node_allow(n, &a), QUDAG_ELIMIT);
    assert_int_equal(node_allow(n, &b), QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {NT_TEST(peers_are_allowed_until_they_are_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
