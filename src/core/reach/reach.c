/* reach.c - the candidate addresses, what is said of each, and what follows: what is announced, and the view. */
#include "core/reach/reach_int.h"

#include <string.h>

void reach_init(struct reach *r, bool lab)
{
    memset(r, 0, sizeof(*r));
    r->lab = lab;
}

/* ---- rules ---- */

bool reach_rule_addr(const struct multiaddr *addr, bool lab)
{
    struct netaddr a;

    return multiaddr_direct(addr, &a) && a.port != 0 && !netaddr_is_unspecified(&a) &&
           (lab || netaddr_is_global(&a));
}

unsigned reach_kind(const struct multiaddr *m)
{
    struct netaddr a;

    if (multiaddr_to_tcp(m, &a)) {
        return a.family == 6 ? REACH_TCP6 : REACH_TCP4;
    }
    return multiaddr_to_netaddr(m, &a) && a.family == 6 ? REACH_QUIC6 : REACH_QUIC4;
}

uint64_t reach_network(const struct netaddr *a, const struct peer_id *peer, bool lab)
{
    bool named = lab && peer != NULL && peer->len >= 6;
    const uint8_t *b = named ? peer->b + peer->len - 6 : a->ip;
    uint64_t net = a->family;

    for (size_t i = 0; i < (named ? 6u : a->family == 4 ? 2u : 4u); i++) {
        net = net << 8 | b[i];
    }
    return net;
}

bool reach_may_see(const struct link_info *link, const struct multiaddr *addr)
{
    struct netaddr from, seen;
    bool tcp = multiaddr_to_tcp(addr, &seen);

    return multiaddr_direct(addr, &seen) && reach_kind(addr) == reach_kind(&link->remote) &&
           multiaddr_direct(&link->remote, &from) && (!tcp || (link->props & LINK_INBOUND) != 0);
}

enum reach_verdict reach_rule_verdict(enum reach_verdict was, const struct reach_word *word,
                                      tstamp now)
{
    unsigned yes = 0, no = 0, fresh = 0;

    for (size_t i = 0; i < REACH_VOICES && word[i].net != 0; i++) {
        if (now - word[i].at > REACH_LIFE) {
            continue;
        }
        yes += word[i].yes ? 1 : 0;
        no += word[i].yes ? 0 : 1;
        fresh += word[i].yes && now - word[i].at <= REACH_HOUR ? 1 : 0;
    }
    if (no >= REACH_AGREE && fresh == 0) {
        return REACH_REFUTED;
    }
    return yes >= REACH_AGREE && yes > no ? REACH_CONFIRMED : was;
}

/* ---- candidates ---- */

/* A copy whose unused bytes are zero, so that two may be compared as memory. */
static struct multiaddr copy(const struct multiaddr *addr)
{
    struct multiaddr m = {.len = addr->len};

    memcpy(m.b, addr->b, addr->len);
    multiaddr_strip_peer(&m);
    memset(m.b + m.len, 0, sizeof(m.b) - m.len);
    return m;
}

static struct reach_cand *find(struct reach *r, const struct multiaddr *addr)
{
    struct multiaddr m = copy(addr);

    for (size_t i = 0; i < r->n_cand; i++) {
        if (multiaddr_eq(&r->cand[i].look.addr, &m)) {
            return &r->cand[i];
        }
    }
    return NULL;
}

/* |addr| by |source|; where there is no place, in that of one that only observers name.  NULL: none. */
static struct reach_cand *add(struct reach *r, const struct multiaddr *addr,
                              enum reach_source source)
{
    struct reach_cand *c = find(r, addr);

    if (c == NULL && r->n_cand < REACH_ADDRS_MAX) {
        c = &r->cand[r->n_cand++];
        *c = (struct reach_cand){.look.addr = copy(addr)};
    }
    for (size_t i = 0; c == NULL && source != REACH_OBSERVED && i < r->n_cand; i++) {
        if (r->cand[i].sources == 1u << REACH_OBSERVED) {
            c = &r->cand[i];
            *c = (struct reach_cand){.look.addr = copy(addr)};
        }
    }
    if (c != NULL) {
        c->sources = (uint8_t)(c->sources | 1u << source);
    }
    return c;
}

