/*
 * rules.h - the swarm's decisions on which safety rests, as pure functions.
 *
 * Nothing here has state, a clock or memory of its own; rules_test.c holds the tables of what is
 * accepted and what is refused.
 */
#ifndef QUDAG_SRC_SWARM_RULES_H
#define QUDAG_SRC_SWARM_RULES_H

#include "core/link.h"
#include "swarm/path.h"

#define SWARM_PIN_LEN 32 /* bytes of the hash of an ML-DSA identity key */

/* What a link can prove that the next one with the same peer must not lack. */
#define SWARM_PROVEN_PROPS (LINK_PQ_KEX | LINK_PQ_AUTH)

/* What is known of a peer before a new link with it. */
struct swarm_proof {
    uint8_t proven; /* of SWARM_PROVEN_PROPS: what links with the peer had before */
    bool has_pin;
    uint8_t pin[SWARM_PIN_LEN]; /* the hash its ML-DSA key must have */
    bool has_former; /* the pin followed a statement of succession (spec/succession.md) */
    uint8_t former[SWARM_PIN_LEN]; /* ... from this one */
    uint64_t seq;                  /* ... with this number; 0: none */
};

/* What a link that stands between now and an earlier one, or a record, says of itself. */
struct swarm_claim {
    uint8_t props;          /* enum link_prop */
    const uint8_t *pq_hash; /* SWARM_PIN_LEN bytes; NULL: no ML-DSA key was proven */
};

/*
 * The properties that the next link must have: each one that was proven before, by itself.  A peer that
 * once did a hybrid key exchange and proved a classical key (go-libp2p and rust-libp2p) must show the
 * former again and not the latter.  A pin asks for LINK_PQ_AUTH: the signature by the pinned key covers
 * the whole handshake, so nobody on the way can have weakened the key exchange unseen.
 */
uint8_t swarm_rule_need(const struct swarm_proof *before);

/*
 * Whether a link of any direction may stand that shows |now|, when |need| is what policy wants of every
 * link.  QUDAG_EPOLICY: a property is missing.  QUDAG_EAUTH: another key than the pinned one, or none.
 */
QUDAG_MUST_USE qudag_err swarm_rule_admit(const struct swarm_proof *before, uint8_t need,
                                          const struct swarm_claim *now);

/* Takes what an admitted link showed into |proof|; true when that set the pin (trust on first use). */
bool swarm_rule_learn(struct swarm_proof *proof, const struct swarm_claim *now);

/* What a valid statement says that the key |from| has the successor |to|. */
struct swarm_successor {
    uint8_t from[SWARM_PIN_LEN], to[SWARM_PIN_LEN];
    uint64_t seq;
};

enum swarm_follow {
    SWARM_FOLLOW,          /* the pin moves */
    SWARM_FOLLOW_LATE,     /* it does not: the pin is not |from|, or not with a lower number */
    SWARM_FOLLOW_CONFLICT, /* it does not: the pin came from |from|, too, and went to another key */
};

/*
 * Whether a pin follows: only forward, from the key that it is, with a higher number.  Of two successors of one key the
 * first that was seen stays, whoever made the second: a stolen key moves nobody who has left it.
 */
enum swarm_follow swarm_rule_follow(const struct swarm_proof *proof,
                                    const struct swarm_successor *next);

/* Whether |pin| is the key that the peer had before: what names it is older than its successor. */
bool swarm_rule_former(const struct swarm_proof *proof, const uint8_t pin[SWARM_PIN_LEN]);

/*
 * Whether a pin named by somebody else (a record, the command line) may stand beside what is known: not
 * against another pin.  What a peer proved itself weighs more than what a record says.
 */
bool swarm_rule_pin(const struct swarm_proof *proof, const uint8_t pin[SWARM_PIN_LEN]);

/* How a pin was learnt, in the order of what it costs somebody else to fill the table with such ones. */
enum swarm_pin_source {
    SWARM_PIN_RECORDED, /* from a signed record, which will be seen again, or the operator */
    SWARM_PIN_MET, /* the peer proved it on a link that it dialled, or that others made us dial */
    SWARM_PIN_DIALLED, /* ... on one that we dialled of our own choice */
    SWARM_PIN_SOURCES,
};

/*
 * What a link of that direction, dialled or used for a core that |chooses| whom it dials, is as a source of a pin.
 * EXTENDs and answers of the DHT name whom they like, so that what was dialled for them costs as little as coming here.
 */
