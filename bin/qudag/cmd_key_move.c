/*
 * cmd_key_move.c - key export, key import: all that makes a node, in one file.
 *
 *   "QUDAGEX1" | keyring (84) | archive sealed under "export"       or, in the clear, "QUDAGEX0" | archive
 */
#include "archive.h"
#include "key.h"

#include <qudag/qudag.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC_LEN 8
#define SEALED_MAGIC "QUDAGEX1"
#define PLAIN_MAGIC "QUDAGEX0"

static int fails(struct tool *t, const char *path, const char *text, const char *hint)
{
    char message[PATH_LEN + 300];
    (void)snprintf(message, sizeof(message), "%.1000s: %.280s", path, text);
    return tool_error(t, TOOL_FAILED, "KEYS", message, hint);
}

/* ------------------------------------------------------------------ export */

static int collect_items(struct vault *v, struct archive *a)
{
    char dir[PATH_LEN], name[6 + VAULT_NAME_MAX + 1] = "state/";
    DIR *list = path_join(dir, v->dir, "state") ? opendir(dir) : NULL;
    const struct dirent *e;
    int err = 0;
    while (list != NULL && err == 0 && (e = readdir(list)) != NULL) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        if (v->keys != NULL ? !vault_is_sealed_name(e->d_name) : !vault_is_item(e->d_name)) {
            continue;
        }
        err = vault_read_file(v, e->d_name, name + 6, &bytes, &len);
        if (err == 0 && !archive_add(a, name, bytes, len)) {
            err = ENOMEM;
        }
        if (bytes != NULL) {
            explicit_bzero(bytes, len);
            free(bytes);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    return err;
}

/* All of the folder that moves with the node. */
static int collect(struct vault *v, struct archive *a)
{
    static const struct {
        const char *name;
        bool secret;
    } of[] = {{"identity", true}, {"names", true}, {"qudag.conf", false}, {"network", false}};
    char path[PATH_LEN];
    for (size_t ix = 0; ix < sizeof(of) / sizeof(of[0]); ix++) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        int err = of[ix].secret ? vault_read(v, of[ix].name, 1u << 20, &bytes, &len)
                  : path_join(path, v->dir, of[ix].name) ? file_read(path, 1u << 20, &bytes, &len)
                                                         : ENAMETOOLONG;
        if (err == 0 && !archive_add(a, of[ix].name, bytes, len)) {
            err = ENOMEM;
        }
        if (bytes != NULL) {
            explicit_bzero(bytes, len);
            free(bytes);
        }
        if (err != 0 && (err != ENOENT || ix == 0)) {
            return err;
        }
    }
    return collect_items(v, a);
}

/* |a| as the file is, in |out|; p->len 0: in the clear. */
static qudag_err pack(const struct archive *a, const struct passphrase *p, struct archive *out)
{
    size_t len = 0;
    if (!archive_room(out, MAGIC_LEN + QUDAG_KEYRING_LEN + QUDAG_SEALED_EXTRA + a->len)) {
        return QUDAG_ENOMEM;
    }
    if (p->len == 0) {
        memcpy(out->base, PLAIN_MAGIC, MAGIC_LEN);
        memcpy(out->base + MAGIC_LEN, a->base, a->len);
        out->len = MAGIC_LEN + a->len;
        return QUDAG_OK;
    }
    qudag_keyring *k = NULL;
    uint8_t *to = out->base + MAGIC_LEN + QUDAG_KEYRING_LEN;
    memcpy(out->base, SEALED_MAGIC, MAGIC_LEN);
    qudag_err err = qudag_keyring_new(&k);
    if (err == QUDAG_OK) {
        err = qudag_keyring_save(k, passphrase_bytes(p), NULL, out->base + MAGIC_LEN);
    }
    if (err == QUDAG_OK) {
        err = qudag_keyring_seal(k, "export", (qudag_slice){a->base, a->len}, to,
                                 a->len + QUDAG_SEALED_EXTRA, &len);
    }
    qudag_keyring_free(k);
    out->len = MAGIC_LEN + QUDAG_KEYRING_LEN + len;
    return err;
}

