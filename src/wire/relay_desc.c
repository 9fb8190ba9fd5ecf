/*
 * relay_desc.c - signed relay descriptors; the layout is spec/relay-descriptor.md, section 2.
 *
 *   magic version | ed_pk seq not_before expires flags family onion_x onion_k pq_pk addrs
 *   `------------------------ signed by Ed25519 -----------------------------------------' ed_sig
 *   `------------------------ signed by ML-DSA-65 ------------------------------------------------' pq_sig
 *
 * Every field has one encoding, so a descriptor has one too.
 */
#include "wire/relay_desc.h"

#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/hash.h"

#include <string.h>

#define VERSION 1
#define FAMILY_LEN 32

static const uint8_t magic[4] = {'Q', 'D', 'R', 'D'};
static const char sign_label[] = "qudag relay descriptor v1";
static const char key_id_label[] = "qudag onion key id v1";

/* The longest encoding: every count and length at its limit. */
_Static_assert(sizeof(magic) + 1 + (2 + ED25519_PK_LEN) + 3 * 8 + 2 + (2 + FAMILY_LEN) +
                       (2 + X25519_LEN) + (2 + MLKEM768_EK_LEN) + (2 + MLDSA65_PK_LEN) + 1 +
                       RELAY_DESC_ADDRS_MAX * (2 + MULTIADDR_MAX) + (2 + ED25519_SIG_LEN) +
                       (2 + MLDSA65_SIG_LEN) <=
                   RELAY_DESC_MAX,
               "a descriptor fits into a DHT record");

void onion_key_id(uint8_t out[8], const uint8_t x[X25519_LEN], const uint8_t k[MLKEM768_EK_LEN])
{
    uint8_t both[X25519_LEN + MLKEM768_EK_LEN];

    memcpy(both, x, X25519_LEN);
    memcpy(both + X25519_LEN, k, MLKEM768_EK_LEN);
    blake3_derive(out, 8, key_id_label, (struct slice){both, sizeof(both)});
}

/* What Ed25519 signs, which has no context string of its own. */
static void ed_digest(uint8_t out[BLAKE3_LEN], struct slice body)
{
    blake3_derive(out, BLAKE3_LEN, sign_label, body);
}

static struct slice mldsa_ctx(void)
{
    return (struct slice){(const uint8_t *)sign_label, sizeof(sign_label) - 1};
}

/* ------------------------------------------------------------------ shared checks */

static bool times_are_good(walltime from, walltime to)
{
    return from >= 0 && to > from && to - from <= RELAY_DESC_LIFE_MAX;
}

/* SPEC: relay-descriptor 2.9, a /p2p component names this relay or is not there. */
static bool addr_is_good(const struct multiaddr *a, const struct peer_id *peer)
{
    struct peer_id named;

    return a->len > 0 && (!multiaddr_peer(a, &named) || peer_id_eq(&named, peer));
}

static bool desc_is_good(const struct relay_desc *d)
{
    if (d->n_addrs == 0 || d->n_addrs > RELAY_DESC_ADDRS_MAX ||
        !times_are_good(d->not_before, d->expires)) {
        return false;
    }
    for (size_t i = 0; i < d->n_addrs; i++) {
        if (!addr_is_good(&d->addr[i], &d->peer)) {
            return false;
        }
    }
    return true;
}

/* From the future is not the same as too old: the former means that one of two clocks is wrong. */
static qudag_err time_check(const struct relay_desc *d, walltime now)
{
    if (d->not_before - RELAY_DESC_SKEW > now) {
        return QUDAG_ECLOCK;
    }
    return now < d->expires + RELAY_DESC_SKEW ? QUDAG_OK : QUDAG_EEXPIRED;
}

/* ------------------------------------------------------------------ encoding */

