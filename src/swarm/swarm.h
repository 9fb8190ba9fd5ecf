/*
 * swarm.h - peers, links and streams: who is reachable how, dialling, negotiation, limits.
 *
 * The swarm stands between transports (core/transport.h) and cores.  Link events go in with
 * swarm_link_event(), actions of cores with swarm_act(); events for cores leave through the sink the
 * node gave, which only records what the core answers.  Work that could be long (a link with many
 * streams died) is done by swarm_step(), one event at a time.
 *
 * Several links with one peer are a normal case.  A stream goes to the best one that has the properties
 * it needs: direct before relayed, post-quantum before classical, the newest of equals (rules.h).
 */
#ifndef QUDAG_SRC_SWARM_SWARM_H
#define QUDAG_SRC_SWARM_SWARM_H

#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "core/mss/mss.h"
#include "core/resources/resources.h"
#include "core/transport.h"
#include "swarm/breaker.h"
#include "swarm/doubt.h"
#include "swarm/limited.h"
#include "swarm/meter.h"
#include "swarm/rules.h"
#include "swarm/states.h"
#include "swarm/tags.h"
#include "swarm/value.h"
#include "swarm/waiting.h"

#define SWARM_CORES_MAX 40
#define SWARM_TRANSPORTS_MAX 8
#define SWARM_PROTOS_MAX 48
#define SWARM_PROTO_LEN_MAX 95 /* bytes of a protocol id */
#define SWARM_ADDRS_MAX 8      /* kept of one peer */
#define SWARM_LINKS_PER_PEER RES_LINKS_PER_PEER
#define SWARM_SILENT_AFTER NS_PER_S             /* a probe unanswered for so long: silent */
#define SWARM_NEGOTIATE_TIMEOUT (10 * NS_PER_S) /* for multistream-select on a stream */
/* An open waits so long for a link, or for the queue before it to move. */
#define SWARM_OPEN_TIMEOUT (15 * NS_PER_S)

/* Copied; what it points to is borrowed for the life of the swarm.  A 0 takes the default. */
struct swarm_config {
    struct mem *mem;
    struct rng rng;
    struct logger log;
    struct peer_id self; /* no link with it, and no dial to it */
    uint8_t need;        /* link properties every link must have (policy require) */
    bool private_ok; /* dial loopback and private addresses that others tell us (test networks) */
    /*
     * Of links, streams and dials, with limits as below; must outlive the swarm.  NULL: it has its own, and in these
     * networks do not matter unless |network_share| says so.
     */
    struct resources *accounts;
    uint32_t peers_max;        /* default: swarm_rule_peers_max() */
    uint32_t pins_max;         /* peers whose proofs are remembered; default 65536 */
    bool pins_persist;         /* swarm_pin_change_next() will be asked */
    uint32_t streams_max;      /* default 65536 */
    uint32_t opens_max;        /* waiting opens; default 4096 */
    uint32_t opens_per_peer;   /* of these for one peer, one protocol 3/4 of it; default 2048 */
    uint32_t streams_per_peer; /* that one peer may have open to us for each protocol of a core
                                  without inbound_max; default 256 */
    uint32_t dials_max;        /* under way, for one core three quarters of it; default 256 */
    uint32_t links_max;        /* that are up at once; default 1024 */
    uint32_t
        network_share; /* percent of the places for strangers that one network may take; default 100: all */
    uint32_t
        links_high;     /* above it links of the least value are closed; default 3/4 of links_max */
    uint32_t links_low; /* ... down to; default 3/4 of that */
    uint64_t links_grace_ns; /* not those that are up for less than; default 20 s */
    uint64_t idle_close_ns;  /* a link without streams is closed after; default 300 s */
    uint64_t dial_ns;        /* default SWARM_OPEN_TIMEOUT */
    uint64_t negotiate_ns;   /* default SWARM_NEGOTIATE_TIMEOUT */
    /* Takes an event for a core; may call swarm_act() of other cores' actions only after it returned. */
    void (*sink)(void *ctx, unsigned core, const struct ev *ev);
    void *sink_ctx;
    /* A link took a step (states.h); only looks.  NULL: nobody wants to know. */
    void (*link_changed)(void *ctx, const struct swarm_link_change *change);
    /*
     * What |peer| is to this node: RES_STRANGER, or a class above RES_CHOSEN but for RES_PROTECTED, which the swarm
     * knows itself.  Only looks; NULL: all are strangers.
     */
    enum res_class (*standing)(const void *ctx, const struct peer_id *peer);
};

