/* udp.c - Linux: recvmmsg with GRO, sendmsg with GSO, ECN and packet info.  Falls back where a kernel
 * or device cannot segment. */
#include "io/udp.h"

#include "io/sockaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h */
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define GSO_RETRY (60 * NS_PER_S)
#define GSO_SEGMENTS_MAX 64 /* linux: UDP_MAX_SEGMENTS of the oldest kernels */
#define SOCKET_BUFFER (4 * 1024 * 1024)
#define SMALL_BUFFER (64 * 1024)

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static void set_buffers(struct udp *u, int bytes)
{
    (void)set_int(u->fd, SOL_SOCKET, SO_RCVBUF, bytes);
    (void)set_int(u->fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

void udp_grow(struct udp *u)
{
    set_buffers(u, SOCKET_BUFFER);
}

static void set_options(struct udp *u, bool v4, int buffer)
{
    int zero = 0;
    socklen_t len = sizeof(zero);

    set_buffers(u, buffer);
    if (v4) {
        (void)set_int(u->fd, IPPROTO_IP, IP_PKTINFO, 1);
        (void)set_int(u->fd, IPPROTO_IP, IP_RECVTOS, 1);
        (void)set_int(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        (void)set_int(u->fd, IPPROTO_IP, IP_RECVERR, 1);
    } else {
        (void)set_int(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        (void)set_int(u->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        (void)set_int(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
        (void)set_int(u->fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    }
    u->gro = set_int(u->fd, IPPROTO_UDP, UDP_GRO, 1);
    u->gso = getsockopt(u->fd, IPPROTO_UDP, UDP_SEGMENT, &zero, &len) == 0;
}

static int open_with(struct udp *u, const struct netaddr *listen, int buffer)
{
    union io_sockaddr sa;
    socklen_t len = io_to_sockaddr(&sa, listen);

    *u = (struct udp){.fd = -1};
    u->fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0) {
        return errno;
    }
    if (listen->family == 6) {
        (void)set_int(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    set_options(u, listen->family == 4, buffer);
    if (bind(u->fd, &sa.sa, len) != 0 || getsockname(u->fd, &sa.sa, &len) != 0) {
        int err = errno;
        udp_close(u);
        return err;
    }
    io_from_sockaddr(&u->bound, &sa);
    return 0;
}

int udp_open(struct udp *u, const struct netaddr *listen)
{
    return open_with(u, listen, SOCKET_BUFFER);
}

int udp_open_small(struct udp *u, const struct netaddr *listen)
{
    return open_with(u, listen, SMALL_BUFFER);
}

bool udp_version_missing(const struct netaddr *listen, int err)
{
    return netaddr_is_unspecified(listen) && (err == EAFNOSUPPORT || err == EADDRNOTAVAIL);
}

void udp_close(struct udp *u)
{
    if (u->fd >= 0) {
        close(u->fd);
        u->fd = -1;
    }
}

static void read_cmsg(struct udp_msg *m, const struct cmsghdr *c)
{
    int value = 0;

    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
        memcpy(&value, CMSG_DATA(c), sizeof(value));
        m->segment = value > 0 ? (size_t)value : 0;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
        m->ecn = *CMSG_DATA(c) & 3;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
        memcpy(&value, CMSG_DATA(c), sizeof(value));
        m->ecn = (uint8_t)(value & 3);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof(info));
        memcpy(m->local.ip, &info.ipi_addr, 4);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof(info));
        memcpy(m->local.ip, &info.ipi6_addr, 16);
    }
}

size_t udp_recv(struct udp *u, struct udp_msg *msg, uint8_t *buf)
{
    struct mmsghdr hdr[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    union io_sockaddr from[UDP_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[UDP_BATCH][128];

    memset(hdr, 0, sizeof(hdr));
    for (size_t i = 0; i < UDP_BATCH; i++) {
        iov[i] = (struct iovec){buf + i * UDP_BUF, UDP_BUF};
        hdr[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                         .msg_namelen = sizeof(from[i]),
                                         .msg_iov = &iov[i],
                                         .msg_iovlen = 1,
                                         .msg_control = control[i],
                                         .msg_controllen = sizeof(control[i])};
    }
    int n = recvmmsg(u->fd, hdr, UDP_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct udp_msg *m = &msg[i];
        struct msghdr *h = &hdr[i].msg_hdr;
        *m = (struct udp_msg){.local = u->bound, .len = hdr[i].msg_len, .buf = iov[i].iov_base};
        io_from_sockaddr(&m->remote, &from[i]);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
            read_cmsg(m, c);
        }
        if (m->segment == 0 || m->segment > m->len) {
            m->segment = m->len;
        }
    }
    return n > 0 ? (size_t)n : 0;
}

static struct cmsghdr *put_cmsg(struct msghdr *h, struct cmsghdr *at, int level, int type,
                                const void *data, size_t len)
{
    at->cmsg_level = level;
    at->cmsg_type = type;
    at->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(at), data, len);
    h->msg_controllen += CMSG_SPACE(len);
    return (struct cmsghdr *)(void *)((uint8_t *)at + CMSG_SPACE(len));
}

static void put_controls(struct msghdr *h, void *control, const struct udp *u,
                         const struct quic_tx *tx, uint16_t segment)
{
    struct cmsghdr *at = control;
    bool v4 = tx->remote.family == 4;
    int tos = tx->ecn;

    h->msg_control = control;
    h->msg_controllen = 0;
    if (tx->ecn != 0) {
        at = v4 ? put_cmsg(h, at, IPPROTO_IP, IP_TOS, &tos, sizeof(tos))
                : put_cmsg(h, at, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
    }
    if (netaddr_is_unspecified(&u->bound) && tx->local.family != 0 &&
        !netaddr_is_unspecified(&tx->local)) {
        if (v4) {
            struct in_pktinfo info = {0};
            memcpy(&info.ipi_spec_dst, tx->local.ip, 4);
            at = put_cmsg(h, at, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        } else {
            struct in6_pktinfo info = {0};
            memcpy(&info.ipi6_addr, tx->local.ip, 16);
            at = put_cmsg(h, at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
        }
    }
    if (segment != 0) {
        (void)put_cmsg(h, at, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
    }
}

/* Of the destination; where a source address was asked for it may be that one which is not there any more. */
static bool is_no_route(const struct quic_tx *tx, int err)
{
    return netaddr_is_unspecified(&tx->local) && (err == ENETUNREACH || err == EHOSTUNREACH ||
                                                  err == EADDRNOTAVAIL || err == EAFNOSUPPORT);
}

/* One system call: |len| bytes of |tx| from |at|; |segment| 0: they are one datagram.  0, or an errno. */
static int send_one(struct udp *u, const struct quic_tx *tx, size_t at, size_t len,
                    uint16_t segment)
{
    _Alignas(struct cmsghdr) uint8_t control[128];
    union io_sockaddr to;
    struct iovec iov = {tx->buf + at, len};
    struct msghdr h = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1};

    memset(control, 0, sizeof(control));
    h.msg_namelen = io_to_sockaddr(&to, &tx->remote);
    put_controls(&h, control, u, tx, segment);
    if (h.msg_controllen == 0) {
        h.msg_control = NULL;
    }
    for (int tries = 0; tries < 3; tries++) {
        if (sendmsg(u->fd, &h, 0) >= 0) {
            return 0;
        }
        if (errno != EINTR && errno != ECONNREFUSED && !is_no_route(tx, errno)) {
            break;
        } /* these may report what an ICMP message said of an older datagram: once more */
    }
    return errno;
}

/*
 * ENOBUFS is a loss: with IP_RECVERR Linux reports so what the device or its queue dropped (ip(7)), a datagram larger
 * than the MTU of the other end of a veth pair among it.  The socket stays writable, so to try again is to spin.
 */
static enum udp_sent classify(const struct quic_tx *tx, int err, size_t dgrams, struct io_stats *st)
{
    st->send_calls++;
    if (err == 0) {
        st->send_dgrams += dgrams;
        return UDP_SENT;
    }
    if (err == EAGAIN) {
        st->send_again++;
        return UDP_AGAIN;
    }
    st->send_errors++;
    if (is_no_route(tx, err)) {
        return UDP_NO_ROUTE;
    }
    return UDP_LOST;
}

/* The datagrams of |len| bytes from |at|, each in a call of its own. */
static enum udp_sent send_cut(struct udp *u, const struct quic_tx *tx, size_t at, size_t len,
                              struct io_stats *st)
{
    size_t seg = tx->segment == 0 ? tx->len : tx->segment;
    enum udp_sent result = UDP_SENT;

    for (size_t end = at + len; at < end; at += seg) {
        size_t n = end - at < seg ? end - at : seg;
        enum udp_sent r = classify(tx, send_one(u, tx, at, n, 0), 1, st);
        if (r == UDP_AGAIN) {
            return at == 0 ? UDP_AGAIN : UDP_LOST; /* the rest is lost */
        }
        result = r == UDP_SENT ? result : r;
    }
    return result;
}

bool udp_segments(const struct udp *u, tstamp now)
{
    return u->gso && now >= u->gso_retry_at;
}

/* As segments in one call; cut here if that is refused, and for a while if it is the device that refuses. */
static enum udp_sent send_segments(struct udp *u, const struct quic_tx *tx, size_t at, size_t len,
                                   tstamp now, struct io_stats *st)
{
    size_t seg = tx->segment;
    int err = send_one(u, tx, at, len, (uint16_t)seg);

    if (err != EIO && err != EINVAL && err != EMSGSIZE) {
        return classify(tx, err, (len + seg - 1) / seg, st);
    }
    st->send_calls++;
    enum udp_sent r = send_cut(u, tx, at, len, st);
    if (r == UDP_SENT) { /* the datagrams are fine, so it is not their size or source address */
        u->gso_retry_at = tstamp_after(now, GSO_RETRY);
    }
    return r;
}

enum udp_sent udp_send(struct udp *u, const struct quic_tx *tx, tstamp now, struct io_stats *st)
{
    size_t seg = tx->segment == 0 ? tx->len : tx->segment;
    enum udp_sent result = UDP_SENT;

    for (size_t at = 0, step = seg * GSO_SEGMENTS_MAX; at < tx->len; at += step) {
        size_t len = tx->len - at < step ? tx->len - at : step;
        enum udp_sent r = len > seg && udp_segments(u, now) ? send_segments(u, tx, at, len, now, st)
                                                            : send_cut(u, tx, at, len, st);
        if (r == UDP_AGAIN) {
            return at == 0 ? UDP_AGAIN : UDP_LOST;
        }
        result = r == UDP_SENT ? result : r;
    }
    return result;
}

static enum udp_error error_of(const struct cmsghdr *c)
{
    struct sock_extended_err e;

    if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
        !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
        return UDP_OTHER_ERROR;
    }
    memcpy(&e, CMSG_DATA(c), sizeof(e));
    bool icmp = e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6;
    return icmp && (e.ee_errno == ECONNREFUSED || e.ee_errno == EHOSTUNREACH ||
                    e.ee_errno == ENETUNREACH)
               ? UDP_REFUSED
               : UDP_OTHER_ERROR;
}

enum udp_error udp_next_error(struct udp *u, struct netaddr *remote, struct udp_quote *quote)
{
    _Alignas(struct cmsghdr) uint8_t control[512];
    union io_sockaddr to;
    struct iovec iov = {quote->bytes, sizeof(quote->bytes)};
    struct msghdr h = {.msg_name = &to,
                       .msg_namelen = sizeof(to),
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};

    ssize_t n = recvmsg(u->fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (n < 0) {
        return UDP_NO_ERROR;
    }
    quote->len = (size_t)n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c)) {
        enum udp_error e = error_of(c);
        if (e != UDP_OTHER_ERROR) {
            io_from_sockaddr(remote, &to);
            return e;
        }
    }
    return UDP_OTHER_ERROR;
}
