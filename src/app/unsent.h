/*
 * unsent.h - transfers that ended before they were delivered: under which id the same file goes on.
 *
 *   a send ends without an answer ─▶ put ─▶ the same file again within UNSENT_LIFE_S ─▶ take ─▶ the transfer owns it
 *                                      └─ UNSENT_LIFE_S, UNSENT_MAX newer ones, or the end of the node ─▶ wiped
 *
 * In memory only: what was written to a disk cannot be forgotten with certainty (doc/decisions/0020-isolation.md).
 * An id is random, so that nothing but this table leads from it to its sender, and that for a day at most.
 */
#ifndef QUDAG_SRC_APP_UNSENT_H
#define QUDAG_SRC_APP_UNSENT_H

#include "app/transfer.h"

#define UNSENT_MAX 64
#define UNSENT_LIFE_S 86400 /* after the end of the last attempt */

/* What is sent to whom, as a hash: unsent_what(). */
struct unsent_what {
    uint8_t hash[TRANSFER_HASH_LEN];
};

/* How far a transfer came. */
struct unsent {
    uint8_t id[TRANSFER_ID_LEN];
    uint64_t confirmed; /* the most bytes that the receiver confirmed */
    uint64_t sent;      /* the most bytes that were given to a stream */
};

struct unsent_table {
    struct unsent_row {
        struct unsent_what what;
        struct unsent at;
        uint64_t until_ns; /* 0: the place is free */
    } row[UNSENT_MAX];
};

/* The offer but for its id, to |addr|; with another |isolation| (may be empty) it is something else. */
void unsent_what(struct unsent_what *out, const char *addr, const struct transfer_offer *o,
                 struct slice isolation);

/* Remembers it until UNSENT_LIFE_S after |now_ns|; the place of the oldest is taken where none is free. */
void unsent_put(struct unsent_table *t, const struct unsent_what *what, const struct unsent *at,
                uint64_t now_ns);

/* Moves what is remembered of it to |at|; false: nothing is. */
bool unsent_take(struct unsent_table *t, const struct unsent_what *what, struct unsent *at,
                 uint64_t now_ns);

/* Wipes what is older; UINT64_MAX: all. */
void unsent_expire(struct unsent_table *t, uint64_t now_ns);

#endif
