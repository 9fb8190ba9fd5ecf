/* mem.h - the injected allocator, with accounting and a cap. */
#ifndef QUDAG_SRC_BASE_MEM_H
#define QUDAG_SRC_BASE_MEM_H

#include "base/types.h"

/* What the embedding program may supply, 16-byte aligned like malloc's; all NULL means malloc. */
struct mem_hooks {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *ptr);
};

/* One per node.  Not thread-safe. */
struct mem {
    struct mem_hooks hooks;
    size_t used;      /* bytes handed out, headers included */
    size_t max;       /* cap in bytes; 0: none */
    size_t peak;      /* highest |used| seen */
    uint64_t refused; /* allocations refused by the cap or the hooks */
    uint64_t fail_at; /* tests: the fail_at-th allocation from now fails; 0: none */
};

/* An allocator with the host's |hooks| (NULL: malloc) that hands out at most |max_bytes| (0: no cap). */
void mem_init(struct mem *m, const struct mem_hooks *hooks, size_t max_bytes);

/* |size| zeroed bytes, 16-byte aligned, or NULL.  size 0 yields a unique pointer. */
void *mem_alloc(struct mem *m, size_t size);

/* As mem_alloc, but what is in it is not said: for buffers that are written before they are read. */
void *mem_alloc_unset(struct mem *m, size_t size);

/* As mem_alloc for |n| elements of |size|; NULL when the product overflows. */
void *mem_alloc_n(struct mem *m, size_t n, size_t size);

/* Grows or shrinks |p| (NULL allowed); new bytes are zeroed.  NULL leaves |p| as it was. */
void *mem_resize(struct mem *m, void *p, size_t size);

/* As mem_resize to |n| elements of |size|; NULL when the product overflows. */
void *mem_resize_n(struct mem *m, void *p, size_t n, size_t size);

/* Returns |p| (NULL allowed). */
void mem_free(struct mem *m, void *p);

/* Who handed |p| out: for what is too small to remember it. */
struct mem *mem_owner(const void *p);

/* Wipes, then returns |p| (NULL allowed). */
void mem_free_wiped(struct mem *m, void *p);

#endif
