/*
 * rules.h - decisions on which safety rests, as pure functions.
 *
 * None reads a clock, allocates, logs or changes anything: what it needs comes as arguments, the answer
 * is what it returns.  Everything that a peer or a record can make the node believe passes here; the table
 * of what is accepted and what is refused is rules_test.c.
 */
#ifndef QUDAG_SRC_NODE_RULES_H
#define QUDAG_SRC_NODE_RULES_H

#include "base/fair.h"
#include "core/dark/dark.h"
#include "core/kad/kad.h"
#include "core/link.h"
#include "core/reach/reach.h"
#include "core/relays/relays.h"
#include "core/transport.h"
#include "node/anonymity.h"
#include "node/op.h"
#include "node/padding.h"
#include "wire/dht_keys.h"
#include "wire/identify_msg.h"
#include "wire/relay_desc.h"

#define NODE_RELAY_KEY_MAX (sizeof(DHT_RELAY_PREFIX) - 1 + PEER_ID_MAX) /* bytes */

/* The key under which the descriptor of |id| is stored; returns its length in bytes. */
size_t node_rule_relay_key(uint8_t dst[NODE_RELAY_KEY_MAX], const struct peer_id *id);
/* Whose descriptor may be stored under |key|.  QUDAG_EMALFORMED: no such key. */
QUDAG_MUST_USE qudag_err node_rule_relay_key_owner(struct slice key, struct peer_id *id);

/* "/pk/" and a peer id: the public key with that id, and no other.  QUDAG_EAUTH.  Signed by nobody: it names itself. */
QUDAG_MUST_USE qudag_err node_rule_public_key(struct slice key, struct slice value);

/*
 * "/qudag/relay/" and a peer id: a descriptor that both keys of that very peer signed and that is valid at
 * |now|.  |d| is overwritten (it is large: the caller brings it); *expires is lowered to the descriptor's.
 * QUDAG_EMALFORMED, EAUTH (also: another peer's), EEXPIRED, ECLOCK.  SPEC: relay-descriptor.
 */
QUDAG_MUST_USE qudag_err node_rule_descriptor(struct relay_desc *d, struct slice key,
                                              struct slice value, walltime now, walltime *expires);
/* What was fetched because |wanted| may be a relay: as above, with |wanted| for the key's peer. */
QUDAG_MUST_USE qudag_err node_rule_fetched(struct relay_desc *d, const struct peer_id *wanted,
                                           struct slice value, walltime now);
/* > 0: |a| is the newer of two descriptors that were accepted; < 0: |b|; 0: equal. */
int node_rule_newer_descriptor(struct slice a, struct slice b);

/*
 * "/qudag/dark/" and a blinded key: a record signed by that key and valid at |now|.  *expires is lowered
 * to the record's.  See dark_record_check() for errors.  SPEC: dark.
 */
QUDAG_MUST_USE qudag_err node_rule_dark(struct slice key, struct slice value, walltime now,
                                        walltime *expires);
/* > 0: |a| is the newer of two records for |key|; one that is not valid at |now| loses. */
int node_rule_newer_dark(struct slice key, struct slice a, struct slice b, walltime now);
/* Whether a stream can lead to what a record says.  QUDAG_EUNSUPPORTED: this version knows no way. */
QUDAG_MUST_USE qudag_err node_rule_reachable(const struct dark_target *t);
/* Whom a record names as the service; NULL: nobody, as of kind hidden.  |t| may be NULL. */
const struct peer_id *node_rule_service(const struct dark_target *t);

/*
 * Whether an address that a peer or a record names may be taken, passed on and dialled: reach_rule_addr().
 */
bool node_rule_addr(const struct multiaddr *addr, bool lab);
/* For a hop of circuits: cells go over datagrams only (swarm_rule_cells). */
bool node_rule_cells_addr(const struct multiaddr *addr, bool lab);

