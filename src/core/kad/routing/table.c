/*
 * table.c - the routing table: buckets by the length of the common prefix with our own hash.
 *
 *   answered --room and few of its network--> entry --failed twice--> out, newest replacement in
 *      '--bucket full--> replacement (the newest two), and the owner checks the oldest entry
 *
 * A live old entry is never evicted for a new one, unless its part has a surplus (spec/kad.md 2).
 * Closest to a target t, with c = common prefix of t and us: all of bucket c is closer than the buckets
 * beyond c taken together, and those closer than c-1, c-2, ...: groups are visited in this order and sorted
 * each.
 */
#include "core/kad/routing/table.h"

#include <string.h>

#define CAP_MIN 4 /* entries a new bucket has room for */
#define CACHE_LINE 64
#define BUCKET_BYTES                                                                               \
    (sizeof(struct kad_bucket) + KAD_K * (sizeof(uint64_t) + sizeof(struct kad_addrinfo *)))

void kad_table_init(struct kad_table *t, struct mem *mem, const struct peer_id *self, bool lab)
{
    *t = (struct kad_table){.mem = mem, .lab = lab};
    sha256(t->self, peer_id_slice(self));
}

void kad_table_fini(struct kad_table *t)
{
    for (size_t i = 0; i < KAD_BUCKETS; i++) {
        struct kad_bucket *b = t->bucket[i];
        if (b == NULL) {
            continue;
        }
        for (size_t e = 0; e < b->n; e++) {
            kad_contact_unref(b->peer[e]);
        }
        for (size_t e = 0; e < b->n_replacements; e++) {
            kad_contact_unref(b->replacement[e]);
        }
        mem_free(t->mem, b);
        t->bucket[i] = NULL;
    }
    t->n = 0;
}

unsigned kad_bucket_ix(const struct kad_table *t, const uint8_t hash[SHA256_LEN])
{
    unsigned cpl = kad_cpl(t->self, hash);

    return cpl < KAD_BUCKETS ? cpl : KAD_BUCKETS - 1;
}

static size_t entry_find(const struct kad_bucket *b, const uint8_t hash[SHA256_LEN])
{
    uint64_t prefix = kad_hash_prefix(hash);

    for (size_t i = 0; i < b->n; i++) {
        if (b->prefix[i] == prefix && memcmp(b->info[i]->hash, hash, SHA256_LEN) == 0) {
            return i;
        }
    }
    return b->n;
}

static size_t replacement_find(const struct kad_bucket *b, const uint8_t hash[SHA256_LEN])
{
    for (size_t i = 0; i < b->n_replacements; i++) {
        if (memcmp(b->replacement[i]->hash, hash, SHA256_LEN) == 0) {
            return i;
        }
    }
    return b->n_replacements;
}

struct kad_contact *kad_table_find(const struct kad_table *t, const uint8_t hash[SHA256_LEN])
{
    const struct kad_bucket *b = t->bucket[kad_bucket_ix(t, hash)];

    if (b == NULL) {
        return NULL;
    }
    size_t i = entry_find(b, hash);
    return i < b->n ? b->peer[i] : NULL;
}

/* Whether one more of this network is too many; addresses of no known network count as one. */
static bool crowded(const struct kad_table *t, const struct kad_bucket *b, uint32_t group)
{
    size_t near = 0, all = 0;

    if (t->lab) {
        return false;
    }
    for (size_t i = 0; i < KAD_BUCKETS; i++) {
        const struct kad_bucket *o = t->bucket[i];
        for (size_t e = 0; o != NULL && e < o->n; e++) {
            if (o->info[e]->group == group) {
                all++;
                near += o == b ? 1 : 0;
            }
        }
    }
    return near >= KAD_GROUP_BUCKET || all >= KAD_GROUP_TABLE;
}

static unsigned part_of(uint64_t prefix, unsigned cpl)
{
    return (unsigned)(prefix >> (64 - cpl - 1 - KAD_PART_BITS)) % KAD_PARTS;
}

