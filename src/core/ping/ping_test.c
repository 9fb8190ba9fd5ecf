#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/ping/ping.h"

#include <string.h>

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[64 * 1024];
static struct acts out = {
    .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};
static struct rng_stream stream;
static struct ping p;
static const struct peer_id bob = {3, {0, 1, 'b'}};
static const struct ref s1 = {3, 1}, s2 = {4, 1};

static int setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = "ping";
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    ping_init(&p, &rng);
    return 0;
}

static void clear(void)
{
    assert_false(out.overflow);
    out.n = 0;
    out.bytes_n = 0;
}

static void say(struct ev ev, tstamp now)
{
    clear();
    ev.peer = &bob;
    ping_ops.event(&p, &ev, now, &out);
}

static void data(struct ref s, const void *bytes, size_t len, tstamp now)
{
    say((struct ev){.type = EV_DATA, .strm = s, .data = {bytes, len}}, now);
}

/* Brings a probe of bob to where it waits for its echo. */
static void open_probe(uint8_t want[PING_LEN], tstamp now)
{
    clear();
    assert_int_equal(ping_start(&p, &bob, 77, now, &out), QUDAG_OK);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_OPEN);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = act_v[0].cookie}, now);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_WRITE);
    assert_int_equal(act_v[0].data.len, PING_LEN);
    memcpy(want, act_v[0].data.base, PING_LEN);
}

static void assert_done(size_t ix, qudag_err err, uint64_t rtt)
{
    assert_true(out.n > ix);
    assert_int_equal(act_v[ix].type, ACT_UP);
    assert_int_equal(act_v[ix].kind, PING_UP_DONE);
    assert_int_equal(act_v[ix].cookie, 77);
    assert_int_equal(act_v[ix].err, err);
    assert_int_equal(act_v[ix].n, rtt);
    assert_true(peer_id_eq(&act_v[ix].peer, &bob));
}

static void an_echo_in_any_split_gives_the_round_trip(void **state)
{
    for (size_t cut = 0; cut <= PING_LEN; cut++) {
        uint8_t want[PING_LEN];
        setup(state);
        open_probe(want, 5);
        assert_int_equal(ping_ops.deadline(&p), 5 + PING_TIMEOUT);
        data(s1, want, cut, 8);
        if (cut < PING_LEN) {
            assert_int_equal(out.n, 0);
            data(s1, want + cut, PING_LEN - cut, 8);
        }
        assert_int_equal(out.n, 1);
        assert_done(0, QUDAG_OK, 3);
        assert_int_equal(ping_ops.deadline(&p), 8 + PING_LINGER);
        say((struct ev){.type = EV_FIN, .strm = s1}, 9);
        assert_int_equal(out.n, 1);
        assert_int_equal(act_v[0].type, ACT_FIN);
        assert_int_equal(ping_ops.deadline(&p), TSTAMP_NEVER);
    }
}

static void only_one_probe_per_peer_runs(void **state)
{
    (void)state;
    struct peer_id many = bob;
    static const struct peer_id nobody;

    clear();
    assert_int_equal(ping_start(&p, &nobody, 1, 0, &out), QUDAG_EINVAL);
    for (uint8_t i = 0; i < PING_MAX; i++) {
        many.b[2] = i;
        assert_int_equal(ping_start(&p, &many, i, 0, &out), QUDAG_OK);
        assert_int_equal(ping_start(&p, &many, i, 0, &out), QUDAG_EEXISTS);
    }
    many.b[2] = 200;
    assert_int_equal(ping_start(&p, &many, 1, 0, &out), QUDAG_ELIMIT);
    assert_int_equal(out.n, PING_MAX);
    clear();
    ping_ops.tick(&p, PING_TIMEOUT, &out);
    assert_int_equal(out.n, PING_MAX); /* each is answered once */
    assert_int_equal(ping_start(&p, &many, 1, 0, &out), QUDAG_OK);
}

