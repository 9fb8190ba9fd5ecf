/*
 * meet_node_test.c - two whole nodes behind NATs, and two relays: what the program says goes over a relay at once, then
 * directly; nobody is told where we are who is not spoken with.  In virtual time, with 5 ms from node to node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NT_NODES 4
#include "node/internal.h"
#include "node/testkit_relayed.h"
#include "sim/nat.h"

#define R 0
#define R2 1
#define B 2
#define A 3
#define PROTO "/test/bytes/1.0.0"

static struct nt nt;
static struct mem nat_mem;
static struct nat *nat[NT_NODES];
static struct netaddr outside[NT_NODES];
static unsigned dropped;
static size_t came_relayed, came_direct;
static bool is_in;

/* Each packet goes through the routers when it leaves; what they drop is for nobody. */
static void through_nats(struct nt *net, struct nt_pkt *p)
{
    static const struct netaddr nowhere = {.family = 4, .ip = {127, 9, 9, 9}, .port = 9};
    struct netaddr at;

    for (unsigned i = B; i <= A; i++) {
        if (netaddr_same_ip(&p->from, &net->node[i].addr)) {
            if (!nat_out(nat[i], &p->from, &p->to, net->now, &at)) {
                p->to = nowhere;
                return;
            }
            p->from = at;
        }
    }
    for (unsigned i = B; i <= A; i++) {
        if (netaddr_same_ip(&p->to, &net->node[i].addr)) {
            dropped++;
            p->to = nowhere; /* an address of a home means nothing outside */
            return;
        }
        if (netaddr_same_ip(&p->to, &outside[i])) {
            bool in = nat_in(nat[i], &p->from, &p->to, net->now, &at);
            dropped += in ? 0 : 1;
            p->to = in ? at : nowhere;
            return;
        }
    }
}

static void on_in(void *ctx, struct ref s, const struct peer_id *from, const char *dark,
                  const char *proto)
{
    (void)ctx;
    (void)s;
    (void)from;
    (void)dark;
    (void)proto;
    is_in = true;
}

static void on_data(void *ctx, struct ref s, struct slice data, bool fin)
{
    struct nt_node *t = ctx;
    struct node_stream_info info;
    (void)fin;

    assert_int_equal(node_stream_info_get(t->node, s, &info), QUDAG_OK);
    if ((info.props & LINK_RELAYED) != 0) {
        came_relayed += data.len;
    } else {
        came_direct += data.len;
    }
    node_stream_consume(t->node, s, data.len);
}

static void on_opened(void *ctx, struct ref s)
{
    (void)ctx;
    (void)s;
}

static void on_closed(void *ctx, struct ref s, qudag_err why)
{
    (void)ctx;
    (void)s;
    (void)why;
}

static void make(size_t ix, enum node_meet meet)
{
    struct nt_node *t = &nt.node[ix];
    struct node_config c = nt_config(&nt, ix);
    struct node_hooks h = {.ctx = t,
                           .stream_in = on_in,
                           .stream_data = on_data,
                           .stream_opened = on_opened,
                           .stream_closed = on_closed,
                           .op_done = nt_op_done,
                           .phase = nt_phase,
                           .save = nt_save,
                           .socket_open = nt_socket_open,
                           .socket_close = nt_socket_close};
    struct multiaddr ma;
    bool relay = ix == R || ix == R2;

    nt_identity(&nt, ix);
    c.mem = &t->mem;
    c.identity = &t->id;
    c.rng = rng_of_stream(&t->stream);
    c.relay = c.dht_server = relay;
    c.circuit_relay.serve = relay;
    c.meet = meet;
    if (ix != R) {
        nt_boot(&nt, &c, R);
    }
    if (ix == B) {
        nt_reserve(&nt, &c, R);
    }
    assert_int_equal(node_new(&t->node, &c, &h, nt.now), QUDAG_OK);
    multiaddr_quic(&ma, &t->addr, NULL);
    node_set_addrs(t->node, &ma, 1);
    node_start(t->node);
}

static bool holds_place(struct nt *net)
{
    return nt_holds_place(net, B);
}

static void router(unsigned i, enum nat_depends mapping)
{
    struct nat_config cfg = {.mem = &nat_mem,
                             .rng = rng_of_stream(&nt.stream),
                             .external = {.family = 4, .ip = {127, 0, 7, (uint8_t)i}},
                             .mapping = mapping,
                             .filter = NAT_ADDRESS_PORT,
                             .ports = NAT_RANDOM,
                             .refresh_in = true};

    nat[i] = nat_new(&cfg);
    assert_non_null(nat[i]);
    outside[i] = cfg.external;
}

