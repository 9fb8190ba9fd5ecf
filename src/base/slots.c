/*
 * slots.c - table of pointers named by slot and generation.
 *
 * A slot's generation grows each time it is freed, so a name handed out before no longer fits.  When the
 * last one goes the memory goes too; what comes then begins with a generation nobody has had.
 */
#include "base/slots.h"

#include "base/assert.h"

#define SLOTS_CAP_MIN 8

void slots_init(struct slots *s, struct mem *mem, uint32_t max)
{
    *s = (struct slots){.mem = mem, .max = max, .born = 1};
}

void slots_fini(struct slots *s)
{
    mem_free(s->mem, s->v);
    *s = (struct slots){.mem = s->mem, .max = s->max, .born = 1};
}

static qudag_err slots_grow(struct slots *s)
{
    uint32_t cap = s->cap == 0 ? SLOTS_CAP_MIN : s->cap > UINT32_MAX / 2 ? UINT32_MAX : s->cap * 2;

    if (cap > s->max) {
        cap = s->max;
    }
    struct slot_entry *v = mem_resize_n(s->mem, s->v, cap, sizeof *v);
    if (v == NULL) {
        return QUDAG_ENOMEM;
    }
    s->v = v;
    s->cap = cap;
    return QUDAG_OK;
}

qudag_err slots_add(struct slots *s, void *ptr, struct ref *out)
{
    ASSERT(ptr != NULL);
    if (s->n >= s->max) {
        return QUDAG_ELIMIT;
    }
    uint32_t ix;
    if (s->free_head != 0) {
        ix = s->free_head - 1;
        s->free_head = s->v[ix].next;
    } else {
        if (s->high == s->cap) {
            qudag_err err = slots_grow(s);
            if (err != QUDAG_OK) {
                return err;
            }
        }
        ix = s->high++;
        s->v[ix].gen = s->born;
    }
    ASSERT(s->v[ix].ptr == NULL);
    s->v[ix].ptr = ptr;
    s->v[ix].next = 0;
    s->n++;
    *out = (struct ref){ix, s->v[ix].gen};
    return QUDAG_OK;
}

void *slots_get(const struct slots *s, struct ref r)
{
    if (r.slot >= s->high || s->v[r.slot].gen != r.gen) {
        return NULL;
    }
    return s->v[r.slot].ptr;
}

void slots_del(struct slots *s, struct ref r)
{
    if (slots_get(s, r) == NULL) {
        return;
    }
    struct slot_entry *e = &s->v[r.slot];
    e->ptr = NULL;
    e->gen++;
    if (e->gen == 0) { /* 0 names nothing */
        e->gen = 1;
    }
    s->born = e->gen > s->born ? e->gen : s->born;
    e->next = s->free_head;
    s->free_head = r.slot + 1;
    s->n--;
    if (s->n == 0 && s->cap > SLOTS_CAP_MIN) {
        mem_free(s->mem, s->v);
        s->v = NULL;
        s->cap = s->high = s->free_head = 0;
    }
}
