/* points_test.c - introduction points of a service, and what its records say, against a node driven by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit_case.h"

static const struct slice nothing = {NULL, 0};

static void three_points_make_a_target(void **state)
{
    struct bed *b = bed_new(1);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t pk[ED25519_PK_LEN];

    (void)state;
    assert_int_equal(serve_it(b, 1, nothing), QUDAG_OK);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_POINT), 3);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_SAVE), 1);
    assert_false(serve_up(b, HIDDEN_SERVE_NEED_POINT).is.need.same);
    assert_int_equal(have_points(b, 1, ids), 3);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_ESTABLISH), 3);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 1); /* together, not one by one */
    struct up up = serve_up(b, HIDDEN_SERVE_TARGET);
    const struct hidden_target *t = &up.is.target;
    assert_int_equal(up.cookie, 1);
    assert_int_equal(t->n_points, 3);
    assert_memory_not_equal(t->point[0].intro_key, t->point[1].intro_key, ED25519_PK_LEN);
    assert_int_equal(t->n_keys,
                     3); /* in the first half of a period records of the one before are live */
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(t->keys[i].period, START / 86400 + 1 - i);
    }
    assert_memory_not_equal(t->keys[0].x, t->keys[1].x, X25519_LEN);
    const struct secret_ed25519 *sk = hidden_serve_intro_sk(b->services, ids[0]);
    assert_non_null(sk);
    assert_int_equal(ed25519_public(pk, sk), QUDAG_OK);
    assert_memory_equal(pk, t->point[0].intro_key, sizeof pk);
    assert_null(hidden_serve_intro_sk(b->services, 0));
    assert_null(hidden_serve_intro_sk(b->services, 999));
    run_to(b, b->now + HOUR);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 1);
    assert_int_equal(stats_of(b, 1).standing, 3);
    bed_free(b);
}

static void two_points_are_told_after_a_while(void **state)
{
    struct bed *b = bed_new(2);
    uint64_t ids[HIDDEN_SLOTS];

    (void)state;
    assert_int_equal(serve_it(b, 1, nothing), QUDAG_OK);
    take(b);
    struct up need[3] = {b->sup[1], b->sup[2], b->sup[3]};
    run_to(b, b->now + 9 * SECOND);
    for (size_t i = 0; i < 2; i++) {
        ids[i] = build_point(b, &need[i], (uint8_t)(1 + i));
        hidden_serve_established(b->services, ids[i], b->now, &b->sacts);
    }
    tstamp at = b->now;
    run_to(b, at + HIDDEN_COLLECT - 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 0);
    run_to(b, at + HIDDEN_COLLECT);
    assert_int_equal(serve_up(b, HIDDEN_SERVE_TARGET).is.target.n_points, 2);
    ids[2] = build_point(b, &need[2], 3);
    hidden_serve_established(b->services, ids[2], b->now, &b->sacts);
    assert_int_equal(serve_up(b, HIDDEN_SERVE_TARGET).is.target.n_points, 3);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 2);
    bed_free(b);
}

static void relays_in_use_are_to_be_avoided(void **state)
{
    struct bed *b = bed_new(3);
    struct onion_hop relay;

    (void)state;
    assert_int_equal(serve_it(b, 1, nothing), QUDAG_OK);
    take(b);
    struct up need[3] = {b->sup[1], b->sup[2], b->sup[3]};
    relay_set(b, &relay, 1);
    build_point(b, &need[0], 1);
    forget(b);
    build_point(b, &need[1], 1); /* the same again: of no use */
    assert_int_equal(n_serves(b, HIDDEN_SERVE_ESTABLISH), 0);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 1);
    run_to(b, b->now + 2 * SECOND);
    struct up again = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    assert_int_equal(again.is.need.n_avoid, 1);
    assert_true(peer_id_eq(&again.is.need.avoid[0], &relay.peer));
    bed_free(b);
}

