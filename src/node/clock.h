/* clock.h - our wall-clock time, and whether others find it wrong. */
#ifndef QUDAG_SRC_NODE_CLOCK_H
#define QUDAG_SRC_NODE_CLOCK_H

#include "node/node.h"

/* In what a peer may find our clock wrong, or right. */
enum node_clock_matter {
    NODE_CLOCK_LINKS,   /* certificates, when a link is made */
    NODE_CLOCK_PUTS,    /* what we date and others store */
    NODE_CLOCK_FETCHES, /* what others date */
    NODE_CLOCK_MATTERS,
};
#define NODE_CLOCK_WITNESSES 16
#define NODE_CLOCK_MEMORY (1800 * NS_PER_S) /* a witness counts so long */
#define NODE_CLOCK_JUMP 30 /* s: when it is set by more, what we dated is replaced */

struct node_clock_jury {
    uint64_t witness[NODE_CLOCK_WITNESSES]; /* networks; in a lab peers */
    tstamp seen[NODE_CLOCK_WITNESSES];
    uint32_t n;
    uint32_t agreed; /* peers that found it right */
};

struct node_clock {
    struct node_clock_jury jury[NODE_CLOCK_MATTERS];
    tstamp since; /* when the node began, or the clock was set last */
    bool suspect;
    bool set;  /* by the host, and what we dated is not replaced yet */
    bool said; /* the phase hook was last told that it is likely to be wrong */
};

/* The calendar at |now|, as we know it; seconds. */
walltime node_wall(const struct node *n, tstamp now);
/* Whether what cannot be undone may be done by the calendar (node_rule_clock_trusted). */
bool node_clock_trusted(const struct node *n);
/*
 * Tells the services the calendar, unless it is suspect, and whether it is trusted: keys are wiped by it, which cannot
 * be undone.
 */
void node_clock_to_services(struct node *n);
/* Our clock does not fit that of |peer|, which is at |addr| (NULL: at the other end of a link, or not known). */
void node_clock_witness(struct node *n, enum node_clock_matter what, const struct peer_id *peer,
                        const struct multiaddr *addr);
/* |count| peers find it right at present. */
void node_clock_agreed(struct node *n, enum node_clock_matter what, uint32_t count);

#endif
