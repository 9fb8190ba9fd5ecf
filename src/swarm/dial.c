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

void open_free(struct swarm *s, struct swarm_open *o)
{
    list_del(&o->node);
    list_del(&o->order);
    o->peer->n_opens--;
    s->n_opens--;
    mem_free(s->mem, o);
}

void dial_fail_opens(struct swarm *s, struct swarm_peer *p, qudag_err err)
{
    LIST_EACH_SAFE(it, tmp, &p->opens)
    {
        struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        pend_fail(s, o->core, o->cookie, &p->id, err);
        open_free(s, o);
    }
}

/* Opens what waits on the links there are now; what no link can serve and no dial may is failed. */
void dial_flush(struct swarm *s, struct swarm_peer *p, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &p->opens)
    {
        struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        struct swarm_link *l = peer_link(p, o->need);
        qudag_err err = QUDAG_EPOLICY;
        if (l != NULL) {
            err = stream_open_out(s, l, o->core, o->cookie, o->proto, now);
        } else if (p->n_dials > 0) {
            err = QUDAG_EAGAIN;
        }
        if (err == QUDAG_EAGAIN) {
            continue; /* more streams later, or another dial under way */
        }
        if (err != QUDAG_OK) {
            pend_fail(s, o->core, o->cookie, &p->id, err);
        }
        open_free(s, o);
    }
}

static bool dial_one(struct swarm *s, struct swarm_peer *p, uint8_t need, tstamp now)
{
    struct quic_dial d = {.peer = &p->id};
    struct ref ref;

    if (!multiaddr_to_netaddr(&p->addr[p->next_addr], &d.remote)) {
        return false;
    }
    d.pq_hash = p->has_pin ? p->pin : NULL;
    d.need_pq = p->once_pq || p->has_pin || (need & (LINK_PQ_KEX | LINK_PQ_AUTH)) != 0;
    s->stats.dials++;
    if (quic_dial(s->cfg.quic, &d, now, &ref) != QUDAG_OK) {
        return false;
    }
    struct swarm_link *l = link_make(s, ref, false);
    if (l == NULL) {
        quic_link_ops.close(s->cfg.quic, ref, QUDAG_ENOMEM);
        return false;
    }
    l->peer = p;
    p->n_dials++;
    return true;
}

void dial_peer(struct swarm *s, struct swarm_peer *p, uint8_t need, tstamp now)
{
    while (p->n_dials < DIALS_PARALLEL && p->next_addr < p->n_addrs) {
        (void)dial_one(s, p, need, now);
        p->next_addr++;
    }
}

/* A dial to |p| ended without a link. */
void dial_ended(struct swarm *s, struct swarm_peer *p, qudag_err err, tstamp now)
{
    p->last_err = err;
    dial_peer(s, p, 0, now);
    if (p->n_dials > 0 || p->n_links > 0) {
        return;
    }
    s->stats.dials_failed++;
    uint64_t wait = SWARM_BACKOFF_MIN << (p->failures < 10 ? p->failures : 10);
    wait = wait < SWARM_BACKOFF_MAX ? wait : SWARM_BACKOFF_MAX;
    p->failures++;
    p->not_before = tstamp_after(now, rng_jitter(&s->cfg.rng, wait, 200));
    dial_fail_opens(s, p, err == QUDAG_ETIMEOUT ? QUDAG_EUNREACHABLE : err);
}

/*
 * Hints come from others (a DHT answer, an EXTEND): they must not make us send into our own machine or
 * network.
 */
