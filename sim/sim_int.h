/*
 * sim_int.h - what the files of the simulator share.
 *
 *   run.c     one run: events out of the queue, to whom they belong
 *   host.c    nodes: their cores, what these ask for, identify between two that met
 *   net.c     links and streams: how long a message takes, and whether it comes
 *   warm.c    networks that have settled before; nodes asleep
 *   index.c   nodes by their place in the key space
 *   fault.c   what befalls the network      liar.c  what colluding nodes answer
 *   attack.c  Sybils around a place, and the keys there
 *   work.c    requests and whether they were answered rightly
 *   check.c   what must hold at every moment
 *   hostile.c what hostile nodes send
 */
#ifndef QUDAG_SIM_SIM_INT_H
#define QUDAG_SIM_SIM_INT_H

#include "base/map.h"
#include "core/kad/kad.h"
#include "sim/chance.h"
#include "sim/run.h"
#include "sim/world.h"

#include <stdio.h>

#define SIM_BEGIN (3600 * NS_PER_S) /* cores use 0 for "never", and some remember an earlier time */
#define SIM_WALL0 INT64_C(1700000000)
#define SIM_MESSAGE_OVERHEAD                                                                       \
    70 /* bytes: IPv4 20, UDP 8, QUIC short header and tag 27, frame, spare */
#define SIM_VALUES_NS "sim"
#define SIM_NONE UINT32_MAX

/* ---- net.c ---- */

/* One end of a stream. */
struct sim_end {
    uint32_t node;
    uint32_t next, prev; /* streams of this node: stream * 2 + side; SIM_NONE: end */
    bool open, fin_sent, fin_seen;
    tstamp last; /* latest arrival at this end so far: what comes later does not overtake */
};

struct sim_stream {
    uint32_t gen; /* as in struct ref; never 0 */
    uint32_t next_free;
    bool used;
    struct sim_end end[2]; /* opener, answerer */
};

/* A link of two nodes, by the pair of them. */
struct sim_link {
    tstamp until;              /* never 0 */
    uint32_t epoch_a, epoch_b; /* it dies with either end */
};

struct net {
    struct sim_stream *stream;
    uint32_t streams, streams_cap, free_head;
    struct mem mem;
    struct map links;  /* pairs -> sim_link, dead ones among them */
    size_t links_room; /* so many, then dead ones are dropped */
    bool cut;          /* a partition is on */
    uint64_t loss;     /* millionths, now */
};

struct sim_node {
    struct kad *kad; /* NULL: not online */
    struct mem mem;
    bool hostile;  /* sends what no honest node sends */
    uint8_t habit; /* of answering, if so */
    struct rng_stream rng;
    struct peer_id id;
    uint32_t epoch;   /* lives begun */
    uint32_t streams; /* head of its list */
    tstamp tick_at;   /* time of its earliest queued tick */
    tstamp joined;
    tstamp uplink_free;
    uint64_t slow;  /* ns before an answer */
    uint32_t still; /* ticks at one moment */
    tstamp still_at;
    uint32_t newer, older; /* warm.c: awake nodes by their last use; SIM_NONE: end */
    uint32_t dialling;     /* dials that will fail */
    int32_t skew;          /* s its wall clock is ahead */
    bool nat, liar, far;   /* behind NAT: a client; lies; on the other side of a partition */
    bool sybil, asleep;    /* asleep: online without a core */
};

static inline bool sim_there(const struct sim_node *nd)
{
    return nd->kad != NULL || nd->asleep;
}

/* ---- index.c ---- */

struct sim_place {
    uint64_t prefix;
    uint32_t node;
};

/* Nodes by their prefix.  stale: somebody came since. */
struct sim_index {
    struct sim_place *v;
    uint32_t n;
    bool stale;
};

/* ---- attack.c ---- */

struct attack {
    uint64_t *place; /* first bits of the keys attacked */
    size_t places, items, next;
    unsigned bits, key_bits;     /* that Sybils and keys share with their place */
    uint32_t first, n, networks; /* Sybils are the nodes from |first| on */
    uint32_t *item;
    bool early; /* they are there from the beginning */
};
#define SIM_ITEM_ATTACKED (UINT32_C(1) << 31) /* items from here on lie at a place */

/* ---- work.c ---- */

