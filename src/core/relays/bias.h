/*
 * bias.h - path bias: what becomes of circuits through one guard.
 *
 * A guard that sees both ends of some circuits gains by making the others fail.  It can do so behind far hops that
 * seem to have failed, so those are counted as well; what we chose not to, or could not, is not.  After Tor's
 * path-bias counters (tor-spec, path-spec 7).
 */
#ifndef QUDAG_SRC_CORE_RELAYS_BIAS_H
#define QUDAG_SRC_CORE_RELAYS_BIAS_H

#include "base/types.h"

#define RELAYS_BIAS_MIN 100 /* circuits before anything is said */
#define RELAYS_BIAS_MAX 400 /* then old ones count half */
#define RELAYS_BIAS_WARN 70 /* percent */
#define RELAYS_BIAS_STOP 50

struct relays_bias {
    uint32_t tried;  /* circuits that got past the guard */
    uint32_t built;  /* of these, as far as we had chosen the hops */
    uint32_t used;   /* built ones that ended */
    uint32_t intact; /* of these, not by an error on the way */
};

enum relays_bias_verdict { RELAYS_BIAS_FINE, RELAYS_BIAS_SUSPECT, RELAYS_BIAS_BAD };

/* A circuit got past the guard; |good|: all the hops we chose were reached. */
void relays_bias_built(struct relays_bias *b, bool good);
/* A circuit that was built has ended; |good|: not by an error on the way. */
void relays_bias_used(struct relays_bias *b, bool good);
/* Below RELAYS_BIAS_WARN or _STOP percent of either, after RELAYS_BIAS_MIN. */
enum relays_bias_verdict relays_bias_judge(const struct relays_bias *b);

#endif
