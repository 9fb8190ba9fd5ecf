/*
 * persist.c - what outlives us, as bytes and back.  All numbers are big-endian.
 *
 *   record     version 1, u64 received, u64 expires, u16 length and key, value
 *   providers  version 1, then each: u64 expires, u16 length and Peer message
 *   own        version 1, u8 provide, u64 due, u16 length and key, value
 *   peers      version 1, then each: u16 length and Peer message
 *
 * What comes back was in a file that others may have written: everything is checked again.
 */
#include "core/kad/republish.h"

#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

#define VERSION 1
_Static_assert(KAD_PERSIST_MAX >= 1 + KAD_KEY_PROVIDERS * (10 + KAD_PEER_RAW_MAX) &&
                   KAD_PERSIST_MAX >= KAD_MSG_MAX + 8,
               "one buffer for everything");

/* ---- to bytes ---- */

static void write_record(struct wr *w, const struct kad_record *r)
{
    wr_u64(w, (uint64_t)r->received);
    wr_u64(w, (uint64_t)r->expires);
    wr_lp16(w, (struct slice){r->key, r->key_len});
    wr_bytes(w, r->value, r->value_len);
}

static void write_providers(struct wr *w, const struct kad_provided *p)
{
    for (size_t i = 0; i < p->n; i++) {
        wr_u64(w, (uint64_t)p->v[i].expires);
        wr_lp16(w, kad_peer_raw(p->v[i].peer));
    }
}

static void write_own(struct wr *w, const struct kad *k, const struct kad_keep *e, tstamp now)
{
    tstamp at = e->timer.node.at, wait = at > now ? at - now : 0;

    wr_u8(w, e->provide ? 1 : 0);
    wr_u64(w, (uint64_t)(kad_wall(k, now) + (walltime)(wait / NS_PER_S)));
    wr_lp16(w, (struct slice){e->key, e->key_len});
    wr_bytes(w, e->value, e->value_len);
}

/* Its hash into |hash|; nothing is written of what is gone. */
static void write_any(struct wr *w, const struct kad *k, struct kad_mark *m, uint8_t *hash,
                      tstamp now)
{
    const struct kad_record *r = LIST_ENTRY(m, struct kad_record, mark);
    const struct kad_provided *p = LIST_ENTRY(m, struct kad_provided, mark);
    const struct kad_keep *e = LIST_ENTRY(m, struct kad_keep, mark);

    if (!m->gone) {
        wr_u8(w, VERSION);
    }
    switch ((enum kad_persist_kind)m->kind) {
    case KAD_PERSIST_RECORD:
        memcpy(hash, r->hash, SHA256_LEN);
        if (!m->gone) {
            write_record(w, r);
        }
        break;
    case KAD_PERSIST_PROVIDERS:
        memcpy(hash, p->hash, SHA256_LEN);
        if (!m->gone) {
            write_providers(w, p);
        }
        break;
    case KAD_PERSIST_OWN:
        memcpy(hash, e->hash, SHA256_LEN);
        if (!m->gone) {
            write_own(w, k, e, now);
        }
        break;
    case KAD_PERSIST_ANCHORS:
        break;
    }
}

bool kad_change_next(struct kad *k, struct kad_change *out, tstamp now)
{
    if (list_empty(&k->store.changes)) {
        return false;
    }
    struct kad_mark *m = LIST_ENTRY(k->store.changes.next, struct kad_mark, node);
    struct wr w = wr_init(k->scratch->buf, sizeof(k->scratch->buf));
    list_del(&m->node);
    out->kind = (enum kad_persist_kind)m->kind;
    write_any(&w, k, m, out->hash, now);
    out->bytes = wr_done(&w);
    m->known = true;
    if (m->gone) {
        kad_mark_free(&k->store, m);
    }
    return true;
}

void kad_change_all(struct kad *k)
{
    LIST_EACH(it, &k->store.record_list)
    {
        kad_mark_set(&k->store, &LIST_ENTRY(it, struct kad_record, node)->mark);
    }
    LIST_EACH(it, &k->store.provided_list)
    {
        kad_mark_set(&k->store, &LIST_ENTRY(it, struct kad_provided, node)->mark);
    }
    LIST_EACH(it, &k->keeps)
    {
        kad_mark_set(&k->store, &LIST_ENTRY(it, struct kad_keep, node)->mark);
    }
}

void kad_read_only(struct kad *k, bool read_only)
{
    k->store.read_only = read_only;
}

/* ---- from bytes ---- */

/* It is as the host has it. */
static void mark_known(struct kad_mark *m)
{
    list_del(&m->node);
    m->known = true;
}

