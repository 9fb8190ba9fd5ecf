/*
 * idle_test.c - acceptance case of silence: keepalive holds a link that is idle, a peer that stops
 * answering is dropped after the idle timeout, and neither costs the others anything.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#define IDLE_S 5

static int start(void **state)
{
    const struct net_options o = {
        .waiting = true, .client = true, .idle_timeout = IDLE_S * QUDAG_S};
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        net_start(i, &o);
    }
    for (size_t i = 1; i < 3; i++) {
        net_ask(&net[0], qudag_connect(net[0].node, net[i].addr, &net[0].last));
        assert_int_equal(net[0].err, QUDAG_OK);
        assert_int_equal(qudag_stream_open(net[i].node, &net[0].self, NET_ECHO, &net[i].ours),
                         QUDAG_OK);
        NET_WAIT(net[i].opened, NET_SOON);
    }
    return 0;
}

static void an_idle_link_that_is_in_use_outlives_the_idle_timeout(void **state)
{
    double end = net_now() + 2.4 * IDLE_S;
    (void)state;

    while (net_now() < end) {
        net_turn();
    }
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(net_links(&net[0], &net[i]), 1);
        assert_int_equal(net_changes(&net[0], &net[i], false), 0);
        assert_false(net[i].closed);
    }
}

static void a_peer_that_falls_silent_is_dropped_after_the_idle_timeout_alone(void **state)
{
    (void)state;
    net[1].frozen = true; /* as with SIGSTOP: its socket takes datagrams, nobody answers */
    double t = net_now();
    NET_WAIT(net_changes(&net[0], &net[1], false) == 1, 2 * IDLE_S + 5);
    t = net_now() - t;
    print_message("a silent peer was dropped after %.1f s\n", t);
    assert_true(t > IDLE_S * 0.5);
    assert_true(t < IDLE_S * 2);
    assert_int_equal(net_links(&net[0], &net[1]), 0);
    assert_int_equal(net_links(&net[0], &net[2]), 1);
    net_ask(&net[0], qudag_ping(net[0].node, &net[2].self, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_OK);
}

static void requests_to_a_silent_peer_end_with_an_error(void **state)
{
    (void)state;
    net_ask(&net[0], qudag_ping(net[0].node, &net[1].self, &net[0].last));
    assert_int_not_equal(net[0].err, QUDAG_OK);
    print_message("pinging it: %s\n", qudag_strerror(net[0].err));
}

static void a_peer_that_wakes_up_notices_and_can_come_back(void **state)
{
    (void)state;
    net[1].frozen = false;
    NET_WAIT(net[1].closed && net_changes(&net[1], &net[0], false) == 1, 5);
    net_ask(&net[1], qudag_connect(net[1].node, net[0].addr, &net[1].last));
    assert_int_equal(net[1].err, QUDAG_OK);
    NET_WAIT(net_changes(&net[0], &net[1], true) == 2, NET_SOON);
    net_ask(&net[0], qudag_ping(net[0].node, &net[1].self, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_OK);
}

static void a_link_nobody_uses_is_closed_though_it_is_alive(void **state)
{
    (void)state;
    uint64_t before =
        net_stat(&net[2], "links_trimmed_idle") + net_stat(&net[0], "links_trimmed_idle");
    qudag_stream_reset(net[2].node, net[2].ours, QUDAG_ECANCELED);
    NET_WAIT(net_links(&net[0], &net[2]) == 0, 4 * IDLE_S);
    assert_true(net_stat(&net[2], "links_trimmed_idle") + net_stat(&net[0], "links_trimmed_idle") >
                before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_link_that_is_in_use_outlives_the_idle_timeout),
        cmocka_unit_test(a_peer_that_falls_silent_is_dropped_after_the_idle_timeout_alone),
        cmocka_unit_test(requests_to_a_silent_peer_end_with_an_error),
        cmocka_unit_test(a_peer_that_wakes_up_notices_and_can_come_back),
        cmocka_unit_test(a_link_nobody_uses_is_closed_though_it_is_alive),
    };
    return cmocka_run_group_tests(tests, start, net_stop_all);
}
