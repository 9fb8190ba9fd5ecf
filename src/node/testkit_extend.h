/*
 * testkit_extend.h - whole relays that are no laboratory, a victim that relays nothing, and an attacker with EXTENDs.
 * Include cmocka.h before.
 */
#ifndef QUDAG_SRC_NODE_TESTKIT_EXTEND_H
#define QUDAG_SRC_NODE_TESTKIT_EXTEND_H

#include "core/onion/circuit.h"
#include "node/internal.h"
#include "node/testkit_case.h"
#include "wire/onion_ends.h"

#define RELAYS 5
#define VICTIM 5
#define ATTACKER 6

static size_t one_host; /* nodes from this on share one */

static inline int extend_setup(void **state)
{
    one_host = NT_NODES;
    return nt_setup(state);
}

/* Node |ix| in the network 20+ix.1/16, no laboratory; a |client| relays nothing, serves nothing, announces nothing. */
static inline void make(size_t ix, bool client)
{
    struct nt_node *t = &net.node[ix];
    struct node_config c = nt_config(&net, ix);
    struct multiaddr ma;

    nt_identity(&net, ix);
    size_t host = ix < one_host ? ix : one_host;
    t->addr = (struct netaddr){4, {(uint8_t)(20 + host), 1, 0, 1}, (uint16_t)(4001 + ix - host), 0};
    struct netaddr local = client ? (struct netaddr){4, {10, 0, 0, 7}, 4001, 0} : t->addr;
    multiaddr_quic(&ma, &local, NULL);
    c.identity = &t->id;
    c.lab = false;
    c.relay = c.dht_server = !client;
    c.circuits_max = 1024;
    if (ix > 0) {
        nt_boot(&net, &c, 0);
    }
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    node_set_addrs(t->node, &ma, 1);
    node_start(t->node);
}

static inline void network(void)
{
    for (size_t i = 0; i <= ATTACKER; i++) {
        make(i, i == VICTIM);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 40 * NS_PER_S, NULL);
}

/* Node |from| extends from |relay| to |to|, whose onion keys it makes up; the EXTEND has just left. */
static inline struct ref extend_by(size_t from, size_t relay, const struct onion_hop *to, bool ends)
{
    struct node *n = net.node[from].node;
    struct onion_hop hops[2];
    struct ref ref;

    assert_true(relays_get(n->relays, &net.node[relay].peer, &hops[0]));
    hops[1] = *to;
    hops[1].service = ends;
    memcpy(hops[1].x, hops[0].x, sizeof hops[1].x);
    memcpy(hops[1].k, hops[0].k, sizeof hops[1].k);
    struct acts *out = node_begin(n);
    assert_int_equal(onion_build(n->onion, hops, 2, net.now, out, &ref), QUDAG_OK);
    node_end(n, n->ix.onion);
    for (int i = 0; i < 1000; i++) {
        const struct onion_circuit *c = slots_get(&n->onion->circuits, ref);
        assert_non_null(c);
        if (c->phase == ONION_PH_EXTEND) {
            break;
        }
        (void)nt_run(&net, NS_PER_MS, NULL);
    }
    return ref;
}

static inline struct ref extend(size_t relay, const struct onion_hop *to, bool ends)
{
    return extend_by(ATTACKER, relay, to, ends);
}

/* Whether the circuit is still there, and not on its way out. */
static inline bool alive(struct ref ref)
{
    const struct onion_circuit *c = slots_get(&net.node[ATTACKER].node->onion->circuits, ref);

    return c != NULL && c->phase != ONION_PH_CLOSING;
}

/* How long until the answer; 0: none within 30 s. */
static inline uint64_t answered_after(struct ref ref)
{
    tstamp start = net.now;

    while (alive(ref) && net.now < start + 30 * NS_PER_S) {
        (void)nt_run(&net, 5 * NS_PER_MS, NULL);
    }
    return alive(ref) ? 0 : net.now - start;
}

static inline uint64_t streams_seen(size_t ix)
{
    struct onion_stats st;

    onion_stats_get(net.node[ix].node->onion, &st);
    return st.created + st.bad_handshake + st.refused_limit + st.refused_rate;
}

/* The victim's own statement that it ends circuits, where it is. */
static inline struct onion_hop victim_says(void)
{
    struct onion_hop victim = {.n_addrs = 1};
    struct nt_node *v = &net.node[VICTIM];

    victim.peer = v->peer;
    memcpy(victim.pq_hash, v->id.pq_hash, 32);
    multiaddr_quic(&victim.addr[0], &v->addr, NULL);
    assert_int_equal(onion_ends_sign(&victim, node_wall(v->node, net.now) + 3600, &v->id),
                     QUDAG_OK);
    return victim;
}

/* An invented node that says it is at |n| third parties' addresses. */
static inline void invent(struct onion_hop *to, unsigned number, const struct netaddr *at, size_t n)
{
    static struct identity id; /* only its Ed25519 half */
    struct rng_stream stream;
    uint8_t seed[32] = {0x77, (uint8_t)number, (uint8_t)(number >> 8)};

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    assert_int_equal(ed25519_keygen(&id.ed_sk, id.ed_pk, &rng), QUDAG_OK);
    memset(to, 0, sizeof *to);
    peer_id_from_ed25519(&to->peer, id.ed_pk);
    for (size_t i = 0; i < n; i++) {
        multiaddr_quic(&to->addr[to->n_addrs++], &at[i], NULL);
    }
    assert_int_equal(onion_ends_sign(to, node_wall(net.node[0].node, net.now) + 3600, &id),
                     QUDAG_OK);
}

/* Until the victim has seen |n| CREATEs; false: not in 4 s. */
static inline bool victim_sees(uint64_t n)
{
    tstamp start = net.now;

    while (streams_seen(VICTIM) < n && net.now < start + 4 * NS_PER_S) {
        (void)nt_run(&net, NS_PER_MS, NULL);
    }
    return streams_seen(VICTIM) >= n;
}

#define EXTEND_CASE(name) cmocka_unit_test_setup_teardown(name, extend_setup, nt_teardown)

#endif
