/*
 * messages_test.c - what the node tells a caller and a service, each in every state of theirs, and once more: what they
 * report then, in letters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit_case.h"

#include <stdio.h>

#define LETTERS 16

/* --- the caller -------------------------------------------------------------------------------- */

enum call_start {
    C_ASKED,      /* R and the first point are being built */
    C_R_BUILT,    /* the cookie is on its way to R */
    C_R_WAITS,    /* it waits there; the point is being built */
    C_I_BUILT,    /* the point is built, R is not */
    C_BOTH_BUILT, /* both are, the cookie is on its way */
    C_INTRODUCED, /* INTRODUCE1 left */
    C_PASSED,     /* and was passed on */
    C_MET,        /* CREATED fitted; nobody took the keys yet */
    C_TAKEN,      /* over */
    C_CANCELLED,  /* over before */
    C_STARTS
};

enum call_message {
    C_IS_R_BUILT,
    C_IS_WAITING,
    C_IS_REFUSED, /* R has no room for the cookie */
    C_IS_I_BUILT,
    C_IS_PASSED_ON,
    C_IS_UNKNOWN, /* there is no such point */
    C_IS_FULL,
    C_IS_BUSY, /* more call than the service meets */
    C_IS_NO_STATUS,
    C_IS_BROKEN, /* the introduction's stream */
    C_IS_CREATED,
    C_IS_FORGED, /* a CREATED that fits nothing */
    C_IS_CREATED_CUT,
    C_IS_CREATED_LONG,
    C_IS_R_FAILED,
    C_IS_I_FAILED,
    C_IS_SOLVED, /* work that nobody asked for */
    C_IS_TAKE,
    C_IS_CANCEL,
    C_MESSAGES
};

struct call_stage {
    struct bed *b;
    uint64_t r, i;
    uint8_t created[REND_CREATED_LEN + 1]; /* what the service answers, once it was asked */
    uint32_t taken;
};

static char letter_of_call(uint16_t kind)
{
    switch ((enum hidden_call_up)kind) {
    case HIDDEN_CALL_NEED_R:
        return 'R';
    case HIDDEN_CALL_NEED_I:
        return 'I';
    case HIDDEN_CALL_WAIT:
        return 'W';
    case HIDDEN_CALL_INTRODUCE:
        return 'N';
    case HIDDEN_CALL_MET:
        return 'M';
    case HIDDEN_CALL_END:
        return 'E';
    case HIDDEN_CALL_CLOSE:
        return 'C';
    case HIDDEN_CALL_SOLVE:
        return 'S';
    case HIDDEN_CALL_UNSOLVE:
        return 'U';
    }
    return '?';
}

