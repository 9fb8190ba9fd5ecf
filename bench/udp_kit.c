/* udp_kit.c - see udp_kit.h. */
#include "udp_kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH 4
#define DGRAM_MAX 65536

static void die(const char *what)
{
    (void)fprintf(stderr, "udp_kit: %s: %s\n", what, strerror(errno));
    exit(1);
}

int udp_kit_open(struct netaddr *addr)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int on = 1, size = 4 << 20;

    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) != 0) {
        die("socket");
    }
    /* The kernel caps the sizes; without GRO there are more, smaller reads. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    *addr = (struct netaddr){.family = 4, .ip = {127, 0, 0, 1}, .port = ntohs(sa.sin_port)};
    return fd;
}

void udp_kit_send(int fd, const struct netaddr *to, const uint8_t *buf, size_t len, size_t segment)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(to->port)};
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {
        .msg_name = &sa, .msg_namelen = sizeof sa, .msg_iov = &iov, .msg_iovlen = 1};

    memcpy(&sa.sin_addr, to->ip, 4);
    if (len > segment) {
        uint16_t size = (uint16_t)segment;
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof control.bytes;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    while (sendmsg(fd, &msg, 0) < 0) {
        struct pollfd p = {fd, POLLOUT, 0};

        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ECONNREFUSED) {
            die("sendmsg");
        }
        (void)poll(&p, 1, 1);
    }
}

static size_t gro_size(struct msghdr *msg, size_t len)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size = 0;

            memcpy(&size, CMSG_DATA(c), sizeof size);
            return size > 0 ? (size_t)size : len;
        }
    }
    return len;
}

size_t udp_kit_recv(int fd, void *ctx,
                    void (*take)(void *ctx, const struct netaddr *from, struct slice data))
{
    static _Thread_local uint8_t buf[BATCH][DGRAM_MAX];
    struct sockaddr_in sa[BATCH];
    struct iovec iov[BATCH];
    struct mmsghdr msg[BATCH];
    char control[BATCH][64];
    size_t n = 0;
    int got;

    memset(msg, 0, sizeof msg);
    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){buf[i], DGRAM_MAX};
        msg[i].msg_hdr = (struct msghdr){.msg_name = &sa[i],
                                         .msg_namelen = sizeof sa[i],
                                         .msg_iov = &iov[i],
                                         .msg_iovlen = 1,
                                         .msg_control = control[i],
                                         .msg_controllen = sizeof control[i]};
    }
    got = recvmmsg(fd, msg, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        struct netaddr from = {.family = 4, .port = ntohs(sa[i].sin_port)};
        size_t len = msg[i].msg_len;
        size_t segment = gro_size(&msg[i].msg_hdr, len);

        memcpy(from.ip, &sa[i].sin_addr, 4);
        for (size_t off = 0; off < len; off += segment) {
            take(ctx, &from,
                 (struct slice){buf[i] + off, len - off < segment ? len - off : segment});
            n++;
        }
    }
    return n;
}

void udp_kit_wait(int fd, uint64_t ns)
{
    struct pollfd p = {fd, POLLIN, 0};
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    (void)ppoll(&p, 1, &t, NULL);
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) != 0) {
        die("clock_gettime");
    }
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

tstamp udp_kit_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t udp_kit_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}
