/*
 * publish.c - our own addresses: when their records are made, and what became of them.
 *
 *              dark_publish                 once for each place, at times of its own:
 *   IDLE ────────────────▶ PUBLISHING: round ── stored ──▶ rest 6 to 8 h ──▶ next round
 *     │                         │         └── failed ──▶ rest 30 s, doubling to 1 h
 *     └──── dark_forget ────────┴──▶ FORGETTING: round in one place ── stored, or 3 failures ──▶ reported
 *                                       the others within 90 minutes ──▶ keys wiped
 *
 * A round:  number ─▶ DARK_UP_SAVE ─ dark_saved ─▶ record ─▶ DARK_UP_PUT ─ dark_put_done ─▶ DARK_UP_GET
 *           through another relay ─ dark_get_done ─▶ stored when that is the very record
 *
 * Of hidden services the records follow what they name (hidden.c).
 *
 * No record exists before its number is on disk.  Places of the current period and the next are served;
 * what they have in common is decided in schedule.c: nothing.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "wire/onion_ends.h"

#include <string.h>

_Static_assert(DARK_ROUNDS_MAX *(DARK_KEY_LEN + DARK_RECORD_LEN + 2 * sizeof(struct dark_wanted)) <
                   ACTS_BYTES_ROOM / 2,
               "room of dark_tick for tombstones");
_Static_assert(sizeof(struct dark_service) >= sizeof(struct onion_hop), "wiped as a whole");
_Static_assert(DARK_ADDRS_MAX * 2 * DARK_REPLICAS + 2 * DARK_ROUNDS_MAX + DARK_JOBS_MAX +
                       DARK_WAITERS_MAX + 1 <
                   ACTS_ROOM,
               "room of dark_tick");

struct dark_own_addr *dark_own_find(const struct dark *d, const struct dark_addr *a)
{
    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        if (d->own[i] != NULL && dark_addr_eq(&d->own[i]->keys.addr, a)) {
            return d->own[i];
        }
    }
    return NULL;
}

/* Takes |o| out of the table.  A DARK_UP_SAVE of this call may point to it: freed by dark_reap. */
static void own_drop(struct dark *d, struct dark_own_addr *o)
{
    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        if (d->own[i] == o) {
            d->own[i] = NULL;
        }
    }
    o->next_dead = d->dead_own;
    d->dead_own = o;
}

void dark_own_reap(struct dark *d)
{
    while (d->dead_own != NULL) {
        struct dark_own_addr *o = d->dead_own;
        d->dead_own = o->next_dead;
        dark_keys_fini(&o->keys);
        mem_free_wiped(d->cfg.mem, o);
    }
}

void dark_own_free(struct dark *d)
{
    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        if (d->own[i] != NULL) {
            own_drop(d, d->own[i]);
        }
    }
    dark_own_reap(d);
}

qudag_err dark_own(struct dark *d, struct dark_keys *k)
{
    size_t ix = 0;

    if (!dark_network_takes(d->cfg.network, (enum dark_network)k->addr.network)) {
        return QUDAG_EINVAL;
    }
    if (dark_own_find(d, &k->addr) != NULL) {
        return QUDAG_EEXISTS;
    }
    while (ix < DARK_ADDRS_MAX && d->own[ix] != NULL) {
        ix++;
    }
    if (ix == DARK_ADDRS_MAX) {
        return QUDAG_ELIMIT;
    }
    struct dark_own_addr *o = mem_alloc(d->cfg.mem, sizeof *o);
    if (o == NULL) {
        return QUDAG_ENOMEM;
    }
    o->keys = *k;
    o->state = DARK_OWN_IDLE;
    o->change_at = TSTAMP_NEVER;
    for (size_t i = 0; i < DARK_PLACES; i++) {
        o->s[i].round_at = TSTAMP_NEVER;
    }
    d->own[ix] = o;
    wipe(k, sizeof *k);
    return QUDAG_OK;
}

const struct dark_keys *dark_own_get(const struct dark *d, const struct dark_addr *a)
{
    const struct dark_own_addr *o = dark_own_find(d, a);

    return o == NULL || o->state == DARK_OWN_FORGETTING ? NULL : &o->keys;
}

