/*
 * persist.c - encoding of persisted items. All numbers are big-endian.
 *
 *   record     version 1, u64 received, u64 expires, u16 length and key, value
 *   providers  version 1, then each: u64 expires, u16 length and Peer message
 *   own        version 1, u8 provide, u64 due, u16 length and key, value
 *   peers      version 1, then each: u16 length and Peer message
 *
 * Restored items come from a file that others may have written to: everything is checked again.
 */
#include "core/kad/storage/persist.h"

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

static void write_providers(struct wr *w, const struct kad_provider_set *p)
{
    for (size_t i = 0; i < p->n; i++) {
        wr_u64(w, (uint64_t)p->v[i].expires);
        wr_lp16(w, kad_contact_raw(p->v[i].peer));
    }
}

static void write_own(struct wr *w, const struct kad_storage *s, const struct kad_publication *e,
                      tstamp now)
{
    tstamp at = e->timer.node.at, wait = at > now ? at - now : 0;

    wr_u8(w, e->provide ? 1 : 0);
    wr_u64(w, (uint64_t)(kad_env_wall(s->env, now) + (walltime)(wait / NS_PER_S)));
    wr_lp16(w, (struct slice){e->key, e->key_len});
    wr_bytes(w, e->value, e->value_len);
}

/* Its hash into |hash|; nothing is written of what is gone. */
static void write_any(struct wr *w, const struct kad_storage *s, struct kad_dirty *m, uint8_t *hash,
                      tstamp now)
{
    const struct kad_record *r = LIST_ENTRY(m, struct kad_record, dirty);
    const struct kad_provider_set *p = LIST_ENTRY(m, struct kad_provider_set, dirty);
    const struct kad_publication *e = LIST_ENTRY(m, struct kad_publication, dirty);

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
            write_own(w, s, e, now);
        }
        break;
    case KAD_PERSIST_ANCHORS:
    case KAD_PERSIST_PIN:
        break;
    }
}

bool kad_persist_next(struct kad_storage *s, struct kad_change *out, tstamp now)
{
    if (list_empty(&s->store.changes)) {
        return false;
    }
    struct kad_dirty *m = LIST_ENTRY(s->store.changes.next, struct kad_dirty, node);
    struct wr w = wr_init(s->env->buf->bytes, sizeof(s->env->buf->bytes));
    list_del(&m->node);
    out->kind = (enum kad_persist_kind)m->kind;
    write_any(&w, s, m, out->hash, now);
    out->bytes = wr_done(&w);
    m->persisted = true;
    if (m->gone) {
        kad_dirty_free(&s->store, m);
    }
    return true;
}

void kad_persist_all(struct kad_storage *s)
{
    LIST_EACH(it, &s->store.record_list)
    {
        kad_dirty_set(&s->store, &LIST_ENTRY(it, struct kad_record, node)->dirty);
    }
    LIST_EACH(it, &s->store.provided_list)
    {
        kad_dirty_set(&s->store, &LIST_ENTRY(it, struct kad_provider_set, node)->dirty);
    }
    LIST_EACH(it, &s->pubs.list)
    {
        kad_dirty_set(&s->store, &LIST_ENTRY(it, struct kad_publication, node)->dirty);
    }
}

/* ---- from bytes ---- */

/* It is as the host has it. */
static void set_persisted(struct kad_dirty *m)
{
    list_del(&m->node);
    m->persisted = true;
}