/* |source| names none of them any more; who is named by nobody is no candidate. */
static void forget_source(struct reach *r, enum reach_source source)
{
    for (size_t i = 0; i < r->n_cand; i++) {
        r->cand[i].sources = (uint8_t)(r->cand[i].sources & ~(1u << source));
    }
}

static void drop_unnamed(struct reach *r)
{
    size_t left = 0;

    for (size_t i = 0; i < r->n_cand; i++) {
        if (r->cand[i].sources == 0) {
            continue;
        }
        if (left != i) {
            r->cand[left] = r->cand[i];
        }
        left++;
    }
    r->n_cand = left;
}

/* How many of the latest voices of that kind name |addr|. */
size_t reach_voices(const struct reach *r, const struct multiaddr *addr)
{
    const struct reach_voice *v = r->seen[reach_kind(addr)];
    size_t n = 0;

    for (size_t i = 0; i < REACH_VOICES && v[i].net != 0; i++) {
        n += multiaddr_eq(&v[i].addr, addr) ? 1 : 0;
    }
    return n;
}

/*
 * Those that REACH_SEEN_MIN networks see us at are candidates, and the latest of each kind; the verdict of one that was
 * stays with it.
 */
static void observed_anew(struct reach *r)
{
    forget_source(r, REACH_OBSERVED);
    for (size_t k = 0; k < REACH_KINDS; k++) {
        for (size_t i = 0; i < REACH_VOICES && r->seen[k][i].net != 0; i++) {
            if (i == 0 || reach_voices(r, &r->seen[k][i].addr) >= REACH_SEEN_MIN) {
                (void)add(r, &r->seen[k][i].addr, REACH_OBSERVED);
            }
        }
    }
    drop_unnamed(r);
}

/* ---- what is put in ---- */

static size_t list_take(struct multiaddr dst[REACH_ANNOUNCED_MAX], const struct multiaddr *addr,
                        size_t n)
{
    n = n < REACH_ANNOUNCED_MAX ? n : REACH_ANNOUNCED_MAX;
    memset(dst, 0, REACH_ANNOUNCED_MAX * sizeof(*dst));
    for (size_t i = 0; i < n; i++) {
        dst[i] = copy(&addr[i]);
    }
    return n;
}

static bool is_of(const struct multiaddr *m, uint8_t family)
{
    struct netaddr a;

    return multiaddr_direct(m, &a) && a.family == family;
}

static bool has_bound(const struct multiaddr *list, size_t n, const struct multiaddr *addr)
{
    for (size_t i = 0; i < n; i++) {
        if (multiaddr_eq(&list[i], addr)) {
            return true;
        }
    }
    return false;
}

/* Another network of that IP version: what was seen and said there is void, but for a global address that stays. */
static void forget_network(struct reach *r, uint8_t family)
{
    for (size_t k = 0; k < REACH_KINDS; k++) {
        if ((k == REACH_QUIC6 || k == REACH_TCP6) == (family == 6)) {
            memset(r->seen[k], 0, sizeof(r->seen[k]));
        }
    }
    for (size_t i = 0; i < r->n_cand; i++) {
        struct reach_cand *c = &r->cand[i];
        bool stays =
            has_bound(r->bound, r->n_bound, &c->look.addr) && reach_rule_addr(&c->look.addr, false);
        if (is_of(&c->look.addr, family) && !stays) {
            memset(c->word, 0, sizeof(c->word));
            c->look.verdict = REACH_UNTRIED;
            c->asked = 0;
        }
    }
    struct reach_family *f = family == 6 ? &r->view.ip6 : &r->view.ip4;
    *f = (struct reach_family){.state = f->state};
    r->view.udp_blocked = false;
}

