/* portmap_test.c - ports at routers of all kinds, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/portmap/testkit.h"

#define MINUTE (60 * NS_PER_S)
#define HOUR (3600 * NS_PER_S)

static void start(uint32_t faults, size_t wants)
{
    bed.faults = faults;
    at_home();
    want(wants);
}

static void is_mapped(size_t at, enum portmap_method m, uint16_t port)
{
    struct portmap_look l = look(at);

    assert_int_equal(l.state, PORTMAP_MAPPED);
    assert_int_equal(l.method, m);
    assert_int_equal(l.external.port, port);
}

/* ------------------------------------------------------------------ each fault of a router */

/* What comes of each, and within which time; |why|: a part of what people are told. */
static const struct {
    uint32_t faults;
    enum portmap_method method;
    uint16_t port;
    uint64_t within;
    const char *why;
} routers[] = {
    {0, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {NO_UPNP, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {NO_PCP, PORTMAP_NATPMP, 4001, 50 * NS_PER_MS, NULL},
    {NO_PCP | NO_UPNP, PORTMAP_NATPMP, 4001, 50 * NS_PER_MS, NULL},
    {NO_PCP | NO_NATPMP, PORTMAP_UPNP, 4001, 2500 * NS_PER_MS, NULL},
    {NO_NATPMP, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {NO_PCP | NO_NATPMP | CONFLICT, PORTMAP_NONE, 0, 30 * NS_PER_S, "UPnP: the port is taken"},
    {CONFLICT, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {NO_PCP | NO_NATPMP | PERMANENT_ONLY, PORTMAP_UPNP, 4001, 4500 * NS_PER_MS, NULL},
    {NO_PCP | NO_NATPMP | MAPS_NEVER, PORTMAP_NONE, 0, 30 * NS_PER_S, "maps for ever only"},
    {FULL, PORTMAP_NONE, 0, 5 * NS_PER_S,
     "PCP: it has no place left; NAT-PMP: it has no place left"},
    {NO_PCP | NO_NATPMP | FULL, PORTMAP_NONE, 0, 30 * NS_PER_S, "its table may be full"},
    {WRONG_PORT, PORTMAP_PCP, 20123, 50 * NS_PER_MS, NULL},
    {WRONG_PORT | NO_PCP, PORTMAP_NATPMP, 20123, 50 * NS_PER_MS, NULL},
    {WRONG_PORT | NO_PCP | NO_NATPMP, PORTMAP_UPNP, 20123, 2500 * NS_PER_MS, NULL},
    {EXT_ZERO, PORTMAP_NONE, 0, 5 * NS_PER_S, "it has no external address"},
    {EXT_ZERO | NO_PCP | NO_NATPMP, PORTMAP_NONE, 0, 30 * NS_PER_S,
     "UPnP: it has no external address"},
    {SHORT_LEASE, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {SLOW, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {SLOW | NO_PCP | NO_NATPMP, PORTMAP_UPNP, 4001, 15 * NS_PER_S, NULL},
    {GARBAGE, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {GARBAGE | NO_PCP | NO_NATPMP, PORTMAP_NONE, 0, 30 * NS_PER_S, "makes no sense"},
    {TWO_IGDS, PORTMAP_PCP, 4001, 50 * NS_PER_MS, NULL},
    {UNAUTHORIZED, PORTMAP_NONE, 0, 5 * NS_PER_S,
     "PCP: it does not allow that; NAT-PMP: it does not allow that; UPnP: the router does not "
     "allow that"},
    {SILENT, PORTMAP_NONE, 0, 60 * NS_PER_S,
     "PCP: no answer; NAT-PMP: no answer; UPnP: no router answers"},
    {PORT_ZERO | NO_UPNP, PORTMAP_NONE, 0, 60 * NS_PER_S, "PCP: no answer; NAT-PMP: no answer"},
    {LIFE_ZERO | NO_UPNP, PORTMAP_NONE, 0, 60 * NS_PER_S, "PCP: no answer; NAT-PMP: no answer"},
    {TAKEN_ONCE | NO_PCP | NO_NATPMP, PORTMAP_UPNP, 1, 4500 * NS_PER_MS, NULL},
};

static void each_kind_of_router_gives_what_it_can(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(routers); i++) {
        start(routers[i].faults, 1);
        pass(routers[i].within);
        struct portmap_look l = look(0);
        if (routers[i].method == PORTMAP_NONE) {
            assert_int_equal(l.state, PORTMAP_WAITING);
            assert_non_null(strstr(l.why, routers[i].why));
            assert_int_equal(bed.failed, 1);
            assert_int_equal(l.external.family, 0);
        } else {
            assert_int_equal(l.state, PORTMAP_MAPPED);
            assert_int_equal(l.method, routers[i].method);
            if (routers[i].port == 1) { /* any other */
                assert_true(l.external.port >= 1024 && l.external.port != 4001);
            } else {
                assert_int_equal(l.external.port, routers[i].port);
            }
            assert_int_equal(bed.mapped, 1);
            assert_false(l.double_nat);
            assert_int_equal(l.life_s > 0, (routers[i].faults & PERMANENT_ONLY) == 0);
            assert_string_equal(l.why, "");
        }
        teardown(state);
        setup(state);
    }
}

static void a_private_external_address_is_double_nat(void **state)
{
    (void)state;
    start(EXT_PRIVATE, 1);
    pass(NS_PER_S);
    assert_true(look(0).double_nat);
    assert_true(bed.last.double_nat);
    is_mapped(0, PORTMAP_PCP, 4001);
}

/* ------------------------------------------------------------------ in time */

static void leases_are_renewed_and_never_lapse(void **state)
{
    static const uint32_t kinds[] = {0,
                                     NO_PCP,
                                     NO_PCP | NO_NATPMP,
                                     SHORT_LEASE,
                                     SHORT_LEASE | NO_PCP,
                                     SHORT_LEASE | NO_PCP | NO_NATPMP,
                                     NO_PCP | NO_NATPMP | PERMANENT_ONLY,
                                     MUTE_LOOK};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        start(kinds[i], 2);
        pass(10 * NS_PER_S);
        for (unsigned s = 0; s < 6 * 3600; s += 7) {
            pass(7 * NS_PER_S);
            assert_int_equal(entries(), 2);
        }
        assert_int_equal(bed.lost, 0);
        assert_int_equal(bed.failed, 0);
        assert_int_equal(bed.mapped, 2);
        teardown(state);
        setup(state);
    }
}

static void a_router_that_only_maps_for_ever_is_asked_so_and_told_the_end(void **state)
{
    (void)state;
    start(NO_PCP | NO_NATPMP | PERMANENT_ONLY, 1);
    pass(10 * NS_PER_S);
    assert_int_equal(bed.upnp_life, 0);
    assert_int_equal(look(0).life_s, 0);
    assert_int_equal(entries(), 1);
    portmap_end(bed.p, bed.now, &bed.out);
    carry_out();
    assert_int_equal(entries(), 0);
    assert_int_equal(bed.removed, 1);
}

static void the_end_removes_all_and_is_the_end(void **state)
{
    static const uint32_t kinds[] = {0, NO_PCP, NO_PCP | NO_NATPMP};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        start(kinds[i], 2);
        pass(10 * NS_PER_S);
        assert_int_equal(entries(), 2);
        portmap_end(bed.p, bed.now, &bed.out);
        carry_out();
        assert_int_equal(entries(), 0);
        assert_int_equal(bed.lost, 2);
        unsigned sent = bed.sent;
        assert_int_equal(portmap_ops.deadline(bed.p), TSTAMP_NEVER);
        want(1);
        at_home();
        portmap_end(bed.p, bed.now, &bed.out);
        carry_out();
        pass(HOUR);
        assert_int_equal(bed.sent, sent);
        teardown(state);
        setup(state);
    }
}

static void what_was_asked_for_and_not_answered_is_removed_too(void **state)
{
    (void)state;
    start(SILENT, 1);
    pass(NS_PER_S);
    bed.last_sent = (struct portmap_send){.len = 0};
    portmap_end(bed.p, bed.now, &bed.out);
    carry_out();
    assert_int_equal(bed.last_sent.bytes[0], 2);
    assert_int_equal(u32_at(bed.last_sent.bytes + 4), 0);
}

static void reboot(void)
{
    memset(bed.entry, 0, sizeof(bed.entry));
    bed.boot = bed.now;
}

static void a_router_that_lost_its_state_is_asked_at_once(void **state)
{
    static const uint32_t kinds[] = {0, NO_PCP};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        start(kinds[i], 2);
        pass(10 * MINUTE);
        reboot();
        pass(5 * NS_PER_S); /* nobody says anything: the next look */
        assert_int_equal(entries(), 2);
        pass(10 * MINUTE);
        reboot();
        pass(NS_PER_S);
        portmap_doubt(bed.p, bed.now, &bed.out); /* links died */
        pass(NS_PER_S);
        assert_int_equal(entries(), 2);
        assert_int_equal(bed.lost, 0);
        assert_int_equal(bed.mapped, 2); /* at the same ports: nothing to tell */
        teardown(state);
        setup(state);
    }
}

static void a_router_that_was_away_is_asked_soon_after_it_is_back(void **state)
{
    static const uint32_t kinds[] = {0, NO_PCP};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        start(kinds[i], 2);
        pass(10 * MINUTE);
        bed.faults |= SILENT;
        pass(90 * NS_PER_S);
        bed.faults &= ~(uint32_t)SILENT;
        reboot();
        pass(5 * NS_PER_S);
        assert_int_equal(entries(), 2);
        assert_int_equal(bed.lost, 0);
        teardown(state);
        setup(state);
    }
}

static void an_announcement_after_a_restart_maps_at_once(void **state)
{
    static const uint8_t announced[24] = {2, 0x80};
    struct netaddr from = addr_of("192.168.1.1", PCP_PORT);
    (void)state;

    start(0, 1);
    pass(MINUTE);
    reboot();
    assert_true(portmap_recv(bed.p, &from, (struct slice){announced, 24}, bed.now, &bed.out));
    carry_out();
    pass(10 * NS_PER_MS);
    assert_int_equal(entries(), 1);
}

static void a_router_that_does_not_know_the_question_is_asked_seldom(void **state)
{
    (void)state;
    start(MUTE_LOOK, 1);
    pass(10 * MINUTE);
    unsigned sent = bed.sent;
    pass(HOUR / 2);
    assert_true(bed.sent - sent <= 30 * 3);
    assert_int_equal(entries(), 1);
    reboot();
    pass(PORTMAP_LOOK_MUTE + 5 * NS_PER_S);
    assert_int_equal(entries(), 1);
}

static void another_external_address_after_a_restart_is_told(void **state)
{
    static const uint32_t kinds[] = {0, NO_PCP};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        start(kinds[i], 1);
        pass(MINUTE);
        reboot();
        bed.wan = addr_of("26.1.2.3", 0);
        pass(PORTMAP_LOOK + NS_PER_S);
        assert_int_equal(bed.mapped, 2);
        assert_int_equal(bed.last.external.ip[0], 26);
        assert_int_equal(bed.lost, 1);
        teardown(state);
        setup(state);
    }
}

static void floods_of_changing_epochs_cost_little(void **state)
{
    uint8_t announced[24] = {2, 0x80};
    struct netaddr from = addr_of("192.168.1.1", PCP_PORT);
    (void)state;

    start(0, 2);
    pass(MINUTE);
    unsigned sent = bed.sent;
    for (unsigned i = 0; i < 1000; i++) {
        announced[9] = (uint8_t)(i * 77);
        (void)portmap_recv(bed.p, &from, (struct slice){announced, 24}, bed.now, &bed.out);
        carry_out();
        pass(10 * NS_PER_MS);
    }
    assert_true(bed.sent - sent <= 2 * 5);
}

static void after_failure_it_is_tried_again_and_ever_less_often(void **state)
{
    (void)state;
    start(SILENT, 1);
    pass(24 * HOUR);
    assert_true(bed.failed >= 24 && bed.failed <= 60);
    bed.faults = 0;
    pass(PORTMAP_PAUSE_MAX + PORTMAP_PAUSE_MAX / 10 + NS_PER_S);
    is_mapped(0, PORTMAP_PCP, 4001);
}

/* Once it has given a port, it is asked as soon again as one that never failed. */
static void a_port_that_was_there_is_asked_for_soon_again(void **state)
{
    (void)state;
    start(SILENT, 1);
    pass(4 * HOUR);
    bed.faults = 0;
    pass(PORTMAP_PAUSE_MAX + PORTMAP_PAUSE_MAX / 10 + NS_PER_S);
    is_mapped(0, PORTMAP_PCP, 4001);
    bed.faults = SILENT;
    pass(PORTMAP_LIFE_S / 2 * NS_PER_S);
    for (unsigned s = 0; bed.lost == 0; s++) {
        assert_true(s < PORTMAP_LIFE_S);
        pass(NS_PER_S);
    }
    bed.failed = 0;
    pass(10 * MINUTE);
    assert_true(bed.failed >= 3);
}

static void another_network_is_asked_anew(void **state)
{
    struct netaddr old = bed.gateway;
    (void)state;

    start(0, 1);
    pass(MINUTE);
    at_home(); /* nothing changed */
    assert_int_equal(bed.lost, 0);
    portmap_gateway(bed.p, 4, NULL, NULL, bed.now, &bed.out);
    carry_out();
    assert_int_equal(bed.lost, 1);
    assert_int_equal(look(0).state, PORTMAP_IDLE);
    unsigned sent = bed.sent;
    pass(HOUR);
    assert_int_equal(bed.sent, sent);
    bed.gateway = addr_of("192.168.1.254", 0);
    at_home();
    pass(NS_PER_S);
    is_mapped(0, PORTMAP_PCP, 4001);
    bed.gateway = old;
    bed.source = addr_of("192.168.1.77",
                         4001); /* the port that is wanted is at another address: not asked for */
    at_home();
    pass(NS_PER_S);
    assert_int_equal(look(0).state, PORTMAP_IDLE);
}

static void ports_no_longer_wanted_are_removed(void **state)
{
    (void)state;
    start(0, 2);
    pass(NS_PER_S);
    assert_int_equal(entries(), 2);
    want(1);
    assert_int_equal(entries(), 1);
    assert_int_equal(bed.lost, 1);
    assert_true(bed.last.tcp);
    want(2);
    pass(NS_PER_S);
    assert_int_equal(entries(), 2);
}

static void a_pinhole_is_asked_for_at_the_gateway_of_ipv6(void **state)
{
    struct netaddr internal = addr_of("2a00:1::2", 4001);
    bool tcp = false;
    (void)state;

    bed.gateway = addr_of("fe80::1", 0);
    bed.gateway.scope = 3;
    portmap_gateway(bed.p, 6, &bed.gateway, &internal, bed.now, &bed.out);
    portmap_want(bed.p, &internal, &tcp, 1, bed.now, &bed.out);
    pass(50 * NS_PER_MS);
    is_mapped(0, PORTMAP_PCP, 4001);
    assert_true(netaddr_eq(&bed.last.external, &internal));
    assert_true(netaddr_eq(&bed.last_sent.from, &internal));
    assert_int_equal(bed.last_sent.to.scope, 3);
    assert_int_equal(bed.sent, 1); /* NAT-PMP has no IPv6 */
}

/* There, what NAT-PMP answers says one thing: that the router does not know PCP. */
static void at_ipv6_only_the_version_is_taken_of_natpmp(void **state)
{
    uint8_t answer[8] = {0, 128, 0, 3};
    struct netaddr internal = addr_of("2a00:1::2", 4001), from;
    bool tcp = false;
    (void)state;

    bed.faults = SILENT;
    bed.gateway = addr_of("fe80::1", 0);
    portmap_gateway(bed.p, 6, &bed.gateway, &internal, bed.now, &bed.out);
    portmap_want(bed.p, &internal, &tcp, 1, bed.now, &bed.out);
    pass(50 * NS_PER_MS);
    from = bed.gateway;
    from.port = PCP_PORT;
    assert_false(portmap_recv(bed.p, &from, (struct slice){answer, 8}, bed.now, &bed.out));
    pass(10 * NS_PER_S);
    assert_true(bed.sent > 1); /* it is asked on */
    answer[3] = 1;
    assert_true(portmap_recv(bed.p, &from, (struct slice){answer, 8}, bed.now, &bed.out));
}

/* ------------------------------------------------------------------ what is not believed */

/* The answer to the last MAP, changed in one place; whether it was taken. */
static bool answered(size_t at, uint8_t xor, const struct netaddr *from)
{
    uint8_t b[60] = {2, 0x81};

    b[6] = 0x1c;
    b[7] = 0x20;
    b[10] = 0x13;
    b[11] = 0x88;
    memcpy(b + 24, bed.last_sent.bytes + 24, 20);
    b[54] = b[55] = 0xff;
    b[56] = 25;
    b[at] ^= xor;
    bool taken = portmap_recv(bed.p, from, (struct slice){b, sizeof(b)}, bed.now, &bed.out);
    carry_out();
    return taken;
}

static void answers_that_do_not_fit_are_ignored(void **state)
{
    struct netaddr gateway = addr_of("192.168.1.1", PCP_PORT);
    const struct netaddr others[] = {addr_of("192.168.1.1", PCP_PORT + 1),
                                     addr_of("192.168.1.2", PCP_PORT),
                                     addr_of("fe80::1", PCP_PORT)};
    (void)state;

    portmap_want(bed.p, NULL, NULL, 0, bed.now, &bed.out);
    bed.faults = SILENT | NO_UPNP;
    portmap_gateway(bed.p, 4, &bed.gateway, &bed.source, bed.now, &bed.out);
    struct netaddr internal = addr_of("192.168.1.2", 4001);
    bool tcp = false;
    portmap_want(bed.p, &internal, &tcp, 1, bed.now, &bed.out);
    portmap_ops.tick(bed.p, bed.now, &bed.out);
    for (size_t i = 0; i < bed.out.n; i++) {
        if (bed.out.v[i].kind == PORTMAP_UP_SEND &&
            ((const struct portmap_send *)bed.out.v[i].ptr)->bytes[0] == 2) {
            bed.last_sent = *(const struct portmap_send *)bed.out.v[i].ptr;
        }
    }
    bed.out.n = bed.out.bytes_n = 0;
    assert_int_equal(bed.last_sent.bytes[0], 2);
    static const struct {
        size_t at;
        uint8_t xor ;
    } wrong[] = {
        {0, 1},              /* version */
        {1, 0x80},           /* a request */
        {24, 1},             /* nonce */
        {35, 0x80}, {36, 1}, /* protocol */
        {40, 1},             /* internal port */
        {54, 1},             /* an address of IPv6 */
        {42, 0},             /* nothing, but the port below is 0 */
    };
    for (size_t i = 0; i + 1 < ARRAY_LEN(wrong); i++) {
        assert_false(answered(wrong[i].at, wrong[i].xor, &gateway));
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_false(answered(59, 1, &others[i]));
    }
    assert_int_equal(look(0).state, PORTMAP_ASKING);
    assert_true(answered(59, 7, &gateway));
    is_mapped(0, PORTMAP_PCP, 4001);
}

static void answers_that_nobody_asked_for_are_ignored(void **state)
{
    uint8_t natpmp[16] = {0, 0x81, 0, 0, 0, 0, 0, 9, 0x0f, 0xa1, 0x0f, 0xa1, 0, 0, 0x1c, 0x20};
    struct netaddr from = addr_of("192.168.1.1", PCP_PORT);
    struct portmap_upnp_answer a = {.code = PORTMAP_UPNP_OK, .external = addr_of("25.9.9.9", 4001)};
    (void)state;

    assert_false(portmap_recv(bed.p, &from, (struct slice){natpmp, 16}, bed.now, &bed.out));
    start(0, 1);
    pass(NS_PER_S);
    is_mapped(0, PORTMAP_PCP, 4001);
    assert_false(portmap_recv(bed.p, &from, (struct slice){natpmp, 16}, bed.now, &bed.out));
    for (uint64_t id = 0; id < 8; id++) {
        portmap_upnp_done(bed.p, id, &a, bed.now, &bed.out);
    }
    carry_out();
    is_mapped(0, PORTMAP_PCP, 4001);
    assert_int_equal(look(0).external.ip[1], 1);
    assert_int_equal(bed.mapped, 1);
}

static void an_answer_of_upnp_comes_once(void **state)
{
    struct portmap_upnp_answer a = {.code = PORTMAP_UPNP_CONFLICT};
    (void)state;

    start(NO_PCP | NO_NATPMP | CONFLICT, 1);
    pass(NS_PER_S);
    unsigned upnp = bed.upnp;
    portmap_upnp_done(bed.p, 99, &a, bed.now, &bed.out);
    carry_out();
    assert_int_equal(bed.upnp, upnp);
    pass(MINUTE);
    assert_int_equal(bed.upnp, PORTMAP_PORTS_MAX);
}

static void a_host_that_does_not_answer_is_not_waited_for(void **state)
{
    (void)state;
    start(NO_PCP | NO_NATPMP, 1);
    pass(NS_PER_S);
    memset(bed.pending, 0, sizeof(bed.pending)); /* the thread hangs */
    pass(PORTMAP_UPNP_MAX + NS_PER_S);
    assert_int_equal(look(0).state, PORTMAP_WAITING);
    assert_non_null(strstr(look(0).why, "UPnP: no answer"));
}

/* What a method costs that nobody answers; another round costs the same. */
static void each_method_is_tried_a_few_times_in_each_round(void **state)
{
    (void)state;
    start(SILENT, 1);
    pass(PORTMAP_PAUSE_MIN / 2);
    assert_int_equal(bed.failed, 1);
    assert_int_equal(bed.sent, PORTMAP_PCP_TRIES + PORTMAP_NATPMP_TRIES);
    pass(PORTMAP_PAUSE_MIN + PORTMAP_PAUSE_MIN / 2);
    assert_int_equal(bed.failed, 2);
    assert_int_equal(bed.sent, 2 * (PORTMAP_PCP_TRIES + PORTMAP_NATPMP_TRIES));
    teardown(state);
    setup(state);
    start(LIFE_ZERO | NO_PCP | NO_UPNP, 1); /* says where it is, and maps nothing */
    pass(PORTMAP_PAUSE_MIN / 2);
    assert_int_equal(bed.failed, 1);
    assert_int_equal(bed.sent, 1 + 1 + PORTMAP_NATPMP_TRIES);
}

static void each_round_of_upnp_begins_with_the_port_itself(void **state)
{
    (void)state;
    start(NO_PCP | NO_NATPMP | CONFLICT, 1);
    pass(MINUTE);
    assert_int_equal(bed.upnp, PORTMAP_PORTS_MAX);
    pass(MINUTE);
    assert_int_equal(bed.failed, 2);
    assert_int_equal(bed.upnp, 2 * PORTMAP_PORTS_MAX);
    bed.faults = NO_PCP | NO_NATPMP;
    pass(4 * MINUTE);
    is_mapped(0, PORTMAP_UPNP, 4001);
}

/* Nothing is known of another router: neither that it maps for ever only, nor how often the last one failed. */
static void what_one_router_taught_is_not_believed_of_the_next(void **state)
{
    (void)state;
    start(NO_PCP | NO_NATPMP | PERMANENT_ONLY, 1);
    pass(10 * NS_PER_S);
    assert_int_equal(bed.upnp_life, 0);
    bed.gateway = addr_of("192.168.1.254", 0);
    bed.faults = NO_PCP | NO_NATPMP;
    at_home();
    pass(10 * NS_PER_S);
    assert_int_equal(bed.upnp_life, PORTMAP_LIFE_S);
    bed.faults = SILENT;
    bed.gateway = addr_of("192.168.1.253", 0);
    at_home();
    pass(4 * HOUR); /* its pauses are long by now */
    bed.gateway = addr_of("192.168.1.252", 0);
    at_home();
    bed.failed = 0;
    pass(2 * PORTMAP_PAUSE_MIN);
    assert_int_equal(bed.failed, 2);
}

static void a_router_that_lost_its_state_and_refuses_has_no_port_of_ours(void **state)
{
    (void)state;
    start(0, 1);
    pass(MINUTE);
    reboot();
    bed.faults = FULL;
    pass(PORTMAP_LOOK + NS_PER_S);
    assert_int_equal(bed.lost, 1);
    assert_int_equal(entries(), 0);
}

/* NAT-PMP's answer that the external address is 26.0.0.|last|. */
static void told_address(uint8_t last)
{
    const uint8_t ip[4] = {26, 0, 0, last};
    struct netaddr from = bed.gateway;
    uint8_t b[12];
    struct wr w = wr_init(b, sizeof(b));

    wr_u32(&w, 128 << 16);
    wr_u32(&w, epoch());
    wr_bytes(&w, ip, sizeof(ip));
    from.port = PCP_PORT;
    assert_true(portmap_recv(bed.p, &from, wr_done(&w), bed.now, &bed.out));
    carry_out();
    pass(10 * NS_PER_MS);
}

static void whoever_tells_many_addresses_makes_us_send_little(void **state)
{
    static const uint32_t kinds[] = {LIFE_ZERO | NO_PCP | NO_UPNP, NO_PCP | NO_UPNP};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        start(kinds[i], 1); /* one port is asked for, the other mapped */
        pass(NS_PER_S);
        bed.faults |= SILENT;
        unsigned sent = bed.sent;
        for (unsigned k = 0; k < 100; k++) {
            told_address((uint8_t)(k & 1));
        }
        assert_true(bed.sent - sent <= 2);
        teardown(state);
        setup(state);
    }
    start(SILENT, 1);
    pass(NS_PER_S);
    memset(bed.pending, 0, sizeof(bed.pending)); /* UPnP is waited for */
    pass(PORTMAP_PAUSE_MIN / 2);                 /* the others are given up, in this round */
    assert_int_equal(look(0).state, PORTMAP_ASKING);
    unsigned sent = bed.sent;
    told_address(1);
    assert_int_equal(bed.sent, sent);
}

