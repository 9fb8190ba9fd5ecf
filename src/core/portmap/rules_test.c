/* rules_test.c - what of a router's answers is believed, and how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/portmap/portmap.h"

static void what_an_external_address_is_worth(void **state)
{
    static const struct {
        const char *ip;
        uint16_t port;
        enum portmap_worth worth;
    } t[] = {
        {"25.1.2.3", 1, PORTMAP_GLOBAL},      {"25.1.2.3", 0, PORTMAP_USELESS},
        {"0.0.0.0", 1, PORTMAP_USELESS},      {"::", 1, PORTMAP_USELESS},
        {"127.0.0.1", 1, PORTMAP_USELESS},    {"::1", 1, PORTMAP_USELESS},
        {"10.1.1.1", 1, PORTMAP_LOCAL},       {"100.64.0.1", 1, PORTMAP_LOCAL},
        {"192.168.0.2", 1, PORTMAP_LOCAL},    {"172.16.0.1", 1, PORTMAP_LOCAL},
        {"224.0.0.1", 1, PORTMAP_USELESS},    {"255.255.255.255", 1, PORTMAP_USELESS},
        {"198.51.100.1", 1, PORTMAP_USELESS}, {"2a00:1::1", 1, PORTMAP_GLOBAL},
        {"fd00::1", 1, PORTMAP_LOCAL},        {"ff02::1", 1, PORTMAP_USELESS},
        {"2001:db8::1", 1, PORTMAP_USELESS},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct netaddr a = {.port = t[i].port};
        assert_int_equal(netaddr_parse_ip(&a, t[i].ip), QUDAG_OK);
        assert_int_equal(portmap_rule_external(&a), t[i].worth);
    }
}

static void lifetimes_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(portmap_rule_life(0), PORTMAP_LIFE_MIN);
    assert_int_equal(portmap_rule_life(PORTMAP_LIFE_MIN - 1), PORTMAP_LIFE_MIN);
    assert_int_equal(portmap_rule_life(7200), 7200);
    assert_int_equal(portmap_rule_life(PORTMAP_LIFE_MAX), PORTMAP_LIFE_MAX);
    assert_int_equal(portmap_rule_life(UINT32_MAX), PORTMAP_LIFE_MAX);
}

static void the_epoch_tells_a_lost_state(void **state)
{
    (void)state;
    assert_false(portmap_rule_rebooted(100, 130, 30));
    assert_false(portmap_rule_rebooted(100, 132, 30)); /* clocks differ, and seconds are cut */
    assert_false(portmap_rule_rebooted(100, 99, 0));   /* two answers that passed each other */
    assert_true(portmap_rule_rebooted(100, 98, 0));
    assert_true(portmap_rule_rebooted(100, 3, 30));
    assert_true(portmap_rule_rebooted(100, 120, 60));     /* it began again, and is older already */
    assert_true(portmap_rule_rebooted(100, 1000, 30));    /* another one */
    assert_false(portmap_rule_rebooted(0, 16000, 15000)); /* a sixteenth */
    assert_true(portmap_rule_rebooted(0, 16100, 15000));
    assert_false(portmap_rule_rebooted(0, 15002, 16000));
    assert_true(portmap_rule_rebooted(0, 14900, 16000));
    assert_false(portmap_rule_rebooted(UINT32_MAX - 10, UINT32_MAX, 10));
}

static void renewals_come_at_half_of_what_is_left(void **state)
{
    (void)state;
    assert_int_equal(portmap_rule_renew(3600 * NS_PER_S), 1800 * NS_PER_S);
    assert_int_equal(portmap_rule_renew(8 * NS_PER_S), 4 * NS_PER_S);
    assert_int_equal(portmap_rule_renew(7 * NS_PER_S), 4 * NS_PER_S);
    assert_int_equal(portmap_rule_renew(0), 4 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_external_address_is_worth),
        cmocka_unit_test(lifetimes_are_bounded),
        cmocka_unit_test(the_epoch_tells_a_lost_state),
        cmocka_unit_test(renewals_come_at_half_of_what_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
