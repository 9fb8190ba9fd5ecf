/*
 * relays.c - the pool of relays: what is known of them, what is to be fetched, who fails.
 *
 * How paths are chosen from the pool: path.c; the guards: guards.c, second.c.  Specification:
 * spec/path-selection.md.
 */
#include "core/relays/relays_impl.h"

#include "base/assert.h"

#include <string.h>

#define MAX_DEFAULT 512
#define MAX_LIMIT 4096
#define FETCH_TIME (60 * NS_PER_S) /* the outcome comes within */
#define FETCH_RETRY (2 * NS_PER_S) /* a new relay is often met before its descriptor is stored */
#define FETCH_RETRY_MAX (3600 * NS_PER_S)
#define FETCH_TRIES 12
#define FETCH_AGAIN (10 * NS_PER_S)  /* when nobody could be asked */
#define DOUBT_RETRY (10 * NS_PER_S)  /* of a relay that was not where it said */
#define RENEW_RETRY (900 * NS_PER_S) /* between looks for a newer descriptor */

qudag_err relays_new(struct relays **out, const struct relays_config *cfg)
{
    uint8_t seed[48];
    struct relays *r = mem_alloc(cfg->mem, sizeof *r);

    *out = NULL;
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    r->cfg = *cfg;
    if (r->cfg.max == 0 || r->cfg.max > MAX_LIMIT) {
        r->cfg.max = r->cfg.max == 0 ? MAX_DEFAULT : MAX_LIMIT;
    }
    r->v = mem_alloc_n(cfg->mem, r->cfg.max, sizeof(struct relays_entry *));
    if (r->v == NULL) {
        mem_free(cfg->mem, r);
        return QUDAG_ENOMEM;
    }
    rng_fill(&cfg->rng, seed, sizeof seed);
    map_init(&r->by_peer, cfg->mem, seed, r->cfg.max);
    map_init(&r->cand_by_peer, cfg->mem, seed + 16, RELAYS_CANDIDATES_MAX);
    memcpy(r->rank_key, seed + 32, sizeof r->rank_key);
    *out = r;
    return QUDAG_OK;
}

void relays_free(struct relays *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        mem_free(r->cfg.mem, r->v[i]);
    }
    for (size_t i = 0; i < r->n_cand; i++) {
        mem_free(r->cfg.mem, r->cand[i]);
    }
    relays_guards_free(r);
    relays_second_free(r);
    map_fini(&r->by_peer);
    map_fini(&r->cand_by_peer);
    mem_free(r->cfg.mem, r->v);
    mem_free_wiped(r->cfg.mem, r);
}

struct relays_entry *relays_find(const struct relays *r, const struct peer_id *peer)
{
    return map_get(&r->by_peer, peer_id_slice(peer));
}

size_t relays_count(const struct relays *r)
{
    return r->n;
}

bool relays_has(const struct relays *r, const struct peer_id *peer)
{
    return relays_find(r, peer) != NULL;
}

bool relays_get(const struct relays *r, const struct peer_id *peer, struct onion_hop *out)
{
    const struct relays_entry *x = relays_find(r, peer);

    if (x != NULL) {
        *out = x->hop;
    }
    return x != NULL;
}

bool relays_next(const struct relays *r, size_t *it, struct peer_id *peer)
{
    if (*it >= r->n) {
        return false;
    }
    *peer = r->v[(*it)++]->hop.peer;
    return true;
}

uint64_t relays_rank(const struct relays *r, const struct peer_id *peer)
{
    return siphash24(r->rank_key[0], r->rank_key[1], peer_id_slice(peer));
}

/* The one of the highest rank; the pool is not empty. */
static uint32_t pool_last(const struct relays *r)
{
    uint32_t last = 0;

    for (uint32_t i = 1; i < r->n; i++) {
        last = r->v[i]->rank > r->v[last]->rank ? i : last;
    }
    return last;
}

