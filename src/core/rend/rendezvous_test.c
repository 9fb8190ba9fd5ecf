/* rendezvous_test.c - caller, relay and service that meet, and every way to keep them from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rend/rendezvous_bed.h"

/* What the caller writes, or the |service|; then FIN. */
static size_t written(struct fixture *t, struct rendezvous *service, uint8_t *buf)
{
    bool meet = service != NULL;

    assert_int_equal(meet ? meet_ask(t, service) : wait_ask(t, t->asker), QUDAG_OK);
    open_ours(&t->b, meet ? service : t->asker, our_strm);
    assert_int_equal(outcome(&t->b), 'f');
    size_t len = t->b.act_v[0].data.len;
    assert_int_equal(len, meet ? REND_MEET_LEN : REND_WAIT_LEN);
    memcpy(buf, t->b.act_v[0].data.base, len);
    acts_clear(&t->b);
    return len;
}

static void in_pieces(struct fixture *t, void *core, struct ref strm, const uint8_t *p, size_t len,
                      size_t step)
{
    for (size_t at = 0; at < len; at += step) {
        data_in(&t->b, core, strm, p + at, len - at < step ? len - at : step);
    }
}

/* The caller's cookie comes in pieces of |step| bytes, and waits. */
static void caller_waits(struct fixture *t, size_t step)
{
    uint8_t buf[REND_MEET_LEN];
    static const uint8_t done = REND_DONE;
    size_t len = written(t, NULL, buf);

    open_in(&t->b, t->relay, wait_strm, NULL);
    in_pieces(t, t->relay, wait_strm, buf, len, step);
    assert_int_equal(t->b.acts.n, 0);
    event_in(&t->b, t->relay, EV_FIN, wait_strm);
    assert_int_equal(t->b.acts.n, 1);
    assert_true(answered(&t->b, wait_strm, REND_DONE, false));
    acts_clear(&t->b);
    data_in(&t->b, t->asker, our_strm, &done, 1);
    assert_int_equal(outcome(&t->b), 'u');
    assert_int_equal(t->b.act_v[0].kind, RENDEZVOUS_UP_WAITING);
    assert_int_equal(t->b.act_v[0].cookie, 70);
    acts_clear(&t->b);
}

/* |service| comes to the relay, which passes CREATED on and joins once that has left. */
static void service_meets(struct fixture *t, struct rendezvous *service, size_t step)
{
    uint8_t buf[REND_MEET_LEN];
    size_t len = written(t, service, buf);

    open_in(&t->b, t->relay, meet_strm, NULL);
    in_pieces(t, t->relay, meet_strm, buf, len, step);
    assert_int_equal(t->b.acts.n, 0);
    event_in(&t->b, t->relay, EV_FIN, meet_strm);
    assert_int_equal(t->b.acts.n, 1); /* nothing but CREATED */
    assert_int_equal(act_of(&t->b, ACT_WRITE, wait_strm)->data.len, REND_CREATED_LEN);
    assert_memory_equal(t->b.act_v[0].data.base, t->created, REND_CREATED_LEN);
    acts_clear(&t->b);
    /* a byte of it, or the status, has not left */
    sent(&t->b, t->relay, wait_strm, REND_CREATED_LEN);
    assert_int_equal(t->b.acts.n, 0);
    sent(&t->b, t->relay, wait_strm, 1);
    assert_int_equal(t->b.acts.n, 4);
    assert_int_equal(t->b.act_v[0].kind, RENDEZVOUS_UP_JOIN); /* first of all */
    const struct rendezvous_pair *pair = t->b.act_v[0].ptr;
    assert_true(ref_eq(pair->caller, wait_strm)); /* the bed names circuits after their streams */
    assert_true(ref_eq(pair->service, meet_strm));
    assert_true(answered(&t->b, meet_strm, REND_DONE, true));
    assert_true(has_act(&t->b, ACT_FIN, wait_strm));
    acts_clear(&t->b);
    assert_int_equal(met_stats(t->relay).joined, 1);
    assert_int_equal(met_stats(t->relay).waiting + met_stats(t->relay).requests, 0);
}

