/*
 * resolve.c - from an address to its target: ask for both live periods, check, remember.
 *
 *   dark_resolve ──▶ remembered? ──yes──▶ DARK_UP_RESOLVED (n = 1)
 *                       │ no
 *                       ▼
 *                     job: DARK_UP_GET current, DARK_UP_GET other ──▶ both answered, or time is up
 *                       ▼
 *                     the valid record with the highest number ──▶ DARK_UP_RESOLVED to all who wait
 *
 * A record numbered lower than one accepted before is refused, also after the cached one expired.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <string.h>

#define JITTER_PART 8 /* a cached answer lives up to an eighth less than it might */

/* --- memory of addresses -------------------------------------------------------------------- */

static struct slice memo_key(uint8_t buf[64], const struct dark_addr *a)
{
    memcpy(buf, a->ed_pk, 32);
    memcpy(buf + 32, a->commit, 32);
    return (struct slice){buf, 64};
}

static struct dark_memo *memo_find(const struct dark *d, const struct dark_addr *a)
{
    uint8_t buf[64];

    return map_get(&d->memos, memo_key(buf, a));
}

static void memo_forget_target(struct dark *d, struct dark_memo *m)
{
    mem_free_wiped(d->cfg.mem, m->target);
    m->target = NULL;
    m->until = 0;
}

static void memo_free(struct dark *d, struct dark_memo *m)
{
    uint8_t buf[64];

    (void)map_del(&d->memos, memo_key(buf, &m->addr));
    list_del(&m->node);
    memo_forget_target(d, m);
    mem_free_wiped(d->cfg.mem, m);
}

/* The memo of |a|, made if need be at the cost of the one used longest ago; NULL without memory. */
static struct dark_memo *memo_want(struct dark *d, const struct dark_addr *a)
{
    uint8_t buf[64];
    struct dark_memo *m = memo_find(d, a);

    if (m != NULL) {
        list_del(&m->node);
        list_push_back(&d->lru, &m->node);
        return m;
    }
    if (d->memos.n >= DARK_CACHE_MAX) {
        memo_free(d, LIST_ENTRY(d->lru.next, struct dark_memo, node));
    }
    m = mem_alloc(d->cfg.mem, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->addr = *a;
    list_init(&m->node);
    if (map_put(&d->memos, memo_key(buf, a), m) != QUDAG_OK) {
        mem_free(d->cfg.mem, m);
        return NULL;
    }
    list_push_back(&d->lru, &m->node);
    return m;
}

static tstamp jittered(const struct dark *d, tstamp now, uint64_t life_s)
{
    uint64_t life = life_s * NS_PER_S;

    return tstamp_after(now, life - rng_u64(&d->cfg.rng) % (life / JITTER_PART + 1));
}

/* Without memory nothing is remembered, and the answer is given all the same. */
static void memo_store(struct dark *d, const struct dark_addr *a, const struct dark_target *t,
                       tstamp now)
{
    struct dark_memo *m = memo_want(d, a);
    walltime wall = wall_now(&d->cfg.clock, now);

    if (m == NULL) {
        return;
    }
    memo_forget_target(d, m);
    m->seq = t->seq > m->seq ? t->seq : m->seq;
    if (t->kind == DARK_WITHDRAWN) {
        m->until = jittered(d, now, DARK_NEGATIVE_LIFE);
        return;
    }
    if (t->expires <= wall) {
        return; /* valid by the tolerance for clocks only */
    }
    m->target = mem_alloc(d->cfg.mem, sizeof *m->target);
    if (m->target != NULL) {
        uint64_t left = (uint64_t)(t->expires - wall);
        *m->target = *t;
        m->until = jittered(d, now, left < DARK_CACHE_LIFE ? left : DARK_CACHE_LIFE);
    }
}

static void memo_store_negative(struct dark *d, const struct dark_addr *a, tstamp now)
{
    struct dark_memo *m = memo_want(d, a);

    if (m != NULL) {
        memo_forget_target(d, m);
        m->until = jittered(d, now, DARK_NEGATIVE_LIFE);
    }
}

/* --- requests ------------------------------------------------------------------------------- */

static void report(uint64_t cookie, qudag_err err, const struct dark_target *t, struct acts *out)
{
    struct act *up = acts_up(out, DARK_UP_RESOLVED);

    up->cookie = cookie;
    up->err = err;
    up->ptr = t;
}

/* A copy of what is remembered, which may be forgotten meanwhile.  QUDAG_ELIMIT: no room, no report. */
static qudag_err report_cached(uint64_t cookie, const struct dark_target *t, struct acts *out)
{
    struct act *up = t == NULL ? acts_up(out, DARK_UP_RESOLVED)
                               : acts_up_copy(out, DARK_UP_RESOLVED, t, sizeof *t);

    if (up == NULL) {
        return QUDAG_ELIMIT;
    }
    up->cookie = cookie;
    up->err = t == NULL ? QUDAG_ENOTFOUND : QUDAG_OK;
    up->n = 1;
    return QUDAG_OK;
}

static struct dark_waiter *waiter_free(struct dark *d)
{
    for (size_t i = 0; i < DARK_WAITERS_MAX; i++) {
        if (d->waiter[i].job == NULL) {
            return &d->waiter[i];
        }
    }
    return NULL;
}

static struct dark_job *job_of(const struct dark *d, const struct dark_addr *a)
{
    LIST_EACH(it, &d->jobs)
    {
        struct dark_job *j = LIST_ENTRY(it, struct dark_job, node);
        if (dark_addr_eq(&j->addr, a)) {
            return j;
        }
    }
    return NULL;
}

/* Makes the job and asks for the records of both live periods. */
static qudag_err job_start(struct dark *d, const struct dark_addr *a, tstamp now, struct acts *out,
                           struct dark_job **job)
{
    uint8_t key[2][DARK_KEY_LEN];
    uint64_t live[2];

