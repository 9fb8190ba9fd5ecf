/* dial.h - a connection of this machine that leads to a dark service, for programs that speak to sockets. */
#ifndef QUDAG_DIAL_H
#define QUDAG_DIAL_H

#include <qudag/dark.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_DIALS_MAX 256 /* of one node, connected or not */

/*
 * The end of a dial, once.  QUDAG_OK: the connection leads to the service.  Else it is closed, and |what| is a sentence
 * about it: what qudag_dark_open() says of streams; QUDAG_EUNSUPPORTED also: the service has no such port, or serves no
 * connections at all; QUDAG_EREFUSED, QUDAG_EUNREACHABLE: nothing answers behind the port; QUDAG_ELIMIT: too many
 * connections there; QUDAG_EPROTO; QUDAG_ESTATE: the node is being freed.
 */
typedef void qudag_dial_done(qudag_node *n, qudag_err err, const char *what, void *user);

/* What is dialled; |size| first, see types.h. */
typedef struct qudag_dial_options {
    uint32_t size;
    uint16_t port; /* virtual port of the service, not 0 */
    uint8_t pad[2];
    const qudag_dark_options
        *how; /* isolation; NULL: as qudag_dark_open().  Borrowed for the call */
    qudag_dial_done *done;
    void *user; /* of |done|, and the name of the dial for qudag_dial_cancel() */
} qudag_dial_options;

/*
 * Opens a stream to the port of |addr| and makes |fd| lead there: a connected stream socket (of a pair, say), which is
 * taken over, whatever this returns, and closed in the end.  What is written to its other end before |done| waits.
 * The ends of both sides are passed on each by itself, a reset as a close.  |done| follows, never before this returns;
 * how long that may take is the program's to limit.
 * QUDAG_EINVAL, QUDAG_ELIMIT (QUDAG_DIALS_MAX), QUDAG_ESYSTEM (|fd|), QUDAG_ENOMEM, QUDAG_ESTATE, and what
 * qudag_dark_open_with() returns.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dial(qudag_node *n, const char *addr, int fd,
                                              const qudag_dial_options *o);

/* Gives the dials of |user| up that have not ended: their |fd| is closed, |done| is not called. */
QUDAG_API void qudag_dial_cancel(qudag_node *n, const void *user);

#ifdef __cplusplus
}
#endif
#endif
