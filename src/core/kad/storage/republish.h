/* republish.h - what we publish ourselves, stored again and again before it expires. */
#ifndef QUDAG_SRC_CORE_KAD_STORAGE_REPUBLISH_H
#define QUDAG_SRC_CORE_KAD_STORAGE_REPUBLISH_H

#include "core/kad/storage/store.h"

#define KAD_PUBLICATIONS_MAX 1024

/* A value or provider record to be published again. */
struct kad_publication {
    struct list node;
    struct kad_dirty dirty;
    struct kad_timer timer;
    uint8_t hash[SHA256_LEN]; /* of kind and key */
    bool provide;
    uint16_t key_len;
    size_t value_len;
    uint8_t *value;
    uint8_t key[KAD_KEY_MAX];
};

struct kad_publications {
    struct kad_env *env;
    struct kad_store *store; /* whose list of changes they are in */
    const struct kad_rules *rules;
    struct list list;
    uint32_t n;
};

/* As it is read back at start: |due| by the calendar. */
struct kad_publication_args {
    struct slice key, value;
    bool provide;
    walltime due;
};

/* What is to be published now; borrowed from the publication. */
struct kad_due {
    struct slice key, value;
    bool provide;
    const struct kad_validator *val;
};

/* None yet. */
void kad_publications_init(struct kad_publications *ps, struct kad_env *env,
                           struct kad_store *store, const struct kad_rules *rules);
/* Forgets all; the store is to be emptied after it. */
void kad_publications_fini(struct kad_publications *ps);
/* From now on, first in KAD_REPUBLISH; replaces the value the key had.  QUDAG_ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err kad_publication_add(struct kad_publications *ps, struct slice key,
                                             struct slice value, bool provide, tstamp now);
/* One read back.  EMALFORMED: |hash| is not that of kind and key; else as kad_publication_add(). */
QUDAG_MUST_USE qudag_err kad_publication_restore(struct kad_publications *ps,
                                                 const struct kad_publication_args *args,
                                                 const uint8_t hash[SHA256_LEN], tstamp now);
/*
 * Its timer: true when it is to be published, |due|.  False: it cannot be validated now, comes later, or it has expired
 * and is gone.
 */
bool kad_publication_timer(struct kad_publications *ps, struct kad_publication *e, tstamp now,
                           struct kad_due *due);
/* How publishing ended: after a failure it is tried again soon rather than in twelve hours. */
void kad_publication_result(struct kad_publications *ps, struct slice key, bool provide,
                            qudag_err err, tstamp now);
/* No more; false: there was none. */
bool kad_publication_remove(struct kad_publications *ps, struct slice key);
/* Number |*it|, from 0 on; false at the end.  The key is borrowed; |due|: by the calendar. */
bool kad_publication_next(const struct kad_publications *ps, size_t *it, tstamp now,
                          struct kad_publication_args *out);

#endif
