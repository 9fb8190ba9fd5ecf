/* swarm_test.c - peers, dials, links and streams over links made up here, event by event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/testkit.h"

#include <stdio.h>

static void unknown_and_own_peers_fail_at_once(void **state)
{
    (void)state;
    open_to(1, 5, 0);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EUNREACHABLE);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 5);
    open_to(0, 6, 0);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EINVAL);
}

static void addresses_are_raced_and_one_wins(void **state)
{
    (void)state;
    know(1, 5);
    open_to(1, 5, 0);
    pass(2 * SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 3);
    assert_int_equal(w.n_seen, 0);
    event(LINK_DOWN, 0, 0, NULL, 0); /* one fails: the next address has its turn */
    settle();
    assert_int_equal(w.n_links, 4);
    up(2, LINK_PQ_KEX);
    assert_int_equal(count(EV_PEER_UP), 2); /* both cores */
    assert_int_equal(count(EV_STREAM_OPEN), 1);
    assert_true(w.link[1].closed && w.link[3].closed && !w.link[2].closed);
    event(LINK_DOWN, 1, 0, NULL, 0); /* what quic says of those we closed */
    event(LINK_DOWN, 3, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_PEER_DOWN), 0);
    struct peer_id p = peer_no(1);
    assert_int_equal(swarm_peer_get(w.s, &p)->n_dials, 0);
}

static void a_peer_that_cannot_be_reached_is_left_alone_for_a_while(void **state)
{
    struct swarm_stats st;
    (void)state;
    know(1, 1);
    tstamp wait = 0;
    for (unsigned i = 0; i < 20; i++) {
        open_to(1, i, 0);
        event(LINK_DOWN, w.n_links - 1, 0, NULL, 0);
        settle();
        assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, i);
        assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EUNREACHABLE);
        open_to(1, 100 + i, 0); /* at once again: refused without a dial */
        settle();
        assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 100 + i);
        struct peer_id p = peer_no(1);
        tstamp pause = swarm_peer_get(w.s, &p)->breaker.next_try - w.now;
        assert_true(pause <= swarm_breaker_peer.max_ns * 12 / 10);
        assert_true(i > 9 || pause > wait / 2);
        wait = pause;
        w.now += pause;
    }
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.dials, 20);
    assert_int_equal(st.dials_refused_backoff, 20);
    know(1, 2); /* a new address deserves a new attempt */
    open_to(1, 99, 0);
    assert_true(w.n_links > 20);
}

static void a_refused_inbound_link_is_no_failed_dial(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    uint8_t hash[32] = {1};
    know(1, 1);
    swarm_pin(w.s, &p, hash);
    uint32_t ix = inbound(1, LINK_PQ_KEX); /* proves no key */
    assert_true(w.link[ix].closed);
    assert_int_equal(w.link[ix].close_err, QUDAG_EAUTH);
    assert_int_equal(swarm_peer_get(w.s, &p)->breaker.next_try, 0);
    assert_int_equal(swarm_peer_get(w.s, &p)->n_dials, 0);
    assert_int_equal(w.n_seen, 0);
}

static void a_record_does_not_replace_a_proven_key(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    uint8_t other[32] = {2};
    uint32_t first = inbound_with_key(1, LINK_PQ_KEX | LINK_PQ_AUTH, 1);
    assert_false(w.link[first].closed);
    swarm_pin(w.s, &p, other);
    assert_int_equal(swarm_pins_get(&w.s->pins, &p)->proof.pin[0], 1);
    assert_false(swarm_pins_get(&w.s->pins, &p)->known);
    uint32_t same = inbound_with_key(1, LINK_PQ_KEX | LINK_PQ_AUTH, 1);
    assert_false(w.link[same].closed);
    uint32_t bad = inbound_with_key(1, LINK_PQ_KEX | LINK_PQ_AUTH, 2); /* what the record said */
    assert_true(w.link[bad].closed);
    assert_int_equal(w.link[bad].close_err, QUDAG_EAUTH);
}

