/*
 * map.h - the hash table of this project: keys inline, values pointers or small structs, linear probing.
 *
 *   map_init        keys of up to MAP_KEY_MAX bytes, 80 bytes an entry
 *   map_init_sized  the same for keys of up to |key_max| bytes: 13 bytes and the key, rounded up to 8
 *   map_init_u64    64-bit keys: 16 bytes an entry, or 8 and the value
 *
 * Where peers can choose keys the table hashes them with SipHash-2-4 and a seed they do not know: no set of keys
 * collides under more than one seed.
 */
#ifndef QUDAG_SRC_BASE_MAP_H
#define QUDAG_SRC_BASE_MAP_H

#include "base/mem.h"

#define MAP_KEY_MAX 64

struct map {
    struct mem *mem;
    uint8_t *v;
    size_t n, cap, max; /* entries; cap is a power of two or 0 */
    uint64_t k0, k1;
    uint32_t entry;  /* bytes of one */
    uint8_t key_max; /* of byte strings; 0: the keys are 64-bit numbers */
    bool keyed;      /* hashed with the seed */
};

/* |seed| must be unpredictable to peers.  |max|: entries, then QUDAG_ELIMIT. */
void map_init(struct map *m, struct mem *mem, const uint8_t seed[16], size_t max);
/* |key_max|: 1 .. MAP_KEY_MAX. */
void map_init_sized(struct map *m, struct mem *mem, const uint8_t seed[16], size_t key_max,
                    size_t max);
/*
 * 64-bit keys.  |seed| NULL: nobody else chooses the keys (handles of our own, keyed hashes); then no keyed hash
 * is computed.  |value_size|: 0 for pointers, else that many bytes (a multiple of 8, at least 8) lie in the
 * table, the first 8 never all zero.  An emptied table gives its memory back.
 */
void map_init_u64(struct map *m, struct mem *mem, const uint8_t *seed, size_t value_size,
                  size_t max);
/* Room for |n| entries at once, instead of by doubling.  QUDAG_ENOMEM: as before. */
QUDAG_MUST_USE qudag_err map_reserve(struct map *m, size_t n);
void map_fini(struct map *m);          /* does not free what pointers lead to */
size_t map_bytes(const struct map *m); /* memory it takes */

/* The value of |key|, or NULL. */
void *map_get(const struct map *m, struct slice key);
/*
 * Sets |key| (at most key_max bytes) to |value| (not NULL), replacing what it had.
 * QUDAG_ELIMIT at the maximum, QUDAG_ENOMEM, QUDAG_EINVAL for a longer key.
 */
QUDAG_MUST_USE qudag_err map_put(struct map *m, struct slice key, void *value);
void *map_del(struct map *m, struct slice key); /* the value it had, or NULL */

/* The same by number, with pointers as values. */
void *map_u64_get(const struct map *m, uint64_t key);

/* As map_put() for a table of pointers, |value| not NULL.  QUDAG_ELIMIT, QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err map_u64_put(struct map *m, uint64_t key, void *value);

/*
 * Takes |key| out.  The pointer it had, or NULL; with values in the table only whether that is NULL counts.
 */
void *map_u64_del(struct map *m, uint64_t key);

/* With values in the table: NULL if there is none; valid until the table changes. */
void *map_u64_at(const struct map *m, uint64_t key);
/* Copies |value| in, replacing what the key had.  QUDAG_ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err map_u64_set(struct map *m, uint64_t key, const void *value);

/* Iteration: |*it| starts at 0; NULL at the end.  Deleting during iteration is not allowed. */
void *map_next(const struct map *m, size_t *it);
/* The same, to the values in the table. */
void *map_next_at(const struct map *m, size_t *it);
/* The key of a value that map_next_at() or map_u64_at() returned. */
uint64_t map_u64_key(const struct map *m, const void *value);

/* SipHash-2-4 (Aumasson and Bernstein 2012) of |data| under the 128-bit key |k0|, |k1|. */
uint64_t siphash24(uint64_t k0, uint64_t k1, struct slice data);

#endif
