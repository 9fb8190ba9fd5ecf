/*
 * job.c - one request of the caller.
 *
 *   LOOKUP --the k closest answered--> STORE (put, provide) --all settled, or quorum and 0.5 s--> report
 *      |  '--get: value confirmed--> report --> STORE the value where it was missing or older
 *      '--find, providers: report      bootstrap: one LOOKUP after another, own id first
 *
 * Whatever happens (also cancel and timeout), the report comes exactly once.
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"

#include <string.h>

#define GROUP_REPLY_MAX 3 /* peers of one network believed from one answer */

static struct kad_rpc *rpc_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_rpc, node);
}

static void found_add(struct kad_job *j, struct kad_peer *p)
{
    for (size_t i = 0; i < j->n_found; i++) {
        if (kad_peer_same(j->found[i], p)) {
            return;
        }
    }
    if (j->n_found < KAD_PEERS_MAX) {
        j->found[j->n_found++] = kad_peer_ref(p);
    }
}

static void found_add_self(struct kad *k, struct kad_job *j)
{
    struct kad_peer *self = kad_self_peer(k);

    if (self != NULL) {
        found_add(j, self);
        kad_peer_unref(self);
    }
}

static void rpcs_abort(struct kad *k, struct kad_job *j, struct acts *out)
{
    LIST_EACH_SAFE(it, tmp, &j->rpcs_list)
    {
        kad_rpc_abort(k, rpc_of(it), out);
    }
}

void kad_job_free(struct kad *k, struct kad_job *j)
{
    rpcs_abort(k, j, NULL);
    heap_del(&k->timers, &j->timer.node);
    list_del(&j->node);
    kad_query_fini(&j->q);
    for (size_t i = 0; i < j->n_found; i++) {
        kad_peer_unref(j->found[i]);
    }
    for (size_t i = 0; i < j->n_target; i++) {
        kad_peer_unref(j->target[i]);
    }
    mem_free(k->cfg.mem, j->value);
    mem_free(k->cfg.mem, j->infos);
    mem_free(k->cfg.mem, j);
}

/* Closest or found peers as the caller sees them. */
static qudag_err fill_infos(struct kad *k, struct kad_job *j)
{
    struct kad_peer *near[KAD_K], **p = j->found;
    size_t n = j->n_found;

    if (j->op == KAD_OP_FIND || j->op == KAD_OP_BOOTSTRAP) {
        n = kad_query_result(&j->q, KAD_K, near);
        p = near;
    }
    if (n == 0) {
        return QUDAG_OK;
    }
    j->infos = mem_alloc_n(k->cfg.mem, n, sizeof(*j->infos));
    if (j->infos == NULL) {
        return QUDAG_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        kad_peer_fill(&j->infos[i], p[i]);
    }
    j->result.n_peers = n;
    j->result.peers = j->infos;
    return QUDAG_OK;
}

static void tally(struct kad_job *j)
{
    j->rpcs += j->q.rpcs;
    j->failures += j->q.failures;
    j->answered += j->q.answered;
    j->q.rpcs = 0;
    j->q.failures = 0;
    j->q.answered = 0;
}

static void report(struct kad *k, struct kad_job *j, qudag_err err, tstamp now, struct acts *out)
{
    if (j->reported) {
        return;
    }
    j->reported = true;
    tally(j);
    if (j->internal) {
        k->n_internal--;
        if (j->op == KAD_OP_PUT || j->op == KAD_OP_PROVIDE) {
            kad_keep_result(k, (struct slice){j->key, j->key_len}, j->op == KAD_OP_PROVIDE, err,
                            now);
        }
        return;
    }
    k->n_jobs--;
    j->result = (struct kad_result){.op = j->op,
                                    .rpcs = j->rpcs,
                                    .failures = j->failures,
                                    .hops = j->hops,
                                    .took = now - j->began};
    if (j->op == KAD_OP_GET && err == QUDAG_OK) {
        j->result.value = (struct slice){j->value, j->value_len};
    }
    qudag_err filled = fill_infos(k, j);
    struct act *a = acts_up(out, KAD_UP_DONE);
    a->cookie = j->cookie;
    a->err = err == QUDAG_OK ? filled : err;
    a->ptr = &j->result;
    log_event(&k->cfg.log, LOG_DEBUG, "kad.request.done", LOG_NUM("op", j->op), LOG_ERR(a->err),
              LOG_NUM("rpcs", j->rpcs), LOG_NUM("failures", j->failures));
}