static bool hint_ok(const struct swarm *s, const struct multiaddr *ma)
{
    struct netaddr a;

    return multiaddr_to_netaddr(ma, &a) &&
           (s->cfg.private_ok || (!netaddr_is_loopback(&a) && !netaddr_is_private(&a)));
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

static qudag_err wait_open(struct swarm *s, struct swarm_peer *p, unsigned core,
                           const struct act *a, const char *proto, tstamp now)
{
    if (p->n_opens >= PEER_OPENS_MAX || s->n_opens >= s->cfg.opens_max) {
        return QUDAG_ELIMIT;
    }
    struct swarm_open *o = mem_alloc(s->mem, sizeof(*o));
    if (o == NULL) {
        return QUDAG_ENOMEM;
    }
    *o = (struct swarm_open){.peer = p,
                             .core = core,
                             .cookie = a->cookie,
                             .need = a->need | s->cfg.need,
                             .proto = proto,
                             .due = tstamp_after(now, SWARM_OPEN_TIMEOUT)};
    list_push_back(&p->opens, &o->node);
    list_push_back(&s->opens, &o->order);
    p->n_opens++;
    s->n_opens++;
    return QUDAG_OK;
}

/* No link serves it: wait for one, dialling unless a dial is under way. */
static qudag_err open_by_dial(struct swarm *s, struct swarm_peer *p, unsigned core,
                              const struct act *a, const char *proto, tstamp now)
{
    if (p->n_dials == 0) {
        if (p->n_addrs == 0) {
            return QUDAG_EUNREACHABLE;
        }
        if (p->not_before > now) {
            s->stats.dials_refused_backoff++;
            return p->last_err == QUDAG_OK ? QUDAG_EUNREACHABLE : p->last_err;
        }
        if (p->n_links >= SWARM_LINKS_PER_PEER) {
            return QUDAG_EPOLICY;
        }
        p->next_addr = 0;
        dial_peer(s, p, a->need | s->cfg.need, now);
        if (p->n_dials == 0) {
            return QUDAG_EUNREACHABLE;
        }
    }
    return wait_open(s, p, core, a, proto, now);
}

void dial_open(struct swarm *s, unsigned core, const struct act *a, const char *proto, tstamp now)
{
    struct swarm_link *l;
    qudag_err err;

    if (a->peer.len == 0 || peer_id_eq(&a->peer, &s->cfg.self)) {
        pend_fail(s, core, a->cookie, &a->peer, QUDAG_EINVAL);
        return;
    }
    struct swarm_peer *p = peer_make(s, &a->peer);
    if (p == NULL) {
        pend_fail(s, core, a->cookie, &a->peer, QUDAG_ENOMEM);
        return;
    }
    take_hints(s, p, a->data);
    if ((l = peer_link(p, a->need)) != NULL) {
        err = stream_open_out(s, l, core, a->cookie, proto, now);
        if (err == QUDAG_EAGAIN) {
            err = wait_open(s, p, core, a, proto, now);
        }
    } else {
        err = open_by_dial(s, p, core, a, proto, now);
    }
    if (err != QUDAG_OK) {
        pend_fail(s, core, a->cookie, &a->peer, err);
    }
}

qudag_err swarm_connect(struct swarm *s, unsigned core, uint64_t cookie,
                        const struct multiaddr *addr, const uint8_t *pq_hash, tstamp now)
{
    struct peer_id id;
    struct quic_dial d = {.pq_hash = pq_hash, .need_pq = pq_hash != NULL};
    struct ref ref;

    if (!multiaddr_to_netaddr(addr, &d.remote)) {
        return QUDAG_EUNSUPPORTED;
    }
    struct swarm_peer *p = NULL;
    if (multiaddr_peer(addr, &id)) {
        if (peer_id_eq(&id, &s->cfg.self)) {
            return QUDAG_EINVAL;
        }
        p = peer_make(s, &id);
        if (p == NULL) {
            return QUDAG_ENOMEM;
        }
        peer_addr_add(p, addr);
        if (p->n_links > 0) {
            pend_fail(s, core, cookie, &id, QUDAG_OK);
            return QUDAG_OK;
        }
        d.peer = &p->id;
        d.pq_hash = pq_hash != NULL ? pq_hash : (p->has_pin ? p->pin : NULL);
        d.need_pq = d.pq_hash != NULL || p->once_pq;
    }
    s->stats.dials++;
    qudag_err err = quic_dial(s->cfg.quic, &d, now, &ref);
    if (err != QUDAG_OK) {
        return err;
    }
    struct swarm_link *l = link_make(s, ref, false);
    if (l == NULL) {
        quic_link_ops.close(s->cfg.quic, ref, QUDAG_ENOMEM);
        return QUDAG_ENOMEM;
    }
    l->peer = p;
    if (p != NULL) {
        p->n_dials++;
    }
    l->has_cookie = true;
    l->cookie_core = core;
    l->cookie = cookie;
    return QUDAG_OK;
}