/* CREATED and the end of its stream reach the caller, status and end the |service|. */
static void both_hear_of_it(struct fixture *t, struct rendezvous *service, size_t step)
{
    static const uint8_t done = REND_DONE;

    in_pieces(t, t->asker, our_strm, t->created, REND_CREATED_LEN, step);
    assert_int_equal(outcome(&t->b), 'u');
    assert_int_equal(t->b.act_v[0].kind, RENDEZVOUS_UP_CREATED);
    assert_int_equal(t->b.act_v[0].err, QUDAG_OK);
    assert_int_equal(t->b.act_v[0].data.len, REND_CREATED_LEN);
    assert_memory_equal(t->b.act_v[0].data.base, t->created, REND_CREATED_LEN);
    acts_clear(&t->b);
    event_in(&t->b, t->asker, EV_FIN, our_strm);
    assert_int_equal(t->b.acts.n, 0);
    data_in(&t->b, service, our_strm, &done, 1);
    assert_int_equal(t->b.acts.n, 0);
    event_in(&t->b, service, EV_FIN, our_strm);
    assert_int_equal(outcome(&t->b), 'u');
    assert_int_equal(t->b.act_v[0].kind, RENDEZVOUS_UP_MET);
    assert_int_equal(t->b.act_v[0].cookie, 70);
    assert_int_equal(t->b.act_v[0].err, QUDAG_OK);
    assert_int_equal(t->b.act_v[0].n, REND_DONE);
    acts_clear(&t->b);
}

static void two_circuits_meet(void **state)
{
    (void)state;
    for (size_t step = 1; step < 4000; step = step * 3 + 7) {
        struct fixture *t = fixture_new();

        caller_waits(t, step);
        struct rendezvous *service = fixture_side(t, false);
        service_meets(t, service, step);
        both_hear_of_it(t, service, step);
        assert_int_equal(rendezvous_ops.deadline(t->asker), TSTAMP_NEVER);
        assert_int_equal(rendezvous_ops.deadline(service), TSTAMP_NEVER);
        assert_int_equal(rendezvous_ops.deadline(t->relay), TSTAMP_NEVER);
        rendezvous_free(service);
        fixture_free(t);
    }
}

/* the first takes it, be it only on the way. */
static void a_cookie_is_used_once(void **state)
{
    struct fixture *t = fixture_new();
    static const struct ref second = {20, 1}, third = {21, 1}, again = {22, 1};

    (void)state;
    handed_over(t);
    meet_at(t, t->cookie, second, NULL);
    assert_int_equal(t->b.acts.n, 2);
    assert_true(answered(&t->b, second, REND_UNKNOWN, true));
    acts_clear(&t->b);
    sent(&t->b, t->relay, wait_strm, REND_CREATED_LEN + 1);
    assert_int_equal(t->b.acts.n, 4);
    acts_clear(&t->b);
    meet_at(t, t->cookie, third, NULL);
    assert_true(answered(&t->b, third, REND_UNKNOWN, true));
    assert_int_equal(met_stats(t->relay).unknown, 2);
    acts_clear(&t->b);
    wait_at(t, t->cookie, again, NULL); /* whoever uses it again is nobody's business but his own */
    assert_true(answered(&t->b, again, REND_DONE, false));
    fixture_free(t);
}

static void a_cookie_that_differs_in_a_bit_is_another(void **state)
{
    struct fixture *t = fixture_new();
    uint8_t cookie[REND_COOKIE_LEN];
    uint32_t n = 100;

    (void)state;
    wait_at(t, t->cookie, wait_strm, NULL);
    acts_clear(&t->b);
    for (unsigned bit = 0; bit < 8 * REND_COOKIE_LEN; bit++) {
        struct ref strm = {n++, 1};
        memcpy(cookie, t->cookie, sizeof cookie);
        cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
        meet_at(t, cookie, strm, NULL);
        assert_true(answered(&t->b, strm, REND_UNKNOWN, true));
        acts_clear(&t->b);
    }
    meet_at(t, t->cookie, meet_strm, NULL);
    assert_int_equal(act_of(&t->b, ACT_WRITE, wait_strm)->data.len, REND_CREATED_LEN);
    fixture_free(t);
}

