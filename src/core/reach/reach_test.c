/* reach_test.c - what is known of our addresses by its sources, and what follows: what is announced, and the view. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/reach/reach_int.h"

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
static bool observed(struct reach *o, const char *by, const char *ip, unsigned port)
{
    struct link_info l = from(by, 0);
    struct multiaddr at = quic(ip, port);

    now += REACH_HOLD;
    return reach_observed(o, &l, &at, now);
}

static bool set_local(struct reach *o, const char *const *ip, size_t n)
{
    struct multiaddr m[12];

    for (size_t i = 0; i < n; i++) {
        m[i] = quic(ip[i], 4433);
    }
    return reach_set_bound(o, m, n, now);
}

static void assert_announced(const struct reach *o, const char *const *want)
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
    struct reach o = {0};
    (void)state;

    assert_true(set_local(&o, all, ARRAY_LEN(all)));
    assert_announced(&o,
                     WANT("/ip4/5.9.1.1/udp/4433/quic-v1", "/ip6/2a00:1:2::3/udp/4433/quic-v1"));
    assert_false(set_local(&o, all, ARRAY_LEN(all)));
    assert_true(set_local(&o, all, 3)); /* only private ones: nothing is told */
    assert_announced(&o, WANT(NULL));
    o = (struct reach){.lab = true};
    assert_true(set_local(&o, all, 2));
    assert_announced(&o,
                     WANT("/ip4/127.0.0.1/udp/4433/quic-v1", "/ip4/172.17.0.1/udp/4433/quic-v1"));
}

/* The server at |by| dialled us at |ip|, or could not; each comes when the last change is old enough. */
static bool answered(struct reach *o, const char *by, const char *ip, bool yes)
{
    struct link_info l = from(by, 0);
    struct reach_server server = {.addr = l.remote, .peer = l.peer};
    struct multiaddr at = quic(ip, 4433);

    now += REACH_HOLD;
    return reach_answered(o, &at, &server, yes, now);
}

/* Servers in |n| networks from |first| on; whether the last of them changed something. */
static bool servers(struct reach *o, unsigned first, unsigned n, const char *ip, bool yes)
{
    bool changed = false;

    for (unsigned i = 0; i < n; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "12.%u.0.1", first + i);
        changed = answered(o, by, ip, yes);
    }
    return changed;
}

static void observers(struct reach *o, unsigned first, unsigned n, const char *ip)
{
    for (unsigned i = 0; i < n; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "11.%u.0.1", first + i);
        (void)observed(o, by, ip, 4433);
    }
}

static struct reach_addr look(const struct reach *o, const char *ip)
{
    struct multiaddr want = quic(ip, 4433);
    struct reach_addr a;

    for (size_t it = 0; reach_addr_next(o, &it, &a);) {
        if (multiaddr_eq(&a.addr, &want)) {
            return a;
        }
    }
    return (struct reach_addr){.addr.len = 0};
}

static const char *const home[] = {"192.168.1.7"};

static void what_others_see_is_announced_once_four_networks_have_dialled_it(void **state)
{
    struct reach o = {0};
    (void)state;

    set_local(&o, home, 1);
    observers(&o, 1, 8, "5.9.1.1"); /* however many see it */
    assert_announced(&o, WANT(NULL));
    assert_false(answered(&o, "12.1.0.1", "5.9.1.1", true));
    assert_false(answered(&o, "12.1.200.9", "5.9.1.1", true)); /* the same /16 */
    assert_false(answered(&o, "12.2.0.1", "5.9.1.1", true));
    assert_false(answered(&o, "12.3.0.1", "5.9.1.1", true));
    assert_false(answered(&o, "12.4.0.1", "5.9.1.2", true)); /* no address of ours */
    assert_announced(&o, WANT(NULL));
    assert_true(answered(&o, "12.4.0.1", "5.9.1.1", true));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    assert_int_equal(o.view.ip4.state, REACH_PUBLIC);
    assert_true(
        o.view.needs_places); /* a NAT that lets in whom we sent something may look like that */
    struct reach_family open = {.mapping = REACH_NAT_INDEPENDENT, .filter = REACH_NAT_INDEPENDENT};
    assert_true(reach_nat_seen(&o, 4, &open, now));
    assert_false(o.view.needs_places);
    assert_true(set_local(&o, NULL, 0)); /* another network: what was seen before counts no more */
    assert_announced(&o, WANT(NULL));
}

