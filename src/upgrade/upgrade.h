/*
 * upgrade.h - links over byte streams: multistream-select, TLS or Noise, the muxer, and then streams.
 *
 *   bytes of a carrier ─▶ mss ▶ tls | noise | noise-hybrid ▶ mss, or chosen early ▶ yamux ─▶ link events
 *   link_ops ─▶ yamux ▶ records ─▶ upgrade_output() ─▶ bytes for the carrier
 *
 * A carrier is whatever brings bytes in order: a TCP connection (tcp.h), a stream through a relay.  It takes what
 * upgrade_output() has as it finds room; what comes in is always taken at once, since the windows of the muxer and the
 * limits of the handshake bound it.  Passive, no function calls back.  Specs: libp2p connections/README.md,
 * connections/inlined-muxer-negotiation.md, tls/tls.md, noise/README.md.
 */
#ifndef QUDAG_SRC_UPGRADE_UPGRADE_H
#define QUDAG_SRC_UPGRADE_UPGRADE_H

#include "core/load/load.h"
#include "core/resources/resources.h"
#include "core/transport.h"
#include "sec/sec.h"

struct upgrade_config {
    struct mem *mem;
    struct rng rng;
    struct logger log;
    struct sec *sec;                 /* of TLS; outlives it, like the next three */
    const struct identity *identity; /* of Noise */
    struct resources *accounts;      /* NULL: none */
    struct load *load;               /* of handshakes that others begin; NULL: none */
    enum pq_policy pq;               /* PQ_REQUIRE: no Noise, in either direction */
    uint32_t links_max;              /* with those that are not up yet; default 1024 */
    uint32_t streams_max;            /* peer-opened streams of a link; default 512 */
    uint32_t own_max;                /* streams of ours of a link, at once; default 256 */
    uint64_t handshake_timeout_ns;   /* until the link is up; default 10 s */
    uint64_t keepalive_ns;           /* default 25 s */
    uint64_t
        idle_timeout_ns; /* without a byte of the peer, which pings make it send; default 60 s */
};

/* A byte stream of a carrier that shall become a link.  Copied. */
struct upgrade_stream {
    uint64_t cookie; /* the carrier's name of it, which comes back with what is to be done */
    bool dialer;     /* proposes protocols and is the client of TLS, the initiator of Noise */
    uint8_t props;   /* LINK_RELAYED, LINK_LIMITED, LINK_INBOUND: of the link from the beginning */
    struct multiaddr local, remote;
    uint64_t net;                          /* as in link_info */
    const struct transport_target *target; /* NULL for an accepted one; borrowed for the call */
};

struct upgrade_stats {
    uint64_t bytes_in, bytes_out;
    uint64_t handshakes_ok_in, handshakes_ok_out, handshakes_failed, handshakes_timeout;
    uint64_t auth_failed, policy_refused, pin_refused;
    uint32_t links, half_open;
};

struct upgrade;
extern const struct link_ops upgrade_link_ops; /* owner: struct upgrade * */

/* Freed by upgrade_free(), which tells no peer.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err upgrade_new(struct upgrade **out, const struct upgrade_config *cfg,
                                     tstamp now);
void upgrade_free(struct upgrade *u); /* NULL allowed */
/* From now on, of handshakes that begin and links that come up then; ns, 0: as it was. */
void upgrade_set_times(struct upgrade *u, uint64_t handshake_ns, uint64_t keepalive_ns);
/* |identity| takes the place of that of the configuration: the same node's, with another ML-DSA key. */
void upgrade_set_identity(struct upgrade *u, const struct identity *identity);

/*
 * A byte stream is there: *link is its name from now on.  LINK_UP or, for one that was dialled, LINK_DOWN follows.
 * QUDAG_ELIMIT, QUDAG_ENOMEM: then the carrier ends it.
 */
QUDAG_MUST_USE qudag_err upgrade_begin(struct upgrade *u, const struct upgrade_stream *s,
                                       tstamp now, struct ref *link);
/* Bytes of the peer, all taken.  For links that are gone this and the next do nothing. */
void upgrade_receive(struct upgrade *u, struct ref link, struct slice in, tstamp now);
/*
 * The byte stream is at its end.  QUDAG_OK: an orderly end of the peer's direction, ours is named as |ended| by
 * upgrade_next_work() in its turn.  An error: both are gone, and the carrier need not ask for it any more.
 */
void upgrade_lost(struct upgrade *u, struct ref link, qudag_err err, tstamp now);

/*
 * What a carrier has to do: true for each byte stream that has something to send or, |*ended|, is to be closed once
 * what it has to send is gone (|*link| is void when upgrade_output() has said 0 after that).  Each is named once until
 * something new comes up.
 */
bool upgrade_next_work(struct upgrade *u, struct ref *link, uint64_t *cookie, bool *ended);
/* Fills |dst| with what is to be sent next; 0: nothing for now. */
size_t upgrade_output(struct upgrade *u, struct ref link, uint8_t *dst, size_t cap, tstamp now);

/*
 * As quic_next_event().  A dialler's link is up with the first bytes of the peer that come sealed: they say that it has
 * accepted what we proved.
 */
bool upgrade_next_event(struct upgrade *u, struct link_ev *ev);
/* When upgrade_tick() is due; TSTAMP_NEVER for no timer. */
tstamp upgrade_deadline(const struct upgrade *u);
/* Timers that are due. */
void upgrade_tick(struct upgrade *u, tstamp now);

/* The rest of what a transport needs (core/transport.h).  Ends a dial, as transport.cancel. */
bool upgrade_cancel(struct upgrade *u, struct ref link);
/* As transport.probe, by a ping of the muxer. */
void upgrade_probe(struct upgrade *u, struct ref link, tstamp now);
/* As transport.info. */
QUDAG_MUST_USE qudag_err upgrade_info(const struct upgrade *u, struct ref link,
                                      struct link_info *out);
/* Copies the counters. */
void upgrade_stats_get(const struct upgrade *u, struct upgrade_stats *out);
/* All links end in good order; what is to be sent still comes by upgrade_next_work(). */
void upgrade_shutdown(struct upgrade *u, tstamp now);

#endif
