/*
 * hidden.c - records of hidden services: what they say, and when they are told anew (SPEC: dark D-36, D-37).
 *
 * Points are replaced every few hours, and stay for a while where they were: such a change shows nowhere.  A record is
 * made off its schedule only when hardly any of the points that it names is left.
 */
#include "core/dark/dark_impl.h"

#include "base/wr.h"
#include "crypto/hash.h"
#include "wire/relay_desc.h"

#include <string.h>

#define ENOUGH 2 /* points with which a record is good */
#define PAUSE_THINLY (600 * NS_PER_S)
#define PAUSE_NOWHERE (60 * NS_PER_S)

/* --- rules ---------------------------------------------------------------------------------- */

static const struct dark_period_keys *keys_of(const struct dark_service *s, uint64_t period)
{
    for (uint32_t i = 0; i < s->n_keys; i++) {
        if (s->keys[i].period == period) {
            return &s->keys[i];
        }
    }
    return NULL;
}

static bool stands(const struct dark_service *s, const uint8_t intro_key[32])
{
    for (uint32_t i = 0; i < s->n_intros; i++) {
        if (memcmp(s->intro[i].key, intro_key, 32) == 0) {
            return true;
        }
    }
    for (uint32_t i = 0; i < s->n_old; i++) {
        if (memcmp(s->old[i], intro_key, 32) == 0) {
            return true;
        }
    }
    return false;
}

static bool same_work(const struct dark_pow *a, const struct dark_pow *b)
{
    return a->effort == b->effort &&
           (a->effort == 0 ||
            (a->expires == b->expires && memcmp(a->seed, b->seed, sizeof a->seed) == 0));
}

enum dark_leads dark_leads(const struct dark_named *record, const struct dark_service *s,
                           const uint8_t clients[32], uint64_t period)
{
    const struct dark_period_keys *keys = keys_of(s, period);
    uint8_t key_id[8];
    uint32_t left = 0;

    if (keys == NULL) {
        return DARK_LEADS; /* a better one cannot be made */
    }
    onion_key_id(key_id, keys->x, keys->k);
    for (uint32_t i = 0; i < record->n; i++) {
        left += stands(s, record->intro[i]) ? 1 : 0;
    }
    bool same_readers = memcmp(clients, record->clients, sizeof record->clients) == 0;
    if (left == 0 || !same_readers || memcmp(key_id, record->key_id, sizeof key_id) != 0) {
        return DARK_LEADS_NOWHERE;
    }
    bool thinly = left < ENOUGH && left < s->n_intros;
    return thinly || !same_work(&record->pow, &s->pow) ? DARK_LEADS_THINLY : DARK_LEADS;
}

uint64_t dark_off_schedule_pause(enum dark_leads why)
{
    return why == DARK_LEADS_NOWHERE ? PAUSE_NOWHERE : PAUSE_THINLY;
}

/* --- what records say ----------------------------------------------------------------------- */

qudag_err dark_service_at(struct dark_hidden *out, const struct dark_service *s, uint64_t period)
{
    const struct dark_period_keys *keys = keys_of(s, period);

    memset(out, 0, sizeof *out);
    if (keys == NULL) {
        return QUDAG_ENOTFOUND;
    }
    memcpy(out->x, keys->x, sizeof out->x);
    memcpy(out->k, keys->k, sizeof out->k);
    onion_key_id(out->key_id, out->x, out->k);
    if (s->pow.effort != 0) {
        out->pow = s->pow;
    }
    out->n_intros = (uint8_t)s->n_intros;
    memcpy(out->intro, s->intro, s->n_intros * sizeof s->intro[0]);
    return QUDAG_OK;
}

bool dark_service_sound(const struct dark_service *s)
{
    struct dark_target t;

    if (s->n_intros < 1 || s->n_intros > DARK_INTROS_MAX || s->n_keys < 1 ||
        s->n_keys > DARK_KEYS_MAX || s->n_old > DARK_OLD_MAX) {
        return false;
    }
    memset(&t, 0, sizeof t);
    t.kind = DARK_HIDDEN;
    return dark_service_at(&t.hidden, s, s->keys[0].period) == QUDAG_OK && dark_target_sound(&t);
}

