/*
 * store.c - put, commit, read, and handling of failures.
 *
 *   GOOD ── no room in advance ──▶ FULL: changes are still written, but no new records should be accepted
 *     │ ◀───────── room ────────────┘
 *     └── a write or commit failed ──▶ LOST: changes are dropped until store_retry(), then all is put
 *         again, and what is not is removed
 *
 * Key: kind, hash.  Value: u64 number, checksum, bytes.  The item of kind 0 says whose file this is.
 */
#include "io/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TXN_BYTES (STORE_RESERVE / 4) /* put before a commit is made in between */
#define WAL_HEAD 32

/* ---- room ---- */

/* Bytes of the log that a change of one item of |len| bytes takes: pages of table and index, and of |len|. */
static size_t log_bytes(size_t len)
{
    return (6 + len / STORE_PAGE) * STORE_FRAME;
}

/* Holds STORE_RESERVE of disk beyond what of the log is in use, where the file system can. */
static bool reserve(struct store *s)
{
    uint64_t want = WAL_HEAD + (uint64_t)s->wal_pages * STORE_FRAME + STORE_RESERVE;

    if (want <= s->reserved) {
        return true;
    }
    if (fallocate(s->wal_fd, 0, 0, (off_t)want) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
        return false;
    }
    s->reserved = want;
    return true;
}

static void look_for_room(struct store *s)
{
    if (s->state == STORE_LOST) {
        return;
    }
    bool room = reserve(s);
    if (!room && s->state == STORE_GOOD) {
        log_event(&s->log, LOG_ERROR, "store.full",
                  LOG_STR("why", "the disk is full; new records of others are refused"),
                  LOG_STR("cause", strerror(errno)));
    } else if (room && s->state == STORE_FULL) {
        log_plain(&s->log, LOG_INFO, "store.room_again");
    }
    s->state = room ? STORE_GOOD : STORE_FULL;
}

static qudag_err lost(struct store *s, int rc)
{
    int primary = rc & 0xff;

    (void)store_run(s, STORE_ROLLBACK); /* SQLite may have done so itself */
    s->in_txn = false;
    s->txn_bytes = 0;
    s->corrupt = s->corrupt || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
    s->stats.failures++;
    if (s->state != STORE_LOST) {
        log_event(&s->log, LOG_ERROR, "store.write_failed",
                  LOG_STR("why", "the last changes are in memory only; will retry shortly"),
                  LOG_STR("cause", sqlite3_errstr(rc)));
    }
    s->state = STORE_LOST;
    return primary == SQLITE_FULL ? QUDAG_ELIMIT : QUDAG_ESYSTEM;
}

/* ---- writing ---- */

static int begin(struct store *s)
{
    int rc = s->in_txn ? SQLITE_OK : store_run(s, STORE_BEGIN);

    s->in_txn = s->in_txn || rc == SQLITE_OK;
    return rc;
}

qudag_err store_commit(struct store *s)
{
    if (!s->in_txn) {
        return QUDAG_OK;
    }
    int rc = store_run(s, STORE_COMMIT);
    if (rc != SQLITE_OK) {
        return lost(s, rc);
    }
    s->in_txn = false;
    s->txn_bytes = 0;
    s->stats.commits++;
    atomic_store(&s->unsynced, true);
    look_for_room(s);
    return QUDAG_OK;
}

/* A transaction as large as what is held in advance allows is committed on the way. */
static qudag_err count_bytes(struct store *s, size_t len)
{
    s->txn_bytes += log_bytes(len);
    return s->txn_bytes > TXN_BYTES ? store_commit(s) : QUDAG_OK;
}

qudag_err store_put(struct store *s, uint8_t kind, const uint8_t *hash, struct slice value)
{
    uint8_t key[STORE_KEY_LEN] = {kind};

    if (s->state == STORE_LOST) {
        return QUDAG_ELIMIT;
    }
    memcpy(key + 1, hash, STORE_HASH_LEN);
    int rc = begin(s);
    if (rc == SQLITE_OK && value.len == 0) {
        rc = store_run_key(s, STORE_DEL, key);
        s->stats.dels++;
    } else if (rc == SQLITE_OK) {
        rc = store_write_value(s, key, s->seq++, value);
        s->stats.puts++;
    }
    if (rc != SQLITE_OK) {
        return lost(s, rc);
    }
    qudag_err err = count_bytes(s, value.len);
    if (err != QUDAG_OK) {
        return err;
    }
    return s->state == STORE_GOOD ? QUDAG_OK : QUDAG_ELIMIT;
}

bool store_room(const struct store *s)
{
    return s->state == STORE_GOOD;
}

