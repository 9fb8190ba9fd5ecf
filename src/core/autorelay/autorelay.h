/*
 * autorelay.h - which circuit relays keep places for this node: two or three, on different networks, chosen at random
 * among the best by round trip and load, kept as long as they are not clearly worse (hysteresis).
 *
 *   peers that serve the hop protocol, their network and round trip ─▶ autorelay_heard()
 *   autorelay_want() ─▶ AUTORELAY_UP_TAKE, _DROP (the node reserves: core/relay_v2), _SEEK (more candidates)
 *   held, refused, lost, how circuits through it ended ─▶ back here
 *
 *              ┌─ refused, failed: a pause, longer each time ─┐
 *   heard ─▶ IDLE ─ of the best, its turn ─▶ ASKED ─ held ─▶ HELD ─ lost, clearly worse, not wanted any more ─▶ IDLE
 *
 * What a relay can do to us is bounded here: round trips are measured, not believed; of one network at most one place
 * is taken and a few candidates are known; the choice among the best is random, so that no relay attracts everybody;
 * who refuses is not asked again soon, and all of them together not often.
 */
#ifndef QUDAG_SRC_CORE_AUTORELAY_AUTORELAY_H
#define QUDAG_SRC_CORE_AUTORELAY_AUTORELAY_H

#include "base/limiter.h"
#include "core/core.h"
#include "wire/circuit_msg.h"
#include "wire/multiaddr.h"

#define AUTORELAY_PLACES 3
#define AUTORELAY_CANDIDATES_MAX 64
#define AUTORELAY_NET_MAX 4 /* candidates of one network that are known */
#define AUTORELAY_BEST 4    /* among so many, each of another network, one is drawn */
#define AUTORELAY_GATHER                                                                           \
    (2 * NS_PER_S) /* from the first candidate to the first choice: those that answer then, too */
#define AUTORELAY_ASK_TIMEOUT (30 * NS_PER_S) /* for a relay to say whether there is a place */
#define AUTORELAY_PAUSE (30 * NS_PER_S)       /* after a refusal; doubled each time ... */
#define AUTORELAY_PAUSE_LOST                                                                       \
    (5 * NS_PER_S) /* ... after the loss of a place that was held for long, to begin with */
#define AUTORELAY_PAUSE_MAX (3600 * NS_PER_S)
#define AUTORELAY_STEADY (300 * NS_PER_S) /* a place that was held as long was a good one */
#define AUTORELAY_MOVING (60 * NS_PER_S)  /* after a change of network losses are nobody's fault */
#define AUTORELAY_REVIEW (600 * NS_PER_S) /* between two looks whether others are clearly better */
#define AUTORELAY_ASKS 8                  /* requests at once, of all relays ... */
#define AUTORELAY_ASKS_S 12               /* ... and one more after so many seconds */
#define AUTORELAY_SEEK_MIN (3 * NS_PER_S) /* between two searches for candidates; doubles ... */
#define AUTORELAY_SEEK_MAX (300 * NS_PER_S)

enum autorelay_state { AUTORELAY_IDLE, AUTORELAY_ASKED, AUTORELAY_HELD };

/* A relay as far as it is known.  |fixed|: the operator's; never taken or dropped here, but counted. */
struct autorelay_relay {
    struct peer_id peer;   /* len 0: a free place */
    struct multiaddr addr; /* where it was reached, or said that it is; len 0: not known */
    uint64_t net;          /* netaddr_wide_group() of that; 0: not known */
    enum autorelay_state state;
    bool fixed;
    uint64_t rtt_ns;            /* EWMA of what was measured, 1/8 the newest; 0: not measured */
    struct circuit_limit limit; /* as it told with the last place */
    uint32_t failures;          /* in a row */
    uint32_t refusals;          /* halved every AUTORELAY_REVIEW */
    uint32_t circuits;          /* through it that have ended; halved when there are many */
    uint32_t broken;            /* of these, ended by it before the limit that it told */
    tstamp since;               /* of its state */
    tstamp retry;               /* not asked before */
    tstamp heard;
};

