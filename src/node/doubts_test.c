/* doubts_test.c - peers with another ML-DSA key than they are known by, where it cannot be asked whether it follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* these before */
#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define PROTO "/test/doubts/1.0.0"

/* Node 0 knows node 1 by another key, and where it is. */
static void two_that_differ(void)
{
    uint8_t other[32] = {7};
    struct multiaddr at;

    for (size_t i = 0; i < 2; i++) {
        struct node_config c = nt_config(&net, i);
        nt_begin(i, &c);
        assert_int_equal(node_serve(net.node[i].node, PROTO), QUDAG_OK);
    }
    multiaddr_quic(&at, &net.node[1].addr, &net.node[1].peer);
    swarm_pin(node_swarm(net.node[0].node), &net.node[1].peer, other);
    swarm_addr_add(node_swarm(net.node[0].node), &net.node[1].peer, &at);
}

static bool is_closed(struct nt *nt)
{
    return nt->node[0].closed > 0;
}

static qudag_err opened(void)
{
    struct ref s;

    net.node[0].closed = 0;
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &s),
                     QUDAG_OK);
    assert_true(nt_run(&net, 10 * NS_PER_S, is_closed));
    return net.node[0].closed_why;
}

static tstamp next_try(void)
{
    return swarm_next_try(node_swarm(net.node[0].node), &net.node[1].peer, net.now);
}

static void what_we_lack_to_ask_is_not_held_against_a_peer(void **state)
{
    (void)state;
    two_that_differ();
    struct successions *s = &net.node[0].node->successions;
    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        s->ask[i].used = true; /* by others, who wait for their answers */
        s->ask[i].due = TSTAMP_NEVER;
    }
    assert_int_equal(opened(), QUDAG_ELIMIT);
    assert_int_equal(next_try(), 0);
    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        s->ask[i].used = false;
    }
    assert_int_equal(opened(), QUDAG_EAUTH); /* it has no statement */
    assert_true(next_try() > 0);
}

static void how_far_a_chain_is_followed_and_what_is_ours(void **state)
{
    const uint8_t a[32] = {1}, b[32] = {2};
    (void)state;
    assert_false(node_rule_doubt_goes_on(a, a, 0));
    assert_true(node_rule_doubt_goes_on(a, b, SUCCESSION_KEPT - 1));
    assert_false(node_rule_doubt_goes_on(a, b, SUCCESSION_KEPT));
    assert_true(node_rule_doubt_ours(QUDAG_ENOMEM));
    assert_true(node_rule_doubt_ours(QUDAG_ECANCELED));
    assert_false(node_rule_doubt_ours(QUDAG_ELIMIT)); /* a peer may say so */
    assert_false(node_rule_doubt_ours(QUDAG_ETIMEOUT));
    assert_false(node_rule_doubt_ours(QUDAG_EAUTH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(what_we_lack_to_ask_is_not_held_against_a_peer),
        cmocka_unit_test(how_far_a_chain_is_followed_and_what_is_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
