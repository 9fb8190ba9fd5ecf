/*
 * exit.h - DHT reads and writes for others, at the end of a circuit: EXIT_PROTOCOL.
 *
 *   client ── circuit ──▶ last relay: one length-prefixed Kademlia message, GET_VALUE or PUT_VALUE
 *                         (specs: kad-dht/README.md), then FIN
 *   last relay walks the DHT, answers one message:
 *     GET_VALUE with the record, or without one; PUT_VALUE with record.value = u32 nodes that stored it
 */
#ifndef QUDAG_SRC_CORE_EXIT_EXIT_H
#define QUDAG_SRC_CORE_EXIT_EXIT_H

#include "core/core.h"

#define EXIT_PROTOCOL "/qudag/exit/1.0.0"
#define EXIT_TIMEOUT (30 * NS_PER_S)

struct exit_config {
    struct mem *mem;
    struct rng rng;
    bool serve;        /* answer others */
    uint32_t jobs_max; /* default 64; a quarter is for our own requests */
    uint32_t rate;     /* requests served per second; default 50, burst 100 */
};

enum exit_up {
    EXIT_UP_GET = 1, /* cookie, data = key: run it, then exit_answer */
    EXIT_UP_PUT,     /* cookie, data = u16 key length | key | value: run it, then exit_answer */
    EXIT_UP_DONE, /* cookie of our request, err, data = value (get), n = nodes that stored (put) */
};

struct exitd;
extern const struct core_ops exit_ops;
QUDAG_MUST_USE qudag_err exit_new(struct exitd **out, const struct exit_config *cfg, tstamp now);
void exit_free(struct exitd *e);

/* Asks the end of |circuit|; ends in exactly one EXIT_UP_DONE.  ELIMIT, ENOMEM, EINVAL. */
QUDAG_MUST_USE qudag_err exit_get(struct exitd *e, uint64_t cookie, struct ref circuit,
                                  struct slice key, tstamp now, struct acts *out);
QUDAG_MUST_USE qudag_err exit_put(struct exitd *e, uint64_t cookie, struct ref circuit,
                                  struct slice key, struct slice value, tstamp now,
                                  struct acts *out);
/* The answer to EXIT_UP_GET / EXIT_UP_PUT; only namespaces /qudag/ are ever reported up. */
void exit_answer(struct exitd *e, uint64_t cookie, qudag_err err, struct slice value,
                 uint32_t stored, tstamp now, struct acts *out);

#endif
