/*
 * ping.h - /ipfs/ping/1.0.0, both sides (libp2p specs: ping/ping.md).
 *
 * Events for a stream come through ping_ops; the core is a struct ping.
 */
#ifndef QUDAG_SRC_CORE_PING_PING_H
#define QUDAG_SRC_CORE_PING_PING_H

#include "core/core.h"

#define PING_LEN 32                  /* bytes per ping */
#define PING_TIMEOUT (20 * NS_PER_S) /* from the call to the whole answer */
#define PING_LINGER                                                                                \
    (5 * NS_PER_S)         /* a stream is used again for so long; then its end is waited for */
#define PING_MAX 16        /* probes in flight; more are refused */
#define PING_SERVE_MAX 128 /* streams we answer on; the one quiet longest makes room */
#define PING_ECHO_MAX 4096 /* bytes of echo queued on one stream */

/* ACT_UP kinds */
enum ping_up {
    /*
     * peer, cookie; err QUDAG_OK: n = round trip in ns.  QUDAG_ETIMEOUT, QUDAG_EPROTO (wrong echo),
     * QUDAG_ECLOSED, QUDAG_ELIMIT (of the peer, too), or why the stream could not be opened or was
     * reset.
     */
    PING_UP_DONE = 1,
};

struct ping_probe {
    enum { PING_FREE, PING_OPENING, PING_WAITING, PING_IDLE, PING_CLOSING } state;
    struct peer_id peer;
    struct ref strm;
    uint64_t user_cookie; /* of the caller */
    uint64_t cookie;      /* of our ACT_OPEN */
    bool reused;          /* the stream served an earlier probe, so its link may be dead by now */
    bool again;           /* its link was closed, and it was sent again over another */
    tstamp sent, due;
    uint8_t want[PING_LEN];
    size_t got;
};

/* A stream a peer opened. */
struct ping_serve {
    struct ref strm; /* gen 0: free */
    size_t queued;   /* bytes of echo that have not left the send queue */
    tstamp last;
};

struct ping {
    struct rng rng;
    uint64_t next_cookie;
    struct ping_probe probe[PING_MAX];
    struct ping_serve serve[PING_SERVE_MAX];
};

extern const struct core_ops ping_ops;

/* An object without probes, which draws their payloads from |rng| (copied); there is nothing to free. */
void ping_init(struct ping *p, const struct rng *rng);

/*
 * Probes |peer|; exactly one ACT_UP PING_UP_DONE with |cookie| follows.  On error nothing is emitted:
 * QUDAG_EINVAL (no peer id), QUDAG_EEXISTS (|peer| is being probed), QUDAG_ELIMIT.
 * SPEC: ping.md, a dialer keeps at most one stream to a peer.
 */
QUDAG_MUST_USE qudag_err ping_start(struct ping *p, const struct peer_id *peer, uint64_t cookie,
                                    tstamp now, struct acts *out);

/* The stream that the next probe of |peer| would go over again; {0}: there is none. */
struct ref ping_idle(const struct ping *p, const struct peer_id *peer);
/* Closes it, if it is that, so that the next probe opens one on the link that is the best by then. */
void ping_leave(struct ping *p, struct ref strm, tstamp now, struct acts *out);

#endif