static void body_write(struct wr *w, const struct relay_desc *d, const uint8_t ed_pk[32])
{
    bool has_family = !ct_is_zero(d->family, FAMILY_LEN);

    wr_bytes(w, magic, sizeof(magic));
    wr_u8(w, VERSION);
    wr_lp16(w, (struct slice){ed_pk, ED25519_PK_LEN});
    wr_u64(w, d->seq);
    wr_u64(w, (uint64_t)d->not_before);
    wr_u64(w, (uint64_t)d->expires);
    wr_u16(w, d->flags);
    wr_lp16(w, (struct slice){d->family, has_family ? (size_t)FAMILY_LEN : 0});
    wr_lp16(w, (struct slice){d->onion_x, X25519_LEN});
    wr_lp16(w, (struct slice){d->onion_k, MLKEM768_EK_LEN});
    wr_lp16(w, (struct slice){d->pq_pk, MLDSA65_PK_LEN});
    wr_u8(w, d->n_addrs);
    for (size_t i = 0; i < d->n_addrs; i++) {
        wr_lp16(w, multiaddr_slice(&d->addr[i]));
    }
}

static qudag_err sign_both(struct wr *w, const struct identity *id, const struct rng *rng)
{
    uint8_t ed_sig[ED25519_SIG_LEN], pq_sig[MLDSA65_SIG_LEN], digest[BLAKE3_LEN];

    ed_digest(digest, wr_done(w));
    qudag_err err = ed25519_sign(ed_sig, &id->ed_sk, (struct slice){digest, sizeof(digest)});
    if (err != QUDAG_OK) {
        return err;
    }
    wr_lp16(w, (struct slice){ed_sig, sizeof(ed_sig)});
    if (!wr_ok(w)) {
        return QUDAG_ETOOBIG;
    }
    err = mldsa65_sign(pq_sig, id->pq_sk, mldsa_ctx(), wr_done(w), rng);
    if (err != QUDAG_OK) {
        return err;
    }
    wr_lp16(w, (struct slice){pq_sig, sizeof(pq_sig)});
    return wr_ok(w) ? QUDAG_OK : QUDAG_ETOOBIG;
}