/* A point that broke comes back at its relay with its key, three times; then it is another one. */
static void a_broken_point_is_restored_then_replaced(void **state)
{
    struct bed *b = bed_new(4);
    uint64_t ids[HIDDEN_SLOTS];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    for (unsigned i = 0; i < HIDDEN_RESTORES; i++) {
        hidden_serve_point_ended(b->services, ids[0], b->now, &b->sacts);
        assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 1);
        run_to(b, b->now + 2 * SECOND);
        struct up need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
        assert_true(need.is.need.same);
        assert_true(peer_id_eq(&need.is.need.relay.peer, &t.point[0].relay.peer));
        assert_int_equal(need.is.need.n_avoid, 2);
        forget(b);
        ids[0] = build_point(b, &need, 99);
        hidden_serve_established(b->services, ids[0], b->now, &b->sacts);
        run_to(b, b->now + 20 * SECOND);
        assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 0); /* records are still right */
        forget(b);
    }
    hidden_serve_point_ended(b->services, ids[0], b->now, &b->sacts);
    run_to(b, b->now + 2 * SECOND);
    struct up need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    assert_false(need.is.need.same);
    assert_int_equal(need.is.need.n_avoid, 3); /* the one that broke as well */
    ids[0] = build_point(b, &need, 77);
    hidden_serve_established(b->services, ids[0], b->now, &b->sacts);
    struct hidden_target other = serve_up(b, HIDDEN_SERVE_TARGET).is.target;
    assert_memory_not_equal(other.point[0].intro_key, t.point[0].intro_key, ED25519_PK_LEN);
    assert_int_equal(stats_of(b, 1).points_lost, 4);
    bed_free(b);
}

/* Who tried it again three times first would be away for a minute when all its points are at relays that died. */
static void a_point_at_a_relay_that_is_gone_is_replaced_at_once(void **state)
{
    struct bed *b = bed_new(4);
    uint64_t ids[HIDDEN_SLOTS];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    hidden_serve_point_ended(b->services, ids[0], b->now, &b->sacts); /* its circuit broke */
    run_to(b, b->now + 2 * SECOND);
    struct up need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    assert_true(need.is.need.same);
    forget(b);
    hidden_serve_point_unreachable(b->services, need.id, b->now, &b->sacts);
    assert_null(hidden_serve_intro_sk(b->services, need.id));
    run_to(b, b->now + 3 * SECOND);
    need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    assert_false(need.is.need.same);
    assert_int_equal(need.is.need.n_avoid, 3); /* not there again */
    assert_true(peer_id_eq(&need.is.need.avoid[0], &t.point[0].relay.peer));
    hidden_serve_point_unreachable(b->services, 12345, b->now, &b->sacts); /* late */
    bed_free(b);
}

/* A relay that refused, or broke before the point stood: no record names it, so another one is taken at once. */
static void a_point_that_never_stood_goes_elsewhere(void **state)
{
    struct bed *b = bed_new(14);

    (void)state;
    assert_int_equal(serve_it(b, 1, nothing), QUDAG_OK);
    struct up need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    uint64_t id = build_point(b, &need, 1);
    assert_non_null(hidden_serve_intro_sk(b->services, id));
    hidden_serve_point_ended(b->services, id, b->now, &b->sacts);
    assert_null(hidden_serve_intro_sk(b->services, id));
    run_to(b, b->now + 2 * SECOND);
    struct up again = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    assert_int_not_equal(again.id, need.id);
    assert_false(again.is.need.same);
    assert_int_equal(again.is.need.n_avoid, 1);
    hidden_serve_point_ended(b->services, again.id, b->now,
                             &b->sacts); /* there is no other relay */
    run_to(b, b->now + 5 * SECOND);
    assert_int_equal(serve_up(b, HIDDEN_SERVE_NEED_POINT).is.need.n_avoid, 0);
    bed_free(b);
}

static void an_hour_later_it_may_be_restored_again(void **state)
{
    struct bed *b = bed_new(5);
    uint64_t ids[HIDDEN_SLOTS];

    (void)state;
    have_service(b, ids);
    for (unsigned i = 0; i < 6; i++) {
        hidden_serve_point_ended(b->services, ids[0], b->now, &b->sacts);
        run_to(b, b->now + 2 * SECOND);
        struct up need = serve_up(b, HIDDEN_SERVE_NEED_POINT);
        assert_true(need.is.need.same);
        ids[0] = build_point(b, &need, 99);
        hidden_serve_established(b->services, ids[0], b->now, &b->sacts);
        run_to(b, b->now + 21 * 60 * SECOND);
        forget(b);
    }
    bed_free(b);
}

