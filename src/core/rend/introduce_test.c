/* introduce_test.c - introductions at the relay: its points, what it passes on, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rend/introduce_bed.h"

static void a_handshake_is_passed_on_unread(void **state)
{
    struct meeting *m = meeting_new();
    uint8_t request[REND_INTRODUCE1_LEN];
    static const struct ref strm = {4, 1};
    static const uint8_t done = REND_DONE;

    (void)state;
    established(m, 0, 0);
    for (size_t step = 1; step <= REND_INTRODUCE1_LEN; step = step * 4 + 33) {
        struct ref in = {strm.slot, (uint32_t)step};
        assert_int_equal(call_ask(m, m->caller), QUDAG_OK);
        open_ours(&m->b, m->caller, call_strm);
        assert_int_equal(outcome(&m->b), 'f');
        assert_int_equal(m->b.act_v[0].data.len, REND_INTRODUCE1_LEN);
        memcpy(request, m->b.act_v[0].data.base, REND_INTRODUCE1_LEN);
        acts_clear(&m->b);
        open_in(&m->b, m->relay, in, NULL);
        for (size_t at = 0; at < sizeof request; at += step) {
            size_t n = sizeof request - at < step ? sizeof request - at : step;
            data_in(&m->b, m->relay, in, request + at, n);
        }
        assert_int_equal(m->b.acts.n, 0);
        event_in(&m->b, m->relay, EV_FIN, in);
        assert_int_equal(m->b.acts.n, 3);
        assert_true(answered(&m->b, in, REND_DONE, true));
        const struct act *on = act_of(&m->b, ACT_WRITE, point_strm);
        assert_int_equal(on->data.len, REND_HS_LEN);
        assert_memory_equal(on->data.base, m->hs, REND_HS_LEN);
        acts_clear(&m->b);
        sent(&m->b, m->relay, point_strm, REND_HS_LEN);
        for (size_t at = 0; at < REND_HS_LEN; at += step) {
            size_t n = REND_HS_LEN - at < step ? REND_HS_LEN - at : step;
            data_in(&m->b, m->svc, svc_strm, m->hs + at, n);
        }
        assert_int_equal(m->b.acts.n, 1);
        assert_int_equal(m->b.act_v[0].kind, INTRODUCE_UP_REQUEST);
        assert_int_equal(m->b.act_v[0].cookie, 50);
        assert_int_equal(m->b.act_v[0].data.len, REND_HS_LEN);
        assert_memory_equal(m->b.act_v[0].data.base, m->hs, REND_HS_LEN);
        acts_clear(&m->b);
        data_in(&m->b, m->caller, call_strm, &done, 1);
        assert_int_equal(m->b.acts.n, 0);
        event_in(&m->b, m->caller, EV_FIN, call_strm);
        assert_int_equal(outcome(&m->b), 'u');
        assert_int_equal(m->b.act_v[0].kind, INTRODUCE_UP_DONE);
        assert_int_equal(m->b.act_v[0].cookie, 60);
        assert_int_equal(m->b.act_v[0].err, QUDAG_OK);
        assert_int_equal(m->b.act_v[0].n, REND_DONE);
        acts_clear(&m->b);
    }
    assert_int_equal(stats_of(m->relay).requests, 0); /* nothing is kept */
    assert_int_equal(introduce_ops.deadline(m->relay), TSTAMP_NEVER);
    assert_int_equal(introduce_ops.deadline(m->caller), TSTAMP_NEVER);
    meeting_free(m);
}

/* Several in one piece, cut anywhere, come out one by one. */
static void introductions_that_arrive_together_stay_apart(void **state)
{
    struct meeting *m = meeting_new();
    static uint8_t three[3 * REND_HS_LEN];

    (void)state;
    established(m, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        memset(three + i * REND_HS_LEN, (int)(i + 1), REND_HS_LEN);
    }
    static const size_t cuts[] = {0,           1, REND_HS_LEN - 1, REND_HS_LEN, REND_HS_LEN + 1,
                                  sizeof three};
    for (size_t c = 0; c < ARRAY_LEN(cuts); c++) {
        data_in(&m->b, m->svc, svc_strm, three, cuts[c]);
        data_in(&m->b, m->svc, svc_strm, three + cuts[c], sizeof three - cuts[c]);
        assert_int_equal(m->b.acts.n, 3);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(m->b.act_v[i].kind, INTRODUCE_UP_REQUEST);
            assert_memory_equal(m->b.act_v[i].data.base, three + i * REND_HS_LEN, REND_HS_LEN);
        }
        acts_clear(&m->b);
    }
    meeting_free(m);
}

