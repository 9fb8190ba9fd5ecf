/* padding_test.c - exchanges that mean nothing: both sides joined by an array, and every way to break them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rd.h"
#include "core/padding/padding.h"
#include "wire/exchange.h"

#include <string.h>

#define SEC NS_PER_S
#define COOKIE 77

static const struct ref circuit = {7, 3}, ours = {1, 1}, theirs = {2, 9};

static struct world {
    struct mem mem;
    struct rng_stream stream;
    struct padding *cli, *srv;
    struct acts acts;
    struct act v[64];
    uint8_t bytes[ACTS_BYTES_ROOM];
    uint8_t request[EXCHANGE_LEN + 1];
} w;

static void clear(void)
{
    w.acts = (struct acts){
        .v = w.v, .cap = ARRAY_LEN(w.v), .bytes = w.bytes, .bytes_cap = sizeof w.bytes};
}

static int setup(void **state)
{
    static const uint8_t seed[32] = {5};
    (void)state;
    memset(&w, 0, sizeof w);
    mem_init(&w.mem, NULL, 0);
    clear();
    rng_stream_init(&w.stream, seed);
    struct rng rng = rng_of_stream(&w.stream);
    return padding_new(&w.cli, &w.mem, &rng) == QUDAG_OK &&
                   padding_new(&w.srv, &w.mem, &rng) == QUDAG_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    padding_free(w.cli);
    padding_free(w.srv);
    return w.mem.used == 0 ? 0 : -1;
}

static void feed(struct padding *p, struct ev ev, tstamp now)
{
    clear();
    padding_ops.event(p, &ev, now, &w.acts);
}

static void tick(struct padding *p, tstamp now)
{
    clear();
    padding_ops.tick(p, now, &w.acts);
}

static struct padding_stats stats(const struct padding *p)
{
    struct padding_stats st;

    padding_stats_get(p, &st);
    return st;
}

/* The list is: EXCHANGE_LEN bytes to |strm|, and FIN. */
static void assert_exchange(struct ref strm)
{
    assert_int_equal(w.acts.n, 2);
    assert_int_equal(w.v[0].type, ACT_WRITE);
    assert_true(ref_eq(w.v[0].strm, strm) && ref_eq(w.v[1].strm, strm));
    assert_int_equal(w.v[0].data.len, EXCHANGE_LEN);
    assert_int_equal(w.v[1].type, ACT_FIN);
}

static void assert_reset(struct ref strm, qudag_err err)
{
    assert_int_equal(w.acts.n, 1);
    assert_int_equal(w.v[0].type, ACT_RESET);
    assert_true(ref_eq(w.v[0].strm, strm));
    assert_int_equal(w.v[0].err, err);
}

/* The list is the report that an exchange took |ns| beside what was asked for. */
static void assert_done(uint64_t ns)
{
    assert_int_equal(w.acts.n, 1);
    assert_int_equal(w.v[0].type, ACT_UP);
    assert_int_equal(w.v[0].kind, PADDING_UP_DONE);
    assert_int_equal(w.v[0].cookie, COOKIE);
    assert_int_equal(w.v[0].n, ns);
}

static qudag_err exchange(uint64_t delay_ns)
{
    const struct padding_wanted wanted = {
        .circuit = circuit, .delay_ns = delay_ns, .cookie = COOKIE};

    return padding_exchange(w.cli, &wanted, 0, &w.acts);
}

static void ask(uint64_t delay_ns)
{
    clear();
    assert_int_equal(exchange(delay_ns), QUDAG_OK);
    assert_int_equal(w.acts.n, 1);
    assert_true(ref_eq(w.v[0].obj, circuit));
    assert_int_equal(w.v[0].need, LINK_ANON);
    feed(w.cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = w.v[0].cookie, .strm = ours}, 0);
    assert_exchange(ours);
    memcpy(w.request, w.v[0].data.base, EXCHANGE_LEN);
}

static void open_in(struct ref strm, tstamp now)
{
    feed(w.srv,
         (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = strm, .props = LINK_ANON},
         now);
}

