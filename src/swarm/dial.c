/*
 * dial.c - dialling the addresses of a peer, several at once; backoff; dials on request.
 *
 *   addresses ─ swarm_rule_next_dial() ▶ one is dialled ─ LINK_UP ▶ the others are cancelled
 *                     ▲                       ├ 250 ms without an outcome ─┐
 *                     └───────────────────────┴─ it failed ────────────────┘   all failed ▶ backoff doubles
 */
#include "swarm/doubts.h"
#include "swarm/early.h"
#include "swarm/quiet.h"
#include "swarm/trim.h"

#include "base/assert.h"

#include <string.h>

/*
 * Others can make us dial (an EXTEND names a peer, its record an address) and have no use for the link: silent
 * addresses must fill neither the table of links nor the share of the other cores.
 */
static struct res_ask one_dial(const struct swarm *s, unsigned core)
{
    uint32_t most = s->cfg.dials_max;

    return (struct res_ask){RES_DIALS, 1, (uint8_t)core, most - most / 4};
}

static void dial_give(struct swarm *s, struct res_account *a, unsigned core)
{
    struct res_ask one = one_dial(s, core);

    resources_give(s->resources, a, &one);
    resources_end(s->resources, a);
}

void swarm_dial_give(struct swarm *s, struct swarm_link *l)
{
    if (l->account.used[RES_DIALS] > 0) {
        swarm_streams_uncount(s, l);
        dial_give(s, &l->account, l->dial_by - 1u);
    }
}

void swarm_dial_uncount(struct swarm *s, struct swarm_link *l)
{
    swarm_dial_give(s, l);
    l->dial_by = 0;
}

/* An account of |a| with one dial in it, to be handed to a link. */
static qudag_err dial_ask(struct swarm *s, struct res_account *a, const struct transport_target *d,
                          const struct swarm_peer *p, unsigned core, tstamp now)
{
    struct netaddr to;
    struct res_place at = {.net = multiaddr_endpoint(d->addr, &to) ? netaddr_group(&to) : 0,
                           .peer = p != NULL ? peer_id_slice(&p->id) : (struct slice){0}};
    struct res_ask one = one_dial(s, core);
    struct res_refusal why;
    qudag_err err = resources_open(s->resources, a, &at);

    if (err != QUDAG_OK) {
        return err;
    }
    a->class = swarm_class_for(s, p != NULL ? &p->id : NULL, core);
    err = resources_ask(s->resources, a, &one, &why);
    if (err != QUDAG_OK) {
        resources_end(s->resources, a);
        s->refused = swarm_link_refused(s, &why, now);
    }
    return err;
}

/* Where there is no place for the link now nobody is bothered with a handshake. */
static bool has_place(struct swarm *s, const struct swarm_peer *p, unsigned core, tstamp now)
{
    struct swarm_ask want = {.peer = p != NULL ? &p->id : NULL, .core = core};
    struct res_refusal why;

    if (swarm_place(s, &want, &why, now) != RES_CLASSES) {
        return true;
    }
    resources_refuse(s->resources, &why);
    s->refused = swarm_link_refused(s, &why, now);
    return false;
}

/* What the breaker of the network looks at. */
static void note_dial(const struct swarm *s, struct swarm_link *l, const struct multiaddr *addr,
                      unsigned core)
{
    const struct swarm_peer *p = l->peer;
    struct multiaddr bare = *addr;

    multiaddr_strip_peer(&bare);
    l->chosen = s->core[core].ops->chooses;
    l->matters = p != NULL && swarm_peer_standing(s, &p->id) > RES_CHOSEN;
    const struct swarm_addr *proven = p != NULL ? swarm_peer_addr_proven(p) : NULL;
    l->stood = proven != NULL && multiaddr_eq(&proven->ma, &bare);
}

