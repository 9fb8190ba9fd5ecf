/* derive.c - what follows from the candidates and the evidence: verdicts, what is announced, the view. */
#include "core/reach/reach_int.h"

#include <string.h>

/* ---- what is announced ---- */

static void tell(struct reach *r, struct reach_cand *c)
{
    if (r->n_announced < REACH_ANNOUNCED_MAX) {
        r->announced[r->n_announced++] = c->look.addr;
        c->look.announced = true;
    }
}

static bool is_from(const struct reach_cand *c, enum reach_source source)
{
    return (c->sources & 1u << source) != 0;
}

/*
 * What is known of QUIC at the same host and by the same |source|, for an address of TCP that nobody has tried: few
 * servers dial TCP, and a firewall or a router mostly does the same for both.
 */
static enum reach_verdict by_quic(const struct reach *r, const struct reach_cand *c,
                                  enum reach_source source)
{
    struct netaddr at, other;

    if (c->look.verdict != REACH_UNTRIED || !multiaddr_to_tcp(&c->look.addr, &at)) {
        return c->look.verdict;
    }
    for (size_t i = 0; i < r->n_cand; i++) {
        if (is_from(&r->cand[i], source) && multiaddr_to_netaddr(&r->cand[i].look.addr, &other) &&
            netaddr_same_ip(&at, &other)) {
            return r->cand[i].look.verdict;
        }
    }
    return REACH_UNTRIED;
}

/* What comes through a NAT is told once others have dialled it, of each kind the first that the socket has not. */
static void tell_confirmed(struct reach *r, enum reach_source source, bool has[REACH_KINDS])
{
    bool had[REACH_KINDS];

    memcpy(had, has, sizeof(had));
    for (size_t i = 0; i < r->n_cand; i++) {
        struct reach_cand *c = &r->cand[i];
        unsigned kind = reach_kind(&c->look.addr);
        bool confirmed = source == REACH_MAPPED ? by_quic(r, c, source) == REACH_CONFIRMED
                                                : c->look.verdict == REACH_CONFIRMED;
        if (is_from(c, source) && confirmed && !had[kind] &&
            reach_rule_addr(&c->look.addr, r->lab)) {
            tell(r, c);
            has[kind] = true;
        }
    }
}

static void announce(struct reach *r)
{
    bool has[REACH_KINDS] = {false}, set = false;

    memset(r->announced, 0, sizeof(r->announced));
    r->n_announced = 0;
    for (size_t i = 0; i < r->n_cand; i++) {
        r->cand[i].look.announced = false;
        if (is_from(&r->cand[i], REACH_SET)) {
            tell(r, &r->cand[i]);
            set = true;
        }
    }
    if (set || r->silent) {
        return;
    }
    for (size_t i = 0; i < r->n_cand; i++) {
        struct reach_cand *c = &r->cand[i];
        if (is_from(c, REACH_BOUND) && by_quic(r, c, REACH_BOUND) != REACH_REFUTED &&
            reach_rule_addr(&c->look.addr, r->lab)) {
            has[reach_kind(&c->look.addr)] = true;
            tell(r, c);
        }
    }
    tell_confirmed(r, REACH_MAPPED, has);
    tell_confirmed(r, REACH_OBSERVED, has);
}

/* ---- the view ---- */

static uint8_t family_of(const struct multiaddr *addr)
{
    struct netaddr a;

    return multiaddr_direct(addr, &a) ? a.family : 0;
}

/* What there is of one IP version. */
struct facts {
    bool bound;   /* a socket that reaches beyond this host */
    bool told;    /* something is announced ... */
    bool sure;    /* ... that others have dialled, or the operator vouches for */
    bool open;    /* ... and that is no NAT's, or a NAT's of which everybody gets through */
    bool refuted; /* what there was could not be dialled */
};

static struct facts facts_of(const struct reach *r, uint8_t family, enum reach_nat filter)
{
    struct facts f = {.bound = false};

    for (size_t i = 0; i < r->n_cand; i++) {
        const struct reach_cand *c = &r->cand[i];
        struct netaddr a;
        if (family_of(&c->look.addr) != family || !multiaddr_direct(&c->look.addr, &a)) {
            continue;
        }
        f.bound = f.bound || (is_from(c, REACH_BOUND) && (r->lab || !netaddr_is_loopback(&a)));
        f.refuted = f.refuted || c->look.verdict == REACH_REFUTED;
        if (c->look.announced) {
            f.told = true;
            f.sure = f.sure || is_from(c, REACH_SET) || c->look.verdict == REACH_CONFIRMED;
            f.open = f.open || c->sources != 1u << REACH_OBSERVED ||
                     filter == REACH_NAT_INDEPENDENT || filter == REACH_NAT_NONE;
        }
    }
    return f;
}