static void failures_are_repeated_more_and_more_slowly(void **state)
{
    struct bed *b = bed_new(6);

    (void)state;
    assert_int_equal(serve_it(b, 1, nothing), QUDAG_OK);
    for (tstamp end = b->now + HOUR; b->now < end;) {
        take(b);
        size_t n = b->n_sup;
        for (size_t i = 0; i < n; i++) {
            if (b->sup[i].kind == HIDDEN_SERVE_NEED_POINT) {
                hidden_serve_point_ended(b->services, b->sup[i].id, b->now, &b->sacts);
                hidden_serve_point_ended(b->services, b->sup[i].id, b->now, &b->sacts);
            }
        }
        run_to(b, hidden_services_deadline(b->services));
    }
    assert_in_range(n_serves(b, HIDDEN_SERVE_NEED_POINT), 3 * 12, 3 * 30);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_TARGET), 0);
    bed_free(b);
}

/* The node that never answers is not waited for. */
static void silence_is_a_failure(void **state)
{
    struct bed *b = bed_new(7);

    (void)state;
    assert_int_equal(serve_it(b, 1, nothing), QUDAG_OK);
    struct up first = serve_up(b, HIDDEN_SERVE_NEED_POINT);
    run_to(b, b->now + 60 * SECOND);
    assert_in_range(n_serves(b, HIDDEN_SERVE_NEED_POINT), 6, 9);
    forget(b);
    build_point(b, &first, 1); /* too late */
    assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_ESTABLISH), 0);
    bed_free(b);
}

/* Points are replaced between 12 and 24 h; the old ones stay for as long as records name them. */
static void points_grow_old(void **state)
{
    struct bed *b = bed_new(8);
    uint64_t ids[HIDDEN_SLOTS], fresh[HIDDEN_SLOTS];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    tstamp began = b->now;
    run_to(b, began + 12 * HOUR - SECOND);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_NEED_POINT), 0);
    while (n_serves(b, HIDDEN_SERVE_NEED_POINT) == 0) {
        run_to(b, hidden_services_deadline(b->services));
    }
    assert_true(b->now <= began + 24 * HOUR);
    tstamp replaced = b->now;
    forget(b);
    assert_int_equal(stats_of(b, 1).old, 1);
    assert_int_equal(stats_of(b, 1).standing, 2);
    b->now += 1;
    hidden_services_tick(b->services, b->now, &b->sacts);
    bed_free(b);

    b = bed_new(8); /* the same again, now with a node that answers */
    t = have_service(b, ids);
    run_to(b, replaced);
    assert_int_equal(have_points(b, 50, fresh), 1);
    struct hidden_target next = serve_up(b, HIDDEN_SERVE_TARGET).is.target;
    assert_int_equal(next.n_points, 3);
    unsigned same = 0;
    for (size_t i = 0; i < 9; i++) {
        same += memcmp(next.point[i / 3].intro_key, t.point[i % 3].intro_key, ED25519_PK_LEN) == 0
                    ? 1
                    : 0;
    }
    assert_int_equal(same, 2);
    assert_int_equal(t.n_old, 0);
    assert_int_equal(next.n_old, 1); /* what older records name beside those two */
    for (size_t i = 0; i < 3; i++) {
        assert_memory_not_equal(next.old[0], next.point[i].intro_key, ED25519_PK_LEN);
    }
    unsigned keyed = 0;
    for (size_t i = 0; i < 3; i++) {
        keyed += hidden_serve_intro_sk(b->services, ids[i]) != NULL ? 1 : 0;
    }
    assert_int_equal(keyed, 3); /* the old one is still there */
    run_to(b, replaced + 14 * HOUR - 1);
    while (stats_of(b, 1).old > 0 && b->now < replaced + 60 * HOUR) {
        uint64_t more[HIDDEN_SLOTS];
        have_points(b, (uint8_t)(60 + b->now / HOUR), more);
        run_to(b, b->now + HOUR);
    }
    keyed = 0;
    for (size_t i = 0; i < 3; i++) {
        keyed += hidden_serve_intro_sk(b->services, ids[i]) != NULL ? 1 : 0;
    }
    assert_int_equal(keyed, 0);
    bed_free(b);
}

/* A node that loses all its points again and again keeps to its slots. */
static void slots_are_bounded(void **state)
{
    struct bed *b = bed_new(9);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t number = 10;

    (void)state;
    have_service(b, ids);
    size_t used = 0;
    for (unsigned i = 0; i < 40; i++) {
        struct hidden_service *s = inside(b);
        for (size_t j = 0; j < HIDDEN_SLOTS; j++) {
            s->slot[j].served = hidden_slot_is_named(&s->slot[j]) ? 40000 : 0; /* all used up */
        }
        b->now += SECOND;
        hidden_points_settle(s, b->now, &b->sacts);
        number = (uint8_t)(number + have_points(b, number, ids));
        assert_int_equal(stats_of(b, 1).standing, 3);
        assert_true(stats_of(b, 1).old <= HIDDEN_SLOTS - HIDDEN_POINTS);
        used = i == 20 ? b->mem.used : used;
        forget(b);
    }
    assert_int_equal(b->mem.used, used);
    bed_free(b);
}