static void say_to_call(struct call_stage *s, enum call_message m)
{
    struct bed *b = s->b;
    struct onion_hs_keys keys;
    struct onion_hop r;

    relay_set(b, &r, 51);
    switch (m) {
    case C_IS_R_BUILT:
        hidden_call_r_built(b->calls, s->r, new_circuit(b), &r, b->now, &b->acts);
        break;
    case C_IS_WAITING:
    case C_IS_REFUSED:
        hidden_call_waiting(b->calls, s->r, m == C_IS_WAITING ? QUDAG_OK : QUDAG_ELIMIT, b->now,
                            &b->acts);
        break;
    case C_IS_I_BUILT:
        hidden_call_i_built(b->calls, s->i, new_circuit(b), b->now, &b->acts);
        break;
    case C_IS_PASSED_ON:
    case C_IS_UNKNOWN:
    case C_IS_FULL:
    case C_IS_BUSY:
    case C_IS_NO_STATUS:
        hidden_call_introduced(b->calls, s->i, QUDAG_OK,
                               m == C_IS_NO_STATUS ? 9 : (uint64_t)(m - C_IS_PASSED_ON), b->now,
                               &b->acts);
        break;
    case C_IS_BROKEN:
        hidden_call_introduced(b->calls, s->i, QUDAG_ERESET, 0, b->now, &b->acts);
        break;
    case C_IS_FORGED:
        s->created[40] ^= 1;
        hidden_call_created(b->calls, s->r, (struct slice){s->created, REND_CREATED_LEN}, b->now,
                            &b->acts);
        s->created[40] ^= 1;
        break;
    case C_IS_CREATED:
    case C_IS_CREATED_CUT:
    case C_IS_CREATED_LONG:
        hidden_call_created(b->calls, s->r,
                            (struct slice){s->created, m == C_IS_CREATED ? REND_CREATED_LEN
                                                       : m == C_IS_CREATED_CUT
                                                           ? REND_CREATED_LEN - 1
                                                           : REND_CREATED_LEN + 1},
                            b->now, &b->acts);
        break;
    case C_IS_R_FAILED:
    case C_IS_I_FAILED:
        hidden_call_failed(b->calls, m == C_IS_R_FAILED ? s->r : s->i, b->now, &b->acts);
        break;
    case C_IS_SOLVED:
        hidden_call_solved(b->calls, s->i, QUDAG_OK, 7, b->now, &b->acts);
        break;
    case C_IS_TAKE:
        s->taken += hidden_call_take(b->calls, s->r, &keys) == QUDAG_OK ? 1 : 0;
        break;
    case C_IS_CANCEL:
        hidden_call_cancel(b->calls, 1, &b->acts);
        break;
    case C_MESSAGES:
        break;
    }
    take(b);
}

static struct call_stage bring_call(enum call_start at)
{
    struct call_stage s = {.b = bed_new((uint8_t)at)};
    struct onion_hs_keys theirs;

    assert_int_equal(call_it(s.b, 1, 3), QUDAG_OK);
    s.r = call_up(s.b, HIDDEN_CALL_NEED_R).id;
    s.i = call_up(s.b, HIDDEN_CALL_NEED_I).id;
    if (at != C_ASKED && at != C_I_BUILT) {
        say_to_call(&s, C_IS_R_BUILT);
    }
    if (at == C_R_WAITS || at >= C_INTRODUCED) {
        say_to_call(&s, C_IS_WAITING);
    }
    if (at >= C_I_BUILT) {
        say_to_call(&s, C_IS_I_BUILT);
    }
    if (at >= C_INTRODUCED) {
        struct up intro = call_up(s.b, HIDDEN_CALL_INTRODUCE);
        assert_int_equal(answer_it(s.b, &intro, s.created, &theirs), QUDAG_OK);
    }
    if (at >= C_PASSED) {
        say_to_call(&s, C_IS_PASSED_ON);
    }
    if (at == C_MET || at == C_TAKEN) {
        say_to_call(&s, C_IS_CREATED);
        assert_int_equal(n_calls(s.b, HIDDEN_CALL_MET), 1);
    }
    if (at == C_TAKEN || at == C_CANCELLED) {
        say_to_call(&s, at == C_TAKEN ? C_IS_TAKE : C_IS_CANCEL);
        assert_int_equal(hidden_calls_count(s.b->calls), 0);
    }
    return s;
}

/* What was reported from |from| on, '-' for nothing. */
static void letters(const struct up *up, size_t from, size_t n, char (*letter)(uint16_t),
                    char out[LETTERS])
{
    size_t at = 0;

    assert_true(n - from < LETTERS);
    for (size_t i = from; i < n; i++) {
        out[at++] = letter(up[i].kind);
    }
    if (at == 0) {
        out[at++] = '-';
    }
    out[at] = '\0';
}

/* What comes of the message, and of the same once more: "CR -". */
typedef const char *call_row[C_MESSAGES];

