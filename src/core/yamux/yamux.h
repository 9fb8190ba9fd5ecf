/*
 * yamux.h - /yamux/1.0.0: streams over one byte stream that is reliable and in order.
 *
 *   bytes ─▶ yamux_receive() ─▶ yamux_next_event()          what the peer did
 *   yamux_open(), yamux_write() ... ─▶ yamux_output() ─▶ bytes
 *
 * Source: https://github.com/hashicorp/yamux/blob/master/spec.md, libp2p specs yamux/README.md.  Passive as a core:
 * no function calls back, time is a parameter.  It does not speak core.h's vocabulary, since it carries streams
 * instead of using them: its owner makes links of it (core/link.h).
 *
 * What a peer can make us hold: |streams_max| streams, |held_max| bytes that were delivered and are not consumed, and
 * control frames (answers to pings, refusals) of YAMUX_CONTROL_MAX bytes.  A peer that sends frames which carry
 * nothing at a high rate, or reads no answers, is ended with QUDAG_ELIMIT.
 *
 * What a peer can make us do: each frame costs YAMUX_FRAME_COST, which bytes of streams pay for, either way (core/load,
 * by the rule of a link).  So frames of 84 bytes and more are free; of those that carry next to nothing 100,000 a
 * second may come for ever, 400,000 beyond that, and then the session is ended with QUDAG_ELIMIT.
 */
#ifndef QUDAG_SRC_CORE_YAMUX_YAMUX_H
#define QUDAG_SRC_CORE_YAMUX_YAMUX_H

#include "core/core.h"

#define YAMUX_HEADER 12
#define YAMUX_WINDOW 262144     /* bytes each side of a stream may send at first */
#define YAMUX_FRAME_MAX 16384   /* most payload of a frame that we send */
#define YAMUX_UNACKED_MAX 256   /* streams of ours that the peer has not answered yet */
#define YAMUX_CONTROL_MAX 49152 /* bytes of queued control frames */
#define YAMUX_EMPTY_RATE 1000   /* frames a second that carry nothing, for long */
#define YAMUX_EMPTY_BURST 4000  /* and at once */
#define YAMUX_FRAME_COST                                                                           \
    500 /* ns of a processor: of them some 100 to open, read and tell one (measured), the rest for its reader */
#define YAMUX_PING_TIMEOUT (10 * NS_PER_S)
#define YAMUX_LATE_DROPPED 64 /* frames that may still come for a stream that we reset ... */
#define YAMUX_LATE_OVER 4     /* ... or that ended on both sides ... */
#define YAMUX_LATE_MAX                                                                             \
    16384 /* ... and for all of them, before they count as ones that carry nothing */

/* Codes of GO_AWAY. */
enum yamux_code {
    YAMUX_NORMAL = 0,
    YAMUX_PROTOCOL = 1,
    YAMUX_INTERNAL = 2,
};

struct yamux_config {
    struct mem *mem;
    uint8_t seed[16];     /* of the table of streams, which a peer chooses the names in */
    bool dialer;          /* its streams have odd names, the other side's even ones */
    uint32_t streams_max; /* opened by the peer, at once; default 512 */
    uint32_t
        own_max; /* opened by us, at once; default 256: rust-libp2p ends a session of 512, both ways */
    size_t queue_max; /* bytes of the send queue of a stream; default 4 MiB */
    size_t held_max;  /* bytes delivered and not consumed, of all streams; default 16 MiB */
    uint32_t
        window_max; /* bytes of window a stream grows to; default 4 MiB, at least YAMUX_WINDOW */
    uint64_t keepalive_ns; /* a ping after so long without input; default 30 s */
    uint64_t
        ping_timeout_ns; /* the end after so long without input then; default YAMUX_PING_TIMEOUT */
};

