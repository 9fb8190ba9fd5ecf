/*
 * relayed_test.c - links through a circuit relay, through the public interface: nodes that know each other only by a
 * relay's address, what passes, what ends them, and that nothing runs over them that must not.
 *
 * TEST: timeout=240 waits
 */
#include "net.h"

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

/* R passes bytes on with these limits; B has a place there; A has its address. */
static void begin(uint64_t bytes, qudag_ns time)
{
    struct net_options r = {.client = true, .waiting = false, .circuit_relay = true};
    struct net_options o = {.client = true, .waiting = false};
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
    (void)net_stop_all(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(two_nodes_meet_through_a_relay_and_are_secured_end_to_end,
                                  net_stop_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
