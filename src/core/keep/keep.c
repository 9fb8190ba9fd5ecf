/* keep.c - when a kept peer is dialled, what holds its link; see keep.h. */
#include "core/keep/keep.h"

uint64_t keep_pause(const struct rng *rng, uint32_t failures, uint64_t min, uint64_t max)
{
    uint32_t doublings = failures > 0 ? failures - 1 : 0;
    uint64_t base = min << (doublings < 20 ? doublings : 20);

    base = base < max ? base : max;
    return base + rng_u64(rng) % (base / 2 + 1);
}

bool keep_finds(uint32_t failures)
{
    return failures >= KEEP_FIND_AFTER && (failures - KEEP_FIND_AFTER) % 4 == 0;
}

static tstamp soon(const struct keep *k, tstamp now)
{
    return tstamp_after(now, rng_u64(&k->rng) % KEEP_SOON);
}

void keep_init(struct keep *k, const struct rng *rng)
{
    *k = (struct keep){.rng = *rng};
}

static struct keep_peer *find(struct keep *k, const struct peer_id *peer)
{
    for (size_t i = 0; peer->len > 0 && i < KEEP_MAX; i++) {
        if (k->v[i].peer.len > 0 && peer_id_eq(&k->v[i].peer, peer)) {
            return &k->v[i];
        }
    }
    return NULL;
}

static void wait_until(struct keep_peer *p, tstamp at)
{
    p->state = KEEP_WAITING;
    p->due = p->no_dial && !p->linked ? TSTAMP_NEVER : at;
    p->strm = (struct ref){0, 0};
    p->cookie = 0;
}

qudag_err keep_add(struct keep *k, const struct peer_id *peer, bool no_dial, bool linked,
                   tstamp now)
{
    struct keep_peer *p = find(k, peer);

    if (p != NULL) {
        p->no_dial = p->no_dial && no_dial;
        if (p->state == KEEP_WAITING && p->due == TSTAMP_NEVER && !p->no_dial) {
            p->due = soon(k, now);
        }
        return QUDAG_OK;
    }
    for (size_t i = 0; i < KEEP_MAX; i++) {
        p = &k->v[i];
        if (p->peer.len == 0) {
            *p = (struct keep_peer){
                .peer = *peer, .no_dial = no_dial, .linked = linked, .since = now};
            wait_until(p, linked ? now : soon(k, now));
            return QUDAG_OK;
        }
    }
    return QUDAG_ELIMIT;
}

bool keep_release(struct keep *k, const struct peer_id *peer, struct acts *out)
{
    struct keep_peer *p = find(k, peer);

    if (p == NULL) {
        return false;
    }
    if (!ref_none(p->strm)) {
        acts_reset(out, p->strm, QUDAG_ECANCELED);
    }
    *p = (struct keep_peer){.due = 0}; /* a stream that opens yet is reset */
    return true;
}

size_t keep_count(const struct keep *k)
{
    size_t n = 0;

    for (size_t i = 0; i < KEEP_MAX; i++) {
        n += k->v[i].peer.len > 0 ? 1 : 0;
    }
    return n;
}

const struct keep_peer *keep_get(const struct keep *k, const struct peer_id *peer)
{
    for (size_t i = 0; peer->len > 0 && i < KEEP_MAX; i++) {
        if (k->v[i].peer.len > 0 && peer_id_eq(&k->v[i].peer, peer)) {
            return &k->v[i];
        }
    }
    return NULL;
}

static void hurry(struct keep *k, struct keep_peer *p, tstamp now)
{
    if (p->state == KEEP_WAITING && p->due != TSTAMP_NEVER) {
        p->due = tstamp_min(p->due, soon(k, now));
    }
}

void keep_retry(struct keep *k, const struct peer_id *peer, tstamp now)
{
    for (size_t i = 0; i < KEEP_MAX; i++) {
        struct keep_peer *p = &k->v[i];
        if (p->peer.len > 0 && (peer == NULL || peer_id_eq(&p->peer, peer))) {
            p->failures = p->brief = 0;
            hurry(k, p, now);
        }
    }
}

bool keep_move(struct keep *k, const struct peer_id *peer, tstamp now, struct acts *out)
{
    struct keep_peer *p = find(k, peer);

    if (p == NULL || p->state != KEEP_HELD) {
        return false;
    }
    acts_reset(out, p->strm, QUDAG_ECANCELED);
    p->strm = (struct ref){0, 0};
    p->state = KEEP_LINKED;
    p->due = now;
    return true;
}

void keep_found(struct keep *k, const struct peer_id *peer, tstamp now)
{
    struct keep_peer *p = find(k, peer);

    if (p != NULL) {
        hurry(k, p, now);
    }
}

/* ---- events ---- */

static void failed(struct keep *k, struct keep_peer *p, const struct ev *ev, tstamp now,
                   struct acts *out)
{
    p->err = ev->err;
    if (p->linked) { /* it does not want the stream, the link is there */
        p->failures = 0;
        p->cookie = 0;
        p->state = KEEP_LINKED;
        p->due = tstamp_after(now, KEEP_AGAIN);
        return;
    }
    bool ours = ev->err == QUDAG_ECANCELED || ev->err == QUDAG_ELIMIT || ev->err == QUDAG_ENOMEM;
    p->failures += ours ? 0 : 1; /* what we lack says nothing of the peer */
    wait_until(p, tstamp_after(now, keep_pause(&k->rng, p->failures, KEEP_MIN, KEEP_MAX_PAUSE)));
    if (ours || p->no_dial) {
        return;
    }
    struct act *a = acts_up(out, KEEP_UP_FAILED);
    a->peer = p->peer;
    a->err = ev->err;
    if (keep_finds(p->failures)) {
        acts_up(out, KEEP_UP_FIND)->peer = p->peer;
    }
}

