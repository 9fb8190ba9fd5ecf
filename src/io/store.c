/*
 * store.c - the LMDB file: open, write, commit, and what goes wrong.
 *
 *   GOOD ── no room in advance ──▶ FULL: what comes is still written, nothing new should be taken
 *     │ ◀───────── room ────────────┘
 *     └── a write or commit failed ──▶ LOST: changes are dropped until store_retry(), then all is put
 *         anew, and what is not is removed
 *
 * Key: kind, hash.  Value: u64 number, checksum, bytes.  The entry of kind 0 says whose file this is.
 */
#include "io/store.h"

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_MAX_LEN 1100
#define FILE_NAME "dht.mdb"
#define LOCK_NAME "dht.lock"
#define KEY_LEN (1 + STORE_HASH_LEN)
#define SUM_LEN 8
#define VALUE_HEAD (8 + SUM_LEN)
#define FORMAT "qudag store 1"
#define FORMAT_FAMILY 12              /* bytes of it that do not tell the version */
#define TXN_BYTES (STORE_RESERVE / 8) /* put before a commit is made in between */
#define BROKEN_MAX 9

enum state { GOOD, FULL, LOST };

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn; /* open: something is to be committed */
    size_t txn_bytes;
    int lock_fd, fd;
    enum state state;
    uint64_t size_max, reserved, seq;
    uint64_t anew_from; /* number of the first thing put since store_retry() wanted all anew */
    bool whole;         /* all that is in the file has been handed out, and taken */
    struct logger log;
    struct store_stats stats;
    char dir[PATH_MAX_LEN];
    /* the thread that syncs */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool closing; /* guarded by lock */
    atomic_bool unsynced;
};

static qudag_err because(char *why, qudag_err err, const char *what, const char *path,
                         const char *cause)
{
    (void)snprintf(why, STORE_WHY_LEN, "%s %.300s%s%s", what, path, cause[0] == 0 ? "" : ": ",
                   cause);
    return err;
}

static void path_of(const struct store *s, char out[PATH_MAX_LEN + 32], const char *name)
{
    (void)snprintf(out, PATH_MAX_LEN + 32, "%s/%s", s->dir, name);
}

/* ---- values ---- */

static void sum_of(uint8_t sum[SUM_LEN], const uint8_t *key, uint64_t seq, struct slice bytes)
{
    uint8_t head[8], full[BLAKE3_LEN];
    struct blake3_ctx c;
    struct wr w = wr_init(head, sizeof(head));

    wr_u64(&w, seq);
    blake3_init(&c);
    blake3_update(&c, (struct slice){key, KEY_LEN});
    blake3_update(&c, (struct slice){head, sizeof(head)});
    blake3_update(&c, bytes);
    blake3_final(&c, full);
    memcpy(sum, full, SUM_LEN);
}

/* False: it is not what was written. */
static bool value_read(struct slice key, struct slice data, uint64_t *seq, struct slice *bytes)
{
    struct rd r = rd_init(data);
    uint8_t sum[SUM_LEN];

    *seq = rd_u64(&r);
    struct slice was = rd_bytes(&r, SUM_LEN);
    *bytes = rd_rest(&r);
    if (key.len != KEY_LEN || !rd_ok(&r)) {
        return false;
    }
    sum_of(sum, key.base, *seq, *bytes);
    return memcmp(sum, was.base, SUM_LEN) == 0;
}

/* ---- room ---- */

/* Keeps STORE_RESERVE of disk beyond what is used, where the file system can. */
static bool reserve(struct store *s)
{
    MDB_envinfo info;
    MDB_stat st;

    (void)mdb_env_info(s->env, &info);
    (void)mdb_env_stat(s->env, &st);
    uint64_t want = (info.me_last_pgno + 1) * st.ms_psize + STORE_RESERVE;
    s->stats.size = (info.me_last_pgno + 1) * st.ms_psize;
    want = want < s->size_max ? want : s->size_max;
    if (want <= s->reserved) {
        return true;
    }
    if (fallocate(s->fd, 0, 0, (off_t)want) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
        return false;
    }
    s->reserved = want;
    return true;
}

