/* inbound_test.c - streams that a peer opens: what is negotiated, counted, refused, and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "swarm/testkit.h"

#include <stdio.h>

static const uint8_t hello_a[] = "\x13/multistream/1.0.0\n\x05/a/1\n";
static const uint8_t hello_x[] = "\x13/multistream/1.0.0\n\x05/x/1\n";

static void inbound_streams_negotiate_and_deliver(void **state)
{
    (void)state;
    uint8_t msg[64];
    size_t n = sizeof hello_a - 1;
    memcpy(msg, hello_a, n);
    memcpy(msg + n, "data", 4);
    for (size_t cut = 1; cut < n + 4; cut++) { /* wherever it is cut */
        w.n_seen = 0;
        w.n_links = 0;
        uint32_t ix = inbound((uint8_t)(cut + 1), 0);
        event(LINK_STREAM, ix, 0, NULL, 0);
        event(LINK_DATA, ix, 0, msg, cut);
        event(LINK_DATA, ix, 0, msg + cut, n + 4 - cut);
        settle();
        assert_int_equal(count(EV_STREAM_OPEN), 1);
        assert_true(last(EV_STREAM_OPEN)->ev.inbound);
        assert_string_equal(last(EV_STREAM_OPEN)->ev.proto, "/a/1");
        assert_int_equal(w.link[ix].consumed, n + 4);
        event(LINK_DOWN, ix, 0, NULL, 0);
        settle();
        assert_int_equal(count(EV_RESET), 1);
        assert_int_equal(count(EV_PEER_DOWN), 2);
        assert_int_equal(w.seen[w.n_seen - 1].ev.type, EV_PEER_DOWN); /* after its streams */
    }
}

static void a_flood_of_streams_beyond_the_limit_is_reset(void **state)
{
    (void)state;
    uint32_t a = inbound(1, 0), b = inbound(1, 0); /* two links of one peer count together */
    for (int64_t sid = 0; sid < 5; sid++) {
        uint32_t ix = sid % 2 == 0 ? a : b;
        event(LINK_STREAM, ix, sid, NULL, 0);
        event(LINK_DATA, ix, sid, hello_a, sizeof hello_a - 1);
    }
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 2);
    assert_int_equal(w.link[a].resets + w.link[b].resets, 3);
    assert_int_equal(w.link[a].reset_err, QUDAG_ELIMIT);
    event(LINK_RESET, a, 0, NULL, 0); /* one ends: there is room again */
    event(LINK_STREAM, a, 9, NULL, 0);
    event(LINK_DATA, a, 9, hello_a, sizeof hello_a - 1);
    assert_int_equal(count(EV_STREAM_OPEN), 3);
}

/* Neither its refusal nor the list of protocols tells a known peer that it is served. */
static void a_protocol_for_anonymous_callers_does_not_exist_for_others(void **state)
{
    uint8_t hello[32];
    static const struct core_ops open_ops = {.inbound_max = 0};
    const char *const *told;
    unsigned core;
    (void)state;
    assert_int_equal(swarm_core_add(w.s, &open_ops, &core), QUDAG_OK);
    size_t before = swarm_protos(w.s, &told);
    assert_int_equal(swarm_proto_add_anonymous(w.s, "/p/1", core), QUDAG_OK);
    assert_int_equal(swarm_proto_add_anonymous(w.s, "/p/1", core), QUDAG_EEXISTS);
    assert_int_equal(swarm_proto_add(w.s, "/p/1", core, false), QUDAG_EEXISTS);
    assert_int_equal(swarm_protos(w.s, &told), before);
    memcpy(hello, hello_a, sizeof hello_a - 1);
    memcpy(hello + 21, "/p/1", 4);
    size_t opened = count(EV_STREAM_OPEN);
    uint32_t a = inbound(1, 0);
    event(LINK_STREAM, a, 5, NULL, 0);
    event(LINK_DATA, a, 5, hello, sizeof hello_a - 1);
    assert_int_equal(count(EV_STREAM_OPEN), opened);
    /* those added later keep their places */
    assert_int_equal(swarm_proto_add(w.s, "/q/1", core, false), QUDAG_OK);
    hello[22] = 'q';
    event(LINK_STREAM, a, 9, NULL, 0);
    event(LINK_DATA, a, 9, hello, sizeof hello_a - 1);
    assert_int_equal(count(EV_STREAM_OPEN), opened + 1);
    assert_true(swarm_rule_served(LINK_ANON | LINK_NAMED, true));
    assert_false(swarm_rule_served(LINK_PQ_KEX | LINK_NAMED, true));
    assert_true(swarm_rule_served(0, false));
}

