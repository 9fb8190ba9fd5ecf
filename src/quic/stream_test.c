/* Streams over the in-memory network: transfer, credit, many at once, resets, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"

#define OPS quic_link_ops
#define BULK (UINT64_C(64) << 20)

static struct tk tk;

static void up(const struct tk_opt *opt)
{
    struct ref link;

    tk_init(&tk);
    tk.delay_ns = NS_PER_MS;
    assert_true(tk_make(&tk, 0, opt));
    assert_true(tk_make(&tk, 1, opt));
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
}

static void down(void)
{
    for (int i = 0; i < 2; i++) {
        if (tk.ep[i].q != NULL) {
            assert_int_equal(tk_unmake(&tk, i), 0);
        }
    }
    tk_fini(&tk);
}

static uint8_t pattern(uint64_t off)
{
    return (uint8_t)(off * 31 + (off >> 8) * 7 + (off >> 16));
}

/* Fills the queue of one stream up to a backlog, checks what comes against the pattern. */
struct bulk {
    int64_t sid;
    uint64_t total, written, sent, received, backlog_max;
    bool finned, bad;
    size_t peak;
};

static void bulk_fill(struct tk_ep *ep, struct bulk *b)
{
    static uint8_t buf[32768];

    while (b->written < b->total && b->written - b->sent < 262144) {
        size_t n =
            b->total - b->written < sizeof buf ? (size_t)(b->total - b->written) : sizeof buf;

        for (size_t i = 0; i < n; i++) {
            buf[i] = pattern(b->written + i);
        }
        assert_int_equal(OPS.write(ep->q, ep->link, b->sid, (struct slice){buf, n}), QUDAG_OK);
        b->written += n;
    }
    if (b->written == b->total && !b->finned) {
        b->finned = true;
        OPS.fin(ep->q, ep->link, b->sid);
    }
}

static void bulk_app(struct tk_ep *ep, const struct link_ev *ev)
{
    struct bulk *b = ep->app_ctx;

    switch (ev->type) {
    case LINK_STREAM:
        b->sid = ev->sid;
        OPS.set_user(ep->q, ev->link, ev->sid, 77);
        bulk_fill(ep, b);
        break;
    case LINK_DATA:
        for (size_t i = 0; i < ev->data.len; i++) {
            b->bad = b->bad || ev->data.base[i] != pattern(b->received + i);
        }
        b->bad = b->bad || (ep->ix == 1 && ev->user != 77) || (ep->ix == 0 && ev->user != 55);
        b->received += ev->data.len;
        OPS.consume(ep->q, ev->link, ev->sid, ev->data.len);
        break;
    case LINK_SENT:
        b->sent += ev->n;
        bulk_fill(ep, b);
        break;
    default:
        break;
    }
}

static bool bulk_done(struct tk *t)
{
    return t->ep[0].fins == 1 && t->ep[1].fins == 1;
}

static void transfer(uint64_t total, uint32_t loss, uint32_t reorder)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    struct bulk a = {.total = total}, b = {.total = total};

    up(&opt);
    tk.loss_permille = loss;
    tk.reorder_permille = reorder;
    tk.ep[0].app = bulk_app;
    tk.ep[0].app_ctx = &a;
    tk.ep[1].app = bulk_app;
    tk.ep[1].app_ctx = &b;
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 55, NULL, &a.sid), QUDAG_OK);
    bulk_fill(&tk.ep[0], &a);
    assert_true(tk_run(&tk, 4000 * NS_PER_S, bulk_done));
    assert_int_equal(a.received, total);
    assert_int_equal(b.received, total);
    assert_int_equal(a.sent, total);
    assert_int_equal(b.sent, total);
    assert_false(a.bad);
    assert_false(b.bad);
    assert_true(tk.ep[0].mem.peak < (UINT64_C(6) << 20));
    assert_true(tk.ep[1].mem.peak < (UINT64_C(6) << 20));
    assert_int_equal(tk.ep[0].resets + tk.ep[1].resets, 0);
    (void)tk_run(&tk, NS_PER_S, NULL);
    struct link_info info;
    assert_int_equal(quic_info(tk.ep[0].q, tk.ep[0].link, &info), QUDAG_OK);
    assert_int_equal(info.streams, 0);
    down();
}

