/*
 * sight.h - what services, readers and relays show of dark addresses, over virtual time.
 *
 * The dark cores, the choice of circuits (core/relays) and what relays tell of their stores (node/samples.h) are
 * those of the daemon; circuits, the DHT and the time that they take are modelled.  The attackers are the strongest
 * there are of their kind: all storers of all places together, and users of a reader's own node.
 */
#ifndef QUDAG_SIM_SIGHT_H
#define QUDAG_SIM_SIGHT_H

#include "core/dark/dark.h"

#define SIGHT_RELAYS 100
#define SIGHT_SERVICES_MAX 64
#define SIGHT_READERS_MAX 96
#define SIGHT_DAYS_MAX 8
#define SIGHT_START INT64_C(1799971200) /* a midnight, UTC */
#define SIGHT_DAY (UINT64_C(86400) * NS_PER_S)

/* Who there is, and what they have set. */
struct sight_case {
    uint32_t services; /* one address each, published from the beginning */
    uint32_t readers;
    uint32_t days;           /* how long this may run */
    uint32_t cover_per_hour; /* of each reader: dark.dummies */
    uint64_t delay_max_ns;   /* of each reader: dark.delay_ms */
    bool show_cache;         /* of each reader: dark.hide_cache is off */
    bool keeps_exit;         /* the control: nodes end all their circuits at one relay */
};

/* What the storers of a place see, and, of no use to them, the truth. */
struct sight_event {
    tstamp at;
    bool put;         /* else they were asked */
    uint32_t service; /* whose place that is */
    uint8_t day, replica;
    uint32_t exit;                /* the relay that asked */
    bool stores;                  /* which is one of the storers itself */
    uint64_t number;              /* put */
    walltime not_before, expires; /* put */
    uint32_t who;                 /* truth: the service or, after all services, the reader */
    bool cover;                   /* truth: nobody wanted to know */
};

/* What a user of a reader's node was answered. */
struct sight_answer {
    tstamp asked, at;
    qudag_err err;
    uint32_t reader, service;
    uint64_t user;
    bool cached; /* it was called so */
};

struct sight;
/* A network at midnight in which |c->services| begin to publish; to be freed.  False: no memory, or too many. */
bool sight_new(struct sight **out, const struct sight_case *c, uint64_t seed);
/* Frees all; NULL is allowed. */
void sight_free(struct sight *s);

/* User |user| of |reader| resolves the address of |service| at |at|, which is to come. */
void sight_ask(struct sight *s, tstamp at, uint32_t reader, uint32_t service, uint64_t user);
/* The storers of |service| answer later by |ns| than others from now on. */
void sight_slow(struct sight *s, uint32_t service, uint64_t ns);
/* Time passes, to |until|. */
void sight_run(struct sight *s, tstamp until);

/* All so far, in the order of time; borrowed until time passes. */
const struct sight_event *sight_events(const struct sight *s, size_t *n);
/* All so far, in the order in which they came; borrowed until time passes. */
const struct sight_answer *sight_answers(const struct sight *s, size_t *n);
/* Dice of the one who asks, apart from all others. */
uint32_t sight_below(struct sight *s, uint32_t n);

#endif
