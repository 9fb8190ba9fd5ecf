/* own_addrs_test.c - what others are told of our addresses, by its sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/own_addrs.h"

#include <stdio.h>
#include <string.h>

static struct multiaddr quic(const char *ip, unsigned port)
{
    struct netaddr a = {.port = (uint16_t)port};
    struct multiaddr m;

    assert_int_equal(netaddr_parse_ip(&a, ip), QUDAG_OK);
    multiaddr_quic(&m, &a, NULL);
    return m;
}

/* A link with an observer at |ip|. */
static struct link_info from(const char *ip, uint8_t props)
{
    struct link_info l = {.props = props, .remote = quic(ip, 4001)};
    uint8_t pk[32];

    for (size_t i = 0; i < sizeof(pk); i++) {
        pk[i] = (uint8_t)((size_t)ip[i % strlen(ip)] + i);
    }
    peer_id_from_ed25519(&l.peer, pk);
    return l;
}

static tstamp now = NS_PER_S;

/* Each observation comes when the last change is old enough for another. */
static bool observed(struct node_own_addrs *o, const char *by, const char *ip, unsigned port)
{
    struct link_info l = from(by, 0);
    struct multiaddr at = quic(ip, port);

    now += NODE_OWN_HOLD;
    return node_own_observed(o, &l, &at, now);
}

static bool set_local(struct node_own_addrs *o, const char *const *ip, size_t n)
{
    struct multiaddr m[12];

    for (size_t i = 0; i < n; i++) {
        m[i] = quic(ip[i], 4433);
    }
    return node_own_set_local(o, m, n);
}

static void assert_announced(const struct node_own_addrs *o, const char *const *want)
{
    char text[MULTIADDR_TEXT_MAX];
    size_t n = 0;

    for (; want[n] != NULL; n++) {
        assert_true(n < o->n_announced);
        assert_true(multiaddr_text(text, sizeof(text), &o->announced[n]) > 0);
        assert_string_equal(text, want[n]);
    }
    assert_int_equal(o->n_announced, n);
}

#define WANT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void of_local_addresses_only_global_ones_are_announced(void **state)
{
    static const char *const all[] = {"127.0.0.1", "172.17.0.1",  "10.8.0.2", "5.9.1.1",
                                      "::1",       "2a00:1:2::3", "fd00::1"};
    struct node_own_addrs o = {0};
    (void)state;

    assert_true(set_local(&o, all, ARRAY_LEN(all)));
    assert_announced(&o,
                     WANT("/ip4/5.9.1.1/udp/4433/quic-v1", "/ip6/2a00:1:2::3/udp/4433/quic-v1"));
    assert_false(set_local(&o, all, ARRAY_LEN(all)));
    assert_true(set_local(&o, all, 3)); /* only private ones: nothing is told */
    assert_announced(&o, WANT(NULL));
    o = (struct node_own_addrs){.lab = true};
    assert_true(set_local(&o, all, 2));
    assert_announced(&o,
                     WANT("/ip4/127.0.0.1/udp/4433/quic-v1", "/ip4/172.17.0.1/udp/4433/quic-v1"));
}

static void four_networks_confirm_an_address_and_fewer_do_not(void **state)
{
    static const char *const home[] = {"192.168.1.7"};
    struct node_own_addrs o = {0};
    (void)state;

    set_local(&o, home, 1);
    assert_false(observed(&o, "11.1.0.1", "5.9.1.1", 4433));
    assert_false(observed(&o, "11.1.200.9", "5.9.1.1", 4433)); /* the same /16 */
    assert_false(observed(&o, "11.1.3.3", "5.9.1.1", 4433));
    assert_false(observed(&o, "11.2.0.1", "5.9.1.1", 4433));
    assert_false(observed(&o, "11.3.0.1", "5.9.1.1", 4433));
    assert_false(observed(&o, "11.4.0.1", "5.9.1.1", 4434)); /* another port */
    assert_announced(&o, WANT(NULL));
    assert_true(observed(&o, "11.5.0.1", "5.9.1.1", 4433));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    for (unsigned i = 1; i <= 3; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "2a00:%u::1", i);
        assert_false(observed(&o, ip, "2a00:9::1", 4433));
        (void)snprintf(ip, sizeof(ip), "2a00:1:%u::1", i); /* the same /32 */
        assert_false(observed(&o, ip, "2a00:9::1", 4433));
    }
    assert_true(observed(&o, "2a00:4::1", "2a00:9::1", 4433));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1", "/ip6/2a00:9::1/udp/4433/quic-v1"));
    assert_true(set_local(&o, NULL, 0)); /* another network: what was seen before counts no more */
    assert_announced(&o, WANT(NULL));
}

