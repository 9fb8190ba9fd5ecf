/* arrow_portmap_test.c - who asks a router, what becomes of its answer, and what is left at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#include <string.h>

static struct netaddr ip_of(const char *text, uint16_t port)
{
    struct netaddr a = {.port = port};

    assert_int_equal(netaddr_parse_ip(&a, text), QUDAG_OK);
    return a;
}

static void who_asks_a_router(void **state)
{
    static const struct {
        bool wanted, setting, lab;
        const char *gateway, *source; /* NULL: none */
        bool asks;
    } t[] = {
        {true, true, false, "192.168.1.1", "192.168.1.2", true},
        {false, true, false, "192.168.1.1", "192.168.1.2", false},
        {true, false, false, "192.168.1.1", "192.168.1.2", false},
        {true, true, true, "192.168.1.1", "192.168.1.2", false},
        {true, true, false, NULL, "192.168.1.2", false},
        {true, true, false, "192.168.1.1", NULL, false},
        {true, true, false, "192.168.1.1", "127.0.0.1", false},
        {true, true, false, "127.0.0.1", "192.168.1.2", false},
        {true, true, false, "25.1.1.1", "25.1.1.2", false}, /* on the Internet already */
        {true, true, false, "100.64.0.1", "100.64.3.2", true},
        {true, true, false, "192.168.1.1", "2a00:1::2", false},
        {true, true, false, "fe80::1", "2a00:1::2", true}, /* a pinhole */
        {true, true, false, "fe80::1", "fd00::2", false},
        {true, true, false, "fe80::1", "::1", false},
        {true, true, true, "fe80::1", "2a00:1::2", false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct node_maps_of of = {.wanted = t[i].wanted, .setting = t[i].setting, .lab = t[i].lab};
        if (t[i].gateway != NULL) {
            of.way.gateway = ip_of(t[i].gateway, 0);
        }
        if (t[i].source != NULL) {
            of.way.source = ip_of(t[i].source, 0);
        }
        assert_int_equal(node_rule_maps(&of), t[i].asks);
    }
}

/* ---- with a node ---- */

#define SENT 16
static struct {
    struct node *n;
    struct netaddr gateway, own;
    struct {
        uint8_t b[64];
        size_t len;
        struct netaddr to, from;
    } sent[SENT];
    size_t n_sent;
    unsigned upnp;
    bool removes;
} home;

static qudag_err on_upnp(void *ctx, const struct portmap_upnp *what)
{
    (void)ctx;
    home.upnp++;
    home.removes = what->remove;
    return QUDAG_OK;
}

/* What is for the router, of all that leaves now. */
static void collect(void)
{
    static uint8_t buf[QUIC_TX_MAX];
    struct quic_tx tx = {.buf = buf};

    for (int i = 0; i < 100; i++) {
        node_drain(home.n, net.now);
        if (node_deadline(home.n) <= net.now) {
            node_tick(home.n, net.now);
        }
        while (node_send(home.n, net.now, &tx)) {
            if (tx.remote.port == PCP_PORT && home.n_sent < SENT) {
                memcpy(home.sent[home.n_sent].b, buf, tx.len < 64 ? tx.len : 64);
                home.sent[home.n_sent].len = tx.len;
                home.sent[home.n_sent].from = tx.local;
                home.sent[home.n_sent++].to = tx.remote;
            }
            tx = (struct quic_tx){.buf = buf};
        }
    }
}

static enum node_reachable reachable; /* of the next node */

/* A node at 192.168.1.2 that serves others, and its router. */
static void begin(bool lab, bool setting)
{
    struct node_config c = nt_config(&net, 0);
    struct node_gateway way[2] = {
        {.gateway = ip_of("192.168.1.1", 0), .source = ip_of("192.168.1.2", 0)}};
    struct multiaddr bound[2];

    memset(&home, 0, sizeof(home));
    home.gateway = ip_of("192.168.1.1", PCP_PORT);
    home.own = ip_of("192.168.1.2", 4433);
    c.lab = lab;
    c.port_mapping = setting;
    c.reachable = reachable;
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    home.n = net.node[0].node;
    home.n->hooks.upnp = on_upnp;
    multiaddr_quic(&bound[0], &home.own, NULL);
    multiaddr_tcp(&bound[1], &home.own, NULL);
    node_set_addrs(home.n, bound, 2);
    node_set_gateways(home.n, way, net.now);
    collect();
    assert_int_equal(home.n_sent, 0); /* nothing before the start */
    node_start(home.n);
    collect();
}

/* The answer to the request |at| with the external address |ext|. */
static void answer(size_t at, const struct netaddr *ext)
{
    uint8_t b[60] = {2, 0x81, 0, 0, 0, 0, 0x1c, 0x20, 0, 0, 1, 0};
    struct quic_dgram d = {.local = home.own, .remote = home.gateway, .data = {b, sizeof(b)}};

    memcpy(b + 24, home.sent[at].b + 24, 20);
    b[42] = (uint8_t)(ext->port >> 8);
    b[43] = (uint8_t)ext->port;
    b[54] = b[55] = 0xff;
    memcpy(b + 56, ext->ip, 4);
    node_recv(home.n, &d, net.now);
    collect();
}

