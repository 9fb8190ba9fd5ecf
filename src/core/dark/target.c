/*
 * target.c - what a record leads to, as bytes inside its body (spec/dark.md 3).
 *
 *   direct:  peer id | statement | X | K
 *   hidden:  X | K | flags | [seed | effort | expires] | n | n times { peer id | pq_hash | X | K | introduction key }
 *
 * Nothing is looked up to reach a hidden service: all keys a caller needs are here.  That a key is one, and not
 * any bytes, shows where it is used.
 */
#include "base/rd.h"
#include "base/wr.h"
#include "core/dark/dark_impl.h"
#include "wire/onion_ends.h"
#include "wire/relay_desc.h"

#include <string.h>

#define FLAG_POW 2 /* proof of work is asked for; no other is known */
#define DIRECT_MAX (1 + PEER_ID_MAX + 2 + ONION_ENDS_MAX + X25519_LEN + MLKEM768_EK_LEN)

_Static_assert(DIRECT_MAX <= DARK_TARGET_MAX, "the longest peer id and statement fit");
_Static_assert(DARK_HIDDEN_MAX <= DARK_TARGET_MAX, "three introduction points fit");

static bool hidden_sound(const struct dark_hidden *h)
{
    if (h->n_intros < 1 || h->n_intros > DARK_INTROS_MAX || h->pow.expires < 0) {
        return false;
    }
    for (size_t i = 0; i < h->n_intros; i++) {
        if (h->intro[i].relay.len == 0) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (peer_id_eq(&h->intro[i].relay, &h->intro[j].relay) ||
                memcmp(h->intro[i].key, h->intro[j].key, sizeof h->intro[i].key) == 0) {
                return false;
            }
        }
    }
    return true;
}

bool dark_target_sound(const struct dark_target *t)
{
    switch (t->kind) {
    case DARK_WITHDRAWN:
        return true;
    case DARK_DIRECT:
        return t->hop.peer.len > 0 && t->hop.n_addrs <= ONION_ADDRS_MAX;
    case DARK_HIDDEN:
        return hidden_sound(&t->hidden);
    default:
        return false;
    }
}

/* --- writing -------------------------------------------------------------------------------- */

static void direct_put(struct wr *w, const struct onion_hop *hop)
{
    struct onion_hop fits = *hop;

    onion_ends_fit(&fits); /* of a signed statement all do */
    wr_u8(w, hop->peer.len);
    wr_slice(w, peer_id_slice(&hop->peer));
    size_t len_at = wr_reserve(w, 2), from = w->len;
    onion_ends_put(w, &fits);
    wr_fill_u16(w, len_at, (uint16_t)(w->len - from));
    wr_bytes(w, hop->x, X25519_LEN);
    wr_bytes(w, hop->k, MLKEM768_EK_LEN);
}

static void hidden_put(struct wr *w, const struct dark_hidden *h)
{
    wr_bytes(w, h->x, X25519_LEN);
    wr_bytes(w, h->k, MLKEM768_EK_LEN);
    wr_u8(w, h->pow.effort != 0 ? FLAG_POW : 0);
    if (h->pow.effort != 0) {
        wr_bytes(w, h->pow.seed, sizeof h->pow.seed);
        wr_u32(w, h->pow.effort);
        wr_u64(w, (uint64_t)h->pow.expires);
    }
    wr_u8(w, h->n_intros);
    for (size_t i = 0; i < h->n_intros; i++) {
        const struct dark_intro *p = &h->intro[i];
        wr_u8(w, p->relay.len);
        wr_slice(w, peer_id_slice(&p->relay));
        wr_bytes(w, p->pq_hash, sizeof p->pq_hash);
        wr_bytes(w, p->x, X25519_LEN);
        wr_bytes(w, p->k, MLKEM768_EK_LEN);
        wr_bytes(w, p->key, sizeof p->key);
    }
}

void dark_target_put(struct wr *w, const struct dark_target *t)
{
    if (t->kind == DARK_DIRECT) {
        direct_put(w, &t->hop);
    } else if (t->kind == DARK_HIDDEN) {
        hidden_put(w, &t->hidden);
    }
}

/* --- reading -------------------------------------------------------------------------------- */

static qudag_err direct_get(struct onion_hop *hop, struct rd *r)
{
    struct slice peer = rd_bytes(r, rd_u8(r));
    struct slice statement = rd_lp16(r, ONION_ENDS_MAX);

    if (!rd_ok(r) || peer_id_from_bytes(&hop->peer, peer) != QUDAG_OK ||
        onion_ends_get(hop, statement) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    rd_copy(r, hop->x, X25519_LEN);
    rd_copy(r, hop->k, MLKEM768_EK_LEN);
    onion_key_id(hop->key_id, hop->x, hop->k);
    hop->service = true;
    return QUDAG_OK;
}

static qudag_err pow_get(struct dark_pow *pow, struct rd *r)
{
    rd_copy(r, pow->seed, sizeof pow->seed);
    pow->effort = rd_u32(r);
    uint64_t expires = rd_u64(r);
    if (pow->effort == 0 || expires > INT64_MAX) {
        return QUDAG_EMALFORMED;
    }
    pow->expires = (walltime)expires;
    return QUDAG_OK;
}

static qudag_err intro_get(struct dark_intro *p, struct rd *r)
{
    if (peer_id_from_bytes(&p->relay, rd_bytes(r, rd_u8(r))) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    rd_copy(r, p->pq_hash, sizeof p->pq_hash);
    rd_copy(r, p->x, X25519_LEN);
    rd_copy(r, p->k, MLKEM768_EK_LEN);
    rd_copy(r, p->key, sizeof p->key);
    onion_key_id(p->key_id, p->x, p->k);
    return QUDAG_OK;
}

static qudag_err hidden_get(struct dark_hidden *h, struct rd *r)
{
    rd_copy(r, h->x, X25519_LEN);
    rd_copy(r, h->k, MLKEM768_EK_LEN);
    onion_key_id(h->key_id, h->x, h->k);
    uint8_t flags = rd_u8(r);
    if (rd_ok(r) && (flags & ~FLAG_POW) != 0) {
        return QUDAG_EUNSUPPORTED; /* what it needs of a caller this one cannot give */
    }
    if ((flags & FLAG_POW) != 0 && pow_get(&h->pow, r) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    h->n_intros = rd_u8(r);
    for (size_t i = 0; i < h->n_intros; i++) {
        if (i == DARK_INTROS_MAX || intro_get(&h->intro[i], r) != QUDAG_OK) {
            return QUDAG_EMALFORMED;
        }
    }
    return rd_ok(r) && hidden_sound(h) ? QUDAG_OK : QUDAG_EMALFORMED;
}

qudag_err dark_target_get(struct dark_target *t, uint8_t kind, struct slice bytes)
{
    struct rd r = rd_init(bytes);
    qudag_err err = QUDAG_OK;

    *t = (struct dark_target){.kind = DARK_WITHDRAWN};
    switch (kind) {
    case DARK_WITHDRAWN:
        break;
    case DARK_DIRECT:
        err = direct_get(&t->hop, &r);
        break;
    case DARK_HIDDEN:
        err = hidden_get(&t->hidden, &r);
        break;
    default:
        return QUDAG_EUNSUPPORTED;
    }
    if (err == QUDAG_OK && !rd_done(&r)) {
        err = QUDAG_EMALFORMED;
    }
    t->kind = err == QUDAG_OK ? (enum dark_kind)kind : DARK_WITHDRAWN;
    return err;
}
