/*
 * splice_test.c - bytes between sockets of this machine and streams of two nodes, over real sockets.
 *
 *   socket of the client's ── splice, node 0 ══ stream ══ splice, node 1 ── target socket
 *
 * TEST: timeout=120
 */
#include "app/sock.h"
#include "app/splice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define PROTO "/test/splice/1.0.0"
#define MIB (1024u * 1024)

/* One end: a node, what it moves, and how that ended. */
struct end {
    qudag_identity *id;
    qudag_node *node;
    qudag_peer_id self;
    char addr[QUDAG_ADDR_TEXT_MAX];
    struct splice_pool *pool;
    struct splice *sp;
    unsigned ended, refused;
    enum splice_end how;
    bool linked;
};

static struct end at[2];
static int client_fd = -1; /* listens */
static struct target client;
static struct target target;
static int target_fd = -1; /* listens */
static uint64_t dial_fail_at;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void turn(void)
{
    for (size_t i = 0; i < 2; i++) {
        if (at[i].node != NULL) {
            assert_int_equal(qudag_node_step(at[i].node, 0), QUDAG_OK);
        }
    }
}

#define UNTIL(cond, seconds)                                                                       \
    do {                                                                                           \
        double until_end = now_s() + (seconds);                                                    \
        bool until_is = (cond);                                                                    \
        while (!until_is && now_s() < until_end) {                                                 \
            turn();                                                                                \
            until_is = (cond);                                                                     \
        }                                                                                          \
        if (!until_is) {                                                                           \
            fail_msg("not within %g s: %s", (double)(seconds), #cond);                             \
        }                                                                                          \
    } while (0)

static void on_ended(void *ctx, enum splice_end how)
{
    struct end *e = ctx;
    e->sp = NULL;
    e->ended++;
    e->how = how;
}

static void on_connected(void *ctx, int err)
{
    struct end *e = ctx;
    if (err != 0) {
        e->refused++;
        splice_abort(e->sp, QUDAG_EREFUSED);
        e->sp = NULL;
        return;
    }
    splice_start(e->sp);
}

static void on_called(void *ctx, int err)
{
    struct end *e = ctx;
    qudag_stream s;

    assert_int_equal(err, 0);
    assert_int_equal(qudag_stream_open(e->node, &at[1].self, PROTO, &s), QUDAG_OK);
    splice_stream(e->sp, s);
    splice_start(e->sp);
}

static const struct splice_ops ops = {.connected = on_connected, .ended = on_ended};
static const struct splice_ops calling = {.connected = on_called, .ended = on_ended};

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    struct end *e = user;
    (void)from, (void)dark, (void)proto;

    e->pool->mem.fail_at = dial_fail_at;
    if (splice_new(&e->sp, e->pool, n, &ops, e) != QUDAG_OK) {
        qudag_stream_reset(n, s, QUDAG_ENOMEM);
        return;
    }
    splice_stream(e->sp, s);
    splice_connect(e->sp, &target, 2000);
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct end *e = user;
    (void)n, (void)s;
    if (e->sp != NULL) {
        splice_data(e->sp, data, fin);
    }
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    struct end *e = user;
    (void)n, (void)s;
    if (e->sp != NULL) {
        splice_writable(e->sp);
    }
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct end *e = user;
    (void)n, (void)s;
    if (e->sp != NULL) {
        splice_closed(e->sp, why);
    }
}

static void on_link(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct end *e = user;
    (void)n, (void)op, (void)res;
    e->linked = err == QUDAG_OK;
}

