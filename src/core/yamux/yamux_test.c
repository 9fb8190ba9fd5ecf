/* Two sessions joined by pipes; what each does to the other, in any split of the bytes. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fifo.h"
#include "core/yamux/yamux.h"

#include <string.h>

#define LOG_MAX 4096

struct end {
    struct yamux *y;
    struct fifo in; /* from the other side */
    struct yamux_ev log[LOG_MAX];
    size_t n;
    uint64_t bytes; /* of YAMUX_DATA */
    uint32_t sum;   /* of those bytes, by position */
    bool consume;   /* at once */
};

struct pair {
    struct mem mem;
    struct end a, b; /* a dialed */
    tstamp now;
    size_t piece; /* most bytes handed over at once */
    bool lend;    /* frames are taken where they lie, if they can */
};

static void end_new(struct pair *p, struct end *e, bool dialer, const struct yamux_config *more)
{
    struct yamux_config cfg = *more;

    cfg.mem = &p->mem;
    cfg.dialer = dialer;
    e->consume = true;
    fifo_init(&e->in, &p->mem, 64u << 20);
    assert_int_equal(yamux_new(&e->y, &cfg, p->now), QUDAG_OK);
}

static struct pair *pair_new(const struct yamux_config *cfg)
{
    static struct pair p;

    memset(&p, 0, sizeof(p));
    mem_init(&p.mem, NULL, 0);
    p.now = NS_PER_S;
    p.piece = 1500;
    end_new(&p, &p.a, true, cfg);
    end_new(&p, &p.b, false, cfg);
    return &p;
}

static void pair_free(struct pair *p)
{
    yamux_free(p->a.y);
    yamux_free(p->b.y);
    fifo_fini(&p->a.in);
    fifo_fini(&p->b.in);
    assert_int_equal(p->mem.used, 0);
}

static void note(struct end *e, const struct yamux_ev *ev)
{
    assert_true(e->n < LOG_MAX);
    e->log[e->n++] = *ev;
    if (ev->type == YAMUX_DATA) {
        for (size_t i = 0; i < ev->data.len; i++) {
            e->sum = e->sum * 31 + ev->data.base[i];
        }
        e->bytes += ev->data.len;
        if (e->consume) {
            yamux_consume(e->y, ev->id, ev->data.len);
        }
        e->n -= 1; /* counted, not listed */
    }
}

static void drain_events(struct end *e)
{
    struct yamux_ev ev;

    while (yamux_next_event(e->y, &ev)) {
        note(e, &ev);
    }
}

/* One direction, once; whether anything moved. */
static bool move(struct pair *p, struct end *from, struct end *to)
{
    uint8_t buf[20000];
    struct slice lent = p->lend ? yamux_frame(from->y, sizeof(buf)) : (struct slice){NULL, 0};
    size_t n = lent.len;

    if (n > 0) {
        assert_true(n <= sizeof(buf) && yamux_has_output(from->y));
        memcpy(buf, lent.base, n);
        yamux_frame_sent(from->y);
    } else {
        n = yamux_output(from->y, buf, sizeof(buf));
    }
    assert_int_equal(fifo_append(&to->in, (struct slice){buf, n}), QUDAG_OK);
    drain_events(from);
    size_t got = fifo_take(&to->in, buf, p->piece);
    if (got > 0) {
        yamux_receive(to->y, (struct slice){buf, got}, p->now);
        drain_events(to);
    }
    return n + got > 0;
}

static void run(struct pair *p)
{
    for (int quiet = 0, i = 0; quiet < 2 && i < 1000000; i++) {
        p->now += NS_PER_MS / 10;
        quiet = move(p, &p->a, &p->b) + move(p, &p->b, &p->a) > 0 ? 0 : quiet + 1;
    }
}

static size_t count(const struct end *e, enum yamux_ev_type type, uint32_t id)
{
    size_t n = 0;

    for (size_t i = 0; i < e->n; i++) {
        n += e->log[i].type == type && e->log[i].id == id ? 1 : 0;
    }
    return n;
}

static const struct yamux_ev *last(const struct end *e)
{
    assert_true(e->n > 0);
    return &e->log[e->n - 1];
}

static void raw(struct pair *p, struct end *to, const void *bytes, size_t len)
{
    yamux_receive(to->y, (struct slice){bytes, len}, p->now);
    drain_events(to);
}

