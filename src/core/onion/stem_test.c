/*
 * stem_test.c - circuits that wait without their last hop: no use before they have it, and as any other then.
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

#define MINUTES (60 * NS_PER_S)

static struct onion_info info_of(const struct testnet *n, struct ref c)
{
    struct onion_info info;

    assert_int_equal(onion_info_get(n->nodes[0].o, c, &info), QUDAG_OK);
    return info;
}

static qudag_err complete(struct testnet *n, struct ref c, size_t last)
{
    qudag_err err = onion_complete(n->nodes[0].o, c, &n->nodes[last].hop, n->now, &n->out);

    net_drain(n, 0);
    return err;
}

static struct ref stem_of_two(struct testnet *n)
{
    struct ref c;

    assert_int_equal(net_build_stem(n, 1, 2, &c), QUDAG_OK);
    assert_int_equal(complete(n, c, 3), QUDAG_ESTATE); /* it is not built */
    net_run(n);
    assert_true(ref_eq(net_up_of(&n->nodes[0], ONION_UP_BUILT)->circuit, c));
    n->nodes[0].ups_n = 0;
    return c;
}

static void a_stem_is_no_use_before_it_has_its_last_hop(void **state)
{
    uint8_t binding[32];
    struct ref carried;

    (void)state;
    struct testnet *n = net_new(5);
    struct ref c = stem_of_two(n);
    static const struct onion_hs_keys keys;
    struct onion_carry carry = {.carrier = c, .keys = &keys};
    struct onion_info info = info_of(n, c);
    assert_int_equal(info.state, ONION_BUILDING);
    assert_int_equal(info.hops, 2);
    assert_null(net_open(n, c, 1));
    assert_int_equal(onion_binding(n->nodes[0].o, c, binding), QUDAG_ESTATE);
    assert_int_equal(onion_carry(n->nodes[0].o, &carry, n->now, &carried), QUDAG_ESTATE);
    onion_stream_fin(n->nodes[0].o, c, 1, n->now, &n->out); /* nothing */
    net_drain(n, 0);
    net_sleep(n, NS_PER_S);
    assert_int_equal(info_of(n, c).state, ONION_BUILDING);
    net_del(n);
}

/* The relay has its time from the EXTEND on, not from when the circuit was made. */
static void a_relay_looks_for_the_last_hop_as_long_as_for_any(void **state)
{
    (void)state;
    struct testnet *n = net_new(5);
    struct ref c = stem_of_two(n);
    net_sleep(n, 9 * MINUTES);
    n->nodes[2].says_nothing = true; /* its owner is looking for node 3 */
    assert_int_equal(complete(n, c, 3), QUDAG_OK);
    net_run(n);
    net_sleep(n, ONION_EXTEND_TIMEOUT - NS_PER_MS);
    assert_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
    net_sleep(n, NS_PER_MS);
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->err, QUDAG_EUNREACHABLE);
    net_del(n);
}

static void completed_after_minutes_it_is_a_circuit_as_any(void **state)
{
    (void)state;
    struct testnet *n = net_new(5);
    n->nodes[3].app = APP_ECHO;
    struct ref c = stem_of_two(n);
    net_sleep(n, 9 * MINUTES);
    assert_int_equal(complete(n, c, 3), QUDAG_OK);
    assert_int_equal(complete(n, c, 3), QUDAG_ESTATE);
    net_run(n);
    const struct up *up = net_up_of(&n->nodes[0], ONION_UP_BUILT);
    assert_true(ref_eq(up->circuit, c));
    assert_true(up->n < NS_PER_S); /* what it waited is no part of what it took */
    struct onion_info info = info_of(n, c);
    assert_int_equal(info.state, ONION_OPEN);
    assert_int_equal(info.hops, 3);
    assert_true(peer_id_eq(&info.path[2], &n->nodes[3].id));
    assert_int_equal(complete(n, c, 4), QUDAG_ESTATE);
    struct testnet_flow *f = net_open(n, c, 3);
    assert_non_null(f);
    assert_int_equal(net_write(n, f, 0, 200000), QUDAG_OK);
    net_run(n);
    assert_int_equal(f->received, 200000);
    assert_int_equal(f->wrong, 0);
    net_sleep(n, 9 * MINUTES);
    assert_int_equal(info_of(n, c).state, ONION_OPEN);
    net_del(n);
}