static void look_for_room(struct store *s)
{
    if (s->state == LOST) {
        return;
    }
    bool room = reserve(s);
    if (!room && s->state == GOOD) {
        log_event(&s->log, LOG_ERROR, "store.full",
                  LOG_STR("why", "the disk has no room for more; nothing new is stored for others"),
                  LOG_STR("cause", strerror(errno)));
    } else if (room && s->state == FULL) {
        log_plain(&s->log, LOG_INFO, "store.room_again");
    }
    s->state = room ? GOOD : FULL;
}

static qudag_err lost(struct store *s, int rc)
{
    if (s->txn != NULL) {
        mdb_txn_abort(s->txn);
        s->txn = NULL;
    }
    s->txn_bytes = 0;
    s->stats.failures++;
    if (s->state != LOST) {
        log_event(&s->log, LOG_ERROR, "store.write_failed",
                  LOG_STR("why", "what changed last is in memory only; tried again soon"),
                  LOG_STR("cause", mdb_strerror(rc)));
    }
    s->state = LOST;
    return rc == MDB_MAP_FULL || rc == ENOSPC ? QUDAG_ELIMIT : QUDAG_ESYSTEM;
}

/* ---- writing ---- */

static int begin(struct store *s)
{
    return s->txn != NULL ? 0 : mdb_txn_begin(s->env, NULL, 0, &s->txn);
}

static int put_value(struct store *s, const uint8_t key[KEY_LEN], uint64_t seq, struct slice value)
{
    MDB_val k = {KEY_LEN, (void *)(uintptr_t)key}, v = {VALUE_HEAD + value.len, NULL};
    int rc = mdb_put(s->txn, s->dbi, &k, &v, MDB_RESERVE);

    if (rc == 0) {
        struct wr w = wr_init(v.mv_data, v.mv_size);
        uint8_t sum[SUM_LEN];
        sum_of(sum, key, seq, value);
        wr_u64(&w, seq);
        wr_bytes(&w, sum, SUM_LEN);
        wr_slice(&w, value);
    }
    return rc;
}

static qudag_err commit(struct store *s)
{
    if (s->txn == NULL) {
        return QUDAG_OK;
    }
    int rc = mdb_txn_commit(s->txn);
    s->txn = NULL; /* also when it failed */
    s->txn_bytes = 0;
    if (rc != 0) {
        return lost(s, rc);
    }
    s->stats.commits++;
    atomic_store(&s->unsynced, true);
    look_for_room(s);
    return QUDAG_OK;
}

