/*
 * limits.c - rate limits for requests of others: per peer, per network (/24 or /48), and in total.
 *
 *   request of a peer --bucket empty: its own | its network's | that of all--> refused, by reason
 *
 * When more than half of the total is used up, a peer or network is served only if it has used less than is
 * left: the busier we are, the less it may have used, so that a flood does not shut out the others.
 *
 * An entry exists while a peer has a stream or a bucket that is not full; when there are too many, the longest
 * idle ones are dropped.  A network's bucket outlives its peers', so that new identities do not refill it.
 */
#include "core/kad/server/limits.h"

#include "base/assert.h"

#include <string.h>

#define SECONDS_BURST 2 /* a burst of two seconds' worth */
#define LOOKED_AT 4     /* idle ones, each time a stream opens */

#define REQUESTS_DEFAULT                                                                           \
    {                                                                                              \
        200, 400, 5000                                                                             \
    }
#define STORES_DEFAULT                                                                             \
    {                                                                                              \
        50, 100, 500                                                                               \
    } /* signatures of ML-DSA: 0.1 ms each */

enum level { A_PEER, A_NET, ALL };

/* ---- how much ---- */

struct allowance {
    uint64_t cost, most; /* ns one piece takes, ns that may be taken */
};

static uint32_t limit_of(const struct kad_limit *l, enum level level)
{
    return level == A_PEER ? l->peer : level == A_NET ? l->network : l->all;
}

static struct allowance allowance(const struct kad_limiter *l, enum kad_limited kind,
                                  enum level level)
{
    const struct kad_limits *cfg = &l->cfg;

    if (kind == KAD_LIMITED_RECORDS) {
        uint64_t hour = 3600 * NS_PER_S;
        return (struct allowance){hour / limit_of(&cfg->records, level), hour};
    }
    const struct kad_limit *a = kind == KAD_LIMITED_REQUESTS ? &cfg->requests : &cfg->stores;
    return (struct allowance){NS_PER_S / limit_of(a, level), SECONDS_BURST * NS_PER_S};
}

static uint64_t taken(const struct kad_buckets *b, enum kad_limited kind, tstamp now)
{
    return b->full_at[kind] > now ? b->full_at[kind] - now : 0;
}

static void take(struct kad_buckets *b, enum kad_limited kind, uint64_t cost, tstamp now)
{
    b->full_at[kind] = tstamp_after(now, taken(b, kind, now) + cost);
}

static bool all_full(const struct kad_buckets *b, tstamp now)
{
    for (unsigned p = 0; p < KAD_LIMITED_KINDS; p++) {
        if (b->full_at[p] > now) {
            return false;
        }
    }
    return true;
}

/* |mine| of one, |theirs| of the whole it is part of. */
static bool modest(uint64_t mine, uint64_t theirs, uint64_t most)
{
    return theirs <= most / 2 || (theirs <= most && mine <= most - theirs);
}

static enum kad_refusal reason(enum kad_limited kind, enum level level)
{
    static const enum kad_refusal of_requests[] = {KAD_REFUSED_RATE_PEER, KAD_REFUSED_RATE_NETWORK,
                                                   KAD_REFUSED_RATE_ALL};

    return kind == KAD_LIMITED_REQUESTS ? of_requests[level]
           : kind == KAD_LIMITED_STORES ? KAD_REFUSED_RATE_STORE
                                        : KAD_REFUSED_QUOTA;
}

bool kad_limits_allow(struct kad_limiter *l, struct kad_client *c, enum kad_limited kind,
                      tstamp now)
{
    struct kad_buckets *b[] = {&c->buckets, c->net != NULL ? &c->net->buckets : NULL, &l->buckets};
    struct allowance a[3];
    uint64_t have[3] = {0};

    for (unsigned w = A_PEER; w <= ALL; w++) {
        a[w] = allowance(l, kind, (enum level)w);
        have[w] = b[w] == NULL ? 0 : taken(b[w], kind, now);
        bool fair = true;
        for (unsigned part = A_PEER; part < w && b[w] != NULL; part++) {
            fair = fair && modest(have[part], have[w], a[w].most);
        }
        if (!fair || have[w] + a[w].cost > a[w].most) {
            kad_refuse(l->env, reason(kind, (enum level)w));
            return false;
        }
    }
    for (unsigned w = A_PEER; w <= ALL; w++) {
        if (b[w] != NULL) {
            take(b[w], kind, a[w].cost, now);
        }
    }
    return true;
}

static void refund(struct kad_buckets *b, enum kad_limited kind, uint64_t cost)
{
    b->full_at[kind] -= b->full_at[kind] < cost ? b->full_at[kind] : cost;
}

void kad_limits_refund(struct kad_limiter *l, struct kad_client *c, enum kad_limited kind)
{
    refund(&c->buckets, kind, allowance(l, kind, A_PEER).cost);
    if (c->net != NULL) {
        refund(&c->net->buckets, kind, allowance(l, kind, A_NET).cost);
    }
    refund(&l->buckets, kind, allowance(l, kind, ALL).cost);
}

/* ---- clients and networks ---- */

static void default_to(struct kad_limit *l, struct kad_limit def)
{
    l->peer = l->peer == 0 ? def.peer : l->peer;
    l->network = l->network == 0 ? def.network : l->network;
    l->all = l->all == 0 ? def.all : l->all;
}

