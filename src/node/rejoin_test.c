/*
 * rejoin_test.c - peers fell silent: the bootstrap peers are dialled again, and until when they are not.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

/* Node 1, which node 0 has let in. */
static struct node *joined(void)
{
    nt_join(2);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    struct node *n = net.node[1].node;
    n->boot.rejoin_at = TSTAMP_NEVER;
    return n;
}

static void leave_node_0(struct node *n)
{
    struct peer_id gone = net.node[0].peer;

    (void)nt_free(&net, 0);
    swarm_disconnect(n->swarm, &gone, QUDAG_ETIMEOUT, net.now);
    node_drain(n, net.now);
    n->boot.rejoin_at = TSTAMP_NEVER; /* the test says when */
}

static uint64_t dials(const struct node *n)
{
    struct swarm_stats st;

    swarm_stats_get(n->swarm, &st);
    return st.dials;
}

static bool attempt_over(struct nt *nt)
{
    const struct node_boot_state *b = &nt->node[1].node->boot;

    return !b->rejoining && b->rejoin_at != TSTAMP_NEVER;
}

static bool answered(struct nt *nt)
{
    return nt->node[1].node->boot.rejoin_not_before > nt->now;
}

static void silence_has_the_bootstrap_peers_dialled_in_five_seconds(void **state)
{
    (void)state;
    struct node *n = joined();
    leave_node_0(n);
    node_boot_news(n, NODE_NEWS_SILENCE, net.now);
    tstamp at = n->boot.rejoin_at;
    assert_in_range(at - net.now, 3750 * NS_PER_MS, 6250 * NS_PER_MS);
    net.now += NS_PER_S;
    node_drain(n, net.now);
    node_boot_news(n, NODE_NEWS_SILENCE, net.now);
    assert_int_equal(n->boot.rejoin_at,
                     at); /* more of it brings it no nearer, and puts it off no longer */
    assert_false(n->boot.rejoining);
    net.now = at;
    node_tick(n, net.now);
    node_drain(n, net.now);
    assert_true(n->boot.rejoining);
    assert_int_equal(n->boot.dialled, 1);
}

static void whoever_has_no_bootstrap_peers_dials_none(void **state)
{
    (void)state;
    (void)joined();
    struct node *first = net.node[0].node;
    node_boot_news(first, NODE_NEWS_SILENCE, net.now);
    assert_int_equal(first->boot.rejoin_at, TSTAMP_NEVER);
}

static void a_bootstrap_peer_we_have_a_link_to_is_not_dialled(void **state)
{
    (void)state;
    struct node *n = joined();
    uint64_t before = dials(n);
    node_boot_news(n, NODE_NEWS_SILENCE, net.now);
    net.now = n->boot.rejoin_at;
    node_tick(n, net.now);
    node_drain(n, net.now);
    assert_int_equal(dials(n), before);
    assert_false(n->boot.rejoining);
    assert_int_equal(n->boot.rejoin_not_before, 0);
}

static void the_attempts_become_rarer_until_one_is_answered(void **state)
{
    (void)state;
    struct node *n = joined();
    leave_node_0(n);
    node_boot_news(n, NODE_NEWS_SILENCE, net.now);
    for (unsigned i = 0; i < 4; i++) { /* 5, 10, 20, 40 s */
        net.now = n->boot.rejoin_at;
        node_tick(n, net.now);
        assert_true(nt_run(&net, 60 * NS_PER_S, attempt_over));
        uint64_t wait = (5 * NS_PER_S) << i, pause = n->boot.rejoin_at - net.now;
        assert_in_range(pause, wait * 3 / 4, wait * 5 / 4);
    }
    struct node_config c = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    node_start(net.node[0].node);
    net.now = n->boot.rejoin_at;
    node_tick(n, net.now);
    assert_true(nt_run(&net, 60 * NS_PER_S, answered));
    assert_int_equal(n->boot.rejoin_fails, 0);
    tstamp earliest = net.now + 59 * NS_PER_S;
    n->boot.rejoin_at = TSTAMP_NEVER;
    node_boot_news(n, NODE_NEWS_SILENCE, net.now); /* one that worked is not repeated at once */
    assert_true(n->boot.rejoin_at >= earliest && n->boot.rejoin_at != TSTAMP_NEVER);
}