static struct keep_peer *by_strm(struct keep *k, struct ref strm)
{
    for (size_t i = 0; i < KEEP_MAX; i++) {
        if (k->v[i].peer.len > 0 && !ref_none(k->v[i].strm) && ref_eq(k->v[i].strm, strm)) {
            return &k->v[i];
        }
    }
    return NULL;
}

static void came(struct keep_peer *p, tstamp now)
{
    p->since = p->linked ? p->since : now;
    p->linked = true;
}

/* A peer that closes at once, for whatever reason, is not dialled every second. */
static void lost(struct keep *k, struct keep_peer *p, tstamp now)
{
    bool brief = p->linked && now - p->since < KEEP_BRIEF;

    p->linked = false;
    p->failures = 0;
    p->brief = !brief ? 0 : p->brief < UINT32_MAX ? p->brief + 1 : p->brief;
    wait_until(p, p->brief <= 1
                      ? soon(k, now)
                      : tstamp_after(now, keep_pause(&k->rng, p->brief, KEEP_MIN, KEEP_MAX_PAUSE)));
}

static void linked(struct keep *k, struct keep_peer *p, bool up, tstamp now)
{
    if (!up) {
        lost(k, p, now);
        return;
    }
    came(p, now);
    if (p->state == KEEP_WAITING) {
        p->due = now; /* over the link that there is */
    }
}

static void opened(struct keep_peer *p, const struct ev *ev, tstamp now, struct acts *out)
{
    if (p == NULL || p->state != KEEP_OPENING || p->cookie != ev->cookie) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* released meanwhile */
        return;
    }
    p->state = KEEP_HELD;
    came(p, now);
    p->strm = ev->strm;
    p->cookie = 0;
    p->failures = 0;
    p->err = QUDAG_OK;
}

/* The peer has ended the stream, or says something on it. */
static void ended(struct keep_peer *p, const struct ev *ev, tstamp now, struct acts *out)
{
    p->strm = (struct ref){0, 0};
    p->state = KEEP_LINKED;
    p->due = tstamp_after(now, KEEP_AGAIN);
    if (ev->type != EV_RESET) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
    }
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct keep *k = core;
    struct keep_peer *p = NULL;

    switch (ev->type) {
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        if ((p = find(k, ev->peer)) != NULL && !ev->again) {
            linked(k, p, ev->type == EV_PEER_UP, now);
        }
        break;
    case EV_STREAM_OPEN:
        opened(find(k, ev->peer), ev, now, out);
        break;
    case EV_STREAM_FAIL:
        p = find(k, ev->peer);
        if (p != NULL && p->state == KEEP_OPENING && p->cookie == ev->cookie) {
            failed(k, p, ev, now, out);
        }
        break;
    case EV_DATA:
    case EV_FIN:
    case EV_RESET:
        if ((p = by_strm(k, ev->strm)) != NULL) {
            ended(p, ev, now, out);
        }
        break;
    default:
        break;
    }
}

/* Of those that are due the one that waits longest; NULL: none may begin. */
static struct keep_peer *next(struct keep *k, tstamp now)
{
    struct keep_peer *pick = NULL;
    unsigned under_way = 0;

    for (size_t i = 0; i < KEEP_MAX; i++) {
        struct keep_peer *p = &k->v[i];
        bool idle = p->state == KEEP_WAITING || p->state == KEEP_LINKED;
        under_way += p->peer.len > 0 && p->state == KEEP_OPENING ? 1 : 0;
        if (p->peer.len > 0 && idle && p->due <= now && (pick == NULL || p->due < pick->due)) {
            pick = p;
        }
    }
    return under_way < KEEP_AT_ONCE ? pick : NULL;
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct keep *k = core;

    for (struct keep_peer *p; (p = next(k, now)) != NULL;) {
        p->state = KEEP_OPENING;
        p->cookie = ++k->cookies;
        if (p->no_dial) {
            acts_open_again(out, &p->peer, p->cookie, 0);
        } else {
            (void)acts_open(out, &p->peer, p->cookie, 0);
        }
    }
}

static tstamp deadline(const void *core)
{
    const struct keep *k = core;
    tstamp at = TSTAMP_NEVER;
    unsigned under_way = 0;

    for (size_t i = 0; i < KEEP_MAX; i++) {
        const struct keep_peer *p = &k->v[i];
        under_way += p->peer.len > 0 && p->state == KEEP_OPENING ? 1 : 0;
        if (p->peer.len > 0 && (p->state == KEEP_WAITING || p->state == KEEP_LINKED)) {
            at = tstamp_min(at, p->due);
        }
    }
    return under_way < KEEP_AT_ONCE ? at : TSTAMP_NEVER; /* an end is an event */
}

const struct core_ops keep_ops = {
    .chooses = true, .event = event, .tick = tick, .deadline = deadline};
