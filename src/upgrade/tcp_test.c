/*
 * tcp_test.c - connections and their ends, with a host in memory: what it is told to do, in which order, and what
 * becomes of a link when the host says that something has failed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "upgrade/tcp.h"
#include "upgrade/testkit.h"

#define CARRY 20 /* bytes that the host takes at once */

/* One side: a transport, and the last of everything that it said. */
struct side {
    struct up_side keys; /* of the testkit; its upgrade is not used */
    struct tcp *t;
    uint64_t id; /* of its one connection, 0: none, or it is closed */
    struct netaddr at;
    unsigned connects, closes, aborts, ups, downs;
    qudag_err down;
    struct ref link;
    uint64_t bytes;
    int64_t sid;
    bool stuck; /* the host takes no output */
};

static struct {
    struct side a, b;
    tstamp now;
    bool refuse; /* nobody listens */
    bool hold;   /* connections take for ever */
    bool with_load;
    struct load load;
    struct mem mem; /* of |load| */
} w;

static struct netaddr at(uint8_t host, uint16_t port)
{
    return (struct netaddr){.family = 4, .ip = {198, 51, 100, host}, .port = port};
}

static void make(struct side *s, uint8_t seed, enum pq_policy pq)
{
    struct up_pair pair = {.now = w.now};
    const struct up_opt o = {.pq = pq};

    up_make_side(&pair, &s->keys, seed, &o);
    s->keys.pair = NULL;
    const struct upgrade_config cfg = {.mem = &s->keys.mem,
                                       .rng = s->keys.rng,
                                       .sec = s->keys.sec,
                                       .identity = &s->keys.id,
                                       .pq = pq,
                                       .load = w.with_load ? &w.load : NULL,
                                       .links_max = 256};
    assert_int_equal(tcp_new(&s->t, &cfg, w.now), QUDAG_OK);
    s->at = at(seed, 4001);
}

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.now = UP_START;
    make(&w.a, 1, PQ_REQUIRE);
    make(&w.b, 2, PQ_REQUIRE);
    return 0;
}

static int set_up_with_load(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.now = UP_START;
    w.with_load = true;
    mem_init(&w.mem, NULL, 0);
    load_init(&w.load, &w.mem, (const uint8_t[16]){1});
    make(&w.a, 1, PQ_REQUIRE);
    make(&w.b, 2, PQ_REQUIRE);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    tcp_free(w.a.t);
    tcp_free(w.b.t);
    if (w.with_load) {
        load_fini(&w.load);
    }
    up_unmake_side(&w.a.keys);
    up_unmake_side(&w.b.keys);
    return 0;
}

static struct side *other(const struct side *s)
{
    return s == &w.a ? &w.b : &w.a;
}

static void note(struct side *s, const struct link_ev *ev)
{
    s->link = ev->type == LINK_UP ? ev->link : s->link;
    s->ups += ev->type == LINK_UP;
    s->downs += ev->type == LINK_DOWN;
    s->down = ev->type == LINK_DOWN ? ev->err : s->down;
    s->sid = ev->type == LINK_STREAM ? ev->sid : s->sid;
    if (ev->type == LINK_DATA) {
        s->bytes += ev->data.len;
        tcp_transport.ops->consume(s->t, ev->link, ev->sid, ev->data.len);
    }
}

static bool events(struct side *s)
{
    struct link_ev ev;
    bool any = false;

    while (tcp_next_event(s->t, &ev)) {
        any = true;
        note(s, &ev);
    }
    return any;
}

static void connect_to(struct side *s, const struct tcp_action *act)
{
    struct side *o = other(s);
    struct netaddr from = at(s == &w.a ? 1 : 2, 50000);

    s->connects++;
    s->id = act->id;
    if (w.hold) {
        return;
    }
    if (w.refuse || tcp_accepted(o->t, &o->at, &from, w.now, &o->id) != QUDAG_OK) {
        tcp_failed(s->t, act->id, QUDAG_EUNREACHABLE, w.now);
        s->id = 0;
        return;
    }
    tcp_connected(s->t, act->id, &from);
}

static void put_through(struct side *s)
{
    struct side *o = other(s);
    uint8_t buf[CARRY];
    size_t n;

    while (!s->stuck && (n = tcp_output(s->t, s->id, buf, sizeof(buf), w.now)) > 0) {
        tcp_received(o->t, o->id, (struct slice){buf, n}, w.now);
        (void)events(o);
    }
}

