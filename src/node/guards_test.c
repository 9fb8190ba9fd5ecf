/*
 * guards_test.c - guards between whole nodes: others are asked while one is silent; our own network was away.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define NODES 5

/* Node 0, quiet for a minute; its first guard. */
static struct relays_guard *quiet(struct node **n)
{
    nt_join(NODES);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    *n = net.node[0].node;
    assert_true((*n)->relays->n_guards > 0);
    return (*n)->relays->guard[0];
}

static size_t ix_of_peer(const struct peer_id *peer)
{
    size_t ix = 1;
    while (ix < NODES && !peer_id_eq(&net.node[ix].peer, peer)) {
        ix++;
    }
    assert_true(ix < NODES);
    return ix;
}

/* The host of |g| is gone; when. */
static tstamp dies(struct node *n, const struct relays_guard *g)
{
    struct peer_id peer = g->x.hop.peer;

    (void)nt_free(&net, ix_of_peer(&peer));
    swarm_disconnect(n->swarm, &peer, QUDAG_ETIMEOUT, net.now);
    node_drain(n, net.now);
    assert_true(g->failing);
    return net.now;
}

/* A node that asks nothing would take its own network for what was away, and wait for a dead guard. */
static void a_guard_that_falls_silent_has_others_asked(void **state)
{
    struct node *n;
    struct relays_guard *g = quiet(&n);
    tstamp failed = dies(n, g);
    (void)state;
    assert_true(n->guards.ask_others || n->guards.asking); /* with the next turn */
    (void)nt_run(&net, 2 * NS_PER_S, NULL); /* before the bootstrap peers are dialled again */
    assert_false(n->guards.asking);
    assert_true(n->relays->heard_at > failed);
}

/* The interface was down for 20 s: the pause of a guard that failed meanwhile ends with the first link. */
static void guards_are_tried_at_once_when_the_first_link_is_back(void **state)
{
    struct node *n;
    struct relays_guard *g = quiet(&n);
    (void)state;
    for (size_t ix = 1; ix < NODES; ix++) {
        node_disconnect(n, &net.node[ix].peer);
    }
    node_drain(n, net.now);
    assert_int_equal(n->links.peers, 0);
    assert_true(n->links.gone_at > 0);
    g->failing = true;
    g->x.failures = 5;
    g->failed_at = net.now;
    g->x.usable = net.now + 1000 * NS_PER_S;
    struct node_request r = {.kind = NODE_OP_PING,
                             .peer = net.node[ix_of_peer(&g->x.hop.peer) % 4 + 1].peer};
    assert_int_not_equal(nt_ask(&net.node[0], &r), SIZE_MAX);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    assert_true(n->links.peers > 0);
    assert_true(g->x.usable <= net.now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_guard_that_falls_silent_has_others_asked),
        NT_TEST(guards_are_tried_at_once_when_the_first_link_is_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
