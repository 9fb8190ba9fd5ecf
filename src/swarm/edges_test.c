/* edges_test.c - what neither a stranger nor a full table may achieve, over links made up in testkit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/testkit.h"

static void what_the_node_needs_every_link_must_have(void **state)
{
    (void)state;
    w.s->cfg.need = LINK_PQ_KEX | LINK_PQ_AUTH;
    uint32_t less = inbound_with_key(1, LINK_PQ_KEX, 0);
    assert_true(w.link[less].closed);
    assert_int_equal(w.link[less].close_err, QUDAG_EPOLICY);
    assert_int_equal(w.n_seen, 0);
    uint32_t good = inbound_with_key(2, LINK_PQ_KEX | LINK_PQ_AUTH, 1);
    assert_false(w.link[good].closed);
}

/* Somebody who dialled us came from a port of the moment: nothing listens there. */
static void the_address_an_inbound_link_comes_from_is_not_dialled(void **state)
{
    (void)state;
    uint32_t ix = w.n_links++;
    struct multiaddr from = addr_no(1);
    w.link[ix].peer = peer_no(1);
    assert_true(multiaddr_to_netaddr(&from, &w.link[ix].remote));
    up(ix, LINK_INBOUND);
    assert_false(w.link[ix].closed);
    event(LINK_DOWN, ix, 0, NULL, 0);
    settle();
    open_to(1, 1, 0);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EUNREACHABLE);
    assert_int_equal(w.n_links, ix + 1);
}

static void a_connect_asks_for_what_was_proven(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    struct multiaddr ma;
    uint32_t in = inbound_with_key(1, LINK_PQ_KEX, 0);
    event(LINK_DOWN, in, 0, NULL, 0);
    settle();
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 1}, .port = 4001};
    multiaddr_quic(&ma, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[0], 1, &ma, NULL, w.now), QUDAG_OK);
    assert_int_equal(w.link[in + 1].need, LINK_PQ_KEX);
}

static void a_stream_on_a_link_that_is_not_up_is_reset(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    event(LINK_STREAM, 0, 0, NULL, 0);
    assert_int_equal(w.link[0].resets, 1);
    assert_int_equal(w.link[0].reset_err, QUDAG_ELIMIT);
    up(0, 0);
    assert_int_equal(count(EV_STREAM_OPEN), 1); /* only ours */
}

static void opens_to_all_peers_together_are_limited(void **state)
{
    (void)state;
    w.s->cfg.opens_max = 3;
    for (uint8_t peer = 1; peer <= 4; peer++) {
        know(peer, 1);
        open_to(peer, peer, 0);
    }
    settle();
    assert_int_equal(count(EV_STREAM_FAIL), 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 4);
}

/* A peer's own mistakes and its program's cancelling must not look like ours. */
static void what_a_peer_resets_with_does_not_look_like_ours(void **state)
{
    static const struct {
        qudag_err said, heard;
    } row[] = {
        {QUDAG_OK, QUDAG_ERESET},
        {QUDAG_ECANCELED, QUDAG_ERESET},
        {QUDAG_ENOMEM, QUDAG_ELIMIT},
        {QUDAG_EINVAL, QUDAG_ERESET},
        {QUDAG_ESTALE, QUDAG_ERESET},
        {QUDAG_EINTERNAL, QUDAG_ERESET},
        {QUDAG_EAGAIN, QUDAG_ERESET},
        {QUDAG_EREFUSED, QUDAG_EREFUSED},
        {QUDAG_EUNSUPPORTED, QUDAG_EUNSUPPORTED},
    };
    (void)state;
    uint32_t ix = inbound(1, 0);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t sid = w.link[ix].next_sid;
        open_to(1, i, 0);
        settle();
        struct link_ev ev = {.type = LINK_RESET,
                             .err = row[i].said,
                             .link = ref_of(ix),
                             .sid = sid,
                             .user = w.link[ix].user[sid]};
        swarm_link_event(w.s, w.tp, &ev, w.now);
        settle();
        assert_int_equal(count(EV_RESET), i + 1);
        assert_int_equal(last(EV_RESET)->ev.err, row[i].heard);
    }
}

static void open_without_dial(uint8_t peer, uint64_t cookie)
{
    struct act a = {.type = ACT_OPEN, .cookie = cookie, .no_dial = true, .peer = peer_no(peer)};

    swarm_act(w.s, w.core[0], &a, NULL, w.now);
    settle();
}