/* who guessed it, or drew it badly, gets nothing; who was first keeps it. */
static void a_cookie_that_is_there_is_refused(void **state)
{
    struct fixture *t = fixture_new();
    static const struct ref other = {30, 1};

    (void)state;
    wait_at(t, t->cookie, wait_strm, NULL);
    acts_clear(&t->b);
    wait_at(t, t->cookie, other, NULL);
    assert_int_equal(t->b.acts.n, 1);
    assert_true(was_reset(&t->b, other, QUDAG_EEXISTS));
    acts_clear(&t->b);
    meet_at(t, t->cookie, meet_strm, NULL);
    assert_int_equal(act_of(&t->b, ACT_WRITE, wait_strm)->data.len, REND_CREATED_LEN);
    fixture_free(t);
}

/* 60 s, and as long as its stream. */
static void a_cookie_goes_with_its_time_and_its_stream(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct fixture *t = fixture_new();
        wait_at(t, t->cookie, wait_strm, NULL);
        acts_clear(&t->b);
        assert_int_equal(rendezvous_ops.deadline(t->relay), RENDEZVOUS_COOKIE_LIFE);
        t->b.now = RENDEZVOUS_COOKIE_LIFE - (how == 0 ? 1 : 0);
        if (how == 2) {
            event_in(&t->b, t->relay, EV_RESET, wait_strm);
            assert_int_equal(t->b.acts.n, 0);
        } else {
            rendezvous_ops.tick(t->relay, t->b.now, &t->b.acts);
            assert_int_equal(was_reset(&t->b, wait_strm, QUDAG_ETIMEOUT), how == 1);
        }
        acts_clear(&t->b);
        meet_at(t, t->cookie, meet_strm, NULL);
        if (how == 0) {
            assert_true(has_act(&t->b, ACT_WRITE, wait_strm));
            acts_clear(&t->b);
            t->b.now += RENDEZVOUS_HANDOVER_TIMEOUT - 1; /* once taken it has its time to leave */
            rendezvous_ops.tick(t->relay, t->b.now, &t->b.acts);
            assert_int_equal(t->b.acts.n, 0);
        } else {
            assert_true(answered(&t->b, meet_strm, REND_UNKNOWN, true));
            assert_int_equal(met_stats(t->relay).expired, how == 1);
        }
        fixture_free(t);
    }
}

/* Of two that are about to be joined, whatever happens to one happens to both, and nothing is joined. */
static void both_go_when_one_goes_before_they_are_joined(void **state)
{
    (void)state;
    for (int how = 0; how < 6; how++) {
        struct fixture *t = fixture_new();
        struct ref hit = how % 2 == 0 ? wait_strm : meet_strm,
                   other = how % 2 == 0 ? meet_strm : wait_strm;
        handed_over(t);
        sent(&t->b, t->relay, wait_strm, 100);
        if (how < 2) {
            event_in(&t->b, t->relay, EV_RESET, hit);
            assert_int_equal(t->b.acts.n, 1);
            assert_true(was_reset(&t->b, other, QUDAG_ECLOSED));
        } else if (how < 4) {
            data_in(&t->b, t->relay, hit, "x", 1);
            assert_int_equal(t->b.acts.n, 2);
            assert_true(was_reset(&t->b, hit, QUDAG_EPROTO));
            assert_true(was_reset(&t->b, other, QUDAG_ECLOSED));
        } else { /* a caller that does not read */
            assert_int_equal(rendezvous_ops.deadline(t->relay), RENDEZVOUS_HANDOVER_TIMEOUT);
            rendezvous_ops.tick(t->relay, RENDEZVOUS_HANDOVER_TIMEOUT, &t->b.acts);
            assert_int_equal(t->b.acts.n, 2);
        }
        acts_clear(&t->b);
        sent(&t->b, t->relay, wait_strm, REND_CREATED_LEN + 1);
        assert_int_equal(t->b.acts.n, 0);
        assert_int_equal(met_stats(t->relay).joined, 0);
        assert_int_equal(met_stats(t->relay).waiting + met_stats(t->relay).requests, 0);
        fixture_free(t);
    }
}