/* Networks have one voice each, so identities enough in one of them change nothing. */
static void one_network_has_one_voice_and_may_change_its_mind(void **state)
{
    static const char *const bound[] = {"5.9.1.1"};
    struct reach o = {0};
    (void)state;

    set_local(&o, bound, 1);
    for (unsigned i = 1; i < 100; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "12.7.1.%u", i);
        assert_false(answered(&o, by, "5.9.1.1", false));
    }
    assert_int_equal(look(&o, "5.9.1.1").refuted, 1);
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    (void)answered(&o, "12.7.1.1", "5.9.1.1", true);
    assert_int_equal(look(&o, "5.9.1.1").refuted, 0);
    assert_int_equal(look(&o, "5.9.1.1").confirmed, 1);
}

/* A socket's address is announced from the beginning, so that a network may begin; a firewall before it shows later. */
static void a_socket_s_address_is_announced_until_it_is_refuted(void **state)
{
    static const char *const bound[] = {"5.9.1.1", "2a00:1:2::3"};
    struct reach o = {0};
    (void)state;

    set_local(&o, bound, 2);
    assert_int_equal(o.view.ip4.state, REACH_UNKNOWN);
    assert_true(o.view.serves && !o.view.needs_places);
    (void)servers(&o, 1, 3, "5.9.1.1", false);
    assert_int_equal(o.n_announced, 2);
    assert_true(servers(&o, 4, 1, "5.9.1.1", false));
    assert_announced(&o, WANT("/ip6/2a00:1:2::3/udp/4433/quic-v1"));
    assert_int_equal(o.view.ip4.state, REACH_PRIVATE);
    assert_true(o.view.serves && o.view.needs_places && !o.view.all_private);
    (void)servers(&o, 1, 4, "2a00:1:2::3", false);
    assert_announced(&o, WANT(NULL));
    assert_true(o.view.all_private && !o.view.serves && o.view.needs_places);
    assert_true(servers(&o, 5, 4, "5.9.1.1", true) || o.view.serves == false);
    assert_int_equal(look(&o, "5.9.1.1").verdict, REACH_REFUTED); /* four against four */
    assert_true(servers(&o, 9, 1, "5.9.1.1", true));              /* the oldest voice is gone */
    assert_int_equal(look(&o, "5.9.1.1").verdict, REACH_CONFIRMED);
    assert_true(o.view.serves && !o.view.all_private && !o.view.needs_places);
}

/* Four networks that lie make no public node disappear while one that does not has dialled it within the hour. */
static void one_dial_back_within_the_hour_outweighs_all_who_say_no(void **state)
{
    struct reach_word w[REACH_VOICES] = {{.net = 1, .at = 100 * REACH_HOUR, .yes = true}};
    enum reach_verdict v = REACH_UNTRIED;
    (void)state;

    for (uint64_t i = 1; i < REACH_VOICES; i++) {
        w[i] = (struct reach_word){.net = 1 + i, .at = 100 * REACH_HOUR};
    }
    v = reach_rule_verdict(v, w, 101 * REACH_HOUR);
    assert_int_equal(v, REACH_UNTRIED);
    assert_int_equal(reach_rule_verdict(REACH_CONFIRMED, w, 101 * REACH_HOUR), REACH_CONFIRMED);
    assert_int_equal(reach_rule_verdict(v, w, 101 * REACH_HOUR + 1), REACH_REFUTED);
    w[REACH_AGREE].net = 0; /* three say no, and one yes */
    assert_int_equal(reach_rule_verdict(v, w, 101 * REACH_HOUR + 1), REACH_UNTRIED);
    w[0].yes = false;
    assert_int_equal(reach_rule_verdict(v, w, 101 * REACH_HOUR), REACH_REFUTED);
    assert_int_equal(reach_rule_verdict(v, w, 100 * REACH_HOUR + REACH_LIFE + 1), REACH_UNTRIED);
}

