/* testkit_case.h - what the cases of this folder do: calls and services that went a part of their way. */
#ifndef QUDAG_SRC_CORE_HIDDEN_TESTKIT_CASE_H
#define QUDAG_SRC_CORE_HIDDEN_TESTKIT_CASE_H

#include "core/hidden/testkit.h"

/* --- calls ------------------------------------------------------------------------------------- */

/* Calls the service that is only called, through |n| points at relays 100, 101, ... */
static inline qudag_err call_it(struct bed *b, uint64_t cookie, size_t n)
{
    struct hidden_point point[HIDDEN_POINTS];

    for (size_t i = 0; i < HIDDEN_POINTS; i++) {
        relay_set(b, &point[i].relay, (uint8_t)(100 + i));
        memcpy(point[i].intro_key, b->intro[i], sizeof point[i].intro_key);
    }
    const struct hidden_call_want want = {.cookie = cookie,
                                          .addr = b->addr,
                                          .x = b->keys.x,
                                          .k = b->keys.k,
                                          .points = point,
                                          .n_points = n,
                                          .seed = b->effort > 0 ? b->addr : NULL,
                                          .effort = b->effort};
    return hidden_call(b->calls, &want, b->now, &b->acts);
}

/* R for the last call that needs one is built; its circuit. */
static inline struct ref build_r(struct bed *b)
{
    struct up need = call_up(b, HIDDEN_CALL_NEED_R);
    struct ref c = new_circuit(b);
    struct onion_hop r;

    relay_set(b, &r, 50);
    hidden_call_r_built(b->calls, need.id, c, &r, b->now, &b->acts);
    take(b);
    return c;
}

/* R is built and waits. */
static inline struct ref have_r(struct bed *b)
{
    struct ref c = build_r(b);

    hidden_call_waiting(b->calls, call_up(b, HIDDEN_CALL_WAIT).id, QUDAG_OK, b->now, &b->acts);
    take(b);
    return c;
}

/* The circuit to the last point that was asked for is built. */
static inline struct ref build_i(struct bed *b)
{
    struct ref c = new_circuit(b);

    hidden_call_i_built(b->calls, call_up(b, HIDDEN_CALL_NEED_I).id, c, b->now, &b->acts);
    take(b);
    return c;
}

/* What the service would answer to the introduction |u|. */
static inline qudag_err answer_it(struct bed *b, const struct up *u,
                                  uint8_t created[REND_CREATED_LEN], struct onion_hs_keys *keys)
{
    const struct rend_hs_own own = {b->addr, u->is.introduction.intro_key, &b->keys};
    struct rend_hs_asked asked;
    qudag_err err = rend_hs_open(&asked, &own, u->is.introduction.handshake);

    if (err == QUDAG_OK) {
        err = rend_hs_answer(&asked, &b->rng, created, keys);
    }
    return err;
}

/* Lets time pass; ticks come when they are wanted. */
static inline void run_to(struct bed *b, tstamp end)
{
    for (unsigned steps = 0; steps < 100000; steps++) {
        tstamp at =
            tstamp_min(hidden_calls_deadline(b->calls), hidden_services_deadline(b->services));
        if (at > end) {
            b->now = end;
            take(b);
            return;
        }
        b->now = at > b->now ? at : b->now;
        hidden_calls_tick(b->calls, b->now, &b->acts);
        hidden_services_tick(b->services, b->now, &b->sacts);
        take(b);
    }
    fail_msg("it never rests");
}

/* --- services ---------------------------------------------------------------------------------- */

static inline qudag_err serve_it(struct bed *b, uint64_t cookie, struct slice saved)
{
    const struct hidden_serve_want want = {cookie, b->addr, saved};
    qudag_err err = hidden_serve(b->services, &want, b->now, &b->sacts);

    take(b);
    return err;
}

/* Builds the point that |need| wants at relay |number|; its id. */
static inline uint64_t build_point(struct bed *b, const struct up *need, uint8_t number)
{
    struct onion_hop relay;

    relay_set(b, &relay, number);
    hidden_serve_point_built(b->services, need->id, new_circuit(b),
                             need->is.need.same ? &need->is.need.relay : &relay, b->now, &b->sacts);
    take(b);
    return need->id;
}

/*
 * Every point that is asked for since the last forget() and still wanted stands, at relays from |number| on; how many.
 * Forgets the reports before.
 */
static inline size_t have_points(struct bed *b, uint8_t number, uint64_t ids[HIDDEN_SLOTS])
{
    struct up *need = calloc(UPS_MAX, sizeof *need);
    size_t asked = 0, n = 0;

    assert_non_null(need);
    take(b);
    for (size_t i = 0; i < b->n_sup; i++) {
        if (b->sup[i].kind == HIDDEN_SERVE_NEED_POINT) {
            need[asked++] = b->sup[i];
        }
    }
    forget(b);
    for (size_t i = 0; i < asked; i++) {
        uint64_t id = build_point(b, &need[i], (uint8_t)(number + n));
        hidden_serve_established(b->services, id, b->now, &b->sacts);
        if (hidden_serve_intro_sk(b->services, id) != NULL) { /* else it came too late */
            assert_true(n < HIDDEN_SLOTS);
            ids[n++] = id;
        }
    }
    take(b);
    free(need);
    return n;
}

static inline struct hidden_serve_stats stats_of(struct bed *b, uint64_t cookie)
{
    struct hidden_serve_stats st;

    assert_int_equal(hidden_serve_stats_get(b->services, cookie, &st), QUDAG_OK);
    return st;
}

/* A look inside the service 1, which is there. */
static inline struct hidden_service *inside(struct bed *b)
{
    static struct hidden_service none;
    struct hidden_service *s = hidden_service_of(b->services, 1);

    assert_non_null(s);
    return s == NULL ? &none : s;
}

/* A handshake of some caller for the point |ix| of |t|, who waits at relay |r|. */
static inline void make_handshake(struct bed *b, const struct hidden_target *t, size_t ix,
                                  uint8_t r, uint8_t handshake[REND_HS_LEN])
{
    struct rend_target to;
    struct rend_point at;
    struct rend_hs_caller h;

    memcpy(to.addr, b->addr, sizeof to.addr);
    memcpy(to.intro_key, t->point[ix].intro_key, sizeof to.intro_key);
    memcpy(to.x, t->keys[0].x, sizeof to.x);
    memcpy(to.k, t->keys[0].k, sizeof to.k);
    relay_set(b, &at.relay, r);
    rng_fill(&b->rng, at.cookie, sizeof at.cookie);
    assert_int_equal(rend_hs_create(&h, &to, &at, (struct slice){NULL, 0}, &b->rng, handshake),
                     QUDAG_OK);
    rend_hs_drop(&h);
}

/* A service with the cookie 1 that stands at relays 1, 2, 3; the ids of its points in the order of its target. */
static inline struct hidden_target have_service(struct bed *b, uint64_t ids[HIDDEN_SLOTS])
{
    assert_int_equal(serve_it(b, 1, (struct slice){NULL, 0}), QUDAG_OK);
    assert_int_equal(have_points(b, 1, ids), HIDDEN_POINTS);
    struct hidden_target t = serve_up(b, HIDDEN_SERVE_TARGET).is.target;
    forget(b);
    return t;
}

/* The same handshake comes through that point. */
static inline void request(struct bed *b, uint64_t id, const uint8_t handshake[REND_HS_LEN])
{
    hidden_serve_request(b->services, id, (struct slice){handshake, REND_HS_LEN}, b->now,
                         &b->sacts);
    take(b);
}

#endif
