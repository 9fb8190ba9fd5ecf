/*
 * testkit.h - a service and a client over a DHT that is an array; for tests of this folder only.
 *
 * The array checks records as storers do and keeps the highest number; answers come at once through one of
 * two relays, or late, wrong or never, as each test wants.
 */
#ifndef QUDAG_SRC_CORE_DARK_TESTKIT_H
#define QUDAG_SRC_CORE_DARK_TESTKIT_H

#include "core/dark/testkit_dht.h"

#include "base/wipe.h"
#include "crypto/init.h"

#include <stdlib.h>

static inline void acts_reset_list(struct world *w)
{
    w->acts.n = 0;
    w->acts.bytes_n = 0;
}

static inline void note_up(struct world *w, const struct act *a)
{
    assert_true(w->n_up < UPS_MAX);
    struct up *u = &w->up[w->n_up++];
    *u = (struct up){.kind = a->kind, .cookie = a->cookie, .err = a->err, .n = a->n};
    if (a->kind == DARK_UP_RESOLVED && a->ptr != NULL) {
        u->target = *(const struct dark_target *)a->ptr;
        u->has_target = true;
    }
}

static inline void answer_put(struct world *w, struct dark *d, const struct act *a,
                              struct dark_answer *ans)
{
    const struct dark_wanted *wanted = a->ptr;

    assert_int_equal(wanted->key.len, DARK_KEY_LEN);
    assert_int_equal(wanted->record.len, DARK_RECORD_LEN);
    w->puts++;
    ans->err = w->put_err;
    ans->stored = ans->err == QUDAG_OK ? 20 : 0;
    if (ans->err == QUDAG_OK && (w->liar < 0 || !peer_id_eq(&ans->exit, &w->exit[w->liar]))) {
        store_put(w, wanted->key, wanted->record);
    }
    if (w->seen != NULL) {
        w->seen(w, wanted->key, wanted->record);
    }
    dark_put_done(d, ans, w->now, &w->acts);
}

static inline void answer_sample(struct world *w, struct dark *d, struct dark_answer *ans)
{
    uint8_t index[DHT_DARK_INDEX_LEN];

    w->samples++;
    ans->err = QUDAG_ENOTFOUND;
    if (w->sample != NULL) {
        w->sample(w, index, &ans->exit);
        ans->err = QUDAG_OK;
        ans->record = (struct slice){index, sizeof index};
    }
    dark_get_done(d, ans, w->now, &w->acts);
}

static inline void answer_get(struct world *w, struct dark *d, const struct act *a,
                              struct dark_answer *ans)
{
    const struct dark_wanted *wanted = a->ptr;

    if (dht_key_is_sample(wanted->key)) {
        answer_sample(w, d, ans);
        return;
    }
    if (w->asked != NULL && d == w->cli) {
        w->asked(w, wanted);
    }
    assert_int_equal(wanted->key.len, DARK_KEY_LEN);
    const struct stored *s = store_get(w, wanted->key);
    bool hidden = w->liar >= 0 && peer_id_eq(&ans->exit, &w->exit[w->liar]);
    ans->err = s == NULL || hidden ? QUDAG_ENOTFOUND : QUDAG_OK;
    if (d == w->svc) {
        w->reads++;
    } else {
        w->gets++;
        ans->err = w->get_err != QUDAG_OK ? w->get_err : ans->err;
        ans->exit.len = w->get_err != QUDAG_OK ? 0 : ans->exit.len;
    }
    if (ans->err == QUDAG_OK) {
        ans->record = (struct slice){s->rec, DARK_RECORD_LEN};
    }
    if (w->forger >= 0 && peer_id_eq(&ans->exit, &w->exit[w->forger])) {
        static const uint8_t wrong[DARK_RECORD_LEN] = {'Q', 'D', 'D', 'R', 1};
        ans->err = QUDAG_OK;
        ans->record = (struct slice){wrong, sizeof wrong};
    }
    dark_get_done(d, ans, w->now, &w->acts);
}

