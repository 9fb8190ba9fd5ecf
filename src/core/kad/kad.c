/*
 * kad.c - public functions, events and ticks, and state that the parts share.
 *
 * Work that no caller requests is in maintenance.c.
 */
#include "core/kad/kad_int.h"

#include <string.h>

#define RECORDS_DEFAULT 4096
#define BYTES_DEFAULT (32u * 1024 * 1024)
#define PROVIDERS_DEFAULT 4096
#define REQUESTS_MAX_DEFAULT 64
#define QUORUM_DEFAULT 15
#define TIMERS_MAX (KAD_RPCS_MAX + KAD_INBOUND_MAX + KAD_PUBLICATIONS_MAX + 4096)

static void requests_free(struct list *l)
{
    LIST_EACH_SAFE(it, tmp, l)
    {
        kad_request_free(LIST_ENTRY(it, struct kad_request, node));
    }
}

void kad_call_begin(struct kad *k, const struct acts *out)
{
    if (acts_settled(out)) {
        requests_free(&k->requests.ended);
    }
    k->env.acts_0 = out->n;
    k->env.bytes_0 = out->bytes_n;
}

/* ---- life ---- */

static uint32_t or_default(uint32_t v, uint32_t def)
{
    return v == 0 ? def : v;
}

static bool config_ok(const struct kad_config *c)
{
    if (c->mem == NULL || c->rng.fill == NULL || c->protocol == NULL || c->self.len == 0 ||
        c->n_validators > KAD_VALIDATORS_MAX) {
        return false;
    }
    for (size_t i = 0; i < c->n_validators; i++) {
        if (c->validator[i].ns == NULL || c->validator[i].check == NULL) {
            return false;
        }
    }
    return true;
}

/* The server heard from a contact that failed lately. */
static void check_contact(void *ctx, struct kad_contact *c, tstamp now, struct acts *out)
{
    struct kad *k = ctx;

    kad_rpc_check(&k->rpcs, c, now, out);
}

static void rooms_init(struct kad *k, const struct kad_config *c)
{
    uint8_t seed[48];
    uint64_t key[2];
    uint32_t records_max = or_default(c->records_max, RECORDS_DEFAULT);
    struct kad_store_config store = {
        .records_max = records_max,
        .providers_max = or_default(c->providers_max, PROVIDERS_DEFAULT),
        .bytes_max = c->record_bytes_max == 0 ? BYTES_DEFAULT : c->record_bytes_max,
        .report = c->report_store};

    rng_fill(&k->env.rng, seed, sizeof(seed));
    memcpy(key, seed + 32, sizeof(key));
    kad_addrinfo_pool_seed(&k->scratch->shared.pool, key);
    k->rules.n = c->n_validators;
    memcpy(k->rules.v, c->validator, sizeof(k->rules.v));
    kad_rpcs_init(&k->rpcs, &k->env, &k->routing);
    k->storage.env = &k->env;
    k->storage.routing = &k->routing;
    k->storage.rules = &k->rules;
    kad_store_init(&k->storage.store, &k->env, &store, seed);
    kad_publications_init(&k->storage.pubs, &k->env, &k->storage.store, &k->rules);
    k->server.env = &k->env;
    k->server.routing = &k->routing;
    k->server.store = &k->storage.store;
    k->server.rules = &k->rules;
    k->server.check = check_contact;
    k->server.ctx = k;
    kad_limits_init(&k->server.limits, &k->env, &k->routing, &c->limits, records_max, key);
    kad_serve_init(&k->server);
    list_init(&k->requests.running);
    list_init(&k->requests.ended);
    k->requests.max = or_default(c->requests_max, REQUESTS_MAX_DEFAULT);
    k->requests.quorum = or_default(c->quorum, QUORUM_DEFAULT);
    k->requests.life_ns = c->request_ns != 0 ? c->request_ns : KAD_REQUEST_TIMEOUT;
}

static void env_init(struct kad_env *e, const struct kad_config *c, struct kad_scratch *s)
{
    e->mem = c->mem;
    e->buf = &s->buf;
    e->server = c->server;
    e->lab = c->lab;
    e->need = c->need;
    e->rng = c->rng;
    e->log = c->log;
    e->clock = c->clock;
    e->self = c->self;
    sha256(e->hash, peer_id_slice(&c->self));
    heap_init(&e->timers, c->mem, TIMERS_MAX);
}