/*
 * The IP versions that our addresses can reach the Internet with, as RELAYS_IP4 | RELAYS_IP6: an IPv6 address from
 * everywhere, an IPv4 address perhaps through a NAT.  Where no address gets out (a lab, or a machine whose network
 * is not there yet) those of which we have a socket.
 */
uint8_t node_rule_own_ip(const struct multiaddr *addr, size_t n);
/* Whether a path that ended so may be had once the descriptors that are still to come are known. */
bool node_rule_awaits_relays(qudag_err err);

/*
 * Whether identify shows the peer at the other end of a link the address we see it at: it is the peer's own
 * and no relay's, the link hides neither end, and it is an address that others may have (node_rule_addr).
 */
bool node_rule_observed(const struct link_info *link, bool lab);

/* The lower median of |n| numbers, a few; 0 of none.  What a few others chose does not move it far. */
uint64_t node_rule_median(const uint64_t *v, size_t n);

/* What becomes of a peer in the DHT routing table. */
enum node_dht_change {
    NODE_DHT_UNCHANGED,
    NODE_DHT_OFFER, /* it serves our DHT: offered, with its addresses */
    NODE_DHT_DROP,  /* it says that it does not */
};

/* Which parts of what we know of a peer a message of identify replaces. */
struct node_identify_change {
    bool agent, protocols;
    enum node_dht_change dht;
};

/*
 * An answer says all there is to say; a push what has changed, and what it does not give stays as it was
 * (libp2p specs: identify/README.md, identify/push).  |served|: what we knew before; |dht|: the protocol id
 * of our DHT.
 */
struct node_identify_change node_rule_identify(const struct identify_msg *m, bool push, bool served,
                                               const char *dht);
/* Whether that peer is of a lab and we, with |dht|, are not, or the other way round: the two do not mix. */
bool node_rule_other_network(const struct identify_msg *m, const char *dht, bool lab);

/*
 * How the DHT is read and written for the far end of a circuit: which dark address it looks for is shown
 * to those who may hold the record, and to nobody on the way.  Static.
 */
const struct kad_options *node_rule_for_others(struct slice key);

/*
 * How many bytes of queues shall be given up when |used| of |max| (0: no cap) are handed out: none while a sixteenth
 * is left, then so many that an eighth is.  Without it the next allocation fails, whoever asks.
 */
uint64_t node_rule_shed(uint64_t used, uint64_t max);

/*
 * Whether a job for a circuit of others, of |age_ns|, gives way to |newcomer|: its holder would not have less than the
 * newcomer then, as with fair_gives_way(); at two seconds, longer than most take, it is enough that it had more before.
 */
bool node_rule_extend_gives_way(const struct fair_claim *holder, const struct fair_claim *newcomer,
                                uint64_t age_ns);

/* Whom an EXTEND names, as far as can be said at once. */
enum node_extend_known {
    NODE_EXTEND_REFUSED, /* no relay, and no statement of its own that holds */
    NODE_EXTEND_KNOWN,
    NODE_EXTEND_FETCH, /* a relay perhaps, whose descriptor we do not have */
};

/* Whether a circuit may be extended over a link with |props|: we dialled it, and it may carry cells (|shaped|). */
bool node_rule_extend_link(uint8_t props, bool shaped);

/*
 * What failed dials to |addr| are counted for: its host, with IPv6 its /64; the very address where it is not global
 * and all of a laboratory share one host.
 */
struct netaddr node_rule_extend_target(const struct netaddr *addr);

/* What a dial for a circuit of others says that ended so; |in_time|: not because we gave it up. */
enum node_extend_outcome {
    NODE_EXTEND_NOTHING,  /* it ended for a reason of our own */
    NODE_EXTEND_ANSWERED, /* the peer is there */
    NODE_EXTEND_SOMEBODY, /* another peer is: held against the one that was named, not against the host */
    NODE_EXTEND_NO_ANSWER, /* or none that proves anything */
};
enum node_extend_outcome node_rule_extend_outcome(qudag_err err, bool in_time);

