/* emit.h - actions with a payload that must outlive the call: link events and whole cells. */
#ifndef QUDAG_SRC_CORE_ONION_EMIT_H
#define QUDAG_SRC_CORE_ONION_EMIT_H

#include "core/onion/onion.h"

/* ONION_UP_EVENT with a copy of |ev| in the byte area of |out|. */
void onion_emit_link_ev(struct acts *out, const struct link_ev *ev);

/* ONION_CELL_LEN bytes of the byte area that belong to no action yet; NULL on overflow. */
uint8_t *onion_cell_take(struct acts *out);

/* Writes the cell from onion_cell_take() to |strm|; actions before index |mine| are not touched. */
void onion_cell_put(struct acts *out, uint8_t *cell, struct ref strm, size_t mine);

/* Cells of one burst in memory of their own, which a link keeps instead of copying it. */
struct onion_run {
    struct buf buf; /* whoever made it is one holder */
    uint32_t cells, taken;
    uint8_t bytes[];
};
/* Room for |cells| cells, to be dropped by its buf; NULL: no memory. */
struct onion_run *onion_run_new(struct mem *mem, uint32_t cells);
/* The next cell of it; NULL: there is no more room, or |r| is NULL. */
uint8_t *onion_run_take(struct onion_run *r);
/* Writes a cell of |r| to |strm|, with the one before it if they lie together. */
void onion_run_put(struct acts *out, uint8_t *cell, struct ref strm, struct onion_run *r);

#endif