bool reach_set_bound(struct reach *r, const struct multiaddr *addr, size_t n, tstamp now)
{
    struct multiaddr before[REACH_ANNOUNCED_MAX];
    size_t n_before = r->n_bound;
    bool other[2] = {false, false};

    memcpy(before, r->bound, sizeof(before));
    r->n_bound = list_take(r->bound, addr, n);
    for (size_t i = 0; i < REACH_ANNOUNCED_MAX; i++) {
        if (i < n_before && !has_bound(r->bound, r->n_bound, &before[i])) {
            other[is_of(&before[i], 6)] = true;
        }
        if (i < r->n_bound && !has_bound(before, n_before, &r->bound[i])) {
            other[is_of(&r->bound[i], 6)] = true;
        }
    }
    for (unsigned v6 = 0; v6 < 2; v6++) {
        if (other[v6]) {
            forget_network(r, v6 != 0 ? 6 : 4);
        }
    }
    forget_source(r, REACH_BOUND);
    for (size_t i = 0; i < r->n_bound; i++) {
        (void)add(r, &r->bound[i], REACH_BOUND);
    }
    observed_anew(r);
    return reach_derive(r, now);
}

bool reach_set_operator(struct reach *r, const struct multiaddr *addr, size_t n, tstamp now)
{
    n = n < REACH_ANNOUNCED_MAX ? n : REACH_ANNOUNCED_MAX;
    forget_source(r, REACH_SET);
    for (size_t i = 0; i < n; i++) {
        (void)add(r, &addr[i], REACH_SET);
    }
    drop_unnamed(r);
    return reach_derive(r, now);
}

bool reach_set_silent(struct reach *r, bool silent, tstamp now)
{
    r->silent = silent;
    return reach_derive(r, now);
}

bool reach_mapped(struct reach *r, const struct multiaddr *addr, bool double_nat, tstamp now)
{
    r->mapped_inside = double_nat;
    if (reach_rule_addr(addr, true)) {
        (void)add(r, addr, REACH_MAPPED);
    }
    (void)reach_derive(r, now);
    return true;
}

/* Whether the router has opened anything. */
static bool is_mapped(const struct reach *r)
{
    bool is = false;

    for (size_t i = 0; i < r->n_cand; i++) {
        is = is || (r->cand[i].sources & 1u << REACH_MAPPED) != 0;
    }
    return is;
}

bool reach_unmapped(struct reach *r, const struct multiaddr *addr, tstamp now)
{
    struct reach_cand *c = find(r, addr);

    if (c == NULL || (c->sources & 1u << REACH_MAPPED) == 0) {
        return false;
    }
    c->sources = (uint8_t)(c->sources & ~(1u << REACH_MAPPED));
    drop_unnamed(r);
    r->mapped_inside = r->mapped_inside && is_mapped(r);
    return reach_derive(r, now);
}

/* The word of that network about |c|, over its last one, an empty or the oldest place. */
static void say(struct reach_cand *c, uint64_t net, bool yes, tstamp now)
{
    size_t at = 0;

    while (at < REACH_VOICES - 1 && c->word[at].net != 0 && c->word[at].net != net) {
        at++;
    }
    memmove(c->word + 1, c->word, at * sizeof(*c->word));
    c->word[0] = (struct reach_word){net, now, yes};
    c->look.checked = now;
}

/*
 * Whether the host at |addr| is ours by more than the word of those who say they see us there: else peers of a few
 * networks could have us announce somebody else's.  A socket, the operator or the router names it, or dial-backs by
 * QUIC, which bring a nonce, came through it.
 */
