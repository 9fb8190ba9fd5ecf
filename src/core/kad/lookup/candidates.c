/*
 * candidates.c - one lookup: candidates sorted by distance to the target, asked along one path or several.
 *
 *   NEW --next--> ASKED --reply---------------> ANSWERED
 *                   |---late--> LATE --reply------^          done: on every path none of its |width|
 *                   '---fail-----'--fail--> FAILED                 closest that live is NEW or ASKED
 *
 * A path asks at most alpha at once; each that passed its soft timeout makes room for one more, up to
 * twice alpha. The path no longer waits for a late node, but its answer is still taken.  Paths are
 * disjoint: a path asks the nodes that its own answers named, and no node is asked twice (S/Kademlia, 4.4).
 *
 * Of peers packed more closely than chance explains (crowd_bits) only KAD_CROWD_MAX are asked, and of one
 * network at most KAD_GROUP_LOOKUP are candidates, so that ids made to be close to a key do not fill the lookup.
 */
#include "core/kad/lookup/candidates.h"

#include "base/assert.h"

#include <limits.h>
#include <string.h>

#define SEEN_FIRST 64 /* most lookups see no more */

void kad_candidates_init(struct kad_candidates *q, struct mem *mem,
                         const uint8_t target[SHA256_LEN], const uint8_t self[SHA256_LEN],
                         unsigned alpha)
{
    *q = (struct kad_candidates){.alpha = (uint8_t)alpha,
                                 .n_paths = 1,
                                 .width = KAD_K,
                                 .rpcs_max = KAD_LOOKUP_RPCS_MAX,
                                 .prefix = kad_hash_prefix(target)};
    map_init_u64(&q->seen, mem, NULL, 0, KAD_SEEN_MAX); /* names are keyed hashes already */
    memcpy(q->target, target, SHA256_LEN);
    memcpy(q->self, self, SHA256_LEN);
}

static void cand_release(struct kad_cand *c)
{
    kad_contact_unref(c->peer);
    for (size_t i = 0; i < KAD_OTHERS; i++) {
        kad_contact_unref(c->other[i]);
    }
}

void kad_candidates_fini(struct kad_candidates *q)
{
    for (size_t i = 0; i < q->n; i++) {
        cand_release(&q->cand[i]);
    }
    struct kad_contact *p;
    for (size_t it = 0; (p = map_next(&q->seen, &it)) != NULL;) {
        kad_contact_unref(p);
    }
    map_fini(&q->seen);
    q->n = 0;
}

struct kad_contact *kad_candidates_seen(const struct kad_candidates *q, uint64_t name,
                                        struct slice id)
{
    struct kad_contact *p = map_u64_get(&q->seen, name);

    return p != NULL && kad_contact_is(p, id) ? p : NULL;
}

void kad_candidates_see(struct kad_candidates *q, struct kad_contact *p)
{
    uint64_t name = p->info->name;

    if (q->seen.cap == 0 && map_reserve(&q->seen, SEEN_FIRST) != QUDAG_OK) {
        return;
    }
    if (map_u64_get(&q->seen, name) == NULL && map_u64_put(&q->seen, name, p) == QUDAG_OK) {
        (void)kad_contact_ref(p);
    }
}

/* ---- candidates ---- */

