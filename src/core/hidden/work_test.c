/* work_test.c - proof of work: whom a service meets first, what it asks for, and what a call does for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit_work.h"

#define MINUTE (60 * SECOND)

/* --- service ----------------------------------------------------------------------------------- */

/* The relay numbers R of the NEED_R reports since the last forget(), in their order. */
static size_t met_at(struct bed *b, uint8_t *number, size_t max)
{
    size_t n = 0;

    take(b);
    for (size_t i = 0; i < b->n_sup && n < max; i++) {
        if (b->sup[i].kind == HIDDEN_SERVE_NEED_R) {
            number[n++] = b->sup[i].is.relay.pq_hash[0];
        }
    }
    return n;
}

/* All circuits that may be begun at once are, for callers without a proof. */
static void use_up(struct bed *b, const struct hidden_target *t, const uint64_t *ids)
{
    uint8_t handshake[REND_HS_LEN];

    for (unsigned i = 0; i < HIDDEN_BUILDS_RATE; i++) {
        make_handshake(b, t, 0, 40, handshake);
        request(b, ids[0], handshake);
    }
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), HIDDEN_BUILDS_RATE);
    forget(b);
}

static void who_proves_more_is_met_first(void **state)
{
    static const uint32_t effort[] = {0, 4, 0, 16, 4};
    static const uint8_t order[] = {53, 51, 54, 50, 52}; /* R of the n-th is 50 + n */
    struct bed *b = bed_new(1);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN], met[8];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    assert_int_equal(t.work.effort, 1);
    use_up(b, &t, ids);
    for (uint8_t i = 0; i < 5; i++) {
        make_proof(b, &t, 0, (uint8_t)(50 + i), effort[i], handshake);
        request(b, ids[0], handshake);
    }
    assert_int_equal(stats_of(b, 1).proved, 3);
    run_to(b, b->now + SECOND);
    assert_int_equal(met_at(b, met, 8), 5);
    assert_memory_equal(met, order, 5);
    bed_free(b);
}

/* Points are served in turn whatever is proved at one of them. */
static void proofs_at_one_point_do_not_starve_the_others(void **state)
{
    struct bed *b = bed_new(2);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN], met[8];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    use_up(b, &t, ids);
    for (uint8_t i = 0; i < 4; i++) {
        make_proof(b, &t, 0, 50, 16, handshake);
        request(b, ids[0], handshake);
    }
    make_handshake(b, &t, 1, 60, handshake);
    request(b, ids[1], handshake);
    run_to(b, b->now + SECOND / 14); /* two are met */
    assert_int_equal(met_at(b, met, 8), 2);
    assert_true(met[0] == 60 || met[1] == 60);
    bed_free(b);
}

static void a_proof_that_does_not_hold_brings_nothing(void **state)
{
    struct bed *b = bed_new(3);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];
    struct rend_work work = {.effort = UINT32_MAX, .nonce = 7};
    uint8_t ext[REND_WORK_EXT_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    memcpy(work.seed_id, t.work.seed, sizeof work.seed_id);
    rend_work_put(ext, &work); /* a claim */
    make_with(b, &t, 0, 40, (struct slice){ext, sizeof ext}, handshake);
    request(b, ids[0], handshake);
    request(b, ids[0], handshake); /* not remembered: no replay, and wrong again */
    ext[2]--;                      /* one byte too short, then an extension that is none */
    make_with(b, &t, 0, 40, (struct slice){ext, sizeof ext - 1}, handshake);
    request(b, ids[0], handshake);
    assert_int_equal(stats_of(b, 1).bad, 3);
    assert_int_equal(stats_of(b, 1).replayed, 0);
    assert_int_equal(stats_of(b, 1).proved, 0);
    assert_int_equal(inside(b)->slot[0].served, 0);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 0);
    ext[2]++;
    ext[3] ^= 1; /* of a seed that is not known: like none */
    make_with(b, &t, 0, 40, (struct slice){ext, sizeof ext}, handshake);
    request(b, ids[0], handshake);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_R), 1);
    assert_int_equal(stats_of(b, 1).proved, 0);
    bed_free(b);
}