static bool act(struct side *s)
{
    struct side *o = other(s);
    struct tcp_action a;
    bool any = false;

    while (tcp_next_action(s->t, &a, w.now)) {
        any = true;
        if (a.type == TCP_DO_CONNECT) {
            connect_to(s, &a);
            continue;
        }
        assert_int_equal(a.id, s->id);
        if (a.type == TCP_DO_OUTPUT) {
            put_through(s);
            continue;
        }
        s->closes += a.type == TCP_DO_CLOSE;
        s->aborts += a.type == TCP_DO_ABORT;
        s->id = 0;
        if (o->id != 0) {
            tcp_ended(o->t, o->id, a.type == TCP_DO_CLOSE ? QUDAG_OK : QUDAG_ERESET, w.now);
            o->id = 0;
        }
    }
    return any;
}

static void settle(void)
{
    while ((int)act(&w.a) | (int)act(&w.b) | (int)events(&w.a) | (int)events(&w.b)) {
    }
}

static void run_until(tstamp until)
{
    settle();
    for (;;) {
        tstamp next = tstamp_min(tcp_deadline(w.a.t), tcp_deadline(w.b.t));
        if (next > until) {
            break;
        }
        w.now = next > w.now ? next : w.now;
        tcp_tick(w.a.t, w.now);
        tcp_tick(w.b.t, w.now);
        settle();
    }
    w.now = until;
}

static qudag_err dial_b(struct ref *out)
{
    struct multiaddr to;
    const struct transport_target target = {.addr = &to, .peer = &w.b.keys.peer};

    multiaddr_tcp(&to, &w.b.at, &w.b.keys.peer);
    assert_true(tcp_transport.handles(w.a.t, &to));
    return tcp_transport.dial(w.a.t, &target, w.now, out);
}

static void link_both(void)
{
    struct ref l;

    assert_int_equal(dial_b(&l), QUDAG_OK);
    settle();
    assert_int_equal(w.a.ups, 1);
    assert_int_equal(w.b.ups, 1);
    assert_int_equal(ref_to_u64(w.a.link), ref_to_u64(l)); /* the name that the dial had */
}

static void a_dial_becomes_a_link_with_both_ends_known(void **state)
{
    struct link_info i;
    struct netaddr a;
    int64_t sid;
    (void)state;

    link_both();
    assert_int_equal(tcp_transport.info(w.a.t, w.a.link, &i), QUDAG_OK);
    assert_string_equal(i.security, "tls");
    assert_int_equal(i.props, LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG);
    assert_true(multiaddr_to_tcp(&i.local, &a) && a.port == 50000);
    assert_true(multiaddr_to_tcp(&i.remote, &a) && netaddr_eq(&a, &w.b.at));
    assert_int_equal(tcp_transport.info(w.b.t, w.b.link, &i), QUDAG_OK);
    assert_true(multiaddr_to_tcp(&i.local, &a) && netaddr_eq(&a, &w.b.at));
    assert_true((i.props & LINK_INBOUND) != 0);
    struct netaddr from = at(1, 50000);
    assert_int_equal(i.net, netaddr_group(&from)); /* in whose share it counts */
    assert_int_not_equal(i.net, 0);
    assert_null(tcp_transport.ops->set_unit); /* no cells */
    assert_null(tcp_transport.pad);
    assert_int_equal(tcp_transport.ops->open(w.a.t, w.a.link, 1, "x", &sid), QUDAG_OK);
    assert_int_equal(
        tcp_transport.ops->write(w.a.t, w.a.link, sid, (struct slice){(const uint8_t *)"hello", 5}),
        QUDAG_OK);
    settle();
    assert_int_equal(w.b.bytes, 5);
}

static void a_link_that_is_closed_says_so_and_then_closes_its_connection(void **state)
{
    (void)state;
    link_both();
    tcp_transport.ops->close(w.a.t, w.a.link, QUDAG_OK);
    settle();
    assert_int_equal(w.a.closes, 1);
    assert_int_equal(w.a.aborts, 0);
    assert_int_equal(w.b.downs, 1);
    assert_int_equal(w.b.down, QUDAG_ECLOSED);
    struct tcp_stats s;
    tcp_stats_get(w.a.t, &s);
    assert_int_equal(s.conns, 0);
}

