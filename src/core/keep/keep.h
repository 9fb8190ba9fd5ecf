/*
 * keep.h - kept peers: a link with each of them stands, and is made again when it is lost.
 *
 *              ┌─ release ─▶ (gone)
 *   add ─▶ WAITING ─ due, and its turn ─▶ OPENING ─ the stream is open ─▶ HELD
 *             ▲  ▲                           │ └ it refuses the stream, the link stands ─▶ LINKED ─ later ─▶ OPENING
 *             │  └──── it failed: a longer pause ┘                              │
 *             └──────── the link is lost: a short pause ────────────────────┴─ HELD, LINKED
 *                       again and again soon after it came: a longer one each time
 *
 * A stream (ping, on which nothing is said) is what holds the link: to open it dials where none stands, and neither
 * side closes it as one that nobody needs.
 *
 * Passive, as all cores: keep_ops takes events, actions come out; ACT_UPs are enum keep_up.  No memory of its own.
 */
#ifndef QUDAG_SRC_CORE_KEEP_KEEP_H
#define QUDAG_SRC_CORE_KEEP_KEEP_H

#include "core/core.h"

#define KEEP_MAX 32       /* kept peers */
#define KEEP_AT_ONCE 4    /* that are dialled at the same time; the rest waits, longest first */
#define KEEP_MIN NS_PER_S /* the first pause after a failure; doubles */
#define KEEP_MAX_PAUSE                                                                             \
    (360 * NS_PER_S) /* where doubling ends: beyond the longest of swarm_breaker_peer */
#define KEEP_SOON                                                                                  \
    (2 * NS_PER_S) /* spread of the first try: at start, after a loss, when our network is back */
#define KEEP_AGAIN                                                                                 \
    (120 * NS_PER_S) /* until a stream that the peer refused or ended is opened again */
#define KEEP_BRIEF (60 * NS_PER_S) /* a link that ends before has not stood */
#define KEEP_FIND_AFTER                                                                            \
    2 /* failures in a row after which addresses are looked for; then at each fourth */

enum keep_up {
    KEEP_UP_FAILED = 1, /* peer, err: it could not be reached */
    KEEP_UP_FIND,       /* peer: its addresses have failed, others are wanted */
};

enum keep_state { KEEP_WAITING, KEEP_OPENING, KEEP_HELD, KEEP_LINKED };

/* One kept peer. */
struct keep_peer {
    struct peer_id peer; /* len 0: a free place */
    bool no_dial;        /* its link is only held: who dials it is another's affair (a guard) */
    bool linked;         /* the swarm has a link with it */
    enum keep_state state;
    uint32_t failures; /* in a row */
    uint32_t brief;    /* links in a row that ended within KEEP_BRIEF */
    tstamp since;      /* linked: since when */
    qudag_err err;     /* of the last one */
    tstamp due;        /* WAITING, LINKED: not before; TSTAMP_NEVER: when a link comes up */
    uint64_t cookie;   /* OPENING */
    struct ref strm;   /* HELD */
};

struct keep {
    struct rng rng;
    uint64_t cookies;
    struct keep_peer v[KEEP_MAX];
};

/*
 * The pause after |failures| in a row: |min| doubled with each after the first, at most |max|, and up to half of it
 * more, at random, so that those who lost one peer at one time do not come back at one time.
 */
uint64_t keep_pause(const struct rng *rng, uint32_t failures, uint64_t min, uint64_t max);
/* Whether addresses are looked for after so many failures in a row. */
bool keep_finds(uint32_t failures);

extern const struct core_ops keep_ops;

/* Keeps nobody. */
void keep_init(struct keep *k, const struct rng *rng);
/* |peer| is kept from now on, |linked|: a link stands.  OK too if it is kept already; ELIMIT: KEEP_MAX are. */
QUDAG_MUST_USE qudag_err keep_add(struct keep *k, const struct peer_id *peer, bool no_dial,
                                  bool linked, tstamp now);
/* Its link is left to whoever else needs it; false: it was not kept. */
bool keep_release(struct keep *k, const struct peer_id *peer, struct acts *out);
/* How many are kept. */
size_t keep_count(const struct keep *k);
/* The entry of |peer|, or NULL: to look at. */
const struct keep_peer *keep_get(const struct keep *k, const struct peer_id *peer);
/* Whoever waits is tried soon, and counts as never failed: |peer|, or NULL: all. */
void keep_retry(struct keep *k, const struct peer_id *peer, tstamp now);
/*
 * There is a better link than the one that its stream holds: it holds that one from now on.  False: it holds none.
 */
bool keep_move(struct keep *k, const struct peer_id *peer, tstamp now, struct acts *out);
/* An address of |peer| was found: it is tried soon, its failures stay. */
void keep_found(struct keep *k, const struct peer_id *peer, tstamp now);

#endif