static void a_circuit_has_one_stream_in_all(void **state)
{
    struct fixture *t = fixture_new();
    struct from one = {1, 1, 4711};

    (void)state;
    wait_at(t, t->cookie, wait_strm, &one);
    acts_clear(&t->b);
    meet_at(t, t->cookie, meet_strm, &one); /* to be joined with itself */
    assert_int_equal(t->b.acts.n, 1);
    assert_true(was_reset(&t->b, meet_strm, QUDAG_ELIMIT));
    acts_clear(&t->b);
    for (uint32_t i = 0; i < REND_CIRCUITS_SEEN; i++) { /* till it is forgotten */
        struct from next = {1, 1, 100000 + i};
        struct ref strm = {13, 1 + i};
        meet_at(t, t->created, strm, &next);
        assert_true(answered(&t->b, strm, REND_UNKNOWN, true));
        acts_clear(&t->b);
    }
    meet_at(t, t->cookie, meet_strm, &one);
    assert_true(was_reset(&t->b, meet_strm, QUDAG_EPROTO));
    fixture_free(t);
}

static void requests_cut_or_with_more_behind_are_reset(void **state)
{
    struct fixture *t = fixture_new();
    uint8_t bytes[REND_MEET_LEN + 1] = {0};
    uint32_t n = 100;

    (void)state;
    for (unsigned first = 0; first < 256; first++) { /* no such request: at its first byte */
        struct ref strm = {n++, 1};
        bytes[0] = (uint8_t)first;
        open_in(&t->b, t->relay, strm, NULL);
        data_in(&t->b, t->relay, strm, bytes, 1);
        assert_int_equal(outcome(&t->b), first == 1 || first == 2 ? '-' : 'r');
        acts_clear(&t->b);
        event_in(&t->b, t->relay, EV_FIN, strm);
        acts_clear(&t->b);
    }
    for (uint8_t first = 1; first <= 2; first++) {
        size_t whole = first == 1 ? REND_WAIT_LEN : REND_MEET_LEN;
        bytes[0] = first;
        for (size_t len = 0; len <= whole + 1; len++) {
            struct ref strm = {n++, 1};
            open_in(&t->b, t->relay, strm, NULL);
            data_in(&t->b, t->relay, strm, bytes, len);
            event_in(&t->b, t->relay, EV_FIN, strm);
            if (len != whole) {
                assert_int_equal(outcome(&t->b), 'r');
            } else if (first == 1) {
                assert_true(answered(&t->b, strm, REND_DONE, false));
                acts_clear(&t->b);
                event_in(&t->b, t->relay, EV_RESET, strm);
            } else {
                assert_true(answered(&t->b, strm, REND_UNKNOWN, true));
            }
            assert_int_equal(met_stats(t->relay).requests, 0);
            acts_clear(&t->b);
        }
    }
    fixture_free(t);
}

static void only_circuits_of_those_we_serve_come_in(void **state)
{
    struct fixture *t = fixture_new();
    struct ev open = {.type = EV_STREAM_OPEN, .inbound = true, .strm = {5, 5}, .link = 1};

    (void)state;
    rendezvous_ops.event(t->relay, &open, 0, &t->b.acts);
    assert_true(was_reset(&t->b, open.strm, QUDAG_EPOLICY)); /* no circuit */
    acts_clear(&t->b);
    open_in(&t->b, t->asker, open.strm, NULL);
    assert_true(was_reset(&t->b, open.strm, QUDAG_EREFUSED)); /* no relay */
    fixture_free(t);
}

/* Where a job can stand, and everything that can happen to it there. */
enum where {
    A_OPENING_WAIT,
    A_OPENING_MEET,
    A_PLACING,
    A_PLACED,
    A_HALF,
    A_TAKEN,
    A_MEETING,
    A_MET,
    R_REQUEST,
    R_WAITING,
    R_HANDOVER,
    R_COMING,
    WHERES
};
enum what {
    W_OPEN,
    W_FAIL,
    W_ZERO,
    W_ONE,
    W_TWO,
    W_NINE,
    W_TOO_MUCH,
    W_FIN,
    W_RESET,
    W_WRITABLE,
    W_TIME,
    WHATS
};

