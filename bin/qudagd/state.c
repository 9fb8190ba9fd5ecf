/* state.c - the folder of one node. */
#include "state.h"

#include "common/rotate.h"

#include "rules.h"

#include <blake3.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOCK_MIN_S 1704067200 /* 2024-01-01: this program is younger */

static void wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}

static enum daemon_exit fail(struct state *s, enum daemon_exit code, const char *path, int err,
                             const char *todo)
{
    (void)snprintf(s->why, sizeof(s->why), "%s: %s%s%s", path, strerror(err),
                   todo[0] == 0 ? "" : "; ", todo);
    return code;
}

static enum daemon_exit take_lock(struct state *s)
{
    char path[PATH_LEN], pid[32] = "";
    if (!path_join(path, s->dir, "lock")) {
        return fail(s, DAEMON_USAGE, s->dir, ENAMETOOLONG, "");
    }
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (s->lock_fd < 0 && errno != ELOOP) {
        return fail(s, DAEMON_FAILED, path, errno, "the daemon must be able to write its folder");
    }
    struct stat st;
    if (s->lock_fd < 0 || fstat(s->lock_fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)snprintf(s->why, sizeof(s->why),
                       "%s: not a plain file; the daemon writes its pid there, so remove it", path);
        return DAEMON_STATE;
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = errno == EWOULDBLOCK ? read(s->lock_fd, pid, sizeof(pid) - 1) : 0;
        pid[n > 0 ? n : 0] = 0;
        pid[strcspn(pid, "\n")] = 0;
        (void)snprintf(s->why, sizeof(s->why),
                       "another qudagd (pid %s) owns %s; ask it with: qudag --dir %s status, stop "
                       "it with: qudag --dir %s down",
                       pid[0] == 0 ? "unknown" : pid, s->dir, s->dir, s->dir);
        return DAEMON_RUNNING;
    }
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(s->lock_fd, 0) != 0 || fd_write_all(s->lock_fd, pid, (size_t)n) != 0) {
        return fail(s, DAEMON_FAILED, path, errno, "make room on the disk");
    }
    return DAEMON_OK;
}

static bool holds_identity(const char *dir)
{
    char path[PATH_LEN];
    struct stat st;
    return path_join(path, dir, "identity") && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_uid == geteuid();
}

/* A folder of our own making, or one that the rules accept as it is. */
static enum daemon_exit take_folder(struct state *s)
{
    struct stat st;
    int err = stat(s->dir, &st) == 0 ? 0 : errno;
    if (err == ENOENT) {
        err = dir_make(s->dir, 0700);
        err = err == 0 && stat(s->dir, &st) != 0 ? errno : err;
    }
    if (err != 0) {
        return fail(s, DAEMON_FAILED, s->dir, err, "choose a folder of your own: --dir DIR");
    }
    unsigned mode = (unsigned)(st.st_mode & 07777);
    switch (rules_state_folder(st.st_mode, st.st_uid, geteuid(), holds_identity(s->dir))) {
    case RULES_FOLDER_NOT_ONE:
        return fail(s, DAEMON_FAILED, s->dir, ENOTDIR, "choose a folder of your own: --dir DIR");
    case RULES_FOLDER_WRITABLE:
        (void)snprintf(
            s->why, sizeof(s->why),
            "%s: others can write to this folder (mode %04o), so they could replace what "
            "the node stores.  Choose a folder inside it, which will be made with mode "
            "0700: --dir %s/qudag; or, if the folder is for the node alone, run: chmod "
            "go-w %s",
            s->dir, mode, s->dir, s->dir);
        return DAEMON_STATE;
    case RULES_FOLDER_FOREIGN:
        (void)snprintf(s->why, sizeof(s->why),
                       "%s belongs to another user (uid %lu); choose a folder of your own: --dir "
                       "DIR",
                       s->dir, (unsigned long)st.st_uid);
        return DAEMON_STATE;
    case RULES_FOLDER_OK:
        break;
    }
    return DAEMON_OK;
}

