/* meetings_test.c - handshakes that come to a service, and its circuits to rendezvous relays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit_case.h"

static void a_caller_is_met(void **state)
{
    struct bed *b = bed_new(1);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];
    struct onion_hs_keys keys;
    struct onion_hop r;

    (void)state;
    struct hidden_target t = have_service(b, ids);
    relay_set(b, &r, 40);
    make_handshake(b, &t, 0, 40, handshake);
    request(b, ids[0], handshake);
    struct up need = serve_up(b, HIDDEN_SERVE_NEED_R);
    assert_true(peer_id_eq(&need.is.relay.peer, &r.peer));
    struct ref c = new_circuit(b);
    hidden_serve_r_built(b->services, need.id, c, b->now, &b->sacts);
    struct up meet = serve_up(b, HIDDEN_SERVE_MEET);
    assert_true(ref_eq(meet.obj, c));
    assert_false(ct_is_zero(meet.is.meet.created, REND_CREATED_LEN));
    assert_int_equal(hidden_serve_take(b->services, meet.id, &keys), QUDAG_OK);
    assert_false(ct_is_zero(&keys, sizeof keys));
    assert_int_equal(hidden_serve_take(b->services, meet.id, &keys), QUDAG_ESTALE); /* once */
    assert_true(ct_is_zero(&keys, sizeof keys));
    assert_int_equal(inside(b)->to_come, 0); /* the owner counts it from now on */
    hidden_serve_met(b->services, meet.id, QUDAG_OK, REND_DONE, b->now, &b->sacts);
    hidden_serve_met(b->services, meet.id, QUDAG_OK, REND_DONE, b->now, &b->sacts);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 0); /* the circuit is the owner's */
    struct hidden_serve_stats st = stats_of(b, 1);
    assert_int_equal(st.met, 1);
    assert_int_equal(st.building, 0);
    bed_free(b);
}

/* What all services of the node refused, as its metrics say. */
static void assert_refused(struct bed *b, uint64_t replayed, uint64_t bad)
{
    uint64_t r = 0, n = 0;

    hidden_services_refused(b->services, &r, &n);
    assert_int_equal(r, replayed);
    assert_int_equal(n, bad);
}

static void what_is_not_for_us_brings_nothing(void **state)
{
    struct bed *b = bed_new(2);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN], other[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    make_handshake(b, &t, 0, 40, handshake);
    make_handshake(b, &t, 1, 40, other);
    request(b, ids[0], other); /* through another point than it was made for */
    handshake[REND_HS_LEN - 1] ^= 1;
    request(b, ids[0], handshake);
    handshake[REND_HS_LEN - 1] ^= 1;
    hidden_serve_request(b->services, ids[0], (struct slice){handshake, REND_HS_LEN - 1}, b->now,
                         &b->sacts);
    handshake[0] ^= 1;
    request(b, ids[0], handshake);
    handshake[0] ^= 1;
    request(b, 999, handshake);
    request(b, 0, handshake);
    struct hidden_serve_stats st = stats_of(b, 1);
    assert_int_equal(st.requests, 4);
    assert_int_equal(st.bad, 3);
    assert_int_equal(st.unknown_key, 1);
    assert_refused(b, 0, 3);
    assert_int_equal(b->n_sup, 0);
    request(b, ids[0], handshake); /* and what was spoilt before is no replay */
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 1);
    bed_free(b);
}

static void a_handshake_is_answered_once(void **state)
{
    struct bed *b = bed_new(3);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    make_handshake(b, &t, 0, 40, handshake);
    for (unsigned i = 0; i < 5; i++) {
        request(b, ids[0], handshake);
    }
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 1);
    assert_int_equal(stats_of(b, 1).replayed, 4);
    assert_refused(b, 4, 0);
    hidden_serve_r_failed(b->services, serve_up(b, HIDDEN_SERVE_NEED_R).id, b->now, &b->sacts);
    request(b, ids[0], handshake); /* nor after it failed */
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 1);
    hidden_serve_point_ended(b->services, ids[0], b->now,
                             &b->sacts); /* nor after the point was restored */
    forget(b);
    run_to(b, b->now + 2 * SECOND);
    struct up need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    ids[0] = build_point(b, &need, 1);
    request(b, ids[0], handshake); /* not established yet */
    assert_int_equal(stats_of(b, 1).requests, 6);
    hidden_serve_established(b->services, ids[0], b->now, &b->sacts);
    request(b, ids[0], handshake);
    assert_int_equal(stats_of(b, 1).replayed, 6);
    bed_free(b);
}

