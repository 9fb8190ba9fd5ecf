/* early_test.c - streams on a link whose peer has proven itself, and may still refuse us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* these before */
#include <cmocka.h>

#include "swarm/swarm.h"

#include "swarm/early.h"
#include "swarm/internal.h"
#include "swarm/testkit.h"

#define PQ (LINK_PQ_KEX | LINK_PQ_AUTH)

static const struct core_ops eager = {.inbound_max = 2, .early = true};
static const struct core_ops direct = {.inbound_max = 2, .early = true, .direct_only = true};
static unsigned asks, asks_direct;

static int begin(void **state)
{
    return setup(state) == 0 && swarm_core_add(w.s, &eager, &asks) == QUDAG_OK &&
                   swarm_proto_add(w.s, "/e/1", asks, true) == QUDAG_OK &&
                   swarm_core_add(w.s, &direct, &asks_direct) == QUDAG_OK &&
                   swarm_proto_add(w.s, "/d/1", asks_direct, true) == QUDAG_OK
               ? 0
               : -1;
}

static void ask_early(uint8_t peer, uint64_t cookie, uint8_t need)
{
    struct act a = {.type = ACT_OPEN, .cookie = cookie, .need = need, .peer = peer_no(peer)};

    swarm_act(w.s, asks, &a, NULL, w.now);
    settle();
}

/* Whoever was dialled on |link| proves itself, with |props| and the key |key|. */
static void proven(uint32_t link, uint8_t props, uint8_t key)
{
    w.link[link].props = props;
    w.link[link].completed = true;
    w.link[link].has_hash = (props & LINK_PQ_AUTH) != 0;
    w.link[link].hash[0] = key;
    event(LINK_PROVEN, link, 0, NULL, 0);
    settle();
}

static void refused(uint32_t link, qudag_err err)
{
    struct link_ev ev = {.type = LINK_DOWN, .link = ref_of(link), .err = err};

    swarm_link_event(w.s, w.tp, &ev, w.now);
    settle();
}

static uint64_t streams_of(uint8_t peer)
{
    uint64_t n = 0;
    LIST_EACH(it, &w.s->links)
    {
        const struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        struct peer_id p = peer_no(peer);
        if (l->peer != NULL && peer_id_eq(&l->peer->id, &p)) {
            n += l->account.used[RES_STREAMS_OUT];
        }
    }
    return n;
}

static void some_go_before_the_link_is_up_and_the_rest_waits(void **state)
{
    struct peer_id p = peer_no(1);
    uint8_t props;
    (void)state;

    know(1, 1);
    ask_early(1, 5, 0);
    open_to(1, 6, 0);
    proven(0, PQ, 7);
    assert_int_equal(count(EV_STREAM_OPEN), 1);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 5);
    assert_true((last(EV_STREAM_OPEN)->ev.props & PQ) == PQ);
    assert_int_equal(count(EV_PEER_UP), 0);
    assert_false(swarm_connected(w.s, &p, &props));
    assert_int_equal(streams_of(1), 1);
    struct act write = {.type = ACT_WRITE,
                        .strm = last(EV_STREAM_OPEN)->ev.strm,
                        .data = {(const uint8_t *)"hello", 5}};
    size_t before = w.link[0].sent_n;
    swarm_act(w.s, asks, &write, NULL, w.now);
    assert_int_equal(w.link[0].sent_n, before + 5);
    event(LINK_UP, 0, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 2);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 6);
    assert_int_equal(count(EV_PEER_UP), 4);
    assert_int_equal(streams_of(1), 2); /* counted once, in the account of the link */
    struct swarm_stats st;
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.opens_early, 1);
    assert_int_equal(st.streams, 2);
}

/* Who has proven itself and says no more, as a relay keeps that back, takes no more streams; another address does. */
static void a_link_that_is_late_takes_no_more_of_them(void **state)
{
    (void)state;

    know(1, 1);
    ask_early(1, 5, 0);
    proven(0, PQ, 7);
    assert_int_equal(count(EV_STREAM_OPEN), 1);
    know(1, 2); /* one more than before */
    w.now += SWARM_EARLY_FOR - 1;
    ask_early(1, 6, 0);
    assert_int_equal(count(EV_STREAM_OPEN), 2); /* it has its time */
    assert_int_equal(w.n_links, 1);
    w.now += 1;
    ask_early(1, 7, 0);
    w.now += NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 2);
    assert_int_equal(w.n_links, 2);
    proven(1, PQ, 7);
    assert_int_equal(count(EV_STREAM_OPEN), 3);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 7);
}

/* The peer has no place for the link: the stream ends with that, the other that waits too, and a pause follows. */
static void a_link_that_is_refused_takes_them_with_it(void **state)
{
    struct peer_id p = peer_no(1);
    (void)state;

    know(1, 1);
    ask_early(1, 5, 0);
    open_to(1, 6, 0);
    proven(0, 0, 0);
    refused(0, QUDAG_ELIMIT);
    assert_int_equal(count(EV_RESET), 1);
    assert_int_equal(last(EV_RESET)->core, asks);
    assert_int_equal(last(EV_RESET)->ev.err, QUDAG_ELIMIT);
    assert_int_equal(count(EV_STREAM_FAIL), 1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 6);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
    assert_int_equal(count(EV_PEER_UP) + count(EV_PEER_DOWN), 0);
    assert_true(swarm_next_try(w.s, &p, w.now) > w.now);
    struct swarm_stats st;
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.streams + st.links, 0);
    assert_int_equal(resources_used(swarm_resources(w.s), RES_NODE, RES_STREAMS_OUT), 0);
    assert_int_equal(resources_used(swarm_resources(w.s), RES_NODE, RES_DIALS), 0);
}