static void an_inbound_link_with_another_key_than_the_pinned_is_refused(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    uint8_t hash[32] = {7};
    swarm_pin(w.s, &p, hash);
    uint32_t bad = inbound_with_key(1, LINK_PQ_KEX | LINK_PQ_AUTH, 8);
    assert_true(w.link[bad].closed);
    assert_int_equal(w.link[bad].close_err, QUDAG_EAUTH);
    assert_int_equal(w.n_seen, 0); /* no core heard of it */
    uint32_t good = inbound_with_key(1, LINK_PQ_KEX | LINK_PQ_AUTH, 7);
    assert_false(w.link[good].closed);
    assert_int_equal(count(EV_PEER_UP), 2);
}

static void what_a_peer_proved_it_must_prove_again_and_nothing_else(void **state)
{
    static const uint8_t props[] = {0, LINK_PQ_KEX, LINK_PQ_AUTH, LINK_PQ_KEX | LINK_PQ_AUTH};
    (void)state;
    for (uint8_t i = 0; i < 16; i++) {
        uint8_t before = props[i / 4], after = props[i % 4], peer = (uint8_t)(i + 1);
        know(peer, 1);
        uint32_t one = inbound_with_key(peer, before, 1);
        assert_false(w.link[one].closed);
        event(LINK_DOWN, one, 0, NULL, 0);
        settle();
        w.n_seen = 0;
        open_to(peer, 1, 0); /* a dial asks for what was proven, property by property (I1) */
        uint32_t two = w.n_links - 1;
        assert_int_equal(two, one + 1);
        assert_int_equal(w.link[two].need, before);
        w.link[two].has_hash = (after & LINK_PQ_AUTH) != 0;
        w.link[two].hash[0] = 1;
        up(two, after);
        bool less = (before & ~after) != 0;
        assert_int_equal(w.link[two].closed, less);
        assert_int_equal(count(EV_STREAM_OPEN), less ? 0 : 1);
        uint32_t in = inbound_with_key(peer, after, 1);
        assert_int_equal(w.link[in].closed, less);
    }
}

static void open_with_hint(uint8_t peer, const char *addr)
{
    struct multiaddr ma;
    assert_int_equal(multiaddr_parse(&ma, addr), QUDAG_OK);
    uint8_t hint[MULTIADDR_MAX + 2] = {ma.len};
    memcpy(hint + 1, ma.b, ma.len);
    struct act a = {.type = ACT_OPEN, .peer = peer_no(peer), .data = {hint, ma.len + 1u}};

    swarm_act(w.s, w.core[0], &a, NULL, w.now);
    settle();
}

static void hinted_addresses_of_our_own_network_are_not_dialled(void **state)
{
    static const char *const inside[] = {
        "/ip4/127.0.0.1/udp/53/quic-v1",   "/ip4/10.1.2.3/udp/53/quic-v1",
        "/ip4/169.254.1.1/udp/53/quic-v1", "/ip4/224.0.0.251/udp/53/quic-v1",
        "/ip6/::1/udp/53/quic-v1",         "/ip6/fe80::1/udp/53/quic-v1",
        "/ip6/ff02::1/udp/53/quic-v1",     "/ip6/::ffff:192.168.0.1/udp/53/quic-v1",
    };
    (void)state;
    for (uint8_t i = 0; i < ARRAY_LEN(inside); i++) {
        open_with_hint((uint8_t)(i + 1), inside[i]);
        assert_int_equal(w.n_links, 0);
        assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EUNREACHABLE);
    }
    open_with_hint(1, "/ip4/9.9.9.9/udp/53/quic-v1");
    assert_int_equal(w.n_links, 1);
    w.s->cfg.private_ok = true;
    open_with_hint(2, inside[1]);
    assert_int_equal(w.n_links, 2);
    open_with_hint(3, "/ip4/224.0.0.251/udp/53/quic-v1");
    assert_int_equal(w.n_links, 2);
}

