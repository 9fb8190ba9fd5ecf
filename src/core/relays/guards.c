/*
 * guards.c - the entry guards: the rules of guards.h, and the sample they are applied to.
 *
 * Dates are told to the disk with up to five days of blur, so that a seized state says less of when somebody began.
 */
#include "core/relays/relays_impl.h"

#include "base/assert.h"

#include <string.h>

#define DAY 86400
#define BLUR_DAYS 5
#define LIFE_MIN_DAYS 60
#define LIFE_MORE_DAYS 60
#define FUTURE_DAYS 30           /* a date so far ahead was made by a wrong clock */
#define GAP_MAX_S 1200           /* one failure tells no more */
#define RETRY_MIN (5 * NS_PER_S) /* of a guard that did not answer */
#define RETRY_MAX (600 * NS_PER_S)
#define RETRY_MAX_SMALL                                                                            \
    (20 * NS_PER_S) /* of a network that was never seen large: see RELAYS_AWAY_SMALL_S */
#define RETRY_LAB (500 * NS_PER_MS)
#define DEAF (30 * NS_PER_S)     /* nobody heard for so long: our own network was away */
#define SAVE_DENIED_S 1800       /* steps in which the time of denial goes to disk */
#define SAVE_BIAS 32             /* circuits between two writes of the counters */
#define REFETCH (900 * NS_PER_S) /* between looks for a guard's newer descriptor */

_Static_assert(RELAYS_NEW_DAYS >= 30 + BLUR_DAYS, "thirty days are never less");
_Static_assert(LIFE_MIN_DAYS > RELAYS_NEW_DAYS + BLUR_DAYS,
               "a guard used this month is not forgotten before it ends");

/* --- rules ---------------------------------------------------------------------------------- */

/* The fit ones before a guard. */
struct before {
    size_t n;
    bool all_away, some_excluded, others, others_gone; /* others: not excluded */
};

/* Whether one behind them may begin a path, too. */
static bool may_follow(const struct before *b)
{
    return b->n < RELAYS_PRIMARIES || b->all_away ||
           (b->some_excluded && b->others && b->others_gone);
}

static void before_add(struct before *b, const struct relays_guard_view *v)
{
    b->n++;
    b->all_away = b->all_away && v->away;
    b->some_excluded = b->some_excluded || v->excluded;
    b->others = b->others || !v->excluded;
    b->others_gone = b->others_gone && (v->excluded || v->gone);
}

size_t relays_guards_allowed(const struct relays_guard_view *v, size_t n, uint32_t new_left,
                             uint8_t *ix, bool *spent)
{
    struct before b = {.all_away = true, .others_gone = true};
    uint8_t doubtful[RELAYS_SAMPLE_MAX];
    size_t allowed = 0, doubts = 0;

    *spent = false;
    for (size_t i = 0; i < n; i++) {
        if (!v[i].fit) {
            continue;
        }
        if (!may_follow(&b)) {
            break;
        }
        if (!v[i].used && new_left == 0) {
            *spent = true; /* those behind it were not used either */
            break;
        }
        before_add(&b, &v[i]);
        if (v[i].answers && !v[i].doubtful) {
            ix[allowed++] = (uint8_t)i;
        } else if (v[i].answers) {
            doubtful[doubts++] = (uint8_t)i;
        }
    }
    memcpy(ix + allowed, doubtful, doubts);
    return allowed + doubts;
}

uint32_t relays_guards_new_left(const walltime *used, size_t n, walltime now)
{
    uint32_t lately = 0;

    for (size_t i = 0; i < n; i++) {
        lately += used[i] != 0 && used[i] > now - (walltime)RELAYS_NEW_DAYS * DAY ? 1 : 0;
    }
    return lately < RELAYS_NEW_GUARDS ? RELAYS_NEW_GUARDS - lately : 0;
}

uint32_t relays_denied_more(uint64_t gap_s, bool others_answered)
{
    if (!others_answered) {
        return 0;
    }
    return gap_s < GAP_MAX_S ? (uint32_t)gap_s : GAP_MAX_S;
}

/* --- dates ---------------------------------------------------------------------------------- */

static walltime days(struct relays *r, uint32_t min, uint32_t more)
{
    return (walltime)min * DAY + (walltime)rng_below(&r->cfg.rng, more * DAY);
}

/* |now| or up to five days before, never the zero that means never. */
static walltime blurred(struct relays *r)
{
    walltime t = r->wall - days(r, 0, BLUR_DAYS);

    return t > 0 ? t : 1;
}

