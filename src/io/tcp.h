/*
 * tcp.h - TCP sockets of a node: listening, connecting, bytes in and out.
 *
 *   listening socket ─ accept4 ─▶ node_tcp_accepted(): taken, or closed at once
 *   node_tcp_next(): connect, output, close ─▶ sockets ─ readable, writable ─▶ node_tcp_received(), node_tcp_output()
 *
 * What the kernel does not take at once of the last TCP_TX bytes is copied and waits; nothing more is asked of the node
 * until it is gone, so a connection holds at most that much here.  Included by io/ only.
 */
#ifndef QUDAG_SRC_IO_TCP_H
#define QUDAG_SRC_IO_TCP_H

#include "base/list.h"
#include "base/map.h"
#include "io/io.h"

#include <uv.h>

#define TCP_TX (128 * 1024) /* bytes asked of the node at once */
#define TCP_RX (128 * 1024) /* bytes read at once */
/* Connections that the node has closed: the rest leaves, and the end of the peer's direction is waited for ... */
#define TCP_DRAINING_MAX 256
#define TCP_DRAINING (2 * NS_PER_S) /* ... for so long */
#define TCP_ACCEPT_PAUSE (NS_PER_S) /* without accepting when there are no descriptors */

struct tcp_listener;
struct tcp_sock;

/* Embedded in struct io, zero before io_tcp_init(). */
struct io_tcp {
    struct io *io;
    uv_loop_t *loop;
    struct node *node; /* NULL: none */
    /* Of |io|: libuv's handles that are open, one is gone; what was taken is to be on disk before bytes leave. */
    unsigned *handles;
    void (*handle_gone)(struct io *io);
    void (*before_send)(struct io *io, tstamp now);
    struct mem mem;
    struct map by_id; /* the node's name -> tcp_sock */
    struct list socks, draining;
    uint32_t n_draining;
    struct tcp_listener *listener[NODE_LISTEN_MAX];
    size_t n_listeners;
    tstamp accept_at; /* TSTAMP_NEVER: it is being accepted */
    uint8_t *tx, *rx; /* TCP_TX and TCP_RX bytes, of |io| */
};

/* |loop| and |io| are borrowed; their functions and buffers are to be set. */
void io_tcp_init(struct io_tcp *t, struct io *io, uv_loop_t *loop);
/*
 * Listens at all of |listen|, where port 0 is that of |port| for the IP version, if it is free.  A wildcard of a
 * version that the machine lacks is left out, and then in |why|, whose |call| is NULL else.  QUDAG_ESYSTEM.
 */
QUDAG_MUST_USE qudag_err io_tcp_listen_all(struct io_tcp *t, const struct netaddr *listen, size_t n,
                                           const uint16_t port[2], struct io_failure *why);
/* The addresses of the listening sockets, behind the |n| that there are in |out|; how many there are then. */
size_t io_tcp_bound_addrs(const struct io_tcp *t, struct netaddr out[IO_ADDRS_MAX], size_t n);

/* Carries out what the node wants; true if there was anything. */
bool io_tcp_run(struct io_tcp *t, tstamp now);
/* When io_tcp_tick() is due; TSTAMP_NEVER: never. */
tstamp io_tcp_deadline(const struct io_tcp *t);
void io_tcp_tick(struct io_tcp *t, tstamp now);
/* Closes everything; the handles are gone one turn later. */
void io_tcp_close(struct io_tcp *t);

#endif
