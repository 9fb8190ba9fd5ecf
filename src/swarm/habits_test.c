/* habits_test.c - what links prove and are given up for, who goes first, and what counts; links of testkit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/testkit.h"

static const uint8_t hello_a[] = "\x13/multistream/1.0.0\n\x05/a/1\n";

static struct swarm_peer *peer(uint8_t n)
{
    struct peer_id p = peer_no(n);

    return swarm_peer_get(w.s, &p);
}

static void down(uint32_t link, qudag_err err)
{
    struct link_ev ev = {.type = LINK_DOWN, .err = err, .link = ref_of(link)};

    swarm_link_event(w.s, w.tp, &ev, w.now);
    settle();
}

static void later(uint64_t ns)
{
    w.now += ns;
    swarm_tick(w.s, w.now);
    settle();
}

/* One open to |peer| whose dial fails with |err|. */
static void fail_once(uint8_t n, qudag_err err)
{
    uint32_t before = w.n_links;

    open_to(n, 1, 0);
    assert_int_equal(w.n_links, before + 1);
    down(before, err);
}

/* ---- keys ---- */

static void a_dial_demands_the_key_a_record_has_told(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    uint8_t hash[32] = {9};
    struct swarm_stats st;
    swarm_pin(w.s, &p, hash);
    swarm_pin(w.s, &p, hash);
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.pins_set, 1);
    know(1, 1);
    open_to(1, 1, 0);
    assert_true(w.link[0].has_pin);
    assert_memory_equal(w.link[0].pin, hash, 32);
    assert_int_equal(w.link[0].need, LINK_PQ_AUTH);
}

static void a_connect_demands_the_key_it_is_given_or_that_is_known(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    struct multiaddr ma = addr_no(1), named;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 2}, .port = 4001};
    uint8_t hash[32] = {9};
    assert_int_equal(swarm_connect(w.s, w.core[0], 1, &ma, hash, w.now), QUDAG_OK);
    assert_int_equal(w.link[0].need, LINK_PQ_AUTH); /* whoever it is */
    assert_true(w.link[0].has_pin);
    swarm_pin(w.s, &p, hash);
    multiaddr_quic(&named, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[0], 2, &named, NULL, w.now), QUDAG_OK);
    assert_int_equal(w.link[1].need, LINK_PQ_AUTH);
    assert_true(w.link[1].has_pin);
    assert_memory_equal(w.link[1].pin, hash, 32);
}

/* A classical link does not answer a connect that names a key. */
static void a_link_without_the_proof_asked_for_is_no_such_link(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    struct multiaddr named;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 2}, .port = 4001};
    uint8_t hash[32] = {9};
    (void)inbound(1, LINK_PQ_KEX);
    multiaddr_quic(&named, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[0], 1, &named, hash, w.now), QUDAG_OK);
    settle();
    assert_int_equal(w.n_links, 2);
    assert_int_equal(count(EV_STREAM_FAIL), 0);
}

static void refused_links_are_counted(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    struct swarm_stats st;
    uint8_t hash[32] = {9};
    swarm_pin(w.s, &p, hash);
    (void)inbound_with_key(1, LINK_PQ_AUTH, 8);
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.pins_refused, 1);
}

/* ---- addresses, failures, pauses ---- */

static void there_is_no_entry_for_ourselves_and_one_for_each_address(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    struct multiaddr plain = addr_no(1), named;
    struct netaddr a;
    know(0, 1);
    assert_null(peer(0));
    assert_true(multiaddr_to_netaddr(&plain, &a));
    multiaddr_quic(&named, &a, &p);
    swarm_addr_add(w.s, &p, &named);
    swarm_addr_add(w.s, &p, &plain);
    assert_int_equal(peer(1)->n_addrs, 1);
}

