/*
 * introduce_messages_test.c - every message of both protocols, in every way it can arrive, in every state of the three
 * roles of introductions: relay, service, caller.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rend/introduce_bed.h"
#include "core/rend/messages_bed.h"

/* Where a role can stand before a message comes. */
enum start {
    RELAY_NEW,
    RELAY_ESTABLISH_CUT,
    RELAY_INTRODUCE1_CUT,
    RELAY_INTRODUCE1_WHOLE, /* without FIN */
    RELAY_BINDING,
    RELAY_REFUSED,
    RELAY_POINT,
    RELAY_RESET,
    RELAY_ENDED,
    SERVICE_OPENING,
    SERVICE_ESTABLISHING,
    SERVICE_ESTABLISHED,
    SERVICE_INTRODUCE2_CUT,
    SERVICE_ENDED,
    CALLER_OPENING,
    CALLER_SENT,
    CALLER_ANSWERED, /* without FIN */
    CALLER_ENDED,
    STARTS
};

/* The letter of a state; one that is new does not compile, and which start covers it is to be said. */
static char letter_of(enum introduce_state s, enum start *covered)
{
    switch (s) {
    case INTRODUCE_OPENING:
        *covered = SERVICE_OPENING;
        return 'O';
    case INTRODUCE_ESTABLISHING:
        *covered = SERVICE_ESTABLISHING;
        return 'T';
    case INTRODUCE_ESTABLISHED:
        *covered = SERVICE_ESTABLISHED;
        return 'E';
    case INTRODUCE_SENT:
        *covered = CALLER_SENT;
        return 'S';
    case INTRODUCE_REQUEST:
        *covered = RELAY_NEW;
        return 'R';
    case INTRODUCE_BINDING:
        *covered = RELAY_BINDING;
        return 'B';
    case INTRODUCE_REFUSED:
        *covered = RELAY_REFUSED;
        return 'F';
    case INTRODUCE_POINT:
        *covered = RELAY_POINT;
        return 'P';
    }
    return '?';
}

struct stage {
    struct meeting *m;
    struct introduce *core;
    struct ref strm;
    struct message_parts parts;
    uint8_t establish[REND_ESTABLISH_LEN], other_key[ED25519_PK_LEN];
    uint64_t cookie; /* of the stream that is asked for */
};

static const struct ref others_strm = {66, 1}, here = {40, 1};

/* A relay at which one point stands already, and no more do if |full|; INTRODUCE1 of the stage names that. */
static void with_a_point(struct stage *s, bool full)
{
    struct meeting *m = s->m;
    struct introduce_config cfg = {.mem = &m->b.mem,
                                   .rng = rng_of_stream(&m->b.stream),
                                   .serve = true,
                                   .points_max = full ? 1 : 2};
    struct rng rng = rng_of_stream(&m->b.stream);
    struct rend_establish e = {.rate = 1};
    struct secret_ed25519 sk;
    uint8_t bytes[REND_ESTABLISH_LEN];
    struct wr w = wr_init(bytes, sizeof bytes);

    introduce_free(m->relay);
    assert_int_equal(introduce_new(&m->relay, &cfg, 0), QUDAG_OK);
    assert_int_equal(ed25519_keygen(&sk, s->other_key, &rng), QUDAG_OK);
    assert_int_equal(rend_establish_sign(&e, &sk, the_binding), QUDAG_OK);
    rend_establish_put(&w, &e);
    establish_at(m, bytes, others_strm, NULL, the_binding);
    assert_true(answered(&m->b, others_strm, REND_DONE, false));
    acts_clear(&m->b);
    s->parts.key = s->other_key;
}

static void bring_relay(struct stage *s, enum start at)
{
    struct meeting *m = s->m;
    uint8_t i1[REND_INTRODUCE1_LEN];

    establish_bytes(m, 0, 0, s->establish);
    s->parts.establish = s->establish;
    with_a_point(s, at == RELAY_REFUSED);
    s->core = m->relay;
    s->strm = here;
    if (at == RELAY_REFUSED || at == RELAY_POINT) {
        establish_at(m, s->establish, here, NULL, the_binding);
        assert_true(
            answered(&m->b, here, at == RELAY_POINT ? REND_DONE : REND_FULL, at == RELAY_REFUSED));
        return;
    }
    open_in(&m->b, m->relay, here, NULL);
    (void)message_bytes(&s->parts, M_INTRODUCE1, i1);
    if (at == RELAY_ESTABLISH_CUT || at == RELAY_BINDING) {
        data_in(&m->b, m->relay, here, s->establish, at == RELAY_BINDING ? REND_ESTABLISH_LEN : 20);
    } else if (at == RELAY_INTRODUCE1_CUT || at == RELAY_INTRODUCE1_WHOLE || at == RELAY_ENDED) {
        data_in(&m->b, m->relay, here, i1, at == RELAY_INTRODUCE1_CUT ? 20 : sizeof i1);
    }
    if (at == RELAY_ENDED) {
        event_in(&m->b, m->relay, EV_FIN, here);
        assert_true(answered(&m->b, here, REND_DONE, true));
    } else if (at == RELAY_RESET) {
        event_in(&m->b, m->relay, EV_RESET, here);
    }
}