/* Whoever may send a hint, and that is anybody, could else keep us from a peer by naming it elsewhere. */
static void hints_do_not_displace_the_address_of_a_link(void **state)
{
    char text[64];
    (void)state;

    open_with_hint(1, "/ip4/9.9.9.9/udp/53/quic-v1");
    up(0, 0);
    for (int i = 0; i < 2 * SWARM_ADDRS_MAX; i++) {
        (void)snprintf(text, sizeof text, "/ip4/9.9.8.%d/udp/53/quic-v1", i + 1);
        open_with_hint(1, text);
    }
    event(LINK_DOWN, 0, 0, NULL, 0);
    settle();
    assert_int_equal(w.n_links, 1);
    open_to(1, 2, 0);
    settle();
    assert_true(w.n_links > 1);
    assert_int_equal(w.link[1].remote.ip[2], 9);
    assert_int_equal(w.link[1].remote.ip[3], 9);
}

/* What anybody may have said is dialled behind what was known when a link proved one of them. */
static void a_hint_has_its_turn_behind_what_was_known(void **state)
{
    (void)state;

    know(1, 3);
    open_to(1, 1, 0);
    pass(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 2);
    up(1, 0); /* the second one */
    event(LINK_DOWN, 1, 0, NULL, 0);
    settle();
    uint32_t before = w.n_links;
    open_with_hint(1, "/ip4/9.9.7.1/udp/53/quic-v1");
    for (unsigned i = 0; i < 2; i++) {
        pass(i * SWARM_ATTEMPT_DELAY);
        assert_int_equal(w.n_links, before + i + 1);
        assert_int_equal(w.link[before + i].remote.ip[2], w.link[1 - i].remote.ip[2]);
        assert_int_equal(w.link[before + i].remote.ip[3], w.link[1 - i].remote.ip[3]);
    }
}

static void an_open_nobody_can_serve_ends_with_its_cause(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, LINK_PQ_KEX);
    open_to(1, 2, 0);
    up(0, 0); /* the peer is classical */
    assert_int_equal(count(EV_STREAM_OPEN), 1);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 2);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EPOLICY);
}

static void opens_wait_for_streams_and_time_out(void **state)
{
    (void)state;
    (void)inbound(1, 0);
    w.open_err = QUDAG_EAGAIN;
    open_to(1, 1, 0);
    open_to(1, 2, 0);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN) + count(EV_STREAM_FAIL), 0);
    w.open_err = QUDAG_OK;
    event(LINK_STREAMS_OK, 0, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 2);
    w.open_err = QUDAG_EAGAIN;
    open_to(1, 3, 0);
    w.now += SWARM_OPEN_TIMEOUT;
    assert_true(swarm_deadline(w.s) <= w.now);
    swarm_tick(w.s, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err,
                     QUDAG_ELIMIT);           /* the peer lives, but allows none */
    assert_true(swarm_deadline(w.s) > w.now); /* nothing left that tick did not clear */
}

static void open_by(unsigned core, uint8_t peer)
{
    struct act a = {.type = ACT_OPEN, .cookie = peer, .peer = peer_no(peer)};

    swarm_act(w.s, w.core[core], &a, NULL, w.now);
}

static void limits_of_opens_hold_and_leave_room_for_other_protocols(void **state)
{
    (void)state;
    w.s->cfg.opens_per_peer = 16;
    know(1, 1);
    for (uint64_t i = 0; i < 17; i++) {
        open_to(1, i, 0);
    }
    settle();
    assert_int_equal(count(EV_STREAM_FAIL), 5); /* twelve wait */
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
    for (uint64_t i = 0; i < 6; i++) {
        open_by(1, 1);
    }
    settle();
    assert_int_equal(count(EV_STREAM_FAIL), 7);
    up(0, 0);
    assert_int_equal(count(EV_STREAM_OPEN), 16);
}

