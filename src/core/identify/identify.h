/*
 * identify.h - /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0 (libp2p specs: identify/README.md).
 *
 * One struct identify serves two protocols: events of streams under identify_ops and
 * identify_push_ops go to the same core pointer.  An ACT_OPEN belongs to the ops whose function or
 * whose call emitted it; identify_push_all() belongs to identify_push_ops, the rest to identify_ops.
 *
 * Links on which one end is unknown to the other (LINK_ANON, no peer id) are never asked, never
 * answered and never pushed to: the message carries our identity key.
 */
#ifndef QUDAG_SRC_CORE_IDENTIFY_IDENTIFY_H
#define QUDAG_SRC_CORE_IDENTIFY_IDENTIFY_H

#include "base/limiter.h"
#include "base/map.h"
#include "core/core.h"
#include "wire/identify_msg.h"

#define IDENTIFY_MSGS_MAX 10            /* messages of one exchange */
#define IDENTIFY_TIMEOUT (5 * NS_PER_S) /* to open a stream, and again to read what it brings */
#define IDENTIFY_LINGER (10 * NS_PER_S) /* for the peer to close after we have written */
#define IDENTIFY_ASKS_MAX 64            /* exchanges of each sort under way; more wait ... */
#define IDENTIFY_PUSHES_OUT_MAX 32      /* ... likewise ... */
#define IDENTIFY_ANSWERS_MAX 128        /* ... the oldest makes room ... */
#define IDENTIFY_PUSHES_IN_MAX 32       /* ... are refused */
#define IDENTIFY_STREAMS_MAX                                                                       \
    (IDENTIFY_ASKS_MAX + IDENTIFY_ANSWERS_MAX + IDENTIFY_PUSHES_OUT_MAX + IDENTIFY_PUSHES_IN_MAX)
#define IDENTIFY_PUSH_PERIOD_S 5 /* a peer may push once in so many seconds ... */
#define IDENTIFY_PUSH_BURST 4    /* ... and this often at once */
#define IDENTIFY_PUSH_GAP (IDENTIFY_PUSH_PERIOD_S * NS_PER_S) /* between pushes of ours to all */

/* ACT_UP kinds */
enum identify_up {
    /*
     * peer; n: 0 an answer, 1 a push; err QUDAG_OK: ptr is a struct identify_msg, merged.  What a push
     * does not give (has_addrs, has_protos, empty texts) is as it was.  The addresses are those of the
     * signed peer record where there is a valid one.
     * QUDAG_EAUTH: its public key is not the peer's.  QUDAG_EMALFORMED, ETOOBIG, EPROTO, ETIMEOUT,
     * EUNSUPPORTED, ENOMEM, or why the stream failed: ptr is NULL.
     */
    IDENTIFY_UP = 1,
};

struct identify_rx;

struct identify_strm {
    uint8_t state; /* enum in identify.c; 0: free */
    struct peer_id peer;
    struct ref strm;
    uint64_t cookie; /* of our ACT_OPEN */
    bool again;      /* its link was closed, and it was sent again over another */
    tstamp due;
    struct identify_rx *rx; /* while reading */
};

struct identify {
    struct mem *mem;
    struct map peers; /* id -> struct identify_peer, while linked */
    uint64_t next_cookie;
    uint32_t n_due[2];        /* peers waiting to be asked, to be pushed to */
    tstamp push_next;         /* no push to all before */
    bool push_waits;          /* for that */
    struct identify_msg self; /* observed is filled for each peer */
    struct identify_msg up;   /* what the last IDENTIFY_UP pointed to */
    struct identify_strm strm[IDENTIFY_STREAMS_MAX];
    size_t strm_high; /* from here on all are free */
};

extern const struct core_ops identify_ops, identify_push_ops;

/* |peers_max|: peers whose observed address and push support are remembered. */
void identify_init(struct identify *id, struct mem *mem, const struct rng *rng, size_t peers_max);
/* Frees all that identify_init() and the events took; no report follows. */
void identify_fini(struct identify *id);

/*
 * What we say of ourselves (copied; observed is ignored), with our signed peer record if there is one.
 * Addresses, then protocols, are left out from the end where the message would exceed IDENTIFY_MSG_MAX.
 * Tell peers by identify_push_all().
 */
void identify_set_self(struct identify *id, const struct identify_msg *self);

/*
 * Where we see |peer| (a trailing /p2p is dropped); the message to it says so from now on, until its EV_PEER_DOWN.
 * QUDAG_EINVAL (no peer id), QUDAG_ELIMIT, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err identify_set_observed(struct identify *id, const struct peer_id *peer,
                                               const struct multiaddr *addr);

/*
 * Asks |peer| (again; every new peer is asked anyway); one IDENTIFY_UP follows.  QUDAG_EINVAL (no peer
 * id), QUDAG_EEXISTS (being asked), QUDAG_ELIMIT.
 */
QUDAG_MUST_USE qudag_err identify_ask(struct identify *id, const struct peer_id *peer, tstamp now,
                                      struct acts *out);

/*
 * Sends what we say of ourselves to every linked peer that said it takes pushes: now, or what it is by then once
 * IDENTIFY_PUSH_GAP has passed since the last time, so that no peer refuses it for coming too often.
 */
void identify_push_all(struct identify *id, tstamp now, struct acts *out);

#endif