static void a_point_is_established_by_its_key_on_its_circuit_only(void **state)
{
    struct meeting *m = meeting_new();
    uint8_t good[REND_ESTABLISH_LEN], bytes[REND_ESTABLISH_LEN],
        other[REND_BINDING_LEN] = {0xb1, 1};
    uint32_t n = 100;

    (void)state;
    establish_bytes(m, 5, 10, good);
    for (size_t at = 1; at < sizeof good; at += 3) { /* key, limits, signature */
        struct ref strm = {n++, 1};
        memcpy(bytes, good, sizeof bytes);
        bytes[at] ^= 0x10;
        establish_at(m, bytes, strm, NULL, the_binding);
        assert_int_equal(m->b.acts.n, 1);
        assert_true(was_reset(&m->b, strm, QUDAG_EAUTH));
        acts_clear(&m->b);
    }
    establish_at(m, good, (struct ref){n, 1}, NULL, other); /* taken from another circuit */
    assert_true(was_reset(&m->b, (struct ref){n, 1}, QUDAG_EAUTH));
    acts_clear(&m->b);
    n++;
    establish_at(m, good, (struct ref){n, 1}, NULL, NULL); /* the circuit went in between */
    assert_true(was_reset(&m->b, (struct ref){n, 1}, QUDAG_ECIRCUIT));
    acts_clear(&m->b);
    assert_int_equal(stats_of(m->relay).points, 0);
    n++;
    establish_at(m, good, (struct ref){n, 1}, NULL, the_binding);
    assert_true(answered(&m->b, (struct ref){n, 1}, REND_DONE, false));
    assert_int_equal(stats_of(m->relay).points, 1);
    meeting_free(m);
}

static void a_binding_that_comes_late_or_twice_does_nothing(void **state)
{
    struct meeting *m = meeting_new();
    uint8_t bytes[REND_ESTABLISH_LEN];

    (void)state;
    establish_bytes(m, 0, 0, bytes);
    open_in(&m->b, m->relay, point_strm, NULL);
    data_in(&m->b, m->relay, point_strm, bytes, sizeof bytes);
    uint64_t cookie = m->b.act_v[0].cookie;
    acts_clear(&m->b);
    introduce_bound(m->relay, 12345, the_binding, 0, &m->b.acts);
    assert_int_equal(m->b.acts.n, 0);
    introduce_bound(m->relay, cookie, the_binding, 0, &m->b.acts);
    assert_int_equal(m->b.acts.n, 1);
    introduce_bound(m->relay, cookie, the_binding, 0, &m->b.acts);
    introduce_bound(m->relay, cookie, NULL, 0, &m->b.acts);
    assert_int_equal(m->b.acts.n, 1);
    acts_clear(&m->b);
    event_in(&m->b, m->relay, EV_RESET, point_strm);
    introduce_bound(m->relay, cookie, the_binding, 0, &m->b.acts);
    assert_int_equal(m->b.acts.n, 0);
    assert_int_equal(stats_of(m->relay).points, 0);
    meeting_free(m);
}

static void a_newer_point_of_the_same_key_replaces_the_older(void **state)
{
    struct meeting *m = meeting_new();
    uint8_t bytes[REND_ESTABLISH_LEN];
    static const struct ref newer = {77, 1}, in = {78, 1};

    (void)state;
    established(m, 0, 0);
    establish_bytes(m, 0, 0, bytes);
    establish_at(m, bytes, newer, NULL, the_binding);
    assert_int_equal(m->b.acts.n, 2);
    assert_true(was_reset(&m->b, point_strm, QUDAG_ECLOSED));
    assert_true(answered(&m->b, newer, REND_DONE, false));
    assert_int_equal(stats_of(m->relay).points, 1);
    acts_clear(&m->b);
    introduce_at(m, m->key, in, NULL);
    assert_true(has_act(&m->b, ACT_WRITE, newer));
    assert_false(has_act(&m->b, ACT_WRITE, point_strm));
    meeting_free(m);
}