#define NONE "- -"
#define BACK "C C" /* a circuit that nobody wants comes back */
#define BACK_ONCE "- C"
/* r_built, waiting, refused, i_built, passed, unknown, full, busy, no status, broken, created, forged, cut, ... */
static const call_row call_wants[C_STARTS] = {
    [C_ASKED] = {"W C", NONE, NONE, BACK_ONCE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
                 NONE, "R -", "I -", NONE, NONE, NONE},
    [C_R_BUILT] = {BACK, NONE, "CR -", "N C", NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
                   NONE, "CR -", "I -", NONE, NONE, "C -"},
    [C_R_WAITS] = {BACK, NONE, NONE, "N C", NONE, NONE, NONE, NONE, NONE, NONE, "CR -", "CR -",
                   "CR -", "CR -", "CR -", "I -", NONE, NONE, "C -"},
    [C_I_BUILT] = {"WN C", NONE, NONE, BACK, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
                   NONE, "R -", "CI -", NONE, NONE, "C -"},
    [C_BOTH_BUILT] = {BACK, NONE, "CCRI -", BACK, "C -", "CI -", "CI -", "C -", "CI -", "CI -",
                      NONE, NONE, NONE, NONE, "CCRI -", "CI -", NONE, NONE, "CC -"},
    [C_INTRODUCED] = {BACK, NONE, NONE, BACK, "C -", "CI -", "CI -", "C -", "CI -", "CI -", "CM -",
                      "CCRI -", "CCRI -", "CCRI -", "CCRI -", "CI -", NONE, NONE, "CC -"},
    [C_PASSED] = {BACK, NONE, NONE, BACK, NONE, NONE, NONE, NONE, NONE, NONE, "M -", "CRI -",
                  "CRI -", "CRI -", "CRI -", NONE, NONE, NONE, "C -"},
    [C_MET] = {BACK, NONE, NONE, BACK, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
               "CE -", NONE, NONE, NONE, "C -"},
    [C_TAKEN] = {BACK, NONE, NONE, BACK, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
                 NONE, NONE, NONE, NONE, NONE},
    [C_CANCELLED] = {BACK, NONE, NONE, BACK, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
                     NONE, NONE, NONE, NONE, NONE, NONE},
};

static void every_message_to_a_caller(void **state)
{
    unsigned wrong = 0;
    (void)state;

    for (int at = 0; at < C_STARTS; at++) {
        for (int m = 0; m < C_MESSAGES; m++) {
            struct call_stage s = bring_call((enum call_start)at);
            char first[LETTERS], again[LETTERS], both[2 * LETTERS];
            size_t from = s.b->n_up;
            say_to_call(&s, (enum call_message)m);
            letters(s.b->up, from, s.b->n_up, letter_of_call, first);
            from = s.b->n_up;
            say_to_call(&s, (enum call_message)m);
            letters(s.b->up, from, s.b->n_up, letter_of_call, again);
            (void)snprintf(both, sizeof both, "%s %s", first, again);
            assert_non_null(call_wants[at][m]);
            if (strcmp(both, call_wants[at][m]) != 0) {
                print_message("start %d, message %d: %s, expected %s\n", at, m, both,
                              call_wants[at][m]);
                wrong++;
            }
            run_to(s.b, s.b->now + 60 * SECOND); /* nobody answers any more */
            bool over = at == C_CANCELLED || m == C_IS_CANCEL || s.taken > 0;
            assert_int_equal(n_calls(s.b, HIDDEN_CALL_END), !over);
            assert_int_equal(n_calls(s.b, HIDDEN_CALL_CLOSE) + s.taken, s.b->refs);
            assert_int_equal(hidden_calls_count(s.b->calls), 0);
            bed_free(s.b);
        }
    }
    assert_int_equal(wrong, 0);
}

/* --- the service ------------------------------------------------------------------------------- */

enum serve_start {
    S_ASKED,  /* a point is being built */
    S_BUILT,  /* ESTABLISH is on its way */
    S_STANDS, /* three of them do */
    S_CALLED, /* a circuit to R is being built */
    S_COMING, /* MEET is on its way */
    S_READY,  /* and the keys are taken */
    S_MET,    /* joined */
    S_LOST,   /* the point's circuit broke */
    S_ENDED,  /* the service */
    S_STARTS
};