/* A frame as the peer of |to| would send it. */
static void frame(struct pair *p, struct end *to, uint8_t type, uint16_t flags, uint32_t id,
                  uint32_t len)
{
    uint8_t h[YAMUX_HEADER] = {0, type, (uint8_t)(flags >> 8), (uint8_t)flags};

    for (int i = 0; i < 4; i++) {
        h[4 + i] = (uint8_t)(id >> (24 - 8 * i));
        h[8 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
    raw(p, to, h, sizeof(h));
}
#define DATA 0
#define UPDATE 1
#define PING 2
#define GO_AWAY 3
#define SYN 1
#define ACK 2
#define FIN 4
#define RST 8

static void a_stream_carries_bytes_both_ways_in_any_split(void **state)
{
    (void)state;
    static uint8_t bytes[300000];
    static const size_t pieces[] = {1, 11, 12, 13, 1000, 20000};

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 13 + i / 256);
    }
    for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
        struct pair *p = pair_new(&(struct yamux_config){0});
        size_t len = pieces[k] == 1 ? 3000 : sizeof(bytes);
        uint32_t id = 0;
        p->piece = pieces[k];
        assert_int_equal(yamux_open(p->a.y, 7, &id), QUDAG_OK);
        assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, len}), QUDAG_OK);
        yamux_fin(p->a.y, id);
        run(p);
        assert_int_equal(p->b.bytes, len);
        assert_int_equal(count(&p->b, YAMUX_STREAM, id), 1);
        assert_int_equal(count(&p->b, YAMUX_FIN, id), 1);
        assert_int_equal(yamux_write(p->b.y, id, (struct slice){bytes, len}), QUDAG_OK);
        yamux_fin(p->b.y, id);
        run(p);
        assert_int_equal(p->a.bytes, len);
        assert_int_equal(p->a.sum, p->b.sum);
        assert_int_equal(last(&p->a)->type, YAMUX_FIN);
        assert_int_equal(last(&p->a)->user, 7);
        assert_int_equal(yamux_streams(p->a.y) + yamux_streams(p->b.y), 0);
        assert_int_equal(yamux_held(p->a.y) + yamux_held(p->b.y), 0);
        pair_free(p);
    }
}

static void frames_taken_where_they_lie_are_the_same(void **state)
{
    (void)state;
    static uint8_t bytes[300000];
    uint32_t id, sum = 0;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 13 + i / 251);
        sum = sum * 31 + bytes[i];
    }
    struct pair *p = pair_new(&(struct yamux_config){0});
    p->lend = true;
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    for (size_t at = 0; at < sizeof(bytes); at += 50000) {
        assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes + at, 50000}), QUDAG_OK);
    }
    assert_int_equal(yamux_queued(p->a.y), sizeof(bytes));
    yamux_fin(p->a.y, id);
    run(p);
    assert_int_equal(p->b.bytes, sizeof(bytes));
    assert_int_equal(p->b.sum, sum);
    assert_int_equal(count(&p->b, YAMUX_FIN, id), 1);
    assert_int_equal(yamux_queued(p->a.y), 0);
    assert_false(yamux_has_output(p->a.y));
    assert_int_equal(yamux_frame(p->a.y, 20000).len, 0);
    pair_free(p);
}

