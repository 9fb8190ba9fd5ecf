/*
 * splice.c - see splice.h.
 *
 *   dialling ─ start ─▶ moving ─ local end: fin ────────▶ ┐
 *                              ─ stream end: shutdown ──▶ ┴ both: done
 *                              ─ error of either ─▶ reset of the other
 *
 * The socket is polled, not read and written by libuv: libuv's writes raise SIGPIPE, which belongs to the program.
 * Memory lives until libuv has closed the handles, which may be after the node is gone: nothing after end() touches it.
 */
#include "app/splice.h"

#include "api/clients.h"
#include "app/sock.h"
#include "base/assert.h"
#include "base/dyn.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#define READS_PER_TURN 4 /* of one local side, before others have their turn */

struct splice {
    struct splice_pool *pool;
    qudag_node *node;
    const struct splice_ops *ops;
    void *ctx;
    int fd; /* -1: none */
    uv_poll_t poll;
    uv_timer_t timer; /* of the dial, then of lingering */
    int events;       /* that are polled for */
    int dial_err;
    qudag_stream strm;          /* id 0: none (any more) */
    struct dyn in;              /* for the local side */
    struct dyn out;             /* read from it, refused by the stream's queue so far */
    struct splice_buf *refused; /* the same, to be handed over as it is; |out| is empty then */
    size_t refused_len;
    struct splice_moved moved;
    unsigned handles; /* open */
    bool has_poll, dialling, started, ended;
    bool local_fin, fin_sent; /* it said its last; the stream was told */
    bool strm_fin, shut_sent; /* the stream said its last; the local side was told */
    bool deaf;                /* the local side takes no more */
};

/* What is read into, and then handed over where it is worth it; the stream may need it longer than its splice lives. */
struct splice_buf {
    struct splice_pool *pool;
    struct splice_buf *next; /* in pool.spare */
    uint8_t bytes[SPLICE_READ_MAX];
};

static struct splice_buf *buf_take(struct splice_pool *p)
{
    struct splice_buf *b = p->spare;

    if (b == NULL) {
        bool room = p->bufs_n < p->mem.max / SPLICE_BUFS_SHARE / sizeof(*b);
        b = room ? mem_alloc(&p->mem, sizeof(*b)) : NULL;
        if (b == NULL) {
            return NULL;
        }
        b->pool = p;
        p->bufs_n++;
    } else {
        p->spare = b->next;
        p->spare_n--;
    }
    p->refs++;
    return b;
}

static void buf_give(struct splice_buf *b)
{
    struct splice_pool *p = b->pool;

    if (p->spare_n < SPLICE_SPARE_MAX) {
        b->next = p->spare;
        p->spare = b;
        p->spare_n++;
    } else {
        mem_free(&p->mem, b);
        p->bufs_n--;
    }
    splice_pool_drop(p);
}

static void on_released(void *ctx, const uint8_t *base, size_t len)
{
    (void)base;
    (void)len;
    buf_give(ctx);
}

struct splice_pool *splice_pool_new(size_t max)
{
    struct splice_pool *p = calloc(1, sizeof(*p));

    if (p != NULL) {
        mem_init(&p->mem, NULL, max);
        p->refs = 1;
    }
    return p;
}

void splice_pool_drop(struct splice_pool *p)
{
    if (p != NULL && --p->refs == 0) {
        while (p->spare != NULL) {
            struct splice_buf *b = p->spare;
            p->spare = b->next;
            mem_free(&p->mem, b);
        }
        ASSERT(p->mem.used == 0);
        free(p);
    }
}

/* Whether somebody else gave way for |need| bytes of the splice with |ctx|. */
static bool yields(struct splice_pool *pool, void *ctx, size_t need)
{
    return pool->yield != NULL && pool->yield(pool->owner, ctx, need);
}

/* Behind what waits in |d|, of |sp|. */
static qudag_err wait_in(struct splice *sp, struct dyn *d, const uint8_t *data, size_t len)
{
    qudag_err err = dyn_append(d, data, len);

    while (err == QUDAG_ENOMEM && yields(sp->pool, sp->ctx, len)) {
        err = dyn_append(d, data, len);
    }
    return err;
}