void kad_job_end(struct kad *k, struct kad_job *j, qudag_err err, tstamp now, struct acts *out)
{
    report(k, j, err, now, out);
    rpcs_abort(k, j, out);
    heap_del(&k->timers, &j->timer.node);
    list_del(&j->node);
    list_push_back(&k->ended, &j->node); /* the report points into it */
}

/* Enough peers said they have nothing, or hardly anybody said anything. */
static qudag_err absent(const struct kad_job *j)
{
    return j->answered >= KAD_CONFIRM || (j->answered > 0 && j->answered >= j->failures)
               ? QUDAG_ENOTFOUND
               : QUDAG_EUNREACHABLE;
}

static void lookup_begin(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    bool get = j->op == KAD_OP_GET || j->op == KAD_OP_PROVIDERS || j->op == KAD_OP_FIND_PEER;
    struct kad_peer *near[KAD_K];

    rpcs_abort(k, j, out);
    kad_query_fini(&j->q);
    bool narrow = get || j->bits > 0;
    kad_query_init(&j->q, j->hash, k->hash, narrow ? KAD_ALPHA_GET : KAD_ALPHA_FIND);
    j->q.rpcs_max = j->bits > 0 ? KAD_PART_RPCS : j->q.rpcs_max;
    size_t n = kad_table_closest(&k->table, j->hash, NULL, KAD_K, near);
    for (size_t i = 0; i < n; i++) {
        (void)kad_query_add(&j->q, near[i], 1);
        kad_query_meet(&j->q, near[i]);
    }
    for (size_t i = 0; i < k->n_seeds && n < KAD_K; i++) {
        if (k->seed[i]->fails == 0 || n == 0 || j->op == KAD_OP_BOOTSTRAP) {
            (void)kad_query_add(&j->q, k->seed[i], 1);
        }
    }
    kad_table_touch(&k->table, j->hash, now);
}

/* Bootstrap: the next part of a bucket that lacks entries; false when there is none. */
static bool refresh_next(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    unsigned nearest = kad_table_nearest(&k->table);

    while (j->refresh / KAD_PARTS < nearest && j->refresh / KAD_PARTS <= KAD_REFRESH_BITS) {
        unsigned cpl = j->refresh / KAD_PARTS, part = j->refresh++ % KAD_PARTS;
        uint8_t key[34] = {0x12, 0x20}; /* a well-formed multihash: some peers insist */
        if (!kad_table_lacks(&k->table, cpl, part) || !kad_random_key(k, cpl, part, key + 2)) {
            continue;
        }
        memcpy(j->key, key, sizeof(key));
        j->key_len = sizeof(key);
        sha256(j->hash, (struct slice){key, sizeof(key)});
        j->bits = cpl + 1 + KAD_PART_BITS;
        tally(j);
        lookup_begin(k, j, now, out);
        return true;
    }
    return false;
}

static void store_enter(struct kad *k, struct kad_job *j, enum kad_type type, tstamp now,
                        struct acts *out)
{
    j->phase = KAD_PHASE_STORE;
    j->type = type;
    j->soft_due = tstamp_after(now, KAD_STORE_SOFT);
    rpcs_abort(k, j, out); /* of the lookup: beyond the k closest */
}

/* Where the value is missing or older, nearer than the farthest that has it. */
static void correct_targets(struct kad_job *j)
{
    size_t last = 0;

    for (size_t i = 0; i < j->q.n; i++) {
        last = j->q.cand[i].rec == KAD_REC_BEST ? i : last;
    }
    for (size_t i = 0; i < j->q.n && j->n_target < KAD_CORRECT_MAX; i++) {
        const struct kad_cand *c = &j->q.cand[i];
        bool lacks = c->rec == KAD_REC_OLDER || (c->rec == KAD_REC_NONE && i < last);
        if (c->state == KAD_CAND_ANSWERED && lacks) {
            j->target[j->n_target++] = kad_peer_ref(c->peer);
        }
    }
}

