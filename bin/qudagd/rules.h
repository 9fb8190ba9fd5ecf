/*
 * rules.h - the decisions of the daemon on which safety rests.
 *
 * Pure functions: no files, no clock, no state; rules_test.c has a table of accepted and refused cases for each.
 * Whoever needs such a decision asks here and does not decide itself.
 */
#ifndef QUDAG_BIN_RULES_H
#define QUDAG_BIN_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RULES_HASH_LEN 32

/* ---- control socket */

/* Whether a process of user |peer| may ask a daemon of user |own|: the same user, or root. */
bool rules_control_peer(uid_t peer, uid_t own);

/*
 * How many clients may be connected at once, at most |max|, where |files| descriptors may be open: those that the node
 * itself needs are left, for sockets, its store, and messages and files that come in.  At least 4.
 */
#define RULES_FILES_LEFT 40
size_t rules_control_places(uint64_t files, size_t max);

/* Whether another share may begin beside |running|: shares last long, and may take a fifth of the |places|. */
bool rules_share_fits(size_t running, size_t places);

/*
 * Whether |label| is that of an address made for a share, RULES_SHARE_LABEL_LEN characters: "share-" and digits of
 * base 16 in lower case.  Keys of such an address are destroyed as soon as no share uses it: nothing else is called so.
 */
#define RULES_SHARE_LABEL_LEN 30
bool rules_share_label(const char *label);
/* Whether the keys of an own address with that label are to be destroyed; |served|: a service has that address. */
bool rules_share_over(const char *label, bool served);
/* Whether |name| is that of the socket of a share in the state folder: the same with 6 digits. */
bool rules_share_socket(const char *name);

/* What a command occupies: a long one may take until its transfer or lookup ends, a short one ends at once. */
enum rules_command { RULES_SHORT, RULES_LONG };
/* Long commands at present.  A client is a process, however many connections it has. */
struct rules_load {
    unsigned running, running_max;
    unsigned waiting, waiting_max; /* for their turn, of all clients */
    unsigned own, own_max;         /* of those that wait, the ones of the client that asks */
};
enum rules_turn {
    RULES_TURN_NOW,
    RULES_TURN_WAIT,
    RULES_TURN_FULL, /* refused: too many wait */
    RULES_TURN_OWN,  /* refused: too many of this client wait */
};
/* When a command begins.  Short ones at once; a long one never before others that wait. */
enum rules_turn rules_command_turn(enum rules_command kind, const struct rules_load *load);

/* A long command that waits. */
struct rules_waiting {
    uint64_t since;   /* the order in which they came */
    unsigned running; /* long commands of the same client that run */
};
/*
 * Which of the |n| (at least 1) that wait is next: of the clients with the fewest that run, the one that came
 * first.  A client that fills the queue is served after everybody else.
 */
size_t rules_next_turn(const struct rules_waiting *waiting, size_t n);

/*
 * What a health check reports: "failed", "isolated", "unsaved", "alone", "starting" or "ok" (qudag(1), status).
 * |phase|: a qudag_phase.  A node that has bootstrap peers in its configuration, and no link although one of them had
 * answered, is isolated, whatever its phase says.  |failing|: an attempt to join has failed, and none has succeeded
 * since; the next one that begins changes nothing.  |saves|: what must outlive the process can be written to the disk.
 */
const char *rules_health(int phase, bool failing, size_t links, size_t bootstrap_peers, bool saves);
/* Whether that is so when |phase| follows on |failing|. */
bool rules_failing(bool failing, int phase);
/*
 * Whether others use this node as a relay, in words that begin with "yes", "not yet" or "no".  |announces|: it has an
 * address that others are told; |stored|: nodes that hold its descriptor.
 */
void rules_relay(char *out, size_t cap, bool relay, bool announces, uint64_t stored);

/*
 * Whether circuits hide who uses them now, in words that begin with "yes", "not yet" or "no".  |state|: a
 * qudag_anonymity_state; |lookups|, |lookups_min|: as of qudag_anonymity.
 */
void rules_anonymity(char *out, size_t cap, int state, uint32_t lookups, uint32_t lookups_min);

/* ---- files and folders of the daemon */

enum rules_folder {
    RULES_FOLDER_OK,
    RULES_FOLDER_NOT_ONE,  /* it is something else */
    RULES_FOLDER_FOREIGN,  /* another user owns it */
    RULES_FOLDER_WRITABLE, /* others can write to it */
};
/*
 * Whether a folder that exists already can be the daemon's.  |type_and_mode|: st_mode; |holds_identity|: an identity
 * that user |own| owns lies in it, so it was accepted before.  Others who can write to a folder can replace what is
 * in it, so only the sticky bit together with an identity of ours makes such a folder acceptable.
 */
