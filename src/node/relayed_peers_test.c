/*
 * relayed_peers_test.c - nodes that nobody can dial: they get places at relays by themselves, are found by their ids
 * alone, and what is said first arrives within three round trips.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define RELAYS 5 /* 0 to 4; everybody can dial them */
#define A 5
#define B 6
#define PATH_RTT (20 * NS_PER_MS) /* from A to B by a relay, and back: four times 5 ms */
#define PROTO "/test/echo/1.0.0"

/* What |peers|: serves a protocol; |finds|: places by itself. */
static void home(size_t ix, bool serves, bool finds)
{
    struct nt_node *t = &net.node[ix];
    struct node_config c = nt_config(&net, ix);
    struct multiaddr ma;

    nt_identity(&net, ix);
    t->addr = (struct netaddr){4, {10, (uint8_t)ix, 0, 7}, 4001, 0};
    c.identity = &t->id;
    c.pq = PQ_REQUIRE;
    c.lab = c.relay = c.dht_server = false;
    c.circuit_relay.serve = NODE_SERVES_AUTO;
    c.circuit_relay.finds = finds;
    for (size_t i = 0; i < RELAYS; i++) {
        nt_boot(&net, &c, i);
    }
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    multiaddr_quic(&ma, &t->addr, NULL);
    node_set_addrs(t->node, &ma, 1);
    if (serves) {
        assert_int_equal(node_serve(t->node, PROTO), QUDAG_OK);
        t->echo = true;
    }
    node_start(t->node);
}

static void relay(size_t ix, enum node_serves serve)
{
    struct nt_node *t = &net.node[ix];
    struct node_config c = nt_config(&net, ix);
    struct multiaddr ma;

    nt_identity(&net, ix);
    t->addr = (struct netaddr){4, {(uint8_t)(20 + ix), 1, 0, 1}, 4001, 0};
    c.identity = &t->id;
    c.lab = false;
    c.circuit_relay.serve = serve;
    c.circuit_relay.finds = true;
    if (ix > 0) {
        nt_boot(&net, &c, 0);
    }
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    multiaddr_quic(&ma, &t->addr, NULL);
    node_set_addrs(t->node, &ma, 1);
    node_start(t->node);
}

static uint32_t held(size_t ix)
{
    struct autorelay_stats s;

    autorelay_stats_get(node_autorelay(net.node[ix].node), &s);
    return s.held;
}

static bool b_has_places(struct nt *nt)
{
    (void)nt;
    return held(B) == AUTORELAY_PLACES && net.node[B].node->published.stored > 0 &&
           net.node[B].node->published.due != TSTAMP_NEVER &&
           net.node[B].node->published.due > net.now + 60 * NS_PER_S;
}

static bool a_is_ready(struct nt *nt)
{
    return nt->node[A].phase == NODE_READY;
}

static bool got_back(struct nt *nt)
{
    return nt->node[A].got > 0 || nt->node[A].closed > 0;
}

static bool came(struct nt *nt)
{
    return nt->node[B].got > 0 || nt->node[A].closed > 0;
}

static void two_homes(void)
{
    for (size_t i = 0; i < RELAYS; i++) {
        relay(i, NODE_SERVES_AUTO);
    }
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    home(B, true, true);
    assert_true(nt_run(&net, 120 * NS_PER_S, b_has_places));
    home(A, false, true);
    assert_true(nt_run(&net, 60 * NS_PER_S, a_is_ready));
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
}

/* A opens a stream to B, of which it knows the id only, and says something at once. */
static struct ref call(void)
{
    struct ref s;
    size_t taken;

    assert_int_equal(node_stream_open_peer(net.node[A].node, &net.node[B].peer, PROTO, &s),
                     QUDAG_OK);
    assert_int_equal(
        node_stream_write(net.node[A].node, s, (struct slice){(const uint8_t *)"hello", 5}, &taken),
        QUDAG_OK);
    assert_int_equal(taken, 5);
    return s;
}

static bool linked(size_t a, size_t b, bool relayed)
{
    struct link_info info;

    for (size_t it = 0;
         swarm_peer_link_next(net.node[a].node->swarm, &net.node[b].peer, &it, &info);) {
        if (((info.props & LINK_RELAYED) != 0) == relayed) {
            return true;
        }
    }
    return false;
}