static void bring_asker(struct stage *s, enum start at)
{
    struct meeting *m = s->m;
    bool call = at >= CALLER_OPENING;

    s->core = m->svc;
    s->strm = call ? call_strm : svc_strm;
    assert_int_equal(call ? call_ask(m, m->svc) : establish_ask(m, m->svc, 0, 0), QUDAG_OK);
    s->cookie = m->b.act_v[0].cookie;
    if (at == SERVICE_OPENING || at == CALLER_OPENING) {
        return;
    }
    open_ours(&m->b, m->svc, s->strm);
    if (at == SERVICE_ESTABLISHED || at == SERVICE_INTRODUCE2_CUT || at == CALLER_ANSWERED) {
        data_in(&m->b, m->svc, s->strm, "\0", 1);
    }
    if (at == SERVICE_INTRODUCE2_CUT) {
        data_in(&m->b, m->svc, s->strm, m->hs, 100);
    }
    if (at == SERVICE_ENDED || at == CALLER_ENDED) {
        event_in(&m->b, m->svc, EV_RESET, s->strm);
    }
}

static struct stage stage_new(enum start at)
{
    struct stage s = {.m = meeting_new()};

    message_parts_init(&s.parts);
    if (at < SERVICE_OPENING) {
        bring_relay(&s, at);
    } else {
        bring_asker(&s, at);
    }
    acts_clear(&s.m->b);
    return s;
}

/* The job under test: of its stream, or the one that asks for it. */
static const struct rend_job *job_of(const struct stage *s)
{
    const struct rend_job *j = rend_job_of_stream(&s->core->t, s->strm);

    return j == NULL && s->cookie != 0 ? rend_job_get(&s->core->t, ref_from_u64(s->cookie)) : j;
}

static char stands(const struct stage *s)
{
    enum start covered = STARTS;
    const struct rend_job *j = job_of(s);

    return j == NULL ? '-' : letter_of((enum introduce_state)j->state, &covered);
}

/* Each asker hears of its end once, then and only then; a relay reports nothing but bindings that it needs. */
static void check_reports(const struct stage *s, enum start at, const struct message_outcome *o,
                          bool ended)
{
    bool relay = at < SERVICE_OPENING, call = at >= CALLER_OPENING;

    assert_int_equal(o->up[INTRODUCE_UP_DONE], call && ended);
    assert_int_equal(o->up[INTRODUCE_UP_ENDED], !relay && !call && ended);
    assert_true(relay || o->up[INTRODUCE_UP_BINDING] == 0);
    assert_int_equal(o->others, 0);
    if (at == SERVICE_ESTABLISHED ||
        at == SERVICE_INTRODUCE2_CUT) { /* all that came is passed up */
        size_t had = at == SERVICE_INTRODUCE2_CUT ? 100 : 0;
        assert_int_equal(o->up[INTRODUCE_UP_REQUEST], (had + o->bytes_in) / REND_HS_LEN);
    } else {
        assert_int_equal(o->up[INTRODUCE_UP_REQUEST], 0);
    }
    if (relay && ended) { /* nothing is kept: the other point, and that is all */
        assert_int_equal(stats_of(s->core).requests, 0);
        assert_int_equal(stats_of(s->core).points, 1);
    }
}

static char outcome_of(enum start at, enum message m, enum way way)
{
    struct stage s = stage_new(at);
    char before = stands(&s);

    struct message_outcome o = message_play(&s.m->b, s.core, s.strm, &s.parts, m, way);
    char after = stands(&s);
    bool ended = before != '-' && after == '-';
    if (ended) {
        after = o.resets > 0 ? 'x' : 'd';
    } else {
        assert_int_equal(o.resets, 0);
    }
    /* who ends a stream from his side gets an end back, but where one was sent already */
    assert_int_equal(o.fins, after == 'd' && at != RELAY_REFUSED && at < CALLER_OPENING);
    check_reports(&s, at, &o, ended);
    /* An INTRODUCE1 that is whole with its FIN is passed on once, nothing else ever is. */
    bool passed = after == 'd' && (m == M_INTRODUCE1 || at == RELAY_INTRODUCE1_WHOLE);
    assert_int_equal(o.passed, passed);
    assert_int_equal(s.core->stats.passed, passed + (at == RELAY_ENDED));
    meeting_free(s.m);
    return after;
}

#define ALL_X "xxxxxxxx"
#define GONE "--------"
/* Of bytes that are taken, and are no request yet: FIN is too early. */
#define R_MORE "RxRxRRRx"
#define ROW_ALL(row, none)                                                                         \
    {                                                                                              \
        row, row, row, row, row, row, row, row, row, row, row, row, row, none                      \
    }