static void *bring(struct fixture *t, enum where at, struct ref *strm, uint64_t *cookie)
{
    uint8_t buf[REND_MEET_LEN];

    *strm = our_strm;
    *cookie = 0;
    switch (at) {
    case A_OPENING_WAIT:
    case A_OPENING_MEET:
        assert_int_equal(at == A_OPENING_WAIT ? wait_ask(t, t->asker) : meet_ask(t, t->asker),
                         QUDAG_OK);
        *cookie = t->b.act_v[0].cookie;
        return t->asker;
    case A_PLACING:
    case A_PLACED:
    case A_HALF:
    case A_TAKEN:
        (void)written(t, NULL, buf);
        if (at != A_PLACING) {
            data_in(&t->b, t->asker, our_strm, "\0", 1);
        }
        if (at == A_HALF || at == A_TAKEN) {
            data_in(&t->b, t->asker, our_strm, t->created, at == A_TAKEN ? REND_CREATED_LEN : 9);
        }
        return t->asker;
    case A_MEETING:
    case A_MET:
        (void)written(t, t->asker, buf);
        if (at == A_MET) {
            data_in(&t->b, t->asker, our_strm, "\1", 1);
        }
        return t->asker;
    case R_REQUEST:
        *strm = wait_strm;
        open_in(&t->b, t->relay, wait_strm, NULL);
        data_in(&t->b, t->relay, wait_strm, "\1abc", 4);
        return t->relay;
    case R_WAITING:
        *strm = wait_strm;
        wait_at(t, t->cookie, wait_strm, NULL);
        return t->relay;
    case R_HANDOVER:
    case R_COMING:
        *strm = at == R_HANDOVER ? wait_strm : meet_strm;
        handed_over(t);
        return t->relay;
    case WHERES:
        break;
    }
    fail();
    return NULL;
}

static void every_event_in_every_state(void **state)
{
    /* Columns as enum what: open, fail, data of 0, 1, 2, 9, of 1201 bytes, FIN, reset, writable, time. */
    static const char want[WHERES][WHATS + 1] = {
        [A_OPENING_WAIT] = "fu--------u", [A_OPENING_MEET] = "fu--------u",
        [A_PLACING] = "r-ubbbmbu-b", /* a status and too much: two reports and a reset */
        [A_PLACED] = "r-----bbu-b",       [A_HALF] = "r-----bbu-b",
        [A_TAKEN] = "r-rrrrr---r",        [A_MEETING] = "r-----bbu-b",
        [A_MET] = "r-bbbbbuu-b",          [R_REQUEST] = "r-----rr--r",
        [R_WAITING] = "r-rrrrr---r",      [R_HANDOVER] = "r-mmmmm-r-m", /* 'm': both streams */
        [R_COMING] = "r-mmmmm-r-m",
    };
    static const enum ev_type type[] = {EV_STREAM_OPEN, EV_STREAM_FAIL, EV_DATA, EV_DATA,
                                        EV_DATA,        EV_DATA,        EV_DATA, EV_FIN,
                                        EV_RESET,       EV_WRITABLE};
    static const uint8_t bytes[] = {0, 1, 2, 9}, much[REND_MEET_LEN];

    (void)state;
    for (int at = 0; at < WHERES; at++) {
        for (int e = 0; e < WHATS; e++) {
            struct fixture *t = fixture_new();
            struct ref strm;
            uint64_t cookie;
            void *x = bring(t, (enum where)at, &strm, &cookie);
            acts_clear(&t->b);
            if (e == W_TIME) {
                rendezvous_ops.tick(x, 1000 * NS_PER_S, &t->b.acts);
            } else {
                struct ev ev = {.type = type[e],
                                .strm = strm,
                                .cookie = cookie,
                                .n = 3,
                                .data = {much, sizeof much}};
                if (e >= W_ZERO && e <= W_NINE) {
                    ev.data = (struct slice){&bytes[e - W_ZERO], 1};
                }
                rendezvous_ops.event(x, &ev, 5, &t->b.acts);
            }
            if (outcome(&t->b) != want[at][e]) {
                fail_msg("state %d, event %d: %c, expected %c", at, e, outcome(&t->b), want[at][e]);
            }
            acts_clear(&t->b);
            fixture_free(t);
        }
    }
}

