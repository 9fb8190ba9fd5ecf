/* map.h - keyed hash table (SipHash-2-4) from byte strings to pointers. */
#ifndef QUDAG_SRC_BASE_MAP_H
#define QUDAG_SRC_BASE_MAP_H

#include "base/mem.h"

#define MAP_KEY_MAX 64

struct map_entry {
    uint64_t hash;
    void *value; /* NULL: empty */
    uint8_t key_len;
    uint8_t key[MAP_KEY_MAX];
};

struct map {
    struct mem *mem;
    struct map_entry *v;
    size_t n, cap, max; /* elements; cap is a power of two or 0 */
    uint64_t k0, k1;
};

/* |seed| must be unpredictable to peers. */
void map_init(struct map *m, struct mem *mem, const uint8_t seed[16], size_t max);
void map_fini(struct map *m); /* does not free the values */
void *map_get(const struct map *m, struct slice key);

/*
 * Sets |key| (at most MAP_KEY_MAX bytes) to |value| (not NULL), replacing what it had.
 * QUDAG_ELIMIT at the maximum, QUDAG_ENOMEM, QUDAG_EINVAL for a longer key.
 */
QUDAG_MUST_USE qudag_err map_put(struct map *m, struct slice key, void *value);
void *map_del(struct map *m, struct slice key); /* the value it had, or NULL */

/* Iteration: |*it| starts at 0; NULL at the end.  Deleting during iteration is not allowed. */
void *map_next(const struct map *m, size_t *it);

uint64_t siphash24(uint64_t k0, uint64_t k1, struct slice data);

#endif