enum swarm_pin_source swarm_rule_pin_source(bool inbound, bool chooses);

/*
 * Which source gives one pin up for a new one of |adding| when the table of |max| pins is full: the one that is
 * most over its share (recorded and dialled a quarter each, met half), the new one counted.  So whoever floods the
 * table by one way pushes out what came by that way, and nobody below its share loses any.
 */
enum swarm_pin_source swarm_rule_pin_gives(const uint32_t count[SWARM_PIN_SOURCES], uint32_t max,
                                           enum swarm_pin_source adding);

/*
 * Whether an address that others told (a DHT answer) may be dialled: it must not make us send
 * into our own machine or network, or to nobody in particular.  |private_ok|: networks of one machine
 * or laboratory, where private and loopback addresses are the only ones.
 */
bool swarm_rule_hint(const struct netaddr *addr, bool private_ok);

/* The addresses of this machine after they changed. */
struct swarm_moved {
    const struct netaddr *have; /* all of its interfaces, and those sockets are bound to */
    size_t n_have;              /* 0: not to be had */
    struct netaddr left
        [2]; /* what the kernel sent from by default, IPv4 and IPv6, and does no longer; family 0: none */
};
/*
 * Whether a link with the address |local| on our side cannot go on: the address is gone; or, for one that we dialled
 * without naming an address, the kernel sends from another by now.  Peers do not follow links to other addresses.
 */
bool swarm_rule_local_gone(const struct swarm_moved *m, const struct netaddr *local, bool inbound);

/*
 * Whether a link with |props| may carry a stream: it has all of |need|, and a link that a relay limits
 * (in time and bytes) only if the protocol allows that; with |ours_only| only one that we dialled.
 */
bool swarm_rule_carries(uint8_t props, uint8_t need, bool limited_ok, bool ours_only);

/*
 * Whether what goes on for long leaves a link with |props| for another, the best one, with |best|: it is relayed or
 * limited and that is not, or it is |failing|, whatever the other is.
 */
bool swarm_rule_moves(uint8_t props, bool failing, uint8_t best);

/* Whether it may carry streams of a core; one that is |direct_only| (core_ops) uses no link through a relay. */
bool swarm_rule_relayed(uint8_t props, bool direct_only);

/*
 * Whether streams of cells may go over a link with |props|: where it is |shaped|, each packet ends with a cell
 * (link_ops.set_unit) and links can be padded, so that packets show the number of cells and no more.  What a byte
 * stream shows depends on what else it carries: sizes of records, windows, what the kernel joins and sends again.  The
 * links of circuits have no packets of their own: they are cells.
 */
bool swarm_rule_cells(uint8_t props, bool shaped);

/* Whether a stream of a protocol that is served to |anonymous| callers only may come over a link with |props|. */
bool swarm_rule_served(uint8_t props, bool anonymous);

/*
 * "Happy eyeballs" (RFC 8305) over transports and IP versions.  The first address is dialled, and another one whenever
 * SWARM_ATTEMPT_DELAY passes without an outcome or a dial fails, up to SWARM_DIALS_PARALLEL at once; what is up first
 * wins.  So whoever drops the packets of one transport costs two delays, not a time-out.
 */
#define SWARM_DIALS_PARALLEL 5 /* IPv6 and IPv4 over two direct transports, and a relayed address */
#define SWARM_ATTEMPT_DELAY (250 * NS_PER_MS) /* RFC 8305 5, "Connection Attempt Delay" */
struct swarm_candidate {
    uint8_t cost;   /* enum transport_cost */
    uint8_t family; /* 4, 6; else 0 */
    bool proven;    /* the newest link to the peer is or was there; of one at most */
    bool tried;
};
/*
 * Which of the |n| addresses of a peer, best first among equals, is dialled next; |n|: all were tried.
 *
 * By turns: the first of each transport and IP version, then the second of each; so a peer with many addresses of one
 * kind is tried at one of every kind soon.  Within a turn direct ones before relayed ones, whose version does not
 * matter, those with streams of their own before others, and IPv6 first (RFC 8305 4), or the version at which the peer
 * was.  A proven address is the first of its kind.
 */
size_t swarm_rule_next_dial(const struct swarm_candidate *c, size_t n);
/* Whether one more address may be dialled beside |under_way|; |due|: the delay is over, or a dial has failed. */
bool swarm_rule_attempt(uint32_t under_way, bool due);
/* Whether a dial that costs |dial| (enum transport_cost) is pointless since a link that cost |up| is up. */
bool swarm_rule_loses(unsigned dial, unsigned up);