/* The peer allows few streams at once: two hundred and fifty-six wait for their turn, none fails (I6). */
static void opens_beyond_what_the_peer_allows_queue_and_all_get_their_turn(void **state)
{
    (void)state;
    (void)inbound(1, 0);
    w.open_err = QUDAG_EAGAIN;
    w.credit = 32;
    for (uint64_t i = 0; i < 256; i++) {
        open_to(1, i, 0);
        settle();
        assert_int_equal(w.n_seen, 2 + (i < 32 ? i + 1 : 32));
    }
    size_t opened = 32;
    for (unsigned round = 0; round < 28; round++) {
        w.now += 8 * NS_PER_S; /* in all far more than the timeout */
        swarm_tick(w.s, w.now);
        settle();
        w.credit = 8;
        w.n_seen = 0;
        event(LINK_STREAMS_OK, 0, 0, NULL, 0);
        settle();
        assert_int_equal(w.n_seen, 8);
        for (size_t i = 0; i < w.n_seen; i++) {
            assert_int_equal(w.seen[i].ev.type, EV_STREAM_OPEN);
            assert_int_equal(w.seen[i].ev.cookie, opened++); /* in order */
        }
    }
    assert_int_equal(opened, 256);
    w.n_seen = 0;
    open_to(1, 999, 0); /* and when nothing moves any more, it is said what of */
    w.now += SWARM_OPEN_TIMEOUT;
    swarm_tick(w.s, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 999);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
}

static void protocols_take_turns_when_streams_are_scarce(void **state)
{
    (void)state;
    (void)inbound(1, 0);
    w.open_err = QUDAG_EAGAIN;
    for (uint64_t i = 0; i < 8; i++) {
        open_to(1, i, 0);
    }
    open_by(1, 1);
    open_by(1, 1);
    settle();
    w.n_seen = 0;
    w.credit = 4;
    event(LINK_STREAMS_OK, 0, 0, NULL, 0);
    settle();
    assert_int_equal(w.n_seen, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(w.seen[i].core, i % 2);
    }
    open_by(1, 1); /* comes later, but not behind the four that still wait */
    w.n_seen = 0;
    w.credit = 2;
    event(LINK_STREAMS_OK, 0, 0, NULL, 0);
    settle();
    assert_int_equal(w.n_seen, 2);
    assert_int_equal(w.seen[0].core + w.seen[1].core, 1);
}

static void dials_to_silence_leave_room_for_other_cores_and_links(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 20; i++) {
        know(i, 1);
        open_by(0, i);
    }
    settle();
    assert_int_equal(w.n_links, 12);
    assert_int_equal(count(EV_STREAM_FAIL), 8);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
    for (uint8_t i = 13; i <= 20; i++) {
        open_by(1, i);
    }
    settle();
    assert_int_equal(w.n_links, 16); /* the share no single core gets */
    assert_int_equal(count(EV_STREAM_FAIL), 12);
    for (uint32_t i = 0; i < 16; i += 2) { /* some answer, some never will */
        up(i, 0);
        event(LINK_DOWN, i + 1, 0, NULL, 0);
    }
    settle();
    w.n_seen = 0;
    for (uint8_t i = 21; i <= 24; i++) {
        know(i, 1);
        open_by(0, i);
    }
    settle();
    assert_int_equal(w.n_links, 20);
    assert_int_equal(count(EV_STREAM_FAIL), 0);
    assert_int_equal(resources_used(w.s->resources, RES_NODE, RES_DIALS), 4);
}

/* One of its two addresses fails, and for the other there is no dial left: it may be dialled again at once. */
static void an_address_that_was_not_tried_is_no_failure(void **state)
{
    (void)state;
    know(99, 2);
    open_by(0, 99); /* to the first address */
    for (uint8_t i = 1; i <= 11; i++) {
        know(i, 1);
        open_by(0, i);
    }
    settle();
    assert_int_equal(w.n_links, 12);
    for (uint8_t i = 12; i <= 15; i++) { /* those of choice take what is left */
        know(i, 1);
        open_by(1, i);
    }
    settle();
    assert_int_equal(w.n_links, 16);
    struct peer_id p = peer_no(99);
    assert_int_equal(resources_used(w.s->resources, RES_NODE, RES_DIALS), 16);
    w.s->cfg.dials_max = 12; /* of which one core gets nine: none is left for the second address */
    event(LINK_DOWN, 0, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_STREAM_FAIL), 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
    assert_int_equal(swarm_breaker_state(&swarm_peer_get(w.s, &p)->breaker, w.now),
                     SWARM_BREAKER_CLOSED);
    assert_int_equal(resources_refused(w.s->resources, RES_PROTOCOL, RES_DIALS), 1);
}

