/* rec.c - records: writing, checking, reading. */
#include "rec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put_be(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t ix = 0; ix < n; ix++) {
        at[ix] = (uint8_t)(v >> (8 * (n - 1 - ix)));
    }
}

static uint64_t get_be(const uint8_t *at, size_t n)
{
    uint64_t v = 0;
    for (size_t ix = 0; ix < n; ix++) {
        v = v << 8 | at[ix];
    }
    return v;
}

void rec_begin(struct rec *r, enum rec_type type)
{
    r->failed = false;
    r->n = 0;
    put_be(r->buf + REC_FRAME_HEAD, type, 2);
    r->len = REC_FRAME_HEAD + 2;
}

/* Room for a field whose value takes |value| bytes; where the value goes, or NULL. */
static uint8_t *field(struct rec *r, enum rec_kind kind, const char *name, size_t value)
{
    size_t name_len = strlen(name);
    size_t room = sizeof(r->buf) - r->len;
    if (r->failed || name_len == 0 || name_len > REC_NAME_MAX || r->n == REC_FIELDS_MAX ||
        value > room || room - value < name_len + 3) {
        r->failed = true;
        return NULL;
    }
    uint8_t *at = r->buf + r->len;
    at[0] = (uint8_t)kind;
    at[1] = (uint8_t)name_len;
    memcpy(at + 2, name, name_len + 1);
    r->len += name_len + 3 + value;
    r->n++;
    return at + name_len + 3;
}

void rec_str(struct rec *r, const char *name, const char *text)
{
    if (text == NULL) {
        return;
    }
    size_t len = strlen(text);
    uint8_t *at = len > REC_MAX ? NULL : field(r, REC_STR, name, len + 5);
    if (at == NULL) {
        r->failed = true;
        return;
    }
    put_be(at, len, 4);
    memcpy(at + 4, text, len + 1);
}

void rec_strf(struct rec *r, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    rec_str(r, name, text);
}

void rec_int(struct rec *r, const char *name, int64_t v)
{
    uint8_t *at = field(r, REC_INT, name, 8);
    if (at != NULL) {
        put_be(at, (uint64_t)v, 8);
    }
}

void rec_bool(struct rec *r, const char *name, bool v)
{
    uint8_t *at = field(r, REC_BOOL, name, 1);
    if (at != NULL) {
        at[0] = v ? 1 : 0;
    }
}

void rec_bytes(struct rec *r, const char *name, const void *base, size_t len)
{
    uint8_t *at = len > REC_MAX ? NULL : field(r, REC_BYTES, name, len + 4);
    if (at == NULL) {
        r->failed = true;
        return;
    }
    put_be(at, len, 4);
    if (len > 0) {
        memcpy(at + 4, base, len);
    }
}

void rec_wipe(struct rec *r)
{
    explicit_bzero(r->buf, r->len);
    r->len = r->n = 0;
    r->failed = true;
}

size_t rec_frame(struct rec *r)
{
    if (r->failed) {
        return 0;
    }
    put_be(r->buf, r->len - REC_FRAME_HEAD, REC_FRAME_HEAD);
    return r->len;
}

/* Reads one field at *it and moves *it behind it; false at the end or at what is not a field. */
static bool take(const struct rec_view *v, size_t *it, struct rec_field *out)
{
    const uint8_t *at = v->base + *it;
    size_t left = v->len - *it;
    if (left < 2 || at[1] == 0 || at[1] > REC_NAME_MAX || left < (size_t)at[1] + 3) {
        return false;
    }
    size_t name_len = at[1];
    struct rec_field f = {.kind = (enum rec_kind)at[0], .name = (const char *)at + 2};
    if (at[2 + name_len] != 0 || memchr(f.name, 0, name_len) != NULL) {
        return false;
    }
    at += name_len + 3;
    left -= name_len + 3;
    size_t used;
    switch (f.kind) {
    case REC_INT:
        used = 8;
        if (left < used) {
            return false;
        }
        f.num = (int64_t)get_be(at, 8);
        break;
    case REC_BOOL:
        used = 1;
        if (left < used || at[0] > 1) {
            return false;
        }
        f.num = at[0];
        break;
    case REC_STR:
    case REC_BYTES:
        f.len = left < 4 ? SIZE_MAX : (size_t)get_be(at, 4);
        if (f.len > REC_MAX || left - 4 < f.len + (f.kind == REC_STR)) {
            return false;
        }
        f.bytes = at + 4;
        if (f.kind == REC_STR) {
            f.text = (const char *)f.bytes;
            if (f.bytes[f.len] != 0 || memchr(f.text, 0, f.len) != NULL) {
                return false;
            }
        }
        used = 4 + f.len + (f.kind == REC_STR);
        break;
    default:
        return false;
    }
    *it += name_len + 3 + used;
    *out = f;
    return true;
}

bool rec_parse(struct rec_view *v, const uint8_t *base, size_t len)
{
    if (len < 2 || len > REC_MAX) {
        return false;
    }
    struct rec_view found = {.type = (uint16_t)get_be(base, 2), .base = base + 2, .len = len - 2};
    struct rec_field f;
    size_t it = 0, n = 0;
    while (it < found.len) {
        if (n++ == REC_FIELDS_MAX || !take(&found, &it, &f)) {
            return false;
        }
    }
    *v = found;
    return true;
}

bool rec_next(const struct rec_view *v, size_t *it, struct rec_field *out)
{
    return *it < v->len && take(v, it, out);
}

bool rec_find(const struct rec_view *v, const char *name, enum rec_kind kind, struct rec_field *out)
{
    struct rec_field f;
    for (size_t it = 0; rec_next(v, &it, &f);) {
        if (f.kind == kind && strcmp(f.name, name) == 0) {
            *out = f;
            return true;
        }
    }
    return false;
}

const char *rec_get_str(const struct rec_view *v, const char *name)
{
    struct rec_field f;
    return rec_find(v, name, REC_STR, &f) ? f.text : NULL;
}

int64_t rec_get_int(const struct rec_view *v, const char *name, int64_t otherwise)
{
    struct rec_field f;
    return rec_find(v, name, REC_INT, &f) ? f.num : otherwise;
}

bool rec_get_bool(const struct rec_view *v, const char *name)
{
    struct rec_field f;
    return rec_find(v, name, REC_BOOL, &f) && f.num != 0;
}

size_t rec_frame_len(const uint8_t *base, size_t len)
{
    if (len < REC_FRAME_HEAD) {
        return 0;
    }
    size_t body = (size_t)get_be(base, REC_FRAME_HEAD);
    if (body < 2 || body > REC_MAX) {
        return SIZE_MAX;
    }
    return len - REC_FRAME_HEAD < body ? 0 : REC_FRAME_HEAD + body;
}
