/*
 * testkit_stream.h - two ends of TLS over a byte stream in one process.  For tests only, behind cmocka.h.
 */
#ifndef QUDAG_SRC_SEC_TESTKIT_STREAM_H
#define QUDAG_SRC_SEC_TESTKIT_STREAM_H

#include "base/mem.h"
#include "sec/tls_stream.h"

#include <string.h>

#define TS_WALL 1800000000
#define TS_START (1000 * NS_PER_S)
#define TS_GOT_MAX (256 * 1024)

struct ts_end {
    struct mem mem;
    bool confirm; /* of the sessions started from now on */
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct peer_id peer;
    struct sec *sec;
    struct tls_stream *t;
    qudag_err err; /* the first that was returned */
    size_t sent;   /* bytes of output that went out */
    uint8_t got[TS_GOT_MAX];
    size_t got_len;
};

struct ts_opt {
    enum pq_policy pq;
    uint16_t level;
    bool channel;
    int64_t wall_off; /* seconds by which its calendar is wrong */
};

/* An end with keys of its own, which |seed| names. */
static inline void ts_make(struct ts_end *e, uint8_t seed, const struct ts_opt *o)
{
    uint8_t bytes[32] = {seed};

    memset(e, 0, sizeof *e);
    mem_init(&e->mem, NULL, 0);
    rng_stream_init(&e->stream, bytes);
    e->rng = rng_of_stream(&e->stream);
    assert_int_equal(identity_generate(&e->id, &e->rng), QUDAG_OK);
    peer_id_from_ed25519(&e->peer, e->id.ed_pk);
    const struct sec_config cfg = {.mem = &e->mem,
                                   .rng = &e->rng,
                                   .identity = &e->id,
                                   .pq = o->pq,
                                   .level = o->level,
                                   .channel = o->channel,
                                   .clock = {.base = TS_WALL + o->wall_off, .at = TS_START}};
    assert_int_equal(sec_new(&e->sec, &cfg), QUDAG_OK);
}

static inline void ts_unmake(struct ts_end *e)
{
    tls_stream_free(e->t);
    e->t = NULL;
    sec_free(e->sec);
    identity_fini(&e->id);
    assert_int_equal(e->mem.used, 0);
}

static const char *const ts_protos[] = {"/yamux/1.0.0", "libp2p", NULL};

static inline qudag_err ts_start(struct ts_end *e, bool server, const struct sec_expect *x,
                                 const char *const *protos)
{
    const struct tls_stream_config cfg = {.mem = &e->mem,
                                          .sec = e->sec,
                                          .server = server,
                                          .confirm = e->confirm,
                                          .expect = x,
                                          .protos = protos == NULL ? ts_protos : protos};

    tls_stream_free(e->t);
    e->t = NULL;
    e->err = QUDAG_OK;
    e->sent = e->got_len = 0;
    return tls_stream_new(&e->t, &cfg, TS_START);
}

/* Feeds |in| as an owner would: until all is used and nothing plain comes. */
static inline void ts_feed(struct ts_end *e, struct slice in, tstamp now)
{
    for (;;) {
        size_t used = 0;
        struct slice plain;
        qudag_err err = tls_stream_receive(e->t, in, &used, &plain, now);

        if (err != QUDAG_OK) {
            e->err = e->err == QUDAG_OK ? err : e->err;
            return;
        }
        assert_true(used <= in.len);
        assert_true(plain.len <= TLS_STREAM_PLAIN_MAX);
        if (used > 0) {
            in = (struct slice){in.base + used, in.len - used};
        }
        if (plain.len > 0) {
            assert_true(e->got_len + plain.len <= sizeof e->got);
            memcpy(e->got + e->got_len, plain.base, plain.len);
            e->got_len += plain.len;
        } else if (in.len == 0) {
            return;
        } else {
            assert_true(used > 0);
        }
    }
}

/* Moves what |from| has to |to|, at most |chunk| bytes at a time; how many it were. */
static inline size_t ts_move(struct ts_end *from, struct ts_end *to, size_t chunk, tstamp now)
{
    size_t moved = 0;

    for (;;) {
        struct slice s = tls_stream_output(from->t);

        if (s.len == 0) {
            from->sent += moved;
            return moved;
        }
        s.len = s.len > chunk ? chunk : s.len;
        ts_feed(to, s, now);
        tls_stream_output_sent(from->t, s.len);
        moved += s.len;
    }
}

/* Until neither has anything to say. */
static inline void ts_run(struct ts_end *a, struct ts_end *b, size_t chunk, tstamp now)
{
    ts_feed(a, (struct slice){NULL, 0}, now);
    while (ts_move(a, b, chunk, now) + ts_move(b, a, chunk, now) > 0) {
    }
}

static inline bool ts_both(const struct ts_end *a, const struct ts_end *b,
                           enum tls_stream_state state)
{
    return tls_stream_state(a->t) == state && tls_stream_state(b->t) == state;
}

#endif
