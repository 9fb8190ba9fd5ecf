/* rules_test.c - tables of what a meeting may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/meet/rules.h"

static struct netaddr address(const char *text, uint16_t port)
{
    struct netaddr a = {.family = 0};

    assert_int_equal(netaddr_parse_ip(&a, text), QUDAG_OK);
    a.port = port;
    return a;
}

static void which_addresses_are_sent_to(void **state)
{
    static const struct {
        const char *ip;
        uint16_t port;
        bool home, far, lab; /* with a private address of ours, without, and in a lab */
    } cases[] = {
        {"198.18.0.1", 4001, true, true, true},
        {"8.8.4.4", 1024, true, true, true},
        {"8.8.4.4", 1023, false, false, false},
        {"8.8.4.4", 0, false, false, false},
        {"192.168.1.7", 4001, true, false, true},
        {"10.0.0.1", 4001, true, false, true},
        {"100.64.0.1", 4001, true, false, true},
        {"127.0.0.1", 4001, false, false, true},
        {"0.0.0.0", 4001, false, false, false},
        {"0.1.2.3", 4001, false, false, false},
        {"224.0.0.1", 4001, false, false, false},
        {"239.255.255.250", 4001, false, false, false},
        {"255.255.255.255", 4001, false, false, false},
        {"240.0.0.1", 4001, false, false, false},
        {"169.254.1.1", 4001, false, false, false},
        {"2001:db8::1", 4001, true, true, true},
        {"2001:db8::1", 80, false, false, false},
        {"fd00::1", 4001, true, false, true},
        {"::1", 4001, false, false, true},
        {"::", 4001, false, false, false},
        {"fe80::1", 4001, false, false, false},
        {"ff02::1", 4001, false, false, false},
        {"::8.8.4.4", 4001, false, false, false},
        {"64:ff9b::c0a8:101", 4001, false, false, false}, /* 192.168.1.1 behind a NAT64 */
        {"64:ff9b:1::808:404", 4001, false, false, false},
        {"2002:808:404::1", 4001, false, false, false}, /* 6to4: any /64 of 65536 is one host */
        {"2001:0:808:404::1", 4001, false, false, false},
        {"2001:4860::1", 4001, true, true, true},
        {"2003::1", 4001, true, true, true},
    };
    struct meet_candidate mine[] = {{.addr = address("192.168.1.2", 4001)},
                                    {.addr = address("fd00::2", 4001)}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct netaddr a = address(cases[i].ip, cases[i].port);
        struct meet_own own = {.v = mine, .n = 2, .ip4 = true, .ip6 = true};
        if (meet_rule_address(&a, &own) != cases[i].home) {
            fail_msg("%s", cases[i].ip);
        }
        own.lab = true;
        assert_int_equal(meet_rule_address(&a, &own), cases[i].lab);
        own.lab = false;
        own.n = 0;
        assert_int_equal(meet_rule_address(&a, &own), cases[i].far);
        own = (struct meet_own){
            .v = mine, .n = 2, .lab = true, .ip4 = a.family == 6, .ip6 = a.family == 4};
        assert_false(meet_rule_address(&a, &own)); /* no socket of that kind */
    }
    struct meet_own own = {.ip4 = true, .ip6 = true};
    struct netaddr none = {.family = 0, .port = 4001};
    assert_false(meet_rule_address(&none, &own));
    struct netaddr mapped = {
        .family = 6, .ip = {[10] = 0xff, [11] = 0xff, [12] = 8, 8, 4, 4}, .port = 4001};
    assert_false(meet_rule_address(&mapped, &own));
}

