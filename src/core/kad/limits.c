/*
 * limits.c - who may ask how much: each peer, each network (/24 or /48) peers come from, and all together.
 *
 *   request of a peer --owes too much itself | its network | all--> refused, by reason
 *
 * When more than half of what all may owe is owed, a peer or network passes only if it owes less than is left:
 * the fuller we are, the more modest one must have been, and a flood does not shut out the others.
 *
 * Remembered are those with a stream or a debt; when there are too many, the ones idle for longest go.  A
 * network's debt outlives its peers', so that new identities do not wash it off.
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"

#include <string.h>

#define SECONDS_OWED 2 /* a burst of two seconds' worth */
#define LOOKED_AT 4    /* idle ones, each time a stream opens */

#define REQUESTS_DEFAULT                                                                           \
    {                                                                                              \
        200, 400, 5000                                                                             \
    }
#define STORES_DEFAULT                                                                             \
    {                                                                                              \
        50, 100, 500                                                                               \
    } /* signatures of ML-DSA: 0.1 ms each */

enum who { A_PEER, A_NET, ALL };

/* ---- how much ---- */

struct allowance {
    uint64_t cost, most; /* ns one piece takes, ns that may be owed */
};

static uint32_t limit_of(const struct kad_limit *l, enum who who)
{
    return who == A_PEER ? l->peer : who == A_NET ? l->network : l->all;
}

static struct allowance allowance(const struct kad *k, enum kad_pace pace, enum who who)
{
    const struct kad_limits *l = &k->cfg.limits;

    if (pace == KAD_PACE_RECORDS) {
        uint64_t hour = 3600 * NS_PER_S;
        return (struct allowance){hour / limit_of(&l->records, who), hour};
    }
    const struct kad_limit *a = pace == KAD_PACE_REQUESTS ? &l->requests : &l->stores;
    return (struct allowance){NS_PER_S / limit_of(a, who), SECONDS_OWED * NS_PER_S};
}

static uint64_t owed(const struct kad_debts *d, enum kad_pace pace, tstamp now)
{
    return d->until[pace] > now ? d->until[pace] - now : 0;
}

static void owe(struct kad_debts *d, enum kad_pace pace, uint64_t cost, tstamp now)
{
    d->until[pace] = tstamp_after(now, owed(d, pace, now) + cost);
}

