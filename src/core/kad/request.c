/*
 * request.c - one request of the caller.
 *
 *   LOOKUP (lookup.c) --put, provide: the k closest (put.c)--> STORE --> end       report: quorum reached, or the end
 *      |  '--get: sure enough (get.c)--> report --> STORE where it was missing or older
 *      '--find, providers: report      bootstrap: our own id, then each bucket that lacks entries
 *
 * Whatever happens (also cancel and timeout), the report comes exactly once.  Requests still on their way when
 * the job ends go on without it (rpc.c).
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"

#include <string.h>

static struct kad_rpc *rpc_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_rpc, node);
}

void kad_job_found(struct kad_job *j, struct kad_peer *p)
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

void kad_job_found_self(struct kad *k, struct kad_job *j)
{
    struct kad_peer *self = kad_self_peer(k);

    if (self != NULL) {
        kad_job_found(j, self);
        kad_peer_unref(self);
    }
}

static void rpcs_release(struct kad *k, struct kad_job *j)
{
    LIST_EACH_SAFE(it, tmp, &j->rpcs_list)
    {
        kad_rpc_detach(k, rpc_of(it));
    }
}

void kad_job_free(struct kad *k, struct kad_job *j)
{
    LIST_EACH_SAFE(it, tmp, &j->rpcs_list)
    {
        kad_rpc_abort(k, rpc_of(it), NULL);
    }
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

void kad_job_tally(struct kad_job *j)
{
    j->rpcs += j->q.rpcs;
    j->failures += j->q.failures;
    j->q.rpcs = 0;
    j->q.failures = 0;
    j->q.answered = 0;
}

void kad_job_report(struct kad *k, struct kad_job *j, qudag_err err, tstamp now, struct acts *out)
{
    if (j->reported) {
        return;
    }
    j->reported = true;
    if (j->internal) {
        k->n_internal--;
        if (j->fill) {
            k->filling = false;
            k->more = true;
        }
        if (j->op == KAD_OP_PUT || j->op == KAD_OP_PROVIDE) {
            kad_keep_result(k, (struct slice){j->key, j->key_len}, j->op == KAD_OP_PROVIDE, err,
                            now);
        }
        return;
    }
    k->n_jobs--;
    k->n_after++;
    j->result = (struct kad_result){.op = j->op,
                                    .rpcs = j->rpcs + j->q.rpcs,
                                    .failures = j->failures + j->q.failures + j->q.late,
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
              LOG_NUM("rpcs", j->result.rpcs), LOG_NUM("failures", j->result.failures));
}

void kad_job_end(struct kad *k, struct kad_job *j, qudag_err err, tstamp now, struct acts *out)
{
    kad_job_report(k, j, err, now, out);
    k->n_after -= j->internal ? 0 : 1;
    rpcs_release(k, j);
    heap_del(&k->timers, &j->timer.node);
    list_del(&j->node);
    list_push_back(&k->ended, &j->node); /* the report points into it */
}

/* Those near the key have answered and have nothing, or too many of them said nothing at all. */
qudag_err kad_job_absent(const struct kad_job *j)
{
    unsigned answered = 0, lost = 0;

    for (size_t i = 0; i < j->q.n && answered + lost < KAD_K; i++) {
        const struct kad_cand *c = &j->q.cand[i];
        if (j->mask_bits > 0 && c->dist >> (64 - j->mask_bits) != 0) {
            break; /* from here on nobody was told what is looked for */
        }
        answered += c->state == KAD_CAND_ANSWERED ? 1 : 0;
        lost += c->state == KAD_CAND_LATE || c->state == KAD_CAND_FAILED ? 1 : 0;
    }
    return answered > 0 && answered >= lost ? QUDAG_ENOTFOUND : QUDAG_EUNREACHABLE;
}

