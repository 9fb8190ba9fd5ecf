/*
 * stats.h - what a node counts and measures.
 *
 * To be called on the node's thread; nothing here allocates memory.  doc/metrics.md lists all of it under the names of
 * Prometheus.
 */
#ifndef QUDAG_STATS_H
#define QUDAG_STATS_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A counter only grows while the node lives; a gauge goes up and down. */
typedef enum qudag_stat_kind { QUDAG_STAT_COUNTER = 1, QUDAG_STAT_GAUGE } qudag_stat_kind;

/* One value, in the terms of OpenMetrics; all texts are static. */
typedef struct qudag_stat {
    uint32_t size; /* set by the caller, see types.h */
    qudag_stat_kind kind;
    uint64_t value;
    const char *name;   /* unique: "creates_refused_rate" */
    const char *metric; /* without what the labels say: "creates_refused" */
    const char *labels; /* reason="rate"; "": none */
    const char *unit;   /* "bytes", "milliseconds", or "": a number of things */
    const char *help;   /* one sentence */
} qudag_stat;
/*
 * The counters and gauges of a node, one after the other; false at the end, or if out->size is not set.  *it
 * starts at 0, and then all values are taken at once: what follows belongs to the same instant, unless another
 * walk begins meanwhile.
 */
QUDAG_API bool qudag_node_stat_next(const qudag_node *n, size_t *it, qudag_stat *out);
#define QUDAG_HISTOGRAM_BUCKETS 16 /* at most */
#define QUDAG_HISTOGRAM_LABELS_MAX 96

/*
 * How often a time was how long, since the node was made.  No label names a peer, an address or a user.  The first
 * |buckets| of |count| are in use: count[i] of the values exceeded le[i - 1] and did not exceed le[i]; the last bucket
 * has no bound, and le[buckets - 1] is UINT64_MAX.
 */
typedef struct qudag_histogram {
    uint32_t size; /* set by the caller, see types.h */
    uint32_t buckets;
    uint64_t total;     /* of all buckets */
    qudag_ns sum;       /* of all values */
    const char *metric; /* static: "link_setup" */
    const char *help;   /* static: one sentence */
    uint64_t count[QUDAG_HISTOGRAM_BUCKETS];
    qudag_ns le[QUDAG_HISTOGRAM_BUCKETS];
    qudag_ns p50, p95; /* estimates, linear within a bucket; 0 without values */
    char labels
        [QUDAG_HISTOGRAM_LABELS_MAX]; /* transport="quic",direction="out",outcome="ok"; "": none */
} qudag_histogram;
/* The histograms of a node, one after the other, those of one metric together; false at the end, or if out->size is
 * not set.  *it starts at 0. */
QUDAG_API bool qudag_node_histogram_next(const qudag_node *n, size_t *it, qudag_histogram *out);

#define QUDAG_PRIMITIVE_RUNS_MAX 100000
/*
 * Measures one cryptographic operation after the other on this machine, |runs| times each, with keys made for it; needs
 * no node, and takes |runs| times 0.001 to 1 ms.  The labels are operation="mlkem768_encaps" and such.  *it starts at
 * 0; false at the end, without memory, or where |runs| is 0 or more than QUDAG_PRIMITIVE_RUNS_MAX.
 */
QUDAG_API bool qudag_primitive_measure(size_t *it, uint32_t runs, qudag_histogram *out);

#ifdef __cplusplus
}
#endif
#endif
