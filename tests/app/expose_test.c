/*
 * expose_test.c - services over a network of nodes and real sockets: what a caller gets of a target, in every case.
 *
 * TEST: timeout=180
 */
#include "../api/net.h"
#include "app/expose_int.h"
#include "app/sock.h"

#include <qudag/expose.h>
#include <qudag/tunnel.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICE (&net[5])
#define CALLER (&net[6])

static char addr[QUDAG_DARK_TEXT_MAX];
static int target_fd = -1;
static struct netaddr target_at;

static qudag_expose_options options(const char *const *ports, uint32_t n)
{
    return (qudag_expose_options){.size = sizeof(qudag_expose_options),
                                  .ports = ports,
                                  .ports_n = n,
                                  .name = "web",
                                  .network = QUDAG_DARK_LAB};
}

static qudag_expose_info info(void)
{
    qudag_expose_info i = QUDAG_INIT(qudag_expose_info);
    size_t it = 0;

    assert_true(qudag_expose_next(SERVICE->node, &it, &i));
    return i;
}

static int setup(void **state)
{
    static const struct net_options o = {.client = false};
    char port[QUDAG_EXPOSE_PORT_TEXT_MAX];
    const char *ports[] = {port, "81:127.0.0.1:1"};
    (void)state;

    net_grow(7, &o);
    assert_int_equal(sock_listen(&target_fd, &(struct netaddr){.family = 4, .ip = {127, 0, 0, 1}}),
                     0);
    assert_true(sock_bound(target_fd, &target_at));
    snprintf(port, sizeof(port), "80:127.0.0.1:%u", (unsigned)target_at.port);
    qudag_expose_options e = options(ports, 2);
    assert_int_equal(qudag_expose_start(SERVICE->node, &e, addr), QUDAG_OK);
    NET_WAIT(info().published, 40);
    return 0;
}

static int teardown(void **state)
{
    close(target_fd);
    return net_stop_all(state);
}

static void open_port(uint16_t port, const char *key)
{
    qudag_dark_options o = QUDAG_INIT(qudag_dark_options);

    o.isolation_len = (uint32_t)strlen(key);
    memcpy(o.isolation, key, strlen(key));
    CALLER->opened = CALLER->closed = false;
    CALLER->back_len = 0;
    CALLER->say = NULL;
    assert_int_equal(qudag_tunnel_open(CALLER->node, addr, port, &o, &CALLER->ours), QUDAG_OK);
}

static int take(void)
{
    int fd = -1;
    NET_WAIT(fd >= 0 || (fd = sock_accept(target_fd)) >= 0, 20);
    return fd;
}

static size_t get(int fd, char *out, size_t max)
{
    long r = -EAGAIN;
    NET_WAIT(r != -EAGAIN || (r = sock_recv(fd, out, max)) != -EAGAIN, 10);
    assert_true(r >= 0);
    return (size_t)r;
}

static void say(const char *text)
{
    size_t taken;
    assert_int_equal(qudag_stream_write(CALLER->node, CALLER->ours, net_text(text), &taken),
                     QUDAG_OK);
    assert_int_equal(taken, strlen(text));
}

static void a_caller_reaches_the_target_and_ends_are_passed_on(void **state)
{
    char text[64];
    (void)state;

    open_port(80, "a");
    say("early"); /* before anybody has answered */
    int t = take();
    assert_int_equal(get(t, text, sizeof(text)), 5);
    assert_memory_equal(text, "early", 5);
    NET_WAIT(CALLER->opened, 10);
    assert_int_equal(SERVICE->streams_in, 0); /* the program hears nothing of it */
    assert_int_equal(info().connections, 1);
    qudag_stream_fin(CALLER->node, CALLER->ours);
    assert_int_equal(get(t, text, sizeof(text)), 0);
    assert_int_equal(sock_send(t, "answer", 6), 6);
    NET_WAIT(CALLER->back_len == 6, 10);
    close(t);
    NET_WAIT(CALLER->closed, 10);
    assert_int_equal(CALLER->closed_why, QUDAG_OK);
    assert_memory_equal(CALLER->back, "answer", 6);
    NET_WAIT(info().connections == 0, 5);
    qudag_expose_info i = info();
    assert_int_equal(i.bytes_in, 5);
    assert_int_equal(i.bytes_out, 6);
}

