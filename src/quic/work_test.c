/* Work for nothing, as an endpoint meets it: a burst is free, then packets are thrown away, then the link ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/testkit_net.h"
#include "quic/work.h"

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
        quic_work_read(c, true);
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
    struct quic_conn *c = NULL;

    for (uint32_t i = 0; i < q->conns.high && c == NULL; i++) {
        c = slots_at(&q->conns, i);
    }
    assert_non_null(c);
    return c;
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
    assert_false(quic_work_closed(tk.ep[1].q, &tk.ep[0].addr)); /* its network */
    for (unsigned i = 0; i < 100000; i++) {
        quic_work_read(half_open(), true);
    }
    replay(500000);
    assert_int_equal(stats(1).links_put_out, 0);
    assert_false(quic_work_closed(tk.ep[1].q, &tk.ep[0].addr)); /* and the host */
    (void)tk_run(&tk, 15 * NS_PER_S, NULL);
    join(); /* 0 itself is as welcome as ever */
    assert_works();
    end();
}

static struct quic_conn *conn(void)
{
    struct quic_conn *c = slots_get(&tk.ep[1].q->conns, tk.ep[1].link);

    assert_non_null(c);
    return c;
}

/* Of IPv4 one address is a host, of IPv6 a /64: neighbours of who is put out are not. */
static void a_host_is_put_out_and_its_neighbours_are_not(void **state)
{
    static const struct {
        struct netaddr bad, other;
        bool same;
    } rows[] = {
        {{.family = 4, .ip = {10, 9, 8, 7}}, {.family = 4, .ip = {10, 9, 8, 7}, .port = 9}, true},
        {{.family = 4, .ip = {10, 9, 7, 7}}, {.family = 4, .ip = {10, 9, 7, 6}}, false},
        {{.family = 4, .ip = {10, 9, 6, 7}}, {.family = 4, .ip = {11, 9, 6, 7}}, false},
        {{.family = 6, .ip = {0x20, 1, 2, 3, 4, 5, 6, 7, 8}},
         {.family = 6, .ip = {0x20, 1, 2, 3, 4, 5, 6, 7, 9}},
         true},
        {{.family = 6, .ip = {0x20, 1, 2, 3, 4, 5, 6, 8}},
         {.family = 6, .ip = {0x20, 1, 2, 3, 4, 5, 6, 9}},
         false},
    };

    (void)state;
    make(PQ_OFF, NULL);
    join();
    struct quic *q = tk.ep[1].q;
    struct netaddr was = conn()->remote;
    unsigned said = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        conn()->remote = rows[i].bad;
        (void)quic_work_put_out(conn());
        assert_true(quic_work_closed(q, &rows[i].bad));
        assert_int_equal(quic_work_closed(q, &rows[i].other), rows[i].same);
    }
    for (unsigned i = 0; i < 100; i++) {
        said += quic_work_put_out(conn());
    }
    assert_true(said < 10); /* the log is not flooded by who is put out */
    conn()->remote = was;
    end();
}

/* A network that owes too much begins no handshake; one in whose name somebody else asks owes nothing. */
static void only_proven_addresses_owe_for_handshakes(void **state)
{
    const struct netaddr a = {.family = 4, .ip = {10, 7, 1, 1}},
                         near = {.family = 4, .ip = {10, 7, 1, 2}},
                         far = {.family = 4, .ip = {10, 7, 2, 1}};

    (void)state;
    make(PQ_OFF, NULL);
    struct quic *q = tk.ep[1].q;
    for (uint64_t ns = 0; ns <= load_rule_net.burst; ns += LOAD_HANDSHAKE) {
        quic_work_begun(q, &a, false);
    }
    assert_false(quic_work_closed(q, &a));
    for (uint64_t ns = 0; ns <= load_rule_net.burst; ns += LOAD_HANDSHAKE) {
        quic_work_begun(q, &a, true);
    }
    assert_true(quic_work_closed(q, &a));
    assert_false(quic_work_closed(q, &near)); /* it owes nothing itself */
    assert_false(quic_work_closed(q, &far));
    for (unsigned i = 0; i < 10; i++) {
        quic_work_begun(q, &near, true);
    }
    assert_true(quic_work_closed(q, &near));
    end();
}

/*
 * Two hosts of one /24: one makes handshakes with tokens as fast as it can, until it is refused, and goes on asking;
 * the other is linked at once all the same.
 */