static void deliver(struct padding *p, struct ref strm, size_t len, tstamp now)
{
    for (size_t at = 0; at < len; at += 1000) {
        size_t n = len - at < 1000 ? len - at : 1000;
        feed(p, (struct ev){.type = EV_DATA, .strm = strm, .data = {w.request + at, n}}, now);
    }
}

static void end(struct padding *p, struct ref strm, tstamp now)
{
    feed(p, (struct ev){.type = EV_FIN, .strm = strm}, now);
}

static void the_answer_comes_when_it_was_asked_for(void **state)
{
    static const struct {
        uint64_t delay, after;
    } row[] = {{0, 0},
               {300 * NS_PER_MS, 300 * NS_PER_MS},
               {3600 * SEC, PADDING_DELAY_MAX},
               {UINT64_MAX, PADDING_DELAY_MAX}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        ask(row[i].delay);
        open_in(theirs, SEC);
        assert_int_equal(w.acts.n, 0);
        deliver(w.srv, theirs, EXCHANGE_LEN, SEC);
        assert_int_equal(w.acts.n, 0);
        end(w.srv, theirs, SEC);
        assert_int_equal(w.acts.n, 0);
        assert_int_equal(padding_ops.deadline(w.srv), SEC + row[i].after);
        tick(w.srv, SEC + row[i].after);
        assert_exchange(theirs);
        memcpy(w.request, w.v[0].data.base, EXCHANGE_LEN);
        deliver(w.cli, ours, EXCHANGE_LEN, SEC);
        end(w.cli, ours, SEC + row[i].after + SEC / 4);
        assert_done(SEC + SEC / 4);
        assert_int_equal(stats(w.cli).done, i + 1);
        assert_int_equal(padding_ops.deadline(w.srv), TSTAMP_NEVER);
        assert_int_equal(padding_ops.deadline(w.cli), TSTAMP_NEVER);
    }
}

/* What is begun on the circuit in the same turn goes before it, or before all of it but BEGIN. */
static void others_may_go_before_it(void **state)
{
    struct padding_wanted wanted = {.circuit = circuit, .cookie = COOKIE};
    uint64_t cookie;
    (void)state;

    for (wanted.order = PADDING_BEHIND; wanted.order <= PADDING_AROUND; wanted.order++) {
        bool behind = wanted.order == PADDING_BEHIND;
        clear();
        assert_int_equal(padding_exchange(w.cli, &wanted, SEC, &w.acts), QUDAG_OK);
        assert_int_equal(w.acts.n, behind ? 0 : 1);
        if (behind) {
            assert_int_equal(padding_ops.deadline(w.cli), SEC);
            tick(w.cli, SEC);
        }
        assert_int_equal(w.acts.n, 1);
        assert_int_equal(w.v[0].type, ACT_OPEN);
        assert_true(ref_eq(w.v[0].obj, circuit));
        cookie = w.v[0].cookie;
        assert_int_equal(padding_ops.deadline(w.cli), SEC + PADDING_ANSWER_TIMEOUT);
        feed(w.cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = ours}, SEC);
        if (!behind) {
            assert_int_equal(w.acts.n, 0);
            assert_int_equal(padding_ops.deadline(w.cli), SEC);
            tick(w.cli, SEC);
        }
        assert_exchange(ours);
        memcpy(w.request, w.v[0].data.base, EXCHANGE_LEN);
        assert_int_equal(padding_ops.deadline(w.cli), SEC + PADDING_ANSWER_TIMEOUT);
        deliver(w.cli, ours, EXCHANGE_LEN, SEC);
        end(w.cli, ours, 2 * SEC);
        assert_done(SEC);
        assert_int_equal(padding_ops.deadline(w.cli), TSTAMP_NEVER);
    }
}