static void a_proof_is_used_once(void **state)
{
    struct bed *b = bed_new(4);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];
    struct rend_work work;

    (void)state;
    struct hidden_target t = have_service(b, ids);
    work = make_proof(b, &t, 0, 40, 200, handshake);
    request(b, ids[0], handshake);
    request(b, ids[0], handshake);
    assert_int_equal(stats_of(b, 1).replayed, 1);
    uint8_t ext[REND_WORK_EXT_LEN];
    rend_work_put(ext,
                  &work); /* in another handshake, and at another point: one in 200 would hold */
    for (size_t i = 0; i < 6; i++) {
        make_with(b, &t, i % 2, 40, (struct slice){ext, sizeof ext}, handshake);
        request(b, ids[i % 2], handshake);
    }
    assert_int_equal(stats_of(b, 1).bad, 6);
    assert_int_equal(stats_of(b, 1).proved, 1);
    bed_free(b);
}

static void a_full_queue_drops_who_did_least(void **state)
{
    struct bed *b = bed_new(5);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN], met[4];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    use_up(b, &t, ids);
    make_proof(b, &t, 0, 70, 4, handshake); /* the oldest that waits */
    request(b, ids[0], handshake);
    for (unsigned i = 0; i < HIDDEN_QUEUE_MAX + 20; i++) {
        make_handshake(b, &t, 0, 40, handshake);
        request(b, ids[0], handshake);
    }
    struct hidden_serve_stats st = stats_of(b, 1);
    assert_int_equal(st.queued, HIDDEN_QUEUE_MAX);
    assert_int_equal(st.displaced, 21);
    run_to(b, b->now + SECOND / 30);
    assert_int_equal(met_at(b, met, 4), 1);
    assert_int_equal(met[0], 70);
    bed_free(b);
}

/* For |seconds|, at each point as many without a proof as make the service lose some, and |paid| with one in each. */
static void flood(struct bed *b, const struct hidden_target *t, const uint64_t *ids,
                  unsigned seconds, uint32_t effort, unsigned paid)
{
    uint8_t handshake[REND_HS_LEN];

    for (unsigned s = 0; s < seconds; s++) {
        for (unsigned i = 0; i < 3 * 24; i++) {
            make_proof(b, t, i % 3, 40, i < paid ? effort : 0, handshake);
            request(b, ids[i % 3], handshake);
        }
        run_to(b, b->now + SECOND);
        take(b);
        for (size_t i = 0; i < b->n_sup; i++) { /* R answers nobody */
            if (b->sup[i].kind == HIDDEN_SERVE_NEED_R) {
                hidden_serve_r_failed(b->services, b->sup[i].id, b->now, &b->sacts);
            }
        }
        b->n_sup = 0;
    }
}

static void effort_follows_what_is_paid_and_falls(void **state)
{
    struct bed *b = bed_new(6);
    uint64_t ids[HIDDEN_SLOTS];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    flood(b, &t, ids, 24, 0, 0);
    assert_int_equal(stats_of(b, 1).effort, HIDDEN_EFFORT_FIRST);
    flood(b, &t, ids, 30, 8, 48); /* more than are met pay 8 */
    assert_int_equal(stats_of(b, 1).effort, 8 + 2 + HIDDEN_EFFORT_FIRST);
    flood(b, &t, ids, 24, 512, 2); /* a few dear ones raise nothing */
    assert_in_range(stats_of(b, 1).effort, HIDDEN_EFFORT_FIRST, 8 + 2 + HIDDEN_EFFORT_FIRST);
    run_to(b, b->now + 8 * MINUTE);
    assert_int_equal(stats_of(b, 1).effort, 1);
    bed_free(b);
}

static void records_tell_what_changed_much(void **state)
{
    struct bed *b = bed_new(7);
    uint64_t ids[HIDDEN_SLOTS];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    struct hidden_service *s = inside(b);
    s->effort = 1000;
    s->turn_ends = TSTAMP_NEVER;
    run_to(b, MINUTE);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 0);
    run_to(b, MINUTE + 20 * SECOND);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 1);
    assert_int_equal(serve_up(b, HIDDEN_SERVE_TARGET).is.target.work.effort, 1000);
    assert_memory_equal(serve_up(b, HIDDEN_SERVE_TARGET).is.target.work.seed, t.work.seed, 32);
    forget(b);
    s->effort = 500; /* not worth a record */
    run_to(b, b->now + 60 * MINUTE);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 0);
    s->effort = 1;
    run_to(b, b->now + SECOND); /* later than 30 min after the last */
    run_to(b, b->now + 20 * SECOND);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 1);
    assert_int_equal(serve_up(b, HIDDEN_SERVE_TARGET).is.target.work.effort, 1);
    bed_free(b);
}

