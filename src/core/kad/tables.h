/* tables.h - pure parts: table, store (and contact.h, candidates.h); none of them knows streams or timers. */
#ifndef QUDAG_SRC_CORE_KAD_TABLES_H
#define QUDAG_SRC_CORE_KAD_TABLES_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/kad/contact.h"

/* ---- table.c ---- */

#define KAD_BUCKETS 32 /* the last holds every longer common prefix */
#define KAD_SPARES 2
#define KAD_GROUP_BUCKET 2
#define KAD_GROUP_TABLE 10

/*
 * Entries are ordered by last answer, the oldest first.  The arrays lie behind the struct: what others ask for
 * is answered without touching a peer.
 */
struct kad_bucket {
    struct kad_peer *spare[KAD_SPARES]; /* answered once, no room; newest last */
    tstamp touched;                     /* last lookup in this bucket's range */
    uint32_t failing;                   /* bit i: peer[i] has failed since its last answer */
    uint8_t n, n_spare, cap;            /* cap: places there are now, at most KAD_K */
    uint64_t *prefix;                   /* first 64 bits of the hashes of |peer| */
    struct kad_who **who;               /* of |peer|, who hold the references */
    struct kad_peer **peer;
};

struct kad_table {
    struct mem *mem;
    uint8_t self[SHA256_LEN];
    bool lab;
    uint32_t n;
    struct kad_bucket *bucket[KAD_BUCKETS];
};

enum kad_seen { KAD_SEEN_KNOWN, KAD_SEEN_ADDED, KAD_SEEN_SPARE, KAD_SEEN_REFUSED };

void kad_table_init(struct kad_table *t, struct mem *mem, const struct peer_id *self, bool lab);
void kad_table_fini(struct kad_table *t);
/* |p| answered.  SPARE: its bucket is full, *oldest (borrowed) is the entry to check. */
enum kad_seen kad_table_seen(struct kad_table *t, struct kad_peer *p, tstamp now,
                             struct kad_peer **oldest);
struct kad_peer *kad_table_find(const struct kad_table *t, const uint8_t hash[SHA256_LEN]);
/* kad_table_find() will be called: its bucket is asked for. */
void kad_table_fetch(const struct kad_table *t, const uint8_t hash[SHA256_LEN]);
/* Whether a peer of that hash and group would enter its bucket. */
bool kad_table_wants(const struct kad_table *t, const struct kad_peer *p);
/* A request failed; |remove|: take it out after KAD_FAILS_MAX.  True when it left. */
bool kad_table_failed(struct kad_table *t, const uint8_t hash[SHA256_LEN], bool remove);
bool kad_table_remove(struct kad_table *t, const uint8_t hash[SHA256_LEN]);
/* The |max| (at most KAD_K) entries closest to |target|, closest first; without that of hash |skip| (NULL allowed). */
size_t kad_table_closest(const struct kad_table *t, const uint8_t target[SHA256_LEN],
                         const uint8_t *skip, size_t max, struct kad_peer **out);
/* The same up to KAD_K, of whom no more than who they are is wanted: half the cost. */
size_t kad_table_whos(const struct kad_table *t, const uint8_t target[SHA256_LEN],
                      const uint8_t *skip, struct kad_who **out);
/* An entry of the table takes the addresses of |info| if they are usable. */
void kad_table_set_addrs(struct kad_table *t, struct kad_peer *p, const struct kad_peer_info *info);
/*
 * The first bucket from which on the table holds fewer than k entries: a lookup of ourselves finds all of
 * these at once.
 */
unsigned kad_table_nearest(const struct kad_table *t);
/* Whether part |part| of bucket |cpl| has fewer than KAD_PART_WANT entries. */
bool kad_table_lacks(const struct kad_table *t, unsigned cpl, unsigned part);
void kad_table_touch(struct kad_table *t, const uint8_t target[SHA256_LEN], tstamp now);
unsigned kad_bucket_ix(const struct kad_table *t, const uint8_t hash[SHA256_LEN]);
#define KAD_FAILS_MAX 2
#define KAD_RESETS_MAX                                                                             \
    8 /* requests in a row given up: a living peer leaves the table like a silent one */