static qudag_err restore_record(struct kad_storage *s, struct rd *r, const uint8_t hash[SHA256_LEN],
                                tstamp now)
{
    walltime wall = kad_env_wall(s->env, now), valid_until;
    walltime received = (walltime)rd_u64(r), expires = (walltime)rd_u64(r);
    struct slice key = rd_lp16(r, KAD_KEY_MAX), value = rd_rest(r);
    uint8_t right[SHA256_LEN];

    if (!rd_ok(r) || key.len == 0 || value.len > KAD_VALUE_MAX) {
        return QUDAG_EMALFORMED;
    }
    sha256(right, key);
    if (memcmp(right, hash, SHA256_LEN) != 0) {
        return QUDAG_EMALFORMED;
    }
    const struct kad_validator *v = kad_rules_find(s->rules, key);
    if (v == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = expires <= wall
                        ? QUDAG_EEXPIRED
                        : kad_validate(v, key, value, kad_env_wall(s->env, now), &valid_until);
    if (err != QUDAG_OK) {
        return err;
    }
    err = kad_store_put(&s->store, key, value, received < wall ? received : wall,
                        expires < valid_until ? expires : valid_until);
    if (err == QUDAG_OK) {
        struct kad_record *rec = map_get(&s->store.records, (struct slice){hash, SHA256_LEN});
        set_persisted(&rec->dirty);
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

/* Providers that have expired or make no sense are left out; the others are worth having. */
static qudag_err restore_providers(struct kad_storage *s, struct rd *r,
                                   const uint8_t hash[SHA256_LEN], tstamp now)
{
    walltime wall = kad_env_wall(s->env, now), most = wall + KAD_RECORD_LIFE;
    struct kad_peer_info *info = &s->env->buf->closer[0];
    uint8_t id_hash[SHA256_LEN];
    qudag_err err = QUDAG_EEXPIRED;

    while (rd_ok(r) && r->left > 0) {
        walltime expires = (walltime)rd_u64(r);
        struct slice body = rd_lp16(r, KAD_PEER_RAW_MAX);
        if (!rd_ok(r)) {
            return QUDAG_EMALFORMED;
        }
        bool sound = read_peer(info, body);
        err = sound ? err : QUDAG_EMALFORMED;
        if (!sound || expires <= wall) {
            continue;
        }
        kad_contacts_hash(s->routing, id_hash, peer_id_slice(&info->id));
        struct kad_contact *p = kad_contacts_make(s->routing, info, id_hash);
        if (p == NULL) {
            return QUDAG_ENOMEM;
        }
        err = p->info->n_addrs == 0
                  ? QUDAG_EINVAL
                  : kad_store_provide(&s->store, hash, p, wall, expires < most ? expires : most);
        kad_contact_unref(p);
    }
    struct kad_provider_set *all = map_get(&s->store.provided, (struct slice){hash, SHA256_LEN});
    if (all == NULL) {
        return err;
    }
    set_persisted(&all->dirty);
    return QUDAG_OK;
}

static qudag_err restore_own(struct kad_storage *s, struct rd *r, const uint8_t hash[SHA256_LEN],
                             tstamp now)
{
    struct kad_publication_args own = {.provide = rd_u8(r) != 0};
    walltime expires;

    own.due = (walltime)rd_u64(r);
    own.key = rd_lp16(r, KAD_KEY_MAX);
    own.value = rd_rest(r);
    if (!rd_ok(r) || own.key.len == 0 || own.value.len > KAD_VALUE_MAX || own.due < 0) {
        return QUDAG_EMALFORMED;
    }
    if (!own.provide) {
        const struct kad_validator *v = kad_rules_find(s->rules, own.key);
        qudag_err err =
            v == NULL ? QUDAG_EINVAL
                      : kad_validate(v, own.key, own.value, kad_env_wall(s->env, now), &expires);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    return kad_publication_restore(&s->pubs, &own, hash, now);
}

qudag_err kad_persist_restore(struct kad_storage *s, enum kad_persist_kind kind,
                              const uint8_t hash[SHA256_LEN], struct slice bytes, tstamp now)
{
    struct rd r = rd_init(bytes);
    qudag_err err = QUDAG_EMALFORMED;

    if (rd_u8(&r) == VERSION && bytes.len <= KAD_PERSIST_MAX) {
        err = kind == KAD_PERSIST_RECORD      ? restore_record(s, &r, hash, now)
              : kind == KAD_PERSIST_PROVIDERS ? restore_providers(s, &r, hash, now)
              : kind == KAD_PERSIST_OWN       ? restore_own(s, &r, hash, now)
                                              : QUDAG_EMALFORMED;
    }
    s->env->stats.restored += err == QUDAG_OK ? 1 : 0;
    s->env->stats.restore_refused += err == QUDAG_OK ? 0 : 1;
    return err;
}

/* ---- anchors ---- */

size_t kad_persist_anchors(const struct kad_table *t, uint8_t *dst, size_t cap)
{
    struct wr w = wr_init(dst, cap);
    size_t n = 0;

    wr_u8(&w, VERSION);
    for (size_t e = 0; e < KAD_K;
         e++) { /* across the buckets: of each the first, then the second */
        for (size_t b = 0; b < KAD_BUCKETS && n < KAD_ANCHORS_MAX; b++) {
            const struct kad_bucket *bk = t->bucket[b];
            if (bk == NULL || e >= bk->n || bk->peer[e]->info->n_addrs == 0) {
                continue;
            }
            const struct kad_contact *p = bk->peer[e];
            if (w.len + 2 + p->info->raw_len > cap) {
                return w.len;
            }
            wr_lp16(&w, kad_contact_raw(p));
            n++;
        }
    }
    return w.len;
}

bool kad_persist_anchor_next(struct slice bytes, size_t *at, struct kad_peer_info *out)
{
    if (*at == 0) {
        if (bytes.len == 0 || bytes.base[0] != VERSION) {
            return false;
        }
        *at = 1;
    }
    struct rd r = rd_init(slice_rest(bytes, *at));
    if (r.left == 0) {
        return false;
    }
    struct slice body = rd_lp16(&r, KAD_PEER_RAW_MAX);
    *at = bytes.len - r.left;
    return rd_ok(&r) && read_peer(out, body);
}