/* Whether the pool has room for |peer|, if need be in place of another; second-layer guards are always wanted. */
static bool pool_wants(struct relays *r, const struct peer_id *peer)
{
    return r->n < r->cfg.max || relays_second_find(r, peer) != NULL ||
           relays_rank(r, peer) < r->v[pool_last(r)]->rank;
}

/* --- candidates ----------------------------------------------------------------------------- */

static struct relays_cand *candidate_find(const struct relays *r, const struct peer_id *peer)
{
    return map_get(&r->cand_by_peer, peer_id_slice(peer));
}

static void candidate_drop(struct relays *r, struct relays_cand *c)
{
    (void)map_del(&r->cand_by_peer, peer_id_slice(&c->peer));
    struct relays_cand *last = r->cand[--r->n_cand];
    r->cand[c->ix] = last;
    last->ix = c->ix;
    mem_free(r->cfg.mem, c);
}

void relays_candidate(struct relays *r, const struct peer_id *peer)
{
    if (peer->len == 0 || peer_id_eq(peer, &r->cfg.self) || candidate_find(r, peer) != NULL) {
        return;
    }
    const struct relays_entry *known = relays_find(r, peer);
    if (known != NULL && !known->ageing) {
        return;
    }
    /* Guards are not asked for in the open; they are fetched through circuits (relays_guard_stale). */
    if (relays_guards_hides(r, peer) || (known == NULL && !pool_wants(r, peer))) {
        return;
    }
    if (r->n_cand == RELAYS_CANDIDATES_MAX) {
        /* Whoever floods us with peers pushes out peers of the flood as well as others. */
        candidate_drop(r, r->cand[rng_below(&r->cfg.rng, r->n_cand)]);
    }
    struct relays_cand *c = mem_alloc(r->cfg.mem, sizeof *c);
    if (c == NULL) {
        return; /* it will be seen again */
    }
    c->peer = *peer;
    c->ix = r->n_cand;
    if (map_put(&r->cand_by_peer, peer_id_slice(peer), c) != QUDAG_OK) {
        mem_free(r->cfg.mem, c);
        return;
    }
    r->cand[r->n_cand++] = c;
}

void relays_doubt(struct relays *r, const struct peer_id *peer, tstamp now)
{
    struct relays_entry *x = relays_find(r, peer);

    if (x == NULL) {
        return;
    }
    x->ageing = true;
    relays_candidate(r, peer);
    struct relays_cand *c = candidate_find(r, peer);
    if (c != NULL) {
        c->next = tstamp_min(c->next, tstamp_after(now, DOUBT_RETRY));
    }
}

/* Whether |c| may be fetched now; unknown peers and renewals of known ones are two classes. */
static bool candidate_due(const struct relays *r, const struct relays_cand *c, bool unknown,
                          tstamp now)
{
    return c->next <= now && relays_has(r, &c->peer) != unknown;
}

static struct relays_cand *candidate_pick(struct relays *r, bool unknown, tstamp now)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_cand; i++) {
        n += candidate_due(r, r->cand[i], unknown, now) ? 1 : 0;
    }
    if (n == 0) {
        return NULL;
    }
    uint32_t k = rng_below(&r->cfg.rng, n);
    for (uint32_t i = 0; i < r->n_cand; i++) {
        if (candidate_due(r, r->cand[i], unknown, now) && k-- == 0) {
            return r->cand[i];
        }
    }
    return NULL;
}

bool relays_next_fetch(struct relays *r, tstamp now, struct peer_id *peer)
{
    /* In turn by chance: a flood of unknown peers does not keep renewals waiting. */
    bool unknown = rng_below(&r->cfg.rng, 2) == 0;
    struct relays_cand *c = candidate_pick(r, unknown, now);

    if (c == NULL) {
        c = candidate_pick(r, !unknown, now);
    }
    if (c == NULL) {
        return false;
    }
    c->next = tstamp_after(now, relays_has(r, &c->peer) ? RENEW_RETRY : FETCH_TIME);
    *peer = c->peer;
    return true;
}

