/* stun_test.c - what a node learns from its peers of where it is seen, and what it answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

/* Five that know each other, of which the last is to be reached; so its lab is one where it asks. */
static struct node *network(enum node_reachable setting)
{
    for (size_t i = 0; i < 5; i++) {
        struct node_config c = nt_config(&net, i);
        c.reachable = i == 4 ? setting : NODE_REACHABLE_AUTO;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        nt_begin(i, &c);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    return net.node[4].node;
}

static void a_node_without_nat_finds_that_there_is_none(void **state)
{
    (void)state;
    const struct node *n = network(NODE_REACHABLE_YES);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    const struct node_stun_family *f = &n->stun.family[0];
    assert_int_equal(f->mapping, STUN_MAPPING_INDEPENDENT);
    assert_true(netaddr_eq(&f->external, &net.node[4].addr));
    assert_int_equal(node_reach(n)->ip4.mapping, REACH_NAT_NONE);
    assert_int_equal(node_stun_life(n, 4), 0); /* nothing keeps a state for it */
    assert_int_equal(net.node[4].n_extra, 0);
}

static void who_wants_nothing_asks_nothing(void **state)
{
    (void)state;
    const struct node *n = network(NODE_REACHABLE_AUTO); /* a lab */
    (void)nt_run(&net, 3600 * NS_PER_S, NULL);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(stun_statistics(net.node[i].node->stun.core)->asked, 0);
        assert_int_equal(net.node[i].node->datagrams.stun_in, 0);
    }
    assert_int_equal(node_reach(n)->ip4.mapping, REACH_NAT_UNKNOWN);
}

/* Whose addresses are nobody's business shows strangers not even that it is there. */
static void who_wants_nothing_answers_nobody(void **state)
{
    static const enum node_reachable setting[] = {NODE_REACHABLE_NO, NODE_REACHABLE_YES};
    const struct netaddr host = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4242};
    const struct stun_msg ask = {.class = STUN_REQUEST, .fingerprint = true};
    uint8_t bytes[STUN_MSG_MAX];
    size_t len = stun_write(bytes, sizeof bytes, &ask, (struct slice){NULL, 0});
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(setting); i++) {
        struct node_config c = nt_config(&net, i);
        c.relay = c.dht_server = false;
        c.reachable = setting[i];
        nt_begin(i, &c);
        nt_inject(&net, &host, &net.node[i].addr, bytes, len);
        (void)nt_run(&net, NS_PER_S, NULL);
        const struct node *n = net.node[i].node;
        assert_int_equal(n->datagrams.stun_in, 1);
        assert_int_equal(stun_statistics(n->stun.core)->served,
                         setting[i] == NODE_REACHABLE_YES ? 1 : 0);
    }
}

static struct {
    unsigned n;
    uint64_t cookie;
    qudag_err err;
    struct netaddr at;
} heard;

static void on_external(struct node *n, uint64_t cookie, qudag_err err, const struct netaddr *at,
                        tstamp now)
{
    (void)n;
    (void)now;
    heard.n++;
    heard.cookie = cookie;
    heard.err = err;
    heard.at = *at;
}

static void the_external_address_of_a_socket(void **state)
{
    struct netaddr local, other;
    (void)state;
    struct node *n = network(NODE_REACHABLE_AUTO);

    memset(&heard, 0, sizeof heard);
    assert_int_equal(node_socket_open(n, 4, &local), QUDAG_OK);
    assert_int_equal(node_socket_open(n, 4, &other), QUDAG_OK);
    assert_int_equal(node_stun_external(n, &local, 5, on_external), QUDAG_OK);
    assert_int_equal(node_stun_external(n, &other, 6, on_external), QUDAG_OK);
    node_stun_forget(n, &other);
    node_socket_release(n, &other);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(heard.n, 1);
    assert_int_equal(heard.cookie, 5);
    assert_int_equal(heard.err, QUDAG_OK);
    assert_true(netaddr_eq(&heard.at, &local));
    assert_int_equal(n->stun.asks.n, 0);
    net.loss_permille = 1000;
    assert_int_equal(node_stun_external(n, &local, 7, on_external), QUDAG_OK);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(heard.n, 2);
    assert_int_equal(heard.err, QUDAG_ETIMEOUT);
    assert_int_equal(node_stun_external(n, &local, 8, on_external), QUDAG_OK); /* freed with it */
    local.family = 6;
    assert_int_equal(node_stun_external(n, &local, 7, on_external), QUDAG_EUNREACHABLE);
}

/* As behind a NAT that keeps the port: the address is not its own, and silence is what shows how long it lives. */
static void the_life_of_a_mapping_is_measured(void **state)
{
    (void)state;
    struct node *n = network(NODE_REACHABLE_YES);
    n->reach.n_bound = 0;
    node_stun_moved(n, net.now);
    (void)nt_run(&net, 35 * NS_PER_S, NULL);
    assert_int_equal(node_reach(n)->ip4.mapping, REACH_NAT_INDEPENDENT);
    assert_int_equal(net.node[4].n_extra, STUN_LIVES - 1); /* the first has ended */
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    assert_int_equal(node_stun_life(n, 4), 110 * NS_PER_S);
    assert_int_equal(net.node[4].n_extra, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_node_without_nat_finds_that_there_is_none),
        NT_TEST(who_wants_nothing_asks_nothing),
        NT_TEST(who_wants_nothing_answers_nobody),
        NT_TEST(the_external_address_of_a_socket),
        NT_TEST(the_life_of_a_mapping_is_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