static void seeds_change_and_are_accepted_until_they_expire(void **state)
{
    struct bed *b = bed_new(8);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    struct hidden_service *s = inside(b);
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) { /* this is not about points */
        s->slot[i].until = TSTAMP_NEVER;
    }
    assert_int_equal(t.work.expires, START + 1 + 21 * 3600);
    uint64_t proved = 0;
    for (unsigned hour = 1; hour <= 22; hour++) {
        run_to(b, SECOND + hour * HOUR);
        make_proof(b, &t, 0, 40, 2, handshake);
        request(b, ids[0], handshake);
        proved += hour < 21 ? 1 : 0;
        assert_int_equal(stats_of(b, 1).proved, proved);
        bool same =
            hour < 12 || memcmp(s->seed[s->seed_now].seed, t.work.seed, REND_WORK_SEED_LEN) == 0;
        assert_int_equal(same, hour < 12);
    }
    s->effort = 5000;
    s->turn_ends = TSTAMP_NEVER;
    forget(b);
    run_to(b, b->now + 10 * HOUR); /* under load a new one every two hours */
    assert_in_range(n_serves(b, HIDDEN_SERVE_TARGET), 5, 7);
    bed_free(b);
}

/* 64 callers who name relays that never answer keep nobody out for longer than anybody waits. */
static void circuits_that_hang_give_way(void **state)
{
    struct bed *b = bed_new(9);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t handshake[REND_HS_LEN], met[100];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    for (unsigned i = 0; i < HIDDEN_BUILDS_MAX; i++) {
        make_handshake(b, &t, 0, 40, handshake);
        request(b, ids[0], handshake);
    }
    run_to(b, b->now + 4 * SECOND);
    assert_int_equal(stats_of(b, 1).building, HIDDEN_BUILDS_MAX);
    make_handshake(b, &t, 0, 90, handshake);
    request(b, ids[0], handshake);
    forget(b);
    run_to(b, b->now + 5 * SECOND);
    assert_int_equal(met_at(b, met, 100), 1);
    assert_int_equal(met[0], 90);
    assert_int_equal(stats_of(b, 1).failed, 1); /* no more than are needed */
    bed_free(b);
}

/* --- calls ------------------------------------------------------------------------------------- */

/* What the introduction |u| proves; 0: nothing. */
static uint32_t proved_by(struct bed *b, const struct up *u)
{
    const struct rend_hs_own own = {b->addr, u->is.introduction.intro_key, &b->keys};
    struct rend_work_task task;
    struct rend_hs_asked asked;
    struct rend_work work;

    assert_int_equal(rend_hs_open(&asked, &own, u->is.introduction.handshake), QUDAG_OK);
    if (rend_work_get((struct slice){asked.ext, asked.ext_len}, &work) != QUDAG_OK) {
        return 0;
    }
    assert_memory_equal(work.seed_id, b->addr, sizeof work.seed_id);
    rend_work_task_make(&task, b->addr, work.effort, b->addr, own.intro_key,
                        rend_hs_X(u->is.introduction.handshake));
    assert_int_equal(rend_work_check(&task, work.nonce), QUDAG_OK);
    rend_hs_asked_drop(&asked);
    return work.effort;
}

static void solve_it(struct bed *b)
{
    struct up u = call_up(b, HIDDEN_CALL_SOLVE);
    uint64_t nonce = 0;

    assert_int_equal(rend_work_solve(&u.is.task, &nonce, rend_work_tries(u.is.task.effort)),
                     QUDAG_OK);
    hidden_call_solved(b->calls, u.id, QUDAG_OK, nonce, b->now, &b->acts);
    take(b);
}

static void a_call_proves_what_is_asked_and_then_more(void **state)
{
    struct bed *b = bed_new(10);

    (void)state;
    b->effort = 100;
    assert_int_equal(call_it(b, 1, 3), QUDAG_OK);
    assert_int_equal(n_calls(b, HIDDEN_CALL_SOLVE), 1); /* while circuits are built */
    assert_int_equal(call_up(b, HIDDEN_CALL_SOLVE).is.task.effort, 100);
    have_r(b);
    build_i(b);
    run_to(b, b->now + 6 * SECOND); /* no other point meanwhile */
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 0);
    solve_it(b);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    assert_int_equal(proved_by(b, &intro), 100);
    hidden_call_introduced(b->calls, intro.id, QUDAG_OK, REND_FULL, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_SOLVE), 2); /* the service did not see it: as before */
    solve_it(b);
    build_i(b);
    intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    assert_int_equal(proved_by(b, &intro), 100);
    hidden_call_introduced(b->calls, intro.id, QUDAG_OK, REND_DONE, b->now, &b->acts);
    run_to(b, b->now + HIDDEN_TRY_NEXT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_SOLVE), 3); /* it did, and met others */
    assert_int_equal(call_up(b, HIDDEN_CALL_SOLVE).is.task.effort, 800);
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 2);
    assert_int_equal(n_calls(b, HIDDEN_CALL_UNSOLVE), 0);
    bed_free(b);
}

