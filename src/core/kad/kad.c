/*
 * kad.c - the public functions, events and ticks, and what the parts share.
 *
 * What is done without being asked: maintenance.c.
 */
#include "core/kad/republish.h"

#include "base/assert.h"

#include <string.h>

#define RECORDS_DEFAULT 4096
#define BYTES_DEFAULT (32u * 1024 * 1024)
#define PROVIDERS_DEFAULT 4096
#define QUERIES_DEFAULT 64
#define QUORUM_DEFAULT 15
#define TIMERS_MAX (KAD_RPCS_MAX + KAD_INBOUND_MAX + KAD_KEEPS_MAX + 4096)

walltime kad_wall(const struct kad *k, tstamp now)
{
    return wall_now(&k->cfg.clock, now);
}

bool kad_room(const struct kad *k, const struct acts *out, size_t acts, size_t bytes)
{
    size_t n = out->n - k->acts_0 + acts, b = out->bytes_n - k->bytes_0 + bytes;

    return n <= ACTS_ROOM - KAD_ACTS_SPARE && b <= ACTS_BYTES_ROOM && !out->overflow;
}

qudag_err kad_timer_set(struct kad *k, struct kad_timer *t, tstamp at)
{
    return heap_set(&k->timers, &t->node, at == TSTAMP_NEVER ? TSTAMP_NEVER - 1 : at);
}

void kad_enter(struct kad *k, const struct acts *out)
{
    LIST_EACH_SAFE(it, tmp, &k->ended)
    {
        kad_job_free(k, LIST_ENTRY(it, struct kad_job, node));
    }
    mem_free(k->cfg.mem, k->up_info);
    k->up_info = NULL;
    k->acts_0 = out->n;
    k->bytes_0 = out->bytes_n;
}

/* ---- values ---- */

const struct kad_validator *kad_validator_find(const struct kad *k, struct slice key)
{
    const struct kad_validator *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < k->cfg.n_validators; i++) {
        const struct kad_validator *v = &k->cfg.validator[i];
        size_t n = strlen(v->ns);
        if (key.len > n + 2 && key.base[0] == '/' && key.base[n + 1] == '/' &&
            memcmp(key.base + 1, v->ns, n) == 0 && n + 1 > best_len) {
            best = v;
            best_len = n + 1;
        }
    }
    return best;
}

qudag_err kad_namespace(struct kad *k, const struct kad_validator *v)
{
    if (v->ns == NULL || v->check == NULL || v->ns[0] == '\0') {
        return QUDAG_EINVAL;
    }
    for (size_t i = 0; i < k->cfg.n_validators; i++) {
        if (strcmp(k->cfg.validator[i].ns, v->ns) == 0) {
            return QUDAG_EEXISTS;
        }
    }
    if (k->cfg.n_validators == KAD_VALIDATORS_MAX) {
        return QUDAG_ELIMIT;
    }
    k->cfg.validator[k->cfg.n_validators++] = *v;
    return QUDAG_OK;
}

qudag_err kad_judge(const struct kad *k, const struct kad_validator *v, struct slice key,
                    struct slice value, tstamp now, walltime *expires)
{
    walltime wall = kad_wall(k, now), most = wall + KAD_RECORD_LIFE;

    if (value.len > KAD_VALUE_MAX || value.len > v->value_max) {
        return QUDAG_ETOOBIG;
    }
    *expires = most;
    qudag_err err = v->check(v->ctx, key, value, wall, expires);
    if (err != QUDAG_OK) {
        return err;
    }
    *expires = *expires < most ? *expires : most;
    return *expires > wall ? QUDAG_OK : QUDAG_EEXPIRED;
}

qudag_err kad_keep_value(struct kad *k, const struct kad_validator *v, struct slice key,
                         struct slice value, tstamp now)
{
    uint8_t hash[SHA256_LEN];
    walltime expires, wall = kad_wall(k, now);
    qudag_err err = kad_judge(k, v, key, value, now, &expires);

    if (err != QUDAG_OK) {
        return err;
    }
    sha256(hash, key);
    const struct kad_record *old = kad_store_get(&k->store, hash, wall);
    if (old != NULL && v->select != NULL &&
        v->select(v->ctx, key, value, (struct slice){old->value, old->value_len}) < 0) {
        return QUDAG_ESTALE;
    }
    return kad_store_put(&k->store, key, value, wall, expires);
}

