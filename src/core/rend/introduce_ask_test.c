/* introduce_ask_test.c - what service, relay and caller of introductions do in every state, and how requests end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rend/introduce_bed.h"

/* Where a job can stand, and everything that can happen to it there. */
enum where {
    A_OPENING_POINT,
    A_OPENING_CALL,
    A_ESTABLISHING,
    A_ESTABLISHED,
    A_HALF,
    A_SENT,
    A_ANSWERED,
    R_REQUEST,
    R_BINDING,
    R_REFUSED,
    R_POINT,
    WHERES
};
enum what {
    W_OPEN,
    W_FAIL,
    W_ZERO,
    W_ONE,
    W_TWO,
    W_NINE,
    W_FIN,
    W_RESET,
    W_WRITABLE,
    W_TIME,
    W_BOUND,
    WHATS
};

/* A relay of one point. */
static struct introduce *small_relay(struct meeting *m)
{
    struct introduce_config cfg = {
        .mem = &m->b.mem, .rng = rng_of_stream(&m->b.stream), .serve = true, .points_max = 1};
    struct introduce *i;

    assert_int_equal(introduce_new(&i, &cfg, 0), QUDAG_OK);
    return i;
}

static struct introduce *bring(struct meeting *m, enum where at, struct ref *strm, uint64_t *cookie)
{
    uint8_t bytes[REND_ESTABLISH_LEN];

    *cookie = 0;
    *strm = at == A_OPENING_CALL || at == A_SENT || at == A_ANSWERED ? call_strm : svc_strm;
    switch (at) {
    case A_OPENING_POINT:
        assert_int_equal(establish_ask(m, m->svc, 0, 0), QUDAG_OK);
        *cookie = m->b.act_v[0].cookie;
        return m->svc;
    case A_OPENING_CALL:
        assert_int_equal(call_ask(m, m->svc), QUDAG_OK);
        *cookie = m->b.act_v[0].cookie;
        return m->svc;
    case A_ESTABLISHING:
        establish_bytes(m, 0, 0, bytes);
        return m->svc;
    case A_ESTABLISHED:
    case A_HALF:
        established(m, 0, 0);
        if (at == A_HALF) {
            data_in(&m->b, m->svc, svc_strm, m->hs, 100);
        }
        return m->svc;
    case A_SENT:
    case A_ANSWERED:
        assert_int_equal(call_ask(m, m->svc), QUDAG_OK);
        open_ours(&m->b, m->svc, call_strm);
        if (at == A_ANSWERED) {
            data_in(&m->b, m->svc, call_strm, "\2", 1);
        }
        return m->svc;
    case R_REQUEST:
    case R_BINDING:
        establish_bytes(m, 0, 0, bytes);
        *strm = point_strm;
        open_in(&m->b, m->relay, point_strm, NULL);
        data_in(&m->b, m->relay, point_strm, bytes, at == R_BINDING ? sizeof bytes : 20);
        *cookie = at == R_BINDING ? m->b.act_v[0].cookie : 0;
        return m->relay;
    case R_REFUSED: /* another has the only place */
        introduce_free(m->relay);
        m->relay = small_relay(m);
        establish_bytes(m, 0, 0, bytes);
        *strm = point_strm;
        another_point(m, (struct ref){66, 1}, NULL);
        establish_at(m, bytes, point_strm, NULL, the_binding);
        assert_true(answered(&m->b, point_strm, REND_FULL, true));
        return m->relay;
    case R_POINT:
        established(m, 0, 0);
        *strm = point_strm;
        return m->relay;
    case WHERES:
        break;
    }
    fail();
    return NULL;
}

static void every_event_in_every_state(void **state)
{
    /* Columns as enum what: open, fail, data of 0, 1, 2, 9, FIN, reset, writable, time, binding. */
    static const char want[WHERES][WHATS + 1] = {
        [A_OPENING_POINT] = "wu-------u-", [A_OPENING_CALL] = "fu-------u-",
        [A_ESTABLISHING] = "r-ubbbbu-b-",  [A_ESTABLISHED] = "r-----Eu-w-",
        [A_HALF] = "r-----bu-w-",          [A_SENT] = "r-----bu-b-",
        [A_ANSWERED] = "r-bbbbuu-b-",      [R_REQUEST] = "r-----r--r-",
        [R_BINDING] = "r-rrrre--rw",       [R_REFUSED] = "r-rrrr---r-",
        [R_POINT] = "r---rre----",
    };
    static const enum ev_type type[] = {EV_STREAM_OPEN, EV_STREAM_FAIL, EV_DATA,
                                        EV_DATA,        EV_DATA,        EV_DATA,
                                        EV_FIN,         EV_RESET,       EV_WRITABLE};
    static const uint8_t bytes[] = {0, 1, 2, 9};

    (void)state;
    for (int at = 0; at < WHERES; at++) {
        for (int e = 0; e < WHATS; e++) {
            struct meeting *m = meeting_new();
            struct ref strm;
            uint64_t cookie;
            struct introduce *x = bring(m, (enum where)at, &strm, &cookie);
            acts_clear(&m->b);
            if (e == W_TIME) {
                introduce_ops.tick(x, 1000 * NS_PER_S, &m->b.acts);
            } else if (e == W_BOUND) {
                introduce_bound(x, cookie, the_binding, 0, &m->b.acts);
            } else {
                struct ev ev = {
                    .type = type[e],
                    .strm = strm,
                    .cookie = cookie,
                    .n = 3,
                    .data = {e >= W_ZERO && e <= W_NINE ? &bytes[e - W_ZERO] : bytes, 1}};
                introduce_ops.event(x, &ev, 5, &m->b.acts);
            }
            if (outcome(&m->b) != want[at][e]) {
                fail_msg("state %d, event %d: %c, expected %c", at, e, outcome(&m->b), want[at][e]);
            }
            acts_clear(&m->b);
            meeting_free(m);
        }
    }
}

