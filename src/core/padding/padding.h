/*
 * padding.h - the first exchange on circuits that have nothing to ask: PADDING_PROTOCOL (spec/onion.md 9).
 *
 *   client ── circuit ──▶ its end: EXCHANGE_LEN bytes, of which the first four say when to answer, then FIN
 *          ◀── EXCHANGE_LEN bytes, FIN ──                              that many milliseconds after the FIN
 *
 * Whoever counts cells, on a link or as a relay, sees what a lookup at the gateway looks like.
 */
#ifndef QUDAG_SRC_CORE_PADDING_PADDING_H
#define QUDAG_SRC_CORE_PADDING_PADDING_H

#include "core/core.h"

#define PADDING_PROTOCOL "/qudag/padding/1.0.0"
#define PADDING_DELAY_MAX (10 * NS_PER_S)      /* a later answer is not to be had */
#define PADDING_REQUEST_TIMEOUT (5 * NS_PER_S) /* from the stream to its FIN */
#define PADDING_ANSWER_TIMEOUT (30 * NS_PER_S) /* from the call to the whole answer */
#define PADDING_ASKING_MAX 64                  /* exchanges of our own under way */
#define PADDING_ANSWERING_MAX 256              /* of others, shared by network and previous hop */

enum padding_up {
    PADDING_UP_DONE =
        1, /* cookie: that of the exchange; n: ns from padding_exchange() to the end of the
                            answer, less the time after which it was asked for */
};

struct padding_stats {
    uint64_t asked, done, failed; /* exchanges of ours */
    uint64_t answered, gave_way, refused;
};

struct padding;
extern const struct core_ops padding_ops;

/* A core without exchanges, to be freed with padding_free; |rng| is used for the call.  ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err padding_new(struct padding **out, struct mem *mem, const struct rng *rng);
/* Frees it and its exchanges without reports; NULL is allowed. */
void padding_free(struct padding *p);

/* Where its cells are among those of what is begun on the circuit in the same turn of the loop. */
enum padding_order {
    PADDING_FIRST,
    PADDING_BEHIND, /* it begins with the next tick */
    PADDING_AROUND, /* BEGIN leaves at once, as no later one is taken (SPEC: rendezvous R-20); the rest with the tick */
};

/* An exchange that is asked for; borrowed for the call. */
struct padding_wanted {
    enum padding_order order;
    struct ref circuit; /* with the end of this one ... */
    uint64_t
        delay_ns; /* ... which answers so long after it has the request; at most PADDING_DELAY_MAX */
    uint64_t cookie; /* comes back in the report */
};
/* Has that exchange.  PADDING_UP_DONE follows if it is answered.  ELIMIT, ENOMEM: there will be none. */
QUDAG_MUST_USE qudag_err padding_exchange(struct padding *p, const struct padding_wanted *wanted,
                                          tstamp now, struct acts *out);
/* What happened since the start. */
void padding_stats_get(const struct padding *p, struct padding_stats *out);

#endif
