/* peers.c - the table of peers: addresses, links; and the swarm's side of the table of pins. */
#include "swarm/use.h"

#include <string.h>

struct swarm_peer *swarm_peer_get(struct swarm *s, const struct peer_id *id)
{
    return map_get(&s->peers, peer_id_slice(id));
}

bool swarm_has_addr(const struct swarm *s, const struct peer_id *peer)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    return p != NULL && p->n_addrs > 0;
}

static bool peer_is_idle(const struct swarm_peer *p)
{
    return p->n_links == 0 && p->n_dials == 0 && p->n_opens == 0 && p->n_dying == 0 && !p->up &&
           !p->in_doubt;
}

/* Makes room for one more: the longest unused peer is dropped.  What it has proven is not kept here. */
static bool evict_one(struct swarm *s)
{
    LIST_EACH(it, &s->lru)
    {
        struct swarm_peer *p = LIST_ENTRY(it, struct swarm_peer, lru);
        if (peer_is_idle(p)) {
            swarm_peer_free(s, p);
            return true;
        }
    }
    return false;
}

struct swarm_peer *swarm_peer_make(struct swarm *s, const struct peer_id *id)
{
    struct swarm_peer *p = swarm_peer_get(s, id);

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
    list_init(&p->notify);
    list_init(&p->delayed);
    if (map_put(&s->peers, peer_id_slice(id), p) != QUDAG_OK) {
        mem_free(s->mem, p);
        return NULL;
    }
    list_push_back(&s->lru, &p->lru);
    return p;
}

void swarm_peer_free(struct swarm *s, struct swarm_peer *p)
{
    map_del(&s->peers, peer_id_slice(&p->id));
    list_del(&p->lru);
    list_del(&p->notify);
    list_del(&p->delayed);
    mem_free(s->mem, p);
}

static enum transport_cost cost_of(const struct swarm *s, const struct multiaddr *addr)
{
    return swarm_transport_for(s, addr)->t->cost; /* only what one of them handles is in the list */
}

/*
 * Where a new address belongs: before the first that is not cheaper, and what anybody may have said behind the one at
 * which the peer was.
 */
static size_t addr_place(const struct swarm *s, const struct swarm_peer *p,
                         const struct multiaddr *addr, enum swarm_addr_from from)
{
    const struct swarm_addr *proven = swarm_peer_addr_proven(p);
    size_t to = 0;

    if (from == SWARM_ADDR_HINT && proven != NULL) {
        to = (size_t)(proven - p->addr) + 1;
    }
    while (to < p->n_addrs && cost_of(s, &p->addr[to].ma) < cost_of(s, addr)) {
        to++;
    }
    return to;
}

const struct swarm_addr *swarm_peer_addr_proven(const struct swarm_peer *p)
{
    for (size_t i = 0; i < p->n_addrs; i++) {
        if (p->addr[i].proven) {
            return &p->addr[i];
        }
    }
    return NULL;
}

/* The place that is given up in a full list: the last one, unless the peer was there. */
static size_t addr_last(const struct swarm_peer *p)
{
    return p->addr[p->n_addrs - 1u].proven ? p->n_addrs - 2u : p->n_addrs - 1u;
}

/* A link to |p| is up at the address with that index. */
static void addr_prove(struct swarm_peer *p, size_t ix)
{
    for (size_t i = 0; i < p->n_addrs; i++) {
        p->addr[i].proven = i == ix;
    }
}

/*
 * Newest first of those that cost the same; the last falls off.  While the list is being dialled, a new
 * one is among the next.
 */
void swarm_peer_addr_add(struct swarm *s, struct swarm_peer *p, const struct multiaddr *addr,
                         enum swarm_addr_from from)
{
    struct swarm_addr a = {.ma = *addr};
    size_t at = 0;

    multiaddr_strip_peer(&a.ma);
    if (swarm_transport_for(s, &a.ma) == NULL) {
        return;
    }
    while (at < p->n_addrs && !multiaddr_eq(&p->addr[at].ma, &a.ma)) {
        at++;
    }
    if (at < p->n_addrs && (p->n_dials > 0 || from == SWARM_ADDR_HINT)) {
        if (from == SWARM_ADDR_LINK) {
            addr_prove(p, at);
        }
        return; /* its turn came or will come */
    }
    size_t to = addr_place(s, p, &a.ma, from);
    if (at < p->n_addrs) {
        a = p->addr[at];
    } else {
        if (p->n_addrs < SWARM_ADDRS_MAX) {
            p->n_addrs++;
        } else {
            at = addr_last(p);
        }
        p->breaker.next_try = 0; /* a new address deserves a new attempt */
    }
    to = to < at ? to : at;
    memmove(&p->addr[to + 1], &p->addr[to], (at - to) * sizeof(p->addr[0]));
    p->addr[to] = a;
    if (from == SWARM_ADDR_LINK) {
        addr_prove(p, to);
    }
    swarm_dial_more_later(s, p);
}

void swarm_addr_add(struct swarm *s, const struct peer_id *peer, const struct multiaddr *addr)
{
    if (peer_id_eq(peer, &s->cfg.self) || peer->len == 0) {
        return;
    }
    struct swarm_peer *p = swarm_peer_make(s, peer);
    if (p != NULL) {
        swarm_peer_addr_add(s, p, addr, SWARM_ADDR_NAMED);
    }
}