/* The circuit ends before the rest leaves, or its end answers what was not asked. */
static void an_exchange_that_is_held_may_fail(void **state)
{
    const struct padding_wanted wanted = {
        .order = PADDING_AROUND, .circuit = circuit, .cookie = COOKIE};
    (void)state;

    for (int how = 0; how < 3; how++) {
        clear();
        assert_int_equal(padding_exchange(w.cli, &wanted, SEC, &w.acts), QUDAG_OK);
        feed(w.cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = w.v[0].cookie, .strm = ours},
             SEC);
        if (how == 0) {
            feed(w.cli, (struct ev){.type = EV_RESET, .strm = ours, .err = QUDAG_ECIRCUIT}, SEC);
            assert_int_equal(w.acts.n, 0);
        } else if (how == 1) {
            end(w.cli, ours, SEC);
            assert_reset(ours, QUDAG_EPROTO);
        } else {
            deliver(w.cli, ours, 1000, SEC);
            assert_reset(ours, QUDAG_EPROTO);
        }
        assert_int_equal(padding_ops.deadline(w.cli), TSTAMP_NEVER);
        tick(w.cli, SEC);
        assert_int_equal(w.acts.n, 0);
    }
}

/* An end that does not wait has not answered before it was asked. */
static void an_answer_that_comes_too_early_took_no_time(void **state)
{
    (void)state;
    ask(2 * SEC);
    deliver(w.cli, ours, EXCHANGE_LEN, SEC);
    end(w.cli, ours, SEC);
    assert_done(0);
}

/* A delay that a peer asks for in its own bytes is bounded where it is kept. */
static void a_delay_beyond_the_limit_is_the_limit(void **state)
{
    (void)state;
    memset(w.request, 0xff, 4);
    open_in(theirs, SEC);
    deliver(w.srv, theirs, EXCHANGE_LEN, SEC);
    end(w.srv, theirs, SEC);
    assert_int_equal(padding_ops.deadline(w.srv), SEC + PADDING_DELAY_MAX);
}

static void a_request_of_another_size_is_reset(void **state)
{
    (void)state;
    open_in(theirs, SEC);
    deliver(w.srv, theirs, EXCHANGE_LEN + 1, SEC);
    assert_reset(theirs, QUDAG_EPROTO);
    open_in(theirs, SEC);
    deliver(w.srv, theirs, EXCHANGE_LEN - 1, SEC);
    end(w.srv, theirs, SEC);
    assert_reset(theirs, QUDAG_EPROTO);
    open_in(theirs, SEC);
    deliver(w.srv, theirs, EXCHANGE_LEN, SEC);
    memset(w.request, 0xff, 4);
    end(w.srv, theirs, SEC);
    end(w.srv, theirs, SEC); /* twice */
    assert_reset(theirs, QUDAG_EPROTO);
    open_in(theirs, SEC);
    deliver(w.srv, theirs, 4, SEC);
    tick(w.srv, SEC + PADDING_REQUEST_TIMEOUT);
    assert_reset(theirs, QUDAG_ETIMEOUT);
}

static void only_circuits_have_exchanges(void **state)
{
    (void)state;
    feed(w.srv, (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = theirs}, 0);
    assert_reset(theirs, QUDAG_EPOLICY);
    assert_int_equal(stats(w.srv).refused, 1);
}

static void the_oldest_gives_way_by_an_early_answer(void **state)
{
    (void)state;
    memset(w.request, 0x00, 4);
    w.request[3] = 200;
    open_in((struct ref){1, 1}, 0);
    deliver(w.srv, (struct ref){1, 1}, EXCHANGE_LEN, 0);
    end(w.srv, (struct ref){1, 1}, 0);
    for (uint32_t i = 2; i <= PADDING_ANSWERING_MAX; i++) {
        open_in((struct ref){i, 1}, 0);
        assert_int_equal(w.acts.n, 0);
    }
    open_in((struct ref){1000, 1}, 0);
    assert_exchange((struct ref){1, 1});
    open_in((struct ref){1001, 1}, 0); /* the next has not even asked */
    assert_reset((struct ref){2, 1}, QUDAG_ELIMIT);
    assert_int_equal(stats(w.srv).gave_way, 2);
}

/* A circuit from the neighbour |via| in |net| begins an exchange. */
static void open_from(struct ref strm, uint64_t net, uint64_t via, tstamp now)
{
    feed(w.srv,
         (struct ev){.type = EV_STREAM_OPEN,
                     .inbound = true,
                     .strm = strm,
                     .props = LINK_ANON,
                     .net = net,
                     .via = via},
         now);
}

