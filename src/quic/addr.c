/* addr.c - netaddr to socket address and back. */
#include "quic/quic_int.h"

#include <string.h>

void quic_addr_to_sock(struct quic_sockaddr *out, const struct netaddr *a)
{
    memset(out, 0, sizeof *out);
    if (a->family == 6) {
        out->u.in6.sin6_family = AF_INET6;
        out->u.in6.sin6_port = htons(a->port);
        out->u.in6.sin6_scope_id = a->scope;
        memcpy(&out->u.in6.sin6_addr, a->ip, 16);
        out->len = sizeof out->u.in6;
    } else {
        out->u.in4.sin_family = AF_INET;
        out->u.in4.sin_port = htons(a->port);
        memcpy(&out->u.in4.sin_addr, a->ip, 4);
        out->len = sizeof out->u.in4;
    }
}

void quic_addr_from_sock(struct netaddr *out, const struct sockaddr *sa)
{
    memset(out, 0, sizeof *out);
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof in6);
        out->family = 6;
        out->port = ntohs(in6.sin6_port);
        out->scope = in6.sin6_scope_id;
        memcpy(out->ip, &in6.sin6_addr, 16);
    } else if (sa->sa_family == AF_INET) {
        struct sockaddr_in in4;

        memcpy(&in4, sa, sizeof in4);
        out->family = 4;
        out->port = ntohs(in4.sin_port);
        memcpy(out->ip, &in4.sin_addr, 4);
    }
}

void quic_addr_path(ngtcp2_path *path, struct quic_sockaddr *local, struct quic_sockaddr *remote,
                    const struct netaddr *to)
{
    struct netaddr any = {.family = to->family};

    quic_addr_to_sock(local, &any);
    quic_addr_to_sock(remote, to);
    *path = (ngtcp2_path){
        .local = {.addr = &local->u.sa, .addrlen = local->len},
        .remote = {.addr = &remote->u.sa, .addrlen = remote->len},
    };
}

size_t quic_addr_key(uint8_t out[24], const struct netaddr *a)
{
    memset(out, 0, 24);
    out[0] = a->family;
    memcpy(out + 1, a->ip, 16);
    out[17] = (uint8_t)(a->port >> 8);
    out[18] = (uint8_t)a->port;
    memcpy(out + 19, &a->scope, sizeof a->scope);
    return 23;
}

bool quic_addr_same_host(const struct netaddr *a, const struct netaddr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}
