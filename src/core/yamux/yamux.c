/*
 * yamux.c - a session: its input, frame by frame, its pings, its end.
 *
 *   header ─▶ on_frame() ─▶ stream frames: SYN, ACK, RST, window, then payload and FIN
 *                        └▶ session frames: PING, GO_AWAY
 */
#include "core/yamux/yamux.h"

#include "base/rd.h"
#include "core/yamux/yamux_int.h"
#include "core/yamux/yamux_rules.h"

#include <string.h>

#define STREAMS_MAX 512
#define OWN_MAX 256
#define QUEUE_MAX (4u << 20)
#define HELD_MAX (16u << 20)
#define WINDOW_MAX (4u << 20)
#define KEEPALIVE (30 * NS_PER_S)

static void defaults(struct yamux_config *c)
{
    c->streams_max = c->streams_max == 0 ? STREAMS_MAX : c->streams_max;
    c->own_max = c->own_max == 0 ? OWN_MAX : c->own_max;
    c->queue_max = c->queue_max == 0 ? QUEUE_MAX : c->queue_max;
    c->held_max = c->held_max == 0 ? HELD_MAX : c->held_max;
    c->window_max = c->window_max == 0 ? WINDOW_MAX : c->window_max;
    c->window_max = c->window_max < YAMUX_WINDOW ? YAMUX_WINDOW : c->window_max;
    c->keepalive_ns = c->keepalive_ns == 0 ? KEEPALIVE : c->keepalive_ns;
    c->ping_timeout_ns = c->ping_timeout_ns == 0 ? YAMUX_PING_TIMEOUT : c->ping_timeout_ns;
}

static void ping(struct yamux *y)
{
    struct frame f = {FRAME_PING, FLAG_SYN, 0, ++y->ping_value};

    yamux_control(y, &f);
    y->ping_sent = y->now;
    y->ping_timeout_ns = y->cfg.ping_timeout_ns;
}

qudag_err yamux_new(struct yamux **out, const struct yamux_config *cfg, tstamp now)
{
    struct yamux *y = mem_alloc(cfg->mem, sizeof(*y));

    if (y == NULL) {
        return QUDAG_ENOMEM;
    }
    y->cfg = *cfg;
    defaults(&y->cfg);
    map_init_u64(&y->streams, cfg->mem, cfg->seed, 0, (size_t)y->cfg.streams_max + y->cfg.own_max);
    list_init(&y->all);
    list_init(&y->updates);
    list_init(&y->ready);
    list_init(&y->reports);
    fifo_init(&y->control, cfg->mem, YAMUX_CONTROL_MAX);
    limiter_init(&y->empty, YAMUX_EMPTY_RATE, YAMUX_EMPTY_BURST, now);
    y->next_id = cfg->dialer ? 1 : 2;
    y->now = y->last_input = now;
    y->ping_sent = TSTAMP_NEVER;
    ping(y);
    *out = y;
    return QUDAG_OK;
}

static void free_streams(struct yamux *y)
{
    LIST_EACH_SAFE(it, tmp, &y->all)
    {
        yamux_stream_free(y, LIST_ENTRY(it, struct yamux_stream, all));
    }
}

void yamux_free(struct yamux *y)
{
    if (y == NULL) {
        return;
    }
    free_streams(y);
    fifo_fini(&y->control);
    map_fini(&y->streams);
    mem_free(y->cfg.mem, y);
}

/* The session is over because of |err|; the peer is told |code|. */
static void end(struct yamux *y, qudag_err err, enum yamux_code code, const char *text)
{
    struct frame f = {FRAME_GO_AWAY, 0, 0, (uint32_t)code};

    if (y->ended) {
        return;
    }
    y->ended = true;
    y->end_err = err;
    y->end_text = text;
    y->in = (struct slice){NULL, 0};
    y->in_frame = false;
    free_streams(y);
    fifo_fini(&y->control);
    yamux_control(y, &f); /* not sent without memory: the byte stream's end tells it, too */
}

void yamux_close(struct yamux *y, enum yamux_code code)
{
    y->end_told = true;
    end(y, QUDAG_ECLOSED, code, NULL);
}

/* A frame that moves nothing on: some are part of the protocol, a flood of them is not. */
static void spend(struct yamux *y)
{
    if (!limiter_take(&y->empty, 1, y->now)) {
        end(y, QUDAG_ELIMIT, YAMUX_PROTOCOL, "too many frames that carry nothing");
    }
}

