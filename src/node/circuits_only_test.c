/*
 * circuits_only_test.c - a node that only uses circuits: all that it sends and that is sent to it, packets and the
 * protocols of its streams, for two hours in a public network behind a NAT.  Nothing of being reached is among it.
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
#include "swarm/internal.h"

#define OTHERS 7
#define IT OTHERS /* the node that is looked at */
#define WATCHED (2 * 3600 * NS_PER_S)
#define KINDS_MAX 32
#define QUIC_FIXED_BIT 0x40 /* of the first byte (RFC 9000 17); STUN and PCP have it not */

/* What was seen of the node. */
static struct {
    const char *proto[KINDS_MAX]; /* of its streams; borrowed of its swarm */
    bool inbound[KINDS_MAX];      /* begun by a peer */
    size_t n;
    unsigned sent, not_quic, other_socket, strange; /* packets; the rest is of those that it sent */
    unsigned asked; /* packets to it that are no QUIC: others' questions */
} seen;

static bool is_quic(const struct nt_pkt *p)
{
    return p->len > 0 && (p->data[0] & QUIC_FIXED_BIT) != 0;
}

static void watch_sent(const struct nt *nt, const struct nt_pkt *p)
{
    bool known = false;

    for (size_t i = 0; i < OTHERS; i++) {
        known = known || netaddr_eq(&p->to, &nt->node[i].addr);
    }
    seen.sent++;
    seen.not_quic += is_quic(p) ? 0 : 1;
    seen.other_socket += netaddr_eq(&p->from, &nt->node[IT].addr) ? 0 : 1;
    seen.strange += known ? 0 : 1; /* to a gateway, an address of the LAN, a guess */
}

static void note(const char *proto, bool inbound)
{
    for (size_t i = 0; i < seen.n; i++) {
        if (seen.inbound[i] == inbound && strcmp(seen.proto[i], proto) == 0) {
            return;
        }
    }
    assert_true(seen.n < KINDS_MAX);
    seen.proto[seen.n] = proto;
    seen.inbound[seen.n++] = inbound;
}

static void watch(struct nt *nt, const struct nt_pkt *p)
{
    const struct netaddr *own = &nt->node[IT].addr;
    bool sent = netaddr_same_ip(&p->from, own);
    struct node *n = nt->node[IT].node;

    if (n == NULL || !(sent || netaddr_same_ip(&p->to, own))) {
        return;
    }
    if (sent) {
        watch_sent(nt, p);
    } else {
        seen.asked += is_quic(p) ? 0 : 1;
    }
    for (uint32_t i = 0; i < n->swarm->streams.high; i++) {
        const struct swarm_stream *s = slots_at(&n->swarm->streams, i);
        if (s != NULL && s->proto != NULL) {
            note(s->proto, s->inbound);
        }
    }
}

static void network(bool serves)
{
    memset(&seen, 0, sizeof seen);
    net.watch = watch;
    for (size_t i = 0; i <= OTHERS; i++) {
        struct node_config c = nt_config(&net, i);
        c.relay = c.dht_server = i != IT;
        net.node[i].guarded = i == IT; /* strangers get no further than its router */
        nt_begin_public(i, &c, i == IT);
    }
    if (serves) {
        assert_int_equal(node_serve(net.node[IT].node, "/x/1"), QUDAG_OK);
    }
    assert_true(nt_run(&net, 300 * NS_PER_S, nt_all_ready));
}

/* A circuit, and a lookup through another. */
static void use_circuits(void)
{
    static const struct node_request circuit = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    uint8_t key[DARK_KEY_LEN] = DHT_DARK_PREFIX;
    struct node_request get = {.kind = NODE_OP_LOOKUP_GET, .key = {key, sizeof key}};
    struct nt_node *t = &net.node[IT];

    t->n_asks = 0;
    assert_int_equal(nt_ask(t, &circuit), 0);
    assert_non_null(node_op_new(t->node, &get));
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_asked_ended));
    assert_int_equal(t->ask[0].err, QUDAG_OK);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(node_circuit_close(t->node, t->ask[0].res.circuit), QUDAG_OK);
}

static bool contains(struct slice s, const struct peer_id *peer)
{
    for (size_t i = 0; i + peer->len <= s.len; i++) {
        if (memcmp(s.base + i, peer->b, peer->len) == 0) {
            return true;
        }
    }
    return false;
}

/* How often the DHT of nodes 0 to OTHERS - 1 names node |ix|: records under its peer id, places in routing tables. */
static size_t named_in_the_dht(size_t ix)
{
    const struct peer_id *peer = &net.node[ix].peer;
    size_t named = 0;

    for (size_t i = 0; i < OTHERS; i++) {
        const struct kad *k = net.node[i].node->kad;
        struct kad_peer_info info;
        struct slice key, value;
        walltime expires;
        for (size_t it = 0; kad_record_next(k, &it, &key, &value, &expires);) {
            named += contains(key, peer) ? 1 : 0;
        }
        for (size_t it = 0; kad_table_next(k, &it, &info);) {
            named += peer_id_eq(&info.id, peer) ? 1 : 0;
        }
    }
    return named;
}

/* What circuits need: identify, the DHT, circuits, exchanges, and the stream that keeps the guard's link. */
static bool is_of_circuits(const char *proto, bool inbound)
{
    static const char *const ours[] = {KAD_PROTOCOL, ONION_PROTOCOL, PADDING_PROTOCOL,
                                       GATEWAY_PROTOCOL, "/ipfs/ping/1.0.0"};

    for (size_t i = 0; !inbound && i < ARRAY_LEN(ours); i++) {
        if (strcmp(proto, ours[i]) == 0) {
            return true;
        }
    }
    return strcmp(proto, "/ipfs/id/1.0.0") == 0;
}

static size_t protocols_beyond_circuits(void)
{
    size_t n = 0;

    for (size_t i = 0; i < seen.n; i++) {
        if (!is_of_circuits(seen.proto[i], seen.inbound[i])) {
            print_message("%s %s\n",
                          seen.inbound[i] ? "begun by a peer:" : "begun by it:", seen.proto[i]);
            n++;
        }
    }
    return n;
}

static void nothing_of_being_reached_runs(void **state)
{
    (void)state;
    network(false);
    for (tstamp end = net.now + WATCHED; net.now < end;) {
        use_circuits();
        (void)nt_run(&net, 600 * NS_PER_S, NULL);
    }
    print_message("%u packets sent, %u questions of others\n", seen.sent, seen.asked);
    assert_true(seen.sent > 1000);
    assert_true(seen.n >= 6); /* the list is of what there is */
    assert_int_equal(protocols_beyond_circuits(), 0);
    assert_int_equal(seen.not_quic, 0); /* it neither asks by STUN or PCP nor answers */
    assert_int_equal(seen.other_socket, 0);
    assert_int_equal(seen.strange, 0);
    assert_int_equal(net.node[IT].extra_ports, 0);
    assert_int_equal(named_in_the_dht(IT), 0);
    assert_true(named_in_the_dht(1) > 0); /* a relay */
}

/* The same eyes see it in a node that peers are to reach. */
static void of_a_node_that_serves_peers_it_is_seen(void **state)
{
    (void)state;
    network(true);
    (void)nt_run(&net, WATCHED, NULL);
    assert_true(protocols_beyond_circuits() > 0);
    assert_true(seen.not_quic > 0);
    assert_true(seen.other_socket > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(nothing_of_being_reached_runs),
        NT_TEST(of_a_node_that_serves_peers_it_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
