/*
 * store.h - what the DHT persists, on disk: an SQLite database, one process, one writer.
 *
 *   store_put ... ─▶ transaction ─ store_commit, before the datagrams of a loop turn leave ─▶ log (WAL) of the file
 *                                                             a thread of the store: ─▶ synced, moved into the file
 *
 * A commit is in the page cache when it returns: the process may be killed at any moment after it.  A
 * power cut may cost what was committed in the last STORE_SYNC_MS, see doc/decisions/0011.
 *
 * An item is named by kind (1 byte) and hash; its value carries a checksum and a number that grows.
 */
#ifndef QUDAG_SRC_IO_STORE_H
#define QUDAG_SRC_IO_STORE_H

#include "base/logrec.h"
#include "base/types.h"

#define STORE_HASH_LEN 32
#define STORE_OWNER_LEN 32
#define STORE_VALUE_MAX (128 * 1024)
#define STORE_SYNC_MS 5000
#define STORE_WHY_LEN 512
/* Disk space allocated in advance beyond what is used, so that what was taken can be written. */
#define STORE_RESERVE (2u * 1024 * 1024)

struct store;

struct store_config {
    const char *dir; /* made if it is missing (its parent is not) */
    const uint8_t *
        owner; /* STORE_OWNER_LEN bytes that tell the nodes of a machine apart; NULL: not checked */
    uint64_t size_max; /* bytes of the file at most */
    bool
        look_only; /* lock, folder, version: makes no more than folder and lock, holds nothing open */
    struct logger log;
};

struct store_stats {
    uint64_t commits, puts, dels, failures, bad_values, salvaged;
    uint64_t log_lost; /* pages of the log that were committed and could not be read at the start */
    uint64_t size;     /* bytes in use, in the file and its log */
    bool set_aside, room;
};

/*
 * Opens DIR/dht.db, of mode 0600; look_only: *out stays NULL.  A damaged file is set aside as dht.db.broken and
 * a new one begun with what could be saved: logged, and in the stats.  On failure |why| is a sentence and the
 * files are untouched: QUDAG_EEXISTS (another process uses it), EUNSUPPORTED (of another version, or of
 * another program), EAUTH (of another owner), ESYSTEM (folder or file cannot be read or written), ENOMEM,
 * EINVAL (name too long).
 */
QUDAG_MUST_USE qudag_err store_open(struct store **out, const struct store_config *cfg,
                                    char why[STORE_WHY_LEN]);
/* Commits, syncs, closes.  NULL allowed. */
void store_close(struct store *s);

/*
 * Writes |value| of at most STORE_VALUE_MAX bytes; empty: removes the item.  It is on disk after store_commit().
 * Not OK (ELIMIT, ESYSTEM): it could not be written now, or there will be no room for more: nothing new should
 * be taken until store_room().
 */
QUDAG_MUST_USE qudag_err store_put(struct store *s, uint8_t kind, const uint8_t *hash,
                                   struct slice value);
/* Commits what was put since the last time; nothing to do is OK.  ELIMIT (no space), ESYSTEM. */
QUDAG_MUST_USE qudag_err store_commit(struct store *s);

/* Whether what comes can be written. */
bool store_room(const struct store *s);
/*
 * Looks for room again.  True: there is, and everything is to be put again (something was lost), then
 * store_renewed().
 */
bool store_retry(struct store *s);
/*
 * Everything has been put again: what has not is removed, it ended while nothing could be written.  Without
 * effect when some of it could not be put, or what the file held was never all taken (store_each).
 */
QUDAG_MUST_USE qudag_err store_renewed(struct store *s);

/* Takes one item; |hash| and |value| are borrowed for the call, in which the store may not be called. */
typedef qudag_err (*store_fn)(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value);

/*
 * Hands out all there is.  What |fn| refuses is removed, but for ENOMEM and ECLOCK (not valid yet: our clock may
 * be behind): they are there at the next start.
 */
QUDAG_MUST_USE qudag_err store_each(struct store *s, store_fn fn, void *ctx);

/* Copies the counters; |size| is asked of the file system. */
void store_stats_get(const struct store *s, struct store_stats *out);

#endif
