/*
 * tcp_test.c - links over TCP through the public interface: who may be at the other end, what a failed dial is called,
 * a DHT without UDP, death and return of a peer, hostile clients, no descriptors left.
 *
 * TEST: timeout=180 waits
 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TCP4 "/ip4/127.0.0.1/tcp/0"
#define QUIC4 "/ip4/127.0.0.1/udp/0/quic-v1"

static const struct net_options tcp_only = {.listen = TCP4, .waiting = true, .client = true};

/* The link of |p| with |to| over |transport|; false: there is none that is up. */
static bool link_with(const struct peer *p, const struct peer *to, const char *transport,
                      qudag_link_info *out)
{
    const qudag_link_info none = QUDAG_INIT(qudag_link_info);

    *out = none;
    for (size_t it = 0; qudag_link_next(p->node, &it, out);) {
        if (out->state == QUDAG_LINK_UP && strcmp(out->transport, transport) == 0 &&
            memcmp(&out->peer, &to->self, sizeof(to->self)) == 0) {
            return true;
        }
    }
    return false;
}

static qudag_err dial(struct peer *p, const char *addr)
{
    net_ask(p, qudag_connect(p->node, addr, &p->last));
    return p->err;
}

static void say(size_t from, size_t to, const char *text)
{
    struct peer *p = &net[from];

    p->back_len = net[to].got_len = 0;
    p->opened = p->closed = false;
    p->say = text;
    assert_int_equal(qudag_stream_open(p->node, &net[to].self, NET_ECHO, &p->ours), QUDAG_OK);
    NET_WAIT(p->closed && p->back_len == strlen(text), NET_SOON);
    assert_int_equal(p->closed_why, QUDAG_OK);
    assert_memory_equal(p->back, text, p->back_len);
}

/* TCP port of an address of a node. */
static uint16_t port_of(const char *addr)
{
    qudag_multiaddr m = QUDAG_INIT(qudag_multiaddr);

    assert_int_equal(qudag_multiaddr_parse(&m, addr, QUDAG_ADDR_DIAL, NULL, 0), QUDAG_OK);
    assert_true(m.tcp);
    return m.port;
}

