/*
 * extend_memory.h - what a relay remembers because circuits of others are to be extended: where dials failed, which
 * hosts answered, which descriptors there are not.
 *
 *   failures   counted in cells that a keyed hash of host, of host and asker, of host and peer finds.  Nothing is ever
 *              pushed out, so nobody can make us forget a third party by naming others; two that share a cell share
 *              their failures, and nobody can choose who does
 *   answered   hosts that links were made with, and at which address; a full table forgets of the network of which it
 *              has most
 *   absent     descriptors that were looked for in vain, each for the network that asked alone: nobody can keep others
 *              from looking.  A full table forgets of who filled it most
 *
 * A host is what node_rule_extend_target() gives.  Passive; time is a parameter.
 */
#ifndef QUDAG_SRC_NODE_EXTEND_MEMORY_H
#define QUDAG_SRC_NODE_EXTEND_MEMORY_H

#include "base/fair.h"
#include "node/rules.h"

#define EXTEND_FORGIVE_EVERY (15 * NS_PER_S) /* of the failures in a cell, one */
#define EXTEND_CELLS 4096
#define EXTEND_ANSWERED_MAX 1024 /* hosts and addresses */
#define EXTEND_ANSWERED_FOR (6 * 3600 * NS_PER_S)
#define EXTEND_ABSENT_MAX 128
#define EXTEND_ABSENT_FOR (30 * NS_PER_S)

struct node_extend_memory {
    struct mem *mem;
    uint64_t key[2];
    tstamp *cell; /* when the last of its failures is forgiven */
    struct fair answered, absent;
    struct map answered_of, absent_of; /* by keyed hashes */
};

/* Who asks for what: the peer that an EXTEND names, and the neighbour that passed it on (struct onion_ask). */
struct node_extend_asked {
    const struct peer_id *peer;
    uint64_t net, via;
};

/* |seed|: unpredictable to others.  QUDAG_ENOMEM: to be freed all the same. */
QUDAG_MUST_USE qudag_err node_extend_memory_init(struct node_extend_memory *m, struct mem *mem,
                                                 const uint8_t seed[16]);
void node_extend_memory_fini(struct node_extend_memory *m); /* a zeroed one, too */

/* A dial to |host| ended. */
void node_extend_memory_ended(struct node_extend_memory *m, const struct netaddr *host,
                              const struct node_extend_asked *who, enum node_extend_outcome how,
                              tstamp now);
/* A link with |host| was made; without memory nothing is noted. */
void node_extend_memory_answered(struct node_extend_memory *m, const struct netaddr *host,
                                 tstamp now);
/* The same, and |at| is the address. */
void node_extend_memory_linked(struct node_extend_memory *m, const struct netaddr *at, tstamp now);
/* Whether one was made lately at that very address. */
bool node_extend_memory_proven(const struct node_extend_memory *m, const struct netaddr *at,
                               tstamp now);
/* All of the view but the dials under way. */
void node_extend_memory_view(const struct node_extend_memory *m, const struct netaddr *host,
                             const struct node_extend_asked *who, tstamp now,
                             struct node_extend_view *v);

/* No descriptor of that peer was found; without memory nothing is noted. */
void node_extend_memory_absent(struct node_extend_memory *m, const struct node_extend_asked *who,
                               tstamp now);
/* Whether that was so lately, when somebody of that network had asked. */
bool node_extend_memory_is_absent(const struct node_extend_memory *m,
                                  const struct node_extend_asked *who, tstamp now);

#endif