qudag_err dark_sign_target(struct dark *d, const struct dark_addr *a, const struct identity *id,
                           walltime until)
{
    struct dark_own_addr *o = dark_own_find(d, a);

    if (o == NULL) {
        return QUDAG_ENOTFOUND;
    }
    return o->keys.kind == DARK_HIDDEN ? QUDAG_EINVAL : onion_ends_sign(&o->hop, until, id);
}

static uint64_t current(const struct dark *d, tstamp now)
{
    return dark_period(wall_now(&d->cfg.clock, now));
}

/* Until when the address can be found; 0: it cannot. */
static walltime found_until(const struct dark_own_addr *o)
{
    walltime until = 0;

    for (size_t i = 0; i < DARK_PLACES; i++) {
        until = o->s[i].until > until ? o->s[i].until : until;
    }
    return until;
}

bool dark_own_next(const struct dark *d, size_t *it, const struct dark_keys **k, bool *published,
                   walltime *until)
{
    while (*it < DARK_ADDRS_MAX) {
        const struct dark_own_addr *o = d->own[(*it)++];
        if (o != NULL && o->state != DARK_OWN_FORGETTING) {
            *k = &o->keys;
            *until = found_until(o);
            *published = *until > 0;
            return true;
        }
    }
    return false;
}

void dark_called(struct dark *d, const struct dark_addr *a, tstamp now)
{
    struct dark_own_addr *o = dark_own_find(d, a);
    walltime wall = wall_now(&d->cfg.clock, now);

    if (o != NULL) {
        o->keys.use.callers++;
        o->keys.use.last = wall < 0 ? 0 : wall - wall % DARK_STEP;
    }
}

/* --- rounds --------------------------------------------------------------------------------- */

/* Answers to what was asked so far count no longer. */
static void series_rest(struct dark_series *s)
{
    s->step = DARK_REST;
    s->cookie = 0;
    s->ask_due = TSTAMP_NEVER;
}

static void series_step(struct dark_series *s, enum dark_step step, uint64_t cookie, tstamp now)
{
    s->step = step;
    s->cookie = cookie;
    s->ask_due = tstamp_after(now, DARK_ASK_TIMEOUT);
}

static void save(struct dark_own_addr *o, uint64_t cookie, struct acts *out)
{
    struct act *up = acts_up(out, DARK_UP_SAVE);

    up->cookie = cookie;
    up->ptr = &o->keys;
}

static void report(const struct dark_own_addr *o, qudag_err err, uint32_t stored, struct acts *out)
{
    struct act *up = acts_up(out, DARK_UP_PUBLISHED);

    up->cookie = o->cookie;
    up->err = err;
    up->n = stored;
}

/* The owner hears of the first tombstone; the others follow at times of their own. */
static void withdrawn_one(struct dark *d, struct dark_own_addr *o, size_t ix, qudag_err err,
                          tstamp now, struct acts *out)
{
    bool all = true;

    o->s[ix].withdrawn = true;
    for (size_t i = 0; i < DARK_PLACES; i++) {
        all = all && o->s[i].withdrawn;
        if (!o->reported && !o->s[i].withdrawn) {
            o->s[i].round_at = tstamp_after(now, dark_retry_wait(0, false, &d->cfg.rng));
        }
    }
    if (!o->reported) {
        report(o, err, o->s[ix].stored, out);
        o->reported = true;
    }
    if (all) {
        own_drop(d, o);
    }
}

/* The round of place |ix| is over; |o| may be gone afterwards. */
static void round_end(struct dark *d, struct dark_own_addr *o, size_t ix, qudag_err err, tstamp now,
                      struct acts *out)
{
    struct dark_series *s = &o->s[ix];
    struct dark_place_state *p = &o->keys.place[ix];
    uint64_t period = current(d, now);
    bool is_current = p->at.period == period;

