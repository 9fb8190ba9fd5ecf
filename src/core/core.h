/*
 * core.h - the two small vocabularies every protocol core speaks.
 *
 * A core is a passive state machine.  It is told what happened (struct ev), it answers what should be
 * done (struct act).  It never reads a clock, opens a socket, logs to a file or calls another core.
 * The same object therefore runs over QUIC in qudagd and inside the simulator.
 */
#ifndef QUDAG_SRC_CORE_CORE_H
#define QUDAG_SRC_CORE_CORE_H

#include "base/buf.h"
#include "base/logrec.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/types.h"
#include "wire/peer_id.h"

/* Properties of the link below a stream. */
enum link_prop {
    LINK_PQ_KEX = 1,   /* hybrid or pure ML-KEM key exchange */
    LINK_PQ_AUTH = 2,  /* the peer proved an ML-DSA key bound to its peer id */
    LINK_ANON = 4,     /* the other end does not know who we are, or we not who it is */
    LINK_INBOUND = 8,  /* the other side opened the link */
    LINK_QUDAG = 16,   /* the peer is a QuDAG node: its certificate carries the second extension */
    LINK_RELAYED = 32, /* another node passes the bytes on */
    LINK_LIMITED = 64, /* and ends the link after some time or bytes */
    LINK_NAMED = 128,  /* carries the protocol's name with each stream: nothing is negotiated */
};

enum ev_type {
    EV_PEER_UP,     /* peer, props, again: an authenticated link exists */
    EV_PEER_DOWN,   /* peer: the last link is gone; its streams were reset one by one before */
    EV_STREAM_OPEN, /* peer, strm, props, inbound, net, via, link; cookie if we asked for it */
    EV_STREAM_FAIL, /* peer, cookie, err: our ACT_OPEN did not succeed */
    EV_DATA,        /* strm, data: borrowed until the call returns */
    EV_WRITABLE,    /* strm, n: n bytes left the send queue since the last such event */
    EV_FIN,         /* strm: the remote sends no more */
    EV_RESET,       /* strm, err: gone, both directions */
};

struct ev {
    enum ev_type type;
    bool inbound;
    bool
        again; /* PEER_UP of a peer that is up: an older link was dead, it may have started again */
    uint8_t props; /* enum link_prop, of the link */
    qudag_err err;
    const struct peer_id *peer; /* set on PEER and STREAM_OPEN/FAIL events; len 0 when anonymous */
    struct ref strm;
    uint64_t cookie;
    size_t n;
    struct slice data;
    struct buf
        *keep; /* DATA: while it is held, |data| stays; NULL: to be copied by who needs it longer */
    const char *proto; /* STREAM_OPEN: the protocol id that was negotiated */
    /*
     * STREAM_OPEN inbound: netaddr_group() of where the link comes from; of a circuit the netaddr_wide_group() of
     * its previous hop, and a name for that.  0: not known.  They serve to share fairly.
     */
    uint64_t net, via;
    uint64_t link; /* STREAM_OPEN inbound: streams of one link have the same */
    uint64_t
        refused; /* STREAM_FAIL with QUDAG_ELIMIT: which limit of ours (resources_pack()); 0: not ours */
};

enum act_type {
    ACT_OPEN,  /* peer, cookie, need, data: open a stream speaking our protocol, dialling if needed;
                    data holds address hints: uvarint length and multiaddr bytes, repeated;
                    with no_dial only over a link that stands, else it fails with QUDAG_ECLOSED;
                    with obj set, open it on that very link (a circuit) instead of to a peer */
    ACT_WRITE, /* strm, data: copied into the action list, or with |keep| left where it is */
    ACT_CONSUME, /* strm, n: reopen the receive window (manual_credit only) */
    ACT_FIN,     /* strm: half-close */
    ACT_RESET,   /* strm, err: abandon; no event follows */
    ACT_UP,      /* kind and the rest: a report for whoever owns the core */
};

struct act {
    enum act_type type;
    uint8_t need; /* ACT_OPEN: properties the link must have */
    bool no_dial; /* ACT_OPEN to a peer */
    uint16_t kind;
    qudag_err err;
    struct ref strm, obj;
    uint64_t cookie;
    uint64_t n;
    struct slice data;
    struct buf *
        keep; /* ACT_WRITE: the link may hold it instead of copying |data|; the list holds it, too */
    /*
     * ACT_UP: what the report is about, valid until the host has carried out the whole list and emptied it.  The
     * host may call the core again before that (an open that fails at once), with the same list.
     */
    const void *ptr;
    struct peer_id peer;
};

/* Owned by the host, one per loop, reused for every call: cores cost no buffers. */
struct acts {
    struct act *v;
    size_t n, cap;
    uint8_t *bytes;
    size_t bytes_n, bytes_cap;
    struct buf *
        held; /* what ACT_WRITEs of the list refer to: acts_let_go() when they have been carried out */
    bool overflow;   /* the host drops the peer that caused it */
    struct act sink; /* where pushes land once the list is full */
};

