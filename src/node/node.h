/*
 * node.h - one whole node without sockets: every object composed, one drain loop.
 *
 *   node_recv ─▶ quic ─▶ link events ─▶ swarm ─▶ cores ─▶ actions ─▶ node_drain ─▶ swarm ─▶ quic
 *   node_send ◀────────────────────────────────────────────────────────────────────────────┘
 *
 * The host (io/, or the simulator) brings datagrams, time and randomness.  Requests are queued by
 * node_request() and node_stream_*(); they begin in the next node_drain().  Hooks may call whatever a program
 * may call: no core is called from there, but for the keys of circuits and dark addresses.
 */
#ifndef QUDAG_SRC_NODE_NODE_H
#define QUDAG_SRC_NODE_NODE_H

#include "core/dark/dark.h"
#include "core/onion/onion.h"
#include "core/relays/relays.h"
#include "node/boot.h"
#include "node/circuit_relay.h"
#include "node/direct.h"
#include "node/hooks.h"
#include "node/keep.h"
#include "node/meeting.h"
#include "node/meets.h"
#include "node/names.h"
#include "node/op.h"
#include "node/padding.h"
#include "node/portmap.h"
#include "node/reachable.h"
#include "node/times.h"
#include "quic/quic.h"
#include "swarm/swarm.h"

#define NODE_LISTEN_MAX 8
#define NODE_BOOT_MAX 32
#define NODE_OPEN_NS_MAX 8       /* open DHT namespaces */
#define NODE_OPEN_VALUE_MAX 4096 /* bytes of a value of an open namespace */
#define NODE_OPS_MAX 4096        /* requests; half of them for the program */
#define NODE_STREAMS_MAX 8192
#define NODE_STREAM_QUEUE_MAX (512 * 1024) /* bytes a stream may have queued */
#define NODE_STREAM_EARLY_MAX (64 * 1024)  /* ... while it is being opened */

struct node_config {
    struct mem *mem;
    struct rng rng;
    struct logger log;
    struct wallclock clock;
    const struct identity *identity;
    enum pq_policy pq;
    uint16_t level;
    enum sec_cipher cipher;
    const char *dht_protocol; /* borrowed for the life of the node, like all strings here */
    size_t n_open_ns;
    const char *open_ns[NODE_OPEN_NS_MAX];
    const char *agent;
    uint32_t links_max, links_high, links_low, circuits_max, relays_min, network_share;
    uint32_t streams_per_peer; /* open to us for each protocol of programs; 0: 256 */
    uint32_t drain_max;        /* events of one drain; the rest waits for the network; 0: 65536 */
    struct node_times times;
    uint64_t links_grace_ns; /* 0: as in swarm.h */
    uint8_t hops;
    uint8_t clean_circuits; /* of each length, that wait for a use (clean.h) */
    uint8_t family[32];     /* of our relay; zero: none */
    enum node_padding padding;
    bool relay, dht_server, lab;
    enum node_reachable reachable;
    bool port_mapping;  /* the router may be asked for ports */
    bool small_network; /* paths are drawn however few relays there are; node_set_small_network() */
    bool persist;       /* hooks.persist */
    bool tcp;           /* the host has sockets of TCP (tcp.h) */
    uint32_t records_max, providers_max;
    uint64_t record_bytes_max;            /* 0, like the two above: as in kad.h */
    uint64_t dark_delay_max_ns;           /* see dark_config */
    uint32_t dark_dummies, dark_work_max; /* an hour; tries for one introduction; on average */
    bool dark_show_cache;
    size_t n_boot;
    struct node_boot boot[NODE_BOOT_MAX];
    size_t n_keep;
    struct node_keep_wish keep[KEEP_MAX];
    struct node_circuit_relay circuit_relay;
    enum node_meet meet; /* who may learn where we are, to be linked directly */
    bool dcutr_only;     /* trials: as a peer that does not know this network's own way of it */
};

struct node;
/*
 * Makes a node; |cfg| and |hooks| are copied, what their pointers lead to is borrowed for its life.
 * Nothing is dialled before node_start().  ENOMEM, EINVAL, ESYSTEM.
 */
QUDAG_MUST_USE qudag_err node_new(struct node **out, const struct node_config *cfg,
                                  const struct node_hooks *hooks, tstamp now);
/* Ends all requests and streams (hooks are called), then frees everything; NULL is fine. */
void node_free(struct node *n);

/*
 * What our sockets are bound to, best first; a wildcard stands for the addresses of the interfaces.  Copied, at
 * most NODE_LISTEN_MAX.  To be called again when it changes: what names an address of ours is then made anew.
 */
void node_set_addrs(struct node *n, const struct multiaddr *addr, size_t count);
/*
 * The addresses of this machine are others, |m| says which: links that cannot go on are made anew.  After
 * node_set_addrs().
 */