static void services_are_bounded_and_end_with_their_circuits(void **state)
{
    struct bed *b = bed_new(10);
    uint64_t ids[HIDDEN_SLOTS];
    struct hidden_serve_stats st;

    (void)state;
    have_service(b, ids);
    assert_int_equal(serve_it(b, 1, nothing), QUDAG_EEXISTS);
    for (uint64_t i = 2; i <= HIDDEN_SERVICES_MAX; i++) {
        assert_int_equal(serve_it(b, i, nothing), QUDAG_OK);
        forget(b);
    }
    assert_int_equal(serve_it(b, 1000, nothing), QUDAG_ELIMIT);
    hidden_serve_end(b->services, 1, &b->sacts);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 3);
    assert_int_equal(b->n_sup, 3);
    hidden_serve_end(b->services, 1, &b->sacts);
    hidden_serve_point_ended(b->services, ids[0], b->now, &b->sacts);
    hidden_serve_established(b->services, ids[0], b->now, &b->sacts);
    hidden_serve_carried(b->services, 1, 5, b->now, &b->sacts);
    assert_int_equal(hidden_serve_stats_get(b->services, 1, &st), QUDAG_ENOTFOUND);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_CLOSE), 3);
    bed_free(b);
}

/* --- keys of periods --------------------------------------------------------------------------- */

static const struct rend_keys *rend_keys_must(const struct hidden_service *s, uint64_t period)
{
    static const struct rend_keys none;
    const struct rend_keys *k = hidden_periods_get(s, period);

    assert_non_null(k);
    return k == NULL ? &none : k;
}

static void keys_change_with_the_period(void **state)
{
    struct bed *b = bed_new(11);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t id[8];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    const struct hidden_service *s = inside(b);
    memcpy(id, rend_keys_must(s, t.keys[1].period)->key_id, sizeof id);
    hidden_services_trust_clock(b->services, true);
    const tstamp midnight = (uint64_t)((START / 86400 + 1) * 86400 - START) * SECOND;
    run_to(b, midnight - 1);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_SAVE), 0);
    forget(b);
    run_to(b, midnight);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_SAVE), 1);
    while (n_serves(b, HIDDEN_SERVE_TARGET) == 0) {
        run_to(b, b->now + SECOND);
        assert_true(b->now < midnight + 20 * SECOND);
    }
    struct hidden_target next = serve_up(b, HIDDEN_SERVE_TARGET).is.target;
    assert_int_equal(next.n_keys, 3);
    assert_int_equal(next.keys[1].period, t.keys[0].period);
    assert_memory_equal(next.keys[1].x, t.keys[0].x, X25519_LEN);
    assert_memory_equal(next.keys[2].x, t.keys[1].x, X25519_LEN);
    assert_memory_not_equal(next.keys[0].x, t.keys[0].x, X25519_LEN);
    run_to(b, midnight + 27 * HOUR - SECOND);
    assert_non_null(hidden_periods_find(s, id)); /* old records may still be read */
    run_to(b, midnight + 27 * HOUR);
    assert_null(hidden_periods_find(s, id));
    bed_free(b);
}

static void keys_survive_a_restart(void **state)
{
    struct bed *b = bed_new(12);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t saved[HIDDEN_SAVED_LEN], handshake[REND_HS_LEN];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    make_handshake(b, &t, 0, 40, handshake);
    assert_int_equal(hidden_serve_save(b->services, 1, saved), QUDAG_OK);
    assert_int_equal(hidden_serve_save(b->services, 2, saved), QUDAG_ENOTFOUND);
    hidden_serve_end(b->services, 1, &b->sacts);
    forget(b);
    const struct slice bytes = {saved, sizeof saved};
    assert_int_equal(serve_it(b, 1, bytes), QUDAG_OK);
    assert_int_equal(n_serves(b, HIDDEN_SERVE_SAVE), 0); /* nothing new */
    assert_int_equal(have_points(b, 1, ids), 3);
    struct hidden_target again = serve_up(b, HIDDEN_SERVE_TARGET).is.target;
    assert_memory_equal(again.keys, t.keys, sizeof t.keys);
    assert_memory_not_equal(again.point[0].intro_key, t.point[0].intro_key, ED25519_PK_LEN);
    request(b, ids[0], handshake); /* for an introduction key that is no more */
    assert_int_equal(stats_of(b, 1).bad, 1);
    for (size_t i = 0; i < sizeof saved; i++) {
        saved[i] ^= 1;
        assert_int_equal(serve_it(b, 2, bytes), QUDAG_EMALFORMED);
        saved[i] ^= 1;
    }
    assert_int_equal(serve_it(b, 2, (struct slice){saved, sizeof saved - 1}), QUDAG_EMALFORMED);
    b->addr[5] ^= 1; /* of another address */
    assert_int_equal(serve_it(b, 2, bytes), QUDAG_EMALFORMED);
    bed_free(b);
}

