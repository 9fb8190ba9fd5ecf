/*
 * gate.h - Initials whose sender has proven nothing (SPEC: link 1.8): whether a handshake begins, a Retry is sent, or
 * nothing at all.
 *
 * Anybody can make as many as his line carries, in anybody's name, and a handshake costs a thousand times what
 * an Initial costs him.  So those that begin one are few in each window of time; the rest is answered by a Retry,
 * for which nothing is kept and no key derived, as long as answers do not become a flood of their own.  Hosts that are
 * kept out and networks that owe too much (work.h) are refused before, by at most 200 answers a second.
 */
#ifndef QUDAG_SRC_QUIC_GATE_H
#define QUDAG_SRC_QUIC_GATE_H

#include "base/types.h"

#define QUIC_GATE_WINDOW (100 * NS_PER_MS)
#define QUIC_GATE_BEGIN 16 /* handshakes begun unproven in a window; above: Retry */
#define QUIC_GATE_FAIR                                                                             \
    2 /* Retries sent in a window to each of QUIC_GATE_CELLS shares of all networks ... */
#define QUIC_GATE_RETRY 500 /* ... to anybody ... */
#define QUIC_GATE_MOST 3000 /* ... and in all; above: silence */
#define QUIC_GATE_CELLS 8192
#define QUIC_GATE_CALM                                                                             \
    (NS_PER_S) /* without a window above QUIC_GATE_BEGIN before handshakes begin unproven again */
#define QUIC_GATE_TELL (60 * NS_PER_S) /* between two words about it in the log */

enum quic_gate_way { QUIC_GATE_PASS, QUIC_GATE_PROVE, QUIC_GATE_DROP };

struct quic_gate {
    uint64_t key[2];
    tstamp window; /* when this one began */
    tstamp busy;   /* until then nothing unproven begins */
    tstamp told;   /* when the log said so; 0: never */
    uint32_t came, answered;
    uint8_t cell[QUIC_GATE_CELLS]; /* answered in this window, by network */
};

/* |key|: unknown to peers, who choose their networks. */
void quic_gate_init(struct quic_gate *g, const uint64_t key[2]);

/*
 * One more came at |now| from |net|: what becomes of it.  Whoever does not forge all of the Internet leaves the shares
 * of other networks alone; which of them share one is drawn anew in each window.
 */
enum quic_gate_way quic_gate_take(struct quic_gate *g, uint64_t net, tstamp now);

/* Whether the log is to say that the gate is shut; at most once in QUIC_GATE_TELL. */
bool quic_gate_tell(struct quic_gate *g, tstamp now);

#endif
