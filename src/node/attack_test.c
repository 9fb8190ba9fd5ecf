/* attack_test.c - whole nodes under the attacks of the audit: honest work goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/onion/admission.h"
#include "node/internal.h"
#include "node/testkit_case.h"

static qudag_err ask(size_t ix, const struct node_request *r)
{
    struct nt_node *t = &net.node[ix];
    size_t a = nt_ask(t, r);

    assert_int_not_equal(a, SIZE_MAX);
    (void)nt_run(&net, 120 * NS_PER_S, nt_asked_ended);
    assert_int_equal(t->ask[a].ends, 1);
    return t->ask[a].err;
}

/* Two nodes with room for more circuits than a link has streams. */
static void two_nodes(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct node_config c = nt_config(&net, i);
        c.circuits_max = 4096;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        nt_begin(i, &c);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 30 * NS_PER_S, NULL); /* each knows the other as a relay */
}

/* A circuit of one hop that nothing is sent on. */
static void idle_circuit(struct node *n, const struct onion_hop *to)
{
    struct ref c;
    qudag_err err = onion_build(n->onion, to, 1, net.now, node_begin(n), &c);

    node_end(n, n->ix.onion);
    assert_int_equal(err, QUDAG_OK);
    node_drain(n, net.now);
}

static uint32_t ends_at(size_t ix)
{
    struct onion_stats st;

    onion_stats_get(node_onion(net.node[ix].node), &st);
    return st.circuits_end;
}

/* The audit's H5: 240 idle circuits cut two relays off from each other, DHT included. */
static void idle_circuits_leave_the_dht_its_streams(void **state)
{
    struct node *n;
    struct onion_hop to;
    struct relays_path_want want = {.n = 1};

    (void)state;
    two_nodes();
    n = net.node[0].node;
    assert_int_equal(relays_path(n->relays, &want, net.now, &to), QUDAG_OK);
    assert_true(peer_id_eq(&to.peer, &net.node[1].peer));
    n->core[n->ix.onion].report = NULL; /* it would close circuits that nobody asked for */
    for (int i = 0; i < 2200; i++) {    /* more than the link has streams */
        idle_circuit(n, &to);
        (void)nt_run(&net, 2 * NS_PER_MS, NULL);
    }
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_true(ends_at(1) > 240);
    assert_true(ends_at(1) <= ONION_LINK_OUT_MAX);
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask(0, &r), QUDAG_OK);
    }
    r = (struct node_request){.kind = NODE_OP_FIND_PEER, .peer = net.node[1].peer};
    assert_int_equal(ask(0, &r), QUDAG_OK);
    r.peer = net.node[0].peer;
    assert_int_equal(ask(1, &r), QUDAG_OK); /* and back */
}

/* A peer without a network of its own that dials node 0; what came of it. */
static qudag_err dial_zero(size_t ix)
{
    struct node_config c = nt_config(&net, ix);
    struct node_request r = {.kind = NODE_OP_CONNECT};

    c.relay = c.dht_server = false;
    nt_begin(ix, &c);
    multiaddr_quic(&r.addr, &net.node[0].addr, &net.node[0].peer);
    return ask(ix, &r);
}

static uint32_t links_of(size_t ix)
{
    struct swarm_stats st;

    swarm_stats_get(node_swarm(net.node[ix].node), &st);
    return st.links;
}

/* Eight strangers from one address filled links_max = 8, and our own dials were refused for good. */
static void strangers_leave_room_for_our_own_dials(void **state)
{
    struct node_config c = nt_config(&net, 0);
    struct node_request r = {.kind = NODE_OP_CONNECT};
    unsigned taken = 0, refused = 0;
    (void)state;

    c.links_max = 8;
    nt_begin(0, &c);
    for (size_t i = 1; i <= 8; i++) {
        qudag_err err = dial_zero(i);
        taken += err == QUDAG_OK ? 1 : 0;
        refused += err == QUDAG_ELIMIT ? 1 : 0; /* it says so, and the dialler understands */
    }
    assert_int_equal(taken, 6);
    assert_int_equal(refused, 2);
    assert_int_equal(links_of(0), 6);
    struct node_config other = nt_config(&net, 9);
    nt_begin(9, &other);
    multiaddr_quic(&r.addr, &net.node[9].addr, &net.node[9].peer);
    assert_int_equal(ask(0, &r), QUDAG_OK);
    assert_int_equal(links_of(0), 7);
    const struct resources *acc = swarm_resources(node_swarm(net.node[0].node));
    assert_int_equal(resources_refused(acc, RES_INBOUND, RES_LINKS), 2);
}