qudag_err store_put(struct store *s, uint8_t kind, const uint8_t *hash, struct slice value)
{
    uint8_t key[KEY_LEN] = {kind};

    if (s->state == LOST) {
        return QUDAG_ELIMIT;
    }
    memcpy(key + 1, hash, STORE_HASH_LEN);
    int rc = begin(s);
    if (rc == 0 && value.len == 0) {
        MDB_val k = {KEY_LEN, key};
        rc = mdb_del(s->txn, s->dbi, &k, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
        s->stats.dels++;
    } else if (rc == 0) {
        rc = put_value(s, key, s->seq++, value);
        s->stats.puts++;
    }
    if (rc != 0) {
        return lost(s, rc);
    }
    s->txn_bytes += KEY_LEN + VALUE_HEAD + value.len;
    if (s->txn_bytes > TXN_BYTES) {
        qudag_err err = commit(s);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    return s->state == GOOD ? QUDAG_OK : QUDAG_ELIMIT;
}

bool store_pending(const struct store *s)
{
    return s->txn != NULL;
}

qudag_err store_commit(struct store *s)
{
    return commit(s);
}

bool store_room(const struct store *s)
{
    return s->state == GOOD;
}

bool store_retry(struct store *s)
{
    bool anew = s->state == LOST;

    if (anew) {
        s->state = FULL;
        s->anew_from = s->seq;
    }
    look_for_room(s);
    return anew && s->state == GOOD;
}

/* ---- reading ---- */

typedef bool (*stays_fn)(struct store *s, void *ctx, struct slice key, uint64_t seq,
                         struct slice bytes);

/* Removes what is damaged, and what |stays| says. */
static qudag_err walk(struct store *s, stays_fn stays, void *ctx)
{
    MDB_cursor *cur = NULL;
    MDB_val k, v;
    int rc = begin(s);

    if (rc == 0) {
        rc = mdb_cursor_open(s->txn, s->dbi, &cur);
    }
    while (rc == 0 && (rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
        struct slice key = {k.mv_data, k.mv_size}, bytes;
        uint64_t seq;
        bool good = value_read(key, (struct slice){v.mv_data, v.mv_size}, &seq, &bytes);
        s->stats.bad_values += good ? 0 : 1;
        if (!good || (key.base[0] != 0 && !stays(s, ctx, key, seq, bytes))) {
            rc = mdb_cursor_del(cur, 0);
        }
    }
    if (cur != NULL) {
        mdb_cursor_close(cur);
    }
    if (rc != MDB_NOTFOUND) {
        return lost(s, rc);
    }
    return commit(s);
}

struct taker {
    store_fn fn;
    void *ctx;
    bool all;
};

static bool is_taken(struct store *s, void *ctx, struct slice key, uint64_t seq, struct slice bytes)
{
    struct taker *t = ctx;

    s->seq = seq >= s->seq ? seq + 1 : s->seq;
    qudag_err err = t->fn(t->ctx, key.base[0], key.base + 1, bytes);
    bool later = err == QUDAG_ENOMEM || err == QUDAG_ECLOCK;
    t->all = t->all && !later;
    return err == QUDAG_OK || later;
}

qudag_err store_each(struct store *s, store_fn fn, void *ctx)
{
    struct taker t = {fn, ctx, true};
    qudag_err err = walk(s, is_taken, &t);

    s->whole = err == QUDAG_OK && t.all;
    return err;
}

static bool is_new(struct store *s, void *ctx, struct slice key, uint64_t seq, struct slice bytes)
{
    (void)ctx;
    (void)key;
    (void)bytes;
    return seq >= s->anew_from;
}

qudag_err store_renewed(struct store *s)
{
    if (s->state == LOST || !s->whole) {
        return QUDAG_OK; /* not all is there again, or not all was ever known */
    }
    return walk(s, is_new, NULL);
}

/* ---- a damaged file ---- */

static void salvage_one(void *ctx, struct slice key, struct slice data)
{
    struct store *s = ctx;
    struct slice bytes, old;
    uint64_t seq, old_seq;
    MDB_val k, v;

    if (s->state == LOST || !value_read(key, data, &seq, &bytes) || key.base[0] == 0 ||
        begin(s) != 0) {
        return;
    }
    k = (MDB_val){key.len, (void *)(uintptr_t)key.base};
    bool known = mdb_get(s->txn, s->dbi, &k, &v) == 0;
    if (known && value_read(key, (struct slice){v.mv_data, v.mv_size}, &old_seq, &old) &&
        old_seq >= seq) {
        return; /* an older page of the file */
    }
    int rc = put_value(s, key.base, seq, bytes);
    if (rc != 0) {
        (void)lost(s, rc);
        return;
    }
    s->stats.salvaged += known ? 0 : 1;
    s->txn_bytes += data.len;
    if (s->txn_bytes > TXN_BYTES) {
        (void)commit(s);
    }
}

/* DIR/dht.mdb becomes dht.mdb.broken, or .broken.2 and so on; the last name is used again. */
static qudag_err set_aside(struct store *s, char broken[PATH_MAX_LEN + 32], char *why)
{
    char path[PATH_MAX_LEN + 32], name[48] = FILE_NAME ".broken";

    path_of(s, path, FILE_NAME);
    path_of(s, broken, name);
    for (int i = 2; i <= BROKEN_MAX && access(broken, F_OK) == 0; i++) {
        (void)snprintf(name, sizeof(name), FILE_NAME ".broken.%d", i);
        path_of(s, broken, name);
    }
    if (rename(path, broken) != 0) {
        return because(why, QUDAG_ESYSTEM, "a damaged store could not be set aside:", path,
                       strerror(errno));
    }
    s->stats.set_aside = true;
    return QUDAG_OK;
}

/* What is whole in the damaged file goes into the new one. */
static void salvage(struct store *s, const char *broken)
{
    int fd = open(broken, O_RDONLY | O_CLOEXEC);
    qudag_err err = fd < 0 ? QUDAG_ESYSTEM : store_file_scan(fd, salvage_one, s);

    if (fd >= 0) {
        close(fd);
    }
    (void)commit(s);
    log_event(&s->log, LOG_ERROR, "store.damaged",
              LOG_STR("why",
                      "the store was damaged; it was set aside and a new one begun with what "
                      "could be saved: the network has other copies"),
              LOG_STR("file", broken), LOG_NUM("saved", s->stats.salvaged), LOG_ERR(err));
}

/* ---- opening ---- */

static qudag_err lock_dir(struct store *s, char *why)
{
    char path[PATH_MAX_LEN + 32];

    if (mkdir(s->dir, 0700) != 0 && errno != EEXIST) {
        return because(why, QUDAG_ESYSTEM, "the folder of the store cannot be made:", s->dir,
                       strerror(errno));
    }
    path_of(s, path, LOCK_NAME);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        return because(why, QUDAG_ESYSTEM, "the folder of the store cannot be written to:", s->dir,
                       strerror(errno));
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? because(why, QUDAG_EEXISTS, "another process uses the store in", s->dir, "")
                   : because(why, QUDAG_ESYSTEM, "the store cannot be locked:", path,
                             strerror(errno));
    }
    return QUDAG_OK;
}

/* What is in the file now, before LMDB sees it. */
static qudag_err look_at(struct store *s, enum store_file *what, char *why)
{
    char path[PATH_MAX_LEN + 32];

    *what = STORE_FILE_NONE;
    path_of(s, path, FILE_NAME);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return QUDAG_OK;
    }
    if (fd < 0) {
        return because(why, QUDAG_ESYSTEM, "the store cannot be opened:", path, strerror(errno));
    }
    qudag_err err = store_file_check(fd, what);
    close(fd);
    if (err != QUDAG_OK) {
        return because(why, err, "the store cannot be read:", path, qudag_strerror(err));
    }
    return *what != STORE_FILE_NEWER
               ? QUDAG_OK
               : because(why, QUDAG_EUNSUPPORTED, "the store was written by a newer version:", path,
                         "use that version, or another folder");
}

static qudag_err open_env(struct store *s, char *why)
{
    char path[PATH_MAX_LEN + 32];
    MDB_txn *txn = NULL;

    path_of(s, path, FILE_NAME);
    int rc = mdb_env_create(&s->env);
    if (rc == 0) {
        rc = mdb_env_set_mapsize(s->env, s->size_max);
    }
    if (rc == 0) { /* one process (our lock), one thread; synced by a thread of our own */
        rc = mdb_env_open(s->env, path,
                          MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD, 0600);
    }
    if (rc == 0) {
        rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    }
    if (rc == 0) {
        rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
    }
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
    } else if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    if (rc == 0) {
        rc = mdb_env_get_fd(s->env, &s->fd);
    }
    return rc == 0 ? QUDAG_OK
                   : because(why, rc == ENOMEM ? QUDAG_ENOMEM : QUDAG_ESYSTEM,
                             "the store cannot be opened:", path, mdb_strerror(rc));
}