/* The peer's window stays shut. */
static void what_cannot_be_sent_at_the_end_is_given_up_after_a_while(void **state)
{
    (void)state;
    link_both();
    w.a.stuck = true;
    tcp_transport.ops->close(w.a.t, w.a.link, QUDAG_OK);
    tstamp begin = w.now;
    settle();
    tcp_tick(w.a.t, w.now); /* whoever is early */
    settle();
    assert_int_equal(w.a.closes + w.a.aborts, 0);
    run_until(begin + TCP_LINGER - 1);
    assert_int_equal(w.a.closes + w.a.aborts, 0);
    run_until(begin + TCP_LINGER + NS_PER_S);
    assert_int_equal(w.a.aborts, 1);
    assert_int_equal(w.b.down, QUDAG_ERESET);
}

static void a_dial_that_fails_ends_as_the_host_says(void **state)
{
    struct ref l;
    (void)state;

    w.refuse = true;
    assert_int_equal(dial_b(&l), QUDAG_OK);
    settle();
    assert_int_equal(w.a.downs, 1);
    assert_int_equal(w.a.down, QUDAG_EUNREACHABLE);
    assert_int_equal(w.a.closes + w.a.aborts, 0); /* the host knows */
    struct tcp_stats s;
    tcp_stats_get(w.a.t, &s);
    assert_int_equal(s.dials_failed, 1);
    assert_int_equal(s.conns, 0);
}

static void a_dial_nobody_answers_ends_by_time_and_one_may_be_given_up(void **state)
{
    struct ref l;
    (void)state;

    w.hold = true;
    assert_int_equal(dial_b(&l), QUDAG_OK);
    run_until(w.now + 11 * NS_PER_S);
    assert_int_equal(w.a.down, QUDAG_ETIMEOUT);
    assert_int_equal(w.a.aborts, 1);
    assert_int_equal(dial_b(&l), QUDAG_OK);
    settle();
    assert_true(tcp_transport.cancel(w.a.t, l));
    settle();
    assert_int_equal(w.a.aborts, 2);
    /* before the host has heard of it, it hears nothing */
    assert_int_equal(dial_b(&l), QUDAG_OK);
    assert_true(tcp_transport.cancel(w.a.t, l));
    settle();
    assert_int_equal(w.a.aborts, 2);
    assert_int_equal(w.a.connects, 2);
}

/* A host that is wrong about a connection: before it stands no byte of it is taken or given. */
static void before_a_connection_stands_no_byte_passes(void **state)
{
    uint8_t buf[CARRY];
    struct ref l;
    (void)state;

    w.hold = true;
    assert_int_equal(dial_b(&l), QUDAG_OK);
    settle();
    assert_int_equal(w.a.connects, 1);
    assert_int_equal(tcp_output(w.a.t, w.a.id, buf, sizeof(buf), w.now), 0);
    tcp_received(w.a.t, w.a.id, (struct slice){(const uint8_t *)"\1x", 2}, w.now);
    settle();
    assert_int_equal(w.a.downs, 0);
}

static void a_connection_that_breaks_takes_its_link_along(void **state)
{
    (void)state;
    link_both();
    tcp_ended(w.a.t, w.a.id, QUDAG_ERESET, w.now);
    tcp_ended(w.a.t, w.a.id, QUDAG_ERESET, w.now); /* void by now, like these */
    tcp_received(w.a.t, w.a.id, (struct slice){(const uint8_t *)"x", 1}, w.now);
    tcp_failed(w.a.t, w.a.id, QUDAG_ETIMEOUT, w.now);
    w.a.id = 0;
    settle();
    assert_int_equal(w.a.downs, 1);
    assert_int_equal(w.a.down, QUDAG_ERESET);
    assert_int_equal(w.a.closes + w.a.aborts, 0);
}

static void after_the_end_nothing_begins(void **state)
{
    struct netaddr from = at(9, 1);
    struct ref l;
    uint64_t id;
    (void)state;

    link_both();
    tcp_shutdown(w.a.t, w.now);
    settle();
    assert_int_equal(w.a.closes, 1);
    assert_int_equal(dial_b(&l), QUDAG_ELIMIT);
    assert_int_equal(tcp_accepted(w.a.t, &w.a.at, &from, w.now, &id), QUDAG_ELIMIT);
}