static void each_failure_doubles_the_pause(void **state)
{
    (void)state;
    tstamp wait = 0;
    know(1, 1);
    for (unsigned i = 0; i < 8; i++) { /* 0.5 .. 64 s, each up to a fifth more or less */
        fail_once(1, QUDAG_ETIMEOUT);
        tstamp pause = peer(1)->breaker.next_try - w.now;
        assert_true(pause > wait);
        wait = pause;
        w.now += pause;
    }
    assert_true(wait > 50 * NS_PER_S);
    uint32_t in = inbound(1, 0); /* it lives: all is forgotten */
    assert_int_equal(peer(1)->breaker.next_try, 0);
    down(in, QUDAG_ECLOSED);
    fail_once(1, QUDAG_ETIMEOUT);
    assert_true(peer(1)->breaker.next_try - w.now <= swarm_breaker_peer.min_ns * 12 / 10);
}

/* A link that lacks what is asked for neither spares the peer the pause nor ends it. */
static void dials_for_what_the_links_lack_pause_too(void **state)
{
    (void)state;
    know(1, 1);
    (void)inbound(1, 0);
    open_to(1, 1, LINK_PQ_AUTH);
    assert_int_equal(w.n_links, 2);
    down(1, QUDAG_EPOLICY);
    assert_true(peer(1)->breaker.next_try > w.now);
    open_to(1, 2, LINK_PQ_AUTH);
    settle();
    assert_int_equal(w.n_links, 2);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 2);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EPOLICY);
    (void)inbound(1, LINK_PQ_KEX); /* again without */
    assert_true(peer(1)->breaker.next_try > w.now);
    open_to(1, 3, 0); /* what a link serves goes on */
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 3);
    w.now = peer(1)->breaker.next_try; /* and the next pause is the longer one */
    tstamp first = peer(1)->breaker.next_try - T0;
    open_to(1, 4, LINK_PQ_AUTH);
    assert_int_equal(w.n_links, 4);
    down(3, QUDAG_EPOLICY);
    assert_true(peer(1)->breaker.next_try - w.now > first);
    (void)inbound_with_key(1, LINK_PQ_AUTH | LINK_PQ_KEX, 1);
    assert_int_equal(peer(1)->breaker.next_try, 0);
}

/* ---- both IP versions ---- */

static void know_v6(uint8_t n, uint8_t last)
{
    struct netaddr a = {.family = 6, .ip = {0x20, 1, [15] = last}, .port = 4001};
    struct peer_id p = peer_no(n);
    struct multiaddr ma;

    multiaddr_quic(&ma, &a, NULL);
    swarm_addr_add(w.s, &p, &ma);
}

static void ipv6_is_dialled_first_and_ipv4_a_quarter_of_a_second_later(void **state)
{
    (void)state;
    know(1, 2);
    know_v6(1, 1);
    know(1, 3); /* the newest */
    later(0);
    open_to(1, 1, 0);
    assert_int_equal(w.n_links, 1);
    assert_int_equal(w.link[0].remote.family, 6);
    assert_int_equal(swarm_deadline(w.s), w.now + SWARM_ATTEMPT_DELAY);
    later(SWARM_ATTEMPT_DELAY - 1);
    assert_int_equal(w.n_links, 1);
    later(1);
    assert_int_equal(w.n_links, 2);
    assert_int_equal(w.link[1].remote.family, 4);
    assert_int_equal(w.link[1].remote.ip[3], 12);
    later(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 3);
    assert_int_equal(w.link[2].remote.ip[3], 11);
    up(0, 0);
    assert_true(w.link[1].closed && w.link[2].closed);
    later(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 3);
}

/* One link, not two of which one is pruned later. */
static void who_answers_within_the_delay_is_dialled_once(void **state)
{
    (void)state;
    know(1, 1);
    know_v6(1, 1);
    open_to(1, 1, 0);
    up(0, 0);
    later(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 1);
    assert_int_equal(count(EV_STREAM_OPEN), 1);
}

