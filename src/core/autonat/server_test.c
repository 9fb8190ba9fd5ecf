/* server_test.c - who dials others back: what they can make it dial, how often, and for what price. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/autonat/testkit.h"

#include <stdio.h>

static struct autonat_server s;

static const struct autonat_order *order(void)
{
    static const struct autonat_order none;

    return has(ACT_UP) ? last(ACT_UP)->ptr : &none;
}

static void start(void)
{
    struct autonat_self self = {.serves = true, .ip4 = true, .ip6 = false, .n_own = 1};

    begin();
    autonat_server_init(&s, &rng, false);
    struct multiaddr own = quic("8.8.1.1", 4001);
    assert_true(multiaddr_to_netaddr(&own, &self.own[0]));
    autonat_server_set(&s, &self);
}

static struct autonat_msg request_of(const char *ip, unsigned port)
{
    struct autonat_msg m = {.type = AUTONAT_REQUEST, .n_addrs = 1, .nonce = 77};

    m.addr[0] = quic(ip, port);
    return m;
}

/* Peer |n|, in a network of its own where |net|, comes from |ip| and asks for |m| on stream |n|. */
static void asks(unsigned n, bool net, const char *ip, const struct autonat_msg *m)
{
    struct peer_id id = peer(n);
    struct multiaddr from = quic(ip, 4001);
    struct ev ev = {
        .type = EV_STREAM_OPEN, .inbound = true, .peer = &id, .strm = strm(n), .net = net ? n : 1};

    forget();
    autonat_serve_ops.event(&s, &ev, now, &acts);
    autonat_server_from(&s, strm(n), &from);
    if (!has(ACT_RESET) || !ref_eq(last(ACT_RESET)->strm, strm(n))) {
        arrives(&autonat_serve_ops, &s, strm(n), m);
    }
}

static void pays(unsigned n, uint64_t left)
{
    static const uint8_t zeros[AUTONAT_DATA_PIECE];

    while (left > 0) {
        size_t len = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
        struct autonat_msg m = {.type = AUTONAT_DATA, .data = {zeros, len}};
        arrives(&autonat_serve_ops, &s, strm(n), &m);
        left -= len;
    }
    autonat_serve_ops.tick(&s, now + AUTONAT_REST, &acts);
}

static void who_asks_is_dialled_and_told(void **state)
{
    static const enum autonat_dial how[] = {AUTONAT_DIAL_OK, AUTONAT_DIAL_ERROR,
                                            AUTONAT_DIAL_BACK_ERROR};
    struct autonat_msg m = request_of("5.9.1.1", 4433);
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        start();
        asks(1, true, "5.9.1.1", &m);
        const struct autonat_order *o = order();
        assert_true(o->nonce == 77 && multiaddr_eq(&o->addr, &m.addr[0]));
        struct peer_id id = peer(1);
        assert_true(peer_id_eq(&o->peer, &id));
        uint64_t job = o->job;
        forget();
        autonat_dialled(&s, job, how[i], &acts);
        struct autonat_msg r = written();
        assert_true(r.status == AUTONAT_OK && r.dial == how[i] && r.addr_ix == 0);
        assert_true(has(ACT_FIN));
        forget();
        autonat_dialled(&s, job, how[i], &acts); /* once */
        assert_int_equal(acts.n, 0);
    }
    start();
    asks(1, true, "5.9.1.1", &m);
    autonat_dialled(&s, order()->job, AUTONAT_DIAL_UNUSED, &acts);
    assert_int_equal(written().status, AUTONAT_INTERNAL_ERROR);
    start();
    asks(1, true, "5.9.1.1", &m);
    autonat_serve_ops.tick(&s, now + AUTONAT_DIAL_TIMEOUT, &acts);
    assert_int_equal(written().dial, AUTONAT_DIAL_ERROR);
}

