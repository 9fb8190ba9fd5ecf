/* quiet.h - links whose path may be dead, and relayed ones that are to become direct again; inside swarm/. */
#ifndef QUDAG_SRC_SWARM_QUIET_H
#define QUDAG_SRC_SWARM_QUIET_H

#include "swarm/internal.h"

/* Dials the peers of links that became quiet, where nothing else helps (swarm_rule_rescue). */
void swarm_rescue_links(struct swarm *s, tstamp now);
/*
 * Whether a stream, |theirs| if the peer opened it, on a link with |props| is a reason to dial its peer beside it.  Who
 * came through a relay and does not matter (the program or a core stands by it) has us dial no address that it names by
 * streams of its own: that would show it where we are, or have us dial a third party.
 */
bool swarm_rule_needs_path(uint8_t props, bool matters, bool theirs);
/* Dials directly the peers whose only links are relayed, and in use; whether some wait for another try. */
bool swarm_redial(struct swarm *s, tstamp now);

struct swarm_beside {
    const struct swarm_link *link; /* where it leads goes before other direct addresses; or NULL */
    unsigned core;                 /* whose dials they are */
    bool relayed;                  /* also through a relay */
    bool anew;                     /* all addresses have their turn again */
    bool came;                     /* the peer came by itself and does not matter */
};
#define SWARM_CAME_HOST 12               /* dials to one host for such peers ... */
#define SWARM_CAME_TIME (120 * NS_PER_S) /* ... in each such period: they name whom they like */
/*
 * In dial.c: dials one direct address of |p| unless a direct dial is under way, and one address through a relay, if
 * |as| asks for that and fewer than SWARM_RESCUE_RELAYS such dials are.  Returns how many dials began.
 */
unsigned swarm_dial_beside(struct swarm *s, struct swarm_peer *p, const struct swarm_beside *as,
                           tstamp now);
/* Where dials of |p| began to one address each, beside a link: the others have their turn, too. */
void swarm_dials_widen(struct swarm *s, struct swarm_peer *p, tstamp now);
unsigned swarm_dials_under_way(const struct swarm *s, const struct swarm_peer *p, bool relayed);

#endif
