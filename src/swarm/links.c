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
    l->ops = circuit ? s->circ_ops : &quic_link_ops;
    l->owner = circuit ? s->circ_owner : s->cfg.quic;
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
    mem_free(s->mem, l);
}

static void peer_unlink(struct swarm_peer *p, const struct swarm_link *l)
{
    for (size_t i = 0; i < p->n_links; i++) {
        if (p->link[i] == l) {
            p->link[i] = p->link[--p->n_links];
            return;
        }
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
    l->dead = true;
    l->down_err = err == QUDAG_OK ? QUDAG_ECLOSED : err;
    list_del(&l->node);
    list_push_back(&s->dead, &l->node);
    if (l->has_cookie) {
        pend_fail(s, l->cookie_core, l->cookie, link_peer_id(l), l->down_err);
        l->has_cookie = false;
    }
    if (l->up && !l->circuit) {
        s->n_links--;
    }
    if (p == NULL) {
        return;
    }
    if (l->up) {
        peer_unlink(p, l);
        dial_flush(s, p, now);
    } else {
        p->n_dials--;
        dial_ended(s, p, l->down_err, now);
    }
}

/* What the peer proved must agree with what is pinned; a first proof is pinned. */
static bool pin_ok(struct swarm *s, struct swarm_peer *p, const struct link_info *info)
{
    if (p->has_pin && (!info->has_pq_hash || memcmp(p->pin, info->pq_hash, 32) != 0)) {
        s->stats.pins_refused++;
        return false;
    }
    if (p->once_pq && (info->props & LINK_PQ_KEX) == 0) {
        s->stats.pins_refused++;
        return false;
    }
    if (!p->has_pin && info->has_pq_hash) {
        memcpy(p->pin, info->pq_hash, sizeof(p->pin));
        p->has_pin = true;
        s->stats.pins_set++;
    }
    p->once_pq = p->once_pq || (info->props & LINK_PQ_KEX) != 0;
    return true;
}

static void peer_is_up(struct swarm *s, struct swarm_peer *p, uint8_t props)
{
    p->failures = 0;
    p->not_before = 0;
    p->last_err = QUDAG_OK;
    if (!p->up) {
        struct ev ev = {.type = EV_PEER_UP, .props = props};
        p->up = true;
        pend(s, SWARM_CORES_MAX, &ev, &p->id);
    }
}

static struct swarm_link *link_of_up(struct swarm *s, struct ref ref)
{
    struct swarm_link *l = link_get(s, ref, false);

    if (l == NULL) { /* inbound: first we hear of it */
        l = link_make(s, ref, false);
    }
    return l;
}

/* A dial without expected peer learns who answered. */
static struct swarm_peer *adopt_peer(struct swarm *s, struct swarm_link *l,
                                     const struct link_info *info)
{
    struct swarm_peer *p = l->peer;

    if (p != NULL) {
        p->n_dials--;
        return p;
    }
    p = peer_make(s, &info->peer);
    if (p != NULL && (info->props & LINK_INBOUND) == 0) {
        struct multiaddr ma;
        multiaddr_quic(&ma, &info->remote, NULL);
        peer_addr_add(p, &ma);
    }
    l->peer = p;
    return p;
}

static void link_up(struct swarm *s, struct ref ref, tstamp now)
{
    struct link_info info;
    struct swarm_link *l = link_of_up(s, ref);

    if (l == NULL || quic_info(s->cfg.quic, ref, &info) != QUDAG_OK) {
        quic_link_ops.close(s->cfg.quic, ref, QUDAG_ENOMEM);
        return;
    }
    struct swarm_peer *p = adopt_peer(s, l, &info);
    if (p == NULL || p->n_links == SWARM_LINKS_PER_PEER || peer_id_eq(&p->id, &s->cfg.self)) {
        l->peer = NULL;
        quic_link_ops.close(s->cfg.quic, ref, QUDAG_ELIMIT);
        link_gone(s, l, QUDAG_ELIMIT, now);
        return;
    }
    if ((info.props & s->cfg.need) != s->cfg.need || !pin_ok(s, p, &info)) {
        quic_link_ops.close(s->cfg.quic, ref, QUDAG_EPOLICY);
        p->n_dials++; /* as link_gone counts a dial that failed */
        link_gone(s, l, QUDAG_EPOLICY, now);
        return;
    }
    l->up = true;
    l->props = info.props;
    l->idle_since = now;
    s->n_links++;
    p->link[p->n_links++] = l;
    if (l->has_cookie) {
        pend_fail(s, l->cookie_core, l->cookie, &p->id, QUDAG_OK);
        l->has_cookie = false;
    }
    peer_is_up(s, p, l->props);
    dial_flush(s, p, now);
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
        if (l != NULL) {
            stream_in(s, l, ev, now);
        } else {
            ops->reset(owner, ev->link, ev->sid, QUDAG_ELIMIT);
        }
        break;
    case LINK_STREAMS_OK:
        if ((l = link_get(s, ev->link, circuit)) != NULL && l->peer != NULL) {
            dial_flush(s, l->peer, now);
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