/* What the end of a lookup means.  True: another phase follows. */
static bool lookup_end(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    j->hops = j->hops == 0 ? kad_query_hops(&j->q) : j->hops;
    if (j->bits == 0) {
        kad_size_note(k, &j->q, now);
    }
    switch (j->op) {
    case KAD_OP_BOOTSTRAP:
        if (j->refresh == 0 && j->q.answered == 0) {
            break;
        }
        if (kad_walk_refresh(k, j, now)) {
            return true;
        }
        k->fill = 0; /* the rest comes while others already work */
        k->more = true;
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
        kad_put_begin(k, j, now);
        return true;
    case KAD_OP_GET:
        kad_get_end(k, j, now, out);
        return j->phase == KAD_PHASE_STORE;
    case KAD_OP_FIND_PEER:
    case KAD_OP_PROVIDERS:
        kad_job_end(k, j, j->n_found > 0 ? QUDAG_OK : kad_job_absent(j), now, out);
        return false;
    }
    kad_job_end(k, j, QUDAG_EUNREACHABLE, now, out);
    return false;
}

void kad_job_run(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    while (j->phase == KAD_PHASE_LOOKUP) {
        if (!kad_walk_on(k, j, now, out) || !lookup_end(k, j, now, out)) {
            return;
        }
    }
    if (kad_put_on(k, j, now, out)) {
        kad_job_end(k, j, kad_put_result(j), now, out);
    }
}

static void take_providers(struct kad *k, struct kad_job *j, const struct kad_msg *m)
{
    uint8_t hash[SHA256_LEN];

    for (size_t i = 0; i < m->n_providers && j->n_found < KAD_PEERS_MAX; i++) {
        kad_id_hash(k, hash, peer_id_slice(&m->providers[i].id));
        struct kad_peer *p = kad_peer_make(k, &m->providers[i], hash);
        if (p == NULL) {
            return;
        }
        if (p->who->n_addrs > 0 || kad_table_find(&k->table, p->hash) != NULL) {
            kad_job_found(j, p);
        }
        kad_peer_unref(p);
    }
}

