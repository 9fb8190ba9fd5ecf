/*
 * simultaneous_test.c - two nodes that dial each other at the same moment, at every offset between them
 * (field trial F1); and a peer that was killed and comes back.  In virtual time, one way 5 ms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/testkit_case.h"
#include "swarm/swarm.h"

#include <stdio.h>

#define ECHO "/echo/1"
#define RTT (10 * NS_PER_MS)
#define STEP (RTT / 20)
#define OFFSETS 81 /* from -2 RTT to +2 RTT */
#define PUTS 2

static bool linked(size_t from, size_t to)
{
    uint8_t props;

    return swarm_connected(node_swarm(net.node[from].node), &net.node[to].peer, &props);
}

static void on_opened(struct nt_node *t, const char *what, struct ref r)
{
    size_t taken;

    if (strcmp(what, "stream_opened") == 0) {
        struct slice s = {(const uint8_t *)"hello", 5};
        assert_int_equal(node_stream_write(t->node, r, s, &taken), QUDAG_OK);
        assert_int_equal(taken, 5);
        node_stream_fin(t->node, r);
    }
}

static void forget(struct nt_node *t)
{
    t->n_asks = 0;
    t->opened = t->closed = 0;
    t->got = 0;
    t->closed_why = QUDAG_OK;
    t->hook = on_opened;
}

/* What node |ix| does at its moment: a ping, a stream and two puts, all of which need the link. */
static void act(size_t ix, unsigned round)
{
    static char key[2][PUTS][32], value[2][PUTS][32];
    struct nt_node *t = &net.node[ix];
    const struct peer_id *other = &net.node[1 - ix].peer;
    struct node_request ping = {.kind = NODE_OP_PING, .peer = *other};
    struct ref s;

    assert_int_not_equal(nt_ask(t, &ping), SIZE_MAX);
    assert_int_equal(node_stream_open_peer(t->node, other, ECHO, &s), QUDAG_OK);
    for (size_t i = 0; i < PUTS; i++) {
        (void)snprintf(key[ix][i], sizeof key[ix][i], "/app/%u-%zu-%zu", round, ix, i);
        (void)snprintf(value[ix][i], sizeof value[ix][i], "value of %u-%zu-%zu", round, ix, i);
        struct node_request put = {.kind = NODE_OP_PUT};
        put.key = (struct slice){(const uint8_t *)key[ix][i], strlen(key[ix][i])};
        put.value = (struct slice){(const uint8_t *)value[ix][i], strlen(value[ix][i])};
        assert_int_not_equal(nt_ask(t, &put), SIZE_MAX);
    }
}

static void all_went_well(size_t ix, const char *when)
{
    const struct nt_node *t = &net.node[ix];

    for (size_t i = 0; i < t->n_asks; i++) {
        if (t->ask[i].ends != 1 || t->ask[i].err != QUDAG_OK) {
            fail_msg("%s: request %zu of node %zu: %u ends, %s", when, i, ix, t->ask[i].ends,
                     qudag_err_name(t->ask[i].err));
        }
        if (i > 0 && t->ask[i].res.count != 2) {
            fail_msg("%s: put %zu of node %zu is with %u nodes", when, i, ix, t->ask[i].res.count);
        }
    }
    if (t->opened != 1 || t->closed_why != QUDAG_OK || t->got != 10) { /* its own and the other's */
        fail_msg("%s: stream of node %zu: opened %u, %s, %zu bytes", when, ix, t->opened,
                 qudag_err_name(t->closed_why), t->got);
    }
}

static void two_nodes_that_dial_each_other_at_once_both_get_through(void **state)
{
    (void)state;
    nt_network(&net, 2);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_all_ready));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(node_serve(net.node[i].node, ECHO), QUDAG_OK);
        net.node[i].echo = true;
    }
    for (unsigned round = 0; round < OFFSETS; round++) {
        int64_t offset = ((int64_t)round - OFFSETS / 2) * (int64_t)STEP;
        size_t first = offset < 0 ? 1 : 0;
        char when[64];
        (void)snprintf(when, sizeof when, "node 1 %lld us after node 0", (long long)offset / 1000);
        do { /* what is under way in the DHT may link them again */
            node_disconnect(net.node[0].node, &net.node[1].peer);
            (void)nt_run(&net, NS_PER_S, NULL);
        } while (linked(0, 1) || linked(1, 0));
        assert_false(linked(0, 1) || linked(1, 0));
        forget(&net.node[0]);
        forget(&net.node[1]);
        act(first, round);
        (void)nt_run(&net, (uint64_t)(offset < 0 ? -offset : offset), NULL);
        act(1 - first, round);
        (void)nt_run(&net, 2 * NS_PER_S, NULL);
        all_went_well(0, when);
        all_went_well(1, when);
        assert_true(linked(0, 1) && linked(1, 0));
        for (size_t i = 0; i < 2; i++) {
            struct swarm_stats st;
            swarm_stats_get(node_swarm(net.node[i].node), &st);
            assert_int_equal(st.dials_refused_backoff, 0);
        }
    }
}

/* Node 1 dies without a word and comes back with its identity, |away| later. */
static void kill_and_restart(uint64_t away)
{
    struct node_config c = nt_config(&net, 1);

    (void)nt_free(&net, 1);
    (void)nt_run(&net, away, NULL);
    nt_boot(&net, &c, 0);
    net.node[1].phase = NODE_START;
    assert_int_equal(nt_make(&net, 1, &c), QUDAG_OK);
    assert_int_equal(node_serve(net.node[1].node, ECHO), QUDAG_OK);
    node_start(net.node[1].node); /* dials node 0 */
}

static bool asked_done(struct nt *nt)
{
    return nt_all_ended(&nt->node[0]);
}

/*
 * A peer that was killed comes back and dials us.  Whenever we ping it, before its death is known, while
 * it is away or when it is back: once its new link stands, the ping ends within the time of a probe (I5).
 */
static void a_peer_that_was_killed_and_dials_again_is_used_at_once(void **state)
{
    static const uint64_t away[] = {0, 100 * NS_PER_MS, 3 * NS_PER_S, 9 * NS_PER_S};
    (void)state;
    nt_network(&net, 2);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_all_ready));
    assert_int_equal(node_serve(net.node[1].node, ECHO), QUDAG_OK);
    net.node[1].echo = true;
    for (size_t i = 0; i < ARRAY_LEN(away); i++) {
        for (unsigned when = 0; when < 6; when++) { /* after its dial began */
            struct nt_node *t = &net.node[0];
            struct node_request ping = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
            t->n_asks = 0;
            kill_and_restart(away[i]);
            (void)nt_run(&net, when * 10 * NS_PER_MS, NULL);
            tstamp began = net.now;
            size_t ask = nt_ask(t, &ping);
            assert_int_not_equal(ask, SIZE_MAX);
            assert_true(nt_run(&net, 60 * NS_PER_S, asked_done));
            uint64_t took = net.now - began;
            assert_true(took <= 2100 * NS_PER_MS); /* two seconds: what a probe may take */
            if (when >= 3) {                       /* the new link stands */
                assert_int_equal(t->ask[ask].err, QUDAG_OK);
                assert_true(took <= 2 * RTT);
            }
            assert_true(nt_run(&net, 120 * NS_PER_S, nt_all_ready));
            (void)nt_run(&net, 5 * NS_PER_S, NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(two_nodes_that_dial_each_other_at_once_both_get_through),
        NT_TEST(a_peer_that_was_killed_and_dials_again_is_used_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