/* The reports behind the letters: which, for whom, and with what error. */
static void every_end_is_reported_once_with_its_reason(void **state)
{
    static const struct {
        enum where at;
        enum what e;
        uint16_t kind;
        qudag_err err;
    } rows[] = {
        {A_OPENING_POINT, W_FAIL, INTRODUCE_UP_ENDED, QUDAG_EUNREACHABLE},
        {A_OPENING_CALL, W_FAIL, INTRODUCE_UP_DONE, QUDAG_EUNREACHABLE},
        {A_ESTABLISHING, W_TWO, INTRODUCE_UP_ENDED, QUDAG_ELIMIT}, /* no room there */
        {A_ESTABLISHING, W_ONE, INTRODUCE_UP_ENDED, QUDAG_EPROTO},
        {A_ESTABLISHING, W_NINE, INTRODUCE_UP_ENDED, QUDAG_EPROTO},
        {A_ESTABLISHING, W_FIN, INTRODUCE_UP_ENDED, QUDAG_EPROTO},
        {A_ESTABLISHING, W_RESET, INTRODUCE_UP_ENDED, QUDAG_ERESET},
        {A_ESTABLISHED, W_FIN, INTRODUCE_UP_ENDED, QUDAG_ECLOSED},
        {A_ESTABLISHED, W_RESET, INTRODUCE_UP_ENDED, QUDAG_ERESET},
        {A_HALF, W_FIN, INTRODUCE_UP_ENDED, QUDAG_EPROTO},
        {A_SENT, W_FIN, INTRODUCE_UP_DONE, QUDAG_EPROTO},
        {A_SENT, W_RESET, INTRODUCE_UP_DONE, QUDAG_ERESET},
        {A_ANSWERED, W_ZERO, INTRODUCE_UP_DONE, QUDAG_EPROTO},
        {A_ANSWERED, W_FIN, INTRODUCE_UP_DONE, QUDAG_OK},
    };
    static const uint8_t bytes[] = {0, 1, 2, 9};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct meeting *m = meeting_new();
        struct ref strm;
        uint64_t cookie;
        struct introduce *x = bring(m, rows[i].at, &strm, &cookie);
        acts_clear(&m->b);
        enum what e = rows[i].e;
        struct ev ev = {.type = e == W_FAIL    ? EV_STREAM_FAIL
                                : e == W_FIN   ? EV_FIN
                                : e == W_RESET ? EV_RESET
                                               : EV_DATA,
                        .strm = strm,
                        .cookie = cookie,
                        .data = {e >= W_ZERO && e <= W_NINE ? &bytes[e - W_ZERO] : bytes, 1}};
        introduce_ops.event(x, &ev, 5, &m->b.acts);
        const struct act *up = report_of(&m->b, rows[i].kind);
        assert_int_equal(up->kind, rows[i].kind);
        assert_int_equal(up->err, rows[i].err);
        assert_int_equal(up->cookie, rows[i].kind == INTRODUCE_UP_DONE ? 60 : 50);
        assert_int_equal(up->n, rows[i].at == A_ANSWERED && e == W_FIN ? REND_FULL : 0);
        acts_clear(&m->b);
        introduce_ops.tick(x, 1000 * NS_PER_S, &m->b.acts);
        introduce_ops.event(x, &ev, 1000 * NS_PER_S, &m->b.acts);
        assert_int_equal(m->b.acts.n, 0); /* and that is all */
        meeting_free(m);
    }
}

