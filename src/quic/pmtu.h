/*
 * pmtu.h - black-hole detection (RFC 8899 4.3): the path MTU became smaller than what discovery had found.
 *
 *   OPEN --a large packet is lost--> SUSPECT --a stream made no progress since, or--> LIMITED
 *     ^                                 |        all of three large packets were lost  |  ^
 *     |<--- a large packet arrived -----'                                raise timer --'  |
 *     |                                                                       v          |
 *     '<-- large packets were sent and none of them was lost --------------- TRIAL ------'  one was
 *
 *   From OPEN and SUSPECT straight to LIMITED: the peer is silent for three probe timeouts with large packets
 *   on their way, or the kernel refused a packet as too large.
 *
 * ngtcp2 searches upwards only.  This object decides, from counters alone, when packets must be limited to
 * PMTU_BASE bytes, and when larger ones are tried again.  A limit set in error costs some speed until the next
 * trial and nothing else.
 */
#ifndef QUDAG_SRC_QUIC_PMTU_H
#define QUDAG_SRC_QUIC_PMTU_H

#include "base/types.h"

#define PMTU_BASE 1200 /* bytes of UDP payload that every path must carry (RFC 9000 14.1) */
#define PMTU_RAISE (600 * NS_PER_S) /* RFC 8899 5.1.1, PMTU_RAISE_TIMER */
#define PMTU_RETRY (60 * NS_PER_S)  /* the same after silence, which may have had other causes */
#define PMTU_LOSSES                                                                                \
    3 /* large packets lost, and none arrived: requests that give up soon leave no stalled stream */
#define PMTU_TRIAL_PKTS 2 /* large packets sent to find out whether they pass again */
#define PMTU_STALL_PTOS                                                                            \
    6 /* probe timeouts without progress of a stream: its data was lost several times */
#define PMTU_SILENT_PTOS 3
#define PMTU_STALL_MIN (500 * NS_PER_MS)

enum quic_pmtu_state { PMTU_OPEN, PMTU_SUSPECT, PMTU_LIMITED, PMTU_TRIAL };

/* Counters of a connection since its beginning, except where said otherwise. */
struct quic_pmtu_sample {
    tstamp now;
    uint64_t pto_ns;          /* probe timeout without backoff (RFC 9002 6.2.1) */
    uint64_t pkts_lost;       /* declared lost, without ngtcp2's own probes ... */
    uint64_t bytes_lost;      /* ... and their bytes */
    uint64_t bytes_in_flight; /* now */
    uint64_t pkts_received;
};

struct quic_pmtu {
    enum quic_pmtu_state state;
    uint16_t max;                  /* largest packet the connection may send, bytes */
    uint64_t sent_large;           /* packets over PMTU_BASE that left */
    uint64_t lost_large;           /* of these, declared lost; a lower bound */
    uint64_t base_sent, base_lost; /* SUSPECT, TRIAL: the same at its beginning */
    uint64_t in_flight;            /* bytes, of the last sample */
    uint64_t pkts_lost, bytes_lost, pkts_received; /* of the last sample */
    uint64_t heard_sent;                           /* sent_large when the peer was heard last */
    tstamp waits_since;                            /* when the first large packet after that left */
    /* SUSPECT: when the verdict is due, or TSTAMP_NEVER until more is lost; TRIAL: likewise, 0 until one has
     * left; LIMITED: when the next trial begins */
    tstamp until;
    uint8_t trial_left; /* large packets that may still leave in TRIAL */
};

/* |max|: bytes of the largest packet that discovery may find. */
void quic_pmtu_init(struct quic_pmtu *p, uint16_t max);

/* Takes the counters.  True if the limit came or went, which is worth a line in the log. */
bool quic_pmtu_update(struct quic_pmtu *p, const struct quic_pmtu_sample *s);

/*
 * Whether the owner must now look for the stream whose oldest unacknowledged byte has waited longest, and say
 * by quic_pmtu_stalled() for how many ns.  Asked after every quic_pmtu_update().
 */
bool quic_pmtu_wants_stall(const struct quic_pmtu *p, tstamp now);
/* What quic_pmtu_wants_stall() asked for; |pto_ns| as in the sample.  True if the limit is new. */
bool quic_pmtu_stalled(struct quic_pmtu *p, uint64_t stalled_ns, uint64_t pto_ns, tstamp now);

/*
 * The kernel refused a packet as too large (EMSGSIZE), or an ICMP message says that a router did.  The latter
 * can be forged, and only lowers the size to what every path must carry.  True if the limit is new.
 */
bool quic_pmtu_too_big(struct quic_pmtu *p, tstamp now);

/* Bytes that the next packet may have, at most |room|. */
size_t quic_pmtu_packet_max(const struct quic_pmtu *p, size_t room);

/* |n| packets of |len| bytes leave. */
void quic_pmtu_sent(struct quic_pmtu *p, size_t len, size_t n, tstamp now);

/* Whether packets are limited to PMTU_BASE, but for those of a trial. */
bool quic_pmtu_is_limited(const struct quic_pmtu *p);

#endif
