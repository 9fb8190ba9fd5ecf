/*
 * store.c - records and providers we hold for others, by the hash of their key.
 *
 * Both are bounded by count, records also by bytes.  When full, the key farthest from ourselves goes
 * (a heap by the first 63 bits of the distance finds it), unless the new one is farther still.
 * Expired ones are never handed out; the sweep returns their memory.
 *
 * What differs from what the host was told last is in the list of changes, once however often it
 * changed; see kad_change_next().
 */
#include "core/kad/republish.h"

#include "base/assert.h"

#include <string.h>

static struct slice hash_slice(const uint8_t hash[SHA256_LEN])
{
    return (struct slice){hash, SHA256_LEN};
}

static struct kad_record *record_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_record, node);
}

static struct kad_provided *provided_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_provided, node);
}

/* Ascending with the nearness to us: the top of the heap is the farthest. */
static tstamp nearness(const struct kad_store *s, const uint8_t hash[SHA256_LEN])
{
    return ~(kad_hash_prefix(s->self) ^ kad_hash_prefix(hash)) >> 1;
}

void kad_store_init(struct kad_store *s, struct mem *mem, const struct kad_config *cfg,
                    const uint8_t seed[32])
{
    *s = (struct kad_store){.mem = mem,
                            .records_max = cfg->records_max,
                            .providers_max = cfg->providers_max,
                            .bytes_max =
                                cfg->record_bytes_max == 0 ? UINT64_MAX : cfg->record_bytes_max,
                            .report = cfg->report_store};
    sha256(s->self, peer_id_slice(&cfg->self));
    map_init(&s->records, mem, seed, cfg->records_max);
    map_init(&s->provided, mem, seed + 16, cfg->providers_max);
    heap_init(&s->far_records, mem, cfg->records_max);
    heap_init(&s->far_provided, mem, cfg->providers_max);
    list_init(&s->record_list);
    list_init(&s->provided_list);
    list_init(&s->changes);
}

/* ---- changes ---- */

void kad_mark_set(struct kad_store *s, struct kad_mark *m)
{
    if (s->report && !list_linked(&m->node)) {
        list_push_back(&s->changes, &m->node);
    }
}

bool kad_mark_end(struct kad_store *s, struct kad_mark *m)
{
    if (!s->report || !m->known) {
        list_del(&m->node);
        return false;
    }
    m->gone = true;
    kad_mark_set(s, m);
    return true;
}

void kad_mark_free(struct kad_store *s, struct kad_mark *m)
{
    switch ((enum kad_persist_kind)m->kind) {
    case KAD_PERSIST_RECORD:
        mem_free(s->mem, LIST_ENTRY(m, struct kad_record, mark));
        break;
    case KAD_PERSIST_PROVIDERS:
        mem_free(s->mem, LIST_ENTRY(m, struct kad_provided, mark));
        break;
    case KAD_PERSIST_OWN:
        mem_free(s->mem, LIST_ENTRY(m, struct kad_keep, mark));
        break;
    case KAD_PERSIST_ANCHORS:
        break;
    }
}

/* ---- records ---- */

static uint64_t cost(size_t key_len, size_t value_len)
{
    return (uint64_t)key_len + value_len + KAD_RECORD_COST;
}

static void record_free(struct kad_store *s, struct kad_record *r)
{
    (void)map_del(&s->records, hash_slice(r->hash));
    heap_del(&s->far_records, &r->far);
    list_del(&r->node);
    s->bytes -= r->value == NULL ? 0 : cost(r->key_len, r->value_len);
    s->n_records--;
    mem_free(s->mem, r->value);
    r->value = NULL;
    if (!kad_mark_end(s, &r->mark)) {
        mem_free(s->mem, r);
    }
}

static void provided_free(struct kad_store *s, struct kad_provided *p)
{
    (void)map_del(&s->provided, hash_slice(p->hash));
    heap_del(&s->far_provided, &p->far);
    list_del(&p->node);
    for (size_t i = 0; i < p->n; i++) {
        kad_peer_unref(p->v[i].peer);
    }
    s->n_providers -= p->n;
    p->n = 0;
    if (!kad_mark_end(s, &p->mark)) {
        mem_free(s->mem, p);
    }
}

