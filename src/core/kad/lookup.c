/*
 * lookup.c - the lookup of a job: whom to begin with, what answers name, and what to do when it looks crowded.
 *
 *   ask on --nobody left--> few answered, many failed? begin again with the table
 *                           peers packed at the key, more than there should be? SWEEP: look into the sibling
 *                           prefixes around it, where who sits at the key has no say; then ask on, wider
 *
 * A masked walk tells peers on the way a key that shares only the first bits with the true one; those
 * near enough to hold the value are told the key itself.
 */
#include "core/kad/kad_int.h"

#include <string.h>

#define GROUP_REPLY_MAX 3    /* peers of one network believed from one answer */
#define CROWD_SPARE_BITS 4u  /* a prefix so much longer than log2 N holds nobody but by chance */
#define DENSE (2 * KAD_K)    /* peers where k are expected */
#define LACKING_FAILED 8     /* so many lost: who answered may not be the closest that live */
#define THIN (6 * KAD_K / 5) /* where so many are expected, k answer but by bad luck */
#define SWEEPS_MAX 3         /* of a lookup that lost many */
#define SWEEPS_DOUBTED 2     /* of a read along paths that found nothing */
#define SWEEP_ASKED 3u       /* of each sibling */
#define MASK_SPARE_BITS 1
#define PART_RPCS_ALPHA 1

/* ---- beginning ---- */

static bool narrow(const struct kad_job *j)
{
    return j->op == KAD_OP_GET || j->op == KAD_OP_PROVIDERS || j->op == KAD_OP_FIND_PEER ||
           j->bits > 0;
}

static void choose_mask(struct kad *k, struct kad_job *j)
{
    unsigned bits = kad_near_bits(k) + MASK_SPARE_BITS;

    if (!j->opt.masked || kad_near_bits(k) == 0 || j->mask_bits != 0) {
        return;
    }
    bits = bits < KAD_PLACE_BITS ? bits : KAD_PLACE_BITS; /* no keys are found for more */
    uint32_t place = (uint32_t)(kad_hash_prefix(j->hash) >> (64 - KAD_PLACE_BITS));
    uint32_t low = (UINT32_C(1) << (KAD_PLACE_BITS - bits)) - 1;
    j->mask_bits = bits;
    j->mask_place = (place & ~low) | (rng_u32(&k->cfg.rng) & low);
}

/*
 * What distinguishes place |ix| of a sweep from the target, and how many bits matter.  The first sibling is
 * the largest, more than one answer can name: its two halves are places of their own.
 */
static uint64_t sibling(const struct kad_job *j, unsigned ix, unsigned *bits)
{
    unsigned bit = j->sweep_from + (ix < 2 ? 0 : ix - 1);
    uint64_t flip = UINT64_C(1) << (63 - bit);

    *bits = bit + (ix < 2 ? 2 : 1);
    return ix == 1 ? flip | flip >> 1 : flip;
}

bool kad_job_place(struct kad *k, const struct kad_job *j, unsigned alt, uint8_t key[KAD_PLACE_KEY])
{
    unsigned bits = j->mask_bits;
    uint64_t place = j->mask_place;

    if (alt != KAD_ALT_MASK) {
        place = kad_hash_prefix(j->hash) ^ sibling(j, alt - KAD_ALT_SWEEP, &bits);
        place >>= 64 - KAD_PLACE_BITS;
    }
    return kad_place_key(k, (uint32_t)place, bits, key);
}

/* Only where a value is at stake: who asks for the closest peers gets them, whoever they are. */
static unsigned crowd_bits(const struct kad *k, const struct kad_job *j)
{
    bool value = j->op == KAD_OP_PUT || j->op == KAD_OP_GET || j->op == KAD_OP_PROVIDE ||
                 j->op == KAD_OP_PROVIDERS;
    unsigned bits = kad_size_bits(k);

    return !value || bits == 0 || bits > 50 ? 0u : bits + CROWD_SPARE_BITS;
}

