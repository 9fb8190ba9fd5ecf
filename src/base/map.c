/*
 * map.c - keyed hash table: open addressing, linear probing, at most 3/4 full.
 *
 * Deleting moves later entries of the same run back, so there are no tombstones and a table that
 * sees much coming and going stays as quick as a new one.
 */
#include "base/map.h"

#include "base/assert.h"

#include <string.h>

#define MAP_CAP_MIN 16

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

uint64_t siphash24(uint64_t k0, uint64_t k1, struct slice data)
{
    uint64_t v[4] = {
        k0 ^ UINT64_C(0x736f6d6570736575),
        k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261),
        k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = data.len & ~(size_t)7;

    for (size_t i = 0; i < whole; i += 8) {
        sip_word(v, little(data.base + i, 8));
    }
    uint64_t last = (uint64_t)data.len << 56;
    if (whole < data.len) {
        last |= little(data.base + whole, data.len - whole);
    }
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m, struct mem *mem, const uint8_t seed[16], size_t max)
{
    *m = (struct map){.mem = mem, .max = max, .k0 = little(seed, 8), .k1 = little(seed + 8, 8)};
}

void map_fini(struct map *m)
{
    mem_free(m->mem, m->v);
    m->v = NULL;
    m->n = 0;
    m->cap = 0;
}

static size_t home_of(const struct map *m, uint64_t hash)
{
    return (size_t)hash & (m->cap - 1);
}

/* The place of |key|, or the empty one that ends its run.  cap > n >= 0. */
static size_t map_find(const struct map *m, uint64_t hash, struct slice key)
{
    size_t i = home_of(m, hash);

    for (;; i = (i + 1) & (m->cap - 1)) {
        const struct map_entry *e = &m->v[i];
        if (e->value == NULL) {
            return i;
        }
        if (e->hash == hash && e->key_len == key.len &&
            (key.len == 0 || memcmp(e->key, key.base, key.len) == 0)) {
            return i;
        }
    }
}

void *map_get(const struct map *m, struct slice key)
{
    if (m->n == 0 || key.len > MAP_KEY_MAX) {
        return NULL;
    }
    return m->v[map_find(m, siphash24(m->k0, m->k1, key), key)].value;
}

/* Makes room for one more. */
static qudag_err map_grow(struct map *m)
{
    if (m->cap != 0 && m->n + 1 <= m->cap / 4 * 3) {
        return QUDAG_OK;
    }
    size_t cap = m->cap == 0 ? MAP_CAP_MIN : m->cap * 2;
    struct map_entry *old = m->v;
    struct map_entry *v = cap > m->cap ? mem_alloc_n(m->mem, cap, sizeof *v) : NULL;
    if (v == NULL) {
        return QUDAG_ENOMEM;
    }
    size_t old_cap = m->cap;
    m->v = v;
    m->cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].value != NULL) {
            struct slice key = {old[i].key, old[i].key_len};
            v[map_find(m, old[i].hash, key)] = old[i];
        }
    }
    mem_free(m->mem, old);
    return QUDAG_OK;
}

qudag_err map_put(struct map *m, struct slice key, void *value)
{
    if (key.len > MAP_KEY_MAX || value == NULL) {
        return QUDAG_EINVAL;
    }
    uint64_t hash = siphash24(m->k0, m->k1, key);
    if (m->n > 0) {
        struct map_entry *e = &m->v[map_find(m, hash, key)];
        if (e->value != NULL) {
            e->value = value;
            return QUDAG_OK;
        }
    }
    if (m->n >= m->max) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = map_grow(m);
    if (err != QUDAG_OK) {
        return err;
    }
    struct map_entry *e = &m->v[map_find(m, hash, key)];
    ASSERT(e->value == NULL);
    e->hash = hash;
    e->value = value;
    e->key_len = (uint8_t)key.len;
    if (key.len > 0) {
        memcpy(e->key, key.base, key.len);
    }
    m->n++;
    return QUDAG_OK;
}

/* Closes the gap at |hole|: every entry of the run that may stand there moves back. */
static void map_close_gap(struct map *m, size_t hole)
{
    size_t mask = m->cap - 1;

    for (size_t i = (hole + 1) & mask; m->v[i].value != NULL; i = (i + 1) & mask) {
        size_t from_home = (i - home_of(m, m->v[i].hash)) & mask;
        if (from_home >= ((i - hole) & mask)) {
            m->v[hole] = m->v[i];
            hole = i;
        }
    }
    memset(&m->v[hole], 0, sizeof m->v[hole]);
}

void *map_del(struct map *m, struct slice key)
{
    if (m->n == 0 || key.len > MAP_KEY_MAX) {
        return NULL;
    }
    size_t i = map_find(m, siphash24(m->k0, m->k1, key), key);
    void *value = m->v[i].value;
    if (value != NULL) {
        map_close_gap(m, i);
        m->n--;
    }
    return value;
}

void *map_next(const struct map *m, size_t *it)
{
    while (*it < m->cap) {
        void *value = m->v[(*it)++].value;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
