/*
 * tally.h - the cells that one sender sent us, by whether they meant anything to us.
 *
 * Cells that mean nothing change no state and belong to no window: whoever may send any number of them can mark a
 * circuit for somebody farther along it.  onion_rule_unexplained() says how many there may be (spec/onion.md 2.5).
 */
#ifndef QUDAG_SRC_CORE_ONION_TALLY_H
#define QUDAG_SRC_CORE_ONION_TALLY_H

#include "base/types.h"

struct onion_tally {
    uint64_t explained, unexplained; /* cells */
    uint32_t padding; /* cells of padding that were agreed upon and have not come yet */
};

/* Counts a cell; false: one too many that meant nothing, the circuit must end. */
QUDAG_MUST_USE bool onion_tally_cell(struct onion_tally *t, bool explained);
/* Counts a cell of padding, which is explained as far as it was agreed upon; false: as above. */
QUDAG_MUST_USE bool onion_tally_padding(struct onion_tally *t);
/* |cells| more of padding were agreed upon with that sender. */
void onion_tally_allow(struct onion_tally *t, uint32_t cells);

#endif
