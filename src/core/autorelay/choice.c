/*
 * choice.c - which relay is asked next, and which is given up for a better one.
 *
 *   eligible (idle, its pause is over, no place in its network) ─ cheapest of each network ─ the best few ─▶ one, drawn
 */
#include "core/autorelay/autorelay_int.h"

struct shortlist {
    struct autorelay_relay *v[AUTORELAY_BEST]; /* the cheapest first */
    uint64_t cost[AUTORELAY_BEST];
    size_t n;
};

/* Whether there is a place in the network of |r|, or one is asked for: that of |but| does not count. */
static bool network_taken(const struct autorelay *a, const struct autorelay_relay *r,
                          const struct autorelay_relay *but)
{
    for (size_t i = 0; !a->lab && r->net != 0 && i < AUTORELAY_CANDIDATES_MAX; i++) {
        const struct autorelay_relay *o = &a->v[i];
        if (o != but && o->peer.len > 0 && o->net == r->net && o->state != AUTORELAY_IDLE) {
            return true;
        }
    }
    return false;
}

static bool is_eligible(const struct autorelay *a, const struct autorelay_relay *r,
                        const struct autorelay_relay *but, tstamp now)
{
    return r->peer.len > 0 && !r->fixed && r->state == AUTORELAY_IDLE && r->retry <= now &&
           !network_taken(a, r, but);
}

static void take_in(const struct autorelay *a, struct shortlist *b, struct autorelay_relay *r)
{
    uint64_t cost = autorelay_rule_cost(r);
    size_t at = b->n;

    for (size_t i = 0; !a->lab && i < b->n; i++) {
        if (b->v[i]->net == r->net && r->net != 0) { /* of one network the cheapest only */
            if (b->cost[i] <= cost) {
                return;
            }
            for (size_t k = i + 1; k < b->n; k++) {
                b->v[k - 1] = b->v[k];
                b->cost[k - 1] = b->cost[k];
            }
            at = --b->n;
            break;
        }
    }
    while (at > 0 && b->cost[at - 1] > cost) {
        at--;
    }
    if (at >= AUTORELAY_BEST) {
        return;
    }
    b->n += b->n < AUTORELAY_BEST ? 1 : 0;
    for (size_t k = b->n - 1; k > at; k--) {
        b->v[k] = b->v[k - 1];
        b->cost[k] = b->cost[k - 1];
    }
    b->v[at] = r;
    b->cost[at] = cost;
}

static struct shortlist best_of(struct autorelay *a, const struct autorelay_relay *but, tstamp now)
{
    struct shortlist b = {.n = 0};

    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        if (is_eligible(a, &a->v[i], but, now)) {
            take_in(a, &b, &a->v[i]);
        }
    }
    return b;
}

static bool take(struct autorelay *a, struct autorelay_relay *r, tstamp now, struct acts *out)
{
    if (!limiter_take(&a->asks, AUTORELAY_ASKS_S, now)) {
        return false;
    }
    autorelay_enter(r, AUTORELAY_ASKED, now);
    acts_up(out, AUTORELAY_UP_TAKE)->peer = r->peer;
    return true;
}

/* One more place, of one drawn among the best; false: there is none to be had now. */
static bool take_one(struct autorelay *a, tstamp now, struct acts *out)
{
    struct shortlist b = best_of(a, NULL, now);

    return b.n > 0 && take(a, b.v[rng_u64(&a->rng) % b.n], now, out);
}

/* The dearest place that was not taken just now. */
static struct autorelay_relay *dearest(struct autorelay *a, tstamp now)
{
    struct autorelay_relay *worst = NULL;

    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        struct autorelay_relay *r = &a->v[i];
        bool may = r->peer.len > 0 && !r->fixed && r->state == AUTORELAY_HELD &&
                   now - r->since >= AUTORELAY_STEADY;
        if (may && (worst == NULL || autorelay_rule_cost(r) > autorelay_rule_cost(worst))) {
            worst = r;
        }
    }
    return worst;
}

