/*
 * node_test.c - two and more whole nodes over datagrams in memory, with virtual time.
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

#define ECHO "/test/echo/1.0.0"

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static struct nt_ask *ask(size_t ix, const struct node_request *r, uint64_t ns)
{
    struct nt_node *t = &net.node[ix];
    size_t a = nt_ask(t, r);

    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, ns, nt_asked_ended));
    assert_int_equal(t->ask[a].ends, 1);
    return &t->ask[a];
}

static void the_first_of_a_network_is_ready_at_once(void **state)
{
    (void)state;
    nt_network(&net, 1);
    assert_int_equal(net.node[0].phase, NODE_READY);
    assert_false(nt_run(&net, 7200 * NS_PER_S, NULL)); /* two hours alone: at rest, no busy loop */
    assert_true(net.steps < 20000);
}

static void two_nodes_join_and_share_a_value(void **state)
{
    (void)state;
    nt_join(2);
    struct node_request put = {.kind = NODE_OP_PUT, .key = text("/app/a"), .value = text("hello")};
    struct node_request get = {.kind = NODE_OP_GET, .key = text("/app/a")};
    (void)ask(1, &put, 60 * NS_PER_S);
    const struct nt_ask *a = ask(0, &get, 60 * NS_PER_S);
    assert_int_equal(a->err, QUDAG_OK);
    assert_int_equal(a->res.value.len, 5);
    assert_memory_equal(a->value, "hello", 5);
    get.key = text("/app/none");
    assert_int_equal(ask(0, &get, 90 * NS_PER_S)->err, QUDAG_ENOTFOUND);
    put.key = text("/nobody/knows");
    assert_int_equal(ask(0, &put, 60 * NS_PER_S)->err, QUDAG_EINVAL);
}

static void nodes_join_under_loss(void **state)
{
    (void)state;
    net.loss_permille = 50;
    nt_join(4);
    struct node_request put = {.kind = NODE_OP_PUT, .key = text("/app/l"), .value = text("lossy")};
    struct node_request get = {.kind = NODE_OP_GET, .key = text("/app/l")};
    (void)ask(1, &put, 120 * NS_PER_S);
    assert_int_equal(ask(2, &get, 120 * NS_PER_S)->err, QUDAG_OK);
}

static void ping_and_connect_end_once(void **state)
{
    (void)state;
    nt_join(2);
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
    const struct nt_ask *a = ask(0, &r, 30 * NS_PER_S);
    assert_int_equal(a->err, QUDAG_OK);
    assert_true(a->res.rtt >= 10 * NS_PER_MS && a->res.rtt < NS_PER_S);
    r = (struct node_request){.kind = NODE_OP_CONNECT};
    multiaddr_quic(&r.addr, &net.node[1].addr, &net.node[1].peer);
    assert_int_equal(ask(0, &r, 30 * NS_PER_S)->err, QUDAG_OK);
    multiaddr_quic(&r.addr, &net.node[1].addr, &net.node[0].peer); /* that is us */
    assert_int_equal(ask(0, &r, 30 * NS_PER_S)->err, QUDAG_EINVAL);
    nt_identity(&net, 5);
    multiaddr_quic(&r.addr, &net.node[1].addr, &net.node[5].peer); /* somebody else answers */
    assert_int_equal(ask(0, &r, 30 * NS_PER_S)->err, QUDAG_EAUTH);
    struct netaddr nowhere = {.family = 4, .ip = {10, 9, 9, 9}, .port = 9};
    multiaddr_quic(&r.addr, &nowhere, NULL);
    assert_int_equal(ask(0, &r, 60 * NS_PER_S)->err, QUDAG_ETIMEOUT);
    multiaddr_quic(&r.addr, &net.node[0].addr, NULL); /* nobody hears itself under loopback rules */
    assert_int_not_equal(ask(0, &r, 60 * NS_PER_S)->err, QUDAG_OK);
}

