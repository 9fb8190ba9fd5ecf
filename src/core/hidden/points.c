/*
 * points.c - the introduction points of a service (SPEC: rendezvous R-25).
 *
 *   PAUSE ─▶ BUILD ─▶ ESTABLISH ─▶ STANDS ─ time is over ─▶ old, until records expired: another slot begins
 *     ▲        │          │          │
 *     └────────┴──────────┴──────────┘   a point that stood is established again at its relay, three times an hour;
 *                                        else, or when that relay cannot be reached, another one, with another key
 */
#include "core/hidden/service_impl.h"

#include "base/wipe.h"

#include <string.h>

/* Forgets the key; the relay is remembered as one to avoid. */
static void unkey(struct hidden_slot *p)
{
    if (p->keyed) {
        map_fini(&p->seen);
    }
    wipe(&p->sk, sizeof p->sk);
    p->keyed = p->named = false;
    p->served = 0;
    memset(p->restored, 0, sizeof p->restored);
}

static void free_slot(struct hidden_slot *p, struct acts *out)
{
    hidden_close(&p->circuit, out);
    unkey(p);
    memset(p, 0, sizeof *p);
}

void hidden_points_wipe(struct hidden_service *s, struct acts *out)
{
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        free_slot(&s->slot[i], out);
    }
}

/* --- one point --------------------------------------------------------------------------------- */

static void pause_slot(struct hidden_slot *p, tstamp due)
{
    p->state = HIDDEN_SLOT_PAUSE;
    p->id = 0; /* what comes for it is late */
    p->due = due;
}

/* Notes that the point is established again at its relay; false: often enough. */
static bool restore(struct hidden_slot *p, tstamp now)
{
    size_t oldest = 0;

    if (!hidden_may_restore(p->restored, now)) {
        return false;
    }
    for (size_t i = 1; i < HIDDEN_RESTORES; i++) {
        oldest = p->restored[i] < p->restored[oldest] ? i : oldest;
    }
    p->restored[oldest] = now > 0 ? now : 1; /* 0 is never */
    return true;
}

/* The circuit of the slot, or the attempt to have one, is over; |again|: its relay may be asked once more. */
static void end_slot(struct hidden_service *s, struct hidden_slot *p, bool again, tstamp now,
                     struct acts *out)
{
    s->stats.points_lost += p->state == HIDDEN_SLOT_STANDS ? 1 : 0;
    hidden_close(&p->circuit, out);
    p->failures++;
    if (!p->keyed) {
        memset(&p->relay, 0, sizeof p->relay); /* or a small network would have none left */
    }
    if (!p->named || !again || !restore(p, now)) {
        if (p->old) {
            free_slot(p, out);
            hidden_target_touch(s, now);
            return;
        }
        if (p->named) {
            hidden_target_touch(s, now);
        }
        unkey(p);
    }
    pause_slot(p, tstamp_after(now, hidden_retry_wait(p->failures, &s->all->cfg.rng)));
}

void hidden_point_expel(struct hidden_service *s, struct hidden_slot *p, tstamp now,
                        struct acts *out)
{
    s->stats.points_expelled++;
    end_slot(s, p, false, now, out);
    hidden_target_settle(s, now, out);
}

static void ask_for_point(struct hidden_service *s, struct hidden_slot *p, tstamp now,
                          struct acts *out)
{
    struct hidden_need_point need;

    memset(&need, 0, sizeof need);
    need.same = p->keyed;
    if (need.same) {
        need.relay = p->relay;
    }
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        const struct hidden_slot *other = &s->slot[i];
        if (other->relay.peer.len > 0 && !(need.same && other == p)) {
            need.avoid[need.n_avoid++] = other->relay.peer;
        }
    }
    p->state = HIDDEN_SLOT_BUILD;
    p->id = ++s->all->ids;
    p->due = tstamp_after(now, HIDDEN_ESTABLISH_LIFE);
    hidden_report_copy(s, HIDDEN_SERVE_NEED_POINT, p->id,
                       (struct slice){(const void *)&need, sizeof need}, out);
}

/* --- all of them ------------------------------------------------------------------------------- */

/* A slot for a fresh point: a free one, or that of the old point whose time ends first. */
static struct hidden_slot *make_room(struct hidden_service *s, struct acts *out)
{
    struct hidden_slot *first = NULL;

    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        struct hidden_slot *p = &s->slot[i];
        if (p->state == HIDDEN_SLOT_FREE) {
            return p;
        }
        if (p->old && (first == NULL || p->until < first->until)) {
            first = p;
        }
    }
    free_slot(first, out); /* there are more slots than points in use */
    return first;
}

/* Ends what is over, and counts what is in use. */
static uint32_t end_what_is_over(struct hidden_service *s, tstamp now, struct acts *out)
{
    uint32_t in_use = 0;

    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        struct hidden_slot *p = &s->slot[i];
        if (p->old && now >= p->until) {
            free_slot(p, out);
        } else if ((p->state == HIDDEN_SLOT_BUILD || p->state == HIDDEN_SLOT_ESTABLISH) &&
                   now >= p->due) {
            end_slot(s, p, true, now, out);
        }
        if (hidden_slot_is_named(p) && hidden_point_is_over(p->until, p->served, p->most, now)) {
            p->old = true;
            p->until = tstamp_after(now, HIDDEN_OLD_LIFE);
            hidden_target_touch(s, now);
        }
        in_use += p->state != HIDDEN_SLOT_FREE && !p->old ? 1 : 0;
    }
    return in_use;
}

