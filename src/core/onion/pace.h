/*
 * pace.h - how long hops take to answer, and how long is waited for one that does not.
 *
 * A relay whose machine died is noticed by nobody at first: the link to it stands, and the relay before it waits for as
 * long as a slow handshake may take.  The client knows how long hops take in its network, and gives up sooner.  Kept
 * as TCP keeps round trips (RFC 6298): a smoothed mean and a smoothed deviation.
 */
#ifndef QUDAG_SRC_CORE_ONION_PACE_H
#define QUDAG_SRC_CORE_ONION_PACE_H

#include "base/types.h"

#define ONION_PACE_ENOUGH 8 /* hops that must have answered before anything follows from it */
/* At least so long is waited: a relay tells that it cannot extend 1 to 3 s after it was asked. */
#define ONION_PACE_LEAST (4 * NS_PER_S)

struct onion_pace {
    uint64_t mean_ns, dev_ns;
    uint32_t n;
};

/*
 * A hop answered after |ns|, or was given up then.  The latter counts, too: where all hops have become slow, none would
 * answer in time again.
 */
void onion_pace_add(struct onion_pace *p, uint64_t ns);
/* How long the answer of a hop is waited for, in ns: ONION_PACE_LEAST to |most|; |most| as long as little is known. */
uint64_t onion_pace_patience(const struct onion_pace *p, uint64_t most);

#endif
