/* quiet.h - links whose path may be dead, and relayed ones that are to become direct again; inside swarm/. */
#ifndef QUDAG_SRC_SWARM_QUIET_H
#define QUDAG_SRC_SWARM_QUIET_H

#include "swarm/internal.h"

/* Dials the peers of links that became quiet, where nothing else helps (swarm_rule_rescue). */
void swarm_rescue_links(struct swarm *s, tstamp now);
/*
 * Between two times that a peer is dialled for that, the |times|th in a row behind us: who falls quiet again and again
 * chooses where we dial, as it names its addresses.  None three times, then 4 s to 64 s.  In a row: within two minutes.
 */
#define SWARM_RESCUE_FORGET (120 * NS_PER_S)
uint64_t swarm_rule_rescue_pause(uint32_t times);
/* Dials directly the peers whose only links are relayed, and in use; whether some wait for another try. */
bool swarm_redial(struct swarm *s, tstamp now);

struct swarm_beside {
    const struct swarm_link *link; /* where it leads goes before other direct addresses; or NULL */
    unsigned core;                 /* whose dials they are */
    bool relayed;                  /* also through a relay */
};
/*
 * In dial.c: one direct address of |p|, and perhaps one through a relay, are dialled at once.  How many dials
 * began.
 */
unsigned swarm_dial_beside(struct swarm *s, struct swarm_peer *p, const struct swarm_beside *as,
                           tstamp now);

#endif
