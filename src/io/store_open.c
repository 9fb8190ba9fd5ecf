/*
 * store_open.c - lock, owner, damage.
 *
 *   lock ─▶ head of the file ── none ────────────────────▶ a new one
 *                │   │   └── not ours, another version ──▶ refused, untouched
 *                │   └────── unreadable ───┐
 *                ▼ ours                     ▼
 *            SQLite checks all of it ─bad─▶ set aside, a new one, and what can still be read from the old
 *
 * The owner of the file is recorded in the header of every SQLite file (application id, user version; documented at
 * sqlite.org/fileformat.html) and in the item of kind 0.  Both are in the file before its log begins.
 */
#include "base/rd.h"
#include "io/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "dht.lock"
#define OLD_NAME "dht.mdb" /* of versions before 0.1.0 */
#define BROKEN STORE_FILE ".broken"
#define BROKEN_MAX 9
#define ROWS_MAX (INT64_C(1) << 40)
#define HEAD_LEN 100
#define APPLICATION 0x51444148 /* "QDAH" */
#define VERSION 2
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define TABLE "CREATE TABLE item(key BLOB NOT NULL UNIQUE, value BLOB NOT NULL)"

enum found { NONE, OURS, DAMAGED };

static const uint8_t owner_key[STORE_KEY_LEN];

/* ---- the folder ---- */

static qudag_err lock_dir(struct store *s, char *why)
{
    char path[STORE_NAME_MAX];

    if (mkdir(s->dir, 0700) != 0 && errno != EEXIST) {
        return store_because(why, QUDAG_ESYSTEM, "cannot create the store folder:", s->dir,
                             strerror(errno));
    }
    store_path(s, path, LOCK_NAME);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        return store_because(why, QUDAG_ESYSTEM, "cannot write to the store folder:", s->dir,
                             strerror(errno));
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? store_because(why, QUDAG_EEXISTS, "another process is using the store in",
                                   s->dir, "")
                   : store_because(why, QUDAG_ESYSTEM, "cannot lock the store:", path,
                                   strerror(errno));
    }
    return QUDAG_OK;
}

static void warn_of_old(const struct store *s)
{
    char path[STORE_NAME_MAX];

    store_path(s, path, OLD_NAME);
    if (access(path, F_OK) == 0) {
        log_event(&s->log, LOG_WARN, "store.old_file",
                  LOG_STR("why",
                          "a store written by an earlier version is not read: the network has the "
                          "records of others, and what this node published is to be put again; "
                          "the file may be removed"),
                  LOG_STR("file", path));
    }
}

/* ---- whose file it is ---- */

/* The text of the item of kind 0 in the file as it is, without its log: nothing is written. */
static bool read_owner(const char *path, char *out, size_t cap)
{
    char uri[3 * STORE_NAME_MAX + 32];
    size_t n = (size_t)snprintf(uri, sizeof(uri), "file:");
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    struct slice key, data, bytes;
    uint64_t seq;
    bool found = false;

    for (const char *p = path; *p != '\0'; p++) {
        n += (size_t)snprintf(uri + n, sizeof(uri) - n, "%%%02x", (unsigned)(uint8_t)*p);
    }
    (void)snprintf(uri + n, sizeof(uri) - n, "?immutable=1");
    if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT key, value FROM item WHERE key = zeroblob(33)", -1, &st,
                           NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW) {
        store_row(st, &key, &data);
        found = store_value_read(key, data, &seq, &bytes) && bytes.len < cap;
        if (found) {
            memcpy(out, bytes.base, bytes.len);
            out[bytes.len] = '\0';
        }
    }
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return found;
}

/* A head that is not ours: another version, another program, or damage. */
static qudag_err check_head(const char *path, uint32_t version, uint32_t application,
                            enum found *out, char *why)
{
    char owner[64];
    bool known = read_owner(path, owner, sizeof(owner));

