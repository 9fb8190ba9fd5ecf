/* attack_test.c - whole nodes under the attacks of the audit: honest work goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/onion/admission.h"
#include "node/internal.h"
#include "node/testkit_case.h"

static qudag_err ask(size_t ix, const struct node_request *r)
{
    struct nt_node *t = &net.node[ix];
    size_t a = nt_ask(t, r);

    assert_int_not_equal(a, SIZE_MAX);
    (void)nt_run(&net, 120 * NS_PER_S, nt_asked_ended);
    assert_int_equal(t->ask[a].ends, 1);
    return t->ask[a].err;
}

/* Two nodes with room for more circuits than a link has streams. */
static void two_nodes(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct node_config c = nt_config(&net, i);
        c.circuits_max = 4096;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        nt_begin(i, &c);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 30 * NS_PER_S, NULL); /* each knows the other as a relay */
}

/* A circuit of one hop that nothing is sent on. */
static void idle_circuit(struct node *n, const struct onion_hop *to)
{
    struct ref c;
    qudag_err err = onion_build(n->onion, to, 1, net.now, node_begin(n), &c);

    node_end(n, n->ix.onion);
    assert_int_equal(err, QUDAG_OK);
    node_drain(n, net.now);
}

static uint32_t ends_at(size_t ix)
{
    struct onion_stats st;

    onion_stats_get(node_onion(net.node[ix].node), &st);
    return st.circuits_end;
}

/* The audit's H5: 240 idle circuits cut two relays off from each other, DHT included. */
static void idle_circuits_leave_the_dht_its_streams(void **state)
{
    struct node *n;
    struct onion_hop to;
    struct relays_path_want want = {.n = 1};

    (void)state;
    two_nodes();
    n = net.node[0].node;
    assert_int_equal(relays_path(n->relays, &want, net.now, &to), QUDAG_OK);
    assert_true(peer_id_eq(&to.peer, &net.node[1].peer));
    n->core[n->ix.onion].report = NULL; /* it would close circuits that nobody asked for */
    for (int i = 0; i < 2200; i++) {    /* more than the link has streams */
        idle_circuit(n, &to);
        (void)nt_run(&net, 2 * NS_PER_MS, NULL);
    }
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_true(ends_at(1) > 240);
    assert_true(ends_at(1) <= ONION_LINK_OUT_MAX);
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask(0, &r), QUDAG_OK);
    }
    r = (struct node_request){.kind = NODE_OP_FIND_PEER, .peer = net.node[1].peer};
    assert_int_equal(ask(0, &r), QUDAG_OK);
    r.peer = net.node[0].peer;
    assert_int_equal(ask(1, &r), QUDAG_OK); /* and back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(idle_circuits_leave_the_dht_its_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
