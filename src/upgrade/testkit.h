/*
 * testkit.h - two sides and the byte streams between them, in memory, time as a variable.  For tests only, behind
 * cmocka.h.
 *
 *   up_run() moves what each has to the other, |piece| bytes at once, hands events to |app|, and then moves time on.
 */
#ifndef QUDAG_SRC_UPGRADE_TESTKIT_H
#define QUDAG_SRC_UPGRADE_TESTKIT_H

#include "upgrade/upgrade_int.h"

#include <stdlib.h>
#include <string.h>

#define UP_WALL 1800000000
#define UP_START (1000 * NS_PER_S)
#define UP_CARRY 65536

struct up_pair;

struct up_side {
    struct up_pair *pair;
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct peer_id peer;
    struct sec *sec;
    struct upgrade *u;
    struct ref link;
    bool begun, ended; /* ended: the carrier of this side closes */
    /* what was seen */
    unsigned proven, ups, downs, streams, fins, resets, streams_ok, answers;
    struct link_info info; /* at LINK_UP */
    struct link_ev down;
    struct peer_id found;
    bool has_found;
    int64_t sid; /* of the last LINK_STREAM */
    qudag_err reset_err;
    uint64_t bytes, sent, carried;
    /* the test's own reaction */
    void (*app)(struct up_side *s, const struct link_ev *ev);
    void *ctx;
    bool hold; /* consumes nothing by itself */
};

struct up_pair {
    tstamp now;
    size_t piece;
    struct up_side a, b; /* a dials */
    /* May change what |from| sends, or have it lost by returning false. */
    bool (*pass)(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len);
    void *ctx;
    uint8_t buf[UP_CARRY];
};

struct up_opt {
    enum pq_policy pq;
    uint16_t level;
    struct upgrade_config cfg; /* times, limits, accounts */
};

static inline struct up_side *up_other(struct up_side *s)
{
    return s == &s->pair->a ? &s->pair->b : &s->pair->a;
}

static inline void up_make_side(struct up_pair *p, struct up_side *s, uint8_t seed,
                                const struct up_opt *o)
{
    struct upgrade_config cfg = o->cfg;
    uint8_t bytes[32] = {seed};

    memset(s, 0, sizeof(*s));
    s->pair = p;
    mem_init(&s->mem, NULL, 0);
    rng_stream_init(&s->stream, bytes);
    s->rng = rng_of_stream(&s->stream);
    assert_int_equal(identity_generate(&s->id, &s->rng), QUDAG_OK);
    peer_id_from_ed25519(&s->peer, s->id.ed_pk);
    const struct sec_config sec = {.mem = &s->mem,
                                   .rng = &s->rng,
                                   .identity = &s->id,
                                   .pq = o->pq,
                                   .level = o->level,
                                   .clock = {.base = UP_WALL, .at = UP_START}};
    assert_int_equal(sec_new(&s->sec, &sec), QUDAG_OK);
    cfg.mem = &s->mem;
    cfg.rng = s->rng;
    cfg.sec = s->sec;
    cfg.identity = &s->id;
    cfg.pq = o->pq;
    assert_int_equal(upgrade_new(&s->u, &cfg, p->now), QUDAG_OK);
}

static inline struct up_pair *up_new(const struct up_opt *a, const struct up_opt *b)
{
    struct up_pair *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->now = UP_START;
    p->piece = UP_CARRY;
    up_make_side(p, &p->a, 1, a);
    up_make_side(p, &p->b, 2, b);
    return p;
}

static inline void up_unmake_side(struct up_side *s)
{
    upgrade_free(s->u);
    sec_free(s->sec);
    identity_fini(&s->id);
    assert_int_equal(s->mem.used, 0);
}

static inline void up_free(struct up_pair *p)
{
    up_unmake_side(&p->a);
    up_unmake_side(&p->b);
    free(p);
}

static inline qudag_err up_begin(struct up_side *s, bool dialer,
                                 const struct transport_target *target)
{
    struct upgrade_stream st = {.cookie = s == &s->pair->a ? 11 : 22,
                                .dialer = dialer,
                                .props = target == NULL ? LINK_INBOUND : 0,
                                .net = 5,
                                .target = target};

    qudag_err err = upgrade_begin(s->u, &st, s->pair->now, &s->link);
    s->begun = err == QUDAG_OK;
    s->ended = false;
    return err;
}