static void a_wrong_pin_is_refused(void **state)
{
    (void)state;
    nt_network(&net, 1);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    c.boot[0].has_pq = true;
    memset(c.boot[0].pq_hash, 7, sizeof c.boot[0].pq_hash);
    nt_begin(1, &c);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_true(net.node[1].failures > 0);
    assert_true(net.node[1].phase_err == QUDAG_EAUTH || net.node[1].phase_err == QUDAG_EPOLICY);
}

static void bootstrap_fails_when_nobody_answers_and_is_tried_again(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    nt_begin(1, &c);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_true(net.node[1].failures >= 1);
    assert_int_equal(net.node[1].phase_err, QUDAG_EBOOTSTRAP);
    (void)nt_run(&net, 1800 * NS_PER_S, NULL);
    assert_true(net.node[1].failures >= 4); /* with growing pauses ... */
    assert_true(net.node[1].failures < 40);
    nt_network(&net, 1); /* ... until somebody is there */
    assert_true(nt_run(&net, 700 * NS_PER_S, nt_all_ready));
}

static void clocks_five_hours_apart_are_reported(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        nt_fini(&net);
        nt_init(&net);
        nt_network(&net, 1);
        struct node_config c = nt_config(&net, 1);
        nt_boot(&net, &c, 0);
        c.clock.base += sign * 5 * 3600;
        nt_begin(1, &c);
        (void)nt_run(&net, 20 * NS_PER_S, NULL);
        assert_true(net.node[1].failures > 0);
        /* not EBOOTSTRAP: it says why; the peer's certificate is from the future, or too old */
        assert_int_equal(net.node[1].phase_err, sign < 0 ? QUDAG_ECLOCK : QUDAG_EEXPIRED);
    }
}

static void policies_that_differ_make_no_link(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    c.pq = PQ_OFF;
    c.relay = false;
    nt_begin(0, &c);
    c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    nt_begin(1, &c);
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    assert_true(net.node[1].failures > 0);
    assert_int_not_equal(net.node[1].phase_err, QUDAG_OK);
    struct swarm_stats st;
    swarm_stats_get(node_swarm(net.node[0].node), &st);
    assert_int_equal(st.links, 0);
}

static void open_stream_to(size_t from, size_t to, struct ref *s)
{
    assert_int_equal(node_serve(net.node[to].node, ECHO), QUDAG_OK);
    net.node[to].echo = true;
    assert_int_equal(node_stream_open_peer(net.node[from].node, &net.node[to].peer, ECHO, s),
                     QUDAG_OK);
}

static bool node0_closed(struct nt *nt)
{
    return nt->node[0].closed > 0;
}

static void a_stream_is_written_before_it_is_open(void **state)
{
    struct ref s;
    size_t taken = 7;
    (void)state;
    nt_join(2);
    open_stream_to(0, 1, &s);
    assert_int_equal(node_stream_write(net.node[0].node, s, text("x"), &taken), QUDAG_OK);
    assert_int_equal(taken, 1);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(net.node[0].opened, 1);
    assert_int_equal(net.node[0].writable, 0); /* nothing was refused */
    assert_int_equal(node_stream_write(net.node[0].node, s, text("hello"), &taken), QUDAG_OK);
    assert_int_equal(taken, 5);
    node_stream_fin(net.node[0].node, s);
    assert_int_equal(net.node[0].closed, 0); /* nothing is called back from inside a call */
    assert_int_equal(node_stream_write(net.node[0].node, s, text("x"), &taken), QUDAG_ESTATE);
    assert_true(nt_run(&net, 5 * NS_PER_S, node0_closed));
    assert_int_equal(net.node[0].got, 6);
    assert_int_equal(net.node[0].closed_why, QUDAG_OK);
    assert_int_equal(node_stream_write(net.node[0].node, s, text("x"), &taken), QUDAG_ESTALE);
}

static size_t to_write;

