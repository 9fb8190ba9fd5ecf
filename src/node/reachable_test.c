/* reachable_test.c - what is wanted of being reachable, by what the node does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/autonat.h"
#include "node/reachable.h"

#define A NODE_REACHABLE_AUTO
#define Y NODE_REACHABLE_YES
#define N NODE_REACHABLE_NO

static void what_is_wanted_follows_from_what_is_served(void **state)
{
    static const struct {
        struct node_wants_of of; /* setting, relay, DHT, circuit relay, peers, lab */
        struct node_wants wants; /* announce, probe, map, places, publish */
    } row[] = {
        {{A, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}}, /* only uses circuits */
        {{A, 1, 0, 0, 0, 0}, {1, 1, 1, 0, 0}}, /* serves, but nobody looks for it by name */
        {{A, 0, 1, 0, 0, 0}, {1, 1, 1, 0, 0}}, {{A, 0, 0, 1, 0, 0}, {1, 1, 1, 0, 0}},
        {{A, 0, 0, 0, 1, 0}, {1, 1, 1, 1, 1}}, {{A, 1, 1, 1, 1, 0}, {1, 1, 1, 1, 1}},
        {{A, 0, 0, 0, 0, 1}, {1, 0, 0, 0, 0}}, {{A, 1, 1, 1, 1, 1}, {1, 0, 0, 0, 0}},
        {{Y, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1}}, {{Y, 0, 0, 0, 0, 1}, {1, 1, 1, 1, 1}},
        {{N, 1, 1, 1, 1, 0}, {0, 0, 0, 0, 0}}, {{N, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct node_wants w = node_rule_wants(&row[i].of);
        assert_int_equal(w.announce, row[i].wants.announce);
        assert_int_equal(w.probe, row[i].wants.probe);
        assert_int_equal(w.map, row[i].wants.map);
        assert_int_equal(w.places, row[i].wants.places);
        assert_int_equal(w.publish, row[i].wants.publish);
    }
}

static struct multiaddr addr(const char *text)
{
    struct multiaddr m;

    assert_int_equal(multiaddr_parse(&m, text), QUDAG_OK);
    return m;
}

/* Over a relay, from a private address or of another IP version a dial-back shows nothing, or costs. */
static void who_may_be_asked_to_dial_back(void **state)
{
    static const struct {
        const char *remote, *addr;
        uint8_t props;
        bool same, lab, may;
    } row[] = {
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/udp/1/quic-v1", 0, true, false, true},
        {"/ip4/8.1.1.1/tcp/1", "/ip4/5.9.1.1/udp/1/quic-v1", 0, true, false, true},
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/udp/1/quic-v1", LINK_RELAYED, true, false,
         false},
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/udp/1/quic-v1", LINK_ANON, true, false, false},
        {"/ip4/10.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/udp/1/quic-v1", 0, true, false, false},
        {"/ip4/10.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/udp/1/quic-v1", 0, true, true, true},
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip6/2a00:1::1/udp/1/quic-v1", 0, true, false, false},
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip6/2a00:1::1/udp/1/quic-v1", 0, false, false, true},
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/tcp/1", 0, true, false, true},
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/tcp/1", LINK_QUDAG, true, false, false},
        {"/ip4/8.1.1.1/udp/1/quic-v1", "/ip4/5.9.1.1/udp/1/quic-v1", LINK_QUDAG, true, false, true},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct link_info link = {.props = row[i].props, .remote = addr(row[i].remote)};
        struct multiaddr a = addr(row[i].addr);
        assert_int_equal(node_rule_autonat_server(&link, &a, row[i].same, row[i].lab), row[i].may);
    }
}

static void who_answers_in_the_dht(void **state)
{
    struct reach_view open = {.announces = true}, unknown = {0}, closed = {.all_private = true};
    (void)state;

    assert_true(node_rule_dht_server(&open, true, true));
    assert_true(node_rule_dht_server(&unknown, true, true));
    assert_false(node_rule_dht_server(&closed, true, true));
    assert_false(node_rule_dht_server(&open, false, true));
    assert_false(node_rule_dht_server(&unknown, true, false));
    assert_true(node_rule_dht_server(&open, true, false)); /* at the operator's addresses */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wanted_follows_from_what_is_served),
        cmocka_unit_test(who_may_be_asked_to_dial_back),
        cmocka_unit_test(who_answers_in_the_dht),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