static void make_node(struct end *e)
{
    const char *listen_at = "/ip4/127.0.0.1/udp/0/quic-v1";
    const qudag_callbacks cb = {.size = sizeof(cb),
                                .stream_in = on_in,
                                .stream_data = on_data,
                                .stream_writable = on_writable,
                                .stream_closed = on_closed,
                                .op_done = on_link};
    qudag_settings s;
    size_t it = 0;

    memset(e, 0, sizeof(*e));
    QUDAG_SETTINGS_INIT(&s);
    assert_int_equal(qudag_identity_generate(&e->id), QUDAG_OK);
    s.identity = e->id;
    s.listen = &listen_at;
    s.listen_n = 1;
    s.lab = true;
    assert_int_equal(qudag_node_new(&e->node, &s, &cb, e), QUDAG_OK);
    assert_int_equal(qudag_protocol_serve(e->node, PROTO), QUDAG_OK);
    qudag_node_peer_id(e->node, &e->self);
    assert_true(qudag_node_addr_next(e->node, &it, e->addr));
    e->pool = splice_pool_new(64 * MIB);
    assert_non_null(e->pool);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static int setup(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    qudag_op op;
    (void)state;

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    make_node(&at[0]);
    make_node(&at[1]);
    assert_int_equal(qudag_connect(at[0].node, at[1].addr, &op), QUDAG_OK);
    UNTIL(at[0].linked, 10);
    assert_int_equal(sock_listen(&client_fd, &(struct netaddr){.family = 4, .ip = {127, 0, 0, 1}}),
                     0);
    assert_true(sock_bound(client_fd, &client.net));
    target_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(target_fd, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(target_fd, 8), 0);
    target =
        (struct target){.net = {.family = 4, .ip = {127, 0, 0, 1}, .port = port_of(target_fd)}};
    dial_fail_at = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        if (at[i].sp != NULL) {
            splice_abort(at[i].sp, QUDAG_ECANCELED);
            at[i].sp = NULL;
        }
    }
    if (client_fd >= 0) {
        close(client_fd);
        client_fd = -1;
    }
    for (size_t i = 0; i < 2; i++) {
        qudag_node_free(at[i].node);
        qudag_identity_free(at[i].id);
        assert_int_equal(at[i].pool->refs, 1); /* all handles are closed, all memory is back */
        splice_pool_drop(at[i].pool);
        at[i] = (struct end){0};
    }
    close(target_fd);
    return 0;
}

