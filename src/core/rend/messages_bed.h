/*
 * messages_bed.h - each message of both protocols, in each way it can arrive, on one stream: whole, cut, repeated, with
 * FIN too early, with more behind its end.  For tests only; include cmocka.h before.
 *
 * A test brings its core to a start, plays a message in a way there, and says in one letter where the stream stands
 * then: a letter of its own for each state, 'x' reset, 'd' at an end without a reset, '-' nothing: it was gone before.
 */
#ifndef QUDAG_SRC_CORE_REND_MESSAGES_BED_H
#define QUDAG_SRC_CORE_REND_MESSAGES_BED_H

#include "core/rend/testkit.h"

enum message {
    M_ESTABLISH,
    M_INTRODUCE1,
    M_INTRODUCE2, /* a handshake */
    M_WAIT,
    M_WAIT_AGAIN, /* with the cookie of somebody who waits */
    M_MEET,       /* with a cookie of nobody */
    M_MEET_THERE, /* with the cookie of somebody who waits */
    M_CREATED,
    M_ZERO,  /* KEEP, and status 0 */
    M_ONE,   /* BUSY, and status 1 */
    M_TWO,   /* status 2 */
    M_THREE, /* status 3 */
    M_NINE,  /* no status, no request */
    M_NOTHING,
    MESSAGES
};

enum way {
    WAY_CUT,       /* all but the last byte */
    WAY_CUT_FIN,   /* and FIN */
    WAY_WHOLE,     /* in one piece */
    WAY_WHOLE_FIN, /* and FIN */
    WAY_BYTES,     /* each byte by itself */
    WAY_TWICE,     /* two in one piece */
    WAY_APART,     /* two, one after the other */
    WAY_AFTER_FIN, /* with FIN, and again */
    WAYS
};

/* A table of what is to come of it: a letter for each way; a row that is missing is NULL, and fails. */
typedef const char *message_row[MESSAGES];

/* Each request that the wire format knows is a message here: a new one does not compile. */
static inline enum message message_of_request(enum rend_request which)
{
    switch (which) {
    case REND_ESTABLISH:
        return M_ESTABLISH;
    case REND_INTRODUCE1:
        return M_INTRODUCE1;
    case REND_WAIT:
        return M_WAIT;
    case REND_MEET:
        return M_MEET;
    case REND_NO_REQUEST:
        break;
    }
    return M_NINE;
}

/* What the messages hold. */
struct message_parts {
    const uint8_t *establish; /* REND_ESTABLISH_LEN bytes, signed */
    const uint8_t *key;       /* for INTRODUCE1 */
    uint8_t cookie[REND_COOKIE_LEN];
    const uint8_t *there; /* a cookie that waits */
    uint8_t filler[REND_HS_LEN];
};

static inline void message_parts_init(struct message_parts *p)
{
    static const uint8_t none[REND_ESTABLISH_LEN] = {1};

    memset(p, 0, sizeof *p);
    memset(p->cookie, 0xc0, sizeof p->cookie);
    memset(p->filler, 0x77, sizeof p->filler); /* no request, no status begins so */
    p->establish = none;
    p->key = p->cookie;
    p->there = p->cookie;
}

static inline size_t message_bytes(const struct message_parts *p, enum message m,
                                   uint8_t out[REND_INTRODUCE1_LEN])
{
    struct wr w = wr_init(out, REND_INTRODUCE1_LEN);
    const struct rend_introduce1 i1 = {.intro_key = p->key, .handshake = p->filler};
    const struct rend_meet meet = {.cookie = p->cookie, .created = p->filler},
                           there = {.cookie = p->there, .created = p->filler};

    switch (m) {
    case M_ESTABLISH:
        wr_bytes(&w, p->establish, REND_ESTABLISH_LEN);
        break;
    case M_INTRODUCE1:
        rend_introduce1_put(&w, &i1);
        break;
    case M_INTRODUCE2:
        wr_bytes(&w, p->filler, REND_HS_LEN);
        break;
    case M_WAIT:
    case M_WAIT_AGAIN:
        rend_wait_put(&w, m == M_WAIT ? p->cookie : p->there);
        break;
    case M_MEET:
    case M_MEET_THERE:
        rend_meet_put(&w, m == M_MEET ? &meet : &there);
        break;
    case M_CREATED:
        wr_bytes(&w, p->filler, REND_CREATED_LEN);
        break;
    case M_ZERO:
    case M_ONE:
    case M_TWO:
    case M_THREE:
        wr_u8(&w, (uint8_t)(m - M_ZERO));
        break;
    case M_NINE:
        wr_u8(&w, 9);
        break;
    case M_NOTHING:
    case MESSAGES:
        break;
    }
    assert_true(wr_ok(&w));
    return wr_done(&w).len;
}