/* Counted since the beginning; the last line as of now. */
struct swarm_stats {
    uint64_t dials, dials_failed, dials_refused_backoff, dials_refused_network;
    uint64_t streams_in, streams_out, negotiate_failed, negotiate_timeout, streams_refused;
    uint64_t links_trimmed[SWARM_TRIMS]; /* by reason */
    uint64_t links_probed, links_replaced, links_moved, pins_set, pins_refused, opens_early;
    uint64_t pins_followed, pins_conflicts; /* moved to a successor; a second one was not */
    uint64_t links_renewed,
        links_expired; /* dialled anew before, closed at the end of a certificate */
    uint64_t links_rekeyed,
        links_rescued; /* dialled anew since our key is another, the path is quiet */
    uint32_t peers, links, streams, opens, pins;
};

struct swarm;

/* A swarm without transports and cores; free it with swarm_free().  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err swarm_new(struct swarm **out, const struct swarm_config *cfg);

/* Frees it without an event to anybody and without closing links, which their transports still have. */
void swarm_free(struct swarm *s);

/* Registers a core, whose |ops| are borrowed; its index goes into swarm_act() and comes with every event.
 * QUDAG_ELIMIT: SWARM_CORES_MAX. */
QUDAG_MUST_USE qudag_err swarm_core_add(struct swarm *s, const struct core_ops *ops,
                                        unsigned *core);
/* '/' and printable ASCII without spaces, as every libp2p protocol id has it. */
bool swarm_proto_valid(const char *proto);
/* |proto| (copied) leads to |core|, inbound and, with |main|, for its ACT_OPENs.  ELIMIT, EEXISTS. */
QUDAG_MUST_USE qudag_err swarm_proto_add(struct swarm *s, const char *proto, unsigned core,
                                         bool main);
/*
 * The same for streams over links that hide who is at the other end: on others |proto| is as unknown as one that
 * nobody serves, and swarm_protos() leaves it out.
 */
QUDAG_MUST_USE qudag_err swarm_proto_add_anonymous(struct swarm *s, const char *proto,
                                                   unsigned core);
/* A copy of |proto| that lives as long as the swarm, for ACT_OPENs of protocols we do not serve.
 * NULL: not a protocol id, too many, or no memory. */
const char *swarm_proto_intern(struct swarm *s, const char *proto);
/* The protocols that lead to a core, borrowed until the next is added; how many. */
size_t swarm_protos(const struct swarm *s, const char *const **protos);

/*
 * Registers a transport, borrowed like |owner|; its index goes into swarm_link_event().  Of two that
 * handle an address the first dials it.  QUDAG_ELIMIT; QUDAG_EEXISTS for a second one that makes links on demand.
 */
QUDAG_MUST_USE qudag_err swarm_transport_add(struct swarm *s, const struct transport *t,
                                             void *owner, unsigned *transport);
/* An event of the transport with that index.  What it brings a core is delivered before the return, but
 * for what swarm_step() has to do one by one. */
void swarm_link_event(struct swarm *s, unsigned transport, const struct link_ev *ev, tstamp now);

/*
 * Carries out ACT_OPEN .. ACT_RESET of |core|; |proto| NULL: the core's main one, else it must live as long
 * as the swarm (swarm_proto_intern).  An ACT_OPEN ends in one EV_STREAM_OPEN or EV_STREAM_FAIL, mostly by
 * swarm_step(); actions on streams that are gone or another core's are ignored.
 */
void swarm_act(struct swarm *s, unsigned core, const struct act *a, const char *proto, tstamp now);

/* Delivers one pending event; false when there is none.  Until then swarm_deadline() is 0. */
bool swarm_step(struct swarm *s, tstamp now);
/* Ends what took too long and closes idle links, when swarm_deadline() has come. */
void swarm_tick(struct swarm *s, tstamp now);

/* When swarm_tick() is due, or 0 while swarm_step() has events to deliver. */
tstamp swarm_deadline(const struct swarm *s);

/* Notes where |peer| can be reached, if a transport dials it; of SWARM_ADDRS_MAX the newest stay. */
void swarm_addr_add(struct swarm *s, const struct peer_id *peer, const struct multiaddr *addr);
/* The addresses at which |peer| is dialled, the cheapest first, |*it| from 0 on; false at the end. */
bool swarm_addr_next(const struct swarm *s, const struct peer_id *peer, size_t *it,
                     struct multiaddr *out);