static void unblock(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static int take(void)
{
    int fd = -1;
    unblock(target_fd);
    UNTIL((fd = accept(target_fd, NULL, NULL)) >= 0, 20);
    unblock(fd);
    return fd;
}

/* The client's end of a splice at node 0, whose stream is on its way. */
static int dial(void)
{
    int fd = -1;

    assert_int_equal(splice_new(&at[0].sp, at[0].pool, at[0].node, &calling, &at[0]), QUDAG_OK);
    splice_connect(at[0].sp, &client, 2000);
    UNTIL((fd = sock_accept(client_fd)) >= 0, 20);
    return fd;
}

static size_t get(int fd, char *out, size_t max)
{
    size_t n = 0;
    ssize_t r = 1;
    double stop = now_s() + 10;

    while (n < max && r != 0 && now_s() < stop) {
        turn();
        r = recv(fd, out + n, max - n, 0);
        if (r > 0) {
            n += (size_t)r;
        } else if (r < 0) {
            assert_int_equal(errno, EAGAIN);
        }
    }
    assert_true(now_s() < stop);
    return n;
}

static bool is_reset(int fd)
{
    char c;
    return recv(fd, &c, 1, 0) < 0 && errno == ECONNRESET;
}

static void both_ways_with_an_end_of_each_direction(void **state)
{
    char text[64];
    (void)state;

    int c = dial();
    assert_int_equal(send(c, "question", 8, 0), 8);
    int t = take();
    assert_int_equal(get(t, text, 8), 8);
    assert_memory_equal(text, "question", 8);
    assert_int_equal(shutdown(c, SHUT_WR), 0); /* "that is all": the answer still comes */
    assert_int_equal(get(t, text, sizeof(text)), 0);
    assert_int_equal(send(t, "answer", 6, 0), 6);
    assert_int_equal(get(c, text, 6), 6);
    assert_memory_equal(text, "answer", 6);
    assert_int_equal(at[0].ended + at[1].ended, 0);
    close(t);
    assert_int_equal(get(c, text, sizeof(text)), 0);
    UNTIL(at[0].ended == 1 && at[1].ended == 1, 20);
    assert_int_equal(at[0].how, SPLICE_DONE);
    assert_int_equal(at[1].how, SPLICE_DONE);
    close(c);
}

static void the_target_may_end_first(void **state)
{
    char text[64];
    (void)state;

    int c = dial(), t = take();
    assert_int_equal(send(t, "banner", 6, 0), 6);
    assert_int_equal(shutdown(t, SHUT_WR), 0);
    assert_int_equal(get(c, text, sizeof(text)), 6);
    assert_int_equal(send(c, "late", 4, 0), 4);
    assert_int_equal(get(t, text, 4), 4);
    close(c);
    assert_int_equal(get(t, text, sizeof(text)), 0);
    close(t);
    UNTIL(at[0].ended == 1 && at[1].ended == 1, 20);
    assert_int_equal(at[1].how, SPLICE_DONE);
}

static void abort_socket(int fd)
{
    const struct linger l = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
    close(fd);
}

static void a_reset_of_either_side_is_a_reset_of_the_other(void **state)
{
    char text[64];
    (void)state;

    for (int by_target = 0; by_target < 2; by_target++) {
        at[0].ended = at[1].ended = 0;
        int c = dial(), t = take();
        assert_int_equal(send(c, "x", 1, 0), 1);
        assert_int_equal(get(t, text, 1), 1);
        abort_socket(by_target ? t : c);
        UNTIL(is_reset(by_target ? c : t), 20);
        UNTIL(at[0].ended == 1 && at[1].ended == 1, 20);
        assert_int_equal(at[by_target].how, SPLICE_LOCAL);
        assert_int_equal(at[!by_target].how, SPLICE_STREAM);
        close(by_target ? c : t);
    }
}

static void a_target_that_refuses_is_said_to(void **state)
{
    (void)state;
    close(target_fd);
    int c = dial();
    UNTIL(at[1].refused == 1, 20);
    UNTIL(is_reset(c), 20);
    close(c);
    target_fd = socket(AF_INET, SOCK_STREAM, 0);
}

/* Pushes into |fd| until nothing more goes for |quiet| seconds; how much went. */
static size_t fill(int fd, double quiet)
{
    static uint8_t bytes[65536];
    size_t n = 0;
    double last = now_s();

    while (now_s() < last + quiet) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)((n + i) * 2654435761u >> 13);
        }
        ssize_t r = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        if (r > 0) {
            n += (size_t)r;
            last = now_s();
        }
        turn();
        assert_true(n < 64 * MIB);
    }
    return n;
}

static void drain_all(int fd, size_t n)
{
    static uint8_t bytes[65536];
    size_t at_byte = 0;
    double stop = now_s() + 20;

    while (at_byte < n && now_s() < stop) {
        turn();
        ssize_t r = recv(fd, bytes, sizeof(bytes), 0);
        for (ssize_t i = 0; i < r; i++) {
            assert_int_equal(bytes[i], (uint8_t)((at_byte + (size_t)i) * 2654435761u >> 13));
        }
        at_byte += r > 0 ? (size_t)r : 0;
    }
    assert_int_equal(at_byte, n);
}

static void who_reads_slowly_stops_who_writes_and_nothing_grows_or_is_lost(void **state)
{
    (void)state;
    int c = dial(), t = take();
    for (int way = 0; way < 2; way++) {
        int from = way == 0 ? c : t, to = way == 0 ? t : c;
        size_t n = fill(from, 1.0);
        size_t held = at[0].pool->mem.used + at[1].pool->mem.used;
        print_message("way %d: %zu KiB went in, %zu KiB are held here\n", way, n / 1024,
                      held / 1024);
        assert_true(n > 256 * 1024);
        assert_true(held < 2 * MIB); /* a window on one side, a read on the other */
        drain_all(to, n);
        assert_int_equal(send(from, "!", 1, 0), 1); /* and it goes on */
        char one;
        assert_int_equal(get(to, &one, 1), 1);
    }
    close(c);
    close(t);
    UNTIL(at[0].ended == 1 && at[1].ended == 1, 20);
}

