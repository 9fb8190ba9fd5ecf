/* isolation.c - which streams may share a circuit, and for how long a circuit is used. */
#include "node/isolation.h"

#include "crypto/hash.h"

#define JITTER_PART 8

uint64_t node_isolation_user(const uint8_t *key, size_t len)
{
    uint64_t user = 0;

    if (len > 0) {
        blake3_derive((uint8_t *)&user, sizeof(user), "qudag dark user v1",
                      (struct slice){key, len});
    }
    return user;
}

struct node_life_times node_life_unused(void)
{
    return (struct node_life_times){TSTAMP_NEVER, TSTAMP_NEVER, TSTAMP_NEVER, 0};
}

struct node_life_times node_life_begin(tstamp now, const struct rng *rng)
{
    const uint64_t life[] = {NODE_LIFE_DIRTY_AT, NODE_LIFE_OLD_AT, NODE_LIFE_OVER_AT};
    tstamp at[ARRAY_LEN(life)];

    for (size_t i = 0; i < ARRAY_LEN(life); i++) {
        at[i] = tstamp_after(now, life[i] - rng_u64(rng) % (life[i] / JITTER_PART + 1));
    }
    uint64_t quiet = NODE_QUIET_MIN + rng_u64(rng) % (NODE_QUIET_MAX - NODE_QUIET_MIN + 1);
    return (struct node_life_times){at[0], at[1], at[2], quiet};
}

enum node_life node_life_at(const struct node_life_times *t, tstamp now)
{
    if (now >= t->over) {
        return NODE_LIFE_OVER;
    }
    if (now >= t->old) {
        return NODE_LIFE_OLD;
    }
    return now >= t->dirty ? NODE_LIFE_DIRTY : NODE_LIFE_CLEAN;
}

tstamp node_life_next(const struct node_life_times *t, tstamp now)
{
    const tstamp at[] = {t->dirty, t->old, t->over};

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        if (now < at[i]) {
            return at[i];
        }
    }
    return TSTAMP_NEVER;
}

tstamp node_life_sign_at(const struct node_life_times *t, uint32_t streams, tstamp active_at)
{
    bool used = t->dirty != TSTAMP_NEVER;

    return used && streams > 0 ? tstamp_after(active_at, t->quiet) : TSTAMP_NEVER;
}

bool node_isolation_may_carry(const struct node_carrier *c, const struct dark_addr *to,
                              const struct node_isolation *key)
{
    return c->to_service && !c->given_up && c->life == NODE_LIFE_CLEAN &&
           memcmp(&c->to, to, sizeof(*to)) == 0 && node_isolation_eq(&c->key, key);
}