static void test_64_mib_both_ways_with_bounded_memory(void **state)
{
    (void)state;
    transfer(BULK, 0, 0);
}

static void test_transfer_survives_loss_and_reordering(void **state)
{
    (void)state;
    transfer(UINT64_C(4) << 20, 20, 100);
}

static void deaf_app(struct tk_ep *ep, const struct link_ev *ev)
{
    (void)ep;
    (void)ev;
}

static void test_credit_is_what_the_reader_consumed(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE, .quic = {.stream_window = 100000}};
    static uint8_t buf[500000];
    int64_t sid = 0;

    (void)state;
    up(&opt);
    tk.ep[1].app = deaf_app;
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, sizeof buf}),
                     QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 100000);
    assert_int_equal(tk.ep[0].sent, 100000);
    OPS.consume(tk.ep[1].q, tk.ep[1].link, sid, 60000);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 160000);
    /* More than was delivered gives no more than that. */
    OPS.consume(tk.ep[1].q, tk.ep[1].link, sid, 10000000);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 260000);
    down();
}

static void test_the_window_of_the_link_bounds_all_streams_together(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE,
                               .quic = {.stream_window = 100000, .conn_window = 250000}};
    static uint8_t buf[100000];
    int64_t sid[8];

    (void)state;
    up(&opt);
    tk.ep[1].app = deaf_app;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, i, NULL, &sid[i]), QUDAG_OK);
        assert_int_equal(
            OPS.write(tk.ep[0].q, tk.ep[0].link, sid[i], (struct slice){buf, sizeof buf}),
            QUDAG_OK);
    }
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 250000);
    /* A reset stream gives its share of the link's window back. */
    for (size_t i = 0; i < 8; i++) {
        OPS.reset(tk.ep[1].q, tk.ep[1].link, sid[i], QUDAG_ECANCELED);
    }
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].resets, 8);
    tk.ep[1].app = NULL;
    tk.ep[1].bytes = 0;
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 9, NULL, &sid[0]), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid[0], (struct slice){buf, sizeof buf}),
                     QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 100000);
    down();
}

static void test_the_send_queue_has_a_hard_limit(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE, .quic = {.stream_queue_max = 1000}};
    static const uint8_t buf[1001];
    int64_t sid = 0;

    (void)state;
    up(&opt);
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, 1001}),
                     QUDAG_ETOOBIG);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, 600}), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, 401}),
                     QUDAG_ETOOBIG);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, 400}), QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 1000);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, 1000}),
                     QUDAG_OK);
    down();
}

static void echo_app(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_DATA) {
        assert_int_equal(OPS.write(ep->q, ev->link, ev->sid, ev->data), QUDAG_OK);
        OPS.consume(ep->q, ev->link, ev->sid, ev->data.len);
    } else if (ev->type == LINK_FIN) {
        OPS.fin(ep->q, ev->link, ev->sid);
    }
}

static void echo_or_lose(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_DATA) {
        (void)OPS.write(ep->q, ev->link, ev->sid, ev->data);
        OPS.consume(ep->q, ev->link, ev->sid, ev->data.len);
    } else if (ev->type == LINK_FIN) {
        OPS.fin(ep->q, ev->link, ev->sid);
    }
}

static unsigned user_bad;

static void count_app(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_DATA) {
        uint64_t word = 0;

        memcpy(&word, ev->data.base, ev->data.len < 8 ? ev->data.len : 8);
        user_bad += word != ev->user || ev->data.len != 8;
        OPS.consume(ep->q, ev->link, ev->sid, ev->data.len);
    }
}

static void test_eight_thousand_streams_under_a_limit_of_2048(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    uint64_t opened = 0, refused = 0;

    (void)state;
    up(&opt);
    user_bad = 0;
    tk.ep[0].app = count_app;
    tk.ep[1].app = echo_app;
    for (int round = 0; round < 400 && opened < 8000; round++) {
        int64_t sid = 0;
        qudag_err err = QUDAG_OK;

        while (opened < 8000 &&
               (err = OPS.open(tk.ep[0].q, tk.ep[0].link, opened, NULL, &sid)) == QUDAG_OK) {
            assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid,
                                       (struct slice){(const uint8_t *)&opened, 8}),
                             QUDAG_OK);
            OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
            opened++;
        }
        if (err != QUDAG_OK) {
            assert_int_equal(err, QUDAG_EAGAIN);
            refused++;
        }
        (void)tk_run(&tk, 50 * NS_PER_MS, NULL);
    }
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(opened, 8000);
    assert_true(refused > 0);
    assert_true(tk.ep[0].streams_ok > 0);
    assert_int_equal(tk.ep[1].streams, 8000);
    assert_int_equal(tk.ep[0].fins, 8000);
    assert_int_equal(tk.ep[0].bytes, 64000);
    assert_int_equal(user_bad, 0);
    assert_int_equal(tk.ep[0].resets + tk.ep[1].resets, 0);
    down();
}

