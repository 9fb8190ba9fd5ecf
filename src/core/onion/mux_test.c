/* mux_test.c - the streams of one circuit, by hand: bounds of ids and refusals, and what may come before CONNECTED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/streams.h"

static struct mem mem;
static struct acts out;
static struct act v[ACTS_ROOM];
static uint8_t bytes[ACTS_BYTES_ROOM];

static struct onion_mux *mux(bool client, uint32_t streams_max)
{
    struct onion_mux *m;

    mem_init(&mem, NULL, 0);
    out = (struct acts){.v = v, .cap = ACTS_ROOM, .bytes = bytes, .bytes_cap = sizeof(bytes)};
    assert_int_equal(onion_mux_new(&m, &mem, (struct ref){1, 1}, client, streams_max), QUDAG_OK);
    return m;
}

static void end(struct onion_mux *m)
{
    onion_mux_free(m);
    assert_int_equal(mem.used, 0);
}

static qudag_err comes(struct onion_mux *m, uint8_t type, uint16_t stream)
{
    static const uint8_t data[] = {'/', 'x'};

    out.n = 0;
    out.bytes_n = 0;
    return onion_mux_recv(m, &(struct onion_relay_msg){type, stream, {data, sizeof(data)}}, &out);
}

/* Fills cells until there is nothing more to say; how many. */
static unsigned cells(struct onion_mux *m)
{
    static const uint8_t tag[CGO_TAG_LEN] = {0};
    uint8_t payload[ONION_RELAY_PAYLOAD];
    unsigned n = 0;

    for (; onion_mux_has_work(m); n++) {
        struct wr w = wr_init(payload, sizeof(payload));
        assert_true(onion_mux_fill(m, &w));
        onion_mux_sent(m, tag);
    }
    return n;
}

/* Whoever begins streams without reading why they are refused ends the circuit, not our memory. */
static void refusals_that_wait_are_bounded(void **state)
{
    (void)state;
    struct onion_mux *m = mux(false, 1);
    uint16_t id = 1;

    assert_int_equal(comes(m, ONION_RELAY_BEGIN, id++), QUDAG_OK);
    for (unsigned i = 0; i < ONION_MUX_REFUSALS; i++) {
        assert_int_equal(comes(m, ONION_RELAY_BEGIN, id++), QUDAG_OK);
    }
    assert_int_equal(comes(m, ONION_RELAY_BEGIN, id++), QUDAG_ELIMIT);
    assert_int_equal(m->refusals_n, ONION_MUX_REFUSALS);
    assert_true(cells(m) > 0);
    assert_int_equal(m->refusals_n, 0);
    assert_int_equal(comes(m, ONION_RELAY_BEGIN, id++), QUDAG_OK); /* they have left */
    end(m);
}

static void ids_of_streams_do_not_begin_again(void **state)
{
    (void)state;
    struct onion_mux *m = mux(true, 4);
    uint16_t id;

    m->next_id = ONION_STREAM_ID_MAX;
    assert_int_equal(onion_mux_open(m, "/x", 1, &id), QUDAG_OK);
    assert_int_equal(id, ONION_STREAM_ID_MAX);
    assert_int_equal(onion_mux_open(m, "/x", 2, &id), QUDAG_ELIMIT);
    end(m);
}

static void nothing_comes_on_a_stream_before_it_is_connected(void **state)
{
    static const uint8_t types[] = {ONION_RELAY_DATA, ONION_RELAY_FIN};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct onion_mux *m = mux(true, 4);
        uint16_t id;
        assert_int_equal(onion_mux_open(m, "/x", 1, &id), QUDAG_OK);
        assert_int_equal(cells(m), 1);
        assert_int_equal(comes(m, types[i], id), QUDAG_EPROTO);
        assert_int_equal(comes(m, ONION_RELAY_CONNECTED, id), QUDAG_OK);
        assert_int_equal(comes(m, types[i], id), QUDAG_OK);
        end(m);
    }
}

/* The far end would take a RESET of a stream it never heard of for a breach. */
static void a_stream_given_up_before_it_began_is_not_mentioned(void **state)
{
    (void)state;
    struct onion_mux *m = mux(true, 4);
    uint16_t id;

    assert_int_equal(onion_mux_open(m, "/x", 1, &id), QUDAG_OK);
    onion_mux_reset(m, id, QUDAG_ECANCELED);
    assert_int_equal(cells(m), 0);
    end(m);
}

/* A client writes before it knows that its BEGIN was refused: that means something, a second FIN does not. */
static void what_follows_a_refused_begin_is_explained(void **state)
{
    (void)state;
    struct onion_mux *m = mux(false, 1);
    assert_int_equal(comes(m, ONION_RELAY_BEGIN, 1), QUDAG_OK);
    assert_int_equal(comes(m, ONION_RELAY_BEGIN, 2), QUDAG_OK);
    assert_int_equal(m->refusals_n, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(comes(m, ONION_RELAY_DATA, 2), QUDAG_OK);
    }
    assert_int_equal(comes(m, ONION_RELAY_FIN, 2), QUDAG_OK);
    assert_int_equal(comes(m, ONION_RELAY_RESET, 2), QUDAG_OK);
    assert_int_equal(m->unexplained, 0);
    assert_int_equal(comes(m, ONION_RELAY_FIN, 2), QUDAG_OK);
    assert_int_equal(m->unexplained, 1);
    end(m);
}

