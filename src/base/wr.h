/* wr.h - bounded writer with a sticky error and back-filled lengths. */
#ifndef QUDAG_SRC_BASE_WR_H
#define QUDAG_SRC_BASE_WR_H

#include "base/types.h"

struct wr {
    uint8_t *p;
    size_t len, cap;
    bool err;
};

static inline struct wr wr_init(void *dst, size_t cap)
{
    return (struct wr){.p = dst, .cap = cap};
}

/* One byte. */
void wr_u8(struct wr *w, uint8_t v);

void wr_u16(struct wr *w, uint16_t v); /* big-endian, like all below */

/* Four bytes, big-endian. */
void wr_u32(struct wr *w, uint32_t v);

/* Eight bytes, big-endian. */
void wr_u64(struct wr *w, uint64_t v);

/* Unsigned LEB128 as rd_uvarint() reads it; an error from 2^63 on, which would need a tenth byte. */
void wr_uvarint(struct wr *w, uint64_t v);

/* Copies |len| bytes; |src| may be NULL when |len| is 0. */
void wr_bytes(struct wr *w, const void *src, size_t len);

/* The same for a slice. */
void wr_slice(struct wr *w, struct slice s);

/* |len| zero bytes. */
void wr_zero(struct wr *w, size_t len);

void wr_lp(struct wr *w, struct slice s);    /* uvarint length, then bytes */
void wr_lp16(struct wr *w, struct slice s);  /* u16 length, then bytes; error over 65535 */
size_t wr_reserve(struct wr *w, size_t len); /* position of |len| zero bytes to be filled later */

/* Puts |v|, big-endian, at a position that wr_reserve() returned; nothing after an error. */
void wr_fill_u16(struct wr *w, size_t at, uint16_t v);

static inline bool wr_ok(const struct wr *w)
{
    return !w->err;
}

static inline struct slice wr_done(const struct wr *w)
{
    return (struct slice){w->p, w->err ? 0 : w->len};
}

#endif