void kad_walk_begin(struct kad *k, struct kad_job *j, tstamp now)
{
    struct kad_peer *near[KAD_K];
    struct kad_query *q = &j->q;

    if (k->spaces == 0 && j->op != KAD_OP_BOOTSTRAP) { /* the table of a newcomer says nothing */
        kad_size_look(k, now);
    }
    choose_mask(k, j);
    kad_query_fini(q);
    kad_query_init(q, j->hash, k->hash, narrow(j) ? KAD_ALPHA_GET : KAD_ALPHA_FIND);
    q->lab = k->cfg.lab;
    q->crowd_bits = (uint8_t)crowd_bits(k, j);
    if (j->bits > 0) {
        q->rpcs_max = KAD_PART_RPCS;
        q->alpha = j->op == KAD_OP_BOOTSTRAP ? KAD_ALPHA_GET : PART_RPCS_ALPHA;
    } else if ((j->op == KAD_OP_GET || j->op == KAD_OP_PUT) && j->read == KAD_READ_PATHS) {
        q->n_paths = KAD_PATHS;
        q->width = KAD_PATH_ANSWERS;
        q->alpha = 1;
    }
    size_t n = kad_table_closest(&k->table, j->hash, NULL, KAD_K, near);
    for (size_t i = 0; i < n; i++) {
        (void)kad_query_add(q, near[i], 1, (unsigned)(i % q->n_paths));
        kad_query_meet(q, near[i]);
    }
    for (size_t i = 0; i < k->n_seeds && n < KAD_K; i++) {
        if (k->seed[i]->fails == 0 || n == 0 || j->op == KAD_OP_BOOTSTRAP) {
            (void)kad_query_add(q, k->seed[i], 1, (unsigned)(i % q->n_paths));
        }
    }
    kad_table_touch(&k->table, j->hash, now);
}

bool kad_walk_refresh(struct kad *k, struct kad_job *j, tstamp now)
{
    unsigned nearest = kad_table_nearest(&k->table);

    while (j->refresh < nearest && j->refresh <= KAD_REFRESH_BITS) {
        unsigned cpl = j->refresh++, part = kad_part_to_fill(k, cpl);
        uint8_t key[KAD_PLACE_KEY];
        if (!kad_table_lacks(&k->table, cpl, part) || !kad_part_key(k, cpl, part, key)) {
            continue;
        }
        memcpy(j->key, key, sizeof(key));
        j->key_len = sizeof(key);
        sha256(j->hash, (struct slice){key, sizeof(key)});
        j->bits = cpl + 1 + KAD_PART_BITS;
        kad_job_tally(j);
        j->failures += j->q.late; /* they are not heard of again */
        kad_walk_begin(k, j, now);
        return true;
    }
    return false;
}

/* ---- what answers name ---- */

/* Peers of a network that an answer names too often are all left out: it may be a flood. */
static bool overdone(struct kad_peer *const *p, size_t n, size_t ix)
{
    size_t same = 0;

    for (size_t i = 0; i < n; i++) {
        same += p[i] != NULL && p[i]->who->group == p[ix]->who->group ? 1 : 0;
    }
    return p[ix]->who->group != 0 && same > GROUP_REPLY_MAX;
}

static enum kad_refusal why_unusable(const struct kad *k, struct slice id)
{
    struct peer_id peer;

    if (peer_id_from_bytes(&peer, id) != QUDAG_OK) {
        return KAD_REFUSED_PEER_ID;
    }
    return peer_id_eq(&peer, &k->cfg.self) ? KAD_REFUSED_PEER_SELF : KAD_REFUSED_PEER_ADDR;
}

static void take_one(struct kad *k, struct kad_job *j, struct kad_peer *p, unsigned depth,
                     unsigned path, tstamp now)
{
    if (!kad_failed_lately(k, p->hash, now)) {
        (void)kad_query_add(&j->q, p, depth + 1, path);
    }
    if (j->op == KAD_OP_FIND_PEER && p->who->n_addrs > 0 &&
        memcmp(p->hash, j->hash, SHA256_LEN) == 0) {
        kad_job_found(j, p);
    }
}