/* ... which is to be answered in ten seconds. */
static void ask_from(struct ref strm, uint64_t net, uint64_t via)
{
    open_from(strm, net, via, 0);
    memset(w.request, 0, 4);
    w.request[2] = 0x27;
    deliver(w.srv, strm, EXCHANGE_LEN, 0);
    end(w.srv, strm, 0);
}

static void assert_early(struct ref strm, bool early)
{
    uint64_t before = stats(w.srv).answered;

    end(w.srv, strm, 0); /* a second FIN ends one that still waits, and nothing else */
    assert_int_equal(w.acts.n, early ? 0 : 1);
    assert_int_equal(stats(w.srv).answered, before);
}

#define OTHERS 8

/*
 * Whoever watches a guard's link floods the relay with exchanges: those of others that wait must not be answered
 * early, or they were told from lookups.  From one neighbour, from many in one network, and without even asking.
 */
static void a_flood_has_nobody_elses_exchange_answered_early(void **state)
{
    static const struct {
        bool many, asks;
    } row[] = {{false, true}, {true, true}, {false, false}, {true, false}};

    for (size_t r = 0; r < ARRAY_LEN(row); r++) {
        for (uint32_t i = 0; i < OTHERS; i++) {
            ask_from((struct ref){i + 1, 1}, 10 + i, 100 + i);
        }
        for (uint32_t i = 0; i < 3 * PADDING_ANSWERING_MAX; i++) {
            uint64_t via = row[r].many ? 5000 + i : 5000;
            if (row[r].asks) {
                ask_from((struct ref){1000 + i, 1}, 7, via);
            } else {
                open_from((struct ref){1000 + i, 1}, 7, via, 0);
            }
        }
        /* One more of an honest neighbour finds room, at the flood's cost. */
        uint64_t refused = stats(w.srv).refused;
        ask_from((struct ref){OTHERS + 1, 1}, 10, 100);
        assert_int_equal(stats(w.srv).refused, refused);
        for (uint32_t i = 0; i <= OTHERS; i++) {
            assert_early((struct ref){i + 1, 1}, false);
        }
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

/* Where all hold the same the newcomer takes nothing from anybody. */
static void among_equals_a_newcomer_waits(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PADDING_ANSWERING_MAX; i++) {
        ask_from((struct ref){i + 1, 1}, 10 + i, 1);
    }
    open_from((struct ref){1000, 1}, 9999, 1, 0);
    assert_reset((struct ref){1000, 1}, QUDAG_ELIMIT);
    assert_int_equal(stats(w.srv).gave_way, 0);
    open_from((struct ref){1001, 1}, 12, 1, 0); /* its own oldest */
    assert_exchange((struct ref){3, 1});
}

/* Two networks hold half each: who comes to the second has his neighbour's oldest answered. */
static void a_neighbour_who_has_many_makes_room(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PADDING_ANSWERING_MAX; i++) {
        ask_from((struct ref){i + 1, 1}, 1 + i % 2, i % 2 == 0 ? 100 + i : 1);
    }
    open_from((struct ref){1000, 1}, 2, 2, 0);
    assert_exchange((struct ref){2, 1});
    assert_int_equal(stats(w.srv).gave_way, 1);
}

static void what_fails_is_forgotten(void **state)
{
    (void)state;
    ask(0);
    feed(w.cli, (struct ev){.type = EV_RESET, .strm = ours, .err = QUDAG_ERESET}, 1);
    assert_int_equal(w.acts.n, 0);
    clear();
    assert_int_equal(exchange(0), QUDAG_OK);
    uint64_t cookie = w.v[0].cookie;
    feed(w.cli, (struct ev){.type = EV_STREAM_FAIL, .cookie = cookie, .err = QUDAG_ESTALE}, 1);
    assert_int_equal(w.acts.n, 0);
    feed(w.cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = ours}, 1);
    assert_reset(ours, QUDAG_ECANCELED);
    ask(0);
    tick(w.cli, PADDING_ANSWER_TIMEOUT);
    assert_reset(ours, QUDAG_ETIMEOUT);
    assert_int_equal(stats(w.cli).failed, 3);
    for (int i = 0; i < PADDING_ASKING_MAX; i++) {
        clear();
        assert_int_equal(exchange(0), QUDAG_OK);
    }
    assert_int_equal(exchange(0), QUDAG_ELIMIT);
}