static void what_makes_no_path_leaves_the_stem_as_it_was(void **state)
{
    (void)state;
    struct testnet *n = net_new(5);
    struct ref c = stem_of_two(n), whole = built(n, 3), none = {77, 77};
    for (size_t i = 0; i < 3; i++) { /* ourselves is one: as third hop it comes back */
        qudag_err want = i == 0 ? QUDAG_OK : QUDAG_EINVAL;
        assert_int_equal(i == 0 ? QUDAG_OK : complete(n, c, i), want);
    }
    struct onion_hop empty = {.n_addrs = 0};
    assert_int_equal(onion_complete(n->nodes[0].o, c, &empty, n->now, &n->out), QUDAG_EINVAL);
    assert_int_equal(complete(n, none, 3), QUDAG_ESTALE);
    assert_int_equal(complete(n, whole, 4), QUDAG_ESTATE);
    assert_int_equal(complete(n, c, 4), QUDAG_OK);
    net_run(n);
    assert_int_equal(info_of(n, c).hops, 3);
    struct ref service;
    n->nodes[2].hop.service = true;
    assert_int_equal(net_build_stem(n, 1, 2, &service), QUDAG_EINVAL);
    n->nodes[2].hop.service = false;
    assert_int_equal(net_build_stem(n, 1, 0, &service), QUDAG_EINVAL);
    net_del(n);
}

static void a_last_hop_that_is_not_there_is_to_blame(void **state)
{
    (void)state;
    struct testnet *n = net_new(5);
    struct ref c = stem_of_two(n);
    net_sleep(n, 5 * MINUTES);
    n->nodes[3].down = true;
    tstamp begun = n->now;
    assert_int_equal(complete(n, c, 3), QUDAG_OK);
    while (net_last_up(&n->nodes[0], ONION_UP_CLOSED) == NULL) {
        net_sleep(n, 100 * NS_PER_MS);
    }
    const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
    assert_in_range(n->now - begun, NS_PER_S, EXTEND_TOLD_BY + NS_PER_S);
    assert_true(ref_eq(up->circuit, c));
    assert_int_equal(up->n, 3);
    net_del(n);
}

static void one_that_never_answers_is_given_up(void **state)
{
    (void)state;
    struct testnet *n = net_new(5);
    struct ref c = stem_of_two(n);
    net_sleep(n, 5 * MINUTES);
    n->nodes[2].says_nothing = true;
    struct pipe *p = pipe_between(n, 1, 2);
    ASSERT(p != NULL);
    p->stalled[0] = true; /* nor does what it says arrive */
    assert_int_equal(complete(n, c, 3), QUDAG_OK);
    net_sleep(n, NS_PER_S);
    assert_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
    net_sleep(n, ONION_BUILD_TIMEOUT);
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->n, 3);
    net_del(n);
}

static void one_that_nobody_completes_ends_and_nobody_is_to_blame(void **state)
{
    (void)state;
    struct testnet *n = net_new(3);
    (void)stem_of_two(n);
    for (int i = 0; i < 11; i++) {
        net_sleep(n, MINUTES);
    }
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->n, 0);
    net_sleep(n, ONION_CLOSE_TIMEOUT);
    assert_int_equal(all_circuits(n), 0);
    net_del(n);
}

/* Every message of every hop while it waits: it ends, but for those that say that it does. */
static void a_relay_that_speaks_before_it_is_asked_ends_it(void **state)
{
    static const uint8_t zero[16] = {0};

    (void)state;
    for (uint8_t type = ONION_RELAY_EXTEND; type <= ONION_RELAY_CREDIT; type++) {
        for (size_t hop = 1; hop <= 2; hop++) {
            struct testnet *n = net_new(3);
            (void)stem_of_two(n);
            bool stream = type >= ONION_RELAY_BEGIN;
            size_t len = type == ONION_RELAY_SENDME ? 16 : type == ONION_RELAY_CREDIT ? 4 : 1;
            send_to_client(n, hop, type, stream ? 1 : 0, (struct slice){zero, len});
            assert_non_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
            net_sleep(n, ONION_CLOSE_TIMEOUT);
            net_del(n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stem_is_no_use_before_it_has_its_last_hop),
        cmocka_unit_test(a_relay_looks_for_the_last_hop_as_long_as_for_any),
        cmocka_unit_test(completed_after_minutes_it_is_a_circuit_as_any),
        cmocka_unit_test(what_makes_no_path_leaves_the_stem_as_it_was),
        cmocka_unit_test(a_last_hop_that_is_not_there_is_to_blame),
        cmocka_unit_test(one_that_never_answers_is_given_up),
        cmocka_unit_test(one_that_nobody_completes_ends_and_nobody_is_to_blame),
        cmocka_unit_test(a_relay_that_speaks_before_it_is_asked_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