bool kad_part_key(struct kad *k, unsigned cpl, unsigned part, uint8_t key[KAD_PLACE_KEY])
{
    unsigned bits = cpl + 1 + KAD_PART_BITS;

    ASSERT(cpl <= KAD_REFRESH_BITS && part < KAD_PARTS);
    uint64_t want = kad_hash_prefix(k->hash) >> (64 - cpl - 1) ^ 1;
    want = want << KAD_PART_BITS | part;
    return kad_place_key(k, (uint32_t)(want << (KAD_PLACE_BITS - bits)), bits, key);
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

static void parts_init(struct kad *k)
{
    uint8_t seed[48];
    struct mem *mem = k->cfg.mem;

    rng_fill(&k->cfg.rng, seed, sizeof(seed));
    sha256(k->hash, peer_id_slice(&k->cfg.self));
    kad_table_init(&k->table, mem, &k->cfg.self, k->cfg.lab);
    kad_store_init(&k->store, mem, &k->cfg, seed);
    heap_init(&k->timers, mem, TIMERS_MAX);
    slots_init(&k->rpcs, mem, KAD_RPCS_MAX);
    kad_names_init(&k->rpc_by_strm, mem, KAD_RPCS_MAX);
    kad_names_init(&k->inbound_by_strm, mem, KAD_INBOUND_MAX);
    kad_limits_init(k);
    memcpy(k->client_seed, seed + 32, sizeof(k->client_seed));
    kad_whos_key(&k->scratch->whos, k->client_seed);
    list_init(&k->loose);
    list_init(&k->checks);
    list_init(&k->jobs);
    list_init(&k->ended);
    list_init(&k->inbounds);
    list_init(&k->ready);
    list_init(&k->keeps);
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
    k->cfg = *cfg;
    k->cfg.records_max = or_default(cfg->records_max, RECORDS_DEFAULT);
    k->cfg.record_bytes_max = cfg->record_bytes_max == 0 ? BYTES_DEFAULT : cfg->record_bytes_max;
    k->cfg.providers_max = or_default(cfg->providers_max, PROVIDERS_DEFAULT);
    k->cfg.queries_max = or_default(cfg->queries_max, QUERIES_DEFAULT);
    k->cfg.quorum = or_default(cfg->quorum, QUORUM_DEFAULT);
    k->scratch = cfg->scratch;
    if (k->scratch == NULL) {
        k->own_scratch = true;
        k->scratch = kad_scratch_new(cfg->mem);
    }
    if (k->scratch == NULL) {
        mem_free(cfg->mem, k);
        return QUDAG_ENOMEM;
    }
    parts_init(k);
    struct kad_peer_info me = {.id = cfg->self};
    k->me = kad_peer_make(k, &me, k->hash);
    if (k->me == NULL) {
        kad_free(k);
        return QUDAG_ENOMEM;
    }
    k->rejoin_wait = KAD_REJOIN_MIN;
    kad_upkeep_init(k, now);
    *out = k;
    return QUDAG_OK;
}

void kad_free(struct kad *k)
{
    if (k == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &k->ended)
    {
        kad_job_free(k, LIST_ENTRY(it, struct kad_job, node));
    }
    LIST_EACH_SAFE(it, tmp, &k->jobs)
    {
        kad_job_free(k, LIST_ENTRY(it, struct kad_job, node));
    }
    LIST_EACH_SAFE(it, tmp, &k->loose)
    {
        kad_rpc_abort(k, LIST_ENTRY(it, struct kad_rpc, node), NULL);
    }
    LIST_EACH_SAFE(it, tmp, &k->checks)
    {
        kad_rpc_abort(k, LIST_ENTRY(it, struct kad_rpc, node), NULL);
    }
    kad_keeps_fini(k);
    mem_free(k->cfg.mem, k->up_info);
    mem_free(k->cfg.mem, k->failed);
    mem_free(k->cfg.mem, k->liars);
    kad_serve_fini(k);
    while (k->n_seeds > 0) {
        kad_seed_cut(k, k->n_seeds - 1);
    }
    kad_lost_fini(k);
    kad_peer_unref(k->me);
    kad_store_fini(&k->store);
    kad_table_fini(&k->table);
    kad_names_fini(&k->rpc_by_strm);
    kad_names_fini(&k->inbound_by_strm);
    slots_fini(&k->rpcs);
    heap_fini(&k->timers);
    if (k->own_scratch) {
        kad_scratch_free(k->cfg.mem, k->scratch);
    }
    mem_free(k->cfg.mem, k);
}

struct kad_scratch *kad_scratch_new(struct mem *mem)
{
    struct kad_scratch *s = mem_alloc(mem, sizeof(*s));

    if (s != NULL) {
        s->mem = mem;
        kad_whos_init(&s->whos, mem);
    }
    return s;
}

size_t kad_scratch_size(const struct kad_scratch *s)
{
    return sizeof(*s) + s->whos.bytes + s->whos.cap * sizeof(struct kad_who *) +
           (s->places == NULL ? 0 : sizeof(*s->places));
}

void kad_scratch_free(struct mem *mem, struct kad_scratch *s)
{
    if (s != NULL) {
        kad_whos_fini(&s->whos);
        mem_free(mem, s->places);
        mem_free(mem, s);
    }
}

const char *kad_protocol(const struct kad *k)
{
    return k->cfg.protocol;
}

void kad_set_clock(struct kad *k, struct wallclock clock)
{
    k->cfg.clock = clock;
}

void kad_set_addrs(struct kad *k, const struct multiaddr *addr, size_t n)
{
    struct kad_peer_info me = {.id = k->cfg.self};

    for (size_t i = 0; i < n && me.n_addrs < KAD_ADDRS_MAX; i++) {
        if (kad_addr_usable(&addr[i], k->cfg.lab)) {
            me.addr[me.n_addrs++] = addr[i];
        }
    }
    struct kad_peer *p = kad_peer_make(k, &me, k->hash);
    if (p != NULL) {
        kad_peer_unref(k->me);
        k->me = p;
    }
}

/* ---- requests ---- */

static struct kad_options options(const struct kad_options *opt)
{
    return opt == NULL ? (struct kad_options){.republish = false} : *opt;
}

static qudag_err start(struct kad *k, struct kad_ask ask, tstamp now, struct acts *out)
{
    struct slice key = ask.key;

    kad_enter(k, out);
    if (key.len == 0 || key.len > KAD_KEY_MAX) {
        return QUDAG_EINVAL;
    }
    if (ask.op == KAD_OP_GET) {
        ask.val = kad_validator_find(k, key);
        if (ask.val == NULL) {
            return QUDAG_EINVAL;
        }
    }
    return kad_job_start(k, &ask, now, out);
}

qudag_err kad_find(struct kad *k, uint64_t cookie, struct slice key, tstamp now, struct acts *out)
{
    return start(k, (struct kad_ask){.op = KAD_OP_FIND, .cookie = cookie, .key = key}, now, out);
}

qudag_err kad_find_peer(struct kad *k, uint64_t cookie, const struct peer_id *peer, tstamp now,
                        struct acts *out)
{
    return start(
        k, (struct kad_ask){.op = KAD_OP_FIND_PEER, .cookie = cookie, .key = peer_id_slice(peer)},
        now, out);
}

qudag_err kad_get(struct kad *k, uint64_t cookie, struct slice key, const struct kad_options *opt,
                  tstamp now, struct acts *out)
{
    return start(
        k, (struct kad_ask){.op = KAD_OP_GET, .cookie = cookie, .key = key, .opt = options(opt)},
        now, out);
}

qudag_err kad_providers(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                        struct acts *out)
{
    return start(k, (struct kad_ask){.op = KAD_OP_PROVIDERS, .cookie = cookie, .key = key}, now,
                 out);
}

qudag_err kad_bootstrap(struct kad *k, uint64_t cookie, tstamp now, struct acts *out)
{
    k->rejoin_wait = KAD_REJOIN_MIN;
    k->rejoin_at = tstamp_after(now, k->rejoin_wait);
    return start(k,
                 (struct kad_ask){
                     .op = KAD_OP_BOOTSTRAP, .cookie = cookie, .key = peer_id_slice(&k->cfg.self)},
                 now, out);
}

qudag_err kad_put(struct kad *k, uint64_t cookie, struct slice key, struct slice value,
                  const struct kad_options *opt, tstamp now, struct acts *out)
{
    struct kad_ask ask = {
        .op = KAD_OP_PUT, .cookie = cookie, .key = key, .value = value, .opt = options(opt)};
    walltime expires;

    kad_enter(k, out);
    if (key.len == 0 || key.len > KAD_KEY_MAX || value.len > KAD_VALUE_MAX) {
        return QUDAG_EINVAL;
    }
    ask.val = kad_validator_find(k, key);
    if (ask.val == NULL || value.len > ask.val->value_max) {
        return QUDAG_EINVAL;
    }
    qudag_err err = kad_judge(k, ask.val, key, value, now, &expires);
    if (err == QUDAG_OK && kad_jobs_full(k)) {
        err = QUDAG_ELIMIT;
    }
    if (err == QUDAG_OK && ask.opt.republish) {
        err = kad_keep_add(k, key, value, false, now);
    }
    return err == QUDAG_OK ? kad_job_start(k, &ask, now, out) : err;
}

qudag_err kad_provide(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                      struct acts *out)
{
    struct kad_ask ask = {.op = KAD_OP_PROVIDE, .cookie = cookie, .key = key};

    kad_enter(k, out);
    if (key.len == 0 || key.len > KAD_KEY_MAX || k->me->who->n_addrs == 0) {
        return QUDAG_EINVAL;
    }
    if (k->n_jobs >= k->cfg.queries_max) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = kad_keep_add(k, key, (struct slice){NULL, 0}, true, now);
    return err == QUDAG_OK ? kad_job_start(k, &ask, now, out) : err;
}

void kad_cancel(struct kad *k, uint64_t cookie, struct acts *out)
{
    kad_enter(k, out);
    LIST_EACH_SAFE(it, tmp, &k->jobs)
    {
        struct kad_job *j = LIST_ENTRY(it, struct kad_job, node);
        if (!j->internal && !j->reported && j->cookie == cookie) {
            kad_job_end(k, j, QUDAG_ECANCELED, j->began, out);
            return;
        }
    }
}

/* ---- events ---- */

static struct kad_rpc *rpc_by_cookie(const struct kad *k, uint64_t cookie)
{
    struct ref name = {(uint32_t)cookie, (uint32_t)(cookie >> 32)};

    return slots_get(&k->rpcs, name);
}

static void on_open(struct kad *k, const struct ev *ev, tstamp now, struct acts *out)
{
    if (ev->inbound) {
        kad_serve_open(k, ev, now, out);
        return;
    }
    struct kad_rpc *r = rpc_by_cookie(k, ev->cookie);
    if (r == NULL) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* nobody waits for it any more */
        return;
    }
    kad_rpc_opened(k, r, ev->strm, now, out);
}

