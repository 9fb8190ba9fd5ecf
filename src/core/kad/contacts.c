/*
 * contacts.c - whom we know: seeds heard of, peers that answered, failed, or lied.
 *
 *   heard of --> seed, asked --answers--> table      failed: out of the table after twice, and for a
 *                                                    minute not asked because others name it
 */
#include "core/kad/kad_int.h"

#define FAILED_MIN 8
#define ONLINE (60 * NS_PER_S) /* with no answer for so long, failures say nothing about peers */

static size_t seed_find(const struct kad *k, const uint8_t hash[SHA256_LEN])
{
    for (size_t i = 0; i < k->n_seeds; i++) {
        if (memcmp(k->seed[i]->hash, hash, SHA256_LEN) == 0) {
            return i;
        }
    }
    return k->n_seeds;
}

void kad_seed_cut(struct kad *k, size_t i)
{
    if (i < k->n_seeds) {
        kad_peer_unref(k->seed[i]);
        memmove(&k->seed[i], &k->seed[i + 1], (k->n_seeds - i - 1) * sizeof(k->seed[0]));
        k->n_seeds--;
    }
    if (k->n_seeds == 0) {
        mem_free(k->cfg.mem, k->seed);
        k->seed = NULL;
    }
}

struct kad_peer *kad_peer_of(struct kad *k, const struct kad_peer_raw *raw, size_t *dropped)
{
    struct kad_peer_info *info = &k->scratch->closer[0];
    struct kad_who *who = kad_who_like(&k->scratch->whos, raw, k->cfg.lab);
    uint8_t hash[SHA256_LEN];

    if (slice_eq(raw->id, peer_id_slice(&k->cfg.self))) {
        return NULL;
    }
    if (who != NULL) {
        memcpy(hash, who->hash, SHA256_LEN);
    } else {
        kad_id_hash(k, hash, raw->id);
    }
    struct kad_peer *p = kad_table_find(&k->table, hash);
    if (p != NULL) {
        return kad_peer_ref(p);
    }
    size_t s = seed_find(k, hash);
    if (s < k->n_seeds) {
        return kad_peer_ref(k->seed[s]);
    }
    if (who != NULL) {
        return who->n_addrs == 0 ? NULL : kad_peer_about(k->cfg.mem, kad_who_ref(who));
    }
    if (!kad_peer_read(info, dropped, raw)) {
        return NULL;
    }
    p = kad_peer_make(k, info, hash);
    if (p != NULL && p->who->n_addrs == 0) {
        kad_peer_unref(p);
        return NULL;
    }
    return p;
}

struct kad_peer *kad_peer_make(struct kad *k, const struct kad_peer_info *info,
                               const uint8_t hash[SHA256_LEN])
{
    struct kad_who *w = kad_who_new(k->cfg.mem, &k->scratch->whos, info, hash, k->cfg.lab);

    return kad_peer_about(k->cfg.mem, w);
}

void kad_id_hash(struct kad *k, uint8_t hash[SHA256_LEN], struct slice id)
{
    if (id.len < 2 || id.len > PEER_ID_MAX) {
        sha256(hash, id);
        return;
    }
    const uint8_t *known = kad_who_hash(&k->scratch->whos, id);
    if (known != NULL) {
        memcpy(hash, known, SHA256_LEN);
        return;
    }
    size_t at = ((size_t)id.base[id.len - 1] << 8 | id.base[id.len - 2]) % KAD_MEMO;
    struct kad_memo *m = &k->scratch->memo[at];
    if (m->len != id.len || memcmp(m->id, id.base, id.len) != 0) {
        m->len = (uint8_t)id.len;
        memcpy(m->id, id.base, id.len);
        sha256(m->hash, id);
    }
    memcpy(hash, m->hash, SHA256_LEN);
}

struct kad_peer *kad_self_peer(struct kad *k)
{
    return kad_peer_about(k->cfg.mem, kad_who_ref(k->me->who));
}

/* Room for one more; the oldest goes once there are KAD_FAILED_MAX that still count. */
static bool failed_room(struct kad *k)
{
    uint32_t cap = k->failed_cap;

    if (cap > 0 && (cap == KAD_FAILED_MAX || k->failed[k->failed_next].until <= k->last_answer)) {
        return true;
    }
    cap = cap == 0 ? FAILED_MIN : 2 * cap;
    struct kad_failed *v = mem_resize_n(k->cfg.mem, k->failed, cap, sizeof(*v));
    if (v == NULL) {
        return k->failed_cap > 0;
    }
    k->failed_next = k->failed_cap;
    k->failed = v;
    k->failed_cap = cap;
    return true;
}

/* |until| 0: it is well again.  With nobody left that failed lately the memory goes back. */
static void failed_note(struct kad *k, const uint8_t hash[SHA256_LEN], tstamp until)
{
    uint64_t prefix = kad_hash_prefix(hash);
    bool counts = until != 0, noted = until == 0;

    for (size_t i = 0; i < k->failed_cap; i++) {
        if (k->failed[i].prefix == prefix) {
            k->failed[i].until = until;
            noted = true;
        }
        counts = counts || k->failed[i].until > k->last_answer;
    }
    if (!noted && failed_room(k)) {
        k->failed[k->failed_next] = (struct kad_failed){prefix, until};
        k->failed_next = (k->failed_next + 1) % k->failed_cap;
    } else if (!counts) {
        mem_free(k->cfg.mem, k->failed);
        k->failed = NULL;
        k->failed_cap = k->failed_next = 0;
    }
}