static void a_refusal_starts_the_other_version_at_once(void **state)
{
    (void)state;
    know(1, 1);
    know_v6(1, 1);
    open_to(1, 1, 0);
    down(0, QUDAG_EUNREACHABLE);
    assert_int_equal(w.n_links, 2);
    assert_int_equal(w.link[1].remote.family, 4);
    later(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 2);
}

static void so_many_addresses_are_tried_at_once_and_no_more(void **state)
{
    (void)state;
    know(1, SWARM_ADDRS_MAX);
    open_to(1, 1, 0);
    for (uint32_t i = 1; i < SWARM_DIALS_PARALLEL; i++) {
        later(SWARM_ATTEMPT_DELAY);
        assert_int_equal(w.n_links, i + 1);
    }
    later(4 * SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, SWARM_DIALS_PARALLEL);
    down(2, QUDAG_ETIMEOUT);
    down(0, QUDAG_ETIMEOUT);
    assert_int_equal(w.n_links, SWARM_DIALS_PARALLEL + 2);
}

/* A search brings where the peer is bit by bit: what comes last is not tried only when the first is given up. */
static void an_address_that_comes_during_a_dial_has_its_turn(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    later(3 * SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 1);
    know(1, 2); /* the one that is being dialled, and another */
    later(0);
    assert_int_equal(w.n_links, 2); /* its delay has passed already */
    know(1, 3);
    later(SWARM_ATTEMPT_DELAY - 1);
    assert_int_equal(w.n_links, 2);
    later(1);
    assert_int_equal(w.n_links, 3);
}

/* Who asked for a dial to one address waits for that; who asks for the peer does not. */
static void a_dial_to_one_address_is_not_all_that_a_stream_waits_for(void **state)
{
    struct multiaddr one = addr_no(10);
    struct peer_id peer = peer_no(1);
    (void)state;
    know(1, 2);
    assert_true(multiaddr_add_peer(&one, &peer));
    assert_int_equal(swarm_connect(w.s, w.core[1], 9, &one, NULL, w.now), QUDAG_OK);
    open_to(1, 1, 0);
    later(SWARM_ATTEMPT_DELAY - 1);
    assert_int_equal(w.n_links, 1);
    later(1);
    assert_int_equal(w.n_links, 2);
}

/* The delay is after the last attempt, also one that a failure caused. */
static void a_failure_begins_the_next_and_its_delay(void **state)
{
    (void)state;
    know(1, 4);
    open_to(1, 1, 0);
    later(SWARM_ATTEMPT_DELAY / 2);
    down(0, QUDAG_EUNREACHABLE);
    assert_int_equal(w.n_links, 2);
    later(SWARM_ATTEMPT_DELAY - 1);
    assert_int_equal(w.n_links, 2);
    later(1);
    assert_int_equal(w.n_links, 3);
}

static void nothing_more_is_dialled_once_nobody_waits(void **state)
{
    (void)state;
    know(1, 4);
    open_to(1, 1, 0);
    w.s->cfg.dial_ns = SWARM_ATTEMPT_DELAY / 2;
    later(SWARM_ATTEMPT_DELAY / 2);
    assert_int_equal(count(EV_STREAM_FAIL), 1);
    later(4 * SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 1);
}

/* Whoever waits while one address is dialled by name has the others tried when that one fails. */
static void the_others_have_their_turn_after_a_named_address(void **state)
{
    struct peer_id p = peer_no(1);
    struct multiaddr named;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 10}, .port = 4001};
    (void)state;

    know(1, 2);
    open_to(1, 1, 0);
    down(0, QUDAG_ETIMEOUT);
    down(1, QUDAG_ETIMEOUT);
    later(peer(1)->breaker.next_try - w.now);
    uint32_t before = w.n_links;
    multiaddr_quic(&named, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[0], 2, &named, NULL, w.now), QUDAG_OK);
    open_to(1, 3, 0);
    assert_int_equal(w.n_links, before + 1);
    down(before, QUDAG_EUNREACHABLE);
    assert_int_equal(w.n_links, before + 2);
    assert_int_equal(w.link[before + 1].remote.ip[3], 11);
}

