/*
 * rend_handshake.c - the handshake of kind 4: what it adds to the steps of all kinds (onion_handshake_int.h).
 *
 *   handshake  {label, address, intro key, key_id, B_x, B_k, X, ct_s}      = th1
 *              {sealed, cookie, peer id of R, pq_hash of R}
 *   CREATED    {Y, ct_e}                                                   = th2
 */
#include "wire/rend_handshake.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "wire/onion_handshake_int.h"
#include "wire/relay_desc.h"

#include <string.h>

#define KEY_ID_LEN 8
#define EXT_MUST_BE_KNOWN 128 /* types from here on */

_Static_assert(KEY_ID_LEN + ONION_HS_FIRST_LEN(REND_HS_TAIL_LEN) == REND_HS_LEN, "handshake");
_Static_assert(ONION_HS_CREATED_MIN == REND_CREATED_LEN, "CREATED");
_Static_assert(REND_COOKIE_LEN + 1 + PEER_ID_MAX + 32 + X25519_LEN + MLKEM768_EK_LEN +
                       REND_HS_EXT_MAX ==
                   REND_HS_TAIL_LEN,
               "extensions fit beside any R");
_Static_assert(REND_HS_EXT_ROOM == REND_HS_EXT_MAX + PEER_ID_MAX, "and those of others here");

static const char L_RENDEZVOUS[] = "qudag onion v1 rendezvous";

static struct slice bytes(const void *p, size_t len)
{
    return (struct slice){p, len};
}

/* --- keys of a service ------------------------------------------------------------------------- */

qudag_err rend_keys_load(struct rend_keys *k)
{
    k->dk = NULL;
    qudag_err err = x25519_public(k->x, &k->x_sk);
    if (err == QUDAG_OK) {
        err = mlkem768_load(&k->dk, k->k, &k->k_seed);
    }
    if (err == QUDAG_OK) {
        onion_key_id(k->key_id, k->x, k->k);
    } else {
        rend_keys_fini(k);
    }
    return err;
}

qudag_err rend_keys_make(struct rend_keys *k, const struct rng *rng)
{
    rng_fill(rng, k->x_sk.b, sizeof k->x_sk.b);
    rng_fill(rng, k->k_seed.seed, sizeof k->k_seed.seed);
    return rend_keys_load(k);
}

void rend_keys_fini(struct rend_keys *k)
{
    mlkem768_free(k->dk);
    wipe(k, sizeof *k);
}

/* --- what is sealed ---------------------------------------------------------------------------- */

/* Takes extensions up to a type of 0 or the end of |r|; false: one is cut, or must be known. */
static bool take_extensions(struct rd *r, struct slice *list)
{
    const uint8_t *from = r->p;

    while (r->left > 0 && *r->p != 0) {
        uint8_t type = rd_u8(r);
        (void)rd_bytes(r, rd_u16(r));
        if (!rd_ok(r) || type >= EXT_MUST_BE_KNOWN) {
            return false;
        }
    }
    *list = bytes(from, (size_t)(r->p - from));
    return true;
}

bool rend_ext_find(struct slice list, uint8_t type, struct slice *found)
{
    struct rd r = rd_init(list);

    while (rd_ok(&r) && r.left > 0) {
        uint8_t is = rd_u8(&r);
        struct slice value = rd_bytes(&r, rd_u16(&r));
        if (rd_ok(&r) && is == type) {
            *found = value;
            return true;
        }
    }
    return false;
}

void rend_hs_tail_put(uint8_t tail[REND_HS_TAIL_LEN], const struct rend_point *at, struct slice ext)
{
    struct wr w = wr_init(tail, REND_HS_TAIL_LEN);

    ASSERT(ext.len <= REND_HS_EXT_MAX);
    wr_bytes(&w, at->cookie, sizeof at->cookie);
    wr_u8(&w, at->relay.peer.len);
    wr_slice(&w, peer_id_slice(&at->relay.peer));
    wr_bytes(&w, at->relay.pq_hash, sizeof at->relay.pq_hash);
    wr_bytes(&w, at->relay.x, sizeof at->relay.x);
    wr_bytes(&w, at->relay.k, sizeof at->relay.k);
    wr_slice(&w, ext);
    wr_zero(&w, REND_HS_TAIL_LEN - w.len);
    ASSERT(wr_ok(&w));
}

qudag_err rend_hs_tail_get(const uint8_t tail[REND_HS_TAIL_LEN], struct rend_point *at,
                           struct slice *ext)
{
    struct rd r = rd_init(bytes(tail, REND_HS_TAIL_LEN));

    *at = (struct rend_point){.relay = {.n_addrs = 0}};
    rd_copy(&r, at->cookie, sizeof at->cookie);
    qudag_err err = peer_id_from_bytes(&at->relay.peer, rd_bytes(&r, rd_u8(&r)));
    rd_copy(&r, at->relay.pq_hash, sizeof at->relay.pq_hash);
    rd_copy(&r, at->relay.x, sizeof at->relay.x);
    rd_copy(&r, at->relay.k, sizeof at->relay.k);
    if (err != QUDAG_OK || !rd_ok(&r) || mlkem768_check(at->relay.k) != QUDAG_OK) {
        return QUDAG_EAUTH;
    }
    if (!take_extensions(&r, ext)) {
        return QUDAG_EAUTH;
    }
    struct slice rest = rd_rest(&r);
    if (!ct_is_zero(rest.base, rest.len)) {
        return QUDAG_EAUTH;
    }
    onion_key_id(at->relay.key_id, at->relay.x, at->relay.k);
    return QUDAG_OK;
}

/* --- the transcript ---------------------------------------------------------------------------- */

/* Whom the caller means, as both sides have it. */
struct meant {
    const uint8_t *addr, *intro_key, *key_id, *x, *k;
};

