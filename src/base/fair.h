/*
 * fair.h - something scarce shared between networks, and within each between the sources it has.
 *
 *   fair ─▶ networks ─▶ sources ─▶ items, the oldest first
 *
 * A source is whoever can be told apart (a neighbour, a peer), its network what makes many of them cheap.  An item is
 * one place that a source holds: a circuit, a request.  Two questions are answered:
 *   who gives way when all places are taken: fair_most_for() and the rule fair_gives_way();
 *   whose turn it is when items wait: fair_next(), networks in turn, in each its sources, of each the oldest.
 */
#ifndef QUDAG_SRC_BASE_FAIR_H
#define QUDAG_SRC_BASE_FAIR_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"

#define FAIR_LIFE (2 * NS_PER_S) /* a debt outlives the last item of its source */
#define FAIR_DEBT_MAX 32         /* turns */

struct fair_net {
    uint64_t name;
    uint32_t n, active, waiting; /* items; at work; in the queue */
    uint32_t known, n_sources;   /* sources, and those that hold something */
    uint32_t debt;               /* turns to be left out */
    struct list turn;            /* in fair.turns while something of it waits */
    struct list turns;           /* its sources of which something waits */
    struct heap sources;         /* its sources that hold something, the largest first */
    struct heap_node most;       /* in fair.nets_by_n */
    tstamp owed;                 /* the owner's own; not looked at here */
};

struct fair_source {
    uint64_t name;
    struct fair_net *net;
    uint32_t n, active, waiting, debt; /* as above */
    struct list items;                 /* the oldest first */
    struct list queue;                 /* of these, what waits */
    struct list turn;                  /* in net->turns */
    struct list idle;                  /* in fair.idle while it holds nothing */
    struct heap_node most;             /* in net->sources */
    tstamp used;
    tstamp owed;   /* and this */
    uint64_t held; /* the owner's own count of something; not looked at here */
};

/* Embedded in what the owner has; zeroed at first.  |source| is NULL while it is in no table. */
struct fair_item {
    struct list node, wait;
    struct fair_source *source;
    bool active;
};

struct fair {
    struct mem *mem;
    struct map nets, sources;
    struct heap nets_by_n;
    struct list turns, idle;
    uint32_t n, active, waiting,
        n_nets; /* items, at work, in the queue; networks that hold something */
};

/* What somebody holds, and where he is; see fair_gives_way(). */
struct fair_claim {
    uint64_t net, source;
    uint32_t net_n, source_n; /* places held by the network, and by the source in it */
};

/*
 * Whether the holder loses a place to the newcomer, who has none for what it wants yet: when the holder's network
 * would still hold at least as much as the newcomer's then, or within one network the same of sources.  So nobody
 * is pushed below what others get, and two of equal size do not take from each other in turn.
 */
bool fair_gives_way(const struct fair_claim *holder, const struct fair_claim *newcomer);

/* The share of each of |holders| in |total|, at least 1. */
uint32_t fair_share(uint32_t total, uint32_t holders);

/* A table for at most |max| sources, of which those that hold nothing are forgotten first. */
void fair_init(struct fair *f, struct mem *mem, const uint8_t seed[16], uint32_t max);
/* Takes all items out, which are their owners'. */
void fair_fini(struct fair *f);

/* |it| is one more place of source |name| in |net|.  QUDAG_ELIMIT: too many sources; QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err fair_add(struct fair *f, struct fair_item *it, uint64_t net, uint64_t name,
                                  tstamp now);
/* The place is free again, and waits no more; an item in no table is left alone. */
void fair_del(struct fair *f, struct fair_item *it, tstamp now);
/* Marks it as at work, or no longer; counted by source and network. */
void fair_active(struct fair *f, struct fair_item *it, bool active);

/* What source |name| in |net| holds; zeros when it is not known. */
struct fair_claim fair_claim_of(const struct fair *f, uint64_t net, uint64_t name);
/* The source |name| in |net|; NULL: not known. */
struct fair_source *fair_source_of(const struct fair *f, uint64_t net, uint64_t name);
/* The source that holds most in the network that holds most; NULL: nobody holds anything. */
struct fair_source *fair_most(const struct fair *f);
/* The source that holds most in |net|; NULL: nobody there holds anything. */
struct fair_source *fair_most_in(const struct fair *f, uint64_t net);
/*
 * The source that gives way to |newcomer| by fair_gives_way(), if any does: the one that holds most, or where networks
 * hold alike the one that holds most in his own, which is not to shut him out.  Else as fair_most().
 */
struct fair_source *fair_most_for(const struct fair *f, const struct fair_claim *newcomer);
/* The same of one of its own items. */
struct fair_claim fair_claim_of_source(const struct fair_source *s);

/* Puts the item into the queue, behind those of its source; one that waits stays where it is. */
void fair_wait(struct fair *f, struct fair_item *it);
/* Takes it out of the queue; the place is kept. */
void fair_unwait(struct fair *f, struct fair_item *it);
/*
 * Takes out whose turn it is, of the sources that |may| lets have one (NULL: all).  NULL when nothing waits, or none
 * of those that wait may.
 */
struct fair_item *fair_next(struct fair *f,
                            bool (*may)(const void *ctx, const struct fair_source *s),
                            const void *ctx);
/* The source and its network leave out |turns| turns, FAIR_DEBT_MAX at the most. */
void fair_charge(struct fair_source *s, uint32_t turns);

#endif
