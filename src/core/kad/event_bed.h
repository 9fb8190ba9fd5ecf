/* event_bed.h - for tests: one kad object that is told its events one by one. */
#ifndef QUDAG_SRC_CORE_KAD_EVENT_BED_H
#define QUDAG_SRC_CORE_KAD_EVENT_BED_H

#include "core/kad/common/frame.h"
#include "core/kad/kad_int.h"

#include <stdlib.h>

#define S(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
#define PEERS 5
#define BURST 400 /* requests of one peer at once: two seconds' worth */

struct bed {
    struct mem mem;
    struct kad *k;
    struct rng_stream rng;
    struct acts out;
    struct act v[ACTS_ROOM];
    uint8_t *bytes;
    struct kad_peer_info peer[PEERS];
    tstamp now;
    unsigned done;
    qudag_err err;
    size_t opens, resets, fins;
    uint64_t cookie[64]; /* of the opens of the last call */
    struct peer_id to[64];
};

static inline qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                              walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)now;
    (void)expires;
    return value.len > 0 && value.base[0] != '!' ? QUDAG_OK : QUDAG_EAUTH;
}

static inline struct kad_config config(struct bed *b)
{
    struct kad_config c = {.mem = &b->mem,
                           .rng = rng_of_stream(&b->rng),
                           .clock = {1700000000, 0},
                           .protocol = KAD_PROTOCOL,
                           .server = true,
                           .lab = true,
                           .n_validators = 1};

    c.validator[0] = (struct kad_validator){.ns = "v", .value_max = KAD_VALUE_MAX, .check = check};
    peer_id_from_ed25519(&c.self, (const uint8_t[32]){99});
    return c;
}

static inline void bed_init(struct bed *b)
{
    memset(b, 0, sizeof(*b));
    mem_init(&b->mem, NULL, 0);
    rng_stream_init(&b->rng, (const uint8_t[32]){1});
    b->bytes = malloc(ACTS_BYTES_ROOM);
    assert_non_null(b->bytes);
    b->now = NS_PER_S;
    for (size_t i = 0; i < PEERS; i++) {
        struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(4000 + i)};
        peer_id_from_ed25519(&b->peer[i].id, (const uint8_t[32]){(uint8_t)(i + 1)});
        b->peer[i].n_addrs = 1;
        multiaddr_quic(&b->peer[i].addr[0], &a, NULL);
    }
}

static inline bool bed_kad(struct bed *b)
{
    struct kad_config c = config(b);
    qudag_err err = kad_new(&b->k, &c, b->now);

    assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
    if (err == QUDAG_OK) {
        kad_set_addrs(b->k, b->peer[0].addr, 1);
    }
    return err == QUDAG_OK;
}

static inline void bed_fini(struct bed *b)
{
    kad_free(b->k);
    b->k = NULL;
    assert_int_equal(b->mem.used, 0);
    free(b->bytes);
}

static inline struct acts *fresh(struct bed *b)
{
    b->out =
        (struct acts){.v = b->v, .cap = ACTS_ROOM, .bytes = b->bytes, .bytes_cap = ACTS_BYTES_ROOM};
    return &b->out;
}

static inline void count(struct bed *b)
{
    assert_false(b->out.overflow);
    b->opens = b->resets = b->fins = 0;
    for (size_t i = 0; i < b->out.n; i++) {
        const struct act *a = &b->v[i];
        if (a->type == ACT_OPEN && b->opens < 64) {
            b->cookie[b->opens] = a->cookie;
            b->to[b->opens++] = a->peer;
        }
        b->resets += a->type == ACT_RESET;
        b->fins += a->type == ACT_FIN;
        if (a->type == ACT_UP && a->kind == KAD_UP_DONE) {
            b->done++;
            b->err = a->err;
        }
    }
}

static inline void tell(struct bed *b, struct ev ev)
{
    kad_ops.event(b->k, &ev, b->now, fresh(b));
    count(b);
}

static inline void tick(struct bed *b, tstamp after)
{
    b->now += after;
    kad_ops.tick(b->k, b->now, fresh(b));
    count(b);
}

static inline void add(struct bed *b, size_t i)
{
    kad_add_peer(b->k, &b->peer[i], b->now, fresh(b));
    count(b);
}

static inline size_t encode(uint8_t *buf, const struct kad_msg *m)
{
    size_t len = 0;

    assert_int_equal(kad_msg_encode(buf, KAD_MSG_MAX, &len, m), QUDAG_OK);
    return len;
}

#endif