qudag_err kad_new(struct kad **out, const struct kad_config *cfg, tstamp now)
{
    *out = NULL;
    if (!config_ok(cfg)) {
        return QUDAG_EINVAL;
    }
    struct kad *k = mem_alloc(cfg->mem, sizeof(*k));
    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    k->scratch = cfg->scratch;
    if (k->scratch == NULL) {
        k->own_scratch = true;
        k->scratch = kad_scratch_new(cfg->mem);
    }
    if (k->scratch == NULL) {
        mem_free(cfg->mem, k);
        return QUDAG_ENOMEM;
    }
    k->protocol = cfg->protocol;
    env_init(&k->env, cfg, k->scratch);
    rooms_init(k, cfg);
    if (!kad_contacts_init(&k->routing, &k->env, &k->scratch->shared)) {
        kad_free(k);
        return QUDAG_ENOMEM;
    }
    kad_maintenance_init(k, now);
    *out = k;
    return QUDAG_OK;
}

void kad_set_request_time(struct kad *k, uint64_t request_ns)
{
    k->requests.life_ns = request_ns;
}

void kad_free(struct kad *k)
{
    if (k == NULL) {
        return;
    }
    requests_free(&k->requests.ended);
    requests_free(&k->requests.running);
    kad_rpcs_fini(&k->rpcs);
    kad_publications_fini(&k->storage.pubs);
    kad_serve_fini(&k->server);
    kad_store_fini(&k->storage.store);
    kad_contacts_fini(&k->routing);
    heap_fini(&k->env.timers);
    if (k->own_scratch) {
        kad_scratch_free(k->env.mem, k->scratch);
    }
    mem_free(k->env.mem, k);
}

const char *kad_protocol(const struct kad *k)
{
    return k->protocol;
}

void kad_set_server(struct kad *k, bool server)
{
    k->env.server = server;
}

qudag_err kad_namespace(struct kad *k, const struct kad_validator *v)
{
    return kad_rules_add(&k->rules, v);
}

void kad_set_clock(struct kad *k, struct wallclock clock)
{
    k->env.clock = clock;
}

/* ---- contacts ---- */

void kad_set_addrs(struct kad *k, const struct multiaddr *addr, size_t n)
{
    kad_contacts_set_self(&k->routing, addr, n);
}

void kad_add_peer(struct kad *k, const struct kad_peer_info *peer, tstamp now, struct acts *out)
{
    kad_call_begin(k, out);
    kad_rpc_check(&k->rpcs, kad_contacts_add(&k->routing, peer, now), now, out);
}

void kad_preload(struct kad *k, const struct kad_peer_info *peer, tstamp rtt, tstamp seen)
{
    kad_contacts_preload(&k->routing, peer, rtt, seen);
}

void kad_backoff_reset(struct kad *k)
{
    kad_contacts_backoff_reset(&k->routing);
}

void kad_drop_peer(struct kad *k, const struct peer_id *peer)
{
    kad_contacts_drop(&k->routing, peer);
}

/* ---- requests ---- */

static struct kad_options options(const struct kad_options *opt)
{
    return opt == NULL ? (struct kad_options){.republish = false} : *opt;
}

static qudag_err start(struct kad *k, struct kad_request_args args, tstamp now, struct acts *out)
{
    struct slice key = args.key;

    kad_call_begin(k, out);
    if (key.len == 0 || key.len > KAD_KEY_MAX) {
        return QUDAG_EINVAL;
    }
    if (args.op == KAD_OP_GET) {
        args.val = kad_rules_find(&k->rules, key);
        if (args.val == NULL) {
            return QUDAG_EINVAL;
        }
    }
    return kad_request_start(k, &args, now, out);
}

qudag_err kad_find(struct kad *k, uint64_t cookie, struct slice key, tstamp now, struct acts *out)
{
    return start(k, (struct kad_request_args){.op = KAD_OP_FIND, .cookie = cookie, .key = key}, now,
                 out);
}

