/* yamux_int.h - the session and its streams, shared by the files of this folder. */
#ifndef QUDAG_SRC_CORE_YAMUX_YAMUX_INT_H
#define QUDAG_SRC_CORE_YAMUX_YAMUX_INT_H

#include "base/fifo.h"
#include "base/limiter.h"
#include "base/list.h"
#include "base/map.h"
#include "core/load/load.h"
#include "core/yamux/yamux.h"

enum frame_type {
    FRAME_DATA,
    FRAME_WINDOW_UPDATE,
    FRAME_PING,
    FRAME_GO_AWAY,
};

enum frame_flag {
    FLAG_SYN = 1,
    FLAG_ACK = 2,
    FLAG_FIN = 4,
    FLAG_RST = 8,
};

struct frame {
    uint8_t type;
    uint16_t flags;
    uint32_t id;
    uint32_t len; /* or a delta, a value, a code, by type */
};

struct yamux_stream {
    uint32_t id;
    uint64_t user;
    bool own;     /* we opened it */
    bool unacked; /* and the peer has not answered */
    uint16_t owe; /* FLAG_SYN, FLAG_ACK: to go with the next window update */
    bool fin_wanted, fin_sent, fin_got;
    uint32_t send_window; /* bytes the peer still takes */
    uint32_t window;      /* bytes it may have on the way to us and here */
    uint32_t recv_window; /* bytes it may still send */
    uint32_t delta;       /* bytes consumed and not granted again */
    uint32_t held;        /* bytes delivered and not consumed */
    size_t sent;          /* bytes that left the queue, not reported yet */
    tstamp granted;       /* when the last window update was made */
    struct fifo queue;
    struct list all;
    struct list update; /* in y->updates: owes a window update */
    struct list ready;  /* in y->ready: has data or FIN that may go */
    struct list report; /* in y->reports: |sent| */
};

struct yamux {
    struct yamux_config cfg;
    struct map streams;
    struct list all, updates, ready, reports;
    struct fifo control; /* whole frames */
    struct limiter empty;
    struct load_account work; /* that the peer makes for nothing */
    uint64_t frames, useful;  /* since input came last: how many, bytes of streams either way */
    uint32_t n_own, n_theirs, n_unacked, next_id;
    size_t held, grown; /* |grown|: bytes of windows above YAMUX_WINDOW */
    size_t queued;      /* bytes in the queues of all streams */
    uint32_t lent;      /* bytes of payload of the frame that yamux_frame() gave */
    uint32_t late;      /* frames for streams that are gone which are nobody's fault */
    bool open_refused;  /* QUDAG_EAGAIN was said and not taken back */

    struct slice in;
    uint8_t head[YAMUX_HEADER];
    size_t head_len;
    struct frame frame; /* the data frame being read, if |left| or |in_frame| */
    uint32_t left;      /* bytes of its payload still to come */
    bool in_frame;

    tstamp now, last_input;
    tstamp ping_sent; /* TSTAMP_NEVER: none is under way */
    uint32_t ping_value;
    uint64_t ping_timeout_ns; /* of the one under way */
    uint64_t rtt_ns;

    bool peer_gone;   /* its GO_AWAY came */
    bool ended;       /* no input, no streams */
    bool end_told;    /* YAMUX_END was returned, or needs not be */
    bool close_sent;  /* our GO_AWAY is in |control| or left it */
    qudag_err unsent; /* why a control frame was lost; QUDAG_OK: none was */
    qudag_err end_err;
    const char *end_text;
};

/* yamux_stream.c */
struct yamux_stream *yamux_find(const struct yamux *y, uint32_t id);
/* NULL without memory. */
struct yamux_stream *yamux_stream_new(struct yamux *y, uint32_t id, bool own, uint64_t user);
void yamux_stream_free(struct yamux *y, struct yamux_stream *s);
/* Frees |s| if both directions have ended; then true. */
bool yamux_stream_over(struct yamux *y, struct yamux_stream *s);
/* One more of ours: its limits allow it now. */
bool yamux_may_open(const struct yamux *y);
/* Puts it among those that may send if it may. */
void yamux_stream_ready(struct yamux *y, struct yamux_stream *s);
/* So many frames may still come for a stream that is gone now. */
void yamux_expect_late(struct yamux *y, uint32_t frames);
/* The peer answered a stream of ours. */
void yamux_acked(struct yamux *y, struct yamux_stream *s);
/* Frees |s| and tells the peer so. */
void yamux_drop(struct yamux *y, struct yamux_stream *s, uint32_t code);
/* The stream with most bytes held; NULL: there is none. */
struct yamux_stream *yamux_heaviest(const struct yamux *y);

/* yamux_send.c */
/* Queues a control frame; where that cannot be, y->unsent says why. */
void yamux_control(struct yamux *y, const struct frame *f);

#endif
