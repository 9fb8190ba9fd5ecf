/*
 * inbox.h - what was received, as it lies on the disk.
 *
 *   INBOX/NAME               a message or file, complete and verified
 *   INBOX/.index             one line each: time, kind, size, hash, id, address, name; the id is that of
 *                            transfer_scope(), and zeroes once INBOX_ID_AGE_MAX_S are over
 *   INBOX/.partial/ID        content so far; ID.offer: what it will be
 */
#ifndef QUDAG_SRC_APP_INBOX_H
#define QUDAG_SRC_APP_INBOX_H

#include <qudag/inbox.h>

#include "app/files.h"
#include "app/transfer.h"

#define INBOX_LISTED_MAX QUDAG_INBOX_LISTED_MAX
#define INBOX_LINES_MAX (2 * INBOX_LISTED_MAX) /* then the index is rewritten without the oldest */
#define INBOX_PARTIALS_MAX 64                  /* begun and left; the smallest goes */
#define INBOX_PARTIAL_AGE_MAX_S (7 * 86400)
#define INBOX_ID_AGE_MAX_S (2 * 86400) /* no sender knows it that long: UNSENT_LIFE_S */
#define INBOX_TIME_MS 60000            /* to this the time of an entry is rounded down */
#define INBOX_UNIT                                                                                 \
    4096 /* bytes: what a file takes is counted in these, and an empty one takes one */

struct inbox_entry {
    int64_t time_ms;
    struct transfer_offer offer; /* name: as stored */
    char to[QUDAG_DARK_TEXT_MAX];
};

struct inbox {
    struct mem *mem;
    char dir[FILES_PATH_MAX], partial[FILES_PATH_MAX];
    struct inbox_entry *entry; /* oldest first */
    size_t n, cap;
    size_t lines;      /* in the index */
    uint64_t bytes;    /* of all that lies there, by inbox_cost() */
    uint64_t reserved; /* by transfers at work */
    bool dirty;        /* the index lists what was removed */
    char why[FILES_PATH_MAX + 200];
};

/* What lies in |dir|, which is made if missing; |now_ms| since 1970, here and below.  False: b->why. */
bool inbox_open(struct inbox *b, struct mem *mem, const char *dir, int64_t now_ms);

/*
 * Counts what lies there, from which its owner removes what he is done with.  Takes as long as the folder is large:
 * when he asks, not when a sender does.  A file that is being placed meanwhile counts twice, until the next time.
 */
void inbox_count(struct inbox *b);
/* Whether the file of an entry is still there. */
bool inbox_there(const struct inbox *b, const struct inbox_entry *e);

/* Forgets the ids of entries older than INBOX_ID_AGE_MAX_S, also on disk. */
void inbox_forget(struct inbox *b, int64_t now_ms);

/* Frees the list; the files stay. */
void inbox_close(struct inbox *b);

/* An entry of that id and content whose file is still there, or NULL. */
const struct inbox_entry *inbox_find(const struct inbox *b, const struct transfer_offer *o);
/* The paths of a transfer at work. */
bool inbox_partial(const struct inbox *b, const struct transfer_offer *o, char path[FILES_PATH_MAX],
                   char offer_path[FILES_PATH_MAX]);
/* What a file of |size| bytes counts against the limit. */
uint64_t inbox_cost(uint64_t size);
/*
 * Of what was begun and is not |busy|, the oldest goes until the rest costs at most |most| bytes, and the smallest
 * until there are INBOX_PARTIALS_MAX: many that hold nothing displace none that holds something.
 */
void inbox_trim(const struct inbox *b, uint64_t most,
                bool (*busy)(const void *ctx, const uint8_t id[TRANSFER_ID_LEN]), const void *ctx);
/* Moves |partial| to a name that is free; |name| is changed if it is not.  0 or an errno.
 * Touches only files: may run on another thread. */
int inbox_place(const char *dir, const char *partial, char name[TRANSFER_NAME_MAX + 1]);
/* Lists it, in the index too.  0 or an errno. */
int inbox_add(struct inbox *b, const struct inbox_entry *e);
/* The line of the index alone, for an inbox that is not open any more.  0 or an errno. */
int inbox_note(const char *dir, const struct inbox_entry *e);
/* The entry of that name whose file is still there, or NULL. */
const struct inbox_entry *inbox_named(const struct inbox *b, const char *name);
/* Removes the file of |e|, an entry of |b|, and the entry; its line goes with inbox_tidy().  0 or an errno. */
int inbox_remove(struct inbox *b, const struct inbox_entry *e);
/* The index lists nothing any more that inbox_remove() removed. */
void inbox_tidy(struct inbox *b);
/* A name for a message that says the day it came, and nothing else. */
void inbox_message_name(char name[TRANSFER_NAME_MAX + 1], int64_t now_ms, uint32_t random);

#endif
