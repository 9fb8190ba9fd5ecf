/* breaker_test.c - what is not tried again for how long, who lets a breaker open, and whom it holds back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "swarm/internal.h"
#include "swarm/testkit.h"

/* ---- the rules alone ---- */

static void it_opens_after_failures_lets_one_through_and_closes_after_success(void **state)
{
    static const uint8_t seed[32] = {4};
    struct rng_stream stream;
    struct swarm_breaker b = {0};
    const struct swarm_breaker_kind *k = &swarm_breaker_network;
    tstamp now = 5 * NS_PER_S;
    (void)state;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    for (uint32_t i = 1; i < k->open_at; i++) {
        swarm_breaker_failed(&b, k, &rng, now);
        assert_int_equal(swarm_breaker_state(&b, now), SWARM_BREAKER_CLOSED);
        assert_true(swarm_breaker_try(&b, now + 9, now));
    }
    uint64_t wait = k->min_ns;
    for (unsigned i = 0; i < 40; i++) {
        swarm_breaker_failed(&b, k, &rng, now);
        assert_int_equal(swarm_breaker_state(&b, now), SWARM_BREAKER_OPEN);
        assert_false(swarm_breaker_try(&b, now + 9, now));
        assert_true(b.next_try - now >= wait - wait / 5 && b.next_try - now <= wait + wait / 5);
        now = b.next_try;
        assert_int_equal(swarm_breaker_state(&b, now), SWARM_BREAKER_HALF_OPEN);
        assert_true(swarm_breaker_try(&b, now + 9, now));
        assert_false(swarm_breaker_try(&b, now + 9, now + 8)); /* one probe at a time */
        wait = 2 * wait < k->max_ns ? 2 * wait : k->max_ns;
    }
    swarm_breaker_given_up(&b, now + 1); /* by us: it says nothing, and the next may try */
    assert_true(swarm_breaker_try(&b, now + 9, now + 1));
    swarm_breaker_reset(&b);
    assert_int_equal(swarm_breaker_state(&b, now + 1), SWARM_BREAKER_CLOSED);
    assert_int_equal(b.failures, 0);
    swarm_breaker_given_up(&b, now + 1); /* of a closed one there is nothing to give up */
    assert_int_equal(swarm_breaker_state(&b, now + 1), SWARM_BREAKER_CLOSED);
}

static void what_is_ours_is_not_held_against_a_peer(void **state)
{
    static const struct {
        qudag_err err;
        bool here, fault;
    } row[] = {
        {QUDAG_ECANCELED, true, false},    {QUDAG_ENOMEM, true, false},
        {QUDAG_ESYSTEM, false, false},     {QUDAG_ELIMIT, true, false},
        {QUDAG_ELIMIT, false, true},       {QUDAG_ETIMEOUT, false, true},
        {QUDAG_EUNREACHABLE, false, true}, {QUDAG_EAUTH, true, true},
        {QUDAG_EPOLICY, true, true},       {QUDAG_EREFUSED, false, true},
        {QUDAG_ESTATE, true, false},       {QUDAG_ECANCELED, false, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(swarm_rule_fault(row[i].err, row[i].here), row[i].fault);
    }
}

/* Dead addresses that somebody announced, and a network of ours that is away, open nothing. */
static void only_silence_where_a_link_stood_counts_for_a_network(void **state)
{
    const struct swarm_net_dial good = {.stood = true, .elsewhere = true};
    struct swarm_net_dial d = good;
    (void)state;

    assert_true(swarm_rule_net_counts(&good, QUDAG_ETIMEOUT, false));
    assert_true(swarm_rule_net_counts(&good, QUDAG_EUNREACHABLE, false));
    assert_false(swarm_rule_net_counts(&good, QUDAG_ETIMEOUT, true));
    assert_false(swarm_rule_net_counts(&good, QUDAG_EAUTH, false)); /* somebody answers there */
    assert_false(swarm_rule_net_counts(&good, QUDAG_EREFUSED, false));
    assert_false(swarm_rule_net_counts(&good, QUDAG_ELIMIT, false));
    d.stood = false;
    assert_false(swarm_rule_net_counts(&d, QUDAG_ETIMEOUT, false));
    d.probe = true; /* but for the one that is let through to see */
    assert_true(swarm_rule_net_counts(&d, QUDAG_ETIMEOUT, false));
    assert_false(swarm_rule_net_counts(&d, QUDAG_ETIMEOUT, true));
    d = good;
    d.elsewhere = false;
    assert_false(swarm_rule_net_counts(&d, QUDAG_ETIMEOUT, false));
}

static struct netaddr ip4(uint8_t a, uint8_t b, uint8_t c)
{
    return (struct netaddr){.family = 4, .ip = {a, b, c, 1}, .port = 1};
}

static void what_says_that_our_network_is_there(void **state)
{
    const struct netaddr far = ip4(9, 9, 9), home = ip4(192, 168, 1), link = ip4(169, 254, 3),
                         none = {.family = 0};
    struct netaddr up = ip4(8, 8, 8);
    (void)state;

    assert_true(swarm_rule_net_elsewhere(&far, &up));
    up = ip4(9, 9, 9);
    assert_false(swarm_rule_net_elsewhere(&far, &up));
    assert_false(swarm_rule_net_elsewhere(&far, &none));
    /* one in the local network says nothing of the Internet, but something of another one there */
    assert_false(swarm_rule_net_elsewhere(&far, &home));
    assert_false(swarm_rule_net_elsewhere(&home, &link));
    up = ip4(10, 1, 1);
    assert_true(swarm_rule_net_elsewhere(&home, &up));
    assert_true(swarm_rule_net_elsewhere(&home, &far));
}

static void it_holds_only_what_others_made_us_dial_where_nobody_was(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 8; i++) {
        struct swarm_net_dial d = {
            .stood = (i & 1) != 0, .chosen = (i & 2) != 0, .matters = (i & 4) != 0};
        assert_int_equal(swarm_rule_net_holds(&d), i == 0);
    }
}