static void what_the_router_opened_is_announced_once_it_was_dialled(void **state)
{
    struct reach o = {0};
    struct multiaddr at = quic("5.9.1.1", 4433);
    (void)state;

    set_local(&o, home, 1);
    (void)reach_mapped(&o, &at, false, now);
    assert_announced(&o, WANT(NULL));
    assert_int_equal(look(&o, "5.9.1.1").source, REACH_MAPPED);
    assert_true(servers(&o, 1, 4, "5.9.1.1", true));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    assert_false(o.view.needs_places);
    assert_true(reach_unmapped(&o, &at, now));
    assert_announced(&o, WANT(NULL));
    assert_int_equal(look(&o, "5.9.1.1").addr.len, 0); /* nor is it tried, or told in a meeting */
    assert_false(reach_unmapped(&o, &at, now));
}

/* Another router, or none: what the last one said of its address says nothing any more. */
static void two_nats_are_known_of_while_the_router_has_a_port_open(void **state)
{
    struct reach o = {0};
    struct multiaddr udp = quic("100.64.0.9", 4433), other = quic("100.64.0.9", 4434);
    (void)state;

    set_local(&o, home, 1);
    (void)reach_mapped(&o, &udp, true, now);
    (void)reach_mapped(&o, &other, true, now);
    assert_true(o.view.double_nat);
    (void)reach_unmapped(&o, &udp, now);
    assert_true(o.view.double_nat);
    assert_true(reach_unmapped(&o, &other, now));
    assert_false(o.view.double_nat);
}

/* Behind a symmetric NAT each observer sees another port: there is nothing to try, and nobody gets in. */
static void who_is_seen_at_another_port_by_each_is_private(void **state)
{
    struct reach o = {0};
    (void)state;

    set_local(&o, home, 1);
    for (unsigned i = 1; i <= REACH_AGREE; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "11.%u.0.1", i);
        assert_int_equal(o.view.ip4.state, REACH_UNKNOWN);
        (void)observed(&o, by, "5.9.1.1", 4000 + i);
    }
    assert_int_equal(o.view.ip4.state, REACH_PRIVATE);
    assert_true(o.view.all_private && o.view.needs_places);
    struct multiaddr due[8];
    tstamp at;
    assert_int_equal(reach_to_check(&o, due, 8, now, &at), 0);
}

/* Two that see us at the same port show a router that keeps to it, whatever others say. */
static void two_who_agree_leave_it_open(void **state)
{
    struct reach o = {0};
    (void)state;

    set_local(&o, home, 1);
    for (unsigned i = 1; i <= REACH_AGREE + 1; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "11.%u.0.1", i);
        (void)observed(&o, by, "5.9.1.1", 4000 + (i < 3 ? 1 : i));
    }
    assert_int_equal(o.view.ip4.state, REACH_UNKNOWN);
    assert_false(o.view.all_private);
}

/* A router before which another one translates: what it calls its own is nobody's, or another's, whom nobody sees. */
static void a_router_that_is_seen_elsewhere_is_behind_another(void **state)
{
    struct reach o = {0};
    struct multiaddr at = quic("5.9.2.1", 4433), own = quic("5.9.1.1", 4433);
    (void)state;

    set_local(&o, home, 1);
    (void)reach_mapped(&o, &at, false, now);
    for (unsigned i = 1; i <= REACH_AGREE; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "11.%u.0.1", i);
        assert_false(o.view.double_nat);
        (void)observed(&o, by, "5.9.1.1", 4000 + i);
    }
    assert_true(o.view.double_nat);
    (void)observed(&o, "11.9.0.1", "5.9.2.1", 4433); /* two ways out */
    assert_false(o.view.double_nat);
    for (unsigned i = 0; i < REACH_VOICES; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "12.%u.0.1", i);
        (void)observed(&o, by, "5.9.1.1", 4433);
    }
    assert_true(o.view.double_nat);
    (void)reach_mapped(&o, &own, false, now); /* the other router opened one, too */
    assert_false(o.view.double_nat);
    (void)reach_unmapped(&o, &own, now);
    (void)reach_unmapped(&o, &at, now);
    assert_false(o.view.double_nat);
}