enum sim_op { OP_PUT, OP_GET, OP_FIND, OP_JOIN, OP_PUT_ATTACKED, OP_GET_ATTACKED, SIM_OPS };

struct sim_request {
    tstamp began;
    uint32_t node, epoch, item; /* item: which record or key */
    uint8_t op, phase;          /* phase: SIM_PHASES_MAX: none */
    bool open;
};

/* A value somebody was told is stored. */
struct sim_record {
    tstamp stored;
    uint32_t item;
};

struct work {
    struct sim_request *request; /* by cookie - 1 */
    size_t n, cap, open, oldest; /* oldest: all before it are answered */
    struct sim_record *record;
    size_t records, records_cap, first; /* first: those before it are older than asked for */
    uint32_t items;
};

/* ---- complete nodes, full.c ---- */

/*
 * What the host of complete nodes does where bare cores are driven otherwise.  Everything else (faults,
 * requests and their judgement, checks, reports) is shared.
 */
struct sim_host {
    void (*init)(struct sim *s);
    void (*fini)(struct sim *s);
    bool (*event)(struct sim *s, const struct sim_event *ev); /* false: none of its business */
    void (*make)(struct sim *s, uint32_t node); /* sets id, prefix, kad; told of its contacts */
    void (*leave)(struct sim *s, uint32_t node, bool tell);
    void (*apply)(struct sim *s, uint32_t node); /* carries out what a request began */
    bool (*by_id)(const struct sim *s, const struct peer_id *id, uint32_t *node);
    qudag_err (*ask)(struct sim *s, uint32_t node, enum sim_op op, uint64_t cookie,
                     struct slice key, struct slice value);
};

/* ---- the whole ---- */

struct sim {
    const struct scenario *sc;
    const struct sim_host *host; /* NULL: bare cores */
    void *full;                  /* the host's own */
    struct sim_options opt;
    struct sim_report report;
    struct world world;
    struct dice dice;
    struct net net;
    struct sim_node *node;
    uint64_t *prefix; /* of the hash of each node's id */
    uint8_t *up;      /* serves, now */
    uint32_t n, cap_n, online;
    struct kad_scratch *scratch;
    struct mem mem;   /* the scratch */
    struct acts acts; /* the one list all cores use in turn */
    /* For looking into messages. */
    struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX], named[KAD_K];
    struct work work;
    struct sim_index servers, liars;
    struct attack attack;
    uint32_t awake, newest, oldest; /* warm.c */
    bool fault_on[SIM_FAULTS_MAX], phase_on[SIM_PHASES_MAX];
    bool hostile; /* some nodes are */
    uint32_t hostile_step;
    uint32_t check_next;
    uint64_t value_key[2];
    uint64_t rpcs, dials, bytes, messages, node_ns; /* since the beginning; node_ns: online time */
    tstamp node_ns_at;
};

/* net.c */
void net_init(struct net *net);
void net_fini(struct net *net);
bool net_reaches(const struct sim *s, uint32_t a, uint32_t b); /* no partition between them */
void net_open(struct sim *s, uint32_t from, const struct act *a);
/* From the end |strm| names, if it is still open. */
void net_send(struct sim *s, struct ref strm, enum sim_kind kind, struct slice data);
/* The stream an event is for, and its side; NULL when it is gone. */
struct sim_stream *net_stream(struct sim *s, struct ref strm, unsigned *side);
/* This end has seen a fin or a reset, or gives up. */
void net_end_fin(struct sim *s, struct ref strm);
void net_end_close(struct sim *s, struct ref strm);
/* All streams of a node that leaves; |tell|: the other ends are reset. */
void net_leave(struct sim *s, uint32_t node, bool tell);

/* host.c */
void host_join(struct sim *s, uint32_t node);
void host_leave(struct sim *s, uint32_t node, bool tell);
void host_event(struct sim *s, const struct sim_event *ev);
/* Whether a tick of |node| is due now; too many at one moment are a violation. */
bool host_due(struct sim *s, uint32_t node);
void host_tick(struct sim *s, uint32_t node);
struct acts *host_acts(struct sim *s);
void host_apply(struct sim *s, uint32_t node);
bool host_by_id(const struct sim *s, const struct peer_id *id, uint32_t *node);
void host_info(const struct sim *s, uint32_t node, struct kad_peer_info *out);
void host_add_node(struct sim *s); /* one more slot, offline */
/* The hash prefix of the id that |pk| becomes with |node| and |tail| in it; the life is the first. */
uint64_t host_id_at(uint8_t pk[32], uint32_t node, uint32_t tail, struct peer_id *out);
void host_identify(struct sim *s, uint32_t node);           /* its id in this life */
void host_make(struct sim *s, uint32_t node, tstamp began); /* its core */
void host_count(struct sim *s, bool more);
walltime host_wall(const struct sim *s, uint32_t node);

