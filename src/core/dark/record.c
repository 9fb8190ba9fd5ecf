/*
 * record.c - the dark record: made by the service, checked by storers, opened by clients.
 *
 *   0     4    8    40      48          56       64     76                     12224       12288
 *   magic ver  A'   number  not before  expires  nonce  body, tag               signature by A'
 *              ├── storers see and check this ───────┤  ChaCha20-Poly1305       over all before
 *
 *   body:  kind 1 | number 8 | ML-DSA-65 key 1952 | length 2 | target (target.c) |
 *          ML-DSA-65 signature 3309 | random padding
 *
 * Storers learn A', times blurred to hours and a number that counts for this place only (schedule.c);
 * without the address they can neither compute the key of the body nor link the records of two places.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

#include <string.h>

#define MAGIC "QDDR"

_Static_assert(DARK_HEAD_LEN == 4 + 1 + 3 + 32 + 8 + 8 + 8 + AEAD_NONCE_LEN, "head");
_Static_assert(AEAD_TAG_LEN == 16, "tag");

/* --- head ----------------------------------------------------------------------------------- */

static void head_write(uint8_t out[DARK_HEAD_LEN], const struct dark_head *h)
{
    struct wr w = wr_init(out, DARK_HEAD_LEN);

    wr_bytes(&w, MAGIC, 4);
    wr_u8(&w, DARK_VERSION);
    wr_zero(&w, 3);
    wr_bytes(&w, h->blinded, sizeof h->blinded);
    wr_u64(&w, h->number);
    wr_u64(&w, (uint64_t)h->not_before);
    wr_u64(&w, (uint64_t)h->expires);
    wr_bytes(&w, h->nonce, sizeof h->nonce);
    ASSERT(wr_ok(&w));
    ASSERT(w.len == DARK_HEAD_LEN);
}

qudag_err dark_head_read(struct dark_head *h, struct slice record)
{
    struct rd r = rd_init(record);
    struct slice start = rd_bytes(&r, 8);

    *h = (struct dark_head){.number = 0};
    rd_copy(&r, h->blinded, sizeof h->blinded);
    h->number = rd_u64(&r);
    uint64_t not_before = rd_u64(&r);
    uint64_t expires = rd_u64(&r);
    rd_copy(&r, h->nonce, sizeof h->nonce);
    if (!rd_ok(&r) || record.len != DARK_RECORD_LEN || memcmp(start.base, MAGIC, 4) != 0) {
        return QUDAG_EMALFORMED;
    }
    if (start.base[4] != DARK_VERSION) {
        return QUDAG_EUNSUPPORTED;
    }
    if (!ct_is_zero(start.base + 5, 3) || h->number > DARK_SEQ_MAX || not_before >= expires ||
        expires > INT64_MAX || expires - not_before > DARK_LIFE_MAX) {
        return QUDAG_EMALFORMED;
    }
    h->not_before = (walltime)not_before;
    h->expires = (walltime)expires;
    return QUDAG_OK;
}

/* Subtracts rather than adds: the times are the sender's, up to the largest. */
static qudag_err time_check(const struct dark_head *h, walltime now)
{
    if (now < 0 || h->not_before - now > DARK_SKEW) {
        return QUDAG_ECLOCK; /* from the future: one of two clocks is wrong */
    }
    return now - h->expires >= DARK_SKEW ? QUDAG_EEXPIRED : QUDAG_OK;
}

static qudag_err outer_verify(const struct dark_head *h, struct slice record)
{
    return ed25519_verify(h->blinded, record.base + DARK_SIG_AT,
                          (struct slice){record.base, DARK_SIG_AT});
}

/* --- body ----------------------------------------------------------------------------------- */