/* The reports behind the letters: which, and with what error. */
static void every_end_is_reported_once_with_its_reason(void **state)
{
    static const struct {
        enum where at;
        enum what e;
        uint16_t kind;
        qudag_err err;
    } rows[] = {
        {A_OPENING_WAIT, W_FAIL, RENDEZVOUS_UP_CREATED, QUDAG_EUNREACHABLE},
        {A_OPENING_MEET, W_FAIL, RENDEZVOUS_UP_MET, QUDAG_EUNREACHABLE},
        {A_PLACING, W_TWO, RENDEZVOUS_UP_CREATED, QUDAG_ELIMIT}, /* no room there */
        {A_PLACING, W_ONE, RENDEZVOUS_UP_CREATED, QUDAG_EPROTO},
        {A_PLACING, W_FIN, RENDEZVOUS_UP_CREATED, QUDAG_EPROTO},
        {A_PLACING, W_RESET, RENDEZVOUS_UP_CREATED, QUDAG_ERESET},
        {A_PLACED, W_FIN, RENDEZVOUS_UP_CREATED, QUDAG_EPROTO},
        {A_PLACED, W_RESET, RENDEZVOUS_UP_CREATED, QUDAG_ERESET},
        {A_HALF, W_FIN, RENDEZVOUS_UP_CREATED, QUDAG_EPROTO},
        {A_HALF, W_TOO_MUCH, RENDEZVOUS_UP_CREATED, QUDAG_EPROTO},
        {A_MEETING, W_FIN, RENDEZVOUS_UP_MET, QUDAG_EPROTO},
        {A_MEETING, W_RESET, RENDEZVOUS_UP_MET, QUDAG_ERESET},
        {A_MET, W_ZERO, RENDEZVOUS_UP_MET, QUDAG_EPROTO},
        {A_MET, W_FIN, RENDEZVOUS_UP_MET, QUDAG_OK},
    };
    static const uint8_t bytes[] = {0, 1, 2, 9}, much[REND_MEET_LEN];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *t = fixture_new();
        struct ref strm;
        uint64_t cookie;
        void *x = bring(t, rows[i].at, &strm, &cookie);
        enum what e = rows[i].e;
        acts_clear(&t->b);
        struct ev ev = {.type = e == W_FAIL    ? EV_STREAM_FAIL
                                : e == W_FIN   ? EV_FIN
                                : e == W_RESET ? EV_RESET
                                               : EV_DATA,
                        .strm = strm,
                        .cookie = cookie,
                        .data = {much, sizeof much}};
        if (e >= W_ZERO && e <= W_NINE) {
            ev.data = (struct slice){&bytes[e - W_ZERO], 1};
        }
        rendezvous_ops.event(x, &ev, 5, &t->b.acts);
        const struct act *up = report_of(&t->b, rows[i].kind);
        assert_int_equal(up->kind, rows[i].kind);
        assert_int_equal(up->err, rows[i].err);
        assert_int_equal(up->cookie, 70);
        assert_int_equal(up->n, rows[i].at == A_MET && e == W_FIN ? REND_UNKNOWN : 0);
        acts_clear(&t->b);
        rendezvous_ops.tick(x, 1000 * NS_PER_S, &t->b.acts);
        rendezvous_ops.event(x, &ev, 1000 * NS_PER_S, &t->b.acts);
        assert_int_equal(t->b.acts.n, 0); /* and that is all */
        fixture_free(t);
    }
}

static void no_answer_within_its_time_is_an_end(void **state)
{
    struct fixture *t = fixture_new();
    uint8_t buf[REND_MEET_LEN];
    static const struct ref strm = {8, 8};

    (void)state;
    (void)written(t, NULL, buf);
    assert_int_equal(rendezvous_ops.deadline(t->asker), REND_ANSWER_TIMEOUT);
    data_in(&t->b, t->asker, our_strm, "\0", 1);
    assert_int_equal(rendezvous_ops.deadline(t->asker), RENDEZVOUS_COOKIE_LIFE);
    data_in(&t->b, t->asker, our_strm, t->created, REND_CREATED_LEN);
    assert_int_equal(rendezvous_ops.deadline(t->asker), REND_ANSWER_TIMEOUT); /* for its FIN */
    acts_clear(&t->b);
    rendezvous_ops.tick(t->asker, REND_ANSWER_TIMEOUT, &t->b.acts);
    assert_int_equal(outcome(&t->b), 'r');
    acts_clear(&t->b);
    assert_int_equal(meet_ask(t, t->asker), QUDAG_OK);
    uint64_t cookie = t->b.act_v[0].cookie;
    acts_clear(&t->b);
    rendezvous_ops.tick(t->asker, REND_ANSWER_TIMEOUT, &t->b.acts);
    assert_int_equal(report_of(&t->b, RENDEZVOUS_UP_MET)->err, QUDAG_ETIMEOUT);
    acts_clear(&t->b);
    struct ev late = {.type = EV_STREAM_OPEN, .strm = strm, .cookie = cookie};
    rendezvous_ops.event(t->asker, &late, REND_ANSWER_TIMEOUT, &t->b.acts);
    assert_true(was_reset(&t->b, strm, QUDAG_ECANCELED));
    acts_clear(&t->b);
    open_in(&t->b, t->relay, strm, NULL); /* a byte now and then wins no time */
    t->b.now = REND_REQUEST_TIMEOUT - 1;
    data_in(&t->b, t->relay, strm, "\2", 1);
    assert_int_equal(rendezvous_ops.deadline(t->relay), REND_REQUEST_TIMEOUT);
    rendezvous_ops.tick(t->relay, REND_REQUEST_TIMEOUT, &t->b.acts);
    assert_true(was_reset(&t->b, strm, QUDAG_ETIMEOUT));
    fixture_free(t);
}

