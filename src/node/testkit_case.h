/*
 * testkit_case.h - one network for each test of a file: made before it, ended and counted after it.  Include
 * cmocka.h before.
 */
#ifndef QUDAG_SRC_NODE_TESTKIT_CASE_H
#define QUDAG_SRC_NODE_TESTKIT_CASE_H

#include "node/testkit_net.h"

static struct nt net;

static inline int nt_setup(void **state)
{
    (void)state;
    nt_init(&net);
    return 0;
}

/* Fails when a node that is gone did not return all its memory. */
static inline int nt_teardown(void **state)
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

#define NT_TEST(name) cmocka_unit_test_setup_teardown(name, nt_setup, nt_teardown)

/* Nodes 0 to |n| - 1, ready. */
static inline void nt_join(size_t n)
{
    nt_network(&net, n);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
}

/* Makes node |ix| and starts it. */
static inline void nt_begin(size_t ix, struct node_config *c)
{
    assert_int_equal(nt_make(&net, ix, c), QUDAG_OK);
    node_start(net.node[ix].node);
}

/*
 * Makes node |ix|, of the public network 20+ix.1/16, and starts it; it knows node 0 from there.  |nat|: its socket has
 * a private address.
 */
static inline void nt_begin_public(size_t ix, struct node_config *c, bool nat)
{
    struct nt_node *t = &net.node[ix];
    struct netaddr inside = {.family = 4, .ip = {192, 168, 1, 7}, .port = 4001};
    struct multiaddr ma;

    nt_identity(&net, ix);
    t->addr = (struct netaddr){.family = 4, .ip = {(uint8_t)(20 + ix), 1, 0, 1}, .port = 4001};
    c->identity = &t->id;
    c->lab = false;
    if (ix > 0) {
        nt_boot(&net, c, 0);
    }
    assert_int_equal(nt_make(&net, ix, c), QUDAG_OK);
    multiaddr_quic(&ma, nat ? &inside : &t->addr, NULL);
    node_set_addrs(t->node, &ma, 1);
    node_start(t->node);
}

#endif
