/* rd.c - byte reader with a sticky error; rd_bytes() is the only place that moves the cursor. */
#include "base/rd.h"

#include <string.h>

struct slice rd_bytes(struct rd *r, size_t len)
{
    if (r->err || len > r->left) {
        r->err = true;
        return (struct slice){NULL, 0};
    }
    struct slice s = {r->p, len};
    if (len != 0) {
        r->p += len;
        r->left -= len;
    }
    return s;
}

/* The next |len| <= 8 bytes as one big-endian number. */
static uint64_t rd_be(struct rd *r, size_t len)
{
    struct slice s = rd_bytes(r, len);
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        v = v << 8 | s.base[i];
    }
    return v;
}

uint8_t rd_u8(struct rd *r)
{
    return (uint8_t)rd_be(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
    return (uint16_t)rd_be(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
    return (uint32_t)rd_be(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
    return rd_be(r, 8);
}

uint64_t rd_uvarint(struct rd *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 63; shift += 7) {
        struct slice s = rd_bytes(r, 1);
        if (s.len == 0) {
            return 0;
        }
        v |= (uint64_t)(s.base[0] & 0x7f) << shift;
        if ((s.base[0] & 0x80) == 0) {
            if (s.base[0] == 0 && shift != 0) {
                break; /* a last byte of zero adds nothing: not minimal */
            }
            return v;
        }
    }
    r->err = true;
    return 0;
}

void rd_copy(struct rd *r, void *dst, size_t len)
{
    struct slice s = rd_bytes(r, len);

    if (len == 0) {
        return;
    }
    if (s.len == len) {
        memcpy(dst, s.base, len);
    } else {
        memset(dst, 0, len);
    }
}

/* |n| bytes, unless |n| is over the limit. */
static struct slice rd_limited(struct rd *r, uint64_t n, size_t len_max)
{
    if (n > len_max) {
        r->err = true;
        return (struct slice){NULL, 0};
    }
    return rd_bytes(r, (size_t)n);
}

struct slice rd_lp(struct rd *r, size_t len_max)
{
    return rd_limited(r, rd_uvarint(r), len_max);
}

struct slice rd_lp16(struct rd *r, size_t len_max)
{
    return rd_limited(r, rd_u16(r), len_max);
}

struct slice rd_rest(struct rd *r)
{
    return rd_bytes(r, r->left);
}
