/*
 * early.h - streams on a link before it is up; inside swarm/.
 *
 *   LINK_PROVEN ─ what waits, of cores with core_ops.early ─▶ streams, in the account of the dial
 *       ├ LINK_UP ─▶ they count in the account of the link, as all others
 *       └ LINK_DOWN, or no place for it here ─▶ EV_RESET
 *
 * Between LINK_PROVEN and LINK_UP such cores open more of them, also those that dial nobody (ACT_OPEN with no_dial).
 */
#ifndef QUDAG_SRC_SWARM_EARLY_H
#define QUDAG_SRC_SWARM_EARLY_H

#include "swarm/internal.h"

/* A link that is not up so long after LINK_PROVEN may never be. */
#define SWARM_EARLY_FOR (2 * NS_PER_S)

/* Whether streams of a core with |ops| may be opened on a link with |props| that the peer may still refuse. */
bool swarm_rule_early(const struct core_ops *ops, uint8_t props);
/* Opens what waits for |l|, a dial whose peer has proven itself, and may be; all else waits on. */
void swarm_opens_early(struct swarm *s, struct swarm_link *l, tstamp now);
/*
 * A dial of |o|'s peer whose peer has proven itself, SWARM_EARLY_FOR ago at most, and which serves |o|, whose core may
 * use it; NULL: none.  Beside one that is late other addresses are dialled: a relay may keep back what comes next.
 */
struct swarm_link *swarm_open_early_link(struct swarm *s, const struct swarm_open *o);
/* |l| is no dial any more: its streams are in no account. */
void swarm_streams_uncount(struct swarm *s, struct swarm_link *l);
/* They are in the one that it has now. */
void swarm_streams_count(struct swarm *s, struct swarm_link *l, tstamp now);

#endif
