/* table.h - the routing table: k-buckets with replacement caches; pure, it knows neither streams nor timers. */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_TABLE_H
#define QUDAG_SRC_CORE_KAD_ROUTING_TABLE_H

#include "core/kad/routing/contact.h"

#define KAD_BUCKETS 32 /* the last holds every longer common prefix */
#define KAD_REPLACEMENTS 2
#define KAD_GROUP_BUCKET 2
#define KAD_GROUP_TABLE 10

/*
 * Entries are ordered by last answer, the oldest first.  The arrays lie behind the struct: what others ask for
 * is answered without touching a peer.
 */
struct kad_bucket {
    struct kad_contact *replacement[KAD_REPLACEMENTS]; /* answered once, no room; newest last */
    tstamp touched;                                    /* last lookup in this bucket's range */
    uint32_t failing;               /* bit i: peer[i] has failed since its last answer */
    uint8_t n, n_replacements, cap; /* cap: entries there is room for now, at most KAD_K */
    uint64_t *prefix;               /* first 64 bits of the hashes of |peer| */
    struct kad_addrinfo **info;     /* of |peer|, which hold the references */
    struct kad_contact **peer;
};

struct kad_table {
    struct mem *mem;
    uint8_t self[SHA256_LEN];
    bool lab;
    uint32_t n;
    struct kad_bucket *bucket[KAD_BUCKETS];
};

enum kad_table_verdict {
    KAD_TABLE_KNOWN,
    KAD_TABLE_ADDED,
    KAD_TABLE_REPLACEMENT,
    KAD_TABLE_REFUSED
};

/* Empty, for the node |self|; |lab|: no limits of one network. */
void kad_table_init(struct kad_table *t, struct mem *mem, const struct peer_id *self, bool lab);
/* Lets go of all contacts. */
void kad_table_fini(struct kad_table *t);
/* |p| answered.  REPLACEMENT: its bucket is full, *oldest (borrowed) is the entry to check. */
enum kad_table_verdict kad_table_answered(struct kad_table *t, struct kad_contact *p, tstamp now,
                                          struct kad_contact **oldest);
/* The entry of that hash (borrowed), or NULL. */
struct kad_contact *kad_table_find(const struct kad_table *t, const uint8_t hash[SHA256_LEN]);
/* kad_table_find() will be called: its bucket is asked for. */
void kad_table_fetch(const struct kad_table *t, const uint8_t hash[SHA256_LEN]);
/* Whether a peer of that hash and group would enter its bucket. */
bool kad_table_wants(const struct kad_table *t, const struct kad_contact *p);
/* A request failed; |remove|: take it out after KAD_FAILS_MAX.  True when it left. */
bool kad_table_failed(struct kad_table *t, const uint8_t hash[SHA256_LEN], bool remove);
/* Takes it out, also of the replacements; true when it was an entry. */
bool kad_table_remove(struct kad_table *t, const uint8_t hash[SHA256_LEN]);
/* The |max| (at most KAD_K) entries closest to |target|, closest first; without that of hash |skip| (NULL allowed). */
size_t kad_table_closest(const struct kad_table *t, const uint8_t target[SHA256_LEN],
                         const uint8_t *skip, size_t max, struct kad_contact **out);
/* The same, up to KAD_K, where only ids and addresses are wanted: half the cost. */
size_t kad_table_addrinfos(const struct kad_table *t, const uint8_t target[SHA256_LEN],
                           const uint8_t *skip, struct kad_addrinfo **out);
/* Up to |max| entries that failed since their last answer, for a lookup that knows nobody else (borrowed). */
size_t kad_table_failing(const struct kad_table *t, size_t max, struct kad_contact **out);
/* An entry of the table takes the addresses of |info| if they are usable. */
void kad_table_set_addrs(struct kad_table *t, struct kad_contact *p,
                         const struct kad_peer_info *info);
/*
 * The first bucket from which on the table holds fewer than k entries: a lookup of ourselves finds all of
 * these at once.
 */
unsigned kad_table_nearest(const struct kad_table *t);
/* Whether part |part| of bucket |cpl| has fewer than KAD_PART_WANT entries. */
bool kad_table_lacks(const struct kad_table *t, unsigned cpl, unsigned part);
/* There was a lookup in the range of its bucket. */
void kad_table_touch(struct kad_table *t, const uint8_t target[SHA256_LEN], tstamp now);
/* Which bucket a hash belongs to. */
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

#endif
