/*
 * netsize.c - the network size estimate.
 *
 * The mean distance between ids follows from the distances of the k closest to a key: N = 2^64 / distance. The
 * median over many lookups is used, so that Sybils that crowd some keys do not shift it.
 */
#include "core/kad/routing/netsize.h"

static uint64_t median(const uint64_t *v, size_t n)
{
    uint64_t s[KAD_NETSIZE_SAMPLES];

    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && s[at - 1] > v[i]; at--) {
            s[at] = s[at - 1];
        }
        s[at] = v[i];
    }
    return s[(n - 1) / 2]; /* of two the smaller: we were there when the network was small */
}

void kad_netsize_add(struct kad_netsize *s, const uint64_t dist[KAD_K], tstamp now)
{
    uint64_t sum = 0;

    /* sum of distances over sum of ranks; divided first so as not to overflow */
    for (size_t i = 0; i < KAD_K; i++) {
        sum += dist[i] / (KAD_K * (KAD_K + 1) / 2);
    }
    s->spaces[s->n % KAD_NETSIZE_SAMPLES] = sum == 0 ? 1 : sum;
    s->n++;
    s->at = now;
    s->space = median(s->spaces, s->n < KAD_NETSIZE_SAMPLES ? s->n : KAD_NETSIZE_SAMPLES);
}

void kad_netsize_from_table(struct kad_netsize *s, const struct kad_table *t, tstamp now)
{
    struct kad_contact *near[KAD_K];
    uint64_t dist[KAD_K], self = kad_hash_prefix(t->self);
    size_t n = kad_table_closest(t, t->self, NULL, KAD_K, near);

    for (size_t i = 0; i < n; i++) {
        dist[i] = kad_hash_prefix(near[i]->hash) ^ self;
    }
    if (n == KAD_K) {
        kad_netsize_add(s, dist, now);
    }
}

static unsigned zeros(uint64_t v)
{
    unsigned n = 0;

    while (n < 64 && (v >> 63) == 0) {
        v <<= 1;
        n++;
    }
    return n;
}

uint64_t kad_netsize_radius(const struct kad_netsize *s, unsigned n)
{
    return s->space == 0 || s->space > UINT64_MAX / n / 2 ? 0 : s->space * n;
}

unsigned kad_netsize_bits(const struct kad_netsize *s)
{
    return s->space == 0 ? 0 : zeros(s->space);
}

unsigned kad_netsize_near_bits(const struct kad_netsize *s)
{
    uint64_t r = kad_netsize_radius(s, KAD_K);

    return r == 0 ? 0 : zeros(r);
}