void dark_named_set(struct dark_named *n, const struct dark_hidden *h,
                    const struct dark_clients *clients)
{
    *n = (struct dark_named){.pow = h->pow, .n = h->n_intros};
    memcpy(n->key_id, h->key_id, sizeof n->key_id);
    dark_clients_id(n->clients, clients);
    for (uint8_t i = 0; i < h->n_intros; i++) {
        memcpy(n->intro[i], h->intro[i].key, sizeof n->intro[i]);
    }
}

void dark_service_hash(uint8_t out[32], const struct dark_service *s)
{
    uint8_t b[1 + DARK_INTROS_MAX * 32 + DARK_KEYS_MAX * 8];
    struct wr w = wr_init(b, sizeof b);

    wr_u8(&w, (uint8_t)s->n_intros);
    for (uint32_t i = 0; i < s->n_intros; i++) {
        wr_bytes(&w, s->intro[i].key, sizeof s->intro[i].key);
    }
    for (uint32_t i = 0; i < s->n_keys; i++) {
        uint8_t key_id[8];
        onion_key_id(key_id, s->keys[i].x, s->keys[i].k);
        wr_bytes(&w, key_id, sizeof key_id);
    }
    blake3_derive(out, 32, "qudag dark service v1", wr_done(&w));
}

/* --- when ----------------------------------------------------------------------------------- */

void dark_hurried_draw(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    for (size_t i = 0; i < ARRAY_LEN(o->hurried) && now >= o->hurried_until; i++) {
        o->hurried[i] = (uint8_t)rng_below(&d->cfg.rng, DARK_REPLICAS);
    }
    o->hurried_until = tstamp_after(now, DARK_HURRY_HOLD);
}

uint8_t dark_hurried(const struct dark_own_addr *o, uint64_t period)
{
    return o->hurried[period % ARRAY_LEN(o->hurried)];
}

/* When place |ix| tells it; TSTAMP_NEVER: on schedule. */
static tstamp told_at(const struct dark *d, const struct dark_own_addr *o, size_t ix,
                      enum dark_leads why, tstamp now)
{
    const struct dark_series *s = &o->s[ix];
    const struct dark_place *at = &o->keys.place[ix].at;
    walltime wall = wall_now(&d->cfg.clock, now);
    bool first = at->replica == dark_hurried(o, at->period);

    if (!first && why == DARK_LEADS_THINLY) {
        return TSTAMP_NEVER;
    }
    tstamp rested = s->begun == 0 ? 0 : tstamp_after(s->begun, dark_off_schedule_pause(why));
    tstamp told = now;
    if (at->period > dark_period(wall)) { /* nobody asks for it yet */
        told = tstamp_after(now, dark_first_wait(at->period, wall, &d->cfg.rng) * NS_PER_S);
    } else if (!first) {
        told = tstamp_after(now, dark_retry_wait(0, false, &d->cfg.rng));
    }
    return rested > told ? rested : told;
}

void dark_hidden_review(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    walltime wall = wall_now(&d->cfg.clock, now);
    uint8_t clients[32];

    dark_clients_id(clients, &o->keys.clients);
    for (size_t i = 0; i < DARK_PLACES; i++) {
        struct dark_series *s = &o->s[i];
        uint64_t period = o->keys.place[i].at.period;
        if (s->step != DARK_REST || s->until <= wall || period < dark_period(wall)) {
            continue; /* what is under way is looked at when it is stored */
        }
        enum dark_leads leads = dark_leads(&s->named, &o->hidden, clients, period);
        if (leads <= s->off) {
            continue; /* seen to before */
        }
        dark_hurried_draw(d, o, now);
        s->round_at = tstamp_min(s->round_at, told_at(d, o, i, leads, now));
        s->until = leads == DARK_LEADS_NOWHERE ? 0 : s->until;
        s->off = leads;
    }
}