size_t splice_waiting(const struct splice *sp)
{
    return sp->in.cap + sp->out.cap + (sp->refused != NULL ? sizeof(*sp->refused) : 0);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct splice *sp = h->data;

    if (--sp->handles > 0) {
        return;
    }
    struct splice_pool *pool = sp->pool;
    mem_free(&pool->mem, sp);
    splice_pool_drop(pool);
}

/* The one end: both sides are given up, the owner is told if |tell|. */
static void end(struct splice *sp, enum splice_end how, qudag_err why, bool tell)
{
    if (sp->ended) {
        return;
    }
    sp->ended = true;
    if (sp->strm.id != 0 && how != SPLICE_DONE) {
        qudag_stream_reset(sp->node, sp->strm, why);
    }
    sp->strm.id = 0;
    uv_close((uv_handle_t *)&sp->timer, on_handle_closed);
    if (sp->has_poll) {
        uv_close((uv_handle_t *)&sp->poll, on_handle_closed); /* no longer polled at once */
    }
    if (sp->fd >= 0) {
        sock_close(sp->fd, how != SPLICE_DONE);
        sp->fd = -1;
    }
    dyn_fini(&sp->in);
    dyn_fini(&sp->out);
    if (sp->refused != NULL) {
        buf_give(sp->refused);
        sp->refused = NULL;
    }
    if (tell) {
        sp->ops->ended(sp->ctx, how);
    }
}

static void end_if_both(struct splice *sp)
{
    bool to_local = sp->shut_sent || (sp->deaf && sp->strm_fin);

    if (to_local && sp->fin_sent) {
        end(sp, SPLICE_DONE, QUDAG_OK, true); /* the stream closes by itself */
    }
}

qudag_err splice_new(struct splice **out, struct splice_pool *pool, qudag_node *n,
                     const struct splice_ops *ops, void *ctx)
{
    struct splice *sp;

    *out = NULL;
    do {
        sp = mem_alloc(&pool->mem, sizeof(*sp));
    } while (sp == NULL && yields(pool, ctx, sizeof(*sp)));
    if (sp == NULL) {
        return QUDAG_ENOMEM;
    }
    sp->pool = pool;
    sp->node = n;
    sp->ops = ops;
    sp->ctx = ctx;
    sp->fd = -1;
    dyn_init(&sp->in, &pool->mem, SPLICE_WAITING_MAX);
    dyn_init(&sp->out, &pool->mem, 2 * SPLICE_READ_MAX);
    (void)uv_timer_init(api_loop(n), &sp->timer); /* cannot fail */
    sp->timer.data = sp;
    sp->handles = 1;
    pool->refs++;
    *out = sp;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ what is polled for */

static bool waits(const struct splice *sp)
{
    return sp->out.len > 0 || sp->refused != NULL;
}

static bool wants_bytes(const struct splice *sp)
{
    return sp->started && !sp->local_fin && !waits(sp);
}

static void on_poll(uv_poll_t *h, int status, int events);

static void arm(struct splice *sp)
{
    if (sp->ended || !sp->has_poll) {
        return;
    }
    bool write = sp->dialling || (sp->started && !sp->deaf && sp->in.len > 0);
    int events = (wants_bytes(sp) ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
    if (events == sp->events) {
        return;
    }
    sp->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&sp->poll);
    } else if (uv_poll_start(&sp->poll, events, on_poll) != 0) {
        end(sp, SPLICE_LOCAL, QUDAG_ERESET, true);
    }
}

static bool poll_init(struct splice *sp)
{
    if (uv_poll_init(api_loop(sp->node), &sp->poll, sp->fd) != 0) {
        return false;
    }
    sp->poll.data = sp;
    sp->has_poll = true;
    sp->handles++;
    return true;
}

/* ------------------------------------------------------------------ the local side comes about */

static void dialled(struct splice *sp, int err)
{
    (void)uv_timer_stop(&sp->timer);
    sp->dialling = false;
    sp->ops->connected(sp->ctx, err);
    arm(sp);
}

static void on_dial_timer(uv_timer_t *t)
{
    struct splice *sp = t->data;

    dialled(sp, sp->dial_err);
}

