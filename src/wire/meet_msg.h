/*
 * meet_msg.h - messages of a meeting (spec/meet.md 3), which two peers exchange over the link that a relay carries.
 *
 *   length:1-2 (uvarint) | type:1 | ...      a message has at most MEET_MSG_MAX bytes behind its length
 *   HELLO   version:1 | secret:32 | nat:1 | step:2 | held:2 | n:1 | candidate * n
 *   ROUND   round:1 | flags:1 | n:1 | candidate * n
 *   START   round:1
 *   END     reason:1
 *   candidate   kind:4 bits | set:4 bits | family:1 (4, 6) | address:4 or 16 | port:2
 *
 * What follows a HELLO's candidates is ignored, so that a later version may add to it.
 */
#ifndef QUDAG_SRC_WIRE_MEET_MSG_H
#define QUDAG_SRC_WIRE_MEET_MSG_H

#include "base/netaddr.h"
#include "base/wr.h"

#define MEET_VERSION 1
#define MEET_SECRET 32
#define MEET_CANDIDATES_MAX 16
#define MEET_MSG_MAX 512

/* Where a candidate address comes from; in the order in which pairs are tried, IPv6 first (RFC 8445 5.1.2). */
enum meet_kind { MEET_HOST, MEET_MAPPED, MEET_OBSERVED, MEET_PEER_REFLEXIVE, MEET_PREDICTED };

struct meet_candidate {
    struct netaddr addr;
    enum meet_kind kind;
    uint8_t
        set; /* of which socket of a round: pairs are made within a set; 0: the one that is listened on */
};

/* How a round goes about it. */
enum meet_round { MEET_PLAIN, MEET_FRESH_PORT, MEET_PREDICT, MEET_BIRTHDAY, MEET_ROUNDS };

enum meet_msg_type { MEET_HELLO = 1, MEET_ROUND, MEET_START, MEET_END };

/* What a router is, as far as its own side has seen (RFC 4787 4.1). */
enum meet_nat { MEET_NAT_UNKNOWN, MEET_NAT_INDEPENDENT, MEET_NAT_DEPENDENT };

/* Why a side ends a meeting. */
enum meet_end {
    MEET_END_DIRECT = 1, /* there is a direct link */
    MEET_END_GIVE_UP,    /* no round is left */
    MEET_END_REFUSED,    /* not with this peer */
    MEET_END_BUSY,       /* not now */
    MEET_END_SHORT,      /* sockets or memory are lacking here */
};

#define MEET_FLAG_NO_BIRTHDAY                                                                      \
    1 /* of a ROUND: this side's router gives few ports, or it was done lately */

struct meet_msg {
    enum meet_msg_type type;
    uint8_t secret[MEET_SECRET]; /* HELLO; to be wiped */
    enum meet_nat nat;
    int16_t step;          /* of ports, where it is constant; 0: not */
    uint16_t held;         /* ms from their HELLO to ours; in the first: round trip to the relay */
    enum meet_round round; /* ROUND, START */
    uint8_t flags;
    enum meet_end end;
    size_t n;
    struct meet_candidate v[MEET_CANDIDATES_MAX];
};

/* Writes |m| with its length in front.  The writer's error is set where there is no room. */
void meet_msg_write(struct wr *w, const struct meet_msg *m);

/*
 * Reads the message at the front of |in|; *used: its bytes, 0: it is not whole yet.  QUDAG_EMALFORMED, QUDAG_ETOOBIG,
 * QUDAG_EUNSUPPORTED (another version).  Candidates of a kind that is not known are left out.
 */
QUDAG_MUST_USE qudag_err meet_msg_read(struct meet_msg *m, struct slice in, size_t *used);

#endif
