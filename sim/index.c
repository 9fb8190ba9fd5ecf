/*
 * index.c - nodes sorted by their position in the key space: who shares a prefix, who is nearest to a key.
 *
 * Nodes that share a prefix are neighbours in the list, so a bucket of a routing table is a range of it, and
 * the nearest to a key are found by going down the halves, the key's own first.
 */
#include "sim/sim_int.h"

#include <stdlib.h>

static int by_prefix(const void *a, const void *b)
{
    const struct sim_place *x = a, *y = b;

    if (x->prefix != y->prefix) {
        return x->prefix < y->prefix ? -1 : 1;
    }
    return (x->node > y->node) - (x->node < y->node);
}

void index_build(struct sim *s, struct sim_index *ix, bool colluders)
{
    uint32_t n = 0;

    free(ix->v);
    ix->v = sim_alloc(s->n, sizeof(*ix->v));
    for (uint32_t i = 0; i < s->n; i++) {
        const struct sim_node *nd = &s->node[i];
        if (nd->epoch > 0 && !nd->nat && (!colluders || nd->colluding)) {
            ix->v[n++] = (struct sim_place){s->prefix[i], i};
        }
    }
    ix->n = n;
    ix->stale = false;
    if (n > 1) {
        qsort(ix->v, n, sizeof(*ix->v), by_prefix);
    }
}

uint32_t index_split(const struct sim_index *ix, uint32_t lo, uint32_t hi, unsigned bit)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((ix->v[mid].prefix >> (63 - bit) & 1u) != 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

struct nearest {
    const struct sim *s;
    const struct sim_index *ix;
    uint64_t target;
    uint32_t asker;
    size_t n, max;
    uint32_t *out;
};

/* All of [lo, hi) are nearer than what is still to come. */
static void take(struct nearest *q, uint32_t lo, uint32_t hi)
{
    const struct sim *s = q->s;
    size_t from = q->n;

    for (uint32_t i = lo; i < hi; i++) {
        uint32_t node = q->ix->v[i].node;
        uint64_t d = q->ix->v[i].prefix ^ q->target;
        bool good = s->up[node] != 0 && node != q->asker &&
                    (q->asker == SIM_NONE || net_reaches(s, q->asker, node));
        if (!good ||
            (q->n == q->max && (q->n == from || d >= (s->prefix[q->out[q->n - 1]] ^ q->target)))) {
            continue;
        }
        size_t at = q->n < q->max ? q->n++ : q->n - 1;
        while (at > from && d < (s->prefix[q->out[at - 1]] ^ q->target)) {
            q->out[at] = q->out[at - 1];
            at--;
        }
        q->out[at] = node;
    }
}

#define FEW 16

static void descend(struct nearest *q, uint32_t lo, uint32_t hi, unsigned bit)
{
    if (q->n == q->max || lo == hi) {
        return;
    }
    if (hi - lo <= FEW || bit == 64) {
        take(q, lo, hi);
        return;
    }
    uint32_t mid = index_split(q->ix, lo, hi, bit);
    bool one = (q->target >> (63 - bit) & 1u) != 0;
    descend(q, one ? mid : lo, one ? hi : mid, bit + 1);
    descend(q, one ? lo : mid, one ? mid : hi, bit + 1);
}

size_t index_nearest(const struct sim *s, const struct sim_index *ix, uint32_t asker,
                     uint64_t target, size_t max, uint32_t *out)
{
    struct nearest q = {.s = s, .ix = ix, .target = target, .asker = asker, .max = max, .out = out};

    descend(&q, 0, ix->n, 0);
    return q.n;
}
