/* vault.c - see vault.h. */
#include "vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYRING_MAX 4096
#define STATE "state/"
#define STATE_LEN 6
#define SEALED "sealed-"
#define FILE_MAX (VAULT_ITEM_MAX + 1 + VAULT_NAME_MAX + QUDAG_SEALED_EXTRA)

static const char *const whole_files[] = {"identity", "names"};
#define WHOLE_FILES (sizeof(whole_files) / sizeof(whole_files[0]))

static void free_wiped(uint8_t *p, size_t len)
{
    if (p != NULL) {
        explicit_bzero(p, len);
        free(p);
    }
}

static int says(struct vault *v, int err, const char *path, const char *text)
{
    (void)snprintf(v->why, sizeof(v->why), "%s: %s", path, text);
    return err;
}

/* ------------------------------------------------------------------ names */

/* What a node of this version saves (src/node/saved.c). */
bool vault_is_item(const char *name)
{
    static const char *const names[] = {"onion-key",  "onion-key-2", "guards", "relay-seq",
                                        "record-seq", "owner",       "kept"};
    static const char *const prefixes[] = {"dark-", "hid-", "pub-", "auth-", "succession-", "app-"};
    for (size_t ix = 0; ix < sizeof(names) / sizeof(names[0]); ix++) {
        if (strcmp(name, names[ix]) == 0) {
            return true;
        }
    }
    for (size_t ix = 0; ix < sizeof(prefixes) / sizeof(prefixes[0]); ix++) {
        if (strncmp(name, prefixes[ix], strlen(prefixes[ix])) == 0) {
            return strchr(name, '.') == NULL; /* with a dot it is somebody's copy */
        }
    }
    return false;
}

bool vault_is_sealed_name(const char *name)
{
    size_t len = strlen(SEALED);
    return strncmp(name, SEALED, len) == 0 && strlen(name) == len + 32 &&
           strspn(name + len, "0123456789abcdef") == 32;
}

/* Where |name| is: DIR/identity, DIR/state/NAME, DIR/state/sealed-HEX; |under|: what it is sealed under. */
static bool place(const struct vault *v, const qudag_keyring *keys, const char *name,
                  char path[PATH_LEN], char under[STATE_LEN + QUDAG_SEALED_NAME_MAX])
{
    if (strncmp(name, STATE, STATE_LEN) == 0 && keys != NULL) {
        char hidden[QUDAG_SEALED_NAME_MAX];
        qudag_keyring_hide_name(keys, name, hidden);
        (void)snprintf(under, STATE_LEN + QUDAG_SEALED_NAME_MAX, STATE "%s", hidden);
        return hidden[0] != 0 && path_join(path, v->dir, under);
    }
    (void)snprintf(under, STATE_LEN + QUDAG_SEALED_NAME_MAX, "%s", name);
    return path_join(path, v->dir, name);
}

/* ------------------------------------------------------------------ one file */

static int unseal(struct vault *v, const char *path, const char *under, uint8_t **bytes,
                  size_t *len)
{
    qudag_slice item = {*bytes, *len};
    if (!qudag_keyring_is_sealed(item)) {
        return v->keys == NULL
                   ? 0
                   : says(v, EBADMSG, path,
                          "it is not encrypted, but everything else in the folder is: somebody put "
                          "it there.  Move it away, or put the encrypted copy back");
    }
    if (v->keys == NULL) {
        return says(v, ENOKEY, path,
                    "it is encrypted, but the folder has no keyring: put the file keyring back "
                    "that belongs to it");
    }
    uint8_t *plain = malloc(*len + 1);
    size_t plain_len = 0;
    if (plain == NULL) {
        return says(v, ENOMEM, path, strerror(ENOMEM));
    }
    qudag_err err = qudag_keyring_unseal(v->keys, under, item, plain, *len, &plain_len);
    if (err != QUDAG_OK) {
        free(plain);
        return says(v, EBADMSG, path,
                    "it is damaged, or was encrypted in another folder; it was left as it is.  Put "
                    "a copy in its place");
    }
    free(*bytes);
    plain[plain_len] = 0;
    *bytes = plain;
    *len = plain_len;
    return 0;
}

