/*
 * circuit_age_test.c - circuits to dark addresses between whole nodes: who shares one, how old they get, how many a
 * service can make a caller build.
 *
 * TEST: timeout=180
 */
#include "node/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define ECHO "/test/echo/1.0.0"
#define SERVICE 5

static struct dark_addr addr;

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

/* Six nodes, of which the last serves |addr|. */
static void join(void)
{
    nt_join(6);
    assert_false(nt_run(&net, 20 * NS_PER_S, NULL));
    assert_int_equal(node_serve(net.node[SERVICE].node, ECHO), QUDAG_OK);
    assert_int_equal(node_dark_create(net.node[SERVICE].node, &nt_direct, "shop", net.now, &addr),
                     QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    size_t at = nt_ask(&net.node[SERVICE], &r);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[SERVICE].ask[at].err, QUDAG_OK);
}

static bool is_open(struct ref s, struct ref *circuit)
{
    struct node_stream_info info;
    bool open = node_stream_info_get(net.node[0].node, s, &info) == QUDAG_OK && info.open;
    *circuit = info.circuit;
    return open;
}

/* A stream of node 0 with that key, open; its circuit. */
static struct ref open_with(uint8_t key, struct ref *s)
{
    const struct node_isolation k = {.len = key != 0, .key = {key}};
    struct ref circuit;
    assert_int_equal(node_stream_open_dark(net.node[0].node, &addr, ECHO, &k, s), QUDAG_OK);
    for (int i = 0; i < 1000 && !is_open(*s, &circuit); i++) {
        (void)nt_run(&net, 50 * NS_PER_MS, NULL);
    }
    assert_true(is_open(*s, &circuit));
    return circuit;
}

/* Time passes in which a byte a minute goes over |s|; false: it has ended. */
static bool live_on(struct ref s, uint64_t ns)
{
    size_t taken;
    for (uint64_t at = 0; at < ns; at += 60 * NS_PER_S) {
        if (node_stream_write(net.node[0].node, s, text("x"), &taken) != QUDAG_OK) {
            return false;
        }
        (void)nt_run(&net, ns - at < 60 * NS_PER_S ? ns - at : 60 * NS_PER_S, NULL);
    }
    return true;
}

static void streams_with_different_keys_share_no_circuit(void **state)
{
    struct ref s[4], circuit[4];
    (void)state;
    join();
    circuit[0] = open_with(1, &s[0]);
    circuit[1] = open_with(2, &s[1]);
    circuit[2] = open_with(0, &s[2]);
    circuit[3] = open_with(1, &s[3]);
    assert_true(ref_eq(circuit[3], circuit[0]));
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < a; b++) {
            assert_false(ref_eq(circuit[a], circuit[b]));
        }
    }
    /* also when they are asked for at once and wait for the same record */
    struct dark_addr other;
    struct ref both[2], way[2] = {{0, 0}};
    assert_int_equal(node_dark_create(net.node[SERVICE].node, &nt_direct, "two", net.now, &other),
                     QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = other};
    (void)nt_ask(&net.node[SERVICE], &r);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    for (uint8_t k = 0; k < 2; k++) {
        const struct node_isolation key = {.len = 1, .key = {k}};
        assert_int_equal(node_stream_open_dark(net.node[0].node, &other, ECHO, &key, &both[k]),
                         QUDAG_OK);
    }
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_true(is_open(both[0], &way[0]) && is_open(both[1], &way[1]));
    assert_false(ref_eq(way[0], way[1]));
}

