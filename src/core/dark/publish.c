/*
 * publish.c - our own addresses: when their records are made, and what became of them.
 *
 *              dark_publish                 saved, both puts answered
 *   IDLE ────────────────▶ PUBLISHING: round ─────────────▶ wait ── round_at ──▶ next round
 *     │                         │                             after 6 to 8 h, or just after the live
 *     └──── dark_forget ────────┴──▶ FORGETTING: round        pair changed; after a failure 30 s,
 *                                      │ stored, or 3 failures    doubling to 1 h
 *                                      ▼
 *                                    keys wiped
 *
 * A round:  number ─▶ DARK_UP_SAVE ─ dark_saved ─▶ make a record for each live period ─▶ DARK_UP_PUT each
 *                                                                              ─ dark_put_done, twice
 * No record exists before its number is on disk.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <string.h>

#define CHANGE_JITTER (600 * NS_PER_S)  /* after the live pair changed */
#define FRESH_MIN (6 * 3600 * NS_PER_S) /* a record is renewed between this age */
#define FRESH_VAR (2 * 3600 * NS_PER_S) /* and this much more */

/* A record is dated back by up to a step; it must still be renewed before 3/4 of its life. */
_Static_assert((FRESH_MIN + FRESH_VAR) / NS_PER_S + DARK_STEP <= DARK_LIFE / 4 * 3,
               "renewal before three quarters of the life");
_Static_assert(2 * (DARK_KEY_LEN + DARK_RECORD_LEN + 2 * sizeof(struct dark_wanted)) <
                   ACTS_BYTES_ROOM,
               "room of dark_saved");
_Static_assert(DARK_ROUNDS_MAX + DARK_ADDRS_MAX + DARK_WAITERS_MAX < ACTS_ROOM,
               "room of dark_tick");

static struct dark_own_addr *own_find(const struct dark *d, const struct dark_addr *a)
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

    if (k->addr.network != (uint8_t)d->cfg.network) {
        return QUDAG_EINVAL;
    }
    if (own_find(d, &k->addr) != NULL) {
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
    o->ask_due = TSTAMP_NEVER;
    o->round_at = TSTAMP_NEVER;
    d->own[ix] = o;
    wipe(k, sizeof *k);
    return QUDAG_OK;
}

const struct dark_keys *dark_own_get(const struct dark *d, const struct dark_addr *a)
{
    const struct dark_own_addr *o = own_find(d, a);

    return o == NULL || o->state == DARK_OWN_FORGETTING ? NULL : &o->keys;
}

bool dark_own_next(const struct dark *d, size_t *it, const struct dark_keys **k, bool *published,
                   walltime *until)
{
    while (*it < DARK_ADDRS_MAX) {
        const struct dark_own_addr *o = d->own[(*it)++];
        if (o != NULL && o->state != DARK_OWN_FORGETTING) {
            *k = &o->keys;
            *published = o->published;
            *until = o->until;
            return true;
        }
    }
    return false;
}

/* --- rounds --------------------------------------------------------------------------------- */

static bool asking(const struct dark_own_addr *o)
{
    return o->saving != 0 || (o->put[0].cookie != 0 && !o->put[0].done) ||
           (o->put[1].cookie != 0 && !o->put[1].done);
}

/* Answers to what was asked so far count no longer. */
static void asks_drop(struct dark_own_addr *o)
{
    o->saving = 0;
    o->put[0] = (struct dark_ask){.cookie = 0};
    o->put[1] = (struct dark_ask){.cookie = 0};
}

static tstamp retry_at(const struct dark *d, const struct dark_own_addr *o, tstamp now)
{
    uint32_t doublings = o->failures > 8 ? 8 : o->failures - (o->failures > 0);
    uint64_t wait = DARK_RETRY_MIN << doublings;

    wait = wait > DARK_RETRY_MAX ? DARK_RETRY_MAX : wait;
    return tstamp_after(now, rng_jitter(&d->cfg.rng, wait, 200));
}

static uint64_t some_ns(const struct dark *d, uint64_t most)
{
    return rng_u64(&d->cfg.rng) % most;
}

static tstamp renewal_at(const struct dark *d, const struct dark_own_addr *o, tstamp now)
{
    walltime wall = wall_now(&d->cfg.clock, now);
    uint64_t to_change = (uint64_t)(dark_live_until(&o->keys.addr, wall) - wall) * NS_PER_S;
    tstamp change = tstamp_after(now, to_change + NS_PER_S + some_ns(d, CHANGE_JITTER));
    tstamp fresh = tstamp_after(now, FRESH_MIN + some_ns(d, FRESH_VAR));

    return tstamp_min(change, fresh);
}

