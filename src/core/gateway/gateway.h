/*
 * gateway.h - DHT reads and writes for others, at the end of a circuit: GATEWAY_PROTOCOL.
 *
 *   client ── circuit ──▶ last relay: one length-prefixed Kademlia message, GET_VALUE or PUT_VALUE
 *                         (specs: kad-dht/README.md), then FIN
 *   last relay reads or writes the DHT, answers one message:
 *     GET_VALUE with the record, or without one; PUT_VALUE with record.value = u32 nodes that stored it
 */
#ifndef QUDAG_SRC_CORE_GATEWAY_GATEWAY_H
#define QUDAG_SRC_CORE_GATEWAY_GATEWAY_H

#include "core/core.h"

#define GATEWAY_PROTOCOL "/qudag/gateway/1.0.0"
#define GATEWAY_TIMEOUT (30 * NS_PER_S)        /* from asking to the answer, and at work */
#define GATEWAY_REQUEST_TIMEOUT (3 * NS_PER_S) /* for a request to be complete */
#define GATEWAY_WAIT_TIMEOUT (10 * NS_PER_S)   /* for a complete one to begin */

struct gateway_config {
    struct mem *mem;
    struct rng rng;
    bool serve;           /* answer others */
    uint32_t jobs_max;    /* requests of our own; default 64 */
    uint32_t others_max;  /* of others, complete or not; default 256 */
    uint32_t running_max; /* of these, at work; default 96 */
    uint32_t rate;        /* requests of others that begin per second; default 50, burst 100 */
};

enum gateway_up {
    GATEWAY_UP_GET =
        1, /* cookie, ptr = struct gateway_wanted: read it (DHT_SAMPLE_KEY: the index of a dark record is
                           wanted), then gateway_answer */
    GATEWAY_UP_PUT, /* cookie, ptr = struct gateway_wanted: store it, then gateway_answer */
    GATEWAY_UP_DONE, /* cookie of our request, err, data = value (get), n = nodes that stored (put) */
};

/* What the far end of a circuit wants read or stored; it lies in the action list. */
struct gateway_wanted {
    struct slice key;
    struct slice value; /* PUT: 1 to KAD_VALUE_MAX bytes; GET: empty */
};

/* What we ask the gateway at the end of |circuit| for; borrowed for the call. */
struct gateway_request {
    struct ref circuit;
    uint64_t cookie; /* comes back in GATEWAY_UP_DONE */
    struct slice
        key; /* under /qudag/dark/ or /qudag/relay/, or, GET only, DHT_SAMPLE_KEY; else EINVAL */
    struct slice value; /* PUT: 1 to KAD_VALUE_MAX bytes, else EINVAL; GET: ignored */
};

/* How the DHT answered what a GATEWAY_UP_GET or _PUT wanted; borrowed for the call. */
struct gateway_result {
    uint64_t cookie; /* that of the report */
    qudag_err err;   /* a GET that ends with ENOTFOUND is answered; other errors reset the stream */
    struct slice value; /* GET: at most KAD_VALUE_MAX bytes */
    uint32_t stored;    /* PUT: nodes that have it now */
};

struct gateway;
extern const struct core_ops gateway_ops;

/* A gateway without requests; to be freed with gateway_free.  ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err gateway_new(struct gateway **out, const struct gateway_config *cfg,
                                     tstamp now);
/* Frees the gateway and its requests without reports; NULL is allowed. */
void gateway_free(struct gateway *g);

/*
 * Asks the end of req->circuit to read a key; ends in exactly one GATEWAY_UP_DONE, after
 * GATEWAY_TIMEOUT at the latest.  EINVAL (see struct gateway_request), ELIMIT (too many requests),
 * ENOMEM: no report follows.  spec/dark.md section 7.
 */
QUDAG_MUST_USE qudag_err gateway_get(struct gateway *g, const struct gateway_request *req,
                                     tstamp now, struct acts *out);
/* The same for storing req->value under the key. */
QUDAG_MUST_USE qudag_err gateway_put(struct gateway *g, const struct gateway_request *req,
                                     tstamp now, struct acts *out);
/* Counted since the beginning; the last line as of now. */
struct gateway_stats {
    uint64_t served, gave_way, refused_limit;
    uint32_t running, others;
};
void gateway_stats_get(const struct gateway *g, struct gateway_stats *out);

/* Answers a GATEWAY_UP_GET or _PUT; nothing happens when its circuit is gone. */
void gateway_answer(struct gateway *g, const struct gateway_result *res, struct acts *out);

#endif
