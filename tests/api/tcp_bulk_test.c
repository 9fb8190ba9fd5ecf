/*
 * tcp_bulk_test.c - many bytes and many streams over one TCP link: whole and in order, both directions at once, each
 * ended by itself, and one that is given up disturbs no other.
 *
 * TEST: timeout=240 waits
 */
#include <qudag/qudag.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define PROTO "/test/bulk/1.0.0"
#define TOTAL ((size_t)64 * 1024 * 1024)
#define CHUNK ((size_t)64 * 1024)
#define STREAMS 1000
#define SOON 60 /* s */

/* One end of one stream.  Byte k of a stream is k * 31 / 7 + |seed|. */
struct end {
    qudag_stream s;
    size_t to_send, sent, got;
    uint8_t seed_out, seed_in;
    bool is_open, fin_in, finished, closed, wrong;
    qudag_err why;
};

static struct node {
    qudag_identity *id;
    qudag_node *n;
    qudag_peer_id self;
    char addr[QUDAG_ADDR_TEXT_MAX];
    size_t reply; /* bytes that each stream which comes in sends */
    struct end end[STREAMS];
    size_t n_ends;
    bool up;
} node[2];

static double clock_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint8_t byte_at(size_t k, uint8_t seed)
{
    return (uint8_t)((k * 31 / 7 + seed) & 0xff);
}

static struct end *end_of(struct node *me, qudag_stream s)
{
    struct end *e = qudag_stream_user(me->n, s);

    if (e != NULL) {
        return e;
    }
    assert_true(me->n_ends < STREAMS);
    e = &me->end[me->n_ends++];
    *e = (struct end){.s = s};
    assert_int_equal(qudag_stream_set_user(me->n, s, e), QUDAG_OK);
    return e;
}

static void push(struct node *me, struct end *e)
{
    static uint8_t chunk[CHUNK];

    while (e->sent < e->to_send) {
        size_t n = e->to_send - e->sent < CHUNK ? e->to_send - e->sent : CHUNK, taken = 0;
        for (size_t i = 0; i < n; i++) {
            chunk[i] = byte_at(e->sent + i, e->seed_out);
        }
        qudag_err err = qudag_stream_write(me->n, e->s, (qudag_slice){chunk, n}, &taken);
        assert_true(err == QUDAG_OK || err == QUDAG_EAGAIN);
        e->sent += taken;
        if (taken < n) {
            return;
        }
    }
    if (!e->finished) {
        e->finished = true;
        qudag_stream_fin(me->n, e->s);
    }
}

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    struct node *me = user;
    struct end *e = end_of(me, s);
    (void)n;
    (void)from;
    (void)dark;
    (void)proto;
    e->is_open = true;
    e->to_send = me->reply;
    e->seed_in = 1;
    e->seed_out = 2;
    push(me, e);
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct end *e = end_of(user, s);

    for (size_t i = 0; i < data.len; i++) {
        e->wrong = e->wrong || data.base[i] != byte_at(e->got + i, e->seed_in);
    }
    e->got += data.len;
    e->fin_in = e->fin_in || fin;
    qudag_stream_consume(n, s, data.len);
}

static void on_opened(qudag_node *n, qudag_stream s, void *user)
{
    struct end *e = end_of(user, s);
    (void)n;
    e->is_open = true;
    push(user, e);
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    (void)n;
    push(user, end_of(user, s));
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct end *e = end_of(user, s);
    (void)n;
    e->closed = true;
    e->why = why;
}

static void on_changed(qudag_node *n, const qudag_peer_id *peer, bool up, void *user)
{
    (void)n;
    (void)peer;
    ((struct node *)user)->up = up;
}

static void start(size_t i)
{
    static const char *const listen = "/ip4/127.0.0.1/tcp/0";
    qudag_callbacks cb = {.size = sizeof(cb),
                          .stream_in = on_in,
                          .stream_data = on_data,
                          .stream_opened = on_opened,
                          .stream_writable = on_writable,
                          .stream_closed = on_closed,
                          .peer_changed = on_changed};
    struct node *me = &node[i];
    qudag_settings s;
    size_t it = 0;

    memset(me, 0, sizeof(*me));
    QUDAG_SETTINGS_INIT(&s);
    assert_int_equal(qudag_identity_generate(&me->id), QUDAG_OK);
    s.identity = me->id;
    s.listen = &listen;
    s.listen_n = 1;
    s.lab = true;
    s.streams_per_peer = 1024;
    assert_int_equal(qudag_node_new(&me->n, &s, &cb, me), QUDAG_OK);
    qudag_node_peer_id(me->n, &me->self);
    assert_true(qudag_node_addr_next(me->n, &it, me->addr));
    assert_int_equal(qudag_protocol_serve(me->n, PROTO), QUDAG_OK);
}