/* A file or folder with secrets in it is ours alone, or s->why says what to do. */
static enum daemon_exit take_secret(struct state *s, const char *path, const struct stat *st,
                                    bool folder)
{
    const char *kind = folder ? "folder" : "plain file";
    switch (folder ? rules_secret_folder(st->st_mode, st->st_uid, geteuid())
                   : rules_secret_file(st->st_mode, st->st_uid, geteuid())) {
    case RULES_SECRET_LINK:
    case RULES_SECRET_NO_FILE:
        (void)snprintf(s->why, sizeof(s->why),
                       "%s is %s, but it must be a %s in the folder itself: put it there", path,
                       S_ISLNK(st->st_mode)   ? "a symbolic link"
                       : S_ISDIR(st->st_mode) ? "a folder"
                                              : "something else",
                       kind);
        return DAEMON_STATE;
    case RULES_SECRET_OPEN:
        (void)snprintf(s->why, sizeof(s->why),
                       "%s is open to others (mode %04o), but it is secret.  If nobody has read "
                       "it, run: chmod %s %s",
                       path, (unsigned)(st->st_mode & 07777), folder ? "700" : "600", path);
        return DAEMON_STATE;
    case RULES_SECRET_FOREIGN:
        (void)snprintf(s->why, sizeof(s->why),
                       "%s belongs to another user (uid %lu), but it is secret.  If it is yours, "
                       "run as root: chown %lu %s",
                       path, (unsigned long)st->st_uid, (unsigned long)geteuid(), path);
        return DAEMON_STATE;
    case RULES_SECRET_OK:
        break;
    }
    return DAEMON_OK;
}

enum daemon_exit state_open(struct state *s, const char *dir)
{
    char path[PATH_LEN];
    *s = (struct state){.lock_fd = -1};
    (void)snprintf(s->dir, sizeof(s->dir), "%s", dir);
    vault_plain(&s->vault, dir);
    if (now_ms() / 1000 < CLOCK_MIN_S) {
        (void)snprintf(s->why, sizeof(s->why),
                       "this machine's clock is set to a time before 2024; records and "
                       "certificates would be refused.  Set it, for example: timedatectl set-ntp "
                       "true");
        return DAEMON_FAILED;
    }
    enum daemon_exit code = take_folder(s);
    if (code != DAEMON_OK) {
        return code;
    }
    int err = path_join(path, dir, "state") ? dir_make(path, 0700) : ENAMETOOLONG;
    if (err != 0) {
        return fail(s, DAEMON_FAILED, dir, err, "cannot create the state folder");
    }
    struct stat st;
    if (lstat(path, &st) != 0) {
        return fail(s, DAEMON_FAILED, path, errno, "");
    }
    code = take_secret(s, path, &st, true);
    return code == DAEMON_OK ? take_lock(s) : code;
}

/* A keyring is read before its owner is known to be us: the rest of the folder has the same rules. */
static enum daemon_exit take_keyring(struct state *s)
{
    char path[PATH_LEN];
    struct stat st;
    if (!path_join(path, s->dir, "keyring")) {
        return fail(s, DAEMON_USAGE, s->dir, ENAMETOOLONG, "");
    }
    return lstat(path, &st) == 0 ? take_secret(s, path, &st, false) : DAEMON_OK;
}

enum daemon_exit state_unlock(struct state *s, const struct passphrase *passphrase)
{
    enum daemon_exit code = take_keyring(s);
    if (code != DAEMON_OK) {
        return code;
    }
    switch (vault_open(&s->vault, s->dir, passphrase_bytes(passphrase))) {
    case VAULT_OK:
        return DAEMON_OK;
    case VAULT_LOCKED:
        (void)snprintf(s->why, sizeof(s->why),
                       "%s.  qudag up asks for it on a terminal; else --passphrase-fd N, or the "
                       "credential qudag.passphrase of systemd",
                       s->vault.why);
        break;
    default:
        (void)snprintf(s->why, sizeof(s->why), "%s", s->vault.why);
        break;
    }
    return DAEMON_STATE;
}

