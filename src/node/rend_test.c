/*
 * rend_test.c - whole nodes: a relay passes introductions on and joins circuits of two others; only where it is a relay
 * is it one, and it says so nowhere else.
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

#define CALLER 0
#define SERVICE 5
#define NODES 6
#define PATHS 40 /* drawn until one ends at the relay wanted */

/* The last report of each kind to whoever asked. */
struct heard {
    unsigned times;
    qudag_err err;
    uint64_t n;
    uint8_t data[REND_HS_LEN];
    size_t len;
};
static struct heard introduced[INTRODUCE_UP_DONE + 1], met[RENDEZVOUS_UP_MET + 1];

static void hear(struct heard *h, const struct act *a)
{
    h->times++;
    h->err = a->err;
    h->n = a->n;
    h->len = a->data.len < sizeof h->data ? a->data.len : sizeof h->data;
    if (h->len > 0) {
        memcpy(h->data, a->data.base, h->len);
    }
}

static void on_introduce(struct node *n, const struct act *a, tstamp now)
{
    (void)n;
    (void)now;
    hear(&introduced[a->kind], a);
}

static void on_rendezvous(struct node *n, const struct act *a, tstamp now)
{
    (void)n;
    (void)now;
    hear(&met[a->kind], a);
}

/* Six nodes; what the first and the last ask is reported here. */
static void network(void)
{
    static const size_t asking[] = {CALLER, SERVICE};

    memset(introduced, 0, sizeof introduced);
    memset(met, 0, sizeof met);
    nt_join(NODES);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    for (size_t i = 0; i < ARRAY_LEN(asking); i++) {
        struct node *n = net.node[asking[i]].node;
        n->core[n->ix.introduce].report = on_introduce;
        n->core[n->ix.rendezvous].report = on_rendezvous;
    }
}

static void settle(void)
{
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
}

static struct peer_id last_of(size_t from, struct ref circuit)
{
    struct onion_info info;

    assert_int_equal(onion_info_get(net.node[from].node->onion, circuit, &info), QUDAG_OK);
    assert_int_equal(info.hops, 3);
    return info.path[2];
}

static struct ref circuit_of(size_t from)
{
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    struct nt_node *t = &net.node[from];

    t->n_asks = 0;
    size_t at = nt_ask(t, &r);
    assert_int_equal(at, 0);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
    assert_int_equal(t->ask[0].err, QUDAG_OK);
    return t->ask[0].res.circuit;
}

/* A circuit of node |from| to |relay|; false: none of those drawn ends there, its guard may be that one. */
static bool circuit_to(size_t from, const struct peer_id *relay, struct ref *out)
{
    for (int i = 0; i < PATHS; i++) {
        *out = circuit_of(from);
        struct peer_id last = last_of(from, *out);
        if (peer_id_eq(&last, relay)) {
            return true;
        }
        assert_int_equal(node_circuit_close(net.node[from].node, *out), QUDAG_OK);
    }
    return false;
}

/* A relay that both have a circuit to; where it is. */
static size_t meeting_place(struct ref *caller, struct ref *service)
{
    for (int i = 0; i < 8; i++) {
        *caller = circuit_of(CALLER);
        struct peer_id last = last_of(CALLER, *caller);
        if (!peer_id_eq(&last, &net.node[SERVICE].peer) && circuit_to(SERVICE, &last, service)) {
            for (size_t k = 0; k < NODES; k++) {
                if (peer_id_eq(&last, &net.node[k].peer)) {
                    return k;
                }
            }
        }
        assert_int_equal(node_circuit_close(net.node[CALLER].node, *caller), QUDAG_OK);
    }
    fail_msg("no relay is at the end of circuits of both");
    return 0;
}

/* Circuits that end at node |ix| and are joined. */
static unsigned joined_at(size_t ix)
{
    struct onion_info info;
    unsigned joined = 0;

    for (size_t it = 0; onion_next(net.node[ix].node->onion, &it, &info);) {
        joined += info.role == ONION_END && info.joined;
    }
    return joined;
}