static void write_on(struct nt_node *t, const char *what, struct ref r)
{
    static uint8_t junk[65536];
    size_t taken = 1;

    if (strcmp(what, "stream_opened") != 0 && strcmp(what, "stream_writable") != 0) {
        return;
    }
    while (to_write > 0 && taken > 0) {
        size_t n = to_write < sizeof junk ? to_write : sizeof junk;
        qudag_err err = node_stream_write(t->node, r, (struct slice){junk, n}, &taken);
        assert_int_equal(err, taken > 0 ? QUDAG_OK : QUDAG_EAGAIN);
        to_write -= taken;
    }
    if (to_write == 0) {
        node_stream_fin(t->node, r);
    }
}

static bool node1_fin(struct nt *nt)
{
    return nt->node[1].fins > 0;
}

static void writable_comes_until_all_is_written(void **state)
{
    struct ref s;
    (void)state;
    nt_join(2);
    assert_int_equal(node_serve(net.node[1].node, ECHO), QUDAG_OK);
    net.node[0].hook = write_on;
    to_write = 3000000;
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, ECHO, &s),
                     QUDAG_OK);
    assert_true(nt_run(&net, 60 * NS_PER_S, node1_fin));
    assert_int_equal(net.node[1].got, 3000000);
}

/* Writing on to a peer that does not read yields EAGAIN, turn after turn. */
static void what_waits_in_a_stream_is_limited(void **state)
{
    static const uint8_t junk[4096];
    size_t taken, all = 0;
    struct ref s;
    (void)state;
    nt_join(2);
    assert_int_equal(node_serve(net.node[1].node, ECHO), QUDAG_OK);
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, ECHO, &s),
                     QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].opened, 1);
    for (int turn = 0; turn < 20; turn++) { /* the same instant: nothing leaves meanwhile */
        while (node_stream_write(net.node[0].node, s, (struct slice){junk, sizeof junk}, &taken) ==
               QUDAG_OK) {
            all += taken;
        }
        node_drain(net.node[0].node, net.now);
    }
    assert_int_equal(all, NODE_STREAM_QUEUE_MAX);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].closed, 0);
}

static void ten_thousand_calls_between_two_turns_lose_nothing(void **state)
{
    struct ref s[200];
    size_t taken;
    (void)state;
    nt_join(2);
    assert_int_equal(node_serve(net.node[1].node, ECHO), QUDAG_OK);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, ECHO, &s[i]),
                         QUDAG_OK);
    }
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].opened, 40);
    size_t sent = 0;
    for (size_t k = 0; k < 10000; k++) {
        qudag_err err = node_stream_write(net.node[0].node, s[k % 40], text("abc"), &taken);
        assert_int_equal(err, taken > 0 ? QUDAG_OK : QUDAG_EAGAIN);
        sent += taken;
        node_stream_consume(net.node[0].node, s[k % 40], 0);
    }
    for (size_t i = 0; i < 40; i++) {
        node_stream_fin(net.node[0].node, s[i]);
    }
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].got, sent);
    assert_int_equal(net.node[1].fins, 40);
}

static void streams_of_a_silent_flood_are_refused(void **state)
{
    struct swarm_stats st;
    struct ref s;
    (void)state;
    nt_join(2);
    assert_int_equal(node_serve(net.node[1].node, ECHO), QUDAG_OK);
    for (size_t i = 0; i < 300; i++) { /* 256 of one protocol are allowed */
        assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, ECHO, &s),
                         QUDAG_OK);
    }
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].ins, 256);
    swarm_stats_get(node_swarm(net.node[1].node), &st);
    assert_int_equal(st.streams_refused, 300 - 256);
    assert_int_equal(net.node[0].closed, 300 - 256);
    assert_int_equal(net.node[0].closed_why, QUDAG_ELIMIT);
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
    assert_int_equal(ask(0, &r, 30 * NS_PER_S)->err, QUDAG_OK); /* others are not in its way */
}

