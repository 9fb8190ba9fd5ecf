/*
 * kept.h - the list of kept peers on disk: those that were kept by a call, not by the configuration.
 *
 *   version 1 (1) | then for each: peer id (length 1, bytes) | multiaddr (length 1, bytes; 0: none)
 *                                  | 1 (1) and the hash of its ML-DSA key (32), or 0 (1)
 */
#ifndef QUDAG_SRC_NODE_KEPT_H
#define QUDAG_SRC_NODE_KEPT_H

#include "node/keep.h"

#define NODE_KEPT_BYTES_MAX (1 + KEEP_MAX * (3 + PEER_ID_MAX + MULTIADDR_MAX + 32))

/* Writes |n| wishes, at most KEEP_MAX; returns the length. */
size_t node_kept_write(uint8_t dst[NODE_KEPT_BYTES_MAX], const struct node_keep_wish *w, size_t n);
/*
 * Reads them into |out|, which has room for KEEP_MAX, and |*n|.  EMALFORMED; EUNSUPPORTED: another version; ETOOBIG:
 * more than KEEP_MAX.  On error |*n| is 0.
 */
QUDAG_MUST_USE qudag_err node_kept_read(struct node_keep_wish *out, size_t *n, struct slice bytes);

#endif
