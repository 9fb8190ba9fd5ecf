/*
 * diversity.h - of how many relays and networks paths are drawn, and whether these are enough to hide anybody.
 *
 * A count of what descriptors say, which are free to make: it tells a user that a network is small, never that it is
 * honest.  SPEC: path-selection 5.
 */
#ifndef QUDAG_SRC_CORE_RELAYS_DIVERSITY_H
#define QUDAG_SRC_CORE_RELAYS_DIVERSITY_H

#include "base/types.h"

struct relays;
struct relays_entry;

/*
 * Below either of these a network is small, and is used only by those who accept that.  Whoever runs k of n relays
 * holds both ends of a path with a chance of about (k/n)^2: of 60 relays three are needed for 1 in 400.  And as no
 * path enters a network (a /16 of IPv4, a /32 of IPv6) twice, who watches one of 20 networks sees both ends of none,
 * and two of them at most 1 in 190.
 */
#define RELAYS_SAFE_MIN 60
#define RELAYS_SAFE_NETWORKS_MIN 20

struct relays_diversity {
    uint32_t relays;   /* that a path may have, those that failed lately too */
    uint32_t networks; /* they lie in */
};

/*
 * Counts the |n| relays at |v| that may be in a path, and their networks.  A relay lies in one: that of its first
 * IPv4 address, or IPv6 if it has no other; who names addresses in many networks adds none, and joins none.  Relays
 * of one family count as one network.  |lab|: relays of a lab count, too.
 */
struct relays_diversity relays_diversity_of(const struct relays_entry *const *v, uint32_t n,
                                            bool lab);
/* How many relays of the pool lie in the network of |x|, but for itself; 0 if |x| lies in none. */
uint32_t relays_network_count(const struct relays *r, const struct relays_entry *x);
/* That of the pool. */
struct relays_diversity relays_diversity(const struct relays *r);
/* Whether paths may be built: the network is not small, or it is a lab, or that was |accepted|. */
bool relays_diversity_enough(const struct relays_diversity *d, bool lab, bool accepted);

#endif