void splice_connect(struct splice *sp, const struct target *to, uint64_t timeout_ms)
{
    int err = sock_dial(&sp->fd, to);

    sp->dialling = true;
    if ((err == 0 || err == EINPROGRESS) && !poll_init(sp)) {
        err = ENOMEM;
    }
    sp->dial_err = err == 0 || err == EINPROGRESS ? ETIMEDOUT : err;
    (void)uv_timer_start(&sp->timer, on_dial_timer, sp->dial_err == ETIMEDOUT ? timeout_ms : 0, 0);
    if (sp->dial_err == ETIMEDOUT) {
        arm(sp);
    }
}

void splice_stream(struct splice *sp, qudag_stream s)
{
    sp->strm = s;
    arm(sp);
}

struct splice_moved splice_moved(const struct splice *sp)
{
    return sp->moved;
}

/* ------------------------------------------------------------------ from the stream to the local side */

/* The local side took |n| bytes of the stream's, or they were thrown away. */
static void took(struct splice *sp, size_t n)
{
    sp->moved.to_local += n;
    if (sp->strm.id != 0) {
        qudag_stream_consume(sp->node, sp->strm, n);
    }
}

/* It takes no more.  What it said before is still read; the stream is reset when that is over. */
static void go_deaf(struct splice *sp)
{
    size_t lost = sp->in.len;
    sp->deaf = true;
    dyn_fini(&sp->in);
    took(sp, lost); /* or its end, behind what fills the window, never comes */
    if (sp->local_fin) {
        end(sp, SPLICE_LOCAL, QUDAG_ERESET, true);
    } else if (sp->strm_fin) {
        end_if_both(sp);
    }
}

/* Writes what the socket takes of |data|; how much that was. */
static size_t write_now(struct splice *sp, const uint8_t *data, size_t len)
{
    size_t n = 0;

    while (n < len) {
        long r = sock_send(sp->fd, data + n, len - n);
        if (r < 0) {
            if (r != -EAGAIN) {
                go_deaf(sp);
            }
            return n;
        }
        n += (size_t)r;
    }
    return n;
}

/* Writes what waits; then the end. */
static void write_more(struct splice *sp)
{
    if (sp->ended || !sp->started) {
        return;
    }
    if (sp->in.len > 0 && !sp->deaf) {
        size_t n = write_now(sp, sp->in.p, sp->in.len);
        if (sp->ended || sp->deaf) {
            return;
        }
        dyn_drop(&sp->in, n);
        if (n > 0) {
            took(sp, n);
        }
    }
    if (sp->strm_fin && sp->in.len == 0 && !sp->shut_sent && !sp->deaf) {
        sp->shut_sent = true;
        sock_shut(sp->fd);
        end_if_both(sp);
    }
}

static void no_room(struct splice *sp)
{
    end(sp, SPLICE_NO_ROOM, QUDAG_ELIMIT, true);
}

void splice_data(struct splice *sp, qudag_slice data, bool fin)
{
    size_t n = 0;

    if (sp->ended) {
        return;
    }
    sp->strm_fin = sp->strm_fin || fin;
    if (sp->started && !sp->deaf && sp->in.len == 0 && data.len > 0) {
        n = write_now(sp, data.base, data.len);
        if (sp->ended) {
            return;
        }
    }
    if (sp->deaf) { /* nobody wants it; it must not hold up the end */
        took(sp, data.len);
        end_if_both(sp);
        return;
    }
    if (n > 0) {
        took(sp, n);
    }
    if (n < data.len && wait_in(sp, &sp->in, data.base + n, data.len - n) != QUDAG_OK) {
        no_room(sp);
        return;
    }
    if (n == data.len) {
        write_more(sp); /* the end, perhaps */
    }
    arm(sp);
}

static void on_linger(uv_timer_t *t)
{
    end(t->data, SPLICE_LOCAL, QUDAG_ERESET, true);
}

/* ------------------------------------------------------------------ from the local side to the stream */

static void send_fin(struct splice *sp)
{
    if (sp->local_fin && !waits(sp) && !sp->fin_sent && sp->strm.id != 0) {
        sp->fin_sent = true;
        qudag_stream_fin(sp->node, sp->strm);
        end_if_both(sp);
    }
}

