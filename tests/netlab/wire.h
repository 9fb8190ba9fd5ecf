/* wire.h - one direction of a link: delay, loss by itself and in bursts, rate; time and chance are parameters. */
#ifndef QUDAG_TESTS_NETLAB_WIRE_H
#define QUDAG_TESTS_NETLAB_WIRE_H

#include "base/list.h"
#include "base/mem.h"
#include "base/rng.h"

struct wire_config {
    uint64_t delay_ns;
    uint64_t jitter_ns; /* added evenly from 0 up to it; the order is kept */
    uint32_t loss;      /* permille */
    uint32_t burst_in,
        burst_out; /* permille of a burst beginning, and ending, at a packet; all in it are lost */
    uint64_t rate; /* bit/s; 0: any */
    size_t limit;  /* bytes that may wait for the rate; 0: a quarter of a second, 30000 at least */
    size_t mtu;    /* longer packets are lost without a word; 0: none are */
    bool down;
};

struct wire {
    struct wire_config cfg;
    struct mem *mem;
    struct rng rng;
    struct list packets; /* the first to leave first */
    bool burst;
    uint64_t busy, last; /* until when the rate is used up; when the last one leaves */
    uint64_t passed, lost;
};

/* Both |mem| and |rng| must outlive it; it is as if not there until it is set. */
void wire_init(struct wire *w, struct mem *mem, const struct rng *rng);
void wire_fini(struct wire *w);
/* For what comes from now on. */
void wire_set(struct wire *w, const struct wire_config *cfg);

/* A packet comes to one end; |data| is copied. */
void wire_put(struct wire *w, struct slice data, uint64_t now);
/* A packet that has reached the other end, into |dst|; its length, 0: none has. */
size_t wire_get(struct wire *w, uint8_t *dst, size_t cap, uint64_t now);
/* When the next one leaves; TSTAMP_NEVER. */
uint64_t wire_next(const struct wire *w);

#endif
