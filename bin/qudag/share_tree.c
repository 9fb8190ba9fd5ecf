/* share_tree.c - the files of a share. */
#include "share_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opens |name| in the folder |at| if it is a file or a folder.  Its kind is looked at before it is opened, for opening
 * a device may do something, and afterwards, for it may be another one then. */
static int open_in(int at, const char *name, struct stat *st)
{
    if (fstatat(at, name, st, AT_SYMLINK_NOFOLLOW) != 0) {
        return -errno;
    }
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
        return -ENOENT;
    }
    int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ELOOP ? -ENOENT : -errno;
    }
    if (fstat(fd, st) != 0 || (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))) {
        close(fd);
        return -ENOENT;
    }
    return fd;
}

/* "/" and what ends in "/", "." or "..": the folder's own name is found by its real path. */
static bool own_name(char out[SHARE_NAME_MAX + 1], char parent[PATH_LEN], const char *path)
{
    char *real = realpath(path, NULL);
    const char *slash = real == NULL ? NULL : strrchr(real, '/');
    bool fits = slash != NULL && strlen(slash + 1) <= SHARE_NAME_MAX && strlen(real) < PATH_LEN;
    if (fits) {
        memcpy(out, slash + 1, strlen(slash + 1) + 1);
        memcpy(parent, real, (size_t)(slash - real));
        memcpy(parent + (slash - real), slash == real ? "/" : "", slash == real ? 2 : 1);
    }
    free(real);
    return fits;
}

/* Whether |st| is the folder of a person, whose name is often that of the person. */
static bool is_home(const struct stat *st)
{
    const char *home = getenv("HOME");
    const struct passwd *user = getpwuid(geteuid());
    const char *at[] = {home, user == NULL ? NULL : user->pw_dir};
    struct stat its;
    for (size_t ix = 0; ix < sizeof(at) / sizeof(at[0]); ix++) {
        if (at[ix] != NULL && stat(at[ix], &its) == 0 && its.st_dev == st->st_dev &&
            its.st_ino == st->st_ino) {
            return true;
        }
    }
    return false;
}

int share_tree_open(struct share_tree *t, const char *path, const char *name, bool hidden)
{
    char parent[PATH_LEN], own[SHARE_NAME_MAX + 1];
    struct stat st;
    *t = (struct share_tree){.root = -1, .hidden = hidden};
    if (stat(path, &st) != 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return ENOTSUP;
    }
    errno = 0;
    if (!own_name(own, parent, path)) {
        return errno == 0 ? ENAMETOOLONG : errno;
    }
    bool file = S_ISREG(st.st_mode);
    bool nameless = own[0] == 0 || is_home(&st);
    qudag_name_harmless(t->name, name != NULL ? name : nameless ? "files" : own);
    if (file) {
        memcpy(t->only, own, sizeof(own));
    }
    t->root = open(file ? parent : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = t->root < 0 ? -errno : file ? open_in(t->root, own, &st) : t->root;
    if (fd < 0) {
        share_tree_close(t);
        return -fd;
    }
    if (file) {
        close(fd); /* it was only to be seen that it can be read */
    }
    return 0;
}

void share_tree_close(struct share_tree *t)
{
    if (t->root >= 0) {
        close(t->root);
        t->root = -1;
    }
}

int share_tree_at(const struct share_tree *t, const char *path, struct stat *st)
{
    char name[SHARE_NAME_MAX + 1];
    if (t->only[0] != 0 && path[0] != 0) {
        return strcmp(path, t->name) == 0 ? open_in(t->root, t->only, st) : -ENOENT;
    }
    if (!t->hidden && share_path_hidden(path)) {
        return -ENOENT;
    }
    int fd = openat(t->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, st) != 0) {
        int err = errno;
        if (fd >= 0) {
            close(fd);
        }
        return -err;
    }
    while (fd >= 0 && share_path_next(&path, name)) {
        int next = S_ISDIR(st->st_mode) ? open_in(fd, name, st) : -ENOENT;
        close(fd);
        fd = next == -ENOTDIR ? -ENOENT : next;
    }
    return fd;
}

/* ------------------------------------------------------------------ one folder */

static int by_name(const void *a, const void *b)
{
    const struct share_entry *x = a, *y = b;
    return x->folder != y->folder ? (x->folder ? -1 : 1) : strcmp(x->name, y->name);
}