static void another_host_is_dialled_for_its_price_only(void **state)
{
    struct autonat_msg m = request_of("5.9.1.2", 4433);
    (void)state;

    start();
    asks(1, true, "5.9.1.1", &m);
    assert_false(has(ACT_UP));
    struct autonat_msg price = written();
    assert_int_equal(price.type, AUTONAT_DATA_REQUEST);
    assert_in_range(price.num_bytes, AUTONAT_DATA_MIN, AUTONAT_DATA_MAX);
    pays(1, price.num_bytes - 1);
    assert_false(has(ACT_UP));
    pays(1, 1);
    assert_true(has(ACT_UP));
    start(); /* pieces that cost more work than bytes are no price */
    asks(1, true, "5.9.1.1", &m);
    pays(1, AUTONAT_PIECE_MIN - 1);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
    start(); /* who does not pay is let go */
    asks(1, true, "5.9.1.1", &m);
    autonat_serve_ops.tick(&s, now + AUTONAT_PAY_TIMEOUT, &acts);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_ETIMEOUT);
    assert_false(has(ACT_UP));
    start(); /* empty pieces are no price */
    asks(1, true, "5.9.1.1", &m);
    struct autonat_msg empty = {.type = AUTONAT_DATA};
    arrives(&autonat_serve_ops, &s, strm(1), &empty);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
    struct netaddr a = {.family = 4, .ip = {5, 9, 1, 1}, .port = 1}, b = a;
    b.port = 2;
    assert_int_equal(autonat_rule_price(&a, &b, 12345), 0); /* of one host */
    b.ip[3] = 2;
    assert_int_equal(autonat_rule_price(&a, &b, 0), AUTONAT_DATA_MIN);
    for (uint64_t chance = 0; chance < 200000; chance += 999) {
        assert_in_range(autonat_rule_price(&a, &b, chance), AUTONAT_DATA_MIN, AUTONAT_DATA_MAX);
    }
}

/* Of all addresses the first that may be dialled is, and no other: who asks cannot point it at everything. */
static void what_may_not_be_dialled_is_not(void **state)
{
    static const struct {
        const char *ip;
        unsigned port;
    } bad[] = {{"192.168.1.1", 4001},
               {"10.0.0.1", 4001},
               {"127.0.0.1", 4001},
               {"100.64.0.1", 4001},
               {"224.0.0.1", 4001},
               {"0.0.0.0", 4001},
               {"5.9.1.1", 53},
               {"5.9.1.1", 1023},
               {"5.9.1.1", 0},
               {"8.8.1.1", 4001},
               {"8.8.1.1", 9999} /* our own */,
               {"2a00:1::1", 4001} /* no IPv6 here */,
               {"169.254.1.1", 4001}};
    struct autonat_msg m = {.type = AUTONAT_REQUEST};
    (void)state;

    start();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        m.n_addrs = 1;
        m.addr[0] = quic(bad[i].ip, bad[i].port);
        assert_int_equal(autonat_rule_pick(&m, &s.self, false), 1);
        now += 60 * NS_PER_S;
        asks(1, true, "5.9.1.1", &m);
        assert_int_equal(written().status, AUTONAT_DIAL_REFUSED);
        assert_false(has(ACT_UP));
    }
    struct netaddr t = {.family = 4, .ip = {5, 9, 1, 1}, .port = 4001};
    multiaddr_tcp(&m.addr[0], &t, NULL); /* from here only QUIC is dialled */
    m.addr[1].len = 0;                   /* one that could not be read */
    m.addr[2] = quic("192.168.1.1", 4001);
    m.addr[3] = quic("5.9.1.1", 443);
    m.addr[4] = quic("5.9.1.1", 1024);
    m.n_addrs = 5;
    assert_int_equal(autonat_rule_pick(&m, &s.self, false), 3);
    now += 60 * NS_PER_S;
    asks(1, true, "5.9.1.1", &m);
    assert_true(multiaddr_eq(&order()->addr, &m.addr[3]));
    autonat_dialled(&s, order()->job, AUTONAT_DIAL_OK, &acts);
    assert_int_equal(written().addr_ix, 3);
    struct netaddr host = {.family = 4, .ip = {5, 9, 1, 1}, .port = 443};
    struct peer_id other = peer(9);
    m.n_addrs = 1;
    multiaddr_quic(&m.addr[0], &host, &other); /* who answers there is not for the asker to say */
    now += 60 * NS_PER_S;
    asks(1, true, "5.9.1.1", &m);
    multiaddr_quic(&m.addr[0], &host, NULL);
    assert_true(multiaddr_eq(&order()->addr, &m.addr[0]));
    m.addr[0] = quic("192.168.1.1", 4001);
    assert_int_equal(autonat_rule_pick(&m, &s.self, true), 0); /* in a lab */
}

/* Requests for other hosts that nobody pays for leave the minute to those who do, and cost them no place for long. */
static void who_does_not_pay_uses_up_nothing(void **state)
{
    struct autonat_msg far = request_of("5.9.1.2", 4433), near = request_of("7.7.7.7", 4433);
    (void)state;

    start();
    for (unsigned i = 1; i <= 2 * AUTONAT_MINUTE; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "5.9.2.%u", i);
        far.addr[0] = quic(ip, 4433);
        asks(i, true, "5.9.1.1", &far);
        assert_false(has(ACT_UP));
        struct ev ev = {.type = EV_RESET, .strm = strm(i)};
        autonat_serve_ops.event(&s, &ev, now, &acts);
    }
    asks(500, true, "7.7.7.7", &near);
    assert_true(has(ACT_UP));
}

