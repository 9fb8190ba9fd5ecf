#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "wire/multiaddr.h"

#include <stdio.h>
#include <string.h>

#define ED "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#define QM "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"

static size_t unhex(uint8_t *dst, size_t cap, const char *hex)
{
    size_t len = 0;
    struct slice s = {(const uint8_t *)hex, strlen(hex)};
    assert_int_equal(hex_decode(dst, cap, &len, s), QUDAG_OK);
    return len;
}

/* Shapes of libp2p specs, addressing/README.md; bytes written down from protocols.csv. */
static const struct {
    const char *text;
    const char *hex; /* NULL: not looked at */
} good[] = {
    {"/ip4/127.0.0.1/udp/1234", "047f000001910204d2"},
    {"/ip4/192.0.2.0/tcp/4001", "04c0000200060fa1"},
    {"/ip4/198.51.100.7/udp/4001/quic-v1", "04c633640791020fa1cd03"},
    {"/ip6/::1/udp/0/quic-v1", "2900000000000000000000000000000001910"
                               "20000cd03"},
    {"/ip6/2604:1380:4602:5c00::3/udp/4001/quic-v1", NULL},
    {"/ip6zone/eth0/ip6/fe80::1/tcp/80", NULL},
    {"/dns4/example.com/tcp/42", "360b6578616d706c652e636f6d06002a"},
    {"/dnsaddr/libp2p.io", "38096c69627032702e696f"},
    {"/dns/example.com/udp/443/quic-v1/p2p/" QM, NULL},
    {"/ip4/1.2.3.4/tcp/443/wss", NULL},
    {"/ip4/1.2.3.4/tcp/443/tls/sni/example.com/ws", NULL},
    {"/ip4/1.2.3.4/udp/65535/quic-v1/webtransport/certhash/"
     "uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
     NULL},
    {"/ip4/1.2.3.4/udp/1/webrtc-direct", NULL},
    {"/ip4/1.2.3.4/udp/1/quic", NULL},
    {"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234", NULL},
    {"/p2p/" ED, NULL},
    {"/ip4/192.0.2.0/tcp/5002/p2p/QmdPU7PfRyKehdrP5A3WqmjyD6bhVpU1mLGKppa2FjGDjZ/p2p-circuit/"
     "p2p/QmVT6GYwjeeAF5TR485Yc58S3xRF5EFsZ5YAF4VcP3URHt",
     NULL},
};

static void addresses_survive_text_and_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct multiaddr m, again;
        char text[MULTIADDR_TEXT_MAX];
        assert_int_equal(multiaddr_parse(&m, good[i].text), QUDAG_OK);
        if (good[i].hex != NULL) {
            uint8_t b[MULTIADDR_MAX];
            assert_int_equal(unhex(b, sizeof(b), good[i].hex), m.len);
            assert_memory_equal(b, m.b, m.len);
        }
        assert_int_equal(multiaddr_text(text, sizeof(text), &m), strlen(good[i].text));
        assert_string_equal(text, good[i].text);
        assert_int_equal(multiaddr_from_bytes(&again, multiaddr_slice(&m)), QUDAG_OK);
        assert_true(multiaddr_eq(&m, &again));
        assert_memory_equal(&m, &again, sizeof(m));
    }
}

static void bytes_cut_anywhere_never_pass_as_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct multiaddr m, part;
        assert_int_equal(multiaddr_parse(&m, good[i].text), QUDAG_OK);
        for (size_t cut = 0; cut < m.len; cut++) {
            qudag_err err = multiaddr_from_bytes(&part, (struct slice){m.b, cut});
            if (err == QUDAG_OK) { /* a cut between components */
                assert_int_equal(part.len, cut);
                assert_false(multiaddr_eq(&m, &part));
            } else {
                assert_true(err == QUDAG_EMALFORMED || err == QUDAG_EUNSUPPORTED);
            }
        }
    }
}