static void a_peer_that_returns_gets_its_place(void **state)
{
    (void)state;
    uint32_t ix[6];
    for (int i = 0; i < 4; i++) {
        ix[i] = inbound(1, 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_false(w.link[ix[i]].closed);
    }
    ix[4] = inbound(1, 0); /* the oldest without streams makes room */
    assert_true(w.link[ix[0]].closed && !w.link[ix[4]].closed);
    assert_int_equal(count(EV_PEER_UP), 2);
    for (int i = 1; i < 5; i++) {
        event(LINK_STREAM, ix[i], 0, NULL, 0);
    }
    ix[5] = inbound(1, 0); /* all in use: refused */
    assert_true(w.link[ix[5]].closed);
    assert_int_equal(count(EV_PEER_DOWN), 0);
}

/* A new link of a peer says that the peer may have restarted: its older ones are probed, and nobody else's. */
static void a_new_link_has_the_older_ones_of_its_peer_probed(void **state)
{
    (void)state;
    uint32_t old = inbound(1, 0);
    uint32_t other = inbound(2, 0);
    open_to(1, 1, 0);
    settle();
    assert_int_equal(w.link[old].next_sid, 1);
    assert_int_equal(w.link[old].probed, 0);
    uint32_t fresh = inbound(1, 0);
    assert_int_equal(w.link[old].probed, 1);
    assert_int_equal(w.link[other].probed + w.link[fresh].probed, 0);
    open_to(1, 2, 0); /* what is new goes by the new one */
    settle();
    assert_int_equal(w.link[old].next_sid, 1);
    assert_int_equal(w.link[fresh].next_sid, 1);

    w.n_seen = 0;
    event(LINK_DOWN, old, 0, NULL, 0); /* it was dead */
    settle();
    assert_int_equal(count(EV_RESET), 1);
    assert_int_equal(count(EV_PEER_DOWN), 0);
    assert_int_equal(count(EV_PEER_UP), 2);
    assert_int_equal(w.seen[0].ev.type, EV_RESET);
    assert_true(last(EV_PEER_UP)->ev.again);

    w.n_seen = 0;
    event(LINK_DOWN, fresh, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_PEER_UP), 0);
    assert_int_equal(count(EV_PEER_DOWN), 2);
    (void)inbound(1, 0);
    assert_false(last(EV_PEER_UP)->ev.again);
}

static void padding_is_for_the_links_of_one_peer(void **state)
{
    static const struct transport_padding how = {.least_ns = 1, .most_ns = 9, .until = 99};
    (void)state;

    uint32_t one = inbound(1, 0), two = inbound(1, 0), other = inbound(2, 0);
    struct peer_id nobody = w.link[other].peer;
    nobody.b[nobody.len - 1] ^= 1;
    swarm_pad(w.s, &w.link[one].peer, &how, w.now);
    swarm_pad(w.s, &nobody, &how, w.now);
    assert_int_equal(w.link[one].padded, 1);
    assert_int_equal(w.link[two].padded, 1);
    assert_int_equal(w.link[other].padded, 0);
}

