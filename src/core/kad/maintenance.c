/*
 * maintenance.c - what is done without being asked.
 *
 *   one entry at a time   silent for idle_check: asked whether it lives; the more turn out dead, the sooner
 *   every minute          a bucket nobody looked into for 10 min is looked into; the store is swept
 *   after a bootstrap     the parts of buckets without entries are looked into, one after the other
 *   table empty           bootstrap again with the seeds, after 30 s .. 10 min
 *   peers lost            one of those that left the table is asked again now and then: when it answers, a network
 *                         that had been cut in two is whole again, and our own neighbourhood is looked up
 */
#include "core/kad/kad_int.h"

#include <string.h>

#define CHECK_PAUSE (NS_PER_S / 2)
#define LOST_PAUSE (45 * NS_PER_S)
#define LOST_PAUSE_BACK NS_PER_S  /* after one came back: the others are likely to */
#define LOST_FAILS 8              /* then it is given up */
#define SIZE_AGE (120 * NS_PER_S) /* without a lookup that told */
#define REUNION_PAUSE (60 * NS_PER_S)

void kad_upkeep_init(struct kad *k, tstamp now)
{
    k->next_maintain = tstamp_after(now, rng_jitter(&k->cfg.rng, KAD_MAINTAIN, 100));
    k->next_check = k->next_maintain;
    k->idle_check = KAD_IDLE_CHECK;
    k->fill = KAD_FILLED;
    k->failing = 2 * KAD_FAILING_MANY; /* the worst is assumed of a network not known yet */
    k->next_lost = TSTAMP_NEVER;
}

/* ---- peers that left the table ---- */

static void lost_cut(struct kad *k, size_t i)
{
    kad_peer_unref(k->lost[i]);
    k->lost[i] = k->lost[--k->n_lost];
}

void kad_lost_fini(struct kad *k)
{
    while (k->n_lost > 0) {
        lost_cut(k, k->n_lost - 1);
    }
}

void kad_lost_add(struct kad *k, struct kad_peer *p, tstamp now)
{
    if (p->who->n_addrs == 0) {
        return;
    }
    if (k->n_lost == KAD_LOST_MAX) {
        lost_cut(k, rng_below(&k->cfg.rng, KAD_LOST_MAX));
    }
    if (k->n_lost == 0) {
        k->next_lost = tstamp_after(now, rng_jitter(&k->cfg.rng, LOST_PAUSE, 300));
    }
    k->lost[k->n_lost++] = kad_peer_ref(p);
}

void kad_lost_answered(struct kad *k, const struct kad_peer *p, tstamp now)
{
    for (size_t i = 0; i < k->n_lost; i++) {
        if (kad_peer_same(k->lost[i], p)) {
            lost_cut(k, i);
            k->next_lost = tstamp_after(now, LOST_PAUSE_BACK);
            k->reunite = true;
            return;
        }
    }
}

static void ask_lost(struct kad *k, tstamp now, struct acts *out)
{
    k->next_lost = TSTAMP_NEVER;
    if (k->n_lost == 0) {
        return;
    }
    size_t i = rng_below(&k->cfg.rng, (uint32_t)k->n_lost);
    kad_check(k, k->lost[i], now, out);
    if (++k->lost[i]->fails >= LOST_FAILS) {
        lost_cut(k, i);
    }
    k->next_lost = tstamp_after(now, rng_jitter(&k->cfg.rng, LOST_PAUSE, 300));
}

static void reunite(struct kad *k, tstamp now, struct acts *out)
{
    struct kad_ask ask = {
        .op = KAD_OP_BOOTSTRAP, .internal = true, .key = peer_id_slice(&k->cfg.self)};

    k->next_reunion = tstamp_after(now, REUNION_PAUSE);
    k->reunite = kad_job_start(k, &ask, now, out) != QUDAG_OK; /* then again after the pause */
    if (k->reunite) {
        log_plain(&k->cfg.log, LOG_DEBUG, "kad.partition_heal.postponed");
    }
}

/* ---- entries ---- */

/* The entry that has been silent longest, and is not being asked. */
static struct kad_peer *idlest(const struct kad *k)
{
    struct kad_peer *best = NULL;

    for (size_t i = 0; i < KAD_BUCKETS; i++) {
        const struct kad_bucket *b = k->table.bucket[i];
        for (size_t e = 0; b != NULL && e < b->n; e++) {
            struct kad_peer *p = b->peer[e];
            if (best == NULL || p->seen < best->seen) {
                best = p;
            }
        }
    }
    return best;
}

/*
 * One at a time, spread over the interval.  An entry asked goes to the back of the queue at once: whether it
 * answered shows later (kad_answered, kad_unanswered), and how often they do not sets the interval.
 */
static void check_one(struct kad *k, tstamp now, struct acts *out)
{
    struct kad_peer *p = idlest(k);

    if (p == NULL) {
        k->next_check = tstamp_after(now, k->idle_check);
        return;
    }
    if (now - p->seen < k->idle_check) {
        k->next_check = tstamp_after(p->seen, k->idle_check);
        return;
    }
    p->seen = now;
    kad_check(k, p, now, out);
    k->next_check = tstamp_after(now, k->idle_check / (k->table.n + 1) + CHECK_PAUSE);
}

