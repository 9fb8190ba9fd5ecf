/* candidates_testkit.h - a lookup and contacts for its tests; to be included behind cmocka.h. */
#ifndef QUDAG_SRC_CORE_KAD_LOOKUP_CANDIDATES_TESTKIT_H
#define QUDAG_SRC_CORE_KAD_LOOKUP_CANDIDATES_TESTKIT_H

#include "core/kad/lookup/lookup.h"

#include <stdlib.h>

#define MS NS_PER_MS

static struct mem mem;
static struct kad_candidates *q;

/* The target has the hash 0: a peer's hash is its distance. */
static inline void begin(unsigned alpha)
{
    static const uint8_t target[SHA256_LEN] = {0};
    uint8_t self[SHA256_LEN];

    memset(self, 0xff, sizeof(self));
    mem_init(&mem, NULL, 0);
    q = calloc(1, sizeof(*q));
    assert_non_null(q);
    kad_candidates_init(q, &mem, target, self, alpha);
}

static inline void end(void)
{
    kad_candidates_fini(q);
    free(q);
    assert_int_equal(mem.used, 0);
}

static inline struct kad_contact *peer(uint64_t dist, unsigned net24)
{
    struct kad_peer_info info = {.n_addrs = 1};
    struct netaddr a = {.family = 4, .port = 4001};
    uint8_t hash[SHA256_LEN] = {0};

    for (unsigned i = 0; i < 8; i++) {
        hash[i] = (uint8_t)(dist >> (56 - 8 * i));
    }
    peer_id_from_ed25519(&info.id, hash);
    a.ip[0] = 30;
    a.ip[1] = (uint8_t)(net24 >> 8);
    a.ip[2] = (uint8_t)net24;
    a.ip[3] = 1;
    multiaddr_quic(&info.addr[0], &a, NULL);
    struct kad_contact *p = kad_contact_new(&mem, &info, hash, false);
    assert_non_null(p);
    return p;
}

/* NULL: the lookup does not take it. */
static inline struct kad_contact *add_of(uint64_t dist, unsigned net24, unsigned path)
{
    struct kad_contact *p = peer(dist, net24);
    bool taken = kad_candidates_add(q, p, 1, path);

    kad_contact_unref(p);
    return taken ? p : NULL;
}

static inline struct kad_contact *add(uint64_t dist, unsigned path)
{
    static unsigned net24;

    return add_of(dist, ++net24, path);
}

static inline uint64_t far(unsigned i) /* the i-th of peers spread evenly */
{
    return (uint64_t)(i + 1) << 48;
}

static inline bool knows(const struct kad_contact *p)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->cand[i].peer == p) {
            return true;
        }
    }
    return false;
}

static inline enum kad_cand_state state_of(const struct kad_contact *p)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->cand[i].peer == p) {
            return q->cand[i].state;
        }
    }
    fail();
    return KAD_CAND_NEW;
}

static inline void in_order(void)
{
    for (size_t i = 1; i < q->n; i++) {
        assert_true(q->cand[i - 1].dist < q->cand[i].dist);
    }
}

#endif
