/*
 * public_test.c - whole nodes outside a laboratory, each in a public network of its own, with wildcard
 * sockets and so with loopback and private addresses beside the public one, or behind a NAT without any.
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

#define NODES 7

/* Node |ix| in the network 20+ix.1/16, as a wildcard socket sees itself there; |nat|: not the public address. */
static void make(size_t ix, bool nat)
{
    struct nt_node *t = &net.node[ix];
    struct node_config c = nt_config(&net, ix);
    struct netaddr a[] = {{.family = 4, .ip = {127, 0, 0, 1}, .port = 4001},
                          {.family = 4, .ip = {172, 17, 0, 1}, .port = 4001},
                          {.family = 4, .ip = {192, 168, 1, 7}, .port = 4001},
                          {0}};
    struct multiaddr ma[ARRAY_LEN(a)];

    nt_identity(&net, ix);
    t->addr = (struct netaddr){.family = 4, .ip = {(uint8_t)(20 + ix), 1, 0, 1}, .port = 4001};
    a[3] = t->addr;
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        multiaddr_quic(&ma[i], &a[i], NULL);
    }
    c.identity = &t->id;
    c.lab = false;
    if (ix > 0) {
        nt_boot(&net, &c, 0);
    }
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    node_set_addrs(t->node, ma, nat ? 3 : 4);
    node_start(t->node);
}

static bool ended(struct nt *nt)
{
    return nt_all_ended(&nt->node[NODES - 1]);
}

/* Asks for a circuit until there are relays enough for one, a minute at most. */
static qudag_err circuit(void)
{
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    size_t a = nt_ask(&net.node[NODES - 1], &r);

    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, 60 * NS_PER_S, ended));
    return net.node[NODES - 1].ask[a].err;
}

static bool tells(const struct nt_node *t, const struct netaddr *only)
{
    struct multiaddr want, got;
    size_t it = 0;

    multiaddr_quic(&want, only, NULL);
    return node_announced_next(t->node, &it, &got) && multiaddr_eq(&got, &want) &&
           !node_announced_next(t->node, &it, &got);
}

/* Audit C1: every relay announced 127.0.0.1 and docker's 172.17.0.1, so all seemed to be of one network. */
static void wildcard_sockets_tell_their_public_address_and_circuits_are_built(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        make(i, false);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    for (size_t i = 0; i < NODES; i++) {
        assert_true(tells(&net.node[i], &net.node[i].addr));
    }
    assert_int_equal(circuit(), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 1}; /* one relay would know all */
    size_t a = nt_ask(&net.node[NODES - 1], &r);
    assert_true(nt_run(&net, 60 * NS_PER_S, ended));
    assert_int_equal(net.node[NODES - 1].ask[a].err, QUDAG_EINVAL);
}

static void a_node_behind_a_nat_learns_its_address_from_its_peers(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        make(i, i == 3);
    }
    size_t it = 0;
    struct multiaddr none;
    assert_false(node_announced_next(net.node[3].node, &it, &none)); /* nobody has told it yet */
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_true(tells(&net.node[3], &net.node[3].addr));
    assert_int_equal(circuit(), QUDAG_OK);
}

/* With too few peers to believe, nothing is announced; the node is of use to itself all the same. */
static void a_node_that_does_not_know_its_address_announces_nothing(void **state)
{
    size_t it = 0;
    struct multiaddr none;
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        make(i, i == 3);
    }
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_false(node_announced_next(net.node[3].node, &it, &none));
    assert_int_equal(net.node[3].phase, NODE_READY);
    for (size_t i = 0; i < 3; i++) { /* nobody holds a descriptor of it */
        assert_int_equal(relays_count(net.node[i].node->relays), 2);
    }
}

/* Six relays hide nobody: without a word of the user no circuit is built. */
static void a_small_network_is_used_only_by_those_who_accept_that(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        make(i, false);
    }
    struct node *n = net.node[NODES - 1].node;
    uint32_t lookups;
    assert_int_equal(node_anonymity_get(n, net.now, &lookups), NODE_ANONYMITY_NOT_YET);
    assert_int_equal(lookups, 0);
    node_set_small_network(n, false);
    assert_int_equal(circuit(), QUDAG_ESMALLNET); /* said once the network is known */
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_false(node_small_network_accepted(n));
    assert_int_equal(circuit(), QUDAG_ESMALLNET);
    node_set_small_network(n, true);
    assert_int_equal(circuit(), QUDAG_OK);
    assert_int_equal(node_anonymity_get(n, net.now, &lookups), NODE_ANONYMITY_SMALL);
    assert_in_range(lookups, RELAYS_VIEW_LOOKUPS, 1000);
}

/* Another network: what the old address carried is made anew at once, not after the idle timeout. */
static void a_node_with_another_address_has_circuits_again_within_seconds(void **state)
{
    struct nt_node *t = &net.node[NODES - 1];
    struct netaddr have[] = {{.family = 4, .ip = {127, 0, 0, 1}},
                             {.family = 4, .ip = {99, 1, 0, 1}}};
    struct swarm_moved m = {.have = have, .n_have = ARRAY_LEN(have)};
    struct swarm_stats st;
    struct multiaddr ma;
    (void)state;

    for (size_t i = 0; i < NODES; i++) {
        make(i, false);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(circuit(), QUDAG_OK);
    have[1].port = t->addr.port;
    t->addr = have[1];
    multiaddr_quic(&ma, &t->addr, NULL);
    node_set_addrs(t->node, &ma, 1);
    tstamp then = net.now;
    node_moved(t->node, &m, net.now);
    assert_int_equal(circuit(), QUDAG_OK);
    assert_true(net.now - then < 3 * NS_PER_S);
    swarm_stats_get(t->node->swarm, &st);
    assert_int_not_equal(st.links_moved, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(wildcard_sockets_tell_their_public_address_and_circuits_are_built),
        NT_TEST(a_node_behind_a_nat_learns_its_address_from_its_peers),
        NT_TEST(a_node_that_does_not_know_its_address_announces_nothing),
        NT_TEST(a_small_network_is_used_only_by_those_who_accept_that),
        NT_TEST(a_node_with_another_address_has_circuits_again_within_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
