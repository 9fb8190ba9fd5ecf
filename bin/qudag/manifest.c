/* manifest.c - the list of a share, written and read. */
#include "manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {"qudag-share", "name", "hashing", "file", "left-out", "end"};

/* The longest word and a space, a hash, two numbers of 20 digits, a path; with spaces, newline and NUL. */
#define LINE_NEEDS (sizeof("qudag-share") + 2 * SHARE_HASH_LEN + 1 + 2 * 21 + SHARE_URL_MAX + 1)
_Static_assert(MANIFEST_LINE_MAX >= LINE_NEEDS, "every line fits");

size_t manifest_write(char out[MANIFEST_LINE_MAX], const struct manifest_line *l)
{
    char url[SHARE_URL_MAX], hex[2 * SHARE_HASH_LEN + 1] = "";
    int n = 0;
    share_path_encode(url, l->path);
    switch (l->kind) {
    case MANIFEST_HEAD:
        n = snprintf(out, MANIFEST_LINE_MAX, "%s 1\n", words[l->kind]);
        break;
    case MANIFEST_NAME:
        n = snprintf(out, MANIFEST_LINE_MAX, "%s %s\n", words[l->kind], url);
        break;
    case MANIFEST_HASHING:
        n = snprintf(out, MANIFEST_LINE_MAX, "%s %" PRIu64 "\n", words[l->kind], l->size);
        break;
    case MANIFEST_FILE:
        text_hex(hex, l->hash, SHARE_HASH_LEN);
        n = snprintf(out, MANIFEST_LINE_MAX, "%s %.64s %" PRIu64 " %s\n", words[l->kind], hex,
                     l->size, url);
        break;
    case MANIFEST_LEFT_OUT:
        n = snprintf(out, MANIFEST_LINE_MAX, "%s\n", words[l->kind]);
        break;
    case MANIFEST_END:
        n = snprintf(out, MANIFEST_LINE_MAX, "%s %" PRIu64 " %" PRIu64 "\n", words[l->kind],
                     l->files, l->size);
        break;
    }
    return (size_t)n;
}

/* The next word of *line, ended by a space or the end; false: none is left, or it is empty. */
static bool word(char **line, char **out)
{
    char *at = *line, *space = strchr(at, ' ');
    if (at[0] == 0 || at[0] == ' ') {
        return false;
    }
    *out = at;
    if (space != NULL) {
        *space = 0;
        *line = space + 1;
        return **line != 0;
    }
    *line = at + strlen(at);
    return true;
}

static bool number(char **line, uint64_t *out)
{
    char *text;
    if (!word(line, &text) || text[strspn(text, "0123456789")] != 0 || strlen(text) > 18) {
        return false;
    }
    *out = strtoull(text, NULL, 10);
    return true;
}

static bool hash(char **line, uint8_t out[SHARE_HASH_LEN])
{
    char *text;
    return word(line, &text) && strlen(text) == 2 * SHARE_HASH_LEN &&
           text_unhex(out, SHARE_HASH_LEN, text);
}

static bool path(char **line, char out[PATH_LEN])
{
    char *text;
    bool folder;
    return word(line, &text) && text[0] != '/' && share_path_decode(out, &folder, text) && !folder;
}

static bool read_rest(struct manifest_line *out, char **rest)
{
    uint64_t version;
    char name[QUDAG_NAME_MAX + 1];
    switch (out->kind) {
    case MANIFEST_HEAD:
        return number(rest, &version) && version == 1;
    case MANIFEST_NAME:
        if (!path(rest, out->path)) {
            return false;
        }
        qudag_name_harmless(name, out->path);
        memcpy(out->path, name, sizeof(name));
        return true;
    case MANIFEST_HASHING:
        return number(rest, &out->size);
    case MANIFEST_FILE:
        return hash(rest, out->hash) && number(rest, &out->size) && path(rest, out->path);
    case MANIFEST_LEFT_OUT:
        return true;
    case MANIFEST_END:
        return number(rest, &out->files) && number(rest, &out->size);
    }
    return false;
}

bool manifest_read(struct manifest_line *out, const char *line, size_t len)
{
    char copy[MANIFEST_LINE_MAX], *rest = copy, *first;
    if (len == 0 || len >= sizeof(copy) || memchr(line, 0, len) != NULL) {
        return false;
    }
    memcpy(copy, line, len);
    copy[len] = 0;
    if (!word(&rest, &first)) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    for (size_t ix = 0; ix < sizeof(words) / sizeof(words[0]); ix++) {
        if (strcmp(first, words[ix]) == 0) {
            out->kind = (enum manifest_kind)ix;
            return read_rest(out, &rest) && *rest == 0;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ as it comes in */

void manifest_init(struct manifest *m)
{
    memset(m, 0, sizeof(*m));
    memcpy(m->name, "files", 6);
}

void manifest_fini(struct manifest *m)
{
    for (size_t ix = 0; ix < m->n; ix++) {
        free(m->file[ix].path);
    }
    free(m->file);
    manifest_init(m);
}

static bool add(struct manifest *m, const struct manifest_line *l)
{
    if (m->n == m->cap) {
        size_t cap = m->cap == 0 ? 64 : m->cap * 2;
        struct manifest_file *more =
            m->n >= MANIFEST_FILES_MAX ? NULL : realloc(m->file, cap * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        m->file = more;
        m->cap = cap;
    }
    struct manifest_file *f = &m->file[m->n];
    f->path = strdup(l->path);
    f->size = l->size;
    memcpy(f->hash, l->hash, sizeof(f->hash));
    m->bytes += l->size;
    m->n += f->path != NULL;
    return f->path != NULL && m->bytes <= INT64_MAX;
}

static bool take(struct manifest *m, const char *line, size_t len)
{
    struct manifest_line l;
    if (m->ended || !manifest_read(&l, line, len) || m->begun == (l.kind == MANIFEST_HEAD)) {
        return false;
    }
    m->others += l.kind != MANIFEST_FILE;
    if (m->others > MANIFEST_OTHERS_MAX) {
        return false; /* who sends them without end says nothing with them */
    }
    switch (l.kind) {
    case MANIFEST_HEAD:
        m->begun = true;
        return true;
    case MANIFEST_NAME:
        if (m->named) {
            return false;
        }
        memcpy(m->name, l.path, sizeof(m->name));
        m->named = true;
        return true;
    case MANIFEST_HASHING:
        m->hashing = l.size;
        return true;
    case MANIFEST_FILE:
        return add(m, &l);
    case MANIFEST_LEFT_OUT:
        m->left_out = true;
        return true;
    case MANIFEST_END:
        m->ended = l.files == m->n && l.size == m->bytes;
        return m->ended;
    }
    return false;
}

bool manifest_push(struct manifest *m, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *feed = memchr(bytes, '\n', len);
        size_t part = feed == NULL ? len : (size_t)(feed - bytes);
        if (part > sizeof(m->line) - m->line_len) {
            return false;
        }
        memcpy(m->line + m->line_len, bytes, part);
        m->line_len += part;
        bytes += part;
        len -= part;
        if (feed != NULL) {
            bool good = take(m, m->line, m->line_len);
            m->line_len = 0;
            bytes++;
            len--;
            if (!good) {
                return false;
            }
        }
    }
    return !m->ended || m->line_len == 0;
}

bool manifest_complete(const struct manifest *m)
{
    return m->ended;
}