/* A request whose link was closed goes over another that stands, and no further. */
static void an_open_without_a_dial_goes_over_a_link_that_stands_or_fails_at_once(void **state)
{
    (void)state;
    know(1, 1);
    open_without_dial(1, 1);
    assert_int_equal(w.n_links, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ECLOSED);

    open_to(1, 2, 0); /* a dial of somebody else: it may take long and come to nothing */
    assert_int_equal(w.n_links, 1);
    open_without_dial(1, 3);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 3);
    up(0, 0);
    open_without_dial(1, 4);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 4);
    assert_int_equal(w.n_links, 1);
}

static void an_open_without_a_dial_does_not_outlive_the_last_link(void **state)
{
    (void)state;
    know(1, 2);
    uint32_t theirs = inbound(1, 0);
    w.open_err = QUDAG_EAGAIN; /* the peer allows no stream for now */
    open_without_dial(1, 1);
    assert_int_equal(count(EV_STREAM_FAIL), 0);
    open_to(1, 2, LINK_PQ_KEX); /* for this one it is dialled */
    assert_int_equal(w.n_links, 2);
    event(LINK_DOWN, theirs, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_STREAM_FAIL), 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ECLOSED);
}

/* The messages of a core that have one size begin behind the agreement on its protocol, on both sides. */
static void the_link_is_told_of_messages_of_one_size(void **state)
{
    static const struct core_ops cells = {.inbound_max = 2, .unit = 1120};
    static const char hello[] = "\x13/multistream/1.0.0\n\x05/u/1\n";
    struct act a = {.type = ACT_OPEN, .cookie = 1, .peer = peer_no(1)};
    unsigned core;

    (void)state;
    assert_int_equal(swarm_core_add(w.s, &cells, &core), QUDAG_OK);
    assert_int_equal(swarm_proto_add(w.s, "/u/1", core, true), QUDAG_OK);
    uint32_t ix = inbound(1, 0);
    event(LINK_STREAM, ix, 0, NULL, 0);
    event(LINK_DATA, ix, 0, hello, sizeof hello - 1);
    assert_int_equal(w.link[ix].unit, 1120);
    assert_int_equal(w.link[ix].unit_at, sizeof hello - 1);
    w.link[ix].unit = 0;
    w.link[ix].next_sid = 1;
    swarm_act(w.s, core, &a, NULL, w.now);
    settle();
    assert_int_equal(w.link[ix].unit, 1120);
    assert_int_equal(w.link[ix].unit_at, 2 * (sizeof hello - 1));
    w.link[ix].unit = 0;
    open_to(1, 2, 0); /* of another core */
    settle();
    assert_int_equal(w.link[ix].unit, 0);
}

/* What one core opens leaves room on a link for the others. */
static void a_core_opens_no_more_than_its_share_to_a_peer(void **state)
{
    static const struct core_ops greedy = {.outbound_max = 3};
    struct act a = {.type = ACT_OPEN, .peer = peer_no(1), .no_dial = true};
    unsigned core;

    (void)state;
    assert_int_equal(swarm_core_add(w.s, &greedy, &core), QUDAG_OK);
    (void)inbound_with_key(1, LINK_PQ_KEX, 0);
    (void)inbound_with_key(1, LINK_PQ_KEX, 0); /* a second link brings no second share */
    for (a.cookie = 1; a.cookie <= 3; a.cookie++) {
        swarm_act(w.s, core, &a, "/greedy/1", w.now);
        settle();
        assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, a.cookie);
    }
    struct ref one = last(EV_STREAM_OPEN)->ev.strm;
    swarm_act(w.s, core, &a, "/greedy/1", w.now);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
    swarm_act(w.s, w.core[0], &a, "/plain/1", w.now); /* others have theirs */
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, a.cookie);
    struct act end = {.type = ACT_RESET, .strm = one};
    swarm_act(w.s, core, &end, NULL, w.now);
    a.cookie = 9;
    swarm_act(w.s, core, &a, "/greedy/1", w.now);
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_node_needs_every_link_must_have, setup, teardown),
        cmocka_unit_test_setup_teardown(the_address_an_inbound_link_comes_from_is_not_dialled,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_connect_asks_for_what_was_proven, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_on_a_link_that_is_not_up_is_reset, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(opens_to_all_peers_together_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_open_without_a_dial_goes_over_a_link_that_stands_or_fails_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_without_a_dial_does_not_outlive_the_last_link,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_peer_resets_with_does_not_look_like_ours, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_link_is_told_of_messages_of_one_size, setup, teardown),
        cmocka_unit_test_setup_teardown(a_core_opens_no_more_than_its_share_to_a_peer, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
