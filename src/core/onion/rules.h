/* rules.h - decisions on which the safety of circuits rests, as pure functions (spec/onion.md 1 to 5). */
#ifndef QUDAG_SRC_CORE_ONION_RULES_H
#define QUDAG_SRC_CORE_ONION_RULES_H

#include "core/onion/relay_msg.h"
#include "core/onion/tally.h"

#define ONION_APART 3 /* places between two of one relay, so that no hop goes back */
/*
 * Whether |n| relays, the last of them perhaps a |service|, can make a circuit of |self|: none twice and none |self|,
 * but for a last one that others named (spec/rendezvous.md R-29), ONION_APART places behind its other place at least.
 */
bool onion_rule_path(const struct peer_id *path, size_t n, bool service,
                     const struct peer_id *self);

/*
 * EARLY cells that the first relay of the longest circuit passes on: the EXTENDs for hops 3 to ONION_HOPS_MAX.  No
 * EXTEND fits into fewer cells than ONION_EXTEND_CELLS, so no circuit becomes longer.
 */
#define ONION_EARLY_MAX ((ONION_HOPS_MAX - 2) * ONION_EXTEND_CELLS)

/* Whether a relay that has passed on |passed| EARLY cells of a circuit passes on another. */
bool onion_rule_early(uint32_t passed);

/*
 * Whether a hop, or a neighbour, that sent what |t| says may go on; without a bound it could signal by cells that
 * say nothing.
 */
bool onion_rule_unexplained(const struct onion_tally *t);

/* What DESTROY tells a neighbour: why its CREATE is refused, and else only that the circuit is over. */
uint8_t onion_rule_destroy(bool creating, qudag_err err);

/* What TRUNCATED tells the client: that the circuit could not be extended, or that it is over.  Never why. */
uint8_t onion_rule_truncated(bool extending);

/*
 * What RESET of a stream tells the other end.  A client says nothing of itself; the other end says why, but not
 * what it lacks or did by itself.
 */
uint8_t onion_rule_reset(bool client, qudag_err err);

/*
 * Whether a circuit's stream may run over a link with |props|; |inbound|: the neighbour opened the stream.  Cells go
 * over post-quantum links between QuDAG nodes, and only away from whoever dialled the link: nobody is reached over a
 * link of its own, so that nobody can ask a relay by an EXTEND who has links with it.
 */
bool onion_rule_leg(uint8_t props, bool inbound);

/* When an EXTEND that came at |start| fails, whatever it fails for: 1 to 3 s later, by |random|. */
tstamp onion_rule_extend_fails_at(tstamp start, uint32_t random);

/* In which class of cell a relay message of |type| may come. */
uint8_t onion_rule_class(uint8_t type);

#endif
