/*
 * record_kit.h - one address and a record of it of either kind, and what who has the Ed25519 key alone can do with it;
 * for tests of this folder only.
 */
#ifndef QUDAG_SRC_CORE_DARK_RECORD_KIT_H
#define QUDAG_SRC_CORE_DARK_RECORD_KIT_H

#include "core/dark/dark_impl.h"

#include "base/wipe.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "wire/relay_desc.h"

#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1800003600)

struct world {
    struct rng_stream stream;
    struct rng rng;
    struct dark_keys k;
    struct dark_target t; /* and the place it is for */
    uint8_t key[DARK_KEY_LEN];
    uint8_t rec[DARK_RECORD_LEN];
    uint8_t z[ED25519_NOISE_LEN]; /* of the outer signature */
};

/* What was drawn last is the noise of the outer signature. */
static inline void stream_fill(void *ctx, uint8_t *dst, size_t len)
{
    struct world *w = ctx;

    rng_stream_fill(&w->stream, dst, len);
    if (len == sizeof w->z) {
        memcpy(w->z, dst, len);
    }
}

static inline void hop_set(struct onion_hop *h, const struct dark_keys *k)
{
    uint8_t pk[32] = {9, 9, 9};
    struct netaddr a4 = {.family = 4, .ip = {192, 0, 2, 7}, .port = 4001};
    struct netaddr a6 = {.family = 6, .ip = {0x20, 1, 0xd, 0xb8, 1}, .port = 4002};

    memset(h, 0, sizeof *h);
    peer_id_from_ed25519(&h->peer, pk);
    memset(h->pq_hash, 0x77, sizeof h->pq_hash);
    h->ends_until = NOW + 50000;
    memset(h->ends_sig, 0x33, sizeof h->ends_sig);
    multiaddr_quic(&h->addr[0], &a4, NULL);
    multiaddr_quic(&h->addr[1], &a6, NULL);
    h->n_addrs = 2;
    memcpy(h->key_id, k->key_id, 8);
    memcpy(h->x, k->onion_x, sizeof h->x);
    memcpy(h->k, k->onion_k, sizeof h->k);
    h->service = true;
}

/* A target with |n| introduction points, all of it drawn, and work asked for if |effort| is not 0. */
static inline void hidden_set(struct dark_hidden *h, uint8_t n, uint32_t effort,
                              const struct rng *rng)
{
    memset(h, 0, sizeof *h);
    rng_fill(rng, h->x, sizeof h->x);
    rng_fill(rng, h->k, sizeof h->k);
    onion_key_id(h->key_id, h->x, h->k);
    h->pow.effort = effort;
    if (effort != 0) {
        rng_fill(rng, h->pow.seed, sizeof h->pow.seed);
        h->pow.expires = NOW + 7200;
    }
    h->n_intros = n;
    for (uint8_t i = 0; i < n; i++) {
        uint8_t pk[32] = {21, i};
        struct dark_intro *p = &h->intro[i];
        peer_id_from_ed25519(&p->relay, pk);
        memset(p->pq_hash, 0x50 + i, sizeof p->pq_hash);
        rng_fill(rng, p->x, sizeof p->x);
        rng_fill(rng, p->k, sizeof p->k);
        onion_key_id(p->key_id, p->x, p->k);
        rng_fill(rng, p->key, sizeof p->key);
    }
}

static inline void record_make(struct world *w)
{
    assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), QUDAG_OK);
    assert_int_equal(dark_dht_key(w->key, &w->k.addr, &w->t.at), QUDAG_OK);
}

static inline struct world *world_new(uint8_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    uint8_t s[32] = {seed};

    assert_non_null(w);
    rng_stream_init(&w->stream, s);
    w->rng = (struct rng){stream_fill, w};
    assert_int_equal(dark_keys_create(&w->k, DARK_NET_TEST, "v", NOW, &w->rng), QUDAG_OK);
    w->t.at = (struct dark_place){dark_period(NOW), 1};
    w->t.kind = DARK_DIRECT;
    hop_set(&w->t.hop, &w->k);
    w->t.seq = dark_seq_next(0, NOW);
    w->t.number = dark_number_next(&w->k, &w->t.at, 0, NOW, &w->rng);
    w->t.not_before = NOW - NOW % 3600;
    w->t.expires = w->t.not_before + DARK_LIFE;
    record_make(w);
    return w;
}

/* The next record of the same place, of kind hidden. */
static inline void world_hide(struct world *w, uint8_t n, uint32_t effort)
{
    w->t.kind = DARK_HIDDEN;
    hidden_set(&w->t.hidden, n, effort, &w->rng);
    w->t.seq++;
    w->t.number++;
    record_make(w);
}

static inline void world_free(struct world *w)
{
    dark_keys_fini(&w->k);
    free(w);
}

static inline struct slice rec_of(const struct world *w)
{
    return (struct slice){w->rec, sizeof w->rec};
}

static inline qudag_err check(const struct world *w, walltime now)
{
    walltime expires;
    uint64_t number;

    return dark_record_check((struct slice){w->key, sizeof w->key}, rec_of(w), now, &number,
                             &expires);
}

static inline qudag_err open_at(const struct world *w, walltime now)
{
    struct dark_target t;

    return dark_record_open(&t, &w->k.addr, NULL, rec_of(w), now);
}

/* Signs the outer part again, as whoever holds the blinded key could. */
static inline void outer_sign(struct world *w)
{
    uint8_t m[DARK_MATERIAL_LEN], param[32];
    struct secret_ed25519_blinded sk;

    dark_material(m, &w->k.addr, &w->t.at);
    blake3_derive(param, 32, "qudag dark blinding v1", (struct slice){m, sizeof m});
    assert_int_equal(ed25519_blind_secret(&sk, &w->k.ed_sk, param), QUDAG_OK);
    rng_fill(&w->rng, w->z, sizeof w->z);
    assert_int_equal(ed25519_sign_blinded(w->rec + DARK_SIG_AT, &sk, w->rec + 8,
                                          (struct slice){w->rec, DARK_SIG_AT}, w->z),
                     QUDAG_OK);
}

static inline void body_key(const struct world *w, uint8_t key[32])
{
    uint8_t m[DARK_MATERIAL_LEN];

    dark_material(m, &w->k.addr, &w->t.at);
    blake3_derive(key, 32, "qudag dark record body v1", (struct slice){m, sizeof m});
}

static inline void body_decrypt(const struct world *w, uint8_t plain[DARK_PLAIN_LEN])
{
    uint8_t key[32];

    body_key(w, key);
    assert_int_equal(aead_open(plain, key, w->rec + 64, (struct slice){w->rec, DARK_HEAD_LEN},
                               (struct slice){w->rec + DARK_HEAD_LEN, DARK_PLAIN_LEN + 16}),
                     QUDAG_OK);
}

/* Encrypts |plain| and signs outside: all that the Ed25519 key alone can do. */
static inline void body_replace(struct world *w, const uint8_t plain[DARK_PLAIN_LEN])
{
    uint8_t key[32];

    body_key(w, key);
    assert_int_equal(aead_seal(w->rec + DARK_HEAD_LEN, key, w->rec + 64,
                               (struct slice){w->rec, DARK_HEAD_LEN},
                               (struct slice){plain, DARK_PLAIN_LEN}),
                     QUDAG_OK);
    outer_sign(w);
}

#endif
