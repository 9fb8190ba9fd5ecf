/*
 * full_int.h - what the files of the second host share.
 *
 *   full.c        the host: lives of nodes, their events, requests           sees sim_int.h
 *   full_net.c    datagrams: delay, loss, uplink, partitions                 sees sim_int.h
 *   full_nat.c    routers before nodes (full_routers.h)                       sees sim_int.h
 *   full_node.c   one complete node, its requests and their answers          sees node.h
 *   full_work.c   circuits that carry a pattern both ways                    sees node.h
 *   full_check.c  what a relay knows, keys left behind in memory             sees core/onion
 *
 * node.h and sim_int.h both name requests OP_PUT and so on; no file includes both.
 */
#ifndef QUDAG_SIM_FULL_INT_H
#define QUDAG_SIM_FULL_INT_H

#include "base/mem.h"
#include "base/netaddr.h"
#include "core/kad/kad.h"
#include "crypto/identity.h"
#include "sim/full.h"
#include "sim/full_routers.h"

#define FULL_CONTACTS_MAX 20
#define FULL_PATH_MAX 8
#define FULL_SECRET 32
#define FULL_SECRETS_MAX 64 /* of one node */
#define FULL_MARKS_MAX 256  /* blocks of one node that hold keys of circuits */
#define FULL_EXTRA_MAX 448  /* sockets of a node beside its first */

struct full;
struct node_config;
struct sim;
struct sim_event;

/* A request under way at a node. */
struct full_request {
    struct ref op;
    uint64_t cookie;
};

/* The serving end of a stream over a circuit. */
struct full_served {
    struct ref strm;
    uint64_t got, sent, id, size;
    uint8_t head[16];
    bool fin_in, fin_out;
};

struct full_node {
    struct full *full;
    uint32_t ix, epoch;
    struct node *node; /* NULL: not online */
    struct mem *mem;
    struct mem_hooks hooks;
    struct rng_stream stream;
    struct identity id;
    struct peer_id peer;
    struct netaddr addr; /* of its first socket; behind a router an inside one */
    uint32_t router;     /* FULL_NONE: it is on the Internet */
    bool placed;         /* |router| is said */
    uint16_t extra[FULL_EXTRA_MAX],
        extra_ports; /* ports of its other sockets; how many were used so far */
    size_t extras;
    bool started, alone; /* alone: nobody to join through */
    bool ready;          /* joined, and knows relays */
    tstamp joined;
    int64_t skew;         /* s its clock is wrong by */
    uint64_t join_cookie; /* 0: answered */
    qudag_err join_err;   /* how the first attempt ended */
    struct full_request *request;
    size_t requests, requests_cap;
    struct full_served *served;
    size_t serveds, serveds_cap;
    uint8_t secret[FULL_SECRETS_MAX][FULL_SECRET];
    size_t secrets, lasting; /* lasting: the first so many are of the node itself */
    struct slice mark[FULL_MARKS_MAX];
    size_t marks;
};

/* A circuit that carries a pattern: client's view. */
struct full_carry {
    bool used, built, hit, over; /* hit: a node of its path has gone */
    uint8_t phase, hops;
    uint32_t client, path[FULL_PATH_MAX];
    uint64_t id, due, sent, got;
    struct ref op, circuit, strm;
    tstamp began, first, hit_at, heard; /* first: the first bytes came back */
    qudag_err why;
};

/* Since the beginning, of nodes that are there and of those that were. */
struct full_counts {
    uint64_t rpcs, dials, datagrams, bytes;
};

struct full_relay_seen {
    uint64_t entries,
        matched; /* of relays' tables; which belong to a circuit whose ends are known */
};

struct full {
    struct sim *s;
    const struct scenario *sc;
    uint32_t cap;
    struct full_node *node;
    tstamp *last;    /* [from * cap + to] arrival of the latest datagram: none overtakes */
    uint8_t *buf;    /* QUIC_TX_MAX */
    uint8_t *routed; /* the same, and a way before it */
    struct full_counts counts, gone;
    struct full_carry *carry;
    size_t carries, carry_ids;
    struct full_relay_seen seen;
    uint8_t (*known)[FULL_SECRET]; /* Ed25519 keys and ML-DSA hashes of all that ever lived */
    uint32_t *known_of;            /* whose */
    size_t knowns, knowns_cap;
    uint8_t filter[8192]; /* bit set of their first two bytes */
    uint64_t freed;       /* blocks looked into */
    struct mem nat_mem;
    struct full_router *router;
    uint32_t routers, last_router, carrier;
    /* Tests set it before the run: how a node differs from the usual one; NULL: not at all. */
    void (*differs)(const struct full_node *fn, struct node_config *c);
};

/* full.c: what the files below report to the simulator */
struct full *full_inside(const struct sim *s); /* for tests that do not see sim_int.h */
tstamp full_now(const struct full *f);
uint32_t full_draw(struct full *f, uint32_t below); /* of the workload's dice */

/*
 * The request |cookie| of |node| has ended; |res| is borrowed for the call, NULL for a request without
 * result.
 */
void full_answer(struct full *f, uint32_t node, uint64_t cookie, qudag_err err,
                 const struct kad_result *res);

/* An invariant is violated at |node|; |what| is static. */
void full_fail(struct full *f, uint32_t node, const char *what);

void full_wake(struct full *f, size_t carry, uint64_t after); /* carry_step() is due then */
void full_apply(struct full *f, uint32_t node);               /* after calls into it from outside */

