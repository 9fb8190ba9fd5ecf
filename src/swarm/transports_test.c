/*
 * transports_test.c - two transports side by side, with addresses of their own, equal references and
 * links to the same peer; and one whose links are there on demand.  What is above the table knows neither.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "swarm/rekey.h"
#include "swarm/testkit_made_swarm.h"

#include <stdio.h>

static void each_address_goes_to_its_transport_the_cheapest_first(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.2/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.3/tcp/1"); /* the newest, but not the cheapest */
    know(1, "/ip4/9.0.0.4/tcp/1");
    know(1, "/dns4/nowhere.example"); /* nobody's */
    struct peer_id id = peer_no(1);
    assert_int_equal(swarm_peer_get(w.s, &id)->n_addrs, 4);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.n, 1);
    event(&w.quick, LINK_DOWN, 0, 0); /* the next is of the other kind */
    assert_int_equal(w.quick.n, 1);
    assert_int_equal(w.steady.n, 1);
    pass(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.quick.n, 2);
    pass(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.steady.n, 2);
    up(&w.steady, 1, LINK_PQ_KEX);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX);
    assert_int_equal(w.steady.link[1].next_sid, 1);
    assert_true(w.steady.link[0].closed && w.quick.link[1].closed);
}

/* A network that drops UDP: the stream begins over TCP, long before QUIC gives up. */
/* However many relays are named later: where a peer is known to be directly does not fall off the list. */
static void addresses_through_relays_push_out_no_direct_one(void **state)
{
    struct peer_id id = peer_no(1);
    struct multiaddr first;
    char text[MULTIADDR_TEXT_MAX];
    size_t it = 0;

    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    for (int i = 0; i < 2 * SWARM_ADDRS_MAX; i++) {
        (void)snprintf(text, sizeof text, "/ip4/9.0.1.%d/p2p-circuit", i);
        know(1, text);
    }
    assert_true(swarm_addr_next(w.s, &id, &it, &first));
    assert_true(multiaddr_text(text, sizeof text, &first) > 0);
    assert_string_equal(text, "/ip4/9.0.0.1/udp/7/quic-v1");
}

/* What is named while a peer is being dialled is dialled beside; what is under way is not begun again. */
static void an_address_that_is_named_begins_no_other_dial_again(void **state)
{
    struct multiaddr named;
    struct peer_id id = peer_no(1);
    struct netaddr at = {.family = 4, .ip = {9, 0, 0, 2}, .port = 7};

    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.n, 1);
    multiaddr_quic(&named, &at, &id);
    assert_int_equal(swarm_connect(w.s, w.core, 1, &named, NULL, w.now), QUDAG_OK);
    settle();
    assert_int_equal(w.quick.n, 2);
    event(&w.quick, LINK_DOWN, 1, 0);
    pass(2 * SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.quick.n, 2);
}

static void a_silent_transport_costs_no_more_than_its_delays(void **state)
{
    (void)state;
    tstamp began = w.now;
    for (int i = 1; i <= 3; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "/ip4/9.0.0.%d/udp/1/quic-v1", i);
        know(1, text);
        (void)snprintf(text, sizeof text, "/ip6/2001:db8::%d/udp/1/quic-v1", i);
        know(1, text);
    }
    know(1, "/ip4/9.0.0.4/tcp/1");
    open_by(w.core, 1, 0);
    while (w.steady.n == 0) {
        pass(10 * NS_PER_MS);
    }
    assert_int_equal(w.quick.n, 2); /* one of each IP version */
    up(&w.steady, 0, LINK_PQ_KEX);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX);
    assert_true(w.now - began <= 2 * SWARM_ATTEMPT_DELAY);
    assert_true(w.quick.link[0].closed && w.quick.link[1].closed);
    pass(4 * SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.quick.n, 2);
}

static void a_relayed_link_does_not_end_direct_dials(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.4/p2p-circuit");
    open_by(w.core, 1, 0);
    pass(SWARM_ATTEMPT_DELAY);
    up(&w.relay, 0, LINK_RELAYED);
    assert_int_equal(w.relay.link[0].next_sid, 1);
    assert_false(w.quick.link[0].closed);
    up(&w.quick, 0, 0);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
}

