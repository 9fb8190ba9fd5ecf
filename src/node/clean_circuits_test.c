/*
 * clean_circuits_test.c - whole nodes: clean circuits wait, are taken once, and go when they are old or nobody asks.
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define CLIENT 6
#define RELAYS 6
#define ECHO "/echo/1"
#define SEEN_MAX 256

/* The circuits of the client that were ever seen, in order. */
static struct seen {
    struct ref circuit;
    const char *purpose; /* its last, or the one behind "clean" */
    bool was_clean;
    unsigned uses; /* purposes other than "clean" */
    tstamp first, last;
} seen[SEEN_MAX];
static size_t n_seen;

static struct node *client(void)
{
    return net.node[CLIENT].node;
}

static void network(void)
{
    memset(seen, 0, sizeof seen);
    n_seen = 0;
    nt_network(&net, RELAYS);
    struct node_config c = nt_config(&net, CLIENT);
    nt_boot(&net, &c, 0);
    c.relay = c.dht_server = false;
    c.clean_circuits = 2;
    nt_begin(CLIENT, &c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
}

static struct seen *see(struct ref circuit)
{
    for (size_t i = 0; i < n_seen; i++) {
        if (ref_eq(seen[i].circuit, circuit)) {
            return &seen[i];
        }
    }
    assert_true(n_seen < SEEN_MAX);
    seen[n_seen] = (struct seen){.circuit = circuit, .purpose = "", .first = net.now};
    return &seen[n_seen++];
}

static void look_once(void)
{
    struct onion_info info;

    for (size_t it = 0; onion_next(client()->onion, &it, &info);) {
        const char *purpose = node_circuit_purpose(client(), info.circuit);
        struct seen *s = see(info.circuit);
        bool clean = strcmp(purpose, "clean") == 0;
        bool served = strcmp(purpose, "spent") == 0 || purpose[0] == 0;
        s->last = clean ? net.now : s->last;
        s->was_clean = s->was_clean || clean;
        s->uses += !clean && !served && strcmp(purpose, s->purpose) != 0 ? 1 : 0;
        s->purpose = served ? s->purpose : purpose;
    }
}

/* Time passes, and the circuits are looked at all the while. */
static void watch(uint64_t ns, uint64_t step)
{
    for (tstamp end = net.now + ns; net.now < end;) {
        (void)nt_run(&net, step, NULL);
        look_once();
    }
}

/* Clean ones that wait, of |hops| hops. */
static unsigned waiting(size_t hops)
{
    struct onion_info info;
    unsigned n = 0;

    for (size_t it = 0; onion_next(client()->onion, &it, &info);) {
        const char *purpose = node_circuit_purpose(client(), info.circuit);
        n += strcmp(purpose, "clean") == 0 && info.hops == hops && info.state == ONION_BUILDING;
    }
    return n;
}

static uint64_t ends_streams(void)
{
    struct onion_info info;
    uint64_t streams = 0;

    for (size_t i = 0; i < RELAYS; i++) {
        for (size_t it = 0; onion_next(net.node[i].node->onion, &it, &info);) {
            streams += info.role == ONION_END ? info.streams + info.cells_back : 0;
        }
    }
    return streams;
}

/* A direct service at a relay that paths of the client do not begin with. */
static struct dark_addr service(void)
{
    struct node_request want = {.kind = NODE_OP_DARK_PUBLISH};
    const struct relays *r = client()->relays;
    size_t at = 0;

    while (peer_id_eq(&r->guard[0]->x.hop.peer, &net.node[at].peer) ||
           peer_id_eq(&r->guard[1]->x.hop.peer, &net.node[at].peer)) {
        at++;
    }
    struct nt_node *t = &net.node[at];
    assert_int_equal(node_serve(t->node, ECHO), QUDAG_OK);
    t->echo = true;
    assert_int_equal(node_dark_create(t->node, &nt_direct, "d", net.now, &want.dark), QUDAG_OK);
    t->n_asks = 0;
    size_t a = nt_ask(t, &want);
    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    assert_int_equal(t->ask[a].err, QUDAG_OK);
    return want.dark;
}

static void two_wait_and_carry_nothing(void **state)
{
    (void)state;
    network();
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    assert_int_equal(waiting(2), 2);
    assert_int_equal(waiting(3), 0);
    uint64_t before = ends_streams();
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(ends_streams(), before);
}

/* A call to a service: its lookups, and the circuit to it. */
static void what_is_begun_takes_one_and_no_two_take_the_same(void **state)
{
    struct ref s;
    size_t taken;
    unsigned used = 0;
    (void)state;

    network();
    watch(20 * NS_PER_S, NS_PER_S);
    struct dark_addr to = service();
    watch(20 * NS_PER_S, NS_PER_S);
    assert_int_equal(waiting(2), 2);
    for (uint8_t i = 0; i < 8; i++) {
        const struct node_isolation key = {.len = 1, .key = {i}};
        unsigned opened = net.node[CLIENT].opened;
        assert_int_equal(node_stream_open_dark(client(), &to, ECHO, &key, &s), QUDAG_OK);
        watch(15 * NS_PER_S, 20 * NS_PER_MS);
        assert_int_equal(net.node[CLIENT].opened, opened + 1);
        assert_int_equal(
            node_stream_write(client(), s, (struct slice){(const uint8_t *)"hello", 5}, &taken),
            QUDAG_OK);
        watch(2 * NS_PER_S, NS_PER_S);
        assert_int_equal(net.node[CLIENT].got, 5u * (i + 1u));
    }
    for (size_t i = 0; i < n_seen; i++) {
        assert_true(seen[i].uses <= 1);
        used += seen[i].was_clean && seen[i].uses == 1 ? 1 : 0;
    }
    print_message("%u of %zu circuits were clean ones before\n", used, n_seen);
    assert_true(used >=
                4); /* two lookups, and calls but for the first, whose relays are not the service */
    assert_int_equal(waiting(2), 2);
    assert_int_equal(waiting(3), 2); /* calls end at services: those are for the next */
}

static void they_are_replaced_before_they_are_old_and_go_when_nobody_asks(void **state)
{
    (void)state;
    network();
    watch(3000 * NS_PER_S, 5 * NS_PER_S);
    assert_int_equal(waiting(2), 2);
    assert_in_range(n_seen, 10, 30);
    watch(900 * NS_PER_S, 5 * NS_PER_S);
    assert_int_equal(waiting(2), 0);
    size_t then = n_seen;
    for (size_t i = 0; i < n_seen; i++) {
        assert_true(seen[i].last - seen[i].first <= NODE_CLEAN_LIFE_MAX + 10 * NS_PER_S);
    }
    watch(3600 * NS_PER_S, 60 * NS_PER_S);
    assert_int_equal(n_seen, then);
}

static void they_go_with_their_guard_and_their_relays(void **state)
{
    (void)state;
    network();
    watch(20 * NS_PER_S, NS_PER_S);
    assert_int_equal(waiting(2), 2);
    struct relays *r = client()->relays;
    size_t before = n_seen;
    for (uint32_t i = 0; i < r->n_guards; i++) {
        r->guard[i]->x.usable = net.now + 60 * NS_PER_S;
    }
    watch(10 * NS_PER_S, NS_PER_S);
    assert_int_equal(waiting(2), 0);
    watch(90 * NS_PER_S, NS_PER_S);
    assert_int_equal(waiting(2), 2);
    assert_true(n_seen >= before + 2);
    for (uint32_t i = 0; i < r->n_guards; i++) { /* nobody is to blame for what we closed */
        assert_int_equal(r->guard[i]->bias.built, r->guard[i]->bias.tried);
        assert_int_equal(r->guard[i]->bias.intact, r->guard[i]->bias.used);
    }
}

/* The last hop of what takes one is not there: another is built, as if none had waited. */
static void one_that_cannot_be_completed_is_no_loss(void **state)
{
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    struct nt_node *t = &net.node[CLIENT];
    (void)state;

    network();
    watch(20 * NS_PER_S, NS_PER_S);
    for (size_t k = 0; k < 12; k++) {
        t->n_asks = 0;
        assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
        if (k % 3 == 0) { /* while the last hop is added */
            struct node_circuit *c;
            (void)nt_run(&net, 2 * NS_PER_MS, NULL);
            LIST_EACH(it, &client()->circuits)
            {
                c = LIST_ENTRY(it, struct node_circuit, node);
                if (!c->open && !c->use->stem) {
                    onion_close(client()->onion, c->onion, net.now, node_begin(client()));
                    node_end(client(), client()->ix.onion);
                    break;
                }
            }
        }
        assert_true(nt_run(&net, 30 * NS_PER_S, nt_asked_ended));
        assert_int_equal(t->ask[0].err, QUDAG_OK);
        assert_int_equal(node_circuit_close(client(), t->ask[0].res.circuit), QUDAG_OK);
        watch(4 * NS_PER_S, NS_PER_S);
    }
    assert_int_equal(waiting(2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(two_wait_and_carry_nothing),
        NT_TEST(what_is_begun_takes_one_and_no_two_take_the_same),
        NT_TEST(they_are_replaced_before_they_are_old_and_go_when_nobody_asks),
        NT_TEST(they_go_with_their_guard_and_their_relays),
        NT_TEST(one_that_cannot_be_completed_is_no_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
