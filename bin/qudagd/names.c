/* names.c - the table of petnames and its file. */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX (NAMES_MAX * (QUDAG_PETNAME_MAX + QUDAG_DARK_TEXT_MAX + 4))
#define SUFFIX ".dark"

bool names_is(const char *text, bool bare, char out[QUDAG_PETNAME_MAX + 1])
{
    size_t len = text == NULL ? 0 : strlen(text), end = strlen(SUFFIX);
    bool dark = len > end && strcasecmp(text + len - end, SUFFIX) == 0;

    out[0] = 0;
    len -= dark ? end : 0;
    if ((!dark && !bare) || len == 0 || len > QUDAG_PETNAME_MAX || memchr(text, '.', len) != NULL) {
        return false;
    }
    for (size_t ix = 0; ix < len; ix++) {
        char c = text[ix];
        out[ix] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    out[len] = 0;
    return true;
}

/* Where |name| is, or would be. */
static size_t place_of(const struct names *n, const char *name, bool *there)
{
    size_t low = 0, high = n->n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = strcmp(n->v[mid].name, name);
        if (order == 0) {
            *there = true;
            return mid;
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    *there = false;
    return low;
}

const char *names_find(const struct names *n, const char *name)
{
    bool there;
    size_t at = place_of(n, name, &there);

    return there ? n->v[at].addr : NULL;
}

static qudag_err insert(struct names *n, const char *name, const char *addr)
{
    bool there;
    size_t at = place_of(n, name, &there);

    if (there) {
        return strcasecmp(n->v[at].addr, addr) == 0 ? QUDAG_OK : QUDAG_EEXISTS;
    }
    if (n->n == NAMES_MAX) {
        return QUDAG_ELIMIT;
    }
    struct name *more = realloc(n->v, (n->n + 1) * sizeof(*more));
    if (more == NULL) {
        return QUDAG_ENOMEM;
    }
    n->v = more;
    memmove(&n->v[at + 1], &n->v[at], (n->n - at) * sizeof(*more));
    (void)snprintf(n->v[at].name, sizeof(n->v[at].name), "%s", name);
    (void)snprintf(n->v[at].addr, sizeof(n->v[at].addr), "%s", addr);
    n->n++;
    return QUDAG_OK;
}

static void take_out(struct names *n, size_t at)
{
    n->n--;
    memmove(&n->v[at], &n->v[at + 1], (n->n - at) * sizeof(n->v[0]));
}

/* ------------------------------------------------------------------ the file */

/* One line, without its end; NULL, or what is wrong with it. */
static const char *read_line(struct names *n, char *line)
{
    char *save = NULL, *name = strtok_r(line, " \t", &save), *addr = strtok_r(NULL, " \t", &save);
    char plain[QUDAG_PETNAME_MAX + 1];

    if (name == NULL || name[0] == '#') {
        return NULL;
    }
    if (addr == NULL || strtok_r(NULL, " \t", &save) != NULL) {
        return "a line has a name and an address";
    }
    if (!qudag_petname_valid(name) || !names_is(name, true, plain)) {
        return "that is no petname";
    }
    qudag_err err = qudag_dark_check(addr);
    err = err == QUDAG_OK ? insert(n, plain, addr) : err;
    return err == QUDAG_OK        ? NULL
           : err == QUDAG_EEXISTS ? "the name is given twice"
                                  : qudag_strerror(err);
}

bool names_load(struct names *n, struct vault *vault)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    unsigned nth = 0;
    char *save = NULL;

    *n = (struct names){.vault = vault};
    int err = path_join(n->path, vault->dir, "names")
                  ? vault_read(vault, "names", FILE_MAX, &bytes, &len)
                  : ENAMETOOLONG;
    if (err == ENOENT) {
        return true;
    }
    if (err == EBADMSG || err == ENOKEY) {
        (void)snprintf(n->why, sizeof(n->why), "%s", vault->why);
        n->broken = true;
        return false;
    }
    if (err != 0 || memchr(bytes, 0, len) != NULL) {
        (void)snprintf(n->why, sizeof(n->why), "%s: %s; mend or delete it", n->path,
                       err != 0 ? strerror(err) : "it is no text");
        n->broken = true;
        free(bytes);
        return false;
    }
    for (char *line = (char *)bytes; line != NULL && !n->broken; line = save) {
        save = strchr(line, '\n');
        if (save != NULL) {
            *save++ = 0;
        }
        nth++;
        const char *wrong = read_line(n, line);
        if (wrong != NULL) {
            (void)snprintf(n->why, sizeof(n->why), "%s:%u: %s; mend or delete it", n->path, nth,
                           wrong);
            n->broken = true;
            n->n = 0; /* half of the names would be worse than none */
        }
    }
    free(bytes);
    return !n->broken;
}

void names_free(struct names *n)
{
    free(n->v);
    *n = (struct names){0};
}

static qudag_err save(struct names *n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    for (size_t ix = 0; to != NULL && ix < n->n; ix++) {
        (void)fprintf(to, "%s %s\n", n->v[ix].name, n->v[ix].addr);
    }
    bool ok = to != NULL && fclose(to) == 0 && text != NULL;
    int err = ok ? vault_write(n->vault, "names", text, len) : ENOMEM;
    free(text);
    if (err != 0) {
        (void)snprintf(n->why, sizeof(n->why), "%s", ok ? n->vault->why : "out of memory");
        return QUDAG_ESYSTEM;
    }
    return QUDAG_OK;
}

qudag_err names_add(struct names *n, const char *name, const char *addr)
{
    bool there;

    if (n->broken) {
        return QUDAG_ESTATE;
    }
    qudag_err err = qudag_petname_valid(name) ? qudag_dark_check(addr) : QUDAG_EINVAL;
    size_t before = n->n;
    err = err == QUDAG_OK ? insert(n, name, addr) : err;
    if (err != QUDAG_OK || n->n == before) { /* refused, or it is of this address already */
        return err;
    }
    err = save(n);
    if (err != QUDAG_OK) {
        size_t at = place_of(n, name, &there);
        take_out(n, at);
    }
    return err;
}

qudag_err names_remove(struct names *n, const char *name)
{
    bool there;
    size_t at = place_of(n, name, &there);

    if (n->broken) {
        return QUDAG_ESTATE;
    }
    if (!there) {
        return QUDAG_ENOTFOUND;
    }
    struct name gone = n->v[at];
    take_out(n, at);
    qudag_err err = save(n);
    if (err != QUDAG_OK) {
        (void)insert(n, gone.name, gone.addr); /* there is room for it: it was there */
    }
    return err;
}
