/*
 * contacts.c - the contacts of one instance: seeds, and those that answered, failed or misbehaved.
 *
 *   heard of --> seed, asked --answers--> table      failed: out of the table after two in a row, and for
 *                                                    a minute not asked even if others name it
 */
#include "core/kad/routing/contacts.h"

#include "base/assert.h"
#include "core/kad/common/rules.h"

#include <string.h>

#define FAILED_MIN 8

static size_t seed_find(const struct kad_routing *r, const uint8_t hash[SHA256_LEN])
{
    for (size_t i = 0; i < r->n_seeds; i++) {
        if (memcmp(r->seed[i]->hash, hash, SHA256_LEN) == 0) {
            return i;
        }
    }
    return r->n_seeds;
}

static void seed_remove(struct kad_routing *r, size_t i)
{
    if (i < r->n_seeds) {
        kad_contact_unref(r->seed[i]);
        memmove(&r->seed[i], &r->seed[i + 1], (r->n_seeds - i - 1) * sizeof(r->seed[0]));
        r->n_seeds--;
    }
    if (r->n_seeds == 0) {
        mem_free(r->env->mem, r->seed);
        r->seed = NULL;
    }
}

struct kad_contact *kad_contacts_of_raw(struct kad_routing *r, uint64_t name,
                                        const struct kad_peer_raw *raw, size_t *dropped)
{
    struct kad_peer_info *info = &r->env->buf->closer[0];
    struct kad_addrinfo *known = kad_addrinfo_pool_find(&r->shared->pool, name, raw, r->env->lab);
    uint8_t hash[SHA256_LEN];

    if (kad_slice_eq(raw->id, peer_id_slice(&r->env->self))) {
        return NULL;
    }
    if (known != NULL) {
        memcpy(hash, known->hash, SHA256_LEN);
    } else {
        kad_contacts_hash(r, hash, raw->id);
    }
    struct kad_contact *p = kad_table_find(&r->table, hash);
    if (p != NULL) {
        return kad_contact_ref(p);
    }
    size_t s = seed_find(r, hash);
    if (s < r->n_seeds) {
        return kad_contact_ref(r->seed[s]);
    }
    if (known != NULL) {
        return known->n_addrs == 0 ? NULL : kad_contact_of(r->env->mem, kad_addrinfo_ref(known));
    }
    if (!kad_peer_read(info, dropped, raw)) {
        return NULL;
    }
    p = kad_contacts_make(r, info, hash);
    if (p != NULL && p->info->n_addrs == 0) {
        kad_contact_unref(p);
        return NULL;
    }
    return p;
}

struct kad_contact *kad_contacts_elsewhere(struct kad_routing *r, const struct kad_contact *c,
                                           const struct kad_peer_raw *raw)
{
    struct kad_peer_info *info = &r->env->buf->closer[0];
    struct kad_addrinfo *known =
        kad_addrinfo_pool_find(&r->shared->pool, c->info->name, raw, r->env->lab);
    size_t dropped = 0;

    if (known == c->info) {
        return NULL;
    }
    if (known == NULL && !kad_peer_read(info, &dropped, raw)) {
        return NULL;
    }
    struct kad_contact *p = known != NULL ? kad_contact_of(r->env->mem, kad_addrinfo_ref(known))
                                          : kad_contacts_make(r, info, c->hash);
    if (p != NULL && (p->info->n_addrs == 0 || p->info == c->info)) {
        kad_contact_unref(p);
        return NULL;
    }
    return p;
}

struct kad_contact *kad_contacts_make(struct kad_routing *r, const struct kad_peer_info *info,
                                      const uint8_t hash[SHA256_LEN])
{
    struct kad_addrinfo *w =
        kad_addrinfo_new(r->env->mem, &r->shared->pool, info, hash, r->env->lab);

    return kad_contact_of(r->env->mem, w);
}

