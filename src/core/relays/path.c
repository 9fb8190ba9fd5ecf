/*
 * path.c - the random choice of paths, and the guards.
 *
 *   hop 1        the first guard of the list that can be used; the list grows at its end when none
 *                can, so failures of a moment never replace a guard, they only lend its place
 *   hop n        uniform among gateways (any relay when a service follows)
 *   hops between uniform among all
 *
 * Every choice is uniform among the relays that agree with those already chosen: no relay twice, no
 * family twice, no /16 (IPv4) or /32 (IPv6) twice; neighbours share an IP version.  A choice that leads
 * nowhere is made again, a bounded number of times.  Relays that failed lately are left out as long as a
 * path exists without.
 */
#include "core/relays/relays_impl.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <string.h>

#define TRIES 32
#define FAIL_WAIT (60 * NS_PER_S)
#define FAIL_WAIT_MAX (3600 * NS_PER_S)
#define GUARD_FAIL_LONG (1800 * NS_PER_S)
#define GUARD_AWAIT (60 * NS_PER_S) /* for the descriptor of a guard from disk */

/* One path being chosen. */
struct choice {
    const struct relays_entry *hop[ONION_HOPS_MAX]; /* NULL: not chosen yet */
    size_t n;
    bool any_last;                  /* the last hop need not be a gateway: a service follows it */
    uint8_t service_ip, ip_counted; /* IP versions: the service's, those that count */
    bool failed_too;
    uint32_t skip; /* guards passed over, because no path could begin with them */
    const struct peer_id *exclude;
    size_t n_exclude;
    const struct peer_id *apart; /* see relays_path_apart() */
    tstamp now;
};

/* --- rules ---------------------------------------------------------------------------------- */

uint8_t relays_ip_counted(uint32_t n4, uint32_t n6, uint32_t n)
{
    return (uint8_t)((3 * n4 >= n ? RELAYS_IP4 : 0) | (3 * n6 >= n ? RELAYS_IP6 : 0));
}

bool relays_ip_reaches(uint8_t a, uint8_t b, uint8_t counted)
{
    a &= counted;
    b &= counted;
    return a == 0 || b == 0 || (a & b) != 0;
}

bool relays_addr_usable(const struct multiaddr *addr, bool lab)
{
    struct netaddr a;

    return lab || !multiaddr_to_netaddr(addr, &a) || netaddr_is_global(&a);
}

uint8_t relays_ip_of(const struct onion_hop *hop)
{
    uint8_t ip = 0;

    for (uint8_t i = 0; i < hop->n_addrs; i++) {
        struct netaddr a;
        if (multiaddr_to_netaddr(&hop->addr[i], &a)) {
            ip |= a.family == 4 ? RELAYS_IP4 : a.family == 6 ? RELAYS_IP6 : 0;
        }
    }
    return ip;
}

void relays_nets(struct relays_entry *x)
{
    x->ip = relays_ip_of(&x->hop);
    x->n_nets = 0;
    for (uint8_t i = 0; i < x->hop.n_addrs; i++) {
        struct netaddr a;
        if (!multiaddr_to_netaddr(&x->hop.addr[i], &a) || (a.family != 4 && a.family != 6)) {
            continue;
        }
        struct relays_net *net = &x->net[x->n_nets++];
        *net = (struct relays_net){.family = a.family};
        memcpy(net->b, a.ip, a.family == 4 ? 2 : 4);
    }
}