/* Nothing is asked for: no work for the first point, so that a service that is not loaded costs nobody any. */
static void work_that_is_not_asked_for_is_done_after_a_failure(void **state)
{
    struct bed *b = bed_new(11);

    (void)state;
    b->effort = 1;
    assert_int_equal(call_it(b, 1, 2), QUDAG_OK);
    assert_int_equal(n_calls(b, HIDDEN_CALL_SOLVE), 0);
    have_r(b);
    build_i(b);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    assert_int_equal(proved_by(b, &intro), 0);
    hidden_call_introduced(b->calls, intro.id, QUDAG_OK, REND_DONE, b->now, &b->acts);
    run_to(b, b->now + HIDDEN_TRY_NEXT);
    assert_int_equal(call_up(b, HIDDEN_CALL_SOLVE).is.task.effort, 8 * HIDDEN_EFFORT_FIRST);
    bed_free(b);
}

static void a_caller_spends_no_more_than_it_wants(void **state)
{
    struct bed *b = bed_new(12);

    (void)state;
    b->effort = UINT32_MAX;
    assert_int_equal(call_it(b, 1, 1), QUDAG_OK);
    assert_int_equal(call_up(b, HIDDEN_CALL_SOLVE).is.task.effort, HIDDEN_WORK_MAX);
    have_r(b);
    build_i(b);
    tstamp begin = b->now;
    run_to(b, begin + HIDDEN_SOLVE_LIFE - 1);
    assert_int_equal(n_calls(b, HIDDEN_CALL_UNSOLVE), 0);
    run_to(b, begin + HIDDEN_SOLVE_LIFE); /* nor longer: then without */
    assert_int_equal(n_calls(b, HIDDEN_CALL_UNSOLVE), 1);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    assert_int_equal(proved_by(b, &intro), 0);
    hidden_call_solved(b->calls, intro.id, QUDAG_OK, 1, b->now, &b->acts); /* too late */
    assert_int_equal(n_calls(b, HIDDEN_CALL_INTRODUCE), 1);
    run_to(b, b->now + MINUTE);
    assert_int_equal(call_up(b, HIDDEN_CALL_END).err, QUDAG_ETIMEOUT);
    bed_free(b);
}

/* The introduction went without it: the next point has its turn when it would have had it. */
static void work_that_comes_too_late_delays_nobody(void **state)
{
    struct bed *b = bed_new(14);

    (void)state;
    b->effort = UINT32_MAX;
    assert_int_equal(call_it(b, 1, 2), QUDAG_OK);
    have_r(b);
    build_i(b);
    run_to(b, b->now + HIDDEN_SOLVE_LIFE);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    tstamp begin = b->now;
    forget(b);
    run_to(b, begin + HIDDEN_TRY_NEXT - SECOND);
    hidden_call_solved(b->calls, intro.id, QUDAG_OK, 1, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 0);
    run_to(b, begin + HIDDEN_TRY_NEXT);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_I), 1);
    bed_free(b);
}

static void work_ends_with_its_call(void **state)
{
    struct bed *b = bed_new(13);

    (void)state;
    b->effort = 50;
    for (unsigned i = 0; i < 3; i++) {
        forget(b);
        assert_int_equal(call_it(b, 1, 1), QUDAG_OK);
        uint64_t id = call_up(b, HIDDEN_CALL_SOLVE).id;
        if (i == 0) {
            hidden_call_cancel(b->calls, 1, &b->acts);
        } else if (i == 1) { /* its only point cannot be reached */
            hidden_call_failed(b->calls, id, b->now, &b->acts);
        } else { /* nobody answers: R never comes */
            run_to(b, b->now + 2 * MINUTE);
        }
        assert_int_equal(n_calls(b, HIDDEN_CALL_UNSOLVE), 1);
        assert_int_equal(call_up(b, HIDDEN_CALL_UNSOLVE).id, id);
        hidden_call_solved(b->calls, id, QUDAG_OK, 1, b->now, &b->acts);
        assert_int_equal(hidden_calls_count(b->calls), 0);
    }
    bed_free(b);
}

