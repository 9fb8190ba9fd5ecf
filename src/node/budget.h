/*
 * budget.h - how often the far end may make us build circuits.
 *
 * Whoever serves a dark address can be silent, refuse or end circuits, and each circuit that a caller builds in reply
 * shows another choice of relays (the attack on Ricochet's guards of 2019 to 2021).  So attempts to reach an address
 * are counted, whatever program makes them:
 *
 *   the first of an isolation key, or after NODE_BUDGET_CALM  ─▶ the caller's own wish: NODE_BUDGET_FIRST are free
 *   another one with the same key before that                 ─▶ caused by the far end: NODE_BUDGET_AGAIN are free
 *
 * Both for all keys of the address together; of the first ones no local user of this machine may have more than
 * node_budget_share(), or one could shut out all others by names that he makes up.  Which keys used it up is nobody's
 * business: who has had his own share (as many further ones of his key) is told so, anybody else hears what he would
 * hear of a service that cannot be reached.
 *
 * Of those caused by the far end NODE_BUDGET_QUICK may come at once.  Each further one waits, twice as long as the one
 * before, from NODE_BUDGET_WAIT_FIRST to NODE_BUDGET_WAIT: so an outage of minutes costs few, and at its end the next
 * is a minute away at most.  Beyond what is free the wait doubles with each, from NODE_BUDGET_WAIT to an hour.
 *
 * One comes back every NODE_BUDGET_HOUR / free, the excess by one an hour; one for each piece of new content that
 * the far end acknowledged (node_budget_progress), since for that the caller called; and one for a circuit in use that
 * broke at a relay of ours (node_budget_spare), NODE_BUDGET_SPARE an hour at the most: a relay may be hostile too.
 */
#ifndef QUDAG_SRC_NODE_BUDGET_H
#define QUDAG_SRC_NODE_BUDGET_H

#include "base/list.h"
#include "base/mem.h"
#include "base/types.h"
#include "core/dark/dark.h"
#include "node/isolation.h"

#define NODE_BUDGET_FIRST 64
#define NODE_BUDGET_AGAIN 10
#define NODE_BUDGET_QUICK 4
#define NODE_BUDGET_SPARE NODE_BUDGET_AGAIN
#define NODE_BUDGET_HOUR (3600 * NS_PER_S)
#define NODE_BUDGET_WAIT_FIRST (NODE_BUDGET_WAIT / 8)
#define NODE_BUDGET_WAIT (60 * NS_PER_S)
#define NODE_BUDGET_CALM (300 * NS_PER_S) /* half of what a circuit may be used for new streams */
#define NODE_BUDGET_ADDRS_MAX 128         /* the one used longest ago is forgotten */
#define NODE_BUDGET_KEYS_MAX 64           /* of one address, likewise */
#define NODE_BUDGET_USERS_MAX 16          /* of one address, likewise */

/* A number of attempts that comes back over time. */
struct node_spend {
    uint32_t level;
    tstamp back_at; /* |level| > 0: since then one is on its way back */
    tstamp last;    /* the last attempt */
};
/* Counts an attempt of which |free| an hour are, |quick| of them at once; false: not allowed yet, and not counted. */
bool node_spend_take(struct node_spend *s, uint32_t quick, uint32_t free, tstamp now);

/*
 * How many of NODE_BUDGET_FIRST a local user may have, of which the |others| together have so many: three quarters of
 * what they leave, so that something is left for the next; at least one.
 */
uint32_t node_budget_share(uint32_t others);

/* How many were given back for breaks at relays, in the hour from |since| on. */
struct node_spared {
    uint32_t n;
    tstamp since;
};
/* Counts one more; false: there were NODE_BUDGET_SPARE in this hour. */
bool node_spared_take(struct node_spared *s, tstamp now);

/* All addresses; embedded, zero but for what node_budget_init() sets. */
struct node_budget {
    struct mem *mem;
    struct list lru; /* the one used longest ago first */
    size_t n;
};
/* |mem| is borrowed until node_budget_fini(). */
void node_budget_init(struct node_budget *b, struct mem *mem);
/* Frees all. */
void node_budget_fini(struct node_budget *b);
/*
 * One attempt to reach |to| for |key|.  QUDAG_ELIMIT: not now, by what this key alone has used; QUDAG_EUNREACHABLE: not
 * now, by what other keys have, which must not show in when or how it fails; QUDAG_ENOMEM.  In the place of ELIMIT
 * QUDAG_ENEEDAUTH, where the last attempt said so (node_budget_locked()): to wait would not help.
 */
QUDAG_MUST_USE qudag_err node_budget_take(struct node_budget *b, const struct dark_addr *to,
                                          const struct node_isolation *key, tstamp now);
/* Whether an attempt that ended with |err| failed before a circuit was begun, at this node: it is not counted. */
bool node_budget_ours(qudag_err err);
/* The far end acknowledged new content of |key|, a piece that is worth a circuit: one comes back. */
void node_budget_progress(struct node_budget *b, const struct dark_addr *to,
                          const struct node_isolation *key);
/*
 * Whether a circuit in use that broke at |hop| (0: nobody knows) was ended by relays that we chose and the far end did
 * not: one before the last of |relays|, as the last, R, ends it when the service does (SPEC: rendezvous R-20), or also
 * that one when the circuit went on from there, to a service that has no R (|beyond|).
 */
bool node_budget_by_relays(uint64_t hop, uint64_t relays, bool beyond);
/* Such a break of a circuit of |key|: what another attempt takes is given back, if this may be. */
void node_budget_spare(struct node_budget *b, const struct dark_addr *to,
                       const struct node_isolation *key, tstamp now);
/* Whether the far end saw nothing of a circuit: none was |begun|, or only |reached| of our |relays| were reached. */
bool node_budget_untouched(bool begun, uint64_t reached, uint64_t relays);
/* The last attempt for |key|, which was allowed, cost no circuit after all. */
void node_budget_back(struct node_budget *b, const struct dark_addr *to,
                      const struct node_isolation *key);

/* The last attempt for |key|, which was allowed, found that the service is for those who have a key. */
void node_budget_locked(struct node_budget *b, const struct dark_addr *to,
                        const struct node_isolation *key);
/* The user has a key for |to| now, or none any more: what was tried without it does not count. */
void node_budget_forget(struct node_budget *b, const struct dark_addr *to);

#endif
