/*
 * rd.h - byte reader with a sticky error.
 *
 * Every rd_* past the end, or past a stated limit, sets err and yields zero; the caller looks at
 * rd_ok() once at the end.
 */
#ifndef QUDAG_SRC_BASE_RD_H
#define QUDAG_SRC_BASE_RD_H

#include "base/types.h"

struct rd {
    const uint8_t *p;
    size_t left;
    bool err;
};

static inline struct rd rd_init(struct slice s)
{
    return (struct rd){.p = s.base, .left = s.len};
}

/* One byte. */
uint8_t rd_u8(struct rd *r);

uint16_t rd_u16(struct rd *r); /* big-endian, like all below */

/* Four bytes, big-endian. */
uint32_t rd_u32(struct rd *r);

/* Eight bytes, big-endian. */
uint64_t rd_u64(struct rd *r);

uint64_t rd_uvarint(struct rd *r); /* unsigned LEB128, at most 9 bytes, minimal (multiformats) */
struct slice rd_bytes(struct rd *r, size_t len);    /* borrowed */
void rd_copy(struct rd *r, void *dst, size_t len);  /* dst is zeroed on error */
struct slice rd_lp(struct rd *r, size_t len_max);   /* uvarint length, then bytes */
struct slice rd_lp16(struct rd *r, size_t len_max); /* u16 length, then bytes */
struct slice rd_rest(struct rd *r);                 /* all that is left */

static inline bool rd_ok(const struct rd *r)
{
    return !r->err;
}

/* No error, and nothing left over. */
static inline bool rd_done(const struct rd *r)
{
    return !r->err && r->left == 0;
}

#endif
