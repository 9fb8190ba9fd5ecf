/* keep.h - kept peers, as the host sees them (arrow_keep_links.c).  Included by node.h. */
#ifndef QUDAG_SRC_NODE_KEEP_H
#define QUDAG_SRC_NODE_KEEP_H

#include "core/keep/keep.h"
#include "wire/multiaddr.h"

#define NODE_KEEP_TAG "keep" /* the name of their protection (swarm/tags.h) */

struct node;

/* A peer that is to be kept. */
struct node_keep_wish {
    struct peer_id peer;
    struct multiaddr addr; /* of it; len 0: none is known */
    bool has_pq;
    uint8_t pq_hash[32];
};

/*
 * Keeps a link with the peer of |w| from now on, or takes another address of it, and has it saved for the next start.
 * ELIMIT: KEEP_MAX are kept; EINVAL: it is this node; ENOMEM; what hooks.save says: it is kept until the end.
 */
QUDAG_MUST_USE qudag_err node_keep(struct node *n, const struct node_keep_wish *w);
/* What was saved; without errors but EMALFORMED, EUNSUPPORTED, ETOOBIG: who finds no place is left out, and logged. */
QUDAG_MUST_USE qudag_err node_keep_restore(struct node *n, struct slice bytes);
/* Its link may go like any other, also after the next start unless the configuration keeps it.  ENOTFOUND. */
QUDAG_MUST_USE qudag_err node_release(struct node *n, const struct peer_id *peer);
/* The program, or somebody at the terminal, wants |peer| (NULL: everybody) to be tried now, whatever failed before. */
void node_retry(struct node *n, const struct peer_id *peer);
/* The kept peers of the program, one for each call with *it from 0; NULL: no more. */
const struct keep_peer *node_kept_next(const struct node *n, size_t *it);

#endif