/* We have no place for it when it comes up. */
static void a_link_that_we_refuse_takes_them_with_it(void **state)
{
    (void)state;

    know(1, 1);
    ask_early(1, 5, 0);
    proven(0, PQ, 7);
    struct peer_id p = peer_no(1);
    uint8_t other[32] = {9}; /* its key was told otherwise meanwhile */
    swarm_pin(w.s, &p, other);
    event(LINK_UP, 0, 0, NULL, 0);
    settle();
    assert_true(w.link[0].closed);
    assert_int_equal(last(EV_RESET)->ev.err, QUDAG_EAUTH);
    assert_int_equal(count(EV_PEER_UP), 0);
    assert_int_equal(resources_used(swarm_resources(w.s), RES_NODE, RES_STREAMS_OUT), 0);
}

/* Between the proof and the link, also of those that dial nobody; before it there is nothing to go along. */
static void who_comes_later_and_dials_nobody_goes_along(void **state)
{
    struct act a = {.type = ACT_OPEN, .cookie = 8, .no_dial = true, .peer = peer_no(1)};
    (void)state;

    know(1, 1);
    ask_early(1, 5, 0);
    swarm_act(w.s, asks, &a, NULL, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ECLOSED);
    proven(0, PQ, 7);
    a.cookie = 9;
    swarm_act(w.s, asks, &a, NULL, w.now);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 2);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 9);
    assert_int_equal(count(EV_PEER_UP), 0);
    a.cookie = 10;
    swarm_act(w.s, w.core[0], &a, NULL, w.now); /* not of a core that would not stand it */
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 2);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 10);
    event(LINK_UP, 0, 0, NULL, 0);
    settle();
    assert_int_equal(streams_of(1), 2);
}

static void nothing_is_asked_of_another_key_or_with_less_than_is_needed(void **state)
{
    struct peer_id p = peer_no(1);
    uint8_t known[32] = {7};
    (void)state;

    know(1, 1);
    swarm_pin(w.s, &p, known);
    ask_early(1, 5, 0);
    proven(0, PQ, 8);
    assert_int_equal(count(EV_STREAM_OPEN), 0);
    know(2, 1);
    ask_early(2, 6, PQ);
    proven(1, LINK_PQ_KEX, 0);
    assert_int_equal(count(EV_STREAM_OPEN), 0);
    w.link[2] = (struct fake_link){
        .peer = peer_no(3)}; /* it dialled us: nobody waits, and it is up or not */
    w.n_links = 3;
    event(LINK_PROVEN, 2, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 0);
}

/* What a link may not carry when it is up it does not carry before. */
static void nothing_goes_early_over_a_link_that_may_not_carry_it(void **state)
{
    (void)state;

    know(1, 1);
    struct act a = {.type = ACT_OPEN, .cookie = 5, .peer = peer_no(1)};
    swarm_act(w.s, asks_direct, &a, NULL, w.now);
    ask_early(1, 6, 0);
    proven(0, PQ | LINK_RELAYED, 7);
    assert_int_equal(count(EV_STREAM_OPEN), 1);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 6);
}

/* The peer allows none yet: it goes when the link is up. */
static void one_that_does_not_fit_waits_for_the_link(void **state)
{
    (void)state;

    know(1, 1);
    ask_early(1, 5, 0);
    w.open_err = QUDAG_EAGAIN;
    proven(0, 0, 0);
    assert_int_equal(count(EV_STREAM_OPEN), 0);
    assert_int_equal(count(EV_STREAM_FAIL), 0);
    w.open_err = QUDAG_OK;
    event(LINK_UP, 0, 0, NULL, 0);
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 1);
}

static void who_may_be_early_and_where(void **state)
{
    static const struct core_ops never = {.limited_ok = true}, always = {.early = true},
                                 relayed = {.early_relayed = true};
    (void)state;

    assert_false(swarm_rule_early(&never, LINK_RELAYED));
    assert_true(swarm_rule_early(&always, 0));
    assert_true(swarm_rule_early(&always, LINK_RELAYED));
    assert_false(swarm_rule_early(&relayed, LINK_QUDAG));
    assert_true(swarm_rule_early(&relayed, LINK_RELAYED | LINK_QUDAG));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, teardown)
    const struct CMUnitTest tests[] = {
        T(some_go_before_the_link_is_up_and_the_rest_waits),
        T(a_link_that_is_late_takes_no_more_of_them),
        T(a_link_that_is_refused_takes_them_with_it),
        T(a_link_that_we_refuse_takes_them_with_it),
        T(nothing_is_asked_of_another_key_or_with_less_than_is_needed),
        T(nothing_goes_early_over_a_link_that_may_not_carry_it),
        T(one_that_does_not_fit_waits_for_the_link),
        T(who_comes_later_and_dials_nobody_goes_along),
        T(who_may_be_early_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
