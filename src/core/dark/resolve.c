/*
 * resolve.c - from an address to its target: ask for one place after another, check, remember.
 *
 *   dark_resolve ──▶ remembered? ──yes──▶ DARK_UP_RESOLVED (n = 1)
 *                       │                 to a user who was not told before: after as long as that lookup took
 *                       │ no
 *                       ▼
 *                     job: a random wait
 *                       ▼
 *                     DARK_UP_GET of one place ── a record that passes ──▶ DARK_UP_RESOLVED to all who wait
 *                       ▲   └── none, a wrong one, no way ─▶ pause, through another relay ─┐
 *                       └── a wrong one: the same place again; else the next, if any ◀──────┘
 *
 * Places: both replicas of the current period, in an order drawn each time; around a change of periods those
 * of the other period too.  Who sees the index of one place sees no other, unless the first was missing.
 * "There is none", and a record that cannot be verified, are believed when two relays, of different networks and
 * families, say so, and never remembered: they are nobody's signature.
 *
 * A record numbered lower than one accepted before from the same place is refused, also after the cached one
 * expired.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <string.h>

_Static_assert(DARK_RELEASE_MAX *(sizeof(struct dark_target) + 16) < ACTS_BYTES_ROOM / 4, "room");

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

struct dark_memo *dark_memo_want(struct dark *d, const struct dark_addr *a)
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

/* s for which |t|, NULL: a withdrawal, may be given out from |now| on without being asked for again. */
static uint64_t target_life(const struct dark *d, const struct dark_target *t, tstamp now)
{
    walltime wall = wall_now(&d->cfg.clock, now);
    uint64_t left = t == NULL ? DARK_WITHDRAWN_LIFE : 0;

    if (t != NULL && t->expires > wall) {
        left = (uint64_t)(t->expires - wall);
    }
    return left < DARK_CACHE_LIFE ? left : DARK_CACHE_LIFE;
}

/*
 * Whether |m| still says something to who was told of it, or has waited for it.  That may be later than m->until: what
 * each is told holds as long as if he had looked it up then.
 */
static bool memo_answers(const struct dark *d, const struct dark_memo *m, tstamp now)
{
    if (m->until == 0) {
        return false;
    }
    if (m->target == NULL) {
        return now < tstamp_after(m->until, DARK_WITHDRAWN_LIFE * NS_PER_S);
    }
    return m->target->expires > wall_now(&d->cfg.clock, now);
}

/* Without memory nothing is remembered, and the answer is given all the same. */
static void memo_store(struct dark *d, const struct dark_addr *a, const struct dark_target *t,
                       uint64_t took, tstamp now)
{
    struct dark_memo *m = dark_memo_want(d, a);

    if (m == NULL) {
        return;
    }
    memo_forget_target(d, m);
    m->took = took;
    size_t slot = dark_slot(&t->at);
    m->seen[slot].at = t->at;
    m->seen[slot].number = t->number;
    if (t->kind == DARK_WITHDRAWN) {
        m->withdrawn = t->seq > m->withdrawn ? t->seq : m->withdrawn;
        m->until = jittered(d, now, DARK_WITHDRAWN_LIFE);
        return;
    }
    m->target = mem_alloc(d->cfg.mem, sizeof *m->target);
    if (m->target != NULL) {
        *m->target = *t;
        m->until = jittered(d, now, target_life(d, m->target, now));
    }
}

/* --- what users may see of each other --------------------------------------------------------- */

static struct dark_told *told_find(struct dark *d, const struct dark_addr *a, uint64_t user)
{
    uint32_t n = d->n_told < DARK_TOLD_MAX ? d->n_told : DARK_TOLD_MAX;

    for (uint32_t i = 0; i < n; i++) {
        if (d->told[i].user == user && dark_addr_eq(&d->told[i].addr, a)) {
            return &d->told[i];
        }
    }
    return NULL;
}

/* Whether he is answered at once. */
static bool was_told(struct dark *d, const struct dark_memo *m, uint64_t user, tstamp now)
{
    const struct dark_told *t = told_find(d, &m->addr, user);

    return t != NULL && now < t->until && memo_answers(d, m, now);
}

/*
 * He has his answer now.  It is remembered among those of all addresses: who watches which of his users is forgotten
 * learns that others asked for something, not for what.
 */
