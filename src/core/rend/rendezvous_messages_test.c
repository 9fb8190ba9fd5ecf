/*
 * rendezvous_messages_test.c - every message of both protocols, in every way it can arrive, in every state of the three
 * roles of a rendezvous: relay, caller, service.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rend/messages_bed.h"
#include "core/rend/rendezvous_bed.h"

/* Where a role can stand before a message comes. */
enum start {
    RELAY_NEW,
    RELAY_WAIT_CUT,
    RELAY_WAIT_WHOLE, /* without FIN */
    RELAY_MEET_CUT,
    RELAY_MEET_WHOLE, /* without FIN */
    RELAY_WAITING,
    RELAY_HANDOVER,
    RELAY_COMING,
    RELAY_RESET,
    RELAY_JOINED, /* the caller's stream, when all has left */
    CALLER_OPENING,
    CALLER_PLACING,
    CALLER_PLACED,
    CALLER_CREATED_CUT,
    CALLER_TAKEN,
    CALLER_ENDED,
    SERVICE_OPENING,
    SERVICE_MEETING,
    SERVICE_ANSWERED, /* without FIN */
    SERVICE_ENDED,
    STARTS
};

/* The letter of a state; one that is new does not compile, and which start covers it is to be said. */
static char letter_of(enum rendezvous_state s, enum start *covered)
{
    switch (s) {
    case RENDEZVOUS_OPENING:
        *covered = CALLER_OPENING;
        return 'O';
    case RENDEZVOUS_PLACING:
        *covered = CALLER_PLACING;
        return 'P';
    case RENDEZVOUS_PLACED:
        *covered = CALLER_PLACED;
        return 'D';
    case RENDEZVOUS_TAKEN:
        *covered = CALLER_TAKEN;
        return 'T';
    case RENDEZVOUS_MEETING:
        *covered = SERVICE_MEETING;
        return 'M';
    case RENDEZVOUS_REQUEST:
        *covered = RELAY_NEW;
        return 'R';
    case RENDEZVOUS_WAITING:
        *covered = RELAY_WAITING;
        return 'W';
    case RENDEZVOUS_HANDOVER:
        *covered = RELAY_HANDOVER;
        return 'H';
    case RENDEZVOUS_COMING:
        *covered = RELAY_COMING;
        return 'C';
    }
    return '?';
}

struct stage {
    struct fixture *t;
    struct rendezvous *core;
    struct ref strm;
    struct message_parts parts;
    uint8_t own[REND_COOKIE_LEN];
    uint64_t cookie; /* of the stream that is asked for */
};

static const struct ref others_strm = {66, 1};

/* Of two that meet, the stream of the caller is |strm| of a relay where somebody else waits as well. */
static void bring_meeting(struct stage *s, enum start at)
{
    struct fixture *t = s->t;

    wait_at(t, s->own, wait_strm, NULL);
    acts_clear(&t->b);
    s->strm = at == RELAY_COMING ? meet_strm : wait_strm;
    if (at == RELAY_WAITING) {
        return;
    }
    meet_at(t, s->own, meet_strm, NULL);
    assert_int_equal(act_of(&t->b, ACT_WRITE, wait_strm)->data.len, REND_CREATED_LEN);
    if (at == RELAY_JOINED) {
        sent(&t->b, t->relay, wait_strm, REND_CREATED_LEN + 1);
        assert_int_equal(met_stats(t->relay).joined, 1);
    }
}

static void bring_relay(struct stage *s, enum start at)
{
    struct fixture *t = s->t;
    uint8_t buf[REND_INTRODUCE1_LEN];

    wait_at(t, t->cookie, others_strm, NULL);
    acts_clear(&t->b);
    memset(s->own, 0x0e, sizeof s->own);
    s->parts.there = t->cookie;
    s->core = t->relay;
    s->strm = wait_strm;
    if (at >= RELAY_WAITING && at != RELAY_RESET) {
        bring_meeting(s, at);
        return;
    }
    open_in(&t->b, t->relay, wait_strm, NULL);
    if (at == RELAY_WAIT_CUT || at == RELAY_WAIT_WHOLE) {
        size_t len = message_bytes(&s->parts, M_WAIT, buf);
        data_in(&t->b, t->relay, wait_strm, buf, at == RELAY_WAIT_CUT ? 20 : len);
    } else if (at == RELAY_MEET_CUT || at == RELAY_MEET_WHOLE) {
        size_t len = message_bytes(&s->parts, M_MEET, buf);
        data_in(&t->b, t->relay, wait_strm, buf, at == RELAY_MEET_CUT ? 20 : len);
    } else if (at == RELAY_RESET) {
        event_in(&t->b, t->relay, EV_RESET, wait_strm);
    }
}