/* Observers name what they like: they cannot keep out what the router says. */
static void a_mapping_takes_the_place_of_what_only_observers_name(void **state)
{
    static const char *const bound[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
                                        "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8"};
    static const char *const seen[] = {"5.9.1.1", "5.9.1.2", "5.9.1.3", "5.9.1.4"};
    struct reach o = {0};
    struct multiaddr at = quic("5.9.1.9", 4433);
    (void)state;

    set_local(&o, bound, ARRAY_LEN(bound));
    (void)reach_set_operator(&o, NULL, 0, now);
    for (unsigned i = 0; i < REACH_ANNOUNCED_MAX + 4; i++) {
        struct multiaddr m = quic("5.9.2.1", 1 + i);
        (void)reach_mapped(&o, &m, false, now);
    }
    for (unsigned i = 0; i < REACH_VOICES; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "11.%u.0.1", i + 1);
        (void)observed(&o, by, seen[i / 2], 4433);
    }
    assert_int_equal(o.n_cand, REACH_ADDRS_MAX);
    (void)reach_mapped(&o, &at, false, now);
    assert_int_equal(o.n_cand, REACH_ADDRS_MAX);
    assert_int_equal(look(&o, "5.9.1.9").source, REACH_MAPPED);
}

/* Who has networks enough could else make us publish anew without end. */
static void others_change_little_in_a_minute(void **state)
{
    static const char *const bound[] = {"5.9.1.1"};
    struct reach o = {0};
    (void)state;

    set_local(&o, bound, 1);
    (void)servers(&o, 1, 4, "5.9.1.1", false);
    assert_announced(&o, WANT(NULL));
    assert_int_equal(reach_deadline(&o), TSTAMP_NEVER);
    for (unsigned i = 0; i < REACH_VOICES; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "13.%u.0.1", i);
        struct link_info l = from(by, 0);
        struct reach_server server = {.addr = l.remote, .peer = l.peer};
        struct multiaddr at = quic("5.9.1.1", 4433);
        assert_false(reach_answered(&o, &at, &server, true, now + REACH_HOLD - 1));
    }
    assert_int_equal(reach_deadline(&o), now + REACH_HOLD);
    assert_false(reach_tick(&o, now + REACH_HOLD - 1));
    assert_true(reach_tick(&o, now + REACH_HOLD));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
}

/* Untried ones at once, one server after the other; then ever more slowly, and no network twice in a while. */
static void addresses_are_tried_again_the_sooner_the_less_is_known(void **state)
{
    static const char *const bound[] = {"5.9.1.1", "192.168.1.7"};
    struct reach o = {0};
    struct multiaddr due[8];
    tstamp at;
    (void)state;

    set_local(&o, bound, 2);
    assert_int_equal(reach_to_check(&o, due, 8, now, &at), 1); /* no private one */
    reach_asked(&o, &due[0], now);
    assert_int_equal(reach_to_check(&o, due, 8, now, &at), 0);
    assert_true(at > now && at <= now + 10 * NS_PER_S);
    (void)servers(&o, 1, 4, "5.9.1.1", true);
    reach_asked(&o, &o.bound[0], now);
    assert_int_equal(reach_to_check(&o, due, 8, now, &at), 0);
    assert_int_equal(at, now + REACH_HOUR);
    struct netaddr by = {.family = 4, .ip = {12, 1, 0, 1}};
    uint64_t net = reach_network(&by, NULL, false);
    assert_true(reach_has_said(&o, &o.bound[0], net, now));
    assert_false(reach_has_said(&o, &o.bound[0], net + 100, now));
    assert_false(reach_has_said(&o, &o.bound[0], net, now + REACH_HOUR));
    (void)servers(&o, 5, 1, "5.9.1.1", false); /* another opinion */
    reach_asked(&o, &o.bound[0], now);
    assert_int_equal(reach_to_check(&o, due, 8, now + 60 * NS_PER_S, &at), 1);
    set_local(&o, home, 1);
    observers(&o, 1, 1, "5.9.1.2");                    /* one observer sends nobody anywhere */
    (void)observed(&o, "11.1.200.9", "5.9.1.2", 4433); /* nor do two of one network */
    assert_int_equal(reach_to_check(&o, due, 8, now, &at), 0);
    observers(&o, 2, 1, "5.9.1.2");
    assert_int_equal(reach_to_check(&o, due, 8, now, &at), 1);
}

