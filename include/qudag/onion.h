/* onion.h - circuits: who uses them is hidden from their end, and their end from the entry. */
#ifndef QUDAG_ONION_H
#define QUDAG_ONION_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Builds a circuit of |hops| (0: the setting) randomly chosen relays; result: circuit, took. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_circuit_build(qudag_node *n, uint8_t hops, qudag_op *op);
QUDAG_MUST_USE QUDAG_API qudag_err qudag_circuit_close(qudag_node *n, qudag_circuit c);

/* A stream to the last relay of |c|, for a protocol that relays serve. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_circuit_stream(qudag_node *n, qudag_circuit c,
                                                        const char *proto, qudag_stream *out);

typedef enum qudag_circuit_role {
    QUDAG_CIRCUIT_CLIENT,
    QUDAG_CIRCUIT_RELAY,
    QUDAG_CIRCUIT_END,
} qudag_circuit_role;

/* What this node knows of a circuit: a client its path, a relay its neighbours only. */
typedef struct qudag_circuit_info {
    qudag_circuit circuit;
    qudag_circuit_role role;
    const char *state;   /* "building", "open", "closing", "closed" */
    const char *purpose; /* client: "general", "lookup", "dark"; else "" */
    uint8_t hops, hops_wanted;
    qudag_peer_id path[QUDAG_HOPS_MAX]; /* client */
    qudag_peer_id prev, next;           /* relay and end; len 0: none */
    qudag_ns age, build_time;
    uint64_t cells_forward, cells_backward;
    uint32_t streams;
} qudag_circuit_info;
QUDAG_API bool qudag_circuit_next(const qudag_node *n, size_t *it, qudag_circuit_info *out);

/* Relays whose descriptors we hold. */
QUDAG_API bool qudag_relay_next(const qudag_node *n, size_t *it, qudag_peer_id *peer, bool *guard);

#ifdef __cplusplus
}
#endif
#endif
