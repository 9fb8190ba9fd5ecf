/*
 * What a link is good for: streams, their windows and ends, long silence and sudden death, over TLS and over Noise.
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "upgrade/testkit.h"

#define MIB (1u << 20)
#define TOTAL (64u * MIB)
#define PERIOD 65521 /* prime, so that no piece of a power of two looks like another */

static const struct up_opt both[] = {{.pq = PQ_REQUIRE}, {.pq = PQ_PREFER}};

/* The first proposal is of TLS: where it is not understood, Noise comes next. */
static bool no_tls(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    static const char id[] = "/tls/1.0.0\n";

    for (size_t i = 0; from == &p->a && i + sizeof(id) - 1 <= *len; i++) {
        if (memcmp(bytes + i, id, sizeof(id) - 1) == 0) {
            bytes[i + 1] = 'X';
        }
    }
    return true;
}

static struct up_pair *linked_with(const struct up_opt *o, bool noise)
{
    struct up_pair *p = up_new(o, o);

    p->pass = noise ? no_tls : NULL;
    up_dial(p);
    up_settle(p);
    p->pass = NULL;
    assert_int_equal(p->a.ups + p->b.ups, 2);
    assert_int_equal((p->a.info.props & LINK_PQ_AUTH) == 0, noise);
    return p;
}

static struct up_pair *linked(bool noise)
{
    return linked_with(&both[noise], noise);
}

static uint8_t pattern[PERIOD * 2];

static void make_pattern(void)
{
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (uint8_t)((i % PERIOD) * 31 + (i % PERIOD) / 251);
    }
}

/* A side that sends TOTAL bytes and compares what it gets. */
struct bulk {
    int64_t sid;
    uint64_t to_write, got, queued;
    bool differs;
};

static void bulk_write(struct up_side *s, struct bulk *b)
{
    while (b->to_write > 0 && b->queued < MIB) {
        size_t at = (TOTAL - b->to_write) % PERIOD;
        size_t n = PERIOD - 1000 < b->to_write ? PERIOD - 1000 : (size_t)b->to_write;
        assert_int_equal(up_write(s, b->sid, pattern + at, n), QUDAG_OK);
        b->to_write -= n;
        b->queued += n;
    }
    if (b->to_write == 0) {
        upgrade_link_ops.fin(s->u, s->link, b->sid);
    }
}

static void bulk_app(struct up_side *s, const struct link_ev *ev)
{
    struct bulk *b = s->ctx;

    if (ev->type == LINK_STREAM) {
        b->sid = ev->sid;
        bulk_write(s, b);
    } else if (ev->type == LINK_SENT) {
        b->queued -= ev->n;
        bulk_write(s, b);
    } else if (ev->type == LINK_DATA) {
        for (size_t i = 0; i < ev->data.len;) {
            size_t at = (b->got + i) % PERIOD;
            size_t n = PERIOD < ev->data.len - i ? PERIOD : ev->data.len - i;
            b->differs = b->differs || memcmp(ev->data.base + i, pattern + at, n) != 0;
            i += n;
        }
        b->got += ev->data.len;
    }
}

static void many_bytes_each_way_are_the_same(void **state)
{
    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_pair *p = linked(noise != 0);
        struct bulk a = {.to_write = TOTAL}, b = {.to_write = TOTAL};

        p->a.app = p->b.app = bulk_app;
        p->a.ctx = &a;
        p->b.ctx = &b;
        p->piece = 20000;
        a.sid = up_open(&p->a);
        bulk_write(&p->a, &a);
        up_settle(p);
        assert_int_equal(a.got, TOTAL);
        assert_int_equal(b.got, TOTAL);
        assert_false(a.differs || b.differs);
        assert_int_equal(p->a.fins + p->b.fins, 2);
        assert_true(p->a.mem.peak < 16 * MIB && p->b.mem.peak < 16 * MIB);
        struct link_info info;
        assert_int_equal(upgrade_info(p->a.u, p->a.link, &info), QUDAG_OK);
        assert_int_equal(info.streams, 0);
        assert_true(info.bytes_in > TOTAL && info.bytes_in < TOTAL + TOTAL / 100);
        assert_true(info.bytes_out > TOTAL && info.bytes_out < TOTAL + TOTAL / 100);
        up_free(p);
    }
}