/*
 * Whether a link with |props| that comes up, in either direction, ends the pause after dials that failed: the peer
 * lives, and the link has all of |need|, which they insisted on.
 */
bool swarm_rule_clears_backoff(uint8_t props, uint8_t need);

/*
 * Whether a dial that could not even begin with |err| says nothing of the peer: a limit, or no memory, is this node's
 * matter, and not held against it.
 */
bool swarm_rule_is_ours(qudag_err err);

/* What decides between links of one peer that may all carry a stream. */
struct swarm_rank {
    uint8_t props;  /* enum link_prop */
    bool silent;    /* a liveness probe was not answered, or its peer takes nothing yet */
    uint8_t cost;   /* enum transport_cost */
    uint64_t order; /* the newer link has the higher number */
};

/*
 * Whether |a| is used rather than |b|: one that answers before a silent one, one without a limit before a
 * limited one, direct before relayed, more post-quantum properties before fewer, datagrams before byte streams, newer
 * before older.
 * The newest, because a peer that restarted leaves older links behind that are dead.
 */
bool swarm_rule_better(const struct swarm_rank *a, const struct swarm_rank *b);

/*
 * A path may die at any time, and one that was found between two NATs more easily than others.  The relayed link beside
 * a direct one stands by for so long after that came up, while the direct one is in use; then it ends when it is idle.
 */
#define SWARM_STANDBY (60 * NS_PER_S)
/* Whether a link with |more| (of enum link_prop) than the one that replaces it, up since |since|, is kept for now. */
bool swarm_rule_stands_by(unsigned more, bool in_use, tstamp since, tstamp now);

/* What is to be done about a link whose certificates end. */
enum swarm_renewal { SWARM_RENEWAL_NONE, SWARM_RENEWAL_DIAL, SWARM_RENEWAL_END };

/* A link, when our ML-DSA key is another. */
struct swarm_rekeyed {
    bool old;   /* it was made with the key before: dialled anew ... */
    tstamp due; /* ... not before */
    tstamp
        settles; /* one that is made anew: its peer, which follows us meanwhile, takes nothing before */
};

/*
 * What is to be done about a link of ours that was made with the ML-DSA key that we had before: another is dialled from
 * |rekey_at| on, whoever dialled this one and whether or not it is in use, so that the peer learns of the new key;
 * once another one is there (|replaced|), it has until its end to become idle, and is closed when it |is_idle|.
 */
enum swarm_renewal swarm_rule_rekey(tstamp rekey_at, bool is_idle, bool replaced, tstamp now);

#define SWARM_RENEW_LEAD                                                                           \
    (7200 * NS_PER_S) /* at most so long before the end another link is dialled */
/*
 * A link is replaced only if its certificates were good for so long when it was made.  A node's own are for 12 h at
 * least (sec.h); with shorter and shorter ones a peer would have us dial it, and check its signatures, without end.
 */
#define SWARM_RENEW_LEAST (2 * SWARM_RENEW_LEAD)
#define SWARM_RENEW_MARGIN (30 * NS_PER_S) /* a link ends so long before its certificates */

/*
 * When a link that comes up at |now| and whose certificates end at |until| is to be replaced: at most SWARM_RENEW_LEAD,
 * and at least half of that, before; TSTAMP_NEVER where they end in less than SWARM_RENEW_LEAST.  |random| spreads it,
 * since many links are made with one certificate.
 */
tstamp swarm_rule_renew_at(tstamp until, uint64_t random, tstamp now);

/*
 * A link is replaced before its certificates end at |until| if it is |in_use|, by the side that dialled it
 * (|inbound| false), from |renew_at| on, unless another link of the peer does its work already (|replaced|):
 * what is opened goes to the new one, and the old one has until its end to become idle.  At its end it is closed
 * whatever it carries: what its certificates proved holds no longer.
 */
enum swarm_renewal swarm_rule_renewal(tstamp until, tstamp renew_at, bool inbound, bool in_use,
                                      bool replaced, tstamp now);

/*
 * Two nodes that dialled each other at once have two links.  Both sides agree which one is kept: the one
 * dialled by the smaller peer id.  |inbound|: the link was dialled by |peer|.
 */
bool swarm_rule_kept_dial(const struct peer_id *self, const struct peer_id *peer, bool inbound);

/* Peers whose addresses are remembered where links_max is |links|: each link has one, and others are known besides. */
uint32_t swarm_rule_peers_max(uint32_t links);

#endif
