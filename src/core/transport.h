/*
 * transport.h - what makes links of one kind: QUIC, circuits, and what comes beside them.
 *
 * A transport is a constant table and its owner, registered with the swarm, which knows transports by
 * this table only.  Above a transport an address is a multiaddr and a link a reference into the
 * transport; two transports may use equal references.
 */
#ifndef QUDAG_SRC_CORE_TRANSPORT_H
#define QUDAG_SRC_CORE_TRANSPORT_H

#include "core/link.h"

/* What a dial goes to and what it insists on.  Borrowed for the call. */
struct transport_target {
    const struct multiaddr *addr; /* with or without a /p2p at its end, which |peer| stands for */
    const struct peer_id *peer;   /* NULL: whoever answers */
    const uint8_t *pq_hash; /* 32 bytes the peer's ML-DSA key must hash to; NULL: any or none */
    bool
        lax; /* with another ML-DSA key than |pq_hash| the link comes up all the same; LINK_UP's receiver judges */
    uint8_t need; /* LINK_PQ_KEX, LINK_PQ_AUTH: no link without, whatever the policy */
    /* The socket of ours it leaves from, where the transport has such (QUIC); NULL: any. */
    const struct netaddr *local;
};

/*
 * Against records of flows: after a random time without a packet in either direction, the larger of two drawn within
 * these bounds, one is sent that the peer must acknowledge.  Until |until|, and not at all where |most_ns| is 0.
 */
struct transport_padding {
    uint64_t least_ns, most_ns;
    tstamp until;
};

/* In which order addresses of one peer are dialled; of links of two kinds the lower is the better. */
enum transport_cost {
    TRANSPORT_DATAGRAM, /* direct, streams of its own */
    TRANSPORT_STREAM,   /* direct, over one byte stream */
    TRANSPORT_RELAYED,  /* through another node */
};

struct transport {
    const char *name; /* for display */
    enum transport_cost cost;
    /*
     * Links of it are known by what happens on them, no LINK_UP announces them: they stand as soon as
     * |info| finds them, belong to no peer (LINK_ANON), and |obj| of an ACT_OPEN names one.
     */
    bool on_demand;
    const struct link_ops *ops;

    /* The five for dialled transports; NULL where nothing is dialled. */

    /* Whether |addr| is of a form it dials.  Says nothing of whether anybody can be reached there. */
    bool (*handles)(const void *owner, const struct multiaddr *addr);
    /*
     * The result comes as LINK_UP or LINK_DOWN of |out|.  An error means that there will be none:
     * QUDAG_EUNREACHABLE where this host cannot send to such an address, QUDAG_ELIMIT, QUDAG_ENOMEM.
     */
    QUDAG_MUST_USE qudag_err (*dial)(void *owner, const struct transport_target *target, tstamp now,
                                     struct ref *out);
    /*
     * Ends a dial, unless the peer may count it as a link already: then false, and nothing is done.
     * After true a LINK_DOWN may still come.
     */
    bool (*cancel)(void *owner, struct ref link);
    /* Makes the peer show that it lives; if it does not, LINK_DOWN with QUDAG_ETIMEOUT follows. */
    void (*probe)(void *owner, struct ref link, tstamp now);
    /* |link| is padded so from now on, instead of as it was.  NULL: links of this kind cannot be. */
    void (*pad)(void *owner, struct ref link, const struct transport_padding *how, tstamp now);

    /* For all: what there is to know of a link.  QUDAG_ESTALE: it is gone. */
    QUDAG_MUST_USE qudag_err (*info)(const void *owner, struct ref link, struct link_info *out);
};

#endif