static void every_end_of_a_probe_is_reported_once(void **state)
{
    static const struct {
        struct ev ev;
        bool waiting, tick, reset;
        qudag_err err;
    } cases[] = {
        {{.type = EV_STREAM_FAIL, .err = QUDAG_EREFUSED}, false, false, false, QUDAG_EREFUSED},
        {{.type = EV_STREAM_FAIL}, false, false, false, QUDAG_EUNREACHABLE},
        {{.type = EV_FIN}, true, false, true, QUDAG_ECLOSED},
        {{.type = EV_RESET}, true, false, false, QUDAG_ERESET},
        {{.type = EV_RESET, .err = QUDAG_EUNSUPPORTED}, true, false, false, QUDAG_EUNSUPPORTED},
        {{.type = EV_RESET, .err = QUDAG_ELIMIT}, true, false, false, QUDAG_ELIMIT},
        {{.type = EV_DATA, .data = {(const uint8_t *)"lies", 4}}, true, false, true, QUDAG_EPROTO},
        {{.type = EV_DATA, .data = {act_bytes, 33}}, true, false, true, QUDAG_EPROTO},
        {{0}, false, true, false, QUDAG_ETIMEOUT},
        {{0}, true, true, true, QUDAG_ETIMEOUT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t want[PING_LEN];
        struct ev ev = cases[i].ev;
        setup(state);
        if (cases[i].waiting) {
            open_probe(want, 0);
            ev.strm = s1;
        } else {
            clear();
            assert_int_equal(ping_start(&p, &bob, 77, 0, &out), QUDAG_OK);
            ev.cookie = act_v[0].cookie;
        }
        if (cases[i].tick) {
            clear();
            ping_ops.tick(&p, PING_TIMEOUT - 1, &out);
            assert_int_equal(out.n, 0);
            ping_ops.tick(&p, PING_TIMEOUT, &out);
        } else {
            say(ev, 1);
        }
        assert_int_equal(out.n, cases[i].reset ? 2 : 1);
        if (cases[i].reset) {
            assert_int_equal(act_v[0].type, ACT_RESET);
            assert_true(ref_eq(act_v[0].strm, s1));
        }
        assert_done(out.n - 1, cases[i].err, 0);
        assert_int_equal(ping_ops.deadline(&p), TSTAMP_NEVER);
        clear();
        ping_ops.tick(&p, TSTAMP_NEVER, &out);
        assert_int_equal(out.n, 0);
    }
}

static void a_stream_that_opens_too_late_is_reset(void **state)
{
    (void)state;
    clear();
    assert_int_equal(ping_start(&p, &bob, 77, 0, &out), QUDAG_OK);
    uint64_t cookie = act_v[0].cookie;
    ping_ops.tick(&p, PING_TIMEOUT, &out);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie}, PING_TIMEOUT + 1);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
    say((struct ev){.type = EV_STREAM_FAIL, .cookie = cookie}, PING_TIMEOUT + 1);
    assert_int_equal(out.n, 0);
}

static void probes_in_a_row_share_one_stream(void **state)
{
    uint8_t want[PING_LEN], first[PING_LEN];
    tstamp now = 0;
    (void)state;

    open_probe(want, now);
    memcpy(first, want, PING_LEN);
    for (int nth = 0; nth < 100; nth++) {
        data(s1, want, PING_LEN, now + 3);
        assert_done(0, QUDAG_OK, 3);
        now += PING_LINGER - 1;
        clear();
        assert_int_equal(ping_start(&p, &bob, 77, now, &out), QUDAG_OK);
        assert_int_equal(ping_start(&p, &bob, 78, now, &out), QUDAG_EEXISTS);
        assert_int_equal(out.n, 1); /* no second stream */
        assert_int_equal(act_v[0].type, ACT_WRITE);
        assert_true(ref_eq(act_v[0].strm, s1));
        memcpy(want, act_v[0].data.base, PING_LEN);
        assert_int_equal(ping_ops.deadline(&p), now + PING_TIMEOUT);
    }
    assert_memory_not_equal(first, want, PING_LEN);
    data(s1, first, PING_LEN, now + 1); /* an old answer is no answer */
    assert_int_equal(act_v[0].type, ACT_RESET);
    assert_done(1, QUDAG_EPROTO, 0);
}

