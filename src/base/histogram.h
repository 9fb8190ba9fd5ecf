/*
 * histogram.h - how often a measured time fell into which range: fixed buckets, no allocation, no clock.
 *
 * The bounds of the buckets are those of a scale, in nanoseconds.  A value belongs to the first bucket whose bound it
 * does not exceed, as Prometheus has it ("le"); the last bucket has no bound.
 */
#ifndef QUDAG_SRC_BASE_HISTOGRAM_H
#define QUDAG_SRC_BASE_HISTOGRAM_H

#include "base/types.h"

#define HISTOGRAM_BUCKETS 15 /* at most, the one without a bound included */

/* For what kind of times buckets are made. */
enum histogram_scale {
    HISTOGRAM_SETUP,  /* handshakes, streams: 1 ms to 30 s */
    HISTOGRAM_RTT,    /* round trips: 1 ms, doubling, to 2.048 s */
    HISTOGRAM_WORK,   /* lookups, circuits, connects: 10 ms to 60 s */
    HISTOGRAM_LIFE,   /* how long something lasted: 1 s, four times as long each, to 12 days */
    HISTOGRAM_LAG,    /* how late something was done: 0.1 ms to 5 s */
    HISTOGRAM_CRYPTO, /* single operations: 0.5 us to 20 ms */
    HISTOGRAM_SCALES,
};

/* All zero: empty. */
struct histogram {
    uint64_t count[HISTOGRAM_BUCKETS]; /* of each bucket alone */
    uint64_t sum_ns;                   /* of all values; stops at UINT64_MAX */
};

/* The bounds of |scale|, ascending, in nanoseconds; *n of them, so *n + 1 buckets.  Static. */
const uint64_t *histogram_bounds(enum histogram_scale scale, size_t *n);

/* Counts one value. */
void histogram_add(struct histogram *h, enum histogram_scale scale, uint64_t ns);

/* How many values there were. */
uint64_t histogram_total(const struct histogram *h);

/*
 * An estimate of the value that |permille| of 1000 do not exceed: linear within its bucket, as histogram_quantile() of
 * Prometheus.  The greatest bound, where the value is above that; 0 without values.
 */
uint64_t histogram_quantile(const struct histogram *h, enum histogram_scale scale,
                            unsigned permille);

#endif