enum serve_message {
    S_IS_BUILT,
    S_IS_BUILT_IN_USE, /* at a relay that has a point already */
    S_IS_ESTABLISHED,
    S_IS_ENDED,
    S_IS_UNREACHABLE,
    S_IS_HANDSHAKE, /* the one by which it is called, where it is */
    S_IS_NEW,       /* another */
    S_IS_ELSEWHERE, /* made for another point */
    S_IS_CHANGED,   /* a bit of it */
    S_IS_CUT,
    S_IS_R_BEGUN,
    S_IS_R_BUILT,
    S_IS_R_FAILED,
    S_IS_TAKE,
    S_IS_JOINED,
    S_IS_NO_COOKIE,
    S_IS_NO_STATUS,
    S_IS_BROKEN, /* the stream of MEET */
    S_IS_STOP,
    S_MESSAGES
};

struct serve_stage {
    struct bed *b;
    uint64_t point, caller;
    uint8_t handshake[REND_HS_LEN], fresh[REND_HS_LEN], elsewhere[REND_HS_LEN];
    uint32_t met, taken;
};

static char letter_of_serve(uint16_t kind)
{
    switch ((enum hidden_serve_up)kind) {
    case HIDDEN_SERVE_NEED_POINT:
        return 'P';
    case HIDDEN_SERVE_ESTABLISH:
        return 'S';
    case HIDDEN_SERVE_SAVE:
        return 'K';
    case HIDDEN_SERVE_TARGET:
        return 'T';
    case HIDDEN_SERVE_NEED_R:
        return 'R';
    case HIDDEN_SERVE_MEET:
        return 'M';
    case HIDDEN_SERVE_SHED:
        return 'H';
    case HIDDEN_SERVE_BUSY:
        return 'B';
    case HIDDEN_SERVE_CLOSE:
        return 'C';
    }
    return '?';
}

static void met_with(struct serve_stage *s, qudag_err err, uint64_t status)
{
    struct hidden_serve_stats before = {0}, after = {0};

    (void)!hidden_serve_stats_get(s->b->services, 1, &before);
    hidden_serve_met(s->b->services, s->caller, err, status, s->b->now, &s->b->sacts);
    (void)!hidden_serve_stats_get(s->b->services, 1, &after);
    s->met += (uint32_t)(after.met - before.met);
}

static void say_to_service(struct serve_stage *s, enum serve_message m)
{
    struct bed *b = s->b;
    struct onion_hs_keys keys;
    struct onion_hop relay;

    relay_set(b, &relay, m == S_IS_BUILT_IN_USE ? 2 : 77);
    switch (m) {
    case S_IS_BUILT:
    case S_IS_BUILT_IN_USE:
        hidden_serve_point_built(b->services, s->point, new_circuit(b), &relay, b->now, &b->sacts);
        break;
    case S_IS_ESTABLISHED:
        hidden_serve_established(b->services, s->point, b->now, &b->sacts);
        break;
    case S_IS_ENDED:
        hidden_serve_point_ended(b->services, s->point, b->now, &b->sacts);
        break;
    case S_IS_UNREACHABLE:
        hidden_serve_point_unreachable(b->services, s->point, b->now, &b->sacts);
        break;
    case S_IS_HANDSHAKE:
        request(b, s->point, s->handshake);
        break;
    case S_IS_NEW:
        request(b, s->point, s->fresh);
        break;
    case S_IS_ELSEWHERE:
        request(b, s->point, s->elsewhere);
        break;
    case S_IS_CHANGED:
        s->fresh[REND_HS_LEN - 1] ^= 1;
        request(b, s->point, s->fresh);
        s->fresh[REND_HS_LEN - 1] ^= 1;
        break;
    case S_IS_CUT:
        hidden_serve_request(b->services, s->point, (struct slice){s->fresh, REND_HS_LEN - 1},
                             b->now, &b->sacts);
        break;
    case S_IS_R_BEGUN:
        hidden_serve_r_begun(b->services, s->caller, b->now, &b->sacts);
        break;
    case S_IS_R_BUILT:
        hidden_serve_r_built(b->services, s->caller, new_circuit(b), b->now, &b->sacts);
        break;
    case S_IS_R_FAILED:
        hidden_serve_r_failed(b->services, s->caller, b->now, &b->sacts);
        break;
    case S_IS_TAKE:
        s->taken += hidden_serve_take(b->services, s->caller, &keys) == QUDAG_OK ? 1 : 0;
        break;
    case S_IS_JOINED:
    case S_IS_NO_COOKIE:
        met_with(s, QUDAG_OK, m == S_IS_JOINED ? REND_DONE : REND_UNKNOWN);
        break;
    case S_IS_NO_STATUS:
        met_with(s, QUDAG_OK, 9);
        break;
    case S_IS_BROKEN:
        met_with(s, QUDAG_ERESET, 0);
        break;
    case S_IS_STOP:
        hidden_serve_end(b->services, 1, &b->sacts);
        break;
    case S_MESSAGES:
        break;
    }
    take(b);
}