size_t dark_body_write(uint8_t *dst, size_t cap, const uint8_t pq_pk[MLDSA65_PK_LEN],
                       const struct dark_target *t, const struct dark_lock *lock)
{
    struct wr w = wr_init(dst, cap);
    bool locked = lock != NULL && t->kind == DARK_HIDDEN;

    wr_u8(&w, (uint8_t)(locked ? DARK_LOCKED : t->kind));
    wr_u64(&w, t->seq);
    wr_bytes(&w, pq_pk, MLDSA65_PK_LEN);
    size_t len_at = wr_reserve(&w, 2);
    if (!locked) {
        dark_target_put(&w, t);
    } else if (dark_locked_put(&w, t, lock) != QUDAG_OK) {
        return 0;
    }
    if (!wr_ok(&w) || w.len > DARK_TARGET_AT + DARK_TARGET_MAX) {
        return 0;
    }
    wr_fill_u16(&w, len_at, (uint16_t)(w.len - DARK_TARGET_AT));
    return w.len;
}

qudag_err dark_body_read(struct dark_body *b, struct dark_target *t, struct slice plain)
{
    struct rd r = rd_init(plain);

    *t = (struct dark_target){.kind = DARK_WITHDRAWN};
    uint8_t kind = rd_u8(&r);
    uint64_t seq = rd_u64(&r);
    b->pq_pk = rd_bytes(&r, MLDSA65_PK_LEN);
    struct slice target = rd_lp16(&r, DARK_TARGET_MAX);
    b->pq_sig = rd_bytes(&r, MLDSA65_SIG_LEN);
    if (!rd_ok(&r) || seq > DARK_SEQ_MAX) {
        return QUDAG_EMALFORMED;
    }
    b->signed_part = (struct slice){plain.base, DARK_TARGET_AT + target.len};
    b->locked = target;
    qudag_err err = QUDAG_ENEEDAUTH;
    if (kind != DARK_LOCKED) {
        err = dark_target_get(t, kind, target);
    } else if (target.len != DARK_LOCKED_LEN) {
        err = QUDAG_EMALFORMED;
    }
    t->seq = seq;
    return err;
}

size_t dark_pq_message(uint8_t out[DARK_PQ_MSG_MAX], const uint8_t material[DARK_MATERIAL_LEN],
                       const uint8_t head[DARK_HEAD_LEN], struct slice signed_part)
{
    struct wr w = wr_init(out, DARK_PQ_MSG_MAX);

    wr_bytes(&w, material, DARK_MATERIAL_LEN);
    wr_bytes(&w, head, DARK_HEAD_LEN);
    wr_slice(&w, signed_part);
    return wr_done(&w).len;
}

static struct slice pq_context(void)
{
    return (struct slice){(const uint8_t *)DARK_PQ_CONTEXT, sizeof DARK_PQ_CONTEXT - 1};
}

static void place_param(uint8_t out[32], const uint8_t material[DARK_MATERIAL_LEN])
{
    blake3_derive(out, 32, "qudag dark blinding v1", (struct slice){material, DARK_MATERIAL_LEN});
}

static void body_key(uint8_t out[AEAD_KEY_LEN], const uint8_t material[DARK_MATERIAL_LEN])
{
    blake3_derive(out, AEAD_KEY_LEN, "qudag dark record body v1",
                  (struct slice){material, DARK_MATERIAL_LEN});
}

/* --- making --------------------------------------------------------------------------------- */

/* Writes, signs and pads the plain body at |plain|; |head| is final. */
static qudag_err body_make(uint8_t plain[DARK_PLAIN_LEN], const struct dark_keys *k,
                           const struct dark_target *t, const uint8_t *head,
                           const uint8_t *material, const struct rng *rng)
{
    uint8_t msg[DARK_PQ_MSG_MAX];
    const struct dark_lock lock = {&k->clients, rng};
    size_t len =
        dark_body_write(plain, DARK_PLAIN_LEN, k->pq_pk, t, k->clients.only ? &lock : NULL);

    if (len == 0) {
        return QUDAG_ETOOBIG;
    }
    size_t msg_len = dark_pq_message(msg, material, head, (struct slice){plain, len});
    ASSERT(msg_len > 0);
    qudag_err err =
        mldsa65_sign(plain + len, k->pq_sk, pq_context(), (struct slice){msg, msg_len}, rng);
    len += MLDSA65_SIG_LEN;
    rng_fill(rng, plain + len, DARK_PLAIN_LEN - len);
    wipe(msg, sizeof msg);
    return err;
}

