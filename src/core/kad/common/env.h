/*
 * env.h - what every room is given of its surroundings: memory, time, random numbers, log, timers, buffers, counters.
 *
 * No room's state is here: a room that needs another's takes it as a parameter.
 */
#ifndef QUDAG_SRC_CORE_KAD_COMMON_ENV_H
#define QUDAG_SRC_CORE_KAD_COMMON_ENV_H

#include "base/heap.h"
#include "core/core.h"
#include "core/kad/common/params.h"
#include "core/kad/common/refusal.h"
#include "wire/kad_msg.h"

#define KAD_HINTS_MAX (KAD_ADDRS_MAX * (MULTIADDR_MAX + 2)) /* bytes of what ACT_OPEN takes */
#define KAD_ACTS_SPARE 64 /* of the action list, left for resets and reports of what ends */

/* One heap holds the timers of all rooms; the kind says whose it is. */
enum kad_timer_kind { KAD_TIMER_RPC, KAD_TIMER_REQUEST, KAD_TIMER_INBOUND, KAD_TIMER_REPUBLISH };

struct kad_timer {
    struct heap_node node;
    enum kad_timer_kind kind;
    void *owner;
};

/* Where messages are read and written: used within one call, shared by all instances of a loop. */
struct kad_buffers {
    struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
    struct kad_peer_raw raw[KAD_PEERS_MAX];
    uint8_t bytes[KAD_PERSIST_MAX];
};

struct kad_env {
    struct mem *mem;
    struct kad_buffers *buf;
    size_t acts_0, bytes_0; /* fill of the action list when the core was called */
    bool more;              /* something could not go on: a tick is wanted at once */
    bool server;            /* we answer others */
    bool lab;     /* no address diversity limits, loopback and private addresses allowed */
    uint8_t need; /* link properties every RPC needs */
    uint8_t hash[SHA256_LEN]; /* of our id */
    struct heap timers;
    struct rng rng;
    struct logger log;
    struct wallclock clock;
    struct peer_id self;
    struct kad_stats stats;
};

/* The wall clock at |now|, s. */
walltime kad_env_wall(const struct kad_env *e, tstamp now);
/* Whether |acts| more actions and |bytes| more bytes fit into the list with which the core was called. */
bool kad_env_room(const struct kad_env *e, const struct acts *out, size_t acts, size_t bytes);
/* Sets or moves the timer.  QUDAG_ENOMEM, ELIMIT: what it belongs to must be given up. */
QUDAG_MUST_USE qudag_err kad_env_timer_set(struct kad_env *e, struct kad_timer *t, tstamp at);
/* Counts and logs what a peer did wrong. */
void kad_refuse(struct kad_env *e, enum kad_refusal why);
/* The same |n| times; 0: nothing happens. */
void kad_refuse_n(struct kad_env *e, enum kad_refusal why, size_t n);

#endif