static qudag_err restore_record(struct kad *k, struct rd *r, const uint8_t hash[SHA256_LEN],
                                tstamp now)
{
    walltime wall = kad_wall(k, now), judged;
    walltime received = (walltime)rd_u64(r), expires = (walltime)rd_u64(r);
    struct slice key = rd_lp16(r, KAD_KEY_MAX), value = rd_rest(r);
    uint8_t own[SHA256_LEN];

    if (!rd_ok(r) || key.len == 0 || value.len > KAD_VALUE_MAX) {
        return QUDAG_EMALFORMED;
    }
    sha256(own, key);
    if (memcmp(own, hash, SHA256_LEN) != 0) {
        return QUDAG_EMALFORMED;
    }
    const struct kad_validator *v = kad_validator_find(k, key);
    if (v == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = expires <= wall ? QUDAG_EEXPIRED : kad_judge(k, v, key, value, now, &judged);
    if (err != QUDAG_OK) {
        return err;
    }
    err = kad_store_put(&k->store, key, value, received < wall ? received : wall,
                        expires < judged ? expires : judged);
    if (err == QUDAG_OK) {
        struct kad_record *rec = map_get(&k->store.records, (struct slice){hash, SHA256_LEN});
        mark_known(&rec->mark);
    }
    return err;
}

/* False: it is no Peer message, or has no sound id. */
static bool read_peer(struct kad_peer_info *out, struct slice body)
{
    struct kad_peer_raw raw;
    size_t dropped = 0;

    return kad_peer_form(&raw, body) && kad_peer_read(out, &dropped, &raw);
}

/* One that is whole is worth more than none: who has expired or makes no sense is left out. */
static qudag_err restore_providers(struct kad *k, struct rd *r, const uint8_t hash[SHA256_LEN],
                                   tstamp now)
{
    walltime wall = kad_wall(k, now), most = wall + KAD_RECORD_LIFE;
    struct kad_peer_info *info = &k->scratch->closer[0];
    uint8_t id_hash[SHA256_LEN];
    qudag_err err = QUDAG_EEXPIRED;

    while (rd_ok(r) && r->left > 0) {
        walltime expires = (walltime)rd_u64(r);
        struct slice body = rd_lp16(r, KAD_PEER_RAW_MAX);
        if (!rd_ok(r) || !read_peer(info, body)) {
            return QUDAG_EMALFORMED;
        }
        if (expires <= wall) {
            continue;
        }
        kad_id_hash(k, id_hash, peer_id_slice(&info->id));
        struct kad_peer *p = kad_peer_make(k, info, id_hash);
        if (p == NULL) {
            return QUDAG_ENOMEM;
        }
        err = p->who->n_addrs == 0
                  ? QUDAG_EINVAL
                  : kad_store_provide(&k->store, hash, p, wall, expires < most ? expires : most);
        kad_peer_unref(p);
    }
    struct kad_provided *all = map_get(&k->store.provided, (struct slice){hash, SHA256_LEN});
    if (all == NULL) {
        return err;
    }
    mark_known(&all->mark);
    return QUDAG_OK;
}

static qudag_err restore_own(struct kad *k, struct rd *r, const uint8_t hash[SHA256_LEN],
                             tstamp now)
{
    struct kad_own own = {.provide = rd_u8(r) != 0};
    walltime expires;

    own.due = (walltime)rd_u64(r);
    own.key = rd_lp16(r, KAD_KEY_MAX);
    own.value = rd_rest(r);
    if (!rd_ok(r) || own.key.len == 0 || own.value.len > KAD_VALUE_MAX || own.due < 0) {
        return QUDAG_EMALFORMED;
    }
    if (!own.provide) {
        const struct kad_validator *v = kad_validator_find(k, own.key);
        qudag_err err =
            v == NULL ? QUDAG_EINVAL : kad_judge(k, v, own.key, own.value, now, &expires);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    return kad_keep_restore(k, &own, hash, now);
}

qudag_err kad_restore(struct kad *k, enum kad_persist_kind kind, const uint8_t hash[SHA256_LEN],
                      struct slice bytes, tstamp now)
{
    struct rd r = rd_init(bytes);
    qudag_err err = QUDAG_EMALFORMED;

    if (rd_u8(&r) == VERSION && bytes.len <= KAD_PERSIST_MAX) {
        err = kind == KAD_PERSIST_RECORD      ? restore_record(k, &r, hash, now)
              : kind == KAD_PERSIST_PROVIDERS ? restore_providers(k, &r, hash, now)
              : kind == KAD_PERSIST_OWN       ? restore_own(k, &r, hash, now)
                                              : QUDAG_EMALFORMED;
    }
    k->stats.restored += err == QUDAG_OK ? 1 : 0;
    k->stats.restore_refused += err == QUDAG_OK ? 0 : 1;
    return err;
}

/* ---- peers to begin with ---- */

size_t kad_anchors(const struct kad *k, uint8_t *dst, size_t cap)
{
    struct wr w = wr_init(dst, cap);
    size_t n = 0;

    wr_u8(&w, VERSION);
    for (size_t e = 0; e < KAD_K;
         e++) { /* across the buckets: of each the first, then the second */
        for (size_t b = 0; b < KAD_BUCKETS && n < KAD_ANCHORS_MAX; b++) {
            const struct kad_bucket *bk = k->table.bucket[b];
            if (bk == NULL || e >= bk->n || bk->peer[e]->who->n_addrs == 0) {
                continue;
            }
            const struct kad_peer *p = bk->peer[e];
            if (w.len + 2 + p->who->raw_len > cap) {
                return w.len;
            }
            wr_lp16(&w, kad_peer_raw(p));
            n++;
        }
    }
    return w.len;
}

bool kad_anchor_next(struct slice bytes, size_t *at, struct kad_peer_info *out)
{
    if (*at == 0) {
        if (bytes.len == 0 || bytes.base[0] != VERSION) {
            return false;
        }
        *at = 1;
    }
    struct rd r = rd_init((struct slice){bytes.base + *at, bytes.len - *at});
    if (r.left == 0) {
        return false;
    }
    struct slice body = rd_lp16(&r, KAD_PEER_RAW_MAX);
    *at = bytes.len - r.left;
    return rd_ok(&r) && read_peer(out, body);
}