static void few_packets_go_to_those_that_never_answered(void **state)
{
    static const struct {
        uint32_t host, all, silent, triggered;
        bool heard, named, may;
    } cases[] = {{.may = true},
                 {MEET_HOST_ROUND - 1, 50, .may = true},
                 {MEET_HOST_ROUND, 50, .may = false},
                 {0, MEET_UNANSWERED_MAX - 1, .may = true},
                 {0, MEET_UNANSWERED_MAX, .may = false},
                 /* a right request came from there, perhaps from a forged source */
                 {MEET_HOST_ROUND, 96, 95, MEET_TRIGGERED_MAX - 1, true, false, true},
                 {MEET_HOST_ROUND, 96, 95, MEET_TRIGGERED_MAX, true, false, false},
                 /* other meetings have sent there, too */
                 {0, 0, 96, 0, true, false, false},
                 {0, 0, 96, 0, false, true, true},
                 {0, 0, 384, 0, true, true, false}};
    (void)state;

    assert_int_equal(MEET_HOST_ROUND, 24);
    assert_int_equal(MEET_UNANSWERED_MAX, 96);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct meet_sent s = {.host_round = cases[i].host,
                              .all = cases[i].all,
                              .silent = cases[i].silent,
                              .triggered = cases[i].triggered,
                              .heard = cases[i].heard,
                              .named = cases[i].named};
        assert_int_equal(meet_rule_unanswered(&s), cases[i].may);
    }
}

#define U MEET_NAT_UNKNOWN
#define I MEET_NAT_INDEPENDENT
#define D MEET_NAT_DEPENDENT

static void which_round_comes_next(void **state)
{
    static const struct {
        enum meet_round last;
        struct meet_sides s;
        enum meet_round next;
        bool hard, says;
    } cases[] = {
        {MEET_PLAIN, {U, U, false, false, true}, MEET_FRESH_PORT, false, false},
        {MEET_PLAIN, {D, D, false, false, true}, MEET_FRESH_PORT, false, false},
        {MEET_FRESH_PORT, {I, I, true, true, false}, MEET_ROUNDS, false, false},
        {MEET_FRESH_PORT, {U, U, false, false, false}, MEET_ROUNDS, false, false},
        {MEET_FRESH_PORT, {D, D, true, true, false}, MEET_ROUNDS, false, true},
        {MEET_FRESH_PORT, {D, I, true, false, false}, MEET_PREDICT, true, false},
        {MEET_FRESH_PORT, {D, U, true, false, true}, MEET_PREDICT, true, false},
        {MEET_FRESH_PORT, {I, D, false, true, false}, MEET_PREDICT, false, false},
        {MEET_FRESH_PORT, {I, D, true, false, false}, MEET_BIRTHDAY, false, false},
        {MEET_FRESH_PORT, {D, I, false, true, false}, MEET_BIRTHDAY, true, false},
        {MEET_FRESH_PORT, {D, I, false, false, true}, MEET_ROUNDS, true, true},
        {MEET_PREDICT, {D, I, true, false, false}, MEET_BIRTHDAY, true, false},
        {MEET_PREDICT, {I, D, false, true, true}, MEET_ROUNDS, false, true},
        {MEET_BIRTHDAY, {D, I, true, false, false}, MEET_ROUNDS, true, true},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *why;
        assert_int_equal(meet_rule_next(cases[i].last, &cases[i].s, &why), cases[i].next);
        assert_int_equal(why[0] != '\0', cases[i].says);
        assert_int_equal(meet_rule_hard(&cases[i].s), cases[i].hard);
    }
}

#define MS NS_PER_MS