/* As many as over a link, and the other end hears a code of the program, either way. */
static void a_circuit_has_256_streams_of_a_program(void **state)
{
    static struct ref s[300];
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    unsigned ins = 0;
    (void)state;
    nt_join(6);
    assert_false(nt_run(&net, 20 * NS_PER_S, NULL));
    for (size_t i = 1; i < 6; i++) {
        assert_int_equal(node_serve(net.node[i].node, ECHO), QUDAG_OK);
    }
    struct nt_ask *a = ask(0, &r, 60 * NS_PER_S);
    assert_int_equal(a->err, QUDAG_OK);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(node_stream_open_circuit(net.node[0].node, a->res.circuit, ECHO, &s[i]),
                         QUDAG_OK);
    }
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    size_t end = 0;
    for (size_t i = 1; i < 6; i++) {
        ins += net.node[i].ins;
        end = net.node[i].ins > 0 ? i : end;
    }
    assert_int_equal(ins, 256);
    assert_int_equal(net.node[0].closed, 300 - 256);
    node_stream_reset(net.node[end].node, net.node[end].in, QUDAG_EAPP(7));
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].closed_why, QUDAG_EAPP(7));
    node_stream_reset(net.node[0].node, s[0], QUDAG_EAPP(9));
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[end].closed_why, QUDAG_EAPP(9));
}

static void a_protocol_nobody_serves_closes_the_stream(void **state)
{
    struct ref s;
    (void)state;
    nt_join(2);
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, "/no/such", &s),
                     QUDAG_OK);
    assert_true(nt_run(&net, 5 * NS_PER_S, node0_closed));
    assert_int_equal(net.node[0].closed_why, QUDAG_EUNSUPPORTED);
}

static void a_lost_peer_closes_its_streams(void **state)
{
    struct ref s;
    (void)state;
    nt_join(2);
    open_stream_to(0, 1, &s);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(net.node[0].opened, 1);
    assert_int_equal(nt_free(&net, 1), 0);
    assert_true(nt_run(&net, 400 * NS_PER_S, node0_closed));
    assert_int_equal(net.node[0].closed, 1);
    assert_int_not_equal(net.node[0].closed_why, QUDAG_OK);
}

/* Circuits that pass through a node; none of them can be closed there. */
static unsigned relayed_circuits_refuse_to_close(void)
{
    struct onion_info info;
    unsigned found = 0;

    for (size_t i = 0; i < NT_NODES; i++) {
        for (size_t it = 0;
             net.node[i].node != NULL && onion_next(node_onion(net.node[i].node), &it, &info);) {
            if (info.role == ONION_RELAY) {
                found++;
                assert_int_equal(node_circuit_close(net.node[i].node, info.circuit), QUDAG_ESTALE);
            }
        }
    }
    return found;
}

static void a_circuit_is_built_and_closed(void **state)
{
    (void)state;
    nt_join(6);
    assert_false(nt_run(&net, 20 * NS_PER_S, NULL));
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    const struct nt_ask *a = ask(0, &r, 60 * NS_PER_S);
    assert_int_equal(a->err, QUDAG_OK);
    assert_int_equal(a->res.hops, 3);
    struct ref s, circuit = a->res.circuit;
    assert_string_equal(node_circuit_purpose(net.node[0].node, circuit), "general");
    assert_int_equal(relayed_circuits_refuse_to_close(), 2); /* of three relays one is the end */
    assert_int_equal(node_stream_open_circuit(net.node[0].node, circuit, "/no/such", &s), QUDAG_OK);
    assert_int_equal(node_circuit_close(net.node[0].node, circuit), QUDAG_OK);
    assert_true(nt_run(&net, 10 * NS_PER_S, node0_closed)); /* the stream went with it */
    assert_int_equal(net.node[0].closed_why, QUDAG_ECANCELED);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(node_circuit_close(net.node[0].node, circuit), QUDAG_ESTALE);
    assert_int_equal(node_stream_open_circuit(net.node[0].node, circuit, ECHO, &s), QUDAG_ESTALE);
    /* cancelled while it is built: nothing of it stays */
    size_t i = nt_ask(&net.node[0], &r);
    nt_step(&net);
    node_cancel(net.node[0].node, net.node[0].ask[i].op);
    assert_int_equal(net.node[0].ask[i].ends, 0);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].ask[i].ends, 1);
    assert_int_equal(net.node[0].ask[i].err, QUDAG_ECANCELED);
    struct onion_stats st;
    onion_stats_get(node_onion(net.node[0].node), &st);
    assert_int_equal(st.circuits_client, 0);
}

