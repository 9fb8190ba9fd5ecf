/*
 * stream.c - send queues, receive credit and the link operations.
 *
 *   write -> chunks -> packetized (LINK_SENT) -> acknowledged -> chunk freed
 *   received -> LINK_DATA -> consume -> window reopened
 */
#include "quic/account.h"
#include "quic/quic_int.h"
#include "quic/work.h"

#include <string.h>

#define BUCKETS_FIRST 8
#define VECS 6 /* chunks one packet may draw from */

static uint32_t bucket_of(int64_t id, uint32_t buckets_n)
{
    return (uint32_t)((uint64_t)id >> 2) & (buckets_n - 1);
}

struct quic_stream *quic_stream_find(const struct quic_conn *c, int64_t id)
{
    struct quic_stream *s;

    if (c->buckets_n == 0) {
        return NULL;
    }
    s = c->buckets[bucket_of(id, c->buckets_n)];
    while (s != NULL && s->id != id) {
        s = s->next_in_bucket;
    }
    return s;
}

static void bucket_put(struct quic_stream **buckets, uint32_t buckets_n, struct quic_stream *s)
{
    uint32_t ix = bucket_of(s->id, buckets_n);

    s->next_in_bucket = buckets[ix];
    buckets[ix] = s;
}

static qudag_err grow_buckets(struct quic_conn *c)
{
    uint32_t n = c->buckets_n == 0 ? BUCKETS_FIRST : c->buckets_n * 2;
    struct quic_stream **v = mem_alloc_n(c->q->mem, n, sizeof(struct quic_stream *));

    if (v == NULL) {
        return QUDAG_ENOMEM;
    }
    for (uint32_t i = 0; i < c->buckets_n; i++) {
        while (c->buckets[i] != NULL) {
            struct quic_stream *s = c->buckets[i];

            c->buckets[i] = s->next_in_bucket;
            bucket_put(v, n, s);
        }
    }
    mem_free(c->q->mem, c->buckets);
    c->buckets = v;
    c->buckets_n = n;
    return QUDAG_OK;
}

static struct quic_stream *stream_new(struct quic_conn *c)
{
    struct quic_stream *s;

    if (c->streams_n >= c->buckets_n && grow_buckets(c) != QUDAG_OK) {
        return NULL;
    }
    s = mem_alloc(c->q->mem, sizeof *s);
    if (s != NULL) {
        s->conn = c;
        list_init(&s->node);
        list_init(&s->sent);
    }
    return s;
}

static void stream_link(struct quic_stream *s, int64_t id)
{
    s->id = id;
    bucket_put(s->conn->buckets, s->conn->buckets_n, s);
    s->conn->streams_n++;
}

qudag_err quic_stream_add(struct quic_conn *c, int64_t id, struct quic_stream **out)
{
    struct quic_stream *s = stream_new(c);

    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    stream_link(s, id);
    *out = s;
    return QUDAG_OK;
}

static void chunk_free(struct quic *q, struct quic_chunk *k)
{
    if (k->kept != NULL) {
        buf_drop(k->kept);
        mem_free(q->mem, k);
    } else if (k->cap == CHUNK_BIG && q->spare_n < CHUNKS_SPARE) {
        k->next = q->spare;
        q->spare = k;
        q->spare_n++;
    } else {
        mem_free(q->mem, k);
    }
}

/* |young|: its stream has written little, which may be all it ever does. */
static struct quic_chunk *chunk_new(struct quic *q, size_t want, bool young)
{
    uint32_t cap = want <= CHUNK_SMALL ? CHUNK_SMALL : young ? (uint32_t)want : CHUNK_BIG;
    struct quic_chunk *k = q->spare;

    if (cap == CHUNK_BIG && k != NULL) {
        q->spare = k->next;
        q->spare_n--;
    } else {
        k = mem_alloc(q->mem, sizeof *k + cap);
    }
    if (k != NULL) {
        k->next = NULL;
        k->len = 0;
        k->cap = cap;
        k->base = k->data;
        k->kept = NULL;
    }
    return k;
}

static void free_queue(struct quic_stream *s)
{
    while (s->head != NULL) {
        struct quic_chunk *k = s->head;

        s->head = k->next;
        chunk_free(s->conn->q, k);
    }
    s->tail = NULL;
}

