/* quiet.h - links whose path may be dead, and relayed ones that are to become direct again; inside swarm/. */
#ifndef QUDAG_SRC_SWARM_QUIET_H
#define QUDAG_SRC_SWARM_QUIET_H

#include "swarm/internal.h"

/* The path of |l| may be dead, or is alive again. */
void swarm_link_quiet(struct swarm *s, struct swarm_link *l, tstamp now);
void swarm_link_heard(struct swarm_link *l, tstamp now);
/* Whether another link is to be used rather than |l|, because of that. */
bool swarm_link_unsure(const struct swarm_link *l, tstamp now);
/* Dials directly the peers whose only links are relayed, and in use; whether some wait for another try. */
bool swarm_redial(struct swarm *s, tstamp now);

/*
 * In dial.c: one direct address of |p|, and with |relayed| one through a relay, are dialled at once.  How many dials
 * began.
 */
unsigned swarm_dial_beside(struct swarm *s, struct swarm_peer *p, unsigned core, bool relayed,
                           tstamp now);

#endif