/* What a host does with one action. */
static inline void answer_one(struct world *w, struct dark *d, const struct act *a)
{
    struct dark_answer ans = {.cookie = a->cookie, .exit = w->exit[0]};

    if (a->kind == DARK_UP_PUT || a->kind == DARK_UP_GET) {
        const struct dark_wanted *wanted = a->ptr;
        if (peer_id_eq(&wanted->apart, &w->exit[0])) {
            ans.exit = w->exit[1];
        }
    }
    if (a->kind == DARK_UP_SAVE) {
        dark_saved(d, a->cookie, w->save_err, w->now, &w->acts);
    } else if (a->kind == DARK_UP_PUT) {
        answer_put(w, d, a, &ans);
    } else if (a->kind == DARK_UP_GET) {
        answer_get(w, d, a, &ans);
    }
}

/* Takes the actions, then answers what was asked; again until nothing is asked. */
static inline void settle(struct world *w, struct dark *d)
{
    while (w->acts.n > 0) {
        struct act list[ACTS_ROOM];
        size_t n = w->acts.n;
        uint8_t *bytes = w->act_bytes, *fresh = malloc(ACTS_BYTES_ROOM);
        assert_non_null(fresh);
        assert_false(w->acts.overflow);
        memcpy(list, w->act_v, n * sizeof list[0]);
        w->act_bytes = w->acts.bytes = fresh;
        for (size_t i = 0; i < n; i++) {
            if (list[i].kind == DARK_UP_SAVE) {
                const struct dark_keys *k = list[i].ptr;
                assert_true(k->seq > w->saved_seq ||
                            (list[i].cookie == 0 && k->seq == w->saved_seq));
                w->saved_seq = k->seq;
                w->saves += list[i].cookie != 0 ? 1 : 0;
                dark_keys_save(k, w->saved);
            } else if (list[i].kind == DARK_UP_RESOLVED || list[i].kind == DARK_UP_PUBLISHED) {
                note_up(w, &list[i]);
            }
        }
        acts_reset_list(w);
        for (size_t i = 0; i < n && !w->silent; i++) {
            answer_one(w, d, &list[i]);
        }
        free(bytes);
    }
}

static inline struct dark *core_new(struct world *w)
{
    struct dark_config cfg = {
        .mem = &w->mem, .rng = w->rng, .clock = {.base = START, .at = 0}, .network = DARK_NET_LAB};
    struct dark *d;

    assert_int_equal(dark_new(&d, &cfg), QUDAG_OK);
    return d;
}

static inline void self_set(struct onion_hop *h)
{
    uint8_t pk[32] = {5};
    struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = 9};

    memset(h, 0, sizeof *h);
    peer_id_from_ed25519(&h->peer, pk);
    multiaddr_quic(&h->addr[0], &a, NULL);
    h->n_addrs = 1;
}

/* A world without own addresses; |seed| decides all draws. */
static inline struct world *world_empty(uint8_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    uint8_t s[32] = {seed};

    assert_non_null(w);
    mem_init(&w->mem, NULL, 0);
    rng_stream_init(&w->stream, s);
    w->rng = rng_of_stream(&w->stream);
    w->act_bytes = malloc(ACTS_BYTES_ROOM);
    assert_non_null(w->act_bytes);
    w->acts = (struct acts){
        .v = w->act_v, .cap = ACTS_ROOM, .bytes = w->act_bytes, .bytes_cap = ACTS_BYTES_ROOM};
    w->svc = core_new(w);
    w->cli = core_new(w);
    w->liar = w->forger = -1;
    for (int i = 0; i < EXITS; i++) {
        uint8_t pk[32] = {(uint8_t)(100 + i)};
        peer_id_from_ed25519(&w->exit[i], pk);
    }
    self_set(&w->self);
    return w;
}

static inline struct world *world_new(void)
{
    struct world *w = world_empty(8);

    assert_int_equal(dark_keys_create(&w->keys, DARK_NET_LAB, "s", START, &w->rng), QUDAG_OK);
    w->addr = w->keys.addr;
    assert_int_equal(dark_own(w->svc, &w->keys), QUDAG_OK);
    assert_true(ct_is_zero(&w->keys, sizeof w->keys));
    return w;
}

static inline void world_free(struct world *w)
{
    dark_free(w->svc);
    dark_free(w->cli);
    assert_int_equal(w->mem.used, 0);
    free(w->act_bytes);
    free(w);
}

#endif