void state_close(struct state *s)
{
    vault_close(&s->vault);
    if (s->lock_fd >= 0) {
        close(s->lock_fd); /* the kernel drops the lock */
        s->lock_fd = -1;
    }
    wipe(s->secret, sizeof(s->secret));
}

static void derive(struct state *s, const uint8_t *bytes)
{
    blake3_hasher h;
    blake3_hasher_init_derive_key(&h, "qudagd 2026 transfer ids");
    blake3_hasher_update(&h, bytes, QUDAG_IDENTITY_LEN);
    blake3_hasher_finalize(&h, s->secret, sizeof(s->secret));
    wipe(&h, sizeof(h));
}

static enum daemon_exit make_identity(struct state *s, const char *path, qudag_identity **out)
{
    uint8_t bytes[QUDAG_IDENTITY_LEN];
    qudag_err err = qudag_identity_generate(out);
    if (err != QUDAG_OK) {
        (void)snprintf(s->why, sizeof(s->why), "cannot generate keys: %s", qudag_strerror(err));
        return DAEMON_FAILED;
    }
    qudag_identity_save(*out, bytes);
    derive(s, bytes);
    int sys = vault_write(&s->vault, "identity", bytes, sizeof(bytes));
    wipe(bytes, sizeof(bytes));
    if (sys != 0) {
        qudag_identity_free(*out);
        *out = NULL;
        return fail(s, DAEMON_FAILED, path, sys,
                    sys == ENOSPC ? "make room on the disk" : "cannot write the identity");
    }
    s->created = true;
    return DAEMON_OK;
}

/*
 * True, with s->why: there is state of a node whose identity is missing.  A new identity that went on with the old
 * relay key and the old dark addresses could be linked to the old one by everybody.
 */
