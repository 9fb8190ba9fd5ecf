/*
 * shutdown_test.c - the end of a node whose program answers every end with something new.
 *
 * TEST: timeout=120
 */
#include "node/testkit_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ECHO "/test/echo/1.0.0"

static struct nt net;

/* How often the program asked again, and what it was answered. */
static struct {
    unsigned count;
    qudag_err request, stream;
} again;

static int setup(void **state)
{
    (void)state;
    nt_init(&net);
    memset(&again, 0, sizeof again);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nt_fini(&net);
    for (size_t i = 0; i < NT_NODES; i++) {
        if (net.node[i].mem.used != 0) {
            return -1;
        }
    }
    return 0;
}

static bool all_ready(struct nt *nt)
{
    return nt->node[0].phase == NODE_READY && nt->node[1].phase == NODE_READY;
}

/* A program that wants its streams and its values come what may. */
static void asks_again(struct nt_node *t, const char *what, struct ref ended)
{
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
    struct ref name;
    (void)ended;

    if (strcmp(what, "op_done") != 0 && strcmp(what, "stream_closed") != 0) {
        return;
    }
    assert_true(++again.count < 1000);
    again.request = node_request(t->node, &r, &name);
    again.stream = node_stream_open_peer(t->node, &net.node[1].peer, ECHO, &name);
}

static void a_program_that_asks_again_at_every_end_does_not_delay_the_shutdown(void **state)
{
    struct node_request r = {.kind = NODE_OP_PING};
    struct ref s;
    (void)state;
    nt_network(&net, 2);
    assert_true(nt_run(&net, 60 * NS_PER_S, all_ready));
    r.peer = net.node[1].peer;
    assert_int_not_equal(nt_ask(&net.node[0], &r), SIZE_MAX);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, ECHO, &s),
                         QUDAG_OK);
    }
    net.node[0].hook = asks_again;
    node_shutdown(net.node[0].node, net.now);
    assert_int_equal(again.count, 4); /* the request and the three streams, each once */
    assert_int_equal(again.request, QUDAG_ESTATE);
    assert_int_equal(again.stream, QUDAG_ESTATE);
    nt_flush(&net, &net.node[0]);
    assert_int_equal(nt_free(&net, 0), 0);
    assert_int_equal(again.count, 4);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_program_that_asks_again_at_every_end_does_not_delay_the_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
