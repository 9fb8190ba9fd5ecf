/* renew_test.c - links before and at the end of their certificates; links of testkit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/rekey.h"
#include "swarm/testkit.h"

#define DAY (24 * 3600 * NS_PER_S)

static const uint8_t hello_a[] = "\x13/multistream/1.0.0\n\x05/a/1\n";
#define PROPS (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG)

static void later(uint64_t ns)
{
    w.now += ns;
    swarm_tick(w.s, w.now);
    settle();
}

static struct swarm_stats stats(void)
{
    struct swarm_stats st;

    swarm_stats_get(w.s, &st);
    return st;
}

/* A link that we dialled, with a stream on it, whose certificates end in |left|. */
static void used_link(uint64_t left)
{
    know(1, 1);
    open_to(1, 1, 0);
    assert_int_equal(w.n_links, 1);
    w.link[0].until = w.now + left;
    up(0, PROPS);
    assert_int_equal(w.link[0].next_sid, 1);
    event(LINK_DATA, 0, 0, hello_a, sizeof(hello_a) - 1);
    settle();
}

static void a_link_in_use_is_dialled_again_and_new_streams_go_there(void **state)
{
    (void)state;
    used_link(DAY);
    later(DAY - SWARM_RENEW_LEAD - 11 * NS_PER_S);
    assert_int_equal(w.n_links, 1); /* too early */
    later(SWARM_RENEW_LEAD / 2 + 12 * NS_PER_S);
    assert_int_equal(w.n_links, 2);
    assert_true(peer_id_eq(&w.link[1].peer, &w.link[0].peer));
    assert_true(netaddr_eq(&w.link[1].remote, &w.link[0].remote));
    assert_int_equal(w.link[1].need & SWARM_PROVEN_PROPS, SWARM_PROVEN_PROPS);
    assert_false(w.link[0].closed);
    w.link[1].until = w.now + DAY;
    up(1, PROPS);
    open_to(1, 2, 0);
    event(LINK_DATA, 1, 0, hello_a, sizeof(hello_a) - 1);
    settle();
    assert_int_equal(w.link[0].next_sid, 1); /* its stream goes on */
    assert_int_equal(w.link[1].next_sid, 1);
    later(600 * NS_PER_S); /* it is replaced: no more dials */
    assert_int_equal(w.n_links, 2);
    assert_int_equal(stats().links_renewed, 1);
    event(LINK_RESET, 0, 0, NULL, 0);
    later(60 * NS_PER_S);
    assert_true(w.link[0].closed); /* idle, and another does its work */
    assert_false(w.link[1].closed);
}

static void a_dial_that_failed_is_repeated_in_minutes(void **state)
{
    (void)state;
    used_link(DAY);
    later(DAY - SWARM_RENEW_LEAD / 2);
    assert_int_equal(w.n_links, 2);
    later(10 * NS_PER_S); /* the dial is under way */
    event(LINK_DOWN, 1, 0, NULL, 0);
    settle();
    later(280 * NS_PER_S);
    assert_int_equal(w.n_links, 2);
    later(20 * NS_PER_S);
    assert_int_equal(w.n_links, 3);
    assert_false(w.link[0].closed);
}

static void a_link_ends_before_its_certificates_whatever_it_carries(void **state)
{
    (void)state;
    used_link(DAY);
    w.dial_err = QUDAG_EUNREACHABLE;
    later(DAY - SWARM_RENEW_MARGIN - NS_PER_S);
    assert_false(w.link[0].closed);
    later(10 * NS_PER_S);
    assert_true(w.link[0].closed);
    assert_int_equal(w.link[0].close_err, QUDAG_OK);
    assert_int_equal(last(EV_RESET)->ev.err, QUDAG_ECLOSED);
    assert_int_equal(count(EV_PEER_DOWN), 2); /* of two cores */
    assert_int_equal(stats().links_expired, 1);
}

/* With certificates of minutes a peer would have us dial it every few minutes without end. */
static void a_link_with_short_certificates_is_not_dialled_again(void **state)
{
    static const uint64_t left[] = {60 * NS_PER_S, 600 * NS_PER_S, SWARM_RENEW_LEAST - 1};

    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        assert_int_equal(setup(state), 0);
        used_link(left[i]);
        for (tstamp end = w.now + left[i]; w.now < end;) {
            later(10 * NS_PER_S);
        }
        assert_int_equal(w.n_links, 1);
        assert_true(w.link[0].closed);
        assert_int_equal(stats().links_renewed, 0);
        assert_int_equal(teardown(state), 0);
    }
}