void node_moved(struct node *n, const struct swarm_moved *m, tstamp now);
/* What others are told instead of what we find out ourselves (see core/reach/reach.h); count 0: nothing. */
void node_set_announced(struct node *n, const struct multiaddr *addr, size_t count);
/* The addresses others are told, one for each call with *it from 0; false: no more. */
bool node_announced_next(const struct node *n, size_t *it, struct multiaddr *out);
/*
 * What hooks.save was given in an earlier life, before node_start(): EMALFORMED, EUNSUPPORTED (no such
 * name), ESTATE (started), and what the part it belongs to says.
 */
QUDAG_MUST_USE qudag_err node_restore(struct node *n, const char *name, struct slice bytes,
                                      tstamp now);
/* Begins to join the network; hooks.phase reports the progress. */
void node_start(struct node *n);
/* Ends everything in good order; then send until nothing is left, then node_free(). */
void node_shutdown(struct node *n, tstamp now);

/* The host's side. */
/* Takes a datagram, borrowed for the call. */
void node_recv(struct node *n, const struct quic_dgram *d, tstamp now);
/* This host cannot send to |remote|; see quic_no_route. */
void node_no_route(struct node *n, const struct netaddr *remote, tstamp now);
/* The network says that nobody listens at |remote|, and quotes what was sent there; see quic_unreachable. */
void node_unreachable(struct node *n, const struct netaddr *remote, struct slice quote, tstamp now);
/* To be called at node_deadline(), or later. */
void node_tick(struct node *n, tstamp now);
/* When node_tick() is to be called next; 0: now. */
tstamp node_deadline(const struct node *n);
/* What hooks.solve asked for: the nonce, or why there is none. */
void node_solved(struct node *n, uint64_t id, qudag_err err, uint64_t nonce, tstamp now);
/* How many hooks were called so far: whoever waits for one need not sleep when it has been. */
uint64_t node_hooks_called(const struct node *n);
/* Carries out what was asked for since the last call; from hooks without effect. */
void node_drain(struct node *n, tstamp now);
/* Fills |tx| with what is to leave now; false: nothing is. */
bool node_send(struct node *n, tstamp now, struct quic_tx *tx);

/*
 * Queues a request of the program; |r| and what it points to are copied.  *op is its name until
 * hooks.op_done, which comes exactly once.  ESTATE (the node ends), ETOOBIG, ELIMIT, ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_request(struct node *n, const struct node_request *r, struct ref *op);
/* The program wants it no more: hooks.op_done follows with QUDAG_ECANCELED, unless it came before. */
void node_cancel(struct node *n, struct ref op);
/* The program's pointer for a request that has not ended; false: it has. */
bool node_op_set_user(struct node *n, struct ref op, void *user);
/* The host's pointer for it, which hooks.op_done finds in the request: whom the end concerns; NULL at first. */
bool node_op_set_owner(struct node *n, struct ref op, void *owner);

/*
 * Streams of the program; names are void once hooks.stream_closed was called, or after a reset.  All
 * only queue: what they cause happens in the next drain.
 */
/* Takes streams of |proto| from now on (hooks.stream_in).  EINVAL, ELIMIT, EEXISTS, ENOMEM. */
QUDAG_MUST_USE qudag_err node_serve(struct node *n, const char *proto);
/* The same for streams that come over circuits only; no peer is told of |proto|. */
QUDAG_MUST_USE qudag_err node_serve_dark(struct node *n, const char *proto);
/* Opens a stream: hooks.stream_opened or stream_closed follows.  EINVAL, ESTATE, ELIMIT. */
QUDAG_MUST_USE qudag_err node_stream_open_peer(struct node *n, const struct peer_id *to,
                                               const char *proto, struct ref *out);
/* The same over a circuit of ours.  Also ESTALE, EEXPIRED (it is too old for new streams: isolation.h). */
QUDAG_MUST_USE qudag_err node_stream_open_circuit(struct node *n, struct ref circuit,
                                                  const char *proto, struct ref *out);
/*
 * The same to a dark address, over a circuit that carries no stream with another |key|.  ELIMIT also: |key| has
 * cost more circuits to the address lately than budget.h allows.  Also ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_stream_open_dark(struct node *n, const struct dark_addr *to,
                                               const char *proto, const struct node_isolation *key,
                                               struct ref *out);
/* The far end of a stream to a dark address acknowledged new content: node_budget_progress().  ESTALE. */
QUDAG_MUST_USE qudag_err node_stream_progress(struct node *n, struct ref s);
/*
 * Whether a stream opened now to the peer of |s|, of the same protocol, would run over a link of another kind: a direct
 * one is there, or the one of |s| is silent or leaving.
 */
bool node_stream_moves(struct node *n, struct ref s);
/* Nothing more is written. */
void node_stream_fin(struct node *n, struct ref s);
/* Gives the stream up at once; no hook follows.  The peer gets |why|; ECANCELED: a plain reset. */
void node_stream_reset(struct node *n, struct ref s, qudag_err why);