    series_rest(s);
    s->failures = err == QUDAG_OK ? 0 : s->failures + 1;
    s->stored = err == QUDAG_OK ? s->stored : 0;
    if (o->state == DARK_OWN_FORGETTING && (err == QUDAG_OK || s->failures >= DARK_FORGET_TRIES)) {
        s->round_at = TSTAMP_NEVER;
        withdrawn_one(d, o, ix, err, now, out);
        return;
    }
    if (err != QUDAG_OK) {
        bool urgent = is_current || o->state == DARK_OWN_FORGETTING;
        s->round_at = tstamp_after(now, dark_retry_wait(s->failures, urgent, &d->cfg.rng));
    } else {
        uint64_t wait = dark_renewal_wait(&d->cfg.rng);
        s->round_at = tstamp_after(now, wait);
        s->until = s->expires;
        s->named = s->making;
        s->avoid.len = 0;
        p->due = wall_now(&d->cfg.clock, now) + (walltime)(wait / NS_PER_S);
        save(o, 0, out); /* that it need not be made again after a restart */
    }
    if (o->state == DARK_OWN_PUBLISHING && p->at.period < period) {
        s->round_at = TSTAMP_NEVER; /* it ended meanwhile */
    } else if (err == QUDAG_OK && o->state == DARK_OWN_PUBLISHING && o->keys.kind == DARK_HIDDEN) {
        dark_hidden_review(d, o, now); /* its points may have changed meanwhile */
    }
    if (is_current && o->state == DARK_OWN_PUBLISHING) {
        report(o, err, s->stored, out);
    }
}

/* What a record of place |ix| leads to. */
static qudag_err lead(struct dark_target *t, struct dark_own_addr *o, size_t ix)
{
    if (o->state != DARK_OWN_PUBLISHING) {
        return QUDAG_OK; /* nowhere */
    }
    t->kind = o->keys.kind;
    if (t->kind == DARK_DIRECT) {
        t->hop = o->hop;
        return QUDAG_OK;
    }
    qudag_err err = dark_service_at(&t->hidden, &o->hidden, t->at.period);
    if (err == QUDAG_OK) {
        dark_named_set(&o->s[ix].making, &t->hidden, &o->keys.clients);
    }
    return err;
}

/* Makes the record of place |ix| and asks the owner to store it. */
static qudag_err put_one(struct dark *d, struct dark_own_addr *o, size_t ix, tstamp now,
                         struct acts *out)
{
    struct dark_series *s = &o->s[ix];
    const struct dark_place_state *p = &o->keys.place[ix];
    walltime wall = wall_now(&d->cfg.clock, now);
    struct dark_target t = {
        .kind = DARK_WITHDRAWN, .seq = o->keys.seq, .at = p->at, .number = p->number};
    uint8_t key[DARK_KEY_LEN], *record = acts_reserve(out, DARK_RECORD_LEN);

    if (record == NULL) {
        return QUDAG_ELIMIT;
    }
    t.not_before = dark_not_before(wall, &d->cfg.rng);
    t.expires = s->expires = t.not_before + DARK_LIFE;
    qudag_err err = wall < DARK_PERIOD ? QUDAG_EINVAL : dark_dht_key(key, &o->keys.addr, &p->at);
    if (err == QUDAG_OK) {
        err = lead(&t, o, ix);
    }
    if (err == QUDAG_OK) {
        err = dark_record_make(record, &o->keys, &t, &d->cfg.rng);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    struct dark_wanted wanted = {.key = acts_copy(out, key, sizeof key),
                                 .record = {record, DARK_RECORD_LEN},
                                 .apart = s->avoid};
    blake3(s->digest, wanted.record);
    struct act *up =
        wanted.key.base == NULL ? NULL : acts_up_copy(out, DARK_UP_PUT, &wanted, sizeof wanted);
    if (up == NULL) {
        return QUDAG_ELIMIT;
    }
    up->cookie = d->next_cookie++;
    series_step(s, DARK_PUTTING, up->cookie, now);
    return QUDAG_OK;
}

static void round_start(struct dark *d, struct dark_own_addr *o, size_t ix, tstamp now,
                        struct acts *out)
{
    struct dark_series *s = &o->s[ix];
    struct dark_place_state *p = &o->keys.place[ix];
    walltime wall = wall_now(&d->cfg.clock, now);

    ASSERT(o->state != DARK_OWN_IDLE);
    ASSERT(s->step == DARK_REST);
    o->keys.seq = dark_seq_next(o->keys.seq, wall);
    p->number = dark_number_next(&o->keys, &p->at, p->number, wall, &d->cfg.rng);
    p->due = 0;
    s->round_at = TSTAMP_NEVER;
    s->off = DARK_LEADS;
    s->begun = now;
    if (o->reported) { /* the file is gone, and must not come back */
        qudag_err err = put_one(d, o, ix, now, out);
        if (err != QUDAG_OK) {
            round_end(d, o, ix, err, now, out);
        }
        return;
    }
    series_step(s, DARK_SAVING, d->next_cookie++, now);
    save(o, s->cookie, out);
}

/* Whose question |cookie| is, in |step|. */
static struct dark_own_addr *asked_by(const struct dark *d, enum dark_step step, uint64_t cookie,
                                      size_t *ix)
{
    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        struct dark_own_addr *o = d->own[i];
        for (*ix = 0; o != NULL && cookie != 0 && *ix < DARK_PLACES; (*ix)++) {
            if (o->s[*ix].step == step && o->s[*ix].cookie == cookie) {
                return o;
            }
        }
    }
    return NULL;
}