/* The input before is read: what its frames cost beyond what they brought. */
static void charge(struct yamux *y)
{
    uint64_t ns = yamux_cost(y->frames, y->useful);

    y->frames = 0;
    y->useful = 0;
    if (ns == 0 || y->ended) {
        return;
    }
    load_charge(&y->work, &load_rule_link, ns, y->now);
    if (load_state(&y->work, &load_rule_link, y->now) == LOAD_OUT) {
        end(y, QUDAG_ELIMIT, YAMUX_PROTOCOL, "too many frames that carry little");
    }
}

/* One for a stream that is gone: the peer could not know, as often as it has reason to. */
static void on_late(struct yamux *y)
{
    if (y->late > 0) {
        y->late--;
    } else {
        spend(y);
    }
}

static void on_ping(struct yamux *y, const struct frame *f)
{
    struct frame answer = {FRAME_PING, FLAG_ACK, 0, f->len};

    if ((f->flags & FLAG_SYN) != 0) {
        spend(y);
        if (!y->ended) {
            yamux_control(y, &answer);
        }
        return;
    }
    if (y->ping_sent != TSTAMP_NEVER && f->len == y->ping_value) {
        y->rtt_ns = y->now - y->ping_sent;
        y->rtt_ns = y->rtt_ns == 0 ? 1 : y->rtt_ns;
        y->ping_sent = TSTAMP_NEVER;
    } else {
        spend(y);
    }
}

static bool on_go_away(struct yamux *y, const struct frame *f, struct yamux_ev *ev)
{
    if (y->peer_gone) {
        spend(y);
        return false;
    }
    y->peer_gone = true;
    *ev = (struct yamux_ev){.type = YAMUX_GO_AWAY, .code = f->len};
    return true;
}

/* SYN: true when there is a new stream. */
static bool on_syn(struct yamux *y, const struct frame *f)
{
    struct frame refusal = {FRAME_WINDOW_UPDATE, FLAG_RST, f->id, 0};

    if (!yamux_id_is_theirs(f->id, y->cfg.dialer)) {
        end(y, QUDAG_EPROTO, YAMUX_PROTOCOL, "a stream opened with a name of ours");
        return false;
    }
    if (yamux_find(y, f->id) != NULL) {
        end(y, QUDAG_EPROTO, YAMUX_PROTOCOL, "a stream opened twice");
        return false;
    }
    if (y->n_theirs < y->cfg.streams_max && yamux_stream_new(y, f->id, false, 0) != NULL) {
        return true;
    }
    spend(y);
    if (!y->ended) {
        yamux_control(y, &refusal);
    }
    return false;
}

static bool on_rst(struct yamux *y, struct yamux_stream *s, uint32_t code, struct yamux_ev *ev)
{
    spend(y);
    if (y->ended) {
        return false;
    }
    *ev = (struct yamux_ev){
        .type = YAMUX_RESET, .err = QUDAG_ERESET, .id = s->id, .user = s->user, .code = code};
    yamux_stream_free(y, s);
    return true;
}

static void on_window(struct yamux *y, struct yamux_stream *s, const struct frame *f)
{
    if (f->len > UINT32_MAX - s->send_window) {
        end(y, QUDAG_EPROTO, YAMUX_PROTOCOL, "a window above 2^32 - 1 bytes");
        return;
    }
    s->send_window += f->len;
    if (f->len == 0 && (f->flags & (FLAG_SYN | FLAG_ACK | FLAG_FIN)) == 0) {
        spend(y);
        return;
    }
    yamux_stream_ready(y, s);
}

/* The stream breaks its rules, the session does not: it alone ends. */
static bool fail_stream(struct yamux *y, struct yamux_stream *s, struct yamux_ev *ev)
{
    *ev = (struct yamux_ev){.type = YAMUX_RESET, .err = QUDAG_EPROTO, .id = s->id, .user = s->user};
    spend(y);
    if (y->ended) {
        return false;
    }
    yamux_drop(y, s, 0);
    return !y->ended;
}

