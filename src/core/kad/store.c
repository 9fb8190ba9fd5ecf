/*
 * store.c - records and providers we hold for others, by the hash of their key.
 *
 * Both are bounded by count (a record by KAD_VALUE_MAX, a key by KAD_KEY_PROVIDERS).  When full, the
 * key farthest from ourselves goes, unless the new one is farther still.  Expired ones are never
 * handed out; the sweep returns their memory.
 */
#include "core/kad/kad_int.h"

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

void kad_store_init(struct kad_store *s, struct mem *mem, const struct kad_config *cfg,
                    const uint8_t seed[32])
{
    *s = (struct kad_store){
        .mem = mem, .records_max = cfg->records_max, .providers_max = cfg->providers_max};
    sha256(s->self, peer_id_slice(&cfg->self));
    map_init(&s->records, mem, seed, cfg->records_max);
    map_init(&s->provided, mem, seed + 16, cfg->providers_max);
    list_init(&s->record_list);
    list_init(&s->provided_list);
}

static void record_free(struct kad_store *s, struct kad_record *r)
{
    (void)map_del(&s->records, hash_slice(r->hash));
    list_del(&r->node);
    mem_free(s->mem, r->value);
    mem_free(s->mem, r);
    s->n_records--;
}

static void provided_free(struct kad_store *s, struct kad_provided *p)
{
    (void)map_del(&s->provided, hash_slice(p->hash));
    list_del(&p->node);
    for (size_t i = 0; i < p->n; i++) {
        kad_peer_unref(p->v[i].peer);
    }
    s->n_providers -= p->n;
    mem_free(s->mem, p);
}

void kad_store_fini(struct kad_store *s)
{
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
}

const struct kad_record *kad_store_get(const struct kad_store *s, const uint8_t hash[SHA256_LEN],
                                       walltime now)
{
    const struct kad_record *r = map_get(&s->records, hash_slice(hash));

    return r != NULL && r->expires > now ? r : NULL;
}

/* Makes room for a record at |hash|; false when everything held is closer to us. */
static bool record_room(struct kad_store *s, const uint8_t hash[SHA256_LEN])
{
    struct kad_record *far = NULL;

    if (s->n_records < s->records_max) {
        return true;
    }
    LIST_EACH(it, &s->record_list)
    {
        struct kad_record *r = record_of(it);
        if (far == NULL || kad_dist_cmp(s->self, r->hash, far->hash) > 0) {
            far = r;
        }
    }
    if (far == NULL || kad_dist_cmp(s->self, hash, far->hash) >= 0) {
        return false;
    }
    record_free(s, far);
    return true;
}

qudag_err kad_store_put(struct kad_store *s, struct slice key, struct slice value, walltime now,
                        walltime expires)
{
    uint8_t hash[SHA256_LEN];

    ASSERT(key.len <= KAD_KEY_MAX && value.len <= KAD_VALUE_MAX);
    sha256(hash, key);
    uint8_t *copy = mem_alloc(s->mem, value.len);
    if (copy == NULL) {
        return QUDAG_ENOMEM;
    }
    if (value.len > 0) {
        memcpy(copy, value.base, value.len);
    }
    struct kad_record *r = map_get(&s->records, hash_slice(hash));
    if (r == NULL) {
        if (!record_room(s, hash)) {
            mem_free(s->mem, copy);
            return QUDAG_ELIMIT;
        }
        r = mem_alloc(s->mem, sizeof(*r) + key.len);
        qudag_err err = r == NULL ? QUDAG_ENOMEM : map_put(&s->records, hash_slice(hash), r);
        if (err != QUDAG_OK) {
            mem_free(s->mem, r);
            mem_free(s->mem, copy);
            return err;
        }
        memcpy(r->hash, hash, SHA256_LEN);
        r->key_len = (uint16_t)key.len;
        if (key.len > 0) {
            memcpy(r->key, key.base, key.len);
        }
        list_push_back(&s->record_list, &r->node);
        s->n_records++;
    }
    mem_free(s->mem, r->value);
    r->value = copy;
    r->value_len = (uint16_t)value.len;
    sha256(r->digest, value);
    r->received = now;
    r->expires = expires;
    return QUDAG_OK;
}

static void provider_cut(struct kad_store *s, struct kad_provided *p, size_t i)
{
    kad_peer_unref(p->v[i].peer);
    p->v[i] = p->v[--p->n];
    s->n_providers--;
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
    struct kad_provided *far = NULL;

    if (s->n_providers < s->providers_max) {
        return true;
    }
    LIST_EACH(it, &s->provided_list)
    {
        struct kad_provided *p = provided_of(it);
        if (far == NULL || kad_dist_cmp(s->self, p->hash, far->hash) > 0) {
            far = p;
        }
    }
    if (far == NULL || kad_dist_cmp(s->self, hash, far->hash) >= 0) {
        return false;
    }
    provided_free(s, far);
    return true;
}

static struct kad_provided *provided_new(struct kad_store *s, const uint8_t hash[SHA256_LEN])
{
    struct kad_provided *p = mem_alloc(s->mem, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    if (map_put(&s->provided, hash_slice(hash), p) != QUDAG_OK) {
        mem_free(s->mem, p);
        return NULL;
    }
    memcpy(p->hash, hash, SHA256_LEN);
    list_push_back(&s->provided_list, &p->node);
    return p;
}

qudag_err kad_store_provide(struct kad_store *s, const uint8_t hash[SHA256_LEN],
                            struct kad_peer *peer, walltime now, walltime expires)
{
    struct kad_provided *p = map_get(&s->provided, hash_slice(hash));

    if (p != NULL) {
        provided_expire(s, p, now);
        for (size_t i = 0; i < p->n; i++) {
            if (kad_peer_same(p->v[i].peer, peer)) {
                struct kad_peer *old = p->v[i].peer;
                p->v[i] = (struct kad_provider){kad_peer_ref(peer), expires};
                kad_peer_unref(old);
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