/* Without memory for its hash a handshake could be answered twice. */
static void what_cannot_be_remembered_is_not_answered(void **state)
{
    struct bed *b = bed_new(10);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    make_handshake(b, &t, 0, 40, handshake);
    for (uint64_t i = 1; i <= 2; i++) { /* the caller; his hash */
        b->mem.fail_at = i;
        request(b, ids[0], handshake);
        assert_int_equal(b->mem.fail_at, 0);
        assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 0);
        assert_int_equal(stats_of(b, 1).over, i);
    }
    request(b, ids[0], handshake);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 1);
    bed_free(b);
}

/* Garbage costs the point its rate, and nothing else. */
static void a_flood_of_garbage_is_counted(void **state)
{
    struct bed *b = bed_new(4);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    make_handshake(b, &t, 0, 40, handshake);
    size_t used = b->mem.used;
    for (unsigned i = 0; i < HIDDEN_EXCESS_BURST; i++) {
        handshake[100 + i % 3000] ^= 1;
        request(b, ids[0], handshake);
    }
    struct hidden_serve_stats st = stats_of(b, 1);
    assert_int_equal(st.bad, REND_BURST_MAX);
    assert_int_equal(st.over, HIDDEN_EXCESS_BURST - REND_BURST_MAX);
    assert_int_equal(b->mem.used, used);
    make_handshake(b, &t, 1, 40, handshake); /* another point is not at its rate */
    request(b, ids[1], handshake);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 1);
    bed_free(b);
}

/* SPEC: rendezvous R-42: as much as a relay may pass on ends no point, more does; and not its relay takes its place. */
static void a_relay_that_passes_on_more_than_it_may_is_replaced(void **state)
{
    struct bed *b = bed_new(11);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN] = {1};

    (void)state;
    struct hidden_target t = have_service(b, ids), told;
    for (unsigned i = 0; i < 2 * REND_BURST_MAX; i++) { /* what was let through, and was held up */
        request(b, ids[0], handshake);
    }
    for (unsigned i = 0; i < 20 * REND_RATE_MAX; i++) {
        run_to(b, b->now + SECOND / REND_RATE_MAX);
        request(b, ids[0], handshake);
    }
    assert_int_equal(stats_of(b, 1).points_expelled, 0);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 0);
    forget(b);
    for (unsigned i = 0; i < 10; i++) {
        request(b, ids[0], handshake);
    }
    assert_int_equal(stats_of(b, 1).points_expelled, 1);
    assert_int_equal(stats_of(b, 1).standing, HIDDEN_POINTS - 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 1);
    run_to(b, b->now + 2 * SECOND);
    struct up need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    assert_false(need.is.need.same);
    assert_int_equal(need.is.need.n_avoid, HIDDEN_POINTS);
    bool avoided = false;
    for (uint32_t i = 0; i < need.is.need.n_avoid; i++) {
        avoided = avoided || peer_id_eq(&need.is.need.avoid[i], &t.point[0].relay.peer);
    }
    assert_true(avoided);
    assert_int_equal(have_points(b, 60, ids), 1);
    run_to(b, b->now + 15 * SECOND);
    told = serve_up(b, HIDDEN_SERVE_TARGET).is.target; /* and records say so */
    assert_int_equal(told.n_points, HIDDEN_POINTS);
    for (uint32_t i = 0; i < told.n_points; i++) {
        assert_false(peer_id_eq(&told.point[i].relay.peer, &t.point[0].relay.peer));
    }
    assert_int_equal(told.n_old, 0);
    bed_free(b);
}

