/* hop.h - cell cipher states of the hops a node holds keys for: one at a relay, up to eight at a client. */
#ifndef QUDAG_SRC_CORE_ONION_HOP_H
#define QUDAG_SRC_CORE_ONION_HOP_H

#include "core/onion/handshake.h"

struct hops {
    struct mem *mem;
    void *raw;        /* the block both arrays lie in */
    size_t n, max;    /* hops keyed, and room */
    struct cgo *fwd;  /* away from the client */
    struct cgo *back; /* towards the client */
};

QUDAG_MUST_USE qudag_err hops_init(struct hops *h, struct mem *mem, size_t max);
void hops_add(struct hops *h, const struct hs_keys *keys); /* n < max */
void hops_fini(struct hops *h);                            /* wipes */

#endif
