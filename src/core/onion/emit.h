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

#endif
