/*
 * early.h - streams on a link before it is up; inside swarm/.
 *
 *   LINK_PROVEN ─ what waits, of cores with core_ops.early ─▶ streams, in the account of the dial
 *       ├ LINK_UP ─▶ they count in the account of the link, as all others
 *       └ LINK_DOWN, or no place for it here ─▶ EV_RESET
 */
#ifndef QUDAG_SRC_SWARM_EARLY_H
#define QUDAG_SRC_SWARM_EARLY_H

#include "swarm/internal.h"

/* Opens what waits for |l|, a dial whose peer has proven itself, and may be; all else waits on. */
void swarm_opens_early(struct swarm *s, struct swarm_link *l, tstamp now);
/* |l| is no dial any more: its streams are in no account. */
void swarm_streams_uncount(struct swarm *s, struct swarm_link *l);
/* They are in the one that it has now. */
void swarm_streams_count(struct swarm *s, struct swarm_link *l, tstamp now);

#endif
