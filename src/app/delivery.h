/*
 * delivery.h - what a delivery of a message or file may cost, and whose word is believed.
 *
 * Pure functions: no files, no clock, no state; delivery_test.c has a table of accepted and refused cases for each.
 * Whoever needs such a decision asks here and does not decide itself.
 */
#ifndef QUDAG_SRC_APP_DELIVERY_H
#define QUDAG_SRC_APP_DELIVERY_H

#include <qudag/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELIVERY_HASH_LEN 32

/* ---- receiving */

/*
 * Whether a stream that a peer opened is a transfer: it came over a circuit to a dark address of ours, and speaks that
 * protocol.  |proto|: as negotiated; |from_known_peer|: the peer is known, so it did not come over a circuit.
 */
bool delivery_stream(bool from_known_peer, const char *dark, const char *proto, const char *served);

/* The same between peers: it came over a link (|known|), not to an address, from a peer that is allowed. */
bool delivery_peer_stream(bool known, bool allowed, const char *dark, const char *proto,
                          const char *served);

/* Whether what arrived is what was announced: both the size and the BLAKE3 hash. */
bool delivery_matches(uint64_t size, const uint8_t hash[DELIVERY_HASH_LEN], uint64_t announced_size,
                      const uint8_t announced_hash[DELIVERY_HASH_LEN]);

/* What an inbox has room for; all in bytes, but for |transfers|. */
struct delivery_room {
    uint64_t file_max;  /* of one piece */
    uint64_t inbox_max; /* of all */
    uint64_t stored;
    uint64_t reserved;  /* for transfers that have begun */
    unsigned transfers; /* accepted and not ended, this one included */
    unsigned transfers_max;
};
enum delivery_offer {
    DELIVERY_OFFER_OK,
    DELIVERY_OFFER_TOO_LARGE,
    DELIVERY_OFFER_INBOX_FULL, /* final: by what is stored, never by what others only announced */
    DELIVERY_OFFER_BUSY,       /* later it may go */
    DELIVERY_OFFER_CLOSED,     /* nothing is ever taken: the inbox has no size */
};
/* Whether an offer of |size| bytes, which would cost |cost| of the inbox, is accepted; |piece_max|: of its kind. */
enum delivery_offer delivery_offer(uint64_t size, uint64_t cost, uint64_t piece_max,
                                   const struct delivery_room *room);

#define DELIVERY_PACE_S 20               /* seconds over which the pace of a sender is measured */
#define DELIVERY_PACE_BYTES (16u * 1024) /* at least, in each of them */
#define DELIVERY_PACE_DAY (86400 / DELIVERY_PACE_S)
/*
 * Bytes that must come in DELIVERY_PACE_S when |left| are missing at its beginning: DELIVERY_PACE_BYTES, or as many as
 * end a large transfer within a day, but no more than are missing.
 */
uint64_t delivery_pace(uint64_t left);

/* How a transfer went in the last DELIVERY_PACE_S that is over. */
struct delivery_pace {
    bool measured; /* one is over, and the sender could send */
    uint64_t due;  /* by delivery_pace() */
    uint64_t came;
};
/* Whether the place and the room of the transfer are others' as soon as they need them. */
bool delivery_pace_slow(const struct delivery_pace *p);

#define DELIVERY_HASH_BYTES                                                                        \
    (1u << 20)                   /* less is hashed without being counted, and is no progress */
#define DELIVERY_HASHES 4        /* of one transfer in a row that brought nothing new */
#define DELIVERY_HASH_PAUSE_S 60 /* then between two more */
/*
 * Whether what is there of a transfer is hashed for one more offer of it, after |idle| times that brought nothing new,
 * the last one |since_s| ago: an offer is a few bytes, and the work for it up to a whole inbox.  Else it is busy.
 */
bool delivery_may_hash(unsigned idle, uint64_t since_s);

/* Which of |n| transfers gives way first: the slowest of those that are slow; |n|: none does. */
size_t delivery_gives_way(const struct delivery_pace *p, size_t n);

/* ---- sending: a receiver cannot make us send for ever */