void quic_stream_free(struct quic_stream *s)
{
    struct quic_conn *c = s->conn;
    struct quic_stream **at = &c->buckets[bucket_of(s->id, c->buckets_n)];

    while (*at != s) {
        at = &(*at)->next_in_bucket;
    }
    *at = s->next_in_bucket;
    c->streams_n--;
    list_del(&s->node);
    list_del(&s->sent);
    quic_account_give(s, RES_BYTES, UINT64_MAX);
    quic_account_give(s, RES_RECEIVED, UINT64_MAX);
    free_queue(s);
    mem_free(c->q->mem, s);
}

void quic_stream_let_go_all(struct quic_conn *c)
{
    for (uint32_t i = 0; i < c->buckets_n; i++) {
        for (struct quic_stream *s = c->buckets[i]; s != NULL; s = s->next_in_bucket) {
            free_queue(s);
            s->cur = NULL;
            s->dead = true;
            list_del(&s->node);
        }
    }
}

void quic_stream_free_all(struct quic_conn *c)
{
    for (uint32_t i = 0; i < c->buckets_n; i++) {
        while (c->buckets[i] != NULL) {
            quic_stream_free(c->buckets[i]);
        }
    }
    mem_free(c->q->mem, c->buckets);
    c->buckets = NULL;
    c->buckets_n = 0;
}

void quic_stream_acked(struct quic_stream *s, uint64_t upto)
{
    if (upto > s->acked_off) {
        quic_account_give(s, RES_BYTES, upto - s->acked_off);
        s->acked_off = upto;
    }
    while (s->head != NULL && s->head != s->cur && s->head->off + s->head->len <= upto) {
        struct quic_chunk *k = s->head;

        /* The last chunk may still be filled. */
        if (k == s->tail && k->len < k->cap && upto < s->end_off) {
            break;
        }
        s->head = k->next;
        if (s->head == NULL) {
            s->tail = NULL;
        }
        chunk_free(s->conn->q, k);
    }
}

static bool has_work(const struct quic_stream *s)
{
    return !s->stopped && !s->dead && !s->closed &&
           (s->sent_off < s->end_off || (s->fin_queued && !s->fin_sent));
}

void quic_stream_wake(struct quic_stream *s)
{
    if (s->conn->ng != NULL && has_work(s)) {
        if (s->blocked) {
            s->blocked = false;
            list_del(&s->node);
        }
        if (!list_linked(&s->node)) {
            list_push_back(&s->conn->ready, &s->node);
        }
        quic_conn_mark_dirty(s->conn);
    }
}

void quic_stream_probe(struct quic_conn *c)
{
    if (!list_empty(&c->blocked)) {
        quic_stream_wake(LIST_ENTRY(c->blocked.next, struct quic_stream, node));
    }
}

void quic_credit_taken(struct quic_stream *s, uint64_t n)
{
    quic_account_give(s, RES_RECEIVED, n);
    s->unconsumed -= n;
}

bool quic_stream_report_reset(struct quic_stream *s, qudag_err err)
{
    struct link_ev ev = {
        .type = LINK_RESET, .err = err, .link = s->conn->ref, .sid = s->id, .user = s->user};

    s->dead = true;
    s->rx_done = true;
    list_del(&s->node);
    return quic_ev_push(s->conn->q, &ev);
}

/*
 * STOP_SENDING came, which ngtcp2 tells by refusing to write.  Libp2p implementations send it beside
 * their FIN when they close: what they still send is delivered, and only then the stream ends.
 */
static bool on_stopped(struct quic_stream *s)
{
    s->stopped = true;
    list_del(&s->node);
    return !s->rx_done || s->fin_sent || s->dead || quic_stream_report_reset(s, QUDAG_ERESET);
}

/* What is queued and not sent and may go into one packet, as at most VECS pieces. */
static size_t fill_vecs(const struct quic_stream *s, ngtcp2_vec *vec, uint64_t *total)
{
    uint64_t most = quic_shape_take(s->sent_off, s->end_off - s->sent_off, s->unit_off, s->unit);
    const struct quic_chunk *k = s->cur;
    uint64_t off = s->sent_off;
    size_t n = 0;

    *total = 0;
    while (k != NULL && n < VECS && *total < most) {
        size_t skip = (size_t)(off - k->off);

        if (k->len > skip) {
            /* ngtcp2 never writes through the pointer. */
            vec[n].base = (uint8_t *)(uintptr_t)(k->base + skip);
            vec[n].len = k->len - skip < most - *total ? k->len - skip : (size_t)(most - *total);
            *total += vec[n].len;
            off += vec[n].len;
            n++;
        }
        k = k->next;
    }
    return n;
}

