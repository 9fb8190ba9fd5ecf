/*
 * kad_net_fill.h - routing tables as long joining would leave them, without the joining.
 *
 * Of every bucket's range each node knows KAD_K peers spread over it, or all when there are no more.
 */
#ifndef QUDAG_TESTS_KAD_KAD_NET_FILL_H
#define QUDAG_TESTS_KAD_KAD_NET_FILL_H

#include "core/kad/common/frame.h"
#include "core/kad/kad_int.h"
#include "kad_net.h"

struct net_place {
    uint64_t prefix; /* of the hash */
    uint32_t node;
};

static int net_place_cmp(const void *a, const void *b)
{
    uint64_t x = ((const struct net_place *)a)->prefix, y = ((const struct net_place *)b)->prefix;

    return (x > y) - (x < y);
}

/* The first place not before |prefix|. */
static size_t net_place_of(const struct net_place *v, size_t n, uint64_t prefix)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid].prefix < prefix) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void net_fill_one(struct net *net, struct kad *k, uint32_t to)
{
    struct kad_peer_info info = {.id = net->node[to].id, .n_addrs = 1};
    struct kad_contact *oldest, *p;

    info.addr[0] = net->node[to].addr;
    p = kad_contacts_make(&k->routing, &info, net->node[to].hash);
    if (p == NULL) {
        abort();
    }
    kad_contact_rtt(p, net->rtt);
    (void)kad_table_answered(&k->routing.table, p, net->now, &oldest);
    kad_contact_unref(p);
}

static void net_fill_node(struct net *net, const struct net_place *v, size_t i)
{
    struct kad *k = net->node[i].kad;
    struct rng rng = rng_of_stream(&net->node[i].rng);
    uint64_t own = kad_hash_prefix(net->node[i].hash);
    bool lab = k->routing.table.lab;

    k->routing.table.lab =
        true; /* the network has one node of each group anyway: not checked each time */
    for (unsigned cpl = 0; cpl < KAD_BUCKETS; cpl++) {
        uint64_t bit = UINT64_C(1) << (63 - cpl), low = bit - 1, from = (own ^ bit) & ~low;
        size_t lo = net_place_of(v, net->n, from), n = 0;
        while (lo + n < net->n && v[lo + n].prefix <= (from | low) && n <= KAD_K) {
            n++;
        }
        if (n > KAD_K) {
            n = from + low == UINT64_MAX ? net->n - lo
                                         : net_place_of(v, net->n, from + low + 1) - lo;
        }
        size_t want = n < KAD_K ? n : KAD_K;
        for (size_t j = 0; j < want; j++) {
            size_t a = lo + n * j / want, b = lo + n * (j + 1) / want;
            net_fill_one(net, k, v[a + rng_below(&rng, (uint32_t)(b - a))].node);
        }
    }
    k->routing.table.lab = lab;
}

static void net_fill(struct net *net)
{
    struct net_place *v = calloc(net->n, sizeof(*v));

    if (v == NULL) {
        abort();
    }
    for (size_t i = 0; i < net->n; i++) {
        v[i] = (struct net_place){kad_hash_prefix(net->node[i].hash), (uint32_t)i};
    }
    qsort(v, net->n, sizeof(v[0]), net_place_cmp);
    for (size_t i = 0; i < net->n; i++) {
        net_fill_node(net, v, i);
    }
    free(v);
}

#endif
