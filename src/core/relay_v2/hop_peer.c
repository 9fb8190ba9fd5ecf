/* hop_peer.c - who takes part in circuits: how many he has, what he may pass, who gives way to whom. */
#include "core/relay_v2/hop_int.h"

static struct hop_peer *peer_of(const struct hop_service *h, const struct peer_id *id)
{
    return map_get(&h->peers, peer_id_slice(id));
}

static bool has_room(const struct hop_service *h, const struct peer_id *id)
{
    const struct hop_peer *p = peer_of(h, id);

    return p == NULL || p->circuits < h->cfg.circuits_peer;
}

bool hop_peer_may(const struct hop_service *h, const struct peer_id *from, const struct peer_id *to)
{
    return has_room(h, from) && has_room(h, to);
}

static struct hop_peer *peer_join(struct hop_service *h, const struct peer_id *id)
{
    struct hop_peer *p = peer_of(h, id);

    if (p == NULL) {
        if ((p = mem_alloc(h->cfg.mem, sizeof(*p))) == NULL) {
            return NULL;
        }
        p->id = *id;
        p->circuits = 0;
        limiter_init(&p->rate, h->cfg.rate_peer, hop_burst(h->cfg.rate_peer), h->now);
        if (map_put(&h->peers, peer_id_slice(id), p) != QUDAG_OK) {
            mem_free(h->cfg.mem, p);
            return NULL;
        }
    }
    p->circuits++;
    return p;
}

static void peer_leave(struct hop_service *h, struct hop_peer *p)
{
    if (p != NULL && --p->circuits == 0) {
        (void)map_del(&h->peers, peer_id_slice(&p->id));
        mem_free(h->cfg.mem, p);
    }
}

bool hop_peer_room(const struct hop_service *h, const struct hop_job *j, struct hop_job **gives_way)
{
    struct fair_claim newcomer = fair_claim_of(&h->fair_circuits, j->net, j->host);

    *gives_way = NULL;
    if (h->fair_circuits.n < h->cfg.circuits_max) {
        return true;
    }
    struct fair_source *most = fair_most_for(&h->fair_circuits, &newcomer);
    if (most == NULL) {
        return false;
    }
    struct fair_claim holder = fair_claim_of_source(most);
    if (!fair_gives_way(&holder, &newcomer)) {
        return false;
    }
    *gives_way = LIST_ENTRY(most->items.next, struct hop_job, place.node);
    return true;
}

qudag_err hop_peer_join(struct hop_service *h, struct hop_job *j)
{
    j->peer[0] = peer_join(h, &j->from);
    j->peer[1] = peer_join(h, &j->to);
    fair_del(&h->fair_requests, &j->place, h->now);
    if (j->peer[0] == NULL || j->peer[1] == NULL ||
        fair_add(&h->fair_circuits, &j->place, j->net, j->host, h->now) != QUDAG_OK) {
        hop_peer_leave(h, j);
        return QUDAG_ENOMEM;
    }
    limiter_init(&j->rate, h->cfg.rate_circuit, hop_burst(h->cfg.rate_circuit), h->now);
    return QUDAG_OK;
}

void hop_peer_leave(struct hop_service *h, struct hop_job *j)
{
    if (j->place.source != NULL && (j->peer[0] != NULL || j->peer[1] != NULL)) {
        fair_del(&h->fair_circuits, &j->place, h->now);
    }
    if (j->place.source == NULL) { /* without memory it is not counted while it is answered */
        (void)!fair_add(&h->fair_requests, &j->place, j->net, j->host, h->now);
    }
    for (unsigned i = 0; i < 2; i++) {
        peer_leave(h, j->peer[i]);
        j->peer[i] = NULL;
    }
}

tstamp hop_peer_ready(const struct hop_service *h, const struct hop_side *s, uint64_t n, tstamp now)
{
    const struct hop_job *j = s->job;
    tstamp at = now;

    if (h->cfg.rate_circuit != 0) {
        at = limiter_ready(&j->rate, n, now);
    }
    for (unsigned i = 0; h->cfg.rate_peer != 0 && i < 2 && j->peer[i] != NULL; i++) {
        tstamp p = limiter_ready(&j->peer[i]->rate, n, now);
        at = p > at ? p : at;
    }
    return at;
}

void hop_peer_take(const struct hop_service *h, struct hop_side *s, uint64_t n, tstamp now)
{
    struct hop_job *j = s->job;

    if (h->cfg.rate_circuit != 0) {
        (void)limiter_take(&j->rate, n, now);
    }
    for (unsigned i = 0; h->cfg.rate_peer != 0 && i < 2 && j->peer[i] != NULL; i++) {
        (void)limiter_take(&j->peer[i]->rate, n, now);
    }
}
