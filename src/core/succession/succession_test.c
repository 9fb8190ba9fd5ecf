/* succession_test.c - both sides of /qudag/succession/1.0.0, and what comes in the wrong state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/succession/succession.h"

#include "base/mem.h"

#include <string.h>

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[64 * 1024];
static struct acts out = {
    .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};
static struct mem mem;
static struct successions s;
static uint8_t statement[SUCCESSION_LEN];
static const uint8_t key[32] = {7}, other[32] = {8};
static const struct peer_id bob = {3, {0, 1, 'b'}};
static const struct ref s1 = {3, 1}, s2 = {4, 1};

static int setup(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    successions_init(&s, &mem);
    memset(statement, 0x5a, sizeof(statement));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    successions_fini(&s);
    assert_int_equal(mem.used, 0);
    return 0;
}

static void say(struct ev ev, tstamp now)
{
    assert_false(out.overflow);
    out.n = 0;
    out.bytes_n = 0;
    ev.peer = &bob;
    successions_ops.event(&s, &ev, now, &out);
}

static void data(struct ref strm, const void *bytes, size_t len)
{
    say((struct ev){.type = EV_DATA, .strm = strm, .data = {bytes, len}}, 1);
}

static void own(void)
{
    struct succession what = {.seq = 1};

    memcpy(what.from, key, sizeof(key));
    assert_int_equal(successions_own(&s, &what, (struct slice){statement, sizeof(statement)}),
                     QUDAG_OK);
    assert_int_equal(successions_own(&s, &what, (struct slice){statement, sizeof(statement)}),
                     QUDAG_EEXISTS);
}

static void of_more_than_it_keeps_the_lowest_number_goes(void **state)
{
    struct succession what = {.seq = 0};
    (void)state;

    assert_int_equal(successions_newest(&s), 0);
    for (uint64_t i = 1; i <= SUCCESSION_KEPT + 1; i++) {
        what.seq = 10 + i;
        what.from[0] = (uint8_t)i;
        assert_int_equal(successions_own(&s, &what, (struct slice){statement, sizeof(statement)}),
                         QUDAG_OK);
    }
    assert_int_equal(successions_newest(&s), 10 + SUCCESSION_KEPT + 1);
    what.seq = 11;
    what.from[0] = 200;
    assert_int_equal(successions_own(&s, &what, (struct slice){statement, sizeof(statement)}),
                     QUDAG_ELIMIT);
    what.from[0] = 1; /* it gave way, so that it is no second one */
    what.seq = 99;
    assert_int_equal(successions_own(&s, &what, (struct slice){statement, sizeof(statement)}),
                     QUDAG_OK);
}

static void asked(const uint8_t hash[32])
{
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s2, .inbound = true}, 1);
    data(s2, hash, 10);
    data(s2, hash + 10, 22);
    say((struct ev){.type = EV_FIN, .strm = s2}, 1);
}

static void who_asks_for_our_key_gets_its_statement(void **state)
{
    (void)state;
    own();
    asked(key);
    assert_int_equal(out.n, 2);
    assert_int_equal(act_v[0].type, ACT_WRITE);
    assert_int_equal(act_v[0].data.len, SUCCESSION_LEN);
    assert_int_equal(act_v[1].type, ACT_FIN);
    asked(other); /* of another one there is none */
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_FIN);
}

static void a_question_of_another_length_is_reset(void **state)
{
    uint8_t long_one[33] = {0};
    (void)state;
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s2, .inbound = true}, 1);
    data(s2, long_one, sizeof(long_one));
    assert_int_equal(act_v[0].type, ACT_RESET);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s2, .inbound = true}, 1);
    data(s2, long_one, 31);
    say((struct ev){.type = EV_FIN, .strm = s2}, 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
    data(s2, long_one, 1); /* forgotten */
    assert_int_equal(out.n, 0);
}

static void ask(void)
{
    out.n = 0;
    assert_int_equal(successions_ask(&s, &bob, key, 99, 0, &out), QUDAG_OK);
    assert_int_equal(act_v[0].type, ACT_OPEN);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = act_v[0].cookie}, 1);
    assert_int_equal(out.n, 2);
    assert_memory_equal(act_v[0].data.base, key, 32);
    assert_int_equal(act_v[1].type, ACT_FIN);
}

static void ends(qudag_err err)
{
    const struct act *up = &act_v[out.n - 1];

    assert_int_equal(up->type, ACT_UP);
    assert_int_equal(up->kind, SUCCESSIONS_UP);
    assert_int_equal(up->cookie, 99);
    assert_int_equal(up->err, err);
    assert_int_equal(successions_ops.deadline(&s), TSTAMP_NEVER);
}