void kad_limits_init(struct kad_limiter *l, struct kad_env *env, struct kad_routing *routing,
                     const struct kad_limits *cfg, uint32_t records_max, const uint64_t seed[2])
{
    l->env = env;
    l->routing = routing;
    l->cfg = *cfg;
    l->seed[0] = seed[0];
    l->seed[1] = seed[1];
    default_to(&l->cfg.requests, (struct kad_limit)REQUESTS_DEFAULT);
    default_to(&l->cfg.stores, (struct kad_limit)STORES_DEFAULT);
    default_to(&l->cfg.records,
               (struct kad_limit){records_max / 8 + 1, records_max / 4 + 1, UINT32_MAX});
    /* Names are keyed hashes, or networks, of which a peer has few. */
    map_init_u64(&l->clients, env->mem, NULL, 0, KAD_CLIENTS_MAX);
    map_init_u64(&l->nets, env->mem, (const uint8_t *)l->seed, 0, KAD_NETS_MAX);
    list_init(&l->idle_clients);
    list_init(&l->idle_nets);
}

static void net_free(struct kad_limiter *l, struct kad_net *n)
{
    (void)map_u64_del(&l->nets, n->name);
    list_del(&n->idle);
    mem_free(l->env->mem, n);
}

static void client_free(struct kad_limiter *l, struct kad_client *c)
{
    struct kad_net *n = c->net;

    if (n != NULL && --n->n_clients == 0) {
        list_push_back(&l->idle_nets, &n->idle);
    }
    (void)map_u64_del(&l->clients, c->name);
    list_del(&c->idle);
    mem_free(l->env->mem, c);
}

/* Of the |max| idle for longest those whose buckets are full are forgotten; the rest goes behind. */
static void expire(struct kad_limiter *l, tstamp now, size_t max)
{
    for (size_t i = 0; i < max && !list_empty(&l->idle_clients); i++) {
        struct kad_client *c = LIST_ENTRY(l->idle_clients.next, struct kad_client, idle);
        if (all_full(&c->buckets, now)) {
            client_free(l, c);
        } else {
            list_del(&c->idle);
            list_push_back(&l->idle_clients, &c->idle);
        }
    }
    for (size_t i = 0; i < max && !list_empty(&l->idle_nets); i++) {
        struct kad_net *n = LIST_ENTRY(l->idle_nets.next, struct kad_net, idle);
        if (all_full(&n->buckets, now)) {
            net_free(l, n);
        } else {
            list_del(&n->idle);
            list_push_back(&l->idle_nets, &n->idle);
        }
    }
}

void kad_clients_expire(struct kad_limiter *l, tstamp now)
{
    expire(l, now, KAD_NETS_MAX);
}

void kad_limits_fini(struct kad_limiter *l)
{
    while (!list_empty(&l->idle_clients)) {
        client_free(l, LIST_ENTRY(l->idle_clients.next, struct kad_client, idle));
    }
    while (!list_empty(&l->idle_nets)) {
        net_free(l, LIST_ENTRY(l->idle_nets.next, struct kad_net, idle));
    }
    map_fini(&l->clients);
    map_fini(&l->nets);
}

static struct kad_net *net_get(struct kad_limiter *l, uint64_t name)
{
    struct kad_net *n = map_u64_get(&l->nets, name);

    if (n != NULL) {
        return n;
    }
    if (l->nets.n >= KAD_NETS_MAX && !list_empty(&l->idle_nets)) {
        net_free(l, LIST_ENTRY(l->idle_nets.next, struct kad_net, idle));
    }
    n = mem_alloc(l->env->mem, sizeof(*n));
    if (n == NULL) {
        return NULL;
    }
    n->name = name;
    list_init(&n->idle);
    if (map_u64_put(&l->nets, name, n) != QUDAG_OK) {
        mem_free(l->env->mem, n);
        return NULL;
    }
    return n;
}

static struct kad_client *client_new(struct kad_limiter *l, struct slice id, uint64_t name,
                                     uint64_t net)
{
    if (l->clients.n >= KAD_CLIENTS_MAX && !list_empty(&l->idle_clients)) {
        client_free(l, LIST_ENTRY(l->idle_clients.next, struct kad_client, idle));
    }
    struct kad_client *c = mem_alloc(l->env->mem, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    c->name = name;
    kad_contacts_hash(l->routing, c->hash, id);
    list_init(&c->idle);
    struct kad_net *n = net == 0 || l->env->lab ? NULL : net_get(l, net);
    bool whole = n != NULL || net == 0 || l->env->lab;
    if (!whole || map_u64_put(&l->clients, name, c) != QUDAG_OK) {
        if (n != NULL && n->n_clients == 0 && !list_linked(&n->idle)) {
            list_push_back(&l->idle_nets, &n->idle);
        }
        mem_free(l->env->mem, c);
        return NULL;
    }
    if (n != NULL) {
        list_del(&n->idle);
        n->n_clients++;
    }
    c->net = n;
    return c;
}

struct kad_client *kad_client_get(struct kad_limiter *l, const struct peer_id *id, uint64_t net,
                                  tstamp now)
{
    struct slice raw = peer_id_slice(id);
    uint64_t name = siphash24(l->seed[0], l->seed[1], raw);

    expire(l, now, LOOKED_AT);
    struct kad_client *c = map_u64_get(&l->clients, name);
    if (c == NULL) {
        c = client_new(l, raw, name, net);
    }
    if (c == NULL) {
        return NULL;
    }
    list_del(&c->idle);
    c->n_streams++;
    return c;
}

void kad_client_release(struct kad_limiter *l, struct kad_client *c)
{
    ASSERT(c->n_streams > 0);
    if (--c->n_streams == 0) {
        list_push_back(&l->idle_clients, &c->idle);
    }
}
