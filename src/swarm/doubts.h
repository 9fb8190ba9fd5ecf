/* doubts.h - links whose peer proved another key than it is known by (doubts.c); inside swarm/. */
#ifndef QUDAG_SRC_SWARM_DOUBTS_H
#define QUDAG_SRC_SWARM_DOUBTS_H

#include "swarm/internal.h"

/* Whether there is a core that asks for the succession of keys. */
bool swarm_doubts_asked(const struct swarm *s);
/* Whether |l|, which came up with another key than its peer is known by, waits for swarm_doubt_end(). */
bool swarm_doubt_begin(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                       tstamp now);
/* ACT_OPEN of a core that doubts: over the link in doubt with the peer, and no other. */
void swarm_doubt_open(struct swarm *s, unsigned core, const struct act *a, const char *proto,
                      tstamp now);
/* links.c: |l| comes up for the second time, with its place. */
void swarm_link_believed(struct swarm *s, struct swarm_link *l, tstamp now);
/* links.c: a place for |l|. */
qudag_err swarm_link_place(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                           tstamp now);

#endif