/* |p|: whom the dial is for; NULL: whoever answers. */
static qudag_err dial_start(struct swarm *s, const struct transport_target *d, struct swarm_peer *p,
                            unsigned core, struct swarm_link **out, tstamp now)
{
    const struct swarm_transport *tp = swarm_transport_for(s, d->addr);
    struct res_account account = {0};
    struct ref ref;

    ASSERT(core < s->n_cores); /* not that of a stream whose protocol is still open */
    if (tp == NULL) {
        return QUDAG_EUNSUPPORTED;
    }
    if (!has_place(s, p, core, now)) {
        return QUDAG_ELIMIT;
    }
    struct swarm_link would = {.peer = p};
    (void)multiaddr_endpoint(d->addr, &would.remote);
    note_dial(s, &would, d->addr, core);
    qudag_err err = dial_ask(s, &account, d, p, core, now);
    if (err != QUDAG_OK) {
        return err;
    }
    if (swarm_net_holds(s, &would, now)) { /* last, as it may be the one probe */
        dial_give(s, &account, core);
        s->refused = 0;
        return QUDAG_ELIMIT;
    }
    s->stats.dials++;
    s->refused = resources_pack(
        &(struct res_refusal){RES_NODE, RES_LINKS, s->n_links, s->cfg.links_max}); /* if it fails */
    err = tp->t->dial(tp->owner, d, now, &ref);
    struct swarm_link *l = err == QUDAG_OK ? swarm_link_make(s, tp, ref, now) : NULL;
    if (l == NULL) {
        dial_give(s, &account, core);
        swarm_net_failed(s, &would, QUDAG_ECANCELED, now); /* it was no probe */
        if (err == QUDAG_OK) {
            tp->t->ops->close(tp->owner, ref, QUDAG_ENOMEM);
        }
        return err != QUDAG_OK ? err : QUDAG_ENOMEM;
    }
    l->account = account;
    l->peer = p;
    l->remote = would.remote;
    l->chosen = would.chosen;
    l->matters = would.matters;
    l->stood = would.stood;
    l->net_probe = would.net_probe;
    l->wants = d->lax && d->pq_hash != NULL;
    if (l->wants) {
        memcpy(l->want, d->pq_hash, sizeof(l->want));
    }
    swarm_link_enter(s, l, SWARM_LINK_CONNECTING);
    l->dialled = p != NULL;
    l->dial_by = l->made_by = (uint8_t)(core + 1);
    if (p != NULL) {
        p->n_dials++;
    }
    if (p != NULL && !list_linked(&p->delayed)) {
        p->next_at = tstamp_after(now, SWARM_ATTEMPT_DELAY);
    }
    *out = l;
    return QUDAG_OK;
}

static qudag_err dial_one(struct swarm *s, struct swarm_peer *p, const struct swarm_addr *to,
                          tstamp now)
{
    struct transport_target d = {.addr = &to->ma, .peer = &p->id};
    struct swarm_link *l;
    const struct swarm_proof *proof = swarm_pins_proof(&s->pins, &p->id);

    d.pq_hash = proof->has_pin ? proof->pin : NULL;
    d.lax = true;
    d.need = swarm_rule_need(proof) | (p->dial_need & SWARM_PROVEN_PROPS);
    return dial_start(s, &d, p, p->dial_core, &l, now);
}

/* Whether nobody who waits for |p| may use a relayed link. */
static bool direct_only(const struct swarm *s, const struct swarm_peer *p)
{
    LIST_EACH(it, &p->opens)
    {
        const struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        if (!s->core[o->report.core].ops->direct_only) {
            return false;
        }
    }
    return s->core[p->dial_core].ops->direct_only;
}

/* Which address of |p| is dialled next; n_addrs: none is left. */
static size_t next_addr(const struct swarm *s, const struct swarm_peer *p)
{
    struct swarm_candidate c[SWARM_ADDRS_MAX];
    bool direct = direct_only(s, p);

    for (size_t i = 0; i < p->n_addrs; i++) {
        struct netaddr a = {0};
        (void)multiaddr_endpoint(&p->addr[i].ma, &a);
        c[i] = (struct swarm_candidate){
            .cost = (uint8_t)swarm_transport_for(s, &p->addr[i].ma)->t->cost,
            .family = a.family,
            .proven = p->addr[i].proven,
            .tried = p->addr[i].tried,
        };
        if (direct && c[i].cost == TRANSPORT_RELAYED) {
            c[i].tried = true;
        }
    }
    return swarm_rule_next_dial(c, p->n_addrs);
}