static bool is_there(size_t ix, struct ref circuit)
{
    struct onion_info info;

    return onion_info_get(net.node[ix].node->onion, circuit, &info) == QUDAG_OK &&
           info.state == ONION_OPEN;
}

/* ---- what both sides ask ---- */

static qudag_err establish(struct ref circuit, const struct secret_ed25519 *sk)
{
    uint8_t binding[REND_BINDING_LEN];
    struct node *n = net.node[SERVICE].node;

    assert_int_equal(onion_binding(n->onion, circuit, binding), QUDAG_OK);
    struct introduce_point p = {.circuit = circuit, .cookie = 1, .sk = sk, .binding = binding};
    qudag_err err = introduce_establish(n->introduce, &p, net.now, node_begin(n));
    node_end(n, n->ix.introduce);
    return err;
}

static qudag_err introduce(struct ref circuit, const uint8_t key[ED25519_PK_LEN],
                           const uint8_t handshake[REND_HS_LEN])
{
    struct node *n = net.node[CALLER].node;
    struct introduce_call c = {
        .circuit = circuit, .cookie = 2, .intro_key = key, .handshake = handshake};
    qudag_err err = introduce_send(n->introduce, &c, net.now, node_begin(n));

    node_end(n, n->ix.introduce);
    return err;
}

static const uint8_t cookie[REND_COOKIE_LEN] = {0xc0, 1};
static uint8_t created[REND_CREATED_LEN];

static qudag_err wait_at(size_t ix, struct ref circuit)
{
    struct node *n = net.node[ix].node;
    struct rendezvous_request q = {.circuit = circuit, .cookie = 3, .meeting = cookie};
    qudag_err err = rendezvous_wait(n->rendezvous, &q, net.now, node_begin(n));

    node_end(n, n->ix.rendezvous);
    return err;
}

static qudag_err meet_from(size_t ix, struct ref circuit)
{
    struct node *n = net.node[ix].node;
    struct rendezvous_request q = {
        .circuit = circuit, .cookie = 4, .meeting = cookie, .created = created};
    qudag_err err = rendezvous_meet(n->rendezvous, &q, net.now, node_begin(n));

    node_end(n, n->ix.rendezvous);
    return err;
}

static struct ref carry(size_t ix, struct ref carrier)
{
    static struct onion_hs_keys keys = {.fwd = {1}, .back = {2}, .binding = {3}};
    struct node *n = net.node[ix].node;
    struct onion_carry want = {.carrier = carrier, .end = ix == SERVICE, .tag = 9, .keys = &keys};
    struct ref carried;

    assert_int_equal(onion_carry(n->onion, &want, net.now, &carried), QUDAG_OK);
    return carried;
}

/* ---- tests ---- */

static void a_relay_passes_introductions_on(void **state)
{
    struct ref caller, service, again;
    struct secret_ed25519 sk;
    uint8_t key[ED25519_PK_LEN], handshake[REND_HS_LEN];
    struct rng rng = rng_of_stream(&net.stream);
    (void)state;

    network();
    assert_int_equal(ed25519_keygen(&sk, key, &rng), QUDAG_OK);
    rng_fill(&rng, handshake, sizeof handshake);
    size_t relay = meeting_place(&caller, &service);
    assert_int_equal(establish(service, &sk), QUDAG_OK);
    settle();
    assert_int_equal(introduced[INTRODUCE_UP_ESTABLISHED].times, 1);
    assert_int_equal(introduce(caller, key, handshake), QUDAG_OK);
    settle();
    const struct heard *done = &introduced[INTRODUCE_UP_DONE];
    assert_int_equal(done->times, 1);
    assert_int_equal(done->err, QUDAG_OK);
    assert_int_equal(done->n, REND_DONE);
    const struct heard *request = &introduced[INTRODUCE_UP_REQUEST];
    assert_int_equal(request->times, 1);
    assert_int_equal(request->len, REND_HS_LEN);
    assert_memory_equal(request->data, handshake, REND_HS_LEN);

    /* The point goes with its circuit. */
    assert_int_equal(node_circuit_close(net.node[SERVICE].node, service), QUDAG_OK);
    settle();
    assert_int_equal(introduced[INTRODUCE_UP_ENDED].times, 1);
    assert_true(circuit_to(CALLER, &net.node[relay].peer, &again));
    assert_int_equal(introduce(again, key, handshake), QUDAG_OK);
    settle();
    assert_int_equal(done->times, 2);
    assert_int_equal(done->n, REND_UNKNOWN);
}

