/*
 * full.h - the second host: complete nodes (QUIC, TLS, circuits) over simulated datagrams.
 *
 *   struct sim_options opt = {.host = full_host(), .seed = 1};      the rest as with bare cores, run.h
 *
 * This is the only part of the simulator that needs more than core/kad and what lies below it.
 */
#ifndef QUDAG_SIM_FULL_H
#define QUDAG_SIM_FULL_H

#include "sim/run.h"

#define FULL_NODES_MAX 1000                 /* lives at once; meant for 2 to 200 */
#define FULL_MEMORY_MAX (32u * 1024 * 1024) /* cap on one node, bytes */
#define FULL_VALUE_MAX 4096                 /* what an open namespace of a node takes */

/* The host to set in sim_options; static. */
const struct sim_host *full_host(void);

/* Why |sc| cannot be run with complete nodes, or bare cores; NULL: it can. */
const char *full_objection(const struct scenario *sc);

/* The same for bare cores. */
const char *bare_objection(const struct scenario *sc);

#endif