/* Answers each stream with what came, and ends it. */
static void echo_app(struct up_side *s, const struct link_ev *ev)
{
    if (ev->type == LINK_DATA) {
        assert_int_equal(up_write(s, ev->sid, ev->data.base, ev->data.len), QUDAG_OK);
    } else if (ev->type == LINK_FIN) {
        upgrade_link_ops.fin(s->u, ev->link, ev->sid);
    }
}

static void a_thousand_streams(void **state)
{
    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_opt o = both[noise];
        o.cfg.streams_max = o.cfg.own_max = 1024;
        struct up_pair *p = linked_with(&o, noise != 0);
        unsigned again = 0;

        p->b.app = echo_app;
        p->piece = 1500;
        for (unsigned n = 0; n < 1000;) {
            int64_t sid;
            qudag_err err = upgrade_link_ops.open(p->a.u, p->a.link, n, "x", &sid);
            if (err == QUDAG_EAGAIN) {
                assert_true(again++ < 100);
                up_settle(p);
                assert_int_equal(p->a.streams_ok, again);
                continue;
            }
            assert_int_equal(err, QUDAG_OK);
            assert_int_equal(up_write(&p->a, sid, "0123456789", 10), QUDAG_OK);
            n++;
        }
        up_settle(p);
        struct link_info info;
        assert_int_equal(upgrade_info(p->b.u, p->b.link, &info), QUDAG_OK);
        assert_int_equal(info.streams, 1000);
        assert_int_equal(p->a.bytes, 10000);
        for (unsigned n = 0; n < 1000; n++) {
            upgrade_link_ops.fin(p->a.u, p->a.link, 1 + 2 * (int64_t)n);
        }
        up_settle(p);
        assert_int_equal(p->b.streams, 1000);
        assert_int_equal(p->b.bytes, 10000);
        assert_int_equal(p->a.fins, 1000);
        assert_int_equal(p->a.resets + p->b.resets + p->a.downs + p->b.downs, 0);
        assert_int_equal(upgrade_info(p->b.u, p->b.link, &info), QUDAG_OK);
        assert_int_equal(info.streams, 0);
        up_free(p);
    }
}

static void a_half_closed_stream_still_carries_the_other_way(void **state)
{
    (void)state;
    struct up_pair *p = linked(false);
    int64_t sid = up_open(&p->a);

    assert_int_equal(up_write(&p->a, sid, "question", 8), QUDAG_OK);
    upgrade_link_ops.fin(p->a.u, p->a.link, sid);
    up_settle(p);
    assert_int_equal(p->b.fins, 1);
    assert_int_equal(p->b.bytes, 8);
    assert_int_equal(up_write(&p->a, sid, "more", 4), QUDAG_ESTATE);
    assert_int_equal(up_write(&p->b, sid, "an answer", 9), QUDAG_OK);
    up_settle(p);
    assert_int_equal(p->a.bytes, 9);
    assert_int_equal(p->a.fins, 0);
    upgrade_link_ops.fin(p->b.u, p->b.link, sid);
    up_settle(p);
    assert_int_equal(p->a.fins, 1);
    assert_int_equal(up_write(&p->b, sid, "late", 4), QUDAG_ESTALE);
    up_free(p);
}

