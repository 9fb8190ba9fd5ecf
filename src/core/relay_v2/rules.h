/* rules.h - decisions of circuit relay v2 on which safety rests, as pure functions. */
#ifndef QUDAG_SRC_CORE_RELAY_V2_RULES_H
#define QUDAG_SRC_CORE_RELAY_V2_RULES_H

#include "core/core.h"
#include "wire/circuit_msg.h"
#include "wire/voucher.h"

/*
 * Whether a link may carry what this protocol is for: its peer is known, and no other relay passes its bytes on.
 * Circuits through circuits would be chains that nobody chose, and an anonymous peer cannot be reserved for.
 */
bool relayed_rule_carrier(uint8_t props, const struct peer_id *peer);

/*
 * Whether bytes may follow a CONNECT before its answer over a link with these properties: only nodes of this project
 * take them, a round trip earlier than the specification has it.
 */
bool relayed_rule_early_bytes(uint8_t props);

/* How many places are taken, and the most that may be. */
struct hop_room {
    uint32_t all, net, host; /* in all; by the network, by the host that asks */
    uint32_t all_max, net_max, host_max;
    bool gives_way; /* somebody who has more than his share would give up a place */
};
/* Whether one more reservation may be made. */
bool hop_rule_room(const struct hop_room *r);

/*
 * The limit of a circuit: |limit|, and where not both ends are nodes of this project (|known|) |stranger| too, of each
 * the tighter; 0 is none.
 */
struct circuit_limit hop_rule_limit(const struct circuit_limit *limit,
                                    const struct circuit_limit *stranger, bool known);

/* Whether |n| more bytes in a direction in which |passed| have passed are within |limit|. */
bool relayed_rule_data(const struct circuit_limit *limit, uint64_t passed, uint64_t n);

#define RELAYED_TERM_MIN                                                                           \
    120 /* seconds: who is told less refreshes no more often than that asks for */
#define RELAYED_TERM_MAX 86400 /* ... and of more nothing is believed */
/*
 * For how long, in seconds, a reservation is taken to hold that the relay says ends at |expire|, by our clock |now|:
 * within the bounds above, since its clock, or ours, may be wrong, or the relay lie.
 */
uint32_t relayed_rule_term(uint64_t expire, walltime now);

/*
 * Whether a relay is asked for a place as soon as there is a link with it, and not only after the pause: that was for
 * one that gives no answer (|status| 0).  One that refuses could make us ask as often as it dials.
 */
bool relayed_rule_early(bool held, bool asking, uint32_t status);

/*
 * Whether peers are told that a relay is where we |reached| it, and not where it |said| it is first: that is another
 * host of the same IP version, or a name, and whoever comes to us would send there.  Not for one that we reached on a
 * local network.
 */
bool relayed_rule_where(const struct multiaddr *reached, const struct multiaddr *said);

#define RELAYED_VOUCHER_SKEW 300 /* seconds */
/*
 * Whether a voucher that |relay| signed is one for |self| whose time is not over at |now|.  QUDAG_EAUTH: for another
 * peer; QUDAG_EEXPIRED: an old one, shown again.
 */
QUDAG_MUST_USE qudag_err relayed_rule_voucher(const struct voucher *v, const struct peer_id *self,
                                              walltime now);

/* Why a circuit ended, as its two ends see it. */
struct relayed_end {
    qudag_err err;              /* QUDAG_OK: in good order */
    struct circuit_limit limit; /* that the relay told */
    uint64_t in, out;           /* bytes */
    uint64_t lived_ns;
};
/*
 * QUDAG_ELIMIT for a reset that comes when the limit that was told is used up, or all but used up: the relay counts
 * bytes that are still on their way to us.  Else e->err.
 */
qudag_err relayed_rule_end(const struct relayed_end *e);

#endif
