/* rules.h - decisions on which the safety of circuits rests, as pure functions (spec/onion.md 2.4 to 2.6, 5.2). */
#ifndef QUDAG_SRC_CORE_ONION_RULES_H
#define QUDAG_SRC_CORE_ONION_RULES_H

#include "core/onion/relay_msg.h"
#include "core/onion/tally.h"

/*
 * EARLY cells that the first relay of the longest circuit passes on: the EXTENDs for hops 3 to ONION_HOPS_MAX.  No
 * EXTEND fits into fewer cells than ONION_EXTEND_CELLS, so no circuit becomes longer.
 */
#define ONION_EARLY_MAX ((ONION_HOPS_MAX - 2) * ONION_EXTEND_CELLS)

/* Whether a relay that has passed on |passed| EARLY cells of a circuit passes on another. */
bool onion_rule_early(uint32_t passed);

/* Whether a hop, or a neighbour, that sent what |t| says may go on; otherwise it could signal by cells that say nothing. */
bool onion_rule_unexplained(const struct onion_tally *t);

/* In which class of cell a relay message of |type| may come. */
uint8_t onion_rule_class(uint8_t type);

#endif
