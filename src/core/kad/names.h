/* names.h - from 64-bit names to pointers, 16 bytes each. */
#ifndef QUDAG_SRC_CORE_KAD_NAMES_H
#define QUDAG_SRC_CORE_KAD_NAMES_H

#include "base/mem.h"

struct kad_named {
    uint64_t name;
    void *ptr; /* NULL: empty */
};

struct kad_names {
    struct mem *mem;
    struct kad_named *v;
    uint32_t n, cap, max; /* cap: a power of two or 0 */
};

void kad_names_init(struct kad_names *t, struct mem *mem, uint32_t max);
void kad_names_fini(struct kad_names *t);
void *kad_names_get(const struct kad_names *t, uint64_t name);
/* |name| must be new.  QUDAG_ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err kad_names_add(struct kad_names *t, uint64_t name, void *ptr);
void kad_names_del(struct kad_names *t, uint64_t name);

/* Streams are named by the driver: no peer can choose names that meet. */
static inline uint64_t kad_strm_name(struct ref strm)
{
    return ref_to_u64(strm);
}

#endif
