/*
 * query.c - one lookup: a list of candidates sorted by distance to the target.
 *
 *   NEW --next--> ASKED --reply--> ANSWERED        done: of the k closest that have not failed
 *                   '----fail----> FAILED                all answered
 *
 * At most alpha are asked at once; each that passed its soft timeout makes room for one more, up to
 * twice alpha.
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"

#include <string.h>

void kad_query_init(struct kad_query *q, const uint8_t target[SHA256_LEN],
                    const uint8_t self[SHA256_LEN], unsigned alpha)
{
    q->n = 0;
    q->active = 0;
    q->soft = 0;
    q->rpcs = 0;
    q->rpcs_max = KAD_QUERY_RPCS_MAX;
    q->answered = 0;
    q->failures = 0;
    q->alpha = (uint8_t)alpha;
    q->n_met = 0;
    memset(q->met, 0, sizeof(q->met));
    memcpy(q->target, target, SHA256_LEN);
    memcpy(q->self, self, SHA256_LEN);
}

void kad_query_fini(struct kad_query *q)
{
    for (size_t i = 0; i < q->n; i++) {
        kad_peer_unref(q->cand[i].peer);
    }
    for (size_t i = 0; i < KAD_MET && q->n_met > 0; i++) {
        kad_peer_unref(q->met[i]);
        q->met[i] = NULL;
    }
    q->n = 0;
    q->n_met = 0;
    q->active = 0;
}

/*
 * Where the peer of that id is or would be.  Whoever makes ids that meet in one place slows down this
 * lookup: at most KAD_MET_MAX comparisons each.
 */
static size_t met_at(const struct kad_query *q, struct slice id)
{
    size_t at = id.len < 4 ? 0 : (size_t)(id.base[id.len - 1] ^ id.base[id.len - 2] << 3);

    for (at %= KAD_MET; q->met[at] != NULL && !kad_peer_is(q->met[at], id);) {
        at = (at + 1) % KAD_MET;
    }
    return at;
}

struct kad_peer *kad_query_met(const struct kad_query *q, struct slice id)
{
    return q->met[met_at(q, id)];
}

void kad_query_meet(struct kad_query *q, struct kad_peer *p)
{
    size_t at = met_at(q, kad_peer_id(p));

    if (q->met[at] == NULL && q->n_met < KAD_MET_MAX) {
        q->met[at] = kad_peer_ref(p);
        q->n_met++;
    }
}

/* Where |hash| is or would be; *found tells which. */
static size_t place_of(const struct kad_query *q, const uint8_t hash[SHA256_LEN], uint64_t dist,
                       bool *found)
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

static uint64_t dist_of(const struct kad_query *q, const uint8_t hash[SHA256_LEN])
{
    return kad_hash_prefix(hash) ^ kad_hash_prefix(q->target);
}

bool kad_query_knows(const struct kad_query *q, const uint8_t hash[SHA256_LEN])
{
    bool found;

    (void)place_of(q, hash, dist_of(q, hash), &found);
    return found;
}

bool kad_query_add(struct kad_query *q, struct kad_peer *p, unsigned depth)
{
    uint64_t dist = dist_of(q, p->hash);
    bool found;
    size_t at = place_of(q, p->hash, dist, &found);

    if (found || memcmp(p->hash, q->self, SHA256_LEN) == 0) {
        return false;
    }
    if (q->n == KAD_CANDS_MAX) {
        size_t out = q->n; /* past the farthest that is not being asked */
        while (out > at && q->cand[out - 1].state == KAD_CAND_ASKED) {
            out--;
        }
        if (out == at) {
            return false;
        }
        kad_peer_unref(q->cand[out - 1].peer);
        memmove(&q->cand[out - 1], &q->cand[out], (q->n - out) * sizeof(q->cand[0]));
        q->n--;
    }
    memmove(&q->cand[at + 1], &q->cand[at], (q->n - at) * sizeof(q->cand[0]));
    q->cand[at] = (struct kad_cand){.dist = dist,
                                    .peer = kad_peer_ref(p),
                                    .state = KAD_CAND_NEW,
                                    .depth = (uint8_t)(depth > UINT8_MAX ? UINT8_MAX : depth)};
    q->n++;
    return true;
}

struct kad_peer *kad_query_next(struct kad_query *q)
{
    uint32_t extra = q->soft < q->alpha ? q->soft : q->alpha;
    unsigned live = 0;

    if (q->active >= q->alpha + extra || q->rpcs >= q->rpcs_max) {
        return NULL;
    }
    for (size_t i = 0; i < q->n && live < KAD_K; i++) {
        struct kad_cand *c = &q->cand[i];
        if (c->state == KAD_CAND_NEW) {
            c->state = KAD_CAND_ASKED;
            q->active++;
            q->rpcs++;
            return c->peer;
        }
        live += c->state == KAD_CAND_FAILED ? 0 : 1;
    }
    return NULL;
}

static struct kad_cand *asked(struct kad_query *q, const struct kad_peer *p)
{
    bool found;
    size_t at = place_of(q, p->hash, dist_of(q, p->hash), &found);

    return found && q->cand[at].state == KAD_CAND_ASKED ? &q->cand[at] : NULL;
}

static struct kad_cand *settle(struct kad_query *q, const struct kad_peer *p,
                               enum kad_cand_state state)
{
    struct kad_cand *c = asked(q, p);

    if (c == NULL) {
        return NULL;
    }
    ASSERT(q->active > 0);
    q->active--;
    if (c->soft != 0) {
        ASSERT(q->soft > 0);
        q->soft--;
        c->soft = 0;
    }
    c->state = (uint8_t)state;
    return c;
}

struct kad_cand *kad_query_reply(struct kad_query *q, const struct kad_peer *p)
{
    struct kad_cand *c = settle(q, p, KAD_CAND_ANSWERED);

    q->answered += c != NULL ? 1 : 0;
    return c;
}

struct kad_cand *kad_query_fail(struct kad_query *q, const struct kad_peer *p)
{
    struct kad_cand *c = settle(q, p, KAD_CAND_FAILED);

    q->failures += c != NULL ? 1 : 0;
    return c;
}

void kad_query_soft(struct kad_query *q, const struct kad_peer *p)
{
    struct kad_cand *c = asked(q, p);

    if (c != NULL && c->soft == 0) {
        c->soft = 1;
        q->soft++;
    }
}

bool kad_query_filled(const struct kad_query *q, unsigned bits, unsigned want)
{
    unsigned n = 0;

    for (size_t i = 0; i < q->n && q->cand[i].dist >> (64 - bits) == 0; i++) {
        n += q->cand[i].state == KAD_CAND_ANSWERED ? 1 : 0;
    }
    return n >= want;
}

bool kad_query_done(const struct kad_query *q)
{
    unsigned live = 0;

    for (size_t i = 0; i < q->n && live < KAD_K; i++) {
        uint8_t state = q->cand[i].state;
        if (state == KAD_CAND_ASKED) {
            return false;
        }
        if (state == KAD_CAND_NEW && q->rpcs < q->rpcs_max) {
            return false;
        }
        live += state == KAD_CAND_ANSWERED ? 1 : 0;
    }
    return true;
}

size_t kad_query_result(const struct kad_query *q, size_t max, struct kad_peer **out)
{
    size_t n = 0;

    for (size_t i = 0; i < q->n && n < max; i++) {
        if (q->cand[i].state == KAD_CAND_ANSWERED) {
            out[n++] = q->cand[i].peer;
        }
    }
    return n;
}

uint32_t kad_query_hops(const struct kad_query *q)
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
