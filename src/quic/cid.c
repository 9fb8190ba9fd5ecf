/*
 * cid.c - connection ids: seven random bytes, and the shard number masked with a keyed hash of them.
 *
 * To an observer all eight bytes are random; an endpoint that shares the key can tell whose packet
 * it is without a table.
 */
#include "quic/quic_int.h"

#include <string.h>

static uint8_t mask_of(const uint8_t key[16], const uint8_t *rest)
{
    uint64_t k0, k1;

    memcpy(&k0, key, 8);
    memcpy(&k1, key + 8, 8);
    return (uint8_t)siphash24(k0, k1, (struct slice){rest, CID_LEN - 1});
}

void quic_cid_make(const struct quic *q, uint8_t cid[CID_LEN])
{
    rng_fill(&q->cfg.rng, cid + 1, CID_LEN - 1);
    cid[0] = q->cfg.shard ^ mask_of(q->cid_key, cid + 1);
}

struct quic_conn *quic_cid_find(struct quic *q, struct slice cid)
{
    if (cid.len == CID_LEN && q->last != NULL && memcmp(q->last_cid, cid.base, CID_LEN) == 0) {
        return q->last;
    }
    struct quic_conn *c = map_get(&q->cids, cid);
    if (c != NULL && cid.len == CID_LEN) {
        memcpy(q->last_cid, cid.base, CID_LEN);
        q->last = c;
    }
    return c;
}

/* Whatever is taken out of the table goes through here. */
static void forget(struct quic *q, struct slice cid)
{
    q->last = NULL;
    (void)map_del(&q->cids, cid);
}

qudag_err quic_cid_bind(struct quic_conn *c, const uint8_t *cid, size_t len)
{
    qudag_err err;

    if (len != CID_LEN || c->cids_n == CIDS_PER_CONN) {
        return QUDAG_ELIMIT;
    }
    if (map_get(&c->q->cids, (struct slice){cid, len}) != NULL) {
        return QUDAG_EEXISTS;
    }
    err = map_put(&c->q->cids, (struct slice){cid, len}, c);
    if (err == QUDAG_OK) {
        memcpy(c->cids[c->cids_n++], cid, len);
    }
    return err;
}

void quic_cid_unbind(struct quic_conn *c, const uint8_t *cid, size_t len)
{
    for (uint32_t i = 0; i < c->cids_n; i++) {
        if (len == CID_LEN && memcmp(c->cids[i], cid, len) == 0) {
            forget(c->q, (struct slice){cid, len});
            c->cids_n--;
            memmove(c->cids[i], c->cids[c->cids_n], CID_LEN);
            return;
        }
    }
}

void quic_cid_reset_bind(struct quic_conn *c, const uint8_t token[16])
{
    struct slice key = {token, 16};

    /* A peer that repeats another's token gains nothing; without memory the reset goes unheard. */
    if (c->resets_n < CIDS_PER_CONN && map_get(&c->q->resets, key) == NULL &&
        map_put(&c->q->resets, key, c) == QUDAG_OK) {
        memcpy(c->resets[c->resets_n++], token, 16);
    }
}

void quic_cid_reset_unbind(struct quic_conn *c, const uint8_t token[16])
{
    for (uint32_t i = 0; i < c->resets_n; i++) {
        if (memcmp(c->resets[i], token, 16) == 0) {
            (void)map_del(&c->q->resets, (struct slice){token, 16});
            c->resets_n--;
            memmove(c->resets[i], c->resets[c->resets_n], 16);
            return;
        }
    }
}

void quic_cid_unbind_all(struct quic_conn *c)
{
    while (c->resets_n > 0) {
        c->resets_n--;
        (void)map_del(&c->q->resets, (struct slice){c->resets[c->resets_n], 16});
    }
    while (c->cids_n > 0) {
        c->cids_n--;
        forget(c->q, (struct slice){c->cids[c->cids_n], CID_LEN});
    }
    if (c->odcid_len > 0) {
        struct slice key = {c->odcid, c->odcid_len};

        if (map_get(&c->q->cids, key) == c) {
            forget(c->q, key);
        }
        c->odcid_len = 0;
    }
}
