/*
 * meet.h - two peers that reach each other through a relay find a direct path (spec/meet.md).
 *
 *   over the relayed link:  A ─ HELLO secret, candidates ─▶ B ─ HELLO ─▶ A ─ START ─▶ B      (MEET_PROTOCOL)
 *   then both at once:      STUN Binding requests with USERNAME and integrity under a key from both secrets, from the
 *                           socket that QUIC listens on, to each candidate and to wherever one came from
 *   a pair that is valid:   A dials it by QUIC (MEET_UP_FOUND); rounds until then, and a reason if there is none
 *
 *   A:  ASKING ─ HELLO ─▶ CHECKING ⇄ GATHERING (sockets of the next round, ROUND both ways)
 *           CHECKING, GATHERING ─ a pair is valid ─▶ DIALLING ─ meet_dialled() ─▶ DIRECT, or back
 *   B:  ASKING ─ meet_allow() ─▶ WAITING ─ START ─▶ CHECKING ─ ROUND ─▶ GATHERING ─▶ WAITING ...
 *           END ─▶ DIRECT, FAILED
 *
 * Meant for peers that the program named (MEET_UP_ASKED is answered by meet_allow() or meet_refuse()).  What a peer can
 * make us send to an address that never answered is bounded: rules.h.  What is lacking here is never held against it.
 */
#ifndef QUDAG_SRC_CORE_MEET_MEET_H
#define QUDAG_SRC_CORE_MEET_MEET_H

#include "core/core.h"
#include "wire/meet_msg.h"

#define MEET_PROTOCOL "/qudag/meet/1.0.0"
#define MEET_PACKET_MAX 128 /* bytes of a check */
#define MEET_OURS_MAX 8     /* meetings at once, one for each peer, that we began */
#define MEET_INBOUND_MAX 4  /* that others began and the node allowed */
#define MEET_DOOR_MAX 4     /* that others began and nobody here has allowed yet */
#define MEET_MEETINGS_MAX (MEET_OURS_MAX + MEET_INBOUND_MAX + MEET_DOOR_MAX)
#define MEET_PEERS_MAX 64          /* peers whose last meeting is remembered */
#define MEET_SOCKETS_MAX 400       /* of one meeting, beside the ones that are listened on */
#define MEET_LIMIT (60 * NS_PER_S) /* of a whole meeting */
/* Of one that a peer began whom the program has not named, once it is allowed. */
#define MEET_LIMIT_UNNAMED (20 * NS_PER_S)

enum meet_state {
    MEET_NONE,
    MEET_ASKING,
    MEET_WAITING,
    MEET_CHECKING,
    MEET_GATHERING,
    MEET_DIALLING,
    MEET_DIRECT,
    MEET_FAILED
};

/* What became of the last meeting with a peer: for status, ping and doctor, which explain it. */
struct meet_look {
    enum meet_state state;
    enum meet_round round;
    bool initiator;
    qudag_err err;
    tstamp began, started, found; /* 0: not */
    tstamp next_try;              /* TSTAMP_NEVER: not before the network changes */
    uint32_t sent, received, sockets;
    enum meet_nat our_nat, their_nat;
    size_t n_ours, n_theirs;
    struct meet_candidate ours[MEET_CANDIDATES_MAX], theirs[MEET_CANDIDATES_MAX];
    struct netaddr local, remote; /* the pair that was found */
    const char *why;              /* static; "" */
};

/* What there is on this side, as the node knows it when a meeting begins. */
struct meet_own {
    const struct meet_candidate *v; /* best first; at most MEET_CANDIDATES_MAX are told */
    size_t n;
    enum meet_nat nat;
    int16_t step;  /* between ports of our router, where it is constant */
    bool ip4, ip6; /* there is a socket that is listened on */
    bool lab;      /* loopback addresses are met, too */
    bool named;    /* the program named this peer: 1024 packets may go to its host, see rules.h */
    uint64_t rtt;  /* between this side and the relay, ns; 0: not known */
};

/* Meetings that ended, by the round that they had come to. */
struct meet_stats {
    uint64_t direct[MEET_ROUNDS], failed[MEET_ROUNDS];
    uint64_t allowed, refused;       /* of those that peers asked for: by the node here */
    uint64_t sent, received, forged; /* checks; those whose integrity was wrong */
};