void kad_backoff_reset(struct kad *k)
{
    for (size_t i = 0; i < k->failed_cap; i++) {
        k->failed[i].until = 0;
    }
}

void kad_is_back(struct kad *k, const struct peer_id *peer, tstamp now, struct acts *out)
{
    uint8_t hash[SHA256_LEN];

    sha256(hash, peer_id_slice(peer));
    failed_note(k, hash, 0);
    struct kad_peer *p = kad_table_find(&k->table, hash);
    if (p != NULL && p->fails > 0) {
        kad_check(k, p, now, out);
    }
}

/* ---- who lied ---- */

static struct kad_liar *liar_find(const struct kad *k, const uint8_t hash[SHA256_LEN])
{
    uint64_t prefix = kad_hash_prefix(hash);

    for (size_t i = 0; k->liars != NULL && i < KAD_LIARS_MAX; i++) {
        if (k->liars[i].prefix == prefix && prefix != 0) {
            return &k->liars[i];
        }
    }
    return NULL;
}

static int16_t liar_score(const struct kad_liar *l, tstamp now)
{
    uint64_t s = now / NS_PER_S;

    return l == NULL ? 0 : kad_score_later(l->score, s > l->at ? s - l->at : 0);
}

static bool liar_refused(const struct kad *k, const uint8_t hash[SHA256_LEN], tstamp now)
{
    return liar_score(liar_find(k, hash), now) <= KAD_SCORE_REFUSED * 256;
}

/* A lookup may know the peer by another object than the table. */
static void deed(const struct kad *k, struct kad_peer *p, enum kad_deed what, tstamp now)
{
    struct kad_peer *e = kad_table_find(&k->table, p->hash);

    kad_peer_deed(p, what, now);
    if (e != NULL && e != p) {
        kad_peer_deed(e, what, now);
    }
}

void kad_lied(struct kad *k, struct kad_peer *p, tstamp now)
{
    struct kad_liar *l = liar_find(k, p->hash);

    deed(k, p, KAD_DEED_LIED, now);
    if (k->liars == NULL) {
        k->liars = mem_alloc_n(k->cfg.mem, KAD_LIARS_MAX, sizeof(*k->liars));
    }
    if (k->liars == NULL) {
        return;
    }
    int16_t score = kad_score_after(liar_score(l, now), KAD_DEED_LIED);
    if (l == NULL) {
        l = &k->liars[k->liars_next];
        k->liars_next = (k->liars_next + 1) % KAD_LIARS_MAX;
    }
    *l = (struct kad_liar){kad_hash_prefix(p->hash), (uint32_t)(now / NS_PER_S), score};
    if (liar_refused(k, p->hash, now)) {
        (void)kad_table_remove(&k->table, p->hash);
        kad_seed_cut(k, seed_find(k, p->hash));
        log_plain(&k->cfg.log, LOG_DEBUG, "kad.peer.refused");
    }
}

bool kad_failed_lately(const struct kad *k, const uint8_t hash[SHA256_LEN], tstamp now)
{
    uint64_t prefix = kad_hash_prefix(hash);

    if (liar_refused(k, hash, now)) {
        return true;
    }
    for (size_t i = 0; i < k->failed_cap; i++) {
        if (k->failed[i].prefix == prefix) {
            return now < k->failed[i].until;
        }
    }
    return false;
}

/* ---- who answered, who did not ---- */

/* One per call at most: a call brings one answer.  Short of memory it is left out. */
static void entered_report(struct kad *k, const struct kad_peer *p, struct acts *out)
{
    if (k->up_info == NULL) {
        k->up_info = mem_alloc(k->cfg.mem, sizeof(*k->up_info));
    }
    if (k->up_info == NULL) {
        return;
    }
    kad_peer_fill(k->up_info, p);
    struct act *a = acts_up(out, KAD_UP_PEER);
    a->peer = k->up_info->id;
    a->ptr = k->up_info;
}

void kad_answered(struct kad *k, struct kad_peer *p, tstamp rtt, tstamp now, struct acts *out)
{
    struct kad_peer *oldest;

    k->last_answer = now;
    kad_peer_rtt(p, rtt);
    failed_note(k, p->hash, 0);
    kad_lost_answered(k, p, now);
    deed(k, p, KAD_DEED_ANSWERED, now);
    if (liar_refused(k, p->hash, now)) {
        return;
    }
    switch (kad_table_seen(&k->table, p, now, &oldest)) {
    case KAD_SEEN_ADDED:
        entered_report(k, p, out);
        kad_seed_cut(k, seed_find(k, p->hash));
        break;
    case KAD_SEEN_SPARE:
        if (now - oldest->seen > k->idle_check) {
            kad_check(k, oldest, now, out);
        }
        kad_seed_cut(k, seed_find(k, p->hash));
        break;
    case KAD_SEEN_KNOWN:
    case KAD_SEEN_REFUSED:
        kad_seed_cut(k, seed_find(k, p->hash));
        break;
    }
}

