/* buffers.h - bytes of streams that change hands: those that the program hands over, and those that it is lent. */
#ifndef QUDAG_SRC_NODE_BUFFERS_H
#define QUDAG_SRC_NODE_BUFFERS_H

#include "base/types.h"

#define NODE_STREAM_OWNED_MAX (256 * 1024) /* bytes of one buffer that is handed over */
#define NODE_STREAM_OWNED_EARLY 16         /* such buffers, while it is being opened */

struct node;

/* Bytes that the program hands over, and whom it wants called when they are free again. */
struct node_owned {
    struct slice data;
    void (*release)(void *ctx, const uint8_t *base, size_t len);
    void *ctx;
};

/*
 * Hands |b| over, all of it or nothing: hooks.released follows, unless this fails.  EAGAIN: it does not fit now,
 * hooks.stream_writable follows.  EINVAL (empty), ETOOBIG (NODE_STREAM_OWNED_MAX), ESTALE, ESTATE (after fin), ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_stream_write_owned(struct node *n, struct ref s,
                                                 const struct node_owned *b);
/* What arrives on |s| from now on is kept until node_stream_consume().  ESTALE. */
QUDAG_MUST_USE qudag_err node_stream_lend(struct node *n, struct ref s);
/* The first up to *count pieces of what is kept; *count: how many those are.  ESTALE, ESTATE (nothing is lent). */
QUDAG_MUST_USE qudag_err node_stream_lent(struct node *n, struct ref s, struct slice *piece,
                                          size_t *count);
/*
 * Queues a copy of the first *taken bytes of |data|, also while the stream is being opened; when fewer than
 * all, hooks.stream_writable follows.  EAGAIN (none taken), ESTALE, ESTATE (after fin), ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_stream_write(struct node *n, struct ref s, struct slice data,
                                           size_t *taken);
/* |len| bytes of what hooks.stream_data brought were dealt with: the peer may send as many more. */
void node_stream_consume(struct node *n, struct ref s, size_t len);

#endif
