/*
 * path.c - the random choice of paths.
 *
 *   hop 1        the first guard that may be used (guards.c)
 *   hop 2        of three or more: uniform among the second-layer guards (second.c)
 *   hop n        uniform among gateways (any relay when a service follows)
 *   hops between uniform among all
 *
 * Every choice is uniform among the relays that agree with those already chosen: no relay twice, no
 * family twice, no /16 (IPv4) or /32 (IPv6) twice, those of the service included; neighbours share an IP
 * version (entry.c).  A choice that leads nowhere is made again, a bounded number of times.  Relays that failed
 * lately are left out as long as a path exists without.  To a relay that others named there is a path whoever it is
 * (closeness.c).
 */
#include "core/relays/relays_impl.h"

#include <string.h>

#define TRIES 32

static const struct peer_id nobody = {.len = 0};

/* One path being chosen. */
struct choice {
    const struct relays_entry *hop[ONION_HOPS_MAX]; /* NULL: not chosen yet */
    size_t n;
    const struct relays_entry
        *service;            /* follows the last hop, which need not be a gateway; or NULL */
    uint8_t ip_counted;      /* IP versions that count */
    enum relays_close close; /* to |service| */
    bool stem;               /* the last of |n| hops is chosen another time */
    bool failed_too;
    uint8_t guard[RELAYS_SAMPLE_MAX]; /* that may be used, in order */
    size_t n_guards;
    uint32_t skip;  /* guards passed over, because no path could begin with them */
    uint32_t first; /* index of the one chosen */
    const struct relays_second *second; /* n >= 3: the second hop */
    const struct peer_id *exclude;
    size_t n_exclude;
    const struct peer_id *not_last;
    size_t n_not_last;
    const struct peer_id *apart; /* see relays_path_apart() */
    tstamp now;
};

static bool is_one_of(const struct peer_id *peer, const struct peer_id *of, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (peer_id_eq(&of[i], peer)) {
            return true;
        }
    }
    return false;
}

/* Whether |x| as hop |at| reaches the next and is reached by the one before, as far as they are chosen. */
static bool neighbours_reach(const struct relays *r, const struct choice *c,
                             const struct relays_entry *x, size_t at)
{
    const struct relays_entry *before = at > 0 ? c->hop[at - 1] : NULL;
    const struct relays_entry *after = at + 1 < c->n ? c->hop[at + 1] : NULL;

    if (at == 0 && !relays_entry_dialable(r, x)) {
        return false; /* certain: a fact about ourselves */
    }
    if (at + 1 == c->n && c->service != NULL &&
        !relays_ip_reaches(x->ip, c->service->ip, c->ip_counted)) {
        return false;
    }
    return (before == NULL || relays_ip_reaches(before->ip, x->ip, c->ip_counted)) &&
           (after == NULL || relays_ip_reaches(x->ip, after->ip, c->ip_counted));
}

/* Whether |x| as hop |at| is far enough from the service. */
static bool close_fits(const struct relays *r, const struct choice *c, const struct relays_entry *x,
                       size_t at)
{
    const struct relays_closeness close = {c->close, c->n, c->service};

    return relays_close_fits(r, &close, x, at);
}

/* Whether |x| may be in this path now, as hop |at|. */
static bool usable(const struct relays *r, const struct choice *c, const struct relays_entry *x,
                   size_t at)
{
    return relays_entry_usable(r, x) && (c->failed_too || x->usable <= c->now) &&
           !is_one_of(&x->hop.peer, c->exclude, c->n_exclude) &&
           (c->service == NULL || close_fits(r, c, x, at));
}

/* Whether |x| is independent of the relay that the last hop is to be apart from. */
static bool is_apart(const struct relays *r, const struct choice *c, const struct relays_entry *x)
{
    if (c->apart->len == 0) {
        return true;
    }
    const struct relays_entry *other = relays_find(r, c->apart);
    return !peer_id_eq(c->apart, &x->hop.peer) && (other == NULL || relays_compatible(r, other, x));
}

/* Whether |x| may be hop |at| beside those chosen already. */
static bool fits(const struct relays *r, const struct choice *c, const struct relays_entry *x,
                 size_t at)
{
    if (!usable(r, c, x, at) || !neighbours_reach(r, c, x, at)) {
        return false;
    }
    if (at == c->n - 1 && c->service == NULL && (x->flags & RELAY_FLAG_GATEWAY) == 0) {
        return false;
    }
    if (at == c->n - 1 && is_one_of(&x->hop.peer, c->not_last, c->n_not_last)) {
        return false;
    }
    if (at == c->n - 1 && !is_apart(r, c, x)) {
        return false;
    }
    if (at >= 2 && !c->failed_too &&
        relays_left_out(r, at == 2 ? c->second : NULL, &x->hop.peer, c->now)) {
        return false;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->hop[i] != NULL && !relays_compatible(r, c->hop[i], x)) {
            return false;
        }
    }
    return true;
}

