/*
 * opens.c - streams that cores asked for and that wait for a link, or for the link to allow one more.
 *
 *   ACT_OPEN ─ link there ──────────────▶ stream
 *            ├ none, no_dial ▶ EV_STREAM_FAIL
 *            └ none that takes any ▶ wait ─ dial (dial.c) ─ LINK_PROVEN ▶ swarm_opens_early ▶ streams of some cores
 *                                           ├ LINK_UP ▶ swarm_opens_flush ▶ streams
 *                                           └ all failed ▶ EV_STREAM_FAIL
 */
#include "swarm/doubts.h"
#include "swarm/early.h"
#include "swarm/meter_int.h"
#include "swarm/quiet.h"
#include "swarm/use.h"

#include "base/rd.h"

void swarm_open_unlink(struct swarm *s, struct swarm_open *o)
{
    list_del(&o->node);
    list_del(&o->order);
    o->peer->n_opens--;
    s->n_opens--;
}

void swarm_open_fail(struct swarm *s, struct swarm_open *o, qudag_err err, tstamp now)
{
    swarm_meter_open(s, o, err, now);
    swarm_open_unlink(s, o);
    swarm_report_fail(s, &o->report, err);
}

uint8_t swarm_opens_need(const struct swarm_peer *p)
{
    uint8_t need = UINT8_MAX;

    LIST_EACH(it, &p->opens)
    {
        need &= LIST_ENTRY(it, struct swarm_open, node)->need;
    }
    return need;
}

/* What |o| ends with when it is not opened now; QUDAG_EAGAIN: it waits, for a stream of |l| or for a dial. */
static qudag_err not_opened(const struct swarm_open *o, const struct swarm_link *l, qudag_err err)
{
    if (l != NULL) {
        return QUDAG_EAGAIN;
    }
    if (o->no_dial) {
        return QUDAG_ECLOSED;
    }
    return o->peer->n_dials > 0 ? QUDAG_EAGAIN : err;
}

/* Before the report is delivered.  What only goes over a link that stands was not our choice (an EXTEND). */
static void note_use(struct swarm *s, const struct swarm_open *o, const struct swarm_link *l,
                     tstamp now)
{
    swarm_meter_open(s, o, QUDAG_OK, now);
    if (!o->no_dial) {
        swarm_link_used(s, l, o->report.core);
    }
}

/* Dials |o|'s peer unless that is under way.  QUDAG_OK: it is. */
static qudag_err dial_for(struct swarm *s, const struct swarm_open *o, tstamp now)
{
    struct swarm_peer *p = o->peer;

    if (p->n_dials > 0) {
        swarm_dials_widen(s, p, now); /* those may have begun beside a link, to one address each */
        return QUDAG_OK;
    }
    if (p->n_addrs == 0) {
        return QUDAG_EUNREACHABLE;
    }
    if (!swarm_breaker_try(&p->breaker, now, now)) {
        s->stats.dials_refused_backoff++;
        return p->last_err == QUDAG_OK ? QUDAG_EUNREACHABLE : p->last_err;
    }
    qudag_err err = swarm_dial_peer(s, p, o->report.core, o->need, now);
    if (p->n_dials > 0) {
        return QUDAG_OK;
    }
    return err == QUDAG_OK ? QUDAG_EUNREACHABLE : err;
}

/*
 * Opens |o|, which waits, on the best link that takes streams: *on, NULL if there is none.  |*full| allows no more for
 * now.  As not_opened() where it is not opened; if that is because all links are leaving, a new one is dialled.
 */
static qudag_err open_waiting(struct swarm *s, struct swarm_open *o, struct swarm_link **on,
                              const struct swarm_link **full, qudag_err err, tstamp now)
{
    bool left = false;

    for (;;) {
        struct swarm_link *l = swarm_peer_link(s, o->peer, o->need, o->report.core, o->proto, now);
        *on = l;
        if (l == NULL && left && !o->no_dial) {
            qudag_err e = dial_for(s, o, now);
            return e == QUDAG_OK ? QUDAG_EAGAIN : e;
        }
        if (l == NULL || l == *full) {
            return not_opened(o, l, err);
        }
        qudag_err e = swarm_stream_open(s, l, &o->report, o->proto, now);
        *full = e == QUDAG_EAGAIN ? l : *full;
        if (e != QUDAG_ESTALE) {
            return e;
        }
        left = true; /* and l->leaving: it is not chosen again */
    }
}

