/* testkit_dht.h - the world of testkit.h, and the array that is its DHT. */
#ifndef QUDAG_SRC_CORE_DARK_TESTKIT_DHT_H
#define QUDAG_SRC_CORE_DARK_TESTKIT_DHT_H

#include "core/dark/dark_impl.h"

#include <string.h>

#define START INT64_C(1800000000) /* eight in the morning: the first half of a period */
#define HOUR (3600 * NS_PER_S)
#define STORE_MAX 64
#define UPS_MAX 512
#define EXITS 3

struct stored {
    uint8_t key[DARK_KEY_LEN];
    uint8_t rec[DARK_RECORD_LEN];
    uint64_t number;
};

/* A report, copied out of the action list. */
struct up {
    uint16_t kind;
    uint64_t cookie;
    qudag_err err;
    uint64_t n;
    struct dark_target target;
    bool has_target;
};

struct world {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct dark *svc, *cli;
    struct dark_keys keys; /* taken over by svc */
    struct dark_addr addr;
    struct onion_hop self;
    struct stored store[STORE_MAX];
    size_t n_stored;
    struct peer_id exit[EXITS];
    int liar;                             /* the relay that hides and drops records; -1: none */
    int forger;                           /* the relay that answers with a wrong record; -1: none */
    qudag_err put_err, get_err, save_err; /* instead of storing, finding, saving */
    bool silent;                          /* never answer */
    uint64_t saved_seq;
    uint8_t saved[DARK_SECRET_LEN]; /* the key file */
    unsigned saves, puts, gets, reads;
    void (*seen)(struct world *w, struct slice key, struct slice record); /* each put; NULL: none */
    void (*asked)(struct world *w,
                  const struct dark_wanted *wanted); /* each get of cli; NULL: none */
    void *ctx;
    struct up up[UPS_MAX];
    size_t n_up;
    unsigned samples; /* indexes that were asked for */
    void (*sample)(struct world *w, uint8_t index[DHT_DARK_INDEX_LEN],
                   struct peer_id *exit); /* answers that; NULL: there is none */
    tstamp now;
    struct acts acts;
    struct act act_v[ACTS_ROOM];
    uint8_t *act_bytes;
};

static inline walltime wall(const struct world *w)
{
    return START + (walltime)(w->now / NS_PER_S);
}

static inline void store_put(struct world *w, struct slice key, struct slice rec)
{
    uint64_t number;
    walltime expires;

    assert_int_equal(dark_record_check(key, rec, wall(w), &number, &expires), QUDAG_OK);
    for (size_t i = 0; i < w->n_stored; i++) {
        if (memcmp(w->store[i].key, key.base, key.len) == 0) {
            assert_true(number > w->store[i].number); /* or storers would keep the old one */
            memcpy(w->store[i].rec, rec.base, rec.len);
            w->store[i].number = number;
            return;
        }
    }
    assert_true(w->n_stored < STORE_MAX);
    struct stored *s = &w->store[w->n_stored++];
    memcpy(s->key, key.base, key.len);
    memcpy(s->rec, rec.base, rec.len);
    s->number = number;
}

static inline struct stored *store_get(struct world *w, struct slice key)
{
    for (size_t i = 0; i < w->n_stored; i++) {
        if (memcmp(w->store[i].key, key.base, key.len) == 0) {
            return &w->store[i];
        }
    }
    return NULL;
}

/* The record in the place of |period|, |replica|; NULL: none. */
static inline struct stored *store_at(struct world *w, uint64_t period, uint8_t replica)
{
    uint8_t key[DARK_KEY_LEN];
    const struct dark_place at = {period, replica};

    assert_int_equal(dark_dht_key(key, &w->addr, &at), QUDAG_OK);
    return store_get(w, (struct slice){key, sizeof key});
}

/* The same where there is one. */
static inline struct stored *store_must(struct world *w, uint64_t period, uint8_t replica)
{
    static struct stored none;
    struct stored *s = store_at(w, period, replica);

    assert_non_null(s);
    return s == NULL ? &none : s;
}

#endif