void dark_saved(struct dark *d, uint64_t cookie, qudag_err err, tstamp now, struct acts *out)
{
    size_t ix;

    dark_reap(d, out);
    struct dark_own_addr *o = asked_by(d, DARK_SAVING, cookie, &ix);
    if (o == NULL) {
        return;
    }
    err = err == QUDAG_OK ? put_one(d, o, ix, now, out) : err;
    if (err != QUDAG_OK) {
        round_end(d, o, ix, err, now, out);
    }
}

void dark_put_done(struct dark *d, const struct dark_answer *ans, tstamp now, struct acts *out)
{
    uint8_t key[DARK_KEY_LEN];
    qudag_err err = ans->err;
    size_t ix;

    dark_reap(d, out);
    struct dark_own_addr *o = asked_by(d, DARK_PUTTING, ans->cookie, &ix);
    if (o == NULL) {
        return;
    }
    struct dark_series *s = &o->s[ix];
    if (err == QUDAG_OK && ans->stored == 0) {
        err = QUDAG_EUNREACHABLE;
    }
    if (err == QUDAG_OK) {
        err = dark_dht_key(key, &o->keys.addr, &o->keys.place[ix].at);
    }
    if (err ==
        QUDAG_OK) { /* what one relay says of storers counts only when another sees the record */
        s->stored = ans->stored;
        s->avoid = ans->exit;
        uint64_t cookie = dark_ask_get(d, key, &ans->exit, out);
        err = cookie == 0 ? QUDAG_ELIMIT : QUDAG_OK;
        series_step(s, DARK_READING, cookie, now);
    }
    if (err != QUDAG_OK) {
        round_end(d, o, ix, err, now, out);
    }
}

bool dark_own_get_done(struct dark *d, const struct dark_answer *ans, tstamp now, struct acts *out)
{
    uint8_t digest[32];
    qudag_err err = ans->err;
    size_t ix;
    struct dark_own_addr *o = asked_by(d, DARK_READING, ans->cookie, &ix);

    if (o == NULL) {
        return false;
    }
    if (err == QUDAG_OK) {
        blake3(digest, ans->record);
        err = memcmp(digest, o->s[ix].digest, sizeof digest) == 0 ? QUDAG_OK : QUDAG_EUNREACHABLE;
    }
    round_end(d, o, ix, err == QUDAG_ENOTFOUND ? QUDAG_EUNREACHABLE : err, now, out);
    return true;
}

/* --- when ----------------------------------------------------------------------------------- */

/* When a round that was missed is made up for: a storer of another place sees no two of them together. */
static tstamp missed_at(const struct dark *d, tstamp now)
{
    return tstamp_after(now, rng_u64(&d->cfg.rng) % DARK_MISSED_MAX);
}

/* The places of the current period and the next: those that are new get their first round's time. */
static void places_review(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    walltime wall = wall_now(&d->cfg.clock, now);
    uint64_t p = dark_period(wall);
    uint64_t left = (uint64_t)(dark_period_start(p + 1) - (wall < 0 ? 0 : wall));

    o->change_at = tstamp_after(now, left * NS_PER_S);
    for (size_t i = 0; i < DARK_PLACES; i++) {
        struct dark_place at = {p + i / DARK_REPLICAS, (uint8_t)(i % DARK_REPLICAS)};
        size_t ix = dark_slot(&at);
        if (at.period == p + 2) { /* of the period before: it is served no longer */
            o->s[ix].round_at = TSTAMP_NEVER;
            continue;
        }
        if (!dark_place_eq(&o->keys.place[ix].at, &at)) {
            o->keys.place[ix] = (struct dark_place_state){.at = at};
            o->s[ix] = (struct dark_series){.step = DARK_REST, .round_at = TSTAMP_NEVER};
        }
        if (o->s[ix].step == DARK_REST && o->s[ix].round_at == TSTAMP_NEVER) {
            uint64_t wait = dark_first_wait(at.period, wall, &d->cfg.rng);
            o->s[ix].round_at = tstamp_after(now, wait * NS_PER_S);
        }
    }
}