/* Whose file it is: ours of this version, or a new one that becomes ours. */
static qudag_err check_owner(struct store *s, char *why)
{
    static const uint8_t key[KEY_LEN];
    MDB_val k = {KEY_LEN, (void *)(uintptr_t)key}, v;
    struct slice text = {(const uint8_t *)FORMAT, sizeof(FORMAT) - 1}, got;
    MDB_stat st = {0};
    uint64_t seq;
    int rc = begin(s);

    if (rc == 0) {
        rc = mdb_get(s->txn, s->dbi, &k, &v);
    }
    if (rc == 0 && value_read((struct slice){key, KEY_LEN}, (struct slice){v.mv_data, v.mv_size},
                              &seq, &got)) {
        bool family = got.len >= FORMAT_FAMILY && memcmp(got.base, text.base, FORMAT_FAMILY) == 0;
        if (got.len == text.len && memcmp(got.base, text.base, got.len) == 0) {
            return QUDAG_OK;
        }
        return because(why, QUDAG_EUNSUPPORTED,
                       family ? "the store was written by another version:"
                              : "the store is of another program:",
                       s->dir, "use another folder");
    }
    if (rc == MDB_NOTFOUND && mdb_stat(s->txn, s->dbi, &st) == 0 && st.ms_entries > 0) {
        return because(why, QUDAG_EUNSUPPORTED, "the store is of another program:", s->dir,
                       "use another folder");
    }
    rc = rc == MDB_NOTFOUND || rc == 0 ? put_value(s, key, 0, text) : rc;
    if (rc != 0 || commit(s) != QUDAG_OK) {
        return because(why, QUDAG_ESYSTEM, "the store cannot be begun:", s->dir, mdb_strerror(rc));
    }
    return QUDAG_OK;
}

