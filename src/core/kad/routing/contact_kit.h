/* contact_kit.h - for tests of this room and those above it: contacts by number.  Include cmocka.h before. */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_CONTACT_KIT_H
#define QUDAG_SRC_CORE_KAD_ROUTING_CONTACT_KIT_H

#include "core/kad/routing/contact.h"

static struct mem mem;

/* The contact |n| of the network |net24|; one reference. */
static inline struct kad_contact *peer(unsigned n, unsigned net24)
{
    struct kad_peer_info info = {.n_addrs = 1};
    uint8_t pk[32] = {(uint8_t)n, (uint8_t)(n >> 8), 7};
    struct netaddr a = {.family = 4, .port = 4001};

    peer_id_from_ed25519(&info.id, pk);
    a.ip[0] = 30;
    a.ip[1] = (uint8_t)(net24 >> 8);
    a.ip[2] = (uint8_t)net24;
    a.ip[3] = (uint8_t)n;
    multiaddr_quic(&info.addr[0], &a, NULL);
    uint8_t hash[SHA256_LEN];
    sha256(hash, peer_id_slice(&info.id));
    struct kad_contact *p = kad_contact_new(&mem, &info, hash, false);
    assert_non_null(p);
    return p;
}

#endif
