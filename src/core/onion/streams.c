/*
 * streams.c - streams over a circuit.
 *
 *   client: onion_mux_open ─▶ BEGIN sent ─▶ CONNECTED        each direction: open ─FIN─▶ done
 *   end:    BEGIN received, CONNECTED sent             RESET by either side: gone at once
 *
 * Ids grow and are never used again, so a message for an id below the highest that is not in the
 * table belongs to a stream that has just gone and is dropped; one above it breaks the protocol.  How
 * much can have been under way to a stream when it went is known (late.h); more means nothing.
 *
 * Sending order within a cell: SENDMEs, control messages, then data.  A stream that becomes ready
 * with an empty past goes to the front of |ready|, one that was just served to the back: a keystroke
 * overtakes a bulk transfer, and bulk transfers take turns.
 */
#include "core/onion/streams.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "core/onion/emit.h"
#include "core/onion/rules.h"

#include <string.h>

#define BLOCK_MIN 2048u

struct block {
    struct block *next;
    size_t off, len, cap;
    const uint8_t *base; /* |b|, or what |kept| keeps */
    struct buf *kept;    /* NULL: the bytes are in |b| */
    uint8_t b[];
};

enum {
    PENDING_BEGIN = 1,
    PENDING_CONNECTED = 2,
    PENDING_FIN = 4,
    PENDING_RESET = 8,
    PENDING_CREDIT = 16,
};

struct onion_ostream {
    struct list control, ready;
    struct block *head, *tail; /* data waiting to become cells */
    size_t queued;             /* bytes in them */
    size_t sent;               /* bytes that left since the last LINK_SENT */
    uint64_t user;
    uint16_t id;
    uint8_t pending; /* PENDING_ bits */
    uint8_t reason;  /* of the RESET to be sent; 0: none */
    bool connected;  /* client: CONNECTED arrived */
    bool fin_wanted, fin_sent, fin_received;
    uint32_t tx_credit; /* bytes we may send */
    uint32_t rx_credit; /* bytes the peer may send */
    uint32_t unread;    /* bytes delivered and not consumed */
    uint32_t read;      /* bytes consumed and not announced */
    uint8_t proto_len;  /* BEGIN */
    char proto[ONION_RELAY_PROTO_MAX];
};

static void ring_push(struct onion_tag_ring *r, const uint8_t tag[CGO_TAG_LEN])
{
    ASSERT(r->n < ONION_MUX_STEPS);
    memcpy(r->tag[(r->head + r->n) % ONION_MUX_STEPS], tag, CGO_TAG_LEN);
    r->n++;
}

static const uint8_t *ring_pop(struct onion_tag_ring *r)
{
    ASSERT(r->n > 0);
    const uint8_t *tag = r->tag[r->head];
    r->head = (r->head + 1) % ONION_MUX_STEPS;
    r->n--;
    return tag;
}

/* ---- the table ---- */

qudag_err onion_mux_new(struct onion_mux **out, struct mem *mem, struct ref circuit, bool client,
                        uint32_t streams_max)
{
    struct onion_mux *m = mem_alloc(mem, sizeof *m);

    if (m == NULL) {
        return QUDAG_ENOMEM;
    }
    m->mem = mem;
    m->circuit = circuit;
    m->client = client;
    m->max = streams_max;
    m->window = ONION_MUX_WINDOW;
    m->next_id = 1;
    list_init(&m->control);
    list_init(&m->ready);
    *out = m;
    return QUDAG_OK;
}

static void block_free(struct onion_mux *m, struct block *b)
{
    buf_drop(b->kept);
    mem_free_wiped(m->mem, b);
}

static void drop_queue(struct onion_mux *m, struct onion_ostream *s)
{
    while (s->head != NULL) {
        struct block *b = s->head;
        s->head = b->next;
        block_free(m, b);
    }
    s->tail = NULL;
    m->queued -= s->queued;
    s->queued = 0;
}

void onion_mux_let_go(struct onion_mux *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        drop_queue(m, m->by[i]);
    }
}

void onion_mux_free(struct onion_mux *m)
{
    if (m == NULL) {
        return;
    }
    for (uint32_t i = 0; i < m->n; i++) {
        drop_queue(m, m->by[i]);
        mem_free_wiped(m->mem, m->by[i]);
    }
    mem_free(m->mem, m->by);
    mem_free(m->mem, m->ids);
    mem_free_wiped(m->mem, m);
}