static void begin(enum nat_depends a, enum nat_depends b, enum node_meet meet)
{
    nt_init(&nt);
    mem_init(&nat_mem, NULL, 0);
    nt.route = through_nats;
    dropped = 0;
    came_relayed = came_direct = 0;
    is_in = false;
    router(A, a);
    router(B, b);
    for (size_t i = 0; i < NT_NODES; i++) {
        make(i, i >= B ? meet : NODE_MEET_NAMED);
    }
    assert_int_equal(node_serve(nt.node[B].node, PROTO), QUDAG_OK);
    (void)nt_run(&nt, 20 * NS_PER_S, NULL);
    assert_true(nt_run(&nt, 60 * NS_PER_S, holds_place));
    for (size_t i = B; i <= A; i++) { /* the second relay is one more who sees them */
        struct multiaddr at;
        multiaddr_quic(&at, &nt.node[R2].addr, &nt.node[R2].peer);
        node_add_addr(nt.node[i].node, &nt.node[R2].peer, &at);
    }
    (void)nt_run(&nt, 20 * NS_PER_S, NULL);
    nt_know_through(&nt, A, B, R);
}

static void end(void)
{
    nt_fini(&nt);
    nat_free(nat[A]);
    nat_free(nat[B]);
    assert_int_equal(nat_mem.used, 0);
}

static bool is_direct(struct nt *net)
{
    (void)net;
    return nt_linked(&nt, A, B, false) && nt_linked(&nt, B, A, false);
}

static bool came(struct nt *net)
{
    (void)net;
    return came_relayed + came_direct > 0;
}

static bool is_over(struct nt *net)
{
    struct meet_look look;

    return node_meet_look(net->node[A].node, &net->node[B].peer, &look) &&
           (look.state == MEET_DIRECT || look.state == MEET_FAILED);
}

static void say(void)
{
    static const uint8_t hello[] = "hello";
    struct ref s;
    size_t taken = 0;

    assert_int_equal(node_stream_open_peer(nt.node[A].node, &nt.node[B].peer, PROTO, &s), QUDAG_OK);
    (void)!node_stream_write(nt.node[A].node, s, (struct slice){hello, 5}, &taken);
    for (unsigned ms = 0; taken == 0 && ms < 2000; ms++) {
        (void)nt_run(&nt, NS_PER_MS, NULL);
        (void)!node_stream_write(nt.node[A].node, s, (struct slice){hello, 5}, &taken);
    }
    assert_int_equal(taken, 5);
}

static void two_nodes_behind_routers_meet_after_the_first_bytes_went_over_the_relay(void **state)
{
    struct meet_look look;
    (void)state;

    begin(NAT_INDEPENDENT, NAT_INDEPENDENT, NODE_MEET_NAMED);
    tstamp begun = nt.now;
    say();
    assert_true(nt_run(&nt, 10 * NS_PER_S, is_direct));
    print_message("relayed %zu direct %zu\n", came_relayed, came_direct);
    assert_true(came_relayed == 5 && came_direct == 0);
    assert_true(nt_run(&nt, 2 * NS_PER_S, is_over));
    print_message("direct after %d ms\n", (int)((nt.now - begun) / NS_PER_MS));
    assert_true(node_meet_look(nt.node[A].node, &nt.node[B].peer, &look));
    assert_int_equal(look.state, MEET_DIRECT);
    assert_int_equal(look.round, MEET_PLAIN);
    assert_true(look.initiator);
    (void)nt_run(&nt, NS_PER_S, NULL);
    assert_true(node_meet_look(nt.node[B].node, &nt.node[A].peer, &look));
    assert_int_equal(look.state, MEET_DIRECT);
    assert_int_equal(node_meet_stats(nt.node[A].node)->direct[MEET_PLAIN], 1);
    say();
    assert_true(nt_run(&nt, 5 * NS_PER_S, came));
    (void)nt_run(&nt, NS_PER_S, NULL);
    assert_int_equal(came_direct, 5);
    end();
}

static void a_symmetric_router_and_a_strict_one_meet_over_a_socket_of_many(void **state)
{
    struct meet_look look;
    (void)state;

    begin(NAT_ADDRESS_PORT, NAT_INDEPENDENT, NODE_MEET_NAMED);
    node_meets_name(nt.node[B].node, &nt.node[A].peer);
    say();
    bool direct = nt_run(&nt, 20 * NS_PER_S, is_direct);
    assert_true(node_meet_look(nt.node[A].node, &nt.node[B].peer, &look));
    print_message("%d: round %d, sent %d, received %d, sockets %d, nat %d %d: %s\n", direct,
                  look.round, (int)look.sent, (int)look.received, (int)look.sockets, look.our_nat,
                  look.their_nat, look.why);
    assert_true(direct);
    assert_int_equal(look.round, MEET_BIRTHDAY);
    say();
    (void)nt_run(&nt, NS_PER_S, NULL);
    assert_true(came_direct > 0);
    end();
}