static void on_local_end(struct splice *sp, long err)
{
    sp->local_fin = true;
    if (err != 0) {
        end(sp, SPLICE_LOCAL, QUDAG_ERESET, true);
        return;
    }
    if (sp->deaf) {
        (void)uv_timer_start(&sp->timer, on_linger, SPLICE_LINGER_MS, 0);
    }
    send_fin(sp);
}

/* To the stream what it takes of |data|; what is left waits in |out|, and reading with it. */
static void forward(struct splice *sp, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    qudag_err err = QUDAG_OK;

    if (sp->out.len == 0) {
        err = qudag_stream_write(sp->node, sp->strm, (qudag_slice){data, len}, &taken);
        sp->moved.to_stream += taken;
    }
    if (err == QUDAG_OK || err == QUDAG_EAGAIN) {
        err = taken < len ? wait_in(sp, &sp->out, data + taken, len - taken) : QUDAG_OK;
    }
    if (err != QUDAG_OK) {
        no_room(sp);
    }
}

/* The same without a copy: |b| is the stream's now, or waits as |refused|. */
static void hand_over(struct splice *sp, struct splice_buf *b, size_t len)
{
    qudag_err err =
        qudag_stream_write_owned(sp->node, sp->strm, (qudag_slice){b->bytes, len}, on_released, b);

    sp->refused = NULL;
    if (err == QUDAG_OK) {
        sp->moved.to_stream += len;
    } else if (err == QUDAG_EAGAIN) {
        sp->refused = b;
        sp->refused_len = len;
    } else {
        buf_give(b);
        no_room(sp);
    }
}

/* One read; false: there is no more for now. */
static bool read_once(struct splice *sp)
{
    struct splice_buf *b = buf_take(sp->pool); /* NULL: it is copied */
    uint8_t *bytes = b != NULL ? b->bytes : sp->pool->read;
    long n = sock_recv(sp->fd, bytes, SPLICE_READ_MAX);

    if (b != NULL && n >= SPLICE_HANDED_MIN) {
        hand_over(sp, b, (size_t)n);
        return true;
    }
    if (n > 0) {
        forward(sp, bytes, (size_t)n);
    }
    if (b != NULL) {
        buf_give(b);
    }
    if (n <= 0 && n != -EAGAIN) {
        on_local_end(sp, n);
    }
    return n != -EAGAIN;
}

static void read_some(struct splice *sp)
{
    for (size_t i = 0; i < READS_PER_TURN && !sp->ended && wants_bytes(sp); i++) {
        if (!read_once(sp)) {
            return;
        }
    }
}

/* After an error libuv polls no more: reading and writing find out what it was. */
static void on_poll(uv_poll_t *h, int status, int events)
{
    struct splice *sp = h->data;

    if (status < 0) {
        sp->events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (sp->dialling) {
        dialled(sp, sock_error(sp->fd));
        return;
    }
    if (events & UV_WRITABLE) {
        write_more(sp);
    }
    if (events & UV_READABLE) {
        read_some(sp);
    }
    arm(sp);
}

void splice_start(struct splice *sp)
{
    sp->started = true;
    write_more(sp);
    arm(sp);
}

void splice_writable(struct splice *sp)
{
    size_t taken = 0;

    if (sp->ended) {
        return;
    }
    if (sp->out.len > 0) {
        qudag_err err =
            qudag_stream_write(sp->node, sp->strm, (qudag_slice){sp->out.p, sp->out.len}, &taken);
        if (err != QUDAG_OK && err != QUDAG_EAGAIN) {
            no_room(sp);
            return;
        }
        sp->moved.to_stream += taken;
        dyn_drop(&sp->out, taken);
    }
    if (sp->refused != NULL) {
        hand_over(sp, sp->refused, sp->refused_len);
        if (sp->ended) {
            return;
        }
    }
    send_fin(sp);
    arm(sp);
}

void splice_closed(struct splice *sp, qudag_err why)
{
    if (sp->ended) {
        return;
    }
    sp->strm.id = 0;
    if (why != QUDAG_OK) {
        end(sp, SPLICE_STREAM, why, true);
        return;
    }
    sp->strm_fin = true; /* what waits for the local side is still written */
    write_more(sp);
    arm(sp);
}

void splice_abort(struct splice *sp, qudag_err why)
{
    end(sp, SPLICE_NO_ROOM, why, false);
}
