/* autorelay.c - relays as far as they are known, and what became of the places there; see autorelay.h. */
#include "core/autorelay/autorelay_int.h"

#define CIRCUITS_MANY 32 /* then all are halved: what was long ago counts less */

void autorelay_init(struct autorelay *a, const struct rng *rng, bool lab, tstamp now)
{
    *a = (struct autorelay){.rng = *rng, .lab = lab, .seek_pause = AUTORELAY_SEEK_MIN};
    /* AUTORELAY_ASKS_S tokens are one request, so that the rate is a whole number. */
    limiter_init(&a->asks, 1, (uint64_t)AUTORELAY_ASKS * AUTORELAY_ASKS_S, now);
}

struct autorelay_relay *autorelay_find(struct autorelay *a, const struct peer_id *peer)
{
    for (size_t i = 0; peer->len > 0 && i < AUTORELAY_CANDIDATES_MAX; i++) {
        if (a->v[i].peer.len > 0 && peer_id_eq(&a->v[i].peer, peer)) {
            return &a->v[i];
        }
    }
    return NULL;
}

const struct autorelay_relay *autorelay_get(const struct autorelay *a, const struct peer_id *peer)
{
    for (size_t i = 0; peer->len > 0 && i < AUTORELAY_CANDIDATES_MAX; i++) {
        if (a->v[i].peer.len > 0 && peer_id_eq(&a->v[i].peer, peer)) {
            return &a->v[i];
        }
    }
    return NULL;
}

const struct autorelay_relay *autorelay_next(const struct autorelay *a, size_t *it)
{
    while (*it < AUTORELAY_CANDIDATES_MAX) {
        const struct autorelay_relay *r = &a->v[(*it)++];
        if (r->peer.len > 0) {
            return r;
        }
    }
    return NULL;
}

uint32_t autorelay_count(const struct autorelay *a)
{
    uint32_t n = 0;

    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        n += a->v[i].peer.len > 0 && a->v[i].state != AUTORELAY_IDLE ? 1 : 0;
    }
    return n;
}

void autorelay_stats_get(const struct autorelay *a, struct autorelay_stats *out)
{
    *out = a->stats;
    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        const struct autorelay_relay *r = &a->v[i];
        out->candidates += r->peer.len > 0 ? 1 : 0;
        out->asked += r->peer.len > 0 && r->state == AUTORELAY_ASKED ? 1 : 0;
        out->held += r->peer.len > 0 && r->state == AUTORELAY_HELD ? 1 : 0;
    }
}

void autorelay_enter(struct autorelay_relay *r, enum autorelay_state state, tstamp now)
{
    r->state = state;
    r->since = now;
}

/* ------------------------------------------------------------------ candidates */

static bool is_idle(const struct autorelay_relay *r)
{
    return r->state == AUTORELAY_IDLE && !r->fixed;
}

static uint32_t of_net(const struct autorelay *a, uint64_t net)
{
    uint32_t n = 0;

    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        n += a->v[i].peer.len > 0 && a->v[i].net == net ? 1 : 0;
    }
    return n;
}

/* Whom a newcomer of a network with |n| candidates replaces: of a network with more, who failed most; NULL: nobody. */
static struct autorelay_relay *gives_way(struct autorelay *a, uint32_t n)
{
    struct autorelay_relay *worst = NULL;
    uint32_t most = 0;

    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        struct autorelay_relay *r = &a->v[i];
        uint32_t of = is_idle(r) ? of_net(a, r->net) : 0;
        bool failing = r->failures > 0 && of == n + 1; /* of equal networks who answers stays */
        if (of < n + 1 || (of == n + 1 && !failing)) {
            continue;
        }
        if (worst == NULL || of > most || (of == most && r->failures > worst->failures)) {
            worst = r;
            most = of;
        }
    }
    return worst;
}

/* A place in the table for a relay of |net|; NULL: it has enough. */
static struct autorelay_relay *room(struct autorelay *a, uint64_t net)
{
    uint32_t n = of_net(a, net);

    if (!a->lab && n >= AUTORELAY_NET_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        if (a->v[i].peer.len == 0) {
            return &a->v[i];
        }
    }
    return gives_way(a, n);
}

static void measured(struct autorelay_relay *r, uint64_t rtt_ns)
{
    if (rtt_ns != 0) {
        r->rtt_ns = r->rtt_ns == 0 ? rtt_ns : r->rtt_ns - r->rtt_ns / 8 + rtt_ns / 8;
    }
}

void autorelay_heard(struct autorelay *a, const struct autorelay_found *f, tstamp now)
{
    struct autorelay_relay *r = autorelay_find(a, &f->peer);

    if (f->peer.len == 0) {
        return;
    }
    if (r == NULL) {
        if ((r = room(a, f->net)) == NULL) {
            return;
        }
        *r = (struct autorelay_relay){.peer = f->peer, .since = now};
        a->gather = a->gather != 0 ? a->gather : tstamp_after(now, AUTORELAY_GATHER);
        a->seek_pause = AUTORELAY_SEEK_MIN;
    }
    r->net = f->net != 0 ? f->net : r->net;
    if (f->addr.len > 0) {
        r->addr = f->addr;
    }
    r->heard = now;
    measured(r, f->rtt_ns);
}