static void a_reader_that_waits_stops_its_own_stream_only(void **state)
{
    (void)state;
    static const uint8_t bytes[1u << 20];
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t slow = 0, quick = 0;

    p->b.consume = false;
    assert_int_equal(yamux_open(p->a.y, 1, &slow), QUDAG_OK);
    assert_int_equal(yamux_write(p->a.y, slow, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    run(p);
    assert_int_equal(p->b.bytes, YAMUX_WINDOW);
    assert_int_equal(yamux_held(p->b.y), YAMUX_WINDOW);
    p->b.consume = true;
    assert_int_equal(yamux_open(p->a.y, 2, &quick), QUDAG_OK);
    assert_int_equal(yamux_write(p->a.y, quick, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    run(p);
    assert_int_equal(p->b.bytes, YAMUX_WINDOW + sizeof(bytes));
    yamux_consume(p->b.y, slow, YAMUX_WINDOW / 2 - 1);
    run(p);
    assert_int_equal(p->b.bytes, YAMUX_WINDOW + sizeof(bytes));
    yamux_consume(p->b.y, slow, YAMUX_WINDOW);
    run(p);
    assert_int_equal(p->b.bytes, 2 * sizeof(bytes));
    pair_free(p);
}

static void streams_take_turns(void **state)
{
    (void)state;
    static const uint8_t bytes[200000];
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t id[4];
    uint8_t buf[4 * (YAMUX_HEADER + YAMUX_FRAME_MAX)];

    for (size_t i = 0; i < ARRAY_LEN(id); i++) {
        assert_int_equal(yamux_open(p->a.y, i, &id[i]), QUDAG_OK);
        assert_int_equal(yamux_write(p->a.y, id[i], (struct slice){bytes, sizeof(bytes)}),
                         QUDAG_OK);
    }
    assert_int_equal(yamux_output(p->a.y, buf, 5 * YAMUX_HEADER), 5 * YAMUX_HEADER);
    assert_int_equal(yamux_output(p->a.y, buf, sizeof(buf)), sizeof(buf));
    drain_events(&p->a);
    for (size_t i = 0; i < ARRAY_LEN(id); i++) {
        assert_int_equal(count(&p->a, YAMUX_SENT, id[i]), 1);
        assert_int_equal(buf[i * (YAMUX_HEADER + YAMUX_FRAME_MAX) + 7], id[i]);
    }
    pair_free(p);
}

static void a_window_grows_for_a_fast_reader_as_far_as_all_may(void **state)
{
    (void)state;
    static const uint8_t bytes[1u << 20];
    struct yamux_config cfg = {.held_max = 1u << 20};
    struct pair *p = pair_new(&cfg);
    uint32_t id = 0;

    run(p); /* the pings: the time of a round trip is known */
    assert_true(yamux_rtt(p->b.y) > 0);
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
        p->now += NS_PER_US; /* all within one instant: the reader is faster than any round trip */
        while (move(p, &p->a, &p->b) || move(p, &p->b, &p->a)) {
        }
    }
    p->b.consume = false;
    uint64_t before = p->b.bytes;
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    run(p);
    assert_true(p->b.bytes - before > YAMUX_WINDOW && p->b.bytes - before <= 2 * YAMUX_WINDOW);
    pair_free(p);
}

static void the_stream_that_holds_most_gives_way(void **state)
{
    (void)state;
    static const uint8_t bytes[YAMUX_WINDOW];
    struct yamux_config cfg = {.held_max = YAMUX_WINDOW + 1000};
    struct pair *p = pair_new(&cfg);
    uint32_t first = 0, second = 0;

    p->b.consume = false;
    assert_int_equal(yamux_open(p->a.y, 1, &first), QUDAG_OK);
    assert_int_equal(yamux_write(p->a.y, first, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    run(p);
    assert_int_equal(yamux_open(p->a.y, 2, &second), QUDAG_OK);
    assert_int_equal(yamux_write(p->a.y, second, (struct slice){bytes, 1200}), QUDAG_OK);
    run(p);
    assert_int_equal(count(&p->b, YAMUX_RESET, first), 1);
    assert_int_equal(count(&p->a, YAMUX_RESET, first), 1);
    assert_int_equal(count(&p->b, YAMUX_RESET, second), 0);
    assert_int_equal(yamux_held(p->b.y), 1200);
    pair_free(p);
}

static void streams_are_limited_and_refused_one_by_one(void **state)
{
    (void)state;
    struct yamux_config cfg = {.streams_max = 3};
    struct pair *p = pair_new(&cfg);
    uint32_t id[5];

    for (size_t i = 0; i < ARRAY_LEN(id); i++) {
        assert_int_equal(yamux_open(p->a.y, i, &id[i]), QUDAG_OK);
    }
    run(p);
    for (size_t i = 0; i < ARRAY_LEN(id); i++) {
        assert_int_equal(count(&p->a, YAMUX_RESET, id[i]), i < 3 ? 0 : 1);
    }
    assert_int_equal(yamux_streams(p->b.y), 3);
    yamux_reset(p->a.y, id[0], 77);
    run(p);
    assert_int_equal(last(&p->b)->type, YAMUX_RESET);
    assert_int_equal(last(&p->b)->code, 77);
    assert_int_equal(yamux_open(p->a.y, 9, &id[0]), QUDAG_OK);
    run(p);
    assert_int_equal(yamux_streams(p->b.y), 3);
    pair_free(p);
}

static void only_so_many_streams_wait_for_an_answer(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){.own_max = 512});
    uint32_t id = 0;

    for (int i = 0; i < YAMUX_UNACKED_MAX; i++) {
        assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    }
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_EAGAIN);
    run(p);
    assert_int_equal(count(&p->a, YAMUX_STREAMS_OK, 0), 1);
    for (int i = 0; i < 512 - YAMUX_UNACKED_MAX; i++) {
        assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
        run(p);
    }
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_EAGAIN);
    run(p);
    size_t before = count(&p->a, YAMUX_STREAMS_OK, 0);
    yamux_reset(p->a.y, 1, 0);
    run(p);
    assert_int_equal(count(&p->a, YAMUX_STREAMS_OK, 0), before + 1);
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    pair_free(p);
}

static void the_end_is_in_a_frame_of_its_own(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint8_t out[128];
    uint32_t id = 0;

    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    run(p);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){(const uint8_t *)"abc", 3}), QUDAG_OK);
    yamux_fin(p->a.y, id);
    assert_int_equal(yamux_output(p->a.y, out, sizeof out), 12 + 3 + 12);
    assert_int_equal(out[3], 0); /* flags of the data */
    assert_int_equal(out[11], 3);
    assert_int_equal(out[15 + 3], 4); /* FIN, without data */
    assert_int_equal(out[15 + 11], 0);
    pair_free(p);
}

