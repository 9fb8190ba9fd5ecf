/* moved_test.c - links are closed with the address they used, and made anew where they were needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "swarm/testkit.h"

static const struct netaddr old = {.family = 4, .ip = {5, 9, 0, 1}, .port = 4001},
                            fresh = {.family = 4, .ip = {77, 3, 0, 1}, .port = 4001};

/* A link to |peer|, whom we dialled at one address, from |local|. */
static uint32_t dialled(uint8_t peer, uint64_t cookie, const struct netaddr *local)
{
    know(peer, 1);
    open_to(peer, cookie, 0);
    settle();
    uint32_t ix = w.n_links - 1;
    w.link[ix].local = *local;
    up(ix, LINK_PQ_KEX | LINK_PQ_AUTH);
    return ix;
}

static uint32_t move(const struct netaddr *to)
{
    struct swarm_moved m = {.have = to, .n_have = 1};
    uint32_t n = swarm_moved(w.s, &m, w.now);

    settle();
    return n;
}

static void what_used_the_address_is_closed_and_what_was_needed_dialled_again(void **state)
{
    (void)state;
    uint32_t needed = dialled(1, 11, &old), other = dialled(2, 12, &fresh);
    uint32_t idle = inbound(3, LINK_PQ_KEX | LINK_PQ_AUTH);
    w.link[idle].local = old;
    know(3, 1);
    uint32_t before = w.n_links;
    assert_int_equal(move(&fresh), 2);
    assert_true(w.link[needed].closed && w.link[idle].closed);
    assert_false(w.link[other].closed);
    assert_int_equal(w.link[needed].close_err, QUDAG_ECANCELED);
    assert_int_equal(w.n_links, before + 1); /* to the one with a stream, and nobody else */
    struct peer_id want = peer_no(1);
    assert_true(peer_id_eq(&w.link[before].peer, &want));
    up(before, LINK_PQ_KEX | LINK_PQ_AUTH);
    uint8_t props;
    assert_true(swarm_connected(w.s, &want, &props));
    assert_int_equal(move(&fresh), 0); /* told again: nothing changes */
}

/* A stream that waits for the link to allow it waits on for the next link. */
static void an_open_that_waits_is_served_by_the_new_link(void **state)
{
    (void)state;
    uint32_t ix = dialled(1, 11, &old);
    w.open_err = QUDAG_EAGAIN;
    open_to(1, 12, 0);
    settle();
    w.n_seen = 0;
    assert_int_equal(move(&fresh), 1);
    for (size_t i = 0; i < w.n_seen; i++) {
        assert_false(w.seen[i].ev.type == EV_STREAM_FAIL && w.seen[i].ev.cookie == 12);
    }
    w.open_err = QUDAG_OK;
    assert_true(w.link[ix].closed);
    w.n_seen = 0;
    up(w.n_links - 1, LINK_PQ_KEX | LINK_PQ_AUTH);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 12);
    struct swarm_stats st;
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.opens, 0);
    assert_int_equal(st.links_moved, 1);
}

/* Another good link to the peer: nothing to dial. */
static void a_peer_with_a_link_elsewhere_is_not_dialled(void **state)
{
    (void)state;
    uint32_t ix = dialled(1, 11, &old);
    uint32_t good = inbound(1, LINK_PQ_KEX | LINK_PQ_AUTH), before = w.n_links;
    w.link[good].local = fresh;
    assert_int_equal(move(&fresh), 1);
    assert_true(w.link[ix].closed);
    assert_false(w.link[good].closed);
    assert_int_equal(w.n_links, before);
}

static void what_is_no_link_of_the_address_stays(void **state)
{
    (void)state;
    uint32_t relayed = inbound(2, LINK_PQ_KEX | LINK_PQ_AUTH | LINK_RELAYED);
    w.link[relayed].local = old;
    know(3, 1);
    open_to(3, 13, 0); /* its dial is under way */
    settle();
    uint32_t dial = w.n_links - 1;
    w.link[dial].local = old;
    uint32_t n = move(&fresh);
    assert_false(w.link[relayed].closed);
    assert_false(w.link[dial].closed);
    assert_int_equal(n, 0);
}

/* A way out that is gone is one of links that we dialled. */
static void who_came_to_us_stays_while_the_address_does(void **state)
{
    struct swarm_moved m = {.n_have = 0, .left = {old}};
    (void)state;

    uint32_t ours = dialled(1, 11, &old), theirs = inbound(2, LINK_PQ_KEX | LINK_PQ_AUTH);
    w.link[theirs].local = old;
    assert_int_equal(swarm_moved(w.s, &m, w.now), 1);
    settle();
    assert_true(w.link[ours].closed);
    assert_false(w.link[theirs].closed);
}

/* Nothing is open on it yet, and somebody waits. */
static void a_link_that_is_only_waited_for_is_dialled_again(void **state)
{
    (void)state;
    w.open_err = QUDAG_EAGAIN;
    (void)dialled(1, 11, &old);
    uint32_t before = w.n_links;
    assert_int_equal(move(&fresh), 1);
    assert_int_equal(w.n_links, before + 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_used_the_address_is_closed_and_what_was_needed_dialled_again),
        T(an_open_that_waits_is_served_by_the_new_link),
        T(a_peer_with_a_link_elsewhere_is_not_dialled),
        T(what_is_no_link_of_the_address_stays),
        T(who_came_to_us_stays_while_the_address_does),
        T(a_link_that_is_only_waited_for_is_dialled_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
