/*
 * settled.h - whether what we know of the network is enough to choose guards from.
 *
 * Whoever answers a newcomer's first lookups decides whom it meets first.  So nothing is chosen before lookups of
 * random keys, which begin at different contacts, have ended, and have either shown many relays of many networks
 * or stopped showing new ones.  SPEC: path-selection 1.
 */
#ifndef QUDAG_SRC_CORE_RELAYS_SETTLED_H
#define QUDAG_SRC_CORE_RELAYS_SETTLED_H

#include "base/types.h"
#include "core/relays/diversity.h"

#define RELAYS_VIEW_LOOKUPS                                                                        \
    16                      /* that ended, at least; how many matters: tests/guards/settle_test.c */
#define RELAYS_VIEW_QUIET 6 /* of these the last, that found nobody new */
#define RELAYS_VIEW_RELAYS RELAYS_SAFE_MIN            /* a large network: relays known ... */
#define RELAYS_VIEW_NETWORKS RELAYS_SAFE_NETWORKS_MIN /* ... of so many /16 or /32 */

struct relays_view {
    uint32_t lookups; /* of random keys that ended since the start */
    uint32_t quiet;   /* the last of these in a row that found nobody new */
    uint32_t waiting; /* peers whose descriptor has not been looked for yet */
    struct relays_diversity known;
};

/* Whether a network of which |known| is known is large: then a sample is drawn from a crowd. */
bool relays_view_large(const struct relays_diversity *known);
/* Whether guards may be chosen. */
bool relays_view_settled(const struct relays_view *v);

#endif
