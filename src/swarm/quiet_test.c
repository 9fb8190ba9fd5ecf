/* quiet_test.c - relayed links and direct ones of one peer: which is used, and what is done when one falls silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "swarm/quiet.h"
#include "swarm/testkit_made_swarm.h"

/* A relayed link stands; a direct one to the same peer is dialled all the same, a second relayed one not. */
static void a_link_of_another_kind_is_dialled_beside_one_that_stands(void **state)
{
    struct multiaddr direct, same;
    (void)state;
    struct peer_id id = peer_no(1);
    struct netaddr at = {.family = 4, .ip = {9, 0, 0, 1}, .port = 7};
    multiaddr_quic(&direct, &at, &id);
    char text[MULTIADDR_TEXT_MAX + 16];
    size_t n = multiaddr_text(text, MULTIADDR_TEXT_MAX, &direct);
    assert_true(n > 0);
    char tcp[MULTIADDR_TEXT_MAX + 16] = "/ip4/9.0.0.1/tcp/7";
    memcpy(tcp + strlen(tcp), strstr(text, "/p2p/"), strlen(strstr(text, "/p2p/")) + 1);
    assert_int_equal(multiaddr_parse(&same, tcp), QUDAG_OK);
    inbound(&w.steady, 1, LINK_RELAYED);
    w.n_seen = 0;
    assert_int_equal(swarm_connect(w.s, w.core, 1, &same, NULL, w.now), QUDAG_OK);
    settle();
    assert_int_equal(w.steady.n, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_OK); /* linked that way already */
    w.n_seen = 0;
    assert_int_equal(swarm_connect(w.s, w.core, 2, &direct, NULL, w.now), QUDAG_OK);
    settle();
    assert_int_equal(w.quick.n, 1);
    assert_int_equal(w.n_seen, 0);
    up(&w.quick, 0, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->cookie, 2);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_OK);
}

/* Once a direct link stands, the relayed one goes when it is idle; not the other way round. */
static void a_relayed_link_gives_way_to_a_direct_one(void **state)
{
    (void)state;
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED);
    open_by(w.core, 1, 0);
    uint32_t d = inbound(&w.quick, 1, 0);
    w.now += 31 * NS_PER_S;
    swarm_tick(w.s, w.now);
    assert_false(w.steady.link[r].closed); /* a stream is on it */
    event(&w.steady, LINK_RESET, r, 0);
    w.now += 31 * NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
    assert_true(w.steady.link[r].closed);
    assert_false(w.quick.link[d].closed);
    r = inbound(&w.steady, 1,
                LINK_RELAYED | LINK_PQ_KEX); /* proves more: the direct one cannot replace it */
    w.now += 31 * NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
    assert_false(w.steady.link[r].closed || w.quick.link[d].closed);
}

/* A stream of |core|, and the link that it went to. */
static bool goes_to(const struct made *m, uint32_t link)
{
    int64_t before = m->link[link].next_sid;

    open_by(w.core, 1, 0);
    return m->link[link].next_sid == before + 1;
}

static void a_direct_link_takes_over_and_what_runs_on_the_relayed_one_goes_on(void **state)
{
    (void)state;
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    assert_true(goes_to(&w.steady, r));
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    assert_int_equal(w.steady.link[r].resets, 0);
    event(&w.steady, LINK_RESET, r, 0);
    for (unsigned i = 0; i < 5; i++) { /* it stands by for a minute */
        pass(11 * NS_PER_S);
        assert_false(w.steady.link[r].closed);
    }
    pass(11 * NS_PER_S);
    assert_true(w.steady.link[r].closed);
    assert_false(w.quick.link[d].closed);
}

/* As goes_to(), and what is told of the path says so: whether it is direct. */
static bool goes_and_says(const struct made *m, uint32_t link, bool direct)
{
    struct peer_id who = peer_no(1);

    return goes_to(m, link) && swarm_prefers_direct(w.s, &who, w.now) == direct;
}