/* Whether a search for a descriptor that ended so, without a good one, says that there is none. */
bool node_rule_extend_absent(qudag_err err);

/* What is known of a host, and of who wants a dial to it; failures as of now, see extend_memory.h. */
struct node_extend_view {
    bool answered;               /* a link with the host was made lately */
    uint32_t fails;              /* dials that nobody answered, whoever asked */
    uint32_t fails_asker;        /* of these, for the network of the neighbour that asks */
    uint32_t fails_peer;         /* dials to the named peer that found somebody else there */
    uint32_t dials, dials_asker; /* under way to the host; of these for that network */
};
enum node_extend_turn {
    NODE_EXTEND_DIAL,
    NODE_EXTEND_QUEUE, /* later, perhaps */
    NODE_EXTEND_NEVER,
};
/*
 * Failed dials bar a host that never answers, and only that: a host with which a link was made lately is no third
 * party, and who sends us there in vain must not keep others away.  A network that caused no failure there is let
 * try where others are not any more.
 */
enum node_extend_turn node_rule_extend_turn(const struct node_extend_view *v);

/* Of two that wait for a host, whether |a| goes first: others can name its closed ports, and cause failures. */
struct node_extend_queued {
    bool proven; /* a link was made lately at the very address that is next */
    uint32_t fails_asker;
    tstamp since;
};
bool node_rule_extend_goes_first(const struct node_extend_queued *a,
                                 const struct node_extend_queued *b);

/* Whether |err| is what a peer answers, or we, when one of two clocks is wrong. */
bool node_rule_is_clock(qudag_err err);

/*
 * Whether our clock is likely to be wrong: more peers (of different networks) found it so than found it
 * right, and not one alone.
 */
bool node_rule_clock_suspect(uint32_t witnesses, uint32_t agreed);
#define NODE_CLOCK_TRUST                                                                           \
    (3600 * NS_PER_S) /* until it is trusted, from when it was set or we began */
/*
 * Whether the calendar alone may say that something is to be destroyed: nobody contradicts it, |agreed| peers found it
 * right since it was set or the node began, and that is NODE_CLOCK_TRUST ago: others had time to contradict.
 */
bool node_rule_clock_trusted(bool suspect, uint32_t agreed, uint64_t since_ns);

/* Life of a relay's onion key, and of the one before it: as long as guards' descriptors on disk name it; seconds. */
#define NODE_ONION_KEY_LIFE (7 * 86400)
#define NODE_ONION_KEY_OVERLAP (6 * 86400 + 7200)
#define NODE_ONION_KEY_SKEW 3600 /* a key from further ahead was made by a clock that was wrong */

/* What is due for the onion keys of a relay. */
enum node_keys_due {
    NODE_KEYS_FINE,
    NODE_KEYS_DROP_OLD,    /* no valid descriptor names the one before the current */
    NODE_KEYS_REPLACE,     /* a new one is made; the current becomes the one before */
    NODE_KEYS_REPLACE_ALL, /* ... and is dropped with it: no valid descriptor names it */
};
/* A key of a relay; seconds. */
struct node_key_age {
    int64_t wall;   /* by the calendar; negative: it will be made in future */
    uint64_t lived; /* for which this process has had it, by a clock that nobody sets */
    bool made_here; /* by this process: |lived| is all of its life, whatever the calendar says */
};
/*
 * For the |current| key and the one before it (NULL: none).  A calendar that is not |trusted| ends no key that
 * descriptors may name: then what this process has seen of a key's life counts, and one that was too old or from the
 * future when it was read gets a successor, but stays.
 */
enum node_keys_due node_rule_keys_due(const struct node_key_age *current,
                                      const struct node_key_age *old, bool trusted);

