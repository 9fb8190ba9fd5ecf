/*
 * splice.h - bytes between a local socket and a stream, both ways, until both have ended.
 *
 *   local ── read ──▶ stream queue      reading stops while the queue is full
 *   local ◀── write ── stream data      the peer gets credit for what the local side took, and no earlier
 *
 * An end of one side is passed on as such, a reset as a reset.  What waits in memory is bounded by the stream's window
 * and one read.  The owner passes on what the node says of the stream; |ops| report the rest to it.
 */
#ifndef QUDAG_SRC_APP_SPLICE_H
#define QUDAG_SRC_APP_SPLICE_H

#include <qudag/qudag.h>

#include "app/target.h"
#include "base/mem.h"

struct splice;
struct splice_buf;

#define SPLICE_READ_MAX 65536 /* bytes read from the local side at once */
#define SPLICE_HANDED_MIN                                                                          \
    32768                   /* of that, what is handed over to the stream instead of being copied */
#define SPLICE_SPARE_MAX 8  /* buffers that wait to be read into again */
#define SPLICE_BUFS_SHARE 4 /* of the memory of a pool all of them are a quarter at most */
#define SPLICE_WAITING_MAX 1048576 /* not yet taken by it; more than the window of any stream */
#define SPLICE_LINGER_MS                                                                           \
    5000 /* for the peer's end, after a local side that takes no more has ended */

/* Why a splice ended. */
enum splice_end {
    SPLICE_DONE,   /* both sides ended in good order */
    SPLICE_LOCAL,  /* the local side failed or was reset; the stream was reset */
    SPLICE_STREAM, /* the stream was reset or failed; the local side was reset */
    SPLICE_NO_ROOM /* no memory, or the stream took no more; both were reset */
};

struct splice_ops {
    /* splice_connect() ended: 0, or errno's value. */
    void (*connected)(void *ctx, int err);
    /* Once, unless it was aborted: neither side exists any more, and |ctx| is not used again. */
    void (*ended)(void *ctx, enum splice_end end);
};

/* Memory of splices, which outlives their owner until the last handle is closed; see api_mem(). */
struct splice_pool {
    struct mem mem;
    unsigned refs;
    /*
     * There is no memory for |need| more bytes of the splice with the ctx |of|: ends another one, if that is fair, and
     * says so.  NULL: nothing is ended.
     */
    bool (*yield)(void *owner, void *of, size_t need);
    void *owner;
    struct splice_buf *spare;      /* of those that are read into and handed over */
    unsigned spare_n, bufs_n;      /* bufs_n: all there are */
    uint8_t read[SPLICE_READ_MAX]; /* for what is copied instead */
};
/* A pool of at most |max| bytes, with one reference; NULL: no memory. */
struct splice_pool *splice_pool_new(size_t max);
/* The owner needs it no more. */
void splice_pool_drop(struct splice_pool *p);

/*
 * A splice without either side, on the loop of |n|; |ops| outlives it.  It ends by itself once both sides have, or
 * by splice_abort().  QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err splice_new(struct splice **out, struct splice_pool *pool, qudag_node *n,
                                    const struct splice_ops *ops, void *ctx);
/* Dials |to| as the local side; ops->connected follows, later, after |timeout_ms| at the latest. */
void splice_connect(struct splice *sp, const struct target *to, uint64_t timeout_ms);

/* The stream of the other side; the splice resets it when it ends early. */
void splice_stream(struct splice *sp, qudag_stream s);
/*
 * Content from the stream, and its end behind it if |fin|; copied where it must wait, as all does before
 * splice_start().  May end the splice.
 */
void splice_data(struct splice *sp, qudag_slice data, bool fin);
/* Both sides are there: bytes begin to move.  May end the splice. */
void splice_start(struct splice *sp);
/* The stream has room again. */
void splice_writable(struct splice *sp);
/* The stream is over.  May end the splice. */
void splice_closed(struct splice *sp, qudag_err why);
/* Ends it now: the stream is reset with |why|, the local side too; ops->ended is not called. */
void splice_abort(struct splice *sp, qudag_err why);

/* Memory of what waits in it, bytes. */
size_t splice_waiting(const struct splice *sp);

/* Bytes moved so far. */
struct splice_moved {
    uint64_t to_local, to_stream;
};
/* Those of |sp|. */
struct splice_moved splice_moved(const struct splice *sp);

#endif