static size_t part_count(const struct kad_bucket *b, unsigned cpl, unsigned part)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++) {
        n += part_of(b->prefix[i], cpl) == part ? 1 : 0;
    }
    return n;
}

bool kad_table_lacks(const struct kad_table *t, unsigned cpl, unsigned part)
{
    const struct kad_bucket *b = t->bucket[cpl];

    return b == NULL || part_count(b, cpl, part) < KAD_PART_WANT;
}

/*
 * Full of peers from a corner of its range a bucket leads nowhere else: one whose part lacks entries takes
 * the place of the youngest in a part with more than its share.  b->n: everybody stays.
 */
static size_t surplus_find(const struct kad_bucket *b, unsigned cpl, const struct kad_contact *p)
{
    size_t at = b->n;

    if (part_count(b, cpl, part_of(kad_hash_prefix(p->hash), cpl)) >= KAD_PART_WANT) {
        return at;
    }
    for (size_t i = 0; i < b->n; i++) {
        if (part_count(b, cpl, part_of(b->prefix[i], cpl)) > KAD_PART_WANT &&
            (at == b->n || b->peer[i]->since_s >= b->peer[at]->since_s)) {
            at = i;
        }
    }
    return at;
}

bool kad_table_wants(const struct kad_table *t, const struct kad_contact *p)
{
    unsigned ix = kad_bucket_ix(t, p->hash);
    const struct kad_bucket *b = t->bucket[ix];

    return b == NULL ||
           ((b->n < KAD_K || surplus_find(b, ix, p) < b->n) && !crowded(t, b, p->info->group));
}

static void entry_append(struct kad_table *t, struct kad_bucket *b, struct kad_contact *p)
{
    b->prefix[b->n] = kad_hash_prefix(p->hash);
    b->failing |= (p->fails > 0 ? UINT32_C(1) : 0) << b->n;
    b->info[b->n] = p->info;
    b->peer[b->n++] = p;
    t->n++;
}

static void entry_remove(struct kad_bucket *b, size_t i)
{
    size_t after = (size_t)b->n - i - 1;

    memmove(&b->peer[i], &b->peer[i + 1], after * sizeof(b->peer[0]));
    memmove(&b->info[i], &b->info[i + 1], after * sizeof(b->info[0]));
    memmove(&b->prefix[i], &b->prefix[i + 1], after * sizeof(b->prefix[0]));
    uint32_t low = (UINT32_C(1) << i) - 1;
    b->failing = (b->failing & low) | (b->failing >> 1 & ~low);
    b->n--;
}

static void replacement_remove(struct kad_bucket *b, size_t i)
{
    memmove(&b->replacement[i], &b->replacement[i + 1],
            ((size_t)b->n_replacements - i - 1) * sizeof(b->replacement[0]));
    b->n_replacements--;
}

static void replacement_add(struct kad_bucket *b, struct kad_contact *p)
{
    size_t i = replacement_find(b, p->hash);

    if (i == b->n_replacements && b->n_replacements == KAD_REPLACEMENTS) {
        i = 0;
    }
    if (i < b->n_replacements) {
        kad_contact_unref(b->replacement[i]);
        replacement_remove(b, i);
    }
    b->replacement[b->n_replacements++] = kad_contact_ref(p);
}

/* A lookup may have another object for the same node: the entry learns what that one did. */
static void entry_refresh(struct kad_bucket *b, size_t i, const struct kad_contact *p, tstamp now)
{
    struct kad_contact *e = b->peer[i];

    entry_remove(b, i);
    b->prefix[b->n] = kad_hash_prefix(e->hash);
    b->info[b->n] = e->info;
    b->peer[b->n++] = e;
    e->fails = e->gave_up = 0;
    e->seen = now;
    if (e != p && p->srtt_us != 0) {
        e->srtt_us = p->srtt_us;
        e->rttvar_us = p->rttvar_us;
    }
}

