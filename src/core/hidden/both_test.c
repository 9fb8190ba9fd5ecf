/* both_test.c - callers and a service against each other, with relays between them that are an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit_case.h"

#define POINTS_MAX 64
#define WAITS_MAX 128

/* What the relays know, and what both ends have of each other. */
struct net {
    struct bed *b;
    struct {
        uint64_t id;
        uint8_t intro_key[ED25519_PK_LEN];
    } point[POINTS_MAX];
    struct {
        uint64_t id; /* of the caller's R */
        uint8_t cookie[REND_COOKIE_LEN];
        struct onion_hs_keys service; /* keys of who came */
        bool came;
    } wait[WAITS_MAX];
    size_t n_points, n_waits, done, sdone;
    struct hidden_target target;
    bool has_target;
    uint8_t number;
    unsigned met, ended, shared, solved;
    qudag_err err;     /* of the last call that ended */
    unsigned lose_one; /* every so many circuits break while they are built; 0: none */
    unsigned built;
};

static bool breaks(struct net *n)
{
    n->built++;
    return n->lose_one != 0 && n->built % n->lose_one == 0;
}

static void intro_pk(struct net *n, uint64_t id, uint8_t pk[ED25519_PK_LEN])
{
    const struct secret_ed25519 *sk = hidden_serve_intro_sk(n->b->services, id);

    memset(pk, 0, ED25519_PK_LEN);
    if (sk != NULL) {
        assert_int_equal(ed25519_public(pk, sk), QUDAG_OK);
    }
}

static void introduction_relay(struct net *n, const struct up *u)
{
    struct bed *b = n->b;

    for (size_t i = n->n_points; i > 0; i--) {
        if (memcmp(n->point[i - 1].intro_key, u->is.introduction.intro_key, ED25519_PK_LEN) == 0) {
            const struct slice hs = {u->is.introduction.handshake, REND_HS_LEN};
            hidden_serve_request(b->services, n->point[i - 1].id, hs, b->now, &b->sacts);
            hidden_call_introduced(b->calls, u->id, QUDAG_OK, REND_DONE, b->now, &b->acts);
            return;
        }
    }
    hidden_call_introduced(b->calls, u->id, QUDAG_OK, REND_UNKNOWN, b->now, &b->acts);
}

/* R: the service came with a cookie. */
static void meeting(struct net *n, const struct up *u)
{
    struct bed *b = n->b;

    for (size_t i = 0; i < n->n_waits; i++) {
        if (!n->wait[i].came &&
            memcmp(n->wait[i].cookie, u->is.meet.cookie, REND_COOKIE_LEN) == 0) {
            n->wait[i].came = true;
            if (hidden_serve_take(b->services, u->id, &n->wait[i].service) == QUDAG_OK) {
                const struct slice created = {u->is.meet.created, REND_CREATED_LEN};
                hidden_call_created(b->calls, n->wait[i].id, created, b->now, &b->acts);
                hidden_serve_met(b->services, u->id, QUDAG_OK, REND_DONE, b->now, &b->sacts);
            }
            return;
        }
    }
    hidden_serve_met(b->services, u->id, QUDAG_OK, REND_UNKNOWN, b->now, &b->sacts);
}

static void caller_is_met(struct net *n, const struct up *u)
{
    struct onion_hs_keys keys;

    assert_int_equal(hidden_call_take(n->b->calls, u->id, &keys), QUDAG_OK);
    n->met++;
    for (size_t i = 0; i < n->n_waits; i++) {
        if (n->wait[i].id == u->id) {
            n->shared += memcmp(&keys, &n->wait[i].service, sizeof keys) == 0 ? 1 : 0;
        }
    }
}

static void solve(struct net *n, const struct up *u)
{
    uint64_t nonce = 0;
    qudag_err err = rend_work_solve(&u->is.task, &nonce, rend_work_tries(u->is.task.effort));

    assert_int_equal(err, QUDAG_OK);
    n->solved++;
    hidden_call_solved(n->b->calls, u->id, err, nonce, n->b->now, &n->b->acts);
}

