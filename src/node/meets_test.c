/* meets_test.c - which peers may learn where this node is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/types.h"
#include "node/internal.h"
#include "node/meets.h"
#include "node/testkit_case.h"

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

/* A peer that the program kept and has let go is one of many again. */
static void a_peer_is_named_as_long_as_it_is_kept(void **state)
{
    struct node_config c = nt_config(&net, 0);
    struct peer_id other;
    uint8_t pk[32] = {7};
    (void)state;

    nt_begin(0, &c);
    struct node *n = net.node[0].node;
    struct node_kept *k = &n->keeping.v[KEEP_MAX - 1];
    peer_id_from_ed25519(&k->peer, pk);
    pk[0] = 8;
    peer_id_from_ed25519(&other, pk);
    assert_true(node_may_meet(n, &k->peer));
    assert_false(node_may_meet(n, &other));
    k->released = true;
    assert_false(node_may_meet(n, &k->peer));
    *k = (struct node_kept){.released = false};
}

/* Who does not want to be reached dials nobody back, and so shows no address of its own. */
static void who_is_not_to_be_reached_dials_nobody_back(void **state)
{
    static const enum node_reachable setting[] = {NODE_REACHABLE_NO, NODE_REACHABLE_YES};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(setting); i++) {
        struct node_config c = nt_config(&net, i);
        c.reachable = setting[i];
        nt_begin(i, &c);
        struct node *n = net.node[i].node;
        struct multiaddr own;
        multiaddr_quic(&own, &net.node[i].addr, NULL);
        node_set_announced(n, &own, 1);
        (void)nt_run(&net, NS_PER_S, NULL);
        assert_true(n->reach.view.serves);
        assert_int_equal(node_dials_back(n), setting[i] == NODE_REACHABLE_YES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_peers_that_the_program_named_or_speaks_with_learn_where_we_are),
        NT_TEST(a_peer_is_named_as_long_as_it_is_kept),
        NT_TEST(who_is_not_to_be_reached_dials_nobody_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
