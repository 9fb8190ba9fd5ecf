/*
 * maintenance.c - refresh of buckets, checks of entries, expiry, rejoining, partition heal.
 *
 *   one entry at a time   silent for idle_check: checked; the more turn out dead, the sooner
 *   every minute          a bucket without a lookup for 10 min is refreshed; what has expired is removed
 *   after a bootstrap     a lookup in each part of a bucket without entries, one after the other
 *   table empty           bootstrap again with the seeds, after 30 s .. 10 min
 *   table empty           each second the departed contacts over the links that stand, without a dial
 *   departed contacts     one of those that left the table is asked again now and then: when it answers, a network
 *                         that had been cut in two is whole again, and our own neighbourhood is looked up
 */
#include "core/kad/kad_int.h"

#include <string.h>

#define CHECK_PAUSE (NS_PER_S / 2)
#define SIZE_AGE (120 * NS_PER_S) /* without a lookup that told */
#define HEAL_PAUSE (60 * NS_PER_S)
#define DEPARTED_PAUSE NS_PER_S /* while too much is being checked */
#define ALONE_PAUSE NS_PER_S

void kad_maintenance_init(struct kad *k, tstamp now)
{
    k->care.next = tstamp_after(now, rng_jitter(&k->env.rng, KAD_MAINTAIN, 100));
    k->care.next_check = k->care.next;
    k->care.fill = KAD_FILLED;
    k->care.rejoin_wait = KAD_REJOIN_MIN;
}

/* ---- partition heal ---- */

static void ask_departed(struct kad *k, tstamp now, struct acts *out)
{
    if (k->rpcs.n_checks >=
        KAD_CHECKS_MAX) { /* it could not be asked, which is no silence of its */
        k->routing.departed.next = tstamp_after(now, DEPARTED_PAUSE);
        return;
    }
    struct kad_contact *c = kad_departed_draw(&k->routing.departed, &k->env.rng, now);

    kad_rpc_check(&k->rpcs, c, now, out);
    kad_contact_unref(c);
}

/* Whether we know nobody, but somebody who left the table. */
static bool alone(const struct kad *k)
{
    return k->routing.table.n == 0 && k->routing.departed.n > 0;
}

/*
 * All have left the table, as when our own network was away: whoever has a link to us is asked whether it
 * answers again.  Nobody is dialled for it: a server would dial clients that are gone.
 */
static void ask_linked(struct kad *k, tstamp now, struct acts *out)
{
    struct kad_departed *d = &k->routing.departed;
    size_t first = rng_below(&k->env.rng, (uint32_t)d->n);

    k->care.next_alone = tstamp_after(now, ALONE_PAUSE);
    for (size_t i = 0; i < d->n; i++) { /* of which as many are asked as there is room for */
        kad_rpc_check_linked(&k->rpcs, d->c[(first + i) % d->n], now, out);
    }
}

static void heal(struct kad *k, tstamp now, struct acts *out)
{
    struct kad_request_args args = {
        .op = KAD_OP_BOOTSTRAP, .internal = true, .key = peer_id_slice(&k->env.self)};

    k->care.next_heal = tstamp_after(now, HEAL_PAUSE);
    k->routing.departed.heal =
        kad_request_start(k, &args, now, out) != QUDAG_OK; /* then again after the pause */
    if (k->routing.departed.heal) {
        log_plain(&k->env.log, LOG_DEBUG, "kad.partition_heal.postponed");
    }
}

/* ---- entries ---- */

/*
 * One at a time, spread over the interval.  An entry asked goes to the back of the queue at once: whether it
 * answered shows later (kad_contacts_answered, kad_contacts_unanswered), and how often they do not sets the interval.
 */
static void check_one(struct kad *k, tstamp now, struct acts *out)
{
    struct kad_contact *p = kad_contacts_idlest(&k->routing);

    if (p == NULL) {
        k->care.next_check = tstamp_after(now, k->routing.idle_check);
        return;
    }
    if (now - p->seen < k->routing.idle_check) {
        k->care.next_check = tstamp_after(p->seen, k->routing.idle_check);
        return;
    }
    p->seen = now;
    kad_rpc_check(&k->rpcs, p, now, out);
    k->care.next_check =
        tstamp_after(now, k->routing.idle_check / (k->routing.table.n + 1) + CHECK_PAUSE);
}

static bool look_into_part(struct kad *k, unsigned cpl, unsigned part, bool fill, tstamp now,
                           struct acts *out)
{
    uint8_t key[KAD_PREFIX_KEY];
    struct kad_request_args args = {.op = KAD_OP_FIND,
                                    .internal = true,
                                    .key = {key, sizeof(key)},
                                    .bits = cpl + 1 + KAD_PART_BITS,
                                    .fill = fill};