void kad_contacts_hash(struct kad_routing *r, uint8_t hash[SHA256_LEN], struct slice id)
{
    if (id.len < 2 || id.len > PEER_ID_MAX) {
        sha256(hash, id);
        return;
    }
    const uint8_t *known = kad_addrinfo_pool_hash(&r->shared->pool, id);
    if (known != NULL) {
        memcpy(hash, known, SHA256_LEN);
        return;
    }
    size_t at = ((size_t)id.base[id.len - 1] << 8 | id.base[id.len - 2]) % KAD_MEMO;
    struct kad_memo *m = &r->shared->memo[at];
    if (m->len != id.len || memcmp(m->id, id.base, id.len) != 0) {
        m->len = (uint8_t)id.len;
        memcpy(m->id, id.base, id.len);
        sha256(m->hash, id);
    }
    memcpy(hash, m->hash, SHA256_LEN);
}

struct kad_contact *kad_contacts_self(struct kad_routing *r)
{
    return kad_contact_of(r->env->mem, kad_addrinfo_ref(r->self->info));
}

/* Room for one more; the oldest goes once there are KAD_FAILED_MAX that still count. */
static bool failed_room(struct kad_routing *r)
{
    uint32_t cap = r->failed_cap;

    if (cap > 0 && (cap == KAD_FAILED_MAX || r->failed[r->failed_next].until <= r->last_answer)) {
        return true;
    }
    cap = cap == 0 ? FAILED_MIN : 2 * cap;
    struct kad_failed *v = mem_resize_n(r->env->mem, r->failed, cap, sizeof(*v));
    if (v == NULL) {
        return r->failed_cap > 0;
    }
    r->failed_next = r->failed_cap;
    r->failed = v;
    r->failed_cap = cap;
    return true;
}

static uint64_t addrs_of(const struct kad_routing *r, const struct kad_contact *p)
{
    return kad_addrinfo_name(&r->shared->pool, kad_contact_raw(p));
}

static void failed_note(struct kad_routing *r, const struct kad_contact *p, tstamp until)
{
    struct kad_failed f = {kad_hash_prefix(p->hash), addrs_of(r, p), until};

    for (size_t i = 0; i < r->failed_cap; i++) {
        if (r->failed[i].prefix == f.prefix && r->failed[i].addrs == f.addrs) {
            r->failed[i].until = until;
            return;
        }
    }
    if (failed_room(r)) {
        r->failed[r->failed_next] = f;
        r->failed_next = (r->failed_next + 1) % r->failed_cap;
    }
}

/* It is well again, wherever it was looked for.  With nobody left that failed lately the memory goes back. */
static void failed_forget(struct kad_routing *r, const uint8_t hash[SHA256_LEN])
{
    uint64_t prefix = kad_hash_prefix(hash);
    bool counts = false;

    for (size_t i = 0; i < r->failed_cap; i++) {
        if (r->failed[i].prefix == prefix) {
            r->failed[i].until = 0;
        }
        counts = counts || r->failed[i].until > r->last_answer;
    }
    if (!counts) {
        mem_free(r->env->mem, r->failed);
        r->failed = NULL;
        r->failed_cap = r->failed_next = 0;
    }
}

void kad_contacts_backoff_reset(struct kad_routing *r)
{
    for (size_t i = 0; i < r->failed_cap; i++) {
        r->failed[i].until = 0;
    }
}

struct kad_contact *kad_contacts_is_back(struct kad_routing *r, const struct peer_id *peer)
{
    uint8_t hash[SHA256_LEN];

    sha256(hash, peer_id_slice(peer));
    failed_forget(r, hash);
    struct kad_contact *c = kad_table_find(&r->table, hash);
    return c != NULL && c->fails > 0 ? c : NULL;
}

/* ---- misbehaviour ---- */

static struct kad_misbehaving *misbehaving_find(const struct kad_routing *r,
                                                const uint8_t hash[SHA256_LEN])
{
    uint64_t prefix = kad_hash_prefix(hash);

    for (size_t i = 0; r->misbehaving != NULL && i < KAD_MISBEHAVING_MAX; i++) {
        if (r->misbehaving[i].prefix == prefix && prefix != 0) {
            return &r->misbehaving[i];
        }
    }
    return NULL;
}

static int16_t misbehaving_score(const struct kad_misbehaving *l, tstamp now)
{
    uint64_t s = now / NS_PER_S;

    return l == NULL ? 0 : kad_score_later(l->score, s > l->at ? s - l->at : 0);
}

