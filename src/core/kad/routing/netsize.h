/* netsize.h - estimate of the size of the network, from the density of ids. */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_NETSIZE_H
#define QUDAG_SRC_CORE_KAD_ROUTING_NETSIZE_H

#include "core/kad/routing/table.h"

#define KAD_NETSIZE_SAMPLES 31 /* of which the median counts */

struct kad_netsize {
    uint64_t space, spaces[KAD_NETSIZE_SAMPLES]; /* between ids; 0: unknown */
    uint32_t n;                                  /* samples taken */
    tstamp at;                                   /* of the last one */
};

/* Learns from a lookup: distances (first 64 bits) of the k closest to a key that answered, ascending. */
void kad_netsize_add(struct kad_netsize *s, const uint64_t dist[KAD_K], tstamp now);
/* Learns from our own neighbourhood, if k of it are known. */
void kad_netsize_from_table(struct kad_netsize *s, const struct kad_table *t, tstamp now);
/* Distance (first 64 bits) within which |n| nodes are expected; 0: unknown, or half the network. */
uint64_t kad_netsize_radius(const struct kad_netsize *s, unsigned n);
/* log2 of the number of nodes; 0: unknown. */
unsigned kad_netsize_bits(const struct kad_netsize *s);
/* Common bits of k neighbours; 0: unknown or few. */
unsigned kad_netsize_near_bits(const struct kad_netsize *s);

#endif
