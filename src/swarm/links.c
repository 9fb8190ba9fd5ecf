/* links.c - links coming up and going down. */
#include "swarm/internal.h"

#include "base/assert.h"

#include <string.h>

static struct map *map_of(struct swarm *s, bool circuit)
{
    return circuit ? &s->circ_map : &s->link_map;
}

struct swarm_link *link_get(struct swarm *s, struct ref ref, bool circuit)
{
    uint8_t key[LINK_ID_LEN];

    return map_get(map_of(s, circuit), ref_key(&ref, key));
}

struct swarm_link *link_make(struct swarm *s, struct ref ref, bool circuit)
{
    uint8_t key[LINK_ID_LEN];
    struct swarm_link *l = mem_alloc(s->mem, sizeof(*l));

    if (l == NULL) {
        return NULL;
    }
    l->ref = ref;
    l->circuit = circuit;
    l->ops = circuit ? s->circ_ops : s->cfg.dialer->ops;
    l->owner = circuit ? s->circ_owner : s->cfg.dialer_owner;
    list_init(&l->streams);
    list_init(&l->node);
    if (map_put(map_of(s, circuit), ref_key(&ref, key), l) != QUDAG_OK) {
        mem_free(s->mem, l);
        return NULL;
    }
    list_push_back(&s->links, &l->node);
    return l;
}

void link_free(struct swarm *s, struct swarm_link *l)
{
    list_del(&l->node);
    mem_free(s->mem, l->report);
    mem_free(s->mem, l);
}

static void peer_unlink(struct swarm_peer *p, const struct swarm_link *l)
{
    for (size_t i = 0; i < p->n_links; i++) {
        if (p->link[i] == l) {
            p->n_links--;
            memmove(&p->link[i], &p->link[i + 1], (p->n_links - i) * sizeof(p->link[0]));
            return;
        }
    }
}

/* Tells whoever asked for this very dial. */
static void link_report(struct swarm *s, struct swarm_link *l, qudag_err err)
{
    struct swarm_pending *r = l->report;

    if (r != NULL) {
        l->report = NULL;
        r->peer = *link_peer_id(l);
        report_fail(s, r, err);
    }
}

/* The link is dead: nothing may be sent on it; swarm_step buries it stream by stream. */
void link_gone(struct swarm *s, struct swarm_link *l, qudag_err err, tstamp now)
{
    uint8_t key[LINK_ID_LEN];
    struct swarm_peer *p = l->peer;

    if (l->dead) {
        return;
    }
    map_del(map_of(s, l->circuit), ref_key(&l->ref, key));
    dial_uncount(s, l);
    l->dead = true;
    l->down_err = err == QUDAG_OK ? QUDAG_ECLOSED : err;
    list_del(&l->node);
    list_push_back(&s->dead, &l->node);
    link_report(s, l, l->down_err);
    if (l->up && !l->circuit) {
        s->n_links--;
    }
    if (p == NULL) {
        return;
    }
    if (l->up) {
        peer_unlink(p, l);
        p->n_dying++;
        p->lost_one = p->lost_one || l->down_err == QUDAG_ETIMEOUT || l->down_err == QUDAG_ERESET;
        dial_flush(s, p, l->down_err, now);
        return;
    }
    l->peer = NULL; /* it has no streams, and the peer may be evicted before it is buried */
    if (l->dialled) {
        p->n_dials--;
        dial_ended(s, p, l->down_err, now);
    }
}

/* What the link shows against what is known of its peer; a first proof is pinned. */
static qudag_err check_proof(struct swarm *s, struct swarm_peer *p, const struct link_info *info)
{
    struct swarm_claim now = {.props = info->props,
                              .pq_hash = info->has_pq_hash ? info->pq_hash : NULL};
    qudag_err err = swarm_rule_admit(&p->proof, s->cfg.need, &now);

    if (err != QUDAG_OK) {
        s->stats.pins_refused++;
        return err;
    }
    if (swarm_rule_learn(&p->proof, &now)) {
        s->stats.pins_set++;
    }
    return QUDAG_OK;
}

static struct swarm_link *link_of_up(struct swarm *s, struct ref ref)
{
    struct swarm_link *l = link_get(s, ref, false);

    if (l == NULL) { /* inbound: first we hear of it */
        l = link_make(s, ref, false);
    }
    return l;
}

/* A dial without expected peer, and an inbound link, learn who is there. */
static struct swarm_peer *adopt_peer(struct swarm *s, struct swarm_link *l,
                                     const struct link_info *info)
{
    struct multiaddr ma;

    if (peer_id_eq(&info->peer, &s->cfg.self)) {
        return NULL;
    }
    if (l->peer == NULL) {
        l->peer = peer_make(s, &info->peer);
    }
    if (l->peer != NULL && (info->props & LINK_INBOUND) == 0) { /* this address works */
        multiaddr_quic(&ma, &info->remote, NULL);
        peer_addr_add(l->peer, &ma);
    }
    return l->peer;
}

/* Whether it was asked for a sign of life and gave none. */
static bool link_silent(const struct swarm *s, const struct swarm_link *l, tstamp now)
{
    struct link_info info;

    return l->asked != 0 && now - l->asked >= SWARM_SILENT_AFTER &&
           s->cfg.dialer->info(s->cfg.dialer_owner, l->ref, &info) == QUDAG_OK &&
           info.bytes_in == l->heard;
}

/*
 * |p| has proven itself on one more link.  If it was killed and began anew, its older links are dead and
 * would be found so only after the idle timeout: they are asked.  Nobody else can cause this.
 */