static void whole_request(struct ref strm, uint8_t delay_ms, tstamp now)
{
    memset(w.request, 0, sizeof w.request);
    w.request[3] = delay_ms;
    open_in(strm, now);
    deliver(w.srv, strm, EXCHANGE_LEN, now);
    end(w.srv, strm, now);
}

/* Nothing of what lay in the buffer before, and nothing of the request. */
static void an_answer_is_all_zero_and_a_request_behind_its_delay(void **state)
{
    (void)state;
    whole_request(theirs, 200, 0);
    memset(w.bytes, 0xee, sizeof w.bytes);
    tick(w.srv, SEC);
    assert_exchange(theirs);
    for (size_t i = 0; i < EXCHANGE_LEN; i++) {
        assert_int_equal(w.v[0].data.base[i], 0);
    }
    memset(w.bytes, 0xee, sizeof w.bytes);
    ask(3600 * SEC);
    struct rd r = rd_init((struct slice){w.request, 4});
    assert_int_equal(rd_u32(&r), PADDING_DELAY_MAX / NS_PER_MS);
    for (size_t i = 4; i < EXCHANGE_LEN; i++) {
        assert_int_equal(w.request[i], 0);
    }
    assert_int_equal(padding_ops.deadline(w.cli), PADDING_ANSWER_TIMEOUT);
}

static void events_that_come_twice_change_nothing(void **state)
{
    (void)state;
    clear();
    assert_int_equal(exchange(0), QUDAG_OK);
    uint64_t cookie = w.v[0].cookie;
    feed(w.cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = ours}, 0);
    assert_exchange(ours);
    feed(w.cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = theirs}, 0);
    assert_reset(theirs, QUDAG_ECANCELED);
    feed(w.cli, (struct ev){.type = EV_STREAM_FAIL, .cookie = cookie, .err = QUDAG_ESTALE}, 0);
    assert_int_equal(w.acts.n, 0);
    assert_int_equal(stats(w.cli).failed, 0);
}

static void the_one_due_first_is_first_and_a_call_has_room_for_eight(void **state)
{
    (void)state;
    assert_int_equal(padding_ops.inbound_max, 1); /* of one circuit */
    whole_request((struct ref){1, 1}, 200, 0);
    whole_request((struct ref){2, 1}, 50, 0);
    whole_request((struct ref){3, 1}, 100, 0);
    assert_int_equal(padding_ops.deadline(w.srv), 50 * NS_PER_MS);
    tick(w.srv, 50 * NS_PER_MS);
    assert_exchange((struct ref){2, 1});
    for (uint32_t i = 4; i < 24; i++) {
        whole_request((struct ref){i, 1}, 1, SEC);
    }
    tick(w.srv, 2 * SEC);
    assert_int_equal(w.acts.n, 16);
    assert_false(w.acts.overflow);
    assert_true(padding_ops.deadline(w.srv) <= 2 * SEC);
    /* of others nothing is counted as a failure of ours */
    open_in((struct ref){99, 1}, 2 * SEC);
    feed(w.srv, (struct ev){.type = EV_RESET, .strm = {99, 1}, .err = QUDAG_ERESET}, 2 * SEC);
    assert_int_equal(stats(w.srv).failed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_answer_comes_when_it_was_asked_for),
        TEST(others_may_go_before_it),
        TEST(an_exchange_that_is_held_may_fail),
        TEST(an_answer_that_comes_too_early_took_no_time),
        TEST(a_delay_beyond_the_limit_is_the_limit),
        TEST(a_request_of_another_size_is_reset),
        TEST(only_circuits_have_exchanges),
        TEST(the_oldest_gives_way_by_an_early_answer),
        TEST(what_fails_is_forgotten),
        TEST(an_answer_is_all_zero_and_a_request_behind_its_delay),
        TEST(events_that_come_twice_change_nothing),
        TEST(the_one_due_first_is_first_and_a_call_has_room_for_eight),
        TEST(a_flood_has_nobody_elses_exchange_answered_early),
        TEST(among_equals_a_newcomer_waits),
        TEST(a_neighbour_who_has_many_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