/* Where |hash| is or would be; *found tells which. */
static size_t place_of(const struct kad_candidates *q, const uint8_t hash[SHA256_LEN],
                       uint64_t dist, bool *found)
{
    size_t lo = 0, hi = q->n;

    *found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct kad_cand *c = &q->cand[mid];
        int cmp = dist < c->dist   ? -1
                  : dist > c->dist ? 1
                                   : kad_dist_cmp(q->target, hash, c->peer->hash);
        if (cmp == 0) {
            *found = true;
            return mid;
        }
        if (cmp < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

static uint64_t dist_of(const struct kad_candidates *q, const uint8_t hash[SHA256_LEN])
{
    return kad_hash_prefix(hash) ^ q->prefix;
}

static struct kad_cand *cand_of(struct kad_candidates *q, const struct kad_contact *p)
{
    bool found;
    size_t at = place_of(q, p->hash, dist_of(q, p->hash), &found);

    return found ? &q->cand[at] : NULL;
}

static void cand_cut(struct kad_candidates *q, size_t at)
{
    cand_release(&q->cand[at]);
    q->n--;
    memmove(&q->cand[at], &q->cand[at + 1], (q->n - at) * sizeof(q->cand[0]));
}

/*
 * Room for one more on |path| at |at|: a full path gives up the farthest that is not being asked, unless
 * the new one is farther still.  What other paths brought stays: no path can push out another.
 */
static bool path_room(struct kad_candidates *q, unsigned path, size_t at)
{
    unsigned max = q->n_paths == 1 ? KAD_CANDS_ONE : KAD_PATH_CANDS, bit = 1u << path;

    if (q->known[path] < max) {
        return true;
    }
    for (size_t i = q->n; i > at; i--) {
        struct kad_cand *c = &q->cand[i - 1];
        bool asked = c->state == KAD_CAND_ASKED || c->state == KAD_CAND_LATE;
        if ((c->paths & bit) == 0 || asked) {
            continue;
        }
        q->known[path]--;
        c->paths &= (uint8_t)~bit;
        if (c->paths == 0) {
            cand_cut(q, i - 1);
        }
        return true;
    }
    return false;
}

/* Whether one more of |p|'s network may come to |at|; the farthest not asked yet gives way to a nearer. */
static bool group_room(struct kad_candidates *q, const struct kad_contact *p, size_t at)
{
    size_t same = 0, far = q->n;

    if (q->lab || p->info->group == 0) {
        return true;
    }
    for (size_t i = 0; i < q->n; i++) {
        if (q->cand[i].peer->info->group == p->info->group) {
            same++;
            far = q->cand[i].state == KAD_CAND_NEW ? i : far;
        }
    }
    if (same < KAD_GROUP_LOOKUP) {
        return true;
    }
    if (far == q->n || far < at) {
        return false;
    }
    for (unsigned path = 0; path < q->n_paths; path++) {
        q->known[path] = (uint8_t)(q->known[path] - ((unsigned)q->cand[far].paths >> path & 1u));
    }
    cand_cut(q, far);
    return true;
}

bool kad_candidates_add(struct kad_candidates *q, struct kad_contact *p, unsigned depth,
                        unsigned path)
{
    uint64_t dist = dist_of(q, p->hash);
    uint8_t bit = (uint8_t)(1u << path);
    bool found;
    size_t at = place_of(q, p->hash, dist, &found);

    if (found) {
        struct kad_cand *c = &q->cand[at];
        if ((c->paths & bit) == 0 && q->known[path] < KAD_PATH_CANDS) {
            c->paths |= bit;
            q->known[path]++;
        }
        return false;
    }
    if (memcmp(p->hash, q->self, SHA256_LEN) == 0 || !group_room(q, p, at) ||
        !path_room(q, path, at) || q->n == KAD_CANDS_MAX) {
        return false;
    }
    memmove(&q->cand[at + 1], &q->cand[at], (q->n - at) * sizeof(q->cand[0]));
    q->cand[at] = (struct kad_cand){.dist = dist,
                                    .peer = kad_contact_ref(p),
                                    .state = KAD_CAND_NEW,
                                    .paths = bit,
                                    .depth = (uint8_t)(depth > UINT8_MAX ? UINT8_MAX : depth)};
    q->known[path]++;
    q->n++;
    return true;
}

/* The next of the other addresses takes the place of those that failed; false: none is left. */
static bool other_next(struct kad_cand *c)
{
    for (unsigned i = 0; i < KAD_OTHERS; i++) {
        if (c->other[i] != NULL) {
            kad_contact_unref(c->peer);
            c->peer = c->other[i];
            c->other[i] = NULL;
            c->others_tried |= (uint8_t)(1u << i);
            c->state = KAD_CAND_NEW;
            return true;
        }
    }
    return false;
}

void kad_candidates_other(struct kad_candidates *q, struct kad_contact *p, unsigned path)
{
    struct kad_cand *c = cand_of(q, p);
    unsigned first = q->n_paths == 1 ? 0 : path % KAD_OTHERS;
    unsigned end = q->n_paths == 1 ? KAD_OTHERS_ONE : first + 1;

    if (c == NULL || c->state == KAD_CAND_ANSWERED || c->peer->info == p->info) {
        return;
    }
    for (unsigned i = first; i < end; i++) {
        if (c->other[i] != NULL && c->other[i]->info == p->info) {
            return;
        }
        if (c->other[i] == NULL && ((unsigned)c->others_tried >> i & 1u) == 0) {
            c->other[i] = kad_contact_ref(p);
            break;
        }
    }
    if (c->state == KAD_CAND_FAILED) {
        (void)other_next(c);
    }
}

/* ---- which next ---- */

/* What a path sees of its |width| closest that live. */
struct view {
    struct kad_cand *next; /* closest not asked yet, or NULL */
    bool waits;            /* for one it asked */
    unsigned crowded;      /* passed over */
};

/* How many more of the run of peers from |i| on, packed together, may be asked. */
static unsigned run_budget(const struct kad_candidates *q, size_t i)
{
    uint64_t run = q->cand[i].dist >> (64 - q->crowd_bits);
    unsigned taken = 0;

    for (; i < q->n && q->cand[i].dist >> (64 - q->crowd_bits) == run; i++) {
        taken += q->cand[i].state != KAD_CAND_NEW ? 1u : 0u;
    }
    return taken < KAD_CROWD_MAX ? KAD_CROWD_MAX - taken : 0;
}

/* Of peers in the same distance class the one of better repute and shorter round trip goes first. */
static bool before(const struct kad_cand *c, const struct kad_cand *than, tstamp now)
{
    if (than == NULL) {
        return true;
    }
    return (c->dist ^ than->dist) < (c->dist & than->dist) &&
           kad_contact_weight(c->peer, now) > kad_contact_weight(than->peer, now);
}

static struct view look(struct kad_candidates *q, unsigned path, tstamp now)
{
    struct view v = {.next = NULL};
    unsigned live = 0, budget = UINT_MAX;
    uint64_t run = UINT64_MAX;

    for (size_t i = 0; i < q->n && live < q->width; i++) {
        struct kad_cand *c = &q->cand[i];
        if (q->crowd_bits > 0 && c->dist >> (64 - q->crowd_bits) != run) {
            run = c->dist >> (64 - q->crowd_bits);
            budget = run_budget(q, i);
        }
        if (((unsigned)c->paths >> path & 1u) == 0) {
            continue;
        }
        if (c->state == KAD_CAND_NEW) {
            if (budget == 0) {
                v.crowded++;
                continue;
            }
            budget--;
            live++;
            v.next = before(c, v.next, now) ? c : v.next;
        } else if (c->by == path && (c->state == KAD_CAND_ASKED || c->state == KAD_CAND_ANSWERED)) {
            live += c->soft ? 0 : 1; /* it may be dead: one more is asked in its place */
            v.waits = v.waits || c->state == KAD_CAND_ASKED;
        }
    }
    return v;
}

struct kad_contact *kad_candidates_next(struct kad_candidates *q, tstamp now)
{
    if (q->rpcs >= q->rpcs_max) {
        return NULL;
    }
    for (unsigned i = 0; i < q->n_paths; i++) {
        unsigned path = (q->turn + i) % q->n_paths;
        unsigned extra = q->soft[path] < q->alpha ? q->soft[path] : q->alpha;
        if (q->active[path] >= q->alpha + extra) {
            continue;
        }
        struct kad_cand *c = look(q, path, now).next;
        if (c != NULL) {
            c->state = KAD_CAND_ASKED;
            c->by = (uint8_t)path;
            q->active[path]++;
            q->rpcs++;
            q->turn = (uint8_t)(path + 1);
            return c->peer;
        }
    }
    return NULL;
}

bool kad_candidates_done(struct kad_candidates *q)
{
    if (q->late > 2 * (q->answered + 1)) {
        return false; /* it may be us that is slow */
    }
    for (unsigned path = 0; path < q->n_paths; path++) {
        struct view v = look(q, path, 0);
        if (v.waits || (v.next != NULL && q->rpcs < q->rpcs_max)) {
            return false;
        }
    }
    return true;
}

unsigned kad_candidates_crowded(struct kad_candidates *q)
{
    unsigned n = 0;

    for (unsigned path = 0; path < q->n_paths; path++) {
        n += look(q, path, 0).crowded;
    }
    return n;
}

unsigned kad_candidates_within(const struct kad_candidates *q, uint64_t radius)
{
    unsigned n = 0;

    for (size_t i = 0; i < q->n && q->cand[i].dist <= radius; i++) {
        n += q->cand[i].state != KAD_CAND_FAILED ? 1 : 0;
    }
    return n;
}

unsigned kad_candidates_answered(const struct kad_candidates *q, uint64_t radius)
{
    unsigned n = 0;

    for (size_t i = 0; i < q->n && q->cand[i].dist <= radius; i++) {
        n += q->cand[i].state == KAD_CAND_ANSWERED ? 1 : 0;
    }
    return n;
}

void kad_candidates_join(struct kad_candidates *q, unsigned width)
{
    for (unsigned path = 1; path < q->n_paths; path++) {
        q->active[0] = (uint8_t)(q->active[0] + q->active[path]);
        q->soft[0] = (uint8_t)(q->soft[0] + q->soft[path]);
    }
    for (size_t i = 0; i < q->n; i++) {
        q->cand[i].paths = 1;
        q->cand[i].by = 0;
    }
    q->known[0] = (uint8_t)(q->n < KAD_CANDS_ONE ? q->n : KAD_CANDS_ONE);
    q->n_paths = 1;
    q->turn = 0;
    q->alpha = KAD_ALPHA_FIND;
    q->width = (uint8_t)width;
}

/* ---- how it went ---- */

static void unsoft(struct kad_candidates *q, struct kad_cand *c)
{
    if (c->soft) {
        ASSERT(q->soft[c->by] > 0);
        q->soft[c->by]--;
        c->soft = false;
    }
}

static struct kad_cand *settle(struct kad_candidates *q, const struct kad_contact *p,
                               enum kad_cand_state state)
{
    struct kad_cand *c = cand_of(q, p);

    if (c == NULL || (c->state != KAD_CAND_ASKED && c->state != KAD_CAND_LATE)) {
        return NULL;
    }
    if (c->state == KAD_CAND_LATE) {
        ASSERT(q->late > 0);
        q->late--;
    } else {
        ASSERT(q->active[c->by] > 0);
        q->active[c->by]--;
    }
    unsoft(q, c);
    c->state = (uint8_t)state;
    return c;
}

struct kad_cand *kad_candidates_reply(struct kad_candidates *q, const struct kad_contact *p)
{
    struct kad_cand *c = settle(q, p, KAD_CAND_ANSWERED);

    q->answered += c != NULL ? 1 : 0;
    return c;
}

struct kad_cand *kad_candidates_fail(struct kad_candidates *q, const struct kad_contact *p)
{
    struct kad_cand *c = settle(q, p, KAD_CAND_FAILED);

    q->failures += c != NULL ? 1 : 0;
    if (c != NULL) {
        (void)other_next(c);
    }
    return c;
}

void kad_candidates_soft(struct kad_candidates *q, const struct kad_contact *p)
{
    struct kad_cand *c = cand_of(q, p);

    if (c != NULL && c->state == KAD_CAND_ASKED && !c->soft) {
        c->soft = true;
        q->soft[c->by]++;
    }
}

void kad_candidates_late(struct kad_candidates *q, const struct kad_contact *p)
{
    struct kad_cand *c = cand_of(q, p);

    if (c == NULL || c->state != KAD_CAND_ASKED) {
        return;
    }
    unsoft(q, c);
    ASSERT(q->active[c->by] > 0);
    q->active[c->by]--;
    q->late++;
    c->state = KAD_CAND_LATE;
    if (q->n_paths == 1 && q->rpcs_max == KAD_LOOKUP_RPCS_MAX && q->alpha < KAD_ALPHA_FIND) {
        q->alpha = KAD_ALPHA_FIND;
    }
}

void kad_candidates_again(struct kad_candidates *q, struct kad_cand *c)
{
    ASSERT(c->state == KAD_CAND_ANSWERED && q->answered > 0);
    c->state = KAD_CAND_ASKED;
    q->active[c->by]++;
    q->answered--;
    q->rpcs++;
}

/* ---- what it found ---- */

bool kad_candidates_filled(const struct kad_candidates *q, unsigned bits, unsigned want)
{
    unsigned n = 0;

    for (size_t i = 0; i < q->n && q->cand[i].dist >> (64 - bits) == 0; i++) {
        n += q->cand[i].state == KAD_CAND_ANSWERED ? 1 : 0;
    }
    return n >= want;
}

unsigned kad_candidates_near(const struct kad_candidates *q)
{
    unsigned answered = 0, live = 0;

    for (size_t i = 0; i < q->n && live < KAD_K; i++) {
        uint8_t state = q->cand[i].state;
        live += state == KAD_CAND_FAILED || state == KAD_CAND_LATE ? 0 : 1;
        answered += state == KAD_CAND_ANSWERED ? 1 : 0;
    }
    return answered;
}

size_t kad_candidates_result(const struct kad_candidates *q, size_t max, struct kad_contact **out)
{
    size_t n = 0;

    for (size_t i = 0; i < q->n && n < max; i++) {
        if (q->cand[i].state == KAD_CAND_ANSWERED) {
            out[n++] = q->cand[i].peer;
        }
    }
    return n;
}

size_t kad_candidates_for_store(const struct kad_candidates *q, size_t max,
                                struct kad_contact **out)
{
    size_t n = 0;

    for (size_t i = 0; i < q->n && n < max; i++) {
        uint8_t state = q->cand[i].state;
        if (state == KAD_CAND_ANSWERED || (state == KAD_CAND_NEW && n >= q->width)) {
            out[n++] = q->cand[i].peer;
        }
    }
    return n;
}

uint32_t kad_candidates_hops(const struct kad_candidates *q)
{
    unsigned seen = 0, least = 0;

    for (size_t i = 0; i < q->n && seen < KAD_K; i++) {
        const struct kad_cand *c = &q->cand[i];
        if (c->state == KAD_CAND_ANSWERED) {
            least = seen == 0 || c->depth < least ? c->depth : least;
            seen++;
        }
    }
    return least;
}
