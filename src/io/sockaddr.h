/* sockaddr.h - network addresses in the kernel's form. */
#ifndef QUDAG_SRC_IO_SOCKADDR_H
#define QUDAG_SRC_IO_SOCKADDR_H

#include "base/netaddr.h"

#include <netinet/in.h>
#include <sys/socket.h>

union io_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Its length. */
socklen_t io_to_sockaddr(union io_sockaddr *out, const struct netaddr *a);
/* Of AF_INET or AF_INET6. */
void io_from_sockaddr(struct netaddr *out, const union io_sockaddr *a);

#endif
