/* dyn.h - a growable buffer that cannot be made without its maximum. */
#ifndef QUDAG_SRC_BASE_DYN_H
#define QUDAG_SRC_BASE_DYN_H

#include "base/mem.h"

struct dyn {
    struct mem *mem;
    uint8_t *p;
    size_t len, cap, max; /* bytes */
};

/* An empty buffer for at most |max_bytes|; takes no memory yet.  |mem| must outlive it. */
void dyn_init(struct dyn *d, struct mem *mem, size_t max_bytes);

/* Frees the bytes; the buffer is empty and may be used again. */
void dyn_fini(struct dyn *d);

/* QUDAG_ETOOBIG past the maximum, QUDAG_ENOMEM; unchanged on error. */
QUDAG_MUST_USE qudag_err dyn_append(struct dyn *d, const void *src, size_t len);

/* Drops the first |len| bytes (all of them if there are fewer); returns memory once empty. */
void dyn_drop(struct dyn *d, size_t len);

static inline struct slice dyn_slice(const struct dyn *d)
{
    return (struct slice){d->p, d->len};
}

#endif
