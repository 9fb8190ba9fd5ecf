/*
 * addrinfo.c - who peers are and where: one entry serves all that know the same of a peer.
 *
 *   Peer message --known to the byte--> entry      else: read, what is usable packed, and that looked for
 *
 * Entries are found by a keyed mix of the id; those of one id, with other addresses, share a chain.  Nothing
 * depends on the order in a chain but time.
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"

#include <string.h>

#define PLACES_MIN 64
#define PLACES_MAX (1u << 20) /* of 8 bytes; beyond, chains grow */

void kad_whos_init(struct kad_whos *all, struct mem *mem)
{
    *all = (struct kad_whos){.mem = mem};
}

void kad_whos_fini(struct kad_whos *all)
{
    ASSERT(all->n == 0); /* the instances went before */
    mem_free(all->mem, all->place);
    all->place = NULL;
}

void kad_whos_key(struct kad_whos *all, const uint64_t key[2])
{
    if (all->n == 0) {
        all->key[0] = key[0];
        all->key[1] = key[1] | 1;
    }
}

static uint64_t word_of(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* All of the id counts and the key is ours: nobody can choose ids that meet in one place. */
static uint32_t mix_of(const struct kad_whos *all, struct slice id)
{
    uint64_t v = all->key[0] ^ id.len;
    size_t i = 0;

    for (; i + 8 <= id.len; i += 8) {
        v = (v ^ word_of(id.base + i)) * all->key[1];
        v ^= v >> 29;
    }
    if (i < id.len) {
        uint8_t rest[8] = {0};
        memcpy(rest, id.base + i, id.len - i);
        v = (v ^ word_of(rest)) * all->key[1];
    }
    return (uint32_t)(v ^ v >> 32);
}

static bool named(const struct kad_who *w, struct slice id)
{
    return w->raw[1] == id.len && memcmp(w->raw + 2, id.base, id.len) == 0;
}

const uint8_t *kad_who_hash(const struct kad_whos *all, struct slice id)
{
    if (all->n == 0) {
        return NULL;
    }
    const struct kad_who *w = all->place[mix_of(all, id) & (all->cap - 1)];
    while (w != NULL && !named(w, id)) {
        w = w->next;
    }
    return w == NULL ? NULL : w->hash;
}

static struct kad_who *find(const struct kad_whos *all, uint32_t mix, struct slice raw)
{
    if (all->n == 0) {
        return NULL;
    }
    struct kad_who *w = all->place[mix & (all->cap - 1)];
    while (w != NULL && (w->raw_len != raw.len || memcmp(w->raw, raw.base, raw.len) != 0)) {
        w = w->next;
    }
    return w;
}

struct kad_who *kad_who_like(const struct kad_whos *all, const struct kad_peer_raw *raw, bool lab)
{
    struct kad_who *w = find(all, mix_of(all, raw->id), raw->body);

    return w != NULL && (w->strict || lab) ? w : NULL;
}

/* Keeps about as many places as entries; short of memory the chains grow instead. */
static bool room(struct kad_whos *all)
{
    if (all->n < all->cap || all->cap == PLACES_MAX) {
        return true;
    }
    uint32_t cap = all->cap == 0 ? PLACES_MIN : 2 * all->cap;
    struct kad_who **place = mem_alloc_n(all->mem, cap, sizeof(struct kad_who *));
    if (place == NULL) {
        return all->cap > 0;
    }
    for (uint32_t i = 0; i < all->cap; i++) {
        while (all->place[i] != NULL) {
            struct kad_who *w = all->place[i];
            all->place[i] = w->next;
            w->next = place[w->mix & (cap - 1)];
            place[w->mix & (cap - 1)] = w;
        }
    }
    mem_free(all->mem, all->place);
    all->place = place;
    all->cap = cap;
    return true;
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

/* Equal for equal networks; others meet once in four thousand million. */
static uint32_t group_mix(uint64_t group)
{
    uint64_t v = group * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t mixed = (uint32_t)(v >> 32);

    return group == 0 ? 0 : mixed == 0 ? 1 : mixed;
}

struct kad_who *kad_who_new(struct mem *mem, struct kad_whos *all, const struct kad_peer_info *info,
                            const uint8_t hash[SHA256_LEN], bool lab)
{
    uint8_t packed[KAD_PEER_RAW_MAX], n;
    uint64_t group;
    size_t len = pack(packed, &n, &group, info, lab);
    uint32_t mix = all == NULL ? 0 : mix_of(all, peer_id_slice(&info->id));
    struct kad_who *w = all == NULL ? NULL : find(all, mix, (struct slice){packed, len});

    if (w != NULL) {
        w->strict = w->strict || !lab;
        return kad_who_ref(w);
    }
    if (all != NULL && !room(all)) {
        return NULL;
    }
    w = mem_alloc(all == NULL ? mem : all->mem, sizeof(*w) + len);
    if (w == NULL) {
        return NULL;
    }
    *w = (struct kad_who){.all = all,
                          .refs = 1,
                          .group = group_mix(group),
                          .mix = mix,
                          .raw_len = (uint16_t)len,
                          .n_addrs = n,
                          .strict = !lab};
    memcpy(w->hash, hash, SHA256_LEN);
    memcpy(w->raw, packed, len);
    if (all != NULL) {
        struct kad_who **at = &all->place[mix & (all->cap - 1)];
        w->next = *at;
        *at = w;
        all->n++;
        all->bytes += sizeof(*w) + len;
    }
    return w;
}

void kad_who_fill(struct kad_peer_info *out, const struct kad_who *w)
{
    struct kad_peer_raw raw = {kad_who_id(w), kad_who_raw(w)};
    size_t dropped;

    bool good = kad_peer_read(out, &dropped, &raw);
    ASSERT(good); /* we wrote it */
}

struct kad_who *kad_who_ref(struct kad_who *w)
{
    ASSERT(w->refs < UINT32_MAX);
    w->refs++;
    return w;
}

void kad_who_unref(struct kad_who *w)
{
    struct kad_whos *all = w->all;

    ASSERT(w->refs > 0);
    if (--w->refs > 0) {
        return;
    }
    if (all != NULL) {
        struct kad_who **at = &all->place[w->mix & (all->cap - 1)];
        while (*at != w) {
            at = &(*at)->next;
        }
        *at = w->next;
        all->n--;
        all->bytes -= sizeof(*w) + w->raw_len;
    }
    mem_free(mem_owner(w), w);
}