/* a point ends with its stream, whichever way, and what comes for it then is for nobody. */
static void a_point_ends_with_its_stream(void **state)
{
    static const enum ev_type ends[] = {EV_FIN, EV_RESET, EV_DATA};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct meeting *m = meeting_new();
        established(m, 0, 0);
        if (ends[i] == EV_DATA) {
            data_in(&m->b, m->relay, point_strm, "x", 1);
        } else {
            event_in(&m->b, m->relay, ends[i], point_strm);
        }
        assert_int_equal(outcome(&m->b), i == 0 ? 'e' : i == 1 ? '-' : 'r');
        acts_clear(&m->b);
        introduce_at(m, m->key, (struct ref){9, 9}, NULL);
        assert_int_equal(m->b.acts.n, 2);
        assert_true(answered(&m->b, (struct ref){9, 9}, REND_UNKNOWN, true));
        assert_int_equal(stats_of(m->relay).unknown, 1);
        meeting_free(m);
    }
}

/* it shows that it lives before the circuit counts as idle, and the relay makes nothing of it. */
static void a_service_keeps_its_point(void **state)
{
    struct meeting *m = meeting_new();
    bool differ = false;
    uint64_t first = 0;

    (void)state;
    established(m, 0, 0);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t wait = introduce_ops.deadline(m->svc) - m->b.now;
        assert_in_range(wait, INTRODUCE_KEEP_MIN, INTRODUCE_KEEP_MAX);
        first = i == 0 ? wait : first;
        differ = differ || wait != first;
        m->b.now += wait - 1;
        introduce_ops.tick(m->svc, m->b.now, &m->b.acts);
        assert_int_equal(m->b.acts.n, 0);
        m->b.now++;
        introduce_ops.tick(m->svc, m->b.now, &m->b.acts);
        assert_int_equal(outcome(&m->b), 'w');
        assert_int_equal(m->b.act_v[0].data.len, 1);
        uint8_t byte = m->b.act_v[0].data.base[0];
        acts_clear(&m->b);
        data_in(&m->b, m->relay, point_strm, &byte, 1);
        assert_int_equal(m->b.acts.n, 0);
    }
    assert_true(differ);
    data_in(&m->b, m->relay, point_strm, "\0\0", 2); /* late, and so together */
    assert_int_equal(m->b.acts.n, 0);
    assert_int_equal(stats_of(m->relay).points, 1);
    introduce_at(m, m->key, (struct ref){90, 1}, NULL);
    assert_true(
        answered(&m->b, (struct ref){90, 1}, REND_DONE, true)); /* nor is it busy for that */
    data_in(&m->b, m->relay, point_strm, "\0\2", 2);
    assert_true(was_reset(&m->b, point_strm, QUDAG_EPROTO));
    meeting_free(m);
}

/* a service that meets fewer than call says so, and callers hear it for 30 s, though they are passed on. */
static void callers_of_a_busy_service_are_told_so(void **state)
{
    struct meeting *m = meeting_new();
    static const struct {
        uint64_t after;
        uint8_t says; /* enum rend_status */
    } rows[] = {{0, REND_BUSY},
                {INTRODUCE_BUSY_LIFE - 1, REND_BUSY},
                {1, REND_DONE}, /* over */
                {INTRODUCE_BUSY_LIFE, REND_DONE}};

    (void)state;
    introduce_busy(m->svc, 50, m->b.now, &m->b.acts);
    assert_int_equal(m->b.acts.n, 0); /* there is no point yet */
    established(m, 0, 0);
    introduce_busy(m->svc, 51, m->b.now, &m->b.acts);
    assert_int_equal(m->b.acts.n, 0); /* nor another one */
    introduce_busy(m->svc, 50, m->b.now, &m->b.acts);
    assert_int_equal(outcome(&m->b), 'w');
    assert_int_equal(m->b.act_v[0].data.len, 1);
    const uint8_t said[2] = {m->b.act_v[0].data.base[0], INTRODUCE_KEEP}; /* together, if late */
    acts_clear(&m->b);
    data_in(&m->b, m->relay, point_strm, said, 2);
    assert_int_equal(m->b.acts.n, 0);
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        m->b.now += rows[i].after;
        introduce_at(m, m->key, (struct ref){90 + i, 1}, NULL);
        assert_true(has_act(&m->b, ACT_WRITE, point_strm));
        assert_true(answered(&m->b, (struct ref){90 + i, 1}, rows[i].says, true));
        acts_clear(&m->b);
    }
    assert_int_equal(stats_of(m->relay).passed, ARRAY_LEN(rows));
    assert_int_equal(stats_of(m->relay).busy, 2);
    meeting_free(m);
}