qudag_err kad_find_peer(struct kad *k, uint64_t cookie, const struct peer_id *peer, tstamp now,
                        struct acts *out)
{
    return start(k,
                 (struct kad_request_args){
                     .op = KAD_OP_FIND_PEER, .cookie = cookie, .key = peer_id_slice(peer)},
                 now, out);
}

qudag_err kad_get(struct kad *k, uint64_t cookie, struct slice key, const struct kad_options *opt,
                  tstamp now, struct acts *out)
{
    return start(k,
                 (struct kad_request_args){
                     .op = KAD_OP_GET, .cookie = cookie, .key = key, .opt = options(opt)},
                 now, out);
}

qudag_err kad_providers(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                        struct acts *out)
{
    return start(k, (struct kad_request_args){.op = KAD_OP_PROVIDERS, .cookie = cookie, .key = key},
                 now, out);
}

qudag_err kad_bootstrap(struct kad *k, uint64_t cookie, tstamp now, struct acts *out)
{
    k->care.rejoin_wait = KAD_REJOIN_MIN;
    k->care.rejoin_at = tstamp_after(now, k->care.rejoin_wait);
    return start(k,
                 (struct kad_request_args){
                     .op = KAD_OP_BOOTSTRAP, .cookie = cookie, .key = peer_id_slice(&k->env.self)},
                 now, out);
}

/* What cannot begin is not published either. */
static qudag_err start_published(struct kad *k, const struct kad_request_args *args, bool republish,
                                 tstamp now, struct acts *out)
{
    struct kad_request *j;
    qudag_err err = kad_request_make(k, args, now, &j);

    if (err != QUDAG_OK) {
        return err;
    }
    if (republish) {
        err = kad_publication_add(&k->storage.pubs, args->key, args->value,
                                  args->op == KAD_OP_PROVIDE, now);
    }
    if (err != QUDAG_OK) {
        kad_request_free(j);
        return err;
    }
    kad_request_begin(j, now, out);
    return QUDAG_OK;
}

qudag_err kad_put(struct kad *k, uint64_t cookie, const struct kad_put_args *put, tstamp now,
                  struct acts *out)
{
    struct kad_request_args args = {.op = KAD_OP_PUT,
                                    .cookie = cookie,
                                    .key = put->key,
                                    .value = put->value,
                                    .opt = options(put->opt),
                                    .val = kad_rules_find(&k->rules, put->key)};
    walltime expires;

    kad_call_begin(k, out);
    if (put->key.len == 0 || put->key.len > KAD_KEY_MAX || put->value.len > KAD_VALUE_MAX) {
        return QUDAG_EINVAL;
    }
    if (args.val == NULL || put->value.len > args.val->value_max) {
        return QUDAG_EINVAL;
    }
    qudag_err err =
        kad_validate(args.val, put->key, put->value, kad_env_wall(&k->env, now), &expires);
    return err == QUDAG_OK ? start_published(k, &args, args.opt.republish, now, out) : err;
}

qudag_err kad_provide(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                      struct acts *out)
{
    struct kad_request_args args = {.op = KAD_OP_PROVIDE, .cookie = cookie, .key = key};

    kad_call_begin(k, out);
    if (key.len == 0 || key.len > KAD_KEY_MAX || k->routing.self->info->n_addrs == 0) {
        return QUDAG_EINVAL;
    }
    return start_published(k, &args, true, now, out);
}

void kad_cancel(struct kad *k, uint64_t cookie, struct acts *out)
{
    kad_call_begin(k, out);
    LIST_EACH_SAFE(it, tmp, &k->requests.running)
    {
        struct kad_request *j = LIST_ENTRY(it, struct kad_request, node);
        if (!j->internal && !j->reported && j->cookie == cookie) {
            kad_request_end(j, QUDAG_ECANCELED, j->began, out);
            return;
        }
    }
}

/* ---- events ---- */

static void on_open(struct kad *k, const struct ev *ev, tstamp now, struct acts *out)
{
    if (ev->inbound) {
        kad_serve_open(&k->server, ev, now, out);
        return;
    }
    struct kad_rpc *r = kad_rpc_by_cookie(&k->rpcs, ev->cookie);
    if (r == NULL) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* nobody waits for it any more */
        return;
    }
    kad_rpc_opened(&k->rpcs, r, ev->strm, now, out);
}

