/* buffers_test.c - buffers that are handed over to streams, and received bytes that are lent: whose they are when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* these before */
#include <cmocka.h>

#include "node/streams.h"
#include "node/testkit_case.h"

#define PROTO "/test/buffers/1.0.0"
#define LEN 65536u

static struct {
    struct ref s;     /* of node 0 */
    unsigned out;     /* handed over */
    unsigned back;    /* and released */
    unsigned again;   /* writes tried in the release callback */
    bool write_again; /* there */
    bool lend;        /* node 1 lends */
    unsigned resets;
    uint8_t byte;
} t;

static uint8_t buffer[LEN];

static void give_back(void *ctx, const uint8_t *base, size_t len);

static qudag_err hand_over(size_t len)
{
    struct node_owned b = {{buffer, len}, give_back, &t};
    qudag_err err = node_stream_write_owned(net.node[0].node, t.s, &b);

    t.out += err == QUDAG_OK ? 1 : 0;
    return err;
}

static void give_back(void *ctx, const uint8_t *base, size_t len)
{
    assert_ptr_equal(ctx, &t);
    assert_ptr_equal(base, buffer);
    assert_true(len > 0 && len <= LEN);
    t.back++;
    assert_true(t.back <= t.out);
    if (t.write_again) { /* it may call whatever a program may */
        struct ref s;
        struct node_stream_info info;
        t.again++;
        qudag_err err = node_stream_info_get(net.node[0].node, t.s, &info);
        assert_true(err == QUDAG_OK || err == QUDAG_ESTALE);
        (void)hand_over(len);
        if (node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &s) == QUDAG_OK) {
            node_stream_reset(net.node[0].node, s, QUDAG_ECANCELED);
        }
    }
}

static void on_node_1(struct nt_node *n, const char *what, struct ref s)
{
    if (strcmp(what, "stream_in") == 0 && t.lend) {
        assert_int_equal(node_stream_lend(n->node, s), QUDAG_OK);
    }
}

static void start(void)
{
    memset(&t, 0, sizeof(t));
    nt_join(2);
    assert_int_equal(node_serve(net.node[1].node, PROTO), QUDAG_OK);
    net.node[1].hook = on_node_1;
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &t.s),
                     QUDAG_OK);
}

static void opened(void)
{
    start();
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].opened, 1);
    assert_int_equal(net.node[1].ins, 1);
}

static bool all_back(struct nt *nt)
{
    (void)nt;
    return t.back == t.out;
}

static struct node_stream_info info_of(size_t node, struct ref s)
{
    struct node_stream_info info;

    assert_int_equal(node_stream_info_get(net.node[node].node, s, &info), QUDAG_OK);
    return info;
}

static void a_buffer_is_released_once_the_peer_has_it(void **state)
{
    (void)state;
    opened();
    assert_int_equal(hand_over(LEN), QUDAG_OK);
    assert_int_equal(info_of(0, t.s).queued, LEN);
    assert_int_equal(info_of(0, t.s).handed, LEN);
    node_drain(net.node[0].node, net.now);
    assert_int_equal(t.back, 0); /* nothing was sent */
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
    assert_true(net.node[1].got == LEN);
    assert_int_equal(info_of(0, t.s).queued, 0);
    assert_int_equal(info_of(0, t.s).handed, 0);
    /* a short one is copied: it is back at once, whatever the peer does */
    assert_int_equal(hand_over(100), QUDAG_OK);
    node_drain(net.node[0].node, net.now);
    assert_int_equal(t.back, 2);
}

static void what_cannot_be_taken_stays_the_programs(void **state)
{
    (void)state;
    opened();
    struct node_owned big = {{buffer, NODE_STREAM_OWNED_MAX + 1}, give_back, &t};
    assert_int_equal(node_stream_write_owned(net.node[0].node, t.s, &big), QUDAG_ETOOBIG);
    assert_int_equal(hand_over(0), QUDAG_EINVAL);
    unsigned n = 0;
    while (hand_over(LEN) == QUDAG_OK) {
        n++;
    }
    assert_int_equal(n, NODE_STREAM_QUEUE_MAX / LEN); /* the same queue as that of copies */
    unsigned told = net.node[0].writable;
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
    assert_true(net.node[0].writable > told);
    assert_int_equal(t.back, n);
    node_stream_fin(net.node[0].node, t.s);
    assert_int_equal(hand_over(LEN), QUDAG_ESTATE);
    struct ref stale = {t.s.slot, t.s.gen + 1};
    struct node_owned b = {{buffer, 1}, give_back, &t};
    assert_int_equal(node_stream_write_owned(net.node[0].node, stale, &b), QUDAG_ESTALE);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(t.back, n);
}

