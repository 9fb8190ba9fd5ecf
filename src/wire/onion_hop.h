/* onion_hop.h - a hop of a circuit: what relays and dark addresses tell, and circuits are built from. */
#ifndef QUDAG_SRC_WIRE_ONION_HOP_H
#define QUDAG_SRC_WIRE_ONION_HOP_H

#include "crypto/kex.h"
#include "wire/multiaddr.h"

#define ONION_HOPS_MAX 8  /* of one circuit */
#define ONION_ADDRS_MAX 4 /* of one hop */

/* Where to extend to, and whom to expect there. */
struct onion_hop {
    struct peer_id peer;
    uint8_t pq_hash[32]; /* of its ML-DSA identity key; bound into the handshake */
    uint8_t n_addrs;
    struct multiaddr addr[ONION_ADDRS_MAX];
    uint8_t key_id[8]; /* of the onion keys that follow: onion_key_id() */
    uint8_t x[X25519_LEN];
    uint8_t k[MLKEM768_EK_LEN];
    bool service; /* a dark service, not a relay: other handshake label */
    /* A service: its own statement that it ends circuits at these addresses (onion_ends.h). */
    walltime ends_until;
    uint8_t ends_sig[64];
};

#endif