static bool list_add(struct share_list *l, const char *name, const struct stat *st)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct share_entry *more = realloc(l->entry, cap * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        l->entry = more;
        l->cap = cap;
    }
    struct share_entry *e = &l->entry[l->n++];
    memcpy(e->name, name, strlen(name) + 1);
    e->folder = S_ISDIR(st->st_mode);
    e->size = e->folder ? 0 : (uint64_t)st->st_size;
    return true;
}

/* Whether the entry |name| of a folder is given out. */
static bool listed(const struct share_tree *t, int dir, const char *name, struct stat *st)
{
    bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    return !dots && strlen(name) <= SHARE_NAME_MAX && (t->hidden || name[0] != '.') &&
           fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
}

static int list_read(const struct share_tree *t, int fd, struct share_list *out)
{
    struct dirent *e;
    struct stat st;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int err = errno;
        close(fd);
        return err;
    }
    int err = 0;
    while (err == 0 && (e = readdir(dir)) != NULL) {
        if (!listed(t, fd, e->d_name, &st)) {
            continue;
        }
        out->more = out->n >= SHARE_ENTRIES_MAX;
        if (out->more) {
            break;
        }
        err = list_add(out, e->d_name, &st) ? 0 : ENOMEM;
    }
    (void)closedir(dir);
    if (out->n > 0) {
        qsort(out->entry, out->n, sizeof(out->entry[0]), by_name);
    }
    return err;
}

int share_tree_list(const struct share_tree *t, const char *path, struct share_list *out)
{
    struct stat st;
    *out = (struct share_list){0};
    bool file = t->only[0] != 0;
    int fd = share_tree_at(t, file ? t->name : path, &st), err = 0;
    if (fd < 0) {
        return -fd;
    }
    if (file) {
        close(fd);
        err = path[0] != 0 ? ENOTDIR : list_add(out, t->name, &st) ? 0 : ENOMEM;
    } else if (!S_ISDIR(st.st_mode)) {
        close(fd);
        err = ENOTDIR;
    } else {
        err = list_read(t, fd, out);
    }
    if (err != 0) {
        free(out->entry);
        *out = (struct share_list){0};
    }
    return err;
}

/* ------------------------------------------------------------------ all of it */

static bool files_add(struct share_files *f, const char *folder, const struct share_entry *e)
{
    if (f->n == f->cap) {
        size_t cap = f->cap == 0 ? 64 : f->cap * 2;
        struct share_file *more = realloc(f->file, cap * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        f->file = more;
        f->cap = cap;
    }
    size_t len = strlen(folder) + strlen(e->name) + 2;
    char *path = malloc(len);
    if (path == NULL) {
        return false;
    }
    (void)snprintf(path, len, "%s%s%s", folder, folder[0] == 0 ? "" : "/", e->name);
    f->file[f->n++] = (struct share_file){.path = path, .size = e->size};
    f->bytes += e->size;
    return true;
}

static size_t depth(const char *path)
{
    size_t n = path[0] != 0;
    for (; *path != 0; path++) {
        n += *path == '/';
    }
    return n;
}

/* One folder: its files into |out|, its folders into |todo|. */
static bool look_into(const struct share_tree *t, const char *folder, struct share_files *out,
                      struct share_files *todo)
{
    struct share_list l;
    bool good = true;
    int err = share_tree_list(t, folder, &l);
    out->more = out->more || err != 0 || l.more;
    for (size_t ix = 0; good && ix < l.n; ix++) {
        const struct share_entry *e = &l.entry[ix];
        bool fits = strlen(folder) + strlen(e->name) + 2 <= PATH_LEN &&
                    depth(folder) < SHARE_DEPTH_MAX &&
                    (e->folder ? todo->n < SHARE_FOLDERS_MAX : out->n < SHARE_FILES_MAX);
        out->more = out->more || !fits;
        good = !fits || files_add(e->folder ? todo : out, folder, e);
    }
    free(l.entry);
    return good && err != ENOMEM;
}

bool share_tree_files(const struct share_tree *t, struct share_files *out)
{
    struct share_files todo = {0};
    *out = (struct share_files){0};
    bool good = look_into(t, "", out, &todo);
    for (size_t ix = 0; good && ix < todo.n; ix++) {
        good = look_into(t, todo.file[ix].path, out, &todo);
    }
    share_files_free(&todo);
    if (!good) {
        share_files_free(out);
    }
    return good;
}

void share_files_free(struct share_files *f)
{
    for (size_t ix = 0; ix < f->n; ix++) {
        free(f->file[ix].path);
    }
    free(f->file);
    *f = (struct share_files){0};
}