/* What is dropped by us says nothing of the peer and nothing of its network. */
static void the_losers_of_a_race_are_not_held_against_anybody(void **state)
{
    struct swarm_stats st;
    uint32_t peers, networks;
    (void)state;

    for (uint8_t i = 1; i <= 6;
         i++) { /* at addresses at which links stood, so that failures count */
        know(i, 3);
        open_to(i, i, 0);
        up(w.n_links - 1, 0);
        down(w.n_links - 1, QUDAG_ECLOSED);
        uint32_t first = w.n_links;
        open_to(i, i, 0);
        later(SWARM_ATTEMPT_DELAY);
        later(SWARM_ATTEMPT_DELAY);
        assert_int_equal(w.n_links, first + 3);
        up(first + 2, 0);
        assert_true(w.link[first].closed && w.link[first + 1].closed);
        down(first, QUDAG_ETIMEOUT); /* what the transport says of those we closed */
        down(first + 2, QUDAG_ECLOSED);
    }
    swarm_waiting(w.s, &peers, &networks);
    assert_int_equal(peers + networks, 0);
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.dials_failed, 0);
}

/* The version at which the peer was is the first, and the very address the first of it. */
static void the_address_that_worked_comes_first(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    up(0, 0);
    down(0, QUDAG_ECLOSED);
    for (uint8_t i = 0; i < 4; i++) {
        know_v6(1, i);
    }
    know(1, 3); /* newer */
    open_to(1, 2, 0);
    assert_int_equal(w.n_links, 2);
    assert_int_equal(w.link[1].remote.family, 4);
    assert_int_equal(w.link[1].remote.ip[3], 10);
    later(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 3);
    assert_int_equal(w.link[2].remote.family, 6);
}

static void a_pause_ends_with_a_link_or_a_new_address_and_says_its_cause(void **state)
{
    (void)state;
    know(1, 1);
    fail_once(1, QUDAG_EAUTH);
    open_to(1, 2, 0);
    settle();
    assert_int_equal(w.n_links, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 2);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EAUTH); /* not that it is unreachable */
    down(inbound(1, 0), QUDAG_ECLOSED);
    fail_once(1, QUDAG_ETIMEOUT);
    know(1, 2);
    open_to(1, 3, 0);
    assert_true(w.n_links > 3);
}

static void the_next_address_is_asked_for_no_more_than_all_want(void **state)
{
    (void)state;
    know(1, 4);
    open_to(1, 1, 0);
    open_to(1, 2, LINK_PQ_KEX);
    down(0, QUDAG_ETIMEOUT);
    assert_int_equal(w.n_links, 2);
    assert_int_equal(w.link[1].need, 0);
}

static void a_connect_goes_on_though_another_dial_has_won(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    struct multiaddr named;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 200}, .port = 4001};
    know(1, 2);
    open_to(1, 1, 0);
    later(SWARM_ATTEMPT_DELAY);
    multiaddr_quic(&named, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[0], 2, &named, NULL, w.now), QUDAG_OK);
    assert_int_equal(w.n_links, 3);
    up(0, 0);
    assert_true(w.link[1].closed);
    assert_false(w.link[2].closed); /* its caller waits for this one */
}

/* ---- links ---- */

static void a_link_that_ended_in_order_says_that_it_is_closed(void **state)
{
    (void)state;
    uint32_t ix = inbound(1, 0);
    open_to(1, 1, 0);
    settle();
    down(ix, QUDAG_OK);
    assert_int_equal(last(EV_RESET)->ev.err, QUDAG_ECLOSED);
}

