/*
 * lookup.c - where a lookup begins, what answers name, and what to do when the key looks crowded.
 *
 *   ask on --nobody left--> few answered, many failed? begin again with the table
 *                           nodes packed at the key, more than there should be? WIDE SEARCH: look into the
 *                           neighbour prefixes, of which nodes packed at the key say nothing; then ask on, wider
 *
 * A masked lookup asks nodes along the way for a key that shares only the first bits with the true one; only
 * nodes close enough to hold the value see the key itself.
 */
#include "core/kad/lookup/lookup.h"

#include "base/assert.h"
#include "core/kad/common/rules.h"

#include <string.h>

#define CROWD_SPARE_BITS 4u /* a prefix so much longer than log2 N holds nobody but by chance */
#define DENSE (2 * KAD_K)   /* peers where k are expected */
#define LACKING_FAILED 8 /* so many failed: those that answered may not be the closest that live */
#define THIN (6 * KAD_K / 5)  /* where so many are expected, k answer but by bad luck */
#define WIDE_ROUNDS_MAX 3     /* of a lookup in which many failed */
#define WIDE_ROUNDS_DOUBTED 2 /* of a read along paths that found nothing */
#define WIDE_ASKED 3u         /* of each neighbour */
#define MASK_SPARE_BITS 1
#define PART_RPCS_ALPHA 1

/* ---- life ---- */

void kad_lookup_init(struct kad_lookup *l, const struct kad_rpc_ops *ops,
                     const struct kad_lookup_params *p, struct slice key)
{
    ASSERT(key.len <= KAD_KEY_MAX);
    l->owner.ops = ops;
    list_init(&l->owner.rpcs);
    l->p = *p;
    l->key_len = (uint16_t)key.len;
    memcpy(l->key, key.base, key.len);
    sha256(l->hash, key);
}

void kad_lookup_fini(struct kad_rpcs *rs, struct kad_lookup *l)
{
    LIST_EACH_SAFE(it, tmp, &l->owner.rpcs)
    {
        kad_rpc_abort(rs, LIST_ENTRY(it, struct kad_rpc, node), NULL);
    }
    kad_contact_unref(l->match);
    kad_candidates_fini(&l->q);
}

/* ---- beginning ---- */

static void choose_mask(struct kad_rpcs *rs, struct kad_lookup *l)
{
    unsigned bits = kad_netsize_near_bits(&rs->routing->size) + MASK_SPARE_BITS;

    if (!l->p.masked || kad_netsize_near_bits(&rs->routing->size) == 0 || l->mask_bits != 0) {
        return;
    }
    bits = bits < KAD_PREFIX_BITS ? bits : KAD_PREFIX_BITS; /* no keys are found for more */
    uint32_t first = (uint32_t)(kad_hash_prefix(l->hash) >> (64 - KAD_PREFIX_BITS));
    uint32_t low = (UINT32_C(1) << (KAD_PREFIX_BITS - bits)) - 1;
    l->mask_bits = bits;
    l->mask_prefix = (first & ~low) | (rng_u32(&rs->env->rng) & low);
}

/*
 * What distinguishes neighbour prefix |ix| from the target, and how many bits it has.  The first is the largest, with
 * more nodes than one answer can name: its two halves are searched separately.
 */
static uint64_t neighbour(const struct kad_lookup *l, unsigned ix, unsigned *bits)
{
    unsigned bit = l->wide_from + (ix < 2 ? 0 : ix - 1);
    uint64_t flip = UINT64_C(1) << (63 - bit);

    *bits = bit + (ix < 2 ? 2 : 1);
    return ix == 1 ? flip | flip >> 1 : flip;
}

