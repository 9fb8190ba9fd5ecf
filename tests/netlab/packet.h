/* packet.h - what of an IP packet a translator looks at, and changes with all checksums kept right. */
#ifndef QUDAG_TESTS_NETLAB_PACKET_H
#define QUDAG_TESTS_NETLAB_PACKET_H

#include "base/netaddr.h"

enum packet_proto { PACKET_ICMP = 1, PACKET_TCP = 6, PACKET_UDP = 17 };

struct packet {
    uint8_t *b; /* borrowed */
    size_t len, l4;
    uint8_t proto;           /* of IPv4; 0 where there are no ports to translate */
    bool error;              /* an ICMP error: it quotes a packet */
    struct netaddr src, dst; /* of an echo: the port is its identifier, at the end that asked */
};

/* False: not a whole IP packet.  IPv6 packets are read without ports, as are fragments and other protocols. */
bool packet_read(struct packet *p, uint8_t *b, size_t len);

/* The packet that an ICMP error quotes, its ports included.  False: it quotes none that is long enough. */
bool packet_quoted(const struct packet *p, struct packet *quoted);

void packet_set_src(struct packet *p, const struct netaddr *a);
void packet_set_dst(struct packet *p, const struct netaddr *a);
/* After changes in what it quotes: the checksum of an ICMP error. */
void packet_quote_changed(struct packet *p);

#define PACKET_UNREACHABLE_MAX 56
/* "Port unreachable" about |p| into |dst| (PACKET_UNREACHABLE_MAX bytes); its length. */
size_t packet_unreachable(uint8_t *dst, const struct packet *p);

#endif