static void circuits_are_begun_at_a_rate(void **state)
{
    struct bed *b = bed_new(5);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    for (unsigned i = 0; i < 200; i++) {
        make_handshake(b, &t, i % 3, 40, handshake);
        request(b, ids[i % 3], handshake);
    }
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_BUILDS_RATE);
    run_to(b, b->now + SECOND / 2);
    assert_in_range(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_BUILDS_RATE + 15,
                    HIDDEN_BUILDS_RATE + 16);
    run_to(b, b->now + 4 * SECOND);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_BUILDS_MAX); /* at a time */
    assert_int_equal(stats_of(b, 1).queued, 200 - HIDDEN_BUILDS_MAX);
    hidden_serve_r_failed(b->services, serve_up(b, HIDDEN_SERVE_NEED_R).id, b->now, &b->sacts);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_BUILDS_MAX + 1);
    run_to(b, b->now + 6 * SECOND);
    struct hidden_serve_stats st = stats_of(b, 1);
    assert_int_equal(st.late, 200 - HIDDEN_BUILDS_MAX - 1);
    assert_int_equal(st.queued, 0);
    run_to(b, b->now + 60 * SECOND); /* and a node that never answers is not waited for */
    st = stats_of(b, 1);
    assert_int_equal(st.building, 0);
    assert_int_equal(st.failed, st.begun);
    bed_free(b);
}

/* A service with that cookie beside others, at relays from 16 times that on. */
static struct hidden_target another_service(struct bed *b, uint64_t cookie,
                                            uint64_t ids[HIDDEN_SLOTS])
{
    forget(b);
    assert_int_equal(serve_it(b, cookie, (struct slice){NULL, 0}), QUDAG_OK);
    assert_int_equal(have_points(b, (uint8_t)(16 * cookie), ids), HIDDEN_POINTS);
    struct hidden_target t = serve_up(b, HIDDEN_SERVE_TARGET).is.target;
    forget(b);
    return t;
}

static void flood(struct bed *b, const struct hidden_target *t, const uint64_t *ids, unsigned n)
{
    uint8_t handshake[REND_HS_LEN];

    for (unsigned i = 0; i < n; i++) {
        make_handshake(b, t, i % 3, 250, handshake);
        request(b, ids[i % 3], handshake);
    }
}

/* SPEC: rendezvous R-28: one more is begun for each whose first hop answered, once. */
static void as_many_are_begun_as_first_hops_answer(void **state)
{
    struct bed *b = bed_new(5);
    uint64_t ids[HIDDEN_SLOTS], id[HIDDEN_BUILDS_RATE];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    flood(b, &t, ids, 200);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_BUILDS_RATE);
    for (size_t i = 0, n = 0; i < b->n_sup; i++) {
        if (b->sup[i].kind == HIDDEN_SERVE_NEED_R) {
            id[n++] = b->sup[i].id;
        }
    }
    for (size_t i = 0; i < HIDDEN_BUILDS_RATE; i++) {
        hidden_serve_r_begun(b->services, id[i], b->now, &b->sacts);
        hidden_serve_r_begun(b->services, id[i], b->now, &b->sacts); /* of a second circuit */
    }
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 2 * HIDDEN_BUILDS_RATE);
    hidden_serve_r_built(b->services, id[0], new_circuit(b), b->now, &b->sacts);
    hidden_serve_r_begun(b->services, id[0], b->now, &b->sacts); /* not any more */
    hidden_serve_r_begun(b->services, 123456, b->now, &b->sacts);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 2 * HIDDEN_BUILDS_RATE);
    bed_free(b);
}