static void a_circuit_in_use_is_left_after_ten_minutes_and_closed_after_a_day(void **state)
{
    struct ref s, again, first, second;
    struct onion_info info;
    (void)state;
    join();
    first = open_with(1, &s);
    assert_true(live_on(s, 500 * NS_PER_S));
    second = open_with(1, &again);
    assert_true(ref_eq(first, second));
    node_stream_reset(net.node[0].node, again, QUDAG_ECANCELED);
    assert_true(live_on(s, 100 * NS_PER_S));
    second = open_with(1, &again); /* dirty: takes no new stream */
    assert_false(ref_eq(first, second));
    node_stream_reset(net.node[0].node, again, QUDAG_ECANCELED);
    assert_true(live_on(s, 2000 * NS_PER_S));
    /* the other one has come of age without a stream */
    assert_int_equal(onion_info_get(node_onion(net.node[0].node), second, &info), QUDAG_ESTALE);
    assert_true(ref_none(net.node[0].old));
    assert_true(live_on(s, 1000 * NS_PER_S));
    assert_true(ref_eq(net.node[0].old, s));
    assert_true(net.node[0].old_left > 19 * 3600 * NS_PER_S &&
                net.node[0].old_left <= 24 * 3600 * NS_PER_S);
    assert_true(live_on(s, 7200 * NS_PER_S));
    assert_true(is_open(s, &second) && ref_eq(first, second));
    /* Nothing passes for hours: relays do not end it, and it still carries what comes then. */
    for (int hour = 0; hour < 15; hour++) {
        (void)nt_run(&net, 3600 * NS_PER_S, NULL);
        assert_true(is_open(s, &second) && ref_eq(first, second));
    }
    size_t got = net.node[SERVICE].got;
    assert_true(live_on(s, 60 * NS_PER_S));
    assert_int_equal(net.node[SERVICE].got, got + 1);
    (void)nt_run(&net, 6 * 3600 * NS_PER_S, NULL);
    assert_true(ref_eq(net.node[0].closed_ref, s));
    assert_int_equal(net.node[0].closed_why, QUDAG_EEXPIRED);
}

/* Also for whoever wants no padding: it is a sign of life.  A circuit without streams needs none. */
static void a_silent_stream_keeps_its_circuit_and_none_keeps_no_circuit(void **state)
{
    struct onion_info info;
    struct ref s, circuit;
    (void)state;
    join();
    net.node[0].node->cfg.padding = NODE_PADDING_NONE;
    circuit = open_with(1, &s);
    (void)nt_run(&net, 500 * NS_PER_S, NULL); /* before it is dirty, too */
    assert_int_equal(onion_info_get(node_onion(net.node[0].node), circuit, &info), QUDAG_OK);
    assert_true(net.now - info.active_at < 250 * NS_PER_S);
    (void)nt_run(&net, 3100 * NS_PER_S, NULL);
    assert_int_equal(onion_info_get(node_onion(net.node[0].node), circuit, &info), QUDAG_OK);
    assert_int_equal(info.streams, 1);
    assert_true(is_open(s, &circuit));
    node_stream_reset(net.node[0].node, s, QUDAG_ECANCELED);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(onion_info_get(node_onion(net.node[0].node), circuit, &info), QUDAG_ESTALE);
}

static struct ref opened_again;

/* A program that opens another stream as soon as it hears that one has ended. */
static void open_again(struct nt_node *t, const char *what, struct ref s)
{
    const struct node_isolation k = {.len = 1, .key = {1}};
    (void)s;

    if (strcmp(what, "stream_closed") == 0 && ref_none(opened_again)) {
        assert_int_equal(node_stream_open_dark(t->node, &addr, ECHO, &k, &opened_again), QUDAG_OK);
    }
}

/* While its streams are told of its end it takes no new one, which would end with it and be told of in its turn. */
static void a_circuit_that_has_ended_takes_no_stream_in_a_hook(void **state)
{
    struct onion_info info;
    struct ref s, first, second = {0, 0};
    (void)state;

    join();
    first = open_with(1, &s);
    opened_again = (struct ref){0, 0};
    net.node[0].hook = open_again;
    struct node *far = net.node[SERVICE].node;
    for (size_t it = 0; onion_next(far->onion, &it, &info);) {
        if (info.role == ONION_END) {
            assert_int_equal(node_circuit_close(far, info.circuit), QUDAG_OK);
        }
    }
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_true(ref_eq(net.node[0].closed_ref, s));
    assert_int_equal(net.node[0].closed, 1);
    assert_true(is_open(opened_again, &second));
    assert_false(ref_eq(first, second));
}