/* The phase of the scenario that runs now; SIM_PHASES_MAX: none. */
uint8_t full_phase(const struct full *f);

/* Where requests for circuits of that phase are counted; NULL for none. */
struct sim_outcome *full_outcome(struct full *f, uint8_t phase);

/* Adds a duration of |ns| to the samples of |o|, in microseconds. */
void full_sample(struct sim_outcome *o, uint64_t ns);

/* The node that has this id in its present life; FULL_NONE: nobody. */
uint32_t full_by_id(const struct full *f, const struct peer_id *id);

/* full_net.c */
void net_full_init(struct full *f);

/*
 * A datagram leaves |from| for |to|: its bytes are copied into an event, or it is dropped as the network
 * does.
 */
void net_full_send(struct full *f, struct full_node *from, const struct full_way *way,
                   const uint8_t *p, size_t len);

/* The address that a node has in one of its lives, or the router that was made for it (any port). */
struct netaddr net_full_addr(uint32_t node, uint32_t epoch);

/* A datagram of SIM_WORK that net_full_send() left has come to where it was sent: the node that gets it; FULL_NONE. */
uint32_t net_full_routed(struct full *f, const struct sim_event *ev, struct full_way *way,
                         struct slice *data);
#define FULL_ROUTED 0xfe /* low byte of the cookie of such an event */

/* full_node.c */
struct fn_setup {
    size_t contacts;
    struct netaddr addr[FULL_CONTACTS_MAX];
    struct peer_id peer[FULL_CONTACTS_MAX];
    int64_t wall0;
    uint64_t idle;
};

/* Makes the identity and the node and begins to join as |setup| says; stops the program when that fails. */
void fn_make(struct full_node *fn, const struct fn_setup *setup, tstamp now);

/* Ends the node and wipes its identity; |tell|: after a shutdown, whose datagrams leave first. */
void fn_unmake(struct full_node *fn, bool tell, tstamp now);

enum fn_op { FN_PUT, FN_GET, FN_FIND };

/* Begins a request, answered by full_answer() with |cookie|, unless an error is returned. */
qudag_err fn_request(struct full_node *fn, enum fn_op op, uint64_t cookie, struct slice key,
                     struct slice value);

/* A datagram has come by |way|; borrowed for the call. */
void fn_recv(struct full_node *fn, const struct full_way *way, struct slice data, tstamp now);

void fn_turn(struct full_node *fn, tstamp now); /* requests, due ticks, then what is to be sent */

/* When the node wants its next turn; TSTAMP_NEVER: not by itself. */
tstamp fn_deadline(const struct full_node *fn);

/* Its DHT core, valid while the node is online. */
struct kad *fn_kad(const struct full_node *fn);

/* Its circuits, valid while the node is online. */
struct onion *fn_onion(const struct full_node *fn);

/* Adds what the node has done so far to |c|. */
void fn_count(const struct full_node *fn, struct full_counts *c);

/* full_work.c */
void carry_begin(struct full *f);

/* Lets the circuit at index |ix| go on, once its stream has been asked for. */
void carry_step(struct full *f, size_t ix);

/* The node's answer to a request for a circuit. */
void carry_op_done(struct full_node *fn, struct ref op, qudag_err err, struct ref circuit);

void carry_left(struct full *f, uint32_t node); /* |node| goes, or is gone */

/*
 * Checks all circuits: none outlives a relay of its path or stands still; other findings are violations too.
 */
void carry_check(struct full *f);

/* Frees the table. */
void carry_fini(struct full *f);

/* Another node has opened a stream over a circuit to |fn|, which serves it. */
void carry_stream_in(struct full_node *fn, struct ref strm);

/* Bytes on a stream, at either end, compared with the pattern; a difference is a violation. */
void carry_data(struct full_node *fn, struct ref strm, struct slice data, bool fin);

/* The client's stream is open. */
void carry_opened(struct full_node *fn, struct ref strm);

/* There is room again: the sending goes on. */
void carry_writable(struct full_node *fn, struct ref strm);

/* A stream has ended, for either side. */
void carry_closed(struct full_node *fn, struct ref strm, qudag_err why);

/* A circuit of |fn| has ended; its stream ends with an event of its own. */
void carry_circuit_closed(struct full_node *fn, struct ref circuit, qudag_err why);

/* The pattern: byte |at| of circuit |id| in direction |way|. */
uint8_t carry_byte(uint64_t id, unsigned way, uint64_t at);

#define FULL_ECHO "/qudag-sim/pattern/1"

/* full_check.c */

/* Gives |fn| an allocator of |max| bytes that looks into what it gets back. */
void full_check_mem(struct full_node *fn, uint64_t max);

/* FULL_SECRET bytes that may not be in memory given back (copied); ignored when zero, and at FULL_SECRETS_MAX. */
void full_check_secret(struct full_node *fn, const void *p);

/* |len| bytes at |p| must be zero when they are given back; ignored at FULL_MARKS_MAX. */
void full_check_mark(struct full_node *fn, const void *p, size_t len);

/* Takes the keys that |fn| holds now in place of those of the last round, and checks its relay's entries. */
void full_check_round(struct full *f, struct full_node *fn);

/* |fn| begins a life: its keys are looked for in what relays hold. */
void full_check_known(struct full *f, const struct full_node *fn);

/* Checks what the relays of a circuit hold of its ends; nothing unless it is built and all of it is there. */
void full_check_path(struct full *f, const struct full_carry *c);

#endif
