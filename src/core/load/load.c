/* load.c - see load.h. */
#include "core/load/load.h"

const struct load_rule load_rule_link = {50, 100 * NS_PER_MS, 100 * NS_PER_MS};
const struct load_rule load_rule_net = {100, 300 * NS_PER_MS, 0};
const struct load_rule load_rule_host = {5, 100 * NS_PER_MS, 0};
const struct load_rule load_rule_spare = {50, 100 * NS_PER_MS, 0};

uint64_t load_cost(uint64_t packets, uint64_t streams, uint64_t bytes)
{
    uint64_t cost = packets * LOAD_PACKET + streams * LOAD_STREAM, paid = bytes * LOAD_BYTE;

    return cost > paid ? cost - paid : 0;
}

uint64_t load_debt(const struct load_account *a, const struct load_rule *r, tstamp now)
{
    uint64_t passed = now > a->at ? now - a->at : 0;
    uint64_t paid = passed / 1000 * r->share;

    return a->debt > paid ? a->debt - paid : 0;
}

void load_charge(struct load_account *a, const struct load_rule *r, uint64_t ns, tstamp now)
{
    uint64_t most = r->burst + r->patience + NS_PER_S / 1000 * r->share;
    uint64_t debt = load_debt(a, r, now);

    ns = ns < most ? ns : most;
    a->debt = debt + ns < most ? debt + ns : most;
    a->at = now;
}

enum load_state load_state(const struct load_account *a, const struct load_rule *r, tstamp now)
{
    uint64_t debt = load_debt(a, r, now);

    if (debt <= r->burst) {
        return LOAD_FREE;
    }
    return r->patience == 0 || debt <= r->burst + r->patience ? LOAD_LAST : LOAD_OUT;
}

enum load_state load_verdict(const struct load_account *link, const struct load_account *net,
                             tstamp now)
{
    enum load_state own = load_state(link, &load_rule_link, now);

    if (own != LOAD_FREE || net == NULL || load_state(net, &load_rule_net, now) == LOAD_FREE) {
        return own;
    }
    return load_debt(link, &load_rule_link, now) <= LOAD_LITTLE ? LOAD_FREE : LOAD_LAST;
}

bool load_admits(const struct load_net *net, const struct load_account *host, tstamp now)
{
    if (net == NULL || load_state(&net->owes, &load_rule_net, now) == LOAD_FREE) {
        return true;
    }
    return (host == NULL || load_debt(host, &load_rule_host, now) <= LOAD_LITTLE) &&
           load_state(&net->spare, &load_rule_spare, now) == LOAD_FREE;
}

uint64_t load_out_for(uint32_t times)
{
    uint64_t ns = LOAD_OUT_FIRST;

    while (times-- > 0 && ns < LOAD_OUT_MOST) {
        ns *= 2;
    }
    return ns < LOAD_OUT_MOST ? ns : LOAD_OUT_MOST;
}

/* ---- tables */

struct host {
    tstamp until; /* never 0 */
    uint32_t times, unused;
};

void load_init(struct load *w, struct mem *mem, const uint8_t seed[16])
{
    map_init_u64(&w->nets, mem, seed, sizeof(struct load_net), LOAD_NETS_MAX);
    map_init_u64(&w->hosts, mem, seed, sizeof(struct host), LOAD_HOSTS_MAX);
    map_init_u64(&w->callers, mem, seed, sizeof(struct load_account), LOAD_HOSTS_MAX);
}

void load_fini(struct load *w)
{
    map_fini(&w->nets);
    map_fini(&w->hosts);
    map_fini(&w->callers);
}

/* The least of |m| by |weight|, which is taken out; a full table is rare, and small enough to be looked through. */
static void evict(struct map *m, uint64_t (*weight)(const void *value, tstamp now), tstamp now)
{
    const void *least = NULL, *v;
    size_t it = 0;

    while ((v = map_next_at(m, &it)) != NULL) {
        least = least == NULL || weight(v, now) < weight(least, now) ? v : least;
    }
    if (least != NULL) {
        (void)map_u64_del(m, map_u64_key(m, least));
    }
}

static uint64_t net_weight(const void *value, tstamp now)
{
    const struct load_net *n = value;

    return load_debt(&n->owes, &load_rule_net, now);
}

static uint64_t caller_weight(const void *value, tstamp now)
{
    return load_debt(value, &load_rule_host, now);
}

static uint64_t host_weight(const void *value, tstamp now)
{
    const struct host *h = value;

    (void)now;
    return h->until;
}

static struct load_net *net_of(struct load *w, uint64_t net, tstamp now)
{
    const struct load_net none = {.owes.at = now > 0 ? now : 1};
    struct load_net *a = net != 0 ? map_u64_at(&w->nets, net) : NULL;

    if (a != NULL || net == 0) {
        return a;
    }
    if (w->nets.n >= LOAD_NETS_MAX) {
        evict(&w->nets, net_weight, now);
    }
    return map_u64_set(&w->nets, net, &none) == QUDAG_OK ? map_u64_at(&w->nets, net) : NULL;
}

struct load_account *load_net(struct load *w, uint64_t net, tstamp now)
{
    struct load_net *a = net_of(w, net, now);

    return a != NULL ? &a->owes : NULL;
}

bool load_may_begin(const struct load *w, uint64_t net, uint64_t host, tstamp now)
{
    return load_admits(map_u64_at(&w->nets, net), map_u64_at(&w->callers, host), now);
}

void load_begun(struct load *w, uint64_t net, uint64_t host, tstamp now)
{
    struct load_net *n = net_of(w, net, now);
    struct load_account a = {.at = now > 0 ? now : 1};
    const struct load_account *before = map_u64_at(&w->callers, host);

    if (n != NULL && load_state(&n->owes, &load_rule_net, now) != LOAD_FREE) {
        load_charge(&n->spare, &load_rule_spare, LOAD_HANDSHAKE, now);
    }
    if (n != NULL) {
        load_charge(&n->owes, &load_rule_net, LOAD_HANDSHAKE, now);
    }
    if (before == NULL && w->callers.n >= LOAD_HOSTS_MAX) {
        evict(&w->callers, caller_weight, now);
    }
    a = before != NULL ? *before : a;
    load_charge(&a, &load_rule_host, LOAD_HANDSHAKE, now);
    (void)!map_u64_set(&w->callers, host, &a);
}

void load_put_out(struct load *w, uint64_t host, tstamp now)
{
    const struct host *before = map_u64_at(&w->hosts, host);
    bool again = before != NULL && now < tstamp_after(before->until, LOAD_OUT_FORGET);
    struct host h = {.times = again ? before->times + 1 : 0};

    h.until = tstamp_after(now, load_out_for(h.times));
    if (before == NULL && w->hosts.n >= LOAD_HOSTS_MAX) {
        evict(&w->hosts, host_weight, now);
    }
    (void)!map_u64_set(&w->hosts, host, &h); /* without memory it may come again */
}

bool load_is_out(const struct load *w, uint64_t host, tstamp now)
{
    const struct host *h = map_u64_at(&w->hosts, host);

    return h != NULL && h->until > now;
}