qudag_err dark_record_make(uint8_t out[DARK_RECORD_LEN], const struct dark_keys *k,
                           const struct dark_target *t, const struct rng *rng)
{
    uint8_t material[DARK_MATERIAL_LEN], param[32], key[AEAD_KEY_LEN], z[ED25519_NOISE_LEN];
    struct secret_ed25519_blinded sk = {.scalar = {0}};
    struct dark_head h = {.number = t->number, .not_before = t->not_before, .expires = t->expires};

    memset(out, 0, DARK_RECORD_LEN);
    if (t->seq > DARK_SEQ_MAX || t->number > DARK_SEQ_MAX || t->at.replica >= DARK_REPLICAS ||
        t->not_before < 0 || t->expires <= t->not_before ||
        t->expires - t->not_before > DARK_LIFE_MAX || !dark_target_sound(t)) {
        return QUDAG_EINVAL;
    }
    rng_fill(rng, h.nonce, sizeof h.nonce);
    dark_material(material, &k->addr, &t->at);
    place_param(param, material);
    body_key(key, material);
    qudag_err err = ed25519_blind_public(h.blinded, k->addr.ed_pk, param);
    if (err == QUDAG_OK) {
        err = ed25519_blind_secret(&sk, &k->ed_sk, param);
    }
    if (err == QUDAG_OK) {
        head_write(out, &h);
        err = body_make(out + DARK_HEAD_LEN, k, t, out, material, rng);
    }
    if (err == QUDAG_OK) {
        err = aead_seal(out + DARK_HEAD_LEN, key, h.nonce, (struct slice){out, DARK_HEAD_LEN},
                        (struct slice){out + DARK_HEAD_LEN, DARK_PLAIN_LEN});
    }
    rng_fill(rng, z, sizeof z);
    if (err == QUDAG_OK) {
        err = ed25519_sign_blinded(out + DARK_SIG_AT, &sk, h.blinded,
                                   (struct slice){out, DARK_SIG_AT}, z);
    }
    if (err != QUDAG_OK) {
        wipe(out, DARK_RECORD_LEN);
    }
    wipe(&sk, sizeof sk);
    wipe(z, sizeof z);
    wipe(param, sizeof param);
    wipe(key, sizeof key);
    wipe(material, sizeof material);
    return err;
}

/* --- storers -------------------------------------------------------------------------------- */

qudag_err dark_record_check(struct slice key, struct slice record, walltime now, uint64_t *number,
                            walltime *expires)
{
    struct dark_head h;
    uint8_t index[32];
    struct slice named;

    if (!dht_key_under(key, DHT_DARK_PREFIX, &named) || named.len != sizeof index) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = dark_head_read(&h, record);
    if (err != QUDAG_OK) {
        return err;
    }
    blake3_derive(index, sizeof index, "qudag dark index v1",
                  (struct slice){h.blinded, sizeof h.blinded});
    if (memcmp(index, named.base, sizeof index) != 0) {
        return QUDAG_EAUTH;
    }
    err = time_check(&h, now);
    if (err == QUDAG_OK && outer_verify(&h, record) != QUDAG_OK) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK) {
        *number = h.number;
        *expires = h.expires;
    }
    return err;
}

/* --- clients -------------------------------------------------------------------------------- */

static bool period_is_live(uint64_t period, walltime now)
{
    for (int i = -1; i <= 1; i++) {
        uint64_t live[2];
        dark_live(live, now + i * DARK_SKEW);
        if (period == live[0] || period == live[1]) {
            return true;
        }
    }
    return false;
}

/*
 * Which place of |a| the key A' belongs to.  QUDAG_EAUTH: none near, so another address; EEXPIRED: one of
 * a period that is over or to come.
 */