/* Whether an address is known at which |peer| may be dialled. */
bool swarm_has_addr(const struct swarm *s, const struct peer_id *peer);
/* Whether a transport dials such addresses, and its enum transport_cost. */
bool swarm_dials(const struct swarm *s, const struct multiaddr *addr, uint8_t *cost);
/*
 * Dials |addr|, whoever answers or the peer it names; |pq_hash| (32 bytes or NULL) pins that peer's ML-DSA
 * key for the dial.  The outcome is one EV_STREAM_FAIL with |cookie| for |core|, on success with err OK,
 * which comes at once if a link by the same transport stands.  An error, and no event: QUDAG_EUNSUPPORTED
 * (no transport dials it), QUDAG_EINVAL (it is ours), QUDAG_EAUTH (against the pin), QUDAG_EUNREACHABLE,
 * QUDAG_ELIMIT, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err swarm_connect(struct swarm *s, unsigned core, uint64_t cookie,
                                       const struct multiaddr *addr, const uint8_t *pq_hash,
                                       tstamp now);
/*
 * As swarm_connect(), to->peer at to->addr with all of its fields set, whatever links there are; the address is noted
 * only once the peer has been found there.  For dials that others cause.  to->pq_hash NULL: the one that is known.
 */
QUDAG_MUST_USE qudag_err swarm_dial_out(struct swarm *s, unsigned core, uint64_t cookie,
                                        const struct transport_target *to, tstamp now);
/* The dial that |core| began with |cookie| is given up; its event follows, unless it has come already. */
void swarm_dial_stop(struct swarm *s, unsigned core, uint64_t cookie, tstamp now);
/* Pins the hash of the ML-DSA key |peer| must prove from now on, as a signed record says; not against what it has
 * proven itself, nor against an earlier pin (rules.h). */
void swarm_pin(struct swarm *s, const struct peer_id *peer, const uint8_t pq_hash[32]);
/* The same, as the operator has written: until something proves it, it is not saved, and the next takes its place. */
void swarm_pin_tell(struct swarm *s, const struct peer_id *peer, const uint8_t pq_hash[32]);
/* The hash that |peer| has proven or a signed record told; false: none. */
bool swarm_pinned(const struct swarm *s, const struct peer_id *peer, uint8_t pq_hash[32]);

/* One remembered proof to be written under |name|, or removed where |len| is 0. */
#define SWARM_PIN_CHANGE_NAME 32
#define SWARM_PIN_CHANGE_MAX 144
struct swarm_pin_change {
    uint8_t name[SWARM_PIN_CHANGE_NAME];
    uint8_t bytes[SWARM_PIN_CHANGE_MAX];
    size_t len;
};
/*
 * With pins_persist, the next change that may be written; false: there is none.  How often there is one does not depend
 * on others (pins.h): what they caused waits, swarm_deadline() tells until when.
 */
bool swarm_pin_change_next(struct swarm *s, tstamp now, struct swarm_pin_change *out);
/* All that waits may be written now: the node stops. */
void swarm_pin_change_due(struct swarm *s);
/* All that is remembered counts as changed, and may be written now. */
void swarm_pin_change_all(struct swarm *s);
/* Takes what swarm_pin_change_next() gave in an earlier life.  QUDAG_EMALFORMED, EEXISTS, ENOMEM. */
QUDAG_MUST_USE qudag_err swarm_pin_restore(struct swarm *s,
                                           const uint8_t name[SWARM_PIN_CHANGE_NAME],
                                           struct slice bytes);
/* Whether a link with |peer| is up; |*props| then has what any of them has. */
bool swarm_connected(const struct swarm *s, const struct peer_id *peer, uint8_t *props);
/* Whether a link with |peer| is up that may carry cells (swarm_rule_cells). */
bool swarm_carries_cells(const struct swarm *s, const struct peer_id *peer);
/* Looking in at the links with |peer|, |*it| from 0 on; false at the end. */
bool swarm_peer_link_next(const struct swarm *s, const struct peer_id *peer, size_t *it,
                          struct link_info *out);
/*
 * Our addresses are others: closes the links that cannot go on (swarm_rule_local_gone) as given up on our side, and
 * dials again the peers that something was under way with.  How many were closed.
 */
