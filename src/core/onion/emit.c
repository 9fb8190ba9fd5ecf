/* emit.c - actions whose payload lives in the byte area of the action list. */
#include "core/onion/emit.h"

#include "base/list.h"

void onion_emit_link_ev(struct acts *out, const struct link_ev *ev)
{
    struct act *a = acts_up_copy(out, ONION_UP_EVENT, ev, sizeof *ev);

    if (a != NULL) {
        a->obj = ev->link;
    }
}

uint8_t *onion_cell_take(struct acts *out)
{
    if (ONION_CELL_LEN > out->bytes_cap - out->bytes_n) {
        out->overflow = true;
        return NULL;
    }
    uint8_t *p = out->bytes + out->bytes_n;
    out->bytes_n += ONION_CELL_LEN;
    return p;
}

static void run_gone(struct buf *b)
{
    struct onion_run *r = LIST_ENTRY(b, struct onion_run, buf);

    mem_free(mem_owner(r), r);
}

struct onion_run *onion_run_new(struct mem *mem, uint32_t cells)
{
    struct onion_run *r = mem_alloc(mem, sizeof *r + (size_t)cells * ONION_CELL_LEN);

    if (r != NULL) {
        buf_init(&r->buf, run_gone);
        r->cells = cells;
    }
    return r;
}

uint8_t *onion_run_take(struct onion_run *r)
{
    return r == NULL || r->taken == r->cells ? NULL
                                             : r->bytes + (size_t)r->taken++ * ONION_CELL_LEN;
}

void onion_run_put(struct acts *out, uint8_t *cell, struct ref strm, struct onion_run *r)
{
    struct act *last = out->n > 0 ? &out->v[out->n - 1] : NULL;

    if (last != NULL && last->type == ACT_WRITE && last->keep == &r->buf &&
        ref_eq(last->strm, strm) && last->data.base + last->data.len == cell) {
        last->data.len += ONION_CELL_LEN;
        return;
    }
    (void)acts_write_kept(out, strm, (struct slice){cell, ONION_CELL_LEN}, &r->buf);
}

void onion_cell_put(struct acts *out, uint8_t *cell, struct ref strm, size_t mine)
{
    struct act *last = out->n > mine ? &out->v[out->n - 1] : NULL;

    if (last != NULL && last->type == ACT_WRITE && last->keep == NULL && ref_eq(last->strm, strm) &&
        last->data.base + last->data.len == cell) {
        last->data.len += ONION_CELL_LEN; /* one write for a run of cells */
        return;
    }
    struct act *a = acts_push(out, ACT_WRITE);
    a->strm = strm;
    a->data = (struct slice){cell, ONION_CELL_LEN};
}