qudag_err relay_desc_encode(uint8_t *dst, size_t cap, size_t *len, const struct relay_desc *d,
                            const struct identity *id, const struct rng *rng)
{
    struct relay_desc own = *d;

    peer_id_from_ed25519(&own.peer, id->ed_pk);
    memcpy(own.pq_pk, id->pq_pk, sizeof(own.pq_pk));
    if (!desc_is_good(&own)) {
        return QUDAG_EINVAL;
    }
    struct wr w = wr_init(dst, cap);
    body_write(&w, &own, id->ed_pk);
    if (!wr_ok(&w)) {
        return QUDAG_ETOOBIG;
    }
    qudag_err err = sign_both(&w, id, rng);
    if (err != QUDAG_OK) {
        return err;
    }
    *len = w.len;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ decoding */

struct signatures {
    struct slice ed_body, ed_sig, pq_body, pq_sig;
};

/* A length-prefixed field of exactly |len| bytes. */
static void rd_field(struct rd *r, void *dst, size_t len)
{
    struct slice s = rd_lp16(r, len);

    if (s.len == len) {
        memcpy(dst, s.base, len);
    } else {
        r->err = true;
    }
}

static void head_read(struct rd *r, struct relay_desc *d)
{
    uint8_t ed_pk[ED25519_PK_LEN] = {0};
    uint8_t m[sizeof(magic)];

    rd_copy(r, m, sizeof(m));
    if (memcmp(m, magic, sizeof(magic)) != 0 || rd_u8(r) != VERSION) {
        r->err = true;
    }
    rd_field(r, ed_pk, sizeof(ed_pk));
    peer_id_from_ed25519(&d->peer, ed_pk);
    d->seq = rd_u64(r);
}

static void family_read(struct rd *r, struct relay_desc *d)
{
    struct slice s = rd_lp16(r, FAMILY_LEN);

    if (s.len == 0) {
        return;
    }
    /* Zero stands for no family, and that is written as an empty field. */
    if (s.len != FAMILY_LEN || ct_is_zero(s.base, FAMILY_LEN)) {
        r->err = true;
        return;
    }
    memcpy(d->family, s.base, FAMILY_LEN);
}

static void addrs_read(struct rd *r, struct relay_desc *d)
{
    size_t n = rd_u8(r);

    if (n > RELAY_DESC_ADDRS_MAX) {
        r->err = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (multiaddr_from_bytes(&d->addr[i], rd_lp16(r, MULTIADDR_MAX)) != QUDAG_OK) {
            r->err = true;
            return;
        }
        d->n_addrs++;
    }
}

/* What of |in| has been read. */
static struct slice rd_before(const struct rd *r, struct slice in)
{
    return (struct slice){in.base, in.len - r->left};
}

static qudag_err desc_read(struct relay_desc *d, struct signatures *sig, struct slice in)
{
    struct rd r = rd_init(in);

    head_read(&r, d);
    uint64_t from = rd_u64(&r), to = rd_u64(&r);
    d->flags = rd_u16(&r);
    family_read(&r, d);
    rd_field(&r, d->onion_x, sizeof(d->onion_x));
    rd_field(&r, d->onion_k, sizeof(d->onion_k));
    rd_field(&r, d->pq_pk, sizeof(d->pq_pk));
    addrs_read(&r, d);
    sig->ed_body = rd_before(&r, in);
    sig->ed_sig = rd_lp16(&r, ED25519_SIG_LEN);
    sig->pq_body = rd_before(&r, in);
    sig->pq_sig = rd_lp16(&r, MLDSA65_SIG_LEN);
    if (!rd_done(&r) || sig->ed_sig.len != ED25519_SIG_LEN || sig->pq_sig.len != MLDSA65_SIG_LEN ||
        from > INT64_MAX / 2 || to > INT64_MAX / 2) {
        return QUDAG_EMALFORMED;
    }
    d->not_before = (walltime)from;
    d->expires = (walltime)to;
    return desc_is_good(d) ? QUDAG_OK : QUDAG_EMALFORMED;
}

static qudag_err signatures_check(const struct relay_desc *d, const struct signatures *sig)
{
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    uint8_t digest[BLAKE3_LEN], ed_pk[ED25519_PK_LEN];

    ed_digest(digest, sig->ed_body);
    if (!peer_id_ed25519(&d->peer, ed_pk) ||
        ed25519_verify(ed_pk, sig->ed_sig.base, (struct slice){digest, sizeof(digest)}) !=
            QUDAG_OK ||
        mldsa65_verify(d->pq_pk, sig->pq_sig.base, mldsa_ctx(), sig->pq_body) != QUDAG_OK) {
        return QUDAG_EAUTH;
    }
#else
    (void)d;
    (void)sig;
#endif
    return QUDAG_OK;
}

qudag_err relay_desc_decode(struct relay_desc *d, struct slice in, walltime now)
{
    struct signatures sig;

    *d = (struct relay_desc){0};
    qudag_err err = desc_read(d, &sig, in);
    if (err == QUDAG_OK) {
        err = time_check(d, now);
    }
    if (err == QUDAG_OK || err == QUDAG_ECLOCK) { /* a forged one says nothing about clocks */
        qudag_err sig_err = signatures_check(d, &sig);
        err = sig_err != QUDAG_OK ? sig_err : err;
    }
    if (err != QUDAG_OK) {
        *d = (struct relay_desc){0};
        return err;
    }
    identity_pq_hash(d->pq_hash, d->pq_pk);
    onion_key_id(d->key_id, d->onion_x, d->onion_k);
    return QUDAG_OK;
}

qudag_err relay_desc_peek(struct slice in, struct peer_id *peer, uint64_t *seq)
{
    struct rd r = rd_init(in);
    struct relay_desc d;

    head_read(&r, &d);
    if (!rd_ok(&r) || in.len > RELAY_DESC_MAX) {
        return QUDAG_EMALFORMED;
    }
    *peer = d.peer;
    *seq = d.seq;
    return QUDAG_OK;
}
