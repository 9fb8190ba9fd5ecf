/* dcutr_test.c - DCUtR: the exchange between two, each message out of turn, limits, rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dcutr/dcutr.h"

#include <stdio.h>

#include <string.h>

#define T0 (1000 * NS_PER_S)
#define STRM ((struct ref){7, 1})

static struct mem mem;
static struct rng_stream stream;
static struct dcutr *d;
static tstamp now;
static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];
static struct acts out = {
    .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof act_bytes};
static struct peer_id peer;
static uint64_t cookie;

static struct multiaddr addr(const char *text)
{
    struct multiaddr m;

    assert_int_equal(multiaddr_parse(&m, text), QUDAG_OK);
    return m;
}

static int setup(void **state)
{
    static const uint8_t seed[32] = {1}, pk[32] = {2};
    const struct multiaddr own[2] = {addr("/ip4/9.9.9.9/udp/4001/quic-v1"),
                                     addr("/ip4/192.168.1.2/udp/4001/quic-v1")};
    (void)state;

    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct dcutr_config cfg = {.mem = &mem, .rng = rng_of_stream(&stream)};
    peer_id_from_ed25519(&peer, pk);
    now = T0;
    out.n = out.bytes_n = 0;
    if (dcutr_new(&d, &cfg) != QUDAG_OK) {
        return -1;
    }
    dcutr_set_addrs(d, own, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dcutr_free(d);
    return mem.used == 0 ? 0 : -1;
}

/* The actions there are of that type (and kind); they stay. */
static size_t count(enum act_type type, unsigned kind)
{
    size_t n = 0;

    for (size_t i = 0; i < out.n; i++) {
        n += out.v[i].type == type && (type != ACT_UP || out.v[i].kind == kind) ? 1 : 0;
    }
    return n;
}

static const struct act *last(enum act_type type, unsigned kind)
{
    for (size_t i = out.n; i > 0; i--) {
        if (out.v[i - 1].type == type && (type != ACT_UP || out.v[i - 1].kind == kind)) {
            return &out.v[i - 1];
        }
    }
    fail_msg("no action %d %u", type, kind);
    return &out.v[0]; /* not reached: the test has ended */
}

static void forget(void)
{
    for (size_t i = 0; i < out.n; i++) {
        cookie = out.v[i].type == ACT_OPEN ? out.v[i].cookie : cookie;
    }
    out.n = out.bytes_n = 0;
}

static void stream_event(enum ev_type type, bool inbound, uint8_t props)
{
    struct ev ev = {.type = type, .inbound = inbound, .props = props, .peer = &peer, .strm = STRM};

    ev.cookie = cookie;
    dcutr_ops.event(d, &ev, now, &out);
}

static void say(enum dcutr_type type, size_t n, const char *const *texts)
{
    struct dcutr_msg m = {.type = type};
    uint8_t bytes[DCUTR_MSG_MAX];
    struct wr w = wr_init(bytes, sizeof bytes);

    for (size_t i = 0; i < n; i++) {
        m.addr[m.n_addrs++] = addr(texts[i]);
    }
    assert_int_equal(dcutr_msg_write(&w, &m), QUDAG_OK);
    for (size_t i = 0; i < w.len; i++) { /* in any split */
        struct ev ev = {.type = EV_DATA, .strm = STRM, .data = {bytes + i, 1}};
        dcutr_ops.event(d, &ev, now, &out);
    }
}

static void say_connect(void)
{
    static const char *const theirs[] = {"/ip4/8.8.8.8/udp/4001/quic-v1", "/ip4/8.8.8.8/tcp/4001"};

    say(DCUTR_CONNECT, 2, theirs);
}

static void pass(uint64_t ns)
{
    tstamp end = now + ns;

    while (dcutr_ops.deadline(d) <= end) {
        now = dcutr_ops.deadline(d) > now ? dcutr_ops.deadline(d) : now;
        dcutr_ops.tick(d, now, &out);
        if (out.n > ACTS_ROOM / 2) {
            return;
        }
    }
    now = end;
}