static void one_network_has_one_voice_and_may_change_its_mind(void **state)
{
    struct node_own_addrs o = {0};
    (void)state;

    for (unsigned i = 1; i <= 4; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        (void)observed(&o, ip, "5.9.1.1", 4433);
    }
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    assert_true(observed(&o, "11.2.7.7", "5.9.1.2", 4433));
    assert_announced(&o, WANT(NULL));
}

/* A router that restarts gives another address: the later voices decide, and the liars are a minority. */
static void the_latest_voices_decide(void **state)
{
    struct node_own_addrs o = {0};
    (void)state;

    for (unsigned i = 0; i < 8; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        (void)observed(&o, ip, "5.9.1.1", 4433);
    }
    for (unsigned i = 0; i < 3; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "12.%u.0.1", i);
        assert_false(observed(&o, ip, "6.6.6.6", 53));
    }
    assert_false(observed(&o, "12.3.0.1", "5.9.1.9", 4433));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    for (unsigned i = 0; i < 4; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "13.%u.0.1", i);
        (void)observed(&o, ip, "5.9.1.9", 4433);
    }
    assert_announced(&o, WANT("/ip4/5.9.1.9/udp/4433/quic-v1"));
}

/* Who has networks enough could else make us publish anew without end. */
static void observers_change_little_in_a_minute(void **state)
{
    struct node_own_addrs o = {0};
    struct multiaddr at = quic("5.9.1.2", 4433);
    (void)state;

    for (unsigned i = 1; i <= 4; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        (void)observed(&o, ip, "5.9.1.1", 4433);
    }
    struct link_info l = from("11.2.7.7", 0);
    assert_false(node_own_observed(&o, &l, &at, now + NODE_OWN_HOLD - 1));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    assert_true(node_own_observed(&o, &l, &at, now + NODE_OWN_HOLD));
    assert_announced(&o, WANT(NULL));
}

static void what_proves_nothing_is_not_counted(void **state)
{
    static const struct {
        unsigned by; /* first byte of the observers' addresses */
        uint8_t props;
        const char *seen;
    } row[] = {
        {11, LINK_ANON, "5.9.1.1"}, {11, LINK_RELAYED, "5.9.1.1"}, {10, 0, "5.9.1.1"},
        {127, 0, "5.9.1.1"},        {11, 0, "192.168.1.7"},        {11, 0, "127.0.0.1"},
        {11, 0, "2002:7f00:1::"},   {11, 0, "224.0.0.1"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct node_own_addrs o = {0};
        for (unsigned k = 0; k < 8; k++) {
            char ip[32];
            (void)snprintf(ip, sizeof(ip), "%u.%u.0.1", row[i].by, k);
            struct link_info l = from(ip, row[i].props);
            struct multiaddr at = quic(row[i].seen, 4433);
            assert_false(node_own_observed(&o, &l, &at, now));
        }
        assert_announced(&o, WANT(NULL));
    }
}

/*
 * A host without IPv6 could else be made to tell any IPv6 address by whoever has four networks; the same one told by
 * all such hosts puts them into one network, so that no path has two of them.
 */
static void an_address_is_seen_over_its_own_ip_version_only(void **state)
{
    static const char *const local[] = {"5.9.1.1"};
    struct node_own_addrs o = {0};
    (void)state;

    set_local(&o, local, 1);
    for (unsigned i = 0; i < 8; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        assert_false(observed(&o, ip, "2a00:9::1", 4433));
    }
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    o = (struct node_own_addrs){0};
    for (unsigned i = 0; i < 8; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "2a00:%u::1", i);
        assert_false(observed(&o, ip, "5.9.1.1", 4433));
    }
    assert_announced(&o, WANT(NULL));
}

