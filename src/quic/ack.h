/*
 * ack.h - when what was received is acknowledged (SPEC: link 5.5).
 *
 *   a packet comes ─▶ an answer is written soon ─▶ takes the acknowledgement with it
 *                 └─▶ nothing to say: it waits ─ something to say, more packets, QUIC_ACK_WAIT ─▶ a packet of its own
 *
 * ngtcp2 acknowledges with whatever is written next, so all that is decided here is when something is written.
 */
#ifndef QUDAG_SRC_QUIC_ACK_H
#define QUDAG_SRC_QUIC_ACK_H

#include "base/types.h"

#define QUIC_ACK_WAIT (5 * NS_PER_MS)
#define QUIC_ACK_PACKETS 8

/* What is known when a packet has been read. */
struct quic_ack {
    bool settled;     /* the handshake is over, and the link is not being closed */
    bool work;        /* a stream has something to write */
    bool congested;   /* it was marked CE (RFC 9000 13.2.1) */
    uint32_t packets; /* read since something was written, this one among them */
};

/* Whether nothing has to be written at once. */
bool quic_ack_waits(const struct quic_ack *a);

#endif
