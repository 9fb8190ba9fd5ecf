/*
 * hidden_end_test.c - whole nodes: how a hidden service ends, by its own will, by a stop or without a word, what its
 * callers hear then, and how it comes back.
 *
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/testkit_hidden.h"

static void it_comes_back_with_its_address(void **state)
{
    (void)state;

    network(2, NULL);
    (void)call(1, QUDAG_OK);
    const struct dark_period_keys keys = service()->target.keys[0];
    (void)nt_free(&net, SERVICE); /* as by kill -9 */
    (void)nt_run(&net, 400 * NS_PER_S, NULL);
    print_message("gone: %u ms\n", (unsigned)call(2, QUDAG_EUNREACHABLE));
    tstamp begun = net.now;
    client_of(SERVICE, NULL);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    print_message("ready after %u ms\n", (unsigned)((net.now - begun) / NS_PER_MS));
    struct node *n = net.node[SERVICE].node;
    while (node_service_get(n, node_keys_tag(&addr)) == NULL || !service()->has_target) {
        (void)nt_run(&net, 100 * NS_PER_MS, NULL);
        assert_true(net.now < begun + 60 * NS_PER_S);
    }
    print_message("points after %u ms\n", (unsigned)((net.now - begun) / NS_PER_MS));
    assert_int_equal(service()->target.keys[0].period,
                     keys.period); /* records out there name them */
    assert_memory_equal(service()->target.keys[0].x, keys.x, sizeof keys.x);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    print_message("call: %u ms\n", (unsigned)call(3, QUDAG_OK)); /* it knows the record of before */
    assert_true(net.now < begun + 60 * NS_PER_S);
    assert_int_equal(n_files("hid-"), 1);
}

/* Whether it ended well or not: who calls it hears soon that it is offline. */
static void who_is_gone_is_offline(void **state)
{
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    node_shutdown(net.node[SERVICE].node, net.now);
    nt_flush(&net, &net.node[SERVICE]);
    (void)nt_free(&net, SERVICE);
    uint64_t took = call(2, QUDAG_EUNREACHABLE);
    print_message("after a good end: %u ms\n", (unsigned)took);
    assert_true(took < 10000);
}

static void whose_node_died_is_offline(void **state)
{
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    (void)nt_free(&net, SERVICE); /* its guard does not know yet */
    uint64_t took = call(2, QUDAG_EUNREACHABLE);
    print_message("after a sudden end: %u ms\n", (unsigned)took);
    assert_true(took < 20000);
}

static void who_forgets_it_lets_nobody_in(void **state)
{
    struct node_request r = {.kind = NODE_OP_DARK_FORGET};
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    r.dark = addr;
    assert_int_equal(ask(SERVICE, &r)->err, QUDAG_OK);
    assert_null(node_service_get(net.node[SERVICE].node, node_keys_tag(&addr)));
    assert_int_equal(n_files("dark-") + n_files("hid-") + n_files("pub-"), 0);
    (void)call(2, QUDAG_ENOTFOUND); /* its points are gone, and the newest record says so */
}

/* The caller's circuit to R breaks between its guard and the relay after it. */
static void break_before_r(void)
{
    LIST_EACH(it, &net.node[CALLER].node->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        for (size_t i = 0; i < RELAYS && c->carries; i++) {
            if (peer_id_eq(&net.node[i].peer, &c->path[0].peer)) {
                node_disconnect(net.node[i].node, &c->path[1].peer);
                return;
            }
        }
    }
    fail_msg("no circuit carries another");
}

/* The address does not pay for what relays broke: a program that calls anew each time is let through. */
static void relays_that_break_circuits_keep_no_caller_out(void **state)
{
    (void)state;

    network(1, NULL);
    for (unsigned i = 0; i < 3 * NODE_BUDGET_QUICK; i++) {
        (void)call(1, QUDAG_OK);
        break_before_r();
        (void)nt_run(&net, 3 * NS_PER_S, NULL);
    }
}

static bool caller_has_closed(struct nt *nt)
{
    return nt->node[CALLER].closed > settled_before;
}

/* SPEC: rendezvous R-41: at once, for who is there and for who comes; and from then on it can begin again. */
static void one_that_stopped_is_offline_at_once_and_begins_again(void **state)
{
    struct node_request r = {.kind = NODE_OP_DARK_UNPUBLISH};
    struct nt_node *t = &net.node[CALLER], *s = &net.node[SERVICE];
    const struct dark_keys *k;
    size_t it = 0;
    bool published;
    walltime until;
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    settled_before = t->closed;
    (void)open_from(CALLER, 1); /* over the circuit that stands */
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(t->closed, settled_before);
    assert_int_equal(service()->carried, 1);
    uint64_t number = dark_own_get(s->node->dark, &addr)->seq;
    r.dark = addr;
    assert_int_equal(ask(SERVICE, &r)->err, QUDAG_OK);
    assert_null(node_service_get(s->node, node_keys_tag(&addr)));
    assert_true(nt_run(&net, 2 * NS_PER_S, caller_has_closed));
    assert_int_equal(n_files("hid-") + n_files("pub-"), 0);
    assert_int_equal(n_files("dark-"), 1);
    uint64_t took = call(1, QUDAG_EUNREACHABLE);
    print_message("offline after %u ms\n", (unsigned)took);
    assert_true(took < 10000);
    (void)nt_run(&net, 8 * 3600 * NS_PER_S, NULL); /* a record would have been renewed by now */
    assert_true(dark_own_next(s->node->dark, &it, &k, &published, &until));
    assert_false(published);
    assert_int_equal(k->seq, number);
    publish();
    print_message("again: %u ms\n", (unsigned)call(2, QUDAG_OK));
    assert_int_equal(n_files("hid-"), 1);
    assert_int_equal(n_files("pub-"), 1);
}

/* Nobody waits for ever for what was given up, and what comes of it later is not told. */
static void who_waits_for_a_publication_that_is_stopped_is_told(void **state)
{
    struct nt_node *t = &net.node[SERVICE];
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH};
    (void)state;

    network(0, NULL);
    for (uint64_t after = 0; after < 3; after++) {
        assert_int_equal(node_dark_create(t->node, &hidden, "k", net.now, &addr), QUDAG_OK);
        r = (struct node_request){.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
        t->n_asks = 0;
        assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
        (void)nt_run(&net, after * 60 * NS_PER_MS, NULL);
        assert_int_equal(t->ask[0].ends, 0);
        r.kind = NODE_OP_DARK_UNPUBLISH;
        assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(t->ask[i].ends, 1);
            assert_int_equal(t->ask[i].err, i == 0 ? QUDAG_ECANCELED : QUDAG_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(it_comes_back_with_its_address),
        NT_TEST(who_is_gone_is_offline),
        NT_TEST(whose_node_died_is_offline),
        NT_TEST(who_forgets_it_lets_nobody_in),
        NT_TEST(relays_that_break_circuits_keep_no_caller_out),
        NT_TEST(one_that_stopped_is_offline_at_once_and_begins_again),
        NT_TEST(who_waits_for_a_publication_that_is_stopped_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