static void a_dial_the_peer_may_count_as_a_link_is_not_cancelled(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.2/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.3/udp/1/quic-v1");
    open_by(w.core, 1, 0);
    pass(SWARM_ATTEMPT_DELAY);
    pass(SWARM_ATTEMPT_DELAY);
    w.quick.link[1].completed = true;
    up(&w.quick, 0, 0);
    assert_false(w.quick.link[1].closed);
    assert_true(w.quick.link[2].closed);
    up(&w.quick, 1, 0);
    assert_false(w.quick.link[0].closed || w.quick.link[1].closed);
}

static void equal_references_of_two_transports_are_two_links(void **state)
{
    (void)state;
    uint32_t q = inbound(&w.quick, 1, 0), t = inbound(&w.steady, 2, 0);
    assert_int_equal(q, t);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[q].next_sid, 1);
    open_by(w.core, 2, 0);
    assert_int_equal(w.steady.link[t].next_sid, 1);
    w.n_seen = 0;
    event(&w.steady, LINK_DOWN, t, 0);
    struct peer_id one = peer_no(1), two = peer_no(2);
    uint8_t props;
    assert_true(swarm_connected(w.s, &one, &props));
    assert_false(swarm_connected(w.s, &two, &props));
    assert_true(peer_id_eq(&w.seen[w.n_seen - 1].peer, &two));
    open_by(w.core, 1, 0); /* and the other link works on */
    assert_int_equal(w.quick.link[q].next_sid, 2);
}

/* Direct before relayed, post-quantum before classical, and never limited unless the protocol allows it. */
static void of_links_to_one_peer_streams_take_the_best(void **state)
{
    uint8_t relayed = LINK_RELAYED | LINK_LIMITED;
    (void)state;
    inbound(&w.steady, 1, relayed);
    open_by(w.core, 1, 0); /* no dial to be had, and not over that one */
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    open_by(w.modest, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, relayed | LINK_INBOUND);
    inbound(&w.quick, 1, 0);
    inbound(&w.steady, 1, LINK_RELAYED); /* newer, but worse */
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
    inbound(&w.steady, 1, LINK_PQ_KEX);
    open_by(w.modest, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX | LINK_INBOUND);
    event(&w.steady, LINK_DOWN, 2, 0);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 2);
    open_by(w.core, 1, LINK_PQ_AUTH); /* none has it, and there is no address */
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
}

static void a_peer_may_not_use_a_limited_link_for_what_does_not_allow_it(void **state)
{
    static const uint8_t plain[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    static const uint8_t modest[] = "\x13/multistream/1.0.0\n\x0a/modest/1\n";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, LINK_RELAYED | LINK_LIMITED);
    for (int64_t sid = 0; sid < 2; sid++) {
        event(&w.steady, LINK_STREAM, l, sid);
        struct link_ev ev = {.type = LINK_DATA, .link = {l, 1}, .sid = sid};
        ev.user = w.steady.link[l].user[sid];
        ev.data = sid == 0 ? (struct slice){plain, sizeof plain - 1}
                           : (struct slice){modest, sizeof modest - 1};
        w.n_seen = 0;
        swarm_link_event(w.s, w.steady.ix, &ev, w.now);
        settle();
        assert_int_equal(w.n_seen, sid);
        assert_int_equal(w.steady.link[l].resets, 1);
    }
    assert_int_equal(w.steady.link[l].reset_err, QUDAG_EPOLICY);
}

/* Neither side's: another link is dialled for them, and a peer that opens one over this one is refused. */
static void cells_do_not_go_over_a_byte_stream(void **state)
{
    static const uint8_t cells[] = "\x13/multistream/1.0.0\n\x09/cells/1\n";
    struct peer_id id = peer_no(1);
    (void)state;

    uint32_t l = inbound(&w.steady, 1, LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG);
    assert_false(swarm_carries_cells(w.s, &id));
    open_by(w.cells, 1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE); /* no other address */
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    open_by(w.cells, 1, 0);
    assert_int_equal(w.quick.n, 1);
    up(&w.quick, 0, LINK_PQ_KEX | LINK_PQ_AUTH);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX | LINK_PQ_AUTH);
    assert_int_equal(w.quick.link[0].next_sid, 1);
    assert_true(swarm_carries_cells(w.s, &id));
    event(&w.steady, LINK_STREAM, l, 0);
    struct link_ev ev = {.type = LINK_DATA,
                         .link = {l, 1},
                         .user = w.steady.link[l].user[0],
                         .data = {cells, sizeof cells - 1}};
    w.n_seen = 0;
    swarm_link_event(w.s, w.steady.ix, &ev, w.now);
    settle();
    assert_int_equal(w.n_seen, 0);
    assert_int_equal(w.steady.link[l].reset_err, QUDAG_EPOLICY);
}