static struct onion_ostream *find(const struct onion_mux *m, int64_t id)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->ids[i] == id) {
            return m->by[i];
        }
    }
    return NULL;
}

/* Most circuits have a stream or two. */
static bool grow(struct onion_mux *m)
{
    uint32_t cap = m->cap == 0 ? 4 : m->cap * 2;

    cap = cap < m->max ? cap : m->max;
    uint16_t *ids = mem_resize_n(m->mem, m->ids, cap, sizeof *ids);
    if (ids == NULL) {
        return false;
    }
    m->ids = ids;
    struct onion_ostream **by = mem_resize_n(m->mem, m->by, cap, sizeof *by);
    if (by == NULL) {
        return false;
    }
    m->by = by;
    m->cap = cap;
    return true;
}

static qudag_err add(struct onion_mux *m, uint16_t id, uint64_t user, struct onion_ostream **out)
{
    if (m->n >= m->max) {
        return QUDAG_ELIMIT;
    }
    if (m->n == m->cap && !grow(m)) {
        return QUDAG_ENOMEM;
    }
    struct onion_ostream *s = mem_alloc(m->mem, sizeof *s);
    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    s->id = id;
    s->user = user;
    s->tx_credit = ONION_STREAM_WINDOW;
    s->rx_credit = ONION_STREAM_WINDOW;
    list_init(&s->control);
    list_init(&s->ready);
    m->ids[m->n] = id;
    m->by[m->n] = s;
    m->n++;
    *out = s;
    return QUDAG_OK;
}

static void drop(struct onion_mux *m, struct onion_ostream *s)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->by[i] == s) {
            m->n--;
            m->by[i] = m->by[m->n];
            m->ids[i] = m->ids[m->n];
            break;
        }
    }
    list_del(&s->control);
    list_del(&s->ready);
    drop_queue(m, s);
    mem_free_wiped(m->mem, s);
}

static void expect(struct onion_mux *m, const struct onion_late *more)
{
    onion_late_expect(&m->late, more, ONION_MUX_WINDOW - m->unanswered);
}

/* |s| goes, and the other side does not know yet: what it may have sent before it does. */
static void expect_late(struct onion_mux *m, const struct onion_ostream *s)
{
    struct onion_late more = {.credit = ONION_STREAM_WINDOW - s->tx_credit,
                              .control = 1}; /* RESET */

    if (!s->fin_received) {
        more.data = s->rx_credit;
        more.control += m->client && !s->connected ? 2 : 1; /* CONNECTED, FIN */
    }
    expect(m, &more);
}

void onion_mux_at(struct onion_mux *m, tstamp now)
{
    m->now = now;
    m->first_at = m->first_at == TSTAMP_NEVER ? now : m->first_at;
    m->late.fresh = m->late.fresh || m->refusals_n > 0; /* the other side cannot know yet */
    onion_late_at(&m->late, now);
}

static void pending_add(struct onion_mux *m, struct onion_ostream *s, uint8_t what)
{
    s->pending |= what;
    if (!list_linked(&s->control)) {
        list_push_back(&m->control, &s->control);
    }
}

/* Puts |s| where its data and credit say it belongs; |served|: it has just had its turn. */
static void place(struct onion_mux *m, struct onion_ostream *s, bool served)
{
    bool wants = s->queued > 0 && s->tx_credit > 0;

    if (!wants || served) {
        list_del(&s->ready);
    }
    if (wants && !list_linked(&s->ready)) {
        if (served) {
            list_push_back(&m->ready, &s->ready);
        } else {
            list_push_front(&m->ready, &s->ready);
        }
    }
    if (s->queued == 0 && s->fin_wanted && !s->fin_sent) {
        pending_add(m, s, PENDING_FIN);
    }
}

/* Frees |s| once nothing more can happen on it. */
static void settle(struct onion_mux *m, struct onion_ostream *s)
{
    if (s->fin_sent && s->fin_received && s->pending == 0 && s->sent == 0) {
        expect_late(m, s);
        drop(m, s);
    }
}