/* The peer was killed and is back (I5): the kept stream goes with the old link, the answer comes on the new. */
static void a_kept_stream_that_ends_is_replaced_once(void **state)
{
    uint8_t want[PING_LEN];
    const struct ref other = {.slot = 9, .gen = 9};
    (void)state;

    open_probe(want, 0);
    data(s1, want, PING_LEN, 3);
    clear();
    assert_int_equal(ping_start(&p, &bob, 77, 10, &out), QUDAG_OK);
    say((struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ETIMEOUT}, 2000);
    assert_int_equal(out.n, 1); /* nothing reported, another stream wanted */
    assert_int_equal(act_v[0].type, ACT_OPEN);
    assert_true(peer_id_eq(&act_v[0].peer, &bob));
    assert_int_equal(ping_ops.deadline(&p), 10 + PING_TIMEOUT); /* not prolonged */
    uint64_t cookie = act_v[0].cookie;
    say((struct ev){.type = EV_STREAM_OPEN, .strm = other, .cookie = cookie}, 2001);
    assert_int_equal(act_v[0].type, ACT_WRITE);
    memcpy(want, act_v[0].data.base, PING_LEN);
    data(other, want, PING_LEN, 2006);
    assert_done(0, QUDAG_OK, 5);
    clear();
    assert_int_equal(ping_start(&p, &bob, 77, 2010, &out), QUDAG_OK);
    say((struct ev){.type = EV_RESET, .strm = other, .err = QUDAG_ETIMEOUT}, 2020);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = act_v[0].cookie}, 2021);
    say((struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ETIMEOUT}, 2030);
    assert_done(0, QUDAG_ETIMEOUT, 0); /* a fresh stream that is lost is an answer */
}

/* Of two links that both sides dialled one is closed with the probe on it; who has left is not dialled. */
static void a_probe_whose_link_is_closed_is_sent_again_once_without_a_dial(void **state)
{
    uint8_t want[PING_LEN];
    (void)state;

    open_probe(want, 0);
    say((struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ECLOSED}, 5);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_OPEN);
    assert_true(act_v[0].no_dial);
    assert_int_equal(ping_ops.deadline(&p), PING_TIMEOUT);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s2, .cookie = act_v[0].cookie}, 6);
    assert_int_equal(act_v[0].type, ACT_WRITE);
    memcpy(want, act_v[0].data.base, PING_LEN);
    data(s2, want, PING_LEN, 9);
    assert_done(0, QUDAG_OK, 3);

    clear();
    assert_int_equal(ping_start(&p, &bob, 77, 10, &out), QUDAG_OK); /* over the same stream */
    say((struct ev){.type = EV_RESET, .strm = s2, .err = QUDAG_ECLOSED}, 11);
    assert_false(act_v[0].no_dial); /* as if it had not been kept */
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = act_v[0].cookie}, 12);
    say((struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ECLOSED}, 13);
    assert_true(act_v[0].type == ACT_OPEN && act_v[0].no_dial);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s2, .cookie = act_v[0].cookie}, 14);
    say((struct ev){.type = EV_RESET, .strm = s2, .err = QUDAG_ECLOSED}, 15);
    assert_int_equal(out.n, 1);
    assert_done(0, QUDAG_ECLOSED, 0);
}