/* SPEC: rendezvous R-28: a node's services share what it builds, and none shuts out another. */
static void services_share_what_the_node_builds(void **state)
{
    struct bed *b = bed_new(30);
    uint64_t ids[5][HIDDEN_SLOTS];
    struct hidden_target t[5];

    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        t[i] = another_service(b, i + 1, ids[i]);
    }
    for (unsigned i = 0; i < 4; i++) { /* whose callers name relays that never answer */
        flood(b, &t[i], ids[i], 100);
    }
    run_to(b, b->now + 4 * SECOND);
    uint32_t building = 0;
    for (uint64_t i = 0; i < 4; i++) {
        struct hidden_serve_stats st = stats_of(b, i + 1);
        assert_in_range(st.building, 30, 90); /* the first ones came first */
        building += st.building;
    }
    assert_in_range(building, HIDDEN_ALL_BUILDS_MAX * 3 / 4, HIDDEN_ALL_BUILDS_MAX - 15);
    flood(b, &t[4], ids[4], 6);
    run_to(b, b->now + SECOND);
    assert_int_equal(stats_of(b, 5).building, 6);

    /* With answers the rate is what there is least of: it is shared as well. */
    for (uint64_t i = 0; i < 5; i++) {
        hidden_serve_end(b->services, i + 1, &b->sacts);
        t[i] = another_service(b, i + 11, ids[i]);
    }
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 4; i++) {
            flood(b, &t[i], ids[i], 10);
        }
        for (size_t at = 0; at < b->n_sup; at++) {
            hidden_serve_r_failed(b->services, b->sup[at].id, b->now, &b->sacts);
        }
        forget(b);
        run_to(b, b->now + SECOND / 10);
    }
    uint64_t begun = 0;
    for (uint64_t i = 0; i < 4; i++) {
        begun += stats_of(b, i + 11).begun;
        assert_in_range(stats_of(b, i + 11).begun, 30, 60);
    }
    assert_in_range(begun, HIDDEN_ALL_BUILDS_RATE, 3 * HIDDEN_ALL_BUILDS_RATE + 1);
    flood(b, &t[4], ids[4], 3);
    run_to(b, b->now + SECOND / 4);
    assert_int_equal(stats_of(b, 15).begun, 3);
    bed_free(b);
}

/* Garbage for the points |ids|, |n| through each. */
static void garbage(struct bed *b, const uint64_t *ids, unsigned n)
{
    const uint8_t handshake[REND_HS_LEN] = {1};

    for (unsigned i = 0; i < HIDDEN_POINTS * n; i++) {
        request(b, ids[i % HIDDEN_POINTS], handshake);
    }
}

/* SPEC: rendezvous R-28: points that a flood wore out do not keep out who comes by those that took their place. */
static void old_points_share_the_rate_of_one(void **state)
{
    enum { OLD = 6 };
    struct bed *b = bed_new(32);
    uint64_t ids[HIDDEN_SLOTS], old[OLD];
    uint8_t handshake[REND_HS_LEN] = {1};

    (void)state;
    have_service(b, ids);
    for (unsigned i = 0; i < OLD / HIDDEN_POINTS; i++) {
        memcpy(&old[i * HIDDEN_POINTS], ids, HIDDEN_POINTS * sizeof *ids);
        struct hidden_service *s = inside(b);
        for (size_t j = 0; j < HIDDEN_SLOTS; j++) {
            s->slot[j].served = hidden_slot_is_named(&s->slot[j]) ? 40000 : 0; /* all used up */
        }
        run_to(b, b->now + 10 * SECOND);
        assert_int_equal(have_points(b, (uint8_t)(20 + 10 * i), ids), HIDDEN_POINTS);
    }
    forget(b);
    run_to(b, b->now + 10 * SECOND);
    assert_int_equal(stats_of(b, 1).old, OLD);
    for (unsigned i = 0; i < REND_BURST_MAX; i++) {
        for (unsigned j = 0; j < OLD; j++) {
            request(b, old[j], handshake);
        }
    }
    struct hidden_serve_stats st = stats_of(b, 1);
    assert_int_equal(st.unknown_key, REND_BURST_MAX);
    assert_int_equal(st.over, (OLD - 1) * REND_BURST_MAX);
    for (unsigned i = 0; i < REND_BURST_MAX; i++) {
        request(b, ids[0], handshake);
    }
    assert_int_equal(stats_of(b, 1).over, st.over); /* all of them were looked at */
    bed_free(b);
}

