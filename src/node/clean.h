/*
 * clean.h - clean circuits, which wait for a use and get one: how many, when one more is built, which is taken.  Rules.
 *
 *   nothing ─ built in the background ─▶ waits without its last hop ─ taken: completed to where it leads ─▶ in use
 *                                          └ too old, its guard is not to be used any more, nobody asks ─▶ closed
 *
 * What waits is a stem (guard, second layer, and for a last hop that others name one more), so that whatever it is for
 * is begun in the same way, with one EXTEND and the first exchange (spec/onion.md 9), and its last hop can be any.
 */
#ifndef QUDAG_SRC_NODE_CLEAN_H
#define QUDAG_SRC_NODE_CLEAN_H

#include "base/rng.h"
#include "base/types.h"
#include "core/onion/onion.h"

#define NODE_CLEAN_MAX 8                     /* of each length */
#define NODE_CLEAN_IDLE_AT (3600 * NS_PER_S) /* without a use for so long none waits */
#define NODE_CLEAN_LIFE_MIN (300 * NS_PER_S) /* relays end circuits that carry nothing for 600 s */
#define NODE_CLEAN_LIFE_MAX (540 * NS_PER_S)

/* What it may become: a circuit that ends at a relay of our choice, or one that ends where somebody else says. */
enum node_clean_len { NODE_CLEAN_SHORT, NODE_CLEAN_LONG, NODE_CLEAN_NONE };
#define NODE_CLEAN_LENS 2

/* What decides whether one more is built. */
struct node_clean_view {
    uint32_t wanted; /* of each length: the program's setting */
    bool possible;   /* we have joined, and paths can be had */
    bool building;   /* one is being built */
    tstamp used_at
        [NODE_CLEAN_LENS]; /* when a circuit was begun last that could be made of one; TSTAMP_NEVER */
    uint32_t waiting[NODE_CLEAN_LENS]; /* or being built */
    uint32_t circuits, circuits_max;   /* of ours, and of all */
    tstamp not_before;                 /* node_clean_pause() after the last one */
};

/* How many of that length are to wait at |now|. */
uint32_t node_clean_wanted(const struct node_clean_view *v, enum node_clean_len len, tstamp now);
/* Of which length one more is to be built at |now|; NODE_CLEAN_NONE: of none. */
enum node_clean_len node_clean_next(const struct node_clean_view *v, tstamp now);
/*
 * How long no other one is begun after one that was, or after a use: a random time, so that neither tells of the other;
 * longer after |failures| in a row.  In ns.
 */
uint64_t node_clean_pause(uint32_t failures, const struct rng *rng);
/* How long one waits at most, in ns. */
uint64_t node_clean_life(const struct rng *rng);

/* What a node remembers of them beside the circuits themselves. */
struct node_clean {
    tstamp used_at[NODE_CLEAN_LENS]; /* see struct node_clean_view */
    tstamp not_before, look_at;      /* look_at: when there may be something to do */
    uint32_t failures;               /* in a row */
    bool begun;                      /* the node was ready once */
};
/* A circuit of that length is begun at |now|: another one will be built in its place, a while later. */
void node_clean_used(struct node_clean *c, enum node_clean_len len, tstamp now,
                     const struct rng *rng);

/* One that waits, as far as it matters for whether it is taken. */
struct node_clean_one {
    bool built;    /* not being built, not being closed */
    uint8_t hops;  /* that it has */
    tstamp leaves; /* it is too old then */
};
/* Whether it may be taken at |now| for a circuit that is to have |hops| in all. */
bool node_clean_may_take(const struct node_clean_one *one, uint8_t hops, tstamp now);

/* The relays of one that waits, guard first; borrowed. */
struct node_clean_path {
    const struct onion_hop *hop;
    size_t n;
};
/*
 * Whether, of |n| that wait, two have no relay in common but their guard: then whatever relay is named as a last hop,
 * one of them can be completed to it, and none tells by being late that it is one of theirs (path-selection P-35).
 */
bool node_clean_cover_all(const struct node_clean_path *path, size_t n);
/* How many wait for each service, where |setting| do of each length: as many, or none, as one never covers all. */
uint32_t node_clean_of_service(uint32_t setting);

/*
 * Whether the link with the guard in use is to stand before a request needs it: for NODE_CLEAN_IDLE_AT after the node
 * could first build circuits, and after each use.
 */
bool node_clean_guard_warm(tstamp begun_at, const tstamp used_at[NODE_CLEAN_LENS], tstamp now);

#endif