static void a_stream_that_was_never_sent_ends_in_silence(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t id = 0;

    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    yamux_reset(p->a.y, id, 1);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){(const uint8_t *)"x", 1}),
                     QUDAG_ESTALE);
    run(p);
    assert_int_equal(p->b.n, 0);
    pair_free(p);
}

static void nothing_is_written_behind_fin(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){.queue_max = 10});
    uint32_t id = 0;
    const uint8_t bytes[11] = {0};

    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, 11}), QUDAG_ETOOBIG);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, 10}), QUDAG_OK);
    yamux_fin(p->a.y, id);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, 1}), QUDAG_ESTATE);
    run(p);
    assert_int_equal(p->b.bytes, 10);
    pair_free(p);
}

static void a_closed_session_says_so_and_nothing_else(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t id = 0;

    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    run(p);
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    yamux_close(p->a.y, YAMUX_NORMAL);
    run(p);
    assert_int_equal(p->a.n, 0);
    assert_int_equal(last(&p->b)->type, YAMUX_GO_AWAY);
    assert_int_equal(last(&p->b)->code, YAMUX_NORMAL);
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_ECLOSED);
    assert_int_equal(yamux_open(p->b.y, 1, &id), QUDAG_ECLOSED);
    assert_int_equal(yamux_deadline(p->a.y), TSTAMP_NEVER);
    pair_free(p);
}

static void a_peer_that_is_silent_is_pinged_and_given_up(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){.keepalive_ns = 5 * NS_PER_S});
    tstamp due;

    run(p);
    due = yamux_deadline(p->a.y);
    assert_true(due > p->now + 4 * NS_PER_S && due <= p->now + 5 * NS_PER_S);
    p->now = due;
    yamux_tick(p->a.y, p->now);
    yamux_tick(p->b.y, p->now);
    run(p);
    p->now = yamux_deadline(p->a.y);
    yamux_tick(p->a.y, p->now);
    due = yamux_deadline(p->a.y);
    assert_int_equal(due, p->now + YAMUX_PING_TIMEOUT);
    yamux_tick(p->a.y, due - 1);
    drain_events(&p->a);
    assert_int_equal(p->a.n, 0);
    yamux_tick(p->a.y, due);
    drain_events(&p->a);
    assert_int_equal(last(&p->a)->type, YAMUX_END);
    assert_int_equal(last(&p->a)->err, QUDAG_ETIMEOUT);
    pair_free(p);
}

/* What a stream has gone through at b, before a frame comes. */
enum before {
    NEVER,    /* the name was not used */
    OPEN,     /* a opened it */
    HALF,     /* and sent FIN */
    ANSWERED, /* b sent FIN, too: gone */
    RESET,    /* a reset it */
    OURS,     /* b opened it */
    BEFORE_N,
};
/* What b makes of the frame. */
enum after {
    NOTHING, /* no event, nothing ends */
    EVENT,   /* an event of that type */
    ENDED,   /* the session ends with EPROTO */
};

static uint32_t stream_before(struct pair *p, enum before before)
{
    uint32_t id = 1;

    if (before == OURS) {
        assert_int_equal(yamux_open(p->b.y, 5, &id), QUDAG_OK);
        run(p);
        return id;
    }
    if (before >= OPEN) {
        frame(p, &p->b, UPDATE, SYN, 1, 0);
    }
    if (before == HALF || before == ANSWERED) {
        frame(p, &p->b, UPDATE, FIN, 1, 0);
    }
    if (before == ANSWERED) {
        yamux_fin(p->b.y, 1);
        run(p);
    }
    if (before == RESET) {
        frame(p, &p->b, UPDATE, RST, 1, 0);
    }
    return id;
}