bool kad_lookup_told_key(struct kad_rpcs *rs, const struct kad_lookup *l, unsigned alt,
                         uint8_t key[KAD_PREFIX_KEY])
{
    unsigned bits = l->mask_bits;
    uint64_t prefix = l->mask_prefix;

    if (alt != KAD_ALT_MASK) {
        prefix = kad_hash_prefix(l->hash) ^ neighbour(l, alt - KAD_ALT_NEIGHBOUR, &bits);
        prefix >>= 64 - KAD_PREFIX_BITS;
    }
    return kad_contacts_prefix_key(rs->routing, (uint32_t)prefix, bits, key);
}

/* Only where a value is at stake: a search for the closest nodes wants them in any case. */
static unsigned crowd_bits(const struct kad_rpcs *rs, const struct kad_lookup *l)
{
    unsigned bits = kad_netsize_bits(&rs->routing->size);

    return !(l->p.seeks || l->p.stores) || bits == 0 || bits > 50 ? 0u : bits + CROWD_SPARE_BITS;
}

/*
 * Nobody else is known: entries that fell silent are asked all the same, since they may be back, or our own network
 * was away.  Those that are silent again leave the table, so this comes to an end.
 */
static void ask_failing(struct kad_rpcs *rs, struct kad_candidates *q)
{
    struct kad_contact *failing[KAD_K];
    size_t n = kad_table_failing(&rs->routing->table, KAD_K, failing);

    for (size_t i = 0; i < n; i++) {
        (void)kad_candidates_add(q, failing[i], 1, (unsigned)(i % q->n_paths));
        kad_candidates_see(q, failing[i]);
    }
}

void kad_lookup_begin(struct kad_rpcs *rs, struct kad_lookup *l, tstamp now)
{
    struct kad_contact *near[KAD_K];
    struct kad_candidates *q = &l->q;

    if (rs->routing->size.n == 0 && !l->p.bootstrap) { /* the table of a newcomer says nothing */
        kad_netsize_from_table(&rs->routing->size, &rs->routing->table, now);
    }
    choose_mask(rs, l);
    kad_candidates_fini(q);
    kad_candidates_init(q, rs->env->mem, l->hash, rs->env->hash,
                        l->p.narrow || l->p.bits > 0 ? KAD_ALPHA_GET : KAD_ALPHA_FIND);
    q->lab = rs->env->lab;
    q->crowd_bits = (uint8_t)crowd_bits(rs, l);
    if (l->p.bits > 0) {
        q->rpcs_max = KAD_PART_RPCS;
        q->alpha = l->p.bootstrap ? KAD_ALPHA_GET : PART_RPCS_ALPHA;
    } else if (l->p.careful) {
        q->n_paths = KAD_PATHS;
        q->width = KAD_PATH_ANSWERS;
        q->alpha = 1;
    }
    size_t n = kad_table_closest(&rs->routing->table, l->hash, NULL, KAD_K, near);
    for (size_t i = 0; i < n; i++) {
        (void)kad_candidates_add(q, near[i], 1, (unsigned)(i % q->n_paths));
        kad_candidates_see(q, near[i]);
    }
    for (size_t i = 0; i < rs->routing->n_seeds && n < KAD_K; i++) {
        if (rs->routing->seed[i]->fails == 0 || n == 0 || l->p.bootstrap) {
            (void)kad_candidates_add(q, rs->routing->seed[i], 1, (unsigned)(i % q->n_paths));
        }
    }
    if (q->n == 0) {
        ask_failing(rs, q);
    }
    kad_table_touch(&rs->routing->table, l->hash, now);
}

bool kad_lookup_refresh(struct kad_rpcs *rs, struct kad_lookup *l, unsigned *bucket, tstamp now)
{
    unsigned nearest = kad_table_nearest(&rs->routing->table);

    while (*bucket < nearest && *bucket <= KAD_REFRESH_BITS) {
        unsigned cpl = (*bucket)++, part = kad_contacts_part_to_fill(rs->routing, cpl);
        uint8_t key[KAD_PREFIX_KEY];
        if (!kad_table_lacks(&rs->routing->table, cpl, part) ||
            !kad_contacts_part_key(rs->routing, cpl, part, key)) {
            continue;
        }
        memcpy(l->key, key, sizeof(key));
        l->key_len = sizeof(key);
        sha256(l->hash, (struct slice){key, sizeof(key)});
        l->p.bits = cpl + 1 + KAD_PART_BITS;
        kad_lookup_tally(l);
        l->failures += l->q.late; /* they are not heard of again */
        kad_lookup_begin(rs, l, now);
        return true;
    }
    return false;
}