/* SPEC: TU-3, TU-4. */
static void what_cannot_be_had_is_said_in_so_many_words(void **state)
{
    (void)state;
    open_port(7, "a");
    NET_WAIT(CALLER->closed, 10);
    assert_false(CALLER->opened);
    assert_int_equal(CALLER->closed_why, QUDAG_EUNSUPPORTED);
    open_port(81, "a"); /* nothing listens at its target */
    NET_WAIT(CALLER->closed, 10);
    assert_int_equal(CALLER->closed_why, QUDAG_EREFUSED);
    qudag_expose_info i = info();
    assert_int_equal(i.no_port, 1);
    assert_int_equal(i.refused, 1);
    NET_WAIT(info().connections == 0, 10);
}

/* SPEC: TU-7. */
static void a_reset_of_the_target_is_a_reset(void **state)
{
    (void)state;
    open_port(80, "a");
    int t = take();
    NET_WAIT(CALLER->opened, 10);
    sock_close(t, true);
    NET_WAIT(CALLER->closed, 10);
    assert_int_equal(CALLER->closed_why, QUDAG_ERESET);
    NET_WAIT(info().connections == 0, 5);
}

static void one_circuit_has_its_share_and_no_more(void **state)
{
    static qudag_stream s[QUDAG_EXPOSE_CONNECTIONS_CIRCUIT + 1];
    qudag_dark_options o = {.size = sizeof(o), .isolation_len = 1, .isolation = {'b'}};
    (void)state;

    uint64_t before = info().full;
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        assert_int_equal(qudag_tunnel_open(CALLER->node, addr, 80, &o, &s[i]), QUDAG_OK);
    }
    NET_WAIT(info().full == before + 1, 20);
    assert_int_equal(info().connections, QUDAG_EXPOSE_CONNECTIONS_CIRCUIT);
    open_port(80, "c"); /* another circuit gets in */
    int fd[ARRAY_LEN(s)];
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        fd[i] = take();
    }
    NET_WAIT(CALLER->opened, 10);
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        close(fd[i]);
        qudag_stream_reset(CALLER->node, s[i], QUDAG_ECANCELED);
    }
    qudag_stream_reset(CALLER->node, CALLER->ours, QUDAG_ECANCELED);
    NET_WAIT(info().connections == 0, 10);
}

/* It begins, or is changed, with one port and room for |max| connections. */
static void start_web(uint32_t max)
{
    char port[QUDAG_EXPOSE_PORT_TEXT_MAX], again[QUDAG_DARK_TEXT_MAX];
    const char *ports[] = {port};

    snprintf(port, sizeof(port), "80:127.0.0.1:%u", (unsigned)target_at.port);
    qudag_expose_options e = options(ports, 1);
    e.connections_max = max;
    assert_int_equal(qudag_expose_start(SERVICE->node, &e, again), QUDAG_OK);
    assert_string_equal(again, addr);
}