static bool lists(size_t ix, const char *proto)
{
    const struct identify_msg *self = &net.node[ix].node->identify.self;

    for (size_t i = 0; i < self->n_protos; i++) {
        if (strcmp(self->proto[i], proto) == 0) {
            return true;
        }
    }
    return false;
}

static void a_stream_is_opened_to_a_peer_of_which_only_the_id_is_known(void **state)
{
    (void)state;

    two_homes();
    assert_int_equal(held(A), 0); /* nobody is to reach it: it has no places, and tells nothing */
    assert_int_equal(net.node[A].node->published.said, 0);
    assert_int_equal(net.node[A].node->identify.self.n_addrs, 0);
    assert_false(lists(A, MEET_PROTOCOL) || lists(A, DCUTR_PROTOCOL)); /* it meets nobody */
    assert_true(lists(B, MEET_PROTOCOL) && lists(B, DCUTR_PROTOCOL));
    for (size_t i = 0; i < RELAYS; i++) { /* B chose its relays, nobody named them */
        assert_false(node_may_meet(net.node[B].node, &net.node[i].peer));
    }
    (void)call();
    assert_true(nt_run(&net, 10 * NS_PER_S, got_back));
    assert_int_equal(net.node[A].closed, 0);
    assert_int_equal(net.node[B].got, 5);
    assert_int_equal(net.node[A].got, 5);
    assert_true(linked(A, B, true) && linked(B, A, true));
    assert_false(linked(A, B, false));
    assert_true(lists(A, MEET_PROTOCOL) && lists(A, DCUTR_PROTOCOL));
    assert_true(node_may_meet(net.node[A].node, &net.node[B].peer));
}

static void what_is_said_first_arrives_within_three_round_trips(void **state)
{
    struct node_request r = {.kind = NODE_OP_FIND_PEER};
    (void)state;

    two_homes();
    r.peer = net.node[B].peer;
    size_t ask = nt_ask(&net.node[A], &r);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[A].ask[ask].err, QUDAG_OK);
    assert_int_equal(net.node[A].ask[ask].res.n_peers, 1);
    tstamp begun = net.now;
    (void)call();
    assert_true(nt_run(&net, 10 * NS_PER_S, came));
    tstamp first = net.now - begun;
    assert_true(nt_run(&net, 10 * NS_PER_S, got_back));
    tstamp back = net.now - begun;
    print_message("first byte after %.1f, its echo after %.1f round trips\n",
                  (double)first / (double)PATH_RTT, (double)back / (double)PATH_RTT);
    assert_true(first <= 2 * PATH_RTT); /* with what completes the handshake */
    assert_true(back <= 5 * PATH_RTT / 2);
}

static bool a_is_unsure(struct nt *nt)
{
    return nt->node[A].node->unsure > 0;
}

static bool a_heard(struct nt *nt)
{
    return nt->node[A].opened + nt->node[A].closed > 0;
}

/* Its bytes are on the way before the peer has taken the link; the program hears of a stream then only. */
static void a_stream_is_open_when_the_peer_has_taken_the_link(void **state)
{
    struct node_stream_info info;
    (void)state;

    two_homes();
    struct ref s = call();
    assert_true(nt_run(&net, 10 * NS_PER_S, a_is_unsure));
    assert_false(linked(A, B, true) || a_heard(&net));
    assert_int_equal(node_stream_info_get(net.node[A].node, s, &info), QUDAG_OK);
    assert_false(info.open);
    assert_true(nt_run(&net, 10 * NS_PER_S, a_heard));
    assert_true(linked(A, B, true));
    assert_int_equal(net.node[A].opened, 1);
    assert_int_equal(net.node[A].node->unsure, 0);
    assert_int_equal(node_stream_info_get(net.node[A].node, s, &info), QUDAG_OK);
    assert_true(info.open);
    assert_true(nt_run(&net, 10 * NS_PER_S, got_back));
    assert_int_equal(net.node[A].opened, 1);
}