/*
 * A peer that asks us is alive.  If it failed us lately (one slow answer on a busy machine is enough), it
 * is not passed over for KAD_FAILED_FOR: one of the table is asked at once whether it serves again, another
 * when the next lookup meets it.
 */
void kad_heard(struct kad *k, const struct kad_client *c, tstamp now, struct acts *out)
{
    struct kad_peer *p = kad_table_find(&k->table, c->hash);

    if (p == NULL) {
        if (!c->anonymous) {
            failed_note(k, c->hash, 0);
        }
        return;
    }
    if (p->fails == 0) {
        p->seen = now;
    } else {
        kad_check(k, p, now, out);
    }
}

void kad_alive(struct kad *k, const struct kad_peer *p, tstamp now)
{
    failed_note(k, p->hash, 0);
    struct kad_peer *e = kad_table_find(&k->table, p->hash);
    if (e != NULL && e->fails == 0) {
        e->seen = now;
    }
}

void kad_unanswered(struct kad *k, struct kad_peer *p, tstamp now)
{
    bool online = k->last_answer != 0 && now - k->last_answer < ONLINE;

    if (online) {
        deed(k, p, KAD_DEED_SILENT, now);
    }
    if (kad_table_find(&k->table, p->hash) == NULL && p->fails < UINT8_MAX) {
        p->fails++;
    }
    if (kad_table_failed(&k->table, p->hash, online)) {
        kad_lost_add(k, p, now);
    }
    if (online) {
        failed_note(k, p->hash, tstamp_after(now, KAD_FAILED_FOR));
    }
}

void kad_gave_up(struct kad *k, struct kad_peer *p, tstamp now)
{
    struct kad_peer *e = kad_table_find(&k->table, p->hash);

    e = e != NULL ? e : p;
    e->gave_up = (uint8_t)(e->gave_up < UINT8_MAX ? e->gave_up + 1 : UINT8_MAX);
    if (e->gave_up >= KAD_RESETS_MAX) {
        e->fails = e->fails < KAD_FAILS_MAX - 1 ? KAD_FAILS_MAX - 1 : e->fails;
        kad_unanswered(k, p, now);
    }
}

void kad_add_peer(struct kad *k, const struct kad_peer_info *peer, tstamp now, struct acts *out)
{
    uint8_t hash[SHA256_LEN];

    kad_enter(k, out);
    if (peer->id.len == 0 || peer_id_eq(&peer->id, &k->cfg.self)) {
        return;
    }
    kad_id_hash(k, hash, peer_id_slice(&peer->id));
    struct kad_peer *p = kad_table_find(&k->table, hash);
    if (p != NULL) {
        kad_table_set_addrs(&k->table, p, peer);
        return;
    }
    size_t s = seed_find(k, hash);
    if (s < k->n_seeds) {
        kad_peer_set_addrs(k->seed[s], peer, k->cfg.lab);
        k->seed[s]->fails = 0;
        kad_check(k, k->seed[s], now, out);
        return;
    }
    p = kad_peer_make(k, peer, hash);
    if (p == NULL) {
        return;
    }
    if (!kad_table_wants(&k->table, p) || liar_refused(k, hash, now)) {
        kad_peer_unref(p);
        return;
    }
    if (k->n_seeds == KAD_SEEDS_MAX) {
        kad_seed_cut(k, 0);
    }
    if (k->seed == NULL) {
        k->seed = mem_alloc_n(k->cfg.mem, KAD_SEEDS_MAX, sizeof(k->seed[0]));
    }
    if (k->seed == NULL) {
        kad_peer_unref(p);
        return;
    }
    k->seed[k->n_seeds++] = p;
    kad_check(k, p, now, out);
}

void kad_preload(struct kad *k, const struct kad_peer_info *peer, tstamp rtt, tstamp seen)
{
    uint8_t hash[SHA256_LEN];
    struct kad_peer *oldest;

    if (peer->id.len == 0 || peer_id_eq(&peer->id, &k->cfg.self)) {
        return;
    }
    kad_id_hash(k, hash, peer_id_slice(&peer->id));
    if (kad_table_find(&k->table, hash) != NULL) {
        return;
    }
    struct kad_peer *p = kad_peer_make(k, peer, hash);
    if (p == NULL) {
        return;
    }
    if (rtt > 0) {
        kad_peer_rtt(p, rtt);
    }
    if (p->who->n_addrs > 0) {
        (void)kad_table_seen(&k->table, p, seen, &oldest);
    }
    kad_peer_unref(p);
}

void kad_drop_peer(struct kad *k, const struct peer_id *peer)
{
    uint8_t hash[SHA256_LEN];

    kad_id_hash(k, hash, peer_id_slice(peer));
    (void)kad_table_remove(&k->table, hash);
    kad_seed_cut(k, seed_find(k, hash));
}