    if (known && strcmp(owner, STORE_FORMAT) == 0) {
        *out = DAMAGED;
        return QUDAG_OK;
    }
    if ((known && strncmp(owner, STORE_FORMAT, STORE_FAMILY_LEN) == 0) ||
        application == APPLICATION) {
        return store_because(why, QUDAG_EUNSUPPORTED,
                             version > VERSION ? "the store was written by a newer version:"
                                               : "the store was written by another version:",
                             path, "use that version, or another folder");
    }
    return store_because(why, QUDAG_EUNSUPPORTED, "the store belongs to another program:", path,
                         "use another folder");
}

/* What is there, before SQLite may write to it. */
static qudag_err look_at(struct store *s, enum found *out, char *why)
{
    static const uint8_t magic[16] = "SQLite format 3";
    char path[STORE_NAME_MAX], log_path[STORE_NAME_MAX];
    uint8_t head[HEAD_LEN];
    struct stat st;

    *out = NONE;
    store_path(s, path, STORE_FILE);
    store_path(s, log_path, STORE_FILE "-wal");
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return QUDAG_OK;
    }
    ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
    int cause = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        return store_because(why, QUDAG_ESYSTEM, "cannot open the store:", path, strerror(cause));
    }
    if (n == 0) { /* a log without a file: somebody has cut it */
        *out = stat(log_path, &st) == 0 && st.st_size > 0 ? DAMAGED : NONE;
        return QUDAG_OK;
    }
    *out = DAMAGED;
    if (n < HEAD_LEN || memcmp(head, magic, sizeof(magic)) != 0) {
        return QUDAG_OK;
    }
    struct rd r = rd_init((struct slice){head + 60, 12});
    uint32_t version = rd_u32(&r);
    (void)rd_u32(&r);
    uint32_t application = rd_u32(&r);
    if (application == APPLICATION && version == VERSION) {
        *out = OURS;
        return QUDAG_OK;
    }
    return check_head(path, version, application, out, why);
}

/* ---- a new file ---- */

static qudag_err cannot_open(struct store *s, const sqlite3 *db, int rc, char *why)
{
    char path[STORE_NAME_MAX];
    (void)db;

    store_path(s, path, STORE_FILE);
    return store_because(why, rc == SQLITE_NOMEM ? QUDAG_ENOMEM : QUDAG_ESYSTEM,
                         "cannot open the store:", path, sqlite3_errstr(rc));
}

/* Table, head and owner, synced, before there is a log.  A file cut short here is empty or ours. */
static int make_tables(struct store *s, const char *path)
{
    int rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(
            s->db,
            "PRAGMA page_size=" TEXT(STORE_PAGE) "; PRAGMA synchronous=FULL; BEGIN;"
                                                 "PRAGMA application_id=" TEXT(
                                                     APPLICATION) ";"
                                                                  "PRAGMA user_version=" TEXT(
                                                                      VERSION) ";" TABLE,
            NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_prepare_v2(s->db, "INSERT INTO item VALUES(?1, ?2)", -1, &s->sql[STORE_PUT],
                                NULL);
    }
    if (rc == SQLITE_OK) {
        rc = store_write_value(
            s, owner_key, 0,
            (struct slice){(const uint8_t *)STORE_FORMAT, sizeof(STORE_FORMAT) - 1});
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
    }
    store_db_close(s);
    return rc;
}

static qudag_err make_file(struct store *s, char *why)
{
    char path[STORE_NAME_MAX];

    store_path(s, path, STORE_FILE);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                  0600); /* its log will have this mode too */
    if (fd < 0) {
        return store_because(why, QUDAG_ESYSTEM, "cannot create the store:", path, strerror(errno));
    }
    close(fd);
    int rc = make_tables(s, path);
    return rc == SQLITE_OK ? QUDAG_OK : cannot_open(s, NULL, rc, why);
}

/* ---- the check of all of it ---- */

