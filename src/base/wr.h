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

void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v); /* big-endian, like all below */
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_uvarint(struct wr *w, uint64_t v);
void wr_bytes(struct wr *w, const void *src, size_t len);
void wr_slice(struct wr *w, struct slice s);
void wr_zero(struct wr *w, size_t len);
void wr_lp(struct wr *w, struct slice s);    /* uvarint length, then bytes */
void wr_lp16(struct wr *w, struct slice s);  /* u16 length, then bytes; error over 65535 */
size_t wr_reserve(struct wr *w, size_t len); /* position of |len| zero bytes to be filled later */
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