static const struct {
    uint8_t type;
    uint16_t flags;
    uint32_t len;
    struct {
        enum after what;
        enum yamux_ev_type type;
    } in[BEFORE_N];
} in_every_state[] = {
    /*                 NEVER       OPEN        HALF        ANSWERED    RESET       OURS */
    {DATA, 0, 0, {{0, 0}, {0, 0}, {EVENT, YAMUX_RESET}, {0, 0}, {0, 0}, {0, 0}}},
    {DATA, 0, YAMUX_WINDOW, {{0, 0}, {0, 0}, {EVENT, YAMUX_RESET}, {0, 0}, {0, 0}, {0, 0}}},
    {DATA, 0, YAMUX_WINDOW + 1, {{0, 0}, {ENDED, 0}, {ENDED, 0}, {0, 0}, {0, 0}, {ENDED, 0}}},
    {DATA, 0, UINT32_MAX, {{ENDED, 0}, {ENDED, 0}, {ENDED, 0}, {ENDED, 0}, {ENDED, 0}, {ENDED, 0}}},
    {DATA,
     SYN,
     0,
     {{EVENT, YAMUX_STREAM},
      {ENDED, 0},
      {ENDED, 0},
      {EVENT, YAMUX_STREAM},
      {EVENT, YAMUX_STREAM},
      {ENDED, 0}}},
    {DATA, ACK, 0, {{0, 0}, {0, 0}, {EVENT, YAMUX_RESET}, {0, 0}, {0, 0}, {0, 0}}},
    {DATA,
     FIN,
     0,
     {{0, 0}, {EVENT, YAMUX_FIN}, {EVENT, YAMUX_RESET}, {0, 0}, {0, 0}, {EVENT, YAMUX_FIN}}},
    {DATA,
     RST,
     0,
     {{0, 0}, {EVENT, YAMUX_RESET}, {EVENT, YAMUX_RESET}, {0, 0}, {0, 0}, {EVENT, YAMUX_RESET}}},
    {UPDATE, 0, 100, {{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}}},
    {UPDATE, 0, UINT32_MAX, {{0, 0}, {ENDED, 0}, {ENDED, 0}, {0, 0}, {0, 0}, {ENDED, 0}}},
    {UPDATE,
     SYN,
     0,
     {{EVENT, YAMUX_STREAM},
      {ENDED, 0},
      {ENDED, 0},
      {EVENT, YAMUX_STREAM},
      {EVENT, YAMUX_STREAM},
      {ENDED, 0}}},
    {UPDATE,
     SYN | RST,
     0,
     {{0, 0}, {EVENT, YAMUX_RESET}, {EVENT, YAMUX_RESET}, {0, 0}, {0, 0}, {EVENT, YAMUX_RESET}}},
    {UPDATE, FIN, 0, {{0, 0}, {EVENT, YAMUX_FIN}, {0, 0}, {0, 0}, {0, 0}, {EVENT, YAMUX_FIN}}},
    {UPDATE,
     RST,
     9,
     {{0, 0}, {EVENT, YAMUX_RESET}, {EVENT, YAMUX_RESET}, {0, 0}, {0, 0}, {EVENT, YAMUX_RESET}}},
};

static void every_frame_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(in_every_state); i++) {
        for (int before = 0; before < BEFORE_N; before++) {
            struct pair *p = pair_new(&(struct yamux_config){.window_max = 1u << 20});
            run(p);
            uint32_t id = stream_before(p, (enum before)before);
            p->b.n = 0;
            frame(p, &p->b, in_every_state[i].type, in_every_state[i].flags, id,
                  in_every_state[i].len);
            if (in_every_state[i].in[before].what == NOTHING) {
                assert_int_equal(p->b.n, 0);
            } else if (in_every_state[i].in[before].what == EVENT) {
                assert_int_equal(p->b.n, 1);
                assert_int_equal(last(&p->b)->type, in_every_state[i].in[before].type);
            } else {
                assert_int_equal(last(&p->b)->type, YAMUX_END);
                assert_int_equal(last(&p->b)->err, QUDAG_EPROTO);
            }
            pair_free(p);
        }
    }
}

static void frames_that_break_the_session(void **state)
{
    (void)state;
    static const struct {
        uint8_t head[YAMUX_HEADER];
    } rows[] = {
        {{1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}}, /* another version */
        {{0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}}, /* another type */
        {{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}}, /* the session as a stream */
        {{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}}, /* likewise */
        {{0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0}}, /* our parity */
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair *p = pair_new(&(struct yamux_config){0});
        run(p);
        raw(p, &p->b, rows[i].head, YAMUX_HEADER);
        assert_int_equal(last(&p->b)->type, YAMUX_END);
        assert_int_equal(last(&p->b)->err, QUDAG_EPROTO);
        assert_non_null(last(&p->b)->text);
        size_t n = p->b.n;
        frame(p, &p->b, UPDATE, SYN, 1, 0);
        assert_int_equal(p->b.n, n);
        run(p);
        assert_int_equal(last(&p->a)->type, YAMUX_GO_AWAY);
        assert_int_equal(last(&p->a)->code, YAMUX_PROTOCOL);
        pair_free(p);
    }
}