/* ESTABLISH counts on the circuit it was signed for. */
static void a_point_is_established_on_the_circuit_that_was_signed(void **state)
{
    struct ref caller, service;
    struct secret_ed25519 sk;
    uint8_t key[ED25519_PK_LEN], other[REND_BINDING_LEN] = {1};
    struct rng rng = rng_of_stream(&net.stream);
    struct introduce_stats st;
    (void)state;

    network();
    assert_int_equal(ed25519_keygen(&sk, key, &rng), QUDAG_OK);
    size_t relay = meeting_place(&caller, &service);
    struct node *n = net.node[SERVICE].node;
    struct introduce_point p = {.circuit = service, .cookie = 1, .sk = &sk, .binding = other};
    assert_int_equal(introduce_establish(n->introduce, &p, net.now, node_begin(n)), QUDAG_OK);
    node_end(n, n->ix.introduce);
    settle();
    assert_int_equal(introduced[INTRODUCE_UP_ESTABLISHED].times, 0);
    assert_int_equal(introduced[INTRODUCE_UP_ENDED].times, 1);
    introduce_stats_get(net.node[relay].node->introduce, &st);
    assert_int_equal(st.established, 0);
}

static void a_relay_joins_the_circuits_of_two_others(void **state)
{
    struct ref caller, service;
    (void)state;

    network();
    created[0] = 0x77;
    size_t relay = meeting_place(&caller, &service);
    assert_int_equal(wait_at(CALLER, caller), QUDAG_OK);
    settle();
    assert_int_equal(met[RENDEZVOUS_UP_WAITING].times, 1);
    assert_int_equal(meet_from(SERVICE, service), QUDAG_OK);
    (void)carry(SERVICE, service);
    settle();
    const struct heard *got = &met[RENDEZVOUS_UP_CREATED];
    assert_int_equal(got->times, 1);
    assert_int_equal(got->err, QUDAG_OK);
    assert_int_equal(got->len, REND_CREATED_LEN);
    assert_memory_equal(got->data, created, REND_CREATED_LEN);
    assert_int_equal(met[RENDEZVOUS_UP_MET].times, 1);
    assert_int_equal(met[RENDEZVOUS_UP_MET].err, QUDAG_OK);
    assert_int_equal(met[RENDEZVOUS_UP_MET].n, REND_DONE);
    assert_int_equal(joined_at(relay), 2);

    /* A stream from one end to the other. */
    struct padding_stats before, after;
    struct node *n = net.node[CALLER].node;
    struct padding_wanted wanted = {.circuit = carry(CALLER, caller)};
    padding_stats_get(net.node[SERVICE].node->padding, &before);
    assert_int_equal(padding_exchange(n->padding, &wanted, net.now, node_begin(n)), QUDAG_OK);
    node_end(n, n->ix.padding);
    settle();
    padding_stats_get(net.node[SERVICE].node->padding, &after);
    assert_int_equal(after.answered, before.answered + 1);

    /* They end together. */
    assert_int_equal(node_circuit_close(n, caller), QUDAG_OK);
    settle();
    assert_false(is_there(SERVICE, service));
    assert_int_equal(joined_at(relay), 0);
}

/* The one circuit that ends at node |ix| and has a stream. */
static struct ref waiting_at(size_t ix)
{
    struct onion_info info;
    struct ref found = {0, 0};