/* --- the sample ----------------------------------------------------------------------------- */

void relays_guards_note(struct relays *r, enum relays_dirty how)
{
    r->dirty = how > r->dirty ? how : r->dirty;
}

struct relays_guard *relays_guards_find(const struct relays *r, const struct peer_id *peer)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        if (peer_id_eq(&r->guard[i]->x.hop.peer, peer)) {
            return r->guard[i];
        }
    }
    return NULL;
}

bool relays_guards_hides(const struct relays *r, const struct peer_id *peer)
{
    const struct relays_guard *g = relays_guards_find(r, peer);

    return g != NULL && r->wall < g->x.expires + (walltime)RELAYS_STALE_DAYS * DAY;
}

static bool fit(const struct relays *r, const struct relays_guard *g)
{
    return (g->x.flags & RELAY_FLAG_GUARD) != 0 && relays_entry_usable(r, &g->x);
}

static void guard_remove(struct relays *r, uint32_t ix)
{
    mem_free(r->cfg.mem, r->guard[ix]);
    r->n_guards--;
    for (uint32_t i = ix; i < r->n_guards; i++) {
        r->guard[i] = r->guard[i + 1];
    }
    relays_guards_note(r, RELAYS_DIRTY_NOW);
}

/* Whether |x| of the pool may join the sample. */
static bool may_join(const struct relays *r, const struct relays_entry *x, const void *ctx)
{
    (void)ctx;
    return (x->flags & RELAY_FLAG_GUARD) != 0 && relays_entry_usable(r, x) &&
           relays_entry_dialable(r, x) && relays_guards_find(r, &x->hop.peer) == NULL;
}

/* One more of the pool, uniformly; false: there is none, or no memory. */
static bool draw_one(struct relays *r)
{
    const struct relays_entry *x = relays_pool_draw(r, may_join, NULL);
    struct relays_guard *g = x != NULL ? mem_alloc(r->cfg.mem, sizeof *g) : NULL;

    if (g == NULL) {
        return false;
    }
    g->x = *x;
    g->x.failures = 0;
    g->x.usable = 0;
    g->added = blurred(r);
    g->until = g->added + days(r, LIFE_MIN_DAYS, LIFE_MORE_DAYS);
    r->guard[r->n_guards++] = g;
    return true;
}

void relays_guards_refresh(struct relays *r)
{
    for (uint32_t i = 0; r->wall_sure && i < r->n_guards;) {
        struct relays_guard *g = r->guard[i];
        if (g->added > r->wall + (walltime)FUTURE_DAYS * DAY) {
            g->added = blurred(r);
            g->until = g->added + days(r, LIFE_MIN_DAYS, LIFE_MORE_DAYS);
            relays_guards_note(r, RELAYS_DIRTY_NOW);
        }
        if (g->until <= r->wall) {
            guard_remove(r, i);
        } else {
            i++;
        }
    }
    uint32_t before = r->n_guards;
    while (r->settled && r->n_guards < RELAYS_SAMPLE_MAX && draw_one(r)) {
    }
    if (r->n_guards > before) {
        relays_guards_note(r, RELAYS_DIRTY_NOW);
    }
}

void relays_guards_large(struct relays *r)
{
    if (r->large) {
        return;
    }
    r->large = true;
    for (uint32_t i = r->n_guards;
         i-- > 0;) { /* drawn from few: those never used are drawn again */
        if (r->guard[i]->used == 0) {
            guard_remove(r, i);
        }
    }
    relays_guards_note(r, RELAYS_DIRTY_NOW);
}

void relays_guards_free(struct relays *r)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        mem_free(r->cfg.mem, r->guard[i]);
    }
    r->n_guards = 0;
}

/* --- which may be used ---------------------------------------------------------------------- */

static bool away(const struct relays *r, const struct relays_guard *g)
{
    if (r->cfg.lab) {
        return g->failing;
    }
    return g->denied_s >= (r->large ? RELAYS_AWAY_S : RELAYS_AWAY_SMALL_S);
}

static bool gone(const struct relays *r, const struct relays_guard *g)
{
    uint32_t least = r->large ? RELAYS_GONE_S : RELAYS_GONE_SMALL_S;

    return r->cfg.lab ? g->failing : g->denied_s >= least;
}

