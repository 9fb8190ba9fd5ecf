/*
 * cover.c - lookups that nobody asked for, so that a lookup does not show that somebody looks something up.
 *
 *   a Poisson clock of its own ─▶ fewer than DARK_POOL_MIN indexes, or heads ─▶ a relay is asked for one ─▶ pool
 *      (no real lookup moves it)  └▶ tails ─▶ an index of the pool, drawn, is looked up, and used up
 *
 * Whoever plants an index where one node alone finds it, and watches who looks it up, learns that this node did.  So
 * no index comes from what this node stores or was asked for: anybody can send it that.  It comes from relays at the
 * ends of circuits, which do not know whom they tell: one of each at most, not looked up before indexes of others
 * wait with it, never through the relay that told it, and once only.  Both questions are lookups through circuits
 * like any other to all who carry them.
 */
#include "core/dark/cover.h"

#include "base/assert.h"

#include <string.h>

#define HOUR_S 3600u
#define WAIT_MAX_S (24 * HOUR_S)

void dark_cover_init(struct dark_cover *c, uint32_t per_hour)
{
    *c = (struct dark_cover){.per_hour = per_hour < DARK_COVER_MAX ? per_hour : DARK_COVER_MAX,
                             .next = per_hour > 0 ? 0 : TSTAMP_NEVER};
}

uint64_t dark_cover_wait(uint32_t per_hour, const struct rng *rng)
{
    uint64_t s = 0;

    while (s < WAIT_MAX_S && rng_below(rng, HOUR_S) >= per_hour) {
        s++;
    }
    return s * NS_PER_S + rng_u64(rng) % NS_PER_S;
}

bool dark_cover_takes(const struct dark_cover *c, const struct dark_sample *s)
{
    uint32_t used = c->n_used < DARK_USED_MAX ? c->n_used : DARK_USED_MAX;

    for (uint32_t i = 0; i < c->n; i++) {
        if (peer_id_eq(&c->pool[i].from, &s->from) ||
            memcmp(c->pool[i].key, s->key, sizeof s->key) == 0) {
            return false;
        }
    }
    for (uint32_t i = 0; i < used; i++) {
        if (memcmp(c->used[i], s->key, sizeof s->key) == 0) {
            return false;
        }
    }
    return s->from.len > 0 && c->n < DARK_POOL_MAX;
}

static void pool_remove(struct dark_cover *c, uint32_t i)
{
    ASSERT(i < c->n);
    c->pool[i] = c->pool[--c->n];
}

/* What has waited for too long may be no record's index any more: only a real one is asked for. */
static void pool_expire(struct dark_cover *c, tstamp now)
{
    for (uint32_t i = c->n; i-- > 0;) {
        if (now - c->pool[i].at > DARK_POOL_LIFE) {
            pool_remove(c, i);
        }
    }
}

/* One of those that wait, drawn; it is used up. */
static void pool_draw(struct dark_cover *c, const struct rng *rng, struct dark_cover_ask *ask)
{
    uint32_t i = rng_below(rng, c->n);

    *ask = (struct dark_cover_ask){.apart = c->pool[i].from};
    memcpy(ask->key, c->pool[i].key, DARK_KEY_LEN);
    memcpy(c->used[c->n_used++ % DARK_USED_MAX], ask->key, DARK_KEY_LEN);
    pool_remove(c, i);
}

bool dark_cover_tick(struct dark_cover *c, tstamp now, const struct rng *rng,
                     struct dark_cover_ask *ask)
{
    if (c->next > now) {
        return false;
    }
    c->next = tstamp_after(now, dark_cover_wait(c->per_hour, rng));
    if (!c->began) {
        c->began = true;
        return false;
    }
    pool_expire(c, now);
    bool sample = rng_below(rng, 2) == 0;
    if (c->n < DARK_POOL_MIN || (sample && c->n < DARK_POOL_MAX)) {
        *ask = (struct dark_cover_ask){.sample = true};
    } else {
        pool_draw(c, rng, ask);
    }
    return true;
}

bool dark_cover_get_done(struct dark_cover *c, const struct dark_answer *ans, tstamp now)
{
    struct dark_sample s = {.from = ans->exit, .at = now};

    if (c->cookie == 0 || c->cookie != ans->cookie) {
        return false;
    }
    c->cookie = 0;
    if (ans->err == QUDAG_OK && ans->record.len == DHT_DARK_INDEX_LEN) {
        memcpy(s.key, DHT_DARK_PREFIX, sizeof(DHT_DARK_PREFIX) - 1);
        memcpy(s.key + sizeof(DHT_DARK_PREFIX) - 1, ans->record.base, DHT_DARK_INDEX_LEN);
        if (dark_cover_takes(c, &s)) {
            c->pool[c->n++] = s;
        }
    }
    return true;
}
