/*
 * ending_test.c - the orderly end: what runs gets its time, nothing new is taken, peers are told.
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

#define ECHO "/test/echo/1.0.0"

static struct {
    unsigned calls;
    struct node_running cut;
    tstamp at;
} done;

static void on_done(void *ctx, const struct node_running *cut)
{
    (void)ctx;
    done.calls++;
    done.cut = *cut;
    done.at = net.now;
}

static bool is_done(struct nt *nt)
{
    (void)nt;
    return done.calls > 0;
}

static void it_ends_when_nothing_runs_or_the_time_is_over(void **state)
{
    (void)state;
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t s = 0; s < 2; s++) {
            const struct node_running run = {r, s};
            assert_int_equal(node_rule_end(&run, 100, 99), r + s == 0);
            assert_true(node_rule_end(&run, 100, 100));
        }
    }
    assert_true(node_rule_end_takes(NODE_OP_DARK_FORGET));
    assert_true(node_rule_end_takes(NODE_OP_UNPUBLISH));
    assert_false(node_rule_end_takes(NODE_OP_PING));
    assert_false(node_rule_end_takes(NODE_OP_PUT));
    assert_false(node_rule_end_takes(NODE_OP_DARK_PUBLISH));
}

/* Node 0 has an open stream to node 1, which answers what it gets. */
static struct ref open_stream(void)
{
    struct ref s;
    memset(&done, 0, sizeof done);
    nt_join(2);
    assert_int_equal(node_serve(net.node[1].node, ECHO), QUDAG_OK);
    assert_int_equal(node_serve(net.node[0].node, ECHO), QUDAG_OK);
    (void)nt_run(&net, NS_PER_S, NULL);
    net.node[1].echo = true;
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, ECHO, &s),
                     QUDAG_OK);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(net.node[0].opened, 1);
    return s;
}

static void what_runs_goes_on_and_nothing_new_is_taken(void **state)
{
    static const uint8_t text[1000] = {7};
    struct node_request ping = {.kind = NODE_OP_PING};
    struct node_running r;
    struct ref other, s = open_stream(), op;
    uint64_t left;
    size_t taken;
    (void)state;

    struct node *n = net.node[0].node;
    tstamp begun = net.now;
    ping.peer = net.node[1].peer;
    node_end_begin(n, 60 * NS_PER_S, on_done, NULL, net.now);
    assert_int_equal(node_end_get(n, &r, &left, net.now), NODE_ENDING);
    assert_int_equal(r.streams, 1);
    assert_int_equal(node_request(n, &ping, &op), QUDAG_ESTATE);
    assert_int_equal(node_stream_open_peer(n, &net.node[1].peer, ECHO, &other), QUDAG_ESTATE);
    assert_int_equal(node_stream_open_peer(net.node[1].node, &net.node[0].peer, ECHO, &other),
                     QUDAG_OK); /* a peer's is refused */
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].ins, 0);
    assert_int_equal(net.node[1].closed, 1);
    assert_int_equal(net.node[1].closed_why, QUDAG_ELIMIT);
    assert_int_equal(done.calls, 0);
    assert_int_equal(node_stream_write(n, s, (struct slice){text, sizeof text}, &taken), QUDAG_OK);
    node_stream_fin(n, s);
    assert_true(nt_run(&net, 20 * NS_PER_S, is_done));
    assert_int_equal(net.node[0].got, sizeof text); /* all of it came back */
    assert_int_equal(done.cut.streams + done.cut.requests, 0);
    assert_true(done.at - begun < 30 * NS_PER_S);
    assert_int_equal(node_end_get(n, &r, &left, net.now), NODE_ENDED);
    uint8_t props;
    (void)nt_run(&net, NS_PER_S, NULL); /* the peer is told, and does not wait for a time-out */
    assert_false(swarm_connected(net.node[1].node->swarm, &net.node[0].peer, &props));
    (void)nt_run(&net, 100 * NS_PER_S, NULL);
    assert_int_equal(done.calls, 1);
    struct swarm_stats st;
    swarm_stats_get(n->swarm, &st);
    assert_int_equal(st.links, 0); /* nor does it join again */
}

static void what_does_not_end_is_cut_off_at_its_time(void **state)
{
    struct ref s = open_stream();
    (void)state;
    (void)s;

    tstamp begun = net.now;
    node_end_begin(net.node[0].node, 30 * NS_PER_S, on_done, NULL, net.now);
    node_end_begin(net.node[0].node, 99 * NS_PER_S, NULL, NULL, net.now); /* never later */
    assert_true(nt_run(&net, 60 * NS_PER_S, is_done));
    assert_int_equal(done.cut.streams, 1);
    assert_true(done.at - begun >= 30 * NS_PER_S && done.at - begun < 31 * NS_PER_S);
    assert_int_equal(net.node[0].closed_why, QUDAG_ECANCELED);
    nt_flush(&net, &net.node[0]);
    assert_int_equal(nt_free(&net, 0), 0);
}

static void the_impatient_need_not_wait(void **state)
{
    struct ref s = open_stream();
    (void)state;
    (void)s;

    node_end_begin(net.node[0].node, 30 * NS_PER_S, on_done, NULL, net.now);
    (void)nt_run(&net, NS_PER_S, NULL);
    node_end_begin(net.node[0].node, 0, on_done, NULL, net.now);
    assert_true(nt_run(&net, NS_PER_S, is_done));
    assert_int_equal(done.cut.streams, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_when_nothing_runs_or_the_time_is_over),
        NT_TEST(what_runs_goes_on_and_nothing_new_is_taken),
        NT_TEST(what_does_not_end_is_cut_off_at_its_time),
        NT_TEST(the_impatient_need_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