/* SPEC: rendezvous R-28: what all services of a node look at is bounded, and each has its share of it. */
static void services_share_what_the_node_looks_at(void **state)
{
    enum { N = 6, OF_EACH = HIDDEN_ALL_OPENS_RATE / N };
    struct bed *b = bed_new(31);
    uint64_t ids[N][HIDDEN_SLOTS];
    struct hidden_target t[N];

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        t[i] = another_service(b, i + 1, ids[i]);
        garbage(b, ids[i], 1); /* shares become smaller when there are more */
    }
    run_to(b, b->now + 10 * SECOND);
    for (unsigned i = 0; i < N - 1; i++) {
        garbage(b, ids[i], REND_BURST_MAX);
    }
    for (unsigned round = 0; round < 50; round++) {
        run_to(b, b->now + SECOND / 5);
        for (unsigned i = 0; i < N - 1; i++) {
            garbage(b, ids[i], REND_RATE_MAX / 5);
        }
    }
    uint64_t looked_at = 0, before = (N - 1) * HIDDEN_POINTS;
    for (uint64_t i = 0; i < N - 1; i++) {
        struct hidden_serve_stats st = stats_of(b, i + 1);
        assert_true(st.unknown_key >= 10 * OF_EACH);
        assert_int_equal(st.points_expelled, 0);
        looked_at += st.unknown_key;
    }
    assert_true(looked_at <= before + 12 * (HIDDEN_ALL_OPENS_RATE + (N - 1) * OF_EACH));
    assert_true(n_serves(b, HIDDEN_SERVE_BUSY) >= HIDDEN_POINTS); /* their callers hear it */
    flood(b, &t[N - 1], ids[N - 1], OF_EACH); /* whom nobody floods is not kept out */
    assert_int_equal(stats_of(b, N).over, 0);
    bed_free(b);
}

/* SPEC: rendezvous R-28: a circuit for each service in turn, whoever of them asks first, and most often. */
static void services_begin_in_turn(void **state)
{
    struct bed *b = bed_new(32);
    uint64_t ids[4][HIDDEN_SLOTS], begun[4] = {0};
    struct hidden_target t[4];

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        t[i] = another_service(b, i + 1, ids[i]);
    }
    for (unsigned i = 0; i < 4;
         i++) { /* more than the node begins in a second: they wait from here on */
        flood(b, &t[i], ids[i], 30);
    }
    forget(b);
    for (unsigned step = 0; step < 16; step++) {
        b->now += SECOND / HIDDEN_ALL_BUILDS_RATE + 1;
        flood(b, &t[step % 2], ids[step % 2], 1);
    }
    for (size_t i = 0; i < b->n_sup; i++) {
        begun[(b->sup[i].cookie - 1) % 4] += b->sup[i].kind == HIDDEN_SERVE_NEED_R ? 1 : 0;
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_in_range(begun[i], 3, 5);
    }
    bed_free(b);
}

/* One point is flooded with valid handshakes; a caller of another one is served in its turn. */
static void a_flooded_point_does_not_starve_the_others(void **state)
{
    struct bed *b = bed_new(6);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];
    struct onion_hop honest;

    (void)state;
    struct hidden_target t = have_service(b, ids);
    relay_set(b, &honest, 200);
    for (unsigned i = 0; i < HIDDEN_BUILDS_RATE + HIDDEN_QUEUE_MAX; i++) {
        make_handshake(b, &t, 0, 40, handshake);
        request(b, ids[0], handshake);
    }
    assert_int_equal(stats_of(b, 1).queued, HIDDEN_QUEUE_MAX);
    assert_int_equal(stats_of(b, 1).displaced, 0);
    make_handshake(b, &t, 1, 200, handshake);
    request(b, ids[1], handshake);
    for (unsigned i = 0; i < 20; i++) {
        make_handshake(b, &t, 0, 40, handshake);
        request(b, ids[0], handshake);
    }
    struct hidden_serve_stats st = stats_of(b, 1);
    assert_int_equal(st.queued, HIDDEN_QUEUE_MAX);
    assert_int_equal(st.displaced, 21); /* of the flooded point */
    forget(b);
    run_to(b, b->now + SECOND / 16);
    assert_in_range(n_serves(b, HIDDEN_SERVE_NEED_R), 1, 3);
    bool found = false;
    for (size_t i = 0; i < b->n_sup; i++) {
        found = found || (b->sup[i].kind == HIDDEN_SERVE_NEED_R &&
                          peer_id_eq(&b->sup[i].is.relay.peer, &honest.peer));
    }
    assert_true(found);
    bed_free(b);
}

