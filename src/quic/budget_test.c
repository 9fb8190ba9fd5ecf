/* Work for nothing, as an endpoint meets it: a burst is free, then packets are thrown away, then the link ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/budget.h"
#include "quic/testkit_net.h"

static struct tk tk;

static void make(enum pq_policy pq, const struct quic_config *server)
{
    struct tk_opt o = {.pq = pq};

    tk_init(&tk);
    assert_true(tk_make(&tk, 0, &o));
    if (server != NULL) {
        o.quic = *server;
    }
    assert_true(tk_make(&tk, 1, &o));
}

static void end(void)
{
    for (int i = 0; i < TK_EPS; i++) {
        if (tk.ep[i].q != NULL) {
            assert_int_equal(tk_unmake(&tk, i), 0);
        }
    }
    tk_fini(&tk);
}

static struct quic_stats stats(int ix)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[ix].q, &st);
    return st;
}

static void join(void)
{
    struct ref link;

    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, 15 * NS_PER_S, tk_client_done);
    (void)tk_run(&tk, NS_PER_S, NULL);
}

/* The link between 0 and 1 carries a byte. */
static void assert_works(void)
{
    uint64_t before = tk.ep[1].bytes;
    int64_t sid = 0;

    assert_int_equal(quic_link_ops.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(quic_link_ops.write(tk.ep[0].q, tk.ep[0].link, sid,
                                         (struct slice){(const uint8_t *)"!", 1}),
                     QUDAG_OK);
    (void)tk_run(&tk, 2 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, before + 1);
    quic_link_ops.reset(tk.ep[0].q, tk.ep[0].link, sid, QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
}

/* As if 0 had sealed so many packets that bring 1 nothing, which our own code never does. */
static void burn(unsigned n)
{
    struct quic_conn *c = slots_get(&tk.ep[1].q->conns, tk.ep[1].link);

    assert_non_null(c);
    for (unsigned i = 0; i < n; i++) {
        quic_budget_read(c, true);
    }
}

static uint8_t packet[2000];
static size_t packet_len;

/* A packet of 0 that 1 has read already. */
static void record(void)
{
    struct quic_tx tx = {.buf = tk.buf};

    quic_probe(tk.ep[0].q, tk.ep[0].link, tk.now);
    assert_true(quic_send(tk.ep[0].q, tk.now, &tx) && tx.len <= sizeof packet);
    memcpy(packet, tx.buf, tx.len);
    packet_len = tx.len;
}

/* It, so often: what anybody on the path can do. */
static void replay(unsigned n)
{
    struct quic_dgram d = {
        .local = tk.ep[1].addr, .remote = tk.ep[0].addr, .data = {packet, packet_len}};

    for (unsigned i = 0; i < n; i++) {
        quic_recv(tk.ep[1].q, &d, tk.now);
    }
}

static void copies_of_a_packet_are_thrown_away_and_put_nobody_out(void **state)
{
    (void)state;
    make(PQ_OFF, NULL);
    join();
    record();
    replay(1000000);
    assert_true(stats(1).dropped_work > 900000);
    assert_int_equal(stats(1).links_put_out, 0);
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    assert_works();
    end();
}

static void who_sends_only_what_costs_is_put_out_and_kept_out_for_a_while(void **state)
{
    struct ref link;

    (void)state;
    make(PQ_OFF, NULL);
    join();
    record();
    burn(40000);
    assert_works(); /* a burst is nobody's fault */
    assert_int_equal(stats(1).dropped_work, 0);
    burn(60000);
    replay(1000); /* they come still, but are thrown away */
    assert_int_equal(stats(1).links_put_out, 0);
    replay(500000);
    assert_int_equal(stats(1).links_put_out, 1);
    assert_true(stats(1).dropped_work > 10000);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].down.err, QUDAG_ELIMIT);
    assert_int_equal(tk.ep[0].down.err, QUDAG_ELIMIT); /* and is told so */
    unsigned ups = tk.ep[1].ups;
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].ups, ups);
    assert_int_equal(tk.ep[0].down.err, QUDAG_ELIMIT);
    assert_true(tk_make(&tk, 2, &(struct tk_opt){.pq = PQ_OFF})); /* nobody else is */
    assert_int_equal(tk_dial(&tk, 2, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[2].ups, 1);
    (void)tk_run(&tk, LOAD_OUT_FIRST, NULL);
    join();
    assert_int_equal(tk.ep[1].ups, ups + 2);
    assert_works();
    end();
}

/* The handshake that 1 has begun with 0. */
static struct quic_conn *half_open(void)
{
    struct quic *q = tk.ep[1].q;

    assert_false(list_empty(&q->half_open));
    return LIST_ENTRY(q->half_open.next, struct quic_conn, half);
}

/*
 * Whoever forges a sender begins a handshake in his name, and goes on with packets for it: of which some cannot be
 * read, and others can, as anybody knows the keys of Initials.
 */
static void forged_packets_of_a_handshake_shut_nobody_out(void **state)
{
    struct quic_tx tx = {.buf = tk.buf};
    struct ref link;

    (void)state;
    make(PQ_OFF, NULL);
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(quic_send(tk.ep[0].q, tk.now, &tx) && tx.len <= sizeof packet);
    memcpy(packet, tx.buf, tx.len);
    packet_len = tx.len;
    replay(1500000); /* the first begins it */
    assert_int_equal(stats(1).half_open, 1);
    assert_true(stats(1).dropped_work > 1000000);
    assert_false(quic_budget_closed(tk.ep[1].q, &tk.ep[0].addr)); /* its network */
    for (unsigned i = 0; i < 100000; i++) {
        quic_budget_read(half_open(), true);
    }
    replay(500000);
    assert_int_equal(stats(1).links_put_out, 0);
    assert_false(quic_budget_closed(tk.ep[1].q, &tk.ep[0].addr)); /* and the host */
    (void)tk_run(&tk, 15 * NS_PER_S, NULL);
    join(); /* 0 itself is as welcome as ever */
    assert_works();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forged_packets_of_a_handshake_shut_nobody_out),
        cmocka_unit_test(copies_of_a_packet_are_thrown_away_and_put_nobody_out),
        cmocka_unit_test(who_sends_only_what_costs_is_put_out_and_kept_out_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