static void a_router_that_is_no_longer_mute_is_looked_at_as_often_as_others(void **state)
{
    static const uint32_t kinds[] = {0, NO_PCP};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        start(kinds[i], 1);
        pass(MINUTE);
        bed.faults |= MUTE_LOOK;
        pass(10 * MINUTE);
        unsigned sent = bed.sent;
        pass(10 * MINUTE);
        assert_true(bed.sent - sent <= 10 * 4); /* it is seldom asked */
        bed.faults &= ~(uint32_t)MUTE_LOOK;
        pass(PORTMAP_LOOK_MUTE + 5 * NS_PER_S);
        sent = bed.sent;
        pass(10 * MINUTE);
        assert_true(bed.sent - sent >= 10 * MINUTE / PORTMAP_LOOK - 2);
        teardown(state);
        setup(state);
    }
}

static void what_is_said_of_a_renewal_is_of_its_method_alone(void **state)
{
    (void)state;
    start(NO_PCP, 1);
    pass(MINUTE);
    bed.faults |= FULL;
    pass(HOUR);
    is_mapped(0, PORTMAP_NATPMP, 4001);
    assert_string_equal(look(0).why, "NAT-PMP: it has no place left");
}

static void errors_of_a_renewal_end_nothing_before_its_time(void **state)
{
    (void)state;
    start(0, 1);
    pass(MINUTE);
    bed.faults = FULL;
    pass(HOUR + MINUTE);
    is_mapped(0, PORTMAP_PCP, 4001);
    assert_int_equal(bed.lost, 0);
    pass(HOUR);
    assert_int_equal(bed.lost, 1);
    bed.faults = 0;
    pass(PORTMAP_PAUSE_MAX + PORTMAP_PAUSE_MAX / 10 + NS_PER_S);
    is_mapped(0, PORTMAP_PCP, 4001);
}