void kad_store_fini(struct kad_store *s)
{
    s->report = false;
    LIST_EACH_SAFE(it, tmp, &s->changes)
    {
        struct kad_mark *m = LIST_ENTRY(it, struct kad_mark, node);
        list_del(&m->node);
        if (m->gone) {
            kad_mark_free(s, m);
        }
    }
    LIST_EACH_SAFE(it, tmp, &s->record_list)
    {
        record_free(s, record_of(it));
    }
    LIST_EACH_SAFE(it, tmp, &s->provided_list)
    {
        provided_free(s, provided_of(it));
    }
    map_fini(&s->records);
    map_fini(&s->provided);
    heap_fini(&s->far_records);
    heap_fini(&s->far_provided);
}

const struct kad_record *kad_store_get(const struct kad_store *s, const uint8_t hash[SHA256_LEN],
                                       walltime now)
{
    const struct kad_record *r = map_get(&s->records, hash_slice(hash));

    return r != NULL && r->expires > now ? r : NULL;
}

/*
 * Makes room for a record at |hash| of |more| bytes, |one| record more; false when everything held is
 * closer to us.  |hash| itself is never the one to go.
 */
static bool record_room(struct kad_store *s, const uint8_t hash[SHA256_LEN], uint64_t more,
                        uint32_t one)
{
    while (s->n_records + one > s->records_max || s->bytes + more > s->bytes_max) {
        struct heap_node *top = heap_top(&s->far_records);
        struct kad_record *far = top == NULL ? NULL : LIST_ENTRY(top, struct kad_record, far);
        if (far == NULL || kad_dist_cmp(s->self, hash, far->hash) >= 0) {
            return false;
        }
        record_free(s, far);
        s->evicted++;
    }
    return true;
}

static qudag_err record_new(struct kad_store *s, struct slice key, const uint8_t hash[SHA256_LEN],
                            struct kad_record **out)
{
    struct kad_record *r = mem_alloc(s->mem, sizeof(*r) + key.len);

    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    memcpy(r->hash, hash, SHA256_LEN);
    r->key_len = (uint16_t)key.len;
    if (key.len > 0) {
        memcpy(r->key, key.base, key.len);
    }
    list_init(&r->mark.node);
    r->mark.kind = KAD_PERSIST_RECORD;
    qudag_err err = heap_set(&s->far_records, &r->far, nearness(s, hash));
    if (err == QUDAG_OK) {
        err = map_put(&s->records, hash_slice(hash), r);
    }
    if (err != QUDAG_OK) {
        heap_del(&s->far_records, &r->far);
        mem_free(s->mem, r);
        return err;
    }
    list_push_back(&s->record_list, &r->node);
    s->n_records++;
    *out = r;
    return QUDAG_OK;
}

qudag_err kad_store_put(struct kad_store *s, struct slice key, struct slice value, walltime now,
                        walltime expires)
{
    uint8_t hash[SHA256_LEN];
    uint64_t whole = cost(key.len, value.len);

    ASSERT(key.len <= KAD_KEY_MAX && value.len <= KAD_VALUE_MAX);
    if (s->read_only) {
        return QUDAG_ELIMIT;
    }
    sha256(hash, key);
    struct kad_record *r = map_get(&s->records, hash_slice(hash));
    uint64_t old = r == NULL ? 0 : cost(r->key_len, r->value_len);
    if (!record_room(s, hash, whole > old ? whole - old : 0, r == NULL ? 1 : 0)) {
        return QUDAG_ELIMIT;
    }
    uint8_t *copy = mem_alloc(s->mem, value.len);
    if (copy == NULL) {
        return QUDAG_ENOMEM;
    }
    if (value.len > 0) {
        memcpy(copy, value.base, value.len);
    }
    qudag_err err = r == NULL ? record_new(s, key, hash, &r) : QUDAG_OK;
    if (err != QUDAG_OK) {
        mem_free(s->mem, copy);
        return err;
    }
    s->bytes = s->bytes + whole - old;
    mem_free(s->mem, r->value);
    r->value = copy;
    r->value_len = (uint16_t)value.len;
    sha256(r->digest, value);
    r->received = now;
    r->expires = expires;
    kad_mark_set(s, &r->mark);
    return QUDAG_OK;
}