/* |msg| comes on a new stream |sid| of the steady link |l|; whether a core heard of it. */
static bool heard(uint32_t l, int64_t sid, const char *msg)
{
    event(&w.steady, LINK_STREAM, l, sid);
    struct link_ev ev = {.type = LINK_DATA, .link = {l, 1}, .sid = sid};
    ev.user = w.steady.link[l].user[sid];
    ev.data = (struct slice){(const uint8_t *)msg, strlen(msg)};
    w.n_seen = 0;
    swarm_link_event(w.s, w.steady.ix, &ev, w.now);
    settle();
    return w.n_seen > 0;
}

static void what_is_direct_only_runs_over_no_relayed_link_and_dials_no_relay(void **state)
{
    static const char direct[] = "\x13/multistream/1.0.0\n\x0a/direct/1\n";
    static const char plain[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, LINK_RELAYED);
    open_by(w.direct, 1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    assert_false(heard(l, 0, direct));
    assert_int_equal(w.steady.link[l].reset_err, QUDAG_EPOLICY);
    assert_true(heard(l, 1, plain));
    know(2, "/ip4/9.0.0.4/p2p-circuit");
    open_by(w.direct, 2, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    assert_int_equal(w.relay.n, 0);
    open_by(w.core, 2, 0); /* another one does dial it */
    assert_int_equal(w.relay.n, 1);
    open_by(w.direct, 2, 0); /* and who waits for that gets nothing of it */
    up(&w.relay, 0, LINK_RELAYED);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EPOLICY);
    inbound(&w.quick, 1, 0);
    open_by(w.direct, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
}

/* What is written behind a proposal is no answer to a peer that has said "na", and it resets the stream. */
static void a_reset_while_a_protocol_is_asked_for_says_that_nobody_serves_it(void **state)
{
    static const char yes[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, 0);
    for (int answered = 0; answered < 2; answered++) {
        open_by(w.core, 1, 0);
        struct link_ev ev = {.type = LINK_DATA, .link = {l, 1}, .sid = answered};
        ev.user = w.steady.link[l].user[answered];
        ev.data = (struct slice){(const uint8_t *)yes, strlen(yes)};
        if (answered == 1) {
            swarm_link_event(w.s, w.steady.ix, &ev, w.now);
        }
        ev.type = LINK_RESET;
        ev.err = QUDAG_EPROTO;
        swarm_link_event(w.s, w.steady.ix, &ev, w.now);
        settle();
        assert_int_equal(last(EV_RESET)->err, answered == 1 ? QUDAG_EPROTO : QUDAG_EUNSUPPORTED);
    }
}

static void protocols_that_are_allowed_to_use_limited_links(void **state)
{
    static const char plain[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    char name[] = "/allowed/0";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, LINK_RELAYED | LINK_LIMITED);
    assert_false(heard(l, 0, plain));
    assert_int_equal(swarm_proto_allow_limited(w.s, "/plain/1"), QUDAG_OK);
    assert_int_equal(swarm_proto_allow_limited(w.s, "/plain/1"), QUDAG_OK);
    assert_true(heard(l, 1, plain));
    open_by(w.core, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_RELAYED | LINK_LIMITED | LINK_INBOUND);
    assert_int_equal(swarm_proto_allow_limited(w.s, "plain"), QUDAG_EINVAL);
    for (size_t i = 1; i < SWARM_LIMITED_MAX; i++) {
        name[sizeof name - 2] = (char)('0' + i);
        assert_int_equal(swarm_proto_allow_limited(w.s, name), QUDAG_OK);
    }
    assert_int_equal(swarm_proto_allow_limited(w.s, "/one/more"), QUDAG_ELIMIT);
}

static void links_on_demand_need_no_announcement_and_no_negotiation(void **state)
{
    (void)state;
    w.circ.n = 2;
    w.circ.link[0].props = w.circ.link[1].props = LINK_ANON | LINK_NAMED | LINK_PQ_KEX;
    struct act a = {.type = ACT_OPEN, .cookie = 3, .obj = {0, 1}};
    swarm_act(w.s, w.core, &a, "/else/1", w.now);
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_ANON | LINK_NAMED | LINK_PQ_KEX);
    assert_string_equal(w.circ.link[0].proto, "/else/1");
    assert_int_equal(w.circ.link[0].sent_n, 0); /* no proposal */
    struct link_ev in = {
        .type = LINK_STREAM, .link = {1, 1}, .data = {(const uint8_t *)"/plain/1", 8}};
    w.n_seen = 0;
    swarm_link_event(w.s, w.circ.ix, &in, w.now);
    settle();
    assert_true(last(EV_STREAM_OPEN)->inbound);
    assert_int_equal(w.seen[0].peer.len, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->net, 71); /* whom it comes through, without a name */
    assert_int_equal(last(EV_STREAM_OPEN)->via, 81);
    assert_int_equal(last(EV_STREAM_OPEN)->link, ref_to_u64(in.link));
    struct swarm_stats st;
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.links, 0); /* they are their builder's */
    swarm_rekey(w.s, w.now);
    assert_int_equal(swarm_links_old_key(w.s), 0); /* they prove nothing of us */
    assert_int_equal(st.streams, 2);
    w.n_seen = 0;
    event(&w.circ, LINK_DOWN, 0, 0);
    assert_int_equal(last(EV_RESET)->err, QUDAG_ERESET);
    w.circ.link[0].closed = true;
    swarm_act(w.s, w.core, &a, "/else/1", w.now); /* gone for good */
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_ESTALE);
}