/* ACT_UP kinds; |peer| is set. */
enum meet_up {
    /* A peer wants to meet: meet_allow() or meet_refuse(), now or soon. */
    MEET_UP_ASKED = 1,
    /* ptr: struct meet_packet, to be sent. */
    MEET_UP_SEND,
    /* A socket is to be opened; cookie; n: 1 its address outside is to be asked for (STUN), 0 not: meet_socket().
       One that is asked about during a birthday shows whether the router has a port for one more. */
    MEET_UP_SOCKET,
    /* ptr: struct netaddr of a socket of meet_socket(): not needed any more, but by a link over it. */
    MEET_UP_CLOSE,
    /* ptr: struct meet_pair that works; A only: to be dialled by QUIC, then meet_dialled(). */
    MEET_UP_FOUND,
    /* ptr: struct meet_pair, B only: the peer may dial that extra socket of ours from there. */
    MEET_UP_EXPECT,
    /* The meeting is over; err, n: enum meet_round; the rest: meet_look(). */
    MEET_UP_ENDED,
};

struct meet_packet {
    struct netaddr local; /* family 0: the socket of |to|'s family that is listened on */
    struct netaddr to;
    size_t len;
    uint8_t bytes[MEET_PACKET_MAX];
};

struct meet_pair {
    struct netaddr local, remote;
};

struct meet_config {
    struct mem *mem;
    struct rng rng;
    struct peer_id self;
};

struct meet;
extern const struct core_ops meet_ops;

/* Freed with meet_free(), which ends all meetings without a word.  NULL: no memory. */
struct meet *meet_new(const struct meet_config *cfg);
/* |m| may be NULL. */
void meet_free(struct meet *m);

/*
 * Begins to meet |peer|, with whom a relayed link of ours stands.  QUDAG_EEXISTS: under way; QUDAG_EAGAIN: failed
 * before, see next_try; QUDAG_ELIMIT: MEET_OURS_MAX are; QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err meet_begin(struct meet *m, const struct peer_id *peer,
                                    const struct meet_own *own, tstamp now, struct acts *out);
/* Answers to MEET_UP_ASKED; nothing if it is over meanwhile.  Where there is no place (rules.h) the peer hears so. */
void meet_allow(struct meet *m, const struct peer_id *peer, const struct meet_own *own, tstamp now,
                struct acts *out);
/* Nobody is told more than |reason|. */
void meet_refuse(struct meet *m, const struct peer_id *peer, enum meet_end reason, tstamp now,
                 struct acts *out);
/*
 * The answer to MEET_UP_SOCKET: at->local, and at->remote where others see it, family 0: not known.  QUDAG_ETIMEOUT: it
 * is open, but nobody outside hears of it (a router without a port for one more); other errors: there is none.
 */
void meet_socket(struct meet *m, uint64_t cookie, qudag_err err, const struct meet_pair *at,
                 tstamp now, struct acts *out);
/*
 * A datagram that is STUN came in by |local| (family 0, or the address of an extra socket) from |from|.  True: it was
 * one of a meeting, right or forged; false: it is for somebody else.
 */
bool meet_packet_in(struct meet *m, const struct meet_pair *at, struct slice datagram, tstamp now,
                    struct acts *out);
/* The QUIC dial of MEET_UP_FOUND ended; OK: there is a direct link. */
void meet_dialled(struct meet *m, const struct peer_id *peer, qudag_err err, tstamp now,
                  struct acts *out);
/* There is a direct link by another way: nothing is left to do. */
void meet_direct(struct meet *m, const struct peer_id *peer, tstamp now, struct acts *out);
/* The network here is another: who failed may be tried at once. */
void meet_network_changed(struct meet *m);

/* The last meeting with |peer|; false: there was none. */
bool meet_look(const struct meet *m, const struct peer_id *peer, struct meet_look *out);
/* Those with whom a meeting is under way, |*it| from 0 on; false at the end. */
bool meet_next(const struct meet *m, size_t *it, struct peer_id *peer);
/* Whether meet_begin() with |peer| makes sense now. */
bool meet_may(const struct meet *m, const struct peer_id *peer, tstamp now);
/* Counters since the beginning; valid until meet_free(). */
const struct meet_stats *meet_statistics(const struct meet *m);

#endif