static void a_link_whose_path_is_quiet_is_not_used_where_another_is_heard(void **state)
{
    struct peer_id stranger = peer_no(9);
    (void)state;
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_and_says(&w.quick, d, true));
    event(&w.quick, LINK_QUIET, d, 0);
    assert_true(goes_and_says(&w.steady, r, false));
    assert_int_equal(w.quick.n + w.relay.n, 1); /* nobody is dialled */
    event(&w.quick, LINK_HEARD, d, 0);
    assert_true(goes_and_says(&w.steady, r, false));
    w.now += 250 * NS_PER_MS;
    assert_true(goes_and_says(&w.quick, d, true));
    assert_false(swarm_prefers_direct(w.s, &stranger, w.now));
    event(&w.quick, LINK_QUIET, d, 0); /* again, soon: it is trusted later */
    event(&w.quick, LINK_HEARD, d, 0);
    w.now += 250 * NS_PER_MS;
    assert_true(goes_to(&w.steady, r));
    w.now += 250 * NS_PER_MS;
    assert_true(goes_to(&w.quick, d));
    assert_int_equal(w.quick.link[d].resets, 0);
}

static const char through[] = "/ip4/9.0.0.2/p2p-circuit";

static void where_no_other_is_there_the_peer_is_dialled_directly_and_through_a_relay(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    know(1, through);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    event(&w.quick, LINK_QUIET, d, 0); /* nobody needs it */
    assert_int_equal(w.relay.n, 0);
    event(&w.quick, LINK_HEARD, d, 0);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.relay.n, 1);
    assert_int_equal(w.quick.n, 2);
    up(&w.relay, 0, LINK_RELAYED);
    assert_true(goes_to(&w.relay, 0));
    assert_false(w.quick.link[1].closed); /* the direct dial goes on */
    up(&w.quick, 1, 0);
    assert_true(goes_to(&w.quick, 1));
}

/* A process that was not scheduled is quiet, too: where no relay could help at once, that is waited for. */
static void where_only_direct_addresses_lead_the_dial_waits_a_second(void **state)
{
    struct swarm_stats st;

    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.quick.n, 1);
    tstamp due = w.now + SWARM_RESCUE_DIRECT;
    assert_true(swarm_deadline(w.s) <= due && swarm_deadline(w.s) > w.now);
    pass(SWARM_RESCUE_DIRECT - 1);
    assert_int_equal(w.quick.n, 1);
    pass(1);
    assert_int_equal(w.quick.n, 2);
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.links_rescued, 1);
    pass(SWARM_RESCUE_DIRECT); /* once */
    assert_int_equal(w.quick.n, 2);
    assert_true(swarm_deadline(w.s) > w.now);
}

static void who_is_heard_within_that_second_is_not_dialled(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    pass(SWARM_RESCUE_DIRECT / 2);
    event(&w.quick, LINK_HEARD, d, 0);
    pass(SWARM_RESCUE_DIRECT / 2 - 1);
    event(&w.quick, LINK_QUIET, d, 0); /* it counts from here */
    pass(SWARM_RESCUE_DIRECT / 2 + 1);
    assert_int_equal(w.quick.n, 1);
    pass(SWARM_RESCUE_DIRECT / 2);
    assert_int_equal(w.quick.n, 2);
}

/* One that takes no streams any more is no help. */
static void beside_a_link_that_leaves_the_peer_is_dialled(void **state)
{
    (void)state;
    inbound(&w.steady, 1, LINK_NAMED);
    w.steady.link[0].leaving = true;
    open_by(w.core, 1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE); /* it is known to leave now */
    know(1, through);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.relay.n, 1);
}

/* Of two links that are quiet neither helps the other. */
static void beside_another_quiet_link_the_peer_is_dialled(void **state)
{
    (void)state;
    know(1, through);
    uint32_t s = inbound(&w.steady, 1, LINK_NAMED);
    assert_true(goes_to(&w.steady, s));
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    event(&w.steady, LINK_QUIET, s, 0);
    assert_int_equal(w.relay.n, 0); /* the other is heard */
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.relay.n, 1);
}

/* When this host's own network is gone, all links are quiet at once. */
static void few_peers_are_dialled_at_once_beside_quiet_links(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 20; i++) {
        know(i, through);
        inbound(&w.quick, i, LINK_NAMED);
        open_by(w.core, i, 0);
    }
    for (uint8_t i = 0; i < 20; i++) {
        event(&w.quick, LINK_QUIET, i, 0);
    }
    assert_in_range(w.relay.n, 1, 16);
}

