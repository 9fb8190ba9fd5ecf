/* tcp_test.c - how a connection ends, over loopback, with a node that is not one. */
#include "io/tcp.h"
#include "node/tcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/sockaddr.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ID 1 /* of the one connection */

static struct {
    uv_loop_t loop;
    struct io_tcp tcp;
    unsigned handles;
    uint8_t tx[TCP_TX], rx[TCP_RX];
    int peer; /* the other end; it reads when the test says so */
    bool accepted, done;
    enum tcp_action_type next;
    bool has_next;
    size_t offered, read; /* bytes that the node gave, that the peer got */
} net;

/* ---- the node ---- */

bool node_tcp_next(struct node *n, struct tcp_action *out, tstamp now)
{
    bool has = net.has_next;
    (void)n;
    (void)now;

    *out = (struct tcp_action){.type = net.next, .id = ID};
    net.has_next = false;
    return has;
}

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 9));
}

size_t node_tcp_output(struct node *n, uint64_t id, uint8_t *dst, size_t cap, tstamp now)
{
    (void)n;
    (void)now;

    assert_int_equal(id, ID);
    for (size_t i = 0; !net.done && i < cap; i++) {
        dst[i] = byte_at(net.offered++);
    }
    return net.done ? 0 : cap;
}

qudag_err node_tcp_accepted(struct node *n, const struct netaddr *local,
                            const struct netaddr *remote, tstamp now, uint64_t *id)
{
    (void)n;
    (void)local;
    (void)remote;
    (void)now;
    net.accepted = true;
    *id = ID;
    return QUDAG_OK;
}

void node_tcp_connected(struct node *n, uint64_t id, const struct netaddr *local, tstamp now)
{
    (void)n;
    (void)id;
    (void)local;
    (void)now;
}

void node_tcp_failed(struct node *n, uint64_t id, qudag_err err, tstamp now)
{
    (void)n;
    (void)id;
    (void)err;
    (void)now;
}

void node_tcp_ended(struct node *n, uint64_t id, qudag_err err, tstamp now)
{
    node_tcp_failed(n, id, err, now);
}

void node_tcp_received(struct node *n, uint64_t id, struct slice in, tstamp now)
{
    (void)in;
    node_tcp_failed(n, id, QUDAG_OK, now);
}

void node_tcp_no_room(struct node *n, tstamp now)
{
    (void)n;
    (void)now;
}

/* ---- the loop ---- */

static void handle_gone(struct io *io)
{
    (void)io;
    net.handles--;
}

static void before_send(struct io *io, tstamp now)
{
    (void)io;
    (void)now;
}

static void does(enum tcp_action_type what)
{
    net.next = what;
    net.has_next = true;
    assert_true(io_tcp_run(&net.tcp, io_now()));
}

/* Begins with a connection whose peer reads nothing, and of which the kernel takes no more. */
static int begin(void **state)
{
    struct netaddr at = {.family = 4, .ip = {127, 0, 0, 1}};
    const uint16_t port[2] = {0, 0};
    int small = 4096;
    struct io_failure why;
    union io_sockaddr sa;
    (void)state;

    memset(&net, 0, sizeof net);
    assert_int_equal(uv_loop_init(&net.loop), 0);
    io_tcp_init(&net.tcp, NULL, &net.loop);
    net.tcp.handles = &net.handles;
    net.tcp.handle_gone = handle_gone;
    net.tcp.before_send = before_send;
    net.tcp.tx = net.tx;
    net.tcp.rx = net.rx;
    net.tcp.node = (struct node *)(void *)&net; /* never looked into */
    assert_int_equal(io_tcp_listen_all(&net.tcp, &at, 1, port, &why), QUDAG_OK);
    struct netaddr bound[IO_ADDRS_MAX];
    assert_int_equal(io_tcp_bound_addrs(&net.tcp, bound, 0), 1);
    socklen_t len = io_to_sockaddr(&sa, &bound[0]);
    net.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(net.peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(connect(net.peer, &sa.sa, len), 0);
    for (int i = 0; i < 1000 && !net.accepted; i++) {
        (void)uv_run(&net.loop, UV_RUN_NOWAIT);
        (void)poll(NULL, 0, 1);
    }
    assert_true(net.accepted);
    for (size_t before = SIZE_MAX; before != net.offered;) { /* until something waits here */
        before = net.offered;
        does(TCP_DO_OUTPUT);
    }
    net.done = true; /* all of it was taken */
    return 0;
}

static int end(void **state)
{
    (void)state;
    close(net.peer);
    io_tcp_close(&net.tcp);
    (void)uv_run(&net.loop, UV_RUN_DEFAULT);
    assert_int_equal(net.handles, 0);
    return uv_loop_close(&net.loop);
}

/* True: the end has come. */
static bool peer_reads(void)
{
    uint8_t buf[16384];

    for (;;) {
        ssize_t n = recv(net.peer, buf, sizeof buf, MSG_DONTWAIT);
        if (n <= 0) {
            assert_true(n == 0 || errno == EAGAIN);
            return n == 0;
        }
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(buf[i], byte_at(net.read++));
        }
    }
}

/* ---- tests ---- */

static void what_the_kernel_had_not_taken_when_it_was_closed_leaves(void **state)
{
    bool over = false;
    (void)state;

    does(TCP_DO_CLOSE);
    for (int i = 0; i < 20000 && !over; i++) {
        (void)uv_run(&net.loop, UV_RUN_NOWAIT);
        over = peer_reads();
        (void)poll(NULL, 0, 1);
    }
    assert_true(over);
    assert_int_equal(net.read, net.offered);
}

static void a_peer_that_reads_nothing_is_waited_for_no_longer_than_others(void **state)
{
    tstamp by;
    (void)state;

    does(TCP_DO_CLOSE);
    by = io_tcp_deadline(&net.tcp);
    assert_in_range(by, io_now(), io_now() + TCP_DRAINING);
    io_tcp_tick(&net.tcp, by - 1);
    assert_int_equal(net.tcp.n_draining, 1);
    io_tcp_tick(&net.tcp, by);
    assert_int_equal(net.tcp.n_draining, 0);
    assert_true(io_tcp_deadline(&net.tcp) == TSTAMP_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_kernel_had_not_taken_when_it_was_closed_leaves,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            a_peer_that_reads_nothing_is_waited_for_no_longer_than_others, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
