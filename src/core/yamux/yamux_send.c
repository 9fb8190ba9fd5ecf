/* yamux_send.c - frames for the peer: control first, then the streams in turn. */
#include "base/wr.h"
#include "core/yamux/yamux_int.h"

#define VERSION 0
#define FRAME_LENT 4096 /* bytes of payload for which a copy is worth sparing */

_Static_assert(YAMUX_HEADER <= FIFO_HEAD, "a header fits before what is queued");

static void put_head(uint8_t *dst, const struct frame *f)
{
    struct wr w = wr_init(dst, YAMUX_HEADER);

    wr_u8(&w, VERSION);
    wr_u8(&w, f->type);
    wr_u16(&w, f->flags);
    wr_u32(&w, f->id);
    wr_u32(&w, f->len);
}

void yamux_control(struct yamux *y, const struct frame *f)
{
    uint8_t head[YAMUX_HEADER];

    put_head(head, f);
    qudag_err err = fifo_append(&y->control, (struct slice){head, sizeof(head)});
    if (err != QUDAG_OK) {
        y->unsent = err;
    }
}

/* A stream's SYN, its ACK, what it may send more. */
static size_t put_update(struct yamux *y, struct yamux_stream *s, uint8_t *dst)
{
    struct frame f = {FRAME_WINDOW_UPDATE, s->owe, s->id, s->delta};

    list_del(&s->update);
    s->recv_window += s->delta;
    s->delta = 0;
    s->owe = 0;
    put_head(dst, &f);
    (void)yamux_stream_over(y, s);
    return YAMUX_HEADER;
}

/*
 * The header of a data frame of |len| bytes, which are the next of |s|.  The end is in a frame of its own, as of other
 * implementations: js-libp2p's reads the flags of a frame first, and loses what comes with the end.
 */
static void put_data_head(struct yamux_stream *s, uint8_t *dst, uint32_t len)
{
    struct frame f = {FRAME_DATA, 0, s->id, len};

    if (len == 0) {
        f.flags = FLAG_FIN;
        s->fin_sent = true;
    }
    put_head(dst, &f);
}

/* |len| bytes of |s| are gone from its queue; it goes behind the others if more is left. */
static void data_sent(struct yamux *y, struct yamux_stream *s, uint32_t len)
{
    s->send_window -= len;
    y->queued -= len;
    list_del(&s->ready);
    yamux_stream_ready(y, s);
    s->sent += len;
    y->useful += len;
    if (len > 0 && !list_linked(&s->report)) {
        list_push_back(&y->reports, &s->report);
    }
    (void)yamux_stream_over(y, s);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* As much as fits of what one stream may send. */
static size_t put_data(struct yamux *y, struct yamux_stream *s, uint8_t *dst, size_t cap)
{
    size_t most = least(least(YAMUX_FRAME_MAX, cap - YAMUX_HEADER), s->send_window);
    uint32_t len = (uint32_t)least(most, s->queue.len);

    put_data_head(s, dst, len);
    (void)fifo_take(&s->queue, dst + YAMUX_HEADER, len);
    data_sent(y, s, len);
    return YAMUX_HEADER + len;
}

struct slice yamux_frame(struct yamux *y, size_t cap)
{
    struct slice none = {NULL, 0};
    size_t len;

    if (y->control.len > 0 || !list_empty(&y->updates) || list_empty(&y->ready) ||
        cap < YAMUX_HEADER + FRAME_LENT) {
        return none;
    }
    struct yamux_stream *s = LIST_ENTRY(y->ready.next, struct yamux_stream, ready);
    if (s->queue.len < FRAME_LENT) {
        return none;
    }
    uint8_t *bytes = fifo_front_headed(&s->queue, &len);
    len = least(least(least(len, YAMUX_FRAME_MAX), cap - YAMUX_HEADER), s->send_window);
    if (len < FRAME_LENT) {
        return none;
    }
    y->lent = (uint32_t)len;
    put_data_head(s, bytes - YAMUX_HEADER, y->lent);
    return (struct slice){bytes - YAMUX_HEADER, YAMUX_HEADER + len};
}

void yamux_frame_sent(struct yamux *y)
{
    struct yamux_stream *s = LIST_ENTRY(y->ready.next, struct yamux_stream, ready);

    ASSERT(y->lent > 0 && y->lent <= s->queue.len);
    fifo_drop(&s->queue, y->lent);
    data_sent(y, s, y->lent);
    y->lent = 0;
}

bool yamux_has_output(const struct yamux *y)
{
    return y->control.len > 0 || !list_empty(&y->updates) || !list_empty(&y->ready);
}

size_t yamux_output(struct yamux *y, uint8_t *dst, size_t cap)
{
    size_t n = fifo_take(&y->control, dst, cap / YAMUX_HEADER * YAMUX_HEADER);

    while (!list_empty(&y->updates) && cap - n >= YAMUX_HEADER) {
        n += put_update(y, LIST_ENTRY(y->updates.next, struct yamux_stream, update), dst + n);
    }
    while (list_empty(&y->updates) && !list_empty(&y->ready) && cap - n > YAMUX_HEADER) {
        n += put_data(y, LIST_ENTRY(y->ready.next, struct yamux_stream, ready), dst + n, cap - n);
    }
    return n;
}
