/*
 * store.c - records and provider records stored for others, by the hash of their key.
 *
 * Both are bounded by count, records also by bytes.  When full, the key farthest from ourselves is dropped
 * (a heap by the first 63 bits of the distance finds it), unless the new one is farther still.
 * Expired ones are never handed out; kad_store_expire() returns their memory.
 *
 * Items that changed since they were last passed to the host are in a list of dirty items, once however often
 * they changed; see kad_change_next().
 */
#include "core/kad/storage/store.h"

#include "base/assert.h"
#include "core/kad/storage/republish.h"

#include <string.h>

static struct slice hash_slice(const uint8_t hash[SHA256_LEN])
{
    return (struct slice){hash, SHA256_LEN};
}

static struct kad_record *record_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_record, node);
}

static struct kad_provider_set *provided_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_provider_set, node);
}

/* Ascending with the nearness to us: the top of the heap is the farthest. */
static tstamp nearness(const struct kad_store *s, const uint8_t hash[SHA256_LEN])
{
    return ~(kad_hash_prefix(s->self) ^ kad_hash_prefix(hash)) >> 1;
}

void kad_store_init(struct kad_store *s, const struct kad_env *env,
                    const struct kad_store_config *cfg, const uint8_t seed[32])
{
    *s = (struct kad_store){.mem = env->mem,
                            .records_max = cfg->records_max,
                            .providers_max = cfg->providers_max,
                            .bytes_max = cfg->bytes_max == 0 ? UINT64_MAX : cfg->bytes_max,
                            .report = cfg->report};
    memcpy(s->self, env->hash, SHA256_LEN);
    map_init_sized(&s->records, env->mem, seed, SHA256_LEN, cfg->records_max);
    map_init_sized(&s->provided, env->mem, seed + 16, SHA256_LEN, cfg->providers_max);
    heap_init(&s->far_records, env->mem, cfg->records_max);
    heap_init(&s->far_provided, env->mem, cfg->providers_max);
    list_init(&s->record_list);
    list_init(&s->provided_list);
    list_init(&s->changes);
}

/* ---- changes ---- */

void kad_dirty_set(struct kad_store *s, struct kad_dirty *m)
{
    if (s->report && !list_linked(&m->node)) {
        list_push_back(&s->changes, &m->node);
    }
}

bool kad_dirty_end(struct kad_store *s, struct kad_dirty *m)
{
    if (!s->report || !m->persisted) {
        list_del(&m->node);
        return false;
    }
    m->gone = true;
    kad_dirty_set(s, m);
    return true;
}

void kad_dirty_free(struct kad_store *s, struct kad_dirty *m)
{
    switch ((enum kad_persist_kind)m->kind) {
    case KAD_PERSIST_RECORD:
        mem_free(s->mem, LIST_ENTRY(m, struct kad_record, dirty));
        break;
    case KAD_PERSIST_PROVIDERS:
        mem_free(s->mem, LIST_ENTRY(m, struct kad_provider_set, dirty));
        break;
    case KAD_PERSIST_OWN:
        mem_free(s->mem, LIST_ENTRY(m, struct kad_publication, dirty));
        break;
    case KAD_PERSIST_ANCHORS:
    case KAD_PERSIST_PIN:
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
    if (!kad_dirty_end(s, &r->dirty)) {
        mem_free(s->mem, r);
    }
}

static void provided_free(struct kad_store *s, struct kad_provider_set *p)
{
    (void)map_del(&s->provided, hash_slice(p->hash));
    heap_del(&s->far_provided, &p->far);
    list_del(&p->node);
    for (size_t i = 0; i < p->n; i++) {
        kad_contact_unref(p->v[i].peer);
    }
    s->n_providers -= p->n;
    p->n = 0;
    if (!kad_dirty_end(s, &p->dirty)) {
        mem_free(s->mem, p);
    }
}

void kad_store_fini(struct kad_store *s)
{
    s->report = false;
    LIST_EACH_SAFE(it, tmp, &s->changes)
    {
        struct kad_dirty *m = LIST_ENTRY(it, struct kad_dirty, node);
        list_del(&m->node);
        if (m->gone) {
            kad_dirty_free(s, m);
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
    list_init(&r->dirty.node);
    r->dirty.kind = KAD_PERSIST_RECORD;
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
    kad_dirty_set(s, &r->dirty);
    return QUDAG_OK;
}

qudag_err kad_store_accept(struct kad_store *s, const struct kad_validator *v, struct slice key,
                           struct slice value, walltime now)
{
    uint8_t hash[SHA256_LEN];
    walltime expires;
    qudag_err err = kad_validate(v, key, value, now, &expires);

    if (err != QUDAG_OK) {
        return err;
    }
    sha256(hash, key);
    const struct kad_record *old = kad_store_get(s, hash, now);
    if (old != NULL && kad_prefer(v, key, value, (struct slice){old->value, old->value_len}) < 0) {
        return QUDAG_ESTALE;
    }
    return kad_store_put(s, key, value, now, expires);
}

/* ---- providers ---- */

static void provider_cut(struct kad_store *s, struct kad_provider_set *p, size_t i)
{
    kad_contact_unref(p->v[i].peer);
    p->v[i] = p->v[--p->n];
    s->n_providers--;
    kad_dirty_set(s, &p->dirty);
}

static void provided_expire(struct kad_store *s, struct kad_provider_set *p, walltime now)
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
        struct kad_provider_set *far =
            top == NULL ? NULL : LIST_ENTRY(top, struct kad_provider_set, far);
        if (far == NULL || kad_dist_cmp(s->self, hash, far->hash) >= 0) {
            return false;
        }
        s->evicted += far->n;
        provided_free(s, far);
    }
    return true;
}

static struct kad_provider_set *provided_new(struct kad_store *s, const uint8_t hash[SHA256_LEN])
{
    struct kad_provider_set *p = mem_alloc(s->mem, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    memcpy(p->hash, hash, SHA256_LEN);
    list_init(&p->dirty.node);
    p->dirty.kind = KAD_PERSIST_PROVIDERS;
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
                            struct kad_contact *peer, walltime now, walltime expires)
{
    struct kad_provider_set *p = map_get(&s->provided, hash_slice(hash));

    if (s->read_only) {
        return QUDAG_ELIMIT;
    }
    if (p != NULL) {
        provided_expire(s, p, now);
        for (size_t i = 0; i < p->n; i++) {
            if (kad_contact_same(p->v[i].peer, peer)) {
                struct kad_contact *old = p->v[i].peer;
                p->v[i] = (struct kad_provider){kad_contact_ref(peer), expires};
                kad_contact_unref(old);
                kad_dirty_set(s, &p->dirty);
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
    p->v[p->n++] = (struct kad_provider){kad_contact_ref(peer), expires};
    s->n_providers++;
    kad_dirty_set(s, &p->dirty);
    return QUDAG_OK;
}

size_t kad_store_providers(const struct kad_store *s, const uint8_t hash[SHA256_LEN], walltime now,
                           size_t max, struct kad_contact **out)
{
    const struct kad_provider_set *p = map_get(&s->provided, hash_slice(hash));
    size_t n = 0;

    for (size_t i = 0; p != NULL && i < p->n && n < max; i++) {
        if (p->v[i].expires > now) {
            out[n++] = p->v[i].peer;
        }
    }
    return n;
}

void kad_store_expire(struct kad_store *s, walltime now)
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
        struct kad_provider_set *p = provided_of(it);
        provided_expire(s, p, now);
        if (p->n == 0) {
            provided_free(s, p);
        }
    }
}