/* index.c */
void index_build(struct sim *s, struct sim_index *ix,
                 bool liars); /* servers, or the liars of them */
/* The first of [lo, hi), which share |bit| bits, that has the next bit set. */
uint32_t index_split(const struct sim_index *ix, uint32_t lo, uint32_t hi, unsigned bit);
/* As sim_nearest; |asker| SIM_NONE: all that are online. */
size_t index_nearest(const struct sim *s, const struct sim_index *ix, uint32_t asker,
                     uint64_t target, size_t max, uint32_t *out);

/* warm.c */
void warm_build(struct sim *s);
void warm_wake(struct sim *s, uint32_t node); /* it has a core then */
void warm_used(struct sim *s, uint32_t node);
void warm_left(struct sim *s, uint32_t node); /* before its core is freed */

/* attack.c */
void attack_plan(struct sim *s);
void attack_fini(struct sim *s);
bool attack_item(struct sim *s, uint32_t *item); /* the next attacked key; false: none left */
bool attack_addr(const struct sim *s, uint32_t node, uint8_t ip[4]);

/* liar.c */
void liar_answer(struct sim *s, uint32_t node, struct ref strm, struct slice data);

/* hostile.c */
#define HOSTILE_TICK (UINT64_C(1) << 40) /* cookie of a SIM_FAULT */
void hostile_mark(struct sim *s, const struct sim_fault *f, bool on);
void hostile_tick(struct sim *s);
/* True when the event is none of the core's; |other|: the node at the other end. */
bool hostile_event(struct sim *s, const struct sim_event *ev, uint32_t other);
uint64_t hostile_net(const struct sim *s, uint32_t node); /* what network its links come from */
struct kad_validator hostile_validator(void);
bool hostile_key(struct slice key); /* of a record only hostile nodes put */

/* fault.c */
void fault_plan(struct sim *s);
void fault_event(struct sim *s, uint64_t cookie);
void fault_joined(struct sim *s, uint32_t node); /* churn: when will it leave? */
void fault_leave(struct sim *s, uint32_t node);
int32_t fault_skew(const struct sim *s, uint32_t node); /* s its clock is ahead if it starts now */

/* work.c */
void work_plan(struct sim *s);
void work_event(struct sim *s, enum sim_op op);
void work_join(struct sim *s, uint32_t node); /* bootstrap request of a new node */
void work_done(struct sim *s, uint32_t node, const struct act *a);
void work_left(struct sim *s, uint32_t node);
void work_phase(struct sim *s, uint64_t cookie);
void work_late(struct sim *s); /* is any request overdue? */
/* Adds what all nodes have done so far, or takes it away when the phase begins. */
void work_count(const struct sim *s, struct sim_phase_report *p, bool begins);
void work_fini(struct sim *s);
uint64_t work_target(uint32_t item);              /* first bits of the hash of its key */
void work_verify(struct sim *s, uint64_t cookie); /* does an honest node hold what was stored? */
void sim_value(const struct sim *s, struct slice key, walltime made, uint8_t *out, size_t len);
struct kad_validator sim_validator(struct sim *s);
/* The |max| online servers that |node| could find nearest to |target|, without itself; SIM_NONE: all. */
size_t sim_nearest(const struct sim *s, uint32_t node, uint64_t target, size_t max, uint32_t *out);

/* check.c */
void check_event(struct sim *s);
void check_all(struct sim *s);
void check_acts(struct sim *s, uint32_t node, const struct acts *out);
void check_gone(struct sim *s, uint32_t node); /* after its core was freed */
void check_fail(struct sim *s, uint32_t node, const char *what);

/* trace.c */
void trace_event(struct sim *s, const struct sim_event *ev);
void trace_act(struct sim *s, uint32_t node, const struct act *a);

#endif