/* The window is what all frames together may bring, not each of them. */
static void a_window_is_used_up(void **state)
{
    (void)state;
    static const uint8_t bytes[YAMUX_WINDOW];
    struct pair *p = pair_new(&(struct yamux_config){0});

    run(p);
    frame(p, &p->b, DATA, SYN, 1, YAMUX_WINDOW - 1);
    raw(p, &p->b, bytes, YAMUX_WINDOW - 1);
    frame(p, &p->b, DATA, 0, 1, 1);
    raw(p, &p->b, bytes, 1);
    assert_int_not_equal(last(&p->b)->type, YAMUX_END);
    assert_int_equal(p->b.bytes, YAMUX_WINDOW);
    frame(p, &p->b, DATA, 0, 1, 1);
    assert_int_equal(last(&p->b)->type, YAMUX_END);
    assert_int_equal(last(&p->b)->err, QUDAG_EPROTO);
    pair_free(p);
}

static void an_answer_to_another_ping_is_none(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){0});

    frame(p, &p->b, PING, ACK, 0, 0x1234);
    assert_int_equal(yamux_rtt(p->b.y), 0);
    run(p);
    assert_int_not_equal(yamux_rtt(p->b.y), 0);
    pair_free(p);
}

static void floods_end_the_session_and_take_no_memory(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint16_t flags;
        uint32_t len;
        bool new_id;
    } rows[] = {
        {PING, SYN, 5, false}, {PING, ACK, 5, false},        {GO_AWAY, 0, 0, false},
        {DATA, 0, 0, false},   {UPDATE, 0, 0, false},        {UPDATE, RST, 0, true},
        {DATA, FIN, 0, true},  {UPDATE, SYN | RST, 0, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair *p = pair_new(&(struct yamux_config){0});
        run(p);
        frame(p, &p->b, UPDATE, SYN, 1, 0);
        size_t used = p->mem.used;
        uint32_t n = 0;
        while (n < 3 * YAMUX_EMPTY_BURST && (p->b.n == 0 || last(&p->b)->type != YAMUX_END)) {
            p->b.n = 0;
            frame(p, &p->b, rows[i].type, rows[i].flags,
                  rows[i].new_id        ? 3 + 2 * n
                  : rows[i].type < PING ? 1
                                        : 0,
                  rows[i].len);
            n++;
            assert_true(p->mem.used <= used + 2 * YAMUX_CONTROL_MAX);
        }
        assert_true(n <= YAMUX_EMPTY_BURST + 2);
        assert_int_equal(last(&p->b)->err, QUDAG_ELIMIT);
        pair_free(p);
    }
}

/* What is on its way to a stream that we reset costs its sender nothing, up to a number. */
static void late_frames_have_a_number(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){0});

    frame(p, &p->b, UPDATE, SYN, 1, 0);
    yamux_reset(p->b.y, 1, 0);
    for (int i = 0; i < YAMUX_EMPTY_BURST + YAMUX_LATE_DROPPED; i++) {
        frame(p, &p->b, UPDATE, 0, 1, 1);
        assert_int_equal(count(&p->b, YAMUX_END, 0), 0);
    }
    frame(p, &p->b, UPDATE, 0, 1, 1);
    assert_int_equal(last(&p->b)->type, YAMUX_END);
    assert_int_equal(last(&p->b)->err, QUDAG_ELIMIT);
    pair_free(p);
}

/* However many streams we reset, the allowance for what was on its way has an end. */
static void late_frames_of_all_streams_have_a_number(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t late = 0;

    for (uint32_t id = 1; id < 2 * 400; id += 2) {
        frame(p, &p->b, UPDATE, SYN, id, 0);
        yamux_reset(p->b.y, id, 0);
        run(p);
        p->now += NS_PER_S;
        p->b.n = p->a.n = 0;
    }
    while (count(&p->b, YAMUX_END, 0) == 0 && late < 2 * YAMUX_LATE_MAX) {
        frame(p, &p->b, UPDATE, 0, 1, 1);
        late++;
    }
    assert_in_range(late, YAMUX_LATE_MAX, YAMUX_LATE_MAX + YAMUX_EMPTY_BURST + 1);
    pair_free(p);
}

static void what_a_stream_that_is_gone_had_queued_is_none(void **state)
{
    (void)state;
    static const uint8_t bytes[YAMUX_WINDOW + 1000];
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t id = 0;

    p->b.consume = false;
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    run(p);
    assert_int_equal(yamux_queued(p->a.y), 1000);
    yamux_reset(p->a.y, id, 0);
    assert_int_equal(yamux_queued(p->a.y), 0);
    pair_free(p);
}