struct swarm_moved;
uint32_t swarm_moved(struct swarm *s, const struct swarm_moved *m, tstamp now);
/* Pads the links with |peer| that stand now (transport.h), those that can be. */
void swarm_pad(struct swarm *s, const struct peer_id *peer, const struct transport_padding *how,
               tstamp now);
/* The node ends: links and streams that peers begin are refused from now on, as by a limit of ours. */
void swarm_close_door(struct swarm *s);
/* Closes every link with |peer|; without any nothing happens. */
void swarm_disconnect(struct swarm *s, const struct peer_id *peer, qudag_err why, tstamp now);

enum swarm_pin { SWARM_PIN_NONE, SWARM_PIN_FIRST_USE, SWARM_PIN_KNOWN };
/* What the swarm knows of a link, or of a dial. */
struct swarm_look {
    struct link_info info;
    enum swarm_pin pin;
    uint32_t key_changes; /* number of the last statement that the pin followed; 0: none */
    enum swarm_link_state state;
    const char *transport;
    enum res_class
        standing;  /* what the link counts as; RES_PROTECTED: the program protects its peer */
    int32_t value; /* value.h; 0 before it is up */
    tstamp moved;  /* when content last moved on a stream of the peer's; 0: never */
    bool quiet;    /* its path may be dead */
};
/* Whether a direct link with |peer| stands whose path has not been quiet for |patience_ns|. */
bool swarm_is_direct(const struct swarm *s, const struct peer_id *peer, uint64_t patience_ns,
                     tstamp now);
/* Whether a direct link stands that is used although one through a relay stands: swarm_rule_path_unsure(). */
bool swarm_prefers_direct(const struct swarm *s, const struct peer_id *peer, tstamp now);
/* Looking in at links with peers, and dials, in no order, |*it| from 0 on; false at the end. */
bool swarm_link_next(const struct swarm *s, size_t *it, struct swarm_look *out, tstamp now);

/*
 * Tags and protections of |peer| by name; those of its links take effect at once.  swarm_tags_put() and its neighbours
 * (tags.h) tell the errors.
 */
QUDAG_MUST_USE qudag_err swarm_peer_tag(struct swarm *s, const struct peer_id *peer,
                                        const char *name, int32_t weight);
QUDAG_MUST_USE qudag_err swarm_peer_protect(struct swarm *s, const struct peer_id *peer,
                                            const char *name);
QUDAG_MUST_USE qudag_err swarm_peer_untag(struct swarm *s, const struct peer_id *peer,
                                          const char *name, bool protection);
/* What was said of |peer|, |*it| from 0 on; borrowed until it changes; NULL at the end. */
const struct swarm_tag *swarm_peer_tag_next(const struct swarm *s, const struct peer_id *peer,
                                            size_t *it);

struct swarm_stream_info {
    struct peer_id peer; /* len 0: anonymous */
    uint8_t props;
    struct ref link;      /* the transport's name of it: a circuit when LINK_ANON */
    struct peer_id relay; /* that passes the link on; len 0: none */
    bool agreed;          /* both sides have said that they speak its protocol */
    unsigned core;
    char proto[SWARM_PROTO_LEN_MAX + 1];
};
/* QUDAG_ESTALE: |strm| is gone. */
QUDAG_MUST_USE qudag_err swarm_stream_info(const struct swarm *s, struct ref strm,
                                           struct swarm_stream_info *out);

/* The accounts of links: limits, what is used, what was refused.  Borrowed for the life of the swarm. */
const struct resources *swarm_resources(const struct swarm *s);
/* Which limit of ours the last QUDAG_ELIMIT of swarm_connect() or swarm_dial_out() came from; 0: another. */
uint64_t swarm_refused(const struct swarm *s);
/* Other times from now on, also for what waits already; a 0 leaves one as it is. */
void swarm_set_times(struct swarm *s, uint64_t idle_close_ns, uint64_t dial_ns,
                     uint64_t negotiate_ns);
/* Copies the counters; peers, links, streams and opens are those of now. */
void swarm_stats_get(const struct swarm *s, struct swarm_stats *out);
/* What was measured so far; borrowed for the life of the swarm. */
const struct swarm_meters *swarm_meters(const struct swarm *s);
/* The name of the transport with that index; NULL: there is none, or its links are not dialled. */
const char *swarm_transport_dials(const struct swarm *s, unsigned transport);

#endif
