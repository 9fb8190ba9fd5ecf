/*
 * periods.c - the handshake keys of a service: a pair for each period, the next one's ready before it begins.
 *
 * The file form, HIDDEN_SAVED_LEN bytes:
 *   magic 8 | address 66 | n 1 | n times { period 8 | x 32 | seed of k 64 } | zeros | BLAKE3 of all before 32
 */
#include "core/hidden/service_impl.h"

#include "base/assert.h"
#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"

#include <string.h>

#define MAGIC "qdhidks1"
#define ONE_LEN (8 + X25519_LEN + MLKEM768_SEED_LEN)
#define HASHED_LEN (HIDDEN_SAVED_LEN - BLAKE3_LEN)
#define RETRY NS_PER_S

_Static_assert(HIDDEN_SAVED_LEN == 8 + REND_ADDR_LEN + 1 + HIDDEN_PERIODS * ONE_LEN + BLAKE3_LEN,
               "the file form");

const struct rend_keys *hidden_periods_get(const struct hidden_service *s, uint64_t period)
{
    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        if (s->period[i].used && s->period[i].period == period) {
            return &s->period[i].keys;
        }
    }
    return NULL;
}

const struct rend_keys *hidden_periods_find(const struct hidden_service *s, const uint8_t key_id[8])
{
    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        if (s->period[i].used && memcmp(s->period[i].keys.key_id, key_id, 8) == 0) {
            return &s->period[i].keys;
        }
    }
    return NULL;
}

static void drop(struct hidden_own_period *p)
{
    if (p->used) {
        rend_keys_fini(&p->keys);
        p->used = false;
    }
}

void hidden_periods_wipe(struct hidden_service *s)
{
    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        drop(&s->period[i]);
    }
}

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* A place for one more: a free one, or that of the period which is farthest from now. */
static struct hidden_own_period *make_room(struct hidden_service *s)
{
    struct hidden_own_period *farthest = &s->period[0];

    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        struct hidden_own_period *p = &s->period[i];
        if (!p->used) {
            return p;
        }
        if (apart(p->period, s->period_now) > apart(farthest->period, s->period_now)) {
            farthest = p;
        }
    }
    drop(farthest); /* there is more room than for live ones */
    return farthest;
}

/* Keys for |period| if there are none.  |*made| is set when there are new ones. */
static qudag_err want(struct hidden_service *s, uint64_t period, bool *made)
{
    if (hidden_periods_get(s, period) != NULL) {
        return QUDAG_OK;
    }
    struct hidden_own_period *free_one = make_room(s);
    qudag_err err = rend_keys_make(&free_one->keys, &s->all->cfg.rng);
    free_one->used = err == QUDAG_OK;
    free_one->period = period;
    *made = *made || free_one->used;
    return err;
}

/* Seconds until keys are to be wiped or made. */
static uint64_t next_change(const struct hidden_service *s, walltime wall)
{
    walltime at = (walltime)((s->period_now + 1) * HIDDEN_PERIOD); /* the next period begins */

    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        walltime over = hidden_period_over_at(s->period[i].period);
        if (s->period[i].used && over > wall && over < at) {
            at = over;
        }
    }
    return (uint64_t)(at - wall);
}

void hidden_periods_settle(struct hidden_service *s, tstamp now, struct acts *out)
{
    walltime wall = wall_now(&s->all->cfg.clock, now);
    uint64_t this = hidden_period(wall);
    bool made = false, changed = s->period_now != this;
    qudag_err err = QUDAG_OK;

    if (now < s->keys_due) {
        return;
    }
    s->period_now = this;
    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        struct hidden_own_period *p = &s->period[i];
        if (p->used && s->all->trusted &&
            (wall >= hidden_period_over_at(p->period) || p->period > this + 1)) {
            drop(p);
        }
    }
    for (uint64_t back = 0; back < 3 && back <= this + 1 && err == QUDAG_OK; back++) {
        if (hidden_period_is_live(this + 1 - back, wall)) {
            err = want(s, this + 1 - back, &made);
        }
    }
    s->has_keys = err == QUDAG_OK;
    s->keys_due = tstamp_after(now, err == QUDAG_OK ? next_change(s, wall) * NS_PER_S : RETRY);
    if (made) {
        hidden_report(s, HIDDEN_SERVE_SAVE, 0, out);
    }
    if (made || changed) {
        hidden_target_touch(s, now);
    }
}

static void file_hash(uint8_t out[BLAKE3_LEN], const uint8_t bytes[HASHED_LEN])
{
    blake3_derive(out, BLAKE3_LEN, "qudag hidden keys file v1", (struct slice){bytes, HASHED_LEN});
}

void hidden_periods_save(const struct hidden_service *s, uint8_t out[HIDDEN_SAVED_LEN])
{
    struct wr w = wr_init(out, HASHED_LEN);
    uint8_t n = 0;

    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        n = (uint8_t)(n + (s->period[i].used ? 1 : 0));
    }
    wr_bytes(&w, MAGIC, 8);
    wr_bytes(&w, s->addr, sizeof s->addr);
    wr_u8(&w, n);
    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        const struct hidden_own_period *p = &s->period[i];
        if (p->used) {
            wr_u64(&w, p->period);
            wr_bytes(&w, p->keys.x_sk.b, sizeof p->keys.x_sk.b);
            wr_bytes(&w, p->keys.k_seed.seed, sizeof p->keys.k_seed.seed);
        }
    }
    wr_zero(&w, HASHED_LEN - w.len);
    ASSERT(wr_ok(&w));
    file_hash(out + HASHED_LEN, out);
}

/* Reads one, which is of no period that is there. */
static qudag_err load_one(struct hidden_service *s, struct hidden_own_period *p, struct rd *r)
{
    p->period = rd_u64(r);
    rd_copy(r, p->keys.x_sk.b, sizeof p->keys.x_sk.b);
    rd_copy(r, p->keys.k_seed.seed, sizeof p->keys.k_seed.seed);
    if (hidden_periods_get(s, p->period) != NULL) {
        wipe(&p->keys, sizeof p->keys);
        return QUDAG_EMALFORMED;
    }
    qudag_err err = rend_keys_load(&p->keys);
    p->used = err == QUDAG_OK;
    return err;
}

const uint8_t *hidden_saved_addr(struct slice saved)
{
    bool form = saved.len == HIDDEN_SAVED_LEN && memcmp(saved.base, MAGIC, 8) == 0;

    return form ? saved.base + 8 : NULL;
}

qudag_err hidden_periods_load(struct hidden_service *s, struct slice saved)
{
    uint8_t hash[BLAKE3_LEN];

    if (saved.len != HIDDEN_SAVED_LEN) {
        return QUDAG_EMALFORMED;
    }
    file_hash(hash, saved.base);
    struct rd r = rd_init((struct slice){saved.base, HASHED_LEN});
    struct slice magic = rd_bytes(&r, 8), addr = rd_bytes(&r, REND_ADDR_LEN);
    uint8_t n = rd_u8(&r);
    if (!ct_equal(hash, saved.base + HASHED_LEN, sizeof hash) || n > HIDDEN_PERIODS ||
        memcmp(magic.base, MAGIC, 8) != 0 || memcmp(addr.base, s->addr, addr.len) != 0) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = QUDAG_OK;
    for (size_t i = 0; i < n && err == QUDAG_OK; i++) {
        err = load_one(s, &s->period[i], &r);
    }
    if (err == QUDAG_OK && !ct_is_zero(r.p, r.left)) {
        err = QUDAG_EMALFORMED;
    }
    if (err != QUDAG_OK) {
        hidden_periods_wipe(s);
    }
    return err;
}