static struct dcutr_look look(void)
{
    struct dcutr_look l;

    assert_true(dcutr_look(d, &peer, &l));
    return l;
}

/* B, up to its SYNC; |rtt| passes between its CONNECT and the answer. */
static void reach_sync(uint64_t rtt)
{
    forget();
    stream_event(EV_STREAM_OPEN, false, LINK_RELAYED | LINK_INBOUND);
    assert_int_equal(count(ACT_WRITE, 0), 1);
    now += rtt;
    say_connect();
}

/* Peers that have a stream with the program name a third party, have a direct link in the end, and come again. */
static void a_host_gets_few_packets_whoever_names_it(void **state)
{
    static const char *const victim[] = {
        "/ip4/8.8.8.8/udp/4001/quic-v1", "/ip4/8.8.8.8/udp/4002/quic-v1",
        "/ip4/8.8.8.8/udp/4003/quic-v1", "/ip4/8.8.8.8/udp/4004/quic-v1",
        "/ip4/8.8.8.8/udp/4005/quic-v1", "/ip4/8.8.8.8/udp/4006/quic-v1",
        "/ip4/8.8.8.8/udp/4007/quic-v1", "/ip4/8.8.8.8/udp/4008/quic-v1"};
    size_t sent = 0;
    (void)state;

    for (unsigned k = 0; k < 8; k++) {
        forget();
        assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
        forget();
        stream_event(EV_STREAM_OPEN, false, LINK_RELAYED | LINK_INBOUND);
        say(DCUTR_CONNECT, ARRAY_LEN(victim), victim);
        for (unsigned i = 0; i < 2 * DCUTR_PACKETS_MAX && look().state != DCUTR_OPENING; i++) {
            forget();
            pass(100 * NS_PER_MS);
            sent += count(ACT_UP, DCUTR_UP_PACKET);
            now += 100 * NS_PER_MS;
        }
        dcutr_linked(d, &peer, now, &out);
    }
    assert_true(now < T0 + DCUTR_AGAIN_NS);
    assert_in_range(sent, DCUTR_PACKETS_MAX, DCUTR_HOST_MAX);
}

/* Peers that ask name a third party: as many dials of it as are stated, whoever names it. */
static void a_host_is_dialled_seldom_whoever_names_it(void **state)
{
    static char text[DCUTR_ADDRS_MAX][64];
    const char *victim[DCUTR_ADDRS_MAX];
    size_t dials = 0;
    (void)state;

    for (unsigned i = 0; i < DCUTR_ADDRS_MAX; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "/ip4/6.6.6.6/udp/%u/quic-v1", 4001 + i);
        victim[i] = text[i];
    }
    for (uint8_t k = 0; k < 12; k++) {
        const uint8_t pk[32] = {3, (uint8_t)(k / 3)};
        peer_id_from_ed25519(&peer, pk);
        forget();
        stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
        say(DCUTR_CONNECT, ARRAY_LEN(victim), victim);
        dcutr_allow(d, &peer, true, now, &out);
        say(DCUTR_SYNC, 0, NULL);
        if (count(ACT_UP, DCUTR_UP_DIAL) > 0) {
            dials += ((const struct dcutr_msg *)last(ACT_UP, DCUTR_UP_DIAL)->ptr)->n_addrs;
        }
        pass(DCUTR_PUNCH_NS);
    }
    assert_true(now < T0 + DCUTR_AGAIN_NS);
    assert_int_equal(dials, DCUTR_HOST_DIALS);
    assert_true(dcutr_rule_one_more(11, 12) && !dcutr_rule_one_more(12, 12));
    for (unsigned i = 0; i < 1000;
         i++) { /* another host is another matter, and so is another time */
        now += i == 0 ? 0 : DCUTR_AGAIN_NS;
        forget();
        stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
        if (i == 0) {
            say_connect();
        } else {
            say(DCUTR_CONNECT, ARRAY_LEN(victim), victim);
        }
        dcutr_allow(d, &peer, true, now, &out);
        say(DCUTR_SYNC, 0, NULL);
        const struct dcutr_msg *to = last(ACT_UP, DCUTR_UP_DIAL)->ptr;
        assert_int_equal(to->n_addrs, i == 0 ? 2 : DCUTR_HOST_DIALS);
        pass(DCUTR_PUNCH_NS);
    }
}