static void both_begin_at_once_and_one_before_the_other_with_fresh_ports(void **state)
{
    (void)state;
    assert_int_equal(meet_rule_path(0, 0), 0);
    assert_int_equal(meet_rule_path(20 * MS, 70 * MS), 90 * MS);
    assert_int_equal(meet_rule_path(20 * MS, 0), 40 * MS);
    assert_int_equal(meet_rule_path(0, 70 * MS), 140 * MS);
    assert_int_equal(meet_rule_path(UINT64_MAX, UINT64_MAX), MEET_RTT_MAX);
    assert_int_equal(meet_rule_start(MEET_PLAIN, 0, true, 160 * MS), 0);
    assert_int_equal(meet_rule_start(MEET_PLAIN, 0, false, 160 * MS), 80 * MS);
    assert_int_equal(meet_rule_start(MEET_FRESH_PORT, 0, true, 160 * MS), 80 * MS);
    assert_int_equal(meet_rule_start(MEET_FRESH_PORT, 1, true, 160 * MS), 230 * MS);
    assert_int_equal(meet_rule_start(MEET_FRESH_PORT, 1, false, 160 * MS), 0);
    assert_int_equal(meet_rule_start(MEET_FRESH_PORT, 2, true, 160 * MS), 80 * MS);
    assert_int_equal(meet_rule_start(MEET_FRESH_PORT, 2, false, 0), 150 * MS);
    assert_int_equal(meet_rule_start(MEET_FRESH_PORT, 1, true, 600 * MS), 600 * MS);
    assert_int_equal(meet_rule_start(MEET_PREDICT, 1, true, 160 * MS), 80 * MS);
}

static void the_round_trip_is_measured_without_the_time_of_thinking(void **state)
{
    (void)state;
    assert_int_equal(meet_rule_held(1999 * NS_PER_US), 1);
    assert_int_equal(meet_rule_held(90 * NS_PER_S), 65535);
    assert_int_equal(meet_rule_rtt(160 * MS, 0), 160 * MS);
    assert_int_equal(meet_rule_rtt(1160 * MS, 1000), 160 * MS);
    assert_int_equal(meet_rule_rtt(160 * MS, 1000), 0);
    assert_int_equal(meet_rule_rtt(9 * NS_PER_S, 0), MEET_RTT_MAX);
}

static void rounds_take_as_long_as_their_packets(void **state)
{
    (void)state;
    assert_int_equal(meet_rule_length(MEET_PLAIN, 0, 2), 1000 * MS);
    assert_int_equal(meet_rule_length(MEET_PLAIN, 800 * MS, 0), 2400 * MS);
    assert_int_equal(meet_rule_length(MEET_FRESH_PORT, 0, 2), 1150 * MS);
    assert_int_equal(meet_rule_length(MEET_BIRTHDAY, 0, 2), 3048 * MS);
    assert_int_equal(meet_rule_gap(0), 25 * MS);
    assert_int_equal(meet_rule_gap(5), 250 * MS);
    assert_int_equal(meet_rule_gap(1000), 250 * MS);
}

static void ip6_is_tried_first_then_what_is_near(void **state)
{
    static const enum meet_kind order[] = {MEET_PEER_REFLEXIVE, MEET_HOST, MEET_MAPPED,
                                           MEET_OBSERVED, MEET_PREDICTED};
    unsigned last = 0;
    (void)state;

    for (unsigned family = 6; family >= 4; family -= 2) {
        for (size_t i = 0; i < ARRAY_LEN(order); i++) {
            struct meet_candidate c = {.addr = {.family = (uint8_t)family}, .kind = order[i]};
            assert_true((family == 6 && i == 0) || meet_rule_order(&c) > last);
            last = meet_rule_order(&c);
        }
    }
    assert_true(last < 32);
}

static void ports_are_guessed_within_bounds(void **state)
{
    static bool seen[65536];
    (void)state;

    assert_int_equal(meet_rule_predict(4001, 1, 1), 4002);
    assert_int_equal(meet_rule_predict(4001, 2, 8), 4017);
    assert_int_equal(meet_rule_predict(1024, -1, 1), 65535);
    assert_int_equal(meet_rule_predict(65535, 1, 1), 1024);
    assert_int_equal(meet_rule_predict(30000, INT16_MIN, 8) >= 1024, true);
    for (unsigned stride = 0; stride < 65536; stride += 251) {
        memset(seen, 0, sizeof(seen));
        for (uint32_t i = 0; i < MEET_PROBES; i++) {
            uint16_t port = meet_rule_probe((uint16_t)(stride * 7), (uint16_t)stride, i);
            assert_true(port >= 1024 && !seen[port]);
            seen[port] = true;
        }
    }
}

