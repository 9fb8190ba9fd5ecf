/*
 * heap.c - intrusive binary heap of deadlines.
 *
 * v[i] is not later than its children v[2i+1] and v[2i+2]; each node knows its place, so that
 * moving or removing one is O(log n).
 */
#include "base/heap.h"

#include "base/assert.h"

#define HEAP_CAP_MIN 16

void heap_init(struct heap *h, struct mem *mem, uint32_t max)
{
    *h = (struct heap){.mem = mem, .max = max};
}

void heap_fini(struct heap *h)
{
    for (uint32_t i = 0; i < h->n; i++) {
        h->v[i]->ix = 0;
    }
    mem_free(h->mem, h->v);
    *h = (struct heap){.mem = h->mem, .max = h->max};
}

static bool earlier(const struct heap_node *a, const struct heap_node *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void place(struct heap *h, uint32_t i, struct heap_node *n)
{
    h->v[i] = n;
    n->ix = i + 1;
}

static void sift_up(struct heap *h, uint32_t i)
{
    struct heap_node *n = h->v[i];

    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (!earlier(n, h->v[parent])) {
            break;
        }
        place(h, i, h->v[parent]);
        i = parent;
    }
    place(h, i, n);
}

static void sift_down(struct heap *h, uint32_t i)
{
    struct heap_node *n = h->v[i];

    while (i < h->n / 2) { /* has a child */
        uint32_t child = 2 * i + 1;
        if (child + 1 < h->n && earlier(h->v[child + 1], h->v[child])) {
            child++;
        }
        if (!earlier(h->v[child], n)) {
            break;
        }
        place(h, i, h->v[child]);
        i = child;
    }
    place(h, i, n);
}

static void restore(struct heap *h, uint32_t i)
{
    if (i > 0 && earlier(h->v[i], h->v[(i - 1) / 2])) {
        sift_up(h, i);
    } else {
        sift_down(h, i);
    }
}

static qudag_err heap_room(struct heap *h)
{
    if (h->n >= h->max) {
        return QUDAG_ELIMIT;
    }
    if (h->n < h->cap) {
        return QUDAG_OK;
    }
    uint32_t cap = h->cap == 0 ? HEAP_CAP_MIN : h->cap > UINT32_MAX / 2 ? UINT32_MAX : h->cap * 2;
    if (cap > h->max) {
        cap = h->max;
    }
    struct heap_node **v = mem_resize_n(h->mem, h->v, cap, sizeof(struct heap_node *));
    if (v == NULL) {
        return QUDAG_ENOMEM;
    }
    h->v = v;
    h->cap = cap;
    return QUDAG_OK;
}

qudag_err heap_set(struct heap *h, struct heap_node *n, tstamp at)
{
    if (at == TSTAMP_NEVER) {
        heap_del(h, n);
        return QUDAG_OK;
    }
    if (n->ix == 0) {
        qudag_err err = heap_room(h);
        if (err != QUDAG_OK) {
            return err;
        }
        place(h, h->n++, n);
    }
    ASSERT(n->ix <= h->n);
    ASSERT(h->v[n->ix - 1] == n);
    n->at = at;
    n->seq = h->seq++;
    restore(h, n->ix - 1);
    return QUDAG_OK;
}

void heap_del(struct heap *h, struct heap_node *n)
{
    if (n->ix == 0) {
        return;
    }
    uint32_t i = n->ix - 1;
    ASSERT(i < h->n);
    ASSERT(h->v[i] == n);
    n->ix = 0;
    h->n--;
    if (i != h->n) {
        place(h, i, h->v[h->n]);
        restore(h, i);
    }
    if (h->n == 0 && h->cap > HEAP_CAP_MIN) { /* what a busy time needed goes back */
        mem_free(h->mem, h->v);
        h->v = NULL;
        h->cap = 0;
    }
}