static bool says(sqlite3 *db, const char *sql, const char *wanted)
{
    sqlite3_stmt *st = NULL;
    bool is = false;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(st, 0);
        is = text != NULL && strcmp((const char *)text, wanted) == 0;
    }
    (void)sqlite3_finalize(st);
    return is;
}

/* One table and its index, as we make it: no trigger, no view; all pages as they should be; our name in it. */
static bool is_sound(struct store *s)
{
    /* the check asks the index for every row: pages kept meanwhile save most of the reading */
    (void)sqlite3_exec(s->db, "PRAGMA cache_size=-8192", NULL, NULL, NULL);
    bool sound = says(s->db, "SELECT count(*) || max(sql) FROM sqlite_master", "2" TABLE) &&
                 says(s->db, "PRAGMA integrity_check(1)", "ok");
    struct slice key, data, bytes = {NULL, 0};
    uint64_t seq;

    (void)sqlite3_bind_blob(s->sql[STORE_GET], 1, owner_key, STORE_KEY_LEN, SQLITE_STATIC);
    if (sound && sqlite3_step(s->sql[STORE_GET]) == SQLITE_ROW) {
        store_row(s->sql[STORE_GET], &key, &data);
        sound = store_value_read(key, data, &seq, &bytes) &&
                bytes.len == sizeof(STORE_FORMAT) - 1 &&
                memcmp(bytes.base, STORE_FORMAT, bytes.len) == 0;
    } else {
        sound = false;
    }
    (void)sqlite3_reset(s->sql[STORE_GET]);
    (void)sqlite3_exec(s->db, STORE_CACHE "; PRAGMA shrink_memory", NULL, NULL, NULL);
    return sound;
}

/*
 * Damaged pages of the log look to SQLite like commits never finished.  The log begins anew then, so that they are
 * not found a second time.
 */
static void look_at_log(struct store *s)
{
    int whole = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &whole, NULL);

    s->stats.log_lost =
        rc == SQLITE_OK && whole >= 0 ? store_log_lost(s->wal_fd, (uint32_t)whole) : 0;
    if (s->stats.log_lost == 0) {
        return;
    }
    rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    log_event(&s->log, LOG_ERROR, "store.log_damaged",
              LOG_STR("why",
                      "the log of the store was damaged, as by a power failure or a failing disk; "
                      "the changes in it are lost: the network has other copies"),
              LOG_NUM("pages", s->stats.log_lost), LOG_STR("cause", sqlite3_errstr(rc)));
}

/* Opens what is there; *damaged: it is not sound. */
static qudag_err open_file(struct store *s, bool *damaged, char *why)
{
    int rc = store_db_open(s), primary = rc & 0xff;

    *damaged = primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_ERROR ||
               (rc == SQLITE_OK && !is_sound(s));
    if (*damaged || rc != SQLITE_OK) {
        store_db_close(s);
    } else {
        look_at_log(s);
    }
    return *damaged || rc == SQLITE_OK ? QUDAG_OK : cannot_open(s, s->db, rc, why);
}

/* ---- a damaged file ---- */

/* DIR/dht.db and its log become dht.db.broken, or .broken.2 and so on; the last name is used again. */
static qudag_err set_aside(struct store *s, char broken[STORE_NAME_MAX], char *why)
{
    char path[STORE_NAME_MAX], name[48] = BROKEN, log_name[56];

    store_path(s, path, STORE_FILE);
    store_path(s, broken, name);
    for (int i = 2; i <= BROKEN_MAX && access(broken, F_OK) == 0; i++) {
        (void)snprintf(name, sizeof(name), BROKEN ".%d", i);
        store_path(s, broken, name);
    }
    if (rename(path, broken) != 0) {
        return store_because(why, QUDAG_ESYSTEM, "cannot set the damaged store aside:", path,
                             strerror(errno));
    }
    char log_path[STORE_NAME_MAX], broken_log[STORE_NAME_MAX];
    (void)snprintf(log_name, sizeof(log_name), "%s-wal", name);
    store_path(s, log_path, STORE_FILE "-wal");
    store_path(s, broken_log, log_name);
    (void)unlink(broken_log); /* of an earlier one of this name */
    if (rename(log_path, broken_log) != 0 && errno != ENOENT) {
        return store_because(why, QUDAG_ESYSTEM, "cannot set the damaged store aside:", log_path,
                             strerror(errno));
    }
    store_path(s, path, STORE_FILE "-shm");
    (void)unlink(path);
    s->stats.set_aside = true;
    return QUDAG_OK;
}