/* One place of the current period is served now if none is stored or under way. */
static void hurry(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    walltime wall = wall_now(&d->cfg.clock, now);
    struct dark_place at = {.period = dark_period(wall)};

    for (at.replica = 0; at.replica < DARK_REPLICAS; at.replica++) {
        const struct dark_series *s = &o->s[dark_slot(&at)];
        if (s->step != DARK_REST || s->until > wall) {
            return;
        }
    }
    dark_hurried_draw(d, o, now);
    at.replica = dark_hurried(o, at.period);
    struct dark_series *s = &o->s[dark_slot(&at)];
    s->round_at = now;
    if (o->keys.kind == DARK_HIDDEN &&
        s->begun != 0) { /* its points may all fail again and again */
        tstamp rested = tstamp_after(s->begun, dark_off_schedule_pause(DARK_LEADS_NOWHERE));
        s->round_at = rested > now ? rested : now;
    }
}

/* What the records lead to, as it is remembered over restarts. */
static void target_hash(uint8_t out[32], const struct onion_hop *h)
{
    uint8_t b[PEER_ID_MAX + 32 + ONION_ADDRS_MAX * (1 + MULTIADDR_MAX) + 1];
    struct wr w = wr_init(b, sizeof b);

    wr_u8(&w, h->peer.len);
    wr_slice(&w, peer_id_slice(&h->peer));
    wr_bytes(&w, h->pq_hash, sizeof h->pq_hash);
    for (uint8_t i = 0; i < h->n_addrs; i++) {
        wr_u8(&w, h->addr[i].len);
        wr_slice(&w, multiaddr_slice(&h->addr[i]));
    }
    ASSERT(wr_ok(&w));
    blake3(out, wr_done(&w));
}

/* Takes up the rounds where the last run left them; those that were missed are made up for. */
static void resume(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    walltime wall = wall_now(&d->cfg.clock, now);

    for (size_t i = 0; i < DARK_PLACES; i++) {
        const struct dark_place_state *p = &o->keys.place[i];
        o->s[i].off = DARK_LEADS;
        if (p->number == 0 || o->s[i].step != DARK_REST || p->at.period < dark_period(wall)) {
            continue; /* also: it ended, and a restart or another target must not show in it */
        }
        if (p->due > wall && p->due - wall <= DARK_LIFE) { /* else the clock was wrong */
            o->s[i].round_at = tstamp_after(now, (uint64_t)(p->due - wall) * NS_PER_S);
            o->s[i].until = o->s[i].until == 0 ? p->due : o->s[i].until; /* at least so long */
        } else if (p->at.period == dark_period(wall)) {
            o->s[i].round_at = missed_at(d, now);
        }
    }
}

/*
 * The records in the DHT lead somewhere else than they should.  New ones leave in one place of each period: at once
 * (see dark_publish) in that of the current one, at a time drawn anew in that of the next.  The other places tell it
 * with their next renewal; until then who asks there first is led astray, and asks the hurried one (resolve.c).
 */
static void renew(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    walltime wall = wall_now(&d->cfg.clock, now);
    uint64_t p = dark_period(wall);

    for (size_t i = 0; i < DARK_PLACES; i++) {
        struct dark_series *s = &o->s[i];
        const struct dark_place *at = &o->keys.place[i].at;
        if (o->keys.place[i].number == 0 || at->period < p ||
            at->replica != dark_hurried(o, at->period)) {
            continue;
        }
        series_rest(s);
        s->failures = 0;
        s->until = 0;
        if (at->period > p) {
            uint64_t wait = dark_first_wait(p + 1, wall, &d->cfg.rng);
            s->round_at = tstamp_after(now, wait * NS_PER_S);
        }
    }
}

/* A round in the place of the current period that may leave its schedule. */
static void round_now(struct dark *d, struct dark_own_addr *o, tstamp now, struct acts *out)
{
    struct dark_place at = {.period = current(d, now)};

    at.replica = dark_hurried(o, at.period);
    series_rest(&o->s[dark_slot(&at)]);
    o->s[dark_slot(&at)].failures = 0;
    round_start(d, o, dark_slot(&at), now, out);
}