static bool is_our_host(const struct reach *r, const struct netaddr *addr)
{
    const unsigned by_others = 1u << REACH_OBSERVED;
    struct netaddr a, tcp;

    for (size_t i = 0; i < r->n_cand; i++) {
        const struct reach_cand *c = &r->cand[i];
        bool proven = c->look.verdict == REACH_CONFIRMED && !multiaddr_to_tcp(&c->look.addr, &tcp);
        if (((c->sources & ~by_others) != 0 || proven) && multiaddr_direct(&c->look.addr, &a) &&
            netaddr_same_ip(&a, addr)) {
            return true;
        }
    }
    return r->lab;
}

bool reach_observed(struct reach *r, const struct link_info *link, const struct multiaddr *addr,
                    tstamp now)
{
    struct netaddr from;

    if (link->peer.len == 0 || (link->props & (LINK_ANON | LINK_RELAYED)) != 0 ||
        !reach_rule_addr(&link->remote, r->lab) || !reach_rule_addr(addr, r->lab) ||
        !reach_may_see(link, addr) || !multiaddr_direct(&link->remote, &from)) {
        return false;
    }
    struct reach_voice *v = r->seen[reach_kind(addr)];
    struct reach_voice one = {reach_network(&from, &link->peer, r->lab), copy(addr)};
    size_t at = 0;
    while (at < REACH_VOICES - 1 && v[at].net != 0 && v[at].net != one.net) {
        at++;
    }
    memmove(v + 1, v, at * sizeof(*v)); /* over the same network's, an empty or the oldest place */
    v[0] = one;
    observed_anew(r);
    struct reach_cand *c = find(r, addr);
    if (c != NULL && multiaddr_to_tcp(addr, &from) && is_our_host(r, &from)) { /* dialled there */
        say(c, one.net, true, now);
    }
    return reach_derive_held(r, now);
}

bool reach_nat_seen(struct reach *r, uint8_t family, const struct reach_family *seen, tstamp now)
{
    struct reach_family *f = family == 6 ? &r->view.ip6 : &r->view.ip4;
    struct reach_family was = *f;

    f->mapping = seen != NULL ? seen->mapping : REACH_NAT_UNKNOWN;
    f->filter = seen != NULL ? seen->filter : REACH_NAT_UNKNOWN;
    f->step = seen != NULL ? seen->step : 0;
    bool changed = was.mapping != f->mapping || was.filter != f->filter || was.step != f->step;
    return reach_derive(r, now) || changed;
}

bool reach_answered(struct reach *r, const struct multiaddr *addr, const struct reach_server *by,
                    bool yes, tstamp now)
{
    struct reach_cand *c = find(r, addr);
    struct netaddr from;

    if (c == NULL || !multiaddr_direct(&by->addr, &from)) {
        return false;
    }
    say(c, reach_network(&from, &by->peer, r->lab), yes, now);
    return reach_derive_held(r, now);
}

bool reach_udp_seen(struct reach *r, bool came, tstamp now)
{
    r->view.udp_blocked = !came;
    return reach_derive(r, now);
}

/* ---- looking in ---- */

bool reach_addr_next(const struct reach *r, size_t *it, struct reach_addr *out)
{
    if (*it >= r->n_cand) {
        return false;
    }
    *out = r->cand[(*it)++].look;
    return true;
}

size_t reach_for_cells(const struct reach *r, struct multiaddr *out, size_t max)
{
    struct netaddr a;
    size_t n = 0;

    for (size_t i = 0; i < r->n_announced && n < max; i++) {
        if (multiaddr_to_netaddr(&r->announced[i], &a) && reach_rule_addr(&r->announced[i], true)) {
            if (out != NULL) {
                out[n] = r->announced[i];
            }
            n++;
        }
    }
    return n;
}

size_t reach_candidates(const struct reach *r, struct reach_addr *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_cand && n < max; i++) {
        const struct reach_addr *a = &r->cand[i].look;
        struct netaddr at;
        if (multiaddr_to_netaddr(&a->addr, &at) && at.port != 0 &&
            (r->lab || !netaddr_is_loopback(&at))) {
            out[n++] = *a;
        }
    }
    return n;
}