/* A core without a limit of its own: the swarm's, for each protocol by itself. */
static void inbound_streams_are_counted_by_protocol(void **state)
{
    static const struct core_ops open_ops = {.inbound_max = 0};
    static const char *const protos[] = {"/p/1", "/q/1"};
    unsigned core;
    int64_t sid = 0;
    (void)state;
    w.s->cfg.streams_per_peer = 3;
    assert_int_equal(swarm_core_add(w.s, &open_ops, &core), QUDAG_OK);
    uint32_t a = inbound(1, 0), b = inbound(2, 0);
    for (size_t p = 0; p < 2; p++) {
        assert_int_equal(swarm_proto_add(w.s, protos[p], core, false), QUDAG_OK);
        uint8_t hello[32];
        memcpy(hello, hello_a, sizeof hello_a - 1);
        memcpy(hello + 21, protos[p], 4);
        for (int i = 0; i < 4; i++, sid++) {
            event(LINK_STREAM, a, sid, NULL, 0);
            event(LINK_DATA, a, sid, hello, sizeof hello_a - 1);
        }
        assert_int_equal(w.link[a].resets, p + 1);
        assert_int_equal(w.link[a].reset_err, QUDAG_ELIMIT);
        event(LINK_STREAM, b, sid, NULL, 0); /* another peer has places of its own */
        event(LINK_DATA, b, sid, hello, sizeof hello_a - 1);
        assert_int_equal(w.link[b].resets, 0);
    }
    assert_int_equal(count(EV_STREAM_OPEN), 8);
}

/* A refused stream leaves nothing in the accounts, one that ended gives back, and so do those of a link that died. */
static void streams_ask_and_give_back(void **state)
{
    const struct resources *r = swarm_resources(w.s);
    int64_t sid = 0;
    (void)state;

    uint32_t a = inbound(1, 0), b = inbound(1, 0); /* two links of one peer */
    for (; sid < 3; sid++) {                       /* the core takes two of a peer */
        uint32_t on = sid == 0 ? a : b;
        event(LINK_STREAM, on, sid, NULL, 0);
        assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_IN), sid + 1); /* at once */
        event(LINK_DATA, on, sid, hello_a, sizeof hello_a - 1);
    }
    assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_IN), 2);
    assert_int_equal(resources_refused(r, RES_PROTOCOL, RES_STREAMS_IN), 1);
    event(LINK_RESET, a, 0, NULL, 0);
    assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_IN), 1);
    event(LINK_STREAM, a, sid, NULL, 0);
    event(LINK_DATA, a, sid, hello_a, sizeof hello_a - 1);
    assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_IN), 2);
    assert_int_equal(resources_refused(r, RES_PROTOCOL, RES_STREAMS_IN), 1);
    event(LINK_DOWN, b, 0, NULL, 0);
    assert_int_equal(resources_used(r, RES_NODE, RES_LINKS), 1); /* its place is free at once */
    settle();
    assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_IN), 1);
    know(1, 1);
    open_to(1, 1, 0);
    settle();
    assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_OUT), 1);
    event(LINK_DOWN, a, 0, NULL, 0);
    settle();
    assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_OUT), 0);
    assert_int_equal(resources_used(r, RES_NODE, RES_STREAMS_IN), 0);
}

