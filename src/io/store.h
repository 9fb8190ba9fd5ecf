/*
 * store.h - what the DHT persists: an LMDB file, one process, one writer.
 *
 *   store_put ... ─▶ open transaction ─ store_commit, before the datagrams of a loop turn leave ─▶ file
 *
 * A commit is in the page cache when it returns: the process may be killed at any moment after it.  A
 * power cut may cost what was committed in the last STORE_SYNC_MS, see doc/decisions/0005.
 *
 * A thing is named by kind (1 byte) and hash; its value carries a checksum and a number that grows, so
 * that even out of a damaged file what is whole can be taken.
 */
#ifndef QUDAG_SRC_IO_STORE_H
#define QUDAG_SRC_IO_STORE_H

#include "base/logrec.h"
#include "base/types.h"

#define STORE_HASH_LEN 32
#define STORE_VALUE_MAX (128 * 1024)
#define STORE_SYNC_MS 5000
#define STORE_WHY_LEN 512
/* Disk space allocated in advance beyond what is used, so that what was taken can be written. */
#define STORE_RESERVE (2u * 1024 * 1024)

struct store;

struct store_config {
    const char *dir;   /* made if it is missing (its parent is not) */
    uint64_t size_max; /* bytes of the file at most */
    bool
        look_only; /* lock, folder, version: no more than folder and lock are made, nothing stays open */
    struct logger log;
};

struct store_stats {
    uint64_t commits, puts, dels, failures, bad_values, salvaged, size;
    bool set_aside, room;
};

/*
 * Opens DIR/dht.mdb; look_only: *out stays NULL.  A damaged file is set aside as dht.mdb.broken and a
 * new one begun with what could be saved: logged, and in the stats.  On failure |why| is a sentence:
 * QUDAG_EEXISTS (another process uses it), EUNSUPPORTED (of a newer version, or of another program),
 * ESYSTEM (folder or file cannot be read or written), ENOMEM.
 */
QUDAG_MUST_USE qudag_err store_open(struct store **out, const struct store_config *cfg,
                                    char why[STORE_WHY_LEN]);
/* Commits, syncs, closes.  NULL allowed. */
void store_close(struct store *s);

/*
 * |value| empty: removes it.  Not OK: it could not be written now, or there will be no room for more:
 * nothing new should be taken until store_room().
 */
QUDAG_MUST_USE qudag_err store_put(struct store *s, uint8_t kind, const uint8_t *hash,
                                   struct slice value);
bool store_pending(const struct store *s);
QUDAG_MUST_USE qudag_err store_commit(struct store *s);

/* Whether there is room for what comes. */
bool store_room(const struct store *s);
/*
 * Looks for room again.  True: there is, and everything is to be put anew (something was lost), then
 * store_renewed().
 */
bool store_retry(struct store *s);
/*
 * Everything has been put anew: what has not is removed, it ended while nothing could be written.  Without
 * effect when some of it could not be put, or what the file held was never all taken (store_each).
 */
QUDAG_MUST_USE qudag_err store_renewed(struct store *s);

/*
 * Hands out all there is (value borrowed for the call).  What |fn| refuses is removed, but for ENOMEM and
 * ECLOCK (not valid yet: our clock may be behind): they are there at the next start.
 */
typedef qudag_err (*store_fn)(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value);
QUDAG_MUST_USE qudag_err store_each(struct store *s, store_fn fn, void *ctx);

void store_stats_get(const struct store *s, struct store_stats *out);

/* ---- store_file.c: a file looked at without LMDB, which trusts what it reads ---- */

enum store_file { STORE_FILE_GOOD, STORE_FILE_NONE, STORE_FILE_NEWER, STORE_FILE_DAMAGED };

/* Every page that can be reached; a file that is GOOD cannot lead LMDB astray.  ESYSTEM, ENOMEM. */
QUDAG_MUST_USE qudag_err store_file_check(int fd, enum store_file *out);
/*
 * Every leaf page of the file, reached or not: calls |fn| with keys and data of entries whose form is
 * sound.
 */
typedef void (*store_entry_fn)(void *ctx, struct slice key, struct slice data);
QUDAG_MUST_USE qudag_err store_file_scan(int fd, store_entry_fn fn, void *ctx);

#endif