static void turn_for(double seconds)
{
    for (double stop = now_s() + seconds; now_s() < stop;) {
        turn();
    }
}

/* Reads what comes up to the end, in small pieces, between which all that can move does; how much it was. */
static size_t read_slowly(int fd)
{
    static uint8_t piece[65536];
    size_t n = 0;
    ssize_t r;

    do {
        turn_for(0.002);
        r = recv(fd, piece, sizeof(piece), 0);
        n += r > 0 ? (size_t)r : 0;
    } while (r > 0 || (r < 0 && errno == EAGAIN));
    assert_int_equal(r, 0); /* no reset */
    return n;
}

/* As dial(), by a Unix socket: it takes 200 KiB or so at once. */
static int dial_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct target path = {0};
    int fd = -1, listening = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/qudag-splice-c-%d", (int)getpid());
    unlink(a.sun_path);
    assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(listening, 1), 0);
    unblock(listening);
    snprintf(path.path, sizeof(path.path), "%s", a.sun_path);
    assert_int_equal(splice_new(&at[0].sp, at[0].pool, at[0].node, &calling, &at[0]), QUDAG_OK);
    splice_connect(at[0].sp, &path, 2000);
    UNTIL((fd = accept(listening, NULL, NULL)) >= 0, 20);
    unlink(a.sun_path);
    close(listening);
    unblock(fd);
    return fd;
}

/* Who is done, and whose last bytes nobody has read yet, is done behind them. */
static void an_end_waits_for_what_came_before_it(void **state)
{
    static const uint8_t
        bytes[600 * 1024]; /* more than the socket takes at once, less than that and a window */
    size_t sent = 0;
    (void)state;

    int c = dial_unix(), t = take();
    while (sent < sizeof(bytes)) {
        ssize_t r = send(t, bytes + sent, sizeof(bytes) - sent, 0);
        sent += r > 0 ? (size_t)r : 0;
        turn();
    }
    close(t);
    turn_for(0.2); /* the end has come, and nobody has read a byte */
    assert_int_equal(read_slowly(c), sizeof(bytes));
    close(c);
    UNTIL(at[0].ended == 1, 20);
}

/* Pushes into |fd| what it takes now; how much that was. */
static size_t push(int fd)
{
    static const uint8_t bytes[65536];
    ssize_t r = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

    return r > 0 ? (size_t)r : 0;
}

/* Who reads no more may still speak: what waited for him is thrown away like what follows, and holds up nothing. */
static void what_is_thrown_away_takes_no_room(void **state)
{
    static char text[65536];
    size_t n = 0;
    (void)state;

    int c = dial_unix(), t = take();
    (void)fill(t, 0.5); /* the window is full of what |c| does not read */
    assert_int_equal(shutdown(c, SHUT_RD), 0);
    while (recv(c, text, sizeof(text), 0) >
           0) { /* what the kernel has; only then it lets others know */
    }
    UNTIL((n += push(t)) > 4 * MIB, 20);
    assert_int_equal(send(c, "still", 5, 0), 5);
    assert_int_equal(get(t, text, 5), 5);
    close(c);
    close(t);
    UNTIL(at[0].ended == 1 && at[1].ended == 1, 20);
}