/* Reads and opens; what is sealed of state/ still has its name before it. */
static int read_sealed(struct vault *v, const char *path, const char *under, size_t max,
                       uint8_t **out, size_t *len)
{
    *out = NULL;
    *len = 0;
    int err = file_read(path, max, out, len);
    if (err != 0) {
        return says(v, err, path, strerror(err));
    }
    err = unseal(v, path, under, out, len);
    if (err != 0) {
        free_wiped(*out, *len);
        *out = NULL;
        *len = 0;
    }
    return err;
}

/* Takes the name off that stands before a sealed item. */
static int split_name(struct vault *v, const char *path, char name[VAULT_NAME_MAX + 1],
                      uint8_t *bytes, size_t *len)
{
    size_t n = *len > 0 ? bytes[0] : 0;
    if (n == 0 || n >= *len || memchr(bytes + 1, 0, n) != NULL) {
        return says(v, EBADMSG, path, "it is no item of a node; move it away");
    }
    memcpy(name, bytes + 1, n);
    name[n] = 0;
    *len -= 1 + n;
    memmove(bytes, bytes + 1 + n, *len);
    bytes[*len] = 0;
    return 0;
}

int vault_read_file(struct vault *v, const char *file, char name[VAULT_NAME_MAX + 1], uint8_t **out,
                    size_t *len)
{
    char path[PATH_LEN], under[STATE_LEN + VAULT_NAME_MAX + 1];
    (void)snprintf(under, sizeof(under), STATE "%s", file);
    if (strlen(file) > VAULT_NAME_MAX || !path_join(path, v->dir, under)) {
        return says(v, ENAMETOOLONG, v->dir, strerror(ENAMETOOLONG));
    }
    int err = read_sealed(v, path, under, FILE_MAX, out, len);
    if (err == 0 && v->keys != NULL) {
        err = split_name(v, path, name, *out, len);
    } else if (err == 0) {
        (void)snprintf(name, VAULT_NAME_MAX + 1, "%s", file);
    }
    if (err != 0) {
        free_wiped(*out, *len);
        *out = NULL;
    }
    return err;
}

int vault_read(struct vault *v, const char *name, size_t max, uint8_t **out, size_t *len)
{
    char path[PATH_LEN], under[STATE_LEN + QUDAG_SEALED_NAME_MAX], real[VAULT_NAME_MAX + 1];
    if (!place(v, v->keys, name, path, under)) {
        return says(v, ENAMETOOLONG, name, strerror(ENAMETOOLONG));
    }
    bool item = strncmp(name, STATE, STATE_LEN) == 0;
    int err = read_sealed(v, path, under,
                          max + QUDAG_SEALED_EXTRA + (item ? 1 + VAULT_NAME_MAX : 0), out, len);
    if (err == 0 && item && v->keys != NULL) {
        err = split_name(v, path, real, *out, len);
    }
    if (err == 0 && *len > max) {
        err = says(v, EFBIG, path, strerror(EFBIG));
    }
    if (err != 0 && *out != NULL) {
        free_wiped(*out, *len);
        *out = NULL;
    }
    return err;
}

/* |bytes| as they lie on the disk under |keys|; *out to be freed. */
static int seal(const qudag_keyring *keys, const char *name, const char *under, qudag_slice content,
                uint8_t **out, size_t *out_len)
{
    bool item = strncmp(name, STATE, STATE_LEN) == 0;
    const char *real = name + STATE_LEN;
    size_t head = item ? 1 + strlen(real) : 0;
    if (head > 1 + VAULT_NAME_MAX) {
        return ENAMETOOLONG;
    }
    uint8_t *plain = malloc(head + content.len + 1);
    *out = malloc(head + content.len + QUDAG_SEALED_EXTRA);
    qudag_err err = plain == NULL || *out == NULL ? QUDAG_ENOMEM : QUDAG_OK;
    if (err == QUDAG_OK) {
        if (item) {
            plain[0] = (uint8_t)strlen(real);
            memcpy(plain + 1, real, head - 1);
        }
        if (content.len > 0) {
            memcpy(plain + head, content.base, content.len);
        }
        err = qudag_keyring_seal(keys, under, (qudag_slice){plain, head + content.len}, *out,
                                 head + content.len + QUDAG_SEALED_EXTRA, out_len);
    }
    free_wiped(plain, head + content.len);
    if (err != QUDAG_OK) {
        free(*out);
        *out = NULL;
    }
    return err == QUDAG_OK ? 0 : err == QUDAG_ENOMEM ? ENOMEM : EINVAL;
}