static void our_own_requests_are_limited_and_checked(void **state)
{
    struct fixture *t = fixture_new();
    struct rendezvous_request nowhere = request_of(t);

    (void)state;
    nowhere.circuit = (struct ref){0, 0};
    assert_int_equal(rendezvous_wait(t->asker, &nowhere, 0, &t->b.acts), QUDAG_EINVAL);
    assert_int_equal(rendezvous_meet(t->asker, &nowhere, 0, &t->b.acts), QUDAG_EINVAL);
    for (unsigned i = 0; i < REND_ASKING_MAX; i++) {
        acts_clear(&t->b);
        assert_int_equal(i % 2 == 0 ? wait_ask(t, t->asker) : meet_ask(t, t->asker), QUDAG_OK);
    }
    assert_int_equal(wait_ask(t, t->asker), QUDAG_ELIMIT);
    acts_clear(&t->b);
    rendezvous_ops.tick(t->asker, REND_ANSWER_TIMEOUT, &t->b.acts);
    assert_int_equal(t->b.acts.n, ACTS_ROOM / 4); /* a tick at a time */
    acts_clear(&t->b);
    assert_int_equal(wait_ask(t, t->asker), QUDAG_OK);
    fixture_free(t);
}

/* A relay may send what it has at once: what follows the status in one piece is CREATED, and nothing of it is lost. */
static void status_and_created_may_come_together(void **state)
{
    uint8_t both[1 + REND_CREATED_LEN] = {REND_DONE};

    (void)state;
    for (size_t cut = 1; cut <= sizeof both; cut = cut * 3 + 1) {
        struct fixture *t = fixture_new();
        size_t first = cut < sizeof both ? cut : sizeof both;
        memcpy(both + 1, t->created, REND_CREATED_LEN);
        assert_int_equal(wait_ask(t, t->asker), QUDAG_OK);
        open_ours(&t->b, t->asker, our_strm);
        acts_clear(&t->b);
        data_in(&t->b, t->asker, our_strm, both, first);
        data_in(&t->b, t->asker, our_strm, both + first, sizeof both - first);
        assert_int_equal(report_of(&t->b, RENDEZVOUS_UP_WAITING)->cookie, 70);
        const struct act *up = report_of(&t->b, RENDEZVOUS_UP_CREATED);
        assert_int_equal(up->err, QUDAG_OK);
        assert_int_equal(up->data.len, REND_CREATED_LEN);
        assert_memory_equal(up->data.base, t->created, REND_CREATED_LEN);
        fixture_free(t);
    }
}

/* The list of actions is full of others': it is an error like others, not a report without its bytes. */
static void what_does_not_fit_into_the_list_is_an_error(void **state)
{
    struct fixture *t = fixture_new();

    (void)state;
    assert_int_equal(wait_ask(t, t->asker), QUDAG_OK);
    open_ours(&t->b, t->asker, our_strm);
    data_in(&t->b, t->asker, our_strm, "\0", 1);
    acts_clear(&t->b);
    t->b.acts.bytes_cap = REND_CREATED_LEN - 1;
    data_in(&t->b, t->asker, our_strm, t->created, REND_CREATED_LEN);
    assert_true(t->b.acts.overflow);
    assert_true(was_reset(&t->b, our_strm, QUDAG_ELIMIT));
    assert_int_equal(report_of(&t->b, RENDEZVOUS_UP_CREATED)->err, QUDAG_ELIMIT);
    t->b.acts.overflow = false;
    acts_clear(&t->b);
    handed_over(t);
    t->b.acts.bytes_cap = sizeof(struct rendezvous_pair) - 1;
    sent(&t->b, t->relay, wait_strm, REND_CREATED_LEN + 1);
    assert_true(t->b.acts.overflow);
    assert_true(report_of(&t->b, RENDEZVOUS_UP_JOIN) == &no_act);
    assert_true(was_reset(&t->b, wait_strm, QUDAG_ELIMIT));
    assert_true(was_reset(&t->b, meet_strm, QUDAG_ECLOSED));
    assert_int_equal(met_stats(t->relay).joined, 0);
    t->b.acts.overflow = false;
    fixture_free(t);
}