static void on_stream(struct kad *k, const struct ev *ev, tstamp now, struct acts *out)
{
    struct kad_rpc *r = map_u64_get(&k->rpcs.by_strm, ref_to_u64(ev->strm));

    if (r == NULL) {
        struct kad_inbound *in = kad_serve_find(&k->server, ev->strm);
        if (in != NULL) {
            kad_serve_event(&k->server, in, ev, now, out);
        }
        return;
    }
    if (ev->type == EV_DATA) {
        kad_rpc_data(&k->rpcs, r, ev->data, now, out);
    } else if (ev->type == EV_FIN) {
        kad_rpc_fin(&k->rpcs, r, now, out);
    } else if (ev->type == EV_RESET) {
        kad_rpc_reset(&k->rpcs, r, ev->err, now, out);
    }
}

static void kad_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct kad *k = core;
    struct kad_rpc *r;

    kad_call_begin(k, out);
    switch (ev->type) {
    case EV_STREAM_OPEN:
        on_open(k, ev, now, out);
        break;
    case EV_STREAM_FAIL:
        r = kad_rpc_by_cookie(&k->rpcs, ev->cookie);
        if (r != NULL && r->state == KAD_RPC_OPENING) {
            kad_rpc_reset(&k->rpcs, r, ev->err, now, out);
        }
        break;
    case EV_DATA:
    case EV_WRITABLE:
    case EV_FIN:
    case EV_RESET:
        on_stream(k, ev, now, out);
        break;
    case EV_PEER_UP:
        kad_rpc_check(&k->rpcs, kad_contacts_is_back(&k->routing, ev->peer), now, out);
        break;
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
}

/* ---- time ---- */

static void on_republish(struct kad *k, struct kad_publication *e, tstamp now, struct acts *out)
{
    struct kad_due due;

    if (!kad_publication_timer(&k->storage.pubs, e, now, &due)) {
        return;
    }
    struct kad_request_args args = {.op = due.provide ? KAD_OP_PROVIDE : KAD_OP_PUT,
                                    .internal = true,
                                    .key = due.key,
                                    .value = due.value,
                                    .val = due.val};
    qudag_err err = kad_request_start(k, &args, now, out);
    if (err != QUDAG_OK) {
        kad_publication_result(&k->storage.pubs, due.key, due.provide, err, now);
    }
}

static void on_timer(struct kad *k, struct kad_timer *t, tstamp now, struct acts *out)
{
    switch (t->kind) {
    case KAD_TIMER_RPC:
        kad_rpc_timer(&k->rpcs, t->owner, now, out);
        break;
    case KAD_TIMER_REQUEST:
        kad_request_timer(t->owner, now, out);
        break;
    case KAD_TIMER_INBOUND:
        kad_serve_timer(&k->server, t->owner, out);
        break;
    case KAD_TIMER_REPUBLISH:
        on_republish(k, t->owner, now, out);
        break;
    }
}

static void kad_tick(void *core, tstamp now, struct acts *out)
{
    struct kad *k = core;
    struct heap_node *top;

    kad_call_begin(k, out);
    k->env.more = false;
    while ((top = heap_top(&k->env.timers)) != NULL && top->at <= now) {
        if (!kad_env_room(&k->env, out, KAD_ACTS_SPARE, KAD_HINTS_MAX)) {
            k->env.more = true;
            return;
        }
        on_timer(k, LIST_ENTRY(top, struct kad_timer, node), now, out);
    }
    LIST_EACH_SAFE(it, tmp, &k->server.ready)
    {
        if (!kad_env_room(&k->env, out, 8, KAD_MSG_MAX + 8)) {
            k->env.more = true;
            break;
        }
        kad_serve_more(&k->server, LIST_ENTRY(it, struct kad_inbound, ready), now, out);
    }
    LIST_EACH_SAFE(it, tmp, &k->requests.running)
    {
        struct kad_request *j = LIST_ENTRY(it, struct kad_request, node);
        if (j->look.starved) {
            j->look.starved = false;
            kad_request_run(j, now, out);
        }
    }
    kad_maintain(k, now, out);
}