/* ---- what answers name ---- */

static enum kad_refusal why_unusable(const struct kad_rpcs *rs, struct slice id)
{
    struct peer_id peer;

    if (peer_id_from_bytes(&peer, id) != QUDAG_OK) {
        return KAD_REFUSED_PEER_ID;
    }
    return peer_id_eq(&peer, &rs->env->self) ? KAD_REFUSED_PEER_SELF : KAD_REFUSED_PEER_ADDR;
}

static void take_one(struct kad_rpcs *rs, struct kad_lookup *l, struct kad_contact *p,
                     unsigned depth, unsigned path, tstamp now)
{
    if (!kad_contacts_failed_lately(rs->routing, p, now)) {
        (void)kad_candidates_add(&l->q, p, depth + 1, path);
    }
    if (l->p.peer && l->match == NULL && p->info->n_addrs > 0 &&
        memcmp(p->hash, l->hash, SHA256_LEN) == 0) {
        l->match = kad_contact_ref(p);
    }
}

/* What is known of a node, from this lookup or the table, may be out of date, or a lie: |raw| may know better. */
static void take_elsewhere(struct kad_rpcs *rs, struct kad_lookup *l, const struct kad_contact *p,
                           const struct kad_peer_raw *raw, unsigned path, tstamp now)
{
    struct kad_contact *other = kad_contacts_elsewhere(rs->routing, p, raw);

    if (other != NULL && !kad_contacts_failed_lately(rs->routing, other, now)) {
        kad_candidates_other(&l->q, other, path);
    }
    kad_contact_unref(other);
}

void kad_lookup_take(struct kad_rpcs *rs, struct kad_lookup *l, const struct kad_msg *m,
                     unsigned depth, unsigned path, tstamp now)
{
    struct kad_contact *p[KAD_PEERS_MAX];
    uint64_t name[KAD_PEERS_MAX];
    uint32_t group[KAD_PEERS_MAX];
    bool seen[KAD_PEERS_MAX];
    size_t bad_addrs = 0;

    for (size_t i = 0; i < m->n_raw; i++) {
        name[i] = kad_addrinfo_name(&rs->routing->shared->pool, m->raw[i].id);
        p[i] = kad_candidates_seen(&l->q, name[i], m->raw[i].id);
        seen[i] = p[i] != NULL;
        p[i] = seen[i] ? kad_contact_ref(p[i])
                       : kad_contacts_of_raw(rs->routing, name[i], &m->raw[i], &bad_addrs);
        group[i] = p[i] == NULL ? 0 : p[i]->info->group;
        if (p[i] == NULL) {
            kad_refuse(rs->env, why_unusable(rs, m->raw[i].id));
        }
    }
    kad_refuse_n(rs->env, KAD_REFUSED_PEER_ADDR, bad_addrs);
    for (size_t i = 0; i < m->n_raw; i++) {
        if (p[i] == NULL) {
            continue;
        }
        if (seen[i] && l->q.n_paths == 1) {
            take_elsewhere(rs, l, p[i], &m->raw[i], path, now);
            continue;
        }
        if (!seen[i] && kad_candidates_seen(&l->q, name[i], m->raw[i].id) != NULL) {
            kad_refuse(rs->env, KAD_REFUSED_PEER_TWICE);
            continue;
        }
        if (!rs->env->lab && kad_answer_crowded(group, m->n_raw, i)) {
            kad_refuse(rs->env, KAD_REFUSED_PEER_CROWD);
            continue;
        }
        take_one(rs, l, p[i], depth, path, now);
        take_elsewhere(rs, l, p[i], &m->raw[i], path, now);
        kad_candidates_see(&l->q, p[i]);
    }
    for (size_t i = 0; i < m->n_raw; i++) {
        kad_contact_unref(p[i]);
    }
}

