/*
 * send.h - messages and files, delivered to a dark address, or to a peer that is named (spec/transfer.md).
 *
 *   qudag_send_message, qudag_send_file ──▶ queued ─▶ ... ─▶ delivered, or failed; exactly one of them
 *
 * Delivered means: the receiver stored all of it and named its hash (BLAKE3), which is that of what was sent.  An
 * attempt that fails is followed by others, over other circuits, from where the receiver is.  Each delivery has
 * circuits of its own unless it is given an isolation key: a receiver cannot tell that two come from one sender.
 *
 * To a dark address nobody learns who sends.  To a peer (qudag_send_options, peer) it goes over links, relayed at first
 * where that is what there is, and is not anonymous: the peer knows who sends and, once the link is direct, from which
 * address; a circuit relay in between knows both ends, times and sizes, and not the content.  A file moves to a direct
 * link when there is one, and back when that dies, and goes on from where the receiver is.
 *
 * The streams of deliveries do not reach the program's callbacks.  The other side is inbox.h.
 */
#ifndef QUDAG_SEND_H
#define QUDAG_SEND_H

#include <qudag/dark.h>
#include <qudag/text.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_MESSAGE_MAX 32768 /* bytes of a message; what is larger is sent as a file */
#define QUDAG_SENDS_MAX 1024    /* deliveries of a node that have not ended */
#define QUDAG_SENDS_AT_WORK_MAX                                                                    \
    8                          /* of them at work; the others wait their turn, the oldest first */
#define QUDAG_SEND_HASH_LEN 32 /* BLAKE3 */
#define QUDAG_SEND_WHY_MAX 512 /* bytes of a sentence about why, with NUL */

/* A delivery.  Its handle is stale once |changed| is told its end, or qudag_send_cancel was called. */
typedef struct qudag_send {
    uint64_t id;
} qudag_send;

typedef enum qudag_send_state {
    QUDAG_SEND_QUEUED,     /* waits its turn */
    QUDAG_SEND_RESOLVING,  /* the address is looked up */
    QUDAG_SEND_CONNECTING, /* a circuit is built, or the receiver has not yet answered */
    QUDAG_SEND_HASHING,    /* the file is read from end to end, on a thread of libuv's pool */
    QUDAG_SEND_SENDING,
    QUDAG_SEND_CONFIRMING, /* all is on its way */
    QUDAG_SEND_RETRYING,   /* an attempt failed; the next one follows */
    QUDAG_SEND_DELIVERED,
    QUDAG_SEND_FAILED,
} qudag_send_state;

/* Why a delivery failed. */
typedef enum qudag_send_end {
    QUDAG_SEND_END_NONE, /* it has not */
    QUDAG_SEND_END_UNREACHED, /* attempts failed until none was left: |err|; the same may be sent again */
    QUDAG_SEND_END_BUSY,          /* the receiver had no room; later it may */
    QUDAG_SEND_END_REFUSED,       /* by the receiver, which alone can change that */
    QUDAG_SEND_END_OTHER_NETWORK, /* of the two one is a lab, the other is not */
    QUDAG_SEND_END_READ,          /* the file could not be read */
    QUDAG_SEND_END_CHANGED,       /* the file was written to meanwhile */
    QUDAG_SEND_END_DAMAGED,       /* the receiver reported twice that it got something else */
    QUDAG_SEND_END_OTHER_HASH,    /* the receiver confirmed another content than was sent */
    QUDAG_SEND_END_LOST,  /* the receiver lost what it had confirmed; all is sent the next time */
    QUDAG_SEND_END_LOCAL, /* memory, or a thread, lacks here: |err| */
} qudag_send_end;

