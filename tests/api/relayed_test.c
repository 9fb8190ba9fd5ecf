/*
 * relayed_test.c - links through a circuit relay, through the public interface: nodes that know each other only by a
 * relay's address, what passes, what ends them, and that nothing runs over them that must not.
 *
 * TEST: timeout=240 waits
 */
#include "net.h"

#define NOWHERE "/ip4/127.0.0.9/udp/9/quic-v1" /* what A and B say of themselves: nobody is there */
#define R 0
#define A 1
#define B 2

static char to_b[QUDAG_ADDR_TEXT_MAX]; /* B, through R */

/* A link of |p| with |to| that is up, relayed or direct; false: there is none. */
static bool link_with(const struct peer *p, const struct peer *to, bool relayed,
                      qudag_link_info *out)
{
    const qudag_link_info none = QUDAG_INIT(qudag_link_info);

    *out = none;
    for (size_t it = 0; qudag_link_next(p->node, &it, out);) {
        if (out->state == QUDAG_LINK_UP && out->relayed == relayed &&
            memcmp(&out->peer, &to->self, sizeof(to->self)) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_link(const struct peer *p, const struct peer *to, bool relayed)
{
    qudag_link_info l;

    return link_with(p, to, relayed, &l);
}

static qudag_err dial(struct peer *p, const char *addr)
{
    net_ask(p, qudag_connect(p->node, addr, &p->last));
    return p->err;
}

static bool place_of(const struct peer *p, qudag_place *out)
{
    const qudag_place none = QUDAG_INIT(qudag_place);
    size_t it = 0;

    *out = none;
    return qudag_place_next(p->node, &it, out);
}

static bool has_place(const struct peer *p)
{
    qudag_place place;

    return place_of(p, &place) && place.left > 0 && place.addr[0] != 0;
}

static void say(size_t from, size_t to, const char *text)
{
    struct peer *p = &net[from];

    p->back_len = net[to].got_len = 0;
    p->opened = p->closed = false;
    p->say = text;
    assert_int_equal(qudag_stream_open(p->node, &net[to].self, NET_ECHO, &p->ours), QUDAG_OK);
    NET_WAIT(p->closed, NET_SOON);
    assert_int_equal(p->closed_why, QUDAG_OK);
    assert_int_equal(p->back_len, strlen(text));
    assert_memory_equal(p->back, text, p->back_len);
}

static int end_of_test(void **state)
{
    net_taker = NULL;
    return net_stop_all(state);
}

/* R passes bytes on with these limits; B has a place there; A has its address. */
static void begin(uint64_t bytes, qudag_ns time)
{
    struct net_options r = {.client = true, .circuit_relay = true};
    struct net_options o = {.client = true, .announce = NOWHERE};
    qudag_place place;

    r.circuit_relay_bytes = bytes;
    r.circuit_relay_time = time;
    net_start(R, &r);
    o.bootstrap[0] = net[R].addr;
    o.n_bootstrap = 1;
    net_start(B, &o);
    net_start(A, &o);
    assert_int_equal(qudag_relay_reserve(net[B].node, net[R].addr), QUDAG_OK);
    NET_WAIT(has_place(&net[B]), NET_SOON);
    assert_true(place_of(&net[B], &place));
    assert_int_equal(place.limit_bytes, bytes);
    assert_int_equal(place.limit_time, time);
    memcpy(to_b, place.addr, sizeof(to_b));
    assert_non_null(strstr(to_b, "/p2p-circuit/p2p/"));
    assert_non_null(strstr(to_b, net[B].self_text));
}

static void two_nodes_meet_through_a_relay_and_are_secured_end_to_end(void **state)
{
    qudag_link_info l;
    (void)state;

    begin(0, 0);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    for (size_t i = 0; i < 2; i++) {
        const struct peer *from = &net[i == 0 ? A : B], *to = &net[i == 0 ? B : A];
        NET_WAIT(has_link(from, to, true), NET_SOON);
        assert_true(link_with(from, to, true, &l));
        assert_string_equal(l.transport, "relay");
        assert_string_equal(l.security, "tls");
        assert_string_equal(l.group, "X25519MLKEM768");
        assert_string_equal(l.sig_local, "mldsa65");
        assert_string_equal(l.sig_remote, "mldsa65");
        assert_true(l.pq_kex && l.pq_auth && l.relayed && !l.limited);
        assert_int_equal(l.inbound, i == 1);
        assert_memory_equal(&l.relay, &net[R].self, sizeof(l.relay));
    }
    say(A, B, "through a relay");
    say(B, A, "and back");
    net_ask(&net[A], qudag_ping(net[A].node, &net[B].self, &net[A].last));
    assert_int_equal(net[A].err, QUDAG_OK);
    assert_int_equal(net_stat(&net[R], "circuit_relay_circuits"), 1);
    qudag_relay_circuit c = QUDAG_INIT(qudag_relay_circuit);
    size_t it = 0;
    assert_true(qudag_relay_circuit_next(net[R].node, &it, &c));
    assert_memory_equal(&c.from, &net[A].self, sizeof(c.from));
    assert_memory_equal(&c.to, &net[B].self, sizeof(c.to));
    assert_true(c.sent > 1000 && c.got > 1000 && c.limit_bytes == 0 && c.age > 0);
    assert_false(qudag_relay_circuit_next(net[R].node, &it, &c));
    assert_false(qudag_relay_circuit_next(NULL, &it, &c));
}

/* ---- bytes ---- */

#define BULK "/test/bulk/1.0.0"

/* What went over the one stream of BULK; byte k is k * 31 / 7. */
static struct {
    qudag_stream out, in;
    size_t to_send, sent, got, taken;
    bool open, wrong, fin, closed_out, closed_in;
    qudag_err why_out, why_in;
} bulk;

static uint8_t byte_at(size_t k)
{
    return (uint8_t)((k * 31 / 7) & 0xff);
}

static void push(void)
{
    static uint8_t chunk[65536];

    while (bulk.open && !bulk.closed_out && bulk.sent < bulk.to_send) {
        size_t n = bulk.to_send - bulk.sent, taken = 0;
        n = n < sizeof(chunk) ? n : sizeof(chunk);
        for (size_t i = 0; i < n; i++) {
            chunk[i] = byte_at(bulk.sent + i);
        }
        qudag_err err = qudag_stream_write(net[A].node, bulk.out, (qudag_slice){chunk, n}, &taken);
        bulk.sent += taken;
        if (err != QUDAG_OK || taken < n) {
            return;
        }
    }
}

static bool bulk_in(struct peer *p, qudag_stream s, const char *proto)
{
    (void)p;
    if (strcmp(proto, BULK) == 0) {
        bulk.in = s;
    }
    return strcmp(proto, BULK) == 0;
}

static bool bulk_data(struct peer *p, qudag_stream s, qudag_slice data, bool fin)
{
    if (p != &net[B] || s.id != bulk.in.id) {
        return false;
    }
    for (size_t i = 0; i < data.len; i++) {
        bulk.wrong = bulk.wrong || data.base[i] != byte_at(bulk.got + i);
    }
    bulk.got += data.len;
    bulk.fin = bulk.fin || fin;
    qudag_stream_consume(p->node, s, data.len);
    return true;
}

static bool bulk_closed(struct peer *p, qudag_stream s, qudag_err why)
{
    if (p == &net[A] && s.id == bulk.out.id) {
        bulk.closed_out = true;
        bulk.why_out = why;
        return true;
    }
    if (p == &net[B] && s.id == bulk.in.id) {
        bulk.closed_in = true;
        bulk.why_in = why;
        return true;
    }
    return false;
}

static bool bulk_opened(struct peer *p, qudag_stream s)
{
    bulk.open = bulk.open || (p == &net[A] && s.id == bulk.out.id);
    return p == &net[A] && s.id == bulk.out.id;
}

static const struct net_taker bulk_taker = {bulk_in, bulk_opened, bulk_data, bulk_closed};

static void bulk_begin(size_t bytes)
{
    memset(&bulk, 0, sizeof(bulk));
    bulk.to_send = bytes;
    net_taker = &bulk_taker;
    assert_int_equal(qudag_protocol_serve(net[B].node, BULK), QUDAG_OK);
    assert_int_equal(qudag_stream_open(net[A].node, &net[B].self, BULK, &bulk.out), QUDAG_OK);
}

static bool bulk_moves(void)
{
    push();
    return bulk.got >= bulk.to_send || bulk.closed_out;
}

static void ten_megabytes_pass_whole_and_in_order(void **state)
{
    (void)state;

    begin(0, 0);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    bulk_begin((size_t)10 * 1024 * 1024);
    NET_WAIT(bulk_moves(), 4 * NET_SOON);
    assert_false(bulk.closed_out);
    assert_int_equal(bulk.got, bulk.to_send);
    assert_false(bulk.wrong);
    assert_true(net_stat(&net[R], "circuit_relay_bytes") > bulk.to_send);
    say(B, A, "after all that");
}

/* ---- limits ---- */

static void a_limited_link_carries_only_what_says_it_may(void **state)
{
    qudag_link_info l;
    (void)state;

    begin(100000, 600 * QUDAG_S);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    NET_WAIT(has_link(&net[B], &net[A], true), NET_SOON);
    assert_true(link_with(&net[A], &net[B], true, &l) && l.limited);
    assert_true(link_with(&net[B], &net[A], true, &l) && l.limited); /* told to both */
    net_ask(&net[A], qudag_ping(net[A].node, &net[B].self, &net[A].last));
    assert_int_equal(net[A].err, QUDAG_OK); /* ping may */
    net[A].opened = net[A].closed = false;
    assert_int_equal(qudag_stream_open(net[A].node, &net[B].self, NET_ECHO, &net[A].ours),
                     QUDAG_OK);
    NET_WAIT(net[A].closed, 2 * NET_SOON);
    assert_false(net[A].opened); /* a program's protocol may not */
    assert_int_equal(net[A].closed_why, QUDAG_EPOLICY);
    assert_int_equal(qudag_protocol_allow_limited(net[A].node, NET_ECHO), QUDAG_OK);
    net[A].opened = net[A].closed = false; /* nor now: B does not say so */
    net[A].say = "now?";
    net[A].back_len = 0;
    assert_int_equal(qudag_stream_open(net[A].node, &net[B].self, NET_ECHO, &net[A].ours),
                     QUDAG_OK);
    NET_WAIT(net[A].closed, NET_SOON);
    assert_int_not_equal(net[A].closed_why, QUDAG_OK);
    assert_int_equal(qudag_protocol_allow_limited(net[B].node, NET_ECHO), QUDAG_OK);
    say(A, B, "now both do");
}

static void a_limit_that_is_reached_ends_the_link_at_both_and_both_know_it(void **state)
{
    (void)state;

    begin(300000, 0);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    for (size_t i = A; i <= B; i++) {
        assert_int_equal(qudag_protocol_allow_limited(net[i].node, BULK), QUDAG_OK);
    }
    bulk_begin((size_t)1 << 20);
    NET_WAIT((bulk_moves(), bulk.closed_out && bulk.closed_in), NET_SOON);
    assert_int_equal(bulk.why_out, QUDAG_ELIMIT);
    assert_int_equal(bulk.why_in, QUDAG_ELIMIT);
    assert_true(bulk.got < 300000 && !bulk.wrong);
    NET_WAIT(!has_link(&net[A], &net[B], true) && !has_link(&net[B], &net[A], true), NET_SOON);
    assert_int_equal(net_stat(&net[R], "circuit_relay_limited"), 1);
    assert_true(has_place(&net[B])); /* which stays */
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
}

static void a_limit_of_time_ends_the_link(void **state)
{
    (void)state;

    begin(0, 2 * QUDAG_S);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    NET_WAIT(has_link(&net[B], &net[A], true), NET_SOON);
    NET_WAIT(!has_link(&net[A], &net[B], true) && !has_link(&net[B], &net[A], true), NET_SOON);
    assert_int_equal(net_stat(&net[R], "circuit_relay_limited"), 1);
}

/* ---- relays that go, links that come ---- */

static void the_death_of_a_relay_ends_what_it_carried(void **state)
{
    (void)state;

    begin(0, 0);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    NET_WAIT(has_link(&net[B], &net[A], true), NET_SOON);
    net_stop(R);
    NET_WAIT(!has_link(&net[A], &net[B], true) && !has_link(&net[B], &net[A], true), NET_SOON);
    NET_WAIT(!has_place(&net[B]), NET_SOON);
}

static void a_direct_link_takes_over(void **state)
{
    qudag_link_info l;
    (void)state;

    begin(0, 0);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    say(A, B, "relayed");
    NET_WAIT(has_link(&net[B], &net[A], true), NET_SOON);
    uint64_t before = net_stat(&net[R], "circuit_relay_bytes");
    assert_true(before > 0);
    assert_int_equal(dial(&net[A], net[B].addr), QUDAG_OK);
    NET_WAIT(has_link(&net[A], &net[B], false) && has_link(&net[B], &net[A], false), NET_SOON);
    assert_true(link_with(&net[A], &net[B], true, &l)); /* both for a while */
    static char text[4000];
    memset(text, 'd', sizeof(text) - 1);
    before = net_stat(&net[R], "circuit_relay_bytes");
    say(A, B, text);
    say(B, A, text);
    assert_true(net_stat(&net[R], "circuit_relay_bytes") < before + 2000);
    NET_WAIT(!has_link(&net[A], &net[B], true) && !has_link(&net[B], &net[A], true), 60);
    assert_true(has_link(&net[A], &net[B], false));
}

static void who_has_no_place_or_is_gone_is_not_reached(void **state)
{
    char addr[2 * QUDAG_ADDR_TEXT_MAX], self[QUDAG_ADDR_TEXT_MAX];
    (void)state;

    begin(0, 0);
    snprintf(addr, sizeof(addr), "%s/p2p-circuit/p2p/%s", net[R].addr, net[A].self_text);
    assert_int_equal(dial(&net[B], addr), QUDAG_EUNREACHABLE); /* A asked for none */
    snprintf(self, sizeof(self), "%.300s/p2p-circuit", net[R].addr);
    qudag_op op;
    assert_int_equal(qudag_connect(net[A].node, self, &op), QUDAG_EINVAL); /* to nobody */
    assert_int_equal(qudag_relay_release(net[B].node, &net[R].self), QUDAG_OK);
    assert_int_equal(qudag_relay_release(net[B].node, &net[R].self), QUDAG_ENOTFOUND);
    net_stop(B);
    NET_WAIT(net_stat(&net[R], "circuit_relay_places") == 0, NET_SOON);
    assert_int_equal(dial(&net[A], to_b), QUDAG_EUNREACHABLE);
    assert_true(net_stat(&net[R], "circuit_relay_refused_absent") >= 2);
}

/* The identity until then is freed: the relay must sign with what took its place. */
static void a_relay_with_another_key_keeps_places_as_before(void **state)
{
    uint8_t statement[QUDAG_SUCCESSION_LEN];
    qudag_identity *next;
    (void)state;

    begin(0, 0);
    assert_int_equal(qudag_identity_rotate(net[R].id, 1, &next, statement), QUDAG_OK);
    assert_int_equal(qudag_node_rekey(net[R].node, next, statement), QUDAG_OK);
    qudag_identity_free(net[R].id);
    net[R].id = next;
    assert_int_equal(qudag_relay_reserve(net[A].node, net[R].addr), QUDAG_OK);
    NET_WAIT(has_place(&net[A]), NET_SOON);
    assert_int_equal(dial(&net[A], to_b), QUDAG_OK);
    say(A, B, "through the same relay");
}

static void a_node_is_no_relay_unless_it_says_so(void **state)
{
    const struct net_options o = {.client = true, .waiting = true};
    qudag_place place;
    (void)state;

    net_start(R, &o);
    net_start(B, &(struct net_options){.client = true});
    assert_int_equal(qudag_relay_reserve(net[B].node, net[R].addr), QUDAG_OK);
    NET_WAIT(place_of(&net[B], &place) && place.failures > 0, NET_SOON);
    assert_int_equal(place.left, 0);
    assert_int_not_equal(place.err, QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(two_nodes_meet_through_a_relay_and_are_secured_end_to_end,
                                  end_of_test),
        cmocka_unit_test_teardown(ten_megabytes_pass_whole_and_in_order, end_of_test),
        cmocka_unit_test_teardown(a_limited_link_carries_only_what_says_it_may, end_of_test),
        cmocka_unit_test_teardown(a_limit_that_is_reached_ends_the_link_at_both_and_both_know_it,
                                  end_of_test),
        cmocka_unit_test_teardown(a_limit_of_time_ends_the_link, end_of_test),
        cmocka_unit_test_teardown(the_death_of_a_relay_ends_what_it_carried, end_of_test),
        cmocka_unit_test_teardown(a_direct_link_takes_over, end_of_test),
        cmocka_unit_test_teardown(who_has_no_place_or_is_gone_is_not_reached, end_of_test),
        cmocka_unit_test_teardown(a_relay_with_another_key_keeps_places_as_before, end_of_test),
        cmocka_unit_test_teardown(a_node_is_no_relay_unless_it_says_so, end_of_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
