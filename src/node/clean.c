/* clean.c - how many clean circuits wait, when one more is built, which is taken. */
#include "node/clean.h"

#define PAUSE_MIN (300 * NS_PER_MS)
#define PAUSE_MORE_MS 900
#define RETRY_MIN (5 * NS_PER_S)
#define RETRY_DOUBLINGS 8 /* about ten minutes */
#define SHARE 4           /* they and all others of ours: at most a quarter of all circuits */

uint32_t node_clean_wanted(const struct node_clean_view *v, enum node_clean_len len, tstamp now)
{
    tstamp used = v->used_at[len];
    bool lately = used != TSTAMP_NEVER && now < tstamp_after(used, NODE_CLEAN_IDLE_AT);
    uint32_t wanted = v->wanted < NODE_CLEAN_MAX ? v->wanted : NODE_CLEAN_MAX;

    return v->possible && lately ? wanted : 0;
}

enum node_clean_len node_clean_next(const struct node_clean_view *v, tstamp now)
{
    enum node_clean_len next = NODE_CLEAN_NONE;

    if (v->building || now < v->not_before || v->circuits >= v->circuits_max / SHARE) {
        return NODE_CLEAN_NONE;
    }
    for (enum node_clean_len len = NODE_CLEAN_SHORT; len < NODE_CLEAN_NONE; len++) {
        bool lacks = v->waiting[len] < node_clean_wanted(v, len, now);
        if (lacks && (next == NODE_CLEAN_NONE || v->waiting[len] < v->waiting[next])) {
            next = len;
        }
    }
    return next;
}

uint64_t node_clean_pause(uint32_t failures, const struct rng *rng)
{
    uint32_t doublings = failures < RETRY_DOUBLINGS ? failures : RETRY_DOUBLINGS;

    if (failures > 0) {
        return rng_jitter(rng, RETRY_MIN << (doublings - 1), 200);
    }
    return PAUSE_MIN + rng_below(rng, PAUSE_MORE_MS) * NS_PER_MS;
}

void node_clean_used(struct node_clean *c, enum node_clean_len len, tstamp now,
                     const struct rng *rng)
{
    tstamp next = tstamp_after(now, node_clean_pause(0, rng));

    c->used_at[len] = now;
    c->not_before = c->not_before > next ? c->not_before : next;
    c->look_at = tstamp_min(c->look_at, next);
}

bool node_clean_guard_warm(tstamp begun_at, const tstamp used_at[NODE_CLEAN_LENS], tstamp now)
{
    bool warm = now < tstamp_after(begun_at, NODE_CLEAN_IDLE_AT);

    for (size_t i = 0; i < NODE_CLEAN_LENS; i++) {
        warm = warm ||
               (used_at[i] != TSTAMP_NEVER && now < tstamp_after(used_at[i], NODE_CLEAN_IDLE_AT));
    }
    return warm;
}

uint64_t node_clean_life(const struct rng *rng)
{
    return NODE_CLEAN_LIFE_MIN + rng_u64(rng) % (NODE_CLEAN_LIFE_MAX - NODE_CLEAN_LIFE_MIN + 1);
}

bool node_clean_may_take(const struct node_clean_one *one, uint8_t hops, tstamp now)
{
    return one->built && one->hops + 1 == hops && now < one->leaves;
}

static bool have_one_in_common(const struct node_clean_path *a, const struct node_clean_path *b)
{
    for (size_t i = 1; i < a->n; i++) {
        for (size_t j = 1; j < b->n; j++) {
            if (peer_id_eq(&a->hop[i].peer, &b->hop[j].peer)) {
                return true;
            }
        }
    }
    return false;
}

bool node_clean_cover_all(const struct node_clean_path *path, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            if (!have_one_in_common(&path[i], &path[j])) {
                return true;
            }
        }
    }
    return false;
}

uint32_t node_clean_of_service(uint32_t setting)
{
    uint32_t most = setting < NODE_CLEAN_MAX ? setting : NODE_CLEAN_MAX;

    return most < 2 ? 0 : most;
}