static void answer_call(struct net *n, const struct up *u)
{
    struct bed *b = n->b;
    struct onion_hop r;

    switch (u->kind) {
    case HIDDEN_CALL_NEED_R:
        relay_set(b, &r, 200);
        if (breaks(n)) {
            hidden_call_failed(b->calls, u->id, b->now, &b->acts);
        } else {
            hidden_call_r_built(b->calls, u->id, new_circuit(b), &r, b->now, &b->acts);
        }
        break;
    case HIDDEN_CALL_NEED_I:
        if (breaks(n)) {
            hidden_call_failed(b->calls, u->id, b->now, &b->acts);
        } else {
            hidden_call_i_built(b->calls, u->id, new_circuit(b), b->now, &b->acts);
        }
        break;
    case HIDDEN_CALL_WAIT:
        n->wait[n->n_waits % WAITS_MAX].id = u->id;
        n->wait[n->n_waits % WAITS_MAX].came = false;
        memcpy(n->wait[n->n_waits % WAITS_MAX].cookie, u->is.cookie, REND_COOKIE_LEN);
        n->n_waits = n->n_waits < WAITS_MAX ? n->n_waits + 1 : WAITS_MAX;
        hidden_call_waiting(b->calls, u->id, QUDAG_OK, b->now, &b->acts);
        break;
    case HIDDEN_CALL_INTRODUCE:
        introduction_relay(n, u);
        break;
    case HIDDEN_CALL_SOLVE:
        solve(n, u);
        break;
    case HIDDEN_CALL_MET:
        caller_is_met(n, u);
        break;
    case HIDDEN_CALL_END:
        n->ended++;
        n->err = u->err;
        break;
    default:
        break;
    }
}

static void answer_service(struct net *n, const struct up *u)
{
    struct bed *b = n->b;

    switch (u->kind) {
    case HIDDEN_SERVE_NEED_POINT:
        if (breaks(n)) {
            hidden_serve_point_ended(b->services, u->id, b->now, &b->sacts);
        } else {
            struct onion_hop relay;
            relay_set(b, &relay, ++n->number);
            hidden_serve_point_built(b->services, u->id, new_circuit(b),
                                     u->is.need.same ? &u->is.need.relay : &relay, b->now,
                                     &b->sacts);
        }
        break;
    case HIDDEN_SERVE_ESTABLISH:
        n->n_points %= POINTS_MAX;
        n->point[n->n_points].id = u->id;
        intro_pk(n, u->id, n->point[n->n_points++].intro_key);
        hidden_serve_established(b->services, u->id, b->now, &b->sacts);
        break;
    case HIDDEN_SERVE_TARGET:
        n->target = u->is.target;
        n->has_target = true;
        break;
    case HIDDEN_SERVE_NEED_R:
        if (breaks(n)) {
            hidden_serve_r_failed(b->services, u->id, b->now, &b->sacts);
        } else {
            hidden_serve_r_built(b->services, u->id, new_circuit(b), b->now, &b->sacts);
        }
        break;
    case HIDDEN_SERVE_MEET:
        meeting(n, u);
        break;
    default:
        break;
    }
}

/* Answers what was asked until nothing is. */
static void settle(struct net *n)
{
    struct bed *b = n->b;

    for (take(b); n->done < b->n_up || n->sdone < b->n_sup; take(b)) {
        if (n->done < b->n_up) {
            struct up u = b->up[n->done++];
            answer_call(n, &u);
        } else {
            struct up u = b->sup[n->sdone++];
            answer_service(n, &u);
        }
    }
    b->n_up = b->n_sup = n->done = n->sdone = 0;
}

static void pass_time(struct net *n, tstamp end)
{
    struct bed *b = n->b;

    for (unsigned i = 0; i < 100000; i++) {
        tstamp at =
            tstamp_min(hidden_calls_deadline(b->calls), hidden_services_deadline(b->services));
        b->now = at > end ? end : at > b->now ? at : b->now;
        if (at > end) {
            return;
        }
        hidden_calls_tick(b->calls, b->now, &b->acts);
        hidden_services_tick(b->services, b->now, &b->sacts);
        settle(n);
    }
    fail_msg("it never rests");
}

static struct net *net_new(uint8_t seed)
{
    struct net *n = calloc(1, sizeof *n);

    assert_non_null(n);
    n->b = bed_new(seed);
    return n;
}

static void net_free(struct net *n)
{
    bed_free(n->b);
    free(n);
}

static qudag_err call_target(struct net *n, uint64_t cookie)
{
    const struct hidden_call_want want = {.cookie = cookie,
                                          .addr = n->b->addr,
                                          .x = n->target.keys[0].x,
                                          .k = n->target.keys[0].k,
                                          .points = n->target.point,
                                          .n_points = n->target.n_points,
                                          .seed = n->target.work.seed,
                                          .effort = n->target.work.effort};
    return hidden_call(n->b->calls, &want, n->b->now, &n->b->acts);
}

static void callers_and_service_share_keys(void **state)
{
    struct net *n = net_new(1);

    (void)state;
    assert_int_equal(serve_it(n->b, 1, (struct slice){NULL, 0}), QUDAG_OK);
    settle(n);
    assert_true(n->has_target);
    for (uint64_t i = 0; i < 30; i++) {
        assert_int_equal(call_target(n, i), QUDAG_OK);
        settle(n);
    }
    assert_int_equal(n->met, 30);
    assert_int_equal(n->shared, 30);
    assert_int_equal(n->ended, 0);
    assert_int_equal(stats_of(n->b, 1).met, 30);
    net_free(n);
}

