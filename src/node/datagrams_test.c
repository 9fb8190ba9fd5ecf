/* datagrams_test.c - what belongs to whom, what waits, and sockets that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

static const struct netaddr host = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4242};
static const struct netaddr any = {.family = 0};

static size_t request(uint8_t out[64], uint8_t id)
{
    struct stun_msg m = {.class = STUN_REQUEST, .id = {id}, .fingerprint = true};

    return stun_write(out, 64, &m, (struct slice){NULL, 0});
}

static void the_first_byte_says_whose_a_datagram_is(void **state)
{
    const struct netaddr gateway = {.family = 4, .ip = {10, 0, 0, 1}, .port = 5351};
    struct netaddr elsewhere = gateway;
    uint8_t d[64] = {0}, stun[64];
    size_t len = request(stun, 1);

    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        d[0] = (uint8_t)first;
        enum node_datagram_kind kind =
            node_rule_datagram((struct slice){d, sizeof d}, &host, &gateway);
        assert_int_equal(kind, first < 64 ? NODE_DATAGRAM_NONE : NODE_DATAGRAM_QUIC);
        kind = node_rule_datagram((struct slice){d, sizeof d}, &gateway, &gateway);
        assert_int_equal(kind, first < 64 ? NODE_DATAGRAM_GATEWAY : NODE_DATAGRAM_QUIC);
    }
    assert_int_equal(node_rule_datagram((struct slice){stun, len}, &host, &gateway),
                     NODE_DATAGRAM_STUN);
    assert_int_equal(node_rule_datagram((struct slice){stun, len}, &gateway, &gateway),
                     NODE_DATAGRAM_GATEWAY);
    elsewhere.port++;
    assert_int_equal(node_rule_datagram((struct slice){stun, len}, &elsewhere, &gateway),
                     NODE_DATAGRAM_STUN);
    for (size_t n = 1; n < STUN_HEADER; n++) {
        assert_int_equal(node_rule_datagram((struct slice){stun, n}, &host, &any),
                         NODE_DATAGRAM_NONE);
    }
    stun[4] ^= 1; /* the cookie */
    assert_int_equal(node_rule_datagram((struct slice){stun, len}, &host, &any),
                     NODE_DATAGRAM_NONE);
    assert_int_equal(node_rule_datagram((struct slice){NULL, 0}, &host, &any), NODE_DATAGRAM_QUIC);
}

static void one_host_has_a_quarter_of_the_queue(void **state)
{
    (void)state;
    assert_true(node_rule_datagram_waits(0, 0));
    assert_true(node_rule_datagram_waits(NODE_DATAGRAMS_MAX - 1, NODE_DATAGRAMS_MAX / 4 - 1));
    assert_false(node_rule_datagram_waits(NODE_DATAGRAMS_MAX, 0));
    assert_false(node_rule_datagram_waits(0, NODE_DATAGRAMS_MAX / 4));
}

/* ---- with nodes ---- */

/* Two that do not know each other. */
static void two(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct node_config c = nt_config(&net, i);
        nt_begin(i, &c);
    }
}

static struct {
    unsigned stun, gateway;
    struct netaddr local, remote;
    uint8_t id;
} taken;

static bool take(struct node *n, const struct node_datagram_in *d, tstamp now)
{
    (void)n;
    (void)now;
    taken.stun += d->kind == NODE_DATAGRAM_STUN ? 1 : 0;
    taken.gateway += d->kind == NODE_DATAGRAM_GATEWAY ? 1 : 0;
    taken.local = d->local;
    taken.remote = d->remote;
    taken.id = d->stun != NULL ? d->stun->id[0] : 0;
    return true;
}

static void pass(uint64_t ms)
{
    (void)nt_run(&net, ms * NS_PER_MS, NULL);
}

static void datagrams_leave_from_the_socket_that_was_named(void **state)
{
    struct netaddr local;
    uint8_t p[64];
    const struct slice msg = {p, request(p, 7)};

    (void)state;
    two();
    struct node *a = net.node[0].node, *b = net.node[1].node;
    const struct netaddr *to = &net.node[1].addr;
    memset(&taken, 0, sizeof taken);
    b->datagrams.takers = 0; /* before all others */
    assert_int_equal(node_datagrams_take(b, NODE_DATAGRAM_STUN, take), QUDAG_OK);
    assert_int_equal(node_socket_open(a, 4, &local), QUDAG_OK);
    assert_true(node_socket_is(a, &local));
    assert_true(node_datagram(a, &any, to, msg));
    pass(100);
    assert_int_equal(taken.stun, 1);
    assert_int_equal(taken.id, 7);
    assert_true(netaddr_eq(&taken.remote, &net.node[0].addr));
    assert_true(node_datagram(a, &local, to, msg));
    pass(100);
    assert_int_equal(taken.stun, 2);
    assert_true(netaddr_eq(&taken.remote, &local));
    assert_true(netaddr_eq(&taken.local, to));
    p[msg.len - 1] ^= 1; /* the fingerprint */
    assert_true(node_datagram(a, &local, to, msg));
    pass(100);
    assert_int_equal(taken.stun, 2);
    assert_int_equal(b->datagrams.stun_bad, 1);
    node_socket_release(a, &local);
    assert_int_equal(net.node[0].n_extra, 0);
}

