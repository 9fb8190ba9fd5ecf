/* doubts_test.c - links whose peer proved another key than it is known by: what runs on them, and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/testkit.h"

#define PQ (LINK_PQ_KEX | LINK_PQ_AUTH)

static const struct core_ops doubting = {.inbound_max = 2, .doubts = true};
static unsigned asks;

static int begin(void **state)
{
    return setup(state) == 0 && swarm_core_add(w.s, &doubting, &asks) == QUDAG_OK &&
                   swarm_proto_add(w.s, "/s/1", asks, true) == QUDAG_OK
               ? 0
               : -1;
}

static void pin(uint8_t peer, uint8_t key)
{
    struct peer_id p = peer_no(peer);
    uint8_t hash[32] = {key};

    swarm_pin(w.s, &p, hash);
}

static enum swarm_follow follow(uint8_t peer, uint8_t from, uint8_t to, uint64_t seq)
{
    struct peer_id p = peer_no(peer);
    struct swarm_successor n = {.from = {from}, .to = {to}, .seq = seq};

    return swarm_follow(w.s, &p, &n);
}

static void end(uint8_t peer)
{
    struct peer_id p = peer_no(peer);

    swarm_doubt_end(w.s, &p, QUDAG_OK, w.now);
    settle();
}

/* A stream of the peer's for |proto| on |link|. */
static void stream(uint32_t link, int64_t sid, const char *proto)
{
    char bytes[64];
    int n = snprintf(bytes, sizeof bytes, "\x13/multistream/1.0.0\n%c%s\n", (int)strlen(proto) + 1,
                     proto);

    event(LINK_STREAM, link, sid, NULL, 0);
    event(LINK_DATA, link, sid, bytes, (size_t)n);
    settle();
}

static void nothing_but_the_question_runs_on_it(void **state)
{
    (void)state;
    struct swarm_doubt d;
    struct peer_id p = peer_no(1);
    uint8_t props;
    pin(1, 7);
    uint32_t ix = inbound_with_key(1, PQ, 8);
    assert_false(w.link[ix].closed);
    assert_int_equal(w.n_seen, 0); /* no core heard of it */
    assert_false(swarm_connected(w.s, &p, &props));
    assert_true(swarm_doubt_next(w.s, &d));
    assert_true(peer_id_eq(&d.peer, &p));
    assert_int_equal(d.pin[0], 7);
    assert_int_equal(d.now[0], 8);
    assert_false(swarm_doubt_next(w.s, &d)); /* once */
    stream(ix, 1, "/a/1");
    assert_int_equal(w.link[ix].resets, 1);
    assert_int_equal(w.n_seen, 0);
    stream(ix, 2, "/s/1");
    assert_int_equal(w.link[ix].resets, 1);
    assert_int_equal(last(EV_STREAM_OPEN)->core, asks);
    struct act a = {.type = ACT_OPEN, .cookie = 3, .peer = p};
    swarm_act(w.s, asks, &a, NULL, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 3);
    open_to(1, 4, 0); /* nobody else's */
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->ev.cookie, 4);
}

static void who_follows_it_to_its_key_lets_it_stand(void **state)
{
    (void)state;
    pin(1, 7);
    uint32_t ix = inbound_with_key(1, PQ, 9);
    assert_int_equal(follow(1, 7, 8, 1), SWARM_FOLLOW);
    assert_int_equal(follow(1, 7, 9, 2), SWARM_FOLLOW_CONFLICT);
    assert_int_equal(follow(1, 8, 9, 2), SWARM_FOLLOW);
    end(1);
    assert_false(w.link[ix].closed);
    assert_int_equal(count(EV_PEER_UP), 3); /* each core */
    uint32_t former = inbound_with_key(1, PQ, 8);
    assert_true(w.link[former].closed); /* without being asked */
    assert_int_equal(w.link[former].close_err, QUDAG_EAUTH);
    pin(1, 8); /* a record from before */
    assert_int_equal(swarm_pins_proof(&w.s->pins, &w.link[ix].peer)->pin[0], 9);
    pin(1, 9);
    struct swarm_stats st;
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.pins_followed, 2);
    assert_int_equal(st.pins_conflicts, 1);
    assert_int_equal(st.pins_refused, 1); /* the former key; not who was followed */
}

static void half_of_the_way_is_not_enough(void **state)
{
    (void)state;
    pin(1, 7);
    uint32_t ix = inbound_with_key(1, PQ, 9);
    assert_int_equal(follow(1, 7, 8, 1), SWARM_FOLLOW);
    end(1);
    assert_true(w.link[ix].closed);
    assert_int_equal(w.link[ix].close_err, QUDAG_EAUTH);
    assert_int_equal(w.n_seen, 0);
    assert_int_equal(w.s->n_links, 0);
}