static void the_first_probe_stands_until_it_is_answered(void **state)
{
    (void)state;
    uint32_t first = inbound(1, 0);
    (void)inbound(1, 0);
    tstamp probed = w.now;
    w.now += SWARM_SILENT_AFTER / 2;
    (void)inbound(1, 0);
    w.now = probed + SWARM_SILENT_AFTER;
    assert_true(swarm_link_silent(peer(1)->link[0], w.now));
    w.link[first].bytes_in++;
    assert_false(swarm_link_silent(peer(1)->link[0], w.now));
}

static void streams_avoid_a_silent_link_though_it_is_the_newer(void **state)
{
    (void)state;
    uint32_t older = inbound(1, 0), newer = inbound(1, 0), newest = inbound(1, 0);
    down(newest, QUDAG_ECLOSED);
    w.now += SWARM_SILENT_AFTER;
    w.link[older].bytes_in++;
    open_to(1, 1, 0);
    settle();
    assert_int_equal(w.link[older].next_sid, 1);
    assert_int_equal(w.link[newer].next_sid, 0);
}

static void a_link_that_makes_room_is_told_why(void **state)
{
    (void)state;
    uint32_t ix[6];
    for (int i = 0; i < 5; i++) {
        ix[i] = inbound(1, 0);
    }
    assert_int_equal(w.link[ix[0]].close_err, QUDAG_ELIMIT);
    w.now += SWARM_SILENT_AFTER;
    ix[5] = inbound(1, 0);
    assert_true(w.link[ix[1]].closed);
    assert_int_equal(w.link[ix[1]].close_err, QUDAG_ETIMEOUT);
}

static void a_full_table_is_a_limit_and_our_own_link_a_mistake(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 4; i++) {
        (void)inbound(i, 0);
    }
    uint32_t over = inbound(5, 0);
    assert_true(w.link[over].closed);
    assert_int_equal(w.link[over].close_err, QUDAG_ELIMIT);
    uint32_t self = inbound(0, 0);
    assert_true(w.link[self].closed);
    assert_int_equal(w.link[self].close_err, QUDAG_EINVAL);
}

static void the_dialler_alone_gives_up_a_link(void **state)
{
    (void)state;
    w.s->cfg.self = peer_no(4);
    for (uint8_t i = 1; i <= 7; i++) {
        if (i == 4) {
            continue;
        }
        uint32_t one = inbound(i, 0), two = inbound(i, 0);
        w.link[one].bytes_in++;
        later(31 * NS_PER_S);
        assert_false(w.link[one].closed || w.link[two].closed);
        down(one, QUDAG_ECLOSED);
        down(two, QUDAG_ECLOSED);
    }
}

static void of_two_links_dialled_by_us_the_older_goes(void **state)
{
    (void)state;
    know(1, 2);
    open_to(1, 1, 0);
    later(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.n_links, 2);
    w.link[0].completed = w.link[1].completed = true;
    up(0, 0);
    up(1, 0);
    struct act reset = {.type = ACT_RESET, .strm = last(EV_STREAM_OPEN)->ev.strm};
    swarm_act(w.s, w.core[0], &reset, NULL, w.now);
    w.link[0].bytes_in++;
    later(31 * NS_PER_S);
    assert_true(w.link[0].closed);
    assert_int_equal(w.link[0].close_err, QUDAG_OK);
    assert_false(w.link[1].closed);
    know(2, 2);
    open_to(2, 2, 0);
    later(SWARM_ATTEMPT_DELAY);
    w.link[2].completed = w.link[3].completed = true;
    up(2, 0); /* its stream is on the older one */
    up(3, 0);
    w.link[2].bytes_in++;
    later(31 * NS_PER_S);
    assert_false(w.link[2].closed || w.link[3].closed);
}

static void a_link_is_idle_from_the_end_of_its_last_stream(void **state)
{
    (void)state;
    uint32_t ix = inbound(1, 0);
    open_to(1, 1, 0);
    settle();
    later(290 * NS_PER_S);
    struct act reset = {.type = ACT_RESET, .strm = last(EV_STREAM_OPEN)->ev.strm};
    swarm_act(w.s, w.core[0], &reset, NULL, w.now);
    later(25 * NS_PER_S);
    assert_false(w.link[ix].closed);
    later(280 * NS_PER_S);
    assert_true(w.link[ix].closed);
}