enum rules_folder rules_state_folder(mode_t type_and_mode, uid_t owner, uid_t own,
                                     bool holds_identity);

enum rules_secret {
    RULES_SECRET_OK,
    RULES_SECRET_LINK,    /* a symbolic link */
    RULES_SECRET_NO_FILE, /* a folder, a device, ... */
    RULES_SECRET_OPEN,    /* others may read or write it */
    RULES_SECRET_FOREIGN, /* another user owns it, and may open it to others at any time */
};
/* Whether a file of that st_mode and owner (from lstat) may hold secrets of user |own|. */
enum rules_secret rules_secret_file(mode_t type_and_mode, uid_t owner, uid_t own);
/* The same for a folder of which others must not even know the names in it. */
enum rules_secret rules_secret_folder(mode_t type_and_mode, uid_t owner, uid_t own);

/* What an item of the folder state/ is, by name and st_mode. */
enum rules_item {
    RULES_ITEM_OURS,    /* handed to the node */
    RULES_ITEM_FOREIGN, /* left alone, and logged once */
    RULES_ITEM_HIDDEN,  /* left alone silently: half written by a crash */
};
enum rules_item rules_state_item(const char *name, mode_t type_and_mode);
/* Whether an item of that name is one that a node of this version saves, and thus secret. */
bool rules_state_secret(const char *name);
/* Whether a node stores its state under |name|: letters, digits, '-' and '.', not first a dot. */
bool rules_state_name(const char *name);

enum rules_restore {
    RULES_RESTORE_OK,
    RULES_RESTORE_SKIP,   /* not ours, or of a newer version: left alone, and logged */
    RULES_RESTORE_REFUSE, /* ours and damaged: going on could overwrite it */
};
/* What the node's answer |err| (a qudag_err) to an item means for the start. */
enum rules_restore rules_restore(const char *name, int err);

/* Which kind of network a folder belongs to; the file `network` in it says so since the identity was made. */
enum rules_network { RULES_NETWORK_UNKNOWN, RULES_NETWORK_NORMAL, RULES_NETWORK_LAB };
enum rules_network rules_network_read(const char *text, size_t len);

/* The content of the file `network`; static. */
const char *rules_network_text(enum rules_network network);

/* Whether a folder of kind |made| may be used with lab = |lab|. */
bool rules_network_fits(enum rules_network made, bool lab);

/* ---- deliveries */

/*
 * Whether a stream that a peer opened is a transfer: it came over a circuit to a dark address of ours, and speaks that
 * protocol.  |proto|: as negotiated; |from_known_peer|: the peer is known, so it did not come over a circuit.
 */
bool rules_stream(bool from_known_peer, const char *dark, const char *proto, const char *served);

/* Whether what arrived is what was announced: both the size and the BLAKE3 hash. */
bool rules_delivery(uint64_t size, const uint8_t hash[RULES_HASH_LEN], uint64_t announced_size,
                    const uint8_t announced_hash[RULES_HASH_LEN]);

/* What an inbox has room for; all in bytes, but for |transfers|. */
struct rules_room {
    uint64_t file_max;  /* of one piece */
    uint64_t inbox_max; /* of all */
    uint64_t stored;
    uint64_t reserved;  /* for transfers that have begun */
    unsigned transfers; /* accepted and not ended, this one included */
    unsigned transfers_max;
};
enum rules_offer {
    RULES_OFFER_OK,
    RULES_OFFER_TOO_LARGE,
    RULES_OFFER_INBOX_FULL, /* final: by what is stored, never by what others only announced */
    RULES_OFFER_BUSY,       /* later it may go */
    RULES_OFFER_CLOSED,     /* nothing is ever taken: the inbox has no size */
};
/* Whether an offer of |size| bytes, which would cost |cost| of the inbox, is accepted; |piece_max|: of its kind. */
enum rules_offer rules_offer(uint64_t size, uint64_t cost, uint64_t piece_max,
                             const struct rules_room *room);

#define RULES_PACE_S 20               /* seconds over which the pace of a sender is measured */
#define RULES_PACE_BYTES (16u * 1024) /* at least, in each of them */
#define RULES_PACE_DAY (86400 / RULES_PACE_S)
/*
 * Bytes that must come in RULES_PACE_S when |left| are missing at its beginning: RULES_PACE_BYTES, or as many as end a
 * large transfer within a day, but no more than are missing.
 */
