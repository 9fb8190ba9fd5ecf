/*
 * transfer_out.h - one transfer out, for the files that carry it:
 *
 *   transfer_out.c    from the request of the tool to its answer; whose turn it is
 *   transfer_hash.c   the hash of a file, and a file that changes
 *   transfer_send.c   attempts: stream, content, what the receiver says, time
 *   transfer_why.c    why it was not delivered: which attempts failed where
 *
 *   QUEUED ─▶ HASHING ─▶ OFFERED ─▶ CONTENT ─▶ WAITING ─▶ done
 *     │         ▲  ▲        ▲  └─────────┴──────────┤ stream lost, or silence
 *     └▶ ASKING ┘  └────────┴─────── PAUSED ◀───────┘
 *
 * ASKING: whether the receiver has room, before a large file is read from end to end.
 */
#ifndef QUDAG_BIN_TRANSFER_OUT_H
#define QUDAG_BIN_TRANSFER_OUT_H

#include "report.h"
#include "rules.h"
#include "transfer_int.h"

#include <sys/stat.h>

enum out_state {
    OUT_QUEUED,
    OUT_ASKING,
    OUT_HASHING,
    OUT_OFFERED,
    OUT_CONTENT,
    OUT_WAITING,
    OUT_PAUSED
};

struct transfer_out {
    struct transfer_out *next;
    struct transfers *k;
    struct request *rq; /* NULL: nobody waits any more */
    enum out_state state;
    struct transfer_offer offer;
    char addr[QUDAG_DARK_TEXT_MAX];
    qudag_dark_options options; /* its isolation key */
    bool shares;                /* ... is one that the user named: others may use the circuit */
    qudag_circuit circuit;      /* of |stream|; id 0: none (yet) */
    int fd;                     /* FILE */
    struct stat at_start;       /* of the file */
    struct transfer_job job;
    struct rules_sending been; /* what bounds the attempts */
    bool hashed;               /* |offer| is complete */
    struct unsent_what what;   /* then: what is sent to whom */
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
    } failed[RULES_STAGES];
    size_t head_len, head_at, in_len, block_len, block_at;
    uint8_t head[TRANSFER_MSG_MAX], in[TRANSFER_MSG_MAX];
    uint8_t *block; /* MESSAGE: the whole content; FILE: TRANSFER_BLOCK bytes once it is at work */
};

/* ---- transfer_out.c */
/* Whether |s|, which may have been freed, is one of |k|. */
bool transfer_out_find(struct transfers *k, const struct transfer_out *s);

/* Takes |s| out of the list and frees it; no thread may be at work for it, and nobody wait. */
void transfer_out_unlink(struct transfer_out *s);

/* Resets the stream of |s|, if it has one. */
void transfer_out_drop_stream(struct transfer_out *s);

/* Nobody else may use the circuit of |s|: it is closed, unless it is gone. */
void transfer_out_drop_circuit(struct transfer_out *s);

/* Ends it with an answer, of TOOL_OK too; |s| is gone, or will be once the thread that hashes has ended. */
void transfer_out_fail(struct transfer_out *s, enum tool_exit code, const char *error,
                       const char *message, const char *hint);

/* The same with the words for |err|; the same file may be sent again, and goes on. */
void transfer_out_fail_err(struct transfer_out *s, qudag_err err, const char *what);

/* It may go on when the same file is sent again: its id is remembered for a while. */
void transfer_out_remember(const struct transfer_out *s);

/* What is known of the stream; false: there is none. */
bool transfer_out_stream_of(const struct transfer_out *s, qudag_stream_state *info);

/* Where it stands, to the tool: REC_PROGRESS, or REC_ROW with the outcome. */
void transfer_out_report(struct transfer_out *s, enum rec_type type);

/* The oldest that waits begins when there is room. */
void transfer_out_next_turn(struct transfers *k);

/* ---- transfer_hash.c */
/* Hashes what is sent, on a thread; transfer_out_begin() follows, or the end. */
void transfer_out_hash(struct transfer_out *s);

/* Hashes the file again, beside what goes on.  False: that cannot be. */
bool transfer_out_look_again(struct transfer_out *s);

/* The receiver reported another hash, and the file was hashed again: |other_hash|, ours is another one too. */
void transfer_out_on_differs(struct transfer_out *s, bool other_hash);

/* All of the file was queued: was it written to meanwhile? */
void transfer_out_check_file(struct transfer_out *s);

/* ---- transfer_why.c */
/* The attempt that is under way failed with |why|: counts it at the stage it was in. */
void transfer_why_note(struct transfer_out *s, qudag_err why);

/* In words: the last failure, and that it waits. */
void transfer_why_text(char *out, size_t cap, const struct transfer_out *s);

/* Ends it undelivered, with what was tried and what failed; |why|: if no attempt failed. */
void transfer_why_end(struct transfer_out *s, qudag_err why);

/* ---- transfer_send.c */
/* Enters |state|, which the tool is told when it is another one. */
void transfer_out_enter(struct transfer_out *s, enum out_state state);

/* Another attempt: a stream to the address, and the offer, or the question before it, to be sent on it. */
void transfer_out_begin(struct transfer_out *s);

/* The attempt failed: another one after a pause, or the end. */
void transfer_out_try_again(struct transfer_out *s, qudag_err why);

#endif