/* a dials b, expecting b's peer id. */
static inline void up_dial(struct up_pair *p)
{
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none, .peer = &p->b.peer};

    assert_int_equal(up_begin(&p->a, true, &t), QUDAG_OK);
    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
}

static inline void up_note(struct up_side *s, const struct link_ev *ev)
{
    switch (ev->type) {
    case LINK_UP:
        s->ups++;
        s->link = ev->link;
        assert_int_equal(upgrade_info(s->u, ev->link, &s->info), QUDAG_OK);
        break;
    case LINK_DOWN:
        s->downs++;
        s->down = *ev;
        s->has_found = ev->found != NULL;
        if (s->has_found) {
            s->found = *ev->found;
        }
        break;
    case LINK_STREAM:
        s->streams++;
        s->sid = ev->sid;
        break;
    case LINK_DATA:
        s->bytes += ev->data.len;
        if (!s->hold) {
            upgrade_link_ops.consume(s->u, ev->link, ev->sid, ev->data.len);
        }
        break;
    case LINK_FIN:
        s->fins++;
        break;
    case LINK_RESET:
        s->resets++;
        s->reset_err = ev->err;
        break;
    case LINK_SENT:
        s->sent += ev->n;
        break;
    case LINK_STREAMS_OK:
        s->streams_ok++;
        break;
    case LINK_ANSWERED:
        s->answers++;
        break;
    case LINK_PROVEN:
        s->proven += s->ups == 0 ? 1 : 0;
        break;
    case LINK_QUIET:
    case LINK_HEARD:
        break;
    }
}

static inline bool up_events(struct up_side *s)
{
    struct link_ev ev;
    bool any = false;

    while (upgrade_next_event(s->u, &ev)) {
        any = true;
        up_note(s, &ev);
        if (s->app != NULL) {
            s->app(s, &ev);
        }
    }
    return any;
}

/* Hands |len| bytes over, in pieces. */
static inline void up_deliver(struct up_side *to, const uint8_t *bytes, size_t len)
{
    size_t piece = to->pair->piece;

    for (size_t i = 0; i < len; i += piece) {
        size_t n = len - i < piece ? len - i : piece;
        upgrade_receive(to->u, to->link, (struct slice){bytes + i, n}, to->pair->now);
        (void)up_events(to);
    }
}

/* What the carrier of |s| does now; true: something moved. */
static inline bool up_carry(struct up_side *s)
{
    struct up_pair *p = s->pair;
    struct up_side *to = up_other(s);
    uint64_t cookie;
    struct ref link;
    bool ended, any = false;

    while (upgrade_next_work(s->u, &link, &cookie, &ended)) {
        any = true;
        assert_int_equal(cookie, s == &p->a ? 11 : 22);
        for (;;) {
            size_t n = upgrade_output(s->u, link, p->buf, sizeof(p->buf), p->now);
            size_t sent = n;
            if (n == 0) {
                break;
            }
            s->carried += n;
            if ((p->pass == NULL || p->pass(p, s, p->buf, &sent)) && to->begun && !to->ended) {
                up_deliver(to, p->buf, sent);
            }
        }
        if (ended) {
            s->ended = true;
            if (to->begun && !to->ended) {
                upgrade_lost(to->u, to->link, QUDAG_OK, p->now);
            }
        }
    }
    return any;
}

/* Until nothing moves. */
static inline void up_settle(struct up_pair *p)
{
    for (bool any = true; any;) {
        any = up_carry(&p->a);
        any = up_carry(&p->b) || any;
        any = up_events(&p->a) || any;
        any = up_events(&p->b) || any;
    }
}

/* Until |until|, deadline by deadline. */
static inline void up_run(struct up_pair *p, tstamp until)
{
    up_settle(p);
    for (;;) {
        tstamp next = tstamp_min(upgrade_deadline(p->a.u), upgrade_deadline(p->b.u));
        if (next > until) {
            break;
        }
        p->now = next > p->now ? next : p->now;
        upgrade_tick(p->a.u, p->now);
        upgrade_tick(p->b.u, p->now);
        up_settle(p);
    }
    p->now = until;
}

static inline qudag_err up_write(struct up_side *s, int64_t sid, const void *p, size_t len)
{
    return upgrade_link_ops.write(s->u, s->link, sid, (struct slice){p, len});
}

static inline int64_t up_open(struct up_side *s)
{
    int64_t sid = -1;

    assert_int_equal(upgrade_link_ops.open(s->u, s->link, 7, "x", &sid), QUDAG_OK);
    return sid;
}

#endif