/* ---- providers ---- */

static void provider_cut(struct kad_store *s, struct kad_provided *p, size_t i)
{
    kad_peer_unref(p->v[i].peer);
    p->v[i] = p->v[--p->n];
    s->n_providers--;
    kad_mark_set(s, &p->mark);
}

static void provided_expire(struct kad_store *s, struct kad_provided *p, walltime now)
{
    for (size_t i = p->n; i > 0; i--) {
        if (p->v[i - 1].expires <= now) {
            provider_cut(s, p, i - 1);
        }
    }
}

/* Makes room for one provider of |hash|; never at the cost of |hash| itself. */
static bool provider_room(struct kad_store *s, const uint8_t hash[SHA256_LEN])
{
    while (s->n_providers >= s->providers_max) {
        struct heap_node *top = heap_top(&s->far_provided);
        struct kad_provided *far = top == NULL ? NULL : LIST_ENTRY(top, struct kad_provided, far);
        if (far == NULL || kad_dist_cmp(s->self, hash, far->hash) >= 0) {
            return false;
        }
        s->evicted += far->n;
        provided_free(s, far);
    }
    return true;
}

static struct kad_provided *provided_new(struct kad_store *s, const uint8_t hash[SHA256_LEN])
{
    struct kad_provided *p = mem_alloc(s->mem, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    memcpy(p->hash, hash, SHA256_LEN);
    list_init(&p->mark.node);
    p->mark.kind = KAD_PERSIST_PROVIDERS;
    if (heap_set(&s->far_provided, &p->far, nearness(s, hash)) != QUDAG_OK ||
        map_put(&s->provided, hash_slice(hash), p) != QUDAG_OK) {
        heap_del(&s->far_provided, &p->far);
        mem_free(s->mem, p);
        return NULL;
    }
    list_push_back(&s->provided_list, &p->node);
    return p;
}

qudag_err kad_store_provide(struct kad_store *s, const uint8_t hash[SHA256_LEN],
                            struct kad_peer *peer, walltime now, walltime expires)
{
    struct kad_provided *p = map_get(&s->provided, hash_slice(hash));

    if (s->read_only) {
        return QUDAG_ELIMIT;
    }
    if (p != NULL) {
        provided_expire(s, p, now);
        for (size_t i = 0; i < p->n; i++) {
            if (kad_peer_same(p->v[i].peer, peer)) {
                struct kad_peer *old = p->v[i].peer;
                p->v[i] = (struct kad_provider){kad_peer_ref(peer), expires};
                kad_peer_unref(old);
                kad_mark_set(s, &p->mark);
                return QUDAG_OK;
            }
        }
        if (p->n == KAD_KEY_PROVIDERS) {
            return QUDAG_ELIMIT;
        }
    }
    if (!provider_room(s, hash)) {
        return QUDAG_ELIMIT;
    }
    if (p == NULL) {
        p = provided_new(s, hash);
        if (p == NULL) {
            return QUDAG_ENOMEM;
        }
    }
    p->v[p->n++] = (struct kad_provider){kad_peer_ref(peer), expires};
    s->n_providers++;
    kad_mark_set(s, &p->mark);
    return QUDAG_OK;
}

size_t kad_store_providers(const struct kad_store *s, const uint8_t hash[SHA256_LEN], walltime now,
                           size_t max, struct kad_peer **out)
{
    const struct kad_provided *p = map_get(&s->provided, hash_slice(hash));
    size_t n = 0;

    for (size_t i = 0; p != NULL && i < p->n && n < max; i++) {
        if (p->v[i].expires > now) {
            out[n++] = p->v[i].peer;
        }
    }
    return n;
}

void kad_store_sweep(struct kad_store *s, walltime now)
{
    LIST_EACH_SAFE(it, tmp, &s->record_list)
    {
        struct kad_record *r = record_of(it);
        if (r->expires <= now) {
            record_free(s, r);
        }
    }
    LIST_EACH_SAFE(it, tmp, &s->provided_list)
    {
        struct kad_provided *p = provided_of(it);
        provided_expire(s, p, now);
        if (p->n == 0) {
            provided_free(s, p);
        }
    }
}