static void b_measures_the_round_trip_and_sends_after_half_of_it(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    assert_true(last(ACT_OPEN, 0)->no_dial);
    reach_sync(80 * NS_PER_MS);
    assert_int_equal(count(ACT_WRITE, 0), 2);
    assert_memory_equal(last(ACT_WRITE, 0)->data.base, "\x03\x08\xac\x02", 4); /* SYNC */
    assert_int_equal(count(ACT_FIN, 0), 1);
    assert_int_equal(look().state, DCUTR_SYNCED);
    assert_int_equal(look().rtt_ns, 80 * NS_PER_MS);
    assert_int_equal(dcutr_ops.deadline(d), now + 40 * NS_PER_MS);
    pass(40 * NS_PER_MS);
    /* to the address of QUIC, not to that of TCP; and nothing is dialled yet */
    assert_int_equal(count(ACT_UP, DCUTR_UP_PACKET), 1);
    assert_int_equal(((const struct dcutr_packet *)last(ACT_UP, DCUTR_UP_PACKET)->ptr)->to.port,
                     4001);
    assert_int_equal(count(ACT_UP, DCUTR_UP_DIAL), 0);
    dcutr_linked(d, &peer, now, &out);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_OK);
    assert_int_equal(look().state, DCUTR_DIRECT);
    assert_int_equal(dcutr_ops.deadline(d), TSTAMP_NEVER);
}

static void b_tells_no_private_address_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    forget();
    stream_event(EV_STREAM_OPEN, false, LINK_RELAYED);
    assert_int_equal(look().ours.n_addrs, 1);
    assert_int_equal(last(ACT_WRITE, 0)->data.len, 1 + 2 + 2 + 11);
}

/* In another network the addresses of the one before are no longer ours to tell. */
static void what_is_told_is_what_there_is_now(void **state)
{
    const struct multiaddr own[1] = {addr("/ip4/7.7.7.7/udp/4001/quic-v1")};
    (void)state;

    dcutr_set_addrs(d, own, 1);
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    forget();
    stream_event(EV_STREAM_OPEN, false, LINK_RELAYED);
    assert_int_equal(look().ours.n_addrs, 1);
    assert_true(multiaddr_eq(&look().ours.addr[0], &own[0]));
}

static void b_tries_three_times_dials_in_the_last_and_then_not_for_a_while(void **state)
{
    size_t packets = 0;
    (void)state;

    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    for (unsigned i = 1; i <= DCUTR_ATTEMPTS; i++) {
        reach_sync(10 * NS_PER_MS);
        assert_int_equal(look().attempts, i);
        forget();
        pass(5 * NS_PER_MS + DCUTR_PUNCH_NS);
        assert_int_equal(count(ACT_UP, DCUTR_UP_DIAL), i == DCUTR_ATTEMPTS ? 1 : 0);
        assert_true(count(ACT_UP, DCUTR_UP_PACKET) > DCUTR_PACKETS_MAX / 2);
        assert_true(count(ACT_UP, DCUTR_UP_PACKET) <= DCUTR_PACKETS_MAX);
        packets += count(ACT_UP, DCUTR_UP_PACKET);
    }
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_ETIMEOUT);
    assert_int_equal(look().state, DCUTR_FAILED);
    assert_int_equal(look().packets, packets);
    assert_true(strlen(look().why) > 0);
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_ELIMIT);
    now += DCUTR_AGAIN_NS;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_EEXISTS);
}

