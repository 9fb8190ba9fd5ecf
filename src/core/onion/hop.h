/* hop.h - cell cipher states of the hops a node holds keys for: one at a relay, up to eight at a client. */
#ifndef QUDAG_SRC_CORE_ONION_HOP_H
#define QUDAG_SRC_CORE_ONION_HOP_H

#include "core/onion/onion.h"
#include "core/onion/tally.h"
#include "wire/onion_handshake.h"

struct onion_hops {
    struct mem *mem;
    void *raw;           /* the block the three arrays lie in */
    size_t n, max;       /* hops keyed, and room */
    uint8_t binding[32]; /* what the last one exports (spec/rendezvous.md R-1) */
    struct cgo *fwd;     /* away from the client */
    struct cgo *back;    /* towards the client */
    struct onion_tally *
        tally; /* of cells for us: at a client by the hop they came from, at a relay the client's */
};

/* Room for |max| hops, freed with onion_hops_fini().  ENOMEM. */
QUDAG_MUST_USE qudag_err onion_hops_init(struct onion_hops *h, struct mem *mem, size_t max);
void onion_hops_add(struct onion_hops *h, const struct onion_hs_keys *keys); /* n < max */
void onion_hops_fini(struct onion_hops *h);                                  /* wipes */

#endif