#define ROW_REFUSING(one, none)                                                                    \
    {                                                                                              \
        ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, one, one, one, one, one, none      \
    }

/* Rows: where it stands.  Columns: enum message.  Letters: enum way, as messages_bed.h and letter_of() say. */
static const message_row want[STARTS] = {
    [RELAY_NEW] = {"RxBdBxxd", "RxRdRxxd", ALL_X, R_MORE, R_MORE, R_MORE, R_MORE, ALL_X, "Rxxxxxxx",
                   R_MORE, R_MORE, "Rxxxxxxx", "Rxxxxxxx", R_MORE},
    [RELAY_ESTABLISH_CUT] = {ALL_X, ALL_X, ALL_X, R_MORE, R_MORE, ALL_X, ALL_X, ALL_X, R_MORE,
                             R_MORE, R_MORE, R_MORE, R_MORE, R_MORE},
    [RELAY_INTRODUCE1_CUT] = {R_MORE, ALL_X, "RxRxRxxx", R_MORE, R_MORE, R_MORE, R_MORE, R_MORE,
                              R_MORE, R_MORE, R_MORE, R_MORE, R_MORE, R_MORE},
    [RELAY_INTRODUCE1_WHOLE] = ROW_REFUSING("Rdxxxxxx", "RdRdRRRd"),
    [RELAY_BINDING] = ROW_REFUSING("Bdxxxxxx", "BdBdBBBd"),
    [RELAY_REFUSED] = ROW_REFUSING("Fdxxxxxx", "FdFdFFFd"),
    [RELAY_POINT] = {ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, "PdPdPPPd", "PdPdPPPd",
                     "Pdxxxxxx", "Pdxxxxxx", "Pdxxxxxx", "PdPdPPPd"},
    [RELAY_RESET] = ROW_ALL(GONE, GONE),
    [RELAY_ENDED] = ROW_ALL(GONE, GONE),
    [SERVICE_OPENING] = ROW_ALL("OOOOOOOO", "OOOOOOOO"),
    [SERVICE_ESTABLISHING] = {ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, "TxEdEEEd",
                              "Txxxxxxx", "Txxxxxxx", "Txxxxxxx", "Txxxxxxx", "TxTxTTTx"},
    /* whatever comes is of an INTRODUCE2, and FIN may come between two of them only */
    [SERVICE_ESTABLISHED] = {"ExExEEEx", "ExExEEEx", "ExEdEEEd", "ExExEEEx", "ExExEEEx", "ExExEEEx",
                             "ExExEEEx", "ExExEEEx", "EdExEEEx", "EdExEEEx", "EdExEEEx", "EdExEEEx",
                             "EdExEEEx", "EdEdEEEd"},
    [SERVICE_INTRODUCE2_CUT] = ROW_ALL("ExExEEEx", "ExExEEEx"),
    [SERVICE_ENDED] = ROW_ALL(GONE, GONE),
    [CALLER_OPENING] = ROW_ALL("OOOOOOOO", "OOOOOOOO"),
    [CALLER_SENT] = {ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, "SxSdSxxd", "SxSdSxxd",
                     "SxSdSxxd", "SxSdSxxd", "SxSxSxxx", "SxSxSSSx"},
    [CALLER_ANSWERED] = ROW_REFUSING("Sdxxxxxx", "SdSdSSSd"),
    [CALLER_ENDED] = ROW_ALL(GONE, GONE),
};

static void every_message_in_every_state(void **state)
{
    (void)state;
    for (int at = 0; at < STARTS; at++) {
        for (int m = 0; m < MESSAGES; m++) {
            assert_non_null(want[at][m]);
            assert_int_equal(strlen(want[at][m]), WAYS);
            for (int way = 0; way < WAYS; way++) {
                char got = outcome_of((enum start)at, (enum message)m, (enum way)way);
                if (got != want[at][m][way]) {
                    fail_msg("start %d, message %d, way %d: %c, expected %c", at, m, way, got,
                             want[at][m][way]);
                }
            }
        }
    }
}

static void the_table_has_every_state_and_every_request(void **state)
{
    uint8_t buf[REND_INTRODUCE1_LEN];
    struct message_parts p;

    (void)state;
    message_parts_init(&p);
    for (int i = INTRODUCE_OPENING; i <= INTRODUCE_POINT; i++) {
        enum start covered = STARTS;
        char letter = letter_of((enum introduce_state)i, &covered);
        struct stage s = stage_new(covered);
        assert_int_equal(stands(&s), letter);
        const struct rend_job *j = job_of(&s);
        assert_true(j != NULL && (int)j->state == i);
        meeting_free(s.m);
    }
    for (int r = REND_ESTABLISH; r <= REND_MEET; r++) {
        enum message m = message_of_request((enum rend_request)r);
        assert_int_equal(message_bytes(&p, m, buf), rend_request_len((enum rend_request)r));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_state_and_every_request),
        cmocka_unit_test(every_message_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
