/* interfaces.h - the addresses of the machine's interfaces, and when they change. */
#ifndef QUDAG_SRC_IO_INTERFACES_H
#define QUDAG_SRC_IO_INTERFACES_H

#include "base/netaddr.h"

/*
 * The addresses at which a wildcard socket with the family and port of |bound| answers: those of the interfaces
 * that are up, link-local IPv6 ones left out, because they mean nothing to others.  At most |max|; returns how many.
 */
size_t io_interface_addrs(const struct netaddr *bound, struct netaddr *out, size_t max);

/* |bound|, or those it stands for as above, behind the |n| that there are in |out| (IO_ADDRS_MAX); how many then. */
size_t io_bound_addrs(const struct netaddr *bound, struct netaddr *out, size_t n);

/*
 * What the kernel sends from, to the Internet with IP |version| (4 or 6); nothing is sent.  False: there is no way.
 */
bool io_default_source(uint8_t version, struct netaddr *out);

/* A descriptor that becomes readable when an address, an interface or a route comes or goes; -1: not to be had. */
int io_interfaces_watch(void);
/* Takes what |fd| has to say; true when something has changed. */
bool io_interfaces_changed(int fd);

#endif