static void report(const struct dark_own_addr *o, qudag_err err, uint32_t stored, struct acts *out)
{
    struct act *up = acts_up(out, DARK_UP_PUBLISHED);

    up->cookie = o->cookie;
    up->err = err;
    up->n = stored;
}

static qudag_err put_result(const struct dark_ask *put)
{
    if (put->err != QUDAG_OK) {
        return put->err;
    }
    return put->stored == 0 ? QUDAG_EUNREACHABLE : QUDAG_OK;
}

/*
 * The round is over: both puts were answered, or with |err| there are none.  The record of the
 * current period decides whether the address can be found; when only the other one failed, it is
 * tried again soon without calling that an error.  |o| may be gone afterwards.
 */
static void round_end(struct dark *d, struct dark_own_addr *o, qudag_err err, tstamp now,
                      struct acts *out)
{
    qudag_err other = err == QUDAG_OK ? put_result(&o->put[1]) : err;
    uint32_t stored = 0;

    err = err == QUDAG_OK ? put_result(&o->put[0]) : err;
    bool whole = err == QUDAG_OK && other == QUDAG_OK;
    for (int i = 0; i < 2; i++) {
        stored += o->put[i].done && o->put[i].err == QUDAG_OK ? o->put[i].stored : 0;
    }
    asks_drop(o);
    o->ask_due = TSTAMP_NEVER;
    o->failures = whole ? 0 : o->failures + 1;
    if (o->state == DARK_OWN_FORGETTING && (whole || o->failures >= DARK_FORGET_TRIES)) {
        report(o, err == QUDAG_OK ? other : err, stored, out);
        own_drop(d, o);
        return;
    }
    o->round_at = whole ? renewal_at(d, o, now) : retry_at(d, o, now);
    if (o->state == DARK_OWN_PUBLISHING) {
        o->published = err == QUDAG_OK;
        o->until = err == QUDAG_OK ? o->expires : o->until;
        report(o, err, stored, out);
    }
}

/* Asks the owner to store the record of one period, |i|. */
static qudag_err put_one(struct dark *d, struct dark_own_addr *o, int i, uint64_t period,
                         const struct dark_target *t, struct acts *out)
{
    uint8_t key[DARK_KEY_LEN], record[DARK_RECORD_LEN];

    qudag_err err = dark_dht_key(key, &o->keys.addr, period);
    if (err == QUDAG_OK) {
        err = dark_record_make(record, &o->keys, t, period, &d->cfg.rng);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    struct dark_wanted wanted = {.key = acts_copy(out, key, sizeof key),
                                 .record = acts_copy(out, record, sizeof record)};
    if (wanted.key.base == NULL || wanted.record.base == NULL) {
        return QUDAG_ELIMIT;
    }
    struct act *up = acts_up_copy(out, DARK_UP_PUT, &wanted, sizeof wanted);
    if (up == NULL) {
        return QUDAG_ELIMIT;
    }
    o->put[i] = (struct dark_ask){.cookie = d->next_cookie++};
    up->cookie = o->put[i].cookie;
    return QUDAG_OK;
}

/* A record for each live period, numbered with what was saved. */
static qudag_err put_both(struct dark *d, struct dark_own_addr *o, tstamp now, struct acts *out)
{
    walltime wall = wall_now(&d->cfg.clock, now);
    struct dark_target t = {.kind = DARK_WITHDRAWN, .seq = o->keys.seq};
    uint64_t live[2];
    qudag_err err = wall < DARK_PERIOD ? QUDAG_EINVAL : QUDAG_OK;

    if (o->state == DARK_OWN_PUBLISHING) {
        t.kind = DARK_DIRECT;
        t.hop = o->hop;
    }
    dark_live(live, &o->keys.addr, wall);
    t.not_before = wall - wall % DARK_STEP;
    for (int i = 0; i < 2 && err == QUDAG_OK; i++) {
        walltime end = dark_period_end(&o->keys.addr, live[i]);
        t.expires = t.not_before + DARK_LIFE;
        t.expires = t.expires > end ? end : t.expires;
        o->expires = i == 0 ? t.expires : o->expires;
        err = put_one(d, o, i, live[i], &t, out);
    }
    return err;
}

static void round_start(struct dark *d, struct dark_own_addr *o, tstamp now, struct acts *out)
{
    ASSERT(o->state != DARK_OWN_IDLE);
    ASSERT(!asking(o));
    o->keys.seq = dark_seq_next(&o->keys.addr, o->keys.seq, wall_now(&d->cfg.clock, now));
    o->saving = d->next_cookie++;
    struct act *up = acts_up(out, DARK_UP_SAVE);
    up->cookie = o->saving;
    up->ptr = &o->keys;
    o->round_at = TSTAMP_NEVER;
    o->ask_due = tstamp_after(now, DARK_ASK_TIMEOUT);
}

void dark_saved(struct dark *d, uint64_t cookie, qudag_err err, tstamp now, struct acts *out)
{
    dark_reap(d, out);
    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        struct dark_own_addr *o = d->own[i];
        if (o != NULL && o->saving == cookie && cookie != 0) {
            o->saving = 0;
            err = err == QUDAG_OK ? put_both(d, o, now, out) : err;
            if (err != QUDAG_OK) {
                /* A put that already left is not waited for: its answer finds no cookie. */
                round_end(d, o, err, now, out);
            }
            return;
        }
    }
}

