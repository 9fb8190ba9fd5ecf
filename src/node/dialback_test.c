/* dialback_test.c - dials for others that are given up, and those that come behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

static struct autonat_order order_no(uint64_t job)
{
    struct autonat_order o = {.job = job, .nonce = job};
    struct netaddr at = {4, {66, 6, 6, (uint8_t)job}, 4001, 0};
    uint8_t pk[32] = {9, (uint8_t)job};

    peer_id_from_ed25519(&o.peer, pk);
    multiaddr_quic(&o.addr, &at, NULL);
    return o;
}

/* To hosts that do not answer: their places, and their sockets, are others' a second later. */
static void dials_that_are_given_up_hold_nothing(void **state)
{
    struct node_config c = nt_config(&net, 0);
    uint64_t job = 0;
    (void)state;

    nt_begin(0, &c);
    struct node *n = net.node[0].node;
    for (unsigned turn = 0; turn < 4; turn++) {
        uint64_t first = job + 1;
        for (unsigned i = 0; i < AUTONAT_JOBS_MAX; i++) {
            struct autonat_order o = order_no(++job);
            assert_int_equal(node_dialback_begin(n, &o, net.now), QUDAG_OK);
        }
        (void)nt_run(&net, 600 * NS_PER_MS, NULL);
        uint64_t sent = net.nowhere;
        assert_true(sent >= AUTONAT_JOBS_MAX);
        assert_in_range(net.node[0].n_extra, AUTONAT_JOBS_MAX, 2 * AUTONAT_JOBS_MAX);
        for (uint64_t i = first; i <= job; i++) {
            node_dialback_cancel(n, i, net.now);
        }
        node_dialback_cancel(n, job + 1, net.now); /* nobody's */
        (void)nt_run(&net, 500 * NS_PER_MS, NULL);
        assert_true(net.nowhere - sent <= 2 * AUTONAT_JOBS_MAX); /* the ends of the links */
    }
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].n_extra, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(dials_that_are_given_up_hold_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