static void a_peer_that_does_not_take_the_link_was_never_open(void **state)
{
    (void)state;

    two_homes();
    (void)call();
    assert_true(nt_run(&net, 10 * NS_PER_S, a_is_unsure));
    node_shutdown(net.node[B].node, net.now);
    assert_true(nt_run(&net, 30 * NS_PER_S, a_heard));
    assert_int_equal(net.node[A].opened, 0);
    assert_int_equal(net.node[A].closed, 1);
    assert_true(net.node[A].closed_why != QUDAG_OK);
    assert_int_equal(net.node[A].node->unsure, 0);
}

static void a_ping_over_a_relay_is_answered_after_two_round_trips_and_a_half(void **state)
{
    struct node_request r = {.kind = NODE_OP_FIND_PEER};
    (void)state;

    two_homes();
    r.peer = net.node[B].peer;
    (void)nt_ask(&net.node[A], &r);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    tstamp begun = net.now;
    r.kind = NODE_OP_PING;
    size_t ask = nt_ask(&net.node[A], &r);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[A].ask[ask].err, QUDAG_OK);
    print_message("ping after %.1f round trips\n", (double)(net.now - begun) / (double)PATH_RTT);
    assert_true(net.now - begun <= 5 * PATH_RTT / 2);
}

/* A search names first where nobody answers, then the relays: these are tried beside it. */
static void an_address_that_is_dead_does_not_hold_up_those_found_later(void **state)
{
    struct node_request r = {.kind = NODE_OP_FIND_PEER};
    struct netaddr nobody = {4, {66, 6, 6, 6}, 4001, 0};
    struct multiaddr ma;
    (void)state;

    two_homes();
    r.peer = net.node[B].peer;
    multiaddr_quic(&ma, &nobody, NULL);
    swarm_addr_add(net.node[A].node->swarm, &r.peer, &ma);
    tstamp begun = net.now;
    (void)call();
    (void)nt_ask(&net.node[A], &r);
    assert_true(nt_run(&net, 30 * NS_PER_S, got_back));
    assert_int_equal(net.node[A].got, 5);
    assert_true(net.now - begun < NS_PER_S);
}

/* Nobody asks for a search: where the peer was it is no more. */
static void a_peer_that_is_not_where_it_was_is_looked_for_beside_the_dial(void **state)
{
    struct netaddr nobody = {4, {66, 6, 6, 6}, 4001, 0};
    struct multiaddr ma;
    (void)state;

    two_homes();
    multiaddr_quic(&ma, &nobody, NULL);
    swarm_addr_add(net.node[A].node->swarm, &net.node[B].peer, &ma);
    tstamp begun = net.now;
    (void)call();
    assert_true(nt_run(&net, 30 * NS_PER_S, got_back));
    assert_int_equal(net.node[A].got, 5);
    assert_true(net.now - begun < 3 * NS_PER_S / 2);
}

/* By its id alone; a path that is shown and never becomes direct would say nothing of the routers. */
static void whom_the_program_pings_may_be_met(void **state)
{
    struct node_request r = {.kind = NODE_OP_PING};
    (void)state;

    two_homes();
    struct node *a = net.node[A].node;
    r.peer = net.node[B].peer;
    assert_false(node_may_meet(a, &r.peer));
    size_t ask = nt_ask(&net.node[A], &r);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[A].ask[ask].err, QUDAG_OK);
    assert_true(node_may_meet(a, &r.peer));
    assert_false(node_may_meet(net.node[B].node, &net.node[A].peer));
}

static void the_death_of_a_relay_costs_seconds_and_is_told(void **state)
{
    struct multiaddr before[NODE_RELAYED_ADDRS];
    size_t dead = 0;
    (void)state;

    two_homes();
    struct node *b = net.node[B].node;
    memcpy(before, b->through.addr, sizeof(before));
    uint64_t said = b->published.said;
    while (dead < RELAYS) {
        const struct autorelay_relay *r = autorelay_get(&b->autorelay, &net.node[dead].peer);
        if (r != NULL && r->state == AUTORELAY_HELD) {
            break;
        }
        dead++;
    }
    assert_true(dead < RELAYS);
    node_shutdown(net.node[dead].node, net.now); /* as a host that is turned off in good order */
    (void)nt_run(&net, NS_PER_S, NULL);
    (void)nt_free(&net, dead);
    tstamp begun = net.now;
    assert_true(nt_run(&net, 20 * NS_PER_S, b_has_places));
    assert_true(net.now - begun < 5 * NS_PER_S);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_true(b->published.said != said); /* the DHT has the new addresses */
    (void)call();
    assert_true(nt_run(&net, 30 * NS_PER_S, got_back));
    assert_int_equal(net.node[A].got, 5);
}