static bool takes_anything(struct node *n, const struct node_datagram_in *in, tstamp now)
{
    (void)n;
    (void)in;
    (void)now;
    return true;
}

static void what_the_gateway_sends_goes_to_its_arrow(void **state)
{
    const struct netaddr gateway = {.family = 4, .ip = {10, 0, 0, 1}, .port = 5351};
    const struct netaddr gone = {.family = 4};
    uint8_t p[16] = {0, 128};

    (void)state;
    two();
    struct node *b = net.node[1].node;
    memset(&taken, 0, sizeof taken);
    b->datagrams.takers = 0;
    assert_int_equal(node_datagrams_take(b, NODE_DATAGRAM_STUN, takes_anything), QUDAG_OK);
    assert_int_equal(node_datagrams_take(b, NODE_DATAGRAM_GATEWAY, take), QUDAG_OK);
    for (unsigned round = 0; round < 3; round++) {
        if (round > 0) {
            node_datagrams_gateway(b, round == 1 ? &gateway : &gone);
        }
        nt_inject(&net, &gateway, &net.node[1].addr, p, sizeof p);
        pass(100);
        assert_int_equal(taken.gateway, round == 0 ? 0 : 1);
    }
}

static void a_queue_that_is_full_takes_no_more(void **state)
{
    struct netaddr to = {.family = 4, .ip = {192, 0, 2, 1}, .port = 9};
    uint8_t p[NODE_DATAGRAM_LEN + 1] = {0};
    const struct slice one = {p, 1};
    struct quic_tx tx = {.buf = net.buf};
    size_t n = 0;

    (void)state;
    two();
    struct node *a = net.node[0].node;
    assert_false(node_datagram(a, &any, &to, (struct slice){p, sizeof p}));
    assert_false(node_datagram(a, &any, &to, (struct slice){p, 0}));
    while (node_datagram(a, &any, &to, one)) {
        n++;
    }
    assert_int_equal(n, NODE_DATAGRAMS_MAX / 4);
    to.ip[3]++;
    while (node_datagram_answer(a, &any, &to, one)) {
        n++;
    }
    assert_int_equal(n, NODE_DATAGRAMS_MAX / 2); /* answers to strangers leave the rest to us */
    to.ip[3]++;
    assert_false(node_datagram_answer(a, &any, &to, one));
    for (; n < NODE_DATAGRAMS_MAX; n++) {
        to.ip[3] = (uint8_t)(3 + n % 8);
        assert_true(node_datagram(a, &any, &to, one));
    }
    to.ip[0]++;
    assert_false(node_datagram(a, &any, &to, one));
    assert_int_equal(a->datagrams.refused, 4);
    for (; n > 0; n--) {
        assert_true(node_datagrams_send(a, &tx));
        assert_int_equal(tx.len, 1);
    }
    assert_false(node_datagrams_send(a, &tx));
    assert_int_equal(a->datagrams.hosts.n, 0);
    assert_true(node_datagram(a, &any, &to, one));
}

static void sockets_have_a_limit_and_go_back(void **state)
{
    struct netaddr local[NODE_SOCKETS_MAX], more;

    (void)state;
    two();
    struct node *a = net.node[0].node;
    assert_int_equal(node_socket_open(a, 6, &more), QUDAG_EUNSUPPORTED);
    for (size_t i = 0; i < NODE_SOCKETS_MAX; i++) {
        assert_int_equal(node_socket_open(a, 4, &local[i]), QUDAG_OK);
    }
    assert_int_equal(node_socket_open(a, 4, &more), QUDAG_ELIMIT);
    assert_true(node_datagram(a, &local[0], &host, (struct slice){(const uint8_t *)"x", 1}));
    for (size_t i = 0; i < NODE_SOCKETS_MAX; i++) {
        node_socket_release(a, &local[i]);
        node_socket_release(a, &local[i]); /* harmless */
    }
    assert_int_equal(net.node[0].n_extra, 0);
    assert_int_equal(a->datagrams.waiting, 0);
    net.node[0].extra_max = 1;
    assert_int_equal(node_socket_open(a, 4, &local[0]), QUDAG_OK);
    assert_int_equal(node_socket_open(a, 4, &more), QUDAG_ELIMIT);
    node_socket_release(a, &local[0]);
    a->closing = true; /* none is opened that nobody would close */
    assert_int_equal(node_socket_open(a, 4, &more), QUDAG_EUNSUPPORTED);
    a->closing = false;
}

