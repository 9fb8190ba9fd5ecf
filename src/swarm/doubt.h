/* doubt.h - links whose peer proved another ML-DSA key than it is known by, as the owner of the swarm sees them. */
#ifndef QUDAG_SRC_SWARM_DOUBT_H
#define QUDAG_SRC_SWARM_DOUBT_H

#include "swarm/rules.h"
#include "wire/peer_id.h"

struct swarm;

/*
 * A link whose peer proved another ML-DSA key than it is known by: no core has it, and none but those with
 * core_ops.doubts may use it, until swarm_doubt_end().
 */
struct swarm_doubt {
    struct peer_id peer;
    uint8_t pin[32]; /* by which it is known */
    uint8_t now[32]; /* which it proved */
    bool has_former;
    uint8_t former[32]; /* by which it was known before */
};
/* The next that nobody was told of; false: none.  For each swarm_doubt_end() is to be called. */
bool swarm_doubt_next(struct swarm *s, struct swarm_doubt *out);
/*
 * A statement of |peer|, checked, says that the key |next->from| has a successor.  SWARM_FOLLOW: the pin moved, and
 * what waits for the new key may stand.
 */
enum swarm_follow swarm_follow(struct swarm *s, const struct peer_id *peer,
                               const struct swarm_successor *next);
/*
 * Whether a line about the key of a peer may go to the log now: whoever has keys of his own makes as many of them as he
 * likes.  All are counted.
 */
bool swarm_key_said(struct swarm *s, tstamp now);
/*
 * The doubt about |peer| ends: its link comes up if it proved the pinned key by now, and else ends with EAUTH.  |why|:
 * QUDAG_OK, or ENOMEM, ELIMIT, ECANCELED where it could not be asked for here: then it ends with that, which is not
 * held against the peer.
 */
void swarm_doubt_end(struct swarm *s, const struct peer_id *peer, qudag_err why, tstamp now);

#endif
