/*
 * pb.c - protobuf messages, field by field (protobuf.dev, "Encoding").
 *
 *   message   field*
 *   field     tag = varint(number << 3 | wire type), then
 *             0 varint | 1 eight bytes | 2 varint length and bytes | 5 four bytes
 *
 * Wire types 3 and 4, groups, went out of use before libp2p and are refused.
 */
#include "wire/pb.h"

#include "base/assert.h"

#include <string.h>

/* Up to ten bytes, not necessarily the shortest form; the tenth holds one bit. */
static uint64_t read_long_varint(struct rd *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && r->left > 0; shift += 7) {
        uint8_t b = *r->p++;
        r->left--;
        if (shift == 63 && b > 1) {
            break;
        }
        v |= (uint64_t)(b & 0x7fu) << shift;
        if (b < 0x80) {
            return v;
        }
    }
    r->err = true;
    return 0;
}

static uint64_t read_varint(struct rd *r)
{
    if (r->left > 0 && r->p[0] < 0x80) { /* nearly all */
        r->left--;
        return *r->p++;
    }
    return read_long_varint(r);
}

static struct slice read_bytes(struct rd *r, uint64_t n)
{
    if (n > r->left) {
        r->err = true;
        return (struct slice){NULL, 0};
    }
    struct slice s = {r->p, (size_t)n};
    r->p += n;
    r->left -= (size_t)n;
    return s;
}

bool pb_next(struct rd *r, struct pb_field *f)
{
    if (r->left == 0 || r->err) {
        return false;
    }
    uint64_t tag = read_varint(r);
    *f = (struct pb_field){.number = (uint32_t)(tag >> 3), .type = (enum pb_type)(tag & 7)};
    if (tag > UINT32_MAX || f->number == 0) {
        r->err = true;
        return false;
    }
    switch (f->type) {
    case PB_VARINT:
        f->value = read_varint(r);
        break;
    case PB_FIXED64:
        f->bytes = read_bytes(r, 8);
        break;
    case PB_BYTES:
        f->bytes = read_bytes(r, read_varint(r));
        break;
    case PB_FIXED32:
        f->bytes = read_bytes(r, 4);
        break;
    default:
        r->err = true;
        break;
    }
    return !r->err;
}

static uint64_t tag_of(uint32_t number, enum pb_type type)
{
    ASSERT(number > 0 && number <= PB_NUMBER_MAX);
    return (uint64_t)number << 3 | type;
}

static void write_varint(struct wr *w, uint64_t v)
{
    while (v >= 0x80) {
        wr_u8(w, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    wr_u8(w, (uint8_t)v);
}

void pb_put_varint(struct wr *w, uint32_t number, uint64_t v)
{
    write_varint(w, tag_of(number, PB_VARINT));
    write_varint(w, v);
}

void pb_put_head(struct wr *w, uint32_t number, size_t len)
{
    write_varint(w, tag_of(number, PB_BYTES));
    write_varint(w, len);
}

void pb_put_bytes(struct wr *w, uint32_t number, struct slice s)
{
    pb_put_head(w, number, s.len);
    wr_slice(w, s);
}

void pb_put_bytes_if_any(struct wr *w, uint32_t number, struct slice s)
{
    if (s.len > 0) {
        pb_put_bytes(w, number, s);
    }
}

void pb_delimit(struct wr *w)
{
    size_t len = w->len, head = pb_varint_len(len);

    (void)wr_reserve(w, head);
    if (!wr_ok(w)) {
        return;
    }
    memmove(w->p + head, w->p, len);
    struct wr front = wr_init(w->p, head);
    write_varint(&front, len);
}
