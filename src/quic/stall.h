/* stall.h - the rule for links on which nothing may leave any more (spec/link.md 4.8). */
#ifndef QUDAG_SRC_QUIC_STALL_H
#define QUDAG_SRC_QUIC_STALL_H

#include "base/types.h"

#define QUIC_STALL_LEAST (3 * NS_PER_S) /* without room in the window, since the peer was heard */

/* Zeros before the first packet. */
struct quic_stall_view {
    /* When the first packet of the peer's came after one of ours that must be acknowledged; 0: never. */
    tstamp heard;
    bool sent; /* one of ours has left since the peer was heard last */
};

/* Of a link whose congestion window is full. */
struct quic_stall_link {
    uint64_t rtt;  /* smoothed, ns */
    uint64_t idle; /* the smaller of both idle timeouts, ns */
    tstamp timer;  /* when something is due by itself, keepalive aside */
};

/* A packet of ours that must be acknowledged has left; one of the peer's has come. */
void quic_stall_sent(struct quic_stall_view *v);
void quic_stall_heard(struct quic_stall_view *v, tstamp now);
/*
 * When it counts as stalled; TSTAMP_NEVER: not yet.  Nothing is due before the idle timeout, so loss detection waits
 * for nothing (RFC 9002 6.2: after an outage it may wait long).  While the peer is not heard our own network may be
 * away, and that ends no link.
 */
tstamp quic_rule_stalled(const struct quic_stall_view *v, const struct quic_stall_link *l);

struct quic_conn;
/* When |c| ends because nothing may leave any more; TSTAMP_NEVER: something may, or will. */
tstamp quic_stall_due(struct quic_conn *c);

#endif