static void on_inbound(struct kad *k, struct kad_inbound *in, const struct ev *ev, tstamp now,
                       struct acts *out)
{
    switch (ev->type) {
    case EV_DATA:
        kad_serve_data(k, in, ev->data, now, out);
        break;
    case EV_WRITABLE:
        in->backlog -= ev->n < in->backlog ? ev->n : in->backlog;
        kad_serve_more(k, in, now, out);
        break;
    case EV_FIN:
        in->fin = true;
        kad_serve_more(k, in, now, out);
        break;
    case EV_RESET:
        kad_serve_close(k, in);
        break;
    case EV_PEER_UP:
    case EV_PEER_DOWN:
    case EV_STREAM_OPEN:
    case EV_STREAM_FAIL:
        break;
    }
}

static void on_stream(struct kad *k, const struct ev *ev, tstamp now, struct acts *out)
{
    struct kad_rpc *r = kad_names_get(&k->rpc_by_strm, kad_strm_name(ev->strm));

    if (r == NULL) {
        struct kad_inbound *in = kad_names_get(&k->inbound_by_strm, kad_strm_name(ev->strm));
        if (in != NULL) {
            on_inbound(k, in, ev, now, out);
        }
        return;
    }
    if (ev->type == EV_DATA) {
        kad_rpc_data(k, r, ev->data, now, out);
    } else if (ev->type == EV_FIN) {
        kad_rpc_fin(k, r, now, out);
    } else if (ev->type == EV_RESET) {
        kad_rpc_reset(k, r, ev->err, now, out);
    }
}