qudag_err dark_publish(struct dark *d, uint64_t cookie, const struct dark_addr *a,
                       const struct onion_hop *self, tstamp now, struct acts *out)
{
    dark_reap(d, out);
    struct dark_own_addr *o = own_find(d, a);

    if (o == NULL || o->state == DARK_OWN_FORGETTING) {
        return QUDAG_ENOTFOUND;
    }
    if (self->peer.len == 0 || self->n_addrs > ONION_ADDRS_MAX) {
        return QUDAG_EINVAL;
    }
    o->hop = *self;
    o->hop.service = true;
    memcpy(o->hop.key_id, o->keys.key_id, sizeof o->hop.key_id);
    memcpy(o->hop.x, o->keys.onion_x, sizeof o->hop.x);
    memcpy(o->hop.k, o->keys.onion_k, sizeof o->hop.k);
    o->state = DARK_OWN_PUBLISHING;
    o->cookie = cookie;
    o->failures = 0;
    asks_drop(o);
    round_start(d, o, now, out);
    return QUDAG_OK;
}

qudag_err dark_forget(struct dark *d, uint64_t cookie, const struct dark_addr *a, tstamp now,
                      struct acts *out)
{
    dark_reap(d, out);
    struct dark_own_addr *o = own_find(d, a);

    if (o == NULL || o->state == DARK_OWN_FORGETTING) {
        return QUDAG_ENOTFOUND;
    }
    o->state = DARK_OWN_FORGETTING;
    o->cookie = cookie;
    o->failures = 0;
    o->published = false;
    asks_drop(o);
    wipe(&o->hop, sizeof o->hop);
    if (o->keys.seq == 0) {
        /* No record was ever made, so there is nothing to withdraw. */
        report(o, QUDAG_OK, 0, out);
        own_drop(d, o);
        return QUDAG_OK;
    }
    round_start(d, o, now, out);
    return QUDAG_OK;
}

void dark_put_done(struct dark *d, uint64_t cookie, qudag_err err, uint32_t stored, tstamp now,
                   struct acts *out)
{
    dark_reap(d, out);
    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        struct dark_own_addr *o = d->own[i];
        if (o != NULL && dark_ask_done(o->put, cookie, err, stored)) {
            if (!asking(o)) {
                round_end(d, o, QUDAG_OK, now, out);
            }
            return;
        }
    }
}

/* --- time ----------------------------------------------------------------------------------- */

static void asks_expire(struct dark *d, struct dark_own_addr *o, tstamp now, struct acts *out)
{
    for (int i = 0; i < 2; i++) {
        if (!o->put[i].done) {
            o->put[i].done = true;
            o->put[i].err = QUDAG_ETIMEOUT;
        }
    }
    round_end(d, o, QUDAG_OK, now, out); /* both puts timed out when the save did */
}

void dark_own_tick(struct dark *d, tstamp now, struct acts *out)
{
    unsigned started = 0;

    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        struct dark_own_addr *o = d->own[i];
        if (o != NULL && asking(o) && o->ask_due <= now) {
            asks_expire(d, o, now, out);
            continue; /* it may be gone */
        }
        if (o != NULL && o->round_at <= now && started < DARK_ROUNDS_MAX) {
            started++;
            round_start(d, o, now, out);
        }
    }
}

tstamp dark_own_deadline(const struct dark *d)
{
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < DARK_ADDRS_MAX; i++) {
        const struct dark_own_addr *o = d->own[i];
        if (o != NULL) {
            at = tstamp_min(at, tstamp_min(o->round_at, asking(o) ? o->ask_due : TSTAMP_NEVER));
        }
    }
    return at;
}