static tstamp kad_deadline(const void *core)
{
    const struct kad *k = core;
    const struct heap_node *top = heap_top(&k->env.timers);

    if (k->env.more) {
        return 0;
    }
    return tstamp_min(kad_maintenance_at(k), top == NULL ? TSTAMP_NEVER : top->at);
}

const struct core_ops kad_ops = {
    .inbound_max = 64,
    .direct_only = true, /* who is reached through others is no node of the DHT */
    .early = true,
    .event = kad_event,
    .tick = kad_tick,
    .deadline = kad_deadline,
};

/* ---- what outlives us ---- */

bool kad_change_next(struct kad *k, struct kad_change *out, tstamp now)
{
    return kad_persist_next(&k->storage, out, now);
}

void kad_change_all(struct kad *k)
{
    kad_persist_all(&k->storage);
}

void kad_read_only(struct kad *k, bool read_only)
{
    k->storage.store.read_only = read_only;
}

qudag_err kad_restore(struct kad *k, enum kad_persist_kind kind, const uint8_t hash[SHA256_LEN],
                      struct slice bytes, tstamp now)
{
    return kad_persist_restore(&k->storage, kind, hash, bytes, now);
}

size_t kad_anchors(const struct kad *k, uint8_t *dst, size_t cap)
{
    return kad_persist_anchors(&k->routing.table, dst, cap);
}

bool kad_anchor_next(struct slice bytes, size_t *at, struct kad_peer_info *out)
{
    return kad_persist_anchor_next(bytes, at, out);
}

bool kad_unpublish(struct kad *k, struct slice key)
{
    return kad_publication_remove(&k->storage.pubs, key);
}

bool kad_published_next(const struct kad *k, size_t *it, tstamp now, struct slice *key,
                        bool *provide, walltime *due)
{
    struct kad_publication_args own;

    if (!kad_publication_next(&k->storage.pubs, it, now, &own)) {
        return false;
    }
    *key = own.key;
    *provide = own.provide;
    *due = own.due;
    return true;
}

/* ---- looking in ---- */

void kad_stats_get(const struct kad *k, struct kad_stats *out)
{
    *out = k->env.stats;
    out->table = k->routing.table.n;
    out->records = k->storage.store.n_records;
    out->providers = k->storage.store.n_providers;
    out->requests = k->requests.n;
    out->published = k->storage.pubs.n;
    out->evicted = k->storage.store.evicted;
    out->record_bytes = k->storage.store.bytes;
    out->record_bytes_max = k->storage.store.bytes_max;
    out->records_max = k->storage.store.records_max;
    out->providers_max = k->storage.store.providers_max;
}

bool kad_is_near(const struct kad *k, const struct peer_id *peer)
{
    const struct kad_table *t = &k->routing.table;
    uint8_t hash[SHA256_LEN];

    sha256(hash, peer_id_slice(peer));
    return kad_table_find(t, hash) != NULL && kad_bucket_ix(t, hash) >= kad_table_nearest(t);
}

bool kad_table_next(const struct kad *k, size_t *it, struct kad_peer_info *out)
{
    for (; *it < (size_t)KAD_BUCKETS * KAD_K; (*it)++) {
        const struct kad_bucket *b = k->routing.table.bucket[*it / KAD_K];
        if (b != NULL && *it % KAD_K < b->n) {
            memset(out, 0, sizeof(*out));
            kad_contact_decode(out, b->peer[*it % KAD_K]);
            (*it)++;
            return true;
        }
    }
    return false;
}

bool kad_record_next(const struct kad *k, size_t *it, struct slice *key, struct slice *value,
                     walltime *expires)
{
    const struct kad_record *r = map_next(&k->storage.store.records, it);

    if (r == NULL) {
        return false;
    }
    *key = (struct slice){r->key, r->key_len};
    *value = (struct slice){r->value, r->value_len};
    *expires = r->expires;
    return true;
}

bool kad_record_local(const struct kad *k, struct slice key, tstamp now, struct slice *value)
{
    uint8_t hash[SHA256_LEN];

    sha256(hash, key);
    const struct kad_record *r = kad_store_get(&k->storage.store, hash, kad_env_wall(&k->env, now));
    if (r == NULL) {
        return false;
    }
    *value = (struct slice){r->value, r->value_len};
    return true;
}