static void report(const struct onion_mux *m, const struct onion_ostream *s, struct link_ev ev,
                   struct acts *out)
{
    ev.link = m->circuit;
    ev.sid = s->id;
    ev.user = s->user;
    onion_emit_link_ev(out, &ev);
}

/* ---- sending ---- */

bool onion_mux_has_work(const struct onion_mux *m)
{
    if (m->due.n > 0) {
        return true;
    }
    bool any = m->refusals_n > 0 || !list_empty(&m->control) || !list_empty(&m->ready);
    return m->window > 0 && any;
}

uint32_t onion_mux_whole_cells(const struct onion_mux *m)
{
    size_t n = m->queued / (ONION_RELAY_PAYLOAD - ONION_RELAY_STREAM_HEAD);

    return n < m->window ? (uint32_t)n : m->window;
}

static size_t room(const struct wr *w)
{
    return w->cap - w->len;
}

/* The control message that comes first among those that |s| has pending, if it fits. */
static bool put_control(struct onion_mux *m, struct onion_ostream *s, struct wr *w)
{
    uint8_t num[4], bit = (uint8_t)(s->pending & (0u - s->pending));
    struct slice data = {num, 0};
    uint8_t type = ONION_RELAY_CONNECTED;
    struct wr v = wr_init(num, sizeof num);

    if (bit == PENDING_BEGIN) {
        type = ONION_RELAY_BEGIN;
        data = (struct slice){(const uint8_t *)s->proto, s->proto_len};
    } else if (bit == PENDING_FIN) {
        type = ONION_RELAY_FIN;
    } else if (bit == PENDING_RESET) {
        type = ONION_RELAY_RESET;
        wr_u8(&v, s->reason);
        data.len = 1;
    } else if (bit == PENDING_CREDIT) {
        type = ONION_RELAY_CREDIT;
        wr_u32(&v, s->read);
        data.len = 4;
    }
    if (room(w) < ONION_RELAY_STREAM_HEAD + data.len) {
        return false;
    }
    onion_relay_msg_put(w, type, s->id, data);
    s->pending = (uint8_t)(s->pending & ~bit);
    if (bit == PENDING_BEGIN) {
        m->last_id = s->id;
        m->first_at = m->first == 0 ? TSTAMP_NEVER : m->first_at; /* set when the cell has left */
        m->first = m->first == 0 ? s->id : m->first;
    } else if (bit == PENDING_FIN) {
        s->fin_sent = true;
    } else if (bit == PENDING_CREDIT) {
        s->rx_credit += s->read;
        s->read = 0;
    }
    return true;
}

/* Control messages of all streams, oldest first; how many were put. */
static uint32_t fill_control(struct onion_mux *m, struct wr *w, uint32_t msgs)
{
    uint32_t n = 0;

    while (m->refusals_n > 0 && msgs + n < ONION_RELAY_MSGS_MAX &&
           room(w) > ONION_RELAY_STREAM_HEAD) {
        uint8_t reason = onion_reason_of(QUDAG_ELIMIT);
        m->refusals_n--;
        expect(m, &(struct onion_late){.data = 0});
        onion_relay_msg_put(w, ONION_RELAY_RESET, m->refusal[m->refusals_n],
                            (struct slice){&reason, 1});
        n++;
    }
    while (!list_empty(&m->control) && msgs + n < ONION_RELAY_MSGS_MAX) {
        struct onion_ostream *s = LIST_ENTRY(m->control.next, struct onion_ostream, control);
        if (!put_control(m, s, w)) {
            break;
        }
        n++;
        if (s->pending != 0) {
            continue;
        }
        list_del(&s->control);
        if (s->reason != 0) {
            expect_late(m, s);
            drop(m, s); /* its RESET has left */
        } else {
            settle(m, s);
        }
    }
    return n;
}

static void take(struct onion_mux *m, struct onion_ostream *s, struct wr *w, size_t len)
{
    s->queued -= len;
    m->queued -= len;
    s->sent += len;
    s->tx_credit -= (uint32_t)len;
    while (len > 0) {
        struct block *b = s->head;
        size_t n = b->len < len ? b->len : len;
        wr_bytes(w, b->base + b->off, n);
        b->off += n;
        b->len -= n;
        len -= n;
        if (b->len == 0) {
            s->head = b->next;
            if (s->head == NULL) {
                s->tail = NULL;
            }
            block_free(m, b);
        }
    }
}