/* A stream that a peer opened and leaves without a protocol has no core to dial for, and needs no link. */
static void a_silent_stream_of_the_peer_renews_nothing(void **state)
{
    (void)state;
    struct multiaddr ma = addr_no(10);
    struct peer_id p = peer_no(1);

    know(1, 1);
    assert_int_equal(swarm_connect(w.s, w.core[0], 1, &ma, NULL, w.now), QUDAG_OK);
    w.link[0].peer = p;
    w.link[0].until = w.now + DAY;
    up(0, PROPS);
    w.now += DAY - SWARM_RENEW_LEAD / 2 - 5 * NS_PER_S;
    event(LINK_STREAM, 0, 0, NULL, 0);
    later(5 * NS_PER_S);
    assert_int_equal(w.n_links, 1);
    /* Beside one of ours it is passed over, though it is the older. */
    open_to(1, 2, 0);
    event(LINK_STREAM, 0, 3, NULL, 0);
    later(10 * NS_PER_S);
    assert_int_equal(w.n_links, 2);
    assert_int_equal(resources_dials(w.s->resources, (uint8_t)w.core[0]), 1);
}

/* The one that dialled does it, or there would be two. */
static void who_accepted_a_link_waits_for_the_other(void **state)
{
    (void)state;
    know(1, 1);
    struct multiaddr ma = addr_no(10);
    w.link[0] = (struct fake_link){.peer = peer_no(1), .until = w.now + DAY};
    assert_true(multiaddr_to_netaddr(&ma, &w.link[0].remote)); /* it could be dialled */
    w.n_links = 1;
    up(0, PROPS | LINK_INBOUND);
    open_to(1, 1, 0);
    assert_int_equal(w.link[0].next_sid, 1);
    event(LINK_DATA, 0, 0, hello_a, sizeof(hello_a) - 1);
    settle();
    later(DAY - SWARM_RENEW_LEAD / 4);
    assert_int_equal(w.link[0].next_sid,
                     1); /* with a stream that needs it, as in the cases above */
    assert_int_equal(w.n_links, 1);
    assert_false(w.link[0].closed);
    later(SWARM_RENEW_LEAD / 4);
    assert_true(w.link[0].closed);
}

static void a_link_without_certificates_never_ends_by_them(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    up(0, PROPS);
    later(30 * DAY);
    assert_false(w.link[0].closed);
    assert_int_equal(w.n_links, 1);
}

/* A link that lacks something, or is of a worse kind, replaces nothing. */
static void another_link_counts_if_it_has_as_much(void **state)
{
    static const struct {
        uint8_t props;
        uint64_t left;
        uint32_t links; /* after: 3 when another was dialled */
    } row[] = {
        {PROPS, 2 * DAY, 2},
        {PROPS, DAY, 3},
        {LINK_PQ_KEX | LINK_QUDAG, 2 * DAY, 3},
        {PROPS | LINK_RELAYED, 2 * DAY, 3},
        {PROPS | LINK_LIMITED, 2 * DAY, 3},
    };

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(setup(state), 0);
        used_link(DAY);
        w.link[1] = (struct fake_link){.peer = peer_no(1), .until = w.now + row[i].left};
        w.link[1].has_hash = false;
        w.n_links = 2;
        /* What was proven is asked of every link: the odd one stands since before. */
        struct peer_id p = peer_no(1);
        struct swarm_pin_entry *e = map_get(&w.s->pins.by_id, peer_id_slice(&p));
        e->proof.proven = 0;
        up(1, row[i].props | LINK_INBOUND);
        event(LINK_STREAM, 1, 0, NULL, 0);
        later(DAY - SWARM_RENEW_LEAD / 2);
        assert_int_equal(w.n_links, row[i].links);
        assert_int_equal(teardown(state), 0);
    }
}

/* A link that the peer |n| dialled, after a handshake of |ns|. */
static uint32_t came_in(uint8_t n, uint64_t ns)
{
    uint32_t ix = w.n_links++;

    w.link[ix] = (struct fake_link){.peer = peer_no(n),
                                    .handshake_ns = ns,
                                    .remote = {.family = 4, .ip = {9, 9, 9, n}, .port = 4001}};
    up(ix, PROPS | LINK_INBOUND);
    settle();
    return ix;
}

static uint32_t came(uint8_t n)
{
    return came_in(n, 0);
}