/* Whether others are clearly better than the dearest place: one of them is asked, and it goes once that is held. */
static void review(struct autorelay *a, tstamp now, struct acts *out)
{
    struct autorelay_relay *worst = dearest(a, now);

    a->review = tstamp_after(now, AUTORELAY_REVIEW);
    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        a->v[i].refusals /= 2;
    }
    if (worst == NULL || autorelay_count(a) != AUTORELAY_PLACES) {
        return;
    }
    struct shortlist b = best_of(a, worst, now);
    size_t n = 0;
    while (n < b.n && autorelay_rule_better(b.cost[n], autorelay_rule_cost(worst))) {
        n++;
    }
    if (n > 0) {
        (void)take(a, b.v[rng_u64(&a->rng) % n], now, out);
    }
}

static void seek(struct autorelay *a, uint32_t wanted, tstamp now, struct acts *out)
{
    acts_up(out, AUTORELAY_UP_SEEK)->n = wanted;
    a->stats.seeks++;
    a->seek = tstamp_after(now, a->seek_pause + rng_u64(&a->rng) % (a->seek_pause / 2));
    a->seek_pause = 2 * a->seek_pause < AUTORELAY_SEEK_MAX ? 2 * a->seek_pause : AUTORELAY_SEEK_MAX;
}

/* ------------------------------------------------------------------ time */

/* Those that did not say whether there is a place. */
static void give_up(struct autorelay *a, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        struct autorelay_relay *r = &a->v[i];
        if (r->peer.len > 0 && !r->fixed && r->state == AUTORELAY_ASKED &&
            tstamp_after(r->since, AUTORELAY_ASK_TIMEOUT) <= now) {
            autorelay_drop(r, now, out);
            autorelay_pause(a, r, false, now);
        }
    }
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct autorelay *a = core;

    if (!a->wanted) {
        return;
    }
    give_up(a, now, out);
    if (a->gather != 0 && a->gather <= now) {
        while (autorelay_count(a) < AUTORELAY_PLACES && take_one(a, now, out)) {
        }
    }
    if (autorelay_count(a) < AUTORELAY_PLACES && a->seek <= now) {
        seek(a, AUTORELAY_PLACES - autorelay_count(a), now, out);
    }
    if (a->review <= now) {
        review(a, now, out);
    }
}

/* When the next candidate may be asked; TSTAMP_NEVER: there is none. */
static tstamp next_ask(const struct autorelay *a)
{
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        const struct autorelay_relay *r = &a->v[i];
        if (r->peer.len > 0 && !r->fixed && r->state == AUTORELAY_IDLE &&
            !network_taken(a, r, NULL)) {
            at = tstamp_min(at, r->retry);
        }
    }
    tstamp may = limiter_ready(&a->asks, AUTORELAY_ASKS_S, a->asks.last);
    may = may > a->gather ? may : a->gather;
    return at == TSTAMP_NEVER || at > may ? at : may;
}

static tstamp deadline(const void *core)
{
    const struct autorelay *a = core;

    if (!a->wanted) {
        return TSTAMP_NEVER;
    }
    tstamp at = a->review;
    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        const struct autorelay_relay *r = &a->v[i];
        if (r->peer.len > 0 && !r->fixed && r->state == AUTORELAY_ASKED) {
            at = tstamp_min(at, tstamp_after(r->since, AUTORELAY_ASK_TIMEOUT));
        }
    }
    return autorelay_count(a) < AUTORELAY_PLACES ? tstamp_min(at, tstamp_min(a->seek, next_ask(a)))
                                                 : at;
}

void autorelay_want(struct autorelay *a, bool wanted, tstamp now, struct acts *out)
{
    if (a->wanted == wanted) {
        return;
    }
    a->wanted = wanted;
    a->review = tstamp_after(now, AUTORELAY_REVIEW);
    a->seek =
        tstamp_after(now, AUTORELAY_GATHER); /* those that are linked say first what they are */
    for (size_t i = 0; !wanted && i < AUTORELAY_CANDIDATES_MAX; i++) {
        struct autorelay_relay *r = &a->v[i];
        if (r->peer.len > 0 && !r->fixed && r->state != AUTORELAY_IDLE) {
            autorelay_drop(r, now, out);
        }
    }
}

const struct core_ops autorelay_ops = {.tick = tick, .deadline = deadline};
