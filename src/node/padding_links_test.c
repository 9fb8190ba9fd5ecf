/*
 * padding_links_test.c - links to the first relays of circuits, padded against records of flows: taken on the wire of
 * whole nodes, how long they are silent, for how long they are padded, and what it costs.
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define CLIENT 7
#define SLACK (NS_PER_S / 10) /* a round trip */

/* What a router notes of the client's link with each node: the longest gap in each direction, and bytes. */
static struct flow {
    tstamp last[2];
    uint64_t gap[2], bytes, packets;
} flow[NT_NODES];

static size_t guard; /* index of the first relay */

static void watch(struct nt *nt, const struct nt_pkt *p)
{
    for (size_t i = 0; i < CLIENT; i++) {
        const struct netaddr *self = &nt->node[CLIENT].addr, *other = &nt->node[i].addr;
        bool out = netaddr_eq(&p->from, self) && netaddr_eq(&p->to, other);
        if (!out && !(netaddr_eq(&p->to, self) && netaddr_eq(&p->from, other))) {
            continue;
        }
        size_t dir = out ? 0 : 1;
        uint64_t gap = nt->now - flow[i].last[dir];
        flow[i].gap[dir] = gap > flow[i].gap[dir] ? gap : flow[i].gap[dir];
        flow[i].last[dir] = nt->now;
        flow[i].bytes += p->len;
        flow[i].packets++;
    }
}

/* Watches for |ns|; a gap at the end counts too. */
static void look(uint64_t ns)
{
    for (size_t i = 0; i < CLIENT; i++) {
        flow[i] = (struct flow){.last = {net.now, net.now}};
    }
    net.watch = watch;
    (void)nt_run(&net, ns, NULL);
    net.watch = NULL;
    for (size_t i = 0; i < CLIENT; i++) {
        for (size_t dir = 0; dir < 2; dir++) {
            uint64_t gap = net.now - flow[i].last[dir];
            flow[i].gap[dir] = gap > flow[i].gap[dir] ? gap : flow[i].gap[dir];
        }
    }
}

/* The longest silence of the guard's link. */
static uint64_t silence(void)
{
    return flow[guard].gap[0] > flow[guard].gap[1] ? flow[guard].gap[0] : flow[guard].gap[1];
}

static struct ref build(void)
{
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    struct nt_node *t = &net.node[CLIENT];
    struct onion_info info;

    t->n_asks = 0;
    assert_int_equal(nt_ask(t, &r), 0);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    assert_int_equal(t->ask[0].err, QUDAG_OK);
    struct ref c = t->ask[0].res.circuit;
    assert_int_equal(onion_info_get(node_onion(t->node), c, &info), QUDAG_OK);
    for (size_t i = 0; i < CLIENT; i++) {
        guard = peer_id_eq(&net.node[i].peer, &info.path[0]) ? i : guard;
    }
    return c;
}

static void begin(enum node_padding how, bool relay)
{
    struct node_config c = nt_config(&net, CLIENT);

    nt_join(CLIENT);
    nt_boot(&net, &c, 0);
    c.relay = relay;
    c.dht_server = relay;
    c.padding = how;
    nt_begin(CLIENT, &c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
}

static void stop(struct ref c)
{
    assert_int_equal(node_circuit_close(net.node[CLIENT].node, c), QUDAG_OK);
}

/* In which time from now the guard's link is silent for longer than |most| for the first time; 0: not in |at_most|. */
static uint64_t padded_for(uint64_t most, uint64_t at_most)
{
    tstamp from = net.now;

    while (net.now - from < at_most) {
        look(30 * NS_PER_S);
        if (silence() > most) {
            return net.now - from;
        }
    }
    return 0;
}

static void check(enum node_padding how, uint64_t most_ms, uint64_t kb_least, uint64_t kb_most)
{
    uint64_t most = most_ms * NS_PER_MS + SLACK, keep = how == NODE_PADDING_FULL ? 1800 : 600;

    begin(how, false);
    struct ref c = build();
    (void)nt_run(&net, 15 * NS_PER_S, NULL);
    look(480 * NS_PER_S); /* an idle circuit lives longer than that */
    assert_in_range(silence(), most / 2, most);
    unsigned others = 0;
    for (size_t i = 0; i < CLIENT; i++) {
        others += i != guard && flow[i].packets > 0 ? 1 : 0;
        assert_true(i == guard || flow[i].gap[0] > 15 * NS_PER_S);
    }
    assert_true(others >= 1);
    stop(c);
    (void)nt_run(&net, 15 * NS_PER_S, NULL);
    look(keep / 4 * NS_PER_S); /* nothing else happens on it */
    assert_in_range(silence(), most / 2, most);
    uint64_t kb = flow[guard].bytes * 3600 / (keep / 4) / 1000;
    print_message("%llu KB an hour\n", (unsigned long long)kb);
    assert_in_range(kb, kb_least, kb_most);
    uint64_t more = padded_for(most, 3600 * NS_PER_S);
    print_message("padded for %llu s more\n", (unsigned long long)(more / NS_PER_S));
    assert_in_range(more, keep / 4 * NS_PER_S - 60 * NS_PER_S,
                    keep * 3 / 4 * NS_PER_S + 60 * NS_PER_S);
    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        assert_int_equal(net.node[CLIENT].node->padded_links.v[i].peer.len, 0);
    }
    look(900 * NS_PER_S); /* keep-alive at most, and the DHT's own business */
    print_message("then %llu KB an hour\n", (unsigned long long)(flow[guard].bytes * 4 / 1000));
    assert_true(silence() > 18 * NS_PER_S);
    assert_in_range(flow[guard].bytes * 4 / 1000, 0, kb * 3 / 4);
}