static void no_answer_within_its_time_is_an_end(void **state)
{
    struct meeting *m = meeting_new();
    static const struct ref strm = {8, 8};

    (void)state;
    assert_int_equal(call_ask(m, m->caller), QUDAG_OK);
    uint64_t cookie = m->b.act_v[0].cookie;
    acts_clear(&m->b);
    assert_int_equal(introduce_ops.deadline(m->caller), REND_ANSWER_TIMEOUT);
    introduce_ops.tick(m->caller, REND_ANSWER_TIMEOUT - 1, &m->b.acts);
    assert_int_equal(m->b.acts.n, 0);
    introduce_ops.tick(m->caller, REND_ANSWER_TIMEOUT, &m->b.acts);
    assert_int_equal(report_of(&m->b, INTRODUCE_UP_DONE)->err, QUDAG_ETIMEOUT);
    acts_clear(&m->b);
    struct ev late = {.type = EV_STREAM_OPEN, .strm = strm, .cookie = cookie};
    introduce_ops.event(m->caller, &late, REND_ANSWER_TIMEOUT, &m->b.acts);
    assert_int_equal(m->b.acts.n, 1);
    assert_true(was_reset(&m->b, strm, QUDAG_ECANCELED));
    acts_clear(&m->b);
    open_in(&m->b, m->relay, strm, NULL); /* a byte now and then wins no time */
    m->b.now = REND_REQUEST_TIMEOUT - 1;
    data_in(&m->b, m->relay, strm, "\2", 1);
    assert_int_equal(introduce_ops.deadline(m->relay), REND_REQUEST_TIMEOUT);
    introduce_ops.tick(m->relay, REND_REQUEST_TIMEOUT, &m->b.acts);
    assert_true(was_reset(&m->b, strm, QUDAG_ETIMEOUT));
    meeting_free(m);
}

static void our_own_requests_are_limited_and_checked(void **state)
{
    struct meeting *m = meeting_new();
    struct introduce_point nowhere = {.sk = &m->sk, .binding = the_binding};
    struct introduce_call no_circuit = {.intro_key = m->key, .handshake = m->hs};

    (void)state;
    assert_int_equal(introduce_establish(m->svc, &nowhere, 0, &m->b.acts), QUDAG_EINVAL);
    assert_int_equal(introduce_send(m->svc, &no_circuit, 0, &m->b.acts), QUDAG_EINVAL);
    for (unsigned i = 0; i < REND_ASKING_MAX; i++) {
        acts_clear(&m->b);
        assert_int_equal(i % 2 == 0 ? call_ask(m, m->svc) : establish_ask(m, m->svc, 0, 0),
                         QUDAG_OK);
    }
    assert_int_equal(call_ask(m, m->svc), QUDAG_ELIMIT);
    acts_clear(&m->b);
    introduce_ops.tick(m->svc, REND_ANSWER_TIMEOUT, &m->b.acts);
    assert_int_equal(m->b.acts.n, ACTS_ROOM / 4); /* a tick at a time */
    acts_clear(&m->b);
    introduce_ops.tick(m->svc, REND_ANSWER_TIMEOUT, &m->b.acts);
    assert_int_equal(m->b.acts.n, ACTS_ROOM / 4);
    acts_clear(&m->b);
    assert_int_equal(call_ask(m, m->svc), QUDAG_OK);
    meeting_free(m);
}

/* of a point that does not stand yet nothing can be said, which the relay would take for an error. */
static void only_a_point_that_stands_is_called_busy(void **state)
{
    struct meeting *m = meeting_new();
    uint8_t bytes[REND_ESTABLISH_LEN];

    (void)state;
    assert_int_equal(establish_ask(m, m->svc, 0, 0), QUDAG_OK);
    uint64_t opening = m->b.acts.n;
    introduce_busy(m->svc, 50, m->b.now, &m->b.acts);
    assert_int_equal(m->b.acts.n, opening);
    meeting_free(m);
    m = meeting_new();
    establish_bytes(m, 0, 0, bytes); /* it has left */
    introduce_busy(m->svc, 50, m->b.now, &m->b.acts);
    assert_int_equal(m->b.acts.n, 0);
    data_in(&m->b, m->svc, svc_strm, "\0", 1); /* REND_DONE */
    acts_clear(&m->b);
    introduce_busy(m->svc, 50, m->b.now, &m->b.acts);
    assert_true(has_act(&m->b, ACT_WRITE, svc_strm));
    meeting_free(m);
}