/* However few networks want all of the minute, others have a part in it. */
static void no_few_networks_use_up_the_minute(void **state)
{
    static struct autonat_recent recent[AUTONAT_MINUTE];
    unsigned all = 0;
    (void)state;

    memset(recent, 0, sizeof(recent));
    for (uint64_t net = 1; net <= 10; net++) {
        struct autonat_recent next = {.at = now, .net = net};
        for (unsigned i = 0; i < AUTONAT_MINUTE; i++) {
            next.peer = next.target = ++all * 1000u;
            if (!autonat_rule_may(recent, &next, false)) {
                all--;
                break;
            }
            recent[all - 1] = next;
        }
    }
    assert_in_range(all, 40, AUTONAT_MINUTE - 5);
    struct autonat_recent next = {.at = now, .net = 99, .peer = 1, .target = 1};
    assert_true(autonat_rule_may(recent, &next, false));
}

static void silent(unsigned n, uint64_t net)
{
    struct peer_id id = peer(n);
    struct ev ev = {
        .type = EV_STREAM_OPEN, .inbound = true, .peer = &id, .strm = strm(n), .net = net};

    forget();
    autonat_serve_ops.event(&s, &ev, now, &acts);
}

static void those_that_say_or_pay_nothing_give_way(void **state)
{
    struct autonat_msg near = request_of("7.7.7.7", 4433);
    (void)state;

    start(); /* one network has half of the places */
    for (unsigned i = 1; i <= AUTONAT_JOBS_MAX; i++) {
        silent(i, 1);
        assert_int_equal(has(ACT_RESET), i > AUTONAT_JOBS_NET);
    }
    asks(500, true, "7.7.7.7", &near);
    assert_true(has(ACT_UP));
    start();
    for (unsigned i = 1; i <= AUTONAT_JOBS_MAX; i++) {
        silent(i, i < 3 ? 1 : i);
    }
    now += AUTONAT_TURN_READ - 1;
    asks(500, true, "7.7.7.7", &near);
    assert_true(has(ACT_RESET) && !has(ACT_UP)); /* they have a turn */
    now += 1;
    asks(501, true, "7.7.7.7", &near);
    assert_true(has(ACT_UP) && has(ACT_RESET));
    uint64_t gone = ref_to_u64(last(ACT_RESET)->strm);
    assert_true(gone == ref_to_u64(strm(1)) || gone == ref_to_u64(strm(2)));
    start();
    for (unsigned i = 1; i <= AUTONAT_JOBS_MAX; i++) { /* in bits: of no use */
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "5.9.2.%u", i);
        struct autonat_msg far = request_of(ip, 4433);
        asks(i, true, "5.9.1.1", &far);
    }
    now += AUTONAT_TURN_PAY - 1;
    asks(500, true, "7.7.7.7", &near);
    assert_false(has(ACT_UP));
    now += 1;
    asks(501, true, "7.7.7.7", &near);
    assert_true(has(ACT_UP));
}

/* Hosts that do not answer hold no places for the whole time of a dial, and whoever leaves has no dial. */
static void dials_without_an_outcome_give_way(void **state)
{
    struct autonat_msg near = request_of("7.7.7.7", 4433);
    (void)state;

    start();
    tstamp first = now;
    for (unsigned i = 1; i <= AUTONAT_JOBS_MAX; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "5.9.2.%u", i);
        struct autonat_msg m = request_of(ip, 4433);
        asks(i, true, ip, &m);
        assert_int_equal(last(ACT_UP)->kind, AUTONAT_UP_DIAL);
        now += NS_PER_MS;
    }
    now = first + AUTONAT_TURN_DIAL - 1;
    asks(500, true, "7.7.7.7", &near);
    assert_true(has(ACT_RESET) && !has(ACT_UP));
    now += 1;
    asks(501, true, "7.7.7.7", &near);
    assert_int_equal(acts.v[0].type, ACT_RESET);
    assert_int_equal(acts.v[1].kind, AUTONAT_UP_CANCEL);
    assert_int_equal(acts.v[1].cookie, 1); /* the oldest */
    assert_int_equal(last(ACT_UP)->kind, AUTONAT_UP_DIAL);
    uint64_t job = order()->job;
    forget();
    autonat_serve_ops.event(&s, &(struct ev){.type = EV_RESET, .strm = strm(501)}, now, &acts);
    assert_int_equal(last(ACT_UP)->kind, AUTONAT_UP_CANCEL);
    assert_int_equal(last(ACT_UP)->cookie, job);
    assert_false(has(ACT_RESET));
}