/* ---- the wide search ---- */

static bool alarming(struct kad_rpcs *rs, struct kad_lookup *l)
{
    uint64_t radius = kad_netsize_radius(&rs->routing->size, KAD_K);

    return radius != 0 &&
           (kad_candidates_crowded(&l->q) > 0 || kad_candidates_within(&l->q, radius) > DENSE);
}

/* Which candidates are asked for a neighbour prefix: |near|: none farther from the target than this. */
struct prefix {
    uint64_t flip, near;
};

/* The candidate closest to |p|, farther from it than |after| (|first|: whatever); NULL: none. */
static const struct kad_cand *neighbour_next(const struct kad_candidates *q, const struct prefix *p,
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

static void wide_neighbour(struct kad_rpcs *rs, struct kad_lookup *l, unsigned ix, tstamp now,
                           struct acts *out)
{
    struct kad_call call = {.type = KAD_FIND_NODE, .alt = (uint8_t)(KAD_ALT_NEIGHBOUR + ix)};
    unsigned bits,
        last = WIDE_ASKED * l->wide_rounds; /* those before were asked in the rounds before */
    uint64_t dist = 0, after = 0;
    struct prefix p = {.flip = neighbour(l, ix, &bits), .near = UINT64_MAX};

    if (l->mask_bits > MASK_SPARE_BITS && bits > l->mask_bits) {
        p.near >>= l->mask_bits - MASK_SPARE_BITS; /* it shows more of the key than the mask does */
    }
    for (unsigned n = 0;
         bits <= KAD_PREFIX_BITS && n < last && kad_env_room(rs->env, out, 4, KAD_HINTS_MAX); n++) {
        const struct kad_cand *c = neighbour_next(&l->q, &p, after, n == 0, &dist);
        if (c == NULL) {
            return;
        }
        after = dist;
        if (n + WIDE_ASKED < last) {
            continue;
        }
        l->rpcs++;
        if (kad_rpc_start(rs, &l->owner, c->peer, call, now, out) == QUDAG_OK) {
            l->wide_pending++;
        }
    }
}

/* After many failures: fewer than k answered, or they are farther away than they should be. */
static bool lacking(const struct kad_rpcs *rs, const struct kad_candidates *q)
{
    uint64_t radius = kad_netsize_radius(&rs->routing->size, THIN);

    if (q->failures + q->late < LACKING_FAILED) {
        return false;
    }
    return q->answered < KAD_K || (radius != 0 && kad_candidates_answered(q, radius) < KAD_K);
}

/* True when there is something to wait for or to go on with. */
static bool wide_search(struct kad_rpcs *rs, struct kad_lookup *l, tstamp now, struct acts *out)
{
    bool stores = l->p.stores, misses = l->p.seeks && !l->found;
    bool crowded = (stores || misses) && alarming(rs, l), paths = l->q.n_paths > 1;
    /* Where it matters: absent, or hidden from us?  Are these the closest, or Sybils that pretend to be? */
    bool doubted = (misses || stores) && !paths && l->p.careful;
    unsigned most = doubted && misses              ? WIDE_ROUNDS_DOUBTED
                    : crowded || misses || doubted ? 1
                                                   : WIDE_ROUNDS_MAX;

    if (l->wide_rounds >= most || l->p.bits > 0) {
        return false;
    }
    if (paths && (misses || stores) && !crowded) {
        /* The paths have shown which nodes there are: now all of the k closest. */
        kad_candidates_join(&l->q, KAD_K);
        return true;
    }
    if (!crowded && !doubted && !lacking(rs, &l->q)) {
        return false;
    }
    l->wide_rounds++;
    rs->env->stats.wide_searches++;
    kad_candidates_join(&l->q, crowded || doubted ? KAD_WIDE_WIDTH : KAD_K);
    /* Where many died, those that live are farther away: each round begins with a larger prefix. */
    unsigned near = kad_netsize_near_bits(&rs->routing->size),
             wider = crowded ? 1u : 1u + l->wide_rounds;
    l->wide_from = (uint8_t)(near > wider ? near - wider : 0);
    for (unsigned i = 0; i < KAD_WIDE_PREFIXES; i++) {
        wide_neighbour(rs, l, i, now, out);
    }
    return true;
}

/* ---- asking on ---- */

/*
 * After many failures there are fewer than k that answer, and every answer names the same dead ones:
 * our own table knows others.
 */
static bool widen(struct kad_rpcs *rs, struct kad_lookup *l)
{
    struct kad_contact *near[KAD_K];
    bool more = false;

    if (l->q.answered >= KAD_K || l->q.failures + l->q.late == 0) {
        return false;
    }
    size_t n = kad_table_closest(&rs->routing->table, l->hash, NULL, KAD_K, near);
    for (size_t i = 0; i < n; i++) {
        more |= kad_candidates_add(&l->q, near[i], 1, 0);
    }
    return more;
}

static struct kad_call call_of(const struct kad_lookup *l, const struct kad_contact *p)
{
    if (l->mask_bits > 0 && kad_cpl(l->hash, p->hash) < l->mask_bits) {
        return (struct kad_call){.type = KAD_FIND_NODE, .alt = KAD_ALT_MASK};
    }
    return (struct kad_call){.type = l->p.type};
}

bool kad_lookup_on(struct kad_rpcs *rs, struct kad_lookup *l, tstamp now, struct acts *out)
{
    for (;;) {
        if (!kad_env_room(rs->env, out, 4, KAD_HINTS_MAX)) {
            l->starved = true;
            rs->env->more = true;
            return false;
        }
        struct kad_contact *p = kad_candidates_next(&l->q, now);
        if (p != NULL) {
            if (kad_rpc_start(rs, &l->owner, p, call_of(l, p), now, out) != QUDAG_OK) {
                (void)kad_candidates_fail(&l->q, p);
            }
            continue;
        }
        if (l->wide_pending > 0 || !kad_candidates_done(&l->q)) {
            return false;
        }
        if (!widen(rs, l) && !wide_search(rs, l, now, out)) {
            return true;
        }
    }
}

/* ---- what it found ---- */

void kad_lookup_tally(struct kad_lookup *l)
{
    l->rpcs += l->q.rpcs;
    l->failures += l->q.failures;
    l->q.rpcs = 0;
    l->q.failures = 0;
    l->q.answered = 0;
}

/* Those near the key have answered and have nothing, or too many of them said nothing at all. */
qudag_err kad_lookup_absent(const struct kad_lookup *l)
{
    unsigned answered = 0, silent = 0;

    for (size_t i = 0; i < l->q.n && answered + silent < KAD_K; i++) {
        const struct kad_cand *c = &l->q.cand[i];
        if (l->mask_bits > 0 && c->dist >> (64 - l->mask_bits) != 0) {
            break; /* no candidate from here on has seen the key */
        }
        answered += c->state == KAD_CAND_ANSWERED ? 1 : 0;
        silent += c->state == KAD_CAND_LATE || c->state == KAD_CAND_FAILED ? 1 : 0;
    }
    return answered > 0 && answered >= silent ? QUDAG_ENOTFOUND : QUDAG_EUNREACHABLE;
}

void kad_lookup_measure(struct kad_rpcs *rs, const struct kad_lookup *l, tstamp now)
{
    uint64_t dist[KAD_K];
    size_t n = 0;

    for (size_t i = 0; i < l->q.n && n < KAD_K; i++) {
        if (l->q.cand[i].state == KAD_CAND_ANSWERED) {
            dist[n++] = l->q.cand[i].dist;
        }
    }
    if (n == KAD_K) { /* one with fewer says nothing */
        kad_netsize_add(&rs->routing->size, dist, now);
    }
}