uint64_t rules_pace(uint64_t left);

/* How a transfer went in the last RULES_PACE_S that is over. */
struct rules_pace {
    bool measured; /* one is over, and the sender could send */
    uint64_t due;  /* by rules_pace() */
    uint64_t came;
};
/* Whether the place and the room of the transfer are others' as soon as they need them. */
bool rules_pace_slow(const struct rules_pace *p);

/* Which of |n| transfers gives way first: the slowest of those that are slow; |n|: none does. */
size_t rules_gives_way(const struct rules_pace *p, size_t n);

/* ---- sending: a receiver cannot make us send for ever */

#define RULES_TRIES_MAX 40         /* attempts without new progress */
#define RULES_DIFFERS_MAX 2        /* times that the receiver reports another hash */
#define RULES_PROGRESS (64 * 1024) /* bytes by which what is confirmed must grow to be progress */
#define RULES_STEP (1024 * 1024)   /* bytes of progress that earn one more attempt */
#define RULES_GIVE_UP_S 300        /* without progress: outages of minutes are survived */
#define RULES_PAUSE_MS 200         /* before the second attempt; doubles ... */
#define RULES_PAUSE_MAX_MS 12800   /* ... up to this */

/* What a transfer has been through; all since its first attempt, earlier sends of it included. */
struct rules_sending {
    uint64_t size;      /* of the content */
    uint64_t sent;      /* the most bytes ever given to a stream */
    uint64_t confirmed; /* the most bytes the receiver ever confirmed, at most |sent| */
    uint64_t counted;   /* |confirmed| when it last was progress */
    unsigned attempts;  /* streams opened, and those that could not be */
    unsigned tries;     /* attempts since the last progress */
    unsigned differs;
};
/* Whether one more attempt may be made, |silent_s| seconds after the last progress. */
bool rules_sending_again(const struct rules_sending *s, uint64_t silent_s);

/* Milliseconds before another attempt, when |nth| (from 1) failed one after the other. */
uint64_t rules_pause_ms(unsigned nth);

/* How far an attempt came. */
enum rules_stage {
    RULES_STAGE_LOOKUP,  /* the address was being looked up */
    RULES_STAGE_CIRCUIT, /* a circuit to it was being built */
    RULES_STAGE_SERVICE, /* the receiver had the stream */
    RULES_STAGES
};
enum rules_stage rules_stage(bool on_circuit, bool open);

/*
 * Whether the stream was refused by the receiver, which has no room for it now, when it ended with |err| (a
 * qudag_err) at that stage: later it may go.  Before there is a circuit, what is full is our own.
 */
bool rules_receiver_full(int err, enum rules_stage stage);

/* Whether |sys_err| (an errno) says that something is lacking that will be there again: descriptors, memory. */
bool rules_lack(int sys_err);

/* Whether a wrong clock of this machine may be why something ended with |err|: what is valid then looks expired. */
bool rules_may_be_clock(int err);

/* What a receiver's claim to have the first |n| bytes is worth. */
enum rules_claim {
    RULES_CLAIM_FALSE, /* it was never sent as many */
    RULES_CLAIM_TRUE,  /* it may be so, and allows it no further attempts */
    RULES_CLAIM_PROGRESS, /* new attempts are allowed: the highest claim of all attempts grew by a step */
};
enum rules_claim rules_claim(const struct rules_sending *s, uint64_t n);

/*
 * Whether a receiver may ask for the content from |offset| on: not for what it had confirmed, nor beyond what it was
 * sent.
 */
bool rules_offset(const struct rules_sending *s, uint64_t offset);

/* Seconds for which a receiver that says it is at work is waited for without progress: it may hash |size| bytes. */
uint64_t rules_patience_s(uint64_t size);

/*
 * Whether the error |err| (a qudag_err) ends a transfer: whoever is asked again would answer the same.  |nth|: how
 * often an attempt failed in a row, this time included; an address may be published late, so that "not found" is
 * final at the third time only.
 */
bool rules_send_is_final(int err, unsigned nth);

/* What to do when the receiver reports another hash than was offered. */
enum rules_differs {
    RULES_DIFFERS_LOOK,    /* hash the file again */
    RULES_DIFFERS_CHANGED, /* the file changed: end */
    RULES_DIFFERS_AGAIN,   /* one more attempt */
    RULES_DIFFERS_END,     /* the receiver or the way to it is broken: end */
};
/* |times|: reports so far, this one included; |looked|: the file was hashed again; |changed|: with another result. */
enum rules_differs rules_hash_differs(unsigned times, bool looked, bool changed);

#endif