static void many_bytes_both_ways_at_once(void **state)
{
    static uint8_t out[65536], in[65536];
    const size_t total = 32 * MIB;
    size_t sent[2] = {0}, got[2] = {0};
    (void)state;

    int fd[2] = {dial(), take()};
    double began = now_s();
    while (got[0] < total || got[1] < total) {
        for (size_t w = 0; w < 2; w++) {
            size_t want = (sent[w] * 7919 + 1) % sizeof(out) + 1;
            want = want < total - sent[w] ? want : total - sent[w];
            for (size_t i = 0; i < want; i++) {
                out[i] = (uint8_t)((sent[w] + i) * (w + 3) >> 5);
            }
            ssize_t r = want > 0 ? send(fd[w], out, want, 0) : 0;
            sent[w] += r > 0 ? (size_t)r : 0;
            r = recv(fd[!w], in, sizeof(in), 0);
            for (ssize_t i = 0; i < r; i++) {
                assert_int_equal(in[i], (uint8_t)((got[w] + (size_t)i) * (w + 3) >> 5));
            }
            got[w] += r > 0 ? (size_t)r : 0;
        }
        turn();
        assert_true(now_s() < began + 60);
    }
    print_message("%.0f MB/s each way\n", (double)total / 1e6 / (now_s() - began));
    close(fd[0]);
    close(fd[1]);
    UNTIL(at[0].ended == 1 && at[1].ended == 1, 20);
}

static void a_unix_socket_that_answers_and_leaves_is_heard_to_the_end(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char text[64];
    (void)state;

    close(target_fd);
    snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/qudag-splice-%d", (int)getpid());
    unlink(a.sun_path);
    target_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(target_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(target_fd, 8), 0);
    memset(&target, 0, sizeof(target));
    snprintf(target.path, sizeof(target.path), "%s", a.sun_path);
    int c = dial(), t = take();
    unlink(a.sun_path);
    assert_int_equal(send(t, "go away", 7, 0), 7);
    close(t);
    double stop = now_s() + 0.2;
    while (now_s() < stop) { /* now it is gone: what comes for it cannot be written */
        turn();
    }
    assert_int_equal(send(c, "hello", 5, 0), 5);
    assert_int_equal(get(c, text, sizeof(text)), 7);
    assert_memory_equal(text, "go away", 7);
    close(c);
    UNTIL(at[0].ended == 1 && at[1].ended == 1, 20);
}

static void each_allocation_may_fail(void **state)
{
    char text[16];
    (void)state;

    for (uint64_t k = 1; k <= 4; k++) {
        at[0].ended = at[1].ended = 0;
        dial_fail_at = k;
        int c = dial();
        size_t n = fill(c, 0.3); /* nobody takes it yet: memory is asked for */
        assert_true(n > 0);
        int t = -1;
        unblock(target_fd);
        for (double stop = now_s() + 0.3; t < 0 && now_s() < stop; turn()) {
            t = accept(target_fd, NULL, NULL);
        }
        if (t >= 0) {
            abort_socket(t);
        }
        UNTIL(at[0].ended == 1, 20);
        at[1].pool->mem.fail_at = 0;
        close(c);
        turn();
        if (at[1].sp != NULL) {
            UNTIL(at[1].ended == 1, 20);
        }
        UNTIL(at[1].pool->refs == 1, 20);
        assert_int_equal(at[1].pool->mem.used, 0);
        (void)text;
    }
}

static void a_node_that_is_freed_in_the_middle_leaves_nothing_behind(void **state)
{
    (void)state;
    int c = dial(), t = take();
    (void)fill(c, 0.3);
    (void)teardown(NULL); /* asserts that all memory is back */
    target_fd = -1;
    at[0].pool = splice_pool_new(1);
    at[1].pool = splice_pool_new(1);
    close(c);
    close(t);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(both_ways_with_an_end_of_each_direction),
        CASE(the_target_may_end_first),
        CASE(a_reset_of_either_side_is_a_reset_of_the_other),
        CASE(a_target_that_refuses_is_said_to),
        CASE(who_reads_slowly_stops_who_writes_and_nothing_grows_or_is_lost),
        CASE(an_end_waits_for_what_came_before_it),
        CASE(what_is_thrown_away_takes_no_room),
        CASE(many_bytes_both_ways_at_once),
        CASE(a_unix_socket_that_answers_and_leaves_is_heard_to_the_end),
        CASE(each_allocation_may_fail),
        CASE(a_node_that_is_freed_in_the_middle_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