static void test_a_request_and_its_answer_take_three_packets(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    enum { REQUESTS = 100 };

    (void)state;
    up(&opt);
    tk.ep[1].app = echo_app;
    (void)tk_run(&tk, NS_PER_S, NULL);
    uint64_t before = tk.sent_n;
    for (uint64_t i = 0; i < REQUESTS; i++) {
        int64_t sid = 0;
        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, i, NULL, &sid), QUDAG_OK);
        assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid,
                                   (struct slice){(const uint8_t *)"question", 8}),
                         QUDAG_OK);
        OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
        (void)tk_run(&tk, 50 * NS_PER_MS, NULL);
    }
    assert_int_equal(tk.ep[0].fins, REQUESTS);
    assert_int_equal(tk.ep[0].bytes, 8 * REQUESTS);
    /* Question, answer, acknowledgement; streams are given back and timers do their work beside. */
    assert_true(tk.sent_n - before >= 3 * REQUESTS);
    assert_true(tk.sent_n - before <= 3 * REQUESTS + REQUESTS / 10);
    down();
}

static void test_both_sides_may_open_streams(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    int64_t sid = 0;

    (void)state;
    up(&opt);
    tk.ep[0].app = echo_app;
    assert_int_equal(OPS.open(tk.ep[1].q, tk.ep[1].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(
        OPS.write(tk.ep[1].q, tk.ep[1].link, sid, (struct slice){(const uint8_t *)"hello", 5}),
        QUDAG_OK);
    OPS.fin(tk.ep[1].q, tk.ep[1].link, sid);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].streams, 1);
    assert_int_equal(tk.ep[1].bytes, 5);
    assert_int_equal(tk.ep[1].fins, 1);
    down();
}

static void test_reset_reaches_the_other_side_with_its_code(void **state)
{
    static const struct {
        qudag_err sent, seen;
    } row[] = {
        {QUDAG_EREFUSED, QUDAG_EREFUSED},
        {QUDAG_ELIMIT, QUDAG_ELIMIT},
        {QUDAG_ENOMEM, QUDAG_ELIMIT},
        {QUDAG_EINTERNAL, QUDAG_ERESET}, /* ours alone: not told */
        {QUDAG_OK, QUDAG_ERESET},
    };
    const struct tk_opt opt = {.pq = PQ_REQUIRE};

    (void)state;
    up(&opt);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t sid = 0;

        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
        assert_int_equal(
            OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){(const uint8_t *)"x", 1}),
            QUDAG_OK);
        (void)tk_run(&tk, NS_PER_S, NULL);
        OPS.reset(tk.ep[0].q, tk.ep[0].link, sid, row[i].sent);
        assert_int_equal(
            OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){(const uint8_t *)"y", 1}),
            QUDAG_ERESET);
        (void)tk_run(&tk, NS_PER_S, NULL);
        assert_int_equal(tk.ep[1].resets, i + 1);
        assert_int_equal(tk.ep[1].reset_err, row[i].seen);
        assert_int_equal(tk.ep[0].resets, 0); /* no event for what one did oneself */
    }
    struct link_info info;
    assert_int_equal(quic_info(tk.ep[1].q, tk.ep[1].link, &info), QUDAG_OK);
    assert_int_equal(info.streams, 0);
    down();
}

static void reset_app(struct tk_ep *ep, const struct link_ev *ev)
{
    unsigned *after = ep->app_ctx;

    if (ev->type == LINK_STREAM) {
        OPS.reset(ep->q, ev->link, ev->sid, QUDAG_EREFUSED);
    } else if (ev->type == LINK_DATA || ev->type == LINK_FIN) {
        (*after)++;
    }
}

