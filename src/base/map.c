/*
 * map.c - hash table: open addressing, linear probing, at most 3/4 full.
 *
 *   byte strings   value | 32 bits of the hash | length | key         numbers   value | key
 *
 * An entry whose first 8 bytes are zero is empty.  Deleting moves later entries of the same run back, so there
 * are no tombstones and a table that sees much coming and going stays as quick as a new one.
 */
#include "base/map.h"

#include "base/assert.h"

#include <string.h>

#define CAP_MIN 16
#define CAP_MIN_U64 8
#define STRING_HEAD 13 /* value, hash, length */
#define AT_HASH 8
#define AT_LEN 12

/* ---- SipHash-2-4 ---- */

#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))

/* In registers, as a macro: lookups hash every id that an answer names. */
#define SIP_ROUND(v)                                                                               \
    do {                                                                                           \
        (v).a += (v).b;                                                                            \
        (v).b = ROTL((v).b, 13) ^ (v).a;                                                           \
        (v).a = ROTL((v).a, 32);                                                                   \
        (v).c += (v).d;                                                                            \
        (v).d = ROTL((v).d, 16) ^ (v).c;                                                           \
        (v).a += (v).d;                                                                            \
        (v).d = ROTL((v).d, 21) ^ (v).a;                                                           \
        (v).c += (v).b;                                                                            \
        (v).b = ROTL((v).b, 17) ^ (v).c;                                                           \
        (v).c = ROTL((v).c, 32);                                                                   \
    } while (false)

struct sip {
    uint64_t a, b, c, d;
};

