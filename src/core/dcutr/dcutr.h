/*
 * dcutr.h - DCUtR, both roles (libp2p specs: relay/DCUtR.md): two peers linked through a relay open a way between the
 * NATs before them.  For peers that do not know core/meet.
 *
 *   B, who was dialled through the relay            A, who dialled
 *     dcutr_begin ─ DCUTR_UP_REVERSE (it shows a public address) ─ not up in DCUTR_REVERSE_NS
 *       CONNECT our addresses ──────────────────────▶ DCUTR_UP_ASKED ─ dcutr_allow
 *       ◀────────────────────────────────────────── CONNECT its addresses
 *       SYNC ───────────────────────────────────────▶ DCUTR_UP_DIAL: QUIC, TCP, as client
 *       half a round trip later DCUTR_UP_PACKET to each UDP address, repeated; in the last attempt DIAL, too
 *     dcutr_linked: a direct link is up             dcutr_linked
 *
 * What a peer can make us send to an address that never answered is bounded: DCUTR_PACKETS_MAX small packets in each of
 * DCUTR_ATTEMPTS attempts, to DCUTR_ADDRS_MAX addresses; then none for DCUTR_AGAIN_NS.
 */
#ifndef QUDAG_SRC_CORE_DCUTR_DCUTR_H
#define QUDAG_SRC_CORE_DCUTR_DCUTR_H

#include "base/netaddr.h"
#include "core/core.h"
#include "wire/dcutr_msg.h"

#define DCUTR_PEERS_MAX 32 /* with whom it is under way, or that are remembered */
#define DCUTR_ATTEMPTS 3   /* "retry twice" */
#define DCUTR_ASKED_MAX 4  /* times that a peer may ask us within DCUTR_AGAIN_NS */
#define DCUTR_PACKETS_MAX 24
#define DCUTR_HOST_MAX 288u    /* packets to one host within DCUTR_AGAIN_NS, whoever names it */
#define DCUTR_HOST_DIALS 12u   /* dials of one host within DCUTR_AGAIN_NS, likewise */
#define DCUTR_HOSTS 256u       /* counters of them */
#define DCUTR_PACKET_LEAST 32u /* bytes */
#define DCUTR_PACKET_MOST 64u
#define DCUTR_REVERSE_NS NS_PER_S        /* for a dial without help, before help is asked for */
#define DCUTR_TIMEOUT_NS (10 * NS_PER_S) /* for each message of the peer */
#define DCUTR_PUNCH_NS (5 * NS_PER_S)    /* from SYNC to a link */
#define DCUTR_AGAIN_NS (120 * NS_PER_S)  /* after the end of a try that failed */

enum dcutr_state {
    DCUTR_NONE,
    DCUTR_REVERSING, /* B */
    DCUTR_OPENING,
    DCUTR_ASKING,
    DCUTR_SYNCED,
    DCUTR_PUNCHING,
    DCUTR_READING, /* A */
    DCUTR_ASKED,
    DCUTR_ANSWERED,
    DCUTR_DIALLING,
    DCUTR_DIRECT,
    DCUTR_FAILED,
};

/* ACT_UP kinds */
enum dcutr_up {
    DCUTR_UP_ASKED = 1, /* peer: it wants to; dcutr_allow() answers */
    DCUTR_UP_REVERSE, /* peer: to be dialled where it says that it is; dcutr_not_there() when that failed */
    DCUTR_UP_DIAL, /* peer, ptr = struct dcutr_msg: to be dialled at these addresses at once */
    DCUTR_UP_PACKET, /* peer, ptr = struct dcutr_packet: to leave from the socket that QUIC listens on */
    DCUTR_UP_DONE, /* peer, err: QUDAG_OK a direct link is up; it is over */
};

struct dcutr_packet {
    struct netaddr to;
    size_t len;
    /* Random, but neither STUN nor QUIC (RFC 7983): the first is 4 to 15. */
    uint8_t bytes[DCUTR_PACKET_MOST];
};