static void who_rests_before_its_dial_does_not_give_way(void **state)
{
    struct autonat_place place[AUTONAT_JOBS_MAX] = {{.net = 1}};
    (void)state;

    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        assert_int_equal(autonat_rule_gives_way(place, now), AUTONAT_JOBS_MAX);
    }
    place[3].paying = place[5].reading = true;
    place[3].since = now - AUTONAT_TURN_PAY + 1;
    place[5].since = now - AUTONAT_TURN_READ + 1;
    assert_int_equal(autonat_rule_gives_way(place, now), AUTONAT_JOBS_MAX);
    assert_int_equal(autonat_rule_gives_way(place, now + 1), 3); /* both: the older */
    place[3].net = 7;
    assert_int_equal(autonat_rule_gives_way(place, now + 1), 5);
}

/* Asked often enough, it dials no more; what is left over is counted by minute. */
static void what_others_make_it_dial_is_bounded(void **state)
{
    static struct autonat_recent recent[AUTONAT_MINUTE];
    struct autonat_recent next = {.at = now, .net = 1, .peer = 1, .target = 1};
    static const struct {
        bool net, peer, target; /* that are the same */
        unsigned most;
    } row[] = {{false, false, false, AUTONAT_MINUTE},
               {true, false, false, AUTONAT_MINUTE / (AUTONAT_MINUTE_SHARE + 1)},
               {false, true, false, AUTONAT_MINUTE_PEER},
               {false, false, true, AUTONAT_MINUTE_TARGET}};
    (void)state;

    for (size_t r = 0; r < ARRAY_LEN(row); r++) {
        memset(recent, 0, sizeof(recent));
        for (unsigned i = 0; i < row[r].most; i++) {
            assert_true(autonat_rule_may(recent, &next, false));
            recent[i] = (struct autonat_recent){.at = now,
                                                .net = row[r].net ? 1 : 100 + i,
                                                .peer = row[r].peer ? 1 : 100 + i,
                                                .target = row[r].target ? 1 : 100 + i};
        }
        assert_false(autonat_rule_may(recent, &next, false));
        next.at = now + 60 * NS_PER_S - 1;
        assert_false(autonat_rule_may(recent, &next, false));
        next.at = now + 60 * NS_PER_S;
        assert_true(autonat_rule_may(recent, &next, false));
        next.at = now;
    }
    start(); /* identities enough, each in a network of its own, sent to one host */
    unsigned dials = 0;
    for (unsigned i = 1; i <= 200; i++) {
        struct autonat_msg m = request_of("5.9.1.9", 4433);
        asks(i, true, "7.7.7.7", &m);
        if (!has(ACT_RESET) && written().type == AUTONAT_DATA_REQUEST) {
            pays(i, AUTONAT_DATA_MAX);
        }
        if (has(ACT_UP)) {
            dials++;
            autonat_dialled(&s, order()->job, AUTONAT_DIAL_ERROR, &acts);
        }
    }
    assert_int_equal(dials, AUTONAT_MINUTE_TARGET);
}

static void what_comes_on_a_stream_is_its_own_peers(void **state)
{
    struct autonat_msg m = request_of("5.9.1.1", 4433);
    (void)state;

    start();
    for (unsigned i = 1; i <= 2; i++) {
        struct peer_id id = peer(i);
        struct multiaddr from = quic(i == 1 ? "5.9.1.1" : "7.7.7.7", 4001);
        struct ev ev = {
            .type = EV_STREAM_OPEN, .inbound = true, .peer = &id, .strm = strm(i), .net = i};
        autonat_serve_ops.event(&s, &ev, now, &acts);
        autonat_server_from(&s, strm(i), &from);
    }
    arrives(&autonat_serve_ops, &s, strm(1), &m);
    struct peer_id id = peer(1);
    assert_true(has(ACT_UP) && peer_id_eq(&order()->peer, &id)); /* its own host: for nothing */
}