bool relays_fetch_answered(qudag_err err)
{
    switch (qudag_err_category(err)) {
    case QUDAG_CAT_OK:
    case QUDAG_CAT_USAGE:
    case QUDAG_CAT_INTERNAL:
        return false;
    default:
        return err != QUDAG_ENOMEM && err != QUDAG_ECANCELED && err != QUDAG_EUNREACHABLE &&
               err != QUDAG_ETIMEOUT && err != QUDAG_EBOOTSTRAP && err != QUDAG_EAGAIN;
    }
}

void relays_fetch_failed(struct relays *r, const struct peer_id *peer, qudag_err err, tstamp now)
{
    struct relays_cand *c = candidate_find(r, peer);

    if (c != NULL) {
        c->looked = true;
    }
    if (!relays_fetch_answered(err)) { /* as long as we are offline no relay is given up */
        if (c != NULL) {
            c->next = tstamp_after(now, rng_jitter(&r->cfg.rng, FETCH_AGAIN, 200));
        }
        return;
    }
    if (c == NULL) {
        return;
    }
    c->fails++;
    if (c->fails >= FETCH_TRIES) {
        candidate_drop(r, c);
        return;
    }
    uint64_t wait = FETCH_RETRY << (c->fails - 1);
    wait = wait > FETCH_RETRY_MAX ? FETCH_RETRY_MAX : wait;
    c->next = tstamp_after(now, rng_jitter(&r->cfg.rng, wait, 200));
}

/* --- descriptors ---------------------------------------------------------------------------- */

static void relay_set(struct relays_entry *x, const struct relay_desc *d, bool lab)
{
    x->hop = (struct onion_hop){.peer = d->peer};
    memcpy(x->hop.pq_hash, d->pq_hash, sizeof x->hop.pq_hash);
    for (uint8_t i = 0; i < d->n_addrs; i++) {
        if (relays_addr_usable(&d->addr[i], lab)) {
            x->hop.addr[x->hop.n_addrs++] = d->addr[i];
        }
    }
    memcpy(x->hop.key_id, d->key_id, sizeof x->hop.key_id);
    memcpy(x->hop.x, d->onion_x, sizeof x->hop.x);
    memcpy(x->hop.k, d->onion_k, sizeof x->hop.k);
    memcpy(x->family, d->family, sizeof x->family);
    x->flags = d->flags;
    x->seq = d->seq;
    x->not_before = d->not_before;
    x->expires = d->expires;
    x->ageing = false;
    relays_nets(x);
}

static void relay_drop(struct relays *r, size_t ix)
{
    struct relays_entry *x = r->v[ix];

    (void)map_del(&r->by_peer, peer_id_slice(&x->hop.peer));
    r->v[ix] = r->v[--r->n];
    mem_free(r->cfg.mem, x);
}

/* A place for |peer|, maybe in place of another.  ELIMIT: it is for others; ENOMEM. */
static qudag_err pool_add(struct relays *r, const struct peer_id *peer, struct relays_entry **out)
{
    if (!pool_wants(r, peer)) {
        return QUDAG_ELIMIT;
    }
    struct relays_entry *x = mem_alloc(r->cfg.mem, sizeof *x);
    if (x == NULL) {
        return QUDAG_ENOMEM;
    }
    if (r->n >= r->cfg.max) {
        relay_drop(r, pool_last(r));
    }
    qudag_err err = map_put(&r->by_peer, peer_id_slice(peer), x);
    if (err != QUDAG_OK) {
        mem_free(r->cfg.mem, x);
        return err;
    }
    r->v[r->n++] = x;
    x->rank = relays_second_find(r, peer) != NULL ? 0 : relays_rank(r, peer);
    *out = x;
    return QUDAG_OK;
}

void relays_pool_recall(struct relays *r)
{
    struct relays_entry *x;

    for (uint32_t i = 0; i < r->n_guards; i++) {
        const struct relays_entry *g = &r->guard[i]->x;
        if (!peer_id_eq(&g->hop.peer, &r->cfg.self) && relays_find(r, &g->hop.peer) == NULL &&
            pool_add(r, &g->hop.peer, &x) == QUDAG_OK) {
            uint64_t rank = x->rank;
            *x = *g;
            x->rank = rank;
        }
    }
}