void autorelay_fix(struct autorelay *a, const struct peer_id *peer, uint64_t net, bool fixed,
                   tstamp now)
{
    struct autorelay_relay *r = autorelay_find(a, peer);

    for (size_t i = 0; fixed && r == NULL && peer->len > 0 && i < AUTORELAY_CANDIDATES_MAX; i++) {
        if (is_idle(&a->v[i])) { /* nobody is there, or who waits gives way */
            r = &a->v[i];
            *r = (struct autorelay_relay){.peer = *peer, .net = net, .since = now, .heard = now};
        }
    }
    if (r == NULL || r->fixed == fixed) {
        return;
    }
    r->fixed = fixed;
    autorelay_enter(r, AUTORELAY_IDLE, now); /* what is asked for or held there is the operator's */
}

void autorelay_unheard(struct autorelay *a, const struct peer_id *peer)
{
    struct autorelay_relay *r = autorelay_find(a, peer);

    if (r != NULL && is_idle(r)) {
        *r = (struct autorelay_relay){.peer = {.len = 0}};
    }
}

/* ------------------------------------------------------------------ outcomes */

void autorelay_pause(struct autorelay *a, struct autorelay_relay *r, bool was_steady, tstamp now)
{
    r->failures += r->failures < UINT16_MAX ? 1 : 0;
    uint64_t pause = autorelay_rule_pause(r->failures, was_steady);
    r->retry = tstamp_after(now, pause + rng_u64(&a->rng) % (pause / 2 + 1));
}

void autorelay_drop(struct autorelay_relay *r, tstamp now, struct acts *out)
{
    acts_up(out, AUTORELAY_UP_DROP)->peer = r->peer;
    autorelay_enter(r, AUTORELAY_IDLE, now);
}

void autorelay_held(struct autorelay *a, const struct peer_id *peer,
                    const struct circuit_limit *limit, tstamp now, struct acts *out)
{
    struct autorelay_relay *r = autorelay_find(a, peer);

    if (r == NULL || (r->state == AUTORELAY_IDLE && !r->fixed)) {
        return; /* not ours */
    }
    r->limit = *limit;
    if (r->state != AUTORELAY_HELD) {
        autorelay_enter(r, AUTORELAY_HELD, now);
        r->failures = 0;
        a->stats.taken += r->fixed ? 0 : 1;
    }
    struct autorelay_relay *worst = NULL;
    for (size_t i = 0; autorelay_count(a) > AUTORELAY_PLACES && i < AUTORELAY_CANDIDATES_MAX; i++) {
        struct autorelay_relay *o = &a->v[i];
        bool may = o->peer.len > 0 && !o->fixed && o->state == AUTORELAY_HELD;
        if (may && (worst == NULL || autorelay_rule_cost(o) > autorelay_rule_cost(worst))) {
            worst = o;
        }
    }
    if (worst != NULL) { /* the one that this place was taken for, or this one */
        a->stats.swapped++;
        autorelay_drop(worst, now, out);
    }
}

void autorelay_refused(struct autorelay *a, const struct peer_id *peer, bool said, tstamp now,
                       struct acts *out)
{
    struct autorelay_relay *r = autorelay_find(a, peer);

    if (r == NULL || r->fixed || r->state == AUTORELAY_IDLE) {
        return;
    }
    a->stats.refused++;
    r->refusals += said && r->refusals < UINT16_MAX ? 1 : 0;
    autorelay_drop(r, now, out);
    autorelay_pause(a, r, false, now);
}

void autorelay_lost(struct autorelay *a, const struct peer_id *peer, tstamp now, struct acts *out)
{
    struct autorelay_relay *r = autorelay_find(a, peer);

    if (r == NULL || r->state != AUTORELAY_HELD) {
        return;
    }
    bool steady = now - r->since >= AUTORELAY_STEADY;
    a->stats.lost++;
    if (r->fixed) {
        autorelay_enter(r, AUTORELAY_IDLE, now);
        return;
    }
    autorelay_drop(r, now, out);
    if (now >= a->moved) {
        autorelay_pause(a, r, steady, now);
    }
}

void autorelay_circuit(struct autorelay *a, const struct peer_id *peer, bool broken)
{
    struct autorelay_relay *r = autorelay_find(a, peer);

    if (r == NULL) {
        return;
    }
    if (r->circuits >= CIRCUITS_MANY) {
        r->circuits /= 2;
        r->broken /= 2;
    }
    r->circuits++;
    r->broken += broken ? 1 : 0;
}

void autorelay_moved(struct autorelay *a, tstamp now)
{
    for (size_t i = 0; i < AUTORELAY_CANDIDATES_MAX; i++) {
        a->v[i].retry = 0;
        a->v[i].failures = 0;
        a->v[i].rtt_ns = 0; /* from another place it is another */
    }
    a->moved = tstamp_after(now, AUTORELAY_MOVING);
    a->seek = 0;
    a->seek_pause = AUTORELAY_SEEK_MIN;
    a->review = tstamp_after(now, AUTORELAY_REVIEW);
}