/* |due|: the delay after the last attempt is over, or one has failed. */
static qudag_err dial_more(struct swarm *s, struct swarm_peer *p, bool due, tstamp now)
{
    qudag_err err = QUDAG_OK;
    size_t next;

    while ((next = next_addr(s, p)) < p->n_addrs && swarm_rule_attempt(p->n_dials, due)) {
        qudag_err e = dial_one(s, p, &p->addr[next], now);
        p->addr[next].tried = true;
        due = due && e != QUDAG_OK;
        err = e != QUDAG_OK ? e : err;
    }
    list_del(&p->delayed);
    if (next < p->n_addrs && swarm_rule_attempt(p->n_dials, true)) {
        p->next_at = tstamp_after(now, SWARM_ATTEMPT_DELAY);
        list_push_back(&s->delayed, &p->delayed);
    }
    return err;
}

void swarm_dial_more_later(struct swarm *s, struct swarm_peer *p)
{
    struct list *at = s->delayed.prev;

    if (p->n_dials == 0 || list_empty(&p->opens) || list_linked(&p->delayed) ||
        next_addr(s, p) == p->n_addrs || !swarm_rule_attempt(p->n_dials, true)) {
        return;
    }
    p->dial_core = LIST_ENTRY(p->opens.next, struct swarm_open, node)->report.core;
    p->dial_need = swarm_opens_need(p);
    while (at != &s->delayed && LIST_ENTRY(at, struct swarm_peer, delayed)->next_at > p->next_at) {
        at = at->prev;
    }
    list_push_front(at, &p->delayed);
}

/* Another round begins: every address has its turn again. */
static void round_begin(struct swarm_peer *p)
{
    for (size_t i = 0; i < p->n_addrs; i++) {
        p->addr[i].tried = false;
    }
}

/* Dials that go to one address only, which has had its turn; where |p| is not being dialled, the others have theirs. */
static void round_from(struct swarm_peer *p, const struct multiaddr *addr)
{
    struct multiaddr bare = *addr;

    multiaddr_strip_peer(&bare);
    if (p == NULL) {
        return;
    }
    if (p->n_dials == 0) {
        round_begin(p);
    }
    for (size_t i = 0; i < p->n_addrs; i++) {
        p->addr[i].tried = p->addr[i].tried || multiaddr_eq(&p->addr[i].ma, &bare);
    }
}

qudag_err swarm_dial_peer(struct swarm *s, struct swarm_peer *p, unsigned core, uint8_t need,
                          tstamp now)
{
    round_begin(p);
    p->dial_core = core;
    p->dial_need = need;
    return dial_more(s, p, false, now);
}

/* Where |l| leads, as it answered there; NULL: that is not among the addresses of the peer. */
static struct swarm_addr *addr_of(struct swarm_peer *p, const struct swarm_link *l)
{
    struct link_info info;

    if (l == NULL || (l->props & (LINK_INBOUND | LINK_RELAYED)) != 0 ||
        swarm_link_info(l, &info) != QUDAG_OK) {
        return NULL;
    }
    multiaddr_strip_peer(&info.remote);
    for (size_t i = 0; i < p->n_addrs; i++) {
        if (multiaddr_eq(&p->addr[i].ma, &info.remote)) {
            return &p->addr[i];
        }
    }
    return NULL;
}

unsigned swarm_dials_under_way(const struct swarm *s, const struct swarm_peer *p, bool relayed)
{
    unsigned n = 0;

    LIST_EACH(it, &s->links)
    {
        const struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        bool is = l->tp->t->cost == TRANSPORT_RELAYED;
        n += l->dialled && l->peer == p && is == relayed ? 1 : 0;
    }
    return n;
}

static bool is_relayed(const struct swarm *s, const struct swarm_addr *a)
{
    return swarm_transport_for(s, &a->ma)->t->cost == TRANSPORT_RELAYED;
}

/* The next of that kind: each has its turn before one has it again; NULL: there is none. */
static struct swarm_addr *next_beside(const struct swarm *s, struct swarm_peer *p, bool relayed)
{
    struct swarm_addr *first = NULL;

    for (size_t i = 0; i < p->n_addrs; i++) {
        struct swarm_addr *a = &p->addr[i];
        if (is_relayed(s, a) == relayed) {
            if (!a->tried) {
                return a;
            }
            first = first == NULL ? a : first;
        }
    }
    for (size_t i = 0; i < p->n_addrs; i++) {
        if (is_relayed(s, &p->addr[i]) == relayed) {
            p->addr[i].tried = false;
        }
    }
    return first;
}