static struct multiaddr tcp(const char *ip, unsigned port)
{
    struct netaddr a = {.port = (uint16_t)port};
    struct multiaddr m;

    assert_int_equal(netaddr_parse_ip(&a, ip), QUDAG_OK);
    multiaddr_tcp(&m, &a, NULL);
    return m;
}

/* Whoever dialled us over TCP saw the port at which we listen; whoever we dialled saw one at which nobody does. */
static void tcp_addresses_are_confirmed_by_those_who_dialled_them(void **state)
{
    static const char *const by[] = {"8.1.0.1", "8.2.0.1", "8.3.0.1", "8.4.0.1"};
    struct node_own_addrs o = {0};
    struct multiaddr at = tcp("9.9.9.9", 4001), udp = quic("9.9.9.9", 4001), out[2];
    (void)state;

    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(by); i++) {
            struct link_info l = from(by[i], round == 0 ? 0 : LINK_INBOUND);
            l.remote = tcp(by[i], 50000);
            now += NODE_OWN_HOLD;
            assert_false(node_own_may_see(&l, &udp)); /* another transport */
            assert_int_equal(node_own_may_see(&l, &at), round == 1);
            (void)node_own_observed(&o, &l, &at, now);
        }
        assert_int_equal(o.n_announced, round);
    }
    assert_true(multiaddr_eq(&o.announced[0], &at));
    assert_int_equal(node_own_for_cells(&o, out, 2), 0);
    assert_true(node_own_set(&o, &udp, 1));
    assert_int_equal(node_own_for_cells(&o, out, 2), 1);
    assert_true(multiaddr_eq(&out[0], &udp));
}

static void a_family_with_a_global_address_of_its_own_needs_no_observers(void **state)
{
    static const char *const both[] = {"5.9.1.1", "fd00::1"};
    struct node_own_addrs o = {0};
    (void)state;

    set_local(&o, both, 2);
    for (unsigned i = 0; i < 4; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        assert_false(observed(&o, ip, "5.9.1.1", 61000));
        (void)snprintf(ip, sizeof(ip), "2a00:%u::1", i);
        (void)observed(&o, ip, "2a00:9::1", 4433);
    }
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1", "/ip6/2a00:9::1/udp/4433/quic-v1"));
}

static void what_the_operator_set_is_announced_alone(void **state)
{
    static const char *const local[] = {"5.9.1.1"};
    struct multiaddr m[2] = {quic("9.9.9.9", 443), quic("9.9.9.9", 443)};
    struct node_own_addrs o = {0};
    (void)state;

    set_local(&o, local, 1);
    assert_true(node_own_set(&o, m, 2)); /* named twice, told once */
    assert_announced(&o, WANT("/ip4/9.9.9.9/udp/443/quic-v1"));
    assert_false(set_local(&o, NULL, 0));
    for (unsigned i = 0; i < 4; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        assert_false(observed(&o, ip, "5.9.1.1", 4433));
    }
    assert_true(node_own_set(&o, NULL, 0));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
}

static void of_more_addresses_than_fit_the_first_are_taken(void **state)
{
    struct node_own_addrs o = {0};
    char text[12][32];
    const char *ip[12];
    (void)state;

    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "5.9.1.%u", i + 1);
        ip[i] = text[i];
    }
    assert_true(set_local(&o, ip, 12));
    assert_int_equal(o.n_announced, NODE_OWN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_local_addresses_only_global_ones_are_announced),
        cmocka_unit_test(four_networks_confirm_an_address_and_fewer_do_not),
        cmocka_unit_test(one_network_has_one_voice_and_may_change_its_mind),
        cmocka_unit_test(the_latest_voices_decide),
        cmocka_unit_test(observers_change_little_in_a_minute),
        cmocka_unit_test(what_proves_nothing_is_not_counted),
        cmocka_unit_test(an_address_is_seen_over_its_own_ip_version_only),
        cmocka_unit_test(tcp_addresses_are_confirmed_by_those_who_dialled_them),
        cmocka_unit_test(a_family_with_a_global_address_of_its_own_needs_no_observers),
        cmocka_unit_test(what_the_operator_set_is_announced_alone),
        cmocka_unit_test(of_more_addresses_than_fit_the_first_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