static void carried_circuits_are_bounded(void **state)
{
    struct bed *b = bed_new(7);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    hidden_serve_carried(b->services, 1, HIDDEN_CARRIED_MAX - 1, b->now, &b->sacts);
    for (unsigned i = 0; i < 3; i++) {
        make_handshake(b, &t, 0, 40, handshake);
        request(b, ids[0], handshake);
    }
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 1); /* it is to be the last one */
    assert_int_equal(n_serves(b, HIDDEN_SERVE_SHED), 1);   /* asked for once for each caller */
    hidden_serve_carried(b->services, 1, HIDDEN_CARRIED_MAX - 2, b->now, &b->sacts);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 2);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_SHED), 2);
    assert_int_equal(stats_of(b, 1).carried, HIDDEN_CARRIED_MAX - 2);
    run_to(b, b->now + 9 * SECOND); /* nothing gave way: not answered */
    assert_int_equal(stats_of(b, 1).late, 1);
    bed_free(b);
}

/* two services hold all there is room for: a third meets callers, and more at the largest's cost. */
static void services_of_a_node_share_its_places(void **state)
{
    struct bed *b = bed_new(31);
    uint64_t ids[3][HIDDEN_SLOTS];
    struct hidden_target t[3];

    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        t[i] = another_service(b, i + 1, ids[i]);
    }
    uint32_t rest = HIDDEN_ALL_CARRIED_MAX - HIDDEN_CARRIED_KEPT - 1000;
    hidden_serve_carried(b->services, 1, 1000, b->now, &b->sacts);
    hidden_serve_carried(b->services, 2, rest, b->now, &b->sacts);
    flood(b, &t[0], ids[0], 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 0);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_SHED), 1); /* of its own */
    assert_int_equal(stats_of(b, 1).shed, 1);
    flood(b, &t[2], ids[2], HIDDEN_CARRIED_KEPT);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_CARRIED_KEPT);
    hidden_serve_carried(b->services, 3, 1, b->now, &b->sacts); /* so many, as one is carried */
    flood(b, &t[2], ids[2], 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_CARRIED_KEPT);
    assert_int_equal(stats_of(b, 1).shed, 2); /* not of the third's */
    assert_int_equal(stats_of(b, 3).shed, 0);
    bed_free(b);
}

/* who is not met hears of it by the next point, which is told before he comes there; and again while it lasts. */
static void a_service_that_meets_fewer_than_call_says_so(void **state)
{
    struct bed *b = bed_new(9);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    hidden_serve_carried(b->services, 1, HIDDEN_CARRIED_MAX, b->now, &b->sacts); /* none is met */
    make_handshake(b, &t, 0, 40, handshake);
    request(b, ids[0], handshake);
    run_to(b, b->now + HIDDEN_BUSY_AFTER - 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_BUSY), 0);
    run_to(b, b->now + 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_BUSY), HIDDEN_POINTS); /* each of them */
    run_to(b, b->now + HIDDEN_BUSY_AGAIN - 1); /* the first is lost meanwhile */
    make_handshake(b, &t, 0, 40, handshake);
    request(b, ids[0], handshake);
    run_to(b, b->now + HIDDEN_BUSY_AFTER - 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_BUSY), HIDDEN_POINTS);
    run_to(b, b->now + 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_BUSY), 2 * HIDDEN_POINTS);
    run_to(b, b->now + 60 * SECOND); /* nobody waits any more */
    assert_int_equal(n_serves(b, HIDDEN_SERVE_BUSY), 2 * HIDDEN_POINTS);
    bed_free(b);
}