static int write_as(struct vault *v, const qudag_keyring *keys, const char *name, const void *base,
                    size_t len)
{
    char path[PATH_LEN], under[STATE_LEN + QUDAG_SEALED_NAME_MAX];
    uint8_t *sealed = NULL;
    size_t sealed_len = 0;
    if (!place(v, keys, name, path, under)) {
        return says(v, ENAMETOOLONG, name, strerror(ENAMETOOLONG));
    }
    int err =
        keys == NULL ? 0 : seal(keys, name, under, (qudag_slice){base, len}, &sealed, &sealed_len);
    if (err == 0) {
        err = keys == NULL ? file_write_atomic(path, base, len, 0600)
                           : file_write_atomic(path, sealed, sealed_len, 0600);
    }
    free(sealed);
    return err == 0 ? 0 : says(v, err, path, strerror(err));
}

int vault_write(struct vault *v, const char *name, const void *base, size_t len)
{
    return write_as(v, v->keys, name, base, len);
}

int vault_remove(struct vault *v, const char *name)
{
    char path[PATH_LEN], under[STATE_LEN + QUDAG_SEALED_NAME_MAX], dir[PATH_LEN];
    if (!place(v, v->keys, name, path, under)) {
        return says(v, ENAMETOOLONG, name, strerror(ENAMETOOLONG));
    }
    (void)snprintf(dir, sizeof(dir), "%s", path);
    *strrchr(dir, '/') = 0;
    int err = unlink(path) == 0 || errno == ENOENT ? dir_sync(dir) : errno;
    return err == 0 ? 0 : says(v, err, path, strerror(err));
}

/* ------------------------------------------------------------------ all files */

/* The blocks of a file that has no name any more, as far as the file system writes where it says. */
static void scrub(int fd)
{
    static const uint8_t zeros[4096];
    struct stat st;
    off_t left = fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
    while (left > 0) {
        size_t part = left < (off_t)sizeof(zeros) ? (size_t)left : sizeof(zeros);
        if (fd_write_all(fd, zeros, part) != 0) {
            break;
        }
        left -= (off_t)part;
    }
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* Writes what |path| contains plainly, or sealed, the other way; the plain one is overwritten. */
static int convert(struct vault *v, const char *name, const char *path, const uint8_t *bytes,
                   size_t len, bool to_sealed)
{
    char now[PATH_LEN], under[STATE_LEN + QUDAG_SEALED_NAME_MAX];
    const qudag_keyring *keys = to_sealed ? v->keys : NULL;
    int old = to_sealed ? open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    int err = write_as(v, keys, name, bytes, len);
    if (err == 0 && place(v, keys, name, now, under) && strcmp(now, path) != 0 &&
        unlink(path) != 0) {
        err = says(v, errno, path, strerror(errno));
    }
    if (err == 0) {
        scrub(old);
    } else if (old >= 0) {
        (void)close(old);
    }
    return err;
}

static int convert_whole(struct vault *v, const char *name, bool to_sealed)
{
    char path[PATH_LEN];
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!path_join(path, v->dir, name)) {
        return says(v, ENAMETOOLONG, v->dir, strerror(ENAMETOOLONG));
    }
    int err = file_read(path, FILE_MAX * 8, &bytes, &len);
    if (err != 0) {
        return err == ENOENT ? 0 : says(v, err, path, strerror(err));
    }
    bool is = qudag_keyring_is_sealed((qudag_slice){bytes, len});
    if (is && !to_sealed) {
        err = unseal(v, path, name, &bytes, &len);
    }
    if (err == 0 && is != to_sealed) {
        err = convert(v, name, path, bytes, len, to_sealed);
    }
    free_wiped(bytes, len);
    return err;
}

