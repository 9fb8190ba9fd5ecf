/*
 * get.c - what answers say about a value, and when that suffices (enum kad_read).
 *
 *   value accepted by its namespace, preferred to what we have? it is the best so far, confirmed once
 *   the same again, or its digest: confirmed once more      an older one: its holder is corrected at the end
 *   another one that ranks equal: left alone
 *
 * Once we have a value, other nodes are asked for a digest only; a node whose digest differs is asked for
 * the whole value. Where several digests differed, further nodes are asked for the whole value at once, so
 * that digests that match no value do not use up the KAD_REFETCH_MAX that a newer value needs.
 */
#include "core/kad/kad_int.h"

#include <string.h>

bool kad_get_value(struct kad_request *j, struct slice value)
{
    struct kad *k = j->k;
    uint8_t *copy = mem_alloc(k->env.mem, value.len);

    if (copy == NULL) {
        return false;
    }
    if (value.len > 0) {
        memcpy(copy, value.base, value.len);
    }
    mem_free(k->env.mem, j->value.bytes);
    j->value.bytes = copy;
    j->value.len = value.len;
    sha256(j->value.digest, value);
    j->look.found = true;
    return true;
}

/* Fetches the whole from a holder of something else. */
static bool fetch(struct kad_request *j, struct kad_cand *c, tstamp now, struct acts *out)
{
    struct kad *k = j->k;
    struct kad_call call = {.type = KAD_GET_VALUE, .full = true};

    if (j->value.refetched >= KAD_REFETCH_MAX || !kad_env_room(&k->env, out, 4, KAD_HINTS_MAX)) {
        return false;
    }
    if (kad_rpc_start(&k->rpcs, &j->look.owner, c->peer, call, now, out) != QUDAG_OK) {
        return false;
    }
    j->value.refetched++;
    kad_candidates_again(&j->look.q, c);
    return true;
}

static void better(struct kad_request *j, struct kad_cand *c, struct slice value)
{
    if (!kad_get_value(j, value)) {
        c->rec = KAD_REC_NONE;
        return;
    }
    j->value.confirmed = 1;
    for (size_t i = 0; i < j->look.q.n; i++) {
        bool held = j->look.q.cand[i].rec == KAD_REC_BEST || j->look.q.cand[i].rec == KAD_REC_EQUAL;
        if (&j->look.q.cand[i] != c && held) {
            j->look.q.cand[i].rec = KAD_REC_OLDER;
        }
    }
}

static void take_record(struct kad_request *j, struct kad_cand *c, const struct kad_msg *m,
                        tstamp now)
{
    struct kad *k = j->k;
    struct slice key = {j->look.key, j->look.key_len};
    walltime expires;
    int cmp = 1;

    if (!kad_slice_eq(m->rec_key, key)) {
        kad_refuse(&k->env, KAD_REFUSED_OTHER_KEY);
        kad_contacts_misbehaved(&k->routing, c->peer, now);
        return;
    }
    qudag_err err = kad_validate(j->val, key, m->rec_value, kad_env_wall(&k->env, now), &expires);
    if (err != QUDAG_OK) {
        kad_refuse(&k->env, kad_refusal_of(err));
        if (err == QUDAG_EAUTH || err == QUDAG_EMALFORMED) {
            kad_contacts_misbehaved(&k->routing, c->peer,
                                    now); /* too old may happen to anybody, a forgery does not */
        }
        return;
    }
    if (j->value.bytes != NULL) {
        struct slice old = {j->value.bytes, j->value.len};
        cmp = kad_prefer(j->val, key, m->rec_value, old);
    }
    bool same = j->value.bytes != NULL &&
                kad_slice_eq(m->rec_value, (struct slice){j->value.bytes, j->value.len});
    c->rec = cmp < 0 ? KAD_REC_OLDER : cmp > 0 || same ? KAD_REC_BEST : KAD_REC_EQUAL;
    j->value.confirmed += same ? 1 : 0;
    if (cmp > 0) {
        better(j, c, m->rec_value);
    }
}