/* Buckets near us stay small: room comes as it is needed. */
static struct kad_bucket *bucket_grow(struct kad_table *t, unsigned ix, tstamp now)
{
    struct kad_bucket *old = t->bucket[ix];
    size_t cap = old == NULL ? CAP_MIN : 2u * old->cap;
    cap = cap < KAD_K ? cap : KAD_K;
    size_t each = sizeof(old->prefix[0]) + sizeof(old->info[0]) + sizeof(old->peer[0]);
    struct kad_bucket *b = mem_alloc(t->mem, sizeof(*b) + cap * each);

    if (b == NULL) {
        return NULL;
    }
    uint64_t *prefix = (uint64_t *)(b + 1);
    struct kad_addrinfo **info = (struct kad_addrinfo **)(prefix + cap);
    struct kad_contact **peer = (struct kad_contact **)(info + cap);
    if (old != NULL) {
        *b = *old;
        memcpy(prefix, old->prefix, old->n * sizeof(prefix[0]));
        memcpy(info, old->info, old->n * sizeof(info[0]));
        memcpy(peer, old->peer, old->n * sizeof(peer[0]));
        mem_free(t->mem, old);
    } else {
        b->touched = now;
    }
    b->prefix = prefix;
    b->info = info;
    b->peer = peer;
    b->cap = (uint8_t)cap;
    t->bucket[ix] = b;
    return b;
}

enum kad_table_verdict kad_table_answered(struct kad_table *t, struct kad_contact *p, tstamp now,
                                          struct kad_contact **oldest)
{
    unsigned ix = kad_bucket_ix(t, p->hash);
    struct kad_bucket *b = t->bucket[ix];

    *oldest = NULL;
    if (kad_cpl(t->self, p->hash) == SHA256_LEN * 8) {
        return KAD_TABLE_REFUSED;
    }
    size_t i = b == NULL ? 0 : entry_find(b, p->hash);
    if (b != NULL && i < b->n) {
        entry_refresh(b, i, p, now);
        return KAD_TABLE_KNOWN;
    }
    p->fails = p->gave_up = 0;
    p->seen = now;
    if (crowded(t, b, p->info->group)) {
        return KAD_TABLE_REFUSED;
    }
    if (b == NULL || (b->n == b->cap && b->cap < KAD_K)) {
        b = bucket_grow(t, ix, now);
        if (b == NULL) {
            return KAD_TABLE_REFUSED;
        }
    }
    size_t surplus = b->n == KAD_K ? surplus_find(b, ix, p) : b->n;
    if (b->n == KAD_K && surplus == b->n) {
        replacement_add(b, p);
        *oldest = b->peer[0];
        return KAD_TABLE_REPLACEMENT;
    }
    if (b->n == KAD_K) {
        struct kad_contact *out = b->peer[surplus];
        entry_remove(b, surplus);
        t->n--;
        replacement_add(b, out);
        kad_contact_unref(out);
    }
    uint64_t since = now / NS_PER_S;
    p->since_s = since > UINT32_MAX ? UINT32_MAX : (uint32_t)since;
    size_t s = replacement_find(b, p->hash);
    if (s < b->n_replacements) {
        kad_contact_unref(b->replacement[s]);
        replacement_remove(b, s);
    }
    entry_append(t, b, kad_contact_ref(p));
    return KAD_TABLE_ADDED;
}

static void entry_drop(struct kad_table *t, struct kad_bucket *b, size_t i)
{
    kad_contact_unref(b->peer[i]);
    entry_remove(b, i);
    t->n--;
    for (size_t s = b->n_replacements; s > 0; s--) {
        struct kad_contact *p = b->replacement[s - 1];
        if (!crowded(t, b, p->info->group)) {
            replacement_remove(b, s - 1);
            entry_append(t, b, p);
            return;
        }
    }
}