static bool want_is_sound(const struct dark_publish_want *want, enum dark_kind kind)
{
    if (kind == DARK_HIDDEN) {
        return want->self == NULL && want->hidden != NULL && dark_service_sound(want->hidden);
    }
    return want->hidden == NULL && want->self != NULL && want->self->peer.len > 0 &&
           want->self->n_addrs <= ONION_ADDRS_MAX;
}

/* Takes over what the records are to lead to; whether it is the same as the last time. */
static bool take_target(struct dark_own_addr *o, const struct dark_publish_want *want)
{
    uint8_t hash[32];

    if (o->keys.kind == DARK_HIDDEN) {
        o->hidden = *want->hidden;
        dark_service_hash(hash, want->hidden);
    } else {
        o->hop = *want->self;
        o->hop.service = true;
        memcpy(o->hop.key_id, o->keys.key_id, sizeof o->hop.key_id);
        memcpy(o->hop.x, o->keys.onion_x, sizeof o->hop.x);
        memcpy(o->hop.k, o->keys.onion_k, sizeof o->hop.k);
        target_hash(hash, want->self);
    }
    bool same = memcmp(hash, o->keys.target, sizeof hash) == 0;
    memcpy(o->keys.target, hash, sizeof hash);
    return same;
}

static bool publish_direct(struct dark *d, struct dark_own_addr *o, bool same, tstamp now)
{
    places_review(d, o, now);
    dark_hurried_draw(d, o, now);
    resume(d, o, now);
    if (!same) {
        renew(d, o, now);
    }
    return same && found_until(o) != 0;
}

/* |begins|: after a start; the records that are out there say the same as these when the hash is the same. */
static bool publish_hidden(struct dark *d, struct dark_own_addr *o, bool begins, bool same,
                           tstamp now)
{
    struct dark_hidden h;

    places_review(d, o, now);
    for (size_t i = 0; i < DARK_PLACES && begins && same; i++) {
        if (dark_service_at(&h, &o->hidden, o->keys.place[i].at.period) == QUDAG_OK) {
            dark_named_set(&o->s[i].named, &h, &o->keys.clients);
        }
    }
    if (begins) {
        resume(d, o, now);
    }
    dark_hidden_review(d, o, now);
    hurry(d, o, now);
    return found_until(o) != 0;
}

qudag_err dark_publish(struct dark *d, const struct dark_publish_want *want, tstamp now,
                       struct acts *out)
{
    dark_reap(d, out);
    struct dark_own_addr *o = dark_own_find(d, want->addr);
    if (o == NULL || o->state == DARK_OWN_FORGETTING) {
        return QUDAG_ENOTFOUND;
    }
    if (!want_is_sound(want, o->keys.kind)) {
        return QUDAG_EINVAL;
    }
    bool hidden = o->keys.kind == DARK_HIDDEN, begins = o->state != DARK_OWN_PUBLISHING;
    bool same = take_target(o, want);
    o->state = DARK_OWN_PUBLISHING;
    o->cookie = want->cookie;
    bool found = hidden ? publish_hidden(d, o, begins, same, now) : publish_direct(d, o, same, now);
    if (want->how == DARK_PUBLISH_RESUME && found) {
        report(o, QUDAG_OK, 0, out);
    } else if (want->how == DARK_PUBLISH_NOW || !hidden) {
        round_now(d, o, now, out);
    }
    return QUDAG_OK;
}

/* The place whose tombstone is made first: of the current period, if it ever had a record; -1: none had. */
static int first_to_withdraw(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    uint64_t p = current(d, now);
    int first = -1;
    uint8_t off = (uint8_t)rng_below(&d->cfg.rng, DARK_REPLICAS);

    for (size_t i = 0; i < DARK_PLACES; i++) {
        size_t ix = (i + off) % DARK_PLACES;
        const struct dark_place_state *s = &o->keys.place[ix];
        bool out_there = s->number != 0 && s->at.period + 1 >= p && s->at.period <= p + 1;
        series_rest(&o->s[ix]);
        o->s[ix].round_at = TSTAMP_NEVER;
        o->s[ix].failures = 0;
        o->s[ix].withdrawn = !out_there;
        if (out_there && (first < 0 || s->at.period == p)) {
            first = (int)ix;
        }
    }
    return first;
}