static void silent_links_make_room_though_they_have_streams(void **state)
{
    (void)state;
    uint32_t ix[6];
    for (int i = 0; i < 4; i++) {
        ix[i] = inbound(1, 0);
        event(LINK_STREAM, ix[i], 0, NULL, 0);
    }
    w.now += SWARM_SILENT_AFTER;
    for (int i = 0; i < 4; i++) {
        w.link[ix[i]].bytes_in += i != 1; /* all but one answered */
    }
    ix[4] = inbound(1, 0);
    assert_true(w.link[ix[1]].closed && !w.link[ix[0]].closed && !w.link[ix[4]].closed);
    event(LINK_STREAM, ix[4], 0, NULL, 0);
    w.now += SWARM_SILENT_AFTER;
    for (int i = 0; i < 5; i++) {
        w.link[ix[i]].bytes_in++;
    }
    ix[5] = inbound(1, 0); /* all in use and alive: refused */
    assert_true(w.link[ix[5]].closed);
    assert_int_equal(count(EV_PEER_DOWN), 0);
}

static const uint8_t hello_a[] = "\x13/multistream/1.0.0\n\x05/a/1\n";

static void idle_links_are_closed_and_surplus_ones_sooner(void **state)
{
    struct swarm_stats st;
    (void)state;
    for (uint8_t i = 1; i <= 12; i++) {
        (void)inbound(i, 0);
    }
    event(LINK_STREAM, 0, 0, NULL, 0); /* in use */
    event(LINK_DATA, 0, 0, hello_a, sizeof hello_a - 1);
    w.now += 25 * NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.links, 4); /* from 12, above 8, down to 4 */
    assert_false(w.link[0].closed);
    w.now += 400 * NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.links, 1);
    assert_int_equal(count(EV_PEER_DOWN), 11 * 2);
}

/* Both dialled at once: of the two links the one that the smaller id dialled stays, on both sides. */
static void of_two_links_by_simultaneous_dials_one_is_given_up(void **state)
{
    (void)state;
    struct peer_id self = w.s->cfg.self = peer_no(4); /* smaller than some, larger than others */
    unsigned stay = 0;
    for (uint8_t i = 1; i <= 7; i++) {
        struct peer_id p = peer_no(i);
        bool ours_stays = memcmp(self.b, p.b, p.len) < 0;
        if (i == 4) {
            continue;
        }
        know(i, 1);
        open_to(i, i, 0);
        uint32_t ours = w.n_links - 1;
        w.link[ours].completed = true;
        uint32_t theirs = inbound(i, 0);
        up(ours, 0);
        w.link[theirs].bytes_in++; /* it answers the probe */
        assert_false(w.link[ours].closed || w.link[theirs].closed);
        w.now += 31 * NS_PER_S;
        swarm_tick(w.s, w.now);
        settle();
        assert_false(w.link[theirs].closed); /* its dialler decides */
        assert_int_equal(w.link[ours].closed, !ours_stays);
        stay += ours_stays ? 1 : 0;
        event(LINK_DOWN, theirs, 0, NULL, 0);
        event(LINK_DOWN, ours, 0, NULL, 0);
        settle();
    }
    assert_int_equal(stay, 3);
}

/* A link that only looks like a second one, because the other is dead, is kept. */
static void a_link_is_not_given_up_for_a_silent_one(void **state)
{
    (void)state;
    w.s->cfg.self = peer_no(4);
    know(1, 1);
    open_to(1, 1, 0);
    w.link[0].completed = true;
    uint32_t theirs = inbound(1, 0);
    up(0, 0);
    w.now += 31 * NS_PER_S; /* no answer to the probe */
    swarm_tick(w.s, w.now);
    settle();
    assert_false(w.link[0].closed || w.link[theirs].closed);
}

static void the_table_of_peers_stays_within_its_limit(void **state)
{
    (void)state;
    struct swarm_stats st;
    for (uint8_t i = 1; i < 60; i++) {
        know(i, 1);
    }
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.peers, 4);
    know(61, 1);
    open_to(61, 1, 0); /* a dial that fails, its peer evicted before it is reaped */
    event(LINK_DOWN, 0, 0, NULL, 0);
    for (uint8_t i = 70; i < 80; i++) {
        know(i, 1);
    }
    settle();
    for (uint8_t i = 0; i < 4; i++) {
        (void)inbound((uint8_t)(100 + i), 0);
    }
    uint32_t ix = inbound(110, 0); /* all places are taken by live links */
    assert_true(w.link[ix].closed);
    event(LINK_DOWN, ix - 1, 0, NULL, 0); /* dead, not reaped: still not to be evicted */
    know(111, 1);
    settle();
    assert_int_equal(count(EV_PEER_DOWN), 2);
}