/*
 * Whether a lookup that ended so is worth another circuit: the circuit or the relay at its end failed, and
 * said nothing of the record.  An answer, a refusal and a limit are final: to ask more relays for the same key
 * shows it to each of them.
 */
bool node_rule_another_circuit(qudag_err err);

/* Whether circuits of |hops| relays are built: outside a |lab| no single one, which would see who asks and what for. */
bool node_rule_hops(uint32_t hops, bool lab);

/*
 * How a link to the first relay of our circuits is padded that carried one at |used| or still did then; |keep_ns|
 * of node_rule_padding_keep().  |relay|: we are a relay that others use.  Its links carry circuits of others, and to
 * pad some of them would say which lead to its guards.  SPEC: link 6.
 */
struct transport_padding node_rule_link_padding(enum node_padding how, bool relay, tstamp used,
                                                uint64_t keep_ns);
/* For how long after its last circuit such a link is padded, in ns; |random| makes the end tell less of that. */
uint64_t node_rule_padding_keep(enum node_padding how, uint64_t random);

/* The first that is missing, of those that last longest. */
enum node_anonymity node_rule_anonymity(const struct node_anonymity_view *v);

/* How a circuit of ours ended. */
struct node_path_end {
    bool open;        /* it carried streams */
    uint64_t reached; /* hops built, as far as was reported */
    uint64_t hop;     /* the first hop not reached; 0: unknown, or nobody's fault */
    uint64_t relays;  /* hops that we had chosen; others may follow */
    qudag_err err;    /* of the circuit; once what was asked over it has ended, of that */
    bool others; /* who follows, or what the last of them is joined with, was chosen by others */
    bool closed; /* by us: it has served, or is not wanted */
    bool unanswered; /* what was asked of its far end had no answer */
};

/* What that says of its guard, as its path-bias counters count (core/relays/bias.h). */
enum node_path_verdict {
    NODE_PATH_NOTHING, /* did not get past the guard, failed here, or a service may be the cause */
    NODE_PATH_NOT_BUILT, /* it got past the guard and no farther than a hop we had chosen */
    NODE_PATH_BUILT,     /* only the service was not reached */
    NODE_PATH_BROKE,     /* after it was built: garbled, silent, or destroyed on the way */
    NODE_PATH_INTACT,    /* it was built and did what it was for */
};
/*
 * A guard can make circuits fail that do not lead where it wants, and let it look like the fault of a far hop; so
 * those count.  What those do who were chosen by others - a service, the relay where a caller wants to be met, whoever
 * is at the far end of a rendezvous - does not, nor what cannot be told from it: a cell that no hop is recognised in
 * may be theirs.  Else they could move the counters of our guard.
 */
enum node_path_verdict node_rule_path_end(const struct node_path_end *e);

/*
 * Whether a request in the DHT that ended with |err| after |rpcs| questions, of which |failures| had no answer, says
 * that others answer us while guards do not: one of our own.  What we ask for others asks whom they choose, and who
 * links to us says nothing of whether we reach anybody; so no attacker brings the witnesses for the silence it makes.
 */
bool node_rule_heard(enum node_op_kind kind, qudag_err err, uint32_t rpcs, uint32_t failures);

/* Relays that must be known for a circuit to a dark address: its service may be one of them. */
uint32_t node_rule_relays_needed(uint32_t hops);

/*
 * The sequence number of the next relay descriptor or peer record: above |last| (0: none yet), and not below the
 * calendar, so that it never goes back when the clock does.  The calendar is read to the minute: the seconds of the
 * clock do not show, and a node that lost the last number is heard again a minute later.
 */
uint64_t node_rule_next_seq(uint64_t last, walltime now);
/*
 * When a descriptor made at |now| begins to be valid: dated back by a random part (|draw|, any number) of five
 * minutes, and rounded down to such: the seconds of the clock do not show, and a wrong clock still does.
 */
walltime node_rule_not_before(walltime now, uint64_t draw);

#endif
