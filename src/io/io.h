/*
 * io.h - sockets, clock, entropy and the loop: what a node needs from the operating system.
 *
 * One UDP socket per listening address serves listening and dialling; TCP connections have their own.  The loop is
 * libuv's; each turn reads what arrived, lets the node work, and sends what is due.
 */
#ifndef QUDAG_SRC_IO_IO_H
#define QUDAG_SRC_IO_IO_H

#include "base/histogram.h"
#include "io/store.h"
#include "node/node.h"

tstamp io_now(void);     /* monotonic, and runs on while the machine sleeps */
uint64_t io_slept(void); /* ns that the machine has slept since it was started */
walltime io_wall(void);  /* calendar */
struct rng io_rng(void); /* the kernel's generator */

struct io;
struct uv_loop_s;

/* Why there is no struct io. */
struct io_failure {
    const char *call; /* of the system, or of libuv */
    int err;          /* errno */
    size_t at;        /* the address, where one could not be listened at */
};

/*
 * Binds |n| addresses (port 0: any) and sets up the loop; |loop| NULL: an own one.  A wildcard of an IP version
 * that the machine lacks is left out, as long as another address can be bound.  On failure *why is
 * set.  QUDAG_ESYSTEM, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err io_new(struct io **out, struct uv_loop_s *loop,
                                const struct netaddr *listen, size_t n, struct io_failure *why);

/*
 * Listens for TCP at |n| addresses, too (port 0: the number of a UDP socket of that IP version, if it is free, or any);
 * wildcards as above.  Before io_attach().  QUDAG_ESYSTEM.
 */
QUDAG_MUST_USE qudag_err io_listen_tcp(struct io *io, const struct netaddr *listen, size_t n,
                                       struct io_failure *why);

/*
 * The loop drives |node| (borrowed) from its next turn on; NULL: none.  To be called from the loop's thread.
 */
void io_attach(struct io *io, struct node *node);

/*
 * What the node hands to hooks.persist goes into |store| (borrowed, NULL: none), by whoever set the hook;
 * the loop commits it before datagrams leave, and tells the node when there is room again.
 */
void io_attach_store(struct io *io, struct store *store);

/*
 * Runs what was posted and sends what is due (the shutdown flush, see node_shutdown); from now on no post is
 * accepted.  NULL allowed.
 */
void io_shutdown(struct io *io);

/* As io_shutdown(), and closes everything.  The node attached must live until then; NULL allowed. */
void io_free(struct io *io);

/*
 * Bound addresses, at most |max|, in the order of netaddr_to_tell(); wildcard addresses are replaced by those
 * of the interfaces.
 */
size_t io_addrs(const struct io *io, struct netaddr *out, size_t max);
/* The same of the sockets that listen for TCP. */
size_t io_tcp_addrs(const struct io *io, struct netaddr *out, size_t max);
#define IO_ADDRS_MAX 256
/* All of both, in no order, and how many; IO_ADDRS_MAX: perhaps there are more. */
size_t io_addrs_all(const struct io *io, struct netaddr out[IO_ADDRS_MAX]);

/*
 * One more UDP socket of that IP version, at the address of a socket of that version that is listened on, or the
 * wildcard, on a port that none of ours has; *local is its name, as node_hooks.socket_open says.  Small buffers.
 * QUDAG_ELIMIT: NODE_SOCKETS_MAX, or the process has few descriptors left; QUDAG_EUNSUPPORTED: nothing of that version
 * is listened on; QUDAG_ESYSTEM; QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err io_socket_open(struct io *io, uint8_t family, struct netaddr *local);
/* Closes it; nothing for one that is not there, or that is listened on. */
void io_socket_close(struct io *io, const struct netaddr *local);
/* How many of these there are. */
size_t io_sockets(const struct io *io);

/*
 * |fn| is called from the loop half a second after an interface, an address or a route has changed; NULL: nobody wants
 * to know.
 */
void io_on_addrs(struct io *io, void (*fn)(void *ctx), void *ctx);

/* Runs the loop until io_stop().  QUDAG_ESTATE with a caller's loop, or from inside a hook. */
QUDAG_MUST_USE qudag_err io_run(struct io *io);

/*
 * One turn of the own loop: waits at most |wait_max_ns| (UINT64_MAX: as long as need be) for something to do.
 * QUDAG_ECANCELED after io_stop(); QUDAG_ESTATE as io_run().
 */
QUDAG_MUST_USE qudag_err io_step(struct io *io, uint64_t wait_max_ns);

/* The loop it lives on, its own or the caller's; of libuv. */
struct uv_loop_s *io_loop(const struct io *io);
/* A descriptor that becomes readable when the loop has work; of libuv, not to be closed. */
int io_fd(const struct io *io);

uint64_t io_timeout(const struct io *io); /* ns; UINT64_MAX: none */
/* From any thread; what was accepted is run exactly once.  QUDAG_ESTATE after io_stop, ELIMIT, ENOMEM. */
qudag_err io_post(struct io *io, void (*fn)(void *a, void *b), void *a, void *b);

/*
 * Makes io_run() return, and io_step() answer QUDAG_ECANCELED.  From any thread; no post is accepted
 * afterwards.
 */
void io_stop(struct io *io);

struct io_stats {
    uint64_t recv_calls, recv_dgrams, send_calls, send_dgrams, send_again, send_errors, refused,
        turns;
    bool gso, gro;
};

/* Copies the counters, which count from io_new() on; gso and gro: whether every socket uses them now. */
void io_stats_get(const struct io *io, struct io_stats *out);
/* How late the loop came to its timer, HISTOGRAM_LAG; borrowed for the life of |io|. */
const struct histogram *io_lag(const struct io *io);

/* What the loop does without a pause, cryptography and the node's work for it included. */
enum io_work {
    IO_WORK_RECEIVE, /* a batch of datagrams */
    IO_WORK_TURN,    /* what is due: timers, what follows from what came, sending, the disk */
    IO_WORKS,
};
/* How long it took, HISTOGRAM_LAG; borrowed as above. */
const struct histogram *io_worked(const struct io *io, enum io_work what);

#endif