static void test_nothing_comes_from_a_stream_after_its_reset(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    unsigned after = 0;
    int64_t sid = 0;

    (void)state;
    up(&opt);
    tk.ep[1].app = reset_app;
    tk.ep[1].app_ctx = &after;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
        assert_int_equal(
            OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){(const uint8_t *)"data", 4}),
            QUDAG_OK);
        OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
    }
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].streams, 20);
    assert_int_equal(after, 0);
    assert_int_equal(tk.ep[0].resets, 20);
    down();
}

static void close_app(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_DATA) {
        OPS.close(ep->q, ev->link, QUDAG_EREFUSED);
    }
}

static void test_close_is_reported_once_on_both_sides(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    struct link_info info;
    int64_t sid = 0;

    (void)state;
    up(&opt);
    tk.ep[1].app = close_app;
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(
        OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){(const uint8_t *)"x", 1}),
        QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_EREFUSED);
    assert_int_equal(tk.ep[1].downs, 1);
    assert_int_equal(tk.ep[1].down.err, QUDAG_EREFUSED);
    assert_int_equal(tk.ep[0].resets, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(quic_info(tk.ep[i].q, tk.ep[i].link, &info), QUDAG_ESTALE);
        assert_int_equal(OPS.open(tk.ep[i].q, tk.ep[i].link, 1, NULL, &sid), QUDAG_ESTALE);
        assert_int_equal(OPS.write(tk.ep[i].q, tk.ep[i].link, sid, (struct slice){NULL, 0}),
                         QUDAG_ESTALE);
        OPS.consume(tk.ep[i].q, tk.ep[i].link, sid, 1);
        OPS.fin(tk.ep[i].q, tk.ep[i].link, sid);
        OPS.reset(tk.ep[i].q, tk.ep[i].link, sid, QUDAG_OK);
        OPS.close(tk.ep[i].q, tk.ep[i].link, QUDAG_OK);
        OPS.set_user(tk.ep[i].q, tk.ep[i].link, sid, 1);
    }
    (void)tk_run(&tk, 20 * NS_PER_S, NULL); /* the closed links are forgotten */
    struct quic_stats st;
    quic_stats_get(tk.ep[0].q, &st);
    assert_int_equal(st.conns, 0);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 2);
    assert_int_equal(quic_deadline(tk.ep[0].q), TSTAMP_NEVER);
    down();
}

/* Everything arrives at one instant, in the order it was sent. */
static bool gather(struct tk *t, struct tk_pkt *p)
{
    p->at = *(const tstamp *)t->pass_ctx;
    return true;
}

static void test_data_before_a_close_is_delivered_first(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    tstamp at;
    int64_t sid = 0;

    (void)state;
    up(&opt);
    at = tk.now + 100 * NS_PER_MS;
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid,
                               (struct slice){(const uint8_t *)"last words", 10}),
                     QUDAG_OK);
    tk.pass = gather;
    tk.pass_ctx = &at;
    (void)tk_run(&tk, 50 * NS_PER_MS, NULL); /* pacing may hold the packet back a little */
    quic_shutdown(tk.ep[0].q, tk.now);
    assert_int_equal(tk.ep[1].bytes, 0);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, 10);
    assert_int_equal(tk.ep[1].downs, 1);
    assert_int_equal(tk.ep[1].down.err, QUDAG_ECLOSED);
    down();
}

static void test_fairness_between_streams_of_a_link(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    static uint8_t buf[1 << 20];
    int64_t big = 0, small = 0;

    (void)state;
    up(&opt);
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &big), QUDAG_OK);
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 2, NULL, &small), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, big, (struct slice){buf, sizeof buf}),
                     QUDAG_OK);
    assert_int_equal(
        OPS.write(tk.ep[0].q, tk.ep[0].link, small, (struct slice){(const uint8_t *)"quick", 5}),
        QUDAG_OK);
    OPS.fin(tk.ep[0].q, tk.ep[0].link, small);
    /* The five bytes are there after one way, not after the megabyte. */
    (void)tk_run(&tk, tk.delay_ns + NS_PER_MS / 2, NULL);
    assert_int_equal(tk.ep[1].fins, 1);
    assert_true(tk.ep[1].bytes < sizeof buf / 2);
    down();
}

