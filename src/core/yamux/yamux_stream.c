/* yamux_stream.c - streams: what there is of each, what its user does with it. */
#include "core/yamux/yamux_int.h"
#include "core/yamux/yamux_rules.h"

#define ID_MAX UINT32_C(0x7fffffff)

struct yamux_stream *yamux_find(const struct yamux *y, uint32_t id)
{
    return map_u64_get(&y->streams, id);
}

struct yamux_stream *yamux_stream_new(struct yamux *y, uint32_t id, bool own, uint64_t user)
{
    struct yamux_stream *s = mem_alloc(y->cfg.mem, sizeof(*s));

    if (s == NULL || map_u64_put(&y->streams, id, s) != QUDAG_OK) {
        mem_free(y->cfg.mem, s);
        return NULL;
    }
    s->id = id;
    s->own = own;
    s->user = user;
    s->send_window = s->window = s->recv_window = YAMUX_WINDOW;
    s->granted = y->now;
    fifo_init(&s->queue, y->cfg.mem, y->cfg.queue_max);
    list_push_back(&y->all, &s->all);
    list_init(&s->ready);
    list_init(&s->report);
    s->owe = own ? FLAG_SYN : FLAG_ACK;
    list_push_back(&y->updates, &s->update);
    s->unacked = own;
    y->n_unacked += own ? 1 : 0;
    *(own ? &y->n_own : &y->n_theirs) += 1;
    return s;
}

void yamux_stream_free(struct yamux *y, struct yamux_stream *s)
{
    yamux_acked(y, s);
    *(s->own ? &y->n_own : &y->n_theirs) -= 1;
    y->held -= s->held;
    y->queued -= s->queue.len;
    y->grown -= s->window - YAMUX_WINDOW;
    list_del(&s->all);
    list_del(&s->update);
    list_del(&s->ready);
    list_del(&s->report);
    fifo_fini(&s->queue);
    (void)map_u64_del(&y->streams, s->id);
    mem_free(y->cfg.mem, s);
}

/* What was sent is reported before, and a SYN or ACK that is owed goes first. */
bool yamux_stream_over(struct yamux *y, struct yamux_stream *s)
{
    if (!s->fin_sent || !s->fin_got || s->sent > 0 || s->owe != 0) {
        return false;
    }
    yamux_stream_free(y, s);
    yamux_expect_late(y, YAMUX_LATE_OVER);
    return true;
}

void yamux_expect_late(struct yamux *y, uint32_t frames)
{
    y->late = y->late > YAMUX_LATE_MAX - frames ? YAMUX_LATE_MAX : y->late + frames;
}

void yamux_stream_ready(struct yamux *y, struct yamux_stream *s)
{
    bool data = s->queue.len > 0 && s->send_window > 0;
    bool fin = s->fin_wanted && !s->fin_sent && s->queue.len == 0;

    if ((data || fin) && !list_linked(&s->ready)) {
        list_push_back(&y->ready, &s->ready);
    }
}

void yamux_acked(struct yamux *y, struct yamux_stream *s)
{
    if (s->unacked) {
        s->unacked = false;
        y->n_unacked--;
    }
}

/* Of a stream that the peer was never told of, nothing has to be taken back. */
void yamux_drop(struct yamux *y, struct yamux_stream *s, uint32_t code)
{
    struct frame f = {FRAME_WINDOW_UPDATE, FLAG_RST, s->id, code};
    bool known = (s->owe & FLAG_SYN) == 0;

    yamux_stream_free(y, s);
    if (known) {
        yamux_expect_late(y, YAMUX_LATE_DROPPED);
        yamux_control(y, &f);
    }
}

struct yamux_stream *yamux_heaviest(const struct yamux *y)
{
    struct yamux_stream *most = NULL;

    LIST_EACH(it, &y->all)
    {
        struct yamux_stream *s = LIST_ENTRY(it, struct yamux_stream, all);
        if (most == NULL || s->held > most->held) {
            most = s;
        }
    }
    return most;
}

bool yamux_may_open(const struct yamux *y)
{
    return y->n_own < y->cfg.own_max && y->n_unacked < YAMUX_UNACKED_MAX;
}

qudag_err yamux_open(struct yamux *y, uint64_t user, uint32_t *id)
{
    if (y->ended || y->peer_gone) {
        return QUDAG_ECLOSED;
    }
    if (y->next_id > ID_MAX) {
        return QUDAG_ELIMIT;
    }
    if (!yamux_may_open(y)) {
        y->open_refused = true;
        return QUDAG_EAGAIN;
    }
    if (yamux_stream_new(y, y->next_id, true, user) == NULL) {
        return QUDAG_ENOMEM;
    }
    *id = y->next_id;
    y->next_id += 2;
    return QUDAG_OK;
}

void yamux_set_user(struct yamux *y, uint32_t id, uint64_t user)
{
    struct yamux_stream *s = yamux_find(y, id);

    if (s != NULL) {
        s->user = user;
    }
}

qudag_err yamux_write(struct yamux *y, uint32_t id, struct slice data)
{
    struct yamux_stream *s = yamux_find(y, id);

    if (s == NULL) {
        return QUDAG_ESTALE;
    }
    if (s->fin_wanted) {
        return QUDAG_ESTATE;
    }
    qudag_err err = fifo_append(&s->queue, data);
    if (err == QUDAG_OK) {
        y->queued += data.len;
        yamux_stream_ready(y, s);
    }
    return err;
}

void yamux_fin(struct yamux *y, uint32_t id)
{
    struct yamux_stream *s = yamux_find(y, id);

    if (s != NULL) {
        s->fin_wanted = true;
        yamux_stream_ready(y, s);
    }
}

void yamux_reset(struct yamux *y, uint32_t id, uint32_t code)
{
    struct yamux_stream *s = yamux_find(y, id);

    if (s != NULL) {
        yamux_drop(y, s, code);
    }
}

/* Opens the window again once half of it is consumed, and wider for a reader that is fast. */
static void grant(struct yamux *y, struct yamux_stream *s)
{
    size_t most = y->cfg.held_max / 2;
    size_t room = most > y->grown ? most - y->grown : 0;
    uint32_t next =
        yamux_window_next(s->window, y->now - s->granted, y->rtt_ns, y->cfg.window_max, room);

    y->grown += next - s->window;
    s->delta += next - s->window;
    s->window = next;
    s->granted = y->now;
    if (!list_linked(&s->update)) {
        list_push_back(&y->updates, &s->update);
    }
}

void yamux_consume(struct yamux *y, uint32_t id, size_t n)
{
    struct yamux_stream *s = yamux_find(y, id);

    if (s == NULL || n == 0) {
        return;
    }
    uint32_t k = n < s->held ? (uint32_t)n : s->held;
    s->held -= k;
    y->held -= k;
    s->delta += k;
    if (s->delta >= s->window / 2 && !s->fin_got) {
        grant(y, s);
    }
}