static void account(struct quic_stream *s, uint64_t n, uint64_t total, bool fin)
{
    s->sent_off += n;
    while (s->cur != NULL && s->sent_off >= s->cur->off + s->cur->len) {
        s->cur = s->cur->next;
    }
    if (fin && n == total) {
        s->fin_sent = true;
    }
    if (n > 0) {
        s->sent_n += n;
        if (!list_linked(&s->sent)) {
            list_push_back(&s->conn->q->sent, &s->sent);
        }
    }
    if (!has_work(s)) {
        list_del(&s->node);
    }
}

/* A stream that filled a packet goes to the end of the line. */
static void rotate(struct quic_conn *c, struct quic_stream *s)
{
    if (list_linked(&s->node)) {
        list_del(&s->node);
        list_push_back(&c->ready, &s->node);
    }
}

/* What the first stream in line offers for a packet that carries |used| bytes of streams already. */
struct offer {
    struct quic_stream *s; /* NULL: none, and the packet is complete */
    ngtcp2_vec vec[VECS];
    size_t vec_n;
    uint64_t len;
    uint32_t flags;
};

static void make_offer(struct quic_conn *c, bool blocked, uint64_t used, struct offer *o)
{
    struct quic_stream *s = blocked || list_empty(&c->ready)
                                ? NULL
                                : LIST_ENTRY(c->ready.next, struct quic_stream, node);

    *o = (struct offer){.flags = NGTCP2_WRITE_STREAM_FLAG_PADDING};
    if (s == NULL || (s->unit != 0 && used > 0)) {
        return;
    }
    o->s = s;
    o->vec_n = fill_vecs(s, o->vec, &o->len);
    if (s->fin_queued && s->sent_off + o->len == s->end_off) {
        o->flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    }
    if (s->unit == 0) {
        o->flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
    }
}

/* Of the link's credit, or of the stream's, which waits apart until it has some.  True if the link is out. */
static bool on_blocked(struct quic_conn *c, struct quic_stream *s)
{
    if (ngtcp2_conn_get_max_data_left(c->ng) == 0) {
        return true; /* looked at again after the next packet */
    }
    list_del(&s->node);
    s->blocked = true;
    list_push_back(&c->blocked, &s->node);
    return false;
}

ngtcp2_ssize quic_stream_write_pkt(ngtcp2_conn *ng, ngtcp2_path *path, ngtcp2_pkt_info *pi,
                                   uint8_t *dest, size_t dest_len, ngtcp2_tstamp ts,
                                   void *user_data)
{
    struct quic_conn *c = user_data;
    bool blocked = !c->completed || c->held;
    uint64_t used = 0;

    for (;;) {
        struct offer o;
        ngtcp2_ssize n, data_n = -1;

        make_offer(c, blocked, used, &o);
        n = ngtcp2_conn_writev_stream(ng, path, pi, dest, dest_len, &data_n, o.flags,
                                      o.s == NULL ? -1 : o.s->id, o.vec, o.vec_n, ts);
        if (o.s != NULL && data_n >= 0) {
            account(o.s, (uint64_t)data_n, o.len, (o.flags & NGTCP2_WRITE_STREAM_FLAG_FIN) != 0);
            used += (uint64_t)data_n;
        }
        if (n > 0 && o.s != NULL) {
            rotate(c, o.s);
        }
        if (n > 0) {
            return (ngtcp2_ssize)quic_shape_len(dest, (size_t)n);
        }
        if (n == 0 || o.s == NULL) {
            return n;
        }
        switch (n) {
        case NGTCP2_ERR_WRITE_MORE:
            break;
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            blocked = on_blocked(c, o.s);
            break;
        case NGTCP2_ERR_STREAM_SHUT_WR:
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            if (!on_stopped(o.s)) {
                c->why = QUDAG_ENOMEM;
                c->why_text = "out of memory";
                return NGTCP2_ERR_CALLBACK_FAILURE;
            }
            break;
        default:
            return n;
        }
    }
}

static struct quic_conn *conn_of(const void *owner, struct ref link)
{
    const struct quic *q = owner;

    return slots_get(&q->conns, link);
}

static struct quic_stream *stream_of(const void *owner, struct ref link, int64_t sid)
{
    const struct quic_conn *c = conn_of(owner, link);

    return c == NULL ? NULL : quic_stream_find(c, sid);
}