/* Twenty strangers fall quiet; then a peer that we dialled does. */
static void strangers_that_fall_quiet_use_up_no_dials_of_others(void **state)
{
    (void)state;
    know(21, "/ip4/9.0.0.1/udp/7/quic-v1");
    open_by(w.core, 21, 0);
    up(&w.quick, 0, LINK_NAMED);
    know(21, through);
    for (uint8_t i = 1; i <= 20; i++) {
        know(i, through);
        inbound(&w.quick, i, LINK_NAMED);
        open_by(w.core, i, 0);
    }
    for (uint8_t i = 1; i <= 20; i++) {
        event(&w.quick, LINK_QUIET, i, 0);
    }
    uint32_t before = w.relay.n;
    assert_in_range(before, 1, 8);
    event(&w.quick, LINK_QUIET, 0, 0);
    assert_int_equal(w.relay.n, before + 1);
}

/* Many strangers name one host, who is none of them, and fall quiet in turn. */
static void strangers_have_few_dials_sent_to_one_host(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 16; i++) {
        know(i, "/ip4/9.0.0.1/udp/7/quic-v1");
        inbound(&w.quick, i, LINK_NAMED);
        open_by(w.core, i, 0);
        w.n_seen = 0;
    }
    unsigned before = w.quick.n;
    for (uint8_t i = 1; i <= 16; i++) {
        event(&w.quick, LINK_QUIET, i - 1u, 0);
        pass(2 * NS_PER_S);
        event(&w.quick, LINK_HEARD, i - 1u, 0);
        w.n_seen = 0;
    }
    assert_int_equal(w.quick.n - before, SWARM_CAME_HOST);
    for (uint32_t k = before; k < before + SWARM_CAME_HOST; k++) { /* nobody is there */
        event(&w.quick, LINK_DOWN, k, 0);
    }
    pass(SWARM_CAME_TIME);
    event(&w.quick, LINK_QUIET, 0, 0);
    pass(SWARM_RESCUE_DIRECT);
    assert_true(w.quick.n - before > SWARM_CAME_HOST);
}

/* A peer names an address of a third party and falls quiet again and again. */
static void who_falls_quiet_again_and_again_is_dialled_seldom(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    unsigned before = w.quick.n;
    for (unsigned i = 0; i < 20; i++) { /* 40 s */
        event(&w.quick, LINK_QUIET, d, 0);
        pass(SWARM_RESCUE_DIRECT);
        for (uint32_t k = d + 1; k < w.quick.n; k++) { /* nobody is there */
            if (!w.quick.link[k].closed) {
                event(&w.quick, LINK_DOWN, k, 0);
            }
        }
        event(&w.quick, LINK_HEARD, d, 0);
        pass(NS_PER_S);
    }
    assert_in_range(w.quick.n - before, 3, 6);
    unsigned then = w.quick.n;
    pass(SWARM_RELAPSE_FORGET); /* and once it is well for a while as at first */
    event(&w.quick, LINK_QUIET, d, 0);
    pass(SWARM_RESCUE_DIRECT);
    assert_int_equal(w.quick.n, then + 1);
}

/* A direct dial to where nobody is any more must not keep the relays from being asked. */
static void a_direct_dial_that_hangs_does_not_keep_a_relay_from_being_dialled(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    pass(2 * NS_PER_S);
    assert_int_equal(w.quick.n, 2);
    know(1, through);
    know(1, "/ip4/9.0.0.3/p2p-circuit");
    pass(NS_PER_S);
    assert_int_equal(w.quick.n, 2);
    assert_int_equal(w.relay.n, 1);
    pass(NS_PER_S); /* that relay says nothing: the next, too */
    assert_int_equal(w.relay.n, 2);
    assert_false(multiaddr_eq(&w.relay.link[0].at, &w.relay.link[1].at));
    up(&w.relay, 1, LINK_RELAYED);
    pass(10 * NS_PER_S);
    assert_int_equal(w.relay.n, 2);
}

/* All links of a peer fall quiet when its network changes: that is one time, not one for each. */
static void links_of_a_peer_that_fall_quiet_together_are_one_time(void **state)
{
    (void)state;
    know(1, through);
    know(1, "/ip4/9.0.0.3/p2p-circuit");
    for (unsigned round = 0; round < 3; round++) {
        uint32_t s = inbound(&w.steady, 1, LINK_NAMED), d = inbound(&w.quick, 1, LINK_NAMED);
        assert_true(goes_to(&w.quick, d));
        uint32_t before = w.relay.n;
        event(&w.steady, LINK_QUIET, s, 0);
        event(&w.quick, LINK_QUIET, d, 0);
        assert_int_equal(w.relay.n, before + 1);
        pass(swarm_rule_rescue_pause(1) - 1);
        assert_int_equal(w.relay.n, before + 1);
        pass(1);
        assert_int_equal(w.relay.n, before + 2);
        for (uint32_t i = before; i < w.relay.n; i++) {
            event(&w.relay, LINK_DOWN, i, 0);
        }
        event(&w.steady, LINK_DOWN, s, 0);
        event(&w.quick, LINK_DOWN, d, 0);
    }
}