/* A socket that is no node; |from|: its last byte of 127.0.0.x. */
static int client_socket(uint8_t from)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + from)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void client_connect(int fd, uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_true(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

/* ---- links ---- */

static void two_nodes_link_over_tcp_as_over_quic(void **state)
{
    qudag_link_info l;
    (void)state;

    net_start(0, &tcp_only);
    net_start(1, &tcp_only);
    assert_non_null(strstr(net[0].addr, "/tcp/"));
    assert_int_equal(dial(&net[1], net[0].addr), QUDAG_OK);
    for (size_t i = 0; i < 2; i++) {
        NET_WAIT(link_with(&net[i], &net[1 - i], "tcp", &l), NET_SOON);
        assert_string_equal(l.security, "tls");
        assert_string_equal(l.group, "X25519MLKEM768");
        assert_string_equal(l.sig_local, "mldsa65");
        assert_string_equal(l.sig_remote, "mldsa65");
        assert_true(l.pq_kex && l.pq_auth);
        assert_int_equal(l.inbound, i == 0);
    }
    say(1, 0, "over TCP");
    say(0, 1, "and back");
    assert_int_equal(dial(&net[1], net[0].addr), QUDAG_OK); /* there is one */
    assert_int_equal(net_links(&net[1], &net[0]), 1);
    net_ask(&net[1], qudag_ping(net[1].node, &net[0].self, &net[1].last));
    assert_int_equal(net[1].err, QUDAG_OK);
}

/* Until libuv's next turn the kernel does not watch the new socket, and whoever polls the node would not be woken. */
static void a_new_socket_asks_for_another_turn(void **state)
{
    qudag_op op;
    bool at_once = false;
    (void)state;

    net_start(0, &tcp_only);
    net_start(1, &tcp_only);
    assert_int_equal(qudag_connect(net[0].node, net[1].addr, &op), QUDAG_OK);
    for (int i = 0; i < 3 && !at_once; i++) {
        assert_int_equal(qudag_node_step(net[0].node, 0), QUDAG_OK);
        at_once = qudag_node_timeout(net[0].node) == 0;
    }
    assert_true(at_once);
    NET_WAIT(link_with(&net[0], &net[1], "tcp", &(qudag_link_info)QUDAG_INIT(qudag_link_info)),
             NET_SOON);
}

static void dials_that_fail_say_why(void **state)
{
    char addr[QUDAG_ADDR_TEXT_MAX];
    (void)state;

    /* another peer */
    snprintf(addr, sizeof(addr), "/ip4/127.0.0.1/tcp/%u/p2p/%s", port_of(net[0].addr),
             net[1].self_text);
    net_start(2, &tcp_only);
    assert_int_equal(dial(&net[2], addr), QUDAG_EAUTH);
    /* nobody */
    int fd = client_socket(1);
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(addr, sizeof(addr), "/ip4/127.0.0.1/tcp/%u", ntohs(a.sin_port));
    assert_int_equal(dial(&net[2], addr), QUDAG_EUNREACHABLE);
    close(fd);
    /* what this version does not dial */
    qudag_op op;
    assert_int_equal(qudag_connect(net[2].node, "/ip4/127.0.0.1/tcp/1/ws", &op),
                     QUDAG_EUNSUPPORTED);
    (void)net_stop_all(NULL);
}

static void streams_go_over_datagrams_where_there_are_both(void **state)
{
    struct net_options both = tcp_only;
    char tcp[QUDAG_ADDR_TEXT_MAX];
    qudag_link_info l;
    size_t it = 1;
    (void)state;

    both.listen = QUIC4;
    both.also = TCP4;
    net_start(0, &both);
    net_start(1, &both);
    assert_true(qudag_node_addr_next(net[0].node, &it, tcp));
    assert_non_null(strstr(tcp, "/tcp/"));
    assert_int_equal(dial(&net[1], tcp), QUDAG_OK);
    assert_true(link_with(&net[1], &net[0], "tcp", &l));
    say(1, 0, "over the only one");
    assert_int_equal(dial(&net[1], net[0].addr), QUDAG_OK);
    assert_true(link_with(&net[1], &net[0], "quic", &l));
    assert_true(link_with(&net[1], &net[0], "tcp", &l));
    net[0].hold = true;
    net[1].say = NULL;
    net[1].opened = false;
    assert_int_equal(qudag_stream_open(net[1].node, &net[0].self, NET_ECHO, &net[1].ours),
                     QUDAG_OK);
    NET_WAIT(net[1].opened, NET_SOON);
    assert_true(link_with(&net[1], &net[0], "quic", &l));
    assert_true(l.streams >= 1);
    (void)net_stop_all(NULL);
}

/* ---- what a peer proved on one transport holds on the other ---- */

static void restart_as(size_t i, qudag_pq pq, const char *listen)
{
    struct net_options o = tcp_only;

    net_stop(i);
    o.pq = pq;
    o.listen = listen;
    net_start(i, &o);
}

/* Node 1 proves itself over |first|, and then comes without keys over |then|. */
static void downgraded(const char *first, const char *first_name, const char *then)
{
    struct net_options prefer = tcp_only;
    char quic[QUDAG_ADDR_TEXT_MAX], tcp[QUDAG_ADDR_TEXT_MAX];
    qudag_link_info l;
    size_t it = 0;
    qudag_op op;

    prefer.pq = QUDAG_PQ_PREFER;
    prefer.listen = QUIC4;
    prefer.also = TCP4;
    net_start(0, &prefer);
    assert_true(qudag_node_addr_next(net[0].node, &it, quic));
    assert_true(qudag_node_addr_next(net[0].node, &it, tcp));
    restart_as(1, QUDAG_PQ_PREFER, first);
    assert_int_equal(dial(&net[0], net[1].addr), QUDAG_OK);
    assert_true(link_with(&net[0], &net[1], first_name, &l) && l.pq_kex && l.pq_auth);
    restart_as(1, QUDAG_PQ_OFF, then);
    NET_WAIT(net_links(&net[0], &net[1]) == 0, NET_SOON);
    assert_int_not_equal(dial(&net[0], net[1].addr), QUDAG_OK); /* dialled */
    assert_int_equal(qudag_connect(net[1].node, strcmp(then, TCP4) == 0 ? tcp : quic, &op),
                     QUDAG_OK); /* dialling */
    for (double end = net_now() + 2; net_now() < end;) {
        net_turn();
        assert_int_equal(net_links(&net[0], &net[1]), 0);
    }
}

static void a_peer_once_post_quantum_is_not_taken_classical_over_the_other_transport(void **state)
{
    qudag_link_info l;
    (void)state;

    downgraded(TCP4, "tcp", QUIC4);
    (void)net_stop_all(NULL);
    downgraded(QUIC4, "quic", TCP4);
    /* one that never was is taken, and shown as what it is */
    restart_as(2, QUDAG_PQ_OFF, TCP4);
    assert_int_equal(dial(&net[0], net[2].addr), QUDAG_OK);
    assert_true(link_with(&net[0], &net[2], "tcp", &l));
    assert_false(l.pq_auth);
    /* and by whoever requires it, not */
    restart_as(3, QUDAG_PQ_REQUIRE, TCP4);
    assert_int_equal(dial(&net[3], net[2].addr), QUDAG_EPOLICY);
    (void)net_stop_all(NULL);
}

/* ---- a network without UDP ---- */

#define NODES 6

static void a_dht_works_over_tcp_alone(void **state)
{
    static const char key[] = "/app/over tcp", value[] = "kept";
    struct net_options o = {.listen = TCP4};
    (void)state;

    net_start(0, &o);
    o.bootstrap[0] = net[0].addr;
    o.n_bootstrap = 1;
    for (size_t i = 1; i < NODES; i++) {
        net_start(i, &o);
    }
    for (size_t i = 1; i < NODES; i++) {
        NET_WAIT(net[i].phases[QUDAG_PHASE_LOOKUP] >= 2, 40);
    }
    net_ask(&net[1], qudag_dht_put(net[1].node, net_text(key), net_text(value), &net[1].last));
    assert_int_equal(net[1].err, QUDAG_OK);
    assert_true(net_holders(net_text(key), net_text(value)) >= 3);
    for (size_t i = 2; i < NODES; i++) {
        net_ask(&net[i], qudag_dht_get(net[i].node, net_text(key), &net[i].last));
        assert_int_equal(net[i].err, QUDAG_OK);
        assert_int_equal(net[i].value_len, strlen(value));
    }
    (void)net_stop_all(NULL);
}

/* ---- ends ---- */

static void write_all(int fd, const void *p, size_t len)
{
    assert_int_equal(write(fd, p, len), (ssize_t)len);
}

/* A node in a process of its own, which tells its address and lives until it is killed. */
static pid_t child_node(char addr[QUDAG_ADDR_TEXT_MAX], qudag_peer_id *self)
{
    int fd[2];

    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        net_start(9, &tcp_only);
        write_all(fd[1], net[9].addr, sizeof(net[9].addr));
        write_all(fd[1], &net[9].self, sizeof(net[9].self));
        for (;;) {
            net_turn();
        }
    }
    close(fd[1]);
    for (size_t got = 0; got < QUDAG_ADDR_TEXT_MAX;) {
        ssize_t n = read(fd[0], addr + got, QUDAG_ADDR_TEXT_MAX - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_int_equal(read(fd[0], self, sizeof(*self)), sizeof(*self));
    close(fd[0]);
    return pid;
}

static void a_peer_that_dies_is_noticed_and_one_that_returns_is_linked_again(void **state)
{
    char addr[QUDAG_ADDR_TEXT_MAX];
    struct peer child = {0};
    (void)state;

    pid_t pid = child_node(addr, &child.self);
    net_start(0, &tcp_only);
    assert_int_equal(dial(&net[0], addr), QUDAG_OK);
    assert_int_equal(net_links(&net[0], &child), 1);
    kill(pid, SIGKILL);
    NET_WAIT(net_links(&net[0], &child) == 0, NET_SOON);
    assert_int_equal(waitpid(pid, NULL, 0), pid);

    char at[64];
    net_start(1, &tcp_only);
    assert_int_equal(dial(&net[0], net[1].addr), QUDAG_OK);
    snprintf(at, sizeof(at), "/ip4/127.0.0.1/tcp/%u", port_of(net[1].addr));
    restart_as(1, QUDAG_PQ_REQUIRE, at); /* the port is free at once */
    NET_WAIT(net_links(&net[0], &net[1]) == 0, NET_SOON);
    assert_int_equal(dial(&net[0], net[1].addr), QUDAG_OK);
    say(0, 1, "again");
    (void)net_stop_all(NULL);
}

/* ---- clients that mean no good ---- */

#define SLOW 40
#define SLOW_TAKEN 16 /* handshakes that one host may have under way */

static void slow_clients_hold_no_more_than_their_share(void **state)
{
    int fd[SLOW];
    size_t closed = 0;
    (void)state;

    net_start(0, &tcp_only);
    net_start(1, &tcp_only);
    for (size_t i = 0; i < SLOW; i++) {
        fd[i] = client_socket(2);
        client_connect(fd[i], port_of(net[0].addr));
        net_turn();
    }
    double end = net_now() + NET_SOON;
    while (closed < SLOW - SLOW_TAKEN && net_now() < end) {
        net_turn();
        closed = 0;
        for (size_t i = 0; i < SLOW; i++) {
            closed += is_closed(fd[i]);
        }
    }
    assert_int_equal(closed, SLOW - SLOW_TAKEN);
    for (end = net_now() + 1.2;
         net_now() < end;) { /* their network has had its share of this second */
        net_turn();
    }
    assert_int_equal(dial(&net[1], net[0].addr), QUDAG_OK); /* of another host */
    /* a byte now and then does not keep them */
    end = net_now() + 12 + NET_SOON;
    for (double next = 0; closed < SLOW && net_now() < end;) {
        net_turn();
        bool due = net_now() >= next;
        next = due ? net_now() + 0.5 : next;
        closed = 0;
        for (size_t i = 0; i < SLOW; i++) {
            (void)!(due ? send(fd[i], "\x13", 1, MSG_NOSIGNAL) : 0);
            closed += is_closed(fd[i]);
        }
    }
    assert_int_equal(closed, SLOW);
    assert_int_equal(net_links(&net[1], &net[0]), 1);
    for (size_t i = 0; i < SLOW; i++) {
        close(fd[i]);
    }
    (void)net_stop_all(NULL);
}

static void nonsense_and_a_flood_of_connections_end_nothing_else(void **state)
{
    static const char *const say_this[] = {"GET / HTTP/1.1\r\n\r\n", "\x80\x80\x80\x80\x80\x80\x80",
                                           "\x13/multistream/1.0.0\n\x07/nope\n\n", "\n"};
    (void)state;

    net_start(0, &tcp_only);
    net_start(1, &tcp_only);
    assert_int_equal(dial(&net[1], net[0].addr), QUDAG_OK);
    for (size_t i = 0; i < 400; i++) {
        int fd = client_socket((uint8_t)(2 + i % 8));
        const char *text = say_this[i % 4];
        client_connect(fd, port_of(net[0].addr));
        net_turn();
        (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
        if (i % 16 == 0) {
            net_turn();
        }
        close(fd);
    }
    say(1, 0, "still there");
    assert_int_equal(net_links(&net[1], &net[0]), 1);
    (void)net_stop_all(NULL);
}

#define WAITING 8

static void without_descriptors_accepting_pauses_and_goes_on(void **state)
{
    struct rlimit was, low;
    int fd[WAITING], lowest;
    (void)state;

    net_start(0, &tcp_only);
    net_start(1, &tcp_only);
    assert_int_equal(dial(&net[1], net[0].addr), QUDAG_OK);
    for (size_t i = 0; i < WAITING; i++) {
        fd[i] = client_socket(2);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    lowest = dup(0);
    assert_true(lowest >= 0);
    close(lowest);
    low = was;
    low.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (size_t i = 0; i < WAITING; i++) {
        client_connect(fd[i], port_of(net[0].addr));
    }
    double end = net_now() + 0.5;
    while (net_now() < end) {
        net_turn();
    }
    say(1, 0, "links go on");
    assert_int_equal(dial(&net[0], "/ip4/127.0.0.1/tcp/9"), QUDAG_ELIMIT);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    net_start(2, &tcp_only);
    assert_int_equal(dial(&net[2], net[0].addr), QUDAG_OK);
    for (size_t i = 0; i < WAITING; i++) {
        close(fd[i]);
    }
    (void)net_stop_all(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_link_over_tcp_as_over_quic),
        cmocka_unit_test(a_new_socket_asks_for_another_turn),
        cmocka_unit_test(dials_that_fail_say_why),
        cmocka_unit_test(streams_go_over_datagrams_where_there_are_both),
        cmocka_unit_test(a_peer_once_post_quantum_is_not_taken_classical_over_the_other_transport),
        cmocka_unit_test(a_dht_works_over_tcp_alone),
        cmocka_unit_test(a_peer_that_dies_is_noticed_and_one_that_returns_is_linked_again),
        cmocka_unit_test(slow_clients_hold_no_more_than_their_share),
        cmocka_unit_test(nonsense_and_a_flood_of_connections_end_nothing_else),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