static void a_router_that_stops_speaking_it_is_asked_otherwise(void **state)
{
    (void)state;
    start(0, 1);
    pass(MINUTE);
    bed.faults = NO_PCP;
    reboot();
    pass(2 * PORTMAP_LOOK);
    is_mapped(0, PORTMAP_NATPMP, 4001);
    assert_int_equal(bed.lost, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(each_kind_of_router_gives_what_it_can),
        T(a_private_external_address_is_double_nat),
        T(leases_are_renewed_and_never_lapse),
        T(a_router_that_only_maps_for_ever_is_asked_so_and_told_the_end),
        T(the_end_removes_all_and_is_the_end),
        T(what_was_asked_for_and_not_answered_is_removed_too),
        T(a_router_that_lost_its_state_is_asked_at_once),
        T(a_router_that_was_away_is_asked_soon_after_it_is_back),
        T(an_announcement_after_a_restart_maps_at_once),
        T(a_router_that_does_not_know_the_question_is_asked_seldom),
        T(another_external_address_after_a_restart_is_told),
        T(floods_of_changing_epochs_cost_little),
        T(after_failure_it_is_tried_again_and_ever_less_often),
        T(a_port_that_was_there_is_asked_for_soon_again),
        T(another_network_is_asked_anew),
        T(ports_no_longer_wanted_are_removed),
        T(a_pinhole_is_asked_for_at_the_gateway_of_ipv6),
        T(at_ipv6_only_the_version_is_taken_of_natpmp),
        T(answers_that_do_not_fit_are_ignored),
        T(answers_that_nobody_asked_for_are_ignored),
        T(an_answer_of_upnp_comes_once),
        T(a_host_that_does_not_answer_is_not_waited_for),
        T(each_method_is_tried_a_few_times_in_each_round),
        T(each_round_of_upnp_begins_with_the_port_itself),
        T(what_one_router_taught_is_not_believed_of_the_next),
        T(a_router_that_lost_its_state_and_refuses_has_no_port_of_ours),
        T(whoever_tells_many_addresses_makes_us_send_little),
        T(a_router_that_is_no_longer_mute_is_looked_at_as_often_as_others),
        T(what_is_said_of_a_renewal_is_of_its_method_alone),
        T(errors_of_a_renewal_end_nothing_before_its_time),
        T(a_router_that_stops_speaking_it_is_asked_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
