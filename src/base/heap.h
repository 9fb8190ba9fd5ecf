/* heap.h - intrusive binary heap of deadlines; equal times leave in the order they came. */
#ifndef QUDAG_SRC_BASE_HEAP_H
#define QUDAG_SRC_BASE_HEAP_H

#include "base/mem.h"

struct heap_node {
    tstamp at;
    uint64_t seq;
    uint32_t ix; /* position + 1; 0: not in the heap */
};

struct heap {
    struct mem *mem;
    struct heap_node **v;
    uint32_t n, cap, max;
    uint64_t seq;
};

/* An empty heap for at most |max| nodes; takes no memory yet.  |mem| must outlive it. */
void heap_init(struct heap *h, struct mem *mem, uint32_t max);

/* Frees the heap's array.  The nodes are their owners'; each is marked as in no heap. */
void heap_fini(struct heap *h);

/* Sets the deadline of |n|, inserting it if needed; TSTAMP_NEVER removes.  QUDAG_ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err heap_set(struct heap *h, struct heap_node *n, tstamp at);

/* Takes |n| out; does nothing when it is in no heap.  An emptied heap gives its memory back. */
void heap_del(struct heap *h, struct heap_node *n);

/* The earliest node, or NULL. */
static inline struct heap_node *heap_top(const struct heap *h)
{
    return h->n == 0 ? NULL : h->v[0];
}

#endif