bool kad_table_failed(struct kad_table *t, const uint8_t hash[SHA256_LEN], bool remove)
{
    struct kad_bucket *b = t->bucket[kad_bucket_ix(t, hash)];

    if (b == NULL) {
        return false;
    }
    size_t s = replacement_find(b, hash);
    if (s < b->n_replacements) {
        kad_contact_unref(b->replacement[s]);
        replacement_remove(b, s);
    }
    size_t i = entry_find(b, hash);
    if (i == b->n) {
        return false;
    }
    if (b->peer[i]->fails < UINT8_MAX) {
        b->peer[i]->fails++;
    }
    b->failing |= UINT32_C(1) << i;
    if (!remove || b->peer[i]->fails < KAD_FAILS_MAX) {
        return false;
    }
    entry_drop(t, b, i);
    return true;
}

bool kad_table_remove(struct kad_table *t, const uint8_t hash[SHA256_LEN])
{
    struct kad_bucket *b = t->bucket[kad_bucket_ix(t, hash)];

    if (b == NULL) {
        return false;
    }
    size_t s = replacement_find(b, hash);
    if (s < b->n_replacements) {
        kad_contact_unref(b->replacement[s]);
        replacement_remove(b, s);
    }
    size_t i = entry_find(b, hash);
    if (i == b->n) {
        return false;
    }
    entry_drop(t, b, i);
    return true;
}

void kad_table_set_addrs(struct kad_table *t, struct kad_contact *p,
                         const struct kad_peer_info *info)
{
    struct kad_bucket *b = t->bucket[kad_bucket_ix(t, p->hash)];

    kad_contact_set_addrs(p, info, t->lab);
    for (size_t i = 0; b != NULL && i < b->n; i++) {
        b->info[i] = b->peer[i]->info;
    }
}

/* ---- the closest ---- */

#define IN_BUCKET 32 /* a position: that many times its bucket, and which entry */
_Static_assert(KAD_K <= IN_BUCKET && KAD_BUCKETS * IN_BUCKET <= UINT16_MAX,
               "a position has 16 bits");

struct closest {
    const struct kad_table *t;
    const uint8_t *target;
    const uint8_t *skip;
    size_t max, n;
    uint64_t prefix, skip_prefix, dist[KAD_K];
    uint16_t pos[KAD_K];
};

static struct kad_addrinfo *info_at(const struct closest *c, unsigned pos)
{
    return c->t->bucket[pos / IN_BUCKET]->info[pos % IN_BUCKET];
}

static bool nearer(const struct closest *c, uint64_t d, unsigned pos, size_t than)
{
    if (d != c->dist[than]) {
        return d < c->dist[than];
    }
    return kad_dist_cmp(c->target, info_at(c, pos)->hash, info_at(c, c->pos[than])->hash) < 0;
}

/* |from|: where this group begins in the result; earlier groups are closer as a whole. */
static void closest_add(struct closest *c, size_t from, unsigned pos, uint64_t d)
{
    size_t at = c->n < c->max ? c->n++ : c->max;

    if (at == c->max && (at == from || !nearer(c, d, pos, at - 1))) {
        return;
    }
    at = at == c->max ? at - 1 : at;
    for (; at > from && nearer(c, d, pos, at - 1); at--) {
        c->dist[at] = c->dist[at - 1];
        c->pos[at] = c->pos[at - 1];
    }
    c->dist[at] = d;
    c->pos[at] = (uint16_t)pos;
}

/* Buckets of other instances have been there since: this one is far from any cache. */
static void bucket_fetch(const struct kad_bucket *b)
{
    const char *at = (const char *)b;

    for (size_t i = 0; b != NULL && i < BUCKET_BYTES; i += CACHE_LINE) {
        QUDAG_PREFETCH(at + i);
    }
}