static void test_keys_are_updated_after_the_tls_object_is_gone(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    int64_t sid = 0;

    (void)state;
    up(&opt);
    (void)tk_run(&tk, NS_PER_S, NULL);
    for (int i = 0; i < 2; i++) {
        const struct quic_conn *c = slots_get(&tk.ep[i].q->conns, tk.ep[i].link);

        assert_non_null(c);
        assert_null(c->hs.ssl);
        /* The next keys are made while data flows some time after the last change. */
        for (unsigned n = 0; n < 12; n++) {
            if (n % 4 == 3) {
                assert_int_equal(ngtcp2_conn_initiate_key_update(c->ng, tk.now), 0);
            }
            assert_int_equal(OPS.open(tk.ep[i].q, tk.ep[i].link, 1, NULL, &sid), QUDAG_OK);
            assert_int_equal(OPS.write(tk.ep[i].q, tk.ep[i].link, sid,
                                       (struct slice){(const uint8_t *)"new key", 7}),
                             QUDAG_OK);
            (void)tk_run(&tk, 5 * NS_PER_S, NULL);
            assert_int_equal(tk.ep[1 - i].bytes, 7 * (n + 1));
        }
    }
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    down();
}

static void test_memory_may_run_out_while_streams_run(void **state)
{
    const struct tk_opt opt = {.pq = PQ_OFF};
    unsigned lost = 0;

    (void)state;
    for (uint64_t n = 1; n < 60; n++) {
        for (int side = 0; side < 2; side++) {
            int64_t sid = 0;

            up(&opt);
            tk.ep[1].app = echo_or_lose;
            tk.ep[side].mem.fail_at = n;
            if (OPS.open(tk.ep[0].q, tk.ep[0].link, 55, NULL, &sid) == QUDAG_OK) {
                static const uint8_t buf[50000];

                (void)OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, 50000});
                OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
            }
            (void)tk_run(&tk, 20 * NS_PER_S, NULL);
            lost += tk.ep[0].downs;
            assert_int_equal(tk.ep[0].downs, tk.ep[1].downs);
            if (tk.ep[side].downs > 0) {
                assert_int_equal(tk.ep[side].down.err, QUDAG_ENOMEM);
            }
            down();
        }
    }
    assert_true(lost > 5);
}

/* The stopping side does not hear the answer, which it would take as a reset of the whole stream. */
static bool from_client(struct tk *t, struct tk_pkt *p)
{
    return netaddr_eq(&p->from, &t->ep[0].addr);
}

/* What libp2p implementations do when they close a stream: STOP_SENDING beside their FIN. */
static void test_stop_sending_lets_the_other_direction_finish(void **state)
{
    static const struct {
        bool fin_first, own_fin; /* the stopper's FIN came before; the stopped side had finished */
        unsigned resets;
    } row[] = {
        {false, false, 1}, /* bytes and FIN arrive, then the stream ends */
        {true, false, 1},
        {false, true, 0},
        {true, true, 0},
    };
    const struct tk_opt opt = {.pq = PQ_OFF};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct quic_conn *c;
        struct link_info info;
        int64_t sid = 0;

        up(&opt);
        tk.ep[1].app = NULL;
        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
        assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid,
                                   (struct slice){(const uint8_t *)"request", 7}),
                         QUDAG_OK);
        (void)tk_run(&tk, NS_PER_S, NULL);
        if (row[i].own_fin) {
            OPS.fin(tk.ep[1].q, tk.ep[1].link, sid);
            tk_flush(&tk, &tk.ep[1]);
        }
        if (row[i].fin_first) {
            OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
            (void)tk_run(&tk, tk.delay_ns / 2, NULL);
        }
        c = slots_get(&tk.ep[0].q->conns, tk.ep[0].link);
        assert_non_null(c);
        assert_int_equal(ngtcp2_conn_shutdown_stream_read(c->ng, 0, sid, 0), 0);
        quic_conn_mark_dirty(c);
        tk_flush(&tk, &tk.ep[0]);
        tk.pass = from_client; /* for so long that probes do not fill the window */
        (void)tk_run(&tk, NS_PER_S / 5, NULL);
        if (!row[i].fin_first) {
            if (!row[i].own_fin) {
                assert_int_equal(tk.ep[1].resets, 0);
                assert_int_equal(OPS.write(tk.ep[1].q, tk.ep[1].link, sid,
                                           (struct slice){(const uint8_t *)"x", 1}),
                                 QUDAG_OK); /* queued, and refused from then on */
                (void)tk_run(&tk, NS_PER_S / 5, NULL);
                assert_int_equal(OPS.write(tk.ep[1].q, tk.ep[1].link, sid,
                                           (struct slice){(const uint8_t *)"x", 1}),
                                 QUDAG_ERESET);
            }
            OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
            (void)tk_run(&tk, NS_PER_S / 5, NULL);
        }
        assert_int_equal(tk.ep[1].bytes, 7);
        assert_int_equal(tk.ep[1].fins, 1);
        tk.pass = NULL;
        (void)tk_run(&tk, 5 * NS_PER_S, NULL);
        assert_int_equal(tk.ep[1].resets, row[i].resets);
        assert_int_equal(quic_info(tk.ep[1].q, tk.ep[1].link, &info), QUDAG_OK);
        assert_int_equal(info.streams, 0);
        down();
    }
}

