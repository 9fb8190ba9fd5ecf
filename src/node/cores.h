/* cores.h - the table of cores, and the brackets around every call into one. */
#ifndef QUDAG_SRC_NODE_CORES_H
#define QUDAG_SRC_NODE_CORES_H

#include "core/onion/onion.h"
#include "node/node.h"

#define NODE_ACTS_CAP (8 * ACTS_ROOM)
#define NODE_ACTS_BYTES_CAP (8 * ACTS_BYTES_ROOM)
#define NODE_CORES_MAX 60

/*
 * One core, or another part of the node that wants to be woken.  Adding one is one call of
 * node_core_add(); nothing else knows how many there are.
 */
struct node_core {
    const char *name; /* for logs; static */
    void *instance;
    const struct core_ops *ops; /* any function may be NULL */
    /* Its ACT_UPs, from the drain; NULL: it makes none. */
    void (*report)(struct node *n, const struct act *a, tstamp now);
    /* The protocol of an ACT_OPEN; NULL: always the main one. */
    const char *(*open_proto)(struct node *n, const struct act *a);
    /*
     * Whether its ACT_OPEN |a| waits until addresses of that peer are found: then it is carried out later, by whoever
     * holds it.  NULL: none does.
     */
    bool (*holds)(struct node *n, unsigned core, const struct act *a, const char *proto);
    /* Frees |instance| with the node; NULL: it belongs to somebody else. */
    void (*free)(void *instance);
    bool
        at_relays; /* serves circuits that end at the relay, node_core_at_relay(), none of a service */
    unsigned swarm_ix; /* its index in the swarm, when ops->event is set */
};

/*
 * Registers |core| (copied); *ix is its handle for node_end().  With ops->event the swarm learns of it and,
 * with |protocol|, gives it the streams of that name.  Takes core->instance over, also on failure.
 * ELIMIT, EEXISTS, ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_core_add(struct node *n, const struct node_core *core,
                                       const char *protocol, unsigned *ix);
/* Frees all instances, the last first. */
void node_cores_free(struct node *n);
/*
 * Whether a circuit ends at us as a relay.  One that ends at a dark address, or was carried to it, is answered as by a
 * node that is no relay: else a caller who places a cookie at a relay, and comes for it over the circuit to a service,
 * learns whether the two are one node.  SPEC: rendezvous R-30
 */
bool node_core_at_relay(const struct onion_info *circuit);
/* Every call into a core happens between these two, so that its actions are known to be its own. */
struct acts *node_begin(struct node *n);
/* The actions that came since are |core|'s, a handle of node_core_add(). */
void node_end(struct node *n, unsigned core);
/* An event of the swarm for the core that has |swarm_ix| there; the swarm's sink. */
void node_core_event(void *node, unsigned swarm_ix, const struct ev *ev);
/* Carries out all actions there are. */
void node_cores_act(struct node *n, tstamp now);
/* A stream whose event asked for more actions than there was room for is given up; both ends learn it. */
void node_cores_drop_victim(struct node *n, tstamp now);

/* Whether one more call into a core may be made. */
static inline bool node_acts_room(const struct acts *a)
{
    return a->n + ACTS_ROOM <= a->cap && a->bytes_n + ACTS_BYTES_ROOM <= a->bytes_cap;
}

#endif