static void what_waits_for_a_dial_waits_for_its_doubt(void **state)
{
    (void)state;
    pin(1, 7);
    know(1, 1);
    open_to(1, 5, 0);
    assert_int_equal(w.n_links, 1);
    w.link[0].has_hash = true;
    w.link[0].hash[0] = 8;
    up(0, PQ);
    assert_int_equal(w.n_seen, 0);
    assert_int_equal(follow(1, 7, 8, 1), SWARM_FOLLOW);
    end(1);
    assert_int_equal(last(EV_STREAM_OPEN)->ev.cookie, 5);
}

static void a_dial_that_nobody_believes_fails(void **state)
{
    (void)state;
    pin(1, 7);
    know(1, 1);
    open_to(1, 5, 0);
    w.link[0].has_hash = true;
    w.link[0].hash[0] = 8;
    up(0, PQ);
    end(1);
    assert_true(w.link[0].closed);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EAUTH);
}

/* What we lack to ask ends the dial with that, and leaves the peer no pause. */
static void what_we_lack_is_not_held_against_it(void **state)
{
    static const qudag_err lack[] = {QUDAG_ENOMEM, QUDAG_ELIMIT, QUDAG_ECANCELED};
    struct peer_id p = peer_no(1);
    (void)state;

    pin(1, 7);
    know(1, 1);
    for (uint32_t i = 0; i < ARRAY_LEN(lack); i++) {
        open_to(1, 5 + i, 0);
        w.link[i].has_hash = true;
        w.link[i].hash[0] = 8;
        up(i, PQ);
        swarm_doubt_end(w.s, &p, lack[i], w.now);
        settle();
        assert_true(w.link[i].closed);
        assert_int_equal(w.link[i].close_err, lack[i]);
        assert_int_equal(last(EV_STREAM_FAIL)->ev.err, lack[i]);
        assert_int_equal(swarm_next_try(w.s, &p, w.now), 0);
    }
    open_to(1, 9, 0); /* its key is: EAUTH, and a pause */
    w.link[3].has_hash = true;
    w.link[3].hash[0] = 8;
    up(3, PQ);
    end(1);
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_EAUTH);
    assert_true(swarm_next_try(w.s, &p, w.now) > w.now);
}

static void they_are_bounded_and_one_network_has_two(void **state)
{
    (void)state;
    uint32_t ix[3];
    for (uint8_t i = 1; i <= 3; i++) {
        pin(i, 7);
        ix[i - 1] = inbound_with_key(i, PQ, 8); /* all from one address */
    }
    assert_false(w.link[ix[0]].closed);
    assert_false(w.link[ix[1]].closed);
    assert_true(w.link[ix[2]].closed);
    assert_int_equal(w.link[ix[2]].close_err, QUDAG_ELIMIT); /* ours: its key was not judged */
    uint32_t second = inbound_with_key(1, PQ, 8);            /* one of a peer */
    assert_true(w.link[second].closed);
    assert_int_equal(w.link[second].close_err, QUDAG_ELIMIT);
    event(LINK_DOWN, ix[0], 0, NULL, 0);
    settle();
    end(1); /* there is none any more */
    uint32_t again = inbound_with_key(3, PQ, 8);
    assert_false(w.link[again].closed);
}

static void note_former(void *ctx, const struct log_record *rec)
{
    unsigned *n = ctx;

    *n += strcmp(rec->event, "pin.former_key") == 0 ? 1 : 0;
}

/* Whoever has both keys comes again and again: the log is not his. */
static void lines_about_keys_are_few(void **state)
{
    (void)state;
    unsigned said = 0;
    w.s->cfg.log = (struct logger){note_former, &said, LOG_INFO};
    pin(1, 7);
    (void)inbound_with_key(1, PQ, 8);
    assert_int_equal(follow(1, 7, 8, 1), SWARM_FOLLOW);
    end(1);
    for (unsigned i = 0; i < 30; i++) {
        assert_true(w.link[inbound_with_key(1, PQ, 7)].closed);
    }
    assert_int_equal(said, 10);
    w.now += 2 * NS_PER_S;
    (void)inbound_with_key(1, PQ, 7);
    assert_int_equal(said, 11);
    assert_true(swarm_key_said(w.s, w.now)); /* the same for those of the node */
    assert_false(swarm_key_said(w.s, w.now));
}

/* The table of peers is full, and others are named meanwhile. */
static int begin_small(void **state)
{
    return setup_small(state) == 0 && swarm_core_add(w.s, &doubting, &asks) == QUDAG_OK &&
                   swarm_proto_add(w.s, "/s/1", asks, true) == QUDAG_OK
               ? 0
               : -1;
}

static void its_peer_is_kept_until_it_ends(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    pin(1, 7);
    uint32_t ix = inbound_with_key(1, PQ, 8);
    for (uint8_t i = 2; i <= 9; i++) {
        know(i, 1);
    }
    assert_non_null(swarm_peer_get(w.s, &p)); /* the link points at it */
    assert_true(swarm_peer_in_use(w.s, &p));
    assert_int_equal(follow(1, 7, 8, 1), SWARM_FOLLOW);
    end(1);
    assert_false(w.link[ix].closed);
    event(LINK_DOWN, ix, 0, NULL, 0);
    settle();
    assert_false(swarm_peer_in_use(w.s, &p));
}