static bool misbehaving_refused(const struct kad_routing *r, const uint8_t hash[SHA256_LEN],
                                tstamp now)
{
    return misbehaving_score(misbehaving_find(r, hash), now) <= KAD_SCORE_REFUSED * 256;
}

/* A lookup may know the peer by another object than the table. */
static void report(const struct kad_routing *r, struct kad_contact *p, enum kad_conduct what,
                   tstamp now)
{
    struct kad_contact *e = kad_table_find(&r->table, p->hash);

    kad_contact_report(p, what, now);
    if (e != NULL && e != p) {
        kad_contact_report(e, what, now);
    }
}

void kad_contacts_misbehaved(struct kad_routing *r, struct kad_contact *p, tstamp now)
{
    struct kad_misbehaving *l = misbehaving_find(r, p->hash);

    report(r, p, KAD_CONDUCT_MISBEHAVED, now);
    if (r->misbehaving == NULL) {
        r->misbehaving = mem_alloc_n(r->env->mem, KAD_MISBEHAVING_MAX, sizeof(*r->misbehaving));
    }
    if (r->misbehaving == NULL) {
        return;
    }
    int16_t score = kad_score_after(misbehaving_score(l, now), KAD_CONDUCT_MISBEHAVED);
    if (l == NULL) {
        l = &r->misbehaving[r->misbehaving_next];
        r->misbehaving_next = (r->misbehaving_next + 1) % KAD_MISBEHAVING_MAX;
    }
    *l = (struct kad_misbehaving){kad_hash_prefix(p->hash), (uint32_t)(now / NS_PER_S), score};
    if (misbehaving_refused(r, p->hash, now)) {
        (void)kad_table_remove(&r->table, p->hash);
        seed_remove(r, seed_find(r, p->hash));
        log_plain(&r->env->log, LOG_DEBUG, "kad.peer.refused");
    }
}

bool kad_contacts_failed_lately(const struct kad_routing *r, const struct kad_contact *p,
                                tstamp now)
{
    uint64_t prefix = kad_hash_prefix(p->hash);

    if (misbehaving_refused(r, p->hash, now)) {
        return true;
    }
    for (size_t i = 0; i < r->failed_cap; i++) {
        if (r->failed[i].prefix == prefix && r->failed[i].addrs == addrs_of(r, p)) {
            return now < r->failed[i].until;
        }
    }
    return false;
}

/* ---- answers and silence ---- */

/* Without room in the list it is left out. */
static void entered_report(const struct kad_contact *p, struct acts *out)
{
    struct kad_peer_info info;

    kad_contact_decode(&info, p);
    struct act *a = acts_up_copy(out, KAD_UP_PEER, &info, sizeof(info));
    if (a != NULL) {
        a->peer = info.id;
    }
}

struct kad_contact *kad_contacts_answered(struct kad_routing *r, struct kad_contact *p, tstamp rtt,
                                          tstamp now, struct acts *out)
{
    struct kad_contact *oldest, *check = NULL;

    if (r->silent_run > KAD_SILENT_RUN) {
        kad_contacts_backoff_reset(
            r); /* our own network was away: those before it seemed so fell silent with it */
    }
    r->silent_run = 0;
    r->last_answer = now;
    kad_contact_rtt(p, rtt);
    failed_forget(r, p->hash);
    kad_departed_answered(&r->departed, p, now);
    report(r, p, KAD_CONDUCT_ANSWERED, now);
    if (misbehaving_refused(r, p->hash, now)) {
        return NULL;
    }
    switch (kad_table_answered(&r->table, p, now, &oldest)) {
    case KAD_TABLE_ADDED:
        entered_report(p, out);
        break;
    case KAD_TABLE_REPLACEMENT:
        check = now - oldest->seen > r->idle_check ? oldest : NULL;
        break;
    case KAD_TABLE_KNOWN:
    case KAD_TABLE_REFUSED:
        break;
    }
    seed_remove(r, seed_find(r, p->hash));
    return check;
}

/*
 * A peer that asks us is alive.  If it failed us lately (one slow answer on a busy machine is enough), it
 * is not passed over for KAD_FAILED_FOR: one of the table is asked at once whether it serves again, another
 * when the next lookup hears of it.
 */
struct kad_contact *kad_contacts_heard(struct kad_routing *r, const uint8_t *hash, tstamp now)
{
    struct kad_contact *p = kad_table_find(&r->table, hash);