static const struct node_request three_hops = {.kind = NODE_OP_CIRCUIT, .hops = 3};
static size_t known_then; /* relays, when READY was reported */

static void ask_while_joining(struct nt_node *t, const char *what, struct ref r)
{
    struct peer_id guard;
    (void)r;

    if (strcmp(what, "phase") != 0) {
        return;
    }
    if (t->phase == NODE_READY && known_then == 0) {
        known_then = relays_count(node_relays(t->node));
        assert_int_equal(t->ask[0].ends, 0);
    } else if (t->phase == NODE_RELAYS) {
        assert_true(relays_is_settled(node_relays(t->node)) ||
                    !relays_guard(node_relays(t->node), &guard));
        if (t->n_asks == 0) {
            assert_int_equal(nt_ask(t, &three_hops), 0);
        }
    }
}

/* One relay would be enough by the configuration; but guards are chosen from all there are. */
static void a_circuit_asked_for_before_the_view_has_settled_waits(void **state)
{
    (void)state;
    nt_join(5);
    assert_false(nt_run(&net, 20 * NS_PER_S, NULL));
    struct node_config c = nt_config(&net, 5);
    nt_boot(&net, &c, 0);
    c.relays_min = 1;
    known_then = 0;
    assert_int_equal(nt_make(&net, 5, &c), QUDAG_OK);
    net.node[5].hook = ask_while_joining;
    node_start(net.node[5].node);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(known_then, 5);
    assert_int_equal(net.node[5].ask[0].ends, 1);
    assert_int_equal(net.node[5].ask[0].err, QUDAG_OK);
    assert_true(net.node[5].node->survey.lookups >= RELAYS_VIEW_LOOKUPS);
}

static void
where_there_are_no_relays_a_circuit_ends_soon_after_ready_and_later_at_once(void **state)
{
    (void)state;
    nt_network(&net, 1);
    assert_int_equal(net.node[0].phase, NODE_READY);
    size_t i = nt_ask(&net.node[0], &three_hops);
    (void)nt_run(&net, 4 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].ask[i].ends, 0);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].ask[i].ends, 1);
    assert_int_equal(net.node[0].ask[i].err, QUDAG_ENORELAYS);
    i = nt_ask(&net.node[0], &three_hops);
    (void)nt_run(&net, NS_PER_S / 10, NULL);
    assert_int_equal(net.node[0].ask[i].err, QUDAG_ENORELAYS);
}