static void its_peer_is_free_when_it_ends(void **state)
{
    (void)state;
    struct peer_id p = peer_no(1);
    pin(1, 7);
    uint32_t gone = inbound_with_key(1, PQ, 8);
    event(LINK_DOWN, gone, 0, NULL, 0);
    settle();
    assert_false(swarm_peer_in_use(w.s, &p));
    uint32_t ix = inbound_with_key(1, PQ, 8);
    end(1);
    assert_true(w.link[ix].closed);
    assert_false(swarm_peer_in_use(w.s, &p));
}

/* |peer|, known by another key, comes from a network of its own. */
static uint32_t doubted_from(uint8_t peer)
{
    uint32_t ix = w.n_links++;

    pin(peer, 7);
    w.link[ix] = (struct fake_link){.peer = peer_no(peer),
                                    .remote = {.family = 4, .ip = {20, peer, 1, 1}, .port = 4001},
                                    .has_hash = true,
                                    .hash = {8}};
    up(ix, PQ | LINK_INBOUND);
    return ix;
}

/* Eight that came in, and eight more that we dialled. */
static void those_that_came_leave_half_of_the_places(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 8; i++) {
        assert_false(w.link[doubted_from(i)].closed);
    }
    assert_true(w.link[doubted_from(9)].closed);
    for (uint8_t i = 11; i <= 19; i++) {
        pin(i, 7);
        know(i, 1);
        open_to(i, i, 0);
        uint32_t ix = w.n_links - 1;
        w.link[ix].has_hash = true;
        w.link[ix].hash[0] = 8;
        up(ix, PQ);
        assert_int_equal(w.link[ix].closed, i == 19);
    }
    assert_int_equal(last(EV_STREAM_FAIL)->ev.err, QUDAG_ELIMIT);
    struct peer_id p = peer_no(19);
    assert_int_equal(swarm_next_try(w.s, &p, w.now), 0);
}

static void a_peer_has_one(void **state)
{
    (void)state;
    pin(1, 7);
    assert_false(w.link[inbound_with_key(1, PQ, 8)].closed);
    assert_true(w.link[inbound_with_key(1, PQ, 8)].closed);
    pin(2, 7);
    assert_false(w.link[inbound_with_key(2, PQ, 8)].closed); /* there was room */
}

/* A dial of |peer| that names the key |want|; |key| comes. */
static uint32_t dialled_for(uint8_t peer, uint8_t want, uint8_t key)
{
    struct peer_id p = peer_no(peer);
    uint8_t hash[32] = {want};
    struct netaddr a = {.family = 4, .ip = {30, peer, 1, 1}, .port = 4001};
    struct multiaddr at;

    multiaddr_quic(&at, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[1], 7, &at, hash, w.now), QUDAG_OK);
    uint32_t ix = w.n_links - 1;
    w.link[ix].has_hash = true;
    w.link[ix].hash[0] = key;
    up(ix, PQ);
    return ix;
}

/* No key of it is known: it has to follow from the one that was named. */
static void the_key_that_a_dial_names_is_followed(void **state)
{
    struct swarm_doubt d;
    (void)state;

    uint32_t ix = dialled_for(1, 7, 9);
    assert_true(swarm_doubt_next(w.s, &d));
    assert_int_equal(d.pin[0], 7);
    assert_int_equal(follow(1, 6, 9, 1), SWARM_FOLLOW_LATE);
    assert_int_equal(follow(1, 7, 9, 1), SWARM_FOLLOW);
    end(1);
    assert_false(w.link[ix].closed);
}

static void a_named_key_says_nothing_against_a_known_one(void **state)
{
    struct swarm_doubt d;
    (void)state;

    pin(2, 5);
    uint32_t ix = dialled_for(2, 7, 9);
    assert_true(swarm_doubt_next(w.s, &d));
    assert_int_equal(d.pin[0], 5);
    assert_int_equal(follow(2, 7, 9, 1), SWARM_FOLLOW_LATE);
    end(2);
    assert_true(w.link[ix].closed);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_but_the_question_runs_on_it),
        T(who_follows_it_to_its_key_lets_it_stand),
        T(half_of_the_way_is_not_enough),
        T(what_waits_for_a_dial_waits_for_its_doubt),
        T(a_dial_that_nobody_believes_fails),
        T(what_we_lack_is_not_held_against_it),
        T(they_are_bounded_and_one_network_has_two),
        T(its_peer_is_free_when_it_ends),
        T(lines_about_keys_are_few),
        cmocka_unit_test_setup_teardown(its_peer_is_kept_until_it_ends, begin_small, teardown),
        T(those_that_came_leave_half_of_the_places),
        T(a_peer_has_one),
        T(the_key_that_a_dial_names_is_followed),
        T(a_named_key_says_nothing_against_a_known_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