/* |n| cells that count, each with one byte for |stream|; how many of them meant nothing. */
static uint64_t cells_come(struct onion_mux *m, unsigned n, uint16_t stream)
{
    static const uint8_t tag[CGO_TAG_LEN] = {0};
    uint64_t before = m->unexplained;

    for (unsigned i = 0; i < n; i++) {
        struct onion_relay_msg msg = {ONION_RELAY_DATA, stream, {tag, 1}};
        out.n = out.bytes_n = 0;
        assert_int_equal(onion_mux_recv(m, &msg, &out), QUDAG_OK);
        assert_int_equal(onion_mux_received(m, tag), QUDAG_OK);
    }
    return m->unexplained - before;
}

/* What the window of the circuit had left when the RESET went: who sends more has received a SENDME behind it. */
static void what_was_under_way_to_a_stream_that_was_reset_fits_into_the_window(void **state)
{
    (void)state;
    for (uint16_t other = 1; other <= 2;
         other++) { /* all of them for it, or most for another stream */
        struct onion_mux *m = mux(false, 4);
        assert_int_equal(comes(m, ONION_RELAY_BEGIN, 1), QUDAG_OK);
        assert_int_equal(comes(m, ONION_RELAY_BEGIN, 2), QUDAG_OK);
        assert_int_equal(cells(m), 1); /* CONNECTED, twice */
        assert_int_equal(cells_come(m, 100, 1), 0);
        onion_mux_reset(m, 1, QUDAG_ELIMIT);
        assert_int_equal(cells_come(m, 10, 1), 0); /* it has not left */
        assert_int_equal(cells(m), 1);             /* and a SENDME for 64 of 110 before it */
        assert_int_equal(m->unanswered, 46);
        assert_int_equal(cells_come(m, ONION_MUX_WINDOW - 46 - 1, other), 0);
        assert_int_equal(cells_come(m, 1, 1), 0);
        m->unanswered = 0; /* SENDMEs leave behind the RESET */
        m->due.n = 0;
        assert_int_equal(cells_come(m, 3, 1), 3);
        end(m);
    }
}

/* The window of the other direction is closed: a client learns long after it that its BEGIN was refused. */
static void a_refusal_that_cannot_leave_explains_what_comes_meanwhile_and_behind_it(void **state)
{
    (void)state;
    struct onion_mux *m = mux(false, 1);
    tstamp now = NS_PER_S;

    assert_int_equal(comes(m, ONION_RELAY_BEGIN, 1), QUDAG_OK);
    (void)cells(m);
    m->window = 0;
    assert_int_equal(cells_come(m, ONION_MUX_STEP, 1), 0);
    assert_int_equal(comes(m, ONION_RELAY_BEGIN, 2), QUDAG_OK);
    m->unanswered = 0;
    onion_mux_at(m, now);
    for (unsigned i = 0; i < 2 * ONION_MUX_STEPS; i++) {
        now += i == 0 ? 2 * ONION_LATE_SILENCE : NS_PER_S;
        onion_mux_at(m, now);
        assert_int_equal(cells_come(m, ONION_MUX_STEP, i % 2 == 0 ? 1 : 2), 0);
        m->unanswered -= ONION_MUX_STEP; /* its SENDME leaves */
        m->due.n = 0;
    }
    now += 2 * ONION_LATE_SILENCE;
    onion_mux_at(m, now);
    m->window = 1;
    assert_int_equal(cells(m), 1);
    assert_int_equal(m->refusals_n, 0);
    onion_mux_at(m, now);
    now += ONION_LATE_SILENCE - 1;
    onion_mux_at(m, now);
    assert_int_equal(cells_come(m, ONION_MUX_WINDOW, 2), 0);
    m->unanswered = 0;
    assert_int_equal(cells_come(m, 1, 2), 1);
    m->due.n = 0;
    end(m);
}

static qudag_err connected(struct onion_mux *m, uint16_t stream, tstamp now)
{
    onion_mux_at(m, now);
    return onion_mux_recv(m, &(struct onion_relay_msg){ONION_RELAY_CONNECTED, stream, {NULL, 0}},
                          &out);
}

/* Of the first stream, from when its BEGIN left; nothing else of it, or of others, changes that. */
static void the_first_stream_shows_the_round_trip(void **state)
{
    (void)state;
    struct onion_mux *m = mux(true, 4);
    uint16_t first, second;

    onion_mux_at(m, 5);
    assert_int_equal(onion_mux_open(m, "/x", 0, &first), QUDAG_OK);
    assert_int_equal(onion_mux_open(m, "/x", 0, &second), QUDAG_OK);
    assert_int_equal(cells(m), 1);
    onion_mux_at(m, 10);
    assert_int_equal(connected(m, second, 30), QUDAG_OK);
    assert_int_equal(m->round_trip, 0);
    assert_int_equal(connected(m, first, 40), QUDAG_OK);
    assert_int_equal(m->round_trip, 30);
    assert_int_equal(connected(m, first, 50), QUDAG_EPROTO);
    assert_int_equal(m->round_trip, 30);
    end(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_that_wait_are_bounded),
        cmocka_unit_test(what_follows_a_refused_begin_is_explained),
        cmocka_unit_test(what_was_under_way_to_a_stream_that_was_reset_fits_into_the_window),
        cmocka_unit_test(a_refusal_that_cannot_leave_explains_what_comes_meanwhile_and_behind_it),
        cmocka_unit_test(the_first_stream_shows_the_round_trip),
        cmocka_unit_test(ids_of_streams_do_not_begin_again),
        cmocka_unit_test(nothing_comes_on_a_stream_before_it_is_connected),
        cmocka_unit_test(a_stream_given_up_before_it_began_is_not_mentioned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
