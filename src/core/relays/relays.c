/*
 * relays.c - the pool of relays: what is known of them, what is to be fetched, who fails.
 *
 * How paths are chosen from the pool: path.c.  Specification: spec/path-selection.md.
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
#define RENEW_RETRY (900 * NS_PER_S) /* between looks for a newer descriptor */

_Static_assert(RELAYS_CANDIDATES_MAX > RELAYS_GUARDS_MAX, "there is always one to be evicted");

qudag_err relays_new(struct relays **out, const struct relays_config *cfg)
{
    uint8_t seed[32];
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

/* --- candidates ----------------------------------------------------------------------------- */

static struct relays_cand *candidate_find(const struct relays *r, const struct peer_id *peer)
{
    return map_get(&r->cand_by_peer, peer_id_slice(peer));
}

bool relays_candidate_known(const struct relays *r, const struct peer_id *peer)
{
    return candidate_find(r, peer) != NULL;
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
    if (r->n_cand == RELAYS_CANDIDATES_MAX) {
        /* Whoever floods us with peers pushes out peers of the flood as well as others. */
        uint32_t ix = rng_below(&r->cfg.rng, r->n_cand);
        while (relays_guards_have(r, &r->cand[ix]->peer)) {
            ix = (ix + 1) % r->n_cand;
        }
        candidate_drop(r, r->cand[ix]);
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
    struct relays_cand *c = NULL;

    /* A guard whose descriptor is missing holds up every path, so it comes first. */
    for (uint32_t i = 0; i < r->n_guards && c == NULL; i++) {
        struct relays_cand *g = candidate_find(r, &r->guard[i].peer);
        if (g != NULL && candidate_due(r, g, true, now)) {
            c = g;
        }
    }
    if (c == NULL && r->n < r->cfg.max) {
        c = candidate_pick(r, true, now);
    }
    if (c == NULL) {
        c = candidate_pick(r, false, now);
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

    if (!relays_fetch_answered(err)) { /* as long as we are offline no relay is given up */
        if (c != NULL) {
            c->next = tstamp_after(now, rng_jitter(&r->cfg.rng, FETCH_AGAIN, 200));
        }
        return;
    }
    for (uint32_t i = 0; i < r->n_guards; i++) {
        if (peer_id_eq(&r->guard[i].peer, peer)) {
            r->guard[i].awaited = false;
        }
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
    if (x == NULL) {
        if (r->n >= r->cfg.max) {
            return QUDAG_ELIMIT;
        }
        x = mem_alloc(r->cfg.mem, sizeof *x);
        if (x == NULL) {
            return QUDAG_ENOMEM;
        }
        qudag_err err = map_put(&r->by_peer, peer_id_slice(&d->peer), x);
        if (err != QUDAG_OK) {
            mem_free(r->cfg.mem, x);
            return err;
        }
        r->v[r->n++] = x;
    }
    relay_set(x, d, r->cfg.lab);
    if (c != NULL) {
        candidate_drop(r, c);
    }
    relays_guards_found(r, &d->peer);
    return QUDAG_OK;
}

static void relay_drop(struct relays *r, size_t ix)
{
    struct relays_entry *x = r->v[ix];

    (void)map_del(&r->by_peer, peer_id_slice(&x->hop.peer));
    relays_guards_drop(r, &x->hop.peer);
    r->v[ix] = r->v[--r->n];
    mem_free(r->cfg.mem, x);
}

void relays_expire(struct relays *r, walltime now)
{
    size_t i = 0;

    while (i < r->n) {
        struct relays_entry *x = r->v[i];
        if (x->expires <= now) {
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
}