static void buffers_wait_for_the_stream_to_open(void **state)
{
    size_t taken;
    (void)state;
    start();
    assert_int_equal(node_stream_write(net.node[0].node, t.s, (struct slice){buffer, 10}, &taken),
                     QUDAG_OK);
    for (unsigned i = 0; i < NODE_STREAM_OWNED_MAX / LEN; i++) {
        assert_int_equal(hand_over(LEN), QUDAG_OK);
    }
    assert_int_equal(hand_over(1), QUDAG_EAGAIN); /* by their bytes */
    /* not in front of what was handed over */
    assert_int_equal(node_stream_write(net.node[0].node, t.s, (struct slice){buffer, 10}, &taken),
                     QUDAG_EAGAIN);
    assert_int_equal(info_of(0, t.s).queued, NODE_STREAM_OWNED_MAX + 10);
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_true(net.node[1].got == NODE_STREAM_OWNED_MAX + 10);
    /* by their number, and given back when the stream ends instead */
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &t.s),
                     QUDAG_OK);
    for (unsigned i = 0; i < NODE_STREAM_OWNED_EARLY; i++) {
        assert_int_equal(hand_over(1), QUDAG_OK);
    }
    assert_int_equal(hand_over(1), QUDAG_EAGAIN);
    node_stream_reset(net.node[0].node, t.s, QUDAG_ECANCELED);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(t.back, t.out);
}

static void a_reset_gives_buffers_back(void **state)
{
    (void)state;
    opened();
    while (hand_over(LEN) == QUDAG_OK) {
    }
    nt_step(&net);
    assert_true(t.back < t.out);
    node_stream_reset(net.node[0].node, t.s, QUDAG_ECANCELED);
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
    assert_true(t.back > 0);
}

static void a_reset_by_the_peer_gives_buffers_back(void **state)
{
    (void)state;
    opened();
    while (hand_over(LEN) == QUDAG_OK) {
    }
    node_stream_reset(net.node[1].node, net.node[1].in, QUDAG_EAPP(42));
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
    assert_int_equal(net.node[0].closed, 1);
    assert_int_equal(net.node[0].closed_why, QUDAG_EAPP(42)); /* and says what the program said */
}

static void a_node_that_ends_gives_buffers_back(void **state)
{
    (void)state;
    opened();
    t.write_again = true; /* while it is being freed, too */
    while (hand_over(LEN) == QUDAG_OK) {
    }
    nt_step(&net);
    assert_true(t.back < t.out);
    assert_int_equal(nt_free(&net, 0), 0);
    assert_int_equal(t.back, t.out);
    assert_true(t.again > 0);
}

static void a_release_may_write_again(void **state)
{
    (void)state;
    opened();
    t.write_again = true;
    assert_int_equal(hand_over(LEN), QUDAG_OK);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_true(t.again > 3);
    t.write_again = false;
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
    assert_int_equal(net.node[1].got, (size_t)t.out * LEN);
}

/* Whichever allocation fails: a buffer is back once where it was taken, and never where it was not. */
static void buffers_survive_failed_allocations(void **state)
{
    (void)state;
    opened();
    for (uint64_t at = 1; at < 60; at++) {
        net.node[0].mem.fail_at = at;
        (void)hand_over(LEN);
        net.node[0].mem.fail_at = at;
        nt_step(&net);
        net.node[0].mem.fail_at = 0;
        (void)nt_run(&net, NS_PER_S / 10, NULL);
        if (net.node[0].closed > 0) {
            net.node[0].closed = 0;
            assert_int_equal(
                node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &t.s), QUDAG_OK);
        }
    }
    node_stream_reset(net.node[0].node, t.s, QUDAG_ECANCELED);
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
}

/* ---- received bytes that are lent ---- */

static size_t lent(size_t node, struct ref s, struct slice *piece, size_t most)
{
    size_t sum = 0, n = most;

    assert_int_equal(node_stream_lent(net.node[node].node, s, piece, &n), QUDAG_OK);
    for (size_t i = 0; i < n; i++) {
        sum += piece[i].len;
    }
    return sum;
}

/* A stream of node 0 to node 1, which lends. */
static void lending(void)
{
    memset(&t, 0, sizeof(t));
    nt_join(2);
    net.node[1].keeps = true;
    net.node[1].hook = on_node_1;
    t.lend = true;
    for (size_t i = 0; i < LEN; i++) {
        buffer[i] = (uint8_t)(i * 11 + i / 253);
    }
    assert_int_equal(node_serve(net.node[1].node, PROTO), QUDAG_OK);
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &t.s),
                     QUDAG_OK);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
}