static bool nets_overlap(const struct relays_entry *a, const struct relays_entry *b)
{
    for (uint8_t i = 0; i < a->n_nets; i++) {
        for (uint8_t k = 0; k < b->n_nets; k++) {
            if (a->net[i].family == b->net[k].family &&
                memcmp(a->net[i].b, b->net[k].b, sizeof a->net[i].b) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool family_shared(const struct relays_entry *a, const struct relays_entry *b)
{
    return !ct_is_zero(a->family, sizeof a->family) &&
           memcmp(a->family, b->family, sizeof a->family) == 0;
}

/* Whether |a| and |b| may be in one path. */
static bool compatible(const struct relays *r, const struct relays_entry *a,
                       const struct relays_entry *b)
{
    return a != b && !family_shared(a, b) && (r->cfg.lab || !nets_overlap(a, b));
}

static bool excluded(const struct choice *c, const struct peer_id *peer)
{
    for (size_t i = 0; i < c->n_exclude; i++) {
        if (peer_id_eq(&c->exclude[i], peer)) {
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

    if (at == 0 && r->own_ip != 0 && x->ip != 0 && (r->own_ip & x->ip) == 0) {
        return false; /* certain: a fact about ourselves */
    }
    if (at + 1 == c->n && !relays_ip_reaches(x->ip, c->service_ip, c->ip_counted)) {
        return false;
    }
    return (before == NULL || relays_ip_reaches(before->ip, x->ip, c->ip_counted)) &&
           (after == NULL || relays_ip_reaches(x->ip, after->ip, c->ip_counted));
}

/* Whether |x| may be in any path now; outside a lab a relay must say where it is, and not be one. */
static bool usable(const struct relays *r, const struct choice *c, const struct relays_entry *x)
{
    if (!r->cfg.lab && ((x->flags & RELAY_FLAG_LAB) != 0 || x->n_nets == 0)) {
        return false;
    }
    return (c->failed_too || x->usable <= c->now) && !excluded(c, &x->hop.peer);
}

/* Whether |x| is independent of the relay that the last hop is to be apart from. */
static bool is_apart(const struct relays *r, const struct choice *c, const struct relays_entry *x)
{
    if (c->apart->len == 0) {
        return true;
    }
    const struct relays_entry *other = relays_find(r, c->apart);
    return !peer_id_eq(c->apart, &x->hop.peer) && (other == NULL || compatible(r, other, x));
}

/* Whether |x| may be hop |at| beside those chosen already. */
static bool fits(const struct relays *r, const struct choice *c, const struct relays_entry *x,
                 size_t at)
{
    if (!usable(r, c, x) || !neighbours_reach(r, c, x, at)) {
        return false;
    }
    if (at == 0 && (x->flags & RELAY_FLAG_GUARD) == 0) {
        return false;
    }
    if (at == c->n - 1 && !c->any_last && (x->flags & RELAY_FLAG_GATEWAY) == 0) {
        return false;
    }
    if (at == c->n - 1 && !is_apart(r, c, x)) {
        return false;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->hop[i] != NULL && !compatible(r, c->hop[i], x)) {
            return false;
        }
    }
    return true;
}

bool relays_guards_have(const struct relays *r, const struct peer_id *peer)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        if (peer_id_eq(&r->guard[i].peer, peer)) {
            return true;
        }
    }
    return false;
}

/* A uniform choice for hop |at|, or NULL.  |fresh|: not one of the guards. */
static const struct relays_entry *pick(const struct relays *r, const struct choice *c, size_t at,
                                       bool fresh)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n; i++) {
        const struct relays_entry *x = r->v[i];
        n += fits(r, c, x, at) && !(fresh && relays_guards_have(r, &x->hop.peer)) ? 1 : 0;
    }
    if (n == 0) {
        return NULL;
    }
    uint32_t k = rng_below(&r->cfg.rng, n);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct relays_entry *x = r->v[i];
        if (fits(r, c, x, at) && !(fresh && relays_guards_have(r, &x->hop.peer)) && k-- == 0) {
            return x;
        }
    }
    return NULL;
}

/* --- guards --------------------------------------------------------------------------------- */

static void guard_remove(struct relays *r, uint32_t ix)
{
    r->n_guards--;
    for (uint32_t i = ix; i < r->n_guards; i++) {
        r->guard[i] = r->guard[i + 1];
    }
}

void relays_guards_drop(struct relays *r, const struct peer_id *peer)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        if (peer_id_eq(&r->guard[i].peer, peer)) {
            guard_remove(r, i);
            return;
        }
    }
}

void relays_guards_found(struct relays *r, const struct peer_id *peer)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        if (peer_id_eq(&r->guard[i].peer, peer)) {
            r->guard[i].awaited = false;
        }
    }
}

bool relays_guard(const struct relays *r, struct peer_id *guard)
{
    if (r->n_guards == 0) {
        return false;
    }
    *guard = r->guard[0].peer;
    return true;
}

void relays_guard_set(struct relays *r, const struct peer_id *guard)
{
    if (guard->len == 0 || peer_id_eq(guard, &r->cfg.self)) {
        return;
    }
    relays_guards_drop(r, guard);
    if (r->n_guards == RELAYS_GUARDS_MAX) {
        r->n_guards--;
    }
    for (uint32_t i = r->n_guards; i > 0; i--) {
        r->guard[i] = r->guard[i - 1];
    }
    r->n_guards++;
    r->guard[0] = (struct relays_guard_entry){.peer = *guard, .awaited = !relays_has(r, guard)};
    relays_candidate(r, guard);
}

/* Guards that failed for long, are no longer guards or never came are given up. */
static void guards_review(struct relays *r)
{
    uint32_t i = 0;

    while (i < r->n_guards) {
        struct relays_guard_entry *g = &r->guard[i];
        const struct relays_entry *x = relays_find(r, &g->peer);
        bool failed =
            x != NULL && x->failures > 0 && x->failed_last - x->failing_since >= GUARD_FAIL_LONG;
        bool unfit = x != NULL && (x->flags & RELAY_FLAG_GUARD) == 0;
        bool lost = x == NULL && !g->awaited && !relays_candidate_known(r, &g->peer);
        if (failed || unfit || lost) {
            guard_remove(r, i);
        } else {
            i++;
        }
    }
}