static void a_dark_address_is_reached(void **state)
{
    struct dark_addr addr;
    struct ref s;
    size_t taken;
    (void)state;
    nt_join(6);
    assert_false(nt_run(&net, 20 * NS_PER_S, NULL));
    assert_int_equal(node_serve(net.node[5].node, ECHO), QUDAG_OK);
    net.node[5].echo = true;
    assert_int_equal(node_dark_create(net.node[5].node, &nt_direct, "shop", net.now, &addr),
                     QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    assert_int_equal(ask(5, &r, 120 * NS_PER_S)->err, QUDAG_OK);
    assert_int_equal(nt_open_dark(net.node[0].node, &addr, ECHO, &s), QUDAG_OK);
    assert_int_equal(node_stream_write(net.node[0].node, s, text("a"), &taken), QUDAG_OK);
    struct node_stream_info info = {.open = false};
    unsigned named = 0; /* steps in which the circuit was known and still being built */
    for (int i = 0; i < 100000 && !info.open; i++) {
        (void)nt_run(&net, NS_PER_MS, NULL);
        assert_int_equal(node_stream_info_get(net.node[0].node, s, &info), QUDAG_OK);
        named += !info.open && ref_to_u64(info.circuit) != 0;
    }
    assert_true(named > 0);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].opened, 1);
    assert_int_equal(node_stream_write(net.node[0].node, s, text("dark"), &taken), QUDAG_OK);
    node_stream_fin(net.node[0].node, s);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(net.node[5].got, 5);
    assert_true(net.node[5].anonymous);
    assert_int_equal(net.node[0].got, 5);
    assert_int_equal(net.node[0].closed, 1);
    assert_int_equal(net.node[0].closed_why, QUDAG_OK);
    r = (struct node_request){.kind = NODE_OP_DARK_FORGET, .dark = addr};
    assert_int_equal(ask(5, &r, 120 * NS_PER_S)->err, QUDAG_OK);
}

static void close_circuits(struct nt_node *t, const char *what, struct ref r)
{
    struct onion_info info;
    size_t it = 0;
    (void)r;

    if (strcmp(what, "stream_data") == 0) {
        while (onion_next(node_onion(t->node), &it, &info)) {
            (void)!node_circuit_close(t->node, info.circuit);
        }
    }
}

static void a_program_may_close_the_circuit_that_brings_it_data(void **state)
{
    struct dark_addr addr;
    struct ref s;
    size_t taken;
    (void)state;
    nt_join(6);
    assert_false(nt_run(&net, 20 * NS_PER_S, NULL));
    assert_int_equal(node_serve(net.node[5].node, ECHO), QUDAG_OK);
    net.node[5].echo = true;
    assert_int_equal(node_dark_create(net.node[5].node, &nt_direct, "shop", net.now, &addr),
                     QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    assert_int_equal(ask(5, &r, 120 * NS_PER_S)->err, QUDAG_OK);
    for (size_t who = 0; who <= 5; who += 5) { /* the client, then the service */
        unsigned closed = net.node[0].closed;
        net.node[0].hook = net.node[5].hook = NULL;
        net.node[who].hook = close_circuits;
        assert_int_equal(nt_open_dark(net.node[0].node, &addr, ECHO, &s), QUDAG_OK);
        assert_int_equal(node_stream_write(net.node[0].node, s, text("a"), &taken), QUDAG_OK);
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        assert_int_equal(net.node[0].closed, closed + 1);
    }
}

static unsigned retries;
static struct dark_addr nowhere_addr;

static void open_again(struct nt_node *t, const char *what, struct ref r)
{
    struct ref s;

    (void)r;
    if (strcmp(what, "stream_closed") == 0) {
        retries++;
        assert_int_equal(nt_open_dark(t->node, &nowhere_addr, ECHO, &s), QUDAG_OK);
    }
}

static void a_program_that_retries_at_once_does_not_stop_the_node(void **state)
{
    struct ref s;
    (void)state;
    struct node_config c = nt_config(&net, 0);
    c.drain_max = 4096; /* as any other number, but sooner reached */
    nt_begin(0, &c);
    c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    nt_begin(1, &c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    memset(&nowhere_addr, 1, sizeof nowhere_addr);
    nowhere_addr.network = DARK_NET_LAB;
    net.node[0].hook = open_again;
    struct dark_addr elsewhere = nowhere_addr;
    elsewhere.network = DARK_NET_MAIN;
    assert_int_equal(nt_open_dark(net.node[0].node, &elsewhere, ECHO, &s), QUDAG_EUNSUPPORTED);
    assert_int_equal(nt_open_dark(net.node[0].node, &nowhere_addr, ECHO, &s), QUDAG_OK);
    for (int i = 0; i < 3; i++) { /* returns, though each failure asks again */
        nt_step(&net);
    }
    net.node[0].hook = NULL;
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_true(retries > 0);
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
    assert_int_equal(ask(0, &r, 30 * NS_PER_S)->err, QUDAG_OK);
}

static struct ref victims[2];

static void cancel_the_other(struct nt_node *t, const char *what, struct ref r)
{
    (void)r;
    if (strcmp(what, "op_done") == 0) {
        node_cancel(t->node, victims[0]);
        node_cancel(t->node, victims[1]);
    } else if (strcmp(what, "stream_closed") == 0) {
        node_stream_reset(t->node, victims[0], QUDAG_ECANCELED);
        node_stream_reset(t->node, victims[1], QUDAG_ECANCELED);
    }
}

static void hooks_may_cancel_and_reset_what_is_being_ended(void **state)
{
    (void)state;
    struct node_request r = {.kind = NODE_OP_GET, .key = text("/app/x")};
    nt_join(2);
    net.node[0].hook = cancel_the_other;
    for (int i = 0; i < 2; i++) {
        victims[i] = net.node[0].ask[nt_ask(&net.node[0], &r)].op;
    }
    assert_int_equal(nt_free(&net, 0), 0); /* with both in the queue */
    assert_true(nt_all_ended(&net.node[0]));
    struct node_config c = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nt_open_dark(net.node[0].node, &nowhere_addr, ECHO, &victims[i]),
                         QUDAG_OK);
    }
    nt_step(&net); /* one fails and resets the other */
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].closed, 1);
}