static void get_end(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    struct slice key = {j->key, j->key_len}, value = {j->value, j->value_len};

    tally(j);
    if (j->value == NULL) {
        kad_job_end(k, j, absent(j), now, out);
        return;
    }
    for (size_t i = 0; i < j->q.n; i++) {
        if (j->q.cand[i].rec == KAD_REC_BEST) {
            found_add(j, j->q.cand[i].peer);
        }
    }
    if (kad_store_get(&k->store, j->hash, kad_wall(k, now)) != NULL &&
        kad_keep_value(k, j->val, key, value, now) != QUDAG_OK) {
        k->stats.refused_records++;
    }
    correct_targets(j);
    report(k, j, QUDAG_OK, now, out);
    if (j->n_target == 0) {
        kad_job_end(k, j, QUDAG_OK, now, out);
        return;
    }
    store_enter(k, j, KAD_PUT_VALUE, now, out);
    j->want = UINT32_MAX; /* nobody waits for these */
}

/* Our own copy, when we are a server and among the k closest. */
static bool store_self(struct kad *k, struct kad_job *j, tstamp now)
{
    size_t n = j->n_target;

    if (!k->cfg.server ||
        (n == KAD_K && kad_dist_cmp(j->hash, k->hash, j->target[n - 1]->hash) > 0)) {
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

static void store_begin(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    struct kad_peer *near[KAD_K];

    j->n_target = kad_query_result(&j->q, KAD_K, near);
    for (size_t i = 0; i < j->n_target; i++) {
        j->target[i] = kad_peer_ref(near[i]);
    }
    bool self = store_self(k, j, now);
    if (self && j->n_target == KAD_K) {
        kad_peer_unref(j->target[--j->n_target]);
    }
    uint32_t m = (uint32_t)j->n_target + (self ? 1 : 0), part = m * 3 / 4;
    j->want = part < 1 ? 1 : part;
    j->want = j->want < k->cfg.quorum ? j->want : k->cfg.quorum;
    if (self) {
        found_add_self(k, j);
    }
    store_enter(k, j, j->op == KAD_OP_PUT ? KAD_PUT_VALUE : KAD_ADD_PROVIDER, now, out);
}

static qudag_err stored(const struct kad_job *j)
{
    if (j->n_target == 0) {
        return QUDAG_EUNREACHABLE;
    }
    return j->n_found >= j->want ? QUDAG_OK : QUDAG_ELIMIT;
}

/* What the end of a lookup means.  True: another phase follows. */
static bool lookup_end(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    j->hops = j->hops == 0 ? kad_query_hops(&j->q) : j->hops;
    switch (j->op) {
    case KAD_OP_BOOTSTRAP:
        if (j->refresh == 0 && j->q.answered == 0) {
            break;
        }
        if (refresh_next(k, j, now, out)) {
            return true;
        }
        kad_job_end(k, j, QUDAG_OK, now, out);
        return false;
    case KAD_OP_FIND:
        if (j->q.answered == 0) {
            break;
        }
        kad_job_end(k, j, QUDAG_OK, now, out);
        return false;
    case KAD_OP_PUT:
    case KAD_OP_PROVIDE:
        store_begin(k, j, now, out);
        return true;
    case KAD_OP_GET:
        get_end(k, j, now, out);
        return j->phase == KAD_PHASE_STORE;
    case KAD_OP_FIND_PEER:
    case KAD_OP_PROVIDERS:
        tally(j);
        kad_job_end(k, j, j->n_found > 0 ? QUDAG_OK : absent(j), now, out);
        return false;
    }
    kad_job_end(k, j, QUDAG_EUNREACHABLE, now, out);
    return false;
}

/*
 * After many failures there are fewer than k that answer, and every answer names the same dead ones:
 * our own table knows others.
 */
static bool lookup_widen(struct kad *k, struct kad_job *j)
{
    struct kad_peer *near[KAD_K];
    bool more = false;

    if (j->q.answered >= KAD_K || j->q.failures == 0) {
        return false;
    }
    size_t n = kad_table_closest(&k->table, j->hash, NULL, KAD_K, near);
    for (size_t i = 0; i < n; i++) {
        more |= kad_query_add(&j->q, near[i], 1);
    }
    return more;
}

/* Asks as many as allowed; true when the phase is over. */
static bool lookup_pump(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    for (;;) {
        if (!kad_room(k, out, 4, KAD_HINTS_MAX)) {
            j->starved = true;
            k->more = true;
            return false;
        }
        struct kad_peer *p = kad_query_next(&j->q);
        if (p == NULL) {
            if (!kad_query_done(&j->q)) {
                return false;
            }
            if (!lookup_widen(k, j)) {
                return true;
            }
            continue;
        }
        if (kad_rpc_start(k, j, p, j->type, now, out) != QUDAG_OK) {
            (void)kad_query_fail(&j->q, p);
        }
    }
}

static bool store_pump(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    while (j->next_target < j->n_target) {
        if (!kad_room(k, out, 4, KAD_HINTS_MAX)) {
            j->starved = true;
            k->more = true;
            return false;
        }
        struct kad_peer *p = j->target[j->next_target++];
        j->rpcs++;
        if (kad_rpc_start(k, j, p, j->type, now, out) != QUDAG_OK) {
            j->n_settled++;
            j->failures++;
        }
    }
    return j->n_settled == j->n_target;
}

void kad_job_run(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    while (j->phase == KAD_PHASE_LOOKUP) {
        if (!lookup_pump(k, j, now, out) || !lookup_end(k, j, now, out)) {
            return;
        }
    }
    if (store_pump(k, j, now, out)) {
        kad_job_end(k, j, stored(j), now, out);
        return;
    }
    if (!j->reported) {
        if (j->n_found >= j->want && now >= j->soft_due) {
            report(k, j, QUDAG_OK, now, out);
        }
        tstamp at = now < j->soft_due ? tstamp_min(j->soft_due, j->due) : j->due;
        if (j->timer.node.at != at && kad_timer_set(k, &j->timer, at) != QUDAG_OK) {
            kad_job_end(k, j, QUDAG_ENOMEM, now, out);
        }
    }
}

static bool take_value(struct kad *k, struct kad_job *j, struct slice value)
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
    return true;
}

static void take_record(struct kad *k, struct kad_job *j, struct kad_cand *c,
                        const struct kad_msg *m, tstamp now)
{
    struct slice key = {j->key, j->key_len};
    walltime expires;

    if (!m->has_record) {
        return;
    }
    if (!slice_eq(m->rec_key, key) ||
        kad_judge(k, j->val, key, m->rec_value, now, &expires) != QUDAG_OK) {
        k->stats.refused_records++;
        return;
    }
    int better = 1;
    if (j->value != NULL) {
        struct slice old = {j->value, j->value_len};
        better = j->val->select == NULL ? 0 : j->val->select(j->val->ctx, key, m->rec_value, old);
    }
    c->rec = better < 0 ? KAD_REC_OLDER : KAD_REC_BEST;
    if (better == 0) {
        j->confirmed++;
    }
    if (better <= 0) {
        return;
    }
    if (!take_value(k, j, m->rec_value)) {
        c->rec = KAD_REC_NONE;
        return;
    }
    j->confirmed = 1;
    for (size_t i = 0; i < j->q.n; i++) {
        if (&j->q.cand[i] != c && j->q.cand[i].rec == KAD_REC_BEST) {
            j->q.cand[i].rec = KAD_REC_OLDER;
        }
    }
}

static void take_providers(struct kad *k, struct kad_job *j, const struct kad_msg *m)
{
    uint8_t hash[SHA256_LEN];

    for (size_t i = 0; i < m->n_providers && j->n_found < KAD_PEERS_MAX; i++) {
        kad_id_hash(k, hash, peer_id_slice(&m->providers[i].id));
        struct kad_peer *p = kad_peer_new(k->cfg.mem, &m->providers[i], hash, k->cfg.lab);
        if (p == NULL) {
            return;
        }
        if (p->n_addrs > 0 || kad_table_find(&k->table, p->hash) != NULL) {
            found_add(j, p);
        }
        kad_peer_unref(p);
    }
}

/* Peers of a network that an answer names too often are all left out: it may be a flood. */
static bool overdone(struct kad_peer *const *p, size_t n, size_t ix)
{
    size_t same = 0;

    for (size_t i = 0; i < n; i++) {
        same += p[i] != NULL && p[i]->group == p[ix]->group ? 1 : 0;
    }
    return p[ix]->group != 0 && same > GROUP_REPLY_MAX;
}

static void take_one(struct kad *k, struct kad_job *j, struct kad_peer *p, unsigned depth,
                     tstamp now)
{
    if (!kad_failed_lately(k, p->hash, now)) {
        (void)kad_query_add(&j->q, p, depth + 1);
    }
    if (j->op == KAD_OP_FIND_PEER && p->n_addrs > 0 && memcmp(p->hash, j->hash, SHA256_LEN) == 0) {
        found_add(j, p);
    }
}

static void take_closer(struct kad *k, struct kad_job *j, const struct kad_msg *m, unsigned depth,
                        tstamp now)
{
    struct kad_peer *p[KAD_PEERS_MAX];
    bool met[KAD_PEERS_MAX];
    size_t bad_addrs = 0;

    for (size_t i = 0; i < m->n_raw; i++) {
        p[i] = kad_query_met(&j->q, m->raw[i].id);
        met[i] = p[i] != NULL;
        p[i] = met[i] ? kad_peer_ref(p[i]) : kad_peer_of(k, &m->raw[i], &bad_addrs);
        k->stats.dropped_peers += p[i] == NULL ? 1 : 0;
    }
    k->stats.dropped_peers += bad_addrs;
    for (size_t i = 0; i < m->n_raw; i++) {
        if (p[i] == NULL || met[i]) {
            continue;
        }
        if (!k->cfg.lab && overdone(p, m->n_raw, i)) {
            k->stats.dropped_peers++;
            continue;
        }
        take_one(k, j, p[i], depth, now);
        kad_query_meet(&j->q, p[i]);
    }
    for (size_t i = 0; i < m->n_raw; i++) {
        kad_peer_unref(p[i]);
    }
}

static bool got_enough(const struct kad_job *j)
{
    switch (j->op) {
    case KAD_OP_GET:
        return j->value != NULL && (j->val->select == NULL || j->confirmed >= KAD_CONFIRM);
    case KAD_OP_FIND_PEER:
        return j->n_found > 0;
    case KAD_OP_PROVIDERS:
        return j->n_found >= KAD_KEY_PROVIDERS;
    case KAD_OP_FIND:
    case KAD_OP_BOOTSTRAP:
        return j->bits > 0 && kad_query_filled(&j->q, j->bits, KAD_PART_WANT);
    case KAD_OP_PUT:
    case KAD_OP_PROVIDE:
        break;
    }
    return false;
}

static void store_reply(struct kad_job *j, struct kad_rpc *r, const struct kad_msg *m)
{
    bool good = m == NULL ||
                (m->has_record && slice_eq(m->rec_value, (struct slice){j->value, j->value_len}));

    j->n_settled++;
    if (!good) {
        j->failures++;
    } else if (!j->reported) {
        found_add(j, r->peer);
    }
}

void kad_job_reply(struct kad *k, struct kad_job *j, struct kad_rpc *r, const struct kad_msg *m,
                   tstamp now, struct acts *out)
{
    if (j->phase == KAD_PHASE_STORE) {
        store_reply(j, r, m);
        kad_job_run(k, j, now, out);
        return;
    }
    struct kad_cand *c = kad_query_reply(&j->q, r->peer);
    if (c == NULL || m == NULL) {
        return;
    }
    unsigned depth = c->depth;
    if (j->op == KAD_OP_GET) {
        take_record(k, j, c, m, now);
    } else if (j->op == KAD_OP_PROVIDERS) {
        take_providers(k, j, m);
    }
    if (!got_enough(j)) {
        take_closer(k, j, m, depth, now);
    }
    if (got_enough(j)) {
        j->hops = depth;
        if (lookup_end(k, j, now, out)) {
            kad_job_run(k, j, now, out);
        }
        return;
    }
    kad_job_run(k, j, now, out);
}

void kad_job_fail(struct kad *k, struct kad_job *j, struct kad_rpc *r, tstamp now, struct acts *out)
{
    if (j->phase == KAD_PHASE_STORE) {
        j->n_settled++;
        j->failures++;
    } else {
        (void)kad_query_fail(&j->q, r->peer);
    }
    kad_job_run(k, j, now, out);
}

void kad_job_timer(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    if (now < j->due) {
        kad_job_run(k, j, now, out);
        return;
    }
    qudag_err err = QUDAG_ETIMEOUT;
    if (j->phase == KAD_PHASE_STORE) {
        err = stored(j);
    } else if (j->op == KAD_OP_GET && j->value != NULL) {
        for (size_t i = 0; i < j->q.n; i++) {
            if (j->q.cand[i].rec == KAD_REC_BEST) {
                found_add(j, j->q.cand[i].peer);
            }
        }
        err = QUDAG_OK;
    } else if (j->op == KAD_OP_PROVIDERS && j->n_found > 0) {
        err = QUDAG_OK;
    }
    kad_job_end(k, j, err, now, out);
}

/* What we know ourselves.  True: the request is answered by it. */
static bool job_local(struct kad *k, struct kad_job *j, tstamp now)
{
    struct kad_peer *p[KAD_KEY_PROVIDERS];

    if (j->op == KAD_OP_GET) {
        const struct kad_record *r = kad_store_get(&k->store, j->hash, kad_wall(k, now));
        if (r != NULL && take_value(k, j, (struct slice){r->value, r->value_len})) {
            j->confirmed = 1;
            found_add_self(k, j);
            return j->val->select == NULL;
        }
    } else if (j->op == KAD_OP_PROVIDERS) {
        size_t n = kad_store_providers(&k->store, j->hash, kad_wall(k, now), KAD_KEY_PROVIDERS, p);
        for (size_t i = 0; i < n; i++) {
            found_add(j, p[i]);
        }
        return n == KAD_KEY_PROVIDERS;
    } else if (j->op == KAD_OP_FIND_PEER) {
        struct kad_peer *e = kad_table_find(&k->table, j->hash);
        if (e != NULL && e->n_addrs > 0) {
            found_add(j, e);
            return true;
        }
    }
    return false;
}

static enum kad_type lookup_type(enum kad_op op)
{
    return op == KAD_OP_GET         ? KAD_GET_VALUE
           : op == KAD_OP_PROVIDERS ? KAD_GET_PROVIDERS
                                    : KAD_FIND_NODE;
}

qudag_err kad_job_start(struct kad *k, const struct kad_ask *ask, tstamp now, struct acts *out)
{
    if (ask->internal ? k->n_internal >= KAD_JOBS_INTERNAL : k->n_jobs >= k->cfg.queries_max) {
        return QUDAG_ELIMIT;
    }
    ASSERT(ask->key.len <= KAD_KEY_MAX);
    struct kad_job *j = mem_alloc(k->cfg.mem, sizeof(*j));
    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    j->op = ask->op;
    j->type = lookup_type(ask->op);
    j->internal = ask->internal;
    j->cookie = ask->cookie;
    j->val = ask->val;
    j->opt = ask->opt;
    j->bits = ask->bits;
    j->began = now;
    j->due = tstamp_after(now, KAD_QUERY_TIMEOUT);
    j->key_len = (uint16_t)ask->key.len;
    memcpy(j->key, ask->key.base, ask->key.len);
    sha256(j->hash, ask->key);
    list_init(&j->node);
    list_init(&j->rpcs_list);
    j->timer = (struct kad_timer){.kind = KAD_TIMER_JOB, .owner = j};
    qudag_err err = kad_timer_set(k, &j->timer, j->due);
    if (err == QUDAG_OK && ask->op == KAD_OP_PUT && !take_value(k, j, ask->value)) {
        err = QUDAG_ENOMEM;
    }
    if (err != QUDAG_OK) {
        kad_job_free(k, j);
        return err;
    }
    list_push_back(&k->jobs, &j->node);
    k->n_jobs += ask->internal ? 0 : 1;
    k->n_internal += ask->internal ? 1 : 0;
    if (job_local(k, j, now)) {
        kad_job_end(k, j, QUDAG_OK, now, out);
        return QUDAG_OK;
    }
    lookup_begin(k, j, now, out);
    kad_job_run(k, j, now, out);
    return QUDAG_OK;
}
