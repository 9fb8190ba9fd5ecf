/* baselines.h - what the machine does at best: measured beside the figures it bounds. */
#ifndef QUDAG_BENCH_BASELINES_H
#define QUDAG_BENCH_BASELINES_H

#include "rawquic.h"

#include <stddef.h>
#include <stdint.h>

/* One circuit handshake, microseconds of CPU: both sides, nothing sent. */
struct hs_cost {
    double client, relay;
};
void limit_handshake(struct hs_cost *out);

/* Median round trip in microseconds of a datagram of |len| bytes through |hops| processes that only
 * pass it on, the last one back. */
double limit_udp_rtt(unsigned hops, size_t len);

/* One stream over one bare link with AES-256-GCM (rawquic.h), in a process of its own. */
void limit_link(struct rawquic_result *out);

/* CPU seconds per GB (1e9 bytes) of payload. */
struct cell_cost {
    double pass;   /* a relay on the way */
    double end;    /* the last relay, which makes the cells */
    double client; /* which takes three layers off */
};
void limit_cells(struct cell_cost *out);

#endif