/* The key that the operator has written behind an address holds whoever dials. */
static void the_key_of_a_bootstrap_peer_is_demanded_of_its_own_dials_too(void **state)
{
    (void)state;
    struct multiaddr to;
    nt_network(&net, 1);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    c.boot[0].has_pq = true;
    memset(c.boot[0].pq_hash, 7, sizeof(c.boot[0].pq_hash)); /* not node 0's */
    assert_int_equal(nt_make(&net, 1, &c), QUDAG_OK);
    node_start(net.node[1].node);
    multiaddr_quic(&to, &net.node[1].addr, &net.node[1].peer);
    struct node_request r = {.kind = NODE_OP_CONNECT, .addr = to};
    assert_int_not_equal(nt_ask(&net.node[0], &r), SIZE_MAX);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    uint8_t props;
    assert_false(swarm_connected(net.node[1].node->swarm, &net.node[0].peer, &props));
    assert_int_equal(net.node[1].phase, NODE_FAILED);
    assert_int_equal(net.node[1].phase_err, QUDAG_EAUTH);
}

static bool failed_twice(struct nt *nt)
{
    return nt->node[1].failures >= 2;
}

static void the_right_key_of_a_bootstrap_peer_lets_us_in_after_failures(void **state)
{
    uint8_t onion_id[8];
    (void)state;
    nt_identity(&net, 0);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    c.boot[0].has_pq = true;
    memcpy(c.boot[0].pq_hash, net.node[0].id.pq_hash, sizeof(c.boot[0].pq_hash));
    assert_int_equal(nt_make(&net, 1, &c), QUDAG_OK);
    struct node *n = net.node[1].node;
    node_start(n);
    memcpy(onion_id, n->onion_id, sizeof(onion_id));
    assert_true(nt_run(&net, 300 * NS_PER_S, failed_twice));
    assert_memory_equal(n->onion_id, onion_id, sizeof(onion_id)); /* no other relay each time */
    n->boot.retry_at = net.now - 1;
    assert_int_equal(node_boot_retry_ms(n, net.now), 0); /* due, and not long ago */
    struct node_config first = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &first), QUDAG_OK);
    node_start(net.node[0].node);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    assert_int_equal(n->boot.failures, 0);
}

static void a_clock_set_right_is_a_reason_to_try_at_once(void **state)
{
    (void)state;
    nt_identity(&net, 0);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    assert_int_equal(nt_make(&net, 1, &c), QUDAG_OK);
    struct node *n = net.node[1].node;
    node_start(n);
    (void)nt_run(&net, 900 * NS_PER_S, NULL);
    assert_int_equal(n->boot.phase, NODE_FAILED);
    n->boot.retry_at = net.now + 200 * NS_PER_S;
    node_set_clock(n, (struct wallclock){NT_WALL + 86400, NT_START}, net.now);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(n->boot.phase, NODE_DIAL);
}

static void a_node_that_is_alone_again_starts_over(void **state)
{
    (void)state;
    struct node *n = joined();
    assert_int_equal(net.node[1].failures, 0);
    leave_node_0(n);
    (void)nt_run(&net, 2000 * NS_PER_S, NULL);
    assert_true(net.node[1].failures > 0);
    assert_true(n->boot.phase == NODE_FAILED || n->boot.phase == NODE_DIAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(silence_has_the_bootstrap_peers_dialled_in_five_seconds),
        NT_TEST(whoever_has_no_bootstrap_peers_dials_none),
        NT_TEST(a_bootstrap_peer_we_have_a_link_to_is_not_dialled),
        NT_TEST(the_attempts_become_rarer_until_one_is_answered),
        NT_TEST(the_key_of_a_bootstrap_peer_is_demanded_of_its_own_dials_too),
        NT_TEST(the_right_key_of_a_bootstrap_peer_lets_us_in_after_failures),
        NT_TEST(a_clock_set_right_is_a_reason_to_try_at_once),
        NT_TEST(a_node_that_is_alone_again_starts_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