static void an_answer_is_a_whole_statement_or_none(void **state)
{
    static uint8_t more[SUCCESSION_LEN + 1];
    (void)state;
    ask();
    data(s1, statement, 5000);
    data(s1, statement + 5000, SUCCESSION_LEN - 5000);
    say((struct ev){.type = EV_FIN, .strm = s1}, 1);
    ends(QUDAG_OK);
    assert_int_equal(act_v[0].n, SUCCESSION_LEN);
    assert_memory_equal(act_v[0].ptr, statement, SUCCESSION_LEN);
    ask();
    say((struct ev){.type = EV_FIN, .strm = s1}, 1);
    ends(QUDAG_ENOTFOUND);
    ask();
    data(s1, statement, 100);
    say((struct ev){.type = EV_FIN, .strm = s1}, 1);
    ends(QUDAG_EPROTO);
    ask();
    data(s1, more, sizeof(more));
    assert_int_equal(act_v[0].type, ACT_RESET);
    ends(QUDAG_EPROTO);
    ask();
    say((struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ELIMIT}, 1);
    ends(QUDAG_ELIMIT);
    ask();
    out.n = 0;
    successions_ops.tick(&s, SUCCESSIONS_TIMEOUT, &out);
    assert_int_equal(act_v[0].type, ACT_RESET);
    ends(QUDAG_ETIMEOUT);
}

static void what_opens_too_late_is_reset(void **state)
{
    (void)state;
    out.n = 0;
    assert_int_equal(successions_ask(&s, &bob, key, 99, 0, &out), QUDAG_OK);
    uint64_t cookie = act_v[0].cookie;
    out.n = 0;
    successions_ops.tick(&s, SUCCESSIONS_TIMEOUT, &out);
    ends(QUDAG_ETIMEOUT);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie}, 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
    say((struct ev){.type = EV_STREAM_FAIL, .cookie = cookie}, 1);
    assert_int_equal(out.n, 0);
}

static void questions_and_answers_are_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        out.n = 0;
        assert_int_equal(successions_ask(&s, &bob, key, i, 0, &out), QUDAG_OK);
    }
    out.n = 0;
    assert_int_equal(successions_ask(&s, &bob, key, 1, 0, &out), QUDAG_ELIMIT);
    assert_int_equal(out.n, 0);
    for (uint32_t i = 0; i <= SUCCESSIONS_ANSWERS_MAX; i++) {
        say((struct ev){.type = EV_STREAM_OPEN, .strm = {i, 2}, .inbound = true}, i);
    }
    assert_int_equal(act_v[0].type, ACT_RESET); /* the oldest gives way */
    assert_int_equal(act_v[0].strm.slot, 0);
}

/* Whoever opens a stream and says nothing holds a place for its time only; the one that has waited longest goes. */
static void a_question_that_never_comes_ends(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SUCCESSIONS_ANSWERS_MAX; i++) {
        uint32_t at = i == 0 ? 1000 : i; /* the second place is the oldest */
        say((struct ev){.type = EV_STREAM_OPEN, .strm = {i, 2}, .inbound = true}, at);
    }
    say((struct ev){.type = EV_STREAM_OPEN, .strm = {900, 2}, .inbound = true}, 2000);
    assert_int_equal(act_v[0].type, ACT_RESET);
    assert_int_equal(act_v[0].strm.slot, 1);
    assert_int_equal(successions_ops.deadline(&s), 2 + SUCCESSIONS_TIMEOUT);
    out.n = 0;
    successions_ops.tick(&s, 2000 + SUCCESSIONS_TIMEOUT - 1, &out);
    assert_int_equal(out.n, SUCCESSIONS_ANSWERS_MAX - 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
    assert_int_equal(act_v[0].err, QUDAG_ETIMEOUT);
    assert_int_equal(successions_ops.deadline(&s), 2000 + SUCCESSIONS_TIMEOUT);
    out.n = 0;
    successions_ops.tick(&s, 2000 + SUCCESSIONS_TIMEOUT, &out);
    assert_int_equal(out.n, 1);
    assert_int_equal(successions_ops.deadline(&s), TSTAMP_NEVER);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(who_asks_for_our_key_gets_its_statement),
        T(a_question_of_another_length_is_reset),
        T(an_answer_is_a_whole_statement_or_none),
        T(what_opens_too_late_is_reset),
        T(of_more_than_it_keeps_the_lowest_number_goes),
        T(questions_and_answers_are_bounded),
        T(a_question_that_never_comes_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