    for (size_t it = 0; onion_next(net.node[ix].node->onion, &it, &info);) {
        if (info.role == ONION_END && info.streams > 0) {
            assert_true(ref_none(found));
            found = info.circuit;
        }
    }
    assert_false(ref_none(found));
    return found;
}

/* What cannot be joined is not left waiting for cells that never come. */
static void both_circuits_end_when_they_cannot_be_joined(void **state)
{
    struct ref side[2];
    static const size_t whose[2] = {CALLER, SERVICE};
    (void)state;

    network();
    size_t relay = meeting_place(&side[0], &side[1]);
    struct node *n = net.node[relay].node;
    for (unsigned i = 0; i < 2; i++) { /* the other one is gone */
        struct rendezvous_pair pair = {.caller = {0xffff, 3}, .service = {0xffff, 3}};
        struct act join = {.type = ACT_UP, .kind = RENDEZVOUS_UP_JOIN, .ptr = &pair};
        assert_int_equal(wait_at(whose[i], side[i]), QUDAG_OK);
        settle();
        *(i == 0 ? &pair.caller : &pair.service) = waiting_at(relay);
        n->core[n->ix.rendezvous].report(n, &join, net.now);
        settle();
        assert_false(is_there(whose[i], side[i]));
        assert_int_equal(met[RENDEZVOUS_UP_CREATED].times, i + 1);
        assert_int_not_equal(met[RENDEZVOUS_UP_CREATED].err, QUDAG_OK);
        assert_true(i == 1 || is_there(whose[1], side[1]));
    }
}