static void a_reset_says_why(void **state)
{
    static const struct {
        qudag_err err, read;
    } row[] = {
        {QUDAG_ELIMIT, QUDAG_ELIMIT},       {QUDAG_EUNSUPPORTED, QUDAG_EUNSUPPORTED},
        {QUDAG_ETIMEOUT, QUDAG_ETIMEOUT},   {QUDAG_ERESET, QUDAG_ERESET},
        {QUDAG_EAPP(33), QUDAG_EAPP(33)},   {QUDAG_EINTERNAL, QUDAG_ERESET},
        {QUDAG_ECANCELED, QUDAG_ECANCELED},
    };

    (void)state;
    struct up_pair *p = linked(true);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        for (int by_a = 0; by_a < 2; by_a++) {
            struct up_side *s = by_a != 0 ? &p->a : &p->b, *t = up_other(s);
            int64_t sid = up_open(&p->a);
            unsigned before = t->resets;
            up_settle(p);
            assert_int_equal(up_write(t, sid, "unread", 6), QUDAG_OK);
            upgrade_link_ops.reset(s->u, s->link, sid, row[i].err);
            upgrade_link_ops.reset(s->u, s->link, sid, QUDAG_OK);
            up_settle(p);
            assert_int_equal(t->resets, before + 1);
            assert_int_equal(t->reset_err, row[i].read);
            assert_int_equal(up_write(t, sid, "x", 1), QUDAG_ESTALE);
        }
    }
    assert_int_equal(p->a.downs + p->b.downs, 0);
    up_free(p);
}

/* What came before a stream has a user word is told with it all the same. */
static void user_app(struct up_side *s, const struct link_ev *ev)
{
    if (ev->type == LINK_STREAM) {
        upgrade_link_ops.set_user(s->u, ev->link, ev->sid, 4711);
    } else if (ev->type == LINK_DATA || ev->type == LINK_FIN) {
        assert_int_equal(ev->user, 4711);
    }
}

static void a_stream_is_known_by_its_user_word(void **state)
{
    (void)state;
    struct up_pair *p = linked(false);
    int64_t sid = up_open(&p->a);

    p->b.app = user_app;
    assert_int_equal(up_write(&p->a, sid, "all at once", 11), QUDAG_OK);
    upgrade_link_ops.fin(p->a.u, p->a.link, sid);
    up_settle(p);
    assert_int_equal(p->b.bytes, 11);
    assert_int_equal(p->b.fins, 1);
    up_free(p);
}

static void a_reader_that_waits_holds_the_writer(void **state)
{
    static uint8_t bytes[MIB];

    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_pair *p = linked(noise != 0);
        int64_t sid = up_open(&p->a);

        p->b.hold = true;
        for (int i = 0; i < 4; i++) {
            assert_int_equal(up_write(&p->a, sid, bytes, sizeof(bytes)), QUDAG_OK);
        }
        assert_int_equal(up_write(&p->a, sid, "x", 1), QUDAG_ETOOBIG);
        up_settle(p);
        assert_int_equal(p->b.bytes, YAMUX_WINDOW);
        assert_int_equal(p->a.sent, YAMUX_WINDOW);
        assert_true(p->b.mem.used < MIB);
        /* another stream is not held by it */
        int64_t other = up_open(&p->a);
        assert_int_equal(up_write(&p->a, other, "y", 1), QUDAG_OK);
        up_settle(p);
        assert_int_equal(p->b.bytes, YAMUX_WINDOW + 1);
        upgrade_link_ops.consume(p->b.u, p->b.link, sid, YAMUX_WINDOW);
        p->b.hold = false;
        up_settle(p);
        assert_int_equal(p->b.bytes, 4 * MIB + 1);
        up_free(p);
    }
}

static void a_carrier_that_waits_holds_the_writer(void **state)
{
    static uint8_t bytes[MIB];
    uint8_t few[100];

    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_pair *p = linked(noise != 0);
        int64_t sid = up_open(&p->a);
        int n = 0;

        while (up_write(&p->a, sid, bytes, sizeof(bytes)) == QUDAG_OK) {
            assert_true(n++ < 8);
        }
        size_t used = p->a.mem.used;
        assert_true(used < 6 * MIB);
        for (int i = 0; i < 50; i++) { /* little room is enough, and makes nothing pile up */
            size_t k = upgrade_output(p->a.u, p->a.link, few, 1 + (size_t)i * 2, p->now);
            assert_true(k > 0 && k <= 1 + (size_t)i * 2);
            up_deliver(&p->b, few, k);
        }
        assert_true(p->a.mem.used <= used + 20000);
        up_settle(p);
        assert_int_equal(p->b.bytes, (uint64_t)n * MIB);
        up_free(p);
    }
}

/* Keeps one piece of data for longer than its link lives. */
struct kept {
    struct slice data;
    struct buf *buf;
};

