/* wr.c - bounded writer with a sticky error; wr_take() is the only place that moves the cursor. */
#include "base/wr.h"

#include "base/assert.h"

#include <string.h>

/* Room for |len| bytes, or NULL with the error set. */
static uint8_t *wr_take(struct wr *w, size_t len)
{
    if (w->err || len > w->cap - w->len) {
        w->err = true;
        return NULL;
    }
    uint8_t *p = w->p + w->len;
    w->len += len;
    return p;
}

static void put_be(uint8_t *p, uint64_t v, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
    }
}

static void wr_be(struct wr *w, uint64_t v, size_t len)
{
    uint8_t *p = wr_take(w, len);

    if (p != NULL) {
        put_be(p, v, len);
    }
}

void wr_u8(struct wr *w, uint8_t v)
{
    wr_be(w, v, 1);
}

void wr_u16(struct wr *w, uint16_t v)
{
    wr_be(w, v, 2);
}

void wr_u32(struct wr *w, uint32_t v)
{
    wr_be(w, v, 4);
}

void wr_u64(struct wr *w, uint64_t v)
{
    wr_be(w, v, 8);
}

void wr_uvarint(struct wr *w, uint64_t v)
{
    if (v >> 63 != 0) { /* would need a tenth byte, which no reader accepts */
        w->err = true;
        return;
    }
    while (v >= 0x80) {
        wr_be(w, (v & 0x7f) | 0x80, 1);
        v >>= 7;
    }
    wr_be(w, v, 1);
}

void wr_bytes(struct wr *w, const void *src, size_t len)
{
    if (len == 0) {
        return;
    }
    uint8_t *p = wr_take(w, len);
    if (p != NULL) {
        memcpy(p, src, len);
    }
}

void wr_slice(struct wr *w, struct slice s)
{
    wr_bytes(w, s.base, s.len);
}

void wr_zero(struct wr *w, size_t len)
{
    (void)wr_reserve(w, len);
}

void wr_lp(struct wr *w, struct slice s)
{
    wr_uvarint(w, s.len);
    wr_slice(w, s);
}

void wr_lp16(struct wr *w, struct slice s)
{
    if (s.len > UINT16_MAX) {
        w->err = true;
        return;
    }
    wr_u16(w, (uint16_t)s.len);
    wr_slice(w, s);
}

size_t wr_reserve(struct wr *w, size_t len)
{
    size_t at = w->len;

    if (len == 0) {
        return at;
    }
    uint8_t *p = wr_take(w, len);
    if (p != NULL) {
        memset(p, 0, len);
    }
    return at;
}

void wr_fill_u16(struct wr *w, size_t at, uint16_t v)
{
    if (w->err) { /* the reservation itself may have failed */
        return;
    }
    ASSERT(w->len >= 2);
    ASSERT(at <= w->len - 2);
    put_be(w->p + at, v, 2);
}
