/*
 * dial.c - opens that wait for a link, dialling, backoff.
 *
 *   ACT_OPEN ─ link there ──────────────▶ stream
 *            └ none ▶ wait ─ dial addresses, DIALS_PARALLEL at once ─ LINK_UP ▶ dial_flush ▶ streams
 *                                         └ all failed ▶ EV_STREAM_FAIL, backoff doubles
 */
#include "swarm/internal.h"

#include "base/rd.h"

#include <string.h>

void open_unlink(struct swarm *s, struct swarm_open *o)
{
    list_del(&o->node);
    list_del(&o->order);
    o->peer->n_opens--;
    s->n_opens--;
}

void open_fail(struct swarm *s, struct swarm_open *o, qudag_err err)
{
    open_unlink(s, o);
    report_fail(s, &o->report, err);
}

/* Opens what waits on the links there are now; what no link serves and no dial may ends with |err|. */
void dial_flush(struct swarm *s, struct swarm_peer *p, qudag_err err, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &p->opens)
    {
        struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        struct swarm_link *l = peer_link(p, o->need);
        qudag_err e = p->n_dials > 0 ? QUDAG_EAGAIN : err;
        if (l != NULL) {
            e = stream_open_out(s, l, &o->report, o->proto, now);
        }
        if (e == QUDAG_OK) {
            open_unlink(s, o);
        } else if (e != QUDAG_EAGAIN) { /* else more streams later, or another dial under way */
            open_fail(s, o, e);
        }
    }
}

void dial_uncount(struct swarm *s, struct swarm_link *l)
{
    if (l->dial_by != 0) {
        s->dials_of[l->dial_by - 1]--;
        s->n_dials--;
        l->dial_by = 0;
    }
}

/*
 * Others can make us dial (an EXTEND names any address) and have no use for the link: silent addresses
 * must fill neither the table of links nor the share of the other cores.
 */
static bool dial_allowed(const struct swarm *s, unsigned core)
{
    uint32_t most = s->cfg.dials_max;

    return s->n_dials < most && s->dials_of[core] < most - most / 4;
}

static qudag_err dial_start(struct swarm *s, const struct quic_dial *d, struct swarm_peer *p,
                            unsigned core, struct swarm_link **out, tstamp now)
{
    struct ref ref;

    if (!dial_allowed(s, core)) {
        return QUDAG_ELIMIT;
    }
    s->stats.dials++;
    qudag_err err = s->cfg.dialer->dial(s->cfg.dialer_owner, d, now, &ref);
    if (err != QUDAG_OK) {
        return err;
    }
    struct swarm_link *l = link_make(s, ref, false);
    if (l == NULL) {
        s->cfg.dialer->ops->close(s->cfg.dialer_owner, ref, QUDAG_ENOMEM);
        return QUDAG_ENOMEM;
    }
    l->peer = p;
    l->dialled = p != NULL;
    l->dial_by = (uint8_t)(core + 1);
    s->n_dials++;
    s->dials_of[core]++;
    if (p != NULL) {
        p->n_dials++;
    }
    *out = l;
    return QUDAG_OK;
}

static qudag_err dial_one(struct swarm *s, struct swarm_peer *p, unsigned core, uint8_t need,
                          tstamp now)
{
    struct quic_dial d = {.peer = &p->id};
    struct swarm_link *l;

    if (!multiaddr_to_netaddr(&p->addr[p->next_addr], &d.remote)) {
        return QUDAG_EUNSUPPORTED;
    }
    d.pq_hash = p->proof.has_pin ? p->proof.pin : NULL;
    d.need = swarm_rule_need(&p->proof) | (need & SWARM_PROVEN_PROPS);
    return dial_start(s, &d, p, core, &l, now);
}

/* Of the dials that could not even begin, the last says why. */
qudag_err dial_peer(struct swarm *s, struct swarm_peer *p, unsigned core, uint8_t need, tstamp now)
{
    qudag_err err = QUDAG_OK;

    while (p->n_dials < DIALS_PARALLEL && p->next_addr < p->n_addrs) {
        qudag_err e = dial_one(s, p, core, need, now);
        err = e != QUDAG_OK ? e : err;
        p->next_addr++;
    }
    return err;
}