static void in_another_network_what_failed_is_begun_at_once(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    pass(DCUTR_TIMEOUT_NS);
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_ELIMIT);
    dcutr_forget(d);
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
}

static void b_dials_a_peer_that_shows_a_public_address_before_it_asks(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, true, now, &out), QUDAG_OK);
    assert_int_equal(count(ACT_UP, DCUTR_UP_REVERSE), 1);
    assert_int_equal(count(ACT_OPEN, 0), 0);
    dcutr_not_there(d, &peer, now, &out);
    assert_int_equal(count(ACT_OPEN, 0), 1);
    dcutr_not_there(d, &peer, now, &out); /* once */
    assert_int_equal(count(ACT_OPEN, 0), 1);
}

static void a_dial_that_nobody_answers_is_waited_for_a_while(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, true, now, &out), QUDAG_OK);
    pass(DCUTR_REVERSE_NS - 1);
    assert_int_equal(count(ACT_OPEN, 0), 0);
    pass(1);
    assert_int_equal(count(ACT_OPEN, 0), 1);
}

static void b_needs_nothing_where_a_direct_link_stands_already(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    forget();
    stream_event(EV_STREAM_OPEN, false, 0);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_OK);
    assert_int_equal(count(ACT_RESET, 0), 1);
    assert_int_equal(count(ACT_WRITE, 0), 0);
}

static void a_tells_its_addresses_only_when_it_may_and_dials_on_sync(void **state)
{
    (void)state;
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say_connect();
    assert_int_equal(count(ACT_UP, DCUTR_UP_ASKED), 1);
    assert_int_equal(count(ACT_WRITE, 0), 0);
    dcutr_allow(d, &peer, true, now, &out);
    assert_int_equal(count(ACT_WRITE, 0), 1);
    say(DCUTR_SYNC, 0, NULL);
    assert_int_equal(((const struct dcutr_msg *)last(ACT_UP, DCUTR_UP_DIAL)->ptr)->n_addrs, 2);
    assert_int_equal(look().state, DCUTR_DIALLING);
    assert_false(look().initiator);
    pass(DCUTR_PUNCH_NS);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_ETIMEOUT);
}

static void who_knows_no_address_of_its_own_asks_nobody_and_answers_nobody(void **state)
{
    (void)state;
    dcutr_set_addrs(d, NULL, 0);
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say_connect();
    dcutr_allow(d, &peer, true, now, &out);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EUNREACHABLE);
    assert_int_equal(count(ACT_WRITE, 0), 0);
    now += DCUTR_AGAIN_NS;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    forget();
    stream_event(EV_STREAM_OPEN, false, LINK_RELAYED | LINK_INBOUND);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EUNREACHABLE);
    assert_int_equal(count(ACT_WRITE, 0), 0);
}

/* Each message has the whole time, whatever those before it took. */
static void a_slow_peer_is_waited_for_at_each_message(void **state)
{
    (void)state;
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    pass(DCUTR_TIMEOUT_NS - 1);
    say_connect();
    pass(DCUTR_TIMEOUT_NS - 1);
    dcutr_allow(d, &peer, true, now, &out);
    pass(DCUTR_TIMEOUT_NS - 1);
    assert_int_equal(look().state, DCUTR_ANSWERED);
    say(DCUTR_SYNC, 0, NULL);
    assert_int_equal(look().state, DCUTR_DIALLING);
}

/* B may end its side behind CONNECT: it is answered all the same.  With SYNC both have said all. */
static void a_ends_the_stream_once_all_is_said(void **state)
{
    (void)state;
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say_connect();
    stream_event(EV_FIN, true, LINK_RELAYED);
    assert_int_equal(look().state, DCUTR_ASKED);
    dcutr_allow(d, &peer, true, now, &out);
    assert_int_equal(count(ACT_FIN, 0), 0);
    say(DCUTR_SYNC, 0, NULL);
    assert_int_equal(count(ACT_FIN, 0), 1);
    assert_int_equal(count(ACT_RESET, 0), 0);
}