/* A data frame or window update of a known stream, but for payload and FIN.  True: |ev| is set. */
static bool on_known(struct yamux *y, struct yamux_stream *s, const struct frame *f,
                     struct yamux_ev *ev)
{
    if ((f->flags & FLAG_ACK) != 0) {
        yamux_acked(y, s);
    }
    if ((f->flags & FLAG_RST) != 0) {
        return on_rst(y, s, f->type == FRAME_WINDOW_UPDATE ? f->len : 0, ev);
    }
    if (f->type == FRAME_WINDOW_UPDATE) {
        on_window(y, s, f);
        return false;
    }
    if (f->len > s->recv_window) {
        end(y, QUDAG_EPROTO, YAMUX_PROTOCOL, "data beyond the window");
        return false;
    }
    if (s->fin_got) {
        return fail_stream(y, s, ev);
    }
    s->recv_window -= f->len;
    if (f->len == 0 && (f->flags & (FLAG_SYN | FLAG_FIN)) == 0) {
        spend(y);
    }
    return false;
}

static bool on_stream_frame(struct yamux *y, const struct frame *f, struct yamux_ev *ev)
{
    bool fresh = false;

    if (f->id == 0) {
        end(y, QUDAG_EPROTO, YAMUX_PROTOCOL, "a stream's frame for the session");
        return false;
    }
    if ((f->flags & FLAG_SYN) != 0 && (f->flags & FLAG_RST) == 0) {
        fresh = on_syn(y, f);
        if (y->ended) {
            return false;
        }
    }
    y->left = f->type == FRAME_DATA ? f->len : 0;
    y->in_frame = true;
    struct yamux_stream *s = yamux_find(y, f->id);
    if (s == NULL) { /* it was closed, and what follows was on its way */
        on_late(y);
        if (y->left > y->cfg.window_max) {
            end(y, QUDAG_EPROTO, YAMUX_PROTOCOL, "data beyond any window");
        }
        return false;
    }
    if (fresh) {
        *ev = (struct yamux_ev){.type = YAMUX_STREAM, .id = f->id};
    }
    return on_known(y, s, f, ev) || (fresh && !y->ended);
}

static bool on_frame(struct yamux *y, struct yamux_ev *ev)
{
    struct rd r = rd_init((struct slice){y->head, sizeof(y->head)});
    uint8_t version = rd_u8(&r);
    struct frame f = {.type = rd_u8(&r)};

    f.flags = rd_u16(&r);
    f.id = rd_u32(&r);
    f.len = rd_u32(&r);
    if (version != 0 || f.type > FRAME_GO_AWAY) {
        end(y, QUDAG_EPROTO, YAMUX_PROTOCOL,
            version != 0 ? "another version" : "an unknown type of frame");
        return false;
    }
    y->frame = f;
    y->frames++;
    if (f.type == FRAME_PING) {
        on_ping(y, &f);
        return false;
    }
    if (f.type == FRAME_GO_AWAY) {
        return on_go_away(y, &f, ev);
    }
    return on_stream_frame(y, &f, ev);
}

/* The frame is read: what its FIN says.  True: |ev| is set. */
static bool frame_end(struct yamux *y, struct yamux_ev *ev)
{
    struct yamux_stream *s = yamux_find(y, y->frame.id);

    y->in_frame = false;
    if (s == NULL || s->fin_got || (y->frame.flags & FLAG_FIN) == 0) {
        return false;
    }
    s->fin_got = true;
    *ev = (struct yamux_ev){.type = YAMUX_FIN, .id = s->id, .user = s->user};
    (void)yamux_stream_over(y, s);
    return true;
}

/* Of all that is held too much: the stream with most of it gives way.  True: |ev| is set. */
static bool relieve(struct yamux *y, struct yamux_ev *ev)
{
    struct yamux_stream *s = yamux_heaviest(y);

    if (y->held <= y->cfg.held_max || s == NULL) {
        return false;
    }
    *ev = (struct yamux_ev){.type = YAMUX_RESET, .err = QUDAG_ELIMIT, .id = s->id, .user = s->user};
    yamux_drop(y, s, 0);
    return !y->ended;
}

static bool payload(struct yamux *y, struct yamux_ev *ev)
{
    struct yamux_stream *s = yamux_find(y, y->frame.id);
    size_t n = y->in.len < y->left ? y->in.len : y->left;
    struct slice part = {y->in.base, n};

    y->in = slice_rest(y->in, n);
    y->left -= (uint32_t)n;
    if (s == NULL) {
        return false;
    }
    s->held += (uint32_t)n;
    y->held += n;
    y->useful += n;
    *ev = (struct yamux_ev){.type = YAMUX_DATA, .id = s->id, .user = s->user, .data = part};
    return true;
}