/* A service two of whose points stand, the third of which is asked for, or built. */
static void bring_point(struct serve_stage *s, enum serve_start at)
{
    struct up need[HIDDEN_POINTS];
    size_t n = 0;

    assert_int_equal(serve_it(s->b, 1, (struct slice){NULL, 0}), QUDAG_OK);
    for (size_t i = 0; i < s->b->n_sup; i++) {
        if (s->b->sup[i].kind == HIDDEN_SERVE_NEED_POINT) {
            assert_true(n < HIDDEN_POINTS);
            need[n++] = s->b->sup[i];
        }
    }
    assert_int_equal(n, HIDDEN_POINTS);
    for (size_t i = 1; i < HIDDEN_POINTS; i++) {
        hidden_serve_established(s->b->services, build_point(s->b, &need[i], (uint8_t)(1 + i)),
                                 s->b->now, &s->b->sacts);
    }
    s->point = need[0].id;
    if (at == S_BUILT) {
        say_to_service(s, S_IS_BUILT);
    }
}

static struct serve_stage bring_service(enum serve_start at)
{
    struct serve_stage s = {.b = bed_new((uint8_t)at)};
    uint64_t ids[HIDDEN_SLOTS];

    if (at < S_STANDS) {
        bring_point(&s, at);
        return s;
    }
    struct hidden_target t = have_service(s.b, ids);
    s.point = ids[0];
    make_handshake(s.b, &t, 0, 40, s.handshake);
    make_handshake(s.b, &t, 0, 41, s.fresh);
    make_handshake(s.b, &t, 1, 42, s.elsewhere);
    if (at >= S_CALLED && at < S_LOST) {
        say_to_service(&s, S_IS_HANDSHAKE);
        s.caller = serve_up(s.b, HIDDEN_SERVE_NEED_R).id;
    }
    if (at >= S_COMING && at < S_LOST) {
        say_to_service(&s, S_IS_R_BUILT);
    }
    if (at == S_READY || at == S_MET) {
        say_to_service(&s, S_IS_TAKE);
    }
    if (at == S_MET) {
        say_to_service(&s, S_IS_JOINED);
        assert_int_equal(s.met, 1);
    }
    if (at == S_LOST || at == S_ENDED) {
        say_to_service(&s, at == S_LOST ? S_IS_ENDED : S_IS_STOP);
    }
    return s;
}

typedef const char *serve_row[S_MESSAGES];

