/* state.c - the folder of one node. */
#include "state.h"

#include <blake3.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        return fail(s, DAEMON_FAILED, path, errno, "the daemon must be able to write its folder");
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

enum daemon_exit state_open(struct state *s, const char *dir)
{
    char path[PATH_LEN];
    *s = (struct state){.lock_fd = -1};
    (void)snprintf(s->dir, sizeof(s->dir), "%s", dir);
    if (now_ms() / 1000 < CLOCK_MIN_S) {
        (void)snprintf(s->why, sizeof(s->why),
                       "the clock of this machine says a time before 2024; records and "
                       "certificates would be refused.  Set it, for example: timedatectl set-ntp "
                       "true");
        return DAEMON_FAILED;
    }
    int err = dir_make(dir, 0700);
    if (err == 0 && chmod(dir, 0700) != 0) {
        err = errno;
    }
    if (err != 0) {
        return fail(s, DAEMON_FAILED, dir, err, "choose a folder of your own: --dir DIR");
    }
    if (!path_join(path, dir, "state") || (err = dir_make(path, 0700)) != 0) {
        return fail(s, DAEMON_FAILED, dir, err, "the state folder cannot be made");
    }
    return take_lock(s);
}

void state_close(struct state *s)
{
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
        (void)snprintf(s->why, sizeof(s->why), "no keys could be made: %s", qudag_strerror(err));
        return DAEMON_FAILED;
    }
    qudag_identity_save(*out, bytes);
    derive(s, bytes);
    int sys = file_write_atomic(path, bytes, sizeof(bytes), 0600);
    wipe(bytes, sizeof(bytes));
    if (sys != 0) {
        qudag_identity_free(*out);
        *out = NULL;
        return fail(s, DAEMON_FAILED, path, sys,
                    sys == ENOSPC ? "make room on the disk" : "the identity could not be kept");
    }
    s->created = true;
    return DAEMON_OK;
}

enum daemon_exit state_identity(struct state *s, qudag_identity **out)
{
    char path[PATH_LEN];
    struct stat st;
    if (!path_join(path, s->dir, "identity")) {
        return fail(s, DAEMON_USAGE, s->dir, ENAMETOOLONG, "");
    }
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? make_identity(s, path, out)
                               : fail(s, DAEMON_STATE, path, errno, "");
    }
    if ((st.st_mode & 077) != 0) {
        (void)snprintf(s->why, sizeof(s->why),
                       "%s is open to others (mode %04o), but it is secret.  If nobody has read "
                       "it, run: chmod 600 %s",
                       path, (unsigned)(st.st_mode & 07777), path);
        return DAEMON_STATE;
    }
    uint8_t *bytes = NULL;
    size_t len = 0;
    int sys = file_read(path, 4096, &bytes, &len);
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
        (void)snprintf(s->why, sizeof(s->why),
                       "%s is damaged (%zu bytes, %s); it was left as it is.  Put a copy in its "
                       "place, or move it away to begin with a new identity",
                       path, len, qudag_strerror(err));
        return DAEMON_STATE;
    }
    return DAEMON_OK;
}

static enum daemon_exit restore_one(struct state *s, qudag_node *n, const char *name)
{
    char path[PATH_LEN], dir[PATH_LEN];
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!path_join(dir, s->dir, "state") || !path_join(path, dir, name)) {
        return fail(s, DAEMON_STATE, name, ENAMETOOLONG, "");
    }
    int sys = file_read(path, STATE_ITEM_MAX, &bytes, &len);
    if (sys != 0) {
        return fail(s, DAEMON_STATE, path, sys, "the daemon must be able to read its state");
    }
    qudag_err err = qudag_node_restore(n, name, (qudag_slice){bytes, len});
    wipe(bytes, len);
    free(bytes);
    if (err != QUDAG_OK) {
        (void)snprintf(s->why, sizeof(s->why),
                       "%s is damaged (%zu bytes, %s); it was left as it is.  Put a copy in its "
                       "place, or move it away to go on without what it holds",
                       path, len, qudag_strerror(err));
        return DAEMON_STATE;
    }
    return DAEMON_OK;
}

enum daemon_exit state_restore(struct state *s, qudag_node *n)
{
    char dir[PATH_LEN];
    if (!path_join(dir, s->dir, "state")) {
        return fail(s, DAEMON_STATE, s->dir, ENAMETOOLONG, "");
    }
    DIR *list = opendir(dir);
    if (list == NULL) {
        return fail(s, DAEMON_STATE, dir, errno, "");
    }
    enum daemon_exit code = DAEMON_OK;
    const struct dirent *e;
    while (code == DAEMON_OK && (e = readdir(list)) != NULL) {
        if (e->d_name[0] != '.') { /* what a crash left half written begins with a dot */
            code = restore_one(s, n, e->d_name);
        }
    }
    (void)closedir(list);
    return code;
}

qudag_err state_save(struct state *s, const char *name, qudag_slice bytes)
{
    char path[PATH_LEN], dir[PATH_LEN];
    size_t len = strlen(name);
    if (len == 0 || name[0] == '.' || bytes.len > STATE_ITEM_MAX ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != len ||
        !path_join(dir, s->dir, "state") || !path_join(path, dir, name)) {
        (void)snprintf(s->why, sizeof(s->why), "not a name to save under");
        return QUDAG_EINVAL;
    }
    int err;
    if (bytes.len == 0) {
        err = unlink(path) == 0 || errno == ENOENT ? dir_sync(dir) : errno;
    } else {
        err = file_write_atomic(path, bytes.base, bytes.len, 0600);
    }
    if (err != 0) {
        /* The folder only: this is logged, and the file's name may be of a dark address. */
        (void)fail(s, DAEMON_FAILED, dir, err, err == ENOSPC ? "make room on the disk" : "");
        return QUDAG_ESYSTEM;
    }
    return QUDAG_OK;
}
