/* emit.c - actions whose payload lives in the byte area of the action list. */
#include "core/onion/emit.h"

#include <string.h>

void onion_emit_link_ev(struct acts *out, const struct link_ev *ev)
{
    size_t skip = (uintptr_t)(out->bytes + out->bytes_n) % _Alignof(struct link_ev);

    skip = (_Alignof(struct link_ev) - skip) % _Alignof(struct link_ev);
    if (out->n == out->cap || sizeof *ev + skip > out->bytes_cap - out->bytes_n) {
        out->overflow = true;
        return;
    }
    uint8_t *p = out->bytes + out->bytes_n + skip;
    out->bytes_n += sizeof *ev + skip;
    memcpy(p, ev, sizeof *ev);

    struct act *a = acts_up(out, ONION_UP_EVENT);
    a->obj = ev->link;
    a->ptr = p;
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