#define NO_CALL BACK, NONE, NONE, NONE, NONE, NONE, NONE /* r_built ... broken: nobody comes */
#define SILENT NONE, NONE, NONE, NONE, NONE              /* no handshake is looked at */
#define CALLS NONE, "R -", NONE, NONE, NONE              /* it knows the first: one new */
/*
 * built, built in use, established, ended, unreachable | handshake, new, elsewhere, changed, cut |
 * r_begun | r_built, r_failed, take, joined, no cookie, no status, broken | stop: all circuits that are its own
 */
static const serve_row serve_wants[S_STARTS] = {
    [S_ASKED] = {"S C", "C C", NONE, NONE, NONE, SILENT, NONE, NO_CALL, "CC -"},
    [S_BUILT] = {BACK, BACK, "T -", "C -", "C -", SILENT, NONE, NO_CALL, "CCC -"},
    [S_STANDS] = {BACK, BACK, NONE, "C -", "C -", "R -", "R -", NONE, NONE, NONE, NONE, NO_CALL,
                  "CCC -"},
    [S_CALLED] = {BACK, BACK, NONE, "C -", "C -", CALLS, NONE, "M C", NONE, NONE, NONE, NONE, NONE,
                  NONE, "CCC -"},
    [S_COMING] = {BACK, BACK, NONE, "C -", "C -", CALLS, NONE, BACK, "C -", NONE, "C -", "C -",
                  "C -", "C -", "CCCC -"},
    [S_READY] = {BACK, BACK, NONE, "C -", "C -", CALLS, NONE, BACK, "C -", NONE, NONE, "C -", "C -",
                 "C -", "CCCC -"},
    [S_MET] = {BACK, BACK, NONE, "C -", "C -", CALLS, NONE, NO_CALL, "CCC -"},
    [S_LOST] = {BACK, BACK, NONE, NONE, NONE, SILENT, NONE, NO_CALL, "CC -"},
    [S_ENDED] = {BACK, BACK, NONE, NONE, NONE, SILENT, NONE, NO_CALL, NONE},
};

/* Whatever it was told: nobody waits for ever, and every circuit that is not the owner's comes back. */
static void check_rest(struct serve_stage *s)
{
    struct hidden_serve_stats st;

    run_to(s->b, s->b->now + 100 * SECOND); /* nobody answers any more */
    if (hidden_serve_stats_get(s->b->services, 1, &st) == QUDAG_OK) {
        assert_int_equal(st.queued + st.building, 0);
        assert_int_equal(st.begun, st.met + st.failed);
    }
    hidden_serve_end(s->b->services, 1, &s->b->sacts);
    take(s->b);
    assert_int_equal(hidden_services_deadline(s->b->services), TSTAMP_NEVER);
}

static void every_message_to_a_service(void **state)
{
    unsigned wrong = 0;
    (void)state;

    for (int at = 0; at < S_STARTS; at++) {
        for (int m = 0; m < S_MESSAGES; m++) {
            struct serve_stage s = bring_service((enum serve_start)at);
            char first[LETTERS], again[LETTERS], both[2 * LETTERS];
            size_t from = s.b->n_sup;
            say_to_service(&s, (enum serve_message)m);
            letters(s.b->sup, from, s.b->n_sup, letter_of_serve, first);
            from = s.b->n_sup;
            say_to_service(&s, (enum serve_message)m);
            letters(s.b->sup, from, s.b->n_sup, letter_of_serve, again);
            (void)snprintf(both, sizeof both, "%s %s", first, again);
            assert_non_null(serve_wants[at][m]);
            if (strcmp(both, serve_wants[at][m]) != 0) {
                print_message("start %d, message %d: %s, expected %s\n", at, m, both,
                              serve_wants[at][m]);
                wrong++;
            }
            bool takes = at == S_READY || at == S_MET || (at == S_COMING && m == S_IS_TAKE);
            assert_int_equal(s.taken, takes); /* the keys, once */
            check_rest(&s);
            bed_free(s.b);
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_to_a_caller),
        cmocka_unit_test(every_message_to_a_service),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