/* ---- the thread that syncs ---- */

static void *sync_loop(void *arg)
{
    struct store *s = arg;
    struct timespec at;
    bool go_on = true;

    while (go_on) {
        (void)clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += STORE_SYNC_MS / 1000;
        (void)pthread_mutex_lock(&s->lock);
        while (!s->closing && pthread_cond_timedwait(&s->wake, &s->lock, &at) == 0) {
        }
        go_on = !s->closing;
        (void)pthread_mutex_unlock(&s->lock);
        if (go_on && atomic_exchange(&s->unsynced, false) && fdatasync(s->fd) != 0) {
            atomic_store(&s->unsynced, true);
        }
    }
    return NULL;
}

/* Signals are for the program's threads. */
static bool start_thread(struct store *s)
{
    pthread_condattr_t a;
    sigset_t all, before;

    (void)pthread_condattr_init(&a);
    (void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->wake, &a);
    (void)pthread_condattr_destroy(&a);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    s->has_thread = pthread_create(&s->thread, NULL, sync_loop, s) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->has_thread;
}

static void stop_thread(struct store *s)
{
    if (!s->has_thread) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->closing = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_mutex_destroy(&s->lock);
}

/* ---- life ---- */

static qudag_err open_all(struct store *s, bool look_only, char *why)
{
    char broken[PATH_MAX_LEN + 32];
    enum store_file what;
    qudag_err err = lock_dir(s, why);

    if (err == QUDAG_OK) {
        err = look_at(s, &what, why);
    }
    if (err != QUDAG_OK || look_only) {
        return err;
    }
    if (what == STORE_FILE_DAMAGED) {
        err = set_aside(s, broken, why);
    }
    if (err == QUDAG_OK) {
        err = open_env(s, why);
    }
    if (err == QUDAG_OK) {
        look_for_room(s);
        err = check_owner(s, why);
    }
    if (err == QUDAG_OK && s->stats.set_aside) {
        salvage(s, broken);
    }
    if (err == QUDAG_OK && !start_thread(s)) {
        err = because(why, QUDAG_ENOMEM, "no thread for the store in", s->dir, "");
    }
    return err;
}

qudag_err store_open(struct store **out, const struct store_config *cfg, char why[STORE_WHY_LEN])
{
    *out = NULL;
    why[0] = 0;
    if (strlen(cfg->dir) >= PATH_MAX_LEN) {
        return because(why, QUDAG_EINVAL, "the name of the folder is too long:", cfg->dir, "");
    }
    struct store *s = calloc(1, sizeof(*s)); /* LMDB has no allocator of its own either */
    if (s == NULL) {
        return because(why, QUDAG_ENOMEM, "no memory for the store in", cfg->dir, "");
    }
    s->lock_fd = s->fd = -1;
    s->size_max = cfg->size_max;
    s->log = cfg->log;
    memcpy(s->dir, cfg->dir, strlen(cfg->dir) + 1);
    qudag_err err = open_all(s, cfg->look_only, why);
    if (err != QUDAG_OK || cfg->look_only) {
        store_close(s);
        return err;
    }
    *out = s;
    return QUDAG_OK;
}

void store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    stop_thread(s);
    if (s->env != NULL) {
        (void)commit(s); /* a failure has been logged */
        (void)mdb_env_sync(s->env, 1);
        mdb_env_close(s->env);
    }
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
    free(s);
}

void store_stats_get(const struct store *s, struct store_stats *out)
{
    *out = s->stats;
    out->room = s->state == GOOD;
}
