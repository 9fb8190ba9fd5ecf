/*
 * link.h - what carries streams: a QUIC connection, an onion circuit.
 *
 * A transport (core/transport.h) implements link_ops; the swarm calls them and takes link events.  The
 * swarm names each of its streams with a |user| word that comes back in every event.
 */
#ifndef QUDAG_SRC_CORE_LINK_H
#define QUDAG_SRC_CORE_LINK_H

#include "core/core.h"
#include "wire/multiaddr.h"

enum link_ev_type {
    LINK_UP,         /* link, authenticated and confirmed; the transport has its link_info */
    LINK_DOWN,       /* link, err, text: gone, with all its streams (no LINK_RESET for them) */
    LINK_STREAM,     /* link, sid: the peer opened a stream; the taker sets its user word */
    LINK_DATA,       /* link, sid, user, data: borrowed until the next call into the transport */
    LINK_FIN,        /* link, sid, user: the peer sends no more */
    LINK_RESET,      /* link, sid, user, err: gone in both directions */
    LINK_SENT,       /* link, sid, user, n: n bytes left the send queue */
    LINK_STREAMS_OK, /* link: whoever waits for a stream is to ask again */
    LINK_ANSWERED, /* link: whoever was dialled has answered, and proven nothing yet; may be left out */
    LINK_PROVEN, /* link: and has proven itself; streams may be opened.  Whether it takes us LINK_UP tells; may be left
                    out */
    LINK_QUIET, /* link, up: nothing of the peer's came for so long, though something is outstanding, that the path may
                   be dead; its streams go on.  May be left out */
    LINK_HEARD, /* link: after LINK_QUIET something came */
};

struct link_ev {
    enum link_ev_type type;
    qudag_err err;
    struct ref link;
    int64_t sid; /* the transport's name of the stream */
    uint64_t user;
    uint64_t n;
    struct slice data;
    struct buf *keep; /* LINK_DATA: while it is held, |data| stays; or NULL */
    const char *text; /* LINK_DOWN: why, for people; static or NULL */
    const struct peer_id
        *found; /* LINK_DOWN, EAUTH: who answered instead of the peer dialled; or NULL */
};

struct link_info {
    struct peer_id peer;            /* len 0: nobody */
    struct multiaddr local, remote; /* without /p2p; len 0: none, or not known yet */
    bool shaped;                    /* it has link_ops.set_unit; the swarm says so */
    uint64_t net;  /* the network |remote| is of, for limits (netaddr_group); 0: none */
    uint64_t via;  /* a name for the neighbour an anonymous link comes through; 0: none */
    uint8_t props; /* enum link_prop */
    bool carried;  /* a circuit that runs through another one */
    const char
        *security; /* what the upgrade to it agreed on: "tls", "noise"; static; NULL: nothing yet */
    char group[28];      /* "X25519MLKEM768" */
    char cipher[32];     /* "TLS_AES_256_GCM_SHA384" */
    char sig_local[16];  /* "mldsa65", "ecdsa": what we proved ourselves with */
    char sig_remote[16]; /* what the peer proved itself with */
    bool has_pq_hash;
    uint8_t pq_hash[32]; /* of the peer's ML-DSA identity key */
    tstamp since;
    tstamp until; /* when the certificates it was made with have ended; 0: it has none */
    uint64_t handshake_ns;
    uint64_t rtt_ns;
    uint64_t bytes_in, bytes_out;
    uint32_t streams;
};

/* By the transport's owner and its own name of the link; for links that are gone they do nothing. */
struct link_ops {
    /*
     * Opens a stream; |proto| is sent where the link carries protocol names (LINK_NAMED).  QUDAG_EAGAIN:
     * the peer allows no more for now, LINK_STREAMS_OK tells when.  QUDAG_ESTALE: it takes no streams any more, though
     * those that there are may go on.  QUDAG_ENOMEM, QUDAG_ELIMIT.
     */
    qudag_err (*open)(void *owner, struct ref link, uint64_t user, const char *proto, int64_t *sid);
    /* Sets the word of a stream that the peer opened. */
    void (*set_user)(void *owner, struct ref link, int64_t sid, uint64_t user);
    /* Queues a copy of all of |data|; QUDAG_ETOOBIG when the queue is over its hard limit. */
    qudag_err (*write)(void *owner, struct ref link, int64_t sid, struct slice data);
    /* |n| bytes of LINK_DATA need no room any more: the peer may send as many again. */
    void (*consume)(void *owner, struct ref link, int64_t sid, size_t n);
    /* Ends our direction behind what is queued. */
    void (*fin)(void *owner, struct ref link, int64_t sid);
    /* Gives the stream up in both directions; |err| is told to the peer as far as the link can. */
    void (*reset)(void *owner, struct ref link, int64_t sid, qudag_err err);
    /* Ends the link with all its streams; of its events only LINK_DOWN may follow. */
    void (*close)(void *owner, struct ref link, qudag_err err);
    /*
     * What is written from now on comes in units of |unit| bytes: a packet ends where one does, so that their
     * number is all that packets show of them.  NULL where a link has no packets of its own.
     */
    void (*set_unit)(void *owner, struct ref link, int64_t sid, uint16_t unit);
    /*
     * As |write|, but |data| may be left where it is: it stays as long as |keep| is held, which the link does until it
     * needs it no more.  It may be copied all the same.  NULL: |write| is called instead.
     */
    qudag_err (*write_kept)(void *owner, struct ref link, int64_t sid, struct slice data,
                            struct buf *keep);
    /* Bytes that the link has in the accounts: queued, or sent and not acknowledged.  NULL: what is queued. */
    uint64_t (*held)(const void *owner, struct ref link, int64_t sid);
};

#endif
