/* republish.h - what we publish ourselves, again and again. */
#ifndef QUDAG_SRC_CORE_KAD_REPUBLISH_H
#define QUDAG_SRC_CORE_KAD_REPUBLISH_H

#include "core/kad/kad_int.h"

/* A value or provider record to be published again. */
struct kad_own {
    struct slice key, value;
    bool provide;
    walltime due;
};
struct kad_keep {
    struct list node;
    struct kad_mark mark;
    struct kad_timer timer;
    uint8_t hash[SHA256_LEN]; /* of kind and key */
    bool provide;
    uint16_t key_len;
    size_t value_len;
    uint8_t *value;
    uint8_t key[KAD_KEY_MAX];
};
void kad_keeps_fini(struct kad *k);
QUDAG_MUST_USE qudag_err kad_keep_add(struct kad *k, struct slice key, struct slice value,
                                      bool provide, tstamp now);
/* EMALFORMED: |hash| is not that of kind and key. */
QUDAG_MUST_USE qudag_err kad_keep_restore(struct kad *k, const struct kad_own *own,
                                          const uint8_t hash[SHA256_LEN], tstamp now);
void kad_keep_timer(struct kad *k, struct kad_keep *e, tstamp now, struct acts *out);

#endif