/* Whether somebody at |host| of this network, or another, is taken now. */
static bool is_taken(uint8_t net, uint8_t host)
{
    struct netaddr from = {.family = 4, .ip = {10, 0, net, host}, .port = 1};
    uint64_t id;

    qudag_err err = tcp_accepted(w.b.t, &w.b.at, &from, w.now, &id);
    assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
    if (err == QUDAG_OK) { /* it gives up at once */
        tcp_ended(w.b.t, id, QUDAG_ERESET, w.now);
    }
    return err == QUDAG_OK;
}

static uint32_t taken_of(uint32_t n, uint8_t net, uint8_t host)
{
    uint32_t yes = 0;

    while (n-- > 0) {
        yes += is_taken(net, host) ? 1 : 0;
    }
    return yes;
}

/* As with an Initial whose address is proven: many at once, then what the network's share of a processor allows. */
static void those_accepted_pay_for_their_handshakes(void **state)
{
    struct tcp_stats s;
    (void)state;

    uint32_t first = taken_of(1000, 1, 1);
    assert_in_range(first, 200, 202); /* load_rule_net.burst */
    tcp_stats_get(w.b.t, &s);
    assert_int_equal(s.accepted, first);
    assert_int_equal(s.refused, 1000 - first);
    assert_true(is_taken(1, 2)); /* a neighbour who owes nothing */
    assert_true(is_taken(2, 1));
    w.now += 10 * NS_PER_S;
    assert_in_range(taken_of(1000, 1, 1), 200, 202);
    load_put_out(&w.load, netaddr_host(&(struct netaddr){.family = 4, .ip = {10, 0, 3, 1}}), w.now);
    assert_false(is_taken(3, 1));
    assert_true(is_taken(3, 2));
}

static void without_accounts_of_work_all_are_taken(void **state)
{
    (void)state;
    assert_int_equal(taken_of(2000, 1, 1), 2000);
}

static void times_are_those_of_handshakes_that_begin_then(void **state)
{
    struct ref l;
    (void)state;

    w.hold = true;
    tcp_set_times(w.a.t, 3 * NS_PER_S, 0);
    assert_int_equal(dial_b(&l), QUDAG_OK);
    settle();
    tcp_set_times(w.a.t, 9 * NS_PER_S, 0);
    assert_int_equal(tcp_deadline(w.a.t), w.now + 3 * NS_PER_S);
    w.now += 3 * NS_PER_S;
    tcp_tick(w.a.t, w.now);
    settle();
    assert_int_equal(w.a.downs, 1);
    assert_int_equal(w.a.down, QUDAG_ETIMEOUT);
}

static void addresses_of_other_kinds_are_not_its(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } row[] = {{"/ip4/1.2.3.4/tcp/1", true},          {"/ip6/2001:db8::1/tcp/65535", true},
               {"/ip4/1.2.3.4/tcp/0", false},         {"/ip4/0.0.0.0/tcp/1", false},
               {"/ip4/1.2.3.4/udp/1/quic-v1", false}, {"/ip4/1.2.3.4/tcp/1/ws", false},
               {"/dns4/a.example/tcp/1", false}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct multiaddr m;
        assert_int_equal(multiaddr_parse(&m, row[i].text), QUDAG_OK);
        assert_int_equal(tcp_transport.handles(w.a.t, &m), row[i].ok);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)
    const struct CMUnitTest tests[] = {
        T(a_dial_becomes_a_link_with_both_ends_known),
        T(a_link_that_is_closed_says_so_and_then_closes_its_connection),
        T(what_cannot_be_sent_at_the_end_is_given_up_after_a_while),
        T(a_dial_that_fails_ends_as_the_host_says),
        T(a_dial_nobody_answers_ends_by_time_and_one_may_be_given_up),
        T(before_a_connection_stands_no_byte_passes),
        T(a_connection_that_breaks_takes_its_link_along),
        T(after_the_end_nothing_begins),
        cmocka_unit_test_setup_teardown(those_accepted_pay_for_their_handshakes, set_up_with_load,
                                        clean_up),
        T(without_accounts_of_work_all_are_taken),
        T(times_are_those_of_handshakes_that_begin_then),
        T(addresses_of_other_kinds_are_not_its),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
