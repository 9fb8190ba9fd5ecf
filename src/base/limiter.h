/* limiter.h - token bucket over a time parameter. */
#ifndef QUDAG_SRC_BASE_LIMITER_H
#define QUDAG_SRC_BASE_LIMITER_H

#include "base/types.h"

struct limiter {
    uint64_t rate;  /* tokens per second */
    uint64_t burst; /* most tokens held */
    uint64_t level; /* in 1e-9 tokens */
    tstamp last;
};

/* Starts full.  rate and burst up to 1e9. */
void limiter_init(struct limiter *l, uint64_t rate_per_s, uint64_t burst, tstamp now);

/* Takes |n| tokens if they are there. */
bool limiter_take(struct limiter *l, uint64_t n, tstamp now);

/* When |n| tokens will be there if none is taken before, at least |now|; more than the burst: TSTAMP_NEVER. */
tstamp limiter_ready(const struct limiter *l, uint64_t n, tstamp now);

/* Gives |n| tokens back, as far as there is room for them. */
void limiter_refund(struct limiter *l, uint64_t n);

#endif