static void who_meets_us_is_told_private_addresses_too(void **state)
{
    static const char *const local[] = {"127.0.0.1", "192.168.1.7", "fd00::1"};
    struct reach o = {0};
    struct reach_addr c[8];
    (void)state;

    set_local(&o, local, 3);
    observers(&o, 1, 1, "5.9.1.1");
    assert_int_equal(reach_candidates(&o, c, 8), 3);
    assert_int_equal(c[0].source, REACH_BOUND);
    assert_int_equal(c[2].source, REACH_OBSERVED);
    assert_int_equal(reach_candidates(&o, c, 2), 2);
    o.lab = true;
    assert_int_equal(reach_candidates(&o, c, 8), 4);
}

static void who_is_silent_tells_the_operator_s_addresses_only(void **state)
{
    static const char *const bound[] = {"5.9.1.1"};
    struct multiaddr set = quic("9.9.9.9", 443);
    struct reach o = {0};
    (void)state;

    set_local(&o, bound, 1);
    assert_true(reach_set_silent(&o, true, now));
    assert_announced(&o, WANT(NULL));
    assert_true(reach_set_operator(&o, &set, 1, now));
    assert_announced(&o, WANT("/ip4/9.9.9.9/udp/443/quic-v1"));
}

static void udp_that_does_not_come_makes_places_needed(void **state)
{
    static const char *const bound[] = {"5.9.1.1"};
    struct reach o = {0};
    (void)state;

    set_local(&o, bound, 1);
    assert_true(reach_udp_seen(&o, false, now));
    assert_true(o.view.udp_blocked && o.view.needs_places);
    assert_true(reach_udp_seen(&o, true, now));
    assert_false(o.view.udp_blocked || o.view.needs_places);
}

/* However much is named, what the operator, sockets and the router name is kept. */
static void observers_push_out_nothing_else(void **state)
{
    struct reach o = {0};
    struct multiaddr at = quic("5.9.1.9", 4433);
    (void)state;

    set_local(&o, home, 1);
    for (unsigned i = 1; i <= 40; i++) {
        char by[32], six[32];
        (void)snprintf(by, sizeof(by), "11.%u.0.1", i);
        (void)observed(&o, by, "5.9.1.1", 4000 + i / 2);
        (void)snprintf(six, sizeof(six), "2a00:%x::1", i);
        (void)observed(&o, six, "2a00:9::1", 4000 + i / 2);
    }
    (void)reach_mapped(&o, &at, false, now);
    assert_int_equal(look(&o, "5.9.1.9").source, REACH_MAPPED);
    assert_true(o.n_cand <= REACH_ADDRS_MAX);
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
        struct reach o = {0};
        for (unsigned k = 0; k < 8; k++) {
            char ip[32];
            (void)snprintf(ip, sizeof(ip), "%u.%u.0.1", row[i].by, k);
            struct link_info l = from(ip, row[i].props);
            struct multiaddr at = quic(row[i].seen, 4433);
            assert_false(reach_observed(&o, &l, &at, now));
        }
        assert_int_equal(o.n_cand, 0);
    }
}

/*
 * A host without IPv6 could else be made to tell any IPv6 address by whoever has four networks; the same one told by
 * all such hosts puts them into one network, so that no path has two of them.
 */
