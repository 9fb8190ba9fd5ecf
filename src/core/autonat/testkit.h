/* testkit.h - a client and a server of AutoNAT v2 without links: what one writes is read here.  Behind cmocka.h. */
#ifndef QUDAG_SRC_CORE_AUTONAT_TESTKIT_H
#define QUDAG_SRC_CORE_AUTONAT_TESTKIT_H

#include "base/rd.h"
#include "core/autonat/server.h"

#include <string.h>

static struct act room[ACTS_ROOM * 2];
static uint8_t bytes[ACTS_BYTES_ROOM];
static struct acts acts = {
    .v = room, .cap = ARRAY_LEN(room), .bytes = bytes, .bytes_cap = sizeof(bytes)};
static struct rng_stream stream;
static struct rng rng;
static tstamp now = 1000 * NS_PER_S;

static inline void begin(void)
{
    static const uint8_t seed[32] = "autonat";

    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    acts.n = acts.bytes_n = 0;
}

static inline struct multiaddr quic(const char *ip, unsigned port)
{
    struct netaddr a = {.port = (uint16_t)port};
    struct multiaddr m;

    assert_int_equal(netaddr_parse_ip(&a, ip), QUDAG_OK);
    multiaddr_quic(&m, &a, NULL);
    return m;
}

static inline struct peer_id peer(unsigned n)
{
    uint8_t pk[32] = {(uint8_t)n, (uint8_t)(n >> 8)};
    struct peer_id id;

    peer_id_from_ed25519(&id, pk);
    return id;
}

static inline struct ref strm(unsigned n)
{
    return ref_from_u64((uint64_t)1 << 32 | n);
}

/* The last action of that type since forget(); all zeros: there was none. */
static inline const struct act *last(enum act_type type)
{
    static const struct act none;

    for (size_t i = acts.n; i-- > 0;) {
        if (acts.v[i].type == type) {
            return &acts.v[i];
        }
    }
    return &none;
}

static inline bool has(enum act_type type)
{
    for (size_t i = 0; i < acts.n; i++) {
        if (acts.v[i].type == type) {
            return true;
        }
    }
    return false;
}

static inline void forget(void)
{
    acts.n = acts.bytes_n = 0;
}

/* The message that was written last. */
static inline struct autonat_msg written(void)
{
    const struct act *w = last(ACT_WRITE);
    struct autonat_msg m;

    assert_true(has(ACT_WRITE));
    struct rd r = rd_init(w->data);
    assert_int_equal(autonat_msg_read(&m, rd_lp(&r, AUTONAT_MSG_MAX)), QUDAG_OK);
    assert_true(rd_done(&r));
    return m;
}

/* |m| arrives on |s|, one byte at a time where it is short. */
static inline void arrives(const struct core_ops *ops, void *core, struct ref s,
                           const struct autonat_msg *m)
{
    uint8_t out[AUTONAT_MSG_MAX + 16];
    struct wr w = wr_init(out, sizeof(out));

    assert_int_equal(autonat_msg_write(&w, m), QUDAG_OK);
    size_t piece = w.len < 100 ? 1 : w.len;
    for (size_t at = 0; at < w.len; at += piece) {
        struct ev ev = {.type = EV_DATA, .strm = s, .data = {out + at, piece}};
        ops->event(core, &ev, now, &acts);
    }
}

#endif
