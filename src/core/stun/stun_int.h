/* stun_int.h - what the files of core/stun share. */
#ifndef QUDAG_SRC_CORE_STUN_STUN_INT_H
#define QUDAG_SRC_CORE_STUN_STUN_INT_H

#include "base/heap.h"
#include "base/limiter.h"
#include "base/list.h"
#include "base/map.h"
#include "core/stun/rules.h"

#define STUN_NETS 256 /* limiters; two networks may share one */

enum stun_ask_state { STUN_ASK_IDLE, STUN_ASK_WAITING, STUN_ASK_DELAYED, STUN_ASK_DONE };

struct stun_ask {
    enum stun_ask_state state;
    uint8_t id[STUN_ID_LEN];
    unsigned sends;
    tstamp due;      /* the next request; of a delayed one: when its second answer comes no more */
    tstamp answered; /* for the first time */
};

/* A question that is not answered yet. */
struct stun_open {
    struct list node;
    struct heap_node timer;
    struct stun_question q;
    struct stun_answer a;
    struct stun_ask ask[STUN_SERVERS];
};

/* A second answer that is owed. */
struct stun_delayed {
    struct heap_node timer;
    uint64_t net;
    struct stun_packet packet;
};

struct stun {
    struct mem *mem;
    struct rng rng;
    struct list questions;
    size_t n;
    struct heap timers;
    struct map ids; /* of a transaction -> its question */
    struct stun_stats stats;

    bool serves;
    uint64_t key[2];
    struct limiter net[STUN_NETS], all;
    struct heap delayed;
};

/* server.c */

/* An empty server; in a zeroed object. */
void stun_server_init(struct stun *s, tstamp now);
/* Forgets what it owes. */
void stun_server_fini(struct stun *s);
/* A plain request: answered, or counted as refused. */
void stun_server_answer(struct stun *s, const struct stun_came *d, tstamp now, struct acts *out);
/* |local| is gone: what would leave from there is forgotten. */
void stun_server_forget(struct stun *s, const struct netaddr *local);
/* Second answers that are due. */
void stun_server_tick(struct stun *s, tstamp now, struct acts *out);
/* The next of them. */
tstamp stun_server_deadline(const struct stun *s);

#endif