static qudag_err place_find(uint8_t material[DARK_MATERIAL_LEN], struct dark_place *at,
                            const struct dark_addr *a, const uint8_t blinded[32], walltime now)
{
    static const int8_t order[] = {0, -1, 1, -2, 2};
    uint64_t p = dark_period(now);
    uint8_t param[32], ours[32];

    for (size_t i = 0; i < ARRAY_LEN(order) * DARK_REPLICAS; i++) {
        int8_t off = order[i / DARK_REPLICAS];
        if (off < 0 && p < (uint64_t)-off) {
            continue;
        }
        at->period = off < 0 ? p - (uint64_t)-off : p + (uint64_t)off;
        at->replica = (uint8_t)(i % DARK_REPLICAS);
        dark_material(material, a, at);
        place_param(param, material);
        qudag_err err = ed25519_blind_public(ours, a->ed_pk, param);
        if (err != QUDAG_OK) {
            return err;
        }
        if (memcmp(ours, blinded, sizeof ours) == 0) {
            return period_is_live(at->period, now) ? QUDAG_OK : QUDAG_EEXPIRED;
        }
    }
    return QUDAG_EAUTH;
}

/* Commitment and signature of the decrypted body; |msg|: what the signature covers. */
static qudag_err body_verify(const struct dark_body *b, const struct dark_addr *a, struct slice msg)
{
    uint8_t commit[32];

    dark_commitment(commit, b->pq_pk.base);
    if (!ct_equal(commit, a->commit, sizeof commit)) {
        return QUDAG_EAUTH;
    }
    qudag_err err = mldsa65_verify(b->pq_pk.base, b->pq_sig.base, pq_context(), msg);
    return err == QUDAG_OK ? QUDAG_OK : QUDAG_EAUTH;
}

/*
 * The body, once the head was found to be of |a| and the period in |material|.  It is decrypted where the bytes that
 * the ML-DSA key signs stand before it: material and head.
 */
static qudag_err body_open(struct dark_target *t, const struct dark_addr *a, const uint8_t *secret,
                           const uint8_t *material, const struct dark_head *h, struct slice record)
{
    uint8_t key[AEAD_KEY_LEN], msg[DARK_MATERIAL_LEN + DARK_HEAD_LEN + DARK_PLAIN_LEN];
    uint8_t *plain = msg + DARK_MATERIAL_LEN + DARK_HEAD_LEN;
    struct dark_body b;

    memcpy(msg, material, DARK_MATERIAL_LEN);
    memcpy(msg + DARK_MATERIAL_LEN, record.base, DARK_HEAD_LEN);
    body_key(key, material);
    qudag_err err =
        aead_open(plain, key, h->nonce, (struct slice){record.base, DARK_HEAD_LEN},
                  (struct slice){record.base + DARK_HEAD_LEN, DARK_PLAIN_LEN + AEAD_TAG_LEN});
    if (err == QUDAG_OK) {
        err = dark_body_read(&b, t, (struct slice){plain, DARK_PLAIN_LEN});
    }
    bool locked = err == QUDAG_ENEEDAUTH;
    if (err == QUDAG_OK || locked) {
        err = body_verify(
            &b, a, (struct slice){msg, DARK_MATERIAL_LEN + DARK_HEAD_LEN + b.signed_part.len});
    }
    if (err == QUDAG_OK && locked) {
        uint64_t seq = t->seq;
        err = secret == NULL ? QUDAG_ENEEDAUTH : dark_unlock(t, b.locked, secret);
        t->seq = seq;
    }
    wipe(msg, sizeof msg);
    wipe(key, sizeof key);
    return err;
}

qudag_err dark_record_open(struct dark_target *t, const struct dark_addr *a, const uint8_t *secret,
                           struct slice record, walltime now)
{
    uint8_t material[DARK_MATERIAL_LEN];
    struct dark_head h;
    struct dark_place at = {.period = 0};

    *t = (struct dark_target){.kind = DARK_WITHDRAWN};
    qudag_err err = dark_head_read(&h, record);
    if (err == QUDAG_OK) {
        err = place_find(material, &at, a, h.blinded, now);
    }
    if (err == QUDAG_OK) {
        err = time_check(&h, now);
    }
    if (err == QUDAG_OK && outer_verify(&h, record) != QUDAG_OK) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK) {
        err = body_open(t, a, secret, material, &h, record);
    }
    if (err == QUDAG_OK || err == QUDAG_ENEEDAUTH) {
        t->at = at;
        t->number = h.number;
        t->not_before = h.not_before;
        t->expires = h.expires;
    } else {
        *t = (struct dark_target){.kind = DARK_WITHDRAWN};
    }
    wipe(material, sizeof material);
    return err;
}