/* Guards have copies of their own: they outlive the pool's. */
static void copies_set(struct relays *r, const struct relay_desc *d)
{
    struct relays_guard *g = relays_guards_find(r, &d->peer);
    struct relays_second *s = relays_second_find(r, &d->peer);

    if (g != NULL && d->seq > g->x.seq) {
        relay_set(&g->x, d, r->cfg.lab);
        relays_guards_note(r, RELAYS_DIRTY_LATER);
    }
    if (s != NULL && d->seq > s->x.seq) {
        relay_set(&s->x, d, r->cfg.lab);
        relays_guards_note(r, RELAYS_DIRTY_LATER);
    }
}

/* |x| has just come into the pool. */
static void note_met(struct relays *r, const struct relays_entry *x)
{
    bool fresh = r->cfg.lab || relays_view_new(relays_network_count(r, x));

    r->met += fresh && relays_entry_usable(r, x) ? 1 : 0;
}

_Static_assert(RELAY_DESC_ADDRS_MAX == ONION_ADDRS_MAX, "addresses are copied as they are");

qudag_err relays_add(struct relays *r, const struct relay_desc *d)
{
    struct relays_entry *x = relays_find(r, &d->peer);
    struct relays_cand *c = candidate_find(r, &d->peer);

    if (d->peer.len == 0 || d->n_addrs > RELAY_DESC_ADDRS_MAX) {
        return QUDAG_EINVAL;
    }
    if (peer_id_eq(&d->peer, &r->cfg.self)) {
        return QUDAG_EINVAL;
    }
    if (x != NULL && d->seq <= x->seq) {
        return d->seq < x->seq ? QUDAG_ESTALE : QUDAG_OK;
    }
    copies_set(r, d);
    bool added = x == NULL;
    if (added) {
        qudag_err err = pool_add(r, &d->peer, &x);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    relay_set(x, d, r->cfg.lab);
    if (added) {
        note_met(r, x);
    }
    if (c != NULL) {
        candidate_drop(r, c);
    }
    return QUDAG_OK;
}

void relays_expire(struct relays *r, walltime now, bool sure)
{
    size_t i = 0;

    r->wall = now;
    r->wall_sure = sure;
    while (i < r->n) {
        struct relays_entry *x = r->v[i];
        if (x->expires <= now && !relays_guards_hides(r, &x->hop.peer)) {
            relay_drop(r, i);
            continue;
        }
        /* In the last quarter of its life a newer one is looked for. */
        if (!x->ageing && x->expires - now < (x->expires - x->not_before) / 4) {
            x->ageing = true;
            relays_candidate(r, &x->hop.peer);
        }
        i++;
    }
    if (!r->large && r->n >= RELAYS_VIEW_RELAYS) {
        struct relays_diversity d = relays_diversity(r);
        if (relays_view_large(&d)) {
            relays_guards_large(r);
        }
    }
    relays_guards_refresh(r);
    relays_second_refresh(r);
}

/* --- the view ------------------------------------------------------------------------------- */

void relays_view_get(const struct relays *r, struct relays_view *out)
{
    *out = (struct relays_view){.restored = r->restored && r->n_second > 0,
                                .known = relays_diversity(r)};
    for (uint32_t i = 0; i < r->n_cand; i++) {
        const struct relays_cand *c = r->cand[i];
        out->waiting += !c->looked && relays_find(r, &c->peer) == NULL ? 1 : 0;
    }
}

bool relays_is_settled(const struct relays *r)
{
    return r->settled;
}

void relays_usable(struct relays *r)
{
    r->usable = true;
}

bool relays_is_usable(const struct relays *r)
{
    return r->settled || r->usable;
}

uint64_t relays_met(const struct relays *r)
{
    return r->met;
}

void relays_settled(struct relays *r, walltime now)
{
    r->settled = true;
    relays_expire(r, now, r->wall_sure);
}