static void a_flooder_does_not_keep_its_neighbours_from_linking(void **state)
{
    struct ref link;
    unsigned n = 0;

    (void)state;
    make(PQ_OFF, NULL);
    assert_true(tk_make(&tk, 2, &(struct tk_opt){.pq = PQ_OFF}));
    tk.delay_ns = NS_PER_MS / 10;
    tk.ep[1].q->gate.busy = TSTAMP_NEVER; /* nobody begins without a token */
    for (; n < 1000 && !quic_work_closed(tk.ep[1].q, &tk.ep[0].addr); n++) {
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
        (void)tk_run(&tk, NS_PER_MS, NULL);
        quic_link_ops.close(tk.ep[0].q, link, QUDAG_OK);
        (void)tk_run(&tk, NS_PER_MS / 5, NULL);
    }
    assert_in_range(n, 100, 999);
    assert_int_equal(netaddr_group(&tk.ep[0].addr), netaddr_group(&tk.ep[2].addr));
    for (unsigned i = 0; i < 50; i++) { /* goes on: it is told so, and nothing begins */
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    }
    uint64_t before = stats(1).handshakes_ok_in;
    assert_int_equal(tk_dial(&tk, 2, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S / 10, NULL);
    assert_int_equal(tk.ep[2].ups, 1);
    assert_int_equal(stats(1).handshakes_ok_in, before + 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_ELIMIT);
    end();
}

/* Links that are lost are told so beside any number of handshakes that are refused. */
static void refusals_leave_stateless_resets_alone(void **state)
{
    struct ref link;

    (void)state;
    make(PQ_OFF, NULL);
    tk.delay_ns = NS_PER_MS / 10;
    for (unsigned i = 0; i < 300; i++) {
        quic_work_begun(tk.ep[1].q, &tk.ep[0].addr, true);
    }
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    }
    (void)tk_run(&tk, NS_PER_MS, NULL);
    assert_false(limiter_take(&tk.ep[1].q->close_limit, 100, tk.now));
    assert_true(limiter_take(&tk.ep[1].q->reset_limit, 200, tk.now));
    end();
}

/* What is read is charged to the link and its network, once; what streams brought pays for it, once. */
static void work_is_charged_once_to_a_link_and_its_network(void **state)
{
    (void)state;
    make(PQ_OFF, NULL);
    join();
    struct quic_conn *c = conn();
    struct quic *q = tk.ep[1].q;
    c->load = c->sealed = (struct load_account){0};
    *load_net(&q->load, c->net, q->now) = (struct load_account){0};
    c->useful = 0;
    c->streams_new = 2;
    quic_work_read(c, false);
    assert_int_equal(c->load.debt, LOAD_PACKET + 2 * LOAD_STREAM);
    assert_int_equal(load_net(&q->load, c->net, q->now)->debt, c->load.debt);
    assert_int_equal(c->sealed.debt, 0);
    c->useful = 1000;
    quic_work_read(c, true); /* the streams are paid for, and this packet by its bytes */
    assert_int_equal(c->load.debt, LOAD_PACKET + 2 * LOAD_STREAM);
    quic_work_read(c, true); /* but not the next */
    assert_int_equal(c->load.debt, 2 * LOAD_PACKET + 2 * LOAD_STREAM);
    assert_int_equal(c->sealed.debt, LOAD_PACKET);
    quic_work_refused(c, QUDAG_EPROTO);
    assert_int_equal(c->load.debt, 2 * LOAD_PACKET + 2 * LOAD_STREAM + LOAD_REFUSED);
    quic_work_refused(c, QUDAG_ENOMEM); /* ours */
    quic_work_refused(c, QUDAG_ECANCELED);
    quic_work_refused(c, QUDAG_OK);
    assert_int_equal(c->load.debt, 2 * LOAD_PACKET + 2 * LOAD_STREAM + LOAD_REFUSED);
    c->load = (struct load_account){.at = q->now, .debt = load_rule_link.burst + 1};
    assert_int_equal(quic_work_take(c), LOAD_LAST);
    enum quic_conn_state was = c->state;
    c->state = QUIC_CONN_LINGER; /* it only repeats that it is over */
    assert_int_equal(quic_work_take(c), LOAD_FREE);
    c->state = was;
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forged_packets_of_a_handshake_shut_nobody_out),
        cmocka_unit_test(copies_of_a_packet_are_thrown_away_and_put_nobody_out),
        cmocka_unit_test(a_host_is_put_out_and_its_neighbours_are_not),
        cmocka_unit_test(only_proven_addresses_owe_for_handshakes),
        cmocka_unit_test(a_flooder_does_not_keep_its_neighbours_from_linking),
        cmocka_unit_test(refusals_leave_stateless_resets_alone),
        cmocka_unit_test(work_is_charged_once_to_a_link_and_its_network),
        cmocka_unit_test(who_sends_only_what_costs_is_put_out_and_kept_out_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