static void bring_asker(struct stage *s, enum start at)
{
    struct fixture *t = s->t;
    bool meet = at >= SERVICE_OPENING;

    s->core = t->asker;
    s->strm = our_strm;
    assert_int_equal(meet ? meet_ask(t, t->asker) : wait_ask(t, t->asker), QUDAG_OK);
    s->cookie = t->b.act_v[0].cookie;
    if (at == SERVICE_OPENING || at == CALLER_OPENING) {
        return;
    }
    open_ours(&t->b, t->asker, our_strm);
    if (at != CALLER_PLACING && at != SERVICE_MEETING) {
        data_in(&t->b, t->asker, our_strm, "\0", 1);
    }
    if (at == CALLER_CREATED_CUT || at == CALLER_TAKEN) {
        data_in(&t->b, t->asker, our_strm, t->created,
                at == CALLER_TAKEN ? REND_CREATED_LEN : (size_t)9);
    }
    if (at == SERVICE_ENDED || at == CALLER_ENDED) {
        event_in(&t->b, t->asker, EV_RESET, our_strm);
    }
}

static struct stage stage_new(enum start at)
{
    struct stage s = {.t = fixture_new()};

    message_parts_init(&s.parts);
    if (at < CALLER_OPENING) {
        bring_relay(&s, at);
    } else {
        bring_asker(&s, at);
    }
    acts_clear(&s.t->b);
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

    return j == NULL ? '-' : letter_of((enum rendezvous_state)j->state, &covered);
}

/*
 * Each asker hears once what came of it, when CREATED is whole or with its end; a relay joins nothing by what arrives,
 * but only by what has left.
 */
static void check_reports(const struct stage *s, enum start at, const struct message_outcome *o,
                          char after)
{
    bool caller = at >= CALLER_OPENING && at < SERVICE_OPENING, service = at >= SERVICE_OPENING;
    bool ended = after == 'x' || after == 'd';

    assert_int_equal(o->up[RENDEZVOUS_UP_JOIN], 0);
    assert_int_equal(o->up[RENDEZVOUS_UP_MET], service && ended);
    assert_int_equal(o->up[RENDEZVOUS_UP_CREATED],
                     caller && at != CALLER_TAKEN && (ended || after == 'T'));
    assert_true(at == CALLER_PLACING || o->up[RENDEZVOUS_UP_WAITING] == 0);
    /* who is about to be joined with it goes with it; else nobody else hears anything */
    assert_int_equal(o->others, ended && (at == RELAY_HANDOVER || at == RELAY_COMING));
    if (at < CALLER_OPENING && ended) { /* nothing is kept: the other cookie, and that is all */
        assert_int_equal(met_stats(s->core).requests, 0);
        assert_int_equal(met_stats(s->core).waiting, 1);
        assert_int_equal(met_stats(s->core).joined, at == RELAY_JOINED);
    }
}

static char outcome_of(enum start at, enum message m, enum way way)
{
    struct stage s = stage_new(at);
    char before = stands(&s);

    struct message_outcome o = message_play(&s.t->b, s.core, s.strm, &s.parts, m, way);
    char after = stands(&s);
    if (before != '-' && after == '-') {
        after = o.resets > 0 ? 'x' : 'd';
    } else {
        assert_int_equal(o.resets, 0);
    }
    /* MEET that names who waits, and was cut off only when it was whole, takes both with it */
    bool with_other = m == M_MEET_THERE && way == WAY_AFTER_FIN && at == RELAY_NEW;
    if (with_other) {
        assert_int_equal(o.others, 1);
        assert_int_equal(met_stats(s.core).waiting, 0);
    } else {
        check_reports(&s, at, &o, after);
    }
    fixture_free(s.t);
    return after;
}