/* Introductions at one moment that are passed on, when nothing of them waits. */
static unsigned passed_at(struct meeting *m, unsigned tries)
{
    static uint32_t n = 1000;
    unsigned passed = 0;

    for (unsigned i = 0; i < tries; i++) {
        struct ref in = {n++, 1};
        acts_clear(&m->b);
        introduce_at(m, m->key, in, NULL);
        if (has_act(&m->b, ACT_WRITE, point_strm)) {
            assert_true(answered(&m->b, in, REND_DONE, true));
            passed++;
        } else {
            assert_true(answered(&m->b, in, REND_FULL, true));
            assert_int_equal(m->b.acts.n, 2);
        }
        sent(&m->b, m->relay, point_strm, REND_HS_LEN);
    }
    acts_clear(&m->b);
    return passed;
}

static void a_point_gets_what_it_asked_for_and_no_more(void **state)
{
    static const struct {
        uint16_t rate, burst;
        unsigned per_second, at_once;
    } rows[] = {{5, 10, 5, 10}, {0, 0, 200, 400}, {60000, 60000, 200, 400}, {7, 0, 7, 400}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct meeting *m = meeting_new();
        established(m, rows[i].rate, rows[i].burst);
        assert_int_equal(passed_at(m, 500), rows[i].at_once);
        m->b.now += NS_PER_S;
        assert_int_equal(passed_at(m, 500), rows[i].per_second);
        assert_int_equal(stats_of(m->relay).over, 1000 - rows[i].at_once - rows[i].per_second);
        meeting_free(m);
    }
}

/* four wait, and one more when one has left; what is refused costs the point nothing of its rate. */
static void what_waits_for_a_service_is_bounded(void **state)
{
    struct meeting *m = meeting_new();
    uint32_t n = 100;

    (void)state;
    established(m, 1, 6);
    for (unsigned i = 0; i < 8; i++) {
        acts_clear(&m->b);
        introduce_at(m, m->key, (struct ref){n, 1}, NULL);
        assert_true(answered(&m->b, (struct ref){n, 1}, i < 4 ? REND_DONE : REND_FULL, true));
        n++;
    }
    sent(&m->b, m->relay, point_strm, REND_HS_LEN - 1);
    acts_clear(&m->b);
    introduce_at(m, m->key, (struct ref){n, 1}, NULL);
    assert_true(answered(&m->b, (struct ref){n, 1}, REND_DONE, true)); /* 1 + 4 * 4063 <= 16 KiB */
    n++;
    acts_clear(&m->b);
    sent(&m->b, m->relay, point_strm, SIZE_MAX); /* no more than it had */
    introduce_at(m, m->key, (struct ref){n, 1}, NULL);
    assert_true(answered(&m->b, (struct ref){n, 1}, REND_DONE, true));
    meeting_free(m);
}

static void requests_cut_or_with_more_behind_are_reset(void **state)
{
    struct meeting *m = meeting_new();
    static uint8_t bytes[REND_INTRODUCE1_LEN + 1];
    uint32_t n = 100;

    (void)state;
    established(m, 0, 0);
    memcpy(bytes + 1, m->key, sizeof m->key);
    for (unsigned first = 0; first < 256; first++) { /* no such request: at its first byte */
        struct ref strm = {n++, 1};
        bytes[0] = (uint8_t)first;
        open_in(&m->b, m->relay, strm, NULL);
        data_in(&m->b, m->relay, strm, bytes, 1);
        assert_int_equal(outcome(&m->b), first == 1 || first == 2 ? '-' : 'r');
        acts_clear(&m->b);
        event_in(&m->b, m->relay, EV_FIN, strm);
        acts_clear(&m->b);
    }
    for (uint8_t first = 1; first <= 2; first++) {
        size_t whole = first == 1 ? REND_ESTABLISH_LEN : REND_INTRODUCE1_LEN;
        bytes[0] = first;
        for (size_t len = 0; len <= whole + 1; len++) {
            struct ref strm = {n++, 1};
            m->b.now += NS_PER_S;
            open_in(&m->b, m->relay, strm, NULL);
            data_in(&m->b, m->relay, strm, bytes, len);
            event_in(&m->b, m->relay, EV_FIN, strm);
            if (len != whole) {
                assert_int_equal(outcome(&m->b), 'r');
            } else if (first == 1) { /* the binding is asked for, and then given up */
                assert_int_equal(m->b.act_v[0].type, ACT_UP);
                assert_int_equal(m->b.act_v[1].type, ACT_FIN);
            } else {
                assert_true(answered(&m->b, strm, REND_DONE, true));
                sent(&m->b, m->relay, point_strm, REND_HS_LEN);
            }
            assert_int_equal(stats_of(m->relay).requests, 0);
            acts_clear(&m->b);
        }
    }
    meeting_free(m);
}