/* A file found damaged while in use: another is begun. */
static bool mended(struct store *s)
{
    char why[STORE_WHY_LEN];

    if (!s->corrupt) {
        return true;
    }
    store_thread_stop(s);
    store_db_close(s);
    qudag_err err = store_begin_new(s, why);
    if (err == QUDAG_OK && store_thread_start(s)) {
        s->corrupt = false;
        return true;
    }
    log_event(&s->log, LOG_ERROR, "store.not_started", LOG_STR("why", why), LOG_ERR(err));
    return false;
}

bool store_retry(struct store *s)
{
    bool again = s->state == STORE_LOST;

    if (again && !mended(s)) {
        return false;
    }
    if (again) {
        s->state = STORE_FULL;
        s->again_from = s->seq;
    }
    look_for_room(s);
    return again && s->state == STORE_GOOD;
}

/* ---- reading ---- */

typedef bool (*stays_fn)(struct store *s, void *ctx, struct slice key, uint64_t seq,
                         struct slice bytes);

/* Keys of items to be removed. */
struct gone {
    uint8_t (*key)[STORE_KEY_LEN];
    size_t n, cap;
    bool odd; /* one whose key is none of ours */
};

static bool gone_add(struct gone *g, struct slice key)
{
    if (key.len != STORE_KEY_LEN) {
        g->odd = true;
        return true;
    }
    if (g->n == g->cap) {
        size_t cap = g->cap == 0 ? 64 : 2 * g->cap;
        void *more = realloc(g->key, cap * STORE_KEY_LEN);
        if (more == NULL) {
            return false;
        }
        g->key = more;
        g->cap = cap;
    }
    memcpy(g->key[g->n++], key.base, STORE_KEY_LEN);
    return true;
}

/* Reads all items; what is damaged, and what does not stay, goes to |gone|. */
static int look_through(struct store *s, stays_fn stays, void *ctx, struct gone *gone)
{
    sqlite3_stmt *all = s->sql[STORE_ALL];
    int rc;

    while ((rc = sqlite3_step(all)) == SQLITE_ROW) {
        struct slice key, data, bytes;
        uint64_t seq;
        store_row(all, &key, &data);
        bool good = store_value_read(key, data, &seq, &bytes);
        s->stats.bad_values += good ? 0 : 1;
        if (good && (key.base[0] == 0 || stays(s, ctx, key, seq, bytes))) {
            continue;
        }
        if (!gone_add(gone, key)) {
            rc = SQLITE_NOMEM;
            break;
        }
    }
    (void)sqlite3_reset(all);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int remove_all(struct store *s, const struct gone *gone)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < gone->n; i++) {
        rc = store_run_key(s, STORE_DEL, gone->key[i]);
    }
    return rc == SQLITE_OK && gone->odd ? store_run(s, STORE_DEL_ODD) : rc;
}

/* Removes what is damaged, and what |stays| says. */
static qudag_err sift(struct store *s, stays_fn stays, void *ctx)
{
    struct gone gone = {.key = NULL};
    int rc = begin(s);

    if (rc == SQLITE_OK) {
        rc = look_through(s, stays, ctx, &gone);
    }
    if (rc == SQLITE_OK) {
        rc = remove_all(s, &gone);
    }
    free(gone.key);
    return rc == SQLITE_OK ? store_commit(s) : lost(s, rc);
}

struct reading {
    store_fn fn;
    void *ctx;
    bool all;
};

static bool is_taken(struct store *s, void *ctx, struct slice key, uint64_t seq, struct slice bytes)
{
    struct reading *t = ctx;

    s->seq = seq >= s->seq ? seq + 1 : s->seq;
    qudag_err err = t->fn(t->ctx, key.base[0], key.base + 1, bytes);
    bool later = err == QUDAG_ENOMEM || err == QUDAG_ECLOCK;
    t->all = t->all && !later;
    return err == QUDAG_OK || later;
}

qudag_err store_each(struct store *s, store_fn fn, void *ctx)
{
    struct reading t = {fn, ctx, true};
    qudag_err err = sift(s, is_taken, &t);

    s->whole = err == QUDAG_OK && t.all;
    return err;
}

static bool is_new(struct store *s, void *ctx, struct slice key, uint64_t seq, struct slice bytes)
{
    (void)ctx;
    (void)key;
    (void)bytes;
    return seq >= s->again_from;
}

qudag_err store_renewed(struct store *s)
{
    if (s->state == STORE_LOST || !s->whole) {
        return QUDAG_OK; /* not all is there again, or not all was ever known */
    }
    return sift(s, is_new, NULL);
}

void store_stats_get(const struct store *s, struct store_stats *out)
{
    char path[STORE_NAME_MAX];
    struct stat st;

    *out = s->stats;
    out->room = s->state == STORE_GOOD;
    store_path(s, path, STORE_FILE);
    out->size = (stat(path, &st) == 0 ? (uint64_t)st.st_size : 0) + s->wal_pages * STORE_FRAME;
}