/* What core/reach has of the router's. */
static size_t candidates(bool *announced)
{
    struct reach_addr a;
    size_t n = 0;

    *announced = false;
    for (size_t it = 0; node_reach_addr_next(home.n, &it, &a);) {
        n += a.source == REACH_MAPPED ? 1 : 0;
        *announced = *announced || (a.source == REACH_MAPPED && a.announced);
    }
    return n;
}

static size_t maps_asked(void)
{
    size_t n = 0;

    for (size_t i = 0; i < home.n_sent; i++) {
        assert_true(netaddr_eq(&home.sent[i].to, &home.gateway));
        n += home.sent[i].len == 60 ? 1 : 0;
    }
    return n;
}

static void what_is_mapped_is_a_candidate_and_not_announced(void **state)
{
    struct netaddr ext = ip_of("25.1.2.3", 4433), other = ip_of("26.1.2.3", 4433);
    bool announced;
    size_t at = 0;
    struct portmap_look l;
    (void)state;

    begin(false, true);
    assert_int_equal(maps_asked(), 2); /* UDP and TCP */
    assert_int_equal(home.sent[0].from.port, 4433);
    while (home.sent[at].len != 60) {
        at++;
    }
    answer(at, &ext);
    assert_int_equal(candidates(&announced), 1);
    assert_false(announced);
    size_t it = 0;
    assert_true(node_portmap_next(home.n, &it, &l));
    assert_int_equal(l.state, PORTMAP_MAPPED);
    assert_true(netaddr_eq(&l.external, &ext));
    assert_int_equal(node_portmap_stats(home.n)->mapped[PORTMAP_PCP], 1);
    /* our addresses change, the router stays: it is a candidate still */
    struct multiaddr bound[3];
    struct netaddr more = ip_of("172.17.0.1", 4433);
    multiaddr_quic(&bound[0], &home.own, NULL);
    multiaddr_tcp(&bound[1], &home.own, NULL);
    multiaddr_quic(&bound[2], &more, NULL);
    node_set_addrs(home.n, bound, 3);
    collect();
    assert_int_equal(candidates(&announced), 1);
    answer(at, &other); /* another address: only that one */
    assert_int_equal(candidates(&announced), 1);
    assert_false(announced);
    assert_int_equal(node_portmap_stats(home.n)->lost, 1);
}

static void the_end_closes_what_was_opened(void **state)
{
    struct netaddr ext = ip_of("25.1.2.3", 4433);
    bool announced;
    (void)state;

    begin(false, true);
    for (size_t i = 0, n = home.n_sent; i < n; i++) {
        if (home.sent[i].len == 60) {
            answer(i, &ext);
        }
    }
    assert_int_equal(candidates(&announced), 2);
    home.n_sent = 0;
    node_shutdown(home.n, net.now);
    collect();
    assert_int_equal(maps_asked(), 2);
    for (size_t i = 0; i < home.n_sent; i++) {
        assert_memory_equal(home.sent[i].b + 4, "\0\0\0\0", 4); /* for no time */
    }
    home.n_sent = 0;
    net.now += 10000 * NS_PER_S;
    collect();
    assert_int_equal(home.n_sent, 0);
}

static void who_may_not_asks_nothing(void **state)
{
    (void)state;
    begin(true, true);
    net.now += 10 * NS_PER_S;
    collect();
    assert_int_equal(home.n_sent + home.upnp, 0);
    (void)nt_free(&net, 0);
    begin(false, false);
    net.now += 10 * NS_PER_S;
    collect();
    assert_int_equal(home.n_sent + home.upnp, 0);
    (void)nt_free(&net, 0);
    reachable = NODE_REACHABLE_NO; /* who does not want to be reached opens no router */
    begin(false, true);
    reachable = (enum node_reachable)0;
    net.now += 10 * NS_PER_S;
    collect();
    assert_int_equal(home.n_sent + home.upnp, 0);
}

static void answers_of_the_host_come_in_any_state(void **state)
{
    struct portmap_upnp_answer a = {.code = 0, .external = ip_of("25.9.9.9", 4433)};
    bool announced;
    (void)state;

    begin(false, true);
    net.now += NS_PER_S;
    collect();
    assert_int_equal(home.upnp, 2);
    assert_false(home.removes);
    node_upnp_done(home.n, 99, &a, net.now);
    collect();
    assert_int_equal(candidates(&announced), 0);
    node_upnp_done(home.n, 1, &a, net.now);
    collect();
    assert_int_equal(candidates(&announced), 1);
    assert_false(announced);
    node_shutdown(home.n, net.now);
    assert_true(home.removes);
    node_upnp_done(home.n, 2, &a, net.now);
    collect();
    assert_int_equal(node_portmap_stats(home.n)->mapped[PORTMAP_UPNP], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_a_router),
        NT_TEST(what_is_mapped_is_a_candidate_and_not_announced),
        NT_TEST(the_end_closes_what_was_opened),
        NT_TEST(who_may_not_asks_nothing),
        NT_TEST(answers_of_the_host_come_in_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
