/* udp_test.c - where datagrams do not pass: how that is known, and which address of TCP is tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/tcp.h"

#include <stdio.h>

static void it_is_blocked_where_nothing_came_though_some_were_sent_and_tcp_works(void **state)
{
    static const struct {
        struct node_udp_view v;
        enum node_udp is;
    } t[] = {
        {{0, 0, false}, NODE_UDP_UNKNOWN},
        {{0, 0, true}, NODE_UDP_UNKNOWN},
        {{NODE_UDP_ENOUGH - 1, 0, true}, NODE_UDP_UNKNOWN},
        {{NODE_UDP_ENOUGH, 0, true}, NODE_UDP_BLOCKED},
        {{100, 0, false}, NODE_UDP_UNKNOWN}, /* no network at all */
        {{100, 1, true}, NODE_UDP_PASSES},
        {{0, 1, false}, NODE_UDP_PASSES},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(node_rule_udp(&t[i].v), t[i].is);
    }
}

static void the_twin_of_an_address_of_quic_is_the_same_port_of_tcp(void **state)
{
    static const char id[] = "/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
    static const struct {
        const char *quic, *tcp;
    } t[] = {
        {"/ip4/8.8.8.8/udp/4433/quic-v1", "/ip4/8.8.8.8/tcp/4433"},
        {"/ip6/2a00::1/udp/4433/quic-v1", "/ip6/2a00::1/tcp/4433"},
        {"/ip4/8.8.8.8/tcp/4433", NULL},
        {"/ip4/8.8.8.8/udp/0/quic-v1", NULL},
        {"/dns4/example.com/udp/4433/quic-v1", NULL},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t) * 2; i++) {
        char from[MULTIADDR_TEXT_MAX], to[MULTIADDR_TEXT_MAX], got[MULTIADDR_TEXT_MAX];
        const char *quic = t[i / 2].quic, *tcp = t[i / 2].tcp, *end = i % 2 == 1 ? id : "";
        struct multiaddr a, twin;
        (void)snprintf(from, sizeof from, "%s%s", quic, end);
        (void)snprintf(to, sizeof to, "%s%s", tcp != NULL ? tcp : "", end);
        if (multiaddr_parse(&a, from) != QUDAG_OK) {
            continue;
        }
        assert_int_equal(node_rule_tcp_twin(&a, &twin), tcp != NULL);
        if (tcp != NULL) {
            assert_true(multiaddr_text(got, sizeof got, &twin) > 0);
            assert_string_equal(got, to);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_blocked_where_nothing_came_though_some_were_sent_and_tcp_works),
        cmocka_unit_test(the_twin_of_an_address_of_quic_is_the_same_port_of_tcp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
