/*
 * stun.h - what this node learns of the NAT before it from peers (core/stun), and what others of it may ask for.
 * Included by internal.h.
 */
#ifndef QUDAG_SRC_NODE_STUN_H
#define QUDAG_SRC_NODE_STUN_H

#include "base/slots.h"
#include "core/stun/rules.h"

#define NODE_STUN_FIRST (5 * NS_PER_S)    /* after the start, and after a change of the network */
#define NODE_STUN_RETRY (10 * NS_PER_S)   /* until there are enough peers to ask */
#define NODE_STUN_EVERY (1800 * NS_PER_S) /* kinds of NAT change under load */
#define NODE_STUN_LIFE_EVERY (6 * 3600 * NS_PER_S)

struct node;

/* Where others see the socket; |err|: nobody said. */
typedef void (*node_stun_done)(struct node *n, uint64_t cookie, qudag_err err,
                               const struct netaddr *external, tstamp now);
/*
 * Asks two peers where they see the extra socket |local|; |done| follows with the first answer, unless
 * node_stun_forget() came.
 * QUDAG_EUNREACHABLE: there is nobody to ask; QUDAG_ELIMIT, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_stun_external(struct node *n, const struct netaddr *local,
                                            uint64_t cookie, node_stun_done done);
/* Nothing is to follow any more for |local|, which is going to be released. */
void node_stun_forget(struct node *n, const struct netaddr *local);

/* How long a mapping of UDP lives without a packet, as measured, ns; 0: not known.  |family|: 4 or 6. */
uint64_t node_stun_life(const struct node *n, uint8_t family);
/* Our addresses are others: what was found is of another network. */
void node_stun_moved(struct node *n, tstamp now);

/* What is known for one IP version. */
struct node_stun_family {
    tstamp next, life_next; /* the next question; the next measurement of a life */
    bool asking;
    enum stun_mapping mapping;
    struct netaddr external; /* of the socket that is listened on; family 0: not known */
    bool open;               /* it is one of our own addresses */
    int32_t step;
    uint8_t step_tries;
    uint32_t life_s;
    struct netaddr fresh;             /* the socket of a question for the step; family 0: none */
    struct netaddr probe[STUN_LIVES]; /* those of a measurement */
    bool lived[STUN_LIVES], known[STUN_LIVES];
    uint8_t probes; /* that are under way */
};

/* Somebody's question for an external address. */
struct node_stun_ask {
    struct ref ref;
    struct netaddr local;
    uint64_t cookie;
    node_stun_done done;
};

struct node_stun {
    struct stun *core;
    unsigned ix;
    struct slots asks; /* struct node_stun_ask */
    struct node_stun_family family[2];
};
QUDAG_MUST_USE qudag_err node_stun_init(struct node *n, tstamp now);
void node_stun_free(struct node *n);

#endif