static void turn(void)
{
    struct pollfd fd[2];
    qudag_ns wait = 20 * QUDAG_MS;

    for (size_t i = 0; i < 2; i++) {
        qudag_ns t = qudag_node_timeout(node[i].n);
        wait = t < wait ? t : wait;
        fd[i] = (struct pollfd){.fd = qudag_node_fd(node[i].n), .events = POLLIN};
    }
    struct timespec ts = {.tv_nsec = (long)wait};
    (void)ppoll(fd, 2, &ts, NULL);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(qudag_node_step(node[i].n, 0), QUDAG_OK);
    }
}

#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        double wait_end = clock_s() + SOON;                                                        \
        while (!(cond) && clock_s() < wait_end) {                                                  \
            turn();                                                                                \
        }                                                                                          \
        if (!(cond)) {                                                                             \
            fail_msg("not within %d s: %s", SOON, #cond);                                          \
        }                                                                                          \
    } while (0)

static int set_up(void **state)
{
    qudag_op op;
    (void)state;
    start(0);
    start(1);
    assert_int_equal(qudag_connect(node[1].n, node[0].addr, &op), QUDAG_OK);
    WAIT(node[0].up && node[1].up);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        qudag_node_free(node[i].n);
        qudag_identity_free(node[i].id);
    }
    return 0;
}

/* A stream from node 1 to node 0 with |len| bytes in it. */
static struct end *open_one(size_t len)
{
    struct node *me = &node[1];
    qudag_stream s;

    assert_int_equal(qudag_stream_open(me->n, &node[0].self, PROTO, &s), QUDAG_OK);
    struct end *e = end_of(me, s);
    e->to_send = len;
    e->seed_out = 1;
    e->seed_in = 2;
    return e;
}

static void assert_whole(const struct end *e, size_t got)
{
    assert_false(e->wrong);
    assert_int_equal(e->got, got);
    assert_true(e->fin_in);
    assert_int_equal(e->why, QUDAG_OK);
}

static void many_bytes_pass_in_both_directions_at_once(void **state)
{
    double begin = clock_s();
    (void)state;

    node[0].reply = TOTAL;
    struct end *e = open_one(TOTAL);
    WAIT(e->closed && node[0].n_ends == 1 && node[0].end[0].closed);
    assert_whole(e, TOTAL);
    assert_whole(&node[0].end[0], TOTAL);
    printf("%.0f MB/s in each direction\n", (double)TOTAL / 1e6 / (clock_s() - begin));
}

static void each_direction_ends_by_itself(void **state)
{
    (void)state;
    /* node 0 ends its direction at once; node 1 sends on */
    node[0].reply = 0;
    struct end *e = open_one(4 * 1024 * 1024);
    WAIT(e->fin_in);
    WAIT(e->closed && node[0].end[0].closed);
    assert_whole(e, 0);
    assert_whole(&node[0].end[0], 4 * 1024 * 1024);
}

static void a_stream_that_is_given_up_disturbs_no_other(void **state)
{
    (void)state;
    node[0].reply = 8 * 1024 * 1024;
    struct end *a = open_one(8 * 1024 * 1024), *b = open_one(8 * 1024 * 1024);
    WAIT(a->got > 0 && b->got > 0);
    qudag_stream_reset(node[1].n, a->s, QUDAG_ECANCELED);
    WAIT(b->closed && node[0].n_ends == 2 && node[0].end[0].closed && node[0].end[1].closed);
    assert_whole(b, 8 * 1024 * 1024);
    const struct end *theirs = node[0].end[0].why != QUDAG_OK ? &node[0].end[0] : &node[0].end[1];
    assert_int_equal(theirs->why, QUDAG_ERESET);
    assert_true(node[0].up && node[1].up);
}

static void a_thousand_streams_share_one_link(void **state)
{
    size_t opened = 0, done;
    (void)state;

    node[0].reply = 3000;
    double end = clock_s() + SOON;
    do {
        for (done = 0; done < opened && node[1].end[done].closed; done++) {
        }
        size_t under_way = 0;
        for (size_t i = 0; i < opened; i++) {
            under_way += !node[1].end[i].closed;
        }
        for (; opened < STREAMS && under_way < 200; opened++, under_way++) {
            (void)open_one(2000);
        }
        turn();
    } while (done < STREAMS && clock_s() < end);
    assert_int_equal(done, STREAMS);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_whole(&node[1].end[i], 3000);
    }
    WAIT(node[0].n_ends == STREAMS && node[0].end[STREAMS - 1].closed);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_whole(&node[0].end[i], 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_bytes_pass_in_both_directions_at_once, set_up,
                                        clean_up),
        cmocka_unit_test_setup_teardown(each_direction_ends_by_itself, set_up, clean_up),
        cmocka_unit_test_setup_teardown(a_stream_that_is_given_up_disturbs_no_other, set_up,
                                        clean_up),
        cmocka_unit_test_setup_teardown(a_thousand_streams_share_one_link, set_up, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
