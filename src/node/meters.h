/*
 * meters.h - what the node measures besides the swarm: requests, circuits, connects to hidden services.
 *
 * Counted since node_new(); nothing of it names a peer, an address or a user.
 */
#ifndef QUDAG_SRC_NODE_METERS_H
#define QUDAG_SRC_NODE_METERS_H

#include "base/histogram.h"
#include "base/outcome.h"
#include "swarm/meter.h"

struct node;

/* Operations of the DHT, our own and those for others. */
enum node_meter_dht {
    NODE_DHT_NONE, /* a request that is none */
    NODE_DHT_FIND, /* nodes close to a key, or a peer's addresses */
    NODE_DHT_GET,
    NODE_DHT_PUT,
    NODE_DHT_PROVIDE,
    NODE_DHT_PROVIDERS,
    NODE_DHT_KINDS,
};
#define NODE_DHT_OUTCOMES                                                                          \
    (OUTCOME_BIT(OUTCOME_OK) | OUTCOME_BIT(OUTCOME_NOT_FOUND) | OUTCOME_BIT(OUTCOME_TIMEOUT) |     \
     OUTCOME_BIT(OUTCOME_CANCELED) | OUTCOME_BIT(OUTCOME_FAILED))

/* What circuits are built for; node_circuit_use.name says the same in words for tools. */
enum node_meter_circuit {
    NODE_CIRCUIT_OTHER,              /* what has no place of its own */
    NODE_CIRCUIT_GENERAL,            /* the program asked for one */
    NODE_CIRCUIT_CLEAN,              /* kept ready, its last hop still open */
    NODE_CIRCUIT_LOOKUP,             /* to a relay that reads the DHT for us */
    NODE_CIRCUIT_DARK,               /* to a dark address of the direct kind */
    NODE_CIRCUIT_RENDEZVOUS,         /* to where a hidden service is met */
    NODE_CIRCUIT_INTRODUCE,          /* to an introduction point of one */
    NODE_CIRCUIT_SERVICE_INTRODUCE,  /* to an introduction point of our own */
    NODE_CIRCUIT_SERVICE_RENDEZVOUS, /* to where a caller waits for us */
    NODE_CIRCUIT_PURPOSES,
};
#define NODE_CIRCUIT_OUTCOMES                                                                      \
    (OUTCOME_BIT(OUTCOME_OK) | OUTCOME_BIT(OUTCOME_TIMEOUT) | OUTCOME_BIT(OUTCOME_CANCELED) |      \
     OUTCOME_BIT(OUTCOME_FAILED))
#define NODE_HIDDEN_OUTCOMES                                                                       \
    (OUTCOME_BIT(OUTCOME_OK) | OUTCOME_BIT(OUTCOME_TIMEOUT) |                                      \
     OUTCOME_BIT(OUTCOME_AUTHENTICATION) | OUTCOME_BIT(OUTCOME_LIMIT) |                            \
     OUTCOME_BIT(OUTCOME_CANCELED) | OUTCOME_BIT(OUTCOME_FAILED))

struct node_meters {
    struct histogram ping; /* round trips the program asked for */
    struct histogram dht[NODE_DHT_KINDS][OUTCOMES];
    struct histogram circuit[NODE_CIRCUIT_PURPOSES]
                            [OUTCOMES]; /* with all tries, until it is built */
    struct histogram hidden[OUTCOMES];  /* from the record at hand to the circuit to the service */
};

/* An operation of |kind| ended with |err| after |took|; NODE_DHT_NONE is not counted. */
void node_meter_dht(struct node_meters *m, enum node_meter_dht kind, qudag_err err, uint64_t took);
/* A circuit for |purpose| was built, or given up. */
void node_meter_circuit(struct node_meters *m, enum node_meter_circuit purpose, qudag_err err,
                        uint64_t took);
/* A hidden service was reached, or was not. */
void node_meter_hidden(struct node_meters *m, qudag_err err, uint64_t took);

/* What was measured so far; borrowed for the life of the node. */
const struct node_meters *node_meters(const struct node *n);
/* Whose bytes are told apart. */
enum node_protocol {
    NODE_PROTOCOL_PING,
    NODE_PROTOCOL_IDENTIFY,
    NODE_PROTOCOL_DHT,
    NODE_PROTOCOL_CELLS,   /* of circuits, ours and those we relay */
    NODE_PROTOCOL_GATEWAY, /* lookups through circuits */
    NODE_PROTOCOL_PADDING,
    NODE_PROTOCOL_MEETING, /* introductions and rendezvous */
    NODE_PROTOCOL_PROGRAM, /* streams of the program */
    NODE_PROTOCOLS,
};
/* The bytes of |p| so far with each protection. */
void node_traffic(const struct node *n, enum node_protocol p,
                  struct swarm_traffic out[SWARM_PROTECTIONS]);
/* Introductions to services of ours that were seen before, and that were wrong. */
void node_introductions_refused(const struct node *n, uint64_t *replayed, uint64_t *bad);

#endif