/* R breaks while work is done: it goes on, and its proof is good for the next R. */
static void work_outlives_r(void **state)
{
    struct bed *b = bed_new(14);

    (void)state;
    b->effort = 50;
    assert_int_equal(call_it(b, 1, 1), QUDAG_OK);
    build_i(b);
    have_r(b);
    hidden_call_failed(b->calls, call_up(b, HIDDEN_CALL_NEED_R).id, b->now, &b->acts);
    assert_int_equal(n_calls(b, HIDDEN_CALL_NEED_R), 2);
    solve_it(b);
    hidden_call_failed(b->calls, call_up(b, HIDDEN_CALL_NEED_R).id, b->now, &b->acts);
    have_r(b);
    assert_int_equal(n_calls(b, HIDDEN_CALL_UNSOLVE), 0);
    assert_int_equal(n_calls(b, HIDDEN_CALL_SOLVE), 1);
    struct up intro = call_up(b, HIDDEN_CALL_INTRODUCE);
    assert_int_equal(proved_by(b, &intro), 50);
    bed_free(b);
}

static void answer(struct bed *b, unsigned which, uint64_t id)
{
    uint8_t created[REND_CREATED_LEN] = {1};
    struct onion_hop r;

    relay_set(b, &r, 51);
    switch (which) {
    case 0:
        hidden_call_r_built(b->calls, id, new_circuit(b), &r, b->now, &b->acts);
        break;
    case 1:
        hidden_call_waiting(b->calls, id, QUDAG_OK, b->now, &b->acts);
        break;
    case 2:
        hidden_call_i_built(b->calls, id, new_circuit(b), b->now, &b->acts);
        break;
    case 3:
        hidden_call_introduced(b->calls, id, QUDAG_OK, REND_DONE, b->now, &b->acts);
        break;
    case 4:
        hidden_call_created(b->calls, id, (struct slice){created, sizeof created}, b->now,
                            &b->acts);
        break;
    case 5:
        hidden_call_failed(b->calls, id, b->now, &b->acts);
        break;
    case 6:
        hidden_call_solved(b->calls, id, QUDAG_OK, 3, b->now, &b->acts);
        break;
    default:
        hidden_call_solved(b->calls, id, QUDAG_ENOMEM, 0, b->now, &b->acts);
        break;
    }
    take(b);
}

/* Every two answers while work is under way or done, for R's id and the point's. */
static void every_answer_while_work_is_done(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4 * 8 * 8 * 2; n++) {
        struct bed *b = bed_new((uint8_t)n);
        b->effort = 50;
        assert_int_equal(call_it(b, 1, 2), QUDAG_OK);
        uint64_t i = call_up(b, HIDDEN_CALL_SOLVE).id, r = call_up(b, HIDDEN_CALL_NEED_R).id;
        if (n % 4 > 0) {
            have_r(b);
        }
        if (n % 4 > 1) {
            build_i(b);
        }
        if (n % 4 > 2) {
            answer(b, 6, i);
        }
        answer(b, n / 4 % 8, n / 256 % 2 == 0 ? i : r);
        answer(b, n / 32 % 8, n / 256 % 2 == 0 ? r : i);
        answer(b, 6, 0);
        answer(b, 6, 9999);
        run_to(b, b->now + 5 * MINUTE);
        assert_int_equal(n_calls(b, HIDDEN_CALL_END), 1);
        assert_int_equal(n_calls(b, HIDDEN_CALL_CLOSE), b->refs);
        assert_int_equal(hidden_calls_count(b->calls), 0);
        assert_true(n_calls(b, HIDDEN_CALL_UNSOLVE) <= n_calls(b, HIDDEN_CALL_SOLVE));
        bed_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_proves_more_is_met_first),
        cmocka_unit_test(proofs_at_one_point_do_not_starve_the_others),
        cmocka_unit_test(a_proof_that_does_not_hold_brings_nothing),
        cmocka_unit_test(a_proof_is_used_once),
        cmocka_unit_test(a_full_queue_drops_who_did_least),
        cmocka_unit_test(effort_follows_what_is_paid_and_falls),
        cmocka_unit_test(records_tell_what_changed_much),
        cmocka_unit_test(seeds_change_and_are_accepted_until_they_expire),
        cmocka_unit_test(circuits_that_hang_give_way),
        cmocka_unit_test(a_call_proves_what_is_asked_and_then_more),
        cmocka_unit_test(work_that_is_not_asked_for_is_done_after_a_failure),
        cmocka_unit_test(a_caller_spends_no_more_than_it_wants),
        cmocka_unit_test(work_that_comes_too_late_delays_nobody),
        cmocka_unit_test(work_ends_with_its_call),
        cmocka_unit_test(work_outlives_r),
        cmocka_unit_test(every_answer_while_work_is_done),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
