/* emit.c - actions whose payload lives in the byte area of the action list. */
#include "core/onion/emit.h"

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

void onion_cell_put(struct acts *out, uint8_t *cell, struct ref strm, size_t mine)
{
    struct act *last = out->n > mine ? &out->v[out->n - 1] : NULL;

    if (last != NULL && last->type == ACT_WRITE && ref_eq(last->strm, strm) &&
        last->data.base + last->data.len == cell) {
        last->data.len += ONION_CELL_LEN; /* one write for a run of cells */
        return;
    }
    struct act *a = acts_push(out, ACT_WRITE);
    a->strm = strm;
    a->data = (struct slice){cell, ONION_CELL_LEN};
}