static void what_r_does_not_join_comes_back(void **state)
{
    struct bed *b = bed_new(8);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];
    struct onion_hs_keys keys;

    (void)state;
    struct hidden_target t = have_service(b, ids);
    for (unsigned i = 0; i < 5; i++) {
        make_handshake(b, &t, 0, 40, handshake);
        request(b, ids[0], handshake);
        uint64_t id = serve_up(b, HIDDEN_SERVE_NEED_R).id;
        hidden_serve_met(b->services, id, QUDAG_OK, REND_DONE, b->now, &b->sacts); /* too early */
        assert_int_equal(hidden_serve_take(b->services, id, &keys), QUDAG_ESTALE);
        hidden_serve_r_built(b->services, id, new_circuit(b), b->now, &b->sacts);
        hidden_serve_r_built(b->services, id, new_circuit(b), b->now, &b->sacts); /* twice */
        assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 1);
        if (i > 0) {
            assert_int_equal(hidden_serve_take(b->services, id, &keys), QUDAG_OK);
        }
        if (i == 4) {
            hidden_serve_end(b->services, 1, &b->sacts);
            assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 2 + HIDDEN_POINTS);
            break;
        }
        if (i == 3) {
            hidden_serve_r_failed(b->services, id, b->now, &b->sacts);
        } else { /* keys that nobody took; R says no; R says nothing */
            hidden_serve_met(b->services, id, i == 2 ? QUDAG_ERESET : QUDAG_OK,
                             i == 1 ? REND_UNKNOWN : REND_DONE, b->now, &b->sacts);
        }
        assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 2);
        assert_int_equal(hidden_serve_take(b->services, id, &keys), QUDAG_ESTALE);
        assert_int_equal(stats_of(b, 1).failed, i + 1);
        assert_int_equal(inside(b)->to_come, 0); /* nor keeps it a place */
        forget(b);
    }
    bed_free(b);
}

/* A point that served as many introductions as it may is replaced, and goes on as an old one. */
static void introductions_wear_a_point_out(void **state)
{
    struct bed *b = bed_new(9);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    struct hidden_service *s = inside(b);
    s->slot[0].served = s->slot[0].most - 1;
    make_handshake(b, &t, 0, 40, handshake);
    request(b, ids[0], handshake);
    run_to(b, b->now + SECOND);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_POINT), 1);
    make_handshake(b, &t, 0, 40, handshake);
    request(b, ids[0], handshake);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 2);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_is_met),
        cmocka_unit_test(what_is_not_for_us_brings_nothing),
        cmocka_unit_test(a_handshake_is_answered_once),
        cmocka_unit_test(what_cannot_be_remembered_is_not_answered),
        cmocka_unit_test(a_flood_of_garbage_is_counted),
        cmocka_unit_test(a_relay_that_passes_on_more_than_it_may_is_replaced),
        cmocka_unit_test(circuits_are_begun_at_a_rate),
        cmocka_unit_test(as_many_are_begun_as_first_hops_answer),
        cmocka_unit_test(services_share_what_the_node_builds),
        cmocka_unit_test(old_points_share_the_rate_of_one),
        cmocka_unit_test(services_share_what_the_node_looks_at),
        cmocka_unit_test(services_begin_in_turn),
        cmocka_unit_test(a_flooded_point_does_not_starve_the_others),
        cmocka_unit_test(carried_circuits_are_bounded),
        cmocka_unit_test(services_of_a_node_share_its_places),
        cmocka_unit_test(a_service_that_meets_fewer_than_call_says_so),
        cmocka_unit_test(what_r_does_not_join_comes_back),
        cmocka_unit_test(introductions_wear_a_point_out),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