/* Whether observers enough agree in nothing: each sees us at another port. */
static bool is_seen_everywhere(const struct reach *r, uint8_t family)
{
    const struct reach_voice *v = r->seen[family == 6 ? REACH_QUIC6 : REACH_QUIC4];

    if (v[REACH_AGREE - 1].net == 0) {
        return false;
    }
    for (size_t i = 0; i < REACH_VOICES && v[i].net != 0; i++) {
        for (size_t k = i + 1; k < REACH_VOICES && v[k].net != 0; k++) {
            if (multiaddr_eq(&v[i].addr, &v[k].addr)) {
                return false;
            }
        }
    }
    return true;
}

/* Whether observers enough see us at one address, and a router that opened a port says that its own is another. */
static bool is_beyond_router(const struct reach *r)
{
    const struct reach_voice *v = r->seen[REACH_QUIC4];
    struct netaddr seen, at;
    bool beyond = false;

    if (v[REACH_AGREE - 1].net == 0 || !multiaddr_to_netaddr(&v[0].addr, &seen)) {
        return false;
    }
    for (size_t i = 1; i < REACH_VOICES && v[i].net != 0; i++) {
        if (!multiaddr_to_netaddr(&v[i].addr, &at) || !netaddr_same_ip(&at, &seen)) {
            return false;
        }
    }
    for (size_t i = 0; i < r->n_cand; i++) {
        const struct reach_cand *c = &r->cand[i];
        if (is_from(c, REACH_MAPPED) && multiaddr_to_netaddr(&c->look.addr, &at) &&
            at.family == 4) {
            if (netaddr_same_ip(&at, &seen)) {
                return false;
            }
            beyond = true;
        }
    }
    return beyond;
}

static enum reach_state state_of(const struct reach *r, const struct facts *f, uint8_t family,
                                 enum reach_nat mapping)
{
    if (f->told) {
        return f->sure ? REACH_PUBLIC : REACH_UNKNOWN;
    }
    return f->bound &&
                   (f->refuted || mapping == REACH_NAT_DEPENDENT || is_seen_everywhere(r, family))
               ? REACH_PRIVATE
               : REACH_UNKNOWN;
}

static void view(struct reach *r)
{
    struct reach_view *v = &r->view;
    struct facts f4 = facts_of(r, 4, v->ip4.filter), f6 = facts_of(r, 6, v->ip6.filter);

    v->ip4.state = state_of(r, &f4, 4, v->ip4.mapping);
    v->ip6.state = state_of(r, &f6, 6, v->ip6.mapping);
    v->double_nat = r->mapped_inside || is_beyond_router(r);
    v->announces = r->n_announced > 0;
    v->serves = f4.told || f6.told;
    v->all_private = !v->serves && (f4.bound || f6.bound) &&
                     (!f4.bound || v->ip4.state == REACH_PRIVATE) &&
                     (!f6.bound || v->ip6.state == REACH_PRIVATE);
    /* Who has IPv4 is looked for by peers that have nothing else. */
    v->needs_places = v->udp_blocked || (!f4.open && (f4.bound || !f6.open));
}

/* ---- all of it ---- */

static void verdicts(struct reach *r, tstamp now)
{
    for (size_t i = 0; i < r->n_cand; i++) {
        struct reach_cand *c = &r->cand[i];
        c->look.verdict = reach_rule_verdict(c->look.verdict, c->word, now);
        c->look.confirmed = c->look.refuted = 0;
        for (size_t k = 0; k < REACH_VOICES && c->word[k].net != 0; k++) {
            c->look.confirmed = (uint8_t)(c->look.confirmed + (c->word[k].yes ? 1 : 0));
            c->look.refuted = (uint8_t)(c->look.refuted + (c->word[k].yes ? 0 : 1));
        }
        c->look.source = REACH_SET;
        while (c->look.source < REACH_OBSERVED && !is_from(c, c->look.source)) {
            c->look.source++;
        }
    }
}

static bool same_view(const struct reach_view *a, const struct reach_view *b)
{
    return a->ip4.state == b->ip4.state && a->ip6.state == b->ip6.state &&
           a->announces == b->announces && a->all_private == b->all_private &&
           a->serves == b->serves && a->needs_places == b->needs_places &&
           a->double_nat == b->double_nat && a->udp_blocked == b->udp_blocked;
}

bool reach_derive(struct reach *r, tstamp now)
{
    struct multiaddr before[REACH_ANNOUNCED_MAX];
    struct reach_view was = r->view;
    size_t n_before = r->n_announced;

    memcpy(before, r->announced, sizeof(before));
    r->held = false;
    verdicts(r, now);
    announce(r);
    view(r);
    if (n_before != r->n_announced || memcmp(before, r->announced, sizeof(before)) != 0) {
        r->told++;
        return true;
    }
    return !same_view(&was, &r->view);
}

bool reach_derive_held(struct reach *r, tstamp now)
{
    if (now < r->hold_until) {
        r->held = true;
        return false;
    }
    if (!reach_derive(r, now)) {
        return false;
    }
    r->hold_until = tstamp_after(now, REACH_HOLD);
    return true;
}

bool reach_tick(struct reach *r, tstamp now)
{
    return r->held && reach_derive_held(r, now);
}

tstamp reach_deadline(const struct reach *r)
{
    return r->held ? r->hold_until : TSTAMP_NEVER;
}