unsigned kad_part_to_fill(const struct kad *k, unsigned cpl)
{
    unsigned first = (unsigned)rng_below(&k->cfg.rng, KAD_PARTS);

    for (unsigned i = 0; i < KAD_PARTS; i++) {
        unsigned part = (first + i) % KAD_PARTS;
        if (kad_table_lacks(&k->table, cpl, part)) {
            return part;
        }
    }
    return first;
}

static bool look_into_part(struct kad *k, unsigned cpl, unsigned part, bool fill, tstamp now,
                           struct acts *out)
{
    uint8_t key[KAD_PLACE_KEY];
    struct kad_ask ask = {.op = KAD_OP_FIND,
                          .internal = true,
                          .key = {key, sizeof(key)},
                          .bits = cpl + 1 + KAD_PART_BITS,
                          .fill = fill};

    return kad_part_key(k, cpl, part, key) && kad_job_start(k, &ask, now, out) == QUDAG_OK;
}

/* After a bootstrap: the parts without entries, one after the other. */
static void fill_next(struct kad *k, tstamp now, struct acts *out)
{
    unsigned nearest = kad_table_nearest(&k->table);

    while (k->fill != KAD_FILLED && !k->filling) {
        unsigned cpl = k->fill / KAD_PARTS, part = k->fill % KAD_PARTS;
        k->fill++;
        if (cpl >= nearest || cpl > KAD_REFRESH_BITS) {
            k->fill = KAD_FILLED;
            return;
        }
        if (kad_table_lacks(&k->table, cpl, part)) {
            k->filling = true; /* before: it may end at once */
            if (!look_into_part(k, cpl, part, true, now, out)) {
                k->filling = false;
                return; /* too much to do already: the rest later */
            }
        }
    }
}

static void refresh_one(struct kad *k, tstamp now, struct acts *out)
{
    unsigned nearest = kad_table_nearest(&k->table);

    for (unsigned i = 0; i <= nearest && i <= KAD_REFRESH_BITS; i++) {
        struct kad_bucket *b = k->table.bucket[i];
        if (b == NULL || now - b->touched < KAD_REFRESH) {
            continue;
        }
        b->touched = now;
        if (i == nearest) {
            struct kad_ask ask = {.op = KAD_OP_FIND,
                                  .internal = true,
                                  .key = peer_id_slice(&k->cfg.self),
                                  .bits = KAD_SELF_BITS};
            if (kad_job_start(k, &ask, now, out) != QUDAG_OK) {
                log_plain(&k->cfg.log, LOG_DEBUG, "kad.refresh.postponed");
            }
        } else if (!look_into_part(k, i, kad_part_to_fill(k, i), false, now, out)) {
            log_plain(&k->cfg.log, LOG_DEBUG, "kad.refresh.postponed");
        }
        return;
    }
}

static void rejoin(struct kad *k, tstamp now, struct acts *out)
{
    struct kad_ask ask = {
        .op = KAD_OP_BOOTSTRAP, .internal = true, .key = peer_id_slice(&k->cfg.self)};

    if (k->table.n > 0) {
        k->rejoin_wait = KAD_REJOIN_MIN;
        return;
    }
    if (k->n_seeds == 0 || now < k->rejoin_at) {
        return;
    }
    k->rejoin_at = tstamp_after(now, rng_jitter(&k->cfg.rng, k->rejoin_wait, 200));
    k->rejoin_wait = tstamp_min(2 * k->rejoin_wait, KAD_REFRESH);
    if (kad_job_start(k, &ask, now, out) != QUDAG_OK) {
        log_plain(&k->cfg.log, LOG_DEBUG, "kad.rejoin.postponed");
    }
}

static void maintain(struct kad *k, tstamp now, struct acts *out)
{
    k->next_maintain = tstamp_after(now, rng_jitter(&k->cfg.rng, KAD_MAINTAIN, 100));
    kad_store_sweep(&k->store, kad_wall(k, now));
    kad_clients_expire(k, now);
    rejoin(k, now, out);
    if (now - k->sized_at > SIZE_AGE) {
        kad_size_look(k, now);
    }
    refresh_one(k, now, out);
}

void kad_upkeep(struct kad *k, tstamp now, struct acts *out)
{
    if (!kad_room(k, out, KAD_ACTS_SPARE, 16 * KAD_HINTS_MAX)) {
        return;
    }
    if (now >= k->next_maintain) {
        maintain(k, now, out);
    }
    if (now >= k->next_check) {
        check_one(k, now, out);
    }
    if (now >= k->next_lost) {
        ask_lost(k, now, out);
    }
    if (k->reunite && now >= k->next_reunion) {
        reunite(k, now, out);
    }
    if (k->fill != KAD_FILLED && !k->filling) {
        fill_next(k, now, out);
    }
}

tstamp kad_upkeep_at(const struct kad *k)
{
    return tstamp_min(tstamp_min(k->next_maintain, k->next_check), k->next_lost);
}