static void a_birthday_is_for_few_and_seldom(void **state)
{
    const tstamp now = 10000 * NS_PER_S, lately = now - MEET_BIRTHDAY_PAUSE + 1,
                 long_ago = now - MEET_BIRTHDAY_PAUSE;
    const struct {
        struct meet_birthday_asks b;
        bool may;
    } cases[] = {
        {{false, false, false, false, 0, 0}, true},
        {{true, false, false, false, 0, 0}, true},
        {{false, true, false, false, 0, 0}, true},
        {{true, true, true, false, 0, 0}, false},
        {{true, true, false, true, 0, 0}, false},
        {{true, true, false, false, lately, 0}, false},
        {{true, true, false, false, 0, lately}, false},
        {{true, true, false, false, long_ago, long_ago}, true},
    };
    (void)state;

    assert_int_equal(MEET_BIRTHDAY_PAUSE, 600 * NS_PER_S);
    assert_true(meet_rule_birthday(&cases[0].b, NS_PER_S)); /* a clock that has just begun */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(meet_rule_birthday(&cases[i].b, now), cases[i].may);
        bool trusted = cases[i].b.attested || cases[i].b.named;
        assert_int_equal(meet_rule_probes(&cases[i].b, false), trusted ? 1024 : 96);
        assert_int_equal(meet_rule_probes(&cases[i].b, true), trusted ? 768 : 96);
    }
}

/* A step is taken blindly; from then on a step more than was seen to go well, so that nobody waits for each answer. */
static void ports_are_taken_in_steps(void **state)
{
    (void)state;
    assert_int_equal(meet_rule_ports(0), 48);
    assert_int_equal(meet_rule_ports(48), 144);
    assert_int_equal(meet_rule_ports(96), 192);
}

static void the_next_try_comes_later_the_less_it_promises(void **state)
{
    (void)state;
    assert_int_equal(meet_rule_pause(MEET_WENT_WELL, 0), 0);
    assert_int_equal(meet_rule_pause(MEET_ALL_TRIED, 1), 3600 * NS_PER_S);
    assert_int_equal(meet_rule_pause(MEET_BROKEN, 0), 30 * NS_PER_S);
    assert_int_equal(meet_rule_pause(MEET_BROKEN, 1), 30 * NS_PER_S);
    assert_int_equal(meet_rule_pause(MEET_BROKEN, 3), 120 * NS_PER_S);
    assert_int_equal(meet_rule_pause(MEET_BROKEN, 1000), 960 * NS_PER_S);
    assert_int_equal(meet_rule_pause(MEET_NOT_NOW, 5), 120 * NS_PER_S);
    assert_int_equal(meet_rule_pause(MEET_SHORT_HERE, 5), 10 * NS_PER_S);
}

static void reasons_say_what_came(void **state)
{
    struct meet_look look = {.received = 0};
    (void)state;

    assert_string_equal(meet_rule_reason(&look, 0, "x"),
                        "none of the peer's addresses can be tried from here");
    assert_string_equal(meet_rule_reason(&look, 1, "x"), "x");
    assert_string_equal(meet_rule_reason(&look, 1, ""),
                        "nothing of the peer's arrived: a router or firewall on the way drops it");
    look.received = 1;
    assert_string_equal(meet_rule_reason(&look, 1, "x"),
                        "the peer's packets arrive here, but none of ours is answered");
}