static bool owes_nothing(const struct kad_debts *d, tstamp now)
{
    for (unsigned p = 0; p < KAD_PACES; p++) {
        if (d->until[p] > now) {
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

static enum kad_refusal reason(enum kad_pace pace, enum who who)
{
    static const enum kad_refusal of_requests[] = {KAD_REFUSED_RATE_PEER, KAD_REFUSED_RATE_NETWORK,
                                                   KAD_REFUSED_RATE_ALL};

    return pace == KAD_PACE_REQUESTS ? of_requests[who]
           : pace == KAD_PACE_STORES ? KAD_REFUSED_RATE_STORE
                                     : KAD_REFUSED_QUOTA;
}

bool kad_may(struct kad *k, struct kad_client *c, enum kad_pace pace, tstamp now)
{
    struct kad_debts *d[] = {&c->debts, c->net != NULL ? &c->net->debts : NULL, &k->debts};
    struct allowance a[3];
    uint64_t have[3] = {0};

    for (unsigned w = A_PEER; w <= ALL; w++) {
        a[w] = allowance(k, pace, (enum who)w);
        have[w] = d[w] == NULL ? 0 : owed(d[w], pace, now);
        bool fair = true;
        for (unsigned part = A_PEER; part < w && d[w] != NULL; part++) {
            fair = fair && modest(have[part], have[w], a[w].most);
        }
        if (!fair || have[w] + a[w].cost > a[w].most) {
            kad_refuse(k, reason(pace, (enum who)w));
            return false;
        }
    }
    for (unsigned w = A_PEER; w <= ALL; w++) {
        if (d[w] != NULL) {
            owe(d[w], pace, a[w].cost, now);
        }
    }
    return true;
}

static void forgive(struct kad_debts *d, enum kad_pace pace, uint64_t cost)
{
    d->until[pace] -= d->until[pace] < cost ? d->until[pace] : cost;
}

void kad_give_back(struct kad *k, struct kad_client *c, enum kad_pace pace)
{
    forgive(&c->debts, pace, allowance(k, pace, A_PEER).cost);
    if (c->net != NULL) {
        forgive(&c->net->debts, pace, allowance(k, pace, A_NET).cost);
    }
    forgive(&k->debts, pace, allowance(k, pace, ALL).cost);
}

/* ---- who ---- */

static void default_to(struct kad_limit *l, struct kad_limit def)
{
    l->peer = l->peer == 0 ? def.peer : l->peer;
    l->network = l->network == 0 ? def.network : l->network;
    l->all = l->all == 0 ? def.all : l->all;
}

void kad_limits_init(struct kad *k)
{
    uint32_t records = k->cfg.records_max;

    default_to(&k->cfg.limits.requests, (struct kad_limit)REQUESTS_DEFAULT);
    default_to(&k->cfg.limits.stores, (struct kad_limit)STORES_DEFAULT);
    default_to(&k->cfg.limits.records,
               (struct kad_limit){records / 8 + 1, records / 4 + 1, UINT32_MAX});
    kad_names_init(&k->clients, k->cfg.mem, KAD_CLIENTS_MAX);
    kad_names_init(&k->nets, k->cfg.mem, KAD_NETS_MAX);
    list_init(&k->idle_clients);
    list_init(&k->idle_nets);
}

static void net_free(struct kad *k, struct kad_net *n)
{
    kad_names_del(&k->nets, n->name);
    list_del(&n->idle);
    mem_free(k->cfg.mem, n);
}

static void client_free(struct kad *k, struct kad_client *c)
{
    struct kad_net *n = c->net;

    if (n != NULL && --n->n_clients == 0) {
        list_push_back(&k->idle_nets, &n->idle);
    }
    kad_names_del(&k->clients, c->name);
    list_del(&c->idle);
    mem_free(k->cfg.mem, c);
}

/* Of the |max| idle for longest those that owe nothing are forgotten; the rest goes behind. */
static void expire(struct kad *k, tstamp now, size_t max)
{
    for (size_t i = 0; i < max && !list_empty(&k->idle_clients); i++) {
        struct kad_client *c = LIST_ENTRY(k->idle_clients.next, struct kad_client, idle);
        if (owes_nothing(&c->debts, now)) {
            client_free(k, c);
        } else {
            list_del(&c->idle);
            list_push_back(&k->idle_clients, &c->idle);
        }
    }
    for (size_t i = 0; i < max && !list_empty(&k->idle_nets); i++) {
        struct kad_net *n = LIST_ENTRY(k->idle_nets.next, struct kad_net, idle);
        if (owes_nothing(&n->debts, now)) {
            net_free(k, n);
        } else {
            list_del(&n->idle);
            list_push_back(&k->idle_nets, &n->idle);
        }
    }
}

void kad_clients_expire(struct kad *k, tstamp now)
{
    expire(k, now, KAD_NETS_MAX);
}

void kad_limits_fini(struct kad *k)
{
    while (!list_empty(&k->idle_clients)) {
        client_free(k, LIST_ENTRY(k->idle_clients.next, struct kad_client, idle));
    }
    while (!list_empty(&k->idle_nets)) {
        net_free(k, LIST_ENTRY(k->idle_nets.next, struct kad_net, idle));
    }
    kad_names_fini(&k->clients);
    kad_names_fini(&k->nets);
}

static struct kad_net *net_get(struct kad *k, uint64_t name)
{
    struct kad_net *n = kad_names_get(&k->nets, name);

    if (n != NULL) {
        return n;
    }
    if (k->nets.n >= KAD_NETS_MAX && !list_empty(&k->idle_nets)) {
        net_free(k, LIST_ENTRY(k->idle_nets.next, struct kad_net, idle));
    }
    n = mem_alloc(k->cfg.mem, sizeof(*n));
    if (n == NULL) {
        return NULL;
    }
    n->name = name;
    list_init(&n->idle);
    if (kad_names_add(&k->nets, name, n) != QUDAG_OK) {
        mem_free(k->cfg.mem, n);
        return NULL;
    }
    return n;
}

static struct kad_client *client_new(struct kad *k, struct slice id, uint64_t name, uint64_t net)
{
    if (k->clients.n >= KAD_CLIENTS_MAX && !list_empty(&k->idle_clients)) {
        client_free(k, LIST_ENTRY(k->idle_clients.next, struct kad_client, idle));
    }
    struct kad_client *c = mem_alloc(k->cfg.mem, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    c->name = name;
    c->anonymous = id.len == 0;
    kad_id_hash(k, c->hash, id);
    list_init(&c->idle);
    struct kad_net *n = net == 0 || k->cfg.lab ? NULL : net_get(k, net);
    bool whole = n != NULL || net == 0 || k->cfg.lab;
    if (!whole || kad_names_add(&k->clients, name, c) != QUDAG_OK) {
        if (n != NULL && n->n_clients == 0 && !list_linked(&n->idle)) {
            list_push_back(&k->idle_nets, &n->idle);
        }
        mem_free(k->cfg.mem, c);
        return NULL;
    }
    if (n != NULL) {
        list_del(&n->idle);
        n->n_clients++;
    }
    c->net = n;
    return c;
}

struct kad_client *kad_client_get(struct kad *k, const struct peer_id *id, uint64_t net, tstamp now)
{
    struct slice who = id == NULL ? (struct slice){NULL, 0} : peer_id_slice(id);
    uint64_t name = siphash24(k->client_seed[0], k->client_seed[1], who);

    expire(k, now, LOOKED_AT);
    struct kad_client *c = kad_names_get(&k->clients, name);
    if (c == NULL) {
        c = client_new(k, who, name, net);
    }
    if (c == NULL) {
        return NULL;
    }
    list_del(&c->idle);
    c->n_streams++;
    return c;
}

void kad_client_release(struct kad *k, struct kad_client *c)
{
    ASSERT(c->n_streams > 0);
    if (--c->n_streams == 0) {
        list_push_back(&k->idle_clients, &c->idle);
    }
}