/* Most one event, tick or call of a core may add; the host makes that much room before each. */
#define ACTS_ROOM 512
#define ACTS_BYTES_ROOM (384 * 1024)

/*
 * A new zeroed action of that type, to be filled in at once; on overflow one that goes nowhere, so never
 * NULL.
 */
struct act *acts_push(struct acts *out, enum act_type type);

/* ACT_WRITE with a copy of |len| bytes; nothing on overflow. */
void acts_write(struct acts *out, struct ref strm, const void *p, size_t len);

/*
 * ACT_WRITE of |data| where it is; the list holds |keep| until acts_let_go(), and no other list does at the same time.
 * False on overflow: then nothing is held.
 */
bool acts_write_kept(struct acts *out, struct ref strm, struct slice data, struct buf *keep);
/* The host has carried out the list: what it holds, it holds no more. */
void acts_let_go(struct acts *out);

/* |len| bytes to be filled by the caller at once; NULL on overflow. */
uint8_t *acts_write_reserve(struct acts *out, struct ref strm, size_t len);
/* |len| bytes of the list's byte area, to be filled by the caller at once; NULL on overflow. */
uint8_t *acts_reserve(struct acts *out, size_t len);
/* Copies |len| bytes into the list's byte area; base is NULL on overflow. */
struct slice acts_copy(struct acts *out, const void *p, size_t len);

/*
 * ACT_OPEN of a stream to |peer| over a link with the properties |need|; |cookie| comes back with
 * EV_STREAM_OPEN or EV_STREAM_FAIL.  The caller may still set hints or |obj| in what is returned; never NULL.
 */
struct act *acts_open(struct acts *out, const struct peer_id *peer, uint64_t cookie, uint8_t need);
/*
 * As acts_open() over a link that stands, never dialling: for a request that may be repeated and whose link was
 * closed before its answer.  Of two links that both sides dialled one is closed, and the other carries on; a peer
 * that is gone is not dialled for it (doc/decisions/0007).
 */
void acts_open_again(struct acts *out, const struct peer_id *peer, uint64_t cookie, uint8_t need);

/* ACT_FIN: no more is written to |strm|; what was written before is still delivered. */
void acts_fin(struct acts *out, struct ref strm);

/*
 * ACT_RESET: |strm| ends in both directions, and what is still queued may be lost; |err| is told to the peer
 * as far as the link can.
 */
void acts_reset(struct acts *out, struct ref strm, qudag_err err);

/* ACT_CONSUME of |n| bytes of EV_DATA, for cores with manual_credit. */
void acts_consume(struct acts *out, struct ref strm, size_t n);

/* A report ACT_UP of the core's own kind |kind|, to be filled in at once; never NULL. */
struct act *acts_up(struct acts *out, uint16_t kind);

/*
 * The same about a copy of the |len| bytes at |p|, which lies in the list's byte area, aligned for any type.
 * NULL on overflow: then nothing is reported.
 */
struct act *acts_up_copy(struct acts *out, uint16_t kind, const void *p, size_t len);

/*
 * Whether the host has carried out everything this core reported before: what such reports point to may be
 * freed.  To be asked at the beginning of a call.
 */
static inline bool acts_settled(const struct acts *out)
{
    return out->n == 0;
}

struct core_ops {
    const char *protocol; /* multistream id; NULL when the instance carries its own */
    unsigned inbound_max; /* streams one peer may have open to us for each protocol; the swarm
                             enforces it; 0: swarm_config.streams_per_peer */
    unsigned
        outbound_max; /* streams we may have open to one peer; more fail with QUDAG_ELIMIT, so that
                              those of other cores find room on the link; 0: no limit */
    bool manual_credit; /* false: what EV_DATA carried counts as consumed on return */
    bool limited_ok;    /* its streams may run over a link with LINK_LIMITED */
    bool
        direct_only; /* they run over no link with LINK_RELAYED, and nobody is dialled through a relay for it */
    uint16_t unit; /* bytes of each of its messages (cells): a packet ends with one; 0: any */
    bool
        early; /* its streams may be opened on a link that the peer may still refuse: then they end by EV_RESET with
                   the reason, and EV_STREAM_OPEN comes before EV_PEER_UP; not for cores that choose */
    bool early_relayed; /* likewise on links with LINK_RELAYED only; also for cores that choose */
    bool
        asks_again; /* streams of its own that end with QUDAG_ECLOSED it opens again over another link: so they end
                        where the path is quiet (LINK_QUIET) and that of another is not */
    bool asks_unanswered; /* the same for those on which the peer has said nothing yet */
    bool along_links;     /* it opens streams on links that we dialled only */
    bool
        doubts; /* its streams, and no others, run over links whose peer has another key than it is known by */
    bool chooses; /* this node chose whom it dials (false: others may have named them) */
    void (*event)(void *core, const struct ev *ev, tstamp now, struct acts *out);
    void (*tick)(void *core, tstamp now, struct acts *out);
    tstamp (*deadline)(const void *core); /* earliest tick wanted, or TSTAMP_NEVER */
};

#endif
