/* peers.c - the table of peers: addresses, pins, links. */
#include "swarm/internal.h"

#include <string.h>

struct swarm_peer *peer_get(struct swarm *s, const struct peer_id *id)
{
    return map_get(&s->peers, peer_id_slice(id));
}

static bool peer_is_idle(const struct swarm_peer *p)
{
    return p->n_links == 0 && p->n_dials == 0 && p->n_opens == 0 && p->n_dying == 0 && !p->up;
}

/*
 * Room for one more: the longest unused peer without link goes.  Of those whose key a record told the
 * pin is lost, but the record will tell it again; keeping them all would let records fill the table.
 */
static bool evict_one(struct swarm *s)
{
    struct swarm_peer *pinned = NULL;

    LIST_EACH(it, &s->lru)
    {
        struct swarm_peer *p = LIST_ENTRY(it, struct swarm_peer, lru);
        if (peer_is_idle(p) && !p->pin_known) {
            peer_free(s, p);
            return true;
        }
        pinned = pinned == NULL && peer_is_idle(p) ? p : pinned;
    }
    if (pinned != NULL) {
        peer_free(s, pinned);
    }
    return pinned != NULL;
}

struct swarm_peer *peer_make(struct swarm *s, const struct peer_id *id)
{
    struct swarm_peer *p = peer_get(s, id);

    if (p != NULL) {
        list_del(&p->lru);
        list_push_back(&s->lru, &p->lru);
        return p;
    }
    if (s->peers.n >= s->cfg.peers_max && !evict_one(s)) {
        return NULL;
    }
    p = mem_alloc(s->mem, sizeof(*p));
    if (p == NULL) {
        return NULL;
    }
    p->id = *id;
    list_init(&p->opens);
    list_init(&p->lru);
    list_init(&p->tell);
    if (map_put(&s->peers, peer_id_slice(id), p) != QUDAG_OK) {
        mem_free(s->mem, p);
        return NULL;
    }
    list_push_back(&s->lru, &p->lru);
    return p;
}

void peer_free(struct swarm *s, struct swarm_peer *p)
{
    map_del(&s->peers, peer_id_slice(&p->id));
    list_del(&p->lru);
    list_del(&p->tell);
    mem_free(s->mem, p);
}

/* Newest first; the oldest falls off.  While the list is being dialled, a new one comes next. */
void peer_addr_add(struct swarm_peer *p, const struct multiaddr *addr)
{
    size_t to = p->n_dials > 0 ? p->next_addr : 0;
    struct multiaddr a = *addr;
    struct netaddr net;
    size_t at = 0;

    multiaddr_strip_peer(&a);
    if (!multiaddr_to_netaddr(&a, &net) || net.port == 0 || netaddr_is_unspecified(&net)) {
        return;
    }
    while (at < p->n_addrs && !multiaddr_eq(&p->addr[at], &a)) {
        at++;
    }
    if (at < p->n_addrs && p->n_dials > 0) {
        return; /* its turn came or will come */
    }
    if (at == p->n_addrs) {
        if (p->n_addrs < SWARM_ADDRS_MAX) {
            p->n_addrs++;
        } else {
            at--;
        }
        to = to < at ? to : at;
        p->not_before = 0; /* a new address deserves a new attempt */
    }
    memmove(&p->addr[to + 1], &p->addr[to], (at - to) * sizeof(p->addr[0]));
    p->addr[to] = a;
}

void swarm_addr_add(struct swarm *s, const struct peer_id *peer, const struct multiaddr *addr)
{
    if (peer_id_eq(peer, &s->cfg.self) || peer->len == 0) {
        return;
    }
    struct swarm_peer *p = peer_make(s, peer);
    if (p != NULL) {
        peer_addr_add(p, addr);
    }
}

struct swarm_link *peer_link(const struct swarm_peer *p, uint8_t need)
{
    for (size_t i = p->n_links; i > 0; i--) {
        if ((p->link[i - 1]->props & need) == need) {
            return p->link[i - 1];
        }
    }
    return NULL;
}

void swarm_pin(struct swarm *s, const struct peer_id *peer, const uint8_t pq_hash[32])
{
    struct swarm_peer *p = peer_make(s, peer);

    if (p == NULL || (p->proof.has_pin && p->pin_known)) {
        return;
    }
    if (!swarm_rule_pin(&p->proof, pq_hash)) {
        s->stats.pins_refused++;
        return;
    }
    memcpy(p->proof.pin, pq_hash, sizeof(p->proof.pin));
    p->proof.has_pin = true;
    p->pin_known = true;
    s->stats.pins_set++;
}

bool swarm_connected(const struct swarm *s, const struct peer_id *peer, uint8_t *props)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    if (p == NULL || p->n_links == 0) {
        return false;
    }
    *props = 0;
    for (size_t i = 0; i < p->n_links; i++) {
        *props |= p->link[i]->props;
    }
    return true;
}

void swarm_disconnect(struct swarm *s, const struct peer_id *peer, qudag_err why, tstamp now)
{
    const struct swarm_peer *p = peer_get(s, peer);

    while (p != NULL && p->n_links > 0) {
        struct swarm_link *l = p->link[0];
        l->ops->close(l->owner, l->ref, why);
        link_gone(s, l, why == QUDAG_OK ? QUDAG_ECLOSED : why, now);
    }
}

bool swarm_peer_addrs(const struct swarm *s, const struct peer_id *peer, struct multiaddr *addr,
                      size_t *n)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    if (p == NULL) {
        *n = 0;
        return false;
    }
    size_t count = p->n_addrs < *n ? p->n_addrs : *n;
    memcpy(addr, p->addr, count * sizeof(*addr));
    *n = count;
    return count > 0;
}
