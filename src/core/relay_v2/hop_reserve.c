/* hop_reserve.c - places that the relay keeps for peers. */
#include "core/relay_v2/hop_int.h"
#include "wire/voucher.h"

#include <string.h>

bool hop_reserved(const struct hop_service *h, const struct peer_id *peer)
{
    return map_get(&h->places, peer_id_slice(peer)) != NULL;
}

static void place_free(struct hop_service *h, struct hop_reservation *r, tstamp now)
{
    (void)map_del(&h->places, peer_id_slice(&r->peer));
    heap_del(&h->expiries, &r->timer);
    fair_del(&h->fair_places, &r->place, now);
    mem_free(h->cfg.mem, r);
}

void hop_unreserve(struct hop_service *h, const struct peer_id *peer, tstamp now)
{
    struct hop_reservation *r = map_get(&h->places, peer_id_slice(peer));

    if (r != NULL) {
        place_free(h, r, now);
    }
}

void hop_expire(struct hop_service *h, tstamp now)
{
    struct heap_node *t;

    while ((t = heap_top(&h->expiries)) != NULL && t->at <= now) {
        place_free(h, LIST_ENTRY(t, struct hop_reservation, timer), now);
    }
}

/* Makes room for one more of the source of |j|, if it may have one. */
static bool make_room(struct hop_service *h, const struct hop_job *j, tstamp now)
{
    struct fair_claim newcomer = fair_claim_of(&h->fair_places, j->net, j->host);
    struct fair_source *most = fair_most_for(&h->fair_places, &newcomer);
    struct fair_claim holder = {0};
    bool gives_way = false;

    if (most != NULL) {
        holder = fair_claim_of_source(most);
        gives_way = fair_gives_way(&holder, &newcomer);
    }
    struct hop_room room = {(uint32_t)h->places.n,
                            newcomer.net_n,
                            newcomer.source_n,
                            h->cfg.reservations_max,
                            h->cfg.reservations_net,
                            h->cfg.reservations_host,
                            gives_way};
    if (!hop_rule_room(&room)) {
        return false;
    }
    if (h->places.n >= h->cfg.reservations_max) {
        h->stats.gave_way++;
        place_free(h, LIST_ENTRY(most->items.next, struct hop_reservation, place.node), now);
    }
    return true;
}

static qudag_err place_make(struct hop_service *h, const struct hop_job *j,
                            struct hop_reservation **out, tstamp now)
{
    if (!make_room(h, j, now)) {
        return QUDAG_ELIMIT;
    }
    struct hop_reservation *r = mem_alloc(h->cfg.mem, sizeof(*r));
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    r->peer = j->from;
    qudag_err err = map_put(&h->places, peer_id_slice(&r->peer), r);
    if (err != QUDAG_OK) {
        mem_free(h->cfg.mem, r);
        return err;
    }
    if ((err = fair_add(&h->fair_places, &r->place, j->net, j->host, now)) != QUDAG_OK) {
        place_free(h, r, now);
        return err;
    }
    *out = r;
    return QUDAG_OK;
}

/* The place lasts for a whole term from now on. */
static qudag_err issue(struct hop_service *h, struct hop_reservation *r, tstamp now)
{
    struct voucher v = {.relay = h->cfg.self, .peer = r->peer};
    struct wr w = wr_init(r->voucher, sizeof(r->voucher));

    v.expiration = (uint64_t)(wall_now(h->cfg.clock, now) + h->cfg.reservation_s);
    qudag_err err = voucher_sign(&w, &v, h->cfg.sk);
    if (err == QUDAG_OK) {
        err = heap_set(&h->expiries, &r->timer, tstamp_after(now, h->cfg.reservation_s * NS_PER_S));
    }
    r->voucher_len = w.len;
    r->expire = v.expiration;
    r->issued = now;
    return err;
}

qudag_err hop_reserve(struct hop_service *h, const struct hop_job *j, struct circuit_msg *m,
                      tstamp now)
{
    struct hop_reservation *r = map_get(&h->places, peer_id_slice(&j->from));
    bool is_new = r == NULL;
    qudag_err err = is_new ? place_make(h, j, &r, now) : QUDAG_OK;

    if (err != QUDAG_OK) {
        return err;
    }
    if (is_new || now >= tstamp_after(r->issued, HOP_AGAIN)) {
        if ((err = issue(h, r, now)) != QUDAG_OK) {
            place_free(h, r, now);
            return err;
        }
    }
    h->stats.reserved += is_new ? 1 : 0;
    h->stats.renewed += is_new ? 0 : 1;
    m->status = CIRCUIT_OK;
    m->limit = hop_rule_limit(&h->cfg.limit, &h->cfg.stranger, (j->props & LINK_QUDAG) != 0);
    m->has_reservation = true;
    m->expire = r->expire;
    m->voucher = (struct slice){r->voucher, r->voucher_len};
    m->n_addrs = h->n_addrs;
    memcpy(m->addr, h->addr, sizeof(m->addr));
    return QUDAG_OK;
}
