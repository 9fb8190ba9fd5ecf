/* streams.h - streams of the program, as arrows see them. */
#ifndef QUDAG_SRC_NODE_STREAMS_H
#define QUDAG_SRC_NODE_STREAMS_H

#include "base/dyn.h"
#include "base/list.h"
#include "node/node.h"

#define NODE_STREAM_COPY_MIN 2048 /* bytes from which on a copy has memory of its own */
#define NODE_LENT_MIN 512         /* received bytes that are not copied to be lent */
#define NODE_LENT_HELD_MAX                                                                         \
    (512u * 1024u) /* bytes of blocks that stay because one stream lends parts of them */

struct node_stream {
    struct list wait;    /* in circuit.waiting, or node.resolving */
    struct list todo;    /* in node.todo, while the drain has something to do for it */
    struct list pressed; /* in node.pressed, while it waits for room in the accounts of bytes */
    struct ref ref, strm;
    const char *proto;
    struct dark_addr dark;
    struct node_isolation isolation; /* with |dark|: whom it may share a circuit with */
    struct ref on;                   /* circuit it shall be opened on */
    const struct node_circuit *via;  /* ... or that is still being built; NULL: none */
    struct peer_id to;
    uint32_t queued;
    struct dyn early;        /* written before the stream was open */
    struct list early_owned; /* ... and handed over, behind |early| */
    uint32_t early_owned_len, early_owned_n;
    uint32_t handed;  /* bytes handed over and not released */
    bool lends;       /* what arrives is kept until it is consumed */
    struct list lent; /* that, as pieces */
    size_t lent_len, lent_held;
    void *user;    /* the program's */
    void *owner;   /* the host's: to whom its events go */
    qudag_err why; /* dropped: the reason that the peer gets */
    size_t credit; /* bytes consumed, not returned as credit yet */
    size_t wanted; /* for which there must be room: a buffer, or NODE_STREAM_STEP bytes at most */
    bool turn;     /* it is its turn among those that wait for room */
    bool open_due, opened, want_writable;
    bool
        unsure; /* opened on a link that the peer may still refuse: the program has not heard of it */
    uint8_t targets;      /* of its dark address, that led nowhere */
    uint64_t target_seq;  /* the last of them, if it was hidden: dark_target.seq */
    bool canceled;        /* while it is being opened */
    bool fin_in, fin_out; /* fin_out: asked for; with fin_done also sent */
    bool fin_done, dropped, inbound;
};

/* Registers the core whose streams are the program's. */
QUDAG_MUST_USE qudag_err node_streams_init(struct node *n);
/* A stream for |proto|, to be opened or freed by the caller.  EINVAL, ESTATE, ELIMIT. */
QUDAG_MUST_USE qudag_err node_stream_prepare(struct node *n, const char *proto,
                                             struct node_stream **out);
/* Frees one the program never heard of. */
void node_stream_free(struct node *n, struct node_stream *a);
/* Opens it in the next drain: on |circuit|, or to its peer when that names none. */
void node_stream_open_now(struct node *n, struct node_stream *a, struct ref circuit);
/* The program closes |circuit|: what is being opened on it ends with ECANCELED, not as if the circuit had failed. */
void node_streams_cancel_opens(struct node *n, struct ref circuit);
/* It is over: the program hears so once, and |a| is freed. */
void node_stream_closed(struct node *n, struct node_stream *a, qudag_err why);
/* Closes all in |from|, and none that the program opens meanwhile. */
void node_streams_close_list(struct node *n, struct list *from, qudag_err why);
/* |a| took less than the program had: hooks.stream_writable follows, when |wanted| bytes find room. */
void node_stream_want_writable(struct node *n, struct node_stream *a, size_t wanted);

/* Whether |more| bytes fit beside |used|, where at most |max| may be. */
bool node_rule_fits(size_t used, size_t more, size_t max);
/*
 * Whether the program is told that a stream with |queued| bytes takes more, of |most|.  Then it does take some, else a
 * program that tries at once would be told again and again.
 */
bool node_rule_writable(size_t queued, size_t most);
/* Whether its queue takes |len| bytes in one piece: always where the program would be told that it takes more. */
bool node_rule_takes_whole(size_t queued, size_t len, size_t most);

/* pressure.c: streams of the program and the accounts of bytes. */

#define NODE_STREAM_STEP                                                                           \
    16384 /* bytes that a stream may have on the way even where others use all that there is */

/* How a stream stands with the accounts of bytes. */
struct node_pressure {
    uint64_t ease, left, held; /* struct swarm_stream_room */
    uint32_t waiting;          /* streams that wait for room */
    bool turn;                 /* it is the turn of this one among them, or nobody waits */
};
/*
 * Bytes that it may add.  With ease, what is left of it: shared with those that wait, out of turn, and a buffer at most
 * in it.  Without, what makes NODE_STREAM_STEP bytes on the way; out of turn none.
 */
uint64_t node_rule_room(const struct node_pressure *p);
/* Whether it may add |len| bytes in one piece: there is that room, or it is its turn and it has nothing on the way. */
bool node_rule_whole(const struct node_pressure *p, size_t len);

/* The same for |a|, which is open, now. */
size_t node_stream_room(const struct node *n, const struct node_stream *a);
bool node_stream_whole(const struct node *n, const struct node_stream *a, size_t len);
/* |len| bytes, for which there is room, are to be written on |a|.  False: it is gone. */
bool node_stream_reserve(struct node *n, struct node_stream *a, size_t len);
/* |a| does not wait for room any more. */
void node_stream_unpress(struct node *n, struct node_stream *a);
/* Whether there may be room for some that wait. */
bool node_streams_pressed_due(const struct node *n);
/* streams.c: gives those their turn, who waits longest first. */
void node_streams_ease(struct node *n);

/* Writes what was handed over before |a| was open, as far as there is room. */
void node_stream_flush_owned(struct node *n, struct node_stream *a);
/* The length of the first of these; there is one. */
size_t node_stream_early_first(const struct node_stream *a);
/* Gives that back instead. */
void node_stream_drop_owned(struct node_stream *a);
/* Tells the program of all that nobody holds any more. */
void node_buffers_flush(struct node *n);
/* The node ends: the same for all that anybody holds.  Nothing may be sent afterwards. */
void node_buffers_free(struct node *n);

/*
 * Whether |len| received bytes are lent where they are, in a block of |size| bytes, to a stream because of which |held|
 * bytes of blocks stay already; else they are copied.  Not small ones, which need more memory to be told apart than to
 * be copied, and no more than NODE_LENT_HELD_MAX: what a peer sends to other streams is in the same blocks.
 */
bool node_rule_lend(size_t held, size_t size, size_t len);
/* |data| arrived on |a|, which lends; |keep| as in struct ev.  False: no memory. */
bool node_lent_add(struct node *n, struct node_stream *a, struct slice data, struct buf *keep);
/* The first |len| bytes of what is lent, or all, are done with; how many those were. */
size_t node_lent_consume(struct node *n, struct node_stream *a, size_t len);
/* Takes back all of |lent|. */
void node_lent_free(struct node *n, struct list *lent);

/* Does what the program asked for, as far as there is room for actions. */
void node_streams_flush(struct node *n);
/* Closes all with QUDAG_ECANCELED. */
void node_streams_free(struct node *n);

#endif
