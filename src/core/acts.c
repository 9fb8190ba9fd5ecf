#include "core/core.h"

#include <stddef.h>
#include <string.h>

#define ACTS_ALIGN _Alignof(max_align_t)

struct act *acts_push(struct acts *out, enum act_type type)
{
    struct act *a = &out->sink;

    if (out->n == out->cap) {
        out->overflow = true;
    } else {
        a = &out->v[out->n++];
    }
    *a = (struct act){.type = type};
    return a;
}

uint8_t *acts_reserve(struct acts *out, size_t len)
{
    if (len > out->bytes_cap - out->bytes_n) {
        out->overflow = true;
        return NULL;
    }
    uint8_t *dst = out->bytes + out->bytes_n;
    out->bytes_n += len;
    return dst;
}

struct slice acts_copy(struct acts *out, const void *p, size_t len)
{
    uint8_t *dst = acts_reserve(out, len);

    if (dst == NULL) {
        return (struct slice){NULL, 0};
    }
    if (len > 0) {
        memcpy(dst, p, len);
    }
    return (struct slice){dst, len};
}

uint8_t *acts_write_reserve(struct acts *out, struct ref strm, size_t len)
{
    if (len > out->bytes_cap - out->bytes_n || out->n == out->cap) {
        out->overflow = true;
        return NULL;
    }
    uint8_t *dst = out->bytes + out->bytes_n;
    out->bytes_n += len;

    struct act *a = acts_push(out, ACT_WRITE);
    a->strm = strm;
    a->data = (struct slice){dst, len};
    return dst;
}

void acts_write(struct acts *out, struct ref strm, const void *p, size_t len)
{
    uint8_t *dst = acts_write_reserve(out, strm, len);

    if (dst != NULL && len > 0) {
        memcpy(dst, p, len);
    }
}

bool acts_write_kept(struct acts *out, struct ref strm, struct slice data, struct buf *keep)
{
    if (out->n == out->cap) {
        out->overflow = true;
        return false;
    }
    struct act *a = acts_push(out, ACT_WRITE);
    a->strm = strm;
    a->data = data;
    a->keep = keep;
    if (!keep->listed) {
        keep->listed = true;
        keep->next = out->held;
        out->held = buf_ref(keep);
    }
    return true;
}

void acts_let_go(struct acts *out)
{
    while (out->held != NULL) {
        struct buf *b = out->held;

        out->held = b->next;
        b->next = NULL;
        b->listed = false;
        buf_drop(b);
    }
}

struct act *acts_open(struct acts *out, const struct peer_id *peer, uint64_t cookie, uint8_t need)
{
    struct act *a = acts_push(out, ACT_OPEN);

    a->peer = *peer;
    a->cookie = cookie;
    a->need = need;
    return a;
}

void acts_open_again(struct acts *out, const struct peer_id *peer, uint64_t cookie, uint8_t need)
{
    acts_open(out, peer, cookie, need)->no_dial = true;
}

void acts_fin(struct acts *out, struct ref strm)
{
    acts_push(out, ACT_FIN)->strm = strm;
}

void acts_reset(struct acts *out, struct ref strm, qudag_err err)
{
    struct act *a = acts_push(out, ACT_RESET);

    a->strm = strm;
    a->err = err;
}

void acts_consume(struct acts *out, struct ref strm, size_t n)
{
    struct act *a = acts_push(out, ACT_CONSUME);

    a->strm = strm;
    a->n = n;
}

struct act *acts_up(struct acts *out, uint16_t kind)
{
    struct act *a = acts_push(out, ACT_UP);

    a->kind = kind;
    return a;
}

struct act *acts_up_copy(struct acts *out, uint16_t kind, const void *p, size_t len)
{
    size_t skip = (uintptr_t)(out->bytes + out->bytes_n) % ACTS_ALIGN;

    skip = skip == 0 ? 0 : ACTS_ALIGN - skip;
    if (out->n == out->cap || len + skip > out->bytes_cap - out->bytes_n) {
        out->overflow = true;
        return NULL;
    }
    uint8_t *copy = out->bytes + out->bytes_n + skip;
    out->bytes_n += len + skip;
    memcpy(copy, p, len);
    struct act *a = acts_up(out, kind);
    a->ptr = copy;
    return a;
}