static uint32_t new_left(const struct relays *r)
{
    walltime used[RELAYS_SAMPLE_MAX];

    for (uint32_t i = 0; i < r->n_guards; i++) {
        used[i] = r->guard[i]->used;
    }
    return r->cfg.lab ? RELAYS_SAMPLE_MAX : relays_guards_new_left(used, r->n_guards, r->wall);
}

static void view_of(const struct relays *r, const struct relays_guard *g, tstamp now,
                    struct relays_guard_view *v)
{
    *v =
        (struct relays_guard_view){.fit = fit(r, g),
                                   .used = g->used != 0,
                                   .answers = g->x.usable <= now && relays_entry_dialable(r, &g->x),
                                   .doubtful = g->failing && !g->linked,
                                   .away = away(r, g),
                                   .gone = gone(r, g)};
}

enum relays_guards_state relays_guards_state(const struct relays *r, tstamp now)
{
    struct relays_guard_view v[RELAYS_SAMPLE_MAX];
    uint8_t ix[RELAYS_SAMPLE_MAX];
    bool spent;

    for (uint32_t i = 0; i < r->n_guards; i++) {
        view_of(r, r->guard[i], now, &v[i]);
    }
    if (relays_guards_allowed(v, r->n_guards, new_left(r), ix, &spent) > 0) {
        return RELAYS_GUARDS_ANSWER;
    }
    return spent ? RELAYS_GUARDS_SPENT : RELAYS_GUARDS_SILENT;
}

size_t relays_guards_usable(struct relays *r, const bool *excluded, tstamp now, uint8_t *ix)
{
    struct relays_guard_view v[RELAYS_SAMPLE_MAX];
    bool spent;

    for (uint32_t i = 0; i < r->n_guards; i++) {
        struct relays_guard *g = r->guard[i];
        view_of(r, g, now, &v[i]);
        if (v[i].fit && v[i].used && !relays_entry_dialable(r, &g->x) && g->x.usable <= now) {
            relays_guards_failed(r, g, now); /* we have no address of its kind: it may return */
            view_of(r, g, now, &v[i]);
        }
        v[i].excluded = excluded != NULL && excluded[i];
    }
    size_t n = relays_guards_allowed(v, r->n_guards, new_left(r), ix, &spent);
    r->guards_spent = n == 0 && spent;
    return n;
}

/* Those used before stay before those that were not. */
static void move_up(struct relays *r, uint32_t ix)
{
    struct relays_guard *g = r->guard[ix];
    uint32_t to = 0;

    while (to < ix && r->guard[to]->used != 0) {
        to++;
    }
    for (uint32_t i = ix; i > to; i--) {
        r->guard[i] = r->guard[i - 1];
    }
    r->guard[to] = g;
}

void relays_guards_use(struct relays *r, uint32_t ix)
{
    struct relays_guard *g = r->guard[ix];

    if (g->used != 0) {
        return;
    }
    move_up(r, ix);
    g->used = blurred(r);
    g->until = g->used + days(r, LIFE_MIN_DAYS, LIFE_MORE_DAYS);
    relays_guards_note(r, RELAYS_DIRTY_NOW);
}

const struct relays_guard *relays_guards_first(const struct relays *r)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        if (fit(r, r->guard[i])) {
            return r->guard[i];
        }
    }
    return NULL;
}

/* --- what happens to them ------------------------------------------------------------------- */

void relays_guards_failed(struct relays *r, struct relays_guard *g, tstamp now)
{
    uint64_t wait = (r->cfg.lab ? RETRY_LAB : RETRY_MIN) << (g->x.failures < 7 ? g->x.failures : 7);

    if (g->failing) {
        uint64_t gap_s = (now - g->failed_at) / NS_PER_S;
        uint32_t before = g->denied_s;
        g->denied_s += relays_denied_more(gap_s, r->heard_at > g->failed_at);
        if (before / SAVE_DENIED_S != g->denied_s / SAVE_DENIED_S) {
            relays_guards_note(r, RELAYS_DIRTY_LATER);
        }
    }
    bool again = g->failing && now < g->x.usable; /* of several circuits at once: one failure */
    g->failing = true;
    g->linked = false;
    g->failed_at = now;
    if (again) {
        return;
    }
    g->x.failures += g->x.failures < UINT32_MAX ? 1 : 0;
    uint64_t most = r->large ? RETRY_MAX : RETRY_MAX_SMALL;
    wait = wait < most ? wait : most;
    g->x.usable = tstamp_after(now, rng_jitter(&r->cfg.rng, wait, 200));
}