/* Who looks for the node of a dark address among the relays gets the same from all of them. */
static void a_relay_is_none_at_its_dark_addresses(void **state)
{
    struct dark_addr addr;
    struct ref s, to_address;
    struct node_stream_info info = {.open = false};
    struct rendezvous_stats rs;
    struct gateway_stats gs, gs_before;
    (void)state;

    network();
    struct node *n = net.node[SERVICE].node, *c = net.node[CALLER].node;
    assert_int_equal(node_serve(n, "/echo/1"), QUDAG_OK);
    assert_int_equal(node_dark_create(n, &nt_direct, "shop", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    size_t at = nt_ask(&net.node[SERVICE], &r);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[SERVICE].ask[at].err, QUDAG_OK);
    assert_int_equal(nt_open_dark(c, &addr, "/echo/1", &s), QUDAG_OK);
    for (int i = 0; i < 1000 && !info.open; i++) {
        (void)nt_run(&net, 50 * NS_PER_MS, NULL);
        assert_int_equal(node_stream_info_get(c, s, &info), QUDAG_OK);
    }
    to_address = info.circuit;
    gateway_stats_get(n->gateway, &gs_before);

    assert_int_equal(wait_at(CALLER, to_address), QUDAG_OK);
    settle();
    assert_int_equal(met[RENDEZVOUS_UP_WAITING].times, 0);
    assert_int_equal(met[RENDEZVOUS_UP_CREATED].times, 1);
    rendezvous_stats_get(n->rendezvous, &rs);
    assert_int_equal(rs.waiting, 0);
    struct gateway_request get = {
        .circuit = to_address, .key = {(const uint8_t *)DHT_SAMPLE_KEY, sizeof DHT_SAMPLE_KEY - 1}};
    assert_int_equal(gateway_get(c->gateway, &get, net.now, node_begin(c)), QUDAG_OK);
    node_end(c, c->ix.gateway);
    settle();
    gateway_stats_get(n->gateway, &gs);
    assert_int_equal(gs.served, gs_before.served);
}

/* As the program's services do with what came to no address of theirs. */
static void refuse(struct nt_node *t, const char *what, struct ref s)
{
    if (strcmp(what, "stream_in") == 0) {
        node_stream_reset(t->node, s, QUDAG_EUNSUPPORTED);
    }
}

/* Cells of |circuit|, both ways, that it takes the relay at its end to answer an opening of |proto| with no. */
static uint64_t cells_of_no(struct ref circuit, const char *proto)
{
    struct nt_node *t = &net.node[CALLER];
    struct onion_info before, after;
    struct ref s;

    settle();
    t->opened = t->closed = 0;
    assert_int_equal(onion_info_get(t->node->onion, circuit, &before), QUDAG_OK);
    assert_int_equal(node_stream_open_circuit(t->node, circuit, proto, &s), QUDAG_OK);
    settle();
    assert_int_equal(onion_info_get(t->node->onion, circuit, &after), QUDAG_OK);
    assert_int_equal(t->closed, 1);
    assert_int_equal(t->closed_why, QUDAG_EUNSUPPORTED);
    assert_int_equal(node_circuit_close(t->node, circuit), QUDAG_OK);
    return after.cells_fwd - before.cells_fwd + after.cells_back - before.cells_back;
}

/* At which node the caller's |circuit| ends. */
static size_t end_of(struct ref circuit)
{
    struct peer_id last = last_of(CALLER, circuit);
    size_t k = 0;

    while (k < NODES && !peer_id_eq(&last, &net.node[k].peer)) {
        k++;
    }
    assert_true(k < NODES);
    return k;
}

/* Else anybody could list the relays that host something. */
static void a_relay_that_hosts_answers_at_its_own_key_as_others_do(void **state)
{
    static const char proto[] = "/qudag/tunnel/1.0.0";
    struct dark_addr addr;
    (void)state;

    network();
    struct ref to_host = circuit_of(CALLER), to_other = circuit_of(CALLER);
    size_t host = end_of(to_host);
    for (int i = 0; i < PATHS && end_of(to_other) == host; i++) {
        to_other = circuit_of(CALLER);
    }
    assert_int_not_equal(end_of(to_other), host);
    net.node[host].hook = refuse;
    assert_int_equal(node_serve_dark(net.node[host].node, proto), QUDAG_OK);
    assert_int_equal(node_dark_create(net.node[host].node, &nt_direct, "shop", net.now, &addr),
                     QUDAG_OK);
    uint64_t hosts = cells_of_no(to_host, proto), other = cells_of_no(to_other, proto);
    assert_true(hosts > 0);
    assert_int_equal(hosts, other);
}

static void what_ends_at_a_dark_address_is_not_served_as_by_a_relay(void **state)
{
    struct onion_info c = {.circuit = {4, 7}, .role = ONION_END};
    (void)state;

    assert_true(node_core_at_relay(&c));
    c.tag = 1; /* at its key */
    assert_false(node_core_at_relay(&c));
    c.tag = 0;
    c.carrier = (struct ref){5, 1}; /* from a rendezvous */
    assert_false(node_core_at_relay(&c));
    c.carrier = (struct ref){0, 0};
    c.role = ONION_RELAY;
    assert_false(node_core_at_relay(&c));
    c.role = ONION_CLIENT;
    assert_false(node_core_at_relay(&c));
}

static void identify_mentions_no_protocol_of_circuits_to_points(void **state)
{
    const char *agent, *protocols;
    (void)state;

    network();
    assert_true(node_peer_agent(net.node[CALLER].node, &net.node[1].peer, &agent, &protocols));
    assert_non_null(strstr(protocols, ONION_PROTOCOL)); /* it is a relay */
    assert_null(strstr(protocols, "introduce"));
    assert_null(strstr(protocols, "rendezvous"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_relay_passes_introductions_on),
        NT_TEST(a_point_is_established_on_the_circuit_that_was_signed),
        NT_TEST(a_relay_joins_the_circuits_of_two_others),
        NT_TEST(both_circuits_end_when_they_cannot_be_joined),
        NT_TEST(a_relay_is_none_at_its_dark_addresses),
        NT_TEST(a_relay_that_hosts_answers_at_its_own_key_as_others_do),
        cmocka_unit_test(what_ends_at_a_dark_address_is_not_served_as_by_a_relay),
        NT_TEST(identify_mentions_no_protocol_of_circuits_to_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