    if (p == NULL) {
        failed_forget(r, hash);
        return NULL;
    }
    if (p->fails == 0) {
        p->seen = now;
        return NULL;
    }
    return p;
}

void kad_contacts_alive(struct kad_routing *r, const struct kad_contact *p, tstamp now)
{
    failed_forget(r, p->hash);
    struct kad_contact *e = kad_table_find(&r->table, p->hash);
    if (e != NULL && e->fails == 0) {
        e->seen = now;
    }
}

void kad_contacts_unanswered(struct kad_routing *r, struct kad_contact *p, tstamp asked, tstamp now)
{
    struct kad_silence s = {now, asked, r->last_answer, r->silent_run};
    bool counts = kad_silence_counts(&s);

    r->silent_run += asked > r->last_answer && r->silent_run < UINT32_MAX ? 1 : 0;
    if (counts) {
        report(r, p, KAD_CONDUCT_SILENT, now);
    }
    if (kad_table_find(&r->table, p->hash) == NULL && p->fails < UINT8_MAX) {
        p->fails++;
    }
    if (!counts) {
        return; /* it stays as it is, and is asked again */
    }
    if (kad_table_failed(&r->table, p->hash, true)) {
        kad_departed_add(&r->departed, p, &r->env->rng, now);
    }
    failed_note(r, p, tstamp_after(now, KAD_FAILED_FOR));
}

void kad_contacts_gave_up(struct kad_routing *r, struct kad_contact *p, tstamp now)
{
    struct kad_contact *e = kad_table_find(&r->table, p->hash);

    e = e != NULL ? e : p;
    e->gave_up = (uint8_t)(e->gave_up < UINT8_MAX ? e->gave_up + 1 : UINT8_MAX);
    if (e->gave_up >= KAD_RESETS_MAX) {
        e->fails = e->fails < KAD_FAILS_MAX - 1 ? KAD_FAILS_MAX - 1 : e->fails;
        kad_contacts_unanswered(r, p, r->last_answer, now); /* it lives, and so does the network */
    }
}

struct kad_contact *kad_contacts_add(struct kad_routing *r, const struct kad_peer_info *peer,
                                     tstamp now)
{
    uint8_t hash[SHA256_LEN];

    if (peer->id.len == 0 || peer_id_eq(&peer->id, &r->env->self)) {
        return NULL;
    }
    kad_contacts_hash(r, hash, peer_id_slice(&peer->id));
    struct kad_contact *p = kad_table_find(&r->table, hash);
    if (p != NULL) {
        kad_table_set_addrs(&r->table, p, peer);
        return NULL;
    }
    size_t s = seed_find(r, hash);
    if (s < r->n_seeds) {
        kad_contact_set_addrs(r->seed[s], peer, r->env->lab);
        r->seed[s]->fails = 0;
        return r->seed[s];
    }
    p = kad_contacts_make(r, peer, hash);
    if (p == NULL) {
        return NULL;
    }
    if (!kad_table_wants(&r->table, p) || misbehaving_refused(r, hash, now)) {
        kad_contact_unref(p);
        return NULL;
    }
    if (r->n_seeds == KAD_SEEDS_MAX) {
        seed_remove(r, 0);
    }
    if (r->seed == NULL) {
        r->seed = mem_alloc_n(r->env->mem, KAD_SEEDS_MAX, sizeof(r->seed[0]));
    }
    if (r->seed == NULL) {
        kad_contact_unref(p);
        return NULL;
    }
    r->seed[r->n_seeds++] = p;
    return p;
}

void kad_contacts_preload(struct kad_routing *r, const struct kad_peer_info *peer, tstamp rtt,
                          tstamp seen)
{
    uint8_t hash[SHA256_LEN];
    struct kad_contact *oldest;

    if (peer->id.len == 0 || peer_id_eq(&peer->id, &r->env->self)) {
        return;
    }
    kad_contacts_hash(r, hash, peer_id_slice(&peer->id));
    if (kad_table_find(&r->table, hash) != NULL) {
        return;
    }
    struct kad_contact *p = kad_contacts_make(r, peer, hash);
    if (p == NULL) {
        return;
    }
    if (rtt > 0) {
        kad_contact_rtt(p, rtt);
    }
    if (p->info->n_addrs > 0) {
        (void)kad_table_answered(&r->table, p, seen, &oldest);
    }
    kad_contact_unref(p);
}