/* The passphrase of the export: of |fd|, asked for, or, where the folder has one, that one. */
static int export_passphrase(struct tool *t, const char *fd, bool plain,
                             const struct passphrase *own, struct passphrase *p)
{
    *p = (struct passphrase){0};
    if (plain) {
        return TOOL_OK;
    }
    if (fd == NULL && own->len > 0) {
        *p = *own;
        return TOOL_OK;
    }
    if (fd == NULL && !passphrase_can_ask()) {
        return tool_error(t, TOOL_USAGE, "PASSPHRASE",
                          "an export is encrypted, and there is no terminal to ask for its "
                          "passphrase on",
                          "--export-passphrase-fd N reads it from a descriptor; --plain leaves it "
                          "in the clear");
    }
    bool ok = fd != NULL ? passphrase_from_option(p, fd)
                         : passphrase_ask_new(p, "Passphrase of the export: ");
    return ok ? TOOL_OK : tool_error(t, TOOL_USAGE, "PASSPHRASE", p->why, "nothing was written");
}

static int write_export(struct tool *t, const char *file, struct vault *v,
                        const struct passphrase *p)
{
    struct archive a = {0}, out = {0};
    int sys = collect(v, &a);
    if (sys != 0) {
        archive_free(&a);
        return tool_error(t, TOOL_FAILED, "KEYS",
                          sys == ENOMEM ? "out of memory, or the folder is too large" : v->why,
                          sys == ENOENT ? "this folder has no identity: nothing to export" : "");
    }
    qudag_err err = pack(&a, p, &out);
    archive_free(&a);
    sys = err == QUDAG_OK ? file_write_atomic(file, out.base, out.len, 0600) : 0;
    size_t len = out.len;
    archive_free(&out);
    if (err != QUDAG_OK) {
        return fails(t, file, qudag_strerror(err), "");
    }
    if (sys != 0) {
        return fails(t, file, strerror(sys), "choose another place");
    }
    if (t->json) {
        (void)fputs("{\"exported\":", stdout);
        json_text(stdout, file);
        (void)printf(",\"bytes\":%zu,\"encrypted\":%s}\n", len, p->len > 0 ? "true" : "false");
    } else {
        (void)printf("exported   %s (%zu bytes, %s)\nnote       one node, one place: do not start "
                     "both\n",
                     file, len, p->len > 0 ? "encrypted" : "IN THE CLEAR");
    }
    return TOOL_OK;
}

int key_export(struct tool *t, int argc, char **argv)
{
    static const struct opt opts[] = {
        {"--plain", NULL}, {"--passphrase-fd", "N"}, {"--export-passphrase-fd", "N"}};
    struct args a = {
        .t = t, .what = "key export", .argc = argc, .argv = argv, .opts = opts, .n = 3};
    const char *fd[3] = {NULL, NULL, NULL}, *file = NULL;
    bool plain = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        plain = plain || got == 0;
        if (got >= 0) {
            fd[got] = a.value;
        } else {
            file = a.value;
        }
    }
    if (file == NULL) {
        return tool_usage(t, "key export: into which file?");
    }
    if (access(file, F_OK) == 0) {
        return fails(t, file, "it is there already, and is not overwritten", "choose another name");
    }
    struct passphrase own, p = {0};
    struct vault v = {0};
    int lock = key_lock(t);
    if (lock < 0) {
        return TOOL_REFUSED;
    }
    own = (struct passphrase){0};
    int code = vault_encrypted(t->dir) ? key_passphrase(t, fd[1], &own) : TOOL_OK;
    code = code == TOOL_OK ? key_open(t, &v, &own) : code;
    if (code == TOOL_OK) {
        code = export_passphrase(t, fd[2], plain, &own, &p);
        code = code == TOOL_OK ? write_export(t, file, &v, &p) : code;
        vault_close(&v);
    }
    passphrase_wipe(&own);
    passphrase_wipe(&p);
    (void)close(lock);
    return code;
}