static void text_room_is_respected(void **state)
{
    (void)state;
    struct multiaddr m;
    char text[MULTIADDR_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        size_t len = strlen(good[i].text);
        assert_int_equal(multiaddr_parse(&m, good[i].text), QUDAG_OK);
        for (size_t cap = 0; cap <= len; cap++) {
            memset(text, 'x', sizeof(text));
            assert_int_equal(multiaddr_text(text, cap, &m), 0);
            assert_int_equal(text[cap], 'x');
        }
        assert_int_equal(multiaddr_text(text, len + 1, &m), len);
    }
}

static void bad_bytes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        qudag_err err;
    } bad[] = {
        {"", QUDAG_EMALFORMED},
        {"047f0000", QUDAG_EMALFORMED},     /* short ip4 */
        {"84007f000001", QUDAG_EMALFORMED}, /* code as a longer varint */
        {"ff7f", QUDAG_EUNSUPPORTED},       /* unknown code */
        {"9003012f", QUDAG_EUNSUPPORTED},   /* unix */
        {"3600", QUDAG_EMALFORMED},         /* empty name */
        {"3603612f62", QUDAG_EMALFORMED},   /* '/' inside a name */
        {"3602610a", QUDAG_EMALFORMED},     /* control character */
        {"3602ff61", QUDAG_EMALFORMED},     /* not UTF-8 */
        {"3605616263", QUDAG_EMALFORMED},   /* longer than there is */
        {"a50300", QUDAG_EMALFORMED},       /* empty peer id */
        {"a50303130161", QUDAG_EMALFORMED}, /* not a peer id */
        {"d203021203", QUDAG_EMALFORMED},   /* hash shorter than it says */
        {"d203021200", QUDAG_EMALFORMED},   /* hash of nothing */
        {"36ffffffffffffffff7f61", QUDAG_EMALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t b[64];
        size_t len = unhex(b, sizeof(b), bad[i].hex);
        struct multiaddr m = {.len = 9};
        assert_int_equal(multiaddr_from_bytes(&m, (struct slice){b, len}), bad[i].err);
        assert_int_equal(m.len, 9);
    }
    uint8_t many[MULTIADDR_MAX + 2];
    struct multiaddr m;
    for (size_t i = 0; i < sizeof(many); i += 2) { /* /quic-v1/quic-v1... */
        many[i] = 0xcd;
        many[i + 1] = 0x03;
    }
    char text[MULTIADDR_TEXT_MAX];
    assert_int_equal(multiaddr_from_bytes(&m, (struct slice){many, MULTIADDR_MAX}), QUDAG_OK);
    assert_int_equal(multiaddr_text(text, sizeof(text), &m), 0);
    assert_int_equal(multiaddr_from_bytes(&m, (struct slice){many, MULTIADDR_MAX + 2}),
                     QUDAG_ETOOBIG);
}

static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        qudag_err err;
    } bad[] = {
        {"", QUDAG_EMALFORMED},
        {"/", QUDAG_EMALFORMED},
        {"ip4/1.2.3.4", QUDAG_EMALFORMED},
        {"/ip4", QUDAG_EMALFORMED},
        {"/ip4/", QUDAG_EMALFORMED},
        {"/ip4/1.2.3", QUDAG_EMALFORMED},
        {"/ip4/::1", QUDAG_EMALFORMED},
        {"/ip6/1.2.3.4", QUDAG_EMALFORMED},
        {"/ip6/fe80::1%1/tcp/1", QUDAG_EMALFORMED},
        {"//ip4/1.2.3.4", QUDAG_EUNSUPPORTED},
        {"/ip4/1.2.3.4/", QUDAG_OK},
        {"/ip4/1.2.3.4//tcp/1", QUDAG_EUNSUPPORTED},
        {"/ip4/1.2.3.4/tcp", QUDAG_EMALFORMED},
        {"/ip4/1.2.3.4/tcp/65536", QUDAG_EMALFORMED},
        {"/ip4/1.2.3.4/tcp/01", QUDAG_EMALFORMED},
        {"/ip4/1.2.3.4/tcp/-1", QUDAG_EMALFORMED},
        {"/ip4/1.2.3.4/tcp/123456", QUDAG_EMALFORMED},
        {"/IP4/1.2.3.4", QUDAG_EUNSUPPORTED},
        {"/unix/tmp/x", QUDAG_EUNSUPPORTED},
        {"/dns4//tcp/1", QUDAG_EMALFORMED},
        {"/p2p/12D3", QUDAG_EMALFORMED},
        {"/certhash/x", QUDAG_EMALFORMED},
        {"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd", QUDAG_EMALFORMED},
        {"/onion3/aaaa:1", QUDAG_EMALFORMED},
        {"/dns/"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         QUDAG_ETOOBIG},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct multiaddr m;
        assert_int_equal(multiaddr_parse(&m, bad[i].text), bad[i].err);
    }
}