static void keep_app(struct up_side *s, const struct link_ev *ev)
{
    struct kept *kept = s->ctx;

    if (ev->type == LINK_DATA) {
        assert_non_null(ev->keep);
        *kept = (struct kept){ev->data, buf_ref(ev->keep)};
        upgrade_link_ops.close(s->u, ev->link, QUDAG_OK);
        assert_memory_equal(ev->data.base, "keep this", 9);
    }
}

static void data_that_is_kept_outlives_its_link(void **state)
{
    (void)state;
    struct up_pair *p = linked(false);
    struct kept kept = {{NULL, 0}, NULL};
    int64_t sid = up_open(&p->a);

    p->b.app = keep_app;
    p->b.ctx = &kept;
    assert_int_equal(up_write(&p->a, sid, "keep this", 9), QUDAG_OK);
    up_settle(p);
    assert_int_equal(p->b.downs, 1);
    assert_int_equal(p->a.downs, 1);
    assert_int_equal(p->b.u->links.n, 0);
    assert_memory_equal(kept.data.base, "keep this", 9);
    buf_drop(kept.buf);
    up_free(p);
}

static void a_long_silence_is_filled_with_pings(void **state)
{
    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_pair *p = linked(noise != 0);
        uint64_t before = p->a.carried;

        up_run(p, p->now + UINT64_C(86400) * NS_PER_S);
        assert_int_equal(p->a.downs + p->b.downs, 0);
        struct link_info info;
        assert_int_equal(upgrade_info(p->a.u, p->a.link, &info), QUDAG_OK);
        assert_true(info.rtt_ns > 0);
        assert_true(p->a.carried - before > 1000 && p->a.carried - before < 1000000);
        up_free(p);
    }
}

static bool nothing(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)from;
    (void)bytes;
    (void)len;
    return false;
}

/* What a program keeps of what came stays as it is, whatever comes after it. */
struct held_bytes {
    struct buf *buf[64];
    struct slice data[64];
    uint8_t first[64];
    size_t n;
};

static void hold_app(struct up_side *s, const struct link_ev *ev)
{
    struct held_bytes *k = s->ctx;

    if (ev->type == LINK_DATA && k->n < ARRAY_LEN(k->buf)) {
        k->buf[k->n] = buf_ref(ev->keep);
        k->data[k->n] = ev->data;
        k->first[k->n++] = ev->data.base[0];
    }
}

static void bytes_that_are_kept_are_not_written_over(void **state)
{
    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_pair *p = linked(noise != 0);
        static uint8_t bytes[20000];
        struct held_bytes k = {.n = 0};
        int64_t sid;

        p->b.app = hold_app;
        p->b.ctx = &k;
        assert_int_equal(upgrade_link_ops.open(p->a.u, p->a.link, 1, "", &sid), QUDAG_OK);
        for (unsigned i = 0; i < 20; i++) {
            memset(bytes, (int)i + 1, sizeof(bytes));
            assert_int_equal(up_write(&p->a, sid, bytes, sizeof(bytes)), QUDAG_OK);
            up_settle(p);
        }
        assert_true(k.n >= 20);
        for (size_t i = 0; i < k.n; i++) {
            for (size_t at = 0; at < k.data[i].len; at++) {
                assert_int_equal(k.data[i].base[at], k.first[i]);
            }
        }
        for (size_t i = 0; i < k.n; i++) {
            buf_drop(k.buf[i]);
        }
        up_free(p);
    }
}

/* Where a link lasts less long without a word than between two pings, they are sent more often. */
static void a_short_time_without_a_word_shortens_that_between_pings(void **state)
{
    (void)state;
    const struct up_opt o = {.pq = PQ_PREFER, .cfg = {.idle_timeout_ns = 10 * NS_PER_S}};
    struct up_pair *p = up_new(&o, &o);

    up_dial(p);
    up_settle(p);
    assert_int_equal(p->a.ups, 1);
    up_run(p, p->now + 60 * NS_PER_S); /* answered, it stays */
    assert_int_equal(p->a.downs + p->b.downs, 0);
    tstamp then = p->now;
    p->pass = nothing;
    while (p->a.downs == 0 && p->now < then + 100 * NS_PER_S) {
        p->b.ended = true;
        up_run(p, upgrade_deadline(p->a.u));
    }
    assert_int_equal(p->a.down.err, QUDAG_ETIMEOUT);
    assert_true(p->now <= then + 10 * NS_PER_S);
    up_free(p);
}