static uint32_t fill_data(struct onion_mux *m, struct wr *w, uint32_t msgs)
{
    uint32_t n = 0;

    while (!list_empty(&m->ready) && msgs + n < ONION_RELAY_MSGS_MAX &&
           room(w) > ONION_RELAY_STREAM_HEAD) {
        struct onion_ostream *s = LIST_ENTRY(m->ready.next, struct onion_ostream, ready);
        size_t len = room(w) - ONION_RELAY_STREAM_HEAD;
        if (s->pending & PENDING_BEGIN) {
            break; /* the rest waits for the next cell, in which BEGIN comes first */
        }
        len = len < s->queued ? len : s->queued;
        len = len < s->tx_credit ? len : s->tx_credit;
        wr_u8(w, ONION_RELAY_DATA);
        wr_u16(w, (uint16_t)len);
        wr_u16(w, s->id);
        take(m, s, w, len);
        place(m, s, true);
        n++;
    }
    return n;
}

bool onion_mux_fill(struct onion_mux *m, struct wr *w)
{
    uint32_t msgs = 0, counted = 0;

    while (m->due.n > 0 && room(w) >= ONION_RELAY_HEAD + CGO_TAG_LEN) {
        onion_relay_msg_put(w, ONION_RELAY_SENDME, 0,
                            (struct slice){ring_pop(&m->due), CGO_TAG_LEN});
        m->unanswered -= ONION_MUX_STEP;
        msgs++;
    }
    if (m->window > 0) {
        counted = fill_control(m, w, msgs);
        counted += fill_data(m, w, msgs + counted);
        /* A FIN that has become due fits behind the data more often than not. */
        counted += fill_control(m, w, msgs + counted);
    }
    ASSERT(wr_ok(w));
    return counted > 0;
}

void onion_mux_sent(struct onion_mux *m, const uint8_t tag[CGO_TAG_LEN])
{
    ASSERT(m->window > 0);
    m->window--;
    m->sent++;
    if (m->sent == ONION_MUX_STEP) {
        ring_push(&m->expected, tag);
        m->sent = 0;
    }
}

void onion_mux_report_sent(struct onion_mux *m, struct acts *out)
{
    for (uint32_t i = m->n; i-- > 0;) {
        struct onion_ostream *s = m->by[i];
        if (s->sent > 0) {
            report(m, s, (struct link_ev){.type = LINK_SENT, .n = s->sent}, out);
            s->sent = 0;
            settle(m, s);
        }
    }
}

/* ---- receiving ---- */

static qudag_err on_begin(struct onion_mux *m, const struct onion_relay_msg *msg, struct acts *out)
{
    struct onion_ostream *s;

    if (m->closed) {
        return QUDAG_EPROTO;
    }
    if (m->client || msg->stream <= m->last_id || memchr(msg->data.base, 0, msg->data.len)) {
        return QUDAG_EPROTO;
    }
    m->last_id = msg->stream;
    qudag_err err = add(m, msg->stream, 0, &s);
    if (err == QUDAG_ELIMIT && m->refusals_n < ONION_MUX_REFUSALS) {
        m->refusal[m->refusals_n] = msg->stream;
        m->refusals_n++;
        expect(m, &(struct onion_late){.data = ONION_STREAM_WINDOW, .control = 2}); /* FIN, RESET */
        return QUDAG_OK;
    }
    if (err == QUDAG_OK) {
        pending_add(m, s, PENDING_CONNECTED);
        report(m, s, (struct link_ev){.type = LINK_STREAM, .data = msg->data}, out);
    }
    return err;
}

static qudag_err on_data(struct onion_mux *m, struct onion_ostream *s, struct slice data,
                         struct acts *out)
{
    if (s->fin_received || data.len > s->rx_credit) {
        return QUDAG_EPROTO;
    }
    s->rx_credit -= (uint32_t)data.len;
    if (s->reason == 0) { /* else this side has reset it */
        s->unread += (uint32_t)data.len;
        report(m, s, (struct link_ev){.type = LINK_DATA, .data = data}, out);
    }
    return QUDAG_OK;
}

