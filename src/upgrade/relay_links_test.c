/* relay_links_test.c - links over byte streams through a relay, the host being the test: dials, ends, limits, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "upgrade/relay_links.h"

#include <string.h>

#define START (1000 * NS_PER_S)

static struct side {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct peer_id peer;
    struct sec *sec;
    struct relay_links *r;
    struct ref up, down;
    unsigned ups, downs;
    qudag_err err;
    const char *text;
} a, b;

static struct multiaddr relay, to_b; /* where the relay is; B through it */
static struct peer_id relay_id;
static tstamp now;

static int side_make(struct side *s, uint8_t seed)
{
    uint8_t bytes[32] = {seed};

    memset(s, 0, sizeof(*s));
    mem_init(&s->mem, NULL, 0);
    rng_stream_init(&s->stream, bytes);
    s->rng = rng_of_stream(&s->stream);
    if (identity_generate(&s->id, &s->rng) != QUDAG_OK) {
        return -1;
    }
    peer_id_from_ed25519(&s->peer, s->id.ed_pk);
    const struct sec_config sec = {.mem = &s->mem,
                                   .rng = &s->rng,
                                   .identity = &s->id,
                                   .pq = PQ_REQUIRE,
                                   .level = 768,
                                   .clock = {.base = 1800000000, .at = START}};
    if (sec_new(&s->sec, &sec) != QUDAG_OK) {
        return -1;
    }
    struct upgrade_config cfg = {
        .mem = &s->mem, .rng = s->rng, .sec = s->sec, .identity = &s->id, .pq = PQ_REQUIRE};
    return relay_links_new(&s->r, &cfg, now) == QUDAG_OK ? 0 : -1;
}

static int setup(void **state)
{
    struct netaddr at = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};
    uint8_t pk[32] = {9};

    (void)state;
    now = START;
    peer_id_from_ed25519(&relay_id, pk);
    multiaddr_quic(&relay, &at, &relay_id);
    bool ok = crypto_init() == QUDAG_OK && multiaddr_circuit(&to_b, &relay);
    return ok && side_make(&a, 1) == 0 && side_make(&b, 2) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct side *v[] = {&a, &b};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        relay_links_free(v[i]->r);
        sec_free(v[i]->sec);
        identity_fini(&v[i]->id);
    }
    return a.mem.used == 0 && b.mem.used == 0 ? 0 : -1;
}

static struct ref dial_b(const struct peer_id *peer)
{
    struct transport_target t = {.addr = &to_b, .peer = peer, .need = LINK_PQ_KEX | LINK_PQ_AUTH};
    struct ref link = {0, 0};

    assert_int_equal(relay_links_transport.dial(a.r, &t, now, &link), QUDAG_OK);
    return link;
}

static struct relay_links_action action(struct side *s, enum relay_links_type type)
{
    struct relay_links_action x;

    assert_true(relay_links_next_action(s->r, &x, now));
    assert_int_equal(x.type, type);
    return x;
}

static void events(struct side *s)
{
    struct link_ev ev;

    while (relay_links_next_event(s->r, &ev)) {
        if (ev.type == LINK_UP) {
            s->ups++;
            s->up = ev.link;
        } else if (ev.type == LINK_DOWN) {
            s->downs++;
            s->down = ev.link;
            s->err = ev.err;
            s->text = ev.text;
        }
    }
}

/* The words of the byte stream: 1 at A, 2 at B.  What each side has to say goes to the other. */
static void run(void)
{
    struct side *v[] = {&a, &b};
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < 2; i++) {
            struct relay_links_action x;
            uint8_t buf[777];
            while (relay_links_next_action(v[i]->r, &x, now)) {
                size_t n;
                more = true;
                while (x.type == RELAY_LINKS_OUTPUT &&
                       (n = relay_links_output(v[i]->r, x.stream, buf, sizeof(buf), now)) > 0) {
                    relay_links_received(v[1 - i]->r, 2 - i, (struct slice){buf, n}, now);
                }
                if (x.type == RELAY_LINKS_CLOSE || x.type == RELAY_LINKS_ABORT) {
                    relay_links_ended(v[1 - i]->r, 2 - i,
                                      x.type == RELAY_LINKS_CLOSE ? QUDAG_OK : QUDAG_ERESET, now);
                }
            }
            events(v[i]);
        }
    }
}