/* Also where frames are taken from the queue itself. */
static void lent_frames_end_with_the_window(void **state)
{
    (void)state;
    static const uint8_t bytes[YAMUX_WINDOW + 50000];
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t id = 0;

    p->lend = true;
    p->b.consume = false;
    assert_int_equal(yamux_open(p->a.y, 1, &id), QUDAG_OK);
    run(p);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, 5000}), QUDAG_OK);
    run(p);
    assert_int_equal(yamux_write(p->a.y, id, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    run(p);
    assert_int_equal(p->b.bytes, YAMUX_WINDOW);
    assert_int_equal(yamux_queued(p->a.y), sizeof(bytes) + 5000 - YAMUX_WINDOW);
    assert_int_equal(count(&p->b, YAMUX_END, 0), 0);
    pair_free(p);
}

static void a_probe_is_answered_in_time(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){.ping_timeout_ns = 30 * NS_PER_S});

    run(p);
    tstamp asked = p->now;
    yamux_probe(p->a.y, 2 * NS_PER_S, asked);
    assert_int_equal(yamux_deadline(p->a.y), asked + 2 * NS_PER_S);
    run(p);
    assert_true(yamux_deadline(p->a.y) > asked + 2 * NS_PER_S);
    asked = yamux_deadline(p->a.y); /* a ping of its own, and then one that is asked for */
    yamux_tick(p->a.y, asked);
    assert_int_equal(yamux_deadline(p->a.y), asked + 30 * NS_PER_S);
    yamux_probe(p->a.y, 2 * NS_PER_S, asked + 1);
    yamux_probe(p->a.y, 20 * NS_PER_S, asked + 2);
    assert_int_equal(yamux_deadline(p->a.y), asked + 1 + 2 * NS_PER_S);
    yamux_tick(p->a.y, asked + 1 + 2 * NS_PER_S);
    drain_events(&p->a);
    assert_int_equal(last(&p->a)->err, QUDAG_ETIMEOUT);
    yamux_probe(p->a.y, NS_PER_S, p->now); /* nothing any more */
    assert_int_equal(yamux_deadline(p->a.y), TSTAMP_NEVER);
    pair_free(p);
}

static void streams_opened_and_reset_at_once_end_the_session(void **state)
{
    (void)state;
    struct pair *p = pair_new(&(struct yamux_config){0});
    uint32_t n = 0;

    run(p);
    while (n < 3 * YAMUX_EMPTY_BURST && (p->b.n == 0 || last(&p->b)->type != YAMUX_END)) {
        p->b.n = 0;
        frame(p, &p->b, UPDATE, SYN, 1 + 2 * n, 0);
        frame(p, &p->b, UPDATE, RST, 1 + 2 * n, 0);
        n++;
    }
    assert_true(n <= YAMUX_EMPTY_BURST + 2);
    pair_free(p);
}

/* So many frames in a millisecond, in turn to |streams| streams, as one read brings them. */
static void millisecond(struct pair *p, uint8_t type, uint16_t flags, uint32_t len, uint32_t n,
                        uint32_t streams)
{
    static uint8_t bytes[256 * (YAMUX_HEADER + 100)], out[20000];
    size_t size = YAMUX_HEADER + (type == DATA ? len : 0);

    assert_true(n * size <= sizeof(bytes));
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *b = bytes + i * size;
        memset(b, 0, size);
        b[1] = type;
        b[3] = (uint8_t)flags;
        b[6] = (uint8_t)((1 + 2 * (i % streams)) >> 8);
        b[7] = (uint8_t)(1 + 2 * (i % streams));
        b[11] = (uint8_t)len;
    }
    p->now += NS_PER_MS;
    raw(p, &p->b, bytes, n * size);
    while (yamux_output(p->b.y, out, sizeof(out)) > 0) { /* or there would be no window any more */
    }
}

static struct pair *with_streams(uint32_t n)
{
    struct pair *p = pair_new(&(struct yamux_config){0});

    run(p);
    for (uint32_t i = 0; i < n; i++) {
        frame(p, &p->b, UPDATE, SYN, 1 + 2 * i, 0);
    }
    p->b.n = 0;
    return p;
}

/* None of them is nothing, and each is work. */
static void frames_that_carry_little_have_a_number(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint16_t flags;
        uint32_t len;
    } rows[] = {{UPDATE, 0, 1}, {UPDATE, ACK, 0}, {UPDATE, FIN, 0}, {DATA, 0, 1}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair *p = with_streams(3);
        uint32_t ms = 0;
        while (ms < 10000 && count(&p->b, YAMUX_END, 0) == 0) {
            millisecond(p, rows[i].type, rows[i].flags, rows[i].len, 200, 3);
            ms++;
        }
        assert_in_range(ms, 3000, 6000);
        assert_int_equal(last(&p->b)->err, QUDAG_ELIMIT);
        pair_free(p);
    }
}

