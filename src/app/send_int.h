/*
 * send_int.h - one delivery, for the files that carry it:
 *
 *   send.c         qudag_send_*(): what is asked for, and time
 *   send_out.c     what is told of it, and its end
 *   send_hash.c    the hash of a file, and a file that changes
 *   send_try.c     attempts: whose turn it is, stream, content, what the receiver says
 *   send_peer.c    to a peer: looked for where need be, and from link to link
 *   send_why.c     why it was not delivered: which attempts failed where
 *
 *   QUEUED ─▶ HASHING ─▶ OFFERED ─▶ CONTENT ─▶ WAITING ─▶ ENDED
 *     │         ▲  ▲        ▲  └─────────┴──────────┤ stream lost, or silence
 *     └▶ ASKING ┘  └────────┴─────── PAUSED ◀───────┘
 *
 * ASKING: whether the receiver has room, before a large file is read from end to end.  Whoever hears of a change may
 * end the delivery: it is ENDED then, and freed when nobody of us is at work with it (struct sends, depth).
 */
#ifndef QUDAG_SRC_APP_SEND_INT_H
#define QUDAG_SRC_APP_SEND_INT_H

#include <qudag/send.h>

#include "api/clients.h"
#include "api/sized.h"
#include "app/delivery.h"
#include "app/transfer_job.h"
#include "app/unsent.h"

#include <sys/stat.h>

enum send_stage {
    OUT_QUEUED,
    OUT_ASKING,
    OUT_HASHING,
    OUT_OFFERED,
    OUT_CONTENT,
    OUT_WAITING,
    OUT_PAUSED,
    OUT_ENDED,
};

/* All of one node. */
struct sends {
    qudag_node *node;
    struct api_client *client;
    struct send_out *first; /* the newest comes first */
    unsigned n;             /* that have not ended */
    uint64_t last_id;
    unsigned depth;             /* calls at work below us */
    size_t n_peers;             /* with a link */
    bool ready;                 /* circuits could be built once */
    struct unsent_table unsent; /* ended before they were delivered */
    uv_timer_t *timer;          /* frees itself when closed */
    bool at_work;               /* it runs often */
};

struct send_out {
    struct send_out *next;
    struct sends *k;
    uint64_t id;
    enum send_stage state;
    void (*changed)(qudag_node *n, qudag_send s, const qudag_send_info *info, void *user);
    void *user;
    struct transfer_offer offer;
    char addr[QUDAG_DARK_TEXT_MAX]; /* or the text of |peer| */
    qudag_peer_id peer;             /* it goes to this one, over links; len 0: to |addr| */
    bool look;                      /* no address of |peer| led to it: the DHT is asked first */
    bool looking;                   /* ... by |op| */
    bool unfound;                   /* ... and knew none, either */
    bool short_lived;               /* the link of |stream| is one that a relay limits */
    qudag_op op;
    unsigned moves;             /* from one link to another */
    uint64_t moved_ns;          /* when it did last */
    qudag_dark_options options; /* its isolation key */
    bool shares;                /* ... is one that the program named: others may use the circuit */
    bool again;                 /* not under the id of an earlier one */
    qudag_circuit circuit;      /* of |stream|; id 0: none (yet) */
    struct stat at_start;       /* of the file */
    struct transfer_job *job;   /* with the file */
    struct delivery_sending been; /* what bounds the attempts */
    bool hashed;                  /* |offer| is complete */
    struct unsent_what what;      /* then: what is sent to whom */
    bool differs; /* the receiver reported another hash, and the file is hashed again for that */
    qudag_stream stream;
    bool streaming;  /* |stream| lives */
    bool on_circuit; /* the address is resolved: the stream has a circuit, maybe not yet built */
    bool open;       /* the receiver has the stream */
    uint64_t at, acked,
        resumed; /* next byte to queue; received there; where the last stream began */
    uint64_t begun_ns, sent_ns; /* first; when content began */
    uint64_t heard_ns, progress_ns, until_ns, reported_ns;
    unsigned pauses;     /* since the last progress; decide how long the next one is */
    qudag_err last;      /* why the last attempt failed */
    const char *refusal; /* ... the receiver's word, if it refused; NULL: it did not */
    bool limited;        /* the next one has to wait: src/node/budget.h */
    struct {
        unsigned n; /* attempts that failed there */
        qudag_err last;
    } failed[DELIVERY_STAGES];
    size_t head_len, head_at, in_len, block_len, block_at;
    uint8_t head[TRANSFER_MSG_MAX], in[TRANSFER_MSG_MAX];
    uint8_t *block; /* MESSAGE: the whole content; FILE: TRANSFER_BLOCK bytes once it is at work */
};