static void tell(struct dark *d, const struct dark_addr *a, uint64_t user, tstamp now)
{
    const struct dark_memo *m = memo_find(d, a);
    struct dark_told *t = told_find(d, a, user);

    if (m == NULL || !memo_answers(d, m, now)) {
        return;
    }
    if (t == NULL) {
        t = &d->told[d->n_told++ % DARK_TOLD_MAX];
    }
    *t = (struct dark_told){
        .addr = *a, .user = user, .until = jittered(d, now, target_life(d, m->target, now))};
}

/* Whether |m| says what led |user| nowhere. */
static bool has_failed(struct dark *d, const struct dark_memo *m, uint64_t user)
{
    const struct dark_told *t = told_find(d, &m->addr, user);

    return t != NULL && t->failed && m->target != NULL && dark_place_eq(&t->at, &m->target->at) &&
           t->number == m->target->number;
}

/* When a lookup begins that is asked for now. */
static tstamp begin_after(const struct dark *d, tstamp now)
{
    return tstamp_after(now, rng_u64(&d->cfg.rng) % (d->cfg.delay_max_ns + 1));
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
static qudag_err report_cached(uint64_t cookie, const struct dark_target *t, uint64_t n,
                               struct acts *out)
{
    struct act *up = t == NULL ? acts_up(out, DARK_UP_RESOLVED)
                               : acts_up_copy(out, DARK_UP_RESOLVED, t, sizeof *t);

    if (up == NULL) {
        return QUDAG_ELIMIT;
    }
    up->cookie = cookie;
    up->err = t == NULL ? QUDAG_ENOTFOUND : QUDAG_OK;
    up->n = n;
    return QUDAG_OK;
}

static struct dark_waiter *waiter_free(struct dark *d)
{
    for (size_t i = 0; i < DARK_WAITERS_MAX; i++) {
        if (d->waiter[i].job == NULL && !d->waiter[i].held) {
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

/*
 * The places of an address in the order they are asked for; |t|: what the user was told, or NULL.  A service that
 * moved tells one place at once and the other later: whose target led nowhere comes second.
 */
static size_t places_draw(const struct dark *d, const struct dark_told *t,
                          struct dark_place place[DARK_STEPS_MAX], walltime wall)
{
    uint64_t live[2];
    size_t n = 0, periods = dark_near_change(wall) ? 2 : 1;

    dark_live(live, wall);
    for (size_t i = 0; i < periods; i++) {
        uint8_t first = (uint8_t)rng_below(&d->cfg.rng, DARK_REPLICAS);
        if (t != NULL && t->failed && t->at.period == live[i]) {
            first = (uint8_t)((t->at.replica + 1) % DARK_REPLICAS);
        }
        for (uint8_t r = 0; r < DARK_REPLICAS; r++) {
            place[n++] = (struct dark_place){live[i], (uint8_t)((first + r) % DARK_REPLICAS)};
        }
    }
    return n;
}

/* Asks for the next place of |j|. */
static qudag_err job_ask(struct dark *d, struct dark_job *j, tstamp now, struct acts *out)
{
    uint8_t key[DARK_KEY_LEN];
    qudag_err err = dark_dht_key(key, &j->addr, &j->place[j->asked]);

    if (err != QUDAG_OK) {
        return err;
    }
    j->cookie = dark_ask_get(d, key, &j->last_exit, out);
    if (j->cookie == 0) {
        return QUDAG_ELIMIT;
    }
    j->asked++;
    j->due = tstamp_after(now, DARK_ASK_TIMEOUT);
    return QUDAG_OK;
}

/* Makes the job of |q|; its first place is to be asked for when it is due. */
static qudag_err job_start(struct dark *d, const struct dark_question *q, tstamp now,
                           struct dark_job **job)
{
    uint8_t key[DARK_KEY_LEN];

    if (d->n_jobs >= DARK_JOBS_MAX) {
        return QUDAG_ELIMIT;
    }
    struct dark_job *j = mem_alloc(d->cfg.mem, sizeof *j);
    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    j->addr = *q->addr;
    j->user = q->user;
    j->n_places =
        places_draw(d, told_find(d, &j->addr, j->user), j->place, wall_now(&d->cfg.clock, now));
    qudag_err err = dark_dht_key(key, &j->addr, &j->place[0]); /* it may be no address at all */
    if (err != QUDAG_OK) {
        mem_free(d->cfg.mem, j);
        return err;
    }
    j->due = j->begins = begin_after(d, now);
    list_init(&j->node);
    list_push_back(&d->jobs, &j->node);
    d->n_jobs++;
    *job = j;
    return QUDAG_OK;
}

/* |q| waits at |w| for the lookup of its address, which is begun if need be. */
static qudag_err wait_for_job(struct dark *d, const struct dark_question *q, struct dark_waiter *w,
                              tstamp now)
{
    struct dark_job *j = job_of(d, q->addr);
    bool others = !d->cfg.show_cache && j != NULL && q->user != j->user;

    if (j == NULL) {
        qudag_err err = job_start(d, q, now, &j);
        if (err != QUDAG_OK) {
            return err;
        }
        struct dark_own_addr *own = dark_own_find(d, q->addr);
        if (own != NULL) {
            own->keys.use.resolutions++;
        }
    }
    *w = (struct dark_waiter){
        .cookie = q->cookie, .user = q->user, .addr = *q->addr, .job = j, .others = others};
    w->begins = others ? begin_after(d, now) : now;
    return QUDAG_OK;
}

qudag_err dark_no_target(const struct dark_heard *h)
{
    if (h->wrong >= DARK_WITNESSES) {
        return h->bad;
    }
    if (h->absent >= DARK_WITNESSES) {
        return QUDAG_ENOTFOUND;
    }
    return h->lost != QUDAG_OK ? h->lost : QUDAG_EUNREACHABLE;
}

void dark_hear(struct dark_heard *h, bool wrong, bool again)
{
    uint32_t *same = wrong ? &h->wrong : &h->absent, *other = wrong ? &h->absent : &h->wrong;

    *other = *other < DARK_WITNESSES ? 0 : *other;
    *same += again ? 0 : 1;
}

bool dark_ask_another(qudag_err err, uint32_t repeats)
{
    bool local = err == QUDAG_OK || err == QUDAG_ENOTFOUND || err == QUDAG_ENOMEM;

    return !local && repeats < DARK_REPEATS_MAX;
}

/* What the memo says to |w|; without one he has to look it up himself. */
static void waiter_release(struct dark *d, struct dark_waiter *w, tstamp now, struct acts *out)
{
    const struct dark_question q = {w->cookie, &w->addr, w->user};
    const struct dark_memo *m = memo_find(d, &w->addr);
    qudag_err err = w->err;

    w->held = false;
    d->n_held--;
    if (err == QUDAG_OK && m != NULL && memo_answers(d, m, now)) {
        tell(d, &w->addr, w->user, now);
        err = report_cached(w->cookie, m->target, 0, out);
    } else if (err == QUDAG_OK) {
        struct dark_waiter again;
        err = wait_for_job(d, &q, &again, now);
        *w = err == QUDAG_OK ? again : *w;
    }
    if (err != QUDAG_OK) {
        report(w->cookie, err, NULL, out);
    }
}

static void job_finish(struct dark *d, struct dark_job *j, tstamp now, struct acts *out)
{
    uint64_t took = now > j->begins ? now - j->begins : 0;
    qudag_err err = QUDAG_OK;

    if (j->found) {
        memo_store(d, &j->addr, &j->best, took, now);
        err = j->best.kind == DARK_WITHDRAWN ? QUDAG_ENOTFOUND : QUDAG_OK;
    } else {
        err = j->locked ? QUDAG_ENEEDAUTH : dark_no_target(&j->heard);
    }
    for (size_t i = 0; i < DARK_WAITERS_MAX; i++) {
        struct dark_waiter *w = &d->waiter[i];
        if (w->job != j) {
            continue;
        }
        w->job = NULL;
        w->ready_at = w->others ? tstamp_after(w->begins, took) : now;
        if (w->ready_at > now) { /* he hears of it when a lookup of his own would have ended */
            w->held = true;
            d->n_held++;
            w->err = j->found ? QUDAG_OK : err;
            continue;
        }
        if (j->found) {
            tell(d, &j->addr, w->user, now);
        }
        report(w->cookie, err, err == QUDAG_OK ? &j->best : NULL, out);
    }
    /* The reports point into it: it is freed once they have been carried out. */
    list_del(&j->node);
    list_push_back(&d->dead, &j->node);
    d->n_jobs--;
}

static struct dark_auth *auth_find(struct dark *d, const struct dark_addr *a)
{
    for (uint32_t i = 0; i < d->n_auths; i++) {
        if (dark_addr_eq(&d->auth[i].addr, a)) {
            return &d->auth[i];
        }
    }
    return NULL;
}

qudag_err dark_authorize(struct dark *d, const struct dark_addr *a, const uint8_t *secret)
{
    struct dark_auth *auth = auth_find(d, a);
    struct dark_memo *m = memo_find(d, a);

    if (!dark_network_takes(d->cfg.network, (enum dark_network)a->network)) {
        return QUDAG_EUNSUPPORTED;
    }
    if (secret == NULL && auth == NULL) {
        return QUDAG_ENOTFOUND;
    }
    if (secret != NULL && auth == NULL) {
        if (d->n_auths == DARK_AUTHS_MAX) {
            return QUDAG_ELIMIT;
        }
        auth = &d->auth[d->n_auths++];
        auth->addr = *a;
    }
    if (secret != NULL) {
        memcpy(auth->secret, secret, sizeof auth->secret);
    } else {
        *auth = d->auth[--d->n_auths];
        wipe(&d->auth[d->n_auths], sizeof d->auth[0]);
    }
    if (m != NULL) { /* what the old secret opened */
        memo_forget_target(d, m);
    }
    return QUDAG_OK;
}

/* Whether the record is the one of the place that was asked for, and may be believed; it is kept then. */
static qudag_err record_take(struct dark *d, struct dark_job *j, struct slice record, tstamp now)
{
    struct dark_target t;
    const struct dark_auth *auth = auth_find(d, &j->addr);
    qudag_err err = dark_record_open(&t, &j->addr, auth == NULL ? NULL : auth->secret, record,
                                     wall_now(&d->cfg.clock, now));
    const struct dark_memo *m = memo_find(d, &j->addr);
    bool locked = err == QUDAG_ENEEDAUTH;

    err = locked ? QUDAG_OK : err;
    if (err == QUDAG_OK && !dark_place_eq(&t.at, &j->place[j->asked - 1])) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK && m != NULL) {
        size_t slot = dark_slot(&t.at);
        bool older = dark_place_eq(&m->seen[slot].at, &t.at) && t.number < m->seen[slot].number;
        err = older || t.seq < m->withdrawn ? QUDAG_ESTALE : QUDAG_OK;
    }
    if (err == QUDAG_OK && locked) {
        j->locked = true;
        err = QUDAG_ENEEDAUTH;
    } else if (err == QUDAG_OK) {
        j->best = t;
        j->found = true;
    }
    wipe(&t, sizeof t);
    return err;
}

/* The question under way ended with |err|: the job is over, or pauses before its next question. */
static void job_answer(struct dark *d, struct dark_job *j, qudag_err err,
                       const struct peer_id *exit, tstamp now, struct acts *out)
{
    bool answered = exit->len > 0;
    bool again = peer_id_eq(exit, &j->last_exit);

    if (err == QUDAG_ENEEDAUTH) {
        /* the service's own word; who has a secret may find it in the other place, where clients are newer */
        j->asked = auth_find(d, &j->addr) == NULL ? j->n_places : j->asked;
    } else if (err == QUDAG_ENOTFOUND && answered) {
        dark_hear(&j->heard, false, again);
    } else if (err != QUDAG_OK && err != QUDAG_ENOMEM && answered) {
        dark_hear(&j->heard, true, again);
        j->heard.bad = err;
        if (dark_ask_another(err, j->repeats)) {
            j->repeats++;
            j->asked--; /* the same place, through a relay apart from this one */
        }
    } else if (err != QUDAG_OK) {
        j->heard.lost = err;
    }
    j->last_exit = answered ? *exit : j->last_exit;
    j->cookie = 0;
    if (j->found || j->asked == j->n_places) {
        job_finish(d, j, now, out);
        return;
    }
    j->due = tstamp_after(now, DARK_PAUSE_MIN + rng_u64(&d->cfg.rng) % DARK_PAUSE_VAR);
}

void dark_resolve_get_done(struct dark *d, const struct dark_answer *ans, tstamp now,
                           struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};

    LIST_EACH(it, &d->jobs)
    {
        struct dark_job *j = LIST_ENTRY(it, struct dark_job, node);
        if (j->cookie != ans->cookie) {
            continue;
        }
        bool said = ans->err == QUDAG_OK || ans->err == QUDAG_ENOTFOUND;
        qudag_err err = ans->err == QUDAG_OK ? record_take(d, j, ans->record, now) : ans->err;
        job_answer(d, j, err, said ? &ans->exit : &nobody, now, out);
        return;
    }
}

void dark_target_failed(struct dark *d, const struct dark_addr *a, uint64_t user)
{
    const struct dark_memo *m = memo_find(d, a);
    struct dark_told *t = told_find(d, a, user);

    if (m != NULL && m->target != NULL && t != NULL) {
        *t = (struct dark_told){.addr = *a,
                                .user = user,
                                .failed = true,
                                .at = m->target->at,
                                .number = m->target->number};
    }
}

/* --- time ----------------------------------------------------------------------------------- */

static void job_tick(struct dark *d, struct dark_job *j, tstamp now, struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};

    if (j->cookie != 0) {
        job_answer(d, j, QUDAG_ETIMEOUT, &nobody, now, out);
        return;
    }
    qudag_err err = job_ask(d, j, now, out);
    if (err != QUDAG_OK) {
        j->heard.lost = err;
        job_finish(d, j, now, out);
    }
}

void dark_resolve_tick(struct dark *d, tstamp now, struct acts *out)
{
    unsigned released = 0; /* each may copy a target; the others have the next tick, at once */

    for (size_t i = 0; i < DARK_WAITERS_MAX && released < DARK_RELEASE_MAX; i++) {
        if (d->waiter[i].held && d->waiter[i].ready_at <= now) {
            waiter_release(d, &d->waiter[i], now, out);
            released++;
        }
    }
    LIST_EACH_SAFE(it, tmp, &d->jobs)
    {
        struct dark_job *j = LIST_ENTRY(it, struct dark_job, node);
        if (j->due <= now) {
            job_tick(d, j, now, out);
        }
    }
}

bool dark_memo_serves(uint64_t took)
{
    return took <= DARK_MEMO_TOOK_MAX;
}

qudag_err dark_resolve(struct dark *d, const struct dark_question *q, tstamp now, struct acts *out)
{
    dark_reap(d, out);
    if (!dark_network_takes(d->cfg.network, (enum dark_network)q->addr->network)) {
        return QUDAG_EUNSUPPORTED;
    }
    struct dark_memo *m = memo_find(d, q->addr);
    bool known = m != NULL && now < m->until && !has_failed(d, m, q->user) &&
                 (d->cfg.show_cache || dark_memo_serves(m->took));
    bool told = m != NULL && (d->cfg.show_cache ? known : was_told(d, m, q->user, now));
    if (known || told) {
        list_del(&m->node);
        list_push_back(&d->lru, &m->node);
    }
    if (told) {
        return report_cached(q->cookie, m->target, 1, out);
    }
    struct dark_waiter *w = waiter_free(d);
    if (w == NULL) {
        return QUDAG_ELIMIT;
    }
    if (known) {
        *w = (struct dark_waiter){.cookie = q->cookie,
                                  .user = q->user,
                                  .addr = *q->addr,
                                  .held = true,
                                  .ready_at = tstamp_after(begin_after(d, now), m->took)};
        d->n_held++;
        return QUDAG_OK;
    }
    qudag_err err = wait_for_job(d, q, w, now);
    if (err == QUDAG_OK && w->job->asked == 0 && w->job->due <= now) {
        job_tick(d, w->job, now, out);
    }
    return err;
}

tstamp dark_resolve_deadline(const struct dark *d)
{
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &d->jobs)
    {
        at = tstamp_min(at, LIST_ENTRY(it, struct dark_job, node)->due);
    }
    uint32_t left = d->n_held; /* asked at each turn of the loop; mostly there is none */
    for (size_t i = 0; left > 0 && i < DARK_WAITERS_MAX; i++) {
        if (d->waiter[i].held) {
            at = tstamp_min(at, d->waiter[i].ready_at);
            left--;
        }
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
