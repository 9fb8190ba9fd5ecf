/* yamux_send.c - frames for the peer: control first, then the streams in turn. */
#include "base/wr.h"
#include "core/yamux/yamux_int.h"

#define VERSION 0

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

/* As much as fits of what one stream may send; it goes behind the others if more is left. */
static size_t put_data(struct yamux *y, struct yamux_stream *s, uint8_t *dst, size_t cap)
{
    struct frame f = {FRAME_DATA, 0, s->id, YAMUX_FRAME_MAX};

    if (f.len > cap - YAMUX_HEADER) {
        f.len = (uint32_t)(cap - YAMUX_HEADER);
    }
    if (f.len > s->send_window) {
        f.len = s->send_window;
    }
    f.len = (uint32_t)fifo_take(&s->queue, dst + YAMUX_HEADER, f.len);
    s->send_window -= f.len;
    y->queued -= f.len;
    if (s->fin_wanted && s->queue.len == 0) {
        f.flags = FLAG_FIN;
        s->fin_sent = true;
    }
    put_head(dst, &f);
    list_del(&s->ready);
    yamux_stream_ready(y, s);
    s->sent += f.len;
    if (f.len > 0 && !list_linked(&s->report)) {
        list_push_back(&y->reports, &s->report);
    }
    (void)yamux_stream_over(y, s);
    return YAMUX_HEADER + f.len;
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
