/* serve_bed.h - for tests: one kad object that is asked things, with a validator for every verdict. */
#ifndef QUDAG_SRC_CORE_KAD_SERVE_BED_H
#define QUDAG_SRC_CORE_KAD_SERVE_BED_H

#include "core/kad/common/frame.h"
#include "core/kad/kad_int.h"

#include <stdlib.h>

#define S(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

struct bed {
    struct mem mem;
    struct kad *k;
    struct rng_stream rng;
    struct acts out;
    struct act v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
    tstamp now;
    unsigned logged;
    const char *reason;
};

/* A value is "<verdict><sequence>...": one validator for every verdict there is. */
static inline qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                              walltime *expires)
{
    (void)ctx;
    (void)key;
    switch (value.len == 0 ? 0 : value.base[0]) {
    case 'v':
        return QUDAG_OK;
    case 'e':
        *expires = now - 1;
        return QUDAG_OK;
    case 'E':
        return QUDAG_EEXPIRED;
    case 'c':
        return QUDAG_ECLOCK;
    default:
        return QUDAG_EAUTH;
    }
}

static inline int later(void *ctx, struct slice key, struct slice a, struct slice b)
{
    (void)ctx;
    (void)key;
    return (a.len > 1 ? a.base[1] : 0) - (b.len > 1 ? b.base[1] : 0);
}

static inline void on_log(void *ctx, const struct log_record *rec)
{
    struct bed *b = ctx;

    if (strcmp(rec->event, "kad.refused") == 0) {
        b->logged++;
        b->reason = rec->field[0].text;
    }
}

static inline struct bed *bed_new(const struct kad_config *more)
{
    struct bed *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    mem_init(&b->mem, NULL, 0);
    rng_stream_init(&b->rng, (const uint8_t[32]){1});
    b->now = NS_PER_S;
    struct kad_config c = more != NULL ? *more : (struct kad_config){.lab = true};
    c.mem = &b->mem;
    c.rng = rng_of_stream(&b->rng);
    c.log = (struct logger){.emit = on_log, .ctx = b, .level = LOG_DEBUG};
    c.clock = (struct wallclock){1700000000, 0};
    c.protocol = KAD_PROTOCOL;
    c.server = true;
    c.n_validators = 1;
    c.validator[0] =
        (struct kad_validator){.ns = "v", .value_max = 4000, .check = check, .select = later};
    peer_id_from_ed25519(&c.self, (const uint8_t[32]){99});
    assert_int_equal(kad_new(&b->k, &c, b->now), QUDAG_OK);
    return b;
}

static inline void bed_free(struct bed *b)
{
    kad_free(b->k);
    assert_int_equal(b->mem.used, 0);
    free(b);
}

static inline struct acts *fresh(struct bed *b)
{
    b->out =
        (struct acts){.v = b->v, .cap = ACTS_ROOM, .bytes = b->bytes, .bytes_cap = ACTS_BYTES_ROOM};
    return &b->out;
}

static inline struct kad_peer_info peer(unsigned n)
{
    struct kad_peer_info p = {.n_addrs = 1};
    struct netaddr a = {.family = 4, .ip = {50, (uint8_t)(n >> 8), (uint8_t)n, 1}, .port = 4001};
    uint8_t pk[32] = {(uint8_t)n, (uint8_t)(n >> 8), 1};

    peer_id_from_ed25519(&p.id, pk);
    multiaddr_quic(&p.addr[0], &a, NULL);
    return p;
}

static inline void tell(struct bed *b, const struct ev *ev)
{
    kad_ops.event(b->k, ev, b->now, fresh(b));
    assert_false(b->out.overflow);
}

static inline size_t acts_of(const struct bed *b, enum act_type type)
{
    size_t n = 0;

    for (size_t i = 0; i < b->out.n; i++) {
        n += b->v[i].type == type ? 1 : 0;
    }
    return n;
}

static inline void come_from(struct bed *b, uint32_t slot, const struct peer_id *from, uint64_t net)
{
    tell(b,
         &(struct ev){
             .type = EV_STREAM_OPEN, .inbound = true, .strm = {slot, 1}, .peer = from, .net = net});
}

static inline void come(struct bed *b, uint32_t slot, const struct peer_id *from)
{
    come_from(b, slot, from, 0);
}

static inline void go(struct bed *b, uint32_t slot)
{
    tell(b, &(struct ev){.type = EV_RESET, .strm = {slot, 1}});
}

static inline void say(struct bed *b, uint32_t slot, struct slice data)
{
    tell(b, &(struct ev){.type = EV_DATA, .strm = {slot, 1}, .data = data});
}

static inline void ask(struct bed *b, uint32_t slot, const struct kad_msg *m)
{
    static uint8_t buf[KAD_MSG_MAX];
    size_t len = 0;

    assert_int_equal(kad_msg_encode(buf, sizeof(buf), &len, m), QUDAG_OK);
    say(b, slot, (struct slice){buf, len});
}

/* The one answer of the last call. */
static inline struct kad_msg answer(struct bed *b)
{
    struct kad_msg m = {.closer = b->closer, .providers = b->providers};
    struct slice msg;
    size_t used, dropped;

    assert_int_equal(acts_of(b, ACT_WRITE), 1);
    assert_int_equal(b->v[0].type, ACT_WRITE);
    assert_int_equal(kad_frame(b->v[0].data, &msg, &used), 1);
    assert_int_equal(kad_msg_decode(&m, &dropped, msg), QUDAG_OK);
    return m;
}

static inline struct kad_msg put(struct slice key, struct slice value)
{
    return (struct kad_msg){
        .type = KAD_PUT_VALUE, .key = key, .has_record = true, .rec_key = key, .rec_value = value};
}

static inline uint64_t refused(const struct bed *b, enum kad_refusal why)
{
    struct kad_stats s;

    kad_stats_get(b->k, &s);
    return s.refused[why];
}

#endif