/* Whether there is a link with the relay that |a| leads through: a dial to it sends nothing to where |a| says it is. */
static bool is_relay_linked(struct swarm *s, const struct multiaddr *a)
{
    struct multiaddr relay;
    struct peer_id id;

    if (!multiaddr_through(a, &relay) || !multiaddr_peer(&relay, &id)) {
        return false;
    }
    const struct swarm_peer *p = swarm_peer_get(s, &id);
    return p != NULL && p->n_links > 0;
}

/* Whether one more dial may go where a stranger says he is: many of them may name one host, who is none of them. */
static bool has_host_turn(struct swarm *s, const struct swarm_addr *a, tstamp now)
{
    struct netaddr at;

    if (!multiaddr_endpoint(&a->ma, &at) || is_relay_linked(s, &a->ma)) {
        return true;
    }
    if (now >= tstamp_after(s->came_since, SWARM_CAME_TIME)) {
        memset(s->came_to, 0, sizeof(s->came_to));
        s->came_since = now;
    }
    uint64_t host = netaddr_host(&at);
    struct slice name = {(const uint8_t *)&host, sizeof(host)};
    uint8_t *n = &s->came_to[siphash24(s->peers.k0, s->peers.k1, name) % sizeof(s->came_to)];
    if (*n >= SWARM_CAME_HOST) {
        return false;
    }
    (*n)++;
    return true;
}

unsigned swarm_dial_beside(struct swarm *s, struct swarm_peer *p, const struct swarm_beside *as,
                           tstamp now)
{
    unsigned n = 0;

    if (as->anew) {
        round_begin(p);
    }
    p->dial_core = as->core;
    p->dial_need = 0;
    for (unsigned kind = 0; kind < (as->relayed ? 2u : 1u); kind++) {
        unsigned most = kind == 1 ? SWARM_RESCUE_RELAYS : 1;
        if (swarm_dials_under_way(s, p, kind == 1) >= most) {
            continue;
        }
        struct swarm_addr *known = kind == 0 ? addr_of(p, as->link) : NULL;
        struct swarm_addr *to =
            known != NULL && !known->tried ? known : next_beside(s, p, kind == 1);
        if (to != NULL) {
            to->tried = true;
            bool may = !as->came || has_host_turn(s, to, now);
            n += may && dial_one(s, p, to, now) == QUDAG_OK ? 1 : 0;
        }
    }
    return n;
}

/*
 * Where the peer of |l| is dialled again: where the link leads; but over a byte stream who came did so from a port at
 * which nobody listens, so there at an address of the peer.  NULL: none is known.
 */
static const struct multiaddr *again_at(const struct swarm *s, const struct swarm_link *l,
                                        const struct link_info *info)
{
    const struct swarm_transport *tp = swarm_transport_for(s, &info->remote);
    const struct multiaddr *other = NULL;

    if (tp == NULL || tp->t->cost != TRANSPORT_STREAM || (l->props & LINK_INBOUND) == 0) {
        return &info->remote;
    }
    for (size_t i = 0; i < l->peer->n_addrs; i++) {
        const struct multiaddr *a = &l->peer->addr[i].ma;
        const struct swarm_transport *of = swarm_transport_for(s, a);
        if (of == tp) {
            return a;
        }
        other = other == NULL && of->t->cost < TRANSPORT_RELAYED ? a : other;
    }
    return other;
}

qudag_err swarm_dial_again(struct swarm *s, struct swarm_link *l, unsigned core, tstamp now)
{
    const struct swarm_proof *proof = swarm_pins_proof(&s->pins, &l->peer->id);
    struct link_info info;
    qudag_err err = swarm_link_info(l, &info);

    if (err != QUDAG_OK) {
        return err;
    }
    const struct multiaddr *at = again_at(s, l, &info);
    if (at == NULL) {
        return QUDAG_ENOTFOUND;
    }
    struct transport_target d = {.addr = at,
                                 .peer = &l->peer->id,
                                 .pq_hash = proof->has_pin ? proof->pin : NULL,
                                 .lax = true,
                                 .need = swarm_rule_need(proof)};
    struct swarm_link *dialled;
    round_from(l->peer, at);
    return dial_start(s, &d, l->peer, core, &dialled, now);
}