void relays_guards_worked(struct relays *r, struct relays_guard *g)
{
    if (g->denied_s >= SAVE_DENIED_S) {
        relays_guards_note(r, RELAYS_DIRTY_LATER);
    }
    g->failing = false;
    g->denied_s = 0;
    g->x.failures = 0;
    g->x.usable = 0;
}

void relays_network_back(struct relays *r, tstamp since, tstamp now)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        struct relays_guard *g = r->guard[i];
        if (g->failing && g->failed_at >= since) {
            g->x.usable = now;
            g->x.failures = 0;
            g->linked = true; /* what it failed in was ours */
        }
    }
}

void relays_guard_linked(struct relays *r, const struct peer_id *guard)
{
    struct relays_guard *g = relays_guards_find(r, guard);

    if (g != NULL) {
        g->linked = true;
    }
}

void relays_heard(struct relays *r, const struct peer_id *peer, tstamp now)
{
    if (peer != NULL && relays_guards_find(r, peer) != NULL) {
        return; /* that it is linked does not say that it passes circuits on */
    }
    if (now - r->heard_at >= DEAF) {
        relays_network_back(r, r->heard_at, now);
    }
    r->heard_at = now;
}

static void judge(struct relays *r, struct relays_guard *g)
{
    g->suspect = relays_bias_judge(&g->bias) != RELAYS_BIAS_FINE; /* kept: decision 16 */
    if ((g->bias.tried + g->bias.used) % SAVE_BIAS == 0) {
        relays_guards_note(r, RELAYS_DIRTY_LATER);
    }
}

void relays_circuit_built(struct relays *r, const struct peer_id *guard, bool good)
{
    struct relays_guard *g = relays_guards_find(r, guard);

    if (g != NULL) {
        relays_bias_built(&g->bias, good);
        judge(r, g);
    }
}

void relays_circuit_ended(struct relays *r, const struct peer_id *guard, bool good)
{
    struct relays_guard *g = relays_guards_find(r, guard);

    if (g != NULL) {
        relays_bias_used(&g->bias, good);
        judge(r, g);
    }
}

/* --- looking in ----------------------------------------------------------------------------- */

bool relays_guard(const struct relays *r, struct peer_id *guard)
{
    const struct relays_guard *g = relays_guards_first(r);

    if (g == NULL) {
        return false;
    }
    *guard = g->x.hop.peer;
    return true;
}

bool relays_guard_warm(const struct relays *r, tstamp now, struct onion_hop *hop)
{
    const struct relays_guard *g = relays_guards_first(r);

    if (g == NULL || g->used == 0 || g->failing || g->x.usable > now || g->x.hop.n_addrs == 0) {
        return false;
    }
    *hop = g->x.hop;
    return true;
}

bool relays_guard_next(const struct relays *r, size_t *it, struct relays_guard_info *out)
{
    if (*it >= r->n_guards) {
        return false;
    }
    const struct relays_guard *g = r->guard[(*it)++];
    *out = (struct relays_guard_info){.peer = g->x.hop.peer,
                                      .used = g->used != 0,
                                      .failing = g->failing,
                                      .suspect = g->suspect,
                                      .denied_s = g->denied_s};
    return true;
}

bool relays_guards_spent(const struct relays *r)
{
    return r->guards_spent;
}

bool relays_guard_stale(struct relays *r, tstamp now, struct peer_id *peer)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        struct relays_guard *g = r->guard[i];
        walltime life = g->x.expires - g->x.not_before;
        if (g->refetch_at <= now && r->wall > g->x.expires - life / 2) {
            g->refetch_at = tstamp_after(now, rng_jitter(&r->cfg.rng, REFETCH, 500));
            *peer = g->x.hop.peer;
            return true;
        }
    }
    return false;
}

bool relays_guard_probe(struct relays *r, tstamp now, struct onion_hop *hop)
{
    const struct relays_guard *next = NULL;
    uint32_t place = 0;

    for (uint32_t i = 0; i < r->n_guards && place < RELAYS_PRIMARIES; i++) {
        const struct relays_guard *g = r->guard[i];
        if (!fit(r, g)) {
            continue;
        }
        place++;
        bool due = g->used != 0 && g->failing && !g->linked && g->x.usable <= now;
        if (due && g->x.hop.n_addrs > 0 && (next == NULL || g->x.usable < next->x.usable)) {
            next = g;
        }
    }
    if (next != NULL) {
        *hop = next->x.hop;
    }
    return next != NULL;
}
