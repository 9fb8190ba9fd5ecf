/* introduce_bed.h - a service, a relay and a caller of introductions, joined by hand.  For tests only. */
#ifndef QUDAG_SRC_CORE_REND_INTRODUCE_BED_H
#define QUDAG_SRC_CORE_REND_INTRODUCE_BED_H

#include "core/rend/introduce_impl.h"
#include "core/rend/testkit.h"

static const struct ref svc_strm = {1, 1}, call_strm = {2, 1}; /* at those who asked */
static const struct ref point_strm = {3, 9};                   /* at the relay */
static const uint8_t the_binding[REND_BINDING_LEN] = {0xb1};

struct meeting {
    struct bed b;
    struct introduce *svc, *relay, *caller;
    struct secret_ed25519 sk;
    uint8_t key[ED25519_PK_LEN];
    uint8_t hs[REND_HS_LEN];
};

static inline struct introduce *side_new(struct meeting *m, bool serve)
{
    struct introduce_config cfg = {
        .mem = &m->b.mem, .rng = rng_of_stream(&m->b.stream), .serve = serve};
    struct introduce *i;

    assert_int_equal(introduce_new(&i, &cfg, m->b.now), QUDAG_OK);
    return i;
}

static inline struct meeting *meeting_new(void)
{
    struct meeting *m = calloc(1, sizeof *m);

    assert_non_null(m);
    bed_init(&m->b, &introduce_ops);
    struct rng rng = rng_of_stream(&m->b.stream);
    assert_int_equal(ed25519_keygen(&m->sk, m->key, &rng), QUDAG_OK);
    rng_stream_fill(&m->b.stream, m->hs, sizeof m->hs);
    m->svc = side_new(m, false);
    m->relay = side_new(m, true);
    m->caller = side_new(m, false);
    return m;
}

static inline void meeting_free(struct meeting *m)
{
    introduce_free(m->svc);
    introduce_free(m->relay);
    introduce_free(m->caller);
    assert_int_equal(m->b.mem.used, 0);
    free(m);
}

static inline qudag_err establish_ask(struct meeting *m, struct introduce *i, uint16_t rate,
                                      uint16_t burst)
{
    struct introduce_point p = {.circuit = circuit,
                                .cookie = 50,
                                .sk = &m->sk,
                                .binding = the_binding,
                                .rate = rate,
                                .burst = burst};

    return introduce_establish(i, &p, m->b.now, &m->b.acts);
}

static inline qudag_err call_ask(struct meeting *m, struct introduce *i)
{
    struct introduce_call c = {
        .circuit = circuit, .cookie = 60, .intro_key = m->key, .handshake = m->hs};

    return introduce_send(i, &c, m->b.now, &m->b.acts);
}

/* ESTABLISH of the meeting's key, as the service writes it. */
static inline void establish_bytes(struct meeting *m, uint16_t rate, uint16_t burst,
                                   uint8_t out[REND_ESTABLISH_LEN])
{
    assert_int_equal(establish_ask(m, m->svc, rate, burst), QUDAG_OK);
    open_ours(&m->b, m->svc, svc_strm);
    assert_int_equal(m->b.acts.n, 1); /* and no FIN */
    assert_int_equal(m->b.act_v[0].data.len, REND_ESTABLISH_LEN);
    memcpy(out, m->b.act_v[0].data.base, REND_ESTABLISH_LEN);
    acts_clear(&m->b);
}

/* ESTABLISH on that stream of the relay, whose circuit exports |binding|; the acts say how it went. */
static inline void establish_at(struct meeting *m, const uint8_t bytes[REND_ESTABLISH_LEN],
                                struct ref strm, const struct from *from, const uint8_t *binding)
{
    open_in(&m->b, m->relay, strm, from);
    data_in(&m->b, m->relay, strm, bytes, REND_ESTABLISH_LEN);
    const struct act *up = report_of(&m->b, INTRODUCE_UP_BINDING);
    if (up != &no_act) {
        assert_int_equal(up->n, from != NULL ? from->link : ref_to_u64(strm));
        uint64_t cookie = up->cookie;
        acts_clear(&m->b);
        introduce_bound(m->relay, cookie, binding, m->b.now, &m->b.acts);
    }
}

/* The meeting's point stands at the relay, and its service knows. */
static inline void established(struct meeting *m, uint16_t rate, uint16_t burst)
{
    static const uint8_t done = REND_DONE;
    uint8_t bytes[REND_ESTABLISH_LEN];

    establish_bytes(m, rate, burst, bytes);
    establish_at(m, bytes, point_strm, NULL, the_binding);
    assert_int_equal(m->b.acts.n, 1);
    assert_true(answered(&m->b, point_strm, REND_DONE, false));
    acts_clear(&m->b);
    sent(&m->b, m->relay, point_strm, 1);
    data_in(&m->b, m->svc, svc_strm, &done, 1);
    assert_int_equal(m->b.acts.n, 1);
    assert_int_equal(m->b.act_v[0].kind, INTRODUCE_UP_ESTABLISHED);
    assert_int_equal(m->b.act_v[0].cookie, 50);
    acts_clear(&m->b);
}

/* A whole INTRODUCE1 for |key| on that stream of the relay. */
static inline void introduce_at(struct meeting *m, const uint8_t *key, struct ref strm,
                                const struct from *from)
{
    uint8_t buf[REND_INTRODUCE1_LEN];
    struct wr w = wr_init(buf, sizeof buf);
    struct rend_introduce1 i1 = {.intro_key = key, .handshake = m->hs};

    rend_introduce1_put(&w, &i1);
    assert_true(wr_ok(&w));
    open_in(&m->b, m->relay, strm, from);
    data_in(&m->b, m->relay, strm, buf, sizeof buf);
    event_in(&m->b, m->relay, EV_FIN, strm);
}

/* A point of a key of its own, on that stream of the relay. */
static inline void another_point(struct meeting *m, struct ref strm, const struct from *from)
{
    uint8_t bytes[REND_ESTABLISH_LEN];
    struct rng rng = rng_of_stream(&m->b.stream);
    struct rend_establish e = {.rate = 1};
    struct secret_ed25519 sk;
    uint8_t pk[ED25519_PK_LEN];
    struct wr w = wr_init(bytes, sizeof bytes);

    assert_int_equal(ed25519_keygen(&sk, pk, &rng), QUDAG_OK);
    assert_int_equal(rend_establish_sign(&e, &sk, the_binding), QUDAG_OK);
    rend_establish_put(&w, &e);
    acts_clear(&m->b);
    establish_at(m, bytes, strm, from, the_binding);
}

static inline struct introduce_stats stats_of(const struct introduce *i)
{
    struct introduce_stats s;

    introduce_stats_get(i, &s);
    return s;
}

#endif