void swarm_dials_widen(struct swarm *s, struct swarm_peer *p, tstamp now)
{
    if (p->n_dials > 0 && !list_linked(&p->delayed)) {
        (void)dial_more(s, p, false, now);
    }
}

void swarm_dials_go_on(struct swarm *s, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &s->delayed)
    {
        struct swarm_peer *p = LIST_ENTRY(it, struct swarm_peer, delayed);
        if (p->next_at > now) {
            break;
        }
        list_del(&p->delayed);
        if (!list_empty(&p->opens)) { /* else nobody waits any more */
            (void)dial_more(s, p, true, now);
        }
    }
}

/* Whether something waits at |p| that none of its links serves. */
static bool is_lacking(const struct swarm *s, const struct swarm_peer *p, tstamp now)
{
    LIST_EACH(it, &p->opens)
    {
        const struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        if (swarm_peer_link(s, p, o->need, o->report.core, o->proto, now) == NULL) {
            return true;
        }
    }
    return p->n_links == 0;
}

/* All addresses of |p| have failed those who wait: the next to ask are told so at once for a while. */
static void back_off(struct swarm *s, struct swarm_peer *p, tstamp now)
{
    s->stats.dials_failed++;
    p->failed_need = list_empty(&p->opens) ? 0 : swarm_opens_need(p);
    swarm_breaker_failed(&p->breaker, &swarm_breaker_peer, &s->cfg.rng, now);
}

void swarm_dial_ended(struct swarm *s, struct swarm_peer *p, qudag_err err, bool here, tstamp now)
{
    qudag_err more = QUDAG_OK;

    p->last_err = err;
    if (!list_empty(&p->opens)) {
        p->dial_core = LIST_ENTRY(p->opens.next, struct swarm_open, node)->report.core;
        p->dial_need = swarm_opens_need(p);
        more = dial_more(s, p, true, now);
    }
    if (p->n_dials > 0) {
        return;
    }
    if (swarm_rule_is_ours(more)) { /* an address was not tried: that is no fault of the peer's */
        err = more;
    } else if (swarm_rule_fault(err, here) && is_lacking(s, p, now)) {
        back_off(s, p, now);
    }
    swarm_opens_flush(s, p, err == QUDAG_ETIMEOUT ? QUDAG_EUNREACHABLE : err, now);
}

void swarm_dials_cancel(struct swarm *s, const struct swarm_link *up, tstamp now)
{
    if (up->peer->n_dials == 0) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->peer != up->peer || !l->dialled || l->report != NULL ||
            !swarm_rule_loses(l->tp->t->cost, up->tp->t->cost)) {
            continue;
        }
        if (l->tp->t->cancel(l->tp->owner, l->ref)) {
            l->closed_here = true;
            swarm_link_gone(s, l, QUDAG_ECANCELED, now);
        }
    }
}

/* A link of the transport that would dial |addr| and that serves already; NULL: none. */
static const struct swarm_link *link_like(const struct swarm *s, const struct swarm_peer *p,
                                          const struct multiaddr *addr, uint8_t need)
{
    const struct swarm_transport *tp = swarm_transport_for(s, addr);

    for (size_t i = 0; i < p->n_links; i++) {
        if (p->link[i]->tp == tp && (p->link[i]->props & need) == need) {
            return p->link[i];
        }
    }
    return NULL;
}

