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
 * What a health check reports: "failed", "isolated", "unsaved", "no-udp", "alone", "starting" or "ok" (qudag(1)).
 * |phase|: a qudag_phase.  A node that has bootstrap peers in its configuration, and no link although one of them had
 * answered, is isolated, whatever its phase says.  |failing|: an attempt to join has failed, and none has succeeded
 * since; the next one that begins changes nothing.  |saves|: what must outlive the process can be written to the disk.
 * |udp_blocked|: what links there are go over TCP, which carries no circuits, whatever the phase says.
 */
const char *rules_health(int phase, bool failing, size_t links, size_t bootstrap_peers, bool saves,
                         bool udp_blocked);
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
/* Whether an item of that name is one that a node of this version saves, or such a one encrypted, and thus secret. */
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

/* Whether a wrong clock of this machine may be why something ended with |err|: what is valid then looks expired. */
bool rules_may_be_clock(int err);

/* What it means that a circuit relay gave no place, and |err| came of asking, in a few words; "" for none. */
const char *rules_place_why(int err);
/*
 * What may be wrong where |err| came of reaching a peer through a circuit relay; |linked|: with the relay there is a
 * link.  NULL: the relay has nothing to do with it.
 */
const char *rules_relayed_hint(int err, bool linked);

#endif