/* Link |r| of the relay stands for a second when link |d| falls quiet; a relay is known that may be dialled. */
static void relayed_beside_quiet(uint32_t *r, uint32_t *d)
{
    know(1, through);
    *r = inbound(&w.relay, 1, LINK_RELAYED | LINK_NAMED);
    w.relay.link[*r].bytes_in = 100;
    pass(NS_PER_S);
    *d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, *d));
    unsigned before = w.relay.link[*r].probed; /* when another came up */
    event(&w.quick, LINK_QUIET, *d, 0);
    assert_int_equal(w.relay.link[*r].probed, before + 1);
    assert_int_equal(w.relay.n, *r + 1u);
    assert_true(swarm_deadline(w.s) <= w.now + 25 * NS_PER_MS); /* it is looked at again soon */
    pass(25 * NS_PER_MS);
    assert_int_equal(w.relay.link[*r].probed, before + 1); /* once */
    assert_int_equal(w.relay.n, *r + 1u);
}

static void a_relayed_link_is_asked_first_and_no_help_if_it_does_not_answer(void **state)
{
    struct peer_id who = peer_no(1);
    uint32_t r, d;
    (void)state;

    relayed_beside_quiet(&r, &d);
    pass(SWARM_WITNESS_WAIT);
    pass(0);
    assert_int_equal(w.relay.n, r + 2u); /* another relay */
    pass(25 * NS_PER_MS);
    event(&w.quick, LINK_DOWN, d, 0);
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    assert_false(swarm_is_direct(w.s, &who, 0, w.now));
    up(&w.relay, r + 1, LINK_RELAYED | LINK_NAMED);
    assert_true(goes_to(&w.relay, r + 1));
    w.relay.link[r].bytes_in = 200; /* it lives after all */
    event(&w.relay, LINK_DOWN, r + 1, 0);
    pass(NS_PER_S);
    assert_true(goes_to(&w.relay, r));
    uint32_t dialled = w.relay.n;
    for (unsigned i = 0; i < 60; i++) {
        pass(NS_PER_S);
    }
    assert_int_equal(w.relay.n, dialled);
}

static void a_relayed_link_that_answers_is_help_enough(void **state)
{
    uint32_t r, d;
    (void)state;

    relayed_beside_quiet(&r, &d);
    w.relay.link[r].bytes_in = 200;
    for (unsigned i = 0; i < 20; i++) {
        pass(100 * NS_PER_MS);
    }
    assert_int_equal(w.relay.n, r + 1u);
    assert_true(goes_to(&w.relay, r));
}

/* One that came up while the other was quiet has been heard just now. */
static void a_relayed_link_that_is_newer_is_not_asked(void **state)
{
    (void)state;
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    pass(100 * NS_PER_MS);
    know(1, through);
    uint32_t r = inbound(&w.relay, 1, LINK_RELAYED | LINK_NAMED);
    for (unsigned i = 0; i < 20; i++) {
        pass(100 * NS_PER_MS);
    }
    assert_int_equal(w.relay.link[r].probed, 0);
    assert_int_equal(w.relay.n, r + 1u);
}

static void a_direct_link_counts_as_such_for_as_long_as_there_is_patience(void **state)
{
    struct peer_id who = peer_no(1);
    (void)state;

    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(swarm_is_direct(w.s, &who, 0, w.now));
    event(&w.quick, LINK_QUIET, d, 0);
    assert_false(swarm_is_direct(w.s, &who, 0, w.now));
    assert_true(swarm_is_direct(w.s, &who, NS_PER_S, w.now + NS_PER_S - 1));
    assert_false(swarm_is_direct(w.s, &who, NS_PER_S, w.now + NS_PER_S));
    event(&w.quick, LINK_HEARD, d, 0);
    assert_true(swarm_is_direct(w.s, &who, 0, w.now + NS_PER_S));
}