static void an_idle_link_to_a_guard_is_padded_for_a_bounded_time(void **state)
{
    (void)state;
    check(NODE_PADDING_FULL, 9500, 800, 1200);
}

static void reduced_padding_costs_less_and_ends_sooner(void **state)
{
    (void)state;
    check(NODE_PADDING_REDUCED, 14000, 400, 700);
}

static void a_guard_used_again_is_padded_on(void **state)
{
    (void)state;
    begin(NODE_PADDING_FULL, false);
    stop(build());
    for (unsigned i = 0; i < 4; i++) { /* 40 minutes in all */
        look(600 * NS_PER_S);
        assert_in_range(silence(), 5 * NS_PER_S, 9500 * NS_PER_MS + SLACK);
        stop(build());
    }
}

/* The stream that keeps the link is opened again when it was ended, but not at once. */
static void a_link_that_was_lost_is_padded_again_with_the_next_circuit(void **state)
{
    struct node_padded *p = NULL;

    (void)state;
    begin(NODE_PADDING_FULL, false);
    stop(build());
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        struct node_padded *v = &net.node[CLIENT].node->padded_links.v[i];
        p = peer_id_eq(&v->peer, &net.node[guard].peer) ? v : p;
    }
    assert_non_null(p);
    assert_false(ref_none(p->strm));
    node_disconnect(net.node[CLIENT].node, &net.node[guard].peer);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_true(ref_none(p->strm));
    struct ref c = build();
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_true(ref_none(p->strm));
    stop(c);
    (void)nt_run(&net, 90 * NS_PER_S, NULL);
    assert_false(ref_none(p->strm));
    look(600 * NS_PER_S);
    assert_in_range(silence(), 5 * NS_PER_S, 9500 * NS_PER_MS + SLACK);
}

/* There is a limit, and who gives way is the one unused for longest. */
static void of_many_first_relays_four_are_padded(void **state)
{
    static const size_t used[] = {0, 1, 2, 3, 0, 4};
    struct node *n;

    (void)state;
    begin(NODE_PADDING_FULL, false);
    n = net.node[CLIENT].node;
    for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
        struct node_circuit c = {.path = {{.peer = net.node[used[i]].peer}}};
        (void)nt_run(&net, 15 * NS_PER_S, NULL);
        node_padding_link(n, &c);
    }
    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        assert_int_not_equal(n->padded_links.v[i].peer.len, 0);
        assert_false(peer_id_eq(&n->padded_links.v[i].peer, &net.node[1].peer));
    }
    look(300 * NS_PER_S);
    assert_true(flow[1].packets == 0 || flow[1].gap[0] > 12 * NS_PER_S);
}

static void without_padding_the_link_falls_silent(void **state)
{
    (void)state;
    begin(NODE_PADDING_NONE, false);
    struct ref c = build();
    (void)nt_run(&net, 15 * NS_PER_S, NULL);
    look(300 * NS_PER_S);
    assert_true(silence() > 15 * NS_PER_S);
    stop(c);
}

/* Others' circuits are cover, and padding would name its guards. */
static void a_relay_pads_no_link(void **state)
{
    (void)state;
    begin(NODE_PADDING_FULL, true);
    struct ref c = build();
    (void)nt_run(&net, 15 * NS_PER_S, NULL);
    look(300 * NS_PER_S);
    assert_true(silence() > 12 * NS_PER_S);
    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        assert_int_equal(net.node[CLIENT].node->padded_links.v[i].peer.len, 0);
    }
    stop(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(an_idle_link_to_a_guard_is_padded_for_a_bounded_time),
        NT_TEST(reduced_padding_costs_less_and_ends_sooner),
        NT_TEST(a_guard_used_again_is_padded_on),
        NT_TEST(a_link_that_was_lost_is_padded_again_with_the_next_circuit),
        NT_TEST(of_many_first_relays_four_are_padded),
        NT_TEST(without_padding_the_link_falls_silent),
        NT_TEST(a_relay_pads_no_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