#define ALL_X "xxxxxxxx"
#define GONE "--------"
/* Of bytes that are taken, and are no request yet: FIN is too early. */
#define R_MORE "RxRxRRRx"
#define D_MORE "DxDxDDDx"
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
    [RELAY_NEW] = {ALL_X, ALL_X, ALL_X, "RxRWRxxx", "RxRxRxxx", "RxRdRxxd", "RxRCRxxx", ALL_X,
                   "Rxxxxxxx", R_MORE, R_MORE, "Rxxxxxxx", "Rxxxxxxx", R_MORE},
    [RELAY_WAIT_CUT] = ROW_REFUSING(R_MORE, R_MORE),
    [RELAY_WAIT_WHOLE] = ROW_REFUSING("RWxxxxxx", "RWRWRRRW"),
    [RELAY_MEET_CUT] = {R_MORE, ALL_X, ALL_X, R_MORE, R_MORE, ALL_X, ALL_X, "RxRxRxxx", R_MORE,
                        R_MORE, R_MORE, R_MORE, R_MORE, R_MORE},
    [RELAY_MEET_WHOLE] = ROW_REFUSING("Rdxxxxxx", "RdRdRRRd"),
    [RELAY_WAITING] = ROW_REFUSING("WWxxxxxx", "WWWWWWWW"),
    [RELAY_HANDOVER] = ROW_REFUSING("HHxxxxxx", "HHHHHHHH"),
    [RELAY_COMING] = ROW_REFUSING("CCxxxxxx", "CCCCCCCC"),
    [RELAY_RESET] = ROW_ALL(GONE, GONE),
    [RELAY_JOINED] = ROW_ALL(GONE, GONE),
    [CALLER_OPENING] = ROW_ALL("OOOOOOOO", "OOOOOOOO"),
    [CALLER_PLACING] = {ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, "PxDxDDDx",
                        "Pxxxxxxx", "Pxxxxxxx", "Pxxxxxxx", "Pxxxxxxx", "PxPxPPPx"},
    [CALLER_PLACED] = {D_MORE, ALL_X, ALL_X, D_MORE, D_MORE, ALL_X, ALL_X, "DxTdTxxd", D_MORE,
                       D_MORE, D_MORE, D_MORE, D_MORE, D_MORE},
    [CALLER_CREATED_CUT] = {D_MORE, ALL_X, ALL_X, D_MORE, D_MORE, ALL_X, ALL_X, ALL_X, D_MORE,
                            D_MORE, D_MORE, D_MORE, D_MORE, D_MORE},
    [CALLER_TAKEN] = ROW_REFUSING("Tdxxxxxx", "TdTdTTTd"),
    [CALLER_ENDED] = ROW_ALL(GONE, GONE),
    [SERVICE_OPENING] = ROW_ALL("OOOOOOOO", "OOOOOOOO"),
    [SERVICE_MEETING] = {ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, ALL_X, "MxMdMxxd",
                         "MxMdMxxd", "MxMxMxxx", "MxMxMxxx", "MxMxMxxx", "MxMxMMMx"},
    [SERVICE_ANSWERED] = ROW_REFUSING("Mdxxxxxx", "MdMdMMMd"),
    [SERVICE_ENDED] = ROW_ALL(GONE, GONE),
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

static void the_table_has_every_state(void **state)
{
    (void)state;
    for (int i = RENDEZVOUS_OPENING; i <= RENDEZVOUS_COMING; i++) {
        enum start covered = STARTS;
        char letter = letter_of((enum rendezvous_state)i, &covered);
        struct stage s = stage_new(covered);
        assert_int_equal(stands(&s), letter);
        const struct rend_job *j = job_of(&s);
        assert_true(j != NULL && (int)j->state == i);
        fixture_free(s.t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_state),
        cmocka_unit_test(every_message_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