static void ask_links(struct swarm *s, const struct swarm_peer *p, tstamp now)
{
    for (size_t i = 0; i < p->n_links; i++) {
        struct swarm_link *l = p->link[i];
        struct link_info info;
        if (s->cfg.dialer->info(s->cfg.dialer_owner, l->ref, &info) != QUDAG_OK) {
            continue;
        }
        if (l->asked == 0 || info.bytes_in != l->heard) { /* else the first question stands */
            l->asked = now;
            l->heard = info.bytes_in;
        }
        s->stats.links_asked++;
        s->cfg.dialer->ask(s->cfg.dialer_owner, l->ref, now);
    }
}

/* The link that gives way to a new one: the oldest silent one, or else the oldest without streams. */
static struct swarm_link *least_needed(const struct swarm *s, const struct swarm_peer *p,
                                       qudag_err *why, tstamp now)
{
    *why = QUDAG_ETIMEOUT;
    for (size_t i = 0; i < p->n_links; i++) {
        if (link_silent(s, p->link[i], now)) {
            return p->link[i];
        }
    }
    *why = QUDAG_ELIMIT;
    for (size_t i = 0; i < p->n_links; i++) {
        if (p->link[i]->n_streams == 0) {
            return p->link[i];
        }
    }
    return NULL;
}

/* A peer that came back without having said goodbye fills its places with links that are dead. */
static bool make_place(struct swarm *s, struct swarm_peer *p, tstamp now)
{
    qudag_err why;

    if (p->n_links < SWARM_LINKS_PER_PEER) {
        return true;
    }
    struct swarm_link *old = least_needed(s, p, &why, now);
    if (old == NULL) {
        return false;
    }
    s->stats.links_replaced++;
    old->ops->close(old->owner, old->ref, why);
    link_gone(s, old, why, now);
    return true;
}

static qudag_err admit(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                       tstamp now)
{
    struct swarm_peer *p = adopt_peer(s, l, info);

    if (p == NULL) {
        return peer_id_eq(&info->peer, &s->cfg.self) ? QUDAG_EINVAL : QUDAG_ELIMIT;
    }
    qudag_err err = check_proof(s, p, info);
    if (err != QUDAG_OK) {
        return err;
    }
    return make_place(s, p, now) ? QUDAG_OK : QUDAG_ELIMIT;
}

/* Of several dials to one peer the first wins; whoever asked for a particular one keeps it. */
static void cancel_other_dials(struct swarm *s, const struct swarm_peer *p, tstamp now)
{
    if (p->n_dials == 0) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->peer == p && l->dialled && l->report == NULL) {
            l->ops->close(l->owner, l->ref, QUDAG_ECANCELED);
            link_gone(s, l, QUDAG_ECANCELED, now);
        }
    }
}

static void link_up(struct swarm *s, struct ref ref, tstamp now)
{
    struct link_info info;
    struct swarm_link *l = link_of_up(s, ref);

    if (l == NULL || s->cfg.dialer->info(s->cfg.dialer_owner, ref, &info) != QUDAG_OK) {
        s->cfg.dialer->ops->close(s->cfg.dialer_owner, ref, QUDAG_ENOMEM);
        return;
    }
    qudag_err err = admit(s, l, &info, now);
    if (err != QUDAG_OK) {
        l->ops->close(l->owner, ref, err);
        link_gone(s, l, err, now);
        return;
    }
    struct swarm_peer *p = l->peer;
    dial_uncount(s, l);
    if (l->dialled) {
        l->dialled = false;
        p->n_dials--;
    }
    l->up = true;
    l->props = info.props;
    l->net = netaddr_group(&info.remote);
    l->idle_since = now;
    s->n_links++;
    ask_links(s, p, now);
    p->link[p->n_links++] = l;
    p->failures = 0;
    p->not_before = 0;
    p->last_err = QUDAG_OK;
    list_del(&p->tell);
    list_push_back(&s->tell, &p->tell);
    link_report(s, l, QUDAG_OK);
    dial_flush(s, p, QUDAG_EPOLICY, now);
    if (list_empty(&p->opens)) {
        cancel_other_dials(s, p, now);
    }
}

void swarm_circuit_down(struct swarm *s, struct ref circuit, qudag_err err, tstamp now)
{
    struct swarm_link *l = link_get(s, circuit, true);

    if (l != NULL) {
        link_gone(s, l, err, now);
    }
}

void swarm_link_event(struct swarm *s, const struct link_ops *ops, void *owner,
                      const struct link_ev *ev, tstamp now)
{
    bool circuit = ops == s->circ_ops && owner == s->circ_owner;
    struct swarm_link *l;

    switch (ev->type) {
    case LINK_UP:
        link_up(s, ev->link, now);
        break;
    case LINK_DOWN:
        if ((l = link_get(s, ev->link, circuit)) != NULL) {
            link_gone(s, l, ev->err, now);
        }
        break;
    case LINK_STREAM:
        l = link_get(s, ev->link, circuit);
        if (l == NULL && circuit && (l = link_make(s, ev->link, true)) != NULL) {
            l->up = true;
            l->props = LINK_ANON | LINK_PQ_KEX | LINK_INBOUND;
        }
        if (l != NULL && l->up) {
            stream_in(s, l, ev, now);
        } else {
            ops->reset(owner, ev->link, ev->sid, QUDAG_ELIMIT);
        }
        break;
    case LINK_STREAMS_OK:
        if ((l = link_get(s, ev->link, circuit)) != NULL && l->peer != NULL) {
            dial_flush(s, l->peer, QUDAG_EPOLICY, now);
        }
        break;
    case LINK_DATA:
    case LINK_FIN:
    case LINK_RESET:
    case LINK_SENT:
        stream_event(s, ev, circuit, now);
        break;
    }
}