static qudag_err op_open(void *owner, struct ref link, uint64_t user, const char *proto,
                         int64_t *sid)
{
    struct quic_conn *c = conn_of(owner, link);
    struct quic_stream *s;
    int64_t id = 0;
    int rv;

    (void)proto;
    if (c == NULL || c->state == QUIC_CONN_LINGER || c->close_wanted) {
        return QUDAG_ESTALE;
    }
    if (c->state != QUIC_CONN_UP && (c->server || !c->completed)) {
        return QUDAG_ESTATE;
    }
    s = stream_new(c);
    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    rv = ngtcp2_conn_open_bidi_stream(c->ng, &id, s);
    if (rv != 0) {
        mem_free(c->q->mem, s);
        c->streams_blocked = c->streams_blocked || rv == NGTCP2_ERR_STREAM_ID_BLOCKED;
        return rv == NGTCP2_ERR_STREAM_ID_BLOCKED ? QUDAG_EAGAIN : QUDAG_ENOMEM;
    }
    stream_link(s, id);
    s->user = user;
    *sid = id;
    return QUDAG_OK;
}

static void op_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    struct quic_stream *s = stream_of(owner, link, sid);

    if (s != NULL) {
        s->user = user;
    }
}

/* Appends |len| bytes; on failure the queue is as it was, but for room at its end. */
static qudag_err append(struct quic_stream *s, const uint8_t *p, size_t len)
{
    struct quic *q = s->conn->q;
    size_t room = s->tail == NULL ? 0 : s->tail->cap - s->tail->len;
    struct quic_chunk *first = NULL, *last = NULL;
    bool young = len <= CHUNK_YOUNG && s->end_off <= CHUNK_YOUNG - len;

    for (size_t left = len > room ? len - room : 0; left > 0;) {
        struct quic_chunk *k =
            chunk_new(q, s->tail == NULL && s->sent_off == 0 ? left : len, young);

        if (k == NULL) {
            while (first != NULL) {
                k = first->next;
                chunk_free(q, first);
                first = k;
            }
            return QUDAG_ENOMEM;
        }
        if (last == NULL) {
            first = k;
        } else {
            last->next = k;
        }
        last = k;
        left -= left < k->cap ? left : k->cap;
    }
    if (s->tail == NULL) {
        s->head = first;
    } else {
        s->tail->next = first;
    }
    for (struct quic_chunk *k = room > 0 ? s->tail : first; k != NULL && len > 0; k = k->next) {
        size_t n = len < k->cap - k->len ? len : k->cap - k->len;

        if (k->len == 0) {
            k->off = s->end_off;
        }
        memcpy(k->data + k->len, p, n);
        k->len += (uint32_t)n;
        if (s->cur == NULL) {
            s->cur = k;
        }
        s->end_off += n;
        p += n;
        len -= n;
    }
    s->tail = last != NULL ? last : s->tail;
    return QUDAG_OK;
}

/* The same without a copy; |keep| is held until they are acknowledged. */
static qudag_err append_kept(struct quic_stream *s, struct slice data, struct buf *keep)
{
    struct quic_chunk *k = mem_alloc(s->conn->q->mem, sizeof *k);

    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    k->off = s->end_off;
    k->len = k->cap = (uint32_t)data.len;
    k->base = data.base;
    k->kept = buf_ref(keep);
    if (s->tail == NULL) {
        s->head = k;
    } else {
        s->tail->next = k;
    }
    s->tail = k;
    if (s->cur == NULL) {
        s->cur = k;
    }
    s->end_off += data.len;
    return QUDAG_OK;
}

static qudag_err op_write_kept(void *owner, struct ref link, int64_t sid, struct slice data,
                               struct buf *keep)
{
    const struct quic *q = owner;
    struct quic_stream *s = stream_of(owner, link, sid);
    qudag_err err;

    if (s == NULL || s->conn->ng == NULL || s->conn->close_wanted) {
        return QUDAG_ESTALE;
    }
    if (s->stopped || s->dead || s->closed) {
        return QUDAG_ERESET;
    }
    if (s->fin_queued) {
        return QUDAG_ESTATE;
    }
    if (data.len > q->cfg.stream_queue_max ||
        s->end_off - s->sent_off > q->cfg.stream_queue_max - data.len) {
        return QUDAG_ETOOBIG;
    }
    if (data.len == 0) {
        return QUDAG_OK;
    }
    err = quic_account_ask(s, RES_BYTES, data.len);
    if (err != QUDAG_OK) {
        return err;
    }
    err = keep != NULL && data.len >= CHUNK_KEPT_MIN ? append_kept(s, data, keep)
                                                     : append(s, data.base, data.len);
    if (err == QUDAG_OK) {
        quic_stream_wake(s);
    } else {
        quic_account_give(s, RES_BYTES, data.len);
    }
    return err;
}

