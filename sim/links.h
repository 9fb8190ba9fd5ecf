/* links.h - how far two nodes are apart: the same for bare cores and for complete nodes. */
#ifndef QUDAG_SIM_LINKS_H
#define QUDAG_SIM_LINKS_H

#include "sim/chance.h"
#include "sim/scenario.h"

/* Round trip of a pair without jitter, in ns. */
uint64_t links_rtt(const struct dice *d, const struct scenario *sc, uint32_t a, uint32_t b);

/* What one packet takes from a to b: half of |rtt| and its jitter. */
uint64_t links_one_way(struct dice *d, const struct scenario *sc, uint64_t rtt);

#endif