/* ---- a swarm ---- */

/* Core 0 does not choose whom it dials.  |peer| at 9.9.9.|peer|*10. */
static void dial_fails(uint8_t peer, uint64_t cookie)
{
    open_to(peer, cookie, 0);
    event(LINK_DOWN, w.n_links - 1, 0, NULL, 0);
    settle();
}

/* A link stands with |peer| at its address, and ends. */
static void was_there(uint8_t peer)
{
    know(peer, 1);
    open_to(peer, 500u + peer, 0);
    uint32_t ix = w.n_links - 1;
    up(ix, 0);
    event(LINK_DOWN, ix, 0, NULL, 0);
    settle();
    swarm_retry(w.s, NULL);
}

/* A link with a host of another network, which says that ours is there. */
static void another_network(void)
{
    uint32_t ix = w.n_links++;

    w.link[ix] = (struct fake_link){.peer = peer_no(90),
                                    .remote = {.family = 4, .ip = {8, 8, 8, 8}, .port = 4001}};
    up(ix, LINK_INBOUND);
}

static enum swarm_breaker_state state_of_network(void)
{
    struct swarm_breaker_look look;

    for (size_t it = 0; swarm_breaker_next(w.s, &it, &look, w.now);) {
        if (look.peer.len == 0) {
            assert_int_equal(look.net.ip[3], 0);
            assert_int_equal(look.net.ip[2], 9);
            return look.state;
        }
    }
    return SWARM_BREAKER_CLOSED;
}

static uint64_t dials(void)
{
    struct swarm_stats st;

    swarm_stats_get(w.s, &st);
    return st.dials;
}

static void dead_addresses_that_others_name_shut_out_nobody(void **state)
{
    (void)state;

    another_network();
    for (uint8_t i = 1; i <= 20; i++) {
        know(i, 1);
        dial_fails(i, i);
    }
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
}