/* Whether a path has to wait for the descriptor of the first guard; not for ever. */
static bool guard_awaited(struct relays *r, tstamp now)
{
    if (r->n_guards == 0 || !r->guard[0].awaited) {
        return false;
    }
    struct relays_guard_entry *g = &r->guard[0];
    if (!g->waiting) {
        g->waiting = true;
        g->wait_end = tstamp_after(now, GUARD_AWAIT);
    }
    if (now < g->wait_end) {
        return true;
    }
    g->awaited = false;
    return false;
}

/* The first hop: a guard of the list, or a new one at its end. */
static const struct relays_entry *pick_guard(struct relays *r, const struct choice *c)
{
    uint32_t skip = c->skip;

    for (uint32_t i = 0; i < r->n_guards; i++) {
        const struct relays_entry *x = relays_find(r, &r->guard[i].peer);
        if (x != NULL && fits(r, c, x, 0) && skip-- == 0) {
            return x;
        }
    }
    const struct relays_entry *x = pick(r, c, 0, true);
    if (x != NULL && r->n_guards < RELAYS_GUARDS_MAX) {
        r->guard[r->n_guards++] = (struct relays_guard_entry){.peer = x->hop.peer};
        return x;
    }
    return NULL;
}

/* --- paths ---------------------------------------------------------------------------------- */

static bool choose(struct relays *r, struct choice *c)
{
    memset(c->hop, 0, sizeof c->hop);
    c->hop[0] = pick_guard(r, c);
    if (c->hop[0] == NULL) {
        return false;
    }
    if (c->n > 1) {
        c->hop[c->n - 1] = pick(r, c, c->n - 1, false);
        if (c->hop[c->n - 1] == NULL) {
            return false;
        }
    }
    for (size_t at = 1; at + 1 < c->n; at++) {
        c->hop[at] = pick(r, c, at, false);
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

/* Of the whole pool, so that failures of the moment change nothing. */
static uint8_t ip_counted(const struct relays *r)
{
    uint32_t n4 = 0, n6 = 0;

    for (uint32_t i = 0; i < r->n; i++) {
        n4 += (r->v[i]->ip & RELAYS_IP4) != 0 ? 1 : 0;
        n6 += (r->v[i]->ip & RELAYS_IP6) != 0 ? 1 : 0;
    }
    return relays_ip_counted(n4, n6, r->n);
}

qudag_err relays_path(struct relays *r, const struct relays_path_want *want, tstamp now,
                      struct onion_hop *out)
{
    static const struct peer_id any = {.len = 0};

    return relays_path_apart(r, want, &any, now, out);
}

qudag_err relays_path_apart(struct relays *r, const struct relays_path_want *want,
                            const struct peer_id *other, tstamp now, struct onion_hop *out)
{
    struct choice c = {
        .n = want->n,
        .any_last = want->service != NULL,
        .service_ip = want->service != NULL ? relays_ip_of(want->service) : 0,
        .ip_counted = ip_counted(r),
        .exclude = want->exclude,
        .n_exclude = want->n_exclude,
        .apart = other,
        .now = now,
    };

    if (want->n == 0 || want->n > ONION_HOPS_MAX) {
        return QUDAG_EINVAL;
    }
    guards_review(r);
    if (guard_awaited(r, now)) {
        return QUDAG_ENORELAYS;
    }
    for (unsigned i = 0; i < 2 * TRIES; i++) {
        c.failed_too = i >= TRIES;
        c.skip = i % TRIES * 2 >= TRIES ? 1 : 0;
        if (choose(r, &c)) {
            for (size_t k = 0; k < c.n; k++) {
                out[k] = c.hop[k]->hop;
            }
            return QUDAG_OK;
        }
    }
    return QUDAG_ENORELAYS;
}

void relays_failed(struct relays *r, const struct peer_id *peer, tstamp now)
{
    struct relays_entry *x = relays_find(r, peer);

    if (x == NULL) {
        return;
    }
    if (x->failures == 0 || x->worked_then == r->n_worked) {
        x->failing_since = now; /* no relay worked since the last: it may be our own network */
    }
    x->worked_then = r->n_worked;
    x->failed_last = now;
    uint32_t doublings = x->failures > 6 ? 6 : x->failures;
    uint64_t wait = FAIL_WAIT << doublings;
    x->failures += x->failures < UINT32_MAX ? 1 : 0;
    x->usable = tstamp_after(now, wait > FAIL_WAIT_MAX ? FAIL_WAIT_MAX : wait);
}

void relays_worked(struct relays *r, const struct peer_id *peer)
{
    struct relays_entry *x = relays_find(r, peer);

    r->n_worked++;
    if (x != NULL) {
        x->failures = 0;
        x->usable = 0;
    }
}