static void an_address_is_seen_over_its_own_ip_version_only(void **state)
{
    static const char *const local[] = {"5.9.1.1"};
    struct reach o = {0};
    (void)state;

    set_local(&o, local, 1);
    for (unsigned i = 0; i < 8; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        assert_false(observed(&o, ip, "2a00:9::1", 4433));
    }
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
    o = (struct reach){0};
    for (unsigned i = 0; i < 8; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "2a00:%u::1", i);
        assert_false(observed(&o, ip, "5.9.1.1", 4433));
    }
    assert_int_equal(o.n_cand, 0);
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
    struct reach o = {0};
    struct multiaddr at = tcp("9.9.9.9", 4001), udp = quic("9.9.9.9", 4001), out[2];
    (void)state;

    for (size_t round = 0; round < 3; round++) {
        if (round == 2) { /* whose host it is nobody has proven before */
            observers(&o, 1, 2, "9.9.9.9");
            (void)servers(&o, 1, 4, "9.9.9.9", true);
        }
        for (size_t i = 0; i < ARRAY_LEN(by); i++) {
            struct link_info l = from(by[i], round == 0 ? 0 : LINK_INBOUND);
            l.remote = tcp(by[i], 50000);
            now += REACH_HOLD;
            assert_false(reach_may_see(&l, &udp)); /* another transport */
            assert_int_equal(reach_may_see(&l, &at), round > 0);
            (void)reach_observed(&o, &l, &at, now);
        }
        assert_int_equal(o.n_announced, round == 2 ? 2 : 0);
    }
    assert_true(multiaddr_eq(&o.announced[0], &at) || multiaddr_eq(&o.announced[1], &at));
    o = (struct reach){.n_cand = 0};
    now += REACH_HOLD;
    observers(&o, 1, 2, "9.9.9.9");
    (void)servers(&o, 1, 4, "9.9.9.9", true);
    for (size_t i = 0; i < ARRAY_LEN(by); i++) { /* nor that of another host */
        struct multiaddr other = tcp("9.9.9.10", 4001);
        struct link_info l = from(by[i], LINK_INBOUND);
        l.remote = tcp(by[i], 50000);
        now += REACH_HOLD;
        (void)reach_observed(&o, &l, &other, now);
    }
    assert_int_equal(o.n_announced, 1);
    o = (struct reach){.n_cand = 0};
    (void)reach_set_bound(&o, &at, 1, now);
    assert_int_equal(reach_for_cells(&o, out, 2), 0);
    assert_true(reach_set_operator(&o, &udp, 1, now));
    assert_int_equal(reach_for_cells(&o, out, 2), 1);
    assert_true(multiaddr_eq(&out[0], &udp));
}

/* Four networks say that they dialled us there over TCP; how many addresses are announced then. */
static size_t dialled_at(struct reach *o, unsigned first, const struct multiaddr *at)
{
    for (unsigned i = 0; i < REACH_AGREE; i++) {
        char by[32];
        (void)snprintf(by, sizeof(by), "8.%u.0.1", first + i);
        struct link_info l = from(by, LINK_INBOUND);
        l.remote = tcp(by, 50000);
        now += REACH_HOLD;
        (void)reach_observed(o, &l, at, now);
    }
    return o->n_announced;
}

/* What those who dialled us confirmed is their word: it says of no further address that it is ours. */
static void a_host_is_ours_by_more_than_dials_over_tcp(void **state)
{
    struct multiaddr first = tcp("9.9.9.9", 4001), second = tcp("9.9.9.9", 4002);
    struct reach o = {.n_cand = 0};
    (void)state;

    observers(&o, 1, 2, "9.9.9.9");
    (void)servers(&o, 1, 4, "9.9.9.9", true);
    assert_int_equal(dialled_at(&o, 1, &first), 2);
    now += 2 * 3600 * NS_PER_S;
    (void)servers(&o, 20, 4, "9.9.9.9", false);
    assert_int_equal(look(&o, "9.9.9.9").verdict, REACH_REFUTED);
    size_t before = o.n_announced;
    assert_int_equal(dialled_at(&o, 30, &second), before);
    o = (struct reach){.lab = true}; /* where all hosts are of one who tries something */
    assert_int_equal(dialled_at(&o, 1, &first), 1);
}