static void a_full_service_takes_from_the_circuit_that_holds_most(void **state)
{
    qudag_stream s[4];
    int fd[5];
    qudag_dark_options o = {.size = sizeof(o), .isolation_len = 1, .isolation = {'d'}};
    (void)state;

    start_web(4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(qudag_tunnel_open(CALLER->node, addr, 80, &o, &s[i]), QUDAG_OK);
        fd[i] = take();
    }
    uint64_t evicted = info().evicted;
    open_port(80, "e");
    fd[4] = take();
    NET_WAIT(CALLER->opened, 10);
    assert_int_equal(info().evicted, evicted + 1);
    assert_int_equal(info().connections, 4);
    for (size_t i = 0; i < 5; i++) {
        close(fd[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        qudag_stream_reset(CALLER->node, s[i], QUDAG_ECANCELED);
    }
    qudag_stream_reset(CALLER->node, CALLER->ours, QUDAG_ECANCELED);
    NET_WAIT(info().connections == 0, 10);
}

/* Writes to each of |s| what it takes. */
static void push_all(const qudag_stream *s, size_t n)
{
    static const uint8_t block[16384] = {1};
    size_t taken = 0;

    for (size_t i = 0; i < n; i++) {
        qudag_err err =
            qudag_stream_write(CALLER->node, s[i], (qudag_slice){block, sizeof(block)}, &taken);
        assert_true(err == QUDAG_OK || err == QUDAG_EAGAIN || err == QUDAG_ESTALE);
    }
}

/* SPEC: TU-11: targets that read nothing, of one circuit, take all memory; another circuit's connection goes on. */
static void who_lets_most_wait_gives_way(void **state)
{
    enum { SLOW = 6, MEMORY = 2 << 20 };
    qudag_stream s[SLOW], quiet;
    int fd[SLOW];
    qudag_dark_options o = {.size = sizeof(o), .isolation_len = 1, .isolation = {'q'}};
    const int small = 4096;
    char text[64];
    (void)state;

    start_web(QUDAG_EXPOSE_CONNECTIONS);
    assert_int_equal(setsockopt(target_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    expose_memory_set(SERVICE->node, MEMORY);
    uint64_t evicted = info().evicted;
    assert_int_equal(qudag_tunnel_open(CALLER->node, addr, 80, &o, &quiet), QUDAG_OK);
    int quiet_fd = take(); /* who came first, and lets nothing wait */
    o.isolation[0] = 'm';
    for (size_t i = 0; i < SLOW; i++) {
        assert_int_equal(qudag_tunnel_open(CALLER->node, addr, 80, &o, &s[i]), QUDAG_OK);
        fd[i] = take();
    }
    NET_WAIT((push_all(s, SLOW), info().evicted > evicted),
             60); /* among themselves who lets most wait */
    open_port(80, "n");
    int honest = take();
    NET_WAIT(CALLER->opened, 30);
    say("hello");
    assert_int_equal(get(honest, text, sizeof(text)), 5);
    assert_int_equal(sock_send(honest, "answer", 6), 6);
    NET_WAIT(CALLER->back_len == 6, 30);
    assert_false(CALLER->closed);
    assert_int_equal(recv(quiet_fd, text, sizeof(text), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    close(quiet_fd);
    qudag_stream_reset(CALLER->node, quiet, QUDAG_ECANCELED);
    close(honest);
    qudag_stream_reset(CALLER->node, CALLER->ours, QUDAG_ECANCELED);
    for (size_t i = 0; i < SLOW; i++) {
        qudag_stream_reset(CALLER->node, s[i], QUDAG_ECANCELED);
        close(fd[i]);
    }
    NET_WAIT(info().connections == 0, 10);
    expose_memory_set(SERVICE->node, EXPOSE_MEMORY_MAX);
}

static bool is_published(void)
{
    qudag_dark_info i = QUDAG_INIT(qudag_dark_info);

    for (size_t it = 0; qudag_dark_next(SERVICE->node, &it, &i);) {
        if (strcmp(i.addr, addr) == 0) {
            return i.published;
        }
    }
    return false;
}

/* SPEC: TU-10. */
static void a_stopped_service_is_offline_at_once_and_begins_again(void **state)
{
    qudag_expose_info i = QUDAG_INIT(qudag_expose_info);
    size_t it = 0;
    (void)state;

    open_port(80, "a");
    int t = take();
    NET_WAIT(CALLER->opened, 10);
    assert_int_equal(qudag_expose_stop(SERVICE->node, "none"), QUDAG_ENOTFOUND);
    assert_int_equal(qudag_expose_stop(SERVICE->node, "web"), QUDAG_OK);
    NET_WAIT(CALLER->closed, 10); /* what went on is cut */
    assert_int_not_equal(CALLER->closed_why, QUDAG_OK);
    close(t);
    assert_false(qudag_expose_next(SERVICE->node, &it, &i));
    NET_WAIT(!is_published(), 5);
    open_port(80, "a");
    NET_WAIT(CALLER->closed, 30);
    assert_false(CALLER->opened);
    assert_int_equal(CALLER->closed_why, QUDAG_EUNREACHABLE);
    start_web(QUDAG_EXPOSE_CONNECTIONS);
    NET_WAIT(info().published, 40);
    open_port(80, "f");
    t = take();
    NET_WAIT(CALLER->opened, 10);
    close(t);
    qudag_stream_reset(CALLER->node, CALLER->ours, QUDAG_ECANCELED);
    NET_WAIT(info().connections == 0, 10);
}

/* Others may have told its address to people for other uses: a service that comes and goes does not end those. */
static void an_address_that_was_published_before_stays_published(void **state)
{
    qudag_op op;
    (void)state;

    assert_int_equal(qudag_expose_stop(SERVICE->node, "web"), QUDAG_OK);
    NET_WAIT(!is_published(), 5);
    assert_int_equal(qudag_dark_publish(SERVICE->node, addr, &op), QUDAG_OK);
    NET_WAIT(is_published(), 40);
    start_web(QUDAG_EXPOSE_CONNECTIONS);
    assert_int_equal(qudag_expose_stop(SERVICE->node, "web"), QUDAG_OK);
    open_port(80, "g");
    NET_WAIT(CALLER->closed, 20);
    assert_int_equal(CALLER->closed_why, QUDAG_EUNSUPPORTED);
    assert_true(is_published());
}

/* A name that an address of the direct kind has does not make a service that was to be hidden a direct one. */
static void a_direct_address_is_used_again_only_when_that_is_asked_for(void **state)
{
    const char *ports[] = {"80"};
    char made[QUDAG_DARK_TEXT_MAX], again[QUDAG_DARK_TEXT_MAX];
    qudag_expose_options e = options(ports, 1);
    (void)state;

    assert_int_equal(net_create_direct(SERVICE->node, "plain", made), QUDAG_OK);
    e.name = "plain";
    assert_int_equal(qudag_expose_start(SERVICE->node, &e, again), QUDAG_EEXISTS);
    e.direct = true;
    assert_int_equal(qudag_expose_start(SERVICE->node, &e, again), QUDAG_OK);
    assert_string_equal(again, made);
    assert_int_equal(qudag_expose_stop(SERVICE->node, "plain"), QUDAG_OK);
    assert_int_equal(qudag_dark_create(SERVICE->node, "cloak", made), QUDAG_OK);
    e.name = "cloak"; /* a hidden one is no worse than was asked for */
    assert_int_equal(qudag_expose_start(SERVICE->node, &e, again), QUDAG_OK);
    assert_string_equal(again, made);
    assert_int_equal(qudag_expose_stop(SERVICE->node, "cloak"), QUDAG_OK);
}

/* Whoever forgets an address ends its service: nothing is left that is listed, or started again. */
static void a_service_ends_with_its_address(void **state)
{
    const char *ports[] = {"80"};
    char made[QUDAG_DARK_TEXT_MAX];
    qudag_expose_options e = options(ports, 1);
    qudag_expose_info i = QUDAG_INIT(qudag_expose_info);
    size_t it;
    qudag_op op;
    (void)state;

    e.name = "gone";
    assert_int_equal(qudag_expose_start(SERVICE->node, &e, made), QUDAG_OK);
    assert_int_equal(qudag_dark_forget(SERVICE->node, made, &op), QUDAG_OK);
    NET_WAIT((it = 0, !qudag_expose_next(SERVICE->node, &it, &i)), 30);
    assert_int_equal(qudag_expose_stop(SERVICE->node, made), QUDAG_ENOTFOUND);
}

/* The streams of |n| circuits to a port of |addr| that is not there, whose opener never ends them. */
static void ask_in_vain(qudag_stream s[][QUDAG_EXPOSE_CONNECTIONS_CIRCUIT], size_t n)
{
    uint8_t request[TUNNEL_REQUEST_LEN];
    size_t taken = 0;

    tunnel_request_put(request, 7);
    for (size_t i = 0; i < n; i++) {
        qudag_dark_options o = {.size = sizeof(o), .isolation_len = 2};
        o.isolation[0] = 'v';
        o.isolation[1] = (uint8_t)i;
        for (size_t k = 0; k < QUDAG_EXPOSE_CONNECTIONS_CIRCUIT; k++) {
            assert_int_equal(
                qudag_dark_open_with(CALLER->node, addr, TUNNEL_PROTOCOL, &o, &s[i][k]), QUDAG_OK);
            assert_int_equal(qudag_stream_write(CALLER->node, s[i][k],
                                                (qudag_slice){request, sizeof(request)}, &taken),
                             QUDAG_OK);
        }
    }
}

/* SPEC: TU-12: what one address is asked shows nothing at another of the same node, nor to its other callers. */
static void streams_that_were_denied_are_counted_by_service(void **state)
{
    enum { CIRCUITS = 18 };
    static qudag_stream s[CIRCUITS][QUDAG_EXPOSE_CONNECTIONS_CIRCUIT];
    char other[QUDAG_DARK_TEXT_MAX], web[QUDAG_DARK_TEXT_MAX];
    const char *ports[] = {"80"};
    qudag_expose_options e = options(ports, 1);
    (void)state;

    start_web(QUDAG_EXPOSE_CONNECTIONS);
    NET_WAIT(info().published, 40);
    memcpy(web, addr, sizeof(web));
    e.name = "other";
    assert_int_equal(qudag_expose_start(SERVICE->node, &e, other), QUDAG_OK);
    memcpy(addr, other, sizeof(addr));
    NET_WAIT(is_published(), 40);
    open_port(7, "o"); /* its circuit is there */
    NET_WAIT(CALLER->closed, 30);
    assert_int_equal(CALLER->closed_why, QUDAG_EUNSUPPORTED);
    memcpy(addr, web, sizeof(addr));
    uint64_t before = info().no_port;
    CALLER->hold = true; /* or it would end what has ended */
    ask_in_vain(s, CIRCUITS);
    NET_WAIT(info().no_port - before == CIRCUITS * QUDAG_EXPOSE_CONNECTIONS_CIRCUIT, 60);
    memcpy(addr, other, sizeof(addr));
    open_port(7, "o");
    NET_WAIT(CALLER->closed, 10);
    assert_int_equal(CALLER->closed_why, QUDAG_EUNSUPPORTED);
    memcpy(addr, web, sizeof(addr));
    open_port(7, "w");
    NET_WAIT(CALLER->closed, 10);
    assert_int_equal(CALLER->closed_why, QUDAG_EUNSUPPORTED);
    CALLER->hold = false;
    assert_int_equal(qudag_expose_stop(SERVICE->node, "other"), QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_reaches_the_target_and_ends_are_passed_on),
        cmocka_unit_test(what_cannot_be_had_is_said_in_so_many_words),
        cmocka_unit_test(a_reset_of_the_target_is_a_reset),
        cmocka_unit_test(one_circuit_has_its_share_and_no_more),
        cmocka_unit_test(a_full_service_takes_from_the_circuit_that_holds_most),
        cmocka_unit_test(who_lets_most_wait_gives_way),
        cmocka_unit_test(a_stopped_service_is_offline_at_once_and_begins_again),
        cmocka_unit_test(an_address_that_was_published_before_stays_published),
        cmocka_unit_test(a_direct_address_is_used_again_only_when_that_is_asked_for),
        cmocka_unit_test(a_service_ends_with_its_address),
        cmocka_unit_test(streams_that_were_denied_are_counted_by_service),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