static void strangers_do_not_make_it_forget_what_a_peer_proved(void **state)
{
    (void)state;
    uint8_t hash[32] = {1};
    struct peer_id proved = peer_no(1);
    uint32_t link = inbound_with_key(1, LINK_PQ_KEX | LINK_PQ_AUTH, 1);
    event(LINK_DOWN, link, 0, NULL, 0);
    settle();
    for (uint8_t i = 10; i < 60; i++) {
        struct peer_id p = peer_no(i);
        if (i % 2 == 0) {
            swarm_pin(w.s, &p, hash);
        } else {
            know(i, 1);
        }
    }
    assert_null(swarm_peer_get(w.s, &proved)); /* but its proof is */
    assert_int_equal(swarm_rule_need(swarm_pins_proof(&w.s->pins, &proved)),
                     LINK_PQ_KEX | LINK_PQ_AUTH);
}

static void connects_are_answered_once(void **state)
{
    (void)state;
    struct multiaddr ma = addr_no(1);
    struct peer_id p = peer_no(1);
    uint8_t hash[32] = {5};
    assert_int_equal(swarm_connect(w.s, w.core[0], 1, &ma, NULL, w.now), QUDAG_OK);
    w.link[0].peer = p;
    w.link[0].has_hash = true;
    up(0, LINK_PQ_KEX | LINK_PQ_AUTH);
    assert_int_equal(count(EV_STREAM_FAIL), 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_OK);
    assert_true(peer_id_eq(&last(EV_STREAM_FAIL)->peer, &p));
    multiaddr_quic(&ma, &w.link[0].remote, &p); /* linked already */
    assert_int_equal(swarm_connect(w.s, w.core[0], 2, &ma, NULL, w.now), QUDAG_OK);
    settle();
    assert_int_equal(w.n_links, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 2);
    assert_int_equal(swarm_connect(w.s, w.core[0], 3, &ma, hash, w.now), QUDAG_EAUTH);
    struct peer_id self = peer_no(0);
    multiaddr_quic(&ma, &w.link[0].remote, &self);
    assert_int_equal(swarm_connect(w.s, w.core[0], 4, &ma, NULL, w.now), QUDAG_EINVAL);
    ma = addr_no(2); /* our own address, as it turns out */
    assert_int_equal(swarm_connect(w.s, w.core[0], 5, &ma, NULL, w.now), QUDAG_OK);
    w.link[1].peer = self;
    up(1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EINVAL);
    w.dial_err = QUDAG_ELIMIT;
    assert_int_equal(swarm_connect(w.s, w.core[0], 6, &ma, NULL, w.now), QUDAG_ELIMIT);
    w.dial_err = QUDAG_OK;
    struct peer_id q = peer_no(2);
    multiaddr_quic(&ma, &w.link[0].remote, &q);
    for (uint64_t i = 0; i < 50; i++) { /* more than fit a byte would need; none is lost */
        assert_int_equal(swarm_connect(w.s, w.core[0], 100 + i, &ma, NULL, w.now), QUDAG_OK);
    }
    w.n_seen = 0;
    for (uint32_t i = 2; i < 52; i++) {
        event(LINK_DOWN, i, 0, NULL, 0);
    }
    settle();
    assert_int_equal(count(EV_STREAM_FAIL), 50);
    assert_int_equal(swarm_peer_get(w.s, &q)->n_dials, 0);
}

