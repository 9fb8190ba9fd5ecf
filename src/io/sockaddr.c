/* sockaddr.c - see sockaddr.h. */
#include "io/sockaddr.h"

#include <string.h>

socklen_t io_to_sockaddr(union io_sockaddr *out, const struct netaddr *a)
{
    memset(out, 0, sizeof(*out));
    if (a->family == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(a->port);
        memcpy(&out->v4.sin_addr, a->ip, 4);
        return sizeof(out->v4);
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(a->port);
    out->v6.sin6_scope_id = a->scope;
    memcpy(&out->v6.sin6_addr, a->ip, 16);
    return sizeof(out->v6);
}

void io_from_sockaddr(struct netaddr *out, const union io_sockaddr *a)
{
    memset(out, 0, sizeof(*out));
    if (a->sa.sa_family == AF_INET) {
        out->family = 4;
        out->port = ntohs(a->v4.sin_port);
        memcpy(out->ip, &a->v4.sin_addr, 4);
    } else {
        out->family = 6;
        out->port = ntohs(a->v6.sin6_port);
        out->scope = a->v6.sin6_scope_id;
        memcpy(out->ip, &a->v6.sin6_addr, 16);
    }
}
