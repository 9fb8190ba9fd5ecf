/*
 * world.h - virtual time: a queue of events ordered by (time, sequence), and the log of what happened.
 *
 * The log is kept as a running BLAKE3 hash: two runs agree exactly when their hashes do.
 */
#ifndef QUDAG_SIM_WORLD_H
#define QUDAG_SIM_WORLD_H

#include "crypto/hash.h"

enum sim_kind {
    SIM_OPEN,     /* node, strm: somebody opened a stream to us */
    SIM_OPENED,   /* node, strm, cookie: ours is open */
    SIM_FAIL,     /* node, cookie: ours did not open */
    SIM_DATA,     /* node, strm, data */
    SIM_FIN,      /* node, strm */
    SIM_RESET,    /* node, strm */
    SIM_WRITABLE, /* node, strm, cookie: bytes that left the queue */
    SIM_MEET,     /* node, cookie: the node that identify told it about */
    SIM_TICK,     /* node */
    SIM_JOIN,     /* node */
    SIM_LEAVE,    /* node */
    SIM_WORK,     /* cookie: kind of request */
    SIM_FAULT,    /* cookie: which, and whether it begins or ends */
    SIM_CHECK,
    SIM_PHASE,  /* cookie: which, and whether it begins or ends */
    SIM_VERIFY, /* cookie: a put that succeeded */
};

struct sim_data {
    uint32_t len;
    uint8_t b[];
};

struct sim_event {
    tstamp at;
    uint64_t seq, cookie;
    uint32_t node, epoch; /* epoch: of the node when it was queued; a later life does not get it */
    struct ref strm;
    struct sim_data *data; /* owned */
    enum sim_kind kind;
};

/* When an event is due, and which: what moves within the queue. */
struct sim_turn {
    tstamp at;
    uint64_t seq;
    uint32_t ix;
};

struct world {
    struct sim_turn *v; /* heap, four children each */
    size_t n, cap, peak;
    struct sim_event *event; /* by sim_turn.ix */
    uint32_t *spare;         /* places in |event| that are free */
    size_t spares;
    uint64_t seq, events;
    tstamp now;
    struct blake3_ctx log;
    size_t log_n;
    uint8_t log_buf[16384]; /* whole chunks of BLAKE3, as many as it hashes at once */
};

/* An empty queue and an empty log; the time is 1 s, since cores take 0 for "never". */
void world_init(struct world *w);

/* Frees the queue and the data of its events. */
void world_fini(struct world *w);

void world_push(struct world *w, struct sim_event ev); /* takes ev.data; not before |now| */
/* The next event not after |until|; the clock moves to it.  False: none, and the clock is at |until|. */
bool world_pop(struct world *w, tstamp until, struct sim_event *out);

/* Adds bytes to the log. */
void world_log(struct world *w, const void *p, size_t len);

/* Adds a number to the log, in a fixed byte order. */
void world_log_u64(struct world *w, uint64_t v);

/* Of everything logged so far; logging may go on. */
void world_hash(const struct world *w, uint8_t out[BLAKE3_LEN]);

/* A copy of |len| bytes, to be given to an event or freed with free(); never NULL. */
struct sim_data *sim_data_new(const void *p, size_t len);

/* malloc and realloc that cannot fail: a simulation without memory has nothing to report. */
void *sim_alloc(size_t n, size_t size);

/* realloc() of |n| elements of |size|; new bytes are not zeroed. */
void *sim_grow(void *p, size_t n, size_t size);

#endif
