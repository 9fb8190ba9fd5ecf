/*
 * copies_test.c - how often bytes are copied on their way, counted; and buffers that change hands.
 *
 * memcpy() of this program is the one below, which everything that is linked into it calls, ngtcp2 too: it adds up what
 * one node of the network copies, by what it does meanwhile.  Copies of less than COUNTED bytes are headers and the
 * like, and left out.  What the kernel and sendmsg() copy is not in it: there are no sockets here.
 */
#include <stdint.h>
#undef __USE_FORTIFY_LEVEL /* with it memcpy() is an inline function, and not to be defined here */
#define __USE_FORTIFY_LEVEL 0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* these before */
#include <cmocka.h>

#include "node/node.h"

#include <stdio.h>
#include <string.h>

#define COUNTED 512

enum stage { WRITE, DRAIN, RECV, SEND, STAGES };

static struct {
    bool on;
    enum stage stage;
    uint64_t bytes[STAGES];
} copied;

static const void *watched; /* the node that is counted */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS 1
/* A pointer, or the compiler makes this very function of it. */
static void *(*volatile move)(void *, const void *, size_t) = memmove;

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    copied.bytes[copied.stage] += copied.on && len >= COUNTED ? len : 0;
    return move(to, from, len);
}

void *__memcpy_chk(void *restrict to, const void *restrict from, size_t len, size_t room);
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t len, size_t room)
{
    if (len > room) {
        __builtin_trap();
    }
    return memcpy(to, from, len);
}
#else
#define COUNTS                                                                                     \
    0 /* sanitizers have a memcpy() of their own; the rest of this file is tried all the same */
#endif

static enum stage begin_stage(const void *n, enum stage s)
{
    enum stage before = copied.stage;

    copied.on = n == watched && n != NULL;
    copied.stage = s;
    return before;
}

static void counted_recv(struct node *n, const struct quic_dgram *d, tstamp now)
{
    (void)begin_stage(n, RECV);
    node_recv(n, d, now);
    copied.on = false;
}

static void counted_drain(struct node *n, tstamp now)
{
    (void)begin_stage(n, DRAIN);
    node_drain(n, now);
    copied.on = false;
}

static void counted_tick(struct node *n, tstamp now)
{
    (void)begin_stage(n, DRAIN);
    node_tick(n, now);
    copied.on = false;
}

static bool counted_send(struct node *n, tstamp now, struct quic_tx *tx)
{
    (void)begin_stage(n, SEND);
    bool some = node_send(n, now, tx);
    copied.on = false;
    return some;
}

#define node_recv counted_recv
#define node_drain counted_drain
#define node_tick counted_tick
#define node_send counted_send
#include "node/testkit_case.h"

#define PROTO "/test/bulk/1.0.0"
#define TOTAL (4u * 1024 * 1024)
#define PIECE 65536u

/* ---- a sender with buffers that change hands, or not ---- */

static struct {
    struct ref stream;
    bool owned, fin, busy;
    size_t written;
    unsigned out;      /* buffers handed over */
    unsigned released; /* and given back */
    size_t lent_most;  /* received and kept at once */
    bool keep;         /* nothing is consumed */
    unsigned wrong;    /* buffers that came back changed */
    void (*on_release)(void);
} flow;

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static void give_back(void *ctx, const uint8_t *base, size_t len)
{
    size_t at = (size_t)(uintptr_t)ctx;

    flow.released++;
    for (size_t i = 0; i < len; i += 97) {
        flow.wrong += base[i] != pattern(at + i) ? 1u : 0;
    }
    free((void *)(uintptr_t)base);
    if (flow.on_release != NULL) {
        flow.on_release();
    }
}

static uint8_t *filled(size_t at, size_t len)
{
    uint8_t *p = malloc(len);

    assert_non_null(p);
    for (size_t i = 0; i < len; i++) {
        p[i] = pattern(at + i);
    }
    return p;
}

static qudag_err hand_over(struct ref s, size_t at, size_t len)
{
    uint8_t *p = filled(at, len);
    struct node_owned b = {{p, len}, give_back, (void *)(uintptr_t)at};
    qudag_err err = node_stream_write_owned(net.node[0].node, s, &b);

    if (err == QUDAG_OK) {
        flow.out++;
    } else {
        free(p);
    }
    return err;
}