void kad_get_take(struct kad_request *j, struct kad_cand *c, const struct kad_rpc *r,
                  const struct kad_msg *m, tstamp now, struct acts *out)
{
    if (r->call.type != KAD_GET_VALUE) {
        return;
    }
    if (m->has_record) {
        take_record(j, c, m, now);
        return;
    }
    if (!m->has_digest || r->call.full || j->value.bytes == NULL) {
        return;
    }
    if (memcmp(m->digest, j->value.digest, SHA256_LEN) == 0) {
        c->rec = KAD_REC_BEST;
        j->value.confirmed++;
        return;
    }
    if (fetch(j, c, now, out)) {
        return;
    }
    c->rec = KAD_REC_OLDER; /* most likely; it will not take back an older one */
}

bool kad_get_by_digest(const struct kad_request *j)
{
    return j->value.bytes != NULL && j->val->select != NULL &&
           j->value.refetched < KAD_REFETCH_MAX / 2;
}

bool kad_get_enough(const struct kad_request *j)
{
    if (j->value.bytes == NULL) {
        return false;
    }
    switch (j->read) {
    case KAD_READ_DEFAULT:
    case KAD_READ_FIRST:
        return true;
    case KAD_READ_CONFIRMED:
        return j->value.confirmed >= KAD_CONFIRM;
    case KAD_READ_QUORUM:
        return kad_candidates_near(&j->look.q) >= KAD_READ_ANSWERS;
    case KAD_READ_PATHS:
        break;
    }
    return j->val->select == NULL; /* a value that cannot be outdated needs no second opinion */
}

void kad_get_holders(struct kad_request *j)
{
    for (size_t i = 0; i < j->look.q.n; i++) {
        if (j->look.q.cand[i].rec == KAD_REC_BEST) {
            kad_request_found(j, j->look.q.cand[i].peer);
        }
    }
}

/* Sends the best value where it is missing or older, nearer than the farthest that has it. */
static void correct(struct kad_request *j, tstamp now, struct acts *out)
{
    size_t last = 0;

    for (size_t i = 0; i < j->look.q.n; i++) {
        last = j->look.q.cand[i].rec == KAD_REC_BEST ? i : last;
    }
    for (size_t i = 0; i < j->look.q.n && j->store.n_target < KAD_K; i++) {
        const struct kad_cand *c = &j->look.q.cand[i];
        bool lacks = c->rec == KAD_REC_OLDER || (c->rec == KAD_REC_NONE && i < last);
        bool told =
            j->look.mask_bits == 0 || kad_cpl(j->look.hash, c->peer->hash) >= j->look.mask_bits;
        if (c->state == KAD_CAND_ANSWERED && lacks && told && !kad_put_to(j, c->peer, now, out)) {
            return;
        }
    }
}

void kad_get_end(struct kad_request *j, tstamp now, struct acts *out)
{
    struct kad *k = j->k;
    struct slice key = {j->look.key, j->look.key_len}, value = {j->value.bytes, j->value.len};

    if (j->value.bytes == NULL) {
        kad_request_end(j, kad_lookup_absent(&j->look), now, out);
        return;
    }
    kad_get_holders(j);
    if (kad_store_get(&k->storage.store, j->look.hash, kad_env_wall(&k->env, now)) != NULL) {
        qudag_err err =
            kad_store_accept(&k->storage.store, j->val, key, value, kad_env_wall(&k->env, now));
        if (err != QUDAG_OK) {
            kad_refuse(&k->env, kad_refusal_of(err));
        }
    }
    kad_request_report(j, QUDAG_OK, now, out);
    j->store.want = UINT32_MAX; /* nobody waits for these */
    j->store.copies = 0;
    correct(j, now, out);
    if (j->store.n_target == 0) {
        kad_request_end(j, QUDAG_OK, now, out);
        return;
    }
    j->phase = KAD_PHASE_STORE;
}