/* It is not left to end when nothing has passed over it for ten minutes. */
static void a_dirty_circuit_is_closed_when_its_last_stream_ends(void **state)
{
    struct onion_info info;
    struct ref s, circuit;
    (void)state;
    join();
    circuit = open_with(1, &s);
    assert_true(live_on(s, 660 * NS_PER_S));
    assert_int_equal(onion_info_get(node_onion(net.node[0].node), circuit, &info), QUDAG_OK);
    assert_int_equal(info.streams, 1);
    node_stream_reset(net.node[0].node, s, QUDAG_ECANCELED);
    (void)nt_run(&net, 15 * NS_PER_S, NULL);
    assert_int_equal(onion_info_get(node_onion(net.node[0].node), circuit, &info), QUDAG_ESTALE);
}

/* What never left this node is no far end's doing: 30 attempts while there is no path cost none. */
static void attempts_without_a_path_are_given_back(void **state)
{
    const struct node_isolation k = {.len = 1, .key = {1}};
    struct relays *r;
    struct ref s, first, again;
    (void)state;
    join();
    r = net.node[0].node->relays;
    first = open_with(1, &s);
    assert_int_equal(node_circuit_close(net.node[0].node, first), QUDAG_OK);
    (void)nt_run(&net, NS_PER_S, NULL);
    for (unsigned i = 0; i < 30; i++) {
        r->settled = r->usable = false;
        assert_int_equal(node_stream_open_dark(net.node[0].node, &addr, ECHO, &k, &s), QUDAG_OK);
        (void)nt_run(&net, 30 * NS_PER_S, NULL);
        assert_true(ref_eq(net.node[0].closed_ref, s));
        assert_int_equal(net.node[0].closed_why, QUDAG_ENORELAYS);
    }
    r->settled = r->usable = true;
    again = open_with(1, &s);
    assert_false(ref_eq(first, again));
}

static unsigned attempts,
    circuits_in; /* circuits_in: each counted when it is another than the last */
static struct ref circuit_in;
static struct node_isolation hostile_key;

/* What the audit's receiver did: each circuit ends as soon as it stands. */
static void end_circuit(struct nt_node *t, const char *what, struct ref s)
{
    struct node_stream_info info;
    if (strcmp(what, "stream_in") == 0) {
        assert_int_equal(node_stream_info_get(t->node, s, &info), QUDAG_OK);
        circuits_in += !ref_eq(info.circuit, circuit_in);
        circuit_in = info.circuit;
        assert_int_equal(node_circuit_close(t->node, info.circuit), QUDAG_OK);
    }
}

/* A program that tries again at once, and every second. */
static void insist(void)
{
    struct ref s;
    qudag_err err = node_stream_open_dark(net.node[0].node, &addr, ECHO, &hostile_key, &s);
    attempts++;
    assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
}

static void a_service_that_ends_every_circuit_does_not_get_another_for_ever(void **state)
{
    (void)state;
    join();
    net.node[SERVICE].hook = end_circuit;
    for (int second = 0; second < 200; second++) {
        insist();
        (void)nt_run(&net, NS_PER_S, NULL);
    }
    assert_int_equal(attempts, 200);
    assert_in_range(circuits_in, 9,
                    11); /* 44 with the daemon that the audit looked at, 200 with this program */
    print_message("200 s: %u circuits for %u attempts\n", circuits_in, attempts);
    for (int second = 0; second < 340; second++) {
        insist();
        (void)nt_run(&net, 10 * NS_PER_S, NULL);
    }
    assert_in_range(circuits_in, 12, 18);
    print_message("an hour: %u circuits for %u attempts\n", circuits_in, attempts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(streams_with_different_keys_share_no_circuit),
        NT_TEST(a_circuit_in_use_is_left_after_ten_minutes_and_closed_after_a_day),
        NT_TEST(a_silent_stream_keeps_its_circuit_and_none_keeps_no_circuit),
        NT_TEST(a_dirty_circuit_is_closed_when_its_last_stream_ends),
        NT_TEST(a_circuit_that_has_ended_takes_no_stream_in_a_hook),
        NT_TEST(attempts_without_a_path_are_given_back),
        NT_TEST(a_service_that_ends_every_circuit_does_not_get_another_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
