/*
 * courier.h - messages and files for dark addresses: protocol /qudag/courier/1.0.0.
 *
 *   sender                                       receiver
 *     offer {id, kind, name, size, BLAKE3} ──▶
 *                                          ◀──  accept {offset}      (files: what it has already)
 *     content from offset ... ──▶               written and hashed as it comes
 *                                          ◀──  progress {received}  (at least once a second)
 *                                               size and hash compared, moved into the inbox
 *                                          ◀──  done {size, hash}  or  refuse {reason}
 *
 * The sender has succeeded when the hash in `done` is that of what it sent.  A message's content
 * follows its offer at once.  When a stream dies the sender opens another, over another circuit,
 * with the same id, and the receiver goes on from what it has after hashing it again.
 */
#ifndef QUDAG_BIN_COURIER_H
#define QUDAG_BIN_COURIER_H

#include "control.h"
#include "daemon.h"

#define COURIER_PROTO "/qudag/courier/1.0.0"
#define COURIER_ID_LEN 16
#define COURIER_HASH_LEN 32
#define COURIER_NAME_MAX 200       /* bytes of a file's name */
#define COURIER_MESSAGE_MAX 32768  /* bytes */
#define COURIER_BLOCK (256 * 1024) /* read and written at a time */

enum courier_kind { COURIER_MESSAGE = 0, COURIER_FILE = 1 };

enum courier_reason {
    COURIER_OK = 0,
    COURIER_TOO_LARGE = 1, /* beyond what the receiver takes in one piece */
    COURIER_INBOX_FULL = 2,
    COURIER_DISK_FULL = 3,
    COURIER_HASH_DIFFERS = 4,
    COURIER_BUSY = 5, /* too many transfers at once; later it may go */
    COURIER_BAD_OFFER = 6,
    COURIER_TROUBLE = 7, /* the receiver's own */
};
const char *courier_reason_text(unsigned reason);

struct courier_offer {
    enum courier_kind kind;
    uint8_t id[COURIER_ID_LEN];
    uint8_t hash[COURIER_HASH_LEN];
    uint64_t size;
    char name[COURIER_NAME_MAX + 1]; /* as sent: not to be trusted */
};

/* Messages: courier_msg.c.   type u8 | length u16 | body */
enum courier_type {
    COURIER_T_OFFER = 1,
    COURIER_T_ACCEPT = 2,
    COURIER_T_REFUSE = 3,
    COURIER_T_PROGRESS = 4,
    COURIER_T_DONE = 5,
};
#define COURIER_MSG_MAX 320
struct courier_msg {
    enum courier_type type;
    struct courier_offer offer;
    uint64_t n;                     /* accept: offset; progress: received; done: size */
    unsigned reason;                /* refuse */
    uint8_t hash[COURIER_HASH_LEN]; /* done */
};
size_t courier_encode(uint8_t out[COURIER_MSG_MAX], const struct courier_msg *m);
/* Bytes used; 0: more are needed; SIZE_MAX: not a message. */
size_t courier_decode(struct courier_msg *m, const uint8_t *base, size_t len);

/* The whole of it. */
bool courier_new(struct courier **out, struct daemon *d); /* false: d->state.why */
void courier_free(struct courier *k);
void courier_tick(struct courier *k, uint64_t now_ns);
/* Begins a transfer for |rq|, which it ends. */
void courier_send(struct request *rq);
void courier_abandon(struct request *rq);
void courier_inbox(struct request *rq);

/* qudag_callbacks; false: not ours. */
void courier_stream_in(struct courier *k, qudag_stream s, const char *dark);
void courier_data(struct courier *k, qudag_stream s, qudag_slice data, bool fin);
void courier_writable(struct courier *k, qudag_stream s);
void courier_closed(struct courier *k, qudag_stream s, qudag_err why);
bool courier_op_done(struct courier *k, qudag_op op, qudag_err err, const qudag_result *res);

#endif
