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

#include "node/internal.h"
#include "node/testkit_case.h"

#include <stdlib.h>
#include <string.h>

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

/* What every block held when it was given back: whether |needle| was in one. */
struct freed {
    uint8_t needle[16];
    const uint8_t *at; /* block that the needle was put into */
    size_t wanted, found;
};

static void freed_look(void *ctx, void *p)
{
    struct freed *f = ctx;

    if (f->at != NULL && (const uint8_t *)p < f->at && f->at < (const uint8_t *)p + 4096) {
        f->wanted++;
        f->found += memcmp(f->at, f->needle, sizeof(f->needle)) == 0;
    }
    free(p);
}

static void *plain_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

/* The audit's Low 14: the list of actions holds opened cells, and went back to the allocator as it was. */
static void opened_cells_in_the_list_of_actions_are_wiped_at_the_end(void **state)
{
    struct freed f = {.needle = "opened by a hop"};
    (void)state;
    nt_join(2);
    struct nt_node *t = &net.node[0];
    t->mem.hooks = (struct mem_hooks){&f, plain_alloc, freed_look};
    f.at = t->node->acts.bytes + 1120;
    memcpy(t->node->acts.bytes + 1120, f.needle, sizeof(f.needle));
    assert_int_equal(nt_free(&net, 0), 0);
    assert_int_equal(f.wanted, 1);
    assert_int_equal(f.found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(opened_cells_in_the_list_of_actions_are_wiped_at_the_end),
        NT_TEST(a_program_that_asks_again_at_every_end_does_not_delay_the_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
