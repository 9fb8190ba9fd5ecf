/*
 * create.c - CREATEs of neighbours: put together, queued, answered.
 *
 *   fragments ─▶ whole ─ shape, key id ─▶ the queue ─ turn, token ─▶ handshake ─▶ CREATED
 *
 * The cheap checks come first; nothing asymmetric is done for a CREATE before its turn.
 */
#include "core/onion/circuit.h"

#include "base/wipe.h"

#include <string.h>

#define SERVE_AT_ONCE 4 /* in one call: 1 ms; then others have their turn */

static const struct onion_keyring *find_key(const struct onion *o, const uint8_t key_id[8])
{
    for (size_t i = 0; i < o->keys_n; i++) {
        if (memcmp(o->keys[i]->key.key_id, key_id, 8) == 0) {
            return o->keys[i];
        }
    }
    return NULL;
}

/* The key that the CREATE names; NULL: none of ours. */
static const struct onion_keyring *key_of(const struct onion *o, struct slice create)
{
    uint8_t key_id[8];

    return onion_hs_create_peek(create, key_id) == QUDAG_OK ? find_key(o, key_id) : NULL;
}

void onion_former(struct onion *o, const uint8_t pq_hash[32])
{
    memcpy(o->former_pq_hash, pq_hash, sizeof(o->former_pq_hash));
    o->has_former = true;
}

void onion_rekey(struct onion *o, const uint8_t pq_hash[32])
{
    onion_former(o, o->cfg.self_pq_hash);
    memcpy(o->cfg.self_pq_hash, pq_hash, sizeof(o->cfg.self_pq_hash));
}

static struct slice create_of(const struct onion_circuit *c)
{
    return (struct slice){c->from_prev.p, c->from_prev.total};
}

static qudag_err handshake(struct onion_circuit *c, struct wr *created, struct onion_hs_keys *keys)
{
    struct onion *o = c->o;
    uint8_t plain[ONION_HS_EXT_MAX];
    struct wr ext = wr_init(plain, sizeof plain), unused = *created;

    const struct onion_keyring *k = key_of(o, create_of(c));
    if (k == NULL) {
        return QUDAG_EAUTH; /* it was there when the CREATE came */
    }
    struct onion_hs_server s = {&o->cfg.self, o->cfg.self_pq_hash, &k->key, k->dk, &o->cfg.rng};
    c->tag = k->key.tag;
    qudag_err err = onion_hs_server_answer(&s, create_of(c), created, keys, &ext);
    if (err == QUDAG_EAUTH &&
        o->has_former) { /* by a descriptor from before: SPEC: succession 3.4 */
        *created = unused;
        ext = wr_init(plain, sizeof plain);
        s.pq_hash = o->former_pq_hash;
        err = onion_hs_server_answer(&s, create_of(c), created, keys, &ext);
    }
    return err;
}

static qudag_err answer(struct onion_circuit *c, struct acts *out)
{
    uint8_t buf[ONION_HS_CREATED_MAX];
    struct wr created = wr_init(buf, sizeof buf);
    struct onion_hs_keys keys;

    onion_create_finished(c);
    qudag_err err = handshake(c, &created, &keys);
    c->o->stats.bad_handshake += err == QUDAG_EAUTH;
    onion_assembly_fini(&c->from_prev);
    if (err != QUDAG_OK) {
        return err;
    }
    err = onion_hops_init(&c->hops, c->o->cfg.mem, 1);
    if (err == QUDAG_OK) {
        onion_hops_add(&c->hops, &keys);
        onion_leg_send_message(&c->prev, ONION_CELL_CREATED, wr_done(&created), out);
        c->o->stats.created++;
        onion_circuit_enter(c, ONION_PH_END);
    }
    wipe(&keys, sizeof keys);
    return err;
}

tstamp onion_creates_at(const struct onion *o)
{
    tstamp at = limiter_ready(&o->creates, 1, o->now);

    return o->held.waiting == 0 ? TSTAMP_NEVER : at > o->creates_at ? at : o->creates_at;
}

static bool may_have(const void *ctx, const struct fair_source *s)
{
    const struct onion *o = ctx;

    return onion_rule_create_due(s->owed, o->now) && onion_rule_create_due(s->net->owed, o->now);
}

/* Whose turn it is; NULL: all that wait have had as many as they get for now. */
static struct fair_item *next_create(struct onion *o)
{
    struct fair_item *it = fair_next(&o->held, may_have, o);

    if (it == NULL) {
        o->creates_at = tstamp_after(o->now, ONION_CREATE_GAP_NET);
        return NULL;
    }
    struct fair_source *s = it->source;
    s->owed = onion_rule_create_owed(s->owed, ONION_CREATE_GAP, o->now);
    s->net->owed = onion_rule_create_owed(s->net->owed, ONION_CREATE_GAP_NET, o->now);
    return it;
}

void onion_creates_serve(struct onion *o, struct acts *out)
{
    for (int i = 0; i < SERVE_AT_ONCE && onion_creates_at(o) <= o->now && onion_has_room(o, out);
         i++) {
        struct fair_item *it = next_create(o);
        if (it == NULL || !limiter_take(&o->creates, 1, o->now)) {
            return; /* the latter does not happen: a token is there */
        }
        struct fair_source *from = it->source;
        struct onion_circuit *c = LIST_ENTRY(it, struct onion_circuit, place);
        qudag_err err = answer(c, out);
        if (err == QUDAG_EAUTH) { /* a wrong one costs no less than a right one */
            fair_charge(from, ONION_BAD_CREATE_TURNS);
        }
        if (err != QUDAG_OK) {
            onion_circuit_fail(c, err, NULL, 0, out);
        }
    }
}

qudag_err onion_create_add(struct onion_circuit *c, struct slice frag, struct acts *out)
{
    bool done;

    /* One that is whole takes nothing more: it cannot be changed, nor its time in the queue begun again. */
    qudag_err err = onion_assembly_add(&c->from_prev, frag, ONION_HS_CREATE_MAX, true, &done);
    if (err != QUDAG_OK || !done) {
        return err;
    }
    if (key_of(c->o, create_of(c)) == NULL) {
        c->o->stats.bad_handshake++;
        return QUDAG_EAUTH;
    }
    c->waits = true;
    onion_circuit_enter(c, ONION_PH_ACCEPT); /* its time in the queue begins */
    fair_wait(&c->o->held, &c->place);
    c->o->creates_at = 0; /* whoever came may have one */
    onion_creates_serve(c->o, out);
    return QUDAG_OK;
}
