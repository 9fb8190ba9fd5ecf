/*
 * dial_test.c - a socket of this machine leads to a service, or is closed with a reason.
 *
 * The service is the echo of net.c: what it sends back of the request for port 80 (00 50) is the answer "connected"
 * and a letter P, of that for port 256 (01 00) a denial with something behind it.
 *
 * TEST: timeout=120
 */
#include "net.h"

#include <sys/socket.h>
#include <unistd.h>

#define TUNNEL "/qudag/tunnel/1.0.0"

static struct {
    unsigned n;
    qudag_err err;
    char what[200];
} done;

static void on_done(qudag_node *n, qudag_err err, const char *what, void *user)
{
    (void)n;
    assert_ptr_equal(user, &done);
    done.n++;
    done.err = err;
    (void)snprintf(done.what, sizeof(done.what), "%s", what);
}

/* Dials from node 0; the other end of what leads there. */
static int dial(const char *addr, uint16_t port, qudag_err want)
{
    int pair[2];
    qudag_dial_options o = {.size = sizeof(o), .port = port, .done = on_done, .user = &done};
    memset(&done, 0, sizeof(done));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(qudag_dial(net[0].node, addr, pair[1], &o), want);
    assert_int_equal(done.n, 0);
    return pair[0];
}

static bool is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static void a_connection_leads_to_the_service(const char *addr)
{
    char got[16];
    size_t len = 0;
    int fd = dial(addr, 80, QUDAG_OK);
    assert_int_equal(write(fd, "early", 5), 5); /* waits until it is connected */
    NET_WAIT(done.n == 1, NET_SOON);
    assert_int_equal(done.err, QUDAG_OK);
    assert_int_equal(write(fd, " late", 5), 5);
    for (double until = net_now() + NET_SOON; len < 11 && net_now() < until; net_turn()) {
        ssize_t n = recv(fd, got + len, 11 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(len, 11);
    assert_memory_equal(got, "Pearly late", 11);
    assert_int_equal(shutdown(fd, SHUT_WR), 0); /* the end goes there, and comes back */
    NET_WAIT(is_closed(fd), NET_SOON);
    assert_int_equal(done.n, 1);
    close(fd);
}

static void what_does_not_come_about_is_closed_with_a_reason(const char *addr)
{
    int fd = dial(addr, 256, QUDAG_OK);
    NET_WAIT(done.n == 1, NET_SOON);
    assert_int_equal(done.err, QUDAG_EPROTO);
    assert_true(strlen(done.what) > 10 && is_closed(fd));
    close(fd);
    fd = dial(addr, 80, QUDAG_OK); /* given up */
    qudag_dial_cancel(net[0].node, &done);
    assert_true(is_closed(fd));
    close(fd);
    fd = dial("nonsense", 80, QUDAG_EMALFORMED);
    assert_true(is_closed(fd));
    close(fd);
    fd = dial(addr, 0, QUDAG_EINVAL);
    assert_true(is_closed(fd));
    close(fd);
}

static void a_service_without_ports_says_so(void)
{
    char addr[QUDAG_DARK_TEXT_MAX];
    assert_int_equal(qudag_dark_create(net[5].node, "none", addr), QUDAG_OK);
    net_ask(&net[5], qudag_dark_publish(net[5].node, addr, &net[5].last));
    int fd = dial(addr, 80, QUDAG_OK);
    NET_WAIT(done.n == 1, NET_SOON);
    assert_int_equal(done.err, QUDAG_EUNSUPPORTED);
    assert_true(is_closed(fd));
    close(fd);
}

static void dials_end_with_their_node(const char *addr)
{
    int open = dial(addr, 80, QUDAG_OK);
    NET_WAIT(done.n == 1, NET_SOON);
    assert_int_equal(done.err, QUDAG_OK);
    int waits = dial(addr, 80, QUDAG_OK);
    net_stop(0);
    assert_int_equal(done.n, 1);
    assert_int_equal(done.err, QUDAG_ESTATE);
    char byte;
    assert_int_equal(recv(open, &byte, 1, 0), 1); /* the P was there before */
    assert_true(is_closed(waits) && is_closed(open));
    close(open);
    close(waits);
}

static void sockets_lead_to_services(void **state)
{
    char addr[QUDAG_DARK_TEXT_MAX];
    (void)state;
    net_grow(7, &(struct net_options){.name_space = NULL});
    NET_WAIT(net_stat(&net[0], "relays") == 6 && net_stat(&net[6], "relays") == 6, 40);
    assert_int_equal(qudag_protocol_serve_dark(net[6].node, TUNNEL), QUDAG_OK);
    net[6].serves = TUNNEL;
    assert_int_equal(qudag_dark_create(net[6].node, "shop", addr), QUDAG_OK);
    net_ask(&net[6], qudag_dark_publish(net[6].node, addr, &net[6].last));
    assert_int_equal(net[6].err, QUDAG_OK);
    a_connection_leads_to_the_service(addr);
    what_does_not_come_about_is_closed_with_a_reason(addr);
    a_service_without_ports_says_so();
    dials_end_with_their_node(addr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sockets_lead_to_services)};
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