/* ---- links ---- */

/* Node |from| dials the other one at |to| from |local|, for a core that has no use for the answer. */
static void dial(size_t from, const struct netaddr *local, const struct netaddr *to)
{
    struct node *n = net.node[from].node;
    struct multiaddr ma;
    const struct transport_target t = {
        .addr = &ma, .peer = &net.node[1 - from].peer, .local = local};

    multiaddr_quic(&ma, to, NULL);
    assert_int_equal(swarm_dial_out(n->swarm, n->core[n->ix.ping].swarm_ix, 0, &t, net.now),
                     QUDAG_OK);
}

/* Links that are up at node 1, and the port from which the last one comes. */
static unsigned links(uint16_t *port)
{
    struct swarm_look look;
    struct netaddr at;
    unsigned n = 0;

    for (size_t it = 0; swarm_link_next(net.node[1].node->swarm, &it, &look, net.now);) {
        if (look.state == SWARM_LINK_UP && multiaddr_direct(&look.info.remote, &at)) {
            *port = at.port;
            n++;
        }
    }
    return n;
}

static void a_link_keeps_its_socket_open(void **state)
{
    struct netaddr local;
    uint16_t port = 0;

    (void)state;
    two();
    struct node *a = net.node[0].node;
    assert_int_equal(node_socket_open(a, 4, &local), QUDAG_OK);
    dial(0, &local, &net.node[1].addr);
    pass(500);
    assert_int_equal(links(&port), 1);
    assert_int_equal(port, local.port);
    node_socket_release(a, &local);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].n_extra, 1);
    assert_int_equal(links(&port), 1);
    node_disconnect(a, &net.node[1].peer);
    pass(2 * NODE_SOCKETS_LOOK_NS / NS_PER_MS);
    assert_int_equal(net.node[0].n_extra, 0);
    assert_int_equal(a->datagrams.look_at, TSTAMP_NEVER);
}

static void only_who_is_expected_begins_a_connection_at_one(void **state)
{
    struct netaddr there;
    uint16_t port = 0;

    (void)state;
    two();
    struct node *b = net.node[1].node;
    assert_int_equal(node_socket_open(b, 4, &there), QUDAG_OK);
    dial(0, NULL, &there);
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    assert_int_equal(links(&port), 0);
    node_socket_expect(b, &there, &net.node[0].addr);
    dial(0, NULL, &there);
    pass(500);
    assert_int_equal(links(&port), 1);
    node_socket_release(b, &there);
    pass(5000);
    assert_int_equal(net.node[1].n_extra, 1); /* the link came in over it */
    node_disconnect(b, &net.node[0].peer);
    pass(2 * NODE_SOCKETS_LOOK_NS / NS_PER_MS);
    assert_int_equal(net.node[1].n_extra, 0);
}

static void a_peer_cannot_move_its_link_to_another_socket(void **state)
{
    struct netaddr there;
    uint16_t port = 0;

    (void)state;
    two();
    struct node *b = net.node[1].node;
    dial(0, NULL, &net.node[1].addr);
    pass(500);
    assert_int_equal(links(&port), 1);
    assert_int_equal(node_socket_open(b, 4, &there), QUDAG_OK);
    net.redirect = there.port; /* whatever node 0 sends goes there from now on */
    (void)nt_run(&net, 40 * NS_PER_S, NULL);
    node_socket_release(b, &there);
    assert_int_equal(net.node[1].n_extra, 0);
}

static void a_dial_from_a_socket_of_the_other_ip_version_is_refused(void **state)
{
    const struct netaddr local = {.family = 6, .ip = {[15] = 1}, .port = 7};
    struct multiaddr ma;

    (void)state;
    two();
    struct node *a = net.node[0].node;
    const struct transport_target t = {.addr = &ma, .peer = &net.node[1].peer, .local = &local};
    multiaddr_quic(&ma, &net.node[1].addr, NULL);
    assert_int_equal(swarm_dial_out(a->swarm, a->core[a->ix.ping].swarm_ix, 0, &t, net.now),
                     QUDAG_EUNREACHABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_byte_says_whose_a_datagram_is),
        cmocka_unit_test(one_host_has_a_quarter_of_the_queue),
        NT_TEST(datagrams_leave_from_the_socket_that_was_named),
        NT_TEST(what_the_gateway_sends_goes_to_its_arrow),
        NT_TEST(a_queue_that_is_full_takes_no_more),
        NT_TEST(sockets_have_a_limit_and_go_back),
        NT_TEST(a_link_keeps_its_socket_open),
        NT_TEST(only_who_is_expected_begins_a_connection_at_one),
        NT_TEST(a_peer_cannot_move_its_link_to_another_socket),
        NT_TEST(a_dial_from_a_socket_of_the_other_ip_version_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