static void requests_and_streams_do_not_answer_for_each_other(void **state)
{
    struct ref s;
    (void)state;
    nt_join(2);
    nt_identity(&net, 5);
    /* the first request and the first stream have equal names in their tables */
    struct node_request r = {.kind = NODE_OP_CONNECT};
    struct netaddr far = {.family = 4, .ip = {10, 9, 9, 9}, .port = 9};
    multiaddr_quic(&r.addr, &far, NULL);
    for (int i = 0; i < 8; i++) {
        (void)nt_ask(&net.node[0], &r);
        assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[5].peer, ECHO, &s),
                         QUDAG_OK);
    }
    assert_false(nt_run(&net, NS_PER_S, NULL)); /* no address: the streams fail at once */
    assert_int_equal(net.node[0].closed, 8);
    assert_false(nt_all_ended(&net.node[0]));
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[0].closed, 8);
}

static void a_full_disk_is_reported_and_nothing_unsaved_is_used(void **state)
{
    struct dark_addr addr;
    (void)state;
    struct node_config c = nt_config(&net, 0);
    net.node[0].save_err = QUDAG_ESYSTEM;
    nt_begin(0, &c); /* a relay needs to keep its key */
    assert_int_equal(net.node[0].phase, NODE_FAILED);
    assert_int_equal(net.node[0].phase_err, QUDAG_ESYSTEM);
    assert_int_equal(node_dark_create(net.node[0].node, &nt_direct, "x", net.now, &addr),
                     QUDAG_ESYSTEM);
    net.node[0].save_err = QUDAG_OK; /* there is room again */
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
}

static void an_address_beyond_the_limit_leaves_nothing_on_disk(void **state)
{
    struct dark_addr addr, untouched;
    qudag_err err = QUDAG_OK;
    unsigned made = 0;
    (void)state;
    struct node_config c = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    node_start(net.node[0].node);
    memset(&untouched, 7, sizeof untouched);
    while (err == QUDAG_OK) {
        addr = untouched;
        err = node_dark_create(net.node[0].node, &nt_direct, "x", net.now, &addr);
        made += err == QUDAG_OK ? 1 : 0;
        assert_true(made < 1000);
    }
    assert_int_equal(err, QUDAG_ELIMIT);
    assert_memory_equal(&addr, &untouched, sizeof addr);
    assert_int_equal(net.node[0].dark_files,
                     made); /* else the next start would meet one too many */
}

