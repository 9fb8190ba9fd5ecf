/*
 * inbox.h - messages and files that others send to the dark addresses of this node, received into a folder; from peers
 * that are allowed to, also over links.
 *
 *   qudag_inbox_open ──▶ a sender offers ─▶ within the limits? ─▶ received, hashed, moved into the folder ─▶ |arrived|
 *
 * Nothing a sender says is believed: names are made harmless (qudag_name_harmless) and never replace a file, sizes are
 * checked before the first byte, and only what has the hash that was announced counts.  What is begun lies in a folder
 * of its own and goes on after a restart.  Who sent something to a dark address is not known to anybody; of what an
 * allowed peer sent over a link the list names the peer.
 *
 *   DIR/NAME       complete and verified, mode 0600        DIR/.index, DIR/.partial/    the library's
 *
 * The other side is send.h.
 */
#ifndef QUDAG_INBOX_H
#define QUDAG_INBOX_H

#include <qudag/dark.h>
#include <qudag/text.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_INBOX_SIZE_DEFAULT (UINT64_C(10) << 30) /* bytes of all that lies there */
#define QUDAG_INBOX_FILE_DEFAULT (UINT64_C(4) << 30)  /* bytes of one file */
#define QUDAG_INBOX_LISTED_MAX 10000                  /* the oldest are not listed any more */
#define QUDAG_INBOX_RECEIVED_AT_ONCE 16               /* transfers; above, senders wait */
#define QUDAG_INBOX_HASH_LEN 32                       /* BLAKE3 */
#define QUDAG_INBOX_PATH_MAX 1024                     /* bytes of a path, with NUL */
#define QUDAG_INBOX_WHY_MAX 1300                      /* bytes of a sentence about why, with NUL */
#define QUDAG_INBOX_ALLOWED_MAX 256                   /* peers that may send over links */

/* Something that was received. */
typedef struct qudag_inbox_item {
    uint32_t size; /* set by the caller, see types.h */
    bool file;     /* else a message, which has a name made here: message-DAY-RANDOM.txt */
    uint8_t pad[3];
    int64_t time_ms;                    /* when, since 1970, rounded down to a minute */
    uint64_t bytes;                     /* of the content */
    uint8_t hash[QUDAG_INBOX_HASH_LEN]; /* of the content */
    char name[QUDAG_NAME_MAX + 8];      /* in the folder */
    char to
        [QUDAG_DARK_TEXT_MAX]; /* the dark address that it was sent to; "": to this node, by |from| */
    qudag_peer_id from;        /* len 0: not known to anybody */
    uint8_t pad_end[3];
} qudag_inbox_item;

/* How a node receives; but for |dir| all may be left zero. */
typedef struct qudag_inbox_options {
    uint32_t size; /* set by the caller, see types.h */
    bool closed;   /* nothing is taken, and senders are told so; what lies there is listed */
    uint8_t pad[3];
    const char *dir; /* made with mode 0700 if missing, of one node at a time; copied */
    uint64_t
        size_max; /* bytes of all that lies there, each file counted in 4096s; 0: QUDAG_INBOX_SIZE_DEFAULT */
    uint64_t file_max; /* bytes of one file; 0: QUDAG_INBOX_FILE_DEFAULT */
    /*
     * Something has arrived and is on the disk; called on the node's thread, before the sender is told.  |item| is
     * borrowed.  NULL: nobody is told, see qudag_inbox_next.
     */
    void (*arrived)(qudag_node *n, const qudag_inbox_item *item, void *user);
    void *user;
    const qudag_peer_id
        *from;       /* allowed from now on, as by qudag_inbox_allow() but not kept; copied */
    uint64_t n_from; /* QUDAG_INBOX_ALLOWED_MAX at most */
} qudag_inbox_options;

/*
 * From now on, and until the node is freed, what is sent to any dark address of |n| is received.  On failure |why| (may
 * be NULL) gets a sentence, cut to |why_len|; QUDAG_INBOX_WHY_MAX is enough.  QUDAG_EINVAL, QUDAG_ESYSTEM (the folder
 * cannot be used), QUDAG_EEXISTS (the node has an inbox, or the program serves the protocol itself), QUDAG_ELIMIT,
 * QUDAG_ENOMEM, QUDAG_ESTATE (the node is being freed).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_inbox_open(qudag_node *n, const qudag_inbox_options *o,
                                                    char *why, size_t why_len);
/*
 * What was received and whose file is still there, the oldest first; false at the end, without an inbox, or if
 * out->size is not set.  *it starts at 0; then the folder is counted anew, for files that the program removed itself
 * make room, too.
 */
QUDAG_API bool qudag_inbox_next(qudag_node *n, size_t *it, qudag_inbox_item *out);
/*
 * Where the item |name| lies; the program may move or remove the file.  |out| gets the path, of at most
 * QUDAG_INBOX_PATH_MAX bytes.  QUDAG_ENOTFOUND (nothing of that name was received, or it is gone), QUDAG_EINVAL,
 * QUDAG_ETOOBIG (|out_len|).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_inbox_path(const qudag_node *n, const char *name,
                                                    char *out, size_t out_len);
/*
 * Removes the file of the item |name|, and what the list says of it.  Not within a walk of qudag_inbox_next(), which
 * may leave one out then.  QUDAG_ENOTFOUND, QUDAG_EINVAL, QUDAG_ESYSTEM (it stays).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_inbox_remove(qudag_node *n, const char *name);

/*
 * What |peer| sends over links is received, too; without any such peer nothing is, and that it could be is told to
 * nobody.  With the first one this node wants to be reached (reach.h): its addresses, or places at circuit relays, are
 * told in the DHT, and a direct path is looked for with allowed peers.  It lasts until qudag_inbox_disallow(), over
 * restarts, too, in a program whose callback |save| keeps what it is given.
 * QUDAG_EINVAL (also: this node itself), QUDAG_ESTATE: the node has no inbox, QUDAG_ELIMIT: QUDAG_INBOX_ALLOWED_MAX,
 * QUDAG_EEXISTS: the program serves the protocol itself; what |save| said: it is allowed until the end of the node.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_inbox_allow(qudag_node *n, const qudag_peer_id *peer);
/*
 * Not any more; what it is sending now is refused.  One that the options named is allowed again from the next start on.
 * QUDAG_ENOTFOUND: it is not allowed; what |save| said: it is allowed again after a restart.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_inbox_disallow(qudag_node *n, const qudag_peer_id *peer);
/* The peers that may, one after the other; *it starts at 0; false at the end. */
QUDAG_API bool qudag_inbox_allowed_next(const qudag_node *n, size_t *it, qudag_peer_id *out);

#ifdef __cplusplus
}
#endif
#endif
