/*
 * names.c - a hash table of pointers by 64-bit names: open addressing, linear probing, half full at most.
 *
 * For streams and the keyed hashes of clients, where the general map would keep 88 bytes and compute a
 * keyed hash for each.  It gives its memory back when the last name goes.
 */
#include "core/kad/names.h"

#include "base/assert.h"

#define CAP_MIN 8

void kad_names_init(struct kad_names *t, struct mem *mem, uint32_t max)
{
    *t = (struct kad_names){.mem = mem, .max = max};
}

void kad_names_fini(struct kad_names *t)
{
    mem_free(t->mem, t->v);
    t->v = NULL;
    t->n = 0;
    t->cap = 0;
}

static uint32_t home_of(const struct kad_names *t, uint64_t name)
{
    return (uint32_t)(name * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (t->cap - 1);
}

/* Where |name| is, or the empty place where it would be.  cap > n. */
static uint32_t place_of(const struct kad_names *t, uint64_t name)
{
    uint32_t i = home_of(t, name);

    while (t->v[i].ptr != NULL && t->v[i].name != name) {
        i = (i + 1) & (t->cap - 1);
    }
    return i;
}

void *kad_names_get(const struct kad_names *t, uint64_t name)
{
    return t->n == 0 ? NULL : t->v[place_of(t, name)].ptr;
}

static qudag_err resize(struct kad_names *t, uint32_t cap)
{
    struct kad_named *old = t->v, *v = mem_alloc_n(t->mem, cap, sizeof(*v));
    uint32_t old_cap = t->cap;

    if (v == NULL) {
        return QUDAG_ENOMEM;
    }
    t->v = v;
    t->cap = cap;
    for (uint32_t i = 0; i < old_cap; i++) {
        if (old[i].ptr != NULL) {
            v[place_of(t, old[i].name)] = old[i];
        }
    }
    mem_free(t->mem, old);
    return QUDAG_OK;
}

qudag_err kad_names_add(struct kad_names *t, uint64_t name, void *ptr)
{
    if (t->n >= t->max) {
        return QUDAG_ELIMIT;
    }
    if (2 * (t->n + 1) > t->cap) {
        qudag_err err = resize(t, t->cap == 0 ? CAP_MIN : 2 * t->cap);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    uint32_t i = place_of(t, name);
    ASSERT(t->v[i].ptr == NULL);
    t->v[i] = (struct kad_named){name, ptr};
    t->n++;
    return QUDAG_OK;
}

void kad_names_del(struct kad_names *t, uint64_t name)
{
    uint32_t mask = t->cap - 1, hole = t->n == 0 ? 0 : place_of(t, name);

    if (t->n == 0 || t->v[hole].ptr == NULL) {
        return;
    }
    t->n--;
    if (t->n == 0 && t->cap > CAP_MIN) {
        kad_names_fini(t);
        return;
    }
    /* Every entry of the run that may stand in the gap moves back. */
    for (uint32_t i = (hole + 1) & mask; t->v[i].ptr != NULL; i = (i + 1) & mask) {
        uint32_t from_home = (i - home_of(t, t->v[i].name)) & mask;
        if (from_home >= ((i - hole) & mask)) {
            t->v[hole] = t->v[i];
            hole = i;
        }
    }
    t->v[hole] = (struct kad_named){0, NULL};
}