/* What follows the status of ESTABLISH in one piece is INTRODUCE2, and nothing of it is lost. */
static void status_and_introductions_may_come_together(void **state)
{
    static uint8_t all[1 + 2 * REND_HS_LEN];

    (void)state;
    for (size_t cut = 1; cut < 4 * sizeof all; cut *= 4) {
        struct meeting *m = meeting_new();
        size_t first = cut < sizeof all ? cut : sizeof all, n = 0;
        memcpy(all + 1, m->hs, REND_HS_LEN);
        memset(all + 1 + REND_HS_LEN, 0x5a, REND_HS_LEN);
        assert_int_equal(establish_ask(m, m->svc, 0, 0), QUDAG_OK);
        open_ours(&m->b, m->svc, svc_strm);
        acts_clear(&m->b);
        data_in(&m->b, m->svc, svc_strm, all, first);
        data_in(&m->b, m->svc, svc_strm, all + first, sizeof all - first);
        assert_int_equal(report_of(&m->b, INTRODUCE_UP_ESTABLISHED)->cookie, 50);
        for (size_t i = 0; i < m->b.acts.n; i++) {
            if (m->b.act_v[i].kind == INTRODUCE_UP_REQUEST) {
                assert_memory_equal(m->b.act_v[i].data.base, all + 1 + n * REND_HS_LEN,
                                    REND_HS_LEN);
                n++;
            }
        }
        assert_int_equal(n, 2);
        meeting_free(m);
    }
}

/* The list of actions is full of others': it is an error like others, not a report without its bytes. */
static void what_does_not_fit_into_the_list_is_an_error(void **state)
{
    struct meeting *m = meeting_new();

    (void)state;
    established(m, 0, 0);
    m->b.acts.bytes_cap = REND_HS_LEN - 1;
    data_in(&m->b, m->svc, svc_strm, m->hs, REND_HS_LEN);
    assert_true(m->b.acts.overflow);
    assert_true(was_reset(&m->b, svc_strm, QUDAG_ELIMIT));
    assert_true(report_of(&m->b, INTRODUCE_UP_REQUEST) == &no_act);
    assert_int_equal(report_of(&m->b, INTRODUCE_UP_ENDED)->err, QUDAG_ELIMIT);
    m->b.acts.overflow = false;
    meeting_free(m);
}

/* Everything once, with the n-th allocation failing: nothing is lost, and whoever asked hears of it. */
static void every_failed_allocation_is_survived(void **state)
{
    unsigned failed = 0, clean = 0;

    (void)state;
    for (uint64_t at = 1; clean < 3; at++) {
        struct meeting *m = meeting_new();
        struct introduce_config cfg = {
            .mem = &m->b.mem, .rng = rng_of_stream(&m->b.stream), .serve = true};
        uint8_t bytes[REND_ESTABLISH_LEN];
        struct introduce *x;
        establish_bytes(m, 0, 0, bytes);
        struct introduce *relay = m->relay;
        m->b.mem.fail_at = at;
        if (introduce_new(&x, &cfg, 0) != QUDAG_OK) {
            assert_null(x);
            m->b.mem.fail_at = 0;
            failed++;
            meeting_free(m);
            continue;
        }
        m->relay = x;
        establish_at(m, bytes, point_strm, NULL, the_binding);
        bool stands = answered(&m->b, point_strm, REND_DONE, false);
        assert_true(stands || was_reset(&m->b, point_strm, QUDAG_ENOMEM));
        acts_clear(&m->b);
        introduce_at(m, m->key, (struct ref){9, 1}, NULL);
        bool passed = answered(&m->b, (struct ref){9, 1}, REND_DONE, true);
        assert_true(passed || was_reset(&m->b, (struct ref){9, 1}, QUDAG_ENOMEM) ||
                    (!stands && answered(&m->b, (struct ref){9, 1}, REND_UNKNOWN, true)));
        acts_clear(&m->b);
        qudag_err err = establish_ask(m, x, 0, 0);
        bool reported = err == QUDAG_OK;
        if (err == QUDAG_OK) {
            open_ours(&m->b, x, svc_strm);
            reported = report_of(&m->b, INTRODUCE_UP_ENDED) == &no_act;
            data_in(&m->b, x, svc_strm, "\0", 1);
            data_in(&m->b, x, svc_strm, m->hs, REND_HS_LEN);
            reported = reported && report_of(&m->b, INTRODUCE_UP_REQUEST) != &no_act;
            assert_true(reported || report_of(&m->b, INTRODUCE_UP_ENDED)->err == QUDAG_ENOMEM);
        } else {
            assert_int_equal(err, QUDAG_ENOMEM);
        }
        bool all = stands && passed && reported;
        failed += !all;
        clean = all ? clean + 1 : 0;
        m->b.mem.fail_at = 0;
        introduce_free(relay);
        acts_clear(&m->b);
        meeting_free(m);
    }
    assert_in_range(failed, 12, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(every_end_is_reported_once_with_its_reason),
        cmocka_unit_test(no_answer_within_its_time_is_an_end),
        cmocka_unit_test(our_own_requests_are_limited_and_checked),
        cmocka_unit_test(only_a_point_that_stands_is_called_busy),
        cmocka_unit_test(status_and_introductions_may_come_together),
        cmocka_unit_test(what_does_not_fit_into_the_list_is_an_error),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