enum yamux_ev_type {
    YAMUX_STREAM,     /* id: the peer opened a stream; the taker sets its user word */
    YAMUX_DATA,       /* id, user, data: borrowed from what yamux_receive() was given */
    YAMUX_FIN,        /* id, user: the peer sends no more */
    YAMUX_RESET,      /* id, user, err, code: gone in both directions; not after yamux_reset() */
    YAMUX_SENT,       /* id, user, n: n bytes left the send queue */
    YAMUX_STREAMS_OK, /* more streams may be opened, after QUDAG_EAGAIN */
    YAMUX_GO_AWAY,    /* code: the peer opens no more streams and takes none */
    YAMUX_END, /* err, text: over, with all streams; the last event.  GO_AWAY is to be sent still */
};

struct yamux_ev {
    enum yamux_ev_type type;
    qudag_err err;
    uint32_t id;
    uint32_t code;
    uint64_t user;
    size_t n;
    struct slice data;
    const char *text; /* static */
};

struct yamux;

/* A session with the settings of |cfg| (copied), freed by yamux_free(); it begins with a ping.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err yamux_new(struct yamux **out, const struct yamux_config *cfg, tstamp now);
void yamux_free(struct yamux *y); /* NULL allowed */

/* |in| came from the peer; it must stay until yamux_next_event() has returned false, and be taken before more comes. */
void yamux_receive(struct yamux *y, struct slice in, tstamp now);
/* What happened, in order; false: all input is taken.  Any other call is allowed between two events. */
bool yamux_next_event(struct yamux *y, struct yamux_ev *ev);

/*
 * Fills |dst| with whole frames, as many as fit: control frames first, then data of the streams in turn.  |cap| must be
 * at least YAMUX_HEADER + 1.  0: there is nothing to send.  Call it after any other function.
 */
size_t yamux_output(struct yamux *y, uint8_t *dst, size_t cap);

/*
 * A large frame where its bytes lie in the queue, if one is next: nothing is copied.  At most |cap| bytes; empty: ask
 * yamux_output().  Borrowed until yamux_frame_sent(), which must come before any other call.
 */
struct slice yamux_frame(struct yamux *y, size_t cap);
/* That frame is sent. */
void yamux_frame_sent(struct yamux *y);

/* Whether yamux_output() has something. */
bool yamux_has_output(const struct yamux *y);

/* When yamux_tick() is due; TSTAMP_NEVER after the end. */
tstamp yamux_deadline(const struct yamux *y);
void yamux_tick(struct yamux *y, tstamp now);
/* Asks the peer for a sign of life: without any input for |timeout_ns| from now on the session ends. */
void yamux_probe(struct yamux *y, uint64_t timeout_ns, tstamp now);

/*
 * Opens a stream.  QUDAG_EAGAIN: there are own_max, or YAMUX_UNACKED_MAX that are not answered yet, YAMUX_STREAMS_OK
 * tells when.  QUDAG_ELIMIT after 2^31 streams, QUDAG_ECLOSED after the end or the peer's GO_AWAY, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err yamux_open(struct yamux *y, uint64_t user, uint32_t *id);

/* For streams that are gone the following do nothing; yamux_write() says QUDAG_ESTALE. */
void yamux_set_user(struct yamux *y, uint32_t id, uint64_t user);
/* Queues a copy of all of |data|.  QUDAG_ETOOBIG over queue_max, QUDAG_ESTATE after yamux_fin(), QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err yamux_write(struct yamux *y, uint32_t id, struct slice data);
/* |n| bytes of YAMUX_DATA need no room any more. */
void yamux_consume(struct yamux *y, uint32_t id, size_t n);
/* Ends our direction behind what is queued. */
void yamux_fin(struct yamux *y, uint32_t id);
/* Ends the stream in both directions; |code| is told to the peer, 0 for none. */
void yamux_reset(struct yamux *y, uint32_t id, uint32_t code);

/* Ends the session: GO_AWAY with |code| is the only thing that yamux_output() yields from now on, and once. */
void yamux_close(struct yamux *y, enum yamux_code code);

uint32_t yamux_streams(const struct yamux *y); /* of both sides, at this time */
size_t yamux_held(const struct yamux *y);      /* bytes delivered and not consumed */
size_t yamux_queued(const struct yamux *y);    /* bytes written and not taken by yamux_output() */
uint64_t yamux_rtt(const struct yamux *y); /* of the last ping, in ns; 0: none was answered yet */

#endif