/* What a hop is drawn for. */
struct place {
    const struct choice *c;
    size_t at;
};

static bool fits_place(const struct relays *r, const struct relays_entry *x, const void *ctx)
{
    const struct place *p = ctx;

    return fits(r, p->c, x, p->at);
}

/* A uniform choice for hop |at| of the pool, or NULL. */
static const struct relays_entry *pick(const struct relays *r, const struct choice *c, size_t at)
{
    struct place p = {c, at};

    return relays_pool_draw(r, fits_place, &p);
}

/* The first hop: of the guards that may be used the first that fits, and no other. */
static const struct relays_entry *pick_guard(const struct relays *r, struct choice *c)
{
    uint32_t skip = c->skip;

    for (size_t i = 0; i < c->n_guards; i++) {
        const struct relays_entry *x = &r->guard[c->guard[i]]->x;
        if (fits(r, c, x, 0) && skip-- == 0) {
            c->first = c->guard[i];
            return x;
        }
    }
    return NULL;
}

/* The second hop of a long path. */
static const struct relays_second *pick_second(const struct relays *r, const struct choice *c)
{
    const struct relays_second *ok[RELAYS_SECOND_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_second; i++) {
        if (fits(r, c, &r->second[i]->x, 1)) {
            ok[n++] = r->second[i];
        }
    }
    return n == 0 ? NULL : ok[rng_below(&r->cfg.rng, n)];
}

/* --- paths ---------------------------------------------------------------------------------- */

static bool choose(const struct relays *r, struct choice *c)
{
    memset(c->hop, 0, sizeof c->hop);
    c->hop[0] = pick_guard(r, c);
    if (c->hop[0] == NULL) {
        return false;
    }
    if (c->n >= 3) {
        c->second = pick_second(r, c);
        if (c->second == NULL) {
            return false;
        }
        c->hop[1] = &c->second->x;
    }
    if (c->n > 1 && !c->stem) {
        c->hop[c->n - 1] = pick(r, c, c->n - 1);
        if (c->hop[c->n - 1] == NULL) {
            return false;
        }
    }
    for (size_t at = 2; at + 1 < c->n; at++) {
        c->hop[at] = pick(r, c, at);
        if (c->hop[at] == NULL) {
            return false;
        }
    }
    return true;
}

void relays_set_own_ip(struct relays *r, uint8_t versions)
{
    r->own_ip = versions;
}

/* What is known of the service: its addresses, and its family if it is a relay as well. */
static void service_entry(const struct relays *r, const struct onion_hop *service,
                          struct relays_entry *x)
{
    const struct relays_entry *known = relays_find(r, &service->peer);

    *x = (struct relays_entry){.hop = *service};
    if (known != NULL) {
        memcpy(x->family, known->family, sizeof x->family);
    }
    relays_nets(x);
}

static bool try_times(const struct relays *r, struct choice *c)
{
    for (unsigned i = 0; i < TRIES; i++) {
        c->skip = i * 2 >= TRIES ? 1 : 0;
        if (choose(r, c)) {
            return true;
        }
    }
    return false;
}

static bool try_choices(const struct relays *r, struct choice *c, bool named)
{
    enum relays_close close[RELAYS_CLOSE_TRIES];
    size_t n = relays_rule_close(named, close);

    for (size_t i = 0; i < 2 * n; i++) {
        c->failed_too = i >= n;
        c->close = close[i % n];
        if (try_times(r, c)) {
            return true;
        }
    }
    return false;
}

/* A path may exist once a guard that is only silent just now answers again. */
static bool guard_awaited(const struct relays *r, tstamp now)
{
    uint32_t place = 0;

    for (uint32_t i = 0; i < r->n_guards && place < RELAYS_PRIMARIES; i++) {
        const struct relays_guard *g = r->guard[i];
        if (g->used != 0 && g->x.usable > now) {
            return true;
        }
        place++;
    }
    return r->guards_spent;
}

/* |service| is what c->service points at, where there is one. */
static void choice_of(const struct relays *r, const struct relays_path_want *want,
                      const struct peer_id *other, struct relays_entry *service, struct choice *c)
{
    *c = (struct choice){
        .n = want->n,
        .ip_counted = relays_pool_ip(r),
        .exclude = want->exclude,
        .n_exclude = want->n_exclude,
        .not_last = want->not_last,
        .n_not_last = want->n_not_last,
        .apart = other,
        .stem = want->stem,
    };
    if (want->service != NULL) {
        service_entry(r, want->service, service);
        c->service = service;
    }
}