static void what_is_lent_stays_until_it_is_consumed(void **state)
{
    static struct slice piece[512];
    size_t at = 0, n = 512;
    (void)state;

    lending();
    struct ref in = net.node[1].in;
    for (unsigned i = 0; i < 8; i++) {
        (void)hand_over(LEN);
    }
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    /* no credit was given back: the window is full, and no more */
    size_t all = net.node[1].got;
    assert_true(all <= 256 * 1024 && all > 256 * 1024 - 100); /* but for the negotiation */
    assert_int_equal(info_of(1, in).lent, all);
    assert_int_equal(lent(1, in, piece, 512), all);
    assert_int_equal(node_stream_lent(net.node[1].node, in, piece, &n), QUDAG_OK);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < piece[i].len; k++, at++) {
            assert_int_equal(piece[i].base[k], buffer[at % LEN]);
        }
    }
    node_stream_consume(net.node[1].node, in, 100000);
    assert_int_equal(info_of(1, in).lent, all - 100000);
    assert_int_equal(lent(1, in, piece, 512), all - 100000);
    assert_int_equal(piece[0].base[0], buffer[100000 % LEN]);
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].got, 256 * 1024 + 100000);
    node_stream_consume(net.node[1].node, in, SIZE_MAX);
    assert_int_equal(info_of(1, in).lent, 0);
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].got, 8 * LEN);
}

static void the_end_waits_for_what_is_lent(void **state)
{
    struct slice piece[64];
    (void)state;

    lending();
    struct ref in = net.node[1].in;
    assert_int_equal(hand_over(LEN), QUDAG_OK);
    node_stream_fin(net.node[0].node, t.s);
    node_stream_fin(net.node[1].node, in);
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].closed, 1);
    assert_int_equal(net.node[1].closed, 0);
    assert_int_equal(lent(1, in, piece, 64), LEN);
    assert_int_equal(piece[0].base[1], buffer[1]);
    node_stream_consume(net.node[1].node, in, LEN - 1);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(net.node[1].closed, 0);
    node_stream_consume(net.node[1].node, in, 1);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(net.node[1].closed, 1);
    assert_int_equal(net.node[1].closed_why, QUDAG_OK);
}

static void a_reset_does_not_wait_for_what_is_lent(void **state)
{
    (void)state;
    lending();
    assert_int_equal(hand_over(LEN), QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(info_of(1, net.node[1].in).lent, LEN);
    node_stream_reset(net.node[0].node, t.s, QUDAG_EAPP(0));
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].closed, 1);
    assert_int_equal(net.node[1].closed_why, QUDAG_EAPP(0));
    /* our own reset, and a node that ends, with more on loan */
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &t.s),
                     QUDAG_OK);
    assert_int_equal(hand_over(LEN), QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    node_stream_reset(net.node[1].node, net.node[1].in, QUDAG_ECANCELED);
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &t.s),
                     QUDAG_OK);
    assert_int_equal(hand_over(LEN), QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(info_of(1, net.node[1].in).lent, LEN);
    assert_int_equal(nt_free(&net, 1), 0);
}

/* Small pieces must not keep large blocks, and are not lost where memory is. */
static void small_pieces_are_copied_together(void **state)
{
    static struct slice piece[64];
    size_t taken, n = 64;
    (void)state;

    lending();
    struct ref in = net.node[1].in;
    size_t before = net.node[1].mem.used;
    for (unsigned i = 0; i < 600; i++) {
        assert_int_equal(
            node_stream_write(net.node[0].node, t.s, (struct slice){buffer + i, 1}, &taken),
            QUDAG_OK);
        (void)nt_run(&net, 20 * NS_PER_MS, NULL);
    }
    assert_int_equal(info_of(1, in).lent, 600);
    assert_int_equal(node_stream_lent(net.node[1].node, in, piece, &n), QUDAG_OK);
    assert_int_equal(n, 1);
    assert_memory_equal(piece[0].base, buffer, 600);
    assert_true(net.node[1].mem.used - before < 16384);
    net.node[1].mem.fail_at = 1;
    node_stream_consume(net.node[1].node, in, 600);
    assert_int_equal(node_stream_write(net.node[0].node, t.s, (struct slice){buffer, 1}, &taken),
                     QUDAG_OK);
    (void)nt_run(&net, NS_PER_S, NULL);
}

#define CROWD 16 /* streams */

static struct {
    struct ref s[CROWD];
    unsigned told;  /* that one takes more */
    size_t written; /* in all, and at most */
    size_t most;
} crowd;