qudag_err dark_forget(struct dark *d, uint64_t cookie, const struct dark_addr *a, tstamp now,
                      struct acts *out)
{
    dark_reap(d, out);
    struct dark_own_addr *o = dark_own_find(d, a);

    if (o == NULL || o->state == DARK_OWN_FORGETTING) {
        return QUDAG_ENOTFOUND;
    }
    o->state = DARK_OWN_FORGETTING;
    o->cookie = cookie;
    o->change_at = TSTAMP_NEVER;
    wipe(&o->hidden, sizeof o->hidden); /* the larger of both */
    int first = first_to_withdraw(d, o, now);
    if (first < 0) { /* there is nothing to withdraw */
        report(o, QUDAG_OK, 0, out);
        own_drop(d, o);
        return QUDAG_OK;
    }
    round_start(d, o, (size_t)first, now, out);
    return QUDAG_OK;
}

void dark_unpublish(struct dark *d, const struct dark_addr *a)
{
    struct dark_own_addr *o = dark_own_find(d, a);

    if (o == NULL || o->state != DARK_OWN_PUBLISHING) {
        return;
    }
    o->state = DARK_OWN_IDLE;
    o->change_at = TSTAMP_NEVER;
    for (size_t i = 0; i < DARK_PLACES; i++) {
        struct dark_series *s = &o->s[i];
        series_rest(s);
        s->failures = 0;
        s->until = 0;
        s->round_at = TSTAMP_NEVER;
    }
}

/* --- time ----------------------------------------------------------------------------------- */

/*
 * Whether a round that is due begins now.  Those that are late because the machine slept are not all made up
 * for at once: one of the current period, the others at times of their own.
 */
static bool begins(struct dark *d, struct dark_own_addr *o, size_t ix, tstamp now, bool another)
{
    struct dark_series *s = &o->s[ix];
    bool urgent = o->keys.place[ix].at.period == current(d, now);

    if (s->round_at + DARK_LATE_MAX >= now || (urgent && !another)) {
        return true;
    }
    s->round_at =
        urgent ? missed_at(d, now) : tstamp_after(now, dark_retry_wait(0, false, &d->cfg.rng));
    return false;
}

/* The rounds of own address |n|; how many were begun.  The address may be gone afterwards. */
static unsigned own_tick(struct dark *d, size_t n, tstamp now, unsigned most, struct acts *out)
{
    struct dark_own_addr *o = d->own[n];
    unsigned begun = 0;

    for (size_t ix = 0; ix < DARK_PLACES && d->own[n] == o; ix++) {
        const struct dark_series *s = &o->s[ix];
        if (s->step != DARK_REST && s->ask_due <= now) {
            round_end(d, o, ix, QUDAG_ETIMEOUT, now, out);
        } else if (s->step == DARK_REST && s->round_at <= now && begun < most &&
                   begins(d, o, ix, now, begun > 0)) {
            begun++;
            round_start(d, o, ix, now, out);
        }
    }
    return begun;
}

void dark_own_tick(struct dark *d, tstamp now, struct acts *out)
{
    unsigned begun = 0;

    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        struct dark_own_addr *o = d->own[i];
        if (o == NULL) {
            continue;
        }
        if (o->state == DARK_OWN_PUBLISHING && (o->change_at <= now || d->clock_set)) {
            places_review(d, o, now);
            if (d->clock_set) {
                resume(d, o, now);
            }
            if (o->keys.kind == DARK_HIDDEN) {
                dark_hidden_review(d, o, now);
            }
            hurry(d, o, now);
        }
        begun += own_tick(d, i, now, DARK_ROUNDS_MAX - begun, out);
    }
    d->clock_set = false;
}

tstamp dark_own_deadline(const struct dark *d)
{
    tstamp at = TSTAMP_NEVER;

    if (d->clock_set) {
        return 0;
    }
    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        const struct dark_own_addr *o = d->own[i];
        for (size_t ix = 0; o != NULL && ix < DARK_PLACES; ix++) {
            const struct dark_series *s = &o->s[ix];
            at = tstamp_min(at, s->step == DARK_REST ? s->round_at : s->ask_due);
        }
        at = o == NULL ? at : tstamp_min(at, o->change_at);
    }
    return at;
}
