/* doubts.h - links whose peer proved another key than it is known by (doubts.c); inside swarm/. */
#ifndef QUDAG_SRC_SWARM_DOUBTS_H
#define QUDAG_SRC_SWARM_DOUBTS_H

#include "swarm/internal.h"

/* Whether there is a core that asks for the succession of keys. */
bool swarm_doubts_asked(const struct swarm *s);
/* The link in doubt with |peer|; NULL: there is none. */
struct swarm_link *swarm_doubt_find(struct swarm *s, const struct peer_id *peer);
/*
 * Whether |l|, which came up with another key than its peer is known by, may wait for swarm_doubt_end().  EAUTH: there
 * is nothing to wait for.  ELIMIT: it is we who have no room for one more.
 */
QUDAG_MUST_USE qudag_err swarm_doubt_may(struct swarm *s, const struct swarm_link *l,
                                         const struct link_info *info, tstamp now);
/* |l| is in doubt, or no more; its peer stays in the table as long. */
void swarm_doubt_set(struct swarm_link *l, bool doubt);
/* links.c: |l| comes up for the second time, with its place; unless |why| is an error, with which it ends. */
void swarm_link_believed(struct swarm *s, struct swarm_link *l, qudag_err why, tstamp now);

#endif
