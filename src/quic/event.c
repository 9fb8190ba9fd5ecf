/*
 * event.c - the queue of link events.
 *
 * Order: everything in the queue, then bytes sent, then stream credit, then links that ended.  The
 * last three are flags on streams and connections, so reporting them needs no memory.
 */
#include "quic/quic_int.h"

#include <string.h>

#define EV_FIRST 64
#define EV_KEEP 4096 /* entries kept when the queue is empty */
#define EV_VOID (-1) /* stream id of an event taken back */

static void block_gone(struct buf *b)
{
    struct quic_ev_block *block = LIST_ENTRY(b, struct quic_ev_block, lent);

    mem_free(mem_owner(block), block);
}

static uint8_t *ev_room(struct quic *q, size_t len)
{
    struct quic_evq *e = &q->evq;
    struct quic_ev_block *b = e->last;

    if (b == NULL || b->cap - b->len < len) {
        size_t cap = len > EV_BLOCK ? len : EV_BLOCK;

        b = mem_alloc(q->mem, sizeof *b + cap);
        if (b == NULL) {
            return NULL;
        }
        buf_init(&b->lent, block_gone);
        b->lent.size = cap;
        b->cap = cap;
        if (e->last == NULL) {
            e->blocks = b;
        } else {
            e->last->next = b;
        }
        e->last = b;
    }
    b->len += len;
    return b->data + (b->len - len);
}

bool quic_ev_push(struct quic *q, const struct link_ev *ev)
{
    struct quic_evq *e = &q->evq;
    struct link_ev copy = *ev;

    if (e->n == e->cap) {
        size_t cap = e->cap == 0 ? EV_FIRST : e->cap * 2;
        struct link_ev *v = mem_resize(q->mem, e->v, cap * sizeof *v);

        if (v == NULL) {
            return false;
        }
        e->v = v;
        e->cap = cap;
    }
    if (ev->data.len > 0) {
        uint8_t *dst = ev_room(q, ev->data.len);

        if (dst == NULL) {
            return false;
        }
        memcpy(dst, ev->data.base, ev->data.len);
        copy.data.base = dst;
        copy.keep = &e->last->lent;
    }
    e->v[e->n++] = copy;
    return true;
}

/* The first one; who has been lent a part of it keeps it. */
static void drop_block(struct quic_evq *e)
{
    struct quic_ev_block *b = e->blocks;

    e->blocks = b->next;
    buf_drop(&b->lent);
}

void quic_ev_recycle(struct quic *q)
{
    struct quic_evq *e = &q->evq;

    if (e->read < e->n) {
        return;
    }
    while (!list_empty(&q->zombies)) {
        quic_stream_free(LIST_ENTRY(q->zombies.next, struct quic_stream, node));
    }
    e->n = 0;
    e->read = 0;
    if (e->cap > EV_KEEP) {
        mem_free(q->mem, e->v);
        e->v = NULL;
        e->cap = 0;
    }
    while (e->blocks != NULL && (e->blocks->next != NULL || e->blocks->lent.refs > 1)) {
        drop_block(e);
    }
    if (e->blocks != NULL) {
        e->blocks->len = 0;
    }
    e->last = e->blocks;
}

void quic_ev_fini(struct quic *q)
{
    struct quic_evq *e = &q->evq;

    while (e->blocks != NULL) {
        drop_block(e);
    }
    mem_free(q->mem, e->v);
    *e = (struct quic_evq){0};
}

void quic_ev_down(struct quic_conn *c)
{
    c->down_unread = true;
    list_push_back(&c->q->downs, &c->down);
}

static bool pull_sent(struct quic *q, struct link_ev *ev)
{
    while (!list_empty(&q->sent)) {
        struct quic_stream *s = LIST_ENTRY(q->sent.next, struct quic_stream, sent);
        uint64_t n = s->sent_n;

        list_del(&s->sent);
        ASSERT(n > 0);
        s->sent_n = 0;
        if (!s->conn->muted) {
            *ev = (struct link_ev){
                .type = LINK_SENT, .link = s->conn->ref, .sid = s->id, .user = s->user, .n = n};
            return true;
        }
    }
    return false;
}

static bool pull_streams_ok(struct quic *q, struct link_ev *ev)
{
    while (!list_empty(&q->streams_ok)) {
        struct quic_conn *c = LIST_ENTRY(q->streams_ok.next, struct quic_conn, streams_ok);

        list_del(&c->streams_ok);
        if (!c->muted) {
            *ev = (struct link_ev){.type = LINK_STREAMS_OK, .link = c->ref};
            return true;
        }
    }
    return false;
}

static bool pull_down(struct quic *q, struct link_ev *ev)
{
    struct quic_conn *c;

    if (list_empty(&q->downs)) {
        return false;
    }
    c = LIST_ENTRY(q->downs.next, struct quic_conn, down);
    list_del(&c->down);
    c->down_unread = false;
    *ev = (struct link_ev){.type = LINK_DOWN, .link = c->ref, .err = c->why, .text = c->why_text};
    if (c->why == QUDAG_EAUTH && c->hs.other_peer) {
        ev->found = &c->hs.peer.id;
    }
    quic_conn_linger(c);
    return true;
}

void quic_ev_void(struct quic *q, struct ref link, int64_t sid)
{
    struct quic_evq *e = &q->evq;

    for (size_t i = e->read; i < e->n; i++) {
        if (ref_eq(e->v[i].link, link) && e->v[i].sid == sid) {
            e->v[i].sid = EV_VOID;
        }
    }
}

/* Whether |ev| still means something; then it gets the stream's newest user word. */
static bool ev_live(const struct quic *q, struct link_ev *ev)
{
    struct quic_conn *c = slots_get(&q->conns, ev->link);
    struct quic_stream *s;

    if (c == NULL || c->muted || ev->sid == EV_VOID) {
        return false;
    }
    if (ev->type != LINK_UP && ev->type != LINK_ANSWERED && ev->type != LINK_PROVEN) {
        s = quic_stream_find(c, ev->sid);
        if (s != NULL) {
            ev->user = s->user;
        }
    }
    return true;
}

bool quic_next_event(struct quic *q, struct link_ev *ev)
{
    struct quic_evq *e = &q->evq;

    while (e->read < e->n) {
        *ev = e->v[e->read++];
        if (ev_live(q, ev)) {
            return true;
        }
    }
    return pull_sent(q, ev) || pull_streams_ok(q, ev) || pull_down(q, ev);
}