#define DELIVERY_TRIES_MAX 40  /* attempts without new progress */
#define DELIVERY_DIFFERS_MAX 2 /* times that the receiver reports another hash */
#define DELIVERY_PROGRESS                                                                          \
    (64 * 1024)                     /* bytes by which what is confirmed must grow to be progress */
#define DELIVERY_STEP (1024 * 1024) /* bytes of progress that earn one more attempt */
#define DELIVERY_GIVE_UP_S 300      /* without progress: outages of minutes are survived */
#define DELIVERY_PAUSE_MS 200       /* before the second attempt; doubles ... */
#define DELIVERY_PAUSE_MAX_MS 12800 /* ... up to this */

/* What a transfer has been through; all since its first attempt, earlier sends of it included. */
struct delivery_sending {
    uint64_t size;      /* of the content */
    uint64_t sent;      /* the most bytes ever given to a stream */
    uint64_t confirmed; /* the most bytes the receiver ever confirmed, at most |sent| */
    uint64_t counted;   /* |confirmed| when it last was progress */
    unsigned attempts;  /* streams opened, and those that could not be */
    unsigned tries;     /* attempts since the last progress */
    unsigned differs;
    bool named; /* to a peer: attempts cost no circuits, and relays end them after a few KiB */
};
/* Whether one more attempt may be made, |silent_s| seconds after the last progress. */
bool delivery_sending_again(const struct delivery_sending *s, uint64_t silent_s);

/* Milliseconds before another attempt, when |nth| (from 1) failed one after the other. */
uint64_t delivery_pause_ms(unsigned nth);

/* How far an attempt came. */
enum delivery_stage {
    DELIVERY_STAGE_LOOKUP,  /* the address was being looked up */
    DELIVERY_STAGE_CIRCUIT, /* a circuit to it was being built */
    DELIVERY_STAGE_SERVICE, /* the receiver had the stream */
    DELIVERY_STAGES
};
enum delivery_stage delivery_stage(bool on_circuit, bool open);

/*
 * Whether the stream was refused by the receiver, which has no room for it now, when it ended with |err| (a
 * qudag_err) at that stage: later it may go.  Before there is a circuit, what is full is our own.
 */
bool delivery_receiver_full(int err, enum delivery_stage stage);

/* Whether |sys_err| (an errno) says that something is lacking that will be there again: descriptors, memory. */
bool delivery_lack(int sys_err);

/* What a receiver's claim to have the first |n| bytes is worth. */
enum delivery_claim {
    DELIVERY_CLAIM_FALSE, /* it was never sent as many */
    DELIVERY_CLAIM_TRUE,  /* it may be so, and allows it no further attempts */
    DELIVERY_CLAIM_PROGRESS, /* new attempts are allowed: the highest claim of all attempts grew by a step */
};
enum delivery_claim delivery_claim(const struct delivery_sending *s, uint64_t n);

/*
 * Whether a receiver may ask for the content from |offset| on: not for what it had confirmed, nor beyond what it was
 * sent.
 */
bool delivery_offset(const struct delivery_sending *s, uint64_t offset);

/* Seconds for which a receiver that says it is at work is waited for without progress: it may hash |size| bytes. */
uint64_t delivery_patience_s(uint64_t size);

/*
 * Whether the error |err| (a qudag_err) ends a transfer: whoever is asked again would answer the same.  |nth|: how
 * often an attempt failed in a row, this time included; an address may be published late, and a client be let in
 * only now, so that "not found" and "needs a key" are final at the third time only.
 */
bool delivery_send_is_final(int err, unsigned nth);

/* What to do when the receiver reports another hash than was offered. */
enum delivery_differs {
    DELIVERY_DIFFERS_LOOK,    /* hash the file again */
    DELIVERY_DIFFERS_CHANGED, /* the file changed: end */
    DELIVERY_DIFFERS_AGAIN,   /* one more attempt */
    DELIVERY_DIFFERS_END,     /* the receiver or the way to it is broken: end */
};
/* |times|: reports so far, this one included; |looked|: the file was hashed again; |changed|: with another result. */
enum delivery_differs delivery_hash_differs(unsigned times, bool looked, bool changed);

#endif
