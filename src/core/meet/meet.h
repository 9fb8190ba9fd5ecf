/*
 * meet.h - two peers that reach each other through a relay find a direct path (design: spec/meet.md).
 *
 *   over the relayed link:  A ─ HELLO secret, candidates ─▶ B ─ HELLO ─▶ A ─ START ─▶ B      (MEET_PROTOCOL)
 *   then both at once:      STUN Binding requests with USERNAME and integrity under a key from both secrets, from the
 *                           socket that QUIC listens on, to each candidate and to wherever one came from
 *   a pair that is valid:   A dials it by QUIC (MEET_UP_FOUND); rounds until then, and a reason if there is none
 *
 * Meant for peers that the program named (MEET_UP_ASKED is answered by meet_allow()).  What a peer can make us send to an
 * address that never answered is bounded: MEET_UNANSWERED_MAX packets for each meeting.
 */
#ifndef QUDAG_SRC_CORE_MEET_MEET_H
#define QUDAG_SRC_CORE_MEET_MEET_H

#include "base/netaddr.h"
#include "core/core.h"

#define MEET_PROTOCOL "/qudag/meet/1.0.0"
#define MEET_CANDIDATES_MAX 16
#define MEET_PACKETS_MAX 96 /* bytes of a check */

/* Where a candidate address comes from; in the order in which pairs are tried, IPv6 first (RFC 8445 5.1.2). */
enum meet_kind { MEET_HOST, MEET_MAPPED, MEET_OBSERVED, MEET_PEER_REFLEXIVE, MEET_PREDICTED };

struct meet_candidate {
    struct netaddr addr;
    enum meet_kind kind;
};

/* How a round goes about it. */
enum meet_round { MEET_PLAIN, MEET_FRESH_PORT, MEET_PREDICT, MEET_BIRTHDAY, MEET_ROUNDS };

enum meet_state { MEET_NONE, MEET_ASKING, MEET_CHECKING, MEET_DIALLING, MEET_DIRECT, MEET_FAILED };

/* What became of the last meeting with a peer: for status, ping and doctor, which explain it. */
struct meet_look {
    enum meet_state state;
    enum meet_round round;
    bool initiator;
    qudag_err err;
    tstamp began, found; /* 0: not */
    tstamp next_try;     /* TSTAMP_NEVER: not before the network changes */
    uint32_t sent, received, sockets;
    size_t n_ours, n_theirs;
    struct meet_candidate ours[MEET_CANDIDATES_MAX], theirs[MEET_CANDIDATES_MAX];
    struct netaddr local, remote; /* the pair that was found */
    const char *why;              /* static; "" */
};

struct meet;
/* The last meeting with |peer|; false: there was none. */
bool meet_look(const struct meet *m, const struct peer_id *peer, struct meet_look *out);

#endif