static void who_asks_again_learns_at_once_that_its_link_is_quiet(void **state)
{
    (void)state;
    know(1, through);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    open_by(w.core, 1, 0);
    open_by(w.modest, 1, 0);
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.quick.link[d].resets, 0); /* there is no other link yet */
    up(&w.relay, 0, LINK_RELAYED);
    swarm_tick(w.s, w.now);
    settle();
    assert_int_equal(w.quick.link[d].resets, 1);
    open_by(w.modest, 1, 0);
    assert_int_equal(w.relay.link[0].next_sid, 1);
}

static void streams_of_cells_need_no_relayed_link(void **state)
{
    (void)state;
    know(1, through);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    open_by(w.direct, 1, 0);
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.relay.n, 0);
}

static void a_relayed_link_in_use_is_to_become_a_direct_one_again(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    pass(11 * NS_PER_S);
    assert_int_equal(w.quick.n, 0); /* not in use */
    assert_true(goes_to(&w.steady, r));
    pass(11 * NS_PER_S);
    assert_int_equal(w.quick.n, 1);
    event(&w.quick, LINK_DOWN, 0, 0);
    pass(4 * NS_PER_S);
    assert_int_equal(w.quick.n, 2);
    up(&w.quick, 1, 0);
    pass(11 * NS_PER_S);
    assert_int_equal(w.quick.n, 2);
}

/* Each dial fails: the next ones come after pauses, and one at a time. */
static void a_direct_link_is_tried_for_again_after_pauses(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    assert_true(goes_to(&w.steady, r));
    for (unsigned s = 0; s < 30; s++) {
        uint32_t before = w.quick.n;
        pass(NS_PER_S);
        assert_true(w.quick.n <= before + 1);
        if (w.quick.n > before) {
            event(&w.quick, LINK_DOWN, before, 0);
        }
    }
    assert_in_range(w.quick.n, 4, 8);
    uint32_t tried = w.quick.n;
    for (unsigned s = 0; s < 61; s++) {
        pass(NS_PER_S);
    }
    assert_int_equal(w.quick.n, tried + 1); /* that one has not ended */
    event(&w.quick, LINK_DOWN, tried, 0);
    pass(NS_PER_S);
    assert_int_equal(w.quick.n, tried + 2); /* the pause went by meanwhile */
}

static void beside_a_direct_link_that_is_quiet_another_is_tried_for(void **state)
{
    (void)state;
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    event(&w.quick, LINK_QUIET, d, 0); /* nothing runs on it */
    assert_true(goes_to(&w.steady, r));
    assert_int_equal(w.quick.n, 1);
    pass(11 * NS_PER_S);
    assert_int_equal(w.quick.n, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_link_of_another_kind_is_dialled_beside_one_that_stands),
        T(a_relayed_link_gives_way_to_a_direct_one),
        T(a_direct_link_takes_over_and_what_runs_on_the_relayed_one_goes_on),
        T(a_link_whose_path_is_quiet_is_not_used_where_another_is_heard),
        T(where_no_other_is_there_the_peer_is_dialled_directly_and_through_a_relay),
        T(where_only_direct_addresses_lead_the_dial_waits_a_second),
        T(who_is_heard_within_that_second_is_not_dialled),
        T(beside_a_link_that_leaves_the_peer_is_dialled),
        T(beside_another_quiet_link_the_peer_is_dialled),
        T(few_peers_are_dialled_at_once_beside_quiet_links),
        T(strangers_that_fall_quiet_use_up_no_dials_of_others),
        T(a_direct_dial_that_hangs_does_not_keep_a_relay_from_being_dialled),
        T(links_of_a_peer_that_fall_quiet_together_are_one_time),
        T(a_relayed_link_is_asked_first_and_no_help_if_it_does_not_answer),
        T(a_relayed_link_that_answers_is_help_enough),
        T(a_relayed_link_that_is_newer_is_not_asked),
        T(a_direct_link_counts_as_such_for_as_long_as_there_is_patience),
        T(who_asks_again_learns_at_once_that_its_link_is_quiet),
        T(strangers_have_few_dials_sent_to_one_host),
        T(who_falls_quiet_again_and_again_is_dialled_seldom),
        T(streams_of_cells_need_no_relayed_link),
        T(a_relayed_link_in_use_is_to_become_a_direct_one_again),
        T(a_direct_link_is_tried_for_again_after_pauses),
        T(beside_a_direct_link_that_is_quiet_another_is_tried_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
