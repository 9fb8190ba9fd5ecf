/*
 * hop.h - the relay of circuit relay v2 (libp2p specs: relay/circuit-v2.md): keeps places for peers that nobody can
 * dial, and passes bytes between them and those who ask for them.
 *
 *   peer B ─ RESERVE ─▶ relay: a place until it expires, or B's last link is gone; a signed voucher
 *   peer A ─ CONNECT B ─▶ relay ─ stop: CONNECT A, limit ─▶ B ─ STATUS ok ─▶ relay ─ STATUS ok, limit ─▶ A
 *   A ◀──────────────── bytes of either side, with its credit ────────────────▶ B
 *
 * What is passed on is encrypted between A and B; the relay sees who talks to whom, when and how much.  Bytes are
 * never kept: credit goes back to a side once what it sent has left to the other, in turns where a rate is set, so
 * that no circuit takes another's share.  A request that is refused is answered, also when all circuits are taken:
 * requests have places of their own.
 */
#ifndef QUDAG_SRC_CORE_RELAY_V2_HOP_H
#define QUDAG_SRC_CORE_RELAY_V2_HOP_H

#include "core/core.h"
#include "crypto/sign.h"
#include "wire/circuit_msg.h"

#define HOP_READ_TIMEOUT (10 * NS_PER_S)   /* for a request to be complete */
#define HOP_ANSWER_TIMEOUT (15 * NS_PER_S) /* for the peer that was asked for */
#define HOP_ASK_AGAIN                                                                              \
    (1500 * NS_PER_MS) /* ... over a newer link of its, if it has one by then; doubled each time */
#define HOP_LINGER (10 * NS_PER_S) /* for the peer to close after our answer */
#define HOP_AGAIN (60 * NS_PER_S)  /* who reserves again before is told the same: signatures cost */
#define HOP_QUANTUM 16384          /* bytes of credit that a circuit gets at its turn */
#define HOP_EARLY_MAX 8192         /* bytes that are kept for a circuit before it is made */
#define HOP_STREAMS_PEER 24        /* streams that one peer may have open to us */

/* Copied.  A 0 takes the default, but for |limit| and |rate|. */
struct hop_config {
    struct mem *mem;
    struct rng rng;
    struct peer_id self;
    const struct secret_ed25519 *sk; /* of |self|, for vouchers; borrowed until hop_set_key() */
    const struct wallclock *clock;   /* likewise */
    uint32_t reservations_max;       /* default 128 */
    uint32_t reservations_host;      /* of one host; default 8 */
    uint32_t reservations_net;       /* of one network; default 32 */
    uint32_t reservation_s;          /* default 3600 */
    uint32_t requests_max;           /* being read, or answered; default 256 */
    uint32_t circuits_max;           /* default 512 */
    uint32_t circuits_peer;          /* in which one peer takes part, at either end; default 16 */
    struct circuit_limit limit;      /* of each circuit; 0: none */
    struct circuit_limit stranger;   /* also, where one end is no node of this project; 0: none */
    uint64_t rate;                   /* bytes a second of all circuits together; 0: no limit */
    uint64_t rate_peer;              /* of all circuits of one peer, at either end; 0: no limit */
    uint64_t rate_circuit;           /* of each circuit, both ways; 0: no limit */
};

/* Why a request was refused. */
enum hop_refusal {
    HOP_REFUSED_PERMISSION, /* over a relayed or an anonymous link */
    HOP_REFUSED_LIMIT,      /* a limit of ours */
    HOP_REFUSED_ABSENT,     /* there is no reservation of the peer that was asked for */
    HOP_REFUSED_FAILED,     /* that peer did not answer, or would not */
    HOP_REFUSED_MESSAGE,    /* malformed or unexpected */
    HOP_REFUSED_CLOSED,     /* no places are given away any more */
    HOP_REFUSALS,
};

/* Counted since the beginning; the last line as of now. */
struct hop_stats {
    uint64_t reserved, renewed, gave_way, connected, ended_by_limit, bytes;
    uint64_t refused[HOP_REFUSALS];
    uint32_t reservations, circuits, requests;
};

struct hop_service;
extern const struct core_ops hop_ops; /* of CIRCUIT_HOP_PROTOCOL; opens CIRCUIT_STOP_PROTOCOL */

/* A relay without reservations; freed with hop_free().  QUDAG_ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err hop_new(struct hop_service **out, const struct hop_config *cfg,
                                 tstamp now);
/* Frees it without a word to anybody; NULL allowed. */
void hop_free(struct hop_service *h);
/* |sk| signs from here on, borrowed as hop_config.sk was; the key is the same one. */
void hop_set_key(struct hop_service *h, const struct secret_ed25519 *sk);
/* Where peers reach this relay, told with each reservation: the first CIRCUIT_ADDRS_MAX of |n|, each with a /p2p. */
void hop_set_addrs(struct hop_service *h, const struct multiaddr *addr, size_t n);
/* Copies the counters. */
void hop_stats_get(const struct hop_service *h, struct hop_stats *out);
/*
 * Whether places are given away, as at the beginning; those that are kept stay until they expire, and circuits until
 * their limits.  For a relay that cannot be reached any more.
 */
void hop_set_open(struct hop_service *h, bool open);
bool hop_is_open(const struct hop_service *h);

/* A circuit, to look at. */
struct hop_circuit_look {
    struct peer_id from, to; /* who asked, and for whom */
    struct circuit_limit limit;
    uint64_t sent, got; /* bytes passed on from |from|, and to it */
    tstamp since;
    bool paced; /* it waits for a rate just now */
};
/* One after the other, |*it| from 0 on; false at the end. */
bool hop_circuit_next(const struct hop_service *h, size_t *it, struct hop_circuit_look *out);
/* Whether |peer| has a place here. */
bool hop_reserved(const struct hop_service *h, const struct peer_id *peer);

#endif