static void silent_and_wrong_negotiations_end(void **state)
{
    struct swarm_stats st;
    (void)state;
    uint32_t ix = inbound(1, 0);
    event(LINK_STREAM, ix, 0, NULL, 0); /* says nothing */
    event(LINK_STREAM, ix, 1, NULL, 0); /* says half of it */
    event(LINK_DATA, ix, 1, hello_a, 10);
    event(LINK_STREAM, ix, 2, NULL, 0); /* ends too early */
    event(LINK_DATA, ix, 2, hello_a, 22);
    event(LINK_FIN, ix, 2, NULL, 0);
    event(LINK_STREAM, ix, 3, NULL, 0); /* talks nonsense */
    event(LINK_DATA, ix, 3, "\x05nonsense", 9);
    event(LINK_STREAM, ix, 4, NULL, 0); /* asks for what we lack, and no more */
    event(LINK_DATA, ix, 4, hello_x, sizeof hello_x - 1);
    assert_int_equal(w.link[ix].resets, 2);
    open_to(1, 7, 0); /* ours: the echo never comes */
    settle();
    assert_int_equal(count(EV_STREAM_OPEN), 1);
    w.now += SWARM_NEGOTIATE_TIMEOUT;
    assert_true(swarm_deadline(w.s) <= w.now);
    swarm_tick(w.s, w.now);
    settle();
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.negotiate_timeout, 4);
    assert_int_equal(st.negotiate_failed, 2);
    assert_int_equal(st.streams, 0);
    assert_int_equal(count(EV_RESET), 1); /* only ours was known to a core */
    assert_int_equal(last(EV_RESET)->ev.err, QUDAG_ETIMEOUT);
    assert_true(swarm_deadline(w.s) > w.now);
}

static void a_refused_proposal_resets_our_stream(void **state)
{
    (void)state;
    uint32_t ix = inbound(1, 0);
    open_to(1, 7, 0);
    settle();
    struct ref s = last(EV_STREAM_OPEN)->ev.strm;
    struct act wr = {.type = ACT_WRITE, .strm = s, .data = {(const uint8_t *)"early", 5}};
    swarm_act(w.s, w.core[0], &wr, NULL, w.now); /* optimistic */
    event(LINK_DATA, ix, 0, "\x13/multistream/1.0.0\n\x03na\n", 24);
    assert_int_equal(last(EV_RESET)->ev.err, QUDAG_EUNSUPPORTED);
    swarm_act(w.s, w.core[0], &wr, NULL, w.now); /* late: ignored */
    assert_int_equal(w.link[ix].sent_n, 26 + 5);
}

static void a_full_queue_resets_the_stream_and_reports_it(void **state)
{
    (void)state;
    (void)inbound(1, 0);
    open_to(1, 7, 0);
    settle();
    struct act wr = {.type = ACT_WRITE, .data = {(const uint8_t *)"x", 1}};
    wr.strm = last(EV_STREAM_OPEN)->ev.strm;
    swarm_act(w.s, w.core[1], &wr, NULL, w.now); /* not that core's stream */
    assert_int_equal(w.link[0].sent_n, 26);
    w.write_err = QUDAG_ETOOBIG;
    swarm_act(w.s, w.core[0], &wr, NULL, w.now);
    assert_int_equal(last(EV_RESET)->ev.err, QUDAG_ETOOBIG);
    assert_int_equal(w.link[0].resets, 1);
}

static void both_ends_finished_frees_the_stream(void **state)
{
    struct swarm_stats st;
    (void)state;
    for (int ours_first = 0; ours_first < 2; ours_first++) {
        uint32_t ix = inbound((uint8_t)(1 + ours_first), 0);
        event(LINK_STREAM, ix, 0, NULL, 0);
        event(LINK_DATA, ix, 0, hello_a, sizeof hello_a - 1);
        struct act fin = {.type = ACT_FIN, .strm = last(EV_STREAM_OPEN)->ev.strm};
        if (ours_first) {
            swarm_act(w.s, w.core[0], &fin, NULL, w.now);
            event(LINK_FIN, ix, 0, NULL, 0);
        } else {
            event(LINK_FIN, ix, 0, NULL, 0);
            swarm_act(w.s, w.core[0], &fin, NULL, w.now);
        }
        swarm_act(w.s, w.core[0], &fin, NULL, w.now);
        swarm_stats_get(w.s, &st);
        assert_int_equal(st.streams, 0);
        assert_int_equal(w.link[ix].fins, 1);
        assert_int_equal(count(EV_FIN), 1 + (size_t)ours_first);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(inbound_streams_negotiate_and_deliver),
        T(a_flood_of_streams_beyond_the_limit_is_reset),
        T(a_protocol_for_anonymous_callers_does_not_exist_for_others),
        T(inbound_streams_are_counted_by_protocol),
        T(streams_ask_and_give_back),
        T(silent_and_wrong_negotiations_end),
        T(a_refused_proposal_resets_our_stream),
        T(a_full_queue_resets_the_stream_and_reports_it),
        T(both_ends_finished_frees_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