static void the_old_name_and_cids_mean_p2p(void **state)
{
    (void)state;
    struct multiaddr a, b;

    assert_int_equal(multiaddr_parse(&a, "/p2p/" QM), QUDAG_OK);
    assert_int_equal(multiaddr_parse(&b, "/ipfs/" QM), QUDAG_OK);
    assert_true(multiaddr_eq(&a, &b));
    assert_int_equal(
        multiaddr_parse(&b, "/p2p/bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"),
        QUDAG_OK);
    assert_true(multiaddr_eq(&a, &b));
}

static void quic_addresses_become_netaddrs_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"/ip4/192.0.2.1/udp/4001/quic-v1", true},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED, true},
        {"/ip6/2001:db8::1/udp/65535/quic-v1", true},
        {"/ip4/192.0.2.1/udp/4001", false},
        {"/ip4/192.0.2.1/udp/4001/quic", false},
        {"/ip4/192.0.2.1/tcp/4001", false},
        {"/ip4/192.0.2.1", false},
        {"/dns4/example.com/udp/1/quic-v1", false},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/webtransport", false},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED "/p2p-circuit", false},
        {"/p2p/" ED, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct multiaddr m, again;
        struct netaddr a;
        struct peer_id id;
        char text[MULTIADDR_TEXT_MAX];
        assert_int_equal(multiaddr_parse(&m, cases[i].text), QUDAG_OK);
        assert_int_equal(multiaddr_to_netaddr(&m, &a), cases[i].ok);
        if (cases[i].ok) {
            multiaddr_quic(&again, &a, multiaddr_peer(&m, &id) ? &id : NULL);
            assert_int_not_equal(multiaddr_text(text, sizeof(text), &again), 0);
            assert_string_equal(text, cases[i].text);
        }
    }
}

static void tcp_addresses_become_netaddrs_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool tcp, direct;
    } cases[] = {
        {"/ip4/192.0.2.1/tcp/4001", true, true},
        {"/ip4/192.0.2.1/tcp/4001/p2p/" ED, true, true},
        {"/ip6/2001:db8::1/tcp/65535", true, true},
        {"/ip4/192.0.2.1/udp/4001/quic-v1", false, true},
        {"/ip4/192.0.2.1/udp/4001", false, false},
        {"/ip4/192.0.2.1/tcp/4001/tls/ws", false, false},
        {"/ip4/192.0.2.1/tcp/4001/ws", false, false},
        {"/ip4/192.0.2.1/tcp/4001/p2p/" ED "/p2p-circuit", false, false},
        {"/dns4/example.com/tcp/1", false, false},
        {"/ip4/192.0.2.1", false, false},
        {"/p2p/" ED, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct multiaddr m, again;
        struct netaddr a, b;
        struct peer_id id;
        char text[MULTIADDR_TEXT_MAX];
        assert_int_equal(multiaddr_parse(&m, cases[i].text), QUDAG_OK);
        assert_int_equal(multiaddr_to_tcp(&m, &a), cases[i].tcp);
        assert_int_equal(multiaddr_direct(&m, &b), cases[i].direct);
        if (cases[i].tcp) {
            assert_true(netaddr_eq(&a, &b));
            multiaddr_tcp(&again, &a, multiaddr_peer(&m, &id) ? &id : NULL);
            assert_int_not_equal(multiaddr_text(text, sizeof(text), &again), 0);
            assert_string_equal(text, cases[i].text);
        }
    }
}