static void a_node_that_only_uses_circuits_wants_no_places_and_serves_none(void **state)
{
    struct peer_id self;
    (void)state;

    for (size_t i = 0; i < RELAYS; i++) {
        relay(i, i < 3 ? NODE_SERVES_AUTO : NODE_SERVES_NO);
    }
    home(A, false, true);
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    self = net.node[A].peer;
    assert_int_equal(held(A), 0);
    assert_int_equal(net.node[A].node->published.said, 0);
    assert_int_equal(net.node[A].node->identify.self.n_addrs, 0);
    assert_false(node_relay_serves(net.node[A].node));
    for (size_t i = 0; i < RELAYS; i++) { /* and those that can be dialled are relays */
        assert_int_equal(node_relay_serves(net.node[i].node), i < 3);
        assert_true(net.node[i].node->hop == NULL || !hop_reserved(net.node[i].node->hop, &self));
        assert_int_equal(held(i), 0);
    }
}

static bool one_is_released(struct nt *nt)
{
    return nt->node[A].node->finds.n_held < 2;
}

/* Each stream waits for its own peer, whatever is found first. */
static void who_waits_for_a_peer_waits_for_that_one(void **state)
{
    struct ref s;
    (void)state;

    two_homes();
    const struct node *a = net.node[A].node;
    nt_identity(&net, 9); /* never made */
    assert_int_equal(node_stream_open_peer(net.node[A].node, &net.node[9].peer, PROTO, &s),
                     QUDAG_OK);
    (void)call();
    (void)nt_run(&net, NS_PER_MS, NULL);
    assert_int_equal(a->finds.n_held, 2);
    assert_true(nt_run(&net, 60 * NS_PER_S, one_is_released));
    assert_int_equal(a->finds.n_held, 1);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(a->finds.n_held, 0);
    assert_int_equal(net.node[A].got, 5);
    assert_int_equal(net.node[A].closed, 1);
}

static void nobody_is_found_where_nobody_is(void **state)
{
    struct node_request r = {.kind = NODE_OP_FIND_PEER};
    struct ref s;
    (void)state;

    two_homes();
    nt_identity(&net, 9); /* never made */
    r.peer = net.node[9].peer;
    size_t ask = nt_ask(&net.node[A], &r), same = nt_ask(&net.node[A], &r);
    assert_int_equal(node_stream_open_peer(net.node[A].node, &net.node[9].peer, PROTO, &s),
                     QUDAG_OK);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(net.node[A].ask[ask].ends, 1);
    assert_int_equal(net.node[A].ask[same].ends, 1);
    assert_int_equal(net.node[A].ask[ask].err, QUDAG_ENOTFOUND);
    assert_int_equal(net.node[A].closed, 1);
    assert_int_equal(net.node[A].closed_why, QUDAG_EUNREACHABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_stream_is_opened_to_a_peer_of_which_only_the_id_is_known),
        NT_TEST(what_is_said_first_arrives_within_three_round_trips),
        NT_TEST(a_stream_is_open_when_the_peer_has_taken_the_link),
        NT_TEST(a_peer_that_does_not_take_the_link_was_never_open),
        NT_TEST(a_ping_over_a_relay_is_answered_after_two_round_trips_and_a_half),
        NT_TEST(an_address_that_is_dead_does_not_hold_up_those_found_later),
        NT_TEST(a_peer_that_is_not_where_it_was_is_looked_for_beside_the_dial),
        NT_TEST(whom_the_program_pings_may_be_met),
        NT_TEST(the_death_of_a_relay_costs_seconds_and_is_told),
        NT_TEST(a_node_that_only_uses_circuits_wants_no_places_and_serves_none),
        NT_TEST(who_waits_for_a_peer_waits_for_that_one),
        NT_TEST(nobody_is_found_where_nobody_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