static void places_are_few_and_one_peer_has_one(void **state)
{
    struct autonat_msg m = request_of("5.9.1.1", 4433);
    (void)state;

    start();
    struct peer_id id = peer(1);
    for (unsigned i = 1; i <= AUTONAT_JOBS_MAX; i++) {
        struct autonat_msg one = request_of("5.9.1.1", 4433);
        struct netaddr a = {.family = 4, .ip = {5, 9, 1, (uint8_t)i}, .port = 4433};
        multiaddr_quic(&one.addr[0], &a, NULL);
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "5.9.1.%u", i);
        asks(i, true, ip, &one);
        assert_true(has(ACT_UP));
    }
    asks(100, true, "5.9.1.1", &m);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_ELIMIT);
    start();
    asks(1, true, "5.9.1.1", &m);
    struct ev ev = {
        .type = EV_STREAM_OPEN, .inbound = true, .peer = &id, .strm = strm(50), .net = 1};
    autonat_serve_ops.event(&s, &ev, now, &acts);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_ELIMIT);
}

static void who_cannot_be_dialled_himself_dials_nobody(void **state)
{
    struct autonat_msg m = request_of("5.9.1.1", 4433);
    struct autonat_self self = {.serves = false, .ip4 = true};
    (void)state;

    start();
    autonat_server_set(&s, &self);
    asks(1, true, "5.9.1.1", &m);
    assert_int_equal(written().status, AUTONAT_REQUEST_REJECTED);
    assert_false(has(ACT_UP));
    start(); /* who hides who he is, or where */
    struct peer_id nobody = {.len = 0}, id = peer(1);
    struct ev ev = {.type = EV_STREAM_OPEN, .inbound = true, .peer = &nobody, .strm = strm(1)};
    autonat_serve_ops.event(&s, &ev, now, &acts);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_EUNSUPPORTED);
    forget();
    ev.peer = &id;
    ev.props = LINK_RELAYED;
    autonat_serve_ops.event(&s, &ev, now, &acts);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_EUNSUPPORTED);
    forget();
    ev.props = 0; /* from where is not known */
    autonat_serve_ops.event(&s, &ev, now, &acts);
    arrives(&autonat_serve_ops, &s, strm(1), &m);
    assert_int_equal(written().status, AUTONAT_REQUEST_REJECTED);
}

/* Every message in every state, and streams that end. */
static void messages_in_the_wrong_state_end_the_stream(void **state)
{
    struct autonat_msg m = request_of("5.9.1.1", 4433), far = request_of("5.9.1.2", 4433);
    struct autonat_msg wrong[] = {{.type = AUTONAT_RESPONSE, .status = AUTONAT_OK},
                                  {.type = AUTONAT_DATA_REQUEST, .num_bytes = 1},
                                  {.type = AUTONAT_DATA, .data = {(const uint8_t *)"x", 1}}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        start();
        asks(1, true, "5.9.1.1", &wrong[i]);
        assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
        start();
        asks(1, true, "5.9.1.1", &far);
        arrives(&autonat_serve_ops, &s, strm(1), i < 2 ? &wrong[i] : &far);
        assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
        start(); /* while it is dialled nothing is looked at */
        asks(1, true, "5.9.1.1", &m);
        arrives(&autonat_serve_ops, &s, strm(1), &wrong[i]);
        assert_false(has(ACT_RESET));
    }
    start();
    asks(1, true, "5.9.1.1", &m);
    uint64_t job = order()->job;
    struct ev ev = {.type = EV_RESET, .strm = strm(1)};
    autonat_serve_ops.event(&s, &ev, now, &acts);
    forget();
    autonat_dialled(&s, job, AUTONAT_DIAL_OK, &acts);
    assert_int_equal(acts.n, 0);
    start();
    asks(1, true, "5.9.1.1", &far);
    ev.type = EV_FIN;
    autonat_serve_ops.event(&s, &ev, now, &acts);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_ECLOSED);
    assert_int_equal(autonat_serve_ops.deadline(&s), TSTAMP_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_is_dialled_and_told),
        cmocka_unit_test(another_host_is_dialled_for_its_price_only),
        cmocka_unit_test(what_may_not_be_dialled_is_not),
        cmocka_unit_test(what_others_make_it_dial_is_bounded),
        cmocka_unit_test(what_comes_on_a_stream_is_its_own_peers),
        cmocka_unit_test(who_does_not_pay_uses_up_nothing),
        cmocka_unit_test(no_few_networks_use_up_the_minute),
        cmocka_unit_test(those_that_say_or_pay_nothing_give_way),
        cmocka_unit_test(dials_without_an_outcome_give_way),
        cmocka_unit_test(who_rests_before_its_dial_does_not_give_way),
        cmocka_unit_test(places_are_few_and_one_peer_has_one),
        cmocka_unit_test(who_cannot_be_dialled_himself_dials_nobody),
        cmocka_unit_test(messages_in_the_wrong_state_end_the_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
