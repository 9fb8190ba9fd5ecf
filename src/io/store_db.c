/*
 * store_db.c - the database: statements, values, and the thread that syncs.
 *
 * One table: key (kind, hash) and value (u64 number, checksum, bytes), with an index of the keys: in a table
 * ordered by key a value of more than 1000 bytes would take a page of its own.
 *
 * Two connections: that of the loop writes and never waits for the disk, except for one sync of the log's header
 * whenever the log begins again; that of the thread syncs the log and moves it into the file when it has
 * grown long.
 */
#include "base/rd.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "io/store_int.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAL_PAGES_LONG 1000 /* some 4 MiB: then it is moved into the file */

static const char *const sql_text[STORE_SQL_COUNT] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_ROLLBACK] = "ROLLBACK",
    [STORE_PUT] = "INSERT INTO item VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2",
    [STORE_DEL] = "DELETE FROM item WHERE key = ?1",
    [STORE_DEL_ODD] = "DELETE FROM item WHERE length(key) <> 33 OR typeof(key) <> 'blob'",
    [STORE_GET] = "SELECT key, value FROM item WHERE key = ?1",
    [STORE_ALL] = "SELECT key, value FROM item",
};

void store_path(const struct store *s, char out[STORE_NAME_MAX], const char *name)
{
    (void)snprintf(out, STORE_NAME_MAX, "%s/%s", s->dir, name);
}

qudag_err store_because(char *why, qudag_err err, const char *what, const char *path,
                        const char *cause)
{
    (void)snprintf(why, STORE_WHY_LEN, "%s %.300s%s%s", what, path, cause[0] == 0 ? "" : ": ",
                   cause);
    return err;
}

/* ---- statements ---- */

int store_run(struct store *s, enum store_sql which)
{
    int rc = sqlite3_step(s->sql[which]);

    (void)sqlite3_reset(s->sql[which]);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int store_run_key(struct store *s, enum store_sql which, const uint8_t key[STORE_KEY_LEN])
{
    (void)sqlite3_bind_blob(s->sql[which], 1, key, STORE_KEY_LEN, SQLITE_STATIC);
    return store_run(s, which);
}

void store_row(sqlite3_stmt *st, struct slice *key, struct slice *data)
{
    key->base = sqlite3_column_blob(st, 0);
    key->len = key->base == NULL ? 0 : (size_t)sqlite3_column_bytes(st, 0);
    data->base = sqlite3_column_blob(st, 1);
    data->len = data->base == NULL ? 0 : (size_t)sqlite3_column_bytes(st, 1);
}

/* ---- values ---- */

static void sum_of(uint8_t sum[STORE_SUM_LEN], const uint8_t *key, uint64_t seq, struct slice bytes)
{
    uint8_t head[8], full[BLAKE3_LEN];
    struct blake3_ctx c;
    struct wr w = wr_init(head, sizeof(head));

    wr_u64(&w, seq);
    blake3_init(&c);
    blake3_update(&c, (struct slice){key, STORE_KEY_LEN});
    blake3_update(&c, (struct slice){head, sizeof(head)});
    blake3_update(&c, bytes);
    blake3_final(&c, full);
    memcpy(sum, full, STORE_SUM_LEN);
}

bool store_value_read(struct slice key, struct slice data, uint64_t *seq, struct slice *bytes)
{
    struct rd r = rd_init(data);
    uint8_t sum[STORE_SUM_LEN];

    *seq = rd_u64(&r);
    struct slice was = rd_bytes(&r, STORE_SUM_LEN);
    *bytes = rd_rest(&r);
    if (key.len != STORE_KEY_LEN || !rd_ok(&r) || bytes->len > STORE_VALUE_MAX) {
        return false;
    }
    sum_of(sum, key.base, *seq, *bytes);
    return memcmp(sum, was.base, STORE_SUM_LEN) == 0;
}

int store_write_value(struct store *s, const uint8_t key[STORE_KEY_LEN], uint64_t seq,
                      struct slice bytes)
{
    uint8_t sum[STORE_SUM_LEN];
    size_t len = STORE_HEAD_LEN + bytes.len;
    uint8_t *data = malloc(len);

    if (data == NULL) {
        return SQLITE_NOMEM;
    }
    struct wr w = wr_init(data, len);
    sum_of(sum, key, seq, bytes);
    wr_u64(&w, seq);
    wr_bytes(&w, sum, STORE_SUM_LEN);
    wr_slice(&w, bytes);
    (void)sqlite3_bind_blob(s->sql[STORE_PUT], 2, data, (int)len, free); /* it frees in any case */
    int rc = store_run_key(s, STORE_PUT, key);
    (void)sqlite3_clear_bindings(s->sql[STORE_PUT]);
    return rc;
}

/* ---- connections ---- */

/* No more trust in the file than need be, no file beside it but the log, no memory mapped. */
static const char settings[] = "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                               "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
                               "PRAGMA synchronous=NORMAL; " STORE_CACHE;

static int connect_to(sqlite3 **db, const char *path)
{
    int rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(*db, 1);
        rc = sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    return rc != SQLITE_OK ? rc : sqlite3_exec(*db, settings, NULL, NULL, NULL);
}

/* After each commit: how long the log is now. */
static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct store *s = arg;

    (void)db;
    (void)name;
    s->wal_pages = (unsigned)pages;
    if (pages >= WAL_PAGES_LONG && !atomic_exchange(&s->wal_long, true) && s->has_thread) {
        (void)pthread_cond_signal(&s->wake);
    }
    return SQLITE_OK;
}

