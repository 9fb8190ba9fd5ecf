/*
 * rotation.c - when the relay's onion keys are replaced.
 *
 *   made ─ 7 days ─▶ a new one is made, saved and named by a new descriptor; the old one still opens circuits
 *                    ─ 6 days: nobody uses a descriptor that names it ─▶ wiped, and its file removed
 *
 * How old a key is, the clock decides that nobody sets; the calendar only of keys that were read from disk, and only
 * once peers have agreed with it for an hour (node_clock_trusted): set forward by days it must not wipe what clients
 * use.
 *
 * What was recorded of a circuit's first cell stays closed once the key is gone (the AEAD of CREATE; cell keys have
 * ephemeral parts besides), and a stolen key stands for the relay for days only.
 *
 * Dark addresses keep the keys in their records: a record of the direct kind names its node, so that new onion keys
 * would hide nothing; the hidden kind has keys of its own for each period.
 */
#include "node/internal.h"

_Static_assert(NODE_ONION_KEY_OVERLAP >= RELAY_DESC_LIFE_MAX + RELAYS_STALE_DAYS * 86400 + 3600,
               "a client that was away uses what it knows of its guards");

#define CHECK_EVERY (600 * NS_PER_S)

static void drop(struct node *n, unsigned slot)
{
    if (n->onion_keys.slot[slot].has) {
        node_keys_drop_relay(n, slot);
        node_saved_forget_onion_key(n, slot);
    }
}

/* Without room on disk the current one stays in use: better old than another after every restart. */
static qudag_err replace(struct node *n, bool drop_current)
{
    struct node_onion_keys *o = &n->onion_keys;
    unsigned free_slot = n->has_onion_key ? 1u - o->current : 0, former = o->current;
    bool had = n->has_onion_key;
    walltime wall = node_wall(n, n->now);

    drop(n, free_slot);
    if (had && o->slot[former].made >= wall) {
        o->slot[former].made = 0; /* whatever it says: the new one is the newer */
    }
    qudag_err err = node_saved_make_onion_key(n, free_slot, wall);
    if (err != QUDAG_OK) {
        return err;
    }
    o->slot[free_slot].made_here = true;
    if (had) {
        log_plain(&n->cfg.log, LOG_INFO, "relay.onion_key_replaced");
    }
    if (had && drop_current) {
        drop(n, former);
    }
    n->news |= NODE_NEWS_KEYS;
    return QUDAG_OK;
}

static struct node_key_age age_of(const struct node *n, unsigned slot)
{
    const struct node_onion_keys *o = &n->onion_keys;

    return (struct node_key_age){.wall = node_wall(n, n->now) - o->slot[slot].made,
                                 .lived = (n->now - o->slot[slot].known) / NS_PER_S,
                                 .made_here = o->slot[slot].made_here};
}

qudag_err node_rotation_run(struct node *n)
{
    struct node_onion_keys *o = &n->onion_keys;
    qudag_err err = QUDAG_OK;

    if (!n->cfg.relay) {
        return QUDAG_OK;
    }
    o->check_at = tstamp_after(n->now, CHECK_EVERY);
    if (!n->has_onion_key) {
        return replace(n, false);
    }
    unsigned old = 1u - o->current;
    struct node_key_age current_age = age_of(n, o->current), old_age = age_of(n, old);
    switch (node_rule_keys_due(&current_age, o->slot[old].has ? &old_age : NULL,
                               node_clock_trusted(n))) {
    case NODE_KEYS_DROP_OLD:
        drop(n, old);
        break;
    case NODE_KEYS_REPLACE:
        err = replace(n, false);
        break;
    case NODE_KEYS_REPLACE_ALL:
        err = replace(n, true);
        break;
    case NODE_KEYS_FINE:
        break;
    }
    return n->has_onion_key ? QUDAG_OK : err;
}

bool node_rotation_may(bool old, bool at_once)
{
    return !old || at_once;
}

qudag_err node_rotation_asked(struct node *n, bool at_once)
{
    const struct node_onion_keys *o = &n->onion_keys;

    if (!n->cfg.relay || !n->has_onion_key) {
        return QUDAG_EUNSUPPORTED;
    }
    if (!node_rotation_may(o->slot[1u - o->current].has, at_once)) {
        return QUDAG_ESTATE;
    }
    return replace(n, at_once);
}

const struct node_onion_keys *node_rotation_keys(const struct node *n)
{
    return &n->onion_keys;
}

walltime node_rotation_until(const struct node *n, unsigned slot)
{
    const struct node_onion_keys *o = &n->onion_keys;

    return o->slot[o->current].made +
           (slot == o->current ? NODE_ONION_KEY_LIFE : NODE_ONION_KEY_OVERLAP);
}

/* ---- when ---- */

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)now;
    (void)out;

    n->onion_keys.check_at = tstamp_after(n->now, CHECK_EVERY);
    if (node_rotation_run(n) != QUDAG_OK) {
        log_plain(&n->cfg.log, LOG_ERROR, "relay.no_onion_key");
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;

    return n->onion_keys.check_at;
}

qudag_err node_rotation_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "onion keys", .instance = n, .ops = &ops};
    unsigned ix;

    n->onion_keys.check_at = TSTAMP_NEVER; /* until node_start() */
    return node_core_add(n, &core, NULL, &ix);
}