static qudag_err on_fin(struct onion_mux *m, struct onion_ostream *s, struct acts *out)
{
    if (s->fin_received) {
        return QUDAG_EPROTO;
    }
    s->fin_received = true;
    s->pending &= (uint8_t)~PENDING_CREDIT;
    if (s->pending == 0) {
        list_del(&s->control);
    }
    if (s->reason == 0) {
        report(m, s, (struct link_ev){.type = LINK_FIN}, out);
        settle(m, s);
    }
    return QUDAG_OK;
}

static qudag_err on_credit(struct onion_mux *m, struct onion_ostream *s, struct slice data)
{
    struct rd r = rd_init(data);
    uint32_t delta = rd_u32(&r);

    if (delta < ONION_STREAM_CREDIT_STEP || delta > ONION_STREAM_WINDOW - s->tx_credit) {
        return QUDAG_EPROTO;
    }
    s->tx_credit += delta;
    place(m, s, false);
    return QUDAG_OK;
}

static void on_reset(struct onion_mux *m, struct onion_ostream *s, uint8_t reason, struct acts *out)
{
    if (s->reason == 0) {
        report(m, s, (struct link_ev){.type = LINK_RESET, .err = onion_reason_err(reason)}, out);
    }
    drop(m, s);
}

static qudag_err on_sendme(struct onion_mux *m, struct slice tag)
{
    if (m->expected.n == 0 || !ct_equal(ring_pop(&m->expected), tag.base, CGO_TAG_LEN)) {
        return QUDAG_EPROTO;
    }
    m->window += ONION_MUX_STEP;
    return QUDAG_OK;
}

static qudag_err on_connected(struct onion_mux *m, struct onion_ostream *s)
{
    if (!m->client || s->connected) {
        return QUDAG_EPROTO;
    }
    s->connected = true;
    m->round_trip = s->id == m->first ? m->now - m->first_at : m->round_trip;
    return QUDAG_OK;
}

qudag_err onion_mux_recv(struct onion_mux *m, const struct onion_relay_msg *msg, struct acts *out)
{
    if (msg->type == ONION_RELAY_SENDME) {
        return on_sendme(m, msg->data);
    }
    if (msg->type == ONION_RELAY_BEGIN) {
        return on_begin(m, msg, out);
    }
    if (!onion_relay_type_is_stream(msg->type) || msg->stream > m->last_id) {
        return QUDAG_EPROTO;
    }
    struct onion_ostream *s = find(m, msg->stream);
    if (s == NULL) {
        m->unexplained += onion_late_takes(&m->late, msg) ? 0 : 1;
        return QUDAG_OK;
    }
    if (msg->type == ONION_RELAY_CONNECTED) {
        return on_connected(m, s);
    }
    if (msg->type == ONION_RELAY_RESET) {
        on_reset(m, s, msg->data.base[0], out);
        return QUDAG_OK;
    }
    if (m->client && !s->connected) {
        return QUDAG_EPROTO;
    }
    switch (msg->type) {
    case ONION_RELAY_DATA:
        return on_data(m, s, msg->data, out);
    case ONION_RELAY_FIN:
        return on_fin(m, s, out);
    case ONION_RELAY_CREDIT:
        return on_credit(m, s, msg->data);
    default:
        return QUDAG_EPROTO;
    }
}

qudag_err onion_mux_received(struct onion_mux *m, const uint8_t tag[CGO_TAG_LEN])
{
    m->unanswered++;
    if (m->unanswered > ONION_MUX_WINDOW) {
        return QUDAG_EPROTO;
    }
    if (m->refusals_n == 0) { /* else the RESET that the other side is to hear of has not left */
        onion_late_cell(&m->late);
    }
    m->received++;
    if (m->received == ONION_MUX_STEP) {
        ring_push(&m->due, tag);
        m->received = 0;
    }
    return QUDAG_OK;
}

/* ---- what the user of the streams does ---- */

qudag_err onion_mux_open(struct onion_mux *m, const char *proto, uint64_t user, uint16_t *id)
{
    struct onion_ostream *s;
    size_t len = strlen(proto);

    if (len == 0 || len > ONION_RELAY_PROTO_MAX) {
        return QUDAG_EINVAL;
    }
    if (m->next_id > ONION_STREAM_ID_MAX) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = add(m, (uint16_t)m->next_id, user, &s);
    if (err != QUDAG_OK) {
        return err;
    }
    m->next_id++;
    memcpy(s->proto, proto, len);
    s->proto_len = (uint8_t)len;
    pending_add(m, s, PENDING_BEGIN);
    *id = s->id;
    return QUDAG_OK;
}