static void joined(bool limited)
{
    struct relay_links_stream at_a = {.stream = 1, .limited = limited},
                              at_b = {.stream = 2, .limited = limited, .relay = relay, .net = 5};

    (void)dial_b(&b.peer);
    struct relay_links_action x = action(&a, RELAY_LINKS_CONNECT);
    assert_true(peer_id_eq(&x.peer, &b.peer) && multiaddr_eq(&x.relay, &relay));
    assert_true(relay_links_connected(a.r, x.id, &at_a));
    assert_int_equal(relay_links_accepted(b.r, &at_b, now), QUDAG_OK);
    run();
    assert_true(a.ups == 1 && b.ups == 1 && a.downs + b.downs == 0);
}

static void links_are_relayed_post_quantum_and_limited_where_the_relay_says_so(void **state)
{
    (void)state;
    for (unsigned limited = 0; limited < 2; limited++) {
        struct link_info at_a, at_b;
        joined(limited != 0);
        assert_int_equal(relay_links_transport.info(a.r, a.up, &at_a), QUDAG_OK);
        assert_int_equal(relay_links_transport.info(b.r, b.up, &at_b), QUDAG_OK);
        uint8_t want = LINK_RELAYED | (limited != 0 ? LINK_LIMITED : 0);
        uint8_t proven = LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG;
        assert_int_equal(at_a.props, want | proven);
        assert_int_equal(at_b.props, want | proven | LINK_INBOUND);
        assert_true(peer_id_eq(&at_a.peer, &b.peer) && peer_id_eq(&at_b.peer, &a.peer));
        assert_true(multiaddr_eq(&at_a.remote, &to_b) && multiaddr_eq(&at_b.remote, &to_b));
        assert_int_equal(at_b.net, 5);
        struct netaddr where;
        assert_true(multiaddr_endpoint(&relay, &where));
        assert_int_equal(at_a.net, netaddr_group(&where)); /* in whose share a dial counts */
        relay_links_transport.ops->close(a.r, a.up, QUDAG_OK);
        run();
        assert_true(b.downs == 1);
        a.ups = b.ups = a.downs = b.downs = 0;
    }
}

static void only_addresses_through_a_relay_to_somebody_are_dialled(void **state)
{
    struct netaddr at = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};
    struct transport_target t = {.addr = &to_b};
    struct multiaddr direct;
    struct ref link;

    (void)state;
    multiaddr_quic(&direct, &at, &relay_id);
    assert_true(relay_links_transport.handles(a.r, &to_b));
    assert_false(relay_links_transport.handles(a.r, &direct));
    assert_int_equal(relay_links_transport.dial(a.r, &t, now, &link), QUDAG_EINVAL); /* to whom? */
    t.peer = &relay_id;
    assert_int_equal(relay_links_transport.dial(a.r, &t, now, &link), QUDAG_EINVAL);
    t.addr = &direct;
    assert_int_equal(relay_links_transport.dial(a.r, &t, now, &link), QUDAG_EUNSUPPORTED);
}

static void a_dial_that_fails_or_is_given_up_is_over_once(void **state)
{
    struct relay_links_stream at_a = {.stream = 1};
    struct relay_links_action x;

    (void)state;
    (void)dial_b(&b.peer);
    x = action(&a, RELAY_LINKS_CONNECT);
    relay_links_failed(a.r, x.id, QUDAG_EUNREACHABLE, now);
    events(&a);
    assert_true(a.downs == 1 && a.err == QUDAG_EUNREACHABLE);
    assert_false(relay_links_connected(a.r, x.id, &at_a)); /* late: the host ends it */

    struct ref link = dial_b(&b.peer); /* given up before the host heard of it */
    assert_true(relay_links_transport.cancel(a.r, link));
    assert_false(relay_links_next_action(a.r, &x, now));
    link = dial_b(&b.peer); /* and after */
    uint64_t id = action(&a, RELAY_LINKS_CONNECT).id;
    assert_true(relay_links_transport.cancel(a.r, link));
    assert_int_equal(action(&a, RELAY_LINKS_GIVE_UP).id, id);
    assert_false(relay_links_connected(a.r, id, &at_a));
    relay_links_failed(a.r, id, QUDAG_ETIMEOUT, now);
    assert_false(relay_links_next_action(a.r, &x, now));
}