#define FLOOD 1000

/* A thousand identities from one /24: a newcomer from elsewhere is linked at once, and memory stays flat. */
static size_t refusals_said;

static void on_log(void *ctx, const struct log_record *rec)
{
    (void)ctx;
    refusals_said += strcmp(rec->event, "link.refused") == 0;
}

static void a_flood_from_one_network_keeps_nobody_else_out(void **state)
{
    struct node_config c = nt_config(&net, 0);
    struct node_request r = {.kind = NODE_OP_CONNECT};
    size_t after_fifty = 0;
    (void)state;

    c.lab = false;
    c.network_share = 25;
    c.log = (struct logger){.emit = on_log, .level = LOG_INFO};
    refusals_said = 0;
    nt_begin(0, &c);
    tstamp began = net.now;
    multiaddr_quic(&r.addr, &net.node[0].addr, &net.node[0].peer);
    for (unsigned i = 0; i < FLOOD; i++) {
        struct node_config f = nt_config(&net, 1);
        f.relay = f.dht_server = false;
        nt_identity(&net, 1);
        struct rng rng = rng_of_stream(&net.stream);
        identity_fini(&net.node[1].id);
        assert_int_equal(identity_generate(&net.node[1].id, &rng), QUDAG_OK);
        peer_id_from_ed25519(&net.node[1].peer, net.node[1].id.ed_pk);
        net.node[1].addr = (struct netaddr){
            .family = 4, .ip = {10, 0, 0, (uint8_t)(2 + i % 250)}, .port = (uint16_t)(5000 + i)};
        nt_begin(1, &f);
        net.node[1].n_asks = 0;
        qudag_err err = ask(1, &r);
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
        assert_int_equal(nt_free(&net, 1), 0); /* without a word: its link stays up here */
        after_fifty = i == 50 ? net.node[0].mem.used : after_fifty;
    }
    assert_true(links_of(0) <= 16); /* twice a quarter of the common places */
    assert_in_range(refusals_said, 1, 10 + (net.now - began) / NS_PER_S + 1);
    assert_true(net.node[0].mem.used < after_fifty + (1 << 20));
    struct node_config honest = nt_config(&net, 2);
    nt_identity(&net, 2);
    net.node[2].addr.ip[0] = 11;
    nt_begin(2, &honest);
    tstamp before = net.now;
    assert_int_equal(ask(2, &r), QUDAG_OK);
    assert_true(net.now - before < 2 * NS_PER_S);
}

/* The same, from a network of its own. */
static qudag_err dial_zero_from(size_t ix, uint8_t net_no)
{
    nt_identity(&net, ix);
    net.node[ix].addr.ip[0] = net_no;
    return dial_zero(ix);
}

/* Strangers of eight networks have all the common places of a node, and stay silent: whoever comes then gets one. */
static void silent_strangers_of_many_networks_give_way(void **state)
{
    struct node_config c = nt_config(&net, 0);
    struct swarm_stats st;
    (void)state;

    c.lab = false;
    c.network_share = 25;
    c.links_max = c.links_high = 16;
    nt_begin(0, &c);
    for (size_t i = 1; i <= 8; i++) {
        assert_int_equal(dial_zero_from(i, (uint8_t)(20 + i)), QUDAG_OK);
    }
    assert_int_equal(links_of(0), 8);
    assert_int_equal(dial_zero_from(9, 40), QUDAG_ELIMIT); /* they have just come */
    (void)nt_run(&net, 21 * NS_PER_S, NULL);
    assert_int_equal(dial_zero_from(10, 41), QUDAG_OK);
    swarm_stats_get(node_swarm(net.node[0].node), &st);
    assert_int_equal(st.links_trimmed[SWARM_TRIM_NEWCOMER], 1);
    assert_int_equal(links_of(0), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(idle_circuits_leave_the_dht_its_streams),
        NT_TEST(strangers_leave_room_for_our_own_dials),
        NT_TEST(silent_strangers_of_many_networks_give_way),
        NT_TEST(a_flood_from_one_network_keeps_nobody_else_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