static void a_peer_that_has_died_is_noticed(void **state)
{
    (void)state;
    struct up_pair *p = linked(false);
    tstamp then = p->now;

    p->pass = nothing;
    p->b.ended = true;
    while (p->a.downs == 0) {
        assert_true(upgrade_deadline(p->a.u) <= then + 60 * NS_PER_S);
        up_run(p, upgrade_deadline(p->a.u));
    }
    assert_int_equal(p->a.down.err, QUDAG_ETIMEOUT);
    assert_int_equal(p->now, then + 60 * NS_PER_S);
    /* its last bytes go nowhere, and are let go */
    assert_int_equal(p->a.u->links.n, 0);
    up_free(p);

    p = linked(true);
    then = p->now;
    p->pass = nothing;
    upgrade_probe(p->a.u, p->a.link, p->now);
    p->b.ended = true;
    up_run(p, then + 10 * NS_PER_S);
    assert_int_equal(p->a.downs, 1);
    assert_int_equal(p->a.down.err, QUDAG_ETIMEOUT);
    up_free(p);

    p = linked(true); /* and one that lives stays */
    upgrade_probe(p->a.u, p->a.link, p->now);
    up_run(p, p->now + 20 * NS_PER_S);
    assert_int_equal(p->a.downs, 0);
    up_free(p);
}

static void a_byte_stream_that_breaks_takes_its_link(void **state)
{
    static const struct {
        qudag_err err, want;
    } row[] = {
        {QUDAG_OK, QUDAG_ERESET}, {QUDAG_ERESET, QUDAG_ERESET}, {QUDAG_ETIMEOUT, QUDAG_ETIMEOUT}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct up_pair *p = linked(false);
        int64_t sid = up_open(&p->a);
        uint8_t buf[UP_CARRY];

        assert_int_equal(up_write(&p->a, sid, "the last words", 14), QUDAG_OK);
        size_t n = upgrade_output(p->a.u, p->a.link, buf, sizeof(buf), p->now);
        upgrade_receive(p->b.u, p->b.link, (struct slice){buf, n}, p->now);
        upgrade_lost(p->b.u, p->b.link, row[i].err, p->now);
        up_events(&p->b);
        assert_int_equal(p->b.bytes, 14); /* what came before is told before */
        assert_int_equal(p->b.downs, 1);
        assert_int_equal(p->b.down.err, row[i].want);
        upgrade_lost(p->a.u, p->a.link, QUDAG_ERESET, p->now);
        up_events(&p->a);
        assert_int_equal(p->a.downs, 1);
        p->a.ended = true;
        up_settle(p);
        assert_int_equal(p->a.u->links.n + p->b.u->links.n, 0);
        up_free(p);
    }
}

static void links_and_streams_that_are_gone_do_nothing(void **state)
{
    const struct link_ops *ops = &upgrade_link_ops;

    (void)state;
    struct up_pair *p = linked(false);
    struct upgrade *u = p->a.u;
    struct ref no = {77, 3};
    int64_t sid;
    struct ref links[2] = {no, p->a.link};
    for (int i = 0; i < 2; i++) {
        ops->set_user(u, links[i], 99, 1);
        ops->consume(u, links[i], 99, 1);
        ops->fin(u, links[i], 99);
        ops->reset(u, links[i], 99, QUDAG_OK);
        assert_int_equal(ops->write(u, links[i], 99, (struct slice){(const uint8_t *)"x", 1}),
                         QUDAG_ESTALE);
    }
    assert_int_equal(ops->open(u, no, 1, "x", &sid), QUDAG_ESTALE);
    ops->close(u, no, QUDAG_OK);
    upgrade_receive(u, no, (struct slice){(const uint8_t *)"x", 1}, p->now);
    upgrade_lost(u, no, QUDAG_OK, p->now);
    upgrade_probe(u, no, p->now);
    assert_int_equal(upgrade_output(u, no, p->buf, 10, p->now), 0);
    assert_true(upgrade_cancel(u, no));
    up_settle(p);
    assert_int_equal(p->a.downs + p->b.downs, 0);
    up_free(p);
}