/* What every open that waits needs: a lesser link would help some. */
static uint8_t opens_need(const struct swarm_peer *p)
{
    uint8_t need = UINT8_MAX;

    LIST_EACH(it, &p->opens)
    {
        need &= LIST_ENTRY(it, struct swarm_open, node)->need;
    }
    return need;
}

/* A dial to |p| ended without a link. */
void dial_ended(struct swarm *s, struct swarm_peer *p, qudag_err err, tstamp now)
{
    p->last_err = err;
    if (!list_empty(&p->opens)) {
        unsigned core = LIST_ENTRY(p->opens.next, struct swarm_open, node)->report.core;
        (void)dial_peer(s, p, core, opens_need(p), now);
    }
    if (p->n_dials > 0) {
        return;
    }
    if (p->n_links == 0) {
        s->stats.dials_failed++;
        uint64_t wait = SWARM_BACKOFF_MIN << (p->failures < 10 ? p->failures : 10);
        wait = wait < SWARM_BACKOFF_MAX ? wait : SWARM_BACKOFF_MAX;
        p->failures++;
        p->not_before = tstamp_after(now, rng_jitter(&s->cfg.rng, wait, 200));
    }
    dial_flush(s, p, err == QUDAG_ETIMEOUT ? QUDAG_EUNREACHABLE : err, now);
}

/* Hints come from others: a DHT answer, an EXTEND. */
static bool hint_ok(const struct swarm *s, const struct multiaddr *ma)
{
    struct netaddr a;

    return multiaddr_to_netaddr(ma, &a) && swarm_rule_hint(&a, s->cfg.private_ok);
}

static void take_hints(const struct swarm *s, struct swarm_peer *p, struct slice hints)
{
    struct rd r = rd_init(hints);

    while (r.left > 0 && rd_ok(&r)) {
        struct slice one = rd_lp(&r, MULTIADDR_MAX);
        struct multiaddr ma;
        if (rd_ok(&r) && multiaddr_from_bytes(&ma, one) == QUDAG_OK && hint_ok(s, &ma)) {
            peer_addr_add(p, &ma);
        }
    }
}

static struct swarm_open *open_make(struct swarm *s, struct swarm_peer *p, unsigned core,
                                    const struct act *a, const char *proto, tstamp now)
{
    struct swarm_open *o = mem_alloc(s->mem, sizeof(*o));

    if (o != NULL) {
        list_init(&o->report.node);
        o->report.core = core;
        o->report.ev.cookie = a->cookie;
        o->report.peer = a->peer;
        o->peer = p;
        o->need = a->need | s->cfg.need;
        o->proto = proto;
        o->due = tstamp_after(now, SWARM_OPEN_TIMEOUT);
    }
    return o;
}

static qudag_err wait_open(struct swarm *s, struct swarm_open *o)
{
    if (o->peer->n_opens >= PEER_OPENS_MAX || s->n_opens >= s->cfg.opens_max) {
        return QUDAG_ELIMIT;
    }
    list_push_back(&o->peer->opens, &o->node);
    list_push_back(&s->opens, &o->order);
    o->peer->n_opens++;
    s->n_opens++;
    return QUDAG_OK;
}

/* No link serves it: wait for one, dialling unless a dial is under way. */
static qudag_err open_by_dial(struct swarm *s, struct swarm_open *o, tstamp now)
{
    struct swarm_peer *p = o->peer;

    if (p->n_dials == 0) {
        if (p->n_addrs == 0) {
            return QUDAG_EUNREACHABLE;
        }
        if (p->not_before > now) {
            s->stats.dials_refused_backoff++;
            return p->last_err == QUDAG_OK ? QUDAG_EUNREACHABLE : p->last_err;
        }
        p->next_addr = 0;
        qudag_err err = dial_peer(s, p, o->report.core, o->need, now);
        if (p->n_dials == 0) {
            return err == QUDAG_OK ? QUDAG_EUNREACHABLE : err;
        }
    }
    return wait_open(s, o);
}