static void damaged_state_is_refused(void **state)
{
    static const struct {
        const char *name, *bytes;
        qudag_err err;
    } row[] = {
        {"guards", "x", QUDAG_EMALFORMED},        {"guards", "", QUDAG_EMALFORMED},
        {"onion-key", "short", QUDAG_EMALFORMED}, {"dark-abc", "no keys", QUDAG_EMALFORMED},
        {"pub-abc", "", QUDAG_EMALFORMED},        {"pub-abc", "not an address", QUDAG_EMALFORMED},
        {"else", "x", QUDAG_EUNSUPPORTED}};
    (void)state;
    struct node_config c = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(node_restore(net.node[0].node, row[i].name, text(row[i].bytes), net.now),
                         row[i].err);
    }
    node_start(net.node[0].node);
    assert_int_equal(node_restore(net.node[0].node, "guards", text("x"), net.now), QUDAG_ESTATE);
}

static void limits_of_requests_hold(void **state)
{
    static uint8_t big[KAD_VALUE_MAX + 1];
    struct ref op;
    size_t n = 0;
    (void)state;
    nt_network(&net, 1);
    struct node_request r = {.kind = NODE_OP_PUT, .key = {big, KAD_KEY_MAX + 1}};
    assert_int_equal(node_request(net.node[0].node, &r, &op), QUDAG_ETOOBIG);
    r.key = text("/app/x");
    r.value = (struct slice){big, sizeof big};
    assert_int_equal(node_request(net.node[0].node, &r, &op), QUDAG_ETOOBIG);
    r.value = text("v");
    while (n < 10000 && node_request(net.node[0].node, &r, &op) == QUDAG_OK) {
        n++;
    }
    assert_int_equal(node_request(net.node[0].node, &r, &op), QUDAG_ELIMIT);
    assert_int_equal(n, NODE_OPS_MAX / 2); /* the other half is for the node's own */
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].strays, n); /* each ended */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(what_waits_in_a_stream_is_limited),
        NT_TEST(the_first_of_a_network_is_ready_at_once),
        NT_TEST(two_nodes_join_and_share_a_value),
        NT_TEST(nodes_join_under_loss),
        NT_TEST(ping_and_connect_end_once),
        NT_TEST(a_wrong_pin_is_refused),
        NT_TEST(bootstrap_fails_when_nobody_answers_and_is_tried_again),
        NT_TEST(clocks_five_hours_apart_are_reported),
        NT_TEST(policies_that_differ_make_no_link),
        NT_TEST(a_stream_is_written_before_it_is_open),
        NT_TEST(writable_comes_until_all_is_written),
        NT_TEST(ten_thousand_calls_between_two_turns_lose_nothing),
        NT_TEST(streams_of_a_silent_flood_are_refused),
        NT_TEST(a_circuit_has_256_streams_of_a_program),
        NT_TEST(a_protocol_nobody_serves_closes_the_stream),
        NT_TEST(a_lost_peer_closes_its_streams),
        NT_TEST(a_circuit_is_built_and_closed),
        NT_TEST(a_circuit_asked_for_before_the_view_has_settled_waits),
        NT_TEST(where_there_are_no_relays_a_circuit_ends_soon_after_ready_and_later_at_once),
        NT_TEST(a_dark_address_is_reached),
        NT_TEST(a_program_may_close_the_circuit_that_brings_it_data),
        NT_TEST(a_program_that_retries_at_once_does_not_stop_the_node),
        NT_TEST(hooks_may_cancel_and_reset_what_is_being_ended),
        NT_TEST(requests_and_streams_do_not_answer_for_each_other),
        NT_TEST(a_full_disk_is_reported_and_nothing_unsaved_is_used),
        NT_TEST(an_address_beyond_the_limit_leaves_nothing_on_disk),
        NT_TEST(damaged_state_is_refused),
        NT_TEST(limits_of_requests_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