static int convert_item(struct vault *v, const char *file, bool to_sealed)
{
    char path[PATH_LEN], name[STATE_LEN + VAULT_NAME_MAX + 1] = STATE;
    uint8_t *bytes = NULL;
    size_t len = 0;
    (void)snprintf(name + STATE_LEN, VAULT_NAME_MAX + 1, "%s", file);
    if (!path_join(path, v->dir, name)) {
        return says(v, ENAMETOOLONG, v->dir, strerror(ENAMETOOLONG));
    }
    int err;
    if (to_sealed) {
        err = file_read(path, VAULT_ITEM_MAX, &bytes, &len);
        err = err == 0 ? 0 : says(v, err, path, strerror(err));
    } else {
        err = vault_read_file(v, file, name + STATE_LEN, &bytes, &len);
    }
    if (err == 0) {
        err = convert(v, name, path, bytes, len, to_sealed);
    }
    free_wiped(bytes, len);
    return err;
}

/* Calls |fn| for each item of state/ that is sealed, or is not. */
static int each_item(struct vault *v, bool sealed, bool to_sealed,
                     int (*fn)(struct vault *, const char *, bool))
{
    char dir[PATH_LEN];
    DIR *list = path_join(dir, v->dir, "state") ? opendir(dir) : NULL;
    const struct dirent *e;
    int err = 0;
    if (list == NULL) {
        return errno == ENOENT ? 0 : says(v, errno, dir, strerror(errno));
    }
    while (err == 0 && (e = readdir(list)) != NULL) {
        if (sealed ? vault_is_sealed_name(e->d_name) : vault_is_item(e->d_name)) {
            err = fn(v, e->d_name, to_sealed);
        }
    }
    (void)closedir(list);
    return err == 0 ? dir_sync(dir) : err;
}

static int convert_all(struct vault *v, bool to_sealed)
{
    int err = 0;
    for (size_t ix = 0; err == 0 && ix < WHOLE_FILES; ix++) {
        err = convert_whole(v, whole_files[ix], to_sealed);
    }
    return err == 0 ? each_item(v, !to_sealed, to_sealed, convert_item) : err;
}

/* ------------------------------------------------------------------ the keyring */

bool vault_encrypted(const char *dir)
{
    char path[PATH_LEN];
    struct stat st;
    return path_join(path, dir, "keyring") && lstat(path, &st) == 0;
}

static bool write_keyring(struct vault *v, qudag_keyring_state state, qudag_slice passphrase)
{
    char path[PATH_LEN];
    uint8_t bytes[QUDAG_KEYRING_LEN];
    qudag_err err = qudag_keyring_set_state(v->keys, state);
    if (err == QUDAG_OK) {
        err = qudag_keyring_save(v->keys, passphrase, v->cost, bytes);
    }
    if (err != QUDAG_OK) {
        (void)says(v, 0, "the passphrase",
                   err == QUDAG_EINVAL ? "it must have 1 to 1024 bytes" : qudag_strerror(err));
        return false;
    }
    int sys = path_join(path, v->dir, "keyring")
                  ? file_write_atomic(path, bytes, sizeof(bytes), 0600)
                  : ENAMETOOLONG;
    if (sys != 0) {
        (void)says(v, 0, v->dir, strerror(sys));
    }
    return sys == 0;
}

static int is_sealed_item(struct vault *v, const char *file, bool to_sealed)
{
    (void)to_sealed;
    return says(v, ENOKEY, file,
                "there are encrypted items in the folder, but no keyring: put the file keyring "
                "back that belongs to them");
}

/* Whether something in a folder without keyring is sealed; v->why says so. */
static bool holds_sealed(struct vault *v)
{
    for (size_t ix = 0; ix < WHOLE_FILES; ix++) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        int err = vault_read(v, whole_files[ix], FILE_MAX * 8, &bytes, &len);
        free_wiped(bytes, len);
        if (err == ENOKEY) {
            return true;
        }
    }
    return each_item(v, true, false, is_sealed_item) != 0;
}