void kad_walk_take(struct kad *k, struct kad_job *j, const struct kad_msg *m, unsigned depth,
                   unsigned path, tstamp now)
{
    struct kad_peer *p[KAD_PEERS_MAX];
    bool met[KAD_PEERS_MAX];
    size_t bad_addrs = 0;

    for (size_t i = 0; i < m->n_raw; i++) {
        p[i] = kad_query_met(&j->q, m->raw[i].id);
        met[i] = p[i] != NULL;
        p[i] = met[i] ? kad_peer_ref(p[i]) : kad_peer_of(k, &m->raw[i], &bad_addrs);
        if (p[i] == NULL) {
            kad_refuse(k, why_unusable(k, m->raw[i].id));
        }
    }
    kad_refuse_n(k, KAD_REFUSED_PEER_ADDR, bad_addrs);
    for (size_t i = 0; i < m->n_raw; i++) {
        if (p[i] == NULL || (met[i] && j->q.n_paths == 1)) {
            continue;
        }
        if (!met[i] && kad_query_met(&j->q, m->raw[i].id) != NULL) {
            kad_refuse(k, KAD_REFUSED_PEER_TWICE);
            continue;
        }
        if (!k->cfg.lab && overdone(p, m->n_raw, i)) {
            kad_refuse(k, KAD_REFUSED_PEER_CROWD);
            continue;
        }
        take_one(k, j, p[i], depth, path, now);
        kad_query_meet(&j->q, p[i]);
    }
    for (size_t i = 0; i < m->n_raw; i++) {
        kad_peer_unref(p[i]);
    }
}

/* ---- the sweep ---- */

static bool alarming(struct kad *k, struct kad_job *j)
{
    uint64_t radius = kad_radius(k, KAD_K);

    return radius != 0 && (kad_query_crowded(&j->q) > 0 || kad_query_within(&j->q, radius) > DENSE);
}

/* Among whom a place of a sweep is looked for: |near|: nobody farther from the target than this. */
struct place {
    uint64_t flip, near;
};

/* The candidate closest to |p|, farther from it than |after| (|first|: whatever); NULL: none. */
static const struct kad_cand *sibling_next(const struct kad_query *q, const struct place *p,
                                           uint64_t after, bool first, uint64_t *dist)
{
    const struct kad_cand *best = NULL;

    for (size_t i = 0; i < q->n && q->cand[i].dist <= p->near; i++) {
        const struct kad_cand *c = &q->cand[i];
        uint64_t d = c->dist ^ p->flip;
        if (c->state == KAD_CAND_ANSWERED && (first || d > after) && (best == NULL || d < *dist)) {
            best = c;
            *dist = d;
        }
    }
    return best;
}

static void sweep_sibling(struct kad *k, struct kad_job *j, unsigned ix, tstamp now,
                          struct acts *out)
{
    struct kad_call call = {.type = KAD_FIND_NODE, .alt = (uint8_t)(KAD_ALT_SWEEP + ix)};
    unsigned bits, last = SWEEP_ASKED * j->swept; /* those before were asked by the sweeps before */
    uint64_t dist = 0, after = 0;
    struct place p = {.flip = sibling(j, ix, &bits), .near = UINT64_MAX};

    if (j->mask_bits > MASK_SPARE_BITS && bits > j->mask_bits) {
        p.near >>= j->mask_bits - MASK_SPARE_BITS; /* it shows more of the key than the mask does */
    }
    for (unsigned n = 0; bits <= KAD_PLACE_BITS && n < last && kad_room(k, out, 4, KAD_HINTS_MAX);
         n++) {
        const struct kad_cand *c = sibling_next(&j->q, &p, after, n == 0, &dist);
        if (c == NULL) {
            return;
        }
        after = dist;
        if (n + SWEEP_ASKED < last) {
            continue;
        }
        j->rpcs++;
        if (kad_rpc_start(k, j, c->peer, call, now, out) == QUDAG_OK) {
            j->sweeps++;
        }
    }
}

