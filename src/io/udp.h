/* udp.h - one UDP socket: batches in (recvmmsg, GRO) and out (GSO), ECN, local address. */
#ifndef QUDAG_SRC_IO_UDP_H
#define QUDAG_SRC_IO_UDP_H

#include "base/netaddr.h"
#include "io/io.h"

#define UDP_BATCH 8
#define UDP_BUF 65536

struct udp {
    int fd;
    struct netaddr bound;
    bool gso, gro;       /* what the kernel offers */
    tstamp gso_retry_at; /* a device refused segments: none before then */
};

struct udp_msg {
    struct netaddr local, remote;
    uint8_t ecn;
    size_t len, segment; /* segment: size of each datagram but the last */
    uint8_t *buf;
};

/* 0, or an errno. */
int udp_open(struct udp *u, const struct netaddr *listen);
/* The same with small buffers: for a socket of which there may be hundreds. */
int udp_open_small(struct udp *u, const struct netaddr *listen);

/* Gives it the buffers of the others. */
void udp_grow(struct udp *u);

/* Whether |err| of udp_open() says that the machine lacks the IP version of the wildcard |listen|. */
bool udp_version_missing(const struct netaddr *listen, int err);

/* Closes the socket; harmless when repeated. */
void udp_close(struct udp *u);

/* Up to UDP_BATCH messages into |buf| (UDP_BATCH * UDP_BUF bytes); 0: nothing there. */
size_t udp_recv(struct udp *u, struct udp_msg *msg, uint8_t *buf);

enum udp_error { UDP_NO_ERROR, UDP_OTHER_ERROR, UDP_REFUSED };
/* The beginning of the datagram that an error is about, as the message that reports it quotes it. */
struct udp_quote {
    size_t len;
    uint8_t bytes[64];
};
/*
 * The next error that the kernel matched by addresses and ports to a datagram of ours; REFUSED: nobody listens
 * at |remote|.
 */
enum udp_error udp_next_error(struct udp *u, struct netaddr *remote, struct udp_quote *quote);

enum udp_sent {
    UDP_SENT,
    UDP_AGAIN,    /* the socket is full: send it later */
    UDP_LOST,     /* at least one datagram did not leave; QUIC repairs that */
    UDP_NO_ROUTE, /* likewise, and so will be what follows: this host cannot send there */
};
/*
 * |tx|->len bytes as datagrams of |tx|->segment; counts system calls into |st|.  Where a device refuses
 * segments they are cut here, and tried again a minute later.
 */
enum udp_sent udp_send(struct udp *u, const struct quic_tx *tx, tstamp now, struct io_stats *st);

/* Whether the socket sends segments at present. */
bool udp_segments(const struct udp *u, tstamp now);

#endif
