/* slots.h - table of pointers named by slot and generation. */
#ifndef QUDAG_SRC_BASE_SLOTS_H
#define QUDAG_SRC_BASE_SLOTS_H

#include "base/mem.h"

struct slot_entry {
    void *ptr;          /* NULL: free */
    uint32_t gen, next; /* next free slot + 1 */
};

struct slots {
    struct mem *mem;
    struct slot_entry *v;
    uint32_t n, cap, max; /* n in use; cap allocated; max allowed */
    uint32_t free_head;   /* slot + 1, 0: none */
    uint32_t high;        /* slots ever used; iterate below it */
    uint32_t born;        /* generation of a slot used for the first time */
};

/* An empty table for at most |max| pointers; takes no memory yet.  |mem| must outlive it. */
void slots_init(struct slots *s, struct mem *mem, uint32_t max);

void slots_fini(struct slots *s); /* does not free what the slots point to */

/* QUDAG_ELIMIT at the maximum, QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err slots_add(struct slots *s, void *ptr, struct ref *out);

/* NULL for a stale or foreign name. */
void *slots_get(const struct slots *s, struct ref r);

/* Frees the slot; from then on |r| is stale.  Does nothing for a stale or foreign |r|. */
void slots_del(struct slots *s, struct ref r);

/* The pointer in slot |ix| < s->high, or NULL. */
static inline void *slots_at(const struct slots *s, uint32_t ix)
{
    return s->v[ix].ptr;
}

#endif