static void four_hosts_that_fell_silent_hold_back_what_others_name_there(void **state)
{
    struct swarm_stats st;
    (void)state;

    another_network();
    for (uint8_t i = 1; i <= 4; i++) {
        was_there(i);
    }
    for (unsigned n = 0; n < 6; n++) { /* one host alone, however often */
        dial_fails(1, n);
        w.now += 400 * NS_PER_S;
    }
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
    for (uint8_t i = 2; i <= 4; i++) {
        dial_fails(i, 10u + i);
    }
    assert_int_equal(state_of_network(), SWARM_BREAKER_OPEN);
    uint64_t before = dials();
    know(7, 1);
    open_to(7, 70, 0); /* nobody was there */
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT); /* ours: not held against it */
    struct peer_id seven = peer_no(7);
    assert_int_equal(swarm_next_try(w.s, &seven, w.now), 0);
    assert_int_equal(dials(), before);
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.dials_refused_network, 1);
    assert_int_equal(swarm_peer_protect(w.s, &seven, "kept"), QUDAG_OK);
    dial_fails(7, 71); /* whoever matters is dialled all the same */
    assert_int_equal(dials(), before + 1);
    w.now += 8 * NS_PER_S; /* half open: one, and no second one beside it */
    assert_int_equal(state_of_network(), SWARM_BREAKER_HALF_OPEN);
    know(8, 1);
    know(9, 1);
    w.dial_err = QUDAG_ESYSTEM; /* one that could not even begin was no probe, the next is */
    open_to(9, 89, 0);
    settle();
    w.dial_err = QUDAG_OK;
    before = dials() - 1;
    swarm_retry(w.s, &(struct peer_id){.len = 0});
    open_to(8, 80, 0);
    uint32_t probe = w.n_links - 1;
    assert_int_equal(dials(), before + 2);
    open_to(9, 90, 0);
    assert_int_equal(dials(), before + 2);
    up(probe, 0); /* it answers */
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
    open_to(9, 91, 0);
    assert_int_equal(dials(), before + 3);
}

static void without_another_network_it_is_ours_that_is_away(void **state)
{
    (void)state;

    for (uint8_t i = 1; i <= 5; i++) {
        was_there(i);
        dial_fails(i, i);
    }
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
}

/* A link with the silent network itself does not say that we are not the ones who are away. */
static void a_neighbour_is_no_other_network(void **state)
{
    (void)state;

    for (uint8_t i = 1; i <= 5; i++) {
        was_there(i);
    }
    uint32_t ix = w.n_links++;
    w.link[ix] = (struct fake_link){.peer = peer_no(92),
                                    .remote = {.family = 4, .ip = {9, 9, 9, 250}, .port = 4001}};
    up(ix, LINK_INBOUND);
    for (uint8_t i = 1; i <= 5; i++) {
        dial_fails(i, i);
    }
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
}

static void a_link_in_the_local_network_is_none_either(void **state)
{
    (void)state;

    uint32_t ix = w.n_links++;
    w.link[ix] = (struct fake_link){.peer = peer_no(93),
                                    .remote = {.family = 4, .ip = {192, 168, 7, 2}, .port = 4001}};
    up(ix, LINK_INBOUND);
    for (uint8_t i = 1; i <= 5; i++) {
        was_there(i);
        dial_fails(i, i);
    }
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
}

static void four_fell_silent(void)
{
    another_network();
    for (uint8_t i = 1; i <= 4; i++) {
        was_there(i);
    }
    for (uint8_t i = 1; i <= 4; i++) {
        dial_fails(i, i);
    }
    assert_int_equal(state_of_network(), SWARM_BREAKER_OPEN);
}

static void a_request_by_hand_closes_those_of_networks_too(void **state)
{
    uint32_t peers, networks;
    (void)state;

    four_fell_silent();
    swarm_waiting(w.s, &peers, &networks);
    assert_int_equal(networks, 1);
    swarm_retry(w.s, NULL);
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
    swarm_waiting(w.s, &peers, &networks);
    assert_int_equal(networks, 0);
}

static void down_with(uint32_t link, qudag_err err)
{
    struct link_ev ev = {.type = LINK_DOWN, .link = ref_of(link), .err = err};

    swarm_link_event(w.s, w.tp, &ev, w.now);
    settle();
}

/* One that says nothing of the network lets the next one through; a dial that is no probe does not. */
static void what_becomes_of_the_probe(void **state)
{
    struct peer_id seven = peer_no(7);
    (void)state;

    four_fell_silent();
    w.now += 8 * NS_PER_S;
    for (uint8_t i = 7; i <= 10; i++) {
        know(i, 1);
    }
    uint64_t before = dials();
    open_to(8, 80, 0);
    uint32_t probe = w.n_links - 1;
    assert_int_equal(dials(), before + 1);
    assert_int_equal(swarm_peer_protect(w.s, &seven, "kept"), QUDAG_OK);
    dial_fails(7, 70);
    assert_int_equal(dials(), before + 2);
    open_to(9, 90, 0); /* 8 is still being dialled */
    assert_int_equal(dials(), before + 2);
    down_with(probe, QUDAG_EREFUSED);
    open_to(10, 100, 0);
    assert_int_equal(dials(), before + 3);
}

