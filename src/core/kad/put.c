/*
 * put.c - the storing half of a put or provide, and of the correction after a get.
 *
 *   a peer answers the lookup and is surely among the k closest --> it is sent the value at once
 *   lookup over: the rest of the k closest; who refuses, fails or is late is replaced by the next closest
 *   |want| acknowledgements: reported; what is still on its way goes on
 *
 * With more peers around the key than there should be (lookup.c), all within the distance where k are expected
 * are sent the value: who crowds the key cannot crowd out everybody.
 */
#include "core/kad/kad_int.h"

#include <string.h>

#define SPACES_MIN 4 /* measurements of the size of the network */
/* Where so many are expected 15 live, mostly: the quorum is there when the lookup ends; seldom are there over k. */
#define SURE 17

bool kad_is_store(enum kad_type type)
{
    return type == KAD_PUT_VALUE || type == KAD_ADD_PROVIDER;
}

static bool sent_to(const struct kad_job *j, const struct kad_peer *p)
{
    for (size_t i = 0; i < j->n_target; i++) {
        if (kad_peer_same(j->target[i], p)) {
            return true;
        }
    }
    return false;
}

bool kad_put_to(struct kad *k, struct kad_job *j, struct kad_peer *p, tstamp now, struct acts *out)
{
    struct kad_call call = {.type = j->op == KAD_OP_PROVIDE ? KAD_ADD_PROVIDER : KAD_PUT_VALUE};

    if (sent_to(j, p)) {
        return true;
    }
    if (j->n_target == KAD_TARGETS_MAX) {
        return false;
    }
    if (!kad_room(k, out, 4, KAD_HINTS_MAX)) {
        j->starved = true;
        k->more = true;
        return false;
    }
    j->target[j->n_target++] = kad_peer_ref(p);
    j->rpcs++;
    if (kad_rpc_start(k, j, p, call, now, out) != QUDAG_OK) {
        j->n_settled++;
        j->n_failed++;
        j->failures++;
    }
    return true;
}

void kad_put_early(struct kad *k, struct kad_job *j, const struct kad_cand *c, tstamp now,
                   struct acts *out)
{
    uint64_t radius = kad_radius(k, SURE);

    if (radius != 0 && c->dist <= radius && k->spaces >= SPACES_MIN) {
        (void)kad_put_to(k, j, c->peer, now, out);
    }
}

/* Our own copy, when we are a server and among the k closest. */
static bool store_self(struct kad *k, struct kad_job *j, struct kad_peer *const *near, size_t n,
                       tstamp now)
{
    if (!k->cfg.server ||
        (n >= KAD_K && kad_dist_cmp(j->hash, k->hash, near[KAD_K - 1]->hash) > 0)) {
        return false;
    }
    if (j->op == KAD_OP_PUT) {
        return kad_keep_value(k, j->val, (struct slice){j->key, j->key_len},
                              (struct slice){j->value, j->value_len}, now) == QUDAG_OK;
    }
    struct kad_peer *self = kad_self_peer(k);
    walltime wall = kad_wall(k, now);
    bool ok = self != NULL &&
              kad_store_provide(&k->store, j->hash, self, wall, wall + KAD_RECORD_LIFE) == QUDAG_OK;
    kad_peer_unref(self);
    return ok;
}

void kad_put_begin(struct kad *k, struct kad_job *j, tstamp now)
{
    struct kad_peer *near[KAD_TARGETS_MAX];
    size_t n = kad_query_result(&j->q, KAD_TARGETS_MAX, near), m = n < KAD_K ? n : KAD_K;
    uint64_t radius = kad_radius(k, KAD_K), prefix = kad_hash_prefix(j->hash);

    while (j->q.width > KAD_K && m < n && m < KAD_SWEEP_WIDTH &&
           (kad_hash_prefix(near[m]->hash) ^ prefix) <= radius) {
        m++;
    }
    bool self = store_self(k, j, near, n, now);
    j->phase = KAD_PHASE_STORE;
    j->copies = self && m == KAD_K ? m - 1 : m;
    uint32_t all = (uint32_t)j->copies + (self ? 1 : 0), part = (all * 3 + 3) / 4;
    part = part < 1 ? 1 : part;
    j->want = j->want < part ? j->want : part;
    if (self) {
        kad_job_found_self(k, j);
    }
}

bool kad_put_on(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    struct kad_peer *near[KAD_TARGETS_MAX];
    size_t n = j->copies == 0 ? 0 : kad_query_takers(&j->q, KAD_TARGETS_MAX, near);

    for (size_t i = 0; i < n && j->n_target - j->n_failed - j->n_late < j->copies; i++) {
        if (!sent_to(j, near[i]) && !kad_put_to(k, j, near[i], now, out)) {
            break;
        }
    }
    if (j->starved) {
        return false;
    }
    if (!j->reported && j->n_found >= j->want && j->n_target > 0) {
        kad_job_report(k, j, QUDAG_OK, now, out);
    }
    return j->n_settled == j->n_target;
}

void kad_put_reply(struct kad *k, struct kad_job *j, struct kad_rpc *r, const struct kad_msg *m,
                   tstamp now, struct acts *out)
{
    bool good = m == NULL ||
                (m->has_record && slice_eq(m->rec_value, (struct slice){j->value, j->value_len}));

    j->n_settled++;
    j->n_late -= r->counted_late ? 1 : 0;
    if (!good) {
        j->failures++;
        j->n_failed++;
    } else if (!j->reported) {
        kad_job_found(j, r->peer);
    }
    if (!j->reported && j->phase == KAD_PHASE_LOOKUP && j->n_found >= j->want) {
        kad_job_report(k, j, QUDAG_OK, now, out);
    }
    kad_job_run(k, j, now, out);
}

void kad_put_fail(struct kad *k, struct kad_job *j, const struct kad_rpc *r, tstamp now,
                  struct acts *out)
{
    j->n_settled++;
    j->n_late -= r->counted_late ? 1 : 0;
    j->n_failed++;
    j->failures++;
    kad_job_run(k, j, now, out);
}

qudag_err kad_put_result(const struct kad_job *j)
{
    if (j->n_target == 0) {
        return QUDAG_EUNREACHABLE;
    }
    return j->n_found >= j->want ? QUDAG_OK : QUDAG_ELIMIT;
}