void swarm_opens_flush(struct swarm *s, struct swarm_peer *p, qudag_err err, tstamp now)
{
    const struct swarm_link *full = NULL;

    LIST_EACH_SAFE(it, tmp, &p->opens)
    {
        struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        struct swarm_link *l;
        qudag_err e = open_waiting(s, o, &l, &full, err, now);
        if (e == QUDAG_OK) {
            note_use(s, o, l, now);
            p->turn = o->turn > p->turn ? o->turn : p->turn;
            swarm_open_unlink(s, o);
        } else if (e != QUDAG_EAGAIN) { /* else more streams later, or another dial under way */
            swarm_open_fail(s, o, e, now);
        }
    }
}

bool swarm_rule_early(const struct core_ops *ops, uint8_t props)
{
    return ops->early || (ops->early_relayed && (props & LINK_RELAYED) != 0);
}

void swarm_opens_early(struct swarm *s, struct swarm_link *l, tstamp now)
{
    struct swarm_peer *p = l->peer;
    qudag_err err = QUDAG_OK;

    LIST_EACH_SAFE(it, tmp, &p->opens)
    {
        struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        const struct swarm_use use = {o->report.core, o->proto, o->need, true};
        if (!swarm_rule_early(s->core[use.core].ops, l->props) || o->no_dial || err != QUDAG_OK ||
            !swarm_link_serves(s, l, &use)) {
            continue;
        }
        err = swarm_stream_open(s, l, &o->report, o->proto, now);
        if (err == QUDAG_OK) { /* else it waits for LINK_UP */
            s->stats.opens_early++;
            swarm_meter_open(s, o, QUDAG_OK, now);
            p->turn = o->turn > p->turn ? o->turn : p->turn;
            swarm_open_unlink(s, o);
        }
    }
}

struct swarm_link *swarm_open_early_link(struct swarm *s, const struct swarm_open *o)
{
    const struct swarm_use use = {o->report.core, o->proto, o->need, true};

    if (o->peer->n_dials == 0 || !swarm_rule_early(s->core[use.core].ops, LINK_RELAYED)) {
        return NULL;
    }
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        bool late = o->since >= tstamp_after(l->proven_at, SWARM_EARLY_FOR);
        if (l->peer == o->peer && l->proven && !l->up && !l->dead && l->dial_by != 0 && !late &&
            swarm_rule_early(s->core[use.core].ops, l->props) && swarm_link_serves(s, l, &use)) {
            return l;
        }
    }
    return NULL;
}

bool swarm_open_expire(struct swarm *s, struct swarm_open *o, tstamp now)
{
    struct swarm_peer *p = o->peer;
    bool linked = swarm_peer_link(s, p, o->need, o->report.core, o->proto, now) != NULL;

    if (linked && o->seen != p->turn) { /* the queue moves: its turn comes */
        o->seen = p->turn;
        o->waits_from = now;
        list_del(&o->order);
        list_push_back(&s->opens, &o->order);
        return false;
    }
    /* Linked, but the peer has allowed no stream all the time: that is its limit, not its silence. */
    swarm_open_fail(s, o, linked ? QUDAG_ELIMIT : QUDAG_ETIMEOUT, now);
    return true;
}

/* Hints come from others: a DHT answer. */
static bool hint_ok(const struct swarm *s, const struct multiaddr *ma)
{
    struct netaddr a;

    return multiaddr_endpoint(ma, &a) && swarm_rule_hint(&a, s->cfg.private_ok);
}

static void take_hints(struct swarm *s, struct swarm_peer *p, struct slice hints)
{
    struct rd r = rd_init(hints);

    while (r.left > 0 && rd_ok(&r)) {
        struct slice one = rd_lp(&r, MULTIADDR_MAX);
        struct multiaddr ma;
        if (rd_ok(&r) && multiaddr_from_bytes(&ma, one) == QUDAG_OK && hint_ok(s, &ma)) {
            swarm_peer_addr_add(s, p, &ma, SWARM_ADDR_HINT);
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
        o->no_dial = a->no_dial;
        o->proto = proto;
        o->waits_from = now;
        o->since = now;
    }
    return o;
}

/* Where the next open of |proto| belongs: behind the last of its own, but level with the others. */
static uint64_t next_turn(const struct swarm_peer *p, const char *proto, uint32_t *same)
{
    uint64_t turn = p->turn;

    *same = 0;
    LIST_EACH(it, &p->opens)
    {
        const struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, node);
        if (o->proto == proto) {
            turn = o->turn > turn ? o->turn : turn;
            (*same)++;
        }
    }
    return turn + 1;
}

