/* sim_state.h - all that a run of the simulator consists of: nodes, links, requests, faults, their state. */
#ifndef QUDAG_SIM_SIM_STATE_H
#define QUDAG_SIM_SIM_STATE_H

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
    bool nat, colluding,
        far; /* behind NAT: a client; works with others like it; on the other side of a partition */
    bool sybil, asleep; /* asleep: online without a core */
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
    uint64_t *target; /* first bits of the keys attacked */
    size_t n_targets, items, next;
    unsigned bits, key_bits;     /* that Sybils and keys share with their target */
    uint32_t first, n, networks; /* Sybils are the nodes from |first| on */
    uint32_t *item;
    bool early; /* they are there from the beginning */
};
#define SIM_ITEM_ATTACKED (UINT32_C(1) << 31) /* items from here on have the prefix of a target */

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
    struct sim_index servers, colluders;
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

#endif
