/*
 * rules.h - which protocols secure a byte stream, and what they have to prove: decisions as functions of what is known.
 *
 *                                  require     prefer          off
 *   /tls/1.0.0                     yes         first           first
 *   /noise-mlkem768-hfs/0.1.0      -           second          -
 *   /noise                         -           third           second
 *
 * Noise proves an Ed25519 key only: whoever needs an ML-DSA key proven, or has the hash of one, neither proposes nor
 * takes it.  The hybrid one has a post-quantum key exchange, the other has none.  The same protocols are proposed and
 * accepted, so a peer, or whoever stands between, cannot talk us into one that we would not propose.
 */
#ifndef QUDAG_SRC_UPGRADE_RULES_H
#define QUDAG_SRC_UPGRADE_RULES_H

#include "sec/sec.h"

enum upgrade_proto { UPGRADE_TLS, UPGRADE_NOISE_HYBRID, UPGRADE_NOISE, UPGRADE_PROTOS };

/* What a link has to be. */
struct upgrade_wish {
    enum pq_policy pq;
    uint8_t need; /* LINK_PQ_KEX, LINK_PQ_AUTH */
    bool pinned;  /* the peer's ML-DSA key is known by its hash */
};

/* The protocol's id; static. */
const char *upgrade_proto_id(enum upgrade_proto p);

/* The protocols that fulfil |w|, the preferred first; how many, at least one. */
size_t upgrade_rule_protos(const struct upgrade_wish *w, enum upgrade_proto out[UPGRADE_PROTOS]);

/*
 * Whether a link with the properties |props| and, |has_hash|, a proven ML-DSA key fulfils |w|, whatever protocol it
 * came by: QUDAG_EPOLICY, QUDAG_EAUTH; *text says why (static).
 */
QUDAG_MUST_USE qudag_err upgrade_rule_admit(const struct upgrade_wish *w, uint8_t props,
                                            bool has_hash, const char **text);

#define UPGRADE_PATIENCE (3 * NS_PER_S)   /* with a handshake while others wait for its place, */
#define UPGRADE_SILENCE (150 * NS_PER_MS) /* and with one that has not said anything */
/* A handshake that others began, and a newcomer who finds no free place. */
struct upgrade_rivals {
    uint32_t holders;   /* under way from its network, which has more than any other */
    uint32_t newcomers; /* from the newcomer's */
    uint64_t age_ns;
    bool silent; /* no byte came of it: whoever dials speaks first, at once */
};
/*
 * Whether the handshake gives its place to the newcomer.  A connection that says nothing costs whoever makes it
 * nothing, so those who hold most, or who take long, must not keep all others out.
 */
bool upgrade_rule_gives_way(const struct upgrade_rivals *r);

/*
 * A link through a relay whose path may have died: the relay's end answers what is sent there, and the peer's end need
 * not be there any more.
 */
#define UPGRADE_QUIET_PING (400 * NS_PER_MS) /* nothing came for so long after bytes left: a ping */
#define UPGRADE_QUIET_AFTER NS_PER_S         /* after the same bytes, and nothing yet: LINK_QUIET */
#define UPGRADE_QUIET_BYTES 16384 /* more than that: a relay may hold it back, within its rate */

enum upgrade_quiet { UPGRADE_QUIET_WAIT, UPGRADE_QUIET_ASK, UPGRADE_QUIET_TELL };

/* |bytes| left since |asked| (0: none), and nothing came. */
enum upgrade_quiet upgrade_rule_quiet(tstamp asked, uint64_t bytes, tstamp now);

#endif
