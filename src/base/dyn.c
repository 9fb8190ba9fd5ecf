/* dyn.c - a growable buffer with a maximum. */
#include "base/dyn.h"

#include "base/assert.h"

#include <string.h>

#define DYN_CAP_MIN 256

void dyn_init(struct dyn *d, struct mem *mem, size_t max_bytes)
{
    *d = (struct dyn){.mem = mem, .max = max_bytes};
}

void dyn_fini(struct dyn *d)
{
    mem_free(d->mem, d->p);
    d->p = NULL;
    d->len = 0;
    d->cap = 0;
}

/* The capacity to hold |need| <= max bytes: doubling, so that appending costs O(1) on average. */
static size_t dyn_cap_for(const struct dyn *d, size_t need)
{
    size_t cap = d->cap < DYN_CAP_MIN ? DYN_CAP_MIN : d->cap;

    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
    }
    return cap > d->max ? d->max : cap;
}

qudag_err dyn_append(struct dyn *d, const void *src, size_t len)
{
    ASSERT(d->len <= d->max);
    if (len > d->max - d->len) {
        return QUDAG_ETOOBIG;
    }
    if (len == 0) {
        return QUDAG_OK;
    }
    if (len > d->cap - d->len) {
        size_t cap = dyn_cap_for(d, d->len + len);
        uint8_t *p = mem_resize(d->mem, d->p, cap);
        if (p == NULL) {
            return QUDAG_ENOMEM;
        }
        d->p = p;
        d->cap = cap;
    }
    memcpy(d->p + d->len, src, len);
    d->len += len;
    return QUDAG_OK;
}

void dyn_drop(struct dyn *d, size_t len)
{
    if (len >= d->len) {
        dyn_fini(d);
        return;
    }
    d->len -= len;
    memmove(d->p, d->p + len, d->len);
}