/* Everything once, with the n-th allocation failing: nothing is lost, and whoever asked hears of it. */
static void every_failed_allocation_is_survived(void **state)
{
    unsigned failed = 0, clean = 0;

    (void)state;
    for (uint64_t at = 1; clean < 3; at++) {
        struct fixture *t = fixture_new();
        struct rendezvous_config cfg = {
            .mem = &t->b.mem, .rng = rng_of_stream(&t->b.stream), .serve = true};
        struct rendezvous *x, *relay = t->relay;
        t->b.mem.fail_at = at;
        if (rendezvous_new(&x, &cfg, 0) != QUDAG_OK) {
            assert_null(x);
            t->b.mem.fail_at = 0;
            failed++;
            fixture_free(t);
            continue;
        }
        t->relay = x;
        wait_at(t, t->cookie, wait_strm, NULL);
        bool waits = answered(&t->b, wait_strm, REND_DONE, false);
        assert_true(waits || was_reset(&t->b, wait_strm, QUDAG_ENOMEM));
        acts_clear(&t->b);
        meet_at(t, t->cookie, meet_strm, NULL);
        bool comes = has_act(&t->b, ACT_WRITE, wait_strm);
        assert_true(comes || was_reset(&t->b, meet_strm, QUDAG_ENOMEM) ||
                    (!waits && answered(&t->b, meet_strm, REND_UNKNOWN, true)));
        sent(&t->b, x, wait_strm, 5000);
        assert_int_equal(report_of(&t->b, RENDEZVOUS_UP_JOIN) != &no_act, comes);
        acts_clear(&t->b);
        qudag_err err = wait_ask(t, x);
        bool reported = err == QUDAG_OK;
        if (err == QUDAG_OK) {
            open_ours(&t->b, x, our_strm);
            data_in(&t->b, x, our_strm, "\0", 1);
            data_in(&t->b, x, our_strm, t->created, REND_CREATED_LEN);
            const struct act *up = report_of(&t->b, RENDEZVOUS_UP_CREATED);
            assert_int_equal(up->kind, RENDEZVOUS_UP_CREATED);
            reported = up->err == QUDAG_OK;
            assert_true(reported || up->err == QUDAG_ENOMEM);
        } else {
            assert_int_equal(err, QUDAG_ENOMEM);
        }
        bool all = waits && comes && reported;
        failed += !all;
        clean = all ? clean + 1 : 0;
        t->b.mem.fail_at = 0;
        rendezvous_free(relay);
        acts_clear(&t->b);
        fixture_free(t);
    }
    assert_in_range(failed, 12, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_circuits_meet),
        cmocka_unit_test(a_cookie_is_used_once),
        cmocka_unit_test(a_cookie_that_differs_in_a_bit_is_another),
        cmocka_unit_test(a_cookie_that_is_there_is_refused),
        cmocka_unit_test(a_cookie_goes_with_its_time_and_its_stream),
        cmocka_unit_test(both_go_when_one_goes_before_they_are_joined),
        cmocka_unit_test(a_circuit_has_one_stream_in_all),
        cmocka_unit_test(requests_cut_or_with_more_behind_are_reset),
        cmocka_unit_test(only_circuits_of_those_we_serve_come_in),
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(every_end_is_reported_once_with_its_reason),
        cmocka_unit_test(no_answer_within_its_time_is_an_end),
        cmocka_unit_test(our_own_requests_are_limited_and_checked),
        cmocka_unit_test(status_and_created_may_come_together),
        cmocka_unit_test(what_does_not_fit_into_the_list_is_an_error),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