static void closest_bucket(struct closest *c, size_t from, unsigned ix)
{
    const struct kad_bucket *b = c->t->bucket[ix];

    for (unsigned i = 0; b != NULL && i < b->n; i++) {
        bool skip = b->prefix[i] == c->skip_prefix && c->skip != NULL &&
                    memcmp(b->info[i]->hash, c->skip, SHA256_LEN) == 0;
        /* One that just failed is not handed on before it has answered again. */
        if (!skip && (b->failing >> i & 1) == 0) {
            closest_add(c, from, ix * IN_BUCKET + i, b->prefix[i] ^ c->prefix);
        }
    }
}

static void closest(struct closest *c, const struct kad_table *t, const uint8_t target[SHA256_LEN],
                    const uint8_t *skip, size_t max)
{
    unsigned own = kad_bucket_ix(t, target);
    const struct kad_bucket *b = t->bucket[own];

    bucket_fetch(b);
    c->t = t;
    c->target = target;
    c->skip = skip;
    c->max = max < KAD_K ? max : KAD_K;
    c->n = 0;
    c->prefix = kad_hash_prefix(target);
    c->skip_prefix = skip == NULL ? 0 : kad_hash_prefix(skip);
    for (unsigned i = own + 1; i < KAD_BUCKETS && (b == NULL || b->n < KAD_K); i++) {
        bucket_fetch(t->bucket[i]);
    }
    closest_bucket(c, 0, own);
    size_t from = c->n;
    for (unsigned i = own + 1; i < KAD_BUCKETS && from < c->max; i++) {
        closest_bucket(c, from, i);
    }
    for (unsigned i = own; i > 0 && c->n < c->max; i--) {
        closest_bucket(c, c->n, i - 1);
    }
}

void kad_table_fetch(const struct kad_table *t, const uint8_t hash[SHA256_LEN])
{
    bucket_fetch(t->bucket[kad_bucket_ix(t, hash)]);
}

size_t kad_table_closest(const struct kad_table *t, const uint8_t target[SHA256_LEN],
                         const uint8_t *skip, size_t max, struct kad_contact **out)
{
    QUDAG_UNSET struct closest c;

    closest(&c, t, target, skip, max);
    for (size_t i = 0; i < c.n; i++) {
        out[i] = t->bucket[c.pos[i] / IN_BUCKET]->peer[c.pos[i] % IN_BUCKET];
    }
    return c.n;
}

size_t kad_table_addrinfos(const struct kad_table *t, const uint8_t target[SHA256_LEN],
                           const uint8_t *skip, struct kad_addrinfo **out)
{
    QUDAG_UNSET struct closest c;

    closest(&c, t, target, skip, KAD_K);
    for (size_t i = 0; i < c.n; i++) {
        out[i] = info_at(&c, c.pos[i]);
        QUDAG_PREFETCH(out[i]);
        QUDAG_PREFETCH(out[i]->raw);
    }
    return c.n;
}

size_t kad_table_failing(const struct kad_table *t, size_t max, struct kad_contact **out)
{
    size_t n = 0;

    for (size_t i = 0; i < KAD_BUCKETS; i++) {
        const struct kad_bucket *b = t->bucket[i];
        for (size_t e = 0; b != NULL && e < b->n && n < max; e++) {
            if ((b->failing >> e & 1) != 0) {
                out[n++] = b->peer[e];
            }
        }
    }
    return n;
}

unsigned kad_table_nearest(const struct kad_table *t)
{
    unsigned i = KAD_BUCKETS;
    size_t n = 0;

    while (i > 0) {
        n += t->bucket[i - 1] == NULL ? 0 : t->bucket[i - 1]->n;
        if (n >= KAD_K) {
            break;
        }
        i--;
    }
    return i < KAD_BUCKETS ? i : KAD_BUCKETS - 1;
}

void kad_table_touch(struct kad_table *t, const uint8_t target[SHA256_LEN], tstamp now)
{
    struct kad_bucket *b = t->bucket[kad_bucket_ix(t, target)];

    if (b != NULL) {
        b->touched = now;
    }
}