/* Bytes queued and received are on the peer's account until they are gone. */
static void bytes_are_on_the_account_of_the_peer(void **state)
{
    static uint8_t bytes[MIB];
    struct mem mem;
    struct resources *r;

    (void)state;
    mem_init(&mem, NULL, 0);
    struct resources_config rc = {.mem = &mem,
                                  .links_max = 64,
                                  .network_share = 100,
                                  .streams_max = 100,
                                  .dials_max = 10,
                                  .half_open_max = 64,
                                  .unproven_max = 10,
                                  .host_half_open = 20,
                                  .bytes_max = 7 * MIB / 4}; /* a quarter for one peer */
    assert_int_equal(resources_new(&r, &rc), QUDAG_OK);
    struct up_opt o = both[0];
    o.cfg.accounts = r;
    struct up_pair *p = up_new(&both[0], &o);
    up_dial(p);
    up_settle(p);
    int64_t sid = up_open(&p->a), second = up_open(&p->a);
    up_settle(p);
    assert_int_equal(up_write(&p->b, sid, bytes, 300000), QUDAG_OK);
    assert_int_equal(up_write(&p->b, sid, bytes, 300000), QUDAG_ELIMIT);
    assert_int_equal(resources_used(r, RES_NODE, RES_BYTES), 300000);
    up_settle(p);
    assert_int_equal(resources_used(r, RES_NODE, RES_BYTES), 0);
    assert_int_equal(p->a.bytes, 300000);

    p->b.hold = true; /* two full windows are too much: the second stream ends */
    assert_int_equal(up_write(&p->a, sid, bytes, YAMUX_WINDOW), QUDAG_OK);
    up_settle(p);
    assert_int_equal(resources_used(r, RES_NODE, RES_RECEIVED), YAMUX_WINDOW);
    assert_int_equal(up_write(&p->a, second, bytes, YAMUX_WINDOW), QUDAG_OK);
    up_settle(p);
    assert_int_equal(p->b.resets, 1);
    assert_int_equal(p->b.reset_err, QUDAG_ELIMIT);
    assert_int_equal(p->a.resets, 1);
    assert_int_equal(p->a.reset_err, QUDAG_ELIMIT);
    assert_int_equal(resources_used(r, RES_NODE, RES_RECEIVED), YAMUX_WINDOW);
    upgrade_link_ops.consume(p->b.u, p->b.link, sid, YAMUX_WINDOW / 2);
    assert_int_equal(resources_used(r, RES_NODE, RES_RECEIVED), YAMUX_WINDOW / 2);
    upgrade_link_ops.close(p->b.u, p->b.link, QUDAG_OK);
    up_settle(p);
    assert_int_equal(resources_used(r, RES_NODE, RES_RECEIVED), 0);
    up_free(p);
    resources_free(r);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_bytes_each_way_are_the_same),
        cmocka_unit_test(a_thousand_streams),
        cmocka_unit_test(a_half_closed_stream_still_carries_the_other_way),
        cmocka_unit_test(a_reset_says_why),
        cmocka_unit_test(a_stream_is_known_by_its_user_word),
        cmocka_unit_test(a_reader_that_waits_holds_the_writer),
        cmocka_unit_test(a_carrier_that_waits_holds_the_writer),
        cmocka_unit_test(data_that_is_kept_outlives_its_link),
        cmocka_unit_test(a_long_silence_is_filled_with_pings),
        cmocka_unit_test(bytes_that_are_kept_are_not_written_over),
        cmocka_unit_test(a_short_time_without_a_word_shortens_that_between_pings),
        cmocka_unit_test(a_peer_that_has_died_is_noticed),
        cmocka_unit_test(a_byte_stream_that_breaks_takes_its_link),
        cmocka_unit_test(links_and_streams_that_are_gone_do_nothing),
        cmocka_unit_test(bytes_are_on_the_account_of_the_peer),
    };

    make_pattern();
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