    if (d->n_jobs >= DARK_JOBS_MAX) {
        return QUDAG_ELIMIT;
    }
    dark_live(live, a, wall_now(&d->cfg.clock, now));
    for (int i = 0; i < 2; i++) {
        qudag_err err = dark_dht_key(key[i], a, live[i]);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    struct dark_job *j = mem_alloc(d->cfg.mem, sizeof *j);
    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    j->addr = *a;
    j->due = tstamp_after(now, DARK_ASK_TIMEOUT);
    list_init(&j->node);
    list_push_back(&d->jobs, &j->node);
    d->n_jobs++;
    for (int i = 0; i < 2; i++) {
        j->get[i].cookie = d->next_cookie++;
        struct slice data = acts_copy(out, key[i], DARK_KEY_LEN);
        struct act *up = acts_up(out, DARK_UP_GET);
        up->cookie = j->get[i].cookie;
        up->data = data;
    }
    *job = j;
    return QUDAG_OK;
}

qudag_err dark_resolve(struct dark *d, uint64_t cookie, const struct dark_addr *a, tstamp now,
                       struct acts *out)
{
    dark_reap(d, out);
    if (a->network != (uint8_t)d->cfg.network) {
        return QUDAG_EUNSUPPORTED;
    }
    struct dark_memo *m = memo_find(d, a);
    if (m != NULL && now < m->until) {
        list_del(&m->node);
        list_push_back(&d->lru, &m->node);
        return report_cached(cookie, m->target, out);
    }
    struct dark_waiter *w = waiter_free(d);
    if (w == NULL) {
        return QUDAG_ELIMIT;
    }
    struct dark_job *j = job_of(d, a);
    if (j == NULL) {
        qudag_err err = job_start(d, a, now, out, &j);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    *w = (struct dark_waiter){.cookie = cookie, .job = j};
    return QUDAG_OK;
}

/* An answer that says why there is no target; both asks have been answered. */
static qudag_err job_error(const struct dark_job *j)
{
    qudag_err a = j->get[0].err, b = j->get[1].err;

    /* A record that was there and wrong says more than one that was not there. */
    if (a == QUDAG_ENOTFOUND) {
        return b;
    }
    return a;
}

static void job_finish(struct dark *d, struct dark_job *j, tstamp now, struct acts *out)
{
    qudag_err err = QUDAG_OK;

    if (j->found) {
        memo_store(d, &j->addr, &j->best, now);
        err = j->best.kind == DARK_WITHDRAWN ? QUDAG_ENOTFOUND : QUDAG_OK;
    } else {
        err = job_error(j);
        ASSERT(err != QUDAG_OK);
        if (err == QUDAG_ENOTFOUND) {
            memo_store_negative(d, &j->addr, now);
        }
    }
    for (size_t i = 0; i < DARK_WAITERS_MAX; i++) {
        if (d->waiter[i].job == j) {
            d->waiter[i].job = NULL;
            report(d->waiter[i].cookie, err, err == QUDAG_OK ? &j->best : NULL, out);
        }
    }
    /* The reports point into it: it is freed once they have been carried out. */
    list_del(&j->node);
    list_push_back(&d->dead, &j->node);
    d->n_jobs--;
}

static bool job_answered(const struct dark_job *j)
{
    return j->get[0].done && j->get[1].done;
}

/* Whether the record is one of |j|'s address that may be believed; the best one is kept. */
static qudag_err record_take(struct dark *d, struct dark_job *j, struct slice record, tstamp now)
{
    struct dark_target t;
    qudag_err err = dark_record_open(&t, &j->addr, record, wall_now(&d->cfg.clock, now));
    const struct dark_memo *m = memo_find(d, &j->addr);

    if (err == QUDAG_OK && m != NULL && t.seq < m->seq) {
        err = QUDAG_ESTALE;
    }
    if (err == QUDAG_OK && (!j->found || t.seq > j->best.seq)) {
        j->best = t;
        j->found = true;
    }
    wipe(&t, sizeof t);
    return err;
}

void dark_get_done(struct dark *d, uint64_t cookie, qudag_err err, struct slice record, tstamp now,
                   struct acts *out)
{
    dark_reap(d, out);
    LIST_EACH(it, &d->jobs)
    {
        struct dark_job *j = LIST_ENTRY(it, struct dark_job, node);
        if (!dark_ask_done(j->get, cookie, err, 0)) {
            continue;
        }
        struct dark_ask *a = j->get[0].cookie == cookie ? &j->get[0] : &j->get[1];
        if (err == QUDAG_OK) {
            a->err = record_take(d, j, record, now);
        }
        if (job_answered(j)) {
            job_finish(d, j, now, out);
        }
        return;
    }
}

void dark_target_failed(struct dark *d, const struct dark_addr *a)
{
    struct dark_memo *m = memo_find(d, a);

    if (m != NULL && m->target != NULL) {
        memo_forget_target(d, m);
    }
}

/* --- time ----------------------------------------------------------------------------------- */

void dark_resolve_tick(struct dark *d, tstamp now, struct acts *out)
{
    LIST_EACH_SAFE(it, tmp, &d->jobs)
    {
        struct dark_job *j = LIST_ENTRY(it, struct dark_job, node);
        if (j->due > now) {
            continue;
        }
        for (int i = 0; i < 2; i++) {
            if (!j->get[i].done) {
                j->get[i].done = true;
                j->get[i].err = QUDAG_ETIMEOUT;
            }
        }
        job_finish(d, j, now, out);
    }
}

tstamp dark_resolve_deadline(const struct dark *d)
{
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &d->jobs)
    {
        at = tstamp_min(at, LIST_ENTRY(it, struct dark_job, node)->due);
    }
    return at;
}

void dark_resolve_free(struct dark *d)
{
    LIST_EACH_SAFE(it, tmp, &d->jobs)
    {
        list_del(it);
        mem_free_wiped(d->cfg.mem, LIST_ENTRY(it, struct dark_job, node));
    }
    LIST_EACH_SAFE(it, tmp, &d->lru)
    {
        memo_free(d, LIST_ENTRY(it, struct dark_memo, node));
    }
}