static void protocol_names_are_checked(void **state)
{
    (void)state;
    char longest[SWARM_PROTO_LEN_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(swarm_proto_add(w.s, longest, 0, false), QUDAG_EINVAL);
    longest[sizeof longest - 2] = '\0';
    assert_int_equal(swarm_proto_add(w.s, longest, 0, false), QUDAG_OK);
    assert_int_equal(swarm_proto_add(w.s, "/a/1", 0, false), QUDAG_EEXISTS);
    assert_int_equal(swarm_proto_add(w.s, "/c", 9, false), QUDAG_EINVAL);
    assert_null(swarm_proto_intern(w.s, "/a b"));
    assert_ptr_equal(swarm_proto_intern(w.s, "/new"), swarm_proto_intern(w.s, "/new"));
}

static void whatever_allocation_fails_every_open_ends(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 60; k++) {
        assert_int_equal(setup(NULL), 0);
        know(1, 3);
        w.mem.fail_at = k;
        open_to(1, 1, 0);
        open_to(1, 2, LINK_PQ_KEX);
        for (uint32_t i = 0; i < w.n_links; i++) {
            if (!w.link[i].closed) { /* closed for lack of memory, or as another won */
                up(i, 0);
            }
        }
        (void)inbound(2, 0);
        open_to(2, 3, 0);
        w.now += SWARM_OPEN_TIMEOUT;
        swarm_tick(w.s, w.now);
        settle();
        unsigned ends[4] = {0};
        for (size_t i = 0; i < w.n_seen; i++) {
            const struct ev *ev = &w.seen[i].ev;
            if (ev->type == EV_STREAM_FAIL || (ev->type == EV_STREAM_OPEN && !ev->inbound)) {
                ends[ev->cookie]++;
            }
        }
        for (int i = 1; i < 4; i++) {
            assert_int_equal(ends[i], 1);
        }
        assert_int_equal(teardown(NULL), 0);
    }
    assert_int_equal(setup(NULL), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(unknown_and_own_peers_fail_at_once),
        T(addresses_are_raced_and_one_wins),
        T(a_peer_that_cannot_be_reached_is_left_alone_for_a_while),
        T(a_refused_inbound_link_is_no_failed_dial),
        T(a_record_does_not_replace_a_proven_key),
        T(an_inbound_link_with_another_key_than_the_pinned_is_refused),
        T(what_a_peer_proved_it_must_prove_again_and_nothing_else),
        T(hinted_addresses_of_our_own_network_are_not_dialled),
        T(hints_do_not_displace_the_address_of_a_link),
        T(a_hint_has_its_turn_behind_what_was_known),
        T(an_open_nobody_can_serve_ends_with_its_cause),
        T(opens_wait_for_streams_and_time_out),
        T(limits_of_opens_hold_and_leave_room_for_other_protocols),
        T(opens_beyond_what_the_peer_allows_queue_and_all_get_their_turn),
        T(protocols_take_turns_when_streams_are_scarce),
        cmocka_unit_test_setup_teardown(dials_to_silence_leave_room_for_other_cores_and_links,
                                        setup_few_dials, teardown),
        cmocka_unit_test_setup_teardown(an_address_that_was_not_tried_is_no_failure,
                                        setup_few_dials, teardown),
        T(a_peer_that_returns_gets_its_place),
        T(a_new_link_has_the_older_ones_of_its_peer_probed),
        T(padding_is_for_the_links_of_one_peer),
        T(silent_links_make_room_though_they_have_streams),
        T(idle_links_are_closed_and_surplus_ones_sooner),
        T(of_two_links_by_simultaneous_dials_one_is_given_up),
        T(a_link_is_not_given_up_for_a_silent_one),
        cmocka_unit_test_setup_teardown(the_table_of_peers_stays_within_its_limit, setup_small,
                                        teardown),
        cmocka_unit_test_setup_teardown(strangers_do_not_make_it_forget_what_a_peer_proved,
                                        setup_small, teardown),
        T(connects_are_answered_once),
        T(protocol_names_are_checked),
        cmocka_unit_test_teardown(whatever_allocation_fails_every_open_ends, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
