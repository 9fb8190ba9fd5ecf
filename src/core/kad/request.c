/*
 * request.c - one request of the caller.
 *
 *   LOOKUP (lookup.c) --put, provide: the k closest (put.c)--> STORE --> end       report: quorum reached, or the end
 *      |  '--get: enough answers (get.c)--> report --> STORE where it was missing or older
 *      '--find, providers: report      bootstrap: our own id, then each bucket that lacks entries
 *
 * Whatever happens, including cancellation and timeout, there is exactly one report. RPCs in flight when the
 * request ends continue without it (rpc.c).
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"

#include <string.h>

static struct kad_rpc *rpc_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_rpc, node);
}

void kad_request_found(struct kad_request *j, struct kad_contact *p)
{
    for (size_t i = 0; i < j->n_found; i++) {
        if (kad_contact_same(j->found[i], p)) {
            return;
        }
    }
    if (j->n_found < KAD_PEERS_MAX) {
        j->found[j->n_found++] = kad_contact_ref(p);
        j->look.found = true;
    }
}

void kad_request_found_self(struct kad_request *j)
{
    struct kad *k = j->k;
    struct kad_contact *self = kad_contacts_self(&k->routing);

    if (self != NULL) {
        kad_request_found(j, self);
        kad_contact_unref(self);
    }
}

static struct kad_request *request_of(struct kad_rpc_owner *o)
{
    return LIST_ENTRY(o, struct kad_request, look.owner);
}

static void rpcs_release(struct kad_request *j)
{
    struct kad *k = j->k;

    LIST_EACH_SAFE(it, tmp, &j->look.owner.rpcs)
    {
        kad_rpc_detach(&k->rpcs, rpc_of(it));
    }
}

void kad_request_free(struct kad_request *j)
{
    struct kad *k = j->k;

    kad_lookup_fini(&k->rpcs, &j->look);
    heap_del(&k->env.timers, &j->timer.node);
    list_del(&j->node);
    for (size_t i = 0; i < j->n_found; i++) {
        kad_contact_unref(j->found[i]);
    }
    for (size_t i = 0; i < j->store.n_target; i++) {
        kad_contact_unref(j->store.target[i]);
    }
    mem_free(k->env.mem, j->value.bytes);
    mem_free(k->env.mem, j->infos);
    mem_free(k->env.mem, j);
}

/* Closest or found peers as the caller sees them. */
static qudag_err fill_infos(struct kad_request *j)
{
    struct kad *k = j->k;
    struct kad_contact *near[KAD_K], **p = j->found;
    size_t n = j->n_found;

    if (j->op == KAD_OP_FIND || j->op == KAD_OP_BOOTSTRAP) {
        n = kad_candidates_result(&j->look.q, KAD_K, near);
        p = near;
    }
    if (n == 0) {
        return QUDAG_OK;
    }
    j->infos = mem_alloc_n(k->env.mem, n, sizeof(*j->infos));
    if (j->infos == NULL) {
        return QUDAG_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        kad_contact_decode(&j->infos[i], p[i]);
    }
    j->result.n_peers = n;
    j->result.peers = j->infos;
    return QUDAG_OK;
}

void kad_request_report(struct kad_request *j, qudag_err err, tstamp now, struct acts *out)
{
    struct kad *k = j->k;

    if (j->reported) {
        return;
    }
    j->reported = true;
    if (j->internal) {
        k->requests.n_internal--;
        if (j->fill) {
            k->care.filling = false;
            k->env.more = true;
        }
        if (j->op == KAD_OP_PUT || j->op == KAD_OP_PROVIDE) {
            kad_publication_result(&k->storage.pubs, (struct slice){j->look.key, j->look.key_len},
                                   j->op == KAD_OP_PROVIDE, err, now);
        }
        return;
    }
    k->requests.n--;
    k->requests.n_after++;
    j->result =
        (struct kad_result){.op = j->op,
                            .rpcs = j->look.rpcs + j->look.q.rpcs,
                            .failures = j->look.failures + j->look.q.failures + j->look.q.late,
                            .hops = j->hops,
                            .took = now - j->began};
    if (j->op == KAD_OP_GET && err == QUDAG_OK) {
        j->result.value = (struct slice){j->value.bytes, j->value.len};
    }
    qudag_err filled = fill_infos(j);
    struct act *a = acts_up(out, KAD_UP_DONE);
    a->cookie = j->cookie;
    a->err = err == QUDAG_OK ? filled : err;
    a->ptr = &j->result;
    log_event(&k->env.log, LOG_DEBUG, "kad.request.done", LOG_NUM("op", j->op), LOG_ERR(a->err),
              LOG_NUM("rpcs", j->result.rpcs), LOG_NUM("failures", j->result.failures));
}