/* What is known of a stream of the program. */
struct node_stream_info {
    bool open, inbound;
    uint8_t props;        /* enum link_prop; open: of its link */
    struct peer_id peer;  /* len 0: not known, or the link is anonymous */
    struct ref circuit;   /* the circuit it runs over, if any */
    struct peer_id relay; /* that passes its link on; len 0: none */
    const char *proto;
    uint32_t queued; /* bytes of ours that have not been sent */
    uint32_t handed; /* ... that were handed over and not released */
    size_t lent;     /* received and lent, not consumed */
    void *user;
};
/* ESTALE; |out| is zeroed then. */
QUDAG_MUST_USE qudag_err node_stream_info_get(struct node *n, struct ref s,
                                              struct node_stream_info *out);
/* The program's pointer for a stream; in hooks.stream_closed still known.  False: stale. */
bool node_stream_set_user(struct node *n, struct ref s, void *user);
/* The same read; NULL: none, or stale. */
void *node_stream_user(struct node *n, struct ref s);
/* The host's pointer for a stream, as the program's above: whom its events concern; NULL at first. */
bool node_stream_set_owner(struct node *n, struct ref s, void *owner);
/* The same read; NULL: none, or stale. */
void *node_stream_owner(struct node *n, struct ref s);

/* Whether |a| is of a network whose addresses lead somewhere from here: dark_network_takes(). */
bool node_dark_takes(const struct node *n, const struct dark_addr *a);
/* Of which network the addresses are that it makes where nothing else is asked for. */
enum dark_network node_dark_network(const struct node *n);
/* A new dark address, saved before it returns; |label|: at most DARK_LABEL_MAX bytes.  EINVAL also: another network. */
QUDAG_MUST_USE qudag_err node_dark_create(struct node *n, const struct node_dark_of *of,
                                          const char *label, tstamp now, struct dark_addr *out);
/*
 * Closes a circuit that begins or ends at us; hooks.circuit_closed follows.  ESTALE: it is gone, or we only
 * relay it.
 */
QUDAG_MUST_USE qudag_err node_circuit_close(struct node *n, struct ref circuit);

/* See kad_namespace(). */
QUDAG_MUST_USE qudag_err node_namespace(struct node *n, const struct kad_validator *v);
/* What hooks.persist was given, before node_start(); see kad_restore() for errors. */
QUDAG_MUST_USE qudag_err node_dht_restore(struct node *n, enum kad_persist_kind kind,
                                          const uint8_t *hash, struct slice bytes, tstamp now);
/* Whether hooks.persist can take things now; |all|: pass everything to it again. */
void node_persist_room(struct node *n, bool room, bool all, tstamp now);

/* Looking in. */
struct node_status {
    enum node_phase phase;
    uint32_t relays;        /* descriptors known */
    uint32_t relays_needed; /* for a circuit to a dark address: with fewer none can be built */
    uint32_t
        announced_at; /* nodes that took our own descriptor last; 0: not a relay that others find */
    bool clock_suspect; /* see node_clock_suspect() */
};
/* What there is at this moment. */
void node_status_get(const struct node *n, struct node_status *out);
/* The phase of the bootstrap, as in node_status_get(). */
enum node_phase node_phase_get(const struct node *n);
/* Several peers find our clock wrong: what needs it (descriptors, dark records) will be refused. */
bool node_clock_suspect(const struct node *n);
/*
 * The calendar was looked at again.  When it differs from what the node thought, what was dated by it
 * (certificate, descriptor, dark records) is replaced.
 */
void node_set_clock(struct node *n, struct wallclock clock, tstamp now);
/* Of a circuit of ours, as in qudag_circuit_info; "" for any other.  Static. */
const char *node_circuit_purpose(const struct node *n, struct ref circuit);
/* The objects inside, for statistics; owned by the node, valid until it is freed. */
struct swarm *node_swarm(const struct node *n);
struct kad *node_kad(const struct node *n); /* the DHT */
/* The circuits and the streams over them. */
struct onion *node_onion(const struct node *n);
struct relays *node_relays(const struct node *n); /* the directory of relays */
/* A network that is too small to hide anybody (core/relays/diversity.h) is used all the same, or not. */
void node_set_small_network(struct node *n, bool accepted);
/* Whether it is: by that, by the configuration, or because it is a lab. */
bool node_small_network_accepted(const struct node *n);
struct dark *node_dark(const struct node *n); /* dark addresses */
struct quic *node_quic(const struct node *n); /* the QUIC endpoint */
/* Agent and protocols that a peer sent by identify; false before it did.  Texts borrowed until the next drain. */
bool node_peer_agent(const struct node *n, const struct peer_id *peer, const char **agent,
                     const char **protocols);
/* |addr| may lead to |peer|: noted for dialling, and offered to the DHT. */
void node_add_addr(struct node *n, const struct peer_id *peer, const struct multiaddr *addr);
/* Closes all links with |peer|. */
void node_disconnect(struct node *n, const struct peer_id *peer);

#endif