/* Who is at the other end of a link is for the transport's kind to say, not for the one link. */
static void links_on_demand_are_anonymous_and_others_are_not(void **state)
{
    (void)state;
    w.circ.n = 1;
    w.circ.link[0].props = LINK_NAMED;
    struct link_ev in = {
        .type = LINK_STREAM, .link = {0, 1}, .data = {(const uint8_t *)"/plain/1", 8}};
    swarm_link_event(w.s, w.circ.ix, &in, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_NAMED | LINK_ANON);
    inbound(&w.quick, 1, LINK_ANON);
    open_by(w.core, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_INBOUND);
}

/* A link that came over |m| from |from|, and our key is another: where its peer is dialled, "": nowhere. */
static const char *dialled_anew(struct made *m, const char *from)
{
    static char text[MULTIADDR_TEXT_MAX];
    uint32_t quick = w.quick.n, steady = w.steady.n;

    assert_int_equal(multiaddr_parse(&m->link[m->n].at, from), QUDAG_OK);
    inbound(m, 1, 0);
    quick += m == &w.quick;
    steady += m == &w.steady;
    swarm_rekey(w.s, w.now);
    pass(NS_PER_S);
    text[0] = '\0';
    if (w.quick.n > quick) {
        assert_true(multiaddr_text(text, sizeof text, &w.quick.link[quick].at) > 0);
    } else if (w.steady.n > steady) {
        assert_true(multiaddr_text(text, sizeof text, &w.steady.link[steady].at) > 0);
    }
    return text;
}