static qudag_err open_wait(struct swarm *s, struct swarm_open *o)
{
    struct swarm_peer *p = o->peer;
    uint32_t same, most = s->cfg.opens_per_peer;
    struct list *at = p->opens.prev;

    o->turn = next_turn(p, o->proto, &same);
    if (p->n_opens >= most || same >= most - most / 4 || s->n_opens >= s->cfg.opens_max) {
        return QUDAG_ELIMIT;
    }
    while (at != &p->opens && LIST_ENTRY(at, struct swarm_open, node)->turn > o->turn) {
        at = at->prev;
    }
    list_push_front(at, &o->node);
    o->seen = p->turn;
    list_push_back(&s->opens, &o->order);
    p->n_opens++;
    s->n_opens++;
    return QUDAG_OK;
}

/* No link serves it: wait for one, dialling unless a dial is under way. */
static qudag_err open_by_dial(struct swarm *s, struct swarm_open *o, tstamp now)
{
    qudag_err err = dial_for(s, o, now);

    return err == QUDAG_OK ? open_wait(s, o) : err;
}

/* No link serves it. */
static qudag_err open_unlinked(struct swarm *s, struct swarm_open *o, tstamp now)
{
    struct swarm_link *l = swarm_open_early_link(s, o);

    if (l != NULL && swarm_stream_open(s, l, &o->report, o->proto, now) == QUDAG_OK) {
        s->stats.opens_early++;
        swarm_meter_open(s, o, QUDAG_OK, now);
        return QUDAG_OK;
    }
    return o->no_dial ? QUDAG_ECLOSED : open_by_dial(s, o, now);
}

static qudag_err open_try(struct swarm *s, struct swarm_open *o, tstamp now)
{
    struct swarm_link *l;
    qudag_err err;

    do {
        l = swarm_peer_link(s, o->peer, o->need, o->report.core, o->proto, now);
        if (l == NULL) {
            return open_unlinked(s, o, now);
        }
        if (o->peer->n_opens > 0) { /* others wait already, for this link or another */
            err = open_wait(s, o);
            if (err == QUDAG_OK) {
                swarm_opens_flush(s, o->peer, QUDAG_EPOLICY, now);
            }
            return err;
        }
        err = swarm_stream_open(s, l, &o->report, o->proto, now);
    } while (err == QUDAG_ESTALE); /* it is leaving, and is not chosen again */
    if (err == QUDAG_OK) {
        note_use(s, o, l, now);
    }
    return err == QUDAG_EAGAIN ? open_wait(s, o) : err;
}

/* ACT_OPEN of a core that doubts: over the link in doubt with the peer, and no other. */
static void open_in_doubt(struct swarm *s, unsigned core, const struct act *a, const char *proto,
                          tstamp now)
{
    struct ev fail = {
        .type = EV_STREAM_FAIL, .cookie = a->cookie, .err = QUDAG_ENOMEM, .peer = &a->peer};
    struct swarm_link *l = swarm_doubt_find(s, &a->peer);
    struct swarm_pending *r =
        proto == NULL ? NULL : swarm_report_make(s, core, a->cookie, &a->peer);

    if (r == NULL) {
        swarm_deliver(s, core, &fail);
        return;
    }
    qudag_err err = l == NULL ? QUDAG_ECLOSED : swarm_stream_open(s, l, r, proto, now);
    if (err != QUDAG_OK) {
        swarm_report_fail(s, r, err);
    }
}

void swarm_open_start(struct swarm *s, unsigned core, const struct act *a, const char *proto,
                      tstamp now)
{
    struct ev fail = {.type = EV_STREAM_FAIL, .cookie = a->cookie, .peer = &a->peer};

    if (s->core[core].ops->doubts) {
        open_in_doubt(s, core, a, proto, now);
        return;
    }
    fail.err = a->peer.len == 0 || peer_id_eq(&a->peer, &s->cfg.self) || proto == NULL
                   ? QUDAG_EINVAL
                   : QUDAG_ENOMEM;
    struct swarm_peer *p = fail.err == QUDAG_EINVAL ? NULL : swarm_peer_make(s, &a->peer);
    struct swarm_open *o = p == NULL ? NULL : open_make(s, p, core, a, proto, now);
    if (o == NULL) { /* reported at once: there is no entry to record it in */
        swarm_deliver(s, core, &fail);
        return;
    }
    take_hints(s, p, a->data);
    qudag_err err = open_try(s, o, now);
    if (err != QUDAG_OK) {
        swarm_meter_open(s, o, err, now);
        swarm_report_fail(s, &o->report, err);
    }
}