static void who_gives_way_to_whom(void **state)
{
    static const tstamp now = 100 * NS_PER_S, turn = MEET_TURN;
    static const struct {
        const char *what;
        struct meet_place held[3], asks;
        size_t goes; /* 3: nobody */
    } cases[] = {
        {"named: the oldest that is not",
         {{1, true, 1, 0}, {1, false, 9, 0}, {1, false, 8, 0}},
         {1, true, 0, 0},
         2},
        {"named: at once",
         {{1, true, 1, 0}, {1, true, 1, 0}, {1, false, now, 0}},
         {1, true, 0, 0},
         2},
        {"named: of the network with most",
         {{1, false, 5, 0}, {2, false, 6, 0}, {2, false, 7, 0}},
         {2, true, 0, 0},
         1},
        {"named among named: after a turn",
         {{1, true, now - turn + 1, 0}, {2, true, now - turn, 0}, {3, true, now, 0}},
         {4, true, 0, 0},
         1},
        {"named among named: not before",
         {{1, true, now - turn + 1, 0}, {2, true, now, 0}, {3, true, now, 0}},
         {4, true, 0, 0},
         3},
        {"not named: after a turn",
         {{1, false, now - turn - 1, 0}, {1, false, now - turn - 2, 0}, {1, false, now, 0}},
         {1, false, 0, 0},
         1},
        {"not named: not before",
         {{1, false, now - turn + 1, 0}, {1, false, now, 0}, {1, false, now, 0}},
         {2, false, 0, 0},
         3},
        {"not named: of the network with most",
         {{1, false, 1, 0}, {2, false, 2, 0}, {2, false, 3, 0}},
         {1, false, 0, 0},
         1},
        {"not named: no named one, however long",
         {{1, true, 1, 0}, {1, true, 1, 0}, {1, true, 1, 0}},
         {2, false, 0, 0},
         3},
        {"of one moment: who was there before",
         {{1, false, 1, 5}, {1, false, 1, 4}, {1, false, 1, 6}},
         {1, true, 0, 0},
         1},
        {"not named: the other",
         {{1, true, 1, 0}, {1, false, 2, 0}, {1, true, 1, 0}},
         {2, false, 0, 0},
         1},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t goes = meet_rule_gives_way(cases[i].held, 3, &cases[i].asks, now);
        if (goes != cases[i].goes) {
            fail_msg("%s: %zu", cases[i].what, goes);
        }
    }
}

static void a_birthday_is_kept_for_a_turn(void **state)
{
    static const tstamp now = 100 * NS_PER_S;
    const struct meet_place fresh = {.since = now - MEET_TURN + 1},
                            old = {.since = now - MEET_TURN};
    const struct meet_place named = {.named = true, .since = now - MEET_TURN + 1};
    const struct meet_place named_old = {.named = true, .since = now - MEET_TURN};
    (void)state;

    assert_true(meet_rule_birthday_keeps(&fresh, false, now));
    assert_false(meet_rule_birthday_keeps(&fresh, true, now)); /* at once */
    assert_false(meet_rule_birthday_keeps(&old, false, now));
    assert_true(meet_rule_birthday_keeps(&named, true, now));
    assert_false(meet_rule_birthday_keeps(&named_old, true, now));
    assert_true(meet_rule_birthday_keeps(&named_old, false, now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_addresses_are_sent_to),
        cmocka_unit_test(few_packets_go_to_those_that_never_answered),
        cmocka_unit_test(which_round_comes_next),
        cmocka_unit_test(both_begin_at_once_and_one_before_the_other_with_fresh_ports),
        cmocka_unit_test(the_round_trip_is_measured_without_the_time_of_thinking),
        cmocka_unit_test(rounds_take_as_long_as_their_packets),
        cmocka_unit_test(ip6_is_tried_first_then_what_is_near),
        cmocka_unit_test(ports_are_guessed_within_bounds),
        cmocka_unit_test(a_birthday_is_for_few_and_seldom),
        cmocka_unit_test(who_gives_way_to_whom),
        cmocka_unit_test(a_birthday_is_kept_for_a_turn),
        cmocka_unit_test(ports_are_taken_in_steps),
        cmocka_unit_test(the_next_try_comes_later_the_less_it_promises),
        cmocka_unit_test(reasons_say_what_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
