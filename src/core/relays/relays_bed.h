/* relays_bed.h - a pool with relays of different networks, for the tests of this folder.  Include cmocka.h before. */
#ifndef QUDAG_SRC_CORE_RELAYS_RELAYS_BED_H
#define QUDAG_SRC_CORE_RELAYS_RELAYS_BED_H

#include "core/relays/relays_impl.h"

#include <stdlib.h>
#include <string.h>

#define N 20
#define WALL 2000 /* the calendar; descriptors are valid from 1000 on */
#define ALL (RELAY_FLAG_GUARD | RELAY_FLAG_GATEWAY)

struct world {
    struct mem mem;
    struct rng_stream stream;
    struct relays *r;
    struct relay_desc d[N];
};

static inline struct peer_id peer_of(uint8_t i)
{
    uint8_t pk[32] = {0};
    struct peer_id p;

    pk[0] = i;
    pk[31] = 0x55;
    peer_id_from_ed25519(&p, pk);
    return p;
}

static inline void desc_set(struct relay_desc *d, uint8_t i, uint8_t net)
{
    memset(d, 0, sizeof *d);
    d->peer = peer_of(i);
    memset(d->pq_hash, i, sizeof d->pq_hash);
    memset(d->onion_x, i, sizeof d->onion_x);
    memset(d->onion_k, i, sizeof d->onion_k);
    struct netaddr a = {.family = 4, .ip = {100, net, i, 1}, .port = 4001};
    multiaddr_quic(&d->addr[0], &a, NULL);
    d->n_addrs = 1;
    d->flags = ALL;
    d->seq = 1;
    d->not_before = 1000;
    d->expires = 1000 + 86400;
}

static inline void pool_new(struct world *w, bool lab, uint8_t seed)
{
    uint8_t s[32] = {seed, 7};

    rng_stream_init(&w->stream, s);
    struct relays_config cfg = {
        .mem = &w->mem, .rng = rng_of_stream(&w->stream), .self = peer_of(200), .lab = lab};
    assert_int_equal(relays_new(&w->r, &cfg), QUDAG_OK);
}

static inline struct world *world_new(bool lab)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    mem_init(&w->mem, NULL, 0);
    pool_new(w, lab, 1);
    for (uint8_t i = 0; i < N; i++) {
        desc_set(&w->d[i], i, i);
    }
    return w;
}

static inline void world_add(struct world *w)
{
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(relays_add(w->r, &w->d[i]), QUDAG_OK);
    }
}

/* As the node does before it asks for a path. */
static inline qudag_err path_of(struct relays *r, const struct relays_path_want *want, tstamp now,
                                struct onion_hop *out)
{
    relays_settled(r, WALL);
    return relays_path(r, want, now, out);
}

static inline void world_free(struct world *w)
{
    relays_free(w->r);
    assert_int_equal(w->mem.used, 0);
    free(w);
}

static inline unsigned ix_of(const struct onion_hop *h)
{
    return h->x[0];
}

#endif
