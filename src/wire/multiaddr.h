/* multiaddr.h - the multiaddrs a node meets (specs: addressing/README.md; multiformats/multiaddr). */
#ifndef QUDAG_SRC_WIRE_MULTIADDR_H
#define QUDAG_SRC_WIRE_MULTIADDR_H

#include "base/netaddr.h"
#include "wire/peer_id.h"

#define MULTIADDR_MAX 192 /* bytes of the binary form we keep; longer ones are refused */
#define MULTIADDR_TEXT_MAX 384

struct multiaddr {
    uint8_t len;
    uint8_t b[MULTIADDR_MAX];
};

static inline struct slice multiaddr_slice(const struct multiaddr *m)
{
    return (struct slice){m->b, m->len};
}

/* Equal byte for byte. */
bool multiaddr_eq(const struct multiaddr *a, const struct multiaddr *b);

/*
 * Binary form from the wire, every component checked; an unknown component cannot be skipped, so it
 * spoils the address.  QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED, QUDAG_ETOOBIG; |out| untouched then.
 */
QUDAG_MUST_USE qudag_err multiaddr_from_bytes(struct multiaddr *out, struct slice bytes);

/*
 * The textual form ("/ip4/..."), checked like the binary one.  QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED,
 * QUDAG_ETOOBIG.
 */
QUDAG_MUST_USE qudag_err multiaddr_parse(struct multiaddr *out, const char *text);

size_t multiaddr_text(char *dst, size_t cap, const struct multiaddr *m); /* 0: does not fit */

/*
 * /ip4|ip6/.../udp/PORT/quic-v1, with /p2p/ID when |peer| is given.  IPv4-mapped IPv6 becomes ip4; zones
 * are left out.  Empty (len 0) when |a| holds no address.
 */
void multiaddr_quic(struct multiaddr *out, const struct netaddr *a, const struct peer_id *peer);

/* The address of /ip4|ip6/udp/quic-v1[/p2p]; false for every other shape, relays and names among them. */
bool multiaddr_to_netaddr(const struct multiaddr *m, struct netaddr *out);

/* The same for /ip4|ip6/.../tcp/PORT. */
void multiaddr_tcp(struct multiaddr *out, const struct netaddr *a, const struct peer_id *peer);

/* The address of /ip4|ip6/tcp[/p2p]; false for every other shape. */
bool multiaddr_to_tcp(const struct multiaddr *m, struct netaddr *out);

/* The address of either shape: a host at which a link can be had without help. */
bool multiaddr_direct(const struct multiaddr *m, struct netaddr *out);

/*
 * The IP address and port that an address begins with: /ip4|ip6/.../udp|tcp/PORT and whatever follows, so
 * also that of the relay of a relayed address.  False for names and all else.
 */
bool multiaddr_endpoint(const struct multiaddr *m, struct netaddr *out);

/* What an address begins with in place of an IP address. */
enum multiaddr_name {
    MULTIADDR_NO_NAME,
    MULTIADDR_DNS,     /* of a host, IPv4 and IPv6 */
    MULTIADDR_DNS4,    /* IPv4 */
    MULTIADDR_DNS6,    /* IPv6 */
    MULTIADDR_DNSADDR, /* of a list of addresses */
};
/* The name that |m| begins with, and what follows it; both borrowed, and untouched where there is none. */
enum multiaddr_name multiaddr_name(const struct multiaddr *m, struct slice *name,
                                   struct slice *rest);
/* /ip4|ip6/..., which a zone or port of |ip| does not matter to, and |rest| of another address.  False: too long. */
bool multiaddr_of_ip(struct multiaddr *out, const struct netaddr *ip, struct slice rest);
/* Whether |m| has |end|, whole components of an address, at its end. */
bool multiaddr_ends_with(const struct multiaddr *m, struct slice end);

/* The last /p2p component; false when there is none, or none behind the last /p2p-circuit: that is the relay's. */
bool multiaddr_peer(const struct multiaddr *m, struct peer_id *out);

/*
 * Whether |m| is ADDRESS/p2p/RELAY/p2p-circuit, with or without a /p2p behind it; |relay| (or NULL) is then what is
 * before /p2p-circuit.  False for every other shape: without an address or an id of the relay, through two relays.
 */
bool multiaddr_through(const struct multiaddr *m, struct multiaddr *relay);

/* The address at which a peer is through the relay at |relay|, which names it; false: it does not, or too long. */
bool multiaddr_circuit(struct multiaddr *out, const struct multiaddr *relay);
void multiaddr_strip_peer(struct multiaddr *m); /* drops a trailing /p2p */
/* Puts /p2p/|peer| at the end; false, and nothing done: too long. */
bool multiaddr_add_peer(struct multiaddr *m, const struct peer_id *peer);

/*
 * Bootstrap form with the hash of the ML-DSA key: "<multiaddr>/p2p/ID#HEX64".  *has_pq tells whether
 * the suffix was there.
 */
QUDAG_MUST_USE qudag_err multiaddr_parse_pinned(struct multiaddr *out, uint8_t pq_hash[32],
                                                bool *has_pq, const char *text);

#endif
