/* proxy_uid.c - asks the kernel's table of sockets for the other end of a connection (sock_diag(7)). */
#include "app/proxy_uid.h"

#include "app/proxy_rules.h"

#if defined(__linux__)
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 req;
};

/* Fills in one end; false: neither IPv4 nor IPv6. */
static bool end_in(const struct sockaddr_storage *sa, void *addr, __be16 *port)
{
    if (sa->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        memcpy(addr, &in.sin_addr, sizeof(in.sin_addr));
        *port = in.sin_port;
        return true;
    }
    if (sa->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        memcpy(addr, &in6.sin6_addr, sizeof(in6.sin6_addr));
        *port = in6.sin6_port;
        return true;
    }
    return false;
}

/* The question for the socket whose own end is the other one of |fd|. */
static bool ask_for(int fd, struct question *q)
{
    struct sockaddr_storage ours, theirs;
    socklen_t len = sizeof(ours), their_len = sizeof(theirs);

    if (getsockname(fd, (struct sockaddr *)&ours, &len) != 0 ||
        getpeername(fd, (struct sockaddr *)&theirs, &their_len) != 0) {
        return false;
    }
    *q = (struct question){
        .head = {.nlmsg_len = sizeof(*q),
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .req = {.sdiag_family = (uint8_t)ours.ss_family,
                .sdiag_protocol = IPPROTO_TCP,
                .idiag_states = UINT32_MAX,
                .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};
    return end_in(&theirs, q->req.id.idiag_src, &q->req.id.idiag_sport) &&
           end_in(&ours, q->req.id.idiag_dst, &q->req.id.idiag_dport);
}

uint64_t proxy_uid_of(int fd)
{
    struct question q;
    struct {
        struct nlmsghdr head;
        struct inet_diag_msg msg;
        uint8_t more[512];
    } answer;
    uint64_t uid = PROXY_UID_UNKNOWN;

    if (!ask_for(fd, &q)) {
        return uid;
    }
    int nl = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (nl < 0) {
        return uid;
    }
    memset(&answer, 0, sizeof(answer));
    if (send(nl, &q, sizeof(q), 0) == (ssize_t)sizeof(q)) {
        ssize_t n = recv(nl, &answer, sizeof(answer), MSG_DONTWAIT);
        bool whole = n >= (ssize_t)(sizeof(answer.head) + sizeof(answer.msg));
        if (whole && answer.head.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
            uid = answer.msg.idiag_uid;
        }
    }
    (void)close(nl);
    return uid;
}
#else
uint64_t proxy_uid_of(int fd)
{
    (void)fd;
    return PROXY_UID_UNKNOWN;
}
#endif