/* ACT_UP kinds; peer: the relay. */
enum autorelay_up {
    AUTORELAY_UP_TAKE = 1, /* a place there is to be had: autorelay_held() or _refused() follows */
    AUTORELAY_UP_DROP,     /* no place there is wanted any more */
    AUTORELAY_UP_SEEK,     /* no peer: too few candidates are known; n: so many are wanted */
};

struct autorelay_stats {
    uint64_t taken, refused, lost, swapped, seeks;
    uint32_t candidates, asked, held; /* now */
};

struct autorelay {
    struct rng rng;
    bool lab; /* one host, one network: places there as elsewhere */
    bool wanted;
    struct limiter asks;
    tstamp gather;              /* no choice before; 0: no candidate was heard of yet */
    tstamp review, seek, moved; /* |moved|: until when losses are the network's */
    uint64_t seek_pause;
    struct autorelay_stats stats;
    struct autorelay_relay v[AUTORELAY_CANDIDATES_MAX];
};

extern const struct core_ops autorelay_ops; /* no protocol: only time */

/* Wants no places and knows no relays.  No memory of its own. */
void autorelay_init(struct autorelay *a, const struct rng *rng, bool lab, tstamp now);
/* From now on AUTORELAY_PLACES are wanted, or none: then those that are held are dropped, by actions. */
void autorelay_want(struct autorelay *a, bool wanted, tstamp now, struct acts *out);

/* What is known of a relay; copied. */
struct autorelay_found {
    struct peer_id peer;
    struct multiaddr addr; /* len 0: not known */
    uint64_t net;          /* 0: not known */
    uint64_t rtt_ns;       /* measured now; 0: not measured */
};
/*
 * f->peer serves the hop protocol.  With too many candidates one of the network of which most are known gives way, or
 * the newcomer is not taken.
 */
void autorelay_heard(struct autorelay *a, const struct autorelay_found *f, tstamp now);
/* The operator wants a place at |peer| (fixed), or does not any more. */
void autorelay_fix(struct autorelay *a, const struct peer_id *peer, uint64_t net, bool fixed,
                   tstamp now);
/* It says that it is a relay no longer; a place that is held there stays until it is lost. */
void autorelay_unheard(struct autorelay *a, const struct peer_id *peer);
/* A place at |peer| is held, also again; |limit|: of circuits to us, as it says. */
void autorelay_held(struct autorelay *a, const struct peer_id *peer,
                    const struct circuit_limit *limit, tstamp now, struct acts *out);
/* It refused (|said|), or could not be asked: it is dropped. */
void autorelay_refused(struct autorelay *a, const struct peer_id *peer, bool said, tstamp now,
                       struct acts *out);
/* The place is gone: it is dropped, so that another is had at once. */
void autorelay_lost(struct autorelay *a, const struct peer_id *peer, tstamp now, struct acts *out);
/* A circuit through it ended; |broken|: by the relay, before the limit it told was used up. */
void autorelay_circuit(struct autorelay *a, const struct peer_id *peer, bool broken);
/* We are at another network: pauses are over, places are made anew. */
void autorelay_moved(struct autorelay *a, tstamp now);

/* The relay |peer|, or NULL: to look at. */
const struct autorelay_relay *autorelay_get(const struct autorelay *a, const struct peer_id *peer);
/* One after the other, *it from 0 on; NULL at the end. */
const struct autorelay_relay *autorelay_next(const struct autorelay *a, size_t *it);
/* Copies the counters. */
void autorelay_stats_get(const struct autorelay *a, struct autorelay_stats *out);

/* ---- rules ---- */

/*
 * What a place at |r| costs, in ns: its round trip (300 ms where none was measured), half as much more for each
 * refusal of late, as much again where its circuits are limited in bytes or to less than an hour, and three times as
 * much the more of its circuits it ended before their limit.
 */
uint64_t autorelay_rule_cost(const struct autorelay_relay *r);
/* Whether one that costs |fresh| takes the place of one that costs |held|: clearly, by a fifth and 5 ms. */
bool autorelay_rule_better(uint64_t fresh, uint64_t held);
/* The pause after |failures| in a row, without what chance adds. */
uint64_t autorelay_rule_pause(uint32_t failures, bool was_steady);

#endif