/* ---- send.c */
/* The deliveries of |n|; NULL: it has not yet had one. */
struct sends *send_of(const qudag_node *n);

/* ---- send_out.c */
/* Frees one that is in no list; a thread at work for it ends by itself. */
void send_free(struct send_out *s);
/* It has ended; nobody is told.  Freed by send_leave_call(). */
void send_finish(struct send_out *s);
/* How it stands. */
void send_describe(qudag_send_info *out, const struct send_out *s);
/* Resets the stream of |s|, if it has one. */
void send_drop_stream(struct send_out *s);
/* The last failure in words: the receiver's, if it refused. */
const char *send_last_text(const struct send_out *s, qudag_err last);
/* The look for the peer of |s| is given up, if there is one. */
void send_stop_looking(struct send_out *s);
/* Nobody else may use the circuit of |s|: it is closed, unless it is gone. */
void send_drop_circuit(struct send_out *s);
/* All of it is at the receiver: the end. */
void send_delivered(struct send_out *s);
/* It failed: the program hears |why|, a sentence, and it is over. */
void send_fail(struct send_out *s, qudag_send_end end, qudag_err err, const char *why);
/* It may go on when the same file is sent again: its id is remembered for a while. */
void send_remember(const struct send_out *s);
/* What is known of the stream; false: there is none. */
bool send_stream_of(const struct send_out *s, qudag_stream_state *info);
/* Where it stands, to the program; it may be ended by that. */
void send_report(struct send_out *s);
/* A call of the node, a thread or the program begins and ends: what has ended meanwhile is freed. */
void send_enter_call(struct sends *k);
/* See there. */
void send_leave_call(struct sends *k);

/* ---- send_hash.c */
/* Hashes what is sent, on a thread; send_begin() follows, or the end. */
void send_hash(struct send_out *s);
/* Hashes the file again, beside what goes on.  False: that cannot be. */
bool send_look_again(struct send_out *s);
/* The receiver reported another hash, and the file was hashed again: |other_hash|, ours is another one too. */
void send_on_differs(struct send_out *s, bool other_hash);
/* All of the file was queued: was it written to meanwhile? */
void send_check_file(struct send_out *s);

/* ---- send_peer.c */
/* Opens the stream of |s|, or looks for its peer before; s->streaming or s->looking on success. */
QUDAG_MUST_USE qudag_err send_open_peer(struct send_out *s);
/* Opens the stream of |s|, to its peer, at once. */
QUDAG_MUST_USE qudag_err send_open_link(struct send_out *s);
/* Whether |s| is to go on over another link, which is noted as done. */
bool send_moves(struct send_out *s, uint64_t now_ns);
/* What the end of a stream to a peer means: true: the end of |s|; false: that the attempt failed with |*why|. */
bool send_peer_refuses(struct send_out *s, qudag_err *why);

/* ---- send_why.c */
/* The attempt that is under way failed with |why|: counts it at the stage it was in. */
void send_why_note(struct send_out *s, qudag_err why);
/* Ends it undelivered, with what was tried and what failed; |why|: if no attempt failed. */
void send_why_end(struct send_out *s, qudag_err why);

/* ---- send_try.c */
/* Enters |state|, which the program is told when it is another one. */
void send_enter(struct send_out *s, enum send_stage state);
/* Another attempt: a stream to the address, and the offer, or the question before it, to be sent on it. */
void send_begin(struct send_out *s);
/* The attempt failed: another one after a pause, or the end. */
void send_try_again(struct send_out *s, qudag_err why);
/* There are links again after there were none: what waits before its next attempt waits no longer. */
void send_network_back(struct sends *k);
/* Callbacks of the streams; see qudag_callbacks. */
void send_stream_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user);
/* The stream is open, or there is room in its send queue again. */
void send_stream_writable(qudag_node *n, qudag_stream s, void *user);
/* The look for a peer has ended. */
void send_op_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user);
/* Its circuit is too old: what is left goes over another one. */
void send_stream_old(qudag_node *n, qudag_stream s, qudag_ns left, void *user);
/* The stream has ended: another attempt, or the end of the delivery. */
void send_stream_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user);
/* Starts deliveries that waited for their turn, and ends those that took too long. */
void send_tick(struct sends *k, uint64_t now_ns);

#endif
