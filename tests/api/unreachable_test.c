/*
 * unreachable_test.c - peers that are not there: the network's own word is heard.
 *
 * TEST: timeout=60 waits
 */
#include "net.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_dial_to_a_closed_port_ends_at_once(void **state)
{
    const struct net_options alone = {.waiting = true};
    char addr[QUDAG_ADDR_TEXT_MAX];
    (void)state;

    net_start(0, &alone);
    net_start(1, &alone);
    snprintf(addr, sizeof(addr), "%s", net[1].addr);
    net_stop(1); /* its port is closed from here on */

    double began = net_now();
    net_ask(&net[0], qudag_connect(net[0].node, addr, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_EUNREACHABLE);
    assert_true(net_now() - began < 5.0); /* the handshake timeout is 10 s */
}

/* The node of above has an IPv4 socket only, on loopback: neither address can be sent to (F12). */
static void a_dial_without_a_socket_or_a_route_ends_at_once(void **state)
{
    static const char *const nowhere[] = {
        "/ip6/2001:db8::1/udp/4001/quic-v1", /* no socket of that family */
        "/ip6/::1/udp/4001/quic-v1",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        double began = net_now();
        net_ask(&net[0], qudag_connect(net[0].node, nowhere[i], &net[0].last));
        assert_int_equal(net[0].err, QUDAG_EUNREACHABLE);
        assert_true(net_now() - began < 5.0); /* the handshake timeout is 10 s */
    }
}

/* A node in a process of its own, which tells its address and lives for 30 s. */
static pid_t start_child(char addr[QUDAG_ADDR_TEXT_MAX])
{
    const struct net_options alone = {.waiting = true};
    int fd[2];

    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        net_start(1, &alone);
        if (write(fd[1], net[1].addr, QUDAG_ADDR_TEXT_MAX) != QUDAG_ADDR_TEXT_MAX) {
            _exit(1);
        }
        for (double end = net_now() + 30; net_now() < end;) {
            (void)!qudag_node_step(net[1].node, 10 * QUDAG_MS);
        }
        _exit(0);
    }
    assert_int_equal(read(fd[0], addr, QUDAG_ADDR_TEXT_MAX), QUDAG_ADDR_TEXT_MAX);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return child;
}

static bool linked(void)
{
    qudag_link_info link = QUDAG_INIT(qudag_link_info);
    size_t it = 0;

    return qudag_link_next(net[0].node, &it, &link);
}

/* A process that is killed says no goodbye; its links go when its closed port answers. */
static void links_of_a_killed_process_go_within_seconds(void **state)
{
    char addr[QUDAG_ADDR_TEXT_MAX] = "";
    qudag_link_info link = QUDAG_INIT(qudag_link_info);
    size_t it = 0;
    pid_t child = start_child(addr);
    (void)state;

    net_ask(&net[0], qudag_connect(net[0].node, addr, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_OK);
    assert_true(qudag_link_next(net[0].node, &it, &link));
    double pause = net_now() + 0.5; /* identify is over by then */
    NET_WAIT(net_now() > pause, 2);

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    double began = net_now();
    net_ask(&net[0], qudag_ping(net[0].node, &link.peer, &net[0].last)); /* something to send */
    assert_int_not_equal(net[0].err, QUDAG_OK);
    NET_WAIT(!linked(), 10);
    assert_true(net_now() - began < 5.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dial_to_a_closed_port_ends_at_once),
        cmocka_unit_test(a_dial_without_a_socket_or_a_route_ends_at_once),
        cmocka_unit_test(links_of_a_killed_process_go_within_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
