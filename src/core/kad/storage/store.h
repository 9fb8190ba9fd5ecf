/* store.h - records and provider records held for others; pure, it knows neither streams nor timers. */
#ifndef QUDAG_SRC_CORE_KAD_STORAGE_STORE_H
#define QUDAG_SRC_CORE_KAD_STORAGE_STORE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/kad/common/env.h"
#include "core/kad/common/rules.h"
#include "core/kad/routing/contact.h"

#define KAD_KEY_PROVIDERS 20 /* providers of one key */
#define KAD_RECORD_COST 128  /* bytes a record counts beside key and value */

/* In what may be persisted: whether it differs from what is on disk. */
struct kad_dirty {
    struct list node; /* linked: it does */
    uint8_t kind;     /* enum kad_persist_kind */
    bool persisted;   /* it has been handed out: its end has to be told too */
    bool gone;        /* nothing is left of it but its hash */
};

struct kad_record {
    struct list node;
    struct kad_dirty dirty;
    struct heap_node far;
    uint8_t hash[SHA256_LEN];
    uint8_t digest[SHA256_LEN]; /* of the value */
    walltime received, expires;
    uint16_t key_len, value_len;
    uint8_t *value; /* its own allocation */
    uint8_t key[];
};

struct kad_provider {
    struct kad_contact *peer;
    walltime expires;
};

struct kad_provider_set {
    struct list node;
    struct kad_dirty dirty;
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
    bool report;                           /* somebody asks for changes */
    bool read_only;                        /* nothing can be written now: nothing new is taken */
    struct map records, provided;          /* by hash of the key */
    struct heap far_records, far_provided; /* the farthest from ourselves first */
    struct list record_list, provided_list;
    struct list changes; /* kad_dirty */
};

struct kad_store_config {
    uint32_t records_max, providers_max;
    uint64_t bytes_max; /* of records; 0: no limit */
    bool report;        /* somebody asks for changes */
};

/* Empty; |seed| is random. */
void kad_store_init(struct kad_store *s, const struct kad_env *env,
                    const struct kad_store_config *cfg, const uint8_t seed[32]);
/* Nothing counts as a change any more. */
void kad_store_fini(struct kad_store *s);
/* NULL when there is none or it has expired. */
const struct kad_record *kad_store_get(const struct kad_store *s, const uint8_t hash[SHA256_LEN],
                                       walltime now);
/*
 * Replaces what the key had.  QUDAG_ELIMIT: full, and nothing held is farther from us, or read-only;
 * ENOMEM.
 */
QUDAG_MUST_USE qudag_err kad_store_put(struct kad_store *s, struct slice key, struct slice value,
                                       walltime now, walltime expires);
/*
 * Validates and stores, unless what is held is preferred (QUDAG_ESTALE).  Otherwise what kad_validate() or
 * kad_store_put() says.
 */
QUDAG_MUST_USE qudag_err kad_store_accept(struct kad_store *s, const struct kad_validator *v,
                                          struct slice key, struct slice value, walltime now);
/* QUDAG_ELIMIT: the key has its number of providers, or the store is full, or read-only. */
QUDAG_MUST_USE qudag_err kad_store_provide(struct kad_store *s, const uint8_t hash[SHA256_LEN],
                                           struct kad_contact *p, walltime now, walltime expires);
/* Providers not expired (borrowed). */
size_t kad_store_providers(const struct kad_store *s, const uint8_t hash[SHA256_LEN], walltime now,
                           size_t max, struct kad_contact **out);
/* Returns the memory of what has expired. */
void kad_store_expire(struct kad_store *s, walltime now);
/* It changed: it is in the list of changes, unless nobody asks for them. */
void kad_dirty_set(struct kad_store *s, struct kad_dirty *m);
/* It ends.  True: its memory has to stay until the change is taken. */
bool kad_dirty_end(struct kad_store *s, struct kad_dirty *m);
void kad_dirty_free(struct kad_store *s, struct kad_dirty *m); /* of one that is gone */

#endif
