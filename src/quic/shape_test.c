/* The sizes of packets: the rules, what leaves an endpoint, and what a classifier makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/shape.h"
#include "quic/testkit_classify.h"
#include "quic/testkit_net.h"

#define OPS quic_link_ops
#define CELL 1120
#define PREAMBLE 40

static struct tk tk;

static void small_packets_with_a_short_header_are_padded(void **state)
{
    (void)state;
    assert_int_equal(quic_shape_more(0x40, 30), SHAPE_ACK - 30);
    assert_int_equal(quic_shape_more(0x40, SHAPE_ACK - 1), 1);
    assert_int_equal(quic_shape_more(0x40, SHAPE_ACK), 0);
    assert_int_equal(quic_shape_more(0x40, SHAPE_FULL), 0);
    assert_int_equal(quic_shape_more(0xc0, 30), 0); /* its length field is written already */
}

static void a_stream_of_units_offers_one_at_a_time(void **state)
{
    static const struct {
        uint64_t off, left, from;
        uint16_t unit;
        uint64_t take;
    } row[] = {
        {0, 5000, 0, 0, 5000},
        {70, 0, 0, 0, 0},
        {0, 40, 40, CELL, 40},
        {0, 40 + 2 * CELL, 40, CELL, 40},
        {40, 2 * CELL, 40, CELL, CELL},
        {40, 100, 40, CELL, 100},
        {40 + CELL, CELL, 40, CELL, CELL},
        {40 + CELL - 20, 20 + CELL, 40, CELL, 20},
        {40 + CELL + 1, 3 * CELL, 40, CELL, CELL - 1},
        {39, CELL, 40, CELL, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(quic_shape_take(row[i].off, row[i].left, row[i].from, row[i].unit),
                         row[i].take);
    }
}

/* A Handshake packet of |len| bytes in all (RFC 9000 17.2.4). */
static void put_long(uint8_t *p, size_t len)
{
    static const uint8_t head[] = {0xe0, 0, 0, 0, 1, 2, 7, 7, 1, 9};

    memset(p, 0, len);
    memcpy(p, head, sizeof head);
    p[sizeof head] = (uint8_t)(0x40 | (len - 12) >> 8);
    p[sizeof head + 1] = (uint8_t)(len - 12);
}

static void a_datagram_is_as_long_as_what_was_sealed(void **state)
{
    uint8_t p[SHAPE_FULL + SHAPE_ACK] = {0x40};

    (void)state;
    assert_int_equal(quic_shape_len(p, 30), SHAPE_ACK);
    assert_int_equal(quic_shape_len(p, 900), 900);
    put_long(p, 500);
    assert_int_equal(quic_shape_len(p, 500), 500);
    p[500] = 0x40;
    assert_int_equal(quic_shape_len(p, 540), 500 + SHAPE_ACK);
    assert_int_equal(quic_shape_len(p, 700), 700);
    put_long(p + 500, 600);
    p[1100] = 0x40;
    assert_int_equal(quic_shape_len(p, 1130), 1100); /* no room: as good as lost */
    p[500 + 10] = 0x7f;                              /* longer than the datagram: not ours */
    assert_int_equal(quic_shape_len(p, 1130), 1130);
    p[505] = 21;
    assert_int_equal(quic_shape_len(p, 1130), 1130);
}

/* ---- what leaves an endpoint ---- */

struct capture {
    size_t full[2], ack[2], other[2]; /* by direction: 0 from the client */
    size_t largest_other;
    bool on;
    struct cls_sample *into;
};

static bool record(struct tk *t, struct tk_pkt *p)
{
    struct capture *c = t->pass_ctx;
    size_t dir = netaddr_eq(&p->from, &t->ep[0].addr) ? 0 : 1;

    if (!c->on) {
        return true;
    }
    c->full[dir] += p->len == SHAPE_FULL ? 1 : 0;
    c->ack[dir] += p->len == SHAPE_ACK ? 1 : 0;
    if (p->len != SHAPE_FULL && p->len != SHAPE_ACK) {
        c->other[dir]++;
        c->largest_other = p->len > c->largest_other ? p->len : c->largest_other;
    }
    if (c->into != NULL) {
        c->into->f[dir * 32 + (p->len / 64 < 31 ? p->len / 64 : 31)] += 1;
    }
    return true;
}

static void up(const struct tk_opt *opt, struct capture *c)
{
    struct ref link;

    tk_init(&tk);
    tk.delay_ns = NS_PER_MS;
    assert_true(tk_make(&tk, 0, opt));
    assert_true(tk_make(&tk, 1, opt));
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
    tk.pass = record;
    tk.pass_ctx = c;
    c->on = true; /* HANDSHAKE_DONE, tokens and connection ids are on their way: they count too */
}

static void down(void)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tk_unmake(&tk, i), 0);
    }
    tk_fini(&tk);
}