bool swarm_addr_next(const struct swarm *s, const struct peer_id *peer, size_t *it,
                     struct multiaddr *out)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    if (p == NULL || *it >= p->n_addrs) {
        return false;
    }
    *out = p->addr[(*it)++].ma;
    return true;
}

static bool is_for_cells(const struct swarm_link *l)
{
    return swarm_rule_cells(l->props, l->tp->t->ops->set_unit != NULL);
}

bool swarm_carries_cells(const struct swarm *s, const struct peer_id *peer)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    bool any = false;

    for (size_t i = 0; p != NULL && i < p->n_links && !any; i++) {
        any = is_for_cells(p->link[i]);
    }
    return any;
}

bool swarm_link_serves(const struct swarm *s, const struct swarm_link *l,
                       const struct swarm_use *use)
{
    const struct core_ops *ops = s->core[use->core].ops;
    bool limited_ok = swarm_limited_ok(s, use->core, use->proto);

    return swarm_rule_carries(l->props, use->need, limited_ok, use->ours && ops->along_links) &&
           swarm_rule_relayed(l->props, ops->direct_only) && (ops->unit == 0 || is_for_cells(l));
}

struct swarm_link *swarm_peer_link(const struct swarm *s, const struct swarm_peer *p, uint8_t need,
                                   unsigned core, const char *proto, tstamp now)
{
    const struct swarm_use use = {core, proto, need, true};
    struct swarm_rank best_rank = {0};
    struct swarm_link *best = NULL;

    for (size_t i = 0; i < p->n_links; i++) {
        struct swarm_link *l = p->link[i];
        if (l->leaving || !swarm_link_serves(s, l, &use)) {
            continue;
        }
        bool silent = swarm_link_silent(l, now) || swarm_rule_path_unsure(&l->path, now);
        struct swarm_rank rank = {l->props, silent || now < l->rekey.settles,
                                  (uint8_t)l->tp->t->cost, l->up_order};
        if (best == NULL || swarm_rule_better(&rank, &best_rank)) {
            best = l;
            best_rank = rank;
        }
    }
    return best;
}

void swarm_pin(struct swarm *s, const struct peer_id *peer, const uint8_t pq_hash[32])
{
    qudag_err err = swarm_pins_record(&s->pins, peer, pq_hash);

    s->stats.pins_set += err == QUDAG_OK ? 1 : 0;
    s->stats.pins_refused += err == QUDAG_EAUTH ? 1 : 0;
}

void swarm_pin_tell(struct swarm *s, const struct peer_id *peer, const uint8_t pq_hash[32])
{
    qudag_err err = swarm_pins_tell(&s->pins, peer, pq_hash);

    s->stats.pins_set += err == QUDAG_OK ? 1 : 0;
    s->stats.pins_refused += err == QUDAG_EAUTH ? 1 : 0;
}

bool swarm_pinned(const struct swarm *s, const struct peer_id *peer, uint8_t pq_hash[32])
{
    const struct swarm_proof *proof = swarm_pins_proof(&s->pins, peer);
    bool proven = proof->has_pin && !swarm_pins_is_told(&s->pins, peer);

    if (proven) {
        memcpy(pq_hash, proof->pin, SWARM_PIN_LEN);
    }
    return proven;
}

bool swarm_pin_change_next(struct swarm *s, tstamp now, struct swarm_pin_change *out)
{
    return swarm_pins_change(&s->pins, now, out);
}

void swarm_pin_change_due(struct swarm *s)
{
    swarm_pins_due(&s->pins);
}

void swarm_pin_change_all(struct swarm *s)
{
    swarm_pins_change_all(&s->pins);
}

qudag_err swarm_pin_restore(struct swarm *s, const uint8_t name[SWARM_PIN_CHANGE_NAME],
                            struct slice bytes)
{
    return swarm_pins_restore(&s->pins, name, bytes);
}

bool swarm_peer_in_use(const void *swarm, const struct peer_id *id)
{
    const struct swarm *s = swarm;
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(id));

    return p != NULL && !peer_is_idle(p);
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

bool swarm_peer_link_next(const struct swarm *s, const struct peer_id *peer, size_t *it,
                          struct link_info *out)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    while (p != NULL && *it < p->n_links) {
        if (swarm_link_info(p->link[(*it)++], out) == QUDAG_OK) {
            return true;
        }
    }
    return false;
}

void swarm_pad(struct swarm *s, const struct peer_id *peer, const struct transport_padding *how,
               tstamp now)
{
    const struct swarm_peer *p = swarm_peer_get(s, peer);

    for (size_t i = 0; p != NULL && i < p->n_links; i++) {
        const struct swarm_transport *tp = p->link[i]->tp;
        if (tp->t->pad != NULL) {
            tp->t->pad(tp->owner, p->link[i]->ref, how, now);
        }
    }
}

void swarm_disconnect(struct swarm *s, const struct peer_id *peer, qudag_err why, tstamp now)
{
    const struct swarm_peer *p = swarm_peer_get(s, peer);

    while (p != NULL && p->n_links > 0) {
        swarm_link_close(s, p->link[0], why, now);
    }
}