/* As much as it takes, by turns copied and handed over. */
static void write_on(struct ref s)
{
    qudag_err err = QUDAG_OK;

    for (bool copy = true; err == QUDAG_OK && crowd.written < crowd.most; copy = !copy) {
        size_t left = crowd.most - crowd.written, n = left < LEN ? left : LEN, taken = n;
        struct node_owned b = {{buffer, n}, give_back, &t};

        if (copy) {
            err = node_stream_write(net.node[0].node, s, b.data, &taken);
        } else {
            err = node_stream_write_owned(net.node[0].node, s, &b);
            t.out += err == QUDAG_OK ? 1 : 0;
        }
        crowd.written += err == QUDAG_OK ? taken : 0;
    }
}

static void on_writable(struct nt_node *n, const char *what, struct ref s)
{
    (void)n;
    if (strcmp(what, "stream_writable") == 0) {
        crowd.told++;
        write_on(s); /* as a program does that has more */
    }
}

static bool all_written(struct nt *nt)
{
    return nt->node[1].got == crowd.most;
}

/* What others have queued leaves streams little: their programs wait for the peer, and are not told in vain. */
static void a_full_account_makes_nobody_spin(void **state)
{
    (void)state;
    nt_identity(&net, 0);
    net.node[0].mem.max = (size_t)64 << 20; /* of which a peer has an eighth for bytes */
    opened();
    net.node[0].hook = on_writable;
    memset(&crowd, 0, sizeof(crowd));
    crowd.most = (size_t)24 << 20;
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(
            node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &crowd.s[i]),
            QUDAG_OK);
    }
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < CROWD; i++) {
            write_on(crowd.s[i]);
            node_drain(net.node[0].node, net.now);
        }
    }
    assert_true(crowd.written > (size_t)5 << 20 && crowd.written < crowd.most);
    assert_true(crowd.told < 1000);
    assert_int_equal(net.node[0].closed, 0); /* nor does any end for it */
    assert_true(nt_run(&net, 60 * NS_PER_S, all_written));
    assert_true(nt_run(&net, 10 * NS_PER_S, all_back));
    assert_int_equal(net.node[0].closed, 0);
}

static void how_much_a_stream_may_queue(void **state)
{
    const size_t most = NODE_STREAM_QUEUE_MAX;
    (void)state;

    assert_true(node_rule_writable(0, most)); /* nothing else would wake it */
    assert_true(node_rule_writable(most / 2, most));
    assert_false(node_rule_writable(most / 2 + 1, most));
    assert_true(node_rule_takes_whole(most / 2, NODE_STREAM_OWNED_MAX, most)); /* as it is told */
    assert_false(node_rule_takes_whole(most / 2 + 1, most, most));
    assert_true(node_rule_takes_whole(most - 1, 1, most));
}

static void what_may_be_lent_in_place(void **state)
{
    (void)state;
    assert_true(node_rule_lend(0, 65536, NODE_LENT_MIN));
    assert_false(node_rule_lend(0, 65536, NODE_LENT_MIN - 1));
    assert_true(node_rule_lend(NODE_LENT_HELD_MAX - 65536, 65536, 1200));
    assert_false(node_rule_lend(NODE_LENT_HELD_MAX - 65535, 65536, 1200));
    assert_false(node_rule_lend(NODE_LENT_HELD_MAX + 1, 1, 1200));
    assert_false(node_rule_lend(0, SIZE_MAX, 1200));
    assert_true(node_rule_fits(0, 10, 10));
    assert_false(node_rule_fits(1, 10, 10));
    assert_false(node_rule_fits(11, 0, 10));
    assert_false(node_rule_fits(1, SIZE_MAX, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_buffer_is_released_once_the_peer_has_it),
        NT_TEST(what_cannot_be_taken_stays_the_programs),
        NT_TEST(buffers_wait_for_the_stream_to_open),
        NT_TEST(a_reset_gives_buffers_back),
        NT_TEST(a_reset_by_the_peer_gives_buffers_back),
        NT_TEST(a_node_that_ends_gives_buffers_back),
        NT_TEST(a_release_may_write_again),
        NT_TEST(buffers_survive_failed_allocations),
        NT_TEST(what_is_lent_stays_until_it_is_consumed),
        NT_TEST(the_end_waits_for_what_is_lent),
        NT_TEST(a_reset_does_not_wait_for_what_is_lent),
        NT_TEST(small_pieces_are_copied_together),
        NT_TEST(a_full_account_makes_nobody_spin),
        cmocka_unit_test(how_much_a_stream_may_queue),
        cmocka_unit_test(what_may_be_lent_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