static void who_ends_the_stream_before_it_has_answered_is_reset(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    forget();
    stream_event(EV_STREAM_OPEN, false, LINK_RELAYED | LINK_INBOUND);
    stream_event(EV_FIN, false, LINK_RELAYED | LINK_INBOUND);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EPROTO);
    assert_int_equal(count(ACT_RESET, 0), 1);
}

static void a_that_may_not_tells_nothing(void **state)
{
    (void)state;
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say_connect();
    dcutr_allow(d, &peer, false, now, &out);
    assert_int_equal(count(ACT_WRITE, 0), 0);
    assert_int_equal(last(ACT_RESET, 0)->err, QUDAG_EREFUSED);
    assert_int_equal(dcutr_stats(d)->refused, 1);
    assert_int_equal(dcutr_stats(d)->failed, 1); /* of these: node_reach_stats_part() */
    dcutr_allow(d, &peer, true, now, &out);      /* too late */
    assert_int_equal(count(ACT_WRITE, 0), 0);
    forget();
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say_connect();
    stream_event(EV_RESET, true, LINK_RELAYED); /* nobody listens any more */
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_ERESET);
    forget();
    dcutr_allow(d, &peer, true, now, &out);
    assert_int_equal(out.n, 0);
}

static void only_whom_we_dialled_through_a_relay_may_ask(void **state)
{
    static const uint8_t wrong[] = {0, LINK_INBOUND, LINK_RELAYED | LINK_INBOUND,
                                    LINK_RELAYED | LINK_ANON};
    (void)state;

    for (size_t i = 0; i < sizeof wrong; i++) {
        forget();
        stream_event(EV_STREAM_OPEN, true, wrong[i]);
        assert_int_equal(count(ACT_RESET, 0), 1);
    }
}

static void a_peer_may_ask_a_few_times_within_two_minutes(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= DCUTR_ASKED_MAX; i++) {
        forget();
        stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
        assert_int_equal(count(ACT_RESET, 0), i < DCUTR_ASKED_MAX ? 0 : 1);
        if (i < DCUTR_ASKED_MAX) {
            say_connect();
            dcutr_allow(d, &peer, false, now, &out);
        }
    }
    assert_int_equal(look().err, QUDAG_EREFUSED);
    assert_int_equal(look().theirs.n_addrs, 2);
    now += DCUTR_AGAIN_NS;
    forget();
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    assert_int_equal(count(ACT_RESET, 0), 0);
    assert_int_equal(look().err, QUDAG_OK); /* of this one nothing is known yet */
    assert_int_equal(look().theirs.n_addrs, 0);
}

static void a_message_out_of_turn_ends_it(void **state)
{
    (void)state;
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say(DCUTR_SYNC, 0, NULL);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EPROTO);
    forget();
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say_connect();
    say_connect(); /* nobody has answered the first */
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EPROTO);
    forget();
    assert_int_equal(look().state, DCUTR_FAILED);
    now += DCUTR_AGAIN_NS;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    forget();
    stream_event(EV_STREAM_OPEN, false, LINK_RELAYED);
    say(DCUTR_SYNC, 0, NULL);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EPROTO);
}

static void more_than_a_message_at_once_ends_it(void **state)
{
    static uint8_t much[64 * DCUTR_MSG_MAX];
    struct ev ev = {.type = EV_DATA, .strm = STRM, .data = {much, sizeof much}};
    (void)state;

    memset(much, 0x81, sizeof much);
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    dcutr_ops.event(d, &ev, now, &out);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EPROTO);
    assert_int_equal(look().state, DCUTR_FAILED);
}

static void what_comes_with_sync_ends_it(void **state)
{
    static const uint8_t sync_and_more[] = {3, 0x08, 0xac, 0x02, 0};
    struct ev ev = {.type = EV_DATA, .strm = STRM, .data = {sync_and_more, 5}};
    (void)state;

    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    say_connect();
    dcutr_allow(d, &peer, true, now, &out);
    dcutr_ops.event(d, &ev, now, &out);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_EPROTO);
    assert_int_equal(look().state, DCUTR_FAILED);
}