/* What a dial to d->addr insists on, and whom it is for; QUDAG_EEXISTS: there is a |*link| like it already. */
static qudag_err connect_plan(struct swarm *s, struct transport_target *d, struct swarm_peer **out,
                              const struct swarm_link **link)
{
    struct peer_id id;

    if (swarm_transport_for(s, d->addr) == NULL) {
        return QUDAG_EUNSUPPORTED;
    }
    d->need = d->pq_hash != NULL ? LINK_PQ_AUTH : 0;
    if (!multiaddr_peer(d->addr, &id)) {
        return QUDAG_OK;
    }
    if (peer_id_eq(&id, &s->cfg.self)) {
        return QUDAG_EINVAL;
    }
    struct swarm_peer *p = swarm_peer_make(s, &id);
    if (p == NULL) {
        return QUDAG_ENOMEM;
    }
    const struct swarm_proof *proof = swarm_pins_proof(&s->pins, &id);
    bool holds = d->pq_hash == NULL || !swarm_pins_is_told(&s->pins, &id); /* else this text does */
    bool newer = d->pq_hash != NULL && holds && !swarm_rule_pin(proof, d->pq_hash) &&
                 !swarm_rule_former(proof, d->pq_hash);
    if (newer && !swarm_doubts_asked(s)) {
        return QUDAG_EAUTH; /* it has proven another key, or a record told another */
    }
    swarm_peer_addr_add(s, p, d->addr, SWARM_ADDR_NAMED);
    *out = p;
    d->peer = &p->id;
    d->pq_hash = proof->has_pin && holds && !newer ? proof->pin : d->pq_hash;
    d->lax = true;
    uint8_t need = d->pq_hash != NULL ? LINK_PQ_AUTH : 0;
    d->need = need | swarm_rule_need(proof);
    *link = link_like(s, p, d->addr, need);
    return *link != NULL ? QUDAG_EEXISTS : QUDAG_OK;
}

qudag_err swarm_connect(struct swarm *s, unsigned core, uint64_t cookie,
                        const struct multiaddr *addr, const uint8_t *pq_hash, tstamp now)
{
    static const struct peer_id unknown;
    struct transport_target d = {.addr = addr, .pq_hash = pq_hash};
    struct swarm_peer *p = NULL;
    const struct swarm_link *stands = NULL;
    struct swarm_link *l;
    qudag_err err = connect_plan(s, &d, &p, &stands);

    if (err != QUDAG_OK && err != QUDAG_EEXISTS) {
        return err;
    }
    struct swarm_pending *r = swarm_report_make(s, core, cookie, p != NULL ? &p->id : &unknown);
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    if (err == QUDAG_EEXISTS) {
        swarm_link_used(s, stands, core);
        swarm_report_fail(s, r, QUDAG_OK);
        return QUDAG_OK;
    }
    round_from(p, addr);
    if ((err = dial_start(s, &d, p, core, &l, now)) != QUDAG_OK) {
        mem_free(s->mem, r);
        return err;
    }
    l->report = r;
    l->named = pq_hash != NULL;
    return QUDAG_OK;
}

qudag_err swarm_dial_out(struct swarm *s, unsigned core, uint64_t cookie,
                         const struct transport_target *to, tstamp now)
{
    struct transport_target d = *to;
    struct swarm_link *l;

    if (peer_id_eq(to->peer, &s->cfg.self)) {
        return QUDAG_EINVAL;
    }
    struct swarm_peer *p = swarm_peer_make(s, to->peer);
    struct swarm_pending *r = p == NULL ? NULL : swarm_report_make(s, core, cookie, &p->id);
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    const struct swarm_proof *proof = swarm_pins_proof(&s->pins, &p->id);
    d.peer = &p->id;
    d.need |= swarm_rule_need(proof);
    if (to->pq_hash == NULL) {
        d.lax = proof->has_pin;
        d.pq_hash = d.lax ? proof->pin : NULL;
    } else if (swarm_rule_former(proof, to->pq_hash)) { /* it has not heard of its successor */
        d.pq_hash = proof->pin;
    }
    round_from(p, to->addr);
    bool stands = d.pq_hash == NULL || swarm_rule_pin(proof, d.pq_hash);
    qudag_err err = stands ? dial_start(s, &d, p, core, &l, now) : QUDAG_EAUTH;
    if (err != QUDAG_OK) {
        mem_free(s->mem, r);
        return err;
    }
    l->report = r;
    return QUDAG_OK;
}

void swarm_dial_stop(struct swarm *s, unsigned core, uint64_t cookie, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        const struct swarm_pending *r = l->report;
        bool asked = r != NULL && r->core == core && r->ev.cookie == cookie;
        if (asked && l->tp->t->cancel(l->tp->owner, l->ref)) {
            l->closed_here = true;
            swarm_link_gone(s, l, QUDAG_ECANCELED, now);
            return;
        }
    }
}
