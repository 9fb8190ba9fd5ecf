/*
 * join_test.c - qudag_node_join(): it starts, steps and says what it waits for.
 *
 * TEST: timeout=60
 */
#include "net.h"

static char why[QUDAG_JOIN_WAITS_MAX];

static qudag_err join_ms(size_t i, uint64_t ms)
{
    return qudag_node_join(net[i].node, ms * 1000000u, why, sizeof(why));
}

static void it_says_what_it_waits_for_and_goes_on(void **state)
{
    (void)state;
    struct net_options o = {.waiting = true};
    net_grow(6, &(struct net_options){0});
    o.bootstrap[0] = net[0].addr;
    o.n_bootstrap = 1;
    net_start(6, &o);
    assert_int_equal(qudag_node_phase(net[6].node), QUDAG_PHASE_START);
    assert_int_equal(join_ms(6, 0), QUDAG_ETIMEOUT); /* it is started now */
    assert_int_equal(qudag_node_start(net[6].node), QUDAG_ESTATE);
    assert_non_null(strstr(why, "bootstrap peers have answered"));

    double end = net_now() + NET_SOON;
    qudag_err err = QUDAG_ETIMEOUT;
    while (err == QUDAG_ETIMEOUT && net_now() < end) {
        assert_int_not_equal(why[0], 0);
        net_turn(); /* the others have to work, too */
        err = join_ms(6, 1);
    }
    assert_int_equal(err, QUDAG_OK);
    assert_int_equal(why[0], 0);
    assert_int_equal(qudag_node_phase(net[6].node), QUDAG_PHASE_READY);
    assert_int_equal(join_ms(6, 0), QUDAG_OK);
    assert_int_equal(qudag_node_join(net[6].node, 0, NULL, 0), QUDAG_OK);
}

static void with_too_few_relays_it_says_how_many(void **state)
{
    (void)state;
    struct net_options o = {.waiting = true};
    net_start(0, &(struct net_options){0});
    o.bootstrap[0] = net[0].addr;
    o.n_bootstrap = 1;
    net_start(1, &o);
    double end = net_now() + NET_SOON;
    while (strstr(why, "relays are known") == NULL && net_now() < end) {
        net_turn();
        assert_int_equal(join_ms(1, 5), QUDAG_ETIMEOUT);
    }
    assert_non_null(strstr(why, "are needed"));
    char cut[10];
    assert_int_equal(qudag_node_join(net[1].node, 0, cut, sizeof(cut)), QUDAG_ETIMEOUT);
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
}

static void it_ends_when_the_node_is_stopped_and_not_in_a_callback(void **state)
{
    (void)state;
    struct net_options o = {.bootstrap = {"/ip4/127.0.0.1/udp/9/quic-v1/p2p/"
                                          "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"},
                            .n_bootstrap = 1,
                            .waiting = true};
    net_start(0, &o);
    assert_int_equal(qudag_node_join(NULL, 0, why, sizeof(why)), QUDAG_EINVAL);
    assert_int_equal(join_ms(0, 10), QUDAG_ETIMEOUT);
    qudag_node_stop(net[0].node);
    assert_int_equal(join_ms(0, 10000), QUDAG_ECANCELED);
    assert_int_equal(why[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(it_says_what_it_waits_for_and_goes_on, net_stop_all),
        cmocka_unit_test_teardown(with_too_few_relays_it_says_how_many, net_stop_all),
        cmocka_unit_test_teardown(it_ends_when_the_node_is_stopped_and_not_in_a_callback,
                                  net_stop_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