static void kad_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct kad *k = core;
    struct kad_rpc *r;

    kad_enter(k, out);
    switch (ev->type) {
    case EV_STREAM_OPEN:
        on_open(k, ev, now, out);
        break;
    case EV_STREAM_FAIL:
        r = rpc_by_cookie(k, ev->cookie);
        if (r != NULL && r->state == KAD_RPC_OPENING) {
            kad_rpc_reset(k, r, ev->err, now, out);
        }
        break;
    case EV_DATA:
    case EV_WRITABLE:
    case EV_FIN:
    case EV_RESET:
        on_stream(k, ev, now, out);
        break;
    case EV_PEER_UP:
        kad_is_back(k, ev->peer, now, out);
        break;
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
}

/* ---- time ---- */

static void on_timer(struct kad *k, struct kad_timer *t, tstamp now, struct acts *out)
{
    struct kad_inbound *in;

    switch (t->kind) {
    case KAD_TIMER_RPC:
        kad_rpc_timer(k, t->owner, now, out);
        break;
    case KAD_TIMER_JOB:
        kad_job_timer(k, t->owner, now, out);
        break;
    case KAD_TIMER_INBOUND:
        in = t->owner;
        acts_reset(out, in->strm, QUDAG_ETIMEOUT);
        kad_serve_close(k, in);
        break;
    case KAD_TIMER_KEEP:
        kad_keep_timer(k, t->owner, now, out);
        break;
    }
}

