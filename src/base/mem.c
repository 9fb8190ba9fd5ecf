/*
 * mem.c - the injected allocator.
 *
 *   | head (16 bytes): size asked for, owner | bytes handed out ... |
 *
 * The head lets mem_free() account for what it takes back without being told.
 */
#include "base/mem.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <stdlib.h>
#include <string.h>

struct mem_head {
    _Alignas(16) size_t size; /* bytes handed out */
    struct mem *owner;
};

_Static_assert(sizeof(struct mem_head) == 16, "keeps what follows 16-byte aligned");

static struct mem_head *head_of(void *p)
{
    return (struct mem_head *)p - 1;
}

void mem_init(struct mem *m, const struct mem_hooks *hooks, size_t max_bytes)
{
    *m = (struct mem){.max = max_bytes};
    if (hooks != NULL) {
        ASSERT((hooks->alloc == NULL) == (hooks->free == NULL));
        m->hooks = *hooks;
    }
}

/* Whether this is the allocation a test wants to see fail. */
static bool fails_now(struct mem *m)
{
    if (m->fail_at == 0) {
        return false;
    }
    m->fail_at--;
    return m->fail_at == 0;
}

static struct mem_head *head_new(struct mem *m, size_t total, bool zeroed)
{
    if (m->hooks.alloc == NULL) {
        return zeroed ? calloc(1, total) : malloc(total);
    }
    struct mem_head *h = m->hooks.alloc(m->hooks.ctx, total);
    if (h != NULL && zeroed) {
        memset(h, 0, total);
    }
    return h;
}

static void *take(struct mem *m, size_t size, bool zeroed)
{
    struct mem_head *h = NULL;

    if (!fails_now(m) && size <= SIZE_MAX - sizeof *h) {
        size_t total = sizeof *h + size;
        bool fits = m->max == 0 || (m->used <= m->max && total <= m->max - m->used);
        if (fits) {
            h = head_new(m, total, zeroed);
        }
    }
    if (h == NULL) {
        m->refused++;
        return NULL;
    }
    ASSERT(((uintptr_t)h & 15) == 0);
    h->size = size;
    h->owner = m;
    m->used += sizeof *h + size;
    if (m->used > m->peak) {
        m->peak = m->used;
    }
    return h + 1;
}

void *mem_alloc(struct mem *m, size_t size)
{
    return take(m, size, true);
}

void *mem_alloc_unset(struct mem *m, size_t size)
{
    return take(m, size, false);
}

void *mem_alloc_n(struct mem *m, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size) {
        m->refused++;
        return NULL;
    }
    return mem_alloc(m, n * size);
}

void *mem_resize(struct mem *m, void *p, size_t size)
{
    void *q = mem_alloc(m, size);

    if (q == NULL || p == NULL) {
        return q;
    }
    size_t old = head_of(p)->size;
    memcpy(q, p, old < size ? old : size);
    mem_free(m, p);
    return q;
}

void *mem_resize_n(struct mem *m, void *p, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size) {
        m->refused++;
        return NULL;
    }
    return mem_resize(m, p, n * size);
}

struct mem *mem_owner(const void *p)
{
    return ((const struct mem_head *)p - 1)->owner;
}

void mem_free(struct mem *m, void *p)
{
    if (p == NULL) {
        return;
    }
    struct mem_head *h = head_of(p);
    size_t total = sizeof *h + h->size;
    ASSERT(h->owner == m);
    ASSERT(total <= m->used);
    m->used -= total;
    if (m->hooks.free != NULL) {
        m->hooks.free(m->hooks.ctx, h);
    } else {
        free(h);
    }
}

void mem_free_wiped(struct mem *m, void *p)
{
    if (p != NULL) {
        wipe(p, head_of(p)->size);
        mem_free(m, p);
    }
}