/* Its silence opens the breaker again, for twice as long as before. */
static void a_silent_probe_opens_it_again(void **state)
{
    (void)state;

    four_fell_silent();
    for (uint8_t i = 7; i <= 10; i++) {
        know(i, 1);
    }
    w.now += 6 * NS_PER_S; /* 4 to 6 s */
    uint64_t before = dials();
    dial_fails(8, 80);
    assert_int_equal(dials(), before + 1);
    assert_int_equal(state_of_network(), SWARM_BREAKER_OPEN);
    w.now += 7 * NS_PER_S; /* 8 to 12 s */
    assert_int_equal(state_of_network(), SWARM_BREAKER_OPEN);
    open_to(9, 90, 0);
    assert_int_equal(dials(), before + 1);
    w.now += 5 * NS_PER_S;
    assert_int_equal(state_of_network(), SWARM_BREAKER_HALF_OPEN);
    /* a probe of a breaker that somebody closed meanwhile counts for nothing */
    open_to(10, 100, 0);
    uint32_t probe = w.n_links - 1;
    assert_int_equal(dials(), before + 2);
    swarm_retry(w.s, NULL);
    dial_fails(1, 111);
    down_with(probe, QUDAG_ETIMEOUT);
    dial_fails(2, 112);
    dial_fails(3, 113);
    assert_int_equal(state_of_network(), SWARM_BREAKER_CLOSED);
    dial_fails(4, 114);
    assert_int_equal(state_of_network(), SWARM_BREAKER_OPEN);
}

static void a_request_by_hand_ends_the_pause(void **state)
{
    struct peer_id one = peer_no(1);
    uint32_t peers, networks;
    (void)state;

    know(1, 1);
    dial_fails(1, 1);
    assert_true(swarm_next_try(w.s, &one, w.now) > w.now);
    swarm_waiting(w.s, &peers, &networks);
    assert_int_equal(peers, 1);
    assert_int_equal(networks, 0);
    swarm_retry(w.s, &one);
    assert_int_equal(swarm_next_try(w.s, &one, w.now), 0);
    dial_fails(1, 2);
    swarm_retry(w.s, NULL);
    swarm_waiting(w.s, &peers, &networks);
    assert_int_equal(peers, 0);
}

static void a_dial_that_we_gave_up_is_no_failure_of_the_peer(void **state)
{
    struct peer_id one = peer_no(1);
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 10}, .port = 4001};
    struct multiaddr at;
    (void)state;

    multiaddr_quic(&at, &a, &one);
    assert_int_equal(swarm_connect(w.s, w.core[1], 7, &at, NULL, w.now), QUDAG_OK);
    swarm_dial_stop(w.s, w.core[1], 7, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ECANCELED);
    assert_int_equal(swarm_next_try(w.s, &one, w.now), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_after_failures_lets_one_through_and_closes_after_success),
        cmocka_unit_test(what_is_ours_is_not_held_against_a_peer),
        cmocka_unit_test(only_silence_where_a_link_stood_counts_for_a_network),
        cmocka_unit_test(it_holds_only_what_others_made_us_dial_where_nobody_was),
        T(dead_addresses_that_others_name_shut_out_nobody),
        T(four_hosts_that_fell_silent_hold_back_what_others_name_there),
        T(without_another_network_it_is_ours_that_is_away),
        T(a_dial_that_we_gave_up_is_no_failure_of_the_peer),
        T(a_request_by_hand_ends_the_pause),
        T(a_neighbour_is_no_other_network),
        T(a_request_by_hand_closes_those_of_networks_too),
        T(what_becomes_of_the_probe),
        T(a_silent_probe_opens_it_again),
        T(a_link_in_the_local_network_is_none_either),
        cmocka_unit_test(what_says_that_our_network_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
