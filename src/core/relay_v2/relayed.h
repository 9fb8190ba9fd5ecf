/*
 * relayed.h - a peer that uses relays of circuit relay v2 (libp2p specs: relay/circuit-v2.md): it has places kept for
 * it, reaches others through their relays, and is reached through its own.
 *
 *   relayed_reserve ─▶ RESERVE, again before it expires, again after failures          ─▶ RELAYED_UP_RESERVED, _LOST
 *   relayed_connect ─▶ CONNECT at the relay ─ STATUS ok                                ─▶ RELAYED_UP_OPENED
 *   stop: CONNECT from a relay that keeps a place for us ─▶ STATUS ok                  ─▶ RELAYED_UP_INCOMING
 *   then bytes: RELAYED_UP_DATA, RELAYED_UP_ROOM, RELAYED_UP_ENDED; relayed_write, relayed_close
 *
 * What comes out is a byte stream between two peers which the relay can read, change and end as it likes: only what is
 * made of it (src/upgrade) says who is at its other end.
 */
#ifndef QUDAG_SRC_CORE_RELAY_V2_RELAYED_H
#define QUDAG_SRC_CORE_RELAY_V2_RELAYED_H

#include "core/core.h"
#include "wire/circuit_msg.h"

#define RELAYED_RELAYS_MAX 8             /* at which places are kept for us */
#define RELAYED_STREAMS_MAX 1024         /* byte streams, with those that are being made */
#define RELAYED_STREAMS_RELAY 64         /* that one relay may have opened to us */
#define RELAYED_QUEUE (256 * 1024)       /* bytes that may wait to leave on one */
#define RELAYED_TIMEOUT (20 * NS_PER_S)  /* from asking a relay to its answer */
#define CIRCUIT_EARLY_MAX 4096           /* bytes that go with a request for a circuit */
#define RELAYED_LINGER (10 * NS_PER_S)   /* for the other side's end after ours */
#define RELAYED_PAUSE_MIN (5 * NS_PER_S) /* after the first failure; doubled each time */
#define RELAYED_PAUSE_MAX (600 * NS_PER_S)

/* Copied. */
struct relayed_config {
    struct mem *mem;
    struct rng rng;
    struct peer_id self;
    const struct wallclock *clock; /* borrowed for the life of the object */
};

/* A place that a relay keeps for us. */
struct relayed_place {
    struct peer_id relay;
    bool held;
    tstamp until;               /* while it is held */
    struct circuit_limit limit; /* of circuits to us, as it says */
    size_t n_addrs;             /* where it is, as it says: each names it and is direct */
    struct multiaddr addr[CIRCUIT_ADDRS_MAX];
    qudag_err err;   /* of the last attempt */
    uint32_t status; /* and what the relay said; 0: nothing */
    uint32_t failures;
    tstamp due; /* of the next attempt */
    uint64_t circuits,
        broken; /* byte streams through it that have ended; by it, before its limit */
    uint64_t bytes_in, bytes_out; /* of these */
};

/* What is known of a byte stream. */
struct relayed_info {
    struct peer_id relay, peer; /* |peer| as the relay says: nothing is proven */
    struct circuit_limit limit; /* likewise */
    bool inbound;
    uint64_t net; /* of an inbound one: the network that the relay's link comes from */
};

/* ACT_UP kinds; |obj| names a byte stream. */
enum relayed_up {
    RELAYED_UP_RESERVED = 1, /* ptr = const struct relayed_place *, valid until the next call */
    RELAYED_UP_LOST,         /* peer: the relay; err; it is tried again */
    RELAYED_UP_REFUSED,  /* peer: the relay; err; n: what it said, or 0; it is tried again, later */
    RELAYED_UP_OPENED,   /* cookie of the caller, obj, ptr = struct relayed_info */
    RELAYED_UP_FAILED,   /* cookie, err; n: the relay's status, or 0 */
    RELAYED_UP_INCOMING, /* obj, ptr = struct relayed_info */
    RELAYED_UP_DATA,     /* obj, data */
    RELAYED_UP_ROOM,     /* obj: relayed_room() has grown */
    /*
     * obj, peer: the relay; err: QUDAG_OK in good order, QUDAG_ELIMIT: the relay's limit.  The name is void.  n: 1 when
     * it was broken off before that limit, by the relay or the peer.
     */
    RELAYED_UP_ENDED,
};

/* Counted since the beginning; the last line as of now. */
struct relayed_stats {
    uint64_t reservations, refused, connects, connects_failed, accepted, not_accepted;
    uint64_t bytes_in, bytes_out, ended_by_limit;
    uint32_t held, streams;
};

struct relayed;
/* Of CIRCUIT_STOP_PROTOCOL; opens CIRCUIT_HOP_PROTOCOL. */
extern const struct core_ops relayed_ops;

/* Without places and streams; freed with relayed_free().  QUDAG_ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err relayed_new(struct relayed **out, const struct relayed_config *cfg);
/* Frees it without a word to anybody; NULL allowed. */
void relayed_free(struct relayed *r);

/* A place at |relay| is to be had from now on, soon.  OK too if it is already.  QUDAG_EINVAL, QUDAG_ELIMIT. */
QUDAG_MUST_USE qudag_err relayed_reserve(struct relayed *r, const struct peer_id *relay,
                                         tstamp now);
/* Not any more: the relay forgets it when it expires.  False: it was not wanted. */
bool relayed_release(struct relayed *r, const struct peer_id *relay);
/*
 * |addr| names |relay|: where we reached it.  It stands in where the relay says nothing of where it is, and for the
 * first that it said, by relayed_rule_where().
 */
void relayed_found_at(struct relayed *r, const struct peer_id *relay, const struct multiaddr *addr);
/* Places that are wanted, |*it| from 0 on; borrowed until the next call; NULL at the end. */
const struct relayed_place *relayed_place_next(const struct relayed *r, size_t *it);
/* Whether a place at |relay| is held now. */
bool relayed_holds(const struct relayed *r, const struct peer_id *relay);

/*
 * Asks to->relay for a circuit to to->peer; one RELAYED_UP_OPENED or _FAILED with |cookie| follows.  |early| are the
 * first bytes on it, copied, at most CIRCUIT_EARLY_MAX: where the relay is a node of this project they go with the
 * request, else behind its answer.  QUDAG_EINVAL: to ourselves, or to the relay; QUDAG_ELIMIT, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err relayed_connect(struct relayed *r, const struct relayed_info *to,
                                         struct slice early, uint64_t cookie, tstamp now,
                                         struct acts *out);
/* What was asked for with |cookie| is given up without a report; false: nothing is being made with it. */
bool relayed_cancel(struct relayed *r, uint64_t cookie, struct acts *out);

/* How many bytes relayed_write() takes now; 0 for a name that is void. */
size_t relayed_room(const struct relayed *r, struct ref name);
/* Sends a copy of |s|, at most relayed_room() of it.  QUDAG_ESTALE, QUDAG_ETOOBIG. */
QUDAG_MUST_USE qudag_err relayed_write(struct relayed *r, struct ref name, struct slice s,
                                       struct acts *out);
/* Ends it without a report, with QUDAG_OK behind what was written.  The name is void. */
void relayed_close(struct relayed *r, struct ref name, qudag_err err, tstamp now, struct acts *out);

/* Copies the counters. */
void relayed_stats_get(const struct relayed *r, struct relayed_stats *out);

#endif
