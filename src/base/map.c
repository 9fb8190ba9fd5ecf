/*
 * map.c - hash table: open addressing, linear probing, at most 3/4 full (1/2 where keys are numbers).
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

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    sip_round(v);
    v[0] ^= m;
}

static uint64_t little(const uint8_t *p, size_t len)
{
    uint64_t m = 0;

    for (size_t i = 0; i < len; i++) {
        m |= (uint64_t)p[i] << (8 * i);
    }
    return m;
}

static uint64_t sip_end(uint64_t v[4])
{
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void sip_begin(uint64_t v[4], uint64_t k0, uint64_t k1)
{
    v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
    v[1] = k1 ^ UINT64_C(0x646f72616e646f6d);
    v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
    v[3] = k1 ^ UINT64_C(0x7465646279746573);
}

uint64_t siphash24(uint64_t k0, uint64_t k1, struct slice data)
{
    uint64_t v[4];
    size_t whole = data.len & ~(size_t)7;

    sip_begin(v, k0, k1);
    for (size_t i = 0; i < whole; i += 8) {
        sip_word(v, little(data.base + i, 8));
    }
    uint64_t last = (uint64_t)data.len << 56;
    if (whole < data.len) {
        last |= little(data.base + whole, data.len - whole);
    }
    sip_word(v, last);
    return sip_end(v);
}

/* siphash24() of the eight bytes of |key|, the lowest first. */
static uint64_t sip_u64(uint64_t k0, uint64_t k1, uint64_t key)
{
    uint64_t v[4];

    sip_begin(v, k0, k1);
    sip_word(v, key);
    sip_word(v, UINT64_C(8) << 56);
    return sip_end(v);
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
                      .k0 = little(seed, 8),
                      .k1 = little(seed + 8, 8),
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
                      .k0 = seed == NULL ? 0 : little(seed, 8),
                      .k1 = seed == NULL ? 0 : little(seed + 8, 8),
                      .entry = (uint32_t)(value + sizeof(uint64_t)),
                      .keyed = seed != NULL,
                      .room = true};
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

/* Makes room for one more. */
static qudag_err map_grow(struct map *m)
{
    size_t most = m->room ? m->cap / 2 : m->cap / 4 * 3;

    if (m->cap != 0 && m->n + 1 <= most) {
        return QUDAG_OK;
    }
    size_t cap = m->cap > 0 ? m->cap * 2 : m->room ? CAP_MIN_U64 : CAP_MIN, old_cap = m->cap;
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
    if (m->n == 0 && m->room && m->cap > CAP_MIN_U64) {
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
