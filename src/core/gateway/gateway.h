/*
 * gateway.h - DHT reads and writes for others, at the end of a circuit: GATEWAY_PROTOCOL.
 *
 *   client ── circuit ──▶ last relay: one length-prefixed Kademlia message, GET_VALUE or PUT_VALUE
 *                         (specs: kad-dht/README.md), then FIN
 *   last relay walks the DHT, answers one message:
 *     GET_VALUE with the record, or without one; PUT_VALUE with record.value = u32 nodes that stored it
 */
#ifndef QUDAG_SRC_CORE_GATEWAY_GATEWAY_H
#define QUDAG_SRC_CORE_GATEWAY_GATEWAY_H

#include "core/core.h"

#define GATEWAY_PROTOCOL "/qudag/gateway/1.0.0"
#define GATEWAY_TIMEOUT (30 * NS_PER_S)

struct gateway_config {
    struct mem *mem;
    struct rng rng;
    bool serve;        /* answer others */
    uint32_t jobs_max; /* default 64; a quarter is for our own requests */
    uint32_t rate;     /* requests served per second; default 50, burst 100 */
};

enum gateway_up {
    GATEWAY_UP_GET = 1, /* cookie, data = key: run it, then gateway_answer */
    GATEWAY_UP_PUT, /* cookie, data = u16 key length | key | value: run it, then gateway_answer */
    GATEWAY_UP_DONE, /* cookie of our request, err, data = value (get), n = nodes that stored (put) */
};

struct gateway;
extern const struct core_ops gateway_ops;
QUDAG_MUST_USE qudag_err gateway_new(struct gateway **out, const struct gateway_config *cfg,
                                     tstamp now);
void gateway_free(struct gateway *g);

/* Asks the end of |circuit|; ends in exactly one GATEWAY_UP_DONE.  ELIMIT, ENOMEM, EINVAL. */
QUDAG_MUST_USE qudag_err gateway_get(struct gateway *g, uint64_t cookie, struct ref circuit,
                                     struct slice key, tstamp now, struct acts *out);
QUDAG_MUST_USE qudag_err gateway_put(struct gateway *g, uint64_t cookie, struct ref circuit,
                                     struct slice key, struct slice value, tstamp now,
                                     struct acts *out);
/* The answer to GATEWAY_UP_GET / GATEWAY_UP_PUT; only namespaces /qudag/ are ever reported up. */
void gateway_answer(struct gateway *g, uint64_t cookie, qudag_err err, struct slice value,
                    uint32_t stored, tstamp now, struct acts *out);

#endif
