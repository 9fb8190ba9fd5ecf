/*
 * breaker.h - after failures nothing is tried for a while: circuit breakers of peers and of networks.
 *
 *   CLOSED ─ failures, enough of them ─▶ OPEN ─ next_try ─▶ HALF_OPEN ─ one try ─ it worked ─▶ CLOSED
 *                                         ▲                                  └ it failed ─┐
 *                                         └──────────────── for twice as long ────────────┘
 *
 * Pure rules: no clock, no memory, no table; breakers.c holds those that there are.
 *
 * A peer's opens at the first round of dials to all of its addresses that failed, for half a second.
 *
 * A network's is there so that many addresses of a network that cannot be reached do not cost a time-out each.  Anybody
 * can name dead addresses in a network of others, or let addresses there die that were his; so it opens only for
 * addresses at which a link stood before, at four of them, in silence, while another network answers; and what it holds
 * back is only what others made us dial, to peers of no standing, at addresses at which no link stood yet.  Guards,
 * bootstrap peers, kept and near ones, whom the program dials, and whoever was there before are dialled all the same,
 * and the first of them that answers closes it.  Of those that are held back one is let through after each pause; its
 * silence, too, opens it again for twice as long.
 */
#ifndef QUDAG_SRC_SWARM_BREAKER_H
#define QUDAG_SRC_SWARM_BREAKER_H

#include "base/netaddr.h"
#include "base/rng.h"
#include "base/types.h"

#include <qudag/error.h>

enum swarm_breaker_state { SWARM_BREAKER_CLOSED, SWARM_BREAKER_OPEN, SWARM_BREAKER_HALF_OPEN };

struct swarm_breaker_kind {
    uint32_t open_at;        /* failures in a row */
    uint64_t min_ns, max_ns; /* the first pause, and where doubling ends; each varied by a fifth */
};
/* Of a peer: from half a second to five minutes. */
extern const struct swarm_breaker_kind swarm_breaker_peer;
/* Of a network: from five seconds to one minute. */
extern const struct swarm_breaker_kind swarm_breaker_network;

/* All zero: closed. */
struct swarm_breaker {
    uint32_t failures; /* in a row */
    bool probing;      /* the one try of a half-open one is under way */
    tstamp next_try;   /* 0: none is waited for */
};

/* What it is at |now|. */
enum swarm_breaker_state swarm_breaker_state(const struct swarm_breaker *b, tstamp now);
/* Whether a try may begin; of one that is half open no other may until |probe_ends| or the outcome of this one. */
bool swarm_breaker_try(struct swarm_breaker *b, tstamp probe_ends, tstamp now);
/* A try failed, not by our doing (swarm_rule_fault). */
void swarm_breaker_failed(struct swarm_breaker *b, const struct swarm_breaker_kind *kind,
                          const struct rng *rng, tstamp now);
/* A try ended by our own doing: the next may begin now. */
void swarm_breaker_given_up(struct swarm_breaker *b, tstamp now);
/* One worked, or all is forgotten: our address is another, somebody asked for it. */
void swarm_breaker_reset(struct swarm_breaker *b);

/* Whether a dial that ended with |err| says anything of who was dialled; |here|: it is we who ended it. */
bool swarm_rule_fault(qudag_err err, bool here);

/* A dial to an address of a network. */
struct swarm_net_dial {
    bool stood;     /* a link with this peer stood at this address before */
    bool chosen;    /* it is dialled of our own choice: the program, a guard, joining */
    bool matters;   /* its peer is kept, protected, a guard, a bootstrap peer, or near in the DHT */
    bool elsewhere; /* a link says that it is not ours that is away (swarm_rule_net_elsewhere) */
    bool probe;     /* the one try of a breaker that is half open */
};
/*
 * Whether a link that stands with |up| says that our network is there, where nobody answers at |failed|: it is of
 * another network, and not of a nearer kind.  One in the local network says nothing of the Internet.
 */
bool swarm_rule_net_elsewhere(const struct netaddr *failed, const struct netaddr *up);
/* Whether its failure counts for the breaker of the network. */
bool swarm_rule_net_counts(const struct swarm_net_dial *d, qudag_err err, bool here);
/* Whether it waits while that is not closed. */
bool swarm_rule_net_holds(const struct swarm_net_dial *d);

#endif