/* Few servers dial TCP: what nobody has tried goes with QUIC at the same host. */
static void an_untried_tcp_address_goes_with_quic(void **state)
{
    struct multiaddr both[2] = {quic("5.9.1.1", 4433), tcp("5.9.1.1", 4433)};
    struct multiaddr mapped[2] = {quic("5.9.1.9", 4433), tcp("5.9.1.9", 4433)};
    struct reach o = {0};
    (void)state;

    (void)reach_set_bound(&o, both, 2, now);
    assert_int_equal(o.n_announced, 2);
    (void)servers(&o, 1, 4, "5.9.1.1", false);
    assert_int_equal(o.n_announced, 0);
    assert_true(o.view.all_private);
    assert_int_equal(dialled_at(&o, 1, &both[1]), 1); /* who dialled it proves it */
    assert_true(multiaddr_eq(&o.announced[0], &both[1]));
    o = (struct reach){0};
    set_local(&o, home, 1);
    (void)reach_mapped(&o, &mapped[0], false, now);
    (void)reach_mapped(&o, &mapped[1], false, now);
    assert_int_equal(o.n_announced, 0);
    (void)servers(&o, 1, 4, "5.9.1.9", true);
    assert_int_equal(o.n_announced, 2);
    o = (struct reach){0}; /* what is only seen proves itself */
    set_local(&o, home, 1);
    observers(&o, 1, 2, "5.9.1.1");
    struct link_info l = from("8.1.0.1", LINK_INBOUND);
    l.remote = tcp("8.1.0.1", 50000);
    (void)reach_observed(&o, &l, &both[1], now);
    (void)servers(&o, 1, 4, "5.9.1.1", true);
    assert_int_equal(o.n_announced, 1);
}

static void a_family_with_a_global_address_of_its_own_needs_no_observers(void **state)
{
    static const char *const both[] = {"5.9.1.1", "fd00::1"};
    struct reach o = {0};
    (void)state;

    set_local(&o, both, 2);
    for (unsigned i = 0; i < 4; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "11.%u.0.1", i);
        assert_false(observed(&o, ip, "5.9.1.1", 61000));
        (void)snprintf(ip, sizeof(ip), "2a00:%u::1", i);
        (void)observed(&o, ip, "2a00:9::1", 4433);
    }
    (void)servers(&o, 1, 4, "2a00:9::1", true);
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1", "/ip6/2a00:9::1/udp/4433/quic-v1"));
    struct multiaddr mapped = quic("5.9.1.9", 4433); /* nor what a router opened, dialled or not */
    (void)reach_mapped(&o, &mapped, false, now);
    (void)servers(&o, 1, 4, "5.9.1.9", true);
    assert_int_equal(look(&o, "5.9.1.9").verdict, REACH_CONFIRMED);
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1", "/ip6/2a00:9::1/udp/4433/quic-v1"));
}

static void what_the_operator_set_is_announced_alone(void **state)
{
    static const char *const local[] = {"5.9.1.1"};
    struct multiaddr m[2] = {quic("9.9.9.9", 443), quic("9.9.9.9", 443)};
    struct reach o = {0};
    (void)state;

    set_local(&o, local, 1);
    assert_true(reach_set_operator(&o, m, 2, now)); /* named twice, told once */
    assert_announced(&o, WANT("/ip4/9.9.9.9/udp/443/quic-v1"));
    assert_int_equal(o.view.ip4.state, REACH_PUBLIC);
    (void)servers(&o, 1, 4, "5.9.1.1", true);
    assert_announced(&o, WANT("/ip4/9.9.9.9/udp/443/quic-v1"));
    assert_true(reach_set_operator(&o, NULL, 0, now));
    assert_announced(&o, WANT("/ip4/5.9.1.1/udp/4433/quic-v1"));
}

