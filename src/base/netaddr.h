/* netaddr.h - an IP address and UDP port, free of system headers. */
#ifndef QUDAG_SRC_BASE_NETADDR_H
#define QUDAG_SRC_BASE_NETADDR_H

#include "base/types.h"

struct netaddr {
    uint8_t family; /* 4, 6, or 0: none */
    uint8_t ip[16]; /* family 4 uses the first 4 bytes; the rest is zero */
    uint16_t port;  /* host order */
    uint32_t scope; /* IPv6 zone index, 0: none */
};

/* Equal in address, port and zone. */
bool netaddr_eq(const struct netaddr *a, const struct netaddr *b);

/* Equal in address, whatever the port; the zone counts only for IPv6 link-local addresses. */
bool netaddr_same_ip(const struct netaddr *a, const struct netaddr *b);

/* 127.0.0.0/8 or ::1. */
bool netaddr_is_loopback(const struct netaddr *a);

/* 0.0.0.0, :: or no address at all (family 0). */
bool netaddr_is_unspecified(const struct netaddr *a);

bool netaddr_is_private(
    const struct netaddr *a); /* RFC 1918, 4193, 6598, link-local; not loopback */

/*
 * Whether a host with this address can be reached from all of the Internet: unicast, and in no block that
 * IANA lists as special-purpose (registries iana-ipv4-special-registry and iana-ipv6-special-registry, read
 * 2025-10).  Stricter than the registries in what no node of a peer-to-peer network has: anycast services,
 * AS112, AMT, ORCHIDs, and the prefixes that embed an IPv4 address (NAT64, 6to4, Teredo), through which a
 * packet would be sent to that address.  An IPv4-mapped address is the IPv4 address.  The port is not looked at.
 */
bool netaddr_is_global(const struct netaddr *a);

/* How far it can be reached from: 0 anywhere, 1 private networks, 2 this link, 3 this host. */
unsigned netaddr_rank(const struct netaddr *a);
/*
 * Puts the |n| addresses in the order in which others shall be told of them, and returns how many of them
 * are told, at most |max|: those reached from farther come first; within one rank the families take turns;
 * otherwise the order stays.  The best address of each family is told, if |max| is at least 2.
 */
size_t netaddr_to_tell(struct netaddr *a, size_t n, size_t max);

/* The network it is of, for limits: /24 of IPv4, /48 of IPv6; 0 for none. */
uint64_t netaddr_group(const struct netaddr *a);

/* A host as places for handshakes count it: an IPv4 address, or an IPv6 /64. */
uint64_t netaddr_host(const struct netaddr *a);

/* The wider network that a netaddr_group() lies in: /16 of IPv4, /32 of IPv6; 0 for none. */
uint64_t netaddr_wide_group(uint64_t group);

#define NETADDR_TEXT_MAX 64
/* "1.2.3.4:5" or "[::1]:5"; returns the length, 0 if |cap| is too small. */
size_t netaddr_text(char *dst, size_t cap, const struct netaddr *a);

/* Textual IPv4 or IPv6 (RFC 5952 input forms) into |a|, port untouched.  QUDAG_EMALFORMED. */
qudag_err netaddr_parse_ip(struct netaddr *a, const char *text);

#endif