/* What became of the last try with a peer: for people. */
struct dcutr_look {
    enum dcutr_state state;
    bool initiator; /* B */
    uint8_t attempts;
    qudag_err err;
    uint32_t packets; /* that were sent */
    uint64_t rtt_ns;  /* over the relay; 0: not measured */
    tstamp began, ended;
    struct dcutr_msg ours, theirs; /* addresses */
    const char *why;               /* static; "" */
};

/* Counted since the beginning. */
struct dcutr_stats {
    uint64_t begun, asked, refused; /* as B; as A; of these, that were told nothing */
    uint64_t direct, failed;        /* how they ended */
    uint64_t packets;
};

/* Copied. */
struct dcutr_config {
    struct mem *mem;
    struct rng rng;
    bool lab; /* private addresses and loopback are as good as others */
};

struct dcutr;
/* Of DCUTR_PROTOCOL. */
extern const struct core_ops dcutr_ops;

/* Freed with dcutr_free().  QUDAG_ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err dcutr_new(struct dcutr **out, const struct dcutr_config *cfg);
void dcutr_free(struct dcutr *d);

/*
 * Where we may be found, without relays: what others are told from now on (copied, at most DCUTR_ADDRS_MAX; those that
 * dcutr_rule_addr() refuses are left out).
 */
void dcutr_set_addrs(struct dcutr *d, const struct multiaddr *addr, size_t n);

/*
 * |peer| came through a relay, and is to be linked directly; |shows|: it says that it has a public address.  One
 * DCUTR_UP_DONE follows.  QUDAG_EINVAL, QUDAG_EEXISTS (under way), QUDAG_ELIMIT (too many, or too soon), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err dcutr_begin(struct dcutr *d, const struct peer_id *peer, bool shows,
                                     tstamp now, struct acts *out);
/* The answer to DCUTR_UP_ASKED, at any time.  Without a question nothing happens. */
void dcutr_allow(struct dcutr *d, const struct peer_id *peer, bool yes, tstamp now,
                 struct acts *out);
/* DCUTR_UP_REVERSE has led to nothing. */
void dcutr_not_there(struct dcutr *d, const struct peer_id *peer, tstamp now, struct acts *out);
/* A direct link with |peer| is up, whoever made it. */
void dcutr_linked(struct dcutr *d, const struct peer_id *peer, tstamp now, struct acts *out);

/* The network is another: what failed in the one before may be begun again at once. */
void dcutr_forget(struct dcutr *d);

/* One with whom it is under way, |*it| from 0 on; false at the end. */
bool dcutr_next(const struct dcutr *d, size_t *it, struct peer_id *out);
/* Valid as long as |d|. */
const struct dcutr_stats *dcutr_stats(const struct dcutr *d);
/* The last try with |peer|; false: there was none, or it is forgotten. */
bool dcutr_look(const struct dcutr *d, const struct peer_id *peer, struct dcutr_look *out);

/* ---- rules ---- */

/*
 * Whether a peer may send us to |addr|: QUIC or TCP without a relay, at a host of the Internet; in a |lab| at any, but
 * nobody in particular.  Neither multicast nor port 0.
 */
bool dcutr_rule_addr(const struct multiaddr *addr, bool lab);
/*
 * Drops from |m| what dcutr_rule_addr() refuses, what is there twice, and what is one of |ours|: an address of ours, at
 * which whoever names it would have us send to ourselves.
 */
void dcutr_rule_take(struct dcutr_msg *m, const struct dcutr_msg *ours, bool lab);
/* Whether one more packet, or dial, may go to a host that has had |had| of |most|. */
bool dcutr_rule_one_more(uint32_t had, uint32_t most);
/* Whether B dials, too, in |attempt| (1 to DCUTR_ATTEMPTS): some peers have the roles exchanged. */
bool dcutr_rule_dials(unsigned attempt);
/* Between two packets: 10 to 200 ms. */
uint64_t dcutr_rule_interval(uint32_t random);
/* Fills |p| but for its address from 1 + DCUTR_PACKET_MOST random bytes. */
void dcutr_rule_packet(struct dcutr_packet *p, const uint8_t random[1 + DCUTR_PACKET_MOST]);

#endif
