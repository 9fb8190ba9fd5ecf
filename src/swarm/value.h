/*
 * value.h - what a link is worth to this node, and which one gives way: pure functions.
 *
 * Two things decide.  May it go at all: not when the program protects its peer, nor while a stream of a request is
 * under way on it, nor while it is young.  And then its value, a sum of points in which what nobody else can claim
 * weighs most:
 *
 *   carries cells of circuits        1000    a chain of relays breaks with it
 *   what its peer is to this node    1500 protected, 1200 guard, 600 near us in the DHT table, 400 bootstrap, 150 one
 *                                    we dialled of our own choice, 20 one that others named, 0 a stranger
 *   tags of the program              the sum of their weights, within +-2000
 *   usefulness                       3 for each doubling of the KiB on streams that we opened, at most 48;
 *                                    1 for each on streams that the peer opened, at most 16
 *   age                              2 for each doubling of its minutes, at most 16
 *
 * What a stranger can earn by itself (age, bytes that it sends or asks for) stays below SWARM_VALUE_NEWCOMER.
 */
#ifndef QUDAG_SRC_SWARM_VALUE_H
#define QUDAG_SRC_SWARM_VALUE_H

#include "base/types.h"
#include "core/resources/resources.h"

#define SWARM_TAG_WEIGHT_MAX 1000 /* of one tag, and as much below zero */
#define SWARM_TAGS_SUM_MAX 2000   /* of all tags of a peer */
#define SWARM_VALUE_NEWCOMER 40   /* a link above it does not give way to a stranger */
#define SWARM_MOVING                                                                               \
    (30 * NS_PER_S) /* a stream of the peer is under way so long after its last byte */

/* What is known of a link. */
struct swarm_worth {
    enum res_class class; /* what its peer is to us; RES_PROTECTED: the program protects it */
    bool cells;           /* it carries a stream of cells, of our circuits or of others' */
    bool under_way;       /* swarm_value_under_way() */
    bool young;           /* it is up for less than the grace for young links */
    int32_t tags;         /* sum of the weights */
    uint64_t ours;        /* bytes on streams that we opened, both directions */
    uint64_t theirs;      /* ... that the peer opened */
    uint64_t age_ns;
};

/* For which reason a link is closed that nobody asked to be closed. */
enum swarm_trim {
    SWARM_TRIM_IDLE,      /* nothing on it for the idle time-out */
    SWARM_TRIM_REDUNDANT, /* another link with the same peer does its work */
    SWARM_TRIM_HIGH,      /* more links than the high mark */
    SWARM_TRIM_NEWCOMER,  /* its place is for a new link */
    SWARM_TRIMS,
};

/* The points of the table above; of a protected peer too, though it never matters there. */
int32_t swarm_value(const struct swarm_worth *w);

/*
 * Whether something is under way on a link: a stream that this node opened, one that waits for the link, or a stream of
 * the peer's on which content |moved| within SWARM_MOVING.  A stream that a stranger just keeps open holds no place.
 */
bool swarm_value_under_way(uint32_t ours, bool waiting, uint32_t streams, tstamp moved, tstamp now);

/* Whether a link above the high mark may be closed. */
bool swarm_value_trimmable(const struct swarm_worth *w);

/*
 * Whether |w| gives its place to a link of |newcomer|.  To one that this node dials of its own choice, or that is with
 * somebody it knows, what is worth less than that alone, young or not; to a stranger, or to a dial that others caused,
 * only what is below SWARM_VALUE_NEWCOMER, and no young link.
 */
bool swarm_value_gives(const struct swarm_worth *w, enum res_class newcomer);

/* "idle", "high_water": for the log and counters; static. */
const char *swarm_trim_name(enum swarm_trim why);
/* A sentence about the limit behind it, for whoever is told that the link ended; NULL: it was none; static. */
const char *swarm_trim_text(enum swarm_trim why);

#endif
