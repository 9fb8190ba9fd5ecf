/*
 * put.c - the storing half of a put or provide, and of the correction after a get.
 *
 *   a peer answers the lookup and is certainly among the k closest --> it is sent the value at once
 *   lookup over: the rest of the k closest; a node that refuses, fails or is late is replaced by the next closest
 *   |want| acknowledgements: reported; stores in flight continue
 *
 * When there are more peers around the key than expected (lookup.c), all within the distance where k are
 * expected are sent the value: Sybils that crowd the key cannot crowd out every honest node.
 */
#include "core/kad/kad_int.h"

#include <string.h>

#define SPACES_MIN 4 /* measurements of the size of the network */
/*
 * Where 17 nodes are expected at least 15 usually live, so that the quorum is reached when the lookup ends, and
 * seldom more than k.
 */
#define SURE 17

static bool sent_to(const struct kad_request *j, const struct kad_contact *p)
{
    for (size_t i = 0; i < j->store.n_target; i++) {
        if (kad_contact_same(j->store.target[i], p)) {
            return true;
        }
    }
    return false;
}

bool kad_put_to(struct kad_request *j, struct kad_contact *p, tstamp now, struct acts *out)
{
    struct kad *k = j->k;
    struct kad_call call = {.type = j->op == KAD_OP_PROVIDE ? KAD_ADD_PROVIDER : KAD_PUT_VALUE};

    if (sent_to(j, p)) {
        return true;
    }
    if (j->store.n_target == KAD_TARGETS_MAX) {
        return false;
    }
    if (!kad_env_room(&k->env, out, 4, KAD_HINTS_MAX)) {
        j->look.starved = true;
        k->env.more = true;
        return false;
    }
    j->store.target[j->store.n_target++] = kad_contact_ref(p);
    j->look.rpcs++;
    if (kad_rpc_start(&k->rpcs, &j->look.owner, p, call, now, out) != QUDAG_OK) {
        j->store.n_settled++;
        j->store.n_failed++;
        j->look.failures++;
    }
    return true;
}

void kad_put_early(struct kad_request *j, const struct kad_cand *c, tstamp now, struct acts *out)
{
    struct kad *k = j->k;
    uint64_t radius = kad_netsize_radius(&k->routing.size, SURE);

    if (radius != 0 && c->dist <= radius && k->routing.size.n >= SPACES_MIN) {
        (void)kad_put_to(j, c->peer, now, out);
    }
}

/* Our own copy, when we are a server and among the k closest. */
static bool store_self(struct kad_request *j, struct kad_contact *const *near, size_t n, tstamp now)
{
    struct kad *k = j->k;

    if (!k->env.server ||
        (n >= KAD_K && kad_dist_cmp(j->look.hash, k->env.hash, near[KAD_K - 1]->hash) > 0)) {
        return false;
    }
    if (j->op == KAD_OP_PUT) {
        return kad_store_accept(&k->storage.store, j->val,
                                (struct slice){j->look.key, j->look.key_len},
                                (struct slice){j->value.bytes, j->value.len},
                                kad_env_wall(&k->env, now)) == QUDAG_OK;
    }
    struct kad_contact *self = kad_contacts_self(&k->routing);
    walltime wall = kad_env_wall(&k->env, now);
    bool ok = self != NULL && kad_store_provide(&k->storage.store, j->look.hash, self, wall,
                                                wall + KAD_RECORD_LIFE) == QUDAG_OK;
    kad_contact_unref(self);
    return ok;
}

void kad_put_begin(struct kad_request *j, tstamp now)
{
    struct kad *k = j->k;
    struct kad_contact *near[KAD_TARGETS_MAX];
    size_t n = kad_candidates_result(&j->look.q, KAD_TARGETS_MAX, near), m = n < KAD_K ? n : KAD_K;
    uint64_t radius = kad_netsize_radius(&k->routing.size, KAD_K),
             prefix = kad_hash_prefix(j->look.hash);

    while (j->look.q.width > KAD_K && m < n && m < KAD_WIDE_WIDTH &&
           (kad_hash_prefix(near[m]->hash) ^ prefix) <= radius) {
        m++;
    }
    bool self = store_self(j, near, n, now);
    j->phase = KAD_PHASE_STORE;
    j->store.copies = self && m == KAD_K ? m - 1 : m;
    uint32_t all = (uint32_t)j->store.copies + (self ? 1 : 0), part = (all * 3 + 3) / 4;
    part = part < 1 ? 1 : part;
    j->store.want = j->store.want < part ? j->store.want : part;
    if (self) {
        kad_request_found_self(j);
    }
}

bool kad_put_on(struct kad_request *j, tstamp now, struct acts *out)
{
    struct kad_contact *near[KAD_TARGETS_MAX];
    size_t n =
        j->store.copies == 0 ? 0 : kad_candidates_for_store(&j->look.q, KAD_TARGETS_MAX, near);

    for (size_t i = 0;
         i < n && j->store.n_target - j->store.n_failed - j->store.n_late < j->store.copies; i++) {
        if (!sent_to(j, near[i]) && !kad_put_to(j, near[i], now, out)) {
            break;
        }
    }
    if (j->look.starved) {
        return false;
    }
    if (!j->reported && j->n_found >= j->store.want && j->store.n_target > 0) {
        kad_request_report(j, QUDAG_OK, now, out);
    }
    return j->store.n_settled == j->store.n_target;
}

void kad_put_reply(struct kad_request *j, struct kad_rpc *r, const struct kad_msg *m, tstamp now,
                   struct acts *out)
{
    bool good =
        m == NULL ||
        (m->has_record && kad_slice_eq(m->rec_value, (struct slice){j->value.bytes, j->value.len}));

    j->store.n_settled++;
    j->store.n_late -= r->counted_late ? 1 : 0;
    if (!good) {
        j->look.failures++;
        j->store.n_failed++;
    } else if (!j->reported) {
        kad_request_found(j, r->peer);
    }
    if (!j->reported && j->phase == KAD_PHASE_LOOKUP && j->n_found >= j->store.want) {
        kad_request_report(j, QUDAG_OK, now, out);
    }
    kad_request_run(j, now, out);
}

void kad_put_fail(struct kad_request *j, const struct kad_rpc *r, tstamp now, struct acts *out)
{
    j->store.n_settled++;
    j->store.n_late -= r->counted_late ? 1 : 0;
    j->store.n_failed++;
    j->look.failures++;
    kad_request_run(j, now, out);
}

qudag_err kad_put_result(const struct kad_request *j)
{
    if (j->store.n_target == 0) {
        return QUDAG_EUNREACHABLE;
    }
    return j->n_found >= j->store.want ? QUDAG_OK : QUDAG_EUNREACHABLE;
}