static void read_head(struct yamux *y)
{
    size_t n = YAMUX_HEADER - y->head_len;

    n = n < y->in.len ? n : y->in.len;
    memcpy(y->head + y->head_len, y->in.base, n);
    y->head_len += n;
    y->in = slice_rest(y->in, n);
}

/* One step of the input: true when it made an event.  Call only while there is something to do. */
static bool step(struct yamux *y, struct yamux_ev *ev)
{
    if (y->held > y->cfg.held_max) {
        return relieve(y, ev);
    }
    if (y->in_frame) {
        return y->left > 0 ? payload(y, ev) : frame_end(y, ev);
    }
    read_head(y);
    if (y->head_len < YAMUX_HEADER) {
        return false;
    }
    y->head_len = 0;
    return on_frame(y, ev);
}

static bool report_sent(struct yamux *y, struct yamux_ev *ev)
{
    struct yamux_stream *s = LIST_ENTRY(y->reports.next, struct yamux_stream, report);

    *ev = (struct yamux_ev){.type = YAMUX_SENT, .id = s->id, .user = s->user, .n = s->sent};
    s->sent = 0;
    list_del(&s->report);
    (void)yamux_stream_over(y, s);
    return true;
}

static bool may_open_again(struct yamux *y, struct yamux_ev *ev)
{
    if (!y->open_refused || !yamux_may_open(y)) {
        return false;
    }
    y->open_refused = false;
    *ev = (struct yamux_ev){.type = YAMUX_STREAMS_OK};
    return true;
}

void yamux_receive(struct yamux *y, struct slice in, tstamp now)
{
    y->now = now;
    charge(y);
    if (!y->ended && in.len > 0) {
        y->last_input = now;
        y->in = in;
    }
}

/* A peer that reads no answers, or no memory for them. */
static void check_unsent(struct yamux *y)
{
    if (y->unsent == QUDAG_ETOOBIG) {
        end(y, QUDAG_ELIMIT, YAMUX_INTERNAL, "the peer reads no answers");
    } else if (y->unsent != QUDAG_OK) {
        end(y, y->unsent, YAMUX_INTERNAL, NULL);
    }
}

bool yamux_next_event(struct yamux *y, struct yamux_ev *ev)
{
    check_unsent(y);
    if (!list_empty(&y->reports)) {
        return report_sent(y, ev);
    }
    while (!y->ended &&
           (y->in.len > 0 || (y->in_frame && y->left == 0) || y->held > y->cfg.held_max)) {
        bool made = step(y, ev);
        check_unsent(y);
        if (made && !y->ended) {
            return true;
        }
    }
    if (y->ended) {
        bool tell = !y->end_told;
        y->end_told = true;
        *ev = (struct yamux_ev){.type = YAMUX_END, .err = y->end_err, .text = y->end_text};
        return tell;
    }
    return may_open_again(y, ev);
}

tstamp yamux_deadline(const struct yamux *y)
{
    if (y->ended) {
        return TSTAMP_NEVER;
    }
    if (y->ping_sent != TSTAMP_NEVER) {
        return tstamp_after(y->ping_sent > y->last_input ? y->ping_sent : y->last_input,
                            y->ping_timeout_ns);
    }
    return tstamp_after(y->last_input, y->cfg.keepalive_ns);
}

void yamux_tick(struct yamux *y, tstamp now)
{
    y->now = now;
    if (now < yamux_deadline(y)) {
        return;
    }
    if (y->ping_sent != TSTAMP_NEVER) {
        end(y, QUDAG_ETIMEOUT, YAMUX_INTERNAL, "no answer to a ping");
        return;
    }
    ping(y);
}

void yamux_probe(struct yamux *y, uint64_t timeout_ns, tstamp now)
{
    y->now = now;
    if (y->ended) {
        return;
    }
    if (y->ping_sent == TSTAMP_NEVER) {
        ping(y);
    }
    if (timeout_ns < y->ping_timeout_ns) {
        y->ping_sent = now;
        y->ping_timeout_ns = timeout_ns;
    }
}

uint32_t yamux_streams(const struct yamux *y)
{
    return y->n_own + y->n_theirs;
}

size_t yamux_held(const struct yamux *y)
{
    return y->held;
}

size_t yamux_queued(const struct yamux *y)
{
    return y->queued;
}

uint64_t yamux_rtt(const struct yamux *y)
{
    return y->rtt_ns;
}