/* Every seventh circuit breaks: calls find another way, or end with an error, and nothing is left behind. */
static void circuits_break_and_callers_get_in(void **state)
{
    struct net *n = net_new(2);

    (void)state;
    n->lose_one = 7;
    assert_int_equal(serve_it(n->b, 1, (struct slice){NULL, 0}), QUDAG_OK);
    settle(n);
    pass_time(n, n->b->now + 30 * SECOND);
    assert_true(n->has_target);
    for (uint64_t i = 0; i < 40; i++) {
        assert_int_equal(call_target(n, i), QUDAG_OK);
        settle(n);
        pass_time(n, n->b->now + 2 * SECOND);
    }
    pass_time(n, n->b->now + 60 * SECOND);
    assert_int_equal(n->met + n->ended, 40);
    assert_int_equal(n->shared, n->met);
    assert_in_range(n->met, 36, 40);
    assert_int_equal(hidden_calls_count(n->b->calls), 0);
    net_free(n);
}

static void a_service_that_began_anew_makes_old_records_stale(void **state)
{
    struct net *n = net_new(3);
    uint8_t saved[HIDDEN_SAVED_LEN];

    (void)state;
    assert_int_equal(serve_it(n->b, 1, (struct slice){NULL, 0}), QUDAG_OK);
    settle(n);
    struct hidden_target old = n->target;
    assert_int_equal(hidden_serve_save(n->b->services, 1, saved), QUDAG_OK);
    hidden_serve_end(n->b->services, 1, &n->b->sacts);
    n->n_points = 0;
    assert_int_equal(serve_it(n->b, 1, (struct slice){saved, sizeof saved}), QUDAG_OK);
    settle(n);
    struct hidden_target fresh = n->target;
    n->target = old;
    assert_int_equal(call_target(n, 1), QUDAG_OK);
    settle(n);
    assert_int_equal(n->ended, 1);
    assert_int_equal(n->err, QUDAG_ESTALE);
    n->target = fresh;
    assert_int_equal(call_target(n, 1), QUDAG_OK);
    settle(n);
    assert_int_equal(n->shared, 1);
    net_free(n);
}

/* A restart, two calls and a broken point; the |fail_at|th allocation fails.  True when none was left. */
static bool scenario(uint64_t fail_at, unsigned *met)
{
    struct net *n = net_new(4);
    uint8_t saved[HIDDEN_SAVED_LEN];
    bool all = false;

    assert_int_equal(serve_it(n->b, 1, (struct slice){NULL, 0}), QUDAG_OK);
    assert_int_equal(hidden_serve_save(n->b->services, 1, saved), QUDAG_OK);
    hidden_serve_end(n->b->services, 1, &n->b->sacts);
    forget(n->b);
    n->b->mem.fail_at = fail_at;
    qudag_err err = serve_it(n->b, 1, (struct slice){saved, sizeof saved});
    assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
    if (err == QUDAG_OK) {
        unsigned calls = 0;
        settle(n);
        pass_time(n, n->b->now + 20 * SECOND);
        assert_true(n->has_target);
        for (uint64_t i = 0; i < 3; i++) {
            err = call_target(n, i);
            assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
            calls += err == QUDAG_OK ? 1 : 0;
            settle(n);
            hidden_serve_point_ended(n->b->services, n->point[0].id, n->b->now, &n->b->sacts);
            settle(n);
            pass_time(n, n->b->now + 40 * SECOND);
        }
        assert_int_equal(n->met + n->ended, calls);
        assert_true(n->met >= 2);
        assert_int_equal(n->shared, n->met);
    }
    all = n->b->mem.fail_at != 0;
    n->b->mem.fail_at = 0;
    *met = n->met;
    net_free(n);
    return all;
}

static void every_failed_allocation_is_survived(void **state)
{
    unsigned met = 0;
    uint64_t i = 1;

    (void)state;
    while (!scenario(i, &met)) {
        i++;
        assert_true(i < 200);
    }
    assert_int_equal(met, 3);
    assert_true(i > 6);
}

static void the_objects_themselves_need_memory(void **state)
{
    struct bed *b = bed_new(5);
    struct hidden_calls *calls;
    struct hidden_services *services;
    const struct hidden_calls_config c = {.mem = &b->mem, .rng = b->rng};
    const struct hidden_services_config s = {.mem = &b->mem, .rng = b->rng};

    (void)state;
    b->mem.fail_at = 1;
    assert_int_equal(hidden_calls_new(&calls, &c), QUDAG_ENOMEM);
    assert_null(calls);
    b->mem.fail_at = 1;
    assert_int_equal(hidden_services_new(&services, &s), QUDAG_ENOMEM);
    assert_null(services);
    hidden_calls_free(NULL);
    hidden_services_free(NULL);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_and_service_share_keys),
        cmocka_unit_test(circuits_break_and_callers_get_in),
        cmocka_unit_test(a_service_that_began_anew_makes_old_records_stale),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(the_objects_themselves_need_memory),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