static void with_another_key_of_ours_links_are_made_anew_a_few_in_a_second(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 12; i++) {
        (void)came(i);
    }
    w.s->cfg.links_high = 100;
    assert_int_equal(swarm_links_old_key(w.s), 0);
    swarm_rekey(w.s, w.now);
    assert_int_equal(swarm_links_old_key(w.s), 12);
    later(1);
    assert_int_equal(w.n_links, 12 + 8);
    later(NS_PER_S);
    assert_int_equal(w.n_links, 24);
    assert_int_equal(stats().links_rekeyed, 12);
    for (uint32_t i = 12; i < 24; i++) {
        w.link[i].until = w.now + DAY;
        up(i, PROPS);
    }
    later(10 * NS_PER_S);
    assert_int_equal(w.n_links, 24); /* once */
    assert_int_equal(swarm_links_old_key(w.s), 12);
    later(20 * NS_PER_S); /* idle, and replaced, whoever dialled them */
    for (uint32_t i = 0; i < 12; i++) {
        assert_true(w.link[i].closed);
        assert_false(w.link[12 + i].closed);
    }
    assert_int_equal(swarm_links_old_key(w.s), 0);
}

static void as_long_as_the_peer_may_need_to_follow_streams_go_to_the_old_link(void **state)
{
    (void)state;
    used_link(DAY);
    swarm_rekey(w.s, w.now);
    later(1);
    assert_int_equal(w.n_links, 2);
    w.link[1].until = w.now + DAY;
    up(1, PROPS);
    open_to(1, 2, 0);
    assert_int_equal(w.link[0].next_sid, 2);
    assert_int_equal(w.link[1].next_sid, 0);
    later(5 * NS_PER_S);
    open_to(1, 3, 0);
    assert_int_equal(w.link[0].next_sid, 2);
    assert_int_equal(w.link[1].next_sid, 1);
    later(3600 * NS_PER_S);
    assert_false(w.link[0].closed); /* what runs on it goes on */
}

/* What was dialled before shows the old certificate. */
static void a_dial_under_way_is_of_the_old_key(void **state)
{
    (void)state;
    know(1, 1);
    open_to(1, 1, 0);
    swarm_rekey(w.s, w.now);
    up(0, PROPS);
    assert_int_equal(swarm_links_old_key(w.s), 1);
    later(NS_PER_S);
    assert_int_equal(w.n_links, 2);
}

/* A link that lacks something does not take the place of the one with our old key. */
static void a_link_that_proves_less_replaces_nothing(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);

    (void)came(1);
    swarm_rekey(w.s, w.now);
    later(1);
    assert_int_equal(w.n_links, 2);
    struct swarm_pin_entry *e = map_get(&w.s->pins.by_id, peer_id_slice(&p));
    e->proof = (struct swarm_proof){.proven = 0};
    w.link[1].until = w.now + DAY;
    up(1, LINK_PQ_KEX | LINK_QUDAG);
    later(60 * NS_PER_S);
    assert_false(w.link[0].closed);
    assert_int_equal(swarm_links_old_key(w.s), 1);
}

static void a_dial_for_the_new_key_that_failed_is_repeated_in_minutes(void **state)
{
    (void)state;
    used_link(DAY);
    w.dial_err = QUDAG_EUNREACHABLE;
    swarm_rekey(w.s, w.now);
    later(1);
    w.dial_err = QUDAG_OK;
    later(10 * NS_PER_S);
    later(280 * NS_PER_S);
    assert_int_equal(w.n_links, 1);
    later(20 * NS_PER_S);
    assert_int_equal(w.n_links, 2);
}

/* A peer that dialled us before, and whose handshake ended after, was shown the old certificate. */
static void a_handshake_that_began_before_is_of_the_old_key(void **state)
{
    (void)state;
    swarm_rekey(w.s, w.now);
    w.now += NS_PER_S;
    uint32_t ix = came_in(1, NS_PER_S / 2);
    assert_int_equal(swarm_links_old_key(w.s), 0);
    (void)came_in(2, 2 * NS_PER_S);
    assert_int_equal(swarm_links_old_key(w.s), 1);
    assert_false(w.link[ix].closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(with_another_key_of_ours_links_are_made_anew_a_few_in_a_second),
        T(as_long_as_the_peer_may_need_to_follow_streams_go_to_the_old_link),
        T(a_dial_under_way_is_of_the_old_key),
        T(a_link_that_proves_less_replaces_nothing),
        T(a_dial_for_the_new_key_that_failed_is_repeated_in_minutes),
        T(a_handshake_that_began_before_is_of_the_old_key),
        T(a_link_in_use_is_dialled_again_and_new_streams_go_there),
        T(a_dial_that_failed_is_repeated_in_minutes),
        T(a_link_ends_before_its_certificates_whatever_it_carries),
        T(who_accepted_a_link_waits_for_the_other),
        cmocka_unit_test(a_link_with_short_certificates_is_not_dialled_again),
        T(a_silent_stream_of_the_peer_renews_nothing),
        T(a_link_without_certificates_never_ends_by_them),
        cmocka_unit_test(another_link_counts_if_it_has_as_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