static void begin_transcript(struct transcript *t, const struct meant *m)
{
    transcript_init(t, L_RENDEZVOUS);
    transcript_add(t, bytes(m->addr, REND_ADDR_LEN));
    transcript_add(t, bytes(m->intro_key, ED25519_PK_LEN));
    transcript_add(t, bytes(m->key_id, KEY_ID_LEN));
    transcript_add(t, bytes(m->x, X25519_LEN));
    transcript_add(t, bytes(m->k, MLKEM768_EK_LEN));
}

/* So an answer is one for this cookie at this relay (R-12). */
static void bind_point(struct transcript *t, const struct rend_point *at)
{
    transcript_add(t, bytes(at->cookie, sizeof at->cookie));
    transcript_add(t, peer_id_slice(&at->relay.peer));
    transcript_add(t, bytes(at->relay.pq_hash, sizeof at->relay.pq_hash));
}

/* --- caller ------------------------------------------------------------------------------------ */

qudag_err rend_hs_draw(struct rend_hs_caller *h, const struct rng *rng)
{
    *h = (struct rend_hs_caller){.hs = {.dk = NULL}};
    qudag_err err = x25519_keypair(&h->hs.x, h->X, rng); /* x, X */
    if (err != QUDAG_OK) {
        rend_hs_drop(h);
    }
    return err;
}

qudag_err rend_hs_seal(struct rend_hs_caller *h, const struct rend_target *to,
                       const struct rend_point *at, struct slice ext, const struct rng *rng,
                       uint8_t handshake[REND_HS_LEN])
{
    const struct onion_hs_peer keys = {to->x, to->k};
    uint8_t tail[REND_HS_TAIL_LEN];

    onion_key_id(handshake, to->x, to->k);
    memcpy(handshake + KEY_ID_LEN, h->X, sizeof h->X);
    begin_transcript(&h->hs.tr, &(struct meant){to->addr, to->intro_key, handshake, to->x, to->k});
    rend_hs_tail_put(tail, at, ext);
    qudag_err err =
        onion_hs_first(&h->hs, &keys, bytes(tail, sizeof tail), rng, handshake + KEY_ID_LEN);
    if (err == QUDAG_OK) {
        bind_point(&h->hs.tr, at);
    } else {
        rend_hs_drop(h);
    }
    wipe(tail, sizeof tail);
    return onion_hs_signal(err);
}

qudag_err rend_hs_create(struct rend_hs_caller *h, const struct rend_target *to,
                         const struct rend_point *at, struct slice ext, const struct rng *rng,
                         uint8_t handshake[REND_HS_LEN])
{
    qudag_err err = rend_hs_draw(h, rng);

    return err == QUDAG_OK ? rend_hs_seal(h, to, at, ext, rng, handshake) : err;
}

qudag_err rend_hs_finish(struct rend_hs_caller *h, const uint8_t created[REND_CREATED_LEN],
                         struct onion_hs_keys *keys)
{
    uint8_t nothing[1];

    if (h->hs.dk == NULL) { /* finished, or dropped */
        wipe(keys, sizeof *keys);
        return QUDAG_EAUTH;
    }
    qudag_err err = onion_hs_try(&h->hs, bytes(created, REND_CREATED_LEN), keys, nothing);
    if (err == QUDAG_OK) {
        rend_hs_drop(h);
    }
    return onion_hs_signal(err);
}

void rend_hs_drop(struct rend_hs_caller *h)
{
    onion_hs_client_drop(&h->hs);
    wipe(h->X, sizeof h->X);
}

/* --- service ----------------------------------------------------------------------------------- */

qudag_err rend_hs_open(struct rend_hs_asked *a, const struct rend_hs_own *own,
                       const uint8_t handshake[REND_HS_LEN])
{
    const struct rend_keys *k = own->keys;
    const struct onion_hs_own secrets = {&k->x_sk, k->dk};
    uint8_t plain[MLKEM768_EK_LEN + REND_HS_TAIL_LEN];
    struct slice ext = {NULL, 0};

    memset(a, 0, sizeof *a);
    if (!ct_equal(rend_hs_key_id(handshake), k->key_id, KEY_ID_LEN)) {
        return QUDAG_EAUTH;
    }
    begin_transcript(&a->hs.tr, &(struct meant){own->addr, own->intro_key, k->key_id, k->x, k->k});
    qudag_err err = onion_hs_open(&a->hs, &secrets,
                                  bytes(handshake + KEY_ID_LEN, REND_HS_LEN - KEY_ID_LEN), plain);
    if (err == QUDAG_OK) {
        err = rend_hs_tail_get(plain + MLKEM768_EK_LEN, &a->at, &ext);
    }
    if (err == QUDAG_OK) {
        err = mlkem768_check(plain); /* before a circuit is built for it */
    }
    if (err == QUDAG_OK) {
        bind_point(&a->hs.tr, &a->at);
        memcpy(a->ek_e, plain, sizeof a->ek_e);
        a->ext_len = ext.len;
        if (ext.len > 0) {
            memcpy(a->ext, ext.base, ext.len);
        }
    } else {
        rend_hs_asked_drop(a);
    }
    wipe(plain, sizeof plain);
    return onion_hs_signal(err);
}

qudag_err rend_hs_answer(struct rend_hs_asked *a, const struct rng *rng,
                         uint8_t created[REND_CREATED_LEN], struct onion_hs_keys *keys)
{
    qudag_err err = onion_hs_answer(&a->hs, a->ek_e, rng, created, keys);

    rend_hs_asked_drop(a);
    return onion_hs_signal(err);
}

void rend_hs_asked_drop(struct rend_hs_asked *a)
{
    wipe(a, sizeof *a);
}