static qudag_err open_try(struct swarm *s, struct swarm_open *o, tstamp now)
{
    struct swarm_link *l = peer_link(o->peer, o->need);

    if (l == NULL) {
        return open_by_dial(s, o, now);
    }
    qudag_err err = stream_open_out(s, l, &o->report, o->proto, now);
    return err == QUDAG_EAGAIN ? wait_open(s, o) : err;
}

void dial_open(struct swarm *s, unsigned core, const struct act *a, const char *proto, tstamp now)
{
    struct ev fail = {.type = EV_STREAM_FAIL, .cookie = a->cookie, .peer = &a->peer};

    fail.err = a->peer.len == 0 || peer_id_eq(&a->peer, &s->cfg.self) || proto == NULL
                   ? QUDAG_EINVAL
                   : QUDAG_ENOMEM;
    struct swarm_peer *p = fail.err == QUDAG_EINVAL ? NULL : peer_make(s, &a->peer);
    struct swarm_open *o = p == NULL ? NULL : open_make(s, p, core, a, proto, now);
    if (o == NULL) { /* told at once: there is nothing to note it in */
        deliver(s, core, &fail);
        return;
    }
    take_hints(s, p, a->data);
    qudag_err err = open_try(s, o, now);
    if (err != QUDAG_OK) {
        report_fail(s, &o->report, err);
    }
}

/* What a dial to |addr| insists on, and whom it is for; QUDAG_EXISTS: there is a link already. */
static qudag_err connect_plan(struct swarm *s, struct quic_dial *d, struct swarm_peer **out,
                              const struct multiaddr *addr)
{
    struct peer_id id;

    if (!multiaddr_to_netaddr(addr, &d->remote)) {
        return QUDAG_EUNSUPPORTED;
    }
    d->need = d->pq_hash != NULL ? LINK_PQ_AUTH : 0;
    if (!multiaddr_peer(addr, &id)) {
        return QUDAG_OK;
    }
    if (peer_id_eq(&id, &s->cfg.self)) {
        return QUDAG_EINVAL;
    }
    struct swarm_peer *p = peer_make(s, &id);
    if (p == NULL) {
        return QUDAG_ENOMEM;
    }
    if (d->pq_hash != NULL && !swarm_rule_pin(&p->proof, d->pq_hash)) {
        return QUDAG_EAUTH; /* it has proven another key, or another was told before */
    }
    peer_addr_add(p, addr);
    *out = p;
    d->peer = &p->id;
    d->pq_hash = p->proof.has_pin ? p->proof.pin : d->pq_hash;
    uint8_t need = d->pq_hash != NULL ? LINK_PQ_AUTH : 0;
    d->need = need | swarm_rule_need(&p->proof);
    return peer_link(p, need) != NULL ? QUDAG_EEXISTS : QUDAG_OK;
}

qudag_err swarm_connect(struct swarm *s, unsigned core, uint64_t cookie,
                        const struct multiaddr *addr, const uint8_t *pq_hash, tstamp now)
{
    static const struct peer_id unknown;
    struct quic_dial d = {.pq_hash = pq_hash};
    struct swarm_peer *p = NULL;
    struct swarm_link *l;
    qudag_err err = connect_plan(s, &d, &p, addr);

    if (err != QUDAG_OK && err != QUDAG_EEXISTS) {
        return err;
    }
    struct swarm_pending *r = report_make(s, core, cookie, p != NULL ? &p->id : &unknown);
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    if (err == QUDAG_EEXISTS) {
        report_fail(s, r, QUDAG_OK);
        return QUDAG_OK;
    }
    if ((err = dial_start(s, &d, p, core, &l, now)) != QUDAG_OK) {
        mem_free(s->mem, r);
        return err;
    }
    l->report = r;
    return QUDAG_OK;
}