static void no_more_addresses_are_to_be_tried_than_there_is_room_for(void **state)
{
    static const char *const bound[] = {"5.9.1.1", "5.9.1.2", "5.9.1.3"};
    struct multiaddr due[3] = {{.len = 0}};
    struct reach o = {0};
    tstamp at;
    (void)state;

    set_local(&o, bound, 3);
    assert_int_equal(reach_to_check(&o, due, 2, now, &at), 2);
    assert_int_equal(due[2].len, 0);
    assert_int_equal(reach_to_check(&o, due, 3, now, &at), 3);
}

/* Who shows how often it changed, and when to tell again, goes by that count. */
static void each_change_of_what_is_announced_is_counted(void **state)
{
    static const char *const bound[] = {"5.9.1.1", "5.9.1.2"};
    struct reach o = {0};
    (void)state;

    set_local(&o, bound, 1);
    assert_int_equal(o.told, 1);
    set_local(&o, bound, 1);
    assert_int_equal(o.told, 1);
    set_local(&o, bound + 1, 1);
    assert_int_equal(o.told, 2);
    set_local(&o, home, 1);
    assert_int_equal(o.told, 3);
}

static void of_more_addresses_than_fit_the_first_are_taken(void **state)
{
    struct reach o = {0};
    char text[12][32];
    const char *ip[12];
    (void)state;

    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "5.9.1.%u", i + 1);
        ip[i] = text[i];
    }
    assert_true(set_local(&o, ip, 12));
    assert_int_equal(o.n_announced, REACH_ANNOUNCED_MAX);
    for (unsigned i = 0; i < 4; i++) { /* nor one of another source, behind them */
        char by[32];
        (void)snprintf(by, sizeof(by), "2a00:%u::1", i);
        (void)observed(&o, by, "2a00:9::1", 4433);
    }
    (void)servers(&o, 1, 4, "2a00:9::1", true);
    assert_int_equal(look(&o, "2a00:9::1").verdict, REACH_CONFIRMED);
    assert_int_equal(o.n_announced, REACH_ANNOUNCED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_local_addresses_only_global_ones_are_announced),
        cmocka_unit_test(what_others_see_is_announced_once_four_networks_have_dialled_it),
        cmocka_unit_test(one_network_has_one_voice_and_may_change_its_mind),
        cmocka_unit_test(a_socket_s_address_is_announced_until_it_is_refuted),
        cmocka_unit_test(one_dial_back_within_the_hour_outweighs_all_who_say_no),
        cmocka_unit_test(what_the_router_opened_is_announced_once_it_was_dialled),
        cmocka_unit_test(two_nats_are_known_of_while_the_router_has_a_port_open),
        cmocka_unit_test(who_is_seen_at_another_port_by_each_is_private),
        cmocka_unit_test(two_who_agree_leave_it_open),
        cmocka_unit_test(a_router_that_is_seen_elsewhere_is_behind_another),
        cmocka_unit_test(a_mapping_takes_the_place_of_what_only_observers_name),
        cmocka_unit_test(others_change_little_in_a_minute),
        cmocka_unit_test(addresses_are_tried_again_the_sooner_the_less_is_known),
        cmocka_unit_test(who_meets_us_is_told_private_addresses_too),
        cmocka_unit_test(who_is_silent_tells_the_operator_s_addresses_only),
        cmocka_unit_test(udp_that_does_not_come_makes_places_needed),
        cmocka_unit_test(observers_push_out_nothing_else),
        cmocka_unit_test(what_proves_nothing_is_not_counted),
        cmocka_unit_test(an_address_is_seen_over_its_own_ip_version_only),
        cmocka_unit_test(tcp_addresses_are_confirmed_by_those_who_dialled_them),
        cmocka_unit_test(a_host_is_ours_by_more_than_dials_over_tcp),
        cmocka_unit_test(an_untried_tcp_address_goes_with_quic),
        cmocka_unit_test(a_family_with_a_global_address_of_its_own_needs_no_observers),
        cmocka_unit_test(what_the_operator_set_is_announced_alone),
        cmocka_unit_test(no_more_addresses_are_to_be_tried_than_there_is_room_for),
        cmocka_unit_test(each_change_of_what_is_announced_is_counted),
        cmocka_unit_test(of_more_addresses_than_fit_the_first_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
