/*
 * departed.h - contacts that left the table because they did not answer.
 *
 * One of them is asked now and then: when it answers, a network that had been cut in two is whole again, and the
 * owner looks up its own neighbourhood (partition heal).
 */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_DEPARTED_H
#define QUDAG_SRC_CORE_KAD_ROUTING_DEPARTED_H

#include "core/kad/routing/contact.h"

#define KAD_DEPARTED_MAX 32

struct kad_departed {
    size_t n;
    tstamp next; /* when one is asked; TSTAMP_NEVER */
    bool heal;   /* one came back: a partition may have healed; cleared by the owner */
    struct kad_contact *c[KAD_DEPARTED_MAX];
    uint8_t asked[KAD_DEPARTED_MAX]; /* how often each was, since it is here */
};

/* Empty. */
void kad_departed_init(struct kad_departed *d);
/* Lets go of all. */
void kad_departed_fini(struct kad_departed *d);
/* Takes a reference of its own, unless |c| has no address; when full a drawn one makes room. */
void kad_departed_add(struct kad_departed *d, struct kad_contact *c, struct rng *rng, tstamp now);
/* |c| answered: if it is one of them it is removed, the next is asked soon, and |heal| is set. */
void kad_departed_answered(struct kad_departed *d, const struct kad_contact *c, tstamp now);
/* The one to be asked now, drawn; a reference for the caller; NULL: none.  With the eighth time one is given up. */
struct kad_contact *kad_departed_draw(struct kad_departed *d, struct rng *rng, tstamp now);

#endif