/* The log begins when something is written; it is there from then on. */
static int open_log(struct store *s)
{
    char path[STORE_NAME_MAX], text[64];
    int rc = sqlite3_exec(s->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);

    (void)snprintf(text, sizeof(text), "PRAGMA max_page_count=%llu",
                   (unsigned long long)(s->size_max / STORE_PAGE));
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(s->db, text, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = store_run(s, STORE_BEGIN);
    }
    if (rc == SQLITE_OK) {
        rc = store_run(s, STORE_COMMIT);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    store_path(s, path, STORE_FILE "-wal");
    s->wal_fd = open(path, O_RDWR | O_CLOEXEC);
    return s->wal_fd < 0 ? SQLITE_CANTOPEN : SQLITE_OK;
}

int store_db_open(struct store *s)
{
    char path[STORE_NAME_MAX];

    store_path(s, path, STORE_FILE);
    s->wal_pages = 0;
    s->reserved = 0;
    int rc = connect_to(&s->db, path);
    for (size_t i = 0; rc == SQLITE_OK && i < STORE_SQL_COUNT; i++) {
        rc =
            sqlite3_prepare_v3(s->db, sql_text[i], -1, SQLITE_PREPARE_PERSISTENT, &s->sql[i], NULL);
    }
    if (rc == SQLITE_OK) {
        (void)sqlite3_wal_hook(s->db, on_commit, s); /* in place of moving the log by itself */
        rc = open_log(s);
    }
    return rc;
}

void store_db_close(struct store *s)
{
    for (size_t i = 0; i < STORE_SQL_COUNT; i++) {
        (void)sqlite3_finalize(s->sql[i]);
        s->sql[i] = NULL;
    }
    (void)sqlite3_close(s->db);
    s->db = NULL;
    if (s->wal_fd >= 0) {
        close(s->wal_fd);
        s->wal_fd = -1;
    }
}

/* ---- the thread that syncs ---- */

static void sync_now(struct store *s)
{
    if (atomic_exchange(&s->unsynced, false) && fdatasync(s->wal_fd) != 0) {
        atomic_store(&s->unsynced, true);
    }
    if (atomic_exchange(&s->wal_long, false)) { /* a failure will show again at the next commit */
        (void)sqlite3_wal_checkpoint_v2(s->ck, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
}

static void *sync_loop(void *arg)
{
    struct store *s = arg;
    struct timespec at;
    bool go_on = true;

    while (go_on) {
        (void)clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += STORE_SYNC_MS / 1000;
        (void)pthread_mutex_lock(&s->lock);
        while (!s->closing && !atomic_load(&s->wal_long) &&
               pthread_cond_timedwait(&s->wake, &s->lock, &at) == 0) {
        }
        go_on = !s->closing;
        (void)pthread_mutex_unlock(&s->lock);
        if (go_on) {
            sync_now(s);
        }
    }
    return NULL;
}

/* Signals are for the program's threads. */
bool store_thread_start(struct store *s)
{
    char path[STORE_NAME_MAX];
    pthread_condattr_t a;
    sigset_t all, before;

    store_path(s, path, STORE_FILE);
    if (connect_to(&s->ck, path) != SQLITE_OK) {
        (void)sqlite3_close(s->ck);
        s->ck = NULL;
        return false;
    }
    (void)pthread_condattr_init(&a);
    (void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->wake, &a);
    (void)pthread_condattr_destroy(&a);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    s->closing = false;
    s->has_thread = pthread_create(&s->thread, NULL, sync_loop, s) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->has_thread;
}

void store_thread_stop(struct store *s)
{
    if (s->has_thread) {
        (void)pthread_mutex_lock(&s->lock);
        s->closing = true;
        (void)pthread_cond_signal(&s->wake);
        (void)pthread_mutex_unlock(&s->lock);
        (void)pthread_join(s->thread, NULL);
        (void)pthread_cond_destroy(&s->wake);
        (void)pthread_mutex_destroy(&s->lock);
        s->has_thread = false;
    }
    (void)sqlite3_close(s->ck);
    s->ck = NULL;
}