/* ------------------------------------------------------------------ import */

/* True for a folder without anything in it, or none at all. */
static bool is_empty(const char *dir)
{
    DIR *list = opendir(dir);
    const struct dirent *e;
    bool empty = list != NULL || errno == ENOENT;
    while (list != NULL && empty && (e = readdir(list)) != NULL) {
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    return empty;
}

/* Opens the file into |a|; not TOOL_OK: the user has been told. */
static int unpack(struct tool *t, const char *file, qudag_slice in, struct passphrase *p,
                  const char *fd, struct archive *a)
{
    size_t head = MAGIC_LEN + QUDAG_KEYRING_LEN, n = 0;
    if (!archive_room(a, in.len + 1)) {
        return fails(t, file, strerror(ENOMEM), "");
    }
    if (in.len >= MAGIC_LEN && memcmp(in.base, PLAIN_MAGIC, MAGIC_LEN) == 0) {
        memcpy(a->base, in.base + MAGIC_LEN, in.len - MAGIC_LEN);
        a->len = in.len - MAGIC_LEN;
        return TOOL_OK;
    }
    if (in.len < head || memcmp(in.base, SEALED_MAGIC, MAGIC_LEN) != 0) {
        return fails(t, file, "this is no export of qudag key", "");
    }
    bool ok = fd != NULL             ? passphrase_from_option(p, fd)
              : passphrase_can_ask() ? passphrase_ask(p, "Passphrase of the export: ")
                                     : false;
    if (!ok) {
        return tool_error(t, TOOL_USAGE, "PASSPHRASE",
                          p->why[0] != 0 ? p->why : "there is no terminal to ask for it on",
                          "--export-passphrase-fd N reads it from a descriptor");
    }
    qudag_keyring *k = NULL;
    qudag_err err = qudag_keyring_open(&k, (qudag_slice){in.base + MAGIC_LEN, QUDAG_KEYRING_LEN},
                                       passphrase_bytes(p));
    if (err == QUDAG_EAUTH) {
        return tool_error(t, TOOL_REFUSED, "PASSPHRASE",
                          "this is not the passphrase of the export, or it was damaged",
                          "nothing was written");
    }
    if (err == QUDAG_OK) {
        err = qudag_keyring_unseal(k, "export", (qudag_slice){in.base + head, in.len - head},
                                   a->base, a->cap, &n);
    }
    qudag_keyring_free(k);
    a->len = n;
    return err == QUDAG_OK ? TOOL_OK : fails(t, file, "the export is damaged", "take another copy");
}

/* Writes everything into the new folder |dir|, encrypted when there is a passphrase. */
static int fill(const char *dir, const struct archive *a, const struct passphrase *p, char why[300])
{
    struct vault v = {0};
    char name[ARCHIVE_NAME_MAX + 1], path[PATH_LEN];
    const uint8_t *bytes;
    size_t at = 0, n;
    int err = path_join(path, dir, "state") ? dir_make(path, 0700) : ENAMETOOLONG;
    enum vault_answer answer = vault_open(&v, dir, passphrase_bytes(p));
    err = err == 0 && answer != VAULT_OK ? EIO : err;
    while (err == 0 && archive_next(a->base, a->len, &at, name, &bytes, &n)) {
        bool plain = strcmp(name, "qudag.conf") == 0 || strcmp(name, "network") == 0;
        err = !plain                       ? vault_write(&v, name, bytes, n)
              : path_join(path, dir, name) ? file_write_atomic(path, bytes, n, 0600)
                                           : ENAMETOOLONG;
    }
    (void)snprintf(why, 300, "%.299s", v.why[0] != 0 ? v.why : strerror(err));
    vault_close(&v);
    return err;
}

/* Removes a folder that was only half filled. */
static void drop_folder(const char *dir)
{
    static const char *const inside[] = {"state", "."};
    for (size_t ix = 0; ix < 2; ix++) {
        char sub[PATH_LEN], path[PATH_LEN];
        DIR *list = path_join(sub, dir, inside[ix]) ? opendir(sub) : NULL;
        const struct dirent *e;
        while (list != NULL && (e = readdir(list)) != NULL) {
            if (path_join(path, sub, e->d_name)) {
                (void)unlink(path);
            }
        }
        if (list != NULL) {
            (void)closedir(list);
        }
        (void)rmdir(sub);
    }
    (void)rmdir(dir);
}

/* Beside the folder, then in its place at once: it is whole or not there. */
static int put_in_place(struct tool *t, const struct archive *a, const struct passphrase *p)
{
    char temp[PATH_LEN], why[300] = "", parent[PATH_LEN];
    int n = snprintf(temp, sizeof(temp), "%s.import-XXXXXX", t->dir);
    (void)snprintf(parent, sizeof(parent), "%s", t->dir);
    char *slash = strrchr(parent, '/');
    if (n >= (int)sizeof(temp) || slash == NULL || slash == parent) {
        return fails(t, t->dir, strerror(ENAMETOOLONG), "--dir DIR");
    }
    *slash = 0;
    int err = dir_make(parent, 0700);
    if (err != 0 || mkdtemp(temp) == NULL) {
        return fails(t, parent, strerror(err != 0 ? err : errno), "--dir DIR");
    }
    err = fill(temp, a, p, why);
    if (err == 0 && rename(temp, t->dir) != 0) { /* over an empty folder, too */
        err = errno;
        (void)snprintf(why, sizeof(why), "%s", strerror(err));
    }
    if (err != 0) {
        drop_folder(temp);
        return fails(t, t->dir, why, "");
    }
    (void)dir_sync(parent);
    if (t->json) {
        (void)printf("{\"imported\":true,\"encrypted\":%s}\n", p->len > 0 ? "true" : "false");
    } else {
        (void)printf(
            "imported   into %s; the keys are %s\nnote       start it with: qudag --dir %s up; "
            "and do not start the old one again\n",
            t->dir,
            p->len > 0 ? "encrypted with the passphrase of the export"
                       : "in the clear; qudag key passphrase changes that",
            t->dir);
    }
    return TOOL_OK;
}

int key_import(struct tool *t, int argc, char **argv)
{
    static const struct opt opts[] = {{"--export-passphrase-fd", "N"}};
    struct args a = {
        .t = t, .what = "key import", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    const char *fd = NULL, *file = NULL;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == 0) {
            fd = a.value;
        } else {
            file = a.value;
        }
    }
    if (file == NULL) {
        return tool_usage(t, "key import: of which file?");
    }
    if (!is_empty(t->dir)) {
        return fails(t, t->dir, "the folder is not empty, and nothing in it is overwritten",
                     "choose another: --dir DIR");
    }
    uint8_t *base = NULL;
    size_t len = 0;
    int err = file_read(file, ARCHIVE_MAX, &base, &len);
    if (err != 0) {
        return fails(t, file, strerror(err), "");
    }
    struct archive got = {0};
    struct passphrase p = {0};
    int code = unpack(t, file, (qudag_slice){base, len}, &p, fd, &got);
    if (code == TOOL_OK && !archive_whole(got.base, got.len)) {
        code =
            fails(t, file, "the export is damaged, or of a later version", "nothing was written");
    }
    code = code == TOOL_OK ? put_in_place(t, &got, &p) : code;
    archive_free(&got);
    passphrase_wipe(&p);
    explicit_bzero(base, len);
    free(base);
    return code;
}