static void only_circuits_of_those_we_serve_reach_a_point(void **state)
{
    struct meeting *m = meeting_new();
    struct ev open = {.type = EV_STREAM_OPEN, .inbound = true, .strm = {5, 5}, .link = 1};

    (void)state;
    introduce_ops.event(m->relay, &open, 0, &m->b.acts);
    assert_true(was_reset(&m->b, open.strm, QUDAG_EPOLICY)); /* no circuit */
    acts_clear(&m->b);
    open_in(&m->b, m->svc, open.strm, NULL);
    assert_true(was_reset(&m->b, open.strm, QUDAG_EREFUSED)); /* no relay */
    meeting_free(m);
}

/* whatever it was for, and however it ended. */
static void a_circuit_has_one_stream_in_all(void **state)
{
    struct meeting *m = meeting_new();
    struct from one = {1, 1, 4711};
    uint8_t bytes[REND_ESTABLISH_LEN];

    (void)state;
    introduce_at(m, m->key, (struct ref){10, 1}, &one);
    assert_true(answered(&m->b, (struct ref){10, 1}, REND_UNKNOWN, true));
    acts_clear(&m->b);
    introduce_at(m, m->key, (struct ref){11, 1}, &one);
    assert_int_equal(m->b.acts.n, 1);
    assert_true(was_reset(&m->b, (struct ref){11, 1}, QUDAG_ELIMIT));
    acts_clear(&m->b);
    establish_bytes(m, 0, 0, bytes);
    establish_at(m, bytes, (struct ref){12, 1}, &one, the_binding);
    assert_true(was_reset(&m->b, (struct ref){12, 1}, QUDAG_ELIMIT));
    /* 8192 circuits later it is forgotten, which costs more than another circuit. */
    for (uint32_t i = 0; i < REND_CIRCUITS_SEEN; i++) {
        acts_clear(&m->b);
        struct from next = {1, 1, 100000 + i};
        introduce_at(m, m->key, (struct ref){13, 1 + i}, i == 0 ? &one : &next);
        assert_int_equal(answered(&m->b, (struct ref){13, 1 + i}, REND_UNKNOWN, true), i > 0);
    }
    struct from last = {1, 1, 99};
    acts_clear(&m->b);
    introduce_at(m, m->key, (struct ref){14, 1}, &last);
    acts_clear(&m->b);
    introduce_at(m, m->key, (struct ref){15, 1}, &one);
    assert_true(answered(&m->b, (struct ref){15, 1}, REND_UNKNOWN, true));
    meeting_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_is_passed_on_unread),
        cmocka_unit_test(introductions_that_arrive_together_stay_apart),
        cmocka_unit_test(a_point_is_established_by_its_key_on_its_circuit_only),
        cmocka_unit_test(a_binding_that_comes_late_or_twice_does_nothing),
        cmocka_unit_test(a_newer_point_of_the_same_key_replaces_the_older),
        cmocka_unit_test(a_point_ends_with_its_stream),
        cmocka_unit_test(a_service_keeps_its_point),
        cmocka_unit_test(callers_of_a_busy_service_are_told_so),
        cmocka_unit_test(a_point_gets_what_it_asked_for_and_no_more),
        cmocka_unit_test(what_waits_for_a_service_is_bounded),
        cmocka_unit_test(requests_cut_or_with_more_behind_are_reset),
        cmocka_unit_test(only_circuits_of_those_we_serve_reach_a_point),
        cmocka_unit_test(a_circuit_has_one_stream_in_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