/* What came out while a message was played. */
struct message_outcome {
    unsigned resets, fins; /* of the stream */
    unsigned others;       /* resets and FINs of other streams */
    unsigned passed;       /* bytes written to other streams, in handshakes */
    unsigned up[8];        /* reports, by kind */
    unsigned after_reset;  /* acts on the stream after its reset */
    size_t bytes_in;       /* before FIN */
};

static inline void message_count(struct bed *b, struct ref strm, struct message_outcome *o)
{
    for (size_t i = 0; i < b->acts.n; i++) {
        const struct act *a = &b->act_v[i];
        bool ours = a->type != ACT_UP && ref_eq(a->strm, strm);
        o->after_reset += ours && o->resets > 0;
        o->resets += ours && a->type == ACT_RESET;
        o->fins += ours && a->type == ACT_FIN;
        o->others += !ours && (a->type == ACT_RESET || a->type == ACT_FIN);
        o->passed += !ours && a->type == ACT_WRITE && a->data.len == REND_HS_LEN;
        if (a->type == ACT_UP) {
            assert_true(a->kind < ARRAY_LEN(o->up));
            o->up[a->kind]++;
        }
    }
    acts_clear(b);
}

static inline void message_piece(struct bed *b, void *core, struct ref strm, const uint8_t *p,
                                 size_t len, struct message_outcome *o)
{
    if (len > 0) { /* no transport reports that nothing came */
        data_in(b, core, strm, p, len);
        o->bytes_in += len;
        message_count(b, strm, o);
    }
}

static inline void message_fin(struct bed *b, void *core, struct ref strm,
                               struct message_outcome *o)
{
    event_in(b, core, EV_FIN, strm);
    message_count(b, strm, o);
}

/* Plays |m| on |strm| of |core|. */
static inline struct message_outcome message_play(struct bed *b, void *core, struct ref strm,
                                                  const struct message_parts *p, enum message m,
                                                  enum way way)
{
    static uint8_t buf[2 * REND_INTRODUCE1_LEN];
    struct message_outcome o = {0};
    size_t len = message_bytes(p, m, buf);
    size_t cut = len > 0 ? len - 1 : 0;

    acts_clear(b);
    switch (way) {
    case WAY_CUT:
    case WAY_CUT_FIN:
        message_piece(b, core, strm, buf, cut, &o);
        break;
    case WAY_WHOLE:
    case WAY_WHOLE_FIN:
    case WAY_AFTER_FIN:
        message_piece(b, core, strm, buf, len, &o);
        break;
    case WAY_BYTES:
        for (size_t i = 0; i < len; i++) {
            message_piece(b, core, strm, buf + i, 1, &o);
        }
        break;
    case WAY_TWICE:
        memcpy(buf + len, buf, len);
        message_piece(b, core, strm, buf, 2 * len, &o);
        break;
    case WAY_APART:
        message_piece(b, core, strm, buf, len, &o);
        message_piece(b, core, strm, buf, len, &o);
        break;
    case WAYS:
        break;
    }
    if (way == WAY_CUT_FIN || way == WAY_WHOLE_FIN || way == WAY_AFTER_FIN) {
        message_fin(b, core, strm, &o);
    }
    if (way == WAY_AFTER_FIN) {
        size_t before = o.bytes_in;
        message_piece(b, core, strm, buf, len, &o);
        o.bytes_in = before;
    }
    assert_int_equal(o.after_reset, 0);
    assert_true(o.resets <= 1);
    return o;
}

#endif