static void save_one(struct store *s, struct slice key, struct slice data)
{
    struct slice bytes;
    uint64_t seq;

    if (s->state == STORE_LOST || !store_value_read(key, data, &seq, &bytes) || key.base[0] == 0) {
        return;
    }
    qudag_err err = store_put(s, key.base[0], key.base + 1, bytes);
    s->stats.salvaged += err == QUDAG_OK || s->state != STORE_LOST ? 1 : 0;
}

/* Reading of a damaged table: |up| and |down| from a row number, rowid, key and value. */
struct saving {
    struct store *s;
    sqlite3_stmt *up, *down;
    int64_t last; /* all rows up to this one have been seen */
};

/*
 * Rows from |last| + 1 on, until one cannot be read (false) or there are no more.  A row number that does not grow
 * comes of pages that form a circle.
 */
static bool save_up(struct saving *v)
{
    int rc;

    (void)sqlite3_bind_int64(v->up, 1, v->last + 1);
    while ((rc = sqlite3_step(v->up)) == SQLITE_ROW && sqlite3_column_int64(v->up, 2) > v->last) {
        struct slice key, data;
        store_row(v->up, &key, &data);
        save_one(v->s, key, data);
        v->last = sqlite3_column_int64(v->up, 2);
    }
    (void)sqlite3_reset(v->up);
    return rc == SQLITE_DONE;
}

/* Rows from |from| downward, until one cannot be read or has been seen. */
static void save_down(struct saving *v, int64_t from)
{
    int64_t row;

    (void)sqlite3_bind_int64(v->down, 1, from);
    while (sqlite3_step(v->down) == SQLITE_ROW &&
           (row = sqlite3_column_int64(v->down, 2)) <= from && row > v->last) {
        struct slice key, data;
        store_row(v->down, &key, &data);
        save_one(v->s, key, data);
        from = row - 1;
    }
    (void)sqlite3_reset(v->down);
}

/* The first row that can be read beyond what cannot, in steps that double.  False: none. */
static bool find_beyond(struct saving *v, int64_t *found)
{
    int rc = SQLITE_ERROR;

    *found = v->last + 1;
    for (int64_t step = 1; step <= ROWS_MAX && rc != SQLITE_ROW && rc != SQLITE_DONE; step *= 2) {
        *found += step;
        (void)sqlite3_bind_int64(v->up, 1, *found);
        rc = sqlite3_step(v->up);
        if (rc == SQLITE_ROW && sqlite3_column_int64(v->up, 2) < *found) {
            rc = SQLITE_CORRUPT;
        } else if (rc == SQLITE_ROW) {
            *found = sqlite3_column_int64(v->up, 2);
        }
        (void)sqlite3_reset(v->up);
    }
    return rc == SQLITE_ROW;
}

