/*
 * gate.h - how many connections of others may begin a handshake: a handshake costs some hundred times what a connection
 * costs whoever makes it.
 *
 * As long as few come, all are taken.  Once TCP_GATE_FREE were taken in a window of a second, one is taken
 * only if fewer than TCP_GATE_FAIR were of those networks that share a cell with its own, and TCP_GATE_MOST at most in
 * all.
 */
#ifndef QUDAG_SRC_UPGRADE_GATE_H
#define QUDAG_SRC_UPGRADE_GATE_H

#include "base/types.h"

#define TCP_GATE_WINDOW NS_PER_S
#define TCP_GATE_FREE 32
#define TCP_GATE_FAIR 8
#define TCP_GATE_MOST 256
#define TCP_GATE_CELLS 1024

struct tcp_gate {
    uint64_t key[2];
    tstamp window; /* when this one began */
    uint32_t taken;
    uint8_t cell[TCP_GATE_CELLS]; /* taken in this window, by network */
};

/* |key|: unknown to peers, who choose their networks. */
void tcp_gate_init(struct tcp_gate *g, const uint64_t key[2]);

/* One more came at |now| from |net|: whether it is taken.  Which networks share a cell is drawn anew in each window. */
bool tcp_gate_take(struct tcp_gate *g, uint64_t net, tstamp now);

#endif