static void names_of_another_state_are_void(void **state)
{
    struct relay_links_stream s = {.stream = 1};
    struct relay_links_action x;
    struct ref link[2];
    uint64_t id[2];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        link[i] = dial_b(&b.peer);
        id[i] = action(&a, RELAY_LINKS_CONNECT).id;
    }
    for (size_t i = 0; i < 2; i++) {
        assert_true(relay_links_transport.cancel(a.r, link[i]));
    }
    assert_int_equal(action(&a, RELAY_LINKS_GIVE_UP).id, id[0]);
    assert_false(relay_links_connected(a.r, id[1], &s)); /* that one is about to be given up */
    assert_int_equal(action(&a, RELAY_LINKS_GIVE_UP).id, id[1]);

    (void)dial_b(&b.peer);
    x = action(&a, RELAY_LINKS_CONNECT);
    assert_true(relay_links_connected(a.r, x.id, &s));
    events(&a);
    a.downs = 0;
    relay_links_failed(a.r, x.id, QUDAG_ETIMEOUT, now); /* it stands */
    events(&a);
    assert_int_equal(a.downs, 0);
}

static void who_answers_must_be_whom_the_dial_is_for(void **state)
{
    struct relay_links_stream at_a = {.stream = 1}, at_b = {.stream = 2, .relay = relay};

    (void)state;
    (void)dial_b(&a.peer); /* the relay leads it to B instead */
    uint64_t id = action(&a, RELAY_LINKS_CONNECT).id;
    assert_true(relay_links_connected(a.r, id, &at_a));
    assert_int_equal(relay_links_accepted(b.r, &at_b, now), QUDAG_OK);
    run();
    assert_true(a.ups == 0 && a.downs == 1 && a.err == QUDAG_EAUTH);
}

static void the_end_of_the_byte_stream_is_the_links(void **state)
{
    (void)state;
    joined(true);
    relay_links_ended(a.r, 1, QUDAG_ELIMIT, now);
    relay_links_ended(b.r, 2, QUDAG_ERESET, now);
    run();
    assert_true(a.downs == 1 && a.err == QUDAG_ELIMIT);
    assert_true(b.downs == 1 && b.err == QUDAG_ERESET);
    assert_non_null(strstr(a.text, "limit")); /* the log says which of the two it was */
    assert_non_null(strstr(b.text, "broke"));
    relay_links_ended(a.r, 1, QUDAG_ELIMIT, now); /* void names do nothing */
    relay_links_received(a.r, 1, (struct slice){(const uint8_t *)"x", 1}, now);
    relay_links_room(a.r, 1);
    struct relay_links_action x;
    assert_false(relay_links_next_action(a.r, &x, now));
}

static void what_nobody_takes_at_the_end_is_aborted(void **state)
{
    struct relay_links_stats s;
    struct relay_links_action x;

    (void)state;
    joined(false);
    relay_links_shutdown(a.r, now);
    assert_int_equal(action(&a, RELAY_LINKS_OUTPUT).stream, 1);
    assert_false(relay_links_next_action(a.r, &x, now)); /* the host has no room */
    assert_true(relay_links_deadline(a.r) <= now + RELAY_LINKS_LINGER);
    now += RELAY_LINKS_LINGER;
    relay_links_tick(a.r, now);
    assert_int_equal(action(&a, RELAY_LINKS_ABORT).stream, 1);
    relay_links_stats_get(a.r, &s);
    assert_int_equal(s.streams, 0);
    struct transport_target t = {.addr = &to_b, .peer = &b.peer};
    struct ref link;
    assert_int_equal(relay_links_transport.dial(a.r, &t, now, &link), QUDAG_ELIMIT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(links_are_relayed_post_quantum_and_limited_where_the_relay_says_so),
        T(only_addresses_through_a_relay_to_somebody_are_dialled),
        T(a_dial_that_fails_or_is_given_up_is_over_once),
        T(names_of_another_state_are_void),
        T(who_answers_must_be_whom_the_dial_is_for),
        T(the_end_of_the_byte_stream_is_the_links),
        T(what_nobody_takes_at_the_end_is_aborted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
