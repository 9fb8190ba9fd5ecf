/*
 * settled.h - whether what we know of the network is enough to choose guards from.
 *
 * Whoever answers a newcomer's first lookups decides whom it meets first.  So nothing is chosen before lookups of
 * random keys, which begin at different contacts, have ended, and have either shown many relays of many networks
 * or stopped showing new ones.  Nor may anybody keep that from coming to an end: peer ids are free, so only relays
 * whose descriptors are known are new, a few of each network, and after a time it is enough.
 * SPEC: path-selection 1.
 */
#ifndef QUDAG_SRC_CORE_RELAYS_SETTLED_H
#define QUDAG_SRC_CORE_RELAYS_SETTLED_H

#include "base/types.h"
#include "core/relays/diversity.h"

/* That ended, at least; how many matters: tests/guards/settle_test.c. */
#define RELAYS_VIEW_LOOKUPS 16
#define RELAYS_VIEW_QUIET 6                /* of these the last, that showed nobody new */
#define RELAYS_VIEW_RELAYS RELAYS_SAFE_MIN /* a large network: relays known ... */
#define RELAYS_VIEW_NETWORKS RELAYS_SAFE_NETWORKS_MIN /* ... of so many /16 or /32 */
#define RELAYS_VIEW_NEW_MAX 4 /* relays of one network that are new to the view */
#define RELAYS_VIEW_MAX_S                                                                          \
    180 /* after the first lookup it has settled, whatever is still being met */

struct relays_view {
    uint32_t lookups; /* of random keys that ended since the start */
    uint32_t quiet;   /* the last of these in a row that showed nobody new */
    uint32_t waiting; /* peers whose descriptor has not been looked for yet */
    uint32_t age_s;   /* since the first of the lookups ended */
    bool restored;    /* guards of both layers came from disk: drawn when a view had settled */
    struct relays_diversity known;
};

/* Whether a network of which |known| is known is large: then a sample is drawn from a crowd. */
bool relays_view_large(const struct relays_diversity *known);
/* Whether a relay that was met is new to the view, when |known| others of its network are known. */
bool relays_view_new(uint32_t known);
/* Whether guards may be drawn. */
bool relays_view_settled(const struct relays_view *v);
/* Whether paths may begin with the guards there are, and the hops behind them be drawn. */
bool relays_view_usable(const struct relays_view *v);

#endif