static void the_endpoint_is_what_an_address_begins_with(void **state)
{
    (void)state;
    static const struct {
        const char *text, *endpoint;
    } cases[] = {
        {"/ip4/192.0.2.1/udp/4001/quic-v1", "192.0.2.1:4001"},
        {"/ip6/2001:db8::1/tcp/80/tls/ws", "[2001:db8::1]:80"},
        {"/ip4/192.0.2.1/tcp/4001/p2p/" ED "/p2p-circuit", "192.0.2.1:4001"},
        {"/ip6/::ffff:127.0.0.1/udp/7/quic-v1", "127.0.0.1:7"},
        {"/ip4/192.0.2.1", NULL},
        {"/ip4/192.0.2.1/p2p/" ED, NULL},
        {"/dns4/example.com/tcp/80", NULL},
        {"/p2p/" ED, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct multiaddr m;
        struct netaddr a = {0};
        char text[NETADDR_TEXT_MAX];
        assert_int_equal(multiaddr_parse(&m, cases[i].text), QUDAG_OK);
        assert_int_equal(multiaddr_endpoint(&m, &a), cases[i].endpoint != NULL);
        if (cases[i].endpoint != NULL) {
            assert_int_not_equal(netaddr_text(text, sizeof(text), &a), 0);
            assert_string_equal(text, cases[i].endpoint);
        } else {
            assert_int_equal(a.family, 0); /* untouched */
        }
    }
}

static void mapped_addresses_are_ipv4(void **state)
{
    (void)state;
    struct multiaddr m;
    struct netaddr a, none = {0};
    char text[MULTIADDR_TEXT_MAX];

    assert_int_equal(multiaddr_parse(&m, "/ip6/::ffff:192.0.2.9/udp/7/quic-v1"), QUDAG_OK);
    assert_true(multiaddr_to_netaddr(&m, &a));
    assert_int_equal(a.family, 4);
    struct netaddr mapped = {.family = 6, .port = 7};
    memcpy(mapped.ip, m.b + 1, 16);
    multiaddr_quic(&m, &mapped, NULL);
    assert_int_not_equal(multiaddr_text(text, sizeof(text), &m), 0);
    assert_string_equal(text, "/ip4/192.0.2.9/udp/7/quic-v1");
    multiaddr_quic(&m, &none, NULL);
    assert_int_equal(m.len, 0);
    assert_false(multiaddr_to_netaddr(&m, &a));
}

static void the_last_peer_counts_and_a_trailing_one_is_stripped(void **state)
{
    (void)state;
    struct multiaddr m, plain;
    struct peer_id id, want;

    assert_int_equal(peer_id_parse(&want, ED), QUDAG_OK);
    assert_int_equal(multiaddr_parse(&m, "/ip4/1.2.3.4/tcp/1/p2p/" QM "/p2p-circuit/p2p/" ED),
                     QUDAG_OK);
    assert_true(multiaddr_peer(&m, &id));
    assert_true(peer_id_eq(&id, &want));
    multiaddr_strip_peer(&m);
    assert_int_equal(multiaddr_parse(&plain, "/ip4/1.2.3.4/tcp/1/p2p/" QM "/p2p-circuit"),
                     QUDAG_OK);
    assert_memory_equal(&m, &plain, sizeof(m));
    multiaddr_strip_peer(&m); /* the relay's id does not stand at the end */
    assert_memory_equal(&m, &plain, sizeof(m));
    assert_int_equal(multiaddr_parse(&m, "/ip4/1.2.3.4/tcp/1"), QUDAG_OK);
    assert_false(multiaddr_peer(&m, &id));
}

static void pins_are_read_and_checked(void **state)
{
    (void)state;
    static const char base[] = "/ip4/1.2.3.4/udp/1/quic-v1/p2p/" ED;
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    char text[512];
    struct multiaddr m, want;
    uint8_t pin[32];
    bool has = true;

    assert_int_equal(multiaddr_parse(&want, base), QUDAG_OK);
    assert_int_equal(multiaddr_parse_pinned(&m, pin, &has, base), QUDAG_OK);
    assert_false(has);
    assert_true(multiaddr_eq(&m, &want));
    assert_true(snprintf(text, sizeof(text), "%s#%s", base, hex) > 0);
    assert_int_equal(multiaddr_parse_pinned(&m, pin, &has, text), QUDAG_OK);
    assert_true(has);
    assert_true(multiaddr_eq(&m, &want));
    for (uint8_t i = 0; i < 32; i++) {
        assert_int_equal(pin[i], i);
    }
    size_t full = strlen(text);
    for (size_t cut = strlen(base) + 1; cut < full; cut++) {
        text[cut] = '\0';
        assert_int_equal(multiaddr_parse_pinned(&m, pin, &has, text), QUDAG_EMALFORMED);
        text[cut] = hex[cut - strlen(base) - 1];
    }
    /* a pin for nobody */
    assert_true(snprintf(text, sizeof(text), "/ip4/1.2.3.4/udp/1/quic-v1#%s", hex) > 0);
    assert_int_equal(multiaddr_parse_pinned(&m, pin, &has, text), QUDAG_EMALFORMED);
    assert_int_equal(multiaddr_parse_pinned(&m, pin, &has, "#"), QUDAG_EMALFORMED);
}

static void an_address_through_a_relay_names_the_relay_and_whom_it_leads_to(void **state)
{
    static const struct {
        const char *text;
        bool through, named;
    } rows[] = {
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED "/p2p-circuit", true, false},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED "/p2p-circuit/p2p/" QM, true, true},
        {"/dns4/relay.example/tcp/443/p2p/" ED "/p2p-circuit/p2p/" QM, true, true},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED, false, true},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p-circuit/p2p/" QM, false, true}, /* which relay? */
        {"/p2p/" ED "/p2p-circuit/p2p/" QM, false, true},                     /* where is it? */
        {"/p2p-circuit", false, false},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED "/p2p-circuit/p2p/" QM "/p2p-circuit", false,
         false},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED "/p2p-circuit/ip4/192.0.2.2/tcp/1", false,
         false},
        {"/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ED "/p2p-circuit/p2p/" QM "/p2p/" ED, false, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct multiaddr m, relay = {.len = 0}, again;
        struct peer_id id, ed;
        assert_int_equal(multiaddr_parse(&m, rows[i].text), QUDAG_OK);
        if (multiaddr_through(&m, &relay) != rows[i].through ||
            multiaddr_peer(&m, &id) != rows[i].named) {
            fail_msg("%s", rows[i].text);
        }
        assert_int_equal(relay.len > 0, rows[i].through);
        if (!rows[i].through) {
            continue;
        }
        assert_int_equal(peer_id_parse(&ed, ED), QUDAG_OK);
        assert_true(multiaddr_peer(&relay, &id) && peer_id_eq(&id, &ed));
        multiaddr_strip_peer(&m); /* what stays is still an address through the relay */
        assert_true(multiaddr_circuit(&again, &relay) && multiaddr_eq(&again, &m));
    }
    struct multiaddr m, out = {.len = 0};
    assert_int_equal(multiaddr_parse(&m, "/ip4/192.0.2.1/tcp/1"), QUDAG_OK);
    assert_false(multiaddr_circuit(&out, &m));
    assert_int_equal(out.len, 0);
    struct peer_id ed, id;
    assert_int_equal(peer_id_parse(&ed, ED), QUDAG_OK);
    assert_true(multiaddr_add_peer(&m, &ed) && multiaddr_peer(&m, &id) && peer_id_eq(&id, &ed));
    m.len = MULTIADDR_MAX - 30;
    assert_false(multiaddr_add_peer(&m, &ed));
    assert_false(multiaddr_circuit(&out, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_survive_text_and_bytes),
        cmocka_unit_test(bytes_cut_anywhere_never_pass_as_the_whole),
        cmocka_unit_test(text_room_is_respected),
        cmocka_unit_test(bad_bytes_are_refused),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(the_old_name_and_cids_mean_p2p),
        cmocka_unit_test(quic_addresses_become_netaddrs_and_back),
        cmocka_unit_test(tcp_addresses_become_netaddrs_and_back),
        cmocka_unit_test(the_endpoint_is_what_an_address_begins_with),
        cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(the_last_peer_counts_and_a_trailing_one_is_stripped),
        cmocka_unit_test(an_address_through_a_relay_names_the_relay_and_whom_it_leads_to),
        cmocka_unit_test(pins_are_read_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
