/*
 * shutdown_test.c - the end of a node whose program answers every end with something new.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/testkit_case.h"

#define ECHO "/test/echo/1.0.0"

/* How often the program asked again, and what it was answered. */
static struct {
    unsigned count;
    qudag_err request, stream;
} again;

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
    nt_join(2);
    memset(&again, 0, sizeof again);
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
    const struct CMUnitTest tests[] = {
        NT_TEST(a_program_that_asks_again_at_every_end_does_not_delay_the_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