static void a_stream_that_is_left_is_closed_and_the_next_probe_opens_one(void **state)
{
    uint8_t want[PING_LEN];
    (void)state;

    assert_true(ref_none(ping_idle(&p, &bob)));
    open_probe(want, 0);
    assert_true(ref_none(ping_idle(&p, &bob))); /* its echo is awaited: */
    clear();
    ping_leave(&p, s1, 0, &out);
    assert_int_equal(out.n, 0);
    data(s1, want, PING_LEN, 1);
    assert_true(ref_eq(ping_idle(&p, &bob), s1));
    clear();
    ping_leave(&p, s1, 2, &out);
    assert_true(out.n == 1 && act_v[0].type == ACT_FIN && ref_eq(act_v[0].strm, s1));
    assert_true(ref_none(ping_idle(&p, &bob)));
    assert_int_equal(ping_ops.deadline(&p), 2 + PING_LINGER);
    clear();
    assert_int_equal(ping_start(&p, &bob, 77, 3, &out), QUDAG_OK);
    assert_true(out.n == 1 && act_v[0].type == ACT_OPEN);
}

static void an_idle_stream_makes_room_for_another_peer(void **state)
{
    uint8_t want[PING_LEN];
    struct peer_id many = bob;
    (void)state;

    open_probe(want, 0);
    data(s1, want, PING_LEN, 1);
    for (uint8_t i = 1; i < PING_MAX; i++) {
        many.b[2] = (uint8_t)(200 + i);
        assert_int_equal(ping_start(&p, &many, i, 1, &out), QUDAG_OK);
    }
    clear();
    many.b[2] = 200;
    assert_int_equal(ping_start(&p, &many, 0, 1, &out), QUDAG_OK);
    assert_int_equal(out.n, 2);
    assert_int_equal(act_v[0].type, ACT_RESET);
    assert_true(ref_eq(act_v[0].strm, s1));
    assert_int_equal(act_v[1].type, ACT_OPEN);
    many.b[2] = 199;
    assert_int_equal(ping_start(&p, &many, 0, 1, &out), QUDAG_ELIMIT);
}

/* The stream in the first place was used again after the one in the second. */
static void the_stream_that_is_idle_longest_makes_room(void **state)
{
    struct ping_probe *old, *young;
    struct peer_id many = bob;
    (void)state;

    for (uint8_t i = 0; i < PING_MAX; i++) {
        many.b[2] = (uint8_t)(200 + i);
        assert_int_equal(ping_start(&p, &many, i, 1, &out), QUDAG_OK);
    }
    young = &p.probe[0];
    old = &p.probe[1];
    young->state = old->state = PING_IDLE;
    young->strm = (struct ref){1, 9};
    old->strm = (struct ref){2, 9};
    young->due = 9 * NS_PER_S;
    old->due = 5 * NS_PER_S;
    clear();
    many.b[2] = 199;
    assert_int_equal(ping_start(&p, &many, 0, 1, &out), QUDAG_OK);
    assert_int_equal(act_v[0].type, ACT_RESET);
    assert_true(ref_eq(act_v[0].strm, (struct ref){2, 9}));
}

static void a_peer_that_does_not_close_is_reset_after_a_while(void **state)
{
    uint8_t want[PING_LEN];

    open_probe(want, 0);
    data(s1, want, PING_LEN, 7);
    assert_int_equal(ping_ops.deadline(&p), 7 + PING_LINGER);
    clear();
    ping_ops.tick(&p, 7 + PING_LINGER, &out);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_FIN);
    assert_int_equal(ping_ops.deadline(&p), 7 + 2 * PING_LINGER);
    clear();
    ping_ops.tick(&p, 7 + 2 * PING_LINGER, &out);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
    setup(state);
    open_probe(want, 0);
    data(s1, want, PING_LEN, 7);
    data(s1, want, 1, 8); /* more than was asked for */
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
}

