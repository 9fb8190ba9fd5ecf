/* rendezvous_bed.h - a caller, a relay and a service that meet, joined by hand.  For tests only. */
#ifndef QUDAG_SRC_CORE_REND_RENDEZVOUS_BED_H
#define QUDAG_SRC_CORE_REND_RENDEZVOUS_BED_H

#include "core/rend/rendezvous_impl.h"
#include "core/rend/testkit.h"

static const struct ref wait_strm = {3, 9}, meet_strm = {4, 9}; /* at the relay */
static const struct ref our_strm = {1, 1};                      /* at those who asked */

struct fixture {
    struct bed b;
    struct rendezvous *asker, *relay;
    uint8_t cookie[REND_COOKIE_LEN];
    uint8_t created[REND_CREATED_LEN];
};

static inline struct rendezvous *fixture_side(struct fixture *t, bool serve)
{
    struct rendezvous_config cfg = {
        .mem = &t->b.mem, .rng = rng_of_stream(&t->b.stream), .serve = serve};
    struct rendezvous *r;

    assert_int_equal(rendezvous_new(&r, &cfg, t->b.now), QUDAG_OK);
    return r;
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *t = calloc(1, sizeof *t);

    assert_non_null(t);
    bed_init(&t->b, &rendezvous_ops);
    rng_stream_fill(&t->b.stream, t->cookie, sizeof t->cookie);
    rng_stream_fill(&t->b.stream, t->created, sizeof t->created);
    t->asker = fixture_side(t, false);
    t->relay = fixture_side(t, true);
    return t;
}

static inline void fixture_free(struct fixture *t)
{
    rendezvous_free(t->asker);
    rendezvous_free(t->relay);
    assert_int_equal(t->b.mem.used, 0);
    free(t);
}

static inline struct rendezvous_request request_of(const struct fixture *t)
{
    return (struct rendezvous_request){
        .circuit = circuit, .cookie = 70, .meeting = t->cookie, .created = t->created};
}

static inline qudag_err wait_ask(struct fixture *t, struct rendezvous *r)
{
    struct rendezvous_request q = request_of(t);

    return rendezvous_wait(r, &q, t->b.now, &t->b.acts);
}

static inline qudag_err meet_ask(struct fixture *t, struct rendezvous *r)
{
    struct rendezvous_request q = request_of(t);

    return rendezvous_meet(r, &q, t->b.now, &t->b.acts);
}

/* WAIT with that cookie, whole, on a stream of the relay. */
static inline void wait_at(struct fixture *t, const uint8_t *cookie, struct ref strm,
                           const struct from *from)
{
    uint8_t buf[REND_WAIT_LEN];
    struct wr w = wr_init(buf, sizeof buf);

    rend_wait_put(&w, cookie);
    open_in(&t->b, t->relay, strm, from);
    data_in(&t->b, t->relay, strm, buf, sizeof buf);
    event_in(&t->b, t->relay, EV_FIN, strm);
}

static inline void meet_at(struct fixture *t, const uint8_t *cookie, struct ref strm,
                           const struct from *from)
{
    uint8_t buf[REND_MEET_LEN];
    struct wr w = wr_init(buf, sizeof buf);
    struct rend_meet m = {.cookie = cookie, .created = t->created};

    rend_meet_put(&w, &m);
    open_in(&t->b, t->relay, strm, from);
    data_in(&t->b, t->relay, strm, buf, sizeof buf);
    event_in(&t->b, t->relay, EV_FIN, strm);
}

/* Both streams are about to be joined: CREATED is on its way. */
static inline void handed_over(struct fixture *t)
{
    wait_at(t, t->cookie, wait_strm, NULL);
    assert_true(answered(&t->b, wait_strm, REND_DONE, false));
    acts_clear(&t->b);
    meet_at(t, t->cookie, meet_strm, NULL);
    assert_int_equal(t->b.acts.n, 1);
    const struct act *a = act_of(&t->b, ACT_WRITE, wait_strm);
    assert_int_equal(a->data.len, REND_CREATED_LEN);
    assert_memory_equal(a->data.base, t->created, REND_CREATED_LEN);
    acts_clear(&t->b);
}

static inline struct rendezvous_stats met_stats(const struct rendezvous *r)
{
    struct rendezvous_stats s;

    rendezvous_stats_get(r, &s);
    return s;
}

#endif