/* ---- opens and streams ---- */

static void an_open_that_waited_is_of_its_own_protocol(void **state)
{
    (void)state;
    struct act a = {.type = ACT_OPEN, .cookie = 1, .peer = peer_no(1)};
    know(1, 1);
    swarm_act(w.s, w.core[1], &a, NULL, w.now);
    up(0, 0);
    assert_string_equal(last(EV_STREAM_OPEN)->ev.proto, "/b/1");
}

static void who_comes_later_does_not_overtake_who_waits(void **state)
{
    (void)state;
    (void)inbound(1, 0);
    w.open_err = QUDAG_EAGAIN;
    open_to(1, 1, 0);
    w.credit = 1; /* allowed a moment before we are told */
    open_to(1, 2, 0);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 1);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 1);
}

static void the_deadline_is_that_of_the_oldest_open_or_negotiation(void **state)
{
    (void)state;
    (void)inbound(1, 0);
    w.s->next_prune = TSTAMP_NEVER;
    assert_int_equal(swarm_deadline(w.s), TSTAMP_NEVER);
    w.open_err = QUDAG_EAGAIN;
    open_to(1, 1, 0);
    settle();
    assert_int_equal(swarm_deadline(w.s), w.now + SWARM_OPEN_TIMEOUT);
    w.now += 10 * NS_PER_S;
    event(LINK_STREAM, 0, 0, NULL, 0);
    w.s->next_prune = TSTAMP_NEVER;
    swarm_tick(w.s, w.now);
    settle();
    assert_int_equal(swarm_deadline(w.s), w.now + 5 * NS_PER_S);
    later(5 * NS_PER_S);
    w.s->next_prune = TSTAMP_NEVER;
    assert_int_equal(swarm_deadline(w.s), w.now + 5 * NS_PER_S); /* of the negotiation */
}

static void times_that_change_hold_for_what_waits_already(void **state)
{
    (void)state;
    (void)inbound(1, 0);
    w.open_err = QUDAG_EAGAIN;
    open_to(1, 1, 0);
    event(LINK_STREAM, 0, 0, NULL, 0);
    settle();
    w.s->next_prune = TSTAMP_NEVER;
    swarm_set_times(w.s, 0, 4 * NS_PER_S, 3 * NS_PER_S);
    assert_int_equal(swarm_deadline(w.s), w.now + 3 * NS_PER_S); /* of the negotiation */
    swarm_set_times(w.s, 0, 2 * NS_PER_S, 0);
    assert_int_equal(swarm_deadline(w.s), w.now + 2 * NS_PER_S); /* of the open */
    later(2 * NS_PER_S);
    settle();
    assert_int_equal(count(EV_STREAM_FAIL), 1);
    w.s->next_prune = TSTAMP_NEVER;
    assert_int_equal(swarm_deadline(w.s), w.now + NS_PER_S);
}

static void a_stream_that_timed_out_is_deaf(void **state)
{
    (void)state;
    uint32_t ix = inbound(1, 0);
    event(LINK_STREAM, ix, 0, NULL, 0);
    w.now += SWARM_NEGOTIATE_TIMEOUT;
    swarm_tick(w.s, w.now);
    event(LINK_DATA, ix, 0, hello_a, sizeof hello_a - 1); /* in the same moment */
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 0);
}