    return kad_contacts_part_key(&k->routing, cpl, part, key) &&
           kad_request_start(k, &args, now, out) == QUDAG_OK;
}

/* After a bootstrap: the parts without entries, one after the other. */
static void fill_next(struct kad *k, tstamp now, struct acts *out)
{
    unsigned nearest = kad_table_nearest(&k->routing.table);

    while (k->care.fill != KAD_FILLED && !k->care.filling) {
        unsigned cpl = k->care.fill / KAD_PARTS, part = k->care.fill % KAD_PARTS;
        if (cpl >= nearest || cpl > KAD_REFRESH_BITS) {
            k->care.fill = KAD_FILLED;
            return;
        }
        if (kad_table_lacks(&k->routing.table, cpl, part)) {
            k->care.filling = true; /* before: it may end at once */
            if (!look_into_part(k, cpl, part, true, now, out)) {
                k->care.filling = false;
                return; /* too much to do already: this part and the rest later */
            }
        }
        k->care.fill++;
    }
}

static void refresh_one(struct kad *k, tstamp now, struct acts *out)
{
    unsigned nearest = kad_table_nearest(&k->routing.table);

    for (unsigned i = 0; i <= nearest && i <= KAD_REFRESH_BITS; i++) {
        struct kad_bucket *b = k->routing.table.bucket[i];
        if (b == NULL || now - b->touched < KAD_REFRESH) {
            continue;
        }
        b->touched = now;
        if (i == nearest) {
            struct kad_request_args args = {.op = KAD_OP_FIND,
                                            .internal = true,
                                            .key = peer_id_slice(&k->env.self),
                                            .bits = KAD_SELF_BITS};
            if (kad_request_start(k, &args, now, out) != QUDAG_OK) {
                log_plain(&k->env.log, LOG_DEBUG, "kad.refresh.postponed");
            }
        } else if (!look_into_part(k, i, kad_contacts_part_to_fill(&k->routing, i), false, now,
                                   out)) {
            log_plain(&k->env.log, LOG_DEBUG, "kad.refresh.postponed");
        }
        return;
    }
}

static void rejoin(struct kad *k, tstamp now, struct acts *out)
{
    struct kad_request_args args = {
        .op = KAD_OP_BOOTSTRAP, .internal = true, .key = peer_id_slice(&k->env.self)};

    if (k->routing.table.n > 0) {
        k->care.rejoin_wait = KAD_REJOIN_MIN;
        return;
    }
    if (k->routing.n_seeds == 0 || now < k->care.rejoin_at) {
        return;
    }
    k->care.rejoin_at = tstamp_after(now, rng_jitter(&k->env.rng, k->care.rejoin_wait, 200));
    k->care.rejoin_wait = tstamp_min(2 * k->care.rejoin_wait, KAD_REFRESH);
    if (kad_request_start(k, &args, now, out) != QUDAG_OK) {
        log_plain(&k->env.log, LOG_DEBUG, "kad.rejoin.postponed");
    }
}

static void maintain(struct kad *k, tstamp now, struct acts *out)
{
    k->care.next = tstamp_after(now, rng_jitter(&k->env.rng, KAD_MAINTAIN, 100));
    kad_store_expire(&k->storage.store, kad_env_wall(&k->env, now));
    kad_clients_expire(&k->server.limits, now);
    rejoin(k, now, out);
    if (now - k->routing.size.at > SIZE_AGE) {
        kad_netsize_from_table(&k->routing.size, &k->routing.table, now);
    }
    refresh_one(k, now, out);
}

void kad_maintain(struct kad *k, tstamp now, struct acts *out)
{
    if (!kad_env_room(&k->env, out, KAD_ACTS_SPARE, 16 * KAD_HINTS_MAX)) {
        return;
    }
    if (now >= k->care.next) {
        maintain(k, now, out);
    }
    if (now >= k->care.next_check) {
        check_one(k, now, out);
    }
    if (now >= k->routing.departed.next) {
        ask_departed(k, now, out);
    }
    if (alone(k) && now >= k->care.next_alone) {
        ask_linked(k, now, out);
    }
    if (k->routing.departed.heal && now >= k->care.next_heal) {
        heal(k, now, out);
    }
    if (k->care.fill != KAD_FILLED && !k->care.filling) {
        fill_next(k, now, out);
    }
}

tstamp kad_maintenance_at(const struct kad *k)
{
    tstamp at = tstamp_min(tstamp_min(k->care.next, k->care.next_check), k->routing.departed.next);

    return alone(k) ? tstamp_min(at, k->care.next_alone) : at;
}