static void many_that_are_due_have_their_turn_one_after_the_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DCUTR_PEERS_MAX; i++) {
        uint8_t pk[32] = {(uint8_t)(i + 10)};
        struct peer_id p;
        peer_id_from_ed25519(&p, pk);
        assert_int_equal(dcutr_begin(d, &p, true, now, &out), QUDAG_OK);
    }
    size_t asked = 0;
    now += DCUTR_REVERSE_NS;
    for (unsigned turn = 0; dcutr_ops.deadline(d) <= now; turn++) {
        assert_true(turn < DCUTR_PEERS_MAX);
        forget();
        dcutr_ops.tick(d, now, &out);
        assert_in_range(count(ACT_OPEN, 0), 1, DCUTR_PEERS_MAX / 4);
        asked += count(ACT_OPEN, 0);
    }
    assert_int_equal(asked, DCUTR_PEERS_MAX);
}

static void silence_ends_each_state(void **state)
{
    (void)state;
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    pass(DCUTR_TIMEOUT_NS);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_ETIMEOUT);
    stream_event(EV_STREAM_OPEN, true, LINK_RELAYED);
    forget();
    pass(DCUTR_TIMEOUT_NS);
    assert_int_equal(last(ACT_UP, DCUTR_UP_DONE)->err, QUDAG_ETIMEOUT);
    assert_int_equal(count(ACT_RESET, 0), 1);
}

static void peers_that_are_remembered_make_room_and_others_do_not(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= DCUTR_PEERS_MAX; i++) {
        uint8_t pk[32] = {(uint8_t)(i + 10)};
        struct peer_id p;
        peer_id_from_ed25519(&p, pk);
        assert_int_equal(dcutr_begin(d, &p, false, now, &out),
                         i < DCUTR_PEERS_MAX ? QUDAG_OK : QUDAG_ELIMIT);
    }
    uint8_t pk[32] = {10};
    struct peer_id first;
    peer_id_from_ed25519(&first, pk);
    dcutr_linked(d, &first, now, &out);
    assert_int_equal(dcutr_begin(d, &peer, false, now, &out), QUDAG_OK);
    struct dcutr_look l;
    assert_false(dcutr_look(d, &first, &l));
}

