/*
 * peer_record.h - signed peer records: addresses that a peer vouches for (libp2p RFC 0002 and 0003).
 *
 *   PeerRecord   1 peer id   2 sequence number   3 { 1 address }*
 *
 * It is the payload of a signed envelope (envelope.h) of the type 03 01 in the domain "libp2p-peer-record".
 */
#ifndef QUDAG_SRC_WIRE_PEER_RECORD_H
#define QUDAG_SRC_WIRE_PEER_RECORD_H

#include "wire/envelope.h"
#include "wire/multiaddr.h"

#define PEER_RECORD_MAX ENVELOPE_MAX
#define PEER_RECORD_ADDRS_MAX 16

struct peer_record {
    struct peer_id peer;
    uint64_t seq; /* a higher one replaces a lower one */
    uint8_t n_addrs;
    struct multiaddr addr[PEER_RECORD_ADDRS_MAX];
};

/*
 * Writes the envelope of |r|, signed with |sk|, into |w|.  QUDAG_EINVAL: r->peer is not the id of that key.
 * QUDAG_ETOOBIG: no room in |w|, or over PEER_RECORD_MAX.
 */
QUDAG_MUST_USE qudag_err peer_record_sign(struct wr *w, const struct peer_record *r,
                                          const struct secret_ed25519 *sk);

/*
 * What |envelope| says, if |signer| signed it and speaks of itself; |r| is unchanged otherwise.  Addresses
 * that we cannot use, that are given twice, or beyond PEER_RECORD_ADDRS_MAX are dropped.
 * QUDAG_ETOOBIG, QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED (another payload type, a key that is not Ed25519),
 * QUDAG_EAUTH (another peer's key or id, a wrong signature or domain).
 */
QUDAG_MUST_USE qudag_err peer_record_open(struct peer_record *r, struct slice envelope,
                                          const struct peer_id *signer);

#endif
