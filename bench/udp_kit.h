/* udp_kit.h - loopback UDP sockets with segmentation both ways, for benchmarks of the transport. */
#ifndef QUDAG_BENCH_UDP_KIT_H
#define QUDAG_BENCH_UDP_KIT_H

#include "base/netaddr.h"

/* A bound, non-blocking socket on 127.0.0.1; exits the program on failure. */
int udp_kit_open(struct netaddr *addr);

/* Sends |len| bytes cut into |segment|; waits while the socket is full. */
void udp_kit_send(int fd, const struct netaddr *to, const uint8_t *buf, size_t len, size_t segment);

/* Takes what has come, calls |take| for each datagram; how many there were. */
size_t udp_kit_recv(int fd, void *ctx,
                    void (*take)(void *ctx, const struct netaddr *from, struct slice data));

/* Waits for input at most |ns|. */
void udp_kit_wait(int fd, uint64_t ns);

tstamp udp_kit_now(void);      /* monotonic */
uint64_t udp_kit_cpu_ns(void); /* of this thread */

#endif