/* Upward; over what cannot be read, and from beyond back to it. */
static void save_all(struct store *s, sqlite3 *old)
{
    struct saving v = {.s = s};
    int64_t next;

    if (sqlite3_prepare_v2(old,
                           "SELECT key, value, rowid FROM item WHERE rowid >= ?1 ORDER BY rowid",
                           -1, &v.up, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(old,
                           "SELECT key, value, rowid FROM item WHERE rowid <= ?1"
                           " ORDER BY rowid DESC",
                           -1, &v.down, NULL) == SQLITE_OK) {
        bool more = true;
        while (more && !save_up(&v)) {
            more = find_beyond(&v, &next);
            save_down(&v, more ? next - 1 : INT64_MAX);
            v.last = next - 1;
        }
    }
    (void)sqlite3_finalize(v.up);
    (void)sqlite3_finalize(v.down);
}

/* What is whole in the damaged file goes into the new one. */
static void salvage(struct store *s, const char *broken)
{
    sqlite3 *old = NULL;
    int rc = sqlite3_open_v2(broken, &old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc ==
        SQLITE_OK) { /* its log is read too, and stays as it is; a file cut short is read as well */
        (void)sqlite3_db_config(old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void)sqlite3_exec(
            old,
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA trusted_schema=OFF;"
            "PRAGMA writable_schema=ON; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0",
            NULL, NULL, NULL);
        save_all(s, old);
    }
    (void)sqlite3_close(old);
    qudag_err err = store_commit(s);
    log_event(&s->log, LOG_ERROR, "store.damaged",
              LOG_STR("why",
                      "the store was damaged; it was set aside and a new one started with what "
                      "could be salvaged: the network has other copies"),
              LOG_STR("file", broken), LOG_NUM("saved", s->stats.salvaged), LOG_ERR(err));
}

qudag_err store_begin_new(struct store *s, char *why)
{
    char broken[STORE_NAME_MAX];
    bool damaged = false;
    qudag_err err = set_aside(s, broken, why);

    if (err == QUDAG_OK) {
        err = make_file(s, why);
    }
    if (err == QUDAG_OK) {
        err = open_file(s, &damaged, why);
    }
    if (err == QUDAG_OK && damaged) {
        return store_because(why, QUDAG_ESYSTEM, "cannot read back the new store in", s->dir, "");
    }
    if (err == QUDAG_OK) {
        s->state = STORE_GOOD;
        salvage(s, broken);
    }
    return err;
}

/* ---- life ---- */

static qudag_err open_all(struct store *s, const uint8_t *owner, bool look_only, char *why)
{
    enum found found = NONE;
    bool damaged = false;
    qudag_err err = lock_dir(s, why);

    if (err == QUDAG_OK) {
        err = look_at(s, &found, why);
    }
    if (err != QUDAG_OK || look_only) {
        return err;
    }
    warn_of_old(s);
    err = store_owner_check(s, owner, found == NONE, why);
    if (err == QUDAG_OK && found == NONE) {
        err = make_file(s, why);
    }
    if (err == QUDAG_OK && found != DAMAGED) {
        err = open_file(s, &damaged, why);
    }
    if (err == QUDAG_OK && (found == DAMAGED || damaged)) {
        err = store_begin_new(s, why);
    }
    if (err == QUDAG_OK && !store_thread_start(s)) {
        err = store_because(why, QUDAG_ENOMEM, "cannot start the thread for the store in", s->dir,
                            "");
    }
    if (err == QUDAG_OK) {
        (void)store_retry(s); /* room? */
    }
    return err;
}

qudag_err store_open(struct store **out, const struct store_config *cfg, char why[STORE_WHY_LEN])
{
    *out = NULL;
    why[0] = 0;
    if (strlen(cfg->dir) >= STORE_PATH_MAX) {
        return store_because(why, QUDAG_EINVAL,
                             "the path of the store folder is too long:", cfg->dir, "");
    }
    struct store *s = calloc(1, sizeof(*s)); /* SQLite takes memory from malloc too */
    if (s == NULL) {
        return store_because(why, QUDAG_ENOMEM, "out of memory for the store in", cfg->dir, "");
    }
    s->lock_fd = s->wal_fd = -1;
    s->size_max = cfg->size_max;
    s->log = cfg->log;
    memcpy(s->dir, cfg->dir, strlen(cfg->dir) + 1);
    qudag_err err = open_all(s, cfg->owner, cfg->look_only, why);
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
    store_thread_stop(s);
    if (s->db != NULL) {
        qudag_err err = store_commit(s);
        (void)err;         /* has been logged */
        store_db_close(s); /* the log goes into the file, synced */
    }
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
    free(s);
}