static void test_close_carries_its_reason(void **state)
{
    static const struct {
        qudag_err sent, seen;
    } row[] = {
        {QUDAG_OK, QUDAG_ECLOSED},       {QUDAG_ELIMIT, QUDAG_ELIMIT},
        {QUDAG_ENOMEM, QUDAG_ELIMIT},    {QUDAG_EPROTO, QUDAG_EPROTO},
        {QUDAG_EPOLICY, QUDAG_EREFUSED}, {QUDAG_EEXISTS, QUDAG_ECLOSED},
    };
    const struct tk_opt opt = {.pq = PQ_OFF};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        up(&opt);
        OPS.close(tk.ep[0].q, tk.ep[0].link, row[i].sent);
        (void)tk_run(&tk, NS_PER_S, NULL);
        assert_int_equal(tk.ep[1].downs, 1);
        assert_int_equal(tk.ep[1].down.err, row[i].seen);
        assert_non_null(tk.ep[1].down.text);
        down();
    }
}

static void close_when_sent(struct tk_ep *ep, const struct link_ev *ev)
{
    unsigned *n = ep->app_ctx;

    if (ev->type == LINK_SENT) {
        (*n)++;
        OPS.close(ep->q, ev->link, QUDAG_OK);
    }
}

static void a_link_closed_by_its_owner_reports_no_bytes_as_sent(void **state)
{
    const struct tk_opt opt = {.pq = PQ_REQUIRE};
    static const uint8_t byte[1];
    unsigned n = 0;

    (void)state;
    up(&opt);
    tk.ep[0].app = close_when_sent;
    tk.ep[0].app_ctx = &n;
    for (int i = 0; i < 3; i++) { /* they leave, and are acknowledged, in one packet */
        int64_t sid;
        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 55, NULL, &sid), QUDAG_OK);
        assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){byte, 1}),
                         QUDAG_OK);
    }
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(n, 1);
    assert_int_equal(tk.ep[0].downs, 1);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_64_mib_both_ways_with_bounded_memory),
        cmocka_unit_test(test_transfer_survives_loss_and_reordering),
        cmocka_unit_test(test_credit_is_what_the_reader_consumed),
        cmocka_unit_test(test_the_window_of_the_link_bounds_all_streams_together),
        cmocka_unit_test(test_the_send_queue_has_a_hard_limit),
        cmocka_unit_test(test_eight_thousand_streams_under_a_limit_of_2048),
        cmocka_unit_test(test_a_request_and_its_answer_take_three_packets),
        cmocka_unit_test(test_both_sides_may_open_streams),
        cmocka_unit_test(test_reset_reaches_the_other_side_with_its_code),
        cmocka_unit_test(test_nothing_comes_from_a_stream_after_its_reset),
        cmocka_unit_test(test_close_is_reported_once_on_both_sides),
        cmocka_unit_test(test_data_before_a_close_is_delivered_first),
        cmocka_unit_test(a_link_closed_by_its_owner_reports_no_bytes_as_sent),
        cmocka_unit_test(test_fairness_between_streams_of_a_link),
        cmocka_unit_test(test_keys_are_updated_after_the_tls_object_is_gone),
        cmocka_unit_test(test_memory_may_run_out_while_streams_run),
        cmocka_unit_test(test_stop_sending_lets_the_other_direction_finish),
        cmocka_unit_test(test_close_carries_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