void kad_contacts_drop(struct kad_routing *r, const struct peer_id *peer)
{
    uint8_t hash[SHA256_LEN];

    kad_contacts_hash(r, hash, peer_id_slice(peer));
    (void)kad_table_remove(&r->table, hash);
    seed_remove(r, seed_find(r, hash));
}

/* ---- life ---- */

bool kad_contacts_init(struct kad_routing *r, struct kad_env *env, struct kad_shared *shared)
{
    struct kad_peer_info self = {.id = env->self};

    r->env = env;
    r->shared = shared;
    r->idle_check = KAD_IDLE_CHECK;
    kad_table_init(&r->table, env->mem, &env->self, env->lab);
    kad_departed_init(&r->departed);
    r->self = kad_contacts_make(r, &self, env->hash);
    return r->self != NULL;
}

void kad_contacts_fini(struct kad_routing *r)
{
    while (r->n_seeds > 0) {
        seed_remove(r, r->n_seeds - 1);
    }
    mem_free(r->env->mem, r->failed);
    mem_free(r->env->mem, r->misbehaving);
    kad_departed_fini(&r->departed);
    kad_contact_unref(r->self);
    kad_table_fini(&r->table);
}

void kad_contacts_set_self(struct kad_routing *r, const struct multiaddr *addr, size_t n)
{
    struct kad_peer_info self = {.id = r->env->self};

    for (size_t i = 0; i < n && self.n_addrs < KAD_ADDRS_MAX; i++) {
        if (kad_addr_usable(&addr[i], r->env->lab)) {
            self.addr[self.n_addrs++] = addr[i];
        }
    }
    struct kad_contact *c = kad_contacts_make(r, &self, r->env->hash);
    if (c != NULL) {
        kad_contact_unref(r->self);
        r->self = c;
    }
}

/* ---- keys that lead to a part of the key space ---- */

bool kad_contacts_prefix_key(struct kad_routing *r, uint32_t prefix, unsigned bits,
                             uint8_t key[KAD_PREFIX_KEY])
{
    struct kad_shared *s = r->shared;

    if (bits <= KAD_PREFIX_BITS && s->prefix_keys == NULL) {
        s->prefix_keys = mem_alloc(s->mem, sizeof(*s->prefix_keys));
    }
    return bits <= KAD_PREFIX_BITS && s->prefix_keys != NULL &&
           kad_prefix_key(s->prefix_keys, &r->env->rng, prefix, bits, key);
}

bool kad_contacts_part_key(struct kad_routing *r, unsigned cpl, unsigned part,
                           uint8_t key[KAD_PREFIX_KEY])
{
    unsigned bits = cpl + 1 + KAD_PART_BITS;

    ASSERT(cpl <= KAD_REFRESH_BITS && part < KAD_PARTS);
    uint64_t want = kad_hash_prefix(r->env->hash) >> (64 - cpl - 1) ^ 1;
    want = want << KAD_PART_BITS | part;
    return kad_contacts_prefix_key(r, (uint32_t)(want << (KAD_PREFIX_BITS - bits)), bits, key);
}

unsigned kad_contacts_part_to_fill(struct kad_routing *r, unsigned cpl)
{
    unsigned first = (unsigned)rng_below(&r->env->rng, KAD_PARTS);

    for (unsigned i = 0; i < KAD_PARTS; i++) {
        unsigned part = (first + i) % KAD_PARTS;
        if (kad_table_lacks(&r->table, cpl, part)) {
            return part;
        }
    }
    return first;
}

struct kad_contact *kad_contacts_idlest(const struct kad_routing *r)
{
    struct kad_contact *best = NULL;

    for (size_t i = 0; i < KAD_BUCKETS; i++) {
        const struct kad_bucket *b = r->table.bucket[i];
        for (size_t e = 0; b != NULL && e < b->n; e++) {
            struct kad_contact *p = b->peer[e];
            if (best == NULL || p->seen < best->seen) {
                best = p;
            }
        }
    }
    return best;
}
