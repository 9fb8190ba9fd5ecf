/* interfaces.h - the addresses of the machine's interfaces, and when they change. */
#ifndef QUDAG_SRC_IO_INTERFACES_H
#define QUDAG_SRC_IO_INTERFACES_H

#include "base/netaddr.h"

/*
 * The addresses at which a wildcard socket with the family and port of |bound| answers: those of the interfaces
 * that are up, link-local IPv6 ones left out, because they mean nothing to others.  At most |max|; returns how many.
 */
size_t io_interface_addrs(const struct netaddr *bound, struct netaddr *out, size_t max);

/* A descriptor that becomes readable when an address or an interface comes or goes; -1: not to be had. */
int io_interfaces_watch(void);
/* Takes what |fd| has to say; true when something has changed. */
bool io_interfaces_changed(int fd);

#endif
