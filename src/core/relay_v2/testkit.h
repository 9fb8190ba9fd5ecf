/* testkit.h - a world of a relay and eight users of it (testkit_wires.h), and what they are made to do. */
#ifndef QUDAG_SRC_CORE_RELAY_V2_TESTKIT_H
#define QUDAG_SRC_CORE_RELAY_V2_TESTKIT_H

#include "core/relay_v2/testkit_wires.h"

/* Time goes on to |at|, deadline by deadline. */
static inline void w_until(struct world *w, tstamp at)
{
    for (;;) {
        tstamp next = at;
        for (uint32_t i = 0; i < NODES; i++) {
            next = tstamp_min(next, w_ops(i)->deadline(w_core(w, i)));
        }
        w->now = next > w->now ? next : w->now;
        bool ticked = false;
        for (uint32_t i = 0; i < NODES; i++) {
            if (w_ops(i)->deadline(w_core(w, i)) <= w->now) {
                w_ops(i)->tick(w_core(w, i), w->now, &w->acts);
                w_carry_out(w, i);
                ticked = true;
            }
        }
        w_settle(w);
        if (!ticked && w->now >= at) {
            return;
        }
    }
}

static inline struct world *w_new(const struct hop_config *hop)
{
    struct world *w = calloc(1, sizeof(*w));
    uint8_t seed[32] = {5};

    assert_non_null(w);
    mem_init(&w->mem, NULL, 0);
    rng_stream_init(&w->stream, seed);
    w->now = 1000 * NS_PER_S;
    w->clock = (struct wallclock){.base = 1800000000, .at = w->now};
    w->chunk = 1200;
    w->wire = calloc(STREAMS, sizeof(*w->wire));
    w->act_v = calloc(ACTS_ROOM, sizeof(*w->act_v));
    w->bytes = malloc(ACTS_BYTES_ROOM);
    assert_true(w->wire != NULL && w->act_v != NULL && w->bytes != NULL);
    w->acts = (struct acts){
        .v = w->act_v, .cap = ACTS_ROOM, .bytes = w->bytes, .bytes_cap = ACTS_BYTES_ROOM};
    for (uint32_t i = 0; i < NODES; i++) {
        uint8_t pk[32];
        w->sk[i].seed[0] = (uint8_t)(i + 1);
        assert_int_equal(ed25519_public(pk, &w->sk[i]), QUDAG_OK);
        peer_id_from_ed25519(&w->id[i], pk);
        w->opened[i] = calloc(NAMES, sizeof(*w->opened[i]));
        assert_non_null(w->opened[i]);
    }
    struct hop_config cfg = *hop;
    cfg.mem = &w->mem;
    cfg.rng = rng_of_stream(&w->stream);
    cfg.self = w->id[0];
    cfg.sk = &w->sk[0];
    cfg.clock = &w->clock;
    assert_int_equal(hop_new(&w->hop, &cfg, w->now), QUDAG_OK);
    for (uint32_t i = 1; i < NODES; i++) {
        struct relayed_config user = {
            .mem = &w->mem, .rng = rng_of_stream(&w->stream), .self = w->id[i], .clock = &w->clock};
        assert_int_equal(relayed_new(&w->user[i], &user), QUDAG_OK);
    }
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};
    struct multiaddr ma;
    multiaddr_quic(&ma, &a, NULL);
    hop_set_addrs(w->hop, &ma, 1);
    return w;
}

static inline void w_free(struct world *w)
{
    hop_free(w->hop);
    for (uint32_t i = 0; i < NODES; i++) {
        relayed_free(w->user[i]);
        free(w->opened[i]);
    }
    assert_int_equal(w->mem.used, 0);
    free(w->wire);
    free(w->act_v);
    free(w->bytes);
    free(w);
}

static inline void w_reserve(struct world *w, uint32_t node)
{
    assert_int_equal(relayed_reserve(w->user[node], &w->id[0], w->now), QUDAG_OK);
    w_until(w, w->now);
}

static inline qudag_err w_connect(struct world *w, uint32_t from, uint32_t to, uint64_t cookie)
{
    struct relayed_info want = {.relay = w->id[0], .peer = w->id[to]};

    w->failed[from] = QUDAG_OK;
    qudag_err err =
        relayed_connect(w->user[from], &want, (struct slice){NULL, 0}, cookie, w->now, &w->acts);
    w_carry_out(w, from);
    w_settle(w);
    return err != QUDAG_OK ? err : w->failed[from];
}

static inline struct opened *w_last(struct world *w, uint32_t node)
{
    assert_true(w->n_opened[node] > 0);
    return &w->opened[node][w->n_opened[node] - 1];
}

/* Writes |len| bytes, as many as there is room for; how many that was. */
static inline size_t w_write(struct world *w, uint32_t node, struct ref name, size_t len)
{
    static uint8_t bytes[WINDOW];
    size_t room = relayed_room(w->user[node], name);

    len = len < room ? len : room;
    len = len < WINDOW / 2 ? len : WINDOW / 2;
    if (len > 0 &&
        relayed_write(w->user[node], name, (struct slice){bytes, len}, &w->acts) != QUDAG_OK) {
        len = 0;
    }
    w_carry_out(w, node);
    return len;
}

#endif