static int64_t send_on_new(size_t len, bool fin)
{
    static uint8_t buf[300000];
    int64_t sid = 0;

    assert_true(len <= sizeof buf);
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, len}), QUDAG_OK);
    if (fin) {
        OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
    }
    return sid;
}

static void load_the_link(void)
{
    for (size_t i = 0; i < 30; i++) {
        (void)send_on_new(1 + i * 97, i % 2 == 0);
        (void)tk_run(&tk, 20 * NS_PER_MS, NULL);
    }
    int64_t sid = send_on_new(300000, true);
    (void)tk_run(&tk, 3 * NS_PER_MS, NULL);
    OPS.reset(tk.ep[0].q, tk.ep[0].link, send_on_new(5, false), QUDAG_ECANCELED);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    OPS.reset(tk.ep[1].q, tk.ep[1].link, sid, QUDAG_ELIMIT);
    (void)tk_run(&tk, 90 * NS_PER_S, NULL); /* keep-alives */
    quic_probe(tk.ep[0].q, tk.ep[0].link, tk.now);
    (void)tk_run(&tk, 3 * NS_PER_S, NULL);
    OPS.close(tk.ep[1].q, tk.ep[1].link, QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 1);
}

static void after_the_handshake_packets_have_one_of_two_sizes(void **state)
{
    static const enum pq_policy pq[] = {PQ_REQUIRE, PQ_OFF};
    static const uint32_t loss[] = {0, 50};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(pq); i++) {
        const struct tk_opt opt = {.pq = pq[i / 2]};
        struct capture c = {0};

        up(&opt, &c);
        tk.loss_permille = loss[i % 2];
        tk.reorder_permille = 2 * loss[i % 2];
        load_the_link();
        assert_int_equal(c.other[0] + c.other[1], 0);
        assert_true(c.full[0] > 250 && c.full[1] > 3);
        assert_true(c.ack[1] > 10);
        down();
    }
}

static int64_t cells_begin(void)
{
    int64_t sid = send_on_new(PREAMBLE, false);

    OPS.set_unit(tk.ep[0].q, tk.ep[0].link, sid, CELL);
    return sid;
}

static void cells_send(int64_t sid, size_t n)
{
    static const uint8_t cells[64 * CELL];

    assert_true(n <= 64);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){cells, n * CELL}),
                     QUDAG_OK);
}

/* What arrived of one stream otherwise than in whole cells. */
struct in_parts {
    int64_t sid;
    unsigned n;
};

static void count_parts(struct tk_ep *ep, const struct link_ev *ev)
{
    struct in_parts *p = ep->app_ctx;

    p->n += ev->type == LINK_DATA && ev->sid == p->sid && ev->data.len % CELL != 0;
}

static void a_cell_is_a_packet(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    struct in_parts parts = {0};
    struct capture c = {0};

    (void)state;
    up(&opt, &c);
    (void)tk_run(&tk, NS_PER_S, NULL);
    c = (struct capture){.on = true};
    int64_t sid = cells_begin();
    cells_send(sid, 3); /* the agreement on a protocol before them has a packet of its own */
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(c.full[0], 4);
    for (size_t n = 1; n <= 64; n *= 2) {
        c = (struct capture){.on = true};
        cells_send(sid, n);
        (void)tk_run(&tk, NS_PER_S, NULL);
        assert_int_equal(c.full[0], n);
        assert_int_equal(c.other[0] + c.other[1], 0);
    }
    assert_int_equal(tk.ep[1].bytes, PREAMBLE + (3 + 127) * CELL);
    c = (struct capture){.on = true};
    parts.sid = sid;
    tk.ep[1].app = count_parts;
    tk.ep[1].app_ctx = &parts;
    cells_send(sid, 1);
    (void)send_on_new(100, false); /* and does not share it */
    cells_send(sid, 1);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(c.full[0], 3);
    assert_int_equal(c.other[0] + c.other[1], 0);
    assert_int_equal(parts.n, 0); /* nor is a cell cut to fill up the packet of another stream */
    OPS.close(tk.ep[0].q, tk.ep[0].link, QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    down();
}

static void a_cell_too_large_for_a_packet_is_a_stream_of_bytes(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    struct capture c = {0};

    (void)state;
    up(&opt, &c);
    int64_t sid = send_on_new(1, false);
    OPS.set_unit(tk.ep[0].q, tk.ep[0].link, sid, SHAPE_UNIT_MAX + 1);
    OPS.set_unit(tk.ep[0].q, tk.ep[0].link, sid + 400, CELL); /* no such stream */
    cells_send(sid, 8);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 1 + 8 * CELL);
    /* Cut into units of two packets each it would need a sixth more of them. */
    OPS.set_unit(tk.ep[0].q, tk.ep[0].link, sid, 2000);
    c = (struct capture){.on = true};
    cells_send(sid, 64);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 1 + 72 * CELL);
    assert_in_range(c.full[0], 60, 67);
    down();
}

