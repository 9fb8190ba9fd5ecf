/* share_once.c - parts of files: sorted, apart, joined where they touch. */
#include "share_once.h"

#include <stdlib.h>
#include <string.h>

struct part {
    uint64_t from, to;
};
struct file {
    char *path;
    uint64_t size;
    bool whole;
    unsigned n;
    struct part *part; /* SHARE_PARTS_MAX, once there is one */
};
struct share_once {
    struct file *file; /* by path */
    size_t n, left;    /* of them not whole */
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

struct share_once *share_once_new(const struct share_files *files)
{
    struct share_once *o = calloc(1, sizeof(*o));
    struct file *file = calloc(files->n + 1, sizeof(*file));
    if (o == NULL || file == NULL) {
        free(o);
        free(file);
        return NULL;
    }
    o->file = file;
    for (size_t ix = 0; ix < files->n; ix++) {
        file[ix].path = strdup(files->file[ix].path);
        file[ix].size = files->file[ix].size;
        if (file[ix].path == NULL) {
            o->n = ix;
            share_once_free(o);
            return NULL;
        }
    }
    o->n = o->left = files->n;
    qsort(file, o->n, sizeof(*file), by_path);
    return o;
}

void share_once_free(struct share_once *o)
{
    for (size_t ix = 0; o != NULL && ix < o->n; ix++) {
        free(o->file[ix].path);
        free(o->file[ix].part);
    }
    if (o != NULL) {
        free(o->file);
        free(o);
    }
}

/* Joins |p| with the parts that it touches. */
static void join(struct file *f, struct part p)
{
    unsigned n = 0, at = 0;
    for (unsigned ix = 0; ix < f->n; ix++) {
        struct part have = f->part[ix];
        if (have.to < p.from) {
            f->part[n++] = have;
            at = n;
        } else if (have.from > p.to) {
            f->part[n++] = have;
        } else {
            p.from = have.from < p.from ? have.from : p.from;
            p.to = have.to > p.to ? have.to : p.to;
        }
    }
    f->n = n;
    if (n < SHARE_PARTS_MAX) {
        memmove(&f->part[at + 1], &f->part[at], (n - at) * sizeof(p));
        f->part[at] = p;
        f->n++;
    }
}

void share_once_given(struct share_once *o, const char *path, uint64_t size, uint64_t from,
                      uint64_t to)
{
    char *copy = strdup(path);
    struct file key = {.path = copy};
    struct file *f = copy == NULL ? NULL : bsearch(&key, o->file, o->n, sizeof(key), by_path);
    free(copy);
    if (f == NULL || f->whole) {
        return;
    }
    if (f->size != size) { /* another content: what was taken of the old one is no part of it */
        f->size = size;
        f->n = 0;
    }
    if (f->part == NULL && (f->part = calloc(SHARE_PARTS_MAX, sizeof(*f->part))) == NULL) {
        return;
    }
    join(f, (struct part){from, to});
    if (f->n == 1 && f->part[0].from == 0 && f->part[0].to >= size) {
        f->whole = true;
        o->left--;
        free(f->part);
        f->part = NULL;
    }
}

bool share_once_whole(const struct share_once *o)
{
    return o->left == 0;
}

bool share_once_over(const struct share_once *o, bool confirmed, unsigned giving, uint64_t quiet_ns)
{
    return share_once_whole(o) && giving == 0 && (confirmed || quiet_ns >= SHARE_QUIET_NS);
}
