/*
 * get.c - what answers say of a value, and when that is enough (enum kad_read).
 *
 *   value accepted by its namespace, preferred to what we have? it is the best so far, confirmed once
 *   the same again, or its digest: confirmed once more      an older one: its holder is corrected at the end
 *   another that is worth the same: left where it is
 *
 * Once a value is held the others are asked for their digest only; a holder whose digest differs is asked
 * for the whole.  Where several differed all are asked for the whole at once: digests of nothing must not
 * use up the KAD_REFETCH_MAX that a newer value needs.
 */
#include "core/kad/kad_int.h"

#include <string.h>

bool kad_get_value(struct kad *k, struct kad_job *j, struct slice value)
{
    uint8_t *copy = mem_alloc(k->cfg.mem, value.len);

    if (copy == NULL) {
        return false;
    }
    if (value.len > 0) {
        memcpy(copy, value.base, value.len);
    }
    mem_free(k->cfg.mem, j->value);
    j->value = copy;
    j->value_len = value.len;
    sha256(j->digest, value);
    return true;
}

/* Fetches the whole from a holder of something else. */
static bool fetch(struct kad *k, struct kad_job *j, struct kad_cand *c, tstamp now,
                  struct acts *out)
{
    struct kad_call call = {.type = KAD_GET_VALUE, .full = true};

    if (j->refetched >= KAD_REFETCH_MAX || !kad_room(k, out, 4, KAD_HINTS_MAX)) {
        return false;
    }
    if (kad_rpc_start(k, j, c->peer, call, now, out) != QUDAG_OK) {
        return false;
    }
    j->refetched++;
    kad_query_again(&j->q, c);
    return true;
}

static void better(struct kad *k, struct kad_job *j, struct kad_cand *c, struct slice value)
{
    if (!kad_get_value(k, j, value)) {
        c->rec = KAD_REC_NONE;
        return;
    }
    j->confirmed = 1;
    for (size_t i = 0; i < j->q.n; i++) {
        bool held = j->q.cand[i].rec == KAD_REC_BEST || j->q.cand[i].rec == KAD_REC_EQUAL;
        if (&j->q.cand[i] != c && held) {
            j->q.cand[i].rec = KAD_REC_OLDER;
        }
    }
}

static void take_record(struct kad *k, struct kad_job *j, struct kad_cand *c,
                        const struct kad_msg *m, tstamp now)
{
    struct slice key = {j->key, j->key_len};
    walltime expires;
    int cmp = 1;

    if (!slice_eq(m->rec_key, key)) {
        kad_refuse(k, KAD_REFUSED_OTHER_KEY);
        kad_lied(k, c->peer, now);
        return;
    }
    qudag_err err = kad_judge(k, j->val, key, m->rec_value, now, &expires);
    if (err != QUDAG_OK) {
        kad_refuse(k, kad_refusal_of(err));
        if (err == QUDAG_EAUTH || err == QUDAG_EMALFORMED) {
            kad_lied(k, c->peer, now); /* too old may happen to anybody, a forgery does not */
        }
        return;
    }
    if (j->value != NULL) {
        struct slice old = {j->value, j->value_len};
        cmp = j->val->select == NULL ? 0 : j->val->select(j->val->ctx, key, m->rec_value, old);
    }
    bool same = j->value != NULL && slice_eq(m->rec_value, (struct slice){j->value, j->value_len});
    c->rec = cmp < 0 ? KAD_REC_OLDER : cmp > 0 || same ? KAD_REC_BEST : KAD_REC_EQUAL;
    j->confirmed += same ? 1 : 0;
    if (cmp > 0) {
        better(k, j, c, m->rec_value);
    }
}

bool kad_get_take(struct kad *k, struct kad_job *j, struct kad_cand *c, const struct kad_rpc *r,
                  const struct kad_msg *m, tstamp now, struct acts *out)
{
    if (r->call.type != KAD_GET_VALUE) {
        return true;
    }
    if (m->has_record) {
        take_record(k, j, c, m, now);
        return true;
    }
    if (!m->has_digest || r->call.full || j->value == NULL) {
        return true;
    }
    if (memcmp(m->digest, j->digest, SHA256_LEN) == 0) {
        c->rec = KAD_REC_BEST;
        j->confirmed++;
        return true;
    }
    if (fetch(k, j, c, now, out)) {
        return false;
    }
    c->rec = KAD_REC_OLDER; /* most likely; it will not take back an older one */
    return true;
}

bool kad_get_by_digest(const struct kad_job *j)
{
    return j->value != NULL && j->val->select != NULL && j->refetched < KAD_REFETCH_MAX / 2;
}

bool kad_get_enough(const struct kad_job *j)
{
    if (j->value == NULL) {
        return false;
    }
    switch (j->read) {
    case KAD_READ_DEFAULT:
    case KAD_READ_FIRST:
        return true;
    case KAD_READ_CONFIRMED:
        return j->confirmed >= KAD_CONFIRM;
    case KAD_READ_QUORUM:
        return kad_query_near(&j->q) >= KAD_READ_ANSWERS;
    case KAD_READ_PATHS:
        break;
    }
    return j->val->select == NULL; /* a value that cannot be outdated needs no second opinion */
}

void kad_get_holders(struct kad_job *j)
{
    for (size_t i = 0; i < j->q.n; i++) {
        if (j->q.cand[i].rec == KAD_REC_BEST) {
            kad_job_found(j, j->q.cand[i].peer);
        }
    }
}

/* Sends the best value where it is missing or older, nearer than the farthest that has it. */
static void correct(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    size_t last = 0;

    for (size_t i = 0; i < j->q.n; i++) {
        last = j->q.cand[i].rec == KAD_REC_BEST ? i : last;
    }
    for (size_t i = 0; i < j->q.n && j->n_target < KAD_K; i++) {
        const struct kad_cand *c = &j->q.cand[i];
        bool lacks = c->rec == KAD_REC_OLDER || (c->rec == KAD_REC_NONE && i < last);
        bool told = j->mask_bits == 0 || kad_cpl(j->hash, c->peer->hash) >= j->mask_bits;
        if (c->state == KAD_CAND_ANSWERED && lacks && told &&
            !kad_put_to(k, j, c->peer, now, out)) {
            return;
        }
    }
}

void kad_get_end(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    struct slice key = {j->key, j->key_len}, value = {j->value, j->value_len};

    if (j->value == NULL) {
        kad_job_end(k, j, kad_job_absent(j), now, out);
        return;
    }
    kad_get_holders(j);
    if (kad_store_get(&k->store, j->hash, kad_wall(k, now)) != NULL) {
        qudag_err err = kad_keep_value(k, j->val, key, value, now);
        if (err != QUDAG_OK) {
            kad_refuse(k, kad_refusal_of(err));
        }
    }
    kad_job_report(k, j, QUDAG_OK, now, out);
    j->want = UINT32_MAX; /* nobody waits for these */
    j->copies = 0;
    correct(k, j, now, out);
    if (j->n_target == 0) {
        kad_job_end(k, j, QUDAG_OK, now, out);
        return;
    }
    j->phase = KAD_PHASE_STORE;
}
