/*
 * store_int.h - inside of the store.
 *
 *   store.c        put, commit, read, room          store_open.c   lock, owner, damage, salvage
 *   store_db.c     statements, values, the thread that syncs       store_log.c    what of the log is damaged
 *   store_owner.c  whose store it is
 */
#ifndef QUDAG_SRC_IO_STORE_INT_H
#define QUDAG_SRC_IO_STORE_INT_H

#include "io/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#define STORE_PATH_MAX 1100
#define STORE_NAME_MAX (STORE_PATH_MAX + 32)
#define STORE_FILE "dht.db"
#define STORE_KEY_LEN (1 + STORE_HASH_LEN)
#define STORE_SUM_LEN 8
#define STORE_HEAD_LEN (8 + STORE_SUM_LEN)   /* before the bytes of a value */
#define STORE_CACHE "PRAGMA cache_size=-512" /* KiB of pages of each connection */
#define STORE_PAGE 4096
#define STORE_FRAME (STORE_PAGE + 24) /* of the log: a page and its head */
#define STORE_FORMAT "qudag store 2"  /* value of the item of kind 0 */
#define STORE_FAMILY_LEN 12           /* bytes of it that do not tell the version */

enum store_state { STORE_GOOD, STORE_FULL, STORE_LOST };

enum store_sql {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_PUT,     /* key, value */
    STORE_DEL,     /* key */
    STORE_DEL_ODD, /* whose key is none of ours */
    STORE_GET,     /* key */
    STORE_ALL,
    STORE_SQL_COUNT
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *sql[STORE_SQL_COUNT];
    bool in_txn;
    size_t txn_bytes; /* of the log, at most, that what was put since the last commit takes */
    int lock_fd, wal_fd;
    enum store_state state;
    bool corrupt; /* SQLite says so: to be set aside at the next retry */
    uint64_t size_max, reserved, seq;
    uint64_t again_from; /* number of the first item put since store_retry() wanted all again */
    bool whole;          /* all that is in the file has been handed out, and taken */
    struct logger log;
    struct store_stats stats;
    char dir[STORE_PATH_MAX];
    unsigned wal_pages; /* of the log in use */
    /* the thread that syncs */
    pthread_t thread;
    sqlite3 *ck; /* its connection */
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool closing; /* guarded by lock */
    atomic_bool unsynced, wal_long;
};

/* ---- store_db.c ---- */

/* DIR/|name| into |out|. */
void store_path(const struct store *s, char out[STORE_NAME_MAX], const char *name);
/* |err|, with "WHAT PATH: CAUSE" in |why|. */
qudag_err store_because(char *why, qudag_err err, const char *what, const char *path,
                        const char *cause);

/* Opens the file and readies the statements.  SQLITE_OK or why not; *s->db may be set all the same. */
int store_db_open(struct store *s);
/* Closes what store_db_open() opened. */
void store_db_close(struct store *s);
/* Runs a statement without result to its end.  SQLITE_OK or an error. */
int store_run(struct store *s, enum store_sql which);

/* As store_run(), with |key| (borrowed for the call) as the first parameter. */
int store_run_key(struct store *s, enum store_sql which, const uint8_t key[STORE_KEY_LEN]);

/* Writes sequence number, checksum and |bytes| under |key|.  SQLITE_OK or an error. */
int store_write_value(struct store *s, const uint8_t key[STORE_KEY_LEN], uint64_t seq,
                      struct slice bytes);

/* The key and data of a row of two columns. */
void store_row(sqlite3_stmt *st, struct slice *key, struct slice *data);
/* False: it is not what was written.  |*bytes| is borrowed from |data|. */
bool store_value_read(struct slice key, struct slice data, uint64_t *seq, struct slice *bytes);

/* The thread that syncs every STORE_SYNC_MS and moves a long log into the file. */
bool store_thread_start(struct store *s);

/* Ends the thread, without a last sync, and waits for it; harmless when it does not run. */
void store_thread_stop(struct store *s);

/* ---- store_log.c ---- */

/*
 * Pages of the log |fd|, behind the first |whole| which SQLite could read, that were committed: from the first to
 * the end of the last such commit.  0: nothing is missing.  What was never there, or cut off the end, is not seen.
 */
uint32_t store_log_lost(int fd, uint32_t whole);

/* ---- store_owner.c ---- */

/*
 * Whether the store is |owner|'s (NULL: anybody's); |fresh|: there is no file yet, it becomes so.  One without a note
 * of whose it is becomes so, too.  EAUTH, ESYSTEM.
 */
qudag_err store_owner_check(const struct store *s, const uint8_t *owner, bool fresh, char *why);

/* ---- store_open.c ---- */

/* Sets the file aside and begins a new one with what can be saved. */
qudag_err store_begin_new(struct store *s, char *why);

#endif