static bool is_orphaned(struct state *s)
{
    char dir[PATH_LEN], path[PATH_LEN], found[NAME_MAX + 1] = "";
    struct stat st;
    DIR *list = path_join(dir, s->dir, "state") ? opendir(dir) : NULL;
    const struct dirent *e;
    while (list != NULL && found[0] == 0 && (e = readdir(list)) != NULL) {
        if (path_join(path, dir, e->d_name) && lstat(path, &st) == 0 &&
            rules_state_item(e->d_name, st.st_mode) == RULES_ITEM_OURS) {
            (void)snprintf(found, sizeof(found), "%s", e->d_name);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    if (found[0] != 0) {
        (void)snprintf(
            s->why, sizeof(s->why),
            "%s contains the state of a node (state/%s), but no identity.  A new identity with the "
            "old relay key and addresses could be linked to the old one.  Put the file "
            "identity back, or move the folders state and store away to start over",
            s->dir, found);
    }
    return found[0] != 0;
}

/* The same of a store. */
static bool is_orphaned_store(struct state *s, const char *store)
{
    char path[PATH_LEN];
    struct stat st;
    if (store[0] == 0 || !path_join(path, store, "dht.db") || lstat(path, &st) != 0) {
        return false;
    }
    (void)snprintf(s->why, sizeof(s->why),
                   "%s is the store of a node, but %s contains no identity.  A new identity would "
                   "go on publishing the old one's values, which links the two.  Put the file "
                   "identity back, or move the store away to start over",
                   store, s->dir);
    return true;
}

void state_foreign_store(struct state *s, const char *store)
{
    (void)snprintf(s->why, sizeof(s->why),
                   "%s is the store of another identity than %s/identity: this node would go on "
                   "publishing its values, which links the two.  Put that identity back, or move "
                   "the store away to start a new one",
                   store, s->dir);
}

enum daemon_exit state_identity(struct state *s, const char *store, qudag_identity **out)
{
    char path[PATH_LEN];
    struct stat st;
    if (!path_join(path, s->dir, "identity")) {
        return fail(s, DAEMON_USAGE, s->dir, ENAMETOOLONG, "");
    }
    if (lstat(path, &st) != 0) {
        if (errno != ENOENT) {
            return fail(s, DAEMON_STATE, path, errno, "");
        }
        bool orphaned = is_orphaned(s) || is_orphaned_store(s, store);
        return orphaned ? DAEMON_STATE : make_identity(s, path, out);
    }
    enum daemon_exit code = take_secret(s, path, &st, false);
    if (code != DAEMON_OK) {
        return code;
    }
    if (!rotate_finish(&s->vault, NULL)) {
        (void)snprintf(s->why, sizeof(s->why), "%s", s->vault.why);
        return DAEMON_STATE;
    }
    uint8_t *bytes = NULL;
    size_t len = 0;
    int sys = vault_read(&s->vault, "identity", 4096, &bytes, &len);
    if (sys == EBADMSG || sys == ENOKEY) {
        (void)snprintf(s->why, sizeof(s->why), "%s", s->vault.why);
        return DAEMON_STATE;
    }
    if (sys != 0 && sys != EFBIG) {
        return fail(s, DAEMON_STATE, path, sys, "the daemon must be able to read its identity");
    }
    qudag_err err =
        sys == EFBIG ? QUDAG_EMALFORMED : qudag_identity_load(out, (qudag_slice){bytes, len});
    if (err == QUDAG_OK) {
        derive(s, bytes);
    }
    if (bytes != NULL) {
        wipe(bytes, len);
        free(bytes);
    }
    if (err != QUDAG_OK) {
        (void)snprintf(
            s->why, sizeof(s->why),
            "%s is damaged (%zu bytes, %s); it was left as it is.  Put a copy in its place, "
            "or, to start with a new identity, move it and the folders state and store "
            "away",
            path, len, qudag_strerror(err));
        return DAEMON_STATE;
    }
    return DAEMON_OK;
}

/* ------------------------------------------------------------------ a copied folder */

#define ORIGIN_SALT 32
#define ORIGIN_LEN (ORIGIN_SALT + 32)

/*
 * A copy is another folder, another machine has another machine-id; salted, so that the file reveals neither.  Nothing
 * of it depends on a key, nor on a file that a change of the keys or of their passphrase writes anew.
 */
static bool origin_now(const struct state *s, uint8_t out[ORIGIN_LEN])
{
    struct stat st;
    uint8_t *machine = NULL;
    size_t len = 0;
    if (stat(s->dir, &st) != 0) {
        return false;
    }
    (void)file_read("/etc/machine-id", 256, &machine, &len); /* without one the inode has to do */
    uint64_t inode = (uint64_t)st.st_ino;
    blake3_hasher h;
    blake3_hasher_init_keyed(&h, out);
    blake3_hasher_update(&h, "origin", 6);
    blake3_hasher_update(&h, &inode, sizeof(inode));
    blake3_hasher_update(&h, machine == NULL ? (const uint8_t *)"" : machine, len);
    blake3_hasher_finalize(&h, out + ORIGIN_SALT, ORIGIN_LEN - ORIGIN_SALT);
    free(machine);
    return true;
}

void state_origin(struct state *s, struct logsink *log)
{
    char path[PATH_LEN];
    uint8_t now[ORIGIN_LEN], *then = NULL;
    size_t len = 0;
    if (!path_join(path, s->dir, "origin")) {
        return;
    }
    bool told = file_read(path, ORIGIN_LEN, &then, &len) == 0 && len == ORIGIN_LEN;
    if (told) {
        memcpy(now, then, ORIGIN_SALT);
    }
    bool known = (told || getrandom(now, ORIGIN_SALT, 0) == ORIGIN_SALT) && origin_now(s, now);
    bool same = told && known && memcmp(now, then, ORIGIN_LEN) == 0;
    free(then);
    if (same || !known) {
        return;
    }
    s->copied = told && !s->created;
    if (s->copied) {
        log_say(
            log, QUDAG_LOG_WARN, "state.copied",
            "the folder was copied or restored since the last start.  If a node still runs on the "
            "other one, stop one of them: both have the same identity, and peers reach only one");
    }
    (void)file_write_atomic(path, now, sizeof(now),
                            0600); /* if that fails, the warning comes again at the next start */
}

/* ------------------------------------------------------------------ which network the folder belongs to */

static enum daemon_exit check_network(struct state *s, bool lab, enum rules_network *made)
{
    char path[PATH_LEN];
    uint8_t *text = NULL;
    size_t len = 0;
    if (!path_join(path, s->dir, "network")) {
        return fail(s, DAEMON_USAGE, s->dir, ENAMETOOLONG, "");
    }
    int err = file_read(path, 64, &text, &len);
    if (err != 0 && err != ENOENT && err != EFBIG) {
        return fail(s, DAEMON_STATE, path, err, "");
    }
    *made = err == 0 ? rules_network_read((const char *)text, len) : RULES_NETWORK_UNKNOWN;
    free(text);
    if (rules_network_fits(*made, lab)) {
        return DAEMON_OK;
    }
    (void)snprintf(s->why, sizeof(s->why),
                   lab ? "%s was not made in a lab network: start it without --lab ([lab] lab), or "
                         "choose another folder"
                       : "%s was made in a lab network: start it with --lab, or, if it belongs to "
                         "qudag lab, with: qudag lab up",
                   s->dir);
    return DAEMON_USAGE;
}

/* Once all that is there was accepted, so that a folder made before this file existed gets one, too. */
static enum daemon_exit mark_network(struct state *s, bool lab)
{
    char path[PATH_LEN];
    const char *text = rules_network_text(lab ? RULES_NETWORK_LAB : RULES_NETWORK_NORMAL);
    if (!path_join(path, s->dir, "network")) {
        return fail(s, DAEMON_USAGE, s->dir, ENAMETOOLONG, "");
    }
    int err = file_write_atomic(path, text, strlen(text), 0600);
    return err == 0
               ? DAEMON_OK
               : fail(s, DAEMON_FAILED, path, err, err == ENOSPC ? "make room on the disk" : "");
}

/* ------------------------------------------------------------------ what the node persisted */

static void log_skipped(struct logsink *log)
{
    log_say(
        log, QUDAG_LOG_WARN, "state.skipped",
        "skipped an item in the state folder that this version does not know; it was left as it "
        "is");
}

static enum daemon_exit restore_one(struct state *s, qudag_node *n, const char *path,
                                    const char *file, struct logsink *log)
{
    char name[VAULT_NAME_MAX + 1];
    uint8_t *bytes = NULL;
    size_t len = 0;
    int sys = vault_read_file(&s->vault, file, name, &bytes, &len);
    if (sys == EBADMSG && !rules_state_secret(file)) { /* nothing that a node keeps */
        log_skipped(log);
        return DAEMON_OK;
    }
    if (sys == EBADMSG || sys == ENOKEY) {
        (void)snprintf(s->why, sizeof(s->why), "%s", s->vault.why);
        return DAEMON_STATE;
    }
    if (sys != 0) {
        return fail(s, DAEMON_STATE, path, sys, "the daemon must be able to read its state");
    }
    qudag_err err = qudag_node_restore(n, name, (qudag_slice){bytes, len});
    wipe(bytes, len);
    free(bytes);
    switch (rules_restore(name, (int)err)) {
    case RULES_RESTORE_SKIP:
        log_skipped(log);
        break;
    case RULES_RESTORE_REFUSE:
        if (err == QUDAG_EAUTH && strcmp(name, "owner") == 0) {
            (void)snprintf(
                s->why, sizeof(s->why),
                "%s/state is of another identity than %s/identity: with its onion keys "
                "and addresses everybody could link the two.  Put the identity back that "
                "belongs to it, or move the folders state and store away to start over",
                s->dir, s->dir);
            return DAEMON_STATE;
        }
        (void)snprintf(s->why, sizeof(s->why),
                       "%s is damaged (%zu bytes, %s); it was left as it is.  Put a copy in its "
                       "place, or move it away to continue without its contents",
                       path, len, qudag_strerror(err));
        return DAEMON_STATE;
    case RULES_RESTORE_OK:
        break;
    }
    return DAEMON_OK;
}

static enum daemon_exit restore_all(struct state *s, qudag_node *n, struct logsink *log)
{
    char dir[PATH_LEN], path[PATH_LEN];
    enum daemon_exit code = DAEMON_OK;
    const struct dirent *e;
    struct stat st;
    if (!path_join(dir, s->dir, "state")) {
        return fail(s, DAEMON_STATE, s->dir, ENAMETOOLONG, "");
    }
    DIR *list = opendir(dir);
    if (list == NULL) {
        return fail(s, DAEMON_STATE, dir, errno, "");
    }
    while (code == DAEMON_OK && (e = readdir(list)) != NULL) {
        enum rules_item item = RULES_ITEM_FOREIGN;
        if (path_join(path, dir, e->d_name) && lstat(path, &st) == 0) {
            item = rules_state_item(e->d_name, st.st_mode);
        }
        if (item == RULES_ITEM_OURS && rules_state_secret(e->d_name)) {
            code = take_secret(s, path, &st, false);
        }
        if (code == DAEMON_OK && item == RULES_ITEM_OURS) {
            code = restore_one(s, n, path, e->d_name, log);
        } else if (item == RULES_ITEM_FOREIGN) {
            log_say(log, QUDAG_LOG_WARN, "state.skipped",
                    "skipped an item in the state folder that the node did not store; it was left "
                    "as it is");
        }
    }
    (void)closedir(list);
    return code;
}

enum daemon_exit state_restore(struct state *s, qudag_node *n, bool lab, struct logsink *log)
{
    enum rules_network made = RULES_NETWORK_UNKNOWN;
    enum daemon_exit code = check_network(s, lab, &made);
    if (code == DAEMON_OK) {
        code = restore_all(s, n, log);
    }
    return code == DAEMON_OK && made == RULES_NETWORK_UNKNOWN ? mark_network(s, lab) : code;
}

qudag_err state_save(struct state *s, const char *name, qudag_slice bytes)
{
    char dir[PATH_LEN], item[VAULT_NAME_MAX + 1];
    int len = snprintf(item, sizeof(item), "state/%s", name);
    if (!rules_state_name(name) || bytes.len > STATE_ITEM_MAX || len >= (int)sizeof(item) ||
        !path_join(dir, s->dir, "state")) {
        (void)snprintf(s->why, sizeof(s->why), "invalid name of a state item");
        return QUDAG_EINVAL;
    }
    int err = bytes.len == 0 ? vault_remove(&s->vault, item)
                             : vault_write(&s->vault, item, bytes.base, bytes.len);
    if (err != 0) {
        s->unsaved = bytes.len > s->unsaved ? bytes.len : s->unsaved;
        /* The folder only: this is logged, and the file's name may be of a dark address. */
        (void)fail(s, DAEMON_FAILED, dir, err, err == ENOSPC ? "make room on the disk" : "");
        return QUDAG_ESYSTEM;
    }
    return QUDAG_OK;
}

bool state_saves(struct state *s)
{
    static const uint8_t zeros[STATE_ITEM_MAX];
    char path[PATH_LEN], dir[PATH_LEN];
    if (s->unsaved == 0) {
        return true;
    }
    if (!path_join(dir, s->dir, "state") || !path_join(path, dir, ".room")) {
        return false;
    }
    int err = file_write_atomic(path, zeros, s->unsaved, 0600);
    (void)unlink(path);
    if (err != 0) {
        (void)fail(s, DAEMON_FAILED, dir, err, err == ENOSPC ? "make room on the disk" : "");
        return false;
    }
    s->unsaved = 0;
    return true;
}