static void bytes_of_the_negotiation_make_no_room(void **state)
{
    (void)state;
    uint32_t ix = inbound(1, 0);
    open_to(1, 1, 0);
    settle();
    size_t proposal = w.link[ix].sent_n;
    struct ref ours = last(EV_STREAM_OPEN)->ev.strm;
    event(LINK_STREAM, ix, 5, NULL, 0);
    event(LINK_DATA, ix, 5, hello_a, sizeof hello_a - 1);
    size_t reply = w.link[ix].sent_n - proposal;
    assert_true(proposal > 0 && reply > 0);
    event(LINK_SENT, ix, 0, NULL, proposal);
    event(LINK_SENT, ix, 5, NULL, reply);
    assert_int_equal(count(EV_WRITABLE), 0);
    event(LINK_SENT, ix, 0, NULL, 7);
    assert_int_equal(count(EV_WRITABLE), 1);
    assert_int_equal(last(EV_WRITABLE)->ev.n, 7);
    assert_true(ref_eq(last(EV_WRITABLE)->ev.strm, ours));
}

static void who_gives_credit_itself_is_left_to_it(void **state)
{
    static const struct core_ops manual = {.inbound_max = 2, .manual_credit = true};
    static const uint8_t hello_m[] = "\x13/multistream/1.0.0\n\x05/m/1\ndata";
    unsigned core;
    (void)state;
    assert_int_equal(swarm_core_add(w.s, &manual, &core), QUDAG_OK);
    assert_int_equal(swarm_proto_add(w.s, "/m/1", core, true), QUDAG_OK);
    uint32_t ix = inbound(1, 0);
    event(LINK_STREAM, ix, 0, NULL, 0);
    event(LINK_DATA, ix, 0, hello_m, sizeof hello_m - 1);
    assert_int_equal(last(EV_DATA)->ev.data.len, 4);
    assert_int_equal(w.link[ix].consumed, sizeof hello_m - 1 - 4);
    struct act more = {.type = ACT_CONSUME, .strm = last(EV_STREAM_OPEN)->ev.strm, .n = 4};
    swarm_act(w.s, core, &more, NULL, w.now);
    assert_int_equal(w.link[ix].consumed, sizeof hello_m - 1);
}

static void nothing_is_written_after_the_end(void **state)
{
    (void)state;
    uint32_t ix = inbound(1, 0);
    open_to(1, 1, 0);
    settle();
    struct act fin = {.type = ACT_FIN, .strm = last(EV_STREAM_OPEN)->ev.strm};
    struct act more = {.type = ACT_WRITE, .data = {(const uint8_t *)"more", 4}};
    more.strm = fin.strm;
    swarm_act(w.s, w.core[0], &fin, NULL, w.now);
    size_t before = w.link[ix].sent_n;
    swarm_act(w.s, w.core[0], &more, NULL, w.now);
    assert_int_equal(w.link[ix].sent_n, before);
    assert_int_equal(count(EV_RESET), 0);
}

/* A dial for others: to that address only, which is noted once the peer was there, whatever links there are. */
static void a_dial_that_others_cause_leaves_no_address_behind(void **state)
{
    struct peer_id p = peer_no(1), self = peer_no(0);
    struct multiaddr ma = addr_no(7);
    uint8_t hash[32] = {1};
    struct transport_target to = {
        .addr = &ma, .peer = &p, .pq_hash = hash, .need = LINK_PQ_KEX | LINK_PQ_AUTH};
    struct transport_target us = to;
    (void)state;

    us.peer = &self;
    assert_int_equal(swarm_dial_out(w.s, w.core[0], 1, &us, w.now), QUDAG_EINVAL);
    assert_int_equal(swarm_dial_out(w.s, w.core[0], 1, &to, w.now), QUDAG_OK);
    assert_int_equal(w.n_links, 1);
    assert_int_equal(w.link[0].need, LINK_PQ_KEX | LINK_PQ_AUTH);
    assert_memory_equal(w.link[0].pin, hash, 32);
    swarm_dial_stop(w.s, w.core[0], 2, w.now); /* another's */
    swarm_dial_stop(w.s, w.core[1], 1, w.now);
    settle();
    assert_int_equal(w.n_seen, 0);
    swarm_dial_stop(w.s, w.core[0], 1, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ECANCELED);
    open_to(1, 5, 0); /* nobody knows where it is */
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 5);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EUNREACHABLE);
    assert_int_equal(w.n_links, 1);
}

