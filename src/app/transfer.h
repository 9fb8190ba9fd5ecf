/*
 * transfer.h - messages and files for dark addresses: protocol /qudag/transfer/1.0.0; for peers, over links:
 * /qudag/transfer-peer/1.0.0.
 *
 *   sender                                       receiver
 *     offer {id, kind, name, size, BLAKE3} ──▶
 *                                          ◀──  accept {offset}      (files: what it has already)
 *     content from offset ... ──▶               written and hashed as it comes
 *                                          ◀──  progress {received}  (at least once a second)
 *                                               size and hash compared, moved into the inbox
 *                                          ◀──  done {size, hash}  or  refuse {reason}
 *
 * Before a large file is hashed for its offer, a stream of its own asks for room: ask {kind, size} ──▶ accept or
 * refuse, FIN.
 *
 * The sender has succeeded when the hash in `done` is that of what it sent.  A message's content
 * follows its offer at once.  When a stream dies the sender opens another, over another circuit,
 * with the same id, and the receiver goes on from what it has after hashing it again.
 */
#ifndef QUDAG_SRC_APP_TRANSFER_H
#define QUDAG_SRC_APP_TRANSFER_H

#include <qudag/send.h>
#include <qudag/text.h>

#include "base/types.h"

#define TRANSFER_PROTO "/qudag/transfer/1.0.0"
/* The same between peers that know each other, over links: never where the sender is hidden. */
#define TRANSFER_PEER_PROTO "/qudag/transfer-peer/1.0.0"
#define TRANSFER_PEER_PREFIX                                                                       \
    "/p2p/" /* before the sender's peer id, where else an address of ours stands */
#define TRANSFER_ID_LEN 16
#define TRANSFER_HASH_LEN 32
#define TRANSFER_NAME_MAX QUDAG_NAME_MAX /* bytes of a file's name */
#define TRANSFER_MESSAGE_MAX QUDAG_MESSAGE_MAX
#define TRANSFER_BLOCK (256 * 1024) /* read and written at a time */
#define TRANSFER_ASK_MIN                                                                           \
    (64u << 20) /* bytes of a file from which on the receiver is asked before it is hashed */

enum transfer_kind { TRANSFER_MESSAGE = 0, TRANSFER_FILE = 1 };

enum transfer_reason {
    TRANSFER_OK = 0,
    TRANSFER_TOO_LARGE = 1, /* beyond what the receiver takes in one piece */
    TRANSFER_INBOX_FULL = 2,
    TRANSFER_DISK_FULL = 3,
    TRANSFER_HASH_DIFFERS = 4,
    TRANSFER_BUSY = 5, /* too many transfers at once; later it may go */
    TRANSFER_BAD_OFFER = 6,
    TRANSFER_TROUBLE = 7, /* the receiver's own */
    TRANSFER_CLOSED = 8,  /* the receiver takes nothing at all */
};

/* A clause for people, also for a number that is none; static. */
const char *transfer_reason_text(unsigned reason);

struct transfer_offer {
    enum transfer_kind kind;
    uint8_t id[TRANSFER_ID_LEN];
    uint8_t hash[TRANSFER_HASH_LEN];
    uint64_t size;
    char name[TRANSFER_NAME_MAX + 1]; /* as sent: not to be trusted */
};

/* Nanoseconds from |then| to |now|; 0 where |then| is later, as what began within a tick is. */
static inline uint64_t transfer_since(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

/* Messages: transfer_msg.c.   type u8 | length u16 | body */
enum transfer_type {
    TRANSFER_T_OFFER = 1,
    TRANSFER_T_ACCEPT = 2,
    TRANSFER_T_REFUSE = 3,
    TRANSFER_T_PROGRESS = 4,
    TRANSFER_T_DONE = 5,
    TRANSFER_T_ASK = 6,
};
#define TRANSFER_MSG_MAX 320
struct transfer_msg {
    enum transfer_type type;
    struct transfer_offer offer;     /* ask: kind and size only */
    uint64_t n;                      /* accept: offset; progress: received; done: size */
    unsigned reason;                 /* refuse */
    uint8_t hash[TRANSFER_HASH_LEN]; /* done */
};

/* Writes a message and returns its length.  The name of an offer has at most TRANSFER_NAME_MAX bytes. */
size_t transfer_encode(uint8_t out[TRANSFER_MSG_MAX], const struct transfer_msg *m);

/*
 * Replaces the id of an offer that came to the dark address |to| by one that depends on both: what was sent to one
 * address of this node is unknown at the others, and the id as it was sent is stored nowhere.
 */
void transfer_scope(struct transfer_offer *o, const char *to);

/* Bytes used; 0: more are needed; SIZE_MAX: not a message. */
size_t transfer_decode(struct transfer_msg *m, const uint8_t *base, size_t len);

#endif
