/*
 * reach_net_test.c - whole nodes that find out whether others can dial them, each in a public network of its own.
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
#define IT (NODES - 1) /* the node that is looked at */

static void make_others(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct node_config c = nt_config(&net, i);
        nt_begin_public(i, &c, false);
    }
}

static size_t announced(size_t ix)
{
    struct multiaddr m;
    size_t it = 0;

    while (node_announced_next(net.node[ix].node, &it, &m)) {
    }
    return it;
}

static struct reach_addr its_address(size_t ix)
{
    struct multiaddr want;
    struct reach_addr a = {.source = REACH_SOURCES};

    multiaddr_quic(&want, &net.node[ix].addr, NULL);
    for (size_t it = 0; node_reach_addr_next(net.node[ix].node, &it, &a);) {
        if (multiaddr_eq(&a.addr, &want)) {
            return a;
        }
    }
    return (struct reach_addr){.source = REACH_SOURCES};
}

static bool it_knows(struct nt *nt)
{
    return nt->node[IT].node->reach.view.ip4.state != REACH_UNKNOWN;
}

/* What a peer was told of it: whether it lists |proto|. */
static bool lists(size_t by, const char *proto)
{
    const char *agent, *protocols;

    return node_peer_agent(net.node[by].node, &net.node[IT].peer, &agent, &protocols) &&
           strstr(protocols, proto) != NULL;
}

static void who_can_be_dialled_learns_it_and_dials_others_back(void **state)
{
    struct node_config c = nt_config(&net, IT);
    (void)state;

    make_others(NODES - 1);
    nt_begin_public(IT, &c, true);
    assert_int_equal(announced(IT), 0);
    assert_true(nt_run(&net, 120 * NS_PER_S, it_knows));
    assert_int_equal(announced(IT), 1);
    struct reach_addr a = its_address(IT);
    assert_int_equal(a.verdict, REACH_CONFIRMED);
    assert_int_equal(a.source, REACH_OBSERVED);
    assert_int_equal(a.confirmed, REACH_AGREE);
    const struct node *n = net.node[IT].node;
    assert_int_equal(n->autonat->client.stats.yes, REACH_AGREE);
    assert_int_equal(n->autonat->client.stats.lies, 0);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_true(lists(0, AUTONAT_REQUEST_PROTOCOL));
    assert_true(node_dials_back(n));
    uint64_t dialled = 0;
    for (size_t i = 0; i < NODES - 1; i++) {
        const struct node *o = net.node[i].node;
        struct link_info link;
        size_t links = 0;
        for (size_t it = 0; swarm_peer_link_next(o->swarm, &net.node[IT].peer, &it, &link);) {
            links++;
        }
        assert_in_range(links, 0, 1); /* dial-backs are no links of the node */
        assert_int_equal(net.node[i].n_extra, 0);
        dialled += o->autonat->server.stats.dialled_ok;
    }
    assert_true(dialled >= REACH_AGREE);
    (void)nt_run(&net, 400 * NS_PER_S, NULL);
    for (size_t i = 0; i < NODES; i++) {
        assert_null(net.node[i].node->dialback); /* gone again while nobody asks */
    }
}

/* A public address, and a firewall before it: what the socket says is not what others find. */
static void who_sits_behind_a_firewall_serves_nobody(void **state)
{
    struct node_config c = nt_config(&net, IT);
    (void)state;

    make_others(NODES - 1);
    net.node[IT].guarded = true;
    nt_begin_public(IT, &c, false);
    assert_int_equal(announced(IT), 1); /* until it is refuted */
    assert_true(nt_run(&net, 300 * NS_PER_S, it_knows));
    const struct reach_view *v = node_reach(net.node[IT].node);
    assert_int_equal(v->ip4.state, REACH_PRIVATE);
    assert_true(v->all_private && v->needs_places && !v->serves);
    assert_int_equal(announced(IT), 0);
    assert_int_equal(its_address(IT).verdict, REACH_REFUTED);
    assert_false(node_serves_dht(net.node[IT].node));
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_false(lists(0, kad_protocol(net.node[IT].node->kad)));
    assert_false(lists(0, AUTONAT_REQUEST_PROTOCOL));
    struct node_status st;
    node_status_get(net.node[IT].node, &st);
    assert_int_equal(st.announced_at, 0);
    net.node[IT].guarded = false; /* the firewall is opened: in the end it is found out */
    (void)nt_run(&net, 2 * 3600 * NS_PER_S, NULL);
    assert_int_equal(its_address(IT).verdict, REACH_CONFIRMED);
    assert_int_equal(announced(IT), 1);
    assert_true(lists(0, kad_protocol(net.node[IT].node->kad)));
}

/* With too few networks to ask nothing that is only seen is announced. */
static void three_networks_are_no_proof(void **state)
{
    struct node_config c = nt_config(&net, IT);
    (void)state;

    make_others(REACH_AGREE - 1);
    nt_begin_public(IT, &c, true);
    (void)nt_run(&net, 300 * NS_PER_S, NULL);
    assert_int_equal(its_address(IT).confirmed, REACH_AGREE - 1);
    assert_int_equal(its_address(IT).verdict, REACH_UNTRIED);
    assert_int_equal(announced(IT), 0);
}

static void who_only_uses_circuits_tells_nobody_where_it_is(void **state)
{
    struct node_config c = nt_config(&net, IT);
    (void)state;

    make_others(NODES - 1);
    c.relay = c.dht_server = false;
    nt_begin_public(IT, &c, false);
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    const struct node *n = net.node[IT].node;
    assert_false(n->wants.announce || n->wants.probe);
    assert_int_equal(n->identify.self.n_addrs, 0);
    assert_int_equal(n->autonat->client.stats.asked, 0);
    assert_false(lists(0, AUTONAT_BACK_PROTOCOL));
    assert_int_equal(node_serve(net.node[IT].node, "/x/1"),
                     QUDAG_OK); /* now peers are to find it */
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    assert_true(n->wants.announce && n->wants.places);
    assert_int_equal(n->identify.self.n_addrs, 1);
    assert_true(n->autonat->client.stats.yes >= REACH_AGREE);
}

/* Set so, it tells nobody of its addresses, and answers nobody in the DHT. */
static void who_is_not_to_be_reached_announces_nothing(void **state)
{
    struct node_config c = nt_config(&net, IT);
    (void)state;

    make_others(3);
    c.reachable = NODE_REACHABLE_NO;
    nt_begin_public(IT, &c, false);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(announced(IT), 0);
    assert_false(node_serves_dht(net.node[IT].node));
    assert_int_equal(net.node[IT].node->autonat->client.stats.asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(who_can_be_dialled_learns_it_and_dials_others_back),
        NT_TEST(who_sits_behind_a_firewall_serves_nobody),
        NT_TEST(three_networks_are_no_proof),
        NT_TEST(who_only_uses_circuits_tells_nobody_where_it_is),
        NT_TEST(who_is_not_to_be_reached_announces_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