/* How a delivery stands. */
typedef struct qudag_send_info {
    uint32_t size; /* set by the caller, see types.h */
    qudag_send_state state;
    qudag_send_end end; /* once it has failed */
    qudag_err err;      /* why: of the end; before it, of the last attempt that failed */
    uint32_t attempts;  /* streams opened so far */
    bool file;          /* else a message */
    uint8_t pad[3];
    uint64_t bytes;         /* of the content */
    uint64_t hashed, acked; /* of them: read for the hash; at the receiver, as it says */
    uint64_t resumed;       /* where the last attempt began */
    qudag_ns elapsed;       /* since it was asked for */
    qudag_ns sending;       /* since the first content was sent; 0: not yet */
    qudag_ns left;          /* before it fails if nothing gets on; 0 as long as no attempt failed */
    qudag_circuit circuit;  /* its present one; id 0: none */
    void *user;             /* of the options */
    uint8_t hash[QUDAG_SEND_HASH_LEN]; /* once it was hashed, else zero */
    char name[QUDAG_NAME_MAX + 8];     /* of a file */
    char why[QUDAG_SEND_WHY_MAX];      /* a sentence for people that goes with |err|; or "" */
    uint32_t moves;                    /* to a peer: times it left a link for a direct one */
    bool direct;                       /* its stream runs over a direct link */
    bool relayed;        /* ... over one that |relay| passes on; neither: there is no stream now */
    qudag_peer_id peer;  /* that it goes to; len 0: to a dark address */
    qudag_peer_id relay; /* len 0: none */
} qudag_send_info;

/* How something is sent; all may be left zero. */
typedef struct qudag_send_options {
    uint32_t size; /* set by the caller, see types.h */
    /*
     * Bytes of |isolation|; 0: a key of its own, which no other delivery has.  Those with the same key may share a
     * circuit, and the receiver may know then that they come from one sender.
     */
    uint32_t isolation_len;
    uint8_t isolation[QUDAG_ISOLATION_MAX];
    const char *
        name; /* of a file, as the receiver gets it, at most QUDAG_NAME_MAX bytes are sent; copied.  NULL: the
                         last part of its path */
    /*
     * Called on the node's thread at each change of state, ten times a second at most while it gets on, each second
     * while it waits its turn, and once with the end; never before the call that began it has returned.  Any function
     * of this library but qudag_node_free may be called from it.  |info| is borrowed.  NULL: nobody is told.
     */
    void (*changed)(qudag_node *n, qudag_send s, const qudag_send_info *info, void *user);
    void *user;
    /*
     * From the beginning.  Else a file of which a part was delivered less than a day ago by this same node goes on
     * where it ended: same address, name, content and isolation.  That is remembered in memory only, so that nothing
     * on a disk leads from a file to its receiver (doc/decisions/0020-isolation.md).
     */
    bool again;
    uint8_t pad[7];
    uint64_t local_user; /* as in qudag_dark_options */
    /*
     * Not to a dark address but to this peer, over links; |addr| is NULL then.  Not anonymous, see above.  The peer
     * must have allowed this node (qudag_inbox_allow()); the DHT is asked if no address of it is known.
     */
    const qudag_peer_id *peer;
} qudag_send_options;

/*
 * Sends a message of at most QUDAG_MESSAGE_MAX bytes, which are copied, to the dark address |addr|; |o| may be NULL.
 * Before QUDAG_PHASE_READY, too: it is tried until circuits can be built.
 * At once: QUDAG_EINVAL (arguments; |addr| and a peer, or neither; or this node itself), QUDAG_ETOOBIG, what
 * qudag_dark_check returns, QUDAG_ELIMIT (QUDAG_SENDS_MAX), QUDAG_ENOMEM, QUDAG_ESTATE (the node is being freed).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_send_message(qudag_node *n, const char *addr,
                                                      qudag_slice text, const qudag_send_options *o,
                                                      qudag_send *out);
/*
 * Sends the regular file at |path|, which stays open until the end and must not be written to.  As above, and
 * QUDAG_ESYSTEM: it cannot be opened (errno is the reason), or is no regular file.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_send_file(qudag_node *n, const char *addr,
                                                   const char *path, const qudag_send_options *o,
                                                   qudag_send *out);
/* The same with an open file; |fd| belongs to the library when QUDAG_OK is returned.  Its name without |o|: "file". */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_send_fd(qudag_node *n, const char *addr, int fd,
                                                 const qudag_send_options *o, qudag_send *out);
/*
 * Ends a delivery; nobody is told.  What the receiver has stays there for a while, and the same file goes on from it.
 * QUDAG_ESTALE.
 */
QUDAG_API qudag_err qudag_send_cancel(qudag_node *n, qudag_send s);
/* How it stands now.  QUDAG_ESTALE, QUDAG_EINVAL. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_send_status(const qudag_node *n, qudag_send s,
                                                     qudag_send_info *out);
/* The name of a state: "queued", "resolving" ...; never NULL, static. */
QUDAG_API const char *qudag_send_state_name(qudag_send_state state);

#ifdef __cplusplus
}
#endif
#endif