void hidden_points_settle(struct hidden_service *s, tstamp now, struct acts *out)
{
    for (uint32_t n = end_what_is_over(s, now, out); n < HIDDEN_POINTS; n++) {
        pause_slot(make_room(s, out), now);
    }
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        if (s->slot[i].state == HIDDEN_SLOT_PAUSE && now >= s->slot[i].due) {
            ask_for_point(s, &s->slot[i], now, out);
        }
    }
}

tstamp hidden_points_deadline(const struct hidden_service *s)
{
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        const struct hidden_slot *p = &s->slot[i];
        if (p->state != HIDDEN_SLOT_FREE && p->state != HIDDEN_SLOT_STANDS) {
            at = tstamp_min(at, p->due);
        }
        if (p->named) {
            at = tstamp_min(at, p->until);
        }
        if (hidden_slot_is_named(p) && p->served >= p->most) {
            at = 0; /* it is worn out */
        }
    }
    return at;
}

/* --- what the owner says ----------------------------------------------------------------------- */

/* Whether |relay| is where the slot wanted its point. */
static bool is_wanted(const struct hidden_service *s, const struct hidden_slot *p,
                      const struct onion_hop *relay)
{
    if (p->keyed) {
        return peer_id_eq(&p->relay.peer, &relay->peer);
    }
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        if (s->slot[i].relay.peer.len > 0 && peer_id_eq(&s->slot[i].relay.peer, &relay->peer)) {
            return false;
        }
    }
    return true;
}

/* A fresh key for a point at |relay| (R-2). */
static qudag_err key_slot(struct hidden_service *s, struct hidden_slot *p,
                          const struct onion_hop *relay)
{
    qudag_err err = ed25519_keygen(&p->sk, p->intro_key, &s->all->cfg.rng);

    if (err == QUDAG_OK) {
        p->keyed = true;
        p->relay = *relay;
        map_init_u64(&p->seen, s->all->cfg.mem, NULL, 8, HIDDEN_SEEN_MAX);
    }
    return err;
}

void hidden_serve_point_built(struct hidden_services *h, uint64_t id, struct ref circuit,
                              const struct onion_hop *relay, tstamp now, struct acts *out)
{
    struct hidden_service *s;
    struct hidden_slot *p = hidden_slot_of(h, id, &s);

    if (p == NULL || p->state != HIDDEN_SLOT_BUILD) {
        hidden_close(&circuit, out);
        return;
    }
    p->circuit = circuit;
    if (!is_wanted(s, p, relay) || (!p->keyed && key_slot(s, p, relay) != QUDAG_OK)) {
        end_slot(s, p, true, now, out);
        return;
    }
    p->state = HIDDEN_SLOT_ESTABLISH;
    p->due = tstamp_after(now, HIDDEN_ESTABLISH_LIFE);
    struct act *a =
        hidden_report_copy(s, HIDDEN_SERVE_ESTABLISH, id,
                           (struct slice){(const void *)&h->cfg.limits, sizeof h->cfg.limits}, out);
    a->obj = circuit;
}

const struct secret_ed25519 *hidden_serve_intro_sk(const struct hidden_services *h, uint64_t id)
{
    struct hidden_service *s;
    const struct hidden_slot *p = hidden_slot_of(h, id, &s);

    return p != NULL && p->keyed ? &p->sk : NULL;
}

void hidden_serve_established(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out)
{
    struct hidden_service *s;
    struct hidden_slot *p = hidden_slot_of(h, id, &s);
    bool first = true;

    if (p == NULL || p->state != HIDDEN_SLOT_ESTABLISH) {
        return;
    }
    p->state = HIDDEN_SLOT_STANDS;
    p->failures = 0;
    limiter_init(&p->rate, REND_RATE_MAX, REND_BURST_MAX, now);
    limiter_init(&p->excess, REND_RATE_MAX, HIDDEN_EXCESS_BURST, now);
    s->stats.points_established++;
    if (!p->named) {
        for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
            first = first && !hidden_slot_is_named(&s->slot[i]);
        }
        s->dirty = s->dirty && !first; /* the others have their time from now on */
        p->named = true;
        p->until = tstamp_after(now, hidden_point_life(&h->cfg.rng));
        p->most = hidden_point_introductions(&h->cfg.rng);
        hidden_target_touch(s, now);
    }
    hidden_target_settle(s, now, out);
}

void hidden_serve_point_ended(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out)
{
    struct hidden_service *s;
    struct hidden_slot *p = hidden_slot_of(h, id, &s);

    if (p != NULL) {
        end_slot(s, p, true, now, out);
    }
}

void hidden_serve_point_unreachable(struct hidden_services *h, uint64_t id, tstamp now,
                                    struct acts *out)
{
    struct hidden_service *s;
    struct hidden_slot *p = hidden_slot_of(h, id, &s);

    for (size_t i = 0; p != NULL && i < HIDDEN_RESTORES; i++) {
        p->restored[i] = now > 0 ? now : 1; /* as often as it may be */
    }
    hidden_serve_point_ended(h, id, now, out);
}
