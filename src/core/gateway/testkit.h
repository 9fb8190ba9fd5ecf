/* testkit.h - an asking and an answering gateway, joined by an array.  For tests only. */
#ifndef QUDAG_SRC_CORE_GATEWAY_TESTKIT_H
#define QUDAG_SRC_CORE_GATEWAY_TESTKIT_H

#include "core/gateway/gateway.h"

#include "wire/exchange.h"
#include "wire/kad_msg.h"

#include <stdlib.h>
#include <string.h>

#define KEY "/qudag/dark/0123456789abcdef0123456789abcdef"
#define KEY_LEN (sizeof KEY - 1)

static const struct slice key = {(const uint8_t *)KEY, KEY_LEN};
static const struct ref circuit = {7, 3};
static const struct ref cli_strm = {1, 1}, srv_strm = {2, 9};

struct world {
    struct mem mem;
    struct rng_stream stream;
    struct gateway *cli, *srv;
    struct acts acts;
    struct act act_v[64];
    uint8_t bytes[ACTS_BYTES_ROOM];
    uint8_t value[KAD_VALUE_MAX];
    uint8_t zeros[EXCHANGE_LEN];
};

static inline void acts_clear(struct world *w)
{
    w->acts = (struct acts){
        .v = w->act_v, .cap = ARRAY_LEN(w->act_v), .bytes = w->bytes, .bytes_cap = sizeof w->bytes};
}

static inline struct gateway *side_new(struct world *w, bool serve)
{
    struct gateway_config cfg = {.mem = &w->mem, .rng = rng_of_stream(&w->stream), .serve = serve};
    struct gateway *e;

    assert_int_equal(gateway_new(&e, &cfg, 0), QUDAG_OK);
    return e;
}

static inline struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    uint8_t seed[32] = {3};

    assert_non_null(w);
    mem_init(&w->mem, NULL, 0);
    rng_stream_init(&w->stream, seed);
    rng_stream_fill(&w->stream, w->value, sizeof w->value);
    acts_clear(w);
    w->cli = side_new(w, false);
    w->srv = side_new(w, true);
    return w;
}

static inline void world_free(struct world *w)
{
    gateway_free(w->cli);
    gateway_free(w->srv);
    assert_int_equal(w->mem.used, 0);
    free(w);
}

static inline void feed(struct world *w, struct gateway *e, struct ev ev, tstamp now)
{
    gateway_ops.event(e, &ev, now, &w->acts);
}

/* A stream on a circuit of its own. */
static inline void open_in(struct world *w, struct ref strm, tstamp now)
{
    feed(w, w->srv,
         (struct ev){.type = EV_STREAM_OPEN,
                     .inbound = true,
                     .strm = strm,
                     .link = ref_to_u64(strm),
                     .props = LINK_ANON},
         now);
}

static inline qudag_err ask_get(struct world *w, struct gateway *g, struct slice k)
{
    struct gateway_request req = {.circuit = circuit, .cookie = 50, .key = k};

    return gateway_get(g, &req, 0, &w->acts);
}

static inline qudag_err ask_put(struct world *w, struct gateway *g, struct slice value)
{
    struct gateway_request req = {.circuit = circuit, .cookie = 50, .key = key, .value = value};

    return gateway_put(g, &req, 0, &w->acts);
}

/* The asking side's request: opened, written.  |frame| is a copy of what it wrote. */
static inline size_t request(struct world *w, bool put, uint8_t *frame, size_t value_len)
{
    qudag_err err =
        put ? ask_put(w, w->cli, (struct slice){w->value, value_len}) : ask_get(w, w->cli, key);
    assert_int_equal(err, QUDAG_OK);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].type, ACT_OPEN);
    assert_true(ref_eq(w->act_v[0].obj, circuit));
    assert_int_equal(w->act_v[0].need, LINK_ANON); /* and by nothing else */
    uint64_t cookie = w->act_v[0].cookie;
    acts_clear(w);
    feed(w, w->cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = cli_strm}, 1);
    assert_int_equal(w->acts.n, 2);
    assert_int_equal(w->act_v[0].type, ACT_WRITE);
    assert_int_equal(w->act_v[1].type, ACT_FIN);
    size_t len = w->act_v[0].data.len;
    assert_int_equal(len, EXCHANGE_LEN); /* whatever it is */
    memcpy(frame, w->act_v[0].data.base, len);
    acts_clear(w);
    return len;
}

/* Gives |frame| to one side in pieces of |step| bytes, then the end. */
static inline void deliver(struct world *w, struct gateway *e, struct ref strm,
                           const uint8_t *frame, size_t len, size_t step)
{
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        feed(w, e, (struct ev){.type = EV_DATA, .strm = strm, .data = {frame + at, n}}, 2);
    }
    if (len < EXCHANGE_LEN) { /* what was made here is not padded yet */
        struct slice zeros = {w->zeros, EXCHANGE_LEN - len};
        feed(w, e, (struct ev){.type = EV_DATA, .strm = strm, .data = zeros}, 2);
    }
    feed(w, e, (struct ev){.type = EV_FIN, .strm = strm}, 2);
}

#endif