/* Nobody listens at the port from which a connection came; datagrams come from where they are listened for. */
static void who_came_over_a_byte_stream_is_dialled_where_it_listens(void **state)
{
    static const struct {
        bool steady;
        const char *from, *known[3], *dialled;
    } row[] = {
        {true, "/ip4/9.0.0.1/tcp/50000", {NULL}, ""},
        {true, "/ip4/9.0.0.1/tcp/50000", {"/ip4/9.0.0.1/tcp/1"}, "/ip4/9.0.0.1/tcp/1"},
        {true,
         "/ip4/9.0.0.1/tcp/50000",
         {"/ip4/9.0.0.1/udp/1/quic-v1", "/ip4/9.0.0.1/tcp/1"},
         "/ip4/9.0.0.1/tcp/1"},
        {true,
         "/ip4/9.0.0.1/tcp/50000",
         {"/ip4/9.0.0.1/udp/1/quic-v1"},
         "/ip4/9.0.0.1/udp/1/quic-v1"},
        {false,
         "/ip4/9.0.0.1/udp/50000/quic-v1",
         {"/ip4/9.0.0.1/udp/1/quic-v1", "/ip4/9.0.0.1/tcp/1"},
         "/ip4/9.0.0.1/udp/50000/quic-v1"},
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        for (size_t k = 0; k < 3 && row[i].known[k] != NULL; k++) {
            know(1, row[i].known[k]);
        }
        assert_string_equal(dialled_anew(row[i].steady ? &w.steady : &w.quick, row[i].from),
                            row[i].dialled);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

static bool any(enum ev_type type)
{
    for (size_t i = 0; i < w.n_seen; i++) {
        if (w.seen[i].ev.type == type) {
            return true;
        }
    }
    return false;
}

static void streams_go_to_another_link_than_one_that_takes_none_any_more(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    inbound(&w.steady, 1, 0);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
    w.quick.link[0].leaving = true;
    for (int i = 1; i < 3; i++) {
        open_by(w.core, 1, 0);
        assert_true(any(EV_STREAM_OPEN));
        assert_false(any(EV_STREAM_FAIL));
        assert_int_equal(w.steady.link[0].next_sid, i);
    }
    assert_int_equal(w.quick.link[0].next_sid, 1);
    assert_false(w.quick.link[0].closed); /* it goes on with what it has */
}

static void a_peer_whose_only_link_takes_no_streams_is_dialled(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    know(1, "/ip4/1.2.3.4/tcp/1");
    w.quick.link[0].leaving = true;
    open_by(w.core, 1, 0);
    assert_false(any(EV_STREAM_FAIL));
    assert_int_equal(w.steady.n, 1);
    up(&w.steady, 0, 0);
    assert_true(any(EV_STREAM_OPEN));
    assert_int_equal(w.steady.link[0].next_sid, 1);
}

static void who_waits_for_a_link_that_leaves_waits_for_another(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    know(1, "/ip4/1.2.3.4/tcp/1");
    w.quick.link[0].full = true;
    for (int i = 0; i < 3; i++) {
        open_by(w.core, 1, 0);
    }
    assert_int_equal(w.steady.n, 0);
    w.quick.link[0].leaving = true;
    event(&w.quick, LINK_STREAMS_OK, 0, 0);
    assert_false(any(EV_STREAM_FAIL));
    assert_int_equal(w.steady.n, 1); /* one dial for all of them */
    up(&w.steady, 0, 0);
    assert_int_equal(w.steady.link[0].next_sid, 3);
}

static void who_waits_for_a_link_that_leaves_hears_that_there_is_no_other(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    w.quick.link[0].full = true;
    open_by(w.core, 1, 0);
    w.quick.link[0].leaving = true;
    event(&w.quick, LINK_STREAMS_OK, 0, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    open_by(w.core, 1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_address_goes_to_its_transport_the_cheapest_first),
        T(addresses_through_relays_push_out_no_direct_one),
        T(an_address_that_is_named_begins_no_other_dial_again),
        T(a_silent_transport_costs_no_more_than_its_delays),
        T(a_relayed_link_does_not_end_direct_dials),
        T(a_dial_the_peer_may_count_as_a_link_is_not_cancelled),
        T(equal_references_of_two_transports_are_two_links),
        T(of_links_to_one_peer_streams_take_the_best),
        T(a_peer_may_not_use_a_limited_link_for_what_does_not_allow_it),
        T(cells_do_not_go_over_a_byte_stream),
        T(who_came_over_a_byte_stream_is_dialled_where_it_listens),
        T(streams_go_to_another_link_than_one_that_takes_none_any_more),
        T(a_peer_whose_only_link_takes_no_streams_is_dialled),
        T(who_waits_for_a_link_that_leaves_waits_for_another),
        T(who_waits_for_a_link_that_leaves_hears_that_there_is_no_other),
        T(what_is_direct_only_runs_over_no_relayed_link_and_dials_no_relay),
        T(a_reset_while_a_protocol_is_asked_for_says_that_nobody_serves_it),
        T(protocols_that_are_allowed_to_use_limited_links),
        T(links_on_demand_need_no_announcement_and_no_negotiation),
        T(links_on_demand_are_anonymous_and_others_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