/* ---- the classifier: how many of eight messages were cells? ---- */

#define MESSAGES 8
#define TRIALS 320

/* The other side answers each message in kind: a cell with a cell, a request of the DHT with what was asked for. */
struct far_end {
    int64_t cells;
    uint64_t got;
};

static void answer(struct tk_ep *ep, const struct link_ev *ev)
{
    static const uint8_t buf[CELL];
    struct far_end *f = ep->app_ctx;
    qudag_err err = QUDAG_OK;

    if (ev->type == LINK_STREAM && f->cells < 0) {
        f->cells = ev->sid;
        OPS.set_unit(ep->q, ev->link, ev->sid, CELL);
    }
    if (ev->type == LINK_DATA) {
        OPS.consume(ep->q, ev->link, ev->sid, ev->data.len);
    }
    if (ev->type == LINK_DATA && ev->sid == f->cells) {
        f->got += ev->data.len;
        for (; f->got >= CELL && err == QUDAG_OK; f->got -= CELL) {
            err = OPS.write(ep->q, ev->link, ev->sid, (struct slice){buf, CELL});
        }
    }
    if (ev->type == LINK_FIN) {
        err = OPS.write(ep->q, ev->link, ev->sid, (struct slice){buf, 387});
        OPS.fin(ep->q, ev->link, ev->sid);
    }
    assert_int_equal(err, QUDAG_OK);
}

static void one_trial(int64_t cells, struct cls_sample *s, struct capture *c)
{
    size_t left = s->label + 1;

    c->into = s;
    for (size_t i = MESSAGES; i > 0; i--) {
        bool cell = rng_below(&tk.rng, (uint32_t)i) < left;
        if (cell) {
            cells_send(cells, 1);
            left--;
        } else {
            (void)send_on_new(50, true);
        }
        (void)tk_run(&tk, (20 + rng_below(&tk.rng, 30)) * NS_PER_MS, NULL);
    }
}

static void sizes_do_not_tell_cells_from_requests(void **state)
{
    static struct cls_sample s[TRIALS];
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    struct far_end far = {.cells = -1};
    struct capture c = {0};

    (void)state;
    up(&opt, &c);
    (void)tk_run(&tk, NS_PER_S, NULL);
    tk.ep[1].app = answer;
    tk.ep[1].app_ctx = &far;
    int64_t cells = send_on_new(CELL, false);
    OPS.set_unit(tk.ep[0].q, tk.ep[0].link, cells, CELL);
    (void)tk_run(&tk, NS_PER_S, NULL);
    for (size_t i = 0; i < TRIALS; i++) {
        s[i].label = (unsigned)rng_below(&tk.rng, MESSAGES);
        one_trial(cells, &s[i], &c);
    }
    assert_in_range(cls_centroid(s, TRIALS), 0, cls_chance(TRIALS / 2, MESSAGES));
    assert_in_range(cls_nearest(s, TRIALS), 0, cls_chance(TRIALS / 2, MESSAGES));
    down();
}

/* The sizes that the audit measured before packets were padded: what the classifiers are worth. */
static void the_classifiers_count_cells_in_packets_without_padding(void **state)
{
    static const size_t cell[3] = {1152, 1152, 35}, request[3] = {81, 418, 36};
    static struct cls_sample s[TRIALS];

    (void)state;
    tk_init(&tk);
    for (size_t i = 0; i < TRIALS; i++) {
        s[i].label = (unsigned)rng_below(&tk.rng, MESSAGES);
        for (size_t k = 0; k < MESSAGES; k++) {
            const size_t *size = k <= s[i].label ? cell : request;
            s[i].f[size[0] / 64] += 1;
            s[i].f[32 + size[1] / 64] += 1;
            s[i].f[size[2] / 64] += 1;
        }
    }
    assert_int_equal(cls_centroid(s, TRIALS), TRIALS / 2);
    assert_int_equal(cls_nearest(s, TRIALS), TRIALS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_packets_with_a_short_header_are_padded),
        cmocka_unit_test(a_stream_of_units_offers_one_at_a_time),
        cmocka_unit_test(a_datagram_is_as_long_as_what_was_sealed),
        cmocka_unit_test(after_the_handshake_packets_have_one_of_two_sizes),
        cmocka_unit_test(a_cell_is_a_packet),
        cmocka_unit_test(a_cell_too_large_for_a_packet_is_a_stream_of_bytes),
        cmocka_unit_test(sizes_do_not_tell_cells_from_requests),
        cmocka_unit_test(the_classifiers_count_cells_in_packets_without_padding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
