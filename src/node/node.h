/*
 * node.h - one whole node without sockets: every object composed, one drain loop.
 *
 *   node_recv ─▶ quic ─▶ link events ─▶ swarm ─▶ cores ─▶ actions ─▶ node_drain ─▶ swarm ─▶ quic
 *   node_send ◀────────────────────────────────────────────────────────────────────────────┘
 *
 * The host (io/, or the simulator) brings datagrams, time and randomness.  Requests are queued by
 * node_request() and app_*(); they begin in the next node_drain().  Hooks may call whatever a program
 * may call: no core is called from there, but for the keys of circuits and dark addresses.
 */
#ifndef QUDAG_SRC_NODE_NODE_H
#define QUDAG_SRC_NODE_NODE_H

#include "core/dark/dark.h"
#include "core/kad/kad.h"
#include "core/onion/onion.h"
#include "core/relays/relays.h"
#include "quic/quic.h"
#include "swarm/swarm.h"

#define NODE_LISTEN_MAX 8
#define NODE_BOOT_MAX 32
#define NODE_OPEN_NS_MAX 8 /* open DHT namespaces */
#define OPS_MAX 4096       /* requests; half of them for the program */
#define APP_STREAMS_MAX 8192
#define APP_QUEUE_MAX (512 * 1024) /* bytes a stream may have queued */
#define APP_EARLY_MAX (64 * 1024)  /* ... while it is being opened */

enum node_phase {
    NODE_START,
    NODE_DIAL,
    NODE_LOOKUP,
    NODE_ANNOUNCE,
    NODE_RELAYS,
    NODE_READY,
    NODE_FAILED,
};

/* Requests of the embedding program. */
enum op_kind {
    OP_NONE,
    OP_PING,
    OP_CONNECT,
    OP_PUT,
    OP_GET,
    OP_CLOSEST,
    OP_FIND_PEER,
    OP_PROVIDE,
    OP_PROVIDERS,
    OP_UNPUBLISH,
    OP_CIRCUIT,
    OP_DARK_PUBLISH,
    OP_DARK_RESOLVE,
    OP_DARK_FORGET,
    /* the node's own */
    OP_ADD_PEER,
    OP_BOOT_DIAL,
    OP_BOOT_LOOKUP,
    OP_ANNOUNCE,
    OP_FETCH,
    OP_REFRESH,
    OP_SERVE_GET,
    OP_SERVE_PUT, /* for the other end of a circuit */
    OP_LOOKUP_GET,
    OP_LOOKUP_PUT,  /* through a circuit, for the dark core */
    OP_APP_RESOLVE, /* for a stream to a dark address */
};

struct node_request;

struct node_boot {
    struct multiaddr addr;
    bool has_pq;
    uint8_t pq_hash[32];
};

/* What a request ended with; borrowed.  Unused fields are zero. */
struct node_result {
    struct slice value;
    const struct kad_peer_info *peers;
    size_t n_peers;
    uint64_t took, rtt;
    uint32_t count, rpcs, hops;
    struct ref circuit;
    bool cached;
    const struct dark_target *target;
    const struct node_request *req; /* what was asked for; set when hooks.op_done is called */
};

/* Calls into the embedding program, from the drain. */
struct node_hooks {
    void *ctx;
    void (*stream_in)(void *ctx, struct ref s, const struct peer_id *from, const char *dark,
                      const char *proto);
    void (*stream_data)(void *ctx, struct ref s, struct slice data, bool fin);
    void (*stream_opened)(void *ctx, struct ref s);
    void (*stream_writable)(void *ctx, struct ref s);
    void (*stream_closed)(void *ctx, struct ref s, qudag_err why);
    void (*peer_changed)(void *ctx, const struct peer_id *peer, bool up);
    void (*op_done)(void *ctx, struct ref op, qudag_err err, const struct node_result *res);
    void (*phase)(void *ctx, enum node_phase p, uint32_t a, uint32_t b, qudag_err err);
    void (*circuit_closed)(void *ctx, struct ref circuit, qudag_err why);
    qudag_err (*save)(void *ctx, const char *name, struct slice bytes);
    /*
     * With node_config.persist: a thing of the DHT as it is now, |bytes| empty when it is gone.  To be on
     * disk before the next node_send().  Not OK: there is no room; nothing new is taken for others
     * until node_persist_room().
     */
    qudag_err (*persist)(void *ctx, enum kad_persist_kind kind, const uint8_t *hash,
                         struct slice bytes);
};

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
    uint32_t links_max, circuits_max, relays_min;
    uint64_t idle_timeout_ns;
    uint16_t max_udp_payload;
    uint8_t hops;
    uint8_t family[32]; /* of our relay; zero: none */
    bool relay, dht_server, lab;
    bool persist; /* hooks.persist */
    uint32_t records_max, providers_max;
    uint64_t record_bytes_max; /* 0, like the two above: as in kad.h */
    size_t n_boot;
    struct node_boot boot[NODE_BOOT_MAX];
};

struct node;
QUDAG_MUST_USE qudag_err node_new(struct node **out, const struct node_config *cfg,
                                  const struct node_hooks *hooks, tstamp now);
void node_free(struct node *n);

/* What we listen on, as others shall see it. */
void node_set_addrs(struct node *n, const struct multiaddr *addr, size_t count);
QUDAG_MUST_USE qudag_err node_restore(struct node *n, const char *name, struct slice bytes,
                                      tstamp now);