/* Cells go along the dial: a link that the peer dialled does not serve, and one is made. */
static void a_core_that_goes_along_links_opens_nothing_on_those_that_came_in(void **state)
{
    static const struct core_ops along = {.inbound_max = 2, .along_links = true};
    struct act a = {.type = ACT_OPEN, .cookie = 3, .peer = peer_no(1)};
    unsigned core;
    (void)state;

    assert_int_equal(swarm_core_add(w.s, &along, &core), QUDAG_OK);
    assert_int_equal(swarm_proto_add(w.s, "/c/1", core, true), QUDAG_OK);
    know(1, 1);
    (void)inbound(1, LINK_PQ_KEX);
    a.no_dial = true;
    swarm_act(w.s, core, &a, NULL, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ECLOSED);
    a.no_dial = false;
    swarm_act(w.s, core, &a, NULL, w.now);
    settle();
    assert_int_equal(w.n_links, 2); /* dialled */
    assert_int_equal(count(EV_STREAM_OPEN), 0);
    w.link[1].peer = peer_no(1);
    up(1, LINK_PQ_KEX);
    assert_int_equal(w.link[1].next_sid, 1); /* the stream is on the new one */
    assert_int_equal(w.link[0].next_sid, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_dial_demands_the_key_a_record_has_told),
        T(a_connect_demands_the_key_it_is_given_or_that_is_known),
        T(a_link_without_the_proof_asked_for_is_no_such_link),
        T(refused_links_are_counted),
        T(there_is_no_entry_for_ourselves_and_one_for_each_address),
        T(each_failure_doubles_the_pause),
        T(the_address_that_worked_comes_first),
        T(so_many_addresses_are_tried_at_once_and_no_more),
        T(an_address_that_comes_during_a_dial_has_its_turn),
        T(a_dial_to_one_address_is_not_all_that_a_stream_waits_for),
        T(a_failure_begins_the_next_and_its_delay),
        T(nothing_more_is_dialled_once_nobody_waits),
        T(the_others_have_their_turn_after_a_named_address),
        T(the_losers_of_a_race_are_not_held_against_anybody),
        T(a_refusal_starts_the_other_version_at_once),
        T(who_answers_within_the_delay_is_dialled_once),
        T(ipv6_is_dialled_first_and_ipv4_a_quarter_of_a_second_later),
        T(dials_for_what_the_links_lack_pause_too),
        T(a_pause_ends_with_a_link_or_a_new_address_and_says_its_cause),
        T(the_next_address_is_asked_for_no_more_than_all_want),
        T(a_connect_goes_on_though_another_dial_has_won),
        T(a_link_that_ended_in_order_says_that_it_is_closed),
        T(the_first_probe_stands_until_it_is_answered),
        T(streams_avoid_a_silent_link_though_it_is_the_newer),
        T(a_link_that_makes_room_is_told_why),
        cmocka_unit_test_setup_teardown(a_full_table_is_a_limit_and_our_own_link_a_mistake,
                                        setup_small, teardown),
        T(the_dialler_alone_gives_up_a_link),
        T(of_two_links_dialled_by_us_the_older_goes),
        T(a_link_is_idle_from_the_end_of_its_last_stream),
        T(an_open_that_waited_is_of_its_own_protocol),
        T(who_comes_later_does_not_overtake_who_waits),
        T(the_deadline_is_that_of_the_oldest_open_or_negotiation),
        T(a_dial_that_others_cause_leaves_no_address_behind),
        T(a_core_that_goes_along_links_opens_nothing_on_those_that_came_in),
        T(times_that_change_hold_for_what_waits_already),
        T(a_stream_that_timed_out_is_deaf),
        T(bytes_of_the_negotiation_make_no_room),
        T(who_gives_credit_itself_is_left_to_it),
        T(nothing_is_written_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