void kad_request_end(struct kad_request *j, qudag_err err, tstamp now, struct acts *out)
{
    struct kad *k = j->k;

    kad_request_report(j, err, now, out);
    k->requests.n_after -= j->internal ? 0 : 1;
    rpcs_release(j);
    heap_del(&k->env.timers, &j->timer.node);
    list_del(&j->node);
    list_push_back(&k->requests.ended, &j->node); /* the report points into it */
}

/* What the end of a lookup means.  True: another phase follows. */
static bool lookup_end(struct kad_request *j, tstamp now, struct acts *out)
{
    struct kad *k = j->k;

    j->hops = j->hops == 0 ? kad_candidates_hops(&j->look.q) : j->hops;
    if (j->look.p.bits == 0) {
        kad_lookup_measure(&k->rpcs, &j->look, now);
    }
    switch (j->op) {
    case KAD_OP_BOOTSTRAP:
        if (j->refresh == 0 && j->look.q.answered == 0) {
            break;
        }
        if (kad_lookup_refresh(&k->rpcs, &j->look, &j->refresh, now)) {
            return true;
        }
        k->care.fill = 0; /* the rest comes while others already work */
        k->env.more = true;
        kad_request_end(j, QUDAG_OK, now, out);
        return false;
    case KAD_OP_FIND:
        if (j->look.q.answered == 0) {
            break;
        }
        kad_request_end(j, QUDAG_OK, now, out);
        return false;
    case KAD_OP_PUT:
    case KAD_OP_PROVIDE:
        kad_put_begin(j, now);
        return true;
    case KAD_OP_GET:
        kad_get_end(j, now, out);
        return j->phase == KAD_PHASE_STORE;
    case KAD_OP_FIND_PEER:
    case KAD_OP_PROVIDERS:
        kad_request_end(j, j->n_found > 0 ? QUDAG_OK : kad_lookup_absent(&j->look), now, out);
        return false;
    }
    kad_request_end(j, QUDAG_EUNREACHABLE, now, out);
    return false;
}

void kad_request_run(struct kad_request *j, tstamp now, struct acts *out)
{
    struct kad *k = j->k;

    while (j->phase == KAD_PHASE_LOOKUP) {
        if (!kad_lookup_on(&k->rpcs, &j->look, now, out) || !lookup_end(j, now, out)) {
            return;
        }
    }
    if (kad_put_on(j, now, out)) {
        kad_request_end(j, kad_put_result(j), now, out);
    }
}

static void take_providers(struct kad_request *j, const struct kad_msg *m)
{
    struct kad *k = j->k;
    uint8_t hash[SHA256_LEN];

    for (size_t i = 0; i < m->n_providers && j->n_found < KAD_PEERS_MAX; i++) {
        kad_contacts_hash(&k->routing, hash, peer_id_slice(&m->providers[i].id));
        struct kad_contact *p = kad_contacts_make(&k->routing, &m->providers[i], hash);
        if (p == NULL) {
            return;
        }
        if (p->info->n_addrs > 0 || kad_table_find(&k->routing.table, p->hash) != NULL) {
            kad_request_found(j, p);
        }
        kad_contact_unref(p);
    }
}

static bool got_enough(const struct kad_request *j)
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
        return j->look.p.bits > 0 &&
               kad_candidates_filled(&j->look.q, j->look.p.bits, KAD_PART_WANT);
    case KAD_OP_PUT:
    case KAD_OP_PROVIDE:
        break;
    }
    return false;
}

/* Candidates that an answer names; the node looked for may be among them. */
static void take(struct kad_request *j, const struct kad_msg *m, unsigned depth, unsigned path,
                 tstamp now)
{
    kad_lookup_take(&j->k->rpcs, &j->look, m, depth, path, now);
    if (j->look.match != NULL) {
        kad_request_found(j, j->look.match);
    }
}

static void wide_reply(struct kad_request *j, const struct kad_msg *m, tstamp now, struct acts *out)
{
    ASSERT(j->look.wide_pending > 0);
    j->look.wide_pending--;
    if (m != NULL) {
        take(j, m, 1, 0, now);
    }
    kad_request_run(j, now, out);
}

/* A peer of the lookup has answered. */
static void lookup_reply(struct kad_request *j, struct kad_cand *c, const struct kad_rpc *r,
                         const struct kad_msg *m, tstamp now, struct acts *out)
{
    unsigned depth = c->depth, path = c->by;

    if (j->op == KAD_OP_GET) {
        kad_get_take(j, c, r, m, now, out);
    } else if (j->op == KAD_OP_PROVIDERS) {
        take_providers(j, m);
    } else if (j->op == KAD_OP_PUT || j->op == KAD_OP_PROVIDE) {
        kad_put_early(j, c, now, out);
    }
    if (!got_enough(j)) {
        take(j, m, depth, path, now); /* moves candidates: |c| is not valid after it */
    }
    if (!got_enough(j)) {
        kad_request_run(j, now, out);
        return;
    }
    j->hops = depth;
    if (lookup_end(j, now, out)) {
        kad_request_run(j, now, out);
    }
}