/* Small messages, each as a frame of its own with a window update now and then; and many that pay for themselves. */
static void small_messages_are_no_burden(void **state)
{
    (void)state;
    struct pair *p = with_streams(256);

    for (int ms = 0; ms < 10000; ms++) {
        millisecond(p, DATA, 0, 1, 50, 50);
        millisecond(p, UPDATE, 0, 20, 30, 30);
        millisecond(p, DATA, 0, 84, 256, 256);
        millisecond(p, DATA, 0, 84, 256, 256);
    }
    assert_int_equal(count(&p->b, YAMUX_END, 0), 0);
    pair_free(p);
}

/* A reader that gives its window back in small pieces. */
static void what_is_sent_pays_too(void **state)
{
    (void)state;
    static const uint8_t bytes[16384];
    struct pair *p = with_streams(1);

    for (int ms = 0; ms < 10000; ms++) {
        assert_int_equal(yamux_write(p->b.y, 1, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
        millisecond(p, UPDATE, 0, 82, 200, 1);
        p->b.n = 0; /* YAMUX_SENT */
    }
    assert_int_equal(yamux_streams(p->b.y), 1);
    pair_free(p);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const uint8_t bytes[30000];
    uint64_t at = 0;
    bool failed;

    do {
        struct pair *p = pair_new(&(struct yamux_config){0});
        uint64_t refused = p->mem.refused;
        uint32_t id = 0, other = 0;
        p->mem.fail_at = ++at;
        if (yamux_open(p->a.y, 1, &id) == QUDAG_OK &&
            yamux_write(p->a.y, id, (struct slice){bytes, sizeof(bytes)}) == QUDAG_OK) {
            yamux_fin(p->a.y, id);
        }
        if (yamux_open(p->b.y, 1, &other) == QUDAG_OK) {
            yamux_fin(p->b.y, other);
        }
        for (int i = 0; i < 100; i++) {
            uint8_t buf[20000];
            p->now += NS_PER_MS;
            size_t n = yamux_output(p->a.y, buf, sizeof(buf));
            yamux_receive(p->b.y, (struct slice){buf, n}, p->now);
            drain_events(&p->b);
            n = yamux_output(p->b.y, buf, sizeof(buf));
            yamux_receive(p->a.y, (struct slice){buf, n}, p->now);
            drain_events(&p->a);
        }
        failed = p->mem.refused > refused;
        p->mem.fail_at = 0;
        pair_free(p);
    } while (failed);
    assert_true(at > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_carries_bytes_both_ways_in_any_split),
        cmocka_unit_test(a_reader_that_waits_stops_its_own_stream_only),
        cmocka_unit_test(streams_take_turns),
        cmocka_unit_test(a_window_grows_for_a_fast_reader_as_far_as_all_may),
        cmocka_unit_test(a_window_is_used_up),
        cmocka_unit_test(an_answer_to_another_ping_is_none),
        cmocka_unit_test(the_stream_that_holds_most_gives_way),
        cmocka_unit_test(streams_are_limited_and_refused_one_by_one),
        cmocka_unit_test(only_so_many_streams_wait_for_an_answer),
        cmocka_unit_test(the_end_is_in_a_frame_of_its_own),
        cmocka_unit_test(a_stream_that_was_never_sent_ends_in_silence),
        cmocka_unit_test(nothing_is_written_behind_fin),
        cmocka_unit_test(a_closed_session_says_so_and_nothing_else),
        cmocka_unit_test(frames_taken_where_they_lie_are_the_same),
        cmocka_unit_test(late_frames_have_a_number),
        cmocka_unit_test(late_frames_of_all_streams_have_a_number),
        cmocka_unit_test(what_a_stream_that_is_gone_had_queued_is_none),
        cmocka_unit_test(lent_frames_end_with_the_window),
        cmocka_unit_test(a_probe_is_answered_in_time),
        cmocka_unit_test(a_peer_that_is_silent_is_pinged_and_given_up),
        cmocka_unit_test(every_frame_in_every_state),
        cmocka_unit_test(frames_that_break_the_session),
        cmocka_unit_test(floods_end_the_session_and_take_no_memory),
        cmocka_unit_test(streams_opened_and_reset_at_once_end_the_session),
        cmocka_unit_test(frames_that_carry_little_have_a_number),
        cmocka_unit_test(small_messages_are_no_burden),
        cmocka_unit_test(what_is_sent_pays_too),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