static void which_addresses_are_taken(void **state)
{
    static const struct {
        const char *text;
        bool takes, lab;
    } t[] = {
        {"/ip4/8.8.8.8/udp/4001/quic-v1", true, true},
        {"/ip4/8.8.8.8/tcp/4001", true, true},
        {"/ip6/2a00::1/udp/4001/quic-v1", true, true},
        {"/ip4/8.8.8.8/udp/0/quic-v1", false, false},
        {"/ip4/127.0.0.1/udp/4001/quic-v1", false, true},
        {"/ip4/192.168.1.2/udp/4001/quic-v1", false, true},
        {"/ip4/100.64.0.1/udp/4001/quic-v1", false, true},
        {"/ip6/fd00::1/udp/4001/quic-v1", false, true},
        {"/ip6/fe80::1/udp/4001/quic-v1", false, true},
        {"/ip4/224.0.0.1/udp/4001/quic-v1", false, false},
        {"/ip4/255.255.255.255/udp/4001/quic-v1", false, false},
        {"/ip4/0.0.0.0/udp/4001/quic-v1", false, false},
        {"/ip6/ff02::1/udp/4001/quic-v1", false, false},
        {"/ip6/::ffff:8.8.8.8/udp/4001/quic-v1", true, true}, /* the IPv4 address */
        {"/ip6/::ffff:127.0.0.1/udp/4001/quic-v1", false, true},
        {"/dns4/example.com/udp/4001/quic-v1", false, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct multiaddr a;
        if (multiaddr_parse(&a, t[i].text) == QUDAG_OK) {
            assert_int_equal(dcutr_rule_addr(&a, false), t[i].takes);
            assert_int_equal(dcutr_rule_addr(&a, true), t[i].lab);
        }
    }
}

static void our_own_address_and_the_same_twice_are_dropped(void **state)
{
    struct dcutr_msg ours = {.n_addrs = 1}, m = {.n_addrs = 4};
    (void)state;

    ours.addr[0] = addr("/ip4/9.9.9.9/udp/4001/quic-v1");
    m.addr[0] = addr("/ip4/8.8.8.8/udp/4001/quic-v1");
    m.addr[1] = ours.addr[0];
    m.addr[2] = m.addr[0];
    m.addr[3] = addr("/ip4/8.8.8.8/tcp/4001");
    dcutr_rule_take(&m, &ours, false);
    assert_int_equal(m.n_addrs, 2);
    assert_true(multiaddr_eq(&m.addr[1], &(struct multiaddr){0}) ||
                multiaddr_to_tcp(&m.addr[1], &(struct netaddr){0}));
}

static void
packets_are_neither_stun_nor_quic_and_come_in_ten_to_two_hundred_milliseconds(void **state)
{
    uint8_t random[1 + DCUTR_PACKET_MOST];
    struct dcutr_packet p;
    (void)state;

    for (unsigned i = 0; i < 256; i++) {
        memset(random, (int)i, sizeof random);
        dcutr_rule_packet(&p, random);
        assert_in_range(p.bytes[0], 4, 15);
        assert_memory_equal(p.bytes + 1, random + 2, p.len - 1u); /* nothing to know them by */
        assert_in_range(p.len, DCUTR_PACKET_LEAST, DCUTR_PACKET_MOST);
        assert_in_range(dcutr_rule_interval(i * 0x01010101u), 10 * NS_PER_MS, 200 * NS_PER_MS);
    }
    assert_int_equal(dcutr_rule_interval(0), 10 * NS_PER_MS);
    assert_int_equal(dcutr_rule_interval(190000), 200 * NS_PER_MS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_host_gets_few_packets_whoever_names_it),
        T(a_host_is_dialled_seldom_whoever_names_it),
        T(b_measures_the_round_trip_and_sends_after_half_of_it),
        T(b_tells_no_private_address_of_its_own),
        T(what_is_told_is_what_there_is_now),
        T(b_tries_three_times_dials_in_the_last_and_then_not_for_a_while),
        T(in_another_network_what_failed_is_begun_at_once),
        T(b_dials_a_peer_that_shows_a_public_address_before_it_asks),
        T(a_dial_that_nobody_answers_is_waited_for_a_while),
        T(b_needs_nothing_where_a_direct_link_stands_already),
        T(a_tells_its_addresses_only_when_it_may_and_dials_on_sync),
        T(who_knows_no_address_of_its_own_asks_nobody_and_answers_nobody),
        T(a_slow_peer_is_waited_for_at_each_message),
        T(a_ends_the_stream_once_all_is_said),
        T(who_ends_the_stream_before_it_has_answered_is_reset),
        T(a_that_may_not_tells_nothing),
        T(only_whom_we_dialled_through_a_relay_may_ask),
        T(a_peer_may_ask_a_few_times_within_two_minutes),
        T(a_message_out_of_turn_ends_it),
        T(more_than_a_message_at_once_ends_it),
        T(what_comes_with_sync_ends_it),
        T(many_that_are_due_have_their_turn_one_after_the_other),
        T(silence_ends_each_state),
        T(peers_that_are_remembered_make_room_and_others_do_not),
        cmocka_unit_test(which_addresses_are_taken),
        cmocka_unit_test(our_own_address_and_the_same_twice_are_dropped),
        cmocka_unit_test(
            packets_are_neither_stun_nor_quic_and_come_in_ten_to_two_hundred_milliseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