void node_start(struct node *n);
void node_shutdown(struct node *n, tstamp now); /* then send until nothing is left */

/* The host's side. */
void node_recv(struct node *n, const struct quic_dgram *d, tstamp now);
/* The network says that nobody listens at |remote|; see quic_unreachable. */
void node_unreachable(struct node *n, const struct netaddr *remote, tstamp now);
/* A datagram to |remote| was too large for the path; see quic_too_big. */
void node_too_big(struct node *n, const struct netaddr *remote, tstamp now);
void node_tick(struct node *n, tstamp now);
tstamp node_deadline(const struct node *n);
/* How many hooks were called so far: whoever waits for one need not sleep when it has been. */
uint64_t node_told(const struct node *n);
void node_drain(struct node *n, tstamp now);
bool node_send(struct node *n, tstamp now, struct quic_tx *tx);

/* Parameters of a request; borrowed for the call. */
struct node_request {
    enum op_kind kind;
    struct peer_id peer;     /* PING, FIND_PEER */
    struct slice key, value; /* DHT */
    struct multiaddr addr;   /* CONNECT */
    bool has_pq;
    uint8_t pq_hash[32];
    uint8_t hops;           /* CIRCUIT */
    struct dark_addr dark;  /* DARK_* */
    struct kad_options opt; /* PUT, GET */
    void *user;             /* the program's, see node_op_set_user() */
};
QUDAG_MUST_USE qudag_err node_request(struct node *n, const struct node_request *r, struct ref *op);
void node_cancel(struct node *n, struct ref op);
/* The program's pointer for a request that has not ended; false: it has. */
bool node_op_set_user(struct node *n, struct ref op, void *user);

/*
 * Streams of the embedding program.  app_write: *taken of |data| was queued, also while the stream is being
 * opened; QUDAG_EAGAIN: none, hooks.stream_writable follows.
 */
QUDAG_MUST_USE qudag_err app_serve(struct node *n, const char *proto);
QUDAG_MUST_USE qudag_err app_open_peer(struct node *n, const struct peer_id *to, const char *proto,
                                       struct ref *out);
QUDAG_MUST_USE qudag_err app_open_circuit(struct node *n, struct ref circuit, const char *proto,
                                          struct ref *out);
QUDAG_MUST_USE qudag_err app_open_dark(struct node *n, const struct dark_addr *to,
                                       const char *proto, struct ref *out);
QUDAG_MUST_USE qudag_err app_write(struct node *n, struct ref s, struct slice data, size_t *taken);
void app_consume(struct node *n, struct ref s, size_t len);
void app_fin(struct node *n, struct ref s);
/* |why| is what the peer is told; QUDAG_ECANCELED: a plain reset. */
void app_reset(struct node *n, struct ref s, qudag_err why);

/* What is known of a stream of the program. */
struct app_info {
    bool open, inbound;
    uint8_t props;       /* enum link_prop; open: of its link */
    struct peer_id peer; /* len 0: not known, or the link is anonymous */
    struct ref circuit;  /* the circuit it runs over, if any */
    const char *proto;
    uint32_t queued; /* bytes of ours that have not been sent */
    void *user;
};
QUDAG_MUST_USE qudag_err app_info(struct node *n, struct ref s, struct app_info *out);
/* The program's pointer for a stream; in hooks.stream_closed still known.  False: stale. */
bool app_set_user(struct node *n, struct ref s, void *user);
void *app_user(struct node *n, struct ref s);

/* Dark addresses: new keys, saved before the call returns. */
QUDAG_MUST_USE qudag_err node_dark_create(struct node *n, const char *label, tstamp now,
                                          struct dark_addr *out);
QUDAG_MUST_USE qudag_err node_circuit_close(struct node *n, struct ref circuit);

/* See kad_namespace(). */
QUDAG_MUST_USE qudag_err node_namespace(struct node *n, const struct kad_validator *v);
/* What hooks.persist was given, before node_start(); see kad_restore() for errors. */
QUDAG_MUST_USE qudag_err node_dht_restore(struct node *n, enum kad_persist_kind kind,
                                          const uint8_t *hash, struct slice bytes, tstamp now);
/* Whether hooks.persist can take things now; |anew|: hand out everything again. */
void node_persist_room(struct node *n, bool room, bool anew, tstamp now);

/* Looking in. */
enum node_phase node_phase_get(const struct node *n);
const char *node_circuit_purpose(const struct node *n, struct ref circuit);
struct swarm *node_swarm(const struct node *n);
struct kad *node_kad(const struct node *n);
struct onion *node_onion(const struct node *n);
struct relays *node_relays(const struct node *n);
/* Milliseconds until bootstrap peers are dialled again; 0 unless the last attempt failed. */
uint64_t node_boot_retry_ms(const struct node *n, tstamp now);
struct dark *node_dark(const struct node *n);
struct quic *node_quic(const struct node *n);
/* Agent and protocols a peer told; false before it did.  Texts borrowed until the next drain. */
bool node_peer_agent(const struct node *n, const struct peer_id *peer, const char **agent,
                     const char **protocols);
void node_add_addr(struct node *n, const struct peer_id *peer, const struct multiaddr *addr);
void node_disconnect(struct node *n, const struct peer_id *peer);

#endif