/* A named B, and no program of B's knows A: it is told nothing, and all stays with the relay. */
static void who_is_no_peer_of_the_program_is_refused(void **state)
{
    struct meet_look look;
    struct ref s;
    (void)state;

    begin(NAT_INDEPENDENT, NAT_INDEPENDENT, NODE_MEET_NAMED);
    assert_int_equal(node_stream_open_peer(nt.node[A].node, &nt.node[B].peer, "/nobody/1.0.0", &s),
                     QUDAG_OK);
    assert_false(nt_run(&nt, 10 * NS_PER_S, is_direct));
    assert_true(node_meet_look(nt.node[A].node, &nt.node[B].peer, &look));
    assert_int_equal(look.state, MEET_FAILED);
    assert_int_equal(look.err, QUDAG_EREFUSED);
    assert_int_equal(look.n_theirs, 0);
    assert_int_equal(node_meet_stats(nt.node[B].node)->refused, 1);
    end();
}

static void ping(void)
{
    struct node_request r = {.kind = NODE_OP_PING, .peer = nt.node[B].peer};

    assert_int_not_equal(nt_ask(&nt.node[A], &r), SIZE_MAX);
}

/* A relay joins them for the node's own sake: that is no reason to meet.  Then the program pings. */
static void who_is_pinged_is_named_and_met_at_once(void **state)
{
    struct node *n;
    (void)state;

    begin(NAT_INDEPENDENT, NAT_INDEPENDENT, NODE_MEET_NAMED);
    n = nt.node[A].node;
    assert_int_equal(ping_start(&n->ping, &nt.node[B].peer, 0, nt.now, node_begin(n)), QUDAG_OK);
    node_end(n, n->ix.ping);
    (void)nt_run(&nt, 5 * NS_PER_S, NULL);
    assert_true(nt_linked(&nt, A, B, true));
    assert_false(is_direct(&nt));
    assert_false(node_meets_named(n, &nt.node[B].peer));
    node_meets_name(nt.node[B].node, &nt.node[A].peer);
    ping();
    assert_true(nt_run(&nt, 3 * NS_PER_S, is_direct));
    assert_true(node_meets_named(n, &nt.node[B].peer));
    end();
}

static void who_pings_a_stranger_is_told_nothing(void **state)
{
    struct meet_look look;
    (void)state;

    begin(NAT_INDEPENDENT, NAT_INDEPENDENT, NODE_MEET_NAMED);
    ping();
    assert_false(nt_run(&nt, 10 * NS_PER_S, is_direct));
    assert_true(node_meet_look(nt.node[A].node, &nt.node[B].peer, &look));
    assert_int_equal(look.err, QUDAG_EREFUSED);
    assert_int_equal(look.n_theirs, 0);
    end();
}

/* A has named another, and has no stream with B. */
static bool names_another(struct nt *net)
{
    memset(&net->node[A].node->meets, 0, sizeof net->node[A].node->meets);
    net->node[A].node->meets.named[0] =
        net->node[R].peer; /* not by a call: it looks at all links */
    return is_direct(net);
}

static void who_is_not_named_is_not_asked_for_a_meeting(void **state)
{
    struct meet_look look;
    struct ref s;
    (void)state;

    begin(NAT_INDEPENDENT, NAT_INDEPENDENT, NODE_MEET_NAMED);
    assert_int_equal(node_stream_open_peer(nt.node[A].node, &nt.node[B].peer, "/nobody/1.0.0", &s),
                     QUDAG_OK);
    assert_false(nt_run(&nt, 10 * NS_PER_S, names_another));
    assert_false(node_meet_look(nt.node[A].node, &nt.node[B].peer, &look));
    end();
}

static void nobody_is_met_where_the_setting_says_no(void **state)
{
    struct meet_look look;
    (void)state;

    begin(NAT_INDEPENDENT, NAT_INDEPENDENT, NODE_MEET_NO);
    say();
    assert_false(nt_run(&nt, 10 * NS_PER_S, is_direct));
    assert_int_equal(came_relayed, 5);
    assert_false(node_meet_look(nt.node[A].node, &nt.node[B].peer, &look));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_behind_routers_meet_after_the_first_bytes_went_over_the_relay),
        cmocka_unit_test(a_symmetric_router_and_a_strict_one_meet_over_a_socket_of_many),
        cmocka_unit_test(who_is_no_peer_of_the_program_is_refused),
        cmocka_unit_test(who_is_pinged_is_named_and_met_at_once),
        cmocka_unit_test(who_pings_a_stranger_is_told_nothing),
        cmocka_unit_test(who_is_not_named_is_not_asked_for_a_meeting),
        cmocka_unit_test(nobody_is_met_where_the_setting_says_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