bool vault_encrypt(struct vault *v, qudag_slice passphrase)
{
    if (v->keys != NULL || holds_sealed(v)) {
        return false;
    }
    qudag_err err = qudag_keyring_new(&v->keys);
    if (err != QUDAG_OK) {
        (void)says(v, 0, v->dir, qudag_strerror(err));
        return false;
    }
    if (!write_keyring(v, QUDAG_KEYRING_SEALING, passphrase)) {
        vault_close(v);
        return false;
    }
    return convert_all(v, true) == 0 && write_keyring(v, QUDAG_KEYRING_WHOLE, passphrase);
}

bool vault_change(struct vault *v, qudag_slice passphrase)
{
    return v->keys != NULL && write_keyring(v, qudag_keyring_get_state(v->keys), passphrase);
}

/* All that is left of taking the passphrase away once keyring says so. */
static bool end_opening(struct vault *v)
{
    char path[PATH_LEN];
    if (convert_all(v, false) != 0) {
        return false;
    }
    if (!path_join(path, v->dir, "keyring") || unlink(path) != 0 || dir_sync(v->dir) != 0) {
        (void)says(v, 0, path, strerror(errno));
        return false;
    }
    vault_close(v);
    return true;
}

bool vault_decrypt(struct vault *v, qudag_slice passphrase)
{
    return v->keys != NULL && write_keyring(v, QUDAG_KEYRING_OPENING, passphrase) && end_opening(v);
}

static enum vault_answer take_keyring(struct vault *v, const char *path, qudag_slice file,
                                      qudag_slice passphrase)
{
    qudag_err err = qudag_keyring_open(&v->keys, file, passphrase);
    switch (err) {
    case QUDAG_OK:
        break;
    case QUDAG_EAUTH:
        (void)snprintf(
            v->why, sizeof(v->why),
            "this is not the passphrase of %s (or its file keyring was changed); nothing "
            "was touched",
            v->dir);
        return VAULT_WRONG;
    case QUDAG_EINVAL:
        (void)says(v, 0, "the passphrase", "it must have 1 to 1024 bytes");
        return VAULT_WRONG;
    case QUDAG_ENOMEM:
        (void)says(v, 0, path, "there is not enough memory to try the passphrase");
        return VAULT_FAILED;
    default:
        (void)says(v, 0, path,
                   "it is damaged, or of a later version; it was left as it is.  Put a copy in its "
                   "place: without it the keys are lost");
        return VAULT_FAILED;
    }
    bool ok = true;
    if (qudag_keyring_get_state(v->keys) == QUDAG_KEYRING_SEALING) {
        ok = convert_all(v, true) == 0 && write_keyring(v, QUDAG_KEYRING_WHOLE, passphrase);
    } else if (qudag_keyring_get_state(v->keys) == QUDAG_KEYRING_OPENING) {
        ok = end_opening(v);
    }
    return ok ? VAULT_OK : VAULT_FAILED;
}

enum vault_answer vault_open(struct vault *v, const char *dir, qudag_slice passphrase)
{
    char path[PATH_LEN];
    uint8_t *file = NULL;
    size_t len = 0;
    vault_plain(v, dir);
    int err =
        path_join(path, dir, "keyring") ? file_read(path, KEYRING_MAX, &file, &len) : ENAMETOOLONG;
    if (err == ENOENT) {
        bool ok = passphrase.len == 0 || vault_encrypt(v, passphrase);
        if (!ok) {
            vault_close(v);
        }
        return ok ? VAULT_OK : VAULT_FAILED;
    }
    if (err != 0) {
        (void)says(v, err, path, strerror(err));
        return VAULT_FAILED;
    }
    enum vault_answer answer = VAULT_LOCKED;
    if (passphrase.len > 0) {
        answer = take_keyring(v, path, (qudag_slice){file, len}, passphrase);
    } else {
        (void)snprintf(v->why, sizeof(v->why),
                       "the keys in %s are encrypted, and no passphrase was given", dir);
    }
    free(file);
    if (answer != VAULT_OK) { /* what could not be ended goes on at the next opening */
        vault_close(v);
    }
    return answer;
}

void vault_plain(struct vault *v, const char *dir)
{
    *v = (struct vault){.cost = v->cost};
    (void)snprintf(v->dir, sizeof(v->dir), "%s", dir);
}

void vault_close(struct vault *v)
{
    qudag_keyring_free(v->keys);
    v->keys = NULL;
}