/*
 * A lookup of one key asks the k closest to it: a bucket filled by one would know a cluster and nothing
 * of the rest of its range.  So a bucket is refreshed in parts, by the bits that follow the prefix.
 */
#define KAD_PART_BITS 4
#define KAD_PARTS (1u << KAD_PART_BITS)
#define KAD_PART_WANT 1  /* entries of each part; of a part with more the youngest may have to go */
#define KAD_PART_RPCS 8  /* most requests spent on one */
#define KAD_SELF_BITS 63 /* of our own: nobody shares them, all its requests are spent */

/* ---- store.c ---- */

#define KAD_KEY_PROVIDERS 20 /* providers of one key */
#define KAD_RECORD_COST 128  /* bytes a record counts beside key and value */

/* In what may be kept on disk: whether it differs from there. */
struct kad_mark {
    struct list node; /* linked: differs */
    uint8_t kind;     /* enum kad_persist_kind */
    bool known;       /* it has been handed out: its end has to be told too */
    bool gone;        /* nothing is left of it but hash and mark */
};

struct kad_record {
    struct list node;
    struct kad_mark mark;
    struct heap_node far;
    uint8_t hash[SHA256_LEN];
    uint8_t digest[SHA256_LEN]; /* of the value */
    walltime received, expires;
    uint16_t key_len, value_len;
    uint8_t *value; /* its own allocation */
    uint8_t key[];
};

struct kad_provider {
    struct kad_peer *peer;
    walltime expires;
};

struct kad_provided {
    struct list node;
    struct kad_mark mark;
    struct heap_node far;
    uint8_t hash[SHA256_LEN];
    uint8_t n;
    struct kad_provider v[KAD_KEY_PROVIDERS];
};

struct kad_store {
    struct mem *mem;
    uint8_t self[SHA256_LEN];
    uint32_t records_max, providers_max;
    uint64_t bytes_max, bytes; /* of records */
    uint32_t n_records, n_providers;
    uint64_t evicted;
    bool report;                  /* somebody asks for changes */
    bool read_only;               /* nothing can be kept on disk now: nothing new is taken */
    struct map records, provided; /* by hash of the key */
    struct heap far_records, far_provided; /* the farthest from ourselves first */
    struct list record_list, provided_list;
    struct list changes; /* kad_mark */
};

void kad_store_init(struct kad_store *s, struct mem *mem, const struct kad_config *cfg,
                    const uint8_t seed[32]);
void kad_store_fini(struct kad_store *s);
/* NULL when there is none or it has expired. */
const struct kad_record *kad_store_get(const struct kad_store *s, const uint8_t hash[SHA256_LEN],
                                       walltime now);
/*
 * Replaces what the key had.  QUDAG_ELIMIT: full, and nothing held is farther from us, or on hold;
 * ENOMEM.
 */
QUDAG_MUST_USE qudag_err kad_store_put(struct kad_store *s, struct slice key, struct slice value,
                                       walltime now, walltime expires);
/* QUDAG_ELIMIT: the key has its number of providers, or the store is full, or on hold. */
QUDAG_MUST_USE qudag_err kad_store_provide(struct kad_store *s, const uint8_t hash[SHA256_LEN],
                                           struct kad_peer *p, walltime now, walltime expires);
/* Providers not expired (borrowed). */
size_t kad_store_providers(const struct kad_store *s, const uint8_t hash[SHA256_LEN], walltime now,
                           size_t max, struct kad_peer **out);
void kad_store_sweep(struct kad_store *s, walltime now);
/* It changed; not when nobody asks for changes. */
void kad_mark_set(struct kad_store *s, struct kad_mark *m);
/* It ends.  True: its memory has to stay until the change is taken. */
bool kad_mark_end(struct kad_store *s, struct kad_mark *m);
void kad_mark_free(struct kad_store *s, struct kad_mark *m); /* of one that is gone */

#endif