static void kad_tick(void *core, tstamp now, struct acts *out)
{
    struct kad *k = core;
    struct heap_node *top;

    kad_enter(k, out);
    k->more = false;
    while ((top = heap_top(&k->timers)) != NULL && top->at <= now) {
        if (!kad_room(k, out, KAD_ACTS_SPARE, KAD_HINTS_MAX)) {
            k->more = true;
            return;
        }
        on_timer(k, LIST_ENTRY(top, struct kad_timer, node), now, out);
    }
    LIST_EACH_SAFE(it, tmp, &k->ready)
    {
        if (!kad_room(k, out, 8, KAD_MSG_MAX + 8)) {
            k->more = true;
            break;
        }
        kad_serve_more(k, LIST_ENTRY(it, struct kad_inbound, ready), now, out);
    }
    LIST_EACH_SAFE(it, tmp, &k->jobs)
    {
        struct kad_job *j = LIST_ENTRY(it, struct kad_job, node);
        if (j->starved) {
            j->starved = false;
            kad_job_run(k, j, now, out);
        }
    }
    kad_upkeep(k, now, out);
}

static tstamp kad_deadline(const void *core)
{
    const struct kad *k = core;
    const struct heap_node *top = heap_top(&k->timers);

    if (k->more) {
        return 0;
    }
    return tstamp_min(kad_upkeep_at(k), top == NULL ? TSTAMP_NEVER : top->at);
}

const struct core_ops kad_ops = {
    .inbound_max = 64,
    .event = kad_event,
    .tick = kad_tick,
    .deadline = kad_deadline,
};

/* ---- looking in ---- */

void kad_stats_get(const struct kad *k, struct kad_stats *out)
{
    *out = k->stats;
    out->table = k->table.n;
    out->records = k->store.n_records;
    out->providers = k->store.n_providers;
    out->queries = k->n_jobs;
    out->published = k->n_keeps;
    out->evicted = k->store.evicted;
    out->record_bytes = k->store.bytes;
}

bool kad_table_next(const struct kad *k, size_t *it, struct kad_peer_info *out)
{
    for (; *it < (size_t)KAD_BUCKETS * KAD_K; (*it)++) {
        const struct kad_bucket *b = k->table.bucket[*it / KAD_K];
        if (b != NULL && *it % KAD_K < b->n) {
            memset(out, 0, sizeof(*out));
            kad_peer_fill(out, b->peer[*it % KAD_K]);
            (*it)++;
            return true;
        }
    }
    return false;
}

bool kad_record_next(const struct kad *k, size_t *it, struct slice *key, struct slice *value,
                     walltime *expires)
{
    const struct kad_record *r = map_next(&k->store.records, it);

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
    const struct kad_record *r = kad_store_get(&k->store, hash, kad_wall(k, now));
    if (r == NULL) {
        return false;
    }
    *value = (struct slice){r->value, r->value_len};
    return true;
}