static inline struct sip sip_begin(uint64_t k0, uint64_t k1)
{
    return (struct sip){k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                        k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
}

static inline struct sip sip_word(struct sip v, uint64_t m)
{
    v.d ^= m;
    SIP_ROUND(v);
    SIP_ROUND(v);
    v.a ^= m;
    return v;
}

static inline uint64_t sip_end(struct sip v)
{
    v.c ^= 0xff;
    SIP_ROUND(v);
    SIP_ROUND(v);
    SIP_ROUND(v);
    SIP_ROUND(v);
    return v.a ^ v.b ^ v.c ^ v.d;
}

/* One load, as compilers see it. */
static inline uint64_t little8(const uint8_t p[8])
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

uint64_t siphash24(uint64_t k0, uint64_t k1, struct slice data)
{
    struct sip v = sip_begin(k0, k1);
    uint64_t last = (uint64_t)data.len << 56;
    size_t whole = data.len & ~(size_t)7;

    for (size_t i = 0; i < whole; i += 8) {
        v = sip_word(v, little8(data.base + i));
    }
    for (size_t i = whole; i < data.len; i++) {
        last |= (uint64_t)data.base[i] << (8 * (i - whole));
    }
    return sip_end(sip_word(v, last));
}

/* siphash24() of the eight bytes of |key|, the lowest first. */
static uint64_t sip_u64(uint64_t k0, uint64_t k1, uint64_t key)
{
    return sip_end(sip_word(sip_word(sip_begin(k0, k1), key), UINT64_C(8) << 56));
}

/* A key with its hash, whatever kind it is. */
struct key {
    uint64_t hash, number;
    struct slice bytes;
};

static struct key key_of_bytes(const struct map *m, struct slice bytes)
{
    return (struct key){.hash = siphash24(m->k0, m->k1, bytes), .bytes = bytes};
}

static struct key key_of_u64(const struct map *m, uint64_t number)
{
    uint64_t hash =
        m->keyed ? sip_u64(m->k0, m->k1, number) : number * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    return (struct key){.hash = hash, .number = number};
}

/* ---- entries ---- */

static uint8_t *entry_at(const struct map *m, size_t i)
{
    return m->v + i * m->entry;
}

static bool entry_empty(const uint8_t *e)
{
    uint64_t first;

    memcpy(&first, e, sizeof first);
    return first == 0;
}

static void *entry_pointer(const uint8_t *e)
{
    void *value;

    memcpy(&value, e, sizeof value);
    return value;
}

static uint64_t entry_number(const struct map *m, const uint8_t *e)
{
    uint64_t number;

    memcpy(&number, e + m->entry - sizeof number, sizeof number);
    return number;
}

/* As much of the hash as decides where it lies: 32 bits. */
static uint64_t entry_hash(const struct map *m, const uint8_t *e)
{
    uint32_t hash;

    if (m->key_max == 0) {
        return key_of_u64(m, entry_number(m, e)).hash;
    }
    memcpy(&hash, e + AT_HASH, sizeof hash);
    return hash;
}

static bool entry_has(const struct map *m, const uint8_t *e, const struct key *k)
{
    uint32_t hash;

    if (m->key_max == 0) {
        return entry_number(m, e) == k->number;
    }
    memcpy(&hash, e + AT_HASH, sizeof hash);
    return hash == (uint32_t)k->hash && e[AT_LEN] == k->bytes.len &&
           (k->bytes.len == 0 || memcmp(e + STRING_HEAD, k->bytes.base, k->bytes.len) == 0);
}

static void entry_set_key(const struct map *m, uint8_t *e, const struct key *k)
{
    uint32_t hash = (uint32_t)k->hash;

    if (m->key_max == 0) {
        memcpy(e + m->entry - sizeof k->number, &k->number, sizeof k->number);
        return;
    }
    memcpy(e + AT_HASH, &hash, sizeof hash);
    e[AT_LEN] = (uint8_t)k->bytes.len;
    if (k->bytes.len > 0) {
        memcpy(e + STRING_HEAD, k->bytes.base, k->bytes.len);
    }
}

/* ---- life ---- */

void map_init_sized(struct map *m, struct mem *mem, const uint8_t seed[16], size_t key_max,
                    size_t max)
{
    ASSERT(key_max > 0 && key_max <= MAP_KEY_MAX);
    *m = (struct map){.mem = mem,
                      .max = max,
                      .k0 = little8(seed),
                      .k1 = little8(seed + 8),
                      .entry = (uint32_t)((STRING_HEAD + key_max + 7) & ~(size_t)7),
                      .key_max = (uint8_t)key_max,
                      .keyed = true};
}

void map_init(struct map *m, struct mem *mem, const uint8_t seed[16], size_t max)
{
    map_init_sized(m, mem, seed, MAP_KEY_MAX, max);
}

void map_init_u64(struct map *m, struct mem *mem, const uint8_t *seed, size_t value_size,
                  size_t max)
{
    size_t value = value_size == 0 ? sizeof(uint64_t) : value_size;

    _Static_assert(sizeof(void *) <= sizeof(uint64_t), "a pointer fits");
    ASSERT(value >= sizeof(uint64_t) && value % sizeof(uint64_t) == 0);
    *m = (struct map){.mem = mem,
                      .max = max,
                      .k0 = seed == NULL ? 0 : little8(seed),
                      .k1 = seed == NULL ? 0 : little8(seed + 8),
                      .entry = (uint32_t)(value + sizeof(uint64_t)),
                      .keyed = seed != NULL};
}

void map_fini(struct map *m)
{
    mem_free(m->mem, m->v);
    m->v = NULL;
    m->n = 0;
    m->cap = 0;
}

size_t map_bytes(const struct map *m)
{
    return m->cap * m->entry;
}

/* ---- finding ---- */

static size_t home_of(const struct map *m, uint64_t hash)
{
    return (size_t)(uint32_t)hash & (m->cap - 1);
}

/* The place of |k|, or the empty one that ends its run.  cap > n >= 0. */
static size_t place_of(const struct map *m, const struct key *k)
{
    size_t i = home_of(m, k->hash);

    for (;; i = (i + 1) & (m->cap - 1)) {
        const uint8_t *e = entry_at(m, i);
        if (entry_empty(e) || entry_has(m, e, k)) {
            return i;
        }
    }
}

/* The entry of |k|; NULL: none. */
static uint8_t *find(const struct map *m, const struct key *k)
{
    uint8_t *e = m->n == 0 ? NULL : entry_at(m, place_of(m, k));

    return e == NULL || entry_empty(e) ? NULL : e;
}

void *map_get(const struct map *m, struct slice key)
{
    if (m->n == 0 || key.len > m->key_max) {
        return NULL;
    }
    struct key k = key_of_bytes(m, key);
    const uint8_t *e = find(m, &k);
    return e == NULL ? NULL : entry_pointer(e);
}

void *map_u64_at(const struct map *m, uint64_t key)
{
    struct key k = key_of_u64(m, key);

    return find(m, &k);
}

void *map_u64_get(const struct map *m, uint64_t key)
{
    const uint8_t *e = map_u64_at(m, key);

    return e == NULL ? NULL : entry_pointer(e);
}

/* ---- changing ---- */

/* Moves all into a table of |cap| places. */
static qudag_err map_resize(struct map *m, size_t cap)
{
    size_t old_cap = m->cap;
    uint8_t *old = m->v, *v = cap > m->cap ? mem_alloc_n(m->mem, cap, m->entry) : NULL;

    if (v == NULL) {
        return QUDAG_ENOMEM;
    }
    m->v = v;
    m->cap = cap;
    for (size_t at = 0; at < old_cap; at++) {
        const uint8_t *e = old + at * m->entry;
        if (!entry_empty(e)) {
            size_t i = home_of(m, entry_hash(m, e));
            while (!entry_empty(entry_at(m, i))) {
                i = (i + 1) & (cap - 1);
            }
            memcpy(entry_at(m, i), e, m->entry);
        }
    }
    mem_free(m->mem, old);
    return QUDAG_OK;
}

static size_t most_of(size_t cap)
{
    return cap / 4 * 3;
}

qudag_err map_reserve(struct map *m, size_t n)
{
    size_t cap = m->cap > 0 ? m->cap : m->key_max == 0 ? CAP_MIN_U64 : CAP_MIN;

    if (n > SIZE_MAX / 4) {
        return QUDAG_ENOMEM;
    }
    while (most_of(cap) < n) {
        cap *= 2;
    }
    return cap == m->cap ? QUDAG_OK : map_resize(m, cap);
}

/* Makes room for one more. */
static qudag_err map_grow(struct map *m)
{
    if (m->cap != 0 && m->n + 1 <= most_of(m->cap)) {
        return QUDAG_OK;
    }
    return map_resize(m, m->cap > 0 ? m->cap * 2 : m->key_max == 0 ? CAP_MIN_U64 : CAP_MIN);
}

static qudag_err put(struct map *m, const struct key *k, const void *value, size_t len)
{
    uint8_t *e = find(m, k);

    if (e != NULL) {
        memcpy(e, value, len);
        return QUDAG_OK;
    }
    if (m->n >= m->max) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = map_grow(m);
    if (err != QUDAG_OK) {
        return err;
    }
    e = entry_at(m, place_of(m, k));
    ASSERT(entry_empty(e));
    memcpy(e, value, len);
    ASSERT(!entry_empty(e));
    entry_set_key(m, e, k);
    m->n++;
    return QUDAG_OK;
}

qudag_err map_put(struct map *m, struct slice key, void *value)
{
    if (key.len > m->key_max || value == NULL) {
        return QUDAG_EINVAL;
    }
    struct key k = key_of_bytes(m, key);
    return put(m, &k, &value, sizeof value);
}

qudag_err map_u64_put(struct map *m, uint64_t key, void *value)
{
    struct key k = key_of_u64(m, key);

    ASSERT(value != NULL && m->entry == 2 * sizeof(uint64_t));
    return put(m, &k, &value, sizeof value);
}

qudag_err map_u64_set(struct map *m, uint64_t key, const void *value)
{
    struct key k = key_of_u64(m, key);

    return put(m, &k, value, m->entry - sizeof(uint64_t));
}

/* Closes the gap at |hole|: every entry of the run that may stand there moves back. */
static void map_close_gap(struct map *m, size_t hole)
{
    size_t mask = m->cap - 1;

    for (size_t i = (hole + 1) & mask; !entry_empty(entry_at(m, i)); i = (i + 1) & mask) {
        size_t from_home = (i - home_of(m, entry_hash(m, entry_at(m, i)))) & mask;
        if (from_home >= ((i - hole) & mask)) {
            memcpy(entry_at(m, hole), entry_at(m, i), m->entry);
            hole = i;
        }
    }
    memset(entry_at(m, hole), 0, m->entry);
}

static void *del(struct map *m, const struct key *k)
{
    uint8_t *e = find(m, k);

    if (e == NULL) {
        return NULL;
    }
    void *value = entry_pointer(e);
    m->n--;
    if (m->n == 0 && m->key_max == 0 && m->cap > CAP_MIN_U64) {
        map_fini(m);
        return value;
    }
    map_close_gap(m, (size_t)(e - m->v) / m->entry);
    return value;
}

void *map_del(struct map *m, struct slice key)
{
    if (m->n == 0 || key.len > m->key_max) {
        return NULL;
    }
    struct key k = key_of_bytes(m, key);
    return del(m, &k);
}

void *map_u64_del(struct map *m, uint64_t key)
{
    struct key k = key_of_u64(m, key);

    return del(m, &k);
}

void *map_next_at(const struct map *m, size_t *it)
{
    while (*it < m->cap) {
        uint8_t *e = entry_at(m, (*it)++);
        if (!entry_empty(e)) {
            return e;
        }
    }
    return NULL;
}

uint64_t map_u64_key(const struct map *m, const void *value)
{
    return entry_number(m, value);
}

void *map_next(const struct map *m, size_t *it)
{
    const uint8_t *e = map_next_at(m, it);

    return e == NULL ? NULL : entry_pointer(e);
}
