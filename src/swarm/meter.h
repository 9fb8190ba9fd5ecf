/*
 * meter.h - what the swarm measures: links, streams, bytes.  Counted since swarm_new(); nothing of it names a peer.
 *
 * Included by swarm.h.
 */
#ifndef QUDAG_SRC_SWARM_METER_H
#define QUDAG_SRC_SWARM_METER_H

#include "base/histogram.h"
#include "base/outcome.h"

#define SWARM_METER_CORES 40
#define SWARM_METER_TRANSPORTS                                                                     \
    3 /* by their index in the swarm; the last place is of all further ones, too */

/* The outcomes that are told apart. */
#define SWARM_SETUP_OUTCOMES                                                                       \
    (OUTCOME_BIT(OUTCOME_OK) | OUTCOME_BIT(OUTCOME_TIMEOUT) | OUTCOME_BIT(OUTCOME_UNREACHABLE) |   \
     OUTCOME_BIT(OUTCOME_AUTHENTICATION) | OUTCOME_BIT(OUTCOME_POLICY) |                           \
     OUTCOME_BIT(OUTCOME_LIMIT) | OUTCOME_BIT(OUTCOME_CANCELED) | OUTCOME_BIT(OUTCOME_FAILED))
#define SWARM_STREAM_OUTCOMES                                                                      \
    (OUTCOME_BIT(OUTCOME_OK) | OUTCOME_BIT(OUTCOME_TIMEOUT) | OUTCOME_BIT(OUTCOME_UNREACHABLE) |   \
     OUTCOME_BIT(OUTCOME_LIMIT) | OUTCOME_BIT(OUTCOME_FAILED))

enum swarm_direction { SWARM_IN, SWARM_OUT, SWARM_DIRECTIONS };

/* What hides the bytes of a stream, from whom. */
enum swarm_protection {
    SWARM_CLASSICAL,    /* a link without post-quantum key exchange or authentication */
    SWARM_POST_QUANTUM, /* a link with both */
    SWARM_CIRCUIT,      /* a circuit: one end does not know the other */
    SWARM_HIDDEN,       /* a circuit carried by another: neither end knows the other */
    SWARM_PROTECTIONS,
};

/* Of one core's streams with one protection, protocol negotiation left out. */
struct swarm_traffic {
    uint64_t bytes[SWARM_DIRECTIONS];
    uint64_t messages
        [SWARM_DIRECTIONS]; /* of cores with a unit, units; else what came, or was written, at once */
};

struct swarm_meters {
    /* From the dial, or for inbound links the first packet, until the link stands or is given up. */
    struct histogram setup[SWARM_METER_TRANSPORTS][SWARM_DIRECTIONS][OUTCOMES];
    struct histogram rtt;                    /* of links, when they came up */
    struct histogram life[SWARM_DIRECTIONS]; /* of links that came up, when they end */
    struct histogram
        open[OUTCOMES]; /* of streams to peers: from the wish until there is one, or not */
    uint64_t opened[SWARM_DIRECTIONS], closed[OUTCOMES]; /* links that came up; why they ended */
    struct swarm_traffic traffic[SWARM_METER_CORES][SWARM_PROTECTIONS];
};

#endif
