/*
 * addrinfo.c - ids and addresses: one entry serves all instances that have the same addresses for a node.
 *
 *   Peer message --an entry has these bytes--> that one      else: decoded, its usable addresses packed, and
 *                                                     that is looked for, or added
 *
 * Entries are found by a keyed hash of the id; those of one id, with other addresses, share a chain.  The
 * order in a chain affects nothing but time.
 */
#include "core/kad/routing/addrinfo.h"

#include "base/assert.h"

#include <string.h>

void kad_addrinfo_pool_init(struct kad_addrinfo_pool *pool, struct mem *mem)
{
    *pool = (struct kad_addrinfo_pool){.mem = mem};
    map_init_u64(&pool->by_name, mem, NULL, 0, UINT32_MAX); /* names are keyed hashes already */
}

void kad_addrinfo_pool_fini(struct kad_addrinfo_pool *pool)
{
    ASSERT(pool->n == 0); /* the instances went before */
    map_fini(&pool->by_name);
}

void kad_addrinfo_pool_seed(struct kad_addrinfo_pool *pool, const uint64_t key[2])
{
    if (pool->n == 0) {
        pool->key[0] = key[0];
        pool->key[1] = key[1];
    }
}

size_t kad_addrinfo_pool_size(const struct kad_addrinfo_pool *pool)
{
    return pool->bytes + map_bytes(&pool->by_name);
}

uint64_t kad_addrinfo_name(const struct kad_addrinfo_pool *pool, struct slice id)
{
    return siphash24(pool->key[0], pool->key[1], id);
}

const uint8_t *kad_addrinfo_pool_hash(const struct kad_addrinfo_pool *pool, struct slice id)
{
    const struct kad_addrinfo *a =
        pool->n == 0 ? NULL : map_u64_get(&pool->by_name, kad_addrinfo_name(pool, id));

    while (a != NULL && !kad_slice_eq(kad_addrinfo_id(a), id)) {
        a = a->next;
    }
    return a == NULL ? NULL : a->hash;
}

static struct kad_addrinfo *find(const struct kad_addrinfo_pool *pool, uint64_t name,
                                 struct slice raw)
{
    struct kad_addrinfo *a = map_u64_get(&pool->by_name, name);

    while (a != NULL && !kad_slice_eq(kad_addrinfo_raw(a), raw)) {
        a = a->next;
    }
    return a;
}

struct kad_addrinfo *kad_addrinfo_pool_find(const struct kad_addrinfo_pool *pool, uint64_t name,
                                            const struct kad_peer_raw *raw, bool lab)
{
    struct kad_addrinfo *a = find(pool, name, raw->body);

    return a != NULL && (a->strict || lab) ? a : NULL;
}

/* ---- addresses ---- */

bool kad_addr_usable(const struct multiaddr *a, bool lab)
{
    struct netaddr n;

    if (a->len == 0) {
        return false;
    }
    if (lab || !multiaddr_endpoint(a, &n)) {
        return true; /* a name: whoever dials it decides by what it resolves to */
    }
    return n.port != 0 && netaddr_is_global(&n);
}

uint64_t kad_addr_group(const struct multiaddr *a)
{
    struct netaddr n;

    return multiaddr_direct(a, &n) ? netaddr_group(&n) : 0;
}

/* The Peer message of what is usable of |info|; returns its length. */
static size_t pack(uint8_t dst[KAD_PEER_RAW_MAX], uint8_t *n, uint64_t *group,
                   const struct kad_peer_info *info, bool lab)
{
    struct kad_peer_info good = {.id = info->id};

    *group = 0;
    for (size_t i = 0; i < info->n_addrs && i < KAD_ADDRS_MAX; i++) {
        const struct multiaddr *a = &info->addr[i];
        if (a->len <= MULTIADDR_MAX && kad_addr_usable(a, lab)) {
            *group = *group == 0 ? kad_addr_group(a) : *group;
            good.addr[good.n_addrs++] = *a;
        }
    }
    *n = good.n_addrs;
    return kad_peer_write(dst, &good);
}

/* Equal for equal networks; others collide once in 2^32. */
static uint32_t group_mix(uint64_t group)
{
    uint64_t v = group * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t mixed = (uint32_t)(v >> 32);

    return group == 0 ? 0 : mixed == 0 ? 1 : mixed;
}

/* In front of its chain.  False: no memory. */
static bool pool_add(struct kad_addrinfo_pool *pool, struct kad_addrinfo *a)
{
    a->next = map_u64_get(&pool->by_name, a->name);
    if (map_u64_put(&pool->by_name, a->name, a) != QUDAG_OK) {
        return false;
    }
    pool->n++;
    pool->bytes += sizeof(*a) + a->raw_len;
    return true;
}

static void pool_remove(struct kad_addrinfo_pool *pool, struct kad_addrinfo *a)
{
    struct kad_addrinfo *first = map_u64_get(&pool->by_name, a->name);

    ASSERT(first != NULL);
    if (first == a && a->next == NULL) {
        (void)map_u64_del(&pool->by_name, a->name);
    } else if (first == a) {
        qudag_err err = map_u64_put(&pool->by_name, a->name, a->next);
        ASSERT(err == QUDAG_OK); /* the place is there */
    } else {
        while (first->next != a) {
            first = first->next;
        }
        first->next = a->next;
    }
    pool->n--;
    pool->bytes -= sizeof(*a) + a->raw_len;
}

struct kad_addrinfo *kad_addrinfo_new(struct mem *mem, struct kad_addrinfo_pool *pool,
                                      const struct kad_peer_info *info,
                                      const uint8_t hash[SHA256_LEN], bool lab)
{
    uint8_t packed[KAD_PEER_RAW_MAX], n;
    uint64_t group, name = pool == NULL ? 0 : kad_addrinfo_name(pool, peer_id_slice(&info->id));
    size_t len = pack(packed, &n, &group, info, lab);
    struct kad_addrinfo *a = pool == NULL ? NULL : find(pool, name, (struct slice){packed, len});

    if (a != NULL) {
        a->strict = a->strict || !lab;
        return kad_addrinfo_ref(a);
    }
    a = mem_alloc(pool == NULL ? mem : pool->mem, sizeof(*a) + len);
    if (a == NULL) {
        return NULL;
    }
    *a = (struct kad_addrinfo){.pool = pool,
                               .name = name,
                               .refs = 1,
                               .group = group_mix(group),
                               .raw_len = (uint16_t)len,
                               .n_addrs = n,
                               .strict = !lab};
    memcpy(a->hash, hash, SHA256_LEN);
    memcpy(a->raw, packed, len);
    if (pool != NULL && !pool_add(pool, a)) {
        mem_free(pool->mem, a);
        return NULL;
    }
    return a;
}

void kad_addrinfo_decode(struct kad_peer_info *out, const struct kad_addrinfo *a)
{
    struct kad_peer_raw raw = {kad_addrinfo_id(a), kad_addrinfo_raw(a)};
    size_t dropped;

    bool good = kad_peer_read(out, &dropped, &raw);
    ASSERT(good); /* we wrote it */
}

struct kad_addrinfo *kad_addrinfo_ref(struct kad_addrinfo *a)
{
    ASSERT(a->refs < UINT32_MAX);
    a->refs++;
    return a;
}

void kad_addrinfo_unref(struct kad_addrinfo *a)
{
    ASSERT(a->refs > 0);
    if (--a->refs > 0) {
        return;
    }
    if (a->pool != NULL) {
        pool_remove(a->pool, a);
    }
    mem_free(mem_owner(a), a);
}
