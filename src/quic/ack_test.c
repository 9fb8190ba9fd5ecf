/* When what was received is acknowledged: the rule, and what a link shows (spec/link.md 5.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/ack.h"
#include "quic/quic_int.h"
#include "quic/testkit_net.h"

#define OPS quic_link_ops
#define WAY NS_PER_MS /* from one end to the other */
#define CELL 1120

static struct tk tk;

static void what_waits(void **state)
{
    static const struct {
        struct quic_ack a;
        bool waits;
    } row[] = {
        {{.settled = true, .packets = 1}, true},
        {{.settled = true, .packets = QUIC_ACK_PACKETS - 1}, true},
        {{.settled = true, .packets = QUIC_ACK_PACKETS}, false},
        {{.settled = false, .packets = 1}, false}, /* a handshake waits for it */
        {{.settled = true, .work = true, .packets = 1}, false},
        {{.settled = true, .congested = true, .packets = 1}, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(quic_ack_waits(&row[i].a), row[i].waits);
    }
}

/*
 * By direction, 0 from the client: packets of each size, and when the first of them left.  Sometimes ngtcp2 wants an
 * acknowledgement acknowledged and adds a PING: then it is a full one.
 */
static struct {
    unsigned full[2], ack[2];
    tstamp first[2];
    uint8_t ecn; /* set on the way */
} seen;

static bool note(struct tk *t, struct tk_pkt *p)
{
    size_t dir = netaddr_eq(&p->from, &t->ep[0].addr) ? 0 : 1;

    seen.first[dir] = seen.full[dir] + seen.ack[dir] == 0 ? t->now : seen.first[dir];
    seen.full[dir] += p->len == SHAPE_FULL ? 1 : 0;
    seen.ack[dir] += p->len == SHAPE_ACK ? 1 : 0;
    p->ecn = seen.ecn != 0 ? seen.ecn : p->ecn;
    return true;
}

static void look(void)
{
    memset(&seen, 0, sizeof seen);
}

static void write_cells(int ix, int64_t sid, size_t packets)
{
    static const uint8_t cells[QUIC_ACK_PACKETS * CELL];

    assert_true(packets * CELL <= sizeof cells);
    assert_int_equal(
        OPS.write(tk.ep[ix].q, tk.ep[ix].link, sid, (struct slice){cells, packets * CELL}),
        QUDAG_OK);
}

/* A link on which nothing is left to be said, and a stream of cells on it. */
static int64_t up(void)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    struct ref link;
    int64_t sid = 0;

    tk_init(&tk);
    tk.delay_ns = WAY;
    assert_true(tk_make(&tk, 0, &opt));
    assert_true(tk_make(&tk, 1, &opt));
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    OPS.set_unit(tk.ep[0].q, tk.ep[0].link, sid, CELL);
    write_cells(0, sid, 1);
    (void)tk_run(&tk, NS_PER_S, NULL);
    OPS.set_unit(tk.ep[1].q, tk.ep[1].link, sid, CELL);
    tk.pass = note;
    look();
    return sid;
}

static void an_answer_takes_it_along(void **state)
{
    int64_t sid = up();

    (void)state;
    write_cells(0, sid, 1);
    (void)tk_run(&tk, WAY + QUIC_ACK_WAIT - NS_PER_MS,
                 NULL); /* later than the turn in which it came */
    assert_int_equal(seen.full[0], 1);
    assert_int_equal(seen.ack[1], 0);
    write_cells(1, sid, 1);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(seen.full[1], 1);
    assert_int_equal(seen.ack[1], 0);
    assert_int_equal(seen.full[0] + seen.ack[0], 2); /* nothing answers the answer */
    tk_fini(&tk);
}

static void one_packet_waits_for_its_time(void **state)
{
    int64_t sid = up();
    tstamp sent = tk.now;

    (void)state;
    write_cells(0, sid, 1);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(seen.full[0], 1); /* not sent again */
    assert_int_equal(seen.ack[1] + seen.full[1], 1);
    assert_in_range(seen.first[1] - sent, WAY + QUIC_ACK_WAIT,
                    WAY + QUIC_ACK_WAIT + NS_PER_MS / 10);
    tk_fini(&tk);
}

static void several_packets_do_not_wait(void **state)
{
    int64_t sid = up();
    tstamp sent = tk.now;

    (void)state;
    write_cells(0, sid, QUIC_ACK_PACKETS);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_true(seen.ack[1] + seen.full[1] >= 1);
    assert_in_range(seen.first[1] - sent, WAY, WAY + NS_PER_MS);
    tk_fini(&tk);
}

static void congestion_is_told_at_once(void **state)
{
    int64_t sid = up();
    tstamp sent = tk.now;

    (void)state;
    seen.ecn = NGTCP2_ECN_CE;
    write_cells(0, sid, 1);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_true(seen.ack[1] + seen.full[1] >= 1);
    assert_in_range(seen.first[1] - sent, WAY, WAY + NS_PER_MS);
    tk_fini(&tk);
}

/* Before both are sure of each other nothing waits: seven ways at most, and no 5 ms beside them. */
static void a_handshake_does_not_wait(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    struct ref link;

    (void)state;
    tk_init(&tk);
    tk.delay_ns = WAY;
    assert_true(tk_make(&tk, 0, &opt));
    assert_true(tk_make(&tk, 1, &opt));
    tstamp begun = tk.now;
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
    print_message("%u us\n", (unsigned)((tk.now - begun) / 1000));
    assert_true(tk.now - begun < 7 * WAY);
    tk_fini(&tk);
}

/* What a stream has to write goes on when the window opens, and not 5 ms later. */
static void a_full_window_goes_on_at_once(void **state)
{
    enum { PACKETS = 240 };
    int64_t sid = up();
    tstamp sent = tk.now;

    (void)state;
    for (size_t i = 0; i < PACKETS; i += QUIC_ACK_PACKETS) {
        write_cells(0, sid, QUIC_ACK_PACKETS);
    }
    while (tk.ep[1].bytes < (PACKETS + 1) * CELL && tk.now < sent + NS_PER_S) {
        (void)tk_run(&tk, NS_PER_MS / 2, NULL);
    }
    print_message("%u us\n", (unsigned)((tk.now - sent) / 1000));
    assert_true(tk.now - sent < 15 * WAY);
    tk_fini(&tk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits),
        cmocka_unit_test(an_answer_takes_it_along),
        cmocka_unit_test(one_packet_waits_for_its_time),
        cmocka_unit_test(several_packets_do_not_wait),
        cmocka_unit_test(congestion_is_told_at_once),
        cmocka_unit_test(a_handshake_does_not_wait),
        cmocka_unit_test(a_full_window_goes_on_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
