/*
 * isolation.h - which streams may share a circuit, and for how long a circuit is used.
 *
 *   first use ─▶ NODE_LIFE_DIRTY: no new streams ─▶ NODE_LIFE_OLD: who has streams on it is told
 *      ─▶ NODE_LIFE_OVER: it is closed;   dirty and without streams: closed at once
 *
 * What cannot move, as the bytes of a TCP connection, has a day; while it is silent the circuit is kept from ending.
 *
 * Each of the three comes up to an eighth earlier than its time, by a random part that is drawn for the circuit: its
 * age alone connects it with no other.
 */
#ifndef QUDAG_SRC_NODE_ISOLATION_H
#define QUDAG_SRC_NODE_ISOLATION_H

#include "base/rng.h"
#include "base/types.h"
#include "core/dark/dark.h"

#include <string.h>

#define NODE_ISOLATION_MAX 32

#define NODE_LIFE_DIRTY_AT (600 * NS_PER_S)
#define NODE_LIFE_OLD_AT (3600 * NS_PER_S)
#define NODE_LIFE_OVER_AT (24 * 3600 * NS_PER_S)
#define NODE_QUIET_MIN (300 * NS_PER_S) /* SPEC: onion 9.7; relays end a circuit after 600 s */
#define NODE_QUIET_MAX (480 * NS_PER_S)

/* Requests with different keys share no circuit.  Length 0 is a key as others. */
struct node_isolation {
    uint8_t len;
    uint8_t key[NODE_ISOLATION_MAX]; /* zero behind len */
    uint64_t local_user;             /* whose it is, for shares (budget.h); not compared */
};

static inline bool node_isolation_eq(const struct node_isolation *a, const struct node_isolation *b)
{
    return a->len == b->len && memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

/*
 * The user of a dark resolution (struct dark_question) whom the |key| of |len| bytes stands for: its hash; 0 for none,
 * which is a user as others.  What names a user there and an isolation key of the same bytes are one user.
 */
uint64_t node_isolation_user(const uint8_t *key, size_t len);

enum node_life { NODE_LIFE_CLEAN, NODE_LIFE_DIRTY, NODE_LIFE_OLD, NODE_LIFE_OVER };

/* When a circuit becomes what; all TSTAMP_NEVER before its first use. */
struct node_life_times {
    tstamp dirty, old, over;
    uint64_t quiet; /* ns that nothing passes before something must; drawn for the circuit */
};
/* Of a circuit that nobody has used. */
struct node_life_times node_life_unused(void);
/* Of one that is used first at |now|. */
struct node_life_times node_life_begin(tstamp now, const struct rng *rng);
/* What it is at |now|. */
enum node_life node_life_at(const struct node_life_times *t, tstamp now);
/* When it becomes something else than it is at |now|. */
tstamp node_life_next(const struct node_life_times *t, tstamp now);

/*
 * When a used circuit over which something passed at |active_at| last needs a sign of life, with so many |streams|:
 * TSTAMP_NEVER without any, as then it may end.
 */
tstamp node_life_sign_at(const struct node_life_times *t, uint32_t streams, tstamp active_at);

/* A circuit, as far as it matters for who may use it. */
struct node_carrier {
    bool to_service; /* it ends at the dark address |to|; else at a relay */
    bool given_up;   /* being closed, or not to be built again */
    enum node_life life;
    struct dark_addr to;
    struct node_isolation key;
};
/* Whether a stream to the dark address |to| may use the circuit: to that address, for that key, and not too old. */
bool node_isolation_may_carry(const struct node_carrier *c, const struct dark_addr *to,
                              const struct node_isolation *key);

#endif