static void link_block(struct onion_ostream *s, struct block *b)
{
    if (s->tail == NULL) {
        s->head = b;
    } else {
        s->tail->next = b;
    }
    s->tail = b;
}

static qudag_err append_kept(struct onion_mux *m, struct onion_ostream *s, struct slice data,
                             struct buf *keep)
{
    struct block *b = mem_alloc(m->mem, sizeof *b);

    if (b == NULL) {
        return QUDAG_ENOMEM;
    }
    b->len = b->cap = data.len;
    b->base = data.base;
    b->kept = buf_ref(keep);
    link_block(s, b);
    s->queued += data.len;
    m->queued += data.len;
    return QUDAG_OK;
}

static qudag_err append(struct onion_mux *m, struct onion_ostream *s, struct slice data)
{
    struct block *t = s->tail;
    size_t fits = t == NULL || t->kept != NULL ? 0 : t->cap - t->off - t->len;

    fits = fits < data.len ? fits : data.len;
    size_t rest = data.len - fits;
    if (rest > 0) { /* the new block first, so that failure changes nothing */
        size_t cap = rest < BLOCK_MIN ? BLOCK_MIN : rest;
        struct block *b = mem_alloc(m->mem, sizeof *b + cap);
        if (b == NULL) {
            return QUDAG_ENOMEM;
        }
        b->cap = cap;
        b->len = rest;
        b->base = b->b;
        memcpy(b->b, data.base + fits, rest);
        link_block(s, b);
    }
    if (fits > 0) {
        memcpy(t->b + t->off + t->len, data.base, fits);
        t->len += fits;
    }
    s->queued += data.len;
    m->queued += data.len;
    return QUDAG_OK;
}

qudag_err onion_mux_write_kept(struct onion_mux *m, int64_t id, struct slice data, struct buf *keep)
{
    struct onion_ostream *s = find(m, id);

    if (s == NULL || s->reason != 0) {
        return QUDAG_ESTALE;
    }
    if (s->fin_wanted) {
        return QUDAG_ESTATE;
    }
    if (data.len > ONION_STREAM_QUEUE_MAX - s->queued) {
        return QUDAG_ETOOBIG;
    }
    if (data.len == 0) {
        return QUDAG_OK;
    }
    qudag_err err =
        keep != NULL && data.len >= BLOCK_MIN ? append_kept(m, s, data, keep) : append(m, s, data);
    place(m, s, false);
    return err;
}

qudag_err onion_mux_write(struct onion_mux *m, int64_t id, struct slice data)
{
    return onion_mux_write_kept(m, id, data, NULL);
}

void onion_mux_set_user(struct onion_mux *m, int64_t id, uint64_t user)
{
    struct onion_ostream *s = find(m, id);

    if (s != NULL) {
        s->user = user;
    }
}

void onion_mux_consume(struct onion_mux *m, int64_t id, size_t n)
{
    struct onion_ostream *s = find(m, id);

    if (s == NULL || s->reason != 0) {
        return;
    }
    uint32_t len = n < s->unread ? (uint32_t)n : s->unread;
    s->unread -= len;
    s->read += len;
    if (!s->fin_received && s->read >= ONION_STREAM_CREDIT_STEP) {
        pending_add(m, s, PENDING_CREDIT);
    }
}

void onion_mux_fin(struct onion_mux *m, int64_t id)
{
    struct onion_ostream *s = find(m, id);

    if (s != NULL && s->reason == 0) {
        s->fin_wanted = true;
        place(m, s, false);
    }
}

void onion_mux_reset(struct onion_mux *m, int64_t id, qudag_err err)
{
    struct onion_ostream *s = find(m, id);

    if (s == NULL || s->reason != 0) {
        return;
    }
    if (s->pending & PENDING_BEGIN) {
        drop(m, s); /* the other end never heard of it */
        return;
    }
    drop_queue(m, s);
    list_del(&s->ready);
    s->reason = onion_rule_reset(m->client, err);
    s->pending = 0;
    s->fin_wanted = false;
    s->sent = 0;
    pending_add(m, s, PENDING_RESET);
}