/* After many failures: fewer than k answered, or they are farther away than they should be. */
static bool lacking(const struct kad *k, const struct kad_query *q)
{
    uint64_t radius = kad_radius(k, THIN);

    if (q->failures + q->late < LACKING_FAILED) {
        return false;
    }
    return q->answered < KAD_K || (radius != 0 && kad_query_answered(q, radius) < KAD_K);
}

/* True when there is something to wait for or to go on with. */
static bool sweep(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    bool stores = j->op == KAD_OP_PUT || j->op == KAD_OP_PROVIDE;
    bool misses =
        (j->op == KAD_OP_GET && j->value == NULL) || (j->op == KAD_OP_PROVIDERS && j->n_found == 0);
    bool crowded = (stores || misses) && alarming(k, j), paths = j->q.n_paths > 1;
    /* Where it matters: absent, or hidden from us?  Are these the closest, or who wants to be them? */
    bool doubted = (misses || stores) && !paths && j->read == KAD_READ_PATHS;
    unsigned most = doubted && misses              ? SWEEPS_DOUBTED
                    : crowded || misses || doubted ? 1
                                                   : SWEEPS_MAX;

    if (j->swept >= most || j->bits > 0) {
        return false;
    }
    if (paths && (misses || stores) && !crowded) {
        /* The paths have shown who there is: now all of the k closest. */
        kad_query_join(&j->q, KAD_K);
        return true;
    }
    if (!crowded && !doubted && !lacking(k, &j->q)) {
        return false;
    }
    j->swept++;
    k->stats.wide_searches++;
    kad_query_join(&j->q, crowded || doubted ? KAD_SWEEP_WIDTH : KAD_K);
    /* Where many died, who lives is farther away: each sweep begins with a larger sibling. */
    unsigned near = kad_near_bits(k), wider = crowded ? 1u : 1u + j->swept;
    j->sweep_from = (uint8_t)(near > wider ? near - wider : 0);
    for (unsigned i = 0; i < KAD_SWEEP_MAX; i++) {
        sweep_sibling(k, j, i, now, out);
    }
    return true;
}

/* ---- asking on ---- */

/*
 * After many failures there are fewer than k that answer, and every answer names the same dead ones:
 * our own table knows others.
 */
static bool widen(struct kad *k, struct kad_job *j)
{
    struct kad_peer *near[KAD_K];
    bool more = false;

    if (j->q.answered >= KAD_K || j->q.failures + j->q.late == 0) {
        return false;
    }
    size_t n = kad_table_closest(&k->table, j->hash, NULL, KAD_K, near);
    for (size_t i = 0; i < n; i++) {
        more |= kad_query_add(&j->q, near[i], 1, 0);
    }
    return more;
}

static struct kad_call call_of(const struct kad_job *j, const struct kad_peer *p)
{
    if (j->mask_bits > 0 && kad_cpl(j->hash, p->hash) < j->mask_bits) {
        return (struct kad_call){.type = KAD_FIND_NODE, .alt = KAD_ALT_MASK};
    }
    return (struct kad_call){.type = j->type};
}

bool kad_walk_on(struct kad *k, struct kad_job *j, tstamp now, struct acts *out)
{
    for (;;) {
        if (!kad_room(k, out, 4, KAD_HINTS_MAX)) {
            j->starved = true;
            k->more = true;
            return false;
        }
        struct kad_peer *p = kad_query_next(&j->q, now);
        if (p != NULL) {
            if (kad_rpc_start(k, j, p, call_of(j, p), now, out) != QUDAG_OK) {
                (void)kad_query_fail(&j->q, p);
            }
            continue;
        }
        if (j->sweeps > 0 || !kad_query_done(&j->q)) {
            return false;
        }
        if (!widen(k, j) && !sweep(k, j, now, out)) {
            return true;
        }
    }
}