static void on_reply(struct kad_rpc_owner *o, struct kad_rpc *r, const struct kad_msg *m,
                     tstamp now, struct acts *out)
{
    struct kad_request *j = request_of(o);

    if (kad_type_stores(r->call.type)) {
        kad_put_reply(j, r, m, now, out);
        return;
    }
    if (j->phase != KAD_PHASE_LOOKUP) {
        return;
    }
    if (kad_lookup_is_wide(r)) {
        wide_reply(j, m, now, out);
        return;
    }
    struct kad_cand *c = kad_candidates_reply(&j->look.q, r->peer);
    if (c != NULL && m != NULL) {
        lookup_reply(j, c, r, m, now, out);
    }
}

static void on_fail(struct kad_rpc_owner *o, struct kad_rpc *r, tstamp now, struct acts *out)
{
    struct kad_request *j = request_of(o);

    if (kad_type_stores(r->call.type)) {
        kad_put_fail(j, r, now, out);
        return;
    }
    if (j->phase != KAD_PHASE_LOOKUP) {
        return;
    }
    if (kad_lookup_is_wide(r)) {
        wide_reply(j, NULL, now, out);
        return;
    }
    (void)kad_candidates_fail(&j->look.q, r->peer);
    kad_request_run(j, now, out);
}

static void on_slow(struct kad_rpc_owner *o, struct kad_rpc *r, tstamp now, struct acts *out)
{
    struct kad_request *j = request_of(o);
    struct kad *k = j->k;
    bool late = r->stage == KAD_STAGE_LATE;

    if (kad_type_stores(r->call.type)) {
        if (!late || r->counted_late) {
            return;
        }
        r->counted_late = true;
        j->store.n_late++;
    } else if (j->phase != KAD_PHASE_LOOKUP) {
        return;
    } else if (kad_lookup_is_wide(r)) {
        if (late) {
            kad_rpc_detach(&k->rpcs, r);
            wide_reply(j, NULL, now, out);
        }
        return;
    } else if (late) {
        kad_candidates_late(&j->look.q, r->peer);
    } else {
        kad_candidates_soft(&j->look.q, r->peer);
    }
    kad_request_run(j, now, out);
}

void kad_request_timer(struct kad_request *j, tstamp now, struct acts *out)
{
    qudag_err err = QUDAG_ETIMEOUT;

    if (j->phase == KAD_PHASE_STORE) {
        err = kad_put_result(j);
    } else if (j->op == KAD_OP_GET && j->value.bytes != NULL) {
        kad_get_holders(j);
        err = QUDAG_OK;
    } else if (j->op == KAD_OP_PROVIDERS && j->n_found > 0) {
        err = QUDAG_OK;
    }
    kad_request_end(j, err, now, out);
}

/* What an RPC of it says. */
static bool on_compose(struct kad_rpc_owner *o, const struct kad_rpc *r, struct kad_msg *m,
                       uint8_t prefix[KAD_PREFIX_KEY])
{
    const struct kad_request *j = request_of(o);
    struct kad *k = j->k;

    m->key = (struct slice){j->look.key, j->look.key_len};
    if (r->call.alt != KAD_ALT_NONE) {
        if (!kad_lookup_told_key(&k->rpcs, &j->look, r->call.alt, prefix)) {
            return false;
        }
        m->key = (struct slice){prefix, KAD_PREFIX_KEY};
    }
    m->want_digest = r->call.type == KAD_GET_VALUE && !r->call.full && kad_get_by_digest(j);
    if (r->call.type == KAD_PUT_VALUE) {
        m->has_record = true;
        m->rec_key = m->key;
        m->rec_value = (struct slice){j->value.bytes, j->value.len};
    }
    if (r->call.type == KAD_ADD_PROVIDER) {
        m->providers = k->env.buf->providers;
        kad_contact_decode(&m->providers[0], k->routing.self);
        m->n_providers = 1;
    }
    return true;
}

static const struct kad_rpc_ops rpc_ops = {on_compose, on_reply, on_fail, on_slow};