static bool got_enough(const struct kad_job *j)
{
    switch (j->op) {
    case KAD_OP_GET:
        return kad_get_enough(j);
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

static bool is_sweep(const struct kad_rpc *r)
{
    return r->call.alt >= KAD_ALT_SWEEP;
}

static void sweep_reply(struct kad *k, struct kad_job *j, const struct kad_msg *m, tstamp now,
                        struct acts *out)
{
    ASSERT(j->sweeps > 0);
    j->sweeps--;
    if (m != NULL) {
        kad_walk_take(k, j, m, 1, 0, now);
    }
    kad_job_run(k, j, now, out);
}

/* A peer of the lookup has answered. */
static void lookup_reply(struct kad *k, struct kad_job *j, struct kad_cand *c,
                         const struct kad_rpc *r, const struct kad_msg *m, tstamp now,
                         struct acts *out)
{
    unsigned depth = c->depth, path = c->by;

    if (j->op == KAD_OP_GET) {
        (void)kad_get_take(k, j, c, r, m, now, out);
    } else if (j->op == KAD_OP_PROVIDERS) {
        take_providers(k, j, m);
    } else if (j->op == KAD_OP_PUT || j->op == KAD_OP_PROVIDE) {
        kad_put_early(k, j, c, now, out);
    }
    if (!got_enough(j)) {
        kad_walk_take(k, j, m, depth, path, now); /* moves candidates: |c| is not valid after it */
    }
    if (!got_enough(j)) {
        kad_job_run(k, j, now, out);
        return;
    }
    j->hops = depth;
    if (lookup_end(k, j, now, out)) {
        kad_job_run(k, j, now, out);
    }
}

void kad_job_reply(struct kad *k, struct kad_job *j, struct kad_rpc *r, const struct kad_msg *m,
                   tstamp now, struct acts *out)
{
    if (kad_is_store(r->call.type)) {
        kad_put_reply(k, j, r, m, now, out);
        return;
    }
    if (j->phase != KAD_PHASE_LOOKUP) {
        return;
    }
    if (is_sweep(r)) {
        sweep_reply(k, j, m, now, out);
        return;
    }
    struct kad_cand *c = kad_query_reply(&j->q, r->peer);
    if (c != NULL && m != NULL) {
        lookup_reply(k, j, c, r, m, now, out);
    }
}

void kad_job_fail(struct kad *k, struct kad_job *j, struct kad_rpc *r, tstamp now, struct acts *out)
{
    if (kad_is_store(r->call.type)) {
        kad_put_fail(k, j, r, now, out);
        return;
    }
    if (j->phase != KAD_PHASE_LOOKUP) {
        return;
    }
    if (is_sweep(r)) {
        sweep_reply(k, j, NULL, now, out);
        return;
    }
    (void)kad_query_fail(&j->q, r->peer);
    kad_job_run(k, j, now, out);
}

void kad_job_slow(struct kad *k, struct kad_job *j, struct kad_rpc *r, tstamp now, struct acts *out)
{
    bool late = r->stage == KAD_STAGE_LATE;

    if (kad_is_store(r->call.type)) {
        if (!late || r->counted_late) {
            return;
        }
        r->counted_late = true;
        j->n_late++;
    } else if (j->phase != KAD_PHASE_LOOKUP) {
        return;
    } else if (is_sweep(r)) {
        if (late) {
            kad_rpc_detach(k, r);
            sweep_reply(k, j, NULL, now, out);
        }
        return;
    } else if (late) {
        kad_query_late(&j->q, r->peer);
    } else {
        kad_query_soft(&j->q, r->peer);
    }
    kad_job_run(k, j, now, out);
}

void kad_job_timer(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    qudag_err err = QUDAG_ETIMEOUT;

    if (now < j->due) {
        kad_job_run(k, j, now, out);
        return;
    }
    if (j->phase == KAD_PHASE_STORE) {
        err = kad_put_result(j);
    } else if (j->op == KAD_OP_GET && j->value != NULL) {
        kad_get_holders(j);
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
        if (r != NULL && kad_get_value(k, j, (struct slice){r->value, r->value_len})) {
            j->confirmed = 1;
            kad_job_found_self(k, j);
            return j->read == KAD_READ_FIRST;
        }
    } else if (j->op == KAD_OP_PROVIDERS) {
        size_t n = kad_store_providers(&k->store, j->hash, kad_wall(k, now), KAD_KEY_PROVIDERS, p);
        for (size_t i = 0; i < n; i++) {
            kad_job_found(j, p[i]);
        }
        return n == KAD_KEY_PROVIDERS;
    } else if (j->op == KAD_OP_FIND_PEER) {
        struct kad_peer *e = kad_table_find(&k->table, j->hash);
        if (e != NULL && e->who->n_addrs > 0) {
            kad_job_found(j, e);
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

static enum kad_read read_of(const struct kad_ask *ask)
{
    if (ask->val == NULL) {
        return KAD_READ_DEFAULT;
    }
    enum kad_read r = ask->opt.read != KAD_READ_DEFAULT ? ask->opt.read : ask->val->read;
    return r != KAD_READ_DEFAULT      ? r
           : ask->val->select == NULL ? KAD_READ_FIRST
                                      : KAD_READ_CONFIRMED;
}

static uint32_t quorum_of(const struct kad *k, const struct kad_ask *ask)
{
    uint32_t own = ask->val == NULL ? 0 : ask->val->quorum;

    return ask->opt.quorum != 0 ? ask->opt.quorum : own != 0 ? own : k->cfg.quorum;
}

bool kad_jobs_full(const struct kad *k)
{
    return k->n_jobs >= k->cfg.queries_max || k->n_after >= KAD_JOBS_AFTER * k->cfg.queries_max;
}

qudag_err kad_job_start(struct kad *k, const struct kad_ask *ask, tstamp now, struct acts *out)
{
    if (ask->internal ? k->n_internal >= KAD_JOBS_INTERNAL : kad_jobs_full(k)) {
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
    j->read = read_of(ask);
    j->want = quorum_of(k, ask);
    j->fill = ask->fill;
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
    if (err == QUDAG_OK && ask->op == KAD_OP_PUT && !kad_get_value(k, j, ask->value)) {
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
    kad_walk_begin(k, j, now);
    kad_job_run(k, j, now, out);
    return QUDAG_OK;
}