static void a_clock_that_jumps_makes_other_keys(void **state)
{
    struct bed *b = bed_new(13);
    uint64_t ids[HIDDEN_SLOTS];
    const int64_t jumps[] = {86400, -86400, 40 * 86400, -START, 86400 * 3, 0};

    (void)state;
    have_service(b, ids);
    for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
        hidden_services_set_clock(b->services, (struct wallclock){START + jumps[i], 0});
        hidden_services_trust_clock(b->services, true);
        run_to(b, b->now + 15 * SECOND);
        struct hidden_target t = serve_up(b, HIDDEN_SERVE_TARGET).is.target;
        uint64_t now = hidden_period(START + jumps[i] + (int64_t)(b->now / SECOND));
        assert_true(t.n_keys >= 2);
        assert_int_equal(t.keys[0].period, now + 1);
        assert_int_equal(t.keys[1].period, now);
        forget(b);
    }
    bed_free(b);
}

/* Set wrong for a while, and not trusted: what records name is kept, whatever the calendar says. */
static void a_clock_that_is_not_trusted_wipes_nothing(void **state)
{
    struct bed *b = bed_new(14);
    uint64_t ids[HIDDEN_SLOTS];
    uint8_t id[8];

    (void)state;
    struct hidden_target t = have_service(b, ids);
    struct hidden_service *s = hidden_service_of(b->services, 1);
    memcpy(id, rend_keys_must(s, t.keys[1].period)->key_id, sizeof id);
    hidden_services_trust_clock(b->services, true);
    hidden_services_trust_clock(b->services, false);
    hidden_services_set_clock(b->services, (struct wallclock){START + 5 * 86400, 0});
    run_to(b, b->now + 15 * SECOND);
    assert_non_null(hidden_periods_find(s, id));
    assert_int_equal(serve_up(b, HIDDEN_SERVE_TARGET).is.target.keys[1].period,
                     hidden_period(START + 5 * 86400));
    for (int64_t day = 50; day < 60; day++) { /* those farthest from now give way */
        hidden_services_set_clock(b->services, (struct wallclock){START + day * 86400, 0});
        run_to(b, b->now + 15 * SECOND);
    }
    assert_null(hidden_periods_find(s, id));
    hidden_services_trust_clock(b->services, true);
    run_to(b, b->now + SECOND);
    for (size_t i = 0; i < HIDDEN_PERIODS; i++) {
        assert_true(!s->period[i].used ||
                    s->period[i].period + 2 >= hidden_period(START + 59 * 86400));
    }
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_points_make_a_target),
        cmocka_unit_test(two_points_are_told_after_a_while),
        cmocka_unit_test(relays_in_use_are_to_be_avoided),
        cmocka_unit_test(a_broken_point_is_restored_then_replaced),
        cmocka_unit_test(a_point_at_a_relay_that_is_gone_is_replaced_at_once),
        cmocka_unit_test(a_point_that_never_stood_goes_elsewhere),
        cmocka_unit_test(an_hour_later_it_may_be_restored_again),
        cmocka_unit_test(failures_are_repeated_more_and_more_slowly),
        cmocka_unit_test(silence_is_a_failure),
        cmocka_unit_test(points_grow_old),
        cmocka_unit_test(slots_are_bounded),
        cmocka_unit_test(services_are_bounded_and_end_with_their_circuits),
        cmocka_unit_test(keys_change_with_the_period),
        cmocka_unit_test(keys_survive_a_restart),
        cmocka_unit_test(a_clock_that_jumps_makes_other_keys),
        cmocka_unit_test(a_clock_that_is_not_trusted_wipes_nothing),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