/* What we know ourselves.  True: the request is answered by it. */
static bool request_local(struct kad_request *j, tstamp now)
{
    struct kad *k = j->k;
    struct kad_contact *p[KAD_KEY_PROVIDERS];

    if (j->op == KAD_OP_GET) {
        const struct kad_record *r =
            kad_store_get(&k->storage.store, j->look.hash, kad_env_wall(&k->env, now));
        if (r != NULL && kad_get_value(j, (struct slice){r->value, r->value_len})) {
            j->value.confirmed = 1;
            kad_request_found_self(j);
            return j->read == KAD_READ_FIRST;
        }
    } else if (j->op == KAD_OP_PROVIDERS) {
        size_t n = kad_store_providers(&k->storage.store, j->look.hash, kad_env_wall(&k->env, now),
                                       KAD_KEY_PROVIDERS, p);
        for (size_t i = 0; i < n; i++) {
            kad_request_found(j, p[i]);
        }
        return n == KAD_KEY_PROVIDERS;
    } else if (j->op == KAD_OP_FIND_PEER) {
        struct kad_contact *e = kad_table_find(&k->routing.table, j->look.hash);
        if (e != NULL && e->info->n_addrs > 0) {
            kad_request_found(j, e);
            return true;
        }
    }
    return false;
}

/* What its lookup is for. */
static struct kad_lookup_params lookup_params(const struct kad_request_args *args)
{
    enum kad_op op = args->op;
    bool get = op == KAD_OP_GET, put = op == KAD_OP_PUT, providers = op == KAD_OP_PROVIDERS;

    return (struct kad_lookup_params){
        .type = get         ? KAD_GET_VALUE
                : providers ? KAD_GET_PROVIDERS
                            : KAD_FIND_NODE,
        .narrow = get || providers || op == KAD_OP_FIND_PEER,
        .seeks = get || providers,
        .stores = put || op == KAD_OP_PROVIDE,
        .careful = (get || put) && kad_read_mode(args->val, args->opt.read) == KAD_READ_PATHS,
        .peer = op == KAD_OP_FIND_PEER,
        .bootstrap = op == KAD_OP_BOOTSTRAP,
        .masked = args->opt.masked,
        .bits = args->bits};
}

static uint32_t quorum_of(const struct kad *k, const struct kad_request_args *args)
{
    uint32_t own = args->val == NULL ? 0 : args->val->quorum;

    return args->opt.quorum != 0 ? args->opt.quorum : own != 0 ? own : k->requests.quorum;
}

bool kad_requests_full(const struct kad *k)
{
    return k->requests.n >= k->requests.max ||
           k->requests.n_after >= KAD_REQUESTS_AFTER * k->requests.max;
}

/* Fills in a request; on failure it is to be freed. */
static qudag_err request_init(struct kad_request *j, struct kad *k,
                              const struct kad_request_args *args, tstamp now)
{
    struct kad_lookup_params p = lookup_params(args);

    j->k = k;
    j->op = args->op;
    j->internal = args->internal;
    j->cookie = args->cookie;
    j->val = args->val;
    j->read = kad_read_mode(args->val, args->opt.read);
    j->store.want = quorum_of(k, args);
    j->fill = args->fill;
    j->began = now;
    k->env.stats.masked += args->opt.masked ? 1 : 0;
    j->due = tstamp_after(now, k->requests.life_ns);
    kad_lookup_init(&j->look, &rpc_ops, &p, args->key);
    list_init(&j->node);
    j->timer = (struct kad_timer){.kind = KAD_TIMER_REQUEST, .owner = j};
    qudag_err err = kad_env_timer_set(&k->env, &j->timer, j->due);
    if (err == QUDAG_OK && args->op == KAD_OP_PUT && !kad_get_value(j, args->value)) {
        err = QUDAG_ENOMEM;
    }
    return err;
}

qudag_err kad_request_make(struct kad *k, const struct kad_request_args *args, tstamp now,
                           struct kad_request **out)
{
    if (args->internal ? k->requests.n_internal >= KAD_REQUESTS_INTERNAL : kad_requests_full(k)) {
        return QUDAG_ELIMIT;
    }
    struct kad_request *j = mem_alloc(k->env.mem, sizeof(*j));
    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = request_init(j, k, args, now);
    if (err != QUDAG_OK) {
        kad_request_free(j);
        return err;
    }
    *out = j;
    return QUDAG_OK;
}

void kad_request_begin(struct kad_request *j, tstamp now, struct acts *out)
{
    struct kad *k = j->k;

    list_push_back(&k->requests.running, &j->node);
    k->requests.n += j->internal ? 0 : 1;
    k->requests.n_internal += j->internal ? 1 : 0;
    if (request_local(j, now)) {
        kad_request_end(j, QUDAG_OK, now, out);
        return;
    }
    kad_lookup_begin(&k->rpcs, &j->look, now);
    kad_request_run(j, now, out);
}

qudag_err kad_request_start(struct kad *k, const struct kad_request_args *args, tstamp now,
                            struct acts *out)
{
    struct kad_request *j;
    qudag_err err = kad_request_make(k, args, now, &j);

    if (err == QUDAG_OK) {
        kad_request_begin(j, now, out);
    }
    return err;
}