static qudag_err op_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    return op_write_kept(owner, link, sid, data, NULL);
}

static void op_set_unit(void *owner, struct ref link, int64_t sid, uint16_t unit)
{
    struct quic_stream *s = stream_of(owner, link, sid);

    if (s != NULL && unit <= SHAPE_UNIT_MAX) {
        s->unit = unit;
        s->unit_off = s->end_off;
        if (unit != 0 && !s->conn->celled) {
            s->conn->celled = true;
            quic_conn_keep_alive(s->conn);
        }
    }
}

static void op_consume(void *owner, struct ref link, int64_t sid, size_t n)
{
    struct quic_stream *s = stream_of(owner, link, sid);
    uint64_t credit;

    if (s == NULL || s->conn->ng == NULL) {
        return;
    }
    credit = n < s->unconsumed ? n : s->unconsumed;
    if (credit == 0) {
        return;
    }
    quic_credit_taken(s, credit);
    if (!s->dead && !s->closed) {
        /* Fails only for a stream that is gone, whose window does not matter. */
        (void)ngtcp2_conn_extend_max_stream_offset(s->conn->ng, s->id, credit);
    }
    ngtcp2_conn_extend_max_offset(s->conn->ng, credit);
    quic_conn_answer(s->conn, false);
}

static void op_fin(void *owner, struct ref link, int64_t sid)
{
    struct quic_stream *s = stream_of(owner, link, sid);

    if (s != NULL && !s->fin_queued) {
        s->fin_queued = true;
        quic_stream_wake(s);
    }
}

static void op_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    struct quic_stream *s = stream_of(owner, link, sid);

    if (s == NULL || s->conn->ng == NULL || s->dead || s->closed) {
        return;
    }
    s->dead = true;
    list_del(&s->node);
    list_del(&s->sent);
    quic_ev_void(s->conn->q, link, sid);
    if (ngtcp2_conn_is_local_stream(s->conn->ng, sid) == 0) {
        quic_work_refused(s->conn, err);
    }
    if (s->unconsumed > 0) {
        ngtcp2_conn_extend_max_offset(s->conn->ng, s->unconsumed);
        quic_credit_taken(s, s->unconsumed);
    }
    /* Fails without memory only; then the idle timeout ends what is left. */
    (void)ngtcp2_conn_shutdown_stream(s->conn->ng, 0, sid, link_code(err));
    quic_conn_mark_dirty(s->conn);
}

/* libp2p's registered application error codes (quic/README.md of its specifications). */
static uint64_t close_code(qudag_err err)
{
    switch (err) {
    case QUDAG_ENOMEM:
    case QUDAG_ELIMIT:
        return 0x1001;
    case QUDAG_EPROTO:
    case QUDAG_EMALFORMED:
        return 0x1003;
    case QUDAG_EEXISTS:
        return 0x1004;
    case QUDAG_ECLOSED: /* this node ends */
        return 0x1006;
    case QUDAG_EREFUSED:
    case QUDAG_EPOLICY:
    case QUDAG_EAUTH:
        return 0x1007;
    default:
        return 0;
    }
}

static void op_close(void *owner, struct ref link, qudag_err err)
{
    struct quic_conn *c = conn_of(owner, link);

    if (c == NULL || c->state == QUIC_CONN_LINGER || c->close_wanted) {
        return;
    }
    c->close_wanted = true;
    c->muted = true;
    c->why = err == QUDAG_OK ? QUDAG_ECLOSED : err;
    c->why_text = "closed by this side";
    ngtcp2_ccerr_set_application_error(&c->close_err, close_code(err), NULL, 0);
    quic_conn_mark_dirty(c);
}

static uint64_t op_held(const void *owner, struct ref link, int64_t sid)
{
    const struct quic_stream *s = stream_of(owner, link, sid);

    return s != NULL ? s->queued : 0;
}

const struct link_ops quic_link_ops = {
    .open = op_open,
    .set_user = op_set_user,
    .write = op_write,
    .consume = op_consume,
    .fin = op_fin,
    .reset = op_reset,
    .close = op_close,
    .set_unit = op_set_unit,
    .write_kept = op_write_kept,
    .held = op_held,
};