/* The guards that may begin it: as said in guards.h, and whom the end excludes is known. */
static void guards_put(struct relays *r, struct choice *c, bool named)
{
    enum relays_close close[RELAYS_CLOSE_TRIES];
    bool excluded[RELAYS_SAMPLE_MAX];

    (void)relays_rule_close(named, close);
    c->close = close[0];
    for (uint32_t i = 0; i < r->n_guards; i++) {
        const struct relays_entry *x = &r->guard[i]->x;
        excluded[i] = is_one_of(&x->hop.peer, c->exclude, c->n_exclude) ||
                      (c->service != NULL && !close_fits(r, c, x, 0));
    }
    c->n_guards = relays_guards_usable(r, excluded, c->now, c->guard);
}

qudag_err relays_path(struct relays *r, const struct relays_path_want *want, tstamp now,
                      struct onion_hop *out)
{
    return relays_path_apart(r, want, &nobody, now, out);
}

qudag_err relays_path_apart(struct relays *r, const struct relays_path_want *want,
                            const struct peer_id *other, tstamp now, struct onion_hop *out)
{
    struct relays_entry service;
    struct choice c;

    if (want->n == 0 || want->n > ONION_HOPS_MAX || (want->stem && want->n < 3)) {
        return QUDAG_EINVAL;
    }
    if (!relays_is_usable(r)) {
        return QUDAG_ENORELAYS;
    }
    choice_of(r, want, other, &service, &c);
    c.now = now;
    guards_put(r, &c, want->named);
    if (!try_choices(r, &c, want->named)) {
        return guard_awaited(r, now) ? QUDAG_ENOGUARD : QUDAG_ENORELAYS;
    }
    for (size_t k = 0; k < c.n && c.hop[k] != NULL; k++) {
        out[k] = c.hop[k]->hop;
    }
    relays_guards_use(r, c.first);
    return QUDAG_OK;
}

/* --- stems ------------------------------------------------------------------------------------ */

/* The guard |peer|, if it may be used now; NULL. */
static const struct relays_entry *usable_guard(const struct relays *r, const struct choice *c,
                                               const struct peer_id *peer)
{
    for (size_t i = 0; i < c->n_guards; i++) {
        const struct relays_entry *x = &r->guard[c->guard[i]]->x;
        if (peer_id_eq(&x->hop.peer, peer)) {
            return x;
        }
    }
    return NULL;
}

/* Puts the stem into |c|; false: it would not be chosen any more. */
static bool stem_put(struct relays *r, struct choice *c, const struct relays_stem *stem)
{
    c->n_guards = relays_guards_usable(r, NULL, c->now, c->guard);
    c->second = relays_second_find(r, &stem->hop[1].peer);
    for (size_t at = 0; at < stem->n && c->second != NULL; at++) {
        const struct peer_id *peer = &stem->hop[at].peer;
        const struct relays_entry *x = at == 0   ? usable_guard(r, c, peer)
                                       : at == 1 ? &c->second->x
                                                 : relays_find(r, peer);
        if (x == NULL || !fits(r, c, x, at)) {
            return false;
        }
        c->hop[at] = x;
    }
    return c->second != NULL;
}

bool relays_stem_holds(struct relays *r, const struct relays_stem *stem, tstamp now)
{
    struct choice c = {
        .n = stem->n + 1, .ip_counted = relays_pool_ip(r), .apart = &nobody, .now = now};

    return stem->n >= 2 && stem_put(r, &c, stem);
}

qudag_err relays_path_last(struct relays *r, const struct relays_path_want *want,
                           const struct peer_id *other, const struct relays_stem *stem, tstamp now,
                           struct onion_hop *out)
{
    enum relays_close close[RELAYS_CLOSE_TRIES];
    struct relays_entry service;
    struct choice c;

    if (stem->n < 2 || want->n > ONION_HOPS_MAX ||
        stem->n + (want->service == NULL ? 1 : 0) != want->n) {
        return QUDAG_EINVAL;
    }
    choice_of(r, want, other, &service, &c);
    c.now = now;
    (void)relays_rule_close(want->named, close);
    c.close = close[want->near && want->named ? 1 : 0];
    if (!stem_put(r, &c, stem)) {
        return QUDAG_ENORELAYS;
    }
    const struct relays_entry *last = want->service != NULL ? &service : pick(r, &c, c.n - 1);
    if (last == NULL) {
        return QUDAG_ENORELAYS;
    }
    *out = last->hop;
    return QUDAG_OK;
}