/* Writes as much as the stream takes. */
static void write_on(void)
{
    struct node *n = net.node[0].node;
    size_t len = PIECE, taken = 0;
    qudag_err err = QUDAG_OK;

    while (flow.written < TOTAL && err == QUDAG_OK) {
        if (flow.owned) {
            err = hand_over(flow.stream, flow.written, len);
            taken = err == QUDAG_OK ? len : 0;
        } else {
            uint8_t *p = filled(flow.written, len);
            bool was = copied.on;
            enum stage before = begin_stage(n, WRITE);
            err = node_stream_write(n, flow.stream, (struct slice){p, len}, &taken);
            copied.on = was;
            copied.stage = before;
            free(p);
        }
        flow.written += taken;
    }
    if (flow.written == TOTAL && !flow.fin) {
        flow.fin = true;
        node_stream_fin(n, flow.stream);
    }
}

static void writer(struct nt_node *t, const char *what, struct ref r)
{
    (void)t;
    (void)r;
    if (strcmp(what, "stream_writable") == 0) {
        write_on();
    }
}

static bool all_there(struct nt *nt)
{
    size_t got = 0;

    for (size_t i = 1; i < NT_NODES; i++) {
        got += nt->node[i].got;
    }
    return got >= TOTAL;
}

static bool all_back(struct nt *nt)
{
    (void)nt;
    return flow.out == flow.released;
}

static struct node_config config(size_t ix)
{
    struct node_config c = nt_config(&net, ix);

    if (ix > 0) {
        nt_boot(&net, &c, 0);
    }
    return c;
}

static void join(size_t n)
{
    memset(&flow, 0, sizeof(flow));
    memset(&copied, 0, sizeof(copied));
    watched = NULL;
    for (size_t i = 0; i < n; i++) {
        struct node_config c = config(i);
        nt_begin(i, &c);
        assert_int_equal(node_serve(net.node[i].node, PROTO), QUDAG_OK);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
}

static void open_link(void)
{
    join(2);
    assert_int_equal(
        node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &flow.stream), QUDAG_OK);
}

static void open_circuit(void)
{
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};

    join(6);
    size_t ix = nt_ask(&net.node[0], &r);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[0].ask[ix].err, QUDAG_OK);
    assert_int_equal(node_stream_open_circuit(net.node[0].node, net.node[0].ask[ix].res.circuit,
                                              PROTO, &flow.stream),
                     QUDAG_OK);
}

/* Copies of each byte in |s|, in hundredths. */
static unsigned per_byte(enum stage s)
{
    return (unsigned)(copied.bytes[s] * 100 / TOTAL);
}

/* TOTAL bytes to the end; how often each was copied by node |ix|, in hundredths. */
static unsigned moves(bool owned, const char *how, size_t ix)
{
    unsigned sum = 0;

    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    flow.owned = owned;
    net.node[0].hook = writer;
    watched = net.node[ix].node;
    write_on();
    assert_true(nt_run(&net, 300 * NS_PER_S, all_there));
    watched = NULL;
    assert_true(nt_run(&net, 60 * NS_PER_S, all_back));
    assert_int_equal(flow.wrong, 0);
    for (unsigned s = 0; s < STAGES; s++) {
        sum += per_byte(s);
    }
    print_message("%s: write %u, drain %u, receive %u, send %u: %u.%02u copies of each byte\n", how,
                  per_byte(WRITE), per_byte(DRAIN), per_byte(RECV), per_byte(SEND), sum / 100,
                  sum % 100);
    return sum;
}

static void over_a_link_bytes_are_copied_once(void **state)
{
    (void)state;
    open_link();
    unsigned n = moves(true, "link, handed over", 0);
    assert_true(COUNTS == 0 || (n >= 95 && n <= 105));
}

static void over_a_link_what_is_written_is_copied_first(void **state)
{
    (void)state;
    open_link();
    unsigned n = moves(false, "link, written", 0);
    assert_true(COUNTS == 0 || (n >= 195 && n <= 210));
}

static void over_a_circuit_bytes_are_copied_twice(void **state)
{
    (void)state;
    open_circuit();
    unsigned n = moves(true, "circuit, handed over", 0);
    assert_true(COUNTS == 0 || (n >= 195 && n <= 215));
}

static void over_a_circuit_what_is_written_is_copied_first(void **state)
{
    (void)state;
    open_circuit();
    unsigned n = moves(false, "circuit, written", 0);
    assert_true(COUNTS == 0 || (n >= 295 && n <= 320));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(over_a_link_bytes_are_copied_once),
        NT_TEST(over_a_link_what_is_written_is_copied_first),
        NT_TEST(over_a_circuit_bytes_are_copied_twice),
        NT_TEST(over_a_circuit_what_is_written_is_copied_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
