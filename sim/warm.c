/*
 * warm.c - networks that have settled before the run begins, and nodes asleep.
 *
 *   warm     every node begins with the table it would have: of each bucket 20 servers, or all of them
 *   static   a node has no core until something concerns it; of those awake the longest idle sleep again
 *
 *   asleep --asked, or asks--> awake --too many are, and it holds nothing--> asleep
 *
 * A table is drawn from the seed and the node's number alone: a node that wakes again has the one it had.
 */
#include "sim/sim_int.h"

#include "base/assert.h"

#include <stdlib.h>

#define LAST_BUCKET 31
#define WARM_AGE (600 * NS_PER_S) /* entries answered within this time */
#define WARM_ROUND (60 * NS_PER_S)
#define TRIES 8 /* to find one that can sleep, each time another wakes */

/* ---- tables ---- */

/* The |i|-th of |n| entries, the oldest first, each in its part of the time. */
static tstamp seen_at(const struct sim *s, uint64_t draw, size_t i, size_t n)
{
    uint64_t part = WARM_AGE / n;

    if (s->sc->fixed != 0) {
        return s->world.now;
    }
    return s->world.now - part * (n - i) + part / 65536 * (draw >> 48);
}

/* Up to k different ones of [lo, hi), in the order they are drawn. */
static size_t choose(const struct sim *s, uint32_t node, uint32_t lo, uint32_t hi, uint32_t *out)
{
    size_t n = 0, want = hi - lo < KAD_K ? hi - lo : KAD_K;
    bool all = hi - lo <= KAD_K;

    for (uint64_t draw = 0; n < want; draw++) {
        uint64_t r = dice_fixed(&s->dice, node, (uint64_t)lo << 32 | draw);
        uint32_t c = all ? lo + (uint32_t)n : lo + (uint32_t)(r % (hi - lo));
        bool fresh = true;
        for (size_t i = 0; i < n && !all; i++) {
            fresh = fresh && out[i] != c;
        }
        if (fresh) {
            out[n++] = c;
        }
    }
    return n;
}

static void fill_bucket(struct sim *s, uint32_t node, uint32_t lo, uint32_t hi)
{
    uint32_t chosen[KAD_K];
    struct kad_peer_info info;
    size_t n = choose(s, node, lo, hi, chosen);

    for (size_t i = 0; i < n; i++) {
        uint32_t other = s->servers.v[chosen[i]].node;
        uint64_t draw = dice_fixed(&s->dice, node, UINT64_C(1) << 63 | other);
        host_info(s, other, &info);
        kad_preload(s->node[node].kad, &info,
                    dice_pair(&s->dice, node, other, s->sc->rtt, s->sc->spread),
                    seen_at(s, draw, i, n));
    }
}

static void fill(struct sim *s, uint32_t node)
{
    uint32_t lo = 0, hi = s->servers.n;
    uint64_t own = s->prefix[node];

    for (unsigned bit = 0; bit < LAST_BUCKET && lo < hi; bit++) {
        uint32_t mid = index_split(&s->servers, lo, hi, bit);
        bool one = (own >> (63 - bit) & 1u) != 0;
        fill_bucket(s, node, one ? lo : mid, one ? mid : hi);
        lo = one ? mid : lo;
        hi = one ? hi : mid;
    }
    fill_bucket(s, node, lo, hi); /* it is among these itself; a core leaves itself out */
}

/* ---- the beginning ---- */

static bool dead(struct sim *s, uint32_t node)
{
    return node >= s->sc->bootstrap && !s->node[node].sybil &&
           dice_hit(&s->dice, DICE_TOPOLOGY, s->sc->dead);
}

static void begin(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];
    uint64_t draw = dice_fixed(&s->dice, node, 1);

    nd->joined = s->world.now - WARM_AGE;
    s->up[node] = nd->nat ? 0 : 1;
    host_count(s, true);
    if (s->sc->fixed != 0) {
        nd->asleep = true;
        return;
    }
    /* as if it had begun a while ago: not all look after their tables in the same second */
    host_make(s, node, s->world.now - WARM_ROUND / 65536 * (draw >> 48));
    fill(s, node);
    host_apply(s, node);
}

void warm_build(struct sim *s)
{
    uint8_t *gone = sim_alloc(s->n, 1);

    for (uint32_t i = 0; i < s->n; i++) {
        struct sim_node *nd = &s->node[i];
        bool late = nd->sybil && !s->attack.early;
        gone[i] = late || dead(s, i) ? 1 : 0;
        if (!late) {
            nd->epoch = 1;
            host_identify(s, i);
        }
    }
    index_build(s, &s->servers, false);
    for (uint32_t i = 0; i < s->n; i++) {
        if (gone[i] == 0) {
            (void)host_acts(s);
            begin(s, i);
        }
    }
    free(gone);
}

/* ---- awake and asleep ---- */

static void lru_cut(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];

    *(nd->newer == SIM_NONE ? &s->newest : &s->node[nd->newer].older) = nd->older;
    *(nd->older == SIM_NONE ? &s->oldest : &s->node[nd->older].newer) = nd->newer;
}

static void lru_push(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];

    nd->newer = SIM_NONE;
    nd->older = s->newest;
    *(s->newest == SIM_NONE ? &s->oldest : &s->node[s->newest].newer) = node;
    s->newest = node;
}

void warm_used(struct sim *s, uint32_t node)
{
    if (s->sc->fixed != 0 && s->newest != node) {
        lru_cut(s, node);
        lru_push(s, node);
    }
}

void warm_left(struct sim *s, uint32_t node)
{
    if (s->sc->fixed != 0 && s->node[node].kad != NULL) {
        lru_cut(s, node);
        s->awake--;
    }
}

/* Nothing it knows would be lost: no stream, no dial under way, no request, no value. */
static bool may_sleep(const struct sim *s, uint32_t node)
{
    const struct sim_node *nd = &s->node[node];
    struct kad_stats st;

    if (nd->streams != SIM_NONE || nd->dialling > 0) {
        return false;
    }
    kad_stats_get(nd->kad, &st);
    return st.requests == 0 && st.records == 0 && st.providers == 0;
}

static void make_room(struct sim *s)
{
    for (unsigned tries = 0; tries < TRIES && s->awake > s->sc->awake; tries++) {
        uint32_t node = s->oldest;
        struct sim_node *nd = &s->node[node];
        if (!may_sleep(s, node)) {
            warm_used(s, node);
            continue;
        }
        warm_left(s, node);
        kad_free(nd->kad);
        nd->kad = NULL;
        nd->asleep = true;
        nd->tick_at = TSTAMP_NEVER;
        check_gone(s, node);
    }
}

void warm_wake(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];

    if (nd->kad != NULL) {
        return;
    }
    ASSERT(nd->asleep);
    uint64_t began = s->opt.cpu_ns == NULL ? 0 : s->opt.cpu_ns();
    nd->asleep = false;
    host_make(s, node, s->world.now);
    fill(s, node);
    lru_push(s, node);
    s->awake++;
    s->report.wakes++;
    make_room(s);
    s->report.wake_cpu_ns += s->opt.cpu_ns == NULL ? 0 : s->opt.cpu_ns() - began;
}
