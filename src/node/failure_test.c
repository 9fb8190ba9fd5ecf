/*
 * failure_test.c - nodes that run out of memory, or are ended, at every point of their life.
 *
 * A small network lives through joining, values, streams, a circuit and a dark address.  Whatever
 * fails and whenever it ends: no crash, every request ends once, every byte is given back.
 *
 * TEST: timeout=300
 */
#include "node/testkit_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ECHO "/test/echo/1.0.0"
#define NODES 5

static struct nt net;

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

/* Some of these are refused where memory is short; the rest must end. */
static void ask_for_everything(size_t ix)
{
    struct nt_node *t = &net.node[ix];
    struct dark_addr addr;
    struct ref s;
    struct node_request r[] = {
        {.kind = NODE_OP_PUT, .key = text("/app/k"), .value = text("v")},
        {.kind = NODE_OP_GET, .key = text("/app/k")},
        {.kind = NODE_OP_CLOSEST, .key = text("anything")},
        {.kind = NODE_OP_PROVIDE, .key = text("0123456789")},
        {.kind = NODE_OP_PROVIDERS, .key = text("0123456789")},
        {.kind = NODE_OP_FIND_PEER, .peer = net.node[1].peer},
        {.kind = NODE_OP_PING, .peer = net.node[0].peer},
        {.kind = NODE_OP_CIRCUIT, .hops = 3},
        {.kind = NODE_OP_CONNECT},
    };

    multiaddr_quic(&r[ARRAY_LEN(r) - 1].addr, &net.node[2].addr, NULL);
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        (void)nt_ask(t, &r[i]);
    }
    if (node_dark_create(t->node, &nt_direct, "", net.now, &addr) == QUDAG_OK) {
        struct node_request publish = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
        (void)nt_ask(t, &publish);
        if (net.node[3].node != NULL) {
            qudag_err err = nt_open_dark(net.node[3].node, &addr, ECHO, &s);
            assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
        }
    }
    if (node_stream_open_peer(t->node, &net.node[0].peer, ECHO, &s) == QUDAG_OK) {
        node_stream_fin(t->node, s);
    }
}

static void begin(void)
{
    nt_init(&net);
    nt_network(&net, NODES);
    net.node[0].echo = true;
    assert_int_equal(node_serve(net.node[0].node, ECHO), QUDAG_OK);
}

static void finish(void)
{
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(nt_free(&net, i), 0);
        assert_true(nt_all_ended(&net.node[i]));
    }
    nt_fini(&net);
}

/* |end| steps, asking for everything at step |at|. */
static uint64_t live(uint64_t at, uint64_t end)
{
    begin();
    net.steps_max = at;
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    ask_for_everything(4);
    net.steps_max = end;
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    uint64_t steps = net.steps;
    finish();
    return steps;
}

static void a_network_may_end_after_any_event(void **state)
{
    (void)state;
    for (uint64_t end = 1; end < 1500; end += end < 40 ? 3 : end / 6) {
        (void)live(end / 2 + 1, end + 1);
    }
}

static void farewells_are_said_at_any_point(void **state)
{
    (void)state;
    for (uint64_t end = 5; end < 800; end = end * 2) {
        begin();
        net.steps_max = end;
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        ask_for_everything(4);
        node_shutdown(net.node[4].node, net.now);
        nt_flush(&net, &net.node[4]);
        struct swarm_stats st;
        swarm_stats_get(node_swarm(net.node[4].node), &st);
        assert_int_equal(st.links, 0);
        finish();
    }
}

static void a_node_is_made_or_not_whatever_allocation_fails(void **state)
{
    (void)state;
    qudag_err err = QUDAG_ENOMEM;
    nt_init(&net);
    for (uint64_t k = 1; err != QUDAG_OK; k++) {
        struct node_config c = nt_config(&net, 0);
        nt_identity(&net, 0);
        net.node[0].mem.fail_at = k;
        err = nt_make(&net, 0, &c);
        assert_true(k < 5000);
        if (err != QUDAG_OK) {
            assert_int_equal(err, QUDAG_ENOMEM);
            assert_int_equal(net.node[0].mem.used, 0);
        }
    }
    net.node[0].mem.fail_at = 0;
    nt_fini(&net);
}

static void one_failed_allocation_never_breaks_a_node(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 6000; k += k < 30 ? 3 : k / 8) {
        begin();
        net.steps_max = 60;
        net.node[4].mem.fail_at = k;
        (void)nt_run(&net, 120 * NS_PER_S, NULL);
        ask_for_everything(4);
        net.steps_max = 0;
        (void)nt_run(&net, 150 * NS_PER_S, NULL);
        assert_true(nt_all_ended(&net.node[4])); /* within the longest timeout */
        net.node[4].mem.fail_at = 0;
        finish();
    }
}

static void a_node_with_hardly_any_memory_goes_on(void **state)
{
    (void)state;
    for (size_t spare = 1000; spare < 600000; spare = spare * 3) {
        begin();
        net.node[4].mem.max = net.node[4].mem.used + spare;
        net.steps_max = 200;
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        ask_for_everything(4);
        net.steps_max = 2000;
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        net.node[4].mem.max = 0; /* there is memory again: it joins after all */
        net.steps_max = 0;
        (void)nt_run(&net, 700 * NS_PER_S, NULL);
        assert_int_equal(net.node[4].phase, NODE_READY);
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_made_or_not_whatever_allocation_fails),
        cmocka_unit_test(a_network_may_end_after_any_event),
        cmocka_unit_test(farewells_are_said_at_any_point),
        cmocka_unit_test(one_failed_allocation_never_breaks_a_node),
        cmocka_unit_test(a_node_with_hardly_any_memory_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