static void pings_of_peers_are_echoed_until_they_close(void **state)
{
    (void)state;
    say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = s2}, 0);
    assert_int_equal(out.n, 0);
    for (size_t len = 1; len < 100; len += 13) {
        uint8_t buf[128];
        memset(buf, (int)len, sizeof(buf));
        data(s2, buf, len, 1);
        assert_int_equal(out.n, 1);
        assert_int_equal(act_v[0].type, ACT_WRITE);
        assert_int_equal(act_v[0].data.len, len);
        assert_memory_equal(act_v[0].data.base, buf, len);
    }
    say((struct ev){.type = EV_FIN, .strm = s2}, 2);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_FIN);
    data(s2, "x", 1, 3); /* it is forgotten */
    assert_int_equal(out.n, 0);
}

static void a_peer_that_does_not_read_its_echoes_loses_the_stream(void **state)
{
    (void)state;
    uint8_t buf[PING_ECHO_MAX] = {0};

    say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = s2}, 0);
    data(s2, buf, sizeof(buf), 1);
    assert_int_equal(act_v[0].type, ACT_WRITE);
    say((struct ev){.type = EV_WRITABLE, .strm = s2, .n = 10}, 2);
    data(s2, buf, 10, 3);
    assert_int_equal(act_v[0].type, ACT_WRITE);
    say((struct ev){.type = EV_WRITABLE, .strm = s2, .n = SIZE_MAX}, 4); /* more than there was */
    data(s2, buf, sizeof(buf), 5);
    assert_int_equal(act_v[0].type, ACT_WRITE);
    data(s2, buf, 1, 6);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
    assert_int_equal(act_v[0].err, QUDAG_ELIMIT);
}

static void the_quietest_stream_makes_room(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PING_SERVE_MAX; i++) {
        say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = {i, 1}}, i);
        assert_int_equal(out.n, 0);
    }
    data((struct ref){0, 1}, "x", 1, 1000);
    say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = {999, 1}}, 1001);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_RESET);
    assert_int_equal(act_v[0].strm.slot, 1);
    data((struct ref){0, 1}, "x", 1, 1002);
    assert_int_equal(act_v[0].type, ACT_WRITE);
}

static void events_nobody_asked_for_do_nothing(void **state)
{
    (void)state;
    static const enum ev_type types[] = {EV_PEER_UP,  EV_PEER_DOWN, EV_STREAM_FAIL, EV_DATA,
                                         EV_WRITABLE, EV_FIN,       EV_RESET};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        say((struct ev){.type = types[i], .strm = {9, 9}, .cookie = 5, .n = 3}, 1);
        assert_int_equal(out.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_echo_in_any_split_gives_the_round_trip, setup),
        cmocka_unit_test_setup(only_one_probe_per_peer_runs, setup),
        cmocka_unit_test_setup(every_end_of_a_probe_is_reported_once, setup),
        cmocka_unit_test_setup(a_stream_that_opens_too_late_is_reset, setup),
        cmocka_unit_test_setup(probes_in_a_row_share_one_stream, setup),
        cmocka_unit_test_setup(a_kept_stream_that_ends_is_replaced_once, setup),
        cmocka_unit_test_setup(a_probe_whose_link_is_closed_is_sent_again_once_without_a_dial,
                               setup),
        cmocka_unit_test_setup(a_stream_that_is_left_is_closed_and_the_next_probe_opens_one, setup),
        cmocka_unit_test_setup(an_idle_stream_makes_room_for_another_peer, setup),
        cmocka_unit_test_setup(the_stream_that_is_idle_longest_makes_room, setup),
        cmocka_unit_test_setup(a_peer_that_does_not_close_is_reset_after_a_while, setup),
        cmocka_unit_test_setup(pings_of_peers_are_echoed_until_they_close, setup),
        cmocka_unit_test_setup(a_peer_that_does_not_read_its_echoes_loses_the_stream, setup),
        cmocka_unit_test_setup(the_quietest_stream_makes_room, setup),
        cmocka_unit_test_setup(events_nobody_asked_for_do_nothing, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
