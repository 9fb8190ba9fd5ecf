/* udp_test.c - the socket on a loopback interface whose MTU changes, in a network namespace of its own. */
#include "io/udp.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define NOW (1000 * NS_PER_S)
#define SEG 1452
#define SEGS 10

static struct udp from, to;
static uint8_t payload[SEG * SEGS];
static uint8_t rx[UDP_BATCH * UDP_BUF];
static struct io_stats st;

static void set_mtu(int mtu)
{
    struct ifreq r = {.ifr_name = "lo"};

    r.ifr_mtu = mtu;
    assert_int_equal(ioctl(from.fd, SIOCSIFMTU, &r), 0);
}

/* Datagrams and bytes that have arrived. */
static size_t arrived(size_t *bytes)
{
    struct pollfd p = {.fd = to.fd, .events = POLLIN};
    size_t n = 0;

    *bytes = 0;
    while (poll(&p, 1, 50) > 0) {
        struct udp_msg msg[UDP_BATCH];
        size_t got = udp_recv(&to, msg, rx);
        for (size_t i = 0; i < got; i++) {
            n += (msg[i].len + msg[i].segment - 1) / msg[i].segment;
            *bytes += msg[i].len;
        }
    }
    return n;
}

static enum udp_sent send_all(const char *local, size_t segment, tstamp now)
{
    struct quic_tx tx = {.remote = to.bound, .segment = (uint16_t)segment, .buf = payload};

    tx.len = segment * SEGS;
    if (local != NULL) {
        assert_int_equal(netaddr_parse_ip(&tx.local, local), QUDAG_OK);
    }
    st = (struct io_stats){0};
    return udp_send(&from, &tx, now, &st);
}

static void a_smaller_mtu_costs_what_is_larger_and_nothing_else(void **state)
{
    size_t bytes;

    (void)state;
    set_mtu(65536);
    assert_int_equal(send_all(NULL, SEG, NOW), UDP_SENT);
    assert_int_equal(arrived(&bytes), SEGS);
    set_mtu(1300);
    assert_int_equal(send_all(NULL, SEG, NOW), UDP_LOST);
    assert_int_equal(arrived(&bytes), 0);
    assert_int_equal(send_all(NULL, 1200, NOW), UDP_SENT);
    assert_int_equal(arrived(&bytes), SEGS);
    assert_int_equal(bytes, 1200 * SEGS);
    set_mtu(65536);
    assert_int_equal(send_all(NULL, SEG, NOW), UDP_SENT);
    assert_int_equal(arrived(&bytes), SEGS);
    if (from.gso) { /* the kernel segments as before */
        assert_true(udp_segments(&from, NOW));
        assert_int_equal(st.send_calls, 1);
    }
}

static void a_wrong_source_address_is_not_held_against_segments(void **state)
{
    size_t bytes;

    (void)state;
    set_mtu(65536);
    assert_int_equal(send_all("192.0.2.1", SEG, NOW), UDP_LOST);
    assert_int_equal(udp_segments(&from, NOW), from.gso);
    assert_int_equal(send_all(NULL, SEG, NOW), UDP_SENT);
    assert_int_equal(arrived(&bytes), SEGS);
}

static void segments_that_a_device_refused_are_tried_again_later(void **state)
{
    size_t bytes;

    (void)state;
    if (!from.gso) {
        skip();
    }
    from.gso_retry_at = NOW + 1;
    assert_int_equal(send_all(NULL, SEG, NOW), UDP_SENT);
    assert_int_equal(st.send_calls, SEGS);
    assert_int_equal(arrived(&bytes), SEGS);
    assert_int_equal(send_all(NULL, SEG, NOW + 1), UDP_SENT);
    assert_int_equal(st.send_calls, 1);
    assert_int_equal(arrived(&bytes), SEGS);
}

/* The kernel tells of an older datagram when the next is sent, which is to leave nevertheless. */
static void a_refusal_of_an_older_datagram_does_not_cost_the_next(void **state)
{
    struct quic_tx tx = {.remote = to.bound, .segment = 100, .len = 100, .buf = payload};
    size_t bytes;

    (void)state;
    tx.remote.port = (uint16_t)(to.bound.port == 4001 ? 4002 : 4001); /* nobody is there */
    assert_int_equal(udp_send(&from, &tx, NOW, &st), UDP_SENT);
    (void)poll(NULL, 0, 20);
    tx.remote = to.bound;
    assert_int_equal(udp_send(&from, &tx, NOW, &st), UDP_SENT);
    assert_int_equal(arrived(&bytes), 1);
}

static bool run(const char *program, char *const argv[])
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)execvp(program, argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* A pair of devices of which one end takes less than the other sends; false: no ip(8), or no right to make it. */
static bool make_narrow_device(void)
{
    char commands[] = "ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
                      "ip link set v0 up && ip link set v1 mtu 1300 up && "
                      "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev v0";
    char sh[] = "sh", c[] = "-c";

    return run("sh", (char *[]){sh, c, commands, NULL});
}

/* Field trial F2: a bridge port whose MTU shrank stopped all sending, the same datagram was tried for ever. */
static void what_the_device_drops_is_lost_and_not_tried_again(void **state)
{
    struct quic_tx tx = {.segment = 1400, .len = 1400, .buf = payload};

    (void)state;
    if (!make_narrow_device()) {
        skip();
    }
    tx.remote = (struct netaddr){.family = 4, .ip = {10, 9, 0, 2}, .port = 4001};
    st = (struct io_stats){0};
    assert_int_equal(udp_send(&from, &tx, NOW, &st), UDP_LOST);
    assert_int_equal(st.send_again, 0);
    tx.segment = 1200;
    tx.len = 1200;
    assert_int_equal(udp_send(&from, &tx, NOW, &st), UDP_SENT);
}

static int open_both(void **state)
{
    struct netaddr any = {.family = 4}, loopback = {.family = 4, .ip = {127, 0, 0, 1}};
    struct ifreq r = {.ifr_name = "lo"};

    (void)state;
    if (udp_open(&from, &any) != 0) {
        return -1;
    }
    r.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    return ioctl(from.fd, SIOCSIFFLAGS, &r) == 0 && udp_open(&to, &loopback) == 0 ? 0 : -1;
}

static int close_both(void **state)
{
    (void)state;
    udp_close(&from);
    udp_close(&to);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_of_an_older_datagram_does_not_cost_the_next),
        cmocka_unit_test(a_smaller_mtu_costs_what_is_larger_and_nothing_else),
        cmocka_unit_test(a_wrong_source_address_is_not_held_against_segments),
        cmocka_unit_test(segments_that_a_device_refused_are_tried_again_later),
        cmocka_unit_test(what_the_device_drops_is_lost_and_not_tried_again),
    };

    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        (void)fputs("skipped: no network namespace can be made here\n", stderr);
        return 77;
    }
    return cmocka_run_group_tests(tests, open_both, close_both);
}
