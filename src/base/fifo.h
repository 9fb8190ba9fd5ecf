/*
 * fifo.h - a queue of bytes in chunks: what is appended is copied once and never moved again.
 *
 * For queues that are long and taken off from the front in pieces, where dyn.h would move what is left each time.
 */
#ifndef QUDAG_SRC_BASE_FIFO_H
#define QUDAG_SRC_BASE_FIFO_H

#include "base/mem.h"

#define FIFO_HEAD 16
#define FIFO_CHUNK                                                                                 \
    16336 /* most bytes that lie together; with a header, and sealed, a little less than 16 KiB */

struct fifo_chunk;

struct fifo {
    struct mem *mem;
    struct fifo_chunk *head, *tail;
    size_t taken;    /* bytes of |head| that were dropped already */
    size_t len, max; /* bytes */
};

/* An empty queue for at most |max_bytes|; takes no memory yet.  |mem| must outlive it. */
void fifo_init(struct fifo *f, struct mem *mem, size_t max_bytes);
/* Frees the bytes; the queue is empty and may be used again. */
void fifo_fini(struct fifo *f);
/* A copy of |s| goes to the end.  QUDAG_ETOOBIG past the maximum, QUDAG_ENOMEM; unchanged on error. */
QUDAG_MUST_USE qudag_err fifo_append(struct fifo *f, struct slice s);
/* The first bytes, as many as lie together; valid until the queue changes.  Length 0: it is empty. */
struct slice fifo_front(const struct fifo *f);
/*
 * The same, *len bytes, not an empty queue: the FIFO_HEAD bytes before them may be written, so that what goes with a
 * header needs no copy.
 */
uint8_t *fifo_front_headed(struct fifo *f, size_t *len);
/* Drops the first |len| bytes (all of them if there are fewer). */
void fifo_drop(struct fifo *f, size_t len);
/* Moves the first |len| bytes, or all if there are fewer, to |dst|; how many it were. */
size_t fifo_take(struct fifo *f, uint8_t *dst, size_t len);

#endif
