/* dial.h - dials, for the files of this folder; dial.c. */
#ifndef QUDAG_SRC_SWARM_DIAL_H
#define QUDAG_SRC_SWARM_DIAL_H

#include "base/types.h"

struct swarm;
struct swarm_link;
struct swarm_peer;

/* Dials addresses of |p|, all anew (swarm_rule_next_dial).  Of dials that could not even begin the last says why. */
qudag_err swarm_dial_peer(struct swarm *s, struct swarm_peer *p, unsigned core, uint8_t need,
                          tstamp now);
/*
 * Somebody waits for |p|, of whom an address was not dialled yet: it has its turn after the delay, though the last dial
 * began without it.
 */
void swarm_dial_more_later(struct swarm *s, struct swarm_peer *p);
/* It is no dial any more, for it is up or gone; its account alone, for it is to have another. */
void swarm_dial_uncount(struct swarm *s, struct swarm_link *l);
void swarm_dial_give(struct swarm *s, struct swarm_link *l);
/* Dials one more address of the peers where the delay after the last is over. */
void swarm_dials_go_on(struct swarm *s, tstamp now);
/* A dial to |p| ended without a link, |here|: by our doing; the next address, or a pause. */
void swarm_dial_ended(struct swarm *s, struct swarm_peer *p, qudag_err err, bool here, tstamp now);
/* Link |l| is up: dials to its peer that promise nothing better are cancelled. */
void swarm_dials_cancel(struct swarm *s, const struct swarm_link *up, tstamp now);
/* Dials the peer of |l|, for |core|, where |l| leads, beside it; where it came by a byte stream, where it listens. */
qudag_err swarm_dial_again(struct swarm *s, struct swarm_link *l, unsigned core, tstamp now);

#endif
